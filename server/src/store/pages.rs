//! Memory for the arenas: segments of 8 KiB that stripes take from one pool and give back to it.
//!
//! The pool maps slabs of 2 MiB. A segment that comes back is kept warm for the next taker; beyond a few, its pages
//! are returned to the system at once, so that what expired or was deleted shows in the resident set.

use parking_lot::Mutex;
use std::ptr::NonNull;

/// Bytes in a segment. Small, so that 256 stripes can share a budget of a few MiB without waste.
pub const SEGMENT_BYTES: usize = 8 * 1024;

/// Bytes of a page: what becomes resident at a time. Larger on some systems, where less is counted than is resident.
pub const PAGE_BYTES: usize = 4096;

/// Bytes the pool asks of the system at a time: one huge page.
const SLAB_BYTES: usize = 2 * 1024 * 1024;

/// Free segments whose pages are kept for the next taker.
const WARM_MAX: usize = 32;

/// From this many bytes on, slabs become huge pages: they spare a lookup among a million keys two walks through the
/// page tables, which is an eighth of what it costs.
const HUGE_FROM_BYTES: usize = 64 * 1024 * 1024;

/// The newest slabs, whose segments may not be written to the end yet. They stay small pages, as a huge one is resident
/// whole.
const FILLING_SLABS: usize = 2;

/// A segment: [`SEGMENT_BYTES`] of memory, aligned to its size, that one owner holds.
pub struct Segment(NonNull<u8>);

// SAFETY: a segment is plain memory with one owner; nothing about it belongs to a thread.
unsafe impl Send for Segment {}

impl Segment {
    /// Gives the segment up for its first byte, which is where it is found again.
    pub fn into_base(self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// # Safety
    ///
    /// `base` comes from [`Segment::into_base`], and this is done once.
    pub unsafe fn from_base(base: *mut u8) -> Segment {
        // SAFETY: the caller says that it was a segment's.
        Segment(unsafe { NonNull::new_unchecked(base) })
    }

    /// The first byte.
    pub fn base(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

/// The pool of a node.
#[derive(Default)]
pub struct Pool {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    free: Vec<Segment>,
    /// Slabs asked of the system, oldest first.
    slabs: Vec<NonNull<u8>>,
    /// How many of them are huge pages.
    huge: usize,
}

// SAFETY: as for `Segment`; the slabs are only freed when nobody can hold a segment of them.
unsafe impl Send for Inner {}

impl Pool {
    /// Takes a segment. Its contents are arbitrary.
    ///
    /// Aborts as every allocation does when the system has no memory left.
    pub fn take(&self) -> Segment {
        let mut inner = self.inner.lock();
        if inner.free.is_empty() {
            let slab = system::map(SLAB_BYTES);
            system::want_small(slab, SLAB_BYTES);
            inner.slabs.push(slab);
            // Reversed, so that segments are handed out by rising address.
            for at in (0..SLAB_BYTES).step_by(SEGMENT_BYTES).rev() {
                // SAFETY: `at` is inside the slab.
                inner.free.push(Segment(unsafe { slab.add(at) }));
            }
        }
        inner.free.pop().expect("a slab has been added")
    }

    /// Makes a huge page of one slab that is old enough and still in use as a whole. Takes the system some 200 µs.
    ///
    /// Returns whether there was one that is old enough; each is looked at once.
    pub fn enlarge(&self) -> bool {
        let slab = {
            let mut inner = self.inner.lock();
            let filled = inner.slabs.len().saturating_sub(FILLING_SLABS);
            if inner.huge >= filled || inner.slabs.len() * SLAB_BYTES < HUGE_FROM_BYTES {
                return false;
            }
            inner.huge += 1;
            let slab = inner.slabs[inner.huge - 1];
            // One with segments that were given back would become resident where it is not.
            let pages = slab.as_ptr()..slab.as_ptr().wrapping_add(SLAB_BYTES);
            if inner.free.iter().any(|segment| pages.contains(&segment.base())) {
                return true;
            }
            slab
        };
        // Slabs are unmapped by `Drop` alone, which nobody calls while `self` is borrowed.
        system::make_huge(slab, SLAB_BYTES);
        true
    }

    /// Gives a segment back.
    pub fn give(&self, segment: Segment) {
        let mut inner = self.inner.lock();
        if inner.free.len() >= WARM_MAX {
            system::discard(segment.0, SEGMENT_BYTES);
            // Cold ones go to the bottom, warm ones are handed out first.
            let bottom = inner.free.len();
            inner.free.push(segment);
            inner.free.swap(0, bottom);
        } else {
            inner.free.push(segment);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        // A segment still out there keeps its slab: leaking is sound, unmapping would not be.
        if inner.free.len() * SEGMENT_BYTES == inner.slabs.len() * SLAB_BYTES {
            for &slab in &inner.slabs {
                system::unmap(slab, SLAB_BYTES);
            }
        }
    }
}

/// The system's calls.
#[cfg(all(unix, not(miri)))]
mod system {
    use std::ptr::{NonNull, null_mut};

    /// Maps `bytes` (a power of two), aligned to `bytes`, not yet resident.
    pub fn map(bytes: usize) -> NonNull<u8> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                bytes * 2,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            std::alloc::handle_alloc_error(std::alloc::Layout::from_size_align(bytes, bytes).expect("a power of two"));
        }
        let start = start as usize;
        let aligned = (start + bytes - 1) & !(bytes - 1);
        let end = start + bytes * 2;
        // SAFETY: both pieces belong to the mapping just made and lie outside of the part kept.
        unsafe {
            if aligned > start {
                libc::munmap(start as *mut _, aligned - start);
            }
            libc::munmap((aligned + bytes) as *mut _, end - aligned - bytes);
        }
        NonNull::new(aligned as *mut u8).expect("a mapping is never at address 0")
    }

    pub fn unmap(at: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller owns the mapping and holds no reference into it.
        unsafe { libc::munmap(at.as_ptr().cast(), bytes) };
    }

    /// Lets the system take the pages; the next write finds zeros.
    pub fn discard(at: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller owns the bytes and needs their contents no more.
        unsafe { libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_DONTNEED) };
    }

    /// Puts what lies in small pages into one huge page. Systems that cannot do so at once may do it later, or never.
    #[cfg(target_os = "linux")]
    pub fn make_huge(at: NonNull<u8>, bytes: usize) {
        // SAFETY: advice about memory the caller owns; its contents stay.
        unsafe {
            libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
            libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_COLLAPSE);
        }
    }

    #[cfg(target_os = "linux")]
    pub fn want_small(at: NonNull<u8>, bytes: usize) {
        // SAFETY: advice about memory the caller owns.
        unsafe { libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
    }

    #[cfg(not(target_os = "linux"))]
    pub fn make_huge(_: NonNull<u8>, _: usize) {}

    #[cfg(not(target_os = "linux"))]
    pub fn want_small(_: NonNull<u8>, _: usize) {}
}

/// The same on the allocator, for systems without `mmap` and for Miri.
#[cfg(not(all(unix, not(miri))))]
mod system {
    use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
    use std::ptr::NonNull;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, bytes).expect("a power of two")
    }

    pub fn map(bytes: usize) -> NonNull<u8> {
        // SAFETY: the layout is not of size zero.
        NonNull::new(unsafe { alloc(layout(bytes)) }).unwrap_or_else(|| handle_alloc_error(layout(bytes)))
    }

    pub fn unmap(at: NonNull<u8>, bytes: usize) {
        // SAFETY: `map` made it with this layout.
        unsafe { dealloc(at.as_ptr(), layout(bytes)) };
    }

    pub fn discard(_: NonNull<u8>, _: usize) {}

    pub fn make_huge(_: NonNull<u8>, _: usize) {}

    pub fn want_small(_: NonNull<u8>, _: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_aligned_distinct_and_reused() {
        let pool = Pool::default();
        let taken: Vec<Segment> = (0..300).map(|_| pool.take()).collect();
        let mut bases: Vec<usize> = taken.iter().map(|s| s.base() as usize).collect();
        bases.sort_unstable();
        assert!(bases.iter().all(|b| b % SEGMENT_BYTES == 0));
        assert!(bases.windows(2).all(|w| w[1] - w[0] >= SEGMENT_BYTES));
        for segment in taken {
            pool.give(segment);
        }
        let again = pool.take();
        assert!(bases.contains(&(again.base() as usize)));
        pool.give(again);
    }

    #[test]
    fn old_slabs_become_huge_pages_and_keep_their_bytes() {
        let pool = Pool::default();
        let wanted = if cfg!(miri) { 0 } else { HUGE_FROM_BYTES / SEGMENT_BYTES };
        let taken: Vec<Segment> = (0..wanted).map(|_| pool.take()).collect();
        for (number, segment) in taken.iter().enumerate() {
            // SAFETY: the segment is ours and has room for a number.
            unsafe { segment.base().cast::<usize>().write(number) };
        }
        let enlarged = std::iter::from_fn(|| pool.enlarge().then_some(())).count();
        assert_eq!(enlarged, (wanted * SEGMENT_BYTES / SLAB_BYTES).saturating_sub(FILLING_SLABS));
        for (number, segment) in taken.into_iter().enumerate() {
            // SAFETY: as above.
            assert_eq!(unsafe { segment.base().cast::<usize>().read() }, number);
            pool.give(segment);
        }
    }
}
