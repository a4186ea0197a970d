//! Scores, ranks and removals.

use super::WRONG_TYPE;
use crate::command::testing::Desk;
use crate::store::Options;

#[test]
fn members_get_scores_and_are_counted() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c", ":3");
    desk.check("ZADD z 1 a 2.5 b 4 d", ":1");
    desk.check("ZADD z CH 1 a 3 b 5 e", ":2");
    desk.check("ZADD z ch 7 e 7 e 8 e", ":2");
    desk.check("ZCARD z", ":5");
    desk.check("ZCARD none", ":0");
    desk.check("TYPE z", "+zset");
    desk.check("OBJECT ENCODING z", "$8 listpack");
    desk.check("ZSCORE z b", "$1 3");
    desk.check("ZSCORE z none", "$-1");
    desk.check("ZSCORE none a", "$-1");
    desk.check("ZMSCORE z a none e", "*3 $1 1 $-1 $1 8");
    desk.check("ZMSCORE none a b", "*2 $-1 $-1");
    desk.check("ZRANGE z 0 -1 WITHSCORES", "*10 $1 a $1 1 $1 b $1 3 $1 c $1 3 $1 d $1 4 $1 e $1 8");
    desk.check("ZADD x 1 same 2 same 3 same", ":1");
    desk.check("ZSCORE x same", "$1 3");
}

#[test]
fn rules_of_zadd_decide_what_changes() {
    let mut desk = Desk::new();
    desk.check("ZADD z 5 a", ":1");
    desk.check("ZADD z NX 6 a 1 b", ":1");
    desk.check("ZADD z XX 7 a 1 c", ":0");
    desk.check("ZMSCORE z a b c", "*3 $1 7 $1 1 $-1");
    desk.check("ZADD z XX CH 8 a 9 b", ":2");
    desk.check("ZADD z GT 7 a", ":0");
    desk.check("ZADD z GT CH 9 a 3 new", ":2");
    desk.check("ZADD z LT CH 10 a 1 b 2 other", ":2");
    desk.check("ZADD z GT XX CH 1 none 100 a", ":1");
    desk.check("ZADD z LT CH 100 a", ":0");
    desk.check("ZADD z NX CH 1 a", ":0");
    desk.check("ZRANGE z 0 -1 WITHSCORES", "*8 $1 b $1 1 $5 other $1 2 $3 new $1 3 $1 a $3 100");
    desk.check("ZADD none XX 1 a", ":0");
    desk.check("ZADD none XX GT CH INCR 1 a", "$-1");
    desk.check("EXISTS none", ":0");
    desk.check("ZADD z INCR 5 a", "$3 105");
    desk.check("ZADD z NX INCR 5 a", "$-1");
    desk.check("ZADD z XX INCR 5 nobody", "$-1");
    desk.check("ZADD z GT INCR -1 a", "$-1");
    desk.check("ZADD z LT INCR -1 a", "$3 104");
    desk.check("ZADD z INCR 0 a", "$3 104");
    desk.check("ZADD z LT INCR 0 a", "$-1");
    desk.check("ZADD z NX INCR 5 fresh", "$1 5");
    desk.check("ZADD z GT INCR -5 fresher", "$2 -5");
    desk.check("ZINCRBY z 2.5 a", "$5 106.5");
    desk.check("ZINCRBY z -0.5 new2", "$4 -0.5");
    desk.check("ZINCRBY fresh 1e3 m", "$4 1000");
    desk.check("ZADD z Nx cH 1 q", ":1");
}

#[test]
fn infinities_are_scores_and_nan_is_none() {
    let mut desk = Desk::new();
    desk.check("ZADD z inf a -inf b +inf c 1e400 d", "-ERR value is not a valid float");
    desk.check("ZADD z inf a -inf b +inf c Infinity d", ":4");
    desk.check("ZMSCORE z a b c d", "*4 $3 inf $4 -inf $3 inf $3 inf");
    desk.check("ZADD z INCR -inf a", "-ERR resulting score is not a number (NaN)");
    desk.check("ZADD z GT INCR -inf a", "-ERR resulting score is not a number (NaN)");
    desk.check("ZADD z NX INCR -inf a", "$-1");
    for (line, fault) in [
        ("ZADD z XX LT INCR -inf a", "resulting score is not a number (NaN)"),
        ("ZINCRBY z nx a", "syntax error"),
        ("ZINCRBY z -inf a", "resulting score is not a number (NaN)"),
        ("ZINCRBY z inf b", "resulting score is not a number (NaN)"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZINCRBY z inf a", "$3 inf");
    desk.check("ZINCRBY z 5 b", "$4 -inf");
    for (line, fault) in [
        ("ZADD z nan e", "value is not a valid float"),
        ("ZADD z INCR nan a", "value is not a valid float"),
        ("ZINCRBY z nan a", "value is not a valid float"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZMSCORE z a b e", "*3 $3 inf $4 -inf $-1");
    desk.check("ZADD z 1e308 big", ":1");
    desk.check("ZINCRBY z 1e308 big", "$3 inf");
    desk.check("ZADD hex 0x10 a 1e2 b .5 c -0 d", ":4");
    desk.check("ZRANGE hex 0 -1 WITHSCORES", "*8 $1 d $1 0 $1 c $3 0.5 $1 a $2 16 $1 b $3 100");
}

#[test]
fn bad_words_of_zadd_are_refused_before_anything_changes() {
    let mut desk = Desk::new();
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("ZADD z 1", "wrong number of arguments for 'zadd' command"),
        ("ZADD z", "wrong number of arguments for 'zadd' command"),
        ("ZADD z CH NX", "syntax error"),
        ("ZADD z NX XX CH", "syntax error"),
        ("ZADD z 1 a 2", "syntax error"),
        ("ZADD z 1 a x b", "value is not a valid float"),
        ("ZADD z x a", "value is not a valid float"),
        (r#"ZADD z "" a"#, "value is not a valid float"),
        (r#"ZADD z " 1" a"#, "value is not a valid float"),
        (r#"ZADD z "1 " a"#, "value is not a valid float"),
        ("ZADD z 1e-400 a", "value is not a valid float"),
        ("ZADD z NX XX 1 a", "XX and NX options at the same time are not compatible"),
        ("ZADD z XX NX GT LT 1 a", "XX and NX options at the same time are not compatible"),
        ("ZADD z GT NX 1 a", "GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z LT NX 1 a", "GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z GT LT 1 a", "GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "INCR option supports a single increment-element pair"),
        ("ZADD z INCR 1 a 2", "syntax error"),
        ("ZADD z INCR x a", "value is not a valid float"),
        ("ZADD z FOO 1 a", "syntax error"),
        ("ZINCRBY z x a", "value is not a valid float"),
        ("ZINCRBY z 1", "wrong number of arguments for 'zincrby' command"),
        ("ZINCRBY z 1 a b", "wrong number of arguments for 'zincrby' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("EXISTS z", ":0");
    desk.check("ZADD s 1 a", WRONG_TYPE);
    desk.check("ZADD s x a", "-ERR value is not a valid float");
    for line in ["ZADD s XX 1 a", "ZADD s INCR 1 a", "ZINCRBY s 1 a"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("ZINCRBY s x a", "-ERR value is not a valid float");
    desk.check("GET s", "$1 1");
}

#[test]
fn ranks_are_told_from_either_end() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 2 c 3 d", ":4");
    desk.check("ZRANK z a", ":0");
    desk.check("ZRANK z c", ":2");
    desk.check("ZRANK z none", "$-1");
    desk.check("ZREVRANK z a", ":3");
    desk.check("ZREVRANK z d", ":0");
    desk.check("ZREVRANK z none", "$-1");
    desk.check("ZRANK none a", "$-1");
    desk.check("ZRANK z", "-ERR wrong number of arguments for 'zrank' command");
    desk.check("ZREVRANK z", "-ERR wrong number of arguments for 'zrevrank' command");
}

#[test]
fn members_are_removed_and_the_key_with_the_last() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c", ":3");
    desk.check("ZREM z a none a", ":1");
    desk.check("ZREM none a", ":0");
    desk.check("ZREM z", "-ERR wrong number of arguments for 'zrem' command");
    desk.check("ZREM z b c", ":2");
    desk.check("EXISTS z", ":0");
    desk.check("SET s 1", "+OK");
    for line in ["ZREM s a", "ZCARD s", "ZSCORE s a", "ZMSCORE s a", "ZRANK s a", "ZREVRANK s a"] {
        desk.check(line, WRONG_TYPE);
    }
    for (line, fault) in [
        ("ZCARD", "wrong number of arguments for 'zcard' command"),
        ("ZSCORE z", "wrong number of arguments for 'zscore' command"),
        ("ZMSCORE z", "wrong number of arguments for 'zmscore' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
}

#[test]
fn a_rank_is_told_with_the_score_if_asked() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2.5 b", ":2");
    desk.check("ZRANK z b WITHSCORE", "*2 :1 $3 2.5");
    desk.check("ZREVRANK z b withscore", "*2 :0 $3 2.5");
    desk.check("ZRANK z none WITHSCORE", "*-1");
    desk.check("ZREVRANK none a WITHSCORE", "*-1");
    desk.check("ZRANK z b FOO", "-ERR syntax error");
    desk.check("ZRANK z b WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command");
    desk.check("ZREVRANK z b FOO x", "-ERR wrong number of arguments for 'zrevrank' command");
    desk.set_protocol(3);
    desk.check("ZRANK z b WITHSCORE", "*2 :1 ,2.5");
    desk.check("ZRANK z none WITHSCORE", "_");
}

#[test]
fn scores_are_told_with_the_fewest_digits_that_mean_them() {
    let mut desk = Desk::new();
    for (score, text) in [
        ("0.1", "0.1"),
        ("3.0", "3"),
        ("1e17", "100000000000000000"),
        ("1e30", "1e+30"),
        ("1e-7", "1e-7"),
        ("0.00001234", "1.234e-5"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("-9007199254740993", "-9007199254740992"),
        ("123456789.123", "123456789.123"),
    ] {
        desk.run(&format!("ZADD z {score} m"));
        desk.check("ZSCORE z m", &format!("${} {text}", text.len()));
    }
}

#[test]
fn the_form_follows_the_settings() {
    let settings = [("zset-max-listpack-entries", "3"), ("zset-max-listpack-value", "5")];
    let mut desk = Desk::set_up(Options::default(), &settings);
    desk.check("ZADD z 1 a 2 b 3 c", ":3");
    desk.check("OBJECT ENCODING z", "$8 listpack");
    desk.check("ZADD z 4 d", ":1");
    desk.check("OBJECT ENCODING z", "$8 skiplist");
    desk.check("ZREM z a b c", ":3");
    desk.check("OBJECT ENCODING z", "$8 skiplist");
    desk.check("ZADD long 1 123456", ":1");
    desk.check("OBJECT ENCODING long", "$8 skiplist");
    // The form is chosen by the number of words, before any of them is looked at.
    desk.check("ZADD twice 1 a 1 a 1 a 1 a", ":1");
    desk.check("OBJECT ENCODING twice", "$8 skiplist");
    desk.check("ZUNIONSTORE few 1 twice", ":1");
    desk.check("OBJECT ENCODING few", "$8 listpack");
}

#[test]
fn what_changes_nothing_is_no_change() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b", ":2");
    let changes = |desk: &Desk| desk.node.store.totals().counters.changes;
    let before = changes(&desk);
    for (line, reply) in [
        ("ZADD z 1 a", ":0"),
        ("ZADD z NX 5 a", ":0"),
        ("ZADD z XX 5 none", ":0"),
        ("ZADD z GT 0 a", ":0"),
        ("ZADD z NX INCR 1 a", "$-1"),
        ("ZADD none XX 1 a", ":0"),
        ("ZINCRBY z 0 a", "$1 1"),
        ("ZREM z none", ":0"),
        ("ZREM none a", ":0"),
        ("ZREMRANGEBYRANK z 5 9", ":0"),
        ("ZREMRANGEBYSCORE z 5 9", ":0"),
        ("ZREMRANGEBYLEX z [x [y", ":0"),
        ("ZPOPMIN z 0", "*0"),
        ("ZPOPMIN none", "*0"),
        ("ZUNIONSTORE none 1 none", ":0"),
        ("ZRANGESTORE none z 5 9", ":0"),
        ("GEOADD z NX 1 2 a", ":0"),
    ] {
        desk.check(line, reply);
        assert_eq!(changes(&desk), before, "{line}");
    }
    desk.check("ZINCRBY z 1 a", "$1 2");
    assert_eq!(changes(&desk), before + 1);
}

#[test]
fn what_a_sorted_set_takes_is_counted_and_given_back() {
    let mut desk = Desk::new();
    for n in 0..2_000 {
        desk.run(&format!("ZADD z {n} member:{n}"));
    }
    let full = desk.node.store.used_bytes();
    assert!(full > 40_000, "{full}");
    desk.check("ZREMRANGEBYRANK z 0 999", ":1000");
    desk.run("ZPOPMAX z 500");
    desk.check("ZCARD z", ":500");
    desk.check("ZREMRANGEBYSCORE z -inf +inf", ":500");
    desk.check("EXISTS z", ":0");
    assert!(desk.node.store.used_bytes() < full / 3, "{} of {full}", desk.node.store.used_bytes());
}
