//! Warm starts: the hottest keys are there again when a node comes back.

use larder_tests::cluster::Cluster;
use larder_tests::{Client, Launch, Node, wait_until};
use std::fs;
use std::path::Path;

/// A node that warms itself, with its data in a folder that outlives it.
fn start(folder: &Path, more: &[(&str, &str)]) -> Node {
    let folder = folder.to_str().expect("temporary folders have plain names");
    let flags: Vec<_> = [("--dir", folder), ("--warm", "yes")].into_iter().chain(more.iter().copied()).collect();
    Node::start_with(&flags)
}

fn stop(mut node: Node) {
    node.terminate();
    assert!(node.wait_for_exit().success());
}

/// How the preload has ended, once it has.
fn preloaded(node: &mut Node) -> String {
    wait_until("the list is loaded or refused", || node.info("larder_warm_state").as_deref() == Some("on"));
    node.info("larder_warm_preload").expect("INFO tells of it")
}

fn fill(client: &mut Client, keys: usize, value: &str) {
    for number in 0..keys {
        client.send(&format!("SET key:{number} {value}:{number}"));
    }
    (0..keys).for_each(|_| client.expect("OK"));
}

#[test]
fn a_node_that_was_stopped_has_its_hottest_keys_and_their_times() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[("--warm-keys", "50")]);
    fill(&mut node, 200, "value");
    node.check("SET key:150 kept PXAT 9000000000000", "OK");
    for number in 150..200 {
        (0..3).for_each(|_| drop(node.call(&format!("GET key:{number}"))));
    }
    stop(node);
    let mut node = start(home.folder(), &[]);
    assert_eq!(preloaded(&mut node), "done");
    node.check("DBSIZE", "50");
    node.check("GET key:150", "kept");
    node.check("PEXPIRETIME key:150", "9000000000000");
    node.check("GET key:199", "value:199");
    node.check("GET key:0", "nil");
    assert_eq!(node.info_number("keyspace_misses"), 1);
}

#[test]
fn a_node_that_was_killed_has_what_it_had_listed_last() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[("--warm-every", "1")]);
    fill(&mut node, 10, "value");
    wait_until("the list is written by itself", || node.info_number("larder_warm_list_keys") == 10);
    node.check("SET late value", "OK");
    node.check_matches("CACHE.WARM NOW", "*\"list-keys\", 11,*");
    node.signal("KILL");
    node.wait_for_exit();
    let mut node = start(home.folder(), &[]);
    assert_eq!(preloaded(&mut node), "done");
    node.check("DBSIZE", "11");
    node.check("GET late", "value");
}

#[test]
fn without_the_setting_a_node_comes_back_empty() {
    let home = Launch::new();
    let folder = home.folder().to_str().expect("temporary folders have plain names").to_owned();
    let mut node = Node::start_with(&[("--dir", &folder)]);
    fill(&mut node, 10, "value");
    node.check_matches("CACHE.WARM NOW", "ERR warm is off*");
    stop(node);
    assert_eq!(fs::read_dir(home.folder()).expect("it is a folder").count(), 0);
}

#[test]
fn a_damaged_or_foreign_file_is_told_of_and_kept() {
    let home = Launch::new();
    fs::write(home.folder().join("hot.rdb"), b"REDIS0011 and then nonsense").expect("a file can be written");
    let mut node = start(home.folder(), &[]);
    assert!(preloaded(&mut node).contains("is damaged"));
    node.check("DBSIZE", "0");
    assert!(node.log().contains("the node starts cold: hot.rdb is damaged"));
    let names = fs::read_dir(home.folder()).expect("it is a folder").flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name().into_string().expect("a plain name")).collect();
    assert!(names.iter().any(|name| name.starts_with("hot.rdb.damaged-")), "{names:?}");
}

#[test]
fn what_is_written_or_deleted_while_a_node_warms_stays_so() {
    const KEYS: usize = 30_000;
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    fill(&mut node, KEYS, "old");
    stop(node);
    let mut node = start(home.folder(), &[]);
    // The first that are loaded, the last, and some between, as the order of the list is not known here.
    let touched: Vec<usize> = (0..KEYS).step_by(97).collect();
    for (at, number) in touched.iter().enumerate() {
        let line = if at % 2 == 0 { format!("SET key:{number} new") } else { format!("DEL key:{number}") };
        node.send(&line);
    }
    touched.iter().for_each(|_| node.expect_matches("*"));
    assert_eq!(preloaded(&mut node), "done");
    for (at, number) in touched.iter().enumerate() {
        node.check(&format!("GET key:{number}"), if at % 2 == 0 { "new" } else { "nil" });
    }
    // Some keys share bits with those that were touched, and are passed over.
    node.check_range("DBSIZE", (KEYS - 2 * touched.len()) as i64..=KEYS as i64);
}

#[test]
fn keys_come_back_with_their_tags_and_not_if_they_were_declared_wrong_meanwhile() {
    const KEYS: usize = 20_000;
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    (0..KEYS).for_each(|number| node.send(&format!("CACHE.SET key:{number} value TAGS 2 all t{}", number % 4)));
    (0..KEYS).for_each(|_| node.expect("OK"));
    stop(node);
    let mut node = start(home.folder(), &[]);
    // Some are there by now, and some are not.
    node.call("CACHE.INVALIDATE t1");
    node.check("CACHE.CLEAR key:77", "OK");
    assert_eq!(preloaded(&mut node), "done");
    for number in 0..KEYS {
        let is_wrong = number % 4 == 1 || number.to_string().starts_with("77");
        node.send(&format!("CACHE.TAGS key:{number}"));
        let tags = format!(r#"["all", "t{}"]"#, number % 4);
        node.expect(if is_wrong { "[]" } else { &tags });
    }
    let left = node.int("DBSIZE");
    assert_eq!(node.int("CACHE.INVALIDATE all"), left);
    node.check("DBSIZE", "0");
}

#[test]
fn clients_may_be_kept_waiting_until_the_keys_are_there() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    fill(&mut node, 10_000, "value");
    stop(node);
    // The harness waits until the node does not answer LOADING any more.
    let mut node = start(home.folder(), &[("--serve-while-warming", "no")]);
    node.check("DBSIZE", "10000");
    assert_eq!(node.info("larder_warm_preload").as_deref(), Some("done"));
}

#[test]
fn a_snapshot_comes_first_and_the_list_adds_what_came_after_it() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[("--save", "3600 1000000")]);
    node.check("MSET a snapshot b snapshot", "OK");
    node.check("SAVE", "OK");
    let saved_s = node.int("LASTSAVE");
    wait_until("a second has passed", || node.int("LASTSAVE") < node.now_s());
    assert!(saved_s > 0);
    node.check("SET c list", "OK");
    node.check_matches("CACHE.WARM NOW", "*\"list-keys\", 3,*");
    node.signal("KILL");
    node.wait_for_exit();
    let mut node = start(home.folder(), &[]);
    assert_eq!(preloaded(&mut node), "done");
    node.check("MGET a b c", r#"["snapshot", "snapshot", "list"]"#);
}

/// The node's clock, in seconds since 1970.
trait Clock {
    fn now_s(&mut self) -> i64;
}

impl Clock for Node {
    fn now_s(&mut self) -> i64 {
        self.info_number("server_time_usec") / 1_000_000
    }
}

#[test]
fn a_replica_loads_no_list_and_forgets_what_it_had() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    fill(&mut node, 10, "old");
    stop(node);
    let primary = Node::start();
    let upstream = format!("127.0.0.1 {}", primary.address().port());
    let mut replica = start(home.folder(), &[("--replicaof", &upstream)]);
    wait_until("the replica follows", || replica.info("master_link_status").as_deref() == Some("up"));
    replica.check("DBSIZE", "0");
    replica.check_matches("CACHE.WARM NOW", "ERR a replica keeps no list*");
    wait_until("the old list is gone", || !home.folder().join("hot.rdb").exists());
}

#[test]
fn who_follows_a_node_that_warms_gets_what_that_loads() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    fill(&mut node, 20_000, "value");
    stop(node);
    let mut replica = Node::start();
    let mut node = start(home.folder(), &[]);
    replica.check(&format!("REPLICAOF 127.0.0.1 {}", node.address().port()), "OK");
    assert_eq!(preloaded(&mut node), "done");
    node.check("DBSIZE", "20000");
    wait_until("the replica has all of it", || replica.text("DBSIZE") == "20000");
    assert_eq!(replica.text("DEBUG DIGEST"), node.text("DEBUG DIGEST"));
}

#[test]
fn emptied_databases_do_not_come_back() {
    let home = Launch::new();
    let mut node = start(home.folder(), &[]);
    fill(&mut node, 10, "value");
    node.check_matches("CACHE.WARM NOW", "*\"list-keys\", 10,*");
    node.check("FLUSHALL", "OK");
    wait_until("the list is gone", || !home.folder().join("hot.rdb").exists());
    stop(node);
    let mut node = start(home.folder(), &[]);
    node.check("DBSIZE", "0");
}

#[test]
fn a_node_that_is_alone_in_its_shard_warms_itself_when_it_comes_back_to_its_cluster() {
    let mut cluster = Cluster::start(3, &[("--warm", "yes"), ("--cluster-replicas", "0")]);
    let owner = cluster.primary_of("key");
    let mut client = cluster.client(owner);
    client.check("SET key value", "OK");
    client.check_matches("CACHE.WARM NOW", "*\"list-keys\", 1,*");
    drop(client);
    cluster.kill(owner);
    cluster.run(owner);
    cluster.wait_until("the node has its key again", |cluster| {
        cluster.awake().contains(&owner) && cluster.client(owner).call("GET key").as_bytes() == Some(b"value")
    });
}
