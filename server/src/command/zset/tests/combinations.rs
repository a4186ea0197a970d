//! Unions, intersections and differences.

use super::WRONG_TYPE;
use crate::command::testing::Desk;
use crate::types::object::Kind as _;
use crate::types::set::Set;

#[test]
fn unions_and_intersections_weigh_and_join_scores() {
    let mut desk = Desk::new();
    desk.check("ZADD x 1 a 2 b 3 c", ":3");
    desk.check("ZADD y 10 b 20 c 30 d", ":3");
    desk.check("ZUNION 2 x y", "*4 $1 a $1 b $1 c $1 d");
    desk.check("ZUNION 2 x y WITHSCORES", "*8 $1 a $1 1 $1 b $2 12 $1 c $2 23 $1 d $2 30");
    desk.check("ZUNION 2 x y WEIGHTS 2 -1 WITHSCORES", "*8 $1 d $3 -30 $1 c $3 -14 $1 b $2 -6 $1 a $1 2");
    desk.check("ZUNION 2 x y AGGREGATE MIN WITHSCORES", "*8 $1 a $1 1 $1 b $1 2 $1 c $1 3 $1 d $2 30");
    desk.check("ZUNION 2 x y aggregate max withscores weights 1 0.5", "*8 $1 a $1 1 $1 b $1 5 $1 c $2 10 $1 d $2 15");
    desk.check("ZUNION 2 x x WITHSCORES", "*6 $1 a $1 2 $1 b $1 4 $1 c $1 6");
    desk.check("ZUNION 2 x none WITHSCORES", "*6 $1 a $1 1 $1 b $1 2 $1 c $1 3");
    desk.check("ZUNION 1 none", "*0");
    desk.check("ZINTER 2 x y", "*2 $1 b $1 c");
    desk.check("ZINTER 2 x y WITHSCORES", "*4 $1 b $2 12 $1 c $2 23");
    desk.check("ZINTER 3 x y x WITHSCORES WEIGHTS 1 2 3", "*4 $1 b $2 28 $1 c $2 52");
    desk.check("ZINTER 2 x y AGGREGATE MAX WITHSCORES", "*4 $1 b $2 10 $1 c $2 20");
    desk.check("ZINTER 2 x none", "*0");
    desk.check("ZDIFF 2 x y", "*1 $1 a");
    desk.check("ZDIFF 2 x y WITHSCORES", "*2 $1 a $1 1");
    desk.check("ZDIFF 2 y x WITHSCORES", "*2 $1 d $2 30");
    desk.check("ZDIFF 2 x x", "*0");
    desk.check("ZDIFF 2 none x", "*0");
    desk.check("ZDIFF 2 x none WITHSCORES", "*6 $1 a $1 1 $1 b $1 2 $1 c $1 3");
    desk.check("ZINTERCARD 2 x y", ":2");
    desk.check("ZINTERCARD 2 x y LIMIT 1", ":1");
    desk.check("ZINTERCARD 2 x y limit 0", ":2");
    desk.check("ZINTERCARD 2 x none", ":0");
    desk.check("ZINTERCARD 2 x y LIMIT 1 LIMIT 5", ":2");
}

#[test]
fn infinities_that_meet_in_a_sum_are_zero() {
    let mut desk = Desk::new();
    desk.check("ZADD x inf a inf b", ":2");
    desk.check("ZADD y -inf a 1 b", ":2");
    desk.check("ZUNION 2 x y WITHSCORES", "*4 $1 a $1 0 $1 b $3 inf");
    desk.check("ZINTER 2 x y WEIGHTS 0 1 WITHSCORES", "*4 $1 a $4 -inf $1 b $1 1");
    desk.check("ZUNION 2 x y WEIGHTS -inf inf WITHSCORES", "*4 $1 a $4 -inf $1 b $1 0");
}

#[test]
fn combinations_are_stored_over_whatever_was_there() {
    let mut desk = Desk::new();
    desk.check("ZADD x 1 a 2 b 3 c", ":3");
    desk.check("ZADD y 10 b 20 c 30 d", ":3");
    desk.check("SET d 1", "+OK");
    desk.check("EXPIRE d 100", ":1");
    desk.check("ZUNIONSTORE d 2 x y WEIGHTS 1 2", ":4");
    desk.check("TTL d", ":-1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*8 $1 a $1 1 $1 b $2 22 $1 c $2 43 $1 d $2 60");
    desk.check("ZINTERSTORE d 2 x y AGGREGATE MIN", ":2");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*4 $1 b $1 2 $1 c $1 3");
    desk.check("ZDIFFSTORE d 2 x y", ":1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*2 $1 a $1 1");
    desk.check("ZUNIONSTORE x 2 x y", ":4");
    desk.check("ZCARD x", ":4");
    desk.check("ZINTERSTORE d 2 x none", ":0");
    desk.check("EXISTS d", ":0");
    desk.check("ZDIFFSTORE none 1 none", ":0");
    desk.check("SET s 1", "+OK");
    desk.check("ZUNIONSTORE s 1 none", ":0");
    desk.check("EXISTS s", ":0");
    desk.check("ZUNIONSTORE d 2 x x AGGREGATE SUM", ":4");
    desk.check("ZRANGE d 0 0 WITHSCORES", "*2 $1 a $1 2");
    desk.check("OBJECT ENCODING d", "$8 listpack");
}

#[test]
fn bad_words_of_combinations_are_refused() {
    let mut desk = Desk::new();
    desk.check("ZADD x 1 a", ":1");
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("ZUNION 0 x", "at least 1 input key is needed for 'zunion' command"),
        ("ZUNION -1 x", "at least 1 input key is needed for 'zunion' command"),
        ("ZUNION x x", "value is not an integer or out of range"),
        ("ZUNION 2 x", "syntax error"),
        ("ZUNION 9223372036854775807 x", "syntax error"),
        ("ZUNION 1", "wrong number of arguments for 'zunion' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["ZUNION 1 s FOO", "ZUNION 2 x s"] {
        desk.check(line, WRONG_TYPE);
    }
    for (line, fault) in [
        ("ZUNION 1 x FOO", "syntax error"),
        ("ZUNION 1 x WEIGHTS", "syntax error"),
        ("ZUNION 1 x WEIGHTS x", "weight value is not a float"),
        ("ZUNION 1 x WEIGHTS nan", "weight value is not a float"),
        ("ZUNION 1 x WEIGHTS 1 2", "syntax error"),
        ("ZUNION 2 x x WEIGHTS 1", "syntax error"),
        ("ZUNION 1 x AGGREGATE", "syntax error"),
        ("ZUNION 1 x AGGREGATE avg", "syntax error"),
        ("ZUNIONSTORE d 0 x", "at least 1 input key is needed for 'zunionstore' command"),
        ("ZUNIONSTORE d x x", "value is not an integer or out of range"),
        ("ZUNIONSTORE d 2 x", "syntax error"),
        ("ZUNIONSTORE d 1 x WITHSCORES", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZUNIONSTORE d 1 s", WRONG_TYPE);
    for (line, fault) in [
        ("ZUNIONSTORE d 1", "wrong number of arguments for 'zunionstore' command"),
        ("ZINTER 0 x", "at least 1 input key is needed for 'zinter' command"),
        ("ZINTERSTORE d 0 x", "at least 1 input key is needed for 'zinterstore' command"),
        ("ZDIFF 0 x", "at least 1 input key is needed for 'zdiff' command"),
        ("ZDIFF 1 x WEIGHTS 1", "syntax error"),
        ("ZDIFF 1 x AGGREGATE MIN", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZDIFF 1 s", WRONG_TYPE);
    for (line, fault) in [
        ("ZDIFFSTORE d 0 x", "at least 1 input key is needed for 'zdiffstore' command"),
        ("ZDIFFSTORE d 1 x WITHSCORES", "syntax error"),
        ("ZINTERCARD 0 x", "at least 1 input key is needed for 'zintercard' command"),
        ("ZINTERCARD x x", "value is not an integer or out of range"),
        ("ZINTERCARD 2 x", "syntax error"),
        ("ZINTERCARD 1 x LIMIT", "syntax error"),
        ("ZINTERCARD 1 x LIMIT -1", "LIMIT can't be negative"),
        ("ZINTERCARD 1 x LIMIT x", "LIMIT can't be negative"),
        ("ZINTERCARD 1 x WITHSCORES", "syntax error"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZINTERCARD 1 s", WRONG_TYPE);
    desk.check("EXISTS d", ":0");
}

/// Makes a set of these members, as `SADD` does.
fn add_set(desk: &Desk, name: &str, members: &[&str]) {
    let (store, limits) = (&desk.node.store, desk.node.limits.of_set());
    let mut set = Set::new();
    members.iter().for_each(|member| _ = set.add(member.as_bytes(), &limits));
    let key = store.key(name.as_bytes());
    store.lock_one(key.place.stripe(), 0, store.moment(1)).put_object(key, set.into_object(), None);
}

#[test]
fn members_of_sets_count_one() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2.5 b 3 c 9 17", ":4");
    add_set(&desk, "words", &["a", "b", "x"]);
    add_set(&desk, "numbers", &["17", "18"]);
    desk.check("ZUNION 2 z words WITHSCORES", "*10 $1 x $1 1 $1 a $1 2 $1 c $1 3 $1 b $3 3.5 $2 17 $1 9");
    desk.check("ZUNION 2 z numbers WEIGHTS 0 3 WITHSCORES", "*10 $1 a $1 0 $1 b $1 0 $1 c $1 0 $2 17 $1 3 $2 18 $1 3");
    desk.check("ZINTER 2 words z AGGREGATE MAX WITHSCORES", "*4 $1 a $1 1 $1 b $3 2.5");
    desk.check("ZINTER 2 z numbers WITHSCORES", "*2 $2 17 $2 10");
    desk.check("ZDIFF 3 z words numbers WITHSCORES", "*2 $1 c $1 3");
    desk.check("ZDIFF 2 words z WITHSCORES", "*2 $1 x $1 1");
    desk.check("ZINTERCARD 2 words z", ":2");
    desk.check("ZUNIONSTORE words 2 words numbers", ":5");
    desk.check("TYPE words", "+zset");
    desk.check("ZRANGE words 0 -1", "*5 $2 17 $2 18 $1 a $1 b $1 x");
    desk.check("ZADD numbers 1 a", WRONG_TYPE);
}
