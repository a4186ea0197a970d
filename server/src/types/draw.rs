//! Drawing lots: fair choices among the elements of a collection.
//!
//! The caller hands in where random numbers come from: a function that returns 64 random bits. Tests hand in a seed.

/// A number below `end`, which is not 0; all are equally likely, to within one part in 2^64 / `end`.
#[inline]
pub fn below(random: &mut impl FnMut() -> u64, end: usize) -> usize {
    ((u128::from(random()) * end as u128) >> 64) as usize
}

/// Calls `visit` with `count` of `len` items, each such choice being equally likely, in their order.
///
/// Selection sampling (Knuth, TAOCP volume 2, 3.4.2, algorithm S). Fewer than `count` items are all visited.
pub fn choose<T>(
    items: impl Iterator<Item = T>,
    len: usize,
    count: usize,
    random: &mut impl FnMut() -> u64,
    mut visit: impl FnMut(T),
) {
    let mut wanted = count.min(len);
    for (passed, item) in items.enumerate() {
        if wanted == 0 {
            return;
        }
        if below(random, len - passed) < wanted {
            wanted -= 1;
            visit(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;

    #[test]
    fn every_choice_is_equally_likely() {
        let mut random = Random::new(3);
        let mut chosen = [0u32; 10];
        for _ in 0..10_000 {
            let mut count = 0;
            choose(0..10, 10, 3, &mut || random.next(), |item: usize| {
                chosen[item] += 1;
                count += 1;
            });
            assert_eq!(count, 3);
        }
        assert!(chosen.iter().all(|&times| (2800..3200).contains(&times)), "seed 3: {chosen:?}");
    }

    #[test]
    fn too_many_are_all() {
        let mut all = Vec::new();
        choose(0..4, 4, 9, &mut || 5, |item| all.push(item));
        assert_eq!(all, [0, 1, 2, 3]);
    }
}
