//! The room `types`.

pub mod bits;
pub mod geo;
pub mod hll;
pub mod zset;
