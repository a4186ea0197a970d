//! The commands of a cluster, and what else its clients meet on one of its nodes.
//!
//! A node that is in none knows the commands and refuses them in Redis's words: a client that may meet a cluster asks
//! `CLUSTER SLOTS` or `READONLY` first, and takes this refusal, not that of an unknown command, as the sign of a node of its
//! own.
//!
//! Where the nodes of a Redis Cluster are put together by hand, these place shards and slots themselves; so commands that would
//! do that are refused, and name the way it is done here.

mod gate;
mod heard;
mod import;
mod install;
mod keys;
mod maintenance;
mod peer;
mod told;
mod topology;
mod view;
mod wishes;

#[cfg(test)]
mod tests;

pub use gate::{Seen, Slots, Stand, Want};
pub use heard::{Everyone, Health, Heard};
pub use import::{NOT_AWAITED, Step};
pub use view::{Cluster, Serving, View};
pub use wishes::{Settled, Ticket, Wish, set_rule};

use super::help::HELP;
use super::*;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

pub const COMMANDS: &[Command] = &[ASKING, CLUSTER, READONLY, READWRITE];

const ROW: Command = Command { group: Group::Cluster, since: "3.0.0", ..COMMAND };

/// What is decided by the cluster itself.
const PLACED: Command = Command {
    run: |cx, _| refuse(cx, "ERR slots are placed by the cluster itself; use 'larder cluster rebalance'"),
    flags: ADMIN,
    ..ROW
};

/// What is said to a node about this connection.
const CONNECTION: Flags = Flags::FAST.and(Flags::CONNECTION);

/// What changes the cluster, and what merely asks about it.
const ADMIN: Flags = Flags::ADMIN.and(ASK).and(Flags::NO_ASYNC_LOADING);
const ASK: Flags = Flags::STALE;
const ASK_ADMIN: Flags = Flags::ADMIN.and(ASK);

const VARIES: &[&str] = &["nondeterministic_output"];

const PER_SLOT: &str = "O(N) for N slots";
const PER_NODE: &str = "O(N) for N nodes";

/// The version of Larder that first had the command.
const OWN: &str = "Larder 0.1";

const DISABLED: Fault = Fault::text("ERR This instance has cluster support disabled");

/// What the node knows of its cluster.
///
/// # Errors
///
/// Redis's, if it is in none.
fn view(cx: &Ctx<'_>) -> Result<Arc<View>, Fault> {
    if cx.node.cluster.is_on() { Ok(cx.node.cluster.view()) } else { Err(DISABLED) }
}

/// Refuses what is done in another way here.
fn refuse(cx: &Ctx<'_>, instead: &'static str) -> Outcome {
    view(cx)?;
    Err(Fault::text(instead))
}

fn ok(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    view(cx)?;
    cx.session.knows_cluster = true;
    cx.reply.ok();
    REPLIED
}

/// As Redis says that nothing had to be done.
fn still(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let epoch = view(cx)?.own_shard().map_or(0, |shard| shard.epoch);
    cx.reply.simple(&format!("STILL {epoch}"));
    REPLIED
}

fn help(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    view(cx)?;
    (HELP.run)(cx, args)
}

/// Says whether replicas may answer what the connection reads.
fn read_replica(cx: &mut Ctx<'_>, may: bool) -> Outcome {
    view(cx)?;
    cx.session.knows_cluster = true;
    cx.session.client.reads_replica.store(may, Relaxed);
    cx.reply.ok();
    REPLIED
}

const ASKING: Command = Command {
    name: "ASKING",
    run: ok,
    summary: "Says that the next command was sent here by ASK, which no node of this cluster answers.",
    flags: CONNECTION,
    ..ROW
};

const READONLY: Command = Command {
    name: "READONLY",
    run: |cx, _| read_replica(cx, true),
    summary: "Lets the connection read from a replica.",
    flags: CONNECTION.and(Flags::LOADING).and(Flags::STALE),
    ..ROW
};

const READWRITE: Command = Command {
    name: "READWRITE",
    run: |cx, _| read_replica(cx, false),
    summary: "Ends what READONLY began.",
    flags: CONNECTION.and(Flags::LOADING).and(Flags::STALE),
    ..ROW
};

const CLUSTER: Command = Command {
    name: "CLUSTER",
    summary: "Shows and changes the cluster.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "ADDSLOTS",
            summary: "Refused: the cluster places slots itself.",
            complexity: PER_SLOT,
            args: &[int("slot").many()],
            ..PLACED
        },
        Command {
            name: "ADDSLOTSRANGE",
            summary: "Refused: the cluster places slots itself.",
            complexity: PER_SLOT,
            since: "7.0.0",
            args: RANGES,
            ..PLACED
        },
        Command {
            name: "BUMPEPOCH",
            run: still,
            summary: "Returns the epoch of this node's shard, which only the cluster advances.",
            flags: ADMIN,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "CHANGE",
            run: wishes::change,
            summary: "Asks the cluster for a change, for `larder cluster`. Returns the epoch since which it is so.",
            since: OWN,
            args: &[one_of(
                "change",
                &[
                    text("leaving").shown_as("node-id").after("LEAVE"),
                    text("staying").shown_as("node-id").after("STAY"),
                    block("forget", &[text("node-id").after("FORGET"), token("force", "FORCE").optional()]),
                    int("count").after("REPLICAS"),
                    block("failover", &[text("node-id").after("FAILOVER"), token("force", "FORCE").optional()]),
                ],
            )],
            flags: ADMIN.and(Flags::NO_MULTI),
            ..ROW
        },
        Command {
            name: "COUNT-FAILURE-REPORTS",
            run: told::count_failure_reports,
            summary: "Returns how many nodes say that a node has failed.",
            complexity: "O(N) for N reports",
            args: NODE,
            flags: ASK_ADMIN,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "CLEARSLOTS",
            run: import::clear,
            summary: "Deletes what is left of an earlier attempt to bring slots to this node. The nodes of the cluster use it.",
            complexity: "O(N) for N keys",
            since: "1.0.0",
            args: &[int("slot").many()],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "COUNTKEYSINSLOT",
            run: keys::count,
            summary: "Returns how many keys a slot has.",
            args: &[int("slot")],
            flags: ASK,
            ..ROW
        },
        Command {
            name: "DELSLOTS",
            summary: "Refused: the cluster places slots itself.",
            complexity: PER_SLOT,
            args: &[int("slot").many()],
            ..PLACED
        },
        Command {
            name: "DELSLOTSRANGE",
            summary: "Refused: the cluster places slots itself.",
            complexity: PER_SLOT,
            since: "7.0.0",
            args: RANGES,
            ..PLACED
        },
        Command {
            name: "FAILOVER",
            run: wishes::fail_over,
            summary: "Makes a replica the primary of its shard.",
            args: &[one_of("options", &[token("force", "FORCE"), token("takeover", "TAKEOVER")]).optional()],
            flags: ADMIN,
            ..ROW
        },
        Command { name: "FLUSHSLOTS", summary: "Refused: the cluster places slots itself.", ..PLACED },
        Command {
            name: "FORGET",
            run: wishes::forget,
            summary: "Takes a node out of the cluster, once it has given up its part.",
            args: NODE,
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "GETKEYSINSLOT",
            run: keys::names,
            summary: "Returns the names of some keys of a slot.",
            complexity: "O(N) for N keys",
            args: &[int("slot"), int("count")],
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "FORWARD",
            run: peer::forward,
            summary: "Lets a connection bring commands of another node's clients. The nodes of the cluster use it.",
            since: OWN,
            args: &[text("node-id"), text("proof")],
            flags: ADMIN,
            ..ROW
        },
        Command { run: help, group: Group::Cluster, ..HELP },
        Command {
            name: "INFO",
            run: told::info,
            summary: "Returns the state of the cluster.",
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "IMPORT",
            run: import::import,
            summary: "Lets a connection bring slots to this node. The nodes of the cluster use it.",
            since: "1.0.0",
            args: &[text("node-id"), text("proof")],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "KEYSLOT",
            run: keys::key_slot,
            summary: "Returns the slot of a key.",
            complexity: "O(N) for a key of N bytes",
            args: &[text("key")],
            flags: ASK,
            ..ROW
        },
        Command {
            name: "LINKS",
            run: told::links,
            summary: "Returns the links between this node and the others.",
            complexity: PER_NODE,
            since: "7.0.0",
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "MEET",
            run: |cx, _| {
                refuse(
                    cx,
                    "ERR nodes join by themselves; start the new one with 'join' set to the address of a node of this cluster",
                )
            },
            summary: "Refused: a node joins when it is started with the address of another.",
            args: &[text("ip"), int("port"), int("cluster-bus-port").optional().since("4.0.0")],
            flags: ADMIN,
            ..ROW
        },
        Command { name: "MYID", run: told::my_id, summary: "Returns the id of this node.", flags: ASK, ..ROW },
        Command {
            name: "MYSHARDID",
            run: told::my_shard_id,
            summary: "Returns the id of this node's shard.",
            since: "7.2.0",
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "NODES",
            run: told::nodes,
            summary: "Returns what this node knows about all nodes, as lines of text.",
            complexity: PER_NODE,
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "REPLICAS",
            run: told::replicas,
            summary: "Returns the replicas of a primary.",
            complexity: "O(N) for N replicas",
            since: "5.0.0",
            args: NODE,
            flags: ASK_ADMIN,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "REPLICATE",
            run: |cx, _| refuse(cx, "ERR replicas are placed by the cluster itself; use 'larder cluster replicas'"),
            summary: "Refused: the cluster places replicas itself.",
            args: NODE,
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "RESET",
            run: |cx, _| refuse(cx, "ERR a node gives up its part before it goes; use 'larder cluster leave'"),
            summary: "Refused: a node gives up its part before it goes.",
            complexity: PER_NODE,
            args: &[one_of("reset-type", &[token("hard", "HARD"), token("soft", "SOFT")]).optional()],
            flags: ASK_ADMIN.and(Flags::NOSCRIPT),
            ..ROW
        },
        Command {
            name: "SAVECONFIG",
            run: ok,
            summary: "Does nothing: what the cluster knows is always on disk.",
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "SET-CONFIG-EPOCH",
            run: |cx, _| refuse(cx, "ERR epochs are counted by the cluster itself"),
            summary: "Refused: the cluster counts epochs itself.",
            args: &[int("config-epoch")],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "SETSLOT",
            summary: "Refused: the cluster places slots itself.",
            args: &[
                int("slot"),
                one_of(
                    "subcommand",
                    &[
                        text("importing").shown_as("node-id").after("IMPORTING"),
                        text("migrating").shown_as("node-id").after("MIGRATING"),
                        text("node").shown_as("node-id").after("NODE"),
                        token("stable", "STABLE"),
                    ],
                ),
            ],
            ..PLACED
        },
        Command {
            name: "SHARDS",
            run: told::shards,
            summary: "Returns the shards with their slots and nodes.",
            complexity: PER_NODE,
            since: "7.0.0",
            flags: ASK.and(Flags::LOADING),
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "SLAVES",
            run: told::replicas,
            summary: "Returns the replicas of a primary.",
            complexity: "O(N) for N replicas",
            args: NODE,
            flags: ASK_ADMIN,
            tips: VARIES,
            deprecated: Some(Deprecated { since: "5.0.0", instead: "`CLUSTER REPLICAS`" }),
            ..ROW
        },
        Command {
            name: "SLOT-STATS",
            run: keys::stats,
            summary: "Returns how many keys the slots of this node's shard have.",
            complexity: "O(N) for N slots, O(N*log(N)) with ORDERBY",
            since: "8.0.0",
            args: &[one_of(
                "filter",
                &[
                    block("slotsrange", &[int("start-slot"), int("end-slot")]).after("SLOTSRANGE"),
                    block(
                        "orderby",
                        &[
                            text("metric"),
                            int("limit").after("LIMIT").optional(),
                            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
                        ],
                    )
                    .after("ORDERBY"),
                ],
            )],
            flags: ASK.and(Flags::LOADING),
            tips: &["nondeterministic_output", "request_policy:all_shards"],
            ..ROW
        },
        Command {
            name: "SLOTS",
            run: told::slots,
            summary: "Returns which nodes serve which slots.",
            complexity: PER_NODE,
            flags: ASK.and(Flags::LOADING),
            tips: VARIES,
            deprecated: Some(Deprecated { since: "7.0.0", instead: "`CLUSTER SHARDS`" }),
            ..ROW
        },
        Command {
            name: "TOPOLOGY",
            run: topology::topology,
            summary: "Returns everything that this node knows of the cluster, as JSON, for `larder cluster`.",
            complexity: PER_NODE,
            since: OWN,
            flags: ASK_ADMIN.and(Flags::LOADING),
            tips: VARIES,
            ..ROW
        },
    ],
    ..ROW
};

const NODE: &[Arg] = &[text("node-id")];

const RANGES: &[Arg] = &[block("range", &[int("start-slot"), int("end-slot")]).many()];
