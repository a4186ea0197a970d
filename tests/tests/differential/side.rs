//! One of the two servers, and the connections to it.

use crate::script::{CLIENTS, is};
use crate::words::Words;
use larder_client::connection::Error;
use larder_client::resp::{Reply, encode_request};
use larder_tests::{Client, Node, render, split};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The connection that hears of keyspace events; those before it are the script's.
pub const LISTENER: usize = CLIENTS;

/// The database in which what is dumped is restored; scripts leave it alone.
const ASIDE: &str = "SELECT 9";

/// How long to wait for what should be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a request with a short time to wait may take to be answered.
const BRIEFLY: Duration = Duration::from_secs(2);

/// How long messages may be on their way once they have been published.
const DELIVERY: Duration = Duration::from_secs(1);

pub struct Side {
    node: Node,
    /// A connection for what scripts do not see.
    pub aside: Client,
    sessions: Vec<Session>,
}

/// A connection of a script, and what it was sent without asking.
struct Session {
    client: Client,
    id: i64,
    messages: Vec<Reply>,
    /// Makes the texts of PING that end a number of replies unlike any other.
    pings: u64,
}

impl Side {
    pub fn new(node: Node) -> Self {
        let mut aside = node.connect();
        aside.check(ASIDE, "OK");
        Self { node, aside, sessions: Vec::new() }
    }

    /// The server's own connection, for settings.
    pub fn node(&mut self) -> &mut Client {
        &mut self.node
    }

    /// Takes everything away that a script may have left behind. `listens` asks for a connection that hears of all events.
    pub fn clear(&mut self, listens: bool) {
        self.sessions.clear();
        self.node.check("FLUSHALL", "OK");
        self.sessions = (0..=LISTENER).map(|_| Session::new(self.node.connect())).collect();
        if listens {
            let all = split("PSUBSCRIBE __key*__:*");
            self.send(LISTENER, &[all]);
            self.receive(LISTENER);
        }
    }

    /// Sends requests in one write.
    pub fn send(&mut self, client: usize, requests: &[Words]) {
        let mut bytes = Vec::new();
        requests.iter().for_each(|words| encode_request(words, &mut bytes));
        // Should the server have closed the connection, the replies will be missing.
        let _ = self.sessions[client].client.connection().send_raw(&bytes);
    }

    /// The next reply that is no message of a channel; `None` if the connection has ended.
    pub fn receive(&mut self, client: usize) -> Option<Reply> {
        self.sessions[client].receive().ok()
    }

    pub fn call(&mut self, client: usize, words: &Words) -> Option<Reply> {
        self.send(client, std::slice::from_ref(words));
        self.receive(client)
    }

    /// Expects the connection to end, and opens another in its place.
    pub fn reopen(&mut self, client: usize) {
        while self.sessions[client].receive().is_ok() {}
        self.sessions[client] = Session::new(self.node.connect());
    }

    /// Sends a request that may have any number of replies, and returns all of them.
    pub fn call_open_ended(&mut self, client: usize, words: &Words) -> Vec<Reply> {
        self.send(client, std::slice::from_ref(words));
        self.sessions[client].until_pong()
    }

    /// Returns the reply to a request that was sent and may wait, or `None` as soon as it does wait.
    ///
    /// # Errors
    ///
    /// If it neither answers nor waits.
    pub fn receive_or_wait(&mut self, client: usize, words: &Words) -> Result<Option<Reply>, String> {
        if is_brief(words)
            && let Some(reply) = self.sessions[client].receive_within(BRIEFLY)
        {
            return Ok(Some(reply));
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.is_waiting(client) {
                return Ok(None);
            }
            if let Some(reply) = self.sessions[client].receive_within(Duration::from_millis(1)) {
                return Ok(Some(reply));
            }
        }
        Err("(neither answered nor blocked)".to_owned())
    }

    fn is_waiting(&mut self, client: usize) -> bool {
        let line = self.aside.text(&format!("CLIENT LIST ID {}", self.sessions[client].id));
        line.split(' ').any(|field| field.strip_prefix("flags=").is_some_and(|flags| flags.contains('b')))
    }

    /// Wakes a connection that waits, and tells whether it did.
    pub fn wake(&mut self, client: usize, how: &str) -> Reply {
        self.aside.call(&format!("CLIENT UNBLOCK {} {how}", self.sessions[client].id))
    }

    /// The messages that have come since the last time. They are waited for until there are `expected`.
    pub fn messages(&mut self, client: usize, expected: usize) -> Vec<Reply> {
        let session = &mut self.sessions[client];
        session.await_messages(expected);
        session.until_pong();
        std::mem::take(&mut session.messages)
    }

    /// Goes on with a SCAN, or one of its relatives, to its end, and returns what it has found: elements, or pairs.
    pub fn scan(&mut self, client: usize, words: &Words, first: &Reply) -> BTreeSet<String> {
        /// Enough for a cursor that moves by one bucket each time.
        const STEPS_MAX: usize = 100_000;
        let is_of_keys = is(words, "SCAN");
        let width = if is(words, "HSCAN") || is(words, "ZSCAN") { 2 } else { 1 };
        let mut found = BTreeSet::new();
        let mut reply = first.clone();
        for _ in 0..STEPS_MAX {
            let Some([cursor, Reply::Array(elements)]) = reply.as_slice() else { break };
            found.extend(
                elements.chunks(width).map(|element| element.iter().map(render).collect::<Vec<_>>().join(" => ")),
            );
            let cursor = cursor.as_bytes().unwrap_or_default().to_vec();
            if cursor == b"0" {
                return found;
            }
            let mut next = words.clone();
            next[if is_of_keys { 1 } else { 2 }] = cursor;
            let Some(more) = self.call(client, &next) else { break };
            reply = more;
        }
        found.insert("(without an end)".to_owned());
        found
    }
}

impl Session {
    fn new(mut client: Client) -> Self {
        let id = client.int("CLIENT ID");
        let mut session = Self { client, id, messages: Vec::new(), pings: 0 };
        session.set_patience(PATIENCE);
        session
    }

    fn receive(&mut self) -> Result<Reply, Error> {
        loop {
            let reply = self.client.connection().receive()?;
            if !is_message(&reply) {
                return Ok(reply);
            }
            self.messages.push(reply);
        }
    }

    /// `None` if there is no reply in time.
    fn receive_within(&mut self, time: Duration) -> Option<Reply> {
        self.set_patience(time);
        let reply = self.receive();
        self.set_patience(PATIENCE);
        reply.ok()
    }

    fn set_patience(&mut self, time: Duration) {
        self.client.connection().set_read_timeout(Some(time)).expect("the time is not zero");
    }

    /// Waits until as many messages have come.
    fn await_messages(&mut self, expected: usize) {
        let deadline = Instant::now() + DELIVERY;
        while self.messages.len() < expected && Instant::now() < deadline {
            // A reply would be one too many, which the comparison then shows.
            let surplus = self.receive_within(Duration::from_millis(1));
            self.messages.extend(surplus);
        }
    }

    /// All replies up to that of a PING that is sent now.
    fn until_pong(&mut self) -> Vec<Reply> {
        self.pings += 1;
        let text = format!("end of replies {}", self.pings);
        let _ = self.client.connection().send(&["PING", &text]);
        let mut replies = Vec::new();
        while let Ok(reply) = self.receive() {
            let last = reply.as_slice().map_or(Some(&reply), <[Reply]>::last);
            if last.and_then(Reply::as_bytes) == Some(text.as_bytes()) {
                break;
            }
            replies.push(reply);
        }
        replies
    }
}

/// Whether this was sent because somebody published something.
fn is_message(reply: &Reply) -> bool {
    const KINDS: [&[u8]; 3] = [b"message", b"pmessage", b"smessage"];
    let (Reply::Push(parts) | Reply::Array(parts)) = reply else { return false };
    matches!(parts.len(), 3 | 4) && parts[0].as_bytes().is_some_and(|kind| KINDS.contains(&kind))
}

/// Whether a request waits for a few milliseconds only; see `SECONDS` and `MILLIS` in `words.rs`.
fn is_brief(words: &Words) -> bool {
    words.iter().any(|word| word == b"0.01" || word == b"13")
}
