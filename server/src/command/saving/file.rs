//! Files that are replaced as a whole: written beside their name, synced and renamed, so that what stands under the name is whole
//! at any time.

use crate::persist::rdb::file_write::Sum;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Bytes after which the system is asked to write to the disk, so that it does not have all to write at the end.
const SYNC_BYTES: u64 = 4 << 20;

/// Writes all of an RDB file but its end to a sink, ends it, with a sum if `sums` says so, and puts it under the name. Returns what
/// `write` does, and the length of the file.
///
/// # Errors
///
/// What could not be done; what stood under the name still does then.
pub fn replace<T>(
    path: &Path,
    beside: &Path,
    sums: bool,
    write: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<T>,
) -> Result<(T, u64), String> {
    let at = |what: &'static str, path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{what} {path}: {error}")
    };
    let mut file = File::create(beside).map_err(at("cannot create", beside))?;
    let mut sink = Sink { file: &mut file, bytes: 0, synced: 0, sum: Sum::default() };
    let written = write(&mut |bytes| sink.write(bytes))
        .map_err(at("cannot write", beside))
        .and_then(|result| {
            let end = sink.sum.end(sums);
            sink.file.write_all(&end).and_then(|()| sink.file.sync_all()).map_err(at("cannot write", beside))?;
            Ok((result, sink.bytes + end.len() as u64))
        })
        .and_then(|written| {
            fs::rename(beside, path).map_err(at("cannot rename the new file to", path))?;
            // The new name is only safe once its folder is on disk.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("cannot sync the folder of", path))?;
            Ok(written)
        });
    if written.is_err() {
        // It is of no use to anybody, and may be what has filled the disk.
        let _ = fs::remove_file(beside);
    }
    written
}

struct Sink<'a> {
    file: &'a mut File,
    bytes: u64,
    synced: u64,
    sum: Sum,
}

impl Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.add(bytes);
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        if self.bytes - self.synced >= SYNC_BYTES {
            self.synced = self.bytes;
            self.file.sync_data()?;
        }
        Ok(())
    }
}
