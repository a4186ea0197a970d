//! Data structures that know no clients. Strings lie in the store's records.
//!
//! `packed` is the compact run that small hashes, sets and lists are, `dict` the table of large hashes and sets, `intset` a
//! set of integers, and `list` grows into chunks (`quicklist`). `zset` is a tree with counts beside a table, `stream` a map of
//! packed nodes. `bloom` is a filter. `hll`, `geo` and `bits` work on the bytes of strings and on scores.

pub mod algebra;
mod aside;
pub mod bits;
pub mod bloom;
mod chunk;
pub mod dict;
pub mod draw;
mod due;
mod fields;
pub mod geo;
pub mod hash;
pub mod hll;
pub mod intset;
pub mod item;
mod leaf;
pub mod list;
pub mod object;
pub mod packed;
mod quicklist;
pub mod set;
pub mod shared;
mod splice;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;
pub mod zset;
