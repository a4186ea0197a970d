//! What names a cluster, a node of it, and a shard.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Bytes of an [`Id`].
pub const ID_BYTES: usize = 20;

/// A name that is drawn at random once and kept for ever: of a cluster, or of a node. Written as 40 hexadecimal digits, as
/// Redis writes the ids of nodes.
///
/// A node is its id, not its address, which may change.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id([u8; ID_BYTES]);

impl Id {
    pub const fn new(bytes: [u8; ID_BYTES]) -> Id {
        Id(bytes)
    }

    pub const fn bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

/// In the order of their bytes. Ids are random, so the first eight nearly always decide, and one comparison of integers is
/// several times faster than that of two slices: look-ups by id are what deciding about a large cluster consists of.
impl Ord for Id {
    fn cmp(&self, other: &Id) -> Ordering {
        let start = |id: &Id| id.0.first_chunk().map_or(0, |start| u64::from_be_bytes(*start));
        start(self).cmp(&start(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Id) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not one of 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Id, NotAnId> {
        let digits = text.as_bytes();
        if digits.len() != 2 * ID_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotAnId);
        }
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
        Ok(Id(std::array::from_fn(|at| digit(digits[2 * at]) << 4 | digit(digits[2 * at + 1]))))
    }
}

/// A shard, a primary and its replicas, by its number in the cluster. Numbers begin at 1 and are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_bytes() {
        let id = |at: usize, byte| Id::new(std::array::from_fn(|other| if other == at { byte } else { 7 }));
        let ids = (0..ID_BYTES).flat_map(|at| [0, 7, 8, 255].map(|byte| id(at, byte)));
        let ids: Vec<Id> = ids.collect();
        for (one, other) in ids.iter().flat_map(|one| ids.iter().map(move |other| (one, other))) {
            assert_eq!(one.cmp(other), one.bytes().cmp(other.bytes()), "{one} {other}");
        }
    }

    #[test]
    fn an_id_is_forty_digits() {
        let text = "00ff3a000000000000000000000000000000b1c9";
        let id: Id = text.parse().unwrap();
        assert_eq!(id.bytes()[1], 0xff);
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for wrong in ["", "00ff", &text[1..], &format!("{text}0"), &text.replace('a', "g"), &text.replace("ff", "é")] {
            assert_eq!(wrong.parse::<Id>(), Err(NotAnId), "{wrong}");
        }
    }
}
