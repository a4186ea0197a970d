//! Where keys live: stripes of slots, each with its tables, its arena, its timing wheel and its queues under one lock.

pub mod arena;
pub mod hash;
pub mod header;
pub mod pages;
pub mod record;
pub mod table;
mod tags;
pub mod wheel;
#[cfg(target_arch = "x86_64")]
mod tags_x86_64;
