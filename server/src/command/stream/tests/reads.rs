//! `XREAD` and `XREADGROUP`.

use super::{INVALID_ID, NOT_INTEGER, SYNTAX, WRONG_TYPE};
use crate::command::testing::Desk;

#[test]
fn xread_returns_what_follows_the_ids() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD t 5-1 b 1", "$3 5-1");
    desk.check("XREAD STREAMS s 0", "*1 *2 $1 s *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check(
        "XREAD COUNT 1 STREAMS s t 0 0",
        "*2 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1 *2 $1 t *1 *2 $3 5-1 *2 $1 b $1 1",
    );
    desk.check("XREAD COUNT 0 STREAMS s 1-1", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check("XREAD COUNT -1 STREAMS s 1", "*1 *2 $1 s *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check("XREAD STREAMS s none t 2-1 0 0", "*1 *2 $1 t *1 *2 $3 5-1 *2 $1 b $1 1");
    desk.check("XREAD STREAMS s 2-1", "*-1");
    desk.check("XREAD STREAMS s $", "*-1");
    desk.check("XREAD STREAMS s t $ 0", "*1 *2 $1 t *1 *2 $3 5-1 *2 $1 b $1 1");
    desk.check("XREAD BLOCK 10 COUNT 2 STREAMS s 1-1", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check("XREAD BLOCK 10 BLOCK 20 COUNT 2 COUNT 1 STREAMS s 0", "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XREAD STREAMS s 18446744073709551615-18446744073709551615", "*-1");
    desk.check("XREAD STREAMS none 0", "*-1");
    desk.check(
        "XREAD STREAMS s s 0 1-1",
        "*2 *2 $1 s *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2",
    );
    desk.check("XREAD STREAMS streams s 0 0", "*1 *2 $1 s *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check("XREAD STREAMS s", "-ERR wrong number of arguments for 'xread' command");
    desk.check(
        "XREAD STREAMS s t 0",
        "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
    );
    desk.check(
        "XREAD COUNT 1 STREAMS s",
        "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.",
    );
    desk.check("XREAD COUNT 1 STREAMS", SYNTAX);
    desk.check("XREAD COUNT x STREAMS s 0", NOT_INTEGER);
    desk.check("XREAD COUNT STREAMS s 0", NOT_INTEGER);
    desk.check("XREAD BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range");
    desk.check("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative");
    desk.check("XREAD BLOCK 9223372036854775807 STREAMS s 0", "-ERR timeout is out of range");
    desk.check("XREAD BLOCK 1.5 STREAMS s 0", "-ERR timeout is not an integer or out of range");
    desk.check(
        "XREAD GROUP g c STREAMS s 0",
        "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
    );
    desk.check(
        "XREAD NOACK STREAMS s 0",
        "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
    );
    for line in ["XREAD COUNT 1 GROUP g", "XREAD FOO 1 STREAMS s 0", "XREAD COUNT 1 BLOCK 1"] {
        desk.check(line, SYNTAX);
    }
    desk.check(
        "XREAD STREAMS s >",
        "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
    );
    for line in ["XREAD STREAMS s x", "XREAD STREAMS s -", "XREAD STREAMS s t 0 x", "XREAD STREAMS s t x >"] {
        desk.check(line, INVALID_ID);
    }
    desk.check("XREAD s 0", "-ERR wrong number of arguments for 'xread' command");
    desk.check("XREAD", "-ERR wrong number of arguments for 'xread' command");
    desk.check("SET str 1", "+OK");
    for line in ["XREAD STREAMS str 0", "XREAD STREAMS str x", "XREAD STREAMS s str 0 0"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("XREAD STREAMS s str x 0", INVALID_ID);
    desk.check("XREAD STREAMS str s 0 x", WRONG_TYPE);
}

#[test]
fn a_group_gives_each_entry_to_one_consumer() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XADD s 3-1 a 3", "$3 3-1");
    desk.check("XADD t 1-1 b 1", "$3 1-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check("XGROUP CREATE t g 0", "+OK");
    desk.check("XREADGROUP GROUP g c COUNT 1 STREAMS s >", "*1 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XREADGROUP GROUP g d NOACK COUNT 1 STREAMS s >", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 2");
    desk.check(
        "XREADGROUP GROUP g c STREAMS s t > >",
        "*2 *2 $1 s *1 *2 $3 3-1 *2 $1 a $1 3 *2 $1 t *1 *2 $3 1-1 *2 $1 b $1 1",
    );
    desk.check("XREADGROUP GROUP g c STREAMS s t > >", "*-1");
    desk.check("XREADGROUP GROUP g c STREAMS s 0", "*1 *2 $1 s *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 3-1 *2 $1 a $1 3");
    desk.check("XREADGROUP GROUP g c STREAMS s 1-1", "*1 *2 $1 s *1 *2 $3 3-1 *2 $1 a $1 3");
    desk.check(
        "XREADGROUP GROUP g c COUNT 1 STREAMS s t 0 0",
        "*2 *2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1 *2 $1 t *1 *2 $3 1-1 *2 $1 b $1 1",
    );
    desk.check("XREADGROUP GROUP g c STREAMS s t > 0", "*1 *2 $1 t *1 *2 $3 1-1 *2 $1 b $1 1");
    desk.check("XREADGROUP GROUP g d STREAMS s 0", "*1 *2 $1 s *0");
    desk.check("XREADGROUP GROUP g e STREAMS s 18446744073709551615-18446744073709551615", "*-1");
    desk.check("XDEL s 1-1", ":1");
    desk.check("XREADGROUP GROUP g c STREAMS s 0", "*1 *2 $1 s *2 *2 $3 1-1 *-1 *2 $3 3-1 *2 $1 a $1 3");
    desk.check("XPENDING s g - + 10 nobody", "*0");
    desk.check("XREADGROUP GROUP g STREAMS STREAMS s 0", "*1 *2 $1 s *0");
    desk.check("XREADGROUP NOACK GROUP g STREAMS STREAMS s 0", "*1 *2 $1 s *0");
    desk.check("XREADGROUP COUNT 1 GROUP g c STREAMS s 0", "*1 *2 $1 s *1 *2 $3 1-1 *-1");
    desk.check("XREADGROUP GROUP none c GROUP g c STREAMS s 0", "*1 *2 $1 s *2 *2 $3 1-1 *-1 *2 $3 3-1 *2 $1 a $1 3");
    desk.check(
        "XREADGROUP GROUP g c STREAMS none >",
        "-NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option",
    );
    desk.check(
        "XREADGROUP GROUP none c STREAMS s >",
        "-NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option",
    );
    desk.check(
        "XREADGROUP GROUP none c STREAMS s x",
        "-NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option",
    );
    desk.check(
        "XREADGROUP GROUP g c STREAMS s none > >",
        "-NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option",
    );
    desk.check("XREADGROUP GROUP g c STREAMS s t > x", INVALID_ID);
    desk.check("XREADGROUP GROUP g c STREAMS s $", "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.");
    desk.check("XREADGROUP GROUP g c STREAMS s x", INVALID_ID);
    desk.check("XREADGROUP GROUP g c STREAMS s -", INVALID_ID);
    desk.check("XREADGROUP GROUP g c COUNT x STREAMS s >", NOT_INTEGER);
    desk.check("XREADGROUP GROUP g c BLOCK -1 STREAMS s >", "-ERR timeout is negative");
    desk.check("XREADGROUP GROUP g c BLOCK x STREAMS s >", "-ERR timeout is not an integer or out of range");
    desk.check("XREADGROUP GROUP g c FOO STREAMS s >", SYNTAX);
    desk.check("XREADGROUP COUNT 1 NOACK NOACK STREAMS s >", "-ERR Missing GROUP option for XREADGROUP");
    desk.check("XREADGROUP GROUP g c STREAMS s", "-ERR wrong number of arguments for 'xreadgroup' command");
    desk.check(
        "XREADGROUP GROUP g c STREAMS s t 0",
        "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.",
    );
    desk.check("XREADGROUP GROUP g c COUNT 1 NOACK", SYNTAX);
    desk.check("SET str 1", "+OK");
    for line in [
        "XREADGROUP GROUP g c STREAMS str >",
        "XREADGROUP GROUP g c STREAMS str x",
        "XREADGROUP GROUP g c STREAMS s str > >",
    ] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check(
        "XINFO GROUPS s",
        "*1 *12 $4 name $1 g $9 consumers :4 $7 pending :2 $17 last-delivered-id $3 3-1 $12 entries-read :3 $3 lag :0",
    );
}
