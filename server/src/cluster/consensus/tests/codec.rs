//! The codec against the protobuf types, and against bytes that are no messages.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Place;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot};

use super::super::members::{Change, Member, encode, proposal};
use super::super::wire::{self, Error, Reader};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..5, 0_u64..1000, 0..=1_u64 << 62]
}

fn entries() -> impl Strategy<Value = Vec<(u64, Result<Vec<u8>, u64>)>> {
    let data = prop_oneof![4 => vec(any::<u8>(), 0..40).prop_map(Ok), 1 => (1_u64..1000).prop_map(Err)];
    vec((0_u64..3, data), 0..6)
}

/// Entries behind an index and a term; an `Err` is a change of that member.
fn follow(index: u64, term: u64, parts: Vec<(u64, Result<Vec<u8>, u64>)>) -> Vec<Entry> {
    let (mut index, mut term) = (index, term.max(1));
    let entry = |(later, data)| {
        index += 1;
        term += later;
        let mut entry = Entry::default();
        (entry.index, entry.term) = (index, term);
        entry.data = match data {
            Ok(data) => data,
            Err(member) => {
                entry.set_entry_type(EntryType::EntryConfChangeV2);
                encode(&proposal(&[Change::Remove(Member(member)), Change::AddLearner(Member(member + 1))]))
            }
        }
        .into();
        entry
    };
    parts.into_iter().map(entry).collect()
}

fn conf_state() -> impl Strategy<Value = ConfState> {
    let kinds = vec(0..6, 2..20);
    (kinds, any::<bool>()).prop_map(|(kinds, auto_leave)| {
        let mut state = ConfState::default();
        state.voters.push(1);
        for (member, kind) in kinds.into_iter().enumerate().map(|(at, kind)| (at as u64 + 2, kind)) {
            match kind {
                0 if state.voters.len() < 7 => state.voters.push(member),
                1 if state.voters_outgoing.len() < 7 => state.voters_outgoing.push(member),
                2 if state.voters_outgoing.len() < 7 => {
                    state.voters_outgoing.push(member);
                    state.learners_next.push(member);
                }
                _ => state.learners.push(member),
            }
        }
        state.auto_leave = auto_leave && !state.voters_outgoing.is_empty();
        state
    })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    (1_u64..1000, 1_u64..10, conf_state(), vec(any::<u8>(), 0..100)).prop_map(|(index, term, members, data)| {
        let mut snapshot = Snapshot::default();
        let meta = snapshot.mut_metadata();
        (meta.index, meta.term) = (index, term);
        meta.set_conf_state(members);
        snapshot.data = data.into();
        snapshot
    })
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = vec(number(), 8);
    (0..12_usize, numbers, any::<bool>(), vec(any::<u8>(), 0..64), entries(), snapshot()).prop_map(
        |(kind, numbers, reject, context, entries, snapshot)| {
            let kinds = [
                MessageType::MsgAppend,
                MessageType::MsgAppendResponse,
                MessageType::MsgRequestVote,
                MessageType::MsgRequestVoteResponse,
                MessageType::MsgSnapshot,
                MessageType::MsgHeartbeat,
                MessageType::MsgHeartbeatResponse,
                MessageType::MsgTimeoutNow,
                MessageType::MsgReadIndex,
                MessageType::MsgReadIndexResp,
                MessageType::MsgRequestPreVote,
                MessageType::MsgRequestPreVoteResponse,
            ];
            let mut message = Message::default();
            message.set_msg_type(kinds[kind]);
            (message.to, message.from, message.term) = (numbers[0].max(1), numbers[1].max(1), numbers[2].max(1));
            (message.log_term, message.index) = (numbers[3], numbers[4]);
            (message.commit, message.commit_term, message.reject_hint) = (numbers[5], numbers[6], numbers[7]);
            (message.reject, message.context) = (reject, context.clone().into());
            match kinds[kind] {
                MessageType::MsgAppend => {
                    message.index = message.index.min(1 << 60);
                    message.log_term = if message.index == 0 { 0 } else { message.log_term.clamp(1, 1 << 60) };
                    let entries = follow(message.index, message.log_term, entries);
                    message.term = entries.last().map_or(message.term, |last| last.term);
                    message.set_entries(entries.into());
                }
                MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
                    let entry = Entry { data: context.into(), ..Entry::default() };
                    message.set_entries(vec![entry].into());
                    if kinds[kind] == MessageType::MsgReadIndex {
                        message.term = 0;
                    }
                }
                MessageType::MsgSnapshot => {
                    message.term = message.term.max(10);
                    message.set_snapshot(snapshot);
                }
                _ => {}
            }
            message
        },
    )
}

proptest! {
    #[test]
    fn messages_come_back_as_they_went(message in message()) {
        let bytes = wire::message(&message).unwrap();
        prop_assert_eq!(wire::read_message(&bytes), Ok(message));
    }

    #[test]
    fn a_message_that_is_cut_or_has_a_tail_is_refused(message in message(), cut: Place) {
        let mut bytes = wire::message(&message).unwrap();
        prop_assert_eq!(wire::read_message(&bytes[..cut.index(bytes.len())]), Err(Error::Short));
        bytes.push(0);
        prop_assert_eq!(wire::read_message(&bytes), Err(Error::Trailing));
    }

    #[test]
    fn a_message_with_a_byte_changed_is_refused_or_another_message(message in message(), at: Place, byte: u8) {
        let mut bytes = wire::message(&message).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = wire::read_message(&bytes) {
            prop_assert_eq!(wire::message(&read).unwrap(), bytes, "one message has one spelling");
        }
    }

    #[test]
    fn whatever_the_bytes_are_there_is_an_answer(mut bytes in vec(any::<u8>(), 0..300)) {
        let _ = wire::read_message(&bytes);
        if let [version, kind, ..] = &mut bytes[..] {
            (*version, *kind) = (wire::VERSION, *kind % 12);
        }
        let _ = wire::read_message(&bytes);
        let _ = Reader::new(&bytes).entry();
        let _ = Reader::new(&bytes).snapshot();
        let _ = Reader::new(&bytes).conf_state();
    }

    #[test]
    fn what_the_journal_keeps_comes_back(snapshot in snapshot(), parts in entries(), numbers in vec(number(), 3)) {
        let mut bytes = Vec::new();
        wire::snapshot(&mut bytes, &snapshot);
        let entries = follow(5, 2, parts);
        entries.iter().for_each(|entry| wire::entry(&mut bytes, entry));
        let mut state = HardState::default();
        (state.term, state.vote, state.commit) = (numbers[0], numbers[1], numbers[2]);
        wire::hard_state(&mut bytes, &state);
        let mut from = Reader::new(&bytes);
        prop_assert_eq!(from.snapshot(), Ok(snapshot));
        for entry in entries {
            prop_assert_eq!(from.entry(), Ok(entry));
        }
        prop_assert_eq!(from.hard_state(), Ok(state));
        prop_assert!(from.is_empty());
    }
}

#[test]
fn lengths_are_checked_before_room_is_made() {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgAppend);
    (message.to, message.from, message.term) = (1, 2, 3);
    let mut bytes = wire::message(&message).unwrap();
    let count = bytes.len() - 4;
    bytes[count..].copy_from_slice(&60_000_u32.to_le_bytes());
    assert_eq!(wire::read_message(&bytes), Err(Error::Short));
    bytes[count..].copy_from_slice(&u32::MAX.to_le_bytes());
    let len = u32::MAX as usize;
    assert_eq!(wire::read_message(&bytes), Err(Error::TooLong { what: "entries", len, max: 65_536 }));
}

#[test]
fn what_the_raft_crate_would_trip_over_is_refused() {
    let append = |index, log_term, entries: &[(u64, u64)]| {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgAppend);
        (message.to, message.from, message.term) = (1, 2, 9);
        (message.index, message.log_term) = (index, log_term);
        let entry = |(index, term): &(u64, u64)| {
            let mut entry = Entry::default();
            (entry.index, entry.term) = (*index, *term);
            entry
        };
        message.set_entries(entries.iter().map(entry).collect::<Vec<_>>().into());
        wire::read_message(&wire::message(&message).unwrap()).map(drop)
    };
    assert_eq!(append(4, 2, &[(5, 2), (6, 9)]), Ok(()));
    assert_eq!(append(4, 2, &[(5, 2), (7, 9)]), Err(Error::Invalid("the order of entries")));
    assert_eq!(append(4, 2, &[(5, 1)]), Err(Error::Invalid("the term of an entry")));
    assert_eq!(append(4, 2, &[(5, 10)]), Err(Error::Invalid("the term of an entry")));
    assert_eq!(append(4, 0, &[]), Err(Error::Invalid("the term before an append")));

    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgReadIndex);
    (message.to, message.from) = (1, 2);
    let bytes = wire::message(&message).unwrap();
    assert_eq!(wire::read_message(&bytes), Err(Error::Invalid("the number of a read's entries")));

    for local in
        [MessageType::MsgHup, MessageType::MsgPropose, MessageType::MsgTransferLeader, MessageType::MsgSnapStatus]
    {
        message.set_msg_type(local);
        assert_eq!(wire::message(&message), None, "{local:?} does not travel");
    }
    let mut other = bytes;
    other[0] = 2;
    assert_eq!(wire::read_message(&other), Err(Error::Version(2)));
}

#[test]
fn memberships_that_cannot_be_are_refused() {
    let read = |voters: &[u64], learners: &[u64], outgoing: &[u64], next: &[u64]| {
        let mut state = ConfState::default();
        (state.voters, state.learners) = (voters.to_vec(), learners.to_vec());
        (state.voters_outgoing, state.learners_next) = (outgoing.to_vec(), next.to_vec());
        let mut bytes = Vec::new();
        wire::conf_state(&mut bytes, &state);
        Reader::new(&bytes).conf_state().map(drop)
    };
    assert_eq!(read(&[3, 1, 2], &[4], &[], &[]), Ok(()));
    assert_eq!(read(&[1, 2], &[4], &[1, 3], &[3]), Ok(()));
    assert_eq!(read(&[], &[4], &[], &[]), Err(Error::Invalid("a membership without voters")));
    assert_eq!(read(&[1, 1], &[], &[], &[]), Err(Error::Invalid("the order of members")));
    assert_eq!(read(&[0, 1], &[], &[], &[]), Err(Error::Invalid("the order of members")));
    assert_eq!(read(&[1], &[1], &[], &[]), Err(Error::Invalid("a learner that votes")));
    assert_eq!(read(&[1], &[], &[2], &[1]), Err(Error::Invalid("a learner to be that does not vote")));
    let eight = [1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(read(&eight, &[], &[], &[]), Err(Error::TooLong { what: "voters", len: 8, max: 7 }));
}
