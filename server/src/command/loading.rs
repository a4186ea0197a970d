//! Loading: from a snapshot on disk to keys in the store, while clients are told to wait.

use super::replication::StreamPlace;
use super::shared::{Shared, now_ms};
use crate::persist::rdb::Value;
use crate::persist::rdb::file::{Entry, FileError, FileReader, Step};
use crate::persist::rdb::file_write::{TOLD_TAGS, tags_of};
use crate::store::pieces::PIECES_MAX;
use crate::store::{DATABASES, Key, Keys, Moment, New, Sight, TagList};
use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Bytes of the file that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// How often the log tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// How far loading is, for whoever asks.
#[derive(Default)]
pub struct Loading {
    is_on: AtomicBool,
    began_s: AtomicU64,
    bytes_total: AtomicU64,
    bytes: AtomicU64,
    keys: AtomicU64,
    expired: AtomicU64,
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Whether keys whose time had come are kept.
    pub keeps_expired: bool,
    /// The place of the snapshot in a stream, if it tells.
    pub place: Option<StreamPlace>,
    /// When it was begun, in seconds since 1970, if it tells.
    pub made_s: Option<u64>,
    pub keys: u64,
    /// Keys whose time had come already.
    pub expired: u64,
    /// Values of modules, empty collections: what has no place here.
    pub skipped: u64,
    pub seconds: f64,
}

/// Why a file was not loaded.
#[derive(Debug)]
pub enum LoadFailed {
    Unreadable(io::Error),
    Corrupt(FileError),
    /// At an offset stands a key that the file has had before.
    Twice {
        offset: u64,
        key: Vec<u8>,
    },
    /// At an offset stands a key of a database that does not exist.
    NoDatabase {
        offset: u64,
        number: u64,
    },
}

impl Display for LoadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadFailed::Unreadable(error) => error.fmt(f),
            LoadFailed::Corrupt(error) => error.fmt(f),
            LoadFailed::Twice { offset, key } => {
                write!(f, "before byte {offset}: the key \"{}\" comes a second time", key.escape_ascii())
            }
            LoadFailed::NoDatabase { offset, number } => {
                write!(f, "before byte {offset}: a key of database {number}, and there are {DATABASES}")
            }
        }
    }
}

impl std::error::Error for LoadFailed {}

impl Loading {
    /// Whether clients have to wait.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Begins, so that clients have to wait from now on.
    pub fn begin(&self) {
        self.began_s.store(now_ms() / 1000, Relaxed);
        self.is_on.store(true, Relaxed);
    }

    pub fn end(&self) {
        self.is_on.store(false, Relaxed);
    }

    /// What `INFO` tells: names and values.
    pub fn told(&self, used_bytes: u64) -> Vec<(&'static str, String)> {
        let (total, done) = (self.bytes_total.load(Relaxed), self.bytes.load(Relaxed));
        let began_s = self.began_s.load(Relaxed);
        let mut fields = vec![("loading", u8::from(self.is_on()).to_string())];
        if self.is_on() {
            let share = if total == 0 { 0.0 } else { done as f64 / total as f64 };
            let elapsed = (now_ms() / 1000).saturating_sub(began_s) as f64;
            let left = if share > 0.0 { elapsed / share - elapsed } else { 1.0 };
            fields.extend([
                ("loading_start_time", began_s.to_string()),
                ("loading_total_bytes", total.to_string()),
                ("loading_rdb_used_mem", used_bytes.to_string()),
                ("loading_loaded_bytes", done.to_string()),
                ("loading_loaded_perc", format!("{:.2}", share * 100.0)),
                ("loading_eta_seconds", format!("{left:.0}")),
            ]);
        }
        fields
    }

    /// Keys that the last loading has passed over as expired, and those it has loaded.
    pub fn last(&self) -> (u64, u64) {
        (self.expired.load(Relaxed), self.keys.load(Relaxed))
    }
}

impl Shared {
    /// Loads a file, and calls `tell` now and then with the share that is done.
    ///
    /// # Errors
    ///
    /// [`LoadFailed`]; what stood before the error is in the store then, and has been counted in the second part.
    pub fn load(
        &self,
        path: &Path,
        keeps_expired: bool,
        tell: &mut dyn FnMut(f64, u64),
    ) -> (Result<(), LoadFailed>, Loaded) {
        let began = Instant::now();
        let mut loaded = Loaded { keeps_expired, ..Loaded::default() };
        let result = self.load_into(path, &mut loaded, tell);
        loaded.seconds = began.elapsed().as_secs_f64();
        self.loading.keys.store(loaded.keys, Relaxed);
        self.loading.expired.store(loaded.expired, Relaxed);
        self.saves.loaded(self.store.totals().counters.changes);
        (result, loaded)
    }

    fn load_into(&self, path: &Path, loaded: &mut Loaded, tell: &mut dyn FnMut(f64, u64)) -> Result<(), LoadFailed> {
        let mut file = File::open(path).map_err(LoadFailed::Unreadable)?;
        let mut intake = Intake::new(self, loaded.keeps_expired);
        let result = self.take_file(&mut file, &mut intake, tell);
        (loaded.keys, loaded.expired, loaded.skipped) = (intake.keys, intake.expired, intake.skipped);
        loaded.place = intake.place();
        loaded.made_s = intake.made_s;
        result
    }

    fn take_file(
        &self,
        file: &mut File,
        intake: &mut Intake,
        tell: &mut dyn FnMut(f64, u64),
    ) -> Result<(), LoadFailed> {
        let total = file.metadata().map_err(LoadFailed::Unreadable)?.len();
        self.loading.bytes_total.store(total, Relaxed);
        self.loading.bytes.store(0, Relaxed);
        let mut buffer = vec![0; READ_BYTES];
        let mut told = Instant::now();
        while !intake.take_all(self)? {
            let read = file.read(&mut buffer).map_err(LoadFailed::Unreadable)?;
            if read == 0 {
                return intake.reader.end_of_input().map(drop).map_err(LoadFailed::Corrupt);
            }
            intake.reader.feed(&buffer[..read]);
            self.loading.bytes.fetch_add(read as u64, Relaxed);
            self.loading.keys.store(intake.keys, Relaxed);
            self.loading.expired.store(intake.expired, Relaxed);
            if told.elapsed() > TOLD_EVERY {
                told = Instant::now();
                tell(self.loading.bytes.load(Relaxed) as f64 / total.max(1) as f64, intake.keys);
            }
        }
        Ok(())
    }
}

/// A snapshot that becomes keys, as its bytes come.
pub struct Intake {
    pub reader: FileReader,
    pub keys: u64,
    pub expired: u64,
    pub skipped: u64,
    /// Whether keys whose time has come are kept, as somebody else decides that they go, or has to be told.
    keeps_expired: bool,
    /// When the snapshot was begun, in seconds since 1970.
    made_s: Option<u64>,
    id: Option<String>,
    offset: Option<u64>,
    db: Option<usize>,
    /// The tags of the next entry.
    tags: TagList,
}

impl Intake {
    pub fn new(node: &Shared, keeps_expired: bool) -> Intake {
        let reader = FileReader::new(node.limits.of_loaded());
        let (made_s, id, offset, db, tags) = Default::default();
        Intake { reader, keys: 0, expired: 0, skipped: 0, keeps_expired, made_s, id, offset, db, tags }
    }

    /// The place of the snapshot in a stream, if it tells.
    pub fn place(&self) -> Option<StreamPlace> {
        Some(StreamPlace { id: self.id.clone()?, offset: self.offset?, db: self.db })
    }

    /// The database that the stream has selected, if the snapshot tells.
    pub fn db(&self) -> Option<usize> {
        self.db
    }

    /// Puts all that is whole into the store. Returns whether the end was reached; if not, more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`LoadFailed`]; what stood before the error is in the store then.
    pub fn take_all(&mut self, node: &Shared) -> Result<bool, LoadFailed> {
        loop {
            match self.reader.next().map_err(LoadFailed::Corrupt)? {
                Step::Entry(entry) => self.take_in(node, entry)?,
                Step::Library(source) => node.saves.keep_library(source),
                step => {
                    if let Some(is_over) = self.look(step) {
                        return Ok(is_over);
                    }
                }
            }
        }
    }

    /// As [`Intake::take_all`], but nothing is put anywhere: the bytes are only looked through.
    ///
    /// # Errors
    ///
    /// [`LoadFailed`]
    pub fn look_through(&mut self) -> Result<bool, LoadFailed> {
        loop {
            let step = self.reader.next().map_err(LoadFailed::Corrupt)?;
            if let Some(is_over) = self.look(step) {
                return Ok(is_over);
            }
        }
    }

    /// Notes what is told beside entries. Returns whether it is over, if it stops here.
    fn look(&mut self, step: Step) -> Option<bool> {
        match step {
            Step::Skipped(_) => self.skipped += 1,
            Step::Aux { name, value } => self.note(&name, &value),
            Step::Entry(_) | Step::Library(_) | Step::Database(_) | Step::Resize { .. } => {}
            Step::End(_) => return Some(true),
            Step::NeedMore => return Some(false),
        }
        None
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        match name {
            b"ctime" => self.made_s = text.parse().ok(),
            b"repl-id" => self.id = Some(text.into_owned()).filter(|id| id.len() == 40),
            b"repl-offset" => self.offset = text.parse().ok(),
            _ if name == TOLD_TAGS.as_bytes() => self.tags = tags_of(value),
            b"repl-stream-db" => self.db = text.parse().ok().filter(|db| *db < DATABASES),
            _ => {}
        }
    }

    fn take_in(&mut self, node: &Shared, entry: Entry) -> Result<(), LoadFailed> {
        let Entry { database, key, value, expiry_ms, idle_s, frequency, .. } = entry;
        let tags = std::mem::take(&mut self.tags);
        let number = usize::try_from(database).ok().filter(|number| *number < DATABASES);
        let Some(number) = number else {
            return Err(LoadFailed::NoDatabase { offset: self.reader.offset(), number: database });
        };
        let now_ms = now_ms();
        if !self.keeps_expired && expiry_ms.is_some_and(|expiry| expiry <= now_ms) {
            self.expired += 1;
            return Ok(());
        }
        let place = node.store.key(&key);
        // What is loaded is neither hidden nor taken away, whatever the time.
        let moment = Moment { sight: Sight::Primary, ..node.store.moment(now_ms) };
        let mut keys = node.store.lock_one(place.place.stripe(), number, moment);
        if keys.peek(place).is_some() {
            drop(keys);
            return Err(LoadFailed::Twice { offset: self.reader.offset(), key });
        }
        put(&mut keys, place, value, expiry_ms);
        keys.tag(place, tags.iter().map(|tag| &tag[..]));
        if let Some(idle_s) = idle_s {
            keys.set_idle(place, idle_s.saturating_mul(1000));
        }
        if let Some(frequency) = frequency {
            keys.set_frequency(place, frequency);
        }
        self.keys += 1;
        Ok(())
    }
}

/// Gives a key the value that a file has for it.
pub fn put(keys: &mut Keys<'_>, key: Key<'_>, value: Value, expiry_ms: Option<u64>) {
    match value {
        Value::Object(object) => keys.put_object(key, object, expiry_ms),
        Value::String(text) if text.len() > PIECES_MAX => keys.set(key, New::Heap(text), expiry_ms),
        Value::String(text) => keys.set(key, New::Set(&text), expiry_ms),
    }
}

/// Puts a file that is damaged out of the way of the next snapshot. Returns its new name.
///
/// # Errors
///
/// If it cannot be renamed.
pub fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = PathBuf::from(format!("{}.damaged-{}", path.display(), now_ms() / 1000));
    fs::rename(path, &aside).map(|()| aside)
}
