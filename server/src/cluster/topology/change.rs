//! Changes of the topology: what the Raft log holds.

use super::{
    FIELDS_BYTES_MAX, Facts, Move, NAME_BYTES_MAX, NODES_MAX, Node, PREFIX_BYTES_MAX, RULES_MAX, Shard, Topology,
    WEIGHT_MAX,
};
use crate::cluster::id::{Id, ShardId};
use crate::cluster::ranges::Ranges;
use larder_client::slot::Slot;
use std::collections::BTreeSet;
use std::fmt;

/// A change. See [`Topology::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The cluster begins. Its first nodes have the numbers 1 to `first`, by which the Raft log knows them already.
    Found { cluster: Id, first: u64, replicas_wanted: u8 },
    /// A node registers, or says what has changed about it. One of the first nodes says which `number` it has.
    Join { node: Id, number: Option<u64>, facts: Facts },
    /// Nodes without a shard become one.
    NewShard { primary: Id, replicas: Vec<Id> },
    /// A shard that has no slots ends; its nodes have no shard then.
    EndShard { shard: ShardId },
    /// A node without a shard becomes a replica.
    Attach { shard: ShardId, node: Id },
    /// A replica leaves its shard.
    Detach { shard: ShardId, node: Id },
    /// A replica counts as in sync from here on, or no longer. Only the primary of this epoch knows, and only while the
    /// replica has this memory: with another one it has forgotten what it held.
    SetInSync { shard: ShardId, epoch: u64, node: Id, memory: u64, is_in: bool },
    /// A replica that has this memory is about to throw away what it holds, to take all of its primary's data anew.
    Renounce { node: Id, memory: u64 },
    /// A replica becomes the primary in the place of the one of this epoch. If it is not in sync, though another member is,
    /// writes acknowledged at `quorum` may be lost, so that has to be `forced`. The primary itself goes on in another epoch, and then no promotion in
    /// its place that was proposed before comes about any more.
    Promote { shard: ShardId, epoch: u64, node: Id, forced: bool },
    /// Slots that nobody has become those of a shard.
    Assign { shard: ShardId, slots: Ranges },
    /// Slots begin to move to another shard.
    BeginMove { slots: Ranges, to: ShardId },
    /// Slots have moved: all their data is with the target. Their moves are those that `began` at this index, and the epochs are
    /// those of both shards while the data was brought there. It is all of them or none.
    EndMove { slots: Ranges, began: u64, from_epoch: u64, to_epoch: u64 },
    /// Slots stay where they are.
    CancelMove { slots: Ranges },
    /// A node is to hold nothing any more and to go, or to stay after all.
    SetLeaving { node: Id, is_leaving: bool },
    /// A node without a shard is in the cluster no longer. With `forced` it leaves its shard, too; slots of a shard that has
    /// no member left belong to nobody then, and what they held is lost.
    Forget { node: Id, forced: bool },
    /// How many replicas every shard is to have.
    WantReplicas(u8),
    /// Keys with a prefix have a rule of these fields, or none any longer.
    SetRule { prefix: String, fields: Option<String> },
}

/// Why a change does not fit, in words for those who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Unfounded,
    Founded,
    NoNode(Id),
    NoShard(ShardId),
    /// The number is that of another node, or of none of the first nodes.
    Number(u64),
    Full,
    /// A fact is too long or out of range.
    Facts(&'static str),
    HasShard(Id, ShardId),
    Witness(Id),
    Leaving(Id),
    NotReplica(Id, ShardId),
    NotInSync(Id, ShardId),
    /// The node has been started again since, or has thrown away what it held.
    Forgotten(Id),
    /// The node is the only one that has everything.
    Alone(Id, ShardId),
    /// The shard has another primary by now.
    Late {
        shard: ShardId,
        epoch: u64,
    },
    /// The shard has slots, or slots are on their way to it.
    Busy(ShardId),
    /// The slot has an owner where it should have none, or has this one already.
    Owned(Slot),
    Homeless(Slot),
    Moving(Slot),
    NotMoving(Slot),
    /// The prefix or the fields of a rule are too long, or there are too many rules.
    Rule(&'static str),
    /// There is nothing to change.
    Already,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unfounded => write!(f, "the cluster has not begun yet"),
            Refused::Founded => write!(f, "the cluster has begun already"),
            Refused::NoNode(node) => write!(f, "the cluster has no node {node}"),
            Refused::NoShard(shard) => write!(f, "the cluster has no shard {shard}"),
            Refused::Number(number) => write!(f, "the number {number} is not free for this node"),
            Refused::Full => write!(f, "the cluster has {NODES_MAX} nodes, which is the most"),
            Refused::Facts(what) => write!(f, "{what}"),
            Refused::HasShard(node, shard) => write!(f, "node {node} is in shard {shard}"),
            Refused::Witness(node) => write!(f, "node {node} is a witness, which holds no data"),
            Refused::Leaving(node) => write!(f, "node {node} is about to leave the cluster"),
            Refused::NotReplica(node, shard) => write!(f, "node {node} is no replica of shard {shard}"),
            Refused::NotInSync(node, shard) => write!(f, "node {node} may lack writes of shard {shard}"),
            Refused::Forgotten(node) => write!(f, "node {node} does not hold any longer what it held"),
            Refused::Alone(node, shard) => write!(f, "node {node} alone has all writes of shard {shard}"),
            Refused::Late { shard, epoch } => write!(f, "the primary of shard {shard} is not that of epoch {epoch}"),
            Refused::Busy(shard) => write!(f, "shard {shard} has slots, or slots move to it"),
            Refused::Owned(slot) => write!(f, "slot {slot} has an owner already"),
            Refused::Homeless(slot) => write!(f, "slot {slot} belongs to nobody"),
            Refused::Moving(slot) => write!(f, "slot {slot} moves already"),
            Refused::NotMoving(slot) => write!(f, "slot {slot} does not move"),
            Refused::Rule(what) => write!(f, "{what}"),
            Refused::Already => write!(f, "it is so already"),
        }
    }
}

impl std::error::Error for Refused {}

/// Checks come first, so that what is refused has changed nothing.
fn ensure(holds: bool, otherwise: impl FnOnce() -> Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Topology {
    /// Makes a change, which stands at this index of the log.
    ///
    /// # Errors
    ///
    /// [`Refused`], and then everything is as it was.
    pub fn apply(&mut self, index: u64, change: &Change) -> Result<(), Refused> {
        if !matches!(change, Change::Found { .. }) {
            ensure(self.cluster.is_some(), || Refused::Unfounded)?;
        }
        match change {
            Change::Found { cluster, first, replicas_wanted } => {
                ensure(self.cluster.is_none(), || Refused::Founded)?;
                ensure(*first <= NODES_MAX as u64, || Refused::Full)?;
                self.cluster = Some(*cluster);
                self.first_nodes = *first;
                self.next_node = first + 1;
                self.replicas_wanted = *replicas_wanted;
            }
            Change::Join { node, number, facts } => self.join(index, *node, *number, facts)?,
            Change::NewShard { primary, replicas } => self.new_shard(index, *primary, replicas)?,
            Change::EndShard { shard } => self.end_shard(*shard)?,
            Change::Attach { shard, node } => self.attach(*shard, *node)?,
            Change::Detach { shard, node } => self.detach(*shard, *node)?,
            Change::SetInSync { shard, epoch, node, memory, is_in } => {
                self.check_memory(*node, *memory)?;
                self.set_in_sync(*shard, *epoch, *node, *is_in)?;
            }
            Change::Renounce { node, memory } => self.renounce(index, *node, *memory)?,
            Change::Promote { shard, epoch, node, forced } => self.promote(index, *shard, *epoch, *node, *forced)?,
            Change::Assign { shard, slots } => self.assign(*shard, slots)?,
            Change::BeginMove { slots, to } => self.begin_move(index, slots, *to)?,
            Change::EndMove { slots, began, from_epoch, to_epoch } => {
                self.end_move(slots, *began, (*from_epoch, *to_epoch))?;
            }
            Change::CancelMove { slots } => self.cancel_move(slots)?,
            Change::SetLeaving { node, is_leaving } => {
                let node = self.nodes.get_mut(node).ok_or(Refused::NoNode(*node))?;
                ensure(node.is_leaving != *is_leaving, || Refused::Already)?;
                node.is_leaving = *is_leaving;
            }
            Change::Forget { node, forced } => self.forget(index, *node, *forced)?,
            Change::WantReplicas(count) => {
                ensure(self.replicas_wanted != *count, || Refused::Already)?;
                self.replicas_wanted = *count;
            }
            Change::SetRule { prefix, fields } => self.set_rule(prefix, fields.as_deref())?,
        }
        self.shards.values_mut().filter(|shard| shard.has_quorum()).for_each(|shard| shard.eligible.clear());
        self.epoch = index;
        Ok(())
    }

    fn join(&mut self, index: u64, id: Id, number: Option<u64>, facts: &Facts) -> Result<(), Refused> {
        check_facts(facts)?;
        if let Some(node) = self.nodes.get(&id) {
            ensure(number.is_none_or(|number| number == node.number), || Refused::Number(number.unwrap_or_default()))?;
            ensure(node.facts != *facts, || Refused::Already)?;
            let holds_none = node.shard.is_none() || !facts.is_witness;
            ensure(holds_none, || Refused::Facts("a node with data cannot become a witness; drain it first"))?;
            if node.facts.incarnation != facts.incarnation {
                self.lose_memory(index, id);
            }
            if let Some(node) = self.nodes.get_mut(&id) {
                node.facts = facts.clone();
            }
            return Ok(());
        }
        ensure(self.nodes.len() < NODES_MAX, || Refused::Full)?;
        if let Some(number) = number {
            let is_free = number > 0 && number < self.next_node && self.numbered(number).is_none();
            ensure(is_free, || Refused::Number(number))?;
        }
        let number = number.unwrap_or(self.next_node);
        self.next_node = self.next_node.max(number + 1);
        let facts = facts.clone();
        self.nodes.insert(id, Node { number, facts, is_leaving: false, shard: None, memory: index });
        Ok(())
    }

    /// What a node held is gone, but for what it had saved.
    fn lose_memory(&mut self, index: u64, id: Id) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.memory = index;
        let Some(shard) = node.shard.and_then(|shard| self.shards.get_mut(&shard)) else { return };
        shard.in_sync.remove(&id);
        shard.eligible.remove(&id);
        if shard.primary == id {
            // What it has proposed before is late; and it serves again only once it has seen all that came of that.
            shard.epoch = index;
        }
    }

    fn check_memory(&self, id: Id, memory: u64) -> Result<(), Refused> {
        let node = self.nodes.get(&id).ok_or(Refused::NoNode(id))?;
        ensure(node.memory == memory, || Refused::Forgotten(id))
    }

    fn renounce(&mut self, index: u64, id: Id, memory: u64) -> Result<(), Refused> {
        self.check_memory(id, memory)?;
        let shard = self.nodes.get(&id).and_then(|node| node.shard);
        if let Some((number, shard)) = shard.and_then(|number| Some((number, self.shards.get(&number)?))) {
            ensure(shard.replicas.contains(&id), || Refused::NotReplica(id, number))?;
            let has_others = shard.members().any(|other| other != id && shard.has_all(other));
            ensure(has_others, || Refused::Alone(id, number))?;
        }
        self.lose_memory(index, id);
        Ok(())
    }

    /// A node that may be given a part.
    fn free_node(&mut self, id: Id) -> Result<&mut Node, Refused> {
        let node = self.nodes.get_mut(&id).ok_or(Refused::NoNode(id))?;
        if let Some(shard) = node.shard {
            return Err(Refused::HasShard(id, shard));
        }
        ensure(!node.facts.is_witness, || Refused::Witness(id))?;
        ensure(!node.is_leaving, || Refused::Leaving(id))?;
        Ok(node)
    }

    fn new_shard(&mut self, index: u64, primary: Id, replicas: &[Id]) -> Result<(), Refused> {
        let members: BTreeSet<Id> = replicas.iter().copied().chain([primary]).collect();
        ensure(members.len() == replicas.len() + 1, || Refused::Already)?;
        for &id in &members {
            self.free_node(id)?;
        }
        let id = ShardId(self.next_shard);
        self.next_shard += 1;
        for &member in &members {
            self.free_node(member)?.shard = Some(id);
        }
        let alone = BTreeSet::from([primary]);
        let replicas = replicas.iter().copied().collect();
        let eligible = BTreeSet::new();
        let shard = Shard { primary, replicas, counted: alone.clone(), in_sync: alone, eligible, epoch: index };
        self.shards.insert(id, shard);
        Ok(())
    }

    fn end_shard(&mut self, id: ShardId) -> Result<(), Refused> {
        self.get_shard(id)?;
        let is_busy = self.slots.owners().contains(&Some(id)) || self.moves.values().any(|a| a.to == id);
        ensure(!is_busy, || Refused::Busy(id))?;
        self.remove_shard(id);
        Ok(())
    }

    fn remove_shard(&mut self, id: ShardId) {
        let Some(shard) = self.shards.remove(&id) else { return };
        for member in shard.members() {
            if let Some(node) = self.nodes.get_mut(&member) {
                node.shard = None;
            }
        }
    }

    fn attach(&mut self, shard: ShardId, node: Id) -> Result<(), Refused> {
        self.get_shard(shard)?;
        self.free_node(node)?.shard = Some(shard);
        self.get_shard(shard)?.replicas.insert(node);
        Ok(())
    }

    fn detach(&mut self, id: ShardId, node: Id) -> Result<(), Refused> {
        let shard = self.get_shard(id)?;
        ensure(shard.replicas.contains(&node), || Refused::NotReplica(node, id))?;
        let has_others = shard.members().any(|other| other != node && shard.has_all(other));
        ensure(has_others, || Refused::Alone(node, id))?;
        shard.replicas.remove(&node);
        shard.strike_off(node);
        if let Some(node) = self.nodes.get_mut(&node) {
            node.shard = None;
        }
        Ok(())
    }

    fn set_in_sync(&mut self, id: ShardId, epoch: u64, node: Id, is_in: bool) -> Result<(), Refused> {
        let shard = self.shard_of_epoch(id, epoch)?;
        ensure(shard.replicas.contains(&node), || Refused::NotReplica(node, id))?;
        ensure(shard.in_sync.contains(&node) != is_in, || Refused::Already)?;
        if is_in {
            shard.in_sync.insert(node);
            shard.counted.insert(node);
            shard.eligible.remove(&node);
        } else {
            shard.in_sync.remove(&node);
            shard.eligible.insert(node);
        }
        Ok(())
    }

    fn promote(&mut self, index: u64, id: ShardId, epoch: u64, node: Id, forced: bool) -> Result<(), Refused> {
        let shard = self.shard_of_epoch(id, epoch)?;
        let is_member = shard.primary == node || shard.replicas.contains(&node);
        ensure(is_member, || Refused::NotReplica(node, id))?;
        ensure(forced || shard.is_bereft() || shard.has_all(node), || Refused::NotInSync(node, id))?;
        if !shard.has_all(node) {
            // What others hold beyond what the new primary has is given up, so nobody else is in sync with it.
            shard.in_sync.clear();
            shard.eligible.clear();
        }
        shard.in_sync.insert(node);
        shard.counted.insert(node);
        shard.eligible.remove(&node);
        let old = std::mem::replace(&mut shard.primary, node);
        shard.replicas.insert(old);
        shard.replicas.remove(&node);
        shard.epoch = index;
        Ok(())
    }

    fn assign(&mut self, id: ShardId, slots: &Ranges) -> Result<(), Refused> {
        self.get_shard(id)?;
        ensure(!slots.is_empty(), || Refused::Already)?;
        if let Some(slot) = slots.iter().find(|slot| self.slots.owner(*slot).is_some()) {
            return Err(Refused::Owned(slot));
        }
        slots.iter().for_each(|slot| self.slots.set(slot, Some(id)));
        Ok(())
    }

    fn begin_move(&mut self, index: u64, slots: &Ranges, to: ShardId) -> Result<(), Refused> {
        self.get_shard(to)?;
        ensure(!slots.is_empty(), || Refused::Already)?;
        let mut begun = Vec::with_capacity(slots.len());
        for slot in slots.iter() {
            let from = self.slots.owner(slot).ok_or(Refused::Homeless(slot))?;
            ensure(from != to, || Refused::Owned(slot))?;
            ensure(!self.moves.contains_key(&slot), || Refused::Moving(slot))?;
            begun.push((slot, Move { from, to, began: index }));
        }
        self.moves.extend(begun);
        Ok(())
    }

    fn end_move(&mut self, slots: &Ranges, began: u64, epochs: (u64, u64)) -> Result<(), Refused> {
        ensure(!slots.is_empty(), || Refused::Already)?;
        for slot in slots.iter() {
            let moving = self.moves.get(&slot).filter(|a| a.began == began);
            let Move { from, to, .. } = *moving.ok_or(Refused::NotMoving(slot))?;
            self.shard_of_epoch(from, epochs.0)?;
            self.shard_of_epoch(to, epochs.1)?;
        }
        for slot in slots.iter() {
            let moved = self.moves.remove(&slot);
            self.slots.set(slot, moved.map(|a| a.to));
        }
        Ok(())
    }

    fn set_rule(&mut self, prefix: &str, fields: Option<&str>) -> Result<(), Refused> {
        ensure(self.rules.get(prefix).map(String::as_str) != fields, || Refused::Already)?;
        let Some(fields) = fields else {
            self.rules.remove(prefix);
            return Ok(());
        };
        let is_short = prefix.len() <= PREFIX_BYTES_MAX && fields.len() <= FIELDS_BYTES_MAX;
        ensure(is_short, || Refused::Rule("the rule is too long"))?;
        let has_room = self.rules.len() < RULES_MAX || self.rules.contains_key(prefix);
        ensure(has_room, || Refused::Rule("the cluster has as many rules as it takes, which is 1000"))?;
        self.rules.insert(prefix.to_owned(), fields.to_owned());
        Ok(())
    }

    fn cancel_move(&mut self, slots: &Ranges) -> Result<(), Refused> {
        ensure(!slots.is_empty(), || Refused::Already)?;
        if let Some(slot) = slots.iter().find(|slot| !self.moves.contains_key(slot)) {
            return Err(Refused::NotMoving(slot));
        }
        for slot in slots.iter() {
            self.moves.remove(&slot);
        }
        Ok(())
    }

    fn forget(&mut self, index: u64, id: Id, forced: bool) -> Result<(), Refused> {
        let node = self.nodes.get(&id).ok_or(Refused::NoNode(id))?;
        if let Some(shard) = node.shard {
            ensure(forced, || Refused::HasShard(id, shard))?;
            self.tear_out(index, shard, id);
        }
        self.nodes.remove(&id);
        Ok(())
    }

    /// Takes a node that is lost for good out of its shard. Who leads in its place, the conductor says.
    fn tear_out(&mut self, index: u64, id: ShardId, node: Id) {
        let Some(shard) = self.shards.get_mut(&id) else { return };
        let was_primary = shard.primary == node;
        shard.replicas.remove(&node);
        shard.strike_off(node);
        if !was_primary {
            return;
        }
        let Some(next) = shard.in_sync.first().or(shard.eligible.first()).or(shard.replicas.first()).copied() else {
            self.moves.retain(|_, a| a.from != id && a.to != id);
            self.slots_of(id).iter().for_each(|slot| self.slots.set(slot, None));
            self.shards.remove(&id);
            return;
        };
        shard.primary = next;
        shard.epoch = index;
        shard.replicas.remove(&next);
    }

    fn get_shard(&mut self, id: ShardId) -> Result<&mut Shard, Refused> {
        self.shards.get_mut(&id).ok_or(Refused::NoShard(id))
    }

    fn shard_of_epoch(&mut self, id: ShardId, epoch: u64) -> Result<&mut Shard, Refused> {
        let shard = self.get_shard(id)?;
        if shard.epoch == epoch { Ok(shard) } else { Err(Refused::Late { shard: id, epoch }) }
    }
}

impl Shard {
    fn strike_off(&mut self, node: Id) {
        for members in [&mut self.in_sync, &mut self.eligible, &mut self.counted] {
            members.remove(&node);
        }
    }
}

fn check_facts(facts: &Facts) -> Result<(), Refused> {
    let is_short = |name: &str| name.len() <= NAME_BYTES_MAX;
    ensure(is_short(&facts.address.host), || Refused::Facts("a host's name has at most 255 bytes"))?;
    ensure(is_short(&facts.zone), || Refused::Facts("a zone's name has at most 255 bytes"))?;
    let is_weight = (1..=WEIGHT_MAX).contains(&facts.weight);
    ensure(is_weight, || Refused::Facts("a weight is a number from 1 to 10000"))
}
