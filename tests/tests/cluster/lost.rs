//! A primary that comes back after another was promoted: what it alone had taken is told, in full.

use crate::alone;
use larder_client::slot;
use larder_tests::cluster::{Cluster, PATIENCE};
use larder_tests::{Client, wait_long};
use std::collections::BTreeSet;
use std::fs;

const WRITES: usize = 50;

#[test]
fn a_primary_that_stood_still_tells_what_its_successor_has_never_seen() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(3, &[("--cluster-replicas", "1")]);
    cluster.set(2, "--cluster-witness", "yes");
    cluster.run_all();
    cluster.wait_until_whole();
    let old = cluster.primary_of("key");
    let new = cluster.replicas_of(old)[0];
    let mut client = cluster.client(old);
    client.check("CLIENT DURABILITY quorum", "OK");
    client.check("SET key before", "OK");
    client.check("CLIENT DURABILITY async", "OK");

    // The replica stands still and its link is gone: nothing that is written now can reach it, not even the memory of its socket.
    cluster.hold(new);
    client.call("CLIENT KILL TYPE replica");
    wait(&mut || field(&mut client, "connected_slaves").as_deref() == Some("0"), "the replica is cut off");
    let mut slots = BTreeSet::new();
    for number in 0..WRITES {
        let key = format!("key:{number}");
        slots.insert(slot::of(key.as_bytes()));
        // The witness may have to see first who leads the cluster now; a refused write is not in the stream.
        wait(
            &mut || match client.text(&format!("SET {key} {number}")).as_str() {
                "OK" => true,
                refusal => {
                    assert!(refusal.starts_with("CLUSTERDOWN"), "{refusal}");
                    false
                }
            },
            "the primary takes writes",
        );
    }
    cluster.hold(old);
    cluster.release(new);
    let mut promoted = cluster.client(new);
    wait(
        &mut || {
            // It lacks something if it was seen to be gone, and is not promoted by itself then.
            promoted.call("CLUSTER FAILOVER FORCE");
            promoted.text("ROLE").starts_with("[\"master\"")
        },
        "the replica leads",
    );
    cluster.release(old);
    cluster.wait_until_whole();
    assert_eq!((cluster.primary_of("key"), cluster.replicas_of(new)), (new, vec![old]));

    let mut client = cluster.client(old);
    let mut told = |name: &str| field(&mut client, &format!("larder_lost_writes_{name}"));
    assert_eq!(told("total"), Some(WRITES.to_string()));
    assert_eq!(told("last_count"), Some(WRITES.to_string()));
    assert_eq!(told("last_is_all").as_deref(), Some("1"));
    assert_eq!(told("last_slots"), Some(runs(&slots.iter().map(|slot| slot.number()).collect::<Vec<_>>())));
    let offset = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok()).expect("an offset");
    let parting = offset(field(&mut promoted, "second_repl_offset")) - 1;
    assert_eq!(offset(told("last_from")), parting);
    let file = told("last_file").expect("INFO names the file");
    let lost = fs::read_to_string(&file).expect("the file is there");
    assert!(offset(told("last_to")) >= parting + lost.len() as u64);
    let expected: String = (0..WRITES)
        .map(|number| {
            let (key, value) = (format!("key:{number}"), number.to_string());
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
        })
        .collect();
    assert_eq!(lost, expected);
    cluster.wait_for_log(old, &file);
    promoted.check("GET key", "before");
    promoted.check("EXISTS key:0", "0");
}

fn field(client: &mut Client, name: &str) -> Option<String> {
    let info = client.call("INFO replication");
    let info = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
}

#[track_caller]
fn wait(condition: &mut dyn FnMut() -> bool, what: &str) {
    wait_long(PATIENCE, what, || (condition(), String::new()));
}

/// Numbers in ascending order as runs of neighbours.
fn runs(numbers: &[u16]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let shown = runs.map(|run| match run {
        [one] => one.to_string(),
        _ => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    shown.collect::<Vec<_>>().join(" ")
}
