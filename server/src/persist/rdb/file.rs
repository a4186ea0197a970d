//! RDB files, read piece by piece: bytes go in as they come, items come out as soon as they are whole. It touches no
//! file and no socket, so it reads a file on disk and the snapshot that a primary sends alike.
//!
//! ```text
//! file  = magic item* 0xff sum:u64          `REDIS` and 4 digits, or `VALKEY` and 3; the sum is there since format 5
//! item  = opcode parts | attribute* type key value
//! ```
//! The sum is the CRC-64 of all bytes before it, or 0 if it was not computed. What stands behind it is left alone.
//!
//! Source: the comments in Redis's and Valkey's `rdb.h`, and the files that their servers write.

mod error;
mod extent;
#[cfg(test)]
mod tests;

pub use error::{FileError, Problem};

use super::{Limits, LoadError, Loaded, Reader, VERSION_VALKEY, Value, is_known};
use crate::base::crc64::crc64;
use extent::{Extent, Part};

/// Bytes of the magic and the version.
const HEAD: usize = 9;

const REDIS: &[u8] = b"REDIS";
const VALKEY: &[u8] = b"VALKEY";

/// The first format with a sum at its end.
const VERSION_WITH_SUM: u16 = 5;

/// First bytes of items; lower ones are types of values.
mod opcode {
    /// The lowest byte that no type of a value will have.
    pub(super) const FIRST: u8 = 240;
    /// Valkey 9: slots that are being moved here, whose keys are in the file.
    pub(super) const SLOT_IMPORT: u8 = 243;
    /// Redis 7.4: how many keys a slot has.
    pub(super) const SLOT_INFO: u8 = 244;
    /// A library of functions, since RDB 10.
    pub(super) const LIBRARY: u8 = 245;
    /// What a module keeps beside keys.
    pub(super) const MODULE_AUX: u8 = 247;
    /// Seconds since the next key was used.
    pub(super) const IDLE: u8 = 248;
    /// How often the next key is used, on the logarithmic scale of Redis's LFU.
    pub(super) const FREQUENCY: u8 = 249;
    /// A name and a text about the file.
    pub(super) const AUX: u8 = 250;
    /// How many keys the database has, and how many of these expire.
    pub(super) const RESIZE: u8 = 251;
    /// When the next key expires, in milliseconds.
    pub(super) const EXPIRY_MS: u8 = 252;
    /// When the next key expires, in seconds.
    pub(super) const EXPIRY_S: u8 = 253;
    /// The database of the keys that follow.
    pub(super) const DATABASE: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// Memory that the window keeps between items: a few of the pieces that files are read in.
const WINDOW_KEPT: usize = 4 << 20;

/// Reads a file. Give it bytes with [`FileReader::feed`], then take [`FileReader::next`] until it needs more.
///
/// It holds the bytes that were fed and not yet taken, and the item in hand; what a file promises costs nothing. So
/// memory is bounded by the longest item, and by what is fed at a time. Who wants a bound on items as well looks at how
/// much is [`FileReader::unread`] before it feeds more.
pub struct FileReader {
    limits: Limits,
    window: Vec<u8>,
    /// Where in the window the current item begins.
    start: usize,
    /// Bytes of the file in front of the current item.
    offset: u64,
    /// Of the bytes before the current item.
    sum: u64,
    version: Option<u16>,
    database: u64,
    attributes: Attributes,
    stage: Stage,
}

enum Stage {
    Head,
    /// Between two items.
    Between,
    Inside(Extent),
    Ended(Checksum),
    Failed(FileError),
}

/// What was said of the next key.
#[derive(Clone, Copy, Default)]
struct Attributes {
    expiry_ms: Option<u64>,
    idle_s: Option<u64>,
    frequency: Option<u8>,
    /// The bytes that say so.
    bytes: u64,
}

/// What comes next.
pub enum Step {
    /// Nothing is whole yet: feed more, or tell that there is no more with [`FileReader::end_of_input`].
    NeedMore,
    /// Something about the file, such as `redis-ver` or `ctime`. Unknown names are to be passed over.
    Aux {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// The database of the entries that follow. Before the first it is 0.
    Database(u64),
    /// How many keys the database has and how many of them expire. It is a hint, and may be anything.
    Resize {
        keys: u64,
        expiring: u64,
    },
    Entry(Entry),
    /// The source of a library of functions, kept as it is.
    Library(Vec<u8>),
    /// Something that leads to nothing here.
    Skipped(Skipped),
    /// The file is whole. Asked again, the answer is the same.
    End(Checksum),
}

/// A key and its value. One whose time has passed is an entry like any other, and keys may come twice.
pub struct Entry {
    pub database: u64,
    pub key: Vec<u8>,
    pub value: Value,
    /// When the key expires, in milliseconds since 1970; at least 1. A time before 1970 is 1.
    pub expiry_ms: Option<u64>,
    /// Seconds since the key was used.
    pub idle_s: Option<u64>,
    /// How often it is used, on the logarithmic scale of Redis's LFU.
    pub frequency: Option<u8>,
    /// The value's type byte, one of [`super::kind`].
    pub kind: u8,
    /// Bytes of the file that the entry takes.
    pub bytes: u64,
}

/// Items that are sound and passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// A key whose collection has no elements. Redis passes over these.
    Empty { database: u64, key: Vec<u8>, kind: u8 },
    /// What a module of this number kept beside keys.
    ModuleAux(u64),
    /// How many keys a slot has: a hint of Redis 7.4 and later.
    SlotInfo,
    /// A migration of slots, of this name, that went on while the file was written (Valkey 9). Keys of these slots are in the
    /// file although the writer did not own them yet.
    SlotImport(Vec<u8>),
}

/// What the sum at the end says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It agrees with the bytes.
    Right,
    /// It was not computed, or the format is older than sums.
    Absent,
}

impl FileReader {
    /// Collections stay in their small forms up to these limits.
    pub fn new(limits: Limits) -> FileReader {
        FileReader {
            limits,
            window: Vec::new(),
            start: 0,
            offset: 0,
            sum: 0,
            version: None,
            database: 0,
            attributes: Attributes::default(),
            stage: Stage::Head,
        }
    }

    /// Adds bytes of the file behind those that were fed before.
    pub fn feed(&mut self, bytes: &[u8]) {
        // What was taken is cut off before more comes in; it is never less than what has to be moved for that, or else
        // many small pieces would move a large item again and again.
        if self.start >= self.window.len() - self.start {
            self.window.drain(..self.start);
            self.start = 0;
            if self.window.capacity() > WINDOW_KEPT {
                self.window.shrink_to(WINDOW_KEPT.max(self.window.len() + bytes.len()));
            }
        }
        self.window.extend_from_slice(bytes);
    }

    /// The next item of those that are whole.
    ///
    /// # Errors
    ///
    /// [`FileError`], the same each time once there is one.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end where more bytes are needed")]
    pub fn next(&mut self) -> Result<Step, FileError> {
        let step = self.step();
        if let Err(error) = &step {
            self.stage = Stage::Failed(error.clone());
        }
        step
    }

    /// Says that there are no more bytes, once [`FileReader::next`] has asked for some.
    ///
    /// # Errors
    ///
    /// [`FileError`] unless the file has ended: [`Problem::Truncated`], or the error it has failed with before.
    pub fn end_of_input(&self) -> Result<Checksum, FileError> {
        let problem = match &self.stage {
            Stage::Ended(checksum) => return Ok(*checksum),
            Stage::Failed(error) => return Err(error.clone()),
            Stage::Head if self.window.is_empty() => Problem::Nothing,
            _ => Problem::Truncated { end: self.offset + (self.window.len() - self.start) as u64 },
        };
        Err(self.error(problem))
    }

    /// The format's number, once the head is there.
    pub fn version(&self) -> Option<u16> {
        self.version
    }

    /// Bytes of the file that have been taken: where the next item begins.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that were fed and are no part of what was taken; behind the end, what follows the file.
    pub fn unread(&self) -> &[u8] {
        &self.window[self.start..]
    }

    fn step(&mut self) -> Result<Step, FileError> {
        loop {
            match &mut self.stage {
                Stage::Failed(error) => return Err(error.clone()),
                Stage::Ended(checksum) => return Ok(Step::End(*checksum)),
                Stage::Head => {
                    let Some(version) = head(self.unread()).map_err(|problem| self.error(problem))? else {
                        return Ok(Step::NeedMore);
                    };
                    self.version = Some(version);
                    self.pass(HEAD);
                    self.stage = Stage::Between;
                }
                Stage::Between => {
                    let Some(&first) = self.unread().first() else { return Ok(Step::NeedMore) };
                    let extent = self.extent(first).map_err(|problem| self.error(problem))?;
                    self.stage = Stage::Inside(extent);
                }
                Stage::Inside(extent) => {
                    let is_whole = extent.advance(&self.window[self.start..]);
                    let len = extent.len();
                    if !is_whole.map_err(|error| self.error(Problem::Value(error)))? {
                        return Ok(Step::NeedMore);
                    }
                    self.stage = Stage::Between;
                    if let Some(step) = self.item(len)? {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// What an item is made of that begins with this byte.
    fn extent(&self, first: u8) -> Result<Extent, Problem> {
        use Part::{Bytes, Length, Module, Text, Times};
        let version = self.version.unwrap_or_default();
        Ok(match first {
            opcode::AUX => Extent::of(&[Text, Text]),
            opcode::DATABASE | opcode::IDLE => Extent::of(&[Length]),
            opcode::RESIZE => Extent::of(&[Length, Length]),
            opcode::EXPIRY_S => Extent::of(&[Bytes(4)]),
            opcode::EXPIRY_MS => Extent::of(&[Bytes(8)]),
            opcode::FREQUENCY => Extent::of(&[Bytes(1)]),
            opcode::LIBRARY => Extent::of(&[Text]),
            opcode::MODULE_AUX => Extent::of(&[Length, Length, Length, Module]),
            opcode::SLOT_INFO => Extent::of(&[Length, Length, Length]),
            opcode::SLOT_IMPORT if version >= VERSION_VALKEY => Extent::of(&[Text, Times(&[Length, Length])]),
            opcode::END if version >= VERSION_WITH_SUM => Extent::of(&[Bytes(8)]),
            opcode::END => Extent::of(&[]),
            opcode::FIRST.. => return Err(Problem::UnknownOpcode(first)),
            // A type that is not known is told with its key.
            kind => Extent::of_entry(extent::value(kind, version).unwrap_or_default()),
        })
    }

    /// Reads the item that makes up the next `len` bytes; `None` if it only says something about the next key.
    fn item(&mut self, len: usize) -> Result<Option<Step>, FileError> {
        let bytes = &self.window[self.start..][..len];
        let mut reader = Reader::new(&bytes[1..], self.version.unwrap_or_default());
        let step = match bytes[0] {
            opcode::END => return self.end(len).map(Some),
            opcode::FIRST.. => {
                let read = read_opcode(bytes[0], &mut reader, &mut self.attributes);
                let step = read.map_err(|error| self.error(Problem::Value(error)))?;
                match &step {
                    Some(Step::Database(database)) => self.database = *database,
                    Some(_) => {}
                    None => self.attributes.bytes += len as u64,
                }
                step
            }
            kind => Some(self.entry(kind, len)?),
        };
        self.pass(len);
        Ok(step)
    }

    fn entry(&mut self, kind: u8, len: usize) -> Result<Step, FileError> {
        let body = &self.window[self.start..][1..len];
        let mut reader = Reader::new(body, self.version.unwrap_or_default());
        let read = reader.string().and_then(|key| {
            let value = match reader.value(kind, &self.limits) {
                Err(LoadError::Empty) => None,
                Ok(_) if !reader.rest().is_empty() => return Err(LoadError::Corrupt),
                value => Some(value?),
            };
            Ok((key.into_owned(), value))
        });
        let (key, value) = read.map_err(|error| self.error(Problem::Value(error)))?;
        let Attributes { expiry_ms, idle_s, frequency, bytes } = std::mem::take(&mut self.attributes);
        let database = self.database;
        Ok(match value {
            None => Step::Skipped(Skipped::Empty { database, key, kind }),
            Some(value) => {
                let bytes = bytes + len as u64;
                Step::Entry(Entry { database, key, value, expiry_ms, idle_s, frequency, kind, bytes })
            }
        })
    }

    /// Compares the sum behind the last opcode, if there is one.
    fn end(&mut self, len: usize) -> Result<Step, FileError> {
        let bytes = &self.window[self.start..][..len];
        let found = bytes[1..].first_chunk().map_or(0, |&sum| u64::from_le_bytes(sum));
        let computed = crc64(self.sum, &bytes[..1]);
        let checksum = match found {
            0 => Checksum::Absent,
            sum if sum == computed => Checksum::Right,
            found => return Err(self.error(Problem::Checksum { found, computed })),
        };
        self.pass(len);
        self.stage = Stage::Ended(checksum);
        Ok(Step::End(checksum))
    }

    fn pass(&mut self, len: usize) {
        self.sum = crc64(self.sum, &self.window[self.start..][..len]);
        self.start += len;
        self.offset += len as u64;
    }

    /// An error of the item in hand, which begins with what was said of its key.
    fn error(&self, problem: Problem) -> FileError {
        let unread = self.unread();
        let key = unread.split_first().filter(|&(&first, _)| self.version.is_some() && first < opcode::FIRST);
        let key = key.and_then(|(_, rest)| Reader::new(rest, 0).string().ok());
        let begin = if key.is_some() { self.attributes.bytes } else { 0 };
        FileError { offset: self.offset - begin, key: key.map(|key| key.into_owned()), problem }
    }
}

/// The format's number; `None` if more bytes are needed to tell.
fn head(bytes: &[u8]) -> Result<Option<u16>, Problem> {
    let magic = [REDIS, VALKEY].into_iter().find(|magic| magic.iter().zip(bytes).all(|(one, other)| one == other));
    let magic = magic.ok_or(Problem::NoMagic)?;
    let Some(digits) = bytes.get(magic.len()..HEAD) else { return Ok(None) };
    let text = str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    let version: u16 = text.and_then(|digits| digits.parse().ok()).ok_or(Problem::NoMagic)?;
    let is_own = (magic == VALKEY) == (version >= VERSION_VALKEY);
    if version == 0 || !is_known(version) || !is_own {
        return Err(Problem::UnknownVersion { version, is_valkey: magic == VALKEY });
    }
    Ok(Some(version))
}

/// Reads the rest of an item that is no entry; `None` if it says something about the next key.
fn read_opcode(opcode: u8, reader: &mut Reader<'_>, attributes: &mut Attributes) -> Loaded<Option<Step>> {
    Ok(Some(match opcode {
        opcode::AUX => Step::Aux { name: reader.string()?.into_owned(), value: reader.string()?.into_owned() },
        opcode::DATABASE => Step::Database(reader.length()?),
        opcode::RESIZE => Step::Resize { keys: reader.length()?, expiring: reader.length()? },
        opcode::LIBRARY => Step::Library(reader.string()?.into_owned()),
        opcode::SLOT_INFO => Step::Skipped(Skipped::SlotInfo),
        opcode::SLOT_IMPORT => Step::Skipped(Skipped::SlotImport(reader.string()?.into_owned())),
        opcode::MODULE_AUX => Step::Skipped(Skipped::ModuleAux(reader.length()?)),
        attribute => {
            match attribute {
                opcode::IDLE => attributes.idle_s = Some(reader.length()?),
                opcode::FREQUENCY => attributes.frequency = Some(reader.byte()?),
                opcode::EXPIRY_S => {
                    let seconds = i64::from(i32::from_le_bytes(reader.chunk()?));
                    attributes.expiry_ms = Some(seconds.saturating_mul(1000).max(1) as u64);
                }
                opcode::EXPIRY_MS => {
                    let millis = reader.millis()?;
                    // This number alone stands for no expiry.
                    attributes.expiry_ms = (millis != -1).then_some(millis.max(1) as u64);
                }
                unknown => return Err(LoadError::UnknownType(unknown)),
            }
            return Ok(None);
        }
    }))
}
