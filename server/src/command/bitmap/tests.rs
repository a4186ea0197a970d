//! Sessions about bitmaps. What is answered was asked of redis-server.

use crate::command::testing::Desk;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";
const NOT_AN_OFFSET: &str = "-ERR bit offset is not an integer or out of range";
const NOT_A_BIT: &str = "-ERR bit is not an integer or out of range";
const NOT_A_KIND: &str =
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";

/// A desk with `foobar` in `k` and a hash in `h`.
fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.check("SET k foobar", "+OK");
    desk.check("HSET h f v", ":1");
    desk
}

#[test]
fn bits_are_set_and_read() {
    let mut desk = desk();
    desk.check("GETBIT k 0", ":0");
    desk.check("GETBIT k 1", ":1");
    desk.check("GETBIT k 1000", ":0");
    desk.check("GETBIT none 5", ":0");
    desk.check("SETBIT n 7 0", ":0");
    assert_eq!(desk.call(&[b"GET", b"n"]), b"$1\r\n\0\r\n");
    desk.check("SETBIT n 7 1", ":0");
    desk.check("SETBIT n 7 1", ":1");
    desk.check("OBJECT ENCODING n", "$3 raw");
    desk.check("SETBIT n 100 1", ":0");
    desk.check("STRLEN n", ":13");
    desk.check("SET i 1 EX 100", "+OK");
    desk.check("GETBIT i 7", ":1");
    desk.check("SETBIT i 6 1", ":0");
    desk.check("GET i", "$1 3");
    desk.check("TTL i", ":100");
    desk.check("SET i 1", "+OK");
    desk.check("SETBIT i 7 1", ":1");
    desk.check("OBJECT ENCODING i", "$3 raw");
}

#[test]
fn bits_and_offsets_that_are_none_are_refused() {
    let mut desk = desk();
    for offset in ["-1", "4294967296", "x", "#1", "\"\"", "9223372036854775808"] {
        desk.check(&format!("GETBIT k {offset}"), NOT_AN_OFFSET);
        desk.check(&format!("GETBIT h {offset}"), NOT_AN_OFFSET);
        desk.check(&format!("SETBIT k {offset} 2"), NOT_AN_OFFSET);
    }
    for bit in ["2", "-1", "x", "10", "01"] {
        desk.check(&format!("SETBIT k 1 {bit}"), NOT_A_BIT);
    }
    desk.check("GETBIT k 4294967295", ":0");
    desk.check("SETBIT h 1 1", WRONG_TYPE);
    desk.check("GETBIT h 1", WRONG_TYPE);
    desk.check("GET k", "$6 foobar");
    for line in ["getbit k", "setbit k 1", "bitcount", "bitpos k", "bitop and d", "bitfield", "bitfield_ro"] {
        let name = line.split(' ').next().unwrap();
        desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
    }
}

#[test]
fn a_bit_far_off_makes_a_long_string_of_zeros() {
    let mut desk = Desk::new();
    desk.check("SETBIT k 80000000 1", ":0");
    desk.check("STRLEN k", ":10000001");
    desk.check("BITPOS k 1", ":80000000");
    desk.check("BITCOUNT k", ":1");
    desk.check("GETBIT k 79999999", ":0");
    desk.check("GETBIT k 80000000", ":1");
}

#[test]
fn ones_are_counted() {
    let mut desk = desk();
    for (range, ones) in
        [("", 26), ("0 0", 4), ("1 1", 6), ("5 30 BIT", 17), ("-2 -1 byte", 7), ("-9223372036854775808 -1", 26)]
    {
        desk.check(&format!("BITCOUNT k {range}"), &format!(":{ones}"));
    }
    desk.check("SET i 49", "+OK");
    desk.check("BITCOUNT i", ":7");
    desk.check("SET e \"\"", "+OK");
    desk.check("BITCOUNT e", ":0");
    desk.check("BITCOUNT e 0 -1", ":0");
    for range in ["1", "x", "0 1 FOO", "5 30 BIT x"] {
        desk.check(&format!("BITCOUNT k {range}"), SYNTAX);
    }
    for range in ["x 1", "0 y BIT", "x 1 FOO", "0 9223372036854775808"] {
        desk.check(&format!("BITCOUNT k {range}"), NOT_INTEGER);
    }
    desk.check("BITCOUNT k -1 -5 FOO", ":0");
    desk.check("BITCOUNT k -5 -1 FOO", SYNTAX);
    // The key is looked at before the range.
    for range in ["", "x y", "0", "0 1 FOO"] {
        desk.check(&format!("BITCOUNT none {range}"), ":0");
        desk.check(&format!("BITCOUNT h {range}"), WRONG_TYPE);
    }
}

#[test]
fn the_first_bit_is_found() {
    let mut desk = desk();
    for (words, position) in [
        ("1", 1),
        ("0", 0),
        ("1 2", 17),
        ("1 2 3 BIT", 2),
        ("0 5 5", 40),
        ("1 100", -1),
        ("1 -2 -3", -1),
        ("1 -8 -9", 1),
    ] {
        desk.check(&format!("BITPOS k {words}"), &format!(":{position}"));
    }
    assert_eq!(desk.call(&[b"SET", b"ones", b"\xff\xff"]), b"+OK\r\n");
    for (words, position) in [("0", 16), ("0 1", 16), ("0 0 -1", -1), ("0 2", -1), ("0 0 15 BIT", -1)] {
        desk.check(&format!("BITPOS ones {words}"), &format!(":{position}"));
    }
    desk.check("SET e \"\"", "+OK");
    for (words, position) in [("0", -1), ("1", -1), ("0 0", -1), ("0 0 -1", -1)] {
        desk.check(&format!("BITPOS e {words}"), &format!(":{position}"));
    }
    for (words, position) in [("0", 0), ("1", -1), ("0 x", 0), ("1 0 x FOO y", -1)] {
        desk.check(&format!("BITPOS none {words}"), &format!(":{position}"));
    }
    for words in ["1 2 3 FOO", "1 0 x FOO", "1 2 3 BIT x"] {
        desk.check(&format!("BITPOS k {words}"), SYNTAX);
    }
    for words in ["x", "1 x", "1 2 x", "1 x 1 BIT"] {
        desk.check(&format!("BITPOS k {words}"), NOT_INTEGER);
    }
    for key in ["k", "h", "none"] {
        desk.check(&format!("BITPOS {key} 2"), "-ERR The bit argument must be 1 or 0.");
        desk.check(&format!("BITPOS {key} -1 x"), "-ERR The bit argument must be 1 or 0.");
    }
    desk.check("BITPOS h 1 x", WRONG_TYPE);
}

#[test]
fn strings_are_combined() {
    let mut desk = desk();
    desk.check("SETBIT n 7 1", ":0");
    desk.check("SET i 3", "+OK");
    desk.check("BITOP AND d k n", ":6");
    assert_eq!(desk.call(&[b"GET", b"d"]), b"$6\r\n\0\0\0\0\0\0\r\n");
    desk.check("BITOP or d k i", ":6");
    desk.check("GET d", "$6 woobar");
    desk.check("OBJECT ENCODING d", "$3 raw");
    desk.check("BITOP XOR d k i n none", ":6");
    desk.check("GET d", "$6 Toobar");
    desk.check("BITOP NOT d k", ":6");
    assert_eq!(desk.call(&[b"GET", b"d"]), b"$6\r\n\x99\x90\x90\x9d\x9e\x8d\r\n");
    desk.check("BITOP NOT d d", ":6");
    desk.check("GET d", "$6 foobar");
    desk.check("EXPIRE d 100", ":1");
    desk.check("BITOP AND d d d", ":6");
    desk.check("TTL d", ":-1");
    desk.check("BITOP AND d none k", ":6");
    assert_eq!(desk.call(&[b"GET", b"d"]), b"$6\r\n\0\0\0\0\0\0\r\n");
    desk.check("BITOP OR h k", ":6");
    desk.check("TYPE h", "+string");
}

#[test]
fn no_bits_leave_no_key() {
    let mut desk = desk();
    desk.check("SET d v", "+OK");
    desk.check("BITOP AND d none1 none2", ":0");
    desk.check("EXISTS d", ":0");
    desk.check("SET e \"\"", "+OK");
    desk.check("SET d v", "+OK");
    desk.check("BITOP NOT d e", ":0");
    desk.check("EXISTS d", ":0");
}

#[test]
fn what_cannot_be_combined_leaves_the_destination() {
    let mut desk = desk();
    desk.check("BITOP FOO k h", SYNTAX);
    desk.check("BITOP NOT k k k", "-ERR BITOP NOT must be called with a single source key.");
    desk.check("BITOP AND k h", WRONG_TYPE);
    desk.check("BITOP OR k k none h", WRONG_TYPE);
    desk.check("GET k", "$6 foobar");
}

#[test]
fn integers_are_read_and_written() {
    let mut desk = Desk::new();
    desk.check("BITFIELD b", "*0");
    desk.check("BITFIELD b GET u8 0 GET i64 100", "*2 :0 :0");
    desk.check("BITFIELD b OVERFLOW SAT", "*0");
    desk.check("BITFIELD b GET SET i16 64 100", NOT_A_KIND);
    desk.check("EXISTS b", ":0");
    desk.check("BITFIELD b SET u8 0 255 GET u8 0", "*2 :0 :255");
    let line = "BITFIELD b INCRBY u8 0 10 OVERFLOW SAT INCRBY u8 0 1000 OVERFLOW FAIL INCRBY u8 0 10";
    desk.check(line, "*3 :9 :255 $-1");
    desk.check("SET i 49", "+OK");
    let line = "BITFIELD i SET u8 0 256 GET u8 0 OVERFLOW SAT INCRBY i8 8 1000 INCRBY u4 4 100";
    desk.check(line, "*4 :52 :0 :127 :15");
    assert_eq!(desk.call(&[b"GET", b"i"]), b"$2\r\n\x0f\x7f\r\n");
    desk.check("BITFIELD i OVERFLOW WRAP INCRBY u8 0 300 OVERFLOW SAT", "*1 :59");
    desk.check("BITFIELD i overflow sat set i8 0 -200 set i8 0 127 incrby i8 0 1", "*3 :59 :-128 :127");
    desk.check("BITFIELD i GET i64 5 GET u63 1", "*2 :-1161928703861587968 :9187061764859101184");
    desk.check("BITFIELD i SET u1 #3 1 GET u1 3", "*2 :1 :1");
    desk.check("BITFIELD i SET i16 #4 -2", "*1 :0");
    desk.check("STRLEN i", ":10");
    desk.set_protocol(3);
    desk.check("BITFIELD b OVERFLOW FAIL INCRBY u2 100 4", "*1 _");
    desk.check("STRLEN b", ":13");
}

#[test]
fn an_integer_that_overflows_and_must_not_makes_room_all_the_same() {
    let mut desk = Desk::new();
    desk.check("BITFIELD b OVERFLOW FAIL SET u8 0 256", "*1 $-1");
    desk.check("STRLEN b", ":1");
    desk.check("BITFIELD c OVERFLOW FAIL INCRBY u2 100 4", "*1 $-1");
    desk.check("STRLEN c", ":13");
}

#[test]
fn operations_that_are_none_are_refused_before_any_is_run() {
    let mut desk = desk();
    let first = "BITFIELD b SET u8 0 255";
    for rest in ["GET u8", "GET", "FOO", "SET u8 0", "SET x8 0", "OVERFLOW", "GET x8", "GET u8 0 1"] {
        desk.check(&format!("{first} {rest}"), SYNTAX);
    }
    for kind in ["u64", "i65", "u0", "x8", "8", "U8", "i", "\"\""] {
        desk.check(&format!("{first} GET {kind} 0"), NOT_A_KIND);
        desk.check(&format!("BITFIELD h GET {kind} x"), NOT_A_KIND);
    }
    for offset in ["x", "#x", "-1", "4294967296", "#536870912"] {
        desk.check(&format!("{first} SET u8 {offset} y"), NOT_AN_OFFSET);
    }
    for rest in ["SET u8 0 x", "INCRBY u8 0 x", "INCRBY i8 0 9223372036854775808"] {
        desk.check(&format!("{first} {rest}"), NOT_INTEGER);
    }
    desk.check(&format!("{first} OVERFLOW FOO"), "-ERR Invalid OVERFLOW type specified");
    desk.check("EXISTS b", ":0");
    for line in ["BITFIELD h", "BITFIELD h GET u8 0", "BITFIELD h SET u8 0 1", "BITFIELD_RO h GET u8 0"] {
        desk.check(line, WRONG_TYPE);
    }
}

#[test]
fn bitfield_ro_reads_alone() {
    let mut desk = desk();
    desk.check("BITFIELD_RO k", "*0");
    desk.check("BITFIELD_RO none", "*0");
    desk.check("BITFIELD_RO k GET u8 0 GET i8 #1 GET i64 40", "*3 :102 :111 :8214565720323784704");
    desk.check("BITFIELD_RO k OVERFLOW SAT GET u8 0 OVERFLOW SAT", "*1 :102");
    desk.check("BITFIELD_RO none GET u8 0 GET u8 0", "*2 :0 :0");
    for operation in ["SET u8 0 1", "INCRBY u8 0 1", "GET u8 0 SET u8 0 1"] {
        let refused = "-ERR BITFIELD_RO only supports the GET subcommand";
        desk.check(&format!("BITFIELD_RO k {operation}"), refused);
        desk.check(&format!("BITFIELD_RO h {operation}"), refused);
    }
    desk.check("BITFIELD_RO k SET u8 0 x", NOT_INTEGER);
    desk.check("GET k", "$6 foobar");
}

#[test]
fn long_values_are_read_piece_by_piece() {
    let mut desk = Desk::new();
    let bytes: Vec<u8> = (0..20_000u32).map(|at| ((at * at) >> 4) as u8).collect();
    desk.call(&[b"SET", b"k", &bytes]);
    desk.check("OBJECT ENCODING k", "$3 raw");
    let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    for at in [0, 8_095, 8_096, 8_097, 16_191, 16_192, 100_000, 159_999] {
        desk.check(&format!("GETBIT k {at}"), &format!(":{}", bit(at)));
        let next = (at..at + 13).fold(0, |word, at| word << 1 | u32::from(if at < 160_000 { bit(at) } else { 0 }));
        desk.check(&format!("BITFIELD_RO k GET u13 {at}"), &format!("*1 :{next}"));
        desk.check(&format!("BITCOUNT k 0 {at} BIT"), &format!(":{}", (0..=at).filter(|&at| bit(at) == 1).count()));
        let zero = (at..160_000).find(|&at| bit(at) == 0).map_or(-1, |at| at as i64);
        desk.check(&format!("BITPOS k 0 {at} -1 BIT"), &format!(":{zero}"));
    }
    let whole: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
    desk.check("BITCOUNT k", &format!(":{whole}"));
    desk.check("BITOP NOT d k", ":20000");
    desk.check("BITCOUNT d", &format!(":{}", 160_000 - whole));
    desk.check("BITOP XOR d d k", ":20000");
    desk.check("BITPOS d 0", ":160000");
    desk.check("SETBIT k 8096 1", &format!(":{}", bit(8_096)));
    desk.check("GETBIT k 8096", ":1");
}

#[test]
fn a_watched_key_is_not_touched_by_bits_that_stay() {
    let mut desk = Desk::new();
    desk.check("SET k 1", "+OK");
    for (line, reply) in [("SETBIT k 7 1", "*1 +PONG"), ("BITFIELD k SET u8 0 49", "*1 +PONG"), ("SETBIT k 6 1", "*-1")]
    {
        desk.check("WATCH k", "+OK");
        desk.run(line);
        desk.check("MULTI", "+OK");
        desk.check("PING", "+QUEUED");
        desk.check("EXEC", reply);
    }
}

#[test]
fn keys_are_told_with_what_is_done_to_them() {
    let mut desk = Desk::new();
    let (reads, writes) = ("*2 +RO +access", "*3 +RW +access +update");
    for (line, flags) in [
        ("BITFIELD k", reads),
        ("BITFIELD k GET u8 0", reads),
        ("BITFIELD k GET u8 0 OVERFLOW SAT", reads),
        ("BITFIELD k GET u8 0 SET u8 0 1", writes),
        ("BITFIELD k INCRBY u8 0 1", writes),
        ("BITCOUNT k", reads),
        ("SETBIT k 1 1", writes),
    ] {
        desk.check(&format!("COMMAND GETKEYSANDFLAGS {line}"), &format!("*1 *2 $1 k {flags}"));
    }
    let keys = "*3 *2 $1 d *2 +OW +update *2 $1 a *2 +RO +access *2 $1 b *2 +RO +access";
    desk.check("COMMAND GETKEYSANDFLAGS BITOP AND d a b", keys);
}
