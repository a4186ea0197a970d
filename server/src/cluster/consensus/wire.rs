//! How the raft crate's values are written, to peers and to the journal: fields in a fixed order, numbers little-endian and of
//! a fixed width, everything of variable length behind its length.
//!
//! Reading is total. Whatever the bytes are, the answer is a value or an [`Error`]; lengths are checked against a limit and
//! against what is there before anything is allocated; and one value has one spelling, so that nothing can hide. What is
//! read has been checked as far as it can be without knowing a log: a message that would make the raft crate panic in any
//! state is refused here, and one that would in *this* state by `check`.
//!
//! Protobuf's parser never sees what a peer sent (RUSTSEC-2024-0437: nested input overflows its stack). The raft crate uses it
//! in one place: a leader parses the membership changes that it is asked to propose, which are made on the spot by
//! `members`, and proposals of peers are refused. Changes that arrive inside of entries are read by `members::decode`.
//!
//! Left out are fields that nothing here uses: priorities, requests for a snapshot, and the `context` of entries.

use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot};

use super::limits::{
    CONTEXT_BYTES_MAX, ENTRIES_MAX, MEMBERS_MAX, NUMBER_MAX, PROPOSAL_BYTES_MAX, SNAPSHOT_BYTES_MAX, VOTERS_MAX,
};
use super::members;

/// The first byte of a message. A node that speaks another version is told apart before anything else is read.
pub const VERSION: u8 = 1;

/// Bytes of an entry without its data: kind, term, index, length.
const ENTRY_BYTES_MIN: usize = 1 + 8 + 8 + 4;

/// What is wrong with bytes that should have been a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// They end before the value does.
    Short,
    /// They go on behind the value.
    Trailing,
    /// They begin with another version of this codec.
    Version(u8),
    /// Something is longer than is allowed.
    TooLong { what: &'static str, len: usize, max: usize },
    /// A field holds what it never may.
    Invalid(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Short => f.write_str("it ends too early"),
            Error::Trailing => f.write_str("there are bytes behind its end"),
            Error::Version(found) => write!(f, "it is of version {found}, and this node speaks version {VERSION}"),
            Error::TooLong { what, len, max } => write!(f, "{what} of {len}, and at most {max} are allowed"),
            Error::Invalid(what) => write!(f, "it is not valid: {what}"),
        }
    }
}

impl std::error::Error for Error {}

// --- messages

/// The message's type, as it is written; `None` for those that never leave a node.
fn kind(kind: MessageType) -> Option<u8> {
    KINDS.iter().position(|known| *known == kind).map(|at| at as u8)
}

/// By their number on the wire. Proposals and wishes to transfer leadership do not travel: who is not the leader refuses them.
const KINDS: [MessageType; 12] = [
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
];

/// Writes a message; `None` if it is one of those that never leave a node.
pub(super) fn message(message: &Message) -> Option<Vec<u8>> {
    let data: usize = message.entries.iter().map(|entry| ENTRY_BYTES_MIN + entry.data.len()).sum();
    let mut out = Vec::with_capacity(96 + data + message.get_snapshot().data.len());
    out.extend([VERSION, kind(message.get_msg_type())?, u8::from(message.reject)]);
    let numbers = [
        message.to,
        message.from,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
    ];
    numbers.iter().for_each(|number| out.extend(number.to_le_bytes()));
    bytes(&mut out, &message.context);
    count(&mut out, message.entries.len());
    message.entries.iter().for_each(|one| entry(&mut out, one));
    if message.get_msg_type() == MessageType::MsgSnapshot {
        snapshot(&mut out, message.get_snapshot());
    }
    Some(out)
}

/// # Errors
///
/// [`Error`], whatever the bytes are.
pub(super) fn read_message(bytes: &[u8]) -> Result<Message, Error> {
    let mut from = Reader::new(bytes);
    match from.byte()? {
        VERSION => {}
        other => return Err(Error::Version(other)),
    }
    let kind = *KINDS.get(usize::from(from.byte()?)).ok_or(Error::Invalid("the type of a message"))?;
    let mut message = Message::default();
    message.set_msg_type(kind);
    message.reject = from.flag()?;
    message.to = from.number()?;
    message.from = from.number()?;
    message.term = from.number()?;
    message.log_term = from.number()?;
    message.index = from.number()?;
    message.commit = from.number()?;
    message.commit_term = from.number()?;
    message.reject_hint = from.number()?;
    message.context = from.bytes("a context", CONTEXT_BYTES_MAX)?.to_vec().into();
    let entries = from.count("entries", ENTRIES_MAX, ENTRY_BYTES_MIN)?;
    message.entries = (0..entries).map(|_| from.entry()).collect::<Result<Vec<_>, _>>()?.into();
    if kind == MessageType::MsgSnapshot {
        message.set_snapshot(from.snapshot()?);
    }
    from.end()?;
    plausible(&message)?;
    Ok(message)
}

/// What must hold for every message in any state of the receiver, since the raft crate relies on it.
fn plausible(message: &Message) -> Result<(), Error> {
    let kind = message.get_msg_type();
    let holds = |condition: bool, what| if condition { Ok(()) } else { Err(Error::Invalid(what)) };
    holds(message.from != 0 && message.to != 0, "a member's number of 0")?;
    holds((message.term == 0) == (kind == MessageType::MsgReadIndex), "a term")?;
    match kind {
        MessageType::MsgAppend => {
            // Index 0 is the empty log's end, the only one whose term is 0.
            holds((message.index == 0) == (message.log_term == 0), "the term before an append")?;
            let mut last = (message.index, message.log_term);
            for entry in message.entries.iter() {
                holds(entry.index == last.0 + 1, "the order of entries")?;
                holds(entry.term >= last.1.max(1) && entry.term <= message.term, "the term of an entry")?;
                last = (entry.index, entry.term);
            }
            Ok(())
        }
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
            let [entry] = message.get_entries() else { return Err(Error::Invalid("the number of a read's entries")) };
            holds(entry.data.len() <= CONTEXT_BYTES_MAX, "the length of a read's context")?;
            holds(entry.index == 0 && entry.term == 0 && is_normal(entry), "a read's entry")
        }
        MessageType::MsgSnapshot => {
            let meta = message.get_snapshot().get_metadata();
            holds(meta.term <= message.term, "the term of a snapshot")?;
            holds(message.entries.is_empty(), "entries beside a snapshot")
        }
        _ => holds(message.entries.is_empty(), "entries where there are none"),
    }
}

fn is_normal(entry: &Entry) -> bool {
    entry.get_entry_type() == EntryType::EntryNormal
}

// --- what the journal keeps, too

pub(super) fn entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(if is_normal(entry) { 0 } else { 1 });
    out.extend(entry.term.to_le_bytes());
    out.extend(entry.index.to_le_bytes());
    bytes(out, &entry.data);
}

pub(super) fn hard_state(out: &mut Vec<u8>, state: &HardState) {
    [state.term, state.vote, state.commit].iter().for_each(|number| out.extend(number.to_le_bytes()));
}

pub(super) fn snapshot(out: &mut Vec<u8>, snapshot: &Snapshot) {
    let meta = snapshot.get_metadata();
    out.extend(meta.index.to_le_bytes());
    out.extend(meta.term.to_le_bytes());
    conf_state(out, meta.get_conf_state());
    bytes(out, &snapshot.data);
}

pub(super) fn conf_state(out: &mut Vec<u8>, state: &ConfState) {
    for list in [&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next] {
        // In ascending order, since the raft crate's sets have none, and one value is to have one spelling.
        let mut list = list.clone();
        list.sort_unstable();
        count(out, list.len());
        list.iter().for_each(|member| out.extend(member.to_le_bytes()));
    }
    out.push(u8::from(state.auto_leave));
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend(bytes);
}

fn count(out: &mut Vec<u8>, count: usize) {
    // All counts have limits far below, which `limits` and the callers keep.
    out.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

/// Takes values from the front of some bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Trailing) }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid("a flag")),
        }
    }

    /// A number that may be counted up without a thought.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        let number = u64::from_le_bytes(self.array()?);
        if number > NUMBER_MAX { Err(Error::Invalid("a number beyond all that can be")) } else { Ok(number) }
    }

    /// A length of so many things, each of which takes some bytes that must be there.
    fn count(&mut self, what: &'static str, max: usize, bytes_each: usize) -> Result<usize, Error> {
        let len = u32::from_le_bytes(self.array()?) as usize;
        if len > max {
            return Err(Error::TooLong { what, len, max });
        }
        if self.rest.len() / bytes_each < len { Err(Error::Short) } else { Ok(len) }
    }

    pub(super) fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], Error> {
        let len = self.count(what, max, 1)?;
        self.take(len)
    }

    pub(super) fn entry(&mut self) -> Result<Entry, Error> {
        let mut entry = Entry::default();
        entry.set_entry_type(if self.flag()? { EntryType::EntryConfChangeV2 } else { EntryType::EntryNormal });
        entry.term = self.number()?;
        entry.index = self.number()?;
        let data = self.bytes("an entry's data", PROPOSAL_BYTES_MAX)?;
        if !is_normal(&entry) {
            members::decode(data)?;
        }
        entry.data = data.to_vec().into();
        Ok(entry)
    }

    pub(super) fn hard_state(&mut self) -> Result<HardState, Error> {
        let (term, vote, commit) = (self.number()?, self.number()?, self.number()?);
        Ok(HardState { term, vote, commit, ..HardState::default() })
    }

    pub(super) fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        let meta = snapshot.mut_metadata();
        meta.index = self.number()?;
        meta.term = self.number()?;
        if meta.index == 0 || meta.term == 0 {
            return Err(Error::Invalid("a snapshot of nothing"));
        }
        meta.set_conf_state(self.conf_state()?);
        snapshot.data = self.bytes("a snapshot", SNAPSHOT_BYTES_MAX)?.to_vec().into();
        Ok(snapshot)
    }

    /// A membership that the raft crate can be in.
    pub(super) fn conf_state(&mut self) -> Result<ConfState, Error> {
        let state = ConfState {
            voters: self.members("voters", VOTERS_MAX)?,
            learners: self.members("learners", MEMBERS_MAX)?,
            voters_outgoing: self.members("leaving voters", VOTERS_MAX)?,
            learners_next: self.members("voters that become learners", VOTERS_MAX)?,
            auto_leave: self.flag()?,
            ..ConfState::default()
        };
        let is_voter = |member: &u64| state.voters.contains(member) || state.voters_outgoing.contains(member);
        let holds = |condition: bool, what| if condition { Ok(()) } else { Err(Error::Invalid(what)) };
        holds(!state.voters.is_empty(), "a membership without voters")?;
        holds(!state.learners.iter().any(is_voter), "a learner that votes")?;
        let leaves = |member: &u64| state.voters_outgoing.contains(member) && !state.voters.contains(member);
        holds(state.learners_next.iter().all(leaves), "a learner to be that does not vote")?;
        holds(!state.auto_leave || !state.voters_outgoing.is_empty(), "an end of what is not joint")?;
        Ok(state)
    }

    /// Members in ascending order, none of them 0 and none twice.
    fn members(&mut self, what: &'static str, max: usize) -> Result<Vec<u64>, Error> {
        let len = self.count(what, max, size_of::<u64>())?;
        let members = (0..len).map(|_| self.number()).collect::<Result<Vec<_>, _>>()?;
        let ascend = members.first() != Some(&0) && members.is_sorted_by(|one, next| one < next);
        if ascend { Ok(members) } else { Err(Error::Invalid("the order of members")) }
    }
}
