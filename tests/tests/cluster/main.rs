//! Clusters of running nodes: that they find together, go on when nodes die, hang or move, and lose nothing they have promised.
//!
//! * `LARDER_TEST_SEED=7` chooses the same again; every seed is printed. What happens at the same time differs all the same.
//! * `LARDER_TEST_KILLS=50 cargo test -p larder-tests --test cluster many_kills -- --ignored --nocapture` measures how long
//!   a slot cannot be written to when its primary is killed.
//! * `LARDER_TEST_MINUTES=30 cargo test -p larder-tests --test cluster many_faults -- --ignored --nocapture` cuts, slows, holds and
//!   kills for so long. Tests of faults on the network make one of their own, for which they have to run as root or below
//!   `unshare -Ur`; otherwise they are left out and say so.
//! * `cargo test -p larder-tests --test cluster at_each_step -- --ignored --nocapture` breaks moves of slots off at each step, in each way.
//!
//! The nodes of a cluster are many processes, and their time-outs are short. So one test runs at a time.

mod commands;
mod disks;
mod faults;
mod invalidation;
mod kills;
mod load;
mod lost;
mod mistakes;
mod moves;
mod plain;
mod restarts;
mod rules;
mod start;
mod steps;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lets one test run at a time. A test that failed does not keep the next from it.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
