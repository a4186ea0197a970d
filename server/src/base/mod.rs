//! What every other room may use, and what uses `std` alone.
//!
//! `number` and `glob` follow Redis to the letter; `crc64` is the check sum of its dumps.
