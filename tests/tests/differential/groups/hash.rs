//! Hashes.

use super::Group;

pub const GROUP: Group = Group {
    name: "hash",
    lines: &[
        (30, "HSET HKEY (FIELD VALUE)+"),
        (8, "HSET HKEY FIELD INT"),
        (1, "HSET HKEY (MEMBERS VALUE)%"),
        (3, "HMSET HKEY (FIELD VALUE)+"),
        (5, "HSETNX HKEY FIELD VALUE"),
        (10, "HGET HKEY FIELD"),
        (6, "HMGET HKEY FIELD+"),
        (6, "HGETALL HKEY"),
        (3, "HKEYS|HVALS HKEY"),
        (4, "HLEN HKEY"),
        (4, "HEXISTS|HSTRLEN HKEY FIELD"),
        (10, "HDEL HKEY FIELD+"),
        (8, "HINCRBY HKEY FIELD INT"),
        (8, "HINCRBYFLOAT HKEY FIELD FLOAT"),
        (6, "HRANDFIELD HKEY (TIMES WITHVALUES?)?"),
        (5, "HSCAN HKEY 0 (MATCH GLOB|'f*'|'m:1*')? (COUNT INDEX)?"),
        (1, "HSCAN HKEY x|-1|1.5|99999999999999999999 (COUNT INT)?"),
    ],
    ..Group::EMPTY
};
