//! Guards at work, seen by connections of one node.

use super::*;
use crate::command::testing::Desk;
use crate::store::{Eviction, Options};
use std::collections::HashSet;

/// Runs a command until it waits no more.
fn run(desk: &mut Desk, line: &str) -> String {
    use crate::command::dispatch::Ended;
    loop {
        let reply = desk.run(line);
        if !matches!(desk.ended, Ended::Wait { .. }) {
            return reply.trim_end().replace("\r\n", " ");
        }
        assert_eq!(reply, "");
    }
}

fn guarded(rule: &str) -> Desk {
    let mut desk = Desk::new();
    assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE known 0.001 20000"), "+OK");
    desk.check("CACHE.GUARD ADD known p:1 p:2 p:3", ":3");
    desk.check(&format!("CACHE.RULE SET p: guard known {rule}"), "+OK");
    desk
}

fn count(desk: &mut Desk, name: &str) -> u64 {
    let told = desk.run("CACHE.STATS p:");
    let (_, rest) = told.split_once(&format!("{name}\r\n:")).expect("it is counted");
    rest.split('\r').next().unwrap().parse().unwrap()
}

#[test]
fn each_slot_has_a_tag_that_is_for_ever() {
    let tags: HashSet<&[u8]> = TAGS.iter().map(|tag| tag.split(|letter| *letter == 0).next().unwrap()).collect();
    assert_eq!(tags.len(), usize::from(SLOTS));
    let mut name = Name::new();
    for slot in 0..SLOTS {
        assert_eq!(slot::of(name.write(b"guard", slot)).number(), slot);
    }
    // Filters that were saved lie under these names.
    let shown = |slot: u16| String::from_utf8_lossy(Name::new().write(b"g", slot)).into_owned();
    assert_eq!([0, 1, 8191, 16383].map(shown), ["g:{1bz}", "g:{emj}", "g:{7ho}", "g:{hia}"]);
    let longest = [b'g'; crate::rules::GUARD_MAX];
    assert!((0..SLOTS).all(|slot| name.write(&longest, slot).len() <= NAME_MAX));
}

#[test]
fn what_a_guard_does_not_know_is_answered_at_once() {
    let mut desk = guarded("lease on");
    let mut other = desk.again();
    desk.check("GET p:nosuch", "$-1");
    other.check("GET p:nosuch", "$-1");
    assert_eq!((count(&mut desk, "guarded"), count(&mut desk, "leases_granted")), (2, 0));
    assert!(desk.run("CACHE.GET p:nosuch").starts_with("*14\r\n$6\r\nstatus\r\n$8\r\nnegative\r\n$5\r\nvalue\r\n$-1"));
    // One that it knows is loaded.
    desk.check("GET p:1", "$-1");
    assert!(desk.run("CACHE.GET p:2").contains("lease"));
    assert_eq!((count(&mut desk, "guarded"), count(&mut desk, "leases_granted")), (3, 2));
    desk.check("GET elsewhere", "$-1");
    assert!(
        desk.run("CACHE.RULE EXPLAIN p:1").contains("If the guard 'known' does not know it, a GET is told nil at once")
    );
}

#[test]
fn the_answer_is_the_rules_absent_value() {
    let mut desk = guarded("absent-value (none) negative-ttl 10s");
    desk.check("GET p:nosuch", "$6 (none)");
    desk.check("EXISTS p:nosuch", ":0");
    desk.check("GET p:1", "$-1");
    desk.check("SET p:nosuch (none)", "+OK");
    desk.check("CACHE.ABSENT p:nosuch", "+OK");
    desk.check("DEL p:nosuch", ":1");
    desk.check("GET p:nosuch", "$6 (none)");
    // In a transaction, too.
    desk.check("MULTI", "+OK");
    desk.check("GET p:nosuch", "+QUEUED");
    desk.check("EXEC", "*1 $6 (none)");
}

#[test]
fn who_keeps_copies_hears_that_a_key_may_be_there() {
    let mut desk = guarded("absent-value (none) negative-ttl 10s");
    let mut other = desk.again();
    other.run("HELLO 3");
    other.check("CLIENT TRACKING ON", "+OK");
    other.check("GET p:nosuch", "$6 (none)");
    desk.check("CACHE.GUARD ADD known p:nosuch", ":1");
    other.check("PING", "+PONG >2 $10 invalidate *1 $8 p:nosuch");
    other.check("GET p:nosuch", "_");
}

#[test]
fn whatever_writes_a_key_makes_it_known() {
    let mut desk = guarded("");
    desk.check("SET x:k v", "+OK");
    for (line, key) in [
        ("SET p:a v", "p:a"),
        ("SETNX p:b v", "p:b"),
        ("SET p:c v NX EX 10", "p:c"),
        ("MSET p:d v x:d v p:e v", "p:e"),
        ("APPEND p:f v", "p:f"),
        ("INCR p:g", "p:g"),
        ("SETRANGE p:h 3 v", "p:h"),
        ("SETBIT p:i 3 1", "p:i"),
        ("RENAME x:d p:j", "p:j"),
        ("COPY x:k p:k", "p:k"),
        ("GETSET p:l v", "p:l"),
        ("BITOP NOT p:m x:k", "p:m"),
        ("SETEX p:n 10 v", "p:n"),
        ("PFADD p:o v", "p:o"),
    ] {
        desk.check(&format!("GET {key}"), "$-1");
        let before = count(&mut desk, "guarded");
        assert!(before > 0, "{key}");
        desk.run(line);
        desk.check(&format!("DEL {key}"), ":1");
        desk.check(&format!("GET {key}"), "$-1");
        assert_eq!(count(&mut desk, "guarded"), before, "{line}");
    }
    desk.check("MULTI", "+OK");
    desk.check("SET p:z v", "+QUEUED");
    desk.check("DEL p:z", "+QUEUED");
    desk.run("EXEC");
    let before = count(&mut desk, "guarded");
    desk.check("GET p:z", "$-1");
    assert_eq!(count(&mut desk, "guarded"), before);
    // What is no string, or no key in the end, is no news.
    desk.check("SADD p:set a", ":1");
    desk.check("SET p:gone v PXAT 1", "+OK");
    desk.check("DEL p:set", ":1");
    desk.check("GET p:set", "$-1");
    desk.check("GET p:gone", "$-1");
    assert_eq!(count(&mut desk, "guarded"), before + 2);
}

#[test]
fn where_there_is_no_filter_all_may_be_there() {
    let mut desk = guarded("lease on");
    let filter = format!("known:{{{}}}", tag_of(b"p:nosuch"));
    assert!(desk.run(&format!("BF.EXISTS {filter} p:nosuch")).starts_with(":0"));
    desk.check(&format!("DEL {filter}"), ":1");
    desk.check("GET p:nosuch", "$-1");
    assert_eq!((count(&mut desk, "guarded"), count(&mut desk, "leases_granted")), (0, 1));
    desk.check(&format!("SET {filter} text"), "+OK");
    desk.again().check("GET p:nosuch", "$-1");
    // One that is full knows not all.
    desk.check(&format!("DEL {filter}"), ":1");
    desk.check(&format!("BF.RESERVE {filter} 0.01 1 NONSCALING"), "+OK");
    desk.check("DEL p:nosuch", ":0");
    desk.check("GET p:nosuch", "$-1");
    assert_eq!(count(&mut desk, "guarded"), 1);
    desk.check(&format!("BF.ADD {filter} another"), ":1");
    desk.check("GET p:nosuch", "$-1");
    assert_eq!(count(&mut desk, "guarded"), 1);
    desk.check("SET p:nosuch v", "+OK");
    desk.check("CACHE.RULE SET p: guard nobody", "+OK");
    desk.check("GET p:other", "$-1");
    assert_eq!(count(&mut desk, "guarded"), 1);
}

fn tag_of(key: &[u8]) -> String {
    let tag = TAGS[slot::of(key).index()];
    String::from_utf8_lossy(&tag).trim_end_matches('\0').to_owned()
}

#[test]
fn a_guard_is_made_looked_at_and_deleted() {
    let mut desk = Desk::new();
    assert_eq!(
        run(&mut desk, "CACHE.GUARD INFO g"),
        "-ERR there is no guard of this name: CACHE.GUARD RESERVE makes one"
    );
    assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE g 0.01 1000000"), "+OK");
    desk.check("DBSIZE", ":16384");
    let refused = run(&mut desk, "CACHE.GUARD RESERVE g 0.01 1000000");
    assert!(refused.starts_with("-ERR there is a guard of this name, or a part of one"), "{refused}");
    desk.check("CACHE.GUARD ADD g a b c a", ":3");
    desk.check("CACHE.GUARD ADD g a", ":0");
    let told = run(&mut desk, "CACHE.GUARD INFO g");
    let told: Vec<&str> = told.split(' ').collect();
    assert_eq!(told[..7], ["*10", "$7", "filters", ":16384", "$5", "items", ":3"]);
    assert_eq!(told[8..10], ["capacity", &*format!(":{}", 16384 * per_slot(1_000_000))]);
    assert_eq!(told[13..], ["$10", "error-rate", "$4", "0.01"]);
    desk.check("SADD some x y z", ":3");
    desk.check("RPUSH more a x 7", ":3");
    assert_eq!(run(&mut desk, "CACHE.GUARD LOAD g some"), ":3");
    assert_eq!(run(&mut desk, "CACHE.GUARD LOAD g more"), ":1");
    assert_eq!(run(&mut desk, "CACHE.GUARD LOAD g nosuch"), "-ERR no such key");
    desk.check("SET text v", "+OK");
    assert!(run(&mut desk, "CACHE.GUARD LOAD g text").starts_with("-WRONGTYPE"));
    assert_eq!(run(&mut desk, "CACHE.GUARD DEL g"), ":16384");
    assert_eq!(run(&mut desk, "CACHE.GUARD DEL g"), ":0");
    desk.check("DBSIZE", ":3");
    desk.check("CACHE.GUARD ADD g p:1", "-ERR the guard has no filter for slot 5156: CACHE.GUARD RESERVE makes them");
    assert!(run(&mut desk, "CACHE.GUARD LOAD g some").starts_with("-ERR the guard has no filter for slot"));
    for (line, fault) in [
        ("CACHE.GUARD RESERVE g{a} 0.01 1", "-ERR the name of a guard has neither blanks nor braces"),
        ("CACHE.GUARD RESERVE g 1 1", "-ERR the error rate of a guard is a number between 0 and 1"),
        ("CACHE.GUARD RESERVE g nan 1", "-ERR the error rate of a guard is a number between 0 and 1"),
        ("CACHE.GUARD RESERVE g 0.1 0", "-ERR the capacity of a guard is a number of keys"),
        ("CACHE.GUARD RESERVE g 0.1 9223372036854775807", "-ERR a filter of this capacity and error rate would take"),
    ] {
        let told = run(&mut desk, line);
        assert!(told.starts_with(fault), "{line}: {told}");
    }
}

#[test]
fn a_long_list_is_loaded_bit_by_bit() {
    for command in ["RPUSH", "SADD"] {
        let mut desk = Desk::new();
        assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE g 0.0001 20000"), "+OK");
        for part in 0..20 {
            let names: String = (0..1000).map(|number| format!("p:{} ", part * 1000 + number)).collect();
            desk.run(&format!("{command} all {names}"));
        }
        let told = run(&mut desk, "CACHE.GUARD LOAD g all");
        let new: usize = told[1..].parse().unwrap();
        // Chance takes a few for others.
        assert!((19_980..=20_000).contains(&new), "{told}");
        desk.check("CACHE.RULE SET p: guard g", "+OK");
        for number in 0..20_000 {
            desk.run(&format!("GET p:{number}"));
        }
        assert_eq!(count(&mut desk, "guarded"), 0);
    }
}

#[test]
fn who_follows_is_told_of_filters_by_name_and_before_keys() {
    let (mut desk, number) = Desk::leading(Options::default());
    assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE g 0.01 1000"), "+OK");
    desk.check("CACHE.GUARD ADD g p:1 p:2", ":2");
    desk.check("RPUSH list p:3", ":1");
    assert_eq!(run(&mut desk, "CACHE.GUARD LOAD g list"), ":1");
    desk.check("CACHE.RULE SET p: guard g", "+OK");
    desk.check("SET p:4 v", "+OK");
    desk.check("SET p:4 w", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("SET p:5 v", "+QUEUED");
    desk.check("DEL p:5", "+QUEUED");
    desk.run("EXEC");
    let sent = desk.stream(number);
    let shown = |words: &Vec<Vec<u8>>| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
    let lines: Vec<String> = sent.iter().map(shown).collect();
    assert!(lines[..16385].iter().all(|line| line.starts_with("BF.RESERVE g:{") || line == "SELECT 0"));
    let added = |key: &str| format!("BF.INSERT g:{{{}}} NOCREATE ITEMS {key}", tag_of(key.as_bytes()));
    let mut expected = [added("p:1"), added("p:2")];
    expected.sort_by_key(|line| slot::of(line.split(' ').next_back().unwrap().as_bytes()));
    assert_eq!(lines[16385..16387], expected);
    let rest: Vec<&str> = lines[16387..].iter().map(String::as_str).collect();
    let (three, four, five) = (added("p:3"), added("p:4"), added("p:5"));
    assert_eq!(
        rest,
        ["RPUSH list p:3", &three, &four, "SET p:4 v", "SET p:4 w", &five, "MULTI", "SET p:5 v", "DEL p:5", "EXEC"]
    );
    // A replica without the rule has all of it.
    let mut other = Desk::following();
    for words in &sent {
        let reply = other.call(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(!reply.starts_with(b"-"), "{}: {}", shown(words), reply.escape_ascii());
    }
    other.session.is_primary = false;
    other.check("CACHE.RULE SET p: guard g", "+OK");
    for key in ["p:1", "p:2", "p:3", "p:4", "p:5"] {
        other.check(&format!("BF.EXISTS g:{{{}}} {key}", tag_of(key.as_bytes())), ":1");
    }
    // It asks no guard as long as it follows.
    other.check("GET p:nosuch", "$-1");
    assert_eq!(count(&mut other, "guarded"), 0);
    assert!(other.run("CACHE.GUARD RESERVE h 0.1 1").starts_with("-READONLY"));
}

#[test]
fn in_a_cluster_a_guard_is_of_the_slots_of_the_node() {
    let mut desk = Desk::in_cluster();
    assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE g 0.01 1000"), "+OK");
    desk.check("DBSIZE", ":8192");
    assert!(run(&mut desk, "CACHE.GUARD INFO g").contains("filters :8192"));
    let own = (0..).map(|number| format!("{number}")).find(|key| slot::of(key.as_bytes()).number() < 8192).unwrap();
    let other = (0..).map(|number| format!("{number}")).find(|key| slot::of(key.as_bytes()).number() >= 8192).unwrap();
    desk.session.knows_cluster = true;
    desk.check(&format!("CACHE.GUARD ADD g {own}"), ":1");
    assert!(desk.run(&format!("CACHE.GUARD ADD g {other}")).starts_with("-MOVED"));
    let list = format!("{{{own}}}list");
    desk.check(&format!("RPUSH {list} {own} {other} {own}x{own}"), ":3");
    let told = run(&mut desk, &format!("CACHE.GUARD LOAD g {list}"));
    assert!([":0", ":1"].contains(&&*told), "{told}");
    assert_eq!(run(&mut desk, "CACHE.GUARD DEL g"), ":8192");
}

#[test]
fn filters_stay_where_keys_have_to_make_room() {
    for eviction in [Eviction::AllkeysLarder, Eviction::AllkeysLru, Eviction::AllkeysRandom] {
        let mut desk = Desk::with(Options { memory_max: 24 << 20, eviction, ..Options::default() });
        assert_eq!(run(&mut desk, "CACHE.GUARD RESERVE g 0.01 20000"), "+OK");
        for number in 0..40_000 {
            desk.call(&[b"SET", format!("k:{number}").as_bytes(), &[b'v'; 1000]]);
        }
        assert!(desk.node.store.totals().counters.evicted > 10_000);
        assert!(run(&mut desk, "CACHE.GUARD INFO g").contains("filters :16384"), "{eviction:?}");
        // One that is to expire is as any other key.
        desk.check("BF.ADD short a", ":1");
        desk.check("EXPIRE short 10000", ":1");
    }
}

#[test]
fn a_node_of_nothing_but_filters_takes_no_more() {
    let mut desk = Desk::with(Options { memory_max: 10 << 20, ..Options::default() });
    let mut refused = None;
    for number in 0..10 {
        let reply = run(&mut desk, &format!("CACHE.GUARD RESERVE g{number} 0.01 20000"));
        if reply.starts_with("-OOM") {
            refused = Some(number);
            break;
        }
    }
    assert!(refused.is_some_and(|number| number > 0), "{refused:?}");
    assert_eq!(run(&mut desk, "CACHE.GUARD DEL g0"), ":16384");
}
