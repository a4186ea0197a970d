//! The store as a whole against a naive twin: random commands, time that passes, databases that change places, records
//! that move, and eviction under each policy.
//!
//! The twin knows no limit, so where the policy evicts, keys may be missing; what is there must be what was last
//! written, and what went must stay away until it is written again.

use super::hash::{KeyHasher, STRIPES};
use super::pieces::{PIECE_LEN, PIECES_MAX};
use super::record::INLINE_MAX;
use super::wheel::TICK_MS;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const START_MS: u64 = 1_700_000_000_000;

/// Databases that the commands use.
const DBS: usize = 3;

/// What index structures may grow by beyond what a command asked for, in bytes: a page each for lines and records of
/// two stripes, a wheel's level, a database's tables.
const SLACK: u64 = 40 * 1024;

/// Names of keys: some spread over the stripes, many in one slot so that its table splits, some too long for a short
/// length, and the empty one.
fn name(number: u16) -> Vec<u8> {
    match number {
        0 => Vec::new(),
        1..40 => format!("key:{number}").into_bytes(),
        40..50 => [format!("{{long{number}}}").into_bytes(), vec![b'k'; number as usize * 10]].concat(),
        _ => format!("{{tag}}{number}").into_bytes(),
    }
}

#[derive(Clone, Debug)]
enum Written {
    Int(i64),
    /// As it came, so it may become an integer.
    Set(usize, u8),
    Text(usize, u8),
    Edited(usize, u8),
    Heap(usize, u8),
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        match *self {
            Written::Int(n) => n.to_string().into_bytes(),
            Written::Set(len, byte) | Written::Text(len, byte) | Written::Edited(len, byte) => vec![byte; len],
            Written::Heap(len, byte) => vec![byte; len],
        }
    }

    fn to_new<'a>(&self, bytes: &'a [u8]) -> New<'a> {
        match *self {
            Written::Int(n) => New::Int(n),
            Written::Set(..) => New::Set(bytes),
            Written::Text(..) => New::Text(bytes),
            Written::Edited(..) => New::Edited(bytes),
            Written::Heap(..) => New::Heap(bytes.to_vec()),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set {
        db: usize,
        key: u16,
        value: Written,
        ttl_ms: Option<u64>,
    },
    Remove {
        db: usize,
        key: u16,
    },
    Get {
        db: usize,
        key: u16,
    },
    Expiry {
        db: usize,
        key: u16,
        ttl_ms: Option<u64>,
    },
    Edit {
        db: usize,
        key: u16,
        len_min: usize,
        byte: u8,
    },
    Add {
        db: usize,
        key: u16,
        by: i64,
    },
    Rename {
        from: (usize, u16),
        to: (usize, u16),
    },
    Copy {
        from: (usize, u16),
        to: (usize, u16),
    },
    /// Sets keys of one slot.
    Fill {
        db: usize,
        first: u16,
        count: u16,
        len: usize,
        ttl_ms: Option<u64>,
    },
    /// Removes keys of one slot.
    Clear {
        db: usize,
        first: u16,
        count: u16,
    },
    Flush {
        db: usize,
    },
    FlushAll,
    Swap {
        one: usize,
        other: usize,
    },
    /// Lets time pass.
    Pass {
        ms: u64,
    },
    /// Deletes what is due, a few names at a time.
    Expire,
    /// Deletes some of what is due.
    ExpireSome {
        stripe: usize,
    },
    Tighten,
    Policy(Eviction),
    Limit(u64),
}

fn ttl() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        3 => Just(None),
        2 => (0u64..400).prop_map(Some),
        2 => (0u64..30_000).prop_map(Some),
        1 => (0u64..20_000_000).prop_map(Some),
        1 => (0u64..1 << 49).prop_map(Some),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let edge = || prop_oneof![Just(INLINE_MAX), Just(PIECE_LEN * 2), Just(PIECE_LEN * 7), Just(PIECES_MAX)];
    let about = move || (edge(), 0usize..3).prop_map(|(edge, more)| edge + more - 1);
    let len = move || {
        prop_oneof![
            4 => 0usize..80,
            2 => 80usize..1100,
            2 => 1000usize..9000,
            1 => 9000usize..100_000,
            1 => about(),
        ]
    };
    prop_oneof![
        1 => any::<i64>().prop_map(Written::Int),
        1 => (-300i64..300).prop_map(Written::Int),
        1 => (0usize..22, b'0'..=b'9').prop_map(|(len, byte)| Written::Set(len, byte)),
        4 => (len(), any::<u8>()).prop_map(|(len, byte)| Written::Set(len, byte)),
        1 => (len(), any::<u8>()).prop_map(|(len, byte)| Written::Text(len, byte)),
        1 => (len(), any::<u8>()).prop_map(|(len, byte)| Written::Edited(len, byte)),
        1 => (len(), any::<u8>()).prop_map(|(len, byte)| Written::Heap(len, byte)),
    ]
}

/// Steps that change keys and time.
fn step() -> impl Strategy<Value = Step> {
    let key = || prop_oneof![4 => 0u16..50, 1 => 50u16..1500];
    let place = move || (0..DBS, key());
    let run = || (0..DBS, 50u16..1500, prop_oneof![3 => 1u16..60, 1 => 60u16..1500]);
    prop_oneof![
        12 => (place(), written(), ttl()).prop_map(|((db, key), value, ttl_ms)| Step::Set { db, key, value, ttl_ms }),
        4 => place().prop_map(|(db, key)| Step::Remove { db, key }),
        4 => place().prop_map(|(db, key)| Step::Get { db, key }),
        4 => (place(), ttl()).prop_map(|((db, key), ttl_ms)| Step::Expiry { db, key, ttl_ms }),
        4 => (place(), prop_oneof![0usize..1200, 0usize..60_000], any::<u8>())
            .prop_map(|((db, key), len_min, byte)| Step::Edit { db, key, len_min, byte }),
        2 => (place(), prop_oneof![-200i64..200, any::<i64>()]).prop_map(|((db, key), by)| Step::Add { db, key, by }),
        3 => (place(), place()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (place(), place()).prop_map(|(from, to)| Step::Copy { from, to }),
        4 => (run(), prop_oneof![0usize..60, 0usize..600], ttl())
            .prop_map(|((db, first, count), len, ttl_ms)| Step::Fill { db, first, count, len, ttl_ms }),
        3 => run().prop_map(|(db, first, count)| Step::Clear { db, first, count }),
        1 => (0..DBS).prop_map(|db| Step::Flush { db }),
        1 => (0..DBS, 0..DBS).prop_map(|(one, other)| Step::Swap { one, other }),
        5 => prop_oneof![0u64..300, 0u64..10_000, 0u64..3_000_000].prop_map(|ms| Step::Pass { ms }),
        3 => Just(Step::Expire),
        2 => (0..STRIPES).prop_map(|stripe| Step::ExpireSome { stripe }),
        2 => Just(Step::Tighten),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rare = Just(Step::FlushAll);
    prop::collection::vec(prop_oneof![100 => step(), 1 => rare], 1..steps_max())
}

/// Steps under a limit that changes, and a policy that does.
fn tight_steps() -> impl Strategy<Value = Vec<Step>> {
    let policy = (0..Eviction::ALL.len()).prop_map(|number| Step::Policy(Eviction::ALL[number]));
    let limit = (1u64..8).prop_map(|mib| Step::Limit(mib << 20));
    prop::collection::vec(prop_oneof![60 => step(), 2 => policy, 1 => limit], 1..steps_max())
}

fn steps_max() -> usize {
    if cfg!(miri) { 25 } else { 400 }
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(cases.unwrap_or(if cfg!(miri) { 2 } else { 40 }))
}

struct Held {
    bytes: Vec<u8>,
    expiry: Option<u64>,
}

/// The store and its twin.
struct Pair {
    store: Store,
    twin: [BTreeMap<Vec<u8>, Held>; DBS],
    now_ms: u64,
}

impl Pair {
    fn new(options: Options) -> Pair {
        let store = Store::with_hasher(options, KeyHasher::seeded(11));
        Pair { store, twin: Default::default(), now_ms: START_MS }
    }

    fn moment(&self) -> Moment {
        self.store.moment(self.now_ms)
    }

    /// Whether keys may go that were not told to.
    fn evicts(&self) -> bool {
        self.store.memory_max() > 0 && self.store.eviction() != Eviction::NoEviction
    }

    fn expiry(&self, ttl_ms: Option<u64>) -> Option<u64> {
        // What is too late to be kept means the latest time there is.
        ttl_ms.map(|ttl_ms| (self.now_ms + ttl_ms).min(record::EXPIRY_MAX))
    }

    fn with<R>(&self, places: &[(usize, &[u8])], run: impl FnOnce(&mut Keys<'_>) -> R) -> R {
        let mut stripes = Numbers::default();
        places.iter().for_each(|(_, key)| stripes.add(self.store.place(key).stripe()));
        let mut keys = match places {
            [(db, key)] => self.store.lock_one(self.store.place(key).stripe(), *db, self.moment()),
            _ => self.store.lock(stripes, places[0].0, self.moment()),
        };
        run(&mut keys)
    }

    /// Takes a key out of the twin that is not in the store, if it may have expired or been evicted.
    fn settle(&mut self, db: usize, key: &[u8]) {
        let there = self.with(&[(db, key)], |keys| keys.peek(self.store.key(key)).is_some());
        let Some(held) = self.twin[db].get(key) else {
            assert!(!there, "{:?} is there, and was not set", String::from_utf8_lossy(key));
            return;
        };
        let is_due = held.expiry.is_some_and(|expiry| expiry <= self.now_ms);
        assert!(!(there && is_due), "an expired key is served");
        if !there {
            assert!(is_due || self.evicts(), "{:?} is lost", String::from_utf8_lossy(key));
            self.twin[db].remove(key);
        }
    }

    /// Brings the store under its limit, as the path of a request does before each command. Whether there is room.
    fn make_room(&self) -> bool {
        self.store.make_some_room(self.moment(), 4096);
        !self.store.is_over()
    }

    fn set(&mut self, db: usize, key: Vec<u8>, value: &Written, expiry: Option<u64>) {
        let bytes = value.bytes();
        self.with(&[(db, &key)], |keys| {
            keys.set(self.store.key(&key), value.to_new(&bytes), expiry);
            let entry = keys.peek(self.store.key(&key));
            let is_due = expiry.is_some_and(|expiry| expiry <= self.now_ms);
            assert_eq!(entry.is_none(), is_due, "what was just set is there");
        });
        self.twin[db].insert(key, Held { bytes, expiry });
    }

    fn get(&mut self, db: usize, key: &[u8]) {
        self.settle(db, key);
        let seen = self.with(&[(db, key)], |keys| keys.get(self.store.key(key)).map(read));
        assert_eq!(seen, self.twin[db].get(key).map(|held| (held.bytes.clone(), held.expiry)));
    }

    fn remove(&mut self, db: usize, key: &[u8]) {
        self.settle(db, key);
        let was_there = self.with(&[(db, key)], |keys| keys.remove(self.store.key(key)));
        assert_eq!(was_there, self.twin[db].remove(key).is_some());
    }

    fn set_expiry(&mut self, db: usize, key: &[u8], expiry: Option<u64>) {
        self.settle(db, key);
        let was_there = self.with(&[(db, key)], |keys| keys.set_expiry(self.store.key(key), expiry));
        let held = self.twin[db].get_mut(key);
        assert_eq!(was_there, held.is_some());
        held.into_iter().for_each(|held| held.expiry = expiry);
    }

    fn edit(&mut self, db: usize, key: &[u8], len_min: usize, byte: u8) {
        self.settle(db, key);
        let evicts = self.evicts();
        let Some(held) = self.twin[db].get_mut(key) else { return };
        let change = |bytes: &mut [u8]| bytes.iter_mut().step_by(7).for_each(|place| *place = byte);
        held.bytes.resize(held.bytes.len().max(len_min), 0);
        change(&mut held.bytes);
        if !self
            .with(&[(db, key)], |keys| keys.edit(self.store.key(key), len_min, &|touch| touch(0..usize::MAX), change))
        {
            assert!(evicts, "a key that was there could not be edited");
            self.twin[db].remove(key);
        }
    }

    fn add(&mut self, db: usize, key: &[u8], by: i64) {
        self.settle(db, key);
        let changed = self.with(&[(db, key)], |keys| keys.change_int(self.store.key(key), |n| n.checked_add(by)));
        let Some(sum) = changed else { return };
        let held = self.twin[db].get_mut(key).expect("a key that is not there is not changed");
        let old: i64 = String::from_utf8_lossy(&held.bytes).parse().expect("only integers are changed");
        assert_eq!(sum, old + by);
        held.bytes = sum.to_string().into_bytes();
    }

    /// Moves a value from one key to another, or copies it.
    fn carry(&mut self, from: (usize, &[u8]), to: (usize, &[u8]), moves: bool) {
        self.settle(from.0, from.1);
        if from == to {
            return;
        }
        let carried = self.with(&[from, to], |keys| {
            let source = self.store.key(from.1);
            let taken = if moves { keys.take(source) } else { keys.peek(source).map(Taken::copy_of) };
            keys.switch(to.0);
            taken.map(|taken| keys.put(self.store.key(to.1), taken)).is_some()
        });
        let held = self.twin[from.0].get(from.1).map(|held| Held { bytes: held.bytes.clone(), expiry: held.expiry });
        assert_eq!(carried, held.is_some());
        if let Some(held) = held {
            if moves {
                self.twin[from.0].remove(from.1);
            }
            self.twin[to.0].insert(to.1.to_vec(), held);
        }
    }

    /// Deletes all that is due. What stays after its time is younger than two ticks.
    fn expire(&mut self) {
        for stripe in 0..STRIPES {
            while self.store.expire(stripe, self.moment(), 10) {}
        }
        let late = self.now_ms.saturating_sub(2 * TICK_MS);
        for db in 0..DBS {
            self.twin[db].retain(|_, held| held.expiry.is_none_or(|expiry| expiry > late));
            assert!(self.store.keys(db) <= self.twin[db].len(), "expired keys stay in database {db}");
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Set { db, key, ref value, ttl_ms } => self.set(db, name(key), value, self.expiry(ttl_ms)),
            Step::Remove { db, key } => self.remove(db, &name(key)),
            Step::Get { db, key } => self.get(db, &name(key)),
            Step::Expiry { db, key, ttl_ms } => self.set_expiry(db, &name(key), self.expiry(ttl_ms)),
            Step::Edit { db, key, len_min, byte } => self.edit(db, &name(key), len_min, byte),
            Step::Add { db, key, by } => self.add(db, &name(key), by),
            Step::Rename { from, to } => self.carry((from.0, &name(from.1)), (to.0, &name(to.1)), true),
            Step::Copy { from, to } => self.carry((from.0, &name(from.1)), (to.0, &name(to.1)), false),
            Step::Fill { db, first, count, len, ttl_ms } => {
                for key in first..first + count {
                    self.make_room();
                    self.set(db, name(key), &Written::Set(len, key as u8), self.expiry(ttl_ms));
                }
            }
            Step::Clear { db, first, count } => (first..first + count).for_each(|key| self.remove(db, &name(key))),
            Step::Flush { db } => {
                self.store.flush(db);
                self.twin[db].clear();
            }
            Step::FlushAll => {
                self.store.flush_all();
                assert_eq!(self.store.used_bytes(), 0, "a store without keys takes no memory");
                self.twin = Default::default();
            }
            Step::Swap { one, other } => {
                self.store.swap_databases(one, other);
                self.twin.swap(one, other);
            }
            Step::Pass { ms } => self.now_ms += ms,
            Step::Expire => self.expire(),
            Step::ExpireSome { stripe } => _ = self.store.expire(stripe, self.moment(), 3),
            Step::Tighten => self.store.tighten_all(),
            Step::Policy(eviction) => {
                // What the old policy has evicted is not the new one's doing.
                self.compare();
                self.store.set_eviction(eviction, self.now_ms);
            }
            Step::Limit(bytes) => self.store.set_memory_max(bytes),
        }
    }

    /// Bytes that a step may ask for at once.
    fn asked(step: &Step) -> u64 {
        match *step {
            Step::Set { ref value, .. } => value.bytes().len() as u64,
            Step::Edit { len_min, .. } => (len_min + len_min / 8) as u64,
            Step::Copy { .. } | Step::Rename { .. } => PIECES_MAX as u64 * 9 / 8,
            _ => 0,
        }
    }

    /// Compares everything.
    fn compare(&mut self) {
        self.store.each_stripe(|stripe| stripe.check());
        let totals = self.store.totals();
        assert_eq!(totals.used_bytes as u64, self.store.used_bytes(), "what the node was told");
        for db in 0..DBS {
            let mut seen = BTreeMap::new();
            self.store.each_entry(db, self.moment(), |entry| {
                seen.insert(entry.key().to_vec(), read(entry));
            });
            for (key, value) in &seen {
                let held = self.twin[db].get(key).unwrap_or_else(|| panic!("{key:?} has come back"));
                assert_eq!(value, &(held.bytes.clone(), held.expiry));
            }
            let (evicts, now_ms) = (self.evicts(), self.now_ms);
            self.twin[db].retain(|key, held| {
                let is_due = held.expiry.is_some_and(|expiry| expiry <= now_ms);
                assert!(is_due || evicts || seen.contains_key(key), "{key:?} is lost");
                // What has expired may lie there until its time comes.
                is_due || seen.contains_key(key)
            });
            assert!((seen.len()..=self.twin[db].len()).contains(&totals.keys[db]), "keys of database {db}");
        }
    }
}

fn read(entry: Entry<'_>) -> (Vec<u8>, Option<u64>) {
    let mut bytes = Vec::new();
    entry.value().append_to(&mut bytes);
    assert_eq!(entry.value().len(), bytes.len());
    (bytes, entry.expiry())
}

/// Steps between two comparisons of everything.
const COMPARED_EVERY: usize = 40;

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_store_without_a_limit_is_a_map(steps in steps(), larder in any::<bool>()) {
        let eviction = if larder { Eviction::AllkeysLarder } else { Eviction::NoEviction };
        let mut pair = Pair::new(Options { eviction, ..Options::default() });
        for (number, step) in steps.iter().enumerate() {
            pair.run(step);
            if number % COMPARED_EVERY == 0 {
                pair.compare();
            }
        }
        pair.compare();
        (0..DBS).for_each(|db| pair.store.flush(db));
        prop_assert_eq!(pair.store.used_bytes(), 0);
    }

    #[test]
    fn a_tight_store_loses_keys_and_nothing_else(steps in tight_steps(), policy in 0..Eviction::ALL.len()) {
        let eviction = Eviction::ALL[policy];
        let mut pair = Pair::new(Options { memory_max: 3 << 20, eviction, ..Options::default() });
        for (number, step) in steps.iter().enumerate() {
            let has_room = pair.make_room();
            let (before, limit) = (pair.store.used_bytes(), pair.store.memory_max());
            pair.run(step);
            if pair.evicts() && has_room && !matches!(step, Step::Limit(_) | Step::Fill { .. }) {
                let allowed = limit.max(before) + Pair::asked(step) + SLACK;
                prop_assert!(pair.store.used_bytes() <= allowed, "{} > {} after {:?}", pair.store.used_bytes(), allowed, step);
            }
            if number % COMPARED_EVERY == 0 {
                pair.compare();
            }
        }
        pair.compare();
        if pair.evicts() && !pair.store.eviction().volatile_only() {
            prop_assert!((0..100).any(|_| pair.make_room()), "{} bytes stay", pair.store.used_bytes());
        }
    }

    #[test]
    fn eviction_and_expiry_reach_every_key(steps in tight_steps()) {
        let mut pair = Pair::new(Options { memory_max: 3 << 20, ..Options::default() });
        for step in steps.iter().filter(|step| !matches!(step, Step::Policy(_))) {
            pair.make_room();
            pair.run(step);
        }
        pair.now_ms += 30_000_000;
        pair.expire();
        pair.compare();
        let left: usize = {
            let mut left = 0;
            pair.store.each_stripe(|stripe| left += stripe.drain_by_queues());
            left
        };
        prop_assert_eq!(left, 0, "keys that no eviction would reach");
        pair.store.each_stripe(|stripe| stripe.check());
    }
}

/// Whatever a key holds, or once held, asking ahead reads nothing that is not there.
#[test]
fn collections_of_all_kinds_and_forms_can_be_asked_for_ahead() {
    use crate::types::{hash, list, object::Kind, set, stream::Stream, zset};

    let store = Store::new(Options::default());
    let names: Vec<Vec<u8>> = (0..60).map(name).collect();
    let places: Vec<_> = names.iter().map(|name| store.place(name)).collect();
    store.prefetch_deep(0, &places);
    for (number, name) in names.iter().enumerate() {
        let key = store.key(name);
        let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(START_MS));
        // Empty ones would be no keys, small ones have compact forms, large ones have not.
        let texts: Vec<Vec<u8>> = (0..[1, 300][number / 6 % 2]).map(|n| format!("element {n}").into_bytes()).collect();
        let texts = texts.iter().map(Vec::as_slice);
        match number % 6 {
            0 => keys.set(key, New::Set(b"text"), None),
            1 => {
                let mut set = set::Set::new();
                let limits = set::Limits { ints_max: 512, entries_max: 128, value_max: 64 };
                texts.for_each(|text| _ = set.add(text, &limits));
                keys.put_object(key, set.into_object(), None);
            }
            2 => {
                let mut hash = hash::Hash::new();
                let limits = hash::Limits { entries_max: 128, value_max: 64 };
                texts.for_each(|text| _ = hash.set(text, b"value", hash::Expiry::Clear, &limits));
                keys.put_object(key, hash.into_object(), None);
            }
            3 => {
                let mut list = list::List::new();
                list.push(list::End::Tail, texts, &list::Limits::new(8));
                keys.put_object(key, list.into_object(), None);
            }
            4 => {
                let mut zset = zset::ZSet::new();
                let limits = zset::Limits { entries_max: 128, value_max: 64 };
                texts.for_each(|text| _ = zset.insert(text, 1.5, &limits));
                keys.put_object(key, zset.into_object(), None);
            }
            _ => keys.put_object(key, Stream::new().into_object(), None),
        }
    }
    store.prefetch_deep(0, &places);
    for name in &names {
        let key = store.key(name);
        store.lock_one(key.place.stripe(), 0, store.moment(START_MS)).remove(key);
    }
    store.prefetch_deep(0, &places);
    assert!(names.iter().all(|name| {
        let key = store.key(name);
        store.lock_one(key.place.stripe(), 0, store.moment(START_MS)).get(key).is_none()
    }));
}
