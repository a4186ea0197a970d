//! A member of a large sorted set with its score, in one allocation that the table owns and the tree points to.
//!
//! **Invariant.** An [`Alias`] is made from an [`Element`] of the same set and leaves the tree before that element is
//! dropped. The folder `large` keeps it: both types are private to it, [`super::Large`] has private fields, and an
//! element leaves the table in `Large::remove` and `Large::remove_ranks` alone, which empty the tree's place first.
//! Where a share of the set has the alias too, the element is not dropped there but kept until the share is gone
//! (`loan`); nor is the table, which may go before the share.
//!
//! This is where all `unsafe` of sorted sets lies. It saves a second copy of the member or, with indices into a shared
//! vector, the jumps of a vector that doubles: 8 bytes for a reference, 8 for the score, 1 or 5 for the length.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

/// The score lies at the start; the length follows, then the bytes.
const SCORE_BYTES: usize = size_of::<f64>();

/// A length up to this is one byte; a longer one is this mark and four bytes more.
const SHORT_MAX: usize = 254;
const LONG_MARK: u8 = 255;
const LONG_BYTES: usize = 5;

/// The owner of one member and its score.
pub(super) struct Element(NonNull<u8>);

/// A member that an [`Element`] elsewhere in the same set owns: see the invariant at the head of this file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Alias(NonNull<u8>);

// SAFETY: an element owns plain bytes, and writing needs `&mut`.
unsafe impl Send for Element {}
// SAFETY: as above; `&Element` only reads.
unsafe impl Sync for Element {}
// SAFETY: an alias travels with the set that owns its element, or with a share for which it is kept. It only reads the
// member, which is never written: the set changes the score alone, which lies beside it.
unsafe impl Send for Alias {}
// SAFETY: as above.
unsafe impl Sync for Alias {}

impl Element {
    /// Copies the member, which has at most `u32::MAX` bytes.
    pub(super) fn new(score: f64, member: &[u8]) -> Element {
        let length = u32::try_from(member.len()).expect("a word of a request has at most 512 MiB");
        let layout = layout(member.len());
        // SAFETY: the layout has at least the nine bytes of score and length.
        let raw = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(raw) else { handle_alloc_error(layout) };
        // SAFETY: `layout` has room for the score, the length in its form, and the member behind it; the score is
        // aligned since the layout is.
        unsafe {
            at.cast::<f64>().write(score);
            let prefix = at.add(SCORE_BYTES);
            if member.len() <= SHORT_MAX {
                prefix.write(length as u8);
            } else {
                prefix.write(LONG_MARK);
                prefix.add(1).cast::<[u8; 4]>().write(length.to_le_bytes());
            }
            let start = prefix.add(prefix_bytes(member.len()));
            start.copy_from_nonoverlapping(NonNull::from(member).cast(), member.len());
        }
        Element(at)
    }

    pub(super) fn alias(&self) -> Alias {
        Alias(self.0)
    }

    pub(super) fn member(&self) -> &[u8] {
        // SAFETY: `self` owns the allocation and is borrowed for as long as the slice lives.
        unsafe { member(self.0) }
    }

    pub(super) fn score(&self) -> f64 {
        // SAFETY: `new` wrote an aligned score here.
        unsafe { self.0.cast::<f64>().read() }
    }

    pub(super) fn set_score(&mut self, score: f64) {
        // SAFETY: as in `score`. Slices that aliases gave out cover the member alone, not the score.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    /// What was asked of the allocator for this element.
    pub(super) fn bytes(&self) -> usize {
        layout(self.member().len()).size()
    }
}

impl Drop for Element {
    fn drop(&mut self) {
        let layout = layout(self.member().len());
        // SAFETY: `new` allocated it with the layout of this length, and no alias is used any more (invariant).
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

impl Alias {
    pub(super) fn member(&self) -> &[u8] {
        // SAFETY: the element lives as long as the alias is in a tree (invariant), and `self` is borrowed from there.
        unsafe { member(self.0) }
    }
}

/// The bytes of the member at `at`.
///
/// # Safety
///
/// [`Element::new`] made the allocation, and it is not freed while the slice lives.
unsafe fn member<'a>(at: NonNull<u8>) -> &'a [u8] {
    // SAFETY: `new` wrote the length in one of the two forms and as many bytes behind it.
    unsafe {
        let prefix = at.add(SCORE_BYTES);
        let length = match prefix.read() {
            LONG_MARK => u32::from_le_bytes(prefix.add(1).cast::<[u8; 4]>().read()) as usize,
            short => usize::from(short),
        };
        slice::from_raw_parts(prefix.add(prefix_bytes(length)).as_ptr(), length)
    }
}

fn prefix_bytes(length: usize) -> usize {
    if length <= SHORT_MAX { 1 } else { LONG_BYTES }
}

fn layout(length: usize) -> Layout {
    let size = SCORE_BYTES + prefix_bytes(length) + length;
    Layout::from_size_align(size, align_of::<f64>()).expect("a member's length fits 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_gives_back_what_it_was_given() {
        for length in [0, 1, 13, 253, 254, 255, 256, 70_000] {
            let member: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            let mut element = Element::new(1.5, &member);
            let alias = element.alias();
            element.set_score(-2.0);
            assert_eq!((element.score(), element.member(), alias.member()), (-2.0, &member[..], &member[..]));
            assert_eq!(element.bytes(), 8 + length + if length < 255 { 1 } else { 5 });
        }
    }

    #[test]
    fn an_owner_has_a_niche() {
        assert_eq!(size_of::<Option<Element>>(), 8);
    }
}
