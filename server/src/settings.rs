//! Brings settings to where they are used: from the configuration to the options of each room, and again whenever
//! they have changed.

use crate::command::shared::{Admission, Shared, now_ms};
use crate::command::tuning::Values;
use crate::config::{Config, EvictionPolicy, Live};
use crate::store::{self, Eviction};
use std::time::Duration;

/// The store's policy of a configured one.
pub fn eviction_of(policy: EvictionPolicy) -> Eviction {
    match policy {
        EvictionPolicy::VolatileLru => Eviction::VolatileLru,
        EvictionPolicy::VolatileLfu => Eviction::VolatileLfu,
        EvictionPolicy::VolatileRandom => Eviction::VolatileRandom,
        EvictionPolicy::VolatileTtl => Eviction::VolatileTtl,
        EvictionPolicy::AllkeysLru => Eviction::AllkeysLru,
        EvictionPolicy::AllkeysLfu => Eviction::AllkeysLfu,
        EvictionPolicy::AllkeysRandom => Eviction::AllkeysRandom,
        EvictionPolicy::Noeviction => Eviction::NoEviction,
        EvictionPolicy::AllkeysLarder => Eviction::AllkeysLarder,
    }
}

/// What the store starts with.
pub fn store_options(config: &Config) -> store::Options {
    store::Options {
        memory_max: config.maxmemory.0,
        eviction: eviction_of(config.maxmemory_policy),
        samples: config.maxmemory_samples,
        lfu_log_factor: config.lfu_log_factor,
        lfu_decay_minutes: minutes(config.lfu_decay_time),
    }
}

fn minutes(time: Option<Duration>) -> u32 {
    time.map_or(0, |time| (time.as_secs() / 60).min(u64::from(u32::MAX)) as u32)
}

/// Copies the live settings to where every command looks at them.
pub fn apply(node: &Shared) {
    let live: &Live = &node.live;
    let limits = live.output_limits();
    node.tuning.set(Values {
        slowlog_micros: live.slowlog_log_slower_than().map_or(-1, |time| time.as_micros() as i64),
        slowlog_len_max: live.slowlog_max_len(),
        latency_threshold_ms: live.latency_monitor_threshold().map_or(0, |time| time.as_millis() as u64),
        pubsub_output_max: limits.pubsub.hard,
        output_max: limits.normal.hard,
        input_max: live.client_query_buffer_limit().0,
        bulk_len_max: live.proto_max_bulk_len().0,
        timeout_ms: live.timeout().map_or(0, |time| time.as_millis() as u64),
    });
    node.set_admission(Admission {
        clients_max: live.maxclients() as usize,
        is_protected: live.protected_mode() && !live.has_password(),
        needs_password: live.has_password(),
        keepalive_s: live.tcp_keepalive().map_or(0, |time| time.as_secs()),
    });
    node.store.set_memory_max(live.maxmemory().0);
    node.store.set_samples(live.maxmemory_samples());
    node.store.set_lfu(live.lfu_log_factor(), minutes(live.lfu_decay_time()));
    let eviction = eviction_of(live.maxmemory_policy());
    if eviction != node.store.eviction() {
        node.store.set_eviction(eviction, now_ms());
    }
}
