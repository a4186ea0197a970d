//! Commands about the connection itself: passwords, protocol versions, databases, and the list of clients.

use larder_client::resp::Reply;
use larder_tests::texts::{NO_PASSWORD_YET, NO_SUCH_DATABASE, NOT_AN_INTEGER, SYNTAX, arity, no_subcommand};
use larder_tests::{Client, Node, wait_until};
use std::time::{Duration, Instant};

const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";
const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";

#[test]
fn every_command_counts_its_words() {
    let mut node = Node::start();
    for (command, lines) in [
        ("auth", &["AUTH"][..]),
        ("client", &["CLIENT"]),
        ("client|caching", &["CLIENT CACHING", "CLIENT CACHING yes no"]),
        ("client|getname", &["CLIENT GETNAME x"]),
        ("client|getredir", &["CLIENT GETREDIR x"]),
        ("client|help", &["CLIENT HELP x"]),
        ("client|id", &["CLIENT ID x"]),
        ("client|info", &["CLIENT INFO x"]),
        ("client|kill", &["CLIENT KILL"]),
        ("client|no-evict", &["CLIENT NO-EVICT", "CLIENT NO-EVICT on off"]),
        ("client|pause", &["CLIENT PAUSE"]),
        ("client|reply", &["CLIENT REPLY", "CLIENT REPLY on off"]),
        ("client|setname", &["CLIENT SETNAME", "CLIENT SETNAME a b"]),
        ("client|tracking", &["CLIENT TRACKING"]),
        ("client|trackinginfo", &["CLIENT TRACKINGINFO x"]),
        ("client|unblock", &["CLIENT UNBLOCK"]),
        ("client|unpause", &["CLIENT UNPAUSE x"]),
        ("echo", &["ECHO", "ECHO a b"]),
        ("ping", &["PING a b"]),
        ("reset", &["RESET x"]),
        ("select", &["SELECT", "SELECT 1 2"]),
    ] {
        node.check_all(lines, &arity(command));
    }
}

#[test]
fn ping_and_echo_answer() {
    let mut node = Node::start();
    node.check("PING", "PONG");
    node.check("ping hello", "hello");
    node.check("PING ''", r#""""#);
    node.check(r#"ECHO "a\x00\r\nb""#, r"a\x00\r\nb");
    node.check("ECHO ''", r#""""#);
}

#[test]
fn quit_says_ok_and_closes() {
    let node = Node::start();
    for line in ["QUIT", "quit now"] {
        let mut client = node.connect();
        client.send(line);
        client.expect_raw("+OK\r\n");
        client.expect_closed();
    }
}

#[test]
fn what_follows_quit_is_not_done() {
    let mut node = Node::start();
    let mut client = node.connect();
    client.send_raw("SET a 1\r\nQUIT\r\nSET b 2\r\n");
    client.expect_raw("+OK\r\n+OK\r\n");
    client.expect_closed();
    node.check("MGET a b", r#"["1", nil]"#);
}

#[test]
fn select_changes_the_database() {
    let mut node = Node::start();
    node.check("SET k zero", "OK");
    node.check("SELECT 15", "OK");
    node.check("GET k", "nil");
    node.check("SET k fifteen", "OK");
    node.check("SELECT 0", "OK");
    node.check("GET k", "zero");
    node.check_all(&["SELECT 16", "SELECT -1", "SELECT 2147483647"], NO_SUCH_DATABASE);
    node.check_all(&["SELECT x", "SELECT ''", "SELECT 1.5", "SELECT 99999999999999999999"], NOT_AN_INTEGER);
    node.check("GET k", "zero");
    node.connect().check("GET k", "zero");
}

#[test]
fn hello_tells_and_changes_the_protocol() {
    let mut node = Node::start();
    let fields = |proto: u8, [open, colon, close]: [&str; 3]| {
        format!(
            "{open}\"server\"{colon} \"*\", \"version\"{colon} \"7.#*\", \"proto\"{colon} {proto}, \"id\"{colon} #, \
             \"mode\"{colon} \"standalone\", \"role\"{colon} \"master\", \"modules\"{colon} []{close}"
        )
    };
    let resp2 = fields(2, ["[", ",", "]"]);
    let resp3 = fields(3, ["{", ":", "}"]);
    node.check_matches("HELLO", &resp2);
    node.check_matches("HELLO 2", &resp2);
    node.check_matches("HELLO 3", &resp3);
    node.check_matches("HELLO", &resp3);
    node.check_matches("HELLO 2", &resp2);
}

#[test]
fn hello_takes_a_password_and_a_name() {
    let node = Node::start_with(&[("--requirepass", "secret")]);
    let mut client = node.connect();
    client.check_matches(
        "HELLO 3",
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO *AUTH <user> <pass> option \
         can be used to authenticate the client and select the RESP protocol version at the same time",
    );
    client.check("HELLO 3 AUTH default wrong", WRONG_PASSWORD);
    client.check("HELLO 3 AUTH nobody secret", WRONG_PASSWORD);
    client.check("PING", NO_PASSWORD_YET);
    client.check_matches("HELLO 3 AUTH default secret SETNAME me", "{*\"proto\": 3*}");
    client.check("CLIENT GETNAME", "me");
    client.check_matches("HELLO 2 setname you auth default secret", "[*\"proto\", 2*]");
    client.check("CLIENT GETNAME", "you");
}

#[test]
fn hello_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check_all(&["HELLO 1", "HELLO 4", "HELLO -3", "HELLO 0"], "NOPROTO unsupported protocol version");
    node.check_all(
        &["HELLO x", "HELLO ''", "HELLO AUTH a b"],
        "ERR Protocol version is not an integer or out of range",
    );
    node.check("HELLO 3 AUTH", "ERR Syntax error in HELLO option 'AUTH'");
    node.check("HELLO 3 auth default", "ERR Syntax error in HELLO option 'auth'");
    node.check("HELLO 3 SETNAME", "ERR Syntax error in HELLO option 'SETNAME'");
    node.check("HELLO 3 nonsense", "ERR Syntax error in HELLO option 'nonsense'");
    node.check("HELLO 3 SETNAME 'a b'", BAD_NAME);
    node.check("HELLO 3 SETNAME me nonsense", "ERR Syntax error in HELLO option 'nonsense'");
    node.check("GET absent", "nil");
    node.send("GET absent");
    node.expect_raw("$-1\r\n");
}

#[test]
fn nothing_is_done_before_the_password() {
    let node = Node::start_with(&[("--requirepass", "secret")]);
    let mut client = node.connect();
    client.check_all(&["PING", "GET k", "SELECT 1", "CLIENT ID", "COMMAND", "INFO"], NO_PASSWORD_YET);
    client.check("GET", &arity("get"));
    client.check("nonsense", "ERR unknown command 'nonsense', with args beginning with: ");
    client.check("AUTH wrong", WRONG_PASSWORD);
    client.check("AUTH default wrong", WRONG_PASSWORD);
    client.check("AUTH nobody secret", WRONG_PASSWORD);
    client.check("AUTH a b c", SYNTAX);
    client.check("PING", NO_PASSWORD_YET);
    client.check("AUTH secret", "OK");
    client.check("PING", "PONG");
    client.check("AUTH wrong", WRONG_PASSWORD);
    client.check("PING", "PONG");
    client.check("AUTH default secret", "OK");
    let mut client = node.connect();
    client.check("RESET", "RESET");
    client.send("QUIT");
    client.expect("OK");
}

#[test]
fn a_password_can_be_set_while_running() {
    let mut node = Node::start();
    node.check(
        "AUTH any",
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
         configuration is correct?",
    );
    node.check("AUTH default any", "OK");
    node.check("CONFIG SET requirepass secret", "OK");
    node.check("PING", "PONG");
    let mut client = node.connect();
    client.check("PING", NO_PASSWORD_YET);
    client.check("AUTH secret", "OK");
    client.check("CONFIG SET requirepass ''", "OK");
    node.connect().check("PING", "PONG");
}

#[test]
fn reset_makes_the_connection_new() {
    let node = Node::start();
    let mut client = node.resp3();
    client.check("SELECT 3", "OK");
    client.check("CLIENT SETNAME me", "OK");
    client.check("CLIENT NO-EVICT on", "OK");
    client.check("RESET", "RESET");
    client.check("CLIENT GETNAME", "nil");
    client.check_matches("CLIENT INFO", "id=#* db=0 * resp=2*");
    client.send("GET absent");
    client.expect_raw("$-1\r\n");
}

#[test]
fn reset_asks_for_the_password_again() {
    let node = Node::start_with(&[("--requirepass", "secret")]);
    let mut client = node.connect();
    client.check("AUTH secret", "OK");
    client.check("RESET", "RESET");
    client.check("GET k", NO_PASSWORD_YET);
}

#[test]
fn clients_are_numbered_in_order() {
    let mut node = Node::start();
    let first = node.int("CLIENT ID");
    let second = node.connect().int("CLIENT ID");
    let third = node.connect().int("CLIENT ID");
    assert!(first < second && second < third, "{first}, {second}, {third}");
    assert_eq!(node.int("CLIENT ID"), first);
}

#[test]
fn clients_have_names() {
    let mut node = Node::start();
    node.check("CLIENT GETNAME", "nil");
    node.check("CLIENT SETNAME worker:1", "OK");
    node.check("CLIENT GETNAME", "worker:1");
    for name in ["a b", "a\\nb", "\\x00", "\\xff", "\\x7f"] {
        node.check(&format!("CLIENT SETNAME \"{name}\""), BAD_NAME);
    }
    node.check("CLIENT GETNAME", "worker:1");
    node.check("CLIENT SETNAME ''", "OK");
    node.check("CLIENT GETNAME", "nil");
}

#[test]
fn libraries_introduce_themselves() {
    let Some(mut node) = Node::since("7.2") else { return };
    node.check("CLIENT SETINFO lib-name redis-py", "OK");
    node.check("CLIENT SETINFO LIB-VER 5.0.1", "OK");
    node.check_matches("CLIENT INFO", "* lib-name=redis-py lib-ver=5.0.1*");
    node.check("CLIENT SETINFO lib-name 'a b'", "ERR lib-name cannot contain spaces, newlines or special characters.");
    node.check("CLIENT SETINFO lib-ver 'a b'", "ERR lib-ver cannot contain spaces, newlines or special characters.");
    node.check("CLIENT SETINFO nonsense x", "ERR Unrecognized option 'nonsense'");
    node.check_all(&["CLIENT SETINFO", "CLIENT SETINFO lib-name"], &arity("client|setinfo"));
}

#[test]
fn client_info_describes_this_connection() {
    let mut node = Node::start();
    node.check("CLIENT SETNAME me", "OK");
    node.check("SELECT 2", "OK");
    let form = "id=# addr=127.0.0.1:# laddr=127.0.0.1:# fd=# name=me age=# idle=# flags=N db=2 sub=0 psub=0 ssub=0 multi=-1 \
                qbuf=# qbuf-free=# argv-mem=# multi-mem=0 rbs=# rbp=# obl=# oll=# omem=# tot-mem=# events=r \
                cmd=client|info user=default redir=-1 resp=2*";
    node.check_matches("CLIENT INFO", form);
    let (own, listening) = (node.own_address(), node.address());
    node.check_matches("CLIENT INFO", &format!("* addr={own} laddr={listening} *"));
}

/// The lines of CLIENT LIST, one per client.
fn list(client: &mut Client, options: &str) -> Vec<String> {
    let reply = client.call(&format!("CLIENT LIST {options}"));
    let text = String::from_utf8_lossy(reply.as_bytes().expect("CLIENT LIST answers a text")).into_owned();
    assert!(text.is_empty() || text.ends_with('\n'), "every client has a whole line");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn client_list_shows_everyone() {
    let mut node = Node::start();
    let mut other = node.connect();
    other.check("CLIENT SETNAME other", "OK");
    let (id, other_id) = (node.int("CLIENT ID"), other.int("CLIENT ID"));
    let lines = list(&mut node, "");
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!("id={id} addr={} ", node.own_address())));
    assert!(lines[0].contains(" cmd=client|list "));
    assert!(lines[1].contains(" name=other "));
    assert!(lines[1].contains(" cmd=client|id "));
    assert_eq!(list(&mut node, "TYPE normal").len(), 2);
    assert_eq!(list(&mut node, "TYPE PUBSUB").len(), 0);
    assert_eq!(list(&mut node, "type replica").len(), 0);
    assert_eq!(list(&mut node, "TYPE master").len(), 0);
    assert_eq!(list(&mut node, &format!("ID {other_id}")).len(), 1);
    assert_eq!(list(&mut node, &format!("ID {other_id} {id} 999")).len(), 2);
    node.check("CLIENT LIST TYPE nonsense", "ERR Unknown client type 'nonsense'");
    node.check_all(
        &["CLIENT LIST nonsense", "CLIENT LIST TYPE", "CLIENT LIST ID", "CLIENT LIST TYPE normal x"],
        SYNTAX,
    );
    node.check_all(&["CLIENT LIST ID x", "CLIENT LIST ID 1 1.5"], "ERR Invalid client ID");
    drop(other);
    wait_until("the other client is gone", || list(&mut node, "").len() == 1);
}

/// A connection that the server has noticed.
fn connect(node: &Node) -> Client {
    let mut client = node.connect();
    client.check("PING", "PONG");
    client
}

#[test]
fn client_kill_closes_connections() {
    let mut node = Node::start();
    let mut by_address = connect(&node);
    let address = by_address.own_address();
    node.check(&format!("CLIENT KILL {address}"), "OK");
    by_address.expect_closed();
    node.check(&format!("CLIENT KILL {address}"), "ERR No such client");

    let mut by_id = node.connect();
    let id = by_id.int("CLIENT ID");
    node.check(&format!("CLIENT KILL ID {id}"), "1");
    by_id.expect_closed();
    node.check(&format!("CLIENT KILL ID {id}"), "0");

    let mut by_addr = connect(&node);
    let address = by_addr.own_address();
    node.check(&format!("CLIENT KILL ADDR {address} TYPE normal USER default"), "1");
    by_addr.expect_closed();

    let mut others = [connect(&node), connect(&node)];
    let laddr = node.address();
    node.check(&format!("CLIENT KILL LADDR {laddr}"), "2");
    others.iter_mut().for_each(Client::expect_closed);
    node.check("PING", "PONG");
}

#[test]
fn client_kill_can_include_oneself() {
    let mut node = Node::start();
    let mut other = connect(&node);
    node.check("CLIENT KILL TYPE normal SKIPME yes", "1");
    other.expect_closed();
    let mut last = node.connect();
    last.send("CLIENT KILL TYPE normal SKIPME no");
    last.expect("2");
    last.expect_closed();
    node.expect_closed();
}

#[test]
fn client_kill_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check("CLIENT KILL nobody", "ERR No such client");
    node.check_all(
        &["CLIENT KILL ID x", "CLIENT KILL ID 0", "CLIENT KILL ID -1"],
        "ERR client-id should be greater than 0",
    );
    node.check("CLIENT KILL TYPE nonsense", "ERR Unknown client type 'nonsense'");
    node.check("CLIENT KILL USER nobody", "ERR No such user 'nobody'");
    node.check_all(
        &["CLIENT KILL SKIPME maybe", "CLIENT KILL nonsense x", "CLIENT KILL ID 1 ADDR", "CLIENT KILL ID 1 nonsense x"],
        SYNTAX,
    );
}

#[test]
fn client_reply_silences() {
    let node = Node::start();
    let mut client = node.connect();
    client.check("CLIENT REPLY ON", "OK");
    client.send("CLIENT REPLY SKIP");
    client.send("SET k 1");
    client.check("GET k", r#""1""#);
    client.send("CLIENT REPLY OFF");
    client.send("SET k 2");
    client.send("nonsense");
    client.send("GET k");
    client.check("CLIENT REPLY ON", "OK");
    client.check("GET k", r#""2""#);
    client.check("CLIENT REPLY maybe", SYNTAX);
}

#[test]
fn client_pause_holds_writes_back() {
    let mut node = Node::start();
    let mut writer = node.connect();
    node.check("CLIENT PAUSE 100000 WRITE", "OK");
    writer.check("GET k", "nil");
    writer.send("SET k v");
    node.check("GET k", "nil");
    node.check("CLIENT UNPAUSE", "OK");
    writer.expect("OK");
    node.check("GET k", "v");
}

#[test]
fn client_pause_holds_everything_back_for_a_time() {
    let mut node = Node::start();
    let mut reader = node.connect();
    let start = Instant::now();
    node.check("CLIENT PAUSE 50 ALL", "OK");
    reader.check("GET k", "nil");
    node.check("CLIENT PAUSE 50", "OK");
    node.check("PING", "PONG");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(99), "two pauses of 50 ms took {waited:?}");
}

#[test]
fn client_pause_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check("CLIENT PAUSE x", "ERR timeout is not an integer or out of range");
    node.check("CLIENT PAUSE -1", "ERR timeout is negative");
    node.check("CLIENT PAUSE 1 nonsense", "ERR CLIENT PAUSE mode must be WRITE or ALL");
}

#[test]
fn client_unblock_finds_no_one_blocked() {
    let mut node = Node::start();
    let id = node.connect().int("CLIENT ID");
    node.check(&format!("CLIENT UNBLOCK {id}"), "0");
    node.check("CLIENT UNBLOCK 999999 TIMEOUT", "0");
    node.check("CLIENT UNBLOCK 999999 error", "0");
    node.check("CLIENT UNBLOCK x", NOT_AN_INTEGER);
    node.check("CLIENT UNBLOCK 1 nonsense", "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
}

#[test]
fn client_switches_are_on_or_off() {
    let mut node = Node::start();
    node.check_all(&["CLIENT NO-EVICT on", "CLIENT NO-EVICT OFF"], "OK");
    node.check("CLIENT NO-EVICT maybe", SYNTAX);
    node.check("CLIENT GETREDIR", "-1");
    node.check("CLIENT TRACKINGINFO", r#"["flags", ["off"], "redirect", -1, "prefixes", []]"#);
    node.resp3().check("CLIENT TRACKINGINFO", r#"{"flags": ~["off"], "redirect": -1, "prefixes": []}"#);
}

#[test]
fn unknown_subcommands_are_named() {
    let mut node = Node::start();
    node.check("CLIENT nonsense", &no_subcommand("CLIENT", "nonsense"));
    node.check("client NONSENSE x", &no_subcommand("CLIENT", "NONSENSE"));
    node.check_matches("CLIENT HELP", "[CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, *]");
}

#[test]
fn unknown_commands_are_quoted() {
    let mut node = Node::start();
    node.check("nonsense", "ERR unknown command 'nonsense', with args beginning with: ");
    node.check("nonsense a", "ERR unknown command 'nonsense', with args beginning with: 'a' ");
    node.check("nonsense a 'b c' ''", "ERR unknown command 'nonsense', with args beginning with: 'a' 'b c' '' ");
    node.check("''", "ERR unknown command '', with args beginning with: ");
    node.check(r#""a\r\nb" "c\nd""#, "ERR unknown command 'a  b', with args beginning with: 'c d' ");
    node.check("'GET ' k", "ERR unknown command 'GET ', with args beginning with: 'k' ");
}

#[test]
fn long_unknown_commands_are_shortened() {
    let mut node = Node::start();
    let long = "x".repeat(1000);
    let shown = &long[..128];
    node.check(&long, &format!("ERR unknown command '{shown}', with args beginning with: "));
    node.check(&format!("no {long}"), &format!("ERR unknown command 'no', with args beginning with: '{shown}' "));
    let words = "12345678 ".repeat(30);
    let shown = format!("{}'1234567' ", "'12345678' ".repeat(11));
    node.check(&format!("no {words}"), &format!("ERR unknown command 'no', with args beginning with: {shown}"));
}

#[test]
fn protected_mode_keeps_strangers_out() {
    let node = Node::start_with(&[("--bind", "0.0.0.0"), ("--protected-mode", "yes")]);
    node.connect().check("PING", "PONG");
    let Some(outside) = outside_address() else { return };
    let mut stranger = node.connect_to((outside, node.address().port()).into());
    stranger.expect_matches("DENIED *running in protected mode*");
    stranger.expect_closed();
    node.connect().check("CONFIG SET protected-mode no", "OK");
    node.connect_to((outside, node.address().port()).into()).check("PING", "PONG");
}

/// An address of this machine that is not the loopback's, if it has one. No packet is sent: the system is only asked which
/// address it would use to reach one that is reserved for documentation.
fn outside_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn many_connections_are_served() {
    let mut node = Node::start();
    let mut clients: Vec<_> = (0..200).map(|_| node.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("SET key:{number} {number}"));
    }
    clients.iter_mut().for_each(|client| client.expect("OK"));
    node.check("DBSIZE", "200");
    assert_eq!(node.info("connected_clients").as_deref(), Some("201"));
    drop(clients);
    wait_until("only one client is left", || node.info("connected_clients").as_deref() == Some("1"));
}

#[test]
fn clients_beyond_the_limit_are_refused() {
    let mut node = Node::start_with(&[("--maxclients", "3")]);
    // The connection that has asked whether the server is up may not have been seen to end.
    wait_until("only one client is left", || node.info("connected_clients").as_deref() == Some("1"));
    let mut kept = [node.connect(), node.connect()];
    kept.iter_mut().for_each(|client| client.check("PING", "PONG"));
    let mut refused = node.connect();
    refused.expect("ERR max number of clients reached");
    refused.expect_closed();
    let rejected: i64 = node.info("rejected_connections").and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!(rejected >= 1, "{rejected} connections are said to be refused");
}

#[test]
fn idle_clients_are_closed_when_asked() {
    let mut node = Node::start();
    let mut idle = node.connect();
    idle.check("PING", "PONG");
    node.check("CONFIG SET timeout 1", "OK");
    idle.expect_closed();
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let mut node = Node::start();
    let requests: Vec<Vec<String>> = (0..5000)
        .flat_map(|number: i32| {
            let key = format!("key:{}", number % 100);
            [vec!["SET".to_owned(), key.clone(), number.to_string()], vec!["GET".to_owned(), key]]
        })
        .collect();
    let replies = node.connection().pipeline(&requests).expect("every request has a reply");
    for (number, pair) in replies.chunks(2).enumerate() {
        assert_eq!(pair, [Reply::Simple("OK".into()), Reply::Bulk(number.to_string().into())]);
    }
}
