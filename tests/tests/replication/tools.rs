//! That the tools of these tests see what they are there to see.

use larder_tests::chain::makes;
use larder_tests::digest::{Digest, check_alike, difference};
use larder_tests::random::seed;
use larder_tests::writes::Writes;
use larder_tests::{Link, Node, wait_until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn two() -> Option<[Node; 2]> {
    let make = makes()[0];
    Some([make.start(&[])?, make.start(&[])?])
}

/// Something of every type.
const DATA: &[&str] = &[
    "SET string value",
    "SET expiring value PXAT 9000000000000",
    "RPUSH list a b c",
    "SADD set a b 3",
    "HSET hash f 1 g 2",
    "ZADD zset 1.5 a 2 b",
    "XADD stream 1-1 f v",
    "XADD stream 2-1 f v",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group alice COUNT 1 STREAMS stream >",
    "PFADD hll a b c",
    "GEOADD geo 13.361389 38.115556 Palermo",
];

#[test]
fn a_digest_sees_every_difference() {
    let Some([mut one, mut other]) = two() else { return };
    let both = |one: &mut Node, other: &mut Node, line: &str| {
        one.call(line);
        other.call(line);
    };
    DATA.iter().for_each(|line| both(&mut one, &mut other, line));
    assert_eq!(check_alike(&[&one, &other]), 9);
    let sum = Digest::of(&mut one).sum();
    for change in [
        "SET string valuE",
        "SET string value EX 1000",
        "PEXPIREAT expiring 9000000000001",
        "PERSIST expiring",
        "LSET list 1 x",
        "RPUSH list c",
        "LMOVE list list LEFT RIGHT",
        "SADD set c",
        "SREM set 3",
        "HSET hash f 2",
        "HDEL hash g",
        "ZADD zset 1.25 a",
        "ZREM zset a",
        "XADD stream 3-1 f v",
        "XDEL stream 1-1",
        "XTRIM stream MAXLEN 1",
        "XSETID stream 9-1",
        "XACK stream group 1-1",
        "XGROUP CREATECONSUMER stream group bob",
        "XGROUP DELCONSUMER stream group alice",
        "XGROUP SETID stream group 0",
        "XCLAIM stream group alice 0 1-1 RETRYCOUNT 5",
        "XCLAIM stream group bob 0 1-1",
        "XGROUP DESTROY stream group",
        "XGROUP CREATE stream other 0",
        "PFADD hll d e f g h",
        "DEL geo",
        "RENAME list elsewhere",
        "SET new key",
        "MOVE string 3",
        "SWAPDB 0 15",
        "FLUSHALL",
    ] {
        other.call(change);
        let seen = difference(&mut one, &mut other);
        assert!(seen.is_some(), "{change} is not seen");
        assert!(difference(&mut other, &mut one).is_some(), "{change} is not seen from the other side");
        assert_ne!(Digest::of(&mut other).sum(), sum, "{change} leaves the sum as it was");
        other.check("FLUSHALL", "OK");
        DATA.iter().for_each(|line| drop(other.call(line)));
        assert_eq!(difference(&mut one, &mut other), None, "after {change} was undone");
    }
}

#[test]
fn a_digest_tells_what_differs_and_minds_no_order() {
    let Some([mut one, mut other]) = two() else { return };
    one.call("SADD set x y z");
    other.call("SADD set z y x");
    one.call("HSET hash a 1 b 2");
    other.call("HSET hash b 2 a 1");
    assert_eq!(difference(&mut one, &mut other), None);
    one.call("SELECT 7");
    one.call_words(&[b"SET".as_slice(), b"key\xff", b"here"]);
    one.call("SELECT 0");
    let told = difference(&mut one, &mut other).expect("a key is missing");
    for part in ["3 keys here, 2 there", r"key\xff in database 7", "string, expires -1: here", "(nothing)"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}

#[test]
#[should_panic = "does not hold what server 0 holds"]
fn servers_that_differ_fail_the_test() {
    let Some([mut one, other]) = two() else { panic!("skipped: does not hold what server 0 holds") };
    one.call("SET k v");
    check_alike(&[&one, &other]);
}

#[test]
fn the_writes_make_sense_and_reach_all_types() {
    let Some([mut node, _]) = two() else { return };
    let writes = Writes { seed: seed(), keys: 2_000, writers: 2, commands: 20_000 };
    writes.fill(&node);
    node.check("CONFIG RESETSTAT", "OK");
    let tally = writes.run(&node);
    assert!(!tally.is_broken && tally.commands > 15_000, "{tally:?}");
    // Refused are wrong types, missing groups and the like.
    assert!(tally.refused * 5 < tally.commands, "{tally:?}");
    let info = node.text("INFO commandstats");
    for name in ["spop", "xclaim", "xautoclaim", "blpop", "bzmpop", "restore", "swapdb", "exec", "geosearchstore"] {
        assert!(info.contains(&format!("cmdstat_{name}:calls=")), "{name} is never called: {info}");
    }
}

/// A server that sends `bytes` to whoever connects and then waits for the end.
fn sender(bytes: usize) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("a listening socket has an address");
    thread::spawn(move || {
        // It ends with the test's process.
        for mut socket in listener.incoming().flatten() {
            thread::spawn(move || {
                if socket.write_all(&vec![7; bytes]).is_ok() {
                    let _ = socket.read(&mut [0]);
                }
            });
        }
    });
    address
}

fn read_all(link: &Link) -> usize {
    let mut seen = Vec::new();
    let mut socket = TcpStream::connect(link.address()).expect("a link listens");
    // However it ends.
    let _ = socket.read_to_end(&mut seen);
    seen.len()
}

#[test]
fn a_link_is_cut_after_exactly_so_many_bytes() {
    let link = Link::to(sender(200_000));
    for bytes in [1, 1_000, 16 << 10, 150_001] {
        link.cut_after(bytes as u64);
        assert_eq!(read_all(&link), bytes);
        assert!(!link.is_waiting());
    }
    link.cut_after(0);
    assert_eq!(read_all(&link), 0);
}

#[test]
fn a_link_that_stalls_loses_nothing() {
    let link = Link::to(sender(100_000));
    link.stall_after(5_000);
    let mut socket = TcpStream::connect(link.address()).expect("a link listens");
    let mut seen = vec![0; 5_000];
    socket.read_exact(&mut seen).expect("so much passes");
    wait_until("it stalls", || !link.is_waiting());
    socket.set_nonblocking(true).expect("a socket can be made so");
    assert!(socket.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    assert_eq!(link.open_connections(), 1);
    link.mend();
    socket.set_nonblocking(false).expect("a socket can be made so");
    let mut rest = vec![0; 95_000];
    socket.read_exact(&mut rest).expect("the rest passes");
    assert_eq!(link.passed(), 100_000);
    link.cut();
    assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn a_link_refuses_until_it_is_mended_and_leads_elsewhere() {
    let link = Link::to(sender(10));
    link.refuse();
    assert_eq!(read_all(&link), 0);
    assert_eq!(link.connections(), 0);
    link.mend();
    link.lead_to(sender(20));
    link.cut_after(20);
    assert_eq!(read_all(&link), 20);
    assert_eq!(link.connections(), 1);
}
