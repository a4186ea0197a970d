//! Which history a stream belongs to, and who may go on from where in it (PSYNC2).
//!
//! A history is an id of 40 hexadecimal digits; an offset counts its bytes. A node that becomes a primary begins a new
//! one and remembers the id it has followed: up to the offset of that moment both are the same.

/// The ids of a node's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub id: String,
    /// The history before, which is the same up to an offset, exclusive.
    pub before: Option<(String, u64)>,
}

/// What `INFO` shows where there is no history before.
pub const NO_ID: &str = "0000000000000000000000000000000000000000";

impl History {
    pub fn new(id: String) -> History {
        History { id, before: None }
    }

    /// Begins a history of its own at an offset, up to which it is the same as the one so far.
    pub fn fork(&mut self, id: String, offset: u64) {
        let old = std::mem::replace(&mut self.id, id);
        self.before = Some((old, offset));
    }

    /// Whether who has followed the history `id` up to `offset` has seen nothing that is not in this one.
    pub fn includes(&self, id: &str, offset: u64) -> bool {
        self.id.eq_ignore_ascii_case(id) || self.shared_with(id).is_some_and(|until| offset <= until)
    }

    /// Up to where the history `id` is this one, if it is the one before.
    pub fn shared_with(&self, id: &str) -> Option<u64> {
        self.before.as_ref().filter(|(before, _)| before.eq_ignore_ascii_case(id)).map(|(_, until)| *until)
    }
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
        assert_eq!(history.shared_with(&"A".repeat(40)), Some(500));
        assert_eq!(history.shared_with(&"b".repeat(40)), None, "all of its own");
        history.fork("c".repeat(40), 600);
        assert!(!history.includes(&"a".repeat(40), 100));
    }
}
