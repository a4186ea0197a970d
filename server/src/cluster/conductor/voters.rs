//! Who votes: an odd number of nodes that live, as far apart as can be.

use super::View;
use crate::cluster::id::Id;
use std::collections::{BTreeMap, BTreeSet};

/// Who belongs to the Raft log, by the nodes' numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub voters: BTreeSet<u64>,
    /// Those that follow the log and do not vote.
    pub learners: BTreeSet<u64>,
    /// Whether a change of the voters is on its way.
    pub is_changing: bool,
}

/// Changes of the members that are made together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoterChange {
    /// New voters, which are learners so far.
    pub promote: BTreeSet<u64>,
    /// Voters that are to be learners.
    pub demote: BTreeSet<u64>,
    /// Nodes that are to follow the log.
    pub add: BTreeSet<u64>,
    /// Learners that are not in the cluster any longer.
    pub remove: BTreeSet<u64>,
}

/// The next change, if one is due.
pub(super) fn decide(view: &View<'_>, members: &Members) -> Option<VoterChange> {
    if members.is_changing {
        return None;
    }
    let numbers: BTreeSet<u64> = view.topology.nodes().values().map(|node| node.number).collect();
    let known: BTreeSet<u64> = members.voters.union(&members.learners).copied().collect();
    let add: BTreeSet<u64> = numbers.difference(&known).copied().collect();
    let remove: BTreeSet<u64> =
        members.learners.difference(&numbers).copied().filter(|number| is_gone(view, *number)).collect();
    if !add.is_empty() || !remove.is_empty() {
        return Some(VoterChange { add, remove, ..VoterChange::default() });
    }
    if !has_settled(view, members) {
        return None;
    }
    let chosen = choose(view, members);
    if chosen.is_empty() {
        // All are leaving: somebody has to see them out.
        return None;
    }
    let change = VoterChange {
        promote: chosen.difference(&members.voters).copied().collect(),
        demote: members.voters.difference(&chosen).copied().collect(),
        ..VoterChange::default()
    };
    (change != VoterChange::default()).then_some(change)
}

/// Whether it can be told who lives: all voters have reported, or have had the time for it.
fn has_settled(view: &View<'_>, members: &Members) -> bool {
    let reports = |number: &u64| view.topology.numbered(*number).is_some_and(|(id, _)| view.report(id).is_some());
    let has_had_time = view.now.saturating_sub(view.conductor.since) > view.settings().silence_max;
    has_had_time || members.voters.iter().all(reports)
}

/// Whether the number was that of a node which has been forgotten. One of the first may not have registered yet.
fn is_gone(view: &View<'_>, number: u64) -> bool {
    number > view.topology.first_nodes() || view.now.saturating_sub(view.conductor.since) > view.settings().lost_after
}

/// Those who should vote: an odd number, of nodes that live as far as there are enough. A voter that is silent is replaced but not
/// struck off, since with fewer voters the next loss would weigh more.
///
/// The leader hears from a majority of the voters, so those kept in spite of their silence are fewer than those that live, and
/// the chosen have a majority that lives, too.
fn choose(view: &View<'_>, members: &Members) -> BTreeSet<u64> {
    let mut living: Vec<(u64, Id)> = Vec::new();
    let mut silent: Vec<u64> = Vec::new();
    let numbered: BTreeMap<u64, _> =
        view.topology.nodes().iter().map(|(id, node)| (node.number, (*id, node))).collect();
    for number in members.voters.union(&members.learners).copied() {
        let is_voter = members.voters.contains(&number);
        match numbered.get(&number).copied() {
            Some((id, node)) if !node.is_leaving && view.is_alive(id) => {
                // One that is far behind would hold up the log.
                let is_near = view.report(id).is_some_and(|report| report.epoch + LAG_MAX >= view.topology.epoch());
                living.extend((is_voter || is_near).then_some((number, id)));
            }
            Some((_, node)) => silent.extend((is_voter && !node.is_leaving).then_some(number)),
            // The first nodes vote before they register.
            None => silent.extend((is_voter && !is_gone(view, number)).then_some(number)),
        }
    }
    let count = (living.len() + silent.len()).min(view.settings().voters_max);
    let count = count - usize::from(count.is_multiple_of(2) && count > 0);
    let mut chosen = apart(view, members, living, count);
    let missing = count - chosen.len();
    chosen.extend(silent.into_iter().take(missing));
    chosen
}

/// Entries that a new voter may be behind.
const LAG_MAX: u64 = 1000;

/// So many of the candidates, or all: witnesses first, then as far apart as can be.
fn apart(view: &View<'_>, members: &Members, mut candidates: Vec<(u64, Id)>, count: usize) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    let mut zones = BTreeSet::new();
    while chosen.len() < count {
        let zone = |id: Id| view.topology.node(id).map(|node| node.facts.zone.as_str());
        let is_witness = |id: Id| view.topology.node(id).is_some_and(|node| node.facts.is_witness);
        // Who votes already goes on where that makes no difference.
        let best = candidates.iter().enumerate().min_by_key(|(_, (number, id))| {
            (!is_witness(*id), zones.contains(&zone(*id)), !members.voters.contains(number), *number)
        });
        let Some((at, _)) = best else { break };
        let (number, id) = candidates.remove(at);
        zones.insert(zone(id));
        chosen.insert(number);
    }
    chosen
}
