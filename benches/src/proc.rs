//! What Linux tells about a process: CPU time and resident memory.

use std::{fs, io, time::Duration};

use crate::os;

/// The CPU time, user and system, that the living threads of a process have used.
///
/// It comes from the scheduler's own clock (nanoseconds), which is brought up to date at each tick: a busy thread's figure
/// may be one tick (1 to 10 ms) old. Threads that have ended no longer count, nor do child processes.
///
/// # Errors
///
/// If the process is gone, belongs to another user, or the kernel was built without schedstat.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        match fs::read_to_string(task?.path().join("schedstat")) {
            Ok(text) => nanos += on_cpu(&text)?,
            // The thread ended since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// "No such process": what reading a file of a thread gives once the thread has ended.
const ESRCH: i32 = 3;

/// The CPU time of the calling thread.
pub fn own_cpu_time() -> io::Result<Duration> {
    on_cpu(&fs::read_to_string("/proc/thread-self/schedstat")?).map(Duration::from_nanos)
}

/// The first field of a schedstat: nanoseconds on a CPU. (The others are the wait for one, and the times it ran.)
fn on_cpu(schedstat: &str) -> io::Result<u64> {
    let first = schedstat.split_whitespace().next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| invalid(format!("a schedstat reads {schedstat:?}, which does not start with a number")))
}

/// Resident bytes of a process: smaps_rollup, which counts pages, or statm, which may lag behind by some of them.
///
/// # Errors
///
/// If the process is gone or neither file can be read.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        return rollup_bytes(&text);
    }
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: Option<u64> = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    pages.map(|pages| pages * os::page_bytes()).ok_or_else(|| invalid(format!("statm reads {text:?}")))
}

fn rollup_bytes(text: &str) -> io::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib: Option<u64> = line.and_then(|rest| rest.trim().strip_suffix("kB")).and_then(|n| n.trim().parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| invalid("smaps_rollup has no line `Rss: N kB`".to_owned()))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_first_field_of_a_schedstat_is_read() {
        assert_eq!(on_cpu("337056977 2993271 237\n").unwrap(), 337_056_977);
        assert!(on_cpu("").is_err());
        assert!(on_cpu("x 1 2").is_err());
    }

    #[test]
    fn busy_work_shows_in_the_thread_and_in_the_process() {
        let own = own_cpu_time().unwrap();
        let started = Instant::now();
        // Another process may take the core for a while, hence the long wait for a short stretch of CPU time.
        let mut spent = Duration::ZERO;
        while spent < Duration::from_millis(40) && started.elapsed() < Duration::from_secs(20) {
            spent = own_cpu_time().unwrap() - own;
        }
        assert!(spent >= Duration::from_millis(40), "{spent:?}");
        assert!(cpu_time(std::process::id()).unwrap() >= spent);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(
            rollup_bytes("55d0-7ffe ---p 0 00:00 0 [rollup]\nRss:    1872 kB\nPss: 1 kB\n").unwrap(),
            1872 * 1024
        );
        let held = vec![1u8; 64 << 20];
        assert!(resident_bytes(std::process::id()).unwrap() > 64 << 20);
        drop(held);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(cpu_time(u32::MAX).is_err());
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
