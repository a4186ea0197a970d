//! A large sorted set: a table finds members by their bytes, a tree by score and rank; each member is stored once.

mod element;
mod loan;
mod table;
mod tree;

use super::Inserted;
use crate::base::hash;
use element::Element;
use loan::{Lender, Loan};
use std::ops::Range;
use table::Table;
use tree::{Entry, Tree};

/// How many entries are taken out of the tree at a time when a range is removed.
const REMOVED_AT_ONCE: usize = 1024;

/// A sorted set of any size.
pub(super) struct Large {
    // The table owns what the tree points to. Aliases are not used when they are dropped, so the order is of no concern.
    tree: Tree,
    table: Table,
    len: usize,
    origin: Origin,
}

/// Whose the elements are that the tree points to.
enum Origin {
    /// They are in the table, or were while they were in the tree.
    Own(Lender),
    /// They are another set's. A share that is given members nevertheless has those in its table.
    Share { _loan: Loan },
}

impl Large {
    pub(super) fn new() -> Large {
        Large { tree: Tree::new(), table: Table::new(), len: 0, origin: Origin::Own(Lender::default()) }
    }

    /// The set as it is now, to be gone through and not to be looked into: one count, however large it is.
    pub(super) fn share(&mut self) -> Large {
        match &mut self.origin {
            Origin::Own(lender) => {
                let origin = Origin::Share { _loan: lender.lend() };
                Large { tree: self.tree.clone(), table: Table::new(), len: self.len, origin }
            }
            Origin::Share { .. } => self.clone(),
        }
    }

    /// Frees an element that is out of table and tree.
    fn free(&mut self, element: Element) {
        match &mut self.origin {
            Origin::Own(lender) => lender.free(element),
            Origin::Share { .. } => drop(element),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> usize {
        self.tree.bytes() + self.table.bytes()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        Some(self.table.get(hash::of(member), member)?.score())
    }

    /// `decide` gets the score that the member has and says which it shall have, or `None` to leave all as it is.
    pub(super) fn upsert(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Inserted {
        let hash = hash::of(member);
        let Some(element) = self.table.get_mut(hash, member) else {
            let Some(score) = decide(None) else { return Inserted::Left };
            let element = Element::new(score, member);
            self.tree.insert(Entry { score, member: element.alias() });
            self.table.insert(hash, element);
            self.len += 1;
            return Inserted::Added;
        };
        let old = element.score();
        match decide(Some(old)) {
            None => Inserted::Left,
            Some(score) if score == old => Inserted::Same,
            Some(score) => {
                let member = element.alias();
                self.tree.remove(Entry { score: old, member });
                element.set_score(score);
                self.tree.insert(Entry { score, member });
                Inserted::Updated
            }
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let element = self.table.remove(hash::of(member), member)?;
        let score = element.score();
        // The tree compares with members on the way, so this one's element lives until it is out.
        self.tree.remove(Entry { score, member: element.alias() });
        self.free(element);
        self.len -= 1;
        Some(score)
    }

    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        let mut removed = Vec::with_capacity(ranks.len().min(REMOVED_AT_ONCE));
        let mut left = ranks.len();
        while left > 0 {
            let count = left.min(REMOVED_AT_ONCE);
            self.tree.remove_ranks(ranks.start..ranks.start + count, &mut removed);
            for entry in removed.drain(..) {
                let member = entry.member.member();
                // The element is freed after the look for it, and nothing reads the alias after that.
                if let Some(element) = self.table.remove(hash::of(member), member) {
                    self.free(element);
                }
            }
            self.len -= count;
            left -= count;
        }
    }

    /// How many members are before this one.
    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let element = self.table.get(hash::of(member), member)?;
        let score = element.score();
        Some((self.tree.rank(Entry { score, member: element.alias() }), score))
    }

    /// How many members `is_before` says yes to; those must be the first ones.
    pub(super) fn partition_point(&self, is_before: impl Fn(&[u8], f64) -> bool) -> usize {
        self.tree.partition_point(|entry| is_before(entry.member.member(), entry.score))
    }

    /// The members of these ranks, which must be there.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter { tree: &self.tree, ranks, front: &[], back: &[] }
    }

    /// Shows the members of one bucket and gives the cursor of the next, 0 at the end.
    pub(super) fn scan(&self, cursor: u64, mut show: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, |element| show(element.member(), element.score()))
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.table.check();
        self.tree.check();
        assert_eq!(self.tree.partition_point(|_| true), self.len);
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        if let Origin::Own(lender) = &mut self.origin {
            lender.leave(&mut self.table);
        }
    }
}

impl Clone for Large {
    fn clone(&self) -> Large {
        let mut copy = Large::new();
        for (member, score) in self.range(0..self.len) {
            copy.upsert(member, |_| Some(score));
        }
        copy
    }
}

/// Goes through a range from both ends: a descent for each leaf, a step of a slice for each entry.
#[derive(Clone)]
pub(super) struct Iter<'a> {
    tree: &'a Tree,
    /// What is still to come.
    ranks: Range<usize>,
    /// Entries from the rank at the front on; empty if the leaf must be looked for.
    front: &'a [Entry],
    /// Entries up to the rank at the back.
    back: &'a [Entry],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<(&'a [u8], f64)> {
        let rank = self.ranks.next()?;
        if self.front.is_empty() {
            let (leaf, index) = self.tree.leaf(rank);
            self.front = &leaf[index..];
        }
        let (entry, rest) = self.front.split_first()?;
        self.front = rest;
        Some((entry.member.member(), entry.score))
    }

    fn nth(&mut self, skipped: usize) -> Option<(&'a [u8], f64)> {
        self.ranks.start = self.ranks.start.saturating_add(skipped).min(self.ranks.end);
        self.front = self.front.get(skipped..).unwrap_or_default();
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<(&'a [u8], f64)> {
        let rank = self.ranks.next_back()?;
        if self.back.is_empty() {
            let (leaf, index) = self.tree.leaf(rank);
            self.back = &leaf[..=index];
        }
        let (entry, rest) = self.back.split_last()?;
        self.back = rest;
        Some((entry.member.member(), entry.score))
    }
}

impl ExactSizeIterator for Iter<'_> {}
