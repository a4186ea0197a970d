//! What is told of replication: `INFO replication` and `ROLE`.

use super::failover::Failover;
use super::{LinkState, Phase, State};
use crate::command::context::Ctx;
use crate::command::shared::Shared;
use crate::repl::history::NO_ID;
use std::time::Duration;

/// Gives all fields of `INFO replication`.
pub fn fill_info(node: &Shared, put: &mut dyn FnMut(&str, String)) {
    let config = node.live.config();
    let state = node.replication.state.lock();
    match &state.upstream {
        None => put("role", "master".into()),
        Some(upstream) => {
            let is_up = upstream.link == LinkState::Connected;
            put("role", "slave".into());
            put("master_host", upstream.host.clone());
            put("master_port", upstream.port.to_string());
            put("master_link_status", if is_up { "up" } else { "down" }.into());
            let heard = if is_up { upstream.heard.elapsed().as_secs() as i64 } else { -1 };
            put("master_last_io_seconds_ago", heard.to_string());
            put("master_sync_in_progress", u8::from(upstream.link == LinkState::Sync).to_string());
            put("slave_read_repl_offset", state.ring.end().to_string());
            put("slave_repl_offset", state.ring.end().to_string());
            if upstream.link == LinkState::Sync {
                put("master_sync_total_bytes", "-1".into());
                put("master_sync_read_bytes", upstream.sync_bytes.to_string());
                put("master_sync_left_bytes", "-1".into());
                put("master_sync_perc", "-1.00".into());
                put("master_sync_last_io_seconds_ago", upstream.heard.elapsed().as_secs().to_string());
            }
            if !is_up {
                put("master_link_down_since_seconds", upstream.down_since.elapsed().as_secs().to_string());
            }
            put("slave_priority", config.replica_priority.to_string());
            put("slave_read_only", u8::from(config.replica_read_only).to_string());
            put("replica_announced", "1".into());
        }
    }
    fill_followers(&state, &config, put);
    put("master_failover_state", Failover::state_name(state.failover.as_ref()).into());
    put("master_replid", state.history.id.clone());
    let (before, until) = match &state.history.before {
        Some((id, until)) => (id.as_str(), *until as i64 + 1),
        None => (NO_ID, -1),
    };
    put("master_replid2", before.into());
    put("master_repl_offset", state.ring.end().to_string());
    put("second_repl_offset", until.to_string());
    put("repl_backlog_active", u8::from(state.is_active).to_string());
    put("repl_backlog_size", config.repl_backlog_size.0.to_string());
    let (first, length) =
        if state.is_active { (state.ring.start() + 1, state.ring.end() - state.ring.start()) } else { (0, 0) };
    put("repl_backlog_first_byte_offset", first.to_string());
    put("repl_backlog_histlen", length.to_string());
    node.replication.losses.lock().fill_info(put);
}

fn fill_followers(state: &State, config: &crate::config::Config, put: &mut dyn FnMut(&str, String)) {
    put("connected_slaves", state.followers.values().filter(|follower| !follower.is_lost).count().to_string());
    if config.min_replicas_to_write > 0 {
        let lag_max = config.min_replicas_max_lag.unwrap_or(Duration::MAX);
        let is_good = |follower: &&super::Follower| follower.phase == Phase::Online && follower.lag() <= lag_max;
        put("min_slaves_good_slaves", state.followers.values().filter(is_good).count().to_string());
    }
    for (number, follower) in state.followers.values().filter(|follower| !follower.is_lost).enumerate() {
        let (who, phase) = (&follower.who, follower.phase);
        let lag = if phase == Phase::Online { follower.lag().as_secs() } else { 0 };
        put(
            &format!("slave{number}"),
            format!("ip={},port={},state={},offset={},lag={lag}", who.host, who.port, phase.name(), follower.acked),
        );
    }
}

/// Answers `ROLE`.
pub fn role(cx: &mut Ctx<'_>) {
    let state = cx.node.replication.state.lock();
    if let Some(upstream) = &state.upstream {
        cx.reply.array(5);
        cx.reply.text("slave");
        cx.reply.bulk(upstream.host.as_bytes());
        cx.reply.int(upstream.port.into());
        cx.reply.text(upstream.link.name());
        let offset = if upstream.link == LinkState::Connected { state.ring.end() as i64 } else { -1 };
        cx.reply.int(offset);
        return;
    }
    let online: Vec<_> = state.followers.values().filter(|follower| follower.phase == Phase::Online).collect();
    cx.reply.array(3);
    cx.reply.text("master");
    cx.reply.int(state.ring.end() as i64);
    cx.reply.array(online.len());
    for follower in online {
        cx.reply.array(3);
        cx.reply.bulk(follower.who.host.as_bytes());
        cx.reply.bulk_int(follower.who.port.into());
        cx.reply.bulk_int(follower.acked as i64);
    }
}
