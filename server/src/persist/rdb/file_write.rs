//! RDB as a stream of bytes, for files and replicas: the head, what a snapshot captures, and the end with its sum.

use super::write::{push_length, push_millis, push_string};
use super::{Version, kind, push_body, type_of};
use crate::base::crc64::crc64;
use crate::base::number::Digits;
use crate::store::snapshot::{Captor, Captured, Item};
use crate::store::{DATABASES, Value};

/// The codes that stand where an entry could begin.
pub const OPCODE_LIBRARY: u8 = 0xf5;
pub const OPCODE_AUX: u8 = 0xfa;
pub const OPCODE_RESIZE: u8 = 0xfb;
pub const OPCODE_EXPIRES_MS: u8 = 0xfc;
pub const OPCODE_DATABASE: u8 = 0xfe;
pub const OPCODE_END: u8 = 0xff;

/// Longer strings are not compressed under a lock.
const STRING_NOW_MAX: usize = 2_000;

/// How a snapshot is written.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub version: Version,
    /// The number of each physical database when the snapshot began.
    pub numbers: [u8; DATABASES],
    /// The setting `rdbcompression`.
    pub compress: bool,
}

/// Turns records into entries.
pub struct Entries {
    form: Form,
    out: Captured,
    /// The database of the last entry in `out`.
    database: Option<usize>,
    /// Bytes of the strings in `out`.
    later_bytes: usize,
}

impl Entries {
    pub fn new(form: Form) -> Entries {
        Entries { form, out: Captured::default(), database: None, later_bytes: 0 }
    }
}

impl Captor for Entries {
    fn take(&mut self, item: Item<'_>) {
        if !is_written(&item, self.form.version) {
            return;
        }
        if self.database != Some(item.db) {
            self.database = Some(item.db);
            push_database(&mut self.out.bytes, self.form.numbers[item.db]);
        }
        push_head(&mut self.out.bytes, &item, self.form.version);
        let later = match item.value {
            Value::Bytes(bytes) if bytes.len() > STRING_NOW_MAX => bytes.to_vec(),
            Value::Pieces(pieces) => pieces.to_vec(),
            value => return push_value(&mut self.out.bytes, value, self.form),
        };
        self.later_bytes += later.len();
        self.out.strings.push((self.out.bytes.len(), later));
    }

    fn drain(&mut self) -> Captured {
        (self.database, self.later_bytes) = (None, 0);
        std::mem::take(&mut self.out)
    }

    fn held(&self) -> usize {
        self.out.bytes.len() + self.later_bytes
    }
}

/// Appends what was captured.
pub fn push_captured(out: &mut Vec<u8>, captured: &Captured, form: Form) {
    let mut from = 0;
    for (at, string) in &captured.strings {
        out.extend_from_slice(&captured.bytes[from..*at]);
        push_string(out, string, form.compress);
        from = *at;
    }
    out.extend_from_slice(&captured.bytes[from..]);
}

/// Appends a record by itself, with its database.
pub fn push_item(out: &mut Vec<u8>, item: &Item<'_>, form: Form) {
    if !is_written(item, form.version) {
        return;
    }
    push_database(out, form.numbers[item.db]);
    push_head(out, item, form.version);
    push_value(out, item.value, form);
}

/// Whether who reads the format can read the item.
fn is_written(item: &Item<'_>, version: Version) -> bool {
    !matches!(item.value, Value::Object(object) if !version.has(object))
}

fn push_database(out: &mut Vec<u8>, number: u8) {
    out.push(OPCODE_DATABASE);
    push_length(out, number.into());
}

/// What is told in front of an entry whose key has tags. Whoever does not know it passes over it.
pub const TOLD_TAGS: &str = "larder-tags";

/// The most tags of a key, and the most bytes of one.
pub const TAGS_MAX: usize = 64;
pub const TAG_LEN_MAX: usize = 512;

const _: () = assert!(TAG_LEN_MAX <= u16::MAX as usize, "the length of a tag takes two bytes");

/// Tags in one word: each with its length in two bytes, the lower one first.
fn spelled(tags: &[Box<[u8]>]) -> Vec<u8> {
    tags.iter().flat_map(|tag| (tag.len() as u16).to_le_bytes().into_iter().chain(tag.iter().copied())).collect()
}

/// Reads what [`TOLD_TAGS`] says: as far as it makes sense, if it does not.
pub fn tags_of(mut word: &[u8]) -> Vec<Box<[u8]>> {
    let mut tags = Vec::new();
    while let Some((len, rest)) = word.split_first_chunk()
        && let Some((tag, rest)) = rest.split_at_checked(u16::from_le_bytes(*len).into())
        && tags.len() < TAGS_MAX
    {
        tags.push(tag.into());
        word = rest;
    }
    tags
}

/// All of an entry but its value.
fn push_head(out: &mut Vec<u8>, item: &Item<'_>, version: Version) {
    if !item.tags.is_empty() {
        out.push(OPCODE_AUX);
        push_string(out, TOLD_TAGS.as_bytes(), false);
        push_string(out, &spelled(item.tags), false);
    }
    if let Some(expiry) = item.expiry {
        out.push(OPCODE_EXPIRES_MS);
        push_millis(out, expiry as i64);
    }
    out.push(match item.value {
        Value::Object(object) => type_of(object, version),
        _ => kind::STRING,
    });
    push_string(out, item.key, false);
}

fn push_value(out: &mut Vec<u8>, value: Value<'_>, form: Form) {
    let compress = form.compress;
    match value {
        Value::Object(object) => push_body(out, object, form.version, compress),
        Value::Bytes(bytes) => push_string(out, bytes, compress),
        Value::Pieces(pieces) => push_string(out, &pieces.to_vec(), compress),
        Value::Int(number) => push_string(out, Digits::new().format(number).as_bytes(), compress),
    }
}

/// Appends the magic word, and what is told about the file: names and values.
pub fn push_start(out: &mut Vec<u8>, version: Version, told: &[(&str, String)]) {
    out.extend_from_slice(version.magic().as_bytes());
    told.iter().for_each(|(name, value)| push_told(out, name, value));
}

/// Appends what is told about the file.
pub fn push_told(out: &mut Vec<u8>, name: &str, value: impl AsRef<[u8]>) {
    out.push(OPCODE_AUX);
    push_string(out, name.as_bytes(), false);
    push_string(out, value.as_ref(), false);
}

/// Appends a library of functions.
pub fn push_library(out: &mut Vec<u8>, source: &[u8]) {
    out.push(OPCODE_LIBRARY);
    push_string(out, source, true);
}

/// Appends how many keys of a database come, and how many of them expire: a hint for who loads them.
pub fn push_sizes(out: &mut Vec<u8>, number: u8, keys: usize, expiring: usize) {
    push_database(out, number);
    out.push(OPCODE_RESIZE);
    push_length(out, keys as u64);
    push_length(out, expiring as u64);
}

/// The sum over all bytes of a file so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0 = crc64(self.0, bytes);
    }

    /// The last bytes of a file, whose code this has not seen yet. Without a sum where `is_wanted` says so.
    pub fn end(mut self, is_wanted: bool) -> [u8; 9] {
        self.add(&[OPCODE_END]);
        let mut end = [OPCODE_END; 9];
        end[1..].copy_from_slice(&if is_wanted { self.0 } else { 0 }.to_le_bytes());
        end
    }
}
