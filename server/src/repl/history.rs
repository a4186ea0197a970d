//! Which history a stream belongs to, and who may go on from where in it (PSYNC2).
//!
//! A history is an id of 40 hexadecimal digits; an offset counts its bytes. A node that becomes a primary begins a new
//! one and remembers the id it has followed: up to the offset of that moment both are the same. Whom it has parted from in
//! that way it tells those that follow it, so they know it, too, when one of them leads: its [`Kin`].

/// The ids of a node's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub id: String,
    /// The history that the node has followed before: it has followed both up to this offset, exclusive, and they may be the same
    /// beyond it.
    pub before: Option<(String, u64)>,
    pub kin: Kin,
}

/// Histories that are one history up to an offset, exclusive, and no further; the last that parted comes last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kin(Vec<(String, u64)>);

/// As many are remembered: a node that has been away for more promotions does not learn what it had alone.
const KIN_MAX: usize = 16;

/// What `INFO` shows where there is no history before.
pub const NO_ID: &str = "0000000000000000000000000000000000000000";

impl History {
    pub fn new(id: String) -> History {
        History { id, before: None, kin: Kin::default() }
    }

    /// Begins a history of its own at an offset, up to which it is the same as the one so far.
    pub fn fork(&mut self, id: String, offset: u64) {
        let mut kin = std::mem::take(&mut self.kin);
        kin.0.push((self.id.clone(), offset));
        kin.0.drain(..kin.0.len().saturating_sub(KIN_MAX));
        self.follow(id, offset, kin);
    }

    /// Goes on in a primary's history from an offset, up to which it is the same as the one so far; the primary tells the kin.
    pub fn follow(&mut self, id: String, offset: u64, kin: Kin) {
        if id != self.id {
            let old = std::mem::replace(&mut self.id, id);
            self.before = Some((old, offset));
        }
        self.kin = kin;
    }

    /// Whether who has followed the history `id` up to `offset` has seen nothing that is not in this one.
    pub fn includes(&self, id: &str, offset: u64) -> bool {
        let before = self.before.as_ref().filter(|(before, _)| before.eq_ignore_ascii_case(id));
        let until = before.map(|(_, until)| *until).or(self.kin.shared_with(id));
        self.id.eq_ignore_ascii_case(id) || until.is_some_and(|until| offset <= until)
    }
}

impl Kin {
    /// Up to where the history `id` is this one's, if that is known.
    pub fn shared_with(&self, id: &str) -> Option<u64> {
        let found = self.0.iter().rev().find(|(other, _)| other.eq_ignore_ascii_case(id));
        found.map(|(_, until)| *until)
    }

    /// As a primary tells it: `id:offset`, with commas in between. Empty if there is none.
    pub fn to_word(&self) -> String {
        self.0.iter().map(|(id, until)| format!("{id}:{until}")).collect::<Vec<_>>().join(",")
    }

    /// What a primary at `offset` has told.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn of_word(word: &str, offset: u64) -> Result<Kin, String> {
        let one = |part: &str| {
            let (id, until) = part
                .split_once(':')
                .filter(|(id, _)| is_id(id))
                .ok_or(format!("\"{part}\" is no id with an offset"))?;
            let until = until.parse().map_err(|_| format!("\"{until}\" is no offset"))?;
            if until > offset {
                return Err(format!("it cannot share what is beyond its own end, which is {offset}"));
            }
            Ok((id.to_owned(), until))
        };
        let kin: Vec<_> = word.split(',').map(one).collect::<Result<_, String>>()?;
        if kin.len() > KIN_MAX { Err(format!("these are more than {KIN_MAX}")) } else { Ok(Kin(kin)) }
    }
}

/// Whether a text is the id of a history.
pub fn is_id(id: &str) -> bool {
    id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_goes_on_from_what_both_have_followed() {
        let mut history = History::new("a".repeat(40));
        assert!(history.includes(&"A".repeat(40), 900) && !history.includes(&"b".repeat(40), 0));
        history.fork("b".repeat(40), 500);
        assert!(history.includes(&"a".repeat(40), 500));
        assert!(!history.includes(&"a".repeat(40), 501));
        assert!(history.includes(&"b".repeat(40), 501));
        assert_eq!(history.kin.shared_with(&"A".repeat(40)), Some(500));
        assert_eq!(history.kin.shared_with(&"b".repeat(40)), None, "all of its own");
        history.fork("c".repeat(40), 600);
        assert!(history.includes(&"a".repeat(40), 500) && !history.includes(&"a".repeat(40), 501));
        assert_eq!(history.kin.shared_with(&"b".repeat(40)), Some(600));
    }

    #[test]
    fn who_follows_learns_from_whom_its_primary_has_parted() {
        let mut primary = History::new("a".repeat(40));
        primary.fork("b".repeat(40), 500);
        let mut replica = History::new("a".repeat(40));
        let kin = Kin::of_word(&primary.kin.to_word(), 700).unwrap();
        // It had seen less of the history before than the primary.
        replica.follow("b".repeat(40), 480, kin);
        assert_eq!(replica.kin, primary.kin);
        assert_eq!(replica.before, Some(("a".repeat(40), 480)));
        replica.fork("c".repeat(40), 900);
        assert_eq!(replica.kin.to_word(), format!("{}:500,{}:900", "a".repeat(40), "b".repeat(40)));
    }

    #[test]
    fn only_the_last_are_remembered() {
        let mut history = History::new("0".repeat(40));
        (1..=100).for_each(|number| history.fork(format!("{number:040}"), number));
        assert_eq!(history.kin.0.len(), KIN_MAX);
        assert_eq!(history.kin.shared_with(&format!("{:040}", 99)), Some(100));
        assert_eq!(history.kin.shared_with(&"0".repeat(40)), None);
    }
}
