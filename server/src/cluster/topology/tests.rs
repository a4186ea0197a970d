//! The topology as those who propose changes see it.

use super::*;
use proptest::prelude::*;

const CLUSTER: Id = Id::new([9; 20]);

fn id(number: u8) -> Id {
    Id::new([number; 20])
}

fn facts() -> Facts {
    let address = Address { host: "10.0.0.1".into(), port: 6379, bus_port: 16379 };
    Facts { address, incarnation: 1, is_witness: false, weight: 100, zone: "a".into() }
}

fn join(number: u8) -> Change {
    Change::Join { node: id(number), number: None, facts: facts() }
}

fn ranges(first: u16, last: u16) -> Ranges {
    Ranges::checked(&[(first, last)]).unwrap()
}

/// A cluster and the index of its last change.
struct Log(Topology, u64);

impl Log {
    fn founded() -> Log {
        let mut log = Log(Topology::default(), 0);
        log.make(Change::Found { cluster: CLUSTER, first: 0, replicas_wanted: 1 });
        log
    }

    /// Four nodes, of which the first two are shard 1 with the lower half of the slots, the others shard 2 with the upper.
    fn of_two_shards() -> Log {
        let mut log = Log::founded();
        (1..=4).for_each(|number| log.make(join(number)));
        log.make(Change::NewShard { primary: id(1), replicas: vec![id(2)] });
        log.make(Change::NewShard { primary: id(3), replicas: vec![id(4)] });
        log.make(Change::Assign { shard: ShardId(1), slots: ranges(0, 8191) });
        log.make(Change::Assign { shard: ShardId(2), slots: ranges(8192, 16383) });
        log
    }

    #[track_caller]
    fn make(&mut self, change: Change) {
        self.1 += 1;
        assert_eq!(self.0.apply(self.1, &change), Ok(()), "{change:?}");
    }

    #[track_caller]
    fn refuses(&mut self, change: Change, why: &str) {
        let before = self.0.clone();
        let refused = self.0.apply(self.1 + 1, &change).expect_err("it should be refused");
        assert_eq!(refused.to_string(), why);
        assert!(self.0 == before, "what is refused changes nothing");
    }

    fn shard(&self, number: u32) -> &Shard {
        self.0.shard(ShardId(number)).expect("it is there")
    }

    fn memory(&self, node: u8) -> u64 {
        self.0.node(id(node)).expect("it is there").memory
    }
}

#[test]
fn nodes_register_and_become_shards() {
    let mut log = Log(Topology::default(), 0);
    log.refuses(join(1), "the cluster has not begun yet");
    log.make(Change::Found { cluster: CLUSTER, first: 3, replicas_wanted: 0 });
    log.refuses(Change::Found { cluster: CLUSTER, first: 3, replicas_wanted: 0 }, "the cluster has begun already");
    log.make(Change::Join { node: id(2), number: Some(2), facts: facts() });
    log.refuses(
        Change::Join { node: id(1), number: Some(2), facts: facts() },
        "the number 2 is not free for this node",
    );
    log.refuses(
        Change::Join { node: id(1), number: Some(9), facts: facts() },
        "the number 9 is not free for this node",
    );
    log.make(join(5));
    assert_eq!(log.0.node(id(5)).unwrap().number, 4);
    log.refuses(join(5), "it is so already");
    let moved = Facts { address: Address { port: 7000, ..facts().address }, ..facts() };
    log.make(Change::Join { node: id(5), number: None, facts: moved.clone() });
    assert_eq!(log.0.node(id(5)).unwrap().facts, moved);

    log.make(Change::NewShard { primary: id(2), replicas: vec![] });
    log.refuses(Change::NewShard { primary: id(5), replicas: vec![id(2)] }, &format!("node {} is in shard 1", id(2)));
    let witness = Facts { is_witness: true, ..facts() };
    log.make(Change::Join { node: id(6), number: None, facts: witness.clone() });
    log.refuses(
        Change::Attach { shard: ShardId(1), node: id(6) },
        &format!("node {} is a witness, which holds no data", id(6)),
    );
    log.refuses(
        Change::Join { node: id(2), number: None, facts: witness },
        "a node with data cannot become a witness; drain it first",
    );
    let heavy = Facts { weight: 0, ..facts() };
    log.refuses(Change::Join { node: id(7), number: None, facts: heavy }, "a weight is a number from 1 to 10000");
}

#[test]
fn a_primary_goes_on_in_another_epoch_if_it_asks_for_that() {
    let mut log = Log::of_two_shards();
    let before = log.shard(1).clone();
    let promote = |epoch, node| Change::Promote { shard: ShardId(1), epoch, node, forced: false };
    log.make(promote(before.epoch, before.primary));
    let after = log.shard(1).clone();
    assert!(after.epoch > before.epoch);
    assert_eq!(Shard { epoch: before.epoch, ..after }, before, "nothing else is different");
}

#[test]
fn a_replica_in_sync_is_promoted_and_no_other() {
    let mut log = Log::of_two_shards();
    let first = log.shard(1).epoch;
    let promote = |epoch, node, forced| Change::Promote { shard: ShardId(1), epoch, node: id(node), forced };
    log.refuses(promote(first, 2, false), &format!("node {} may lack writes of shard 1", id(2)));
    log.refuses(promote(first, 3, true), &format!("node {} is no replica of shard 1", id(3)));
    log.make(Change::SetInSync { shard: ShardId(1), epoch: first, node: id(2), memory: log.memory(2), is_in: true });
    log.make(promote(first, 2, false));
    assert_eq!(log.shard(1).primary, id(2));
    assert_eq!(log.shard(1).in_sync, [id(1), id(2)].into(), "the old one has everything that was acknowledged");
    log.refuses(promote(first, 1, false), &format!("the primary of shard 1 is not that of epoch {first}"));
    // The old primary comes back from a crash: what it held is gone.
    log.make(Change::Join { node: id(1), number: None, facts: Facts { incarnation: 2, ..facts() } });
    assert_eq!(log.shard(1).in_sync, [id(2)].into());
    let epoch = log.shard(1).epoch;
    log.make(promote(epoch, 1, true));
    assert_eq!(log.shard(1).in_sync, [id(1)].into(), "what the other one holds beyond that is given up");
}

#[test]
fn a_quorum_needs_most_of_those_that_have_been_in_sync() {
    let mut log = Log::of_two_shards();
    let epoch = log.shard(1).epoch;
    let set = |log: &Log, node, is_in| Change::SetInSync {
        shard: ShardId(1),
        epoch,
        node: id(node),
        memory: log.memory(node),
        is_in,
    };
    assert!(log.shard(1).has_quorum(), "a replica that is new does not count yet");
    log.make(set(&log, 2, true));
    log.make(set(&log, 2, false));
    assert!(!log.shard(1).has_quorum(), "the primary is half of two");
    log.make(set(&log, 2, true));
    log.make(join(5));
    log.make(Change::Attach { shard: ShardId(1), node: id(5) });
    log.make(set(&log, 5, true));
    log.make(set(&log, 2, false));
    assert!(log.shard(1).has_quorum(), "two of three");
    log.refuses(set(&log, 1, false), &format!("node {} is no replica of shard 1", id(1)));
}

#[test]
fn a_primary_that_has_lost_its_memory_gives_way_to_the_last_that_was_in_sync() {
    let mut log = Log::of_two_shards();
    let epoch = log.shard(1).epoch;
    let memory = log.memory(2);
    let set = |is_in| Change::SetInSync { shard: ShardId(1), epoch, node: id(2), memory, is_in };
    log.make(set(true));
    log.make(set(false));
    assert_eq!(log.shard(1).eligible, [id(2)].into(), "nothing can have been acknowledged without it");
    log.make(Change::Join { node: id(1), number: None, facts: Facts { incarnation: 2, ..facts() } });
    assert!(!log.shard(1).has_all(id(1)));
    log.refuses(set(true), &format!("the primary of shard 1 is not that of epoch {epoch}"));
    let epoch = log.shard(1).epoch;
    log.make(Change::Promote { shard: ShardId(1), epoch, node: id(2), forced: false });
    assert_eq!(log.shard(1).in_sync, [id(2)].into());
    log.make(Change::Join { node: id(2), number: None, facts: Facts { incarnation: 2, ..facts() } });
    assert!(log.shard(1).is_bereft(), "nobody is known to hold everything");
    let epoch = log.shard(1).epoch;
    log.make(Change::Promote { shard: ShardId(1), epoch, node: id(1), forced: false });
    assert_eq!((log.shard(1).primary, &log.shard(1).in_sync), (id(1), &[id(1)].into()), "any may lead");
}

#[test]
fn a_replica_that_begins_anew_is_not_counted_on() {
    let mut log = Log::of_two_shards();
    let (epoch, memory) = (log.shard(1).epoch, log.memory(2));
    let set = |memory, is_in| Change::SetInSync { shard: ShardId(1), epoch, node: id(2), memory, is_in };
    log.make(set(memory, true));
    log.refuses(
        Change::Renounce { node: id(1), memory: log.memory(1) },
        &format!("node {} is no replica of shard 1", id(1)),
    );
    log.make(Change::Renounce { node: id(2), memory });
    assert!(!log.shard(1).has_all(id(2)) && log.memory(2) > memory);
    let late = format!("node {} does not hold any longer what it held", id(2));
    log.refuses(set(memory, true), &late);
    log.refuses(Change::Renounce { node: id(2), memory }, &late);
    log.make(set(log.memory(2), true));
    // Its primary loses what it held: nobody else has everything now.
    log.make(Change::Join { node: id(1), number: None, facts: Facts { incarnation: 2, ..facts() } });
    let alone = format!("node {} alone has all writes of shard 1", id(2));
    log.refuses(Change::Renounce { node: id(2), memory: log.memory(2) }, &alone);
}

#[test]
fn a_slot_moves_by_one_change_if_neither_end_has_changed() {
    let mut log = Log::of_two_shards();
    let slot = Slot::new(7).unwrap();
    let epochs = (log.shard(1).epoch, log.shard(2).epoch);
    let seven = || ranges(7, 7);
    let late = Change::EndMove { slots: seven(), began: 0, from_epoch: epochs.0, to_epoch: epochs.1 };
    log.refuses(late, "slot 7 does not move");
    log.make(Change::BeginMove { slots: ranges(7, 9), to: ShardId(2) });
    let began = log.0.moves()[&slot].began;
    let end = |(from_epoch, to_epoch)| Change::EndMove { slots: seven(), began, from_epoch, to_epoch };
    let earlier = Change::EndMove { slots: seven(), began: began - 1, from_epoch: epochs.0, to_epoch: epochs.1 };
    log.refuses(earlier, "slot 7 does not move");
    log.refuses(Change::BeginMove { slots: ranges(9, 10), to: ShardId(2) }, "slot 9 moves already");
    log.refuses(Change::BeginMove { slots: ranges(8192, 8192), to: ShardId(2) }, "slot 8192 has an owner already");
    log.refuses(Change::EndShard { shard: ShardId(2) }, "shard 2 has slots, or slots move to it");
    log.make(Change::SetInSync { shard: ShardId(2), epoch: epochs.1, node: id(4), memory: log.memory(4), is_in: true });
    log.make(Change::Promote { shard: ShardId(2), epoch: epochs.1, node: id(4), forced: false });
    log.refuses(end(epochs), &format!("the primary of shard 2 is not that of epoch {}", epochs.1));
    assert_eq!(log.0.owner(slot), Some(ShardId(1)));
    let epochs = (log.shard(1).epoch, log.shard(2).epoch);
    let too_many = Change::EndMove { slots: ranges(7, 10), began, from_epoch: epochs.0, to_epoch: epochs.1 };
    log.refuses(too_many, "slot 10 does not move");
    assert_eq!(log.0.owner(slot), Some(ShardId(1)), "it is all or none");
    log.make(end(epochs));
    assert_eq!(log.0.owner(slot), Some(ShardId(2)));
    log.make(Change::EndMove { slots: ranges(8, 9), began, from_epoch: epochs.0, to_epoch: epochs.1 });
    log.make(Change::BeginMove { slots: ranges(10, 11), to: ShardId(2) });
    log.make(Change::CancelMove { slots: ranges(10, 11) });
    assert_eq!(log.0.slots_of(ShardId(2)).to_string(), "7-9 8192-16383");
}

#[test]
fn rules_are_set_replaced_and_ended() {
    let mut log = Log::of_two_shards();
    let set = |fields: Option<&str>| Change::SetRule { prefix: "hot:".into(), fields: fields.map(str::to_owned) };
    log.refuses(set(None), "it is so already");
    log.make(set(Some("lease on")));
    log.refuses(set(Some("lease on")), "it is so already");
    log.make(set(Some("ttl-jitter 20%")));
    assert_eq!(log.0.rules().iter().collect::<Vec<_>>(), [(&"hot:".to_owned(), &"ttl-jitter 20%".to_owned())]);
    let long = Change::SetRule { prefix: "x".repeat(513), fields: Some("lease on".into()) };
    log.refuses(long, "the rule is too long");
    log.make(set(None));
    assert!(log.0.rules().is_empty());
}

#[test]
fn a_node_goes_when_it_holds_nothing_or_is_lost() {
    let mut log = Log::of_two_shards();
    log.refuses(Change::Forget { node: id(2), forced: false }, &format!("node {} is in shard 1", id(2)));
    log.make(Change::Detach { shard: ShardId(1), node: id(2) });
    log.make(Change::Forget { node: id(2), forced: false });
    log.make(Change::BeginMove { slots: ranges(0, 9), to: ShardId(2) });
    log.make(Change::Forget { node: id(1), forced: true });
    assert_eq!(log.0.shard(ShardId(1)), None, "it had no other member");
    assert_eq!((log.0.owner(Slot::new(5).unwrap()), log.0.moves().len()), (None, 0));
    log.make(Change::Forget { node: id(3), forced: true });
    assert_eq!(log.shard(2).primary, id(4), "its replica has what it has");
    log.make(Change::Assign { shard: ShardId(2), slots: ranges(0, 8191) });
    assert_eq!(log.0.slots_of(ShardId(2)), Ranges::all());
}

/// Some change or other among a few nodes and shards, which often fits.
fn changes() -> impl Strategy<Value = Change> {
    let node = || (1u8..8).prop_map(id);
    let shard = || (1u32..5).prop_map(ShardId);
    let slots = || (0u16..40, 1u16..6).prop_map(|(first, len)| ranges(first * 400, first * 400 + len));
    let facts = || {
        (1u64..3, any::<bool>(), 0u32..300).prop_map(|(incarnation, is_witness, weight)| Facts {
            incarnation,
            is_witness,
            weight,
            ..facts()
        })
    };
    prop_oneof![
        (node(), proptest::option::of(1u64..9), facts()).prop_map(|(node, number, facts)| Change::Join {
            node,
            number,
            facts
        }),
        (node(), proptest::collection::vec(node(), 0..3))
            .prop_map(|(primary, replicas)| Change::NewShard { primary, replicas }),
        shard().prop_map(|shard| Change::EndShard { shard }),
        (shard(), node()).prop_map(|(shard, node)| Change::Attach { shard, node }),
        (shard(), node()).prop_map(|(shard, node)| Change::Detach { shard, node }),
        (shard(), 0u64..60, node(), any::<bool>()).prop_map(|(shard, epoch, node, is_in)| Change::SetInSync {
            shard,
            epoch,
            node,
            memory: epoch,
            is_in
        }),
        (shard(), 0u64..60, node(), any::<bool>()).prop_map(|(shard, epoch, node, forced)| Change::Promote {
            shard,
            epoch,
            node,
            forced
        }),
        (shard(), slots()).prop_map(|(shard, slots)| Change::Assign { shard, slots }),
        (shard(), slots()).prop_map(|(to, slots)| Change::BeginMove { slots, to }),
        (slots(), 0u64..60, 0u64..60).prop_map(|(slots, from_epoch, to_epoch)| Change::EndMove {
            slots,
            began: from_epoch,
            from_epoch,
            to_epoch
        }),
        slots().prop_map(|slots| Change::CancelMove { slots }),
        (node(), any::<bool>()).prop_map(|(node, is_leaving)| Change::SetLeaving { node, is_leaving }),
        (node(), any::<bool>()).prop_map(|(node, forced)| Change::Forget { node, forced }),
        any::<u8>().prop_map(Change::WantReplicas),
        (node(), 0u64..60).prop_map(|(node, memory)| Change::Renounce { node, memory }),
        ("[a-c]:", prop::option::of("lease (on|off)")).prop_map(|(prefix, fields)| Change::SetRule { prefix, fields }),
    ]
}

/// Gives a change the epochs that its shards have, so that it is not always late.
fn on_time(topology: &Topology, change: Change) -> Change {
    let epoch_of = |shard: ShardId| topology.shard(shard).map_or(0, |shard| shard.epoch);
    let memory_of = |node: Id| topology.node(node).map_or(0, |node| node.memory);
    match change {
        Change::SetInSync { shard, node, is_in, .. } => {
            Change::SetInSync { shard, epoch: epoch_of(shard), node, memory: memory_of(node), is_in }
        }
        Change::Renounce { node, .. } => Change::Renounce { node, memory: memory_of(node) },
        Change::Promote { shard, node, forced, .. } => Change::Promote { shard, epoch: epoch_of(shard), node, forced },
        Change::EndMove { slots, .. } => {
            let moving = slots.iter().next().and_then(|slot| topology.moves().get(&slot));
            let (from_epoch, to_epoch) = moving.map_or((0, 0), |a| (epoch_of(a.from), epoch_of(a.to)));
            let began = moving.map_or(0, |a| a.began);
            Change::EndMove { slots, began, from_epoch, to_epoch }
        }
        other => other,
    }
}

/// What holds whatever has been applied.
fn check(topology: &Topology) {
    for (id, node) in topology.nodes() {
        let members = topology.shards().iter().filter(|(_, shard)| shard.members().any(|member| member == *id));
        let shards: Vec<_> = members.map(|(id, _)| *id).collect();
        assert_eq!(shards, node.shard.into_iter().collect::<Vec<_>>(), "a node is in the shard that it says");
        let same = topology.nodes().values().filter(|other| other.number == node.number).count();
        assert_eq!(same, 1, "numbers are not shared");
    }
    for shard in topology.shards().values() {
        assert!(shard.members().all(|id| topology.node(id).is_some()));
        assert!(!shard.replicas.contains(&shard.primary));
        assert!(shard.in_sync.is_disjoint(&shard.eligible) && (shard.eligible.is_empty() || !shard.has_quorum()));
        assert!(shard.in_sync.union(&shard.eligible).all(|id| shard.counted.contains(id)));
        assert!(shard.counted.is_subset(&shard.members().collect()));
    }
    for (slot, a) in topology.moves() {
        assert_eq!(topology.owner(*slot), Some(a.from), "a slot stays with its owner until the move has ended");
        assert!(a.to != a.from && topology.shard(a.to).is_some());
    }
    assert!(topology.slots().held().keys().all(|owner| topology.shard(*owner).is_some()));
}

proptest! {
    #[test]
    fn whatever_is_proposed_the_topology_makes_sense(
        changes in proptest::collection::vec((changes(), any::<bool>()), 0..120),
    ) {
        let mut log = Log::of_two_shards();
        for (change, is_on_time) in changes {
            let change = if is_on_time { on_time(&log.0, change) } else { change };
            prop_assert_eq!(decode_change(&encode_change(&change)), Ok(change.clone()));
            let before = log.0.clone();
            log.1 += 1;
            match log.0.apply(log.1, &change) {
                Ok(()) => check(&log.0),
                Err(_) => prop_assert!(log.0 == before, "what is refused changes nothing"),
            }
        }
        prop_assert!(Topology::decode(&log.0.encode()).as_ref() == Ok(&log.0));
    }

    #[test]
    fn any_bytes_can_be_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..16) {
        let _ = decode_change(&bytes);
        let _ = decode_change(&[&[1, kind], &bytes[..]].concat());
        let _ = Topology::decode(&[&[1], &bytes[..]].concat());
    }

    #[test]
    fn a_topology_that_is_cut_or_bent_is_refused_or_another(at in 0usize..10_000, bit in 0u8..8) {
        let bytes = Log::of_two_shards().0.encode();
        let at = at % bytes.len();
        prop_assert!(Topology::decode(&bytes[..at]).is_err());
        let mut bent = bytes.clone();
        bent[at] ^= 1 << bit;
        let _ = Topology::decode(&bent);
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut bytes = encode_change(&join(1));
    bytes[0] = 3;
    let error = decode_change(&bytes).unwrap_err().to_string();
    assert_eq!(error, "it is of version 3, and this node knows versions up to 2: it is too old");
}
