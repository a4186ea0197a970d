//! A stripe's memory: variable-sized blocks inside segments, found by 32-bit references.
//!
//! Good fit with immediate coalescing: holes hang in lists by size (after TLSF, Masmano et al. 2004), and a freed
//! block joins its free neighbours at once. A block carries no size of its own: its [`Header`] tells it. Only the
//! table refers to a record, so records can move: [`Arena::evacuate`] empties the segment that holds least, and the
//! segment goes back to the pool.

use super::header::Header;
use super::pages::{PAGE_BYTES, Pool, SEGMENT_BYTES, Segment};
use super::record;
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes in a unit, the grain of blocks and references.
pub const UNIT: usize = 8;

/// Units in a segment.
const SEGMENT_UNITS: usize = SEGMENT_BYTES / UNIT;
const SEGMENT_SHIFT: u32 = SEGMENT_UNITS.trailing_zeros();

/// The smallest block: the two words that a hole needs.
pub const UNITS_MIN: usize = 2;

/// Blocks above this many units get memory of their own.
pub const UNITS_MAX_SHARED: usize = SEGMENT_UNITS / 2;

/// Where a block is: segment and unit. 32 bits of units reach 32 GiB in one stripe.
pub type Ref = u32;

/// No block.
pub const NIL: Ref = Ref::MAX;

/// Lists by size: one each up to 64 units, then eight for each doubling.
const BINS: usize = 64 + 8 * 5;

pub struct Arena {
    pool: Arc<Pool>,
    slots: Vec<Slot>,
    vacant: Vec<u32>,
    bins: [Ref; BINS],
    filled: u128,
    /// The fresh segment that blocks are cut from when no hole fits, and the first unit not yet used there.
    fresh: Option<(u32, usize)>,
    live_units: usize,
    footprint: usize,
    /// Units of holes that did not suffice to empty a segment.
    stuck: usize,
}

/// One entry of the segment directory.
struct Slot {
    base: *mut u8,
    live: u32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vacant,
    /// A segment of the pool.
    Shared,
    /// A block of its own, from the allocator.
    Large,
}

const _: () = assert!(size_of::<Slot>() == 16);

// SAFETY: the arena owns all memory its pointers lead to.
unsafe impl Send for Arena {}

impl Arena {
    pub fn new(pool: Arc<Pool>) -> Arena {
        Arena {
            pool,
            slots: Vec::new(),
            vacant: Vec::new(),
            bins: [NIL; BINS],
            filled: 0,
            fresh: None,
            live_units: 0,
            footprint: 0,
            stuck: 0,
        }
    }

    /// The pool its segments come from.
    pub fn pool(&self) -> Arc<Pool> {
        self.pool.clone()
    }

    /// Bytes taken from the pool and the allocator, used or not. Pages of the fresh segment that nobody has written to
    /// are not resident and not counted.
    pub fn footprint(&self) -> usize {
        match self.fresh {
            Some((_, next)) => self.footprint - (SEGMENT_BYTES - touched(next)),
            None => self.footprint,
        }
    }

    /// Bytes of live blocks.
    pub fn live_bytes(&self) -> usize {
        self.live_units * UNIT
    }

    /// Bytes by which the footprint would grow for a block of `units`: 0 if a hole takes it.
    pub fn growth_for(&self, units: usize) -> usize {
        if units > UNITS_MAX_SHARED {
            return units * UNIT;
        }
        if self.has_hole_of(units) {
            return 0;
        }
        match self.fresh {
            Some((_, next)) if fits(SEGMENT_UNITS - next, units) => touched(next + units) - touched(next),
            Some((_, next)) => SEGMENT_BYTES - touched(next) + touched(units),
            None => touched(units),
        }
    }

    /// The address of a block. It stays right until the block is freed or moved.
    #[inline]
    pub fn at(&self, block: Ref) -> NonNull<u8> {
        let slot = &self.slots[(block >> SEGMENT_SHIFT) as usize];
        debug_assert!(!slot.base.is_null());
        // SAFETY: references are only made for units inside their segment, so the sum stays inside the allocation.
        unsafe { NonNull::new_unchecked(slot.base.add((block as usize & (SEGMENT_UNITS - 1)) * UNIT)) }
    }

    /// Cuts a block of `units` from what the arena has. `None` when it would have to [`Arena::grow`].
    ///
    /// The block's header holds nothing but the mark of its neighbour; the caller keeps that bit.
    pub fn alloc(&mut self, units: usize) -> Option<Ref> {
        debug_assert!(units >= UNITS_MIN);
        if units > UNITS_MAX_SHARED {
            return None;
        }
        let block = self.alloc_hole(units).or_else(|| self.alloc_fresh(units))?;
        self.count(block, units as isize);
        Some(block)
    }

    /// As [`Arena::alloc`], taking more memory if need be.
    pub fn grow(&mut self, units: usize) -> Ref {
        if units > UNITS_MAX_SHARED {
            return self.alloc_large(units);
        }
        if let Some(block) = self.alloc(units) {
            return block;
        }
        self.retire_fresh();
        let segment = self.pool.take();
        self.footprint += SEGMENT_BYTES;
        let number = self.install(Slot { base: segment.into_base(), live: 0, kind: Kind::Shared });
        self.fresh = Some((number, 0));
        self.alloc(units).expect("a fresh segment holds every shared block")
    }

    /// A block of `units`, from what there is or from more memory.
    pub fn alloc_or_grow(&mut self, units: usize) -> Ref {
        self.alloc(units).unwrap_or_else(|| self.grow(units))
    }

    /// Frees a block of `units`, joining it with free neighbours.
    pub fn free(&mut self, block: Ref, units: usize) {
        let number = block >> SEGMENT_SHIFT;
        self.count(block, -(units as isize));
        if self.slots[number as usize].kind == Kind::Large {
            debug_assert_eq!(self.slots[number as usize].live, 0);
            return self.drop_large(number, units);
        }
        let (start, units) = self.join_neighbours(block, units);
        if units == SEGMENT_UNITS {
            return self.give_back(number);
        }
        if self.fresh.is_some_and(|(fresh, next)| fresh == number && next == offset(start) + units) {
            if offset(start) == 0 {
                self.fresh = None;
                return self.give_back(number);
            }
            self.fresh = Some((number, offset(start)));
            return;
        }
        self.put_hole(start, units);
    }

    /// Empties the shared segment that holds least and gives it back, if the other holes can take what it holds.
    ///
    /// `moved(from, to)` is called after each block's bytes are at their new place, so that the table can follow.
    /// Returns whether a segment was given back.
    pub fn evacuate(&mut self, mut moved: impl FnMut(&Arena, Ref, Ref)) -> bool {
        let Some(number) = self.emptiest() else { return false };
        let used = self.slots[number as usize].live as usize;
        // Holes elsewhere must offer more than the need, else fragments would defeat the move half way.
        let free = self.footprint() / UNIT - self.live_units;
        if free < SEGMENT_UNITS - used + used / 4 * 5 {
            return false;
        }
        self.stuck = 0;
        self.unlink_all(number);
        let first = number << SEGMENT_SHIFT;
        let mut offset = 0;
        while offset < SEGMENT_UNITS {
            let from = first + offset as u32;
            let header = self.header(from);
            if header.is_hole() {
                offset += header.hole_units();
                continue;
            }
            let units = record::units(self.at(from));
            let Some(to) = self.alloc(units) else {
                self.abandon(number, offset);
                // The next try waits until there is more room.
                self.stuck = free + SEGMENT_UNITS / 4;
                return false;
            };
            let marked = self.header(to).prev_free();
            // SAFETY: both blocks are live, of `units` units, and in different segments.
            unsafe { std::ptr::copy_nonoverlapping(self.at(from).as_ptr(), self.at(to).as_ptr(), units * UNIT) };
            self.set_header(to, self.header(from).with_prev_free(marked));
            self.count(from, -(units as isize));
            moved(self, from, to);
            offset += units;
        }
        self.give_back(number);
        true
    }

    /// Slides the blocks of the shared segment that holds least together, so that its holes become one.
    ///
    /// Nothing is done, and `false` returned, unless an eighth of that segment is free. `moved` is as for
    /// [`Arena::evacuate`].
    pub fn gather(&mut self, mut moved: impl FnMut(&Arena, Ref, Ref)) -> bool {
        let Some(number) = self.emptiest() else { return false };
        let free = SEGMENT_UNITS - self.slots[number as usize].live as usize;
        // What is one hole already cannot be gathered.
        if free < SEGMENT_UNITS / 8 || self.has_hole_of(free) {
            return false;
        }
        self.unlink_all(number);
        let first = number << SEGMENT_SHIFT;
        let (mut at, mut end) = (0, 0);
        while at < SEGMENT_UNITS {
            let from = first + at as u32;
            let header = self.header(from);
            if header.is_hole() {
                at += header.hole_units();
                continue;
            }
            let units = record::units(self.at(from));
            let to = first + end as u32;
            self.set_header(from, header.with_prev_free(false));
            if to != from {
                // SAFETY: both places lie in the segment; `copy` allows them to overlap.
                unsafe { self.at(to).as_ptr().copy_from(self.at(from).as_ptr(), units * UNIT) };
                moved(self, from, to);
            }
            at += units;
            end += units;
        }
        self.link(first + end as u32, SEGMENT_UNITS - end);
        true
    }

    fn has_hole_of(&self, units: usize) -> bool {
        let hole = self.bins[bin_of(units)];
        let above = bin_above(units + UNITS_MIN);
        hole != NIL && self.header(hole).hole_units() == units || above < BINS && self.filled >> above != 0
    }

    /// Whether so many blocks of `units` fit into the holes.
    pub fn has_holes_of(&self, units: usize, count: usize) -> bool {
        let mut found = 0;
        for bin in bin_above(units)..BINS {
            let mut hole = self.bins[bin];
            while found < count && hole != NIL {
                let size = self.header(hole).hole_units();
                // One unit that is left behind the last block could not be a hole itself.
                found += size / units - usize::from(size % units == 1);
                hole = self.next(hole);
            }
        }
        found >= count
    }

    /// Whether holes make up more than a segment, and so much of the arena that one should be given back.
    pub fn is_loose(&self) -> bool {
        let free = self.footprint() / UNIT - self.live_units;
        free > SEGMENT_UNITS / 4 * 5 && free * UNIT > self.footprint() / 16 && free > self.stuck
    }

    /// Frees everything at once.
    pub fn clear(&mut self) {
        for number in 0..self.slots.len() as u32 {
            match self.slots[number as usize].kind {
                Kind::Vacant => {}
                Kind::Shared => self.uninstall(number),
                // The one block of such a slot is all of it.
                Kind::Large => self.drop_large(number, self.slots[number as usize].live as usize),
            }
        }
        self.slots = Vec::new();
        self.vacant = Vec::new();
        self.bins = [NIL; BINS];
        self.filled = 0;
        self.fresh = None;
        self.live_units = 0;
        debug_assert_eq!(self.footprint, 0);
    }

    // --- whole segments

    fn install(&mut self, slot: Slot) -> u32 {
        if let Some(number) = self.vacant.pop() {
            self.slots[number as usize] = slot;
            return number;
        }
        self.slots.push(slot);
        let number = self.slots.len() as u32 - 1;
        assert!(number < 1 << (32 - SEGMENT_SHIFT), "a stripe cannot hold more than 32 GiB of records");
        number
    }

    fn uninstall(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        let kind = std::mem::replace(&mut slot.kind, Kind::Vacant);
        let base = std::mem::replace(&mut slot.base, std::ptr::null_mut());
        self.vacant.push(number);
        if kind == Kind::Shared {
            self.footprint -= SEGMENT_BYTES;
            // SAFETY: the slot was made from a segment, and has just lost it.
            self.pool.give(unsafe { Segment::from_base(base) });
        }
    }

    /// Gives a shared segment without live blocks and without linked holes back to the pool.
    fn give_back(&mut self, number: u32) {
        debug_assert_eq!(self.slots[number as usize].live, 0);
        self.uninstall(number);
    }

    fn alloc_large(&mut self, units: usize) -> Ref {
        let layout = large_layout(units);
        // SAFETY: the layout is not of size zero.
        let base = unsafe { std::alloc::alloc(layout) };
        if base.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        self.footprint += units * UNIT;
        let number = self.install(Slot { base, live: 0, kind: Kind::Large });
        let block = number << SEGMENT_SHIFT;
        self.set_header(block, Header(0));
        self.count(block, units as isize);
        block
    }

    fn drop_large(&mut self, number: u32, units: usize) {
        let base = self.slots[number as usize].base;
        self.uninstall(number);
        self.footprint -= units * UNIT;
        // SAFETY: `alloc_large` made it with this layout, and no reference to it is left.
        unsafe { std::alloc::dealloc(base, large_layout(units)) };
    }

    /// The shared segment with the fewest live units, other than the one being filled.
    fn emptiest(&self) -> Option<u32> {
        let fresh = self.fresh.map(|(number, _)| number);
        (0..self.slots.len() as u32)
            .filter(|&n| self.slots[n as usize].kind == Kind::Shared && Some(n) != fresh)
            .min_by_key(|&n| self.slots[n as usize].live)
    }

    /// Takes all holes of a segment out of the lists.
    fn unlink_all(&mut self, number: u32) {
        let first = number << SEGMENT_SHIFT;
        let mut offset = 0;
        while offset < SEGMENT_UNITS {
            let block = first + offset as u32;
            let header = self.header(block);
            if header.is_hole() {
                self.unlink(block, header.hole_units());
                offset += header.hole_units();
            } else {
                offset += record::units(self.at(block));
            }
        }
    }

    /// Puts a half evacuated segment in order: all before `offset` is one hole, later holes are linked again.
    fn abandon(&mut self, number: u32, offset: usize) {
        let first = number << SEGMENT_SHIFT;
        let mut at = offset;
        while at < SEGMENT_UNITS {
            let block = first + at as u32;
            let header = self.header(block);
            if header.is_hole() {
                let units = header.hole_units();
                self.link(block, units);
                at += units;
            } else {
                at += record::units(self.at(block));
            }
        }
        if offset > 0 {
            self.put_hole(first, offset);
        }
    }

    // --- blocks

    fn alloc_hole(&mut self, units: usize) -> Option<Ref> {
        // An exact fit first: what is left over otherwise must be a block of its own, which one unit cannot be.
        let exact = self.bins[bin_of(units)];
        if exact != NIL && self.header(exact).hole_units() == units {
            return Some(self.carve(exact, units, units));
        }
        let from = bin_above(units + UNITS_MIN);
        let candidates = if from < BINS { self.filled >> from } else { 0 };
        if candidates == 0 {
            return None;
        }
        let hole = self.bins[from + candidates.trailing_zeros() as usize];
        let size = self.header(hole).hole_units();
        Some(self.carve(hole, size, units))
    }

    /// Takes the first `units` of a hole; the rest stays a hole.
    fn carve(&mut self, hole: Ref, size: usize, units: usize) -> Ref {
        self.unlink(hole, size);
        self.mark_after(hole, size, false);
        self.set_header(hole, Header(0));
        if size > units {
            self.put_hole(hole + units as u32, size - units);
        }
        hole
    }

    fn alloc_fresh(&mut self, units: usize) -> Option<Ref> {
        let (number, next) = self.fresh?;
        let left = SEGMENT_UNITS - next;
        if !fits(left, units) {
            return None;
        }
        self.fresh = if left == units { None } else { Some((number, next + units)) };
        let block = (number << SEGMENT_SHIFT) + next as u32;
        self.set_header(block, Header(0));
        Some(block)
    }

    /// Turns what is left of the fresh segment into a hole.
    fn retire_fresh(&mut self) {
        if let Some((number, next)) = self.fresh.take() {
            self.put_hole((number << SEGMENT_SHIFT) + next as u32, SEGMENT_UNITS - next);
        }
    }

    /// The run of free units around a block just freed, its neighbours unlinked.
    fn join_neighbours(&mut self, block: Ref, units: usize) -> (Ref, usize) {
        let (mut start, mut size) = (block, units);
        if self.header(block).prev_free() {
            let before = self.hole_before(block);
            self.unlink(block - before as u32, before);
            start -= before as u32;
            size += before;
        }
        let end = offset(block) + units;
        let fresh_starts = self.fresh.is_some_and(|(n, next)| n == block >> SEGMENT_SHIFT && next == end);
        if end < SEGMENT_UNITS && !fresh_starts {
            let after = block + units as u32;
            let header = self.header(after);
            if header.is_hole() {
                self.unlink(after, header.hole_units());
                size += header.hole_units();
            }
        }
        (start, size)
    }

    /// Makes `units` from `hole` on a hole, and tells the block behind it.
    fn put_hole(&mut self, hole: Ref, units: usize) {
        debug_assert!(units >= UNITS_MIN);
        self.link(hole, units);
        self.mark_after(hole, units, true);
    }

    fn link(&mut self, hole: Ref, units: usize) {
        let bin = bin_of(units);
        let next = self.bins[bin];
        self.set_header(hole, Header::hole(units, NIL));
        self.set_next(hole, next);
        self.set_tail(hole, units);
        if next != NIL {
            let size = self.header(next).hole_units();
            let marked = self.header(next).prev_free();
            self.set_header(next, Header::hole(size, hole).with_prev_free(marked));
        }
        self.bins[bin] = hole;
        self.filled |= 1 << bin;
    }

    fn unlink(&mut self, hole: Ref, units: usize) {
        let bin = bin_of(units);
        let prev = self.header(hole).hole_prev();
        let next = self.next(hole);
        if next != NIL {
            let header = self.header(next);
            self.set_header(next, Header::hole(header.hole_units(), prev).with_prev_free(header.prev_free()));
        }
        if prev != NIL {
            self.set_next(prev, next);
        } else {
            self.bins[bin] = next;
            if next == NIL {
                self.filled &= !(1 << bin);
            }
        }
    }

    /// Tells the block behind whether this one is free.
    fn mark_after(&mut self, block: Ref, units: usize, free: bool) {
        let end = offset(block) + units;
        let number = block >> SEGMENT_SHIFT;
        if end == SEGMENT_UNITS || self.fresh.is_some_and(|(n, next)| n == number && next == end) {
            return;
        }
        let after = block + units as u32;
        self.set_header(after, self.header(after).with_prev_free(free));
    }

    fn count(&mut self, block: Ref, units: isize) {
        self.live_units = self.live_units.wrapping_add_signed(units);
        let slot = &mut self.slots[(block >> SEGMENT_SHIFT) as usize];
        slot.live = slot.live.wrapping_add_signed(units as i32);
    }

    // --- words

    fn header(&self, block: Ref) -> Header {
        // SAFETY: blocks are 8-byte aligned and begin with their header.
        Header(unsafe { self.at(block).as_ptr().cast::<u64>().read() })
    }

    fn set_header(&mut self, block: Ref, header: Header) {
        // SAFETY: as in `header`, and the arena is borrowed mutably.
        unsafe { self.at(block).as_ptr().cast::<u64>().write(header.0) }
    }

    /// The next hole in the list, which stands behind a hole's header.
    fn next(&self, hole: Ref) -> Ref {
        // SAFETY: a hole has at least two words, and `link` has written this half of the second.
        unsafe { self.at(hole).as_ptr().cast::<u32>().add(2).read() }
    }

    fn set_next(&mut self, hole: Ref, next: Ref) {
        // SAFETY: as in `next`, and the arena is borrowed mutably.
        unsafe { self.at(hole).as_ptr().cast::<u32>().add(2).write(next) }
    }

    /// A hole's last four bytes repeat its size, for the block behind it. In the shortest holes they are the other half
    /// of the word that [`Arena::next`] stands in.
    fn set_tail(&mut self, hole: Ref, units: usize) {
        // SAFETY: the hole has so many units, and the arena is borrowed mutably.
        unsafe { self.at(hole).as_ptr().cast::<u32>().add(units * 2 - 1).write(units as u32) }
    }

    fn hole_before(&self, block: Ref) -> usize {
        // SAFETY: the caller has seen the mark that the block before is a hole, so its tail is there.
        unsafe { self.at(block).as_ptr().cast::<u32>().sub(1).read() as usize }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Whether a block can be cut from so many units: one unit left over could be neither block nor hole.
fn fits(left: usize, units: usize) -> bool {
    left == units || left > units + 1
}

/// Bytes of the pages that the first `units` of a segment lie in.
fn touched(units: usize) -> usize {
    (units * UNIT).next_multiple_of(PAGE_BYTES)
}

fn offset(block: Ref) -> usize {
    block as usize & (SEGMENT_UNITS - 1)
}

fn large_layout(units: usize) -> std::alloc::Layout {
    std::alloc::Layout::from_size_align(units * UNIT, UNIT).expect("the size of a record fits an isize")
}

/// The list that holes of this size hang in.
fn bin_of(units: usize) -> usize {
    if units < 64 {
        return units;
    }
    let log = units.ilog2() as usize;
    64 + (log - 6) * 8 + ((units >> (log - 3)) & 7)
}

/// The first list in which every hole has at least this size.
fn bin_above(units: usize) -> usize {
    if units < 64 {
        return units;
    }
    let step = 1 << (units.ilog2() - 3);
    bin_of(units + step - 1)
}

#[cfg(test)]
mod tests {
    use super::super::header::Shape;
    use super::*;
    use proptest::prelude::*;

    /// Writes a record of exactly `units` units whose bytes name it.
    fn fill(arena: &mut Arena, block: Ref, units: usize, name: u8) {
        let marked = arena.header(block).prev_free();
        let bytes = units * UNIT - 8;
        let (key, value) = if bytes <= 254 { (bytes, 0) } else { (8, bytes - 8) };
        let header = Header::record(Shape::Bytes, 0, key, value.min(2047), false).with_prev_free(marked);
        arena.set_header(block, header);
        // SAFETY: the block has `units` units and its header is one of them.
        unsafe { arena.at(block).as_ptr().add(8).write_bytes(name, bytes) };
        assert_eq!(record::units(arena.at(block)), units);
    }

    fn check(arena: &Arena, block: Ref, units: usize, name: u8) {
        // SAFETY: as in `fill`.
        let bytes = unsafe { std::slice::from_raw_parts(arena.at(block).as_ptr().add(8), units * UNIT - 8) };
        assert!(bytes.iter().all(|&b| b == name), "block {block} of {units} units lost its bytes");
    }

    #[test]
    fn bins_hold_what_they_promise() {
        for units in (UNITS_MIN..SEGMENT_UNITS).step_by(if cfg!(miri) { 131 } else { 1 }) {
            assert!(bin_of(units) < BINS);
            assert!(bin_above(units) >= bin_of(units));
            if bin_above(units) < BINS {
                let smallest = (UNITS_MIN..SEGMENT_UNITS).find(|&u| bin_of(u) == bin_above(units));
                assert!(smallest.is_none_or(|s| s >= units), "{units}");
            }
        }
    }

    #[test]
    fn freed_neighbours_join_and_the_segment_goes_back() {
        let mut arena = Arena::new(Arc::default());
        let blocks: Vec<Ref> = (0..50).map(|_| arena.grow(11)).collect();
        for &block in &blocks {
            fill(&mut arena, block, 11, 1);
        }
        assert_eq!((arena.footprint(), arena.live_bytes()), (2 * PAGE_BYTES, 50 * 88));
        for &block in blocks.iter().step_by(2).chain(blocks.iter().skip(1).step_by(2)) {
            arena.free(block, 11);
        }
        assert_eq!((arena.footprint(), arena.live_bytes()), (0, 0));
    }

    #[test]
    fn a_large_block_has_memory_of_its_own() {
        let mut arena = Arena::new(Arc::default());
        let block = arena.grow(UNITS_MAX_SHARED + 1);
        assert_eq!(arena.footprint(), (UNITS_MAX_SHARED + 1) * UNIT);
        arena.free(block, UNITS_MAX_SHARED + 1);
        assert_eq!(arena.footprint(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Alloc(usize),
        Free(usize),
        Evacuate,
        Gather,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (2usize..120).prop_map(Step::Alloc),
            4 => any::<usize>().prop_map(Step::Free),
            1 => Just(Step::Evacuate),
            1 => Just(Step::Gather),
        ];
        prop::collection::vec(step, 1..if cfg!(miri) { 60 } else { 2000 })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 64 }))]
        /// The naive twin is a list of (block, units, name) whose bytes must survive everything.
        #[test]
        fn blocks_keep_their_bytes(steps in steps()) {
            let mut arena = Arena::new(Arc::default());
            let mut live: Vec<(Ref, usize, u8)> = Vec::new();
            for (name, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Alloc(units) => {
                        let block = arena.alloc_or_grow(units);
                        fill(&mut arena, block, units, name as u8);
                        live.push((block, units, name as u8));
                    }
                    Step::Free(which) if !live.is_empty() => {
                        let (block, units, name) = live.swap_remove(which % live.len());
                        check(&arena, block, units, name);
                        arena.free(block, units);
                    }
                    Step::Free(_) => {}
                    Step::Gather => {
                        arena.gather(|_, from, to| {
                            live.iter_mut().find(|l| l.0 == from).expect("only live blocks move").0 = to;
                        });
                    }
                    Step::Evacuate => {
                        arena.evacuate(|_, from, to| {
                            live.iter_mut().find(|l| l.0 == from).expect("only live blocks move").0 = to;
                        });
                    }
                }
                let units: usize = live.iter().map(|l| l.1).sum();
                prop_assert_eq!(arena.live_bytes(), units * UNIT);
            }
            for (block, units, name) in live {
                check(&arena, block, units, name);
                arena.free(block, units);
            }
            prop_assert_eq!(arena.footprint(), 0);
        }
    }
}
