//! Which replies are held at `quorum`, and until when.

use crate::cluster::id::Id;
use crate::command::replication::{NewFollower, Phase, QuorumOf};
use crate::command::shared::now_ms;
use crate::command::testing::{Desk, id};
use crate::repl::history::Kin;
use crate::store::hash::STRIPES;
use std::collections::BTreeSet;

/// A node with a connection that writes at `async`, one that reads at `quorum`, and a replica.
struct Shard {
    writer: Desk,
    reader: Desk,
    replica: u64,
}

impl Shard {
    fn new() -> Shard {
        let mut shard = Shard::alone();
        shard.replica = shard.enter(None);
        shard
    }

    fn alone() -> Shard {
        let writer = Desk::new();
        let mut reader = writer.again();
        reader.check("CLIENT DURABILITY quorum", "+OK");
        Shard { writer, reader, replica: 0 }
    }

    /// One more replica, which may be a node of the cluster.
    fn enter(&self, node: Option<Id>) -> u64 {
        let client = self.writer.again().session.client.clone();
        let node = node.map(|node| (node, 1));
        let who = NewFollower { client, host: "h".into(), port: 1, is_mute: false, node };
        let shared = &self.writer.node;
        let number = shared.barrier.alone(|| shared.enter_now(who)).number;
        shared.replication.set_phase(number, Phase::Online);
        number
    }

    fn end(&self) -> u64 {
        self.writer.node.replication.offset()
    }

    fn acknowledge(&self) {
        self.writer.node.replication.acknowledged(self.replica, self.end());
    }

    /// Says which other nodes of the cluster may lead, and that there are too few for writes at `quorum`.
    fn set_heirs(&self, heirs: &[Id]) {
        let heirs = BTreeSet::from_iter(heirs.iter().copied());
        self.writer.node.replication.set_quorum(QuorumOf::Nobody, QuorumOf::All(heirs), QuorumOf::Nobody);
    }

    /// Runs a line at `quorum`. Returns whether its reply is held.
    fn is_held(&mut self, line: &str) -> bool {
        self.reader.session.holds.clear();
        self.reader.run(line);
        !self.reader.session.holds.is_empty()
    }

    /// Whether the reply that is held is to be sent.
    fn is_due(&self) -> bool {
        let hold = self.reader.session.holds.front().expect("a reply is held");
        self.writer.node.replication.is_due(hold)
    }
}

#[test]
fn a_read_is_held_until_what_it_shows_is_acknowledged() {
    let mut shard = Shard::new();
    assert!(!shard.is_held("GET k"), "nobody has written");
    shard.writer.check("SET k v", "+OK");
    assert!(shard.writer.session.holds.is_empty(), "who reads at async is not held");
    shard.writer.check("GET k", "$1 v");
    assert!(shard.writer.session.holds.is_empty());
    assert!(!shard.is_held("GET other"), "that is another stripe");
    assert!(!shard.is_held("PING"));
    assert!(!shard.is_held("CLIENT ID"));
    for line in ["GET k", "SETNX k w", "EXISTS k", "LLEN k", "STRLEN k", "KEYS *", "DBSIZE", "SCAN 0", "RANDOMKEY"] {
        assert!(shard.is_held(line), "{line}");
        assert!(!shard.is_due());
        let hold = shard.reader.session.holds.front().expect("it is held");
        assert!(hold.is_read && hold.mark.offset == shard.end() && hold.until_ms >= now_ms(), "{line}");
    }
    shard.acknowledge();
    assert!(shard.is_due());
    assert!(!shard.is_held("GET k") && !shard.is_held("DBSIZE"));
    assert!(shard.is_held("SET k w"));
    assert!(!shard.reader.session.holds[0].is_read);
}

#[test]
fn a_read_at_replica_is_not_held() {
    let mut shard = Shard::new();
    shard.reader.check("CLIENT DURABILITY replica", "+OK");
    shard.writer.check("SET k v", "+OK");
    assert!(!shard.is_held("GET k"));
    assert!(shard.is_held("SET k w"));
}

#[test]
fn the_last_write_of_all_stripes_counts() {
    let mut shard = Shard::new();
    shard.writer.check("SET a 1", "+OK");
    let first = shard.end();
    shard.writer.check("SET b 2", "+OK");
    assert!(shard.is_held("MGET a b c"));
    let replication = &shard.writer.node.replication;
    replication.acknowledged(shard.replica, first);
    assert!(!shard.is_due());
    assert!(!shard.is_held("MGET a c"), "the first is acknowledged");
    assert!(shard.is_held("MGET c b"));
    shard.acknowledge();
    assert!(shard.is_due());
}

#[test]
fn what_goes_beside_commands_counts_as_written() {
    let mut shard = Shard::new();
    shard.writer.check("SET k v PX 1", "+OK");
    shard.acknowledge();
    while shard.writer.run("EXISTS k") != ":0\r\n" {}
    shard.acknowledge();
    let node = shard.writer.node.clone();
    (0..STRIPES).for_each(|stripe| while node.store.expire(stripe, node.store.moment(now_ms()), 10) {});
    shard.writer.check("SET a 1", "+OK");
    shard.writer.check("FLUSHALL", "+OK");
    shard.acknowledge();
    assert!(!shard.is_held("GET a"));
    shard.writer.check("SET a 1 PX 1", "+OK");
    shard.acknowledge();
    let before = shard.end();
    while shard.end() == before {
        node.store.expire(shard.reader.node.store.place(b"a").stripe(), node.store.moment(now_ms()), 10);
    }
    assert!(shard.is_held("GET a"), "its time has come");
    shard.acknowledge();
    shard.writer.check("FLUSHALL", "+OK");
    assert!(shard.is_held("GET any"), "it may have been there");
    shard.acknowledge();
    assert!(shard.is_due());
}

#[test]
fn a_transaction_is_held_for_all_that_it_shows() {
    let mut shard = Shard::new();
    shard.writer.check("SET k v", "+OK");
    assert!(!shard.is_held("MULTI"));
    assert!(!shard.is_held("GET k"), "it is queued");
    assert!(shard.is_held("EXEC"));
    assert!(!shard.is_due());
    shard.acknowledge();
    assert!(shard.is_due());
    shard.writer.check("SET k w", "+OK");
    for (line, is_held) in [("GET other", false), ("DBSIZE", true), ("MGET other k", true)] {
        shard.reader.check("MULTI", "+OK");
        shard.reader.check(line, "+QUEUED");
        assert_eq!(shard.is_held("EXEC"), is_held, "{line}");
    }
    // A transaction that writes counts for all of its stripes.
    shard.acknowledge();
    for line in ["MULTI", "SET a 1", "DEL k", "EXEC"] {
        shard.writer.run(line);
    }
    assert!(shard.is_held("GET a") && shard.is_held("GET k") && !shard.is_held("GET other"));
    // What was told of one transaction is not taken for the next command.
    shard.reader.check("MULTI", "+OK");
    shard.reader.check("CLIENT DURABILITY async", "+QUEUED");
    shard.reader.run("EXEC");
    shard.acknowledge();
    shard.reader.check("CLIENT DURABILITY quorum", "+OK");
    assert!(!shard.is_held("GET k"));
}

#[test]
fn who_waited_is_held_for_what_it_was_served() {
    let mut shard = Shard::new();
    shard.reader.check("XREAD BLOCK 0 STREAMS s 0", "");
    shard.reader.session.holds.clear();
    shard.writer.run("XADD s 1-1 f v");
    shard.reader.check("XREAD BLOCK 0 STREAMS s 0", "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 f $1 v");
    assert!(shard.reader.session.holds[0].is_read && !shard.is_due());
    shard.acknowledge();
    assert!(shard.is_due());
    // It was served before the node ceased to lead, and sees that only now.
    shard.reader.session.holds.clear();
    shard.reader.check("XREAD BLOCK 0 STREAMS s 1-1", "");
    shard.writer.run("XADD s 1-2 f v");
    let node = &shard.writer.node;
    node.barrier.alone(|| node.follow(Some(("h".into(), 1))));
    shard.reader.run("XREAD BLOCK 0 STREAMS s 1-1");
    let hold = shard.reader.session.holds.front().expect("a reply is held");
    assert!(node.replication.is_late(hold));
}

#[test]
fn who_alone_may_lead_needs_nobody() {
    let mut shard = Shard::alone();
    shard.set_heirs(&[]);
    shard.writer.check("SET k v", "+OK");
    assert!(!shard.is_held("GET k"));
    assert!(shard.is_held("SET k w"), "there are too few for writes");
    // A replica that may lead, though it is not in sync, may lack what was written since.
    shard.replica = shard.enter(Some(id(2)));
    shard.set_heirs(&[id(2)]);
    assert!(!shard.is_held("GET k"), "what was shown already lasts");
    shard.writer.check("SET k x", "+OK");
    assert!(shard.is_held("GET k"));
    shard.acknowledge();
    assert!(shard.is_due());
    // One that may not lead any longer is not waited for.
    shard.writer.check("SET k y", "+OK");
    shard.set_heirs(&[id(2), id(3)]);
    shard.acknowledge();
    assert!(shard.is_held("GET k"));
    shard.set_heirs(&[id(2)]);
    assert!(shard.is_due());
    shard.writer.node.replication.set_quorum(QuorumOf::Nobody, QuorumOf::Nobody, QuorumOf::Nobody);
    shard.writer.check("SET k z", "+OK");
    shard.acknowledge();
    assert!(shard.is_held("GET k"), "a node without its lease knows of nobody who may lead");
}

/// A replica that is promoted, as its shard's topology has it.
fn promoted(is_shared: bool) -> Shard {
    let mut shard = Shard::alone();
    let node = shard.writer.node.clone();
    node.barrier.alone(|| node.follow(Some(("h".into(), 1))));
    let replication = &node.replication;
    let generation = replication.goal().generation;
    if is_shared {
        replication.begin_at(generation, ("a".repeat(40), 700, Kin::default()), 0).expect("it is followed");
    }
    let mut primary = shard.writer.again();
    primary.session.is_primary = true;
    primary.check("SET k v", "+OK");
    replication.pass_on(generation, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", 0).expect("it is followed");
    assert!(!shard.is_held("GET k"), "a replica answers as it is");
    let is_known = replication.shares_all();
    assert_eq!(is_known, is_shared);
    node.barrier.alone(|| {
        node.follow(None);
        if is_known {
            replication.set_forebear(id(1));
        }
    });
    shard
}

#[test]
fn what_a_promoted_replica_holds_lasts_once_the_others_hold_it() {
    let mut shard = promoted(true);
    shard.set_heirs(&[id(1)]);
    assert!(!shard.is_held("GET k"), "it comes from the one before, which holds it, too");
    shard.set_heirs(&[id(1), id(3)]);
    shard.writer.check("SET a 1", "+OK");
    shard.set_heirs(&[id(1)]);
    assert!(shard.is_held("GET a") && !shard.is_held("GET k"));

    for (is_shared, heirs) in [(true, &[id(1), id(3)][..]), (false, &[id(1)])] {
        let mut shard = promoted(is_shared);
        shard.set_heirs(heirs);
        assert!(shard.is_held("GET k") && shard.is_held("GET any"), "{is_shared}");
        assert!(!shard.is_due());
        shard.replica = shard.enter(Some(*heirs.last().expect("there are some")));
        shard.acknowledge();
        assert!(shard.is_due());
    }
}

#[test]
fn a_reply_is_late_once_the_node_follows() {
    let mut shard = Shard::new();
    shard.writer.check("SET k v", "+OK");
    assert!(shard.is_held("GET k"));
    let node = shard.writer.node.clone();
    node.barrier.alone(|| node.follow(Some(("h".into(), 1))));
    node.barrier.alone(|| node.follow(None));
    shard.replica = shard.enter(None);
    shard.writer.check("SET k w", "+OK");
    shard.acknowledge();
    let hold = shard.reader.session.holds.front().expect("it is held");
    assert!(node.replication.is_late(hold) && !node.replication.is_due(hold));
}

#[test]
fn a_node_that_comes_anew_has_given_its_earlier_link_up() {
    let shard = Shard::alone();
    let replication = &shard.writer.node.replication;
    let (other, first) = (shard.enter(Some(id(3))), shard.enter(Some(id(2))));
    shard.enter(Some(id(2)));
    assert!(replication.take_part(first, false).is_err(), "it is lost");
    assert!(replication.take_part(other, false).is_ok());
}

#[test]
fn what_was_on_its_way_is_kept_for_a_node_that_comes_anew() {
    for has_left in [false, true] {
        let mut shard = Shard::alone();
        let node = shard.writer.node.clone();
        let link = shard.enter(Some(id(2)));
        let value = "v".repeat(1 << 20);
        shard.writer.check(&format!("SET k {value}"), "+OK");
        let acknowledged = shard.end();
        node.replication.acknowledged(link, acknowledged);
        let more = |shard: &mut Shard| (0..2).for_each(|_| shard.writer.check(&format!("SET k {value}"), "+OK"));
        more(&mut shard);
        // All of it is sent, more than the backlog holds, and the first third of it has arrived.
        while node.replication.take_part(link, false).expect("it is not lost").is_some() {}
        if has_left {
            node.replication.leave(link);
        }
        // With what is written next, what nobody needs is trimmed.
        more(&mut shard);
        let client = shard.writer.again().session.client.clone();
        let who = |node| NewFollower { client: client.clone(), host: "h".into(), port: 1, is_mute: false, node };
        let history = node.replication.id();
        assert!(node.replication.enter_partial(who(Some((id(2), 1))), &history, acknowledged).is_some());
        assert!(node.replication.enter_partial(who(None), &history, 0).is_none(), "it was trimmed all the same");
    }
}
