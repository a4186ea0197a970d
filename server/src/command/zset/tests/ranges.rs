//! Ranges by rank, by score and by bytes.

use super::WRONG_TYPE;
use crate::command::testing::Desk;
use crate::types::testing::Random;

#[test]
fn a_range_of_ranks_counts_from_either_end() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
    desk.check("ZRANGE z 0 -1", "*4 $1 a $1 b $1 c $1 d");
    desk.check("ZRANGE z 1 2", "*2 $1 b $1 c");
    desk.check("ZRANGE z -2 -1 WITHSCORES", "*4 $1 c $1 3 $1 d $1 4");
    desk.check("ZRANGE z 2 1", "*0");
    desk.check("ZRANGE z 4 9", "*0");
    desk.check("ZRANGE z -9 0", "*1 $1 a");
    desk.check("ZRANGE z -9 -8", "*0");
    desk.check("ZRANGE z 0 9223372036854775807", "*4 $1 a $1 b $1 c $1 d");
    desk.check("ZRANGE z -9223372036854775808 9223372036854775807", "*4 $1 a $1 b $1 c $1 d");
    desk.check("ZRANGE z 0 0 REV", "*1 $1 d");
    desk.check("ZRANGE z 1 2 rev withscores", "*4 $1 c $1 3 $1 b $1 2");
    desk.check("ZRANGE z -2 -1 REV", "*2 $1 b $1 a");
    desk.check("ZREVRANGE z 0 -1", "*4 $1 d $1 c $1 b $1 a");
    desk.check("ZREVRANGE z 0 1 WITHSCORES", "*4 $1 d $1 4 $1 c $1 3");
    desk.check("ZREVRANGE z -1 -1", "*1 $1 a");
    desk.check("ZREVRANGE z 3 2", "*0");
    desk.check("ZRANGE none 0 -1", "*0");
    desk.check("ZREVRANGE none 0 -1 WITHSCORES", "*0");
}

#[test]
fn a_range_of_scores_has_open_and_closed_ends() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c 4 d inf i -inf j", ":6");
    desk.check("ZRANGEBYSCORE z 2 3", "*2 $1 b $1 c");
    desk.check("ZRANGEBYSCORE z (2 3", "*1 $1 c");
    desk.check("ZRANGEBYSCORE z 2 (3", "*1 $1 b");
    desk.check("ZRANGEBYSCORE z (2 (3", "*0");
    desk.check("ZRANGEBYSCORE z (2 (2", "*0");
    desk.check("ZRANGEBYSCORE z 3 2", "*0");
    desk.check("ZRANGEBYSCORE z -inf +inf", "*6 $1 j $1 a $1 b $1 c $1 d $1 i");
    desk.check("ZRANGEBYSCORE z (-inf (+inf WITHSCORES", "*8 $1 a $1 1 $1 b $1 2 $1 c $1 3 $1 d $1 4");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", "*2 $1 a $1 b");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 1 -1", "*5 $1 a $1 b $1 c $1 d $1 i");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 1 -7", "*5 $1 a $1 b $1 c $1 d $1 i");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "*0");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 0 0", "*0");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 9 1", "*0");
    desk.check("ZRANGEBYSCORE z -inf +inf LIMIT 4 9 WITHSCORES LIMIT 1 1", "*2 $1 a $1 1");
    desk.check("ZREVRANGEBYSCORE z 3 2", "*2 $1 c $1 b");
    desk.check("ZREVRANGEBYSCORE z 2 3", "*0");
    desk.check("ZREVRANGEBYSCORE z +inf -inf LIMIT 1 2 WITHSCORES", "*4 $1 d $1 4 $1 c $1 3");
    desk.check("ZREVRANGEBYSCORE z +inf -inf LIMIT 4 9", "*2 $1 a $1 j");
    desk.check("ZREVRANGEBYSCORE z (3 (1", "*1 $1 b");
    desk.check("ZRANGE z 2 3 BYSCORE", "*2 $1 b $1 c");
    desk.check("ZRANGE z 2 (4 BYSCORE WITHSCORES", "*4 $1 b $1 2 $1 c $1 3");
    desk.check("ZRANGE z 3 2 BYSCORE REV", "*2 $1 c $1 b");
    desk.check("ZRANGE z 2 3 BYSCORE REV", "*0");
    desk.check("ZRANGE z +inf -inf byscore rev limit 0 1", "*1 $1 i");
    desk.check("ZRANGE none 0 1 BYSCORE", "*0");
    desk.check("ZCOUNT z 2 3", ":2");
    desk.check("ZCOUNT z (2 +inf", ":3");
    desk.check("ZCOUNT z 3 2", ":0");
    desk.check("ZCOUNT none 0 1", ":0");
    desk.check(r#"ZCOUNT z "" 2"#, ":2");
}

#[test]
fn a_range_of_bytes_has_open_and_closed_ends() {
    let mut desk = Desk::new();
    desk.check("ZADD z 0 a 0 b 0 c 0 d 0 aa", ":5");
    desk.check("ZRANGEBYLEX z - +", "*5 $1 a $2 aa $1 b $1 c $1 d");
    desk.check("ZRANGEBYLEX z [b [c", "*2 $1 b $1 c");
    desk.check("ZRANGEBYLEX z (b [c", "*1 $1 c");
    desk.check("ZRANGEBYLEX z (b (c", "*0");
    desk.check("ZRANGEBYLEX z [a (b", "*2 $1 a $2 aa");
    desk.check("ZRANGEBYLEX z [aa +", "*4 $2 aa $1 b $1 c $1 d");
    desk.check("ZRANGEBYLEX z + -", "*0");
    desk.check("ZRANGEBYLEX z [c [b", "*0");
    desk.check("ZRANGEBYLEX z - -", "*0");
    desk.check("ZRANGEBYLEX z + +", "*0");
    desk.check("ZRANGEBYLEX z - + LIMIT 1 2", "*2 $2 aa $1 b");
    desk.check("ZRANGEBYLEX z - + LIMIT -1 2", "*0");
    desk.check("ZREVRANGEBYLEX z + -", "*5 $1 d $1 c $1 b $2 aa $1 a");
    desk.check("ZREVRANGEBYLEX z [c [b", "*2 $1 c $1 b");
    desk.check("ZREVRANGEBYLEX z [c [a LIMIT 1 5", "*3 $1 b $2 aa $1 a");
    desk.check("ZRANGE z [b [c BYLEX", "*2 $1 b $1 c");
    desk.check("ZRANGE z [c [b BYLEX REV", "*2 $1 c $1 b");
    desk.check("ZRANGE z + - BYLEX REV LIMIT 0 2", "*2 $1 d $1 c");
    desk.check("ZRANGE none - + BYLEX", "*0");
    desk.check("ZLEXCOUNT z - +", ":5");
    desk.check("ZLEXCOUNT z [b (d", ":2");
    desk.check("ZLEXCOUNT z (d [b", ":0");
    desk.check("ZLEXCOUNT none - +", ":0");
}

#[test]
fn bad_words_of_ranges_are_refused() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a", ":1");
    desk.check("SET s 1", "+OK");
    for (line, fault) in [
        ("ZRANGE z x 1", "value is not an integer or out of range"),
        ("ZRANGE z 0 1.5", "value is not an integer or out of range"),
        ("ZRANGE z 0", "wrong number of arguments for 'zrange' command"),
        ("ZRANGE z 0 1 FOO", "syntax error"),
        ("ZRANGE z 0 1 LIMIT 0 1", "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("ZRANGE z 0 1 LIMIT 0 -1", "*1 $1 a");
    for (line, fault) in [
        ("ZRANGE z 0 1 LIMIT 0", "syntax error"),
        ("ZRANGE z 0 1 BYSCORE LIMIT x 1", "value is not an integer or out of range"),
        ("ZRANGE z 0 1 BYSCORE LIMIT 0 x", "value is not an integer or out of range"),
        ("ZRANGE z 0 1 BYSCORE BYSCORE", "syntax error"),
        ("ZRANGE z 0 1 BYSCORE BYLEX", "syntax error"),
        ("ZRANGE z 0 1 REV REV", "syntax error"),
        ("ZRANGE z x 1 BYSCORE", "min or max is not a float"),
        ("ZRANGE z nan 1 BYSCORE", "min or max is not a float"),
        ("ZRANGE z a b BYLEX", "min or max not valid string range item"),
        ("ZRANGE z - [b BYLEX WITHSCORES", "syntax error, WITHSCORES not supported in combination with BYLEX"),
        ("ZRANGE z - [b BYLEX LIMIT", "syntax error"),
        ("ZREVRANGE z 0 1 REV", "syntax error"),
        ("ZREVRANGE z 0 1 BYSCORE", "syntax error"),
        (
            "ZREVRANGE z 0 1 LIMIT 0 1",
            "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("ZRANGEBYSCORE z (x 1", "min or max is not a float"),
        ("ZRANGEBYSCORE z 0 nan", "min or max is not a float"),
        ("ZRANGEBYSCORE z 0 1 REV", "syntax error"),
        ("ZRANGEBYSCORE z 0 1 LIMIT 0", "syntax error"),
        ("ZRANGEBYSCORE z x y FOO", "syntax error"),
        ("ZREVRANGEBYSCORE z 1 x", "min or max is not a float"),
        ("ZRANGEBYLEX z a [b", "min or max not valid string range item"),
        ("ZRANGEBYLEX z [a b", "min or max not valid string range item"),
        ("ZRANGEBYLEX z - + WITHSCORES", "syntax error, WITHSCORES not supported in combination with BYLEX"),
        ("ZREVRANGEBYLEX z [b a", "min or max not valid string range item"),
        ("ZCOUNT z x 1", "min or max is not a float"),
        ("ZCOUNT z 1", "wrong number of arguments for 'zcount' command"),
        ("ZLEXCOUNT z a b", "min or max not valid string range item"),
        ("ZLEXCOUNT z [a", "wrong number of arguments for 'zlexcount' command"),
        ("ZRANGE s x 1", "value is not an integer or out of range"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    for line in [
        "ZRANGE s 0 1",
        "ZREVRANGE s 0 1",
        "ZRANGEBYSCORE s 0 1",
        "ZREVRANGEBYSCORE s 1 0",
        "ZRANGEBYLEX s - +",
        "ZREVRANGEBYLEX s + -",
        "ZCOUNT s 0 1",
        "ZLEXCOUNT s - +",
    ] {
        desk.check(line, WRONG_TYPE);
    }
}

#[test]
fn ranges_are_removed() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f 7 g", ":7");
    desk.check("ZREMRANGEBYRANK z 0 1", ":2");
    desk.check("ZREMRANGEBYRANK z 9 12", ":0");
    desk.check("ZREMRANGEBYRANK z -1 -1", ":1");
    desk.check("ZREMRANGEBYSCORE z (3 4", ":1");
    desk.check("ZREMRANGEBYSCORE z 9 10", ":0");
    desk.check("ZRANGE z 0 -1", "*3 $1 c $1 e $1 f");
    desk.check("ZREMRANGEBYLEX z [e [e", ":1");
    desk.check("ZREMRANGEBYLEX z [a [b", ":0");
    desk.check("ZREMRANGEBYSCORE z -inf +inf", ":2");
    desk.check("EXISTS z", ":0");
    desk.check("ZREMRANGEBYRANK z 0 1", ":0");
    desk.check("ZREMRANGEBYSCORE z 0 1", ":0");
    desk.check("ZREMRANGEBYLEX z - +", ":0");
    desk.check("SET s 1", "+OK");
    desk.check("ZREMRANGEBYRANK s x 1", "-ERR value is not an integer or out of range");
    desk.check("ZREMRANGEBYRANK s 0 1", WRONG_TYPE);
    desk.check("ZREMRANGEBYSCORE s x 1", "-ERR min or max is not a float");
    desk.check("ZREMRANGEBYSCORE s 0 1", WRONG_TYPE);
    desk.check("ZREMRANGEBYLEX s x +", "-ERR min or max not valid string range item");
    desk.check("ZREMRANGEBYLEX s - +", WRONG_TYPE);
    for (line, fault) in [
        ("ZREMRANGEBYRANK z 0", "wrong number of arguments for 'zremrangebyrank' command"),
        ("ZREMRANGEBYSCORE z 0", "wrong number of arguments for 'zremrangebyscore' command"),
        ("ZREMRANGEBYLEX z -", "wrong number of arguments for 'zremrangebylex' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
}

#[test]
fn a_range_is_stored_over_whatever_was_there() {
    let mut desk = Desk::new();
    desk.check("ZADD z 1 a 2 b 3 c 4 d", ":4");
    desk.check("SET d 1", "+OK");
    desk.check("EXPIRE d 100", ":1");
    desk.check("ZRANGESTORE d z 1 2", ":2");
    desk.check("TTL d", ":-1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*4 $1 b $1 2 $1 c $1 3");
    desk.check("ZRANGESTORE d z (1 3 BYSCORE LIMIT 1 1", ":1");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*2 $1 c $1 3");
    desk.check("ZRANGESTORE d z 0 1 REV", ":2");
    desk.check("ZRANGE d 0 -1 WITHSCORES", "*4 $1 c $1 3 $1 d $1 4");
    desk.check("ZRANGESTORE d z + - BYLEX REV LIMIT 0 2", ":2");
    desk.check("ZRANGE d 0 -1", "*2 $1 c $1 d");
    desk.check("ZRANGESTORE z z 0 0", ":1");
    desk.check("ZRANGE z 0 -1", "*1 $1 a");
    desk.check("ZRANGESTORE d none 0 -1", ":0");
    desk.check("EXISTS d", ":0");
    desk.check("ZRANGESTORE d z 5 9", ":0");
    for (line, fault) in [
        ("ZRANGESTORE d z 0 -1 WITHSCORES", "syntax error"),
        (
            "ZRANGESTORE d z 0 -1 LIMIT 0 1",
            "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("ZRANGESTORE d z x 1", "value is not an integer or out of range"),
        ("ZRANGESTORE d z 0", "wrong number of arguments for 'zrangestore' command"),
    ] {
        desk.check(line, &format!("-ERR {fault}"));
    }
    desk.check("SET s 1", "+OK");
    desk.check("ZRANGESTORE d s 0 1", WRONG_TYPE);
    desk.check("ZRANGESTORE s z 5 9", ":0");
    desk.check("EXISTS s", ":0");
}

/// The reply of a range of these members.
fn listed<'a>(members: impl Iterator<Item = &'a (i64, String)>) -> String {
    let members: Vec<String> = members.map(|(_, member)| format!(" ${} {member}", member.len())).collect();
    format!("*{}{}", members.len(), members.concat())
}

/// What `LIMIT` leaves, and the other way round if asked.
fn limited(members: &[&(i64, String)], is_reverse: bool, offset: usize, count: i64) -> String {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut members = members.to_vec();
    if is_reverse {
        members.reverse();
    }
    listed(members.into_iter().skip(offset).take(count))
}

#[test]
fn random_ranges_agree_with_a_sorted_list() {
    for seed in [1, 2, 3, 4] {
        let (mut desk, mut random) = (Desk::new(), Random::new(seed));
        let members = [20, 100, 300, 1000][random.below(4)];
        let mut twin: Vec<(i64, String)> = (0..members).map(|n| (random.below(50) as i64, format!("m{n}"))).collect();
        twin.iter().for_each(|(score, member)| desk.check(&format!("ZADD z {score} {member}"), ":1"));
        twin.iter().for_each(|(_, member)| desk.check(&format!("ZADD same 0 {member}"), ":1"));
        twin.sort();
        let mut by_bytes: Vec<&(i64, String)> = twin.iter().collect();
        by_bytes.sort_by_key(|(_, member)| member);
        for _ in 0..300 {
            let (low, high) = (random.below(50) as i64, random.below(50) as i64);
            let (offset, count) = (random.below(members), random.below(members) as i64 - 5);
            let is_reverse = random.below(2) == 0;
            let (rev, limit) = (if is_reverse { "REV" } else { "" }, format!("LIMIT {offset} {count}"));
            let turned = |low: String, high: String| if is_reverse { (high, low) } else { (low, high) };

            let scores: Vec<_> = twin.iter().filter(|(score, _)| *score > low && *score <= high).collect();
            let (first, second) = turned(format!("({low}"), high.to_string());
            let line = format!("ZRANGE z {first} {second} BYSCORE {rev} {limit}");
            assert_eq!(
                desk.run(&line).trim_end().replace("\r\n", " "),
                limited(&scores, is_reverse, offset, count),
                "seed {seed}: {line}"
            );
            desk.check(&format!("ZCOUNT z ({low} {high}"), &format!(":{}", scores.len()));

            let (low, high) = (format!("m{}", random.below(members)), format!("m{}", random.below(members)));
            let lex: Vec<_> = by_bytes.iter().filter(|(_, member)| *member >= low && *member < high).copied().collect();
            let (first, second) = turned(format!("[{low}"), format!("({high}"));
            let line = format!("ZRANGE same {first} {second} BYLEX {rev} {limit}");
            assert_eq!(
                desk.run(&line).trim_end().replace("\r\n", " "),
                limited(&lex, is_reverse, offset, count),
                "seed {seed}: {line}"
            );
            desk.check(&format!("ZLEXCOUNT same [{low} ({high}"), &format!(":{}", lex.len()));

            let (start, stop) = (random.below(members), random.below(members));
            let all: Vec<_> = twin.iter().collect();
            let ranks = limited(&all, is_reverse, start, (stop + 1).saturating_sub(start) as i64);
            let line = format!("ZRANGE z {start} {} {rev}", stop as i64 - members as i64);
            assert_eq!(desk.run(&line).trim_end().replace("\r\n", " "), ranks, "seed {seed}: {line}");
        }
    }
}
