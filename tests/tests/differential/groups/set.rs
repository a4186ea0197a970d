//! Sets.

use super::Group;

pub const GROUP: Group = Group {
    name: "set",
    lines: &[
        (20, "SADD SKEY MEMBER+"),
        (8, "SADD SKEY NUM+"),
        (1, "SADD SKEY MEMBERS%"),
        (1, "SADD SKEY NUM%"),
        (10, "SREM SKEY MEMBER+"),
        (4, "SCARD SKEY"),
        (6, "SMEMBERS SKEY"),
        (6, "SISMEMBER SKEY MEMBER"),
        (4, "SMISMEMBER SKEY MEMBER+"),
        (6, "SMOVE SKEY SKEY MEMBER"),
        (4, "SPOP SKEY TIMES?"),
        (5, "SRANDMEMBER SKEY TIMES?"),
        (8, "SINTER|SUNION|SDIFF SKEY+"),
        (6, "SINTERSTORE|SUNIONSTORE|SDIFFSTORE SKEY SKEY+"),
        (5, "SINTERCARD SKEYS (LIMIT INDEX)?"),
        (5, "SSCAN SKEY 0 (MATCH GLOB|'m:1*'|'[1-5]*')? (COUNT INDEX)?"),
        (1, "SSCAN SKEY x|-1|1.5|99999999999999999999 (COUNT INT)?"),
    ],
    ..Group::EMPTY
};
