//! A run of elements in one heap block, as long as they need and not a byte longer: what small collections are.
//!
//! Elements are [items](super::item) one behind the other. `Packed<true>` puts the length of each item behind it too,
//! so that it can be walked from both ends, and writes integers in the widths of Redis's listpack: then the block is
//! seven bytes shorter than the listpack of the same elements, and what Redis decides by that size can be decided
//! alike.
//!
//! Places in a run are byte offsets. They hold until the run is changed at or before them.

use super::item::{self, Element, Item, STAMP_BYTES, Widths};
use super::splice;

/// The header and the end mark of a listpack, which a run does not have.
const LISTPACK_FRAME: usize = 7;

/// A run of elements. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Packed<const BOTH_WAYS: bool = false> {
    bytes: Box<[u8]>,
    count: u32,
    _spare: Spare,
}

/// A byte with 255 unused values, so that enums around a run need no byte of their own for their variant.
#[derive(Clone, Copy, Debug, Default)]
#[repr(u8)]
enum Spare {
    #[default]
    Run,
}

const _: () = assert!(size_of::<Packed>() == 24 && size_of::<Option<Option<Packed>>>() == 24);

impl<const BOTH_WAYS: bool> Packed<BOTH_WAYS> {
    /// An empty run, which needs no heap.
    pub fn new() -> Self {
        Self::default()
    }

    /// A run of these elements.
    pub fn collect<'a>(elements: impl IntoIterator<Item = Element<'a>>) -> Self {
        let mut bytes = Vec::new();
        let mut count = 0;
        for element in elements {
            let item = Self::item(element);
            let at = bytes.len();
            bytes.resize(at + Self::room(item.size()), 0);
            Self::write(&mut bytes[at..], &item);
            count += 1;
        }
        Self { bytes: bytes.into_boxed_slice(), count, _spare: Spare::Run }
    }

    /// The item of an element as this kind of run writes it.
    #[inline]
    pub fn item(element: Element<'_>) -> Item<'_> {
        Item::new(element, if BOTH_WAYS { Widths::Listpack } else { Widths::All })
    }

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Heap bytes, as asked of the allocator.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Where they begin, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// The bytes that Redis counts for a listpack of these elements, exact for a run that goes both ways.
    pub fn listpack_bytes(&self) -> usize {
        self.bytes.len() + LISTPACK_FRAME
    }

    /// The offset behind the last element, where more can be inserted.
    #[inline]
    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    /// The element at an offset.
    #[inline]
    pub fn at(&self, at: usize) -> Element<'_> {
        item::read(&self.bytes[at..])
    }

    /// The offset of the element behind the one at `at`, or [`Packed::end`].
    #[inline]
    pub fn next(&self, at: usize) -> usize {
        at + Self::room(item::size(&self.bytes[at..]))
    }

    /// The stamp of the element at an offset.
    #[inline]
    pub fn stamp(&self, at: usize) -> Option<u64> {
        item::stamp(&self.bytes[at..])
    }

    /// Whether the element at an offset is this item.
    #[inline]
    pub fn is(&self, at: usize, item: &Item<'_>) -> bool {
        item.is_at(&self.bytes[at..])
    }

    /// The offset of the first of every `step` elements that is this item. `step` divides the number of elements.
    #[inline]
    pub fn find(&self, item: &Item<'_>, step: usize) -> Option<usize> {
        match step {
            1 => self.search(item),
            _ => self.walk(item, step),
        }
    }

    /// Searches the bytes and walks only up to where they are found, which may be inside of another element. So a member
    /// that is not there, which is what most that are added are, costs a fifth of asking 128 members.
    fn search(&self, item: &Item<'_>) -> Option<usize> {
        let mut at = 0;
        loop {
            let seen = at + item.first_in(&self.bytes[at..])?;
            while at < seen {
                at = self.next(at);
            }
            if at == seen {
                return Some(at);
            }
        }
    }

    /// Asks each on the way: what is there, as most fields are that are set, is found sooner than by a search and a walk.
    fn walk(&self, item: &Item<'_>, step: usize) -> Option<usize> {
        let mut at = 0;
        while at < self.bytes.len() {
            if self.is(at, item) {
                return Some(at);
            }
            for _ in 0..step {
                at = self.next(at);
            }
        }
        None
    }

    /// The elements in order, with their offsets.
    pub fn iter(&self) -> Iter<'_, BOTH_WAYS> {
        self.iter_in(0, self.bytes.len())
    }

    /// The elements between two offsets, in order.
    pub fn iter_in(&self, from: usize, to: usize) -> Iter<'_, BOTH_WAYS> {
        Iter { run: self, at: from, end: to }
    }

    /// Adds an element at the end.
    pub fn push(&mut self, item: &Item<'_>) {
        self.insert(self.bytes.len(), item);
    }

    /// Adds an element in front of the one at `at`.
    pub fn insert(&mut self, at: usize, item: &Item<'_>) {
        let room = Self::room(item.size());
        splice::resize(&mut self.bytes, at, 0, room);
        Self::write(&mut self.bytes[at..at + room], item);
        self.count += 1;
    }

    /// Puts an element in the place of another, whose stamp stays only if `keep_stamp` says so.
    pub fn replace(&mut self, at: usize, item: &Item<'_>, keep_stamp: bool) {
        debug_assert!(!(BOTH_WAYS && self.stamp(at).is_some()), "runs that go both ways have no stamps");
        let end = self.next(at);
        let from = if keep_stamp { at + item::stamp_size(&self.bytes[at..]) } else { at };
        let room = Self::room(item.size());
        splice::resize(&mut self.bytes, from, end - from, room);
        Self::write(&mut self.bytes[from..from + room], item);
    }

    /// Takes `elements` elements from an offset on out.
    pub fn remove(&mut self, at: usize, elements: usize) {
        let mut end = at;
        for _ in 0..elements {
            end = self.next(end);
        }
        self.remove_in(at, end, elements);
    }

    /// Takes the elements between two offsets out, of which the caller knows the number.
    pub fn remove_in(&mut self, from: usize, to: usize, elements: usize) {
        splice::cut(&mut self.bytes, from, to - from);
        self.count -= elements as u32;
    }

    /// Takes out those elements equal to `item` that come after the first `skip` of them, `max` at most.
    ///
    /// Returns how many that were. One pass moves what stays, however many go.
    pub fn remove_equal(&mut self, item: &Item<'_>, skip: usize, max: usize) -> usize {
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let (mut seen, mut removed) = (0, 0);
        let (mut at, mut to) = (0, 0);
        while at < bytes.len() {
            let next = at + Self::room(item::size(&bytes[at..]));
            let is_equal = item.is_at(&bytes[at..]);
            if is_equal && seen >= skip && removed < max {
                removed += 1;
            } else {
                if to < at {
                    bytes.copy_within(at..next, to);
                }
                to += next - at;
            }
            seen += usize::from(is_equal);
            at = next;
        }
        bytes.truncate(to);
        self.bytes = bytes.into_boxed_slice();
        self.count -= removed as u32;
        removed
    }

    /// Cuts the run in two at an offset in front of which `before` elements lie, and returns what was behind it.
    pub fn split_off(&mut self, at: usize, before: usize) -> Self {
        let behind: Box<[u8]> = Box::from(&self.bytes[at..]);
        let count = self.count - before as u32;
        splice::cut(&mut self.bytes, at, behind.len());
        self.count = before as u32;
        Self { bytes: behind, count, _spare: Spare::Run }
    }

    /// Adds another run at the end.
    pub fn append(&mut self, other: &Self) {
        splice::extend(&mut self.bytes, &other.bytes);
        self.count += other.count;
    }

    /// The bytes that an item takes in such a run.
    #[inline]
    pub fn room(size: usize) -> usize {
        if BOTH_WAYS { size + tail_size(size) } else { size }
    }

    #[inline]
    fn write(out: &mut [u8], item: &Item<'_>) {
        item.write(out);
        if BOTH_WAYS {
            write_tail(&mut out[item.size()..], item.size());
        }
    }
}

impl Packed<false> {
    /// Gives the element at an offset a stamp, or takes it away.
    pub fn set_stamp(&mut self, at: usize, stamp: Option<u64>) {
        let old = item::stamp_size(&self.bytes[at..]);
        let new = if stamp.is_some() { STAMP_BYTES } else { 0 };
        splice::resize(&mut self.bytes, at, old, new);
        if let Some(stamp) = stamp {
            item::write_stamp(&mut self.bytes[at..], stamp);
        }
    }

    /// The offset of the element with a number, which must be there.
    pub fn offset_of(&self, number: usize) -> usize {
        (0..number).fold(0, |at, _| self.next(at))
    }
}

impl Packed<true> {
    /// The offset of the element in front of an offset that is not 0.
    #[inline]
    pub fn prev(&self, at: usize) -> usize {
        let size = read_tail(&self.bytes[..at]);
        at - size - tail_size(size)
    }

    /// The offset of the element with a number, which may be one past the last: counted from the nearer end.
    pub fn offset_of(&self, number: usize) -> usize {
        if number <= self.len() / 2 {
            (0..number).fold(0, |at, _| self.next(at))
        } else {
            (number..self.len()).fold(self.end(), |at, _| self.prev(at))
        }
    }
}

/// The bytes that a length behind its item takes: seven bits each.
#[inline]
fn tail_size(size: usize) -> usize {
    match size {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Writes a length to be read from its last byte on: the low bits last, the high bit on all bytes but the first.
fn write_tail(out: &mut [u8], size: usize) {
    let mut rest = size;
    for index in (0..tail_size(size)).rev() {
        out[index] = (rest & 0x7F) as u8 | if index > 0 { 0x80 } else { 0 };
        rest >>= 7;
    }
}

/// The length that stands at the end of `bytes`.
#[inline]
fn read_tail(bytes: &[u8]) -> usize {
    let mut size = 0;
    for (index, &byte) in bytes.iter().rev().enumerate() {
        size |= ((byte & 0x7F) as usize) << (7 * index);
        if byte & 0x80 == 0 {
            break;
        }
    }
    size
}

/// The elements of a run, or of a part of it, in order.
#[derive(Clone, Debug)]
pub struct Iter<'a, const BOTH_WAYS: bool> {
    run: &'a Packed<BOTH_WAYS>,
    at: usize,
    end: usize,
}

impl<const BOTH_WAYS: bool> Iter<'_, BOTH_WAYS> {
    /// The offset of the element that comes next.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The stamp of the element that comes next, if there is one.
    pub fn stamp(&self) -> Option<u64> {
        if self.at < self.end { self.run.stamp(self.at) } else { None }
    }
}

impl<'a, const BOTH_WAYS: bool> Iterator for Iter<'a, BOTH_WAYS> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.at >= self.end {
            return None;
        }
        let element = self.run.at(self.at);
        self.at = self.run.next(self.at);
        Some(element)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a, true> {
    #[inline]
    fn next_back(&mut self) -> Option<Element<'a>> {
        if self.at >= self.end {
            return None;
        }
        self.end = self.run.prev(self.end);
        Some(self.run.at(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, text};
    use super::*;

    fn texts<const BOTH_WAYS: bool>(run: &Packed<BOTH_WAYS>) -> Vec<Vec<u8>> {
        run.iter().map(Element::to_vec).collect()
    }

    #[test]
    fn elements_stay_in_their_order() {
        let mut run = Packed::<false>::new();
        run.push(&Item::of(b"b"));
        run.push(&Item::of(b"300"));
        run.insert(0, &Item::of(b"a"));
        assert_eq!(texts(&run), [b"a".to_vec(), b"b".to_vec(), b"300".to_vec()]);
        assert_eq!((run.len(), run.bytes()), (3, 6));
        assert_eq!(run.find(&Item::of(b"300"), 1), Some(4));
        run.push(&Item::of(b"c"));
        assert_eq!(run.find(&Item::of(b"b"), 2), None);
    }

    #[test]
    fn a_run_both_ways_is_a_listpack_without_its_frame() {
        let mut run = Packed::<true>::new();
        for text in [&b"hello"[..], b"1000", b"99999999999", &[b'x'; 200]] {
            run.push(&Packed::<true>::item(Element::of(text)));
        }
        assert_eq!(run.listpack_bytes(), 6 + (1 + 5 + 1) + (2 + 1) + (9 + 1) + (2 + 200 + 2) + 1);
    }

    #[test]
    fn stamps_come_and_go_with_their_element() {
        let mut run = Packed::<false>::collect([b"f", b"v", b"g"].map(|text| Element::of(text)));
        run.set_stamp(2, Some(77));
        assert_eq!((run.stamp(2), run.at(2)), (Some(77), Element::Text(b"v")));
        run.replace(2, &Item::of(b"longer"), true);
        assert_eq!((run.stamp(2), run.at(2)), (Some(77), Element::Text(b"longer")));
        run.replace(2, &Item::of(b"w"), false);
        assert_eq!((run.stamp(2), run.at(2), run.bytes()), (None, Element::Text(b"w"), 6));
        assert_eq!(run.at(run.next(2)), Element::Text(b"g"));
    }

    #[test]
    fn random_changes_agree_with_a_vector() {
        agree::<false>(11);
        agree::<true>(12);
    }

    fn agree<const BOTH_WAYS: bool>(seed: u64) {
        let mut random = Random::new(seed);
        let mut run = Packed::<BOTH_WAYS>::new();
        let mut twin: Vec<Vec<u8>> = Vec::new();
        for step in 0..4000 {
            let context = format!("seed {seed}, step {step}");
            let number = random.below(twin.len() + 1);
            let at = (0..number).fold(0, |at, _| run.next(at));
            let new = text(&mut random);
            let item = Packed::<BOTH_WAYS>::item(Element::of(&new));
            match random.below(8) {
                0..4 => {
                    run.insert(at, &item);
                    twin.insert(number, new.clone());
                }
                4 if number < twin.len() => {
                    run.replace(at, &item, false);
                    twin[number] = new.clone();
                }
                5 | 6 if number < twin.len() => {
                    let many = 1 + random.below((twin.len() - number).min(4));
                    run.remove(at, many);
                    twin.drain(number..number + many);
                }
                7 if random.below(8) == 0 => {
                    let mut behind = run.split_off(at, number);
                    behind.append(&run);
                    run = behind;
                    twin.rotate_left(number);
                }
                _ => {
                    let (skip, max) = (random.below(2), random.below(3));
                    let mut seen = 0;
                    let before = twin.len();
                    twin.retain(|text| {
                        let is_equal = *text == new;
                        seen += usize::from(is_equal);
                        !(is_equal && seen > skip && seen <= skip + max)
                    });
                    assert_eq!(run.remove_equal(&item, skip, max), before - twin.len(), "{context}");
                }
            }
            assert_eq!(run.len(), twin.len(), "{context}");
            if step % 16 == 0 {
                assert_eq!(texts(&run), twin, "{context}");
            }
            assert_eq!(
                run.find(&item, 1).map(|at| run.iter_in(0, at).count()),
                twin.iter().position(|text| *text == new),
                "{context}"
            );
        }
    }

    #[test]
    fn a_run_is_walked_back_as_it_is_walked_on() {
        let seed = 13;
        let mut random = Random::new(seed);
        let all: Vec<Vec<u8>> = (0..300).map(|_| vec![b'z'; random.below(20_000)]).collect();
        let run = Packed::<true>::collect(all.iter().map(|text| Element::of(text)));
        assert!(run.iter().rev().eq(all.iter().rev().map(|text| Element::of(text))), "seed {seed}");
        for number in [0, 1, 150, 151, 299, 300] {
            assert_eq!(run.iter_in(0, run.offset_of(number)).count(), number);
        }
    }
}
