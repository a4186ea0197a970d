//! A cache without values: what the policy would hold of some keys, had it so many bytes for them.
//!
//! A record is eight bytes in an open-addressed table. It runs on the same [`Queues`] and [`Ghost`] as a stripe
//! does. Keys are told apart by the top 24 bits of their hash, so among 60,000 records one key in 280 is mistaken
//! for another.

use super::ghost::Ghost;
use super::queues::Queues;
use super::{Fate, Mark, Name, Partial, Seen, USES_MAX, uses};

/// Of ten places in the table, how many may be taken.
const LOAD: usize = 8;
/// Places of the smallest table.
const SIZE_MIN: usize = 64;
/// Bits of hash that a record has, and how many of them a queue entry leaves out (its slot is hash as well).
const HASH: u32 = 24;
const HASH_LEFT_OUT: u32 = HASH - 6 - Partial::NARROW as u32;
/// The ghost's share of the records and bytes.
const GHOST: f64 = 0.9;

/// See the head of this file.
pub struct Shadow {
    first: f32,
    capacity: u64,
    used: u64,
    len: usize,
    places: Vec<Record>,
    queues: Queues,
    ghost: Ghost,
}

/// A key's 24 bits of hash, its footprint and the three things a record's header has. All zero: a free place.
///
/// ```text
/// 63..40 hash | 39..24 footprint | 23..16 chunk | 15..9 queue | 8..5 p | 4..1 f | 0 taken
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
struct Record(u64);

impl Record {
    const FREE: Record = Record(0);

    fn new(hash: u64, bytes: u32, f: u8) -> Record {
        Record(hash >> 40 << 40 | u64::from(short(bytes)) << 24 | u64::from(f & 15) << 1 | 1)
    }

    fn hash(self) -> u32 {
        (self.0 >> 40) as u32
    }

    fn bytes(self) -> u32 {
        long((self.0 >> 24) as u16)
    }

    fn f(self) -> u8 {
        (self.0 >> 1) as u8 & 15
    }

    fn p(self) -> u8 {
        (self.0 >> 5) as u8 & 15
    }

    fn mark(self) -> Mark {
        Mark { queue: (self.0 >> 9) as u8 & 127, chunk: (self.0 >> 16) as u8 }
    }

    fn set_p(&mut self, p: u8) {
        self.0 = self.0 & !(15 << 5) | u64::from(p & 15) << 5;
    }

    fn set_mark(&mut self, mark: Mark) {
        self.0 = self.0 & !(0x7fff << 9) | u64::from(mark.queue & 127) << 9 | u64::from(mark.chunk) << 16;
    }
}

/// A footprint in 16 bits: five of shift, eleven of what is shifted.
fn short(bytes: u32) -> u16 {
    let shift = (32 - bytes.leading_zeros()).saturating_sub(11);
    (shift << 11) as u16 | (bytes >> shift) as u16
}

fn long(short: u16) -> u32 {
    u32::from(short & 0x7ff) << (short >> 11)
}

impl Shadow {
    /// An empty shadow of so many bytes in which one use counts `first`.
    pub fn new(first: f32, capacity: u64) -> Shadow {
        Shadow { first, capacity, used: 0, len: 0, places: Vec::new(), queues: Queues::new(), ghost: Ghost::new() }
    }

    /// Records held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Heap bytes held.
    pub fn bytes_used(&self) -> usize {
        self.places.capacity() * size_of::<Record>() + self.queues.bytes_used() + self.ghost.bytes_used()
    }

    /// Sets the capacity; what no longer fits goes with the next write.
    pub fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    /// Whether the key is held. If so it counts as a hit.
    pub fn read(&mut self, hash: u64) -> bool {
        let Some(at) = self.find(hash) else { return false };
        let record = &mut self.places[at];
        record.set_p((record.p() + 1).min(USES_MAX));
        true
    }

    /// Holds the key with this footprint.
    pub fn write(&mut self, hash: u64, bytes: u32) {
        if u64::from(bytes) > self.capacity {
            self.remove(hash);
            return;
        }
        let (f, p) = match self.find(hash) {
            Some(at) if self.places[at].bytes() == long(short(bytes)) => return,
            Some(at) => (self.places[at].f(), self.places[at].p()),
            None => (uses(self.ghost.recall(hash >> 40)), 0),
        };
        self.remove(hash);
        self.make_room(u64::from(bytes));
        let mut record = Record::new(hash, bytes, f);
        record.set_p(p);
        self.insert(record);
    }

    /// Lets go of a key.
    pub fn remove(&mut self, hash: u64) {
        if let Some(at) = self.find(hash) {
            self.queues.removed(self.places[at].mark());
            self.take(at);
            self.sweep();
        }
    }

    fn make_room(&mut self, bytes: u64) {
        while self.used + bytes > self.capacity {
            let places = &self.places;
            let look = |partial, mark| {
                let at = find_marked(places, partial, mark)?;
                let record = places[at];
                Some(Seen { bytes: record.bytes(), f: record.f(), p: record.p(), handle: at as u64 })
            };
            let Some(lowest) = self.queues.lowest(self.first, look) else {
                return;
            };
            let record = self.take(lowest.seen.handle as usize);
            match lowest.seen.fate() {
                Fate::Requeue { f } => self.insert(Record::new(u64::from(record.hash()) << 40, record.bytes(), f)),
                Fate::Evict => {
                    self.queues.evicted(lowest.value);
                    let (capacity, records) = (self.capacity as f64 * GHOST, (self.len + 1) as f64 * GHOST);
                    self.ghost.resize(capacity as u64, records as usize);
                    self.ghost.remember(u64::from(record.hash()), record.f(), record.bytes());
                }
            }
        }
    }

    fn insert(&mut self, mut record: Record) {
        if (self.len + 1) * 10 > self.places.len() * LOAD {
            self.grow();
        }
        record.set_mark(self.queues.push(name(record.hash()), record.bytes(), record.f()));
        self.used += u64::from(record.bytes());
        self.len += 1;
        settle(&mut self.places, record);
        self.sweep();
    }

    fn grow(&mut self) {
        let size = (self.places.len() + self.places.len() / 2).max(SIZE_MIN);
        let old = std::mem::replace(&mut self.places, vec![Record::FREE; size]);
        for record in old.into_iter().filter(|&record| record != Record::FREE) {
            settle(&mut self.places, record);
        }
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let hash = (hash >> 40) as u32;
        let size = self.places.len();
        let mut at = home(hash, size);
        while *self.places.get(at)? != Record::FREE {
            if self.places[at].hash() == hash {
                return Some(at);
            }
            at = after(at, size);
        }
        None
    }

    /// Takes a record out of the table, and moves up what stood behind it because of it.
    fn take(&mut self, mut hole: usize) -> Record {
        let taken = self.places[hole];
        let size = self.places.len();
        let mut at = after(hole, size);
        while self.places[at] != Record::FREE {
            let home = home(self.places[at].hash(), size);
            if (at + size - home) % size >= (at + size - hole) % size {
                self.places[hole] = self.places[at];
                hole = at;
            }
            at = after(at, size);
        }
        self.places[hole] = Record::FREE;
        self.used -= u64::from(taken.bytes());
        self.len -= 1;
        taken
    }

    fn sweep(&mut self) {
        let places = &mut self.places;
        self.queues.sweep(|partial, old, new| {
            let at = find_marked(places, partial, old);
            at.inspect(|&at| places[at].set_mark(new)).is_some()
        });
    }
}

/// Puts a record into the first free place from its home on.
fn settle(places: &mut [Record], record: Record) {
    let mut at = home(record.hash(), places.len());
    while places[at] != Record::FREE {
        at = after(at, places.len());
    }
    places[at] = record;
}

/// The record with these bits of hash and this mark. The bits leave a few neighbouring homes open.
fn find_marked(places: &[Record], partial: Partial, mark: Mark) -> Option<usize> {
    let prefix = u32::from(partial.slot) << Partial::NARROW | partial.prefix;
    let (low, high) = (prefix << HASH_LEFT_OUT, (prefix + 1) << HASH_LEFT_OUT);
    let size = places.len();
    let mut at = home(low, size);
    let mut homes = home(high - 1, size) - at;
    loop {
        let record = places[at];
        if record == Record::FREE && homes == 0 {
            return None;
        }
        if record != Record::FREE && record.mark() == mark && record.hash() >> HASH_LEFT_OUT == prefix {
            return Some(at);
        }
        homes = homes.saturating_sub(1);
        at = after(at, size);
    }
}

fn name(hash: u32) -> Name {
    Name { slot: (hash >> (HASH - 6)) as u8, hash: hash << (32 - HASH + 6), wide: false }
}

fn home(hash: u32, size: usize) -> usize {
    ((u64::from(hash) * size as u64) >> HASH) as usize
}

fn after(at: usize, size: usize) -> usize {
    if at + 1 == size { 0 } else { at + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(i: u64) -> u64 {
        let x = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    #[test]
    fn footprints_keep_eleven_bits() {
        for bytes in [0, 1, 100, 2047, 2048, 2049, 4095, 65_535, 1 << 20, 512 << 20, u32::MAX] {
            let read = long(short(bytes));
            assert!(read <= bytes && bytes - read <= bytes / 1024, "{bytes} {read}");
        }
    }

    #[test]
    fn a_record_keeps_its_parts_apart() {
        let mut record = Record::new(u64::MAX, 100, 15);
        record.set_mark(Mark { queue: 124, chunk: 255 });
        record.set_p(9);
        assert_eq!((record.hash(), record.bytes(), record.f(), record.p()), (0xff_ffff, 100, 15, 9));
        assert_eq!(record.mark(), Mark { queue: 124, chunk: 255 });
        record.set_mark(Mark { queue: 0, chunk: 1 });
        record.set_p(0);
        assert_eq!((record.hash(), record.bytes(), record.f(), record.p()), (0xff_ffff, 100, 15, 0));
    }

    #[test]
    fn it_holds_what_fits_and_never_more() {
        let mut shadow = Shadow::new(1.0, 100_000);
        for i in 0..20_000 {
            shadow.write(hash(i), 50 + (i as u32 * 7) % 100);
            assert!(shadow.used <= 100_000);
        }
        assert!(shadow.len() > 900, "{}", shadow.len());
        assert_eq!(shadow.queues.len(), shadow.len());
        assert_eq!(shadow.places.iter().filter(|&&record| record != Record::FREE).count(), shadow.len());
        shadow.write(hash(1), 200_000);
        assert!(!shadow.read(hash(1)));
    }

    #[test]
    fn what_is_read_stays() {
        let mut shadow = Shadow::new(1.0, 100_000);
        (0..100).for_each(|i| shadow.write(hash(i), 100));
        for i in 100..20_000 {
            shadow.write(hash(i), 100);
            shadow.read(hash(i % 100));
        }
        let stayed = (0..100).filter(|&i| shadow.read(hash(i))).count();
        assert!(stayed >= 99, "{stayed}");
    }

    #[test]
    fn the_table_is_a_map_under_random_operations() {
        let mut shadow = Shadow::new(0.5, u64::MAX);
        let mut twin = std::collections::HashMap::new();
        for i in 0..60_000 {
            let key = hash(i) % 3_000;
            match hash(i) >> 40 & 3 {
                0 => {
                    shadow.remove(hash(key));
                    twin.remove(&key);
                }
                1 => assert_eq!(shadow.read(hash(key)), twin.contains_key(&key), "step {i}"),
                _ => {
                    shadow.write(hash(key), 64 + (i % 300) as u32);
                    twin.insert(key, 64 + i % 300);
                }
            }
            assert_eq!(shadow.len(), twin.len(), "step {i}");
        }
        assert_eq!(shadow.used, twin.values().sum::<u64>());
        assert!(shadow.queues.entries() < twin.len() * 2 + 100, "{}", shadow.queues.entries());
    }
}
