//! Sessions on a node of a cluster, and on one that is in none.

use crate::cluster::bus::{Purpose, peer_proof};
use crate::cluster::id::ShardId;
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::{Change, Facts};
use crate::command::dispatch::Ended;
use crate::command::testing::{Desk, id};
use larder_client::slot::{self, Slot};
use std::time::Duration;

mod maintenance;
mod told;
mod wishes;

const DISABLED: &str = "-ERR This instance has cluster support disabled";

#[test]
fn a_node_of_its_own_says_that_it_is_in_no_cluster() {
    let mut desk = Desk::new();
    for line in ["ASKING", "READONLY", "READWRITE", "CLUSTER HELP", "CLUSTER SLOTS", "cluster nodes"] {
        desk.check(line, DISABLED);
    }
    desk.check("CLUSTER SETSLOT 1 NODE x", DISABLED);
    desk.check("CLUSTER", "-ERR wrong number of arguments for 'cluster' command");
    desk.check("CLUSTER KEYSLOT", "-ERR wrong number of arguments for 'cluster|keyslot' command");
    desk.check("CLUSTER nonsense", "-ERR unknown subcommand 'nonsense'. Try CLUSTER HELP.");
}

fn one(slot: u16) -> Ranges {
    Ranges::checked(&[(slot, slot)]).unwrap()
}

/// The second shard gets a slot of the first.
fn moved(desk: &Desk, slot: u16) {
    desk.change(&[Change::BeginMove { slots: one(slot), to: ShardId(2) }]);
    end_move(desk, slot);
}

/// A slot of the first shard, which moves to the second, has moved.
fn end_move(desk: &Desk, slot: u16) {
    let topology = &desk.node.cluster.view().topology;
    let epoch = |shard| topology.shard(ShardId(shard)).unwrap().epoch;
    let (from_epoch, to_epoch) = (epoch(1), epoch(2));
    let began = topology.moves()[&Slot::new(slot).unwrap()].began;
    desk.change(&[Change::EndMove { slots: one(slot), began, from_epoch, to_epoch }]);
}

/// What has come to a connection beside its replies, line ends as spaces.
fn inbox(desk: &Desk) -> String {
    let bytes = desk.session.client.take_inbox().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().replace("\r\n", " ")
}

/// Makes the second node of the first shard its primary.
fn demoted(desk: &Desk) {
    let view = desk.node.cluster.view();
    let (epoch, memory) = (view.own_shard().unwrap().epoch, view.topology.node(id(2)).unwrap().memory);
    let shard = ShardId(1);
    desk.change(&[
        Change::SetInSync { shard, epoch, node: id(2), memory, is_in: true },
        Change::Promote { shard, epoch, node: id(2), forced: false },
    ]);
}

const CROSSSLOT: &str = "-CROSSSLOT Keys in request don't hash to the same slot";
const DOWN: &str = "-CLUSTERDOWN The cluster is down";

// Slots: b 3300, f 3168, j 3564, foo 12182, h 11694.

#[test]
fn a_primary_serves_its_own_slots_and_names_the_primary_of_others() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    desk.check("GET b", "$1 1");
    desk.check("MSET {b}1 1 {b}2 2", "+OK");
    for line in ["GET foo", "SET foo 1", "WATCH foo", "OBJECT ENCODING foo", "XREAD STREAMS foo 0", "MGET foo {foo}2"] {
        desk.check(line, "-MOVED 12182 10.0.0.3:7003");
    }
    for line in ["MGET b foo", "MSET b 1 f 2", "XREAD STREAMS b f 0 0", "SINTERSTORE b b f", "WATCH b f", "RENAME b f"]
    {
        desk.check(line, CROSSSLOT);
    }
    for line in ["DBSIZE", "KEYS *", "SCAN 0", "RANDOMKEY", "PING", "CLUSTER KEYSLOT foo", "FLUSHALL", "PUBLISH foo x"]
    {
        assert!(!desk.run(line).starts_with('-'), "{line}");
    }
    desk.check("INFO errorstats", "$68 # Errorstats errorstat_CROSSSLOT:count=6 errorstat_MOVED:count=6");
    desk.check("NOSUCH foo", "-ERR unknown command 'NOSUCH', with args beginning with: 'foo'");
    desk.check("GET", "-ERR wrong number of arguments for 'get' command");
}

#[test]
fn what_is_older_than_the_start_of_a_node_gives_it_no_part() {
    let mut desk = Desk::in_cluster();
    let known = desk.node.cluster.view().topology.node(id(1)).unwrap().facts.clone();
    let facts = |incarnation| Facts { incarnation, ..known.clone() };
    let join = |incarnation| Change::Join { node: id(1), number: None, facts: facts(incarnation) };
    let (before, now) = (join(1), join(desk.node.cluster.incarnation()));
    desk.change(&[before]);
    assert_eq!(desk.node.cluster.view().own_shard(), None);
    desk.check("GET b", "-CLUSTERDOWN Hash slot not served");
    desk.check("READONLY", "+OK");
    desk.check("GET b", "-CLUSTERDOWN Hash slot not served");
    let epoch = desk.node.cluster.view().topology.epoch() + 1;
    desk.change(&[now, Change::Promote { shard: ShardId(1), epoch, node: id(1), forced: false }]);
    desk.lead();
    desk.check("GET b", "$-1");
}

#[test]
fn who_is_about_to_throw_away_what_it_holds_says_so_while_it_is_counted_on() {
    let desk = Desk::in_cluster();
    demoted(&desk);
    let cluster = &desk.node.cluster;
    let memory = || cluster.view().topology.node(id(1)).unwrap().memory;
    assert_eq!(cluster.renouncement(&cluster.view()), None);
    cluster.set_renouncing(true);
    let change = Change::Renounce { node: id(1), memory: memory() };
    assert_eq!(cluster.renouncement(&cluster.view()), Some(change.clone()));
    let before = memory();
    desk.change(&[change]);
    assert!(cluster.renouncement(&cluster.view()).is_none() && !cluster.view().is_counted_on());
    assert!(memory() > before && cluster.announced() == Some((id(1).to_string(), memory())));
}

#[test]
fn a_slot_of_nobody_is_not_served() {
    let mut desk = Desk::in_empty_cluster();
    for line in ["GET b", "MGET b foo", "SSUBSCRIBE b"] {
        desk.check(line, "-CLUSTERDOWN Hash slot not served");
    }
    desk.check("PING", "+PONG");
}

#[test]
fn a_primary_without_its_lease_serves_only_who_takes_what_is_there() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    desk.node.cluster.set_lease(desk.node.cluster.view().own_shard().unwrap().epoch, Duration::ZERO);
    for line in ["GET b", "SET b 2", "WATCH b"] {
        desk.check(line, DOWN);
    }
    desk.check("GET foo", "-MOVED 12182 10.0.0.3:7003");
    desk.check("MGET b foo", CROSSSLOT);
    desk.check("SSUBSCRIBE b", "*3 $10 ssubscribe $1 b :1");
    desk.check("SUNSUBSCRIBE b", "*3 $12 sunsubscribe $1 b :0");
    desk.check("SPUBLISH b x", DOWN);
    desk.check("PING", "+PONG");
    desk.check("READONLY", "+OK");
    desk.check("GET b", "$1 1");
    desk.check("SET b 2", DOWN);
    desk.check("READWRITE", "+OK");
    desk.check("GET b", DOWN);
    // The lease of an epoch that is over does not count.
    desk.node.cluster.set_lease(1, desk.node.cluster.now() + Duration::from_secs(60));
    desk.check("GET b", DOWN);
    desk.lead();
    desk.check("GET b", "$1 1");
}

#[test]
fn a_replica_serves_those_who_say_readonly() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    demoted(&desk);
    let moved = "-MOVED 3300 10.0.0.2:7002";
    desk.check("GET b", moved);
    desk.check("READONLY", "+OK");
    assert!(desk.run("CLIENT INFO").contains(" flags=r "));
    desk.check("GET b", "$1 1");
    desk.check("WATCH b", "+OK");
    desk.check("SET b 2", moved);
    desk.check("SORT b STORE {b}2", moved);
    desk.check("GET foo", "-MOVED 12182 10.0.0.3:7003");
    desk.check("MULTI", "+OK");
    desk.check("GET b", "+QUEUED");
    desk.check("EXEC", "*1 $1 1");
    desk.check("MULTI", "+OK");
    desk.check("SET b 2", moved);
    desk.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    desk.check("RESET", "+RESET");
    desk.check("GET b", moved);
    desk.check("SPUBLISH b x", moved);
    desk.check("SSUBSCRIBE b", "*3 $10 ssubscribe $1 b :1");
}

#[test]
fn a_slot_that_moves_stays_with_its_owner() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    desk.change(&[
        Change::BeginMove { slots: one(3300), to: ShardId(2) },
        Change::BeginMove { slots: one(12182), to: ShardId(1) },
    ]);
    desk.check("GET b", "$1 1");
    desk.check("SET {b}new 1", "+OK");
    desk.check("MGET b {b}none", "*2 $1 1 $-1");
    desk.check("ASKING", "+OK");
    desk.check("GET foo", "-MOVED 12182 10.0.0.3:7003");
    let nodes = desk.run("CLUSTER NODES");
    assert!(nodes.contains(&format!(" 0-8191 [3300->-{}] [12182-<-{}]\n", id(3), id(3))), "{nodes}");
    desk.session.imports = true;
    desk.check("SET foo 1", "+OK");
    desk.session.imports = false;
    desk.change(&[Change::CancelMove { slots: one(12182) }]);
    moved(&desk, 3301);
    desk.check("GET b", "$1 1");
}

#[test]
fn a_primarys_stream_and_who_brings_a_slot_pass() {
    let mut desk = Desk::in_cluster();
    desk.session.is_primary = true;
    desk.check("SET foo 1", "+OK");
    desk.session.is_primary = false;
    desk.check("SET foo 1", "-MOVED 12182 10.0.0.3:7003");
    desk.session.imports = true;
    let refusal = "-ERR the slot is not on its way to this node, or this node does not lead";
    desk.check("SET foo 1", refusal);
    desk.change(&[Change::BeginMove { slots: one(12182), to: ShardId(1) }]);
    desk.check("SET foo 2", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("SET foo 3", "+QUEUED");
    desk.check("EXEC", "*1 +OK");
    desk.check("SET b 2", refusal);
}

#[test]
fn who_brings_slots_proves_to_be_of_the_cluster() {
    let mut desk = Desk::in_cluster();
    let refusal = "-ERR only the nodes of the cluster bring slots; use 'larder cluster rebalance'";
    let (me, incarnation) = (desk.node.cluster.me().unwrap(), desk.node.cluster.incarnation());
    let proof = |source| -> String {
        peer_proof(Purpose::Import, b"secret", source, me, incarnation)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let said = |source, proof: &str| format!("CLUSTER IMPORT {source} {proof}");
    desk.check(&said(id(3), &proof(id(3))), refusal);
    desk.node.cluster.set_secret(b"secret");
    for wrong in [&proof(id(2)), "", &"z".repeat(64)] {
        desk.check(&said(id(3), &format!("\"{wrong}\"")), refusal);
    }
    desk.check(
        "CLUSTER CLEARSLOTS 12182",
        "-ERR only a connection that brings slots empties them; it says CLUSTER IMPORT first",
    );
    desk.check(&said(id(3), &proof(id(3))), "+OK");
    desk.check("CLUSTER CLEARSLOTS 12182", "-ERR the slot is not on its way to this node, or this node does not lead");
    desk.change(&[Change::BeginMove { slots: one(12182), to: ShardId(1) }]);
    desk.check("RPUSH foo 1 2", ":2");
    desk.check("CLUSTER CLEARSLOTS 12182", "+OK");
    desk.check("LLEN foo", ":0");
}

#[test]
fn writes_to_a_slot_that_is_being_handed_over_wait() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    let slot = slot::of(b"b");
    desk.node.cluster.freeze([slot].into_iter(), true);
    desk.check("SET b 2", "");
    assert!(matches!(desk.ended, Ended::Wait { .. }), "{:?}", desk.ended);
    desk.check("GET b", "$1 1");
    desk.check("SET j 1", "+OK");
    for line in ["FLUSHALL", "GET b"] {
        desk.node.cluster.hold_reads_back(line == "GET b");
        desk.check(line, "");
        assert!(matches!(desk.ended, Ended::Wait { .. }), "{line}: {:?}", desk.ended);
    }
    desk.check("GET j", "$1 1");
    // Other nodes ask about keys in several slots at once.
    desk.node.cluster.hold_reads_back(false);
    desk.session.is_forwarder = true;
    desk.check("MGET j b", "*2 $1 1 $1 1");
    for line in ["MSET j 2 b 2", "DEL j b"] {
        desk.check(line, "");
        assert!(matches!(desk.ended, Ended::Wait { .. }), "{line}: {:?}", desk.ended);
    }
    desk.node.cluster.freeze([slot].into_iter(), false);
    desk.check("SET b 2", "+OK");
}

#[test]
fn clients_are_sent_to_the_new_owner_of_a_slot_once_it_knows_that_it_is() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    let slot = slot::of(b"b");
    desk.change(&[Change::BeginMove { slots: one(slot.number()), to: ShardId(2) }]);
    let began = desk.node.cluster.view().topology.moves()[&slot].began;
    desk.node.cluster.freeze([slot].into_iter(), true);
    desk.check("GET b", "$1 1");
    let epoch = |shard| desk.node.cluster.view().topology.shard(ShardId(shard)).unwrap().epoch;
    let (from_epoch, to_epoch) = (epoch(1), epoch(2));
    desk.change(&[Change::EndMove { slots: one(slot.number()), began, from_epoch, to_epoch }]);
    for line in ["GET b", "SET b 2"] {
        desk.check(line, "");
        assert!(matches!(desk.ended, Ended::Wait { .. }), "{:?}", desk.ended);
    }
    // What has been elsewhere before is there.
    desk.check("GET foo", "-MOVED 12182 10.0.0.3:7003");
    desk.node.cluster.freeze([slot].into_iter(), false);
    desk.check("GET b", &format!("-MOVED {slot} 10.0.0.3:7003"));
}

#[test]
fn clients_of_a_new_primary_wait_for_its_first_lease() {
    let mut desk = Desk::in_cluster();
    desk.check("SET b 1", "+OK");
    let epoch = |desk: &Desk| desk.node.cluster.view().own_shard().unwrap().epoch;
    let before = epoch(&desk);
    let renewal =
        Change::Promote { shard: ShardId(1), epoch: before, node: desk.node.cluster.me().unwrap(), forced: false };
    desk.change(&[renewal]);
    desk.check("GET b", "");
    assert!(matches!(desk.ended, Ended::Wait { .. }), "{:?}", desk.ended);
    // That of the epoch before, if it comes late, is none.
    desk.node.cluster.set_lease(before, Duration::ZERO);
    desk.check("GET b", "");
    desk.node.cluster.set_lease(epoch(&desk), desk.node.cluster.now() + Duration::from_secs(60));
    desk.check("GET b", "$1 1");
}

#[test]
fn a_transaction_has_one_slot() {
    let mut desk = Desk::in_cluster();
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    let run = |desk: &mut Desk, lines: &[(&str, &str)]| lines.iter().for_each(|(line, reply)| desk.check(line, reply));
    run(&mut desk, &[("MULTI", "+OK"), ("SET b 1", "+QUEUED"), ("GET {b}2", "+QUEUED"), ("EXEC", "*2 +OK $-1")]);
    run(&mut desk, &[("MULTI", "+OK"), ("SET b 2", "+QUEUED"), ("SET f 2", "+QUEUED"), ("EXEC", CROSSSLOT)]);
    // It is over, and nothing of it was run.
    run(&mut desk, &[("EXEC", "-ERR EXEC without MULTI"), ("GET b", "$1 1")]);
    let moved = "-MOVED 12182 10.0.0.3:7003";
    run(&mut desk, &[("MULTI", "+OK"), ("SET b 2", "+QUEUED"), ("GET foo", moved), ("EXEC", aborted)]);
    run(&mut desk, &[("MULTI", "+OK"), ("MGET b foo", CROSSSLOT), ("EXEC", aborted)]);
    run(&mut desk, &[("MULTI", "+OK"), ("PING", "+QUEUED"), ("EXEC", "*1 +PONG")]);
    run(&mut desk, &[("MULTI", "+OK"), ("EXEC", "*0")]);
    run(&mut desk, &[("MULTI", "+OK"), ("SPUBLISH b x", "+QUEUED"), ("GET f", "+QUEUED"), ("EXEC", CROSSSLOT)]);
    run(&mut desk, &[("MULTI", "+OK"), ("SET b 3", "+QUEUED"), ("SET b 4", "+QUEUED")]);
    self::moved(&desk, 3300);
    run(&mut desk, &[("EXEC", "-MOVED 3300 10.0.0.3:7003"), ("EXEC", "-ERR EXEC without MULTI")]);
    // With a command about everything, the same is asked when nobody else runs.
    run(&mut desk, &[("MULTI", "+OK"), ("SET j 3", "+QUEUED"), ("DBSIZE", "+QUEUED"), ("EXEC", "*2 +OK :2")]);
}

#[test]
fn the_cluster_alone_says_who_follows_whom() {
    let mut desk = Desk::in_cluster();
    for line in ["REPLICAOF 127.0.0.1 7009", "SLAVEOF no one"] {
        desk.check(line, "-ERR REPLICAOF not allowed in cluster mode.");
    }
    for line in ["FAILOVER", "FAILOVER ABORT", "FAILOVER TO 127.0.0.1 7009 FORCE TIMEOUT 10"] {
        desk.check(line, "-ERR FAILOVER not allowed in cluster mode.");
    }
    desk.check("PSYNC id 1 FAILOVER", "-ERR FAILOVER not allowed in cluster mode.");
}

#[test]
fn there_is_one_database() {
    let mut desk = Desk::in_cluster();
    desk.check("SELECT 0", "+OK");
    desk.check("SELECT 1", "-ERR SELECT is not allowed in cluster mode");
    desk.check("SELECT x", "-ERR value is not an integer or out of range");
    desk.check("SWAPDB 0 0", "-ERR SWAPDB is not allowed in cluster mode");
    desk.check("MOVE b 1", "-ERR MOVE is not allowed in cluster mode");
    desk.check("MOVE foo 1", "-MOVED 12182 10.0.0.3:7003");
    desk.check("COPY b {b}2 DB 1", "-ERR Copying to another database is not allowed in cluster mode");
    desk.check("COPY b b DB 1", "-ERR Copying to another database is not allowed in cluster mode");
    desk.check("COPY b {b}2 DB 0", ":0");
    desk.check("COPY b {b}2 DB 99", "-ERR DB index is out of range");
    desk.check("COPY b b", "-ERR source and destination objects are the same");
}

#[test]
fn patterns_of_sort_stay_in_the_slot() {
    let mut desk = Desk::in_cluster();
    desk.run("RPUSH b 2 1");
    let denied = |option: &str| {
        format!(
            "-ERR {option} option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
        )
    };
    for by in ["x*", "*", "x{*}", "a{b*}", "foo*->{b}", "{}{b}*"] {
        desk.check(&format!("SORT b BY {by}"), &denied("BY"));
        desk.check(&format!("SORT_RO b GET {by}"), &denied("GET"));
    }
    for get in ["#x", "x", "{foo}*"] {
        desk.check(&format!("SORT b GET {get}"), &denied("GET"));
    }
    desk.check("SORT b BY nosort", "*2 $1 2 $1 1");
    desk.check("SORT b BY {b}* GET #", "*2 $1 1 $1 2");
    desk.check("SORT b BY a{b}*->f GET {b}x GET {b}*", "*4 $-1 $-1 $-1 $-1");
    desk.check("SORT b BY x* STORE foo", CROSSSLOT);
    desk.check("SORT b STORE {b}2", ":2");
    desk.check("SORT b STORE f GET STORE", CROSSSLOT);
}

#[test]
fn shard_channels_have_slots_and_others_have_none() {
    let mut desk = Desk::in_cluster();
    let moved = "-MOVED 12182 10.0.0.3:7003";
    for line in ["SSUBSCRIBE foo", "SPUBLISH foo x", "SUNSUBSCRIBE foo"] {
        desk.check(line, moved);
    }
    desk.check("SSUBSCRIBE b foo", CROSSSLOT);
    desk.check("SSUBSCRIBE b {b}2", "*3 $10 ssubscribe $1 b :1 *3 $10 ssubscribe $4 {b}2 :2");
    desk.check("SUNSUBSCRIBE b f", CROSSSLOT);
    desk.check("SUBSCRIBE foo", "*3 $9 subscribe $3 foo :1");
    desk.check("SUNSUBSCRIBE b", "*3 $12 sunsubscribe $1 b :1");
}

#[test]
fn who_waits_is_sent_after_the_slot() {
    let mut desk = Desk::in_cluster();
    let (mut of_moved, mut of_kept) = (desk.again(), desk.again());
    of_moved.check("BLPOP b 0", "");
    of_kept.check("BLPOP f 0", "");
    moved(&desk, 3300);
    of_moved.check("BLPOP b 0", "-MOVED 3300 10.0.0.3:7003");
    assert!(!of_moved.session.client.is_blocked());
    of_kept.check("BLPOP f 0", "");
    desk.check("RPUSH f 1", ":1");
    of_kept.check("BLPOP f 0", "*2 $1 f $1 1");
    of_kept.check("BLPOP f 0", "");
    demoted(&desk);
    of_kept.check("BLPOP f 0", "-MOVED 3168 10.0.0.2:7002");
    assert_eq!(desk.node.audience.waited_for(), (0, 0));
}

#[test]
fn a_replica_lets_those_wait_who_only_read() {
    let mut desk = Desk::in_cluster();
    demoted(&desk);
    desk.check("READONLY", "+OK");
    desk.check("XREAD BLOCK 0 STREAMS b 0", "");
    desk.change(&[Change::BeginMove { slots: one(1), to: ShardId(2) }]);
    desk.check("XREAD BLOCK 0 STREAMS b 0", "");
    desk.change(&[Change::Forget { node: id(1), forced: true }]);
    desk.check("XREAD BLOCK 0 STREAMS b 0", "-MOVED 3300 10.0.0.2:7002");
}

#[test]
fn a_slot_that_leaves_breaks_watches_and_copies() {
    let mut desk = Desk::in_cluster();
    let (mut watching, mut tracking, mut broadcast) = (desk.again(), desk.again(), desk.again());
    desk.check("SET b 1", "+OK");
    watching.check("WATCH b", "+OK");
    for reader in [&mut tracking, &mut broadcast] {
        reader.run("HELLO 3");
    }
    tracking.check("CLIENT TRACKING ON", "+OK");
    tracking.check("GET b", "$1 1");
    tracking.check("GET f", "_");
    broadcast.check("CLIENT TRACKING ON BCAST", "+OK");
    moved(&desk, 3301);
    assert_eq!((inbox(&tracking), inbox(&broadcast)), (String::new(), String::new()));
    moved(&desk, 3300);
    for reader in [&tracking, &broadcast] {
        assert_eq!(inbox(reader), ">2 $10 invalidate *1 $1 b");
    }
    assert_eq!(desk.node.audience.tracked_keys(), 1);
    for (line, reply) in [("MULTI", "+OK"), ("GET f", "+QUEUED"), ("EXEC", "*-1")] {
        watching.check(line, reply);
    }
}

#[test]
fn a_slot_that_leaves_ends_the_subscriptions_to_its_channels() {
    let mut desk = Desk::in_cluster();
    let mut listening = desk.again();
    listening.run("HELLO 3");
    listening.run("SSUBSCRIBE b {b}2");
    listening.run("SSUBSCRIBE f");
    moved(&desk, 3300);
    let mut told: Vec<String> = inbox(&listening).split('>').skip(1).map(|one| one.trim().to_owned()).collect();
    told.sort_by_key(|one| one.contains("{b}2"));
    let counts: Vec<bool> = [":1", ":2"].iter().map(|count| told.iter().any(|one| one.ends_with(count))).collect();
    assert!(told[0].starts_with("3 $12 sunsubscribe $1 b :") && counts == [true, true], "{told:?}");
    assert!(listening.run("CLIENT INFO").contains(" ssub=1 "));
    desk.check("PUBSUB SHARDCHANNELS", "*1 $1 f");
    desk.check("SPUBLISH f x", ":1");
    listening.check("SUNSUBSCRIBE f", ">3 $8 smessage $1 f $1 x >3 $12 sunsubscribe $1 f :0");
    assert_eq!(desk.node.pubsub.clients(), 0);
    // Who was subscribed to nothing else is no subscriber any more.
    let mut old = desk.again();
    old.run("SSUBSCRIBE j");
    moved(&desk, 3564);
    assert_eq!(inbox(&old), "*3 $12 sunsubscribe $1 j :0");
    old.check("GET f", "$-1");
    assert_eq!(desk.node.pubsub.clients(), 0);
}
