//! What becomes of the raft crate's messages before they are written.

use raft::Raft;
use raft::eraftpb::{Message, MessageType};

use super::limits::{APPEND_BYTES_MAX, ENTRIES_MAX};
use super::log::Log;

/// Makes a message with entries follow the entry before its first, in this leader's log; `None` if that is there no more.
///
/// The raft crate (0.7.0, `try_batching`) puts entries into a message for the same peer that waits to be sent. If that one is
/// empty, it does not look where it stands; and if the peer has said in between that it lacks earlier entries, they do not
/// follow it. The peer's raft crate would take them for others. `wire` refuses such messages.
pub(super) fn anchored(raft: &Raft<Log>, mut message: Message) -> Option<Message> {
    let before = message.entries.first().map_or(message.index, |first| first.index.saturating_sub(1));
    if message.get_msg_type() == MessageType::MsgAppend && before != message.index {
        (message.index, message.log_term) = (before, raft.raft_log.term(before).unwrap_or_default());
        if before != 0 && message.log_term == 0 {
            return None;
        }
    }
    Some(message)
}

/// Cuts a message with entries into several of the usual size. The raft crate joins what goes to one peer in one step, without
/// a limit, which saves messages until a member has to catch up with the whole log.
pub(super) fn split(mut message: Message) -> Vec<Message> {
    let bytes: usize = message.entries.iter().map(|entry| entry.data.len()).sum();
    if bytes <= APPEND_BYTES_MAX && message.entries.len() <= ENTRIES_MAX {
        return vec![message];
    }
    let mut parts = Vec::new();
    let mut entries = message.take_entries().into_iter().peekable();
    while entries.peek().is_some() {
        let mut part = message.clone();
        let (mut bytes, mut taken) = (0, Vec::new());
        while let Some(entry) = entries.next_if(|entry| {
            taken.is_empty() || (bytes + entry.data.len() <= APPEND_BYTES_MAX && taken.len() < ENTRIES_MAX)
        }) {
            bytes += entry.data.len();
            taken.push(entry);
        }
        // The next part follows the last entry of this one.
        if let Some(last) = taken.last() {
            (message.index, message.log_term) = (last.index, last.term);
        }
        part.set_entries(taken.into());
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::eraftpb::Entry;

    #[test]
    fn parts_of_a_large_message_follow_each_other() {
        let entry = |index: u64| {
            let data = vec![7; if index == 13 { APPEND_BYTES_MAX + 5 } else { 300_000 }].into();
            Entry { index, term: index / 10, data, ..Entry::default() }
        };
        let entries: Vec<Entry> = (6..30).map(entry).collect();
        let mut message = Message { to: 2, from: 1, term: 3, index: 5, commit: 20, ..Message::default() };
        message.set_msg_type(MessageType::MsgAppend);
        message.set_entries(entries.clone().into());
        let parts = split(message);
        let mut before = (5, 0);
        for part in &parts {
            assert_eq!((part.to, part.term, part.commit), (2, 3, 20));
            assert_eq!((part.index, part.log_term), before);
            let bytes: usize = part.entries.iter().map(|entry| entry.data.len()).sum();
            assert!(bytes <= APPEND_BYTES_MAX || part.entries.len() == 1, "{bytes}");
            before = part.entries.last().map_or(before, |last| (last.index, last.term));
        }
        let sent: Vec<Entry> = parts.into_iter().flat_map(|part| part.entries.into_iter()).collect();
        assert_eq!(sent, entries);
    }
}
