//! Which keys are due: a hierarchical timing wheel (Varghese and Lauck 1987) per stripe.
//!
//! A bucket holds *names*, not references: slot and hash bits, two bytes where the slot's table has one leaf, four
//! where it has more. So a record may move, and a table grow, without the wheel hearing of it, and nothing is taken out
//! when a key is deleted or gets another expiry: when the bucket is due, the name leads to the records that may be
//! meant, and their own expiry decides.

mod blocks;

use blocks::Blocks;
use std::collections::VecDeque;

/// The length of the shortest bucket. Keys are gone from memory this long after their time, at the latest.
pub const TICK_MS: u64 = 128;

/// Buckets in each level; a bucket of one level is as long as all of the level below.
const BUCKETS: u64 = 64;

/// Levels: 8 s, 9 min, 9 h, 25 days and 4 years. What expires later waits in the last bucket and is placed again.
const LEVELS: usize = 5;

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
    /// Buckets to be worked off.
    due: VecDeque<Work>,
    /// Buckets with names.
    filled: usize,
    bytes: usize,
}

/// Names, most of them packed. Empty ones, of which there are many, are eight bytes.
#[derive(Default)]
struct Bucket(Option<Box<Names>>);

/// The names of a bucket: in one part, or split in two wherever there are too many for one. So packing takes
/// microseconds, though all of a million keys that expire at the same time may have one hash tag.
enum Names {
    Part(Part),
    Split(Box<Split>),
}

struct Split {
    /// The first of the names above.
    pivot: u32,
    below: Names,
    above: Names,
}

/// Names in a part beyond which it is split.
const PART_MAX: u32 = 2048;

/// Names of a bucket: a sorted part without doubles in about a byte each, and the newest in two to four.
#[derive(Default)]
struct Part {
    packed: Blocks,
    packed_count: u32,
    head: Option<Box<Chunk>>,
    /// Codes in chunks.
    codes: u32,
}

/// Codes are packed when there are so many of them, and a sixteenth as many as names packed before.
const PACK_FROM: u32 = 2 * CODES as u32;

/// Codes in a chunk, which is 128 bytes long.
const CODES: usize = 58;

/// A part of a bucket; the newest is first. A narrow name is one code, a wide one two: see [`encode`].
struct Chunk {
    next: Option<Box<Chunk>>,
    len: u32,
    codes: [u16; CODES],
}

const _: () = assert!(size_of::<Chunk>() == 128);

/// Work of a bucket or a part of one: names, each once, whose records expire in `from_ms..to_ms`. `to_ms` has no bound in
/// the last level.
pub struct Work {
    /// What is unpacked once the work begins.
    part: Part,
    names: Vec<u32>,
    pub from_ms: u64,
    pub to_ms: u64,
}

impl Wheel {
    /// Bytes of buckets and names.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a record that moves from one expiry to another keeps its name in the wheel, so that it needs no new one.
    ///
    /// What was due already may have left its bucket, and its place, as seen from now, holds no name of it.
    pub fn same_bucket(&self, old_ms: u64, new_ms: u64) -> bool {
        old_ms / TICK_MS >= self.now && self.place(old_ms / TICK_MS) == self.place(new_ms / TICK_MS)
    }

    /// Sets an empty wheel to the present, so that what is added is placed as seen from now.
    pub fn start(&mut self, now_ms: u64) {
        if self.filled == 0 && self.due.is_empty() {
            self.now = self.now.max(now_ms / TICK_MS);
        }
    }

    /// Notes that the named record expires at a time. `slot` and `name` are the record's; see [`Name`].
    pub fn add(&mut self, slot: u8, name: u32, wide: bool, expiry_ms: u64) {
        let (level, index) = self.place(expiry_ms / TICK_MS);
        let buckets = self.levels[level].get_or_insert_with(|| {
            self.bytes += size_of::<[Bucket; BUCKETS as usize]>();
            Box::new(std::array::from_fn(|_| Bucket::default()))
        });
        let bucket = &mut buckets[index];
        self.filled += usize::from(bucket.0.is_none());
        let names = bucket.0.get_or_insert_with(|| {
            self.bytes += size_of::<Names>();
            Box::new(Names::Part(Part::default()))
        });
        let (before, after) = names.push(encode(slot, name, wide));
        self.bytes = self.bytes + after - before;
    }

    /// Moves time on: buckets whose whole span has passed become due.
    pub fn advance(&mut self, now_ms: u64) {
        let target = now_ms / TICK_MS;
        if self.filled == 0 {
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
        let mut work = self.due.pop_front()?;
        self.bytes -= work.bytes();
        if work.names.is_empty() {
            work.names = work.part.drain();
        }
        Some(work)
    }

    /// Puts back work that was not finished.
    pub fn put_back(&mut self, work: Work) {
        if !work.names.is_empty() {
            self.bytes += work.bytes();
            self.due.push_front(work);
        }
    }

    /// Whether work waits.
    pub fn has_work(&self) -> bool {
        !self.due.is_empty()
    }

    /// Forgets all.
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
                && let Some(names) = buckets[index].0.take()
            {
                self.filled -= 1;
                self.bytes -= size_of::<Names>() + names.bytes_beside();
                let from_ms = self.now * TICK_MS;
                // What lies beyond the last level has waited here, and is placed again.
                let to_ms = if level + 1 == LEVELS { u64::MAX } else { from_ms + span * TICK_MS };
                names.each_part(&mut |part| {
                    let work = Work { part, names: Vec::new(), from_ms, to_ms };
                    self.bytes += work.bytes();
                    self.due.push_back(work);
                });
            }
            span *= BUCKETS;
        }
    }
}

impl Work {
    /// Bytes of names, packed or not.
    fn bytes(&self) -> usize {
        self.part.bytes() + self.names.capacity() * 4
    }

    /// The next name, or `None` when the bucket is done.
    pub fn take_name(&mut self) -> Option<Name> {
        self.names.pop().map(decode)
    }

    /// Keeps a name that was taken, to be the next one again.
    pub fn keep(&mut self, name: Name) {
        let wide = name.bits > NARROW_BITS;
        self.names.push(encode(name.slot, name.prefix << (32 - name.bits), wide));
    }

    /// The name that follows by `ahead` more, for prefetching.
    pub fn peek(&self, ahead: usize) -> Option<Name> {
        let index = self.names.len().checked_sub(1 + ahead)?;
        self.names.get(index).copied().map(decode)
    }
}

/// Marks the second code of a wide name, the fifteen low bits of its hash.
const LOW: u16 = 1 << 15;

/// What a narrow name has in place of a second code.
const NARROW: u32 = 0xFFFF;

/// The bits of the hash in a narrow name.
const NARROW_BITS: u8 = 9;

/// First code, slot and top nine bits of the hash, in the upper half; the fifteen low bits in the lower half.
fn encode(slot: u8, name: u32, wide: bool) -> u32 {
    let first = u32::from(slot) << 9 | name >> 23;
    first << 16 | if wide { name >> 8 & 0x7FFF } else { NARROW }
}

fn decode(code: u32) -> Name {
    let first = code >> 16;
    let slot = (first >> 9 & 63) as u8;
    match code & 0xFFFF {
        NARROW => Name { slot, prefix: first & 0x1FF, bits: NARROW_BITS },
        low => Name { slot, prefix: (first & 0x1FF) << 15 | low, bits: 24 },
    }
}

impl Names {
    /// Adds a name. Returns the bytes beside this before and after, of what has changed alone.
    fn push(&mut self, name: u32) -> (usize, usize) {
        let mut names = self;
        while let Names::Split(split) = names {
            names = if name < split.pivot { &mut split.below } else { &mut split.above };
        }
        let Names::Part(part) = names else { unreachable!("what is split has been gone through") };
        let before = part.bytes();
        part.push(name);
        if part.codes >= PACK_FROM.max(part.packed_count / 16) {
            let all = part.drain();
            part.pack(&all);
            if part.packed_count > PART_MAX {
                *names = Names::split(&all);
            }
        }
        (before, names.bytes_beside())
    }

    /// Two parts of sorted names.
    fn split(names: &[u32]) -> Names {
        let (below, above) = names.split_at(names.len() / 2);
        let part = |names: &[u32]| {
            let mut part = Part::default();
            part.pack(names);
            Names::Part(part)
        };
        Names::Split(Box::new(Split { pivot: above[0], below: part(below), above: part(above) }))
    }

    fn bytes_beside(&self) -> usize {
        match self {
            Names::Part(part) => part.bytes(),
            Names::Split(split) => size_of::<Split>() + split.below.bytes_beside() + split.above.bytes_beside(),
        }
    }

    /// Hands over its parts.
    fn each_part(self, each: &mut impl FnMut(Part)) {
        match self {
            Names::Part(part) => each(part),
            Names::Split(split) => {
                let Split { below, above, .. } = *split;
                below.each_part(each);
                above.each_part(each);
            }
        }
    }
}

impl Part {
    /// Bytes beside this.
    fn bytes(&self) -> usize {
        self.packed.memory() + (self.codes as usize).div_ceil(CODES) * size_of::<Chunk>()
    }

    fn push(&mut self, name: u32) {
        self.push_code((name >> 16) as u16);
        if name & 0xFFFF != NARROW {
            self.push_code(name as u16 | LOW);
        }
    }

    fn push_code(&mut self, code: u16) {
        if self.head.as_ref().is_none_or(|chunk| chunk.len as usize == CODES) {
            self.head = Some(Box::new(Chunk { next: self.head.take(), len: 0, codes: [0; CODES] }));
        }
        let chunk = self.head.as_mut().expect("just made sure of");
        chunk.codes[chunk.len as usize] = code;
        chunk.len += 1;
        self.codes += 1;
    }

    /// Packs names, which have been drained: the distances between sorted ones, seven bits to a byte. In a bucket of
    /// thousands that is a byte each. Narrow names come first; they are as far apart as their one code, wide ones as
    /// their two.
    fn pack(&mut self, names: &[u32]) {
        let narrow = || names.iter().filter(|&name| name & 0xFFFF == NARROW);
        let wide = names.iter().filter(|&name| name & 0xFFFF != NARROW);
        let mut packed = Vec::with_capacity(names.len() + names.len() / 8 + 8);
        push_number(&mut packed, narrow().count() as u32);
        push_distances(&mut packed, narrow().map(|name| name >> 16));
        push_distances(&mut packed, wide.map(|name| name >> 16 << 15 | name & 0x7FFF));
        self.packed = Blocks::of(&packed);
        self.packed_count = names.len() as u32;
    }

    /// Takes all names, sorted and each once.
    fn drain(&mut self) -> Vec<u32> {
        let mut names = Vec::with_capacity(self.packed_count as usize + self.codes as usize);
        self.unpack(&mut names);
        let mut second = None;
        let mut next = self.head.take();
        self.codes = 0;
        // Newest first: of the two codes of a wide name, the second is met before the first.
        while let Some(mut chunk) = next {
            for &code in chunk.codes[..chunk.len as usize].iter().rev() {
                match second.take() {
                    Some(low) => names.push(u32::from(code) << 16 | u32::from(low)),
                    None if code & LOW != 0 => second = Some(code & !LOW),
                    None => names.push(u32::from(code) << 16 | NARROW),
                }
            }
            next = chunk.next.take();
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn unpack(&mut self, names: &mut Vec<u32>) {
        let packed = std::mem::take(&mut self.packed).to_vec();
        let count = std::mem::take(&mut self.packed_count);
        let mut rest = packed.iter();
        let narrow = if count == 0 { 0 } else { next_number(&mut rest) };
        let mut sum = 0;
        for _ in 0..narrow {
            sum += next_number(&mut rest);
            names.push(sum << 16 | NARROW);
        }
        sum = 0;
        for _ in narrow..count {
            sum += next_number(&mut rest);
            names.push(sum >> 15 << 16 | sum & 0x7FFF);
        }
    }
}

fn push_distances(packed: &mut Vec<u8>, sorted: impl Iterator<Item = u32>) {
    let mut last = 0;
    for number in sorted {
        push_number(packed, number - last);
        last = number;
    }
}

/// Seven bits to a byte, lowest first; the top bit says that more follow.
fn push_number(packed: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        packed.push(number as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn next_number(packed: &mut std::slice::Iter<'_, u8>) -> u32 {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = *packed.next().expect("as many numbers are read as were packed");
        number |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

impl Drop for Part {
    /// One chunk after the other: a long list would not fit the stack.
    fn drop(&mut self) {
        let mut next = self.head.take();
        while let Some(mut chunk) = next {
            next = chunk.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Works the wheel as a stripe does: what expires inside the bucket is gone or placed again.
    fn run(wheel: &mut Wheel, alive: &mut HashMap<(u8, u32), u64>, now_ms: u64, gone: &mut Vec<(u64, u64)>) {
        wheel.advance(now_ms);
        while let Some(mut work) = wheel.work() {
            while let Some(name) = work.take_name() {
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
        wheel.start(start);
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
        let levels = wheel.levels.iter().flatten().count() * size_of::<[Bucket; BUCKETS as usize]>();
        assert_eq!(wheel.bytes(), levels, "what is gone is no longer counted");
        for (expiry, when) in gone {
            assert!(when >= expiry && when - expiry <= 2 * TICK_MS + 997, "due {expiry}, gone {when}");
        }
        assert_eq!(wheel.filled, 0);
    }

    #[test]
    fn a_bucket_of_very_many_names_is_worked_off_in_parts() {
        let mut wheel = Wheel::default();
        wheel.start(0);
        for turn in 0..2 {
            for number in 0..200_000u32 {
                wheel.add(7, number.wrapping_mul(0x9E37_79B1) & !0x1FF, true, 100);
            }
            assert!(wheel.bytes() < 700_000, "{} bytes after turn {turn}", wheel.bytes());
        }
        wheel.advance(1_000);
        let mut seen = std::collections::HashSet::new();
        let mut largest = 0;
        while let Some(mut work) = wheel.work() {
            largest = largest.max(work.names.len());
            seen.extend(std::iter::from_fn(|| work.take_name()).map(|name| name.prefix));
        }
        let all: std::collections::HashSet<u32> =
            (0..200_000u32).map(|number| (number.wrapping_mul(0x9E37_79B1) & !0x1FF) >> 8).collect();
        assert!(seen == all && largest <= PART_MAX as usize + PACK_FROM as usize + PART_MAX as usize / 16, "{largest}");
        assert_eq!(wheel.bytes(), size_of::<[Bucket; BUCKETS as usize]>());
    }

    #[test]
    fn a_key_set_again_and_again_does_not_fill_the_wheel() {
        let mut wheel = Wheel::default();
        wheel.start(1_700_000_000_000);
        for _ in 0..1_000_000 {
            wheel.add(3, 5 << 23, false, 1_700_003_600_000);
        }
        assert!(wheel.bytes() < 10_000, "{} bytes", wheel.bytes());
    }

    #[test]
    fn names_of_both_widths_come_back_from_one_bucket() {
        let mut wheel = Wheel::default();
        wheel.start(0);
        let mut expected = Vec::new();
        for number in 0..5_000u32 {
            let (slot, wide) = ((number % 64) as u8, number % 3 == 0);
            let name = number.wrapping_mul(0x9E37_79B9) & !0xFF;
            wheel.add(slot, name, wide, 100);
            let bits = if wide { 24 } else { 9 };
            expected.push((slot, name >> (32 - bits), bits));
        }
        wheel.advance(1_000);
        let mut seen = Vec::new();
        while let Some(mut work) = wheel.work() {
            seen.extend(std::iter::from_fn(|| work.take_name()).map(|n| (n.slot, n.prefix, n.bits)));
        }
        seen.sort_unstable();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_name_that_is_kept_is_the_next_one_again() {
        let mut wheel = Wheel::default();
        wheel.start(0);
        for (slot, wide) in [(1, false), (2, true), (63, true)] {
            wheel.add(slot, 0xABCD_EF00, wide, 100);
        }
        wheel.advance(1_000);
        let mut work = wheel.work().unwrap();
        for left in (0..3).rev() {
            let name = work.take_name().unwrap();
            work.keep(name);
            assert_eq!(work.take_name(), Some(name), "{left} are left");
        }
        assert_eq!(work.take_name(), None);
    }

    #[test]
    fn what_lies_beyond_the_last_level_is_placed_again_until_its_time() {
        const LAST_MS: u64 = BUCKETS.pow(LEVELS as u32 - 1) * TICK_MS;
        let mut wheel = Wheel::default();
        let start = 1_700_000_000_000 / LAST_MS * LAST_MS;
        wheel.start(start);
        let expiry = start + LAST_MS * 100;
        wheel.add(1, 0, false, expiry);
        let mut alive = HashMap::from([((1, 0), expiry)]);
        let mut gone = Vec::new();
        for turn in 1..=101 {
            run(&mut wheel, &mut alive, start + turn * LAST_MS, &mut gone);
            run(&mut wheel, &mut alive, start + turn * LAST_MS, &mut gone);
            assert_eq!(alive.is_empty(), turn > 100, "after {turn} of 100");
        }
    }

    #[test]
    fn a_key_whose_name_is_due_gets_a_new_one() {
        let mut wheel = Wheel::default();
        wheel.start(0);
        wheel.add(1, 0, false, TICK_MS);
        wheel.advance(10 * TICK_MS);
        assert!(wheel.has_work());
        assert!(!wheel.same_bucket(TICK_MS, 10 * TICK_MS + 5));
        assert!(wheel.same_bucket(11 * TICK_MS, 11 * TICK_MS + 5));
    }

    #[test]
    fn a_jump_of_the_clock_loses_nothing() {
        let mut wheel = Wheel::default();
        wheel.start(1_700_000_000_000);
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
