//! The Rust client of Larder, and the wire code (`resp`, `slot`) that the server shares with it.

pub mod slot;
