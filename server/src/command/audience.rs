//! Who has asked to hear of changes to keys: transactions that watch them, and commands that wait for them.
//!
//! Each stripe of the store has its part of the audience, which is only reached by who holds the stripe, or by who takes
//! somebody out of it. While a part has anybody in it, its stripe notes what changes ([`crate::store::News`]), and
//! [`Audience::hear`] is told under the stripe's lock. So nothing that happens after somebody has asked is missed.
//!
//! What keys have become ready for who waits is put down for the thread whose command it was; dispatch serves the waiting
//! once that command is done (`blocking`).

use super::blocking::{Awaited, Parked};
use super::clients::Client;
use super::events::Class;
use super::shared::Shared;
use crate::rules::{Lease, Terms, Verdict};
use crate::store::{How, Listener, News, Store};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// A key of a database, given by its physical number, which `SWAPDB` does not change.
type Name = (usize, Box<[u8]>);

/// A key that is not remembered any more, and who had read it.
pub type Forgotten = (Box<[u8]>, Readers);

/// The audience of all stripes.
pub struct Audience {
    parts: Box<[Mutex<Part>]>,
    /// Arrivals so far, by which the waiting are served.
    arrivals: AtomicU64,
    /// Keys that somebody has read, and how often they are remembered in all.
    tracked_keys: AtomicUsize,
    tracked_items: AtomicUsize,
    /// Stripes in which leases have ended, or may end without anybody saying so.
    ended: Stripes,
}

/// Leases that a stripe remembers, some 100 bytes each and their keys; beyond that, nobody is kept from loading.
const LEASES_MAX: usize = 512;

/// A set of stripes, as bits.
struct Stripes(Box<[AtomicU64]>);

impl Stripes {
    fn note(&self, stripe: usize) {
        self.0[stripe / 64].fetch_or(1 << (stripe % 64), Relaxed);
    }

    /// Takes all of them out.
    fn take(&self) -> Vec<usize> {
        let of = |(at, word): (usize, &AtomicU64)| {
            let bits = if word.load(Relaxed) == 0 { 0 } else { word.swap(0, Relaxed) };
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        };
        self.0.iter().enumerate().flat_map(of).collect()
    }
}

/// The audience of a stripe.
#[derive(Default)]
struct Part {
    /// By the ids of the connections.
    watchers: HashMap<Name, BTreeMap<u64, Arc<Client>>>,
    waiting: HashMap<Name, Line>,
    /// Who has read a key, in whatever database.
    readers: HashMap<Box<[u8]>, Readers>,
    /// Who is loading a key that is missing or stale.
    leases: HashMap<Name, Lease>,
}

/// Who waits for a key, by what it is to hold and in the order of arrival.
#[derive(Default)]
struct Line {
    lists: VecDeque<Waiter>,
    zsets: VecDeque<Waiter>,
    streams: VecDeque<Waiter>,
    values: VecDeque<Waiter>,
    /// Those of `streams` that are told when the key goes.
    groups: usize,
}

#[derive(Clone)]
struct Waiter {
    arrival: u64,
    parked: Arc<Parked>,
}

impl Line {
    fn of(&self, what: Awaited) -> &VecDeque<Waiter> {
        match what {
            Awaited::List => &self.lists,
            Awaited::ZSet => &self.zsets,
            Awaited::Stream | Awaited::Group => &self.streams,
            Awaited::Value => &self.values,
        }
    }

    fn of_mut(&mut self, what: Awaited) -> &mut VecDeque<Waiter> {
        match what {
            Awaited::List => &mut self.lists,
            Awaited::ZSet => &mut self.zsets,
            Awaited::Stream | Awaited::Group => &mut self.streams,
            Awaited::Value => &mut self.values,
        }
    }

    fn is_empty(&self) -> bool {
        [&self.lists, &self.zsets, &self.streams, &self.values].iter().all(|line| line.is_empty())
    }

    fn join(&mut self, parked: &Arc<Parked>) {
        let line = self.of_mut(parked.what);
        // A key may be named twice.
        if line.back().is_none_or(|last| last.arrival != parked.arrival) {
            line.push_back(Waiter { arrival: parked.arrival, parked: parked.clone() });
            self.groups += usize::from(parked.what == Awaited::Group);
        }
    }

    fn leave(&mut self, parked: &Parked) {
        let line = self.of_mut(parked.what);
        if let Ok(at) = line.binary_search_by_key(&parked.arrival, |waiter| waiter.arrival) {
            line.remove(at);
            self.groups -= usize::from(parked.what == Awaited::Group);
        }
    }
}

/// The ids of connections that have read a key, in ascending order.
type Readers = Vec<u64>;

/// As many readers of a key may have left before those who have are looked for.
const READERS_UNCHECKED: usize = 16;

/// A key that somebody waits for, and that has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ready {
    pub stripe: usize,
    pub db: usize,
    pub key: Box<[u8]>,
}

/// Keys in the order in which they became ready, each once.
#[derive(Default)]
struct ReadyKeys {
    line: VecDeque<Ready>,
    known: HashSet<Ready>,
}

thread_local! {
    /// What the commands of this thread have made ready.
    static READY: RefCell<ReadyKeys> = RefCell::default();
}

/// Takes the next key that a command of this thread has made ready.
pub fn take_ready() -> Option<Ready> {
    READY.with_borrow_mut(|ready| {
        let next = ready.line.pop_front()?;
        ready.known.remove(&next);
        Some(next)
    })
}

/// Whether a command of this thread has made a key ready.
#[inline]
pub fn is_ready() -> bool {
    READY.with_borrow(|ready| !ready.line.is_empty())
}

/// Lets this thread serve who waits for a key once its command is done.
pub fn make_ready(stripe: usize, db: usize, key: &[u8]) {
    let key = Ready { stripe, db, key: key.into() };
    READY.with_borrow_mut(|ready| {
        if ready.known.insert(key.clone()) {
            ready.line.push_back(key);
        }
    });
}

impl Part {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.waiting.is_empty() && self.readers.is_empty() && self.leases.is_empty()
    }
}

impl Audience {
    pub fn new(stripes: usize) -> Audience {
        Audience {
            parts: (0..stripes).map(|_| Mutex::default()).collect(),
            arrivals: AtomicU64::new(0),
            tracked_keys: AtomicUsize::new(0),
            tracked_items: AtomicUsize::new(0),
            ended: Stripes((0..stripes.div_ceil(64)).map(|_| AtomicU64::new(0)).collect()),
        }
    }

    /// The number of the next who comes.
    pub fn arrive(&self) -> u64 {
        self.arrivals.fetch_add(1, Relaxed)
    }

    /// Lets a client hear of the next change to a key. Returns whether it did not before. The caller holds the stripe and
    /// lets it take notes.
    pub fn watch(&self, stripe: usize, db: usize, key: &[u8], client: &Arc<Client>) -> bool {
        let mut part = self.parts[stripe].lock();
        let watchers = part.watchers.entry((db, key.into())).or_default();
        watchers.insert(client.id, client.clone()).is_none()
    }

    /// Ends what [`Audience::watch`] began. The caller holds no stripe.
    pub fn unwatch(&self, store: &Store, stripe: usize, db: usize, key: &[u8], client: &Client) {
        let is_empty = {
            let mut part = self.parts[stripe].lock();
            if let Entry::Occupied(mut entry) = part.watchers.entry((db, key.into())) {
                entry.get_mut().remove(&client.id);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
            part.is_empty()
        };
        self.rest(store, stripe, is_empty);
    }

    /// Puts a command in the line of those that wait for a key. The caller holds the stripe and lets it take notes.
    pub fn wait(&self, stripe: usize, db: usize, key: &[u8], parked: &Arc<Parked>) {
        self.parts[stripe].lock().waiting.entry((db, key.into())).or_default().join(parked);
    }

    /// Whether anybody waits for a key to hold something. The caller holds the stripe.
    pub fn has_line(&self, stripe: usize, db: usize, key: &[u8], what: Awaited) -> bool {
        let part = self.parts[stripe].lock();
        !part.waiting.is_empty() && part.waiting.get(&(db, key.into())).is_some_and(|line| !line.of(what).is_empty())
    }

    /// Keys that somebody waits for, and those of them whose waiters are told when they are gone.
    pub fn waited_for(&self) -> (usize, usize) {
        self.parts.iter().fold((0, 0), |(all, groups), part| {
            let part = part.lock();
            let with_group = part.waiting.values().filter(|line| line.groups > 0).count();
            (all + part.waiting.len(), groups + with_group)
        })
    }

    /// Takes a command out of the line for a key. The caller holds no stripe.
    pub fn leave(&self, store: &Store, stripe: usize, db: usize, key: &[u8], parked: &Parked) {
        let is_empty = {
            let mut part = self.parts[stripe].lock();
            if let Entry::Occupied(mut entry) = part.waiting.entry((db, key.into())) {
                entry.get_mut().leave(parked);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
            part.is_empty()
        };
        self.rest(store, stripe, is_empty);
    }

    /// Lets a stripe take no more notes if nobody is left.
    fn rest(&self, store: &Store, stripe: usize, is_empty: bool) {
        if is_empty {
            // Somebody may have come since; the stripe's lock keeps others out while that is seen.
            store.heed_some(stripe, || !self.parts[stripe].lock().is_empty());
        }
    }

    /// Remembers that a client has read a key. The caller holds the stripe and lets it take notes.
    ///
    /// Beyond `keys_max` keys another key of the stripe is forgotten: it and its readers are returned, who must be told as
    /// if it had changed. Where the stripe has no other, [`Audience::forget_some`] will find one.
    ///
    /// Connections come and go, and a key may never change: each time its readers have become twice as many, those that
    /// `is_there` does not know any more are forgotten.
    pub fn remember(
        &self,
        stripe: usize,
        key: &[u8],
        client: u64,
        keys_max: usize,
        is_there: impl Fn(u64) -> bool,
    ) -> Option<Forgotten> {
        let mut part = self.parts[stripe].lock();
        if let Some(readers) = part.readers.get_mut(key) {
            let Err(mut at) = readers.binary_search(&client) else { return None };
            if readers.len() == readers.capacity() && readers.len() >= READERS_UNCHECKED {
                let before = readers.len();
                readers.retain(|reader| is_there(*reader));
                self.tracked_items.fetch_sub(before - readers.len(), Relaxed);
                at = readers.partition_point(|reader| *reader < client);
            }
            readers.insert(at, client);
            self.tracked_items.fetch_add(1, Relaxed);
            return None;
        }
        let is_full = keys_max > 0 && self.tracked_keys.load(Relaxed) >= keys_max;
        let forgotten = if is_full { self.forget_one(&mut part) } else { None };
        part.readers.insert(key.into(), vec![client]);
        self.tracked_keys.fetch_add(1, Relaxed);
        self.tracked_items.fetch_add(1, Relaxed);
        forgotten
    }

    /// Forgets a key of a part, whichever.
    fn forget_one(&self, part: &mut Part) -> Option<Forgotten> {
        let key = part.readers.keys().next()?.clone();
        let forgotten = part.readers.remove_entry(&key);
        self.count_forgotten(forgotten.iter().map(|(_, readers)| readers));
        forgotten
    }

    /// Forgets keys while there are more than `keys_max`, though not more than `most` at a time. Returns them with their
    /// readers, who must be told as if they had changed.
    pub fn forget_some(&self, keys_max: usize, most: usize) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        if keys_max == 0 || self.tracked_keys() <= keys_max {
            return forgotten;
        }
        for part in &self.parts {
            let mut part = part.lock();
            while forgotten.len() < most && self.tracked_keys() > keys_max {
                let Some(one) = self.forget_one(&mut part) else { break };
                forgotten.push(one);
            }
        }
        forgotten
    }

    fn count_forgotten<'a>(&self, readers: impl Iterator<Item = &'a Readers>) {
        for readers in readers {
            self.tracked_keys.fetch_sub(1, Relaxed);
            self.tracked_items.fetch_sub(readers.len(), Relaxed);
        }
    }

    /// Forgets what everybody has read.
    pub fn forget_tracked(&self) {
        for part in &self.parts {
            let readers = std::mem::take(&mut part.lock().readers);
            self.count_forgotten(readers.values());
        }
    }

    /// Keys that somebody has read.
    pub fn tracked_keys(&self) -> usize {
        self.tracked_keys.load(Relaxed)
    }

    /// How often keys are remembered in all.
    pub fn tracked_items(&self) -> usize {
        self.tracked_items.load(Relaxed)
    }

    /// Takes note of a change to a key, and returns who has read it. The caller holds the stripe.
    fn changed(&self, stripe: usize, db: usize, key: &[u8], how: How) -> Readers {
        let mut part = self.parts[stripe].lock();
        if part.is_empty() {
            return Vec::new();
        }
        let name = (db, key.into());
        let is_told_of_lease = matches!(how, How::Written | How::Removed | How::NotThere);
        let is_loaded = is_told_of_lease && part.leases.remove(&name).is_some();
        if is_loaded {
            self.ended.note(stripe);
        }
        if !matches!(how, How::GroupGone | How::NotThere)
            && let Some(clients) = part.watchers.get(&name)
        {
            clients.values().for_each(|client| client.break_watch());
        }
        if let Some(line) = part.waiting.get(&name)
            && (how == How::Written || line.groups > 0 && how != How::NotThere || is_loaded)
        {
            make_ready(stripe, db, key);
        }
        if matches!(how, How::GroupGone | How::NotThere) {
            return Vec::new();
        }
        let readers = part.readers.remove(key);
        self.count_forgotten(readers.iter());
        readers.unwrap_or_default()
    }

    /// Asks for the lease of a key. The caller holds the stripe, and lets it take notes if the lease is granted.
    pub fn ask_lease(&self, stripe: usize, db: usize, key: &[u8], who: u64, now_ms: u64, terms: &Terms) -> Verdict {
        let mut part = self.parts[stripe].lock();
        if let Some(lease) = part.leases.get_mut(&(db, key.into()) as &Name) {
            return lease.ask(who, now_ms, terms);
        }
        if part.leases.len() >= LEASES_MAX {
            part.leases.retain(|_, lease| !lease.is_past(now_ms));
            if part.leases.len() >= LEASES_MAX {
                return Verdict::Nil;
            }
        }
        part.leases.insert((db, key.into()), Lease::granted(who, now_ms, terms));
        // It may never be set.
        self.ended.note(stripe);
        Verdict::Granted
    }

    /// How long it has been since the lease of a key was granted, if somebody has it. The caller holds the stripe.
    pub fn lease_took_ms(&self, stripe: usize, db: usize, key: &[u8], now_ms: u64) -> Option<u64> {
        self.parts[stripe].lock().leases.get(&(db, key.into()) as &Name)?.took_ms(now_ms)
    }

    /// Whether a number is that of the lease of a key. The caller holds the stripe.
    pub fn is_lease(&self, stripe: usize, db: usize, key: &[u8], token: u64) -> bool {
        self.parts[stripe].lock().leases.get(&(db, key.into()) as &Name).is_some_and(|lease| lease.is(token))
    }

    /// Ends the lease of a connection that has gone, if it had it: the next who asks gets it, one that waits first.
    pub fn leave_lease(&self, stripe: usize, db: usize, key: &[u8], who: u64) -> bool {
        let mut part = self.parts[stripe].lock();
        let name: Name = (db, key.into());
        let was_its = part.leases.get_mut(&name).is_some_and(|lease| lease.left(who));
        if was_its && part.waiting.contains_key(&name) {
            make_ready(stripe, db, key);
        }
        was_its
    }

    /// Ends all leases for keys of some databases, which are others' from now on: what is being loaded for them may be wrong. Who waits
    /// for one asks anew. The caller holds the barrier.
    pub fn void_leases(&self, concerns: impl Fn(usize) -> bool) {
        for (stripe, part) in self.parts.iter().enumerate() {
            let mut part = part.lock();
            let before = part.leases.len();
            part.leases.retain(|(db, _), _| !concerns(*db));
            if part.leases.len() < before {
                self.ended.note(stripe);
            }
            let waits = |((db, _), line): &(&Name, &Line)| concerns(*db) && !line.values.is_empty();
            part.waiting.iter().filter(waits).for_each(|((db, key), _)| make_ready(stripe, *db, key));
        }
    }

    /// Forgets leases that are over, and lets stripes take no more notes in which nobody is left. The caller holds no stripe.
    pub fn tidy(&self, store: &Store, now_ms: u64) {
        for stripe in self.ended.take() {
            let (is_empty, has_leases) = {
                let mut part = self.parts[stripe].lock();
                part.leases.retain(|_, lease| !lease.is_over(now_ms));
                (part.is_empty(), !part.leases.is_empty())
            };
            self.rest(store, stripe, is_empty);
            if has_leases {
                self.ended.note(stripe);
            }
        }
    }

    /// The first who waits for a key to hold something and came after `arrival`.
    pub fn next(&self, ready: &Ready, what: Awaited, after: Option<u64>) -> Option<Arc<Parked>> {
        let part = self.parts[ready.stripe].lock();
        let line = part.waiting.get(&(ready.db, ready.key.clone()))?.of(what);
        let from = after.map_or(0, |after| line.partition_point(|waiter| waiter.arrival <= after));
        Some(line.get(from)?.parked.clone())
    }

    /// Tells all who watch keys of some databases that these may have changed, and makes the keys ready for who waits:
    /// their databases were emptied, or exchanged. The caller holds the barrier.
    ///
    /// `changed` says of a database and a key whether they have.
    pub fn all_changed(&self, changed: impl Fn(usize, &[u8]) -> bool) {
        for (stripe, part) in self.parts.iter().enumerate() {
            // `changed` may need the stripe, whose lock comes before the part's.
            let names: Vec<Name> = {
                let part = part.lock();
                part.watchers.keys().chain(part.waiting.keys()).cloned().collect()
            };
            for (db, key) in names.into_iter().filter(|(db, key)| changed(*db, key)) {
                make_ready(stripe, db, &key);
                if let Some(clients) = part.lock().watchers.get(&(db, key)) {
                    clients.values().for_each(|client| client.break_watch());
                }
            }
        }
    }

    /// All commands that wait, each once.
    pub fn all_waiting(&self) -> Vec<Arc<Parked>> {
        let mut all = BTreeMap::new();
        for part in &self.parts {
            let part = part.lock();
            let lines = part.waiting.values().flat_map(|line| [&line.lists, &line.zsets, &line.streams, &line.values]);
            all.extend(lines.flatten().map(|waiter| (waiter.arrival, waiter.parked.clone())));
        }
        all.into_values().collect()
    }

    /// Tells all who watch some keys that these may have changed. The caller holds the barrier.
    pub fn break_watches(&self, concerns: &impl Fn(&[u8]) -> bool) {
        for part in &self.parts {
            let part = part.lock();
            let watchers = part.watchers.iter().filter(|((_, key), _)| concerns(key));
            watchers.flat_map(|(_, clients)| clients.values()).for_each(|client| client.break_watch());
        }
    }

    /// Forgets who has read some keys. Returns these with their readers, who must be told as if they had changed.
    pub fn forget_keys(&self, concerns: &impl Fn(&[u8]) -> bool) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        for part in &self.parts {
            forgotten.extend(part.lock().readers.extract_if(|key, _| concerns(key)));
        }
        self.count_forgotten(forgotten.iter().map(|(_, readers)| readers));
        forgotten
    }

    /// Lets who waits for keys of one database wait for those of another, and the other way round, as `SWAPDB` does: they
    /// mean the number. The caller holds the barrier.
    pub fn swap(&self, one: usize, other: usize) {
        let swapped = |db: usize| match db {
            db if db == one => other,
            db if db == other => one,
            db => db,
        };
        for part in &self.parts {
            let mut part = part.lock();
            part.watchers = part.watchers.drain().map(|((db, key), who)| ((swapped(db), key), who)).collect();
            part.waiting = part.waiting.drain().map(|((db, key), who)| ((swapped(db), key), who)).collect();
        }
    }
}

/// The node as the store sees it.
pub struct Ear(pub Weak<Shared>);

impl Listener for Ear {
    fn hear(&self, stripe: usize, by: u64, news: &mut Vec<News>) {
        let Some(node) = self.0.upgrade() else { return };
        for mut one in news.drain(..) {
            let physical = one.db;
            node.warm.note_touched(&node.store, by, physical, &one.key);
            one.db = node.store.logical(physical);
            node.replication.note_gone(&node.store, stripe, one.db, &one);
            let News { key, how, .. } = one;
            let db = physical;
            let told = node.audience.changed(stripe, db, &key, how);
            told.iter().for_each(|id| node.tell_changed(*id, Some(&key), by));
            if !matches!(how, How::GroupGone | How::NotThere) {
                node.broadcast_change(&key, by);
            }
            let db = node.store.logical(db);
            match how {
                How::Outdated { .. } => node.key_event(Class::Expired, "expired", db, &key),
                How::Invalidated => node.key_event(Class::Generic, "del", db, &key),
                How::Expired => node.key_event(Class::Expired, "expired", db, &key),
                How::Evicted => node.key_event(Class::Evicted, "evicted", db, &key),
                How::FieldsExpired { is_last } => {
                    node.key_event(Class::Hash, "hexpired", db, &key);
                    if is_last {
                        node.key_event(Class::Generic, "del", db, &key);
                    }
                }
                How::Written | How::Removed | How::NotThere | How::GroupGone => {}
            }
        }
    }
}
