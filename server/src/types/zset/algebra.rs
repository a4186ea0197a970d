//! Union, intersection and difference of sorted sets, and of sets whose members count as score 1.
//!
//! Sums depend on the order of their terms, so that order is Redis's: from the smallest source to the largest, sources
//! of the same size as they were named.

use super::{Member, ZSet, order};
use crate::base::hash::OfProcess;
use crate::types::item::Element;
use crate::types::set::Set;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

/// Members with scores, sorted or not.
pub trait Source {
    /// How many members there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member, if it is there; 1 for members that have none.
    fn score(&self, member: &[u8]) -> Option<f64>;

    /// Shows each member once, until one is answered with `Break`.
    fn walk<'a>(&'a self, show: &mut dyn FnMut(Member<'a>, f64) -> ControlFlow<()>);
}

impl Source for ZSet {
    fn len(&self) -> usize {
        ZSet::len(self)
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        ZSet::score(self, member)
    }

    fn walk<'a>(&'a self, show: &mut dyn FnMut(Member<'a>, f64) -> ControlFlow<()>) {
        let _ = self.iter().try_for_each(|(member, score)| show(member, score));
    }
}

impl Source for Set {
    fn len(&self) -> usize {
        Set::len(self)
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        self.contains(member).then_some(1.0)
    }

    fn walk<'a>(&'a self, show: &mut dyn FnMut(Member<'a>, f64) -> ControlFlow<()>) {
        let _ = self.iter().try_for_each(|element| {
            let member = match element {
                Element::Int(number) => Member::from(number),
                Element::Text(text) => Member::from(text),
            };
            show(member, 1.0)
        });
    }
}

/// A source and what its scores are multiplied by. A source that does not exist is an empty one.
#[derive(Clone, Copy)]
pub struct Weighted<'a> {
    pub source: &'a dyn Source,
    /// Not NaN; 1 if none is asked for.
    pub weight: f64,
}

/// How the scores of a member that several sources have become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// The score of both. The sum of the two infinities is 0.
    pub fn of(self, score: f64, other: f64) -> f64 {
        match self {
            Aggregate::Sum => zero_if_nan(score + other),
            Aggregate::Min if other < score => other,
            Aggregate::Max if other > score => other,
            Aggregate::Min | Aggregate::Max => score,
        }
    }
}

/// Members with their scores in a sorted set's order.
pub type Combined<'a> = Vec<(Member<'a>, f64)>;

/// The members of all sources.
pub fn union<'a>(sources: &[Weighted<'a>], aggregate: Aggregate) -> Combined<'a> {
    let sources = by_len(sources);
    let members_max = sources.last().map_or(0, |largest| largest.source.len());
    let mut scores: HashMap<Member<'a>, f64, OfProcess> = HashMap::with_capacity_and_hasher(members_max, OfProcess);
    for Weighted { source, weight } in sources {
        source.walk(&mut |member, score| {
            let score = zero_if_nan(score * weight);
            match scores.entry(member) {
                Entry::Occupied(mut entry) => *entry.get_mut() = aggregate.of(*entry.get(), score),
                Entry::Vacant(entry) => _ = entry.insert(score),
            }
            ControlFlow::Continue(())
        });
    }
    sorted(scores.into_iter().collect())
}

/// The members that all sources have.
pub fn intersection<'a>(sources: &[Weighted<'a>], aggregate: Aggregate) -> Combined<'a> {
    let mut found = Vec::new();
    let sources = by_len(sources);
    let Some((first, others)) = sources.split_first() else { return found };
    first.source.walk(&mut |member, score| {
        let start = zero_if_nan(score * first.weight);
        let score = others.iter().try_fold(start, |sum, other| {
            let score = if is_same(first.source, other.source) { score } else { other.source.score(&member)? };
            Some(aggregate.of(sum, score * other.weight))
        });
        found.extend(score.map(|score| (member, score)));
        ControlFlow::Continue(())
    });
    sorted(found)
}

/// How many members all sources have, counted up to `limit`.
pub fn intersection_len(sources: &[&dyn Source], limit: usize) -> usize {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|source| source.len());
    let mut count = 0;
    let Some((first, others)) = sources.split_first() else { return count };
    if limit == 0 {
        return count;
    }
    first.walk(&mut |member, _| {
        let is_common = |other: &&dyn Source| is_same(*first, *other) || other.score(&member).is_some();
        count += usize::from(others.iter().all(is_common));
        if count < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    count
}

/// The members of the first source that no other has, with the scores they have there.
pub fn difference<'a>(sources: &[&'a dyn Source]) -> Combined<'a> {
    let Some((&first, others)) = sources.split_first() else { return Vec::new() };
    if others.iter().any(|other| is_same(first, *other)) {
        return Vec::new();
    }
    // Each member of the first is looked for in the others, which ends at the first that has it; or each member of the
    // others is taken out of a copy of the first. Redis too halves the cost of the former, for ending early.
    let by_looking = first.len() * sources.len() / 2;
    let by_taking: usize = sources.iter().map(|source| source.len()).sum();
    if by_looking <= by_taking { look_in_others(first, others) } else { take_others_out(first, others) }
}

fn look_in_others<'a>(first: &'a dyn Source, others: &[&dyn Source]) -> Combined<'a> {
    let mut found = Vec::new();
    let mut others = others.to_vec();
    // The largest is the likeliest to have a member.
    others.sort_by_key(|source| std::cmp::Reverse(source.len()));
    first.walk(&mut |member, score| {
        if others.iter().all(|other| other.score(&member).is_none()) {
            found.push((member, score));
        }
        ControlFlow::Continue(())
    });
    sorted(found)
}

fn take_others_out<'a>(first: &'a dyn Source, others: &[&dyn Source]) -> Combined<'a> {
    let mut left: HashMap<Member<'_>, f64, OfProcess> = HashMap::with_capacity_and_hasher(first.len(), OfProcess);
    first.walk(&mut |member, score| {
        left.insert(member, score);
        ControlFlow::Continue(())
    });
    for other in others {
        other.walk(&mut |member, _| {
            left.remove(&*member);
            if left.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    sorted(left.into_iter().collect())
}

fn by_len<'a>(sources: &[Weighted<'a>]) -> Vec<Weighted<'a>> {
    let mut sources = sources.to_vec();
    sources.sort_by_key(|weighted| weighted.source.len());
    sources
}

fn sorted(mut members: Combined<'_>) -> Combined<'_> {
    members.sort_unstable_by(|a, b| order(a.1, &a.0, b.1, &b.0));
    members
}

/// Whether two sources are one, which was named twice.
fn is_same(a: &dyn Source, b: &dyn Source) -> bool {
    std::ptr::addr_eq(a, b)
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    const LIMITS: Limits = Limits { entries_max: 128, value_max: 64 };

    fn set(members: &[(&str, f64)]) -> ZSet {
        let mut set = ZSet::new();
        for (member, score) in members {
            set.insert(member.as_bytes(), *score, &LIMITS);
        }
        set
    }

    fn text(combined: Combined<'_>) -> String {
        let words = combined.iter().map(|(member, score)| format!("{}={score}", member.escape_ascii()));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_union_has_the_members_of_all_sources() {
        let (a, b) = (set(&[("x", 1.0), ("y", 2.0)]), set(&[("y", 3.0), ("7", 10.0), ("w", 0.5)]));
        let sources = [Weighted { source: &a, weight: 2.0 }, Weighted { source: &b, weight: 1.0 }];
        assert_eq!(text(union(&sources, Aggregate::Sum)), "w=0.5 x=2 y=7 7=10");
        assert_eq!(text(union(&sources, Aggregate::Min)), "w=0.5 x=2 y=3 7=10");
        assert_eq!(text(union(&sources, Aggregate::Max)), "w=0.5 x=2 y=4 7=10");
        assert_eq!(text(union(&[], Aggregate::Sum)), "");
    }

    #[test]
    fn infinities_that_meet_are_zero() {
        let (a, b) = (set(&[("x", f64::INFINITY), ("z", f64::INFINITY)]), set(&[("x", f64::NEG_INFINITY)]));
        let sources = [Weighted { source: &a, weight: 1.0 }, Weighted { source: &b, weight: 1.0 }];
        assert_eq!(text(union(&sources, Aggregate::Sum)), "x=0 z=inf");
        assert_eq!(text(intersection(&sources, Aggregate::Sum)), "x=0");
        let nothing = [Weighted { source: &a, weight: 0.0 }];
        assert_eq!(text(union(&nothing, Aggregate::Sum)), "x=0 z=0");
        assert_eq!(text(intersection(&nothing, Aggregate::Max)), "x=0 z=0");
    }

    #[test]
    fn sums_go_from_the_smallest_source_to_the_largest() {
        let a = set(&[("x", 0.1), ("p", 0.0), ("q", 0.0)]);
        let (b, c) = (set(&[("x", 0.2), ("p", 0.0)]), set(&[("x", 0.3)]));
        let sources = [&a, &b, &c].map(|source| Weighted { source, weight: 1.0 });
        assert_eq!(intersection(&sources, Aggregate::Sum)[0].1, 0.3 + 0.2 + 0.1);
        assert_eq!(union(&sources, Aggregate::Sum)[2].1, 0.3 + 0.2 + 0.1);
        assert_ne!(0.3 + 0.2 + 0.1, 0.1 + 0.2 + 0.3);
    }

    #[test]
    fn an_intersection_has_what_all_sources_have() {
        let (a, b) = (set(&[("x", 1.0), ("y", 2.0)]), set(&[("y", 3.0), ("x", 10.0), ("w", 0.5)]));
        let sources = [&a, &b, &a].map(|source| Weighted { source, weight: 1.0 });
        assert_eq!(text(intersection(&sources, Aggregate::Sum)), "y=7 x=12");
        let empty = ZSet::new();
        assert_eq!(intersection(&[sources[0], Weighted { source: &empty, weight: 1.0 }], Aggregate::Sum).len(), 0);
        let sources: [&dyn Source; 2] = [&a, &b];
        let counts = [0, 1, 2, 9].map(|limit| intersection_len(&sources, limit));
        assert_eq!(counts, [0, 1, 2, 2]);
    }

    #[test]
    fn a_difference_has_what_the_first_has_alone() {
        let many: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
        let many: Vec<(&str, f64)> = many.iter().map(|member| (member.as_str(), 0.0)).collect();
        let (few, many) = (set(&[("m1", 9.0), ("x", 1.0), ("y", 0.5)]), set(&many));
        assert_eq!(text(difference(&[&few, &many])), "y=0.5 x=1");
        assert_eq!(difference(&[&many, &few, &few, &few]).len(), 99);
        assert_eq!(difference(&[&few, &few]).len(), 0);
        assert_eq!(difference(&[&few]).len(), 3);
    }
}
