//! The RDB encoding of single values, as in Redis 7.2 (format 11), and the payload of DUMP and RESTORE around one.
//! Files and what replicas get may be in format 10 instead, for Redis 7.0; see [`Version`].
//!
//! A value is one byte for its type and then its parts. Strings, the part that all types are made of, are a length and
//! bytes, or an encoded form: an integer of 8, 16 or 32 bits, or LZF. A DUMP payload ends with the format's number
//! (2 bytes) and the CRC-64 of all before it (8 bytes), both little-endian. In a file the key stands between the type
//! and the value, and there is one sum for all; [`file`] reads those.
//!
//! What is written, Redis 7.2 reads, with one exception: hashes with fields that expire, which Redis 7.2 does not know,
//! are written as Redis 7.4 does; or as Valkey 9 does, which has its own form of them, for a replica that is one. What is read are all encodings of RDB 5 to 12 and of Valkey's 80, but for values of
//! modules other than RedisBloom's filters. Another type is a row in `kind`, an arm in `load` and one in `save`.
//!
//! Source: Redis's documentation of the format, the comments in its `rdb.h`, and what its servers write and take.

pub mod file;
pub mod kind;

mod bloom;
pub mod file_write;
mod intset;
mod listpack;
mod load;
mod read;
mod save;
mod stream;
#[cfg(test)]
mod tests;
mod write;
mod ziplist;
mod zipmap;

pub use bloom::{chunk_of_shapes, of_shapes};
pub use read::{LoadError, Loaded, Reader};
pub use save::{push_body, type_of};
pub use write::{push_length, push_millis, push_string};

use crate::base::crc64::crc64;
use crate::types::object::Object;
use crate::types::{hash, list, set, zset};

/// A format that is written.
///
/// Whatever is written for Redis 7.0 is read by all later ones, too; its streams lose what came later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// What Redis 7.0 reads: without small sets of texts as listpacks, and without the active times of streams' consumers.
    V10,
    /// What Redis 7.2 reads.
    #[default]
    V11,
    /// What Valkey 9 reads: as V11, but for hashes with fields that expire.
    Valkey,
}

impl Version {
    /// The format's number.
    pub const fn number(self) -> u16 {
        match self {
            Version::V10 => 10,
            Version::V11 => 11,
            Version::Valkey => VERSION_VALKEY,
        }
    }

    /// Whether who reads it knows such objects. Redis and Valkey know filters only with a module, and would refuse all of a snapshot
    /// for one of them; Larder's own files are in the newest format.
    pub fn has(self, object: &Object) -> bool {
        self == Version::V11 || !matches!(object, Object::Bloom(_))
    }

    /// The first bytes of a file, which tell its format.
    pub fn magic(self) -> String {
        match self {
            Version::V10 | Version::V11 => format!("REDIS{:04}", self.number()),
            Version::Valkey => format!("VALKEY{:03}", self.number()),
        }
    }
}

/// The format of payloads.
pub const VERSION: u16 = Version::V11.number();

/// The newest format of Redis that is read.
pub const VERSION_MAX: u16 = 12;

/// The format of Valkey 9, whose numbers were set apart from Redis's.
pub const VERSION_VALKEY: u16 = 80;

/// A value as it was written, whole.
#[derive(Clone)]
pub enum Value {
    String(Vec<u8>),
    Object(Object),
}

/// Up to where collections that are read stay in their small forms; the default is that of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hash: hash::Limits,
    pub list: list::Limits,
    pub set: set::Limits,
    pub zset: zset::Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            hash: hash::Limits { entries_max: 512, value_max: 64 },
            list: list::Limits::new(-2),
            set: set::Limits { ints_max: 512, entries_max: 128, value_max: 64 },
            zset: zset::Limits { entries_max: 128, value_max: 64 },
        }
    }
}

/// Why RESTORE refuses a payload; the texts are Redis's, less `ERR `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreError {
    /// Too short, written by a newer format, or changed since.
    Footer,
    /// The check sum is right, and yet there is no value of a known type in it.
    Format,
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RestoreError::Footer => "DUMP payload version or checksum are wrong",
            RestoreError::Format => "Bad data format",
        })
    }
}

impl std::error::Error for RestoreError {}

/// Appends the DUMP payload of a string; `compress` is the setting `rdbcompression`.
pub fn dump_string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    let start = out.len();
    out.push(kind::STRING);
    push_string(out, text, compress);
    push_footer(out, start);
}

/// Appends the DUMP payload of an object; `compress` is the setting `rdbcompression`.
pub fn dump_object(out: &mut Vec<u8>, object: &Object, compress: bool) {
    let start = out.len();
    push_object(out, object, compress);
    push_footer(out, start);
}

/// The payload of a value in a format that replicas of all makes and ages read: without the expiries of a hash's fields.
pub fn dump_for_replicas(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => {
            out.push(kind::STRING);
            push_string(&mut out, text, false);
        }
        Value::Object(Object::Hash(hash)) if hash.next_due().is_some() => {
            out.push(kind::HASH);
            save::push_fields(&mut out, hash, false);
        }
        Value::Object(object) => {
            out.push(type_of(object, Version::V10));
            push_body(&mut out, object, Version::V10, false);
        }
    }
    push_footer_of(&mut out, 0, Version::V10);
    out
}

/// Appends an object behind its type, as payloads have it.
pub fn push_object(out: &mut Vec<u8>, object: &Object, compress: bool) {
    out.push(type_of(object, Version::V11));
    push_body(out, object, Version::V11, compress);
}

/// Ends the payload that began at `start`.
fn push_footer(out: &mut Vec<u8>, start: usize) {
    push_footer_of(out, start, Version::V11);
}

fn push_footer_of(out: &mut Vec<u8>, start: usize, version: Version) {
    out.extend_from_slice(&version.number().to_le_bytes());
    let sum = crc64(0, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Reads a DUMP payload of any format that [`is_known`].
///
/// Memory is only taken for bytes that are there, or that LZF can make of them. What stands between the value and the
/// footer is ignored, as in Redis.
///
/// # Errors
///
/// [`RestoreError`]
pub fn restore(payload: &[u8], limits: &Limits) -> Result<Value, RestoreError> {
    let (body, version) = check_footer(payload).ok_or(RestoreError::Footer)?;
    let mut reader = Reader::new(body, version);
    reader.byte().and_then(|kind| reader.value(kind, limits)).map_err(|_| RestoreError::Format)
}

/// Reads the payload of FUNCTION DUMP: the sources of libraries.
///
/// # Errors
///
/// [`RestoreError`]
pub fn restore_libraries(payload: &[u8]) -> Result<Vec<Vec<u8>>, RestoreError> {
    let (body, version) = check_footer(payload).ok_or(RestoreError::Footer)?;
    let (mut reader, mut libraries) = (Reader::new(body, version), Vec::new());
    while !reader.rest().is_empty() {
        let opcode = reader.byte().map_err(|_| RestoreError::Format)?;
        let source = reader.string().map_err(|_| RestoreError::Format)?;
        if opcode != file_write::OPCODE_LIBRARY {
            return Err(RestoreError::Format);
        }
        libraries.push(source.into_owned());
    }
    Ok(libraries)
}

/// Whether values of a format are read. Between Redis's and Valkey's are formats of servers that went their own ways.
pub fn is_known(version: u16) -> bool {
    version <= VERSION_MAX || version == VERSION_VALKEY
}

/// What the footer vouches for, and the format.
fn check_footer(payload: &[u8]) -> Option<(&[u8], u16)> {
    let (summed, sum) = payload.split_last_chunk::<8>()?;
    let (body, version) = summed.split_last_chunk::<2>()?;
    let version = u16::from_le_bytes(*version);
    let is_valid = is_known(version) && u64::from_le_bytes(*sum) == crc64(0, summed);
    is_valid.then_some((body, version))
}
