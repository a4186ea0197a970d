//! The journal after crashes, flipped bits, full disks and failing syncs.

use std::collections::BTreeSet;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};

use super::super::journal::simulated::Simulated;
use super::super::journal::{Error, Identity, Journal, Recovered, Start};
use super::super::{Durable, Index, Member};
use super::random::{Random, say, seeds};
use crate::cluster::id::Id;

const IDENTITY: Identity = Identity { cluster: Id::new([1; 20]), node: Id::new([2; 20]), member: Member(3) };

fn found() -> Start {
    Start::Found { voters: BTreeSet::from([Member(3), Member(4)]), state: b"in the beginning".to_vec() }
}

fn entries(from: u64, term: u64, lens: &[usize]) -> Vec<Entry> {
    let entry = |(at, len): (usize, &usize)| {
        let mut entry = Entry::default();
        (entry.index, entry.term) = (from + at as u64, term);
        entry.data = vec![term as u8; *len].into();
        entry
    };
    lens.iter().enumerate().map(entry).collect()
}

fn vote(term: u64, vote: u64, commit: u64) -> Option<HardState> {
    let mut state = HardState::default();
    (state.term, state.vote, state.commit) = (term, vote, commit);
    Some(state)
}

fn snapshot(index: u64, term: u64, len: usize) -> Option<Snapshot> {
    let mut snapshot = Snapshot::default();
    let meta = snapshot.mut_metadata();
    (meta.index, meta.term) = (index, term);
    meta.set_conf_state(ConfState { voters: vec![3, 4], ..ConfState::default() });
    snapshot.data = vec![9; len].into();
    Some(snapshot)
}

/// A life: votes, entries, entries in place of others, a compaction, a leader's snapshot, and what follows it.
fn saves() -> Vec<Durable> {
    let save = |snapshot, entries, hard_state| Durable { snapshot, entries, hard_state };
    vec![
        save(None, vec![], vote(2, 3, 1)),
        save(None, entries(2, 2, &[3, 0, 700]), None),
        save(None, entries(5, 2, &[1]), vote(2, 3, 4)),
        save(None, entries(5, 3, &[20, 600, 5]), vote(3, 4, 4)),
        save(snapshot(4, 2, 90), entries(5, 3, &[20, 600, 5]), vote(3, 4, 7)),
        save(None, entries(8, 3, &[40]), None),
        save(snapshot(20, 5, 700), vec![], vote(5, 0, 20)),
        save(None, entries(21, 5, &[1, 2, 3]), vote(5, 0, 22)),
    ]
}

/// What a journal should hold.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    snapshot: Option<Snapshot>,
    entries: Vec<Entry>,
    hard_state: HardState,
}

impl Held {
    fn of(recovered: &Recovered) -> Held {
        let Recovered { snapshot, entries, hard_state, .. } = recovered;
        Held { snapshot: snapshot.clone(), entries: entries.clone(), hard_state: hard_state.clone() }
    }

    fn save(&mut self, durable: &Durable) {
        if let Some(snapshot) = &durable.snapshot {
            self.snapshot = Some(snapshot.clone());
            self.entries.clear();
        }
        if let Some(first) = durable.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
            self.entries.extend(durable.entries.clone());
        }
        if let Some(state) = &durable.hard_state {
            self.hard_state = state.clone();
        }
    }

    /// With a snapshot that is there, while the log that belongs to it is not yet.
    fn with_snapshot_alone(mut self, snapshot: &Snapshot) -> Held {
        let meta = snapshot.get_metadata();
        let agrees = self.entries.iter().any(|entry| (entry.index, entry.term) == (meta.index, meta.term));
        self.entries.retain(|entry| agrees && entry.index > meta.index);
        self.snapshot = Some(snapshot.clone());
        let state = &mut self.hard_state;
        if state.term < meta.term {
            (state.term, state.vote) = (meta.term, 0);
        }
        state.commit = state.commit.max(meta.index);
        self
    }
}

fn open(disk: Simulated) -> (Journal<Simulated>, Recovered) {
    Journal::open(disk, IDENTITY).unwrap_or_else(|error| panic!("{error}"))
}

/// A journal that has lived through all saves.
fn grown() -> (Simulated, Held) {
    let (mut journal, recovered) = Journal::create(Simulated::default(), IDENTITY, found()).unwrap();
    let mut held = Held::of(&recovered);
    for durable in &saves() {
        journal.save(durable).unwrap();
        held.save(durable);
    }
    (journal.into_disk(), held)
}

/// Lives until the power goes. What is held then, and what would have been held after the save that was under way.
fn live(power: usize) -> Option<(Simulated, Held, Option<Durable>)> {
    let (mut journal, recovered) = Journal::create(Simulated::with_power(power), IDENTITY, found()).ok()?;
    let mut held = Held::of(&recovered);
    for durable in saves() {
        if journal.save(&durable).is_err() {
            return Some((journal.into_disk(), held, Some(durable)));
        }
        held.save(&durable);
    }
    Some((journal.into_disk(), held, None))
}

#[test]
fn a_crash_at_any_byte_loses_nothing_that_was_acknowledged() {
    let mut random = say(seeds(1)[0]);
    let mut cuts = 0;
    let mut torn = 0;
    for power in 0.. {
        let Some((disk, held, under_way)) = live(power) else { continue };
        for kind in 0..4 {
            let disk = if kind == 0 { disk.clone().kill() } else { disk.clone().crash(&mut random) };
            let (mut journal, recovered) = open(disk);
            let found = Held::of(&recovered);
            torn += usize::from(recovered.torn.is_some());
            let mut allowed = vec![held.clone()];
            if let Some(durable) = &under_way {
                let mut after = held.clone();
                after.save(durable);
                allowed.push(after);
                allowed.extend(durable.snapshot.iter().map(|snapshot| held.clone().with_snapshot_alone(snapshot)));
            }
            assert!(allowed.contains(&found), "power {power}:\n{found:?}\nis none of\n{allowed:?}");
            // It goes on, and tears no more.
            let last = recovered.last().0;
            let more = Durable { snapshot: None, entries: entries(last + 1, 9, &[10]), hard_state: None };
            journal.save(&more).unwrap();
            let (_, again) = open(journal.into_disk().crash(&mut random));
            assert_eq!((again.last(), again.torn), (Index(last + 1), None));
        }
        cuts += 1;
        if under_way.is_none() {
            break;
        }
    }
    assert!(cuts > 3000 && torn > 1000, "{cuts} places, {torn} torn frames");
}

#[test]
fn a_cluster_begins_with_some_voters() {
    for voters in [vec![], vec![0, 1], (1..=8).collect()] {
        let voters = voters.into_iter().map(Member).collect();
        let start = Start::Found { voters, state: Vec::new() };
        assert!(matches!(Journal::create(Simulated::default(), IDENTITY, start), Err(Error::Start(_))));
    }
}

#[test]
fn a_crash_while_a_journal_is_made_leaves_none() {
    let mut random = say(seeds(1)[0]);
    for power in 0.. {
        let disk = Simulated::with_power(power);
        match Journal::create(disk, IDENTITY, found()) {
            Ok((journal, _)) => {
                assert!(Journal::open(journal.into_disk().crash(&mut random), IDENTITY).is_ok());
                return;
            }
            Err(error) => assert!(matches!(error, Error::Io { .. } | Error::Refusing { .. }), "{error}"),
        }
    }
}

#[test]
fn a_flipped_bit_is_told_and_nothing_is_changed() {
    let (mut disk, held) = grown();
    for name in disk.names() {
        for bit in 0..disk.bytes(&name).len() * 8 {
            let mut disk = disk.clone();
            disk.bytes(&name)[bit / 8] ^= 1 << (bit % 8);
            match Journal::open(disk.clone(), IDENTITY) {
                Err(Error::Damaged { .. } | Error::Newer { .. }) => {}
                Err(other) => panic!("{name}, bit {bit}: {other}"),
                Ok(_) => panic!("{name}, bit {bit}: it was opened"),
            }
        }
    }
    assert_eq!(Held::of(&open(disk).1), held);
}

#[test]
fn a_file_that_is_gone_is_told() {
    use super::super::journal::Disk;
    let (mut journal, _) = Journal::create(Simulated::default(), IDENTITY, found()).unwrap();
    for at in 0..12 {
        journal.save(&Durable { snapshot: None, entries: entries(2 + at, 2, &[1 << 20]), hard_state: None }).unwrap();
    }
    let disk = journal.into_disk();
    assert_eq!(disk.names().len(), 5, "{:?}", disk.names());
    assert_eq!(open(disk.clone()).1.last(), Index(13));
    for name in disk.names().into_iter().filter(|name| *name != "log-0000000000000004") {
        let mut disk = disk.clone();
        disk.remove(&name).unwrap();
        let error = Journal::open(disk, IDENTITY).err().unwrap();
        let missing =
            format!("the journal is damaged: {name}, byte 0: the file is missing. Nothing was changed. To go on, ");
        assert!(error.to_string().starts_with(&missing), "{error}");
    }
}

#[test]
fn a_journal_of_others_is_refused() {
    let (disk, _) = grown();
    for (identity, words) in [
        (Identity { cluster: Id::new([7; 20]), ..IDENTITY }, "is that of another cluster: "),
        (Identity { node: Id::new([7; 20]), ..IDENTITY }, "is that of another node: "),
        (
            Identity { member: Member(4), ..IDENTITY },
            "says member 3, and this is member 4. Nothing was changed. Start this ",
        ),
    ] {
        let error = Journal::open(disk.clone(), identity).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut newer = disk.clone();
    let name = newer.names().pop().unwrap();
    newer.bytes(&name)[8] = 2;
    let error = Journal::open(newer, IDENTITY).err().unwrap().to_string();
    assert!(error.contains("has format 2, and this version reads up to 1"), "{error}");
    assert!(matches!(Journal::open(Simulated::default(), IDENTITY), Err(Error::Absent)));
}

#[test]
fn a_failed_sync_ends_all_writing_until_the_journal_is_opened_again() {
    for (nth, snapshot) in [(0, None), (1, snapshot(30, 5, 10))] {
        let (disk, held) = grown();
        let mut random = Random::new(nth);
        let (mut journal, _) = open(disk);
        journal.disk().fails_sync = true;
        let base = if snapshot.is_some() { 31 } else { 24 };
        let durable = Durable { snapshot, entries: entries(base, 6, &[5]), hard_state: None };
        assert!(matches!(journal.save(&durable), Err(Error::Refusing { .. })));
        journal.disk().fails_sync = false;
        let error = journal.save(&durable).unwrap_err().to_string();
        assert!(error.starts_with("the journal takes nothing more, since syncing "), "{error}");
        let (mut journal, recovered) = open(journal.into_disk().crash(&mut random));
        assert!(recovered.last() >= Index(held.entries.last().unwrap().index));
        assert!(journal.save(&durable).is_ok());
    }
}

#[test]
fn a_full_disk_is_told_and_takes_nothing_away() {
    let mut random = say(seeds(1)[0]);
    for spare in 0..3000 {
        let (disk, mut held) = grown();
        let (mut journal, _) = open(disk);
        journal.disk().room = Some(journal.disk().used() + spare);
        let after = [
            Durable { snapshot: None, entries: entries(24, 6, &[900]), hard_state: vote(6, 3, 20) },
            Durable { snapshot: snapshot(24, 6, 500), entries: vec![], hard_state: vote(6, 3, 24) },
            Durable { snapshot: None, entries: entries(25, 6, &[100]), hard_state: None },
        ];
        for durable in &after {
            if let Err(error) = journal.save(durable) {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                // Opened by another process now, it holds what was acknowledged.
                let mut disk = journal.disk().clone().crash(&mut random);
                disk.room = None;
                let found = Held::of(&open(disk).1);
                let alone = durable.snapshot.iter().map(|snapshot| held.clone().with_snapshot_alone(snapshot));
                assert!(alone.chain([held.clone()]).any(|allowed| allowed == found), "{spare}: {found:?}");
                journal.disk().room = None;
                journal.save(durable).unwrap();
            }
            held.save(durable);
        }
        assert_eq!(Held::of(&open(journal.into_disk()).1), held);
    }
}
