//! Namespaces of Linux: networks and mounts that only some threads and processes have.
//!
//! Each lasts as long as a thread or process is in it, or a handle is open. So nothing is left behind, however a test ends.

use std::fs::File;
use std::io;
use std::process::Command;
use std::thread;

/// What a thread, and whoever it starts, may have for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Network,
    Mounts,
}

/// Why a test that needs namespaces is left out.
pub(crate) const ADVICE: &str =
    "it needs Linux and the right to make namespaces: run it as root, or below `unshare -Ur`";

/// Runs something on a thread that has this for its own, and has not been seen by any other. Panics are passed on.
///
/// # Errors
///
/// If the system does not allow it. Nothing was run then.
pub(crate) fn within<T: Send>(own: Own, run: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_a_thread(|| {
        leave(own)?;
        run()
    })
}

/// Runs something on a thread that is in the network of this handle.
pub(crate) fn within_network<T: Send>(network: &File, run: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_a_thread(|| {
        enter(network)?;
        Ok(run())
    })
}

fn on_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// A handle of the network that the calling thread is in.
pub(crate) fn own_network() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// Runs a program of the system to its end.
///
/// # Errors
///
/// If it is not there, or fails; what it said is in the error.
pub(crate) fn command(line: &str) -> io::Result<()> {
    let mut words = line.split(' ');
    let ended = Command::new(words.next().unwrap_or_default()).args(words).output()?;
    let told = || io::Error::other(format!("`{line}`: {}", String::from_utf8_lossy(&ended.stderr).trim()));
    ended.status.success().then_some(()).ok_or_else(told)
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use std::fs::OpenOptions;
    use std::os::fd::{AsRawFd, RawFd};
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::CommandExt;
    use std::sync::Arc;

    fn checked(returned: libc::c_int) -> io::Result<()> {
        if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub(super) fn leave(own: Own) -> io::Result<()> {
        let flag = match own {
            Own::Network => libc::CLONE_NEWNET,
            Own::Mounts => libc::CLONE_NEWNS,
        };
        // SAFETY: a system call on a plain number, which concerns the calling thread alone.
        checked(unsafe { libc::unshare(flag) })?;
        match own {
            Own::Network => Ok(()),
            // Otherwise others would see what is mounted here.
            Own::Mounts => command("mount --make-rprivate /"),
        }
    }

    pub(super) fn enter(network: &File) -> io::Result<()> {
        // SAFETY: a system call on plain numbers, which concerns the calling thread alone; the handle is open.
        checked(unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) })
    }

    /// Has a program be started in a network.
    pub(crate) fn start_within(command: &mut Command, network: &Arc<File>) {
        let network = Arc::clone(network);
        // SAFETY: the closure makes one system call on plain numbers, and reads `errno` if that fails; it takes no lock and no
        // memory, as is required between fork and exec. It keeps the handle open.
        unsafe { command.pre_exec(move || enter(&network)) };
    }

    /// Makes a network device in the calling thread's network whose packets, as they are on the wire, are read from and written to
    /// the file that is returned. Neither waits.
    pub(crate) fn tunnel(name: &str) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        // SAFETY: a struct of numbers and arrays of numbers, of which all may be zero.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        assert!(name.len() < request.ifr_name.len(), "a device's name is short");
        request.ifr_name.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte as libc::c_char);
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the handle is open, and the request is of the type that this call takes, and lives as long.
        checked(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) })?;
        Ok(file)
    }

    /// Waits until one of the files can be read, for so many milliseconds at most. Tells of each whether it can be.
    pub(crate) fn wait_to_read(files: &[RawFd], millis: u16) -> Vec<bool> {
        let one = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
        let mut asked: Vec<_> = files.iter().map(one).collect();
        // SAFETY: the pointer and the count are of one live list of the right type. If it fails, all answers are still 0.
        unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, millis.into()) };
        asked.iter().map(|asked| asked.revents != 0).collect()
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use super::*;
    use std::sync::Arc;

    fn unknown<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn leave(_: Own) -> io::Result<()> {
        unknown()
    }

    pub(super) fn enter(_: &File) -> io::Result<()> {
        unknown()
    }

    pub(crate) fn start_within(_: &mut Command, _: &Arc<File>) {}

    pub(crate) fn tunnel(_: &str) -> io::Result<File> {
        unknown()
    }

    pub(crate) fn wait_to_read(files: &[i32], _: u16) -> Vec<bool> {
        vec![false; files.len()]
    }
}

use linux::{enter, leave};
pub(crate) use linux::{start_within, tunnel, wait_to_read};
