//! Streams: their nodes as listpacks, their counters, and their groups with what is pending.
//!
//! ```text
//! stream   = nodes (id listpack){nodes}  length last-id  [first-id max-deleted-id added]  groups group{groups}
//! group    = name last-id [read]  pending (id time count){pending}  consumers consumer{consumers}
//! consumer = name seen-time [active-time]  pending id{pending}
//! ```
//! Numbers are lengths; names, listpacks and the nodes' ids are strings. The ids of nodes and of what is pending are
//! 16 bytes, big-endian, others two lengths. What stands in brackets has come with later types.

use std::collections::HashMap;

use super::Version;
use super::read::{LoadError, Loaded, Reader};
use super::write::{push_length, push_millis, push_string};
use crate::types::stream::{Consumer, Counters, Delivery, Group, GroupMut, Id, Log, Stream};

/// Stands for the number of entries that a group has read when that is not known.
const READ_UNKNOWN: u64 = u64::MAX;

/// Stands for the time of a consumer who never got anything.
const NEVER: i64 = -1;

/// What a type of stream has that the first had not.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    counters: bool,
    active_time: bool,
}

impl Fields {
    pub(super) const OLD: Fields = Fields { counters: false, active_time: false };
    pub(super) const COUNTERS: Fields = Fields { counters: true, active_time: false };
    pub(super) const ALL: Fields = Fields { counters: true, active_time: true };
}

impl Version {
    /// What the type of stream has that is written.
    fn fields(self) -> Fields {
        match self {
            Version::V10 => Fields::COUNTERS,
            Version::V11 | Version::Valkey => Fields::ALL,
        }
    }
}

/// Appends a stream with the fields that a version knows. All of them know counters.
pub(super) fn push(out: &mut Vec<u8>, stream: &Stream, version: Version, compress: bool) {
    push_nodes(out, stream.log(), compress);
    let Counters { last_id, first_id, max_deleted_id, entries_added } = stream.log().counters();
    push_length(out, stream.len());
    push_id(out, last_id);
    push_id(out, first_id);
    push_id(out, max_deleted_id);
    push_length(out, entries_added);
    push_length(out, stream.groups().len() as u64);
    for group in stream.groups() {
        push_group(out, group, version.fields(), compress);
    }
}

fn push_nodes(out: &mut Vec<u8>, log: &Log, compress: bool) {
    push_length(out, log.nodes_len() as u64);
    let (mut listpacks, mut listpack) = (log.listpacks(), Vec::new());
    while let Some(id) = listpacks.next_into(&mut listpack) {
        push_string(out, &raw(id), compress);
        push_string(out, &listpack, compress);
    }
}

fn push_group(out: &mut Vec<u8>, group: &Group, fields: Fields, compress: bool) {
    push_string(out, group.name(), compress);
    push_id(out, group.last_id());
    push_length(out, group.entries_read().unwrap_or(READ_UNKNOWN));
    push_length(out, group.pending_len() as u64);
    for entry in group.pending_from(Id::MIN) {
        out.extend_from_slice(&raw(entry.id));
        push_millis(out, entry.delivery.time_ms);
        push_length(out, entry.delivery.count);
    }
    push_length(out, group.consumers_len() as u64);
    for consumer in group.consumers() {
        push_consumer(out, consumer, fields, compress);
    }
}

fn push_consumer(out: &mut Vec<u8>, consumer: &Consumer, fields: Fields, compress: bool) {
    push_string(out, consumer.name(), compress);
    push_millis(out, consumer.seen_ms());
    if fields.active_time {
        push_millis(out, consumer.active_ms().unwrap_or(NEVER));
    }
    push_length(out, consumer.pending_len() as u64);
    for id in consumer.pending_ids() {
        out.extend_from_slice(&raw(id));
    }
}

fn push_id(out: &mut Vec<u8>, id: Id) {
    push_length(out, id.ms);
    push_length(out, id.seq);
}

fn raw(id: Id) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

fn id_of(raw: [u8; 16]) -> Id {
    let both = u128::from_be_bytes(raw);
    Id::new((both >> 64) as u64, both as u64)
}

/// Reads a stream whose type has these fields. It may be empty.
pub(super) fn load(reader: &mut Reader<'_>, fields: Fields) -> Loaded<Stream> {
    let mut stream = Stream::new();
    load_nodes(reader, stream.log_mut())?;
    load_counters(reader, stream.log_mut(), fields)?;
    for _ in 0..reader.length()? {
        load_group(reader, &mut stream, fields)?;
    }
    Ok(stream)
}

fn load_nodes(reader: &mut Reader<'_>, log: &mut Log) -> Loaded<()> {
    for _ in 0..reader.length()? {
        let raw = <[u8; 16]>::try_from(&*reader.string()?).map_err(|_| LoadError::Corrupt)?;
        log.load_listpack(id_of(raw), &reader.string()?).map_err(|_| LoadError::Corrupt)?;
    }
    Ok(())
}

fn load_counters(reader: &mut Reader<'_>, log: &mut Log, fields: Fields) -> Loaded<()> {
    if reader.length()? != log.len() {
        return Err(LoadError::Corrupt);
    }
    let last_id = load_id(reader)?;
    let loaded = if fields.counters {
        let (first_id, max_deleted_id) = (load_id(reader)?, load_id(reader)?);
        log.load_counters(Counters { last_id, first_id, max_deleted_id, entries_added: reader.length()? })
    } else {
        log.load_last_id(last_id)
    };
    loaded.map_err(|_| LoadError::Corrupt)
}

fn load_id(reader: &mut Reader<'_>) -> Loaded<Id> {
    Ok(Id::new(reader.length()?, reader.length()?))
}

fn load_group(reader: &mut Reader<'_>, stream: &mut Stream, fields: Fields) -> Loaded<()> {
    let name = reader.string()?;
    let last_id = load_id(reader)?;
    let entries_read = match fields.counters {
        true => Some(reader.length()?).filter(|&read| read != READ_UNKNOWN),
        false => stream.log().added_until(last_id),
    };
    if !stream.create_group(&name, last_id, entries_read) {
        return Err(LoadError::Corrupt);
    }
    let mut group = stream.group_mut(&name).ok_or(LoadError::Corrupt)?;
    let mut pending = load_pending(reader)?;
    for _ in 0..reader.length()? {
        load_consumer(reader, &mut group, &mut pending, fields)?;
    }
    // Everything that is pending has a consumer.
    if pending.is_empty() { Ok(()) } else { Err(LoadError::Corrupt) }
}

/// What is pending in a group; whose it is comes with the consumers.
fn load_pending(reader: &mut Reader<'_>) -> Loaded<HashMap<Id, Delivery>> {
    let mut pending = HashMap::new();
    for _ in 0..reader.length()? {
        let id = id_of(reader.chunk()?);
        let delivery = Delivery { time_ms: reader.millis()?, count: reader.length()? };
        if pending.insert(id, delivery).is_some() {
            return Err(LoadError::Corrupt);
        }
    }
    Ok(pending)
}

fn load_consumer(
    reader: &mut Reader<'_>,
    group: &mut GroupMut<'_>,
    pending: &mut HashMap<Id, Delivery>,
    fields: Fields,
) -> Loaded<()> {
    let name = reader.string()?;
    let seen_ms = reader.millis()?;
    let active_ms = if fields.active_time { reader.millis()? } else { seen_ms };
    let (consumer, is_new) = group.find_or_add_consumer(&name, seen_ms);
    if !is_new {
        return Err(LoadError::Corrupt);
    }
    group.set_times(consumer, seen_ms, Some(active_ms).filter(|&active_ms| active_ms != NEVER));
    for _ in 0..reader.length()? {
        let id = id_of(reader.chunk()?);
        let delivery = pending.remove(&id).ok_or(LoadError::Corrupt)?;
        group.load_pending(consumer, id, delivery);
    }
    Ok(())
}
