//! The load generator and the comparison against other servers.
fn main() {}
