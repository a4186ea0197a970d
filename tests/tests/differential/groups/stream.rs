//! Streams and their groups. Entries get the ids they are given, as clocks differ; idle times are either gone by for all
//! or far away.

use super::Group;

pub const GROUP: Group = Group {
    name: "stream",
    lines: &[
        (40, "XADD XKEY XID (FIELD VALUE)+"),
        (8, "XADD XKEY NOMKSTREAM? MAXLEN|MINID =|~? INDEX XID (FIELD VALUE)+"),
        (5, "XADD XKEY NOMKSTREAM? (MAXLEN '~' INDEX LIMIT INDEX)? XID FIELD VALUE"),
        (3, "XADD XKEY (MINID =|~? RID)? XID FIELD VALUE"),
        (4, "XLEN XKEY"),
        (8, "XRANGE XKEY RSTART REND (COUNT INDEX)?"),
        (6, "XREVRANGE XKEY REND RSTART (COUNT INDEX)?"),
        (6, "XREAD (COUNT INDEX)? STREAMS XKEY RID"),
        (4, "XREAD (COUNT INDEX)? STREAMS XKEY XKEY RID RID"),
        (8, "XDEL XKEY RID+"),
        (4, "XTRIM XKEY MAXLEN =|~? INDEX"),
        (3, "XTRIM XKEY MAXLEN|MINID '~' INDEX (LIMIT INDEX)?"),
        (3, "XTRIM XKEY MINID =|~? RID"),
        // Since 7.2 the id may not be below that of an entry that was deleted.
        (3, "XSETID XKEY XNEXT (ENTRIESADDED INDEX)? (MAXDELETEDID RID)?"),
        (16, "XGROUP CREATE XKEY TEAM 0 MKSTREAM"),
        (10, "XGROUP CREATE XKEY TEAM RID|$ MKSTREAM? (ENTRIESREAD INDEX)?"),
        (4, "XGROUP SETID XKEY TEAM RID|$ (ENTRIESREAD INDEX)?"),
        (2, "XGROUP DESTROY XKEY TEAM"),
        (4, "XGROUP CREATECONSUMER|DELCONSUMER XKEY TEAM CONSUMER"),
        (1, "XGROUP nonsense|HELP XKEY?"),
        (14, "XREADGROUP GROUP TEAM CONSUMER (COUNT INDEX)? NOACK? STREAMS XKEY '>'"),
        (6, "XREADGROUP GROUP TEAM CONSUMER (COUNT INDEX)? NOACK? STREAMS XKEY RID|'>'"),
        (3, "XREADGROUP GROUP TEAM CONSUMER (COUNT INDEX)? STREAMS XKEY XKEY '>' RID|'>'"),
        (8, "XACK XKEY TEAM RID+"),
        (5, "XPENDING XKEY TEAM"),
        (6, "XPENDING XKEY TEAM (IDLE AGE)? RSTART REND INDEX CONSUMER?"),
        (8, "XCLAIM XKEY TEAM CONSUMER AGE RID+"),
        (5, "XCLAIM XKEY TEAM CONSUMER AGE RID+ (IDLE AGE)? (RETRYCOUNT INDEX)? FORCE? JUSTID?"),
        (3, "XCLAIM XKEY TEAM CONSUMER AGE RID (TIME 1|1000|x)? (LASTID RID)? FORCE?"),
        (6, "XAUTOCLAIM XKEY TEAM CONSUMER AGE RSTART (COUNT INDEX)? JUSTID?"),
        (4, "XINFO STREAM XKEY"),
        (4, "XINFO STREAM XKEY FULL (COUNT INDEX)?"),
        (3, "XINFO GROUPS XKEY"),
        (4, "XINFO CONSUMERS XKEY TEAM"),
        (1, "XINFO HELP|nonsense XKEY?"),
    ],
    ..Group::EMPTY
};
