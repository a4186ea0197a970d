//! What somebody asks for, changes mostly: it is brought to the leader, and what becomes of it to those who asked.

use super::Control;
use super::leading::Leading;
use crate::cluster::bus::{Message, Outcome};
use crate::cluster::consensus::journal::Disk;
use crate::cluster::consensus::{Refused, Ticket};
use crate::cluster::id::Id;
use crate::cluster::topology::{Change, encode_change};
use std::collections::BTreeMap;
use std::time::Duration;

/// After this time nobody waits for the end of a change any longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Changes that may be asked for at a time; what comes beyond is refused.
const ASKED_MAX: usize = 4096;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Somebody on this node, by a number.
    Here(u64),
    /// Another node, by a number.
    Peer(Id, u64),
    /// This node, to be known as what it is.
    Registration,
    /// This node as the leader.
    Conductor,
}

/// Changes that are on their way.
#[derive(Debug, Default)]
pub(super) struct Asking {
    last_ticket: u64,
    asked: BTreeMap<u64, Asked>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Change(Change),
    /// A replica is to become the primary of its shard: `forced` even if it may lack writes, or the primary is not heard.
    FailOver {
        node: Id,
        forced: bool,
    },
}

#[derive(Debug)]
struct Asked {
    asker: Asker,
    wanted: Wanted,
    since: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No leader is known, or it takes nothing just now.
    Waits,
    SentTo(Id),
    /// In the log of this node, which leads.
    InLog,
}

impl Asking {
    pub fn next_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    pub fn has(&self, asker: &Asker) -> bool {
        self.asked.values().any(|asked| asked.asker == *asker)
    }
}

impl<D: Disk> Control<D> {
    pub(super) fn ask_as(&mut self, now: Duration, asker: Asker, wanted: Wanted) -> u64 {
        let ticket = self.asking.next_ticket();
        let is_full = self.asking.asked.len() >= ASKED_MAX;
        self.asking.asked.insert(ticket, Asked { asker, wanted, since: now, stage: Stage::Waits });
        match is_full {
            true => self.end(ticket, Outcome::Refused("too many changes are under way; try again".to_owned())),
            false => self.bring(now, ticket),
        }
        ticket
    }

    /// A node asks this one for a change.
    pub(super) fn asked_by(&mut self, now: Duration, from: Id, number: u64, wanted: Wanted) {
        if let Some(refused) = self.refusal_of_twin(now, &wanted) {
            let outcome = Outcome::Refused(refused);
            return self.out.send.push((from, Message::Proposed { number, outcome }));
        }
        // A node that is to join knows nobody else; others ask the leader themselves.
        if self.is_leader() || self.topology.node(from).is_none() {
            self.ask_as(now, Asker::Peer(from, number), wanted);
        } else {
            let outcome = Outcome::NotLeader(self.leader());
            self.out.send.push((from, Message::Proposed { number, outcome }));
        }
    }

    /// Two nodes with one id, of a data folder that was copied, would take each other's place again and again.
    fn refusal_of_twin(&self, now: Duration, wanted: &Wanted) -> Option<String> {
        let Wanted::Change(Change::Join { node, facts, .. }) = wanted else { return None };
        let known = self.topology.node(*node).filter(|known| known.facts.address != facts.address)?;
        let address = &known.facts.address;
        self.leading.as_ref()?.knows_twin(now, *node, facts.incarnation).then(|| {
            format!(
                "a node with the id {node} runs already, at {}:{}: if a data folder was copied, empty the copy and let the node \
                 join as a new one; if the node has just moved, wait a moment",
                address.host, address.port
            )
        })
    }

    /// The node that was asked has answered.
    pub(super) fn answered(&mut self, ticket: u64, from: Id, outcome: Outcome) {
        let Some(asked) = self.asking.asked.get_mut(&ticket).filter(|asked| asked.stage == Stage::SentTo(from)) else {
            return;
        };
        match outcome {
            // It is asked of another one at the next tick.
            Outcome::NotLeader(_) => asked.stage = Stage::Waits,
            outcome => self.end(ticket, outcome),
        }
    }

    /// Brings what is asked for to the leader, if there is one.
    fn bring(&mut self, now: Duration, ticket: u64) {
        let (is_leader, leader) = (self.is_leader(), self.leader());
        let Some(asked) = self.asking.asked.get_mut(&ticket).filter(|asked| asked.stage == Stage::Waits) else {
            return;
        };
        if let Some(leader) = leader.filter(|_| !is_leader) {
            asked.stage = Stage::SentTo(leader);
            let message = match asked.wanted.clone() {
                Wanted::Change(change) => Message::Propose { number: ticket, change },
                Wanted::FailOver { node, forced } => Message::FailOver { number: ticket, node, forced },
            };
            return self.out.send.push((leader, message));
        }
        // Before a leader is confirmed it does not know what was agreed upon before its time.
        if !self.leading.as_ref().is_some_and(Leading::is_confirmed) {
            return;
        }
        match asked.wanted.clone() {
            Wanted::Change(change) => {
                // What does not fit now need not fill the log; the conductor's wishes do fit.
                if asked.asker != Asker::Conductor
                    && let Some(refusal) = self.refusal(&change)
                {
                    return self.end(ticket, Outcome::Refused(refusal));
                }
                self.propose(ticket, &change);
            }
            Wanted::FailOver { node, forced } => {
                if let Some(outcome) = self.fail_over(now, node, forced) {
                    self.end(ticket, outcome);
                }
            }
        }
    }

    fn propose(&mut self, ticket: u64, change: &Change) {
        match self.consensus.propose(Ticket(ticket), encode_change(change)) {
            Ok(()) => {
                if let Some(asked) = self.asking.asked.get_mut(&ticket) {
                    asked.stage = Stage::InLog;
                }
            }
            Err(Refused::TooLarge { .. }) => self.end(ticket, Outcome::Refused("the change is too large".to_owned())),
            // Another time.
            Err(_) => {}
        }
    }

    /// Why a change would be refused if it were the next.
    fn refusal(&self, change: &Change) -> Option<String> {
        let mut trial = self.topology.clone();
        trial.apply(self.topology.epoch() + 1, change).err().map(|refused| refused.to_string())
    }

    /// Brings what has waited to the leader, and gives up what has waited for too long.
    pub(super) fn ask_again(&mut self, now: Duration) {
        let waiting: Vec<u64> = self
            .asking
            .asked
            .iter()
            .filter(|(_, asked)| asked.stage == Stage::Waits)
            .map(|(ticket, _)| *ticket)
            .collect();
        waiting.into_iter().for_each(|ticket| self.bring(now, ticket));
        // What the conductor has put into the log is settled by the log alone: it decides nothing else before it knows.
        let is_for_the_log = |asked: &Asked| asked.asker == Asker::Conductor && asked.stage == Stage::InLog;
        let is_late = |asked: &Asked| now.saturating_sub(asked.since) > PATIENCE && !is_for_the_log(asked);
        let late: Vec<(u64, Stage)> = self
            .asking
            .asked
            .iter()
            .filter(|(_, asked)| is_late(asked))
            .map(|(ticket, asked)| (*ticket, asked.stage))
            .collect();
        for (ticket, stage) in late {
            self.end(ticket, if stage == Stage::Waits { Outcome::NotLeader(None) } else { Outcome::Unknown });
        }
    }

    /// Tells who asked what became of it.
    pub(super) fn end(&mut self, ticket: u64, outcome: Outcome) {
        if let Some(leading) = &mut self.leading {
            leading.is_settled(ticket);
        }
        let Some(asked) = self.asking.asked.remove(&ticket) else { return };
        let outcome = self.with_number(&asked.wanted, outcome);
        match asked.asker {
            Asker::Here(number) => self.out.settled.push((number, outcome)),
            Asker::Peer(id, number) => self.out.send.push((id, Message::Proposed { number, outcome })),
            Asker::Registration | Asker::Conductor => {}
        }
    }

    /// Who joins is told its number, also if it has joined before.
    fn with_number(&self, wanted: &Wanted, outcome: Outcome) -> Outcome {
        let Wanted::Change(Change::Join { node, facts, .. }) = wanted else { return outcome };
        match self.topology.node(*node).filter(|node| node.facts == *facts) {
            Some(node) if matches!(outcome, Outcome::Made(_) | Outcome::Refused(_)) => {
                Outcome::Joined { number: node.number }
            }
            _ => outcome,
        }
    }
}
