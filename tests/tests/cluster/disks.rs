//! A node whose disk has no room left for the log of the cluster.

use crate::alone;
use crate::load::{Ending, append_to_the_end};
use larder_tests::cluster::{Cluster, History, check_histories};
use larder_tests::random::{Random, seed};
use larder_tests::small_disk::{SmallDisk, with_small_disks};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// How long writes may fail, as if the node had died.
const GAP_MAX: Duration = Duration::from_secs(3);

#[test]
fn others_go_on_without_a_node_that_has_no_room_for_its_log_until_it_has() {
    let _alone = alone();
    with_small_disks(|| {
        // One shard, of which the first node leads, as it leads the cluster.
        let mut cluster = Cluster::prepare(4, &[("--cluster-replicas", "3")]);
        let full = if Random::new(seed()).percent(50) { 0 } else { 3 };
        let disk = SmallDisk::mount(&cluster.data(full).join("cluster"), 1024);
        cluster.run_all();
        cluster.wait_until_whole();
        let is_primary = cluster.primary_of("list") == full;
        let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
        let histories = thread::scope(|scope| {
            let _ending = Ending(&is_over);
            let guide = cluster.guide().at_quorum();
            let writer = scope.spawn(|| append_to_the_end(guide, vec!["list".to_owned()], &is_over, &acknowledged));
            let wait_for_writes = || {
                let enough = acknowledged.load(Relaxed) + 100;
                cluster.wait_until("writes go on", |_| acknowledged.load(Relaxed) >= enough);
            };
            wait_for_writes();
            fill(&cluster, full, &disk);
            wait_for_writes();
            disk.make_room();
            cluster.wait_until_whole();
            wait_for_writes();
            is_over.store(true, Relaxed);
            writer.join().expect("a writer does not fail")
        });
        let gap = histories.iter().map(History::gap).max().unwrap_or_default();
        eprintln!("node {full} had no room, a primary: {is_primary}; no writes for {gap:?}");
        assert!(gap <= GAP_MAX, "no writes for {gap:?}");
        // What it has written since can be read again.
        cluster.kill(full);
        cluster.run(full);
        cluster.wait_until_whole();
        check_histories(&mut cluster.guide(), &histories);
    });
}

/// Fills the disk of a node, and waits until the node has said so and others count on it no longer.
#[track_caller]
fn fill(cluster: &Cluster, full: usize, disk: &SmallDisk) {
    disk.fill();
    let other = (full + 1) % 4;
    let mut wanted = 3;
    cluster.wait_until("the node says that it has no room", |cluster| {
        // Something for the log that changes nothing, as one shard has all nodes either way. What is answered is of no interest: the
        // node may lead the cluster.
        wanted = 7 - wanted;
        cluster.client(other).call(&format!("CLUSTER CHANGE REPLICAS {wanted}"));
        cluster.log(full).contains("the log of the cluster cannot be written, and others go on without this node")
    });
    cluster.wait_until("others see that it takes no part, and leads no shard", |cluster| {
        let line = cluster.ask(other).and_then(|seen| seen.at(cluster.address(full).port()).cloned());
        line.is_some_and(|line| line.is_failed && line.slots.is_empty())
    });
}
