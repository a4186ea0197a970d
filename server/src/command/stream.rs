//! Streams: entries in the order of their ids, read by anybody, or shared out among the consumers of groups.
//!
//! What concerns groups alone does not count as a change of the key, in Redis and so here: neither `WATCH` nor tracking
//! hears of a delivery, an acknowledgement or a claim. [`in_group`] sees to that.

mod add;
mod claim;
mod delete;
mod group;
mod info;
mod pending;
mod range;
mod read;
#[cfg(test)]
mod tests;
mod trim;

use super::*;
use crate::store::Key;
use crate::types::stream::{Delivery, Entry, GroupMut, Id, InvalidId, Stream, Text};

pub const COMMANDS: &[Command] = &[
    group::XACK,
    add::XADD,
    claim::XAUTOCLAIM,
    claim::XCLAIM,
    delete::XDEL,
    group::XGROUP,
    info::XINFO,
    XLEN,
    pending::XPENDING,
    range::XRANGE,
    read::XREAD,
    read::XREADGROUP,
    range::XREVRANGE,
    add::XSETID,
    trim::XTRIM,
];

const STREAM: Command = Command { group: Group::Stream, since: "5.0.0", ..COMMAND };

/// What clients are told of commands whose replies hang on the time or on the sizes of nodes.
const VARIES: &[&str] = &["nondeterministic_output"];

const XLEN: Command = Command {
    name: "XLEN",
    run: xlen,
    summary: "Tells how many entries a stream has.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RO"]),
    ..STREAM
};

fn xlen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let len = cx.store.read::<Stream>(args.key()?)?.map_or(0, Stream::len);
    cx.reply.int(len as i64);
    REPLIED
}

// --- words

impl From<InvalidId> for Fault {
    fn from(_: InvalidId) -> Fault {
        Fault::text("ERR Invalid stream ID specified as stream command argument")
    }
}

/// A word as an id, or as the milliseconds of one whose number is 0.
fn id(word: &[u8]) -> Result<Id, Fault> {
    Ok(Id::parse(word, 0)?)
}

/// An error unless all the words left are ids: a command on several of them does all of its work or nothing.
fn check_ids(args: &Args<'_>) -> Result<(), Fault> {
    args.clone().rest().try_for_each(|word| id(word).map(drop))
}

/// What C sees of a text: Redis shows so much of a name in an error.
fn c_text(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn no_key_or_group(key: &[u8], group: &[u8]) -> Fault {
    Fault::Bytes([b"NOGROUP No such key '", c_text(key), b"' or consumer group '", c_text(group), b"'"].concat())
}

fn no_group_of_key(group: &[u8], key: &[u8]) -> Fault {
    Fault::Bytes([b"NOGROUP No such consumer group '", c_text(group), b"' for key name '", c_text(key), b"'"].concat())
}

// --- groups

/// Works on a group of a stream; `None` if there is no such key or no such group.
fn in_group<R>(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    name: &[u8],
    work: impl FnOnce(&mut GroupMut<'_>, &mut Reply) -> R,
) -> Result<Option<R>, Fault> {
    let Some(mut stream) = cx.store.open::<Stream>(key)? else { return Ok(None) };
    let done = stream.group_mut(name).map(|mut group| work(&mut group, cx.reply));
    stream.unchanged();
    Ok(done)
}

/// Tells of a consumer that a command has made on its way.
fn tell_of_consumer(cx: &mut Ctx<'_>, is_new: bool, key: Key<'_>, (group, consumer): (&[u8], &[u8])) {
    cx.event_if(is_new, Class::Stream, "xgroup-createconsumer", key.bytes);
    if is_new {
        cx.replicate(&[b"XGROUP", b"CREATECONSUMER", key.bytes, group, consumer]);
    }
}

/// What a command has done in a group, for the stream of writes.
#[derive(Default)]
struct Doings {
    /// Entries that are pending for the consumer now.
    taken: Vec<(Id, Delivery)>,
    /// Entries that are pending no longer, as they are in the stream no longer.
    gone: Vec<Id>,
    /// Whether how far the group has read was changed.
    has_moved: bool,
    last_id: Id,
    entries_read: Option<u64>,
}

impl Doings {
    /// Notes where the group stands.
    fn at(&mut self, group: &GroupMut<'_>) {
        (self.last_id, self.entries_read) = (group.last_id(), group.entries_read());
    }

    fn say(&self, cx: &Ctx<'_>, key: Key<'_>, (group, consumer): (&[u8], &[u8])) {
        if !cx.is_noted() {
            return;
        }
        let last = self.last_id.text();
        if !self.gone.is_empty() {
            let gone: Vec<_> = self.gone.iter().map(|id| id.text()).collect();
            let head = [&b"XACK"[..], key.bytes, group].into_iter();
            cx.replicate(&head.chain(gone.iter().map(|id| id.as_bytes())).collect::<Vec<&[u8]>>());
        }
        for alike in self.taken.chunk_by(|one, other| one.1 == other.1) {
            let Delivery { time_ms, count } = alike[0].1;
            let (time, count) = (time_ms.to_string(), count.to_string());
            let ids: Vec<_> = alike.iter().map(|(id, _)| id.text()).collect();
            let mut words: Vec<&[u8]> = vec![b"XCLAIM", key.bytes, group, consumer, b"0"];
            words.extend(ids.iter().map(|id| id.as_bytes()));
            words.extend([&b"TIME"[..], time.as_bytes(), b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID"]);
            words.extend([&b"LASTID"[..], last.as_bytes()]);
            cx.replicate(&words);
        }
        if self.has_moved {
            let read = self.entries_read.map_or("-1".to_owned(), |read| read.to_string());
            let words = [&b"XGROUP"[..], b"SETID", key.bytes, group, last.as_bytes(), b"ENTRIESREAD", read.as_bytes()];
            cx.replicate(&words);
        }
    }
}

// --- replies

fn write_id(reply: &mut Reply, id: Id) {
    reply.bulk(id.text().as_bytes());
}

fn write_text(reply: &mut Reply, text: Text<'_>) {
    match text {
        Text::Bytes(bytes) => reply.bulk(bytes),
        Text::Integer(n) => reply.bulk_int(n),
    }
}

/// An entry: its id, and its fields and values in one array.
fn write_entry(reply: &mut Reply, entry: &Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    reply.array(2 * entry.len());
    for (field, value) in entry.pairs() {
        write_text(reply, field);
        write_text(reply, value);
    }
}

/// An array of entries, whose number is known when they are written.
fn write_entries<'a>(reply: &mut Reply, entries: impl Iterator<Item = Entry<'a>>) {
    let start = reply.out.len();
    let mut written = 0;
    for entry in entries {
        write_entry(reply, &entry);
        written += 1;
    }
    reply.before(start, |reply| reply.array(written));
}
