//! The binary: everything it does is in the library, but for the allocator.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of `mi_option_purge_delay` in `mimalloc.h`, version 2.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // Freed pages go back to the system at once, not after 10 ms: of a node with a budget of 16 MiB, the delay kept 1.2 MiB.
    // SAFETY: no other thread runs yet, which is what this function asks for.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
    larder::launch::run(std::env::args_os(), std::env::vars_os())
}
