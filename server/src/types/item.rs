//! One element of a collection as bytes: how it is written, measured, read and compared.
//!
//! The first byte says what follows. No item is the beginning of another, and each text has one form only, so two
//! items are equal exactly if their bytes are.
//!
//! | First byte | Follows | Item |
//! |---|---|---|
//! | `00..=7F` | | an integer from 0 to 127 |
//! | `80..=BF` | text | a text of 0 to 63 bytes |
//! | `C0..=DF` | 1 byte | an integer of 13 bits |
//! | `E0..=EF` | 1 byte, text | a text of 64 to 4095 bytes |
//! | `F0` | 4 bytes, text | a longer text |
//! | `F2..=F8` | 2 to 8 bytes | an integer of so many bytes |
//! | `FA` | 2 bytes | the number of a text that the owner keeps elsewhere |
//! | `FB` | 6 bytes, item | an item with a stamp, a number of 48 bits (a field's expiry) |

use crate::base::hash;
use crate::base::number::{Digits, parse_i64};

/// The longest text an item can hold, in bytes.
pub const TEXT_MAX: usize = u32::MAX as usize;

/// The largest stamp, as milliseconds a moment in the year 10889.
pub const STAMP_MAX: u64 = (1 << 48) - 1;

/// What a stamp adds to an item, in bytes.
pub const STAMP_BYTES: usize = 7;

const LONG: u8 = 0xF0;
const ASIDE: u8 = 0xFA;
const STAMPED: u8 = 0xFB;

/// An element as it is read: the canonical text of a 64-bit integer is kept as the integer.
///
/// [`Element::of`] keeps to this, so elements are equal exactly if their texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element<'a> {
    /// Stands for its decimal text.
    Int(i64),
    /// Any other text.
    Text(&'a [u8]),
}

impl<'a> Element<'a> {
    /// The element with this text.
    #[inline]
    pub fn of(text: &'a [u8]) -> Element<'a> {
        let may_be_int = matches!(text.first(), Some(b'-' | b'0'..=b'9')) && text.len() <= 20;
        match may_be_int.then(|| parse_i64(text)).flatten() {
            Some(value) => Element::Int(value),
            None => Element::Text(text),
        }
    }

    /// Its text; that of an integer is written into `digits`.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut Digits) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Element::Int(value) => digits.format(value).as_bytes(),
            Element::Text(text) => text,
        }
    }

    /// The length of its text in bytes.
    pub fn len(self) -> usize {
        match self {
            Element::Int(value) => {
                usize::from(value < 0) + value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1
            }
            Element::Text(text) => text.len(),
        }
    }

    /// Whether it is the empty text.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its text, copied.
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut Digits::new()).to_vec()
    }

    /// Its hash, which stands until the process ends.
    #[inline]
    pub fn hash(self) -> u64 {
        match self {
            Element::Int(value) => hash::of(&value.to_le_bytes()),
            Element::Text(text) => hash::of(text),
        }
    }
}

/// Which widths an integer may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widths {
    /// Whatever is shortest.
    All,
    /// 2, 3, 4 and 8 bytes, so that every item is as long as the one in Redis's listpack.
    Listpack,
}

/// An element ready to be written or looked for.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    head: [u8; 9],
    head_len: u8,
    text: &'a [u8],
}

impl<'a> Item<'a> {
    /// The item of an element.
    ///
    /// # Panics
    ///
    /// On a text of more than [`TEXT_MAX`] bytes, which requests cannot hold.
    #[inline]
    pub fn new(element: Element<'a>, widths: Widths) -> Item<'a> {
        match element {
            Element::Int(value) => Item::int(value, widths),
            Element::Text(text) => Item::text(text),
        }
    }

    /// The item of a text, integers written as short as can be.
    #[inline]
    pub fn of(text: &'a [u8]) -> Item<'a> {
        Item::new(Element::of(text), Widths::All)
    }

    fn int(value: i64, widths: Widths) -> Item<'a> {
        let mut head = [0; 9];
        let head_len = match value {
            0..=127 => {
                head[0] = value as u8;
                1
            }
            -4096..=4095 => {
                head[0] = 0xC0 | (value >> 8) as u8 & 0x1F;
                head[1] = value as u8;
                2
            }
            _ => {
                let width = width_of(value, widths);
                head[0] = 0xF0 | width;
                head[1..].copy_from_slice(&value.to_le_bytes());
                head[1 + width as usize..].fill(0);
                1 + width
            }
        };
        Item { head, head_len, text: &[] }
    }

    #[inline]
    fn text(text: &'a [u8]) -> Item<'a> {
        let mut head = [0; 9];
        let head_len = match text.len() {
            len @ 0..=63 => {
                head[0] = 0x80 | len as u8;
                1
            }
            len @ 64..=4095 => {
                head[0] = 0xE0 | (len >> 8) as u8;
                head[1] = len as u8;
                2
            }
            len => {
                assert!(len <= TEXT_MAX, "an element of {len} bytes; {TEXT_MAX} are allowed");
                head[0] = LONG;
                head[1..5].copy_from_slice(&(len as u32).to_le_bytes());
                5
            }
        };
        Item { head, head_len, text }
    }

    /// The reference to a text kept elsewhere.
    pub fn aside(number: u16) -> Item<'static> {
        let [low, high] = number.to_le_bytes();
        Item { head: [ASIDE, low, high, 0, 0, 0, 0, 0, 0], head_len: 3, text: &[] }
    }

    /// The element it was made of.
    #[inline]
    pub fn element(&self) -> Element<'_> {
        match self.head[0] {
            0x80..=0xBF | 0xE0..=LONG => Element::Text(self.text),
            _ => read(&self.head),
        }
    }

    /// How many bytes it takes.
    #[inline]
    pub fn size(&self) -> usize {
        self.head_len as usize + self.text.len()
    }

    /// Writes it to the beginning of `out`, which must have [`Item::size`] bytes.
    #[inline]
    pub fn write(&self, out: &mut [u8]) {
        let head = self.head_len as usize;
        out[..head].copy_from_slice(&self.head[..head]);
        out[head..head + self.text.len()].copy_from_slice(self.text);
    }

    /// Where `bytes` hold the bytes of this item first, be it inside of another.
    ///
    /// [`BLOCK`] places are looked at together: only where one of them has the same first byte and the same last two may
    /// the item begin. The compiler makes vector instructions of that.
    #[inline]
    pub fn first_in(&self, bytes: &[u8]) -> Option<usize> {
        let size = self.size();
        let byte = |index: usize| match index.checked_sub(self.head_len as usize) {
            Some(index) => self.text[index],
            None => self.head[index],
        };
        let (first, last, before) = (byte(0), byte(size - 1), byte(size.saturating_sub(2)));
        let ends = bytes.get(size - 1..)?;
        let befores = &bytes[size.saturating_sub(2)..];
        let mut at = 0;
        while let (Some(starts), Some(ends), Some(befores)) =
            (bytes[at..].first_chunk::<BLOCK>(), ends[at..].first_chunk(), befores[at..].first_chunk())
        {
            if may_begin(starts, first, ends, last, befores, before)
                && let Some(place) = (at..at + BLOCK).find(|&place| self.is_at(&bytes[place..]))
            {
                return Some(place);
            }
            at += BLOCK;
        }
        (at..ends.len()).find(|&place| self.is_at(&bytes[place..]))
    }

    /// Whether `bytes` begin with this very item.
    #[inline]
    pub fn is_at(&self, bytes: &[u8]) -> bool {
        // Most items differ in their first byte, which is a length or the integer itself.
        if bytes.first() != Some(&self.head[0]) {
            return false;
        }
        let head = self.head_len as usize;
        match bytes.get(head..self.size()) {
            Some(text) => is_same(text, self.text) && (head == 1 || bytes[1..head] == self.head[1..head]),
            None => false,
        }
    }
}

/// Places that [`Item::first_in`] looks at together.
const BLOCK: usize = 32;

/// Whether there is a place where all three bytes are as given.
#[inline]
fn may_begin(starts: &[u8; BLOCK], first: u8, ends: &[u8; BLOCK], last: u8, befores: &[u8; BLOCK], before: u8) -> bool {
    let mut found = 0;
    for place in 0..BLOCK {
        found |= u8::from(starts[place] == first) & u8::from(ends[place] == last) & u8::from(befores[place] == before);
    }
    found != 0
}

/// Whether texts of one length are equal, the end first: members of a collection often begin alike. Without a call, which
/// cost a search of a run more than all else.
#[inline]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (one.split_last_chunk::<8>(), other.split_last_chunk::<8>()) {
        (Some((one, one_end)), Some((other, other_end))) => {
            u64::from_ne_bytes(*one_end) == u64::from_ne_bytes(*other_end) && (one.is_empty() || one == other)
        }
        _ => one.iter().eq(other),
    }
}

/// The least bytes, of those allowed, that hold a value.
fn width_of(value: i64, widths: Widths) -> u8 {
    let bits = 65 - (value ^ (value >> 63)).leading_zeros();
    match (bits.div_ceil(8) as u8, widths) {
        (5..=7, Widths::Listpack) => 8,
        (0..=1, _) => 2,
        (width, _) => width,
    }
}

/// The size of the item that `bytes` begin with, with its stamp.
#[inline]
pub fn size(bytes: &[u8]) -> usize {
    match bytes[0] {
        0x00..=0x7F => 1,
        first @ 0x80..=0xBF => 1 + (first & 0x3F) as usize,
        0xC0..=0xDF => 2,
        first @ 0xE0..=0xEF => 2 + medium_len(first, bytes[1]),
        LONG => 5 + long_len(bytes),
        ASIDE => 3,
        STAMPED => STAMP_BYTES + size(&bytes[STAMP_BYTES..]),
        first => 1 + (first & 0x0F) as usize,
    }
}

fn long_len(bytes: &[u8]) -> usize {
    u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize
}

/// The element that `bytes` begin with; its stamp is passed over. A text kept elsewhere is not there to read.
#[inline]
pub fn read(bytes: &[u8]) -> Element<'_> {
    match bytes[0] {
        first @ 0x00..=0x7F => Element::Int(i64::from(first)),
        first @ 0x80..=0xBF => Element::Text(&bytes[1..1 + (first & 0x3F) as usize]),
        first @ 0xC0..=0xDF => Element::Int((i64::from(first) << 59 >> 51) | i64::from(bytes[1])),
        first @ 0xE0..=0xEF => Element::Text(&bytes[2..2 + medium_len(first, bytes[1])]),
        LONG => Element::Text(&bytes[5..5 + long_len(bytes)]),
        STAMPED => read(&bytes[STAMP_BYTES..]),
        first => Element::Int(wide_int(&bytes[1..1 + (first & 0x0F) as usize])),
    }
}

fn medium_len(first: u8, second: u8) -> usize {
    ((first & 0x0F) as usize) << 8 | second as usize
}

/// A little-endian integer of 2 to 8 bytes with its sign.
fn wide_int(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unused = 64 - 8 * bytes.len() as u32;
    i64::from_le_bytes(wide) << unused >> unused
}

/// The number of the text kept elsewhere, if that is what `bytes` begin with; a stamp is passed over.
#[inline]
pub fn aside_at(bytes: &[u8]) -> Option<u16> {
    match bytes[0] {
        ASIDE => Some(u16::from_le_bytes([bytes[1], bytes[2]])),
        STAMPED => aside_at(&bytes[STAMP_BYTES..]),
        _ => None,
    }
}

/// The stamp of the item that `bytes` begin with.
#[inline]
pub fn stamp(bytes: &[u8]) -> Option<u64> {
    (bytes[0] == STAMPED).then(|| {
        let mut wide = [0; 8];
        wide[..6].copy_from_slice(&bytes[1..STAMP_BYTES]);
        u64::from_le_bytes(wide)
    })
}

/// The bytes that the stamp of the item at the beginning of `bytes` takes: none or [`STAMP_BYTES`].
#[inline]
pub fn stamp_size(bytes: &[u8]) -> usize {
    if bytes[0] == STAMPED { STAMP_BYTES } else { 0 }
}

/// Writes a stamp in front of an item. One beyond [`STAMP_MAX`] becomes that.
pub fn write_stamp(out: &mut [u8], stamp: u64) {
    out[0] = STAMPED;
    out[1..STAMP_BYTES].copy_from_slice(&stamp.min(STAMP_MAX).to_le_bytes()[..6]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::testing::Random;

    fn written(item: &Item<'_>) -> Vec<u8> {
        let mut out = vec![0; item.size()];
        item.write(&mut out);
        out
    }

    fn edges() -> Vec<i64> {
        let mut edges = vec![0, -1, 127, 128, 4095, 4096, -4096, -4097, i64::MAX, i64::MIN];
        for bits in 1..63 {
            let power = 1i64 << bits;
            edges.extend([power - 1, power, -power, -power - 1, -power + 1]);
        }
        edges
    }

    #[test]
    fn integers_come_back_from_the_fewest_bytes() {
        for value in edges() {
            for widths in [Widths::All, Widths::Listpack] {
                let item = Item::new(Element::Int(value), widths);
                let bytes = written(&item);
                assert_eq!((read(&bytes), size(&bytes)), (Element::Int(value), bytes.len()), "{value}");
                assert_eq!(item.element(), Element::Int(value));
            }
            let text = value.to_string();
            assert_eq!(Element::of(text.as_bytes()), Element::Int(value));
            assert_eq!(Element::Int(value).len(), text.len());
            assert_eq!(Element::Int(value).to_vec(), text.as_bytes());
        }
        let size_of = |value: i64, widths| Item::new(Element::Int(value), widths).size();
        let sizes = [127, -1, 4096, 32768, 1 << 23, 1 << 31, 1 << 39, 1 << 47, 1 << 55, i64::MIN];
        assert_eq!(sizes.map(|value| size_of(value, Widths::All)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]);
        assert_eq!(sizes.map(|value| size_of(value, Widths::Listpack)), [1, 2, 3, 4, 5, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn texts_come_back_at_every_edge_of_length() {
        for len in [0, 1, 63, 64, 255, 256, 4095, 4096, 70_000] {
            let text = vec![b'x'; len];
            let item = Item::of(&text);
            let bytes = written(&item);
            assert_eq!((read(&bytes), size(&bytes)), (Element::Text(&text), bytes.len()));
            assert_eq!(item.element(), Element::Text(&text));
            assert!(item.is_at(&bytes) && !item.is_at(&bytes[..len]));
        }
    }

    #[test]
    fn what_is_no_canonical_integer_stays_text() {
        for text in ["", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808", "1.0"] {
            assert_eq!(Element::of(text.as_bytes()), Element::Text(text.as_bytes()));
        }
    }

    #[test]
    fn equal_bytes_are_equal_elements() {
        let texts: Vec<Vec<u8>> =
            ["", "0", "127", "128", "a", "\u{80}", "-1", "00"].map(|t| t.as_bytes().to_vec()).into();
        for a in &texts {
            for b in &texts {
                assert_eq!(Item::of(a).is_at(&written(&Item::of(b))), a == b);
            }
        }
    }

    #[test]
    fn a_stamp_stands_in_front() {
        let item = Item::of(b"value");
        let mut bytes = vec![0; STAMP_BYTES];
        bytes.extend(written(&item));
        write_stamp(&mut bytes, 1_700_000_000_123);
        assert_eq!((stamp(&bytes), size(&bytes)), (Some(1_700_000_000_123), bytes.len()));
        assert_eq!(read(&bytes), Element::Text(b"value"));
        write_stamp(&mut bytes, u64::MAX);
        assert_eq!(stamp(&bytes), Some(STAMP_MAX));
        assert_eq!(stamp(&written(&item)), None);
        assert_eq!(aside_at(&written(&Item::aside(700))), Some(700));
    }

    #[test]
    fn the_first_place_of_an_item_is_found() {
        let mut random = Random::new(7);
        for length in (0..40).chain([100, 1000]) {
            for size in [0, 1, 2, 7, 8, 9, 20] {
                // Few letters, so that beginnings and ends of items are everywhere.
                let mut letters = |count| (0..count).map(|_| 0x80 + random.below(3) as u8).collect::<Vec<u8>>();
                let (mut bytes, text) = (letters(length), letters(size));
                for item in [Item::text(&text), Item::of(b"5"), Item::of(b"-300"), Item::of(b"123456789")] {
                    for planted in [false, true] {
                        let at = bytes.len() * 2 / 3;
                        if planted {
                            bytes.splice(at..at, written(&item));
                        }
                        let expected = (0..bytes.len()).find(|&at| bytes[at..].starts_with(&written(&item)));
                        assert_eq!(item.first_in(&bytes), expected, "{item:?} in {bytes:?}");
                    }
                }
            }
        }
    }
}
