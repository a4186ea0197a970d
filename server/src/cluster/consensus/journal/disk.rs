//! The few things that a journal asks of a disk: a folder of files that grow at their ends. [`Folder`] is a real one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A folder. Names are plain file names.
pub trait Disk {
    fn list(&self) -> io::Result<Vec<String>>;
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes an empty file, in place of one of that name.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Appends to a file that is there. After an error some of the bytes may have been written.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Returns once all bytes of the file would survive a loss of power.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()>;
    /// Puts one name in the place of another, at one moment.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Returns once names made, changed and removed would survive a loss of power.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A folder of the file system, which one process has at a time.
pub struct Folder {
    path: PathBuf,
    /// The file that was written last.
    open: Option<(String, File)>,
    _lock: File,
}

const LOCK: &str = "lock";

impl Folder {
    /// Takes a folder, making it if needed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if another process has it.
    pub fn open(path: &Path) -> io::Result<Folder> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            // The folder's own name has to last, too.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            sync_names(parent.unwrap_or(Path::new(".")))?;
        }
        let lock = File::create(path.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let text = format!("another process uses {}; stop it first", path.display());
                io::Error::new(io::ErrorKind::WouldBlock, text)
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(Folder { path: path.to_owned(), open: None, _lock: lock })
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| open != name) {
            let file = OpenOptions::new().append(true).open(self.path.join(name))?;
            self.open = Some((name.to_owned(), file));
        }
        let (_, file) = self.open.as_mut().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.path.join(name))
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        File::create(self.path.join(name)).map(drop)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all(bytes)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.file(name)?.set_len(len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        sync_names(&self.path)
    }
}

/// Windows has no handle of a folder that could be synced; there a rename is in the file system's own journal.
fn sync_names(folder: &Path) -> io::Result<()> {
    if cfg!(windows) { Ok(()) } else { File::open(folder)?.sync_all() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_at_a_time() {
        let path = std::env::temp_dir().join(format!("larder-folder-{}", std::process::id()));
        let folder = Folder::open(&path).unwrap();
        let error = Folder::open(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(folder);
        let mut folder = Folder::open(&path).unwrap();
        folder.create("one").unwrap();
        folder.append("one", b"abcd").unwrap();
        folder.truncate("one", 3).unwrap();
        folder.append("one", b"e").unwrap();
        folder.sync("one").unwrap();
        folder.rename("one", "two").unwrap();
        folder.sync_folder().unwrap();
        assert_eq!(folder.read("two").unwrap(), b"abce");
        folder.remove("two").unwrap();
        assert_eq!(folder.list().unwrap(), [LOCK]);
        std::fs::remove_dir_all(path).unwrap();
    }
}
