//! The data of a primary: what happens to what the node holds, while it comes and when it is there.
//!
//! A node that holds nothing takes the keys in as they come. One that holds data keeps serving it (unless the settings say
//! otherwise), puts what comes into a file and looks through it; only what is whole and sound takes the place of the old.

use super::LinkState;
use super::upstream::Refused;
use crate::command::loading::Intake;
use crate::command::shared::Shared;
use crate::repl::greeting::{MARK_LEN, Snapshot};
use crate::repl::history::Kin;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// Data on its way.
pub struct Receiving {
    intake: Intake,
    snapshot: Snapshot,
    /// The file, where the node holds other data meanwhile.
    spool: Option<Spool>,
    received: u64,
    generation: u64,
    /// The place in the primary's history that the data is of, and the history's kin.
    place: (String, u64, Kin),
    /// Bytes behind the end of the snapshot.
    rest: Vec<u8>,
    is_whole: bool,
}

struct Spool {
    file: File,
    path: PathBuf,
}

impl Drop for Spool {
    fn drop(&mut self) {
        // It was of use to this process alone.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Receiving {
    /// Whether what the node holds stays until the data that takes its place is whole; else it is thrown away at the beginning.
    pub fn keeps_until_whole(node: &Shared) -> bool {
        let holds_data = node.store.totals().keys.iter().any(|keys| *keys > 0);
        holds_data && node.live.config().replica_serve_stale_data
    }

    /// Begins to take the data of a place in the primary's history.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn begin(
        node: &Shared,
        generation: u64,
        place: (String, u64, Kin),
        snapshot: Snapshot,
    ) -> Result<Receiving, String> {
        node.replication.set_link(generation, LinkState::Sync).map_err(late)?;
        let spool = match Self::keeps_until_whole(node) {
            true => Some(Spool::create()?),
            false => {
                node.loading.begin();
                node.barrier.alone(|| node.flush(None));
                node.saves.forget_libraries();
                None
            }
        };
        let intake = Intake::new(node, true);
        Ok(Receiving { intake, snapshot, spool, received: 0, generation, place, rest: Vec::new(), is_whole: false })
    }

    /// Takes bytes. Returns whether the data is whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn take(&mut self, node: &Shared, bytes: &[u8]) -> Result<bool, String> {
        node.replication.note_synced(self.generation, bytes.len()).map_err(late)?;
        self.received += bytes.len() as u64;
        if self.is_whole {
            self.rest.extend_from_slice(bytes);
            return self.is_over();
        }
        if let Some(spool) = &mut self.spool {
            spool.file.write_all(bytes).map_err(|error| spool.at("cannot write", error))?;
        }
        self.intake.reader.feed(bytes);
        let whole = match self.spool {
            Some(_) => self.intake.look_through(),
            None => self.intake.take_all(node),
        };
        if !whole.map_err(|error| format!("its data is damaged: {error}"))? {
            return Ok(false);
        }
        self.is_whole = true;
        self.rest = self.intake.reader.unread().to_vec();
        self.is_over()
    }

    /// Whether what tells the end has come, too.
    fn is_over(&mut self) -> Result<bool, String> {
        let length = self.received - self.rest.len() as u64;
        match &self.snapshot {
            Snapshot::Bytes(bytes) if *bytes == length => Ok(true),
            Snapshot::Bytes(bytes) => Err(format!("its data ends after {length} bytes, and {bytes} were announced")),
            Snapshot::Mark(_) if self.rest.len() < MARK_LEN => Ok(false),
            Snapshot::Mark(mark) if self.rest.starts_with(mark) => {
                self.rest.drain(..MARK_LEN);
                // It is not in the announced length of the file, so that nothing else looks at it.
                self.received -= MARK_LEN as u64;
                Ok(true)
            }
            Snapshot::Mark(_) => {
                Err(format!("its data ends after {length} bytes, and the mark of the end is not there"))
            }
        }
    }

    /// Lets the data take the place of what was there, and the stream begin behind it. Returns the bytes of the stream
    /// that have come already. `alive` is called now and then while that takes time.
    ///
    /// # Errors
    ///
    /// Why it could not. Then [`Receiving::give_up`] is left to be done.
    pub fn finish(&mut self, node: &Shared, alive: &mut dyn FnMut()) -> Result<Vec<u8>, String> {
        let mut db = self.intake.db();
        if let Some(spool) = self.spool.take() {
            if !node.replication.is_current(self.generation) {
                return Err(late(Refused));
            }
            // The bytes behind the data are none of the file's.
            let length = self.received - self.rest.len() as u64;
            spool.file.set_len(length).map_err(|error| spool.at("cannot shorten", error))?;
            node.loading.begin();
            node.barrier.alone(|| node.flush(None));
            node.saves.forget_libraries();
            let (result, loaded) = node.load(&spool.path, true, &mut |_, _| alive());
            result.map_err(|error| format!("its data is damaged: {error}"))?;
            db = loaded.place.and_then(|place| place.db).or(db);
        }
        node.replication.begin_at(self.generation, self.place.clone(), db.unwrap_or(0)).map_err(late)?;
        node.loading.end();
        Ok(std::mem::take(&mut self.rest))
    }

    /// Gives up: what has come is thrown away.
    pub fn give_up(self, node: &Shared) {
        if node.loading.is_on() {
            node.barrier.alone(|| node.flush(None));
            node.replication.forget_place();
            node.loading.end();
        }
    }
}

impl Spool {
    fn create() -> Result<Spool, String> {
        let path = PathBuf::from(format!("temp-{}.primary.rdb", std::process::id()));
        let file = File::create(&path);
        match file {
            Ok(file) => Ok(Spool { file, path }),
            Err(error) => Err(format!("cannot create {}: {error}", path.display())),
        }
    }

    fn at(&self, what: &str, error: io::Error) -> String {
        format!("{what} {}: {error}", self.path.display())
    }
}

fn late(_: Refused) -> String {
    "the node is to follow another one by now".to_owned()
}
