//! Tags, and what is declared wrong by one or by a prefix: a replica has them as its primary has.

use larder_tests::chain::{Make, Pair, follow, settle};
use larder_tests::random::{Random, seed};
use larder_tests::{Launch, Node, wait_until};

#[test]
fn tags_come_with_all_data_with_the_stream_and_with_a_file() {
    let (mut primary, mut replica) = (Node::start(), Node::start());
    primary.check("CACHE.SET page one EX 1000 TAGS 2 t u", "OK");
    primary.check("HSET hash f v", "1");
    primary.check("CACHE.TAG hash t", "1");
    // Each is captured in another way.
    let long = "x".repeat(300_000);
    primary.check(&format!("CACHE.SET long {long} TAGS 1 t"), "OK");
    let fields: Vec<String> = (0..2000).map(|n| format!("f{n} {n}")).collect();
    primary.call(&format!("HSET large {}", fields.join(" ")));
    primary.check("CACHE.TAG large t", "1");
    primary.check("CACHE.SET wrong 1 TAGS 1 w", "OK");
    primary.check("CACHE.INVALIDATE w", "1");
    let address = primary.address();
    follow(&mut replica, address);
    settle(&mut [&mut primary, &mut replica]);
    replica.check("CACHE.TAGS page", r#"["t", "u"]"#);
    for key in ["hash", "long", "large"] {
        replica.check(&format!("CACHE.TAGS {key}"), r#"["t"]"#);
    }
    replica.check("GET wrong", "nil");
    primary.check("CACHE.SET later two TAGS 1 t", "OK");
    primary.check("RENAME page moved", "OK");
    settle(&mut [&mut primary, &mut replica]);
    replica.check("CACHE.TAGS later", r#"["t"]"#);
    replica.check("CACHE.TAGS moved", r#"["t", "u"]"#);
    replica.check_matches("CACHE.INVALIDATE t", "READONLY *");
    let saved = restarted(&mut primary);
    let mut saved = saved.connect();
    saved.check("CACHE.TAGS moved", r#"["t", "u"]"#);
    saved.check("CACHE.TAGS large", r#"["t"]"#);
    saved.check("CACHE.INVALIDATE t", "5");
    saved.check("KEYS *", "[]");
    primary.check("CACHE.INVALIDATE u", "1");
    primary.check("CACHE.CLEAR lar", "OK");
    settle(&mut [&mut primary, &mut replica]);
    replica.check("MGET moved later", r#"[nil, "two"]"#);
    replica.check("EXISTS large", "0");
}

/// Another node that is started with what this one holds.
fn restarted(node: &mut Node) -> Node {
    node.check("SAVE", "OK");
    let file = std::fs::read(node.folder().join("dump.rdb")).expect("it was just written");
    let launch = Launch::new().file("dump.rdb", file);
    let port = launch.port();
    launch.args(&format!("--port {port} --dir .")).node()
}

#[test]
fn a_replica_agrees_about_each_key_after_a_random_history() {
    let seed = seed();
    let Some(mut pair) = Pair::start([Make::Larder, Make::Larder], &[]) else { return };
    for node in [&mut pair.primary, &mut pair.replica] {
        node.check("CACHE.RULE SET k1 lease on stale-while-revalidate 1h", "OK");
    }
    let mut random = Random::new(seed);
    for _ in 0..4000 {
        let (key, other) = (random.below(60), random.below(60));
        let (tag, tagged) = (random.below(6), random.below(6));
        let soft = if random.below(2) == 0 { " SOFT" } else { "" };
        let line = match random.below(24) {
            0..8 => format!("CACHE.SET k{key} v{other} TAGS 2 t{tag} t{tagged}"),
            8..10 => format!("CACHE.SET k{key} v{other} EX 500 TAGS 1 t{tag}"),
            10 => format!("SET k{key} {other}"),
            11..13 => format!("APPEND k{key} {other}"),
            13 => format!("INCR k{key}"),
            14 => format!("RENAME k{key} k{other}"),
            15 => format!("COPY k{key} k{other} REPLACE"),
            16 => format!("DEL k{key}"),
            17 => format!("CACHE.TAG k{key} t{tag}"),
            18 => format!("GET k{key}"),
            19 => format!("EXPIRE k{key} 1000"),
            20..22 => format!("CACHE.INVALIDATE t{tag}{soft}"),
            22 => format!("CACHE.CLEAR k{}{soft}", random.below(6)),
            _ => "DBSIZE".to_owned(),
        };
        pair.primary.call(&line);
    }
    pair.settle();
    for key in 0..60 {
        // GET could be told nil in order to load it.
        for ask in ["MGET", "CACHE.TAGS"] {
            let ask = format!("{ask} k{key}");
            assert_eq!(pair.replica.text(&ask), pair.primary.text(&ask), "{ask} at the replica, seed {seed}");
        }
    }
    assert_eq!(pair.replica.int("DBSIZE"), pair.primary.int("DBSIZE"), "seed {seed}");
}

#[test]
fn what_may_be_served_stale_is_gone_for_what_is_written() {
    let Some(mut pair) = Pair::start([Make::Larder, Make::Larder], &[]) else { return };
    for node in [&mut pair.primary, &mut pair.replica] {
        node.check("CACHE.RULE SET k lease on stale-while-revalidate 1h", "OK");
    }
    for (make, change, expected) in [
        ("SET k old PX 1", "APPEND k new", "new"),
        ("SET k 41 PX 1", "INCR k", "1"),
        ("SET k old PX 1", "SETRANGE k 0 n", "n"),
        ("SET k old PX 1", "SETBIT k 7 1", "\u{1}"),
    ] {
        pair.primary.check("DEL k", "0");
        pair.primary.check(make, "OK");
        wait_until("it has expired", || pair.primary.int("EXISTS k") == 0);
        pair.primary.call(change);
        pair.settle();
        for node in [&mut pair.primary, &mut pair.replica] {
            let seen = node.call("GET k");
            assert_eq!(seen.as_bytes(), Some(expected.as_bytes()), "{change} behind {make}");
        }
        pair.primary.check("DEL k", "1");
    }
}
