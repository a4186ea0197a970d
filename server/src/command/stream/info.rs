//! `XINFO`: what is known of a stream, its groups and their consumers.

use super::*;
use crate::command::help::HELP;
use crate::types::stream::{Consumer, Group as ConsumerGroup};

/// Entries of each kind that `FULL` shows when it does not say how many.
const COUNT_DEFAULT: usize = 10;

pub const XINFO: Command = Command {
    name: "XINFO",
    summary: "Shows streams, their groups and consumers.",
    complexity: "Depends on subcommand.",
    subcommands: &[CONSUMERS, GROUPS, Command { group: Group::Stream, ..HELP }, STREAM_INFO],
    ..STREAM
};

const STREAM_INFO: Command = Command {
    name: "STREAM",
    run: stream_info,
    summary: "Shows what is known of a stream; in full with its entries, groups and consumers.",
    complexity: "O(N) for N nodes of about a hundred entries",
    args: &[
        key("key", Usage::Read),
        block("full-block", &[token("full", "FULL"), int("count").after("COUNT").optional()]).optional(),
    ],
    flags: Flags::READONLY,
    ..STREAM
};

fn stream_info(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let stream = cx.store.read::<Stream>(args.key()?)?.ok_or(Fault::NoSuchKey)?;
    if args.is_empty() {
        cx.reply.map(10);
        write_counters(cx.reply, stream);
        write_edges(cx.reply, stream);
    } else {
        let count = full_count(args)?;
        cx.reply.map(9);
        write_counters(cx.reply, stream);
        write_all(cx.reply, stream, count);
    }
    REPLIED
}

/// How many entries of each kind are to be shown.
fn full_count(args: &mut Args<'_>) -> Result<usize, Fault> {
    let syntax = Fault::subcommand_syntax("XINFO", args.words().get(1));
    if !matches!(args.len(), 1 | 3) || !args.take("FULL") {
        return Err(syntax);
    }
    if args.is_empty() {
        return Ok(COUNT_DEFAULT);
    }
    if !args.take("COUNT") {
        return Err(syntax);
    }
    Ok(match args.int()? {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(COUNT_DEFAULT),
    })
}

fn write_counters(reply: &mut Reply, stream: &Stream) {
    let log = stream.log();
    let counters = log.counters();
    write_int(reply, "length", log.len() as i64);
    write_int(reply, "radix-tree-keys", log.nodes_len() as i64);
    write_int(reply, "radix-tree-nodes", log.radix_nodes() as i64);
    reply.text("last-generated-id");
    write_id(reply, counters.last_id);
    reply.text("max-deleted-entry-id");
    write_id(reply, counters.max_deleted_id);
    write_int(reply, "entries-added", counters.entries_added as i64);
    reply.text("recorded-first-entry-id");
    write_id(reply, counters.first_id);
}

fn write_int(reply: &mut Reply, name: &str, n: i64) {
    reply.text(name);
    reply.int(n);
}

fn write_or_null(reply: &mut Reply, name: &str, n: Option<i64>) {
    reply.text(name);
    match n {
        Some(n) => reply.int(n),
        None => reply.null(),
    }
}

fn write_edges(reply: &mut Reply, stream: &Stream) {
    let log = stream.log();
    write_int(reply, "groups", stream.groups().len() as i64);
    let edges =
        [("first-entry", log.range(Id::MIN, Id::MAX).next()), ("last-entry", log.range_back(Id::MIN, Id::MAX).next())];
    for (name, entry) in edges {
        reply.text(name);
        match entry {
            Some(entry) => write_entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn write_all(reply: &mut Reply, stream: &Stream, count: usize) {
    reply.text("entries");
    write_entries(reply, stream.log().range(Id::MIN, Id::MAX).take(count));
    reply.text("groups");
    reply.array(stream.groups().len());
    for group in stream.groups() {
        reply.map(7);
        reply.text("name");
        reply.bulk(group.name());
        write_read(reply, stream, group);
        write_int(reply, "pel-count", group.pending_len() as i64);
        reply.text("pending");
        reply.array(group.pending_len().min(count));
        for entry in group.pending_from(Id::MIN).take(count) {
            reply.array(4);
            write_id(reply, entry.id);
            reply.bulk(entry.consumer.name());
            reply.int(entry.delivery.time_ms);
            reply.int(entry.delivery.count as i64);
        }
        reply.text("consumers");
        reply.array(group.consumers_len());
        group.consumers().for_each(|consumer| write_consumer(reply, group, consumer, count));
    }
}

/// How far a group has read.
fn write_read(reply: &mut Reply, stream: &Stream, group: &ConsumerGroup) {
    reply.text("last-delivered-id");
    write_id(reply, group.last_id());
    write_or_null(reply, "entries-read", group.entries_read().map(|read| read as i64));
    write_or_null(reply, "lag", group.lag(stream.log()));
}

fn write_consumer(reply: &mut Reply, group: &ConsumerGroup, consumer: &Consumer, count: usize) {
    reply.map(5);
    reply.text("name");
    reply.bulk(consumer.name());
    write_int(reply, "seen-time", consumer.seen_ms());
    write_int(reply, "active-time", consumer.active_ms().unwrap_or(-1));
    write_int(reply, "pel-count", consumer.pending_len() as i64);
    reply.text("pending");
    reply.array(consumer.pending_len().min(count));
    for entry in group.pending_of(consumer, Id::MIN).take(count) {
        reply.array(3);
        write_id(reply, entry.id);
        reply.int(entry.delivery.time_ms);
        reply.int(entry.delivery.count as i64);
    }
}

const GROUPS: Command = Command {
    name: "GROUPS",
    run: groups,
    summary: "Shows the consumer groups of a stream.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    ..STREAM
};

fn groups(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let stream = cx.store.read::<Stream>(args.key()?)?.ok_or(Fault::NoSuchKey)?;
    let reply = &mut *cx.reply;
    reply.array(stream.groups().len());
    for group in stream.groups() {
        reply.map(6);
        reply.text("name");
        reply.bulk(group.name());
        write_int(reply, "consumers", group.consumers_len() as i64);
        write_int(reply, "pending", group.pending_len() as i64);
        write_read(reply, stream, group);
    }
    REPLIED
}

const CONSUMERS: Command = Command {
    name: "CONSUMERS",
    run: consumers,
    summary: "Shows the consumers of a group.",
    args: &[key("key", Usage::Read), text("group")],
    flags: Flags::READONLY,
    tips: VARIES,
    ..STREAM
};

fn consumers(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name) = (args.key()?, args.word()?);
    let now = cx.now_ms() as i64;
    let stream = cx.store.read::<Stream>(key)?.ok_or(Fault::NoSuchKey)?;
    let group = stream.group(name).ok_or_else(|| no_group_of_key(name, key.bytes))?;
    let reply = &mut *cx.reply;
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.text("name");
        reply.bulk(consumer.name());
        write_int(reply, "pending", consumer.pending_len() as i64);
        write_int(reply, "idle", since(consumer.seen_ms(), now));
        write_int(reply, "inactive", consumer.active_ms().map_or(-1, |active| since(active, now)));
    }
    REPLIED
}

/// Milliseconds since a time, none if it lies ahead.
fn since(time_ms: i64, now_ms: i64) -> i64 {
    now_ms.saturating_sub(time_ms).max(0)
}
