//! A disk so small that it can be filled: memory that is mounted on a folder, seen by the test and its nodes alone.

use crate::namespace::{self, ADVICE, Own};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILLER: &str = "filler";

/// Runs a test that may mount small disks. Where the system does not allow that, this says so and does nothing.
#[track_caller]
pub fn with_small_disks(test: impl FnOnce() + Send) {
    if let Err(error) = namespace::within(Own::Mounts, || {
        test();
        Ok(())
    }) {
        eprintln!("left out: {error}; {ADVICE}");
    }
}

/// A disk that is mounted. Dropping it unmounts it; who has files of it open keeps them.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many KiB on a folder, which is made if needed.
    #[track_caller]
    pub fn mount(folder: &Path, kib: usize) -> Self {
        fs::create_dir_all(folder).expect("a folder can be created");
        let path = folder.to_str().expect("temporary folders have plain names");
        namespace::command(&format!("mount -t tmpfs -o size={kib}k none {path}")).expect("memory can be mounted");
        Self { folder: folder.to_owned() }
    }

    /// Leaves no room on it, but for what is left of the pages at the ends of its files.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.folder.join(FILLER)).expect("there is room for a name");
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 1024]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    }

    /// Gives back the room that was taken.
    pub fn make_room(&self) {
        fs::remove_file(self.folder.join(FILLER)).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The mount goes with the test's thread at the latest.
        let _ = namespace::command(&format!("umount -l {}", self.folder.display()));
    }
}
