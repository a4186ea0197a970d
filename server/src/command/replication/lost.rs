//! Writes that go with the history they stand in: a node that led, and comes back as a replica of one which has not seen the end
//! of its stream, throws these away with its data. Before it does, they are told: in the log, in `INFO`, and in a file.
//!
//! What the new primary has is known from its answer to PSYNC (`repl/greeting`). The rest of the stream is still in the ring,
//! unless there is more of it than the backlog holds. A node that was killed has no ring any more, and cannot tell.

mod file;

use super::Replication;
use crate::cluster::ranges::Ranges;
use crate::command::gate;
use crate::command::shared::now_ms;
use crate::command::words::Words;
use crate::repl::ring::Part;
use crate::repl::spell;
use larder_client::slot::{self, Slot};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Runs of slots that are told in `INFO` and in the log.
const RUNS_MAX: usize = 64;

/// The end of the node's stream, of which the new primary has less.
#[derive(Debug)]
pub struct Tail {
    /// The history and the offsets that are lost.
    place: Place,
    /// All that is held of the stream, and the offset of its first byte.
    pub parts: Vec<Part>,
    pub start: u64,
    /// The database that the stream has selected in the end.
    selected: usize,
}

/// A piece of a history, from one offset to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: String,
    from: u64,
    to: u64,
}

impl Tail {
    /// The offset from which on everything is lost.
    pub fn from(&self) -> u64 {
        self.place.from
    }
}

/// What is lost, gathered command by command.
#[derive(Debug, Default)]
pub struct Tally {
    commands: u64,
    slots: BTreeSet<Slot>,
    /// The commands as they are kept.
    kept: Vec<u8>,
    /// The database that the stream has selected, if it has said so, and the one that is selected by what is kept.
    db: Option<usize>,
    kept_db: usize,
    /// What is kept of a transaction whose end has not come.
    transaction: Option<Vec<u8>>,
}

/// What was lost.
#[derive(Debug, PartialEq, Eq)]
struct Loss {
    /// Writes; those of a transaction one by one.
    commands: u64,
    slots: Ranges,
    /// The writes as clients would send them.
    kept: Vec<u8>,
}

impl Tally {
    /// Takes the next command of the stream: its words, and its bytes. One that is not lost only tells the database.
    pub fn take(&mut self, words: Words<'_>, bytes: &[u8], is_lost: bool) {
        let name = words.get(0).to_ascii_uppercase();
        match name.as_slice() {
            b"SELECT" if words.len() == 2 => {
                self.db = std::str::from_utf8(words.get(1)).ok().and_then(|db| db.parse().ok());
            }
            _ if !is_lost => {}
            b"MULTI" => self.transaction = Some(Vec::new()),
            b"EXEC" => self.end_transaction(),
            _ => self.take_write(words, bytes),
        }
    }

    fn take_write(&mut self, words: Words<'_>, bytes: &[u8]) {
        let found = gate::find(words).ok();
        match found {
            Some(found) if found.is_write() => {
                self.slots.extend(found.key_positions(words).into_iter().map(|at| slot::of(words.get(at))));
            }
            // It writes nothing: PING, REPLCONF, PUBLISH.
            Some(_) => return,
            // A Redis above has commands that are passed on all the same: functions.
            None => {}
        }
        self.commands += 1;
        let out = self.transaction.as_mut().unwrap_or(&mut self.kept);
        if let Some(db) = self.db.filter(|db| *db != self.kept_db) {
            spell::push_select(out, db);
            self.kept_db = db;
        }
        out.extend_from_slice(bytes);
    }

    fn end_transaction(&mut self) {
        let Some(inner) = self.transaction.take().filter(|inner| !inner.is_empty()) else { return };
        spell::push_command(&mut self.kept, [&b"MULTI"[..]].into_iter());
        self.kept.extend_from_slice(&inner);
        spell::push_command(&mut self.kept, [&b"EXEC"[..]].into_iter());
    }

    /// Ends it; `selected` is the database that the stream has selected in the end.
    fn end(mut self, selected: usize) -> Loss {
        if let Some(inner) = self.transaction.take() {
            self.kept.extend_from_slice(&inner);
        }
        let mut kept = Vec::new();
        // Without a word of it, it has been the same all along. If the word came in between, what was before is not known.
        if self.db.is_none() && selected != 0 {
            spell::push_select(&mut kept, selected);
        }
        kept.append(&mut self.kept);
        Loss { commands: self.commands, slots: self.slots.into_iter().collect(), kept }
    }
}

/// What was lost since the node was started, for `INFO`.
#[derive(Debug, Default)]
pub(super) struct Losses {
    total: u64,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    place: Place,
    commands: u64,
    /// Whether these are all: the backlog held all that the new primary lacks.
    is_all: bool,
    slots: String,
    file: Option<PathBuf>,
}

impl Losses {
    pub fn fill_info(&self, put: &mut dyn FnMut(&str, String)) {
        put("larder_lost_writes_total", self.total.to_string());
        let Some(Last { place, commands, is_all, slots, file }) = &self.last else { return };
        put("larder_lost_writes_last_count", commands.to_string());
        put("larder_lost_writes_last_is_all", u8::from(*is_all).to_string());
        put("larder_lost_writes_last_from", place.from.to_string());
        put("larder_lost_writes_last_to", place.to.to_string());
        put("larder_lost_writes_last_slots", slots.clone());
        put("larder_lost_writes_last_file", file.as_ref().map_or(String::new(), |file| file.display().to_string()));
    }
}

impl Replication {
    /// The end of the stream that the node has beyond what it shares with the primary that it follows since `generation`; `None`
    /// if there is none, or it has been told.
    pub fn tail(&self, generation: u64, shared: u64) -> Option<Tail> {
        let state = self.state.lock();
        let is_current = state.generation == generation && state.upstream.is_some();
        let (start, to) = (state.ring.start(), state.ring.end());
        if !is_current || !state.is_active || shared >= to {
            return None;
        }
        let place = Place { id: state.history.id.clone(), from: shared, to };
        // The link may break before the data is replaced, and the same be found again.
        let is_told = self.losses.lock().last.as_ref().is_some_and(|last| last.place == place);
        (!is_told).then(|| Tail { place, parts: state.ring.parts(), start, selected: state.selected.unwrap_or(0) })
    }

    /// Tells what is lost of a tail, and keeps the commands in a file of this folder. `is_whole` says whether all that is held
    /// of it could be read.
    pub fn tell_lost(&self, folder: &Path, tail: Tail, tally: Tally, is_whole: bool) {
        let Tail { place, start, selected, .. } = tail;
        let is_all = is_whole && start <= place.from;
        let Loss { commands, slots, kept } = tally.end(selected);
        if commands == 0 && is_all {
            return;
        }
        let file = if kept.is_empty() { Ok(None) } else { file::write(folder, now_ms(), &kept).map(Some) };
        let (slots, least) = (shown(&slots), if is_all { "" } else { "at least " });
        let Place { id, from, to } = &place;
        let told = format!(
            "{least}{commands} writes that this node took are lost, as its new primary has never seen them: \
             offsets {from} to {to} of the history {id}, slots {slots}"
        );
        match &file {
            Ok(Some(file)) => {
                tracing::warn!("{told}. They are kept in {}, which redis-cli --pipe would write again", file.display())
            }
            Ok(None) => tracing::warn!("{told}. They are not in the backlog any more (repl-backlog-size)"),
            Err(error) => tracing::warn!("{told}. They could not be kept in a file: {error}"),
        }
        let mut losses = self.losses.lock();
        losses.total += commands;
        losses.last = Some(Last { place, commands, is_all, slots, file: file.ok().flatten() });
    }
}

/// Slots as they are told: the first runs of them.
fn shown(slots: &Ranges) -> String {
    let runs = slots.runs();
    if runs.len() <= RUNS_MAX {
        return slots.to_string();
    }
    let first: Ranges = slots.iter().take_while(|slot| *slot <= runs[RUNS_MAX - 1].1).collect();
    format!("{first} and {} more", slots.len() - first.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::Span;

    /// What is lost of a stream of these lines of plain words; those before `--` are not.
    fn loss_of(lines: &[&str], selected: usize) -> Loss {
        let (mut tally, mut is_lost) = (Tally::default(), !lines.contains(&"--"));
        for line in lines {
            if *line == "--" {
                is_lost = true;
                continue;
            }
            let (mut bytes, mut spans) = (Vec::new(), Vec::new());
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            spell::push_command(&mut bytes, words.iter().copied());
            let mut end = format!("*{}\r\n", words.len()).len();
            for word in words {
                let start = end + format!("${}\r\n", word.len()).len();
                spans.push(Span { start: start as u32, len: word.len() as u32 });
                end = start + word.len() + 2;
            }
            tally.take(Words { buffer: &bytes, spans: &spans }, &bytes, is_lost);
        }
        tally.end(selected)
    }

    /// What is kept, as lines.
    fn kept(loss: &Loss) -> Vec<String> {
        let text = String::from_utf8(loss.kept.clone()).unwrap();
        let commands = text.split('*').skip(1);
        commands.map(|command| command.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn writes_are_counted_and_nothing_else_is() {
        let loss = loss_of(
            &[
                "SELECT 0",
                "SET a 1",
                "--",
                "SET b 2",
                "PING",
                "REPLCONF GETACK x",
                "PUBLISH c m",
                "DEL b c",
                "FLUSHALL",
            ],
            0,
        );
        assert_eq!(loss.commands, 3);
        assert_eq!(kept(&loss), ["SET b 2", "DEL b c", "FLUSHALL"]);
        assert_eq!(loss.slots, [slot::of(b"b"), slot::of(b"c")].into_iter().collect());
        assert_eq!(loss_of(&["PING", "SELECT 3"], 3), Loss { commands: 0, slots: Ranges::default(), kept: vec![] });
    }

    #[test]
    fn keys_are_found_where_a_command_has_them() {
        let loss = loss_of(&["XGROUP CREATE s g 0 MKSTREAM", "ZUNIONSTORE d 2 e f", "FUNCTION DELETE lib"], 0);
        assert_eq!(loss.commands, 3, "functions are a Redis's above");
        assert_eq!(loss.slots, [b"s", b"d", b"e", b"f"].map(|key| slot::of(key)).into_iter().collect());
    }

    #[test]
    fn a_transaction_counts_what_is_in_it_and_stays_whole() {
        let loss = loss_of(&["MULTI", "SET a 1", "PUBLISH c m", "SET b 1", "EXEC", "MULTI", "PUBLISH c m", "EXEC"], 0);
        assert_eq!(loss.commands, 2);
        assert_eq!(kept(&loss), ["MULTI", "SET a 1", "SET b 1", "EXEC"]);
    }

    #[test]
    fn what_is_kept_goes_to_the_databases_that_it_was_in() {
        let lines =
            ["SELECT 3", "SET a 1", "--", "SET b 1", "SELECT 0", "PING", "SELECT 5", "MULTI", "SET c 1", "SELECT 0"];
        let loss = loss_of(&[&lines[..], &["SET d 1", "EXEC", "SET e 1"]].concat(), 0);
        assert_eq!(
            kept(&loss),
            ["SELECT 3", "SET b 1", "MULTI", "SELECT 5", "SET c 1", "SELECT 0", "SET d 1", "EXEC", "SET e 1"]
        );
        // The beginning of the stream is not held any more, and nothing else was selected since.
        assert_eq!(kept(&loss_of(&["SET a 1"], 7)), ["SELECT 7", "SET a 1"]);
        assert_eq!(kept(&loss_of(&["SET a 1"], 0)), ["SET a 1"]);
    }

    #[test]
    fn many_slots_are_told_in_part() {
        let every_other = |count: u16| (0..count).filter_map(|at| Slot::new(at * 2)).collect::<Ranges>();
        assert!(shown(&every_other(64)).ends_with(" 124 126"));
        assert!(shown(&every_other(66)).ends_with(" 124 126 and 2 more"));
    }
}
