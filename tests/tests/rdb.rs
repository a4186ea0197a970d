//! RDB files that the machine's redis-server saves, and a valkey-server, as `larder rdb check` and `larder rdb stats` see them.
//!
//! Without a redis-server on the machine, or a valkey-server, the tests are skipped, with a note.

use larder_tests::digest::check_alike;
use larder_tests::{Ended, Launch, Node};
use std::fs;

/// How many elements make collections leave their small forms.
const MANY: usize = 2000;

/// Runs a verb on a file with these bytes, which is called `dump.rdb`.
fn look(verb: &str, file: &[u8]) -> Ended {
    Launch::new().file("dump.rdb", file).args(&format!("rdb {verb} dump.rdb")).run()
}

#[track_caller]
fn printed(verb: &str, file: &[u8]) -> String {
    let ended = look(verb, file);
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
    ended.stdout
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// A key with so many elements, each of them two words where `pairs` says so.
fn fill(server: &mut Node, command: &str, key: &str, word: impl Fn(usize) -> Vec<String>) {
    let words = [command.to_owned(), key.to_owned()].into_iter().chain((0..MANY).flat_map(word));
    server.call_words(&words.collect::<Vec<_>>());
}

/// Values of all types, each in its small and its large form; 15 keys in two databases, of which three expire.
fn fill_all(server: &mut Node) {
    server.check("SET greeting hello", "OK");
    server.check("SET number 12345 EX 100", "OK");
    server.call_words(&["SET", "long", &"again and again ".repeat(1000)]);
    server.call_words(&["SET", "gone", "soon", "PX", "1"]);
    server.check("RPUSH list:small a b 12 ''", "4");
    fill(server, "RPUSH", "list:large", |at| vec![format!("element {at}")]);
    server.call_words(&["RPUSH", "list:large", &"x".repeat(20_000)]);
    server.check("SADD set:ints 1 2 300000", "3");
    server.check("SADD set:small a b c", "3");
    fill(server, "SADD", "set:large", |at| vec![format!("member {at}")]);
    server.check("ZADD zset:small 1.5 a -inf b", "2");
    fill(server, "ZADD", "zset:large", |at| vec![format!("{at}.25"), format!("member {at}")]);
    server.check("HSET hash:small name larder n 7", "2");
    fill(server, "HSET", "hash:large", |at| vec![format!("field {at}"), "value".repeat(at % 20)]);
    server.check("EXPIRE hash:large 100", "1");
    for at in 1..=300 {
        server.check(&format!("XADD stream {at}-1 field value n {at}"), &format!("{at}-1"));
    }
    server.check("XDEL stream 7-1", "1");
    server.check("XGROUP CREATE stream group 0", "OK");
    server.call("XREADGROUP GROUP group consumer COUNT 10 STREAMS stream >");
    let library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    server.call_words(&["FUNCTION", "LOAD", library]);
    server.check("SELECT 9", "OK");
    server.check("SET elsewhere 1", "OK");
    server.check("SELECT 0", "OK");
}

/// What a server saves that does not look at expiry while the test does.
fn saved(server: &mut Node) -> Vec<u8> {
    server.check("SAVE", "OK");
    fs::read(server.folder().join("dump.rdb")).expect("the server has saved")
}

#[test]
fn what_redis_saves_is_sound_and_counted() {
    let Some(mut server) = Node::reference(&[("--maxmemory-policy", "allkeys-lfu")]) else { return };
    server.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    fill_all(&mut server);
    for (compression, policy) in [("yes", "allkeys-lfu"), ("no", "allkeys-lru")] {
        server.check(&format!("CONFIG SET rdbcompression {compression} maxmemory-policy {policy}"), "OK");
        let file = saved(&mut server);
        let version = server.redis_version();
        let text = printed("check", &file);
        has(&text, &["a sound RDB file", &format!("Redis {version}"), "15, 3 expire, 1 of them", "check sum   right"]);
        has(&text, &["db0: 14, 3 expire", "db9: 1\n", "libraries of functions: 1\n", "UTC"]);
        let json = printed("check --json", &file);
        has(&json, &[r#""sound":true"#, r#"{"database":9,"keys":1,"expiring":0,"expired":0}"#, r#""libraries":1"#]);
        has(&json, &[r#""keys":15,"expiring":3,"expired":1}"#, &format!(r#""bytes":{},"#, file.len())]);

        let json = printed("stats --json", &file);
        has(&json, &[r#""keys":15,"#, r#""type":"stream","encoding":"listpacks","keys":1,"#, r#""elements":299"#]);
        has(&json, &[r#""key":"list:large","key_bytes":10,"database":0,"type":"list","#, r#""elements":2001}"#]);
        has(&json, &[r#""pattern":"hash:*","keys":2,"#, r#"{"left":"has expired","keys":1,"#]);
        let text = printed("stats", &file);
        has(&text, &["15 keys", "By type", "zset", "The biggest keys", "\"hash:large\"", "By time to live"]);
    }
}

#[test]
fn what_valkey_saves_is_sound_and_loaded() {
    let Some(mut server) = Node::valkey(&[]) else { return };
    server.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    fill_all(&mut server);
    server.check("HPEXPIREAT hash:small 9000000000000 FIELDS 1 n", "[1]");
    server.check("HSET hash:soon a 1 b 2", "2");
    server.check("HPEXPIRE hash:soon 100000 FIELDS 2 a b", "[1, 1]");
    for at in [1, 7, 1999] {
        server.check(&format!("HPEXPIREAT hash:large {} FIELDS 1 'field {at}'", 9_000_000_000_000_u64 + at), "[1]");
    }
    for compression in ["yes", "no"] {
        server.check(&format!("CONFIG SET rdbcompression {compression}"), "OK");
        let file = saved(&mut server);
        let version = server.info("valkey_version").expect("INFO tells the version");
        let text = printed("check", &file);
        has(&text, &["a sound RDB file", "80 of Valkey", &format!("Valkey {version}"), "16, 3 expire, 1 of them"]);
        has(&text, &["db9: 1\n", "libraries of functions: 1\n", "check sum   right"]);
        let json = printed("stats --json", &file);
        has(&json, &[r#""type":"hash","encoding":"fields that expire","keys":3,"#, r#""elements":299"#]);
    }
    let folder = server.folder().to_str().expect("temporary folders have plain names").to_owned();
    let mut larder = Node::start_with(&[("--dir", &folder)]);
    // What has expired goes from a Valkey that is asked for it.
    assert_eq!(check_alike(&[&server, &larder]), 15);
    larder.check("GET gone", "nil");
    for line in [
        "HPEXPIRETIME hash:small FIELDS 2 n name",
        "HPEXPIRETIME hash:soon FIELDS 2 a b",
        "HPEXPIRETIME hash:large FIELDS 4 'field 1' 'field 2' 'field 7' 'field 1999'",
    ] {
        let expected = server.text(line);
        larder.check(line, &expected);
    }
}

#[test]
fn a_file_that_was_damaged_or_cut_short_is_refused() {
    let Some(mut server) = Node::reference(&[]) else { return };
    fill_all(&mut server);
    let file = saved(&mut server);
    let middle = file.len() / 2;
    let mut damaged = file.clone();
    let hello = file.windows(5).position(|bytes| bytes == b"hello").expect("short strings are not compressed");
    damaged[hello] ^= 0x10;
    for (bytes, said) in [(&damaged[..], "the check sum is"), (&file[..middle], "the file ends at byte")] {
        for verb in ["check", "stats"] {
            let ended = look(verb, bytes);
            assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
            has(&ended.stderr, &["dump.rdb: ", "byte ", said]);
        }
    }
}

#[test]
fn files_that_are_none_are_told_apart() {
    let refused = |args: &str| {
        let ended = Launch::new().file("empty.rdb", "").file("node.toml", "[network]\n").args(args).run();
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        ended.stderr
    };
    has(&refused("rdb check missing.rdb"), &["missing.rdb: there is no such file"]);
    has(&refused("rdb stats empty.rdb"), &["empty.rdb: the file is empty"]);
    has(&refused("rdb check node.toml"), &["node.toml: this is no RDB file"]);
    has(&refused("rdb check ."), &[".: this is a folder"]);
    has(&refused("rdb check"), &["<FILE>"]);
    has(&refused("rdb check --jsno empty.rdb"), &["--jsno: there is no such setting"]);
}
