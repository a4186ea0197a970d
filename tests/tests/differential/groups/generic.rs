//! Keys of any type: their names, their times, and their values as payloads.

use super::Group;

pub const GROUP: Group = Group {
    name: "generic",
    lines: &[
        (6, "DEL|UNLINK KEY+"),
        (5, "EXISTS|TOUCH KEY+"),
        (5, "TYPE KEY"),
        (8, "EXPIRE KEY TTL NX|XX|GT|LT?"),
        (8, "PEXPIRE KEY PTTL NX|XX|GT|LT?"),
        (6, "EXPIREAT KEY AT NX|XX|GT|LT?"),
        (6, "PEXPIREAT KEY PAT NX|XX|GT|LT?"),
        (4, "EXPIRE KEY TTL NX|XX|GT|LT NX|XX|GT|LT"),
        (6, "TTL|PTTL|EXPIRETIME|PEXPIRETIME KEY"),
        (4, "PERSIST KEY"),
        (6, "RENAME|RENAMENX KEY PEER"),
        (6, "COPY KEY PEER (DB DBNO)? REPLACE?"),
        (5, "MOVE KEY DBNO"),
        (2, "KEYS GLOB"),
        (3, "SCAN 0 (MATCH GLOB)? (COUNT INDEX)? (TYPE string|list|set|zset|hash|stream|nonsense)?"),
        (1, "!SCAN x|1.5|99999999999999999999|'' (COUNT INT)?"),
        (1, "RANDOMKEY"),
        (6, "OBJECT ENCODING|REFCOUNT|IDLETIME|FREQ KEY"),
        (4, "DUMP KEY"),
        (6, "RESTORE KEY PTTL PAYLOAD REPLACE?"),
        (4, "RESTORE KEY PAT PAYLOAD REPLACE? ABSTTL (IDLETIME INT)? (FREQ INT)?"),
        (1, "!WAIT 0 0|1|10"),
        (1, "!WAIT 1 1"),
        (1, "!WAIT x|-1|0 x|-1|10"),
        (1, "OBJECT HELP|nonsense"),
    ],
    ..Group::EMPTY
};
