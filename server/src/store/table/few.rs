//! The keys of a slot that has only a few: their references in the table itself.
//!
//! A small node has many slots of two or three keys, where a line of 64 bytes for each would be a quarter of what the
//! keys take.

use super::Ref;

/// The most keys that need no line.
pub const FEW_MAX: usize = 3;

/// Up to [`FEW_MAX`] references, each with eight bits of its key's hash. All bytes, so that fifteen of them and the mark
/// of the variant make up a table.
#[derive(Default)]
pub struct Few {
    /// The lower eight bits of the nine that a name knows, at least 1; 0 marks an empty place.
    tags: [u8; FEW_MAX],
    refs: [[u8; 4]; FEW_MAX],
}

const _: () = assert!(size_of::<Few>() == 15 && align_of::<Few>() == 1);

impl Few {
    pub fn len(&self) -> usize {
        self.tags.iter().filter(|&&tag| tag != 0).count()
    }

    /// Finds the key of this hash for which `is_it` answers yes.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(Ref) -> bool) -> Option<(u8, Ref)> {
        let tag = tag_of(hash);
        let mut ways = (0..FEW_MAX).filter(|&way| self.tags[way] == tag);
        ways.find(|&way| is_it(self.at(way))).map(|way| (way as u8, self.at(way)))
    }

    /// Every reference.
    pub fn each(&self, mut each: impl FnMut(Ref)) {
        (0..FEW_MAX).filter(|&way| self.tags[way] != 0).for_each(|way| each(self.at(way)));
    }

    /// Every reference whose key may have a hash with the same top nine bits.
    pub fn each_like(&self, hash: u64, mut each: impl FnMut(Ref)) {
        let tag = tag_of(hash);
        (0..FEW_MAX).filter(|&way| self.tags[way] == tag).for_each(|way| each(self.at(way)));
    }

    /// A reference chosen by a random number, `None` if the try hit an empty place.
    pub fn sample(&self, random: u64) -> Option<Ref> {
        let way = (random >> 16) as usize % FEW_MAX;
        (self.tags[way] != 0).then(|| self.at(way))
    }

    /// Adds a reference. Returns whether there was room.
    pub fn insert(&mut self, hash: u64, new: Ref) -> bool {
        let Some(way) = self.tags.iter().position(|&tag| tag == 0) else { return false };
        self.tags[way] = tag_of(hash);
        self.set(way as u8, new);
        true
    }

    pub fn remove(&mut self, way: u8) {
        self.tags[way as usize] = 0;
    }

    pub fn set(&mut self, way: u8, to: Ref) {
        self.refs[way as usize] = to.to_ne_bytes();
    }

    fn at(&self, way: usize) -> Ref {
        Ref::from_ne_bytes(self.refs[way])
    }
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    ((hash >> 55) as u8).max(1)
}
