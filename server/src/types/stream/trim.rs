//! Taking entries off the front of a stream.

use super::id::Id;
use super::log::Log;
use super::node::{Node, NodeLimits};

/// What XTRIM, and XADD with the same options, ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub to: TrimTo,
    /// Whole nodes only, so that a few more entries may stay.
    pub is_approximate: bool,
    /// The most entries to remove; a node that would go beyond stays whole.
    pub limit: Option<u64>,
}

/// What stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimTo {
    /// The last so many entries.
    Length(u64),
    /// The entries from this id on.
    MinId(Id),
}

impl Trim {
    /// The limit of an approximate trim that states none: a hundred nodes, within 1 and 1 000 000 entries.
    pub fn default_limit(limits: NodeLimits) -> u64 {
        match limits.entries_max {
            0 => 10_000,
            entries => (entries as u64).saturating_mul(100).min(1_000_000),
        }
    }
}

impl TrimTo {
    /// Whether the entry at `id` stays, being the first of `length`.
    fn keeps(self, id: Id, length: u64) -> bool {
        match self {
            Self::Length(max) => length <= max,
            Self::MinId(min) => id >= min,
        }
    }

    /// Whether no entry of the first node stays.
    fn drops(self, node: &Node, length: u64) -> bool {
        match self {
            Self::Length(max) => length - u64::from(node.live()) >= max,
            Self::MinId(min) => node.last() < min,
        }
    }
}

impl Log {
    /// Removes entries from the front and returns how many.
    pub fn trim(&mut self, trim: Trim) -> u64 {
        let before = self.length;
        while let Some(place) = self.nodes.first() {
            let (master, node) = self.nodes.at(place);
            if matches!(trim.to, TrimTo::Length(max) if self.length <= max) {
                break;
            }
            let live = u64::from(node.live());
            if trim.limit.is_some_and(|limit| before - self.length + live > limit) {
                break;
            }
            if trim.to.drops(node, self.length) {
                self.length -= live;
                self.remove_node(place);
                continue;
            }
            if !trim.is_approximate {
                let (_, node) = self.nodes.at_mut(place);
                self.length = trim_node(master, node, trim.to, self.length);
            }
            break;
        }
        if self.length < before {
            self.find_first();
        }
        before - self.length
    }
}

/// Marks entries of the first node and returns the new length of the stream.
///
/// A node may be left without entries, if those it could keep were deleted before. It stays, and takes the next
/// entries if it is the last, because Redis does so.
fn trim_node(master: Id, node: &mut Node, to: TrimTo, mut length: u64) -> u64 {
    let mut mark = node.scan(master).mark();
    loop {
        let mut scan = node.scan_from(mark);
        let Some(raw) = scan.next().filter(|raw| !to.keeps(raw.id, length)) else { break };
        mark = scan.mark();
        if !raw.is_deleted {
            node.delete_at(raw.at);
            length -= 1;
        }
    }
    length
}
