//! Strings.

use super::Group;

pub const GROUP: Group = Group {
    name: "string",
    lines: &[
        (30, "SET STR VALUE"),
        (12, "SET STR INT"),
        (12, "SET STR VALUE (EX TTL)? NX|XX? GET?"),
        (8, "SET STR VALUE NX|XX? GET? PX PTTL"),
        (6, "SET STR VALUE GET? EXAT|KEEPTTL AT?"),
        (6, "SET STR VALUE PXAT PAT"),
        (4, "SET STR VALUE KEEPTTL GET?"),
        (20, "GET STR"),
        (4, "GETSET STR VALUE"),
        (4, "GETDEL STR"),
        (8, "GETEX STR (EX TTL)? PERSIST?"),
        (4, "GETEX STR PX PTTL"),
        (4, "GETEX STR EXAT AT"),
        (4, "GETEX STR PXAT PAT"),
        (8, "APPEND STR VALUE"),
        (5, "STRLEN STR"),
        (10, "SETRANGE STR INDEX VALUE"),
        (10, "GETRANGE|SUBSTR STR INDEX INDEX"),
        (8, "INCR|DECR STR"),
        (10, "INCRBY|DECRBY STR INT"),
        (12, "INCRBYFLOAT STR FLOAT"),
        (4, "SETNX STR VALUE"),
        (3, "SETEX STR TTL VALUE"),
        (3, "PSETEX STR PTTL VALUE"),
        (6, "MSET (STR VALUE)+"),
        (5, "MSETNX (STR VALUE)+"),
        (8, "MGET STR+"),
        (6, "LCS STR STR LEN? IDX? (MINMATCHLEN INDEX)? WITHMATCHLEN?"),
    ],
    ..Group::EMPTY
};
