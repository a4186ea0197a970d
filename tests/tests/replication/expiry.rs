//! When a key expires is for its primary to decide; a replica only hides what is over.

use larder_tests::chain::{Pair, follow, for_pairs, settle};
use larder_tests::{Node, wait_until};

#[test]
fn what_expires_goes_from_the_replica_by_the_primary() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        pair.primary.check("SET short life PX 100", "OK");
        pair.primary.check("RPUSH list a b", "2");
        pair.primary.check("PEXPIRE list 150", "1");
        pair.primary.check("SET stays 'for ever'", "OK");
        wait_until("only one is left", || {
            pair.replica.text("GET stays") == "for ever" && pair.replica.int("DBSIZE") == 1
        });
        wait_until("the primary has no other", || pair.primary.int("DBSIZE") == 1);
        pair.settle_alike();
    });
}

/// Gives the primary a key `k` that is soon over, and what else `put` gives it, and lets nothing pass from when the replica
/// has it.
fn put_and_stall(pair: &mut Pair, put: impl Fn(&mut Node, u64)) {
    // The shorter times are not enough where the machine has much else to do.
    for millis in [1_000, 3_000, 8_000] {
        pair.primary.check(&format!("SET k v PX {millis}"), "OK");
        put(&mut pair.primary, millis);
        pair.settle();
        pair.link.stall();
        if pair.replica.int("PTTL k") > 300 {
            return;
        }
        pair.link.mend();
    }
    panic!("a key that lives for seconds does not reach the replica in time");
}

#[test]
fn a_replica_without_word_hides_what_is_over_and_keeps_it() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        put_and_stall(&mut pair, |primary, millis| {
            primary.call("SADD set a b");
            primary.check(&format!("PEXPIRE set {millis}"), "1");
        });
        wait_until("it is over on the replica", || pair.replica.text("GET k") == "nil");
        wait_until("the set is over as well", || pair.replica.int("SCARD set") == 0);
        pair.replica.check("EXISTS k set", "0");
        pair.replica.check("TTL k", "-2");
        pair.replica.check("TYPE k", "none");
        pair.replica.check("STRLEN k", "0");
        pair.replica.check("SMEMBERS set", "[]");
        pair.replica.check("MGET k", "[nil]");
        // It is not the replica's to delete.
        pair.replica.check("DBSIZE", "2");
        wait_until("the primary deletes them", || pair.primary.int("DBSIZE") == 0);
        pair.replica.check("DBSIZE", "2");
        pair.link.mend();
        wait_until("the primary's word has come", || pair.replica.int("DBSIZE") == 0);
        pair.settle_alike();
    });
}

#[test]
fn what_the_primary_keeps_longer_comes_back() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        put_and_stall(&mut pair, |_, _| ());
        pair.primary.check("PERSIST k", "1");
        wait_until("it is over on the replica, which has not heard", || pair.replica.text("GET k") == "nil");
        pair.link.mend();
        wait_until("it is back", || pair.replica.text("GET k") == "v");
        pair.replica.check("TTL k", "-1");
        pair.settle_alike();
    });
}

#[test]
fn a_promoted_replica_decides_itself() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        put_and_stall(&mut pair, |primary, _| primary.check("SET stays 1", "OK"));
        wait_until("it is over on the replica", || pair.replica.text("GET k") == "nil");
        pair.replica.check("DBSIZE", "2");
        pair.replica.check("REPLICAOF NO ONE", "OK");
        wait_until("it is deleted", || pair.replica.int("DBSIZE") == 1);
    });
}

#[test]
fn what_is_over_is_not_in_a_full_resync() {
    for_pairs(|[first, second]| {
        let (Some(mut primary), Some(mut replica)) = (first.start(&[]), second.start(&[])) else { return };
        primary.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
        primary.check("SET k v PX 1", "OK");
        primary.check("SET later v EX 10000", "OK");
        wait_until("it is over", || primary.text("PTTL k") == "-2");
        follow(&mut replica, primary.address());
        settle(&mut [&mut primary, &mut replica]);
        replica.check("EXISTS k", "0");
        assert_eq!(replica.int("PEXPIRETIME later"), primary.int("PEXPIRETIME later"));
    });
}
