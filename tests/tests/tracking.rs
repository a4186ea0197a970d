//! Client tracking between connections of several workers: who is told of which change, in what form, and what is kept for it.

use larder_client::resp::Reply;
use larder_tests::{Client, Node, wait_until};
use std::collections::BTreeMap;
use std::thread;

fn start() -> Node {
    Node::with_workers(4)
}

/// A connection that speaks RESP3 and is tracked.
#[track_caller]
fn tracked(node: &Node, options: &str) -> Client {
    let mut client = node.resp3();
    client.check(&format!("CLIENT TRACKING ON {options}"), "OK");
    client
}

fn gone(key: &str) -> String {
    format!(r#">["invalidate", ["{key}"]]"#)
}

const FLUSHED: &str = r#">["invalidate", nil]"#;

/// Expects that nothing has come to a connection that speaks RESP3. What was sent before is on its way by the time of the
/// first answer.
#[track_caller]
fn check_nothing_came(client: &mut Client) {
    for text in ["1", "2"] {
        client.send(&format!("ECHO x{text}"));
        client.expect(&format!("x{text}"));
    }
}

#[test]
fn who_has_read_a_key_is_told_once_whoever_changes_it() {
    let mut node = start();
    let mut client = tracked(&node, "");
    for (key, change) in [
        ("a", "SET a 1"),
        ("a", "APPEND a 1"),
        ("a", "EXPIRE a 100"),
        ("a", "PERSIST a"),
        ("a", "RENAME a b"),
        ("b", "COPY c b REPLACE"),
        ("b", "DEL b"),
        ("h", "HSET h f v"),
        ("h", "HDEL h f"),
        ("l", "RPUSH l a"),
        ("l", "LMOVE l m LEFT LEFT"),
        ("x", "XADD x 1-1 f v"),
        ("z", "ZADD z 1 a"),
        ("z", "ZUNIONSTORE z 1 z"),
    ] {
        println!("{change}");
        node.check("SET c v", "OK");
        client.check_matches(&format!("EXISTS {key}"), "#");
        node.connect().call(change);
        client.expect(&gone(key));
        node.connect().call(change);
        check_nothing_came(&mut client);
    }
}

#[test]
fn keys_of_all_databases_are_one_and_a_transaction_tells_of_each() {
    let mut node = start();
    let mut client = tracked(&node, "");
    client.check("MGET a b", "[nil, nil]");
    node.check("SELECT 3", "OK");
    node.check("SET a 1", "OK");
    client.expect(&gone("a"));
    node.check("MULTI", "OK");
    node.check_all(&["SET b 1", "SET b 2", "SET c 1"], "QUEUED");
    node.check("EXEC", "[OK, OK, OK]");
    client.expect(&gone("b"));
    check_nothing_came(&mut client);
    // What it reads in a transaction is tracked.
    client.check("MULTI", "OK");
    client.check("GET d", "QUEUED");
    client.check("EXEC", "[nil]");
    node.check("SET d 1", "OK");
    client.expect(&gone("d"));
}

#[test]
fn what_goes_by_itself_is_told_as_well() {
    let mut node = start();
    let mut client = tracked(&node, "");
    node.check("SET a v PX 300", "OK");
    client.check("GET a", "v");
    client.expect(&gone("a"));
    node.check("SET b v", "OK");
    client.check("GET b", "v");
    node.check("CONFIG SET maxmemory-policy allkeys-random", "OK");
    node.check("CONFIG SET maxmemory 32mb", "OK");
    let value = "x".repeat(100_000);
    let mut number = 0;
    wait_until("the key is evicted", || {
        for _ in 0..100 {
            number += 1;
            node.check(&format!("SET other:{number} {value}"), "OK");
        }
        node.text("EXISTS b") == "0"
    });
    client.expect(&gone("b"));
}

#[test]
fn a_flush_is_told_to_all_even_to_who_flushed() {
    let mut node = start();
    let mut reader = tracked(&node, "");
    let mut other = tracked(&node, "BCAST PREFIX p");
    let mut own = tracked(&node, "NOLOOP");
    for flush in ["FLUSHALL", "FLUSHDB", "FLUSHALL ASYNC"] {
        reader.call("GET a");
        node.check(flush, "OK");
        [&mut reader, &mut other, &mut own].iter_mut().for_each(|client| client.expect(FLUSHED));
        node.check("SET a 1", "OK");
        check_nothing_came(&mut reader);
    }
    own.send("FLUSHALL");
    own.expect("OK");
    own.expect(FLUSHED);
}

#[test]
fn own_changes_are_told_behind_their_reply_unless_it_wants_none() {
    let node = start();
    let mut client = tracked(&node, "");
    client.check("GET a", "nil");
    client.send_raw("SET a 1\r\nPING\r\n");
    client.expect("OK");
    client.expect(&gone("a"));
    client.expect("PONG");
    let mut silent = tracked(&node, "NOLOOP");
    silent.call("GET a");
    silent.check("SET a 2", "OK");
    check_nothing_came(&mut silent);
    silent.call("GET a");
    node.connect().check("SET a 3", "OK");
    silent.expect(&gone("a"));
}

#[test]
fn opt_in_remembers_what_follows_caching_yes() {
    let mut node = start();
    let mut client = tracked(&node, "OPTIN");
    client.check("GET a", "nil");
    client.check("CLIENT CACHING YES", "OK");
    client.check("GET b", "nil");
    client.check("GET c", "nil");
    client.check("CLIENT CACHING YES", "OK");
    client.check("MULTI", "OK");
    client.check("GET d", "QUEUED");
    client.check("EXEC", "[nil]");
    client.check("GET e", "nil");
    for key in ["a", "b", "c", "d", "e"] {
        node.check(&format!("SET {key} 1"), "OK");
    }
    client.expect(&gone("b"));
    client.expect(&gone("d"));
    check_nothing_came(&mut client);
    client.check("CLIENT CACHING NO", "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
}

#[test]
fn opt_out_remembers_all_but_what_follows_caching_no() {
    let mut node = start();
    let mut client = tracked(&node, "OPTOUT");
    client.check("GET a", "nil");
    client.check("CLIENT CACHING NO", "OK");
    client.check("GET b", "nil");
    client.check("GET c", "nil");
    for key in ["b", "a", "c"] {
        node.check(&format!("SET {key} 1"), "OK");
    }
    client.expect(&gone("a"));
    client.expect(&gone("c"));
    check_nothing_came(&mut client);
    client.check("CLIENT CACHING YES", "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
}

#[test]
fn broadcasts_tell_of_every_change_below_their_prefixes() {
    let mut node = start();
    let mut some = tracked(&node, "BCAST PREFIX user: PREFIX order:");
    let mut all = tracked(&node, "BCAST");
    let mut silent = tracked(&node, "BCAST NOLOOP PREFIX user:");
    node.check("SET user:1 v", "OK");
    node.check("SET other v", "OK");
    node.connect().check("DEL user:1", "1");
    all.expect_matches(&gone("user:1"));
    all.expect(&gone("other"));
    all.expect(&gone("user:1"));
    for client in [&mut some, &mut silent] {
        client.expect(&gone("user:1"));
        client.expect(&gone("user:1"));
    }
    silent.check("SET user:2 v", "OK");
    some.expect(&gone("user:2"));
    check_nothing_came(&mut silent);
    some.check("CLIENT TRACKING ON BCAST PREFIX item:", "OK");
    node.check("SET item:1 v", "OK");
    some.expect(&gone("item:1"));
    assert_eq!(node.info_number("tracking_total_prefixes"), 4);
    some.check("CLIENT TRACKING OFF", "OK");
    node.check("SET item:1 v", "OK");
    check_nothing_came(&mut some);
    drop((all, silent));
    wait_until("prefixes are forgotten", || node.info_number("tracking_total_prefixes") == 0);
}

#[test]
fn another_connection_is_told_in_its_stead() {
    let mut node = start();
    let mut told = node.connect();
    let id = told.int("CLIENT ID");
    told.send("SUBSCRIBE __redis__:invalidate");
    told.expect(r#"["subscribe", "__redis__:invalidate", 1]"#);
    let mut client = node.connect();
    client.check(&format!("CLIENT TRACKING ON REDIRECT {id}"), "OK");
    client.check("CLIENT GETREDIR", &id.to_string());
    client.check("GET a", "nil");
    node.check("SET a 1", "OK");
    told.expect(r#"["message", "__redis__:invalidate", ["a"]]"#);
    node.check("FLUSHALL", "OK");
    told.expect_raw("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n");
    // One that speaks RESP3 gets pushes.
    let mut newer = node.resp3();
    let id = newer.int("CLIENT ID");
    client.check(&format!("CLIENT TRACKING ON REDIRECT {id}"), "OK");
    client.check("GET a", "nil");
    node.check("SET a 1", "OK");
    newer.expect(&gone("a"));
    client.check("PING", "PONG");
}

#[test]
fn who_is_told_by_another_is_told_when_that_one_is_gone() {
    let mut node = start();
    let told = node.connect();
    let mut other = node.connect();
    let id = other.int("CLIENT ID");
    let mut client = tracked(&node, &format!("REDIRECT {id}"));
    client.check("GET a", "nil");
    drop(other);
    wait_until("it has left", || node.text(&format!("CLIENT LIST ID {id}")) == r#""""#);
    node.check("SET a 1", "OK");
    client.expect(&format!(r#">["tracking-redir-broken", {id}]"#));
    client.check(
        "CLIENT TRACKINGINFO",
        &format!(r#"{{"flags": ~["on", "broken_redirect"], "redirect": {id}, "prefixes": []}}"#),
    );
    client.check("CLIENT TRACKING ON", "OK");
    client.check("CLIENT TRACKINGINFO", r#"{"flags": ~["on"], "redirect": 0, "prefixes": []}"#);
    drop(told);
}

#[test]
fn a_connection_says_how_it_is_tracked() {
    let mut node = start();
    let mut client = node.resp3();
    client.check("CLIENT GETREDIR", "-1");
    client.check("CLIENT TRACKINGINFO", r#"{"flags": ~["off"], "redirect": -1, "prefixes": []}"#);
    client.check("CLIENT TRACKING ON OPTIN NOLOOP", "OK");
    client.check("CLIENT CACHING YES", "OK");
    client.check(
        "CLIENT TRACKINGINFO",
        r#"{"flags": ~["on", "optin", "caching-yes", "noloop"], "redirect": 0, "prefixes": []}"#,
    );
    client.check_matches("CLIENT LIST", "*flags=t *");
    assert_eq!(node.info_number("tracking_clients"), 1);
    // What is said again replaces what was said.
    client.check("CLIENT TRACKING ON", "OK");
    client.check("CLIENT TRACKINGINFO", r#"{"flags": ~["on"], "redirect": 0, "prefixes": []}"#);
    client.check("CLIENT TRACKING ON OPTOUT", "OK");
    client.check(
        "CLIENT TRACKING ON OPTIN",
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a \
         different mode.",
    );
    client.check(
        "CLIENT TRACKING ON BCAST",
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a \
         different mode.",
    );
    client.check("CLIENT TRACKING OFF", "OK");
    client.check("CLIENT TRACKING ON BCAST PREFIX a PREFIX b", "OK");
    client
        .check_matches("CLIENT TRACKINGINFO", r#"{"flags": ~["on", "bcast"], "redirect": 0, "prefixes": ["a", "b"]}"#);
    client.check(
        "CLIENT TRACKING ON BCAST PREFIX ab",
        "ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.",
    );
    for (options, fault) in [
        ("PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
        ("BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
        ("OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
        ("REDIRECT 99999", "The client ID you want redirect to does not exist"),
    ] {
        node.check(&format!("CLIENT TRACKING ON {options}"), &format!("ERR {fault}"));
    }
}

#[test]
fn keys_are_remembered_up_to_a_number_and_readers_of_others_are_told() {
    const READ: usize = 1_000;
    let mut node = start();
    node.check("CONFIG SET tracking-table-max-keys 600", "OK");
    let mut client = tracked(&node, "");
    for number in 0..READ {
        client.send(&format!("GET key:{number}"));
    }
    let told = |client: &mut Client, answers: usize, pushes: usize| {
        let mut seen = (0, 0);
        while seen.0 < answers || seen.1 < pushes {
            match client.connection().receive().expect("something comes") {
                Reply::Push(_) => seen.1 += 1,
                _ => seen.0 += 1,
            }
        }
    };
    told(&mut client, READ, READ - 600);
    wait_until("no more are remembered", || node.info_number("tracking_total_keys") == 600);
    assert_eq!(node.info_number("tracking_total_items"), 600);
    node.check("CONFIG SET tracking-table-max-keys 3", "OK");
    told(&mut client, 0, 597);
    wait_until("few are remembered", || node.info_number("tracking_total_keys") == 3);
    check_nothing_came(&mut client);
}

#[test]
fn readers_that_have_left_are_forgotten() {
    let Some(mut node) = Node::larder() else { return };
    for _ in 0..300 {
        let mut client = tracked(&node, "");
        client.check("GET hot", "nil");
    }
    let items = node.info_number("tracking_total_items");
    assert!(items < 100, "{items} readers are remembered");
}

#[test]
fn a_copy_is_never_older_than_what_has_been_told() {
    const KEYS: usize = 40;
    const READS: usize = 4_000;
    const WRITERS: usize = 4;
    let node = start();
    let mut reader = tracked(&node, "");
    let mut copies = BTreeMap::new();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut client = node.connect();
            scope.spawn(move || {
                for number in 0..READS {
                    client.check(&format!("SET key:{} {writer}:{number}", (number * 7 + writer) % KEYS), "OK");
                }
            });
        }
        for number in 0..READS {
            read(&mut reader, &mut copies, (number * 3) % KEYS);
        }
    });
    for _ in 0..2 {
        reader.check("PING", "PONG");
        forget(&mut reader, &mut copies);
    }
    let mut witness = node.connect();
    for (key, copy) in &copies {
        assert_eq!(witness.text(&format!("GET {key}")), *copy, "{key}");
    }
}

/// Reads a key, and keeps a copy of it.
fn read(reader: &mut Client, copies: &mut BTreeMap<String, String>, number: usize) {
    let key = format!("key:{number}");
    let value = reader.text(&format!("GET {key}"));
    forget(reader, copies);
    copies.insert(key, value);
}

/// Drops the copies that the connection has been told of.
fn forget(reader: &mut Client, copies: &mut BTreeMap<String, String>) {
    for push in reader.connection().take_pushes() {
        let keys = push[1].as_slice().expect("keys are told");
        for key in keys {
            copies.remove(&String::from_utf8_lossy(key.as_bytes().expect("a key is a string")).into_owned());
        }
    }
}
