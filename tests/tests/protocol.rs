//! The wire: frames well and badly formed, inline commands, pipelines, and requests that arrive in pieces.

use larder_client::resp::encode_request;
use larder_tests::{Client, Node};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::cell::RefCell;

/// Sends bytes on a connection of their own and expects exactly this answer, then the end.
#[track_caller]
fn refused(node: &Node, bytes: impl AsRef<[u8]>, error: &str) {
    let mut client = node.connect();
    client.send_raw(bytes);
    client.expect_raw(format!("-ERR Protocol error: {error}\r\n"));
    client.expect_closed();
}

/// Sends bytes on a connection of their own and expects exactly this answer, after which the connection still works.
#[track_caller]
fn answered(node: &Node, bytes: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
    let mut client = node.connect();
    client.send_raw(bytes);
    client.expect_raw(answer);
    client.check("ECHO still-here", "still-here");
}

#[test]
fn every_kind_of_reply_has_its_bytes() {
    let node = Node::start();
    answered(&node, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
    answered(&node, "*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", "$2\r\nhi\r\n");
    answered(&node, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "+OK\r\n");
    answered(&node, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "$0\r\n\r\n");
    answered(&node, "*2\r\n$3\r\nGET\r\n$6\r\nabsent\r\n", "$-1\r\n");
    answered(&node, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", ":1\r\n");
    answered(&node, "*3\r\n$4\r\nMGET\r\n$1\r\nk\r\n$1\r\nx\r\n", "*2\r\n$0\r\n\r\n$-1\r\n");
    answered(&node, "*2\r\n$4\r\nKEYS\r\n$1\r\nz\r\n", "*0\r\n");
    answered(&node, "*1\r\n$3\r\nGET\r\n", "-ERR wrong number of arguments for 'get' command\r\n");
}

#[test]
fn counts_of_words_must_be_plain_numbers() {
    let node = Node::start();
    for count in [
        "abc",
        "",
        "1x",
        " 1",
        "1 ",
        "+1",
        "01",
        "1.5",
        "--1",
        "2147483648",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        refused(&node, format!("*{count}\r\n"), "invalid multibulk length");
    }
}

#[test]
fn words_must_be_strings() {
    let node = Node::start();
    for (byte, shown) in [(b'x', "x"), (b'*', "*"), (b':', ":"), (b'+', "+"), (b'-', "-"), (b' ', " "), (b'#', "#")] {
        let mut bytes = b"*1\r\n".to_vec();
        bytes.extend([byte, b'4', b'\r', b'\n']);
        refused(&node, bytes, &format!("expected '$', got '{shown}'"));
    }
    refused(&node, "*2\r\n$3\r\nGET\r\n1\r\n", "expected '$', got '1'");
    refused(&node, "*1\r\n\r\n", "expected '$', got ' '");
}

#[test]
fn lengths_of_words_must_be_plain_numbers() {
    let node = Node::start();
    for length in [
        "abc",
        "",
        "-1",
        "-2",
        "1x",
        " 1",
        "+1",
        "01",
        "1.5",
        "536870913",
        "2147483648",
        "9223372036854775808",
        "99999999999999999999",
    ] {
        refused(&node, format!("*1\r\n${length}\r\n"), "invalid bulk length");
        refused(&node, format!("*2\r\n$3\r\nGET\r\n${length}\r\n"), "invalid bulk length");
    }
}

#[test]
fn lines_of_lengths_have_a_length() {
    let node = Node::start();
    let long = "1".repeat(64 * 1024 + 1);
    refused(&node, format!("*{long}"), "too big mbulk count string");
    refused(&node, format!("*1\r\n${long}"), "too big bulk count string");
    refused(&node, &long, "too big inline request");
}

#[test]
fn strangers_may_say_little() {
    let node = Node::start_with(&[("--requirepass", "secret")]);
    refused(&node, "*11\r\n", "unauthenticated multibulk length");
    refused(&node, "*1000000\r\n", "unauthenticated multibulk length");
    refused(&node, "*1\r\n$16385\r\n", "unauthenticated bulk length");
    refused(&node, "*2\r\n$4\r\nAUTH\r\n$536870912\r\n", "unauthenticated bulk length");
    let mut client = node.connect();
    client.send_raw(format!("*2\r\n$4\r\nAUTH\r\n$16384\r\n{}\r\n", "x".repeat(16384)));
    client.expect("WRONGPASS invalid username-password pair or user is disabled.");
    client.send_raw(format!("*10\r\n{}", "$1\r\nx\r\n".repeat(10)));
    client.expect_matches("ERR unknown command 'x', *");
    client.check("AUTH secret", "OK");
    client.check(&format!("DEL {}", "x ".repeat(100)), "0");
}

#[test]
fn requests_without_words_are_passed_over() {
    let node = Node::start();
    for nothing in ["*0\r\n", "*-1\r\n", "*-10\r\n", "\r\n", "\n", "   \r\n", "\t\r\n"] {
        answered(&node, format!("{nothing}PING\r\n{nothing}{nothing}"), "+PONG\r\n");
    }
}

#[test]
fn what_came_before_a_malformed_frame_is_done() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.send_raw("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n$4\r\nPING\r\n*1\r\n!4\r\nPING\r\nSET b 2\r\n");
    client.expect_raw("+OK\r\n+PONG\r\n-ERR Protocol error: expected '$', got '!'\r\n");
    client.expect_closed();
    node.check("MGET a b", r#"["1", nil]"#);
}

#[test]
fn errors_never_break_the_framing() {
    let node = Node::start();
    let shown = "-ERR unknown command 'a  b', with args beginning with: 'c  d' \r\n";
    answered(&node, "*2\r\n$4\r\na\r\nb\r\n$4\r\nc\r\nd\r\n", shown);
}

#[test]
fn inline_commands_are_split_at_blanks() {
    let node = Node::start();
    answered(&node, "PING\r\n", "+PONG\r\n");
    answered(&node, "PING\n", "+PONG\r\n");
    answered(&node, "  PING  \r\n", "+PONG\r\n");
    answered(&node, "\tECHO\thi\r\n", "$2\r\nhi\r\n");
    answered(&node, "SET k v\r\nGET k\r\n", "+OK\r\n$1\r\nv\r\n");
    answered(&node, "SET k v\nGET k\n", "+OK\r\n$1\r\nv\r\n");
}

#[test]
fn inline_commands_may_be_quoted() {
    let node = Node::start();
    answered(&node, "ECHO \"a b\"\r\n", "$3\r\na b\r\n");
    answered(&node, "ECHO ''\r\n", "$0\r\n\r\n");
    answered(&node, "ECHO \"\"\r\n", "$0\r\n\r\n");
    answered(
        &node,
        r#"ECHO "\x00\xfF\n\r\t\a\b\\\"\q""#.to_owned() + "\r\n",
        b"$10\r\n\x00\xff\n\r\t\x07\x08\\\"q\r\n",
    );
    answered(&node, "ECHO 'it\\'s \\x41'\r\n", "$9\r\nit's \\x41\r\n");
    answered(&node, "ECHO a'b'\r\n", "$2\r\nab\r\n");
    answered(&node, r#"ECHO "\xzz""#.to_owned() + "\r\n", "$3\r\nxzz\r\n");
}

#[test]
fn inline_quotes_must_be_closed() {
    let node = Node::start();
    for line in ["SET k \"v", "SET k 'v", "SET \"k\"v", "SET 'k'v", "'", "\"", "ECHO \"a\\"] {
        refused(&node, format!("{line}\r\n"), "unbalanced quotes in request");
    }
}

#[test]
fn web_requests_are_cut_without_an_answer() {
    let node = Node::start();
    for bytes in ["POST / HTTP/1.1\r\n", "post /\r\n", "Host: localhost\r\n", "*2\r\n$5\r\nhost:\r\n$1\r\nx\r\n"] {
        let mut client = node.connect();
        client.send_raw(bytes);
        client.expect_closed();
    }
    let mut client = node.connect();
    client.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\nSET k v\r\n");
    client.connection().receive_raw(usize::MAX).expect("the connection is closed");
    node.connect().check("EXISTS k", "0");
}

#[test]
fn requests_may_arrive_byte_by_byte() {
    let node = Node::start();
    let mut client = node.connect();
    for byte in b"*3\r\n$3\r\nSET\r\n$5\r\nk\r\n\0x\r\n$4\r\n\r\n*1\r\nGET k\r\n*2\r\n$3\r\nGET\r\n$5\r\nk\r\n\0x\r\n" {
        client.send_raw([*byte]);
    }
    client.expect_raw("+OK\r\n$-1\r\n$4\r\n\r\n*1\r\n");
}

#[test]
fn an_unfinished_request_does_nothing() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.send_raw("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhel");
    client.connection().finish_sending().expect("the connection stands");
    client.expect_closed();
    node.check("EXISTS k", "0");
}

#[test]
fn replies_still_come_to_who_has_finished_sending() {
    let node = Node::start();
    let mut client = node.connect();
    client.send_raw("SET k v\r\nGET k\r\n");
    client.expect_raw("+OK\r\n$1\r\nv\r\n");
    client.connection().finish_sending().expect("the connection stands");
    client.expect_closed();
}

#[test]
fn deep_pipelines_are_answered_in_order() {
    let node = Node::start();
    let mut client = node.connect();
    let mut requests = Vec::new();
    let mut replies = Vec::new();
    for number in 0..20_000 {
        let text = number.to_string();
        encode_request(&["ECHO", &text], &mut requests);
        replies.extend(format!("${}\r\n{text}\r\n", text.len()).bytes());
    }
    client.send_raw(&requests);
    client.expect_raw(&replies);
}

#[test]
fn large_values_pass_whole() {
    let node = Node::start();
    let mut client = node.connect();
    let value: Vec<u8> = (0..=255).cycle().take(40_000_000).collect();
    let mut requests = Vec::new();
    encode_request(&[b"SET", &b"k"[..], &value], &mut requests);
    encode_request(&[b"STRLEN", &b"k"[..]], &mut requests);
    encode_request(&[b"GETRANGE", &b"k"[..], b"39999996", b"-1"], &mut requests);
    client.send_raw(&requests);
    client.expect_raw(b"+OK\r\n:40000000\r\n$4\r\n\xfc\xfd\xfe\xff\r\n".map(|byte| byte).as_slice());
}

/// Words that make sense together often enough, and bytes that mean something to a parser.
fn request() -> impl proptest::strategy::Strategy<Value = Vec<Vec<u8>>> {
    use proptest::prelude::*;
    let name = prop_oneof![
        Just("SET"),
        Just("GET"),
        Just("APPEND"),
        Just("INCR"),
        Just("DEL"),
        Just("ECHO"),
        Just("nonsense")
    ];
    let word = prop_oneof![
        "[a-c]".prop_map(String::into_bytes),
        "[0-9]{1,3}".prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), any::<u8>()], 0..300),
    ];
    (name, proptest::collection::vec(word, 0..4)).prop_map(|(name, words)| {
        let mut request = vec![name.as_bytes().to_vec()];
        request.extend(words);
        request
    })
}

/// Sends `wire` in pieces of the given lengths, again and again, and returns as many bytes as are expected.
fn answer_to_pieces(client: &mut Client, wire: &[u8], pieces: &[usize], len: usize) -> Vec<u8> {
    let mut rest = wire;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(rest.len().min(*piece));
        client.send_raw(now);
        rest = later;
    }
    client.connection().receive_raw(len).expect("the server answers")
}

#[test]
fn the_split_of_requests_does_not_matter() {
    use proptest::prelude::*;
    let node = Node::start();
    let whole = RefCell::new(node.connect());
    let split = RefCell::new(node.connect());
    split.borrow_mut().check("SELECT 1", "OK");
    let seed = std::env::var("PROPTEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand_seed);
    eprintln!("PROPTEST_SEED={seed}");
    let config = Config { cases: 64, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let requests = proptest::collection::vec(request(), 1..20);
    let pieces = proptest::collection::vec(1usize..60, 1..10);
    let tested = TestRunner::new(config).run(&(requests, pieces), |(requests, pieces)| {
        let mut wire = Vec::new();
        for words in &requests {
            encode_request(words, &mut wire);
        }
        let mark = b"$8\r\nthe-mark\r\n";
        encode_request(&["ECHO", "the-mark"], &mut wire);
        let (mut whole, mut split) = (whole.borrow_mut(), split.borrow_mut());
        whole.check("FLUSHDB", "OK");
        split.check("FLUSHDB", "OK");
        whole.send_raw(&wire);
        let mut expected = Vec::new();
        while !expected.ends_with(mark) {
            expected.extend(whole.connection().receive_raw(1).expect("the server answers"));
        }
        prop_assert_eq!(answer_to_pieces(&mut split, &wire, &pieces, expected.len()), expected);
        Ok(())
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
}

/// A seed that differs from run to run.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
