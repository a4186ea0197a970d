//! Whether this node serves the keys of a command, or who does.
//!
//! The rules are those of Redis Cluster but for slots that move. A slot comes as a stream here: its owner has all its keys, and
//! serves them, until one change of the topology makes it another's. So there is no time at which some keys are here and some
//! there, and nobody is answered `ASK` or `TRYAGAIN`.

use super::view::{Cluster, Serving, View};
use crate::command::fault::Fault;
use crate::command::row::Flags;
use larder_client::slot::Slot;
use std::sync::Arc;

/// The slots of the keys of one command, or of all commands of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// That of the first key.
    pub first: u16,
    /// Whether a key is in another one.
    pub crosses: bool,
}

impl Slots {
    /// The slots of both; each may have none.
    pub fn merged(one: Option<Slots>, other: Option<Slots>) -> Option<Slots> {
        let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
        Some(Slots { first: a.first, crosses: a.crosses || b.crosses || a.first != b.first })
    }

    /// The slots of some keys, in the order of the keys; `None` if there are none.
    #[inline]
    pub fn of(mut slots: impl Iterator<Item = u16>) -> Option<Slots> {
        let first = slots.next()?;
        Some(Slots { first, crosses: slots.any(|slot| slot != first) })
    }
}

/// What somebody wants to do with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Whether any member of the shard may serve it, and a primary without its lease.
    pub of_any_member: bool,
}

impl Want {
    /// What a command of these flags wants: one on shard channels, if it is said to be.
    ///
    /// Where the connection has said `READONLY`, any member may serve what only reads. Channels can be listened to at any
    /// member; messages go out from the primary, as its stream brings them to all (in Redis the bus does, from anywhere).
    pub fn new(flags: Flags, takes_replica: bool, is_of_channels: bool) -> Want {
        let of_any_member = match is_of_channels {
            true => !flags.has(Flags::MAY_REPLICATE),
            false => takes_replica && !flags.has(Flags::WRITE),
        };
        Want { of_any_member }
    }
}

/// What a batch is let in by.
#[derive(Clone, Copy)]
pub struct Stand<'a> {
    pub view: &'a View,
    /// Whether the node is the primary of its shard, and may serve as that.
    pub leads: bool,
}

impl Stand<'_> {
    /// Whether the node serves a command with keys in these slots.
    ///
    /// # Errors
    ///
    /// Where to go instead, or why nobody can serve it.
    #[inline]
    pub fn admit(&self, slots: Option<Slots>, want: Want) -> Result<(), Fault> {
        match slots {
            None => Ok(()),
            Some(Slots { first, crosses: false })
                if self.leads && matches!(self.view.serving(first), Serving::Here | Serving::Migrating) =>
            {
                Ok(())
            }
            Some(slots) => self.look_closer(slots, want),
        }
    }

    #[cold]
    fn look_closer(&self, slots: Slots, want: Want) -> Result<(), Fault> {
        let serving = self.view.serving(slots.first);
        if serving == Serving::Nobody {
            return Err(Fault::SlotUnserved);
        }
        if slots.crosses {
            return Err(Fault::CrossSlot);
        }
        let is_here = matches!(serving, Serving::Here | Serving::Migrating);
        match (is_here, self.view.is_primary) {
            (true, _) if want.of_any_member => Ok(()),
            (true, true) if self.leads => Ok(()),
            (true, true) => Err(Fault::ClusterDown),
            _ => Err(self.moved(slots.first)),
        }
    }

    fn moved(&self, slot: u16) -> Fault {
        let primary = Slot::new(slot).and_then(|slot| self.view.primary_of(slot));
        primary.map_or(Fault::SlotUnserved, |(host, port)| Fault::Moved { slot, host: host.to_owned(), port })
    }
}

/// The view that a worker has seen last, so that it need not ask for it with each batch.
#[derive(Default)]
pub struct Seen(Option<Arc<View>>);

impl Seen {
    /// What commands are let in by from now on; `None` if the node is in no cluster. The caller is inside its gate of the
    /// barrier, and what is returned holds until it leaves that.
    #[inline]
    pub fn look(&mut self, cluster: &Cluster) -> Option<Stand<'_>> {
        if cluster.is_on() { Some(self.look_at(cluster)) } else { None }
    }

    fn look_at(&mut self, cluster: &Cluster) -> Stand<'_> {
        let version = cluster.version();
        if self.0.as_ref().is_some_and(|view| view.version != version) {
            self.0 = None;
        }
        let view = &**self.0.get_or_insert_with(|| cluster.view());
        Stand { view, leads: cluster.holds_lease(view) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::id::ShardId;
    use crate::cluster::ranges::Ranges;
    use crate::cluster::topology::Change;
    use crate::command::testing::{Desk, id};

    const READS: Want = Want { of_any_member: true };
    const LEADS: Want = Want { of_any_member: false };

    fn slots(slots: &[u16]) -> Option<Slots> {
        Slots::of(slots.iter().copied())
    }

    /// What the first node of [`Desk::in_cluster`] says, or another of its nodes.
    fn said(desk: &Desk, number: u8, leads: bool, at: &[u16], want: Want) -> String {
        let topology = desk.node.cluster.view().topology.clone();
        let incarnation = topology.node(id(number)).map_or(0, |node| node.facts.incarnation);
        let view = View::new(1, (id(number), incarnation), topology);
        let said = Stand { view: &view, leads }.admit(slots(at), want);
        said.err().map_or_else(String::new, |fault| fault.to_string())
    }

    #[test]
    fn slots_are_gathered_in_the_order_of_keys() {
        assert_eq!(slots(&[]), None);
        assert_eq!(slots(&[7, 7]), Some(Slots { first: 7, crosses: false }));
        assert_eq!(slots(&[7, 7, 8]), Some(Slots { first: 7, crosses: true }));
        let merged = |one: &[u16], other: &[u16]| Slots::merged(slots(one), slots(other));
        for (one, other) in [(&[][..], &[7, 7][..]), (&[7], &[]), (&[7], &[7])] {
            assert_eq!(merged(one, other), slots(&[7]));
        }
        assert_eq!(merged(&[7], &[8]), slots(&[7, 8]));
        assert_eq!(merged(&[7], &[7, 8]), slots(&[7, 8]));
    }

    #[test]
    fn flags_say_who_may_serve() {
        let any =
            |flags: Flags, takes_replica, is_of_channels| Want::new(flags, takes_replica, is_of_channels).of_any_member;
        let (reads, sends) = (Flags::READONLY.and(Flags::FAST), Flags::PUBSUB.and(Flags::MAY_REPLICATE));
        assert!(any(reads, true, false) && !any(reads, false, false) && !any(Flags::WRITE, true, false));
        assert!(any(Flags::PUBSUB, false, true) && !any(sends, true, true));
    }

    #[test]
    fn members_and_others_say_where_a_slot_is_served() {
        let desk = Desk::in_cluster();
        let one = |slot| Ranges::checked(&[(slot, slot)]).expect("it is a slot");
        desk.change(&[
            Change::BeginMove { slots: one(1), to: ShardId(2) },
            Change::BeginMove { slots: one(9001), to: ShardId(1) },
        ]);
        let down = "CLUSTERDOWN The cluster is down";
        let crosses = "CROSSSLOT Keys in request don't hash to the same slot";
        for (number, leads, at, want, expected) in [
            (1, true, &[][..], LEADS, ""),
            (1, false, &[], LEADS, ""),
            (1, true, &[0, 0], LEADS, ""),
            (1, true, &[1], LEADS, ""),
            (1, true, &[9000], LEADS, "MOVED 9000 10.0.0.3:7003"),
            (1, true, &[9001], READS, "MOVED 9001 10.0.0.3:7003"),
            (1, true, &[0, 1], LEADS, crosses),
            (1, true, &[9000, 0], READS, crosses),
            (1, false, &[0], LEADS, down),
            (1, false, &[1], LEADS, down),
            (1, false, &[0], READS, ""),
            (1, false, &[9000], LEADS, "MOVED 9000 10.0.0.3:7003"),
            (2, false, &[0], LEADS, "MOVED 0 10.0.0.1:7001"),
            (2, false, &[0], READS, ""),
            (2, false, &[1], READS, ""),
            (2, false, &[9000], READS, "MOVED 9000 10.0.0.3:7003"),
            (5, false, &[0], READS, "MOVED 0 10.0.0.1:7001"),
        ] {
            assert_eq!(said(&desk, number, leads, at, want), expected, "{number} {leads} {at:?} {want:?}");
        }
        desk.change(&[Change::Forget { node: id(4), forced: true }, Change::Forget { node: id(3), forced: true }]);
        for at in [&[9000][..], &[9000, 0]] {
            assert_eq!(said(&desk, 1, true, at, LEADS), "CLUSTERDOWN Hash slot not served");
        }
        assert_eq!(said(&desk, 1, true, &[0, 9000], LEADS), crosses);
    }
}
