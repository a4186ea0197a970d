//! Bytes that are hardly requests, which both servers must answer with the same bytes.

use crate::random::{Random, seed};
use larder_tests::Node;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Streams of bytes that are tried.
const STREAMS: usize = 1500;

/// Pieces that streams are made of.
const PIECES: &[&str] = &[
    "*1\r\n$4\r\nPING\r\n",
    "*2\r\n$4\r\nECHO\r\n$3\r\na b\r\n",
    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
    "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    "*2\r\n$4\r\nMGET\r\n$1\r\nx\r\n",
    "*0\r\n",
    "*-1\r\n",
    "PING\r\n",
    "echo 'a b'\r\n",
    "ECHO \"\\x41\\n\"\r\n",
    "\r\n",
    "  \r\n",
    "PING\n",
    "*2\r\n$6\r\nSELECT\r\n$1\r\nx\r\n",
    "*1\r\n$5\r\nRESET\r\n",
];

/// Bytes that mean something to a parser. A NUL is not among them: the reference looks for the end of a line with C's
/// functions, which end there, and then waits for more.
const BYTES: &[u8] = b"*$:+-\r\n '\"\\0129x\xff";

#[test]
fn mangled_requests_are_answered_alike() {
    let Some(theirs) = Node::reference(&[]) else { return };
    let ours = Node::start();
    let mut random = Random::new(seed());
    for _ in 0..STREAMS {
        let stream = mangled(&mut random);
        let answers = [answer(ours.address(), &stream), answer(theirs.address(), &stream)];
        assert!(
            answers[0] == answers[1],
            "\n   sent: {}\n   ours: {}\n theirs: {}\n",
            stream.escape_ascii(),
            answers[0].escape_ascii(),
            answers[1].escape_ascii()
        );
    }
}

fn mangled(random: &mut Random) -> Vec<u8> {
    let pieces = 1 + random.below(5);
    let mut stream: Vec<u8> = (0..pieces).flat_map(|_| random.pick(PIECES).bytes()).collect();
    for _ in 0..random.below(4) {
        let at = random.below(stream.len().max(1));
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(3) {
            0 => stream.insert(at.min(stream.len()), byte),
            1 if !stream.is_empty() => stream[at] = byte,
            2 if !stream.is_empty() => drop(stream.remove(at)),
            _ => {}
        }
    }
    stream
}

/// Everything that is answered to a stream of bytes that ends.
fn answer(address: SocketAddr, stream: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).expect("the server takes connections");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time can be set");
    socket.write_all(stream).expect("the server reads");
    let mut answer = Vec::new();
    socket.shutdown(Shutdown::Write).expect("the server has not closed before it has read");
    // A server that closes with bytes unread resets the connection; what it had answered has come by then.
    let _ = socket.read_to_end(&mut answer);
    answer
}
