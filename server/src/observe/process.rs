//! What the operating system says of this process and its machine.
//!
//! Memory and names come from `/proc`, as Linux has them; elsewhere they are zero or what the standard library knows.

use std::time::Duration;

/// Bytes of memory that are resident: the process's share of the machine. 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * page_bytes()
}

/// Bytes of memory the machine has; 0 where the system does not say.
pub fn machine_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    total_of(&meminfo)
}

fn total_of(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Lets other threads go first from now on where there are too few cores for all. Nothing happens where the system does
/// not know priorities of threads.
pub fn be_modest() {
    /// Some tenth of the time that a worker gets that wants the same core.
    #[cfg(target_os = "linux")]
    const NICE: libc::c_int = 10;
    // SAFETY: the call takes no pointers. On Linux it concerns the calling thread; it is always allowed to become nicer.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

/// The system's name, release and processor, such as `Linux 6.1.0 x86_64`.
pub fn system() -> String {
    let proc_text = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned());
    let name = proc_text("/proc/sys/kernel/ostype").unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let words = [name, proc_text("/proc/sys/kernel/osrelease").unwrap_or_default(), std::env::consts::ARCH.to_owned()];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Processor time spent, in the system and in the program itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub system: Duration,
    pub user: Duration,
}

/// Whose time is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// All threads of the process together.
    Process,
    /// Processes it started that have ended.
    Children,
    /// The thread that asks; all threads where the system does not tell them apart.
    Thread,
}

#[cfg(unix)]
fn page_bytes() -> u64 {
    // SAFETY: `sysconf` reads a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(not(unix))]
fn page_bytes() -> u64 {
    4096
}

/// Processor time spent since the start.
#[cfg(unix)]
pub fn cpu(whose: Whose) -> Cpu {
    let who = match whose {
        Whose::Process => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
        #[cfg(target_os = "linux")]
        Whose::Thread => libc::RUSAGE_THREAD,
        #[cfg(not(target_os = "linux"))]
        Whose::Thread => libc::RUSAGE_SELF,
    };
    // SAFETY: all bits zero are a value of this struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes to the struct it is given, and to nothing else.
    if unsafe { libc::getrusage(who, &raw mut usage) } != 0 {
        return Cpu::default();
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.max(0) as u64) + Duration::from_micros(time.tv_usec.max(0) as u64)
    };
    Cpu { system: time(usage.ru_stime), user: time(usage.ru_utime) }
}

#[cfg(not(unix))]
pub fn cpu(_: Whose) -> Cpu {
    Cpu::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found_among_the_lines() {
        assert_eq!(total_of("MemFree: 3 kB\nMemTotal:       16384 kB\n"), 16384 * 1024);
        assert_eq!(total_of("nothing of the kind"), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_knows_this_process() {
        assert!(resident_bytes() > 100_000);
        assert!(machine_bytes() > resident_bytes());
        assert!(system().starts_with("Linux "));
        let before = cpu(Whose::Thread).user + cpu(Whose::Thread).system;
        let mut sum = 0u64;
        while cpu(Whose::Thread).user + cpu(Whose::Thread).system <= before {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(cpu(Whose::Process).user >= cpu(Whose::Thread).user);
    }
}
