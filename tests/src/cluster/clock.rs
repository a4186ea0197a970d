//! The clock of a node, which a test may set while the node runs: see `clock.c`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("clock.c");

/// How a clock is made known to a program.
#[derive(Debug)]
pub(super) struct Clock {
    library: PathBuf,
    /// By how much it is off, in nanoseconds.
    offset: PathBuf,
}

/// Builds what is loaded into nodes, in this folder. It takes the C compiler that Rust needs for linking anyway.
///
/// # Errors
///
/// What the compiler said, or that there is none.
pub(super) fn build(folder: &Path) -> io::Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE)?;
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(&source);
    let ended = command.arg("-ldl").output()?;
    let told = || io::Error::other(format!("cc: {}", String::from_utf8_lossy(&ended.stderr)));
    ended.status.success().then_some(library).ok_or_else(told)
}

impl Clock {
    /// A clock that is right so far, for the node that has this folder.
    pub(super) fn new(library: &Path, folder: &Path) -> io::Result<Self> {
        let clock = Self { library: library.to_owned(), offset: folder.join("clock") };
        File::create(&clock.offset)?;
        clock.set(0)?;
        Ok(clock)
    }

    /// Has it show a time that is so many milliseconds later, or earlier.
    pub(super) fn set(&self, millis: i64) -> io::Result<()> {
        let nanos = millis * 1_000_000;
        // In one go and in place: the node reads it all the time.
        File::options().write(true).open(&self.offset)?.write_all_at(&nanos.to_ne_bytes(), 0)
    }

    /// Has a program start with it.
    pub(super) fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("LARDER_TEST_CLOCK", &self.offset);
    }
}
