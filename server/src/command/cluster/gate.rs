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
    /// Whether the command writes, or one of a transaction.
    pub writes: bool,
    /// Whether what a replica has will do: `READONLY`.
    pub takes_replica: bool,
    /// Whether the keys are shard channels, which every member of a shard serves.
    pub is_channel: bool,
}

impl Want {
    pub fn new(flags: Flags, takes_replica: bool, is_channel: bool) -> Want {
        Want { writes: flags.has(Flags::WRITE), takes_replica, is_channel }
    }

    /// Whether any member of the shard may serve it, whether or not it may lead.
    fn is_for_any_member(self) -> bool {
        (self.takes_replica || self.is_channel) && !self.writes
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
            (true, _) if want.is_for_any_member() => Ok(()),
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
pub struct Seen {
    version: u64,
    view: Option<Arc<View>>,
}

impl Seen {
    /// What commands are let in by from now on; `None` if the node is in no cluster. The caller is inside its gate of the
    /// barrier, and what is returned holds until it leaves that.
    #[inline]
    pub fn look(&mut self, cluster: &Cluster) -> Option<Stand<'_>> {
        if cluster.is_on() { Some(self.look_at(cluster)) } else { None }
    }

    fn look_at(&mut self, cluster: &Cluster) -> Stand<'_> {
        let version = cluster.version();
        if self.version != version {
            self.view = None;
            self.version = version;
        }
        let view = &**self.view.get_or_insert_with(|| cluster.view());
        Stand { view, leads: cluster.holds_lease(view) }
    }

    /// The version of the view that was seen last.
    pub fn version(&self) -> u64 {
        self.version
    }
}
