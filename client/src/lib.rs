//! The Rust client of Larder, and the wire code (`resp`, `slot`) that the server shares with it.

pub mod connection;
pub mod resp;
pub mod slot;
