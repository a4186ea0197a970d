//! Union, intersection and difference of sets, each element told once and in no order.

use super::dict::Dict;
use super::item::Element;
use super::set::Set;

/// Sets up to which it is cheaper to ask the earlier ones for an element than to note what has been told.
const UNION_ASKED_MAX: usize = 3;

/// Visits what is in any of the sets.
pub fn union(sets: &[&Set], mut visit: impl FnMut(Element<'_>)) {
    if sets.len() > UNION_ASKED_MAX {
        let mut told = Dict::<false>::new();
        for element in sets.iter().flat_map(|set| set.iter()) {
            if told.add(element) {
                visit(element);
            }
        }
        return;
    }
    for (number, set) in sets.iter().enumerate() {
        set.iter().filter(|&element| !sets[..number].iter().any(|earlier| earlier.has(element))).for_each(&mut visit);
    }
}

/// Visits what is in all of the sets, `limit` elements at most. No sets have nothing in common.
///
/// The smallest set is walked and the others are asked, the next smallest first.
pub fn intersection(sets: &[&Set], limit: usize, visit: impl FnMut(Element<'_>)) {
    let mut sorted = sets.to_vec();
    sorted.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sorted.split_first() else { return };
    smallest.iter().filter(|&element| others.iter().all(|set| set.has(element))).take(limit).for_each(visit);
}

/// Visits what is in the first set and in none of the others.
///
/// Asking the others for each element costs their number times the first set; taking all of theirs from a copy of it
/// costs the sum of all sizes. Asking ends at the first set that has the element, so it counts half, as in Redis.
pub fn difference(first: &Set, others: &[&Set], visit: impl FnMut(Element<'_>)) {
    let asking = first.len() * (others.len() + 1) / 2;
    let taking = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if asking <= taking {
        // The largest is the likeliest to have an element.
        let mut sorted = others.to_vec();
        sorted.sort_by_key(|set| std::cmp::Reverse(set.len()));
        first.iter().filter(|&element| !sorted.iter().any(|set| set.has(element))).for_each(visit);
    } else {
        let mut left = first.clone();
        others.iter().flat_map(|set| set.iter()).for_each(|element| _ = left.take(element));
        left.iter().for_each(visit);
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::Limits;
    use super::super::testing::{Random, text};
    use super::*;
    use std::collections::BTreeSet;

    const LIMITS: Limits = Limits { ints_max: 512, entries_max: 128, value_max: 64 };

    /// What a walk tells, sorted, so that an element told twice is seen.
    fn told(walk: impl FnOnce(&mut dyn FnMut(Element<'_>))) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        walk(&mut |element| all.push(element.to_vec()));
        all.sort();
        all
    }

    #[test]
    fn random_sets_agree_with_trees() {
        for seed in 100..160 {
            let mut random = Random::new(seed);
            let mut sets = vec![Set::new(); 1 + random.below(6)];
            let mut twins = vec![BTreeSet::new(); sets.len()];
            for (set, twin) in sets.iter_mut().zip(&mut twins) {
                for _ in 0..[3, 30, 500][random.below(3)] {
                    let member = text(&mut random);
                    set.add(&member, &LIMITS);
                    twin.insert(member);
                }
            }
            let sets: Vec<&Set> = sets.iter().collect();
            let any: BTreeSet<_> = twins.iter().flatten().cloned().collect();
            let all = any.iter().filter(|text| twins.iter().all(|twin| twin.contains(*text))).cloned();
            let rest = twins[0].iter().filter(|text| !twins[1..].iter().any(|twin| twin.contains(*text))).cloned();
            assert!(told(|visit| union(&sets, visit)).into_iter().eq(any.iter().cloned()), "seed {seed}");
            assert!(told(|visit| difference(sets[0], &sets[1..], visit)).into_iter().eq(rest), "seed {seed}");
            let all: Vec<_> = all.collect();
            assert_eq!(told(|visit| intersection(&sets, usize::MAX, visit)), all, "seed {seed}");
            assert_eq!(told(|visit| intersection(&sets, 2, visit)).len(), all.len().min(2), "seed {seed}");
        }
    }

    #[test]
    fn no_sets_have_no_elements() {
        union(&[], |_| unreachable!("there is nothing"));
        intersection(&[], 5, |_| unreachable!("there is nothing"));
        difference(&Set::new(), &[], |_| unreachable!("there is nothing"));
    }
}
