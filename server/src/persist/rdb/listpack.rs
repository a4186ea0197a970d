//! Listpacks: the packed form of small collections since Redis 7, and of the pieces of lists.
//!
//! ```text
//! listpack = bytes:u32 elements:u16 element* 0xff         an element is followed by its length, to be read backwards
//! ```
//! Source: antirez's listpack.md. What an element is made of stands in [`element`], with which streams share it.

use super::read::{LoadError, Loaded};
use crate::types::item::Element;
use crate::types::stream::Text;
use crate::types::stream::element;

const HEAD: usize = 6;
const END: u8 = 0xff;

/// What the head says when it cannot count the elements.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A listpack that is being written.
pub(super) struct Writer {
    out: Vec<u8>,
    elements: usize,
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { out: vec![0; HEAD], elements: 0 }
    }

    /// Adds an element at the end.
    pub(super) fn push(&mut self, element: Element<'_>) {
        let length = match element {
            Element::Int(value) => element::encode_integer(&mut self.out, value),
            Element::Text(text) => element::encode(&mut self.out, text),
        };
        element::push_back_length(&mut self.out, length);
        self.elements += 1;
    }

    /// The whole.
    pub(super) fn finish(self) -> Vec<u8> {
        let Writer { mut out, elements } = self;
        out.push(END);
        let bytes = out.len() as u32;
        out[..4].copy_from_slice(&bytes.to_le_bytes());
        let elements = u16::try_from(elements).unwrap_or(COUNT_UNKNOWN);
        out[4..HEAD].copy_from_slice(&elements.to_le_bytes());
        out
    }
}

/// The listpack of these elements.
pub(super) fn collect<'a>(elements: impl IntoIterator<Item = Element<'a>>) -> Vec<u8> {
    let mut writer = Writer::new();
    elements.into_iter().for_each(|element| writer.push(element));
    writer.finish()
}

/// A listpack that was found to be sound from end to end.
pub(super) struct Listpack<'a> {
    elements: &'a [u8],
    len: usize,
}

impl<'a> Listpack<'a> {
    /// Checks head, end, count and every element, and the lengths behind them.
    pub(super) fn open(bytes: &'a [u8]) -> Loaded<Listpack<'a>> {
        Listpack::parse(bytes).ok_or(LoadError::Corrupt)
    }

    fn parse(bytes: &'a [u8]) -> Option<Listpack<'a>> {
        let (total, rest) = bytes.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (&end, elements) = rest.split_last()?;
        if u32::from_le_bytes(*total) as usize != bytes.len() || end != END {
            return None;
        }
        let (mut len, mut rest) = (0, elements);
        while !rest.is_empty() {
            (_, rest) = step(rest)?;
            len += 1;
        }
        let count = u16::from_le_bytes(*count);
        (count == COUNT_UNKNOWN || usize::from(count) == len).then_some(Listpack { elements, len })
    }

    /// How many elements there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let mut rest = self.elements;
        std::iter::from_fn(move || {
            let (text, behind) = step(rest)?;
            rest = behind;
            Some(match text {
                Text::Integer(value) => Element::Int(value),
                // Other writers than Redis might leave an integer as text, which the structures here must not.
                Text::Bytes(text) => Element::of(text),
            })
        })
    }
}

/// The first element and what is behind it and its length.
fn step(bytes: &[u8]) -> Option<(Text<'_>, &[u8])> {
    let (text, rest) = element::split(bytes)?;
    let length = bytes.len() - rest.len();
    let (back, rest) = rest.split_at_checked(element::back_length(length))?;
    is_back_length(back, length).then_some((text, rest))
}

/// Whether these bytes, met from behind, say `length`: only the first of them has no mark.
fn is_back_length(bytes: &[u8], length: usize) -> bool {
    let value = bytes.iter().fold(0, |value, &byte| value << 7 | usize::from(byte & 0x7f));
    value == length && bytes.iter().enumerate().all(|(at, &byte)| (byte & 0x80 != 0) == (at > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let listpack = Listpack::open(bytes).ok()?;
        let texts: Vec<Vec<u8>> = listpack.iter().map(Element::to_vec).collect();
        assert_eq!(texts.len(), listpack.len());
        Some(texts)
    }

    #[test]
    fn elements_of_all_sizes_come_back() {
        let mut all: Vec<Vec<u8>> =
            [0, 1, 63, 64, 127, 128, 4095, 4096, 20_000, 2_100_000].map(|n| vec![b'x'; n]).into();
        let ints = [0, 127, 128, -1, 4095, -4096, 4096, 32_767, -32_769, 8_388_607, 8_388_608, 1 << 40, i64::MIN];
        all.extend(ints.map(|value| value.to_string().into_bytes()));
        let bytes = collect(all.iter().map(|text| Element::of(text)));
        assert_eq!(texts(&bytes), Some(all));
        assert_eq!(texts(&collect([])), Some(vec![]));
        let many = collect((0..70_000).map(Element::Int));
        assert_eq!((&many[4..6], texts(&many).map(|texts| texts.len())), (&[0xff, 0xff][..], Some(70_000)));
    }

    #[test]
    fn a_damaged_listpack_is_refused() {
        let good = collect([&b"hello"[..], b"1000", &[b'x'; 200]].map(Element::of));
        assert!(texts(&good).is_some());
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= 0x80;
            let is_content = (7..12).contains(&at) || at == 14 || (18..218).contains(&at);
            assert_eq!(texts(&damaged).is_some(), is_content, "byte {at}");
            assert_eq!(texts(&good[..at]), None);
        }
        assert_eq!(texts(b"\x08\x00\x00\x00\x01\x00\xf5\xff"), None, "no element begins so");
    }

    #[test]
    fn integers_left_as_text_become_integers() {
        let listpack = b"\x0b\x00\x00\x00\x01\x00\x8212\x03\xff";
        let elements: Vec<_> = Listpack::open(listpack).unwrap().iter().collect();
        assert_eq!(elements, [Element::Int(12)]);
    }
}
