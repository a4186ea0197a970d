//! Sessions about HyperLogLog. What is answered, and the bytes of counters, were asked of redis-server.

use crate::command::testing::Desk;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_A_COUNTER: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected";

#[test]
fn elements_are_counted() {
    let mut desk = Desk::new();
    desk.check("PFADD h", ":1");
    desk.check("EXISTS h", ":1");
    desk.check("PFCOUNT h", ":0");
    desk.check("PFADD h", ":0");
    desk.check("PFADD h a b c", ":1");
    desk.check("PFADD h a", ":0");
    desk.check("PFCOUNT h", ":3");
    desk.check("PFCOUNT none", ":0");
    desk.check("PFCOUNT h none", ":3");
    desk.check("PFADD i c d e", ":1");
    desk.check("PFCOUNT h i", ":5");
    desk.check("TYPE h", "+string");
    desk.check("OBJECT ENCODING h", "$3 raw");
}

#[test]
fn counters_have_the_bytes_of_redis() {
    let mut desk = Desk::new();
    desk.check("PFADD h a b c", ":1");
    let counter = |cache: &[u8]| {
        let runs = b"`\xf3\x80P\xb1\x84K\xfb\x80BZ\r\n";
        [b"$27\r\nHYLL\x01\0\0\0", cache, runs].concat()
    };
    assert_eq!(desk.call(&[b"GET", b"h"]), counter(b"\0\0\0\0\0\0\0\x80"));
    desk.check("PFCOUNT h", ":3");
    assert_eq!(desk.call(&[b"GET", b"h"]), counter(b"\x03\0\0\0\0\0\0\0"));
    desk.check("PFDEBUG DECODE h", "$44 Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603");
    desk.check("PFMERGE new", "+OK");
    desk.check("PFCOUNT new", ":0");
    assert_eq!(desk.call(&[b"GET", b"new"]), b"$18\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\r\n");
}

#[test]
fn many_elements_make_a_counter_dense_which_is_then_changed_where_it_lies() {
    let mut desk = Desk::new();
    for n in 0..5_000 {
        desk.run(&format!("PFADD h element:{n}"));
    }
    desk.check("PFDEBUG ENCODING h", "+dense");
    desk.check("STRLEN h", ":12304");
    let reply = desk.run("PFCOUNT h");
    let estimate: f64 = reply.trim().trim_start_matches(':').parse().unwrap();
    assert!((estimate - 5_000.0).abs() < 200.0, "{estimate}");
    desk.check("EXPIRE h 100", ":1");
    for n in 0..5_000 {
        desk.check(&format!("PFADD h element:{n}"), ":0");
    }
    assert!((5_000..5_100).any(|n| desk.run(&format!("PFADD h element:{n}")) == ":1\r\n"));
    desk.check("TTL h", ":100");
    // A copy that was set lies in pieces.
    let copy = desk.call(&[b"GET", b"h"]);
    let start = copy.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    desk.call(&[b"SET", b"copy", &copy[start..copy.len() - 2]]);
    assert_eq!(desk.run("PFCOUNT h"), desk.run("PFCOUNT copy"));
    assert!((6_000..6_100).any(|n| desk.run(&format!("PFADD copy element:{n}")) == ":1\r\n"));
    assert_ne!(desk.run("PFCOUNT h"), desk.run("PFCOUNT copy"));
    desk.check("PFMERGE h copy", "+OK");
    assert_eq!(desk.run("PFCOUNT h"), desk.run("PFCOUNT copy"));
    desk.check("TTL h", ":100");
}

#[test]
fn the_limit_of_sparse_counters_is_a_setting() {
    let mut desk = Desk::new();
    desk.check("CONFIG SET hll-sparse-max-bytes 30", "+OK");
    desk.check("PFADD h 1 2 3 4 5 6 7 8 9", ":1");
    desk.check("PFDEBUG ENCODING h", "+dense");
    desk.check("PFCOUNT h", ":9");
    desk.check("CONFIG SET hll-sparse-max-bytes 3000", "+OK");
    desk.check("PFADD i 1 2 3 4 5 6 7 8 9", ":1");
    desk.check("PFDEBUG ENCODING i", "+sparse");
    desk.check("PFCOUNT i h", ":9");
    desk.check("PFMERGE i h", "+OK");
    desk.check("PFDEBUG ENCODING i", "+dense");
}

#[test]
fn counters_are_merged() {
    let mut desk = Desk::new();
    desk.check("PFADD h a b c", ":1");
    desk.check("PFADD i c d e", ":1");
    desk.check("PFMERGE j h i none", "+OK");
    desk.check("PFCOUNT j", ":5");
    desk.check("PFMERGE j", "+OK");
    desk.check("PFMERGE h h h", "+OK");
    desk.check("PFCOUNT h", ":3");
    desk.check("EXPIRE j 100", ":1");
    desk.check("PFADD h z", ":1");
    desk.check("PFMERGE j h", "+OK");
    desk.check("PFCOUNT j", ":6");
    desk.check("TTL j", ":100");
}

#[test]
fn what_is_no_counter_is_refused_and_left_alone() {
    let mut desk = Desk::new();
    desk.check("PFADD h a", ":1");
    desk.check("SET s notahll", "+OK");
    desk.check("SET n 12", "+OK");
    desk.check("HSET l f v", ":1");
    for (key, fault) in [("s", NOT_A_COUNTER), ("n", NOT_A_COUNTER), ("l", WRONG_TYPE)] {
        for line in ["PFADD KEY", "PFADD KEY a", "PFCOUNT KEY", "PFCOUNT h KEY", "PFMERGE h KEY", "PFMERGE KEY h"] {
            desk.check(&line.replace("KEY", key), fault);
        }
        for name in ["ENCODING", "DECODE", "GETREG", "TODENSE", "FOO"] {
            desk.check(&format!("PFDEBUG {name} {key}"), fault);
        }
    }
    desk.check("PFCOUNT s l", NOT_A_COUNTER);
    desk.check("PFCOUNT l s", WRONG_TYPE);
    desk.check("GET s", "$7 notahll");
    desk.check("PFCOUNT h", ":1");
}

#[test]
fn corrupt_counters_are_refused() {
    let mut desk = Desk::new();
    desk.check("PFADD h a", ":1");
    desk.call(&[b"SET", b"c", b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80"]);
    for line in
        ["PFADD c a", "PFCOUNT c", "PFCOUNT c h", "PFMERGE h c", "PFMERGE c h", "PFDEBUG GETREG c", "PFDEBUG TODENSE c"]
    {
        desk.check(line, CORRUPT);
    }
    desk.check("PFDEBUG ENCODING c", "+sparse");
    desk.check("PFDEBUG DECODE c", "$0");
    desk.check("SETRANGE c 4 \"\\x02\"", ":16");
    desk.check("PFADD c a", NOT_A_COUNTER);
    desk.check("PFCOUNT h", ":1");
}

#[test]
fn pfdebug_looks_into_counters() {
    let mut desk = Desk::new();
    desk.check("PFADD h a b c", ":1");
    desk.check("pfdebug encoding h", "+sparse");
    desk.check("PFDEBUG TODENSE h", ":1");
    desk.check("PFDEBUG TODENSE h", ":0");
    desk.check("PFDEBUG ENCODING h", "+dense");
    desk.check("PFDEBUG DECODE h", "-ERR HLL encoding is not sparse");
    desk.check("PFCOUNT h", ":3");
    desk.check("PFADD i a b c", ":1");
    let registers = desk.run("PFDEBUG GETREG i");
    assert_eq!(registers, desk.run("PFDEBUG GETREG h"));
    assert!(registers.starts_with("*16384\r\n:0\r\n"));
    assert_eq!((registers.matches(":1\r\n").count(), registers.matches(":2\r\n").count()), (2, 1));
    // Redis reads the registers of a counter only once it is dense.
    desk.check("PFDEBUG ENCODING i", "+dense");
    desk.check("PFDEBUG FOO h", "-ERR Unknown PFDEBUG subcommand 'FOO'");
    for name in ["FOO", "ENCODING", "GETREG"] {
        desk.check(&format!("PFDEBUG {name} none"), "-ERR The specified key does not exist");
    }
    for line in ["pfdebug encoding", "pfdebug encoding h x", "pfselftest x", "pfadd", "pfcount", "pfmerge"] {
        let name = line.split(' ').next().unwrap();
        desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
    }
}

#[test]
fn a_count_that_is_kept_breaks_off_what_watches_the_counter_once() {
    let mut desk = Desk::new();
    desk.check("PFADD h a", ":1");
    for (line, reply) in [
        ("PFCOUNT h", "*-1"),
        ("PFCOUNT h", "*1 +PONG"),
        ("PFADD h a", "*1 +PONG"),
        ("PFADD h b", "*-1"),
        ("PFMERGE h", "*-1"),
        ("PFCOUNT h none", "*1 +PONG"),
    ] {
        desk.check("WATCH h", "+OK");
        desk.run(line);
        desk.check("MULTI", "+OK");
        desk.check("PING", "+QUEUED");
        desk.check("EXEC", reply);
    }
}

#[test]
fn keys_are_told_with_what_is_done_to_them() {
    let mut desk = Desk::new();
    desk.check("COMMAND GETKEYSANDFLAGS PFADD k e", "*1 *2 $1 k *2 +RW +insert");
    desk.check("COMMAND GETKEYSANDFLAGS PFCOUNT a b", "*2 *2 $1 a *2 +RW +access *2 $1 b *2 +RW +access");
    let keys = "*2 *2 $1 d *3 +RW +access +insert *2 $1 a *2 +RO +access";
    desk.check("COMMAND GETKEYSANDFLAGS PFMERGE d a", keys);
    desk.check("COMMAND GETKEYSANDFLAGS PFDEBUG DECODE k", "*1 *2 $1 k *2 +RW +access");
}
