//! Pops from either end, and the shapes of RESP3.

use super::WRONG_TYPE;
use crate::command::testing::Desk;

#[test]
fn members_are_popped_from_either_end() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", ":6");
    desk.check("ZPOPMIN z", "*2 $1 a $1 1");
    desk.check("ZPOPMAX z", "*2 $1 f $1 6");
    desk.check("ZPOPMIN z 2", "*4 $1 b $1 2 $1 c $1 3");
    desk.check("ZPOPMAX z 0", "*0");
    desk.check("ZPOPMAX z 9", "*4 $1 e $1 5 $1 d $1 4");
    desk.check("EXISTS z", ":0");
    desk.check("ZPOPMIN z", "*0");
    desk.check("ZPOPMAX z 3", "*0");
    desk.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
    desk.check("ZMPOP 1 z MIN", "*2 $1 z *1 *2 $1 a $1 1");
    desk.check("ZMPOP 2 none z max COUNT 2", "*2 $1 z *2 *2 $1 d $1 4 *2 $1 c $1 3");
    desk.check("ZMPOP 2 none z MAX COUNT 9", "*2 $1 z *1 *2 $1 b $1 2");
    desk.check("ZMPOP 2 none z MAX", "*-1");
    desk.check("EXISTS z", ":0");
    desk.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
    desk.check("BZPOPMIN none z 0", "*3 $1 z $1 a $1 1");
    desk.check("BZPOPMAX none z 1.5", "*3 $1 z $1 d $1 4");
    desk.check("BZMPOP 0 2 none z MIN COUNT 5", "*2 $1 z *2 *2 $1 b $1 2 *2 $1 c $1 3");
    desk.check("EXISTS z", ":0");
}

#[test]
fn bad_words_of_pops_are_refused() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a", ":1");
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("ZPOPMIN z x", "value is out of range, must be positive"),
        ("ZPOPMIN z -1", "value is out of range, must be positive"),
        ("ZPOPMIN z 1 2", "syntax error"),
        ("ZPOPMIN z 99999999999999999999", "value is out of range, must be positive"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["ZPOPMIN s", "ZPOPMIN s 0"] {
        desk.check(line, WRONG_TYPE);
    }
    for (line, fault) in [
        ("ZPOPMAX s x", "value is out of range, must be positive"),
        ("ZPOPMAX", "wrong number of arguments for 'zpopmax' command"),
        ("ZMPOP 0 z MIN", "numkeys should be greater than 0"),
        ("ZMPOP x z MIN", "numkeys should be greater than 0"),
        ("ZMPOP -1 z MIN", "numkeys should be greater than 0"),
        ("ZMPOP 2 z MIN", "syntax error"),
        ("ZMPOP 1 z", "wrong number of arguments for 'zmpop' command"),
        ("ZMPOP 1 z FOO", "syntax error"),
        ("ZMPOP 1 z MIN FOO", "syntax error"),
        ("ZMPOP 1 z MIN COUNT", "syntax error"),
        ("ZMPOP 1 z MIN COUNT 0", "count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT -1", "count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT x", "count should be greater than 0"),
        ("ZMPOP 1 z MIN COUNT 1 COUNT 1", "syntax error"),
        ("ZMPOP 1 z MIN COUNT 1 MIN", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["ZMPOP 2 none s MIN", "ZMPOP 2 s z MIN"] {
        desk.check(line, WRONG_TYPE);
    }
    for (line, fault) in [
        ("BZPOPMIN z 1e400", "timeout is out of range"),
        ("BZPOPMIN z -1e400", "timeout is negative"),
        ("BZPOPMIN z 1e5000", "timeout is not a float or out of range"),
        ("BZPOPMIN z x", "timeout is not a float or out of range"),
        ("BZPOPMIN z nan", "timeout is not a float or out of range"),
        ("BZPOPMIN z -1", "timeout is negative"),
        ("BZPOPMAX z -0.5", "timeout is negative"),
        ("BZPOPMIN z", "wrong number of arguments for 'bzpopmin' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["BZPOPMIN s 1", "BZPOPMIN none s z 1"] {
        desk.check(line, WRONG_TYPE);
    }
    for (line, fault) in [
        ("BZMPOP 1 1 z", "wrong number of arguments for 'bzmpop' command"),
        ("BZMPOP x 0 z MIN", "numkeys should be greater than 0"),
        ("BZMPOP x 1 z MIN", "timeout is not a float or out of range"),
        ("BZMPOP -1 1 z FOO", "syntax error"),
        ("BZMPOP -1 1 z MIN", "timeout is negative"),
        ("BZMPOP 1 1 z MIN COUNT 0", "count should be greater than 0"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("BZMPOP 1 1 s MIN", WRONG_TYPE);
    desk.check("ZCARD z", ":1");
}

#[test]
fn resp3_pairs_members_with_scores() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2.5 b 3 c", ":3");
    desk.set_protocol(3);
    desk.check("ZRANGE z 0 -1", "*3 $1 a $1 b $1 c");
    desk.check("ZRANGE z 0 -1 WITHSCORES", "*3 *2 $1 a ,1 *2 $1 b ,2.5 *2 $1 c ,3");
    desk.check("ZREVRANGEBYSCORE z 5 0 WITHSCORES LIMIT 0 1", "*1 *2 $1 c ,3");
    desk.check("ZRANGE none 0 -1 WITHSCORES", "*0");
    desk.check("ZSCORE z b", ",2.5");
    desk.check("ZSCORE z none", "_");
    desk.check("ZMSCORE z a none", "*2 ,1 _");
    desk.check("ZADD z INCR 1 a", ",2");
    desk.check("ZADD z NX INCR 1 a", "_");
    desk.check("ZINCRBY z 0.5 a", ",2.5");
    desk.check("ZRANK z a", ":0");
    desk.check("ZRANK z none", "_");
    desk.check("ZUNION 1 z WITHSCORES", "*3 *2 $1 a ,2.5 *2 $1 b ,2.5 *2 $1 c ,3");
    desk.check("ZINTER 1 z", "*3 $1 a $1 b $1 c");
    desk.check("ZDIFF 1 z WITHSCORES", "*3 *2 $1 a ,2.5 *2 $1 b ,2.5 *2 $1 c ,3");
    desk.check("ZRANDMEMBER none", "_");
    desk.check("ZSCAN z 0", "*2 $1 0 *6 $1 a $3 2.5 $1 b $3 2.5 $1 c $1 3");
    desk.check("ZMPOP 1 none MIN", "_");
    desk.check("ZMPOP 1 z MIN COUNT 2", "*2 $1 z *2 *2 $1 a ,2.5 *2 $1 b ,2.5");
    desk.check("ZADD z 1 a 2.5 b 3 c", ":2");
    desk.check("ZPOPMIN z", "*2 $1 a ,1");
    desk.check("ZPOPMIN z 1", "*1 *2 $1 b ,2.5");
    desk.check("ZPOPMIN z 0", "*0");
    desk.check("ZPOPMIN none", "*0");
    desk.check("ZADD z 1 a 2.5 b 3 c", ":2");
    desk.check("BZPOPMAX z 0", "*3 $1 z $1 c ,3");
    desk.check("BZMPOP 0 1 z MAX", "*2 $1 z *1 *2 $1 b ,2.5");
    desk.check("ZRANDMEMBER z -2 WITHSCORES", "*2 *2 $1 a ,1 *2 $1 a ,1");
}
