//! Latency events: the last spikes of each kind, as `LATENCY` shows them.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Spikes kept of each kind.
pub const SAMPLES_MAX: usize = 160;

/// The spikes of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Second since 1970 and milliseconds of the worst spike in it, oldest first.
    pub samples: Vec<(u64, u64)>,
    /// Milliseconds of the worst spike ever.
    pub worst_ms: u64,
}

#[derive(Default)]
pub struct Latency(Mutex<BTreeMap<&'static str, Series>>);

impl Latency {
    /// Notes a spike. Within one second only the worst counts.
    pub fn add(&self, event: &'static str, time_s: u64, ms: u64) {
        let mut all = self.0.lock();
        let series = all.entry(event).or_default();
        series.worst_ms = series.worst_ms.max(ms);
        match series.samples.last_mut() {
            Some((second, worst)) if *second == time_s => *worst = ms.max(*worst),
            _ => {
                if series.samples.len() == SAMPLES_MAX {
                    series.samples.remove(0);
                }
                series.samples.push((time_s, ms));
            }
        }
    }

    /// All kinds by name.
    pub fn all(&self) -> Vec<(&'static str, Series)> {
        self.0.lock().iter().map(|(name, series)| (*name, series.clone())).collect()
    }

    /// The spikes of one kind.
    pub fn history(&self, event: &str) -> Option<Series> {
        self.0.lock().get(event).cloned()
    }

    /// Forgets the named kinds, or all. Returns how many there were.
    pub fn reset(&self, events: &[String]) -> usize {
        let mut all = self.0.lock();
        let before = all.len();
        all.retain(|name, _| !events.is_empty() && !events.iter().any(|event| event.eq_ignore_ascii_case(name)));
        before - all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_spike() {
        let latency = Latency::default();
        latency.add("command", 10, 5);
        latency.add("command", 10, 9);
        latency.add("command", 11, 2);
        let series = latency.history("command").unwrap();
        assert_eq!((series.samples, series.worst_ms), (vec![(10, 9), (11, 2)], 9));
        assert_eq!(latency.reset(&["nothing".into()]), 0);
        assert_eq!(latency.reset(&[]), 1);
    }
}
