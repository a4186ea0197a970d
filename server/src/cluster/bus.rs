//! What nodes say to each other beside the data: the entries of the log, reports, and what is to be proposed.
//!
//! Both ends of a connection first prove to each other that they know the cluster's secret ([`Greeting`]), without telling it. What
//! is said after that goes in [frames](Seal) that carry a check made with a key of this connection, so nobody between the
//! two can add, change, repeat or reorder any. Nothing is hidden from them: that takes TLS.

mod greeting;
mod message;
mod proof;
mod seal;
#[cfg(test)]
mod tests;

pub use greeting::{Greeting, Met, Progress, Refusal, Who};
pub use message::{Message, Outcome, decode, encode};
pub use proof::{Purpose, is_peer_proof, peer_proof};
pub use seal::{Broken, FRAME_BYTES_MAX, Open, Seal};
