//! Rules, as plain cache-aside clients meet them: GET, and if there is nothing, ask the database and SET. None of them knows of a rule.

use larder_tests::random::{Random, seed};
use larder_tests::{Client, Launch, Node};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// A database that takes its time, and counts what it is asked.
#[derive(Default)]
struct Origin {
    queries: AtomicUsize,
    by_key: Mutex<BTreeMap<String, usize>>,
    takes: Duration,
}

impl Origin {
    fn taking(millis: u64) -> Origin {
        Origin { takes: Duration::from_millis(millis), ..Origin::default() }
    }

    fn query(&self, key: &str) -> String {
        let number = self.queries.fetch_add(1, Relaxed);
        *self.by_key.lock().expect("nobody panics who holds it").entry(key.to_owned()).or_default() += 1;
        // What a query takes, not what a test waits for.
        thread::sleep(self.takes);
        format!("value-{number}")
    }
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    gets: usize,
    /// The longest a GET took.
    longest: Duration,
}

/// Reads one key until the time is over.
fn read_aside(client: &mut Client, origin: &Origin, until: Instant, ttl_ms: u64) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < until {
        let begin = Instant::now();
        let value = client.call("GET hot:page");
        seen.longest = seen.longest.max(begin.elapsed());
        seen.gets += 1;
        if value.as_bytes().is_none() {
            let value = origin.query("hot:page");
            client.check(&format!("SET hot:page {value} PX {ttl_ms}"), "OK");
        }
        thread::sleep(Duration::from_millis(2));
    }
    seen
}

/// Has many clients read one key for some of its lifetimes. Returns the queries, and the longest a GET took.
fn flood(rule: Option<&str>, clients: usize) -> (usize, Duration) {
    const TTL_MS: u64 = 500;
    const LASTS: Duration = Duration::from_millis(5 * TTL_MS);
    let node = Node::start();
    if let Some(rule) = rule {
        node.connect().check(&format!("CACHE.RULE SET hot: {rule}"), "OK");
    }
    let origin = Origin::taking(100);
    let until = Instant::now() + LASTS;
    let seen: Vec<Seen> = thread::scope(|scope| {
        let read = |_| {
            let (mut client, origin) = (node.connect(), &origin);
            scope.spawn(move || read_aside(&mut client, origin, until, TTL_MS))
        };
        let readers: Vec<_> = (0..clients).map(read).collect();
        readers.into_iter().map(|reader| reader.join().expect("a client does not fail")).collect()
    });
    let longest = seen.iter().map(|seen| seen.longest).max().unwrap_or_default();
    let gets: usize = seen.iter().map(|seen| seen.gets).sum();
    let queries = origin.queries.load(Relaxed);
    println!("{:<60} {queries:>5} queries, {gets:>6} GETs, longest {longest:>6.1?}", rule.unwrap_or("no rule"));
    (queries, longest)
}

#[test]
fn a_flood_on_a_hot_key_asks_the_database_once_per_lifetime() {
    const CLIENTS: usize = 200;
    /// It lives five times, and once more at the edges.
    const LIVES: usize = 6;
    let (without, _) = flood(None, CLIENTS);
    assert!(without > 5 * LIVES, "{without} queries without a rule");
    let (waiting, longest) = flood(Some("lease on lease-wait 5s"), CLIENTS);
    assert!(waiting <= LIVES, "{waiting} queries with a lease");
    // One query's time, and what a loaded machine takes.
    assert!(longest < Duration::from_secs(3), "{longest:?}");
    let (stale, _) = flood(Some("lease on lease-wait 5s stale-while-revalidate 10s"), CLIENTS);
    assert!(stale <= LIVES, "{stale} queries with a lease and old values");
}

#[test]
fn absent_keys_are_asked_for_once_while_they_count_as_absent() {
    const CLIENTS: usize = 20;
    const KEYS: usize = 200;
    let seed = seed();
    let node = Node::start();
    node.connect().check("CACHE.RULE SET row: lease on lease-wait 5s absent-value (none) negative-ttl 10m", "OK");
    let origin = Origin::taking(1);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (mut client, origin) = (node.connect(), &origin);
            scope.spawn(move || {
                let mut random = Random::new(seed + number as u64);
                for _ in 0..1000 {
                    let key = format!("row:{}", random.below(KEYS));
                    match client.call(&format!("GET {key}")).as_bytes() {
                        Some(value) => assert_eq!(value, b"(none)"),
                        None => {
                            origin.query(&key);
                            client.check(&format!("SET {key} (none) EX 86400"), "OK");
                            client.check_range(&format!("TTL {key}"), 590..=600);
                        }
                    }
                }
            });
        }
    });
    let by_key = origin.by_key.lock().expect("nobody panics who holds it");
    assert_eq!(by_key.len(), KEYS);
    assert!(by_key.values().all(|queries| *queries == 1), "{by_key:?}");
}

/// What plain clients meet that read keys a database has, while random ones are asked for, too.
struct Siege {
    /// Queries for keys that the database does not have, and the most for one of them.
    outside: usize,
    most: usize,
    /// Of the keys that it has, in the second half.
    hit_ratio: f64,
}

/// Keys that the database has.
const REAL: usize = 50_000;

/// Has clients read keys that there are, the lower their numbers the more, and in between so many random ones.
fn besiege(node: &Node, random_keys: usize) -> Siege {
    const CLIENTS: usize = 4;
    const READS: usize = 100_000;
    let seed = seed();
    let outside: Mutex<BTreeMap<u64, usize>> = Mutex::default();
    let (hits, gets) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (mut client, outside, hits, gets) = (node.connect(), &outside, &hits, &gets);
            scope.spawn(move || {
                let mut random = Random::new(seed + number as u64);
                let value = "v".repeat(1000);
                let (mut reads, mut asked) = (READS / CLIENTS, random_keys / CLIENTS);
                let all = reads + asked;
                while reads + asked > 0 {
                    if random.below(reads + asked) < asked {
                        asked -= 1;
                        let key = (REAL + random.below(1 << 40)) as u64;
                        if client.call(&format!("GET item:{key}")).as_bytes().is_none() {
                            *outside.lock().expect("nobody panics who holds it").entry(key).or_default() += 1;
                            client.check(&format!("SET item:{key} (none) EX 600"), "OK");
                        }
                        // Who attacks asks again.
                        assert!(
                            client.call(&format!("GET item:{key}")).as_bytes().is_none_or(|value| value == b"(none)")
                        );
                        continue;
                    }
                    reads -= 1;
                    let below = 1 + random.below(REAL);
                    let key = random.below(below);
                    let found = client.call(&format!("GET item:{key}"));
                    assert_ne!(found.as_bytes(), Some(&b"(none)"[..]), "item:{key} is there");
                    let is_late = reads + asked < all / 2;
                    gets.fetch_add(usize::from(is_late), Relaxed);
                    match found.as_bytes() {
                        Some(_) => _ = hits.fetch_add(usize::from(is_late), Relaxed),
                        None => client.check(&format!("SET item:{key} {value}"), "OK"),
                    }
                }
            });
        }
    });
    let outside = outside.into_inner().expect("nobody panics who holds it");
    Siege {
        outside: outside.values().sum(),
        most: outside.values().max().copied().unwrap_or_default(),
        hit_ratio: hits.into_inner() as f64 / gets.into_inner() as f64,
    }
}

/// `LARDER_RANDOM_KEYS=1000000 cargo test -p larder-tests --test rules -- --nocapture random_keys` asks for a million.
#[test]
fn random_keys_reach_no_database_that_a_guard_stands_before() {
    const RATE: f64 = 0.001;
    const MEMORY: &str = "20mb";
    let keys = std::env::var("LARDER_RANDOM_KEYS").map_or(20_000, |keys| keys.parse().expect("it is a number"));
    let rule = "absent-value (none) negative-ttl 10m";
    let show = |what: &str, siege: &Siege| {
        println!(
            "{keys} random keys, {what}: {} queries for them, {} for one at most; {:.4} of the GETs of real keys hit",
            siege.outside, siege.most, siege.hit_ratio
        );
    };
    let guarded = || {
        let mut node = Node::start_with(&[("--maxmemory", MEMORY)]);
        node.check(&format!("CACHE.GUARD RESERVE items {RATE} {REAL}"), "OK");
        for from in (0..REAL).step_by(1000) {
            let names: String = (from..from + 1000).map(|number| format!(" item:{number}")).collect();
            node.call(&format!("RPUSH names{names}"));
        }
        let loaded = node.int("CACHE.GUARD LOAD items names");
        assert!(loaded > REAL as i64 * 99 / 100, "{loaded}");
        node.check("DEL names", "1");
        node.check(&format!("CACHE.RULE SET item: {rule} guard items"), "OK");
        node
    };
    let calm = besiege(&guarded(), 0);
    show("none asked for", &calm);
    let mut node = guarded();
    let siege = besiege(&node, keys);
    show("a guard of 0.1 %", &siege);
    println!("{}", node.text("CACHE.GUARD INFO items"));
    let expected = keys as f64 * RATE;
    assert!((siege.outside as f64) <= expected + 5.0 * expected.sqrt(), "{} of {keys}", siege.outside);
    assert!(siege.hit_ratio > calm.hit_ratio - 0.02, "{} where it was {}", siege.hit_ratio, calm.hit_ratio);
    // All filters are there, though other keys had to make room.
    assert!(node.info_number("evicted_keys") > 0);
    assert!(node.text("CACHE.GUARD INFO items").contains("16384"));
    let mut node = Node::start_with(&[("--maxmemory", MEMORY)]);
    node.check(&format!("CACHE.RULE SET item: {rule}"), "OK");
    let without = besiege(&node, keys);
    show("no guard", &without);
    assert!(without.outside > keys * 99 / 100);
    // Of a million the negative entries do not all fit beside real keys, and one that comes twice may be asked for twice.
    assert!(without.most <= if keys > 100_000 { 2 } else { 1 }, "one was asked for {} times", without.most);
}

#[test]
fn keys_that_are_set_together_do_not_expire_together() {
    const KEYS: usize = 100_000;
    const TTL_MS: u64 = 60_000;
    const SHARE: f64 = 0.2;
    let node = Node::start();
    let mut client = node.connect();
    client.check("CACHE.RULE SET page: ttl-jitter 20%", "OK");
    let mut per_second: BTreeMap<i64, usize> = BTreeMap::new();
    for number in 0..KEYS {
        client.check(&format!("SET page:{number} v PX {TTL_MS}"), "OK");
        let left = client.int(&format!("PTTL page:{number}"));
        assert!((0.8 * TTL_MS as f64 - 100.0..=TTL_MS as f64).contains(&(left as f64)), "{left}");
        *per_second.entry(left / 1000).or_default() += 1;
    }
    let peak = per_second.values().max().copied().unwrap_or_default();
    // Spread evenly over a fifth of the TTL.
    let theory = KEYS as f64 / (SHARE * TTL_MS as f64 / 1000.0);
    println!("the most that expire in one second: {peak} of {KEYS}, by theory {theory:.0}");
    assert!((peak as f64) < 1.2 * theory, "{peak}, by theory {theory}");
}

#[test]
fn rules_stand_in_files_and_flags_and_mistakes_are_told_with_their_place() {
    let mut node = Node::start_with(&[("--rule", "hot: lease on")]);
    node.check("CACHE.RULE LIST", r#"["hot:", ["lease", "on"]]"#);
    let toml = "[[rule]]\nprefix = \"hot:\"\nlease = true\nttl-jitter = \"20%\"\n\n[[rule]]\nprefix = \"cold:\"\nttl-jitter = 5\n";
    let launch = Launch::new().file("node.toml", toml);
    let args = format!("{}/node.toml --port {}", launch.folder().display(), launch.port());
    let node = launch.args(&args).node();
    let mut client = node.connect();
    client.check("CACHE.RULE GET hot:", r#"["lease", "on", "ttl-jitter", "20%"]"#);
    client.check("CACHE.RULE GET cold:", r#"["ttl-jitter", "5%"]"#);
    for (text, expected) in [
        ("[[rule]]\nlease = true\n", "node.toml:1: rule: a rule needs a prefix"),
        (
            "\n[[rule]]\nprefix = \"a\"\nleas = true\n",
            "node.toml:2: rule: found 'a leas yes': a rule has no field 'leas'",
        ),
        ("[[rule]]\nprefix = \"a\"\nttl-jitter = \"100%\"\n", "would leave nothing of a TTL"),
        (
            "[[rule]]\nprefix = \"a\"\nlease = true\n[[rule]]\nprefix = \"a\"\nlease = true\n",
            "there is a rule for 'a' already",
        ),
    ] {
        let ended = Launch::new().file("node.toml", text).args("node.toml").run();
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!ended.status.success() && told.contains(expected), "{text}: {told}");
    }
}

/// Keys that are given one tag at a time.
const TAGGED_AT_ONCE: usize = 1000;

/// `LARDER_TAGGED_KEYS=1000000` makes as many, and prints how long it takes to declare them wrong.
#[test]
fn a_tag_of_many_keys_is_declared_wrong_in_one_go() {
    let keys: usize = std::env::var("LARDER_TAGGED_KEYS").map_or(50_000, |keys| keys.parse().expect("a number"));
    let node = Node::start();
    let mut client = node.connect();
    for from in (0..keys).step_by(TAGGED_AT_ONCE) {
        let lines = (from..from + TAGGED_AT_ONCE).map(|key| format!("CACHE.SET page:{key} value TAGS 1 shop\r\n"));
        client.send_raw(lines.collect::<String>());
        (0..TAGGED_AT_ONCE).for_each(|_| client.expect("OK"));
    }
    client.check("DBSIZE", &keys.to_string());
    let mut other = node.connect();
    let (mut longest, mut random) = (Duration::ZERO, Random::new(seed()));
    let begin = Instant::now();
    client.check("CACHE.INVALIDATE shop", &keys.to_string());
    let took = begin.elapsed();
    // None is read, though next to none has been swept.
    for _ in 0..1000 {
        let begin = Instant::now();
        other.check(&format!("GET page:{}", random.below(keys)), "nil");
        longest = longest.max(begin.elapsed());
    }
    client.check("DBSIZE", "0");
    println!("{keys} keys were declared wrong in {took:.1?}; the longest GET behind that took {longest:.1?}");
}
