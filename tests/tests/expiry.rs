//! That keys go when their time has come: all of them, soon, and without keeping anybody waiting.

use larder_client::resp::Reply;
use larder_tests::load::{beside_pings, requests};
use larder_tests::{Client, Node, wait_until};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a PING may take beside a load; see `robust.rs`.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Requests that are sent before their replies are read.
const DEPTH: usize = 1000;

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_millis() as u64
}

/// Sends `count` requests, some at a time, and expects `OK` to each.
#[track_caller]
fn send_all(client: &mut Client, count: usize, mut words: impl FnMut(usize) -> Vec<String>) {
    for from in (0..count).step_by(DEPTH) {
        let some = DEPTH.min(count - from);
        client.send_raw(requests(some, |number| words(from + number)));
        (0..some).for_each(|_| client.expect("OK"));
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn keys_that_expire_together_are_gone_soon_and_keep_nobody_waiting() {
    const KEYS: usize = 200_000;
    let mut node = Node::start_with(&[("--workers", "1")]);
    node.check("SET stays v", "OK");
    let before = node.info_number("used_memory");
    // Far enough away for all of them to be written in time.
    let due = now_ms() + 12_000;
    let mut writer = node.connect();
    send_all(&mut writer, KEYS, |number| {
        words(&format!("SET key:{number} some-value PXAT {}", due + number as u64 % 1000))
    });
    assert!(now_ms() < due, "the machine is too slow for this test to mean anything");
    node.check("DBSIZE", &(KEYS + 1).to_string());
    let most = node.info_number("used_memory");
    thread::sleep(Duration::from_millis(due - now_ms()));
    let mut pings = node.connect();
    let (gone, waits) = beside_pings(&mut pings, || {
        wait_until("they are all gone", || node.int("DBSIZE") == 1);
        now_ms() - due
    });
    eprintln!(
        "{KEYS} keys are gone {gone} ms after the first was due; the longest of {} PINGs took {:?}",
        waits.count, waits.longest
    );
    assert!(gone <= 3000, "they were gone after {gone} ms");
    assert!(waits.longest <= WAIT_MAX, "a PING took {:?}", waits.longest);
    let held = |node: &mut Node| node.info_number("used_memory") - before;
    wait_until("their memory is given back", || held(&mut node) < (most - before) / 10);
    assert_eq!(node.info_number("expired_keys"), KEYS as i64);
    node.check("GET stays", "v");
}

#[test]
fn times_to_live_are_exact_to_the_millisecond() {
    let mut node = Node::start();
    let mut early = 0;
    for number in 0..20 {
        let due = now_ms() + 30 + number;
        node.check(&format!("SET k v PXAT {due}"), "OK");
        node.check("PEXPIRETIME k", &due.to_string());
        loop {
            let asked = now_ms();
            let seen = node.text("GET k");
            let answered = now_ms();
            match seen.as_str() {
                "v" => {
                    assert!(asked <= due, "it was there {} ms after its time", asked - due);
                    early += 1;
                }
                _ => {
                    assert!(answered >= due, "it was gone {} ms before its time", due - answered);
                    break;
                }
            }
        }
        node.check("PTTL k", "-2");
    }
    assert!(early > 0, "the keys were never seen");
}

#[test]
fn what_has_expired_is_seen_by_no_command() {
    let mut node = Node::start();
    // Without active expiry the keys lie there until somebody comes upon them.
    node.check("DEBUG SET-ACTIVE-EXPIRE 0", "OK");
    let expire = |node: &mut Node| {
        node.check("FLUSHALL", "OK");
        let due = now_ms() + 5;
        node.check(&format!("SET k 5 PXAT {due}"), "OK");
        wait_until("its time has come", || now_ms() > due);
    };
    for (command, expected) in [
        ("GET k", "nil"),
        ("EXISTS k", "0"),
        ("TYPE k", "none"),
        ("TTL k", "-2"),
        ("PTTL k", "-2"),
        ("EXPIRETIME k", "-2"),
        ("PERSIST k", "0"),
        ("EXPIRE k 100", "0"),
        ("STRLEN k", "0"),
        ("MGET k k", "[nil, nil]"),
        ("KEYS *", "[]"),
        ("SCAN 0 COUNT 1000", r#"["0", []]"#),
        ("RANDOMKEY", "nil"),
        ("RENAME k l", "ERR no such key"),
        ("COPY k l", "0"),
        ("MOVE k 1", "0"),
        ("DUMP k", "nil"),
        ("OBJECT ENCODING k", "nil"),
        ("GETDEL k", "nil"),
        ("GETEX k PERSIST", "nil"),
        ("TOUCH k", "0"),
        ("DEL k", "0"),
        ("UNLINK k", "0"),
        ("GETRANGE k 0 -1", r#""""#),
        ("SET k new XX", "nil"),
        ("SETNX k new", "1"),
        ("SET k new GET", "nil"),
        ("INCR k", "1"),
        ("APPEND k x", "1"),
        ("SETRANGE k 1 x", "2"),
    ] {
        expire(&mut node);
        let seen = node.text(command);
        assert_eq!(seen, expected, "{command} on an expired key");
    }
}

#[test]
fn persisting_and_expiring_race_to_one_end() {
    let mut node = Node::start_with(&[("--workers", "2")]);
    let mut other = node.connect();
    for number in 0..100 {
        let due = now_ms() + 3;
        node.check(&format!("SET k {number} PXAT {due}"), "OK");
        // The answer says which of the two came first, and what is there afterwards agrees with it.
        let persisted = loop {
            if now_ms() + 1 >= due {
                break other.int("PERSIST k") == 1;
            }
        };
        wait_until("its time has come", || now_ms() > due + 1);
        let expected = if persisted { format!("\"{number}\"") } else { "nil".to_owned() };
        node.check("GET k", &expected);
        node.check("TTL k", if persisted { "-1" } else { "-2" });
        node.check("DEL k", if persisted { "1" } else { "0" });
    }
}

#[test]
fn few_keys_are_held_after_their_time() {
    const STEADY: usize = 50_000;
    const PER_ROUND: usize = 250;
    const ROUND: Duration = Duration::from_millis(50);
    const ROUNDS: u32 = 100;
    const TTL: Duration = Duration::from_millis(1000);
    let mut node = Node::start_with(&[("--workers", "2")]);
    send_all(&mut node, STEADY, |number| words(&format!("SET steady:{number} v")));
    // When each round's keys are due at the latest, and how many there are.
    let mut rounds: Vec<u64> = Vec::new();
    let start = Instant::now();
    let mut worst = 0;
    for round in 0..ROUNDS {
        // Paced, as the rate is what the test is about.
        thread::sleep((ROUND * round).saturating_sub(start.elapsed()));
        send_all(&mut node, PER_ROUND, |number| {
            words(&format!("SET fleeting:{round}:{number} v PX {}", TTL.as_millis()))
        });
        rounds.push(now_ms() + TTL.as_millis() as u64);
        let asked = now_ms();
        let held = node.int("DBSIZE") as usize;
        let alive = STEADY + rounds.iter().filter(|due| **due >= asked).count() * PER_ROUND;
        worst = worst.max(held.saturating_sub(alive));
    }
    eprintln!("at most {worst} keys were held after their time, beside {STEADY}");
    // Two rounds are less than what a tick of a busy machine may be late.
    assert!(worst <= STEADY / 50 + 4 * PER_ROUND, "{worst} keys were held after their time");
    wait_until("all are gone", || node.int("DBSIZE") as usize == STEADY);
}

#[test]
fn a_time_to_live_can_be_changed_again_and_again() {
    let mut node = Node::start();
    let mut wire = Vec::new();
    for number in 0..20_000 {
        larder_client::resp::encode_request(
            &["SET".into(), format!("key:{}", number % 500), "v".into(), "PX".into(), "100000".to_owned()],
            &mut wire,
        );
        larder_client::resp::encode_request(
            &["PEXPIRE".into(), format!("key:{}", number % 500), format!("{}", 50_000 + number)],
            &mut wire,
        );
    }
    node.send_raw(&wire);
    for _ in 0..20_000 {
        node.expect("OK");
        node.expect("1");
    }
    node.check("DBSIZE", "500");
    let reply = node.call("INFO keyspace");
    let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    assert!(text.contains("keys=500,expires=500"), "{text}");
    // A change leaves nothing behind that would end the key at its former time.
    node.check("SET k v PX 30", "OK");
    node.check("PEXPIRE k 100000", "1");
    let start = Instant::now();
    wait_until("its former time has passed", || start.elapsed() > Duration::from_millis(200));
    assert_eq!(node.call("GET k"), Reply::Bulk("v".into()));
}
