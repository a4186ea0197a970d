//! `WAIT` and `WAITAOF`: how many others hold what this connection has written.
//!
//! `WAIT` counts replicas. A node has no log of its writes, so `WAITAOF` never finds one of those.

use crate::base::number::parse_i64;
use crate::command::clients::Unblocked;
use crate::command::replication::{AwaitedAcks, Needed, Waiting};
use crate::command::shared::steady_ms;
use crate::command::*;
use std::sync::atomic::Ordering::Relaxed;

pub const WAIT: Command = Command {
    name: "WAIT",
    run: wait,
    summary: "Waits until replicas hold what the connection has written, and tells how many do.",
    since: "3.0.0",
    args: &[int("numreplicas"), int("timeout")],
    flags: Flags::BLOCKING.and(Flags::CONNECTION).and(Flags::UNGROUPED),
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    ..super::GENERIC
};

fn wait(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let replicas = usize::try_from(args.int()?).unwrap_or(0);
    let timeout_ms = timeout(args, cx.now_ms())?;
    refuse_replica(cx)?;
    let Some(acked) = await_acks(cx, replicas, timeout_ms)? else {
        return Ok(Done::Wait(Wait::Until(cx.session.awaited.map_or(0, |awaited| awaited.until_ms))));
    };
    cx.reply.int(acked as i64);
    REPLIED
}

fn refuse_replica(cx: &Ctx<'_>) -> Result<(), Fault> {
    if !cx.node.store.follows() {
        return Ok(());
    }
    Err(Fault::owned(format!(
        "ERR {} cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to \
         be writable (which is not the default) writes to replicas are just local and are not propagated.",
        cx.command.name
    )))
}

/// Replicas that hold what the connection has written; `None` if it is to wait for more of them.
fn await_acks(cx: &mut Ctx<'_>, replicas: usize, timeout_ms: u64) -> Result<Option<usize>, Fault> {
    let is_new = cx.session.awaited.is_none();
    let until_ms = if timeout_ms == 0 { u64::MAX } else { steady_ms() + timeout_ms };
    // What it wrote in a stream that the node has left since is nobody's to acknowledge.
    let end = cx.node.replication.offset();
    // A node that asks for one of its clients says it on another line than what that has written.
    let offset = if cx.session.is_forwarder { end } else { cx.session.client.written.load(Relaxed).min(end) };
    let awaited = *cx.session.awaited.get_or_insert(AwaitedAcks { offset, replicas, until_ms });
    let acked = cx.node.replication.acked_by(awaited.offset);
    let is_over = acked >= replicas || steady_ms() >= awaited.until_ms || cx.session.in_transaction;
    let unblocked = if cx.session.client.is_unblocked() { cx.session.client.take_unblocked() } else { None };
    if is_over || unblocked.is_some() {
        cx.session.awaited = None;
        cx.session.client.take_unblocked();
        cx.node.replication.wait_no_more(cx.session.client.id);
        if let Some(fault) = unblocked.and_then(Unblocked::fault) {
            return Err(fault);
        }
        return Ok(Some(acked));
    }
    if is_new {
        cx.session.client.block(timeout_ms > 0);
    }
    let (client, needed) = (cx.session.client.clone(), Needed::Replicas(replicas));
    if cx.node.replication.wait_for(Waiting { client, offset: awaited.offset, needed }) {
        // They have just said so.
        return await_acks(cx, replicas, timeout_ms);
    }
    Ok(None)
}

pub const WAITAOF: Command = Command {
    name: "WAITAOF",
    run: wait_aof,
    summary: "Waits until what the connection has written is in append-only files, and tells in how many.",
    since: "7.2.0",
    args: &[int("numlocal"), int("numreplicas"), int("timeout")],
    ..WAIT
};

fn wait_aof(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let local = args.int()?;
    if !(0..=1).contains(&local) {
        return Err(Fault::text("ERR value is out of range, value must between 0 and 1"));
    }
    parse_i64(args.word()?)
        .filter(|replicas| *replicas >= 0)
        .ok_or(Fault::text("ERR value is out of range, must be positive"))?;
    timeout(args, cx.now_ms())?;
    refuse_replica(cx)?;
    if local == 1 {
        return Err(Fault::text("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    }
    cx.reply.array(2);
    cx.reply.int(0);
    cx.reply.int(0);
    REPLIED
}

/// The next word as a timeout in milliseconds that can be added to the present.
fn timeout(args: &mut Args<'_>, now_ms: u64) -> Result<u64, Fault> {
    let timeout = parse_i64(args.word()?).ok_or(Fault::text("ERR timeout is not an integer or out of range"))?;
    let timeout = u64::try_from(timeout).map_err(|_| Fault::text("ERR timeout is negative"))?;
    let is_in_range = timeout <= i64::MAX as u64 - now_ms;
    if is_in_range { Ok(timeout) } else { Err(Fault::text("ERR timeout is out of range")) }
}

#[cfg(test)]
mod tests {
    use crate::command::dispatch::Ended;
    use crate::command::testing::Desk;

    #[test]
    fn nobody_else_holds_anything() {
        let mut desk = Desk::new();
        desk.check("WAIT 0 0", ":0");
        desk.run("WAIT 3 1");
        assert!(matches!(desk.ended, Ended::Wait { .. }));
        let again = || desk.run("WAIT 3 1");
        assert_eq!(std::iter::repeat_with(again).find(|reply| !reply.is_empty()).as_deref(), Some(":0\r\n"));
        desk.check("WAIT -1 0", ":0");
        desk.check("WAITAOF 0 3 100", "*2 :0 :0");
    }

    #[test]
    fn wrong_uses_are_refused() {
        let mut desk = Desk::new();
        for (line, fault) in [
            ("WAIT a b", "value is not an integer or out of range"),
            ("WAIT 0 b", "timeout is not an integer or out of range"),
            ("WAIT 0 99999999999999999999", "timeout is not an integer or out of range"),
            ("WAIT 0 9223372036854775807", "timeout is out of range"),
            ("WAIT 0 -1", "timeout is negative"),
            ("WAITAOF abc 0 0", "value is not an integer or out of range"),
            ("WAITAOF 2 0 0", "value is out of range, value must between 0 and 1"),
            ("WAITAOF 1 abc 0", "value is out of range, must be positive"),
            ("WAITAOF 1 -1 0", "value is out of range, must be positive"),
            ("WAITAOF 1 0 -5", "timeout is negative"),
            ("WAITAOF 1 0 0", "WAITAOF cannot be used when numlocal is set but appendonly is disabled."),
        ] {
            desk.check(line, &format!("-ERR {fault}"));
        }
    }
}
