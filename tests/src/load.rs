//! Load for tests that ask how a node bears it: raw requests, many sockets, and how long others wait meanwhile.

use crate::client::Client;
use larder_client::resp::encode_request;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Many requests as bytes on the wire. Each is written as `words` says for its number.
pub fn requests<W: AsRef<[u8]>>(count: usize, mut words: impl FnMut(usize) -> Vec<W>) -> Vec<u8> {
    let mut wire = Vec::new();
    (0..count).for_each(|number| encode_request(&words(number), &mut wire));
    wire
}

/// How long a client waited for replies.
#[derive(Clone, Copy, Default, Debug)]
pub struct Waits {
    pub count: usize,
    pub longest: Duration,
}

/// Sends PING after PING until `over` is set, and returns how long the replies took.
#[track_caller]
pub fn ping_until(client: &mut Client, over: &AtomicBool) -> Waits {
    let mut waits = Waits::default();
    while !over.load(Relaxed) {
        let start = Instant::now();
        client.check("PING", "PONG");
        waits.count += 1;
        waits.longest = waits.longest.max(start.elapsed());
    }
    waits
}

/// Runs `load` while another client sends PING after PING, and returns what `load` returns and how long the PINGs took.
#[track_caller]
pub fn beside_pings<T>(pings: &mut Client, load: impl FnOnce() -> T + Send) -> (T, Waits)
where
    T: Send,
{
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| {
            // Set even if the load panics, or the PINGs would never end.
            let _end = SetOnDrop(&over);
            load()
        });
        let waits = ping_until(pings, &over);
        (loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), waits)
    })
}

/// Sets a flag at its own end, so that others end even if this thread panics.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Lets this process open at least `wanted` files and sockets, if the system allows so many. Returns how many it may open.
#[cfg(unix)]
pub fn raise_open_files(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local of the right type, which the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return 0;
    }
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted.min(limit.rlim_max);
        // SAFETY: the pointer is to a local of the right type, which the call reads.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
            return 0;
        }
    }
    limit.rlim_cur
}

/// CPU time that a process has used, from `/proc`; `None` where there is no such thing.
pub fn cpu_time(process: u32) -> Option<Duration> {
    cpu_time_of_threads(process, |_| true)
}

/// CPU time that the threads of a process with this name have used.
pub fn thread_cpu_time(process: u32, name: &str) -> Option<Duration> {
    cpu_time_of_threads(process, |other| other == name)
}

fn cpu_time_of_threads(process: u32, counts: impl Fn(&str) -> bool) -> Option<Duration> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let folder = thread.ok()?.path();
        let name = std::fs::read_to_string(folder.join("comm")).ok()?;
        if counts(name.trim_end()) {
            let times = std::fs::read_to_string(folder.join("schedstat")).ok()?;
            nanos += times.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    Some(Duration::from_nanos(nanos))
}

/// Bytes of memory a process has resident, from `/proc`; `None` where there is no such thing.
pub fn resident_bytes(process: u32) -> Option<u64> {
    status_bytes(process, "VmRSS:")
}

/// The most bytes of memory a process ever had resident.
pub fn peak_bytes(process: u32) -> Option<u64> {
    status_bytes(process, "VmHWM:")
}

fn status_bytes(process: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
