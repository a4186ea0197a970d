//! Transactions, which the author of a script keeps short, and watched keys.

use super::Group;

pub const GROUP: Group = Group {
    name: "transaction",
    lines: &[
        (40, "!MULTI"),
        (6, "!EXEC"),
        (3, "!DISCARD"),
        // No stream: making a group changes it here, and does not in the reference.
        (20, "WATCH STR|HKEY|LKEY|SKEY|ZKEY+"),
        (4, "UNWATCH"),
        (1, "!EXEC x"),
        (1, "!MULTI x"),
        (1, "!DISCARD x"),
    ],
    ..Group::EMPTY
};
