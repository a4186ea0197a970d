//! What goes into consensus and what comes out of it, in this project's own words.

use std::fmt;

use raft::eraftpb::{Entry, HardState, Snapshot};

use super::limits::{PROPOSAL_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use super::members::{Member, Members, NotAChange};
use super::wire;

/// A place in the log. The first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an election. A term has one leader or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names something that was asked of [`super::Consensus`], so that the answer finds who asked. Chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What must be on the disk before anything else of a step happens. Only [`super::journal::Journal`] looks inside.
#[derive(Debug)]
pub struct Durable {
    /// Takes the place of all before it; then `entries` are all that follow it.
    pub(super) snapshot: Option<Snapshot>,
    pub(super) entries: Vec<Entry>,
    pub(super) hard_state: Option<HardState>,
}

impl Durable {
    pub(super) fn is_empty(&self) -> bool {
        self.snapshot.is_none() && self.entries.is_empty() && self.hard_state.is_none()
    }
}

/// What a step asks for once its writes are durable. In the order of the fields.
#[derive(Debug, Default)]
pub struct Then {
    /// The state machine begins anew, from here.
    pub restore: Option<Restored>,
    /// Committed entries, in the order of the log, for the state machine.
    pub apply: Vec<Applied>,
    /// Answers. What a ticket tells committed is in `apply` of this step or one before.
    pub settled: Vec<(Ticket, Settled)>,
    /// Who leads and what this node is, if that has changed.
    pub standing: Option<Standing>,
    /// Messages. They may be lost, doubled and overtake each other.
    pub send: Vec<Parcel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub index: Index,
    pub state: Vec<u8>,
    pub members: Members,
}

/// A committed entry. Leaders' empty ones are passed over, so indices have gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    pub index: Index,
    pub term: Term,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What was proposed.
    Proposal(Vec<u8>),
    /// Who takes part from now on.
    Members(Members),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub to: Member,
    /// At most [`super::limits::MESSAGE_BYTES_MAX`], for the other's [`super::Consensus::receive`].
    pub bytes: Vec<u8>,
}

/// How something ended that was asked with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It stands in the log at this index, for ever.
    Committed(Index),
    /// All that was committed anywhere when the read was asked for has been applied here, up to this index at least.
    Current(Index),
    /// Leadership was lost before the end was known: it may be committed later, or never. Ask what became of it, then try again.
    Unknown,
    /// A read found no leader that a majority follows, within [`super::limits::READ_TICKS_MAX`].
    NoQuorum,
    /// The change of members was overtaken by another, and changed nothing.
    Unchanged,
}

/// Why something that was asked is not even begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This node does not lead. Ask the leader, if one is known.
    NotLeader { leader: Option<Member> },
    /// Larger than [`PROPOSAL_BYTES_MAX`].
    TooLarge { bytes: usize },
    /// Nothing at all is proposed.
    Empty,
    /// Too much is under way: proposals or reads that are not settled, bytes not committed, or a log that must be compacted.
    Busy,
    /// Leadership is being handed over.
    Transferring,
    /// A change of members is under way; one at a time.
    Changing,
    /// The change cannot be.
    Change(NotAChange),
    /// The member does not vote, so it cannot lead.
    NotAVoter(Member),
    /// What was to be saved could not be. Nothing goes on until [`super::Consensus::step`] succeeds.
    Stalled,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NotLeader { leader: Some(leader) } => write!(f, "member {leader} leads the cluster"),
            Refused::NotLeader { leader: None } => f.write_str("no leader of the cluster is known"),
            Refused::TooLarge { bytes } => {
                write!(f, "a proposal of {bytes} bytes; at most {PROPOSAL_BYTES_MAX} are allowed")
            }
            Refused::Empty => f.write_str("a proposal of nothing"),
            Refused::Busy => f.write_str("too much is under way; try again later"),
            Refused::Transferring => f.write_str("leadership is being handed over; try again later"),
            Refused::Changing => f.write_str("a change of members is under way; try again later"),
            Refused::Change(why) => why.fmt(f),
            Refused::NotAVoter(member) => write!(f, "member {member} does not vote, so it cannot lead"),
            Refused::Stalled => f.write_str("this node cannot write its journal"),
        }
    }
}

impl std::error::Error for Refused {}

/// Why a message was left out. Leaving out is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It cannot be read.
    Wire(wire::Error),
    /// It says that it is for another member, or comes from another than the link's.
    Address,
    /// It cannot be true unless somebody lost what it had acknowledged: a disk was replaced or restored, and the node must
    /// join again as a new member.
    Impossible(&'static str),
    /// See [`Refused::Stalled`].
    Stalled,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::Wire(error) => write!(f, "a message that cannot be read: {error}"),
            Rejected::Address => f.write_str("a message for another member, or from another"),
            Rejected::Impossible(what) => {
                write!(f, "{what}: a member has lost what it had acknowledged, and must join again as a new one")
            }
            Rejected::Stalled => f.write_str("this node cannot write its journal"),
        }
    }
}

impl std::error::Error for Rejected {}

/// Why a log was not compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCompacted {
    /// A snapshot covers that already.
    Covered,
    /// The state machine has not come so far.
    NotApplied,
    /// Larger than [`SNAPSHOT_BYTES_MAX`].
    TooLarge { bytes: usize },
}

impl fmt::Display for NotCompacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotCompacted::Covered => f.write_str("a snapshot covers that already"),
            NotCompacted::NotApplied => f.write_str("that has not been applied"),
            NotCompacted::TooLarge { bytes } => {
                write!(f, "a snapshot of {bytes} bytes; at most {SNAPSHOT_BYTES_MAX} are allowed")
            }
        }
    }
}

impl std::error::Error for NotCompacted {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Leader,
    /// Stands for election, or asks whether it should.
    Candidate,
    /// Votes and follows.
    Voter,
    /// Follows.
    Learner,
    /// Takes no part: not yet, or no longer.
    Outside,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub role: Role,
    pub term: Term,
    pub leader: Option<Member>,
}

/// How far a member has come, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub member: Member,
    /// Its log agrees with the leader's up to here.
    pub matched: Index,
    /// A snapshot is on its way to it.
    pub is_restoring: bool,
}
