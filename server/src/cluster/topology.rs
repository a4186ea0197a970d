//! The topology: who is in the cluster, which nodes make up which shard, and which shard has which slot.
//!
//! It is what the Raft log says: every node applies the same [changes](Change) in the same order, so all have the same
//! topology at the same index. A change that does not fit what is there by then is refused, by every node alike, and then
//! changes nothing; so whoever proposes one need not know what others propose meanwhile.
//!
//! **In sync.** A shard knows which of its members hold every write that was acknowledged at `quorum`: such a write is
//! acknowledged once all members in sync hold it, and only while these are more than half of the shard's members. So any member
//! in sync may be promoted without losing such a write, and the loss of any minority of the members leaves one. Kafka
//! replicates its partitions this way ("in-sync replicas", `min.insync.replicas`).
//!
//! **Incarnations.** What a node holds is in its memory. One that comes back has another incarnation, and is in sync no longer.
//! Neither is a replica that is about to throw away what it holds, to take all of its primary's data anew.

mod change;
mod code;
#[cfg(test)]
mod tests;

pub use change::{Change, Refused};
pub use code::{decode_change, encode_change};

use super::id::{Id, ShardId};
use super::placement::SlotMap;
use super::ranges::Ranges;
use larder_client::slot::Slot;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that a cluster may have.
pub const NODES_MAX: usize = 1000;

/// Bytes of a host's name or address, as of a zone.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest prefix of a rule, and its longest fields, in bytes; and how many rules there may be.
pub const PREFIX_BYTES_MAX: usize = 512;
pub const FIELDS_BYTES_MAX: usize = 4096;
pub const RULES_MAX: usize = 1000;

/// The weight of a shard whose nodes do not say otherwise is 100; this is the highest.
pub const WEIGHT_MAX: u32 = 10_000;

/// Who is in the cluster and who has what. See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Which cluster it is of; `None` before the first change.
    cluster: Option<Id>,
    /// The index of the last change.
    epoch: u64,
    /// How many nodes it begins with.
    first_nodes: u64,
    /// Replicas that every shard is to have.
    replicas_wanted: u8,
    nodes: BTreeMap<Id, Node>,
    shards: BTreeMap<ShardId, Shard>,
    slots: SlotMap,
    moves: BTreeMap<Slot, Move>,
    /// Rules for keys: their prefixes, and their fields as they are written. What they mean is no matter of the cluster's.
    rules: BTreeMap<String, String>,
    /// The numbers that the next node and the next shard get.
    next_node: u64,
    next_shard: u32,
}

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    /// For clients, and for replicas.
    pub port: u16,
    /// For the other nodes of the cluster.
    pub bus_port: u16,
}

/// What a node says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub address: Address,
    /// Another one with each start of the process.
    pub incarnation: u64,
    /// Whether it votes and holds no data.
    pub is_witness: bool,
    /// How much it is to hold beside others.
    pub weight: u32,
    /// Where it stands: replicas are put into another zone than their primary if there is one. May be empty.
    pub zone: String,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// By which the Raft log knows it.
    pub number: u64,
    pub facts: Facts,
    /// Whether it is to hold nothing any more, and then to go.
    pub is_leaving: bool,
    pub shard: Option<ShardId>,
    /// The index at which what it holds began: its last start, or the last time that it threw everything away.
    pub memory: u64,
}

/// A primary and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub primary: Id,
    pub replicas: BTreeSet<Id>,
    /// Members that hold every write acknowledged at `quorum`. The primary is one, unless it has come back from a crash: then
    /// it may not serve before another one, or it itself, has been promoted.
    pub in_sync: BTreeSet<Id>,
    /// Members that are not in sync, and hold every such write all the same: they left when so few were in sync that none
    /// has been acknowledged since. Any of them may be promoted, too. (Kafka's "eligible leader replicas", KIP-966.)
    pub eligible: BTreeSet<Id>,
    /// Members of which a majority must be in sync for that: those that have been in sync since they came.
    pub counted: BTreeSet<Id>,
    /// The index at which the primary became that, or came back from a crash.
    pub epoch: u64,
}

impl Shard {
    /// The primary, then the replicas.
    pub fn members(&self) -> impl Iterator<Item = Id> {
        std::iter::once(self.primary).chain(self.replicas.iter().copied())
    }

    /// Whether the primary may serve: it has not lost what it held.
    pub fn is_fit(&self) -> bool {
        self.in_sync.contains(&self.primary)
    }

    /// Whether no member is known to hold everything: the last that did has been started again, and holds what it had saved.
    pub fn is_bereft(&self) -> bool {
        self.in_sync.is_empty() && self.eligible.is_empty()
    }

    /// Whether a member holds every write that was acknowledged at `quorum`.
    pub fn has_all(&self, id: Id) -> bool {
        self.in_sync.contains(&id) || self.eligible.contains(&id)
    }

    /// Whether enough members are in sync for a write to be acknowledged at `quorum`.
    pub fn has_quorum(&self) -> bool {
        2 * self.in_sync.len() > self.counted.len()
    }
}

/// A slot that moves to another shard. It stays with its owner until the move is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub from: ShardId,
    pub to: ShardId,
    /// The index at which it began.
    pub began: u64,
}

impl Default for Topology {
    fn default() -> Topology {
        Topology {
            cluster: None,
            epoch: 0,
            first_nodes: 0,
            replicas_wanted: 0,
            nodes: BTreeMap::new(),
            shards: BTreeMap::new(),
            slots: SlotMap::default(),
            moves: BTreeMap::new(),
            rules: BTreeMap::new(),
            next_node: 1,
            next_shard: 1,
        }
    }
}

impl Topology {
    pub fn cluster(&self) -> Option<Id> {
        self.cluster
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many nodes the cluster began with. Their numbers are the first ones.
    pub fn first_nodes(&self) -> u64 {
        self.first_nodes
    }

    /// Rules for keys: their prefixes, and their fields as they are written.
    pub fn rules(&self) -> &BTreeMap<String, String> {
        &self.rules
    }

    pub fn replicas_wanted(&self) -> u8 {
        self.replicas_wanted
    }

    pub fn nodes(&self) -> &BTreeMap<Id, Node> {
        &self.nodes
    }

    pub fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The node with this number in the Raft log.
    pub fn numbered(&self, number: u64) -> Option<(Id, &Node)> {
        self.nodes.iter().find(|(_, node)| node.number == number).map(|(id, node)| (*id, node))
    }

    pub fn shards(&self) -> &BTreeMap<ShardId, Shard> {
        &self.shards
    }

    pub fn shard(&self, id: ShardId) -> Option<&Shard> {
        self.shards.get(&id)
    }

    /// Whether this node is the primary of its shard.
    pub fn is_primary(&self, id: Id) -> bool {
        let shard = self.nodes.get(&id).and_then(|node| node.shard).and_then(|shard| self.shards.get(&shard));
        shard.is_some_and(|shard| shard.primary == id)
    }

    /// The owner of each slot.
    pub fn slots(&self) -> &SlotMap {
        &self.slots
    }

    pub fn owner(&self, slot: Slot) -> Option<ShardId> {
        self.slots.owner(slot)
    }

    /// The slots of a shard.
    pub fn slots_of(&self, shard: ShardId) -> Ranges {
        self.slots.iter().filter(|(_, owner)| *owner == Some(shard)).map(|(slot, _)| slot).collect()
    }

    /// Slots that move, and where to.
    pub fn moves(&self) -> &BTreeMap<Slot, Move> {
        &self.moves
    }

    /// What a shard weighs: as much as the weakest of its members.
    pub fn weight(&self, shard: &Shard) -> u32 {
        shard.members().filter_map(|id| self.nodes.get(&id)).map(|node| node.facts.weight).min().unwrap_or(1)
    }
}
