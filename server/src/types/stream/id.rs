//! Entry ids: a time in milliseconds and a number within it, the order of a stream.

use std::fmt;

use crate::base::number::{Digits, parse_i64};

/// The longest text of an id that is read; longer ones are refused unseen, as Redis does.
const TEXT_READ_MAX: usize = 127;

/// The name of an entry, and its place: ids grow along the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Milliseconds since 1970, or whatever the client counts instead.
    pub ms: u64,
    pub seq: u64,
}

/// The text is no id, or not one of the forms allowed in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid stream ID specified as stream command argument")
    }
}

impl std::error::Error for InvalidId {}

impl Id {
    /// The id `-`, which no entry has.
    pub const MIN: Id = Id { ms: 0, seq: 0 };

    /// The id `+`, after which nothing can be added.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// The smallest id above this one; `None` above [`Id::MAX`].
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The largest id below this one; `None` below [`Id::MIN`].
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Reads `ms-seq`, or `ms` alone, which stands for `ms-missing_seq`.
    ///
    /// # Errors
    ///
    /// [`InvalidId`], also for `-` and `+`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Result<Self, InvalidId> {
        match Parts::split(text)? {
            Parts { ms, seq: None } => Ok(Self { ms, seq: missing_seq }),
            Parts { ms, seq: Some(seq) } => Ok(Self { ms, seq: parse_u64(seq).ok_or(InvalidId)? }),
        }
    }

    /// As [`Id::parse`], and `-` and `+` are the smallest and the largest id.
    ///
    /// # Errors
    ///
    /// [`InvalidId`]
    pub fn parse_or_edge(text: &[u8], missing_seq: u64) -> Result<Self, InvalidId> {
        match c_text(text) {
            b"-" => Ok(Self::MIN),
            b"+" => Ok(Self::MAX),
            _ => Self::parse(text, missing_seq),
        }
    }

    /// Appends `ms-seq`.
    pub fn push_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }

    /// The text `ms-seq`, on the stack.
    pub fn text(self) -> IdText {
        let mut text = IdText { bytes: [0; IdText::LENGTH_MAX], length: 0 };
        let mut digits = Digits::new();
        text.push(digits.format(self.ms).as_bytes());
        text.push(b"-");
        text.push(digits.format(self.seq).as_bytes());
        text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text of one id.
pub struct IdText {
    bytes: [u8; Self::LENGTH_MAX],
    length: usize,
}

impl IdText {
    /// Two times twenty digits, and what stands between them.
    pub const LENGTH_MAX: usize = 41;

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
        self.length += part.len();
    }
}

/// The id that a client wants for a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// `*`: the time of now, or the id after the last if that is not earlier.
    Auto,
    /// `ms-*`: the next free number within this millisecond.
    AutoSeq(u64),
    /// `ms-seq`, or `ms` for `ms-0`.
    Given(Id),
}

impl NewId {
    /// Reads XADD's id.
    ///
    /// # Errors
    ///
    /// [`InvalidId`]
    pub fn parse(text: &[u8]) -> Result<Self, InvalidId> {
        if text == b"*" {
            return Ok(Self::Auto);
        }
        match Parts::split(text)? {
            Parts { ms, seq: Some(b"*") } => Ok(Self::AutoSeq(ms)),
            _ => Id::parse(text, 0).map(Self::Given),
        }
    }
}

/// One end of a range as a client writes it: an id, `-` or `+`; behind `(` an id that is itself left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Included(Id),
    Excluded(Id),
}

impl Bound {
    /// Reads a bound. `missing_seq` completes an id without number: 0 at the start of a range, `u64::MAX` at its end.
    ///
    /// # Errors
    ///
    /// [`InvalidId`], also for `(-` and `(+`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Result<Self, InvalidId> {
        match text {
            [b'(', id @ ..] if !id.is_empty() => Id::parse(id, missing_seq).map(Self::Excluded),
            _ => Id::parse_or_edge(text, missing_seq).map(Self::Included),
        }
    }

    /// The first id inside, if this is the start of a range; `None` if it excludes the largest id.
    pub fn first(self) -> Option<Id> {
        match self {
            Self::Included(id) => Some(id),
            Self::Excluded(id) => id.next(),
        }
    }

    /// The last id inside, if this is the end of a range; `None` if it excludes the smallest id.
    pub fn last(self) -> Option<Id> {
        match self {
            Self::Included(id) => Some(id),
            Self::Excluded(id) => id.previous(),
        }
    }
}

/// An id cut at its first `-`.
struct Parts<'a> {
    ms: u64,
    seq: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a [u8]) -> Result<Self, InvalidId> {
        if text.len() > TEXT_READ_MAX {
            return Err(InvalidId);
        }
        let text = c_text(text);
        let (ms, seq) = match text.iter().position(|&byte| byte == b'-') {
            Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
            None => (text, None),
        };
        Ok(Self { ms: parse_u64(ms).ok_or(InvalidId)?, seq })
    }
}

/// What C sees of a text: all before the first NUL byte.
fn c_text(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Reads half of an id the way Redis does: an integer in canonical form that is not negative, and what that leaves to
/// C's `strtoull`: blanks in front, a sign, leading zeros. A negative number that is not canonical, `-07`, wraps around.
fn parse_u64(text: &[u8]) -> Option<u64> {
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let text = &text[text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let cases: &[(&str, Result<NewId, InvalidId>)] = &[
            ("*", Ok(NewId::Auto)),
            ("7-*", Ok(NewId::AutoSeq(7))),
            ("5", Ok(NewId::Given(Id::new(5, 0)))),
            ("5-3", Ok(NewId::Given(Id::new(5, 3)))),
            (" 5", Ok(NewId::Given(Id::new(5, 0)))),
            ("+5", Ok(NewId::Given(Id::new(5, 0)))),
            ("5-+3", Ok(NewId::Given(Id::new(5, 3)))),
            ("6- 3", Ok(NewId::Given(Id::new(6, 3)))),
            ("007", Ok(NewId::Given(Id::new(7, 0)))),
            ("5--07", Ok(NewId::Given(Id::new(5, 18_446_744_073_709_551_609)))),
            ("5-1\0x", Ok(NewId::Given(Id::new(5, 1)))),
            ("18446744073709551615-18446744073709551615", Ok(NewId::Given(Id::MAX))),
            ("18446744073709551616", Err(InvalidId)),
            ("5--7", Err(InvalidId)),
            ("5-", Err(InvalidId)),
            ("-5", Err(InvalidId)),
            ("-", Err(InvalidId)),
            ("+", Err(InvalidId)),
            ("", Err(InvalidId)),
            ("7-**", Err(InvalidId)),
            ("*-1", Err(InvalidId)),
            ("8-1-2", Err(InvalidId)),
            ("9\t", Err(InvalidId)),
            ("x", Err(InvalidId)),
        ];
        for &(text, expected) in cases {
            assert_eq!(NewId::parse(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(Id::parse(&[b'1'; 128], 0), Err(InvalidId));
    }

    #[test]
    fn bounds_include_exclude_and_name_the_edges() {
        assert_eq!(Bound::parse(b"-", 0), Ok(Bound::Included(Id::MIN)));
        assert_eq!(Bound::parse(b"+", 0), Ok(Bound::Included(Id::MAX)));
        assert_eq!(Bound::parse(b"5", u64::MAX), Ok(Bound::Included(Id::new(5, u64::MAX))));
        assert_eq!(Bound::parse(b"(5-1", 0).map(Bound::first), Ok(Some(Id::new(5, 2))));
        assert_eq!(Bound::parse(b"(5-0", 0).map(Bound::last), Ok(Some(Id::new(4, u64::MAX))));
        assert_eq!(Bound::parse(b"(0-0", 0).map(Bound::last), Ok(None));
        assert_eq!(Bound::Excluded(Id::MAX).first(), None);
        for text in ["(-", "(+", "(", "((5"] {
            assert_eq!(Bound::parse(text.as_bytes(), 0), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn neighbours_carry_over_and_stop_at_the_edges() {
        assert_eq!(Id::new(1, u64::MAX).next(), Some(Id::new(2, 0)));
        assert_eq!(Id::new(2, 0).previous(), Some(Id::new(1, u64::MAX)));
        assert_eq!(Id::MAX.next(), None);
        assert_eq!(Id::MIN.previous(), None);
    }

    #[test]
    fn the_text_of_an_id_reads_back() {
        for id in [Id::MIN, Id::MAX, Id::new(1_700_000_000_000, 12)] {
            assert_eq!(id.text().as_bytes(), id.to_string().as_bytes());
            assert_eq!(Id::parse(id.text().as_bytes(), 9), Ok(id));
        }
    }
}
