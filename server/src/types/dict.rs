//! The table of large hashes and sets: keys, each with a value or without, in no order.
//!
//! Extendible hashing (Fagin et al. 1979): the low bits of a key's hash index a directory of small [leaves](super::leaf),
//! each of which is one heap block. A leaf that is full is split in two by one more bit; when the directory has no more
//! bits it doubles, at 4 bytes a leaf. So there is no allocation per element and no pause to rehash, and nothing is
//! kept twice while the table grows.
//!
//! `SCAN` walks hashes in the order of their reversed bits. In this order the keys of a leaf are neighbours, before and
//! after splits and merges alike, so a cursor that is a place in this order stays right however the table changes.
//!
//! The list of leaves is cut into segments, which copies [share](super::shared): so the first change to a segment of a
//! table that was copied copies this segment, some 100 KB, and no table is ever copied as a whole.

use super::draw;
use super::item::{Element, Item};
use super::leaf::{ENTRIES_MAX, Entry, Leaf};
use super::shared::SharedVec;

/// The most low bits that choose a leaf. Hashes are keyed and fair, so this is beyond any number of keys that memory
/// can hold.
const DEPTH_MAX: u8 = 28;

/// Bits of a cursor.
const CURSOR_BITS: u32 = 32;

/// Leaves in a segment of the list of leaves, which grows by segments so that it is never copied as a whole.
const SEGMENT: usize = 64;

/// A table. See the head of this file.
#[derive(Clone, Debug)]
pub struct Dict<const VALUED: bool> {
    directory: Vec<u32>,
    leaves: Vec<SharedVec<Leaf<VALUED>>>,
    /// Keys.
    len: usize,
    /// What leaves have on the heap.
    leaf_bytes: usize,
    /// Leaves that use all bits of the directory. Without any, the directory can be halved.
    deepest: u32,
    depth: u8,
}

/// Where a key lies, until the table is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    leaf: u32,
    slot: u32,
}

/// A key that is not there yet, and the place where it belongs.
#[derive(Clone, Copy)]
pub struct Absent<'a> {
    hash: u64,
    key: Item<'a>,
}

impl<const VALUED: bool> Default for Dict<VALUED> {
    fn default() -> Self {
        let mut first = SharedVec::new();
        first.push(Leaf::new(0, 0));
        Dict { directory: vec![0], leaves: vec![first], len: 0, leaf_bytes: 0, deepest: 1, depth: 0 }
    }
}

impl<const VALUED: bool> Dict<VALUED> {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// A table with the same leaves and no directory: all places can be gone through, and no key can be found. For a
    /// million keys it costs some hundred counts.
    pub fn share(&self) -> Self {
        Dict { directory: vec![0], leaves: self.leaves.clone(), ..*self }
    }

    /// How many keys there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        // All segments but the last have the same room.
        let (first, last) = (self.leaves.first(), self.leaves.last());
        let full = first.map_or(0, SharedVec::bytes) * self.leaves.len().saturating_sub(1);
        self.leaf_bytes
            + full
            + last.map_or(0, SharedVec::bytes)
            + self.leaves.capacity() * size_of::<SharedVec<Leaf<VALUED>>>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// Finds a key, or what [`Dict::insert`] wants to know of one that is not there.
    #[inline]
    pub fn find<'a>(&self, key: Item<'a>) -> Result<At, Absent<'a>> {
        let hash = key.element().hash();
        let leaf = self.leaf_of(hash);
        match self.leaf(leaf).find(hash, &key) {
            Some(slot) => Ok(At { leaf, slot: slot as u32 }),
            None => Err(Absent { hash, key }),
        }
    }

    /// Whether a key is there.
    #[inline]
    pub fn contains(&self, key: Element<'_>) -> bool {
        self.find(Item::new(key, super::item::Widths::All)).is_ok()
    }

    /// Finds a key by its hash alone: the first with this hash for which `is_it` says yes.
    pub fn find_hash(&self, hash: u64, mut is_it: impl FnMut(At) -> bool) -> Option<At> {
        let number = self.leaf_of(hash);
        let leaf = self.leaf(number);
        let at = |slot: usize| At { leaf: number, slot: slot as u32 };
        leaf.find_tag(hash, |slot| leaf.key(slot).hash() == hash && is_it(at(slot))).map(at)
    }

    /// The key at a place.
    #[inline]
    pub fn key(&self, at: At) -> Element<'_> {
        self.leaf(at.leaf).key(at.slot as usize)
    }

    /// The value at a place, in tables that have values.
    #[inline]
    pub fn value(&self, at: At) -> Element<'_> {
        self.leaf(at.leaf).value(at.slot as usize)
    }

    /// The stamp of the value at a place.
    #[inline]
    pub fn stamp(&self, at: At) -> Option<u64> {
        self.leaf(at.leaf).stamp(at.slot as usize)
    }

    #[inline]
    fn leaf_of(&self, hash: u64) -> u32 {
        self.directory[hash as usize & (self.directory.len() - 1)]
    }

    #[inline]
    fn leaf(&self, number: u32) -> &Leaf<VALUED> {
        &self.leaves[number as usize / SEGMENT][number as usize % SEGMENT]
    }

    fn leaf_mut(&mut self, number: u32) -> &mut Leaf<VALUED> {
        &mut self.leaves[number as usize / SEGMENT][number as usize % SEGMENT]
    }

    /// Changes a leaf and notes what it has on the heap afterwards.
    fn change(&mut self, number: u32, change: impl FnOnce(&mut Leaf<VALUED>)) {
        let leaf = self.leaf_mut(number);
        let before = leaf.bytes();
        change(leaf);
        let after = leaf.bytes();
        self.leaf_bytes = self.leaf_bytes - before + after;
    }

    /// Adds a key that [`Dict::find`] has just not found. Tables without values do not look at `value`.
    pub fn insert(&mut self, absent: Absent<'_>, value: Item<'_>, stamp: Option<u64>) {
        let Absent { hash, key } = absent;
        let number = self.leaf_of(hash);
        self.change(number, |leaf| leaf.insert(&Entry { hash, key, value, stamp }));
        self.len += 1;
        self.split_while_full(number);
    }

    /// Adds a key that may be there, in tables without values, and says whether it is new.
    pub fn add(&mut self, key: Element<'_>) -> bool {
        let found = self.find(Item::new(key, super::item::Widths::All));
        if let Err(absent) = found {
            self.insert(absent, absent.key, None);
        }
        found.is_err()
    }

    /// Puts a value in the place of another, whose stamp stays only if `keep_stamp` says so.
    pub fn replace_value(&mut self, at: At, value: Item<'_>, keep_stamp: bool) {
        self.change(at.leaf, |leaf| leaf.replace_value(at.slot as usize, &value, keep_stamp));
        self.split_while_full(at.leaf);
    }

    /// Gives a value a stamp, or takes it away.
    pub fn set_stamp(&mut self, at: At, stamp: Option<u64>) {
        self.change(at.leaf, |leaf| leaf.set_stamp(at.slot as usize, stamp));
        self.split_while_full(at.leaf);
    }

    /// Takes a key out.
    pub fn remove(&mut self, at: At) {
        self.change(at.leaf, |leaf| leaf.remove(at.slot as usize));
        self.len -= 1;
        if self.leaf(at.leaf).is_sparse() {
            self.merge(at.leaf);
        }
    }

    fn split_while_full(&mut self, number: u32) {
        while self.leaf(number).is_full() && self.leaf(number).depth < DEPTH_MAX {
            let other = self.split(number);
            // All may have gone to one side.
            if self.leaf(other).is_full() {
                self.split_while_full(other);
            }
        }
    }

    /// Splits a leaf and returns the number of the new one.
    fn split(&mut self, number: u32) -> u32 {
        if self.leaf(number).depth == self.depth {
            self.directory.reserve_exact(self.directory.len());
            self.directory.extend_from_within(..);
            self.depth += 1;
            self.deepest = 0;
        }
        let mut new = Leaf::default();
        self.change(number, |leaf| new = leaf.split());
        self.leaf_bytes += new.bytes();
        if new.depth == self.depth {
            self.deepest += 2;
        }
        let other = self.push_leaf(new);
        self.point_at(other);
        other
    }

    fn push_leaf(&mut self, leaf: Leaf<VALUED>) -> u32 {
        if self.leaves.last().is_none_or(|segment| segment.len() == SEGMENT) {
            self.leaves.push(SharedVec::new());
        }
        let full = self.leaves.len() - 1;
        let segment = &mut self.leaves[full];
        if segment.len() == segment.capacity() {
            // The first segments of small tables grow in small steps; a large table does not care.
            let step = if full == 0 { 1 + segment.len() / 4 } else { SEGMENT };
            segment.reserve_exact(step.min(SEGMENT - segment.len()));
        }
        segment.push(leaf);
        (full * SEGMENT + segment.len() - 1) as u32
    }

    /// Enters a leaf into the directory wherever its prefix says.
    fn point_at(&mut self, number: u32) {
        let (prefix, depth) = (self.leaf(number).prefix, self.leaf(number).depth);
        for entry in self.directory[prefix as usize..].iter_mut().step_by(1 << depth) {
            *entry = number;
        }
    }

    /// Makes a leaf and its neighbour one, as often as they are small enough.
    fn merge(&mut self, mut number: u32) {
        while let Some(other) = self.neighbour(number) {
            let gone = self.take_leaf(other);
            // The last leaf now has the number of the one taken.
            if number as usize == self.leaf_count() {
                number = other;
            }
            self.leaf_bytes -= gone.bytes();
            if gone.depth == self.depth {
                self.deepest -= 2;
            }
            self.change(number, |leaf| leaf.absorb(gone));
            self.point_at(number);
            self.halve_while_shallow();
        }
    }

    /// The leaf that this one was split from or into, if the two may merge.
    fn neighbour(&self, number: u32) -> Option<u32> {
        let leaf = self.leaf(number);
        let bit = 1usize << leaf.depth.checked_sub(1)?;
        let other = self.directory[leaf.prefix as usize ^ bit];
        leaf.may_merge(self.leaf(other)).then_some(other)
    }

    fn leaf_count(&self) -> usize {
        (self.leaves.len() - 1) * SEGMENT + self.leaves.last().map_or(0, |segment| segment.len())
    }

    /// Takes a leaf out of the list. The last leaf gets its number; the directory still names the one taken.
    fn take_leaf(&mut self, number: u32) -> Leaf<VALUED> {
        let last = self.leaf_count() - 1;
        let segment = &mut self.leaves[last / SEGMENT];
        let moved = segment.pop().expect("the last segment has a leaf");
        if segment.is_empty() && last > 0 {
            self.leaves.pop();
            if self.leaves.len() < self.leaves.capacity() / 2 {
                self.leaves.shrink_to_fit();
            }
        }
        if number as usize == last {
            return moved;
        }
        let taken = std::mem::replace(self.leaf_mut(number), moved);
        self.point_at(number);
        taken
    }

    fn halve_while_shallow(&mut self) {
        while self.deepest == 0 && self.depth > 0 {
            self.depth -= 1;
            self.directory.truncate(1 << self.depth);
            self.directory.shrink_to_fit();
            let deepest = self.all_leaves().filter(|leaf| leaf.depth == self.depth).count();
            self.deepest = deepest as u32;
        }
    }

    fn all_leaves(&self) -> impl Iterator<Item = &Leaf<VALUED>> {
        self.leaves.iter().flatten()
    }

    /// A place drawn by lot, all being equally likely. `None` if the table is empty.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<At> {
        if self.is_empty() {
            return None;
        }
        let leaves = self.leaf_count();
        let slots = if leaves == 1 { self.leaf(0).len() } else { ENTRIES_MAX };
        // A leaf is drawn, then a slot of as many as a full leaf has; the draw counts if the slot is used.
        loop {
            let number = draw::below(random, leaves * slots);
            let at = At { leaf: (number / slots) as u32, slot: (number % slots) as u32 };
            if (at.slot as usize) < self.leaf(at.leaf).len() {
                return Some(at);
            }
        }
    }

    /// Visits `count` different places drawn by lot, or all there are.
    pub fn sample(&self, count: usize, random: &mut impl FnMut() -> u64, mut visit: impl FnMut(At)) {
        // Up to a third of all, draws rarely hit what has been drawn; above, a pass over all is cheaper.
        if count > self.len / 3 {
            return draw::choose(self.places(), self.len, count, random, visit);
        }
        let mut drawn = std::collections::HashSet::with_capacity(count);
        while drawn.len() < count {
            let Some(at) = self.random(random) else { return };
            if drawn.insert(at) {
                visit(at);
            }
        }
    }

    /// All places, in an order that stays the same until the table is changed.
    pub fn places(&self) -> impl Iterator<Item = At> + '_ {
        self.all_leaves()
            .enumerate()
            .flat_map(|(leaf, entries)| (0..entries.len()).map(move |slot| At { leaf: leaf as u32, slot: slot as u32 }))
    }

    /// Visits the keys of one leaf, and returns the cursor to go on from: 0 at the end.
    ///
    /// A walk starts at 0. It visits each key that is there from its start to its end at least once, whatever comes
    /// and goes meanwhile. A cursor that no walk returned is taken as some place in the order.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(At)) -> u64 {
        let place = cursor as u32;
        let number = self.leaf_of(u64::from(place.reverse_bits()));
        let leaf = self.leaf(number);
        for slot in 0..leaf.len() {
            visit(At { leaf: number, slot: slot as u32 });
        }
        let start = u64::from(leaf.prefix.reverse_bits());
        let end = start + (1 << (CURSOR_BITS - u32::from(leaf.depth)));
        if end >> CURSOR_BITS == 0 { end } else { 0 }
    }

    /// Visits keys from a cursor on until `count` have been, whole leaves at a time, as [`Dict::scan`] does.
    pub fn scan_many(&self, mut cursor: u64, count: usize, mut visit: impl FnMut(At)) -> u64 {
        let mut visited = 0;
        loop {
            cursor = self.scan(cursor, |at| {
                visited += 1;
                visit(at);
            });
            if cursor == 0 || visited >= count {
                return cursor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, text};
    use super::*;
    use std::collections::{BTreeSet, HashMap};

    /// Everything that must hold between the parts of a table.
    fn check<const VALUED: bool>(dict: &Dict<VALUED>, context: &str) {
        assert_eq!(dict.directory.len(), 1 << dict.depth, "{context}");
        let mut deepest = 0;
        for (index, &number) in dict.directory.iter().enumerate() {
            let leaf = dict.leaf(number);
            assert_eq!(index & ((1 << leaf.depth) - 1), leaf.prefix as usize, "{context}");
        }
        for (number, leaf) in dict.all_leaves().enumerate() {
            assert_eq!(dict.directory[leaf.prefix as usize] as usize, number, "{context}");
            deepest += u32::from(leaf.depth == dict.depth);
        }
        assert_eq!(dict.deepest, deepest, "{context}");
        assert_eq!(dict.leaf_bytes, dict.all_leaves().map(Leaf::bytes).sum::<usize>(), "{context}");
        assert_eq!(dict.len, dict.all_leaves().map(Leaf::len).sum::<usize>(), "{context}");
    }

    fn put(dict: &mut Dict<true>, key: &[u8], value: &[u8], stamp: Option<u64>) {
        match dict.find(Item::of(key)) {
            Ok(at) => {
                dict.replace_value(at, Item::of(value), false);
                let at = dict.find(Item::of(key)).ok().expect("it was there");
                dict.set_stamp(at, stamp);
            }
            Err(absent) => dict.insert(absent, Item::of(value), stamp),
        }
    }

    #[test]
    fn random_changes_agree_with_a_map() {
        for seed in 31..34 {
            let mut random = Random::new(seed);
            let mut dict = Dict::<true>::new();
            let mut twin: HashMap<Vec<u8>, (Vec<u8>, Option<u64>)> = HashMap::new();
            for step in 0..30_000 {
                let context = format!("seed {seed}, step {step}");
                let mut key = text(&mut random);
                key.extend_from_slice(random.below(20).to_string().as_bytes());
                // It grows, shrinks and grows again.
                let grows = step / 6000 % 2 == 0;
                if random.below(10) < if grows { 7 } else { 2 } {
                    let value = text(&mut random);
                    let stamp = (random.below(3) == 0).then(|| random.next() >> 16);
                    put(&mut dict, &key, &value, stamp);
                    twin.insert(key.clone(), (value, stamp));
                } else if let Some(at) = dict.random(&mut || random.next()) {
                    let key = dict.key(at).to_vec();
                    dict.remove(at);
                    assert!(twin.remove(&key).is_some(), "{context}");
                }
                let found = dict.find(Item::of(&key)).ok();
                let seen = found.map(|at| (dict.value(at).to_vec(), dict.stamp(at)));
                assert_eq!(seen.as_ref(), twin.get(&key), "{context}");
                if step % 1000 == 0 {
                    check(&dict, &context);
                    check(&dict.clone(), &context);
                }
            }
            let all: HashMap<_, _> =
                dict.places().map(|at| (dict.key(at).to_vec(), (dict.value(at).to_vec(), dict.stamp(at)))).collect();
            assert_eq!(all, twin, "seed {seed}");
        }
    }

    #[test]
    fn an_emptied_table_is_as_small_as_a_new_one() {
        let mut dict = Dict::<false>::new();
        let new = dict.bytes();
        for number in 0..100_000 {
            assert!(dict.add(Element::Int(number)));
        }
        check(&dict, "full");
        for number in 0..100_000 {
            let at = dict.find(Item::new(Element::Int(number), super::super::item::Widths::All)).ok();
            dict.remove(at.expect("it was added"));
        }
        check(&dict, "empty");
        assert_eq!((dict.len(), dict.depth, dict.leaf_bytes), (0, 0, 0));
        assert!(dict.bytes() <= new + SEGMENT * size_of::<Leaf<false>>() + 4 * size_of::<Vec<Leaf<false>>>());
    }

    #[test]
    fn a_scan_misses_nothing_that_stays_while_the_table_grows_and_shrinks() {
        for seed in 41..49 {
            let mut random = Random::new(seed);
            let mut dict = Dict::<false>::new();
            for number in 0..5000 {
                dict.add(Element::Int(number));
            }
            // Numbers divisible by ten stay; the others go, or as many again come, while the scan runs.
            let shrinks = seed % 2 == 0;
            let mut victims: Vec<i64> = (0..5000).filter(|number| number % 10 != 0).collect();
            let mut new = 1_000_000;
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = dict.scan(cursor, |at| {
                    if let Element::Int(number) = dict.key(at) {
                        seen.insert(number);
                    }
                });
                if cursor == 0 {
                    break;
                }
                for _ in 0..random.below(200) {
                    if shrinks && !victims.is_empty() {
                        let victim = victims.swap_remove(random.below(victims.len()));
                        let found = dict.find(Item::new(Element::Int(victim), super::super::item::Widths::All));
                        dict.remove(found.ok().expect("it has not been removed"));
                    } else if !shrinks && new < 1_050_000 {
                        dict.add(Element::Int(new));
                        new += 1;
                    }
                }
            }
            check(&dict, &format!("seed {seed}"));
            assert!((0..5000).step_by(10).all(|number| seen.contains(&number)), "seed {seed}");
        }
    }

    #[test]
    fn a_scan_of_a_table_at_rest_visits_each_key_once_and_takes_any_cursor() {
        let mut dict = Dict::<false>::new();
        (0..3000).for_each(|number| assert!(dict.add(Element::Int(number))));
        let (mut cursor, mut visits) = (0, 0);
        loop {
            cursor = dict.scan_many(cursor, 10, |_| visits += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(visits, 3000);
        for cursor in [1, 77, u64::MAX, 1 << 31, 1 << 40] {
            dict.scan(cursor, |at| assert!(dict.key(at) != Element::Int(-1)));
        }
    }

    #[test]
    fn draws_are_fair() {
        let seed = 51;
        let mut random = Random::new(seed);
        let mut dict = Dict::<false>::new();
        (0..500).for_each(|number| assert!(dict.add(Element::Int(number))));
        let mut drawn = [0u32; 500];
        let mut count = |at| match dict.key(at) {
            Element::Int(number) => drawn[number as usize] += 1,
            Element::Text(_) => unreachable!("only integers were added"),
        };
        for _ in 0..100_000 {
            count(dict.random(&mut || random.next()).expect("it has keys"));
        }
        for _ in 0..1000 {
            dict.sample(50, &mut || random.next(), &mut count);
            dict.sample(250, &mut || random.next(), &mut count);
        }
        // 800 are expected; the standard deviation is about 25.
        assert!(drawn.iter().all(|times| (650..950).contains(times)), "seed {seed}: {drawn:?}");
    }

    #[test]
    fn a_sample_has_no_key_twice() {
        let mut random = Random::new(52);
        let mut dict = Dict::<false>::new();
        (0..300).for_each(|number| assert!(dict.add(Element::Int(number))));
        for count in [0, 1, 99, 101, 299, 300, 1000] {
            let mut seen = BTreeSet::new();
            dict.sample(count, &mut || random.next(), |at| assert!(seen.insert((at.leaf, at.slot))));
            assert_eq!(seen.len(), count.min(300));
        }
    }
}
