//! Which fields of a large hash expire when: moments in order, each with the hash of the field's name.
//!
//! Names are not kept twice: 16 bytes for each field that expires, whatever it is called. Sorted blocks under a sorted
//! list of blocks, so that adding and taking out moves a few kilobytes at most, and what is on the heap is known.

/// Entries of a block, beyond which it is split.
const BLOCK_MAX: usize = 128;

/// A field that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub when: u64,
    /// The hash of the field's name.
    pub hash: u64,
}

/// Moments in order. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// No block is empty.
    blocks: Vec<Box<[Moment]>>,
    len: usize,
}

impl Due {
    /// No moments.
    pub fn new() -> Due {
        Due::default()
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.len * size_of::<Moment>() + self.blocks.capacity() * size_of::<Box<[Moment]>>()
    }

    /// The next one.
    pub fn first(&self) -> Option<Moment> {
        self.blocks.first().map(|block| block[0])
    }

    /// How many are at a time or before it.
    pub fn count_until(&self, when: u64) -> usize {
        let behind = self.blocks.partition_point(|block| block[0].when <= when);
        let Some(last) = behind.checked_sub(1) else { return 0 };
        let full: usize = self.blocks[..last].iter().map(|block| block.len()).sum();
        full + self.blocks[last].partition_point(|moment| moment.when <= when)
    }

    /// The block where a moment lies or would lie.
    fn block_of(&self, moment: Moment) -> usize {
        self.blocks.partition_point(|block| block[0] <= moment).saturating_sub(1)
    }

    /// Adds a moment, unless it is there.
    pub fn insert(&mut self, moment: Moment) {
        let mut number = self.block_of(moment);
        let Some(block) = self.blocks.get(number) else {
            self.blocks.push(Box::from([moment]));
            self.len = 1;
            return;
        };
        let Err(mut at) = block.binary_search(&moment) else { return };
        self.len += 1;
        if block.len() == BLOCK_MAX {
            // Moments mostly come in order. Then blocks are left full, and not half empty.
            let is_last = at == BLOCK_MAX && number + 1 == self.blocks.len();
            let cut = if is_last { BLOCK_MAX } else { BLOCK_MAX / 2 };
            self.cut(number, cut);
            if at > cut || is_last {
                number += 1;
                at -= cut;
            }
        }
        let mut block = std::mem::take(&mut self.blocks[number]).into_vec();
        block.reserve_exact(1);
        block.insert(at, moment);
        self.blocks[number] = block.into_boxed_slice();
    }

    /// Makes a block two; the second may be empty for the moment.
    fn cut(&mut self, number: usize, at: usize) {
        let behind = Box::from(&self.blocks[number][at..]);
        if at < BLOCK_MAX {
            self.blocks[number] = Box::from(&self.blocks[number][..at]);
        }
        if self.blocks.len() == self.blocks.capacity() {
            self.blocks.reserve_exact(1 + self.blocks.len() / 8);
        }
        self.blocks.insert(number + 1, behind);
    }

    /// Takes a moment out, and says whether it was there.
    pub fn remove(&mut self, moment: Moment) -> bool {
        let number = self.block_of(moment);
        let Some(block) = self.blocks.get_mut(number) else { return false };
        let Ok(at) = block.binary_search(&moment) else { return false };
        self.len -= 1;
        if block.len() == 1 {
            self.blocks.remove(number);
            if self.blocks.len() < self.blocks.capacity() / 2 {
                self.blocks.shrink_to_fit();
            }
            return true;
        }
        let mut left = std::mem::take(block).into_vec();
        left.remove(at);
        *block = left.into_boxed_slice();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn random_changes_agree_with_a_tree() {
        let seed = 61;
        let mut random = Random::new(seed);
        let (mut due, mut twin) = (Due::new(), BTreeSet::new());
        for step in 0..20_000 {
            let moment = Moment { when: random.below(3000) as u64, hash: random.below(3) as u64 };
            if random.below(10) < if step < 10_000 { 7 } else { 3 } {
                due.insert(moment);
                twin.insert(moment);
            } else {
                assert_eq!(due.remove(moment), twin.remove(&moment), "seed {seed}, step {step}");
            }
            assert_eq!(due.first(), twin.first().copied(), "seed {seed}, step {step}");
            assert_eq!(due.len, twin.len(), "seed {seed}, step {step}");
            let when = random.below(3000) as u64;
            if step % 50 == 0 {
                assert!(due.blocks.iter().flatten().copied().eq(twin.iter().copied()), "seed {seed}, step {step}");
                let until = twin.iter().filter(|moment| moment.when <= when).count();
                assert_eq!(due.count_until(when), until, "seed {seed}, step {step}");
            }
        }
    }

    #[test]
    fn moments_that_come_in_order_fill_their_blocks() {
        let mut due = Due::new();
        (0..12_800).for_each(|when| due.insert(Moment { when, hash: 0 }));
        assert_eq!(due.blocks.len(), 100);
        assert!(due.bytes() < 12_800 * 17);
        while let Some(first) = due.first() {
            assert!(due.remove(first));
        }
        assert_eq!(due.bytes(), due.blocks.capacity() * size_of::<Box<[Moment]>>());
    }
}
