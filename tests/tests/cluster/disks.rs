//! A node whose disk has no room left for the log of the cluster.

use crate::alone;
use larder_tests::cluster::{Cluster, PATIENCE};
use larder_tests::random::{Random, seed};
use larder_tests::small_disk::{SmallDisk, with_small_disks};
use std::time::Duration;

/// How long writes may fail, as if the node had died.
const GAP_MAX: Duration = Duration::from_secs(3);

#[test]
fn others_go_on_without_a_node_that_has_no_room_for_its_log_until_it_has() {
    let _alone = alone();
    with_small_disks(|| {
        let mut cluster = Cluster::prepare(4, &[("--cluster-replicas", "3")]);
        // Any of them: it may lead the cluster, or the shard, or neither.
        let full = Random::new(seed()).below(4);
        let disk = SmallDisk::mount(&cluster.data(full).join("cluster"), 1024);
        cluster.run_all();
        cluster.wait_until_whole();
        let mut guide = cluster.guide().at_quorum();
        guide.call(PATIENCE, &["SET", "key", "before"]);
        disk.fill();
        let other = (full + 1) % 4;
        let mut wanted = 3;
        cluster.wait_until("the node says that it has no room", |cluster| {
            // Something for the log that changes nothing, as one shard has all nodes either way. What is answered is of no
            // interest: the node may lead the cluster.
            wanted = 7 - wanted;
            cluster.client(other).call(&format!("CLUSTER CHANGE REPLICAS {wanted}"));
            cluster.log(full).contains("the log of the cluster cannot be written, and others go on without this node")
        });
        let is_primary = cluster.primary_of("key") == full;
        let mut gap = Duration::ZERO;
        cluster.wait_until("others see that it takes no part, and leads no shard", |cluster| {
            gap = gap.max(guide.call(PATIENCE, &["SET", "key", "meanwhile"]).1);
            let port = cluster.address(full).port();
            let line = cluster.ask(other).and_then(|seen| seen.at(port).cloned());
            line.is_some_and(|line| line.is_failed && line.slots.is_empty())
        });
        gap = gap.max(guide.call(PATIENCE, &["SET", "key", "without it"]).1);
        eprintln!("node {full} has no room, a primary: {is_primary}; no writes for {gap:?}");
        assert!(gap <= GAP_MAX, "no writes for {gap:?}");
        disk.make_room();
        cluster.wait_until_whole();
        guide.call(PATIENCE, &["SET", "key", "after"]);
        // What it has written since can be read again.
        cluster.kill(full);
        cluster.run(full);
        cluster.wait_until_whole();
        assert_eq!(cluster.log(full).matches("damaged").count(), 0);
    });
}
