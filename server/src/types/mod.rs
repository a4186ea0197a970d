//! The room `types`.

pub mod hll;
pub mod zset;
