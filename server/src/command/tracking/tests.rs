//! Connections that keep copies of what they read.

use crate::command::testing::Desk;

/// What others have sent to a connection since the last time, line ends written as spaces.
fn mail(desk: &Desk) -> String {
    let bytes = desk.session.client.take_inbox().unwrap_or_default();
    String::from_utf8(bytes).unwrap().trim_end().replace("\r\n", " ")
}

fn reader() -> (Desk, Desk) {
    let mut desk = Desk::new();
    let other = desk.again();
    desk.run("HELLO 3");
    (desk, other)
}

const GONE: &str = ">2 $10 invalidate *1 $1 a";

#[test]
fn who_has_read_a_key_is_told_once_of_its_first_change() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON", "+OK");
    desk.check("GET a", "_");
    other.run("SET b 1");
    assert_eq!(mail(&desk), "");
    other.run("SET a 1");
    assert_eq!(mail(&desk), GONE);
    other.run("SET a 2");
    assert_eq!(mail(&desk), "");
    desk.check("MGET b a", "*2 $1 1 $1 2");
    other.run("DEL a b");
    let seen = mail(&desk);
    assert!(seen.contains("$1 a") && seen.contains("$1 b"), "{seen}");
    desk.check("CLIENT TRACKING OFF", "+OK");
    desk.run("GET a");
    other.run("SET a 3");
    assert_eq!(mail(&desk), "");
}

#[test]
fn a_change_of_ones_own_is_told_behind_its_reply_unless_noloop_was_said() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON", "+OK");
    desk.run("GET a");
    desk.check("SET a 1", &format!("+OK {GONE}"));
    desk.check("CLIENT TRACKING ON NOLOOP", "+OK");
    desk.run("GET a");
    desk.check("SET a 1", "+OK");
    desk.run("GET a");
    other.run("SET a 2");
    assert_eq!(mail(&desk), GONE);
}

#[test]
fn expiry_eviction_and_flushes_are_told_too() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON", "+OK");
    loop {
        other.run("SET a 1 PX 20");
        mail(&desk);
        // Unless its time has come meanwhile: then nobody would be told of it any more.
        if desk.run("GET a") == "$1\r\n1\r\n" {
            break;
        }
    }
    while other.run("EXISTS a") != ":0\r\n" {}
    assert_eq!(mail(&desk), GONE);
    other.run("SET a 1");
    desk.run("GET a");
    other.run("FLUSHALL");
    assert_eq!(mail(&desk), ">2 $10 invalidate _");
    assert_eq!(desk.node.audience.tracked_keys(), 0);
    other.run("SET a 1");
    desk.run("GET a");
    other.run("CONFIG SET maxmemory 1 maxmemory-policy allkeys-random");
    other.run("SET x 1");
    assert_eq!(mail(&desk), GONE);
}

#[test]
fn optin_and_optout_choose_by_command() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON OPTIN", "+OK");
    desk.run("GET a");
    desk.check("CLIENT CACHING YES", "+OK");
    desk.run("GET b");
    desk.run("GET c");
    other.run("MSET a 1 b 1 c 1");
    assert_eq!(mail(&desk), ">2 $10 invalidate *1 $1 b");
    desk.check("CLIENT CACHING NO", "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    desk.check("CLIENT TRACKING OFF", "+OK");
    desk.check("CLIENT TRACKING ON OPTOUT", "+OK");
    desk.check("CLIENT CACHING NO", "+OK");
    desk.run("GET a");
    desk.run("GET b");
    other.run("MSET a 1 b 1 c 1");
    assert_eq!(mail(&desk), ">2 $10 invalidate *1 $1 b");
}

#[test]
fn caching_holds_for_a_whole_transaction() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON OPTIN", "+OK");
    for line in ["CLIENT CACHING YES", "MULTI", "GET a", "GET b", "EXEC", "GET c"] {
        desk.run(line);
    }
    other.run("SET a 1");
    assert_eq!(mail(&desk), GONE);
    other.run("SET b 1");
    assert_eq!(mail(&desk), ">2 $10 invalidate *1 $1 b");
    other.run("SET c 1");
    assert_eq!(mail(&desk), "");
}

#[test]
fn broadcasting_tells_of_all_keys_with_a_prefix() {
    let (mut desk, mut other) = reader();
    desk.check("CLIENT TRACKING ON BCAST PREFIX a: PREFIX b:", "+OK");
    other.run("MSET a:1 x b:1 x c:1 x");
    let seen = mail(&desk);
    assert!(seen.contains("a:1") && seen.contains("b:1") && !seen.contains("c:1"), "{seen}");
    other.run("SET a:1 y");
    assert_eq!(mail(&desk), ">2 $10 invalidate *1 $3 a:1");
    desk.check("CLIENT TRACKINGINFO", "%3 $5 flags ~2 $2 on $5 bcast $8 redirect :0 $8 prefixes *2 $2 a: $2 b:");
    desk.check("CLIENT TRACKING OFF", "+OK");
    other.run("SET a:1 z");
    assert_eq!(mail(&desk), "");
    desk.check("CLIENT TRACKING ON BCAST", "+OK");
    other.run("SET any 1");
    assert_eq!(mail(&desk), ">2 $10 invalidate *1 $3 any");
}

#[test]
fn another_connection_may_be_told() {
    let mut desk = Desk::new();
    let (mut told, mut other) = (desk.again(), desk.again());
    let id = told.session.client.id;
    told.run("SUBSCRIBE __redis__:invalidate");
    desk.check(&format!("CLIENT TRACKING ON REDIRECT {id}"), "+OK");
    desk.check("CLIENT GETREDIR", &format!(":{id}"));
    desk.run("GET a");
    other.run("SET a 1");
    assert_eq!(mail(&told), "*3 $7 message $20 __redis__:invalidate *1 $1 a");
    desk.run("HELLO 3");
    desk.run("GET a");
    told.node.clients.remove(id);
    other.run("SET a 2");
    assert_eq!(mail(&desk), format!(">2 $21 tracking-redir-broken :{id}"));
    assert!(desk.run("CLIENT TRACKINGINFO").contains("broken_redirect"));
    desk.check("CLIENT TRACKING ON REDIRECT 0", "-ERR The client ID you want redirect to does not exist");
}

#[test]
fn the_table_is_bounded() {
    let (mut desk, mut other) = reader();
    other.check("CONFIG SET tracking-table-max-keys 3", "+OK");
    desk.check("CLIENT TRACKING ON", "+OK");
    for n in 0..9 {
        // One hash tag: all in one stripe.
        desk.run(&format!("GET {{t}}{n}"));
    }
    assert_eq!(desk.node.audience.tracked_keys(), 3);
    assert!(other.run("INFO stats").contains("tracking_total_keys:3\r\ntracking_total_items:3\r\n"));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (mut desk, _) = reader();
    let switched = "before disabling tracking for this client, and then re-enabling it with a different mode.";
    for (line, fault) in [
        ("CLIENT TRACKING x", "syntax error"),
        ("CLIENT TRACKING ON foo", "syntax error"),
        ("CLIENT TRACKING ON PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
        ("CLIENT TRACKING ON OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
        ("CLIENT TRACKING ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
        (
            "CLIENT TRACKING ON BCAST PREFIX ab PREFIX a",
            "Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap.",
        ),
        (
            "CLIENT CACHING YES",
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("CLIENT GETREDIR", ":-1");
    desk.check("CLIENT TRACKINGINFO", "%3 $5 flags ~1 $3 off $8 redirect :-1 $8 prefixes *0");
    desk.check("CLIENT TRACKING ON OPTIN", "+OK");
    desk.check("CLIENT TRACKING ON BCAST", &format!("-ERR You can't switch BCAST mode on/off {switched}"));
    desk.check("CLIENT TRACKING ON OPTOUT", &format!("-ERR You can't switch OPTIN/OPTOUT mode {switched}"));
    desk.check("CLIENT CACHING x", "-ERR syntax error");
    desk.check("RESET", "+RESET");
    desk.check("CLIENT GETREDIR", ":-1");
}
