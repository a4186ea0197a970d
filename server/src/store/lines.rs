//! Memory for a stripe's indexes: runs of 64-byte lines, for tables and for the wheel.
//!
//! Lines come from the pool's segments. A bitmap says which are taken, so freed runs join by themselves, and a table
//! that grows by a line leaves no hole of a size nobody wants, as it would with an allocator of size classes.

use super::pages::{PAGE_BYTES, Pool, SEGMENT_BYTES, Segment};
use std::ptr::NonNull;
use std::sync::Arc;

/// Bytes in a line, and its alignment.
pub const LINE_BYTES: usize = 64;

/// Lines in a segment, the longest run.
pub const RUN_MAX: u32 = (SEGMENT_BYTES / LINE_BYTES) as u32;

const LINES_IN_PAGE: u32 = (PAGE_BYTES / LINE_BYTES) as u32;

const WORDS: usize = RUN_MAX as usize / 64;

/// A run of lines: segment and line.
pub type Run = u32;

pub struct Lines {
    pool: Arc<Pool>,
    segments: Vec<Option<Part>>,
    taken: usize,
    /// Pages of all segments.
    pages: usize,
}

struct Part {
    segment: Segment,
    /// A bit for each line that is taken.
    map: [u64; WORDS],
    /// Pages that have been written to since the segment came.
    pages: u32,
}

impl Lines {
    pub fn new(pool: Arc<Pool>) -> Lines {
        Lines { pool, segments: Vec::new(), taken: 0, pages: 0 }
    }

    /// Bytes of lines taken.
    pub fn used_bytes(&self) -> usize {
        self.taken * LINE_BYTES
    }

    /// Bytes of pages that hold them, free lines between them included.
    pub fn footprint(&self) -> usize {
        self.pages * PAGE_BYTES
    }

    /// Takes a run of up to [`RUN_MAX`] lines. Its contents are arbitrary.
    pub fn take(&mut self, count: u32) -> Run {
        debug_assert!(count > 0 && count <= RUN_MAX);
        self.taken += count as usize;
        if let Some((number, first)) = self.best_fit(count) {
            let part = self.segments[number].as_mut().expect("the fit was found in it");
            self.pages += part.mark(first, count, true);
            return run(number, first);
        }
        let mut part = Part { segment: self.pool.take(), map: [0; WORDS], pages: 0 };
        self.pages += part.mark(0, count, true);
        let number = match self.segments.iter().position(Option::is_none) {
            Some(vacant) => {
                self.segments[vacant] = Some(part);
                vacant
            }
            None => {
                self.segments.push(Some(part));
                self.segments.len() - 1
            }
        };
        run(number, 0)
    }

    /// The smallest gap that holds so many lines; the untouched end of a segment counts as larger than any gap.
    fn best_fit(&self, count: u32) -> Option<(usize, u32)> {
        let mut best: Option<(u32, usize, u32)> = None;
        for (number, part) in self.segments.iter().enumerate() {
            let Some(part) = part else { continue };
            for (first, len) in gaps(&part.map) {
                let size = if first + len == RUN_MAX { RUN_MAX + len } else { len };
                if len >= count && best.is_none_or(|(least, ..)| size < least) {
                    best = Some((size, number, first));
                    if size == count {
                        return Some((number, first));
                    }
                }
            }
        }
        best.map(|(_, number, first)| (number, first))
    }

    /// Gives a run back.
    pub fn give(&mut self, run: Run, count: u32) {
        self.taken -= count as usize;
        let number = (run / RUN_MAX) as usize;
        let part = self.segments[number].as_mut().expect("runs lie in segments that are there");
        part.mark(run % RUN_MAX, count, false);
        if part.map == [0; WORDS] {
            let part = self.segments[number].take().expect("just seen");
            self.pages -= part.pages as usize;
            self.pool.give(part.segment);
        }
    }

    /// The address of a run, right until it is given back.
    pub fn at(&self, run: Run) -> NonNull<u8> {
        let part = self.segments[(run / RUN_MAX) as usize].as_ref().expect("runs lie in segments that are there");
        let offset = (run % RUN_MAX) as usize * LINE_BYTES;
        // SAFETY: the offset is inside the segment.
        unsafe { NonNull::new_unchecked(part.segment.base().add(offset)) }
    }

    /// Whether a run of so many lines would need a new page although as many lines, and a few more, lie free between
    /// the runs: then it pays to [`Lines::repack`] first.
    pub fn is_loose_for(&self, count: u32) -> bool {
        let free = self.pages * LINES_IN_PAGE as usize - self.taken;
        if free < count as usize + (self.taken / 32).max(8) {
            return false;
        }
        self.best_fit(count).is_none_or(|(number, first)| {
            let part = self.segments[number].as_ref().expect("the fit was found in it");
            (first + count).div_ceil(LINES_IN_PAGE) > part.pages
        })
    }

    /// Moves all runs together. `runs` are all that are taken, with their lengths; each learns its new place.
    pub fn repack(&mut self, runs: &mut [(&mut Run, u32)]) {
        runs.sort_unstable_by_key(|(run, _)| **run);
        let mut maps = vec![[0; WORDS]; self.segments.len()];
        let mut numbers = (0..self.segments.len()).filter(|&number| self.segments[number].is_some());
        let mut number = numbers.next().unwrap_or(0);
        let mut first = 0;
        for (old, count) in runs {
            if first + *count > RUN_MAX {
                number = numbers.next().expect("packed closer, runs need no more segments than before");
                first = 0;
            }
            let new = run(number, first);
            let bytes = *count as usize * LINE_BYTES;
            // SAFETY: both places are inside segments that are held; `copy` allows them to overlap. Runs are visited by
            // rising address and only move down, so nothing that is still to be moved is overwritten.
            unsafe { self.at(new).as_ptr().copy_from(self.at(**old).as_ptr(), bytes) };
            **old = new;
            mark(&mut maps[number], first, *count, true);
            first += *count;
        }
        for (slot, map) in self.segments.iter_mut().zip(maps) {
            match slot {
                Some(part) if map == [0; WORDS] => {
                    self.pages -= part.pages as usize;
                    self.pool.give(slot.take().expect("just seen").segment);
                }
                Some(part) => {
                    let pages = ends(&map).div_ceil(LINES_IN_PAGE).max(part.pages);
                    self.pages += (pages - part.pages) as usize;
                    (part.map, part.pages) = (map, pages);
                }
                None => {}
            }
        }
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.segments.drain(..).flatten().for_each(|part| self.pool.give(part.segment));
        self.segments = Vec::new();
        (self.taken, self.pages) = (0, 0);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Part {
    /// Marks lines. Returns how many pages they are the first to touch.
    fn mark(&mut self, first: u32, count: u32, taken: bool) -> usize {
        mark(&mut self.map, first, count, taken);
        let before = self.pages;
        self.pages = before.max((first + count).div_ceil(LINES_IN_PAGE));
        (self.pages - before) as usize
    }
}

fn mark(map: &mut [u64; WORDS], first: u32, count: u32, taken: bool) {
    for line in first..first + count {
        let bit = 1 << (line % 64);
        match taken {
            true => map[line as usize / 64] |= bit,
            false => map[line as usize / 64] &= !bit,
        }
    }
}

/// One past the last line that is taken.
fn ends(map: &[u64; WORDS]) -> u32 {
    let last = (0..WORDS).rev().find(|&word| map[word] != 0);
    last.map_or(0, |word| word as u32 * 64 + 64 - map[word].leading_zeros())
}

fn run(segment: usize, first: u32) -> Run {
    segment as u32 * RUN_MAX + first
}

/// The runs of free lines: first line and length.
fn gaps(map: &[u64; WORDS]) -> impl Iterator<Item = (u32, u32)> + use<'_> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let first = next(map, from, false)?;
        let end = next(map, first, true).unwrap_or(RUN_MAX);
        from = end;
        Some((first, end - first))
    })
}

/// The first line from `from` on that is taken, or free.
fn next(map: &[u64; WORDS], from: u32, taken: bool) -> Option<u32> {
    let mut word = from as usize / 64;
    let mut skip = from % 64;
    while word < WORDS {
        let bits = if taken { map[word] } else { !map[word] };
        let bits = bits >> skip << skip;
        if bits != 0 {
            return Some(word as u32 * 64 + bits.trailing_zeros());
        }
        word += 1;
        skip = 0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn freed_runs_join() {
        let mut lines = Lines::new(Arc::default());
        let runs: Vec<Run> = (0..8).map(|_| lines.take(5)).collect();
        lines.give(runs[2], 5);
        lines.give(runs[3], 5);
        assert_eq!(lines.take(10), runs[2]);
        assert_eq!(lines.used_bytes(), 40 * LINE_BYTES);
        assert_eq!(lines.footprint(), PAGE_BYTES);
    }

    #[test]
    fn packed_runs_keep_their_bytes_and_leave_no_gaps() {
        let mut lines = Lines::new(Arc::default());
        let mut live: Vec<(Run, u32, u8)> = Vec::new();
        for number in 0..200u32 {
            let count = 1 + number * 7 % 11;
            let run = lines.take(count);
            // SAFETY: the run has so many lines.
            unsafe { lines.at(run).as_ptr().write_bytes(number as u8, count as usize * LINE_BYTES) };
            live.push((run, count, number as u8));
        }
        for which in (0..200).rev().step_by(3) {
            let (run, count, _) = live.remove(which);
            lines.give(run, count);
        }
        let before = lines.footprint();
        let mut runs: Vec<(&mut Run, u32)> = live.iter_mut().map(|(run, count, _)| (run, *count)).collect();
        lines.repack(&mut runs);
        for &(run, count, name) in &live {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(lines.at(run).as_ptr(), count as usize * LINE_BYTES) };
            assert!(bytes.iter().all(|&byte| byte == name));
        }
        assert!(lines.footprint() < before);
        for (run, count, _) in live {
            lines.give(run, count);
        }
        assert_eq!((lines.footprint(), lines.used_bytes()), (0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]
        #[test]
        fn runs_never_overlap(steps in prop::collection::vec((any::<bool>(), 1u32..=RUN_MAX, any::<usize>()), 1..300)) {
            let mut lines = Lines::new(Arc::default());
            let mut live: Vec<(Run, u32)> = Vec::new();
            for (take, count, which) in steps {
                if take || live.is_empty() {
                    let run = lines.take(count);
                    prop_assert!(live.iter().all(|&(other, len)| run + count <= other || other + len <= run));
                    live.push((run, count));
                } else {
                    let (run, count) = live.swap_remove(which % live.len());
                    lines.give(run, count);
                }
                prop_assert_eq!(lines.used_bytes(), live.iter().map(|l| l.1 as usize).sum::<usize>() * LINE_BYTES);
            }
            for (run, count) in live {
                lines.give(run, count);
            }
            prop_assert_eq!(lines.footprint(), 0);
        }
    }
}
