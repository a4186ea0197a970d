//! Loading the list of the hottest keys when the node starts, the hottest first, while clients are served or wait.
//!
//! The list is older than the node, so whatever clients have done since counts more. Stripes note what changes until the list is
//! loaded, and a key that was written or deleted meanwhile is passed over, whether it is there or not: a client that deletes a key which is
//! not there yet says that what the list has for it is wrong.

use super::super::loading::{self, LoadFailed, put_aside};
use super::super::shared::{Shared, now_ms};
use super::{Phase, list};
use crate::command::cache::SINCE_THE_START;
use crate::command::cluster::Serving;
use crate::config::Config;
use crate::persist::rdb::file::{Entry, FileReader, Step};
use crate::persist::rdb::file_write::{TOLD_TAGS, tags_of};
use crate::persist::rdb::{self, Value};
use crate::store::hash::Place;
use crate::store::{DATABASES, Moment, TagList};
use crate::types::object::Object;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// By whom stripes are told that what is loaded was changed: no client has this number.
pub const BY: u64 = u64::MAX;

/// Bytes of the file that are read at a time, and keys and bytes of them that are put into the store at a time.
const READ_BYTES: usize = 256 * 1024;
const KEYS_AT_ONCE: usize = 32;
const BYTES_AT_ONCE: u64 = 256 * 1024;

/// How often the log tells how far it is, and how often it is looked at what the node has and whether it leads.
const TOLD_EVERY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// What is kept free of the memory limit, as a part of it: what clients ask for is to find room.
const FREE_SHARE: u64 = 16;

/// Keys that were changed, as bits by their hashes. Some others share their bits, and are passed over as well.
pub(super) struct Touched(Box<[AtomicU64]>);

/// Bits: a mebibyte of them. A hundred thousand keys that were changed take one in eighty of the others along.
const TOUCHED_BITS: u64 = 1 << 23;

impl Touched {
    fn new() -> Touched {
        Touched((0..TOUCHED_BITS / 64).map(|_| AtomicU64::new(0)).collect())
    }

    pub fn note(&self, db: usize, place: Place) {
        let (word, bit) = Touched::at(db, place);
        self.0[word].fetch_or(bit, Relaxed);
    }

    fn has(&self, db: usize, place: Place) -> bool {
        let (word, bit) = Touched::at(db, place);
        self.0[word].load(Relaxed) & bit != 0
    }

    fn at(db: usize, place: Place) -> (usize, u64) {
        // Databases have the same keys, perhaps; an odd factor keeps these apart.
        let number = place.hash.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(db as u64)) % TOUCHED_BITS;
        ((number / 64) as usize, 1 << (number % 64))
    }
}

/// How far it is.
#[derive(Default)]
pub(super) struct Progress {
    keys_total: AtomicU64,
    keys: AtomicU64,
    bytes: AtomicU64,
    loaded: AtomicU64,
    expired: AtomicU64,
    passed_over: AtomicU64,
    took_ms: AtomicU64,
    /// How it ended.
    end: Mutex<String>,
}

impl Progress {
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let number = |number: &AtomicU64| number.load(Relaxed).to_string();
        let end = self.end.lock().clone();
        vec![
            ("preload", if end.is_empty() { "none".to_owned() } else { end }),
            ("preload-keys-total", number(&self.keys_total)),
            ("preload-keys", number(&self.keys)),
            ("preload-bytes", number(&self.bytes)),
            ("preload-loaded", number(&self.loaded)),
            ("preload-expired", number(&self.expired)),
            ("preload-passed-over", number(&self.passed_over)),
            ("preload-ms", number(&self.took_ms)),
        ]
    }
}

/// Why a list is not loaded, or not to its end.
enum Unloaded {
    /// There is nothing wrong with it, but it is not to be loaded, or no longer.
    Refused(String),
    /// It is no list.
    Foreign,
    Failed(LoadFailed),
}

impl From<LoadFailed> for Unloaded {
    fn from(failed: LoadFailed) -> Unloaded {
        Unloaded::Failed(failed)
    }
}

fn refused(why: impl Into<String>) -> Unloaded {
    Unloaded::Refused(why.into())
}

/// What a list tells of itself.
#[derive(Default)]
struct Head {
    is_list: bool,
    made_ms: u64,
    owner: String,
    keys: u64,
    /// Keys that are only named.
    names: u64,
}

impl Head {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        let Ok(name) = std::str::from_utf8(name) else { return };
        match name {
            list::MARK => self.is_list = text == "1",
            list::MADE_MS => self.made_ms = text.parse().unwrap_or(0),
            list::OWNER => self.owner = text.into_owned(),
            name if name.starts_with(list::NAME) => self.names += 1,
            _ => {}
        }
    }
}

/// Decides, before any client is served, whether a list is to be loaded; from then on changes are noted. `loads` says whether what is
/// in the data folder may be loaded at all.
pub fn prepare(node: &Shared, config: &Config, loads: bool, path: &Path) {
    // Who names a snapshot wants what is in there.
    let is_wanted = loads && config.warm && config.load.is_none() && config.primary().is_none();
    if !is_wanted || !path.exists() {
        return;
    }
    node.warm.set_phase(Phase::Waiting);
    *node.warm.touched.write() = Some(Touched::new());
    node.warm.is_preloading.store(true, Relaxed);
    node.heed();
    if !config.serve_while_warming && !node.cluster.is_on() {
        node.warm.holds_clients.store(true, Relaxed);
        node.loading.begin();
    }
}

/// Loads the list, if [`prepare`] has found that it is to be.
pub(super) fn run(node: &Shared, path: &Path) {
    if !node.warm.is_preloading() {
        return;
    }
    let began = Instant::now();
    let result = load(node, path);
    let progress = &node.warm.progress;
    progress.took_ms.store(began.elapsed().as_millis() as u64, Relaxed);
    let [keys, loaded, expired, passed_over] =
        [&progress.keys, &progress.loaded, &progress.expired, &progress.passed_over].map(|number| number.load(Relaxed));
    let told = match &result {
        Ok(()) => "done".to_owned(),
        Err(Unloaded::Refused(why)) => why.clone(),
        Err(Unloaded::Foreign) => format!("{} is no list of hot keys", path.display()),
        Err(Unloaded::Failed(LoadFailed::Unreadable(why))) => format!("cannot read {}: {why}", path.display()),
        Err(Unloaded::Failed(why)) => format!("{} is damaged: {why}", path.display()),
    };
    let seconds = began.elapsed().as_secs_f64();
    match result {
        Ok(()) => tracing::info!(keys, loaded, expired, passed_over, seconds, "warm: the hottest keys are loaded"),
        Err(Unloaded::Refused(why)) => {
            tracing::info!(keys, loaded, expired, passed_over, "not all hot keys are loaded: {why}")
        }
        // The next list takes its name.
        Err(Unloaded::Foreign | Unloaded::Failed(LoadFailed::Corrupt(_))) => match put_aside(path) {
            Ok(aside) => tracing::warn!("the node starts cold: {told}; the file is now {}", aside.display()),
            Err(error) => tracing::warn!("the node starts cold: {told}; it cannot be put out of the way: {error}"),
        },
        Err(Unloaded::Failed(_)) => tracing::warn!("the node starts cold: {told}"),
    }
    *progress.end.lock() = told;
    node.warm.is_preloading.store(false, Relaxed);
    // A worker may be about to say that changes are to be noted for somebody else.
    node.barrier.alone(|| node.heed());
    *node.warm.touched.write() = None;
    if node.is_stopping() {
        // Clients wait to the end, as the snapshot may be damaged; and the old list says more than what there is.
        return;
    }
    if node.live.config().warm_every.is_none() {
        // It gets older from here on, and no other takes its place before the node stops: one that is killed is to start cold.
        list::remove(path, "it is loaded, and written when the node stops (warm-every 0)");
    }
    if node.warm.holds_clients.swap(false, Relaxed) {
        node.loading.end();
    }
    node.warm.set_phase(Phase::On);
}

fn load(node: &Shared, path: &Path) -> Result<(), Unloaded> {
    let mut file = File::open(path).map_err(LoadFailed::Unreadable)?;
    let head = look_through(node, &mut file)?;
    node.warm.progress.keys_total.store(head.keys, Relaxed);
    is_fresh(node, &head)?;
    while !node.warm.is_restored.load(Relaxed) {
        rest(node)?;
    }
    if node.warm.snapshot_s.load(Relaxed) >= head.made_ms / 1000 {
        return Err(refused("the snapshot is as new as the list, and what it does not have is gone for a reason"));
    }
    await_lead(node)?;
    if head.owner != node.list_owner() {
        return Err(refused(format!("the list is of {}, and this is {}", head.owner, node.list_owner())));
    }
    if head.keys == 0 {
        return Err(refused(format!("the list has {} names without values (warm-values)", head.names)));
    }
    node.warm.set_phase(Phase::Loading);
    tracing::info!(keys = head.keys, "warming: the hottest keys are loaded");
    file.rewind().map_err(LoadFailed::Unreadable)?;
    let mut batch = Batch::default();
    let mut tags = TagList::new();
    let mut told = Instant::now();
    read(node, &mut file, |step| {
        match step {
            Step::Aux { name, value } if name == TOLD_TAGS.as_bytes() => tags = tags_of(&value),
            Step::Entry(entry) => batch.add(node, entry, std::mem::take(&mut tags))?,
            Step::End(_) => batch.put(node)?,
            _ => {}
        }
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let keys = node.warm.progress.keys.load(Relaxed);
            tracing::info!("warming: {:.0} %, {keys} of {} keys", keys as f64 * 100.0 / head.keys as f64, head.keys);
        }
        Ok(())
    })
}

/// Reads the whole file without putting anything anywhere: nothing of a damaged one is to be served.
fn look_through(node: &Shared, file: &mut File) -> Result<Head, Unloaded> {
    let mut head = Head::default();
    read(node, file, |step| {
        match step {
            Step::Aux { name, value } => head.note(&name, &value),
            // The head is over; a file that is no list may be large.
            Step::Entry(_) if !head.is_list => return Err(Unloaded::Foreign),
            Step::Entry(_) => head.keys += 1,
            _ => {}
        }
        Ok(())
    })?;
    if head.is_list { Ok(head) } else { Err(Unloaded::Foreign) }
}

fn is_fresh(node: &Shared, head: &Head) -> Result<(), Unloaded> {
    let age = Duration::from_millis(now_ms().saturating_sub(head.made_ms));
    match node.live.config().warm_age_max {
        Some(max) if age > max => {
            Err(refused(format!("the list is {} s old, and warm-age-max is {} s", age.as_secs(), max.as_secs())))
        }
        _ => Ok(()),
    }
}

/// Waits until it is known whether the node leads, and whether others have what it has.
fn await_lead(node: &Shared) -> Result<(), Unloaded> {
    let is_unknown = || {
        let view = node.cluster.view();
        let is_alone = view.own_shard().is_none_or(|shard| shard.members().count() == 1);
        node.cluster.is_on() && is_alone && !node.cluster.holds_lease(&view)
    };
    while is_unknown() {
        // A replica is told soon that it is one.
        if node.store.follows() {
            break;
        }
        rest(node)?;
    }
    node.keeps_list(false).map_err(refused)
}

fn rest(node: &Shared) -> Result<(), Unloaded> {
    if node.is_stopping() {
        return Err(refused("the node stops"));
    }
    std::thread::sleep(LOOK);
    Ok(())
}

/// Reads a list to its end, and gives each step of it to `take`.
fn read(node: &Shared, file: &mut File, mut take: impl FnMut(Step) -> Result<(), Unloaded>) -> Result<(), Unloaded> {
    let mut reader = FileReader::new(node.limits.of_loaded());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let step = reader.next().map_err(LoadFailed::Corrupt)?;
        let (needs_more, is_over) = (matches!(step, Step::NeedMore), matches!(step, Step::End(_)));
        take(step)?;
        if is_over {
            return Ok(());
        }
        if needs_more {
            if node.is_stopping() {
                return Err(refused("the node stops"));
            }
            let read = file.read(&mut buffer).map_err(LoadFailed::Unreadable)?;
            if read == 0 {
                return reader.end_of_input().map(drop).map_err(|error| LoadFailed::Corrupt(error).into());
            }
            reader.feed(&buffer[..read]);
        }
    }
}

/// Keys that are put into the store together.
#[derive(Default)]
struct Batch {
    entries: Vec<(Entry, TagList)>,
    bytes: u64,
}

impl Batch {
    fn add(&mut self, node: &Shared, entry: Entry, tags: TagList) -> Result<(), Unloaded> {
        self.bytes += entry.bytes;
        self.entries.push((entry, tags));
        if self.entries.len() < KEYS_AT_ONCE && self.bytes < BYTES_AT_ONCE { Ok(()) } else { self.put(node) }
    }

    fn put(&mut self, node: &Shared) -> Result<(), Unloaded> {
        let (entries, bytes) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.bytes));
        // What the node is cannot change while this is in a gate, nor can another topology be installed.
        node.on_duty(node.warm_number(), |moment| {
            if node.warm.emptied.load(Relaxed) > 0 {
                return Err(refused("a database was emptied or exchanged meanwhile"));
            }
            node.keeps_list(false).map_err(refused)?;
            let limit = node.store.memory_max().saturating_sub(node.store.squeezed_bytes());
            if limit > 0 && node.store.used_bytes() + bytes > limit - limit / FREE_SHARE {
                return Err(refused("there is no room for more"));
            }
            node.warm.progress.keys.fetch_add(entries.len() as u64, Relaxed);
            node.warm.progress.bytes.fetch_add(bytes, Relaxed);
            entries.into_iter().for_each(|(entry, tags)| put(node, entry, &tags, moment));
            Ok(())
        })
    }
}

/// Puts a key into the store, unless its time is over, its slot is another's, somebody has been there, or it was declared wrong since.
fn put(node: &Shared, entry: Entry, tags: &TagList, moment: Moment) {
    let Entry { database, key, value, expiry_ms, .. } = entry;
    let progress = &node.warm.progress;
    let tags: Vec<&[u8]> = tags.iter().map(|tag| &tag[..]).collect();
    if expiry_ms.is_some_and(|expiry| expiry <= moment.ms) {
        progress.expired.fetch_add(1, Relaxed);
        return;
    }
    let is_put = usize::try_from(database).ok().filter(|db| *db < DATABASES).is_some_and(|db| {
        let key = node.store.key(&key);
        let is_served = !node.cluster.is_on() || node.cluster.view().serving(key.place.slot) == Serving::Here;
        // A hash whose fields expire, or a key with tags, takes several words in the stream, which are no matter of this.
        let expires_in_parts = matches!(&value, Value::Object(Object::Hash(hash)) if hash.next_due().is_some());
        let is_plain = !expires_in_parts && tags.is_empty();
        let notes = node.replication.notes();
        let is_wrong = node.declared.is_wrong(SINCE_THE_START, key.bytes, &tags);
        if !is_served || is_wrong || notes && !is_plain {
            return false;
        }
        let payload = notes.then(|| rdb::dump_for_replicas(&value));
        let mut keys = node.store.lock_one(key.place.stripe(), db, Moment { by: BY, ..moment });
        let is_touched = node.warm.touched.read().as_ref().is_none_or(|touched| touched.has(keys.db(), key.place));
        if is_touched || keys.peek(key).is_some() {
            return false;
        }
        loading::put(&mut keys, key, value, expiry_ms);
        keys.tag(key, tags.iter().copied());
        if let Some(payload) = payload {
            keys.tell();
            node.replication.note_restored(&node.store, db, key, &payload, expiry_ms);
        }
        true
    });
    let counter = if is_put { &progress.loaded } else { &progress.passed_over };
    counter.fetch_add(1, Relaxed);
}
