//! Which keys are due: a hierarchical timing wheel (Varghese and Lauck 1987) per stripe.
//!
//! A bucket holds *names*, not references: slot and hash bits, two bytes where the slot's table has one leaf, four
//! where it has more. So a record may move, and a table grow, without the wheel hearing of it, and nothing is taken out
//! when a key is deleted or gets another expiry: when the bucket is due, the name leads to the records that may be
//! meant, and their own expiry decides.

use std::collections::VecDeque;

/// The length of the shortest bucket. Keys are gone from memory this long after their time, at the latest.
pub const TICK_MS: u64 = 128;

/// Buckets in each level; a bucket of one level is as long as all of the level below.
const BUCKETS: u64 = 64;

/// Levels: 8 s, 9 min, 9 h, 25 days and 4 years. What expires later waits in the last bucket and is placed again.
const LEVELS: usize = 5;

/// A bucket is freed of doubles whenever it has grown to twice what was left the last time, from this length on.
const SORT_FROM: usize = 1024;

/// Names a record by hash: see [`super::table::name_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// The slot inside the stripe, 0 to 63.
    pub slot: u8,
    /// The known bits of the hash, `bits` of them: 9 or 24.
    pub prefix: u32,
    pub bits: u8,
}

#[derive(Default)]
pub struct Wheel {
    /// The tick that is processed next, since 1970.
    now: u64,
    levels: [Option<Box<[Bucket; BUCKETS as usize]>>; LEVELS],
    /// Buckets to be worked off, with the time range their records expire in.
    due: VecDeque<Due>,
    names: usize,
    bytes: usize,
}

#[derive(Default)]
struct Bucket {
    narrow: Vec<u16>,
    wide: Vec<u32>,
    /// Names left when doubles were last removed.
    sorted: usize,
}

struct Due {
    bucket: Bucket,
    /// Ticks that the bucket covers.
    from: u64,
    to: u64,
}

/// A bucket's worth of work: names, each once, whose records expire in `from_ms..to_ms`.
pub struct Work {
    bucket: Bucket,
    pub from_ms: u64,
    pub to_ms: u64,
    from: u64,
    to: u64,
}

impl Wheel {
    /// Bytes of buckets and names.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a record that moves from one expiry to another needs a new name in the wheel.
    pub fn same_bucket(&self, one_ms: u64, other_ms: u64) -> bool {
        self.place(one_ms / TICK_MS) == self.place(other_ms / TICK_MS)
    }

    /// Sets an empty wheel to the present, so that what is added is placed as seen from now.
    pub fn start(&mut self, now_ms: u64) {
        if self.names == 0 && self.due.is_empty() {
            self.now = self.now.max(now_ms / TICK_MS);
        }
    }

    /// Notes that the named record expires at a time. `slot` and `name` are the record's; see [`Name`].
    pub fn add(&mut self, slot: u8, name: u32, wide: bool, expiry_ms: u64) {
        let (level, index) = self.place(expiry_ms / TICK_MS);
        let level = self.levels[level].get_or_insert_with(|| {
            self.bytes += size_of::<[Bucket; BUCKETS as usize]>();
            Box::new(std::array::from_fn(|_| Bucket::default()))
        });
        let bucket = &mut level[index];
        self.bytes -= bucket.bytes();
        self.names -= bucket.len();
        bucket.push(slot, name, wide);
        self.bytes += bucket.bytes();
        self.names += bucket.len();
    }

    /// Moves time on: buckets whose whole span has passed become due.
    pub fn advance(&mut self, now_ms: u64) {
        let target = now_ms / TICK_MS;
        if self.names == 0 && self.due.is_empty() {
            self.now = self.now.max(target);
            return;
        }
        while self.now < target {
            if self.levels[0].is_none() && self.now.is_multiple_of(BUCKETS) {
                // Nothing in the short term: step over the whole of the lowest level.
                let step = (self.now / BUCKETS + 1) * BUCKETS;
                self.take_due(1);
                self.now = step.min(target.max(self.now + 1));
                continue;
            }
            self.take_due(0);
            self.now += 1;
        }
    }

    /// The next bucket whose time has come.
    pub fn work(&mut self) -> Option<Work> {
        let Due { mut bucket, from, to } = self.due.pop_front()?;
        self.bytes -= bucket.bytes();
        self.names -= bucket.len();
        bucket.remove_doubles();
        Some(Work { bucket, from_ms: from * TICK_MS, to_ms: to * TICK_MS, from, to })
    }

    /// Puts back work that was not finished.
    pub fn put_back(&mut self, work: Work) {
        if work.bucket.len() == 0 {
            return;
        }
        self.bytes += work.bucket.bytes();
        self.names += work.bucket.len();
        self.due.push_front(Due { bucket: work.bucket, from: work.from, to: work.to });
    }

    /// Whether work waits.
    pub fn has_work(&self) -> bool {
        !self.due.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Wheel { now: self.now, ..Wheel::default() };
    }

    /// The level and bucket of a tick, as seen from now. What is past goes into the bucket that is due first.
    fn place(&self, tick: u64) -> (usize, usize) {
        let tick = tick.max(self.now);
        let mut span = 1;
        for level in 0..LEVELS {
            // A bucket may be used as soon as its turn lies within the next 64 of its level.
            if tick / span - self.now / span < BUCKETS {
                return (level, (tick / span % BUCKETS) as usize);
            }
            span *= BUCKETS;
        }
        let span = span / BUCKETS;
        (LEVELS - 1, ((self.now / span + BUCKETS - 1) % BUCKETS) as usize)
    }

    /// Takes the bucket of `self.now` in a level, and in each level above whose bucket begins now.
    fn take_due(&mut self, lowest: usize) {
        let mut span = BUCKETS.pow(lowest as u32);
        for level in lowest..LEVELS {
            if level > 0 && !self.now.is_multiple_of(span) {
                break;
            }
            let index = (self.now / span % BUCKETS) as usize;
            if let Some(buckets) = &mut self.levels[level]
                && buckets[index].len() > 0
            {
                let bucket = std::mem::take(&mut buckets[index]);
                self.due.push_back(Due { bucket, from: self.now, to: self.now + span });
            }
            span *= BUCKETS;
        }
    }
}

impl Work {
    /// The next name, or `None` when the bucket is done.
    pub fn next(&mut self) -> Option<Name> {
        if let Some(code) = self.bucket.narrow.pop() {
            return Some(Name { slot: (code >> 9) as u8, prefix: code as u32 & 0x1FF, bits: 9 });
        }
        let code = self.bucket.wide.pop()?;
        Some(Name { slot: (code >> 24) as u8, prefix: code & 0xFF_FFFF, bits: 24 })
    }

    /// The name that follows by `ahead` more, for prefetching.
    pub fn peek(&self, ahead: usize) -> Option<Name> {
        let narrow = &self.bucket.narrow;
        let code = *narrow.get(narrow.len().checked_sub(1 + ahead)?)?;
        Some(Name { slot: (code >> 9) as u8, prefix: code as u32 & 0x1FF, bits: 9 })
    }
}

impl Bucket {
    fn len(&self) -> usize {
        self.narrow.len() + self.wide.len()
    }

    fn bytes(&self) -> usize {
        self.narrow.capacity() * 2 + self.wide.capacity() * 4
    }

    fn push(&mut self, slot: u8, name: u32, wide: bool) {
        if self.len() >= SORT_FROM && self.len() >= self.sorted * 2 {
            self.remove_doubles();
            self.sorted = self.len();
        }
        if wide {
            push_lean(&mut self.wide, (slot as u32) << 24 | name >> 8);
        } else {
            push_lean(&mut self.narrow, (slot as u16) << 9 | (name >> 23) as u16);
        }
    }

    fn remove_doubles(&mut self) {
        self.narrow.sort_unstable();
        self.narrow.dedup();
        self.wide.sort_unstable();
        self.wide.dedup();
    }
}

/// Pushes with room for an eighth more instead of twice as much: a name is two bytes and should stay so.
fn push_lean<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 8).max(8));
    }
    list.push(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Works the wheel as a stripe does: what expires inside the bucket is gone or placed again.
    fn run(wheel: &mut Wheel, alive: &mut HashMap<(u8, u32), u64>, now_ms: u64, gone: &mut Vec<(u64, u64)>) {
        wheel.advance(now_ms);
        while let Some(mut work) = wheel.work() {
            while let Some(name) = work.next() {
                let key = (name.slot, name.prefix << (32 - name.bits));
                let Some(&expiry) = alive.get(&key) else { continue };
                if expiry <= now_ms {
                    alive.remove(&key);
                    gone.push((expiry, now_ms));
                } else if (work.from_ms..work.to_ms).contains(&expiry) {
                    wheel.add(key.0, key.1, false, expiry);
                }
            }
        }
    }

    #[test]
    fn keys_go_within_two_ticks_of_their_time_whatever_their_ttl() {
        let start = 1_700_000_000_000;
        let ttls = [1, 100, 128, 5_000, 8_191, 8_192, 60_000, 600_000, 3_600_000, 50_000_000];
        let mut wheel = Wheel::default();
        wheel.advance(start);
        let mut alive = HashMap::new();
        for (slot, ttl) in ttls.into_iter().enumerate() {
            let key = (slot as u8, (slot as u32 * 37) << 23);
            alive.insert(key, start + ttl);
            wheel.add(key.0, key.1, false, start + ttl);
        }
        let mut gone = Vec::new();
        let mut now = start;
        while !alive.is_empty() && now < start + 60_000_000 {
            now += if now < start + 20_000 { 50 } else { 997 };
            run(&mut wheel, &mut alive, now, &mut gone);
        }
        assert_eq!(gone.len(), ttls.len(), "left: {alive:?}");
        for (expiry, when) in gone {
            assert!(when >= expiry && when - expiry <= 2 * TICK_MS + 997, "due {expiry}, gone {when}");
        }
        assert_eq!(wheel.names, 0);
    }

    #[test]
    fn a_key_set_again_and_again_does_not_fill_the_wheel() {
        let mut wheel = Wheel::default();
        wheel.advance(1_700_000_000_000);
        for _ in 0..1_000_000 {
            wheel.add(3, 5 << 23, false, 1_700_003_600_000);
        }
        assert!(wheel.bytes() < 30_000, "{} bytes", wheel.bytes());
    }

    #[test]
    fn a_jump_of_the_clock_loses_nothing() {
        let mut wheel = Wheel::default();
        wheel.advance(1_700_000_000_000);
        let mut alive = HashMap::from([((1, 0), 1_700_000_100_000), ((2, 1 << 23), 1_900_000_000_000)]);
        for (&(slot, name), &expiry) in &alive {
            wheel.add(slot, name, false, expiry);
        }
        let mut gone = Vec::new();
        run(&mut wheel, &mut alive, 1_900_000_001_000, &mut gone);
        run(&mut wheel, &mut alive, 1_900_000_002_000, &mut gone);
        assert!(alive.is_empty(), "left: {alive:?}");
    }
}
