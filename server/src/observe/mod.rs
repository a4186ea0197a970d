//! What a node tells of itself: slow commands and latency events.

pub mod latency;
pub mod slowlog;
