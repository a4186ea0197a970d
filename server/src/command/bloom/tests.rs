//! Filters, seen by a connection.

use crate::command::testing::Desk;
use crate::store::Options;

#[test]
fn items_are_added_and_found() {
    let mut desk = Desk::new();
    desk.check("BF.ADD seen a", ":1");
    desk.check("BF.ADD seen a", ":0");
    desk.check("BF.MADD seen a b c", "*3 :0 :1 :1");
    desk.check("BF.EXISTS seen b", ":1");
    desk.check("BF.EXISTS seen z", ":0");
    desk.check("BF.MEXISTS seen a z", "*2 :1 :0");
    desk.check("BF.CARD seen", ":3");
    desk.check("BF.EXISTS nosuch a", ":0");
    desk.check("BF.MEXISTS nosuch a b", "*2 :0 :0");
    desk.check("BF.CARD nosuch", ":0");
    desk.check("EXISTS nosuch", ":0");
    desk.set_protocol(3);
    desk.check("BF.ADD seen a", "#f");
    desk.check("BF.MADD seen a d", "*2 #f #t");
    desk.check("BF.MEXISTS seen a z", "*2 #t #f");
}

#[test]
fn a_filter_is_reserved_and_told_of() {
    let mut desk = Desk::new();
    desk.check("BF.RESERVE f 0.01 100", "+OK");
    desk.check("BF.RESERVE f 0.01 100", "-ERR item exists");
    desk.check(
        "BF.INFO f",
        "*10 +Capacity :100 +Size :240 +Number of filters :1 +Number of items inserted :0 +Expansion rate :2",
    );
    for (word, told) in
        [("capacity", ":100"), ("SIZE", ":240"), ("FILTERS", ":1"), ("ITEMS", ":0"), ("EXPANSION", ":2")]
    {
        desk.check(&format!("BF.INFO f {word}"), &format!("*1 {told}"));
    }
    desk.check("BF.INFO f nothing", "-ERR Invalid information value");
    desk.check("BF.INFO f size size", "-ERR wrong number of arguments for 'bf.info' command");
    desk.check("BF.INFO nosuch", "-ERR not found");
    desk.check("BF.RESERVE fixed 0.1 2 NONSCALING", "+OK");
    desk.check("BF.INFO fixed EXPANSION", "*1 $-1");
    desk.check("BF.MADD fixed a b c d", "*3 :1 :1 -ERR non scaling filter is full");
    desk.check("BF.ADD fixed c", "-ERR non scaling filter is full");
    desk.check("BF.ADD fixed a", ":0");
    desk.check("BF.RESERVE grows 0.1 2 EXPANSION 3", "+OK");
    desk.check("BF.MADD grows a b c d e f g h i", "*9 :1 :1 :1 :1 :1 :1 :1 :1 :1");
    desk.check("BF.INFO grows CAPACITY", "*1 :26");
    desk.check("BF.INFO grows FILTERS", "*1 :3");
    desk.set_protocol(3);
    desk.check(
        "BF.INFO fixed",
        "%5 +Capacity :2 +Size :104 +Number of filters :1 +Number of items inserted :2 +Expansion rate _",
    );
}

#[test]
fn options_say_what_is_made() {
    let mut desk = Desk::new();
    desk.check("BF.INSERT f NOCREATE ITEMS a", "-ERR not found");
    desk.check("BF.INSERT f CAPACITY 500 ERROR 0.001 EXPANSION 4 ITEMS a b", "*2 :1 :1");
    desk.check("BF.INFO f CAPACITY", "*1 :500");
    desk.check("BF.INFO f EXPANSION", "*1 :4");
    desk.check("BF.INSERT f NOCREATE ITEMS a c", "*2 :0 :1");
    desk.check("BF.INSERT g nonscaling capacity 1 items a b", "*2 :1 -ERR non scaling filter is full");
    for (line, fault) in [
        ("BF.RESERVE x much 1", "ERR bad error rate"),
        ("BF.RESERVE x 0 1", "ERR (0 < error rate range < 1)"),
        ("BF.RESERVE x 1 1", "ERR (0 < error rate range < 1)"),
        ("BF.RESERVE x nan 1", "ERR bad error rate"),
        ("BF.RESERVE x 0.1 much", "ERR bad capacity"),
        ("BF.RESERVE x 0.1 0", "ERR (capacity should be larger than 0)"),
        ("BF.RESERVE x 0.1 -5", "ERR (capacity should be larger than 0)"),
        ("BF.RESERVE x 0.1 1 EXPANSION", "ERR no expansion"),
        ("BF.RESERVE x 0.1 1 EXPANSION x", "ERR bad expansion"),
        ("BF.RESERVE x 0.1 1 EXPANSION -1", "ERR expansion must be in the range [0, 32768]"),
        ("BF.RESERVE x 0.1 1 EXPANSION 2 NONSCALING", "Nonscaling filters cannot expand"),
        ("BF.RESERVE x 0.1 1 FAST", "ERR syntax error"),
        (
            "BF.RESERVE x 0.001 9223372036854775807",
            "ERR a filter of this capacity and error rate would take more than 256 MiB",
        ),
        ("BF.INSERT x ITEMS", "ERR wrong number of arguments for 'bf.insert' command"),
        ("BF.INSERT x CAPACITY", "ERR wrong number of arguments for 'bf.insert' command"),
        ("BF.INSERT x CAPACITY much ITEMS a", "Bad capacity"),
        ("BF.INSERT x ERROR much ITEMS a", "Bad error rate"),
        ("BF.INSERT x EXPANSION much ITEMS a", "Bad expansion"),
        ("BF.INSERT x CAPACITY 0 ITEMS a", "Bad argument received"),
        ("BF.INSERT x ERROR 2 ITEMS a", "Bad argument received"),
        ("BF.INSERT x QUICKLY ITEMS a", "Unknown argument received"),
        (
            "BF.INSERT x CAPACITY 99999999999 ITEMS a",
            "ERR a filter of this capacity and error rate would take more than 256 MiB",
        ),
        ("BF.SCANDUMP x 0", "ERR not found"),
        ("BF.LOADCHUNK x 2 a", "ERR not found"),
        ("BF.LOADCHUNK x 1 a", "ERR received bad data"),
        ("BF.LOADCHUNK x much a", "ERR Second argument must be numeric"),
    ] {
        desk.check(line, &format!("-{fault}"));
    }
    desk.check("EXISTS x", ":0");
}

#[test]
fn other_types_are_refused_and_a_filter_is_one_to_others() {
    let mut desk = Desk::new();
    desk.check("SET s v", "+OK");
    desk.check("BF.ADD f a", ":1");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    for line in [
        "BF.ADD s a",
        "BF.MADD s a",
        "BF.EXISTS s a",
        "BF.CARD s",
        "BF.INFO s",
        "BF.RESERVE s 0.1 1",
        "BF.SCANDUMP s 0",
        "BF.LOADCHUNK s 1 x",
        "BF.INSERT s ITEMS a",
        "GET f",
        "HGET f a",
        "SORT f",
        "SADD f a",
    ] {
        desk.check(line, wrong);
    }
}

#[test]
fn a_filter_is_a_key_like_any_other() {
    let mut desk = Desk::set_up(Options::default(), &[("enable-debug-command", "local")]);
    desk.check("BF.MADD f a b", "*2 :1 :1");
    desk.check("TYPE f", "+MBbloom--");
    desk.check("OBJECT ENCODING f", "$3 raw");
    desk.check("SCAN 0 TYPE mbbloom--", "*2 $1 0 *1 $1 f");
    desk.check("EXPIRE f 100", ":1");
    desk.check("COPY f copy", ":1");
    desk.check("BF.ADD copy c", ":1");
    desk.check("BF.MEXISTS f a c", "*2 :1 :0");
    desk.check("BF.MEXISTS copy a c", "*2 :1 :1");
    desk.check("RENAME copy other", "+OK");
    desk.check("BF.CARD other", ":3");
    desk.check("MOVE other 1", ":1");
    desk.check("BF.CARD other", ":0");
    assert!(desk.run("DEBUG OBJECT f").contains("encoding:raw"));
    let usage = |desk: &mut Desk| desk.run("MEMORY USAGE f")[1..].trim_end().parse::<usize>().unwrap();
    let small = usage(&mut desk);
    assert!((144..1000).contains(&small), "{small}");
    let used = desk.node.store.used_bytes();
    for number in 0..300 {
        desk.run(&format!("BF.MADD f {}", (0..10).map(|at| format!("i{number}:{at} ")).collect::<String>()));
    }
    assert!(usage(&mut desk) > 3000);
    assert!(desk.node.store.used_bytes() > used + 3000);
    // One without items stays.
    desk.check("BF.RESERVE empty 0.01 5", "+OK");
    desk.check("EXISTS empty", ":1");
}

/// The payload in a reply of one bulk string, or the second of two.
fn bulk(reply: &[u8]) -> Vec<u8> {
    let at = reply.iter().position(|byte| *byte == b'$').unwrap();
    let start = at + reply[at..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    reply[start..reply.len() - 2].to_vec()
}

#[test]
fn what_was_dumped_is_restored() {
    let mut desk = Desk::new();
    desk.check("BF.INSERT f CAPACITY 3 ITEMS a b c d e f g h", "*8 :1 :1 :1 :1 :1 :1 :1 :1");
    let payload = bulk(&desk.call(&[b"DUMP", b"f"]));
    assert_eq!(desk.call(&[b"RESTORE", b"g", b"0", &payload]), b"+OK\r\n");
    desk.check("BF.MEXISTS g a h nosuch", "*3 :1 :1 :0");
    assert_eq!(desk.run("BF.INFO g"), desk.run("BF.INFO f"));
    let mut wrong = payload.clone();
    wrong[20] ^= 1;
    assert!(desk.call(&[b"RESTORE", b"h", b"0", &wrong]).starts_with(b"-ERR DUMP payload version or checksum"));
}

#[test]
fn a_filter_travels_in_chunks() {
    let mut desk = Desk::new();
    desk.check("BF.RESERVE f 0.001 500000", "+OK");
    for number in 0..20_000 {
        desk.call(&[b"BF.ADD", b"f", format!("i{number}").as_bytes()]);
    }
    let (mut next, mut chunks) = (0, 0);
    loop {
        let reply = desk.call(&[b"BF.SCANDUMP", b"f", next.to_string().as_bytes()]);
        let told = String::from_utf8_lossy(&reply[5..reply.len().min(15)]);
        next = told.split('\r').next().unwrap().parse::<i64>().unwrap();
        if next == 0 {
            break;
        }
        let at = next.to_string();
        assert_eq!(desk.call(&[b"BF.LOADCHUNK", b"g", at.as_bytes(), &bulk(&reply)]), b"+OK\r\n");
        chunks += 1;
    }
    assert_eq!(chunks, 2);
    assert_eq!(desk.run("BF.INFO g"), desk.run("BF.INFO f"));
    assert_eq!(bulk(&desk.call(&[b"DUMP", b"g"])), bulk(&desk.call(&[b"DUMP", b"f"])));
    for (end, data, fault) in [
        ("0", "xx", "ERR received bad data"),
        ("1", "xx", "ERR received bad data"),
        ("2", "", "ERR received bad data"),
        ("-9223372036854775808", "xx", "ERR received bad data"),
        ("9223372036854775807", "xx", "ERR invalid offset - no link found"),
        ("1000000000", "xx", "ERR invalid offset - no link found"),
    ] {
        let reply = desk.call(&[b"BF.LOADCHUNK", b"g", end.as_bytes(), data.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&reply), format!("-{fault}\r\n"), "{end}");
    }
    for from in ["-1", "99999999999", "9223372036854775807", "-9223372036854775808"] {
        desk.check(&format!("BF.SCANDUMP f {from}"), "*2 :0 $0");
    }
}

#[test]
fn the_stream_says_what_has_changed() {
    let (mut desk, number) = Desk::leading(Options::default());
    desk.check("BF.RESERVE f 0.01 100", "+OK");
    desk.check("BF.ADD f a", ":1");
    desk.check("BF.ADD f a", ":0");
    desk.check("BF.EXISTS f a", ":1");
    desk.check("BF.MADD f a b", "*2 :0 :1");
    let payload = bulk(&desk.call(&[b"DUMP", b"f"]));
    assert_eq!(desk.call(&[b"RESTORE", b"g", b"0", &payload]), b"+OK\r\n");
    let sent = desk.stream(number);
    let names: Vec<_> = sent.iter().map(|words| String::from_utf8_lossy(&words[0]).into_owned()).collect();
    assert_eq!(names, ["SELECT", "BF.RESERVE", "BF.ADD", "BF.MADD", "RESTORE"]);
    let mut other = Desk::following();
    for words in &sent {
        other.call(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    other.session.is_primary = false;
    other.check("BF.MEXISTS f a b c", "*3 :1 :1 :0");
    other.check("BF.CARD g", ":2");
}

#[test]
fn a_node_without_room_takes_no_more() {
    let options = Options { memory_max: 8 << 20, eviction: crate::store::Eviction::NoEviction, ..Options::default() };
    let mut desk = Desk::with(options);
    let mut refused = None;
    for number in 0..200 {
        // Each takes 180 KB once some items are in it.
        let items: String = (0..40).map(|at| format!("{number}:{at} ")).collect();
        let reply = desk.run(&format!("BF.INSERT f{number} CAPACITY 100000 ITEMS {items}"));
        if reply.starts_with("-OOM") {
            refused = Some(number);
            break;
        }
    }
    assert!(refused.is_some_and(|number| number > 10), "{refused:?}");
    desk.check("BF.EXISTS f0 0:1", ":1");
}
