//! MurmurHash64A (Austin Appleby, public domain): a 64-bit hash with a seed, the same everywhere and for ever. It is what RedisBloom's
//! filters go by.

/// The hash of bytes.
pub fn murmur64(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mix = |word: u64| {
        let word = word.wrapping_mul(M);
        (word ^ word >> R).wrapping_mul(M)
    };
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ mix(u64::from_le_bytes(*word))).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_of_that_name() {
        // The check of SMHasher: hashes of 0, 01, 012, ... with seeds that count down, and the hash of all of them.
        let bytes: Vec<u8> = (0..=255).collect();
        let hashes: Vec<u8> =
            (0..256).flat_map(|len| murmur64(&bytes[..len], 256 - len as u64).to_le_bytes()).collect();
        assert_eq!(murmur64(&hashes, 0) as u32, 0x1f0d_3804);
    }
}
