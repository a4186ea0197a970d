//! Values that may be served stale, against a naive twin: hidden from when they expire, and gone in time.

use super::{New, Options, Store};
use crate::base::keep::Keep;
use crate::store::hash::KeyHasher;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// When it begins, in milliseconds since 1970.
const START: u64 = 1_700_000_000_000;

/// The wheel's shortest bucket, after which what is due is gone.
const LATE: u64 = 256;

#[derive(Clone, Debug)]
enum Step {
    Set { key: u8, ttl: u64, grace: u64 },
    Expire { key: u8, ttl: u64 },
    Remove { key: u8 },
    Pass { ms: u64 },
}

fn steps() -> impl Strategy<Value = Step> {
    let key = || 0u8..40;
    prop_oneof![
        4 => (key(), 1u64..3_000, prop_oneof![Just(0u64), 1u64..5_000, Just(60_000)])
            .prop_map(|(key, ttl, grace)| Step::Set { key, ttl, grace }),
        1 => (key(), 1u64..3_000).prop_map(|(key, ttl)| Step::Expire { key, ttl }),
        1 => key().prop_map(|key| Step::Remove { key }),
        3 => (1u64..2_000).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// When a key expires, and when it goes.
type Times = (u64, u64);

struct Pair {
    store: Store,
    twin: BTreeMap<u8, Times>,
    now: u64,
}

impl Pair {
    fn key(number: u8) -> Vec<u8> {
        format!("key:{number}").into_bytes()
    }

    fn step(&mut self, step: &Step) {
        let moment = self.store.moment(self.now);
        let with = |key: u8, act: &mut dyn FnMut(&mut super::Keys<'_>, super::Key<'_>)| {
            let name = Self::key(key);
            let key = self.store.key(&name);
            act(&mut self.store.lock_one(key.place.stripe(), 0, moment), key);
        };
        match *step {
            Step::Set { key, ttl, grace } => {
                let (until, keep) = (self.now + ttl, Keep::new(grace, 0));
                with(key, &mut |keys, key| {
                    keys.set(key, New::Set(b"value"), Some(until));
                    keys.keep_stale(key, keep);
                });
                self.twin.insert(key, (until, until + keep.grace_ms()));
            }
            Step::Expire { key, ttl } => {
                let until = self.now + ttl;
                with(key, &mut |keys, key| {
                    keys.set_expiry(key, Some(until));
                });
                if let Some(times) = self.twin.get_mut(&key).filter(|(expiry, _)| *expiry > self.now) {
                    *times = (until, until);
                }
            }
            Step::Remove { key } => {
                with(key, &mut |keys, key| {
                    keys.remove(key);
                });
                self.twin.remove(&key);
            }
            Step::Pass { ms } => {
                self.now += ms;
                let moment = self.store.moment(self.now);
                self.store.stripes().for_each(|stripe| while self.store.expire(stripe, moment, 64) {});
            }
        }
    }

    fn records(&self) -> usize {
        let mut records = 0;
        self.store.each_stripe(|stripe| records += stripe.keys(0));
        records
    }

    fn check(&self) {
        let moment = self.store.moment(self.now);
        for number in 0..40 {
            let name = Self::key(number);
            let key = self.store.key(&name);
            let mut keys = self.store.lock_one(key.place.stripe(), 0, moment);
            let times = self.twin.get(&number).copied();
            let expected = times
                .map_or((false, false), |(expiry, gone)| (self.now < expiry, expiry <= self.now && self.now < gone));
            let is_stale = keys.stale(key).is_some();
            assert_eq!((keys.peek(key).is_some(), is_stale), expected, "key {number} with {times:?} at {}", self.now);
        }
        let count = |late: u64, when: fn(&Times) -> u64| {
            self.twin.values().filter(|times| self.now < when(times) + late).count()
        };
        let held = self.records();
        let (there, late) = (count(0, |times| times.1), count(LATE, |times| times.1));
        assert!((there..=late).contains(&held), "{held} records are held, {there} to {late} may be");
        let keys = self.store.keys(0);
        let (there, late) = (count(0, |times| times.0), count(LATE, |times| times.0));
        assert!((there..=late).contains(&keys), "{keys} keys are counted, {there} to {late} may be");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_has_expired_is_hidden_and_goes_once_nobody_may_see_it(steps in prop::collection::vec(steps(), 0..200)) {
        let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
        let mut pair = Pair { store, twin: BTreeMap::new(), now: START };
        for step in &steps {
            pair.step(step);
            pair.check();
        }
        pair.step(&Step::Pass { ms: 70_000 });
        prop_assert_eq!((pair.store.keys(0), pair.records()), (0, 0));
    }
}
