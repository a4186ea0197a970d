//! Who takes part: voters and learners, what may be changed at once, and how a change is spelled in an entry.
//!
//! The raft crate wants membership changes as protobuf, and parses them itself only where this node has just made them.
//! [`decode`] reads those that come out of a log: the few fields there are, in the one spelling that protobuf gives them,
//! with no nesting but the one list. It takes the place of protobuf's own parser, which peers' bytes must not reach.

use std::collections::BTreeSet;
use std::fmt;

use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};

use super::limits::{CHANGES_MAX, MEMBERS_MAX, NUMBER_MAX, VOTERS_MAX};
use super::wire::Error;

/// The number by which consensus knows a node. Never 0 and never given to another node, even after the first has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub u64);

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A change of one member. Several that are asked for together become true together, by joint consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A new member that follows and does not vote.
    AddLearner(Member),
    /// A learner becomes a voter. It should have caught up, or it is a vote that nobody can count on.
    Promote(Member),
    /// A voter becomes a learner.
    Demote(Member),
    /// A member leaves, for good.
    Remove(Member),
}

impl Change {
    pub fn member(self) -> Member {
        match self {
            Change::AddLearner(member) | Change::Promote(member) | Change::Demote(member) | Change::Remove(member) => {
                member
            }
        }
    }
}

/// Why a change of members cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAChange {
    /// It changes nothing.
    Empty,
    /// More than [`CHANGES_MAX`] at once.
    TooMany,
    /// Not a number of a member: 0, or beyond what can be.
    Number,
    /// The member is named twice.
    Twice(Member),
    /// It takes part already.
    Known(Member),
    /// It does not take part.
    Unknown(Member),
    /// It is a voter, or it is a learner, and should be the other.
    Role(Member),
    /// There would be no voter left, or more than [`VOTERS_MAX`].
    Voters(usize),
    /// There would be more members than [`MEMBERS_MAX`].
    Members,
    /// The leader would lose its vote. Its leadership is to be transferred first.
    Leader,
}

impl fmt::Display for NotAChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAChange::Empty => f.write_str("there is nothing to change"),
            NotAChange::TooMany => write!(f, "at most {CHANGES_MAX} members can be changed at once"),
            NotAChange::Number => f.write_str("that is not the number of a member"),
            NotAChange::Twice(member) => write!(f, "member {member} is named twice"),
            NotAChange::Known(member) => write!(f, "member {member} takes part already"),
            NotAChange::Unknown(member) => write!(f, "member {member} does not take part"),
            NotAChange::Role(member) => write!(f, "member {member} is that already"),
            NotAChange::Voters(count) => write!(f, "there would be {count} voters; 1 to {VOTERS_MAX} can be"),
            NotAChange::Members => write!(f, "there would be more than {MEMBERS_MAX} members"),
            NotAChange::Leader => f.write_str("the leader would lose its vote; transfer leadership first"),
        }
    }
}

/// Who takes part, as of some index of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub voters: BTreeSet<Member>,
    pub learners: BTreeSet<Member>,
    /// While a change of several voters is under way, those that voted before it: a majority of them is needed, too.
    pub voters_before: BTreeSet<Member>,
}

impl Members {
    pub(super) fn of(state: &ConfState) -> Members {
        let set = |list: &[u64]| list.iter().map(|member| Member(*member)).collect::<BTreeSet<_>>();
        Members {
            voters: set(&state.voters),
            learners: set(&state.learners),
            voters_before: set(&state.voters_outgoing),
        }
    }

    /// Whether the last change is still under way.
    pub fn is_changing(&self) -> bool {
        !self.voters_before.is_empty()
    }

    pub fn contains(&self, member: Member) -> bool {
        self.voters.contains(&member) || self.learners.contains(&member) || self.voters_before.contains(&member)
    }

    /// Who would take part after these changes.
    ///
    /// # Errors
    ///
    /// [`NotAChange`] says why they cannot be.
    pub fn after(&self, changes: &[Change]) -> Result<Members, NotAChange> {
        if changes.is_empty() {
            return Err(NotAChange::Empty);
        }
        if changes.len() > CHANGES_MAX {
            return Err(NotAChange::TooMany);
        }
        let mut after = self.clone();
        let mut named = BTreeSet::new();
        for change in changes {
            let member = change.member();
            if member.0 == 0 || member.0 > NUMBER_MAX {
                return Err(NotAChange::Number);
            }
            if !named.insert(member) {
                return Err(NotAChange::Twice(member));
            }
            let (votes, learns) = (self.voters.contains(&member), self.learners.contains(&member));
            match change {
                Change::AddLearner(_) if votes || learns => return Err(NotAChange::Known(member)),
                Change::Promote(_) | Change::Demote(_) | Change::Remove(_) if !votes && !learns => {
                    return Err(NotAChange::Unknown(member));
                }
                Change::Promote(_) if votes => return Err(NotAChange::Role(member)),
                Change::Demote(_) if learns => return Err(NotAChange::Role(member)),
                _ => {}
            }
            after.voters.remove(&member);
            after.learners.remove(&member);
            match change {
                Change::Promote(_) => after.voters.insert(member),
                Change::AddLearner(_) | Change::Demote(_) => after.learners.insert(member),
                Change::Remove(_) => false,
            };
        }
        if !(1..=VOTERS_MAX).contains(&after.voters.len()) {
            return Err(NotAChange::Voters(after.voters.len()));
        }
        if after.voters.len() + after.learners.len() > MEMBERS_MAX {
            return Err(NotAChange::Members);
        }
        Ok(after)
    }
}

pub(super) fn proposal(changes: &[Change]) -> ConfChangeV2 {
    let single = |change: &Change| {
        let mut single = ConfChangeSingle { node_id: change.member().0, ..ConfChangeSingle::default() };
        single.set_change_type(match change {
            Change::Promote(_) => ConfChangeType::AddNode,
            Change::AddLearner(_) | Change::Demote(_) => ConfChangeType::AddLearnerNode,
            Change::Remove(_) => ConfChangeType::RemoveNode,
        });
        single
    };
    let changes = changes.iter().map(single).collect::<Vec<_>>().into();
    ConfChangeV2 { changes, ..ConfChangeV2::default() }
}

// --- the spelling: field 2 of ConfChangeV2 is a list of messages, whose field 1 is the type and whose field 2 the member

const TAG_CHANGE: u8 = 2 << 3 | 2;
const TAG_TYPE: u8 = 1 << 3;
const TAG_MEMBER: u8 = 2 << 3;

const TYPES: [ConfChangeType; 3] =
    [ConfChangeType::AddNode, ConfChangeType::RemoveNode, ConfChangeType::AddLearnerNode];

/// The bytes of a change, the same that protobuf makes of it; none for the end of a joint change. Shows what `decode` reads.
#[cfg(test)]
pub(super) fn encode(change: &ConfChangeV2) -> Vec<u8> {
    let mut out = Vec::new();
    for single in change.changes.iter() {
        let mut inner = Vec::new();
        // Protobuf does not write a field that has its default, here the first type.
        let kind = TYPES.iter().position(|kind| *kind == single.get_change_type()).unwrap_or_default() as u8;
        if kind != 0 {
            inner.extend([TAG_TYPE, kind]);
        }
        inner.push(TAG_MEMBER);
        let mut rest = single.node_id;
        while rest >= 0x80 {
            inner.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        inner.push(rest as u8);
        out.extend([TAG_CHANGE, inner.len() as u8]);
        out.extend(inner);
    }
    out
}

/// Reads the bytes that protobuf makes of a change, and nothing else.
///
/// # Errors
///
/// [`Error`], whatever the bytes are.
pub(super) fn decode(bytes: &[u8]) -> Result<ConfChangeV2, Error> {
    const WRONG: Error = Error::Invalid("a change of members");
    let mut changes = Vec::new();
    let mut rest = bytes;
    while let Some((&tag, after)) = rest.split_first() {
        let (&len, after) = after.split_first().ok_or(Error::Short)?;
        let (inner, after) = after.split_at_checked(usize::from(len)).ok_or(Error::Short)?;
        rest = after;
        if tag != TAG_CHANGE || changes.len() == CHANGES_MAX {
            return Err(WRONG);
        }
        let (kind, inner) = match inner {
            [TAG_TYPE, kind, inner @ ..] if *kind != 0 => (*TYPES.get(usize::from(*kind)).ok_or(WRONG)?, inner),
            inner => (TYPES[0], inner),
        };
        let [TAG_MEMBER, digits @ ..] = inner else { return Err(WRONG) };
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = varint(digits).ok_or(WRONG)?;
        changes.push(single);
    }
    Ok(ConfChangeV2 { changes: changes.into(), ..ConfChangeV2::default() })
}

/// A number in groups of seven bits, the lowest first, all of the bytes and no more groups than it takes.
fn varint(digits: &[u8]) -> Option<u64> {
    let (&last, before) = digits.split_last()?;
    let shape = digits.len() <= 9 && last < 0x80 && last != 0 && before.iter().all(|digit| *digit >= 0x80);
    let number = digits.iter().rev().fold(0, |number, digit| number << 7 | u64::from(digit & 0x7f));
    (shape && number <= NUMBER_MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(voters: &[u64], learners: &[u64]) -> Members {
        let set = |list: &[u64]| list.iter().map(|member| Member(*member)).collect::<BTreeSet<_>>();
        Members { voters: set(voters), learners: set(learners), voters_before: BTreeSet::new() }
    }

    #[test]
    fn several_members_change_at_once() {
        let before = members(&[1, 2, 3], &[4]);
        let after = before.after(&[Change::Promote(Member(4)), Change::Remove(Member(1)), Change::Demote(Member(2))]);
        assert_eq!(after, Ok(members(&[3, 4], &[2])));
        assert_eq!(before.after(&[Change::AddLearner(Member(9))]), Ok(members(&[1, 2, 3], &[4, 9])));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let before = members(&[1], &[4]);
        for (changes, why) in [
            (&[][..], NotAChange::Empty),
            (&[Change::AddLearner(Member(0))], NotAChange::Number),
            (&[Change::AddLearner(Member(u64::MAX))], NotAChange::Number),
            (&[Change::AddLearner(Member(4))], NotAChange::Known(Member(4))),
            (&[Change::Promote(Member(5))], NotAChange::Unknown(Member(5))),
            (&[Change::Promote(Member(1))], NotAChange::Role(Member(1))),
            (&[Change::Demote(Member(4))], NotAChange::Role(Member(4))),
            (&[Change::Remove(Member(1))], NotAChange::Voters(0)),
            (&[Change::Remove(Member(4)), Change::Promote(Member(4))], NotAChange::Twice(Member(4))),
            (&[Change::Remove(Member(4)); CHANGES_MAX + 1], NotAChange::TooMany),
        ] {
            assert_eq!(before.after(changes), Err(why), "{changes:?}");
        }
        let many = members(&[1, 2, 3, 4, 5, 6, 7], &[8]);
        assert_eq!(many.after(&[Change::Promote(Member(8))]), Err(NotAChange::Voters(8)));
    }

    fn change() -> impl proptest::strategy::Strategy<Value = Change> {
        use proptest::prelude::*;
        let member = prop_oneof![1_u64..300, 1..=NUMBER_MAX].prop_map(Member);
        (0..4, member).prop_map(|(kind, member)| match kind {
            0 => Change::AddLearner(member),
            1 => Change::Promote(member),
            2 => Change::Demote(member),
            _ => Change::Remove(member),
        })
    }

    proptest::proptest! {
        #[test]
        fn changes_are_spelled_as_protobuf_spells_them(changes in proptest::collection::vec(change(), 0..CHANGES_MAX)) {
            let proposal = proposal(&changes);
            let bytes = encode(&proposal);
            proptest::prop_assert_eq!(&bytes, &protobuf::Message::write_to_bytes(&proposal).unwrap());
            proptest::prop_assert_eq!(decode(&bytes).unwrap(), proposal);
        }

        #[test]
        fn one_change_has_one_spelling(bytes: Vec<u8>, spoiled in proptest::collection::vec(change(), 1..4),
            at: proptest::sample::Index, byte: u8) {
            let mut nearly = encode(&proposal(&spoiled));
            let at = at.index(nearly.len());
            nearly[at] = byte;
            for bytes in [bytes, nearly[..at].to_vec(), nearly] {
                if let Ok(change) = decode(&bytes) {
                    proptest::prop_assert_eq!(encode(&change), bytes);
                }
            }
        }
    }
}
