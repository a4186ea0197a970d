//! The server itself: its databases as a whole, its clock, its role, its end. What it tells of itself and how it is
//! set are in the files beside.

use super::*;
use crate::base::number::parse_i64;
use crate::store::DATABASES;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

mod config;
mod counts;
mod debug;
mod debug_protocol;
mod fields;
mod files;
pub(super) mod info;
mod latency;
mod lolwut;
mod memory;
mod settings;
mod slowlog;
#[cfg(test)]
mod tests;
mod usage;

pub const COMMANDS: &[Command] = &[
    files::BGREWRITEAOF,
    files::BGSAVE,
    config::CONFIG,
    DBSIZE,
    debug::DEBUG,
    FLUSHALL,
    FLUSHDB,
    info::INFO,
    files::LASTSAVE,
    latency::LATENCY,
    lolwut::LOLWUT,
    memory::MEMORY,
    MONITOR,
    files::SAVE,
    files::SHUTDOWN,
    slowlog::SLOWLOG,
    SWAPDB,
    TIME,
];

/// What the rows of this group have in common.
const SERVER: Command = Command { group: Group::Server, ..COMMAND };

/// Commands that show or change the node itself; they run whatever state its data is in.
const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);

/// `HELP` of a container.
const HELP: Command = Command {
    name: "HELP",
    summary: "Returns the sub-commands and what they are for.",
    since: "5.0.0",
    flags: Flags::LOADING.and(Flags::STALE),
    ..SERVER
};

/// Answers `HELP`: a head, what each sub-command is for, and HELP itself.
fn help(cx: &mut Ctx<'_>, container: &str, lines: &[&str]) -> Outcome {
    cx.reply.array(lines.len() + 3);
    cx.reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| cx.reply.simple(line));
    cx.reply.simple("HELP");
    cx.reply.simple("    Prints this help.");
    REPLIED
}

// --- databases

const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const ASYNC_OR_SYNC: Arg =
    one_of("flush-type", &[token("async", "ASYNC").since("4.0.0"), token("sync", "SYNC").since("6.2.0")]).optional();

const DBSIZE: Command = Command {
    name: "DBSIZE",
    run: dbsize,
    summary: "Returns how many keys the selected database holds.",
    flags: Flags::READONLY.and(Flags::FAST).and(Flags::KEYSPACE),
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    ..SERVER
};

fn dbsize(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    // Keys that were declared wrong do not count.
    cx.node.store.sweep_all(cx.store.moment());
    let keys = cx.node.store.keys(cx.session.db);
    cx.reply.len(keys);
    REPLIED
}

const FLUSHDB: Command = Command {
    name: "FLUSHDB",
    run: flushdb,
    summary: "Deletes every key of the selected database.",
    complexity: "O(N) where N is the number of keys in the selected database",
    args: &[ASYNC_OR_SYNC],
    flags: Flags::WRITE.and(Flags::KEYSPACE).and(Flags::DANGEROUS),
    tips: ALL_SHARDS,
    scope: Scope::Everything,
    ..SERVER
};

fn flushdb(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    flush_mode(args)?;
    cx.node.flush(Some(cx.session.db));
    cx.reply.ok();
    REPLIED
}

const FLUSHALL: Command = Command {
    name: "FLUSHALL",
    run: flushall,
    summary: "Deletes every key of every database.",
    complexity: "O(N) where N is the number of keys in all databases",
    ..FLUSHDB
};

fn flushall(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    flush_mode(args)?;
    cx.node.flush(None);
    cx.reply.ok();
    REPLIED
}

/// `ASYNC` and `SYNC` are the same here: keys are gone when the reply is sent, and their memory is given back by
/// another thread.
fn flush_mode(args: &mut Args<'_>) -> Result<(), Fault> {
    let _ = args.take("ASYNC") || args.take("SYNC");
    args.end()
}

const SWAPDB: Command = Command {
    name: "SWAPDB",
    run: swapdb,
    summary: "Exchanges the contents of two databases.",
    complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
    since: "4.0.0",
    args: &[int("index1"), int("index2")],
    flags: Flags::WRITE.and(Flags::FAST).and(Flags::KEYSPACE).and(Flags::DANGEROUS),
    scope: Scope::Everything,
    ..SERVER
};

fn swapdb(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if cx.node.cluster.is_on() {
        return Err(Fault::text("ERR SWAPDB is not allowed in cluster mode"));
    }
    let one = database(args.word()?, "ERR invalid first DB index")?;
    let other = database(args.word()?, "ERR invalid second DB index")?;
    let in_range = |db: i64| usize::try_from(db).ok().filter(|&db| db < DATABASES).ok_or(Fault::DbIndex);
    cx.node.swap_databases(in_range(one)?, in_range(other)?);
    cx.reply.ok();
    REPLIED
}

/// A number that fits 32 bits, as Redis reads an index before it looks whether there is such a database.
fn database(word: &[u8], refusal: &'static str) -> Result<i64, Fault> {
    parse_i64(word).filter(|&n| i32::try_from(n).is_ok()).ok_or(Fault::text(refusal))
}

// --- clock

const TIME: Command = Command {
    name: "TIME",
    run: time,
    summary: "Returns the node's clock: seconds since 1970, and microseconds of the current one.",
    since: "2.6.0",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
    tips: &["nondeterministic_output"],
    ..SERVER
};

fn time(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    cx.reply.array(2);
    cx.reply.bulk_int(now.as_secs() as i64);
    cx.reply.bulk_int(i64::from(now.subsec_micros()));
    REPLIED
}

// --- watching and ending

const MONITOR: Command = Command {
    name: "MONITOR",
    run: monitor,
    summary: "Shows every command that any client runs, until the connection ends or is reset.",
    flags: ADMIN,
    ..SERVER
};

fn monitor(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.session.start_monitor(cx.node);
    cx.reply.ok();
    REPLIED
}
