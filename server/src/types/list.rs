//! A list: one run of bytes while it is small, a [`Quicklist`] when it has outgrown that.
//!
//! As in Redis 7.2 a run becomes a quicklist when what is about to be added might exceed `list-max-listpack-size`, and
//! a quicklist becomes a run when taking elements out has left no more than half of that in one chunk.

use super::chunk;
use super::item::Element;
use super::packed::Packed;
use super::quicklist::Quicklist;

pub use super::chunk::{Iter as Piece, Limits};
pub use super::quicklist::Elements;

/// A list. See the head of this file.
#[derive(Clone, Debug)]
pub struct List(Form);

#[derive(Clone, Debug)]
enum Form {
    Run(Packed<true>),
    Quick(Box<Quicklist>),
}

const _: () = assert!(size_of::<List>() == 24);

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The left one, where `LPUSH` adds.
    Head,
    /// The right one, where `RPUSH` adds.
    Tail,
}

impl Default for List {
    fn default() -> Self {
        List(Form::Run(Packed::new()))
    }
}

impl List {
    /// An empty list, which needs no heap.
    pub fn new() -> List {
        List::default()
    }

    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Run(run) => run.len(),
            Form::Quick(quick) => quick.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Run(run) => run.bytes(),
            Form::Quick(quick) => size_of::<Quicklist>() + quick.bytes(),
        }
    }

    /// Where the first bytes below lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match &self.0 {
            Form::Run(run) => run.lead(),
            Form::Quick(quick) => (&raw const **quick).cast(),
        }
    }

    /// The quicklist that a long list is.
    pub fn quicklist(&self) -> Option<&Quicklist> {
        if let Form::Quick(quick) = &self.0 { Some(quick) } else { None }
    }

    /// What `OBJECT ENCODING` says.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Run(_) => "listpack",
            Form::Quick(_) => "quicklist",
        }
    }

    /// Adds values at an end, one after the other. A run that they might make too large becomes a quicklist first.
    pub fn push<'a>(&mut self, end: End, values: impl Iterator<Item = &'a [u8]> + Clone, limits: &Limits) {
        self.make_room(values.clone().map(<[u8]>::len).sum(), values.clone().count(), limits);
        for element in values.map(Element::of) {
            match (&mut self.0, end) {
                (Form::Run(run), End::Head) => run.insert(0, &Packed::<true>::item(element)),
                (Form::Run(run), End::Tail) => run.push(&Packed::<true>::item(element)),
                (Form::Quick(quick), End::Head) => quick.push_front(element, limits),
                (Form::Quick(quick), End::Tail) => quick.push_back(element, limits),
            }
        }
    }

    /// Makes a run a quicklist if texts of so many bytes might make it too large.
    fn make_room(&mut self, bytes: usize, entries: usize, limits: &Limits) {
        if let Form::Run(run) = &mut self.0
            && limits.is_exceeded(run.listpack_bytes() + bytes, run.len() + entries)
        {
            self.0 = Form::Quick(Box::new(Quicklist::of(std::mem::take(run))));
        }
    }

    /// Makes a quicklist a run if that is at most half of what a run may be.
    fn shrink(&mut self, limits: &Limits) {
        if let Form::Quick(quick) = &mut self.0
            && let Some(run) = quick.take_run(|run| !limits.half().is_exceeded(run.listpack_bytes(), run.len()))
        {
            self.0 = Form::Run(run);
        }
    }

    /// The element with a number, counted from 0 at the head.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        match &self.0 {
            Form::Run(run) if index < run.len() => Some(run.at(run.offset_of(index))),
            Form::Run(_) => None,
            Form::Quick(quick) => quick.get(index),
        }
    }

    /// Puts a value in the place of an element, and says whether there is one. The list may take either form.
    pub fn set(&mut self, index: usize, value: &[u8], limits: &Limits) -> bool {
        if index >= self.len() {
            return false;
        }
        self.make_room(value.len(), 1, limits);
        match &mut self.0 {
            Form::Run(run) => run.replace(run.offset_of(index), &Packed::<true>::item(Element::of(value)), false),
            Form::Quick(quick) => quick.replace(index, Element::of(value), limits),
        }
        self.shrink(limits);
        true
    }

    /// Adds a value in front of an element, or at the tail if `index` is the length. A run may become a quicklist.
    ///
    /// # Panics
    ///
    /// If `index` is larger than the length.
    pub fn insert(&mut self, index: usize, value: &[u8], limits: &Limits) {
        self.make_room(value.len(), 1, limits);
        assert!(index <= self.len(), "an element was to be put at {index} in a list of {}", self.len());
        match &mut self.0 {
            Form::Run(run) => run.insert(run.offset_of(index), &Packed::<true>::item(Element::of(value))),
            Form::Quick(quick) => quick.insert(index, Element::of(value), limits),
        }
    }

    /// Takes the element at an end out and returns it. A quicklist may become a run.
    pub fn pop(&mut self, end: End, limits: &Limits) -> Option<Vec<u8>> {
        let index = match end {
            End::Head => 0,
            End::Tail => self.len().checked_sub(1)?,
        };
        let popped = self.get(index)?.to_vec();
        self.remove(index, 1, limits);
        Some(popped)
    }

    /// Takes out `count` elements from one on, or as many as there are. A quicklist may become a run.
    pub fn remove(&mut self, start: usize, count: usize, limits: &Limits) {
        let count = count.min(self.len().saturating_sub(start));
        if count == 0 {
            return;
        }
        match &mut self.0 {
            Form::Run(run) => {
                let (from, to) = (run.offset_of(start), run.offset_of(start + count));
                run.remove_in(from, to, count);
            }
            Form::Quick(quick) => quick.remove(start, count, limits),
        }
        self.shrink(limits);
    }

    /// Leaves `count` elements from one on, or as many as there are. A quicklist may become a run.
    pub fn trim(&mut self, start: usize, count: usize, limits: &Limits) {
        let end = start.saturating_add(count);
        self.remove(end, usize::MAX, limits);
        self.remove(0, start, limits);
    }

    /// Takes out up to `max` elements equal to a value, the nearest to an end first, and returns how many that were.
    /// A quicklist may become a run.
    pub fn remove_equal(&mut self, value: &[u8], end: End, max: usize, limits: &Limits) -> usize {
        let element = Element::of(value);
        let item = Packed::<true>::item(element);
        let removed = match (&mut self.0, end) {
            (Form::Run(run), End::Head) => run.remove_equal(&item, 0, max),
            (Form::Run(run), End::Tail) => {
                let equal = run.iter().filter(|&other| other == element).count();
                run.remove_equal(&item, equal.saturating_sub(max), equal)
            }
            (Form::Quick(quick), End::Head) => quick.remove_equal_forward(&item, max, limits),
            (Form::Quick(quick), End::Tail) => quick.remove_equal_backward(&item, max, limits),
        };
        self.shrink(limits);
        removed
    }

    /// The number of the first element that equals a value, from the head.
    pub fn find(&self, value: &[u8]) -> Option<usize> {
        let wanted = Element::of(value);
        self.iter().position(|element| element == wanted)
    }

    /// Visits the numbers, from the head, of the elements equal to a value, among the `length` nearest to an end and
    /// the nearest first, until `visit` says no.
    pub fn positions(&self, value: &[u8], end: End, length: usize, mut visit: impl FnMut(usize) -> bool) {
        let wanted = Element::of(value);
        let last = self.len().wrapping_sub(1);
        let mut tell = |equal: bool, index: usize| !equal || visit(index);
        match end {
            End::Head => _ = self.iter().take(length).enumerate().all(|(index, one)| tell(one == wanted, index)),
            End::Tail => {
                _ = self.rev_from(last).take(length).enumerate().all(|(index, one)| tell(one == wanted, last - index));
            }
        }
    }

    /// The pieces in which the list lies, from the head: runs, and elements that are too long for one. A small list is
    /// one run.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> + Clone {
        let (run, quick) = match &self.0 {
            Form::Run(run) => (Some(run), None),
            Form::Quick(quick) => (None, Some(quick)),
        };
        run.into_iter().map(|run| Piece::Run(run.iter())).chain(quick.into_iter().flat_map(|quick| quick.pieces()))
    }

    /// All elements, from the head.
    pub fn iter(&self) -> Elements<'_, false> {
        self.iter_from(0)
    }

    /// The elements from one on, towards the tail. None if it is not there.
    pub fn iter_from(&self, index: usize) -> Elements<'_, false> {
        match &self.0 {
            Form::Run(run) => {
                Elements::of(chunk::Iter::Run(run.iter_in(run.offset_of(index.min(run.len())), run.end())))
            }
            Form::Quick(quick) => quick.iter_from(index),
        }
    }

    /// The elements from one on, towards the head. None if it is not there.
    pub fn rev_from(&self, index: usize) -> Elements<'_, true> {
        match &self.0 {
            Form::Run(run) if index >= run.len() => Elements::of(chunk::Iter::Long(None)),
            Form::Run(run) => Elements::of(chunk::Iter::Run(run.iter_in(0, run.offset_of(index + 1)))),
            Form::Quick(quick) => quick.rev_from(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, text};
    use super::*;
    use std::collections::VecDeque;

    const EIGHT_KIB: i32 = -2;

    fn push(list: &mut List, end: End, value: &[u8], limits: &Limits) {
        list.push(end, std::iter::once(value), limits);
    }

    fn check(list: &List, context: &str) {
        if let Form::Quick(quick) = &list.0 {
            quick.check(context);
        }
    }

    #[test]
    fn a_small_list_is_a_run() {
        let limits = Limits::new(EIGHT_KIB);
        let mut list = List::new();
        list.push(End::Tail, [&b"b"[..], b"c"].into_iter(), &limits);
        push(&mut list, End::Head, b"10", &limits);
        assert_eq!((list.len(), list.encoding(), list.bytes()), (3, "listpack", 2 + 3 + 3));
        assert_eq!(list.pop(End::Tail, &limits), Some(b"c".to_vec()));
        assert_eq!(list.pop(End::Head, &limits), Some(b"10".to_vec()));
        assert_eq!((list.get(0), list.get(1)), (Some(Element::Text(b"b")), None));
        assert_eq!(List::new().pop(End::Tail, &limits), None);
    }

    #[test]
    fn the_form_follows_the_limit_and_half_of_it() {
        let limits = Limits::new(10);
        let mut list = List::new();
        (0..10).for_each(|_| push(&mut list, End::Tail, b"x", &limits));
        assert_eq!(list.encoding(), "listpack");
        push(&mut list, End::Tail, b"x", &limits);
        assert_eq!(list.encoding(), "quicklist");
        list.remove(6, 5, &limits);
        assert_eq!((list.len(), list.encoding()), (6, "quicklist"));
        list.pop(End::Head, &limits);
        assert_eq!((list.len(), list.encoding()), (5, "listpack"));

        let limits = Limits::new(-1);
        let mut list = List::new();
        push(&mut list, End::Head, &[b'x'; 4100], &limits);
        assert_eq!((list.len(), list.encoding()), (1, "quicklist"));
        list.set(0, b"short", &limits);
        assert_eq!(list.encoding(), "listpack");
    }

    #[test]
    fn one_push_of_many_counts_them_together() {
        let limits = Limits::new(-1);
        let mut list = List::new();
        list.push(End::Tail, [&[b'x'; 2045][..]; 2].into_iter(), &limits);
        assert_eq!(list.encoding(), "quicklist", "7 + 4090 bytes are more than 4096");
        let mut list = List::new();
        list.push(End::Tail, [&[b'x'; 2044][..]; 2].into_iter(), &limits);
        assert_eq!(list.encoding(), "listpack", "only the texts are counted beforehand");
    }

    #[test]
    fn random_changes_agree_with_a_deque() {
        for (seed, size) in [(201, EIGHT_KIB), (202, -1), (203, 1), (204, 3), (205, 128), (206, -5)] {
            agree(seed, &Limits::new(size));
        }
    }

    fn agree(seed: u64, limits: &Limits) {
        let mut random = Random::new(seed);
        let (mut list, mut twin) = (List::new(), VecDeque::new());
        for step in 0..12_000 {
            let context = format!("seed {seed}, step {step}");
            let mut value = text(&mut random);
            if random.below(300) == 0 {
                value.resize(9000, b'l');
            }
            let index = random.below(twin.len() + 1);
            let grows = step / 2000 % 2 == 0;
            match random.below(if grows { 12 } else { 22 }) {
                0..3 => {
                    push(&mut list, End::Head, &value, limits);
                    twin.push_front(value.clone());
                }
                3..6 => {
                    let pair = [value.clone(), text(&mut random)];
                    list.push(End::Tail, pair.iter().map(Vec::as_slice), limits);
                    twin.extend(pair);
                }
                6..9 => {
                    list.insert(index, &value, limits);
                    twin.insert(index, value.clone());
                }
                9 => {
                    assert_eq!(list.set(index, &value, limits), index < twin.len(), "{context}");
                    if let Some(old) = twin.get_mut(index) {
                        old.clone_from(&value);
                    }
                }
                10 => remove_equal(&mut list, &mut twin, &value, &mut random, limits, &context),
                11 | 15..18 => {
                    assert_eq!(list.pop(End::Head, limits), twin.pop_front(), "{context}");
                }
                12..15 => assert_eq!(list.pop(End::Tail, limits), twin.pop_back(), "{context}"),
                18..21 => {
                    let count = random.below(4).min(twin.len() - index);
                    list.remove(index, count, limits);
                    twin.drain(index..index + count);
                }
                _ if random.below(40) == 0 => {
                    let count = random.below(twin.len() + 1);
                    list.trim(index, count, limits);
                    twin.truncate((index + count).min(twin.len()));
                    twin.drain(..index.min(twin.len()));
                }
                _ => {}
            }
            compare(&list, &twin, &value, &mut random, &context);
            if step % 100 == 0 {
                check(&list, &context);
                assert!(list.iter().map(Element::to_vec).eq(twin.iter().cloned()), "{context}");
                assert_eq!(list.clone().bytes(), list.bytes(), "{context}");
            }
        }
    }

    fn remove_equal(
        list: &mut List,
        twin: &mut VecDeque<Vec<u8>>,
        value: &[u8],
        random: &mut Random,
        limits: &Limits,
        context: &str,
    ) {
        let (end, max) = if random.below(2) == 0 { (End::Head, 1 + random.below(30)) } else { (End::Tail, 2) };
        let mut found: Vec<usize> = (0..twin.len()).filter(|&index| twin[index] == value).collect();
        if end == End::Tail {
            found.reverse();
        }
        found.truncate(max);
        assert_eq!(list.remove_equal(value, end, max, limits), found.len(), "{context}");
        found.sort_unstable();
        found.iter().rev().for_each(|&index| _ = twin.remove(index));
    }

    fn compare(list: &List, twin: &VecDeque<Vec<u8>>, value: &[u8], random: &mut Random, context: &str) {
        assert_eq!(list.len(), twin.len(), "{context}");
        let index = random.below(twin.len() + 1);
        assert_eq!(list.get(index).map(Element::to_vec), twin.get(index).cloned(), "{context}");
        let forward = list.iter_from(index).take(3).map(Element::to_vec);
        assert!(forward.eq(twin.iter().skip(index).take(3).cloned()), "{context}");
        let mut backward = list.rev_from(index).take(3).map(Element::to_vec);
        if index < twin.len() {
            assert!(backward.eq(twin.iter().take(index + 1).rev().take(3).cloned()), "{context}");
        } else {
            assert_eq!(backward.next(), None, "{context}");
        }
        assert_eq!(list.find(value), twin.iter().position(|text| text == value), "{context}");
        let length = random.below(50);
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        list.positions(value, End::Head, length, |index| {
            head.push(index);
            head.len() < 2
        });
        list.positions(value, End::Tail, length, |index| {
            tail.push(index);
            tail.len() < 2
        });
        let all = || (0..twin.len()).filter(|&index| twin[index] == value);
        assert!(head.into_iter().eq(all().take_while(|&index| index < length).take(2)), "{context}");
        assert!(
            tail.into_iter().eq(all().rev().take_while(|&index| twin.len() - index <= length).take(2)),
            "{context}"
        );
    }

    #[test]
    fn a_list_of_many_blocks_finds_every_element() {
        let limits = Limits::new(4);
        let mut list = List::new();
        for number in 0..20_000 {
            let end = if number % 3 == 0 { End::Head } else { End::Tail };
            push(&mut list, end, number.to_string().as_bytes(), &limits);
        }
        check(&list, "pushed");
        let all: Vec<_> = list.iter().collect();
        assert!((0..20_000).all(|index| list.get(index) == Some(all[index])));
        let mut list = list.clone();
        list.trim(9_000, 500, &limits);
        check(&list, "trimmed");
        assert_eq!(list.len(), 500);
        assert!(list.rev_from(499).map(Element::to_vec).all(|text| list.find(&text).is_some()));
        list.remove(0, 500, &limits);
        assert_eq!((list.len(), list.encoding(), list.bytes()), (0, "listpack", 0));
    }
}
