//! Links that break: under way, for a while, or in silence.

use larder_tests::chain::{Pair, Resyncs, follow, for_pairs};
use larder_tests::random::{Random, seed, setting};
use larder_tests::wait_until;
use larder_tests::writes::Writes;

const CUTS: u64 = 20;

/// A load that is over in a moment.
fn some_writes(seed: u64, commands: usize) -> Writes {
    Writes { seed, keys: 2_000, writers: 2, commands }
}

#[test]
fn a_link_that_is_cut_again_and_again_goes_on_where_it_was() {
    let cuts = setting("LARDER_TEST_CUTS").unwrap_or(CUTS);
    for_pairs(|makes| {
        // Whatever is written meanwhile is kept for the replica.
        let Some(mut pair) = Pair::start(makes, &[("--repl-backlog-size", "64mb")]) else { return };
        let seed = seed();
        let mut random = Random::new(seed);
        some_writes(seed, 0).fill(&pair.primary);
        pair.settle();
        let before = Resyncs::of(&mut pair.primary);
        for number in 0..cuts {
            let connections = pair.link.connections();
            // Some cuts come in the middle of a command, some in that of a handshake, and some when nothing is said.
            pair.link.cut_after(random.below(40_000) as u64);
            let tally = some_writes(seed + number, 600).run(&pair.primary);
            assert!(!tally.is_broken, "the primary has closed a connection");
            if pair.link.is_waiting() {
                pair.link.mend();
                pair.link.cut();
            }
            if random.percent(70) {
                wait_until("the replica comes again", || pair.link.connections() > connections);
            }
        }
        let held = pair.settle_alike();
        let after = Resyncs::of(&mut pair.primary);
        eprintln!("{held} keys are alike after {cuts} cuts; before: {before:?}, after: {after:?}");
        assert_eq!(after.full, before.full, "the backlog had all that was missed");
        // A cut in the middle of a handshake ends none of the stream.
        assert!(after.partial - before.partial >= cuts as i64 / 4, "{after:?} after {cuts} cuts");
    });
}

#[test]
fn what_the_backlog_has_lost_is_sent_anew() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[("--repl-backlog-size", "16kb")]) else { return };
        let seed = seed();
        some_writes(seed, 0).fill(&pair.primary);
        pair.settle();
        let before = Resyncs::of(&mut pair.primary);
        pair.link.refuse();
        wait_until("the replica misses its primary", || {
            pair.replica.info("master_link_status").as_deref() == Some("down")
        });
        let offset = pair.primary.info_number("master_repl_offset");
        let mut round = 0;
        while pair.primary.info_number("master_repl_offset") - offset < 200_000 {
            round += 1;
            some_writes(seed + round, 2_000).run(&pair.primary);
            assert!(round < 100, "too little is written");
        }
        pair.link.mend();
        pair.settle_alike();
        let after = Resyncs::of(&mut pair.primary);
        assert_eq!(after, Resyncs { full: before.full + 1, partial: before.partial, refused: before.refused + 1 });
    });
}

#[test]
fn a_transfer_that_is_cut_begins_again() {
    for_pairs(|makes| {
        let Some(mut pair) = Pair::start(makes, &[]) else { return };
        let seed = seed();
        let mut random = Random::new(seed);
        pair.replica.check("REPLICAOF NO ONE", "OK");
        let writes = Writes { keys: 10_000, ..some_writes(seed, 3_000) };
        writes.fill(&pair.primary);
        // This is not the primary's, and has to go.
        pair.replica.check("SET own value", "OK");
        for number in 0..6 {
            let connections = pair.link.connections();
            pair.link.cut_after(random.below(300_000) as u64);
            follow(&mut pair.replica, pair.link.address());
            Writes { seed: seed + number, ..writes }.run(&pair.primary);
            wait_until("the replica has tried again", || {
                pair.link.connections() > connections + 1 || !pair.link.is_waiting() || is_linked(&mut pair)
            });
            pair.link.mend();
            pair.replica.check("REPLICAOF NO ONE", "OK");
            pair.replica.check("SET own value", "OK");
        }
        follow(&mut pair.replica, pair.link.address());
        let held = pair.settle_alike();
        assert!(held > 5_000, "{held} keys are left to compare");
        pair.replica.check("EXISTS own", "0");
    });
}

fn is_linked(pair: &mut Pair) -> bool {
    pair.replica.info("master_link_status").as_deref() == Some("up")
}

#[test]
fn a_silent_link_is_given_up_and_made_again() {
    for_pairs(|makes| {
        let flags = [("--repl-timeout", "2"), ("--repl-ping-replica-period", "1"), ("--repl-backlog-size", "64mb")];
        let Some(mut pair) = Pair::start(makes, &flags) else { return };
        let seed = seed();
        some_writes(seed, 2_000).run(&pair.primary);
        pair.settle();
        let before = Resyncs::of(&mut pair.primary);
        pair.link.stall();
        some_writes(seed + 1, 2_000).run(&pair.primary);
        wait_until("the replica misses its primary", || !is_linked(&mut pair));
        wait_until("the primary misses its replica", || pair.primary.info_number("connected_slaves") == 0);
        some_writes(seed + 2, 2_000).run(&pair.primary);
        pair.link.mend();
        pair.settle_alike();
        let after = Resyncs::of(&mut pair.primary);
        assert_eq!(after.full, before.full, "{after:?}");
        assert!(after.partial > before.partial, "{after:?}");
    });
}
