//! What a member of the control plane must remember: its term and vote, the log, and the last snapshot of the state machine.
//!
//! A folder holds **logs** `log-<number>` and **snapshots** `snapshot-<index>`. Each begins with a header that says what it is
//! and whose; then come frames (see `frame`). A log *starts over* or continues the one before it. The first frame of one that
//! starts over tells everything: which snapshot it builds upon, term and vote, and all entries behind that snapshot. Every
//! later frame is one save. So all that counts is the newest snapshot, and the logs from the last that starts over on.
//!
//! Files are written under a name that ends in `.new`, synced, and renamed. So a file of a proper name has a whole header and
//! a whole first frame, or it is damaged. With a snapshot comes a log that starts over; only then the old files go.
//!
//! Opening a journal writes a log that starts over, too, even if nothing is wrong: a torn frame is left behind with the old
//! file, and what the page cache showed of bytes whose sync failed before a restart is on the disk for sure.
//!
//! After a sync has failed, nothing more is written: the system may have dropped the pages and would call the next sync a
//! success. After a write has failed, what it left is cut off, and the same save may be tried again.

mod disk;
mod error;
mod frame;
mod reading;
#[cfg(test)]
pub(in crate::cluster) mod simulated;

use std::collections::BTreeSet;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};

pub use disk::{Disk, Folder};
pub use error::Error;

use super::limits::{NUMBER_MAX, SEGMENT_BYTES, SNAPSHOT_BYTES_MAX, VOTERS_MAX};
use super::members::Member;
use super::wire;
use super::{Durable, Index};
use crate::base::crc32c::crc32c;
use crate::cluster::id::{ID_BYTES, Id};
use reading::{Reading, State, item_base, item_entry, item_hard_state};

/// The newest format of the files, the one that is written.
pub const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"LARDERJ\n";
const HEADER_BYTES: usize = 8 + 4 + 2 * ID_BYTES + 8 + 1 + 8 + 4;

/// The file that is there while a journal is being made.
const MAKING: &str = "making";
const NEW: &str = ".new";

/// Whose journal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: Id,
    pub node: Id,
    pub member: Member,
}

/// How a node begins that has no journal yet.
#[derive(Clone, Debug)]
pub enum Start {
    /// As one of the first voters of a cluster, all of which begin with the same voters and the same state.
    Found { voters: BTreeSet<Member>, state: Vec<u8> },
    /// With nothing: a member of the cluster adds it, and its leader sends it what it needs.
    Join,
}

/// What a journal held, for [`super::Consensus::new`].
pub struct Recovered {
    pub(super) snapshot: Option<Snapshot>,
    pub(super) entries: Vec<Entry>,
    pub(super) hard_state: HardState,
    /// A frame that a crash left unfinished. It had not been acknowledged, and is gone.
    pub torn: Option<Torn>,
}

/// A place where a frame was cut off that had never been wholly written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    pub file: String,
    pub offset: u64,
    pub bytes: u64,
}

impl Recovered {
    /// The index up to which the log was there.
    pub fn last(&self) -> Index {
        let snapshot = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.get_metadata().index);
        Index(self.entries.last().map_or(snapshot, |entry| entry.index))
    }
}

pub struct Journal<D> {
    disk: D,
    identity: Identity,
    /// The log that is written to, and how long it is.
    number: u64,
    len: u64,
    hard_state: HardState,
    refusing: Option<String>,
}

impl<D: Disk> Journal<D> {
    /// Makes a journal in a folder where [`Journal::open`] found none.
    ///
    /// # Errors
    ///
    /// [`Error::Start`], [`Error::Full`], [`Error::Io`] and [`Error::Refusing`]. The folder holds no journal then, and this may
    /// be tried again.
    pub fn create(mut disk: D, identity: Identity, start: Start) -> Result<(Journal<D>, Recovered), Error> {
        if let Start::Found { voters, state } = &start {
            check_founding(voters, state)?;
        }
        disk.create(MAKING).map_err(|error| Error::io(MAKING, "making", error))?;
        disk.sync_folder().map_err(|error| Error::io("the folder", "syncing", error))?;
        let mut recovered =
            Recovered { snapshot: None, entries: Vec::new(), hard_state: HardState::default(), torn: None };
        if let Start::Found { voters, state } = start {
            let mut snapshot = Snapshot::default();
            let meta = snapshot.mut_metadata();
            (meta.index, meta.term) = (1, 1);
            let voters = voters.iter().map(|voter| voter.0).collect();
            meta.set_conf_state(ConfState { voters, ..ConfState::default() });
            snapshot.data = state.into();
            recovered.snapshot = Some(snapshot);
            (recovered.hard_state.term, recovered.hard_state.commit) = (1, 1);
        }
        let hard_state = recovered.hard_state.clone();
        let mut journal = Journal { disk, identity, number: 0, len: 0, hard_state, refusing: None };
        if let Some(snapshot) = &recovered.snapshot {
            journal.write_snapshot(snapshot)?;
        }
        journal.start_over(recovered.snapshot.as_ref(), &recovered.entries)?;
        journal.disk.remove(MAKING).map_err(|error| Error::io(MAKING, "removing", error))?;
        journal.sync_folder()?;
        Ok((journal, recovered))
    }

    /// Opens the journal of a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Absent`] if there is none. [`Error::Damaged`], [`Error::Foreign`] and [`Error::Newer`] leave all as it is;
    /// so do [`Error::Full`] and [`Error::Io`], but for the beginning of a new file.
    pub fn open(disk: D, identity: Identity) -> Result<(Journal<D>, Recovered), Error> {
        let names = disk.list().map_err(|error| Error::io("the folder", "listing", error))?;
        let numbered = |kind: Kind| {
            let number = |name: &String| u64::from_str_radix(name.strip_prefix(kind.prefix())?, 16).ok();
            names
                .iter()
                .filter_map(number)
                .filter(|number| names.contains(&kind.name(*number)))
                .collect::<BTreeSet<_>>()
        };
        let (snapshots, logs) = (numbered(Kind::Snapshot), numbered(Kind::Continues));
        if names.iter().any(|name| name == MAKING) || (snapshots.is_empty() && logs.is_empty()) {
            return Err(Error::Absent);
        }
        let mut reading = Reading { disk: &disk, identity, torn: None };
        let snapshot = snapshots.last().map(|index| reading.snapshot(*index)).transpose()?;
        let mut state = reading.logs(&logs)?;
        let torn = reading.torn;
        state.build_upon(snapshot.as_ref())?;
        let State { entries, hard_state, .. } = state;
        let number = logs.last().copied().unwrap_or_default();
        let mut journal = Journal { disk, identity, number, len: 0, hard_state: hard_state.clone(), refusing: None };
        journal.start_over(snapshot.as_ref(), &entries)?;
        Ok((journal, Recovered { snapshot, entries, hard_state, torn }))
    }

    /// Writes what must be durable, and returns once it is.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] and [`Error::Io`]: what was written before stands, and the same may be tried again.
    /// [`Error::Refusing`]: a sync has failed, now or before.
    pub fn save(&mut self, durable: &Durable) -> Result<(), Error> {
        if let Some(since) = &self.refusing {
            return Err(Error::Refusing { since: since.clone() });
        }
        let before = self.hard_state.clone();
        if let Some(state) = &durable.hard_state {
            self.hard_state = state.clone();
        }
        let saved = match &durable.snapshot {
            Some(snapshot) => {
                self.write_snapshot(snapshot).and_then(|()| self.start_over(Some(snapshot), &durable.entries))
            }
            None => self.append(durable),
        };
        if saved.is_err() {
            self.hard_state = before;
        }
        saved
    }

    fn append(&mut self, durable: &Durable) -> Result<(), Error> {
        let mut body = Vec::new();
        durable.hard_state.iter().for_each(|state| item_hard_state(&mut body, state));
        durable.entries.iter().for_each(|entry| item_entry(&mut body, entry));
        if body.is_empty() {
            return Ok(());
        }
        if self.len + body.len() as u64 > SEGMENT_BYTES && self.len > HEADER_BYTES as u64 {
            return self.begin(Kind::Continues, &body);
        }
        let name = Kind::Continues.name(self.number);
        let mut framed = Vec::with_capacity(body.len() + frame::HEAD_BYTES + 1);
        frame::write(&mut framed, self.number, self.len, &body).ok_or_else(|| too_long(&name))?;
        if let Err(error) = self.disk.append(&name, &framed) {
            // What was written of it goes, so that the next frame stands where it should.
            if let Err(error) = self.disk.truncate(&name, self.len) {
                self.refusing = Some(format!("a write to {name} could not be taken back ({error})"));
            }
            return Err(Error::io(&name, "writing", error));
        }
        self.sync(&name)?;
        self.len += framed.len() as u64;
        Ok(())
    }

    /// Writes a log that tells everything, and removes what it makes needless.
    fn start_over(&mut self, snapshot: Option<&Snapshot>, entries: &[Entry]) -> Result<(), Error> {
        let base = snapshot.map_or((0, 0), |snapshot| (snapshot.get_metadata().index, snapshot.get_metadata().term));
        let mut body = Vec::new();
        item_base(&mut body, base);
        item_hard_state(&mut body, &self.hard_state);
        entries.iter().for_each(|entry| item_entry(&mut body, entry));
        self.begin(Kind::StartsOver, &body)?;
        let kept = [Kind::StartsOver.name(self.number), Kind::Snapshot.name(base.0)];
        let is_old = |name: &String| {
            let is_ours = name.starts_with(Kind::StartsOver.prefix()) || name.starts_with(Kind::Snapshot.prefix());
            is_ours && !kept.contains(name)
        };
        // A file that stays is left out when the journal is opened, and goes at the next occasion.
        for name in self.disk.list().unwrap_or_default().into_iter().filter(is_old) {
            let _ = self.disk.remove(&name);
        }
        Ok(())
    }

    /// Begins the next log, with a first frame.
    fn begin(&mut self, kind: Kind, body: &[u8]) -> Result<(), Error> {
        let len = self.write_file(kind, self.number + 1, body)?;
        self.number += 1;
        self.len = len;
        Ok(())
    }

    fn write_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let mut body = Vec::new();
        wire::snapshot(&mut body, snapshot);
        self.write_file(Kind::Snapshot, snapshot.get_metadata().index, &body).map(drop)
    }

    /// Writes a file of one frame, all of it or nothing.
    fn write_file(&mut self, kind: Kind, number: u64, body: &[u8]) -> Result<u64, Error> {
        let name = kind.name(number);
        let new = format!("{name}{NEW}");
        let mut file = header(&self.identity, kind, number);
        let offset = file.len() as u64;
        frame::write(&mut file, number, offset, body).ok_or_else(|| too_long(&name))?;
        let written = self.disk.create(&new).and_then(|()| self.disk.append(&new, &file));
        if let Err(error) = written {
            let _ = self.disk.remove(&new);
            return Err(Error::io(&name, "writing", error));
        }
        self.sync(&new)?;
        // A rename that failed may have happened, and then this log would not be the last.
        let named = self.disk.rename(&new, &name);
        named.map_err(|error| self.refuse(format!("giving {name} its name failed ({error})")))?;
        self.sync_folder()?;
        Ok(file.len() as u64)
    }

    fn sync(&mut self, name: &str) -> Result<(), Error> {
        let synced = self.disk.sync(name);
        synced.map_err(|error| self.refuse(format!("syncing {name} failed ({error})")))
    }

    fn sync_folder(&mut self) -> Result<(), Error> {
        let synced = self.disk.sync_folder();
        synced.map_err(|error| self.refuse(format!("syncing the folder failed ({error})")))
    }

    fn refuse(&mut self, since: String) -> Error {
        self.refusing = Some(since.clone());
        Error::Refusing { since }
    }

    #[cfg(test)]
    pub(in crate::cluster) fn into_disk(self) -> D {
        self.disk
    }

    #[cfg(test)]
    pub(in crate::cluster) fn disk(&mut self) -> &mut D {
        &mut self.disk
    }
}

fn check_founding(voters: &BTreeSet<Member>, state: &[u8]) -> Result<(), Error> {
    if !(1..=VOTERS_MAX).contains(&voters.len()) {
        return Err(Error::Start(format!("a cluster begins with 1 to {VOTERS_MAX} voters, not with {}", voters.len())));
    }
    if voters.iter().any(|voter| voter.0 == 0 || voter.0 > NUMBER_MAX) {
        return Err(Error::Start("members have numbers from 1 on".to_owned()));
    }
    if state.len() > SNAPSHOT_BYTES_MAX {
        let bytes = state.len();
        return Err(Error::Start(format!("a first state of {bytes} bytes; at most {SNAPSHOT_BYTES_MAX} are allowed")));
    }
    Ok(())
}

fn too_long(name: &str) -> Error {
    Error::io(name, "writing", std::io::ErrorKind::FileTooLarge.into())
}

// --- files

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A log whose first frame tells everything.
    StartsOver,
    /// A log that goes on where the one before it ends.
    Continues,
    Snapshot,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Kind::StartsOver | Kind::Continues => "log-",
            Kind::Snapshot => "snapshot-",
        }
    }

    fn name(self, number: u64) -> String {
        format!("{}{number:016x}", self.prefix())
    }

    fn byte(self) -> u8 {
        match self {
            Kind::StartsOver => 1,
            Kind::Continues => 2,
            Kind::Snapshot => 3,
        }
    }
}

fn header(identity: &Identity, kind: Kind, number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend(MAGIC);
    out.extend(FORMAT.to_le_bytes());
    out.extend(identity.cluster.bytes());
    out.extend(identity.node.bytes());
    out.extend(identity.member.0.to_le_bytes());
    out.push(kind.byte());
    out.extend(number.to_le_bytes());
    out.extend(crc32c(0, &out).to_le_bytes());
    out
}
