//! Sessions about connections.

use crate::command::clients::{Buffers, Client, Unblocked};
use crate::command::dispatch::Ended;
use crate::command::shared::now_ms;
use crate::command::testing::Desk;
use crate::store::{Eviction, New};

const PRINTABLE: &str = "cannot contain spaces, newlines or special characters.";

#[test]
fn names_are_kept_and_taken_away() {
    let mut desk = Desk::new();
    desk.check("CLIENT GETNAME", "$-1");
    desk.check("CLIENT SETNAME worker-1", "+OK");
    desk.check("CLIENT GETNAME", "$8 worker-1");
    for bad in ["'a b'", r#""a\nb""#, r#""\x7f""#, r#""\xc3\xa9""#] {
        desk.check(&format!("CLIENT SETNAME {bad}"), &format!("-ERR Client names {PRINTABLE}"));
    }
    desk.check("CLIENT GETNAME", "$8 worker-1");
    desk.check("CLIENT SETNAME ''", "+OK");
    desk.check("CLIENT GETNAME", "$-1");
    desk.check("CLIENT GETNAME x", "-ERR wrong number of arguments for 'client|getname' command");
}

#[test]
fn a_library_is_told_of() {
    let mut desk = Desk::new();
    desk.check("CLIENT SETINFO LIB-NAME redis-py", "+OK");
    desk.check("CLIENT SETINFO lib-ver 5.0.1", "+OK");
    desk.check("CLIENT SETINFO lib-foo x", "-ERR Unrecognized option 'lib-foo'");
    desk.check("CLIENT SETINFO lib-VER 'a b'", &format!("-ERR lib-VER {PRINTABLE}"));
    assert!(desk.run("CLIENT INFO").contains(" lib-name=redis-py lib-ver=5.0.1\n"));
    desk.check("CLIENT SETINFO lib-name ''", "+OK");
    assert!(desk.run("CLIENT INFO").contains(" lib-name= lib-ver=5.0.1\n"));
}

#[test]
fn a_line_has_all_fields_in_order() {
    let mut desk = Desk::new();
    desk.session.client.note_buffers(Buffers { input: 10, input_capacity: 64, output: 5, output_capacity: 32 });
    desk.run("CLIENT SETNAME me");
    let line = desk.run("CLIENT INFO");
    let expected = "id=1 addr=127.0.0.1:50001 laddr=127.0.0.1:6379 fd=-1 name=me age=0 idle=0 flags=N db=0 sub=0 \
                    psub=0 ssub=0 multi=-1 qbuf=10 qbuf-free=54 argv-mem=0 multi-mem=0 rbs=32 rbp=32 obl=5 oll=0 \
                    omem=0 tot-mem=";
    let body = line.split_once("\r\n").unwrap().1;
    assert!(body.starts_with(expected), "{body}");
    assert!(
        body.ends_with(" events=rw cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=\n\r\n"),
        "{body}"
    );
    desk.run("HELLO 3");
    assert!(desk.run("CLIENT INFO").contains("txt:id=1 "));
}

#[test]
fn connections_are_listed_by_kind_and_by_id() {
    let mut desk = Desk::new();
    let _other = desk.again();
    let ids = |listed: String| -> Vec<String> {
        listed.lines().filter_map(|line| line.strip_prefix("id=")).map(|line| line[..1].to_owned()).collect()
    };
    assert_eq!(ids(desk.run("CLIENT LIST")), ["1", "2"]);
    assert_eq!(ids(desk.run("CLIENT LIST TYPE normal")), ["1", "2"]);
    assert!(ids(desk.run("CLIENT LIST TYPE Replica")).is_empty());
    assert_eq!(ids(desk.run("CLIENT LIST ID 2 99 1")), ["2", "1"]);
    desk.check("CLIENT LIST ID", "-ERR syntax error");
    desk.check("CLIENT LIST ID 1 x", "-ERR Invalid client ID");
    desk.check("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'");
    desk.check("CLIENT LIST foo", "-ERR syntax error");
    desk.check("CLIENT LIST TYPE normal x", "-ERR syntax error");
}

#[test]
fn modes_are_shown_as_letters() {
    let mut desk = Desk::new();
    desk.check("CLIENT NO-EVICT ON", "+OK");
    desk.check("CLIENT NO-TOUCH on", "+OK");
    assert!(desk.run("CLIENT INFO").contains(" flags=eT "));
    desk.check("CLIENT NO-EVICT off", "+OK");
    desk.check("CLIENT NO-TOUCH OFF", "+OK");
    assert!(desk.run("CLIENT INFO").contains(" flags=N "));
    desk.check("CLIENT NO-EVICT x", "-ERR syntax error");
    desk.check("CLIENT NO-TOUCH", "-ERR wrong number of arguments for 'client|no-touch' command");
}

#[test]
fn another_connection_is_killed_by_its_address() {
    let mut desk = Desk::new();
    let other = desk.again();
    let address = other.session.client.address;
    desk.check("CLIENT KILL 1:1", "-ERR No such client");
    desk.check(&format!("CLIENT KILL {address}"), "+OK");
    assert!(other.session.client.is_killed());
    desk.check(&format!("CLIENT KILL {address}"), "-ERR No such client");
    assert_eq!(desk.ended, Ended::Done);
}

#[test]
fn filters_are_all_to_match() {
    let mut desk = Desk::new();
    let others = [desk.again(), desk.again()];
    let [second, third] = &others;
    desk.check("CLIENT KILL ID 2 TYPE pubsub", ":0");
    desk.check("CLIENT KILL ID 2 USER default LADDR 127.0.0.1:6379", ":1");
    assert!(second.session.client.is_killed() && !third.session.client.is_killed());
    desk.check("CLIENT KILL TYPE normal", ":1");
    assert!(third.session.client.is_killed());
    desk.check("CLIENT KILL ID 1", ":0");
    assert_eq!(desk.ended, Ended::Done);
}

#[test]
fn who_kills_itself_is_answered_first() {
    let mut desk = Desk::new();
    desk.check("CLIENT KILL ID 1 SKIPME no", ":1");
    assert_eq!(desk.ended, Ended::Close);
    let mut desk = Desk::new();
    let address = desk.session.client.address;
    desk.check(&format!("CLIENT KILL {address}"), "+OK");
    assert_eq!(desk.ended, Ended::Close);
}

#[test]
fn filters_say_what_is_wrong() {
    let mut desk = Desk::new();
    for (line, expected) in [
        ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL USER foo", "-ERR No such user 'foo'"),
        ("CLIENT KILL TYPE x", "-ERR Unknown client type 'x'"),
        ("CLIENT KILL SKIPME maybe", "-ERR syntax error"),
        ("CLIENT KILL MAXAGE 1", "-ERR syntax error"),
        ("CLIENT KILL ID 7 ADDR", "-ERR syntax error"),
    ] {
        desk.check(line, expected);
    }
}

#[test]
fn a_pause_holds_commands_back_until_it_ends() {
    let mut desk = Desk::new();
    for (line, expected) in [
        ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "-ERR timeout is negative"),
        ("CLIENT PAUSE 1 x", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
        ("CLIENT PAUSE 9223372036854775807", "-ERR timeout is out of range"),
        ("CLIENT pause 1 all x", "-ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP."),
    ] {
        desk.check(line, expected);
    }
    desk.check("CLIENT PAUSE 100000 WRITE", "+OK");
    desk.check("GET k", "$-1");
    desk.check("SET k v", "");
    assert!(matches!(desk.ended, Ended::Wait { .. }));
    desk.check("CLIENT PAUSE 100000", "+OK");
    desk.check("GET k", "");
    desk.check("CLIENT UNPAUSE", "+OK");
    desk.check("SET k v", "+OK");
}

#[test]
fn replies_are_turned_off_and_skipped() {
    let mut desk = Desk::new();
    desk.check("CLIENT REPLY x", "-ERR syntax error");
    desk.check("CLIENT REPLY SKIP", "");
    desk.check("PING", "");
    desk.check("PING", "+PONG");
    desk.check("CLIENT REPLY OFF", "");
    desk.check("PING", "");
    desk.check("CLIENT REPLY SKIP", "");
    desk.check("PING", "");
    desk.check("PING", "");
    desk.check("CLIENT REPLY ON", "+OK");
    desk.check("PING", "+PONG");
}

#[test]
fn a_wait_is_ended_by_others() {
    let mut desk = Desk::new();
    let other = desk.again();
    let waiting: &Client = &other.session.client;
    desk.check("CLIENT UNBLOCK 2", ":0");
    waiting.block(false);
    assert!(desk.run("CLIENT LIST ID 2").contains(" flags=b "));
    desk.check("CLIENT UNBLOCK 2", ":1");
    desk.check("CLIENT UNBLOCK 2", ":0");
    assert!(waiting.is_unblocked());
    assert_eq!(waiting.take_unblocked(), Some(Unblocked::TimedOut));
    waiting.block(false);
    desk.check("CLIENT UNBLOCK 2 error", ":1");
    assert_eq!(waiting.take_unblocked(), Some(Unblocked::Refused));
    assert_eq!(waiting.take_unblocked(), None);
    desk.check("CLIENT UNBLOCK x", "-ERR value is not an integer or out of range");
    desk.check("CLIENT UNBLOCK x y", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
}

#[test]
fn newer_sub_commands_are_unknown() {
    let mut desk = Desk::new();
    for sub in ["capa", "import-source"] {
        desk.check(&format!("CLIENT {sub} on"), &format!("-ERR unknown subcommand '{sub}'. Try CLIENT HELP."));
    }
    desk.check("CLIENT", "-ERR wrong number of arguments for 'client' command");
}

#[test]
fn who_speaks_resp3_may_ask_to_be_told_of_maintenance() {
    let mut desk = Desk::new();
    desk.check("CLIENT MAINT_NOTIFICATIONS ON", "-ERR CLIENT MAINT_NOTIFICATIONS needs RESP3: send HELLO 3 first");
    desk.check("CLIENT MAINT_NOTIFICATIONS OFF", "+OK");
    desk.run("HELLO 3");
    desk.check("CLIENT MAINT_NOTIFICATIONS ON", "+OK");
    desk.check("CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type external-ip", "+OK");
    let types = "internal-ip, internal-fqdn, external-ip, external-fqdn, none";
    desk.check(
        "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type here",
        &format!("-ERR moving-endpoint-type is one of {types}"),
    );
    desk.check("CLIENT MAINT_NOTIFICATIONS maybe", "-ERR syntax error");
    desk.check("CLIENT MAINT_NOTIFICATIONS ON more", "-ERR syntax error");
}

#[test]
fn help_names_every_sub_command() {
    let help = Desk::new().run("CLIENT HELP");
    assert!(help.contains("+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"), "{help}");
    assert!(help.contains("+PAUSE timeout [WRITE | ALL]\r\n+    "), "{help}");
    assert!(help.contains("+HELP\r\n"), "{help}");
}

#[test]
fn a_quiet_connection_leaves_no_trace() {
    const DAY_MS: u64 = 86_400_000;
    let mut desk = Desk::new();
    let node = desk.node.clone();
    let now_ms = now_ms();
    let key = node.store.key(b"k");
    let lock = |ms: u64| node.store.lock_one(key.place.stripe(), 0, node.store.moment(ms));
    node.store.set_eviction(Eviction::AllkeysLru, now_ms);
    lock(now_ms - DAY_MS).set(key, New::Set(b"v"), None);
    let is_idle = || lock(now_ms).peek(key).unwrap().idle_ms(node.store.moment(now_ms)) > DAY_MS / 2;
    desk.run("CLIENT NO-TOUCH ON");
    desk.check("GET k", "$1 v");
    assert!(is_idle());
    desk.run("CLIENT NO-TOUCH OFF");
    desk.check("GET k", "$1 v");
    assert!(!is_idle());
}

#[test]
fn the_last_command_is_told_though_it_was_refused() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    let id = other.session.client.id;
    for (line, shown) in [("PING", "ping"), ("GET", "get"), ("NOPE", "NULL"), ("CLIENT GETNAME", "client|getname")] {
        other.run(line);
        let listed = desk.run(&format!("CLIENT LIST ID {id}"));
        assert!(listed.contains(&format!(" cmd={shown} ")), "{line}: {listed}");
    }
}
