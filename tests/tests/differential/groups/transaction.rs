//! Transactions, which the author of a script keeps short, and watched keys.

use super::Group;

pub const GROUP: Group = Group {
    name: "transaction",
    lines: &[
        (40, "!MULTI"),
        (6, "!EXEC"),
        (3, "!DISCARD"),
        (20, "WATCH KEY+"),
        (4, "UNWATCH"),
        (1, "!EXEC x"),
        (1, "!MULTI x"),
        (1, "!DISCARD x"),
    ],
    ..Group::EMPTY
};
