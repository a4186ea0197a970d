//! The list of the hottest keys, and how it is written: an RDB file of these keys, the hottest first, whose head says what it is.

use super::super::saving::{about, file};
use super::super::shared::{Shared, now_ms};
use crate::observe::process::{self, Whose};
use crate::persist::rdb::Version;
use crate::persist::rdb::file_write::{self, Entries, Form};
use crate::store::DATABASES;
use crate::store::hot::{Hot, Hottest};
use crate::store::snapshot::Captor;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// What the head of a list says: that it is one, when it was begun in milliseconds since 1970, and of whom it is.
pub const MARK: &str = "larder-hot";
pub const MADE_MS: &str = "larder-hot-ms";
pub const OWNER: &str = "larder-hot-of";

/// What stands for a key in a list without values, with the number of its database behind it.
pub const NAME: &str = "larder-hot-key-";

/// Records that are looked at, and captured, between two looks at whether somebody else needs the store.
const LOOKED_AT_ONCE: usize = 256;
const CAPTURED_AT_ONCE: usize = 32;

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 256 * 1024;

/// Work after which the thread rests, and the rest as a multiple of the work.
const WORK: Duration = Duration::from_millis(2);
const REST_FACTOR: u32 = 3;

/// What became of the last list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// When it was written, in seconds since 1970; 0 if none was.
    pub at_s: u64,
    pub keys: u64,
    /// Bytes of the file.
    pub bytes: u64,
    pub took: Duration,
    pub cpu: Duration,
    /// Lists written since the start.
    pub count: u64,
    /// Why the last could not be written, if so.
    pub failed: Option<String>,
}

impl Listed {
    pub(super) fn told(&self) -> Vec<(&'static str, String)> {
        vec![
            ("lists", self.count.to_string()),
            ("list-time", self.at_s.to_string()),
            ("list-keys", self.keys.to_string()),
            ("list-bytes", self.bytes.to_string()),
            ("list-ms", self.took.as_millis().to_string()),
            ("list-cpu-ms", self.cpu.as_millis().to_string()),
            ("list-status", self.failed.as_ref().map_or("ok", |_| "err").to_owned()),
        ]
    }
}

/// Takes the list away, if there is one, and says why.
pub(super) fn remove(path: &Path, why: &str) {
    let file = path.display();
    match fs::remove_file(path) {
        Ok(()) => tracing::info!(%file, "the list of hot keys is removed: {why}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%file, %error, "the list of hot keys cannot be removed"),
    }
}

impl Shared {
    /// Chooses the hottest keys and writes them; at an easy pace, or at once because the node stops. Returns the CPU time that this took.
    pub(super) fn list_keys(&self, path: &Path, is_easy: bool) -> Duration {
        let (began, cpu) = (Instant::now(), cpu());
        let written = self.choose_and_write(path, Pace { is_easy, since: began });
        let (took, cpu) = (began.elapsed(), self::cpu().saturating_sub(cpu));
        let mut listed = self.warm.listed.lock();
        match written {
            Ok((keys, bytes)) => {
                tracing::debug!(keys, bytes, seconds = took.as_secs_f64(), cpu = cpu.as_secs_f64(), "hot keys listed");
                let count = listed.count + 1;
                *listed = Listed { at_s: now_ms() / 1000, keys, bytes, took, cpu, count, failed: None };
            }
            Err(why) => {
                // A full disk is told once, not each minute.
                if listed.failed.as_ref() != Some(&why) {
                    tracing::warn!(file = %path.display(), "the hot keys were not listed: {why}");
                }
                listed.failed = Some(why);
            }
        }
        cpu
    }

    fn choose_and_write(&self, path: &Path, mut pace: Pace) -> Result<(u64, u64), String> {
        let config = self.live.config();
        if Path::new(&config.dbfilename) == path {
            return Err(format!("the snapshot has the name {}, too; set another with dbfilename", path.display()));
        }
        let emptied = self.warm.emptied.load(Relaxed);
        let stopped = || "the node stops".to_owned();
        let keys_max = usize::try_from(config.warm_keys).unwrap_or(usize::MAX);
        let chosen = self.choose(keys_max, config.warm_memory.0, &mut pace).ok_or_else(stopped)?;
        if chosen.is_empty() {
            remove(path, "there are no keys");
            return Ok((0, 0));
        }
        let beside = path.with_file_name(format!("temp-{}-hot.rdb", std::process::id()));
        let (keys, bytes) = file::replace(path, &beside, true, |sink| {
            let keys = self.write_list(&chosen, config.warm_values, &mut pace, sink)?;
            // The old list is gone or of no use, and so would this one be.
            let is_whole = emptied == self.warm.emptied.load(Relaxed) && self.keeps_list(!pace.is_easy).is_ok();
            if is_whole { Ok(keys) } else { Err(io::Error::other("the data became another meanwhile")) }
        })?;
        Ok((keys, bytes))
    }

    /// The hottest keys; `None` if the node stops meanwhile.
    fn choose(&self, keys_max: usize, bytes_max: u64, pace: &mut Pace) -> Option<Vec<Hot>> {
        let mut hottest = Hottest::new(keys_max);
        for db in (0..DATABASES).filter(|db| self.store.keys(*db) > 0) {
            let mut cursor = 0;
            loop {
                let pass = self.barrier.enter(self.warm_number());
                let moment = self.store.moment(now_ms());
                cursor = self.store.show_hot(db, cursor, LOOKED_AT_ONCE, moment, &mut hottest);
                drop(pass);
                if cursor == 0 {
                    break;
                }
                pace.rest(self)?;
            }
        }
        let pinned = self.warm.pinned.lock().clone();
        for (db, key) in &pinned {
            let _pass = self.barrier.enter(self.warm_number());
            self.store.show_hottest(*db, key, self.store.moment(now_ms()), &mut hottest);
        }
        Some(hottest.list(bytes_max))
    }

    /// Writes chosen keys, as far as they are still there. Returns how many are.
    fn write_list(
        &self,
        chosen: &[Hot],
        with_values: bool,
        pace: &mut Pace,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut out = Vec::with_capacity(2 * WRITE_BYTES);
        let version = Version::default();
        let told = [(MARK, "1".to_owned()), (MADE_MS, now_ms().to_string()), (OWNER, self.list_owner())];
        let told: Vec<_> = about(self).into_iter().chain(told).collect();
        file_write::push_start(&mut out, version, &told);
        let numbers = std::array::from_fn(|physical| self.store.logical(physical) as u8);
        let form = Form { version, numbers, compress: self.live.rdbcompression() };
        let mut entries = Entries::new(form);
        let mut keys = 0;
        for some in chosen.chunks(CAPTURED_AT_ONCE) {
            let pass = self.barrier.enter(self.warm_number());
            let moment = self.store.moment(now_ms());
            for hot in some {
                keys += u64::from(self.store.visit_hot(*hot, moment, |item| match with_values {
                    true => entries.take(item),
                    false => file_write::push_told(&mut out, &format!("{NAME}{}", numbers[item.db]), item.key),
                }));
            }
            drop(pass);
            file_write::push_captured(&mut out, &entries.drain(), form);
            if out.len() >= WRITE_BYTES {
                sink(&out)?;
                out.clear();
            }
            pace.rest(self).ok_or_else(|| io::Error::other("the node stops"))?;
        }
        sink(&out)?;
        Ok(keys)
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let cpu = process::cpu(Whose::Thread);
    cpu.system + cpu.user
}

/// Leaves most of the time to others.
struct Pace {
    is_easy: bool,
    since: Instant,
}

impl Pace {
    /// Rests if it is time to. `None` if the node stops and the work may be left as it is.
    fn rest(&mut self, node: &Shared) -> Option<()> {
        let worked = self.since.elapsed();
        if self.is_easy && worked >= WORK {
            std::thread::sleep(worked * REST_FACTOR);
            self.since = Instant::now();
        }
        (!self.is_easy || !node.is_stopping()).then_some(())
    }
}
