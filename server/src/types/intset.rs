//! A set of integers as one sorted array, of 2, 4 or 8 bytes each: the widest member decides, as in Redis's intset.

use super::splice;

/// A sorted set of 64-bit integers.
#[derive(Clone, Debug, Default)]
pub struct IntSet {
    bytes: Box<[u8]>,
    width: Width,
}

/// Bytes per member. A set that has been widened stays wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    #[default]
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    fn of(value: i64) -> Width {
        if i16::try_from(value).is_ok() {
            Width::Two
        } else if i32::try_from(value).is_ok() {
            Width::Four
        } else {
            Width::Eight
        }
    }
}

impl IntSet {
    /// An empty set, which needs no heap.
    pub fn new() -> IntSet {
        IntSet::default()
    }

    /// The set of values that come in ascending order, each once.
    pub fn from_sorted(values: &[i64]) -> IntSet {
        debug_assert!(values.is_sorted_by(|a, b| a < b), "values must ascend");
        let ends = [values.first(), values.last()].into_iter().flatten();
        let width = ends.map(|&value| Width::of(value)).max().unwrap_or_default();
        let mut bytes = Vec::with_capacity(values.len() * width as usize);
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes()[..width as usize]);
        }
        IntSet { bytes: bytes.into_boxed_slice(), width }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes per member: 2, 4 or 8.
    pub fn width(&self) -> usize {
        self.width as usize
    }

    /// The member with a number in ascending order, which must be there.
    #[inline]
    pub fn get(&self, number: usize) -> i64 {
        match self.width {
            Width::Two => i64::from(i16::from_le_bytes(self.member(number))),
            Width::Four => i64::from(i32::from_le_bytes(self.member(number))),
            Width::Eight => i64::from_le_bytes(self.member(number)),
        }
    }

    #[inline]
    fn member<const N: usize>(&self, number: usize) -> [u8; N] {
        self.bytes[number * N..][..N].try_into().expect("the slice has this length")
    }

    /// Whether a value is a member.
    pub fn contains(&self, value: i64) -> bool {
        Width::of(value) <= self.width && self.find(value).is_ok()
    }

    /// The number of a value in ascending order, or the one it would have.
    fn find(&self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match self.get(middle).cmp(&value) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Adds a value, and says whether it is new.
    pub fn insert(&mut self, value: i64) -> bool {
        if Width::of(value) > self.width {
            self.widen(Width::of(value));
        }
        let Err(number) = self.find(value) else { return false };
        let width = self.width as usize;
        splice::resize(&mut self.bytes, number * width, 0, width);
        self.bytes[number * width..][..width].copy_from_slice(&value.to_le_bytes()[..width]);
        true
    }

    fn widen(&mut self, width: Width) {
        let mut bytes = Vec::with_capacity(self.len() * width as usize);
        for value in self.iter() {
            bytes.extend_from_slice(&value.to_le_bytes()[..width as usize]);
        }
        *self = IntSet { bytes: bytes.into_boxed_slice(), width };
    }

    /// Takes a value out, and says whether it was a member.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(number) = self.find(value) else { return false };
        self.remove_number(number);
        true
    }

    /// Takes the member with a number in ascending order out.
    pub fn remove_number(&mut self, number: usize) {
        splice::cut(&mut self.bytes, number * self.width as usize, self.width as usize);
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + '_ {
        (0..self.len()).map(|number| self.get(number))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_widest_member_decides_the_width() {
        let mut set = IntSet::new();
        for (value, width, bytes) in [(1, 2, 2), (-32768, 2, 4), (32768, 4, 12), (1 << 40, 8, 32)] {
            assert!(set.insert(value) && !set.insert(value));
            assert_eq!((set.width(), set.bytes()), (width, bytes));
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [-32768, 1, 32768, 1 << 40]);
        assert!(set.remove(1 << 40) && !set.remove(1 << 40));
        assert_eq!(set.width(), 8);
        assert_eq!(IntSet::from_sorted(&[-70_000, 1]).width(), 4);
    }

    #[test]
    fn random_changes_agree_with_a_tree() {
        let seed = 21;
        let mut random = Random::new(seed);
        let (mut set, mut twin) = (IntSet::new(), BTreeSet::new());
        for step in 0..20_000 {
            // The first steps draw small values only, so that all widths are lived through.
            let width = [9, 9, 25, 64][step / 5000];
            let value = (random.next() as i64) >> (64 - random.below(width).max(1));
            if random.below(2) == 0 {
                assert_eq!(set.insert(value), twin.insert(value), "seed {seed}, step {step}");
            } else {
                assert_eq!(set.remove(value), twin.remove(&value), "seed {seed}, step {step}");
            }
            assert_eq!(set.contains(value), twin.contains(&value), "seed {seed}, step {step}");
        }
        assert!(set.iter().eq(twin.iter().copied()), "seed {seed}");
    }
}
