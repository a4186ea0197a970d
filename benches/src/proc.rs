//! What Linux tells about a process: CPU time and resident memory.

use std::{fs, io, os::unix::fs::FileExt, time::Duration};

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
    field(schedstat, 0)
}

/// One of the numbers in a line of them.
fn field(line: &str, index: usize) -> io::Result<u64> {
    let number = line.split_whitespace().nth(index).and_then(|word| word.parse().ok());
    number.ok_or_else(|| invalid(format!("{line:?} has no number in place {index}")))
}

/// What the threads of a process had to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits {
    /// Time they were ready to run and no core was free for them.
    pub for_core: Duration,
    /// Times a core was taken from them.
    pub preempted: u64,
}

/// The waits of a process's threads since they began.
///
/// # Errors
///
/// As [`cpu_time`].
pub fn waits(pid: u32) -> io::Result<Waits> {
    let mut waits = Waits::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = task?.path();
        let read = |file: &str| fs::read_to_string(folder.join(file));
        let (Ok(schedstat), Ok(status)) = (read("schedstat"), read("status")) else { continue };
        waits.for_core += Duration::from_nanos(field(&schedstat, 1)?);
        waits.preempted += preempted(&status)?;
    }
    Ok(waits)
}

fn preempted(status: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    let count = line.and_then(|rest| rest.trim().parse().ok());
    count.ok_or_else(|| invalid("a status has no line `nonvoluntary_ctxt_switches: N`".to_owned()))
}

/// Time that the machine's host took from one of its cores, to within 10 ms; zero where there is no host.
pub fn stolen_time(core: usize) -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let ticks = line.and_then(|rest| rest.split_whitespace().nth(7)).and_then(|word| word.parse::<u64>().ok());
    Ok(Duration::from_millis(ticks.unwrap_or(0) * 10))
}

/// The wait for a core of each thread of a process, asked for often: its files stay open.
pub struct Watch(Vec<fs::File>);

impl Watch {
    /// Watches the threads that there are now.
    ///
    /// # Errors
    ///
    /// As [`cpu_time`].
    pub fn new(pid: u32) -> io::Result<Self> {
        let open = |task: io::Result<fs::DirEntry>| fs::File::open(task?.path().join("schedstat"));
        fs::read_dir(format!("/proc/{pid}/task"))?.map(open).collect::<io::Result<_>>().map(Self)
    }

    /// Time that its threads were ready to run and no core was free for them.
    pub fn for_core(&self) -> io::Result<Duration> {
        let mut nanos = 0;
        for file in &self.0 {
            let mut text = [0; 96];
            let read = file.read_at(&mut text, 0)?;
            nanos += field(&String::from_utf8_lossy(&text[..read]), 1)?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

/// Resident bytes of a process as statm has them: quick to read, and some pages late.
pub fn about_resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    field(&text, 1).map(|pages| pages * os::page_bytes())
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
    about_resident_bytes(pid)
}

/// The processes that a process has started and that still run.
pub fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Bytes that a process shares with no other and has written: of a child, what was copied because of it. None if it is gone.
pub fn private_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
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
    fn waits_are_read_of_all_threads() {
        assert_eq!(preempted("Name:\tx\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t17\n").unwrap(), 17);
        assert!(preempted("Name:\tx\n").is_err());
        let pid = std::process::id();
        assert!(Watch::new(pid).unwrap().for_core().unwrap() <= waits(pid).unwrap().for_core + Duration::from_secs(1));
        assert!(about_resident_bytes(pid).unwrap() > 0);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(cpu_time(u32::MAX).is_err());
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
