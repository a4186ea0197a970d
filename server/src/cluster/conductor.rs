//! The conductor: what the leader of the Raft log decides about the cluster.
//!
//! Every node reports to the leader several times a second: how far it is, and that it lives. From the reports and the topology
//! the conductor sees what is to be done next (who fails over, who joins which shard, which slots move, who votes) and
//! wishes for it. Wishes are made again as long as there is reason for them, each by looking at everything anew; so it makes no
//! difference which of them came true, or whether another leader made them.
//!
//! **Leases.** A primary may accept writes only while it has a lease, which the answer to each of its reports extends. Whoever is
//! to promote another waits until the lease has run out. The holder counts from when it *sent* the report, and the leader from
//! when it came, so the holder's lease ends first if both clocks run at nearly the same pace. A leader grants none once it may
//! have a successor: when most voters have not followed it for [`Settings::doubt_max`]. So a new leader, which does not know
//! what its predecessor has granted, waits for that time and for as long as a lease lasts. Whoever has promoted a node
//! grants nothing to the one before: the promotion may be in the log although this leader cannot see it yet, and its successor
//! then need not wait. (Gray and Cheriton 1989, "Leases".)

mod failover;
mod moves;
mod roles;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod voters;

pub use voters::{Members, VoterChange};

use super::id::{Id, ShardId};
use super::topology::{Change, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a cluster may be told about how it is led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a primary may accept writes after a report that was answered.
    pub lease: Duration,
    /// By how much of it clocks may run apart: a leader waits so much longer.
    pub lease_slack: Duration,
    /// A leader that most voters have not followed for so long grants nothing: there may be another one. It is less than
    /// voters wait before they elect one.
    pub doubt_max: Duration,
    /// After this silence a replica is not chosen to lead, and a voter is replaced if there is another.
    pub silence_max: Duration,
    /// After this silence a replica counts as lost: another is put in its place if one can be spared.
    pub lost_after: Duration,
    /// How long the first nodes are waited for before slots are given to those that have come.
    pub patience: Duration,
    /// Slots that may move at a time from a shard, and to a shard.
    pub moves_max: usize,
    /// Voters that there may be: an odd number.
    pub voters_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lease: Duration::from_millis(800),
            lease_slack: Duration::from_millis(80),
            doubt_max: Duration::from_millis(250),
            silence_max: Duration::from_millis(1500),
            lost_after: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            moves_max: 64,
            voters_max: 5,
        }
    }
}

/// What a node says to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub node: Id,
    pub incarnation: u64,
    /// The epoch of the topology that it has.
    pub epoch: u64,
    /// Up to where it has the stream of its shard; `None` while it is loading what it holds.
    pub offset: Option<u64>,
}

/// What the leader answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The node may accept writes as the primary of this shard since this epoch, for the lease's time from when it reported.
    pub lease: Option<(ShardId, u64)>,
    /// The node is to hand its shard over to this replica: to hold writes back until the replica has them all, and then to
    /// wish for its promotion.
    pub hand_over_to: Option<Id>,
}

/// Something that is to be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Change(Change),
    Voters(VoterChange),
}

/// What the leader knows beside the topology. See the head of this file.
#[derive(Debug)]
pub struct Conductor {
    settings: Settings,
    /// When it began to lead.
    since: Duration,
    seen: BTreeMap<Id, Seen>,
    /// When most voters last followed this leader.
    confirmed: Duration,
    /// For each shard the epoch of its primary, and when that was last granted a lease or first seen to lead.
    led: BTreeMap<ShardId, (u64, Duration)>,
    /// Shards and epochs in whose place another is promoted, as far as that is not settled.
    promoting: BTreeSet<(ShardId, u64)>,
    /// Primaries that are to hand over.
    hand_overs: BTreeMap<ShardId, Id>,
    /// Replicas that were asked for to lead, and until when that counts.
    requests: BTreeMap<ShardId, Request>,
    /// Where slots are to be.
    plan: Option<moves::Plan>,
}

/// A replica that was asked for to lead.
#[derive(Clone, Copy, Debug)]
struct Request {
    node: Id,
    forced: bool,
    until: Duration,
}

#[derive(Clone, Debug)]
struct Seen {
    at: Duration,
    report: Report,
}

/// What a decision looks at.
#[derive(Clone, Copy)]
struct View<'a> {
    conductor: &'a Conductor,
    topology: &'a Topology,
    now: Duration,
}

impl Conductor {
    /// Begins to lead. Times are those of any clock that never goes back, since any moment.
    pub fn new(now: Duration, settings: Settings) -> Conductor {
        let (seen, led, promoting, hand_overs, requests) = Default::default();
        Conductor { settings, since: now, confirmed: now, seen, led, promoting, hand_overs, requests, plan: None }
    }

    /// Notes that most voters followed this leader at this time.
    pub fn confirm(&mut self, at: Duration) {
        self.confirmed = self.confirmed.max(at);
    }

    /// Hears what a node says.
    pub fn hear(&mut self, now: Duration, topology: &Topology, report: Report) -> Answer {
        let id = report.node;
        let Some(node) = topology.node(id).filter(|node| node.facts.incarnation == report.incarnation) else {
            // It has to register first.
            return Answer::default();
        };
        self.seen.insert(id, Seen { at: now, report });
        let Some(shard_id) = node.shard else { return Answer::default() };
        let shard = topology.shard(shard_id).filter(|shard| shard.primary == id && shard.is_fit());
        let is_sure = now.saturating_sub(self.confirmed) <= self.settings.doubt_max;
        let is_barred = self.requests.get(&shard_id).is_some_and(|request| request.forced && request.node != id);
        let shard = shard.filter(|shard| !is_barred && !self.promoting.contains(&(shard_id, shard.epoch)));
        let Some(shard) = shard.filter(|_| is_sure) else { return Answer::default() };
        self.led.insert(shard_id, (shard.epoch, now));
        let hand_over_to = self.hand_overs.get(&shard_id).copied().filter(|to| shard.replicas.contains(to));
        Answer { lease: Some((shard_id, shard.epoch)), hand_over_to }
    }

    /// Lets a replica lead its shard: once the primary has handed over, or if that is `forced`, once the primary has no lease any
    /// longer, whatever the replica lacks.
    ///
    /// # Errors
    ///
    /// Why that cannot be, in words for whoever asked.
    pub fn fail_over(&mut self, now: Duration, topology: &Topology, node: Id, forced: bool) -> Result<(), String> {
        let shard = topology.node(node).ok_or(format!("the cluster has no node {node}"))?.shard;
        let shard = shard.and_then(|id| Some((id, topology.shard(id)?)));
        let (id, shard) = shard.ok_or(format!("node {node} is in no shard"))?;
        if shard.primary == node {
            return Err(format!("node {node} is the primary of its shard already"));
        }
        if !forced && !shard.in_sync.contains(&node) {
            return Err(format!(
                "node {node} is not in sync with its primary; wait until it is, or force it and lose writes"
            ));
        }
        if self.seen.get(&node).is_none_or(|seen| now.saturating_sub(seen.at) > self.settings.silence_max) {
            return Err(format!("node {node} has not been heard of lately"));
        }
        self.requests.insert(id, Request { node, forced, until: now + self.settings.patience });
        Ok(())
    }

    /// What is to be done next. The caller proposes all of it, and asks again once that is settled: once it is known of each
    /// promotion whether it came about.
    pub fn decide(&mut self, now: Duration, topology: &Topology, members: &Members) -> Vec<Wish> {
        self.seen.retain(|id, _| topology.node(*id).is_some());
        self.note_who_leads(now, topology);
        self.requests.retain(|id, request| {
            let shard = topology.shard(*id).filter(|shard| shard.replicas.contains(&request.node));
            shard.is_some() && now < request.until
        });
        let mut plan = self.plan.take();
        let view = View { conductor: self, topology, now };
        let (mut changes, hand_overs) = roles::decide(&view);
        let promotions = failover::decide(&view);
        let promoting = promotions.iter().map(|due| (due.shard, due.epoch)).collect();
        let mut wishes: Vec<Wish> = promotions.into_iter().map(|due| Wish::Change(due.into())).collect();
        changes.extend(moves::decide(&view, &mut plan));
        wishes.extend(changes.into_iter().map(Wish::Change));
        wishes.extend(voters::decide(&view, members).map(Wish::Voters));
        (self.hand_overs, self.plan, self.promoting) = (hand_overs, plan, promoting);
        wishes
    }

    /// A primary that has just been promoted is given the time to ask for its lease, or the next would be promoted at once.
    fn note_who_leads(&mut self, now: Duration, topology: &Topology) {
        self.led.retain(|id, _| topology.shard(*id).is_some());
        for (id, shard) in topology.shards().iter().filter(|(_, shard)| shard.is_fit()) {
            if self.led.get(id).is_none_or(|(epoch, _)| *epoch != shard.epoch) {
                self.led.insert(*id, (shard.epoch, now));
            }
        }
    }
}

impl Conductor {
    /// Whether a node with this id, but of another start, has reported lately.
    pub fn knows_twin(&self, now: Duration, id: Id, incarnation: u64) -> bool {
        self.seen.get(&id).is_some_and(|seen| {
            seen.report.incarnation != incarnation && now.saturating_sub(seen.at) <= self.settings.silence_max
        })
    }

    /// The nodes that have not reported lately, and up to where the others have the streams of their shards.
    pub fn health(&self, now: Duration, topology: &Topology) -> (BTreeSet<Id>, BTreeMap<Id, u64>) {
        let view = View { conductor: self, topology, now };
        let (alive, silent): (Vec<Id>, Vec<Id>) = topology.nodes().keys().copied().partition(|id| view.is_alive(*id));
        let offsets = alive.into_iter().filter_map(|id| Some((id, view.report(id)?.offset?))).collect();
        (silent.into_iter().collect(), offsets)
    }
}

impl View<'_> {
    fn settings(&self) -> &Settings {
        &self.conductor.settings
    }

    /// How long a node has said nothing.
    fn silence(&self, id: Id) -> Duration {
        let seen = self.conductor.seen.get(&id).map_or(self.conductor.since, |seen| seen.at);
        self.now.saturating_sub(seen)
    }

    /// Whether the node has reported lately. At first nobody has.
    fn is_alive(&self, id: Id) -> bool {
        self.conductor.seen.contains_key(&id) && self.silence(id) <= self.settings().silence_max
    }

    /// Whether the node is not counted on any longer.
    fn is_lost(&self, id: Id) -> bool {
        self.silence(id) > self.settings().lost_after
    }

    fn is_leaving(&self, id: Id) -> bool {
        self.topology.node(id).is_none_or(|node| node.is_leaving)
    }

    /// Whether the node is to be a member of its shard for longer.
    fn is_staying(&self, id: Id) -> bool {
        !self.is_leaving(id) && !self.is_lost(id)
    }

    /// Whether a report is not of a life of the node before this one.
    fn is_of_this_start(&self, report: &Report) -> bool {
        self.topology.node(report.node).is_some_and(|node| node.facts.incarnation == report.incarnation)
    }

    fn report(&self, id: Id) -> Option<&Report> {
        self.conductor.seen.get(&id).map(|seen| &seen.report)
    }

    /// The shards that are to have slots: those with a member that stays. If there is none, all stay as they are.
    fn staying_shards(&self) -> BTreeSet<ShardId> {
        let stays = |shard: &super::topology::Shard| shard.members().any(|id| !self.is_leaving(id));
        let staying: BTreeSet<_> =
            self.topology.shards().iter().filter(|(_, shard)| stays(shard)).map(|(id, _)| *id).collect();
        if staying.is_empty() { self.topology.shards().keys().copied().collect() } else { staying }
    }
}
