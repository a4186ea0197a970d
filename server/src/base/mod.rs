//! What every other room may use, and what uses `std` alone (beside `itoa`, whose door is
//! `number`, and `foldhash`, whose door is `hash`).
//!
//! `number`, `long_double`, `glob`, `quote` and `lcs` follow Redis to the letter; `crc64` is the check sum of its
//! dumps and `lzf` the compression inside them.

pub mod crc64;
pub mod glob;
pub mod hash;
pub mod lcs;
pub mod long_double;
pub mod lzf;
pub mod number;
pub mod quote;
pub mod secret;
pub mod version;
