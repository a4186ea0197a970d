//! Rules that all nodes have.

use crate::alone;
use larder_tests::cluster::{Cluster, PATIENCE};
use larder_tests::wait_long;

const RULE: &str = "lease on lease-wait 5s stale-while-revalidate 1m";
const LISTED: &str = r#"["lease", "on", "lease-wait", "5s", "stale-while-revalidate", "1m"]"#;

#[test]
fn a_rule_that_one_node_is_told_all_have_and_those_that_come_later() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[("--cluster-replicas", "0")]);
    cluster.client(0).check(&format!("CACHE.RULE SET hot: {RULE}"), "OK");
    cluster.client(0).check(&format!("CACHE.RULE SET hot: {RULE}"), "OK");
    cluster.client(1).check_matches("CACHE.RULE SET hot: lease-wait 1s", "ERR lease-wait needs 'lease on'*");
    let node = cluster.add();
    cluster.run(node);
    cluster.wait_until_whole();
    for node in 0..=node {
        let has_it = |cluster: &Cluster| cluster.client(node).text("CACHE.RULE GET hot:") == LISTED;
        cluster.wait_until("the node has the rule", has_it);
    }
    // All are stopped, and still know it.
    cluster.kill_all();
    cluster.run_all();
    cluster.wait_until_whole();
    cluster.client(2).check("CACHE.RULE GET hot:", LISTED);
    cluster.client(2).check("CACHE.RULE DEL hot:", "1");
    cluster.client(2).check("CACHE.RULE DEL hot:", "0");
    cluster.wait_until("no node has it", |cluster| {
        (0..=node).all(|node| cluster.client(node).text("CACHE.RULE LIST") == "[]")
    });
}

#[test]
fn a_lease_ends_with_its_primary_and_others_ask_through_any_node() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[("--cluster-replicas", "1"), ("--routing", "auto")]);
    cluster.wait_until_whole();
    cluster.client(0).check(&format!("CACHE.RULE SET hot: {RULE}"), "OK");
    let primary = cluster.primary_of("hot:1");
    let others: Vec<usize> = (0..3).filter(|node| *node != primary).collect();
    let has_it = |cluster: &Cluster| (0..3).all(|node| cluster.client(node).text("CACHE.RULE GET hot:") == LISTED);
    cluster.wait_until("all have the rule", has_it);
    let mut holder = cluster.client(primary);
    holder.check("SET hot:1 old PX 1", "OK");
    cluster.wait_until("it has expired", |cluster| cluster.client(primary).text("EXISTS hot:1") == "0");
    holder.check("GET hot:1", "nil");
    // One that asks through another node gets the old value.
    cluster.client(others[0]).check("GET hot:1", "old");
    cluster.kill(primary);
    let mut next = None;
    wait_long(PATIENCE, "another leads", || {
        let seen = cluster.seen();
        let line = seen.nodes.iter().find(|line| line.has_slot(larder_client::slot::of(b"hot:1").number()));
        next = line.map(|line| cluster.at_port(line.port)).filter(|node| *node != primary);
        (next.is_some(), format!("{seen:?}"))
    });
    let next = next.expect("it was just seen");
    let asked = *others.iter().find(|node| **node != next).expect("there are two");
    let mut client = cluster.client(next);
    wait_long(PATIENCE, "somebody is sent", || {
        let answer = client.text("GET hot:1");
        (answer == "nil", answer)
    });
    client.check("SET hot:1 new", "OK");
    // Of those that ask through one node one is sent, too, and the others wait for it.
    let (mut sent, mut waits) = (cluster.client(asked), cluster.client(asked));
    sent.check("GET hot:1", "new");
    sent.check("DEL hot:1", "1");
    sent.check("GET hot:1", "nil");
    let before = forwarded(&cluster, asked);
    waits.send("GET hot:1");
    cluster.wait_until("it is asked for", |cluster| forwarded(cluster, asked) > before);
    sent.check("SET hot:1 newer", "OK");
    waits.expect("newer");
    waits.check("DEL hot:1", "1");
    sent.check("GET hot:1", "nil");
    // What has something behind it does not wait.
    waits.send_raw("GET hot:1\r\nPING\r\n");
    waits.expect("nil");
    waits.expect("PONG");
    sent.check("SET hot:1 new", "OK");
    waits.check("GET hot:1", "new");
}

/// How many commands a node has asked others for.
fn forwarded(cluster: &Cluster, node: usize) -> u64 {
    let info = cluster.client(node).call("INFO stats");
    let info = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
    let count = info.lines().find_map(|line| line.strip_prefix("larder_forwarded_commands:")?.parse().ok());
    count.expect("INFO tells it")
}
