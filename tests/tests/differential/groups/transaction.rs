//! Transactions, which the author of a script keeps short, and watched keys.

use super::Group;

pub const GROUP: Group = Group {
    name: "transaction",
    lines: &[
        (40, "!MULTI"),
        (6, "!EXEC"),
        (3, "!DISCARD"),
        // No bits: a BITFIELD of which all is refused makes the key all the same, and the reference does not tell.
        (20, "WATCH STR|HKEY|LKEY|SKEY|ZKEY|XKEY|PKEY|GKEY+"),
        (4, "UNWATCH"),
        (1, "!EXEC x"),
        (1, "!MULTI x"),
        (1, "!DISCARD x"),
    ],
    ..Group::EMPTY
};
