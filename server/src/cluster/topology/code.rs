//! Changes and topologies as bytes: entries and snapshots of the Raft log.

use super::{
    Address, Change, FIELDS_BYTES_MAX, Facts, Move, NAME_BYTES_MAX, NODES_MAX, Node, PREFIX_BYTES_MAX, RULES_MAX,
    Shard, Topology,
};
use crate::cluster::code::{CodeError, Reader, Writer};
use crate::cluster::id::{Id, ShardId};
use crate::cluster::ranges::Ranges;
use larder_client::slot::{SLOTS, Slot};
use std::collections::BTreeSet;

/// The version of what is written here. A node that knows only older ones stops rather than to go on with another topology
/// than the rest.
const VERSION: u8 = 2;

const WRONG_SLOT: CodeError = CodeError::Wrong("there is no slot of such a number");

/// A change as bytes.
pub fn encode_change(change: &Change) -> Vec<u8> {
    let mut to = Writer::default();
    to.byte(VERSION);
    match change {
        Change::Found { cluster, first, replicas_wanted } => {
            to.byte(0).id(cluster).number(*first).byte(*replicas_wanted);
        }
        Change::Join { node, number, facts } => {
            to.byte(1).id(node).number(number.map_or(0, |number| number));
            write_facts(&mut to, facts);
        }
        Change::NewShard { primary, replicas } => {
            to.byte(2).id(primary).list(replicas.iter(), |to, id| {
                to.id(id);
            });
        }
        Change::EndShard { shard } => {
            to.byte(3).number(shard.0.into());
        }
        Change::Attach { shard, node } => {
            to.byte(4).number(shard.0.into()).id(node);
        }
        Change::Detach { shard, node } => {
            to.byte(5).number(shard.0.into()).id(node);
        }
        Change::SetInSync { shard, epoch, node, memory, is_in } => {
            to.byte(6).number(shard.0.into()).number(*epoch).id(node).number(*memory).flag(*is_in);
        }
        Change::Promote { shard, epoch, node, forced } => {
            to.byte(7).number(shard.0.into()).number(*epoch).id(node).flag(*forced);
        }
        Change::Assign { shard, slots } => write_ranges(to.byte(8).number(shard.0.into()), slots),
        Change::BeginMove { slots, to: shard } => write_ranges(to.byte(9).number(shard.0.into()), slots),
        Change::EndMove { slots, began, from_epoch, to_epoch } => {
            write_ranges(to.byte(10).number(*began).number(*from_epoch).number(*to_epoch), slots);
        }
        Change::CancelMove { slots } => write_ranges(to.byte(11), slots),
        Change::SetLeaving { node, is_leaving } => {
            to.byte(12).id(node).flag(*is_leaving);
        }
        Change::Forget { node, forced } => {
            to.byte(13).id(node).flag(*forced);
        }
        Change::WantReplicas(count) => {
            to.byte(14).byte(*count);
        }
        Change::Renounce { node, memory } => {
            to.byte(15).id(node).number(*memory);
        }
        Change::SetRule { prefix, fields } => {
            to.byte(16).text(prefix).flag(fields.is_some());
            if let Some(fields) = fields {
                to.text(fields);
            }
        }
    }
    to.0
}

/// The change that bytes stand for.
///
/// # Errors
///
/// [`CodeError`]
pub fn decode_change(bytes: &[u8]) -> Result<Change, CodeError> {
    let from = &mut Reader::new(bytes);
    check_version(from)?;
    let change = match from.byte()? {
        0 => Change::Found { cluster: from.id()?, first: from.number()?, replicas_wanted: from.byte()? },
        1 => {
            let (node, number) = (from.id()?, from.number()?);
            Change::Join { node, number: (number > 0).then_some(number), facts: read_facts(from)? }
        }
        2 => Change::NewShard { primary: from.id()?, replicas: from.list(NODES_MAX, Reader::id)? },
        3 => Change::EndShard { shard: read_shard(from)? },
        4 => Change::Attach { shard: read_shard(from)?, node: from.id()? },
        5 => Change::Detach { shard: read_shard(from)?, node: from.id()? },
        6 => {
            let (shard, epoch) = (read_shard(from)?, from.number()?);
            let (node, memory) = (from.id()?, from.number()?);
            Change::SetInSync { shard, epoch, node, memory, is_in: from.flag()? }
        }
        7 => {
            let (shard, epoch) = (read_shard(from)?, from.number()?);
            Change::Promote { shard, epoch, node: from.id()?, forced: from.flag()? }
        }
        8 => Change::Assign { shard: read_shard(from)?, slots: read_ranges(from)? },
        9 => {
            let to = read_shard(from)?;
            Change::BeginMove { slots: read_ranges(from)?, to }
        }
        10 => {
            let (began, from_epoch, to_epoch) = (from.number()?, from.number()?, from.number()?);
            Change::EndMove { slots: read_ranges(from)?, began, from_epoch, to_epoch }
        }
        11 => Change::CancelMove { slots: read_ranges(from)? },
        12 => Change::SetLeaving { node: from.id()?, is_leaving: from.flag()? },
        13 => Change::Forget { node: from.id()?, forced: from.flag()? },
        14 => Change::WantReplicas(from.byte()?),
        15 => Change::Renounce { node: from.id()?, memory: from.number()? },
        16 => {
            let prefix = from.text(PREFIX_BYTES_MAX)?;
            let is_there = from.flag()?;
            let fields = is_there.then(|| from.text(FIELDS_BYTES_MAX)).transpose()?;
            Change::SetRule { prefix, fields }
        }
        _ => return Err(CodeError::Wrong("there is no such change")),
    };
    from.end()?;
    Ok(change)
}

impl Topology {
    /// Everything as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.byte(VERSION).flag(self.cluster.is_some()).id(&self.cluster.unwrap_or(Id::new([0; 20])));
        to.number(self.epoch)
            .number(self.first_nodes)
            .byte(self.replicas_wanted)
            .number(self.next_node)
            .number(self.next_shard.into());
        to.list(self.nodes.iter(), |to, (id, node)| {
            to.id(id).number(node.number).flag(node.is_leaving).number(node.shard.map_or(0, |shard| shard.0.into()));
            to.number(node.memory);
            write_facts(to, &node.facts);
        });
        to.list(self.shards.iter(), |to, (id, shard)| {
            to.number(id.0.into()).number(shard.epoch).id(&shard.primary);
            for members in [&shard.replicas, &shard.in_sync, &shard.eligible, &shard.counted] {
                to.list(members.iter(), |to, id| {
                    to.id(id);
                });
            }
        });
        for run in self.slots.owners().chunk_by(|a, b| a == b) {
            to.number(run.len() as u64).number(run[0].map_or(0, |shard| shard.0.into()));
        }
        to.list(self.moves.iter(), |to, (slot, a)| {
            to.number(slot.number().into()).number(a.from.0.into()).number(a.to.0.into()).number(a.began);
        });
        to.list(self.rules.iter(), |to, (prefix, fields)| {
            to.text(prefix).text(fields);
        });
        to.0
    }

    /// What [`Topology::encode`] has written.
    ///
    /// # Errors
    ///
    /// [`CodeError`]
    pub fn decode(bytes: &[u8]) -> Result<Topology, CodeError> {
        let from = &mut Reader::new(bytes);
        check_version(from)?;
        let (is_founded, cluster) = (from.flag()?, from.id()?);
        let mut topology = Topology {
            cluster: is_founded.then_some(cluster),
            epoch: from.number()?,
            first_nodes: from.number()?,
            replicas_wanted: from.byte()?,
            next_node: from.number()?,
            next_shard: from.small()?,
            ..Topology::default()
        };
        topology.nodes = from.list(NODES_MAX, read_node)?.into_iter().collect();
        topology.shards = from.list(NODES_MAX, read_shard_with_members)?.into_iter().collect();
        let mut slots = Slot::all();
        while slots.len() > 0 {
            let run: usize = from.small()?;
            let owner = read_owner(from)?;
            let is_known = owner.is_none_or(|owner| topology.shards.contains_key(&owner));
            if run == 0 || run > slots.len() || !is_known {
                return Err(CodeError::Wrong("the owners of slots make no sense"));
            }
            slots.by_ref().take(run).for_each(|slot| topology.slots.set(slot, owner));
        }
        let moves = from.list(SLOTS as usize, |from| {
            let slot = read_slot(from)?;
            Ok((slot, Move { from: read_shard(from)?, to: read_shard(from)?, began: from.number()? }))
        });
        topology.moves = moves?.into_iter().collect();
        let rules = from.list(RULES_MAX, |from| Ok((from.text(PREFIX_BYTES_MAX)?, from.text(FIELDS_BYTES_MAX)?)));
        topology.rules = rules?.into_iter().collect();
        from.end()?;
        Ok(topology)
    }
}

fn check_version(from: &mut Reader<'_>) -> Result<(), CodeError> {
    match from.byte()? {
        VERSION => Ok(()),
        found => Err(CodeError::Version { found, known: VERSION }),
    }
}

fn write_facts(to: &mut Writer, facts: &Facts) {
    let Facts { address, incarnation, is_witness, weight, zone } = facts;
    to.text(&address.host).number(address.port.into()).number(address.bus_port.into());
    to.number(*incarnation).flag(*is_witness).number((*weight).into()).text(zone);
}

fn read_facts(from: &mut Reader<'_>) -> Result<Facts, CodeError> {
    let address = Address { host: from.text(NAME_BYTES_MAX)?, port: from.small()?, bus_port: from.small()? };
    let (incarnation, is_witness, weight) = (from.number()?, from.flag()?, from.small()?);
    Ok(Facts { address, incarnation, is_witness, weight, zone: from.text(NAME_BYTES_MAX)? })
}

fn read_node(from: &mut Reader<'_>) -> Result<(Id, Node), CodeError> {
    let (id, number, is_leaving, shard) = (from.id()?, from.number()?, from.flag()?, read_owner(from)?);
    Ok((id, Node { number, is_leaving, shard, memory: from.number()?, facts: read_facts(from)? }))
}

fn read_shard_with_members(from: &mut Reader<'_>) -> Result<(ShardId, Shard), CodeError> {
    let (id, epoch, primary) = (read_shard(from)?, from.number()?, from.id()?);
    let mut members = || Ok::<BTreeSet<Id>, CodeError>(from.list(NODES_MAX, Reader::id)?.into_iter().collect());
    Ok((
        id,
        Shard { primary, epoch, replicas: members()?, in_sync: members()?, eligible: members()?, counted: members()? },
    ))
}

fn read_shard(from: &mut Reader<'_>) -> Result<ShardId, CodeError> {
    read_owner(from)?.ok_or(CodeError::Wrong("there is no shard 0"))
}

/// A shard, or none as 0.
fn read_owner(from: &mut Reader<'_>) -> Result<Option<ShardId>, CodeError> {
    let number = from.small()?;
    Ok((number > 0).then_some(ShardId(number)))
}

fn read_slot(from: &mut Reader<'_>) -> Result<Slot, CodeError> {
    Slot::new(from.small()?).ok_or(WRONG_SLOT)
}

fn write_ranges(to: &mut Writer, ranges: &Ranges) {
    to.list(ranges.runs().iter(), |to, (first, last)| {
        to.number(first.number().into()).number(last.number().into());
    });
}

fn read_ranges(from: &mut Reader<'_>) -> Result<Ranges, CodeError> {
    let runs = from.list(SLOTS as usize, |from| Ok((from.small()?, from.small()?)))?;
    Ranges::checked(&runs).ok_or(WRONG_SLOT)
}
