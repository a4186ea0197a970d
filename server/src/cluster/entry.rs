//! How a node that is of no cluster gets into one: it asks those it was told of until one lets it join, or it begins a
//! cluster.
//!
//! The nodes that are to begin a cluster together all have the same list of themselves. The first of the list begins it, alone,
//! once it has met most of them and none is of a cluster; all others join it. So a node of the list that comes back with
//! an empty data folder finds the cluster that is there, and does not begin a second one.

use super::bus::Outcome;
use super::id::Id;
use super::topology::{Change, Facts};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an answer is waited for before somebody else is asked.
const ANSWER_TIME: Duration = Duration::from_secs(6);

/// How long after a refusal the node asks again.
const AGAIN: Duration = Duration::from_secs(1);

/// A node on its way into a cluster.
#[derive(Debug)]
pub struct Entry {
    me: Id,
    facts: Facts,
    /// How many nodes begin the cluster together, and which of them this one is, counted from 1.
    place: Option<(u64, usize)>,
    /// The nodes that it has met, each with its cluster.
    met: BTreeMap<Id, Option<Id>>,
    /// Whom it has asked, and until when it waits for the answer.
    asked: Option<(Id, Duration)>,
    not_before: Duration,
    last: Option<Id>,
    joined: Option<(Id, u64)>,
    /// The last refusal, in the other's words.
    refusal: Option<String>,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    Wait,
    /// A node is to be asked for a change.
    Ask {
        node: Id,
        change: Change,
    },
    /// The node begins a cluster.
    Found,
    /// The node is of this cluster, which knows it by this number.
    Joined {
        cluster: Id,
        number: u64,
    },
}

impl Entry {
    /// A node that is the one at this place of the list of so many that begin the cluster, or of which others are to be asked.
    pub fn new(me: Id, facts: Facts, place: Option<(u64, usize)>) -> Entry {
        let met = BTreeMap::new();
        let (asked, last, joined, refusal) = (None, None, None, None);
        Entry { me, facts, place, met, asked, not_before: Duration::ZERO, last, joined, refusal }
    }

    /// The node has met another one, which is of this cluster or of none.
    pub fn met(&mut self, node: Id, cluster: Option<Id>) {
        self.met.insert(node, cluster);
    }

    /// A connection has ended.
    pub fn left(&mut self, node: Id) {
        self.met.remove(&node);
        if self.asked.is_some_and(|(asked, _)| asked == node) {
            self.asked = None;
        }
    }

    /// The node that was asked has answered.
    pub fn answered(&mut self, now: Duration, node: Id, outcome: Outcome) {
        if self.asked.is_none_or(|(asked, _)| asked != node) {
            return;
        }
        self.asked = None;
        self.not_before = now + AGAIN;
        match outcome {
            Outcome::Joined { number } => {
                self.joined = self.met.get(&node).copied().flatten().map(|cluster| (cluster, number));
            }
            Outcome::Refused(why) => self.refusal = Some(why),
            Outcome::NotLeader(_) | Outcome::Unknown | Outcome::Made(_) => {}
        }
    }

    /// The last refusal, once.
    pub fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    /// What is to be done next.
    pub fn next(&mut self, now: Duration) -> Next {
        if let Some((cluster, number)) = self.joined {
            return Next::Joined { cluster, number };
        }
        if self.asked.is_some_and(|(_, until)| now < until) || now < self.not_before {
            return Next::Wait;
        }
        let of_cluster: Vec<Id> = self.met.iter().filter(|(_, cluster)| cluster.is_some()).map(|(id, _)| *id).collect();
        if of_cluster.is_empty() {
            let is_majority = |nodes: usize| 2 * (self.met.len() + 1) > nodes;
            return match self.place {
                Some((1, nodes)) if is_majority(nodes) => Next::Found,
                _ => Next::Wait,
            };
        }
        // Each in turn: one may be cut off from its leader.
        let node = of_cluster.iter().find(|id| Some(**id) > self.last).or(of_cluster.first()).copied();
        let Some(node) = node else { return Next::Wait };
        self.last = Some(node);
        self.asked = Some((node, now + ANSWER_TIME));
        Next::Ask { node, change: Change::Join { node: self.me, number: None, facts: self.facts.clone() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::Address;

    const CLUSTER: Id = Id::new([9; 20]);

    fn id(number: u8) -> Id {
        Id::new([number; 20])
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn entry(place: Option<(u64, usize)>) -> Entry {
        let address = Address { host: "h".into(), port: 1, bus_port: 2 };
        Entry::new(id(1), Facts { address, incarnation: 1, is_witness: false, weight: 100, zone: String::new() }, place)
    }

    fn asked(next: Next) -> Id {
        match next {
            Next::Ask { node, .. } => node,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_of_the_list_begins_once_most_are_there() {
        let mut first = entry(Some((1, 3)));
        assert_eq!(first.next(s(0)), Next::Wait);
        first.met(id(2), None);
        assert_eq!(first.next(s(0)), Next::Found);
        first.left(id(2));
        assert_eq!(first.next(s(0)), Next::Wait);
        assert_eq!(entry(Some((1, 1))).next(s(0)), Next::Found);
        let mut second = entry(Some((2, 3)));
        second.met(id(1), None);
        second.met(id(3), None);
        assert_eq!(second.next(s(0)), Next::Wait);
    }

    #[test]
    fn who_finds_a_cluster_joins_it() {
        for place in [None, Some((1, 3)), Some((2, 3))] {
            let mut entry = entry(place);
            entry.met(id(2), None);
            entry.met(id(3), Some(CLUSTER));
            assert_eq!(asked(entry.next(s(0))), id(3));
            assert_eq!(entry.next(s(1)), Next::Wait);
            entry.answered(s(1), id(2), Outcome::Joined { number: 8 });
            assert_eq!(entry.next(s(1)), Next::Wait, "another one was asked");
            entry.answered(s(1), id(3), Outcome::Joined { number: 4 });
            assert_eq!(entry.next(s(1)), Next::Joined { cluster: CLUSTER, number: 4 });
        }
    }

    #[test]
    fn who_is_refused_or_not_answered_asks_the_next() {
        let mut entry = entry(None);
        entry.met(id(2), Some(CLUSTER));
        entry.met(id(3), Some(CLUSTER));
        assert_eq!(asked(entry.next(s(0))), id(2));
        assert_eq!(asked(entry.next(s(10))), id(3), "it has waited for long enough");
        entry.answered(s(10), id(3), Outcome::Refused("full".into()));
        assert_eq!(entry.take_refusal().as_deref(), Some("full"));
        assert_eq!(entry.next(s(10)), Next::Wait);
        assert_eq!(asked(entry.next(s(11))), id(2));
        entry.left(id(2));
        assert_eq!(asked(entry.next(s(11))), id(3));
    }
}
