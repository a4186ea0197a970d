//! Which register an element raises, and how far: Austin Appleby's MurmurHash64A with the seed that Redis uses.

use super::{COUNT_BITS, INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;

/// The register and the count of an element: 1 and the number of zeros that the rest of the hash ends in, at most 51.
pub(super) fn register(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element);
    // A bit above all others ends the zeros.
    let rest = hash >> INDEX_BITS | 1 << COUNT_BITS;
    (hash as usize % REGISTERS, rest.trailing_zeros() as u8 + 1)
}

fn murmur64a(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0xc6a4_a793_5bd1_e995;
    const SHIFT: u32 = 47;
    let mix = |word: u64| {
        let word = word.wrapping_mul(FACTOR);
        (word ^ word >> SHIFT).wrapping_mul(FACTOR)
    };
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, tail) = bytes.as_chunks();
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(FACTOR);
    }
    if !tail.is_empty() {
        let word = tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}
