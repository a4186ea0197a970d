//! What the files of a journal say, read without changing anything.

use std::collections::BTreeSet;

use raft::eraftpb::{Entry, HardState, Snapshot};

use super::frame::{self, Found};
use super::{Disk, Error, FORMAT, HEADER_BYTES, Identity, Kind, MAGIC, Torn};
use crate::base::crc32c::crc32c;
use crate::cluster::consensus::members::Member;
use crate::cluster::consensus::wire::{self, Reader};
use crate::cluster::id::Id;

/// Reads the files of a journal, and changes nothing.
pub(super) struct Reading<'a, D> {
    pub(super) disk: &'a D,
    pub(super) identity: Identity,
    pub(super) torn: Option<Torn>,
}

impl<D: Disk> Reading<'_, D> {
    /// A file whose header is right, and whether it starts over.
    fn file(&self, name: &str, number: u64, kinds: &[Kind]) -> Result<(Vec<u8>, Kind), Error> {
        let file = self.disk.read(name).map_err(|error| Error::io(name, "reading", error))?;
        let mut from = Reader::new(&file);
        let short = |_| damaged(name, file.len(), "a file that ends in its header");
        if from.array::<8>().map_err(short)? != MAGIC {
            return Err(damaged(name, 0, "not a file of a journal"));
        }
        let format = u32::from_le_bytes(from.array().map_err(short)?);
        // The rest of a newer header may be anything; but a format is only believed if its other bits are plausible.
        if format > FORMAT && format < 1 << 16 {
            return Err(Error::Newer { file: name.to_owned(), format });
        }
        let cluster = Id::new(from.array().map_err(short)?);
        let node = Id::new(from.array().map_err(short)?);
        let member = Member(u64::from_le_bytes(from.array().map_err(short)?));
        let kind = from.byte().map_err(short)?;
        let named = u64::from_le_bytes(from.array().map_err(short)?);
        let sum = u32::from_le_bytes(from.array().map_err(short)?);
        if crc32c(0, &file[..HEADER_BYTES - 4]) != sum || format != FORMAT {
            return Err(damaged(name, 0, "a header with a wrong check sum"));
        }
        let own = self.identity;
        self.same(name, "cluster", cluster, own.cluster)?;
        self.same(name, "node", node, own.node)?;
        self.same(name, "member", member, own.member)?;
        let kind = kinds.iter().find(|known| known.byte() == kind);
        match kind {
            Some(kind) if named == number => Ok((file, *kind)),
            _ => Err(damaged(name, 0, "the header of another file")),
        }
    }

    fn same<T: PartialEq + std::fmt::Display>(
        &self,
        name: &str,
        what: &'static str,
        found: T,
        own: T,
    ) -> Result<(), Error> {
        if found == own {
            return Ok(());
        }
        let (found, own) = (format!("{what} {found}"), format!("{what} {own}"));
        Err(Error::Foreign { file: name.to_owned(), what, found, own })
    }

    pub(super) fn snapshot(&self, index: u64) -> Result<Snapshot, Error> {
        let name = Kind::Snapshot.name(index);
        let (file, _) = self.file(&name, index, &[Kind::Snapshot])?;
        let Found::Frame { body, next } = frame::at(&file, index, HEADER_BYTES) else {
            return Err(damaged(&name, HEADER_BYTES, "a snapshot with a wrong check sum"));
        };
        let mut from = Reader::new(body);
        let snapshot = from.snapshot().and_then(|snapshot| from.end().map(|()| snapshot));
        let snapshot = snapshot.map_err(|error| damaged(&name, HEADER_BYTES, &error.to_string()))?;
        if next != file.len() || snapshot.get_metadata().index != index {
            return Err(damaged(&name, next, "a snapshot that is not what its name says"));
        }
        Ok(snapshot)
    }

    /// What the logs say, from the last that starts over on.
    pub(super) fn logs(&mut self, numbers: &BTreeSet<u64>) -> Result<State, Error> {
        let mut files = Vec::new();
        let mut next = None;
        for number in numbers.iter().rev() {
            let name = Kind::Continues.name(*number);
            if next.is_some_and(|next| next != number + 1) {
                let missing = Kind::Continues.name(number + 1);
                return Err(damaged(&missing, 0, "the file is missing"));
            }
            next = Some(*number);
            let (file, kind) = self.file(&name, *number, &[Kind::StartsOver, Kind::Continues])?;
            files.push((name, *number, file));
            if kind == Kind::StartsOver {
                break;
            }
            if numbers.first() == Some(number) {
                return Err(damaged(&Kind::Continues.name(number.saturating_sub(1)), 0, "the file is missing"));
            }
        }
        if files.is_empty() {
            return Err(damaged(&Kind::StartsOver.name(1), 0, "the file is missing"));
        }
        let mut state = State::default();
        while let Some((name, number, file)) = files.pop() {
            let mut offset = HEADER_BYTES;
            loop {
                match frame::at(&file, number, offset) {
                    Found::End if offset == HEADER_BYTES => return Err(damaged(&name, offset, "the end of the file")),
                    Found::End => break,
                    Found::Frame { body, next } => {
                        state.take(body).map_err(|found| damaged(&name, offset, &found))?;
                        offset = next;
                    }
                    // The first frame came with the file's name, and later files with all that was before them.
                    Found::Torn if files.is_empty() && offset > HEADER_BYTES => {
                        let bytes = (file.len() - offset) as u64;
                        self.torn = Some(Torn { file: name, offset: offset as u64, bytes });
                        break;
                    }
                    Found::Torn => return Err(damaged(&name, offset, "a frame that is not whole")),
                    Found::Damaged(found) => return Err(damaged(&name, offset, found)),
                }
            }
        }
        Ok(state)
    }
}

pub(super) fn damaged(file: &str, offset: usize, found: &str) -> Error {
    Error::Damaged { file: file.to_owned(), offset: offset as u64, found: found.to_owned() }
}

// --- what frames say

const ITEM_BASE: u8 = 1;
const ITEM_HARD_STATE: u8 = 2;
const ITEM_ENTRY: u8 = 3;

pub(super) fn item_base(out: &mut Vec<u8>, (index, term): (u64, u64)) {
    out.push(ITEM_BASE);
    out.extend(index.to_le_bytes());
    out.extend(term.to_le_bytes());
}

pub(super) fn item_hard_state(out: &mut Vec<u8>, state: &HardState) {
    out.push(ITEM_HARD_STATE);
    wire::hard_state(out, state);
}

pub(super) fn item_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(ITEM_ENTRY);
    wire::entry(out, entry);
}

/// What the frames so far add up to.
#[derive(Default)]
pub(super) struct State {
    /// Index and term of the snapshot that the entries follow.
    base: (u64, u64),
    pub(super) entries: Vec<Entry>,
    pub(super) hard_state: HardState,
}

impl State {
    fn take(&mut self, body: &[u8]) -> Result<(), String> {
        let mut from = Reader::new(body);
        while !from.is_empty() {
            match from.byte().map_err(|error| error.to_string())? {
                ITEM_BASE => {
                    let mut number = || from.number().map_err(|error| error.to_string());
                    self.base = (number()?, number()?);
                    self.entries.clear();
                }
                ITEM_HARD_STATE => self.hard_state = from.hard_state().map_err(|error| error.to_string())?,
                ITEM_ENTRY => self.put(from.entry().map_err(|error| error.to_string())?)?,
                other => return Err(format!("an item of the unknown kind {other}")),
            }
        }
        Ok(())
    }

    /// An entry takes the place of that of its index and of all behind it.
    fn put(&mut self, entry: Entry) -> Result<(), String> {
        let kept = entry.index.checked_sub(self.base.0 + 1);
        let kept = kept.filter(|kept| *kept <= self.entries.len() as u64);
        let kept = kept.ok_or_else(|| format!("an entry of index {} that follows none", entry.index))?;
        self.entries.truncate(kept as usize);
        self.entries.push(entry);
        Ok(())
    }

    /// Fits the log to the newest snapshot, which may be newer than that which the log was written for: then the crash came
    /// between the two files.
    pub(super) fn build_upon(&mut self, snapshot: Option<&Snapshot>) -> Result<(), Error> {
        let at = snapshot.map_or((0, 0), |snapshot| (snapshot.get_metadata().index, snapshot.get_metadata().term));
        if at.0 < self.base.0 {
            return Err(damaged(&Kind::Snapshot.name(self.base.0), 0, "the file is missing"));
        }
        if at != self.base {
            let covered = (at.0 - self.base.0) as usize;
            let agrees = covered > 0 && self.entries.get(covered - 1).is_some_and(|entry| entry.term == at.1);
            self.entries.drain(..if agrees { covered } else { self.entries.len() });
        }
        // A leader's snapshot can be of a term that this node has not voted in; what it had voted would stand in the log.
        if self.hard_state.term < at.1 {
            (self.hard_state.term, self.hard_state.vote) = (at.1, 0);
        }
        self.hard_state.commit = self.hard_state.commit.max(at.0);
        let last = at.0 + self.entries.len() as u64;
        if self.hard_state.commit > last {
            let found = format!("entries up to {last}, of which {} are committed", self.hard_state.commit);
            return Err(damaged("log", 0, &found));
        }
        Ok(())
    }
}
