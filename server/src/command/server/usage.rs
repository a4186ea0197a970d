//! Where the node's memory is, as `INFO memory`, `MEMORY STATS` and `MEMORY DOCTOR` tell it.

use super::fields::ratio;
use super::*;
use crate::observe::process;
use crate::store::Totals;

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The store with its holes, and the buffers of the clients: what `used_memory` means.
    pub used: u64,
    /// The most that `used` has been.
    pub peak: u64,
    /// Of the process, as the system counts it.
    pub resident: u64,
    /// Buffers of the clients.
    pub clients: u64,
    /// Tables, queues, ghosts and wheels.
    pub index: u64,
    /// Records with their keys and values.
    pub live: u64,
    /// Room in the arenas that no record uses.
    pub holes: u64,
}

impl Usage {
    pub fn of(node: &Shared, totals: &Totals) -> Usage {
        let clients: u64 = node.clients.all().iter().map(|client| client.buffer_bytes.load(Relaxed)).sum();
        let [store, index, live] = [totals.used_bytes, totals.index_bytes, totals.live_bytes].map(|n| n as u64);
        let used = store + clients;
        let peak = node.stats.memory_peak.fetch_max(used, Relaxed).max(used);
        let resident = process::resident_bytes();
        Usage { used, peak, resident, clients, index, live, holes: store.saturating_sub(index + live) }
    }

    /// What is not data.
    pub fn overhead(&self) -> u64 {
        self.clients + self.index
    }

    /// Keys and values, holes between them included.
    pub fn dataset(&self) -> u64 {
        self.used - self.overhead()
    }

    pub fn dataset_percent(&self) -> f64 {
        ratio(self.dataset(), self.used) * 100.0
    }

    pub fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    /// What is in use, without holes.
    pub fn allocated(&self) -> u64 {
        self.used - self.holes
    }

    /// Holes, as a factor on what is in use.
    pub fn hole_ratio(&self) -> f64 {
        ratio(self.used, self.allocated())
    }

    /// The resident set, as a factor on what is counted.
    pub fn resident_ratio(&self) -> f64 {
        ratio(self.resident, self.used)
    }

    /// Bytes of the resident set beyond what is counted; negative if some of it is not resident.
    pub fn resident_excess(&self) -> i64 {
        self.resident as i64 - self.used as i64
    }
}
