//! What Valkey has and Redis 7.0 has not, between Larder and a Valkey. Without a Valkey the tests are skipped, with a note.

use larder_tests::chain::{Make, Pair, follow, settle};
use larder_tests::{Node, wait_until};

/// Either follows the other.
const BOTH: [[Make; 2]; 2] = [[Make::Valkey, Make::Larder], [Make::Larder, Make::Valkey]];

/// More fields than a hash in its small form has.
const MANY: usize = 600;

/// A time that does not come while a test runs.
const LATER: u64 = 9_000_000_000_000;

/// Hashes of which some fields expire, all, and none: each small, and one large.
fn put_hashes(server: &mut Node) {
    server.check("HSET some a 1 b two c 3", "3");
    server.check(&format!("HPEXPIREAT some {LATER} FIELDS 1 b"), "[1]");
    server.check("HSET all a 1 b 2", "2");
    server.check(&format!("HPEXPIREAT all {LATER} FIELDS 1 a"), "[1]");
    server.check(&format!("HPEXPIREAT all {} FIELDS 1 b", LATER + 7), "[1]");
    server.check("HSET none a 1", "1");
    server.check("PEXPIREAT some 9100000000000", "1");
    for at in 0..MANY {
        server.check(&format!("HSET large field:{at} {at}"), "1");
        if at % 3 == 0 {
            server.check(&format!("HPEXPIREAT large {} FIELDS 1 field:{at}", LATER + at as u64), "[1]");
        }
    }
}

/// Expects a replica to have these hashes as its primary has them.
#[track_caller]
fn check_hashes(primary: &mut Node, replica: &mut Node, keys: &[&str]) {
    for key in keys {
        let told = primary.call(&format!("HKEYS {key}"));
        let fields: Vec<_> =
            told.as_slice().expect("HKEYS answers an array").iter().map(larder_tests::render).collect();
        for line in [
            format!("HLEN {key}"),
            format!("PEXPIRETIME {key}"),
            format!("HMGET {key} {}", fields.join(" ")),
            format!("HPEXPIRETIME {key} FIELDS {} {}", fields.len(), fields.join(" ")),
        ] {
            let expected = primary.text(&line);
            replica.check(&line, &expected);
        }
    }
}

/// Expects Larder to have understood all that its primary said.
#[track_caller]
fn check_understood(nodes: [&Node; 2]) {
    for node in nodes {
        let log = node.log();
        assert!(!log.contains("a command of the primary was answered"), "{log}");
        assert!(!log.contains("replication stream") && !log.contains("to its primary"), "{log}");
    }
}

#[test]
fn fields_that_expire_come_with_all_data() {
    for [first, second] in BOTH {
        let Some(mut primary) = first.start(&[]) else { return };
        put_hashes(&mut primary);
        let Some(mut replica) = second.start(&[]) else { return };
        follow(&mut replica, primary.address());
        settle(&mut [&mut primary, &mut replica]);
        check_hashes(&mut primary, &mut replica, &["some", "all", "none", "large"]);
        primary.check("HPEXPIRE some 1 FIELDS 1 b", "[1]");
        wait_until("the replica is told that a field is over", || replica.int("HLEN some") == 2);
    }
}

#[test]
fn fields_that_expire_come_in_the_stream() {
    for makes in BOTH {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        put_hashes(&mut pair.primary);
        for line in [
            "HSETEX some PX 100000 FIELDS 2 d 4 e 5",
            "HSETEX some FXX KEEPTTL FIELDS 1 d 6",
            "HSETEX new FNX EXAT 9000000000 FIELDS 1 a 1",
            "HSETEX some EXAT 1 FIELDS 1 c 1",
            "HGETEX some EX 100 FIELDS 1 a",
            "HGETEX all PERSIST FIELDS 1 a",
            "HGETDEL all FIELDS 2 b none",
            "HINCRBYFLOAT some a 1.5",
            "HINCRBY some d 2",
            "HPERSIST large FIELDS 2 field:0 field:1",
            "COPY some copy",
            "RENAME new renamed",
        ] {
            let reply = pair.primary.call(line);
            assert!(!reply.is_error(), "{line}: {}", larder_tests::render(&reply));
        }
        pair.settle();
        check_hashes(&mut pair.primary, &mut pair.replica, &["some", "all", "none", "large", "copy", "renamed"]);
        pair.primary.check("HPEXPIRE some 1 FIELDS 2 d e", "[1, 1]");
        wait_until("the replica is told that fields are over", || pair.replica.int("HLEN some") == 2);
        pair.settle();
        check_understood([&pair.primary, &pair.replica]);
    }
}

#[test]
fn a_hash_that_is_restored_keeps_its_fields_expiries() {
    for [first, second] in BOTH {
        let Some(mut pair) = Pair::start([first, second], &[]) else { return };
        // As each of the two dumps it.
        for make in [first, second] {
            let Some(mut other) = make.start(&[]) else { return };
            put_hashes(&mut other);
            for key in ["some", "all", "none", "large"] {
                let payload = other.call(&format!("DUMP {key}"));
                let payload = payload.as_bytes().expect("DUMP answers a text");
                let words = [b"RESTORE", key.as_bytes(), b"9000000000000", payload, b"REPLACE", b"ABSTTL"];
                let reply = pair.primary.call_words(&words);
                let reply = larder_tests::render(&reply);
                // A Valkey reads no fields that expire in the form of Redis.
                let is_foreign = pair.primary.info("valkey_version").is_some() && make == Make::Larder;
                assert!(reply == "OK" || is_foreign && key != "none", "{key} of {make:?}: {reply}");
            }
            pair.settle();
            for key in ["some", "all", "none", "large"] {
                if pair.primary.int(&format!("EXISTS {key}")) == 1 {
                    check_hashes(&mut pair.primary, &mut pair.replica, &[key]);
                }
            }
        }
        check_understood([&pair.primary, &pair.replica]);
    }
}

#[test]
fn new_forms_of_commands_mean_the_same_on_both_sides() {
    for makes in BOTH {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        for line in [
            "SET k v",
            "SET k w IFEQ v EX 100",
            "SET k x IFEQ w GET",
            "SET l v",
            "DELIFEQ l v",
            "MSETEX 2 a 1 b 2 EX 100",
            "MSETEX 2 a 1 b 2 XX KEEPTTL",
            "SET gone v",
            "GETEX gone PXAT 1",
            "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 2.35 48.85 Paris",
            "GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 500 km",
            "XADD stream 1-1 f v",
            "XGROUP CREATE stream group 0",
            "XREADGROUP GROUP group alice STREAMS stream >",
            "XADD stream MAXLEN ~ 1 2-1 f v",
            "SWAPDB 3 4",
            "PUBLISH channel message",
        ] {
            let reply = pair.primary.call(line);
            assert!(!reply.is_error(), "{line}: {}", larder_tests::render(&reply));
        }
        pair.settle_alike();
        check_understood([&pair.primary, &pair.replica]);
    }
}

#[test]
fn what_a_polygon_holds_is_stored_on_both_sides() {
    let Some(mut pair) = Pair::start([Make::Valkey, Make::Larder], &[]) else { return };
    pair.primary.check("GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 2.35 48.85 Paris", "3");
    pair.primary.check("GEOSEARCHSTORE near geo BYPOLYGON 4 12 37 12 40 16 40 16 37", "2");
    pair.primary.check("GEOSEARCHSTORE far geo BYPOLYGON 3 12 37 12 40 16 40 DESC COUNT 1 STOREDIST", "1");
    pair.settle_alike();
    check_understood([&pair.primary, &pair.replica]);
}

#[test]
fn scripts_and_functions_of_a_primary_lead_to_what_they_have_done() {
    let Some(mut pair) = Pair::start([Make::Valkey, Make::Larder], &[]) else { return };
    pair.primary.check("EVAL \"return server.call('hsetex', 'h', 'ex', 100, 'fields', 1, 'a', 'b')\" 0", "1");
    load(&mut pair.primary, "one");
    pair.primary.check("FCALL one 0", "1");
    pair.settle_alike();
    check_hashes(&mut pair.primary, &mut pair.replica, &["h"]);
    check_understood([&pair.primary, &pair.replica]);
}

/// Loads a library with one function, both of this name.
fn load(server: &mut Node, name: &str) {
    let code = format!(
        "#!lua name={name}\nserver.register_function('{name}', function() return server.call('incr', 'n') end)"
    );
    let reply = server.call_words(&["FUNCTION", "LOAD", "REPLACE", &code]);
    assert_eq!(larder_tests::render(&reply), name);
}

/// The libraries that a server following Larder is given.
#[track_caller]
fn handed_on(larder: &Node) -> Option<String> {
    let mut last = Make::Valkey.start(&[])?;
    follow(&mut last, larder.address());
    wait_until("the last is linked", || last.info("master_link_status").as_deref() == Some("up"));
    let reply = last.call("FUNCTION LIST");
    let libraries = reply.as_slice().expect("FUNCTION LIST answers an array").iter();
    let mut names: Vec<_> =
        libraries.map(|library| larder_tests::render(&library.as_slice().expect("it has fields")[1])).collect();
    names.sort();
    Some(names.join(" "))
}

#[test]
fn libraries_of_functions_are_handed_on() {
    let Some(mut primary) = Make::Valkey.start(&[]) else { return };
    load(&mut primary, "one");
    let Some(mut larder) = Make::Larder.start(&[]) else { return };
    follow(&mut larder, primary.address());
    settle(&mut [&mut primary, &mut larder]);
    // With all data, and then in the stream.
    assert_eq!(handed_on(&larder).as_deref(), Some("one"));
    load(&mut primary, "two");
    load(&mut primary, "one");
    settle(&mut [&mut primary, &mut larder]);
    assert_eq!(handed_on(&larder).as_deref(), Some("one two"));
    let dump = primary.call("FUNCTION DUMP");
    primary.check("FUNCTION DELETE one", "OK");
    settle(&mut [&mut primary, &mut larder]);
    assert_eq!(handed_on(&larder).as_deref(), Some("two"));
    primary.check("FUNCTION FLUSH", "OK");
    settle(&mut [&mut primary, &mut larder]);
    assert_eq!(handed_on(&larder).as_deref(), Some(""));
    load(&mut primary, "three");
    let dump = dump.as_bytes().expect("FUNCTION DUMP answers a text");
    let restored = primary.call_words(&[b"FUNCTION", b"RESTORE".as_slice(), dump, b"APPEND"]);
    assert_eq!(larder_tests::render(&restored), "OK");
    settle(&mut [&mut primary, &mut larder]);
    assert_eq!(handed_on(&larder).as_deref(), Some("one three two"));
    check_understood([&primary, &larder]);
}

#[test]
fn a_primary_may_hand_its_place_over_to_its_replica() {
    for make in [Make::Valkey, Make::Redis] {
        let Some(pair) = Pair::start([make, Make::Larder], &[]) else { continue };
        hand_over(pair);
    }
}

fn hand_over(mut pair: Pair) {
    pair.primary.check("SET k v", "OK");
    pair.settle();
    // Not through the relay: it is to reach the replica where that says it is.
    let (host, port) = (pair.replica.address().ip(), pair.replica.address().port());
    pair.primary.check(&format!("FAILOVER TO {host} {port} TIMEOUT 9000"), "OK");
    wait_until("the replica leads", || pair.replica.info("role").as_deref() == Some("master"));
    wait_until("who led follows", || pair.primary.info("master_link_status").as_deref() == Some("up"));
    pair.replica.check("SET k w", "OK");
    settle(&mut [&mut pair.replica, &mut pair.primary]);
    pair.primary.check("GET k", "w");
    assert_eq!(pair.replica.info_number("sync_full"), 0, "it goes on where it was");
}

#[test]
fn a_valkey_that_would_use_two_links_makes_do_with_one() {
    for makes in BOTH {
        let Some(mut primary) = makes[0].start(&[]) else { return };
        let Some(mut replica) = makes[1].start(&[]) else { return };
        for node in [&mut primary, &mut replica] {
            if node.info("valkey_version").is_some() {
                node.check("CONFIG SET dual-channel-replication-enabled yes", "OK");
            }
        }
        put_hashes(&mut primary);
        follow(&mut replica, primary.address());
        settle(&mut [&mut primary, &mut replica]);
        check_hashes(&mut primary, &mut replica, &["some", "all", "large"]);
    }
}
