//! Sessions about channels, patterns and messages.

use crate::command::dispatch::Ended;
use crate::command::testing::Desk;
use crate::store::Options;

/// What has come to a connection beside its replies, line ends as spaces.
fn inbox(desk: &Desk) -> String {
    let bytes = desk.session.client.take_inbox().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
}

#[test]
fn subscriptions_are_confirmed_one_by_one() {
    let mut desk = Desk::new();
    desk.check("SUBSCRIBE a b a", "*3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2 *3 $9 subscribe $1 a :2");
    desk.check("PSUBSCRIBE p* q*", "*3 $10 psubscribe $2 p* :3 *3 $10 psubscribe $2 q* :4");
    desk.check("SSUBSCRIBE s", "*3 $10 ssubscribe $1 s :1");
    desk.check("UNSUBSCRIBE a zz", "*3 $11 unsubscribe $1 a :3 *3 $11 unsubscribe $2 zz :3");
    desk.check("UNSUBSCRIBE", "*3 $11 unsubscribe $1 b :2");
    desk.check("UNSUBSCRIBE", "*3 $11 unsubscribe $-1 :2");
    desk.check("PUNSUBSCRIBE q*", "*3 $12 punsubscribe $2 q* :1");
    desk.check("PUNSUBSCRIBE", "*3 $12 punsubscribe $2 p* :0");
    desk.check("GET k", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context");
    desk.check("SUNSUBSCRIBE", "*3 $12 sunsubscribe $1 s :0");
    desk.check("SUNSUBSCRIBE", "*3 $12 sunsubscribe $-1 :0");
    desk.check("UNSUBSCRIBE x", "*3 $11 unsubscribe $1 x :0");
    desk.check("GET k", "$-1");
    desk.run("HELLO 3");
    desk.check("SUBSCRIBE a", ">3 $9 subscribe $1 a :1");
    desk.check("PUNSUBSCRIBE", ">3 $12 punsubscribe _ :1");
    desk.check("GET k", "_");
}

#[test]
fn messages_come_to_channels_and_patterns() {
    let mut desk = Desk::new();
    let (mut old, mut new) = (desk.again(), desk.again());
    new.run("HELLO 3");
    desk.check("PUBLISH a nobody", ":0");
    for other in [&mut old, &mut new] {
        other.run("SUBSCRIBE a \"\"");
    }
    new.run("PSUBSCRIBE a* [ab]");
    desk.check("PUBLISH a hi", ":4");
    assert_eq!(inbox(&old), "*3 $7 message $1 a $2 hi");
    assert_eq!(
        inbox(&new),
        ">3 $7 message $1 a $2 hi >4 $8 pmessage $4 [ab] $1 a $2 hi >4 $8 pmessage $2 a* $1 a $2 hi"
    );
    desk.check("PUBLISH \"\" \"\"", ":2");
    assert_eq!(inbox(&old), "*3 $7 message $0  $0");
    desk.check("SPUBLISH a hi", ":0");
    old.run("SSUBSCRIBE a");
    desk.check("SPUBLISH a shard", ":1");
    assert_eq!(inbox(&old), "*3 $8 smessage $1 a $5 shard");
    old.run("UNSUBSCRIBE");
    desk.check("PUBLISH a again", ":3");
    assert_eq!(inbox(&old), "");
}

#[test]
fn in_resp2_a_subscriber_may_only_do_what_needs_no_reply() {
    let mut desk = Desk::new();
    desk.run("SUBSCRIBE a");
    let refused = |name: &str| {
        format!(
            "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
             this context"
        )
    };
    for (line, name) in [
        ("GET k", "get"),
        ("CLIENT LIST", "client|list"),
        ("HELLO 3", "hello"),
        ("PUBSUB CHANNELS", "pubsub|channels"),
        ("PUBLISH a x", "publish"),
    ] {
        desk.check(line, &refused(name));
    }
    desk.check("GET", "-ERR wrong number of arguments for 'get' command");
    desk.check("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:");
    desk.check("PING", "*2 $4 pong $0");
    desk.check("PING hi", "*2 $4 pong $2 hi");
    desk.check("PING a b", "-ERR wrong number of arguments for 'ping' command");
    desk.check("RESET", "+RESET");
    desk.check("PING", "+PONG");
    assert_eq!(desk.node.pubsub.channels.len(), 0);
    desk.run("SUBSCRIBE a");
    desk.check("QUIT", "+OK");
    assert_eq!(desk.ended, Ended::Close);
    desk = desk.again();
    desk.run("HELLO 3");
    desk.run("SUBSCRIBE a");
    desk.check("PING", "+PONG");
    desk.check("GET k", "_");
}

#[test]
fn what_a_connection_publishes_to_itself_stands_behind_the_reply() {
    let mut desk = Desk::new();
    desk.run("HELLO 3");
    desk.run("SUBSCRIBE a");
    desk.check("PUBLISH a self", ":1 >3 $7 message $1 a $4 self");
    desk.check("CLIENT REPLY OFF", "");
    desk.check("PUBLISH a self", ">3 $7 message $1 a $4 self");
    desk.check("GET k", "");
    desk.check("SUBSCRIBE b", ">3 $9 subscribe $1 b :2");
    desk.check("CLIENT REPLY ON", "+OK");
    desk.check("CLIENT REPLY SKIP", "");
    desk.check("UNSUBSCRIBE b", ">3 $11 unsubscribe $1 b :1");
    desk.check("GET k", "_");
}

#[test]
fn what_was_sent_before_is_answered_before() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    desk.run("HELLO 3");
    desk.run("SUBSCRIBE a b");
    other.run("PUBLISH a one");
    desk.check("UNSUBSCRIBE a", ">3 $7 message $1 a $3 one >3 $11 unsubscribe $1 a :1");
    other.run("PUBLISH b two");
    let greeting = desk.run("HELLO 2");
    assert!(greeting.starts_with(">3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$3\r\ntwo\r\n*14\r\n"), "{greeting}");
    other.run("PUBLISH b three");
    assert_eq!(inbox(&desk), "*3 $7 message $1 b $5 three");
    other.run("PUBLISH b four");
    desk.check("RESET", "*3 $7 message $1 b $4 four +RESET");
}

#[test]
fn pubsub_tells_who_listens() {
    let mut desk = Desk::new();
    let mut others = [desk.again(), desk.again()];
    for other in &mut others {
        other.run("SUBSCRIBE news.a");
        other.run("PSUBSCRIBE p* q*");
    }
    others[1].run("SUBSCRIBE sport");
    others[1].run("SSUBSCRIBE s");
    desk.check("PUBSUB CHANNELS news*", "*1 $6 news.a");
    desk.check("PUBSUB CHANNELS nosuch", "*0");
    assert!(desk.run("PUBSUB CHANNELS").starts_with("*2\r\n"));
    desk.check("PUBSUB NUMSUB news.a sport c", "*6 $6 news.a :2 $5 sport :1 $1 c :0");
    desk.check("PUBSUB NUMSUB", "*0");
    desk.check("PUBSUB NUMPAT", ":2");
    desk.check("PUBSUB SHARDCHANNELS", "*1 $1 s");
    desk.check("PUBSUB SHARDNUMSUB s news.a", "*4 $1 s :1 $6 news.a :0");
    desk.check("PUBSUB SHARDNUMSUB", "*0");
    for (line, fault) in [
        ("PUBSUB", "wrong number of arguments for 'pubsub' command"),
        ("PUBSUB NOPE", "unknown subcommand 'NOPE'. Try PUBSUB HELP."),
        ("PUBSUB NUMPAT x", "wrong number of arguments for 'pubsub|numpat' command"),
        ("PUBSUB CHANNELS a b", "unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP."),
        (
            "PUBSUB shardchannels a b",
            "unknown subcommand or wrong number of arguments for 'shardchannels'. Try PUBSUB HELP.",
        ),
        ("SUBSCRIBE", "wrong number of arguments for 'subscribe' command"),
        ("PUBLISH a", "wrong number of arguments for 'publish' command"),
        ("COMMAND GETKEYS SPUBLISH a m", "The command has no key arguments"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    assert!(desk.run("PUBSUB HELP").contains("+CHANNELS [pattern]\r\n"));
}

#[test]
fn subscribers_are_shown_as_such() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    other.run("SUBSCRIBE a b");
    other.run("PSUBSCRIBE p*");
    other.run("SSUBSCRIBE s t u");
    let listed = desk.run("CLIENT LIST TYPE pubsub");
    assert!(listed.contains(" flags=P db=0 sub=2 psub=1 ssub=3 "), "{listed}");
    let info = desk.run("INFO");
    for field in ["pubsub_channels:2", "pubsub_patterns:1", "pubsubshard_channels:3", "pubsub_clients:1"] {
        assert!(info.contains(&format!("\r\n{field}\r\n")), "{field}");
    }
    desk.check("CLIENT KILL TYPE pubsub", ":1");
    assert!(other.session.client.is_killed());
    let node = desk.node.clone();
    node.leave(other.session);
    assert_eq!((node.pubsub.channels.len(), node.pubsub.patterns.len(), node.pubsub.shard_channels.len()), (0, 0, 0));
    assert_eq!(node.pubsub.clients(), 0);
}

#[test]
fn a_subscriber_that_takes_nothing_is_cut_at_its_limit() {
    let mut desk = Desk::set_up(Options::default(), &[]);
    desk.check("CONFIG SET client-output-buffer-limit \"pubsub 10000 0 0\"", "+OK");
    let mut other = desk.again();
    other.run("SUBSCRIBE a");
    let message = "x".repeat(1_000);
    let mut sent = 0;
    while !other.session.client.is_killed() {
        desk.check(&format!("PUBLISH a {message}"), ":1");
        sent += 1;
    }
    assert!((9..=10).contains(&sent), "{sent}");
    desk.check(&format!("PUBLISH a {message}"), ":1");
    let len = inbox(&other).len();
    assert!(len < 12_000, "nothing more is kept for it: {len}");
}

#[test]
fn a_pause_of_writes_holds_messages_back() {
    let mut desk = Desk::new();
    desk.check("CLIENT PAUSE 100000 WRITE", "+OK");
    desk.check("PUBLISH a x", "");
    assert!(matches!(desk.ended, Ended::Wait { .. }));
    desk.check("SUBSCRIBE a", "*3 $9 subscribe $1 a :1");
}
