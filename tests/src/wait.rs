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

/// Looks again and again until there is an answer; `None` if there is none within ten seconds.
pub fn poll<T>(look: impl FnMut() -> Option<T>) -> Option<T> {
    poll_within(PATIENCE, look)
}

/// Waits as long as `patience` allows. `look` returns whether the condition holds, and what it saw, which a failure tells.
///
/// # Panics
///
/// If the condition does not hold in time.
#[track_caller]
pub fn wait_long(patience: Duration, what: &str, mut look: impl FnMut() -> (bool, String)) {
    let mut seen = String::new();
    let met = poll_within(patience, || {
        let is_met;
        (is_met, seen) = look();
        is_met.then_some(())
    });
    assert!(met.is_some(), "waited {patience:?} in vain until {what}; {seen}");
}

fn poll_within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let answer = look();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        thread::sleep(PAUSE);
    }
}
