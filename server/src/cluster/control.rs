//! A node's part in the control plane: its Raft log, the topology that comes of it, what it decides as the leader, and the
//! lease that it holds as a primary.
//!
//! It owns no socket, no clock and no thread. Events go in ([`Control::tick`], [`Control::hear`], [`Control::ask`]), each with
//! the time; [`Control::step`] writes the journal and says what is to be sent and what has changed.
//!
//! **Leading.** A node that is elected does not conduct before a majority has confirmed it in its term and it has applied all
//! that was committed before: only then does it know which shard has which primary, and may grant leases. It asks for that
//! confirmation again and again, since one that may have a successor grants nothing.

mod asking;
mod leading;
#[cfg(test)]
mod tests;

use super::bus::{Message, Outcome};
use super::code::CodeError;
use super::conductor::{Report, Settings};
use super::consensus::journal::{self, Disk, Journal, Recovered};
use super::consensus::{self, Applied, Consensus, Index, Member, Role, Settled, Then, What};
use super::id::{Id, ShardId};
use super::tenure::Tenure;
use super::topology::{Change, Facts, Refused, Topology, decode_change};
pub use asking::Wanted;
use asking::{Asker, Asking};
use leading::Leading;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// The time between two calls of [`Control::tick`].
pub const TICK: Duration = Duration::from_millis(50);

/// Ticks from one report to the leader to the next.
const REPORT_TICKS: u64 = 2;

/// Ticks after which a node that is not known as it is says so again.
const REGISTER_TICKS: u64 = 10;

/// Bytes of the log from which on it is replaced by a snapshot. A topology of a thousand nodes takes some 200 KB.
const LOG_BYTES: usize = 512 << 10;

/// What this node is.
#[derive(Clone, Debug)]
pub struct Me {
    pub node: Id,
    /// By which the log knows it.
    pub number: u64,
    pub facts: Facts,
}

/// See the head of this file.
pub struct Control<D> {
    me: Me,
    settings: Settings,
    consensus: Consensus,
    journal: Journal<D>,
    topology: Topology,
    tenure: Tenure,
    leading: Option<Leading>,
    asking: Asking,
    /// What became of the changes at the last indices of the log.
    results: BTreeMap<u64, Result<(), Refused>>,
    /// Who goes by which number, as they have said themselves: the topology may not have come yet.
    routes: BTreeMap<u64, Id>,
    /// What the leader said last about who is silent, and how far the others have their streams.
    health: Health,
    hand_over_to: Option<Id>,
    /// Up to where this node has the stream of its shard; `None` while it is loading what it holds.
    offset: Option<u64>,
    ticks: u64,
    out: Out,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Out {
    /// Messages for other nodes. They may be lost.
    pub send: Vec<(Id, Message)>,
    /// Whether the topology is another one than at the last step.
    pub is_changed: bool,
    /// What became of the changes that were asked for here.
    pub settled: Vec<(u64, Outcome)>,
}

/// How the nodes are, as the leader knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Nodes that have not reported lately.
    pub silent: BTreeSet<Id>,
    /// Up to where nodes have the streams of their shards.
    pub offsets: BTreeMap<Id, u64>,
}

/// Why a node cannot go on.
#[derive(Debug)]
pub enum Broken {
    /// The log could not be written. The same may be tried again; nothing goes on until that has worked.
    Journal(journal::Error),
    /// The log could not be gone on from.
    Log(String),
    /// An entry of the log, or its snapshot, says what this version does not understand.
    Entry { index: u64, error: CodeError },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Journal(error) => error.fmt(f),
            Broken::Log(error) => write!(f, "the log of the cluster cannot be gone on from: {error}"),
            Broken::Entry { index, error } => write!(
                f,
                "entry {index} of the cluster's log makes no sense to this version: {error}. Run the version that the other nodes run"
            ),
        }
    }
}

impl std::error::Error for Broken {}

impl<D: Disk> Control<D> {
    /// A node that goes on from what its journal held.
    ///
    /// # Errors
    ///
    /// [`Broken::Log`] and [`Broken::Entry`].
    pub fn new(
        me: Me,
        settings: Settings,
        (journal, recovered): (Journal<D>, Recovered),
    ) -> Result<Control<D>, Broken> {
        let options = consensus::Options { member: Member(me.number), incarnation: me.facts.incarnation };
        let consensus = Consensus::new(options, recovered).map_err(Broken::Log)?;
        Ok(Control {
            me,
            settings,
            consensus,
            journal,
            topology: Topology::default(),
            tenure: Tenure::default(),
            leading: None,
            asking: Asking::default(),
            results: BTreeMap::new(),
            routes: BTreeMap::new(),
            health: Health::default(),
            hand_over_to: None,
            offset: None,
            ticks: 0,
            out: Out::default(),
        })
    }

    // --- events

    /// [`TICK`] has passed. `offset` is up to where the node has the stream of its shard; `None` while it is loading.
    pub fn tick(&mut self, now: Duration, offset: Option<u64>) {
        self.ticks += 1;
        self.offset = offset;
        self.consensus.tick();
        self.register(now);
        if self.ticks.is_multiple_of(REPORT_TICKS) {
            self.report(now);
        }
        self.lead(now);
        self.ask_again(now);
        if self.consensus.log_bytes() > LOG_BYTES || self.consensus.wants_snapshot() {
            // That a snapshot is there already, or nothing has been applied since, is no harm.
            let _ = self.consensus.compact(self.consensus.applied(), self.topology.encode());
        }
    }

    /// A node has said something. `number` is what it says the log knows it by, 0 if it does not know that.
    ///
    /// # Errors
    ///
    /// Why a message of the log was left out, which is for an operator to know.
    pub fn hear(
        &mut self,
        now: Duration,
        (from, number): (Id, u64),
        message: Message,
    ) -> Result<(), consensus::Rejected> {
        if number > 0 {
            self.routes.insert(number, from);
        }
        match message {
            Message::Raft(bytes) => {
                let number = self.topology.node(from).map_or(number, |node| node.number);
                match self.consensus.receive(Member(number), &bytes) {
                    // To the others it looks as if the message was lost.
                    Err(consensus::Rejected::Stalled) => {}
                    other => return other,
                }
            }
            Message::Report { sent_us, report } => {
                if let Some(answer) = self.answer(now, report) {
                    self.out.send.push((from, Message::Answer { sent_us, answer }));
                }
            }
            Message::Answer { sent_us, answer } => {
                self.tenure.answered(Duration::from_micros(sent_us), &answer, self.settings.lease);
                self.hand_over_to = answer.hand_over_to;
            }
            Message::Propose { number, change } => self.asked_by(now, from, number, Wanted::Change(change)),
            Message::FailOver { number, node, forced } => {
                self.asked_by(now, from, number, Wanted::FailOver { node, forced });
            }
            Message::Proposed { number, outcome } => self.answered(number, from, outcome),
            Message::Health(health) => self.health = health,
        }
        Ok(())
    }

    /// Asks for something. What becomes of it is told in [`Out::settled`] by this number, once, within some seconds.
    pub fn ask(&mut self, now: Duration, number: u64, wanted: Wanted) {
        self.ask_as(now, Asker::Here(number), wanted);
    }

    /// Accepts nothing more in an epoch in which this node leads its shard, so that another can be promoted at once. It is for
    /// good: see [`Tenure::give_up`].
    pub fn give_up(&mut self, epoch: u64) {
        self.tenure.give_up(epoch);
    }

    /// Messages to a node were lost for sure.
    pub fn lost(&mut self, id: Id) {
        if let Some(number) = self.number_of(id) {
            self.consensus.report_unreachable(Member(number));
        }
    }

    // --- what is so

    pub fn me(&self) -> &Me {
        &self.me
    }

    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The epoch of the lease that the node has, and when it ends.
    pub fn lease(&self) -> Option<(u64, Duration)> {
        self.tenure.lease()
    }

    /// The shard for which this node may accept writes now, and since which epoch.
    pub fn holds(&self, now: Duration) -> Option<(ShardId, u64)> {
        self.tenure.holds(now, &self.topology, self.me.node)
    }

    /// The replica to which the node is to hand its shard over.
    pub fn hand_over_to(&self) -> Option<Id> {
        self.hand_over_to
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Who leads, if that is known.
    pub fn leader(&self) -> Option<Id> {
        self.id_of(self.consensus.standing().leader?.0)
    }

    pub fn standing(&self) -> consensus::Standing {
        self.consensus.standing()
    }

    pub fn members(&self) -> consensus::Members {
        self.consensus.members()
    }

    fn is_leader(&self) -> bool {
        self.consensus.standing().role == Role::Leader
    }

    fn id_of(&self, number: u64) -> Option<Id> {
        if number == self.me.number {
            return Some(self.me.node);
        }
        self.topology.numbered(number).map(|(id, _)| id).or_else(|| self.routes.get(&number).copied())
    }

    fn number_of(&self, id: Id) -> Option<u64> {
        let said = || self.routes.iter().find(|(_, known)| **known == id).map(|(number, _)| *number);
        self.topology.node(id).map(|node| node.number).or_else(said)
    }

    // --- what is done again and again

    /// Lets the cluster know what this node is, if it knows something else.
    fn register(&mut self, now: Duration) {
        let known = self.topology.node(self.me.node);
        let is_known = known.is_some_and(|node| node.facts == self.me.facts);
        // One that was forgotten does not come back by itself.
        let is_to_join = known.is_some() || self.me.number == 1 && self.topology.nodes().is_empty();
        if !is_known && is_to_join && self.ticks % REGISTER_TICKS == 1 && !self.asking.has(&Asker::Registration) {
            let number = Some(self.me.number);
            let change = Change::Join { node: self.me.node, number, facts: self.me.facts.clone() };
            self.ask_as(now, Asker::Registration, Wanted::Change(change));
        }
    }

    /// Reports to the leader, beside the times at which that is done anyhow: a node that has just been promoted need not wait for its
    /// lease.
    pub fn report(&mut self, now: Duration) {
        let report = Report {
            node: self.me.node,
            incarnation: self.me.facts.incarnation,
            epoch: self.topology.epoch(),
            offset: self.offset,
        };
        if self.is_leader() {
            if let Some(answer) = self.answer(now, report) {
                self.tenure.answered(now, &answer, self.settings.lease);
                self.hand_over_to = answer.hand_over_to;
            }
        } else if let Some(leader) = self.leader() {
            self.out.send.push((leader, Message::Report { sent_us: now.as_micros() as u64, report }));
        }
    }

    // --- steps

    /// Does what the events have led to.
    ///
    /// # Errors
    ///
    /// [`Broken`]. What is there to be done already is kept for the next call.
    pub fn step(&mut self) -> Result<Out, Broken> {
        while let Some(then) = self.consensus.step(|durable| self.journal.save(durable)).map_err(Broken::Journal)? {
            self.go_on(then)?;
        }
        Ok(std::mem::take(&mut self.out))
    }

    fn go_on(&mut self, then: Then) -> Result<(), Broken> {
        if let Some(restored) = then.restore {
            self.restore(restored.index, &restored.state)?;
        }
        for applied in then.apply {
            self.apply(applied)?;
        }
        for (ticket, settled) in then.settled {
            self.settle(ticket.0, settled);
        }
        // Answers to what was asked come with this or the next step.
        while self.results.len() > RESULTS_MAX {
            self.results.pop_first();
        }
        if then.standing.is_some() {
            let term = self.consensus.standing().term;
            self.leading = self.is_leader().then(|| match self.leading.take() {
                Some(leading) if leading.term == term => leading,
                _ => Leading::new(term),
            });
        }
        for parcel in then.send {
            match self.id_of(parcel.to.0) {
                Some(id) => self.out.send.push((id, Message::Raft(parcel.bytes))),
                None => self.consensus.report_unreachable(parcel.to),
            }
        }
        Ok(())
    }

    fn restore(&mut self, index: Index, state: &[u8]) -> Result<(), Broken> {
        let topology = Topology::decode(state).map_err(|error| Broken::Entry { index: index.0, error })?;
        self.out.is_changed |= topology != self.topology;
        self.topology = topology;
        Ok(())
    }

    fn apply(&mut self, applied: Applied) -> Result<(), Broken> {
        let What::Proposal(bytes) = applied.what else { return Ok(()) };
        let index = applied.index.0;
        let change = decode_change(&bytes).map_err(|error| Broken::Entry { index, error })?;
        let result = self.topology.apply(index, &change);
        self.out.is_changed |= result.is_ok();
        self.results.insert(index, result);
        Ok(())
    }

    /// What was asked of consensus with a ticket has come to an end.
    fn settle(&mut self, ticket: u64, settled: Settled) {
        if let Some(leading) = &mut self.leading
            && leading.confirmed(ticket, matches!(settled, Settled::Current(_)), &self.settings)
        {
            return;
        }
        let outcome = match settled {
            Settled::Committed(index) => match self.results.get(&index.0) {
                Some(Ok(())) => Outcome::Made(index.0),
                Some(Err(refused)) => Outcome::Refused(refused.to_string()),
                // A change of the members.
                None => Outcome::Made(index.0),
            },
            Settled::Current(_) | Settled::NoQuorum | Settled::Unknown | Settled::Unchanged => Outcome::Unknown,
        };
        self.end(ticket, outcome);
    }
}

/// Results of changes that are kept for those who asked for them.
const RESULTS_MAX: usize = 8192;
