//! Slots that move to nodes that come, and away from nodes that leave.

use crate::alone;
use crate::load::{Ending, append_to_the_end};
use larder_tests::cluster::{Cluster, Guide, History, PATIENCE, Seen, check_histories};
use larder_tests::random::{Random, seed};
use larder_tests::{render, wait_long};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// The lists that a writer appends to.
fn lists(writer: usize) -> Vec<String> {
    (0..50).map(|key| format!("list {writer} {key}")).collect()
}

/// The port of each slot's owner.
fn owners(seen: &Seen) -> Vec<u16> {
    let owner = |slot: u16| seen.nodes.iter().find(|line| line.has_slot(slot)).map_or(0, |line| line.port);
    (0..16384).map(owner).collect()
}

/// Waits until so many shards share all slots evenly, as every node says.
#[track_caller]
pub fn wait_until_even(cluster: &Cluster, shards: usize) {
    let is_even = |seen: &Seen| {
        let held: Vec<usize> = seen.nodes.iter().map(|line| line.slot_count()).filter(|held| *held > 0).collect();
        let (most, least) = (held.iter().max(), held.iter().min());
        held.len() == shards && held.iter().sum::<usize>() == 16384 && most.zip(least).is_some_and(|(a, b)| a - b <= 1)
    };
    wait_long(PATIENCE, &format!("{shards} shards share all slots"), || {
        let seen: Vec<Seen> = cluster.awake().iter().filter_map(|node| cluster.ask(*node)).collect();
        (seen.len() == cluster.awake().len() && seen.iter().all(is_even), format!("{:?}", seen.first()))
    });
}

/// What keys of all types hold, besides what is written to meanwhile.
const KINDS: &[(&str, &str, &str)] = &[
    ("SET string:# hello:#", "GET string:#", "hello:#"),
    ("HSET hash:# f 1 g #", "HGET hash:# g", "#"),
    ("ZADD zset:# 1 a 2 b:#", "ZRANGE zset:# 1 1", "[\"b:#\"]"),
    ("SADD set:# a:#", "SMEMBERS set:#", "[\"a:#\"]"),
    ("XADD stream:# 1-1 f #", "XRANGE stream:# - +", "[[\"1-1\", [\"f\", \"#\"]]]"),
    ("SET short:# soon PX 3600000", "GET short:#", "soon"),
];

fn each_kind(guide: &mut Guide, mut with: impl FnMut(&mut Guide, [&str; 3])) {
    for number in 0..100 {
        for (make, ask, expected) in KINDS {
            let of = |text: &str| text.replace('#', &number.to_string());
            with(guide, [&of(make), &of(ask), &of(expected)]);
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn shards_come_and_go_with_the_fewest_moves_and_no_write_is_lost_or_refused() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[("--cluster-replicas", "0")]);
    wait_until_even(&cluster, 3);
    let mut guide = cluster.guide();
    each_kind(&mut guide, |guide, [make, ..]| drop(guide.call(PATIENCE, &words(make))));
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let histories: Vec<History> = thread::scope(|scope| {
        let _ending = Ending(&is_over);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (guide, is_over, acknowledged) = (cluster.guide(), &is_over, &acknowledged);
                scope.spawn(move || append_to_the_end(guide, lists(writer), is_over, acknowledged))
            })
            .collect();
        let mut before = owners(&cluster.seen());
        for (shards, ideal) in [(4, 4096), (5, 3277)] {
            let node = cluster.add();
            cluster.run(node);
            wait_until_even(&cluster, shards);
            let after = owners(&cluster.seen());
            let port = cluster.address(node).port();
            let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            let strayed =
                before.iter().zip(&after).filter(|(before, after)| before != after && **after != port).count();
            eprintln!("{shards} shards: {moved} slots moved, {ideal} had to");
            assert!(moved <= ideal && strayed == 0, "{moved} slots moved, {strayed} of them between old shards");
            before = after;
        }
        let id = cluster.id(4);
        let told = cluster.client(0).text(&format!("CLUSTER CHANGE leave {id}"));
        assert!(!told.starts_with("ERR"), "{told}");
        wait_until_even(&cluster, 4);
        let after = owners(&cluster.seen());
        let left = cluster.address(4).port();
        assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == left));
        is_over.store(true, Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not fail")).collect()
    });
    let [acknowledged, unknown, refused] = check_histories(&mut guide, &histories);
    eprintln!("{acknowledged} acknowledged, {unknown} unknown, {refused} refused");
    assert!(acknowledged > 1000 && unknown == 0);
    // For a moment both ends of a move may send a client to each other, more often than it follows.
    assert!(refused <= acknowledged / 1000, "{refused} of {acknowledged} writes were refused");
    each_kind(&mut guide, |guide, [_, ask, expected]| {
        let (reply, _) = guide.call(PATIENCE, &words(ask));
        assert_eq!(render(&reply).trim_matches('"'), expected.trim_matches('"'), "{ask}");
    });
    let (ttl, _) = guide.call(PATIENCE, &["PTTL", "short:7"]);
    assert!(ttl.as_int().is_some_and(|ttl| ttl > 3_000_000 && ttl <= 3_600_000), "{ttl:?}");
    // What has left is deleted where it was.
    let keys = |cluster: &Cluster| (0..4).map(|node| cluster.client(node).int("DBSIZE")).sum::<i64>();
    cluster.wait_until("no key is there twice", |cluster| keys(cluster) == 700);
    assert_eq!(cluster.client(4).int("DBSIZE"), 0);
}

#[test]
fn ends_that_die_while_slots_move_leave_each_slot_with_one_owner_and_its_data() {
    let _alone = alone();
    let mut random = Random::new(seed());
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1")]);
    cluster.wait_until_whole();
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let histories: Vec<History> = thread::scope(|scope| {
        let _ending = Ending(&is_over);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (guide, is_over, acknowledged) = (cluster.guide().at_quorum(), &is_over, &acknowledged);
                scope.spawn(move || append_to_the_end(guide, lists(writer), is_over, acknowledged))
            })
            .collect();
        let new = [cluster.add(), cluster.add()];
        new.iter().for_each(|node| cluster.run(*node));
        for _ in 0..4 {
            let share = random.below(5000);
            let new_ports = new.map(|node| cluster.address(node).port());
            let arrived = |seen: &Seen| -> usize {
                seen.nodes.iter().filter(|line| new_ports.contains(&line.port)).map(|line| line.slot_count()).sum()
            };
            cluster.wait_until("slots move", |cluster| arrived(&cluster.seen()) >= share.min(5461));
            let primaries: Vec<u16> = cluster.seen().primaries().iter().map(|line| line.port).collect();
            let killed = cluster.at_port(primaries[random.below(primaries.len())]);
            eprintln!("node {killed} is killed when {} slots have arrived", arrived(&cluster.seen()));
            cluster.kill(killed);
            thread::sleep(Duration::from_millis(random.below(1500) as u64));
            cluster.run(killed);
            cluster.wait_until_whole();
        }
        wait_until_even(&cluster, 3);
        is_over.store(true, Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not fail")).collect()
    });
    cluster.wait_until_whole();
    let [acknowledged, unknown, refused] = check_histories(&mut cluster.guide(), &histories);
    eprintln!("{acknowledged} acknowledged, {unknown} unknown, {refused} refused");
    assert!(acknowledged > 100);
}
