//! Ziplists: the packed form of small collections up to Redis 6.2. They are read, and never written.
//!
//! ```text
//! ziplist  = bytes:u32 last:u32 elements:u16 element* 0xff         `last`: where the last element begins
//! element  = previous body                                         the bytes of the element before: one byte, or 0xfe
//!                                                                  and four
//! body     = 00xxxxxx text | 01xxxxxx xxxxxxxx text | 10...... length:4, big-endian text
//!          | c0 i16 | d0 i32 | e0 i64 | f0 i24 | fe i8 | f1 to fd: 0 to 12
//! ```
//! Source: the description in Redis's `ziplist.c`.

use super::read::{LoadError, Loaded};
use crate::types::item::Element;

const HEAD: usize = 10;
const END: u8 = 0xff;

/// What the head says when it cannot count the elements.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Stands in front of a length of four bytes.
const PREVIOUS_LONG: u8 = 0xfe;

/// A ziplist that was found to be sound from end to end.
pub(super) struct Ziplist<'a> {
    elements: &'a [u8],
    len: usize,
}

impl<'a> Ziplist<'a> {
    /// Checks head, end, count and every element, and the lengths in front of them.
    pub(super) fn open(bytes: &'a [u8]) -> Loaded<Ziplist<'a>> {
        Ziplist::parse(bytes).ok_or(LoadError::Corrupt)
    }

    fn parse(bytes: &'a [u8]) -> Option<Ziplist<'a>> {
        let (total, rest) = bytes.split_first_chunk()?;
        let (last, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (&end, elements) = rest.split_last()?;
        if u32::from_le_bytes(*total) as usize != bytes.len() || end != END {
            return None;
        }
        let (mut len, mut rest, mut before) = (0, elements, 0);
        while !rest.is_empty() {
            let (previous, _, behind) = step(rest)?;
            if previous != before {
                return None;
            }
            (len, before, rest) = (len + 1, rest.len() - behind.len(), behind);
        }
        let count = u16::from_le_bytes(*count);
        let is_counted = count == COUNT_UNKNOWN || usize::from(count) == len;
        let is_last = u32::from_le_bytes(*last) as usize == HEAD + elements.len() - before;
        (is_counted && is_last).then_some(Ziplist { elements, len })
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let mut rest = self.elements;
        std::iter::from_fn(move || {
            let (_, element, behind) = step(rest)?;
            rest = behind;
            Some(element)
        })
    }
}

/// The bytes that the element before is said to have, the first element, and what is behind it.
fn step(bytes: &[u8]) -> Option<(usize, Element<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (previous, rest) = match first {
        END => return None,
        PREVIOUS_LONG => rest.split_first_chunk().map(|(long, rest)| (u32::from_le_bytes(*long) as usize, rest))?,
        short => (usize::from(short), rest),
    };
    let (element, rest) = body(rest)?;
    Some((previous, element, rest))
}

fn body(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    match head {
        0x00..0x40 => text(rest, usize::from(head)),
        0x40..0x80 => {
            let (&low, rest) = rest.split_first()?;
            text(rest, usize::from(head & 0x3f) << 8 | usize::from(low))
        }
        0x80..0xc0 => {
            let (length, rest) = rest.split_first_chunk()?;
            text(rest, u32::from_be_bytes(*length) as usize)
        }
        0xc0 => rest.split_first_chunk().map(|(bytes, rest)| (Element::Int(i16::from_le_bytes(*bytes).into()), rest)),
        0xd0 => rest.split_first_chunk().map(|(bytes, rest)| (Element::Int(i32::from_le_bytes(*bytes).into()), rest)),
        0xe0 => rest.split_first_chunk().map(|(bytes, rest)| (Element::Int(i64::from_le_bytes(*bytes)), rest)),
        0xf0 => {
            let (&[low, middle, high], rest) = rest.split_first_chunk()?;
            Some((Element::Int((i32::from_le_bytes([0, low, middle, high]) >> 8).into()), rest))
        }
        0xfe => rest.split_first().map(|(&byte, rest)| (Element::Int((byte as i8).into()), rest)),
        0xf1..=0xfd => Some((Element::Int(i64::from(head & 0x0f) - 1), rest)),
        _ => None,
    }
}

fn text(bytes: &[u8], length: usize) -> Option<(Element<'_>, &[u8])> {
    bytes.split_at_checked(length).map(|(text, rest)| (Element::of(text), rest))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The ziplist of these bodies.
    pub(in super::super) fn ziplist(bodies: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut before, mut last) = (vec![0; HEAD], 0, HEAD);
        for body in bodies {
            last = out.len();
            match before {
                ..0xfe => out.push(before as u8),
                long => {
                    out.push(PREVIOUS_LONG);
                    out.extend_from_slice(&(long as u32).to_le_bytes());
                }
            }
            out.extend_from_slice(body);
            before = out.len() - last;
        }
        out.push(END);
        let total = out.len() as u32;
        out[..4].copy_from_slice(&total.to_le_bytes());
        out[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        out[8..HEAD].copy_from_slice(&(bodies.len() as u16).to_le_bytes());
        out
    }

    /// The body of a short text.
    pub(in super::super) fn short(text: &str) -> Vec<u8> {
        [&[text.len() as u8], text.as_bytes()].concat()
    }

    fn elements(bytes: &[u8]) -> Option<Vec<Element<'_>>> {
        let ziplist = Ziplist::open(bytes).ok()?;
        let elements: Vec<_> = ziplist.iter().collect();
        assert_eq!(elements.len(), ziplist.len());
        Some(elements)
    }

    #[test]
    fn all_forms_of_elements_are_read() {
        let medium = [&[0x41, 0x2c][..], &[b'm'; 300]].concat();
        let long = [&[0x80, 0, 0, 0x50, 0][..], &[b'l'; 0x5000]].concat();
        let bytes = ziplist(&[
            b"\x05hello",
            &medium,
            &long,
            b"\xc0\xff\xff",
            b"\xd0\x00\x00\x01\x00",
            b"\xe0\x00\x00\x00\x00\x00\x00\x00\x80",
            b"\xf0\x00\x00\x80",
            b"\xfe\x9c",
            b"\xf1",
            b"\xfd",
            b"\x00",
            b"\x0242",
        ]);
        let ints = [-1, 65_536, i64::MIN, -8_388_608, -100, 0, 12].map(Element::Int);
        let texts = [&b"hello"[..], &[b'm'; 300], &[b'l'; 0x5000]].map(Element::Text);
        let expected = [&texts[..], &ints, &[Element::Text(b""), Element::Int(42)]].concat();
        assert_eq!(elements(&bytes), Some(expected));
        assert_eq!(elements(&ziplist(&[])), Some(vec![]));
    }

    #[test]
    fn a_damaged_ziplist_is_refused() {
        let good = ziplist(&[b"\x05hello", b"\xc0\x01\x00", &[&[0x41, 0x2c][..], &[b'm'; 300]].concat(), b"\xf3"]);
        assert!(elements(&good).is_some());
        for at in 0..good.len() {
            assert_eq!(elements(&good[..at]), None);
            let mut damaged = good.clone();
            damaged[at] ^= 0x08;
            let is_content = (12..17).contains(&at) || (19..21).contains(&at) || (24..324).contains(&at);
            // The last byte of the last element: another small integer.
            assert_eq!(elements(&damaged).is_some(), is_content || at == good.len() - 2, "byte {at}");
        }
        assert_eq!(elements(&ziplist(&[b"\xff"])), None);
        assert_eq!(elements(&ziplist(&[b"\xc1\x00\x00"])), None);
    }
}
