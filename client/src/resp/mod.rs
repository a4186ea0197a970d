//! RESP2 and RESP3 on the wire, as a client sees them. This module is the door to the crate `redis-protocol`.
//!
//! ```text
//! bytes -> scan (where does the reply end, is it within bounds) -> decode -> Reply
//! ```
//!
//! `redis-protocol` decodes every single value. The nesting around the values is walked here, for reasons found by
//! running it: its recursion overflows the stack on a few kilobytes of `*1\r\n`, it calls absurd lengths "incomplete" and
//! so lets buffers grow, it starts over on every read, it does not look at the bytes that should end a string, it keeps maps and
//! sets in hash tables, which loses their order and their duplicates, and it refuses errors that are not UTF-8, though
//! servers echo the client's own bytes in them.

mod decode;
mod encode;
mod reply;
mod scan;

pub use decode::{Decoder, decode_request};
pub use encode::encode_request;
pub use reply::{Reply, TextFormat};
pub use scan::{Limits, Malformed, Scan};
