//! Connections: protocols, names, the lists of clients.

use super::Group;

pub const GROUP: Group = Group {
    name: "connection",
    lines: &[
        (3, "PING VALUE?"),
        (3, "ECHO VALUE"),
        (2, "SELECT DBNO"),
        (3, "SELECT 0"),
        (2, "HELLO 2|3?"),
        (1, "!HELLO 2|3 SETNAME a|b|'a b'"),
        (1, "HELLO 2|3 AUTH default|nobody x"),
        (1, "AUTH default|nobody? x"),
        (1, "!RESET"),
        (1, "!QUIT"),
        (2, "CLIENT SETNAME a|b|''|'a b'"),
        (2, "CLIENT GETNAME"),
        (2, "CLIENT INFO"),
        (1, "CLIENT ID"),
        (1, "CLIENT GETREDIR|TRACKINGINFO"),
        (1, "CLIENT NO-EVICT on|off|maybe"),
        (1, "!CLIENT TRACKING off|maybe"),
        (1, "CLIENT UNBLOCK INT TIMEOUT|ERROR|maybe?"),
        (1, "!CLIENT KILL nobody|127.0.0.1:1"),
        (1, "!CLIENT KILL ID|ADDR|LADDR|TYPE|USER|SKIPME|MAXAGE x|0|-1|replica|nobody"),
        (1, "!CLIENT KILL ID 0|x|999999 SKIPME yes|maybe"),
        (1, "!CLIENT LIST TYPE|ID|x master|pubsub|replica|nonsense|999999|x"),
        (1, "!CLIENT PAUSE x|-1|'' ALL|WRITE|maybe?"),
        (1, "!CLIENT PAUSE 0 ALL|WRITE?"),
        (1, "CLIENT UNPAUSE"),
        (1, "!CLIENT REPLY ON|maybe"),
        (1, "!CLIENT nonsense"),
    ],
    ..Group::EMPTY
};
