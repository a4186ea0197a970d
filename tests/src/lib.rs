//! What the tests of running nodes share: starting a server, talking to it, and checking replies.
//!
//! ```no_run
//! use larder_tests::Node;
//!
//! let mut node = Node::start();
//! node.check("SET greeting hello EX 100", "OK");
//! node.check("GET greeting", "hello");
//! node.check("TTL greeting", "100");
//! ```
//!
//! `cargo test` starts the server of this workspace. With `LARDER_TEST_SERVER=/usr/bin/redis-server` in the environment the
//! same tests run against that server, which is how the tests themselves are checked against the reference. What only
//! Larder has, or what the reference has since a later version, is left out then: see [`Node::larder`] and [`Node::since`].

pub mod chain;
mod client;
pub mod cluster;
pub mod digest;
mod launch;
mod link;
pub mod load;
mod namespace;
mod node;
mod pattern;
mod process;
pub mod random;
mod render;
pub mod small_disk;
pub mod texts;
mod wait;
mod words;
pub mod writes;

pub use client::Client;
pub use launch::{Ended, Launch};
pub use link::Link;
pub use node::Node;
pub use pattern::matches;
pub use process::free_address;
pub use render::render;
pub use wait::{poll, wait_long, wait_until};
pub use words::split;
