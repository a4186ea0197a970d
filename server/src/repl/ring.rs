//! The stream of writes as bytes: what a replica has yet to be sent, and the backlog for one that comes back.
//!
//! Both are the same bytes. They lie in blocks, oldest first; a full block never changes, so whoever sends it holds it
//! without a lock. A block goes once it is behind the backlog and no replica waits for it. Places are offsets: bytes of the
//! stream before them, as replicas count.

use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a block. What is longer than that has a block of its own.
const BLOCK_BYTES: usize = 16 * 1024;

/// The bytes of a stream from one offset to another.
#[derive(Debug, Default)]
pub struct Ring {
    /// Full blocks, oldest first.
    full: VecDeque<Arc<Vec<u8>>>,
    /// The block that is being filled.
    last: Vec<u8>,
    /// The offset of the first byte that is held.
    start: u64,
    /// The offset behind the last byte.
    end: u64,
}

/// Bytes of a stream, to be sent.
#[derive(Clone, Debug)]
pub struct Part {
    block: Arc<Vec<u8>>,
    from: usize,
}

impl Part {
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.from..]
    }
}

impl Ring {
    /// An empty ring whose next byte is at this offset.
    pub fn at(offset: u64) -> Ring {
        Ring { start: offset, end: offset, ..Ring::default() }
    }

    /// The offset of the first byte that is held.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds bytes. Returns whether a block has become full, so that it is time to [`Ring::trim`].
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.end += bytes.len() as u64;
        if self.last.capacity() == 0 {
            self.last.reserve_exact(BLOCK_BYTES.max(bytes.len()));
        }
        if self.last.len() + bytes.len() <= self.last.capacity() {
            self.last.extend_from_slice(bytes);
            return false;
        }
        let mut next = Vec::with_capacity(BLOCK_BYTES.max(bytes.len()));
        next.extend_from_slice(bytes);
        let full = std::mem::replace(&mut self.last, next);
        self.full.push_back(Arc::new(full));
        true
    }

    /// Adds bytes that are long, without copying them.
    pub fn push_owned(&mut self, bytes: Vec<u8>) -> bool {
        if bytes.len() < BLOCK_BYTES {
            return self.push(&bytes);
        }
        self.end += bytes.len() as u64;
        if !self.last.is_empty() {
            self.full.push_back(Arc::new(std::mem::take(&mut self.last)));
        }
        self.full.push_back(Arc::new(bytes));
        true
    }

    /// Lets blocks go that end at or before an offset. At least `backlog` bytes stay, if there are so many.
    pub fn trim(&mut self, needed_from: u64, backlog: u64) {
        let keep_from = needed_from.min(self.end.saturating_sub(backlog));
        while let Some(block) = self.full.front()
            && self.start + block.len() as u64 <= keep_from
        {
            self.start += block.len() as u64;
            self.full.pop_front();
        }
    }

    /// Whether the bytes from an offset on are held.
    pub fn holds(&self, offset: u64) -> bool {
        (self.start..=self.end).contains(&offset)
    }

    /// The bytes from an offset to the end of its block; `None` at the end of the stream.
    ///
    /// # Panics
    ///
    /// If they are not held.
    pub fn read(&self, offset: u64) -> Option<Part> {
        assert!(self.holds(offset), "byte {offset} of {}..{}", self.start, self.end);
        if offset == self.end {
            return None;
        }
        let mut at = self.start;
        for block in &self.full {
            let next = at + block.len() as u64;
            if offset < next {
                return Some(Part { block: block.clone(), from: (offset - at) as usize });
            }
            at = next;
        }
        // It is still being filled, and short.
        Some(Part { block: Arc::new(self.last[(offset - at) as usize..].to_vec()), from: 0 })
    }

    /// All bytes that are held, from [`Ring::start`] on.
    pub fn parts(&self) -> Vec<Part> {
        let last = (!self.last.is_empty()).then(|| Arc::new(self.last.clone()));
        self.full.iter().cloned().chain(last).map(|block| Part { block, from: 0 }).collect()
    }

    /// Bytes of memory it takes.
    pub fn footprint(&self) -> usize {
        self.full.iter().map(|block| block.capacity()).sum::<usize>() + self.last.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(ring: &Ring, mut from: u64) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(part) = ring.read(from) {
            all.extend_from_slice(part.bytes());
            from += part.bytes().len() as u64;
        }
        all
    }

    #[test]
    fn what_was_added_is_read_from_any_offset() {
        let mut ring = Ring::at(1000);
        let mut all = Vec::new();
        for length in [1, 10, 16_383, 16_384, 16_385, 0, 5, 40_000, 7, 16_000, 300, 300] {
            let bytes: Vec<u8> = (0..length).map(|n: usize| (n % 251) as u8).collect();
            all.extend_from_slice(&bytes);
            if length % 2 == 0 {
                ring.push(&bytes)
            } else {
                ring.push_owned(bytes)
            };
        }
        assert_eq!((ring.start(), ring.end()), (1000, 1000 + all.len() as u64));
        for from in (0..all.len()).step_by(997) {
            assert!(read_all(&ring, 1000 + from as u64) == all[from..], "from {from}");
        }
        let parts: Vec<u8> = ring.parts().iter().flat_map(|part| part.bytes().to_vec()).collect();
        assert!(parts == all);
    }

    #[test]
    fn a_backlog_stays_and_so_does_what_a_replica_needs() {
        let mut ring = Ring::at(0);
        (0..1000).for_each(|_| {
            ring.push(&[7; 1000]);
        });
        ring.trim(u64::MAX, 100_000);
        assert!(ring.end() - ring.start() >= 100_000 && ring.end() - ring.start() < 100_000 + BLOCK_BYTES as u64);
        assert!(!ring.holds(ring.start() - 1) && ring.holds(ring.end()) && !ring.holds(ring.end() + 1));
        let needed = ring.start() + 50;
        (0..1000).for_each(|_| {
            ring.push(&[7; 1000]);
        });
        ring.trim(needed, 100_000);
        assert!(ring.holds(needed));
        assert_eq!(read_all(&ring, needed).len() as u64, ring.end() - needed);
    }
}
