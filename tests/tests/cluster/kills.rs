//! Primaries that die or stand still.

use crate::alone;
use crate::load::{Ending, append_to_the_end};
use larder_tests::cluster::{Attempt, Cluster, History, PATIENCE, check_histories};
use larder_tests::random::{Random, seed, setting};
use larder_tests::{render, wait_until};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long writes to a slot may fail after its primary was killed.
const GAP_MAX: Duration = Duration::from_secs(3);

const SIX: (usize, &[(&str, &str)]) = (6, &[("--cluster-replicas", "1")]);

/// Kills the primary of a key, waits until the key can be written to, and starts it again. Returns how long that took.
fn fail_over(cluster: &mut Cluster, key: &str) -> Duration {
    let old = cluster.primary_of(key);
    let mut guide = cluster.guide();
    guide.call(PATIENCE, &["SET", key, "before"]);
    cluster.kill(old);
    let (_, gap) = guide.call(PATIENCE, &["SET", key, "after"]);
    cluster.run(old);
    cluster.wait_until_whole();
    let new = cluster.primary_of(key);
    assert_ne!(new, old);
    assert!(cluster.replicas_of(new).contains(&old), "the old primary is a replica of the new one");
    check_alike(cluster, new, old);
    gap
}

/// Expects two nodes to hold the same strings.
fn check_alike(cluster: &Cluster, one: usize, other: usize) {
    let [mut one, mut other] = [one, other].map(|node| cluster.client(node));
    other.check("READONLY", "OK");
    let keys = one.call("KEYS *");
    let mut keys: Vec<_> = keys.as_slice().expect("KEYS answers a list").iter().map(render).collect();
    wait_until("both have as many keys", || one.int("DBSIZE") == other.int("DBSIZE"));
    keys.sort();
    for key in keys {
        let value = one.text(&format!("GET \"{key}\""));
        other.check(&format!("GET \"{key}\""), &value);
    }
}

#[test]
fn a_killed_primary_is_replaced_within_three_seconds_and_comes_back_as_a_replica() {
    let _alone = alone();
    let mut cluster = Cluster::start(SIX.0, SIX.1);
    let mut random = Random::new(seed());
    let mut guide = cluster.guide();
    (0..200).for_each(|number| drop(guide.call(PATIENCE, &["SET", &format!("key {number}"), "from the beginning"])));
    for _ in 0..3 {
        let gap = fail_over(&mut cluster, &format!("key {}", random.below(200)));
        eprintln!("no writes for {gap:?}");
        assert!(gap <= GAP_MAX, "no writes for {gap:?}");
    }
}

#[test]
#[ignore = "takes minutes: 50 kills, or LARDER_TEST_KILLS, to measure how long writes fail"]
fn many_kills() {
    let _alone = alone();
    let mut cluster = Cluster::start(SIX.0, SIX.1);
    let mut random = Random::new(seed());
    let kills = setting("LARDER_TEST_KILLS").unwrap_or(50);
    let mut gaps: Vec<_> = (0..kills).map(|_| fail_over(&mut cluster, &format!("key {}", random.next()))).collect();
    gaps.sort();
    let (median, worst) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    eprintln!("{kills} kills: no writes for {median:?} at the median, {worst:?} at the worst");
    assert!(worst <= GAP_MAX, "{gaps:?}");
}

#[test]
fn no_write_acknowledged_at_quorum_is_lost_with_its_primary() {
    let _alone = alone();
    kill_under_load("1", 5);
}

#[test]
fn no_write_acknowledged_at_quorum_is_lost_with_the_primary_of_two_replicas() {
    let _alone = alone();
    kill_under_load("2", 5);
}

/// Kills primaries of six nodes with so many replicas each while writers write at quorum, and compares what is there in the end with
/// what they were told.
fn kill_under_load(replicas: &str, kills: usize) {
    const WRITERS: usize = 4;
    const KEYS: usize = 4;
    let mut cluster = Cluster::start(6, &[("--cluster-replicas", replicas)]);
    let mut random = Random::new(seed());
    let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let histories: Vec<History> = thread::scope(|scope| {
        let _ending = Ending(&is_over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let keys = (0..KEYS).map(|key| format!("list {writer} {key}")).collect();
                let guide = cluster.guide().at_quorum();
                let (is_over, acknowledged) = (&is_over, &acknowledged);
                scope.spawn(move || append_to_the_end(guide, keys, is_over, acknowledged))
            })
            .collect();
        let wait_for_writes = |more: usize| {
            let enough = acknowledged.load(Relaxed) + more;
            cluster_wait("writes go on", || acknowledged.load(Relaxed) >= enough);
        };
        for kill in 0..kills {
            wait_for_writes(1 + random.below(500));
            let key = format!("list {} {}", random.below(WRITERS), random.below(KEYS));
            let primary = cluster.primary_of(&key);
            cluster.kill(primary);
            wait_for_writes(1 + random.below(500));
            cluster.run(primary);
            cluster.wait_until_whole();
            eprintln!("kill {kill}: {} acknowledged writes so far", acknowledged.load(Relaxed));
        }
        is_over.store(true, Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not fail")).collect()
    });
    let [acknowledged, unknown, refused] = check_histories(&mut cluster.guide(), &histories);
    eprintln!("{acknowledged} acknowledged, {unknown} unknown, {refused} refused");
    assert!(acknowledged > 100, "{acknowledged} acknowledged, {unknown} unknown, {refused} refused");
}

fn cluster_wait(what: &str, mut condition: impl FnMut() -> bool) {
    larder_tests::wait_long(PATIENCE, what, || (condition(), String::new()));
}

#[test]
fn a_primary_that_stood_still_takes_no_write_when_it_goes_on_and_becomes_a_replica() {
    const HELD: Duration = Duration::from_secs(3);
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1")]);
    // Of both shards: one of their primaries may lead the cluster, too.
    let primaries: Vec<_> = cluster.seen().primaries().iter().map(|line| cluster.at_port(line.port)).collect();
    assert_eq!(primaries.len(), 2);
    for old in primaries {
        let key =
            (0..).map(|number| format!("key{number}")).find(|key| cluster.primary_of(key) == old).expect("a number");
        let mut guide = cluster.guide().waiting(Duration::from_millis(100));
        guide.call(PATIENCE, &["SET", &key, "before"]);
        let mut clients: Vec<_> = (0..8).map(|_| cluster.client(old)).collect();
        cluster.hold(old);
        let begin = Instant::now();
        // They arrive, and are looked at in the moment that it goes on.
        clients.iter_mut().for_each(|client| client.send(&format!("SET {key} late")));
        let (_, gap) = guide.call(PATIENCE, &["SET", &key, "new"]);
        eprintln!("no writes for {gap:?}");
        assert!(gap <= GAP_MAX, "no writes for {gap:?}");
        cluster_wait("it has stood still for long", || begin.elapsed() >= HELD);
        cluster.release(old);
        let is_refusal = |text: &str| text.starts_with("MOVED ") || text.starts_with("CLUSTERDOWN ");
        for client in &mut clients {
            let seen = client.connection().receive().expect("a node that goes on answers");
            assert!(is_refusal(&render(&seen)), "{seen:?}");
        }
        let mut client = cluster.client(old);
        cluster_wait("it follows", || {
            let seen = client.text(&format!("SET {key} later"));
            assert!(is_refusal(&seen), "{seen}");
            client.text("ROLE").starts_with("[\"slave\"")
        });
        cluster.wait_until_whole();
        let Attempt::Answered(value) = guide.attempt(&["GET", &key]) else { panic!("the new primary answers") };
        assert_eq!(render(&value), "new");
        assert!(cluster.replicas_of(cluster.primary_of(&key)).contains(&old));
    }
}
