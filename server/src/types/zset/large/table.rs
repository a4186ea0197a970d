//! The members of a large sorted set by their hash: linear hashing (Litwin, 1980) over small buckets.
//!
//! The table grows by one bucket at a time: the next in turn is split in two, so no insert moves more than the members
//! of one bucket, and nothing is ever doubled. A bucket is as long as it must be, so there are no overflow chains.
//! With `n` buckets and `2^k <= n`, a hash belongs to bucket `hash mod 2^(k+1)`, or `mod 2^k` if the former is not there
//! yet. So a bucket is a set of hashes with the same low bits, and a scan in the order of the reversed bits meets each
//! member that stays, however the table grows and shrinks meanwhile.

use super::super::steps::{self, List};
use super::element::Element;
use crate::base::hash;

/// More members for each bucket than this, and one is split; buckets then have 32 to 64, those split already 16 to 32.
const LOAD_MAX: usize = 32;

/// Fewer than this, and the last bucket is merged with the one it came from.
const LOAD_MIN: usize = 20;

/// Buckets in one segment of the list of buckets, which so grows without being copied.
const SEGMENT: usize = 64;

/// Buckets that the first segment grows by.
const SEGMENT_STEP: usize = 8;

/// Members of a group.
const GROUP: usize = 8;

/// Eight members with a byte of each one's hash, which tells most others apart without a look at them.
struct Group {
    /// 0 where there is no member. The places are taken from the first on.
    tags: [u8; GROUP],
    elements: [Option<Element>; GROUP],
}

/// All groups but the last are full.
#[derive(Default)]
struct Bucket {
    groups: Vec<Group>,
}

/// The owner of all elements.
pub(super) struct Table {
    /// All segments but the last are full.
    segments: Vec<Vec<Bucket>>,
    /// At least 1.
    buckets: usize,
    len: usize,
    /// Of segments, buckets and elements.
    bytes: usize,
}

impl Table {
    pub(super) fn new() -> Table {
        let mut table = Table { segments: Vec::new(), buckets: 0, len: 0, bytes: 0 };
        table.push_bucket();
        table
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, hash: u64, member: &[u8]) -> Option<&Element> {
        self.bucket(self.index(hash)).get(tag(hash), member)
    }

    pub(super) fn get_mut(&mut self, hash: u64, member: &[u8]) -> Option<&mut Element> {
        let index = self.index(hash);
        self.bucket_mut(index).get_mut(tag(hash), member)
    }

    /// Adds an element whose member is not there yet.
    pub(super) fn insert(&mut self, hash: u64, element: Element) {
        self.bytes += element.bytes();
        self.len += 1;
        let index = self.index(hash);
        let mut grown = 0;
        self.bucket_mut(index).push(tag(hash), element, &mut grown);
        self.bytes += grown;
        if self.len > self.buckets * LOAD_MAX {
            self.split_next();
        }
    }

    pub(super) fn remove(&mut self, hash: u64, member: &[u8]) -> Option<Element> {
        let index = self.index(hash);
        let before = self.bucket(index).bytes();
        let element = self.bucket_mut(index).remove(tag(hash), member)?;
        self.bytes -= before - self.bucket(index).bytes();
        self.bytes -= element.bytes();
        self.len -= 1;
        if self.buckets > 1 && self.len < self.buckets * LOAD_MIN {
            self.merge_last();
        }
        Some(element)
    }

    /// Shows all members whose hashes share the low bits of `cursor` and gives the cursor behind them; 0 is the end.
    pub(super) fn scan<'a>(&'a self, cursor: u64, mut show: impl FnMut(&'a Element)) -> u64 {
        let index = self.index(cursor);
        self.bucket(index).elements().for_each(&mut show);
        // The bits that the bucket does not look at are all passed; the ones above it count on from the top.
        let passed = cursor | !self.mask(index);
        passed.reverse_bits().wrapping_add(1).reverse_bits()
    }

    /// The greatest power of two that is at most the number of buckets.
    fn level(&self) -> usize {
        1 << self.buckets.ilog2()
    }

    fn index(&self, hash: u64) -> usize {
        let level = self.level();
        let wide = hash as usize & (2 * level - 1);
        if wide < self.buckets { wide } else { wide & (level - 1) }
    }

    /// The bits of a hash that decide for this bucket.
    fn mask(&self, index: usize) -> u64 {
        let level = self.level();
        let is_split = index >= level || index + level < self.buckets;
        (if is_split { 2 * level } else { level }) as u64 - 1
    }

    fn bucket(&self, index: usize) -> &Bucket {
        &self.segments[index / SEGMENT][index % SEGMENT]
    }

    fn bucket_mut(&mut self, index: usize) -> &mut Bucket {
        &mut self.segments[index / SEGMENT][index % SEGMENT]
    }

    fn push_bucket(&mut self) {
        if self.buckets.is_multiple_of(SEGMENT) {
            // The list of segments may double: it has 24 bytes for some 2000 members.
            let before = self.segments.heap();
            self.segments.push(Vec::new());
            self.bytes += self.segments.heap() - before;
        }
        let step = if self.buckets < SEGMENT { SEGMENT_STEP } else { SEGMENT };
        let last = self.segments.last_mut().expect("pushed if there was none");
        steps::insert(last, last.len(), Bucket::default(), step, &mut self.bytes);
        self.buckets += 1;
    }

    fn split_next(&mut self) {
        let index = self.buckets - self.level();
        self.push_bucket();
        let old = std::mem::take(self.bucket_mut(index));
        self.bytes -= old.bytes();
        self.spread(old);
    }

    fn merge_last(&mut self) {
        let segment = self.segments.last_mut().expect("there is a bucket");
        let old = segment.pop().expect("no segment is empty");
        self.bytes -= old.bytes();
        if segment.is_empty() {
            // Its places are given back at once; only the first segment goes back by steps.
            self.bytes -= segment.heap();
            self.segments.pop();
        } else if self.segments.len() == 1 {
            steps::trim(&mut self.segments[0], SEGMENT_STEP, &mut self.bytes);
        }
        self.buckets -= 1;
        self.spread(old);
    }

    /// Gives the elements of a bucket that is no longer there to those they belong to now.
    fn spread(&mut self, old: Bucket) {
        for element in old.groups.into_iter().flat_map(|group| group.elements).flatten() {
            let hash = hash::of(element.member());
            let index = self.index(hash);
            let mut grown = 0;
            self.bucket_mut(index).push(tag(hash), element, &mut grown);
            self.bytes += grown;
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let buckets = || self.segments.iter().flatten();
        assert_eq!(buckets().count(), self.buckets);
        assert_eq!(buckets().flat_map(Bucket::elements).count(), self.len);
        let segments: usize = self.segments.iter().map(List::heap).sum();
        let elements: usize = buckets().flat_map(Bucket::elements).map(Element::bytes).sum();
        let groups: usize = buckets().map(Bucket::bytes).sum();
        assert_eq!(self.segments.heap() + segments + elements + groups, self.bytes);
        for (index, bucket) in buckets().enumerate() {
            assert!(bucket.elements().all(|element| self.index(hash::of(element.member())) == index));
        }
    }
}

impl Bucket {
    fn bytes(&self) -> usize {
        self.groups.heap()
    }

    fn elements(&self) -> impl Iterator<Item = &Element> {
        self.groups.iter().flat_map(|group| &group.elements).flatten()
    }

    fn find(&self, tag: u8, member: &[u8]) -> Option<(usize, usize)> {
        self.groups.iter().enumerate().find_map(|(index, group)| Some((index, group.find(tag, member)?)))
    }

    fn get(&self, tag: u8, member: &[u8]) -> Option<&Element> {
        let (group, place) = self.find(tag, member)?;
        self.groups[group].elements[place].as_ref()
    }

    fn get_mut(&mut self, tag: u8, member: &[u8]) -> Option<&mut Element> {
        let (group, place) = self.find(tag, member)?;
        self.groups[group].elements[place].as_mut()
    }

    fn push(&mut self, tag: u8, element: Element, bytes: &mut usize) {
        if self.groups.last().is_none_or(|group| group.len() == GROUP) {
            let end = self.groups.len();
            steps::insert(&mut self.groups, end, Group::default(), 1, bytes);
        }
        let group = self.groups.last_mut().expect("pushed if there was none");
        let place = group.len();
        group.tags[place] = tag;
        group.elements[place] = Some(element);
    }

    /// The last element of the bucket takes the place of the removed one.
    fn remove(&mut self, tag: u8, member: &[u8]) -> Option<Element> {
        let (group, place) = self.find(tag, member)?;
        let last = self.groups.last_mut().expect("one is found");
        let end = last.len() - 1;
        let tag = std::mem::take(&mut last.tags[end]);
        let moved = last.elements[end].take();
        let found = &mut self.groups[group];
        // Where the found one is the last one, its place is empty by now.
        let is_last = found.elements[place].is_none();
        let removed = if is_last { moved } else { std::mem::replace(&mut found.elements[place], moved) };
        if !is_last {
            found.tags[place] = tag;
        }
        if end == 0 {
            self.groups.pop();
            self.groups.shrink_to_fit();
        }
        removed
    }
}

impl Default for Group {
    fn default() -> Group {
        Group { tags: [0; GROUP], elements: [const { None }; GROUP] }
    }
}

impl Group {
    fn len(&self) -> usize {
        GROUP - u64::from_le_bytes(self.tags).leading_zeros() as usize / 8
    }

    fn find(&self, tag: u8, member: &[u8]) -> Option<usize> {
        const ONES: u64 = u64::MAX / 255;
        let differing = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        // The top bit of each byte that is zero, and of a few above such a one, which the member tells apart.
        let mut zeros = differing.wrapping_sub(ONES) & !differing & (ONES << 7);
        while zeros != 0 {
            let place = zeros.trailing_zeros() as usize / 8;
            if self.elements[place].as_ref().is_some_and(|element| element.member() == member) {
                return Some(place);
            }
            zeros &= zeros - 1;
        }
        None
    }
}

/// From the top of the hash, since the low bits are those that members of a bucket share. Never 0.
fn tag(hash: u64) -> u8 {
    ((hash >> 56) as u8).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// How many times fewer members are tried under Miri, which is slow.
    const FEWER: u32 = if cfg!(miri) { 20 } else { 1 };

    fn name(number: u32) -> Vec<u8> {
        format!("member:{number}").into_bytes()
    }

    fn add(table: &mut Table, number: u32) {
        let name = name(number);
        table.insert(hash::of(&name), Element::new(f64::from(number), &name));
    }

    fn take(table: &mut Table, number: u32) -> Option<Element> {
        let name = name(number);
        table.remove(hash::of(&name), &name)
    }

    #[test]
    fn members_are_found_while_the_table_grows_and_shrinks() {
        let mut table = Table::new();
        let count = 3000 / FEWER;
        for number in 0..count {
            add(&mut table, number);
            if number % 97 == 0 {
                table.check();
            }
        }
        for number in 0..count {
            assert_eq!(take(&mut table, number).expect("it was added").score(), f64::from(number));
            assert!(take(&mut table, number).is_none());
            let next = name(number + 1);
            assert_eq!(table.get(hash::of(&next), &next).is_some(), number + 1 < count);
            if number % 97 == 0 {
                table.check();
            }
        }
        table.check();
        assert_eq!((table.buckets, table.len), (1, 0));
    }

    #[test]
    fn a_scan_meets_all_that_stay_while_the_table_grows_and_shrinks() {
        for (stay, others) in [(100, 4000), (1000, 10_000), (740, 4000)] {
            let (stay, others) = (stay / FEWER, others / FEWER);
            let mut table = Table::new();
            (0..stay).for_each(|number| add(&mut table, number));
            let mut met = HashSet::new();
            let (mut cursor, mut next, mut grows) = (0, stay, true);
            let mut steps = 0;
            loop {
                cursor = table.scan(cursor, |element| {
                    met.insert(element.member().to_vec());
                });
                steps += 1;
                if cursor == 0 {
                    break;
                }
                for _ in 0..300 / FEWER {
                    grows = if next == others { false } else { grows || next == stay };
                    if grows {
                        add(&mut table, next);
                        next += 1;
                    } else {
                        next -= 1;
                        take(&mut table, next);
                    }
                }
            }
            assert!((0..stay).all(|number| met.contains(&name(number))), "{stay} {others}");
            assert!(steps > 1 || cfg!(miri));
        }
    }

    #[test]
    fn a_scan_of_a_table_at_rest_meets_each_member_once() {
        let (mut table, count) = (Table::new(), 5000 / FEWER);
        (0..count).for_each(|number| add(&mut table, number));
        let (mut met, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = table.scan(cursor, |element| met.push(element.score()));
            if cursor == 0 {
                break;
            }
        }
        met.sort_by(f64::total_cmp);
        assert!(met.iter().copied().eq((0..count).map(f64::from)));
    }
}
