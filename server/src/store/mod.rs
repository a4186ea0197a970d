//! The room `store`.

pub mod evict;
