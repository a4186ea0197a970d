//! Warm starts: a list of the hottest keys is written again and again ([`list`]), and loaded when the node starts ([`preload`]).
//!
//! The list is an RDB file with the hottest keys first. What it says is as old as the list, so it is loaded only where nobody can know
//! better: by a node that leads and has no replicas, for keys that nobody has written or deleted since the node started.
//!
//! One thread does both. A node whose setting `warm` is off has no such thread, and pays for all of this the look at one flag where it
//! tells of changes that somebody has asked for.

pub mod list;
pub mod preload;
#[cfg(test)]
mod tests;

use super::shared::Shared;
use crate::observe::process;
use crate::store::Store;
use list::Listed;
use parking_lot::{Condvar, Mutex, RwLock};
use preload::{Progress, Touched};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The name of the list in the data folder.
pub const FILE: &str = "hot.rdb";

/// Keys that can be put at the head of the list.
pub const PINNED_MAX: usize = 10_000;

/// How often the thread looks for something to do.
const LOOK: Duration = Duration::from_secs(1);

/// For so many times the CPU time that the last list took, none is written: a hundredth of a core.
const REST_FACTOR: u32 = 100;

/// A list that took more CPU time than this is not written once more when the node stops, so that whoever stops it need not wait.
const LAST_MAX: Duration = Duration::from_secs(3);

/// What the thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The setting `warm` is off.
    Off,
    /// The list will be loaded once the node knows what it has from elsewhere, and whether it leads.
    Waiting,
    Loading,
    /// The list is written now and then.
    On,
}

impl Phase {
    const ALL: [Phase; 4] = [Phase::Off, Phase::Waiting, Phase::Loading, Phase::On];

    fn name(self) -> &'static str {
        match self {
            Phase::Off => "off",
            Phase::Waiting => "waiting",
            Phase::Loading => "warming",
            Phase::On => "on",
        }
    }
}

/// A key of a database, by the number that clients know.
type Name = (usize, Box<[u8]>);

/// What is known of hot keys.
pub struct Warm {
    phase: AtomicU8,
    /// Whether changes are noted because a list is to be loaded, and whether clients wait for that.
    is_preloading: AtomicBool,
    holds_clients: AtomicBool,
    /// Whether the node has from its snapshot what it will have, and when that was made, in seconds since 1970 or 0.
    is_restored: AtomicBool,
    snapshot_s: AtomicU64,
    touched: RwLock<Option<Touched>>,
    progress: Progress,
    /// How often databases were emptied or exchanged as a whole: no list from before such a time is loaded.
    emptied: AtomicU64,
    listed: Mutex<Listed>,
    pinned: Mutex<Vec<Name>>,
    asked: Mutex<Asked>,
    bell: Condvar,
    is_over: AtomicBool,
}

/// Lists that somebody has asked for, and how many of these have been written or could not be.
#[derive(Default)]
struct Asked {
    wanted: u64,
    done: u64,
}

impl Warm {
    pub fn new(is_on: bool) -> Warm {
        Warm {
            phase: AtomicU8::new(if is_on { Phase::On } else { Phase::Off } as u8),
            is_preloading: AtomicBool::new(false),
            holds_clients: AtomicBool::new(false),
            is_restored: AtomicBool::new(false),
            snapshot_s: AtomicU64::new(0),
            touched: RwLock::default(),
            progress: Progress::default(),
            emptied: AtomicU64::new(0),
            listed: Mutex::default(),
            pinned: Mutex::default(),
            asked: Mutex::default(),
            bell: Condvar::new(),
            is_over: AtomicBool::new(false),
        }
    }

    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Relaxed))]
    }

    fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Whether lists are written and loaded.
    pub fn is_on(&self) -> bool {
        self.phase() != Phase::Off
    }

    /// Whether a list is being loaded, or will be.
    #[inline]
    pub fn is_preloading(&self) -> bool {
        self.is_preloading.load(Relaxed)
    }

    /// Whether clients have to wait until the list is loaded.
    pub fn holds_clients(&self) -> bool {
        self.holds_clients.load(Relaxed)
    }

    /// Says that the snapshot is loaded, if there was one, and when it was begun, in seconds since 1970.
    pub fn set_restored(&self, made_s: Option<u64>) {
        self.snapshot_s.store(made_s.unwrap_or(0), Relaxed);
        self.is_restored.store(true, Relaxed);
    }

    /// Notes a change to a key, given by the physical number of its database: what the list says of the key does not count any more.
    /// The caller holds the key's stripe.
    #[inline]
    pub fn note_touched(&self, store: &Store, by: u64, db: usize, key: &[u8]) {
        if self.is_preloading()
            && by != preload::BY
            && let Some(touched) = &*self.touched.read()
        {
            touched.note(db, store.place(key));
        }
    }

    /// Notes that a database was emptied or exchanged as a whole.
    pub fn note_emptied(&self) {
        self.emptied.fetch_add(1, Relaxed);
    }

    /// Puts keys at the head of the lists to come, in place of the oldest of those that were put there before if there are too many.
    pub fn pin(&self, db: usize, keys: impl Iterator<Item = Box<[u8]>>) {
        let mut pinned = self.pinned.lock();
        for key in keys {
            pinned.retain(|other| *other != (db, key.clone()));
            pinned.push((db, key));
        }
        let excess = pinned.len().saturating_sub(PINNED_MAX);
        pinned.drain(..excess);
    }

    /// Asks for a list. Returns a number for [`Warm::is_written`].
    pub fn ask(&self) -> u64 {
        let mut asked = self.asked.lock();
        asked.wanted += 1;
        self.bell.notify_all();
        asked.wanted
    }

    /// Whether a list that was asked for has been written, or could not be.
    pub fn is_written(&self, number: u64) -> bool {
        self.asked.lock().done >= number
    }

    /// What became of the last list.
    pub fn listed(&self) -> Listed {
        self.listed.lock().clone()
    }

    /// Wakes the thread: the node stops.
    pub fn wake(&self) {
        let _asked = self.asked.lock();
        self.bell.notify_all();
    }

    /// Waits until somebody asks for a list, or the node stops, or for so long. Returns the number up to which lists were asked for,
    /// if any was.
    fn wait(&self, node: &Shared, time: Duration) -> Option<u64> {
        let mut asked = self.asked.lock();
        // Whoever stops the node says so before he wakes the thread, under this lock.
        if asked.wanted == asked.done && !node.is_stopping() {
            self.bell.wait_for(&mut asked, time);
        }
        (asked.wanted > asked.done).then_some(asked.wanted)
    }

    /// What `INFO` and `CACHE.WARM STATUS` tell: names and values.
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let mut told = vec![("state", self.phase().name().to_owned())];
        if self.is_on() {
            told.extend(self.progress.told());
            told.extend(self.listed().told());
            told.push(("pinned", self.pinned.lock().len().to_string()));
        }
        told
    }
}

impl Shared {
    /// Whether the node keeps a list: if it leads, and nobody has what it has. `is_last` is after all threads have ended, when no
    /// lease is renewed any more.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn keeps_list(&self, is_last: bool) -> Result<(), &'static str> {
        if !self.warm.is_on() {
            return Err("warm is off; it is a setting that a node is started with");
        }
        if self.store.follows() {
            return Err("a replica keeps no list of hot keys, as it gets its primary's data");
        }
        if !self.cluster.is_on() {
            return Ok(());
        }
        let view = self.cluster.view();
        match view.own_shard() {
            None => Err("the node has no part in the cluster"),
            // One of them leads by the time that the node is back, and may know better than any list.
            Some(shard) if shard.members().count() > 1 => {
                Err("the shard has replicas, from whom its data comes back; lists are for nodes without")
            }
            Some(_) if view.is_primary && (is_last || self.cluster.holds_lease(&view)) => Ok(()),
            Some(_) => Err("the node does not lead its shard"),
        }
    }

    /// Of whom a list is: one of another node, or of another shard, says nothing of what belongs here.
    fn list_owner(&self) -> String {
        let view = self.cluster.view();
        match (self.cluster.me(), view.shard) {
            (Some(me), Some(shard)) => format!("{me} in shard {shard}"),
            (Some(me), None) => me.to_string(),
            (None, _) => "a node by itself".to_owned(),
        }
    }

    /// Writes the last list, once all connections and workers are over.
    pub fn list_last(&self) {
        // One that is not loaded yet still stands, and says more than what there is.
        let is_due = self.warm.phase() == Phase::On && !self.warm.is_over.swap(true, Relaxed);
        let is_short = self.warm.listed().cpu <= LAST_MAX;
        if is_due && is_short && self.keeps_list(true).is_ok() {
            self.list_keys(Path::new(FILE), false);
        }
    }
}

/// Loads the list that is there, then writes one now and then, until the node stops.
pub fn run(node: &Arc<Shared>) {
    preload::run(node, Path::new(FILE));
    // From here on whoever waits for an answer goes first; before, most would have to wait for the database.
    process::be_modest();
    let mut keeper = Keeper { due: Instant::now(), seen: 0, emptied: node.warm.emptied.load(Relaxed) };
    if let Some(every) = node.live.config().warm_every {
        keeper.due += every;
    }
    while !node.is_stopping() {
        let asked = node.warm.wait(node, LOOK);
        if !node.is_stopping() {
            keeper.look(node, asked);
        }
    }
}

/// What the thread goes by.
struct Keeper {
    /// When the next list is due.
    due: Instant,
    /// Reads and changes so far when the last was begun: without any, it is as good as a new one.
    seen: u64,
    emptied: u64,
}

impl Keeper {
    fn look(&mut self, node: &Shared, asked: Option<u64>) {
        let is_kept = node.keeps_list(false).is_ok();
        let emptied = node.warm.emptied.load(Relaxed);
        if !is_kept && !is_between_leases(node) || emptied != self.emptied {
            list::remove(Path::new(FILE), "the data is another now, or others have it");
            self.emptied = emptied;
            self.seen = 0;
        }
        let every = node.live.config().warm_every;
        let is_due = every.is_some() && Instant::now() >= self.due;
        if is_kept && (asked.is_some() || is_due && self.is_news(node)) {
            let cpu = node.list_keys(Path::new(FILE), true);
            self.due = Instant::now() + every.unwrap_or_default().max(cpu * REST_FACTOR);
        }
        if let Some(number) = asked {
            node.warm.asked.lock().done = number;
        }
    }

    /// Whether keys were asked for or changed since the last list.
    fn is_news(&mut self, node: &Shared) -> bool {
        let counters = node.store.totals().counters;
        let seen = counters.hits.wrapping_add(counters.misses).wrapping_add(counters.changes);
        seen != std::mem::replace(&mut self.seen, seen)
    }
}

/// Whether a node of a cluster keeps no list only for the moment: it leads, alone in its shard, without a lease.
fn is_between_leases(node: &Shared) -> bool {
    node.keeps_list(true).is_ok()
}
