//! Clients that know of no cluster: any node serves them, and asks the others for what it has not.

use crate::alone;
use crate::load::Ending;
use larder_client::connection::Connection;
use larder_client::resp::Reply;
use larder_tests::cluster::{Cluster, PATIENCE};
use larder_tests::random::{Random, seed};
use larder_tests::{Client, free_address, render, wait_long};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const FORWARDS: (&str, &str) = ("--routing", "auto");

/// A cluster of three shards without replicas, and a client of its first node.
fn three() -> (Cluster, Client) {
    let cluster = Cluster::start(3, &[("--cluster-replicas", "0"), FORWARDS]);
    let client = cluster.client(0);
    (cluster, client)
}

/// A key that another node than the first has.
fn elsewhere(cluster: &Cluster, name: &str) -> String {
    elsewhere_than(cluster, 0, name)
}

/// A key that another node than this one has.
fn elsewhere_than(cluster: &Cluster, node: usize, name: &str) -> String {
    (0..).map(|number| format!("{name}{number}")).find(|key| cluster.primary_of(key) != node).expect("a number")
}

#[test]
fn any_node_serves_all_keys() {
    let _alone = alone();
    let (cluster, mut client) = three();
    let keys: Vec<String> = (0..300).map(|number| format!("key{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        client.check(&format!("SET {key} {number}"), "OK");
    }
    let mut other = cluster.client(1);
    other.check("GET key123", "\"123\"");
    other.check("MGET key1 key2 nothing key3", r#"["1", "2", nil, "3"]"#);
    other.check("EXISTS key1 key2 nothing key3", "3");
    other.check("DEL key1 key2 nothing", "2");
    other.check("MSET key1 one key2 two key3 three", "OK");
    client.check("MGET key1 key2 key3", r#"["one", "two", "three"]"#);
    client.check("DBSIZE", "300");
    let Reply::Array(found) = client.call("KEYS key*") else { panic!("it is an array") };
    assert_eq!(found.len(), 300);
    let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
    loop {
        let reply = client.call(&format!("SCAN {cursor} COUNT 20"));
        let [next, Reply::Array(keys)] = reply.as_slice().expect("it is an array") else { panic!("{reply:?}") };
        seen.extend(keys.iter().map(render));
        cursor = String::from_utf8_lossy(next.as_bytes().expect("it is a cursor")).into_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 300, "a scan goes through all shards");
    assert!(render(&client.call("RANDOMKEY")).contains("key"));
    client.check("WAIT 0 100", "0");
    client.check("SINTER key1 key2", "CROSSSLOT Keys in request don't hash to the same slot");
    let far = elsewhere(&cluster, "far");
    client.check(&format!("LPUSH {far} x"), "1");
    client.check(&format!("GET {far}"), "WRONGTYPE Operation against a key holding the wrong kind of value");
    client.check("FLUSHALL", "OK");
    other.check("DBSIZE", "0");
}

#[test]
fn a_pipeline_over_all_nodes_is_answered_in_its_order() {
    let _alone = alone();
    let (cluster, _) = three();
    let mut random = Random::new(seed());
    let mut connection = Connection::open(cluster.address(2)).expect("the node listens");
    let mut counts = vec![0i64; 200];
    for _ in 0..20 {
        let (mut requests, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            let (one, other) = (random.below(counts.len()), random.below(counts.len()));
            let name = |number: usize| format!("count{number}");
            match random.below(6) {
                0..3 => {
                    counts[one] += 1;
                    requests.push(vec!["INCR".to_owned(), name(one)]);
                    expected.push(counts[one].to_string());
                }
                3 => {
                    requests.push(vec!["INCRBY".to_owned(), name(one), "0".to_owned()]);
                    expected.push(counts[one].to_string());
                }
                4 if one != other => {
                    (counts[one], counts[other]) = (7, 8);
                    requests.push(vec!["MSET".to_owned(), name(one), "7".to_owned(), name(other), "8".to_owned()]);
                    expected.push("OK".to_owned());
                }
                _ => {
                    requests.push(vec!["ECHO".to_owned(), name(one)]);
                    expected.push(name(one));
                }
            }
        }
        let replies = connection.pipeline(&requests).expect("they are answered");
        for ((request, reply), expected) in requests.iter().zip(&replies).zip(&expected) {
            assert_eq!(render(reply).trim_matches('"'), expected, "{request:?}");
        }
    }
}

#[test]
fn transactions_and_waits_reach_other_nodes() {
    let _alone = alone();
    let (cluster, mut client) = three();
    let far = elsewhere(&cluster, "far");
    let mut other = cluster.client(1);
    for (interferes, expected) in [(false, r#"[OK, "a"]"#), (true, "nil")] {
        client.check(&format!("WATCH {far}"), "OK");
        if interferes {
            other.check(&format!("SET {far} b"), "OK");
        }
        client.check("MULTI", "OK");
        client.check(&format!("SET {far} a"), "QUEUED");
        client.check(&format!("GET {far}"), "QUEUED");
        client.check("EXEC", expected);
    }
    let list = elsewhere(&cluster, "list");
    client.send(&format!("BLPOP {list} 0"));
    let owner = cluster.primary_of(&list);
    cluster.wait_until("somebody waits", |cluster| {
        cluster.client(owner).text("INFO clients").contains("blocked_clients:1")
    });
    other.check(&format!("RPUSH {list} x"), "1");
    client.expect(&format!("[\"{list}\", \"x\"]"));
    client.check(&format!("BLPOP {list} 0.05"), "nil");
    // Who goes away while it waits takes nothing along.
    client.send(&format!("BLPOP {list} 0"));
    cluster.wait_until("somebody waits", |cluster| {
        cluster.client(owner).text("INFO clients").contains("blocked_clients:1")
    });
    drop(client);
    cluster
        .wait_until("nobody waits", |cluster| cluster.client(owner).text("INFO clients").contains("blocked_clients:0"));
    other.check(&format!("RPUSH {list} y"), "1");
    other.check(&format!("LRANGE {list} 0 -1"), r#"["y"]"#);
    let mut waiting = cluster.client(0);
    let id = waiting.int("CLIENT ID");
    waiting.send(&format!("BLPOP {far}0 0"));
    wait_long(PATIENCE, "it is called off", || {
        let told = cluster.client(0).int(&format!("CLIENT UNBLOCK {id} ERROR"));
        (told == 1, told.to_string())
    });
    waiting.expect("UNBLOCKED client unblocked via CLIENT UNBLOCK");
}

#[test]
fn messages_reach_the_subscribers_of_every_node() {
    let _alone = alone();
    let cluster = Cluster::start(4, &[("--cluster-replicas", "1"), FORWARDS]);
    let mut subscribers: Vec<Client> = (0..4).map(|node| cluster.client(node)).collect();
    for subscriber in &mut subscribers {
        subscriber.check("SUBSCRIBE news", r#"["subscribe", "news", 1]"#);
    }
    for publisher in 0..4 {
        let told = cluster.client(publisher).int(&format!("PUBLISH news from{publisher}"));
        assert!(told >= 1, "{told}");
        for subscriber in &mut subscribers {
            subscriber.expect(&format!(r#"["message", "news", "from{publisher}"]"#));
        }
    }
    let mut client = cluster.client(0);
    client.check("MULTI", "OK");
    client.check("PUBLISH news queued", "QUEUED");
    client.check("EXEC", "[1]");
    for subscriber in &mut subscribers {
        subscriber.expect(r#"["message", "news", "queued"]"#);
    }
    let channel = elsewhere(&cluster, "channel");
    let owner = cluster.primary_of(&channel);
    let mut listener = cluster.client(owner);
    listener.check(&format!("SSUBSCRIBE {channel}"), &format!(r#"["ssubscribe", "{channel}", 1]"#));
    client.check(&format!("SPUBLISH {channel} hello"), "1");
    listener.expect(&format!(r#"["smessage", "{channel}", "hello"]"#));
}

/// Counts with the keys of one client, through one node, and sees each reply; as long as nothing fails. Returns how many
/// commands were run, and how often the connection broke.
fn count_on(address: SocketAddr, name: &str, is_over: &AtomicBool) -> (usize, usize) {
    let keys = 100;
    let mut counts: Vec<Option<i64>> = vec![Some(0); keys];
    let (mut done, mut breaks, mut random) = (0, 0, Random::new(seed()));
    let mut connection = Connection::open(address).expect("the node listens");
    while !is_over.load(Relaxed) {
        let chosen: Vec<usize> = (0..20).map(|_| random.below(keys)).collect();
        let requests: Vec<Vec<String>> =
            chosen.iter().map(|key| vec!["INCR".to_owned(), format!("{name}{key}")]).collect();
        match connection.pipeline(&requests) {
            Ok(replies) => {
                for (key, reply) in chosen.iter().zip(&replies) {
                    let count = reply.as_int().unwrap_or_else(|| panic!("{name}{key}: {reply:?}"));
                    if let Some(before) = counts[*key] {
                        assert_eq!(count, before + 1, "{name}{key}: each command is run once");
                    }
                    counts[*key] = Some(count);
                }
                done += chosen.len();
            }
            Err(_) => {
                // What was said and not answered may have been run.
                breaks += 1;
                chosen.iter().for_each(|key| counts[*key] = None);
                connection = Connection::open(address).expect("the node listens");
            }
        }
    }
    (done, breaks)
}

#[test]
fn nothing_is_lost_or_done_twice_while_nodes_come_and_go() {
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1"), FORWARDS]);
    cluster.wait_until_whole();
    let is_over = AtomicBool::new(false);
    let sums: Vec<(usize, usize)> = thread::scope(|scope| {
        let _ending = Ending(&is_over);
        let clients: Vec<_> = (0..4)
            .map(|node| {
                let (address, is_over) = (cluster.address(node), &is_over);
                scope.spawn(move || count_on(address, &format!("client {node} "), is_over))
            })
            .collect();
        let slots = |cluster: &Cluster, node: usize| {
            let port = cluster.address(node).port();
            cluster.seen().at(port).map_or(0, |line| line.slot_count())
        };
        let new = [cluster.add(), cluster.add()];
        new.iter().for_each(|node| cluster.run(*node));
        cluster
            .wait_until("a third shard has its share", |cluster| new.iter().any(|node| slots(cluster, *node) >= 5461));
        let leader = if slots(&cluster, new[0]) > 0 { new[0] } else { new[1] };
        cluster.wait_until_whole();
        let id = cluster.id(leader);
        let told = cluster.client(0).text(&format!("CLUSTER CHANGE leave {id}"));
        assert!(!told.starts_with("ERR"), "{told}");
        cluster.wait_until("it has given up its part", |cluster| slots(cluster, leader) == 0);
        is_over.store(true, Relaxed);
        clients.into_iter().map(|client| client.join().expect("a client does not fail")).collect()
    });
    eprintln!("commands, breaks: {sums:?}");
    assert!(sums.iter().all(|(done, breaks)| *done > 500 && *breaks == 0), "{sums:?}");
}

#[test]
fn others_go_on_when_a_primary_is_killed() {
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1"), FORWARDS]);
    let killed = cluster.primary_of("k");
    let asked = (0..4).find(|node| *node != killed).expect("there are others");
    let key = |cluster: &Cluster, at: usize| {
        (0..).map(|number| format!("on{number}")).find(|key| cluster.primary_of(key) == at).expect("a number")
    };
    let (lost, mut client) = (key(&cluster, killed), cluster.client(asked));
    client.check("CLIENT DURABILITY quorum", "OK");
    client.check(&format!("SET {lost} before"), "OK");
    client.check("CLIENT DURABILITY async", "OK");
    cluster.kill(killed);
    // It is served as soon as somebody has taken over: a read, and a write that nobody can have been sent.
    client.check(&format!("GET {lost}"), "before");
    client.check(&format!("SET {lost} after"), "OK");
    client.check(&format!("GET {lost}"), "after");
    cluster.run(killed);
    wait_long(Duration::from_secs(30), "it serves again", || {
        let told = cluster.client(killed).text(&format!("GET {lost}"));
        (told == "after", told)
    });
}

#[test]
fn who_asks_a_node_that_is_shut_down_is_sent_to_another() {
    let _alone = alone();
    let mut cluster = Cluster::start(4, &[("--cluster-replicas", "1"), FORWARDS]);
    let leaving = cluster.primary_of("k");
    let (heir, far) = (cluster.replicas_of(leaving)[0], elsewhere_than(&cluster, leaving, "far"));
    let mut client = cluster.client(leaving);
    client.check_matches("HELLO 3", "*");
    client.check("CLIENT MAINT_NOTIFICATIONS ON MOVING-ENDPOINT-TYPE internal-ip", "OK");
    client.check("SET k v", "OK");
    client.check(&format!("SET {far} w"), "OK");
    cluster.client(leaving).send("SHUTDOWN NOSAVE");
    let mut told = Vec::new();
    wait_long(PATIENCE, "the client is told to go", || {
        client.check("PING", "PONG");
        told.extend(client.connection().take_pushes());
        let is_told = |push: &Vec<Reply>| push[0].as_bytes() == Some(b"MOVING");
        (told.iter().any(is_told), format!("{told:?}"))
    });
    let moving = told.iter().find(|push| push[0].as_bytes() == Some(b"MOVING")).expect("it was told");
    let place = String::from_utf8_lossy(moving[3].as_bytes().expect("a place")).into_owned();
    let other = (0..4).find(|node| cluster.address(*node).to_string() == place).expect("it is a node");
    assert_ne!(other, leaving);
    let mut there = cluster.client(other);
    there.check("GET k", "v");
    there.check(&format!("GET {far}"), "w");
    drop(client);
    wait_long(PATIENCE, "the node ends", || (cluster.has_left(leaving), String::new()));
    // It may hear of that after the other has left.
    wait_long(PATIENCE, "the shard was handed over", || {
        let role = cluster.client(heir).text("ROLE");
        (role.contains("\"master\""), role)
    });
}

#[test]
fn a_second_port_serves_clients_that_know_of_no_cluster() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(3, &[("--cluster-replicas", "0"), FORWARDS]);
    let forwards = free_address();
    cluster.set(0, "--forward-port", &forwards.port().to_string());
    cluster.run_all();
    cluster.wait_until_whole();
    let key = elsewhere(&cluster, "key");
    let mut plain = cluster.client_at(0, forwards);
    // Whatever it asks, it is served.
    plain.check_matches("CLUSTER SLOTS", "*");
    plain.check(&format!("SET {key} value"), "OK");
    plain.check(&format!("GET {key}"), "value");
    // Who comes to the port that the cluster tells of is told where to ask, though it has shown nothing yet.
    cluster.client(0).check_matches(&format!("GET {key}"), "MOVED *");
}
