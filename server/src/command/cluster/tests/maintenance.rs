//! What clients are told that ask for it: see `maintenance`.

use super::*;

/// A connection that has asked.
fn listening() -> Desk {
    let mut desk = Desk::in_cluster();
    desk.run("HELLO 3");
    desk.check("CLIENT MAINT_NOTIFICATIONS ON", "+OK");
    desk
}

fn begin(desk: &Desk, first: u16, last: u16) {
    desk.change(&[Change::BeginMove { slots: Ranges::checked(&[(first, last)]).unwrap(), to: ShardId(2) }]);
}

fn epoch(desk: &Desk) -> u64 {
    desk.node.cluster.view().topology.epoch()
}

fn told(desk: &Desk) -> String {
    desk.node.tell_of_moves(&desk.node.cluster.view());
    inbox(desk)
}

#[test]
fn slots_that_move_are_told_when_that_begins_and_when_it_is_over() {
    let desk = listening();
    let mut silent = desk.again();
    silent.run("HELLO 3");
    begin(&desk, 1, 2);
    assert_eq!(inbox(&desk), format!(">3 $10 SMIGRATING :{} $3 1-2", epoch(&desk)));
    begin(&desk, 7, 7);
    assert_eq!(told(&desk), "", "once is enough");
    [1, 2, 7].iter().for_each(|slot| end_move(&desk, *slot));
    let moved = format!(">3 $9 SMIGRATED :{} *1 *3 $13 10.0.0.1:7001 $13 10.0.0.3:7003 $5 1-2,7", epoch(&desk));
    assert_eq!(told(&desk), moved);
    assert_eq!(told(&desk), "");
    begin(&desk, 3, 3);
    assert_eq!(inbox(&desk), format!(">3 $10 SMIGRATING :{} $1 3", epoch(&desk)), "it begins anew");
    desk.change(&[Change::CancelMove { slots: Ranges::checked(&[(3, 3)]).unwrap() }]);
    assert_eq!(told(&desk), format!(">3 $9 SMIGRATED :{} *0", epoch(&desk)), "it is over, and nothing has moved");
    assert_eq!(inbox(&silent), "");
}

#[test]
fn while_slots_move_clients_are_not_told_at_each_of_them() {
    let desk = listening();
    begin(&desk, 1, 9);
    inbox(&desk);
    let mut words = 0;
    for slot in 1..9 {
        end_move(&desk, slot);
        words += usize::from(!told(&desk).is_empty());
    }
    assert!(words <= 1, "{words} messages of 8 slots at once");
    end_move(&desk, 9);
    assert!(told(&desk).ends_with("9"), "the last one is told at once");
}

#[test]
fn who_knows_of_no_cluster_is_told_less_of_slots_and_where_to_go() {
    let desk = listening();
    desk.session.client.is_plain.store(true, std::sync::atomic::Ordering::Relaxed);
    begin(&desk, 1, 1);
    assert_eq!(inbox(&desk), format!(">3 $9 MIGRATING :{} :30", epoch(&desk)));
    end_move(&desk, 1);
    assert_eq!(told(&desk), format!(">2 $8 MIGRATED :{}", epoch(&desk)));
    let mut other = desk.again();
    other.run("HELLO 3");
    other.check("CLIENT MAINT_NOTIFICATIONS ON MOVING-ENDPOINT-TYPE none", "+OK");
    let knowing = desk.again();
    knowing.session.client.maintenance.store(true, std::sync::atomic::Ordering::Relaxed);
    other.session.client.is_plain.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(desk.node.tell_of_leaving(), 2);
    assert_eq!(inbox(&desk), format!(">4 $6 MOVING :{} :30 $13 10.0.0.2:7002", epoch(&desk)));
    assert_eq!(inbox(&other), format!(">4 $6 MOVING :{} :30 _", epoch(&desk)));
    assert_eq!(inbox(&knowing), "");
}

#[test]
fn a_shard_that_gets_another_primary_is_told() {
    let mut desk = listening();
    let shard_epoch = desk.node.cluster.view().own_shard().unwrap().epoch;
    desk.node.tell_of_hand_over(shard_epoch);
    desk.node.tell_of_hand_over(shard_epoch);
    assert_eq!(inbox(&desk), format!(">3 $12 FAILING_OVER :{shard_epoch} :2"));
    demoted(&desk);
    assert_eq!(inbox(&desk), format!(">2 $11 FAILED_OVER :{}", epoch(&desk)));
    desk.run("RESET");
    desk.run("HELLO 3");
    let epoch = desk.node.cluster.view().own_shard().unwrap().epoch;
    desk.change(&[Change::Promote { shard: ShardId(1), epoch, node: id(1), forced: false }]);
    assert_eq!(inbox(&desk), "", "RESET ends it");
}
