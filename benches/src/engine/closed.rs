//! The closed loop: every connection sends a batch as deep as the pipeline, and the next when all its replies are there.
//!
//! It finds how much a server can do. Its latencies are those of a saturated server and leave out the requests that were not
//! sent while the server was slow; [`super::open`] measures what users of a given load would see.

use std::sync::atomic::AtomicU64;

use super::{Bound, Outcome, Watch, Worker};
use crate::error::Error;

/// How long a turn waits for the server; it bounds how late Ctrl-C and silence are noticed.
const WAIT_MILLIS: i32 = 100;

/// Runs one thread's share.
pub fn run(worker: &mut Worker, bound: Bound, replies: &AtomicU64) -> Result<Outcome, Error> {
    let mut watch = Watch::start();
    let mut supply = Supply::new(bound);
    let mut owing = 0usize;
    // When each connection's batch was sent.
    let mut sent_at = vec![0; worker.connections.len()];
    for (connection, sent_at) in worker.connections.iter_mut().zip(&mut sent_at) {
        let count = supply.take(worker.depth, watch.now);
        *sent_at = watch.look();
        owing += usize::from(count > 0);
        connection.send(&mut worker.requests, count)?;
    }
    while owing > 0 {
        let mut arrived_in_turn = 0;
        for index in 0..worker.epoll.wait(WAIT_MILLIS).map_err(Error::io("cannot wait for replies"))? {
            let ready = worker.epoll.ready(index);
            let connection = &mut worker.connections[ready.token];
            if ready.writable {
                connection.flush()?;
            }
            if !ready.readable {
                continue;
            }
            let arrived = connection.receive(ready.ended, &mut worker.buffer, &mut watch.tally)?;
            let now = watch.look();
            watch.latencies.record(now - sent_at[ready.token], arrived as u64);
            arrived_in_turn += arrived as u64;
            if arrived > 0 && connection.owed() == 0 {
                let count = supply.take(worker.depth, now);
                owing -= usize::from(count == 0);
                sent_at[ready.token] = now;
                connection.send(&mut worker.requests, count)?;
            }
        }
        watch.turn(true, replies, arrived_in_turn)?;
    }
    Ok(watch.outcome(0))
}

/// What may still be sent.
enum Supply {
    Requests { left: u64 },
    Until { nanos: u64 },
}

impl Supply {
    fn new(bound: Bound) -> Self {
        match bound {
            Bound::Requests(left) => Self::Requests { left },
            Bound::Time(time) => Self::Until { nanos: time.as_nanos() as u64 },
        }
    }

    /// The size of the next batch: `depth`, less at the end, 0 after it.
    fn take(&mut self, depth: usize, now: u64) -> usize {
        match self {
            Self::Until { nanos } => usize::from(now < *nanos) * depth,
            Self::Requests { left } => {
                let count = (*left).min(depth as u64);
                *left -= count;
                count as usize
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_last_batch_is_cut_to_what_is_left() {
        let mut supply = Supply::new(Bound::Requests(25));
        assert_eq!([0; 4].map(|now| supply.take(10, now)), [10, 10, 5, 0]);
    }

    #[test]
    fn no_batch_starts_after_the_time() {
        let mut supply = Supply::new(Bound::Time(Duration::from_nanos(100)));
        assert_eq!([99, 100].map(|now| supply.take(10, now)), [10, 0]);
    }
}
