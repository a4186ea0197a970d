//! A node: up to about a hundred neighbouring entries in one allocation.
//!
//! ```text
//! field*  entry*                                  the fields of the first entry, then all entries
//! entry = length head [ms] [seq] body             `length` counts what follows it
//! body  = value*  or  count (field value)*        `head` says which, and which deltas there are
//! ```
//! Numbers are LEB128, fields and values are elements (`element.rs`). An entry's id is kept as its distance from the
//! entry before, which most often is the head alone, or the head and one or two bytes. The length leads from entry to
//! entry without looking into them. Deleting sets a bit; the node goes when its last entry does.

use super::element::{self, Encoded, Text, Word};
use super::id::Id;
use crate::types::shared::SharedVec;
use std::ops::Deref;

/// The entry is deleted.
const DELETED: u8 = 1;

/// The entry has other fields than the node, so it names them.
const OWN_FIELDS: u8 = 1 << 1;

/// The milliseconds differ from the entry before (from the node's id, for the first). Their distance follows, and `seq`
/// counts from 0.
const NEW_MS: u8 = 1 << 2;

/// A number follows that is added to `seq`, which otherwise is the next possible.
const SEQ_AHEAD: u8 = 1 << 3;

/// The most bytes of an entry beside its elements: length, head, two distances and the count of fields.
const ENTRY_HEAD_MAX: usize = 5 + 1 + 10 + 10 + 5;

/// How far a node is filled, by the settings `stream-node-max-bytes` and `stream-node-max-entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Bytes of the listpack that Redis would hold; 0 means [`NodeLimits::LISTPACK_MAX`].
    pub bytes_max: usize,
    /// Entries, deleted ones among them; 0 means any number.
    pub entries_max: usize,
}

impl NodeLimits {
    /// The most bytes of fields and values that one entry may have, and a node as well.
    pub const LISTPACK_MAX: usize = 1 << 30;
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { bytes_max: 4096, entries_max: 100 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    bytes: Bytes,
    /// The last entry, be it deleted or not.
    last: Id,
    live: u32,
    deleted: u32,
    /// Fields of the first entry.
    fields: u32,
    /// Where the entries begin.
    entries_at: u32,
    /// The head of the last entry.
    last_at: u32,
    /// Bytes of this node as a listpack, without the two counters at its head.
    listpack: u32,
}

/// The bytes of a node: the last node of a stream is open, all others are shared by the copies of the stream.
#[derive(Debug)]
enum Bytes {
    Open(Vec<u8>),
    Closed(SharedVec<u8>),
}

impl Node {
    /// A node without entries, whose first will be `first` and have `fields`.
    pub(super) fn new<W: Word>(first: Id, fields: impl Iterator<Item = W> + Clone) -> Self {
        /// Head and end of a listpack.
        const LISTPACK_FRAME: usize = 6 + 1;
        let mut bytes = Vec::with_capacity(fields.clone().map(Word::length_max).sum());
        let mut listpack = LISTPACK_FRAME + element::integer_in_listpack(0);
        let mut count = 0;
        for field in fields {
            listpack += element::in_listpack(field.encode(&mut bytes));
            count += 1;
        }
        Self {
            entries_at: bytes.len() as u32,
            bytes: Bytes::Open(bytes),
            last: first,
            live: 0,
            deleted: 0,
            fields: count,
            last_at: 0,
            listpack: (listpack + element::integer_in_listpack(i64::from(count))) as u32,
        }
    }

    /// Heap bytes.
    pub(super) fn bytes(&self) -> usize {
        match &self.bytes {
            Bytes::Open(bytes) => bytes.capacity(),
            Bytes::Closed(bytes) => bytes.bytes(),
        }
    }

    pub(super) fn last(&self) -> Id {
        self.last
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    pub(super) fn deleted(&self) -> u32 {
        self.deleted
    }

    /// Whether the next entry, of `text_bytes` in its fields and values, belongs into a new node.
    pub(super) fn is_full(&self, limits: NodeLimits, text_bytes: usize) -> bool {
        let bytes_max = match limits.bytes_max {
            0 => NodeLimits::LISTPACK_MAX,
            bytes_max => bytes_max.min(NodeLimits::LISTPACK_MAX),
        };
        let entries = self.live as usize + self.deleted as usize;
        self.listpack_bytes() + text_bytes >= bytes_max || (limits.entries_max > 0 && entries >= limits.entries_max)
    }

    /// The size of the listpack that Redis would hold.
    pub(super) fn listpack_bytes(&self) -> usize {
        self.listpack as usize
            + element::integer_in_listpack(i64::from(self.live))
            + element::integer_in_listpack(i64::from(self.deleted))
    }

    /// Adds an entry behind all others, whose ids are smaller. `master` is the id under which this node stands.
    pub(super) fn push<W: Word>(&mut self, master: Id, id: Id, pairs: impl Iterator<Item = (W, W)> + Clone) -> At {
        let has_own_fields = !self.has_fields(pairs.clone().map(|(field, _)| field));
        let head = self.head_of(id, has_own_fields);
        let out = self.bytes.open();
        reserve(out, pairs.clone().map(|(field, value)| field.length_max() + value.length_max()).sum());
        let start = out.len();
        head.push(out);
        // What Redis keeps beside the texts: flags, distances from the first entry, and how many elements they are.
        let mut listpack = element::integer_in_listpack(0)
            + element::integer_in_listpack(id.ms.wrapping_sub(master.ms) as i64)
            + element::integer_in_listpack(id.seq.wrapping_sub(master.seq) as i64);
        let mut elements = 3;
        if has_own_fields {
            let count = pairs.clone().count();
            push_number(out, count as u64);
            listpack += element::integer_in_listpack(count as i64);
            elements += count as i64 + 1;
        }
        for (field, value) in pairs {
            if has_own_fields {
                listpack += element::in_listpack(field.encode(out));
            }
            listpack += element::in_listpack(value.encode(out));
            elements += 1;
        }
        let at = push_length(out, start);
        self.listpack += (listpack + element::integer_in_listpack(elements)) as u32;
        self.last_at = at.0 as u32;
        self.last = id;
        self.live += 1;
        at
    }

    /// Gives back the room kept for more entries. By a copy: allocators leave a block that shrinks a little where it is.
    pub(super) fn close(&mut self) {
        self.bytes = Bytes::Closed(SharedVec::from(&*self.bytes));
    }

    /// Marks an entry, which is not deleted yet.
    pub(super) fn delete_at(&mut self, entry: At) {
        *self.bytes.at_mut(entry) |= DELETED;
        self.live -= 1;
        self.deleted += 1;
    }

    /// All entries, deleted ones among them. `master` is the id under which this node stands.
    pub(super) fn scan(&self, master: Id) -> Scan<'_> {
        Scan { node: self, bytes: &self.bytes, at: self.entries_at as usize, id: master }
    }

    /// As [`Node::scan`], from a place that a scan of this node has marked.
    pub(super) fn scan_from(&self, mark: Mark) -> Scan<'_> {
        Scan { node: self, bytes: &self.bytes, at: mark.at as usize, id: mark.id }
    }

    /// The fields of the first entry, which most others share.
    pub(super) fn fields(&self) -> Elements<'_> {
        Elements(&self.bytes[..self.entries_at as usize])
    }

    /// The entry that [`Scan`] found there.
    pub(super) fn entry(&self, raw: Raw) -> Entry<'_> {
        let mut body = &self.bytes[raw.body..raw.end];
        let (names, count) = match raw.has_own_fields {
            true => (None, take_number(&mut body) as usize),
            false => (Some(self.fields()), self.fields as usize),
        };
        Entry { id: raw.id, names, values: Elements(body), count }
    }

    /// The last entry, unless it is deleted. Found at once, since the latest entry is what is asked for most.
    pub(super) fn last_entry(&self) -> Option<Entry<'_>> {
        let at = self.last_at as usize;
        let mut rest = &self.bytes[at..];
        let head = take_head(&mut rest);
        let numbers = u8::from(head & NEW_MS != 0) + u8::from(head & SEQ_AHEAD != 0);
        for _ in 0..numbers {
            take_number(&mut rest);
        }
        let (body, end) = (self.bytes.len() - rest.len(), self.bytes.len());
        let has_own_fields = head & OWN_FIELDS != 0;
        let raw = Raw { id: self.last, at: At(at), is_deleted: head & DELETED != 0, has_own_fields, body, end };
        (!raw.is_deleted).then(|| self.entry(raw))
    }

    fn has_fields<W: Word>(&self, mut fields: impl Iterator<Item = W>) -> bool {
        let mut own = self.fields();
        loop {
            match (own.next(), fields.next()) {
                (None, None) => return true,
                (Some(own), Some(field)) if field.is(own) => {}
                _ => return false,
            }
        }
    }

    fn head_of(&self, id: Id, has_own_fields: bool) -> EntryHead {
        let is_first = self.live == 0 && self.deleted == 0;
        let ms = (id.ms != self.last.ms).then(|| id.ms - self.last.ms);
        let seq_next = match (ms, is_first) {
            (Some(_), _) => 0,
            (None, true) => self.last.seq,
            (None, false) => self.last.seq + 1,
        };
        EntryHead { has_own_fields, ms, seq: (id.seq != seq_next).then(|| id.seq - seq_next) }
    }
}

impl Bytes {
    /// The bytes, to be added to.
    fn open(&mut self) -> &mut Vec<u8> {
        if let Bytes::Closed(bytes) = self {
            *self = Bytes::Open(bytes.to_vec());
        }
        let Bytes::Open(bytes) = self else { unreachable!("it has just been opened") };
        bytes
    }

    fn at_mut(&mut self, at: At) -> &mut u8 {
        match self {
            Bytes::Open(bytes) => &mut bytes[at.0],
            Bytes::Closed(bytes) => &mut bytes[at.0],
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Open(bytes) => bytes,
            Bytes::Closed(bytes) => bytes,
        }
    }
}

impl Clone for Bytes {
    /// With the same room, as the log has counted it.
    fn clone(&self) -> Self {
        match self {
            Bytes::Open(bytes) => {
                let mut copy = Vec::with_capacity(bytes.capacity());
                copy.extend_from_slice(bytes);
                Bytes::Open(copy)
            }
            Bytes::Closed(bytes) => Bytes::Closed(bytes.clone()),
        }
    }
}

/// What stands between the length of an entry and its body.
struct EntryHead {
    has_own_fields: bool,
    ms: Option<u64>,
    seq: Option<u64>,
}

impl EntryHead {
    fn push(&self, out: &mut Vec<u8>) {
        let mut head = if self.has_own_fields { OWN_FIELDS } else { 0 };
        head |= if self.ms.is_some() { NEW_MS } else { 0 };
        head |= if self.seq.is_some() { SEQ_AHEAD } else { 0 };
        out.push(head);
        self.ms.into_iter().chain(self.seq).for_each(|distance| push_number(out, distance));
    }
}

/// Room for an entry with so many bytes of elements, and half as much again as there is, so that copies stay few.
fn reserve(out: &mut Vec<u8>, elements_bytes: usize) {
    let needed = out.len() + elements_bytes + ENTRY_HEAD_MAX;
    if needed > out.capacity() {
        let room = needed.max(out.capacity() * 3 / 2);
        out.reserve_exact(room - out.len());
    }
}

/// Puts the length in front of the entry that begins at `start`: known only now, and one byte for short entries.
fn push_length(out: &mut Vec<u8>, start: usize) -> At {
    let length = out.len() - start;
    push_number(out, length as u64);
    let width = out.len() - start - length;
    out[start..].rotate_right(width);
    At(start + width)
}

/// Where an entry's head is in its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(usize);

/// An entry as it was found in its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) id: Id,
    pub(super) at: At,
    pub(super) is_deleted: bool,
    has_own_fields: bool,
    body: usize,
    end: usize,
}

/// Goes over the entries of a node.
#[derive(Clone)]
pub(super) struct Scan<'a> {
    node: &'a Node,
    /// Those of the node, found once.
    bytes: &'a [u8],
    at: usize,
    /// The entry before.
    id: Id,
}

/// A place before an entry, to scan on from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    at: u32,
    /// The entry before.
    id: Id,
}

impl Mark {
    /// The entry before, or the node's id if there is none.
    pub(super) fn id_before(self) -> Id {
        self.id
    }
}

impl<'a> Scan<'a> {
    pub(super) fn node(&self) -> &'a Node {
        self.node
    }

    /// The place before the next entry.
    pub(super) fn mark(&self) -> Mark {
        Mark { at: self.at as u32, id: self.id }
    }
}

impl Iterator for Scan<'_> {
    type Item = Raw;

    #[inline]
    fn next(&mut self) -> Option<Raw> {
        let is_first = self.at == self.node.entries_at as usize;
        let mut rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = take_number(&mut rest) as usize;
        let at = self.bytes.len() - rest.len();
        let end = at + length;
        let head = take_head(&mut rest);
        if head & NEW_MS != 0 {
            self.id = Id::new(self.id.ms.wrapping_add(take_number(&mut rest)), 0);
        } else if !is_first {
            self.id.seq = self.id.seq.wrapping_add(1);
        }
        if head & SEQ_AHEAD != 0 {
            self.id.seq = self.id.seq.wrapping_add(take_number(&mut rest));
        }
        self.at = end;
        Some(Raw {
            id: self.id,
            at: At(at),
            is_deleted: head & DELETED != 0,
            has_own_fields: head & OWN_FIELDS != 0,
            body: self.bytes.len() - rest.len(),
            end,
        })
    }
}

/// An entry: its id, and its fields with their values in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub id: Id,
    /// The names, if they do not stand among the values.
    names: Option<Elements<'a>>,
    values: Elements<'a>,
    count: usize,
}

impl<'a> Entry<'a> {
    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Fields and values, in pairs.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs { names: self.names.clone(), values: self.values.clone() }
    }

    /// The elements of the entry, and whether they are values alone because the fields are the node's.
    pub(super) fn elements(&self) -> (Elements<'a>, bool) {
        (self.values.clone(), self.names.is_some())
    }
}

/// The fields and values of an entry.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    names: Option<Elements<'a>>,
    values: Elements<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Text<'a>, Text<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = match &mut self.names {
            Some(names) => names.next()?,
            None => self.values.next()?,
        };
        Some((field, self.values.next()?))
    }
}

/// Elements one behind the other.
#[derive(Clone, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// The next element as it is encoded.
    pub(super) fn next_encoded(&mut self) -> Option<Encoded<'a>> {
        let (encoded, rest) = Encoded::split(self.0)?;
        self.0 = rest;
        Some(encoded)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        let (text, rest) = element::split(self.0)?;
        self.0 = rest;
        Some(text)
    }
}

/// Appends a number in groups of seven bits, the lowest first.
fn push_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_head(bytes: &mut &[u8]) -> u8 {
    let head = bytes[0];
    *bytes = &bytes[1..];
    head
}

/// Takes a number from the front of `bytes`. Nodes are written here alone, so there is one.
#[inline]
fn take_number(bytes: &mut &[u8]) -> u64 {
    let byte = bytes[0];
    match byte < 0x80 {
        true => {
            *bytes = &bytes[1..];
            u64::from(byte)
        }
        false => take_long_number(bytes),
    }
}

/// Kept out of the way of numbers of one byte, which most are.
#[inline(never)]
fn take_long_number(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}
