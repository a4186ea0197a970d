//! Commands that concern keys of any type: existence, names, times to live, iteration, inner details, dumps.

use larder_client::resp::Reply;
use larder_tests::texts::{NO_SUCH_DATABASE, NO_SUCH_KEY, NOT_AN_INTEGER, SYNTAX, arity, bad_expire, no_subcommand};
use larder_tests::{Node, wait_until};
use std::collections::BTreeSet;

#[test]
fn every_command_counts_its_words() {
    let mut node = Node::start();
    for (command, lines) in [
        ("copy", &["COPY", "COPY a"][..]),
        ("del", &["DEL"]),
        ("dump", &["DUMP", "DUMP a b"]),
        ("exists", &["EXISTS"]),
        ("expire", &["EXPIRE", "EXPIRE k"]),
        ("expireat", &["EXPIREAT", "EXPIREAT k"]),
        ("expiretime", &["EXPIRETIME", "EXPIRETIME a b"]),
        ("keys", &["KEYS", "KEYS a b"]),
        ("move", &["MOVE", "MOVE k", "MOVE k 1 2"]),
        ("object", &["OBJECT"]),
        ("object|encoding", &["OBJECT ENCODING", "OBJECT ENCODING a b"]),
        ("object|freq", &["OBJECT FREQ", "OBJECT FREQ a b"]),
        ("object|help", &["OBJECT HELP me"]),
        ("object|idletime", &["OBJECT IDLETIME", "OBJECT IDLETIME a b"]),
        ("object|refcount", &["OBJECT REFCOUNT", "OBJECT REFCOUNT a b"]),
        ("persist", &["PERSIST", "PERSIST a b"]),
        ("pexpire", &["PEXPIRE", "PEXPIRE k"]),
        ("pexpireat", &["PEXPIREAT", "PEXPIREAT k"]),
        ("pexpiretime", &["PEXPIRETIME", "PEXPIRETIME a b"]),
        ("pttl", &["PTTL", "PTTL a b"]),
        ("randomkey", &["RANDOMKEY k"]),
        ("rename", &["RENAME", "RENAME a", "RENAME a b c"]),
        ("renamenx", &["RENAMENX", "RENAMENX a", "RENAMENX a b c"]),
        ("restore", &["RESTORE", "RESTORE k", "RESTORE k 0"]),
        ("scan", &["SCAN"]),
        ("touch", &["TOUCH"]),
        ("ttl", &["TTL", "TTL a b"]),
        ("type", &["TYPE", "TYPE a b"]),
        ("unlink", &["UNLINK"]),
        ("wait", &["WAIT", "WAIT 1", "WAIT 1 2 3"]),
    ] {
        node.check_all(lines, &arity(command));
    }
}

#[test]
fn del_and_unlink_count_what_they_delete() {
    let mut node = Node::start();
    for command in ["DEL", "UNLINK"] {
        node.check("MSET a 1 b 2 c 3", "OK");
        node.check(&format!("{command} a"), "1");
        node.check(&format!("{command} a b c d"), "2");
        node.check("SET a 1", "OK");
        node.check(&format!("{command} a a a"), "1");
        node.check("DBSIZE", "0");
    }
}

#[test]
fn exists_and_touch_count_repeated_keys() {
    let mut node = Node::start();
    node.check("MSET a 1 b 2", "OK");
    for command in ["EXISTS", "TOUCH"] {
        node.check(&format!("{command} a"), "1");
        node.check(&format!("{command} a b c"), "2");
        node.check(&format!("{command} a a a c"), "3");
        node.check(&format!("{command} c"), "0");
    }
}

#[test]
fn type_names_the_type() {
    let mut node = Node::start();
    node.check("TYPE k", "none");
    node.check("SET k v", "OK");
    node.check("TYPE k", "string");
}

#[test]
fn rename_moves_value_and_time_to_live() {
    let mut node = Node::start();
    node.check("RENAME absent other", NO_SUCH_KEY);
    node.check("RENAME absent absent", NO_SUCH_KEY);
    node.check("SET a 1 EX 100", "OK");
    node.check("SET b 2 EX 500", "OK");
    node.check("RENAME a b", "OK");
    node.check("EXISTS a", "0");
    node.check("GET b", r#""1""#);
    node.check("TTL b", "100");
    node.check("SET a 3", "OK");
    node.check("RENAME a b", "OK");
    node.check("TTL b", "-1");
    node.check("RENAME b b", "OK");
    node.check("GET b", r#""3""#);
}

#[test]
fn a_number_that_is_kept_as_text_stays_text_under_another_name() {
    let mut node = Node::start();
    node.check("INCRBYFLOAT a 8", r#""8""#);
    node.check("RENAME a b", "OK");
    node.check("COPY b c", "1");
    for key in ["b", "c"] {
        node.check(&format!("OBJECT ENCODING {key}"), "embstr");
    }
}

#[test]
fn renamenx_leaves_what_is_there() {
    let mut node = Node::start();
    node.check("RENAMENX absent other", NO_SUCH_KEY);
    node.check("MSET a 1 b 2", "OK");
    node.check("RENAMENX a b", "0");
    node.check("RENAMENX a a", "0");
    node.check("RENAMENX a c", "1");
    node.check("MGET a b c", r#"[nil, "2", "1"]"#);
}

#[test]
fn copy_copies_value_and_time_to_live() {
    let mut node = Node::start();
    node.check("COPY absent b", "0");
    node.check("SET a 1 EX 100", "OK");
    node.check("COPY a b", "1");
    node.check("GET b", r#""1""#);
    node.check("TTL b", "100");
    node.check("SET a 2", "OK");
    node.check("COPY a b", "0");
    node.check("COPY a b REPLACE", "1");
    node.check("GET b", r#""2""#);
    node.check("TTL b", "-1");
    node.check("APPEND b x", "2");
    node.check("GET a", r#""2""#);
}

#[test]
fn copy_reaches_other_databases() {
    let mut node = Node::start();
    node.check("SET a 1", "OK");
    node.check("COPY a a DB 3", "1");
    node.check("COPY a a db 3", "0");
    node.check("COPY a a DB 3 REPLACE", "1");
    node.check("COPY a a REPLACE DB 3", "1");
    node.check("SELECT 3", "OK");
    node.check("GET a", r#""1""#);
    node.check("COPY a a DB 3", "ERR source and destination objects are the same");
}

#[test]
fn copy_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check("SET a 1", "OK");
    node.check("COPY a a", "ERR source and destination objects are the same");
    node.check("COPY absent absent", "ERR source and destination objects are the same");
    node.check_all(&["COPY a b DB 16", "COPY a b DB -1"], NO_SUCH_DATABASE);
    node.check("COPY a b DB x", NOT_AN_INTEGER);
    node.check_all(&["COPY a b DB", "COPY a b nonsense"], SYNTAX);
}

#[test]
fn move_changes_the_database() {
    let mut node = Node::start();
    node.check("MOVE absent 1", "0");
    node.check("SET a 1 EX 100", "OK");
    node.check("MOVE a 1", "1");
    node.check("EXISTS a", "0");
    node.check("SET a 2", "OK");
    node.check("MOVE a 1", "0");
    node.check("SELECT 1", "OK");
    node.check("GET a", r#""1""#);
    node.check("TTL a", "100");
    node.check("MOVE a 1", "ERR source and destination objects are the same");
    node.check_all(&["MOVE a 16", "MOVE a -1"], NO_SUCH_DATABASE);
    node.check("MOVE a x", NOT_AN_INTEGER);
}

#[test]
fn keys_are_found_by_pattern() {
    let mut node = Node::start();
    node.check("MSET one 1 two 2 three 3 four 4 h\\llo 5 hello 6 h*llo 7 h^llo 8", "OK");
    node.check_unordered("KEYS t*", &["three", "two"]);
    node.check_unordered("KEYS ???", &["one", "two"]);
    node.check_unordered("KEYS t[hw]*", &["three", "two"]);
    node.check_unordered("KEYS [^a-f]*e", &["one", "three"]);
    node.check_unordered("KEYS [e-g]*", &["four"]);
    node.check_unordered("KEYS [g-e]*", &["four"]);
    node.check_unordered("KEYS h\\*llo", &["h*llo"]);
    node.check_unordered("KEYS h[*^]llo", &["h*llo", "h^llo"]);
    node.check_unordered("KEYS hell", &[]);
    node.check_unordered("KEYS hello", &["hello"]);
    node.check_unordered("KEYS HELLO", &[]);
    node.check_unordered("KEYS h[e", &[]);
    node.check_unordered("KEYS ''", &[]);
    node.check_unordered("KEYS **o", &["h*llo", "h\\\\llo", "h^llo", "hello", "two"]);
    node.check("FLUSHALL", "OK");
    node.check("KEYS *", "[]");
}

#[test]
fn patterns_full_of_stars_are_answered_at_once() {
    let mut node = Node::start();
    let key = "a".repeat(100);
    node.check(&format!("SET {key} v"), "OK");
    node.check(&format!("KEYS {}b", "a*".repeat(50)), "[]");
    node.check(&format!("KEYS {}", "*".repeat(10_000)), &format!("[\"{key}\"]"));
}

#[test]
fn randomkey_names_some_key() {
    let mut node = Node::start();
    node.check("RANDOMKEY", "nil");
    node.check("MSET a 1 b 2 c 3", "OK");
    let mut seen = BTreeSet::new();
    wait_until("every key was drawn", || {
        seen.insert(node.text("RANDOMKEY"));
        seen.len() == 3
    });
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn expire_sets_a_time_to_live_from_now() {
    let mut node = Node::start();
    node.check_all(&["EXPIRE absent 10", "PEXPIRE absent 10", "EXPIREAT absent 1", "PEXPIREAT absent 1"], "0");
    node.check("SET k v", "OK");
    node.check("EXPIRE k 100", "1");
    node.check("TTL k", "100");
    node.check_range("PTTL k", 95_000..=100_000);
    node.check("PEXPIRE k 50000", "1");
    node.check_range("PTTL k", 45_000..=50_000);
    node.check("PERSIST k", "1");
    node.check("TTL k", "-1");
    node.check("PERSIST k", "0");
    node.check("PERSIST absent", "0");
}

#[test]
fn expireat_sets_the_time_itself() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check("EXPIRETIME k", "-1");
    node.check("PEXPIRETIME k", "-1");
    node.check("EXPIRETIME absent", "-2");
    node.check("PEXPIRETIME absent", "-2");
    node.check("TTL absent", "-2");
    node.check("PTTL absent", "-2");
    node.check("EXPIREAT k 33177117420", "1");
    node.check("EXPIRETIME k", "33177117420");
    node.check("PEXPIRETIME k", "33177117420000");
    node.check("PEXPIREAT k 33177117420123", "1");
    node.check("PEXPIRETIME k", "33177117420123");
    node.check("EXPIRETIME k", "33177117420");
}

#[test]
fn a_time_gone_by_deletes_at_once() {
    let mut node = Node::start();
    for command in [
        "EXPIRE k 0",
        "EXPIRE k -1",
        "PEXPIRE k -100",
        "EXPIREAT k 1",
        "PEXPIREAT k 1",
        "EXPIREAT k -1",
        "EXPIREAT k 0",
    ] {
        node.check("SET k v", "OK");
        node.check(command, "1");
        node.check("EXISTS k", "0");
    }
    node.check("DBSIZE", "0");
}

#[test]
fn conditions_decide_about_a_new_time() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check("EXPIRE k 100 XX", "0");
    node.check("EXPIRE k 100 GT", "0");
    node.check("EXPIRE k 100 LT", "1");
    node.check("EXPIRE k 200 NX", "0");
    node.check("EXPIRE k 50 GT", "0");
    node.check("EXPIRE k 200 gt", "1");
    node.check("TTL k", "200");
    node.check("EXPIRE k 300 LT", "0");
    node.check("EXPIRE k 100 LT XX", "1");
    node.check("EXPIRE k 400 XX GT", "1");
    node.check("TTL k", "400");
    node.check("PERSIST k", "1");
    node.check("EXPIRE k 100 XX LT", "0");
    node.check("PEXPIRE k 100000 NX", "1");
    node.check("EXPIREAT k 33177117420 GT", "1");
    node.check("PEXPIREAT k 33177117420000 GT", "0");
    node.check("PEXPIREAT k 33177117419999 LT", "1");
    node.check("EXPIRE k -1 GT", "0");
    node.check("EXPIRE k -1 LT", "1");
    node.check("EXISTS k", "0");
}

#[test]
fn conditions_that_exclude_each_other_are_refused() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    for command in ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"] {
        node.check_all(
            &[&format!("{command} k 10 NX XX"), &format!("{command} k 10 NX GT"), &format!("{command} k 10 LT NX")],
            "ERR NX and XX, GT or LT options at the same time are not compatible",
        );
        node.check(&format!("{command} k 10 GT LT"), "ERR GT and LT options at the same time are not compatible");
        node.check(&format!("{command} k 10 AB"), "ERR Unsupported option AB");
        node.check(&format!("{command} k 10 XX ab"), "ERR Unsupported option ab");
        node.check(&format!("{command} k ten"), NOT_AN_INTEGER);
        node.check(&format!("{command} k 1.5"), NOT_AN_INTEGER);
        node.check(&format!("{command} k ''"), NOT_AN_INTEGER);
        node.check(&format!("{command} absent 10 AB"), "ERR Unsupported option AB");
    }
    node.check("TTL k", "-1");
}

#[test]
fn times_beyond_64_bits_are_refused() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check_all(
        &[
            "EXPIRE k 9223372036854775807",
            "EXPIRE k 9223372036854776",
            "EXPIRE k -9223372036854775807",
            "EXPIRE absent 9223372036854775807",
        ],
        &bad_expire("expire"),
    );
    node.check_all(&["PEXPIRE k 9223372036854775807", "PEXPIRE k 9223372036854770000"], &bad_expire("pexpire"));
    node.check_all(&["EXPIREAT k 9223372036854775807", "EXPIREAT k 9223372036854776"], &bad_expire("expireat"));
    node.check("EXPIRE k 9223372036854775808", NOT_AN_INTEGER);
    node.check("PEXPIREAT k 9223372036854775807", "1");
    // Larder has 48 bits for the time, so what is beyond the year 10889 is then, by design.
    node.check_range("PEXPIRETIME k", (1 << 48) - 1..=i64::MAX);
    node.check("PEXPIRE k -9223372036854775808", "1");
    node.check("EXISTS k", "0");
}

#[test]
fn expired_keys_are_gone_for_every_command() {
    let mut node = Node::start();
    let expire = |node: &mut Node| {
        node.check("SET k v PX 1", "OK");
        wait_until("the key has expired", || node.text("PTTL k") == "-2");
    };
    node.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    for (command, expected) in [
        ("GET k", "nil"),
        ("EXISTS k", "0"),
        ("TYPE k", "none"),
        ("TTL k", "-2"),
        ("DEL k", "0"),
        ("UNLINK k", "0"),
        ("TOUCH k", "0"),
        ("KEYS *", "[]"),
        ("RANDOMKEY", "nil"),
        ("RENAME k other", NO_SUCH_KEY),
        ("COPY k other", "0"),
        ("MOVE k 1", "0"),
        ("DUMP k", "nil"),
        ("PERSIST k", "0"),
        ("EXPIRE k 100", "0"),
        ("OBJECT ENCODING k", "nil"),
        ("STRLEN k", "0"),
        ("GETDEL k", "nil"),
        ("APPEND k x", "1"),
        ("INCR k", "1"),
        ("SETNX k new", "1"),
    ] {
        expire(&mut node);
        node.check(command, expected);
    }
}

#[test]
fn keys_expire_without_being_asked_for() {
    let mut node = Node::start();
    for number in 0..500 {
        node.check(&format!("PSETEX key:{number} {} v", 1 + number % 20), "OK");
    }
    node.check("SET stays v EX 1000", "OK");
    wait_until("only one key is left", || node.text("DBSIZE") == "1");
    node.check("INFO nonsense", r#""""#);
    assert_eq!(node.info("expired_keys").as_deref(), Some("500"));
}

/// The elements and the cursor of a reply to SCAN.
fn scan(node: &mut Node, cursor: &str, options: &str) -> (String, Vec<String>) {
    let reply = node.call(&format!("SCAN {cursor} {options}"));
    let Some([Reply::Bulk(next), Reply::Array(keys)]) = reply.as_slice() else { panic!("SCAN answers {reply:?}") };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(next), keys.iter().map(|key| text(key.as_bytes().expect("keys are strings"))).collect())
}

/// All keys that a whole iteration returns.
fn scan_all(node: &mut Node, options: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = scan(node, &cursor, options);
        all.extend(keys);
        cursor = next;
        if cursor == "0" {
            return all;
        }
    }
}

fn fill(node: &mut Node, prefix: &str, count: usize) -> BTreeSet<String> {
    let keys: BTreeSet<_> = (0..count).map(|number| format!("{prefix}{number}")).collect();
    let pairs: String = keys.iter().map(|key| format!(" {key} v")).collect();
    node.check(&format!("MSET{pairs}"), "OK");
    keys
}

#[test]
fn scan_returns_every_key() {
    let mut node = Node::start();
    node.check("SCAN 0", r#"["0", []]"#);
    let keys = fill(&mut node, "key:", 1000);
    for options in
        ["", "COUNT 1", "COUNT 10", "COUNT 5000", "MATCH * COUNT 100", "TYPE string", "match key:* count 7 type STRING"]
    {
        assert_eq!(scan_all(&mut node, options), keys, "SCAN {options}");
    }
}

#[test]
fn scan_filters_by_pattern_and_type() {
    let mut node = Node::start();
    fill(&mut node, "a:", 100);
    let keys = fill(&mut node, "b:", 100);
    assert_eq!(scan_all(&mut node, "MATCH b:*"), keys);
    assert_eq!(
        scan_all(&mut node, "MATCH b:1?"),
        keys.iter().filter(|key| key.len() == 4 && key.starts_with("b:1")).cloned().collect()
    );
    assert_eq!(scan_all(&mut node, "MATCH c:*"), BTreeSet::new());
    assert_eq!(scan_all(&mut node, "TYPE list"), BTreeSet::new());
    assert_eq!(scan_all(&mut node, "MATCH b:* TYPE string"), keys);
}

#[test]
fn scan_returns_what_stays_while_the_rest_changes() {
    let mut node = Node::start();
    let keys = fill(&mut node, "stays:", 300);
    let mut seen = BTreeSet::new();
    let mut cursor = "0".to_owned();
    let mut round = 0;
    loop {
        let (next, keys) = scan(&mut node, &cursor, "COUNT 10");
        seen.extend(keys.into_iter().filter(|key| key.starts_with("stays:")));
        if round < 20 {
            fill(&mut node, &format!("new:{round}:"), 200);
        } else if round < 40 {
            let keys: String = (0..200).map(|number| format!(" new:{}:{number}", round - 20)).collect();
            node.check(&format!("DEL{keys}"), "200");
        }
        round += 1;
        cursor = next;
        if cursor == "0" || round > 5000 {
            break;
        }
    }
    assert_eq!(cursor, "0", "an iteration ends once the keys stay the same");
    assert_eq!(seen, keys);
}

#[test]
fn scan_leaves_expired_keys_out() {
    let mut node = Node::start();
    node.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    node.check("SET gone v PX 1", "OK");
    node.check("SET stays v", "OK");
    wait_until("the key has expired", || node.text("PTTL gone") == "-2");
    assert_eq!(scan_all(&mut node, ""), BTreeSet::from(["stays".to_owned()]));
}

#[test]
fn scan_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check_all(&["SCAN x", "SCAN 1x", "SCAN ' 1'"], "ERR invalid cursor");
    node.check("SCAN ''", r#"["0", []]"#);
    node.check_all(
        &[
            "SCAN 0 COUNT 0",
            "SCAN 0 COUNT -1",
            "SCAN 0 MATCH",
            "SCAN 0 COUNT",
            "SCAN 0 TYPE",
            "SCAN 0 nonsense",
            "SCAN 0 NOVALUES",
        ],
        SYNTAX,
    );
    node.check("SCAN 0 COUNT x", NOT_AN_INTEGER);
    node.check("SCAN 0 TYPE nonsense", r#"["0", []]"#);
}

#[test]
fn object_tells_inner_details() {
    let mut node = Node::start();
    node.check_all(
        &["OBJECT ENCODING absent", "OBJECT REFCOUNT absent", "OBJECT IDLETIME absent", "OBJECT FREQ absent"],
        "nil",
    );
    node.check("MSET int 12345 short hello", "OK");
    node.check(&format!("SET limit {}", "x".repeat(44)), "OK");
    node.check(&format!("SET long {}", "x".repeat(45)), "OK");
    node.check("OBJECT ENCODING int", "int");
    node.check("OBJECT ENCODING short", "embstr");
    node.check("OBJECT ENCODING limit", "embstr");
    node.check("OBJECT ENCODING long", "raw");
    node.check("SET int 9223372036854775808", "OK");
    node.check("OBJECT ENCODING int", "embstr");
    node.check("SET int -9223372036854775808", "OK");
    node.check("object encoding int", "int");
    node.check("SET spaced ' 1'", "OK");
    node.check("OBJECT ENCODING spaced", "embstr");
    node.check("APPEND short x", "6");
    node.check("OBJECT ENCODING short", "raw");
    node.check("OBJECT REFCOUNT short", "1");
    node.check("OBJECT IDLETIME short", "0");
}

#[test]
fn object_freq_needs_a_policy_that_counts() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check("CONFIG SET maxmemory-policy noeviction", "OK");
    node.check(
        "OBJECT FREQ k",
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    node.check("CONFIG SET maxmemory-policy allkeys-lfu", "OK");
    node.check("SET fresh v", "OK");
    node.check_range("OBJECT FREQ fresh", 1..=10);
    node.check(
        "OBJECT IDLETIME k",
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust.",
    );
}

#[test]
fn object_explains_itself() {
    let mut node = Node::start();
    let form = "[OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, *, HELP,     Print* this help.]";
    node.check_matches("OBJECT HELP", form);
    node.check("OBJECT nonsense k", &no_subcommand("OBJECT", "nonsense"));
    node.check("OBJECT nonsense", &no_subcommand("OBJECT", "nonsense"));
}

#[test]
fn reads_do_not_touch_what_no_touch_hides() {
    let Some(mut node) = Node::since("7.2") else { return };
    node.check("CLIENT NO-TOUCH ON", "OK");
    node.check("CLIENT NO-TOUCH OFF", "OK");
    node.check("CLIENT NO-TOUCH maybe", SYNTAX);
}

/// The bytes that DUMP answers.
fn dump(node: &mut Node, key: &str) -> Vec<u8> {
    match node.call(&format!("DUMP {key}")) {
        Reply::Bulk(bytes) => bytes.to_vec(),
        other => panic!("DUMP {key} answers {other:?}"),
    }
}

fn restore(node: &mut Node, key: &str, payload: &[u8], options: &[&str]) -> String {
    let mut words: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), b"0", payload];
    words.extend(options.iter().map(|option| option.as_bytes()));
    larder_tests::render(&node.call_words(&words))
}

#[test]
fn what_is_dumped_can_be_restored() {
    let mut node = Node::start();
    node.check("DUMP absent", "nil");
    let values =
        ["", "a", "12", "-1", "127", "128", "-32769", "2147483647", "2147483648", "9223372036854775807", "hello world"];
    let long = ["x".repeat(63), "x".repeat(64), "xy".repeat(10_000), (0..5000).map(|n| format!("{n},")).collect()];
    for value in values.iter().copied().chain(long.iter().map(String::as_str)) {
        node.call_words(&["SET", "k", value]);
        let payload = dump(&mut node, "k");
        assert_eq!(restore(&mut node, "copy", &payload, &["REPLACE"]), "OK");
        assert_eq!(node.call("GET copy").as_bytes(), Some(value.as_bytes()));
        node.check("TTL copy", "-1");
    }
}

/// Payloads as Redis writes them, of the versions 6 (2.8), 7 (3.2), 8 (4.0) and 10 (7.0) of its format.
#[test]
fn dumps_of_other_servers_can_be_restored() {
    let mut node = Node::start();
    let a100 = "a".repeat(100);
    for (value, payload) in [
        ("hello", b"\x00\x05hello\x06\x00\xf5\x9f\xb7\xf6\x90a\x1c\x99".as_slice()),
        ("hello", b"\x00\x05hello\x07\x00\x9c@\x0a\x85m\xfe\xf5\x10".as_slice()),
        ("hello", b"\x00\x05hello\x08\x00\xda_3\xc9\xcc-\xaa2".as_slice()),
        ("hello", b"\x00\x05hello\x0a\x00cr\xdfve4 \x0a".as_slice()),
        ("7", b"\x00\xc0\x07\x0a\x00t\xcdH\xa2\x83\xab\xce\x92".as_slice()),
        ("-300", b"\x00\xc1\xd4\xfe\x0a\x00\xc6\xc4\x86#\xfe\xbe\xde.".as_slice()),
        ("100000", b"\x00\xc2\xa0\x86\x01\x00\x0a\x00\xf1$\x03Po/\xa6t".as_slice()),
        (a100.as_str(), b"\x00\xc3\x09@d\x01aa\xe0W\x00\x01aa\x0a\x00\xe8\xa3\xb5\x07\xb0m\xf2q".as_slice()),
    ] {
        assert_eq!(restore(&mut node, "k", payload, &["REPLACE"]), "OK");
        assert_eq!(node.call("GET k").as_bytes(), Some(value.as_bytes()));
    }
    let from_the_future = b"\x00\xc3\x09@d\x01aa\xe0W\x00\x01aa<\x00\xadE\x0dw:\x5c/\x22";
    assert_eq!(restore(&mut node, "new", from_the_future, &[]), "ERR DUMP payload version or checksum are wrong");
}

#[test]
fn restore_sets_a_time_to_live() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    let payload = dump(&mut node, "k");
    let mut restore = |ttl: &str, options: &[&str]| {
        let mut words: Vec<&[u8]> = vec![b"RESTORE", b"copy", ttl.as_bytes(), &payload, b"REPLACE"];
        words.extend(options.iter().map(|option| option.as_bytes()));
        larder_tests::render(&node.call_words(&words))
    };
    assert_eq!(restore("100000", &[]), "OK");
    assert_eq!(restore("-1", &[]), "ERR Invalid TTL value, must be >= 0");
    assert_eq!(restore("x", &[]), NOT_AN_INTEGER);
    assert_eq!(restore("33177117420123", &["ABSTTL"]), "OK");
    node.check("PEXPIRETIME copy", "33177117420123");
    let words: [&[u8]; 6] = [b"RESTORE", b"past", b"1", &payload, b"REPLACE", b"ABSTTL"];
    assert_eq!(node.call_words(&words), Reply::Simple("OK".into()));
    node.check("EXISTS past", "0");
}

#[test]
fn restore_refuses_what_is_damaged_or_taken() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    let payload = dump(&mut node, "k");
    let bad = "ERR DUMP payload version or checksum are wrong";
    assert_eq!(restore(&mut node, "k", &payload, &[]), "BUSYKEY Target key name already exists.");
    for position in 0..payload.len() {
        let mut damaged = payload.clone();
        damaged[position] ^= 0x40;
        assert_eq!(restore(&mut node, "other", &damaged, &[]), bad, "byte {position} changed");
        assert_eq!(restore(&mut node, "other", &payload[..position], &[]), bad, "cut to {position} bytes");
    }
    assert_eq!(restore(&mut node, "other", b"", &[]), bad);
    assert_eq!(restore(&mut node, "other", &payload, &["nonsense"]), SYNTAX);
    assert_eq!(restore(&mut node, "other", &payload, &["IDLETIME", "-1"]), "ERR Invalid IDLETIME value, must be >= 0");
    assert_eq!(
        restore(&mut node, "other", &payload, &["FREQ", "256"]),
        "ERR Invalid FREQ value, must be >= 0 and <= 255"
    );
    assert_eq!(restore(&mut node, "other", &payload, &["FREQ", "1", "IDLETIME", "1"]), SYNTAX);
    assert_eq!(restore(&mut node, "other", &payload, &["IDLETIME", "x"]), NOT_AN_INTEGER);
    node.check("EXISTS other", "0");
    assert_eq!(restore(&mut node, "other", &payload, &["IDLETIME", "1000"]), "OK");
    node.check_range("OBJECT IDLETIME other", 1000..=1010);
}

#[test]
fn wait_counts_no_replicas() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.check("WAIT 0 100", "0");
    node.check("WAIT 1 10", "0");
    node.check_all(&["WAIT x 10", "WAIT 1.5 10"], NOT_AN_INTEGER);
    node.check("WAIT 1 x", "ERR timeout is not an integer or out of range");
    node.check("WAIT 1 -1", "ERR timeout is negative");
}
