//! Walking the keys of a database while others use it, one locked stripe at a time: `SCAN`, `KEYS`, `RANDOMKEY`.

use super::hash::{SLOTS_PER_STRIPE, STRIPES};
use super::policy::lfu::random;
use super::shared::Store;
use super::stripe::{Entry, Moment, Stripe};
use super::table::{SCAN_END, ScanAt};

/// Lines that a call may visit for each key it is asked for, as Redis visits ten buckets.
const LINES_PER_KEY: usize = 10;

/// Lines visited before a stripe is let go for others to use: some tens of microseconds.
const LINES_PER_LOCK: usize = 64;

/// Stripes that are weighed against each other for a random key when all of them have keys.
const STRIPES_WEIGHED: usize = 16;

/// Draws that may hit an expired key before the first live one behind a random place is taken.
const DRAWS_MAX: usize = 100;

/// Where a walk stands: the slot, and the place in the slot's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    slot: usize,
    at: ScanAt,
}

const AT_BITS: u32 = SCAN_END.trailing_zeros();
const _: () = assert!(SCAN_END == 1 << AT_BITS, "a place in a slot's order takes a whole number of bits");

impl Cursor {
    fn of(number: u64) -> Cursor {
        Cursor { slot: (number >> AT_BITS) as usize, at: ScanAt(number & (SCAN_END - 1)) }
    }

    fn number(self) -> u64 {
        (self.slot as u64) << AT_BITS | self.at.0
    }

    fn start_of(slot: usize) -> Cursor {
        Cursor { slot, at: ScanAt(0) }
    }

    fn stripe(self) -> usize {
        self.slot / SLOTS_PER_STRIPE
    }
}

/// What a call may still do.
struct Work {
    keys: usize,
    lines: usize,
}

impl Work {
    fn is_done(&self) -> bool {
        self.keys == 0 || self.lines == 0
    }
}

impl Store {
    /// Visits keys of a database from a cursor on, and returns the cursor to go on from: 0 at the end.
    ///
    /// A walk starts at 0. It visits each key that is there from its start to its end at least once, whatever comes,
    /// goes and moves meanwhile; expired keys are passed over. About `keys_max` keys are visited in a call, a few more
    /// where they hang in one line, and fewer where much is empty or expired.
    pub fn scan(
        &self,
        db: usize,
        cursor: u64,
        keys_max: usize,
        moment: Moment,
        mut visit: impl FnMut(Entry<'_>),
    ) -> u64 {
        let db = self.database(db);
        let mut work = Work { keys: keys_max.max(1), lines: keys_max.max(1).saturating_mul(LINES_PER_KEY) };
        let mut cursor = Cursor::of(cursor);
        while cursor.stripe() < STRIPES {
            let number = cursor.stripe();
            match self.with_stripe(number, |stripe| walk(stripe, db, cursor, moment, &mut work, &mut visit)) {
                Some(next) if work.is_done() => return next.number(),
                Some(next) => cursor = next,
                None => cursor = Cursor::start_of((number + 1) * SLOTS_PER_STRIPE),
            }
        }
        0
    }

    /// Visits every key of a database that has not expired.
    pub fn each_entry(&self, db: usize, moment: Moment, mut visit: impl FnMut(Entry<'_>)) {
        let db = self.database(db);
        self.each_stripe(|stripe| stripe.each(db, moment, &mut visit));
    }

    /// Keys that a slot has in the first database, those whose time has come included.
    pub fn keys_in_slot(&self, slot: u16) -> usize {
        let (number, local) = (usize::from(slot) / SLOTS_PER_STRIPE, usize::from(slot) % SLOTS_PER_STRIPE);
        self.with_stripe(number, |stripe| stripe.keys_in_slot(self.database(0), local))
    }

    /// The names of keys that a slot has in the first database, `most` at the most.
    pub fn some_keys_in_slot(&self, slot: u16, most: usize, moment: Moment) -> Vec<Vec<u8>> {
        let (number, local) = (usize::from(slot) / SLOTS_PER_STRIPE, usize::from(slot) % SLOTS_PER_STRIPE);
        let mut names = Vec::new();
        let (mut at, mut steps) = (Some(ScanAt(0)), 0);
        // Between two steps others may use the stripe.
        while let Some(from) = at.filter(|_| names.len() < most) {
            steps += 1;
            at = self.with_stripe(number, |stripe| {
                let mut next = Some(from);
                for _ in 0..LINES_PER_LOCK {
                    let Some(from) = next.filter(|_| names.len() < most) else { break };
                    next = stripe.scan(self.database(0), local, from, moment, |entry| names.push(entry.key().to_vec()));
                }
                next
            });
        }
        if steps > 1 {
            // What moved from one step to the next was met twice.
            names.sort_unstable();
            names.dedup();
        }
        names.truncate(most);
        names
    }

    /// A key drawn at random from a database, each about as likely as any other; `None` if there is none.
    pub fn random_key(&self, db: usize, moment: Moment) -> Option<Vec<u8>> {
        let physical = self.database(db);
        for _ in 0..DRAWS_MAX {
            let number = self.random_stripe(physical)?;
            let drawn = self.with_stripe(number, |stripe| draw(stripe, physical, moment));
            if drawn.is_some() {
                return drawn;
            }
        }
        let start = Cursor::start_of(random() as usize % (STRIPES * SLOTS_PER_STRIPE)).number();
        self.first_key(db, start, moment).or_else(|| self.first_key(db, 0, moment))
    }

    /// A stripe with keys, drawn with the weight of its keys.
    ///
    /// Where keys are many, a few stripes stand for all, which differ little; where some have none, all are asked.
    fn random_stripe(&self, db: usize) -> Option<usize> {
        let (drawn, all_filled) = self.weigh(db, (0..STRIPES_WEIGHED).map(|_| random() as usize % STRIPES));
        if all_filled { drawn } else { self.weigh(db, 0..STRIPES).0 }
    }

    /// One of these stripes, drawn by weight, and whether all of them have keys.
    fn weigh(&self, db: usize, numbers: impl Iterator<Item = usize>) -> (Option<usize>, bool) {
        let mut all_filled = true;
        let weighed = numbers.map(|number| {
            let keys = self.with_stripe(number, |stripe| stripe.keys(db));
            all_filled &= keys > 0;
            (number, keys)
        });
        (draw_by_weight(weighed), all_filled)
    }

    fn first_key(&self, db: usize, mut cursor: u64, moment: Moment) -> Option<Vec<u8>> {
        let mut first = None;
        loop {
            cursor = self.scan(db, cursor, 1, moment, |entry| {
                first.get_or_insert_with(|| entry.key().to_vec());
            });
            if first.is_some() || cursor == 0 {
                return first;
            }
        }
    }
}

/// Visits keys of one stripe, and returns where to go on, or `None` if the stripe has no more.
///
/// What is returned has keys, so that a walk does not end with a call that finds none.
fn walk(
    stripe: &Stripe,
    db: usize,
    mut cursor: Cursor,
    moment: Moment,
    work: &mut Work,
    visit: &mut impl FnMut(Entry<'_>),
) -> Option<Cursor> {
    let mut lines = LINES_PER_LOCK;
    loop {
        let local = cursor.slot % SLOTS_PER_STRIPE;
        let filled = stripe.next_filled(db, local)?;
        if filled != local {
            cursor = Cursor::start_of(cursor.slot - local + filled);
        }
        if work.is_done() || lines == 0 {
            return Some(cursor);
        }
        lines -= 1;
        work.lines -= 1;
        let next = stripe.scan(db, filled, cursor.at, moment, |entry| {
            work.keys = work.keys.saturating_sub(1);
            visit(entry);
        });
        cursor = match next {
            Some(at) => Cursor { at, ..cursor },
            None if filled + 1 == SLOTS_PER_STRIPE => return None,
            None => Cursor::start_of(cursor.slot + 1),
        };
    }
}

/// A key drawn from a stripe. `None` if there is none, or if the one drawn had expired: then it is gone now.
fn draw(stripe: &mut Stripe, db: usize, moment: Moment) -> Option<Vec<u8>> {
    let slots = (0..SLOTS_PER_STRIPE).map(|local| (local, stripe.keys_in_slot(db, local)));
    let local = draw_by_weight(slots)?;
    let found = stripe.sample_slot(db, local, random)?;
    if stripe.bury_ref(found, moment) || stripe.entry(found).keep().is_negative() {
        return None;
    }
    Some(stripe.entry(found).key().to_vec())
}

/// One of several, with a probability in proportion to its weight, in one pass (Chao 1982).
fn draw_by_weight(weighed: impl Iterator<Item = (usize, usize)>) -> Option<usize> {
    let mut total = 0;
    let mut drawn = None;
    for (number, weight) in weighed {
        total += weight as u64;
        if weight > 0 && random() % total < weight as u64 {
            drawn = Some(number);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::hash::KeyHasher;
    use crate::store::{New, Options};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const NOW: u64 = 1_700_000_000_000;

    fn store() -> Store {
        Store::with_hasher(Options::default(), KeyHasher::seeded(3))
    }

    fn set(store: &Store, key: &str, expiry: Option<u64>) {
        let key = store.key(key.as_bytes());
        store.lock_one(key.place.stripe(), 0, store.moment(NOW)).set(key, New::Set(b"v"), expiry);
    }

    fn remove(store: &Store, key: &str) {
        let key = store.key(key.as_bytes());
        store.lock_one(key.place.stripe(), 0, store.moment(NOW)).remove(key);
    }

    /// One call, its keys added to `seen`.
    fn step(store: &Store, cursor: u64, count: usize, seen: &mut BTreeSet<String>) -> u64 {
        store.scan(0, cursor, count, store.moment(NOW), |entry| {
            seen.insert(String::from_utf8(entry.key().to_vec()).unwrap());
        })
    }

    #[test]
    fn a_small_database_takes_one_call() {
        let store = store();
        (0..10).for_each(|n| set(&store, &format!("k{n}"), None));
        let mut seen = BTreeSet::new();
        assert_eq!(step(&store, 0, 10, &mut seen), 0);
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn a_call_does_no_more_than_it_is_asked() {
        let store = store();
        (0..20_000).for_each(|n| set(&store, &format!("{{tag}}{n}"), None));
        let mut seen = BTreeSet::new();
        let cursor = step(&store, 0, 10, &mut seen);
        assert!(cursor != 0 && (10..30).contains(&seen.len()), "{}", seen.len());
    }

    #[test]
    fn expired_keys_cost_work_but_are_not_seen() {
        let store = store();
        (0..20_000).for_each(|n| set(&store, &format!("{{tag}}{n}"), Some(NOW)));
        let mut seen = BTreeSet::new();
        assert_ne!(step(&store, 0, 10, &mut seen), 0);
        assert!(seen.is_empty());
        assert_eq!(store.random_key(0, store.moment(NOW)), None);
        set(&store, "alive", None);
        assert_eq!(store.random_key(0, store.moment(NOW)).as_deref(), Some(&b"alive"[..]));
    }

    #[test]
    fn any_number_is_a_cursor() {
        let store = store();
        (0..100).for_each(|n| set(&store, &format!("k{n}"), None));
        let mut seen = BTreeSet::new();
        for cursor in [1, SCAN_END - 1, SCAN_END, (1 << 52) - 1, 1 << 52, u64::MAX] {
            step(&store, cursor, 10, &mut seen);
        }
    }

    #[test]
    fn random_keys_are_drawn_about_evenly_however_slots_are_filled() {
        for tagged in [0, 90] {
            let store = store();
            (0..100).for_each(|n| {
                set(&store, &if n < tagged { format!("{{tag}}{n}") } else { format!("k{n}") }, None);
            });
            let mut drawn = BTreeMap::<Vec<u8>, u32>::new();
            for _ in 0..10_000 {
                *drawn.entry(store.random_key(0, store.moment(NOW)).unwrap()).or_default() += 1;
            }
            assert_eq!(drawn.len(), 100);
            assert!(drawn.values().all(|times| (40..200).contains(times)), "{tagged}: {drawn:?}");
        }
    }

    proptest! {
        #[test]
        fn keys_that_stay_are_seen_whatever_comes_and_goes(
            stay in 1usize..2000,
            tagged in any::<bool>(),
            count in 1usize..50,
            changes in proptest::collection::vec((0usize..4000, any::<bool>()), 1..4000),
            per_call in 1usize..100,
        ) {
            let store = store();
            let prefix = if tagged { "{tag}" } else { "" };
            (0..stay).for_each(|n| set(&store, &format!("{prefix}stay{n}"), None));
            let mut changes = changes.iter().cycle();
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            for call in 0.. {
                cursor = step(&store, cursor, count, &mut seen);
                if cursor == 0 {
                    break;
                }
                prop_assert!(call < 100_000, "a walk must end");
                for (n, comes) in changes.by_ref().take(per_call) {
                    let key = format!("{prefix}guest{n}");
                    if *comes { set(&store, &key, None) } else { remove(&store, &key) }
                }
            }
            for n in 0..stay {
                prop_assert!(seen.contains(&format!("{prefix}stay{n}")), "stay{} was not seen", n);
            }
        }
    }
}
