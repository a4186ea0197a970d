//! Lists.

use super::Group;

pub const GROUP: Group = Group {
    name: "list",
    lines: &[
        (20, "LPUSH|RPUSH LKEY MEMBER+"),
        (1, "LPUSH|RPUSH LKEY MEMBERS%"),
        (1, "LPUSH|RPUSH LKEY VALUE%"),
        (4, "LPUSHX|RPUSHX LKEY MEMBER+"),
        (10, "LPOP|RPOP LKEY FEW?"),
        (4, "LLEN LKEY"),
        (10, "LRANGE LKEY SPAN"),
        (2, "LRANGE LKEY 0 -1"),
        (6, "LINDEX LKEY INDEX"),
        (6, "LSET LKEY INDEX MEMBER"),
        (6, "LINSERT LKEY BEFORE|AFTER MEMBER MEMBER"),
        (6, "LREM LKEY -2|-1|0|1|2|INT MEMBER"),
        (4, "LTRIM LKEY SPAN"),
        (8, "LPOS LKEY MEMBER (RANK -2|-1|0|1|2|INT)? (COUNT 0|1|2|-1)? (MAXLEN 0|5|-1)?"),
        (6, "LMOVE LKEY LKEY LEFT|RIGHT LEFT|RIGHT"),
        (3, "RPOPLPUSH LKEY LKEY"),
        (6, "LMPOP LKEYS LEFT|RIGHT (COUNT FEW)?"),
    ],
    ..Group::EMPTY
};
