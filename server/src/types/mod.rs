//! The room `types`.

pub mod draw;
pub mod intset;
pub mod item;
pub mod packed;
mod splice;
#[cfg(test)]
mod testing;
