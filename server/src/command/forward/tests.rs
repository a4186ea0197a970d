//! Sessions of clients that know of no cluster, on the first node of one: what it asks the others, and what it makes of that.

use super::{Came, Outcome, Outgoing};
use crate::cluster::id::ShardId;
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::Change;
use crate::command::context::Wait;
use crate::command::dispatch::Ended;
use crate::command::shared::now_ms;
use crate::command::testing::{Desk, id};
use crate::config::Routing;
use larder_client::slot::Slot;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
const CROSSSLOT: &str = "-CROSSSLOT Keys in request don't hash to the same slot";

// Slots: b 3300, f 3168, j 3564 are the first shard's; foo 12182, h 11694 the second's, whose primary is node 3.

fn desk() -> Desk {
    desk_with(Routing::Auto)
}

fn desk_with(routing: Routing) -> Desk {
    let desk = Desk::in_cluster();
    desk.node.cluster.set_routing(routing, 0, TIMEOUT);
    desk
}

/// What is to be sent, line ends as spaces.
fn outgoing(desk: &mut Desk) -> Vec<Outgoing> {
    desk.session.forwarding.as_mut().map(|forwarding| forwarding.take_outgoing()).unwrap_or_default()
}

fn shown(outgoing: &[Outgoing]) -> Vec<(u8, String)> {
    let text = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).replace("\r\n", " ");
        text.split(' ').filter(|word| !word.starts_with(['*', '$'])).collect::<Vec<_>>().join(" ").trim_end().to_owned()
    };
    outgoing.iter().map(|one| (one.to.bytes()[0], text(&one.request))).collect()
}

/// Leaves an answer, written with spaces for line ends.
fn answer(one: &Outgoing, text: &str) {
    let came = Came::Reply((text.replace(' ', "\r\n") + "\r\n").into_bytes());
    one.answer.as_ref().expect("it is wanted").leave(came);
}

fn refuse(one: &Outgoing, text: &str) {
    one.answer.as_ref().expect("it is wanted").leave(Came::Nothing((text.to_owned() + "\r\n").into_bytes()));
}

/// What the oldest command has come to, if it has.
fn done(desk: &mut Desk, now_ms: u64) -> Option<String> {
    let (view, client) = (desk.node.cluster.view(), desk.session.client.clone());
    let forwarding = desk.session.forwarding.as_mut()?;
    forwarding.settle(&view, &client, now_ms);
    Some(match forwarding.take_done(&view, &client)?.1 {
        Outcome::Reply(reply) => String::from_utf8(reply).unwrap().trim_end().replace("\r\n", " "),
        Outcome::Lost => "lost".to_owned(),
    })
}

/// Runs a command that others are asked about, and returns what.
#[track_caller]
fn leaves(desk: &mut Desk, line: &str, expected: &[(u8, &str)]) -> Vec<Outgoing> {
    desk.check(line, "");
    let sent = outgoing(desk);
    let expected: Vec<(u8, String)> = expected.iter().map(|(to, text)| (*to, (*text).to_owned())).collect();
    assert_eq!(shown(&sent), expected, "{line}");
    sent
}

fn waits(desk: &Desk) -> bool {
    matches!(desk.ended, Ended::Wait { wait: Wait::Until(u64::MAX), .. })
}

/// The first shard gets a slot of the second, or the other way round.
fn moved(desk: &Desk, slot: u16, to: u32) {
    let slots = Ranges::checked(&[(slot, slot)]).unwrap();
    desk.change(&[Change::BeginMove { slots: slots.clone(), to: ShardId(to) }]);
    let topology = &desk.node.cluster.view().topology;
    let epoch = |shard| topology.shard(ShardId(shard)).unwrap().epoch;
    let (from_epoch, to_epoch) = (epoch(3 - to), epoch(to));
    let began = topology.moves()[&Slot::new(slot).unwrap()].began;
    desk.change(&[Change::EndMove { slots, began, from_epoch, to_epoch }]);
}

#[test]
fn the_node_that_has_the_keys_is_asked() {
    let mut desk = desk();
    desk.check("SET b 1", "+OK");
    let sent = leaves(&mut desk, "SET foo 1", &[(3, "SET foo 1")]);
    assert_eq!(done(&mut desk, 0), None);
    answer(&sent[0], "+OK");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    let sent = leaves(&mut desk, "GET foo", &[(3, "GET foo")]);
    desk.check("GET b", "$1 1");
    answer(&sent[0], "$1 1");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("$1 1"));
    assert_eq!(desk.node.stats.forwarded.load(std::sync::atomic::Ordering::Relaxed), 2);
    // Wrong calls are not sent anywhere.
    desk.check("GET", "-ERR wrong number of arguments for 'get' command");
    desk.check("SINTER b foo", CROSSSLOT);
    desk.check("RENAME foo b", CROSSSLOT);
}

#[test]
fn each_node_is_asked_about_its_own_keys() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "MGET foo b h j", &[(1, "MGET b j"), (3, "MGET foo h")]);
    answer(&sent[1], "*2 $1 F $-1");
    assert_eq!(done(&mut desk, 0), None);
    answer(&sent[0], "*2 $1 B $1 J");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*4 $1 F $1 B $-1 $1 J"));
    let sent = leaves(&mut desk, "DEL foo b", &[(1, "DEL b"), (3, "DEL foo")]);
    sent.iter().for_each(|one| answer(one, ":1"));
    assert_eq!(done(&mut desk, 0).as_deref(), Some(":2"));
    let sent = leaves(&mut desk, "MSET b 1 foo 2 j 3", &[(1, "MSET b 1 j 3"), (3, "MSET foo 2")]);
    answer(&sent[0], "+OK");
    answer(&sent[1], "-OOM command not allowed");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("-OOM command not allowed"));
    // A part of that is done here, but comes by a line.
    let sent = leaves(&mut desk, "MSET b 1 foo 2", &[(1, "MSET b 1"), (3, "MSET foo 2")]);
    for line in ["GET b", "MGET b j"] {
        desk.check(line, "");
        assert!(waits(&desk), "{line}");
    }
    sent.iter().for_each(|one| answer(one, "+OK"));
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    // What is all here is done here, whatever the slots.
    desk.check("MSET b 1 j 2", "+OK");
    desk.check("MGET j b f", "*3 $1 2 $1 1 $-1");
    desk.check("MSET b 1 foo", "-ERR wrong number of arguments for 'mset' command");
    desk.check("MSETNX b 1 foo 2", CROSSSLOT);
}

#[test]
fn all_shards_are_asked_about_all_keys() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "DBSIZE", &[(1, "DBSIZE"), (3, "DBSIZE")]);
    answer(&sent[0], ":40");
    answer(&sent[1], ":2");
    assert_eq!(done(&mut desk, 0).as_deref(), Some(":42"));
    let sent = leaves(&mut desk, "SCAN 0 COUNT 5", &[(1, "SCAN 0 COUNT 5")]);
    answer(&sent[0], "*2 $1 0 *1 $1 b");
    let cursor = 1u64 << 52;
    assert_eq!(done(&mut desk, 0), Some(format!("*2 $16 {cursor} *1 $1 b")));
    let sent = leaves(&mut desk, &format!("SCAN {cursor}"), &[(3, "SCAN 0")]);
    answer(&sent[0], "*2 $1 0 *0");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*2 $1 0 *0"));
    desk.check("SCAN x", "-ERR invalid cursor");
    let sent = leaves(&mut desk, "WAIT 1 0", &[(1, "WAIT 1 0"), (3, "WAIT 1 0")]);
    assert!(sent[0].lone.is_some() && sent[0].lone != sent[1].lone, "each on a line of its own");
    answer(&sent[0], ":2");
    answer(&sent[1], ":1");
    assert_eq!(done(&mut desk, 0).as_deref(), Some(":1"));
}

#[test]
fn what_a_node_refuses_is_said_again_by_the_new_topology_before_anything_else() {
    let mut desk = desk();
    let first = leaves(&mut desk, "SET foo 1", &[(3, "SET foo 1")]);
    let second = leaves(&mut desk, "APPEND foo 2", &[(3, "APPEND foo 2")]);
    moved(&desk, 12182, 1);
    // The key is this node's now, but what was said before comes before.
    desk.check("GET foo", "");
    assert!(waits(&desk));
    refuse(&first[0], "-MOVED 12182 10.0.0.1:7001");
    assert_eq!(done(&mut desk, 0), None);
    assert!(shown(&outgoing(&mut desk)).is_empty(), "one is under way still");
    refuse(&second[0], "-MOVED 12182 10.0.0.1:7001");
    assert_eq!(done(&mut desk, 0), None);
    let again = outgoing(&mut desk);
    assert_eq!(shown(&again), [(1, "SET foo 1".to_owned()), (1, "APPEND foo 2".to_owned())]);
    desk.check("GET foo", "");
    assert!(waits(&desk), "what was said again comes by a line, and this would be run at once");
    answer(&again[0], "+OK");
    answer(&again[1], ":2");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    assert_eq!(done(&mut desk, 0).as_deref(), Some(":2"));
    desk.check("GET foo", "$-1");
}

#[test]
fn keys_of_one_node_may_be_several_nodes_when_they_are_asked_about_again() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "MGET foo b h", &[(1, "MGET b"), (3, "MGET foo h")]);
    moved(&desk, 12182, 1);
    answer(&sent[0], "*1 $1 B");
    refuse(&sent[1], "-MOVED 12182 10.0.0.1:7001");
    assert_eq!(done(&mut desk, 0), None);
    let again = outgoing(&mut desk);
    assert_eq!(shown(&again), [(1, "MGET foo".to_owned()), (3, "MGET h".to_owned())]);
    answer(&again[0], "*1 $1 F");
    answer(&again[1], "*1 $1 H");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*3 $1 F $1 B $1 H"));
}

#[test]
fn a_node_that_cannot_be_reached_is_tried_for_a_time() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "SET foo 1", &[(3, "SET foo 1")]);
    let begin = now_ms();
    refuse(&sent[0], "-CLUSTERDOWN it is down");
    assert_eq!(done(&mut desk, begin), None);
    let again = outgoing(&mut desk);
    assert_eq!(shown(&again).len(), 1);
    refuse(&again[0], "-CLUSTERDOWN it is down");
    assert_eq!(done(&mut desk, begin + 1), None);
    assert!(outgoing(&mut desk).is_empty(), "not at once");
    assert_eq!(done(&mut desk, begin + 6000).as_deref(), Some("-CLUSTERDOWN it is down"));
}

#[test]
fn who_has_lost_the_lease_asks_itself_until_somebody_has_it() {
    let mut desk = desk();
    let epoch = desk.node.cluster.view().own_shard().unwrap().epoch;
    desk.node.cluster.set_lease(epoch, Duration::ZERO);
    let sent = leaves(&mut desk, "SET b 1", &[(1, "SET b 1")]);
    refuse(&sent[0], "-CLUSTERDOWN The cluster is down");
    assert_eq!(done(&mut desk, now_ms()), None);
    let again = outgoing(&mut desk);
    assert_eq!(shown(&again), [(1, "SET b 1".to_owned())]);
    answer(&again[0], "+OK");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    desk.check("MULTI", "+OK");
    desk.check("SET b 2", "+QUEUED");
    let sent = leaves(&mut desk, "EXEC", &[(1, "MULTI SET b 2 EXEC")]);
    answer(&sent[0], "*1 +OK");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*1 +OK"));
    desk.lead();
    desk.check("SET b 3", "+OK");
}

#[test]
fn a_write_that_may_have_been_run_is_not_run_again() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "GET foo", &[(3, "GET foo")]);
    sent[0].answer.as_ref().unwrap().leave(Came::Lost);
    assert_eq!(done(&mut desk, 0), None);
    let again = outgoing(&mut desk);
    answer(&again[0], "$1 1");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("$1 1"));
    let sent = leaves(&mut desk, "INCR foo", &[(3, "INCR foo")]);
    sent[0].answer.as_ref().unwrap().leave(Came::Lost);
    assert_eq!(done(&mut desk, 0).as_deref(), Some("lost"));
}

#[test]
fn commands_about_no_key_wait_for_those_before() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "SET foo 1", &[(3, "SET foo 1")]);
    for line in ["PUBLISH c m", "PING", "DBSIZE", "BLPOP foo 0", "WATCH foo"] {
        desk.check(line, "");
        assert!(waits(&desk), "{line}");
    }
    answer(&sent[0], "+OK");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    desk.check("PING", "+PONG");
}

#[test]
fn a_transaction_is_run_where_all_its_keys_are() {
    let mut desk = desk();
    desk.check("MULTI", "+OK");
    desk.check("SET foo 1", "+QUEUED");
    desk.check("INCR h", "+QUEUED");
    let sent = leaves(&mut desk, "EXEC", &[(3, "MULTI SET foo 1 INCR h EXEC")]);
    assert_eq!(sent[0].commands, 4);
    answer(&sent[0], "*2 +OK :1");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*2 +OK :1"));
    assert!(desk.session.queue.is_none());
    desk.check("MULTI", "+OK");
    desk.check("SET b 1", "+QUEUED");
    desk.check("INCR j", "+QUEUED");
    desk.check("EXEC", "*2 +OK :1");
    desk.check("MULTI", "+OK");
    desk.check("SET foo 1", "+QUEUED");
    desk.check("SET b 1", "+QUEUED");
    desk.check("EXEC", CROSSSLOT);
    desk.check("MULTI", "+OK");
    desk.check("MGET foo b", CROSSSLOT);
    desk.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    desk.check("MULTI", "+OK");
    desk.check("SET foo 1", "+QUEUED");
    desk.check("DISCARD", "+OK");
}

#[test]
fn keys_of_another_node_are_watched_there() {
    let mut desk = desk();
    let sent = leaves(&mut desk, "WATCH foo", &[(3, "WATCH foo")]);
    let line = sent[0].lone;
    assert!(line.is_some() && !sent[0].is_last);
    answer(&sent[0], "+OK");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("+OK"));
    desk.check("WATCH b", CROSSSLOT);
    desk.check("MULTI", "+OK");
    desk.check("GET h", "+QUEUED");
    let sent = leaves(&mut desk, "EXEC", &[(3, "MULTI GET h EXEC")]);
    assert!(sent[0].lone == line && sent[0].is_last && sent[0].goes_on);
    answer(&sent[0], "*-1");
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*-1"));
    // Where the line is no more, it is as if the key had changed.
    let sent = leaves(&mut desk, "WATCH foo", &[(3, "WATCH foo")]);
    answer(&sent[0], "+OK");
    done(&mut desk, 0);
    desk.check("MULTI", "+OK");
    desk.check("GET foo", "+QUEUED");
    let sent = leaves(&mut desk, "EXEC", &[(3, "MULTI GET foo EXEC")]);
    sent[0].answer.as_ref().unwrap().leave(Came::Nothing(Vec::new()));
    assert_eq!(done(&mut desk, 0).as_deref(), Some("*-1"));
    // What is watched no longer frees the line.
    let sent = leaves(&mut desk, "WATCH foo", &[(3, "WATCH foo")]);
    answer(&sent[0], "+OK");
    done(&mut desk, 0);
    desk.check("UNWATCH", "+OK");
    let sent = outgoing(&mut desk);
    assert_eq!(shown(&sent), [(3, "UNWATCH".to_owned())]);
    assert!(sent[0].is_last && sent[0].answer.is_none());
    desk.check("WATCH b", "+OK");
    desk.check("WATCH foo", CROSSSLOT);
    desk.check("MULTI", "+OK");
    desk.check("GET foo", "+QUEUED");
    desk.check("EXEC", CROSSSLOT);
}

#[test]
fn who_waits_on_another_node_has_a_line_there_and_can_be_called_off() {
    use crate::command::clients::Unblocked;
    let mut desk = desk();
    for (how, command, expected) in [
        (Unblocked::TimedOut, "BLPOP foo 0", "*-1"),
        (Unblocked::TimedOut, "BLMOVE foo {foo}2 LEFT LEFT 0", "$-1"),
        (Unblocked::Refused, "BLPOP foo 0", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ] {
        let sent = leaves(&mut desk, command, &[(3, command)]);
        assert!(sent[0].lone.is_some() && sent[0].is_last);
        desk.check("GET foo", "");
        assert!(waits(&desk) && desk.session.client.is_blocked());
        assert!(desk.session.client.unblock(how));
        assert_eq!(done(&mut desk, 0).as_deref(), Some(expected), "{command}");
        assert!(sent[0].answer.as_ref().unwrap().is_given_up() && !desk.session.client.is_blocked());
    }
}

#[test]
fn who_knows_of_the_cluster_is_told_where_to_ask() {
    const MOVED: &str = "-MOVED 12182 10.0.0.3:7003";
    for line in
        ["CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "READONLY", "READWRITE", "ASKING", "CLIENT TRACKING ON"]
    {
        let mut desk = desk();
        desk.set_protocol(3);
        assert!(!desk.run(line).starts_with('-'), "{line}");
        desk.check("GET foo", MOVED);
        desk.check("SSUBSCRIBE foo", MOVED);
    }
    let mut desk = desk_with(Routing::Redirect);
    desk.check("GET foo", MOVED);
    desk.check("MGET foo b", CROSSSLOT);
    desk.check("DBSIZE", ":0");
    let mut desk = desk_with(Routing::Forward);
    desk.run("CLUSTER SLOTS");
    leaves(&mut desk, "GET foo", &[(3, "GET foo")]);
    let mut desk = self::desk();
    desk.check("SSUBSCRIBE foo", MOVED);
}

#[test]
fn who_finds_the_way_alone_is_told_when_the_topology_changes() {
    const MOVED: &str = "-MOVED 3300 10.0.0.3:7003";
    let mut knowing = desk();
    // Keys of the first shard alone, in 48 buckets of slots: half the slots are its own, so each is one bit of evidence.
    let own = |count: usize| {
        let mut seen = std::collections::BTreeSet::new();
        let keys = (0..).map(|number| format!("key{number}"));
        let slot = |key: &String| larder_client::slot::of(key.as_bytes()).number();
        keys.filter(|key| slot(key) < 8192).filter(|key| seen.insert(slot(key) % 64)).take(count).collect::<Vec<_>>()
    };
    for key in own(48) {
        knowing.check(&format!("GET {key}"), "$-1");
    }
    moved(&knowing, 3300, 2);
    knowing.check("GET b", MOVED);
    let mut unknown = desk();
    for key in own(30) {
        unknown.check(&format!("GET {key}"), "$-1");
    }
    moved(&unknown, 3300, 2);
    leaves(&mut unknown, "GET b", &[(3, "GET b")]);
    let mut asking = desk();
    let sent = leaves(&mut asking, "GET foo", &[(3, "GET foo")]);
    answer(&sent[0], "$-1");
    done(&mut asking, 0);
    for key in own(60) {
        asking.check(&format!("GET {key}"), "$-1");
    }
    moved(&asking, 3300, 2);
    leaves(&mut asking, "GET b", &[(3, "GET b")]);
}

#[test]
fn messages_go_to_all_nodes() {
    let mut desk = desk();
    desk.check("PUBLISH c m", ":0");
    let sent = outgoing(&mut desk);
    // The other shard's primary, and the witness, which has no shard. Replicas get it by the stream of their primary.
    assert_eq!(shown(&sent), [(3, "PUBLISH c m".to_owned()), (5, "PUBLISH c m".to_owned())]);
    assert!(sent.iter().all(|one| one.answer.is_none()));
    desk.session.is_forwarder = true;
    desk.check("PUBLISH c m", ":0");
    assert!(outgoing(&mut desk).is_empty(), "what another node has brought goes no further");
}

#[test]
fn commands_of_other_nodes_are_run_here_or_refused() {
    let mut desk = desk();
    let me = id(1);
    let wrong = "-ERR only the nodes of the cluster bring commands of their clients";
    desk.check(&format!("CLUSTER FORWARD {} {}", id(2), "0".repeat(64)), wrong);
    desk.node.cluster.set_secret(b"secret");
    let proof = crate::cluster::bus::peer_proof(
        crate::cluster::bus::Purpose::Forward,
        b"secret",
        id(3),
        me,
        desk.node.cluster.incarnation(),
    );
    let proof: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
    desk.check(&format!("CLUSTER FORWARD {} {proof}", id(2)), wrong);
    desk.check(&format!("CLUSTER FORWARD {} {proof}", id(3)), "+OK");
    desk.check("MSET b 1 j 2", "+OK");
    desk.check("MGET b f j", "*3 $1 1 $-1 $1 2");
    desk.check("GET foo", "-MOVED 12182 10.0.0.3:7003");
    desk.check("MGET b foo", "-MOVED 12182 10.0.0.3:7003");
    desk.check("DBSIZE", ":2");
    desk.check("MULTI", "+OK");
    desk.check("INCR b", "+QUEUED");
    desk.check("INCR j", "+QUEUED");
    desk.check("EXEC", "*2 :2 :3");
}
