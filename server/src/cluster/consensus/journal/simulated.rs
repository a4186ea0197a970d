//! A disk for tests: it forgets what was not synced, tears what was being written, fills up, and fails.

use std::collections::BTreeMap;
use std::io;

use super::disk::Disk;
use super::frame::SECTOR_BYTES;
use crate::cluster::consensus::tests::random::Random;

#[derive(Clone, Default)]
pub(in crate::cluster) struct Simulated {
    files: Vec<File>,
    /// What names lead to, for those who look now.
    names: BTreeMap<String, usize>,
    /// What they led to when the folder was synced, and what has been done since.
    names_synced: BTreeMap<String, usize>,
    since: Vec<Renaming>,
    /// Bytes that files may hold together.
    pub(in crate::cluster) room: Option<usize>,
    pub(in crate::cluster) fails_sync: bool,
    /// Bytes written and other calls until the power goes.
    pub(in crate::cluster) power: Option<usize>,
}

#[derive(Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

#[derive(Clone)]
enum Renaming {
    Make(String, usize),
    Move(String, String),
    Remove(String),
}

impl Renaming {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Renaming::Make(name, file) => drop(names.insert(name, file)),
            Renaming::Remove(name) => drop(names.remove(&name)),
            Renaming::Move(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
        }
    }
}

impl Simulated {
    /// An empty disk whose power goes after so many bytes and calls.
    pub(in crate::cluster) fn with_power(power: usize) -> Simulated {
        Simulated { power: Some(power), ..Simulated::default() }
    }

    /// The process dies. All that it wrote is there, in the page cache.
    pub(in crate::cluster) fn kill(mut self) -> Simulated {
        self.power = None;
        self.fails_sync = false;
        self
    }

    /// The power goes. What was not synced is there, or in part, or not at all.
    pub(in crate::cluster) fn crash(self, random: &mut Random) -> Simulated {
        let mut names = self.names_synced;
        // A file system that keeps a journal has a beginning of what was done to names.
        let done = random.below(self.since.len() + 1);
        self.since.into_iter().take(done).for_each(|renaming| renaming.apply(&mut names));
        let torn = |random: &mut Random, file: File| {
            let mut bytes = file.bytes;
            if !bytes.starts_with(&file.synced) {
                bytes = file.synced.clone();
            }
            let kept = file.synced.len();
            bytes.truncate(kept + random.below(bytes.len() - kept + 1));
            let mut start = kept;
            while start < bytes.len() {
                let end = bytes.len().min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if random.below(4) == 0 {
                    bytes[start..end].fill(0);
                }
                start = end;
            }
            File { synced: bytes.clone(), bytes }
        };
        let files = self.files.into_iter().map(|file| torn(random, file)).collect();
        Simulated { files, names: names.clone(), names_synced: names, ..Simulated::default() }
    }

    pub(in crate::cluster) fn used(&self) -> usize {
        self.names.values().map(|file| self.files[*file].bytes.len()).sum()
    }

    pub(in crate::cluster) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(in crate::cluster) fn bytes(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.files[self.names[name]].bytes
    }

    fn spend(&mut self, wanted: usize) -> io::Result<()> {
        match &mut self.power {
            Some(left) if *left < wanted => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= wanted;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let file = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut self.files[file])
    }

    fn rename_by(&mut self, renaming: Renaming) {
        renaming.clone().apply(&mut self.names);
        self.since.push(renaming);
    }
}

impl Disk for Simulated {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files[*file].bytes.clone())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.spend(1)?;
        self.files.push(File::default());
        self.rename_by(Renaming::Make(name.to_owned(), self.files.len() - 1));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let powered = self.power.unwrap_or(bytes.len()).min(bytes.len());
        let room = self.room.map_or(bytes.len(), |room| room.saturating_sub(self.used()));
        self.file(name)?.bytes.extend(&bytes[..powered.min(room)]);
        self.spend(bytes.len()).inspect_err(|_| self.power = Some(0))?;
        if room < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.spend(1)?;
        if self.fails_sync {
            return Err(io::Error::other("input/output error"));
        }
        let file = self.file(name)?;
        file.synced.clone_from(&file.bytes);
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.spend(1)?;
        self.file(name)?.bytes.truncate(len as usize);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.spend(1)?;
        self.rename_by(Renaming::Move(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.spend(1)?;
        self.rename_by(Renaming::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.spend(1)?;
        if self.fails_sync {
            return Err(io::Error::other("input/output error"));
        }
        self.names_synced.clone_from(&self.names);
        self.since.clear();
        Ok(())
    }
}
