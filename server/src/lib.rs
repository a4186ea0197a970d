//! Larder as a library: a node can be embedded. `ARCHITECTURE.md` maps the rooms.

pub mod base;
pub mod cluster;
pub mod command;
pub mod config;
pub mod launch;
pub mod net;
pub mod node;
pub mod observe;
pub mod persist;
mod progress;
pub mod repl;
pub mod rules;
pub mod store;
pub mod types;
