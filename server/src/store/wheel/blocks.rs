//! Bytes in blocks of one size.
//!
//! The packed names of a bucket are written anew each time it has grown by a sixteenth. One buffer for them would be of
//! another length each time, and an allocator keeps memory for each length: a byte a key. Blocks are all alike, and like
//! the chunks of the newest names.

/// Bytes in a block, which is 128 bytes long.
const BLOCK_LEN: usize = 120;

/// See the head of this file.
#[derive(Default)]
pub struct Blocks {
    first: Option<Box<Block>>,
    len: u32,
}

struct Block {
    next: Option<Box<Block>>,
    bytes: [u8; BLOCK_LEN],
}

const _: () = assert!(size_of::<Block>() == 128);

impl Blocks {
    /// Copies bytes into blocks.
    pub fn of(bytes: &[u8]) -> Blocks {
        let mut first = None;
        for part in bytes.chunks(BLOCK_LEN).rev() {
            let mut block = Box::new(Block { next: first, bytes: [0; BLOCK_LEN] });
            block.bytes[..part.len()].copy_from_slice(part);
            first = Some(block);
        }
        Blocks { first, len: bytes.len() as u32 }
    }

    /// Bytes of memory that the blocks take.
    pub fn memory(&self) -> usize {
        (self.len as usize).div_ceil(BLOCK_LEN) * size_of::<Block>()
    }

    /// The bytes in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len as usize);
        let mut next = &self.first;
        while let Some(block) = next {
            let left = self.len as usize - bytes.len();
            bytes.extend_from_slice(&block.bytes[..left.min(BLOCK_LEN)]);
            next = &block.next;
        }
        bytes
    }
}

impl Drop for Blocks {
    /// One block after the other: a long list would not fit the stack.
    fn drop(&mut self) {
        let mut next = self.first.take();
        while let Some(mut block) = next {
            next = block.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_are_counted_by_the_block() {
        for (len, memory) in [(0, 0), (1, 128), (120, 128), (121, 256), (100_000, 834 * 128)] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
            let blocks = Blocks::of(&bytes);
            assert_eq!(blocks.memory(), memory);
            assert!(blocks.to_vec() == bytes, "{len}");
        }
    }
}
