//! Keys that are declared wrong together, seen by connections of one node.

use crate::command::testing::{Desk, freeze};

#[test]
fn keys_with_a_tag_go_together() {
    let mut desk = Desk::new();
    desk.check("CACHE.SET page:1 one TAGS 2 product:7 shop", "+OK");
    desk.check("CACHE.SET page:2 two EX 100 TAGS 1 product:7", "+OK");
    desk.check("CACHE.SET page:3 three TAGS 1 shop EX 100", "+OK");
    desk.check("CACHE.SET page:4 four", "+OK");
    desk.check("CACHE.TAGS page:1", "*2 $9 product:7 $4 shop");
    desk.check("TTL page:3", ":100");
    desk.check("CACHE.TAG page:4 product:7 other product:7", ":2");
    desk.check("CACHE.TAG page:4 product:7", ":0");
    desk.check("CACHE.TAG page:5 product:7", ":0");
    desk.check("CACHE.INVALIDATE product:7", ":3");
    desk.check("MGET page:1 page:2 page:3 page:4", "*4 $-1 $-1 $5 three $-1");
    desk.check("CACHE.INVALIDATE product:7", ":0");
    desk.check("DBSIZE", ":1");
    desk.check("SET page:1 new", "+OK");
    desk.check("CACHE.INVALIDATE product:7 shop", ":1");
    desk.check("GET page:1", "$3 new");
    desk.check("KEYS *", "*1 $6 page:1");
}

#[test]
fn what_is_wrong_is_gone_for_every_command_though_nobody_has_swept_it() {
    for (line, expected) in [
        ("GET k", "$-1"),
        ("EXISTS k", ":0"),
        ("TTL k", ":-2"),
        ("TYPE k", "+none"),
        ("DEL k", ":0"),
        ("APPEND k x", ":1"),
        ("INCR k", ":1"),
        ("SET k v NX", "+OK"),
        ("SET k v XX", "$-1"),
        ("GETSET k v", "$-1"),
        ("RENAME k other", "-ERR no such key"),
        ("COPY k other", ":0"),
        ("EXPIRE k 10", ":0"),
        ("LPUSH k a", ":1"),
        ("SADD k a", ":1"),
        ("SETRANGE k 0 a", ":1"),
        ("SETBIT k 0 1", ":0"),
        ("PFADD k a", ":1"),
        ("DUMP k", "$-1"),
        ("OBJECT ENCODING k", "$-1"),
        ("KEYS *", "*0"),
        ("SCAN 0", "*2 $1 0 *0"),
        ("RANDOMKEY", "$-1"),
        ("CACHE.TAGS k", "*0"),
        ("CACHE.TAG k t", ":0"),
        ("DBSIZE", ":0"),
    ] {
        for wrong in ["CACHE.INVALIDATE t", "CACHE.CLEAR k"] {
            let mut desk = Desk::new();
            desk.check("CACHE.SET k 5 TAGS 1 t", "+OK");
            desk.run(wrong);
            // No tick has come, and no command has met it.
            desk.check(line, expected);
        }
    }
}

#[test]
fn keys_with_a_prefix_go_together_and_new_ones_stay() {
    let mut desk = Desk::new();
    for key in ["page:1", "page:2", "pages", "other"] {
        desk.check(&format!("SET {key} old"), "+OK");
    }
    desk.check("CACHE.CLEAR page:", "+OK");
    desk.check("SET page:2 new", "+OK");
    desk.check("MGET page:1 page:2 pages other", "*4 $-1 $3 new $3 old $3 old");
    desk.check("DBSIZE", ":3");
    desk.check("CACHE.CLEAR page:", "+OK");
    desk.check("CACHE.CLEAR pages", "+OK");
    desk.check("MGET page:1 page:2 pages other", "*4 $-1 $-1 $-1 $3 old");
    // More at once than are kept waiting.
    desk.check("SET last 1", "+OK");
    (0..100).for_each(|n| desk.check(&format!("CACHE.CLEAR none:{n}"), "+OK"));
    desk.check("CACHE.CLEAR las", "+OK");
    desk.check("MGET last other", "*2 $-1 $3 old");
}

#[test]
fn tags_go_with_their_key_to_another_name_and_not_to_another_value() {
    let mut desk = Desk::new();
    desk.check("CACHE.SET k 1 TAGS 1 t", "+OK");
    desk.check("INCR k", ":2");
    desk.check("APPEND k 00000000000000000000", ":21");
    desk.check("INCRBYFLOAT k 1", "$21 200000000000000000000");
    desk.check("EXPIRE k 100", ":1");
    desk.check("PERSIST k", ":1");
    desk.check("RENAME k renamed", "+OK");
    desk.check("COPY renamed copied", ":1");
    desk.check("CACHE.TAGS renamed", "*1 $1 t");
    desk.check("CACHE.TAGS copied", "*1 $1 t");
    desk.check("SET renamed other", "+OK");
    desk.check("CACHE.TAGS renamed", "*0");
    desk.check("CACHE.INVALIDATE t", ":1");
    desk.check("MGET renamed copied", "*2 $5 other $-1");
    desk.check("HSET h f v", ":1");
    desk.check("CACHE.TAG h t", ":1");
    desk.check("HSET h g v", ":1");
    desk.check("CACHE.INVALIDATE t", ":1");
    desk.check("HGETALL h", "*0");
}

#[test]
fn databases_are_apart() {
    let mut desk = Desk::new();
    desk.check("CACHE.SET k 0 TAGS 1 t", "+OK");
    desk.check("SELECT 1", "+OK");
    desk.check("CACHE.SET k 1 TAGS 1 t", "+OK");
    desk.check("CACHE.INVALIDATE t", ":1");
    desk.check("CACHE.CLEAR k", "+OK");
    desk.check("GET k", "$-1");
    desk.check("SELECT 0", "+OK");
    desk.check("GET k", "$1 0");
    desk.check("FLUSHALL", "+OK");
    desk.check("SET k new", "+OK");
    desk.check("CACHE.TAGS k", "*0");
    desk.check("CACHE.INVALIDATE t", ":0");
}

/// When the tests begin, in milliseconds since 1970.
const START: u64 = 1_700_000_000_000;

#[test]
fn what_is_declared_wrong_softly_is_stale() {
    freeze(Some(START));
    let mut desk = Desk::new();
    desk.check("CACHE.RULE SET page: lease on stale-while-revalidate 30s", "+OK");
    desk.check("CACHE.SET page:1 old EX 1000 TAGS 1 t", "+OK");
    desk.check("CACHE.SET page:2 old TAGS 1 t", "+OK");
    desk.check("CACHE.SET free old TAGS 1 t", "+OK");
    desk.check("CACHE.INVALIDATE t SOFT", ":3");
    let mut other = desk.again();
    for key in ["page:1", "page:2"] {
        other.check(&format!("EXISTS {key}"), ":0");
        desk.check(&format!("GET {key}"), "$-1");
        other.check(&format!("GET {key}"), "$3 old");
        assert!(other.run(&format!("CACHE.GET {key}")).contains("stale"));
    }
    freeze(Some(START + 29_000));
    other.check("GET page:1", "$3 old");
    desk.check("SET page:1 new", "+OK");
    other.check("GET page:1", "$3 new");
    // What is stale still has its tag.
    desk.check("CACHE.INVALIDATE t", ":1");
    desk.check("GET page:2", "$-1");
    other.check("GET page:2", "$-1");
    desk.check("CACHE.CLEAR page: SOFT", "+OK");
    desk.check("GET page:1", "$-1");
    other.check("GET page:1", "$3 new");
    freeze(Some(START + 60_000));
    desk.check("GET page:1", "$-1");
    other.check("GET page:1", "$-1");
    freeze(None);
}

#[test]
fn without_a_rule_that_serves_it_nothing_is_kept() {
    let mut desk = Desk::new();
    desk.check("CACHE.SET k old EX 1000 TAGS 1 t", "+OK");
    desk.check("CACHE.INVALIDATE t SOFT", ":1");
    desk.check("CACHE.RULE SET k lease on stale-while-revalidate 30s", "+OK");
    desk.check("GET k", "$-1");
    desk.again().check("GET k", "$-1");
    // One word is the tag.
    desk.check("CACHE.SET k old TAGS 1 soft", "+OK");
    desk.check("CACHE.INVALIDATE soft", ":1");
}

#[test]
fn what_was_being_loaded_meanwhile_is_refused() {
    let mut desk = Desk::new();
    desk.check("CACHE.RULE SET page: lease on", "+OK");
    let token = |desk: &mut Desk, key: &str| {
        let reply = desk.run(&format!("CACHE.GET {key}"));
        let number = reply.split_once("token\r\n:").and_then(|(_, rest)| rest.split('\r').next());
        number.unwrap_or_else(|| panic!("{reply}")).to_owned()
    };
    for (wrong, refused) in [
        ("CACHE.INVALIDATE t", true),
        ("CACHE.INVALIDATE other t", true),
        ("CACHE.CLEAR page:", true),
        ("CACHE.INVALIDATE other", false),
        ("CACHE.CLEAR pages", false),
    ] {
        let mut other = desk.again();
        let first = token(&mut desk, "page:1");
        other.run(wrong);
        let reply = desk.run(&format!("CACHE.FILL page:1 {first} value EX 100 TAGS 1 t"));
        if refused {
            assert!(reply.starts_with("-NOLEASE what was loaded for"), "{wrong}: {reply}");
            let second = token(&mut other, "page:1");
            other.check(&format!("CACHE.FILL page:1 {second} value TAGS 1 t"), "+OK");
        } else {
            assert_eq!(reply, "+OK\r\n", "{wrong}");
        }
        desk.check("CACHE.TAGS page:1", "*1 $1 t");
        desk.check("DEL page:1", ":1");
    }
}

#[test]
fn watchers_and_who_keeps_copies_are_told() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    desk.check("CACHE.SET k v TAGS 1 t", "+OK");
    other.check("WATCH k", "+OK");
    other.check("MULTI", "+OK");
    other.check("PING", "+QUEUED");
    desk.check("CACHE.INVALIDATE t", ":1");
    desk.check("DBSIZE", ":0");
    other.check("EXEC", "*-1");
}

#[test]
fn wrong_uses_are_refused() {
    let mut desk = Desk::new();
    let long = "x".repeat(513);
    let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    let count = "-ERR TAGS is followed by how many tags there are, and by these";
    for (line, expected) in [
        ("CACHE.SET k", "-ERR wrong number of arguments for 'cache.set' command"),
        ("CACHE.SET k v EX", "-ERR syntax error"),
        ("CACHE.SET k v EX 0", "-ERR invalid expire time in 'cache.set' command"),
        ("CACHE.SET k v EX 1 PX 1", "-ERR syntax error"),
        ("CACHE.SET k v NX", "-ERR syntax error"),
        ("CACHE.SET k v TAGS", "-ERR syntax error"),
        ("CACHE.SET k v TAGS 0", count),
        ("CACHE.SET k v TAGS 2 a", count),
        ("CACHE.SET k v TAGS x a", "-ERR value is not an integer or out of range"),
        ("CACHE.SET k v TAGS 1 a b", "-ERR syntax error"),
        (&format!("CACHE.SET k v TAGS 1 {long}"), "-ERR a tag has 1 to 512 bytes"),
        (&format!("CACHE.SET k v TAGS 65 {many}"), "-ERR a key has at most 64 tags"),
        ("CACHE.TAG k", "-ERR wrong number of arguments for 'cache.tag' command"),
        ("CACHE.INVALIDATE", "-ERR wrong number of arguments for 'cache.invalidate' command"),
        ("CACHE.CLEAR", "-ERR wrong number of arguments for 'cache.clear' command"),
        ("CACHE.CLEAR a HARD", "-ERR syntax error"),
        ("EXISTS k", ":0"),
    ] {
        desk.check(line, expected);
    }
    desk.check("SET k v", "+OK");
    let few = (0..64).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    desk.check(&format!("CACHE.TAG k {few}"), ":64");
    desk.check("CACHE.TAG k 64", "-ERR a key has at most 64 tags, and this one has 64 already");
    desk.check("CACHE.TAG k 63", ":0");
    desk.check("MULTI", "+OK");
    assert!(desk.run("CACHE.INVALIDATE t").starts_with("-ERR "));
}

#[test]
fn what_is_evicted_is_in_no_group_any_more() {
    for policy in ["allkeys-larder", "allkeys-lru"] {
        let mut desk = Desk::new();
        desk.check(&format!("CONFIG SET maxmemory 12mb maxmemory-policy {policy}"), "+OK");
        let value = "x".repeat(1000);
        for n in 0..20_000 {
            desk.check(&format!("CACHE.SET page:{n} {value} TAGS 2 t{} all", n % 10), "+OK");
        }
        let keys = desk.run("DBSIZE");
        assert!(desk.node.store.totals().counters.evicted > 5000, "{keys}");
        desk.check("CACHE.INVALIDATE all", keys.trim_end());
        desk.check("DBSIZE", ":0");
        // All that was held for tags has gone with them.
        (0..10).for_each(|n| desk.check(&format!("CACHE.INVALIDATE t{n}"), ":0"));
        desk.node.store.each_stripe(|stripe| stripe.check());
    }
}
