//! Snapshots on disk: when they are due, how one is written, and what is told of the last.
//!
//! A file is written beside its name, synced, and renamed, so that what stands under the name is whole at any time. One
//! snapshot is on its way at a time.

pub mod file;
#[cfg(test)]
mod tests;

use super::replication::StreamPlace;
use super::shared::{Shared, now_ms};
use crate::observe::process;
use crate::persist::rdb::Version;
use crate::persist::rdb::file_write::{self, Entries, Form, Sum};
use crate::store::DATABASES;
use crate::store::snapshot::Snapshot;
use parking_lot::Mutex;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// What others may have captured that has not been written yet: a part of all that the store holds, or so many bytes.
const PILE_SHARE: usize = 4;
const PILE_MIN: usize = 64 << 20;

/// How long a failed snapshot keeps the save points from trying again.
const RETRY: Duration = Duration::from_secs(5);

/// What has become of snapshots.
pub struct Saves {
    state: Mutex<State>,
    /// Keys that the snapshot on its way has come past, in thousandths of all.
    progress: AtomicU64,
    /// Whether the last one failed.
    is_failing: AtomicBool,
    /// Libraries of functions that came with the data. Nothing runs them yet; they go back with it.
    libraries: Mutex<Vec<Vec<u8>>>,
}

struct State {
    /// Since when one is on its way.
    running: Option<Instant>,
    /// Whether another was asked for meanwhile.
    is_scheduled: bool,
    failed: Option<String>,
    /// When the last try began.
    tried: Option<Instant>,
    took: Option<Duration>,
    count: u64,
    last_s: u64,
    /// Changes that had happened when the last good one began.
    changes: u64,
}

/// What is told of snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// How long one is on its way.
    pub running: Option<Duration>,
    /// How much of it is done, 0 to 1.
    pub progress: f64,
    /// Why the last one failed, if it did.
    pub failed: Option<String>,
    /// How long the last one took.
    pub took: Option<Duration>,
    /// Snapshots written since the start.
    pub count: u64,
    /// When the last was written, or the node started, in seconds since 1970.
    pub last_s: u64,
    /// Changes to keys since then.
    pub changes: u64,
}

/// There is a snapshot on its way already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Saves {
    pub fn new(now_ms: u64) -> Saves {
        let state = State {
            running: None,
            is_scheduled: false,
            failed: None,
            tried: None,
            took: None,
            count: 0,
            last_s: now_ms / 1000,
            changes: 0,
        };
        Saves {
            state: Mutex::new(state),
            progress: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            libraries: Mutex::default(),
        }
    }

    /// What is told, where so many changes have happened since the start.
    pub fn told(&self, changes: u64) -> Told {
        let state = self.state.lock();
        Told {
            running: state.running.map(|began| began.elapsed()),
            progress: self.progress.load(Relaxed) as f64 / 1000.0,
            failed: state.failed.clone(),
            took: state.took,
            count: state.count,
            last_s: state.last_s,
            changes: changes.saturating_sub(state.changes),
        }
    }

    /// Whether one is on its way.
    pub fn is_running(&self) -> bool {
        self.state.lock().running.is_some()
    }

    /// Has another one written after that which is on its way.
    pub fn schedule(&self) {
        self.state.lock().is_scheduled = true;
    }

    /// Keeps a library of functions for the next snapshot, in place of one of the same name.
    pub fn keep_library(&self, source: Vec<u8>) {
        let mut libraries = self.libraries.lock();
        if let Some(name) = library_name(&source) {
            libraries.retain(|kept| library_name(kept) != Some(name));
        }
        libraries.push(source);
    }

    /// Forgets a library: it was deleted.
    pub fn forget_library(&self, name: &[u8]) {
        self.libraries.lock().retain(|kept| library_name(kept) != Some(name));
    }

    /// Forgets the libraries: other data comes.
    pub fn forget_libraries(&self) {
        self.libraries.lock().clear();
    }

    /// Notes that so many changes were on disk or are none that have to be: the data was loaded.
    pub fn loaded(&self, changes: u64) {
        self.state.lock().changes = changes;
    }

    fn begin(&self) -> Result<(), Busy> {
        let mut state = self.state.lock();
        if state.running.is_some() {
            return Err(Busy);
        }
        self.progress.store(0, Relaxed);
        (state.running, state.tried) = (Some(Instant::now()), Some(Instant::now()));
        Ok(())
    }

    /// Notes how it ended; the changes are those that had happened when it began. Returns whether there is to be another.
    fn end(&self, result: &Result<u64, String>) -> bool {
        let mut state = self.state.lock();
        self.is_failing.store(result.is_err(), Relaxed);
        state.took = state.running.take().map(|began| began.elapsed());
        match result {
            Ok(changes) => {
                state.count += 1;
                state.failed = None;
                state.last_s = now_ms() / 1000;
                state.changes = *changes;
            }
            Err(why) => state.failed = Some(why.clone()),
        }
        std::mem::take(&mut state.is_scheduled)
    }
}

impl Shared {
    /// Writes a snapshot to the configured file, and returns when that is done. The caller holds the barrier, or is the last
    /// to run.
    ///
    /// # Errors
    ///
    /// [`Busy`]; the inner error says why it could not be written, which is logged and told by `INFO`, too.
    pub fn save(&self) -> Result<Result<(), String>, Busy> {
        self.saves.begin()?;
        Ok(self.save_begun(|begin| begin()).0)
    }

    /// As [`Shared::save`], for who holds nothing: commands go on meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Shared::save`].
    pub fn save_beside(&self) -> Result<Result<(), String>, Busy> {
        self.saves.begin()?;
        Ok(self.save_begun(|begin| self.barrier.alone(begin)).0)
    }

    /// Begins to write a snapshot on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Busy`]
    pub fn save_aside(&self) -> Result<(), Busy> {
        let Some(node) = self.itself() else { return Ok(()) };
        self.saves.begin()?;
        let spawned = std::thread::Builder::new().name("larder-save".into()).spawn(move || {
            // Where cores are few, whoever waits for an answer goes first.
            process::be_modest();
            while node.save_begun(|begin| node.barrier.alone(begin)).1
                && !node.is_stopping()
                && node.saves.begin().is_ok()
            {}
        });
        if let Err(error) = spawned {
            self.saves.end(&Err(format!("no thread could be started: {error}")));
        }
        Ok(())
    }

    /// Returns how it went, and whether another one was asked for. `alone` runs what it is given while nothing else runs.
    fn save_begun<'a>(
        &'a self,
        alone: impl FnOnce(Beginning<'a, '_>) -> Option<Begun<'a>>,
    ) -> (Result<(), String>, bool) {
        let path = PathBuf::from(&self.live.config().dbfilename);
        let began = Instant::now();
        // One that breaks must not count as on its way for ever: no other could begin, and the node could not leave.
        let result = catch_unwind(AssertUnwindSafe(|| write_file(self, &path, alone)))
            .unwrap_or_else(|_| Err("writing it broke; please report this with the lines above".to_owned()));
        match &result {
            Ok(written) => tracing::info!(
                file = %path.display(), bytes = written.bytes, seconds = began.elapsed().as_secs_f64(), "snapshot written"
            ),
            Err(why) => tracing::error!("no snapshot was written: {why}. What was saved before still stands"),
        }
        let result = result.map(|written| written.changes);
        let again = self.saves.end(&result);
        (result.map(drop), again)
    }

    /// Whether writes are refused because snapshots fail.
    #[inline]
    pub fn bars_writes(&self) -> bool {
        self.saves.is_failing.load(Relaxed) && self.wants_saved_writes()
    }

    #[cold]
    fn wants_saved_writes(&self) -> bool {
        let config = self.live.config();
        config.stop_writes_on_bgsave_error && !config.save.is_empty()
    }

    /// Whether a snapshot is written when the node stops, where the settings `shutdown-on-…` say so.
    pub fn saves_on(&self, signal: &[&str]) -> bool {
        signal.contains(&"save") || !signal.contains(&"nosave") && !self.live.config().save.is_empty()
    }

    /// Writes the last snapshot, once all connections and workers are over, if that was asked for and something has changed.
    ///
    /// # Errors
    ///
    /// Why it could not be written.
    pub fn save_last(&self) -> Result<(), String> {
        // One that is on its way is of a time before the last commands.
        while self.saves.is_running() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let told = self.saves.told(self.store.totals().counters.changes);
        if !self.saves_last() || self.loading.is_on() || told.changes == 0 && told.failed.is_none() {
            return Ok(());
        }
        tracing::info!("saving before leaving");
        self.save().unwrap_or(Ok(()))
    }

    /// Begins a snapshot if one of the save points says so. Called about once a second.
    pub fn save_if_due(&self, now_ms: u64) {
        let points = self.live.config().save;
        if points.is_empty() {
            return;
        }
        let told = self.saves.told(self.store.totals().counters.changes);
        let tried = self.saves.state.lock().tried;
        if told.running.is_some() || told.failed.is_some() && tried.is_some_and(|tried| tried.elapsed() < RETRY) {
            return;
        }
        let age_s = (now_ms / 1000).saturating_sub(told.last_s);
        let due = points.iter().find(|point| told.changes >= u64::from(point.changes).max(1) && age_s > point.seconds);
        if let Some(point) = due {
            tracing::info!(changes = told.changes, seconds = point.seconds, "a snapshot is due");
            // If somebody else was faster, that is as good.
            let _ = self.save_aside();
        }
    }
}

/// A file that was written.
struct Written {
    bytes: u64,
    /// Changes that had happened when the snapshot began.
    changes: u64,
}

/// What begins a snapshot.
type Beginning<'a, 'b> = &'b mut dyn FnMut() -> Option<Begun<'a>>;

struct Begun<'a> {
    snapshot: Snapshot<'a>,
    form: Form,
    /// Changes that had happened by then.
    changes: u64,
}

fn write_file<'a>(
    node: &'a Shared,
    path: &Path,
    alone: impl FnOnce(Beginning<'a, '_>) -> Option<Begun<'a>>,
) -> Result<Written, String> {
    let beside = path.with_file_name(format!("temp-{}.rdb", std::process::id()));
    let sums = node.live.config().rdbchecksum;
    let (changes, bytes) =
        file::replace(path, &beside, sums, |sink| write_snapshot(node, Version::default(), alone, sink))?;
    Ok(Written { bytes, changes })
}

/// Writes all but the end of a file. Returns how many changes had happened when the snapshot began.
fn write_snapshot<'a>(
    node: &'a Shared,
    version: Version,
    alone: impl FnOnce(Beginning<'a, '_>) -> Option<Begun<'a>>,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut out = Vec::with_capacity(2 * WRITE_BYTES);
    file_write::push_start(&mut out, version, &about(node));
    let compress = node.live.rdbcompression();
    let Begun { mut snapshot, form, changes } =
        alone(&mut || begin(node, version, compress, &mut out)).ok_or_else(|| {
            io::Error::new(io::ErrorKind::ResourceBusy, "another snapshot is on its way, for a replica perhaps")
        })?;
    while let Some(step) = snapshot.next_step() {
        if snapshot.is_void() {
            return Err(io::Error::other(
                "changes came faster than the disk takes them; try again when there are fewer",
            ));
        }
        file_write::push_captured(&mut out, &step.captured, form);
        for item in step.larges() {
            file_write::push_item(&mut out, &item, form);
        }
        drop(step);
        if out.len() >= WRITE_BYTES {
            node.saves.progress.store((snapshot.progress() * 1000.0) as u64, Relaxed);
            sink(&out)?;
            out.clear();
        }
    }
    sink(&out)?;
    Ok(changes)
}

impl Shared {
    /// Gives a snapshot of this moment to `sink`, bit by bit, while commands go on. `at_start` is called once, with the
    /// barrier held, when the moment has come.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] while another snapshot is on its way: then nothing was begun. Else what the sink
    /// said, or that changes came too fast.
    pub fn send_snapshot(
        &self,
        version: Version,
        at_start: &mut dyn FnMut(),
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut sum = Sum::default();
        let mut summed = |bytes: &[u8]| {
            sum.add(bytes);
            sink(bytes)
        };
        write_snapshot(
            self,
            version,
            |begin| {
                self.barrier.alone(|| {
                    let begun = begin();
                    if begun.is_some() {
                        at_start();
                    }
                    begun
                })
            },
            &mut summed,
        )?;
        sink(&sum.end(true))
    }
}

/// The name of a library, which its first line tells: `#!lua name=lib`.
fn library_name(source: &[u8]) -> Option<&[u8]> {
    let line = source.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    line.split(u8::is_ascii_whitespace).find_map(|word| word.strip_prefix(b"name="))
}

/// Begins the snapshot, while nothing else runs, and appends what databases there are.
fn begin<'a>(node: &'a Shared, version: Version, compress: bool, out: &mut Vec<u8>) -> Option<Begun<'a>> {
    let numbers = std::array::from_fn(|physical| node.store.logical(physical) as u8);
    let form = Form { version, numbers, compress };
    let pile_max = (node.store.used_bytes() as usize / PILE_SHARE).max(PILE_MIN);
    let snapshot = node.store.begin_snapshot(pile_max, || Box::new(Entries::new(form)))?;
    if let Some(StreamPlace { id, offset, db }) = node.replication.place() {
        let db = db.map(|db| ("repl-stream-db", db.to_string()));
        let told = [("repl-id", id), ("repl-offset", offset.to_string())];
        db.into_iter().chain(told).for_each(|(name, value)| file_write::push_told(out, name, &value));
    }
    node.saves.libraries.lock().iter().for_each(|source| file_write::push_library(out, source));
    let totals = node.store.totals();
    for physical in (0..DATABASES).filter(|&physical| totals.keys[physical] > 0) {
        file_write::push_sizes(out, numbers[physical], totals.keys[physical], totals.expiring[physical]);
    }
    Some(Begun { snapshot, form, changes: totals.counters.changes })
}

/// What the file tells about where it comes from.
pub(super) fn about(node: &Shared) -> Vec<(&'static str, String)> {
    vec![
        ("redis-ver", super::server::info::REDIS_VERSION.to_owned()),
        ("redis-bits", usize::BITS.to_string()),
        ("ctime", (now_ms() / 1000).to_string()),
        ("used-mem", node.store.used_bytes().to_string()),
        ("aof-base", "0".to_owned()),
        ("larder-ver", env!("CARGO_PKG_VERSION").to_owned()),
    ]
}
