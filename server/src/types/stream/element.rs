//! The fields and values inside a node: bytes, and what is the canonical text of an integer as that integer.
//!
//! They are encoded as in a listpack (antirez, listpack.md), less the length that a listpack keeps behind each element
//! to be read backwards. So nodes turn into listpacks, which files and other servers want, without decoding, and the
//! size of that listpack, by which Redis decides that a node is full, is known at all times.

use crate::base::number::{Digits, parse_i64, push_integer};

const STRING_6: u8 = 0x80;
const INTEGER_13: u8 = 0xc0;
const STRING_12: u8 = 0xe0;
const STRING_32: u8 = 0xf0;
const INTEGER_16: u8 = 0xf1;
const INTEGER_24: u8 = 0xf2;
const INTEGER_32: u8 = 0xf3;
const INTEGER_64: u8 = 0xf4;

/// The most bytes that an element takes beside its text. An integer never takes more than its text and one.
const HEAD_MAX: usize = 5;

/// A field name or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    Bytes(&'a [u8]),
    /// Stands for its decimal text.
    Integer(i64),
}

impl<'a> Text<'a> {
    /// The text itself; `digits` holds it if it is an integer.
    pub fn as_bytes<'b>(&self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Self::Bytes(bytes) => bytes,
            Self::Integer(value) => digits.format(value).as_bytes(),
        }
    }

    /// Appends the text.
    pub fn push_to(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Integer(value) => push_integer(out, value),
        }
    }

    /// Whether this is `text`, without writing integers out.
    pub fn is(&self, text: &[u8]) -> bool {
        match *self {
            Self::Bytes(bytes) => bytes == text,
            Self::Integer(value) => parse_i64(text) == Some(value),
        }
    }
}

/// What can be put into a node as an element.
pub(super) trait Word: Copy {
    /// At least the bytes that the element will take.
    fn length_max(self) -> usize;

    /// Appends the element and returns the bytes it took.
    fn encode(self, out: &mut Vec<u8>) -> usize;

    /// Whether this is the element `text`.
    fn is(self, text: Text<'_>) -> bool;
}

impl Word for &[u8] {
    fn length_max(self) -> usize {
        self.len() + HEAD_MAX
    }

    fn encode(self, out: &mut Vec<u8>) -> usize {
        encode(out, self)
    }

    fn is(self, text: Text<'_>) -> bool {
        text.is(self)
    }
}

/// One element as it is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    /// As [`split`].
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (_, rest) = split(bytes)?;
        Some((Self(&bytes[..bytes.len() - rest.len()]), rest))
    }

    pub(super) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The integer that it is, unless it is a string.
    pub(super) fn integer(self) -> Option<i64> {
        match split(self.0)?.0 {
            Text::Integer(value) => Some(value),
            Text::Bytes(_) => None,
        }
    }
}

impl Word for Encoded<'_> {
    fn length_max(self) -> usize {
        self.0.len()
    }

    fn encode(self, out: &mut Vec<u8>) -> usize {
        out.extend_from_slice(self.0);
        self.0.len()
    }

    fn is(self, text: Text<'_>) -> bool {
        split(self.0).is_some_and(|(own, _)| own == text)
    }
}

/// Appends `text` as an element and returns the bytes it took.
pub fn encode(out: &mut Vec<u8>, text: &[u8]) -> usize {
    const INTEGER_TEXT_MAX: usize = 20;
    if text.len() <= INTEGER_TEXT_MAX
        && let Some(value) = parse_i64(text)
    {
        return encode_integer(out, value);
    }
    let start = out.len();
    match text.len() {
        length @ 0..64 => out.push(STRING_6 | length as u8),
        length @ 64..4096 => out.extend_from_slice(&[STRING_12 | (length >> 8) as u8, length as u8]),
        length => {
            out.push(STRING_32);
            out.extend_from_slice(&(length as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
    out.len() - start
}

/// Appends an integer and returns the bytes it took.
pub fn encode_integer(out: &mut Vec<u8>, value: i64) -> usize {
    let bytes = value.to_le_bytes();
    let length = integer_length(value);
    match length {
        1 => out.push(bytes[0]),
        2 => out.extend_from_slice(&[INTEGER_13 | (bytes[1] & 0x1f), bytes[0]]),
        3 => out.push(INTEGER_16),
        4 => out.push(INTEGER_24),
        5 => out.push(INTEGER_32),
        _ => out.push(INTEGER_64),
    }
    if length > 2 {
        out.extend_from_slice(&bytes[..length - 1]);
    }
    length
}

/// The bytes that an integer takes.
pub(super) fn integer_length(value: i64) -> usize {
    match value {
        0..=0x7f => 1,
        -0x1000..=0xfff => 2,
        -0x8000..=0x7fff => 3,
        -0x80_0000..=0x7f_ffff => 4,
        -0x8000_0000..=0x7fff_ffff => 5,
        _ => 9,
    }
}

/// The bytes behind an element of `length` bytes in a listpack: that length, in groups of seven bits.
pub fn back_length(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Appends the length that stands behind an element of `length` bytes in a listpack: groups of seven bits, the highest
/// first; all but the first are marked, since they are met from behind.
pub fn push_back_length(out: &mut Vec<u8>, length: usize) {
    for group in (0..back_length(length)).rev() {
        let bits = (length >> (7 * group)) as u8 & 0x7f;
        let is_first = group + 1 == back_length(length);
        out.push(if is_first { bits } else { bits | 0x80 });
    }
}

/// The bytes that an element takes in a listpack if it takes `length` here.
pub(super) fn in_listpack(length: usize) -> usize {
    length + back_length(length)
}

/// The bytes that an integer takes in a listpack.
pub(super) fn integer_in_listpack(value: i64) -> usize {
    in_listpack(integer_length(value))
}

/// Takes the element at the head of `bytes`; `None` if they are cut short or begin with what no element begins with.
pub fn split(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    match head {
        0..STRING_6 => Some((Text::Integer(i64::from(head)), rest)),
        STRING_6..INTEGER_13 => split_bytes(rest, usize::from(head & 0x3f)),
        INTEGER_13..STRING_12 => {
            let (&low, rest) = rest.split_first()?;
            let value = (i16::from_be_bytes([head & 0x1f, low]) << 3) >> 3;
            Some((Text::Integer(i64::from(value)), rest))
        }
        STRING_12..STRING_32 => {
            let (&low, rest) = rest.split_first()?;
            split_bytes(rest, usize::from(head & 0x0f) << 8 | usize::from(low))
        }
        STRING_32 => {
            let (length, rest) = rest.split_first_chunk()?;
            split_bytes(rest, u32::from_le_bytes(*length) as usize)
        }
        INTEGER_16 => split_integer::<2>(rest),
        INTEGER_24 => split_integer::<3>(rest),
        INTEGER_32 => split_integer::<4>(rest),
        INTEGER_64 => split_integer::<8>(rest),
        _ => None,
    }
}

fn split_bytes(bytes: &[u8], length: usize) -> Option<(Text<'_>, &[u8])> {
    bytes.split_at_checked(length).map(|(text, rest)| (Text::Bytes(text), rest))
}

fn split_integer<const WIDTH: usize>(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (low, rest) = bytes.split_first_chunk::<WIDTH>()?;
    let is_negative = low[WIDTH - 1] & 0x80 != 0;
    let mut wide = if is_negative { [0xff; 8] } else { [0; 8] };
    wide[..WIDTH].copy_from_slice(low);
    Some((Text::Integer(i64::from_le_bytes(wide)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(encode(&mut out, text), out.len());
        out
    }

    #[test]
    fn texts_read_back_and_integers_are_short() {
        let long = vec![b'x'; 5000];
        let cases: &[(&[u8], usize)] = &[
            (b"", 1),
            (b"0", 1),
            (b"127", 1),
            (b"128", 2),
            (b"-1", 2),
            (b"-4096", 2),
            (b"4095", 2),
            (b"4096", 3),
            (b"-4097", 3),
            (b"32768", 4),
            (b"-8388608", 4),
            (b"8388608", 5),
            (b"-2147483648", 5),
            (b"2147483648", 9),
            (b"-9223372036854775808", 9),
            (b"9223372036854775808", 20),
            (b"007", 4),
            (b"-0", 3),
            (&long[..63], 64),
            (&long[..64], 66),
            (&long[..4095], 4097),
            (&long[..4096], 4101),
        ];
        for &(text, length) in cases {
            let bytes = encoded(text);
            assert_eq!(bytes.len(), length, "{}", text.escape_ascii());
            let (read, rest) = split(&bytes).expect("it was just written");
            assert!(rest.is_empty());
            assert_eq!(read.as_bytes(&mut Digits::new()), text);
            assert!(read.is(text) && !read.is(b"other"));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_element() {
        for text in [&b"hello"[..], b"300", b"70000", b"9999999999"] {
            let bytes = encoded(text);
            for length in 0..bytes.len() {
                assert_eq!(split(&bytes[..length]), None);
            }
        }
        assert_eq!(split(&[0xff]), None);
        assert_eq!(split(&[0xf5, 0]), None);
    }

    proptest::proptest! {
        #[test]
        fn every_integer_reads_back(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            encode_integer(&mut out, value);
            proptest::prop_assert_eq!(split(&out), Some((Text::Integer(value), &[][..])));
        }
    }
}
