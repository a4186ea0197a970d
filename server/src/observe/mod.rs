//! What a node tells of itself: slow commands, latency events, how long commands take, and what the system says.

pub mod histogram;
pub mod latency;
pub mod process;
pub mod slowlog;
