//! A node without a network, for the tests of handlers: lines in, replies out.

use super::clients::Client;
use super::dispatch::{Batch, Ended};
use super::reply::Reply;
use super::session::Session;
use super::shared::{Parts, Shared};
use super::words::Span;
use crate::base::quote;
use crate::config::{Config, Live, Machine, Raw};
use crate::store::hash::KeyHasher;
use crate::store::{Options, Store};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// One connection to a node of its own.
pub struct Desk {
    pub node: Arc<Shared>,
    pub session: Session,
    reply: Reply,
    pub ended: Ended,
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(Options::default())
    }

    pub fn with(options: Options) -> Desk {
        let store = Store::with_hasher(options, KeyHasher::seeded(1));
        let live = Arc::new(Live::new(&Config::default(), Raw::default(), Machine::here()));
        let parts = Parts { store, live, port: 6379, workers: 1, stop: Box::new(|| ()), apply: Box::new(|_| ()) };
        Desk::on(Arc::new(Shared::new(parts)))
    }

    /// Another connection to the same node.
    pub fn again(&self) -> Desk {
        Desk::on(self.node.clone())
    }

    fn on(node: Arc<Shared>) -> Desk {
        let id = node.clients.next_id();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000 + id as u16));
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 6379));
        let client = Arc::new(Client::new(id, address, local, -1, 0, super::shared::now_ms()));
        node.clients.add(client.clone());
        let session = Session::new(client, node.password().is_none());
        Desk { node, session, reply: Reply::default(), ended: Ended::Done }
    }

    /// Runs one command given as its words, and returns the bytes of the reply.
    pub fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut spans = Vec::new();
        for word in words {
            spans.push(Span { start: buffer.len() as u32, len: word.len() as u32 });
            buffer.extend_from_slice(word);
        }
        let mut batch = Batch::default();
        batch.add(&spans, 0, buffer.len());
        let node = self.node.clone();
        let mut pass = node.barrier.enter(0);
        self.ended = batch.run(&buffer, &node, &mut self.session, &mut self.reply, &mut pass);
        std::mem::take(&mut self.reply.out)
    }

    /// Runs a line as one would type it, and returns the reply as it is on the wire.
    pub fn run(&mut self, line: &str) -> String {
        let mut words = quote::Words::default();
        words.split(line.as_bytes()).expect("quotes in tests are balanced");
        let words: Vec<Vec<u8>> = words.iter().map(<[u8]>::to_vec).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        String::from_utf8_lossy(&self.call(&words)).into_owned()
    }

    /// Checks what a line answers on the wire; line ends may be written as spaces.
    #[track_caller]
    pub fn check(&mut self, line: &str, expected: &str) {
        let seen = self.run(line);
        let shown = seen.trim_end().replace("\r\n", " ");
        assert_eq!(shown, expected, "{line}");
    }
}

#[test]
fn a_line_is_answered() {
    let mut desk = Desk::new();
    desk.check("GET k", "$-1");
    desk.check("SET k v", "+OK");
    desk.check("GET k", "$1 v");
    desk.check("GET", "-ERR wrong number of arguments for 'get' command");
    desk.check("NOPE a", "-ERR unknown command 'NOPE', with args beginning with: 'a'");
}
