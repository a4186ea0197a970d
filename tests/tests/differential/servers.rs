//! Larder and the reference side by side.

use crate::compare::is_same;
use crate::script::{CLIENTS, Step, Words, is};
use larder::base::crc64::crc64;
use larder_client::connection::Connection;
use larder_client::resp::Reply;
use larder_tests::{Client, Node, render, split};
use std::collections::BTreeSet;

/// Two servers, and the same connections to both.
pub struct Servers {
    ours: Server,
    theirs: Server,
}

/// A request that was answered differently.
pub struct Difference {
    /// The place of its step in the script.
    pub step: usize,
    pub words: Words,
    pub ours: String,
    pub theirs: String,
}

impl Servers {
    /// Starts both; `None` if there is no reference on this machine.
    pub fn start() -> Option<Self> {
        let flags = [("--maxmemory-policy", "noeviction"), ("--maxmemory", "0")];
        let theirs = Server::new(Node::reference(&flags)?);
        Some(Self { ours: Server::new(Node::start_with(&flags)), theirs })
    }

    /// What the reference's DUMP returns for values of every encoding.
    pub fn payloads(&mut self) -> Vec<Vec<u8>> {
        let values =
            ["", "1", "-129", "70000", "9223372036854775807", "text", &"z".repeat(300), &"xyz123".repeat(20), "\0\r\n"];
        let node = &mut self.theirs.node;
        let mut dump = |value: &&str| {
            node.call_words(&[b"SET", &b"dumped"[..], value.as_bytes()]);
            node.call("DUMP dumped").as_bytes().expect("the key is there").to_vec()
        };
        values.iter().map(&mut dump).collect()
    }

    /// Runs a script on servers without data, to its end or to the first difference.
    pub fn run(&mut self, script: &[Step]) -> Option<Difference> {
        self.ours.clear();
        self.theirs.clear();
        script.iter().enumerate().find_map(|(index, step)| {
            let (ours, theirs) = (self.ours.answer(step), self.theirs.answer(step));
            // The answers belong to the last requests: those before are silenced.
            let answered = &step.requests[step.requests.len() - step.answers..];
            let all = answered.iter().zip(ours.iter().zip(&theirs));
            for (words, (ours, theirs)) in all {
                if let Some((ours, theirs)) = self.difference(step, words, ours, theirs) {
                    return Some(Difference { step: index, words: words.clone(), ours, theirs });
                }
            }
            (ours.len() != theirs.len()).then(|| {
                let (ours, theirs) = (format!("{} replies", ours.len()), format!("{} replies", theirs.len()));
                Difference { step: index, words: step.requests[0].clone(), ours, theirs }
            })
        })
    }

    fn difference(&mut self, step: &Step, words: &Words, ours: &Reply, theirs: &Reply) -> Option<(String, String)> {
        if is(words, "SCAN") && is_scan_reply(ours) && is_scan_reply(theirs) {
            // Where a cursor other than 0 stands is a server's own affair, and commands behind it may have changed keys.
            if words[1] != b"0" || step.requests.len() > 1 {
                return None;
            }
            let client = step.client;
            let ours = self.ours.scan(client, words, ours);
            let theirs = self.theirs.scan(client, words, theirs);
            return (ours != theirs).then(|| (format!("{ours:?}"), format!("{theirs:?}")));
        }
        if is(words, "DUMP")
            && let (Reply::Bulk(ours), Reply::Bulk(theirs)) = (ours, theirs)
        {
            let restored =
                [self.theirs.restored(&in_older_version(ours)), self.ours.restored(theirs), self.ours.restored(ours)];
            let expected = self.theirs.restored(theirs);
            return restored.iter().any(|text| *text != expected).then(|| (restored.join(", "), expected));
        }
        (!is_same(words, ours, theirs)).then(|| (render(ours), render(theirs)))
    }
}

fn is_scan_reply(reply: &Reply) -> bool {
    matches!(reply.as_slice(), Some([Reply::Bulk(_), Reply::Array(_)]))
}

/// A payload of DUMP with the version of the format that the reference writes; strings are the same in both.
fn in_older_version(payload: &[u8]) -> Vec<u8> {
    const VERSION: u16 = 10;
    let mut older = payload[..payload.len() - 10].to_vec();
    older.extend(VERSION.to_le_bytes());
    older.extend(crc64(0, &older).to_le_bytes());
    older
}

struct Server {
    node: Node,
    /// A connection that restores what is dumped into a database that scripts leave alone.
    restoring: Client,
    clients: Vec<Client>,
}

impl Server {
    fn new(node: Node) -> Self {
        let mut restoring = node.connect();
        restoring.check("SELECT 9", "OK");
        Self { node, restoring, clients: Vec::new() }
    }

    /// Takes everything away that a script may have left behind.
    fn clear(&mut self) {
        self.node.check("FLUSHALL", "OK");
        self.clients = (0..CLIENTS).map(|_| self.node.connect()).collect();
    }

    /// Sends the requests of a step and returns the replies; fewer if the connection ends.
    fn answer(&mut self, step: &Step) -> Vec<Reply> {
        let client = &mut self.clients[step.client];
        for request in &step.requests {
            client.connection().send(request).expect("a connection takes requests");
        }
        let mut replies = Vec::new();
        while replies.len() < step.answers {
            match client.connection().receive() {
                Ok(reply) => replies.push(reply),
                Err(_) => break,
            }
        }
        if step.requests.iter().any(|words| is(words, "QUIT")) {
            client.expect_closed();
            *client = self.node.connect();
        }
        replies
    }

    /// Goes on with a SCAN to its end, and returns what it has found.
    fn scan(&mut self, client: usize, words: &Words, first: &Reply) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut reply = first.clone();
        loop {
            let Some([cursor, Reply::Array(keys)]) = reply.as_slice() else { panic!("SCAN answers {reply:?}") };
            found.extend(keys.iter().map(render));
            let cursor = cursor.as_bytes().expect("a cursor is a string").to_vec();
            if cursor == b"0" {
                return found;
            }
            let mut next = words.clone();
            next[1] = cursor;
            reply = self.clients[client].connection().call(&next).expect("SCAN goes on");
        }
    }

    /// The value that a payload is restored to.
    fn restored(&mut self, payload: &[u8]) -> String {
        let connection: &mut Connection = self.restoring.connection();
        let restore = [b"RESTORE", &b"restored"[..], b"0", payload, b"REPLACE"];
        let done = connection.call(&restore).expect("RESTORE is answered");
        let value = connection.call(&split("GET restored")).expect("GET is answered");
        connection.call(&split("DEL restored")).expect("DEL is answered");
        format!("{}: {}", render(&done), render(&value))
    }
}
