//! A server process for one test, and the first connection to it.

use crate::client::Client;
use crate::process::{Process, is_other_server, reference, signal, valkey};
use crate::wait::wait_until;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::ExitStatus;

/// A server of its own for a test, on a free port and in an empty folder. Dropping it kills the server.
///
/// It is used as a [`Client`] as well: that is its first connection. A node belongs to the thread that started it, and
/// does not outlive it.
#[derive(Debug)]
pub struct Node {
    client: Client,
    process: Process,
}

impl Node {
    /// Starts a server that saves nothing, asks for no password and allows DEBUG.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more flags, or with other values for the usual ones: `&[("--requirepass", "secret")]`.
    pub fn start_with(flags: &[(&str, &str)]) -> Self {
        Self::over(Process::start(flags))
    }

    /// Starts a server with so many workers, so that connections that talk to each other do so across threads. A server that
    /// knows no such thing is started as it is.
    pub fn with_workers(count: usize) -> Self {
        let count = count.to_string();
        if is_other_server() { Self::start() } else { Self::start_with(&[("--workers", &count)]) }
    }

    /// A process that answers already.
    pub(crate) fn over(process: Process) -> Self {
        let client = Client::open(process.address(), process.log_file());
        Self { client, process }
    }

    /// Starts the `redis-server` that the machine has, which Larder is compared with; `None`, and a note, if it has none.
    pub fn reference(flags: &[(&str, &str)]) -> Option<Self> {
        let Some(program) = reference() else {
            eprintln!("skipped: there is no redis-server to compare with; `apt-get install redis-server` brings one");
            return None;
        };
        Some(Self::over(Process::start_program(&program, flags)))
    }

    /// Starts a `valkey-server`; `None`, and a note, if there is none.
    pub fn valkey(flags: &[(&str, &str)]) -> Option<Self> {
        let Some(program) = valkey() else {
            eprintln!("skipped: there is no valkey-server on the PATH, and LARDER_TEST_VALKEY names none");
            return None;
        };
        Some(Self::over(Process::start_program(&program, flags)))
    }

    /// Starts a server unless it follows a Redis older than `version`, as the reference at hand may: the test is skipped then.
    pub fn since(version: &str) -> Option<Self> {
        let mut node = Self::start();
        let seen = node.redis_version();
        let is_since = numbers(&seen) >= numbers(version);
        if !is_since {
            eprintln!("skipped: needs Redis {version}, and this server is {seen}");
        }
        is_since.then_some(node)
    }

    /// Starts a server if it is Larder: the test is skipped on any other.
    pub fn larder() -> Option<Self> {
        let mut node = Self::start();
        let is_larder = node.info("larder_version").is_some();
        if !is_larder {
            eprintln!("skipped: is about Larder alone");
        }
        is_larder.then_some(node)
    }

    /// The version of Redis that the server follows.
    pub fn redis_version(&mut self) -> String {
        self.info("redis_version").expect("INFO tells the version")
    }

    /// A field of `INFO everything`.
    pub fn info(&mut self, field: &str) -> Option<String> {
        let info = self.client.call("INFO everything");
        let info = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
        let line = info.lines().find(|line| line.split(':').next() == Some(field))?;
        Some(line[field.len() + 1..].to_owned())
    }

    /// One more connection.
    pub fn connect(&self) -> Client {
        self.connect_to(self.address())
    }

    /// One more connection, to another of the server's addresses.
    pub fn connect_to(&self, address: SocketAddr) -> Client {
        Client::open(address, self.process.log_file())
    }

    /// One more connection, which speaks RESP3.
    pub fn resp3(&self) -> Client {
        let mut client = self.connect();
        client.check_matches("HELLO 3", "{*\"proto\": 3, *}");
        client
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The server's folder.
    pub fn folder(&self) -> &Path {
        self.process.folder()
    }

    /// The server's process id.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Asks the server to leave, as a service manager does: SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the server a signal by its name without `SIG`, such as `INT`.
    pub fn signal(&self, name: &str) {
        signal(self.process_id(), name);
    }

    /// A field of `INFO everything` that is a whole number.
    #[track_caller]
    pub fn info_number(&mut self, field: &str) -> i64 {
        let text = self.info(field).unwrap_or_else(|| panic!("INFO has no field {field}"));
        text.parse().unwrap_or_else(|_| panic!("INFO's {field} is no whole number: {text}"))
    }

    /// Waits until the server has left by itself, and returns how.
    #[track_caller]
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server has left", || {
            status = self.process.exit_status();
            status.is_some()
        });
        status.expect("it was just seen")
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Deref for Node {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// `"7.2.4"` as numbers, which compare as versions do.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}
