//! Servers that stop for a while, or for good and are started again.

use larder_tests::chain::{Make, Pair, follow, following, for_pairs, settle};
use larder_tests::digest::check_alike;
use larder_tests::random::seed;
use larder_tests::writes::Writes;
use larder_tests::{Link, wait_until};

fn some_writes(seed: u64, commands: usize) -> Writes {
    Writes { seed, keys: 5_000, writers: 2, commands }
}

#[test]
fn a_replica_that_was_stopped_goes_on() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        let seed = seed();
        some_writes(seed, 0).fill(&pair.primary);
        for round in 0..3 {
            pair.replica.signal("STOP");
            let tally = some_writes(seed + round, 5_000).run(&pair.primary);
            pair.replica.signal("CONT");
            assert!(!tally.is_broken, "a stopped replica is no matter of the clients");
            pair.settle_alike();
        }
        assert_eq!(pair.primary.info_number("sync_full"), 1, "the link has stood all the time");
    });
}

#[test]
fn a_replica_that_is_killed_in_the_middle_of_a_transfer_begins_again() {
    for_pairs(|[first, second]| {
        let Some(mut primary) = first.start(&[]) else { return };
        let seed = seed();
        let writes = some_writes(seed, 10_000);
        writes.fill(&primary);
        let link = Link::to(primary.address());
        let follow_flag = following(link.address());
        let flags = [("--replicaof", follow_flag.as_str())];
        for (round, bytes) in [2_000, 60_000, 150_000].into_iter().enumerate() {
            link.stall_after(bytes);
            let Some(mut doomed) = start_unsynced(second, &link, &flags) else { return };
            Writes { seed: seed + round as u64, commands: 2_000, ..writes }.run(&primary);
            wait_until("the transfer is under way", || !link.is_waiting());
            assert_eq!(doomed.info("master_link_status").as_deref(), Some("down"));
            doomed.signal("KILL");
            assert!(!doomed.wait_for_exit().success());
            link.mend();
        }
        let Some(mut replica) = start_unsynced(second, &link, &flags) else { return };
        Writes { seed: seed + 9, ..writes }.run(&primary);
        settle(&mut [&mut primary, &mut replica]);
        check_alike(&[&primary, &replica]);
    });
}

/// Starts a replica that follows from the start.
fn start_unsynced(make: Make, link: &Link, flags: &[(&str, &str)]) -> Option<larder_tests::Node> {
    let connections = link.connections();
    let replica = make.start(flags)?;
    wait_until("the replica has come", || link.connections() > connections);
    Some(replica)
}

#[test]
fn a_primary_that_is_killed_and_started_from_its_snapshot_is_followed_again() {
    for_pairs(|makes| {
        // What it loses after the snapshot its replica loses, too; and if that is nothing, nothing is lost.
        for commands_lost in [0, 3_000] {
            let Some(mut pair) = Pair::start(makes, &[]) else { return };
            let seed = seed();
            let writes = some_writes(seed, 5_000);
            writes.fill(&pair.primary);
            writes.run(&pair.primary);
            pair.primary.check("SAVE", "OK");
            Writes { seed: seed + 1, commands: commands_lost, ..writes }.run(&pair.primary);
            pair.settle();
            pair.primary.signal("KILL");
            assert!(!pair.primary.wait_for_exit().success());
            wait_until("the replica misses it", || pair.replica.info("master_link_status").as_deref() == Some("down"));
            let folder = pair.primary.folder().to_str().expect("temporary folders have plain names");
            let Some(mut again) = makes[0].start(&[("--dir", folder)]) else { return };
            pair.link.lead_to(again.address());
            let tally = Writes { seed: seed + 2, ..writes }.run(&again);
            assert!(!tally.is_broken, "the new primary has closed a connection");
            settle(&mut [&mut again, &mut pair.replica]);
            let held = check_alike(&[&again, &pair.replica]);
            assert!(held > 2_000, "{held} keys are left to compare");
        }
    });
}

#[test]
fn a_primary_that_is_killed_under_load_leaves_a_whole_replica() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        let seed = seed();
        let writes = some_writes(seed, 1_000_000);
        let ((), tally) = writes.beside(&pair.primary, || {
            let replica = &mut pair.replica;
            wait_until("much is written", || replica.info_number("slave_repl_offset") > 300_000);
            pair.primary.signal("KILL");
            wait_until("the replica misses it", || replica.info("master_link_status").as_deref() == Some("down"));
        });
        assert!(tally.is_broken, "the primary was killed: {tally:?}");
        // No half of a command or transaction is left to be waited for.
        pair.replica.check("REPLICAOF NO ONE", "OK");
        writes.fill(&pair.replica);
        let Some(mut next) = makes[1].start(&[]) else { return };
        follow(&mut next, pair.replica.address());
        settle(&mut [&mut pair.replica, &mut next]);
        check_alike(&[&pair.replica, &next]);
    });
}
