//! The log as the raft crate reads it: what is durable, in memory. It is short, since the state it leads to is small and is
//! compacted into snapshots.

use std::cell::Cell;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::journal::Recovered;
use super::members::{Member, Members};

/// What an entry takes beside its data, about.
const ENTRY_BYTES: usize = 64;

/// A snapshot, and all entries behind it. Every entry's index is one more than that before it.
pub(super) struct Log {
    snapshot: Snapshot,
    entries: Vec<Entry>,
    entries_bytes: usize,
    hard_state: HardState,
    /// Somebody needed a snapshot, and this one is from before they took part; they would not believe it.
    is_snapshot_old: Cell<bool>,
}

impl Log {
    pub(super) fn new(recovered: Recovered) -> Log {
        let Recovered { snapshot, entries, hard_state, .. } = recovered;
        let mut log = Log {
            snapshot: snapshot.unwrap_or_default(),
            entries: Vec::new(),
            entries_bytes: 0,
            hard_state,
            is_snapshot_old: Cell::new(false),
        };
        log.append(&entries);
        log
    }

    pub(super) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    pub(super) fn set_hard_state(&mut self, state: HardState) {
        self.hard_state = state;
    }

    pub(super) fn set_commit(&mut self, commit: u64) {
        self.hard_state.commit = commit;
    }

    /// Entries in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.entries_bytes
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(super) fn is_snapshot_old(&self) -> bool {
        self.is_snapshot_old.get()
    }

    /// The index up to which all is in the snapshot.
    pub(super) fn snapshot_index(&self) -> u64 {
        self.snapshot.get_metadata().index
    }

    fn last(&self) -> u64 {
        self.snapshot_index() + self.entries.len() as u64
    }

    /// Entries behind an index.
    pub(super) fn behind(&self, index: u64) -> &[Entry] {
        let skipped = index.saturating_sub(self.snapshot_index()) as usize;
        self.entries.get(skipped..).unwrap_or_default()
    }

    /// Appends entries, in place of those whose indices they have and of all behind them.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let kept = (first.index - 1).saturating_sub(self.snapshot_index()) as usize;
        let removed = self.entries.drain(kept.min(self.entries.len())..);
        self.entries_bytes -= removed.map(|entry| bytes_of(&entry)).sum::<usize>();
        self.entries_bytes += entries.iter().map(bytes_of).sum::<usize>();
        self.entries.extend_from_slice(entries);
    }

    /// Takes a snapshot of this log's own past in place of the entries it covers.
    pub(super) fn compact(&mut self, snapshot: Snapshot) {
        let covered = snapshot.get_metadata().index.saturating_sub(self.snapshot_index()) as usize;
        let removed = self.entries.drain(..covered.min(self.entries.len()));
        self.entries_bytes -= removed.map(|entry| bytes_of(&entry)).sum::<usize>();
        self.snapshot = snapshot;
        self.is_snapshot_old.set(false);
    }

    /// Takes a leader's snapshot in place of everything.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        self.entries.clear();
        self.entries_bytes = 0;
        self.snapshot = snapshot;
        self.is_snapshot_old.set(false);
    }
}

fn bytes_of(entry: &Entry) -> usize {
    ENTRY_BYTES + entry.data.len()
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        let conf_state: ConfState = self.snapshot.get_metadata().get_conf_state().clone();
        Ok(RaftState::new(self.hard_state.clone(), conf_state))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.snapshot_index() {
            return Err(StorageError::Compacted.into());
        }
        let asked = self.behind(low - 1).get(..high.saturating_sub(low) as usize);
        let asked = asked.ok_or(StorageError::Unavailable)?;
        let mut room = max_size.into().unwrap_or(u64::MAX);
        // One entry at least, however large it is.
        let fits = asked.iter().enumerate().take_while(|(at, entry)| {
            let bytes = bytes_of(entry) as u64;
            let fits = *at == 0 || bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        let count = fits.count();
        Ok(asked[..count].to_vec())
    }

    fn term(&self, index: u64) -> Result<u64> {
        let meta = self.snapshot.get_metadata();
        if index == meta.index {
            return Ok(meta.term);
        }
        if index < meta.index {
            return Err(StorageError::Compacted.into());
        }
        let entry = self.entries.get((index - meta.index - 1) as usize);
        entry.map(|entry| entry.term).ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.snapshot_index() + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, index: u64, to: u64) -> Result<Snapshot> {
        let members = Members::of(self.snapshot.get_metadata().get_conf_state());
        if self.snapshot_index() < index || !members.contains(Member(to)) {
            self.is_snapshot_old.set(true);
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        Ok(self.snapshot.clone())
    }
}
