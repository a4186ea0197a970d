//! Publish and subscribe between connections: who receives what, in which order, and who is cut off.

use larder_tests::texts::arity;
use larder_tests::{Client, Node, wait_until};
use std::thread;

/// Sends a command that is answered by messages alone, and expects these.
#[track_caller]
fn check(client: &mut Client, command: &str, messages: &[&str]) {
    client.send(command);
    messages.iter().for_each(|message| client.expect(message));
}

#[test]
fn every_command_counts_its_words() {
    let mut node = Node::start();
    for (command, lines) in [
        ("subscribe", &["SUBSCRIBE"][..]),
        ("psubscribe", &["PSUBSCRIBE"]),
        ("ssubscribe", &["SSUBSCRIBE"]),
        ("publish", &["PUBLISH", "PUBLISH a", "PUBLISH a b c"]),
        ("spublish", &["SPUBLISH", "SPUBLISH a", "SPUBLISH a b c"]),
        ("pubsub", &["PUBSUB"]),
        ("pubsub|numpat", &["PUBSUB NUMPAT x"]),
        ("pubsub|help", &["PUBSUB HELP x"]),
    ] {
        node.check_all(lines, &arity(command));
    }
    node.check("PUBSUB NOPE", "ERR unknown subcommand 'NOPE'. Try PUBSUB HELP.");
    node.check(
        "PUBSUB CHANNELS a b",
        "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.",
    );
}

#[test]
fn a_subscriber_receives_what_is_published() {
    let mut node = Node::start();
    let mut client = node.connect();
    check(&mut client, "SUBSCRIBE news", &[r#"["subscribe", "news", 1]"#]);
    check(&mut client, "PSUBSCRIBE n* [a-c]", &[r#"["psubscribe", "n*", 2]"#, r#"["psubscribe", "[a-c]", 3]"#]);
    check(&mut client, "SSUBSCRIBE news", &[r#"["ssubscribe", "news", 1]"#]);
    node.check("PUBLISH news hello", "2");
    client.expect(r#"["message", "news", "hello"]"#);
    client.expect(r#"["pmessage", "n*", "news", "hello"]"#);
    node.check(r#"PUBLISH b "a\x00\r\n""#, "1");
    client.expect(r#"["pmessage", "[a-c]", "b", "a\x00\r\n"]"#);
    node.check("SPUBLISH news shard", "1");
    client.expect(r#"["smessage", "news", "shard"]"#);
    node.check("PUBLISH other nobody", "0");
    check(&mut client, "UNSUBSCRIBE news", &[r#"["unsubscribe", "news", 2]"#]);
    node.check("PUBLISH news less", "1");
    client.expect(r#"["pmessage", "n*", "news", "less"]"#);
    check(&mut client, "PUNSUBSCRIBE n* [a-c]", &[r#"["punsubscribe", "n*", 1]"#, r#"["punsubscribe", "[a-c]", 0]"#]);
    check(&mut client, "SUNSUBSCRIBE", &[r#"["sunsubscribe", "news", 0]"#]);
    client.check("GET k", "nil");
}

#[test]
fn resp3_brings_messages_between_replies() {
    let mut node = Node::start();
    let mut client = node.resp3();
    check(&mut client, "SUBSCRIBE a", &[r#">["subscribe", "a", 1]"#]);
    node.check("PUBLISH a 1", "1");
    client.expect(r#">["message", "a", "1"]"#);
    client.check("SET k v", "OK");
    client.check("PING", "PONG");
    check(&mut client, "PUNSUBSCRIBE", &[r#">["punsubscribe", nil, 1]"#]);
    client.check_matches("HELLO 2", "[*]");
    client.check("PING x", r#"["pong", "x"]"#);
    client.check(
        "GET k",
        "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    client.check("RESET", "RESET");
    client.check("GET k", "v");
    node.check("PUBLISH a 2", "0");
}

#[test]
fn who_publishes_to_itself_is_answered_first() {
    let Some(node) = Node::since("7.2") else { return };
    let mut client = node.resp3();
    check(&mut client, "SUBSCRIBE a b", &[r#">["subscribe", "a", 1]"#, r#">["subscribe", "b", 2]"#]);
    client.send_raw("PUBLISH a 1\r\nPUBLISH b 2\r\nPING\r\n");
    for expected in ["1", r#">["message", "a", "1"]"#, "1", r#">["message", "b", "2"]"#, "PONG"] {
        client.expect(expected);
    }
}

#[test]
fn those_who_want_no_replies_get_their_messages() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.send("CLIENT REPLY OFF");
    check(&mut client, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    node.check("PUBLISH a x", "1");
    client.expect(r#"["message", "a", "x"]"#);
    check(&mut client, "UNSUBSCRIBE", &[r#"["unsubscribe", "a", 0]"#]);
    client.send("GET k");
    client.check("CLIENT REPLY ON", "OK");
    client.send("CLIENT REPLY SKIP");
    check(&mut client, "SUBSCRIBE b", &[r#"["subscribe", "b", 1]"#]);
    client.check("PING", r#"["pong", ""]"#);
}

#[test]
fn subscribers_are_listed_counted_and_killed() {
    let mut node = Node::start();
    let mut client = node.connect();
    check(&mut client, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    check(&mut client, "PSUBSCRIBE p*", &[r#"["psubscribe", "p*", 2]"#]);
    check(&mut client, "SSUBSCRIBE s", &[r#"["ssubscribe", "s", 1]"#]);
    node.check_matches("CLIENT LIST TYPE pubsub", "id=*flags=P db=0 sub=1 psub=1 *cmd=ssubscribe *");
    node.check("PUBSUB NUMSUB a b", r#"["a", 1, "b", 0]"#);
    node.check("PUBSUB NUMPAT", "1");
    node.check("PUBSUB CHANNELS", r#"["a"]"#);
    node.check("PUBSUB SHARDCHANNELS *", r#"["s"]"#);
    node.check("PUBSUB SHARDNUMSUB s", r#"["s", 1]"#);
    for (field, count) in [("pubsub_channels", 1), ("pubsub_patterns", 1), ("pubsubshard_channels", 1)] {
        assert_eq!(node.info_number(field), count, "{field}");
    }
    node.check("CLIENT KILL TYPE pubsub", "1");
    client.expect_closed();
    wait_until("its subscriptions are gone", || node.text("PUBSUB CHANNELS") == "[]" && node.int("PUBSUB NUMPAT") == 0);
    node.check("PUBLISH a nobody", "0");
}

#[test]
fn who_leaves_without_a_word_is_forgotten() {
    let mut node = Node::start();
    let mut clients: Vec<_> = (0..20).map(|_| node.connect()).collect();
    for client in &mut clients {
        check(client, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    }
    node.check("PUBLISH a x", "20");
    drop(clients);
    wait_until("they are gone", || node.text("PUBLISH a x") == "0");
}

#[test]
fn subscribers_are_not_idle() {
    let mut node = Node::start();
    let mut subscriber = node.connect();
    check(&mut subscriber, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    let mut idle = node.connect();
    idle.check("PING", "PONG");
    node.check("CONFIG SET timeout 1", "OK");
    idle.expect_closed();
    node.connect().check("PUBLISH a x", "1");
    subscriber.expect(r#"["message", "a", "x"]"#);
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_at_the_hard_limit() {
    let mut node = Node::start();
    node.check("CONFIG SET client-output-buffer-limit 'pubsub 1mb 0 0'", "OK");
    let mut slow = node.connect();
    let mut quick = node.connect();
    for client in [&mut slow, &mut quick] {
        check(client, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    }
    let message = "x".repeat(100_000);
    let mut published = 0;
    wait_until("the slow one is cut", || {
        let receivers = node.int(&format!("PUBLISH a {message}"));
        quick.expect(&format!(r#"["message", "a", "{message}"]"#));
        published += 1;
        receivers == 1
    });
    assert!(published > 10, "it was cut after {published} messages of 100 kB");
    node.check("PUBLISH a short", "1");
    quick.expect(r#"["message", "a", "short"]"#);
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_when_it_is_above_the_soft_limit_for_long() {
    let mut node = Node::start();
    node.check("CONFIG SET client-output-buffer-limit 'pubsub 0 100kb 1'", "OK");
    let mut slow = node.connect();
    check(&mut slow, "SUBSCRIBE a", &[r#"["subscribe", "a", 1]"#]);
    let message = "x".repeat(1_000_000);
    // The system's buffers take some megabytes.
    for _ in 0..20 {
        node.check(&format!("PUBLISH a {message}"), "1");
    }
    wait_until("the slow one is cut", || node.int("PUBLISH a x") == 0);
}

#[test]
fn many_publish_to_many_at_once_and_each_is_heard_in_its_order() {
    const PUBLISHERS: usize = 4;
    const SUBSCRIBERS: usize = 4;
    const MESSAGES: usize = 1_000;
    let node = Node::start();
    let mut subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|number| {
            let mut client = if number % 2 == 0 { node.connect() } else { node.resp3() };
            client.send("SUBSCRIBE a b");
            client.expect_matches("*");
            client.expect_matches("*");
            client
        })
        .collect();
    let mut publishers: Vec<_> = (0..PUBLISHERS).map(|_| node.connect()).collect();
    thread::scope(|scope| {
        for (number, client) in publishers.iter_mut().enumerate() {
            scope.spawn(move || {
                let lines: String = (0..MESSAGES)
                    .map(|message| {
                        format!("PUBLISH {} {number}:{message}\r\n", if message % 3 == 0 { 'a' } else { 'b' })
                    })
                    .collect();
                client.send_raw(lines);
                (0..MESSAGES).for_each(|_| client.expect(&SUBSCRIBERS.to_string()));
            });
        }
        for client in &mut subscribers {
            scope.spawn(move || {
                let mut next_of = [0; PUBLISHERS];
                for _ in 0..PUBLISHERS * MESSAGES {
                    let message = client.connection().receive().expect("a message comes");
                    let text = message.as_slice().and_then(|words| words[2].as_bytes()).expect("a message has a text");
                    let text = String::from_utf8_lossy(text).into_owned();
                    let (publisher, number) = text.split_once(':').expect("a message of ours");
                    let next: &mut usize = &mut next_of[publisher.parse::<usize>().expect("a number")];
                    assert_eq!(number, next.to_string());
                    *next += 1;
                }
            });
        }
    });
}

#[test]
fn no_message_follows_the_end_of_its_subscription() {
    const ROUNDS: usize = 200;
    let node = Node::start();
    let mut client = node.resp3();
    let mut publisher = node.connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                client.send_raw("SUBSCRIBE a\r\nUNSUBSCRIBE a\r\nPING\r\n");
                let mut is_subscribed = false;
                loop {
                    let reply = client.connection().receive().expect("a reply comes");
                    match reply.as_slice().and_then(|words| words[0].as_bytes()) {
                        Some(b"subscribe") => is_subscribed = true,
                        Some(b"unsubscribe") => is_subscribed = false,
                        Some(b"message") => assert!(is_subscribed, "a message without a subscription"),
                        _ => break,
                    }
                }
            }
        });
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                publisher.send_raw("PUBLISH a x\r\n".repeat(20));
                (0..20).for_each(|_| publisher.expect_matches("#"));
            }
        });
    });
}
