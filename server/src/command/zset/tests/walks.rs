//! Draws and walks.

use super::WRONG_TYPE;
use crate::command::testing::Desk;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn a_draw_answers_members() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1.5 only", ":1");
    desk.check("SET s 1", "+OK");
    desk.check("ZRANDMEMBER z", "$4 only");
    desk.check("ZRANDMEMBER z 1", "*1 $4 only");
    desk.check("ZRANDMEMBER z 5 WITHSCORES", "*2 $4 only $3 1.5");
    desk.check("ZRANDMEMBER z -2", "*2 $4 only $4 only");
    desk.check("ZRANDMEMBER z -2 WITHSCORES", "*4 $4 only $3 1.5 $4 only $3 1.5");
    desk.check("ZRANDMEMBER z 0", "*0");
    desk.check("ZRANDMEMBER none", "$-1");
    desk.check("ZRANDMEMBER none 3", "*0");
    desk.check("ZRANDMEMBER none -3 WITHSCORES", "*0");
    for (line, fault) in [
        ("ZRANDMEMBER none x", "value is not an integer or out of range"),
        ("ZRANDMEMBER z 1 FOO", "syntax error"),
        ("ZRANDMEMBER z 1 WITHSCORES x", "syntax error"),
        (
            "ZRANDMEMBER z -9223372036854775808",
            "value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZRANDMEMBER none -9223372036854775807", "*0");
    desk.check("ZRANDMEMBER none 9223372036854775807 WITHSCORES", "-ERR value is out of range");
    desk.check("ZRANDMEMBER none -4611686018427387904 WITHSCORES", "-ERR value is out of range");
    desk.check("ZRANDMEMBER none 4611686018427387903 WITHSCORES", "*0");
    for line in ["ZRANDMEMBER s", "ZRANDMEMBER s 1"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("ZRANDMEMBER s x", "-ERR value is not an integer or out of range");
}

#[test]
fn a_step_of_a_walk_takes_a_pattern_and_a_count() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2.5 b -1e30 c inf d -0 e 123456789012 f", ":6");
    desk.check("SET s 1", "+OK");
    desk.check(
        "ZSCAN z 0",
        "*2 $1 0 *12 $1 c $6 -1e+30 $1 e $1 0 $1 a $1 1 $1 b $3 2.5 $1 f $12 123456789012 $1 d $3 inf",
    );
    desk.check("ZSCAN z 0 MATCH [ab]", "*2 $1 0 *4 $1 a $1 1 $1 b $3 2.5");
    desk.check(
        "ZSCAN z 0 COUNT 1 MATCH *",
        "*2 $1 0 *12 $1 c $6 -1e+30 $1 e $1 0 $1 a $1 1 $1 b $3 2.5 $1 f $12 123456789012 $1 d $3 inf",
    );
    desk.check("ZSCAN z 0 match x* count 100", "*2 $1 0 *0");
    desk.check("ZSCAN none 0", "*2 $1 0 *0");
    desk.check("ZSCAN none 0 FOO", "*2 $1 0 *0");
    for (line, fault) in [
        ("ZSCAN z 0 FOO", "syntax error"),
        ("ZSCAN z 0 MATCH", "syntax error"),
        ("ZSCAN z 0 COUNT 0", "syntax error"),
        ("ZSCAN z 0 COUNT x", "value is not an integer or out of range"),
        ("ZSCAN z x", "invalid cursor"),
        ("ZSCAN none x", "invalid cursor"),
        ("ZSCAN s x", "invalid cursor"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in ["ZSCAN s 0", "ZSCAN s 0 FOO"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("ZSCAN z", "-ERR wrong number of arguments for 'zscan' command");
}

/// The elements of a reply that is a flat list, or of the list behind a cursor.
fn elements(reply: &str) -> Vec<String> {
    reply.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(['*', '$'])).map(str::to_owned).collect()
}

#[test]
fn a_walk_shows_every_member_of_a_large_set() {
    let mut desk = Desk::new();
    (0..1000).for_each(|n| desk.check(&format!("ZADD z {n}.1 m{n}"), ":1"));
    for options in ["", "COUNT 1", "COUNT 5000", "MATCH m*"] {
        let (mut cursor, mut steps, mut seen) = ("0".to_owned(), 0, BTreeMap::new());
        loop {
            let reply = elements(&desk.run(&format!("ZSCAN z {cursor} {options}")));
            seen.extend(reply[1..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
            steps += 1;
            cursor = reply[0].clone();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 1000, "{options}");
        assert!(if options == "COUNT 5000" { steps == 1 } else { steps > 10 }, "{steps} steps with {options}");
        // The scores of a large set are told with 17 digits here, and here alone.
        assert_eq!(seen["m3"], "3.1000000000000001");
    }
    desk.check("ZSCORE z m3", "$3 3.1");
    let reply = elements(&desk.run("ZSCAN z 0 COUNT 5000 MATCH m99?"));
    assert_eq!(reply.len(), 1 + 2 * 10);
}

#[test]
fn draws_are_different_members_unless_the_count_is_negative() {
    let mut desk = Desk::new();
    for (name, members) in [("small", 50), ("large", 1000)] {
        (0..members).for_each(|n| desk.check(&format!("ZADD {name} {n} m{n}"), ":1"));
        for count in [1, 5, members / 2, members, members * 2] {
            let drawn = elements(&desk.run(&format!("ZRANDMEMBER {name} {count}")));
            let different: BTreeSet<&String> = drawn.iter().collect();
            assert_eq!((drawn.len(), different.len()), (count.min(members), count.min(members)));
            assert_eq!(elements(&desk.run(&format!("ZRANDMEMBER {name} -{count}"))).len(), count);
        }
        let pairs = elements(&desk.run(&format!("ZRANDMEMBER {name} 7 WITHSCORES")));
        assert!(pairs.chunks(2).all(|pair| pair[0][1..] == pair[1]), "{pairs:?}");
        let all: BTreeSet<String> = elements(&desk.run(&format!("ZRANDMEMBER {name} -20000"))).into_iter().collect();
        assert_eq!(all.len(), members, "each member is drawn at some time");
    }
}
