//! The process of a server: its port, its folder, its log, and its end.

use crate::wait::{poll, wait_until};
use larder_client::connection::{Connection, Error};
use larder_client::resp::Reply;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{env, io};

/// Names another server to test than this workspace's.
const OTHER_SERVER: &str = "LARDER_TEST_SERVER";

/// Names a `valkey-server`.
const VALKEY: &str = "LARDER_TEST_VALKEY";

/// What cargo sets for the tests of the package that the binary belongs to.
const OWN_SERVER: &str = "CARGO_BIN_EXE_larder-under-test";

/// A port that was free may be taken before the server gets to it.
const ATTEMPTS: usize = 5;

/// A running server. Dropping it kills the server and removes its folder.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Process {
    /// Starts a server with the flags the tests rely on and `flags` (name and value) instead of or beside them, and waits
    /// until it answers.
    pub(crate) fn start(flags: &[(&str, &str)]) -> Self {
        Self::start_program(&binary(), flags)
    }

    /// Like [`Process::start`], for a program that is named.
    pub(crate) fn start_program(program: &Path, flags: &[(&str, &str)]) -> Self {
        let mut failures = String::new();
        for _ in 0..ATTEMPTS {
            let mut process = Self::spawn(program, flags);
            match process.wait_for_answer() {
                Ok(()) => return process,
                Err(failure) => failures = format!("{failure}\n{}", process.log_tail()),
            }
        }
        panic!("the server did not start: {failures}");
    }

    fn spawn(program: &Path, flags: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        let address = free_address();
        let port = address.port().to_string();
        let mut command = Command::new(program);
        command.args(arguments(&port, &folder, flags));
        Self::run(command, folder, address)
    }

    /// Starts a command in a folder, with what it prints in the folder's log. It is expected to listen on `address`.
    pub(crate) fn run(mut command: Command, folder: PathBuf, address: SocketAddr) -> Self {
        let log = File::create(log_file(&folder)).expect("the log file can be created");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be copied"))
            .stderr(log)
            .current_dir(&folder);
        die_with_the_test(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { child, folder, address }
    }

    pub(crate) fn wait_for_answer(&mut self) -> Result<(), String> {
        let answer = poll(|| match self.exit_status() {
            Some(status) => Some(Err(format!("it left with {status}"))),
            None => answers(self.address).then_some(Ok(())),
        });
        answer.unwrap_or_else(|| Err(format!("it does not answer on {}", self.address)))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Everything the server has logged.
    pub(crate) fn log(&self) -> String {
        read_log(&log_file(&self.folder))
    }

    pub(crate) fn log_tail(&self) -> String {
        log_tail(&log_file(&self.folder))
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        log_file(&self.folder)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the server has left by itself, or the folder is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The end of a log, for messages about failures.
pub(crate) fn log_tail(file: &Path) -> String {
    const LINES: usize = 20;
    let log = read_log(file);
    let lines: Vec<_> = log.lines().collect();
    format!("last lines of its log:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

fn read_log(file: &Path) -> String {
    fs::read(file).map_or_else(|error| format!("(no log: {error})"), |log| String::from_utf8_lossy(&log).into_owned())
}

pub(crate) fn log_file(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

/// Keeps settings from a server that whoever runs the tests may have set for one of their own.
pub(crate) fn forget_own_settings(command: &mut Command) {
    let own = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LARDER_"));
    own.for_each(|(name, _)| {
        command.env_remove(name);
    });
}

/// Sends a process a signal by its name without `SIG`, such as `INT`.
pub(crate) fn signal(process_id: u32, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process_id.to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "`kill` cannot reach the server");
    if name == "STOP" {
        wait_until("every thread of the server stands still", || is_stopped(process_id));
    }
}

/// Whether no thread of a process runs until it is told to go on. Where the system does not tell, it is taken for so.
fn is_stopped(process_id: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process_id}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in brackets and may hold anything.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

/// The program under test.
fn binary() -> PathBuf {
    other_server().map_or_else(own_binary, PathBuf::from)
}

/// Whether the tests run against another server than this workspace's.
pub(crate) fn is_other_server() -> bool {
    other_server().is_some()
}

fn other_server() -> Option<OsString> {
    env::var_os(OTHER_SERVER).filter(|path| !path.is_empty())
}

/// This workspace's program. Cargo tells where it is; started by hand, a test finds it beside its own folder.
pub(crate) fn own_binary() -> PathBuf {
    env::var_os(OWN_SERVER).map_or_else(beside_the_test, PathBuf::from)
}

/// The reference that Larder is compared with, if the machine has it.
pub(crate) fn reference() -> Option<PathBuf> {
    on_path("redis-server")
}

/// The Valkey that Larder is to work with: the one that is named, or the machine's.
pub(crate) fn valkey() -> Option<PathBuf> {
    let named = env::var_os(VALKEY).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| on_path("valkey-server"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn beside_the_test() -> PathBuf {
    let test = env::current_exe().expect("a program knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("tests are built two folders deep");
    folder.join("larder-under-test").with_extension(env::consts::EXE_EXTENSION)
}

fn arguments(port: &str, folder: &Path, flags: &[(&str, &str)]) -> Vec<OsString> {
    let folder = folder.to_str().expect("temporary folders have plain names");
    let defaults = [
        ("--port", port),
        ("--bind", "127.0.0.1"),
        ("--dir", folder),
        ("--save", ""),
        ("--appendonly", "no"),
        ("--protected-mode", "no"),
        ("--enable-debug-command", "yes"),
    ];
    let kept = defaults.iter().filter(|(name, _)| !flags.iter().any(|(other, _)| other == name));
    kept.chain(flags).flat_map(|(name, value)| [name.into(), value.into()]).collect()
}

pub(crate) fn new_folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = env::temp_dir().join(format!("larder-test-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder can be created");
    folder
}

/// A port that no other test of this program was given: the system may offer one again before its server listens there,
/// and two tests would talk to one server.
pub fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a listening socket has an address");
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return address;
        }
    }
}

/// Whether a server is ready there. Any reply to PING will do, as a password may be asked for, but for one: a server that
/// still reads its data says so.
///
/// When this returns, the server no longer counts the connection that asked.
fn answers(address: SocketAddr) -> bool {
    let reply = Connection::open(address).and_then(|mut connection| {
        let reply = connection.call(&["PING"])?;
        connection.call(&["QUIT"])?;
        match connection.receive() {
            Err(Error::Closed) => Ok(reply),
            other => other,
        }
    });
    match reply {
        Ok(Reply::Error(text)) => !text.starts_with(b"LOADING"),
        Ok(_) => true,
        Err(Error::Io(_) | Error::Closed | Error::TimedOut | Error::Malformed(_) | Error::TooManyPushes) => false,
    }
}

/// Has the system kill the server if the thread that started it dies without running destructors.
#[cfg(target_os = "linux")]
pub(crate) fn die_with_the_test(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let ask = || {
        // SAFETY: a system call on plain numbers; it touches no memory and takes no lock, as is required between fork and exec.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure only makes the call above and, if it fails, reads `errno`.
    unsafe { command.pre_exec(ask) };
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn die_with_the_test(_: &mut Command) {}
