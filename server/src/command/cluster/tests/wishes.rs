//! Changes that commands ask the cluster for.

use super::*;
use crate::command::cluster::Wish;
use crate::command::dispatch::Ended;
use crate::command::testing::freeze;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a node was asked for, with the tickets.
type Asked = Arc<Mutex<Vec<(u64, Wish)>>>;

fn asked(desk: &Desk) -> Asked {
    let asked = Asked::default();
    let kept = asked.clone();
    desk.node.cluster.set_asker(Box::new(move |ticket, wish| kept.lock().push((ticket, wish))));
    asked
}

const NO_LEADER: &str = "-TRYAGAIN the cluster has no leader just now; try again";

#[test]
fn a_command_waits_for_what_the_cluster_says() {
    let mut desk = Desk::in_cluster();
    let asked = asked(&desk);
    let line = format!("CLUSTER CHANGE leave {}", id(3));
    desk.check(&line, "");
    assert!(matches!(desk.ended, Ended::Wait { .. }));
    desk.check(&line, "");
    let seen = std::mem::take(&mut *asked.lock());
    let [(ticket, wish)] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(*wish, Wish::Change(Change::SetLeaving { node: id(3), is_leaving: true }));
    desk.node.cluster.settle(*ticket, Ok(42));
    desk.check(&line, ":42");
    // It is told once, and late words are for nobody.
    desk.node.cluster.settle(*ticket, Ok(43));
    desk.check(&line, "");
    let (ticket, _) = asked.lock().pop().unwrap();
    desk.node.cluster.settle(ticket, Err("it is so already".into()));
    desk.check(&line, "-ERR it is so already");
    desk.check(&line, "");
    let (ticket, _) = asked.lock().pop().unwrap();
    desk.node.cluster.settle(ticket, Err("TRYAGAIN it went unheard".into()));
    desk.check(&line, "-TRYAGAIN it went unheard");
    assert!(desk.session.asked_cluster.is_none());
}

#[test]
fn nobody_waits_for_ever() {
    freeze(Some(1_000_000));
    let mut desk = Desk::in_cluster();
    desk.check("CLUSTER CHANGE replicas 2", NO_LEADER);
    let asked = asked(&desk);
    desk.check("CLUSTER CHANGE replicas 2", "");
    freeze(Some(1_005_000));
    desk.check("CLUSTER CHANGE replicas 2", NO_LEADER);
    // Those who have gone leave no ticket, and there is an end to tickets.
    let mut left = desk.again();
    left.check("CLUSTER CHANGE replicas 2", "");
    desk.node.leave(left.session);
    let mut waiting: Vec<Desk> = (0..256).map(|_| desk.again()).collect();
    waiting.iter_mut().for_each(|desk| desk.check("CLUSTER CHANGE replicas 2", ""));
    desk.check("CLUSTER CHANGE replicas 2", NO_LEADER);
    let (last, _) = asked.lock().pop().unwrap();
    desk.node.cluster.settle(last, Ok(1));
    waiting[255].check("CLUSTER CHANGE replicas 2", ":1");
    desk.check("CLUSTER CHANGE replicas 2", "");
    freeze(None);
}

#[test]
fn words_become_wishes() {
    let mut desk = Desk::in_cluster();
    let asked = asked(&desk);
    let node = id(4);
    let change = |change| Wish::Change(change);
    for (words, wish) in [
        (format!("CHANGE LEAVE {node}"), change(Change::SetLeaving { node, is_leaving: true })),
        (format!("CHANGE stay {node}"), change(Change::SetLeaving { node, is_leaving: false })),
        (format!("CHANGE forget {node}"), change(Change::Forget { node, forced: false })),
        (format!("CHANGE forget {node} force"), change(Change::Forget { node, forced: true })),
        ("CHANGE replicas 2".to_owned(), change(Change::WantReplicas(2))),
        (format!("CHANGE failover {node}"), Wish::FailOver { node, forced: false }),
        (format!("CHANGE failover {node} force"), Wish::FailOver { node, forced: true }),
        (format!("FORGET {node}"), change(Change::SetLeaving { node, is_leaving: true })),
        (format!("FORGET {}", id(5)), change(Change::Forget { node: id(5), forced: false })),
    ] {
        let line = format!("CLUSTER {words}");
        desk.again().check(&line, "");
        let (ticket, seen) = asked.lock().pop().unwrap();
        assert_eq!(seen, wish, "{line}");
        desk.node.cluster.settle(ticket, Ok(1));
    }
    let line = format!("CLUSTER FORGET {}", id(5));
    desk.check(&line, "");
    desk.node.cluster.settle(asked.lock().pop().unwrap().0, Ok(1));
    desk.check(&line, "+OK");
    for (words, refusal) in [
        ("CHANGE leave x", "Unknown node x"),
        ("CHANGE nonsense 1", "syntax error"),
        ("CHANGE replicas 1 2", "syntax error"),
        ("CHANGE replicas 256", "a shard has at the most 255 replicas"),
        ("CHANGE replicas x", "value is not an integer or out of range"),
        ("CHANGE leave", "wrong number of arguments for 'cluster|change' command"),
        ("FORGET x", "Unknown node x"),
        ("FAILOVER", "You should send CLUSTER FAILOVER to a replica"),
        ("FAILOVER foo", "syntax error"),
        ("FAILOVER FORCE x", "unknown subcommand or wrong number of arguments for 'FAILOVER'. Try CLUSTER HELP."),
    ] {
        desk.check(&format!("CLUSTER {words}"), &format!("-ERR {refusal}"));
    }
    desk.check(&format!("CLUSTER FORGET {}", id(1)), "-ERR I tried hard but I can't forget myself...");
    assert!(asked.lock().is_empty());
    desk.check("MULTI", "+OK");
    desk.check(&line, "+QUEUED");
    desk.check("CLUSTER CHANGE replicas 1", "-ERR Command not allowed inside a transaction");
    desk.check("DISCARD", "+OK");
    desk.check("MULTI", "+OK");
    desk.check(&line, "+QUEUED");
    desk.check("EXEC", "*1 -ERR Command not allowed inside a transaction");
}

#[test]
fn a_replica_asks_to_be_promoted() {
    let mut desk = Desk::in_cluster();
    demoted(&desk);
    let asked = asked(&desk);
    for (line, forced) in [("", false), (" FORCE", true), (" takeover", true)] {
        let line = format!("CLUSTER FAILOVER{line}");
        desk.check(&line, "");
        let (ticket, wish) = asked.lock().pop().unwrap();
        assert_eq!(wish, Wish::FailOver { node: id(1), forced });
        desk.node.cluster.settle(ticket, Ok(9));
        desk.check(&line, "+OK");
    }
}

#[test]
fn what_the_cluster_does_itself_is_refused_with_the_way_to_do_it() {
    let mut desk = Desk::in_cluster();
    let slots = "slots are placed by the cluster itself; use 'larder cluster rebalance'";
    for (words, refusal) in [
        ("ADDSLOTS 1", slots),
        ("ADDSLOTSRANGE 1 2", slots),
        ("DELSLOTS 1", slots),
        ("DELSLOTSRANGE 1 2", slots),
        ("SETSLOT 1 STABLE", slots),
        ("FLUSHSLOTS", slots),
        (
            "MEET 127.0.0.1 7000",
            "nodes join by themselves; start the new one with 'join' set to the address of a node of this cluster",
        ),
        ("REPLICATE x", "replicas are placed by the cluster itself; use 'larder cluster replicas'"),
        ("RESET HARD", "a node gives up its part before it goes; use 'larder cluster leave'"),
        ("SET-CONFIG-EPOCH 1", "epochs are counted by the cluster itself"),
    ] {
        desk.check(&format!("CLUSTER {words}"), &format!("-ERR {refusal}"));
        Desk::new().check(&format!("CLUSTER {words}"), DISABLED);
    }
    desk.check("CLUSTER BUMPEPOCH", "+STILL 7");
    desk.check("CLUSTER SAVECONFIG", "+OK");
    for words in ["TOPOLOGY", "CHANGE replicas 1", "SLOT-STATS SLOTSRANGE 0 1", "SAVECONFIG", "BUMPEPOCH"] {
        Desk::new().check(&format!("CLUSTER {words}"), DISABLED);
    }
}
