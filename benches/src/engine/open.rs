//! The open loop: requests are due at fixed times, whatever the server does, and latency counts from those times.
//!
//! A closed loop stops asking while the server stalls and so misses most of the latency of the stall ("coordinated
//! omission"). Here a stall delays the requests that are due meanwhile, and the delay is part of their latency.

use std::{collections::VecDeque, sync::atomic::AtomicU64, time::Duration};

use super::{Bound, Outcome, Watch, Worker};
use crate::error::Error;

/// When each request is due, in nanoseconds from the start.
pub struct Schedule {
    interval: f64,
    phase: f64,
}

impl Schedule {
    /// `rate` requests a second, the first after `phase` (0 to 1) intervals.
    pub fn new(rate: f64, phase: f64) -> Self {
        Self { interval: 1e9 / rate, phase }
    }

    fn due(&self, request: u64) -> u64 {
        ((request as f64 + self.phase) * self.interval) as u64
    }

    /// How many requests a run has.
    fn count(&self, bound: Bound) -> u64 {
        match bound {
            Bound::Requests(count) => count,
            Bound::Time(time) => (time.as_nanos() as f64 / self.interval - self.phase).ceil().max(0.0) as u64,
        }
    }

    /// After this time nothing more is sent: a server that cannot keep up would never be done.
    fn end(&self, bound: Bound) -> u64 {
        match bound {
            Bound::Requests(_) => u64::MAX,
            Bound::Time(time) => (time + GRACE).as_nanos() as u64,
        }
    }
}

/// How long requests that were due in time may still be sent: a stall near the end of a run is to be measured as well.
const GRACE: Duration = Duration::from_millis(500);

/// A wait shorter than a millisecond is spent asking epoll without sleeping: a sleep would be longer than asked, and the
/// overrun would be taken for the server's latency.
const SLEEP_MILLIS_MAX: u64 = 100;

/// Runs one thread's share.
pub fn run(worker: &mut Worker, bound: Bound, schedule: Schedule, replies: &AtomicU64) -> Result<Outcome, Error> {
    let (count, end) = (schedule.count(bound), schedule.end(bound));
    let mut watch = Watch::start();
    let mut lanes = Lanes::new(worker.connections.len(), worker.depth);
    let mut next = 0;
    loop {
        while next < count && watch.now < end && schedule.due(next) <= watch.now {
            let Some(token) = lanes.take(schedule.due(next)) else {
                break;
            };
            worker.connections[token].send(&mut worker.requests, 1)?;
            next += 1;
            watch.look();
        }
        let sending = next < count && watch.now < end;
        if !sending && lanes.owed == 0 {
            break;
        }
        let wait =
            if sending && lanes.any_free() { millis_until(schedule.due(next), watch.now) } else { SLEEP_MILLIS_MAX };
        let mut arrived_in_turn = 0;
        for index in 0..worker.epoll.wait(wait as i32).map_err(Error::io("cannot wait for replies"))? {
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
            for _ in 0..arrived {
                watch.latencies.record(now.saturating_sub(lanes.answered(ready.token)), 1);
            }
            arrived_in_turn += arrived as u64;
        }
        // A long pause between requests is no silence of the server.
        if lanes.owed == 0 {
            watch.heard_at = watch.now;
        }
        watch.turn(lanes.owed > 0, replies, arrived_in_turn)?;
    }
    Ok(watch.outcome(count - next))
}

fn millis_until(due: u64, now: u64) -> u64 {
    (due.saturating_sub(now) / 1_000_000).min(SLEEP_MILLIS_MAX)
}

/// Which connection carries the next request, and when the requests under way were due.
struct Lanes {
    due: Vec<VecDeque<u64>>,
    /// Connections with room, the one that waited longest first.
    free: VecDeque<usize>,
    depth: usize,
    owed: usize,
}

impl Lanes {
    fn new(connections: usize, depth: usize) -> Self {
        let due = (0..connections).map(|_| VecDeque::new()).collect();
        Self { due, free: (0..connections).collect(), depth, owed: 0 }
    }

    fn any_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Assigns a request to a connection; none if all have their full depth under way.
    fn take(&mut self, due: u64) -> Option<usize> {
        let token = self.free.pop_front()?;
        self.due[token].push_back(due);
        self.owed += 1;
        if self.due[token].len() < self.depth {
            self.free.push_back(token);
        }
        Some(token)
    }

    /// Takes note of a reply and returns when its request was due. Replies come in the order of the requests.
    fn answered(&mut self, token: usize) -> u64 {
        let due = self.due[token].pop_front().expect("`Connection::receive` refuses replies that are not owed");
        self.owed -= 1;
        if self.due[token].len() + 1 == self.depth {
            self.free.push_back(token);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_and_threads_interleave() {
        let (first, second) = (Schedule::new(1000.0, 0.0), Schedule::new(1000.0, 0.5));
        assert_eq!([first.due(0), first.due(1), first.due(2000)], [0, 1_000_000, 2_000_000_000]);
        assert_eq!([second.due(0), second.due(1)], [500_000, 1_500_000]);
        assert_eq!(first.count(Bound::Time(Duration::from_secs(2))), 2000);
        assert_eq!(second.count(Bound::Time(Duration::from_secs(2))), 2000);
        assert_eq!(first.count(Bound::Requests(7)), 7);
    }

    #[test]
    fn connections_take_turns_until_all_are_full() {
        let mut lanes = Lanes::new(2, 2);
        assert_eq!([0, 1, 2, 3, 4].map(|due| lanes.take(due)), [Some(0), Some(1), Some(0), Some(1), None]);
        assert_eq!(lanes.answered(1), 1);
        assert_eq!(lanes.take(5), Some(1));
        assert_eq!([lanes.answered(1), lanes.answered(1), lanes.answered(0)], [3, 5, 0]);
        assert_eq!(lanes.owed, 1);
    }

    #[test]
    fn each_connection_is_free_at_most_once() {
        for depth in [1, 2, 3] {
            let mut lanes = Lanes::new(1, depth);
            while lanes.take(0).is_some() {}
            for _ in 0..depth {
                lanes.answered(0);
            }
            assert_eq!(lanes.free, [0], "depth {depth}");
        }
    }
}
