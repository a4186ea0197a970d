//! The commands of a cluster, on a node that is in none: they are known, and say so in Redis's words.
//!
//! A client that may meet a cluster asks `CLUSTER SLOTS` or `READONLY` first, and takes this refusal, not that of an
//! unknown command, as the sign of a node of its own.

mod view;

pub use view::{Cluster, Serving, View};

use super::help::HELP;
use super::*;

pub const COMMANDS: &[Command] = &[ASKING, CLUSTER, READONLY, READWRITE];

const ROW: Command = Command { run: refuse, group: Group::Cluster, since: "3.0.0", ..COMMAND };

/// What is said to a node about this connection.
const CONNECTION: Flags = Flags::FAST.and(Flags::CONNECTION);

/// What changes the cluster, and what merely asks about it.
const ADMIN: Flags = Flags::ADMIN.and(ASK).and(Flags::NO_ASYNC_LOADING);
const ASK: Flags = Flags::STALE;
const ASK_ADMIN: Flags = Flags::ADMIN.and(ASK);

const VARIES: &[&str] = &["nondeterministic_output"];

const PER_SLOT: &str = "O(N) for N slots";
const PER_NODE: &str = "O(N) for N nodes";

fn refuse(_: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    Err(Fault::text("ERR This instance has cluster support disabled"))
}

const ASKING: Command = Command {
    name: "ASKING",
    summary: "Lets the next command have a slot that is on its way to this node.",
    flags: CONNECTION,
    ..ROW
};

const READONLY: Command = Command {
    name: "READONLY",
    summary: "Lets the connection read from a replica.",
    flags: CONNECTION.and(Flags::LOADING).and(Flags::STALE),
    ..ROW
};

const READWRITE: Command = Command {
    name: "READWRITE",
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
            summary: "Assigns slots to this node.",
            complexity: PER_SLOT,
            args: &[int("slot").many()],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "ADDSLOTSRANGE",
            summary: "Assigns ranges of slots to this node.",
            complexity: PER_SLOT,
            since: "7.0.0",
            args: RANGES,
            flags: ADMIN,
            ..ROW
        },
        Command { name: "BUMPEPOCH", summary: "Advances the epoch of the cluster.", flags: ADMIN, tips: VARIES, ..ROW },
        Command {
            name: "COUNT-FAILURE-REPORTS",
            summary: "Returns how many nodes say that a node has failed.",
            complexity: "O(N) for N reports",
            args: NODE,
            flags: ASK_ADMIN,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "COUNTKEYSINSLOT",
            summary: "Returns how many keys a slot has.",
            args: &[int("slot")],
            flags: ASK,
            ..ROW
        },
        Command {
            name: "DELSLOTS",
            summary: "Takes slots away from this node.",
            complexity: PER_SLOT,
            args: &[int("slot").many()],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "DELSLOTSRANGE",
            summary: "Takes ranges of slots away from this node.",
            complexity: PER_SLOT,
            since: "7.0.0",
            args: RANGES,
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "FAILOVER",
            summary: "Makes a replica the primary of its shard.",
            args: &[one_of("options", &[token("force", "FORCE"), token("takeover", "TAKEOVER")]).optional()],
            flags: ADMIN,
            ..ROW
        },
        Command { name: "FLUSHSLOTS", summary: "Takes all slots away from this node.", flags: ADMIN, ..ROW },
        Command { name: "FORGET", summary: "Takes a node out of the cluster.", args: NODE, flags: ADMIN, ..ROW },
        Command {
            name: "GETKEYSINSLOT",
            summary: "Returns the names of some keys of a slot.",
            complexity: "O(N) for N keys",
            args: &[int("slot"), int("count")],
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command { run: refuse, group: Group::Cluster, ..HELP },
        Command { name: "INFO", summary: "Returns the state of the cluster.", flags: ASK, tips: VARIES, ..ROW },
        Command {
            name: "KEYSLOT",
            summary: "Returns the slot of a key.",
            complexity: "O(N) for a key of N bytes",
            args: &[text("key")],
            flags: ASK,
            ..ROW
        },
        Command {
            name: "LINKS",
            summary: "Returns the links between this node and the others.",
            complexity: PER_NODE,
            since: "7.0.0",
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "MEET",
            summary: "Makes two nodes know each other.",
            args: &[text("ip"), int("port"), int("cluster-bus-port").optional().since("4.0.0")],
            flags: ADMIN,
            ..ROW
        },
        Command { name: "MYID", summary: "Returns the id of this node.", flags: ASK, ..ROW },
        Command {
            name: "MYSHARDID",
            summary: "Returns the id of this node's shard.",
            since: "7.2.0",
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "NODES",
            summary: "Returns what this node knows about all nodes, as lines of text.",
            complexity: PER_NODE,
            flags: ASK,
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "REPLICAS",
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
            summary: "Makes this node a replica of another.",
            args: NODE,
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "RESET",
            summary: "Makes this node forget the cluster.",
            complexity: PER_NODE,
            args: &[one_of("reset-type", &[token("hard", "HARD"), token("soft", "SOFT")]).optional()],
            flags: ASK_ADMIN.and(Flags::NOSCRIPT),
            ..ROW
        },
        Command {
            name: "SAVECONFIG",
            summary: "Writes what this node knows about the cluster to its file.",
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "SET-CONFIG-EPOCH",
            summary: "Sets the epoch of a new node.",
            args: &[int("config-epoch")],
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "SETSLOT",
            summary: "Says which node a slot belongs to, or moves between.",
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
            flags: ADMIN,
            ..ROW
        },
        Command {
            name: "SHARDS",
            summary: "Returns the shards with their slots and nodes.",
            complexity: PER_NODE,
            since: "7.0.0",
            flags: ASK.and(Flags::LOADING),
            tips: VARIES,
            ..ROW
        },
        Command {
            name: "SLAVES",
            summary: "Returns the replicas of a primary.",
            complexity: "O(N) for N replicas",
            args: NODE,
            flags: ASK_ADMIN,
            tips: VARIES,
            deprecated: Some(Deprecated { since: "5.0.0", instead: "`CLUSTER REPLICAS`" }),
            ..ROW
        },
        Command {
            name: "SLOTS",
            summary: "Returns which nodes serve which slots.",
            complexity: PER_NODE,
            flags: ASK.and(Flags::LOADING),
            tips: VARIES,
            deprecated: Some(Deprecated { since: "7.0.0", instead: "`CLUSTER SHARDS`" }),
            ..ROW
        },
    ],
    ..ROW
};

const NODE: &[Arg] = &[text("node-id")];

const RANGES: &[Arg] = &[block("range", &[int("start-slot"), int("end-slot")]).many()];

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    const DISABLED: &str = "-ERR This instance has cluster support disabled";

    #[test]
    fn a_node_of_its_own_says_that_it_is_in_no_cluster() {
        let mut desk = Desk::new();
        for line in ["ASKING", "READONLY", "READWRITE", "CLUSTER HELP", "CLUSTER SLOTS", "cluster nodes"] {
            desk.check(line, DISABLED);
        }
        desk.check("CLUSTER SETSLOT 1 NODE x", DISABLED);
        desk.check("CLUSTER", "-ERR wrong number of arguments for 'cluster' command");
        desk.check("CLUSTER KEYSLOT", "-ERR wrong number of arguments for 'cluster|keyslot' command");
        desk.check("CLUSTER nonsense", "-ERR unknown subcommand 'nonsense'. Try CLUSTER HELP.");
    }
}
