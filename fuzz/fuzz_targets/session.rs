//! Whole sessions: two connections to one node, without sockets, that send random commands with random words, whole and
//! in pieces.
//!
//! Nothing they send may panic or hang, what they are answered must be RESP, and each request must get its one reply.
//! What is meant to wait or to take long is left out: `DEBUG SLEEP` and the like.

#![no_main]

mod node;
mod words;

use larder::command::shared::{Shared, now_ms};
use larder::net::connection::{Bench, Connection, Wish};
use larder_client::resp::{Decoder, Reply, encode_request};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use words::Request;

const REQUESTS_MAX: usize = 64;

fuzz_target!(|input: &[u8]| {
    let node = node::start();
    let mut peers = [Peer::new(&node), Peer::new(&node)];
    let mut bench = Bench::default();
    // Input that ends early has run all the same.
    let _ = run(&mut Unstructured::new(input), &node, &mut peers, &mut bench);
    peers.iter_mut().for_each(Peer::check_count);
    for stripe in 0..256 {
        node.store.expire(stripe, node.store.moment(now_ms()), 1000);
    }
    assert_eq!(node.store.totals().used_bytes as u64, node.store.used_bytes(), "what the node was told it holds");
    node.store.flush_all();
    assert_eq!(node.store.used_bytes(), 0, "an empty store takes no memory");
    peers.into_iter().for_each(|peer| node.leave(peer.connection.session));
    assert_eq!(node.clients.len(), 0);
});

fn run(input: &mut Unstructured<'_>, node: &Shared, peers: &mut [Peer; 2], bench: &mut Bench) -> Result<()> {
    for _ in 0..REQUESTS_MAX {
        if input.is_empty() {
            break;
        }
        let peer = &mut peers[usize::from(input.ratio(1, 4)?)];
        match words::request(input)? {
            Request::Words(words) => peer.ask(&words),
            Request::Line(line) => peer.type_line(&line),
            Request::Raw(bytes) => peer.babble(&bytes),
        }
        if input.ratio(1, 2)? {
            let piece = 1 + usize::from(input.arbitrary::<u8>()?);
            let sent_max = 1 + usize::from(input.arbitrary::<u8>()?) * 16;
            peer.send(piece, sent_max, node, bench);
            peers.iter_mut().for_each(|peer| peer.take_inbox(bench));
        }
    }
    peers.iter_mut().for_each(|peer| peer.send(usize::MAX, usize::MAX, node, bench));
    peers.iter_mut().for_each(|peer| peer.take_inbox(bench));
    Ok(())
}

/// One connection with the client at its other end.
struct Peer {
    connection: Connection,
    decoder: Decoder,
    /// Bytes not yet sent.
    waiting: Vec<u8>,
    asked: usize,
    answered: usize,
    /// Whether every request gets one reply: not so once replies are switched off, or bytes make no request.
    counts: bool,
    /// Whether the connection was closed, or waits for a time.
    ended: bool,
}

impl Peer {
    fn new(node: &Shared) -> Peer {
        Peer {
            connection: Connection::new(node::session(node)),
            decoder: Decoder::default(),
            waiting: Vec::new(),
            asked: 0,
            answered: 0,
            counts: true,
            ended: false,
        }
    }

    fn ask(&mut self, words: &[Vec<u8>]) {
        self.counts &= !words::changes_count(words);
        self.asked += 1;
        encode_request(words, &mut self.waiting);
    }

    fn type_line(&mut self, line: &[u8]) {
        self.counts = false;
        self.waiting.extend_from_slice(line);
        self.waiting.extend_from_slice(b"\r\n");
    }

    fn babble(&mut self, bytes: &[u8]) {
        self.counts = false;
        self.waiting.extend_from_slice(bytes);
    }

    /// Sends what waits, in pieces, and takes replies, at most so many bytes at a time.
    fn send(&mut self, piece: usize, taken_max: usize, node: &Shared, bench: &mut Bench) {
        let waiting = std::mem::take(&mut self.waiting);
        for bytes in waiting.chunks(piece) {
            if self.is_over() {
                return;
            }
            let mut pass = node.barrier.enter(0);
            self.connection.receive(bytes, node, bench, &mut pass);
            drop(pass);
            self.take(taken_max, bench);
            while self.connection.wish() == Wish::Run {
                let mut pass = node.barrier.enter(0);
                self.connection.run(node, bench, &mut pass);
                drop(pass);
                self.take(taken_max, bench);
            }
            self.connection.publish(now_ms());
        }
    }

    fn is_over(&mut self) -> bool {
        self.ended |= self.connection.wish() != Wish::Read || self.connection.session.client.is_killed();
        self.ended
    }

    /// Takes what the connection has to say, a few bytes at a time.
    fn take(&mut self, taken_max: usize, bench: &mut Bench) {
        while !self.connection.output().is_empty() {
            let output = self.connection.output();
            let taken = output.len().min(taken_max);
            self.decoder.extend(&output[..taken]);
            self.connection.sent(taken, bench);
        }
        while let Some(reply) = self.decoder.next().expect("replies are RESP") {
            check(&reply);
            self.answered += usize::from(!matches!(reply, Reply::Push(_)));
        }
        assert_eq!(self.decoder.buffered(), 0, "a reply is written whole");
    }

    /// What other connections have pushed to this one.
    fn take_inbox(&mut self, bench: &mut Bench) {
        if let Some(pushed) = self.connection.session.client.take_inbox() {
            self.counts = false;
            self.connection.push(pushed);
            self.take(usize::MAX, bench);
        }
    }

    fn check_count(&mut self) {
        if self.counts && self.is_over() {
            assert!(self.answered <= self.asked, "{} replies to {} requests", self.answered, self.asked);
        } else if self.counts {
            assert_eq!(self.answered, self.asked, "replies to requests");
        }
    }
}

/// A handler that panicked has said so; the fuzzer sees the panic itself, but not where its hook was taken away.
fn check(reply: &Reply) {
    if let Reply::Error(text) = reply {
        assert!(!text.starts_with(b"ERR internal error"), "a handler panicked");
    }
}
