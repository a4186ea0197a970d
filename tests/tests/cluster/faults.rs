//! Faults at random, of the network, of nodes and of their clocks, while writers write and readers read: what was promised holds all the same.

use crate::alone;
use crate::load::Ending;
use larder_tests::cluster::{
    Cluster, Guide, History, Network, NodeLine, Promise, Readings, Route, Sum, check_losses, check_readings,
    on_a_network, read,
};
use larder_tests::random::{Random, seed, setting};
use larder_tests::wait_long;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const NODES: usize = 6;
const WRITERS: usize = 3;
const READERS: usize = 2;
/// Of each writer in each round. Lists stay short that way.
const KEYS: usize = 4;

/// Between two writes or reads of one client, so that the nodes have time for each other.
const PAUSE: Duration = Duration::from_millis(2);

/// How long clients wait for a reply.
const WAIT: Duration = Duration::from_millis(700);

/// How long writes to a slot may fail when its primary is cut off: far longer than they do, on a slow machine and with voters that
/// split. How long they do is printed.
const GAP_MAX: Duration = Duration::from_secs(10);

/// Writes that are waited for when nothing is wrong.
const WRITES: usize = 100;

/// How long it may take until writes go on when all faults are over.
const PATIENCE: Duration = Duration::from_secs(30);

/// Brings a fault about, and tells what it concerns.
type Inflict = fn(&mut Play<'_>) -> String;

/// All kinds of faults, each with how often it comes beside the others.
const KINDS: &[(&str, usize, Inflict)] = &[
    ("a node alone", 3, |play| play.cut_off()),
    ("halves", 3, |play| play.halve()),
    ("a bridge", 2, |play| play.bridge()),
    ("one direction", 3, |play| play.cut_one_direction()),
    ("one link", 1, |play| play.cut_link()),
    ("a node without clients", 1, |play| play.cut_from_clients()),
    ("slow links", 2, |play| play.slow_down()),
    ("lossy links", 2, |play| play.lose_some()),
    ("a primary stands still", 2, |play| play.hold_primary()),
    ("a replica stands still", 1, |play| play.hold_replica()),
    ("a node is killed", 3, |play| play.kill()),
    ("two are killed", 1, |play| play.kill_two()),
    ("a clock jumps", 3, |play| play.set_clock()),
];

/// The name of what comes between rounds.
const ALL_KILLED: &str = "all are killed";

/// What becomes of packets that a primary sends to another node, which may be its replica, and is sent by it.
type Cut = fn(is_replica: bool) -> [Route; 2];

/// How a primary loses touch.
const CUTS: &[(&str, Cut)] = &[
    ("reaches nobody", |_| [Route::Cut, Route::Cut]),
    ("is not heard", |_| [Route::Cut, Route::Open]),
    ("hears nobody", |_| [Route::Open, Route::Cut]),
    ("reaches its replica alone", |is_replica| if is_replica { [Route::Open; 2] } else { [Route::Cut; 2] }),
];

#[test]
fn a_primary_that_is_cut_off_in_any_way_is_replaced_and_becomes_a_replica() {
    let _alone = alone();
    on_a_network(NODES, |network| {
        let mut cluster = Cluster::prepare_on(network, &[("--cluster-replicas", "1")]);
        cluster.run_all();
        for (name, cut) in CUTS {
            cluster.wait_until_whole();
            let old = cluster.primary_of("key");
            let new = cluster.replicas_of(old)[0];
            let mut guide = cluster.guide().waiting(WAIT);
            guide.call(PATIENCE, &["SET", "key", "before"]);
            for other in (0..NODES).filter(|node| *node != old) {
                let [there, back] = cut(other == new);
                network.set(old, other, there);
                network.set(other, old, back);
            }
            let mut gap = Duration::ZERO;
            cluster.wait_until("the replica leads", |cluster| {
                gap = gap.max(guide.call(PATIENCE, &["SET", "key", name]).1);
                let seen = cluster.ask(new);
                seen.is_some_and(|seen| seen.at(cluster.address(new).port()).is_some_and(|line| !line.slots.is_empty()))
            });
            gap = gap.max(guide.call(PATIENCE, &["SET", "key", "after"]).1);
            eprintln!("a primary {name}: no writes for {gap:?}");
            assert!(gap <= GAP_MAX, "a primary {name}: no writes for {gap:?}");
            cluster.client(old).check_matches("GET key", "CLUSTERDOWN *");
            network.heal();
            cluster.wait_until_whole();
            assert_eq!(cluster.replicas_of(new), [old]);
            cluster.client(new).check("GET key", "after");
        }
    });
}

/// How long a primary and its replica do not reach each other.
const CUTS_BETWEEN: &[u64] = &[300, 700, 1200, 2200, 4000, 7000];

/// How long writes at `quorum` may fail beyond that, on a busy machine. How long they do is printed.
const BEYOND_MAX: Duration = Duration::from_millis(1500);

#[test]
fn writes_at_quorum_go_on_soon_after_a_replica_is_reached_again() {
    let _alone = alone();
    on_a_network(NODES, |network| {
        let mut cluster = Cluster::prepare_on(network, &[("--cluster-replicas", "1")]);
        cluster.run_all();
        cluster.wait_until_whole();
        let primary = cluster.primary_of("key");
        let replica = cluster.replicas_of(primary)[0];
        let full_resyncs = |cluster: &Cluster| {
            let info = cluster.client(primary).call("INFO stats");
            let info = String::from_utf8_lossy(info.as_bytes().expect("INFO answers a text")).into_owned();
            info.lines().find(|line| line.starts_with("sync_full:")).map(str::to_owned)
        };
        let before = full_resyncs(&cluster);
        let mut guide = cluster.guide().waiting(WAIT).at_quorum();
        let mut longest = Duration::ZERO;
        for lasts in CUTS_BETWEEN.iter().map(|millis| Duration::from_millis(*millis)) {
            guide.call(PATIENCE, &["SET", "key", "before"]);
            network.set_both(primary, replica, Route::Cut);
            let begin = Instant::now();
            while begin.elapsed() < lasts {
                // Writes go on, so that TCP has something to try again.
                let left = lasts.saturating_sub(begin.elapsed());
                cluster.client(primary).call("SET key meanwhile");
                thread::sleep(left.min(Duration::from_millis(20)));
            }
            network.set_both(primary, replica, Route::Open);
            let (_, beyond) = guide.call(PATIENCE, &["SET", "key", "after"]);
            eprintln!("{lasts:?} without the replica: no writes at quorum for {beyond:?} beyond");
            longest = longest.max(beyond);
            cluster.wait_until_whole();
        }
        assert_eq!(cluster.primary_of("key"), primary);
        assert_eq!(full_resyncs(&cluster), before, "the replica goes on where it was");
        assert!(longest <= BEYOND_MAX, "{longest:?}");
    });
}

#[test]
fn faults_lose_nothing_that_a_quorum_acknowledged_or_showed() {
    let _alone = alone();
    on_a_network(NODES, |network| Play::run(network, 1, Promise::Quorum, Duration::from_secs(25)));
}

#[test]
fn faults_lose_at_most_what_a_primary_had_not_passed_on() {
    let _alone = alone();
    on_a_network(NODES, |network| Play::run(network, 1, Promise::Async, Duration::from_secs(8)));
}

#[test]
#[ignore = "takes as long as LARDER_TEST_MINUTES says, or ten minutes; nine tenths of it at quorum, with one replica or two"]
fn many_faults() {
    let _alone = alone();
    let minutes = setting("LARDER_TEST_MINUTES").unwrap_or(10);
    for (replicas, promise, tenths) in [(1, Promise::Quorum, 5), (2, Promise::Quorum, 4), (1, Promise::Async, 1)] {
        on_a_network(NODES, |network| Play::run(network, replicas, promise, Duration::from_secs(minutes * 6 * tenths)));
    }
}

/// A cluster on its network, and what is wrong with it at the moment.
struct Play<'a> {
    network: &'a Network,
    cluster: Cluster,
    promise: Promise,
    random: Random,
    begin: Instant,
    /// How many each shard has.
    replicas: usize,
    /// As they were when all was well: each primary with its replicas behind it.
    shards: Vec<Vec<usize>>,
    held: Vec<usize>,
    /// Whether a node was killed in this round: what it alone had can be told by nobody.
    has_killed: bool,
    /// Elements that nodes said to have lost, each with its key.
    told_lost: BTreeSet<(String, String)>,
    counts: BTreeMap<&'static str, usize>,
}

impl<'a> Play<'a> {
    /// Plays rounds until this time has passed, and prints what came of them.
    #[track_caller]
    fn run(network: &'a Network, replicas: usize, promise: Promise, time: Duration) {
        let seed = seed();
        let mut cluster = Cluster::prepare_on(network, &[("--cluster-replicas", &replicas.to_string())]);
        cluster.run_all();
        let (random, begin) = (Random::new(seed), Instant::now());
        let (shards, held, counts) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (has_killed, told_lost) = (false, BTreeSet::new());
        let mut play =
            Self { network, cluster, promise, random, begin, replicas, shards, held, has_killed, told_lost, counts };
        play.mend();
        let (mut sum, mut rounds) = (Sum::default(), 0);
        while play.begin.elapsed() < time {
            sum.add(play.round(rounds));
            rounds += 1;
        }
        eprintln!("{promise:?}, replicas: {replicas}, seed {seed}: {rounds} rounds in {:.0?}", play.begin.elapsed());
        eprintln!("{:?}", play.counts);
        eprintln!("{sum}");
        assert!(sum.acknowledged >= rounds * 2 * WRITES, "{sum}");
    }

    /// Has writers and readers go on during some faults, and looks back when all is well again.
    fn round(&mut self, round: usize) -> Sum {
        self.has_killed = false;
        let keys = |writer: usize| (0..KEYS).map(move |key| format!("list {round} {writer} {key}"));
        let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (histories, readings) = thread::scope(|scope| {
            let _ending = Ending(&is_over);
            let (is_over, acknowledged) = (&is_over, &acknowledged);
            let guide = || match self.promise {
                Promise::Async => self.cluster.guide().waiting(WAIT),
                Promise::Quorum => self.cluster.guide().waiting(WAIT).at_quorum(),
            };
            let writer = |writer: usize| {
                let (guide, keys) = (guide(), keys(writer).collect());
                scope.spawn(move || write(guide, keys, is_over, acknowledged))
            };
            let writers: Vec<_> = (0..WRITERS).map(writer).collect();
            let reader = |reader: usize| {
                let (guide, keys) = (guide(), (0..WRITERS).flat_map(keys).collect());
                let random = Random::new(reader as u64);
                scope.spawn(move || read_to_the_end(guide, keys, random, is_over))
            };
            let readers: Vec<_> = (0..READERS).map(reader).collect();
            let wait_for_writes = |when: &str| {
                let enough = acknowledged.load(Relaxed) + WRITES;
                wait_long(PATIENCE, &format!("writes go on {when}"), || {
                    let done = acknowledged.load(Relaxed);
                    (done >= enough, format!("{done} of {enough} are acknowledged"))
                });
            };
            wait_for_writes("before anything is wrong");
            for _ in 0..1 + self.random.below(3) {
                self.fault();
                // Some faults come on top of others.
                if self.random.percent(70) {
                    self.end_faults();
                }
            }
            self.mend();
            wait_for_writes("when nothing is wrong any longer");
            is_over.store(true, Relaxed);
            let histories: Vec<History> =
                writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not fail")).collect();
            let mut readings = Readings::new();
            for reader in readers {
                for (key, more) in reader.join().expect("a reader does not fail") {
                    readings.entry(key).or_default().extend(more);
                }
            }
            (histories, readings)
        });
        let gap = histories.iter().map(History::gap).max().unwrap_or_default();
        let sum = check_readings(&mut self.cluster.guide(), self.promise, &histories, &readings);
        self.tell(&format!("round {round}: {sum}; no writes to one key for {gap:.1?} at most"));
        if self.promise == Promise::Async {
            self.told_lost.extend(self.cluster.told_lost());
            let is_all = !self.has_killed;
            let (gone, told) = check_losses(&mut self.cluster.guide(), &histories, &self.told_lost, is_all);
            self.tell(&format!("round {round}: {gone} are gone, of {told} of them nodes told"));
        }
        if self.random.percent(20) {
            self.kill_all();
            let after = check_readings(&mut self.cluster.guide(), self.promise, &histories, &readings);
            assert_eq!(after.lost, sum.lost, "nothing that was saved is lost");
        }
        sum
    }

    fn tell(&self, what: &str) {
        eprintln!("{:7.1} s: {what}", self.begin.elapsed().as_secs_f64());
    }

    /// Has one fault last for some time.
    fn fault(&mut self) {
        let total: usize = KINDS.iter().map(|(_, share, _)| share).sum();
        let mut at = self.random.below(total);
        let kind = KINDS.iter().find(|(_, share, _)| {
            let is_it = at < *share;
            at = at.saturating_sub(*share);
            is_it
        });
        let (name, _, inflict) = kind.expect("shares add up");
        *self.counts.entry(name).or_default() += 1;
        let told = inflict(self);
        let lasts = Duration::from_millis(100 + self.random.below(3900) as u64);
        self.tell(&format!("{name}: {told}, for {lasts:?}"));
        thread::sleep(lasts);
    }

    /// Ends all faults, and starts who was killed.
    fn end_faults(&mut self) {
        self.network.heal();
        (0..NODES).for_each(|node| self.cluster.set_clock(node, 0));
        self.held.drain(..).for_each(|node| self.cluster.release(node));
        self.cluster.run_all();
    }

    /// Ends all faults, and waits until the cluster is whole.
    fn mend(&mut self) {
        self.end_faults();
        self.cluster.wait_until_whole();
        let mut shards = Vec::new();
        wait_long(PATIENCE, "each shard has its replicas", || {
            let seen = self.cluster.seen();
            let members = |primary: &&NodeLine| {
                let replicas = seen.replicas_of(&primary.id);
                let ports = std::iter::once(primary.port).chain(replicas.iter().map(|line| line.port));
                (replicas.len() == self.replicas).then(|| ports.map(|port| self.cluster.at_port(port)).collect())
            };
            shards = seen.primaries().iter().filter_map(members).collect();
            (shards.len() * (1 + self.replicas) == NODES, format!("{seen:?}"))
        });
        self.shards = shards;
    }

    fn any_shard(&mut self) -> usize {
        self.random.below(self.shards.len())
    }

    fn any_replica_of(&mut self, shard: usize) -> usize {
        self.shards[shard][1 + self.random.below(self.replicas)]
    }

    /// One of a shard's. The primaries are of more interest.
    fn any_of(&mut self, shard: usize) -> usize {
        if self.random.percent(65) { self.shards[shard][0] } else { self.any_replica_of(shard) }
    }

    fn any_node(&mut self) -> usize {
        let shard = self.any_shard();
        self.any_of(shard)
    }

    fn others(node: usize) -> impl Iterator<Item = usize> {
        (0..NODES).filter(move |other| *other != node)
    }

    /// Divides the nodes into two that are not empty.
    fn sides(&mut self, nodes: Vec<usize>) -> [Vec<usize>; 2] {
        let mut nodes = nodes;
        (1..nodes.len()).rev().for_each(|at| nodes.swap(at, self.random.below(at + 1)));
        let other = nodes.split_off(1 + self.random.below(nodes.len() - 1));
        [nodes, other]
    }

    fn cut_apart(&self, [one, other]: &[Vec<usize>; 2]) {
        for node in one {
            other.iter().for_each(|other| self.network.set_both(*node, *other, Route::Cut));
        }
    }

    fn cut_off(&mut self) -> String {
        let node = self.any_node();
        let clients = Some(self.network.clients()).filter(|_| self.random.percent(30));
        Self::others(node).chain(clients).for_each(|other| self.network.set_both(node, other, Route::Cut));
        format!("{node}{}", if clients.is_some() { ", also from clients" } else { "" })
    }

    fn halve(&mut self) -> String {
        let sides = self.sides((0..NODES).collect());
        self.cut_apart(&sides);
        format!("{sides:?}")
    }

    /// Two sides that both reach one node between them.
    fn bridge(&mut self) -> String {
        let bridge = self.any_node();
        let sides = self.sides(Self::others(bridge).collect());
        self.cut_apart(&sides);
        format!("{bridge} between {sides:?}")
    }

    fn cut_one_direction(&mut self) -> String {
        let (node, hears) = (self.any_node(), self.random.percent(50));
        for other in Self::others(node) {
            let (from, to) = if hears { (node, other) } else { (other, node) };
            self.network.set(from, to, Route::Cut);
        }
        format!("{node} {}", if hears { "is not heard" } else { "hears nobody" })
    }

    /// Between a primary and its replica, or any two.
    fn cut_link(&mut self) -> String {
        let shard = self.any_shard();
        let (one, mut other) = (self.shards[shard][0], self.any_replica_of(shard));
        if self.random.percent(50) {
            other = (one + 1 + self.random.below(NODES - 1)) % NODES;
        }
        self.network.set(one, other, Route::Cut);
        let is_both = self.random.percent(50);
        if is_both {
            self.network.set(other, one, Route::Cut);
        }
        format!("from {one} to {other}{}", if is_both { " and back" } else { "" })
    }

    fn cut_from_clients(&mut self) -> String {
        let (node, clients) = (self.any_node(), self.network.clients());
        match self.random.below(3) {
            0 => self.network.set(clients, node, Route::Cut),
            1 => self.network.set(node, clients, Route::Cut),
            _ => self.network.set_both(clients, node, Route::Cut),
        }
        format!("{node}")
    }

    /// Sets all links, or those of one node, to clients as well.
    fn set_many(&mut self, route: Route) -> String {
        let one = Some(self.any_node()).filter(|_| self.random.percent(60));
        for from in 0..=NODES {
            let is_concerned = |to: &usize| *to != from && one.is_none_or(|one| one == from || one == *to);
            (0..=NODES).filter(is_concerned).for_each(|to| self.network.set(from, to, route));
        }
        format!("{route:?} {}", one.map_or("everywhere".to_owned(), |one| format!("at {one}")))
    }

    fn slow_down(&mut self) -> String {
        let by = Duration::from_millis(5 + self.random.below(300) as u64);
        self.set_many(Route::Slow(by))
    }

    fn lose_some(&mut self) -> String {
        let percent = 2 + self.random.below(30);
        self.set_many(Route::Lossy(percent))
    }

    fn hold(&mut self, node: usize) -> String {
        if self.cluster.awake().contains(&node) {
            self.cluster.hold(node);
            self.held.push(node);
        }
        format!("{node}")
    }

    fn hold_primary(&mut self) -> String {
        let shard = self.any_shard();
        self.hold(self.shards[shard][0])
    }

    fn hold_replica(&mut self) -> String {
        let shard = self.any_shard();
        let replica = self.any_replica_of(shard);
        self.hold(replica)
    }

    /// Puts the clock of a node, or of half of them, forward or back: by a blink, some seconds, or up to a month.
    fn set_clock(&mut self) -> String {
        const MILLIS: &[usize] = &[100, 5_000, 600_000, 2_600_000_000];
        let mut nodes = vec![self.any_node()];
        if self.random.percent(30) {
            nodes = (0..NODES).filter(|_| self.random.percent(50)).collect();
        }
        let most = MILLIS[self.random.below(MILLIS.len())];
        let mut told = Vec::new();
        for node in nodes {
            let millis = self.random.below(2 * most) as i64 - most as i64;
            self.cluster.set_clock(node, millis);
            told.push(format!("that of {node} by {millis} ms"));
        }
        told.join(", ")
    }

    /// Kills nodes of so many shards, which have another copy of what these held; sometimes while that can't be reached.
    fn kill_of(&mut self, shards: usize) -> String {
        self.has_killed = true;
        self.mend();
        let first = self.any_shard();
        let mut told = Vec::new();
        for next in 0..shards {
            let shard = (first + next) % self.shards.len();
            let node = self.any_of(shard);
            let left = *self.shards[shard].iter().find(|other| **other != node).expect("a shard has a replica");
            if self.random.percent(25) {
                Self::others(left).for_each(|other| self.network.set_both(left, other, Route::Cut));
                told.push(format!("{node} while {left} is alone"));
            } else {
                told.push(format!("{node}"));
            }
            self.cluster.kill(node);
        }
        told.join(" and ")
    }

    fn kill(&mut self) -> String {
        self.kill_of(1)
    }

    fn kill_two(&mut self) -> String {
        self.kill_of(2)
    }

    /// Kills all when they have saved what they hold, and starts them again.
    fn kill_all(&mut self) {
        *self.counts.entry(ALL_KILLED).or_default() += 1;
        self.tell(ALL_KILLED);
        (0..NODES).for_each(|node| self.cluster.client(node).check("SAVE", "OK"));
        self.cluster.kill_all();
        self.mend();
    }
}

fn write(mut guide: Guide, keys: Vec<String>, is_over: &AtomicBool, acknowledged: &AtomicUsize) -> Vec<History> {
    let mut histories: Vec<_> = keys.into_iter().map(History::new).collect();
    while !is_over.load(Relaxed) {
        for history in &mut histories {
            acknowledged.fetch_add(usize::from(history.append(&mut guide)), Relaxed);
            thread::sleep(PAUSE);
        }
    }
    histories
}

fn read_to_the_end(mut guide: Guide, keys: Vec<String>, mut random: Random, is_over: &AtomicBool) -> Readings {
    let mut readings = Readings::new();
    while !is_over.load(Relaxed) {
        read(&mut guide, &keys[random.below(keys.len())], &mut readings);
        thread::sleep(PAUSE);
    }
    readings
}
