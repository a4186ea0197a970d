//! Where keys live: stripes of slots, each with its tables, its arena, its timing wheel and its queues under one lock.

pub mod arena;
mod cleared;
mod edit;
pub mod evict;
mod groups;
pub mod hash;
pub mod header;
pub mod hot;
pub mod lines;
pub mod lock;
mod moment;
mod news;
pub mod pages;
pub mod pieces;
pub mod policy;
pub mod record;
mod room;
mod sampled;
mod shared;
pub mod snapshot;
#[cfg(test)]
mod stale;
pub mod stripe;
pub mod table;
mod tagged;
mod tags;
#[cfg(target_arch = "x86_64")]
mod tags_x86_64;
mod taken;
#[cfg(test)]
mod tests;
mod walk;
pub mod wheel;
#[cfg(test)]
mod wrong;

pub use edit::{Edit, WrongType};
pub use lock::{Held, Numbers};
pub use moment::{Moment, Sight};
pub use news::{Heed, How, Listener, News};
pub use pieces::Pieces;
pub use policy::{Eviction, lfu::random};
pub use record::{New, Value};
pub use shared::{Keys, Options, Store, Totals};
pub use stripe::{DATABASES, Entry, Key};
pub use tagged::{Doom, TagList};
pub use taken::Taken;
