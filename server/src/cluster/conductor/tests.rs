//! What the conductor decides in single situations.

use super::*;
use crate::cluster::topology::{Address, Facts};

/// A cluster, its leader, and a clock.
struct Scene {
    topology: Topology,
    conductor: Conductor,
    members: Members,
    now: Duration,
    index: u64,
}

fn id(number: u8) -> Id {
    Id::new([number; 20])
}

fn facts(incarnation: u64) -> Facts {
    let address = Address { host: "h".into(), port: 1, bus_port: 2 };
    Facts { address, incarnation, is_witness: false, weight: 100, zone: String::new() }
}

const SHARD: ShardId = ShardId(1);

impl Scene {
    /// One shard of so many nodes, all in sync, the first of which leads. No node has reported.
    fn of(nodes: u8, replicas_wanted: u8) -> Scene {
        let now = Duration::from_secs(100);
        let members = Members { voters: BTreeSet::from([1]), ..Members::default() };
        let conductor = Conductor::new(now, Settings::default());
        let mut scene = Scene { topology: Topology::default(), conductor, members, now, index: 0 };
        scene.make(Change::Found { cluster: id(99), first: 0, replicas_wanted });
        (1..=nodes).for_each(|node| scene.make(Change::Join { node: id(node), number: None, facts: facts(1) }));
        scene.make(Change::NewShard { primary: id(1), replicas: (2..=nodes).map(id).collect() });
        let epoch = scene.shard().epoch;
        (2..=nodes).for_each(|node| {
            let memory = scene.topology.node(id(node)).expect("it has joined").memory;
            scene.make(Change::SetInSync { shard: SHARD, epoch, node: id(node), memory, is_in: true })
        });
        assert_eq!(scene.decide(), [], "nobody has reported");
        scene
    }

    fn shard(&self) -> &super::super::topology::Shard {
        self.topology.shard(SHARD).expect("it is there")
    }

    fn make(&mut self, change: Change) {
        self.index += 1;
        self.topology.apply(self.index, &change).expect("it fits");
    }

    /// Makes a change if it and nothing else is wished for.
    fn come_true(&mut self, change: Change) {
        assert_eq!(self.decide(), std::slice::from_ref(&change));
        self.make(change);
    }

    /// Lets milliseconds pass in which most voters follow the leader.
    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.conductor.confirm(self.now);
    }

    fn hear(&mut self, node: u8, incarnation: u64) -> Answer {
        self.hear_at(node, incarnation, Some(0))
    }

    /// Hears a node that has come so far in the stream of its shard, or is loading.
    fn hear_at(&mut self, node: u8, incarnation: u64, offset: Option<u64>) -> Answer {
        let report = Report { node: id(node), incarnation, epoch: self.topology.epoch(), offset };
        self.conductor.hear(self.now, &self.topology, report)
    }

    /// A node has been started again.
    fn restart(&mut self, node: u8) {
        self.make(Change::Join { node: id(node), number: None, facts: facts(2) });
    }

    /// Hears nodes that have not been started again.
    fn hear_all(&mut self, nodes: &[u8]) {
        for node in nodes {
            self.hear(*node, 1);
        }
    }

    /// What is wished for about shards.
    fn decide(&mut self) -> Vec<Change> {
        let wishes = self.conductor.decide(self.now, &self.topology, &self.members);
        let changes = wishes.into_iter().filter_map(|wish| match wish {
            Wish::Change(Change::Assign { .. }) | Wish::Voters(_) => None,
            Wish::Change(change) => Some(change),
        });
        changes.collect()
    }

    fn promote(&self, node: u8) -> Change {
        Change::Promote { shard: SHARD, epoch: self.shard().epoch, node: id(node), forced: false }
    }
}

#[test]
fn a_new_primary_is_given_the_time_to_ask_for_its_lease() {
    let mut scene = Scene::of(3, 2);
    scene.pass(1131);
    scene.hear_all(&[2, 3]);
    scene.come_true(scene.promote(2));
    scene.pass(50);
    assert_eq!(scene.decide(), [], "it has only just been promoted");
    scene.pass(880);
    assert_eq!(scene.decide(), []);
    scene.pass(1);
    assert_eq!(scene.decide(), [scene.promote(3)], "it has not asked in that time");
}

#[test]
fn a_leader_grants_nothing_to_a_primary_in_whose_place_it_promotes() {
    let mut scene = Scene::of(2, 1);
    scene.pass(1131);
    scene.hear(2, 1);
    assert_eq!(scene.decide(), [scene.promote(2)]);
    // The promotion may stand in the log already, and the next leader would not wait for a lease that is granted now.
    assert_eq!(scene.hear(1, 1).lease, None);
    // It did not come about, and there is nobody to promote any more.
    scene.pass(2000);
    scene.hear(1, 1);
    assert_eq!(scene.decide(), []);
    assert_eq!(scene.hear(1, 1).lease, Some((SHARD, scene.shard().epoch)));
}

#[test]
fn a_restarted_primary_has_another_epoch_and_no_lease() {
    let mut scene = Scene::of(2, 1);
    scene.pass(100);
    scene.hear(2, 1);
    let before = scene.shard().epoch;
    assert_eq!(scene.hear(1, 1).lease, Some((SHARD, before)));
    assert_eq!(scene.hear(1, 2), Answer::default(), "it has to register first");
    scene.make(Change::Join { node: id(1), number: None, facts: facts(2) });
    assert_eq!(scene.shard().epoch, scene.index, "what it has proposed before is late");
    assert!(!scene.shard().has_all(id(1)), "its memory is lost");
    assert_eq!(scene.hear(1, 2).lease, None);
    assert_eq!(scene.hear(1, 1), Answer::default(), "the process of before counts no longer");
    // It has no lease that would have to be waited for beyond the first moments of a leader.
    scene.pass(800);
    scene.hear(2, 1);
    scene.come_true(scene.promote(2));
    assert_eq!(scene.hear(2, 1).lease, Some((SHARD, scene.index)));
    assert_eq!(scene.hear(1, 2).lease, None);
}

#[test]
fn a_replica_that_leaves_is_kept_until_another_is_in_sync_in_its_place() {
    let mut scene = Scene::of(2, 1);
    scene.make(Change::SetLeaving { node: id(2), is_leaving: true });
    scene.make(Change::Join { node: id(3), number: None, facts: facts(1) });
    scene.pass(100);
    scene.hear_all(&[1, 2, 3]);
    scene.come_true(Change::Attach { shard: SHARD, node: id(3) });
    scene.hear_all(&[1, 2, 3]);
    assert_eq!(scene.decide(), [], "it is there and holds nothing yet");
    let epoch = scene.shard().epoch;
    let memory = scene.topology.node(id(3)).expect("it has joined").memory;
    scene.make(Change::SetInSync { shard: SHARD, epoch, node: id(3), memory, is_in: true });
    // It holds everything, but may have lost it since: it is silent.
    for node in [1, 2].repeat(4) {
        scene.pass(250);
        scene.hear(node, 1);
    }
    assert_eq!(scene.decide(), []);
    scene.hear(3, 1);
    assert_eq!(scene.decide(), [Change::Detach { shard: SHARD, node: id(2) }]);
}

#[test]
fn a_spare_is_kept_while_those_who_hold_as_much_are_silent() {
    // Three more nodes make a second shard once the spare is with them.
    let mut scene = Scene::of(3, 1);
    scene.make(Change::Join { node: id(4), number: None, facts: facts(1) });
    scene.pass(100);
    scene.hear(1, 1);
    scene.pass(1600);
    scene.hear_all(&[1, 3, 4]);
    let may_detach = |changes: Vec<Change>, node| changes.contains(&Change::Detach { shard: SHARD, node: id(node) });
    assert!(!may_detach(scene.decide(), 3), "node 2 is silent");
    scene.hear(2, 1);
    assert!(may_detach(scene.decide(), 2));
}

#[test]
fn where_nobody_has_everything_the_one_that_holds_most_leads() {
    let mut scene = Scene::of(3, 2);
    scene.pass(100);
    scene.hear_all(&[1, 2, 3]);
    [2, 3, 1].iter().for_each(|node| scene.restart(*node));
    assert!(scene.shard().is_bereft());
    assert_eq!(scene.hear_at(1, 2, Some(0)).lease, None, "there may be one that holds more");
    scene.hear_at(2, 2, Some(70));
    assert_eq!(scene.decide(), [], "the third has not said how much it holds");
    scene.hear_at(3, 2, None);
    assert_eq!(scene.decide(), [], "it is loading, and may hold more");
    scene.pass(30_000);
    scene.hear_at(1, 2, Some(0));
    scene.hear_at(2, 2, Some(70));
    scene.hear_at(3, 2, None);
    assert_eq!(scene.decide(), [], "it is waited for as long as that takes");
    scene.hear_at(3, 2, Some(60));
    let epoch = scene.shard().epoch;
    scene.come_true(Change::Promote { shard: SHARD, epoch, node: id(2), forced: false });
    let epoch = scene.shard().epoch;
    assert_eq!(scene.hear_at(2, 2, Some(70)).lease, Some((SHARD, epoch)));
}

#[test]
fn where_nobody_has_everything_silent_nodes_are_waited_for_a_while() {
    let mut scene = Scene::of(2, 1);
    scene.pass(100);
    scene.hear_all(&[1, 2]);
    [2, 1].iter().for_each(|node| scene.restart(*node));
    scene.hear_at(1, 2, Some(5));
    assert_eq!(scene.decide(), []);
    scene.pass(Settings::default().patience.as_millis() as u64 + 1);
    scene.hear_at(1, 2, Some(5));
    let epoch = scene.shard().epoch;
    scene.come_true(Change::Promote { shard: SHARD, epoch, node: id(1), forced: false });
}
