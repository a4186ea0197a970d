//! A connection that checks what it is answered.

use crate::pattern::matches;
use crate::process::log_tail;
use crate::render::render;
use crate::words::split;
use larder_client::connection::{Connection, Error, Options};
use larder_client::resp::{Limits, Reply};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// One connection to a node under test.
///
/// Everything here panics, with the command, what was expected, what came, and the end of the server's log.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    log_file: PathBuf,
}

impl Client {
    pub(crate) fn open(address: SocketAddr, log_file: PathBuf) -> Self {
        let options = Options {
            read_timeout: Some(Duration::from_secs(20)),
            // Tests push the server's limits, not the client's.
            limits: Limits { line_bytes_max: 64 << 20, ..Limits::DEFAULT },
            ..Options::default()
        };
        match Connection::open_with(address, options) {
            Ok(connection) => Self { connection, log_file },
            Err(error) => panic!("no connection to {address}: {error}\n{}", log_tail(&log_file)),
        }
    }

    /// Sends a command, written as for `redis-cli`, and expects the reply whose text is `expected` (see [`render`]).
    #[track_caller]
    pub fn check(&mut self, command: &str, expected: &str) {
        let seen = self.text(command);
        if seen != expected {
            self.fail(command, expected, &seen);
        }
    }

    /// Like [`Client::check`], for replies that differ from run to run: see [`crate::matches`].
    #[track_caller]
    pub fn check_matches(&mut self, command: &str, pattern: &str) {
        let seen = self.text(command);
        if !matches(pattern, &seen) {
            self.fail(command, pattern, &seen);
        }
    }

    /// Expects a whole number within a range, for what depends on the time that has passed.
    #[track_caller]
    pub fn check_range(&mut self, command: &str, expected: RangeInclusive<i64>) {
        let seen = self.int(command);
        if !expected.contains(&seen) {
            self.fail(command, &format!("{expected:?}"), &seen.to_string());
        }
    }

    /// Expects the same reply to each of the commands.
    #[track_caller]
    pub fn check_all(&mut self, commands: &[&str], expected: &str) {
        for command in commands {
            self.check(command, expected);
        }
    }

    /// Expects an array, set or map of any order: `expected` is the texts of its elements, sorted.
    #[track_caller]
    pub fn check_unordered(&mut self, command: &str, expected: &[&str]) {
        let reply = self.call(command);
        let mut seen: Vec<_> = reply.as_slice().unwrap_or_default().iter().map(render).collect();
        seen.sort();
        if seen != expected {
            self.fail(command, &format!("{expected:?} in any order"), &render(&reply));
        }
    }

    /// Sends a command and returns its reply's text.
    #[track_caller]
    pub fn text(&mut self, command: &str) -> String {
        render(&self.call(command))
    }

    /// Sends a command and returns its reply, which is expected to be a whole number.
    #[track_caller]
    pub fn int(&mut self, command: &str) -> i64 {
        let reply = self.call(command);
        reply.as_int().unwrap_or_else(|| self.fail(command, "a whole number", &render(&reply)))
    }

    /// Sends a command and returns its reply.
    #[track_caller]
    pub fn call(&mut self, command: &str) -> Reply {
        let reply = self.connection.call(&split(command));
        reply.unwrap_or_else(|error| self.fail(command, "a reply", &error.to_string()))
    }

    /// Sends a command made of any bytes and returns its reply.
    #[track_caller]
    pub fn call_words(&mut self, words: &[impl AsRef<[u8]>]) -> Reply {
        let reply = self.connection.call(words);
        reply.unwrap_or_else(|error| self.fail(&show(words), "a reply", &error.to_string()))
    }

    /// Sends a command and does not wait.
    #[track_caller]
    pub fn send(&mut self, command: &str) {
        if let Err(error) = self.connection.send(&split(command)) {
            self.fail(command, "to be sent", &error.to_string());
        }
    }

    /// Expects `expected` as the next reply or push.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        let seen = self.next_text();
        if seen != expected {
            self.fail("(the next reply)", expected, &seen);
        }
    }

    /// Expects the next reply or push to have the form of `pattern`.
    #[track_caller]
    pub fn expect_matches(&mut self, pattern: &str) {
        let seen = self.next_text();
        if !matches(pattern, &seen) {
            self.fail("(the next reply)", pattern, &seen);
        }
    }

    fn next_text(&mut self) -> String {
        self.connection.receive().map_or_else(|error| format!("({error})"), |reply| render(&reply))
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if let Err(error) = self.connection.send_raw(bytes) {
            self.fail(&shorten(bytes), "to be sent", &error.to_string());
        }
    }

    /// Expects exactly these bytes to come next.
    #[track_caller]
    pub fn expect_raw(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let seen = self.connection.receive_raw(expected.len()).unwrap_or_else(|error| error.to_string().into_bytes());
        if seen != expected {
            self.fail("(the next bytes)", &shorten(expected), &shorten(&seen));
        }
    }

    /// Expects the server to close the connection, with nothing before it.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.connection.receive() {
            Err(Error::Closed) => {}
            Err(error) => self.fail("(the end)", "a closed connection", &error.to_string()),
            Ok(reply) => self.fail("(the end)", "a closed connection", &render(&reply)),
        }
    }

    /// Whether the server has closed the connection; also true if it cannot be reached any more.
    pub fn is_closed(&mut self) -> bool {
        self.connection.call(&["PING"]).is_err()
    }

    /// The connection itself.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The address of this end, as `CLIENT LIST` shows it.
    pub fn own_address(&self) -> String {
        self.connection.local_addr().expect("an open socket has an address").to_string()
    }

    #[track_caller]
    fn fail(&self, command: &str, expected: &str, seen: &str) -> ! {
        let log = log_tail(&self.log_file);
        panic!("\n command: {command}\nexpected: {expected}\n    seen: {seen}\n\nserver, {log}\n")
    }
}

fn show(words: &[impl AsRef<[u8]>]) -> String {
    words.iter().map(|word| shorten(word.as_ref())).collect::<Vec<_>>().join(" ")
}

/// Bytes for people, and not more of them than people read.
fn shorten(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 300;
    let shown = bytes[..bytes.len().min(SHOWN_MAX)].escape_ascii();
    if bytes.len() > SHOWN_MAX { format!("{shown}.. ({} bytes)", bytes.len()) } else { shown.to_string() }
}
