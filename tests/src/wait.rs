//! Waiting for a condition instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take. Generous, since a loaded machine is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not within ten seconds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = poll(|| condition().then_some(()));
    assert!(met.is_some(), "waited {PATIENCE:?} in vain until {what}");
}

/// Waits with another patience than the usual one, for what has to move much data. `state` is asked in the end and told.
///
/// # Panics
///
/// If the condition does not hold in time.
#[track_caller]
pub fn wait_long(patience: Duration, what: &str, mut state: impl FnMut() -> (bool, String)) {
    let mut last = String::new();
    let met = poll_for(patience, || {
        let (is_met, told) = state();
        last = told;
        is_met.then_some(())
    });
    assert!(met.is_some(), "waited {patience:?} in vain until {what}: {last}");
}

/// Looks again and again until there is an answer; `None` if there is none within ten seconds.
pub fn poll<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    poll_for(PATIENCE, look)
}

fn poll_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = look();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        thread::sleep(PAUSE);
    }
}
