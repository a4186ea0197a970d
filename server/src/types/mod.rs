//! The room `types`.
pub mod stream;
