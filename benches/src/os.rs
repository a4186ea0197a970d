//! What the standard library has no call for: epoll, CPU affinity, the ties of a child to its parent, Ctrl-C.
//!
//! The one module that names `libc`. Linux only.

use std::{
    io, mem,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Stops a child where it stands, or lets it go on. The caller has not waited for its end yet, so the number is still its own.
pub fn pause(child: u32, on: bool) -> io::Result<()> {
    let signal = if on { libc::SIGSTOP } else { libc::SIGCONT };
    // SAFETY: the call takes no pointers.
    check(unsafe { libc::kill(child as libc::pid_t, signal) }).map(drop)
}

/// Edge-triggered readiness of many sockets: each is registered once, and told of when something changes.
pub struct Epoll {
    epoll: OwnedFd,
    events: Box<[libc::epoll_event]>,
}

/// Readiness of one socket.
#[derive(Clone, Copy)]
pub struct Ready {
    /// What [`Epoll::add`] was given.
    pub token: usize,
    /// There is something to read, the end of the stream and errors included.
    pub readable: bool,
    /// The other side has closed, so reading goes on until its end is met: no further event will tell of it.
    pub ended: bool,
    /// There is room to write.
    pub writable: bool,
}

const EVENTS: usize = 512;

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; `check` refuses a negative result, so the descriptor is new and ours alone.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS].into_boxed_slice();
        Ok(Self { epoll, events })
    }

    /// Watches a socket for as long as it is open.
    pub fn add(&self, socket: RawFd, token: usize) -> io::Result<()> {
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        let mut event = libc::epoll_event { events: interest as u32, u64: token as u64 };
        // SAFETY: `event` lives across the call, which only reads it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &mut event) })?;
        Ok(())
    }

    /// Waits for at most `millis` (0: not at all) and returns how many of [`Epoll::ready`] are set; a signal counts as none.
    pub fn wait(&mut self, millis: i32) -> io::Result<usize> {
        // SAFETY: the kernel writes at most `EVENTS` events, and the buffer has that many.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), self.events.len() as i32, millis)
        };
        match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => Ok(other? as usize),
        }
    }

    /// As [`Epoll::wait`], to the nanosecond as far as the system goes: it sleeps some tens of microseconds longer.
    pub fn wait_for(&mut self, time: Duration) -> io::Result<usize> {
        let time = libc::timespec { tv_sec: time.as_secs() as libc::time_t, tv_nsec: time.subsec_nanos().into() };
        // SAFETY: the kernel reads the time and writes at most `EVENTS` events, and the buffer has that many; no mask is given.
        let count = unsafe {
            let events = self.events.as_mut_ptr();
            libc::epoll_pwait2(self.epoll.as_raw_fd(), events, self.events.len() as i32, &time, std::ptr::null())
        };
        match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => Ok(other? as usize),
        }
    }

    /// What the last [`Epoll::wait`] reported at `index`.
    pub fn ready(&self, index: usize) -> Ready {
        let libc::epoll_event { events, u64: token } = self.events[index];
        let any = |flags: i32| events & flags as u32 != 0;
        Ready {
            token: token as usize,
            readable: any(libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
            ended: any(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
            writable: any(libc::EPOLLOUT),
        }
    }
}

/// Keeps the calling thread, and threads it starts from now on, on one core.
pub fn pin_thread(core: usize) -> io::Result<()> {
    set_affinity(&cores_mask(&[core])?)
}

/// Prepares a child: it gets the signal KILL when the thread that starts it ends, whatever way that happens, its own
/// process group, so that Ctrl-C reaches it only through us, and, if asked, the given cores alone.
pub fn tie_child(command: &mut Command, cores: Option<&[usize]>) -> io::Result<()> {
    let mask = cores.map(cores_mask).transpose()?;
    command.process_group(0);
    let prepare = move || {
        // SAFETY: prctl with this option takes numbers only.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        mask.as_ref().map_or(Ok(()), set_affinity)
    };
    // SAFETY: between fork and exec the closure makes two system calls, allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
    Ok(())
}

fn cores_mask(cores: &[usize]) -> io::Result<libc::cpu_set_t> {
    // SAFETY: all zeros is the empty set.
    let mut mask: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores {
        if core >= libc::CPU_SETSIZE as usize {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no core {core}")));
        }
        // SAFETY: the index is below the size of the set.
        unsafe { libc::CPU_SET(core, &mut mask) };
    }
    Ok(mask)
}

fn set_affinity(mask: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: the mask lives across the call and the size is its own; 0 names the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), mask) })?;
    Ok(())
}

/// Lets this process open as many sockets as the system allows it to; many have a soft limit of 1024.
pub fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills the struct it is given.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads the struct it is given.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(())
}

/// Bytes of a page of memory.
pub fn page_bytes() -> u64 {
    // SAFETY: the call takes and returns numbers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as u64 }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes the first Ctrl-C (or SIGTERM) set [`interrupted`]; the second ends the process as usual.
pub fn catch_interrupts() -> io::Result<()> {
    // SAFETY: all zeros is a valid sigaction: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = note_interrupt as *const () as usize;
    action.sa_flags = libc::SA_RESETHAND;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler stores to an atomic, which is allowed in a signal handler; the old action is not asked for.
        check(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) })?;
    }
    Ok(())
}

extern "C" fn note_interrupt(_signal: i32) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether somebody asked this process to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_cannot_exist_is_refused() {
        assert_eq!(pin_thread(1 << 20).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_tied_child_runs_on_the_cores_it_was_given() {
        let mut command = Command::new("sh");
        command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]);
        tie_child(&mut command, Some(&[0])).unwrap();
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().split_whitespace().last(), Some("0"));
    }
}
