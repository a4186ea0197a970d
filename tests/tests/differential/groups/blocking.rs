//! Calls that wait until another connection brings what they want, or for a short time, or until they are woken.

use super::Group;

pub const GROUP: Group = Group {
    name: "blocking",
    waiting: &[
        (10, "BLPOP|BRPOP QLIST+ SECONDS"),
        // What is moved to a list that somebody waits for who also waits for this one goes another way since 7.2.
        (6, "BLMOVE QLIST LKEY LEFT|RIGHT LEFT|RIGHT SECONDS"),
        (4, "BRPOPLPUSH QLIST LKEY SECONDS"),
        (6, "BLMPOP SECONDS QLISTS LEFT|RIGHT (COUNT FEW)?"),
        (10, "BZPOPMIN|BZPOPMAX QZSET+ SECONDS"),
        (6, "BZMPOP SECONDS QZSETS MIN|MAX (COUNT FEW)?"),
        (8, "XREAD (COUNT FEW)? BLOCK MILLIS STREAMS QSTREAM $"),
        (4, "XREAD (COUNT FEW)? BLOCK MILLIS STREAMS qx1 qx2 $ RID|$"),
        (8, "XREADGROUP GROUP TEAM CONSUMER (COUNT FEW)? BLOCK MILLIS NOACK? STREAMS QSTREAM '>'"),
        (1, "BLPOP|BRPOP|BZPOPMIN|BZPOPMAX KEY+ SECONDS"),
    ],
    feeding: &[
        (12, "LPUSH|RPUSH QLIST MEMBER+"),
        (8, "ZADD QZSET (SCORE MEMBER)+"),
        (10, "XADD QSTREAM XID (FIELD VALUE)+"),
        (10, "DEL q1 q2 qz1 qz2"),
        (4, "DEL QLIST|QZSET|QSTREAM"),
        (10, "XGROUP CREATE QSTREAM TEAM 0|$ MKSTREAM"),
        (2, "XGROUP DESTROY QSTREAM TEAM"),
        (3, "RENAME|COPY LKEY QLIST"),
        (3, "RENAME|COPY ZKEY QZSET"),
        // No stream is brought under a name that is waited for: if it is empty, it ends the wait before 7.2.
        (2, "LMOVE LKEY QLIST LEFT|RIGHT LEFT|RIGHT"),
        (2, "LINSERT QLIST BEFORE MEMBER MEMBER"),
        (2, "ZUNIONSTORE QZSET 1 ZKEY"),
        (2, "ZRANGESTORE QZSET ZKEY 0 3"),
        (2, "SET QSTREAM VALUE"),
        (2, "SORT nl1 STORE QLIST"),
        (2, "RESTORE QLIST|QZSET 0 PAYLOAD REPLACE"),
        // Of several keys that come at once, who waits for them is served from the first since 7.2, and from the one that was
        // written first before: so these are about one key each.
        (3, "MULTI ; RPUSH q1 MEMBER+ ; LPUSH q1 MEMBER ; EXEC"),
        (3, "MULTI ; RPUSH q2 MEMBER+ ; LPUSH q2 MEMBER ; EXEC"),
        (4, "MULTI ; RPUSH QLIST MEMBER ; DEL QLIST ; EXEC"),
        (4, "MULTI ; DEL q2 ; RPUSH q2 MEMBER ; LPOP q2 ; RPUSH q2 MEMBER ; EXEC"),
        (4, "MULTI ; ZADD QZSET 1 a 2 b ; ZREM QZSET a ; EXEC"),
        (3, "MULTI ; XADD qx2 XID a b ; XADD qx2 XID c d ; EXEC"),
        (3, "MULTI ; BLPOP q1 q2 0 ; XREAD BLOCK 0 STREAMS qx1 $ ; BZPOPMIN qz1 0 ; EXEC"),
        // Of several keys that come with another database, the reference serves any first.
        (
            2,
            "SELECT 0 ; DEL q1 q2 qz1 qz2 qx1 qx2 ; SELECT 1 ; DEL q1 q2 qz1 qz2 qx1 qx2 ; RPUSH QLIST MEMBER ; SELECT 0 ; SWAPDB 0 1",
        ),
        (1, "FLUSHALL"),
        (2, "SELECT 1 ; RPUSH QLIST MEMBER ; MOVE QLIST 0 ; SELECT 0"),
    ],
    needs: &["CLIENT"],
    ..Group::EMPTY
};
