//! The table of one slot: from a hash to the reference of a record.
//!
//! A line is 64 bytes: ten 16-bit tags, ten references and the count of keys that found it full and went on to the
//! next line. So a lookup touches one line and one record. Leaves grow by an eighth to a quarter. A leaf that would
//! need more than [`LINES_MAX`] lines splits in two by the low bits of the hash (extendible hashing, Fagin et al.
//! 1979), so growing takes microseconds however many keys share a hash tag. A slot of up to three keys needs no line: see
//! [`few`].
//!
//! Which bits of a hash do what: bits 32..64 choose the line (by multiplication, so leaves need no power of two),
//! bits 44..60 are the tag, and the low bits choose the leaf.

use super::arena::Ref;
use super::lines::{LINE_BYTES, Lines, RUN_MAX, Run};
use super::tags;
use few::{FEW_MAX, Few};
use std::ptr::NonNull;

mod few;

/// Keys in a line.
const WAYS: usize = 10;

/// Lines in a leaf, beyond which it splits.
const LINES_MAX: u32 = 128;

/// The most low bits that choose a leaf. Leaves of a table that has used them up grow to [`RUN_MAX`] lines, so a slot
/// holds 75 million keys.
const DEPTH_MAX: u8 = 16;

#[repr(C, align(64))]
struct Line {
    tags: [u16; WAYS],
    refs: [Ref; WAYS],
    /// Keys that belong here or before, found this line full, and lie behind it.
    overflow: u32,
}

/// Where a key lies in its table, until the table changes.
#[derive(Clone, Copy, Debug)]
pub struct At {
    leaf: u32,
    line: u32,
    way: u8,
}

/// The part of a hash that a queue or a wheel keeps to find a record again: the top 9 bits, then the low 15 bits.
///
/// The nine bits name a line of a table that has one leaf; a larger table needs all 24 bits.
pub fn name_of(hash: u64) -> u32 {
    ((hash >> 55) as u32) << 23 | ((hash & 0x7FFF) as u32) << 8
}

/// Whether a hash bears a name of which `bits` bits are known.
pub fn has_name(hash: u64, prefix: u32, bits: u8) -> bool {
    name_of(hash) >> (32 - bits) == prefix
}

/// A place in a table's order for `SCAN`, which stays right while the table grows, shrinks and splits.
///
/// The upper 16 bits are the low bits of the hash reversed, the lower 22 its top bits: leaves split, and lines spread,
/// in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanAt(pub u64);

const SCAN_LINE_BITS: u32 = 22;

/// One past the last [`ScanAt`].
pub const SCAN_END: u64 = 1 << (16 + SCAN_LINE_BITS);

#[derive(Default)]
pub struct Table {
    root: Root,
}

/// Sixteen bytes: the mark in a leaf tells the variants apart. A table without keys has few.
enum Root {
    Few(Few),
    Leaf(Leaf),
    Tree(Box<Tree>),
}

impl Default for Root {
    fn default() -> Root {
        Root::Few(Few::default())
    }
}

const _: () = assert!(size_of::<Table>() == 16);

struct Tree {
    /// Low bits of the hash that index `directory`.
    depth: u8,
    directory: Vec<u32>,
    leaves: Vec<(Leaf, u8)>,
}

/// In this order, so that the mark has the last byte and the first fifteen are free for other variants.
#[repr(C)]
struct Leaf {
    lines: NonNull<Line>,
    run: Run,
    keys: u16,
    count: u8,
    mark: Mark,
}

/// Its other values stand for the other variants of [`Root`].
#[repr(u8)]
enum Mark {
    Leaf = 0,
}

const _: () = assert!(RUN_MAX as usize * WAYS <= u16::MAX as usize && size_of::<Line>() == LINE_BYTES);
const _: () = assert!(RUN_MAX <= u8::MAX as u32);

// SAFETY: a leaf owns its lines.
unsafe impl Send for Leaf {}

impl Table {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        match &self.root {
            Root::Few(few) => few.len(),
            Root::Leaf(leaf) => leaf.keys as usize,
            Root::Tree(tree) => tree.leaves.iter().map(|(leaf, _)| leaf.keys as usize).sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nine bits of a hash no longer name a line.
    pub fn is_wide(&self) -> bool {
        matches!(self.root, Root::Tree(_))
    }

    /// Finds the key of this hash for which `is_it` answers yes.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(Ref) -> bool) -> Option<(At, Ref)> {
        let Some((number, leaf)) = self.leaf_of(hash) else {
            let Root::Few(few) = &self.root else { return None };
            return few.find(hash, is_it).map(|(way, found)| (At { leaf: 0, line: 0, way }, found));
        };
        leaf.find(hash, is_it).map(|(line, way, found)| (At { leaf: number, line, way }, found))
    }

    /// Asks the CPU for the line of a hash.
    #[inline]
    pub fn prefetch_line(&self, hash: u64) {
        if let Some((_, leaf)) = self.leaf_of(hash) {
            prefetch(leaf.line_ptr(leaf.home(hash)).cast());
        }
    }

    /// The references in the hash's line that may be its record's.
    #[inline]
    pub fn candidates(&self, hash: u64, mut each: impl FnMut(Ref)) {
        if let Some((_, leaf)) = self.leaf_of(hash) {
            let line = leaf.line(leaf.home(hash));
            let mut bits = tags::matches(&line.tags, tag_of(hash));
            while bits != 0 {
                each(line.refs[bits.trailing_zeros() as usize]);
                bits &= bits - 1;
            }
        } else if let Root::Few(few) = &self.root {
            few.each_like(hash, each);
        }
    }

    /// Changes the reference of a key that was found.
    pub fn set(&mut self, at: At, to: Ref) {
        if let Root::Few(few) = &mut self.root {
            return few.set(at.way, to);
        }
        let leaf = self.leaf_mut(at.leaf);
        leaf.line_mut(at.line).refs[at.way as usize] = to;
    }

    /// Adds a key that is not there. `hash_of` tells the hash of keys that must move to make room.
    pub fn insert(&mut self, hash: u64, new: Ref, lines: &mut Lines, hash_of: &dyn Fn(Ref) -> u64) {
        if let Root::Few(few) = &mut self.root {
            if few.insert(hash, new) {
                return;
            }
            let mut leaf = Leaf::new(1, lines);
            few.each(|found| leaf.insert(hash_of(found), found));
            self.root = Root::Leaf(leaf);
        }
        loop {
            let (number, leaf) = self.leaf_of(hash).expect("the root has a leaf");
            if u32::from(leaf.keys) < capacity(leaf.lines()) {
                return self.leaf_mut(number).insert(hash, new);
            }
            let next = larger(leaf.lines());
            if next <= LINES_MAX || self.depth_of(number) >= DEPTH_MAX {
                self.leaf_mut(number).resize(next, lines, hash_of);
            } else {
                self.split(number, lines, hash_of);
            }
        }
    }

    /// The lines that the table will ask for when a key of this hash is inserted, if it has no room for it.
    #[inline]
    pub fn wants(&self, hash: u64) -> Option<u32> {
        let Some((_, leaf)) = self.leaf_of(hash) else { return (self.len() == FEW_MAX).then_some(1) };
        (u32::from(leaf.keys) >= capacity(leaf.lines())).then(|| larger(leaf.lines()).min(RUN_MAX))
    }

    /// Takes a key that was found out.
    pub fn remove(&mut self, at: At, hash: u64, lines: &mut Lines, hash_of: &dyn Fn(Ref) -> u64) {
        if let Root::Few(few) = &mut self.root {
            return few.remove(at.way);
        }
        let leaf = self.leaf_mut(at.leaf);
        leaf.remove(at.line, at.way, hash);
        let keys = u32::from(leaf.keys);
        if leaf.count > 1 && keys > 0 && keys < capacity(leaf.lines()) / 3 {
            leaf.resize(fitting(keys + keys / 8), lines, hash_of);
        } else if keys < FEW_MAX as u32 {
            self.make_few(lines, hash_of);
        }
    }

    /// Gives the lines back if so few keys are left that they need none. One more would fit, so that a key which comes and
    /// goes does not take and give a line each time.
    fn make_few(&mut self, lines: &mut Lines, hash_of: &dyn Fn(Ref) -> u64) {
        if self.len() < FEW_MAX {
            let mut few = Few::default();
            self.each(|found| _ = few.insert(hash_of(found), found));
            self.clear(lines);
            self.root = Root::Few(few);
        }
    }

    /// The runs of lines that the table holds, so that they can be moved; [`Table::moved`] must follow.
    pub fn runs(&mut self) -> impl Iterator<Item = (&mut Run, u32)> {
        self.leaves_mut().map(|leaf| {
            let lines = leaf.lines();
            (&mut leaf.run, lines)
        })
    }

    /// Notes that the runs have moved.
    pub fn moved(&mut self, lines: &Lines) {
        self.leaves_mut().for_each(|leaf| leaf.lines = lines.at(leaf.run).cast());
    }

    fn leaves_mut(&mut self) -> impl Iterator<Item = &mut Leaf> {
        let (one, many) = match &mut self.root {
            Root::Few(_) => (None, None),
            Root::Leaf(leaf) => (Some(leaf), None),
            Root::Tree(tree) => (None, Some(tree.leaves.iter_mut().map(|(leaf, _)| leaf))),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Gives the lines back; the records are the caller's.
    pub fn clear(&mut self, lines: &mut Lines) {
        match std::mem::take(&mut self.root) {
            Root::Few(_) => {}
            Root::Leaf(leaf) => leaf.give(lines),
            Root::Tree(tree) => tree.leaves.into_iter().for_each(|(leaf, _)| leaf.give(lines)),
        }
    }

    /// Every reference.
    pub fn each(&self, mut each: impl FnMut(Ref)) {
        match &self.root {
            Root::Few(few) => few.each(each),
            Root::Leaf(leaf) => leaf.each(&mut each),
            Root::Tree(tree) => tree.leaves.iter().for_each(|(leaf, _)| leaf.each(&mut each)),
        }
    }

    /// Every reference whose key may bear a name (see [`name_of`]) of which `bits` (9 or 24) bits are known.
    ///
    /// Nine bits mean nothing once the table has split: its records have got longer names by then.
    pub fn each_named(&self, prefix: u32, bits: u8, mut each: impl FnMut(Ref)) {
        let top = if bits == 9 { prefix } else { prefix >> 15 };
        let mut visit = |leaf: &Leaf| leaf.each_in((top as u64) << 55, (top as u64 + 1) << 55, top, &mut each);
        match &self.root {
            Root::Few(few) => few.each_like(u64::from(top) << 55, each),
            Root::Leaf(leaf) => visit(leaf),
            Root::Tree(_) if bits == 9 => {}
            Root::Tree(tree) => {
                // The name knows 15 low bits; at depth 16 both leaves that share them are asked.
                let low = prefix & 0x7FFF;
                let step = 1 << tree.depth.min(15);
                let mut index = (low & (step - 1)) as usize;
                let mut last = None;
                while index < tree.directory.len() {
                    let number = tree.directory[index];
                    if last != Some(number) {
                        visit(&tree.leaves[number as usize].0);
                    }
                    last = Some(number);
                    index += step as usize;
                }
            }
        }
    }

    /// Asks the CPU for the line that a name leads to.
    pub fn prefetch_named(&self, prefix: u32, bits: u8) {
        let top = if bits == 9 { prefix } else { prefix >> 15 };
        let leaf = match &self.root {
            Root::Few(_) => return,
            Root::Leaf(leaf) => leaf,
            Root::Tree(_) if bits == 9 => return,
            Root::Tree(tree) => {
                let index = (prefix & 0x7FFF) as usize & (tree.directory.len() - 1);
                &tree.leaves[tree.directory[index] as usize].0
            }
        };
        prefetch(leaf.line_ptr(leaf.home((top as u64) << 55)).cast());
    }

    /// Visits the keys of one line of the order, and returns where the next begins, or `None` at the end.
    ///
    /// A key that is in the table during a whole scan is visited; one that comes, goes or moves may be visited or not.
    pub fn scan(&self, from: ScanAt, hash_of: &dyn Fn(Ref) -> u64, mut each: impl FnMut(Ref)) -> Option<ScanAt> {
        let low = ((from.0 >> SCAN_LINE_BITS) as u16).reverse_bits();
        let Some((number, leaf)) = self.leaf_of(low as u64) else {
            self.each(each);
            return None;
        };
        let depth = self.depth_of(number) as u32;
        let top = (from.0 & ((1 << SCAN_LINE_BITS) - 1)) << (64 - SCAN_LINE_BITS);
        let home = leaf.home(top);
        leaf.each_homed(home, hash_of, &mut each);
        if home + 1 < leaf.lines() {
            // The first position whose home is the next line.
            let next = ((home as u64 + 1) << SCAN_LINE_BITS).div_ceil(u64::from(leaf.count));
            return Some(ScanAt(from.0 >> SCAN_LINE_BITS << SCAN_LINE_BITS | next));
        }
        let width = 1u64 << (16 - depth);
        let leaf_start = (from.0 >> SCAN_LINE_BITS) / width * width;
        let next = (leaf_start + width) << SCAN_LINE_BITS;
        (next < SCAN_END).then_some(ScanAt(next))
    }

    /// A reference chosen by a random number, `None` if the try hit an empty place.
    pub fn sample(&self, random: u64) -> Option<Ref> {
        let Some((_, leaf)) = self.leaf_of(random) else {
            let Root::Few(few) = &self.root else { return None };
            return few.sample(random);
        };
        let line = leaf.line(leaf.home(random));
        let way = (random >> 16) as usize % WAYS;
        (line.tags[way] != 0).then_some(line.refs[way])
    }

    // --- leaves

    #[inline]
    fn leaf_of(&self, hash: u64) -> Option<(u32, &Leaf)> {
        match &self.root {
            Root::Few(_) => None,
            Root::Leaf(leaf) => Some((0, leaf)),
            Root::Tree(tree) => {
                let number = tree.directory[hash as usize & (tree.directory.len() - 1)];
                Some((number, &tree.leaves[number as usize].0))
            }
        }
    }

    fn leaf_mut(&mut self, number: u32) -> &mut Leaf {
        match &mut self.root {
            Root::Few(_) => unreachable!("few keys are asked for before their leaf is"),
            Root::Leaf(leaf) => leaf,
            Root::Tree(tree) => &mut tree.leaves[number as usize].0,
        }
    }

    fn depth_of(&self, number: u32) -> u8 {
        match &self.root {
            Root::Tree(tree) => tree.leaves[number as usize].1,
            _ => 0,
        }
    }

    /// Divides a leaf's keys by the next low bit of their hashes.
    fn split(&mut self, number: u32, lines: &mut Lines, hash_of: &dyn Fn(Ref) -> u64) {
        if let Root::Leaf(_) = self.root {
            let Root::Leaf(leaf) = std::mem::take(&mut self.root) else { unreachable!() };
            let tree = Tree { depth: 0, directory: vec![0], leaves: vec![(leaf, 0)] };
            self.root = Root::Tree(Box::new(tree));
        }
        let Root::Tree(tree) = &mut self.root else { unreachable!("just made") };
        let depth = tree.leaves[number as usize].1;
        if depth == tree.depth {
            tree.directory.extend_from_within(..);
            tree.depth += 1;
        }
        let full = &tree.leaves[number as usize].0;
        let half = fitting(u32::from(full.keys) / 2 + u32::from(full.keys) / 16);
        let (mut zero, mut one) = (Leaf::new(half, lines), Leaf::new(half, lines));
        full.each(&mut |found| {
            let hash = hash_of(found);
            let side = if hash >> depth & 1 == 0 { &mut zero } else { &mut one };
            if u32::from(side.keys) >= capacity(side.lines()) {
                side.resize(larger(side.lines()), lines, hash_of);
            }
            side.insert(hash, found);
        });
        let (old, _) = std::mem::replace(&mut tree.leaves[number as usize], (zero, depth + 1));
        old.give(lines);
        let sibling = tree.leaves.len() as u32;
        tree.leaves.push((one, depth + 1));
        for (index, entry) in tree.directory.iter_mut().enumerate() {
            if *entry == number && index >> depth & 1 == 1 {
                *entry = sibling;
            }
        }
    }
}

impl Leaf {
    fn new(count: u32, lines: &mut Lines) -> Leaf {
        assert!(count <= RUN_MAX, "a slot holds at most 75 million keys");
        let run = lines.take(count);
        let first = lines.at(run);
        // SAFETY: the run has so many lines, and all-zero bytes are empty ones.
        unsafe { first.as_ptr().write_bytes(0, count as usize * LINE_BYTES) };
        Leaf { lines: first.cast(), run, keys: 0, count: count as u8, mark: Mark::Leaf }
    }

    fn give(self, lines: &mut Lines) {
        lines.give(self.run, self.lines());
    }

    fn lines(&self) -> u32 {
        u32::from(self.count)
    }

    /// The line a hash belongs to.
    #[inline]
    fn home(&self, hash: u64) -> u32 {
        (((hash >> 32) * u64::from(self.count)) >> 32) as u32
    }

    #[inline]
    fn line_ptr(&self, index: u32) -> *mut Line {
        debug_assert!(index < self.lines());
        // SAFETY: indices are below `count`, the number of lines allocated.
        unsafe { self.lines.as_ptr().add(index as usize) }
    }

    #[inline]
    fn line(&self, index: u32) -> &Line {
        // SAFETY: the leaf owns the lines, all of which are initialized.
        unsafe { &*self.line_ptr(index) }
    }

    fn line_mut(&mut self, index: u32) -> &mut Line {
        // SAFETY: as in `line`, and the leaf is borrowed mutably.
        unsafe { &mut *self.line_ptr(index) }
    }

    fn after(&self, index: u32) -> u32 {
        if index + 1 == self.lines() { 0 } else { index + 1 }
    }

    #[inline]
    fn find(&self, hash: u64, mut is_it: impl FnMut(Ref) -> bool) -> Option<(u32, u8, Ref)> {
        let tag = tag_of(hash);
        let home = self.home(hash);
        let mut index = home;
        loop {
            let line = self.line(index);
            let mut bits = tags::matches(&line.tags, tag);
            while bits != 0 {
                let way = bits.trailing_zeros();
                let found = line.refs[way as usize];
                if is_it(found) {
                    return Some((index, way as u8, found));
                }
                bits &= bits - 1;
            }
            if line.overflow == 0 {
                return None;
            }
            index = self.after(index);
            if index == home {
                return None;
            }
        }
    }

    /// The leaf must have a free place.
    fn insert(&mut self, hash: u64, new: Ref) {
        let mut index = self.home(hash);
        loop {
            let line = self.line_mut(index);
            let free = tags::matches(&line.tags, 0);
            if free != 0 {
                let way = free.trailing_zeros() as usize;
                line.tags[way] = tag_of(hash);
                line.refs[way] = new;
                self.keys += 1;
                return;
            }
            line.overflow += 1;
            index = self.after(index);
        }
    }

    fn remove(&mut self, at: u32, way: u8, hash: u64) {
        let mut index = self.home(hash);
        while index != at {
            self.line_mut(index).overflow -= 1;
            index = self.after(index);
        }
        self.line_mut(at).tags[way as usize] = 0;
        self.keys -= 1;
    }

    fn resize(&mut self, count: u32, lines: &mut Lines, hash_of: &dyn Fn(Ref) -> u64) {
        let mut resized = Leaf::new(count, lines);
        self.each(&mut |found| resized.insert(hash_of(found), found));
        std::mem::replace(self, resized).give(lines);
    }

    fn each(&self, each: &mut dyn FnMut(Ref)) {
        for index in 0..self.lines() {
            let line = self.line(index);
            for way in 0..WAYS {
                if line.tags[way] != 0 {
                    each(line.refs[way]);
                }
            }
        }
    }

    /// Keys whose hash may lie in `from..to`, where `top` are the nine top bits they share.
    fn each_in(&self, from: u64, to: u64, top: u32, each: &mut dyn FnMut(Ref)) {
        let last = self.home(to.wrapping_sub(1));
        let mut index = self.home(from);
        let mut visited = 0;
        let mut beyond = false;
        loop {
            let line = self.line(index);
            for way in 0..WAYS {
                // The tag's top five bits are the name's low five.
                let tag = line.tags[way];
                if tag != 0 && (tag >> 11) as u32 == top & 31 {
                    each(line.refs[way]);
                }
            }
            visited += 1;
            beyond |= index == last;
            if beyond && line.overflow == 0 || visited == self.lines() {
                return;
            }
            index = self.after(index);
        }
    }

    /// Keys that belong to a line, wherever they lie.
    fn each_homed(&self, home: u32, hash_of: &dyn Fn(Ref) -> u64, each: &mut dyn FnMut(Ref)) {
        let mut index = home;
        loop {
            let line = self.line(index);
            for way in 0..WAYS {
                if line.tags[way] != 0 && self.home(hash_of(line.refs[way])) == home {
                    each(line.refs[way]);
                }
            }
            index = self.after(index);
            if line.overflow == 0 || index == home {
                return;
            }
        }
    }
}

/// Never zero, which marks an empty place.
#[inline]
fn tag_of(hash: u64) -> u16 {
    ((hash >> 44) as u16).max(1)
}

/// Keys that a leaf of so many lines may hold: 31 in 32 places.
fn capacity(lines: u32) -> u32 {
    let places = lines * WAYS as u32;
    places - places.div_ceil(32)
}

/// The next larger number of lines: by one, then by an eighth to a quarter.
fn larger(lines: u32) -> u32 {
    if lines < 8 { lines + 1 } else { lines + (1 << (lines.ilog2() - 2)) }
}

/// The smallest number of lines that holds so many keys.
fn fitting(keys: u32) -> u32 {
    let mut lines = 1;
    while capacity(lines) < keys {
        lines = larger(lines);
    }
    lines
}

/// Asks the CPU to bring a cache line closer.
#[inline]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address has no effect but on the cache.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// In these tests a reference is the key's number, and this is its hash.
    fn hash(key: Ref) -> u64 {
        super::super::hash::KeyHasher::seeded(7).hash(&key.to_le_bytes())
    }

    fn find(table: &Table, key: Ref) -> Option<At> {
        table.find(hash(key), |found| found == key).map(|(at, _)| at)
    }

    fn filled(keys: std::ops::Range<Ref>) -> (Table, Lines) {
        let (mut table, mut lines) = (Table::default(), Lines::new(Default::default()));
        keys.for_each(|key| table.insert(hash(key), key, &mut lines, &hash));
        (table, lines)
    }

    #[test]
    fn a_line_is_a_cache_line() {
        assert_eq!(size_of::<Line>(), 64);
        assert_eq!(size_of::<Table>(), 16);
    }

    #[test]
    fn keys_are_found_in_tables_of_any_size() {
        for size in [0, 1, 2, 3, 4, 9, 10, 11, 100, 1_200, 5_000, 40_000] {
            let (table, _lines) = filled(0..size);
            assert_eq!(table.len(), size as usize);
            assert!((0..size).all(|key| find(&table, key).is_some()), "{size}");
            assert!((size..size + 1_000).all(|key| find(&table, key).is_none()), "{size}");
        }
    }

    #[test]
    fn a_key_costs_about_eight_bytes() {
        for size in [61, 67, 122, 610, 20_000] {
            let bytes = filled(0..size).1.used_bytes() as f64 / size as f64;
            assert!(bytes < 9.7, "{size} keys: {bytes:.1} bytes each");
        }
    }

    #[test]
    fn few_keys_need_no_line_and_one_that_comes_and_goes_takes_none_twice() {
        let (mut table, mut lines) = filled(0..3);
        assert_eq!(lines.used_bytes(), 0);
        let remove = |table: &mut Table, lines: &mut Lines, key| {
            let at = find(table, key).expect("it is there");
            table.remove(at, hash(key), lines, &hash);
        };
        table.insert(hash(3), 3, &mut lines, &hash);
        assert_eq!(lines.used_bytes(), LINE_BYTES);
        remove(&mut table, &mut lines, 0);
        assert_eq!(lines.used_bytes(), LINE_BYTES);
        remove(&mut table, &mut lines, 2);
        assert_eq!((lines.used_bytes(), table.len()), (0, 2));
        assert!(find(&table, 1).is_some() && find(&table, 3).is_some());
        assert_eq!((0..1_000).filter_map(|random: u64| table.sample(random << 16)).max(), Some(3));
    }

    #[test]
    fn names_lead_back_to_their_keys() {
        for size in [3, 5, 300, 30_000] {
            let (table, _lines) = filled(0..size);
            let bits = if table.is_wide() { 24 } else { 9 };
            for key in 0..size {
                let mut seen = 0;
                let mut found = false;
                table.each_named(name_of(hash(key)) >> (32 - bits), bits, |candidate| {
                    seen += 1;
                    found |= candidate == key;
                });
                assert!(found, "key {key} of {size}");
                assert!(seen < 24, "{seen} candidates for key {key} of {size}");
            }
            // A narrow name that has been overtaken by growth finds nothing, whatever it costs to look for it.
            let mut found = false;
            table.each_named(name_of(hash(0)) >> 23, 9, |candidate| found |= candidate == 0);
            assert_eq!(found, !table.is_wide());
        }
    }

    fn scan_all(table: &Table) -> Vec<Ref> {
        let mut seen = Vec::new();
        let mut at = Some(ScanAt(0));
        while let Some(from) = at {
            at = table.scan(from, &hash, |key| seen.push(key));
            assert!(at.is_none_or(|next| next > from), "a scan goes forward");
        }
        seen
    }

    #[test]
    fn a_scan_of_a_table_at_rest_sees_each_key_once() {
        for size in [0, 3, 90, 1_500, 20_000] {
            let (table, _lines) = filled(0..size);
            let mut seen = scan_all(&table);
            seen.sort_unstable();
            assert_eq!(seen, (0..size).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_scan_sees_what_stays_while_the_table_grows_and_shrinks() {
        let (mut table, mut lines) = filled(0..500);
        let mut seen = BTreeSet::new();
        let mut at = Some(ScanAt(0));
        let mut next = 500;
        let mut grow = true;
        while let Some(from) = at {
            at = table.scan(from, &hash, |key| {
                seen.insert(key);
            });
            for _ in 0..200 {
                if grow {
                    table.insert(hash(next), next, &mut lines, &hash);
                    next += 1;
                } else if next > 500 {
                    next -= 1;
                    let at = find(&table, next).expect("still there");
                    table.remove(at, hash(next), &mut lines, &hash);
                }
            }
            grow = if next > 30_000 { false } else { grow || next <= 500 };
        }
        assert!((0..500).all(|key| seen.contains(&key)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 48 }))]
        #[test]
        fn a_table_behaves_as_a_set(steps in prop::collection::vec((any::<bool>(), 0u32..2_000), 0..if cfg!(miri) { 200 } else { 6_000 })) {
            let mut table = Table::default();
            let mut lines = Lines::new(Default::default());
            let mut twin = BTreeSet::new();
            for (add, key) in steps {
                match (add, find(&table, key)) {
                    (true, None) => {
                        prop_assert!(twin.insert(key));
                        table.insert(hash(key), key, &mut lines, &hash);
                    }
                    (false, Some(at)) => {
                        prop_assert!(twin.remove(&key));
                        table.remove(at, hash(key), &mut lines, &hash);
                    }
                    (_, found) => prop_assert_eq!(found.is_some(), twin.contains(&key)),
                }
                prop_assert_eq!(table.len(), twin.len());
            }
            let mut all = Vec::new();
            table.each(|key| all.push(key));
            all.sort_unstable();
            if all.is_empty() {
                prop_assert_eq!(lines.used_bytes(), 0);
            }
            prop_assert_eq!(all, twin.into_iter().collect::<Vec<_>>());
        }
    }
}
