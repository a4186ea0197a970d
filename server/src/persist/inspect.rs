//! What `larder rdb check` and `larder rdb stats` say about an RDB file.
//!
//! Both read the whole file and every value in it, as loading it would, in pieces, and keep but counts.

mod advice;
mod check;
mod pattern;
mod stats;
mod text;

use super::rdb::Limits;
use super::rdb::file::{Checksum, FileError, FileReader, Step};
use crate::base::json::json_text;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use text::{grouped, key_shown};

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// What was found out.
pub struct Found {
    /// For standard output; it ends with the end of a line.
    pub text: String,
    /// For people, if the file cannot be read to its end.
    pub error: Option<String>,
}

/// Reads a file and says whether it is sound, and what it holds. `progress` is told how many bytes of all are read.
pub fn check(path: &Path, json: bool, progress: &mut dyn FnMut(u64, u64)) -> Found {
    let mut tally = check::Tally::at(now_ms());
    let read = walk(path, progress, |step| tally.take(step));
    found(path, json, read, |whole| if json { tally.json(path, whole) } else { tally.text(path, whole) })
}

/// Reads a file and says what takes how much of it. `progress` is told how many bytes of all are read.
pub fn stats(path: &Path, json: bool, progress: &mut dyn FnMut(u64, u64)) -> Found {
    let mut tally = stats::Tally::at(now_ms());
    let read = walk(path, progress, |step| tally.take(step));
    found(path, json, read, |whole| if json { tally.json(path, whole) } else { tally.text(path, whole) })
}

fn found(path: &Path, json: bool, read: Result<Whole, Broken>, shown: impl Fn(&Whole) -> String) -> Found {
    match read {
        Ok(whole) => Found { text: shown(&whole), error: None },
        Err(broken) => {
            let text = if json { broken.json(path) } else { String::new() };
            Found { text, error: Some(broken.text(path)) }
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A file that was read to its end.
struct Whole {
    version: u16,
    checksum: Checksum,
    /// Of the file as far as its sum.
    bytes: u64,
    /// What stands behind it.
    bytes_behind: u64,
    elapsed: Duration,
}

/// A file that was not.
struct Broken {
    why: Why,
    /// Entries that were read before.
    keys: u64,
    key_last: Option<Vec<u8>>,
}

enum Why {
    NotThere,
    Folder,
    System(io::Error),
    Content(FileError),
}

impl Broken {
    fn new(why: Why) -> Broken {
        Broken { why, keys: 0, key_last: None }
    }

    fn json(&self, path: &Path) -> String {
        let offset = if let Why::Content(error) = &self.why { error.offset.to_string() } else { "null".to_owned() };
        let (file, error) = (json_text(&path.display().to_string()), json_text(&self.why.to_string()));
        format!(
            "{{\"file\":{file},\"sound\":false,\"error\":{error},\"offset\":{offset},\"keys_before\":{}}}\n",
            self.keys
        )
    }

    fn text(&self, path: &Path) -> String {
        let mut text = format!("{}: {}\n", path.display(), self.why);
        if let (Why::Content(_), Some(key)) = (&self.why, &self.key_last) {
            let keys = if self.keys == 1 { "key was" } else { "keys were" };
            text += &format!("  {} {keys} read well before, the last is {}\n", grouped(self.keys), key_shown(key));
        }
        text + &format!("  {}\n", advice::on(&self.why))
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::NotThere => f.write_str("there is no such file"),
            Why::Folder => f.write_str("this is a folder"),
            Why::System(error) => write!(f, "cannot read it: {error}"),
            Why::Content(error) => error.fmt(f),
        }
    }
}

/// Reads a file to the end of its last item, and shows each.
fn walk(path: &Path, progress: &mut dyn FnMut(u64, u64), mut each: impl FnMut(&Step)) -> Result<Whole, Broken> {
    let started = Instant::now();
    let (mut file, bytes_all) = open(path).map_err(Broken::new)?;
    let mut reader = FileReader::new(Limits::default());
    let (mut piece, mut bytes_read) = (vec![0; PIECE], 0);
    let (mut keys, mut key_last) = (0, None);
    loop {
        let broken = |why| Broken { why, keys, key_last: None };
        let len = read_some(&mut file, &mut piece).map_err(|error| broken(Why::System(error)))?;
        reader.feed(&piece[..len]);
        bytes_read += len as u64;
        progress(bytes_read, bytes_all);
        loop {
            match reader.next() {
                Ok(Step::NeedMore) => break,
                Ok(Step::End(checksum)) => {
                    let bytes_behind = bytes_all.max(bytes_read) - reader.offset();
                    let version = reader.version().unwrap_or_default();
                    let (bytes, elapsed) = (reader.offset(), started.elapsed());
                    return Ok(Whole { version, checksum, bytes, bytes_behind, elapsed });
                }
                Ok(mut step) => {
                    each(&step);
                    if let Step::Entry(entry) = &mut step {
                        keys += 1;
                        key_last = Some(std::mem::take(&mut entry.key));
                    }
                }
                Err(error) => return Err(Broken { why: Why::Content(error), keys, key_last }),
            }
        }
        if len == 0 {
            let error = reader.end_of_input().err();
            let why = error.map_or_else(|| Why::System(io::ErrorKind::UnexpectedEof.into()), Why::Content);
            return Err(Broken { why, keys, key_last });
        }
    }
}

fn open(path: &Path) -> Result<(File, u64), Why> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Why::NotThere,
        _ => Why::System(error),
    })?;
    let about = file.metadata().map_err(Why::System)?;
    if about.is_dir() { Err(Why::Folder) } else { Ok((file, about.len())) }
}

fn read_some(file: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests;
