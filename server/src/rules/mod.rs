//! Rules: what keys with a prefix are protected from, and how. Plain decisions without clients, keys or clocks of their own.
//!
//! A rule binds a prefix to a [`Policy`]; of several that fit, the longest counts ([`RuleSet`]). A key without a rule behaves as in
//! Redis. The store keeps beside a value how long it may be served stale and what it cost to load (`base/keep`); who is sent to load a
//! value, and who waits for that, is decided by a [`Lease`].

pub mod early;
pub mod lease;
pub mod policy;
pub mod set;
pub mod span;

pub use lease::{Lease, Terms, Verdict};
pub use policy::{FIELDS, GUARD_MAX, Policy, check_guard};
pub use set::{Rule, RuleSet};
