//! What every other room may use, and what uses `std` alone (beside `itoa`, whose door is `number`,
//! `foldhash`, whose door is `hash`, and `xxhash-rust`, whose door is `digest`).
//!
//! `number`, `long_double`, `glob`, `quote` and `lcs` follow Redis to the letter; `crc64` is the check sum of its
//! dumps and `lzf` the compression inside them. `ticks` is the clock that commands are timed by.

pub mod crc32c;
pub mod crc64;
pub mod digest;
pub mod glob;
pub mod hash;
pub mod json;
pub mod keep;
pub mod lcs;
pub mod long_double;
pub mod lzf;
pub mod murmur;
pub mod number;
pub mod quote;
pub mod secret;
pub mod ticks;
#[cfg(target_arch = "x86_64")]
mod ticks_x86_64;
pub mod version;
