//! The members of a large sorted set in order: a B+ tree whose inner nodes know how many entries lie below each child.
//!
//! So the entry of a rank, the rank of an entry, and the rank at which a range begins are each one descent. Nodes are
//! vectors that grow by steps; the height is 4 at a million members. Nodes may be emptier than a textbook's: a full
//! node at the end of the tree is not halved when something is put behind it, so that what arrives in order fills
//! nodes, and a node is joined with a neighbour only when it falls below a quarter.
//!
//! The tree points to members that the table owns: an entry must be taken out before its element is dropped, see
//! `element`.
//!
//! Copies [share](crate::types::shared) their nodes. A change to a tree that was copied copies the nodes on its way, some
//! three kilobytes.

use super::super::steps::{self, List};
use super::element::Alias;
use crate::types::shared::SharedVec;
use std::ops::Range;

/// Entries of a leaf: a kilobyte.
const LEAF_MAX: usize = 64;
/// Entries that a leaf grows by.
const LEAF_STEP: usize = 8;
/// Children of an inner node.
const INNER_MAX: usize = 32;
/// Children that an inner node grows by.
const INNER_STEP: usize = 4;

/// A member and its score, in the tree's order: by score, then by the member's bytes. Zeros are equal whatever their
/// sign.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) score: f64,
    pub(super) member: Alias,
}

impl Entry {
    fn is_before(&self, other: &Entry) -> bool {
        // Nearly always the scores decide, by one comparison that the binary searches need not branch on.
        self.score < other.score || (self.score == other.score && self.is_before_by_member(other))
    }

    #[cold]
    fn is_before_by_member(&self, other: &Entry) -> bool {
        self.member != other.member && self.member.member() < other.member.member()
    }
}

/// Not empty, unless it is the root.
#[derive(Clone)]
enum Node {
    Leaf(SharedVec<Entry>),
    Inner(SharedVec<Child>),
}

#[derive(Clone)]
struct Child {
    /// The first entry below.
    first: Entry,
    /// Entries below.
    count: usize,
    node: Node,
}

#[derive(Clone)]
pub(super) struct Tree {
    root: Node,
    /// Of all nodes' vectors.
    bytes: usize,
}

/// Whether a node is the first or the last of its height.
#[derive(Clone, Copy)]
struct Edge {
    first: bool,
    last: bool,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { root: Node::Leaf(SharedVec::new()), bytes: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an entry that is not there yet.
    pub(super) fn insert(&mut self, entry: Entry) {
        let Some(right) = self.root.insert(entry, Edge { first: true, last: true }, &mut self.bytes) else { return };
        let left = std::mem::replace(&mut self.root, Node::Inner(SharedVec::new()));
        let mut children = SharedVec::new();
        steps::insert(&mut children, 0, Child::of(left), INNER_STEP, &mut self.bytes);
        steps::insert(&mut children, 1, right, INNER_STEP, &mut self.bytes);
        self.root = Node::Inner(children);
    }

    /// Takes out an entry that is there.
    pub(super) fn remove(&mut self, entry: Entry) {
        self.root.remove(entry, &mut self.bytes);
        self.lower();
    }

    /// Takes out the entries of these ranks, which are there, and puts them behind those of `out`.
    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>, out: &mut Vec<Entry>) {
        if !ranks.is_empty() {
            self.root.remove_ranks(ranks, out, &mut self.bytes);
            self.lower();
        }
    }

    /// How many entries are before this one, which is there.
    pub(super) fn rank(&self, entry: Entry) -> usize {
        self.partition_point(|other| other.is_before(&entry))
    }

    /// How many entries `is_before` says yes to; those must be the first ones.
    pub(super) fn partition_point(&self, is_before: impl Fn(&Entry) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(entries) => return rank + entries.partition_point(is_before),
                Node::Inner(children) => {
                    // The border is below the last child that begins before it.
                    let Some(index) = children.partition_point(|child| is_before(&child.first)).checked_sub(1) else {
                        return rank;
                    };
                    rank += children[..index].iter().map(|child| child.count).sum::<usize>();
                    node = &children[index].node;
                }
            }
        }
    }

    /// The leaf that holds the entry of this rank, which is there, and the entry's index in it.
    pub(super) fn leaf(&self, rank: usize) -> (&[Entry], usize) {
        let (mut node, mut rank) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(entries) => return (entries, rank),
                Node::Inner(children) => {
                    let index = child_of_rank(children, &mut rank);
                    node = &children[index].node;
                }
            }
        }
    }

    /// Drops a root that has but one child.
    fn lower(&mut self) {
        while let Node::Inner(children) = &mut self.root {
            if children.len() > 1 {
                return;
            }
            let child = children.pop();
            self.bytes -= children.heap();
            self.root = child.map_or(Node::Leaf(SharedVec::new()), |child| child.node);
        }
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut entries = Vec::new();
        assert_eq!(self.root.check(&mut entries), self.bytes);
        assert!(entries.is_sorted_by(|a, b| a.is_before(b)));
    }
}

/// The child that holds the entry of `rank`, which becomes the rank below it.
fn child_of_rank(children: &[Child], rank: &mut usize) -> usize {
    for (index, child) in children.iter().enumerate() {
        match rank.checked_sub(child.count) {
            Some(rest) => *rank = rest,
            None => return index,
        }
    }
    unreachable!("a rank is below the number of entries")
}

impl Child {
    fn of(node: Node) -> Child {
        Child { first: node.first(), count: node.count(), node }
    }
}

impl Node {
    fn first(&self) -> Entry {
        match self {
            Node::Leaf(entries) => entries[0],
            Node::Inner(children) => children[0].first,
        }
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(entries) => entries.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.is_empty(),
            Node::Inner(children) => children.is_empty(),
        }
    }

    /// Whether it should be joined with a neighbour.
    fn is_sparse(&self) -> bool {
        match self {
            Node::Leaf(entries) => entries.len() < LEAF_MAX / 4,
            Node::Inner(children) => children.len() < INNER_MAX / 4,
        }
    }

    /// Adds an entry below. If the node was full, it keeps the first part, and the rest is returned.
    fn insert(&mut self, entry: Entry, edge: Edge, bytes: &mut usize) -> Option<Child> {
        match self {
            Node::Leaf(entries) => {
                let at = entries.partition_point(|other| other.is_before(&entry));
                put(entries, at, entry, edge, LEAF_MAX, LEAF_STEP, bytes).map(|rest| Child::of(Node::Leaf(rest)))
            }
            Node::Inner(children) => {
                let index = children[1..].partition_point(|child| !entry.is_before(&child.first));
                let below = Edge { first: edge.first && index == 0, last: edge.last && index + 1 == children.len() };
                let child = &mut children[index];
                let split = child.node.insert(entry, below, bytes);
                child.first = child.node.first();
                child.count += 1;
                let right = split?;
                child.count -= right.count;
                put(children, index + 1, right, edge, INNER_MAX, INNER_STEP, bytes)
                    .map(|rest| Child::of(Node::Inner(rest)))
            }
        }
    }

    fn remove(&mut self, entry: Entry, bytes: &mut usize) {
        match self {
            Node::Leaf(entries) => {
                let at = entries.partition_point(|other| other.is_before(&entry));
                entries.remove(at);
                steps::trim(entries, LEAF_STEP, bytes);
            }
            Node::Inner(children) => {
                let index = children[1..].partition_point(|child| !entry.is_before(&child.first));
                let child = &mut children[index];
                child.node.remove(entry, bytes);
                child.count -= 1;
                mend(children, index, bytes);
            }
        }
    }

    fn remove_ranks(&mut self, ranks: Range<usize>, out: &mut Vec<Entry>, bytes: &mut usize) {
        match self {
            Node::Leaf(entries) => {
                out.extend_from_slice(&entries[ranks.clone()]);
                entries[ranks.start..].rotate_left(ranks.len());
                entries.truncate(entries.len() - ranks.len());
                steps::trim(entries, LEAF_STEP, bytes);
            }
            Node::Inner(children) => {
                let (mut start, mut touched) = (0, 0..0);
                for (index, child) in children.iter_mut().enumerate() {
                    let end = start + child.count;
                    let below = ranks.start.max(start)..ranks.end.min(end);
                    if below.start < below.end {
                        child.count -= below.len();
                        child.node.remove_ranks(below.start - start..below.end - start, out, bytes);
                        touched = if touched.is_empty() { index..index + 1 } else { touched.start..index + 1 };
                    }
                    start = end;
                }
                // From the last to the first: mending one moves none of those before it, but the neighbour it joins.
                for index in touched.rev() {
                    if index < children.len() {
                        mend(children, index, bytes);
                    }
                }
            }
        }
    }

    /// What the node's vector and those of all nodes below hold of the heap, while the entries go to `entries`.
    #[cfg(test)]
    fn check(&self, entries: &mut Vec<Entry>) -> usize {
        match self {
            Node::Leaf(own) => {
                assert!(own.len() <= LEAF_MAX);
                entries.extend(own);
                own.heap()
            }
            Node::Inner(children) => {
                assert!(!children.is_empty() && children.len() <= INNER_MAX);
                let mut bytes = children.heap();
                for child in children {
                    let before = entries.len();
                    bytes += child.node.check(entries);
                    assert_eq!(entries.len() - before, child.count);
                    assert!(child.count > 0 && entries[before].member == child.first.member);
                }
                bytes
            }
        }
    }
}

/// Puts an item into a node of at most `max`. If it is full, the node keeps the first part and the rest is returned.
fn put<T: Clone>(
    items: &mut SharedVec<T>,
    at: usize,
    item: T,
    edge: Edge,
    max: usize,
    step: usize,
    bytes: &mut usize,
) -> Option<SharedVec<T>> {
    if items.len() < max {
        steps::insert(items, at, item, step, bytes);
        return None;
    }
    // What grows at an end will go on doing so: the full node stays full.
    let cut = match at {
        _ if at == max && edge.last => max,
        0 if edge.first => 0,
        _ => max / 2,
    };
    let mut rest = steps::split_off(items, cut, bytes);
    if at > cut || cut == max {
        steps::insert(&mut rest, at - cut, item, step, bytes);
    } else {
        steps::insert(items, at, item, step, bytes);
    }
    Some(rest)
}

/// Puts things right after entries below a child were removed: its first entry, or the child itself.
fn mend(children: &mut SharedVec<Child>, index: usize, bytes: &mut usize) {
    let child = &mut children[index];
    if child.node.is_empty() {
        *bytes -= match &child.node {
            Node::Leaf(entries) => entries.heap(),
            Node::Inner(children) => children.heap(),
        };
        children.remove(index);
        steps::trim(children, INNER_STEP, bytes);
        return;
    }
    child.first = child.node.first();
    if child.node.is_sparse() && children.len() > 1 {
        join(children, index.saturating_sub(1), bytes);
    }
}

/// Makes one node of the child at `left` and the next one, or two of equal length if one would be nearly full.
fn join(children: &mut SharedVec<Child>, left: usize, bytes: &mut usize) {
    let right = children.remove(left + 1);
    let child = &mut children[left];
    let rest = match (&mut child.node, right.node) {
        (Node::Leaf(entries), Node::Leaf(more)) => join_items(entries, more, LEAF_MAX, bytes).map(Node::Leaf),
        (Node::Inner(children), Node::Inner(more)) => join_items(children, more, INNER_MAX, bytes).map(Node::Inner),
        _ => unreachable!("all leaves have the same height"),
    };
    child.count = child.node.count();
    if let Some(rest) = rest {
        steps::insert(children, left + 1, Child::of(rest), INNER_STEP, bytes);
    }
    steps::trim(children, INNER_STEP, bytes);
}

fn join_items<T: Clone>(
    items: &mut SharedVec<T>,
    more: SharedVec<T>,
    max: usize,
    bytes: &mut usize,
) -> Option<SharedVec<T>> {
    steps::append(items, more, bytes);
    (items.len() > max * 3 / 4).then(|| steps::split_off(items, items.len() / 2, bytes))
}
