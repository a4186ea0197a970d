//! What clients and operators see of replication, at both ends.

use larder_tests::chain::{Pair, follow, following, for_pairs, settle};
use larder_tests::digest::check_alike;
use larder_tests::random::seed;
use larder_tests::writes::Writes;
use larder_tests::{Link, Node, wait_until};

const READONLY: &str = "READONLY You can't write against a read only replica.";

fn field(node: &mut Node, name: &str) -> String {
    node.info(name).unwrap_or_else(|| panic!("INFO has no field {name}"))
}

#[test]
fn a_replica_refuses_writes_of_clients() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        pair.primary.check("SET k v", "OK");
        pair.settle();
        let replica = &mut pair.replica;
        replica.check("GET k", "v");
        replica.check_all(
            &["SET k w", "DEL k", "EXPIRE k 1", "LPUSH l a", "FLUSHALL", "XADD s * f v", "SPOP set"],
            READONLY,
        );
        replica.check("MULTI", "OK");
        replica.check("SET k w", READONLY);
        replica.check("EXEC", "EXECABORT Transaction discarded because of previous errors.");
        replica.check("GET k", "v");
        // What is written there on request is not the primary's matter.
        replica.check("CONFIG SET replica-read-only no", "OK");
        replica.check("SET own 1", "OK");
        replica.check("CONFIG SET replica-read-only yes", "OK");
        replica.check("SET own 2", READONLY);
        pair.primary.check("EXISTS own", "0");
        replica.check("REPLICAOF NO ONE", "OK");
        replica.check("SET k w", "OK");
    });
}

#[test]
fn roles_are_told_at_both_ends() {
    for_pairs(|[first, second]| {
        let (Some(mut primary), Some(mut replica)) = (first.start(&[]), second.start(&[])) else { return };
        primary.check("ROLE", r#"["master", 0, []]"#);
        let address = primary.address();
        follow(&mut replica, address);
        replica.check_matches("ROLE", &format!(r#"["slave", "127.0.0.1", {}, "*", *]"#, address.port()));
        settle(&mut [&mut primary, &mut replica]);
        primary.check("SET k v", "OK");
        settle(&mut [&mut primary, &mut replica]);
        let offset = replica.info_number("slave_repl_offset");
        assert!(offset > 0);
        replica.check_matches("ROLE", &format!(r#"["slave", "127.0.0.1", {}, "connected", #]"#, address.port()));
        // The offset that the replica has acknowledged comes once a second.
        let port = replica.address().port();
        let told = format!(r#"["master", #, [["127.0.0.1", "{port}", "{offset}"]]]"#);
        wait_until("the primary has heard", || {
            larder_tests::matches(&told, &primary.text("ROLE")) || primary.info_number("master_repl_offset") > offset
        });
        primary.check_matches("ROLE", &format!(r##"["master", #, [["127.0.0.1", "{port}", "#"]]]"##));
        replica.check("REPLICAOF NO ONE", "OK");
        replica.check_matches("ROLE", r#"["master", #, []]"#);
        wait_until("the primary has none", || larder_tests::matches(r#"["master", #, []]"#, &primary.text("ROLE")));
    });
}

#[test]
fn a_primary_tells_of_its_replicas() {
    for_pairs(|[first, second]| {
        let Some(mut primary) = first.start(&[("--repl-backlog-size", "2mb")]) else { return };
        assert_eq!(field(&mut primary, "role"), "master");
        assert_eq!(field(&mut primary, "connected_slaves"), "0");
        assert_eq!(field(&mut primary, "repl_backlog_active"), "0");
        assert_eq!(field(&mut primary, "second_repl_offset"), "-1");
        assert_eq!(field(&mut primary, "master_replid2"), "0".repeat(40));
        assert_eq!(field(&mut primary, "master_failover_state"), "no-failover");
        let id = field(&mut primary, "master_replid");
        assert!(
            id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
            "{id}"
        );
        let Some(mut replica) = second.start(&[]) else { return };
        follow(&mut replica, primary.address());
        settle(&mut [&mut primary, &mut replica]);
        primary.check("SET k v", "OK");
        settle(&mut [&mut primary, &mut replica]);
        assert_eq!(field(&mut primary, "connected_slaves"), "1");
        let line = format!("ip=127.0.0.1,port={},state=online,offset=#,lag=#*", replica.address().port());
        wait_until("the replica is online", || larder_tests::matches(&line, &field(&mut primary, "slave0")));
        assert_eq!(field(&mut primary, "repl_backlog_active"), "1");
        assert_eq!(field(&mut primary, "repl_backlog_size"), "2097152");
        // In one piece, as pings move the offset.
        let info = primary.call("INFO replication");
        let info = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
        let number = |name: &str| -> i64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number {name} in {info}"))
        };
        let (offset, first) = (number("master_repl_offset"), number("repl_backlog_first_byte_offset"));
        assert!(offset > 0 && first >= 1, "{info}");
        assert_eq!(number("repl_backlog_histlen"), offset - first + 1, "{info}");
        assert_eq!(number("second_repl_offset"), -1);
        assert_eq!(field(&mut primary, "sync_full"), "1");
        assert_eq!(field(&mut primary, "sync_partial_ok"), "0");
    });
}

#[test]
fn a_replica_tells_of_its_primary() {
    for_pairs(|makes| {
        // Valkey's own is larger.
        let Some(mut pair) = Pair::start(makes, &[("--repl-backlog-size", "1mb")]) else { return };
        pair.primary.check("SET k v", "OK");
        pair.settle();
        let port = pair.link.address().port().to_string();
        let id = field(&mut pair.primary, "master_replid");
        for (name, expected) in [
            ("role", "slave"),
            ("master_host", "127.0.0.1"),
            ("master_port", &port),
            ("master_link_status", "up"),
            ("master_sync_in_progress", "0"),
            ("slave_priority", "100"),
            ("slave_read_only", "1"),
            ("replica_announced", "1"),
            ("connected_slaves", "0"),
            ("master_failover_state", "no-failover"),
            ("master_replid", &id),
            ("master_replid2", &"0".repeat(40)),
            ("second_repl_offset", "-1"),
            ("repl_backlog_active", "1"),
            ("repl_backlog_size", "1048576"),
        ] {
            assert_eq!(field(&mut pair.replica, name), expected, "{name}");
        }
        assert!(pair.replica.info_number("master_last_io_seconds_ago") >= 0);
        let offset = pair.replica.info_number("slave_repl_offset");
        assert!(pair.replica.info_number("slave_read_repl_offset") >= offset);
        assert!(pair.replica.info_number("master_repl_offset") >= offset);
        pair.link.refuse();
        wait_until("the link is down", || field(&mut pair.replica, "master_link_status") == "down");
        assert_eq!(field(&mut pair.replica, "master_last_io_seconds_ago"), "-1");
        assert!(pair.replica.info_number("master_link_down_since_seconds") >= 0);
        assert_eq!(field(&mut pair.replica, "role"), "slave");
    });
}

#[test]
fn wait_counts_the_replicas_that_hold_a_write() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        pair.primary.check("SET k v", "OK");
        pair.primary.check("WAIT 1 0", "1");
        pair.replica.check("GET k", "v");
        pair.primary.check("SET k w", "OK");
        // It counts those that have said so already.
        pair.primary.check_range("WAIT 0 100", 0..=1);
        pair.primary.check("WAIT 1 5000", "1");
        pair.primary.check("SET k x", "OK");
        pair.primary.check_range("WAIT 2 100", 0..=1);
        pair.replica.signal("STOP");
        pair.primary.check("SET k y", "OK");
        pair.primary.check("WAIT 1 100", "0");
        // Whoever has written nothing since has nothing to wait for.
        pair.primary.connect().check("WAIT 1 100", "1");
        // It is answered as soon as the replica goes on.
        pair.primary.send("WAIT 1 0");
        pair.replica.signal("CONT");
        pair.primary.expect("1");
        pair.replica.check("GET k", "y");
        pair.replica.check_matches("WAIT 1 100", "ERR WAIT cannot be used with replica instances.*");
    });
}

#[test]
fn a_write_can_be_refused_for_want_of_replicas() {
    const REFUSAL: &str = "NOREPLICAS Not enough good replicas to write.";
    for_pairs(|makes| {
        let flags = [("--min-replicas-to-write", "1"), ("--min-replicas-max-lag", "10")];
        let Some(mut primary) = makes[0].start(&flags) else { return };
        primary.check_all(&["SET k v", "LPUSH l a", "FLUSHALL"], REFUSAL);
        primary.check("GET k", "nil");
        primary.check("MULTI", "OK");
        primary.check("SET k v", REFUSAL);
        primary.check("EXEC", "EXECABORT Transaction discarded because of previous errors.");
        let Some(mut replica) = makes[1].start(&[]) else { return };
        let link = Link::to(primary.address());
        follow(&mut replica, link.address());
        wait_until("a write is taken", || primary.text("SET k v") == "OK");
        assert_eq!(field(&mut primary, "min_slaves_good_slaves"), "1");
        link.refuse();
        wait_until("a write is refused", || primary.text("SET k v") == REFUSAL);
        primary.check("CONFIG SET min-replicas-to-write 0", "OK");
        primary.check("SET k v", "OK");
    });
}

#[test]
fn stale_data_can_be_kept_back() {
    const REFUSAL: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        pair.primary.check("SET k v", "OK");
        pair.settle();
        pair.replica.check("CONFIG SET replica-serve-stale-data no", "OK");
        pair.replica.check("GET k", "v");
        pair.link.refuse();
        wait_until("nothing is told any more", || pair.replica.text("GET k") == REFUSAL);
        pair.replica.check_all(&["EXISTS k", "KEYS *", "PING"], REFUSAL);
        // What is about the server and not about data is answered.
        pair.replica.check_matches("ROLE", r#"["slave", *]"#);
        assert_eq!(field(&mut pair.replica, "master_link_status"), "down");
        pair.replica.check("CONFIG SET replica-serve-stale-data yes", "OK");
        pair.replica.check("GET k", "v");
        pair.replica.check("CONFIG SET replica-serve-stale-data no", "OK");
        pair.link.mend();
        wait_until("it is told again", || pair.replica.text("GET k") == "v");
    });
}

#[test]
fn a_replica_may_follow_from_its_start_and_take_a_snapshot_in_either_form() {
    for_pairs(|makes| {
        for diskless in ["yes", "no"] {
            let Some(mut primary) = makes[0].start(&[("--repl-diskless-sync", diskless)]) else { return };
            Writes { seed: seed(), keys: 2_000, writers: 1, commands: 0 }.fill(&primary);
            let Some(mut replica) = makes[1].start(&[("--replicaof", &following(primary.address()))]) else { return };
            settle(&mut [&mut primary, &mut replica]);
            assert!(check_alike(&[&primary, &replica]) > 2_000);
        }
    });
}

#[test]
fn a_primary_may_ask_for_a_password() {
    for_pairs(|makes| {
        let Some(mut primary) = makes[0].start(&[("--requirepass", "secret")]) else { return };
        primary.check("AUTH secret", "OK");
        primary.check("SET k v", "OK");
        let Some(mut replica) = makes[1].start(&[("--masterauth", "wrong")]) else { return };
        let link = Link::to(primary.address());
        follow(&mut replica, link.address());
        wait_until("it has tried in vain", || link.connections() >= 2);
        assert_eq!(field(&mut replica, "master_link_status"), "down");
        replica.check("CONFIG SET masterauth secret", "OK");
        settle(&mut [&mut primary, &mut replica]);
        replica.check("GET k", "v");
    });
}

#[test]
fn a_replica_may_say_where_it_is() {
    for_pairs(|makes| {
        let Some(mut primary) = makes[0].start(&[]) else { return };
        let flags = [("--replica-announce-ip", "10.1.2.3"), ("--replica-announce-port", "1234")];
        let Some(mut replica) = makes[1].start(&flags) else { return };
        follow(&mut replica, primary.address());
        settle(&mut [&mut primary, &mut replica]);
        wait_until("the primary has heard", || {
            field(&mut primary, "slave0").starts_with("ip=10.1.2.3,port=1234,state=online,")
        });
    });
}

#[test]
fn who_follows_whom_can_be_changed_and_is_told() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        let (host, port) = (pair.link.address().ip(), pair.link.address().port());
        // It is linked already.
        pair.replica.check(&format!("REPLICAOF {host} {port}"), "OK Already connected to specified master");
        pair.replica.check("REPLICAOF 127.0.0.1 nonsense", "ERR Invalid master port");
        pair.replica.check("REPLICAOF 127.0.0.1 70000", "ERR Invalid master port");
        pair.replica.check_matches("REPLICAOF 127.0.0.1", "ERR wrong number of arguments for 'replicaof' command");
        pair.replica.check("CONFIG GET replicaof", &format!(r#"["replicaof", "{host} {port}"]"#));
        pair.replica.check("SLAVEOF NO ONE", "OK");
        pair.replica.check("CONFIG GET replicaof", r#"["replicaof", ""]"#);
        assert_eq!(field(&mut pair.replica, "role"), "master");
        pair.replica.check(&format!("SLAVEOF {host} {port}"), "OK");
        pair.settle();
    });
}

#[test]
fn messages_reach_those_who_subscribe_at_a_replica() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        let mut subscriber = pair.replica.connect();
        subscriber.check("SUBSCRIBE news", r#"["subscribe", "news", 1]"#);
        pair.primary.check("PUBLISH news hello", "0");
        subscriber.expect(r#"["message", "news", "hello"]"#);
        pair.settle();
    });
}
