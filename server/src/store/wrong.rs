//! Keys that are declared wrong together, against a naive twin: gone at once for who looks, and in time for the memory.

use super::{Doom, Key, Keys, New, Options, Store};
use crate::store::hash::KeyHasher;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// When it is, in milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Set { key: u8, tags: Vec<u8>, ttl: Option<u64> },
    Rewrite { key: u8 },
    Tag { key: u8, tag: u8 },
    Remove { key: u8 },
    Rename { from: u8, to: u8 },
    Tagged { tag: u8, soft: bool },
    Prefixed { prefix: String, soft: bool },
    Sweep { stripe: u8 },
    Flush,
}

fn steps() -> impl Strategy<Value = Step> {
    let (key, tag) = (|| 0u8..40, || 0u8..4);
    prop_oneof![
        8 => (key(), prop::collection::vec(tag(), 0..3), prop::option::of(1_000u64..5_000))
            .prop_map(|(key, tags, ttl)| Step::Set { key, tags, ttl }),
        2 => key().prop_map(|key| Step::Rewrite { key }),
        2 => (key(), tag()).prop_map(|(key, tag)| Step::Tag { key, tag }),
        2 => key().prop_map(|key| Step::Remove { key }),
        2 => (key(), key()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (tag(), any::<bool>()).prop_map(|(tag, soft)| Step::Tagged { tag, soft }),
        2 => ("k[0-3]?", any::<bool>()).prop_map(|(prefix, soft)| Step::Prefixed { prefix, soft }),
        4 => any::<u8>().prop_map(|stripe| Step::Sweep { stripe }),
        1 => Just(Step::Flush),
    ]
}

/// All keys have one hash tag now and then, so that they share a table.
fn name(key: u8) -> Vec<u8> {
    if key < 20 { format!("k{key}") } else { format!("k{}{{t}}", key % 20) }.into_bytes()
}

#[derive(Clone, Debug, Default)]
struct Twin {
    tags: BTreeSet<u8>,
    expires: bool,
    is_stale: bool,
}

struct Pair {
    store: Store,
    twin: BTreeMap<u8, Twin>,
}

impl Pair {
    fn with<R>(&self, key: u8, act: impl FnOnce(&mut Keys<'_>, Key<'_>) -> R) -> R {
        let name = name(key);
        let key = self.store.key(&name);
        act(&mut self.store.lock_one(key.place.stripe(), 0, self.store.moment(NOW)), key)
    }

    fn doom(soft: bool) -> Doom {
        if soft { Doom::Stale { at_ms: NOW, keep_ms: 500 } } else { Doom::Gone }
    }

    fn declare(&mut self, soft: bool, is_wrong: impl Fn(u8, &Twin) -> bool) {
        self.twin.retain(|key, twin| soft || !is_wrong(*key, twin));
        self.twin.iter_mut().filter(|(key, twin)| is_wrong(**key, twin)).for_each(|(_, twin)| twin.is_stale = true);
    }

    fn step(&mut self, step: &Step) {
        let moment = self.store.moment(NOW);
        let tag_name = |tag: u8| [b't', tag];
        match step {
            Step::Set { key, tags, ttl } => {
                self.with(*key, |keys, key| {
                    keys.set(key, New::Set(b"value"), ttl.map(|ttl| NOW + ttl));
                    let names: Vec<_> = tags.iter().map(|tag| tag_name(*tag)).collect();
                    keys.tag(key, names.iter().map(|name| &name[..]));
                });
                let twin = Twin { tags: tags.iter().copied().collect(), expires: ttl.is_some(), is_stale: false };
                self.twin.insert(*key, twin);
            }
            Step::Rewrite { key } => {
                let is_live = self.twin.get(key).is_some_and(|twin| !twin.is_stale);
                if is_live {
                    let until = self.with(*key, |keys, key| keys.peek(key).and_then(|entry| entry.expiry()));
                    self.with(*key, |keys, key| keys.rewrite(key, New::Set(b"another value"), until));
                }
            }
            Step::Tag { key, tag } => {
                let new = self.with(*key, |keys, key| keys.tag(key, [&tag_name(*tag)[..]].into_iter()));
                let twin = self.twin.get_mut(key).filter(|twin| !twin.is_stale);
                assert_eq!(new, twin.map(|twin| usize::from(twin.tags.insert(*tag))), "of key {key}");
            }
            Step::Remove { key } => {
                let was_there = self.with(*key, |keys, key| keys.remove(key));
                let twin = self.twin.remove(key);
                assert_eq!(was_there, twin.is_some_and(|twin| !twin.is_stale), "key {key}");
            }
            Step::Rename { from, to } => {
                if let Some(taken) = self.with(*from, |keys, key| keys.take(key)) {
                    self.with(*to, |keys, key| keys.put(key, taken));
                    let twin = self.twin.remove(from).expect("it was there");
                    self.twin.insert(*to, twin);
                }
            }
            Step::Tagged { tag, soft } => {
                self.store.doom_tag(0, &tag_name(*tag), Self::doom(*soft));
                self.declare(*soft, |_, twin| twin.tags.contains(tag));
            }
            Step::Prefixed { prefix, soft } => {
                self.store.doom_prefix(0, prefix.as_bytes(), Self::doom(*soft), moment);
                self.declare(*soft, |key, _| name(key).starts_with(prefix.as_bytes()));
            }
            Step::Sweep { stripe } => drop(self.store.sweep(usize::from(*stripe), moment)),
            Step::Flush => {
                self.store.flush(0);
                self.twin.clear();
            }
        }
    }

    fn check(&self) {
        for key in 0..40 {
            let twin = self.twin.get(&key).cloned().unwrap_or_default();
            let is_live = self.twin.contains_key(&key) && !twin.is_stale;
            let looked = self.with(key, |keys, key| keys.entry(key).is_some());
            assert_eq!(looked, is_live, "key {key} as {twin:?}, for who only looks");
            let tags: BTreeSet<u8> = self.with(key, |keys, key| keys.tags(key)).iter().map(|tag| tag[1]).collect();
            assert_eq!(tags, if is_live { twin.tags } else { BTreeSet::new() }, "tags of key {key}");
        }
    }

    fn check_met(&self) {
        for key in 0..40 {
            let twin = self.twin.get(&key).cloned().unwrap_or_default();
            let is_live = self.twin.contains_key(&key) && !twin.is_stale;
            let (met, expires) = self.with(key, |keys, key| {
                let entry = keys.peek(key);
                (entry.is_some(), entry.is_some_and(|entry| entry.expiry().is_some()))
            });
            assert_eq!((met, expires), (is_live, is_live && twin.expires), "key {key} as {twin:?}, when it is met");
            assert_eq!(self.with(key, |keys, key| keys.stale(key).is_some()), twin.is_stale, "key {key}, stale");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_is_declared_wrong_is_gone_for_all_and_goes(steps in prop::collection::vec(steps(), 0..120)) {
        let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
        let mut pair = Pair { store, twin: BTreeMap::new() };
        for (number, step) in steps.iter().enumerate() {
            pair.step(step);
            pair.check();
            if number % 8 == 7 {
                pair.check_met();
                pair.store.each_stripe(|stripe| stripe.check());
            }
        }
        pair.store.sweep_all(pair.store.moment(NOW));
        prop_assert_eq!(pair.store.keys(0), pair.twin.values().filter(|twin| !twin.is_stale).count());
        pair.check_met();
        pair.store.each_stripe(|stripe| stripe.check());
    }
}
