//! What a primary and a replica say and refuse.

use crate::{makes, pair};
use larder_tests::chain::{follow, wait_for_agreement, wait_for_link};
use larder_tests::digest::check_alike;
use larder_tests::{Link, Node, matches, wait_until};

/// An INFO field has the form of a pattern, at once or soon.
#[track_caller]
fn check_info(node: &mut Node, field: &str, pattern: &str) {
    let mut seen = None;
    wait_until(&format!("{field} is {pattern}"), || {
        seen = node.info(field);
        seen.as_deref().is_some_and(|value| matches(pattern, value))
    });
}

#[test]
fn a_replica_has_what_was_written_before_and_after() {
    let (first, second) = makes();
    let (Some(mut primary), Some(mut replica)) = (first.start(&[]), second.start(&[])) else { return };
    primary.check("SET before 1", "OK");
    primary.check("SELECT 5", "OK");
    primary.check("RPUSH list a b c", "3");
    replica.check("SET own 1", "OK");
    follow(&mut replica, primary.address());
    wait_for_link(&mut replica);
    primary.check("HSET hash f v", "1");
    primary.check("SELECT 0", "OK");
    primary.check("SET after 1 EX 1000", "OK");
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    replica.check("EXISTS own", "0");
    replica.check("GET before", "\"1\"");
    replica.check_range("TTL after", 900..=1000);
    replica.check("SELECT 5", "OK");
    replica.check("LRANGE list 0 -1", r#"["a", "b", "c"]"#);
    replica.check("HGETALL hash", r#"["f", "v"]"#);
    assert_eq!(check_alike(&[&primary, &replica]), 4);
}

#[test]
fn a_replica_refuses_writes_unless_it_may_take_them() {
    let Some((mut primary, mut replica)) = pair() else { return };
    let refusal = "READONLY You can't write against a read only replica.";
    replica.check_all(&["SET a 1", "DEL a", "FLUSHALL", "XADD s * f v", "PFADD h a"], refusal);
    replica.check("GET a", "nil");
    replica.check("MULTI", "OK");
    replica.check("SET a 1", refusal);
    replica.check("EXEC", "EXECABORT Transaction discarded because of previous errors.");
    replica.check("CONFIG SET replica-read-only no", "OK");
    replica.check("SET a 1", "OK");
    replica.check("CONFIG SET replica-read-only yes", "OK");
    replica.check("SET a 2", refusal);
    replica.check("GET a", "\"1\"");
    primary.check("EXISTS a", "0");
}

#[test]
fn both_ends_tell_their_role() {
    let Some((mut primary, mut replica)) = pair() else { return };
    let (own, other) = (replica.address().port(), primary.address().port());
    wait_until("the primary counts the replica", || primary.text("ROLE").contains("127.0.0.1"));
    primary.check_matches("ROLE", &format!(r##"["master", #, [["127.0.0.1", "{own}", "#"]]]"##));
    replica.check_matches("ROLE", &format!(r#"["slave", "127.0.0.1", {other}, "connected", #]"#));
    replica.check("REPLICAOF NO ONE", "OK");
    replica.check_matches("ROLE", r#"["master", #, []]"#);
    replica.check("SET a 1", "OK");
    wait_until("the primary sees it leave", || matches(r#"["master", #, []]"#, &primary.text("ROLE")));
}

#[test]
fn both_ends_tell_how_it_stands() {
    let Some((mut primary, mut replica)) = pair() else { return };
    let (own, other) = (replica.address().port(), primary.address().port());
    primary.check("SET a 1", "OK");
    check_info(&mut primary, "slave0", &format!("ip=127.0.0.1,port={own},state=online,offset=#,lag=#*"));
    for (field, pattern) in [
        ("role", "master"),
        ("connected_slaves", "1"),
        ("master_failover_state", "no-failover"),
        ("master_repl_offset", "#"),
        ("master_replid2", &"0".repeat(40)),
        ("second_repl_offset", "-1"),
        ("repl_backlog_active", "1"),
        ("repl_backlog_size", "134217728"),
        ("repl_backlog_first_byte_offset", "#"),
        ("repl_backlog_histlen", "#"),
        ("sync_full", "1"),
        ("sync_partial_ok", "0"),
    ] {
        check_info(&mut primary, field, pattern);
    }
    for (field, pattern) in [
        ("role", "slave"),
        ("master_host", "127.0.0.1"),
        ("master_port", &other.to_string()),
        ("master_link_status", "up"),
        ("master_last_io_seconds_ago", "#"),
        ("master_sync_in_progress", "0"),
        ("slave_read_repl_offset", "#"),
        ("slave_repl_offset", "#"),
        ("slave_priority", "100"),
        ("slave_read_only", "1"),
        ("replica_announced", "1"),
        ("connected_slaves", "0"),
        ("repl_backlog_active", "1"),
    ] {
        check_info(&mut replica, field, pattern);
    }
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    let id = primary.info("master_replid");
    assert!(id.as_ref().is_some_and(|id| id.len() == 40), "{id:?}");
    assert_eq!(replica.info("master_replid"), id);
    primary.check_matches("CLIENT LIST TYPE replica", "id=#*flags=S*");
    replica.check_matches("CLIENT LIST TYPE master", "id=#*flags=M*");
}

#[test]
fn a_primary_may_refuse_writes_without_replicas() {
    let Some((mut primary, mut replica)) = pair() else { return };
    primary.check("CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 10", "OK");
    check_info(&mut primary, "min_slaves_good_slaves", "1");
    primary.check("SET a 1", "OK");
    primary.check("CONFIG SET min-replicas-to-write 2", "OK");
    let refusal = "NOREPLICAS Not enough good replicas to write.";
    primary.check_all(&["SET a 2", "DEL a"], refusal);
    primary.check("GET a", "\"1\"");
    primary.check("CONFIG SET min-replicas-to-write 1", "OK");
    primary.check("SET a 2", "OK");
    replica.check("REPLICAOF NO ONE", "OK");
    wait_until("the primary is alone", || primary.text("SET a 3") == refusal);
    primary.check("CONFIG SET min-replicas-to-write 0", "OK");
    primary.check("SET a 4", "OK");
}

#[test]
fn a_replica_without_its_primary_serves_old_data_only_if_it_may() {
    let (first, second) = makes();
    let (Some(mut primary), Some(mut replica)) = (first.start(&[]), second.start(&[])) else { return };
    let link = Link::to(primary.address());
    primary.check("SET a 1", "OK");
    follow(&mut replica, link.address());
    wait_for_link(&mut replica);
    link.refuse();
    check_info(&mut replica, "master_link_status", "down");
    check_info(&mut replica, "master_link_down_since_seconds", "#");
    replica.check("GET a", "\"1\"");
    replica.check("CONFIG SET replica-serve-stale-data no", "OK");
    let refusal = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    replica.check_all(&["GET a", "EXISTS a", "SCAN 0", "DBSIZE"], refusal);
    replica.check("PING", refusal);
    replica.check_matches("INFO replication", "*role:slave*");
    replica.check_matches("ROLE", r#"["slave", *]"#);
    replica.check("SELECT 0", "OK");
    primary.check("SET a 2", "OK");
    link.heal();
    check_info(&mut replica, "master_link_status", "up");
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    replica.check("GET a", "\"2\"");
}

#[test]
fn expiry_is_decided_by_the_primary_and_hidden_by_the_replica() {
    let Some((mut primary, mut replica)) = pair() else { return };
    primary.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    primary.check("SET soon 1 PX 50", "OK");
    primary.check("SET late 1 EX 1000", "OK");
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    wait_until("the replica hides the key", || replica.text("GET soon") == "nil");
    replica.check("EXISTS soon", "0");
    replica.check("TTL soon", "-2");
    replica.check("TYPE soon", "none");
    // It is there until the primary says that it is gone.
    replica.check("DBSIZE", "2");
    primary.check("GET soon", "nil");
    wait_until("the primary has told", || replica.int("DBSIZE") == 1);
    replica.check("GET late", "\"1\"");
    primary.check("DEBUG SET-ACTIVE-EXPIRE 1", "OK");
    primary.check("SET soon 1 PX 50", "OK");
    wait_until("the key is gone on both", || primary.int("DBSIZE") == 1 && replica.int("DBSIZE") == 1);
    assert_eq!(check_alike(&[&primary, &replica]), 1);
}
