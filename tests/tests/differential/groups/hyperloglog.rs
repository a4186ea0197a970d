//! HyperLogLog, whose values are also strings, byte for byte.

use super::Group;

pub const GROUP: Group = Group {
    name: "hyperloglog",
    lines: &[
        (12, "PFADD PKEY MEMBER+"),
        (2, "PFADD PKEY MEMBERS%"),
        (2, "PFADD PKEY"),
        (8, "PFCOUNT PKEY"),
        (5, "PFCOUNT PKEY+"),
        (6, "PFMERGE PKEY PKEY+"),
        (3, "GET|STRLEN PKEY"),
        // What a counter that is broken further on makes of each element depends on where its reader stops.
        (2, "SETRANGE PKEY 0 VALUE"),
        (1, "SET PKEY VALUE"),
    ],
    ..Group::EMPTY
};
