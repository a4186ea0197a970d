//! What is asked of the node itself.

use super::Group;

pub const GROUP: Group = Group {
    name: "server",
    lines: &[
        (2, "DBSIZE"),
        (1, "FLUSHDB|FLUSHALL ASYNC|SYNC?"),
        (1, "SWAPDB DBNO DBNO"),
        (1, "TIME"),
        (1, "ROLE"),
        (1, "INFO keyspace"),
        (1, "LOLWUT"),
        (2, "MEMORY USAGE KEY (SAMPLES INT)?"),
        (1, "MEMORY nonsense"),
        (1, "!SLOWLOG GET -2|x"),
        (1, "SLOWLOG RESET|nonsense"),
        (1, "LATENCY GRAPH|RESET|HISTORY nonsense"),
        (2, "CONFIG GET maxmemory|maxmemory-policy|DATABASES|proto-max-bulk-len|nonsense|timeout+"),
        (1, "!CONFIG SET nonsense|timeout|maxclients|databases x|-1"),
        (1, "!CONFIG SET timeout 0 maxmemory-samples|lfu-log-factor|timeout|hz 5|10|x"),
        (1, "!CONFIG SET timeout"),
        (1, "!CONFIG RESETSTAT|nonsense"),
        (6, "COMMAND GETKEYS CALL"),
        (3, "COMMAND GETKEYSANDFLAGS CALL"),
        (1, "COMMAND LIST FILTERBY PATTERN|ACLCAT|MODULE mset*|setr*|nonsense"),
        (1, "!COMMAND INFO nonsense|set|get|mget|del|ttl|select|ping|append|substr|type|exists+"),
        (1, "!DEBUG SLEEP 0"),
        (1, "!DEBUG SET-ACTIVE-EXPIRE 1"),
        (1, "CLUSTER INFO|SLOTS|KEYSLOT|nonsense KEY?"),
        (1, "READONLY|READWRITE|ASKING"),
        (1, "nonsense|'' VALUE?"),
    ],
    ..Group::EMPTY
};
