//! How many nodes the radix tree would have in which Redis keeps a stream: XINFO STREAM tells it.
//!
//! That tree holds the 16 bytes of the id of each node in big-endian order. It has one node per branch and per leaf,
//! and one more for each run of bytes without a branch between two of these (rax.c, as its README describes it).

use super::id::Id;
use super::log::Log;

/// Bytes of a key, and the depth of a leaf.
const KEY: usize = 16;

impl Log {
    /// Nodes with entries: `radix-tree-keys`.
    pub fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// Nodes of Redis's radix tree: `radix-tree-nodes`. Takes time in proportion to the nodes.
    pub fn radix_nodes(&self) -> usize {
        count(self.nodes.iter().map(|(id, _)| id))
    }
}

/// Counts the nodes for keys in order: each is hung under the deepest branch that it shares with the key before.
fn count(keys: impl Iterator<Item = Id>) -> usize {
    let mut tree = Tree::default();
    let mut last: Option<Id> = None;
    for key in keys {
        if let Some(last) = last {
            tree.branch(shared_bytes(last, key));
        }
        last = Some(key);
    }
    match last {
        Some(_) => tree.finish(),
        None => 1,
    }
}

/// The way from the root to the leaf of the last key.
#[derive(Default)]
struct Tree {
    /// Depths of the branches on the way.
    branches: Vec<usize>,
    /// Nodes that have their place under a branch.
    nodes: usize,
}

impl Tree {
    /// The next key leaves the way at `depth`.
    fn branch(&mut self, depth: usize) {
        let child = self.close(Some(depth));
        self.nodes += with_run(child, depth + 1);
        if self.branches.last() != Some(&depth) {
            self.branches.push(depth);
        }
    }

    fn finish(mut self) -> usize {
        let top = self.close(None);
        self.nodes + with_run(top, 0)
    }

    /// Hangs all that is deeper than `depth` under the branch above it, but for the topmost, whose depth is returned.
    fn close(&mut self, depth: Option<usize>) -> usize {
        let mut child = KEY;
        while let Some(&branch) = self.branches.last()
            && Some(branch) > depth
        {
            self.nodes += with_run(child, branch + 1);
            child = branch;
            self.branches.pop();
        }
        child
    }
}

/// The node at depth `child`, and the run of bytes down to it from depth `from`, if there is one.
fn with_run(child: usize, from: usize) -> usize {
    1 + usize::from(child > from)
}

fn shared_bytes(one: Id, other: Id) -> usize {
    let bits = |id: Id| u128::from(id.ms) << 64 | u128::from(id.seq);
    (bits(one) ^ bits(other)).leading_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_as_redis_has_them() {
        let ids = |count: u64| (0..count).map(|at| Id::new(1_700_000_000_000 + at * 100, 0));
        assert_eq!(count(ids(0)), 1);
        assert_eq!(count(ids(1)), 2);
        assert_eq!(count(ids(10)), 26);
        assert_eq!(count(ids(10_000)), 23_924);
    }
}
