//! Sockets: accepting connections, and moving bytes between them and their sessions.

pub mod bus;
pub mod connection;
pub mod descriptors;
pub mod feed;
pub mod follow;
pub mod lines;
pub mod listen;
pub mod mover;
pub mod parser;
pub mod round;
pub mod worker;
