//! A set of integers as one sorted array, of 2, 4 or 8 bytes each: the widest member decides, as in Redis's intset.

use super::splice;

/// A sorted set of 64-bit integers.
///
/// The block begins with the width, so that the set itself is two words and fits beside a set's other forms.
#[derive(Clone, Debug, Default)]
pub struct IntSet(Box<[u8]>);

/// What the width takes in the block.
const HEAD: usize = 1;

/// The least width that holds a value: 2, 4 or 8 bytes.
fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
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
        match ends.map(|&value| width_of(value)).max() {
            Some(width) => IntSet::of_width(width, values.iter().copied()),
            None => IntSet::new(),
        }
    }

    fn of_width(width: usize, values: impl ExactSizeIterator<Item = i64>) -> IntSet {
        let mut bytes = Vec::with_capacity(HEAD + values.len() * width);
        bytes.push(width as u8);
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        IntSet(bytes.into_boxed_slice())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len() / self.width()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the members begin, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Bytes per member: 2, 4 or 8. A set that has been widened stays wide until it is empty.
    #[inline]
    pub fn width(&self) -> usize {
        self.0.first().map_or(2, |&width| width as usize)
    }

    /// The member with a number in ascending order, which must be there.
    #[inline]
    pub fn get(&self, number: usize) -> i64 {
        match self.width() {
            2 => i64::from(i16::from_le_bytes(self.member(number))),
            4 => i64::from(i32::from_le_bytes(self.member(number))),
            _ => i64::from_le_bytes(self.member(number)),
        }
    }

    #[inline]
    fn member<const N: usize>(&self, number: usize) -> [u8; N] {
        self.0[HEAD + number * N..][..N].try_into().expect("the slice has this length")
    }

    /// Whether a value is a member.
    pub fn contains(&self, value: i64) -> bool {
        width_of(value) <= self.width() && self.find(value).is_ok()
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
        if self.is_empty() || width_of(value) > self.width() {
            *self = IntSet::of_width(width_of(value), self.iter());
        }
        let Err(number) = self.find(value) else { return false };
        let width = self.width();
        let at = HEAD + number * width;
        splice::resize(&mut self.0, at, 0, width);
        self.0[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        true
    }

    /// Takes a value out, and says whether it was a member.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(number) = self.find(value) else { return false };
        self.remove_number(number);
        true
    }

    /// Takes the member with a number in ascending order out.
    pub fn remove_number(&mut self, number: usize) {
        if self.len() == 1 {
            self.0 = Box::default();
            return;
        }
        let width = self.width();
        splice::cut(&mut self.0, HEAD + number * width, width);
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
        for (value, width, bytes) in [(1, 2, 3), (-32768, 2, 5), (32768, 4, 13), (1 << 40, 8, 33)] {
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
