//! Whether a node may accept writes: the holder's side of the leases that the [conductor](super::conductor) grants.

use super::conductor::Answer;
use super::id::{Id, ShardId};
use super::topology::Topology;
use std::time::Duration;

/// The lease of a node, if it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    lease: Option<Lease>,
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
        let Some((shard, epoch)) = answer.lease else { return };
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
