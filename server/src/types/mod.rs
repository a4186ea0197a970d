//! The room `types`.

pub mod zset;
