//! A long list: [chunks](super::chunk) in blocks, each of which knows how many elements it has.
//!
//! So an element in the middle of a million is found by passing some tens of blocks and chunks that lie side by side,
//! without a look into any other element. Blocks and chunks are kept in exact vectors; a list grows by a chunk at a
//! time, and no vector is long.
//!
//! Copies [share](super::shared) their blocks: the first change to a block of a list that was copied copies its chunks,
//! 256 KiB as lists are set up.

use super::chunk::{self, Chunk, Limits};
use super::item::{Element, Item};
use super::packed::Packed;
use super::shared::{self, SharedVec};

/// Chunks of a block, beyond which it is made two.
const BLOCK_MAX: usize = 32;

/// A long list. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Quicklist {
    /// No block is empty.
    blocks: Vec<Block>,
    /// Elements.
    len: usize,
    /// Chunks in all blocks.
    chunks: usize,
    /// What chunks have on the heap.
    chunk_bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Block {
    /// No chunk is empty.
    chunks: SharedVec<Chunk>,
    /// Elements in all chunks.
    len: usize,
}

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    block: usize,
    chunk: usize,
}

impl Quicklist {
    /// A list of the elements of a run.
    pub fn of(run: Packed<true>) -> Quicklist {
        let mut list = Quicklist::default();
        if !run.is_empty() {
            list.insert_chunk(Spot { block: 0, chunk: 0 }, Chunk::Run(run));
        }
        list
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Heap bytes of the chunks alone.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        let heads = self.blocks.len() * (size_of::<Block>() + shared::HEAD_BYTES);
        heads + self.chunks * size_of::<Chunk>() + self.chunk_bytes
    }

    /// The run that holds everything, taken out if there is no more than that and `is_fit` says that it will do.
    pub fn take_run(&mut self, is_fit: impl FnOnce(&Packed<true>) -> bool) -> Option<Packed<true>> {
        if self.chunks > 1 {
            return None;
        }
        match self.blocks.first_mut().map(|block| &mut block.chunks[0]) {
            None => Some(Packed::new()),
            Some(Chunk::Run(run)) => is_fit(run).then(|| std::mem::take(run)),
            Some(Chunk::Long(_)) => None,
        }
    }

    /// The chunk of an element that is there, and the element's number in it. Counted from the nearer end.
    fn locate(&self, index: usize) -> (Spot, usize) {
        let (block, index) = if index <= self.len / 2 {
            count_forward(self.blocks.iter().map(|block| block.len), index)
        } else {
            count_backward(self.blocks.iter().map(|block| block.len), self.blocks.len(), self.len - index)
        };
        let (chunk, index) = count_forward(self.blocks[block].chunks.iter().map(Chunk::len), index);
        (Spot { block, chunk }, index)
    }

    fn chunk(&self, spot: Spot) -> &Chunk {
        &self.blocks[spot.block].chunks[spot.chunk]
    }

    /// The chunk in front of another.
    fn before(&self, spot: Spot) -> Option<Spot> {
        if let Some(chunk) = spot.chunk.checked_sub(1) {
            return Some(Spot { chunk, ..spot });
        }
        let block = spot.block.checked_sub(1)?;
        Some(Spot { block, chunk: self.blocks[block].chunks.len() - 1 })
    }

    fn last(&self) -> Option<Spot> {
        self.before(Spot { block: self.blocks.len(), chunk: 0 })
    }

    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        if index >= self.len {
            return None;
        }
        let (spot, index) = self.locate(index);
        Some(self.chunk(spot).get(index))
    }

    /// Changes a chunk and keeps the counts.
    fn change<R>(&mut self, spot: Spot, change: impl FnOnce(&mut Chunk) -> R) -> R {
        let block = &mut self.blocks[spot.block];
        let chunk = &mut block.chunks[spot.chunk];
        let (len, bytes) = (chunk.len(), chunk.bytes());
        let result = change(chunk);
        block.len = block.len - len + chunk.len();
        self.len = self.len - len + chunk.len();
        self.chunk_bytes = self.chunk_bytes - bytes + chunk.bytes();
        result
    }

    /// Adds a chunk in front of the one at a spot.
    fn insert_chunk(&mut self, mut spot: Spot, chunk: Chunk) {
        if spot.block == self.blocks.len() {
            self.insert_block(spot.block, Block::default());
        }
        if self.blocks[spot.block].chunks.len() == BLOCK_MAX {
            spot = self.split_block(spot);
        }
        self.len += chunk.len();
        self.chunk_bytes += chunk.bytes();
        self.chunks += 1;
        let block = &mut self.blocks[spot.block];
        block.len += chunk.len();
        block.chunks.reserve_exact(1);
        block.chunks.insert(spot.chunk, chunk);
    }

    fn insert_block(&mut self, at: usize, block: Block) {
        self.blocks.reserve_exact(1);
        self.blocks.insert(at, block);
    }

    /// Makes a full block two, and returns what a spot in it has become. At the ends of the list blocks stay full.
    fn split_block(&mut self, spot: Spot) -> Spot {
        let cut = match spot {
            Spot { block, chunk: BLOCK_MAX } if block + 1 == self.blocks.len() => BLOCK_MAX,
            Spot { block: 0, chunk: 0 } => 0,
            _ => BLOCK_MAX / 2,
        };
        let block = &mut self.blocks[spot.block];
        let chunks = block.chunks.split_off(cut);
        let len = chunks.iter().map(Chunk::len).sum();
        block.chunks.shrink_to(0);
        block.len -= len;
        self.insert_block(spot.block + 1, Block { chunks, len });
        if spot.chunk > cut || cut == BLOCK_MAX {
            Spot { block: spot.block + 1, chunk: spot.chunk - cut }
        } else {
            spot
        }
    }

    /// Takes a chunk out, and its block if nothing is left of it.
    fn remove_chunk(&mut self, spot: Spot) -> Chunk {
        let block = &mut self.blocks[spot.block];
        let chunk = block.chunks.remove(spot.chunk);
        block.chunks.shrink_to(0);
        block.len -= chunk.len();
        self.len -= chunk.len();
        self.chunk_bytes -= chunk.bytes();
        self.chunks -= 1;
        if block.chunks.is_empty() {
            self.blocks.remove(spot.block);
            self.blocks.shrink_to_fit();
        }
        chunk
    }

    pub fn push_front(&mut self, element: Element<'_>, limits: &Limits) {
        let first = Spot { block: 0, chunk: 0 };
        if self.len == 0 || !self.add_to(first, element, limits, |_| 0) {
            self.insert_chunk(first, Chunk::of(element, limits));
        }
    }

    pub fn push_back(&mut self, element: Element<'_>, limits: &Limits) {
        let Some(last) = self.last() else { return self.push_front(element, limits) };
        if !self.add_to(last, element, limits, Packed::end) {
            self.insert_chunk(Spot { chunk: last.chunk + 1, ..last }, Chunk::of(element, limits));
        }
    }

    /// Adds an element to a chunk at the offset that `at` tells, if it may be there, and says whether it may.
    fn add_to(
        &mut self,
        spot: Spot,
        element: Element<'_>,
        limits: &Limits,
        at: impl FnOnce(&Packed<true>) -> usize,
    ) -> bool {
        if limits.is_long(element) {
            return false;
        }
        let item = Packed::<true>::item(element);
        self.change(spot, |chunk| {
            let Some(run) = chunk.run_with_room(&item, limits) else { return false };
            run.insert(at(run), &item);
            true
        })
    }

    /// Adds an element in front of another, or at the end if `index` is the length.
    pub fn insert(&mut self, index: usize, element: Element<'_>, limits: &Limits) {
        if index == 0 {
            return self.push_front(element, limits);
        }
        if index == self.len {
            return self.push_back(element, limits);
        }
        let (spot, inside) = self.locate(index);
        if self.add_to(spot, element, limits, |run| run.offset_of(inside)) {
            return;
        }
        if inside > 0 {
            self.split_chunk(spot, inside);
            return self.insert(index, element, limits);
        }
        let before = self.before(spot);
        if before.is_none_or(|before| !self.add_to(before, element, limits, Packed::end)) {
            self.insert_chunk(spot, Chunk::of(element, limits));
        }
    }

    /// Makes a chunk two, in front of one of its elements.
    fn split_chunk(&mut self, spot: Spot, inside: usize) {
        let behind = self.change(spot, |chunk| match chunk {
            Chunk::Run(run) => run.split_off(run.offset_of(inside), inside),
            Chunk::Long(_) => unreachable!("one element is not split"),
        });
        self.insert_chunk(Spot { chunk: spot.chunk + 1, ..spot }, Chunk::Run(behind));
    }

    /// Puts an element in the place of one that is there.
    pub fn replace(&mut self, index: usize, element: Element<'_>, limits: &Limits) {
        let (spot, inside) = self.locate(index);
        if !self.change(spot, |chunk| chunk.replace(inside, element, limits)) {
            self.cut(index, 1);
            self.insert(index, element, limits);
        }
    }

    /// Takes elements out, of which all must be there.
    pub fn remove(&mut self, start: usize, count: usize, limits: &Limits) {
        self.cut(start, count);
        // What was cut at an end is likely to be cut there again; chunks are joined around holes alone.
        if start > 0 && start < self.len {
            let (spot, inside) = self.locate(start);
            let end = start - inside + self.chunk(spot).len();
            self.join_at(end, limits);
            self.join_at(start - inside, limits);
        }
    }

    fn cut(&mut self, start: usize, mut count: usize) {
        while count > 0 {
            let (spot, inside) = self.locate(start);
            let here = count.min(self.chunk(spot).len() - inside);
            count -= here;
            if here == self.chunk(spot).len() {
                self.remove_chunk(spot);
                continue;
            }
            self.change(spot, |chunk| {
                let Chunk::Run(run) = chunk else { unreachable!("a part of one element is not cut") };
                let (from, to) = (run.offset_of(inside), run.offset_of(inside + here));
                run.remove_in(from, to, here);
            });
        }
    }

    /// Makes the chunks before and behind a place one, if they meet there and are small.
    fn join_at(&mut self, index: usize, limits: &Limits) {
        if index == 0 || index >= self.len {
            return;
        }
        let (spot, inside) = self.locate(index);
        if inside == 0 {
            self.join(spot, limits);
        }
    }

    /// Adds a chunk to the one before it in its block, if they are small, and says whether they are.
    fn join(&mut self, spot: Spot, limits: &Limits) -> bool {
        let Some(before) = spot.chunk.checked_sub(1).map(|chunk| Spot { chunk, ..spot }) else { return false };
        let (Chunk::Run(one), Chunk::Run(two)) = (self.chunk(before), self.chunk(spot)) else { return false };
        if limits.half().is_exceeded(one.listpack_bytes() + two.bytes(), one.len() + two.len()) {
            return false;
        }
        let Chunk::Run(two) = self.remove_chunk(spot) else { unreachable!("it has just been seen to be a run") };
        self.change(before, |chunk| {
            if let Chunk::Run(one) = chunk {
                one.append(&two);
            }
        });
        true
    }

    /// Takes out the first `max` elements equal to `item`, and returns how many that were.
    pub fn remove_equal_forward(&mut self, item: &Item<'_>, max: usize, limits: &Limits) -> usize {
        let mut removed = 0;
        let mut spot = Spot { block: 0, chunk: 0 };
        while removed < max && spot.block < self.blocks.len() {
            let blocks = self.blocks.len();
            removed += self.remove_equal_in(spot, item, 0, max - removed);
            if self.is_emptied(spot) {
                self.remove_chunk(spot);
            } else if !self.join(spot, limits) {
                spot.chunk += 1;
            }
            if self.blocks.len() < blocks {
                spot.chunk = 0;
            } else if spot.chunk >= self.blocks[spot.block].chunks.len() {
                spot = Spot { block: spot.block + 1, chunk: 0 };
            }
        }
        removed
    }

    /// Takes out the last `max` elements equal to `item`, and returns how many that were.
    pub fn remove_equal_backward(&mut self, item: &Item<'_>, max: usize, limits: &Limits) -> usize {
        let mut removed = 0;
        let mut next = self.last();
        while let Some(spot) = next.filter(|_| removed < max) {
            next = self.before(spot);
            let equal = self.chunk(spot).iter().filter(|&element| element == item.element()).count();
            let skip = equal.saturating_sub(max - removed);
            removed += self.remove_equal_in(spot, item, skip, equal);
            if self.is_emptied(spot) {
                self.remove_chunk(spot);
            } else if let Some(behind) = self.behind_in_block(spot) {
                self.join(behind, limits);
            }
        }
        removed
    }

    fn behind_in_block(&self, spot: Spot) -> Option<Spot> {
        let chunk = spot.chunk + 1;
        (chunk < self.blocks[spot.block].chunks.len()).then_some(Spot { chunk, ..spot })
    }

    /// Takes elements equal to `item` out of a chunk. One that is long is emptied, to be taken out.
    fn remove_equal_in(&mut self, spot: Spot, item: &Item<'_>, skip: usize, max: usize) -> usize {
        self.change(spot, |chunk| match chunk {
            Chunk::Run(run) => run.remove_equal(item, skip, max),
            Chunk::Long(text) if skip < max && Element::Text(text) == item.element() => {
                *chunk = Chunk::Run(Packed::new());
                1
            }
            Chunk::Long(_) => 0,
        })
    }

    fn is_emptied(&self, spot: Spot) -> bool {
        self.chunk(spot).len() == 0
    }

    /// The elements of each chunk.
    pub fn pieces(&self) -> impl Iterator<Item = chunk::Iter<'_>> + Clone {
        self.blocks.iter().flat_map(|block| &block.chunks).map(Chunk::iter)
    }

    /// The elements from one on.
    pub fn iter_from(&self, index: usize) -> Elements<'_, false> {
        if index >= self.len {
            return Elements::of(chunk::Iter::Long(None));
        }
        let (Spot { block, chunk }, inside) = self.locate(index);
        let chunks = &self.blocks[block].chunks;
        Elements {
            chunk: chunks[chunk].iter_from(inside),
            chunks: chunks[chunk + 1..].iter(),
            blocks: self.blocks[block + 1..].iter(),
        }
    }

    /// The elements from one back to the first.
    pub fn rev_from(&self, index: usize) -> Elements<'_, true> {
        if index >= self.len {
            return Elements::of(chunk::Iter::Long(None));
        }
        let (Spot { block, chunk }, inside) = self.locate(index);
        let chunks = &self.blocks[block].chunks;
        Elements {
            chunk: chunks[chunk].iter_to(inside),
            chunks: chunks[..chunk].iter(),
            blocks: self.blocks[..block].iter(),
        }
    }
}

/// The number of the part where an index falls, and the index in this part.
fn count_forward(lens: impl Iterator<Item = usize>, mut index: usize) -> (usize, usize) {
    for (number, len) in lens.enumerate() {
        if index < len {
            return (number, index);
        }
        index -= len;
    }
    unreachable!("an element that is not there was asked for")
}

/// The same, from the end: `left` elements from the one asked for to the last.
fn count_backward(lens: impl DoubleEndedIterator<Item = usize>, parts: usize, mut left: usize) -> (usize, usize) {
    for (passed, len) in lens.rev().enumerate() {
        if left <= len {
            return (parts - 1 - passed, len - left);
        }
        left -= len;
    }
    unreachable!("an element that is not there was asked for")
}

/// Elements of a list, one after the other, or one before the other if `BACK` says so.
#[derive(Clone, Debug)]
pub struct Elements<'a, const BACK: bool> {
    chunk: chunk::Iter<'a>,
    chunks: std::slice::Iter<'a, Chunk>,
    blocks: std::slice::Iter<'a, Block>,
}

impl<'a, const BACK: bool> Elements<'a, BACK> {
    /// The elements of one chunk.
    pub fn of(chunk: chunk::Iter<'a>) -> Self {
        Elements { chunk, chunks: [].iter(), blocks: [].iter() }
    }
}

impl<'a, const BACK: bool> Iterator for Elements<'a, BACK> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = step::<_, BACK>(&mut self.chunk) {
                return Some(element);
            }
            match step::<_, BACK>(&mut self.chunks) {
                Some(chunk) => self.chunk = chunk.iter(),
                None => self.chunks = step::<_, BACK>(&mut self.blocks)?.chunks.iter(),
            }
        }
    }
}

#[inline]
fn step<I: DoubleEndedIterator, const BACK: bool>(iter: &mut I) -> Option<I::Item> {
    if BACK { iter.next_back() } else { iter.next() }
}

#[cfg(test)]
impl Quicklist {
    /// Everything that must hold between the parts of a list.
    pub fn check(&self, context: &str) {
        for block in &self.blocks {
            assert!(!block.chunks.is_empty() && block.chunks.len() <= BLOCK_MAX, "{context}");
            assert!(block.chunks.iter().all(|chunk| chunk.len() > 0), "{context}");
            assert_eq!(block.len, block.chunks.iter().map(Chunk::len).sum::<usize>(), "{context}");
            assert_eq!(block.chunks.len(), block.chunks.capacity(), "{context}");
        }
        let chunks = || self.blocks.iter().flat_map(|block| &block.chunks);
        assert_eq!((self.chunks, self.blocks.len()), (chunks().count(), self.blocks.capacity()), "{context}");
        assert_eq!(self.len, chunks().map(Chunk::len).sum::<usize>(), "{context}");
        assert_eq!(self.chunk_bytes, chunks().map(Chunk::bytes).sum::<usize>(), "{context}");
    }
}
