//! The cluster without sockets and without keys: who is in it, who has which slot, and how that changes. Pure cores, which
//! `command` and `net` bring to life.

pub mod attendance;
pub mod bus;
pub mod code;
pub mod conductor;
pub mod consensus;
pub mod control;
pub mod entry;
pub mod id;
pub mod identity;
pub mod placement;
pub mod ranges;
pub mod tenure;
pub mod topology;
