//! What a message must not say to a node in a certain state, since the raft crate would panic over it or believe it.
//!
//! None of this comes from a peer that works and has lost nothing: it takes a peer, or a disk, that forgot what it had
//! acknowledged. The answer is to leave the message out, which is always safe, and to say so to the operator.

use raft::eraftpb::{Message, MessageType};
use raft::{Raft, StateRole};

use super::limits::READS_MAX;
use super::log::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// Of no use in this state, as it happens.
    Idle,
    /// It cannot be true, unless somebody lost what it had acknowledged.
    Impossible(&'static str),
}

/// Looks at a message that `wire` has read.
pub(super) fn verdict(raft: &Raft<Log>, message: &Message) -> Verdict {
    let last = raft.raft_log.last_index();
    let is_leader = raft.state == StateRole::Leader;
    let is_of_term = message.term == raft.term;
    let is_heard = message.term > raft.term || (is_of_term && !is_leader);
    match message.get_msg_type() {
        // What is of an older term is answered without a look at the rest.
        MessageType::MsgHeartbeat if is_heard && message.commit > last => {
            Verdict::Impossible("the leader believes that this node holds entries that it does not hold")
        }
        MessageType::MsgAppendResponse if is_leader && is_of_term && !message.reject && message.index > last => {
            Verdict::Impossible("a follower says that it holds entries that its leader does not hold")
        }
        MessageType::MsgTimeoutNow if has_unwritten(raft) => Verdict::Idle,
        MessageType::MsgReadIndex if !is_leader => Verdict::Idle,
        MessageType::MsgReadIndex if raft.read_only.pending_read_count() >= READS_MAX => Verdict::Idle,
        _ => Verdict::Good,
    }
}

/// Whether entries came in that no step has written yet. Who stands for election then, and is the only voter, wins at once,
/// and the raft crate (0.7.0, `become_leader`) panics, since it takes for granted that all is written.
pub(super) fn has_unwritten(raft: &Raft<Log>) -> bool {
    !raft.raft_log.unstable_entries().is_empty() || raft.raft_log.unstable_snapshot().is_some()
}
