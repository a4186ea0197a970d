//! Why a file could not be read, and where.

use super::super::LoadError;
use crate::base::quote::push_quoted;
use std::fmt;

/// A key is shown up to so many bytes.
const KEY_SHOWN: usize = 64;

/// What is wrong with a file, and with which item of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// Where the item begins, in bytes from the start of the file.
    pub offset: u64,
    /// The item's key, if it is an entry and so much of it is there.
    pub key: Option<Vec<u8>>,
    pub problem: Problem,
}

/// What is wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// There are no bytes at all.
    Nothing,
    /// The first bytes are not those of an RDB file.
    NoMagic,
    /// A format that is not read.
    UnknownVersion { version: u16, is_valkey: bool },
    /// There is no such item, or none that is read in this version.
    UnknownOpcode(u8),
    /// The item or its value cannot be read.
    Value(LoadError),
    /// The bytes were changed after they were written.
    Checksum { found: u64, computed: u64 },
    /// There are no more bytes.
    Truncated { end: u64 },
}

/// The types of what modules store, the first as it was before Redis 4.0 was finished.
const MODULE: u8 = 6;
const MODULE_2: u8 = 7;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Nothing => f.write_str("the file is empty"),
            Problem::NoMagic => {
                f.write_str("this is no RDB file: it begins with neither REDIS nor VALKEY and a version")
            }
            Problem::UnknownVersion { version, is_valkey } => {
                let server = if *is_valkey { "Valkey" } else { "Redis" };
                write!(f, "the format {version} of {server}; read are 1 to 12 of Redis and 80 of Valkey")
            }
            Problem::UnknownOpcode(opcode) => write!(f, "an item of the unknown kind {opcode}"),
            Problem::Value(LoadError::UnknownType(kind @ (MODULE | MODULE_2))) => {
                write!(
                    f,
                    "a value of a module's (type {kind}), and Larder has no modules; of their values it reads RedisBloom's filters alone"
                )
            }
            Problem::Value(error) => error.fmt(f),
            Problem::Checksum { found, computed } => {
                write!(f, "the check sum is {found:016x}, but that of the bytes before it is {computed:016x}")
            }
            Problem::Truncated { .. } => f.write_str("the file is cut short"),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Nothing | Problem::NoMagic => return self.problem.fmt(f),
            Problem::Truncated { end } if end == self.offset => {
                write!(f, "the file ends at byte {end}, where another item or the end mark is missing")?;
            }
            Problem::Truncated { end } => {
                write!(f, "the file ends at byte {end}, inside of the item that begins at byte {}", self.offset)?;
            }
            problem => write!(f, "at byte {}: {problem}", self.offset)?,
        }
        self.key.as_ref().map_or(Ok(()), |key| write!(f, " (key {})", shown(key)))
    }
}

impl std::error::Error for FileError {}

/// A key in quotes, cut off if it is long.
fn shown(key: &[u8]) -> String {
    let mut text = Vec::new();
    push_quoted(&mut text, &key[..key.len().min(KEY_SHOWN)]);
    let dots = if key.len() > KEY_SHOWN { "..." } else { "" };
    String::from_utf8_lossy(&text).into_owned() + dots
}
