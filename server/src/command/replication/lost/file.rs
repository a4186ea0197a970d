//! The files of writes that are lost: the commands themselves, as `redis-cli --pipe` takes them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Files that are kept; the oldest beyond that are deleted.
const FILES_MAX: usize = 16;

const BEGIN: &str = "lost-writes-";
const END: &str = ".resp";

/// Writes a file that is whole as soon as it has its name, which tells when that was. Returns where it is.
///
/// # Errors
///
/// What failed, and with which file.
pub fn write(folder: &Path, now_ms: u64, commands: &[u8]) -> Result<PathBuf, String> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let at = |what: &'static str, path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{what} {path}: {error}")
    };
    let beside = folder.join(format!("temp-{}.lost-writes", std::process::id()));
    let number = (now_ms..).find(|number| !name(&folder, *number).exists()).unwrap_or(now_ms);
    let path = name(&folder, number);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(commands).and_then(|()| file.sync_all()))
        .map_err(at("cannot write", &beside))
        .and_then(|()| fs::rename(&beside, &path).map_err(at("cannot rename the new file to", &path)));
    if let Err(why) = written {
        // It is of no use to anybody, and may be what has filled the disk.
        let _ = fs::remove_file(&beside);
        return Err(why);
    }
    let kept = File::open(&folder).and_then(|folder| folder.sync_all()).and_then(|()| delete_oldest(&folder));
    if let Err(error) = kept {
        tracing::warn!(%error, "the folder of {} could not be synced, or cleared of the oldest such files", path.display());
    }
    Ok(path)
}

fn name(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{BEGIN}{number}{END}"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(BEGIN)?.strip_suffix(END)?.parse().ok()
}

fn delete_oldest(folder: &Path) -> io::Result<()> {
    let mut numbers: Vec<u64> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(number_of));
    }
    numbers.sort_unstable();
    let oldest = numbers.len().saturating_sub(FILES_MAX);
    numbers[..oldest].iter().try_for_each(|number| fs::remove_file(name(folder, *number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("larder-lost-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_has_what_was_given_and_a_name_of_its_own() {
        let folder = Folder::new("names");
        let first = write(&folder.0, 1_000, b"one").unwrap();
        let second = write(&folder.0, 1_000, b"two").unwrap();
        assert_eq!((fs::read(first).unwrap(), fs::read(second).unwrap()), (b"one".to_vec(), b"two".to_vec()));
        assert_eq!(folder.names(), ["lost-writes-1000.resp", "lost-writes-1001.resp"]);
    }

    #[test]
    fn the_oldest_go_and_nothing_else_does() {
        let folder = Folder::new("oldest");
        let others = ["dump.rdb", "lost-writes-.resp", "lost-writes-1.resp.gz", "lost-writes-x.resp"];
        others.iter().for_each(|name| fs::write(folder.0.join(name), "").unwrap());
        // By number: as texts, 95 would come behind 114.
        (95..115).for_each(|number| drop(write(&folder.0, number, b"").unwrap()));
        let mut expected: Vec<String> = (99..115).map(|number| format!("lost-writes-{number}.resp")).collect();
        expected.extend(others.map(str::to_owned));
        expected.sort();
        assert_eq!(folder.names(), expected);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = Folder::new("gone");
        let why = write(&folder.0.join("none"), 1, b"").unwrap_err();
        assert!(why.starts_with("cannot write ") && why.contains("/none/") && why.contains("No such file"), "{why}");
        assert!(folder.names().is_empty());
    }
}
