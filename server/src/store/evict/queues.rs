//! The FIFO queues of one stripe, the age they share, and the sweep that keeps stale entries few.
//!
//! Entries do not know their records' places and records do not know their entries', so a deletion costs the queues
//! nothing: the entry becomes stale and is dropped when it reaches the tail. Where nothing reaches a tail (below the
//! limit nothing is evicted) the **sweep** bounds the stale ones. It runs over one queue at a time, a few entries
//! per call: entries leave the queue's tail, and those that are alive go, in order and with their age, to a second
//! lane, `kept`, which counts as the older part of the queue. When the queue proper is empty, `kept` becomes the
//! queue. So the order stands at any moment, an eviction may come between any two steps, and what is swept is as
//! dense as new.
//!
//! ```text
//!   evict <- [kept, older] <- sweep <- [queue, newer] <- push
//! ```
//! A sweep starts when stale entries exceed half of the live ones, and takes the queue with the largest stale share.
//! That share is a third or more, so a step over four entries drops more than the one entry that a push or a removal
//! can add.

use super::lane::{Front, Lane};
use super::{Mark, Name, Partial, Seen, queue_of, weight};

/// Queue ids are below this; they fit 7 bits.
pub const QUEUES_MAX: usize = 128;
/// Levels of use in each class of size.
pub(super) const LEVELS: u8 = 5;
/// Classes of size; the last has no upper end.
pub(super) const CLASSES: u32 = 25;
/// The first class holds what is shorter than two to this.
pub(super) const SMALLEST_BITS: u32 = 4;

/// Entries a call of [`Queues::sweep`] looks at.
pub const SWEEP_STEPS: usize = 4;
/// Stale entries that are tolerated beside half of the live ones.
const STALE_FREE: u32 = 64;

/// The age of an entry may be off by one part in this of what the record is worth,
const PARTS_PUSHED: f64 = 16.0;
/// and by one in this more each time it is swept.
const PARTS_SWEPT: f64 = 1024.0;

const _: () = assert!(CLASSES as usize * LEVELS as usize <= QUEUES_MAX);

/// See the head of this file. An empty one holds no memory of its own.
pub struct Queues {
    age: f64,
    first: f32,
    live: u32,
    entries: u32,
    /// Bytes of all lanes.
    lanes: usize,
    // The three below run in parallel, a row for each queue that is not empty. A search reads only what it needs.
    ids: Vec<u8>,
    /// Below what no record of the queue is worth; what its tail is worth, once that was looked at.
    lows: Vec<f64>,
    queues: Vec<Queue>,
    sweep: Option<Box<Sweep>>,
}

struct Queue {
    lane: Lane,
    live: u32,
    /// The number given to the newest chunk.
    numbers: u8,
}

/// The sweep in progress.
struct Sweep {
    queue: u8,
    kept: Lane,
}

/// The record that is worth least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it is worth, the age included; [`Queues::evicted`] wants it.
    pub value: f64,
    /// The entry's part of the name.
    pub partial: Partial,
    /// The entry's mark.
    pub mark: Mark,
    /// The record, as `look` described it.
    pub seen: Seen,
}

impl Default for Queues {
    fn default() -> Queues {
        Queues::new()
    }
}

impl Queues {
    /// No queues, at age 0.
    pub fn new() -> Queues {
        Queues {
            age: 0.0,
            first: 0.5,
            live: 0,
            entries: 0,
            lanes: 0,
            ids: Vec::new(),
            lows: Vec::new(),
            queues: Vec::new(),
            sweep: None,
        }
    }

    /// Queues a record at today's age and returns the mark for its header.
    pub fn push(&mut self, name: Name, bytes: u32, f: u8) -> Mark {
        let queue = queue_of(bytes, f);
        let row = self.row_or_new(queue);
        let (entry, slack) = (Partial::from(name), worth(bytes, f, self.first) / PARTS_PUSHED);
        let Queue { lane, live, numbers } = &mut self.queues[row];
        let before = lane.bytes();
        let chunk = lane.place(entry, self.age, slack, numbers);
        lane.put(entry, self.age, slack);
        *live += 1;
        self.lanes = self.lanes - before + lane.bytes();
        if lane.len() == 1 {
            self.lows[row] = self.age + least_worth(queue, self.first);
        }
        self.live += 1;
        self.entries += 1;
        Mark { queue, chunk }
    }

    /// Takes the record that is worth least out of its queue.
    ///
    /// The caller then does what the [`Fate`](super::Fate) of [`Candidate::seen`] says; a record that must stay for
    /// another reason is pushed again. `first` is what a record with one use counts, see [`super::duel`]. `look`
    /// finds the record whose slot, hash and mark are the given ones, or returns `None`, and the entry is dropped as
    /// stale. `None` is returned when no record is queued.
    ///
    /// Costs a look or two when few entries are stale. Each stale entry costs one more, once.
    pub fn lowest(&mut self, first: f32, mut look: impl FnMut(Partial, Mark) -> Option<Seen>) -> Option<Candidate> {
        self.set_first(first);
        loop {
            let (row, next) = self.cheapest()?;
            let front = self.front(row)?;
            let mark = Mark { queue: self.ids[row], chunk: front.chunk };
            let Some(seen) = look(front.partial, mark) else {
                self.drop_front(row, false);
                continue;
            };
            let value = front.age + worth(seen.bytes, seen.f, first);
            if value > next {
                self.lows[row] = value;
                continue;
            }
            self.drop_front(row, true);
            return Some(Candidate { value, partial: front.partial, mark, seen });
        }
    }

    /// Tells that a candidate was evicted: the age rises to what it was worth.
    pub fn evicted(&mut self, value: f64) {
        self.age = self.age.max(value);
    }

    /// Raises the age of queues that hold nothing to that of the node's other stripes.
    ///
    /// The ages of stripes are compared to find the one to evict from, and one that begins (again) at a low age
    /// would be emptied until it has caught up.
    pub fn catch_up(&mut self, age: f64) {
        if self.is_empty() {
            self.age = self.age.max(age);
        }
    }

    /// The value below which nothing is kept: that of the most valuable record evicted so far.
    ///
    /// It never falls and is never rebased, for it is compared between stripes. That needs no care: it rises by
    /// about the worth of a record each time the whole stripe is replaced, so an f64 is exact enough for 10^12
    /// replacements, and entries store f32 steps above an f64.
    pub fn age(&self) -> f64 {
        self.age
    }

    /// Tells that a record with this mark is gone without having been a [`Candidate`]. Its entry is stale from now on.
    pub fn removed(&mut self, mark: Mark) {
        let Some(row) = self.row(mark.queue) else {
            debug_assert!(false, "no record is queued in queue {}", mark.queue);
            return;
        };
        // It may have been the tail, and what is behind it may be worth less.
        if self.forget_live(row) && self.front(row).is_some_and(|front| front.chunk == mark.chunk) {
            self.note_front(row);
        }
    }

    /// Does a little cleaning if stale entries are many; call it after each push and each removal, and as often as
    /// you like.
    ///
    /// `remark(partial, old, new)` finds the record named with the mark `old`, gives it the mark `new` and returns
    /// true, or returns false if there is none. It is called at most [`SWEEP_STEPS`] times.
    pub fn sweep(&mut self, mut remark: impl FnMut(Partial, Mark, Mark) -> bool) {
        if self.sweep.is_none() && !self.start_sweep() {
            return;
        }
        for _ in 0..SWEEP_STEPS {
            if self.sweep_entry(&mut remark).is_none() {
                return;
            }
        }
    }

    /// Forgets all records and gives the memory back. The age stays.
    pub fn clear(&mut self) {
        *self = Queues { age: self.age, first: self.first, ..Queues::new() };
    }

    /// Records queued.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether no record is queued.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Entries held, stale ones included.
    pub fn entries(&self) -> usize {
        self.entries as usize
    }

    /// Heap bytes held, exactly; `size_of::<Queues>()` comes on top.
    pub fn bytes_used(&self) -> usize {
        self.lanes
            + self.ids.capacity()
            + self.lows.capacity() * size_of::<f64>()
            + self.queues.capacity() * size_of::<Queue>()
            + self.sweep.as_ref().map_or(0, |_| size_of::<Sweep>())
    }

    fn row(&self, queue: u8) -> Option<usize> {
        self.ids.iter().position(|&id| id == queue)
    }

    fn row_or_new(&mut self, queue: u8) -> usize {
        self.row(queue).unwrap_or_else(|| {
            if self.ids.len() == self.ids.capacity() {
                // Most stripes end with a dozen queues, and there are many stripes.
                let more = 1 + self.ids.len() / 4;
                self.ids.reserve_exact(more);
                self.lows.reserve_exact(more);
                self.queues.reserve_exact(more);
            }
            self.ids.push(queue);
            self.lows.push(f64::NEG_INFINITY);
            self.queues.push(Queue { lane: Lane::new(), live: 0, numbers: 0 });
            self.ids.len() - 1
        })
    }

    /// A new weight of a single use makes the values looked at so far wrong.
    fn set_first(&mut self, first: f32) {
        if self.first != first {
            self.first = first;
            (0..self.ids.len()).rev().for_each(|row| self.note_front(row));
        }
    }

    /// The queue whose tail is, or may be, worth least, and what the tails of the others are worth at least.
    fn cheapest(&self) -> Option<(usize, f64)> {
        let (mut row, mut low, mut next) = (None, f64::INFINITY, f64::INFINITY);
        for (i, &other) in self.lows.iter().enumerate() {
            if other < low {
                (row, low, next) = (Some(i), other, low);
            } else {
                next = next.min(other);
            }
        }
        Some((row?, next))
    }

    /// The tail of the queue: in `kept` if that holds any.
    fn front(&self, row: usize) -> Option<Front> {
        let kept = self.kept(row).and_then(|sweep| sweep.kept.front());
        kept.or_else(|| self.queues[row].lane.front())
    }

    fn kept(&self, row: usize) -> Option<&Sweep> {
        self.sweep.as_deref().filter(|sweep| sweep.queue == self.ids[row])
    }

    /// Drops the tail of a queue; `live` says whether it stood for a record.
    fn drop_front(&mut self, row: usize, live: bool) {
        let id = self.ids[row];
        let lane = match self.sweep.as_deref_mut() {
            Some(Sweep { queue, kept }) if *queue == id && kept.len() > 0 => kept,
            _ => &mut self.queues[row].lane,
        };
        let before = lane.bytes();
        lane.pop();
        self.lanes = self.lanes - before + lane.bytes();
        self.entries -= 1;
        if !live || self.forget_live(row) {
            self.note_front(row);
        }
    }

    /// Counts a record less, and returns whether the queue is still there.
    fn forget_live(&mut self, row: usize) -> bool {
        let queue = &mut self.queues[row];
        debug_assert!(queue.live > 0, "more records were removed from queue {} than pushed", self.ids[row]);
        queue.live = queue.live.saturating_sub(1);
        self.live = self.live.saturating_sub(1);
        let stays = queue.live > 0;
        if !stays {
            // Whatever else it holds is stale.
            self.drop_queue(row);
        }
        stays
    }

    /// Takes the least that a record of the queue can be worth as the value of a tail that was not looked at, which
    /// often spares the look. A queue without entries goes.
    fn note_front(&mut self, row: usize) {
        match self.front(row) {
            Some(front) => self.lows[row] = front.age + least_worth(self.ids[row], self.first),
            None => self.drop_queue(row),
        }
    }

    fn drop_queue(&mut self, row: usize) {
        let id = self.ids.swap_remove(row);
        self.lows.swap_remove(row);
        let queue = self.queues.swap_remove(row);
        self.live -= queue.live;
        self.drop_lane(&queue.lane);
        if let Some(sweep) = self.sweep.take_if(|sweep| sweep.queue == id) {
            self.drop_lane(&sweep.kept);
        }
    }

    fn drop_lane(&mut self, lane: &Lane) {
        self.entries -= lane.len();
        self.lanes -= lane.bytes();
    }

    /// Begins a sweep of the queue with the largest share of stale entries, if it is time.
    fn start_sweep(&mut self) -> bool {
        let stale = self.entries.saturating_sub(self.live);
        if stale <= self.live / 2 + STALE_FREE {
            return false;
        }
        let share = |queue: &Queue| 1.0 - f64::from(queue.live) / f64::from(queue.lane.len());
        let worst = (0..self.queues.len()).max_by(|&a, &b| share(&self.queues[a]).total_cmp(&share(&self.queues[b])));
        self.sweep = worst.map(|row| Box::new(Sweep { queue: self.ids[row], kept: Lane::new() }));
        self.sweep.is_some()
    }

    /// Moves the tail of the swept queue to `kept`, or drops it. `None` when the sweep has ended.
    fn sweep_entry(&mut self, remark: &mut impl FnMut(Partial, Mark, Mark) -> bool) -> Option<()> {
        let sweep = self.sweep.as_deref_mut()?;
        let row = self.ids.iter().position(|&id| id == sweep.queue)?;
        let Queue { lane, numbers, .. } = &mut self.queues[row];
        let Front { partial, chunk, age } = lane.front()?;
        let before = lane.bytes() + sweep.kept.bytes();
        let slack = least_worth(sweep.queue, self.first) / PARTS_SWEPT;
        let old = Mark { queue: sweep.queue, chunk };
        let new = Mark { queue: sweep.queue, chunk: sweep.kept.place(partial, age, slack, numbers) };
        let was_tail = sweep.kept.len() == 0;
        let alive = remark(partial, old, new);
        lane.pop();
        if alive {
            sweep.kept.put(partial, age, slack);
        } else {
            self.entries -= 1;
        }
        let ended = lane.len() == 0;
        self.lanes = self.lanes - before + lane.bytes() + sweep.kept.bytes();
        if ended {
            self.end_sweep(row);
        }
        if was_tail && !alive {
            self.note_front(row);
        }
        (!ended).then_some(())
    }

    fn end_sweep(&mut self, row: usize) {
        if let Some(sweep) = self.sweep.take() {
            let empty = std::mem::replace(&mut self.queues[row].lane, sweep.kept);
            self.drop_lane(&empty);
        }
    }
}

/// What a record is worth above the age it was queued at.
fn worth(bytes: u32, f: u8, first: f32) -> f64 {
    weight(f, first) / f64::from(bytes.max(1))
}

/// The least that a record of this queue is worth above its age.
fn least_worth(queue: u8, first: f32) -> f64 {
    let (class, level) = (u32::from(queue / LEVELS), queue % LEVELS);
    let least_f = [1, 2, 3, 5, 9][usize::from(level)];
    let most_bytes = if class + 1 < CLASSES { (1 << (class + SMALLEST_BITS)) - 1 } else { u32::MAX };
    worth(most_bytes, least_f, first)
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use super::super::{Fate, USES_MAX};
    use super::*;

    /// A generator of numbers for tests (SplitMix64).
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (x ^ (x >> 31)) % n
        }
    }

    struct Record {
        name: Name,
        mark: Mark,
        bytes: u32,
        f: u8,
        p: u8,
        /// The age it was pushed at.
        age: f64,
        pushed: u64,
    }

    impl Record {
        fn worth(&self, first: f32) -> f64 {
            self.age + worth(self.bytes, self.f, first)
        }
    }

    /// A stripe's records by what an entry knows of them, as the table finds them, and the naive twin of its queues.
    #[derive(Default)]
    struct Stripe {
        queues: Queues,
        records: HashMap<u64, Record>,
        by_entry: HashMap<Partial, Vec<u64>>,
        twin: HashMap<u8, VecDeque<(u64, u64)>>,
        pushes: u64,
        first: f32,
    }

    impl Stripe {
        fn push(&mut self, id: u64, name: Name, bytes: u32, f: u8) {
            let age = self.queues.age();
            let mark = self.queues.push(name, bytes, f);
            self.pushes += 1;
            let record = Record { name, mark, bytes, f, p: 0, age, pushed: self.pushes };
            self.records.insert(id, record);
            self.by_entry.entry(name.into()).or_default().push(id);
            self.twin.entry(mark.queue).or_default().push_back((id, self.pushes));
            self.sweep();
        }

        fn take(&mut self, id: u64) -> Record {
            let record = self.records.remove(&id).unwrap();
            self.by_entry.get_mut(&record.name.into()).unwrap().retain(|&other| other != id);
            record
        }

        fn remove(&mut self, id: u64) {
            let mark = self.take(id).mark;
            self.queues.removed(mark);
            self.sweep();
        }

        fn sweep(&mut self) {
            let Stripe { queues, records, by_entry, .. } = self;
            queues.sweep(|partial, old, new| {
                let id = by_entry.get(&partial).and_then(|ids| ids.iter().find(|id| records[id].mark == old));
                id.inspect(|id| records.get_mut(id).unwrap().mark = new).is_some()
            });
        }

        fn lowest(&mut self) -> Option<(u64, Candidate)> {
            let Stripe { queues, records, by_entry, first, .. } = self;
            let candidate = queues.lowest(*first, |partial, mark| {
                let &id = by_entry.get(&partial)?.iter().find(|id| records[id].mark == mark)?;
                let record = &records[&id];
                Some(Seen { bytes: record.bytes, f: record.f, p: record.p, handle: id })
            })?;
            Some((candidate.seen.handle, candidate))
        }

        /// The oldest live record of each queue.
        fn tails(&mut self) -> HashMap<u8, u64> {
            let records = &self.records;
            let alive = |&(id, pushed): &(u64, u64)| records.get(&id).is_some_and(|record| record.pushed == pushed);
            for twin in self.twin.values_mut() {
                while twin.front().is_some_and(|entry| !alive(entry)) {
                    twin.pop_front();
                }
            }
            self.twin.iter().filter_map(|(&queue, twin)| Some((queue, twin.front()?.0))).collect()
        }

        /// Takes the lowest and holds it against the twin: it is its queue's oldest, and nothing is worth less, but
        /// for what a stamp may be off.
        fn check_lowest(&mut self, seed: u64) -> Option<(u64, Candidate)> {
            let tails = self.tails();
            let least = tails.values().map(|id| self.records[id].worth(self.first)).fold(f64::INFINITY, f64::min);
            let found = self.lowest();
            assert_eq!(found.is_some(), !tails.is_empty(), "seed {seed}");
            let (id, candidate) = found?;
            assert_eq!(tails[&candidate.mark.queue], id, "seed {seed}");
            let exact = self.records[&id].worth(self.first);
            // A stamp may be old by a 16th of what the record was worth when it was queued, when `first` may have
            // been 1.
            let slack = worth(candidate.seen.bytes, candidate.seen.f, 1.0) / 15.0;
            assert!(candidate.value <= exact + 1e-12 && candidate.value >= exact - slack, "seed {seed}");
            assert!(candidate.value <= least + 1e-12, "seed {seed}: {} {least}", candidate.value);
            Some((id, candidate))
        }

        fn check_counts(&self, seed: u64) {
            let queues = &self.queues;
            assert_eq!(queues.len(), self.records.len(), "seed {seed}");
            let mut lanes: Vec<&Lane> = queues.queues.iter().map(|queue| &queue.lane).collect();
            lanes.extend(queues.sweep.iter().map(|sweep| &sweep.kept));
            assert_eq!(lanes.iter().map(|lane| lane.bytes()).sum::<usize>(), queues.lanes, "seed {seed}");
            assert_eq!(lanes.iter().map(|lane| lane.len() as usize).sum::<usize>(), queues.entries(), "seed {seed}");
            assert_eq!(queues.queues.iter().map(|queue| queue.live).sum::<u32>(), queues.live, "seed {seed}");
        }
    }

    /// A name no other id below 2^15 has.
    fn name(id: u64, wide: bool) -> Name {
        Name { slot: (id % 64) as u8, hash: ((id / 64) as u32) << 23, wide }
    }

    fn mix(random: &mut Random) -> (u32, u8) {
        let most = 1 << (4 + random.below(9));
        let uses = if random.below(3) == 0 { 15 } else { 2 };
        (40 + random.below(most) as u32, 1 + random.below(uses) as u8)
    }

    /// Random pushes, hits, removals and evictions, held against the twin. A name is used once: a record that was
    /// removed and is pushed again at once may be met at its old place, if that is in the same chunk.
    fn run(seed: u64, steps: u64, recent: u64, removals: u64, evictions: u64) {
        let mut random = Random(seed);
        let mut ids = 0;
        let mut stripe = Stripe { first: 0.5, ..Stripe::default() };
        for step in 0..steps {
            let id = ids - random.below(recent.min(ids + 1));
            match random.below(100) {
                0 if random.below(50) == 0 => stripe.first = [1.0, 0.5, 0.1][random.below(3) as usize],
                n if n < removals => {
                    if stripe.records.contains_key(&id) {
                        stripe.remove(id);
                    }
                }
                n if n < removals + evictions => {
                    if let Some((id, candidate)) = stripe.check_lowest(seed) {
                        let record = stripe.take(id);
                        match candidate.seen.fate() {
                            Fate::Requeue { f } => stripe.push(id, record.name, record.bytes, f),
                            Fate::Evict => stripe.queues.evicted(candidate.value),
                        }
                    }
                }
                _ => match stripe.records.get_mut(&id) {
                    Some(record) => record.p = (record.p + 1).min(USES_MAX),
                    None => {
                        ids += 1;
                        let (bytes, f) = mix(&mut random);
                        stripe.push(ids, name(ids, random.below(4) == 0), bytes, f);
                    }
                },
            }
            if step % 64 == 0 {
                stripe.check_counts(seed);
            }
        }
        while stripe.check_lowest(seed).map(|(id, _)| stripe.take(id)).is_some() {}
        stripe.check_counts(seed);
        assert!(stripe.records.is_empty() && stripe.queues.is_empty(), "seed {seed}");
    }

    #[test]
    fn the_lowest_is_what_a_naive_twin_finds() {
        let seed = std::time::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64);
        for seed in seed..seed + 8 {
            run(seed, 20_000, 3_000, 10, 20);
            run(seed, 20_000, 300, 30, 5);
            run(seed, 20_000, 8_000, 25, 1);
            run(seed, 5_000, 20, 20, 20);
        }
    }

    #[test]
    fn values_order_records_across_queues() {
        let mut stripe = Stripe { first: 0.5, ..Stripe::default() };
        for (id, bytes, f) in [(1, 100, 1), (2, 1000, 1), (3, 1000, 15), (4, 100, 2), (5, 60, 1)] {
            stripe.push(id, name(id, false), bytes, f);
        }
        let order: Vec<u64> = std::iter::from_fn(|| stripe.lowest()).map(|(id, _)| id).collect();
        assert_eq!(order, [2, 1, 5, 3, 4]);
    }

    #[test]
    fn what_is_evicted_raises_the_age_and_later_records_stand_above_it() {
        let mut stripe = Stripe { first: 1.0, ..Stripe::default() };
        stripe.push(1, name(1, false), 100, 5);
        stripe.push(2, name(2, false), 100, 1);
        stripe.queues.evicted(0.045);
        stripe.push(3, name(3, false), 100, 1);
        let values: Vec<(u64, f64)> = std::iter::from_fn(|| stripe.lowest()).map(|(id, c)| (id, c.value)).collect();
        assert_eq!(values.iter().map(|value| value.0).collect::<Vec<_>>(), [2, 1, 3]);
        assert!((values[2].1 - 0.055).abs() < 1e-6, "{values:?}");
        stripe.queues.evicted(0.01);
        assert_eq!(stripe.queues.age(), 0.045, "the age never falls");
        stripe.queues.catch_up(7.0);
        assert_eq!(stripe.queues.age(), 7.0);
        stripe.push(4, name(4, false), 100, 1);
        stripe.queues.catch_up(8.0);
        assert_eq!(stripe.queues.age(), 7.0, "records would be compared with another age than their own");
    }

    #[test]
    fn a_record_queued_anew_is_not_met_at_its_old_place() {
        let mut stripe = Stripe { first: 1.0, ..Stripe::default() };
        stripe.push(1, name(1, false), 100, 1);
        stripe.push(2, name(2, false), 100, 1);
        stripe.remove(1);
        stripe.push(1, name(1, false), 100, 9);
        assert_eq!(stripe.lowest().map(|(id, c)| (id, c.seen.f)), Some((2, 1)));
        stripe.take(2);
        assert_eq!(stripe.lowest().map(|(id, c)| (id, c.seen.f)), Some((1, 9)));
        stripe.take(1);
        assert_eq!(stripe.lowest(), None);
        assert_eq!(stripe.queues.entries(), 0);
    }

    #[test]
    fn a_record_that_changed_in_place_is_valued_as_it_is_now() {
        let mut stripe = Stripe { first: 1.0, ..Stripe::default() };
        for id in 1..4 {
            stripe.push(id, name(id, false), 100 + id as u32, 1);
        }
        stripe.push(9, name(9, false), 126, 2);
        // 3 becomes known as the lowest of its queue's tails only in its turn; 1 turns cheap after it was looked at.
        stripe.records.get_mut(&1).unwrap().bytes = 65;
        let ids: Vec<u64> = std::iter::from_fn(|| stripe.lowest()).map(|(id, _)| id).collect();
        assert_eq!(ids, [1, 2, 3, 9]);
    }

    #[test]
    fn records_with_the_same_name_and_mark_are_each_found_once() {
        let mut stripe = Stripe { first: 0.5, ..Stripe::default() };
        let mut random = Random(5);
        for id in 0..20_000 {
            // Only eight names: nearly every entry may stand for several records.
            stripe.push(id, name(id % 8, false), 100, 1);
            if random.below(3) == 0 {
                let gone = random.below(id + 1);
                if stripe.records.contains_key(&gone) {
                    stripe.remove(gone);
                }
            }
        }
        stripe.check_counts(5);
        let mut left = stripe.records.len();
        while let Some((id, _)) = stripe.lowest() {
            stripe.take(id);
            left -= 1;
            assert_eq!(stripe.queues.len(), left);
        }
        assert_eq!(left, 0);
    }

    #[test]
    fn stale_entries_stay_few_when_nothing_is_ever_evicted() {
        for order in 0..3 {
            let mut stripe = Stripe { first: 0.5, ..Stripe::default() };
            let mut random = Random(order);
            let mut alive = VecDeque::new();
            let mut most = 0.0f64;
            // One record that never goes pins the tail.
            stripe.push(30_000, name(30_000, false), 100, 1);
            for id in 0..200_000u64 {
                let id = id % 30_000;
                if stripe.records.contains_key(&id) {
                    continue;
                }
                let (bytes, f) = mix(&mut random);
                stripe.push(id, name(id, false), bytes, f);
                alive.push_back(id);
                if alive.len() > 2_000 {
                    let gone = match order {
                        0 => alive.pop_front(),
                        1 => alive.swap_remove_back(random.below(2_000) as usize),
                        _ => alive.swap_remove_back(random.below(20) as usize + 1),
                    };
                    stripe.remove(gone.unwrap());
                }
                most = most.max(stripe.queues.entries() as f64 / (stripe.queues.len() as f64 + 200.0));
            }
            stripe.check_counts(order);
            assert!(most < 2.0, "order {order}: {most}");
            assert!(stripe.queues.bytes_used() < 25_000, "order {order}: {}", stripe.queues.bytes_used());
            alive.drain(..).for_each(|id| stripe.remove(id));
            assert!(
                stripe.queues.entries() < 200 && stripe.queues.bytes_used() < 6_000,
                "{}",
                stripe.queues.bytes_used()
            );
            stripe.remove(30_000);
            assert_eq!(stripe.queues.entries(), 0);
        }
    }

    #[test]
    fn a_sweep_looks_at_few_entries_and_keeps_the_order() {
        let mut stripe = Stripe { first: 0.5, ..Stripe::default() };
        for id in 0..10_000 {
            stripe.push(id, name(id, false), 100, 1);
        }
        for id in (0..10_000).filter(|id| id % 4 != 0) {
            let mark = stripe.take(id).mark;
            stripe.queues.removed(mark);
        }
        for _ in 0..800 {
            let mut looks = 0;
            let Stripe { queues, records, by_entry, .. } = &mut stripe;
            queues.sweep(|partial, old, new| {
                looks += 1;
                let id = by_entry.get(&partial).and_then(|ids| ids.iter().find(|id| records[id].mark == old));
                id.inspect(|id| records.get_mut(id).unwrap().mark = new).is_some()
            });
            assert!(looks <= SWEEP_STEPS);
        }
        assert!(stripe.queues.sweep.is_some(), "the sweep is half way");
        let order: Vec<u64> = std::iter::from_fn(|| stripe.lowest()).map(|(id, _)| id).collect();
        assert_eq!(order, (0..10_000).step_by(4).collect::<Vec<u64>>());
        assert_eq!((stripe.queues.entries(), stripe.queues.lanes), (0, 0));
    }

    #[test]
    fn an_entry_costs_little_more_than_two_bytes() {
        let mut queues = Queues::new();
        assert_eq!(queues.bytes_used(), 0);
        for id in 0..100_000 {
            queues.push(name(id, false), 100, 1);
        }
        assert!(queues.bytes_used() < 229_000, "{}", queues.bytes_used());
        queues.clear();
        assert_eq!((queues.bytes_used(), queues.len(), queues.entries()), (0, 0, 0));
        assert!(size_of::<Queues>() <= 128);
    }

    #[test]
    fn a_dozen_nearly_empty_queues_stay_small() {
        let mut queues = Queues::new();
        for id in 0..12 {
            queues.push(name(id, false), 100 << (id / 3), [1, 2, 4][id as usize % 3]);
        }
        assert_eq!(queues.ids.len(), 12);
        assert!(queues.bytes_used() < 12 * 120, "{}", queues.bytes_used());
    }
}
