//! What Redis 7.2 tells of consumers, the shapes of RESP3, and streams as keys among others.

use super::{SYNTAX, WRONG_TYPE};
use crate::command::testing::Desk;

/// A reply with a `T` in place of each integer that may be a time of today, and of each short span before now.
fn timeless(desk: &mut Desk, line: &str) -> String {
    const SHORT_MS: i64 = 60_000;
    let reply = desk.run(line);
    let mut is_span = false;
    let mut masked = Vec::new();
    for word in reply.trim_end().split("\r\n") {
        let number = word.strip_prefix(':').and_then(|number| number.parse::<i64>().ok());
        let is_time = number.is_some_and(|number| number > 1_000_000_000_000);
        let is_recent = is_span && number.is_some_and(|number| (0..SHORT_MS).contains(&number));
        masked.push(if is_time || is_recent { "T" } else { word });
        is_span = matches!(word, "idle" | "inactive");
    }
    masked.join(" ")
}

#[test]
fn a_consumer_that_gets_nothing_was_seen_but_not_active() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XGROUP CREATE s g $", "+OK");
    desk.check("XREADGROUP GROUP g c STREAMS s >", "*-1");
    let idle = "*1 *8 $4 name $1 c $7 pending :0 $4 idle T $8 inactive :-1";
    assert_eq!(timeless(&mut desk, "XINFO CONSUMERS s g"), idle);
    desk.check("XREADGROUP GROUP g c STREAMS s 0", "*1 *2 $1 s *0");
    desk.check("XCLAIM s g c 0 9-9", "*0");
    desk.check("XAUTOCLAIM s g c 0 0", "*3 $3 0-0 *0 *0");
    assert_eq!(timeless(&mut desk, "XINFO CONSUMERS s g"), idle);
    desk.check("XADD s 2-1 a 1", "$3 2-1");
    desk.check("XREADGROUP GROUP g c STREAMS s >", "*1 *2 $1 s *1 *2 $3 2-1 *2 $1 a $1 1");
    let active = "*1 *8 $4 name $1 c $7 pending :1 $4 idle T $8 inactive T";
    assert_eq!(timeless(&mut desk, "XINFO CONSUMERS s g"), active);
}

#[test]
fn whoever_claims_becomes_a_consumer_though_there_is_nothing_to_claim() {
    let mut desk = Desk::new();
    desk.check("XGROUP CREATE s g $ MKSTREAM", "+OK");
    desk.check("XCLAIM s g b 0 1-1", "*0");
    desk.check("XAUTOCLAIM s g a 0 0", "*3 $3 0-0 *0 *0");
    assert_eq!(
        timeless(&mut desk, "XINFO CONSUMERS s g"),
        "*2 *8 $4 name $1 a $7 pending :0 $4 idle T $8 inactive :-1 \
         *8 $4 name $1 b $7 pending :0 $4 idle T $8 inactive :-1"
    );
}

#[test]
fn a_group_is_shown_in_full_with_what_is_pending_for_whom() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.run("XREADGROUP GROUP g c STREAMS s >");
    desk.check("XGROUP CREATECONSUMER s g d", ":1");
    desk.set_protocol(3);
    let head = "%9 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 \
                $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 ";
    let group = "$6 groups *1 %7 $4 name $1 g $17 last-delivered-id $3 2-1 $12 entries-read :2 $3 lag :0 \
                 $9 pel-count :2 ";
    let first = "$7 entries *1 *2 $3 1-1 *2 $1 a $1 1 ";
    let idle = "%5 $4 name $1 d $9 seen-time T $11 active-time :-1 $9 pel-count :0 $7 pending *0";
    assert_eq!(
        timeless(&mut desk, "XINFO STREAM s FULL COUNT 1"),
        format!(
            "{head}{first}{group}$7 pending *1 *4 $3 1-1 $1 c T :1 $9 consumers *2 \
             %5 $4 name $1 c $9 seen-time T $11 active-time T $9 pel-count :2 $7 pending *1 *3 $3 1-1 T :1 {idle}"
        )
    );
    let both = "$7 entries *2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 2-1 *2 $1 a $1 2 ";
    assert_eq!(
        timeless(&mut desk, "XINFO STREAM s FULL COUNT 0"),
        format!(
            "{head}{both}{group}$7 pending *2 *4 $3 1-1 $1 c T :1 *4 $3 2-1 $1 c T :1 $9 consumers *2 \
             %5 $4 name $1 c $9 seen-time T $11 active-time T $9 pel-count :2 $7 pending *2 *3 $3 1-1 T :1 \
             *3 $3 2-1 T :1 {idle}"
        )
    );
    assert_eq!(
        timeless(&mut desk, "XINFO CONSUMERS s g"),
        "*2 %4 $4 name $1 c $7 pending :2 $4 idle T $8 inactive T \
         %4 $4 name $1 d $7 pending :0 $4 idle T $8 inactive :-1"
    );
}

#[test]
fn streams_are_a_map_in_resp3() {
    let mut desk = Desk::new();
    desk.set_protocol(3);
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD n NOMKSTREAM 1-1 a 1", "_");
    desk.check("XREAD STREAMS s t 0 0", "%1 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XREAD STREAMS s s 0 0", "%2 $1 s *1 *2 $3 1-1 *2 $1 a $1 1 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XREAD STREAMS s $", "_");
    desk.check("XRANGE s - + COUNT 0", "_");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check("XPENDING s g", "*4 :0 _ _ _");
    desk.check("XREADGROUP GROUP g c STREAMS s >", "%1 $1 s *1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XREADGROUP GROUP g c STREAMS s >", "_");
    desk.check("XDEL s 1-1", ":1");
    desk.check("XREADGROUP GROUP g c STREAMS s 0", "%1 $1 s *1 *2 $3 1-1 _");
    desk.check(
        "XINFO STREAM s",
        "%10 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $3 1-1 \
         $20 max-deleted-entry-id $3 1-1 $13 entries-added :1 $23 recorded-first-entry-id $3 0-0 $6 groups :1 \
         $11 first-entry _ $10 last-entry _",
    );
    desk.check(
        "XINFO GROUPS s",
        "*1 %6 $4 name $1 g $9 consumers :1 $7 pending :1 $17 last-delivered-id $3 1-1 $12 entries-read :1 $3 lag :0",
    );
    desk.check("XCLAIM s g d 0 1-1", "*0");
    desk.check("XPENDING s g", "*4 :0 _ _ _");
}

#[test]
fn the_idle_time_of_what_is_pending_can_be_set_and_asked_for() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 2", "$3 2-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.run("XREADGROUP GROUP g c STREAMS s >");
    desk.check("XCLAIM s g d 0 1-1 IDLE 5000000 RETRYCOUNT 9 JUSTID", "*1 $3 1-1");
    let pending = desk.run("XPENDING s g IDLE 5000000 - + 10");
    assert!(pending.starts_with("*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nd\r\n:5000"), "{pending}");
    assert!(pending.ends_with(":9\r\n"), "{pending}");
    desk.check("XPENDING s g IDLE 9000000 - + 10", "*0");
    desk.check("XPENDING s g IDLE 5000000 - + 10 c", "*0");
    desk.check("XCLAIM s g e 1000000 1-1 2-1 JUSTID", "*1 $3 1-1");
    desk.check("XCLAIM s g d 0 1-1 TIME 1000 JUSTID", "*1 $3 1-1");
    desk.check("XAUTOCLAIM s g f 1000000 0", "*3 $3 0-0 *1 *2 $3 1-1 *2 $1 a $1 1 *0");
    let pending = desk.run("XPENDING s g - + 1");
    assert!(pending.ends_with(":10\r\n"), "the claim was a delivery: {pending}");
    desk.check("XCLAIM s g d 0 1-1 TIME 99999999999999 JUSTID", "*1 $3 1-1");
    desk.check("XAUTOCLAIM s g f 1000000 0", "*3 $3 0-0 *0 *0");
}

#[test]
fn the_largest_count_of_a_claim_needs_no_memory() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.run("XREADGROUP GROUP g c STREAMS s >");
    desk.check("XAUTOCLAIM s g d 0 0 COUNT 576460752303423487 JUSTID", "*3 $3 0-0 *1 $3 1-1 *0");
}

#[test]
fn an_approximate_trim_takes_whole_nodes_as_many_as_its_limit_allows() {
    let mut desk = Desk::set_up(Default::default(), &[("stream-node-max-entries", "10")]);
    for n in 1..=100 {
        desk.check(&format!("XADD s {n} a 1"), &format!("${} {n}-0", format!("{n}-0").len()));
    }
    desk.check("XTRIM s MAXLEN ~ 95", ":0");
    desk.check("XTRIM s MAXLEN ~ 85", ":10");
    desk.check("XTRIM s MAXLEN ~ 0 LIMIT 9", ":0");
    desk.check("XTRIM s MAXLEN ~ 0 LIMIT 25", ":20");
    desk.check("XTRIM s MINID ~ 45", ":10");
    desk.check("XADD s MINID ~ 60 LIMIT 10 101 a 1", "$5 101-0");
    desk.check("XLEN s", ":51");
    desk.check("XTRIM s MINID 55", ":4");
    desk.check("XTRIM s MAXLEN ~ 0 LIMIT 0", ":47");
    desk.check("XLEN s", ":0");
}

#[test]
fn ids_follow_the_clock_and_never_go_back() {
    let mut desk = Desk::new();
    let first = desk.run("XADD s * a 1");
    let ms: u64 = first.split("\r\n").nth(1).and_then(|id| id.split('-').next()).unwrap().parse().unwrap();
    assert!(ms > 1_700_000_000_000, "{first}");
    desk.check("XADD s 9999999999999-5 a 1", "$15 9999999999999-5");
    desk.check("XADD s * a 1", "$15 9999999999999-6");
    desk.check("XADD s 9999999999999-* a 1", "$15 9999999999999-7");
    desk.check("XADD s 1-* a 1", super::TOO_SMALL);
}

#[test]
fn a_stream_is_renamed_copied_and_deleted_like_any_key() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.run("XREADGROUP GROUP g c STREAMS s >");
    desk.check("COPY s t", ":1");
    desk.check("XACK t g 1-1", ":1");
    desk.check("XPENDING s g", "*4 :1 $3 1-1 $3 1-1 *1 *2 $1 c $1 1");
    desk.check("RENAME s u", "+OK");
    desk.check("XPENDING u g", "*4 :1 $3 1-1 $3 1-1 *1 *2 $1 c $1 1");
    desk.check("XLEN s", ":0");
    for line in ["GET u", "INCR u", "APPEND u x"] {
        desk.check(line, WRONG_TYPE);
    }
    desk.check("SET u over", "+OK");
    desk.check("DEL t", ":1");
    desk.check("FLUSHALL", "+OK");
    assert_eq!(desk.node.store.used_bytes(), 0);
}

#[test]
fn what_a_stream_and_its_groups_take_is_counted_and_given_back() {
    let mut desk = Desk::new();
    desk.check("XGROUP CREATE s g 0 MKSTREAM", "+OK");
    let empty = desk.node.store.used_bytes();
    for n in 1..=5_000 {
        desk.run(&format!("XADD s {n} field value:{n}"));
    }
    let entries = desk.node.store.used_bytes();
    assert!(entries > empty + 50_000, "{entries}");
    desk.run("XREADGROUP GROUP g c STREAMS s >");
    let pending = desk.node.store.used_bytes();
    assert!(pending > entries + 50_000, "{pending} after {entries}");
    desk.check("XGROUP DESTROY s g", ":1");
    let without = desk.node.store.used_bytes();
    assert!(without <= entries, "{without} after {entries}");
    desk.check("XTRIM s MAXLEN 0", ":5000");
    let trimmed = desk.node.store.used_bytes();
    assert!(trimmed < entries / 2, "{trimmed} after {entries}");
}

#[test]
fn names_are_told_as_far_as_c_reads_them() {
    let mut desk = Desk::new();
    desk.check(r#"XPENDING "a\x00b" "c\x00d""#, "-NOGROUP No such key 'a' or consumer group 'c'");
    desk.check(r#"XPENDING "a\r\nb" g"#, "-NOGROUP No such key 'a  b' or consumer group 'g'");
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XGROUP CREATE s g 0", "+OK");
    desk.check(r#"XCLAIM s g c 0 1-1 "x\x00y""#, "-ERR Unrecognized XCLAIM option 'x'");
    desk.check("XREADGROUP GROUP STREAMS c COUNT 1 NOACK", SYNTAX);
}

#[test]
fn the_keys_of_a_reading_command_are_the_first_half_behind_streams() {
    let mut desk = Desk::new();
    desk.check("COMMAND GETKEYS XREAD COUNT 2 STREAMS a b 0 0", "*2 $1 a $1 b");
    desk.check("COMMAND GETKEYS XREADGROUP GROUP g c STREAMS a b > >", "*2 $1 a $1 b");
    desk.check("COMMAND GETKEYS XREADGROUP NOACK GROUP g STREAMS STREAMS a >", "*1 $1 a");
    desk.check("COMMAND GETKEYS XGROUP CREATE s g 0", "*1 $1 s");
    let info = desk.run("COMMAND INFO XREADGROUP").replace("\r\n", " ");
    assert!(info.contains("$7 keyword $7 STREAMS $9 startfrom :4"), "{info}");
}

#[test]
fn help_tells_of_the_sub_commands() {
    let mut desk = Desk::new();
    assert!(desk.run("XGROUP HELP").contains("+CREATECONSUMER key group consumer\r\n"));
    assert!(desk.run("XINFO HELP").contains("+CONSUMERS key group\r\n"));
    desk.check("XINFO HELP x", "-ERR wrong number of arguments for 'xinfo|help' command");
}
