//! What becomes of replies that are held.

use super::{Bench, Connection};
use crate::command::replication::{NewFollower, Phase, QuorumOf};
use crate::command::testing::{Desk, freeze};
use crate::repl::spell::push_command;
use std::collections::BTreeSet;
use std::time::Duration;

/// A connection at `quorum` to a node with a replica.
struct Held {
    desk: Desk,
    connection: Connection,
    replica: u64,
}

impl Held {
    fn new() -> Held {
        let desk = Desk::new();
        let other = desk.again();
        let who =
            NewFollower { client: other.session.client.clone(), host: "h".into(), port: 1, is_mute: false, node: None };
        let replica = desk.node.barrier.alone(|| desk.node.enter_now(who)).number;
        desk.node.replication.set_phase(replica, Phase::Online);
        let mut held = Held { desk, connection: Connection::new(other.session), replica };
        held.type_in("CLIENT DURABILITY quorum");
        held.check("+OK");
        held
    }

    fn type_in(&mut self, line: &str) {
        let node = self.desk.node.clone();
        let mut pass = node.barrier.enter(0);
        let line = format!("{line}\r\n");
        self.connection.receive(line.as_bytes(), &node, &mut Bench::default(), &mut pass);
    }

    /// Looks at what is held, and checks what is sent.
    #[track_caller]
    fn check(&mut self, expected: &str) {
        self.connection.release(&self.desk.node);
        let sent = self.connection.output().to_vec();
        assert_eq!(String::from_utf8_lossy(&sent).trim_end().replace("\r\n", " "), expected);
        self.connection.sent(sent.len(), &mut Bench::default());
    }

    fn acknowledge(&self) {
        self.desk.node.replication.acknowledged(self.replica, self.desk.node.replication.offset());
    }
}

#[test]
fn replies_are_sent_in_order_once_what_they_tell_of_is_acknowledged() {
    let mut held = Held::new();
    held.desk.check("SET old 1", "+OK");
    let old = held.desk.node.replication.offset();
    for line in ["SET k v", "GET old", "GET k", "PING"] {
        held.type_in(line);
    }
    held.check("");
    held.desk.node.replication.acknowledged(held.replica, old);
    held.check("");
    held.acknowledge();
    held.check("+OK $1 1 $1 v +PONG");
}

#[test]
fn a_read_that_nobody_acknowledges_in_time_is_told_as_one() {
    freeze(Some(1_000_000));
    let mut held = Held::new();
    held.desk.check("SET k v", "+OK");
    held.type_in("GET k");
    held.type_in("PING");
    held.check("");
    freeze(Some(1_000_999));
    held.type_in("SET k w");
    held.check("");
    freeze(Some(1_001_000));
    held.check("-NOTDURABLE What was read may be lost yet: durability quorum was not reached within 1000 ms +PONG");
    freeze(Some(1_001_999));
    held.check("-NOTDURABLE The write stands on the primary only: durability quorum was not reached within 1000 ms");
    freeze(None);
}

#[test]
fn who_ceases_to_lead_says_so_at_once() {
    let mut held = Held::new();
    held.desk.check("SET k v", "+OK");
    held.type_in("GET k");
    held.check("");
    let node = held.desk.node.clone();
    node.barrier.alone(|| node.follow(Some(("h".into(), 1))));
    held.check(
        "-NOTDURABLE What was read may be lost yet: this node ceased to lead before durability quorum was reached",
    );
}

#[test]
fn what_was_read_behind_the_end_of_the_lease_is_not_told() {
    let mut desk = Desk::in_cluster();
    desk.check("SETRANGE {k}long 67108864 x", ":67108865");
    let other = desk.again();
    let mut held = Held { desk, connection: Connection::new(other.session), replica: 0 };
    let node = held.desk.node.clone();
    let nobody = || QuorumOf::All(BTreeSet::new());
    node.replication.set_quorum(nobody(), nobody(), nobody());
    held.type_in("CLIENT DURABILITY quorum");
    held.check("+OK");
    let mut batch = Vec::new();
    push_command(&mut batch, [&b"GET"[..], b"k"].into_iter());
    // All in one batch, which is let in while the node has its lease, and takes longer than that.
    (0..60).for_each(|_| push_command(&mut batch, [&b"BITCOUNT"[..], b"{k}long"].into_iter()));
    push_command(&mut batch, [&b"GET"[..], b"k"].into_iter());
    let epoch = node.cluster.view().own_shard().expect("it has a shard").epoch;
    let until = node.cluster.now() + Duration::from_millis(20);
    node.cluster.set_lease(epoch, until);
    let mut pass = node.barrier.enter(0);
    held.connection.receive(&batch, &node, &mut Bench::default(), &mut pass);
    drop(pass);
    assert!(node.cluster.now() > until, "counting takes longer");
    held.connection.release(&node);
    let sent = String::from_utf8_lossy(held.connection.output()).into_owned();
    assert!(sent.starts_with("$-1\r\n"), "{}", &sent[..sent.len().min(100)]);
    let last = sent.lines().last().expect("there are replies");
    assert!(last.starts_with("-NOTDURABLE What was read") && last.contains("ceased to lead"), "{last}");
}
