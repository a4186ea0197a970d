//! A member as a sorted set shows it: bytes that lie in the set, or the text of a number that it keeps in fewer bytes.

use crate::base::number::Digits;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// The longest text of an `i64`: a sign and 19 digits.
const DIGITS_MAX: usize = 20;

/// The bytes of a member; it is compared, hashed and read as those bytes.
#[derive(Clone, Copy)]
pub struct Member<'a>(Form<'a>);

#[derive(Clone, Copy)]
enum Form<'a> {
    Text(&'a [u8]),
    Number { digits: [u8; DIGITS_MAX], length: u8 },
}

impl<'a> From<&'a [u8]> for Member<'a> {
    fn from(text: &'a [u8]) -> Member<'a> {
        Member(Form::Text(text))
    }
}

impl From<i64> for Member<'_> {
    fn from(number: i64) -> Self {
        let mut buffer = Digits::new();
        let text = buffer.format(number).as_bytes();
        let mut digits = [0; DIGITS_MAX];
        digits[..text.len()].copy_from_slice(text);
        Member(Form::Number { digits, length: text.len() as u8 })
    }
}

impl Deref for Member<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Form::Text(text) => text,
            Form::Number { digits, length } => &digits[..usize::from(*length)],
        }
    }
}

impl Borrow<[u8]> for Member<'_> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Member<'_> {}

impl PartialOrd for Member<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Member<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Member<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_text() {
        for number in [0, -1, 12345, i64::MIN, i64::MAX] {
            let text = number.to_string();
            assert_eq!(Member::from(number), Member::from(text.as_bytes()));
        }
        assert!(Member::from(10) < Member::from(9));
    }
}
