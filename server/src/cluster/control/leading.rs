//! What a node does while it leads: it hears reports, grants leases, and proposes what the conductor wishes for.

use super::asking::{Asker, Wanted};
use super::{Control, Health};
use crate::cluster::bus::{Message, Outcome};
use crate::cluster::conductor::{self, Answer, Conductor, Report, Settings, VoterChange, Wish};
use crate::cluster::consensus::journal::Disk;
use crate::cluster::consensus::limits::CHANGES_MAX;
use crate::cluster::consensus::{Change, Member, Term, Ticket};
use crate::cluster::id::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ticks from one confirmation by a majority to the next, and from one look at everything to the next.
const CONFIRM_TICKS: u64 = 1;
const DECIDE_TICKS: u64 = 2;

/// Ticks from one word about everybody's health to the next.
const HEALTH_TICKS: u64 = 10;

/// Confirmations that may be on their way.
const CONFIRMATIONS_MAX: usize = 16;

/// Changes that are proposed at a time.
const CHANGES_AT_ONCE: usize = 256;

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leading {
    pub term: Term,
    /// There is one once a majority has confirmed the leader.
    conductor: Option<Conductor>,
    /// When confirmations were asked for.
    confirmations: BTreeMap<u64, Duration>,
    /// Changes that are not settled yet.
    busy: BTreeSet<u64>,
}

impl Leading {
    pub fn new(term: Term) -> Leading {
        Leading { term, conductor: None, confirmations: BTreeMap::new(), busy: BTreeSet::new() }
    }

    /// Takes the answer to a request for confirmation. Returns whether it was one.
    pub fn confirmed(&mut self, ticket: u64, is_confirmed: bool, settings: &Settings) -> bool {
        let Some(at) = self.confirmations.remove(&ticket) else { return false };
        if is_confirmed {
            // What a majority has followed since it was asked, it followed at that time.
            self.conductor.get_or_insert_with(|| Conductor::new(at, settings.clone())).confirm(at);
        }
        true
    }

    /// Whether a majority has confirmed it in its term, so that it has applied all that was agreed upon before.
    pub fn is_confirmed(&self) -> bool {
        self.conductor.is_some()
    }

    pub fn is_settled(&mut self, ticket: u64) {
        self.busy.remove(&ticket);
    }

    /// Whether a node with this id, but of another start, has reported lately.
    pub fn knows_twin(&self, now: Duration, id: Id, incarnation: u64) -> bool {
        self.conductor.as_ref().is_some_and(|conductor| conductor.knows_twin(now, id, incarnation))
    }
}

impl<D: Disk> Control<D> {
    /// What a leader answers to a report; `None` if this node leads nobody, or does not know yet that it does.
    pub(super) fn answer(&mut self, now: Duration, report: Report) -> Option<Answer> {
        let conductor = self.leading.as_mut()?.conductor.as_mut()?;
        Some(conductor.hear(now, &self.topology, report))
    }

    /// Begins to let a replica lead its shard; `None` if this node does not know yet that it leads the cluster.
    pub(super) fn fail_over(&mut self, now: Duration, node: Id, forced: bool) -> Option<Outcome> {
        let conductor = self.leading.as_mut()?.conductor.as_mut()?;
        Some(match conductor.fail_over(now, &self.topology, node, forced) {
            Ok(()) => Outcome::Made(self.topology.epoch()),
            Err(why) => Outcome::Refused(why),
        })
    }

    /// What a leader does at a tick.
    pub(super) fn lead(&mut self, now: Duration) {
        if self.leading.is_none() {
            return;
        }
        if self.ticks.is_multiple_of(CONFIRM_TICKS) {
            self.ask_for_confirmation(now);
        }
        if self.ticks.is_multiple_of(HEALTH_TICKS) {
            self.tell_health(now);
        }
        if self.ticks.is_multiple_of(DECIDE_TICKS) {
            self.decide(now);
        }
    }

    fn ask_for_confirmation(&mut self, now: Duration) {
        let Some(leading) = self.leading.as_mut().filter(|a| a.confirmations.len() < CONFIRMATIONS_MAX) else { return };
        let ticket = self.asking.next_ticket();
        if self.consensus.read(Ticket(ticket)).is_ok() {
            leading.confirmations.insert(ticket, now);
        }
    }

    /// Tells everybody who is silent, and how far the others are.
    fn tell_health(&mut self, now: Duration) {
        let conductor = self.leading.as_ref().and_then(|leading| leading.conductor.as_ref());
        let Some((silent, offsets)) = conductor.map(|conductor| conductor.health(now, &self.topology)) else { return };
        self.health = Health { silent, offsets };
        let others = self.topology.nodes().keys().filter(|id| **id != self.me.node && !self.health.silent.contains(id));
        self.out.send.extend(others.map(|id| (*id, Message::Health(self.health.clone()))));
    }

    /// Proposes what is to be done next, once all that was proposed before is settled.
    fn decide(&mut self, now: Duration) {
        let Some(leading) = self.leading.as_mut().filter(|leading| leading.busy.is_empty()) else { return };
        let Some(conductor) = leading.conductor.as_mut() else { return };
        let members = self.consensus.members();
        let numbers = |set: &BTreeSet<Member>| set.iter().map(|member| member.0).collect();
        let members = conductor::Members {
            voters: numbers(&members.voters),
            learners: numbers(&members.learners),
            is_changing: members.is_changing(),
        };
        for wish in conductor.decide(now, &self.topology, &members).into_iter().take(CHANGES_AT_ONCE) {
            match wish {
                Wish::Change(change) => {
                    let ticket = self.ask_as(now, Asker::Conductor, Wanted::Change(change));
                    if let Some(leading) = &mut self.leading {
                        leading.busy.insert(ticket);
                    }
                }
                Wish::Voters(change) => self.change_voters(&change),
            }
        }
    }

    fn change_voters(&mut self, change: &VoterChange) {
        let own = self.me.number;
        if change.demote.contains(&own) {
            // The leader cannot take its own vote away; whoever leads next will.
            let heir = self.consensus.members().voters.into_iter().find(|voter| !change.demote.contains(&voter.0));
            if let Some(heir) = heir {
                // If it does not work out, the wish comes again.
                let _ = self.consensus.transfer_leadership(heir);
            }
            return;
        }
        let each = |numbers: &BTreeSet<u64>, of: fn(Member) -> Change| {
            numbers.iter().map(move |number| of(Member(*number))).collect::<Vec<_>>()
        };
        let mut changes = each(&change.promote, Change::Promote);
        changes.extend(each(&change.demote, Change::Demote));
        let mut learners = each(&change.remove, Change::Remove);
        learners.extend(each(&change.add, Change::AddLearner));
        // Voters change together or not at all; of the learners the rest is wished for again.
        changes.extend(learners.into_iter().take(CHANGES_MAX.saturating_sub(changes.len())));
        let ticket = self.asking.next_ticket();
        if self.consensus.change_members(Ticket(ticket), &changes).is_ok()
            && let Some(leading) = &mut self.leading
        {
            leading.busy.insert(ticket);
        }
    }
}
