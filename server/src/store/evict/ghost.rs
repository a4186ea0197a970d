//! What a stripe evicted lately: 16 bits of each key's hash and its `f`, four bytes a key.
//!
//! A record whose key is remembered resumes its `f` instead of beginning at one. The ghost is a FIFO of `0.9` of the
//! stripe's bytes, kept as a table of sets: an entry is stamped with a clock that counts the bytes remembered, and
//! is forgotten when the clock is `capacity` past its stamp. A set is one cache line.
//!
//! ```text
//! ffffffffffffffff uuuu tttttttttttt      fingerprint, f (0: free), stamp
//! ```
//! Stamps are 12 bits and wrap. A cursor clears forgotten entries, one round each [`ROUND`] ticks, so none is left
//! to be taken for young.

/// Entries of a set.
const WAYS: usize = 16;
/// The stamp's bits.
const STAMP: u32 = 0xfff;
/// Ticks the capacity is divided into when a table is made.
const TICKS: u64 = 2048;
/// The most ticks an entry may count as remembered. Above it the capacity has outgrown the table's tick, and a new
/// table is made.
const TICKS_MAX: u64 = 3072;
/// Ticks in which the cursor goes round once.
const ROUND: u64 = 256;
/// Of 10 places in a table, how many are meant to be taken.
const LOAD: usize = 8;

// An entry that the cursor just missed is met again before its stamp means another time.
const _: () = assert!(TICKS_MAX + 2 * ROUND < STAMP as u64);

/// See the head of this file. It has no memory of its own until something is remembered.
pub struct Ghost {
    capacity: u64,
    expected: usize,
    table: Option<Box<Table>>,
    /// The table before the last one, until what it holds is forgotten.
    older: Option<Box<Table>>,
}

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Set([u32; WAYS]);

struct Table {
    sets: Box<[Set]>,
    /// Bytes a tick.
    tick: u64,
    /// Bytes into the tick.
    rest: u64,
    /// Ticks so far.
    now: u64,
    /// The set that is cleared next, and the parts of a set it is owed, in `ROUND`ths.
    cursor: usize,
    owed: u64,
    /// Entries held and the bytes they stood for, a moving estimate.
    held: usize,
    bytes_each: f32,
    /// Bytes the clock need not count, for as many were taken out.
    credit: f32,
}

impl Default for Ghost {
    fn default() -> Ghost {
        Ghost::new()
    }
}

impl Ghost {
    /// A ghost that remembers nothing until [`Ghost::resize`].
    pub const fn new() -> Ghost {
        Ghost { capacity: 0, expected: 0, table: None, older: None }
    }

    /// Sets how much is remembered: keys of `capacity` bytes of records together, of which about `expected` are
    /// expected.
    ///
    /// 0.9 of the stripe's bytes and records is what the policy asks for. Cheap; call it before [`Ghost::remember`].
    /// When the table no longer fits, a new one takes its place and the old one answers until what it holds is
    /// forgotten (which is after at most one and a half times the capacity it was made for).
    pub fn resize(&mut self, capacity: u64, expected: usize) {
        self.capacity = capacity;
        self.expected = expected;
        if self.table.as_ref().is_some_and(|table| !table.fits(capacity, expected)) {
            self.older = self.table.take();
        }
        if capacity == 0 {
            self.clear();
        }
    }

    /// Remembers an evicted record: the hash of its key, its `f` (1 to 15) and its footprint.
    pub fn remember(&mut self, hash: u64, f: u8, bytes: u32) {
        if self.capacity == 0 {
            return;
        }
        let table = self.table.get_or_insert_with(|| Box::new(Table::new(self.capacity, self.expected)));
        table.remember(place(hash), f, bytes, self.capacity);
        if let Some(older) = &mut self.older {
            older.advance(u64::from(bytes), self.capacity);
            if older.held == 0 {
                self.older = None;
            }
        }
    }

    /// What is remembered of a key, which is then forgotten.
    pub fn recall(&mut self, hash: u64) -> Option<u8> {
        let place = place(hash);
        let mut tables = self.table.iter_mut().chain(&mut self.older);
        tables.find_map(|table| table.recall(place, self.capacity))
    }

    /// Forgets all and gives the memory back.
    pub fn clear(&mut self) {
        (self.table, self.older) = (None, None);
    }

    /// Keys held, some of which may be forgotten already.
    pub fn len(&self) -> usize {
        self.tables().map(|table| table.held).sum()
    }

    /// Whether no key is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes held, exactly; `size_of::<Ghost>()` comes on top.
    pub fn bytes_used(&self) -> usize {
        self.tables().map(|table| size_of::<Table>() + size_of_val(&*table.sets)).sum()
    }

    /// Bytes it will take once the first of a stripe's `records` is evicted; 0 if it holds memory already.
    pub fn bytes_owed(&self, records: usize) -> usize {
        if self.table.is_some() || records == 0 {
            return 0;
        }
        size_of::<Table>() + sets_for(records / 10 * 9) * size_of::<Set>()
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.table.iter().chain(&self.older).map(|table| &**table)
    }
}

/// The part of a hash that chooses the set, and the fingerprint.
fn place(hash: u64) -> (u32, u32) {
    // Slots, samples and tables use parts of the hash as they come; after this product each bit here depends on all
    // below it.
    let mixed = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) as u32, (mixed >> 16) as u32 & 0xffff)
}

fn sets_for(expected: usize) -> usize {
    (expected * 10).div_ceil(WAYS * LOAD).max(1)
}

impl Table {
    fn new(capacity: u64, expected: usize) -> Table {
        Table {
            sets: vec![Set([0; WAYS]); sets_for(expected)].into_boxed_slice(),
            tick: capacity.div_ceil(TICKS),
            rest: 0,
            now: 0,
            cursor: 0,
            owed: 0,
            held: 0,
            bytes_each: 0.0,
            credit: 0.0,
        }
    }

    fn fits(&self, capacity: u64, expected: usize) -> bool {
        let wanted = sets_for(expected);
        capacity / self.tick < TICKS_MAX
            && wanted <= self.sets.len() + self.sets.len() / 2 + 1
            && wanted * 3 >= self.sets.len()
    }

    fn remember(&mut self, (place, print): (u32, u32), f: u8, bytes: u32, capacity: u64) {
        let counted = self.count(bytes);
        self.advance(counted, capacity);
        let now = self.now;
        let index = self.index(place);
        let set = &mut self.sets[index].0;
        let same = set.iter().position(|&entry| entry >> 16 == print && uses(entry) > 0);
        // A free place has the age of what was forgotten long ago, so one search finds the free, the forgotten and
        // the oldest.
        let age = |entry: u32| if uses(entry) == 0 { u64::MAX } else { age(entry, now) };
        let way = same.unwrap_or_else(|| (0..WAYS).max_by_key(|&way| age(set[way])).unwrap_or(0));
        self.held += usize::from(uses(set[way]) == 0);
        set[way] = print << 16 | u32::from(f.clamp(1, 15)) << 12 | now as u32 & STAMP;
    }

    fn recall(&mut self, (place, print): (u32, u32), capacity: u64) -> Option<u8> {
        let (now, life) = (self.now, self.life(capacity));
        let index = self.index(place);
        let entry = self.sets[index].0.iter_mut().find(|entry| **entry >> 16 == print && uses(**entry) > 0)?;
        let found = std::mem::take(entry);
        self.held -= 1;
        if age(found, now) > life {
            return None;
        }
        self.credit += self.bytes_each;
        Some(uses(found) as u8)
    }

    /// How far the clock goes for a record: a FIFO that entries are taken out of forgets so much later.
    fn count(&mut self, bytes: u32) -> u64 {
        let bytes = bytes as f32;
        let part = if self.bytes_each == 0.0 { 1.0 } else { 1.0 / 256.0 };
        self.bytes_each += (bytes - self.bytes_each) * part;
        let saved = self.credit.min(bytes);
        self.credit -= saved;
        (bytes - saved) as u64
    }

    fn advance(&mut self, bytes: u64, capacity: u64) {
        self.rest += bytes;
        let mut ticks = self.rest / self.tick;
        self.rest %= self.tick;
        if ticks > self.life(capacity) {
            self.sets.fill(Set([0; WAYS]));
            self.held = 0;
        }
        ticks = ticks.min(TICKS_MAX);
        while ticks > 0 {
            let step = ticks.min(ROUND);
            self.now += step;
            self.clean(step, capacity);
            ticks -= step;
        }
    }

    /// Clears what is forgotten in the cursor's share of the sets for so many ticks.
    fn clean(&mut self, ticks: u64, capacity: u64) {
        self.owed += ticks * self.sets.len() as u64;
        let (sets, now, life) = (self.owed / ROUND, self.now, self.life(capacity));
        self.owed %= ROUND;
        for _ in 0..sets {
            for entry in &mut self.sets[self.cursor].0 {
                if uses(*entry) > 0 && age(*entry, now) > life {
                    *entry = 0;
                    self.held -= 1;
                }
            }
            self.cursor = (self.cursor + 1) % self.sets.len();
        }
    }

    /// Ticks an entry is remembered for.
    fn life(&self, capacity: u64) -> u64 {
        (capacity / self.tick).min(TICKS_MAX)
    }

    fn index(&self, place: u32) -> usize {
        ((u64::from(place) * self.sets.len() as u64) >> 32) as usize
    }
}

fn uses(entry: u32) -> u32 {
    entry >> 12 & 15
}

fn age(entry: u32, now: u64) -> u64 {
    now.wrapping_sub(u64::from(entry)) & u64::from(STAMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        i.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    fn ghost(records: usize, bytes: u64) -> Ghost {
        let mut ghost = Ghost::new();
        ghost.resize(records as u64 * bytes, records);
        ghost
    }

    #[test]
    fn a_key_is_recalled_once_with_its_uses() {
        let mut ghost = ghost(100, 50);
        assert_eq!((ghost.bytes_used(), ghost.recall(hash(1))), (0, None));
        ghost.remember(hash(1), 7, 50);
        ghost.remember(hash(2), 15, 50);
        assert_eq!([1, 2, 2, 1, 3].map(|i| ghost.recall(hash(i))), [Some(7), Some(15), None, None, None]);
        assert!(ghost.is_empty());
    }

    #[test]
    fn it_remembers_as_many_bytes_as_it_was_told_and_little_more() {
        for records in [30u64, 1_000, 20_000] {
            let mut ghost = ghost(records as usize, 100);
            let last = records * 10;
            (0..last).for_each(|i| ghost.remember(hash(i), 3, 100));
            assert!(ghost.bytes_used() as f64 <= records as f64 * 5.2 + 200.0, "{}", ghost.bytes_used());
            assert!(ghost.len() as u64 <= records * 5 / 4 + 16, "{} {records}", ghost.len());
            let (mut young, mut old) = (0, 0);
            for i in (0..last).rev() {
                let found = u64::from(ghost.recall(hash(i)).is_some());
                if last - i <= records { young += found } else { old += found }
            }
            assert!(young * 100 >= records * 90, "{young} of {records}");
            assert!(old * 100 <= records * 2 + 100, "{old} too old of {records}");
        }
    }

    #[test]
    fn what_is_taken_out_makes_room() {
        let mut ghost = ghost(1_000, 100);
        for i in 0..10_000 {
            ghost.remember(hash(i), 1, 100);
            if i % 2 == 0 {
                ghost.recall(hash(i));
            }
        }
        // Each second one was taken out, so the FIFO reaches twice as far back.
        let reach = (0..10_000).rev().filter(|i| i % 2 == 1).take_while(|&i| ghost.recall(hash(i)).is_some()).count();
        let left = (0..10_000).filter(|&i| ghost.recall(hash(i)).is_some()).count();
        assert!((850..=1_100).contains(&(reach + left)), "{reach} {left}");
    }

    #[test]
    fn a_record_larger_than_the_ghost_clears_it() {
        let mut ghost = ghost(100, 50);
        (0..100).for_each(|i| ghost.remember(hash(i), 1, 50));
        ghost.remember(hash(500), 1, 1_000_000);
        assert!(ghost.len() <= 1);
        (0..100).for_each(|i| assert_eq!(ghost.recall(hash(i)), None));
    }

    #[test]
    fn nothing_old_turns_young_when_stamps_wrap() {
        let mut ghost = ghost(1_000, 100);
        (0..1_000).for_each(|i| ghost.remember(hash(i), 1, 100));
        // Few, large records turn the clock many times round without touching most sets.
        for i in 0..2_000 {
            ghost.remember(hash(1_000_000 + i), 1, 20_000 + (i as u32 % 7) * 3_000);
            let found = (0..1_000).filter(|&i| ghost.recall(hash(i)).is_some()).count();
            assert!(i < 5 || found == 0, "{found} after {i}");
        }
    }

    #[test]
    fn a_new_size_keeps_what_is_remembered() {
        let mut ghost = ghost(100, 100);
        (0..100).for_each(|i| ghost.remember(hash(i), 2, 100));
        ghost.resize(15_000, 250);
        (100..140).for_each(|i| ghost.remember(hash(i), 2, 100));
        let found = (0..140).filter(|&i| ghost.recall(hash(i)) == Some(2)).count();
        assert!(found >= 130, "{found}");
        (0..900).for_each(|i| ghost.remember(hash(i), 2, 100));
        assert!(ghost.older.is_none(), "the old table goes in time");
        ghost.resize(1_000_000, 10_000);
        ghost.remember(hash(1), 2, 100);
        let before = ghost.bytes_used();
        ghost.resize(10_000, 100);
        (0..3_000).for_each(|i| ghost.remember(hash(i), 2, 100));
        assert!(ghost.bytes_used() < before / 10, "{}", ghost.bytes_used());
        ghost.resize(0, 0);
        ghost.remember(1, 1, 1);
        assert_eq!((ghost.bytes_used(), ghost.recall(1)), (0, None));
    }
}
