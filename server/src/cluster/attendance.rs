//! Which replicas count as in sync, as their primary sees it.
//!
//! A write is acknowledged at `quorum` once every member in sync holds it. So before a replica is proposed as in sync, the primary
//! waits for it with every such write ([`Review::required`], which counts from the next review on at the latest), and lets it
//! come up to where the stream is then; and one that is
//! proposed to be left out is waited for until the topology says so. Whatever becomes of a proposal, and whenever, the
//! replicas that are waited for include all that the topology may say are in sync.

use super::id::{Id, ShardId};
use super::topology::{Change, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After so long without headway a replica is left out.
const LAG_MAX: Duration = Duration::from_millis(2500);

/// So long after its link broke a replica is left out: one that comes back at once is not missed.
const ABSENCE_MAX: Duration = Duration::from_millis(500);

/// The time from one proposal about a replica to the next.
const PROPOSE_EVERY: Duration = Duration::from_millis(500);

/// Bytes of the stream that a replica may be behind to be let in.
const NEAR_BYTES: u64 = 4 << 20;

/// A replica that follows, and up to where it has acknowledged the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    pub node: Id,
    /// When what the replica holds began: see [`Node::memory`](super::topology::Node::memory).
    pub memory: u64,
    pub acked: u64,
}

/// What the primary knows of its replicas.
#[derive(Debug, Default)]
pub struct Attendance {
    /// The shard and the epoch that all this is about.
    of: Option<(ShardId, u64)>,
    /// Replicas that are to be in sync.
    entering: BTreeMap<Id, Entering>,
    /// Up to where each had to be when it was last found there, or since when it has not been there.
    watched: BTreeMap<Id, Watched>,
    proposed: BTreeMap<Id, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Entering {
    memory: u64,
    /// Up to where it has to come before it is proposed: to the end of the stream at some time since it is waited for.
    floor: Option<u64>,
    is_proposed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Watched {
    /// What it is to reach.
    mark: u64,
    /// When the mark was set, or the replica was last heard to follow.
    since: Duration,
    followed: Duration,
}

/// What follows from a look at the replicas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    /// Replicas that have to hold a write before it is acknowledged at `quorum`; `None` if none can be.
    pub required: Option<BTreeSet<Id>>,
    /// All others that the topology may let lead in place of the primary; `None` if nothing is known of that. What each of them
    /// holds lasts, whoever leads next.
    pub heirs: Option<BTreeSet<Id>>,
    /// Those in sync, and on their way there.
    pub synced: BTreeSet<Id>,
    pub changes: Vec<Change>,
    /// Whether replicas should be asked how far they are.
    pub asks_for_acks: bool,
}

impl Attendance {
    /// Looks at the replicas of the shard that the node leads. `end` is the end of its stream.
    pub fn review(
        &mut self,
        now: Duration,
        topology: &Topology,
        id: ShardId,
        end: u64,
        following: &[Following],
    ) -> Review {
        let Some(shard) = topology.shard(id) else { return Review::default() };
        if self.of != Some((id, shard.epoch)) {
            *self = Attendance { of: Some((id, shard.epoch)), ..Attendance::default() };
        }
        let members = &shard.replicas;
        self.entering.retain(|node, _| members.contains(node));
        self.watched.retain(|node, _| members.contains(node));
        self.proposed.retain(|node, _| members.contains(node));
        let mut review = Review::default();
        for node in members {
            let memory = topology.node(*node).map_or(0, |node| node.memory);
            let follows = following.iter().find(|one| one.node == *node && one.memory == memory);
            let change = match shard.in_sync.contains(node) {
                true => self.is_to_leave(now, *node, follows, end).then_some(false),
                false => self.is_to_enter(*node, memory, follows, end).then_some(true),
            };
            review.asks_for_acks |= self.entering.contains_key(node);
            if let Some(is_in) = change
                && self.may_propose(now, *node)
            {
                self.entering.entry(*node).and_modify(|entering| entering.is_proposed = true);
                let (shard, epoch, node) = (id, shard.epoch, *node);
                review.changes.push(Change::SetInSync { shard, epoch, node, memory, is_in });
            }
        }
        let of_topology = shard.in_sync.iter().filter(|node| **node != shard.primary);
        let required: BTreeSet<Id> = of_topology.chain(self.entering.keys()).copied().collect();
        // Those that left while there was no quorum may come to lead, too, and without what was written since.
        review.heirs = Some(required.union(&shard.eligible).copied().collect());
        review.synced = required.clone();
        review.required = shard.has_quorum().then_some(required);
        review
    }

    fn may_propose(&mut self, now: Duration, node: Id) -> bool {
        let is_due = self.proposed.get(&node).is_none_or(|at| now.saturating_sub(*at) >= PROPOSE_EVERY);
        if is_due {
            self.proposed.insert(node, now);
        }
        is_due
    }

    /// Whether a replica that is in sync is to be left out.
    fn is_to_leave(&mut self, now: Duration, node: Id, follows: Option<&Following>, end: u64) -> bool {
        // It has arrived.
        self.entering.remove(&node);
        let watched = self.watched.entry(node).or_insert(Watched { mark: end, since: now, followed: now });
        let Some(following) = follows else { return now.saturating_sub(watched.followed) > ABSENCE_MAX };
        watched.followed = now;
        if following.acked >= watched.mark {
            (watched.mark, watched.since) = (end, now);
        }
        now.saturating_sub(watched.since) > LAG_MAX
    }

    /// Whether a replica that is not in sync is to be let in.
    fn is_to_enter(&mut self, node: Id, memory: u64, follows: Option<&Following>, end: u64) -> bool {
        self.watched.remove(&node);
        let entering = self.entering.get(&node).filter(|entering| entering.memory == memory).copied();
        match (entering, follows) {
            // Once it was proposed it is waited for until that has become true, so that it can be left out again; or cannot any
            // more, since the replica has been started again.
            (Some(Entering { is_proposed: true, .. }), _) => true,
            (Some(Entering { floor: Some(floor), .. }), Some(following)) => following.acked >= floor,
            (Some(entering), Some(_)) => {
                self.entering.insert(node, Entering { floor: Some(end), ..entering });
                false
            }
            (None, Some(following)) if end.saturating_sub(following.acked) <= NEAR_BYTES => {
                self.entering.insert(node, Entering { memory, floor: None, is_proposed: false });
                false
            }
            _ => {
                self.entering.remove(&node);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::{Address, Facts};

    const SHARD: ShardId = ShardId(1);

    fn id(number: u8) -> Id {
        Id::new([number; 20])
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A shard of three, and the replicas among 2 and 3 that are in sync.
    struct Log(Topology, u64);

    impl Log {
        fn new(in_sync: &[u8]) -> Log {
            let mut log = Log(Topology::default(), 0);
            log.make(Change::Found { cluster: id(9), first: 0, replicas_wanted: 2 });
            (1..=3).for_each(|node| log.start(node, 1));
            log.make(Change::NewShard { primary: id(1), replicas: vec![id(2), id(3)] });
            in_sync.iter().for_each(|node| log.make(log.change(*node, true)));
            log
        }

        fn make(&mut self, change: Change) {
            self.1 += 1;
            self.0.apply(self.1, &change).expect("it fits");
        }

        fn start(&mut self, node: u8, incarnation: u64) {
            let address = Address { host: "h".into(), port: node.into(), bus_port: 2 };
            let facts = Facts { address, incarnation, is_witness: false, weight: 1, zone: String::new() };
            self.make(Change::Join { node: id(node), number: None, facts });
        }

        fn change(&self, node: u8, is_in: bool) -> Change {
            let epoch = self.0.shard(SHARD).map_or(0, |shard| shard.epoch);
            Change::SetInSync { shard: SHARD, epoch, node: id(node), memory: u64::from(node) + 1, is_in }
        }
    }

    fn at(node: u8, acked: u64) -> Following {
        // The cluster is founded by the first entry of the log, and the nodes join with the next ones.
        Following { node: id(node), memory: u64::from(node) + 1, acked }
    }

    fn required(nodes: &[u8]) -> Option<BTreeSet<Id>> {
        Some(nodes.iter().map(|node| id(*node)).collect())
    }

    #[test]
    fn a_replica_is_waited_for_before_it_is_proposed() {
        let (mut attendance, mut log) = (Attendance::default(), Log::new(&[]));
        let mut review = |log: &Log, time, end, following: &[Following]| {
            let review = attendance.review(ms(time), &log.0, SHARD, end, following);
            (review.required, review.changes)
        };
        assert_eq!(review(&log, 0, 90, &[at(2, 90)]), (required(&[2]), vec![]));
        assert_eq!(review(&log, 50, 100, &[at(2, 99)]), (required(&[2]), vec![]));
        assert_eq!(review(&log, 100, 300, &[at(2, 99)]), (required(&[2]), vec![]));
        let proposed = (required(&[2]), vec![log.change(2, true)]);
        assert_eq!(review(&log, 200, 400, &[at(2, 100)]), proposed, "it has come to where the stream was");
        assert_eq!(review(&log, 300, 400, &[]), (required(&[2]), vec![]), "the proposal may still become true");
        assert_eq!(review(&log, 900, 400, &[]), proposed, "it has to, or it could not be left out");
        log.make(log.change(2, true));
        assert_eq!(review(&log, 1000, 400, &[at(2, 400)]), (required(&[2]), vec![]));
    }

    #[test]
    fn one_that_was_started_again_begins_anew() {
        let (mut attendance, mut log) = (Attendance::default(), Log::new(&[]));
        let mut review = |log: &Log, time, following: &[Following]| {
            let review = attendance.review(ms(time), &log.0, SHARD, 100, following);
            (review.required, review.changes.len())
        };
        review(&log, 0, &[at(2, 100)]);
        review(&log, 50, &[at(2, 100)]);
        assert_eq!(review(&log, 100, &[at(2, 100)]), (required(&[2]), 1));
        log.start(2, 2);
        assert_eq!(review(&log, 200, &[at(2, 100)]), (required(&[]), 0), "what it says is of its life before");
        let anew = Following { memory: log.1, ..at(2, 0) };
        assert_eq!(review(&log, 300, &[anew]), (required(&[2]), 0));
    }

    #[test]
    fn one_that_is_far_behind_holds_up_nobody() {
        let far = [at(2, NEAR_BYTES - 1)];
        let review = Attendance::default().review(ms(0), &Log::new(&[]).0, SHARD, 2 * NEAR_BYTES, &far);
        assert_eq!(review.required, required(&[]));
    }

    #[test]
    fn one_that_is_gone_or_makes_no_headway_is_left_out() {
        let (mut attendance, log) = (Attendance::default(), Log::new(&[2, 3]));
        let mut end = 100;
        for time in (0..=3000).step_by(100) {
            end += 10;
            let review = attendance.review(ms(time), &log.0, SHARD, end, &[at(2, 100)]);
            let left_out = |node: u8| review.changes.contains(&log.change(node, false));
            assert_eq!(left_out(3), time > 500 && (time - 600).is_multiple_of(500), "after {time} ms");
            assert_eq!(left_out(2), time > 2500 && (time - 2600).is_multiple_of(500), "after {time} ms");
            assert_eq!(review.required, required(&[2, 3]), "until the topology says so");
        }
    }

    #[test]
    fn without_a_majority_in_sync_nothing_is_acknowledged() {
        let mut log = Log::new(&[2]);
        log.make(log.change(2, false));
        let review = Attendance::default().review(ms(0), &log.0, SHARD, 0, &[]);
        assert_eq!(review.required, None);
        assert_eq!(review.heirs, required(&[2]), "it may lead all the same");
        log.start(2, 2);
        let review = Attendance::default().review(ms(0), &log.0, SHARD, 0, &[]);
        assert_eq!((review.required, review.heirs), (None, required(&[])), "what it held is gone");
        let review = Attendance::default().review(ms(0), &log.0, SHARD, 0, &[Following { memory: log.1, ..at(2, 0) }]);
        assert_eq!((review.required, review.heirs), (None, required(&[2])), "it is on its way in");
    }
}
