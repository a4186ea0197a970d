//! The simulated cluster.

use super::super::{Answer, Conductor, Members, Report, Settings, VoterChange, Wish};
use crate::cluster::id::{Id, ShardId};
use crate::cluster::placement::place;
use crate::cluster::tenure::Tenure;
use crate::cluster::topology::{Address, Change, Facts, Shard, Topology};
use crate::types::testing::Random;
use larder_client::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The time between two steps.
const STEP: Duration = Duration::from_millis(50);

/// Steps from one report of a node to the next.
const REPORT_EVERY: u64 = 3;

/// Steps after which a cluster that comes to rest at all has done so.
const REST_STEPS_MAX: usize = 60_000;

/// Steps without a change after which a cluster is at rest.
const REST_STEPS: usize = 80;

/// Slots move faster than in reality, so that there is more than that to see.
fn settings() -> Settings {
    Settings { moves_max: 64, ..Settings::default() }
}

pub(super) struct World {
    random: Random,
    now: Duration,
    /// The topology at the end of the log.
    truth: Arc<Topology>,
    index: u64,
    members: Members,
    /// The voters that are to be: until a majority of them can be reached as well, both sets have to agree.
    joint: Option<BTreeSet<u64>>,
    leader: Option<(Id, Conductor)>,
    /// One that does not know yet that it leads no longer, and until when.
    stale: Option<(Id, Conductor, Duration)>,
    /// When the next election may succeed.
    election: Duration,
    nodes: BTreeMap<Id, Node>,
    /// When each node last reported.
    heard: BTreeMap<Id, Duration>,
    /// Writes that were acknowledged at `quorum`.
    acknowledged: BTreeMap<ShardId, Vec<u64>>,
    /// Shards and epochs whose primary has been seen to hold all of them.
    checked: BTreeSet<(ShardId, u64)>,
    next_write: u64,
    next_node: u64,
    /// Nodes beyond which none comes any more: more would come than go.
    nodes_max: usize,
    tally: Tally,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub steps: u64,
    pub changes: u64,
    pub refused: u64,
    pub moved: usize,
    pub promotions: u64,
    pub elections: u64,
    pub acknowledged: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { steps, changes, refused, moved, promotions, elections, acknowledged } = self;
        write!(
            f,
            "{steps} steps, {changes} changes and {refused} refused ones, {moved} slots moved, {promotions} promotions, \
             {elections} elections, {acknowledged} writes acknowledged at quorum"
        )
    }
}

struct Node {
    is_alive: bool,
    /// Nodes with the same one reach each other.
    group: u8,
    facts: Facts,
    number: Option<u64>,
    /// What it knows of the topology.
    view: Arc<Topology>,
    tenure: Tenure,
    hand_over_to: Option<Id>,
    /// The writes of its shard, and which primary they are of.
    writes: Vec<u64>,
    of: Option<(ShardId, u64, u64)>,
    /// Whether it has thrown away what it held, and has not yet everything of its primary's.
    is_loading: bool,
    /// Replicas whose word counts already, though the topology does not say yet that they are in sync.
    awaited: BTreeSet<Id>,
    /// Slots that have been handed over as far as this node is concerned, since when their moves began.
    fenced: BTreeMap<Slot, u64>,
    reports_at: u64,
}

impl Node {
    /// Up to where it has the stream of its shard.
    fn offset(&self) -> Option<u64> {
        (!self.is_loading).then_some(self.writes.len() as u64)
    }
}

impl World {
    /// So many nodes of a cluster that has not begun.
    pub fn new(seed: u64, nodes: usize, replicas: u8) -> World {
        let first = nodes.min(3) as u64;
        let mut world = World {
            random: Random::new(seed ^ 0x5eed),
            now: Duration::from_secs(1),
            truth: Arc::default(),
            index: 0,
            members: Members { voters: (1..=first).collect(), ..Members::default() },
            joint: None,
            leader: None,
            stale: None,
            election: Duration::ZERO,
            nodes: BTreeMap::new(),
            heard: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            checked: BTreeSet::new(),
            next_write: 0,
            next_node: 0,
            nodes_max: nodes + nodes / 10 + 12,
            tally: Tally::default(),
        };
        world.commit(&Change::Found { cluster: Id::new([1; 20]), first, replicas_wanted: replicas });
        for number in 1..=nodes as u64 {
            let id = world.add_node();
            if number <= first {
                world.node(id).number = Some(number);
            }
        }
        world
    }

    fn node(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(&id).expect("it is there")
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    pub fn add_node(&mut self) -> Id {
        self.add(false)
    }

    pub fn add_witness(&mut self) -> Id {
        self.add(true)
    }

    /// A node that is refused as often as it registers.
    pub fn add_misfit(&mut self) {
        let id = self.add_node();
        self.node(id).facts.weight = 0;
    }

    fn add(&mut self, is_witness: bool) -> Id {
        self.next_node += 1;
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.random.next().to_be_bytes());
        bytes[8..16].copy_from_slice(&self.next_node.to_be_bytes());
        let id = Id::new(bytes);
        let address = Address { host: "10.0.0.1".into(), port: 6379, bus_port: 16379 };
        let zone = ["a", "b", "c"][self.random.below(3)].to_owned();
        let facts = Facts { address, incarnation: 1, is_witness, weight: 100, zone };
        let node = Node {
            is_alive: true,
            group: 0,
            facts,
            number: None,
            view: Arc::default(),
            tenure: Tenure::default(),
            hand_over_to: None,
            writes: Vec::new(),
            of: None,
            is_loading: false,
            awaited: BTreeSet::new(),
            fenced: BTreeMap::new(),
            reports_at: self.random.next() % REPORT_EVERY,
        };
        self.nodes.insert(id, node);
        id
    }

    fn reaches(&self, one: Id, other: Id) -> bool {
        let (one, other) = (self.nodes.get(&one), self.nodes.get(&other));
        let up = |node: Option<&Node>| node.is_some_and(|node| node.is_alive);
        up(one) && up(other) && one.map(|node| node.group) == other.map(|node| node.group)
    }

    /// The node with a number in the log: one of the first may not have registered.
    fn numbered(&self, number: u64) -> Option<Id> {
        let first = || self.nodes.iter().find(|(_, node)| node.number == Some(number)).map(|(id, _)| *id);
        self.truth.numbered(number).map(|(id, _)| id).or_else(first)
    }

    /// Whether a node reaches most voters.
    fn has_majority(&self, id: Id) -> bool {
        let most = |voters: &BTreeSet<u64>| {
            let voting = voters.iter().filter_map(|number| self.numbered(*number));
            2 * voting.filter(|voter| self.reaches(id, *voter)).count() > voters.len()
        };
        most(&self.members.voters) && self.joint.as_ref().is_none_or(most)
    }

    /// Proposes a change, if the leader can be reached and goes on leading. Returns whether it came into the log.
    fn propose(&mut self, from: Id, change: &Change) -> bool {
        let leader = self.leader.as_ref().map(|(id, _)| *id);
        let is_heard = leader.is_some_and(|leader| self.reaches(from, leader) && self.has_majority(leader));
        if is_heard {
            self.commit(change);
        }
        is_heard
    }

    fn commit(&mut self, change: &Change) {
        self.index += 1;
        self.check_detach(change);
        match Arc::make_mut(&mut self.truth).apply(self.index, change) {
            Ok(()) => {
                if let Change::Detach { shard, .. } = change {
                    // The others may have died just now.
                    self.forgive_loss(*shard);
                }
                self.tally.changes += 1;
                self.tally.promotions += u64::from(matches!(change, Change::Promote { .. }));
                if let Change::EndMove { slots, .. } = change {
                    self.tally.moved += slots.len();
                }
            }
            Err(_) => self.tally.refused += 1,
        }
    }

    /// Lets a moment pass.
    pub fn step(&mut self) {
        self.now += STEP;
        self.tally.steps += 1;
        self.elect();
        self.spread();
        self.report();
        self.conduct();
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            if self.nodes[&id].is_alive {
                self.serve(id);
            }
        }
        self.check_owners();
    }

    /// The leader goes on, or another one is found after a while.
    fn elect(&mut self) {
        let leads = self.leader.as_ref().is_some_and(|(id, _)| self.has_majority(*id));
        if leads {
            return;
        }
        if let Some((id, conductor)) = self.leader.take() {
            self.election = self.now + STEP * (8 + self.random.below(12) as u32);
            self.stale = Some((id, conductor, self.now + 2 * (self.election - self.now)));
        }
        if self.now < self.election {
            return;
        }
        let voters: Vec<Id> = self.members.voters.iter().filter_map(|number| self.numbered(*number)).collect();
        let fit: Vec<Id> = voters.into_iter().filter(|id| self.has_majority(*id)).collect();
        if !fit.is_empty() {
            self.tally.elections += 1;
            let id = fit[self.random.below(fit.len())];
            self.leader = Some((id, Conductor::new(self.now, settings())));
        }
    }

    /// Nodes that reach the leader learn what is in the log, some of them late.
    fn spread(&mut self) {
        let Some(leader) = self.leader.as_ref().map(|(id, _)| *id) else { return };
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            if self.reaches(id, leader) && (id == leader || self.random.below(3) > 0) {
                self.node(id).view = self.truth.clone();
            }
        }
    }

    /// Nodes register where they have to, and report.
    fn report(&mut self) {
        let leader = self.leader.as_ref().map(|(id, _)| *id);
        self.stale.take_if(|(_, _, until)| *until < self.now);
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            let node = &self.nodes[&id];
            if self.tally.steps % REPORT_EVERY != node.reports_at {
                continue;
            }
            if !leader.is_some_and(|leader| self.reaches(id, leader)) {
                self.report_to_stale(id);
                continue;
            }
            let (facts, number, offset, epoch) = (node.facts.clone(), node.number, node.offset(), node.view.epoch());
            if self.truth.node(id).is_none_or(|known| known.facts != facts) {
                self.propose(id, &Change::Join { node: id, number, facts });
                continue;
            }
            self.heard.insert(id, self.now);
            let report = Report { node: id, incarnation: facts.incarnation, epoch, offset };
            let (now, truth) = (self.now, self.truth.clone());
            let answer = self.leader.as_mut().map(|(_, conductor)| conductor.hear(now, &truth, report));
            // Some answers are lost, some come late.
            if self.random.below(10) > 0 {
                let answer: Answer = answer.unwrap_or_default();
                let node = self.node(id);
                node.tenure.answered(now, &answer, Settings::default().lease);
                node.hand_over_to = answer.hand_over_to;
            }
        }
    }

    /// A leader that has lost most voters answers as well as it knows, if it can be reached.
    fn report_to_stale(&mut self, id: Id) {
        let Some(stale) = self.stale.as_ref().map(|(stale, _, _)| *stale).filter(|stale| self.reaches(id, *stale))
        else {
            return;
        };
        let (node, view) = (&self.nodes[&id], self.nodes[&stale].view.clone());
        let (incarnation, epoch, offset) = (node.facts.incarnation, node.view.epoch(), node.offset());
        let report = Report { node: id, incarnation, epoch, offset };
        let now = self.now;
        let answer = self.stale.as_mut().map(|(_, conductor, _)| conductor.hear(now, &view, report));
        self.node(id).tenure.answered(now, &answer.unwrap_or_default(), Settings::default().lease);
    }

    /// The leader does what is due.
    fn conduct(&mut self) {
        if !self.leader.as_ref().is_some_and(|(id, _)| self.has_majority(*id)) {
            return;
        }
        if let Some(voters) = self.joint.take() {
            (self.members.voters, self.members.is_changing) = (voters, false);
        }
        let Some((id, conductor)) = &mut self.leader else { return };
        let id = *id;
        conductor.confirm(self.now);
        let wishes = conductor.decide(self.now, &self.truth, &self.members);
        for wish in wishes {
            match wish {
                Wish::Change(change) => drop(self.propose(id, &change)),
                Wish::Voters(change) => self.change_voters(change),
            }
        }
    }

    fn change_voters(&mut self, change: VoterChange) {
        let VoterChange { promote, demote, add, remove } = change;
        let Members { voters, learners, .. } = &mut self.members;
        let mut voters = voters.clone();
        assert!(promote.is_subset(learners) && demote.is_subset(&voters), "who votes and who does not is known");
        learners.extend(add);
        learners.retain(|number| !remove.contains(number) && !promote.contains(number));
        voters.extend(promote.iter().copied());
        voters.retain(|number| !demote.contains(number));
        learners.extend(demote.iter().copied());
        let reported = |number: &u64| self.truth.numbered(*number).is_some_and(|(id, _)| self.has_reported(id));
        if voters != self.members.voters {
            let living = voters.iter().filter(|number| reported(number)).count();
            assert!(2 * living > voters.len(), "most voters of {voters:?} have not been heard of lately");
            (self.joint, self.members.is_changing) = (Some(voters), true);
        }
    }

    /// What a node does with its part.
    fn serve(&mut self, id: Id) {
        let node = &self.nodes[&id];
        let view = node.view.clone();
        // What is older than its last start gives it no part.
        let known = view.node(id).filter(|known| known.facts.incarnation == node.facts.incarnation);
        let Some(shard_id) = known.and_then(|node| node.shard) else { return };
        let Some(shard) = view.shard(shard_id) else { return };
        if shard.primary != id {
            return self.follow(id, shard_id, shard.epoch, shard.primary);
        }
        if node.tenure.has_given_up(shard.epoch) {
            return self.settle_hand_over(id, shard_id, shard);
        }
        if node.tenure.holds(self.now, &view, id).is_none() {
            return;
        }
        let of = (shard_id, shard.epoch, node.facts.incarnation);
        if node.of != Some(of) {
            let is_same_shard = node.of.is_some_and(|before| before.0 == shard_id);
            let node = self.node(id);
            node.of = Some(of);
            node.awaited.clear();
            if !is_same_shard {
                node.writes.clear();
            }
        }
        self.check_writes(id, shard_id, shard.epoch);
        self.tend_replicas(id, shard_id, &view);
        self.write(id, shard_id, &view);
        self.hand_slots_over(id, shard_id, &view);
        self.hand_shard_over(id, shard_id, &view);
    }

    /// A replica takes what its primary has, if that one sees itself as such.
    fn follow(&mut self, id: Id, shard: ShardId, epoch: u64, primary: Id) {
        // One that has come back from a crash has another incarnation, and nothing to give before it has a lease.
        let of = self.nodes.get(&primary).and_then(|node| node.of).filter(|of| (of.0, of.1) == (shard, epoch));
        if of.is_none() || !self.reaches(id, primary) {
            // What came so far is of no use.
            self.node(id).is_loading = false;
            return;
        }
        let takes_nothing =
            if self.nodes[&id].is_loading { self.random.below(30) > 0 } else { self.random.below(4) == 0 };
        if takes_nothing {
            return;
        }
        let theirs = self.nodes[&primary].writes.clone();
        let node = &self.nodes[&id];
        if node.is_loading || theirs.starts_with(&node.writes) {
            let node = self.node(id);
            (node.writes, node.of, node.is_loading) = (theirs, of, false);
            return;
        }
        // It has seen what its primary has not, so it throws away what it holds before it takes everything.
        let known = node.view.node(id).filter(|_| node.view.shard(shard).is_some_and(|shard| shard.has_all(id)));
        if let Some(memory) = known.map(|known| known.memory) {
            self.propose(id, &Change::Renounce { node: id, memory });
            return;
        }
        let node = self.node(id);
        (node.of, node.is_loading) = (None, true);
        node.writes.clear();
    }

    /// Whether a replica has all that its primary has.
    fn is_level(&self, replica: Id, primary: Id) -> bool {
        let one = self.nodes.get(&primary);
        let other = self.nodes.get(&replica);
        let (Some(one), Some(other)) = (one, other) else { return false };
        other.of == one.of && other.writes.len() == one.writes.len()
    }

    /// Has replicas counted that have caught up, and no longer those that cannot be reached.
    fn tend_replicas(&mut self, id: Id, shard_id: ShardId, view: &Topology) {
        let Some(shard) = view.shard(shard_id) else { return };
        self.node(id).awaited.retain(|replica| shard.replicas.contains(replica));
        for replica in shard.replicas.iter().copied() {
            let is_level = self.reaches(id, replica) && self.is_level(replica, id);
            let is_in_sync = shard.in_sync.contains(&replica);
            let memory = view.node(replica).map_or(0, |node| node.memory);
            let set = |is_in| Change::SetInSync { shard: shard_id, epoch: shard.epoch, node: replica, memory, is_in };
            if is_level && !is_in_sync && !self.nodes[&id].awaited.contains(&replica) {
                // From here on nothing is acknowledged without it, whether or not the change is seen to be made.
                self.node(id).awaited.insert(replica);
                self.propose(id, &set(true));
            } else if is_level && !is_in_sync && self.random.below(10) == 0 {
                self.propose(id, &set(true));
            } else if is_in_sync && !self.reaches(id, replica) && self.random.below(20) == 0 {
                self.propose(id, &set(false));
                self.node(id).awaited.remove(&replica);
            }
        }
    }

    /// Accepts a write now and then, and acknowledges what all in sync have.
    fn write(&mut self, id: Id, shard_id: ShardId, view: &Topology) {
        if self.random.below(8) == 0 && self.nodes[&id].hand_over_to.is_none() {
            self.next_write += 1;
            let write = self.next_write;
            self.node(id).writes.push(write);
        }
        let Some(shard) = view.shard(shard_id) else { return };
        let awaited = &self.nodes[&id].awaited;
        let of = self.nodes[&id].of;
        let held_by = |replica: &Id| {
            let node = &self.nodes.get(replica);
            node.filter(|node| node.of == of && self.reaches(id, *replica)).map_or(0, |node| node.writes.len())
        };
        let others = shard.in_sync.iter().chain(awaited).filter(|other| **other != id);
        let held = others.map(held_by).min().unwrap_or(usize::MAX).min(self.nodes[&id].writes.len());
        if shard.has_quorum() && shard.in_sync.contains(&id) {
            let acknowledged = self.acknowledged.entry(shard_id).or_default();
            let known = acknowledged.len();
            if known < held {
                acknowledged.extend_from_slice(&self.nodes[&id].writes[known..held]);
                self.tally.acknowledged += (held - known) as u64;
            }
        }
    }

    /// Slots that move are brought to the other shard after a while: first this node serves them no longer, then it says so.
    fn hand_slots_over(&mut self, id: Id, shard_id: ShardId, view: &Topology) {
        if view.moves().is_empty() {
            return self.node(id).fenced.clear();
        }
        let moves: Vec<(Slot, u64, ShardId)> =
            view.moves().iter().filter(|(_, a)| a.from == shard_id).map(|(slot, a)| (*slot, a.began, a.to)).collect();
        let began = |slot: Slot| view.moves().get(&slot).map(|a| a.began);
        self.node(id).fenced.retain(|slot, since| began(*slot) == Some(*since));
        let mut ends: BTreeMap<(u64, ShardId), Vec<Slot>> = BTreeMap::new();
        for (slot, began, to) in moves {
            let is_reached = view.shard(to).is_some_and(|target| self.reaches(id, target.primary));
            if is_reached && self.random.below(3) == 0 {
                self.node(id).fenced.insert(slot, began);
                ends.entry((began, to)).or_default().push(slot);
            }
        }
        for ((began, to), slots) in ends {
            let (Some(from), Some(target)) = (view.shard(shard_id), view.shard(to)) else { continue };
            let slots = slots.into_iter().collect();
            self.propose(id, &Change::EndMove { slots, began, from_epoch: from.epoch, to_epoch: target.epoch });
        }
    }

    fn hand_shard_over(&mut self, id: Id, shard_id: ShardId, view: &Topology) {
        let Some(to) = self.nodes[&id].hand_over_to else { return };
        let Some(shard) = view.shard(shard_id) else { return };
        if self.is_level(to, id) && shard.in_sync.contains(&to) {
            // It accepts nothing from here on, whether or not it hears that the change was made.
            self.node(id).tenure.give_up(shard.epoch);
            self.settle_hand_over(id, shard_id, shard);
        }
    }

    /// What a primary proposes that has given up, until it hears that there is another epoch: that the replica leads, or if
    /// that one cannot, that it leads on itself.
    fn settle_hand_over(&mut self, id: Id, shard_id: ShardId, shard: &Shard) {
        let to = self.nodes[&id].hand_over_to.filter(|to| shard.in_sync.contains(to)).unwrap_or(id);
        self.propose(id, &Change::Promote { shard: shard_id, epoch: shard.epoch, node: to, forced: false });
    }

    /// A replica that holds everything leaves only shards where others do that have been heard of lately.
    fn check_detach(&self, change: &Change) {
        let Change::Detach { shard: id, node } = change else { return };
        let Some(shard) = self.truth.shard(*id).filter(|shard| shard.has_all(*node)) else { return };
        let mut others = shard.members().filter(|other| other != node && shard.has_all(*other));
        assert!(
            others.any(|other| self.has_reported(other)),
            "{node} leaves shard {id} though nobody else may hold all"
        );
    }

    /// Whether a leader has heard of the node lately.
    fn has_reported(&self, id: Id) -> bool {
        self.heard.get(&id).is_some_and(|at| self.now - *at <= Settings::default().silence_max)
    }

    /// A node that accepts writes has all that were acknowledged at `quorum`.
    fn check_writes(&mut self, id: Id, shard: ShardId, epoch: u64) {
        if !self.checked.insert((shard, epoch)) {
            return;
        }
        let acknowledged = self.acknowledged.entry(shard).or_default();
        assert!(
            self.nodes[&id].writes.starts_with(acknowledged),
            "shard {shard} goes on at epoch {epoch} without writes that were acknowledged"
        );
    }

    /// No slot has two nodes that would accept a write.
    fn check_owners(&self) {
        let holders: Vec<(Id, ShardId, &Node)> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.is_alive)
            .filter_map(|(id, node)| Some((*id, node.tenure.holds(self.now, &node.view, *id)?.0, node)))
            .collect();
        let mut by_shard: BTreeMap<ShardId, Id> = BTreeMap::new();
        for (id, shard, _) in &holders {
            if let Some(other) = by_shard.insert(*shard, *id) {
                panic!("both {id} and {other} accept writes for shard {shard}");
            }
        }
        // Those with one view agree about the slots.
        let mut views: BTreeMap<*const Topology, BTreeMap<ShardId, (Id, &Node)>> = BTreeMap::new();
        for (id, shard, node) in holders {
            views.entry(Arc::as_ptr(&node.view)).or_default().insert(shard, (id, node));
        }
        // A shard has one holder at most, so only a slot which two views give to different shards can have two.
        let maps = views.values().filter_map(|holders| Some(holders.first_key_value()?.1.1.view.slots()));
        let maps: Vec<_> = maps.collect();
        if maps.windows(2).all(|pair| pair[0] == pair[1]) {
            return;
        }
        let mut accepting: Vec<Option<Id>> = vec![None; Slot::all().len()];
        for holders in views.values() {
            let Some((_, (_, any))) = holders.first_key_value() else { continue };
            let last = holders.keys().last().map_or(0, |shard| shard.0 as usize);
            let mut by_number = vec![None; last + 1];
            holders.iter().for_each(|(shard, holder)| by_number[shard.0 as usize] = Some(holder));
            for (slot, owner) in any.view.slots().iter() {
                let holder = owner.and_then(|owner| *by_number.get(owner.0 as usize)?);
                let Some((id, _)) = holder.filter(|(_, node)| !node.fenced.contains_key(&slot)) else { continue };
                let other = accepting[slot.index()].replace(*id);
                assert_eq!(other, None, "both {id} and another node accept writes for slot {slot}");
            }
        }
    }

    /// Something happens.
    pub fn happen(&mut self) {
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        let id = ids[self.random.below(ids.len())];
        match self.random.below(20) {
            0..4 => self.kill(id),
            4..9 => self.restart_some(),
            9..11 => self.kill_leader(),
            11 => self.split(),
            12..15 => self.nodes.values_mut().for_each(|node| node.group = 0),
            15 | 16 if self.nodes.len() < self.nodes_max => drop(self.add_node()),
            17 => self.drain(id),
            18 => self.operate(&Change::SetLeaving { node: id, is_leaving: false }),
            _ => self.forget(id),
        }
    }

    fn operate(&mut self, change: &Change) {
        if let Some(leader) = self.leader.as_ref().map(|(id, _)| *id) {
            self.propose(leader, change);
        }
    }

    pub fn drain(&mut self, id: Id) {
        self.operate(&Change::SetLeaving { node: id, is_leaving: true });
    }

    /// Strikes off a node that has been drained.
    fn forget(&mut self, id: Id) {
        let is_drained = self.truth.node(id).is_some_and(|node| node.is_leaving && node.shard.is_none());
        let votes = self.truth.node(id).is_some_and(|node| self.members.voters.contains(&node.number));
        if is_drained && !votes && self.leader.as_ref().is_some_and(|(leader, _)| *leader != id) {
            self.operate(&Change::Forget { node: id, forced: false });
            if self.truth.node(id).is_none() {
                self.nodes.remove(&id);
            }
        }
    }

    fn split(&mut self) {
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            let group = self.random.below(3) as u8 / 2;
            self.node(id).group = group;
        }
    }

    fn kill_leader(&mut self) {
        if let Some(id) = self.leader.as_ref().map(|(id, _)| *id) {
            self.kill(id);
        }
    }

    /// Ends a node: what it held is gone.
    pub fn kill(&mut self, id: Id) {
        let node = self.node(id);
        node.is_alive = false;
        node.writes.clear();
        (node.of, node.is_loading) = (None, false);
        if let Some(shard) = self.truth.node(id).and_then(|node| node.shard) {
            self.forgive_loss(shard);
        }
    }

    /// If all that could lead a shard are gone, they are no minority: nothing was promised for that.
    fn forgive_loss(&mut self, id: ShardId) {
        let Some(shard) = self.truth.shard(id) else { return };
        let acknowledged = self.acknowledged.get(&id).map_or(&[][..], |writes| writes);
        // One that was restarted counts only once the topology knows what it holds since.
        let is_known = |id: &Id, node: &Node| {
            self.truth.node(*id).is_some_and(|known| known.facts.incarnation == node.facts.incarnation)
        };
        let is_whole = |id: &Id| {
            let node = self.nodes.get(id).filter(|node| node.is_alive && is_known(id, node));
            node.is_some_and(|node| node.writes.starts_with(acknowledged))
        };
        if !shard.members().any(|id| shard.has_all(id) && is_whole(&id)) {
            self.acknowledged.remove(&id);
        }
    }

    /// Starts a node again.
    pub fn restart(&mut self, id: Id) {
        let node = self.node(id);
        node.is_alive = true;
        node.facts.incarnation += 1;
        node.tenure = Tenure::default();
        node.hand_over_to = None;
        node.awaited.clear();
        node.fenced.clear();
    }

    fn restart_some(&mut self) {
        let dead: Vec<Id> = self.nodes.iter().filter(|(_, node)| !node.is_alive).map(|(id, _)| *id).collect();
        if !dead.is_empty() {
            let id = dead[self.random.below(dead.len())];
            self.restart(id);
        }
    }

    /// Starts all that are down, and mends all that is split.
    pub fn heal(&mut self) {
        let ids: Vec<Id> = self.nodes.keys().copied().collect();
        for id in ids {
            self.node(id).group = 0;
            if !self.nodes[&id].is_alive {
                self.restart(id);
            }
        }
    }

    /// Goes on until nothing changes any more, and checks that all is as it should be then.
    pub fn run_until_at_rest(&mut self, what: &str) {
        let mut rest = (self.tally.changes, 0);
        for _ in 0..REST_STEPS_MAX {
            self.step();
            let changes = self.tally.changes;
            rest = if rest.0 == changes { (rest.0, rest.1 + 1) } else { (changes, 0) };
            // A lease may have run out just now, where several answers in a row were lost.
            if rest.1 >= REST_STEPS && (self.serves_all() || rest.1 >= 2 * REST_STEPS) {
                return self.check_rest(what);
            }
        }
        panic!("{what}: no rest after {REST_STEPS_MAX} steps; {}", self.tally);
    }

    fn check_rest(&self, what: &str) {
        let truth = &self.truth;
        assert!(truth.moves().is_empty(), "{what}: slots still move");
        assert!(self.serves_all(), "{what}: some slots are not served");
        let stays = |id: &Id| truth.node(*id).is_some_and(|node| !node.is_leaving);
        let staying: Vec<_> = truth.shards().iter().filter(|(_, shard)| shard.members().any(|id| stays(&id))).collect();
        let all: Vec<_> = truth.shards().iter().collect();
        let serving = if staying.is_empty() { &all } else { &staying };
        let weights = serving.iter().map(|(id, shard)| (**id, truth.weight(shard).try_into().expect("at least 1")));
        assert!(place(truth.slots(), &weights.collect()) == *truth.slots(), "{what}: slots are not balanced");
        let data = truth.nodes().values().filter(|node| !node.is_leaving && !node.facts.is_witness).count();
        let wanted = usize::from(truth.replicas_wanted()).min((data / serving.len()).saturating_sub(1));
        for (id, shard) in serving {
            let replicas = shard.replicas.iter().filter(|id| stays(id)).count();
            assert!(replicas >= wanted || staying.is_empty(), "{what}: shard {id} has {replicas} of {wanted} replicas");
            assert_eq!(shard.in_sync, shard.members().collect(), "{what}: all members of shard {id} are in sync");
        }
        let voters = self.members.voters.len();
        assert!(voters % 2 == 1 && voters <= Settings::default().voters_max, "{what}: {voters} voters");
    }

    /// Whether every slot has a node that accepts writes for it.
    pub fn serves_all(&self) -> bool {
        let holds = |(id, node): (&Id, &Node)| {
            let held = node.tenure.holds(self.now, &node.view, *id).map(|(shard, _)| shard);
            held.filter(|_| node.is_alive)
        };
        let holding: BTreeSet<ShardId> = self.nodes.iter().filter_map(holds).collect();
        self.truth.slots().iter().all(|(_, owner)| owner.is_some_and(|owner| holding.contains(&owner)))
    }

    /// Steps until a condition holds.
    pub fn steps_until(&mut self, condition: impl Fn(&World) -> bool) -> usize {
        for steps in 1..REST_STEPS_MAX {
            self.step();
            if condition(self) {
                return steps;
            }
        }
        panic!("it never came; {}", self.tally);
    }

    /// Slots of each shard that has any, in ascending order.
    pub fn shares(&self) -> Vec<usize> {
        let mut shares: Vec<usize> = self.truth.slots().held().into_values().collect();
        shares.sort_unstable();
        shares
    }

    /// Members of each shard, in ascending order.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.truth.shards().values().map(|shard| shard.members().count()).collect();
        sizes.sort_unstable();
        sizes
    }

    pub fn primaries(&self) -> Vec<Id> {
        self.truth.shards().values().map(|shard| shard.primary).collect()
    }

    pub fn voters(&self) -> usize {
        self.members.voters.len()
    }

    /// Slots of the shard that a node is in.
    pub fn slots_of(&self, id: Id) -> usize {
        let shard = self.truth.node(id).and_then(|node| node.shard);
        shard.map_or(0, |shard| self.truth.slots_of(shard).len())
    }
}
