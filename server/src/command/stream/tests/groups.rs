//! Groups: making them, acknowledging, claiming, and what is pending.

use super::{BAD_END, BAD_START, INVALID_ID, NEEDS_KEY, NOT_INTEGER, SYNTAX, WRONG_TYPE};
use crate::command::testing::Desk;

#[test]
fn groups_are_made_set_and_destroyed() {
    let mut desk = Desk::new();
    desk.check("XGROUP CREATE s g 0", NEEDS_KEY);
    desk.check("XGROUP CREATE s g x", NEEDS_KEY);
    desk.check("XGROUP CREATE s g x MKSTREAM", INVALID_ID);
    desk.check("EXISTS s", ":0");
    desk.check("XGROUP CREATE s g $ MKSTREAM", "+OK");
    desk.check("XGROUP CREATE s g $ MKSTREAM", "-BUSYGROUP Consumer Group name already exists");
    desk.check("XGROUP CREATE s g x MKSTREAM", INVALID_ID);
    desk.check("XLEN s", ":0");
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 1", "$3 2-1");
    desk.check("XADD s 3-1 a 1", "$3 3-1");
    desk.check("XGROUP CREATE s h $", "+OK");
    desk.check("XGROUP CREATE s i 1 ENTRIESREAD 1", "+OK");
    desk.check("XGROUP CREATE s j 2-1 entriesread -1 mkstream", "+OK");
    desk.check("XGROUP CREATE s k 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1");
    desk.check("XGROUP CREATE s k 0 ENTRIESREAD x", NOT_INTEGER);
    desk.check(
        "XGROUP CREATE s k 0 ENTRIESREAD",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    );
    desk.check(
        "XGROUP CREATE s k 0 FOO",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    );
    desk.check("XGROUP CREATE s k 0 MKSTREAM MKSTREAM MKSTREAM", "+OK");
    desk.check(
        "XGROUP CREATE s l 0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    );
    desk.check("XGROUP CREATE s l -", INVALID_ID);
    desk.check("XGROUP CREATE s l x", INVALID_ID);
    desk.check("XGROUP CREATE s l", "-ERR wrong number of arguments for 'xgroup|create' command");
    desk.check(
        "XGROUP CREATE none l 0 FOO",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    );
    desk.check("XINFO GROUPS s", "*5 *12 $4 name $1 g $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 0-0 $12 entries-read $-1 $3 lag :3 *12 $4 name $1 h $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 3-1 $12 entries-read $-1 $3 lag :0 *12 $4 name $1 i $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 1-0 $12 entries-read :1 $3 lag :2 *12 $4 name $1 j $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 2-1 $12 entries-read $-1 $3 lag $-1 *12 $4 name $1 k $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 0-0 $12 entries-read $-1 $3 lag :3");
    desk.check("XGROUP SETID s g 2-1", "+OK");
    desk.check("XGROUP SETID s g 2-1 ENTRIESREAD 2", "+OK");
    desk.check("XGROUP SETID s h $", "+OK");
    desk.check("XGROUP SETID s i -", "+OK");
    desk.check("XGROUP SETID s j +", "+OK");
    desk.check("XGROUP SETID s j x", INVALID_ID);
    desk.check("XGROUP SETID s none x", "-NOGROUP No such consumer group 'none' for key name 's'");
    desk.check("XGROUP SETID none g x", NEEDS_KEY);
    desk.check(
        "XGROUP SETID s g 0 MKSTREAM",
        "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
    );
    desk.check("XGROUP SETID s g 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1");
    desk.check(
        "XGROUP SETID s g 0 ENTRIESREAD 1 ENTRIESREAD 2",
        "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
    );
    desk.check(
        "XGROUP SETID s none 0 ENTRIESREAD 1 ENTRIESREAD 2",
        "-NOGROUP No such consumer group 'none' for key name 's'",
    );
    desk.check("XGROUP SETID s g", "-ERR wrong number of arguments for 'xgroup|setid' command");
    desk.check("XINFO GROUPS s", "*5 *12 $4 name $1 g $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 2-1 $12 entries-read :2 $3 lag :1 *12 $4 name $1 h $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 3-1 $12 entries-read $-1 $3 lag :0 *12 $4 name $1 i $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 0-0 $12 entries-read $-1 $3 lag :3 *12 $4 name $1 j $9 consumers :0 $7 pending :0 $17 last-delivered-id $41 18446744073709551615-18446744073709551615 $12 entries-read $-1 $3 lag $-1 *12 $4 name $1 k $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 0-0 $12 entries-read $-1 $3 lag :3");
    desk.check("XGROUP CREATECONSUMER s g c", ":1");
    desk.check("XGROUP CREATECONSUMER s g c", ":0");
    desk.check("XGROUP CREATECONSUMER s none c", "-NOGROUP No such consumer group 'none' for key name 's'");
    desk.check("XGROUP CREATECONSUMER none g c", NEEDS_KEY);
    desk.check("XGROUP CREATECONSUMER s g", "-ERR wrong number of arguments for 'xgroup|createconsumer' command");
    desk.check("XGROUP CREATECONSUMER s g c d", "-ERR wrong number of arguments for 'xgroup|createconsumer' command");
    desk.check("XGROUP DELCONSUMER s g c", ":0");
    desk.check("XGROUP DELCONSUMER s g c", ":0");
    desk.check("XGROUP DELCONSUMER s none c", "-NOGROUP No such consumer group 'none' for key name 's'");
    desk.check("XGROUP DELCONSUMER none g c", NEEDS_KEY);
    desk.check("XGROUP DELCONSUMER s g", "-ERR wrong number of arguments for 'xgroup|delconsumer' command");
    desk.check("XGROUP DESTROY s g", ":1");
    desk.check("XGROUP DESTROY s g", ":0");
    desk.check("XGROUP DESTROY none g", NEEDS_KEY);
    desk.check("XGROUP DESTROY s", "-ERR wrong number of arguments for 'xgroup|destroy' command");
    desk.check("XGROUP DESTROY s h x", "-ERR wrong number of arguments for 'xgroup|destroy' command");
    desk.check("XGROUP FOO s g", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP.");
    desk.check("XGROUP", "-ERR wrong number of arguments for 'xgroup' command");
    desk.check("SET str 1", "+OK");
    desk.check("XGROUP CREATE str g 0", WRONG_TYPE);
    desk.check("XGROUP CREATE str g 0 MKSTREAM", WRONG_TYPE);
    desk.check(
        "XGROUP CREATE str g 0 FOO",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
    );
    for line in
        ["XGROUP SETID str g 0", "XGROUP CREATECONSUMER str g c", "XGROUP DELCONSUMER str g c", "XGROUP DESTROY str g"]
    {
        desk.check(line, WRONG_TYPE);
    }
}

#[test]
fn what_is_acknowledged_is_pending_no_longer() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD s 3-1 a 3", "$3 3-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check(
        "XREADGROUP GROUP g c STREAMS s >",
        "*1 *2 $1 s *3 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2 *2 $3 3-1 *2 $1 a $1 3",
    );
    desk.check("XACK s g 1-1 1-1 9-9", ":1");
    desk.check("XACK s g 2", ":0");
    desk.check("XACK s g 2-1 x", INVALID_ID);
    desk.check("XACK s g 2-1 3", ":1");
    desk.check("XACK none g x", ":0");
    desk.check("XACK s none x", ":0");
    desk.check("XACK s g -", INVALID_ID);
    desk.check("XACK s g", "-ERR wrong number of arguments for 'xack' command");
    desk.check("SET str 1", "+OK");
    desk.check("XACK str g x", WRONG_TYPE);
    desk.check("XPENDING s g", "*4 :1 $3 3-1 $3 3-1 *1 *2 $1 c $1 1");
    desk.check("XGROUP DELCONSUMER s g c", ":1");
    desk.check("XPENDING s g", "*4 :0 $-1 $-1 *-1");
}

#[test]
fn xpending_tells_what_is_not_acknowledged() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD s 3-1 a 3", "$3 3-1");
    desk.check("XADD s 4-1 a 3", "$3 4-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check("XPENDING s g", "*4 :0 $-1 $-1 *-1");
    desk.check("XPENDING s g - + 10", "*0");
    desk.check("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check(
        "XREADGROUP GROUP g b COUNT 2 STREAMS s >",
        "*1 *2 $1 s *2 *2 $3 2-1 *2 $1 a $1 2 *2 $3 3-1 *2 $1 a $1 3",
    );
    desk.check("XREADGROUP GROUP g a STREAMS s x", INVALID_ID);
    desk.check("XGROUP CREATECONSUMER s g a", ":1");
    desk.check("XPENDING s g", "*4 :3 $3 1-1 $3 3-1 *2 *2 $1 b $1 2 *2 $1 c $1 1");
    desk.check("XCLAIM s g c 0 1-1 IDLE 0 RETRYCOUNT 3 TIME 9999999999999999", "*1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XPENDING s g IDLE 100000 - + 10", "*0");
    desk.check("XPENDING s g IDLE -1 (9 + 10", "*0");
    desk.check("XPENDING s g - + 0", "*0");
    desk.check("XPENDING s g - + -1", "*0");
    desk.check("XPENDING s g (1-1 (2-1 10", "*0");
    desk.check("XPENDING s g - + 10 nobody", "*0");
    desk.check("XPENDING s g - + 10 a", "*0");
    desk.check("XPENDING s g -", SYNTAX);
    desk.check("XPENDING s g - +", SYNTAX);
    desk.check("XPENDING s g - + 10 nobody x", "*0");
    desk.check("XPENDING s g - + 10 nobody x y", "*0");
    desk.check("XPENDING s g - + 10 nobody x y z", SYNTAX);
    desk.check("XPENDING s g - + x", NOT_INTEGER);
    desk.check("XPENDING s g x + x", NOT_INTEGER);
    desk.check("XPENDING s g x + 1", INVALID_ID);
    desk.check("XPENDING s g - x 1", INVALID_ID);
    desk.check("XPENDING s g (18446744073709551615-18446744073709551615 + 1", BAD_START);
    desk.check("XPENDING s g - (0-0 1", BAD_END);
    desk.check("XPENDING s g IDLE x - + 1", NOT_INTEGER);
    desk.check("XPENDING s g IDLE 1 - +", SYNTAX);
    desk.check("XPENDING s g IDLE x - +", NOT_INTEGER);
    desk.check("XPENDING s g IDLE 1 -", SYNTAX);
    desk.check("XPENDING s g IDLE 1 - + x", NOT_INTEGER);
    desk.check("XPENDING s g IDLE 1 - + 1 nobody", "*0");
    desk.check("XPENDING s g IDLE 1 - + 1 nobody x", SYNTAX);
    desk.check("XPENDING none g", "-NOGROUP No such key 'none' or consumer group 'g'");
    desk.check("XPENDING s none", "-NOGROUP No such key 's' or consumer group 'none'");
    desk.check("XPENDING none g - + x", NOT_INTEGER);
    desk.check("XPENDING s", "-ERR wrong number of arguments for 'xpending' command");
    desk.check("SET str 1", "+OK");
    desk.check("XPENDING str g", WRONG_TYPE);
    desk.check("XPENDING str g - + x", NOT_INTEGER);
}

#[test]
fn xclaim_gives_entries_to_another_consumer() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD s 3-1 a 3", "$3 3-1");
    desk.check("XADD s 4-1 a 4", "$3 4-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check(
        "XREADGROUP GROUP g c COUNT 3 STREAMS s >",
        "*1 *2 $1 s *3 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2 *2 $3 3-1 *2 $1 a $1 3",
    );
    desk.check("XCLAIM s g d 0 1-1 9-9", "*1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XCLAIM s g d 0 1-1 JUSTID", "*1 $3 1-1");
    desk.check("XCLAIM s g d 1000000 2-1", "*0");
    desk.check("XCLAIM s g d -5 2-1 RETRYCOUNT 7 JUSTID", "*1 $3 2-1");
    desk.check("XCLAIM s g d 0 4-1", "*0");
    desk.check("XCLAIM s g d 0 4-1 FORCE JUSTID", "*1 $3 4-1");
    desk.check("XCLAIM s g d 0 9-1 FORCE", "*0");
    desk.check("XDEL s 3-1", ":1");
    desk.check("XCLAIM s g d 0 3-1", "*0");
    desk.check("XPENDING s g", "*4 :3 $3 1-1 $3 4-1 *1 *2 $1 d $1 3");
    desk.check("XCLAIM s g e 0 JUSTID", "*0");
    desk.check("XCLAIM s g e 0 1-1 LASTID 9-9 justid", "*1 $3 1-1");
    desk.check("XCLAIM s g e 0 1-1 LASTID 8-9 JUSTID", "*1 $3 1-1");
    desk.check(
        "XINFO GROUPS s",
        "*1 *12 $4 name $1 g $9 consumers :3 $7 pending :3 $17 last-delivered-id $3 9-9 $12 entries-read :3 $3 lag :1",
    );
    desk.check("XCLAIM s g d 0 1-1 TIME -1 RETRYCOUNT -1 JUSTID IDLE 99999999999999999", "*1 $3 1-1");
    desk.check("XCLAIM s g d x 1-1", "-ERR Invalid min-idle-time argument for XCLAIM");
    desk.check("XCLAIM s g d 0 x", "-ERR Unrecognized XCLAIM option 'x'");
    desk.check("XCLAIM s g d 0 1-1 x 2-1", "-ERR Unrecognized XCLAIM option 'x'");
    desk.check("XCLAIM s g d 0 1-1 FORCE 2-1", "-ERR Unrecognized XCLAIM option '2-1'");
    desk.check("XCLAIM s g d 0 1-1 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'");
    desk.check("XCLAIM s g d 0 1-1 IDLE x", "-ERR Invalid IDLE option argument for XCLAIM");
    desk.check("XCLAIM s g d 0 1-1 TIME x", "-ERR Invalid TIME option argument for XCLAIM");
    desk.check("XCLAIM s g d 0 1-1 RETRYCOUNT x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM");
    desk.check("XCLAIM s g d 0 1-1 RETRYCOUNT", "-ERR Unrecognized XCLAIM option 'RETRYCOUNT'");
    desk.check("XCLAIM s g d 0 1-1 LASTID x", INVALID_ID);
    desk.check("XCLAIM s g d 0 1-1 LASTID", "-ERR Unrecognized XCLAIM option 'LASTID'");
    desk.check("XCLAIM s g d 0", "-ERR wrong number of arguments for 'xclaim' command");
    desk.check("XCLAIM none g d x x", "-NOGROUP No such key 'none' or consumer group 'g'");
    desk.check("XCLAIM s none d x x", "-NOGROUP No such key 's' or consumer group 'none'");
    desk.check("SET str 1", "+OK");
    desk.check("XCLAIM str g d x x", WRONG_TYPE);
}

#[test]
fn xautoclaim_goes_through_what_is_pending() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD s 3-1 a 3", "$3 3-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check(
        "XREADGROUP GROUP g c STREAMS s >",
        "*1 *2 $1 s *3 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2 *2 $3 3-1 *2 $1 a $1 3",
    );
    desk.check("XAUTOCLAIM s g d 0 - COUNT 1", "*3 $3 2-1 *1 *2 $3 1-1 *2 $1 a $1 1 *0");
    desk.check("XAUTOCLAIM s g d 0 2-1 COUNT 1 JUSTID", "*3 $3 3-1 *1 $3 2-1 *0");
    desk.check("XAUTOCLAIM s g d 1000000 0", "*3 $3 0-0 *0 *0");
    desk.check("XDEL s 2-1", ":1");
    desk.check("XAUTOCLAIM s g e 0 0", "*3 $3 0-0 *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 3-1 *2 $1 a $1 3 *1 $3 2-1");
    desk.check("XAUTOCLAIM s g e -1 (1-1 JUSTID", "*3 $3 0-0 *1 $3 3-1 *0");
    desk.check("XAUTOCLAIM s g e 0 +", "*3 $3 0-0 *0 *0");
    desk.check("XPENDING s g", "*4 :2 $3 1-1 $3 3-1 *1 *2 $1 e $1 2");
    desk.check("XAUTOCLAIM s g e x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM");
    desk.check("XAUTOCLAIM s g e 0 x", INVALID_ID);
    desk.check("XAUTOCLAIM s g e 0 (18446744073709551615-18446744073709551615", BAD_START);
    for line in [
        "XAUTOCLAIM s g e 0 0 COUNT 0",
        "XAUTOCLAIM s g e 0 0 COUNT -1",
        "XAUTOCLAIM s g e 0 0 COUNT x",
        "XAUTOCLAIM s g e 0 0 COUNT 576460752303423488",
    ] {
        desk.check(line, "-ERR COUNT must be > 0");
    }
    desk.check("XAUTOCLAIM s g e 0 0 COUNT", SYNTAX);
    desk.check("XAUTOCLAIM s g e 0 0 FOO", SYNTAX);
    desk.check("XAUTOCLAIM s g e 0", "-ERR wrong number of arguments for 'xautoclaim' command");
    desk.check("XAUTOCLAIM none g e 0 0", "-NOGROUP No such key 'none' or consumer group 'g'");
    desk.check("XAUTOCLAIM s none e 0 0", "-NOGROUP No such key 's' or consumer group 'none'");
    desk.check("XAUTOCLAIM none g e x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM");
    desk.check("XAUTOCLAIM none g e 0 0 FOO", SYNTAX);
    desk.check("SET str 1", "+OK");
    desk.check("XAUTOCLAIM str g e 0 0", WRONG_TYPE);
    desk.check("XAUTOCLAIM str g e x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM");
}

#[test]
fn groups_that_come_and_go_break_no_watch() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    for line in ["XGROUP CREATE s g 0", "XGROUP SETID s g 1-1", "XGROUP CREATECONSUMER s g c", "XGROUP DESTROY s g"] {
        desk.check("WATCH s", "+OK");
        desk.again().run(line);
        desk.check("MULTI", "+OK");
        assert_eq!(desk.run("EXEC"), "*0\r\n", "{line}");
    }
    desk.check("WATCH new", "+OK");
    desk.again().run("XGROUP CREATE new g 0 MKSTREAM");
    desk.check("MULTI", "+OK");
    desk.check("EXEC", "*-1");
}
