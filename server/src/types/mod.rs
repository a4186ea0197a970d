//! The room `types`.

pub mod dict;
pub mod draw;
pub mod intset;
pub mod item;
pub mod leaf;
pub mod packed;
mod splice;
#[cfg(test)]
mod testing;
