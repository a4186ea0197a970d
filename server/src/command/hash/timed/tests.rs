//! Sessions of fields that are read or set together with their expiry.

use crate::command::testing::Desk;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const MISSING: &str = "-ERR Mandatory argument FIELDS is missing or not at the right position";
const MISMATCH: &str = "-ERR The `numfields` parameter must match the number of arguments";
const POSITIVE: &str = "-ERR Number of fields must be a positive integer";
const NEGATIVE: &str = "-ERR invalid expire time, must be >= 0";

#[test]
fn fields_are_read_and_deleted() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b two", ":2");
    desk.check("HGETDEL h FIELDS 3 a x a", "*3 $1 1 $-1 $-1");
    desk.check("HGETALL h", "*2 $1 b $3 two");
    desk.check("HGETDEL h FIELDS 1 b", "*1 $3 two");
    desk.check("EXISTS h", ":0");
    desk.check("HGETDEL h FIELDS 2 a b", "*2 $-1 $-1");
    desk.set_protocol(3);
    desk.check("HGETDEL h FIELDS 1 a", "*1 _");
}

#[test]
fn reading_may_set_or_end_the_expiry() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HGETEX h FIELDS 2 a x", "*2 $1 1 $-1");
    desk.check("HGETEX h EX 100 FIELDS 2 a x", "*2 $1 1 $-1");
    desk.check("HTTL h FIELDS 2 a b", "*2 :100 :-1");
    desk.check("HGETEX h FIELDS 1 a", "*1 $1 1");
    desk.check("HTTL h FIELDS 1 a", "*1 :100");
    desk.check("HGETEX h persist FIELDS 2 a b", "*2 $1 1 $1 2");
    desk.check("HTTL h FIELDS 2 a b", "*2 :-1 :-1");
    desk.check("HGETEX h PXAT 33177117420500 FIELDS 1 a", "*1 $1 1");
    desk.check("HPEXPIRETIME h FIELDS 1 a", "*1 :33177117420500");
    desk.check("HGETEX h EXAT 33177117421 FIELDS 1 a", "*1 $1 1");
    desk.check("HPEXPIRETIME h FIELDS 1 a", "*1 :33177117421000");
    desk.check("HGETEX h PX 100000000 FIELDS 1 a", "*1 $1 1");
    desk.check("HTTL h FIELDS 1 a", "*1 :100000");
    desk.check("HGETEX h PX 0 FIELDS 2 a a", "*2 $1 1 $-1");
    desk.check("HGETEX h EXAT 1 FIELDS 1 b", "*1 $1 2");
    desk.check("EXISTS h", ":0");
    desk.check("HGETEX h EX 10 FIELDS 1 b", "*1 $-1");
    desk.check("EXISTS h", ":0");
}

#[test]
fn setting_may_depend_on_what_is_there() {
    let mut desk = Desk::new();
    desk.check("HSETEX h FXX FIELDS 1 a 1", ":0");
    desk.check("EXISTS h", ":0");
    desk.check("HSETEX h FNX EX 100 FIELDS 2 a 1 b 2", ":1");
    desk.check("HTTL h FIELDS 2 a b", "*2 :100 :100");
    desk.check("HSETEX h FNX FIELDS 2 c 3 a 9", ":0");
    desk.check("HSETEX h FXX FIELDS 2 c 3 a 9", ":0");
    desk.check("HGETALL h", "*4 $1 a $1 1 $1 b $1 2");
    desk.check("HSETEX h FXX KEEPTTL FIELDS 1 a 9", ":1");
    desk.check("HTTL h FIELDS 1 a", "*1 :100");
    desk.check("HSETEX h FIELDS 1 a 8", ":1");
    desk.check("HTTL h FIELDS 1 a", "*1 :-1");
    desk.check("HSETEX h PXAT 33177117420500 FXX FIELDS 1 b 7", ":1");
    desk.check("HPEXPIRETIME h FIELDS 1 b", "*1 :33177117420500");
    desk.check("HMGET h a b", "*2 $1 8 $1 7");
}

#[test]
fn setting_with_a_time_that_has_passed_deletes() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HSETEX h EXAT 1 FIELDS 1 a 9", ":1");
    desk.check("HGETALL h", "*2 $1 b $1 2");
    desk.check("HSETEX h PX 0 FIELDS 2 b 1 c 2", ":1");
    desk.check("EXISTS h", ":0");
    desk.check("HSETEX h PX 0 FIELDS 1 c 2", ":1");
    desk.check("EXISTS h", ":0");
}

#[test]
fn wrong_words_are_refused() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1", ":1");
    desk.check("SET s 1", "+OK");
    let arity = "-ERR wrong number of arguments for 'hsetex' command";
    let one_time = "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
    let one_condition = "-ERR Only one of FXX or FNX arguments can be specified";
    for (line, fault) in [
        ("HGETDEL s FOO 1 a", WRONG_TYPE),
        ("HGETDEL h FOO 1 a", MISSING),
        ("HGETDEL h FIELDS 0 a", POSITIVE),
        ("HGETDEL h FIELDS 2 a", MISMATCH),
        ("HGETDEL h FIELDS 1", "-ERR wrong number of arguments for 'hgetdel' command"),
        ("HGETEX s FOO 1 a", WRONG_TYPE),
        ("HGETEX h FOO 10 FIELDS 1 a", MISSING),
        ("HGETEX h EX 10 PERSIST FIELDS 1 a", MISSING),
        ("HGETEX h EX x FIELDS 1 a", "-ERR value is not an integer or out of range"),
        ("HGETEX h EX -1 FIELDS 1 a", NEGATIVE),
        ("HGETEX h PX 70368744177663 FIELDS 1 a", "-ERR invalid expire time in 'hgetex' command"),
        ("HGETEX h EX 10 FIELDS 1", MISMATCH),
        ("HGETEX h FIELDS x a", POSITIVE),
        ("HGETEX h FIELDS 1", "-ERR wrong number of arguments for 'hgetex' command"),
        ("HSETEX s FIELDS 1 a 1", WRONG_TYPE),
        ("HSETEX s FOO FIELDS 1 a 1", "-ERR unknown argument: FOO"),
        ("HSETEX h FNX FXX FIELDS 1 a 1", one_condition),
        ("HSETEX h FNX FNX FIELDS 1 a 1", one_condition),
        ("HSETEX h EX 1 PX 1 FIELDS 1 a 1", one_time),
        ("HSETEX h KEEPTTL EXAT 1 FIELDS 1 a 1", one_time),
        ("HSETEX h EX 10 FNX KEEPTTL", one_time),
        ("HSETEX h FNX KEEPTTL FOO a", "-ERR unknown argument: FOO"),
        ("HSETEX h FNX KEEPTTL FIELDS 1", arity),
        ("HSETEX h EX x FIELDS 1 a 1", "-ERR value is not an integer or out of range"),
        ("HSETEX h EX -1 FIELDS 1 a 1", NEGATIVE),
        ("HSETEX h EXAT 70368744178 FIELDS 1 a 1", "-ERR invalid expire time in 'hsetex' command"),
        ("HSETEX h FNX FIELDS 1 a", arity),
        ("HSETEX h FIELDS 2 a 1", arity),
        ("HSETEX h FIELDS 1 a 1 b 2", arity),
        ("HSETEX h FIELDS 1 a 1 b", arity),
        ("HSETEX h FIELDS 0 a 1", "-ERR invalid number of fields"),
        ("HSETEX h FIELDS x a 1", "-ERR invalid number of fields"),
        ("HSETEX h FNX FNX FNX EX", one_condition),
        ("HSETEX h FNX FOO 1 PX", "-ERR unknown argument: FOO"),
        ("HSETEX h FIELDS 1 a", arity),
    ] {
        desk.check(line, fault);
    }
    desk.check("HGETALL h", "*2 $1 a $1 1");
}
