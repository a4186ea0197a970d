//! Commands that wait for a key, between connections of several workers: who is served, by what, in which order, and how
//! waits end.

use larder_tests::{Client, Node, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

fn start() -> Node {
    Node::with_workers(4)
}

/// A new connection, whose command waits by the time this returns.
#[track_caller]
fn waiter(node: &mut Node, command: &str) -> Client {
    let mut client = node.connect();
    wait_with(node, &mut client, command);
    client
}

/// Sends a command that waits by the time this returns.
#[track_caller]
fn wait_with(node: &mut Node, client: &mut Client, command: &str) {
    let waiting = node.info_number("blocked_clients");
    client.send(command);
    wait_for_waiters(node, waiting + 1);
}

#[track_caller]
fn wait_for_waiters(node: &mut Node, count: i64) {
    wait_until("so many wait", || node.info_number("blocked_clients") == count);
}

/// Runs commands that are divided by semicolons; `DUMPED` stands for the serialized value of the key `s`.
fn run(node: &mut Node, commands: &str) {
    for command in commands.split(';').map(str::trim).filter(|command| !command.is_empty()) {
        if command.contains("DUMPED") {
            let dumped = node.call("DUMP s").as_bytes().expect("there is a key s").to_vec();
            let words = command.split(' ').map(|word| if word == "DUMPED" { dumped.clone() } else { word.into() });
            node.call_words(&words.collect::<Vec<_>>());
        } else {
            node.call(command);
        }
    }
}

/// Every waiter must be served by every feed, which is prepared in a node that is empty.
fn check_feeds(waiters: &[(&str, &str)], feeds: &[(&str, &str)]) {
    let mut node = start();
    for (command, expected) in waiters {
        for (before, feed) in feeds {
            println!("{command} <- {feed}");
            run(&mut node, before);
            let mut client = waiter(&mut node, command);
            run(&mut node, feed);
            client.expect_matches(expected);
            run(&mut node, "FLUSHALL");
        }
    }
}

// --- what feeds whom

#[test]
fn every_write_that_makes_a_list_feeds_who_waits_for_one() {
    check_feeds(
        &[
            ("BLPOP q 0", r#"["q", "a"]"#),
            ("BRPOP none q other 0", r#"["q", "a"]"#),
            ("BLMPOP 0 2 none q LEFT COUNT 3", r#"["q", ["a"]]"#),
            ("BLMOVE q d LEFT RIGHT 0", "a"),
            ("BRPOPLPUSH q d 0", "a"),
        ],
        &[
            ("", "LPUSH q a"),
            ("", "RPUSH q a"),
            ("RPUSH s a", "LMOVE s q LEFT LEFT"),
            ("RPUSH s a", "RPOPLPUSH s q"),
            ("RPUSH s a", "BLMOVE s q LEFT LEFT 0"),
            ("RPUSH s a", "RENAME s q"),
            ("RPUSH s a", "RENAMENX s q"),
            ("RPUSH s a", "COPY s q"),
            ("RPUSH s a", "SORT s ALPHA STORE q"),
            ("RPUSH s a", "RESTORE q 0 DUMPED"),
            ("SELECT 1; RPUSH q a", "MOVE q 0; SELECT 0"),
            ("SELECT 1; RPUSH q a; SELECT 0", "SWAPDB 0 1"),
            ("", "MULTI; RPUSH q a; EXEC"),
            ("", "MULTI; RPUSH q x; DEL q; RPUSH q a; EXEC"),
            ("RPUSH s a", "MULTI; SELECT 1; SELECT 0; RENAME s q; EXEC"),
        ],
    );
}

#[test]
fn every_write_that_makes_a_sorted_set_feeds_who_waits_for_one() {
    check_feeds(
        &[
            ("BZPOPMIN z 0", r#"["z", "a", "*"]"#),
            ("BZPOPMAX none z 0", r#"["z", "a", "*"]"#),
            ("BZMPOP 0 2 none z MIN COUNT 5", r#"["z", [["a", "*"]]]"#),
        ],
        &[
            ("", "ZADD z 1 a"),
            ("", "ZADD z INCR 1 a"),
            ("", "ZINCRBY z 1 a"),
            ("ZADD s 1 a", "ZUNIONSTORE z 1 s"),
            ("ZADD s 1 a", "ZINTERSTORE z 2 s s"),
            ("ZADD s 1 a", "ZDIFFSTORE z 2 s none"),
            ("ZADD s 1 a", "ZRANGESTORE z s 0 -1"),
            ("", "GEOADD z 1 1 a"),
            ("GEOADD s 1 1 a", "GEOSEARCHSTORE z s FROMLONLAT 1 1 BYRADIUS 5 km"),
            ("GEOADD s 1 1 a", "GEORADIUS s 1 1 5 km STORE z"),
            ("ZADD s 1 a", "RENAME s z"),
            ("ZADD s 1 a", "COPY s z"),
            ("ZADD s 1 a", "RESTORE z 0 DUMPED"),
            ("SELECT 1; ZADD z 1 a", "MOVE z 0; SELECT 0"),
            ("SELECT 1; ZADD z 1 a; SELECT 0", "SWAPDB 0 1"),
            ("", "MULTI; ZADD z 1 a; EXEC"),
        ],
    );
}

#[test]
fn every_write_that_makes_entries_feeds_who_reads_a_stream() {
    let entry = r#"[["x", [["7-1", ["f", "v"]]]]]"#;
    let add = "XADD s 7-1 f v";
    check_feeds(
        &[("XREAD BLOCK 0 STREAMS x 0", entry), ("XREAD COUNT 1 BLOCK 0 STREAMS none x 0 $", entry)],
        &[
            ("", "XADD x 7-1 f v"),
            ("", "MULTI; XADD x 7-1 f v; EXEC"),
            (add, "RENAME s x"),
            (add, "COPY s x"),
            (add, "RESTORE x 0 DUMPED"),
            ("SELECT 1; XADD x 7-1 f v", "MOVE x 0; SELECT 0"),
            ("SELECT 1; XADD x 7-1 f v; SELECT 0", "SWAPDB 0 1"),
        ],
    );
    check_feeds(
        &[("XREADGROUP GROUP g c BLOCK 0 STREAMS x >", entry)],
        &[
            ("XGROUP CREATE x g $ MKSTREAM", "XADD x 7-1 f v"),
            ("XGROUP CREATE x g $ MKSTREAM", "MULTI; XADD x 7-1 f v; EXEC"),
        ],
    );
}

#[test]
fn writes_that_bring_nothing_wake_nobody() {
    let mut node = start();
    let mut list = waiter(&mut node, "BLPOP q 0");
    let mut zset = waiter(&mut node, "BZPOPMIN q 0");
    let mut stream = waiter(&mut node, "XREAD BLOCK 0 STREAMS q $");
    run(&mut node, "LINSERT q BEFORE a b; LPUSHX q a; SET q v; APPEND q w; EXPIRE q 100; DEL q; SADD q a; DEL q");
    run(&mut node, "MULTI; RPUSH q a; DEL q; EXEC; XGROUP CREATE q g $ MKSTREAM; DEL q");
    wait_for_waiters(&mut node, 3);
    run(&mut node, "ZADD q 1 a");
    zset.expect(r#"["q", "a", "1"]"#);
    run(&mut node, "RPUSH q b");
    list.expect(r#"["q", "b"]"#);
    run(&mut node, "XADD q 1-1 f v");
    stream.expect(r#"[["q", [["1-1", ["f", "v"]]]]]"#);
}

#[test]
fn a_key_that_comes_with_another_type_is_waited_past() {
    let mut node = start();
    let mut client = waiter(&mut node, "BLPOP q 0");
    run(&mut node, "ZADD q 1 a; DEL q; SET q v; RENAME q p; RPUSH q a");
    client.expect(r#"["q", "a"]"#);
}

// --- in which order

#[test]
fn who_came_first_is_served_first_whatever_it_takes() {
    let mut node = start();
    let commands = ["BLPOP q 0", "BRPOP q 0", "BLMPOP 0 1 q LEFT", "BLMOVE q d LEFT LEFT 0", "BRPOPLPUSH q d 0"];
    let mut clients: Vec<_> = (0..20).map(|number| waiter(&mut node, commands[number % commands.len()])).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        node.check(&format!("RPUSH q {number}"), "1");
        client.expect_matches(&format!("*{number}*"));
    }
    let mut clients: Vec<_> = (0..20).map(|_| waiter(&mut node, "BZPOPMIN z 0")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        node.connect().check(&format!("ZADD z {number} m"), "1");
        client.expect(&format!(r#"["z", "m", "{number}"]"#));
    }
    node.check("DBSIZE", "1");
}

#[test]
fn several_elements_serve_several_in_their_order_and_the_rest_stays() {
    let mut node = start();
    let mut clients: Vec<_> = (0..8).map(|_| waiter(&mut node, "BLPOP q 0")).collect();
    node.check("RPUSH q 0 1 2 3 4 5 6 7 8 9", "10");
    node.check("LRANGE q 0 -1", r#"["8", "9"]"#);
    for (number, client) in clients.iter_mut().enumerate() {
        client.expect(&format!(r#"["q", "{number}"]"#));
    }
    let mut first = waiter(&mut node, "BZMPOP 0 1 z MAX COUNT 2");
    let mut second = waiter(&mut node, "BZPOPMIN z 0");
    node.check("ZADD z 1 a 2 b 3 c 4 d", "4");
    first.expect(r#"["z", [["d", "4"], ["c", "3"]]]"#);
    second.expect(r#"["z", "a", "1"]"#);
    node.check("ZRANGE z 0 -1", r#"["b"]"#);
}

#[test]
fn every_reader_of_a_stream_is_served_and_a_group_shares() {
    let mut node = start();
    run(&mut node, "XGROUP CREATE x g $ MKSTREAM");
    let mut readers: Vec<_> = (0..3).map(|_| waiter(&mut node, "XREAD BLOCK 0 STREAMS x $")).collect();
    let mut members: Vec<_> = (0..3)
        .map(|number| waiter(&mut node, &format!("XREADGROUP GROUP g c{number} COUNT 1 BLOCK 0 STREAMS x >")))
        .collect();
    for (number, member) in members.iter_mut().enumerate() {
        let entry = format!(r#"[["x", [["{}-1", ["f", "v"]]]]]"#, number + 1);
        run(&mut node, &format!("XADD x {}-1 f v", number + 1));
        member.expect(&entry);
        if number == 0 {
            readers.iter_mut().for_each(|reader| reader.expect(&entry));
        }
    }
}

#[test]
fn one_line_is_kept_for_each_of_several_keys() {
    let mut node = start();
    let mut first = waiter(&mut node, "BLPOP a b c 0");
    let mut second = waiter(&mut node, "BLPOP c b 0");
    let mut third = waiter(&mut node, "BLPOP a 0");
    node.check("RPUSH b 1", "1");
    first.expect(r#"["b", "1"]"#);
    node.check("RPUSH a 2", "1");
    third.expect(r#"["a", "2"]"#);
    node.check("MULTI", "OK");
    node.check_all(&["RPUSH b 3", "RPUSH c 4"], "QUEUED");
    node.check("EXEC", "[1, 1]");
    second.expect_matches("*");
    node.check("RPUSH a 5", "1");
    node.check("EXISTS a b c", "2");
}

#[test]
fn a_key_that_is_named_twice_gives_once() {
    let mut node = start();
    let mut first = waiter(&mut node, "BLPOP a a a 0");
    let mut second = waiter(&mut node, "BLPOP a a 0");
    node.check("RPUSH a 1", "1");
    first.expect(r#"["a", "1"]"#);
    node.check("RPUSH a 2 3", "2");
    second.expect(r#"["a", "2"]"#);
    node.check("LRANGE a 0 -1", r#"["3"]"#);
}

#[test]
fn what_is_moved_feeds_the_next() {
    let mut node = start();
    let mut last = waiter(&mut node, "BLPOP d 0");
    let mut movers: Vec<_> = [("c", "d"), ("b", "c"), ("a", "b")]
        .map(|(from, to)| waiter(&mut node, &format!("BLMOVE {from} {to} LEFT LEFT 0")))
        .into();
    node.check("RPUSH a x", "1");
    last.expect(r#"["d", "x"]"#);
    movers.iter_mut().for_each(|client| client.expect("x"));
    node.check("DBSIZE", "0");
    // Round in one list: whoever comes behind is served as well.
    let mut rounds: Vec<_> = (0..3).map(|_| waiter(&mut node, "BLMOVE r r LEFT RIGHT 0")).collect();
    let mut taker = waiter(&mut node, "BLPOP r 0");
    node.check("RPUSH r x", "1");
    rounds.iter_mut().for_each(|client| client.expect("x"));
    taker.expect(r#"["r", "x"]"#);
    node.check("DBSIZE", "0");
}

#[test]
fn a_mover_that_cannot_put_the_element_anywhere_is_told_and_the_next_is_served() {
    let mut node = start();
    node.check("SET d v", "OK");
    let mut first = waiter(&mut node, "BLMOVE q d LEFT LEFT 0");
    let mut second = waiter(&mut node, "BRPOPLPUSH q d 0");
    let mut third = waiter(&mut node, "BLPOP q 0");
    node.check("RPUSH q a", "1");
    first.expect(WRONG_TYPE);
    second.expect(WRONG_TYPE);
    third.expect(r#"["q", "a"]"#);
}

#[test]
fn a_command_is_run_anew_once_it_is_served() {
    let Some(mut node) = Node::since("7.2") else { return };
    let mut client = waiter(&mut node, "BLPOP s q 0");
    let mut other = waiter(&mut node, "BLPOP q 0");
    node.check("SET s v", "OK");
    node.check("RPUSH q a", "1");
    client.expect(WRONG_TYPE);
    other.expect(r#"["q", "a"]"#);
}

// --- how waits end

#[test]
fn a_wait_ends_when_its_time_is_over_and_never_before() {
    let mut node = start();
    node.check("XGROUP CREATE x g $ MKSTREAM", "OK");
    let mut latest = Duration::ZERO;
    for (command, ms) in [
        ("BLPOP q 0.05", 50),
        ("BRPOP q r 0.0501", 50),
        ("BLMPOP 0.003 1 q LEFT", 3),
        ("BLMOVE q r LEFT LEFT 0.001", 1),
        ("BRPOPLPUSH q r 0.12", 120),
        ("BZPOPMIN q 0.02", 20),
        ("BZPOPMAX q 0.02", 20),
        ("BZMPOP 0.02 1 q MIN", 20),
        ("XREAD BLOCK 30 STREAMS x $", 30),
        ("XREADGROUP GROUP g c BLOCK 30 STREAMS x >", 30),
    ] {
        for _ in 0..5 {
            let asked = Instant::now();
            node.check(command, "nil");
            let took = asked.elapsed();
            assert!(took >= Duration::from_millis(ms), "{command} was answered after {took:?}");
            latest = latest.max(took - Duration::from_millis(ms));
        }
    }
    println!("late by {latest:?} at the most");
    assert!(latest < Duration::from_millis(500), "late by {latest:?}");
    node.check("DBSIZE", "1");
}

#[test]
fn times_that_are_none_are_refused() {
    let Some(mut node) = Node::since("7.2") else { return };
    for (time, fault) in [
        ("-1", "negative"),
        ("-inf", "negative"),
        ("-1e400", "negative"),
        ("inf", "out of range"),
        ("1e400", "out of range"),
        ("1e17", "out of range"),
        ("1e5000", "not a float or out of range"),
        ("x", "not a float or out of range"),
        ("nan", "not a float or out of range"),
    ] {
        node.check(&format!("BLPOP q {time}"), &format!("ERR timeout is {fault}"));
        node.check(&format!("BZMPOP {time} 1 q MIN"), &format!("ERR timeout is {fault}"));
    }
}

#[test]
fn a_wait_begins_when_its_command_does() {
    let mut node = start();
    let asked = Instant::now();
    node.send_raw("DEBUG SLEEP 0.1\r\nBLPOP q 0.1\r\n");
    node.expect("OK");
    node.expect("nil");
    assert!(asked.elapsed() >= Duration::from_millis(200), "both were over after {:?}", asked.elapsed());
}

#[test]
fn others_end_a_wait() {
    let mut node = start();
    node.check("XGROUP CREATE x g $ MKSTREAM", "OK");
    for command in [
        "BLPOP q 0",
        "BLMOVE q d LEFT LEFT 100",
        "BZMPOP 0 1 q MIN",
        "XREAD BLOCK 0 STREAMS x $",
        "XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
    ] {
        let mut client = node.connect();
        let id = client.int("CLIENT ID");
        node.check(&format!("CLIENT UNBLOCK {id}"), "0");
        for (how, expected) in
            [("", "nil"), ("TIMEOUT", "nil"), ("ERROR", "UNBLOCKED client unblocked via CLIENT UNBLOCK")]
        {
            wait_with(&mut node, &mut client, command);
            node.check_matches(&format!("CLIENT LIST ID {id}"), "*flags=b *");
            node.check(&format!("CLIENT UNBLOCK {id} {how}"), "1");
            node.check(&format!("CLIENT UNBLOCK {id} {how}"), "0");
            client.expect(expected);
            client.check("PING", "PONG");
            node.check_matches(&format!("CLIENT LIST ID {id}"), "*flags=N *");
        }
    }
    node.check("RPUSH q a", "1");
    node.check("LLEN q", "1");
}

#[test]
fn who_is_served_is_not_seen_to_wait_any_more() {
    let mut node = start();
    let mut client = node.connect();
    let id = client.int("CLIENT ID");
    for _ in 0..100 {
        wait_with(&mut node, &mut client, "BLPOP q 0");
        node.send_raw(format!("RPUSH q a\r\nCLIENT UNBLOCK {id} ERROR\r\nINFO clients\r\n"));
        node.expect("1");
        node.expect("0");
        node.expect_matches("*blocked_clients:0*");
        client.expect(r#"["q", "a"]"#);
    }
}

#[test]
fn who_waits_no_more_keeps_nobody_behind_it_waiting() {
    let mut node = start();
    for end in ["CLIENT KILL ID", "CLIENT UNBLOCK"] {
        for _ in 0..30 {
            let mut first = node.connect();
            let id = first.int("CLIENT ID");
            wait_with(&mut node, &mut first, "BLPOP q 0");
            let mut second = waiter(&mut node, "BLPOP q 0");
            node.send_raw(format!("{end} {id}\r\nRPUSH q a\r\nEXISTS q\r\n"));
            node.expect("1");
            node.expect("1");
            node.expect("0");
            second.expect(r#"["q", "a"]"#);
        }
    }
}

#[test]
fn who_has_left_takes_nothing() {
    let mut node = start();
    let leave = |node: &mut Node, client: Client| {
        drop(client);
        wait_for_waiters(node, 0);
    };
    let client = waiter(&mut node, "BLPOP q r 0");
    leave(&mut node, client);
    node.check("RPUSH q a", "1");
    let client = waiter(&mut node, "BZPOPMIN z 0");
    leave(&mut node, client);
    node.check("ZADD z 1 a", "1");
    let mut client = waiter(&mut node, "BLMOVE s d LEFT LEFT 0");
    node.check("CLIENT KILL TYPE normal SKIPME yes", "1");
    client.expect_closed();
    node.check("RPUSH s a", "1");
    node.check("EXISTS q z s d", "3");
    wait_for_waiters(&mut node, 0);
}

#[test]
fn readers_of_a_group_are_told_when_it_is_gone() {
    let Some(mut node) = Node::since("7.2") else { return };
    let gone = "NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option";
    for (how, expected) in [
        ("XGROUP DESTROY x g", gone),
        ("DEL x", gone),
        ("UNLINK x", gone),
        ("RENAME x y", gone),
        ("MOVE x 1", gone),
        ("PEXPIRE x 20", gone),
        ("FLUSHDB", gone),
        ("FLUSHALL", gone),
        ("SWAPDB 0 2", gone),
        ("MULTI; DEL x; XADD x 1-1 f v; EXEC", gone),
        ("SET x v", WRONG_TYPE),
        ("RPUSH s a; RENAME s x", WRONG_TYPE),
    ] {
        println!("{how}");
        run(&mut node, "FLUSHALL; XGROUP CREATE x g $ MKSTREAM");
        let mut client = waiter(&mut node, "XREADGROUP GROUP g c BLOCK 0 STREAMS x >");
        let mut reader = waiter(&mut node, "XREAD BLOCK 0 STREAMS none $");
        run(&mut node, how);
        client.expect(expected);
        node.check("XADD none 1-1 f v", "1-1");
        reader.expect_matches("*1-1*");
    }
}

#[test]
fn a_group_s_key_that_expires_tells_its_readers_with_nobody_s_help() {
    let Some(mut node) = Node::since("7.2") else { return };
    node.check("XGROUP CREATE x g $ MKSTREAM", "OK");
    node.check("PEXPIRE x 100", "1");
    let mut client = node.connect();
    // Nothing else is asked of the node until the reply has come.
    client.check(
        "XREADGROUP GROUP g c BLOCK 0 STREAMS x >",
        "NOGROUP No such key 'x' or consumer group 'g' in XREADGROUP with GROUP option",
    );
}

// --- around a wait

#[test]
fn nothing_waits_inside_a_transaction() {
    let mut node = start();
    node.check("MULTI", "OK");
    let commands = ["BLPOP q 0", "BLMOVE q d LEFT LEFT 0", "BZPOPMIN z 0", "XREAD BLOCK 0 STREAMS x $"];
    node.check_all(&commands, "QUEUED");
    node.check("EXEC", "[nil, nil, nil, nil]");
}

#[test]
fn what_was_sent_behind_a_waiting_command_is_run_behind_it() {
    let mut node = start();
    let mut client = node.connect();
    let behind = "BLPOP q 0\r\nPING\r\nRPUSH r 1\r\nBLPOP q 0\r\nLLEN r\r\nBLPOP none 0.01\r\nPING x\r\n";
    client.send_raw(behind);
    wait_for_waiters(&mut node, 1);
    client.send_raw("ECHO later\r\n");
    node.check("EXISTS r", "0");
    node.check("RPUSH q a", "1");
    for expected in [r#"["q", "a"]"#, "PONG", "1"] {
        client.expect(expected);
    }
    wait_for_waiters(&mut node, 1);
    node.check("RPUSH q b", "1");
    for expected in [r#"["q", "b"]"#, "1", "nil", "x", "later"] {
        client.expect(expected);
    }
}

#[test]
fn a_pause_holds_feeders_back_but_no_time_out() {
    let mut node = start();
    let mut waits = waiter(&mut node, "BLPOP q 0");
    let mut ends = waiter(&mut node, "BLPOP r 0.2");
    node.check("CLIENT PAUSE 100000 WRITE", "OK");
    let mut feeder = node.connect();
    feeder.send("RPUSH q a b");
    let mut later = node.connect();
    later.send("BLPOP q 0");
    ends.expect("nil");
    node.check("EXISTS q", "0");
    node.check("CLIENT UNPAUSE", "OK");
    feeder.expect("2");
    waits.expect(r#"["q", "a"]"#);
    later.expect(r#"["q", "b"]"#);
}

#[test]
fn a_node_that_stops_waits_for_nobody() {
    let mut node = start();
    let mut clients: Vec<_> = (0..8).map(|_| waiter(&mut node, "BLPOP q 0")).collect();
    node.send("SHUTDOWN NOSAVE");
    clients.iter_mut().for_each(Client::expect_closed);
    assert!(node.wait_for_exit().success());
}

#[test]
fn who_waits_is_not_idle_and_speaks_its_protocol() {
    let mut node = start();
    node.check("CONFIG SET timeout 1", "OK");
    let mut idle = node.connect();
    let mut client = node.resp3();
    wait_with(&mut node, &mut client, "BZPOPMIN z 0");
    idle.expect_closed();
    node.connect().check("ZADD z 1.5 a", "1");
    client.expect(r#"["z", "a", 1.5]"#);
}

#[test]
fn info_counts_who_waits_and_for_what() {
    let Some(mut node) = Node::since("7.2") else { return };
    node.check("XGROUP CREATE x g $ MKSTREAM", "OK");
    let waits = ["BLPOP a b 0", "BLPOP b 100", "BZPOPMIN c 100", "XREADGROUP GROUP g c BLOCK 0 STREAMS x >"];
    let clients: Vec<_> = waits.iter().map(|command| waiter(&mut node, command)).collect();
    for (field, count) in [
        ("blocked_clients", 4),
        ("clients_in_timeout_table", 2),
        ("total_blocking_keys", 4),
        ("total_blocking_keys_on_nokey", 1),
    ] {
        assert_eq!(node.info_number(field), count, "{field}");
    }
    drop(clients);
    wait_for_waiters(&mut node, 0);
    assert_eq!(node.info_number("total_blocking_keys"), 0);
    assert_eq!(node.info_number("total_blocking_keys_on_nokey"), 0);
}

// --- many at once

#[test]
fn no_wake_up_is_lost_between_workers() {
    const PAIRS: usize = 6;
    const ROUNDS: usize = 400;
    let node = start();
    thread::scope(|scope| {
        for pair in 0..PAIRS {
            let (mut here, mut there) = (node.connect(), node.connect());
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    here.send_raw(format!("RPUSH to:{pair} {round}\r\nBLPOP from:{pair} 0\r\n"));
                    here.expect("1");
                    here.expect(&format!(r#"["from:{pair}", "{round}"]"#));
                }
            });
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    there.check(&format!("BLPOP to:{pair} 0"), &format!(r#"["to:{pair}", "{round}"]"#));
                    there.check(&format!("RPUSH from:{pair} {round}"), "1");
                }
            });
        }
    });
}

#[test]
fn every_element_is_taken_once_while_waits_end_all_the_time() {
    const ELEMENTS: usize = 2_000;
    const FEEDERS: usize = 3;
    let mut node = start();
    let taken = AtomicUsize::new(0);
    let lists: Vec<String> = (0..5).map(|number| format!("list:{number}")).collect();
    let names = lists.join(" ");
    thread::scope(|scope| {
        for number in 0..6 {
            let mut client = node.connect();
            let (taken, names) = (&taken, &names);
            scope.spawn(move || {
                while taken.load(Relaxed) < ELEMENTS * FEEDERS {
                    let reply = client.text(&format!("BLPOP {names} 0.00{}", number + 1));
                    if reply != "nil" {
                        assert!(reply.starts_with(r#"["list:"#), "{reply}");
                        taken.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        for feeder in 0..FEEDERS {
            let mut client = node.connect();
            let lists = &lists;
            scope.spawn(move || {
                for element in 0..ELEMENTS {
                    client.check_matches(&format!("RPUSH {} {element}", lists[(feeder + element) % lists.len()]), "#");
                }
            });
        }
    });
    assert_eq!(taken.load(Relaxed), ELEMENTS * FEEDERS);
    node.check("DBSIZE", "0");
}

#[test]
fn a_newcomer_takes_nothing_from_who_waited_before() {
    const ROUNDS: usize = 300;
    let mut node = start();
    let mut newcomer = node.connect();
    for round in 0..ROUNDS {
        let mut first = waiter(&mut node, "BLPOP q 0");
        let mut feeder = node.connect();
        // Both run at the same time, on two workers.
        feeder.send(&format!("RPUSH q {round}"));
        newcomer.send("BLPOP q 0.001");
        first.expect(&format!(r#"["q", "{round}"]"#));
        newcomer.expect("nil");
        feeder.expect("1");
    }
}
