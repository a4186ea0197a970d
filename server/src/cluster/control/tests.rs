//! Whole clusters of control planes in one process: with real logs on simulated disks, clocks that run apart, and a network that
//! delays, loses and cuts.

use super::super::bus::{Message, Outcome};
use super::super::consensus::Member;
use super::super::consensus::journal::simulated::Simulated;
use super::super::consensus::journal::{Identity, Journal, Start};
use super::super::consensus::tests::random::{Random, say, seeds};
use super::super::id::{Id, ShardId};
use super::super::topology::{Address, Change, Facts, Topology};
use super::{Control, Me, Settings, TICK, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CLUSTER: Id = Id::new([99; 20]);
const STEP: Duration = Duration::from_millis(5);

fn id(node: u8) -> Id {
    Id::new([node; 20])
}

struct Host {
    control: Control<Simulated>,
    /// By how many parts of a thousand its clock is fast, and what it showed in the beginning.
    pace: i64,
    began: Duration,
    ticked: Duration,
}

struct World {
    random: Random,
    now: Duration,
    hosts: BTreeMap<u8, Host>,
    down: BTreeMap<u8, (Simulated, u64)>,
    /// Nodes of one group reach each other; all are in group 0 unless they are named.
    groups: BTreeMap<u8, u8>,
    /// Of a hundred messages.
    dropped: usize,
    parcels: BTreeMap<(Duration, u64), (u8, u64, u8, Message)>,
    sent: u64,
    /// Nodes that are to join.
    joining: BTreeSet<u8>,
    promotions: u64,
    settled: BTreeMap<u64, Outcome>,
    trace: bool,
}

fn facts(node: u8, incarnation: u64) -> Facts {
    let address = Address { host: format!("h{node}"), port: node.into(), bus_port: 1000 + u16::from(node) };
    Facts { address, incarnation, is_witness: false, weight: 100, zone: String::new() }
}

impl World {
    /// A cluster of one node.
    fn found(mut random: Random, replicas: u8) -> World {
        let mut topology = Topology::default();
        topology.apply(1, &Change::Found { cluster: CLUSTER, first: 1, replicas_wanted: replicas }).expect("it fits");
        let start = Start::Found { voters: BTreeSet::from([Member(1)]), state: topology.encode() };
        let incarnation = random.next();
        let mut world = World {
            random,
            now: Duration::from_secs(5),
            hosts: BTreeMap::new(),
            down: BTreeMap::new(),
            groups: BTreeMap::new(),
            dropped: 0,
            parcels: BTreeMap::new(),
            sent: 0,
            joining: BTreeSet::new(),
            promotions: 0,
            settled: BTreeMap::new(),
            trace: std::env::var_os("LARDER_TEST_TRACE").is_some(),
        };
        world.host(1, 1, incarnation, |identity| Journal::create(Simulated::default(), identity, start).expect("room"));
        world
    }

    fn host(
        &mut self,
        node: u8,
        number: u64,
        incarnation: u64,
        journal: impl FnOnce(Identity) -> (Journal<Simulated>, super::super::consensus::journal::Recovered),
    ) {
        let identity = Identity { cluster: CLUSTER, node: id(node), member: Member(number) };
        let me = Me { node: id(node), number, facts: facts(node, incarnation) };
        let control = Control::new(me, Settings::default(), journal(identity)).expect("it goes on");
        let pace = self.random.below(60) as i64 - 30;
        let host = Host { control, pace, began: self.now, ticked: Duration::ZERO };
        self.hosts.insert(node, host);
    }

    /// What the clock of a node shows.
    fn clock(&self, host: &Host) -> Duration {
        let passed = (self.now - host.began).as_micros() as i64;
        Duration::from_micros((10_000_000 + passed + passed * host.pace / 1000) as u64)
    }

    fn join(&mut self, node: u8) {
        self.joining.insert(node);
    }

    fn crash(&mut self, node: u8) {
        let Some(host) = self.hosts.remove(&node) else { return };
        let number = host.control.me.number;
        let disk = host.control.journal.into_disk().crash(&mut self.random);
        self.down.insert(node, (disk, number));
    }

    fn restart(&mut self, node: u8) {
        let Some((disk, number)) = self.down.remove(&node) else { return };
        let incarnation = self.random.next();
        self.host(node, number, incarnation, |identity| Journal::open(disk, identity).expect("it was synced"));
    }

    fn reaches(&self, one: u8, other: u8) -> bool {
        self.groups.get(&one) == self.groups.get(&other)
    }

    fn send(&mut self, from: u8, number: u64, to: Id, message: Message) {
        if self.random.below(100) < self.dropped {
            return;
        }
        let delay = Duration::from_millis(1 + self.random.below(20) as u64);
        self.sent += 1;
        self.parcels.insert((self.now + delay, self.sent), (from, number, to.bytes()[0], message));
    }

    fn step(&mut self) {
        self.now += STEP;
        while let Some(entry) = self.parcels.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (from, number, to, message) = entry.remove();
            if !self.reaches(from, to) {
                continue;
            }
            if self.joining.contains(&to)
                && let Message::Proposed { outcome: Outcome::Joined { number }, .. } = message
            {
                self.joining.remove(&to);
                self.host(to, number, 1, |identity| {
                    Journal::create(Simulated::default(), identity, Start::Join).expect("room")
                });
                continue;
            }
            let now = self.hosts.get(&to).map(|host| self.clock(host));
            if let (Some(host), Some(now)) = (self.hosts.get_mut(&to), now) {
                host.control.hear(now, (id(from), number), message).expect("nobody sends what cannot be");
            }
        }
        for node in self.joining.clone() {
            let via = self.hosts.keys().nth(self.random.below(self.hosts.len().max(1))).copied();
            if let Some(via) = via.filter(|_| self.random.once_in(100)) {
                let change = Change::Join { node: id(node), number: None, facts: facts(node, 1) };
                self.send(node, 0, id(via), Message::Propose { number: 7, change });
            }
        }
        for node in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.run(node);
        }
        self.check();
    }

    fn run(&mut self, node: u8) {
        let host = &self.hosts[&node];
        let now = self.clock(host);
        let is_due = now - host.ticked >= TICK;
        let wishes = if is_due { self.wishes(node, now) } else { Vec::new() };
        let Some(host) = self.hosts.get_mut(&node) else { return };
        if is_due {
            host.ticked = now;
            host.control.tick(now, Some(0));
            wishes.into_iter().for_each(|change| host.control.ask(now, 0, Wanted::Change(change)));
        }
        let before = host.control.topology.clone();
        let number = host.control.me.number;
        let out = host.control.step().expect("the disk works");
        for (shard, after) in host.control.topology.shards() {
            let was = before.shards().get(shard).map(|shard| shard.primary);
            self.promotions += u64::from(was.is_some_and(|was| was != after.primary));
        }
        if self.trace && out.is_changed {
            eprintln!("{:?} node {node}: epoch {}", self.now, self.hosts[&node].control.topology.epoch());
        }
        self.settled.extend(out.settled.into_iter().filter(|(number, _)| *number > 0));
        out.send.into_iter().for_each(|(to, message)| self.send(node, number, to, message));
    }

    /// What a primary wishes for: replicas that it reaches are in sync, slots that move have moved, and it is succeeded by whom
    /// it is told.
    fn wishes(&self, node: u8, now: Duration) -> Vec<Change> {
        let control = &self.hosts[&node].control;
        let topology = control.topology();
        let Some((id, epoch)) = control.holds(now) else { return Vec::new() };
        let shard = topology.shard(id).expect("it holds it");
        let mut wishes = Vec::new();
        for replica in &shard.replicas {
            let other = replica.bytes()[0];
            let is_near = self.hosts.contains_key(&other) && self.reaches(node, other);
            if is_near != shard.in_sync.contains(replica) {
                let memory = topology.node(*replica).map_or(0, |node| node.memory);
                wishes.push(Change::SetInSync { shard: id, epoch, node: *replica, memory, is_in: is_near });
            }
        }
        for (slot, a) in topology.moves().iter().filter(|(_, a)| a.from == id) {
            let to_epoch = topology.shard(a.to).map_or(0, |shard| shard.epoch);
            wishes.push(Change::EndMove {
                slots: [*slot].into_iter().collect(),
                began: a.began,
                from_epoch: epoch,
                to_epoch,
            });
        }
        if let Some(heir) = control.hand_over_to().filter(|heir| shard.in_sync.contains(heir)) {
            wishes.push(Change::Promote { shard: id, epoch, node: heir, forced: false });
        }
        wishes
    }

    /// No two nodes hold one shard at a time.
    fn check(&self) {
        let mut held: BTreeMap<ShardId, u8> = BTreeMap::new();
        for (node, host) in &self.hosts {
            if let Some((shard, _)) = host.control.holds(self.clock(host)) {
                let other = held.insert(shard, *node);
                assert_eq!(other, None, "nodes {other:?} and {node} both hold shard {shard} at {:?}", self.now);
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    /// Goes on until something is so.
    #[track_caller]
    fn run_until(&mut self, what: &str, is_so: impl Fn(&World) -> bool) {
        let until = self.now + Duration::from_secs(300);
        while !is_so(self) {
            if self.now >= until {
                for (node, host) in &self.hosts {
                    let (standing, members) = (host.control.standing(), host.control.members());
                    eprintln!("node {node}: {standing:?} {members:?} holds {:?}", host.control.holds(self.clock(host)));
                }
                let topologies: Vec<&Topology> = self.hosts.values().map(|host| host.control.topology()).collect();
                eprintln!(
                    "{:?}\n{:?}\n{:?}",
                    topologies[0].nodes(),
                    topologies[0].shards(),
                    topologies[0].slots().held()
                );
                panic!("never came to pass: {what}");
            }
            self.step();
        }
    }

    /// All nodes know the same, every slot has an owner that serves, and nothing moves.
    fn is_at_rest(&self, nodes: usize, replicas: usize) -> bool {
        let shards = nodes / (replicas + 1);
        let Some(one) = self.hosts.values().next() else { return false };
        let topology = one.control.topology();
        let is_whole = |id: &ShardId| {
            let shard = topology.shard(*id).expect("it has slots");
            shard.replicas.len() >= replicas && shard.in_sync.len() == shard.replicas.len() + 1
        };
        let is_known =
            |control: &Control<_>| topology.node(control.me.node).map(|node| &node.facts) == Some(&control.me.facts);
        let holds = |host: &Host| host.control.holds(self.clock(host)).is_some();
        self.joining.is_empty()
            && self.hosts.len() == nodes
            && topology.nodes().len() == nodes
            && topology.shards().len() == shards
            && self.hosts.values().all(|host| is_known(&host.control))
            && topology.moves().is_empty()
            && topology.slots().owners().iter().all(Option::is_some)
            && topology.shards().keys().all(is_whole)
            && self.hosts.values().all(|host| host.control.topology() == topology)
            && self.hosts.values().filter(|host| holds(host)).count() == topology.shards().len()
    }
}

#[test]
fn one_node_serves_all_slots() {
    let mut world = World::found(Random::new(1), 0);
    let began = world.now;
    world.run_until("one node serves", |world| world.is_at_rest(1, 0));
    assert!(world.now - began < Duration::from_secs(4), "after {:?}", world.now - began);
}

#[test]
fn six_nodes_become_three_shards_with_a_replica_each() {
    let mut world = World::found(Random::new(2), 1);
    (2..=6).for_each(|node| world.join(node));
    world.run_until("six nodes serve", |world| {
        let held = world.hosts[&1].control.topology().slots().held();
        world.is_at_rest(6, 1) && held.values().all(|held| [5461, 5462].contains(held))
    });
    world.run_until("five vote", |world| world.hosts[&1].control.members().voters.len() == 5);
}

#[test]
fn a_killed_primary_is_succeeded_in_time() {
    let mut late = Vec::new();
    for seed in seeds(5) {
        let mut world = World::found(say(seed), 1);
        (2..=6).for_each(|node| world.join(node));
        world.run_until("six nodes serve", |world| {
            world.is_at_rest(6, 1) && world.hosts[&1].control.members().voters.len() == 5
        });
        for node in 1..=6 {
            let topology = world.hosts[&node].control.topology();
            let Some((&shard, _)) = topology.shards().iter().find(|(_, shard)| shard.primary == id(node)) else {
                continue;
            };
            world.crash(node);
            let began = world.now;
            let is_held = move |world: &World| {
                let mut held = world.hosts.values().filter_map(|host| host.control.holds(world.clock(host)));
                held.any(|(held, _)| held == shard)
            };
            world.run_until("another one leads", is_held);
            let took = world.now - began;
            assert!(took < Duration::from_secs(5), "node {node} was succeeded after {took:?}");
            late.extend((took >= Duration::from_millis(2900)).then_some(took));
            world.restart(node);
            world.run_until("all is well again", |world| world.is_at_rest(6, 1));
        }
    }
    // Where the leader is the one that was killed, its voters may split, once in 500 times.
    assert!(late.len() < 2, "nodes were succeeded only after {late:?}");
}

#[test]
fn whatever_happens_no_two_nodes_hold_a_shard_and_all_ends_well() {
    for seed in seeds(6) {
        let mut world = World::found(say(seed), 1);
        (2..=7).for_each(|node| world.join(node));
        world.run_for(Duration::from_secs(10));
        for _ in 0..40 {
            let node = 1 + world.random.below(7) as u8;
            match world.random.below(7) {
                0 => world.crash(node),
                1 => world.restart(node),
                2 => {
                    world.groups.insert(node, world.random.below(3) as u8);
                }
                3 => world.groups.clear(),
                4 => world.dropped = world.random.below(40),
                5 => world.groups.extend([(2, 1), (4, 1), (6, 1)]),
                _ => world.dropped = 0,
            }
            let time = world.random.below(3000) as u64;
            world.run_for(Duration::from_millis(time));
        }
        world.groups.clear();
        world.dropped = 0;
        (1..=7).for_each(|node| world.restart(node));
        world.run_until("all is well", |world| world.is_at_rest(7, 1));
    }
}
