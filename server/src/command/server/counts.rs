//! The sections of `INFO` that count what happened: traffic, commands, errors, latencies, and what is kept on disk.

use super::fields::Fields;
use super::info::Told;
use super::*;
use crate::command::table;
use std::time::Duration;

pub fn persistence(told: &Told<'_>, fields: &mut Fields) {
    let saves = told.node.saves.told(told.totals().counters.changes);
    let seconds = |time: Option<Duration>| time.map_or(-1, |time| time.as_secs() as i64);
    let keys: usize = told.totals().keys.iter().sum();
    let total = if saves.running.is_some() { keys } else { 0 };
    fields.section("Persistence");
    for (name, value) in told.node.loading.told(told.node.store.used_bytes()) {
        fields.put(name, value);
    }
    fields.put_all(&[
        ("async_loading", "0"),
        ("current_cow_peak", "0"),
        ("current_cow_size", "0"),
        ("current_cow_size_age", "0"),
        ("current_fork_perc", "0.00"),
    ]);
    fields.put("current_save_keys_processed", (total as f64 * saves.progress) as u64);
    fields.put("current_save_keys_total", total);
    fields.put("rdb_changes_since_last_save", saves.changes);
    fields.put("rdb_bgsave_in_progress", u8::from(saves.running.is_some()));
    fields.put("rdb_last_save_time", saves.last_s);
    fields.put("rdb_last_bgsave_status", if saves.failed.is_some() { "err" } else { "ok" });
    fields.put("rdb_last_bgsave_time_sec", seconds(saves.took));
    fields.put("rdb_current_bgsave_time_sec", seconds(saves.running));
    fields.put("rdb_saves", saves.count);
    fields.put_all(&[("rdb_last_cow_size", "0")]);
    let (expired, loaded) = told.node.loading.last();
    fields.put("rdb_last_load_keys_expired", expired);
    fields.put("rdb_last_load_keys_loaded", loaded);
    fields.put_all(&[
        ("aof_enabled", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_last_rewrite_time_sec", "-1"),
        ("aof_current_rewrite_time_sec", "-1"),
        ("aof_last_bgrewrite_status", "ok"),
        ("aof_rewrites", "0"),
        ("aof_rewrites_consecutive_failures", "0"),
        ("aof_last_write_status", "ok"),
        ("aof_last_cow_size", "0"),
        ("module_fork_in_progress", "0"),
        ("module_fork_last_cow_size", "0"),
    ]);
}

pub fn stats(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Stats");
    traffic(told, fields);
    keys(told, fields);
    let pubsub = &told.node.pubsub;
    fields.put("pubsub_channels", pubsub.channels.len());
    fields.put("pubsub_patterns", pubsub.patterns.len());
    fields.put("pubsubshard_channels", pubsub.shard_channels.len());
    fields.put_all(&[
        ("latest_fork_usec", "0"),
        ("total_forks", "0"),
        ("migrate_cached_sockets", "0"),
        ("slave_expires_tracked_keys", "0"),
        ("active_defrag_hits", "0"),
        ("active_defrag_misses", "0"),
        ("active_defrag_key_hits", "0"),
        ("active_defrag_key_misses", "0"),
        ("total_active_defrag_time", "0"),
        ("current_active_defrag_time", "0"),
    ]);
    fields.put("tracking_total_keys", told.node.audience.tracked_keys());
    fields.put("tracking_total_items", told.node.audience.tracked_items());
    fields.put("tracking_total_prefixes", told.node.broadcasts.len());
    fields.put("unexpected_error_replies", 0);
    fields.put("total_error_replies", told.node.stats.errors().iter().map(|(_, count)| count).sum::<u64>());
    fields.put("dump_payload_sanitizations", 0);
    loops(told, fields);
    fields.put_all(&[
        ("acl_access_denied_auth", "0"),
        ("acl_access_denied_cmd", "0"),
        ("acl_access_denied_key", "0"),
        ("acl_access_denied_channel", "0"),
    ]);
    let stats = &told.node.stats;
    fields.put("larder_clients_cut_for_output", stats.killed_for_output.load(Relaxed));
    fields.put("larder_forwarded_commands", stats.forwarded.load(Relaxed));
    fields.put("larder_clients_cut_for_input", stats.killed_for_input.load(Relaxed));
}

fn traffic(told: &Told<'_>, fields: &mut Fields) {
    let stats = &told.node.stats;
    let traffic = stats.traffic();
    let (commands, input, output) = stats.per_second();
    let kibi = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    fields.put("total_connections_received", stats.connections.load(Relaxed));
    fields.put("total_commands_processed", traffic.commands);
    fields.put("instantaneous_ops_per_sec", commands);
    fields.put("total_net_input_bytes", traffic.input_bytes);
    fields.put("total_net_output_bytes", traffic.output_bytes);
    fields.put_all(&[("total_net_repl_input_bytes", "0"), ("total_net_repl_output_bytes", "0")]);
    fields.put("instantaneous_input_kbps", kibi(input));
    fields.put("instantaneous_output_kbps", kibi(output));
    fields.put_all(&[("instantaneous_input_repl_kbps", "0.00"), ("instantaneous_output_repl_kbps", "0.00")]);
    fields.put("rejected_connections", stats.connections_rejected.load(Relaxed));
    let synced = &told.node.replication.counts;
    fields.put("sync_full", synced.full.load(Relaxed));
    fields.put("sync_partial_ok", synced.partial.load(Relaxed));
    fields.put("sync_partial_err", synced.partial_refused.load(Relaxed));
}

fn keys(told: &Told<'_>, fields: &mut Fields) {
    let counters = told.totals().counters;
    fields.put("expired_keys", counters.expired);
    fields.put_all(&[
        ("expired_stale_perc", "0.00"),
        ("expired_time_cap_reached_count", "0"),
        ("expire_cycle_cpu_milliseconds", "0"),
    ]);
    fields.put("evicted_keys", counters.evicted);
    fields.put_all(&[
        ("evicted_clients", "0"),
        ("total_eviction_exceeded_time", "0"),
        ("current_eviction_exceeded_time", "0"),
    ]);
    fields.put("keyspace_hits", counters.hits);
    fields.put("keyspace_misses", counters.misses);
}

/// Reads and writes of sockets. Workers are no event loop that Redis would recognize, so its cycles are not counted.
fn loops(told: &Told<'_>, fields: &mut Fields) {
    let traffic = told.node.stats.traffic();
    fields.put("total_reads_processed", traffic.reads);
    fields.put("total_writes_processed", traffic.writes);
    fields.put_all(&[
        ("io_threaded_reads_processed", "0"),
        ("io_threaded_writes_processed", "0"),
        ("reply_buffer_shrinks", "0"),
        ("reply_buffer_expands", "0"),
        ("eventloop_cycles", "0"),
        ("eventloop_duration_sum", "0"),
        ("eventloop_duration_cmd_sum", "0"),
        ("instantaneous_eventloop_cycles_per_sec", "0"),
        ("instantaneous_eventloop_duration_usec", "0"),
    ]);
}

pub fn commands(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Commandstats");
    for found in table::each() {
        let (calls, micros, rejected, failed) = told.node.stats.command(found.number);
        if calls + rejected + failed == 0 {
            continue;
        }
        let per_call = if calls == 0 { 0.0 } else { micros as f64 / calls as f64 };
        fields.put(
            &format!("cmdstat_{}", found.name),
            format_args!(
                "calls={calls},usec={micros},usec_per_call={per_call:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

pub fn errors(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Errorstats");
    for (code, count) in told.node.stats.errors() {
        // A code may repeat what a client sent, and a colon would end the field's name.
        let code = code.replace([':', ',', '='], "_");
        fields.put(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

pub fn latencies(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Latencystats");
    let percentiles = settings::text(told.node, "latency-tracking-info-percentiles");
    for found in table::each() {
        let distribution = told.node.stats.latency(found.number);
        if distribution.calls() == 0 {
            continue;
        }
        let shown = percentiles.split_whitespace().filter_map(|word| {
            let micros = distribution.percentile_micros(word.parse().ok()?);
            Some(format!("p{word}={micros:.3}"))
        });
        let shown: Vec<String> = shown.collect();
        fields.put(&format!("latency_percentiles_usec_{}", found.name), shown.join(","));
    }
}
