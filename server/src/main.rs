//! The binary: reads the configuration, starts a node, and waits for the signal to leave.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
