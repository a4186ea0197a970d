//! What `larder rdb check` counts and says.

use super::super::rdb::VERSION_VALKEY;
use super::super::rdb::file::{Checksum, Skipped, Step};
use super::Whole;
use super::text::{date, grouped, size};
use crate::base::json::json_text;
use std::collections::BTreeMap;
use std::path::Path;

/// Databases that are counted apart. Servers have 16 unless told otherwise.
const DATABASES_MAX: usize = 1024;

#[derive(Clone, Copy, Default)]
struct Keys {
    all: u64,
    expiring: u64,
    expired: u64,
}

/// What is in a file, and who wrote it.
pub(super) struct Tally {
    now_ms: u64,
    all: Keys,
    databases: BTreeMap<u64, Keys>,
    empty: u64,
    libraries: u64,
    module_parts: u64,
    imports: u64,
    /// The values of the fields that say which server wrote the file, best last.
    writers: [Option<String>; 3],
    written_at: Option<u64>,
}

const WRITERS: [(&str, &str); 3] = [("redis-ver", "Redis"), ("valkey-ver", "Valkey"), ("larder-ver", "Larder")];

/// What is taken of a text about the file.
const AUX_MAX: usize = 64;

impl Tally {
    pub(super) fn at(now_ms: u64) -> Tally {
        Tally {
            now_ms,
            all: Keys::default(),
            databases: BTreeMap::new(),
            empty: 0,
            libraries: 0,
            module_parts: 0,
            imports: 0,
            writers: [None, None, None],
            written_at: None,
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        match step {
            Step::Entry(entry) => self.count(entry.database, entry.expiry_ms),
            Step::Aux { name, value } => self.note(name, value),
            Step::Library(_) => self.libraries += 1,
            Step::Skipped(Skipped::Empty { .. }) => self.empty += 1,
            Step::Skipped(Skipped::ModuleAux(_)) => self.module_parts += 1,
            Step::Skipped(Skipped::SlotImport(_)) => self.imports += 1,
            Step::Skipped(Skipped::SlotInfo) => {}
            Step::Database(_) | Step::Resize { .. } | Step::NeedMore | Step::End(_) => {}
        }
    }

    fn count(&mut self, database: u64, expiry_ms: Option<u64>) {
        let one = |keys: &mut Keys| {
            keys.all += 1;
            keys.expiring += u64::from(expiry_ms.is_some());
            keys.expired += u64::from(expiry_ms.is_some_and(|expiry| expiry <= self.now_ms));
        };
        one(&mut self.all);
        if self.databases.len() < DATABASES_MAX || self.databases.contains_key(&database) {
            one(self.databases.entry(database).or_default());
        }
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = || str::from_utf8(value).ok().filter(|text| text.len() <= AUX_MAX);
        if name == b"ctime" {
            self.written_at = text().and_then(|text| text.parse().ok());
        }
        if let Some(at) = WRITERS.iter().position(|(known, _)| known.as_bytes() == name) {
            self.writers[at] = text().map(|text| text.chars().filter(|letter| !letter.is_control()).collect());
        }
    }

    /// The server's name and version.
    fn writer(&self) -> Option<String> {
        let named = self.writers.iter().zip(WRITERS).rev();
        named.filter_map(|(version, (_, server))| version.as_ref().map(|version| format!("{server} {version}"))).next()
    }

    pub(super) fn text(&self, path: &Path, whole: &Whole) -> String {
        let server = if whole.version >= VERSION_VALKEY { "Valkey" } else { "Redis" };
        let mut out = format!("{}: a sound RDB file\n", path.display());
        let mut say = |name: &str, text: String| out += &format!("  {name:<11} {text}\n");
        say("format", format!("{} of {server}", whole.version));
        say("written by", self.writer().unwrap_or_else(|| "(it does not say)".to_owned()));
        say("written at", self.written_at.map_or_else(|| "(it does not say)".to_owned(), date));
        say("keys", self.all.shown());
        for (database, keys) in &self.databases {
            say("", format!("db{database}: {}", keys.shown()));
        }
        let left = self.all.all - self.databases.values().map(|keys| keys.all).sum::<u64>();
        let notes = [
            ("keys in further databases", left),
            ("keys without elements, which are passed over", self.empty),
            ("libraries of functions", self.libraries),
            ("parts of modules beside the keys, which are passed over", self.module_parts),
            ("migrations of slots that were going on, whose keys are among these", self.imports),
        ];
        for (what, count) in notes.into_iter().filter(|(_, count)| *count > 0) {
            say("", format!("{what}: {}", grouped(count)));
        }
        say("bytes", format!("{} ({})", grouped(whole.bytes), size(whole.bytes)));
        if whole.bytes_behind > 0 {
            say("", format!("{} more behind the end, which are not looked at", grouped(whole.bytes_behind)));
        }
        say("check sum", checksum(whole.checksum).to_owned());
        say("read in", format!("{:.2} s", whole.elapsed.as_secs_f64()));
        out
    }

    pub(super) fn json(&self, path: &Path, whole: &Whole) -> String {
        let databases = self.databases.iter();
        let databases = databases.map(|(database, keys)| format!("{{\"database\":{database},{}}}", keys.json()));
        let fields = [
            ("file", json_text(&path.display().to_string())),
            ("sound", "true".to_owned()),
            ("format", whole.version.to_string()),
            ("written_by", self.writer().map_or_else(|| "null".to_owned(), |writer| json_text(&writer))),
            ("written_at", self.written_at.map_or_else(|| "null".to_owned(), |seconds| seconds.to_string())),
            ("databases", format!("[{}]", databases.collect::<Vec<_>>().join(","))),
            ("empty", self.empty.to_string()),
            ("libraries", self.libraries.to_string()),
            ("module_parts", self.module_parts.to_string()),
            ("slot_imports", self.imports.to_string()),
            ("bytes", whole.bytes.to_string()),
            ("bytes_behind", whole.bytes_behind.to_string()),
            ("checksum", json_text(if whole.checksum == Checksum::Right { "right" } else { "absent" })),
            ("seconds", format!("{:.3}", whole.elapsed.as_secs_f64())),
        ];
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{},{}}}\n", fields.join(","), self.all.json())
    }
}

fn checksum(checksum: Checksum) -> &'static str {
    match checksum {
        Checksum::Right => "right",
        Checksum::Absent => "none was computed, so damage that leaves values readable cannot be seen",
    }
}

impl Keys {
    fn shown(&self) -> String {
        let Keys { all, expiring, expired } = *self;
        match (expiring, expired) {
            (0, _) => grouped(all),
            (_, 0) => format!("{}, {} expire", grouped(all), grouped(expiring)),
            _ => format!("{}, {} expire, {} of them have expired", grouped(all), grouped(expiring), grouped(expired)),
        }
    }

    fn json(&self) -> String {
        format!("\"keys\":{},\"expiring\":{},\"expired\":{}", self.all, self.expiring, self.expired)
    }
}
