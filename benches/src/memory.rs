//! How much a server's memory grows while something happens, with what the processes that it has forked have of their own.

use std::{
    io,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::{error::Error, proc};

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process's memory over a time, with what its children have copied.
pub struct Memory {
    pid: u32,
    before: u64,
}

impl Memory {
    /// Notes what it is now.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn new(pid: u32) -> io::Result<Memory> {
        Ok(Memory { pid, before: proc::resident_bytes(pid)? })
    }

    /// What it was at first.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// Runs something, and returns with its result how many more bytes there were at the worst.
    ///
    /// # Errors
    ///
    /// That of what is run.
    pub fn watch<T>(&self, run: impl FnOnce() -> Result<T, Error>) -> Result<(T, u64), Error> {
        let (peak, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // A child may end while it is looked at; the next look will do.
                    let own = proc::about_resident_bytes(self.pid).unwrap_or(0);
                    let copied: u64 = proc::children(self.pid).into_iter().filter_map(proc::private_bytes).sum();
                    peak.fetch_max(own + copied, Ordering::Relaxed);
                    thread::sleep(LOOK_EVERY);
                }
            });
            let result = run();
            is_over.store(true, Ordering::Relaxed);
            result
        })?;
        Ok((result, peak.load(Ordering::Relaxed).saturating_sub(self.before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_there_was_meanwhile_counts() {
        let memory = Memory::new(std::process::id()).unwrap();
        let hold = || {
            let held = vec![1u8; 64 << 20];
            thread::sleep(10 * LOOK_EVERY);
            Ok(held.len() as u64)
        };
        let (held, extra) = memory.watch(hold).unwrap();
        assert!(extra > held / 2 && extra < 100 * held, "{extra}");
    }
}
