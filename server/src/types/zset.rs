//! Sorted sets: members in the order of their scores, each member once.
//!
//! A small set is one run of bytes (`small`); beyond its [`Limits`] it becomes a tree and a table (`large`), and stays
//! one. Ranges by score and by member become ranges of ranks, so everything that goes through a part of a set goes
//! through ranks:
//!
//! ```text
//! let ranks = set.ranks_by_score(&range);
//! set.range(ranks).rev().skip(offset).take(count)
//! ```

mod algebra;
mod large;
mod member;
mod range;
mod small;
mod steps;
#[cfg(test)]
mod tests;

pub use algebra::{Aggregate, Combined, Source, Weighted, difference, intersection, intersection_len, union};
pub use member::Member;
pub use range::{LexBound, LexRange, ScoreBound, ScoreRange};

use large::Large;
use small::Small;
use std::cmp::Ordering;
use std::ops::Range;

/// What a small set may hold: the settings `zset-max-listpack-entries` and `zset-max-listpack-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Members.
    pub entries_max: usize,
    /// Bytes of a member.
    pub value_max: usize,
}

/// Bytes that a small set may have, whatever its [`Limits`] say: Redis's bound for a listpack.
const SMALL_BYTES_MAX: usize = 1 << 30;

/// What became of a member that was put into a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was not there.
    Added,
    /// It had another score.
    Updated,
    /// It had this score already.
    Same,
    /// The caller did not want it changed or added.
    Left,
}

/// A sorted set. A score is never NaN; 0.0 and -0.0 are the same score.
#[derive(Clone)]
pub struct ZSet(Form);

#[derive(Clone)]
enum Form {
    Small(Small),
    Large(Box<Large>),
}

impl Default for ZSet {
    fn default() -> ZSet {
        ZSet::new()
    }
}

impl ZSet {
    /// An empty set, which holds nothing of the heap.
    pub fn new() -> ZSet {
        ZSet(Form::Small(Small::default()))
    }

    /// An empty set that is about to get so many members with so many bytes.
    ///
    /// Redis 7.2 decides the form before it reads the members, which OBJECT ENCODING shows: a hundred times the same
    /// member make a large set if a hundred are too many for a small one.
    pub fn expecting(members: usize, member_bytes: usize, limits: &Limits) -> ZSet {
        match members > limits.entries_max || member_bytes > limits.value_max {
            true => ZSet(Form::Large(Box::new(Large::new()))),
            false => ZSet::new(),
        }
    }

    /// Makes a set large if so many members, which are about to come, are too many for a small one.
    pub fn expect(&mut self, members: usize, limits: &Limits) {
        if members > limits.entries_max {
            self.make_large();
        }
    }

    /// The set as it is now, to be gone through in order and not to be looked into: cheap, however large it is.
    pub fn share(&mut self) -> ZSet {
        ZSet(match &mut self.0 {
            Form::Small(small) => Form::Small(small.clone()),
            Form::Large(large) => Form::Large(Box::new(large.share())),
        })
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Small(small) => small.len(),
            Form::Large(large) => large.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the first bytes below lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match &self.0 {
            Form::Small(small) => small.lead(),
            Form::Large(large) => (&raw const **large).cast(),
        }
    }

    /// Bytes of the heap as they were asked for, this value itself not among them.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Small(small) => small.bytes(),
            Form::Large(large) => size_of::<Large>() + large.bytes(),
        }
    }

    /// The form's name in the words of OBJECT ENCODING: `listpack` or `skiplist`.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Small(_) => "listpack",
            Form::Large(_) => "skiplist",
        }
    }

    /// Whether it is one run of bytes still.
    pub fn is_small(&self) -> bool {
        matches!(self.0, Form::Small(_))
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Small(small) => small.score(member),
            Form::Large(large) => large.score(member),
        }
    }

    /// Gives a member a score, and adds it if it is not there.
    ///
    /// # Panics
    ///
    /// If the score is NaN.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Inserted {
        self.upsert(member, limits, |_| Some(score))
    }

    /// Gives a member the score that `decide` answers, and adds it if it is not there.
    ///
    /// `decide` is given the score that the member has, if it is there; with `None` it leaves all as it is.
    ///
    /// # Panics
    ///
    /// If the score is NaN.
    pub fn upsert(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Inserted {
        let decide = |old| decide(old).inspect(|score| assert!(!score.is_nan(), "a score is never NaN"));
        if self.must_grow(member, limits) {
            // Whether a new member is too much for a small set is of no concern for one that is there already.
            let Some(score) = decide(self.score(member)) else { return Inserted::Left };
            if self.score(member).is_none() {
                self.make_large();
            }
            return self.put(member, |_| Some(score));
        }
        self.put(member, decide)
    }

    /// Adds to a member's score, or to 0 if it is not there, and gives the new score.
    ///
    /// `None` if that is not a number (the sum of the two infinities): then nothing is changed.
    pub fn incr(&mut self, member: &[u8], by: f64, limits: &Limits) -> Option<f64> {
        let mut score = None;
        self.upsert(member, limits, |old| {
            score = Some(old.unwrap_or(0.0) + by).filter(|score| !score.is_nan());
            score
        });
        score
    }

    /// Removes a member and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Small(small) => small.remove(member),
            Form::Large(large) => large.remove(member),
        }
    }

    /// Removes the members of these ranks and says how many those were.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let ranks = self.clamp(ranks);
        let count = ranks.len();
        match &mut self.0 {
            Form::Small(small) => small.remove_ranks(ranks),
            Form::Large(large) => large.remove_ranks(ranks),
        }
        count
    }

    /// How many members are before this one, and its score. Before it in reverse order are `len - 1 - rank`.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Form::Small(small) => small.rank(member),
            Form::Large(large) => large.rank(member),
        }
    }

    /// The member of a rank, from 0, and its score.
    pub fn at(&self, rank: usize) -> Option<(Member<'_>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// The member with the lowest score.
    pub fn first(&self) -> Option<(Member<'_>, f64)> {
        self.at(0)
    }

    /// The member with the highest score.
    pub fn last(&self) -> Option<(Member<'_>, f64)> {
        self.at(self.len().checked_sub(1)?)
    }

    /// Removes the member with the lowest score.
    pub fn pop_min(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(0)
    }

    /// Removes the member with the highest score.
    pub fn pop_max(&mut self) -> Option<(Vec<u8>, f64)> {
        self.pop(self.len().checked_sub(1)?)
    }

    /// A member that a random number, uniform over all of `u64`, falls on; each with the same chance.
    pub fn random(&self, number: u64) -> Option<(Member<'_>, f64)> {
        let rank = (u128::from(number) * self.len() as u128) >> u64::BITS;
        self.at(rank as usize)
    }

    /// The members of these ranks with their scores, from either end. Ranks beyond the last one are left out.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let ranks = self.clamp(ranks);
        Iter(match &self.0 {
            Form::Small(small) => Walk::Small(small.range(ranks)),
            Form::Large(large) => Walk::Large(large.range(ranks)),
        })
    }

    /// All members with their scores, in order.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The ranks of the members whose scores lie in a range.
    pub fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        let start = self.partition_point(|_, score| range.is_after(score));
        let end = self.partition_point(|_, score| range.is_not_before(score));
        start..end.max(start)
    }

    /// The ranks of the members that lie in a range; all members are expected to have the same score.
    pub fn ranks_by_lex(&self, range: &LexRange<'_>) -> Range<usize> {
        let start = self.partition_point(|member, _| range.is_after(member));
        let end = self.partition_point(|member, _| range.is_not_before(member));
        start..end.max(start)
    }

    /// Shows some members and gives the cursor to go on with; 0 begins and ends.
    ///
    /// Every member that is there from the first call to the last is shown at least once, whatever is inserted and
    /// removed between calls. A call shows a small set as a whole, and some 30 members of a large one.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Form::Small(_) => {
                self.iter().for_each(|(member, score)| show(&member, score));
                0
            }
            Form::Large(large) => large.scan(cursor, show),
        }
    }

    fn clamp(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }

    fn pop(&mut self, rank: usize) -> Option<(Vec<u8>, f64)> {
        let popped = self.at(rank).map(|(member, score)| (member.to_vec(), score));
        self.remove_range(rank..rank + 1);
        popped
    }

    /// How many members `is_before` says yes to; those must be the first ones.
    fn partition_point(&self, is_before: impl Fn(&[u8], f64) -> bool) -> usize {
        match &self.0 {
            Form::Small(small) => small.partition_point(is_before),
            Form::Large(large) => large.partition_point(is_before),
        }
    }

    fn put(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Inserted {
        match &mut self.0 {
            Form::Small(small) => small.upsert(member, decide),
            Form::Large(large) => large.upsert(member, decide),
        }
    }

    /// Whether a set with this member, if it is not there yet, is no small one.
    fn must_grow(&self, member: &[u8], limits: &Limits) -> bool {
        let Form::Small(small) = &self.0 else { return false };
        small.len() >= limits.entries_max
            || member.len() > limits.value_max
            || small.bytes() + member.len() > SMALL_BYTES_MAX
    }

    fn make_large(&mut self) {
        let Form::Small(small) = &self.0 else { return };
        let mut large = Large::new();
        for (member, score) in small.range(0..small.len()) {
            large.upsert(&member, |_| Some(score));
        }
        self.0 = Form::Large(Box::new(large));
    }
}

/// The order of a sorted set: by score, then by the bytes of the member.
fn order(score: f64, member: &[u8], other_score: f64, other_member: &[u8]) -> Ordering {
    let by_score = score.partial_cmp(&other_score).expect("a score is never NaN");
    by_score.then_with(|| member.cmp(other_member))
}

/// Members with their scores, in order or, from the back, in reverse order.
#[derive(Clone)]
pub struct Iter<'a>(Walk<'a>);

#[derive(Clone)]
enum Walk<'a> {
    Small(small::Iter<'a>),
    Large(large::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Member<'a>, f64);

    fn next(&mut self) -> Option<(Member<'a>, f64)> {
        match &mut self.0 {
            Walk::Small(walk) => walk.next(),
            Walk::Large(walk) => walk.next().map(|(member, score)| (Member::from(member), score)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Small(walk) => walk.size_hint(),
            Walk::Large(walk) => walk.size_hint(),
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<(Member<'a>, f64)> {
        match &mut self.0 {
            Walk::Small(walk) => walk.next_back(),
            Walk::Large(walk) => walk.next_back().map(|(member, score)| (Member::from(member), score)),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
