//! What the benchmarks share: keys like those of the comparison with other servers, and short measurements.

use criterion::Criterion;
use std::time::Duration;

/// Bytes of a key and of a value.
pub const KEY_BYTES: usize = 16;
pub const VALUE: &[u8] = &[b'v'; 64];

/// The key of a number.
pub fn key(number: u64) -> [u8; KEY_BYTES] {
    let text = format!("key:{number:012}");
    text.as_bytes().try_into().expect("twelve digits hold every number that is used")
}

/// Numbers below `end` in an order without one (SplitMix64).
pub fn numbers(end: u64) -> impl Iterator<Item = u64> {
    (0u64..).map(move |step| {
        let mut x = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    })
}

/// Short measurements: each of these benchmarks does the same thing again and again, so a second of it says enough.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}
