//! Channels and patterns. What subscribers are sent is compared as well. No pattern matches the channels of keyspace events:
//! before 7.2 these stood in the middle of the reply to EXEC.

use super::Group;

pub const GROUP: Group = Group {
    name: "pubsub",
    lines: &[
        (6, "SUBSCRIBE CHANNEL+"),
        (5, "PSUBSCRIBE CHANNEL|'c*'|'?1'|'[cd]2'|'n*'+"),
        (4, "SSUBSCRIBE CHANNEL"),
        (6, "UNSUBSCRIBE|PUNSUBSCRIBE|SUNSUBSCRIBE"),
        (5, "UNSUBSCRIBE CHANNEL+"),
        (4, "PUNSUBSCRIBE CHANNEL|'c*'|'?1'|'[cd]2'|'n*'+"),
        (4, "SUNSUBSCRIBE CHANNEL"),
        (30, "PUBLISH CHANNEL VALUE"),
        (8, "SPUBLISH CHANNEL VALUE"),
        (3, "PUBSUB CHANNELS|SHARDCHANNELS 'c*'|'*'?"),
        (3, "PUBSUB NUMSUB|SHARDNUMSUB CHANNEL+"),
        (2, "PUBSUB NUMPAT"),
        (1, "PUBSUB HELP|nonsense"),
    ],
    ..Group::EMPTY
};
