//! The room `types`.

pub mod algebra;
mod chunk;
pub mod dict;
pub mod draw;
mod due;
mod fields;
pub mod hash;
pub mod intset;
pub mod item;
mod leaf;
pub mod list;
pub mod packed;
mod quicklist;
pub mod set;
mod splice;
#[cfg(test)]
mod testing;
