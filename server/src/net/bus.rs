//! The bus: the thread by which a node takes part in its cluster. It owns the sockets and the clock of the
//! [control plane](crate::cluster::control) and does what that says: it sends messages, writes the log, and installs topologies.

mod link;

use crate::cluster::bus::{Message, Outcome, Who};
use crate::cluster::consensus::Member;
use crate::cluster::consensus::journal::{self, Folder, Journal, Recovered, Start as Begin};
use crate::cluster::control::{self, Broken, Control, Me, Out, TICK, Wanted};
use crate::cluster::entry::{Entry, Next};
use crate::cluster::id::Id;
use crate::cluster::identity::Identity;
use crate::cluster::topology::{Change, Facts, Topology};
use crate::command::cluster::{Health, Heard, View, Wish};
use crate::command::replication::{HandOver, Part};
use crate::command::shared::{Shared, now_ms};
use link::{Beginning, Event, Towards};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::LocalSet;

/// Events that may wait; links wait with theirs once there are so many.
const EVENTS_MAX: usize = 4096;

/// Events that are looked at before the log is written: one sync is enough for all of them.
const EVENTS_AT_ONCE: usize = 512;

/// Wishes of commands that may wait.
const ASKED_MAX: usize = 512;

/// Connections of nodes that call and have not been met.
const STRANGERS_MAX: usize = 256;

/// How long after a failure a node is called again.
const CALL_AGAIN: Duration = Duration::from_millis(200);

/// Messages to one node that wait until it has been reached.
const HELD_MAX: usize = 64;

/// The same warning is not given again for so long.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// Ticks from one look after the replicas to the next.
const TEND_TICKS: u64 = 2;

/// Ticks from one time that health is shown to the next.
const HEALTH_TICKS: u64 = 10;

/// What a node takes part in its cluster with.
pub struct Start {
    pub listener: std::net::TcpListener,
    pub secret: Vec<u8>,
    pub facts: Facts,
    /// Other nodes that this one was told of: their hosts and the ports of their buses.
    pub seeds: Vec<(String, u16)>,
    /// Which of how many nodes it is that begin the cluster together.
    pub place: Option<(u64, usize)>,
    /// How many replicas a shard of the cluster is to have, if this node begins it.
    pub replicas: u8,
    pub identity: Identity,
    /// Where the identity is kept, and the folder of the log.
    pub home: Folder,
    pub log: PathBuf,
    /// What the log held, if the node has been a member before.
    pub opened: Option<(Journal<Folder>, Recovered)>,
    /// Whether what the node holds is to be kept.
    pub keeps_data: bool,
}

/// Takes part in the cluster until the node stops.
pub fn run(node: &Arc<Shared>, start: Start) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the thread of the cluster could not start");
            return node.stop();
        }
    };
    let tasks = LocalSet::new();
    let taking_part = async {
        if let Err(why) = take_part(node, start).await {
            tracing::error!("this node cannot take part in its cluster any longer: {why}");
            node.stop();
        }
    };
    runtime.block_on(tasks.run_until(taking_part));
}

async fn take_part(node: &Arc<Shared>, start: Start) -> Result<(), String> {
    let listener = tokio::net::TcpListener::from_std(start.listener.try_clone().map_err(|error| error.to_string())?);
    let listener = listener.map_err(|error| error.to_string())?;
    let (events, mut happening) = channel(EVENTS_MAX);
    let (asker, mut asked) = channel(ASKED_MAX);
    node.cluster.set_asker(Box::new(move |ticket, wish| {
        // Beyond that nobody would wait for as long as it took; who asks is told so after a while.
        let _ = asker.try_send((ticket, wish));
    }));
    let mut bus = Bus::new(node.clone(), start, events)?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !node.is_stopping() {
        tokio::select! {
            _ = ticks.tick() => bus.tick()?,
            event = happening.recv() => bus.hear(event, &mut happening),
            called = listener.accept() => bus.called(called),
            Some((ticket, wish)) = asked.recv() => bus.asked(ticket, wish, &mut asked),
        }
        bus.work()?;
    }
    Ok(())
}

struct Bus {
    node: Arc<Shared>,
    secret: Vec<u8>,
    facts: Facts,
    seeds: Vec<(String, u16)>,
    replicas: u8,
    identity: Identity,
    home: Folder,
    log: PathBuf,
    stage: Stage,
    part: Part,
    ticks: u64,
    events: Sender<Event>,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    /// The link to each node that was met, the latest if there are several.
    nearest: BTreeMap<Id, u64>,
    /// Nodes and seeds that are being called, or were called in vain until lately.
    calls: BTreeMap<Target, Call>,
    strangers: usize,
    warned: BTreeMap<String, Instant>,
}

enum Stage {
    Entering(Box<Entry>),
    In(Box<Control<Folder>>),
}

struct Link {
    who: Who,
    outbox: Sender<Message>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Node(Id),
    Seed(usize),
}

#[derive(Default)]
struct Call {
    is_under_way: bool,
    not_before: Duration,
    held: VecDeque<Message>,
}

impl Bus {
    fn new(node: Arc<Shared>, start: Start, events: Sender<Event>) -> Result<Bus, String> {
        let stage = match (start.opened, start.identity.membership) {
            (Some(opened), Some((_, number))) => {
                let me = Me { node: start.identity.node, number, facts: start.facts.clone() };
                let control = Control::new(me, Default::default(), opened).map_err(|broken| broken.to_string())?;
                Stage::In(Box::new(control))
            }
            _ => Stage::Entering(Box::new(Entry::new(start.identity.node, start.facts.clone(), start.place))),
        };
        Ok(Bus {
            node,
            secret: start.secret,
            facts: start.facts,
            seeds: start.seeds,
            replicas: start.replicas,
            identity: start.identity,
            home: start.home,
            log: start.log,
            stage,
            part: Part::new(start.keeps_data),
            ticks: 0,
            events,
            links: BTreeMap::new(),
            next_link: 0,
            nearest: BTreeMap::new(),
            calls: BTreeMap::new(),
            strangers: 0,
            warned: BTreeMap::new(),
        })
    }

    fn now(&self) -> Duration {
        self.node.cluster.now()
    }

    fn warn(&mut self, text: String) {
        let is_news = self.warned.get(&text).is_none_or(|at| at.elapsed() > WARN_AGAIN);
        if is_news {
            tracing::warn!("{text}");
            self.warned.retain(|_, at| at.elapsed() <= WARN_AGAIN);
            self.warned.insert(text, Instant::now());
        }
    }

    // --- links

    fn beginning(&mut self, towards: Towards) -> Beginning {
        let (cluster, number) = self.identity.membership.map_or((None, 0), |(id, number)| (Some(id), number));
        let own = Who { cluster, node: self.identity.node, number, incarnation: self.facts.incarnation };
        self.next_link += 1;
        let (link, events) = (self.next_link, self.events.clone());
        Beginning { link, towards, own, secret: self.secret.clone(), nonce: random(), events }
    }

    fn called(&mut self, called: std::io::Result<(tokio::net::TcpStream, std::net::SocketAddr)>) {
        let Ok((stream, _)) = called else { return };
        if self.strangers < STRANGERS_MAX {
            self.strangers += 1;
            tokio::task::spawn_local(link::serve(self.beginning(Towards::Caller), stream));
        }
    }

    /// Calls a node or a seed, unless that is being done or was done in vain just now.
    fn call(&mut self, target: Target, message: Option<Message>) {
        let now = self.now();
        let Some((host, port)) = self.address_of(target) else { return };
        let call = self.calls.entry(target).or_default();
        if let Some(message) = message {
            if call.held.len() >= HELD_MAX {
                call.held.pop_front();
            }
            call.held.push_back(message);
        }
        if call.is_under_way || now < call.not_before {
            return;
        }
        call.is_under_way = true;
        let towards = match target {
            Target::Node(id) => Towards::Node(id),
            Target::Seed(at) => Towards::Seed(at),
        };
        tokio::task::spawn_local(link::call(self.beginning(towards), host, port));
    }

    fn address_of(&self, target: Target) -> Option<(String, u16)> {
        match (target, &self.stage) {
            (Target::Seed(at), _) => self.seeds.get(at).cloned(),
            (Target::Node(id), Stage::In(control)) => {
                let address = &control.topology().node(id)?.facts.address;
                Some((address.host.clone(), address.bus_port))
            }
            (Target::Node(_), Stage::Entering(_)) => None,
        }
    }

    fn call_seeds(&mut self) {
        (0..self.seeds.len()).for_each(|at| self.call(Target::Seed(at), None));
    }

    fn send(&mut self, to: Id, message: Message) {
        let Some(link) = self.nearest.get(&to).and_then(|link| self.links.get(link)) else {
            return self.call(Target::Node(to), Some(message));
        };
        if link.outbox.try_send(message).is_err()
            && let Stage::In(control) = &mut self.stage
        {
            control.lost(to);
        }
    }

    fn hear(&mut self, event: Option<Event>, happening: &mut Receiver<Event>) {
        let more = std::iter::from_fn(|| happening.try_recv().ok()).take(EVENTS_AT_ONCE);
        for event in event.into_iter().chain(more) {
            match event {
                Event::Met { link, towards, who, outbox } => self.met(link, towards, who, outbox),
                Event::Said { link, message } => self.said(link, message),
                Event::Ended { link, towards, why } => self.ended(link, towards, why),
            }
        }
    }

    fn met(&mut self, link: u64, towards: Towards, who: Who, outbox: Sender<Message>) {
        let held = self.end_call(towards, Duration::ZERO);
        if let Towards::Node(id) = towards
            && id != who.node
        {
            // Its address is another node's by now. It will say itself where it is.
            self.end_call(towards, CALL_AGAIN);
            return;
        }
        self.links.insert(link, Link { who, outbox });
        self.nearest.insert(who.node, link);
        if let Stage::Entering(entry) = &mut self.stage {
            entry.met(who.node, who.cluster);
        }
        held.into_iter().for_each(|message| self.send(who.node, message));
    }

    /// A call has come to an end. Returns what was to be said.
    fn end_call(&mut self, towards: Towards, again: Duration) -> VecDeque<Message> {
        let target = match towards {
            Towards::Node(id) => Target::Node(id),
            Towards::Seed(at) => Target::Seed(at),
            Towards::Caller => {
                self.strangers = self.strangers.saturating_sub(1);
                return VecDeque::new();
            }
        };
        let not_before = self.now() + again;
        let call = self.calls.entry(target).or_default();
        (call.is_under_way, call.not_before) = (matches!(target, Target::Seed(_)) && again.is_zero(), not_before);
        std::mem::take(&mut call.held)
    }

    fn ended(&mut self, link: u64, towards: Towards, why: Option<String>) {
        match self.links.remove(&link) {
            Some(Link { who, .. }) => {
                if self.nearest.get(&who.node) == Some(&link) {
                    self.nearest.remove(&who.node);
                    match &mut self.stage {
                        Stage::In(control) => control.lost(who.node),
                        Stage::Entering(entry) => entry.left(who.node),
                    }
                }
                if let Towards::Seed(_) = towards {
                    self.end_call(towards, CALL_AGAIN);
                }
            }
            None => {
                self.end_call(towards, CALL_AGAIN);
                if let (Towards::Node(id), Stage::In(control)) = (towards, &mut self.stage) {
                    control.lost(id);
                }
            }
        }
        if let Some(why) = why {
            self.warn(why);
        }
    }

    fn said(&mut self, link: u64, message: Message) {
        let Some(who) = self.links.get(&link).map(|link| link.who) else { return };
        let now = self.now();
        match &mut self.stage {
            Stage::In(control) => {
                if let Err(rejected) = control.hear(now, (who.node, who.number), message) {
                    self.warn(format!("node {} sent {rejected}", who.node));
                }
            }
            Stage::Entering(entry) => match message {
                Message::Proposed { outcome, .. } => entry.answered(now, who.node, outcome),
                Message::Propose { number, .. } => {
                    let outcome = Outcome::NotLeader(None);
                    self.send(who.node, Message::Proposed { number, outcome });
                }
                _ => {}
            },
        }
    }

    // --- what is done again and again

    fn tick(&mut self) -> Result<(), String> {
        self.ticks += 1;
        let now = self.now();
        match &mut self.stage {
            Stage::Entering(_) => self.enter(now)?,
            Stage::In(control) => {
                control.tick(now, self.node.held_offset());
                let knows_leader = control.leader().is_some();
                if self.ticks.is_multiple_of(TEND_TICKS) {
                    let view = self.node.cluster.view();
                    self.node.tell_of_moves(&view);
                    let changes = self.part.tend(&self.node, &view);
                    let changes = changes.into_iter().chain(self.node.cluster.renouncement(&view));
                    changes.for_each(|change| control.ask(now, 0, Wanted::Change(change)));
                    // A node that is about to stop hands over without being told to.
                    let heir = if self.node.cluster.is_leaving() { self.part.heir(&self.node, &view) } else { None };
                    let heir = heir.or(control.hand_over_to());
                    if let Some(HandOver { epoch, change }) = self.part.hand_over(&self.node, &view, heir) {
                        control.give_up(epoch);
                        self.node.cluster.set_lease(epoch, Duration::ZERO);
                        control.ask(now, 0, Wanted::Change(change));
                    }
                }
                if self.ticks.is_multiple_of(HEALTH_TICKS) {
                    let (health, topology) = (control.health().clone(), control.topology().clone());
                    self.show_health(&health, &topology);
                }
                if !knows_leader {
                    // The others may all have come back under other addresses.
                    self.call_seeds();
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, now: Duration) -> Result<(), String> {
        self.call_seeds();
        let Stage::Entering(entry) = &mut self.stage else { return Ok(()) };
        let refusal = entry.take_refusal();
        match entry.next(now) {
            Next::Wait => {}
            Next::Ask { node, change } => self.send(node, Message::Propose { number: 1, change }),
            Next::Found => {
                let cluster = Id::new(random());
                let mut topology = Topology::default();
                let found = Change::Found { cluster, first: 1, replicas_wanted: self.replicas };
                topology.apply(1, &found).map_err(|refused| refused.to_string())?;
                let voters = BTreeSet::from([Member(1)]);
                self.begin(cluster, 1, Begin::Found { voters, state: topology.encode() })?;
                tracing::info!(%cluster, "began a cluster");
            }
            Next::Joined { cluster, number } => {
                self.begin(cluster, number, Begin::Join)?;
                tracing::info!(%cluster, number, "joined the cluster");
            }
        }
        if let Some(refusal) = refusal {
            self.warn(format!("the cluster does not let this node join: {refusal}"));
        }
        Ok(())
    }

    /// Becomes a member. The log comes first: a log without a membership is begun anew, and the other way round would be one
    /// that has been lost.
    fn begin(&mut self, cluster: Id, number: u64, begin: Begin) -> Result<(), String> {
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", self.log.display());
        if self.log.is_dir() {
            std::fs::remove_dir_all(&self.log).map_err(|error| at(&error))?;
        }
        let folder = Folder::open(&self.log).map_err(|error| at(&error))?;
        let owner = journal::Identity { cluster, node: self.identity.node, member: Member(number) };
        let made = Journal::create(folder, owner, begin).map_err(|error| at(&error))?;
        let identity = Identity { membership: Some((cluster, number)), ..self.identity };
        identity.save(&mut self.home).map_err(|error| at(&error))?;
        self.identity = identity;
        let me = Me { node: identity.node, number, facts: self.facts.clone() };
        let control = Control::new(me, Default::default(), made).map_err(|broken| broken.to_string())?;
        self.stage = Stage::In(Box::new(control));
        // Those that were met know this node as one of no cluster.
        self.links.clear();
        self.nearest.clear();
        Ok(())
    }

    /// Does what the events have led to.
    fn work(&mut self) -> Result<(), String> {
        let Stage::In(control) = &mut self.stage else { return Ok(()) };
        let out = match control.step() {
            Ok(out) => out,
            // Nothing that follows may be relied upon before the log has been opened anew.
            Err(broken @ Broken::Journal(journal::Error::Refusing { .. })) => return Err(broken.to_string()),
            Err(Broken::Journal(error)) => {
                self.warn(format!(
                    "the log of the cluster cannot be written, and others go on without this node: {error}"
                ));
                return Ok(());
            }
            Err(broken) => return Err(broken.to_string()),
        };
        let (lease, topology) = (control.lease(), out.is_changed.then(|| control.topology().clone()));
        if let Some((epoch, until)) = lease {
            self.node.cluster.set_lease(epoch, until);
        }
        if let Some(topology) = topology {
            self.install(topology);
        }
        self.bring(out);
        Ok(())
    }

    fn bring(&mut self, out: Out) {
        out.settled.into_iter().for_each(|(ticket, outcome)| self.settle(ticket, outcome));
        out.send.into_iter().for_each(|(to, message)| self.send(to, message));
    }

    /// Takes what is asked for, and what else is by now: all of it goes into the log with one write.
    fn asked(&mut self, ticket: u64, wish: Wish, asked: &mut Receiver<(u64, Wish)>) {
        let more = std::iter::from_fn(|| asked.try_recv().ok()).take(EVENTS_AT_ONCE);
        std::iter::once((ticket, wish)).chain(more).for_each(|(ticket, wish)| self.ask(ticket, wish));
    }

    /// A command asks for something.
    fn ask(&mut self, ticket: u64, wish: Wish) {
        let now = self.now();
        match (&mut self.stage, wish) {
            (Stage::Entering(_), _) => {
                self.node.cluster.settle(ticket, Err("this node is in no cluster yet".to_owned()));
            }
            (Stage::In(control), Wish::Change(change)) => control.ask(now, ticket, Wanted::Change(change)),
            (Stage::In(control), Wish::FailOver { node, forced }) => {
                control.ask(now, ticket, Wanted::FailOver { node, forced });
            }
        }
    }

    fn settle(&self, ticket: u64, outcome: Outcome) {
        let how = match outcome {
            Outcome::Made(index) => Ok(index),
            Outcome::Joined { .. } => Ok(0),
            Outcome::Refused(why) => Err(why),
            Outcome::NotLeader(_) => Err("TRYAGAIN the cluster has no leader just now; try again".to_owned()),
            Outcome::Unknown => Err("it is not known what came of it; look, and try again".to_owned()),
        };
        self.node.cluster.settle(ticket, how);
    }

    /// Lets commands show who is silent, and how far the others are.
    fn show_health(&self, health: &control::Health, topology: &Topology) {
        let heard = |id: &Id| {
            let is_silent = health.silent.contains(id) && *id != self.identity.node;
            let health_of = if is_silent { Health::Failed } else { Health::Online };
            let offset = health.offsets.get(id).copied().unwrap_or(0);
            Heard { health: health_of, offset, heard_ms: if is_silent { 0 } else { now_ms() } }
        };
        self.node.cluster.set_heard(topology.nodes().keys().map(|id| (*id, heard(id))).collect());
    }

    fn install(&mut self, topology: Topology) {
        let (node, part) = (&self.node, &mut self.part);
        let prepared = node.cluster.prepare(topology);
        let view: Arc<View> = node.barrier.alone(|| {
            node.install_topology(prepared);
            let view = node.cluster.view();
            part.take(node, &view);
            view
        });
        if view.is_primary
            && !node.cluster.holds_lease(&view)
            && let Stage::In(control) = &mut self.stage
        {
            control.report(node.cluster.now());
        }
        let known = &view.topology;
        self.calls.retain(|target, _| match target {
            Target::Node(id) => known.node(*id).is_some(),
            Target::Seed(_) => true,
        });
    }
}

/// Fresh randomness, for what must not be foreseen.
///
/// # Panics
///
/// If the system has none, which happens on no system that a node runs on.
pub fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::getrandom(&mut bytes).expect("the system gives randomness");
    bytes
}
