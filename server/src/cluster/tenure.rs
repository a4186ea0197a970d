//! Whether a node may accept writes: the holder's side of the leases that the [conductor](super::conductor) grants.

use super::conductor::Answer;
use super::id::{Id, ShardId};
use super::topology::Topology;
use std::time::Duration;

/// The lease of a node, if it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    lease: Option<Lease>,
    /// Leases of this epoch and those before count no longer.
    given_up: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease {
    shard: ShardId,
    epoch: u64,
    until: Duration,
}

impl Tenure {
    /// Notes the leader's answer to a report that was sent at this time.
    pub fn answered(&mut self, sent: Duration, answer: &Answer, lasts: Duration) {
        let Some((shard, epoch)) = answer.lease.filter(|(_, epoch)| *epoch > self.given_up) else { return };
        let until = sent + lasts;
        // Answers may come in another order than they were sent.
        if self.lease.is_none_or(|lease| lease.epoch < epoch || lease.epoch == epoch && lease.until < until) {
            self.lease = Some(Lease { shard, epoch, until });
        }
    }

    /// The epoch of the lease, and when it ends.
    pub fn lease(&self) -> Option<(u64, Duration)> {
        self.lease.map(|lease| (lease.epoch, lease.until))
    }

    /// Accepts nothing in this epoch any more, so that another node can be promoted at once.
    ///
    /// This is for good, since the promotion may come about although this node does not hear of it: answers on their way and a
    /// leader of before may still grant leases of this epoch. If nothing comes of the promotion, the node has itself promoted,
    /// which begins another epoch.
    pub fn give_up(&mut self, epoch: u64) {
        self.lease = self.lease.filter(|lease| lease.epoch > epoch);
        self.given_up = self.given_up.max(epoch);
    }

    /// Whether the node has given up this epoch.
    pub fn has_given_up(&self, epoch: u64) -> bool {
        epoch <= self.given_up
    }

    /// The shard for which this node may accept writes now, and since which epoch, if both its lease and its topology say so.
    pub fn holds(&self, now: Duration, topology: &Topology, me: Id) -> Option<(ShardId, u64)> {
        let lease = self.lease.filter(|lease| now < lease.until)?;
        let shard = topology.shard(lease.shard)?;
        (shard.primary == me && shard.epoch == lease.epoch).then_some((lease.shard, lease.epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::topology::{Address, Change, Facts};

    const ME: Id = Id::new([1; 20]);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn granted(epoch: u64) -> Answer {
        Answer { lease: Some((ShardId(1), epoch)), ..Answer::default() }
    }

    fn topology() -> Topology {
        let mut topology = Topology::default();
        let address = Address { host: "h".into(), port: 1, bus_port: 2 };
        let facts = Facts { address, incarnation: 1, is_witness: false, weight: 1, zone: String::new() };
        let changes = [
            Change::Found { cluster: ME, first: 0, replicas_wanted: 0 },
            Change::Join { node: ME, number: None, facts },
            Change::NewShard { primary: ME, replicas: vec![] },
        ];
        changes.iter().zip(1..).for_each(|(change, index)| topology.apply(index, change).expect("it fits"));
        topology
    }

    #[test]
    fn a_lease_lasts_from_when_it_was_asked_for() {
        let (topology, mut tenure) = (topology(), Tenure::default());
        assert_eq!(tenure.holds(ms(0), &topology, ME), None);
        tenure.answered(ms(100), &granted(3), ms(800));
        assert_eq!(tenure.holds(ms(899), &topology, ME), Some((ShardId(1), 3)));
        assert_eq!(tenure.holds(ms(900), &topology, ME), None);
        tenure.answered(ms(500), &granted(3), ms(800));
        tenure.answered(ms(300), &granted(3), ms(800));
        assert_eq!(tenure.holds(ms(1299), &topology, ME), Some((ShardId(1), 3)), "the later report counts");
    }

    #[test]
    fn what_was_given_up_is_not_taken_again() {
        let (mut topology, mut tenure) = (topology(), Tenure::default());
        tenure.answered(ms(0), &granted(3), ms(800));
        tenure.give_up(3);
        assert_eq!(tenure.holds(ms(1), &topology, ME), None);
        // An answer that was on its way, or one of a leader that has a successor.
        tenure.answered(ms(10), &granted(3), ms(800));
        assert_eq!(tenure.holds(ms(11), &topology, ME), None);
        assert!(tenure.has_given_up(3) && !tenure.has_given_up(4));

        let renewal = Change::Promote { shard: ShardId(1), epoch: 3, node: ME, forced: false };
        topology.apply(4, &renewal).expect("it holds everything");
        tenure.answered(ms(20), &granted(4), ms(800));
        assert_eq!(tenure.holds(ms(21), &topology, ME), Some((ShardId(1), 4)));
        tenure.give_up(3);
        assert_eq!(tenure.holds(ms(21), &topology, ME), Some((ShardId(1), 4)), "a later epoch stands");
    }

    #[test]
    fn a_lease_of_another_epoch_is_none() {
        let (topology, mut tenure) = (topology(), Tenure::default());
        tenure.answered(ms(0), &granted(2), ms(800));
        assert_eq!(tenure.holds(ms(1), &topology, ME), None);
        tenure.answered(ms(0), &granted(3), ms(800));
        tenure.answered(ms(5), &granted(2), ms(800));
        assert_eq!(tenure.holds(ms(1), &topology, ME), Some((ShardId(1), 3)));
        assert_eq!(tenure.holds(ms(1), &topology, Id::new([2; 20])), None);
        assert_eq!(tenure.holds(ms(1), &Topology::default(), ME), None);
    }
}
