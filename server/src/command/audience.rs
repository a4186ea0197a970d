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
use crate::store::{How, Listener, News, Store};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// A key of a database, given by its physical number, which `SWAPDB` does not change.
type Name = (usize, Box<[u8]>);

/// The audience of all stripes.
pub struct Audience {
    parts: Box<[Mutex<Part>]>,
    /// Arrivals so far, by which the waiting are served.
    arrivals: AtomicU64,
    /// Keys that somebody has read, and how often they are remembered in all.
    tracked_keys: AtomicUsize,
    tracked_items: AtomicUsize,
}

/// The audience of a stripe.
#[derive(Default)]
struct Part {
    watchers: HashMap<Name, Vec<Arc<Client>>>,
    waiting: HashMap<Name, VecDeque<Waiter>>,
    /// Who has read a key, in whatever database.
    readers: HashMap<Box<[u8]>, Vec<u64>>,
}

#[derive(Clone)]
struct Waiter {
    arrival: u64,
    parked: Arc<Parked>,
}

/// A key that somebody waits for, and that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    pub stripe: usize,
    pub db: usize,
    pub key: Box<[u8]>,
}

thread_local! {
    /// What the commands of this thread have made ready.
    static READY: RefCell<VecDeque<Ready>> = const { RefCell::new(VecDeque::new()) };
}

/// Takes the next key that a command of this thread has made ready.
pub fn take_ready() -> Option<Ready> {
    READY.with_borrow_mut(VecDeque::pop_front)
}

/// Whether a command of this thread has made a key ready.
#[inline]
pub fn is_ready() -> bool {
    READY.with_borrow(|ready| !ready.is_empty())
}

fn make_ready(stripe: usize, db: usize, key: &[u8]) {
    READY.with_borrow_mut(|ready| {
        let known = ready.iter().any(|ready| ready.stripe == stripe && ready.db == db && *ready.key == *key);
        if !known {
            ready.push_back(Ready { stripe, db, key: key.into() });
        }
    });
}

impl Part {
    fn is_empty(&self) -> bool {
        self.watchers.is_empty() && self.waiting.is_empty() && self.readers.is_empty()
    }
}

impl Audience {
    pub fn new(stripes: usize) -> Audience {
        Audience {
            parts: (0..stripes).map(|_| Mutex::default()).collect(),
            arrivals: AtomicU64::new(0),
            tracked_keys: AtomicUsize::new(0),
            tracked_items: AtomicUsize::new(0),
        }
    }

    /// The number of the next who comes.
    pub fn arrive(&self) -> u64 {
        self.arrivals.fetch_add(1, Relaxed)
    }

    /// Lets a client hear of the next change to a key. The caller holds the stripe and lets it take notes.
    pub fn watch(&self, stripe: usize, db: usize, key: &[u8], client: &Arc<Client>) {
        self.parts[stripe].lock().watchers.entry((db, key.into())).or_default().push(client.clone());
    }

    /// Ends what [`Audience::watch`] began. The caller holds no stripe.
    pub fn unwatch(&self, store: &Store, stripe: usize, db: usize, key: &[u8], client: &Client) {
        let is_empty = {
            let mut part = self.parts[stripe].lock();
            if let Entry::Occupied(mut entry) = part.watchers.entry((db, key.into())) {
                entry.get_mut().retain(|other| other.id != client.id);
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
            part.is_empty()
        };
        self.rest(store, stripe, is_empty);
    }

    /// Puts a command in the line of those that wait for a key. The caller holds the stripe and lets it take notes.
    pub fn wait(&self, stripe: usize, db: usize, key: &[u8], arrival: u64, parked: &Arc<Parked>) {
        let mut part = self.parts[stripe].lock();
        let line = part.waiting.entry((db, key.into())).or_default();
        // A key may be named twice.
        if line.back().is_none_or(|last| last.arrival != arrival) {
            line.push_back(Waiter { arrival, parked: parked.clone() });
        }
    }

    /// Takes a command out of the line for a key. The caller holds no stripe.
    pub fn leave(&self, store: &Store, stripe: usize, db: usize, key: &[u8], parked: &Arc<Parked>) {
        let is_empty = {
            let mut part = self.parts[stripe].lock();
            if let Entry::Occupied(mut entry) = part.waiting.entry((db, key.into())) {
                entry.get_mut().retain(|waiter| !Arc::ptr_eq(&waiter.parked, parked));
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
    /// if it had changed.
    pub fn remember(&self, stripe: usize, key: &[u8], client: u64, keys_max: usize) -> Option<(Box<[u8]>, Vec<u64>)> {
        let mut part = self.parts[stripe].lock();
        if let Some(readers) = part.readers.get_mut(key) {
            if !readers.contains(&client) {
                readers.push(client);
                self.tracked_items.fetch_add(1, Relaxed);
            }
            return None;
        }
        let mut forgotten = None;
        if keys_max > 0
            && self.tracked_keys.load(Relaxed) >= keys_max
            && let Some(other) = part.readers.keys().next().cloned()
        {
            forgotten = part.readers.remove_entry(&other);
            self.count_forgotten(forgotten.iter().map(|(_, readers)| readers));
        }
        part.readers.insert(key.into(), vec![client]);
        self.tracked_keys.fetch_add(1, Relaxed);
        self.tracked_items.fetch_add(1, Relaxed);
        forgotten
    }

    fn count_forgotten<'a>(&self, readers: impl Iterator<Item = &'a Vec<u64>>) {
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
    fn changed(&self, stripe: usize, db: usize, key: &[u8], how: How) -> Vec<u64> {
        let mut part = self.parts[stripe].lock();
        if part.is_empty() {
            return Vec::new();
        }
        let name = (db, key.into());
        if let Some(clients) = part.watchers.get(&name) {
            clients.iter().for_each(|client| client.break_watch());
        }
        if let Some(line) = part.waiting.get(&name)
            && (how == How::Written || line.iter().any(|waiter| waiter.parked.what == Awaited::Group))
        {
            make_ready(stripe, db, key);
        }
        let readers = part.readers.remove(key);
        self.count_forgotten(readers.iter());
        readers.unwrap_or_default()
    }

    /// The first who waits for a key and came after `arrival`, of those that `wants`, with the number of its arrival.
    pub fn next(
        &self,
        ready: &Ready,
        after: Option<u64>,
        wants: impl Fn(Awaited) -> bool,
    ) -> Option<(u64, Arc<Parked>)> {
        let part = self.parts[ready.stripe].lock();
        let line = part.waiting.get(&(ready.db, ready.key.clone()))?;
        let from = after.map_or(0, |after| line.partition_point(|waiter| waiter.arrival <= after));
        let waiter = line.iter().skip(from).find(|waiter| wants(waiter.parked.what))?;
        Some((waiter.arrival, waiter.parked.clone()))
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
                    clients.iter().for_each(|client| client.break_watch());
                }
            }
        }
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
        for News { db, key, how } in news.drain(..) {
            let told = node.audience.changed(stripe, db, &key, how);
            told.iter().for_each(|id| node.tell_changed(*id, Some(&key), by));
            node.broadcast_change(&key, by);
            let db = node.store.logical(db);
            match how {
                How::Expired => node.key_event(Class::Expired, "expired", db, &key),
                How::Evicted => node.key_event(Class::Evicted, "evicted", db, &key),
                How::FieldsExpired { is_last } => {
                    node.key_event(Class::Hash, "hexpired", db, &key);
                    if is_last {
                        node.key_event(Class::Generic, "del", db, &key);
                    }
                }
                How::Written | How::Removed => {}
            }
        }
    }
}
