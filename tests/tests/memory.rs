//! That a node keeps within its memory, whatever is written, and gives back what is deleted.

use larder_client::resp::Reply;
use larder_tests::load::{peak_bytes, requests, resident_bytes};
use larder_tests::{Client, Node, wait_until};

const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

const POLICIES: [&str; 9] = [
    "allkeys-larder",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "noeviction",
];

/// Requests that are sent before their replies are read.
const DEPTH: usize = 200;

/// What a flood has come to.
#[derive(Default, Debug)]
struct Flood {
    refused: usize,
    /// The most that INFO told was used.
    most: i64,
}

/// Sets `count` keys to values of `len` bytes, and asks now and then how much is used.
#[track_caller]
fn flood(client: &mut Client, prefix: &str, count: usize, len: usize, more: &str) -> Flood {
    let value = "x".repeat(len);
    let mut flood = Flood::default();
    for from in (0..count).step_by(DEPTH) {
        let some = DEPTH.min(count - from);
        client.send_raw(requests(some, |number| {
            let mut words = vec!["SET".to_owned(), format!("{prefix}:{}", from + number), value.clone()];
            words.extend(more.split_whitespace().map(str::to_owned));
            words
        }));
        for _ in 0..some {
            match client.connection().receive().expect("a reply comes") {
                Reply::Simple(_) => {}
                Reply::Error(text) if text == OUT_OF_MEMORY => flood.refused += 1,
                other => panic!("an unexpected reply: {other:?}"),
            }
        }
        flood.most = flood.most.max(used(client));
    }
    flood
}

fn used(client: &mut Client) -> i64 {
    let info = client.call("INFO memory");
    let text = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("INFO tells used_memory");
    line.trim().parse().expect("a number")
}

/// A limit and one per cent.
fn with_slack(limit: i64) -> i64 {
    limit + limit / 100
}

fn start(limit: &str, policy: &str) -> Node {
    Node::start_with(&[("--maxmemory", limit), ("--maxmemory-policy", policy), ("--workers", "2")])
}

#[test]
fn every_policy_holds_the_limit() {
    const LIMIT: i64 = 20 << 20;
    for policy in POLICIES {
        let mut node = start("20mb", policy);
        let more = if policy.starts_with("volatile") { "EX 1000" } else { "" };
        let seen = flood(&mut node, "key", 60_000, 700, more);
        let resident = resident_bytes(node.process_id()).unwrap_or(0) >> 20;
        eprintln!("{policy}: at most {} bytes used, {resident} MiB resident, {} refused", seen.most, seen.refused);
        assert!(seen.most <= with_slack(LIMIT), "{policy}: {} bytes were used", seen.most);
        let kept = node.int("DBSIZE");
        assert!((10_000..30_000).contains(&kept), "{policy}: {kept} keys are kept");
        assert_eq!(seen.refused > 0, policy == "noeviction", "{policy}: {} were refused", seen.refused);
        if policy != "noeviction" {
            node.check("SET last v EX 100", "OK");
            node.check("GET last", "v");
        }
    }
}

#[test]
fn without_eviction_writes_are_refused_and_reads_go_on() {
    let mut node = start("10mb", "noeviction");
    let seen = flood(&mut node, "key", 20_000, 1000, "");
    assert!(seen.refused > 5_000, "{seen:?}");
    // What is left between the values may take a small one, but not this.
    let large = format!("SET k {}", "x".repeat(20_000));
    node.check(&large, OUT_OF_MEMORY);
    node.check("GET key:0", &"x".repeat(1000));
    node.check("EXPIRE key:1 100", "1");
    node.check("DEL key:2", "1");
    node.check("EXISTS key:0", "1");
    // Room that is made can be used.
    (0..2000).for_each(|number| {
        node.call(&format!("DEL key:{number}"));
    });
    let seen = flood(&mut node, "new", 1000, 1000, "");
    assert!(seen.refused < 100, "{seen:?}");
    assert!(seen.most <= with_slack(10 << 20), "{seen:?}");
}

#[test]
fn volatile_policies_take_only_what_has_a_time_to_live() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let mut node = start("10mb", policy);
        let steady = flood(&mut node, "steady", 3000, 1000, "");
        assert_eq!(steady.refused, 0);
        let fleeting = flood(&mut node, "fleeting", 10_000, 1000, "EX 1000");
        assert_eq!(fleeting.refused, 0, "{policy}");
        assert!(fleeting.most <= with_slack(10 << 20), "{policy}: {fleeting:?}");
        let kept: i64 = (0..3000).map(|number| node.int(&format!("EXISTS steady:{number}"))).sum();
        assert_eq!(kept, 3000, "{policy}");
        // Once nothing with a time to live is left, there is no more room to be had.
        let more = flood(&mut node, "more", 10_000, 1000, "");
        assert!(more.refused > 0, "{policy}: {more:?}");
        node.check(&format!("SET k {}", "x".repeat(20_000)), OUT_OF_MEMORY);
        node.check("GET steady:0", &"x".repeat(1000));
    }
}

#[test]
fn a_lower_limit_is_reached_soon() {
    let mut node = start("0", "allkeys-larder");
    flood(&mut node, "key", 60_000, 1000, "");
    let before = used(&mut node);
    assert!(before > 60 << 20);
    node.check("CONFIG SET maxmemory 20mb", "OK");
    // Nobody writes: the node does this by itself.
    wait_until("the limit is kept", || used(&mut node) <= with_slack(20 << 20));
    let kept = node.int("DBSIZE");
    assert!((5_000..20_000).contains(&kept), "{kept} keys are kept");
    let seen = flood(&mut node, "new", 20_000, 1000, "");
    assert!(seen.most <= with_slack(20 << 20), "{seen:?}");
}

#[test]
fn small_limits_work() {
    for (limit, bytes) in [("10mb", 10 << 20), ("5mb", 5 << 20)] {
        for policy in ["allkeys-larder", "allkeys-lru"] {
            let mut node = start(limit, policy);
            let seen = flood(&mut node, "key", 100_000, 64, "");
            let kept = node.int("DBSIZE");
            eprintln!("{policy} under {limit}: {kept} keys are kept, at most {} bytes used", seen.most);
            assert_eq!(seen.refused, 0, "{policy} under {limit}");
            assert!(seen.most <= with_slack(bytes), "{policy} under {limit}: {seen:?}");
            assert!(kept * 64 * 5 > bytes, "{policy} under {limit}: only {kept} keys are kept");
        }
    }
}

#[test]
fn large_values_fit_under_a_limit() {
    for policy in ["allkeys-larder", "allkeys-lru", "allkeys-random"] {
        let mut node = start("20mb", policy);
        let value = vec![b'x'; 1 << 20];
        let mut most = 0;
        for number in 0..200 {
            let key = format!("key:{number}");
            let reply = node.call_words(&[&b"SET"[..], key.as_bytes(), &value]);
            assert_eq!(reply, Reply::Simple("OK".into()), "{policy}");
            most = most.max(used(&mut node));
        }
        let kept = node.int("DBSIZE");
        eprintln!("{policy}: {kept} values of 1 MiB are kept, at most {most} bytes used");
        assert!(most <= with_slack(20 << 20), "{policy}: {most} bytes were used");
        assert!(kept >= 10, "{policy}: {kept} values are kept");
    }
}

#[test]
fn the_policy_can_be_changed_while_keys_go() {
    let mut node = start("10mb", "allkeys-larder");
    for round in 0..2 {
        for policy in POLICIES {
            node.check(&format!("CONFIG SET maxmemory-policy {policy}"), "OK");
            let seen = flood(&mut node, &format!("{round}:{policy}"), 4000, 1000, "EX 1000");
            assert!(seen.most <= with_slack(10 << 20), "{policy}: {seen:?}");
            assert_eq!(seen.refused > 0, policy == "noeviction", "{policy}: {seen:?}");
        }
    }
}

#[test]
fn what_is_deleted_is_given_back() {
    let mut node = start("0", "noeviction");
    let used_before = used(&mut node);
    let resident_before = resident_bytes(node.process_id());
    flood(&mut node, "key", 100_000, 500, "");
    let used_full = used(&mut node);
    let resident_full = resident_bytes(node.process_id());
    let wire = requests(100_000, |number| vec!["DEL".to_owned(), format!("key:{number}")]);
    node.send_raw(&wire);
    (0..100_000).for_each(|_| node.expect("1"));
    node.check("DBSIZE", "0");
    wait_until("used_memory falls", || used(&mut node) - used_before < (used_full - used_before) / 10);
    if let (Some(before), Some(full)) = (resident_before, resident_full) {
        wait_until("resident memory falls", || {
            resident_bytes(node.process_id()).is_some_and(|now| now.saturating_sub(before) < (full - before) / 4)
        });
    }
}

#[test]
fn flushing_gives_everything_back() {
    let mut node = start("0", "noeviction");
    let before = resident_bytes(node.process_id());
    flood(&mut node, "key", 100_000, 500, "");
    let full = peak_bytes(node.process_id());
    node.check("FLUSHALL", "OK");
    node.check("DBSIZE", "0");
    if let (Some(before), Some(full)) = (before, full) {
        wait_until("resident memory falls", || {
            resident_bytes(node.process_id()).is_some_and(|now| now.saturating_sub(before) < (full - before) / 4)
        });
    }
}
