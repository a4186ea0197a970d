//! Writers that go on while something happens to the cluster.

use larder_tests::cluster::{Guide, History};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Has writers come to an end, also when the test fails.
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Appends to each key in turn until it is over.
pub fn append_to_the_end(
    mut guide: Guide,
    keys: Vec<String>,
    is_over: &AtomicBool,
    acknowledged: &AtomicUsize,
) -> Vec<History> {
    let mut histories: Vec<_> = keys.into_iter().map(History::new).collect();
    while !is_over.load(Relaxed) {
        for history in &mut histories {
            acknowledged.fetch_add(usize::from(history.append(&mut guide)), Relaxed);
        }
    }
    histories
}
