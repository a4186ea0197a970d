//! Keeping the store under its memory limit: who has to go, and from which stripe.
//!
//! The limit is the node's, and it counts what stripes hold, holes included, so that it holds for the resident set too.
//! An insert that finds a hole in its own stripe costs nothing new. One that does not evicts from its own stripe, unless
//! another stripe, of a few drawn at random, holds records that are worth less (its queues' age is lower);
//! that stripe then gives up records and, once it is loose enough, a segment. So stripes behave as parts of one cache
//! though none knows the others.

use super::arena::Ref;
use super::evict::duel::{self, Duel};
use super::hash::{Place, STRIPES};
use super::lock::Held;
use super::pages::SEGMENT_BYTES;
use super::pieces::{PIECE_UNITS, PIECES_MAX};
use super::policy::lfu::random;
use super::policy::{Eviction, Family};
use super::record::{self, Placed};
use super::shared::Store;
use super::stripe::{Entry, Moment, Stripe};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Other stripes whose age is compared before one is chosen to give.
const OTHERS: usize = 2;

/// Resident bytes beyond the limit that are not worth an eviction: connections, and code that is used for the first time.
const SLACK_BYTES: u64 = 3 << 20;

/// They are no more than a part in this of the limit: of a node of 16 MiB, 3 would be a fifth.
const SLACK_PART: u64 = 8;

/// Evictions in one go before the caller is let on, whatever was reached.
const EVICTIONS_MAX: usize = 4096;

/// Draws for one sample that a volatile policy may spend on keys without an expiry.
const DRAWS_PER_SAMPLE: u32 = 8;

pub(super) struct Room {
    used: AtomicI64,
    /// Bytes that stripes will take as soon as they evict. They count towards the limit, or reaching it would mean going
    /// beyond it by four per cent.
    owed: AtomicI64,
    limit: AtomicU64,
    samples: AtomicU32,
    /// The age of each stripe's queues, as bits of an `f64`; infinite where there is nothing to evict.
    ages: Box<[AtomicU64]>,
    /// The highest age any stripe has reached.
    age: AtomicU64,
    /// Bytes by which the limit is lowered because the resident set is larger than what is counted.
    squeeze: AtomicU64,
    /// Resident bytes beside what is counted when the store was young; `u64::MAX` before it is known.
    base: AtomicU64,
    /// What a single use is worth at present, as bits of an `f32`.
    first: AtomicU32,
    /// Two shadow caches that find `first`; they watch while the store is near its limit.
    duel: Mutex<Duel>,
    watching: AtomicBool,
    /// Hashes with none of these bits are the sample that the duel watches.
    sample_mask: AtomicU64,
}

impl Room {
    pub fn new(limit: u64, samples: u32) -> Room {
        let duel = Duel::new(limit);
        Room {
            used: AtomicI64::new(0),
            owed: AtomicI64::new(0),
            limit: AtomicU64::new(limit),
            samples: AtomicU32::new(samples),
            ages: (0..STRIPES).map(|_| AtomicU64::new(f64::INFINITY.to_bits())).collect(),
            age: AtomicU64::new(0f64.to_bits()),
            squeeze: AtomicU64::new(0),
            base: AtomicU64::new(u64::MAX),
            first: AtomicU32::new(0.5f32.to_bits()),
            sample_mask: AtomicU64::new(duel.mask()),
            duel: Mutex::new(duel),
            watching: AtomicBool::new(false),
        }
    }

    pub fn used_bytes(&self) -> u64 {
        self.used.load(Relaxed).max(0) as u64
    }

    pub fn add_used(&self, bytes: i64) {
        self.used.fetch_add(bytes, Relaxed);
    }

    pub fn add_owed(&self, bytes: i64) {
        if bytes != 0 {
            self.owed.fetch_add(bytes, Relaxed);
        }
    }

    /// Bytes that count towards the limit.
    #[inline]
    fn bound_bytes(&self) -> u64 {
        (self.used.load(Relaxed) + self.owed.load(Relaxed)).max(0) as u64 + self.squeeze.load(Relaxed)
    }

    pub fn memory_max(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    pub fn set_memory_max(&self, bytes: u64) {
        self.limit.store(bytes, Relaxed);
        let mut duel = self.duel.lock();
        duel.set_capacity(bytes);
        self.sample_mask.store(duel.mask(), Relaxed);
    }

    pub fn set_samples(&self, samples: u32) {
        self.samples.store(samples.max(1), Relaxed);
    }

    /// Shows the duel a read.
    #[inline]
    pub fn watch_read(&self, hash: u64, found: Option<Entry<'_>>) {
        if self.watching.load(Relaxed) && duel::sampled(self.sample_mask.load(Relaxed), hash) {
            let mut duel = self.duel.lock();
            duel.read(hash, found.map(Entry::footprint));
            self.first.store(duel.first().to_bits(), Relaxed);
            self.sample_mask.store(duel.mask(), Relaxed);
        }
    }

    /// Shows the duel a write, which only happens near the limit, and lets it watch from then on.
    pub fn watch_write(&self, hash: u64, bytes: usize) {
        self.watching.store(true, Relaxed);
        if duel::sampled(self.sample_mask.load(Relaxed), hash) {
            self.duel.lock().write(hash, bytes.min(u32::MAX as usize) as u32);
        }
    }

    /// Whether a record might not fit under the limit.
    #[inline]
    pub fn is_tight(&self, key_len: usize, placed: &Placed<'_>) -> bool {
        self.is_tight_for(key_len + placed.len + placed.bytes_beside())
    }

    /// Whether so many bytes might not fit under the limit.
    #[inline]
    pub fn is_tight_for(&self, bytes: usize) -> bool {
        let limit = self.limit.load(Relaxed);
        limit != 0 && self.bound_bytes() + (bytes + SEGMENT_BYTES) as u64 > limit
    }

    /// Bytes that `more` bytes would be beyond the limit.
    fn excess(&self, more: usize) -> u64 {
        let limit = self.limit.load(Relaxed);
        if limit == 0 {
            return 0;
        }
        (self.bound_bytes() + more as u64).saturating_sub(limit)
    }

    /// Lowers the limit a little while more is resident than it allows, and raises it again when there is room.
    ///
    /// Buffers of the longest values and of clients are the allocator's, which keeps more than it is asked for when sizes
    /// vary; nobody else can tell how much. At most a quarter of the limit is given up, for what does not shrink for less is not ours.
    pub fn watch_resident(&self, resident: u64) {
        let (used, limit) = (self.used_bytes(), self.limit.load(Relaxed));
        let beside = resident.saturating_sub(used);
        let base = self.base.fetch_min(beside, Relaxed).min(beside);
        let squeeze = self.squeeze.load(Relaxed);
        let taken = resident.saturating_sub(base);
        let slack = SLACK_BYTES.min(limit / SLACK_PART);
        let next = if limit == 0 || used < limit / 2 {
            0
        } else if taken > limit + limit / 48 + slack {
            (squeeze + (taken - limit - slack) / 2).min(limit / 4)
        } else {
            squeeze.saturating_sub(limit / 512)
        };
        self.squeeze.store(next, Relaxed);
    }

    /// Bytes by which the limit is lowered at present.
    pub fn squeeze(&self) -> u64 {
        self.squeeze.load(Relaxed)
    }

    fn age_of(&self, number: usize) -> f64 {
        f64::from_bits(self.ages[number].load(Relaxed))
    }

    fn set_age(&self, number: usize, age: f64) {
        self.ages[number].store(age.to_bits(), Relaxed);
        if age.is_finite() && age > f64::from_bits(self.age.load(Relaxed)) {
            self.age.store(age.to_bits(), Relaxed);
        }
    }

    /// What a single use is worth.
    pub fn first(&self) -> f32 {
        f32::from_bits(self.first.load(Relaxed))
    }
}

impl Store {
    /// Evicts until what a stripe `lacks` fits under the limit, or nothing more can go. The stripe is held.
    pub(super) fn make_room_for(
        &self,
        held: &mut Held<'_>,
        number: usize,
        moment: Moment,
        mut lacks: impl FnMut(&mut Stripe) -> usize,
    ) {
        for _ in 0..EVICTIONS_MAX {
            let lacking = lacks(held.stripe(number));
            if lacking == 0 || self.room.excess(lacking) == 0 {
                return;
            }
            // Holes that are there already come before records that would have to go.
            if held.stripe(number).gather() {
                continue;
            }
            if !self.evict_near(held, number, moment) {
                return;
            }
        }
    }

    /// Evicts at most `keys_max` keys if the store is over its limit, so that the caller can let others have their turn.
    ///
    /// Returns whether anything could go, or nothing had to.
    pub fn make_some_room(&self, moment: Moment, keys_max: usize) -> bool {
        for evicted in 0..keys_max {
            if self.room.excess(0) == 0 {
                return true;
            }
            let number = self.poorest(random() as usize % STRIPES);
            let mut held = Held::one(self.cells(), number);
            if !self.evict_near(&mut held, number, moment) {
                return evicted > 0;
            }
        }
        true
    }

    /// Whether the store is over its limit because of holes alone, and values of so many bytes fit into those of the keys'
    /// stripes, so that writing them takes no new memory.
    ///
    /// What is deleted leaves holes that are spread over all stripes: they can be used long before there are so many in
    /// one place that memory could be given back.
    pub fn has_holes(&self, places: &[Place], key_len: usize, value_len: usize) -> bool {
        let (units, pieces) = record::blocks_for(key_len, value_len, true);
        let has_hole = |place: &Place| {
            let number = place.stripe();
            let mut held = Held::one(self.cells(), number);
            let arena = &held.stripe(number).arena;
            arena.growth_for(units) == 0 && arena.has_holes_of(PIECE_UNITS, pieces)
        };
        let is_short = value_len <= PIECES_MAX && !places.is_empty();
        is_short && places.iter().all(has_hole) && self.room.excess(0) <= self.hole_bytes()
    }

    fn hole_bytes(&self) -> u64 {
        let mut holes = 0;
        self.each_stripe(|stripe| holes += stripe.arena.footprint().saturating_sub(stripe.arena.live_bytes()));
        holes as u64
    }

    /// Whether the store is over its limit.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.room.excess(0) > 0
    }

    /// Evicts one record from a held stripe, or from one that should give before it.
    fn evict_near(&self, held: &mut Held<'_>, number: usize, moment: Moment) -> bool {
        match moment.eviction.family() {
            _ if moment.eviction == Eviction::NoEviction || !moment.decides() => false,
            Family::Larder => self.evict_aged(held, number, moment),
            Family::Lru | Family::Lfu => self.evict_worst(held, number, moment),
        }
    }

    /// Evicts from the stripe whose queues' age is lowest.
    fn evict_aged(&self, held: &mut Held<'_>, number: usize, moment: Moment) -> bool {
        let other = self.poorest(number);
        if other != number
            && !held.holds(other)
            && let Some(mut held) = Held::try_one(self.cells(), other)
            && self.evict_from(held.stripe(other), other, moment)
        {
            return true;
        }
        self.evict_from(held.stripe(number), number, moment) || self.evict_anywhere(held, moment)
    }

    /// Evicts the worst of what is drawn from a few stripes: in one alone there may be too few to choose from.
    fn evict_worst(&self, held: &mut Held<'_>, number: usize, moment: Moment) -> bool {
        // Before records are drawn, as giving a segment moves them.
        if self.evict_negative_from(held.stripe(number), number) || self.give_segment(held.stripe(number)) {
            return true;
        }
        let own = self.draw_from(held.stripe(number), moment);
        for _ in 0..OTHERS {
            let other = random() as usize % STRIPES;
            if !held.holds(other)
                && let Some(mut held) = Held::try_one(self.cells(), other)
                && let theirs = self.draw_from(held.stripe(other), moment)
                && theirs.map(|(rank, _)| rank) > own.map(|(rank, _)| rank)
            {
                return self.evict_drawn(held.stripe(other), other, theirs);
            }
        }
        self.evict_drawn(held.stripe(number), number, own) || self.evict_anywhere(held, moment)
    }

    fn draw_from(&self, stripe: &Stripe, moment: Moment) -> Option<(u64, Ref)> {
        stripe.worst_of(moment, self.room.samples.load(Relaxed), DRAWS_PER_SAMPLE)
    }

    /// Evicts what was drawn from this stripe.
    fn evict_drawn(&self, stripe: &mut Stripe, number: usize, drawn: Option<(u64, Ref)>) -> bool {
        let Some((_, found)) = drawn else {
            return false;
        };
        stripe.evict_sampled(found);
        self.give_segment(stripe);
        self.settle(stripe);
        self.tell(stripe, number, 0);
        true
    }

    /// Gives back a segment of a stripe that is loose enough.
    fn give_segment(&self, stripe: &mut Stripe) -> bool {
        let gave = stripe.arena.is_loose() && stripe.tighten();
        if gave {
            self.settle(stripe);
        }
        gave
    }

    /// The stripe of lowest age among a few.
    fn poorest(&self, number: usize) -> usize {
        let mut best = number;
        for _ in 0..OTHERS {
            let other = random() as usize % STRIPES;
            if self.room.age_of(other) < self.room.age_of(best) {
                best = other;
            }
        }
        best
    }

    /// Evicts one record from this stripe, unless it can give a segment without.
    fn evict_from(&self, stripe: &mut Stripe, number: usize, moment: Moment) -> bool {
        if self.evict_negative_from(stripe, number) || self.give_segment(stripe) {
            return true;
        }
        if moment.eviction.family() != Family::Larder {
            return self.evict_drawn(stripe, number, self.draw_from(stripe, moment));
        }
        let evicted = stripe.evict_lowest(self.room.first()).is_some();
        let age = if stripe.queues.is_empty() { f64::INFINITY } else { stripe.queues.age() };
        self.room.set_age(number, age);
        self.settle(stripe);
        self.tell(stripe, number, 0);
        evicted
    }

    /// Evicts what says that there is nothing before anything that says something.
    fn evict_negative_from(&self, stripe: &mut Stripe, number: usize) -> bool {
        let evicted = stripe.evict_negative();
        if evicted {
            self.settle(stripe);
            self.tell(stripe, number, 0);
        }
        evicted
    }

    /// Evicts from the first stripe, in an order that starts at random, that has something to give.
    fn evict_anywhere(&self, held: &Held<'_>, moment: Moment) -> bool {
        let start = random() as usize;
        (0..STRIPES).map(|step| (start + step) % STRIPES).any(|number| {
            !held.holds(number)
                && Held::try_one(self.cells(), number)
                    .is_some_and(|mut held| self.evict_from(held.stripe(number), number, moment))
        })
    }

    /// Lets a stripe that has had nothing queued start at the node's age, not at that of long ago.
    pub(super) fn revive(&self, stripe: &mut Stripe, number: usize) {
        if self.room.age_of(number).is_infinite() {
            stripe.queues.catch_up(f64::from_bits(self.room.age.load(Relaxed)));
            self.room.set_age(number, stripe.queues.age());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is resident, in MiB, at which the limit of so many MiB begins to be lowered.
    fn allowed(limit: u64) -> f64 {
        let room = Room::new(limit << 20, 5);
        room.watch_resident(0);
        room.add_used((limit << 20) as i64);
        let lowers = |&kib: &u64| {
            room.watch_resident(kib << 10);
            room.squeeze() > 0
        };
        (limit << 10..limit << 11).find(lowers).expect("twice the limit is too much") as f64 / 1024.0
    }

    #[test]
    fn what_is_resident_beyond_the_limit_is_a_part_of_a_small_one_and_three_mebibytes_of_a_large_one() {
        assert!((18.3..18.4).contains(&allowed(16)), "{}", allowed(16));
        assert!((70.3..70.4).contains(&allowed(66)), "{}", allowed(66));
    }
}
