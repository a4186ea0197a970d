//! What a client meets on a node of a cluster.

use crate::alone;
use larder_client::slot;
use larder_tests::cluster::Cluster;
use std::time::{Duration, Instant};

#[test]
fn a_node_serves_its_own_keys_and_says_who_serves_the_others() {
    let _alone = alone();
    let cluster = Cluster::start(3, &[]);
    let own = cluster.primary_of("mine");
    let mut client = cluster.client(own);
    let other =
        (0..).map(|number| format!("other{number}")).find(|key| cluster.primary_of(key) != own).expect("a number");
    let (slot, place) = (slot::of(other.as_bytes()), cluster.address(cluster.primary_of(&other)));
    client.check("SET mine v", "OK");
    client.check("GET mine", "v");
    client.check(&format!("SET {other} v"), &format!("MOVED {slot} {place}"));
    client.check(&format!("GET {other}"), &format!("MOVED {slot} {place}"));
    client.check(&format!("MSET mine v {other} v"), "CROSSSLOT Keys in request don't hash to the same slot");
    client.check("MSET mine 1 {mine}too 2", "OK");
    client.check("MGET mine {mine}too", r#"["1", "2"]"#);
    client.check("SELECT 1", "ERR SELECT is not allowed in cluster mode");
    client.check("SELECT 0", "OK");
    client.check("MULTI", "OK");
    client.check(&format!("SET {other} v"), &format!("MOVED {slot} {place}"));
    client.check("EXEC", "EXECABORT Transaction discarded because of previous errors.");
    client.check("REPLICAOF 127.0.0.1 1", "ERR REPLICAOF not allowed in cluster mode.");
    client.check(&format!("CLUSTER KEYSLOT {other}"), &slot.to_string());
    client.check_matches("CLUSTER SHARDS", "*");
}

#[test]
fn a_replica_serves_reads_to_those_who_ask_for_that() {
    let _alone = alone();
    let cluster = Cluster::start(2, &[("--cluster-replicas", "1")]);
    let primary = cluster.primary_of("k");
    let replica = cluster.replicas_of(primary)[0];
    let mut client = cluster.client(primary);
    client.check("CLIENT DURABILITY quorum", "OK");
    client.check("SET k v", "OK");
    let mut reader = cluster.client(replica);
    let moved = format!("MOVED {} {}", slot::of(b"k"), cluster.address(primary));
    reader.check("GET k", &moved);
    reader.check("READONLY", "OK");
    reader.check("GET k", "v");
    reader.check("SET k w", &moved);
    reader.check("READWRITE", "OK");
    reader.check("GET k", &moved);
}

#[test]
fn a_command_that_waits_for_the_cluster_keeps_no_other_client_waiting() {
    let _alone = alone();
    // One worker serves both clients.
    let mut cluster = Cluster::start(3, &[("--cluster-replicas", "0"), ("--workers", "1")]);
    let [mut one, mut other] = [cluster.client(2), cluster.client(2)];
    other.check("PING", "PONG");
    // Nobody is left who could make a change: the first node leads.
    [0, 1].into_iter().for_each(|node| cluster.kill(node));
    one.send("CLUSTER CHANGE REPLICAS 1");
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        let begin = Instant::now();
        other.check("PING", "PONG");
        longest = longest.max(begin.elapsed());
    }
    let told = one.connection().receive().expect("a node answers when it has waited for long");
    assert!(told.is_error(), "{told:?}");
    assert!(longest < Duration::from_secs(1), "a PING was answered after {longest:?}");
}
