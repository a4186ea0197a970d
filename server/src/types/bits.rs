//! Strings as rows of bits: bit 0 is the highest one of the first byte, and what is beyond the end reads as 0.
//!
//! BITFIELD's integers are in `bits/field`.

mod field;

pub use field::{Kind, Overflow, get, increment, set};

use crate::base::number;
use std::ops::Range;

/// What the ends of a range count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Byte,
    Bit,
}

/// A part of a string as BITCOUNT and BITPOS are told it: both ends belong to it, and negative ones count from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: i64,
    pub end: i64,
    pub unit: Unit,
}

impl Span {
    /// The whole string.
    pub const ALL: Span = Span { start: 0, end: -1, unit: Unit::Byte };

    /// Whether it is given backwards from the end. Where both ends lie before the first byte they are pushed onto it, so
    /// only BITCOUNT, which asks this first, finds nothing there.
    pub fn is_backwards(&self) -> bool {
        self.start < 0 && self.end < 0 && self.start > self.end
    }

    /// The bits of a string of `bytes` bytes that belong to the span; empty if it ends before it starts.
    fn bits(&self, bytes: usize) -> Range<u64> {
        let (length, width) = match self.unit {
            Unit::Byte => (bytes as i64, 8),
            Unit::Bit => (bytes as i64 * 8, 1),
        };
        let from_start = |end: i64| if end < 0 { (end + length).max(0) } else { end };
        let (start, end) = (from_start(self.start), from_start(self.end).min(length - 1));
        if start > end { 0..0 } else { start as u64 * width..(end as u64 + 1) * width }
    }
}

/// How many bits of a span are 1 in a string of `length` bytes, whose bytes come in `parts`.
pub fn count<'a>(parts: impl IntoIterator<Item = &'a [u8]>, length: usize, span: &Span) -> u64 {
    if span.is_backwards() {
        return 0;
    }
    touched(parts, span.bits(length)).map(|(_, bytes, bits)| count_in(bytes, &bits)).sum()
}

/// The first bit of a span that is as asked, counted from the start of the string; `None` if there is none.
///
/// The string has `length` bytes and comes in `parts`. BITPOS without an end takes it as if zeros followed: with
/// `is_open`, a 0 that is nowhere else is found behind the last byte. Not so in a span that is empty.
pub fn position<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    length: usize,
    bit: bool,
    span: &Span,
    is_open: bool,
) -> Option<u64> {
    let wanted = span.bits(length);
    let beyond = (!bit && is_open && !wanted.is_empty()).then_some(length as u64 * 8);
    let found = touched(parts, wanted).find_map(|(start, bytes, bits)| Some(start + position_in(bytes, bit, &bits)?));
    found.or(beyond)
}

/// The parts that have some of the wanted bits: the number of bits before each, and which of its own are wanted.
fn touched<'a>(
    parts: impl IntoIterator<Item = &'a [u8]>,
    wanted: Range<u64>,
) -> impl Iterator<Item = (u64, &'a [u8], Range<u64>)> {
    let mut end = 0;
    parts
        .into_iter()
        .map(move |bytes| {
            let start = end;
            end += bytes.len() as u64 * 8;
            (start, end, bytes)
        })
        .skip_while(move |&(_, end, _)| end <= wanted.start)
        .take_while(move |&(start, ..)| start < wanted.end)
        .map(move |(start, end, bytes)| (start, bytes, wanted.start.saturating_sub(start)..wanted.end.min(end) - start))
}

/// How many of the bits are 1; there is at least one.
fn count_in(bytes: &[u8], bits: &Range<u64>) -> u64 {
    let (first, last) = (bits.start as usize / 8, (bits.end - 1) as usize / 8);
    let before = bytes[first] & !after_start(bits.start);
    let after = bytes[last] & !before_end(bits.end);
    count_ones(&bytes[first..=last]) - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

/// The first of the bits that is as asked; there is at least one.
fn position_in(bytes: &[u8], bit: bool, bits: &Range<u64>) -> Option<u64> {
    let (first, last) = (bits.start as usize / 8, (bits.end - 1) as usize / 8);
    let byte = first_byte(bytes, first..last + 1, bit, bits)?;
    let sought = candidates(bytes, byte, bit, bits);
    Some(byte as u64 * 8 + u64::from(sought.leading_zeros()))
}

/// The first of these bytes that has a bit in the range which is as asked.
fn first_byte(bytes: &[u8], range: Range<usize>, bit: bool, bits: &Range<u64>) -> Option<usize> {
    let has = |&byte: &usize| candidates(bytes, byte, bit, bits) != 0;
    let last = range.end - 1;
    if has(&range.start) {
        return Some(range.start);
    }
    // The bytes between the ends count whole, so words without the bit are passed at once.
    let passed = if bit { 0 } else { u8::MAX };
    let middle = bytes.get(range.start + 1..last).unwrap_or_default();
    let words = middle.as_chunks::<32>().0;
    let skipped = words.iter().position(|word| word.iter().fold(false, |other, &byte| other | (byte != passed)));
    let start = range.start + 1 + 32 * skipped.unwrap_or(words.len());
    (start..=last).find(has)
}

/// The bits of a byte that are in the range and as asked, as ones.
fn candidates(bytes: &[u8], byte: usize, bit: bool, bits: &Range<u64>) -> u8 {
    let mut sought = if bit { bytes[byte] } else { !bytes[byte] };
    if bits.start as usize / 8 == byte {
        sought &= after_start(bits.start);
    }
    if (bits.end - 1) as usize / 8 == byte {
        sought &= before_end(bits.end);
    }
    sought
}

/// The bits of the byte that `start` lies in, from `start` on.
fn after_start(start: u64) -> u8 {
    u8::MAX >> (start % 8)
}

/// The bits of the byte that `end - 1` lies in, up to it.
fn before_end(end: u64) -> u8 {
    u8::MAX << ((8 - end % 8) % 8)
}

fn count_ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// How BITOP makes one string of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    And,
    Or,
    Xor,
}

/// The bits of several strings together, as long as the longest: zeros follow the shorter ones. The strings are taken in
/// one after the other, and each may come in parts.
pub struct Combined {
    operation: Operation,
    result: Vec<u8>,
    /// Whether no string has been taken in.
    is_new: bool,
}

impl Combined {
    /// Nothing yet; the longest of the strings to come has `length` bytes.
    pub fn new(operation: Operation, length: usize) -> Combined {
        Combined { operation, result: vec![0; length], is_new: true }
    }

    /// Takes in a string.
    pub fn add<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        let is_first = std::mem::replace(&mut self.is_new, false);
        let operation = if is_first { Operation::Or } else { self.operation };
        let mut at = 0;
        for part in parts {
            fold(operation, &mut self.result[at..at + part.len()], part);
            at += part.len();
        }
        if operation == Operation::And {
            self.result[at..].fill(0);
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.result
    }
}

fn fold(operation: Operation, result: &mut [u8], other: &[u8]) {
    let pairs = result.iter_mut().zip(other);
    match operation {
        Operation::And => pairs.for_each(|(byte, other)| *byte &= other),
        Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
        Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
    }
}

/// Turns all bits of a string the other way.
pub fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// One bit.
pub fn get_bit(bytes: &[u8], offset: u64) -> bool {
    usize::try_from(offset / 8).ok().and_then(|at| bytes.get(at)).is_some_and(|byte| byte & mask(offset) != 0)
}

/// Sets one bit and gives what it was.
///
/// # Panics
///
/// If the string is too short: see [`bytes_for`].
pub fn set_bit(bytes: &mut [u8], offset: u64, bit: bool) -> bool {
    let byte = &mut bytes[offset as usize / 8];
    let old = *byte & mask(offset) != 0;
    if bit {
        *byte |= mask(offset);
    } else {
        *byte &= !mask(offset);
    }
    old
}

fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// How long a string must be, in bytes, to hold so many bits from `offset` on.
pub fn bytes_for(offset: u64, width: u32) -> usize {
    (offset + u64::from(width)).div_ceil(8) as usize
}

/// Reads the offset of a bit: a number, whose byte is below `bytes_max` (the setting `proto-max-bulk-len`).
///
/// With a `width`, `#3` is three times that width: BITFIELD's way to number integers of one kind.
pub fn parse_offset(text: &[u8], width: Option<u32>, bytes_max: u64) -> Option<u64> {
    let offset = match (text.strip_prefix(b"#"), width) {
        (Some(number), Some(width)) => number::parse_i64(number)?.checked_mul(i64::from(width))?,
        _ => number::parse_i64(text)?,
    };
    u64::try_from(offset).ok().filter(|offset| offset / 8 < bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn span(start: i64, end: i64, unit: Unit) -> Span {
        Span { start, end, unit }
    }

    #[test]
    fn ones_are_counted_in_parts() {
        // As redis-server counts them in a string of ff f0 00.
        let cases = [
            (span(5, 30, Unit::Bit), 7),
            (span(7, 7, Unit::Bit), 1),
            (span(-1, -5, Unit::Byte), 0),
            (span(-100, -50, Unit::Byte), 8),
            (span(0, 100, Unit::Byte), 12),
            (span(3, 100, Unit::Byte), 0),
            (span(i64::MIN, i64::MAX, Unit::Bit), 12),
            (Span::ALL, 12),
        ];
        for (span, ones) in cases {
            assert_eq!(count([&b"\xff\xf0\x00"[..]], 3, &span), ones, "{span:?}");
        }
        assert_eq!(count([&b""[..]], 0, &Span::ALL), 0);
    }

    #[test]
    fn the_first_bit_is_found_in_parts() {
        // As redis-server finds them in a string of ff f0 00.
        let cases = [
            (false, Span::ALL, true, Some(12)),
            (true, span(2, -1, Unit::Byte), true, None),
            (false, span(0, 0, Unit::Byte), false, None),
            (false, span(0, -1, Unit::Byte), false, Some(12)),
            (true, span(-3, -2, Unit::Bit), false, None),
            (false, span(7, 15, Unit::Bit), false, Some(12)),
            (false, span(3, 1, Unit::Byte), false, None),
            (false, span(100, -1, Unit::Byte), true, None),
            (true, span(-5, -8, Unit::Byte), false, Some(0)),
            (true, span(-1, -2, Unit::Byte), false, None),
        ];
        for (bit, span, is_open, found) in cases {
            assert_eq!(position([&b"\xff\xf0\x00"[..]], 3, bit, &span, is_open), found, "{bit} {span:?}");
        }
    }

    #[test]
    fn a_zero_behind_the_string_is_found_if_the_end_is_open() {
        let zero_in = |bytes: &[u8], span, is_open| position([bytes], bytes.len(), false, &span, is_open);
        assert_eq!(zero_in(b"\xff\xff", Span::ALL, true), Some(16));
        assert_eq!(zero_in(b"\xff\xff", Span::ALL, false), None);
        assert_eq!(zero_in(b"\xff\xff", span(2, -1, Unit::Byte), true), None);
        assert_eq!(zero_in(b"", Span::ALL, true), None);
    }

    #[test]
    fn strings_of_any_length_are_combined() {
        let strings: [&[u8]; 3] = [b"\xf0\xff", b"\x3c", b"\xff\x0f\x01"];
        let combine = |operation| {
            let mut combined = Combined::new(operation, 3);
            strings.iter().for_each(|string| combined.add(string.chunks(2)));
            combined.into_bytes()
        };
        assert_eq!(combine(Operation::And), b"\x30\x00\x00");
        assert_eq!(combine(Operation::Or), b"\xff\xff\x01");
        assert_eq!(combine(Operation::Xor), b"\x33\xf0\x01");
        assert_eq!(Combined::new(Operation::And, 0).into_bytes(), b"");
        let mut bytes = *b"\xf0\x00";
        invert(&mut bytes);
        assert_eq!(bytes, *b"\x0f\xff");
    }

    #[test]
    fn offsets_are_numbers_below_the_limit() {
        const MAX: u64 = 512 << 20;
        assert_eq!(parse_offset(b"4294967295", None, MAX), Some(4_294_967_295));
        assert_eq!(parse_offset(b"4294967296", None, MAX), None);
        assert_eq!(parse_offset(b"#3", Some(5), MAX), Some(15));
        for text in [&b"#3"[..], b"-1", b"", b"#", b"01", b"1.5"] {
            assert_eq!(parse_offset(text, None, MAX), None, "{}", text.escape_ascii());
        }
        assert_eq!(parse_offset(b"#9223372036854775807", Some(64), MAX), None);
        assert_eq!(parse_offset(b"#-1", Some(8), MAX), None);
    }

    #[test]
    fn bits_beyond_the_end_are_zero() {
        let mut bytes = vec![0; bytes_for(9, 1)];
        assert!(!set_bit(&mut bytes, 9, true));
        assert!(set_bit(&mut bytes, 9, true) && get_bit(&bytes, 9));
        assert!(set_bit(&mut bytes, 9, false) && !get_bit(&bytes, 9) && !get_bit(&bytes, u64::MAX));
    }

    proptest! {
        #[test]
        fn parts_are_like_their_bits_one_by_one(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                (0..200usize, any::<bool>(), 0..200usize, any::<u8>()).prop_map(|(length, ones, at, byte)| {
                    let mut bytes = vec![if ones { 255 } else { 0 }; length];
                    if let Some(place) = bytes.get_mut(at) {
                        *place = byte;
                    }
                    bytes
                }),
            ],
            start in -400..400i64,
            end in -400..1700i64,
            is_bits: bool,
            is_open: bool,
            part_length in 1..50usize,
        ) {
            let span = span(start, end, if is_bits { Unit::Bit } else { Unit::Byte });
            let part = span.bits(bytes.len());
            prop_assert!(part.end <= bytes.len() as u64 * 8);
            let ones = part.clone().filter(|&bit| get_bit(&bytes, bit) && !span.is_backwards()).count() as u64;
            prop_assert_eq!(count(bytes.chunks(part_length), bytes.len(), &span), ones);
            for bit in [true, false] {
                let beyond = (!bit && is_open && !part.is_empty()).then_some(bytes.len() as u64 * 8);
                let first = part.clone().find(|&at| get_bit(&bytes, at) == bit).or(beyond);
                let parts = bytes.chunks(part_length);
                prop_assert_eq!(position(parts, bytes.len(), bit, &span, is_open), first);
            }
        }
    }
}
