//! What redis-server 7.0.15 gave for DUMP: it is read as what it was, and written again as the same bytes.

use super::*;
use crate::types::zset;

/// A whole payload, whose sum is right.
fn payload(digits: &str) -> Vec<u8> {
    let payload = from_hex(digits);
    assert!(check_footer(&payload).is_some(), "{digits}");
    payload
}

#[track_caller]
fn check(digits: &str, limits: &Limits, expected: &str) -> Object {
    let value = restore(&payload(digits), limits).expect("it is Redis's own");
    assert_eq!(shown(&value), expected);
    let Value::Object(object) = value else { panic!("a string") };
    object
}

/// As [`check`], and the bytes without compression are Redis's.
#[track_caller]
fn check_both_ways(digits: &str, limits: &Limits, expected: &str) {
    let object = check(digits, limits, expected);
    let (redis, dumped) = (payload(digits), dump(&object, false));
    assert_eq!(body(&dumped), body(&redis), "{}", dumped.escape_ascii());
}

#[test]
fn hashes() {
    let listpack =
        "1026260000000600846e616d6505866c617264657207816e02f290eefe04800185656d70747906ff0a00b68d0b9d56cc16bb";
    let text = r#"""="empty" "n"="-70000" "name"="larder""#;
    check_both_ways(listpack, &Limits::default(), &format!("hash listpack: {text}"));

    let table = "04030005656d707479016ec290eefeff046e616d65066c61726465720a0015222e034ba9766a";
    check(table, &Limits::default(), &format!("hash listpack: {text}"));
    let mut limits = Limits::default();
    limits.hash.entries_max = 2;
    check(table, &limits, &format!("hash hashtable: {text}"));
    check(listpack, &limits, &format!("hash hashtable: {text}"));
}

#[test]
fn lists() {
    let one = "120102222200000006008161020c018001dfff028b68656c6c6f20776f726c640cf1001003ff0a00439665e972c37a30";
    let text = r#""a" "12" "" "-1" "hello world" "4096""#;
    check_both_ways(one, &Limits::default(), &format!("list listpack: {text}"));

    // From a server with list-max-listpack-size 2.
    let many = "1203020c0c00000002008161020c01ff020c0c00000002008001dfff02ff02141400000001008b68656c6c6f20776f726c640cff\
                0a009cb03df393421ea5";
    let text = r#""a" "12" "" "-1" "hello world""#;
    check(many, &Limits::default(), &format!("list listpack: {text}"));
    let limits = Limits { list: list::Limits::new(2), ..Limits::default() };
    check_both_ways(many, &limits, &format!("list quicklist: {text}"));
}

#[test]
fn sets() {
    let ints = "0b140400000003000000ffffffff05000000701101000a00efdab8fb74444e88";
    check_both_ways(ints, &Limits::default(), r#"set intset: "-1" "5" "70000""#);
    let wide = "0b200800000003000000ffffffffffffffff050000000000000000e40b54020000000a00fc29deaf8ede582c";
    check_both_ways(wide, &Limits::default(), r#"set intset: "-1" "10000000000" "5""#);
    let mut limits = Limits::default();
    limits.set.ints_max = 2;
    check(wide, &limits, r#"set hashtable: "-1" "10000000000" "5""#);

    let table = "02040161000568656c6c6fc00c0a005b398f6d81056eb8";
    check(table, &Limits::default(), r#"set listpack: "" "12" "a" "hello""#);
    limits.set.value_max = 4;
    check(table, &limits, r#"set hashtable: "" "12" "a" "hello""#);
}

#[test]
fn sorted_sets() {
    // The listpack came compressed, so it is compared as it is uncompressed.
    let listpack = "11c34045404e1b4e0000000c00836c6f7704842d696e6605836e656704942d302e3130e005001e3115836f6e650401010c010301\
                    83626967048531652b33300683746f700483203b0104ff0a00685202fcf0906f54";
    let text = "low=-inf neg=-0.1 one=1 12=3 big=1000000000000000000000000000000 top=inf";
    let object = check(listpack, &Limits::default(), &format!("zset listpack: {text}"));
    let expected =
        b"\x11\x3e\x3e\0\0\0\x0c\0\x83low\x04\x84-inf\x05\x83neg\x04\x84-0.1\x05\x83one\x04\x01\x01\x0c\x01\x03\x01\
                     \x83big\x04\x851e+30\x06\x83top\x04\x83inf\x04\xff";
    // Redis 7.0 writes -0.1 with 17 digits; 7.2 writes it as here.
    assert_eq!(body(&dump(&object, false)), expected);

    let skiplist = "050603746f70000000000000f07f03626967ea8ca039593e2946c00c0000000000000840036f6e65000000000000f03f036e6567\
                    9a9999999999b9bf036c6f77000000000000f0ff0a00754ada213dc8bb1a";
    check(skiplist, &Limits::default(), &format!("zset listpack: {text}"));
    let limits = Limits { zset: zset::Limits { entries_max: 2, value_max: 64 }, ..Limits::default() };
    check_both_ways(skiplist, &limits, &format!("zset skiplist: {text}"));
}

/// A stream of nodes with three entries at most, of which one is deleted, with two groups.
const STREAM: &str = "130210000000000000000100000000000000013f3f00000018000201010102018166028167020001020100010001010182763103050103\
     010101000102018276320305010201020100010301827633030501ff100000000000000004000000000000000140464600000019000301\
     0001020181660281670200010201000100010401827634030501020101010001050182763503050100010201dfff020101856f74686572\
     068178020601ff05060001010201060203677270040181ffffffffffffffff0200000000000000030000000000000001ce3b22fda10100\
     000100000000000000040000000000000001ce3b22fda1010000010305616c696365ce3b22fda101000001000000000000000300000000\
     0000000103626f62ce3b22fda10100000100000000000000040000000000000001056361726f6cce3b22fda1010000000469646c650301\
     0300000a00f033e92eaf6af2fe";

#[test]
fn streams() {
    let expected = "stream stream: Counters { last_id: Id { ms: 6, seq: 0 }, first_id: Id { ms: 1, seq: 1 }, \
                    max_deleted_id: Id { ms: 2, seq: 1 }, entries_added: 6 }\
                    \n  1-1 f=1 g=v1\n  3-1 f=3 g=v3\n  4-1 f=4 g=v4\n  5-1 f=5 g=v5\n  6-0 other=x\
                    \n group grp 4-1 read None\n  3-1 alice 1795248241614 x1\n  4-1 bob 1795248241614 x1\
                    \n  consumer alice 1795248241614 Some(1795248241614) 3-1\
                    \n  consumer bob 1795248241614 Some(1795248241614) 4-1\
                    \n  consumer carol 1795248241614 Some(1795248241614) \
                    \n group idle 3-1 read Some(3)";
    let object = check(STREAM, &Limits::default(), expected);
    let mut older = vec![type_of(&object, Version::V10)];
    push_body(&mut older, &object, Version::V10, false);
    assert_eq!(older, body(&payload(STREAM)));

    // Type 21 has each consumer's active time behind the seen time, and is else the same.
    let time = "ce3b22fda1010000";
    let mut expected = STREAM.replacen("13", "15", 1);
    for name in ["616c696365", "626f62", "6361726f6c"] {
        expected = expected.replace(&format!("{name}{time}"), &format!("{name}{time}{time}"));
    }
    let expected = from_hex(&expected);
    assert_eq!(body(&dump(&object, false)), body(&expected));
}

#[test]
fn empty_streams() {
    let empty = "13000001010000010101000a00cda16212d34bf396";
    let object = check(
        empty,
        &Limits::default(),
        "stream stream: Counters { last_id: Id { ms: 1, seq: 1 }, first_id: Id { ms: 0, seq: 0 }, \
         max_deleted_id: Id { ms: 1, seq: 1 }, entries_added: 1 }",
    );
    assert_eq!(body(&dump(&object, true)), b"\x15\0\0\x01\x01\0\0\x01\x01\x01\0");
}
