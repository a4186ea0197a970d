//! Sets of slots as runs of neighbours, which is how people and clients read them.

use larder_client::slot::{SLOTS, Slot};
use std::fmt;

/// A set of slots: runs that neither touch nor overlap, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(Slot, Slot)>);

impl Ranges {
    /// All slots.
    pub fn all() -> Ranges {
        Slot::all().collect()
    }

    /// The set whose runs have these first and last numbers; `None` unless each is a run of slots that begins beyond the end
    /// of the one before, with at least one slot between them.
    pub fn checked(runs: &[(u16, u16)]) -> Option<Ranges> {
        let slots: Option<Vec<_>> = runs.iter().map(|&(a, b)| Some((Slot::new(a)?, Slot::new(b)?))).collect();
        let apart = runs.windows(2).all(|pair| u32::from(pair[0].1) + 1 < u32::from(pair[1].0));
        slots.filter(|_| apart && runs.iter().all(|(a, b)| a <= b)).map(Ranges)
    }

    /// The first and the last slot of each run.
    pub fn runs(&self) -> &[(Slot, Slot)] {
        &self.0
    }

    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().flat_map(|(first, last)| (first.number()..=last.number()).filter_map(Slot::new))
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|(first, last)| last.index() - first.index() + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, slot: Slot) -> bool {
        let at = self.0.partition_point(|(first, _)| *first <= slot);
        at.checked_sub(1).is_some_and(|at| slot <= self.0[at].1)
    }
}

impl FromIterator<Slot> for Ranges {
    /// Slots may come in any order, and more than once.
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Ranges {
        let mut held = vec![false; SLOTS as usize];
        slots.into_iter().for_each(|slot| held[slot.index()] = true);
        let mut runs: Vec<(Slot, Slot)> = Vec::new();
        for slot in Slot::all().filter(|slot| held[slot.index()]) {
            match runs.last_mut() {
                Some((_, last)) if last.number() + 1 == slot.number() => *last = slot,
                _ => runs.push((slot, slot)),
            }
        }
        Ranges(runs)
    }
}

impl fmt::Display for Ranges {
    /// As `0-99 105`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { " " };
            if first == last { write!(f, "{gap}{first}")? } else { write!(f, "{gap}{first}-{last}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(numbers: &[u16]) -> Ranges {
        numbers.iter().filter_map(|&number| Slot::new(number)).collect()
    }

    #[test]
    fn neighbours_make_a_run() {
        let set = slots(&[7, 3, 1, 2, 16383, 3]);
        assert_eq!(set.to_string(), "1-3 7 16383");
        assert_eq!((set.len(), set.iter().count()), (5, 5));
        let holds = |number| set.contains(Slot::new(number).unwrap());
        assert_eq!([0, 1, 3, 4, 7, 8, 16383].map(holds), [false, true, true, false, true, false, true]);
        assert_eq!(slots(&[]).to_string(), "");
        assert_eq!(Ranges::all().to_string(), "0-16383");
    }

    #[test]
    fn runs_from_outside_are_checked() {
        assert_eq!(Ranges::checked(&[(1, 3), (7, 7)]), Some(slots(&[1, 2, 3, 7])));
        for wrong in [&[(3, 1)][..], &[(0, 16384)], &[(1, 2), (3, 4)], &[(5, 6), (1, 2)], &[(1, 4), (2, 6)]] {
            assert_eq!(Ranges::checked(wrong), None, "{wrong:?}");
        }
    }
}
