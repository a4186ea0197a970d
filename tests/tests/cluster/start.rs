//! How nodes come together.

use crate::alone;
use larder_tests::cluster::{Cluster, PATIENCE};
use std::process::Command;

/// What `redis-cli --cluster check` says of a cluster, unless the machine has none: that is told.
fn check_with_redis_cli(cluster: &Cluster) {
    let address = cluster.address(0).to_string();
    match Command::new("redis-cli").args(["--cluster", "check", &address]).output() {
        Err(error) => eprintln!("not checked by redis-cli, which `apt-get install redis-tools` brings: {error}"),
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            for expected in ["All nodes agree about slots configuration", "All 16384 slots covered"] {
                assert!(output.status.success() && told.contains(expected), "no {expected:?}: {told}");
            }
        }
    }
}

#[test]
fn three_ready_made_nodes_share_all_slots() {
    let _alone = alone();
    let mut cluster = Cluster::ready_made("three");
    cluster.run_all();
    cluster.wait_until_whole();
    let seen = cluster.seen();
    let mut slots: Vec<_> = seen.primaries().iter().map(|primary| primary.slot_count()).collect();
    slots.sort();
    assert_eq!(slots, [5461, 5461, 5462]);
    assert_eq!(seen.nodes.len(), 3);
    check_with_redis_cli(&cluster);
}

#[test]
fn six_ready_made_nodes_are_three_primaries_and_a_replica_of_each() {
    let _alone = alone();
    let mut cluster = Cluster::ready_made("six");
    cluster.run_all();
    cluster.wait_until_whole();
    let seen = cluster.seen();
    assert_eq!(seen.primaries().len(), 3, "{seen:?}");
    for primary in seen.primaries() {
        assert_eq!(seen.replicas_of(&primary.id).len(), 1, "{seen:?}");
    }
    check_with_redis_cli(&cluster);
    let mut guide = cluster.guide();
    for number in 0..100 {
        let key = format!("key {number}");
        assert_eq!(guide.call(PATIENCE, &["RPUSH", &key, "x"]).0.as_int(), Some(1));
    }
}

#[test]
fn a_further_node_that_is_told_of_one_becomes_a_further_replica() {
    let _alone = alone();
    let mut cluster = Cluster::start(6, &[("--cluster-replicas", "1")]);
    let mut guide = cluster.guide();
    (0..100).for_each(|number| drop(guide.call(PATIENCE, &["SET", &format!("key {number}"), "before"])));
    let before = cluster.seen();
    let seventh = cluster.add();
    cluster.run(seventh);
    cluster.wait_until_whole();
    let after = cluster.seen();
    assert_eq!(after.nodes.len(), 7);
    let primary = after.at(cluster.address(seventh).port()).and_then(|line| line.primary.clone());
    let primary = primary.expect("it follows a primary");
    assert_eq!(after.replicas_of(&primary).len(), 2, "{after:?}");
    for line in &before.nodes {
        assert_eq!(after.at(line.port), Some(line), "no other node has changed");
    }
    let primary = after.nodes.iter().find(|line| line.id == primary).expect("a primary is known");
    let keys = cluster.client(cluster.at_port(primary.port)).int("DBSIZE");
    assert!(keys > 0);
    assert_eq!(cluster.client(seventh).int("DBSIZE"), keys, "a replica in sync has what its primary has");
}
