//! Entries: adding, trimming, deleting, ranges, and what `XINFO` shows of a stream.

use super::{
    BAD_END, BAD_START, BOTH, INVALID_ID, NEEDS_STRATEGY, NEEDS_TILDE, NO_KEY, NOT_INTEGER, SYNTAX, TOO_SMALL,
    WRONG_TYPE,
};
use crate::command::testing::Desk;

#[test]
fn entries_are_added_and_counted() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1 b two", "$3 1-1");
    desk.check("XADD s 1-* a 2", "$3 1-2");
    desk.check("XADD s 1 a 3", TOO_SMALL);
    desk.check("XADD s 2 a 3", "$3 2-0");
    desk.check("XADD s 2-0 a 3", TOO_SMALL);
    desk.check("XADD s 1-9 a 3", TOO_SMALL);
    desk.check("XLEN s", ":3");
    desk.check("XLEN none", ":0");
    desk.check("TYPE s", "+stream");
    desk.check("OBJECT ENCODING s", "$6 stream");
    desk.check("XRANGE s - +", "*3 *2 $3 1-1 *4 $1 a $1 1 $1 b $3 two *2 $3 1-2 *2 $1 a $1 2 *2 $3 2-0 *2 $1 a $1 3");
    desk.check("XADD none NOMKSTREAM 1-1 a 1", "$-1");
    desk.check("EXISTS none", ":0");
    desk.check("XADD s NOMKSTREAM 3-1 a 1", "$3 3-1");
    desk.check("XADD s nomkstream nomkstream 3-2 a 1", "$3 3-2");
    desk.check("XADD z 0-* a 1", "$3 0-1");
    desk.check("XADD z 0-* a 1", "$3 0-2");
    desk.check("XADD z 18446744073709551615-18446744073709551615 a 1", "$41 18446744073709551615-18446744073709551615");
    desk.check("XADD z * a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items");
    desk.check(
        "XADD z 18446744073709551615-* a 1",
        "-ERR The stream has exhausted the last possible ID, unable to add more items",
    );
    desk.check("XADD y 18446744073709551615-18446744073709551614 a 1", "$41 18446744073709551615-18446744073709551614");
    desk.check("XADD y * a 1", "$41 18446744073709551615-18446744073709551615");
    desk.check("XADD y * a 1", "-ERR The stream has exhausted the last possible ID, unable to add more items");
}

#[test]
fn what_xadd_refuses_changes_nothing() {
    let mut desk = Desk::new();
    desk.check("SET str 1", "+OK");
    desk.check("XADD str 1-1 a 1", WRONG_TYPE);
    desk.check("XADD s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0");
    desk.check("XADD s 0 a 1", "-ERR The ID specified in XADD must be greater than 0-0");
    for line in ["XADD s 1-1 a", "XADD s 1-1 a 1 b", "XADD s * a 1 b", "XADD s 1-1"] {
        desk.check(line, "-ERR wrong number of arguments for 'xadd' command");
    }
    for line in [
        "XADD s x a 1",
        "XADD s 1-x a 1",
        "XADD s -1 a 1",
        "XADD s 1- a 1",
        "XADD s - a 1",
        "XADD s + a 1",
        "XADD s *-* a 1",
        "XADD s 1-1-1 a 1",
        "XADD s 18446744073709551616-1 a 1",
    ] {
        desk.check(line, INVALID_ID);
    }
    desk.check("XADD s MAXLEN x * a 1", NOT_INTEGER);
    desk.check("XADD s MAXLEN -1 * a 1", "-ERR The MAXLEN argument must be >= 0.");
    desk.check("XADD s MAXLEN ~ * a 1", NOT_INTEGER);
    desk.check("XADD s MAXLEN 3 MAXLEN 4 * a 1", BOTH);
    desk.check("XADD s MAXLEN 3 MINID 4 * a 1", BOTH);
    desk.check("XADD s MINID x * a 1", INVALID_ID);
    desk.check("XADD s MINID - * a 1", INVALID_ID);
    desk.check("XADD s MAXLEN 3 LIMIT 2 * a 1", NEEDS_TILDE);
    desk.check("XADD s MAXLEN = 3 LIMIT 2 * a 1", NEEDS_TILDE);
    desk.check("XADD s MAXLEN ~ 3 LIMIT -1 * a 1", "-ERR The LIMIT argument must be >= 0.");
    desk.check("XADD s MAXLEN ~ 3 LIMIT x * a 1", NOT_INTEGER);
    desk.check("XADD s LIMIT 3 * a 1", NEEDS_STRATEGY);
    desk.check("XADD s LIMIT 0 * a 1", NEEDS_TILDE);
    desk.check("XADD s LIMIT 3 MAXLEN 3 * a 1", NEEDS_TILDE);
    desk.check("XADD s NOMKSTREAM MAXLEN 3 LIMIT", INVALID_ID);
    desk.check(
        "XADD s NOMKSTREAM NOMKSTREAM NOMKSTREAM NOMKSTREAM",
        "-ERR wrong number of arguments for 'xadd' command",
    );
    desk.check("XADD s NOMKSTREAM NOMKSTREAM NOMKSTREAM MAXLEN", INVALID_ID);
    desk.check("XADD s NOMKSTREAM NOMKSTREAM NOMKSTREAM LIMIT 3", NEEDS_STRATEGY);
    desk.check("XADD s FOO 1 * a 1", INVALID_ID);
    desk.check("XADD s", "-ERR wrong number of arguments for 'xadd' command");
    desk.check("XADD", "-ERR wrong number of arguments for 'xadd' command");
    desk.check("XLEN", "-ERR wrong number of arguments for 'xlen' command");
    desk.check("XLEN s t", "-ERR wrong number of arguments for 'xlen' command");
    desk.check("XLEN str", WRONG_TYPE);
    desk.check("EXISTS s", ":0");
}

#[test]
fn adding_may_trim_the_front() {
    let mut desk = Desk::new();
    desk.check("XADD s MAXLEN 2 1-1 a 1", "$3 1-1");
    desk.check("XADD s MAXLEN 2 2-1 a 1", "$3 2-1");
    desk.check("XADD s MAXLEN = 2 3-1 a 1", "$3 3-1");
    desk.check("XRANGE s - +", "*2 *2 $3 2-1 *2 $1 a $1 1 *2 $3 3-1 *2 $1 a $1 1");
    desk.check("XADD s MINID 3 4-1 a 1", "$3 4-1");
    desk.check("XRANGE s - +", "*2 *2 $3 3-1 *2 $1 a $1 1 *2 $3 4-1 *2 $1 a $1 1");
    desk.check("XADD s MINID = 4-1 5-1 a 1", "$3 5-1");
    desk.check("XLEN s", ":2");
    desk.check("XADD s MAXLEN ~ 1 6-1 a 1", "$3 6-1");
    desk.check("XLEN s", ":3");
    desk.check("XADD s MAXLEN ~ 1 LIMIT 0 7-1 a 1", "$3 7-1");
    desk.check("XADD s LIMIT 0 MAXLEN ~ 1 8-1 a 1", "$3 8-1");
    desk.check("XLEN s", ":5");
    desk.check("XADD s MAXLEN 0 9-1 a 1", "$3 9-1");
    desk.check("XLEN s", ":0");
    desk.check("EXISTS s", ":1");
    desk.check("XADD s 9-1 a 1", TOO_SMALL);
    desk.check("XADD s maxlen 5 10-1 a 1", "$4 10-1");
    desk.check("XINFO STREAM s", "*20 $6 length :1 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $4 10-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :10 $23 recorded-first-entry-id $4 10-1 $6 groups :0 $11 first-entry *2 $4 10-1 *2 $1 a $1 1 $10 last-entry *2 $4 10-1 *2 $1 a $1 1");
}

#[test]
fn xtrim_counts_what_it_removes() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 1", "$3 2-1");
    desk.check("XADD s 3-1 a 1", "$3 3-1");
    desk.check("XADD s 4-1 a 1", "$3 4-1");
    desk.check("XTRIM s MAXLEN 3", ":1");
    desk.check("XTRIM s MAXLEN 3", ":0");
    desk.check("XTRIM s MAXLEN = 2", ":1");
    desk.check("XTRIM s MINID 3-2", ":1");
    desk.check("XTRIM s MINID ~ 9", ":1");
    desk.check("XTRIM s MINID 9", ":0");
    desk.check("XTRIM s MAXLEN 0", ":0");
    desk.check("EXISTS s", ":1");
    desk.check("XTRIM none MAXLEN 0", ":0");
    desk.check("XTRIM s", "-ERR wrong number of arguments for 'xtrim' command");
    desk.check("XTRIM s MAXLEN", "-ERR wrong number of arguments for 'xtrim' command");
    desk.check("XTRIM s MAXLEN x", NOT_INTEGER);
    desk.check("XTRIM s MAXLEN ~", NOT_INTEGER);
    desk.check("XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0.");
    desk.check("XTRIM s MAXLEN 1 2", SYNTAX);
    desk.check("XTRIM s MAXLEN ~ 1 LIMIT", SYNTAX);
    desk.check("XTRIM s MAXLEN ~ 1 LIMIT -1", "-ERR The LIMIT argument must be >= 0.");
    desk.check("XTRIM s MAXLEN 1 LIMIT 5", NEEDS_TILDE);
    desk.check("XTRIM s MAXLEN = 1 LIMIT 5", NEEDS_TILDE);
    desk.check("XTRIM s MAXLEN 1 MINID 1", BOTH);
    desk.check("XTRIM s MINID ~ 1 LIMIT 0", ":0");
    desk.check("XTRIM s MINID 1 MINID 1", BOTH);
    desk.check("XTRIM s MINID x", INVALID_ID);
    desk.check("XTRIM s MINID", "-ERR wrong number of arguments for 'xtrim' command");
    desk.check("XTRIM s LIMIT 1", NEEDS_STRATEGY);
    desk.check("XTRIM s LIMIT 0", "-ERR syntax error, XTRIM must be called with a trimming strategy");
    desk.check("XTRIM s LIMIT 1 MAXLEN 2", NEEDS_TILDE);
    desk.check("XTRIM s LIMIT 1 MAXLEN ~ 2", ":0");
    desk.check("XTRIM s FOO 1", SYNTAX);
    desk.check("XTRIM s NOMKSTREAM 1", SYNTAX);
    desk.check("XTRIM none MAXLEN x", NOT_INTEGER);
    desk.check("SET str 1", "+OK");
    desk.check("XTRIM str MAXLEN 1", WRONG_TYPE);
    desk.check("XTRIM str MAXLEN x", NOT_INTEGER);
}

#[test]
fn ranges_go_both_ways_and_may_exclude_their_ends() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 1-2 a 2", "$3 1-2");
    desk.check("XADD s 2-0 a 3 b 4", "$3 2-0");
    desk.check("XADD s 3-5 a 5", "$3 3-5");
    desk.check("XRANGE s 1 2", "*3 *2 $3 1-1 *2 $1 a $1 1 *2 $3 1-2 *2 $1 a $1 2 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4");
    desk.check("XRANGE s 1-2 +", "*3 *2 $3 1-2 *2 $1 a $1 2 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4 *2 $3 3-5 *2 $1 a $1 5");
    desk.check("XRANGE s (1-1 (2-0", "*1 *2 $3 1-2 *2 $1 a $1 2");
    desk.check("XRANGE s (1-1 (2", "*2 *2 $3 1-2 *2 $1 a $1 2 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4");
    desk.check("XRANGE s - + COUNT 1", "*1 *2 $3 1-1 *2 $1 a $1 1");
    desk.check("XRANGE s - + COUNT 0", "*-1");
    desk.check("XRANGE s - + COUNT -2", "*-1");
    desk.check("XRANGE s - + COUNT 1 COUNT 2", "*2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 1-2 *2 $1 a $1 2");
    desk.check("XRANGE s + -", "*0");
    desk.check("XRANGE s 5 9", "*0");
    desk.check(
        "XREVRANGE s + -",
        "*4 *2 $3 3-5 *2 $1 a $1 5 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4 *2 $3 1-2 *2 $1 a $1 2 *2 $3 1-1 *2 $1 a $1 1",
    );
    desk.check("XREVRANGE s 2 1-2", "*2 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4 *2 $3 1-2 *2 $1 a $1 2");
    desk.check("XREVRANGE s (3-5 (1-1 COUNT 1", "*1 *2 $3 2-0 *4 $1 a $1 3 $1 b $1 4");
    desk.check("XREVRANGE s - +", "*0");
    desk.check("XREVRANGE s + - COUNT 0", "*-1");
    desk.check("XRANGE none - +", "*0");
    desk.check("XRANGE none - + COUNT 0", "*0");
    desk.check("XRANGE s (18446744073709551615-18446744073709551615 +", BAD_START);
    desk.check("XRANGE s - (0-0", BAD_END);
    desk.check("XREVRANGE s (0-0 -", BAD_END);
    desk.check("XREVRANGE s + (18446744073709551615-18446744073709551615", BAD_START);
    for line in ["XRANGE s ( +", "XRANGE s (- +", "XRANGE s - (+", "XRANGE s x +", "XRANGE s - x"] {
        desk.check(line, INVALID_ID);
    }
    desk.check("XRANGE s - + COUNT", SYNTAX);
    desk.check("XRANGE s - + COUNT x", NOT_INTEGER);
    desk.check("XRANGE s - + FOO 1", SYNTAX);
    desk.check("XRANGE s - + COUNT 1 FOO", SYNTAX);
    desk.check("XRANGE s -", "-ERR wrong number of arguments for 'xrange' command");
    desk.check("XREVRANGE s x (0-0", INVALID_ID);
    desk.check("XRANGE s (0-0 (0-0", BAD_END);
    desk.check("SET str 1", "+OK");
    desk.check("XRANGE str - +", WRONG_TYPE);
    desk.check("XRANGE str x +", INVALID_ID);
    desk.check("XREVRANGE str + -", WRONG_TYPE);
}

#[test]
fn an_empty_stream_stays_with_its_last_id() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1", "$3 1-1");
    desk.check("XADD s 2-1 a 1", "$3 2-1");
    desk.check("XADD s 3-1 a 1", "$3 3-1");
    desk.check("XDEL s 2-1 9-9 2-1", ":1");
    desk.check("XDEL s 2-1", ":0");
    desk.check("XDEL s 1", ":0");
    desk.check("XDEL s 1-1 x", INVALID_ID);
    desk.check("XLEN s", ":2");
    desk.check("XDEL s 1-1 3-1", ":2");
    desk.check("XLEN s", ":0");
    desk.check("EXISTS s", ":1");
    desk.check("XDEL none x", ":0");
    desk.check("XDEL s x", INVALID_ID);
    desk.check("XDEL s -", INVALID_ID);
    desk.check("XDEL s", "-ERR wrong number of arguments for 'xdel' command");
    desk.check("SET str 1", "+OK");
    desk.check("XDEL str 1-1", WRONG_TYPE);
    desk.check("XDEL str x", WRONG_TYPE);
    desk.check("XADD s 3-1 a 1", TOO_SMALL);
    desk.check("XADD s 4-1 a 1", "$3 4-1");
    desk.check("XINFO STREAM s", "*20 $6 length :1 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 4-1 $20 max-deleted-entry-id $3 3-1 $13 entries-added :4 $23 recorded-first-entry-id $3 4-1 $6 groups :0 $11 first-entry *2 $3 4-1 *2 $1 a $1 1 $10 last-entry *2 $3 4-1 *2 $1 a $1 1");
}

#[test]
fn xsetid_never_goes_below_what_there_was() {
    let mut desk = Desk::new();
    desk.check("XSETID s 1-1", NO_KEY);
    desk.check("XADD s 5-1 a 1", "$3 5-1");
    desk.check("XADD s 6-1 a 1", "$3 6-1");
    desk.check("XSETID s 5-1", "-ERR The ID specified in XSETID is smaller than the target stream top item");
    desk.check("XSETID s 7-1", "+OK");
    desk.check("XADD s 7-1 a 1", TOO_SMALL);
    desk.check("XSETID s 9-1 ENTRIESADDED 100 MAXDELETEDID 8-1", "+OK");
    desk.check("XINFO STREAM s", "*20 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 9-1 $20 max-deleted-entry-id $3 8-1 $13 entries-added :100 $23 recorded-first-entry-id $3 5-1 $6 groups :0 $11 first-entry *2 $3 5-1 *2 $1 a $1 1 $10 last-entry *2 $3 6-1 *2 $1 a $1 1");
    desk.check("XSETID s 8-0", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
    desk.check(
        "XSETID s 9-1 ENTRIESADDED 1",
        "-ERR The entries_added specified in XSETID is smaller than the target stream length",
    );
    desk.check("XSETID s 9-1 ENTRIESADDED -1", "-ERR entries_added must be positive");
    desk.check("XSETID s 9-1 ENTRIESADDED x", NOT_INTEGER);
    desk.check("XSETID s 9-1 ENTRIESADDED", SYNTAX);
    desk.check(
        "XSETID s 9-1 MAXDELETEDID 9-2",
        "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
    );
    desk.check("XSETID s 9-1 MAXDELETEDID x", INVALID_ID);
    desk.check("XSETID s 9-1 MAXDELETEDID", SYNTAX);
    desk.check("XSETID s 9-1 MAXDELETEDID 0-0", "+OK");
    desk.check("XSETID s 9-1 FOO 1", SYNTAX);
    desk.check("XSETID s x", INVALID_ID);
    desk.check("XSETID s -", INVALID_ID);
    desk.check("XSETID s", "-ERR wrong number of arguments for 'xsetid' command");
    desk.check(
        "XSETID none 9-1 MAXDELETEDID 9-2",
        "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
    );
    desk.check("XSETID none x", INVALID_ID);
    desk.check("SET str 1", "+OK");
    desk.check("XSETID str 9-1", WRONG_TYPE);
    desk.check("XSETID str 9-1 FOO", SYNTAX);
}

#[test]
fn xinfo_shows_counters_entries_and_groups() {
    let mut desk = Desk::new();
    desk.check("XADD s 1-1 a 1 b 2", "$3 1-1");
    desk.check("XADD s 2-1 c 3", "$3 2-1");
    desk.check("XINFO STREAM s", "*20 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 $6 groups :0 $11 first-entry *2 $3 1-1 *4 $1 a $1 1 $1 b $1 2 $10 last-entry *2 $3 2-1 *2 $1 c $1 3");
    desk.check("XINFO STREAM s FULL", "*18 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 $7 entries *2 *2 $3 1-1 *4 $1 a $1 1 $1 b $1 2 *2 $3 2-1 *2 $1 c $1 3 $6 groups *0");
    desk.check("XGROUP CREATE s g 1-1", "+OK");
    desk.check(
        "XINFO GROUPS s",
        "*1 *12 $4 name $1 g $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag :1",
    );
    desk.check("XINFO CONSUMERS s g", "*0");
    desk.check("XINFO STREAM s FULL COUNT 1", "*18 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 $7 entries *1 *2 $3 1-1 *4 $1 a $1 1 $1 b $1 2 $6 groups *1 *14 $4 name $1 g $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag :1 $9 pel-count :0 $7 pending *0 $9 consumers *0");
    desk.check("XINFO STREAM s FULL COUNT 0", "*18 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 $7 entries *2 *2 $3 1-1 *4 $1 a $1 1 $1 b $1 2 *2 $3 2-1 *2 $1 c $1 3 $6 groups *1 *14 $4 name $1 g $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag :1 $9 pel-count :0 $7 pending *0 $9 consumers *0");
    desk.check("XINFO STREAM s full count -1", "*18 $6 length :2 $15 radix-tree-keys :1 $16 radix-tree-nodes :2 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 0-0 $13 entries-added :2 $23 recorded-first-entry-id $3 1-1 $7 entries *2 *2 $3 1-1 *4 $1 a $1 1 $1 b $1 2 *2 $3 2-1 *2 $1 c $1 3 $6 groups *1 *14 $4 name $1 g $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag :1 $9 pel-count :0 $7 pending *0 $9 consumers *0");
    desk.check("XDEL s 2-1", ":1");
    desk.check("XINFO GROUPS s", "*1 *12 $4 name $1 g $9 consumers :0 $7 pending :0 $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag $-1");
    desk.check("XTRIM s MAXLEN 0", ":1");
    desk.check("XINFO STREAM s", "*20 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 2-1 $13 entries-added :2 $23 recorded-first-entry-id $3 0-0 $6 groups :1 $11 first-entry $-1 $10 last-entry $-1");
    desk.check("XINFO STREAM s FULL", "*18 $6 length :0 $15 radix-tree-keys :0 $16 radix-tree-nodes :1 $17 last-generated-id $3 2-1 $20 max-deleted-entry-id $3 2-1 $13 entries-added :2 $23 recorded-first-entry-id $3 0-0 $7 entries *0 $6 groups *1 *14 $4 name $1 g $17 last-delivered-id $3 1-1 $12 entries-read $-1 $3 lag :0 $9 pel-count :0 $7 pending *0 $9 consumers *0");
    desk.check(
        "XINFO STREAM s FULL COUNT",
        "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
    );
    desk.check("XINFO STREAM s FULL COUNT x", NOT_INTEGER);
    for line in ["XINFO STREAM s FULL FOO 1", "XINFO STREAM s FOO", "XINFO STREAM s FULL COUNT 1 2"] {
        desk.check(line, "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.");
    }
    for line in ["XINFO STREAM none", "XINFO STREAM none FOO", "XINFO GROUPS none", "XINFO CONSUMERS none g"] {
        desk.check(line, NO_KEY);
    }
    desk.check("XINFO CONSUMERS s none", "-NOGROUP No such consumer group 'none' for key name 's'");
    desk.check("XINFO CONSUMERS s", "-ERR wrong number of arguments for 'xinfo|consumers' command");
    desk.check("XINFO GROUPS s g", "-ERR wrong number of arguments for 'xinfo|groups' command");
    desk.check("XINFO STREAM", "-ERR wrong number of arguments for 'xinfo|stream' command");
    desk.check("XINFO FOO", "-ERR unknown subcommand 'FOO'. Try XINFO HELP.");
    desk.check("XINFO", "-ERR wrong number of arguments for 'xinfo' command");
    desk.check("SET str 1", "+OK");
    for line in ["XINFO STREAM str", "XINFO STREAM str FOO", "XINFO GROUPS str", "XINFO CONSUMERS str g"] {
        desk.check(line, WRONG_TYPE);
    }
}
