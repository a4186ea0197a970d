//! Nodes as the listpacks that Redis keeps: what RDB files of type 15, 19 and 21 and DUMP hold.
//!
//! ```text
//! listpack = bytes:u32 elements:u16 element* 0xff         an element is followed by its length, to be read backwards
//! elements = live deleted n field{n} 0  entry*
//! entry    = flags ms seq [n] (field value){n} | value{n}  lp-count         `ms`, `seq`: distances from the node's id
//! ```
//! Source: the description in Redis's `t_stream.c` and antirez's listpack.md.

use std::fmt;

use super::element::{self, Encoded, encode_integer, push_back_length};
use super::id::Id;
use super::log::{Counters, Log};
use super::node::{Node, Raw};
use super::ordered::Place;

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;
const HEAD: usize = 6;
const END: u8 = 0xff;

/// Elements that the head can count; it says so when there are more.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The bytes are no node of a stream, or not one that can follow the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a listpack that is no node of a stream, or whose entries do not follow the ones before")
    }
}

impl std::error::Error for Corrupt {}

/// The nodes of a stream, one after the other as listpacks.
pub struct Listpacks<'a> {
    log: &'a Log,
    next: Option<Place>,
}

impl Listpacks<'_> {
    /// Fills `out` with the next node and returns the id under which it stands.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Option<Id> {
        let place = self.next?;
        self.next = self.log.nodes.after(place);
        let (master, node) = self.log.nodes.at(place);
        out.clear();
        write_node(out, master, node);
        Some(master)
    }
}

impl Log {
    /// The nodes as listpacks; there are [`Log::nodes_len`].
    pub fn listpacks(&self) -> Listpacks<'_> {
        Listpacks { log: self, next: self.nodes.first() }
    }

    /// Adds a node behind all others, `master` being the id under which it stands. Counters are left alone but for the
    /// length: see [`Log::load_counters`].
    ///
    /// # Errors
    ///
    /// [`Corrupt`]; then nothing has changed.
    pub fn load_listpack(&mut self, master: Id, listpack: &[u8]) -> Result<(), Corrupt> {
        if self.nodes.last().is_some_and(|place| self.nodes.at(place).1.last() >= master) {
            return Err(Corrupt);
        }
        let node = read_node(master, listpack)?;
        self.push_node(master, node);
        Ok(())
    }

    /// Sets the counters, as a file has them.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] if the last id is below an entry that was loaded: what is added next could not follow it.
    pub fn load_counters(&mut self, mut counters: Counters) -> Result<(), Corrupt> {
        if let Some(end) = self.nodes.last().map(|place| self.nodes.at(place).1.last()) {
            if end > counters.last_id {
                return Err(Corrupt);
            }
            // An entry deleted at the end still lies in its node, so ids must stay above it: XSETID sees to that if it
            // is known as deleted, which files of type 15 do not say.
            if self.last_entry_id() != Some(end) {
                counters.max_deleted_id = counters.max_deleted_id.max(end);
            }
        }
        self.counters = counters;
        Ok(())
    }

    /// The counters for a file of type 15, which has the last id alone.
    ///
    /// # Errors
    ///
    /// As [`Log::load_counters`].
    pub fn load_last_id(&mut self, last_id: Id) -> Result<(), Corrupt> {
        self.load_counters(Counters { last_id, entries_added: self.len(), ..Counters::default() })?;
        self.find_first();
        Ok(())
    }
}

fn write_node(out: &mut Vec<u8>, master: Id, node: &Node) {
    let mut writer = Writer { out, elements: 0 };
    writer.out.extend_from_slice(&[0; HEAD]);
    writer.integer(i64::from(node.live()));
    writer.integer(i64::from(node.deleted()));
    writer.integer(node.fields().count() as i64);
    let mut fields = node.fields();
    while let Some(field) = fields.next_encoded() {
        writer.element(field.as_bytes());
    }
    writer.integer(0);
    for raw in node.scan(master) {
        write_entry(&mut writer, master, node, raw);
    }
    let Writer { out, elements } = writer;
    out.push(END);
    let bytes = out.len() as u32;
    out[..4].copy_from_slice(&bytes.to_le_bytes());
    let elements = u16::try_from(elements).unwrap_or(COUNT_UNKNOWN);
    out[4..HEAD].copy_from_slice(&elements.to_le_bytes());
}

fn write_entry(writer: &mut Writer<'_>, master: Id, node: &Node, raw: Raw) {
    let entry = node.entry(raw);
    let (mut elements, has_node_fields) = entry.elements();
    let flags = if raw.is_deleted { DELETED } else { 0 } | if has_node_fields { SAME_FIELDS } else { 0 };
    let start = writer.elements;
    writer.integer(flags);
    writer.integer(raw.id.ms.wrapping_sub(master.ms) as i64);
    writer.integer(raw.id.seq.wrapping_sub(master.seq) as i64);
    if !has_node_fields {
        writer.integer(entry.len() as i64);
    }
    while let Some(element) = elements.next_encoded() {
        writer.element(element.as_bytes());
    }
    writer.integer((writer.elements - start) as i64);
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    elements: usize,
}

impl Writer<'_> {
    fn element(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
        self.back_length(encoded.len());
    }

    fn integer(&mut self, value: i64) {
        let length = encode_integer(self.out, value);
        self.back_length(length);
    }

    fn back_length(&mut self, length: usize) {
        push_back_length(self.out, length);
        self.elements += 1;
    }
}

fn read_node(master: Id, listpack: &[u8]) -> Result<Node, Corrupt> {
    let mut reader = Reader::open(listpack)?;
    let live = reader.count()?;
    let deleted = reader.count()?;
    let field_count = reader.count()?;
    let mut fields = Vec::new();
    for _ in 0..field_count {
        fields.push(reader.element()?);
    }
    if reader.integer()? != 0 {
        return Err(Corrupt);
    }
    let mut node = Node::new(master, fields.iter().copied());
    let mut pairs = Vec::new();
    while !reader.is_at_end() {
        read_entry(&mut reader, master, &mut node, &fields, &mut pairs)?;
    }
    node.close();
    let is_counted = u64::from(node.live()) == live && u64::from(node.deleted()) == deleted;
    (is_counted && live + deleted > 0).then_some(node).ok_or(Corrupt)
}

fn read_entry<'a>(
    reader: &mut Reader<'a>,
    master: Id,
    node: &mut Node,
    fields: &[Encoded<'a>],
    pairs: &mut Vec<(Encoded<'a>, Encoded<'a>)>,
) -> Result<(), Corrupt> {
    let start = reader.elements;
    let flags = reader.integer()?;
    let ms = master.ms.wrapping_add(reader.integer()? as u64);
    let id = Id::new(ms, master.seq.wrapping_add(reader.integer()? as u64));
    let is_first = node.live() == 0 && node.deleted() == 0;
    if id < node.last() || (id == node.last() && !is_first) {
        return Err(Corrupt);
    }
    pairs.clear();
    if flags & SAME_FIELDS != 0 {
        for &field in fields {
            pairs.push((field, reader.element()?));
        }
    } else {
        for _ in 0..reader.count()? {
            pairs.push((reader.element()?, reader.element()?));
        }
    }
    let elements = reader.elements - start;
    if reader.count()? != elements as u64 {
        return Err(Corrupt);
    }
    let at = node.push(master, id, pairs.iter().copied());
    if flags & DELETED != 0 {
        node.delete_at(at);
    }
    Ok(())
}

/// Takes elements from the front of a listpack. Everything is checked: files come from outside.
struct Reader<'a> {
    rest: &'a [u8],
    elements: usize,
}

impl<'a> Reader<'a> {
    fn open(listpack: &'a [u8]) -> Result<Self, Corrupt> {
        let (bytes, rest) = listpack.split_first_chunk().ok_or(Corrupt)?;
        let (_, rest) = rest.split_first_chunk::<2>().ok_or(Corrupt)?;
        let (&end, rest) = rest.split_last().ok_or(Corrupt)?;
        let is_whole = u32::from_le_bytes(*bytes) as usize == listpack.len() && end == END;
        is_whole.then_some(Self { rest, elements: 0 }).ok_or(Corrupt)
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn element(&mut self) -> Result<Encoded<'a>, Corrupt> {
        let (encoded, rest) = Encoded::split(self.rest).ok_or(Corrupt)?;
        let back = element::back_length(encoded.as_bytes().len());
        self.rest = rest.get(back..).ok_or(Corrupt)?;
        self.elements += 1;
        Ok(encoded)
    }

    fn integer(&mut self) -> Result<i64, Corrupt> {
        self.element()?.integer().ok_or(Corrupt)
    }

    fn count(&mut self) -> Result<u64, Corrupt> {
        u64::try_from(self.integer()?).map_err(|_| Corrupt)
    }
}
