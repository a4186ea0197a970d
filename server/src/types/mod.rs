//! The room `types`.

pub mod algebra;
pub mod chunk;
pub mod dict;
pub mod draw;
pub mod due;
pub mod fields;
pub mod hash;
pub mod intset;
pub mod item;
pub mod leaf;
pub mod list;
pub mod packed;
pub mod quicklist;
pub mod set;
mod splice;
#[cfg(test)]
mod testing;
