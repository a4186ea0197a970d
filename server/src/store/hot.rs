//! Which keys are hottest: a bounded choice among records that are shown one after another, by what their headers know of
//! uses. A hit pays nothing for it, as the policy notes uses anyway.
//!
//! A record's **heat** is its uses, as far as they are counted, for each second since the last of them: an estimate of how often
//! it is asked for. Policies that count no uses leave the time alone, so their order is that of LRU.

use super::hash::Place;
use super::record::Value;
use super::shared::Store;
use super::snapshot::Item;
use super::stripe::{Entry, Moment};
use std::cmp::Reverse;
use std::collections::HashSet;

/// Uses are told apart in so many steps a second.
const HEAT_OF_ONE_USE: u64 = 1 << 24;

/// Seconds that are added to the age of the last use: less is not told apart, as the access clock goes in steps of eight.
const AGE_MIN_S: u64 = 8;

/// Longer strings and collections are not captured under the lock of their stripe, which takes some hundred microseconds at the
/// most.
const STRING_MAX: u32 = 256 * 1024;
const OBJECT_MAX: u32 = 64 * 1024;

/// How hot a record is that was used so often, the last time so long ago.
pub fn heat(uses: u32, idle_ms: u64) -> u32 {
    (u64::from(uses.max(1)) * HEAT_OF_ONE_USE / (AGE_MIN_S + idle_ms / 1000)).min(u64::from(u32::MAX)) as u32
}

/// A key by its place: what it takes to find it again, in three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hot {
    pub heat: u32,
    /// What the record counts for in the policy.
    pub bytes: u32,
    pub hash: u64,
    pub slot: u16,
    /// The physical number of the database.
    pub db: u8,
}

impl Hot {
    pub fn new(db: usize, place: Place, heat: u32, bytes: u32) -> Hot {
        Hot { heat, bytes, hash: place.hash, slot: place.slot, db: db as u8 }
    }

    pub fn place(self) -> Place {
        Place { slot: self.slot, hash: self.hash }
    }

    /// The hottest come first; of two that are as hot, the smaller, as more of these find room.
    fn order(self) -> impl Ord {
        (Reverse(self.heat), self.bytes, self.slot, self.hash, self.db)
    }
}

/// The hottest of what was shown so far. It holds twice as many as are wanted, at the most.
pub struct Hottest {
    keys_max: usize,
    found: Vec<Hot>,
    /// What is colder has no chance any more.
    least: u32,
}

impl Hottest {
    /// For at most so many keys.
    pub fn new(keys_max: usize) -> Hottest {
        Hottest { keys_max: keys_max.max(1), found: Vec::new(), least: 0 }
    }

    /// Whether a record of this heat may be among them, so that its place is worth being computed.
    #[inline]
    pub fn wants(&self, heat: u32) -> bool {
        heat >= self.least
    }

    /// Shows a record.
    pub fn offer(&mut self, hot: Hot) {
        if !self.wants(hot.heat) {
            return;
        }
        self.found.push(hot);
        if self.found.len() >= 2 * self.keys_max {
            self.found.select_nth_unstable_by_key(self.keys_max - 1, |hot| hot.order());
            self.found.truncate(self.keys_max);
            self.least = self.found[self.keys_max - 1].heat;
        }
    }

    /// The hottest, in that order, as many as take at most so many bytes together. What does not fit in is passed over.
    pub fn list(mut self, bytes_max: u64) -> Vec<Hot> {
        self.found.sort_unstable_by_key(|hot| hot.order());
        // A walk may come twice to a record whose table grows meanwhile, and a record may be asked for by name.
        let mut seen = HashSet::with_capacity(self.found.len());
        self.found.retain(|hot| seen.insert((hot.hash, hot.slot, hot.db)));
        self.found.truncate(self.keys_max);
        let mut left = bytes_max;
        self.found.retain(|hot| {
            let fits = u64::from(hot.bytes) <= left;
            left -= if fits { u64::from(hot.bytes) } else { 0 };
            fits
        });
        self.found
    }
}

impl Store {
    /// Shows the records of a database from a cursor on, about `keys` of them, and returns where to go on; 0 at the end.
    pub fn show_hot(&self, db: usize, cursor: u64, keys: usize, moment: Moment, hottest: &mut Hottest) -> u64 {
        let physical = self.database(db);
        self.scan(db, cursor, keys, moment, |entry| {
            let heat = entry.heat(moment);
            if hottest.wants(heat) && is_short(entry) {
                hottest.offer(Hot::new(physical, self.place(entry.key()), heat, entry.footprint()));
            }
        })
    }

    /// Shows the record of one key as hotter than all others. Returns whether it is there.
    pub fn show_hottest(&self, db: usize, key: &[u8], moment: Moment, hottest: &mut Hottest) -> bool {
        let (db, place) = (self.database(db), self.place(key));
        let bytes = self.with_stripe(place.stripe(), |stripe| {
            stripe.entry_at(db, place, moment).filter(|entry| is_short(*entry)).map(Entry::footprint)
        });
        if let Some(bytes) = bytes {
            hottest.offer(Hot::new(db, place, u32::MAX, bytes));
        }
        bytes.is_some()
    }

    /// Shows a chosen record to `visit`, if it is still there. Returns whether it is.
    pub fn visit_hot(&self, hot: Hot, moment: Moment, visit: impl FnOnce(Item<'_>)) -> bool {
        let db = usize::from(hot.db);
        self.with_stripe(hot.place().stripe(), |stripe| {
            let entry = stripe.entry_at(db, hot.place(), moment).filter(|entry| is_short(*entry));
            let Some(entry) = entry else { return false };
            let tags = &stripe.tags_of(db, hot.place())[..];
            visit(Item { db, key: entry.key(), expiry: entry.expiry(), tags, value: entry.value() });
            true
        })
    }
}

/// Whether a record can be captured under its stripe's lock.
fn is_short(entry: Entry<'_>) -> bool {
    entry.footprint() <= if matches!(entry.value(), Value::Object(_)) { OBJECT_MAX } else { STRING_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::hash::KeyHasher;
    use crate::store::{Eviction, New, Options};
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000;

    fn hot(number: u64, heat: u32, bytes: u32) -> Hot {
        Hot::new(0, Place { slot: (number % 16_384) as u16, hash: number }, heat, bytes)
    }

    #[test]
    fn many_uses_and_late_ones_make_hot() {
        assert!(heat(2, 0) > heat(1, 0));
        assert!(heat(1, 0) > heat(1, 1000));
        assert!(heat(30, 60_000) > heat(1, 0));
        assert!(heat(1, 0) > heat(30, 3_600_000));
        assert_eq!(heat(0, u64::MAX), 0);
    }

    #[test]
    fn what_does_not_fit_makes_room_for_what_does() {
        let mut hottest = Hottest::new(10);
        for (number, heat, bytes) in [(1, 9, 60), (2, 8, 60), (3, 7, 40)] {
            hottest.offer(hot(number, heat, bytes));
        }
        let list: Vec<u64> = hottest.list(100).iter().map(|hot| hot.hash).collect();
        assert_eq!(list, [1, 3]);
    }

    fn chosen(policy: Eviction, keys_max: usize) -> Vec<Vec<u8>> {
        let options = Options { eviction: policy, ..Options::default() };
        let store = Store::with_hasher(options, KeyHasher::seeded(1));
        let touch = |number: u32, ms: u64, writes: bool| {
            let name = format!("k{number}");
            let key = store.key(name.as_bytes());
            let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(ms));
            match writes {
                true => keys.set(key, New::Set(b"v"), None),
                false => assert!(keys.get(key).is_some()),
            }
        };
        (0..1000).for_each(|number| touch(number, NOW, true));
        // One is asked for often, one a moment ago, each far beyond the others.
        (0..12).for_each(|_| touch(7, NOW + 100_000, false));
        touch(8, NOW + 120_000, false);
        let moment = store.moment(NOW + 120_000);
        let mut hottest = Hottest::new(keys_max);
        let mut cursor = store.show_hot(0, 0, 64, moment, &mut hottest);
        while cursor != 0 {
            cursor = store.show_hot(0, cursor, 64, moment, &mut hottest);
        }
        let mut names = Vec::new();
        for hot in hottest.list(u64::MAX) {
            assert!(store.visit_hot(hot, moment, |item| names.push(item.key.to_vec())));
        }
        names
    }

    #[test]
    fn records_are_chosen_by_what_the_policy_knows() {
        assert_eq!(chosen(Eviction::AllkeysLarder, 2), [b"k7", b"k8"]);
        assert_eq!(chosen(Eviction::AllkeysLru, 2), [b"k8", b"k7"]);
        assert_eq!(chosen(Eviction::AllkeysLfu, 2).len(), 2);
        assert_eq!(chosen(Eviction::AllkeysLarder, 5000).len(), 1000);
    }

    proptest! {
        #[test]
        fn the_choice_is_that_of_a_sort(
            keys_max in 1usize..40,
            heats in proptest::collection::vec((0u32..20, 1u32..5), 0..300),
        ) {
            let shown: Vec<Hot> = heats.iter().zip(0..).map(|((heat, bytes), number)| hot(number, *heat, *bytes)).collect();
            let mut hottest = Hottest::new(keys_max);
            shown.iter().for_each(|hot| { hottest.offer(*hot); });
            let mut sorted = shown.clone();
            sorted.sort_by_key(|hot| hot.order());
            sorted.truncate(keys_max);
            prop_assert_eq!(hottest.list(u64::MAX), sorted);
        }

        #[test]
        fn what_is_shown_twice_is_listed_once(heats in proptest::collection::vec(0u32..20, 0..100)) {
            let mut hottest = Hottest::new(1000);
            let shown: Vec<Hot> = heats.iter().zip(0..).map(|(heat, number)| hot(number, *heat, 1)).collect();
            shown.iter().chain(&shown).for_each(|hot| hottest.offer(*hot));
            prop_assert_eq!(hottest.list(u64::MAX).len(), shown.len());
        }
    }
}
