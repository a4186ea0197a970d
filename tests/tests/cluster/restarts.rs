//! Nodes that come back: all at once, under other addresses, or beside a witness.

use crate::alone;
use larder_tests::cluster::{Cluster, PATIENCE, Seen};

/// Ids, and the slots of each shard: what has to be the same after a restart, whoever leads a shard.
fn lasting(seen: &Seen) -> (Vec<String>, Vec<Vec<(u16, u16)>>) {
    let mut shards: Vec<_> = seen.primaries().iter().map(|line| line.slots.clone()).collect();
    shards.sort();
    (seen.nodes.iter().map(|line| line.id.clone()).collect(), shards)
}

/// Writes something and has all nodes save it.
fn fill_and_save(cluster: &Cluster) {
    let mut guide = cluster.guide().at_quorum();
    for number in 0..100 {
        guide.call(PATIENCE, &["SET", &format!("key {number}"), &number.to_string()]);
    }
    cluster.awake().into_iter().for_each(|node| cluster.client(node).check("SAVE", "OK"));
}

fn check_filled(cluster: &Cluster) {
    let mut guide = cluster.guide();
    for number in 0..100 {
        let (value, _) = guide.call(PATIENCE, &["GET", &format!("key {number}")]);
        assert_eq!(value.as_bytes(), Some(number.to_string().as_bytes()), "key {number}");
    }
}

#[test]
fn a_cluster_of_which_all_nodes_were_killed_comes_back_as_it_was() {
    let _alone = alone();
    let mut cluster = Cluster::start(6, &[("--cluster-replicas", "1")]);
    fill_and_save(&cluster);
    let before = lasting(&cluster.seen());
    cluster.kill_all();
    cluster.run_all();
    cluster.wait_until_whole();
    assert_eq!(lasting(&cluster.seen()), before);
    check_filled(&cluster);
}

#[test]
fn nodes_that_all_come_back_under_other_addresses_find_each_other() {
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1")]);
    fill_and_save(&cluster);
    let before = lasting(&cluster.seen());
    let everybody = 0..4;
    for is_told_by_join in [false, true] {
        cluster.kill_all();
        for node in everybody.clone() {
            cluster.move_elsewhere(node);
            if is_told_by_join {
                cluster.let_join(node);
            }
        }
        cluster.run_all();
        cluster.wait_until_whole();
        assert_eq!(lasting(&cluster.seen()), before, "told by join: {is_told_by_join}");
        check_filled(&cluster);
    }
}

#[test]
fn a_node_that_comes_back_under_another_address_is_still_itself() {
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1")]);
    let before = lasting(&cluster.seen());
    let id = cluster.id(3);
    cluster.kill(3);
    cluster.move_elsewhere(3);
    cluster.let_join(3);
    cluster.run(3);
    cluster.wait_until_whole();
    assert_eq!(cluster.id(3), id);
    assert_eq!(lasting(&cluster.seen()), before);
}

#[test]
fn two_nodes_with_data_and_a_witness_survive_one_of_them() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(3, &[("--cluster-replicas", "1")]);
    let witness = 2;
    cluster.set(witness, "--cluster-witness", "yes");
    cluster.run_all();
    cluster.wait_until_whole();
    let mut guide = cluster.guide().at_quorum();
    guide.call(PATIENCE, &["SET", "k", "before"]);
    let old = cluster.primary_of("k");
    let new = cluster.replicas_of(old)[0];
    assert!(old != witness && new != witness);
    cluster.client(witness).check_matches("SET k v", "MOVED #*");
    cluster.kill(old);
    let (value, gap) = guide.call(PATIENCE, &["GET", "k"]);
    assert_eq!(value.as_bytes(), Some(&b"before"[..]));
    eprintln!("nothing for {gap:?}");
    assert_eq!(cluster.primary_of("k"), new);
    // One of two is no quorum, which only those notice who have asked for one.
    let mut client = cluster.client(new);
    client.check("CLIENT DURABILITY quorum", "OK");
    client.check_matches("SET k alone", "NOTDURABLE *");
    client.check("CLIENT DURABILITY async", "OK");
    client.check("SET k after", "OK");
    cluster.run(old);
    cluster.wait_until_whole();
    assert_eq!(cluster.replicas_of(new), [old]);
    let mut client = cluster.client(old);
    client.check("READONLY", "OK");
    client.check("GET k", "after");
}
