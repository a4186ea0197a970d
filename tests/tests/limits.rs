//! What the server refuses because it would be too much, and that others are served meanwhile.

use larder_client::resp::{Reply, encode_request};
use larder_tests::{Node, wait_until};

const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

#[test]
fn words_longer_than_allowed_are_refused_when_announced() {
    let mut node = Node::start();
    node.check("CONFIG SET proto-max-bulk-len 1mb", "OK");
    let mut client = node.connect();
    client.send_raw("*1\r\n$1048577\r\n");
    client.expect("ERR Protocol error: invalid bulk length");
    client.expect_closed();
    let value = vec![b'x'; 1 << 20];
    assert_eq!(node.call_words(&[&b"SET"[..], b"k", &value]), Reply::Simple("OK".into()));
    node.check("STRLEN k", "1048576");
}

#[test]
fn a_request_beyond_the_query_buffer_closes_the_connection() {
    let mut node = Node::start();
    node.check("CONFIG SET client-query-buffer-limit 1mb", "OK");
    let mut client = node.connect();
    let mut request = Vec::new();
    encode_request(&[&b"SET"[..], b"k", &vec![b'x'; 4 << 20]], &mut request);
    // The server may close before it has taken everything.
    let _ = client.connection().send_raw(&request);
    wait_until("the connection is closed", || client.is_closed());
    node.check("EXISTS k", "0");
}

#[test]
fn a_client_that_never_reads_is_cut_and_harms_no_other() {
    let mut node = Node::start();
    node.check("CONFIG SET client-output-buffer-limit 'normal 4mb 0 0'", "OK");
    let value = vec![b'x'; 1 << 20];
    node.call_words(&[&b"SET"[..], b"k", &value]);
    let mut greedy = node.connect();
    let id = greedy.int("CLIENT ID");
    let mut requests = Vec::new();
    (0..200).for_each(|_| encode_request(&["GET", "k"], &mut requests));
    greedy.send_raw(&requests);
    wait_until("the greedy client is cut", || node.text(&format!("CLIENT LIST ID {id}")) == r#""""#);
    node.check("STRLEN k", "1048576");
}

#[test]
fn commands_with_very_many_words_are_done() {
    let mut node = Node::start();
    let mut words = vec!["MSET".to_owned()];
    for number in 0..100_000 {
        words.extend([format!("key:{number}"), number.to_string()]);
    }
    assert_eq!(node.call_words(&words), Reply::Simple("OK".into()));
    node.check("DBSIZE", "100000");
    node.check("GET key:99999", r#""99999""#);
    let keys: Vec<_> =
        std::iter::once("DEL".to_owned()).chain((0..100_000).map(|number| format!("key:{number}"))).collect();
    assert_eq!(node.call_words(&keys), Reply::Int(100_000));
}

#[test]
fn a_huge_count_of_words_takes_no_memory_until_they_come() {
    let mut node = Node::start();
    let used = |node: &mut Node| node.info("used_memory").and_then(|text| text.parse::<i64>().ok()).expect("a number");
    let before = used(&mut node);
    let mut clients: Vec<_> = (0..20).map(|_| node.connect()).collect();
    for client in &mut clients {
        client.send_raw("*2147483647\r\n$3\r\nDEL\r\n");
    }
    let listed =
        |node: &mut Node| node.call("CLIENT LIST").as_bytes().map(|text| text.split(|byte| *byte == b'\n').count());
    wait_until("all clients are there", || listed(&mut node) == Some(22));
    let grown = used(&mut node) - before;
    assert!(grown < 20 << 20, "20 requests that are announced take {grown} bytes");
}

#[test]
fn a_huge_word_takes_no_memory_until_it_comes() {
    let mut node = Node::start();
    let used =
        |node: &mut Node| node.info("used_memory_rss").and_then(|text| text.parse::<i64>().ok()).expect("a number");
    let before = used(&mut node);
    let mut clients: Vec<_> = (0..20).map(|_| node.connect()).collect();
    for client in &mut clients {
        client.send_raw("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n");
    }
    node.check("PING", "PONG");
    let grown = used(&mut node) - before;
    assert!(grown < 200 << 20, "20 words that are announced take {grown} bytes");
}

#[test]
fn writes_are_refused_when_memory_is_full() {
    let mut node = Node::start();
    node.check("MSET k v n 1", "OK");
    node.check("CONFIG SET maxmemory-policy noeviction maxmemory 1", "OK");
    node.check_all(
        &[
            "SET a 1",
            "SETNX a 1",
            "SETEX a 1 1",
            "PSETEX a 1 1",
            "MSET a 1",
            "MSETNX a 1",
            "GETSET k 1",
            "APPEND k 1",
            "SETRANGE k 0 x",
            "INCR n",
            "DECR n",
            "INCRBY n 1",
            "DECRBY n 1",
            "INCRBYFLOAT n 1",
            "COPY k a",
            "RESTORE a 0 x",
        ],
        OUT_OF_MEMORY,
    );
    node.check("GET k", "v");
    node.check("GETDEL k", "v");
    node.check("EXPIRE n 100", "1");
    node.check("RENAME n m", "OK");
    node.check("DEL m", "1");
    node.check("CONFIG SET maxmemory 0", "OK");
    node.check("SET a 1", "OK");
}

/// Writes so much that about three quarters of it must go, and returns what INFO says was used at most.
fn overfill(node: &mut Node, policy: &str, ttl: &str) -> i64 {
    let used = |node: &mut Node| node.info("used_memory").and_then(|text| text.parse::<i64>().ok()).expect("a number");
    let limit = used(node) + (4 << 20);
    node.check(&format!("CONFIG SET maxmemory-policy {policy} maxmemory {limit}"), "OK");
    let value = "x".repeat(1000);
    let mut most = 0;
    for batch in 0..160 {
        for number in 0..100 {
            node.check(&format!("SET key:{batch}:{number} {value} {ttl}"), "OK");
        }
        most = most.max(used(node) - limit);
    }
    most
}

#[test]
fn memory_stays_within_its_limit() {
    for (policy, ttl) in [
        ("allkeys-lru", ""),
        ("allkeys-lfu", ""),
        ("allkeys-random", ""),
        ("volatile-lru", "EX 1000"),
        ("volatile-lfu", "EX 1000"),
        ("volatile-random", "EX 1000"),
        ("volatile-ttl", "EX 1000"),
    ] {
        let mut node = Node::start();
        let above = overfill(&mut node, policy, ttl);
        assert!(above <= 256 << 10, "{policy}: {above} bytes above the limit");
        let left = node.int("DBSIZE");
        assert!((1000..6000).contains(&left), "{policy}: {left} keys are left");
        let evicted: i64 = node.info("evicted_keys").and_then(|text| text.parse().ok()).expect("a number");
        // Keys may go between the two questions.
        assert!(
            (16_000 - left..=16_000).contains(&evicted),
            "{policy}: {left} keys are left and {evicted} are evicted"
        );
    }
}

#[test]
fn volatile_policies_leave_keys_without_a_time_to_live_alone() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let mut node = Node::start();
        (0..100).for_each(|number| node.check(&format!("SET stays:{number} v"), "OK"));
        overfill(&mut node, policy, "EX 1000");
        (0..100).for_each(|number| node.check(&format!("GET stays:{number}"), "v"));
    }
}

#[test]
fn volatile_policies_refuse_when_nothing_may_go() {
    let mut node = Node::start();
    node.check("SET stays v", "OK");
    node.check("CONFIG SET maxmemory-policy volatile-lru maxmemory 1", "OK");
    node.check("SET k v", OUT_OF_MEMORY);
    node.check("GET stays", "v");
}

#[test]
fn volatile_ttl_lets_the_nearest_end_go_first() {
    let mut node = Node::start();
    (0..50).for_each(|number| node.check(&format!("SET late:{number} v EX 100000"), "OK"));
    overfill(&mut node, "volatile-ttl", "EX 1000");
    (0..50).for_each(|number| node.check(&format!("GET late:{number}"), "v"));
}

#[test]
fn hundreds_of_idle_connections_are_held() {
    let mut node = Node::start();
    // Each test process may open as many files as the system allows, often 1024, and has a few open already.
    let clients: Vec<_> = (0..900).map(|_| node.connect()).collect();
    wait_until("all are counted", || node.info("connected_clients").as_deref() == Some("901"));
    node.check("PING", "PONG");
    drop(clients);
    wait_until("all are gone", || node.info("connected_clients").as_deref() == Some("1"));
}
