//! Eviction by Redis's names: look at a few records drawn at random and let the worst of them go.

use super::arena::Ref;
use super::policy::{Eviction, lfu};
use super::stripe::{DATABASES, Entry, Moment, Stripe};

impl Stripe {
    /// The worst of `samples` records that the policy may evict, and how soon it should go: the higher the sooner.
    ///
    /// Draws at most `draws_per_sample` times as often, which matters where few keys have an expiry.
    pub(super) fn worst_of(&self, moment: Moment, samples: u32, draws_per_sample: u32) -> Option<(u64, Ref)> {
        let mut worst = None;
        let mut seen = 0;
        for draw in 0..samples * draws_per_sample {
            let Some(found) = self.draw(moment.eviction, draw) else {
                continue;
            };
            let entry = self.entry(found);
            if moment.eviction.volatile_only() && entry.expiry().is_none() {
                continue;
            }
            if entry.is_spared() {
                continue;
            }
            let rank = rank(entry, moment);
            if worst.is_none_or(|(most, _)| rank > most) {
                worst = Some((rank, found));
            }
            seen += 1;
            if seen == samples {
                break;
            }
        }
        worst
    }

    /// Evicts a record that [`Stripe::worst_of`] has named.
    pub(super) fn evict_sampled(&mut self, found: Ref) {
        self.evicted(found);
        self.remove_ref(found);
    }

    /// A record from a database that has candidates; the databases take turns.
    fn draw(&self, eviction: Eviction, turn: u32) -> Option<Ref> {
        let has_candidates = |db: &usize| {
            if eviction.volatile_only() { self.expiring(*db) > 0 } else { self.keys(*db) > 0 }
        };
        let count = (0..DATABASES).filter(has_candidates).count();
        if count == 0 {
            return None;
        }
        let db = (0..DATABASES).filter(has_candidates).nth(turn as usize % count)?;
        self.sample(db, lfu::random)
    }
}

/// How soon an entry should go: the highest goes.
fn rank(entry: Entry<'_>, moment: Moment) -> u64 {
    match moment.eviction {
        Eviction::AllkeysLru | Eviction::VolatileLru => entry.idle_ms(moment),
        Eviction::AllkeysLfu | Eviction::VolatileLfu => 255 - u64::from(entry.frequency(moment)),
        Eviction::VolatileTtl => u64::MAX - entry.expiry().unwrap_or(u64::MAX),
        _ => lfu::random(),
    }
}
