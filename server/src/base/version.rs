//! What the node says it is.

/// The version of Redis whose replies are given, as clients are told.
pub const REDIS_VERSION: &str = "7.2.5";

/// The version of Larder itself.
pub const LARDER_VERSION: &str = env!("CARGO_PKG_VERSION");
