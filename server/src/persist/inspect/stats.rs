//! What `larder rdb stats` counts and says. Bytes are those of the file, which are fewer than a value takes in memory.

use super::super::rdb::file::{Entry, Step};
use super::super::rdb::{Value, kind};
use super::Whole;
use super::pattern::{Patterns, Sum};
use super::text::{grouped, key_json, key_shown, share, size, table};
use crate::base::json::json_text;
use std::path::Path;

const BIGGEST: usize = 10;
const PATTERNS: usize = 20;

/// Of a long key, so much is kept.
const KEY_KEPT: usize = 1024;

/// How long keys live on: names, and less than so many milliseconds.
const TIMES: [(&str, u64); 7] = [
    ("has expired", 1),
    ("under a minute", 60_000),
    ("under an hour", 3_600_000),
    ("under a day", 86_400_000),
    ("under a week", 604_800_000),
    ("under 30 days", 2_592_000_000),
    ("30 days or more", u64::MAX),
];

/// Of keys that do not expire.
const LASTING: &str = "does not expire";

/// What takes how much of a file.
pub(super) struct Tally {
    now_ms: u64,
    all: Sum,
    kinds: [(Sum, u64); 256],
    biggest: Vec<Big>,
    patterns: Patterns,
    lasting: Sum,
    times: [Sum; TIMES.len()],
}

struct Big {
    database: u64,
    key: Vec<u8>,
    key_len: usize,
    kind: u8,
    bytes: u64,
    /// For strings, their bytes.
    len: u64,
}

impl Tally {
    pub(super) fn at(now_ms: u64) -> Tally {
        Tally {
            now_ms,
            all: Sum::default(),
            kinds: [(Sum::default(), 0); 256],
            biggest: Vec::new(),
            patterns: Patterns::default(),
            lasting: Sum::default(),
            times: [Sum::default(); TIMES.len()],
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let Step::Entry(entry) = step else { return };
        let one = Sum { keys: 1, bytes: entry.bytes };
        self.all.add(one);
        let (sum, elements) = &mut self.kinds[usize::from(entry.kind)];
        sum.add(one);
        *elements += len(entry);
        self.patterns.add(&entry.key, entry.bytes);
        match entry.expiry_ms {
            None => self.lasting.add(one),
            Some(expiry) => {
                let left = expiry.saturating_sub(self.now_ms);
                let at = TIMES.iter().position(|&(_, below)| left < below).unwrap_or(TIMES.len() - 1);
                self.times[at].add(one);
            }
        }
        self.rank(entry);
    }

    /// Keeps the entry if it is among the biggest.
    fn rank(&mut self, entry: &Entry) {
        let at = self.biggest.partition_point(|big| big.bytes >= entry.bytes);
        if at >= BIGGEST {
            return;
        }
        let key = entry.key[..entry.key.len().min(KEY_KEPT)].to_vec();
        let Entry { database, kind, bytes, .. } = *entry;
        self.biggest.insert(at, Big { database, key, key_len: entry.key.len(), kind, bytes, len: len(entry) });
        self.biggest.truncate(BIGGEST);
    }

    fn kinds(&self) -> Vec<(u8, Sum, u64)> {
        let found = self.kinds.iter().zip(0..=u8::MAX).filter(|((sum, _), _)| sum.keys > 0);
        let mut found: Vec<_> = found.map(|(&(sum, elements), kind)| (kind, sum, elements)).collect();
        found.sort_by_key(|(_, sum, _)| std::cmp::Reverse(sum.bytes));
        found
    }

    pub(super) fn text(&self, path: &Path, whole: &Whole) -> String {
        let (keys, bytes) = (grouped(self.all.keys), size(self.all.bytes));
        let mut out = format!("{}: {keys} keys in {bytes}; bytes are those of the file\n", path.display());
        let mut section = |name: &str, head: &[&str], names, rows: Vec<Vec<String>>| {
            if !rows.is_empty() {
                out += &format!("\n{name}\n{}", table(head, names, &rows));
            }
        };
        let numbers = |sum: &Sum| [grouped(sum.keys), grouped(sum.bytes), share(sum.bytes, self.all.bytes)];
        let kinds = self.kinds().into_iter().map(|(kind, sum, elements)| {
            let (kind, encoding) = kind::names(kind);
            let elements = if kind == "string" { "-".to_owned() } else { grouped(elements) };
            [vec![kind.to_owned(), encoding.to_owned()], numbers(&sum).to_vec(), vec![elements]].concat()
        });
        section("By type", &["type", "in the file as", "keys", "bytes", "share", "elements"], 2, kinds.collect());

        let biggest = self.biggest.iter().map(|big| {
            let (kind, _) = kind::names(big.kind);
            let elements = if kind == "string" { "-".to_owned() } else { grouped(big.len) };
            let place = format!("db{}", big.database);
            vec![key_shown(&big.key), place, kind.to_owned(), grouped(big.bytes), elements]
        });
        section("The biggest keys", &["key", "in", "type", "bytes", "elements"], 3, biggest.collect());

        let (largest, others, is_whole) = self.patterns.largest(PATTERNS);
        let row = |name: String, sum: &Sum| [vec![name], numbers(sum).to_vec()].concat();
        let mut rows: Vec<_> = largest.iter().map(|(pattern, sum)| row(key_shown(pattern), sum)).collect();
        if others.keys > 0 {
            rows.push(row("all others".to_owned(), &others));
        }
        section("By what keys begin with (ids and numbers as *)", &["keys", "keys", "bytes", "share"], 1, rows);

        let mut rows = vec![row(LASTING.to_owned(), &self.lasting)];
        rows.extend(TIMES.iter().zip(&self.times).map(|((name, _), sum)| row((*name).to_owned(), sum)));
        rows.retain(|row| row[1] != "0");
        section("By time to live", &["time left", "keys", "bytes", "share"], 1, rows);
        if !is_whole {
            out +=
                "\nThere are so many beginnings that rare ones were dropped: those shown may have a few keys more.\n";
        }
        out + &format!("\nread in {:.2} s\n", whole.elapsed.as_secs_f64())
    }

    pub(super) fn json(&self, path: &Path, whole: &Whole) -> String {
        let sum = |sum: &Sum| format!("\"keys\":{},\"bytes\":{}", sum.keys, sum.bytes);
        let elements = |kind: &str, len: u64| if kind == "string" { "null".to_owned() } else { len.to_string() };
        let kinds = self.kinds().into_iter().map(|(kind, total, len)| {
            let (kind, encoding) = kind::names(kind);
            let (total, elements) = (sum(&total), elements(kind, len));
            format!("{{\"type\":\"{kind}\",\"encoding\":\"{encoding}\",{total},\"elements\":{elements}}}")
        });
        let biggest = self.biggest.iter().map(|big| {
            let (kind, _) = kind::names(big.kind);
            let (key, elements) = (key_json(&big.key), elements(kind, big.len));
            let Big { key_len, database, bytes, .. } = big;
            format!(
                "{{{key},\"key_bytes\":{key_len},\"database\":{database},\"type\":\"{kind}\",\"bytes\":{bytes},\"elements\":{elements}}}"
            )
        });
        let (largest, others, is_whole) = self.patterns.largest(PATTERNS);
        let patterns = largest.iter().map(|(pattern, total)| {
            let pattern = key_json(pattern).replacen("\"key", "\"pattern", 1);
            format!("{{{pattern},{}}}", sum(total))
        });
        let time = |left: &str, total: &Sum| format!("{{\"left\":\"{left}\",{}}}", sum(total));
        let times = TIMES.iter().zip(&self.times).map(|((name, _), total)| time(name, total));
        let times = std::iter::once(time(LASTING, &self.lasting)).chain(times);
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        format!(
            "{{\"file\":{},{},\"types\":{},\"biggest\":{},\"patterns\":{},\"patterns_other\":{{{}}},\
             \"patterns_complete\":{is_whole},\"times_to_live\":{},\"seconds\":{:.3}}}\n",
            json_text(&path.display().to_string()),
            sum(&self.all),
            list(kinds.collect()),
            list(biggest.collect()),
            list(patterns.collect()),
            sum(&others),
            list(times.collect()),
            whole.elapsed.as_secs_f64(),
        )
    }
}

/// Elements; of a string, its bytes.
fn len(entry: &Entry) -> u64 {
    match &entry.value {
        Value::String(text) => text.len() as u64,
        Value::Object(object) => object.len() as u64,
    }
}
