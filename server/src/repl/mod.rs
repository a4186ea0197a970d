//! Replication without sockets and without keys: the stream's bytes and where they begin, which of them a replica may go on
//! from, and what two ends say to each other. Pure cores, which `command` and `net` bring to life.

pub mod greeting;
pub mod history;
pub mod ring;
pub mod spell;
