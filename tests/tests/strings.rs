//! The 22 commands of strings: every option, every refusal.

use larder_client::resp::Reply;
use larder_tests::texts::{NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX, arity, bad_expire};
use larder_tests::{Node, wait_until};

const OVERFLOW: &str = "ERR increment or decrement would overflow";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

#[test]
fn every_command_counts_its_words() {
    let mut node = Node::start();
    for (command, lines) in [
        ("append", &["APPEND", "APPEND k", "APPEND k a b"][..]),
        ("decr", &["DECR", "DECR k 1"]),
        ("decrby", &["DECRBY", "DECRBY k", "DECRBY k 1 2"]),
        ("get", &["GET", "GET a b"]),
        ("getdel", &["GETDEL", "GETDEL a b"]),
        ("getex", &["GETEX"]),
        ("getrange", &["GETRANGE", "GETRANGE k", "GETRANGE k 0", "GETRANGE k 0 1 2"]),
        ("getset", &["GETSET", "GETSET k", "GETSET k a b"]),
        ("incr", &["INCR", "INCR k 1"]),
        ("incrby", &["INCRBY", "INCRBY k", "INCRBY k 1 2"]),
        ("incrbyfloat", &["INCRBYFLOAT", "INCRBYFLOAT k", "INCRBYFLOAT k 1 2"]),
        ("lcs", &["LCS", "LCS a"]),
        ("mget", &["MGET"]),
        ("mset", &["MSET", "MSET k", "MSET k v k2"]),
        ("msetnx", &["MSETNX", "MSETNX k", "MSETNX k v k2"]),
        ("psetex", &["PSETEX", "PSETEX k", "PSETEX k 1", "PSETEX k 1 v x"]),
        ("set", &["SET", "SET k"]),
        ("setex", &["SETEX", "SETEX k", "SETEX k 1", "SETEX k 1 v x"]),
        ("setnx", &["SETNX", "SETNX k", "SETNX k v x"]),
        ("setrange", &["SETRANGE", "SETRANGE k", "SETRANGE k 0", "SETRANGE k 0 v x"]),
        ("strlen", &["STRLEN", "STRLEN a b"]),
        ("substr", &["SUBSTR", "SUBSTR k", "SUBSTR k 0", "SUBSTR k 0 1 2"]),
    ] {
        node.check_all(lines, &arity(command));
    }
    node.check("DBSIZE", "0");
}

#[test]
fn set_stores_and_get_reads() {
    let mut node = Node::start();
    node.check("GET greeting", "nil");
    node.check("SET greeting hello", "OK");
    node.check("GET greeting", "hello");
    node.check("set greeting again", "OK");
    node.check("gEt greeting", "again");
    node.check(r#"SET greeting """#, "OK");
    node.check("GET greeting", r#""""#);
}

#[test]
fn keys_and_values_are_any_bytes() {
    let mut node = Node::start();
    node.check(r#"SET "\x00key\r\n" "\xff\x00\r\n\xfe""#, "OK");
    node.check(r#"GET "\x00key\r\n""#, r"\xff\x00\r\n\xfe");
    node.check(r#"GET "\x00key""#, "nil");
    node.check(r#"SET "" empty"#, "OK");
    node.check(r#"GET """#, "empty");
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert_eq!(node.call_words(&[&b"SET"[..], &every_byte[..1000], &every_byte]), Reply::Simple("OK".into()));
    assert_eq!(node.call_words(&[b"GET", &every_byte[..1000]]), Reply::Bulk(every_byte.into()));
}

#[test]
fn numbers_come_back_as_they_were_written() {
    let mut node = Node::start();
    for number in
        ["0", "-0", "00", "+1", "1.0", " 1", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]
    {
        node.check(&format!("SET n '{number}'"), "OK");
        assert_eq!(node.call("GET n").as_bytes(), Some(number.as_bytes()));
    }
}

#[test]
fn values_of_every_size_are_kept() {
    let mut node = Node::start();
    for size in
        [1, 7, 8, 15, 16, 31, 32, 44, 45, 63, 64, 127, 128, 255, 256, 1000, 16_383, 65_536, 1_000_000, 20_000_000]
    {
        let value = vec![b'a' + (size % 26) as u8; size];
        assert_eq!(node.call_words(&[&b"SET"[..], b"k", &value]), Reply::Simple("OK".into()));
        node.check("STRLEN k", &size.to_string());
        assert_eq!(node.call("GET k").as_bytes(), Some(&value[..]), "{size} bytes");
    }
}

#[test]
fn set_nx_and_xx_look_whether_the_key_is_there() {
    let mut node = Node::start();
    node.check("SET k 1 XX", "nil");
    node.check("EXISTS k", "0");
    node.check("SET k 1 NX", "OK");
    node.check("SET k 2 nx", "nil");
    node.check("GET k", r#""1""#);
    node.check("SET k 3 xx", "OK");
    node.check("GET k", r#""3""#);
    node.check_all(&["SET k v NX XX", "SET k v XX NX"], SYNTAX);
    node.check("SET k v NX NX", "nil");
}

#[test]
fn set_get_answers_the_old_value() {
    let mut node = Node::start();
    node.check("SET k first GET", "nil");
    node.check("SET k second GET", "first");
    node.check("SET k third NX GET", "second");
    node.check("GET k", "second");
    node.check("SET k third XX GET", "second");
    node.check("GET k", "third");
    node.check("SET absent v XX GET", "nil");
    node.check("EXISTS absent", "0");
    node.check("SET absent v GET NX", "nil");
    node.check("GET absent", "v");
    node.check("SET k fourth GET EX 100", "third");
    node.check("TTL k", "100");
}

#[test]
fn set_takes_a_time_to_live() {
    let mut node = Node::start();
    node.check("SET k v EX 100", "OK");
    node.check("TTL k", "100");
    node.check("SET k v PX 50000", "OK");
    node.check_range("PTTL k", 45_000..=50_000);
    node.check("SET k v EXAT 33177117420", "OK");
    node.check("EXPIRETIME k", "33177117420");
    node.check("SET k v PXAT 33177117420123", "OK");
    node.check("PEXPIRETIME k", "33177117420123");
    node.check("SET k v ex 10 nx", "nil");
    node.check("SET k v EX 10 EX 200", "OK");
    node.check("TTL k", "200");
    node.check("SET k v", "OK");
    node.check("TTL k", "-1");
}

#[test]
fn set_keepttl_keeps_the_time_to_live() {
    let mut node = Node::start();
    node.check("SET k v EX 100", "OK");
    node.check("SET k w KEEPTTL", "OK");
    node.check("TTL k", "100");
    node.check("SET k x keepttl get", "w");
    node.check("TTL k", "100");
    node.check("SET fresh v KEEPTTL", "OK");
    node.check("TTL fresh", "-1");
}

#[test]
fn set_to_a_time_gone_by_deletes() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check("SET k w EXAT 1", "OK");
    node.check("GET k", "nil");
    node.check("SET k w PXAT 1", "OK");
    node.check("EXISTS k", "0");
}

#[test]
fn set_refuses_options_that_exclude_each_other() {
    let mut node = Node::start();
    node.check_all(
        &[
            "SET k v EX 1 PX 1",
            "SET k v PX 1 EXAT 1",
            "SET k v EXAT 1 PXAT 1",
            "SET k v EX 1 KEEPTTL",
            "SET k v KEEPTTL PX 1",
            "SET k v EX",
            "SET k v PX",
            "SET k v EXAT",
            "SET k v PXAT",
            "SET k v PERSIST",
            "SET k v 10",
            "SET k v EX 10 extra",
            "SET k v NX nonsense",
        ],
        SYNTAX,
    );
    node.check("EXISTS k", "0");
}

#[test]
fn times_to_live_must_be_positive_and_fit() {
    let mut node = Node::start();
    node.check_all(
        &[
            "SET k v EX 0",
            "SET k v EX -1",
            "SET k v PX 0",
            "SET k v PX -5",
            "SET k v EXAT 0",
            "SET k v PXAT -1",
            "SET k v EX 9223372036854775807",
            "SET k v EX 9223372036854776",
            "SET k v EXAT 9223372036854775807",
            "SET k v PX 9223372036854775807",
        ],
        &bad_expire("set"),
    );
    node.check_all(
        &["SET k v EX x", "SET k v PX 1.5", "SET k v EXAT 99999999999999999999", "SET k v EX ''"],
        NOT_AN_INTEGER,
    );
    node.check_all(&["SETEX k 0 v", "SETEX k -1 v", "SETEX k 9223372036854775807 v"], &bad_expire("setex"));
    node.check("SETEX k x v", NOT_AN_INTEGER);
    node.check_all(&["PSETEX k 0 v", "PSETEX k -1 v", "PSETEX k 9223372036854775807 v"], &bad_expire("psetex"));
    node.check("PSETEX k 1.5 v", NOT_AN_INTEGER);
    node.check("SET there v", "OK");
    node.check_all(
        &["GETEX there EX 0", "GETEX there PX -1", "GETEX there EX 9223372036854775807"],
        &bad_expire("getex"),
    );
    node.check("GETEX there EX x", NOT_AN_INTEGER);
    node.check("TTL there", "-1");
    node.check("EXISTS k", "0");
}

#[test]
fn setex_psetex_setnx_are_short_forms() {
    let mut node = Node::start();
    node.check("SETEX k 100 v", "OK");
    node.check("TTL k", "100");
    node.check("PSETEX k 100000 w", "OK");
    node.check_range("PTTL k", 95_000..=100_000);
    node.check("GET k", "w");
    node.check("SETNX k x", "0");
    node.check("GET k", "w");
    node.check("SETNX other x", "1");
    node.check("GET other", "x");
    node.check("TTL other", "-1");
}

#[test]
fn a_value_is_gone_when_its_time_has_come() {
    let mut node = Node::start();
    node.check("PSETEX k 20 v", "OK");
    wait_until("the key has expired", || node.text("GET k") == "nil");
    node.check("EXISTS k", "0");
    node.check("SET k again PX 20 NX", "OK");
    wait_until("the key has expired again", || node.text("SET k third NX") == "OK");
    node.check("TTL k", "-1");
}

#[test]
fn getset_answers_the_old_value_and_drops_the_time_to_live() {
    let mut node = Node::start();
    node.check("GETSET k first", "nil");
    node.check("EXPIRE k 100", "1");
    node.check("GETSET k second", "first");
    node.check("TTL k", "-1");
    node.check("GET k", "second");
}

#[test]
fn getdel_reads_and_deletes() {
    let mut node = Node::start();
    node.check("GETDEL k", "nil");
    node.check("SET k v", "OK");
    node.check("GETDEL k", "v");
    node.check("EXISTS k", "0");
}

#[test]
fn getex_reads_and_changes_the_time_to_live() {
    let mut node = Node::start();
    node.check("GETEX k", "nil");
    node.check("GETEX k EX 10", "nil");
    node.check("SET k v", "OK");
    node.check("GETEX k", "v");
    node.check("TTL k", "-1");
    node.check("GETEX k EX 100", "v");
    node.check("TTL k", "100");
    node.check("GETEX k", "v");
    node.check("TTL k", "100");
    node.check("GETEX k PX 200000", "v");
    node.check("TTL k", "200");
    node.check("GETEX k EXAT 33177117420", "v");
    node.check("EXPIRETIME k", "33177117420");
    node.check("GETEX k PXAT 33177117420123", "v");
    node.check("PEXPIRETIME k", "33177117420123");
    node.check("GETEX k PERSIST", "v");
    node.check("TTL k", "-1");
    node.check("GETEX k EXAT 1", "v");
    node.check("EXISTS k", "0");
}

#[test]
fn getex_refuses_what_is_no_option() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check_all(
        &[
            "GETEX k NX",
            "GETEX k EX",
            "GETEX k KEEPTTL",
            "GETEX k GET",
            "GETEX k EX 10 PERSIST",
            "GETEX k PERSIST EX 10",
            "GETEX k EX 10 PX 10",
            "GETEX k 10",
        ],
        SYNTAX,
    );
}

#[test]
fn append_lengthens() {
    let mut node = Node::start();
    node.check("APPEND k abc", "3");
    node.check("APPEND k ''", "3");
    node.check("APPEND k def", "6");
    node.check("GET k", "abcdef");
    node.check("SET n 12", "OK");
    node.check("APPEND n 3", "3");
    node.check("INCR n", "124");
    node.check("EXPIRE k 100", "1");
    node.check("APPEND k !", "7");
    node.check("TTL k", "100");
    node.check("APPEND empty ''", "0");
    node.check("EXISTS empty", "1");
}

#[test]
fn a_value_grown_byte_by_byte_is_whole() {
    let mut node = Node::start();
    let mut expected = String::new();
    for number in 0..500 {
        let piece = format!("{number},");
        expected.push_str(&piece);
        node.check(&format!("APPEND k {piece}"), &expected.len().to_string());
    }
    node.check("GET k", &expected);
}

#[test]
fn strlen_counts_bytes() {
    let mut node = Node::start();
    node.check("STRLEN k", "0");
    node.check(r#"SET k "\x00\xff\n""#, "OK");
    node.check("STRLEN k", "3");
    node.check("SET k -12345", "OK");
    node.check("STRLEN k", "6");
}

#[test]
fn getrange_cuts_out() {
    let mut node = Node::start();
    node.check("SET k 'This is a string'", "OK");
    for command in ["GETRANGE", "SUBSTR"] {
        for (range, expected) in [
            ("0 3", "This"),
            ("-3 -1", "ing"),
            ("0 -1", "This is a string"),
            ("10 100", "string"),
            ("5 5", "i"),
            ("5 4", r#""""#),
            ("100 200", r#""""#),
            ("-100 3", "This"),
            ("-100 -200", r#""""#),
            ("-1 -100", r#""""#),
            ("-100 -100", "T"),
            ("-9223372036854775808 9223372036854775807", "This is a string"),
        ] {
            node.check(&format!("{command} k {range}"), expected);
        }
        node.check(&format!("{command} absent 0 -1"), r#""""#);
        node.check(&format!("{command} k a 1"), NOT_AN_INTEGER);
        node.check(&format!("{command} k 0 b"), NOT_AN_INTEGER);
        node.check(&format!("{command} k 0 9223372036854775808"), NOT_AN_INTEGER);
    }
    node.check("SET n 1234567", "OK");
    node.check("GETRANGE n 1 3", r#""234""#);
    node.check("GETRANGE n -2 -1", r#""67""#);
}

#[test]
fn setrange_overwrites_and_fills_with_zeros() {
    let mut node = Node::start();
    node.check("SETRANGE k 0 ''", "0");
    node.check("EXISTS k", "0");
    node.check("SETRANGE k 3 abc", "6");
    node.check("GET k", r"\x00\x00\x00abc");
    node.check("SETRANGE k 1 XY", "6");
    node.check("GET k", r"\x00XYabc");
    node.check("SETRANGE k 100 ''", "6");
    node.check("SET n 1234", "OK");
    node.check("SETRANGE n 1 9", "4");
    node.check("INCR n", "1935");
    node.check("EXPIRE n 100", "1");
    node.check("SETRANGE n 4 5", "5");
    node.check("TTL n", "100");
    node.check("GET n", r#""19355""#);
}

#[test]
fn setrange_refuses_places_that_cannot_be() {
    let mut node = Node::start();
    node.check("SETRANGE k -1 v", "ERR offset is out of range");
    node.check("SETRANGE k x v", NOT_AN_INTEGER);
    node.check("SETRANGE k 1.5 v", NOT_AN_INTEGER);
    node.check_all(
        &["SETRANGE k 536870912 v", "SETRANGE k 536870911 vv", "SETRANGE k 9223372036854775807 v"],
        TOO_LONG,
    );
    node.check("EXISTS k", "0");
    node.check("SET k v", "OK");
    node.check("SETRANGE k 536870912 v", TOO_LONG);
    node.check("SETRANGE k 4294967295 v", TOO_LONG);
    node.check("GET k", "v");
}

#[test]
fn append_refuses_to_exceed_the_longest_string() {
    let mut node = Node::start();
    node.check("CONFIG SET proto-max-bulk-len 1mb", "OK");
    node.check("SETRANGE k 1048575 x", "1048576");
    node.check("APPEND k y", TOO_LONG);
    node.check("STRLEN k", "1048576");
    node.check("SETRANGE k 1048576 y", TOO_LONG);
}

#[test]
fn counters_count() {
    let mut node = Node::start();
    node.check("INCR n", "1");
    node.check("INCR n", "2");
    node.check("INCRBY n 40", "42");
    node.check("INCRBY n -2", "40");
    node.check("DECR n", "39");
    node.check("DECRBY n 40", "-1");
    node.check("DECRBY n -11", "10");
    node.check("GET n", r#""10""#);
    node.check("DECR m", "-1");
    node.check("SET n 100 EX 50", "OK");
    node.check("INCR n", "101");
    node.check("TTL n", "50");
}

#[test]
fn counters_refuse_to_overflow() {
    let mut node = Node::start();
    node.check("SET n 9223372036854775807", "OK");
    node.check_all(&["INCR n", "INCRBY n 1", "INCRBY n 9223372036854775807", "DECRBY n -1"], OVERFLOW);
    node.check("GET n", r#""9223372036854775807""#);
    node.check("SET n -9223372036854775808", "OK");
    node.check_all(&["DECR n", "DECRBY n 1", "INCRBY n -1"], OVERFLOW);
    node.check("INCRBY n 9223372036854775807", "-1");
    node.check("DECRBY n -9223372036854775808", "ERR decrement would overflow");
    node.check("INCRBY n -9223372036854775808", OVERFLOW);
    node.check("SET n 0", "OK");
    node.check("INCRBY n -9223372036854775808", "-9223372036854775808");
}

#[test]
fn counters_refuse_what_is_no_integer() {
    let mut node = Node::start();
    for value in ["abc", "", " 1", "1 ", "1.5", "+1", "01", "0x10", "9223372036854775808", "1e3", "-", "--1"] {
        node.check(&format!("SET n '{value}'"), "OK");
        node.check_all(&["INCR n", "DECR n", "INCRBY n 1", "DECRBY n 1"], NOT_AN_INTEGER);
        node.check_all(&[&format!("INCRBY m '{value}'"), &format!("DECRBY m '{value}'")], NOT_AN_INTEGER);
    }
    node.check(r#"SET n "1\x00""#, "OK");
    node.check("INCR n", NOT_AN_INTEGER);
    node.check("EXISTS m", "0");
}

#[test]
fn incrbyfloat_adds_in_decimal() {
    let mut node = Node::start();
    for (start, step, sum) in [
        ("10.50", "0.1", "10.6"),
        ("5.0e3", "2.0e2", "5200"),
        ("3", "-5", "-2"),
        ("0", "1.5", "1.5"),
        ("1.5", "1.5", "3"),
        ("-0.5", "0.25", "-0.25"),
        ("1", "1e-10", "1.0000000001"),
        ("100000000000000000", "1", "100000000000000001"),
        ("0.1", "0.2", "0.3"),
        ("3.0", "1.000000000000000001", "4"),
        ("0", "-0", "0"),
        ("1", "0x10", "17"),
        ("17179869184", "0.5", "17179869184.5"),
        ("1", "9223372036854775807", "9223372036854775808"),
    ] {
        node.check(&format!("SET n {start}"), "OK");
        node.check(&format!("INCRBYFLOAT n {step}"), &format!("\"{sum}\""));
        node.check("GET n", &format!("\"{sum}\""));
    }
    node.check("INCRBYFLOAT fresh 1.25", r#""1.25""#);
    node.check("EXPIRE fresh 100", "1");
    node.check("INCRBYFLOAT fresh 0.75", r#""2""#);
    node.check("TTL fresh", "100");
    node.check("INCR fresh", "3");
}

#[test]
fn incrbyfloat_refuses_what_is_no_number() {
    let mut node = Node::start();
    node.check("SET n 1", "OK");
    for step in ["abc", "''", "' 1'", "'1 '", "nan", "1.5x", "1e", "."] {
        node.check(&format!("INCRBYFLOAT n {step}"), NOT_A_FLOAT);
    }
    node.check_all(
        &["INCRBYFLOAT n inf", "INCRBYFLOAT n -inf", "INCRBYFLOAT n +infinity"],
        "ERR increment would produce NaN or Infinity",
    );
    node.check("SET n word", "OK");
    node.check("INCRBYFLOAT n 1", NOT_A_FLOAT);
    node.check(r#"SET n "1\x00""#, "OK");
    node.check("INCRBYFLOAT n 1", NOT_A_FLOAT);
    node.check("GET n", r"1\x00");
}

#[test]
fn mset_and_mget_take_many_keys() {
    let mut node = Node::start();
    node.check("MSET a 1 b two c ''", "OK");
    node.check("MGET a b c d a", r#"["1", "two", "", nil, "1"]"#);
    node.check("EXPIRE a 100", "1");
    node.check("MSET a first a second", "OK");
    node.check("GET a", "second");
    node.check("TTL a", "-1");
    node.check("MGET absent", "[nil]");
}

#[test]
fn msetnx_sets_all_or_none() {
    let mut node = Node::start();
    node.check("MSETNX a 1 b 2", "1");
    node.check("MSETNX b 3 c 4", "0");
    node.check("MGET a b c", r#"["1", "2", nil]"#);
    node.check("MSETNX x 1 x 2", "1");
    node.check("GET x", r#""2""#);
}

#[test]
fn many_keys_at_once_are_all_kept() {
    let mut node = Node::start();
    let pairs: String = (0..2000).map(|number| format!(" key:{number} value:{number}")).collect();
    node.check(&format!("MSET{pairs}"), "OK");
    node.check("DBSIZE", "2000");
    let keys: String = (0..2000).map(|number| format!(" key:{number}")).collect();
    let values: Vec<_> = (0..2000).map(|number| format!("\"value:{number}\"")).collect();
    node.check(&format!("MGET{keys}"), &format!("[{}]", values.join(", ")));
    node.check(&format!("DEL{keys}"), "2000");
    node.check("DBSIZE", "0");
}

#[test]
fn lcs_finds_the_longest_common_subsequence() {
    let mut node = Node::start();
    node.check("MSET a ohmytext b mynewtext", "OK");
    node.check("LCS a b", "mytext");
    node.check("LCS a b LEN", "6");
    node.check("LCS a b IDX", r#"["matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], "len", 6]"#);
    node.check("LCS a b IDX MINMATCHLEN 4", r#"["matches", [[[4, 7], [5, 8]]], "len", 6]"#);
    node.check("LCS a b IDX WITHMATCHLEN", r#"["matches", [[[4, 7], [5, 8], 4], [[2, 3], [0, 1], 2]], "len", 6]"#);
    node.check("LCS a b idx minmatchlen 4 withmatchlen", r#"["matches", [[[4, 7], [5, 8], 4]], "len", 6]"#);
    node.check("LCS a b IDX MINMATCHLEN 5", r#"["matches", [], "len", 6]"#);
    node.check("LCS a b IDX MINMATCHLEN -3 ", r#"["matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], "len", 6]"#);
    node.check("LCS a b MINMATCHLEN 4", "mytext");
    node.check("LCS a b WITHMATCHLEN", "mytext");
    node.check("LCS a absent", r#""""#);
    node.check("LCS a absent LEN", "0");
    node.check("LCS absent absent IDX", r#"["matches", [], "len", 0]"#);
    node.check("LCS a a", "ohmytext");
    let mut resp3 = node.resp3();
    resp3.check("LCS a b IDX", r#"{"matches": [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], "len": 6}"#);
}

#[test]
fn lcs_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check("MSET a ohmytext b mynewtext", "OK");
    node.check_all(
        &["LCS a b LEN IDX", "LCS a b IDX LEN"],
        "ERR If you want both the length and indexes, please just use IDX.",
    );
    node.check_all(&["LCS a b nonsense", "LCS a b MINMATCHLEN", "LCS a b c"], SYNTAX);
    node.check("LCS a b MINMATCHLEN x", NOT_AN_INTEGER);
}

#[test]
fn resp3_changes_only_the_null() {
    let node = Node::start();
    let mut client = node.resp3();
    client.send("GET absent");
    client.expect_raw("_\r\n");
    client.send("MGET absent");
    client.expect_raw("*1\r\n_\r\n");
    client.send("SET n 1 XX");
    client.expect_raw("_\r\n");
    client.send("INCRBYFLOAT n 1.5");
    client.expect_raw("$3\r\n1.5\r\n");
}
