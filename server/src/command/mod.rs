//! Commands: a row and a function each, and the path that every request takes.

pub mod ahead;
pub mod audience;
pub mod bitmap;
pub mod blocking;
pub mod bloom;
pub mod cache;
pub mod client;
pub mod clients;
pub mod cluster;
pub mod connection;
pub mod context;
pub mod dispatch;
pub mod events;
pub mod expiry;
#[cfg(test)]
mod facts;
pub mod fault;
pub mod forward;
pub mod gate;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod introspect;
pub mod keyspec;
pub mod limits;
pub mod list;
pub mod loading;
pub mod notation;
#[cfg(test)]
mod page;
pub mod pubsub;
pub mod replication;
pub mod reply;
pub mod row;
pub mod saving;
pub mod scan;
pub mod server;
pub mod session;
pub mod sets;
pub mod shared;
pub mod sort;
pub mod stats;
pub mod stream;
pub mod string;
pub mod table;
#[cfg(test)]
pub mod testing;
pub mod tracking;
pub mod transaction;
pub mod tuning;
pub mod warm;
pub mod words;
pub mod zset;

pub use blocking::{Await, Awaited};
pub use context::{Args, Ctx, Done, Outcome, Wait};
pub use events::Class;
pub use fault::Fault;
pub use reply::Reply;
pub use row::{Arg, Begin, COMMAND, Command, Deprecated, Find, Flags, Group, KeySpec, KeyUse, Scope, Usage};
pub use row::{block, double, int, key, one_of, pattern, text, token, unix_time};
pub use session::Session;
pub use shared::Shared;
pub use words::REPLIED;
