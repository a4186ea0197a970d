//! Transactions from several connections to one node.

use crate::command::testing::Desk;

#[test]
fn what_was_queued_is_run_as_one() {
    let mut desk = Desk::new();
    desk.check("MULTI", "+OK");
    desk.check("SET a 1", "+QUEUED");
    desk.check("INCR a", "+QUEUED");
    desk.check("HSET h f v", "+QUEUED");
    desk.check("GET h", "+QUEUED");
    desk.check("PING", "+QUEUED");
    desk.again().check("GET a", "$-1");
    desk.check("EXEC", "*5 +OK :2 :1 -WRONGTYPE Operation against a key holding the wrong kind of value +PONG");
    desk.check("GET a", "$1 2");
    desk.check("EXEC", "-ERR EXEC without MULTI");
}

#[test]
fn commands_about_everything_stand_in_a_transaction() {
    let mut desk = Desk::new();
    desk.run("SET a 1");
    for line in ["MULTI", "DBSIZE", "FLUSHALL", "SET b 2", "KEYS *", "SELECT 1", "SET c 3", "DBSIZE"] {
        desk.run(line);
    }
    desk.check("EXEC", "*7 :1 +OK +OK *1 $1 b +OK +OK :1");
    desk.check("GET c", "$1 3");
    desk.check("MULTI", "+OK");
    desk.check("SELECT 0", "+QUEUED");
    desk.check("GET b", "+QUEUED");
    desk.check("EXEC", "*2 +OK $1 2");
}

#[test]
fn a_refused_command_spoils_the_transaction() {
    let mut desk = Desk::new();
    for wrong in ["NOPE", "SET a"] {
        desk.check("MULTI", "+OK");
        assert!(desk.run(wrong).starts_with("-ERR"));
        desk.check("SET a 1", "+QUEUED");
        desk.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
        desk.check("GET a", "$-1");
    }
    desk.check("MULTI", "+OK");
    desk.check("MULTI", "-ERR MULTI calls can not be nested");
    desk.check("WATCH a", "-ERR WATCH inside MULTI is not allowed");
    desk.check("EXEC", "*0");
}

#[test]
fn what_shares_a_name_with_a_command_that_steers_is_queued() {
    let mut desk = Desk::new();
    desk.check("MULTI", "+OK");
    desk.check("LATENCY RESET", "+QUEUED");
    desk.check("SLOWLOG RESET", "+QUEUED");
    desk.check("EXEC", "*2 :0 +OK");
}

#[test]
fn an_exec_that_is_refused_ends_the_transaction() {
    let mut desk = Desk::new();
    let refused = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
    desk.check("EXEC x", refused);
    desk.check("WATCH a", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("SET a 1", "+QUEUED");
    desk.check("EXEC x", refused);
    desk.check("EXEC", "-ERR EXEC without MULTI");
    desk.check("SET a 2", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("GET a", "+QUEUED");
    desk.check("EXEC", "*1 $1 2");
}

#[test]
fn discard_forgets_what_was_queued() {
    let mut desk = Desk::new();
    desk.check("DISCARD", "-ERR DISCARD without MULTI");
    desk.check("WATCH a", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("SET a 1", "+QUEUED");
    desk.check("DISCARD", "+OK");
    desk.check("GET a", "$-1");
    desk.check("SET a 2", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("EXEC", "*0");
}

/// What another connection does to the watched key `a`, beside what it did before `WATCH`; and whether it breaks the watch.
const CHANGES: &[(&str, &str, bool)] = &[
    ("", "SET a 1", true),
    ("SET a 1", "SET a 1", true),
    ("SET a 1", "GET a", false),
    ("SET a 1", "DEL a", true),
    ("", "DEL a", false),
    ("SET a 1", "APPEND a x", true),
    ("SET a 1", "INCR a", true),
    ("SET a 1", "EXPIRE a 100", true),
    ("SET a 1 EX 100", "PERSIST a", true),
    ("SET a 1", "RENAME a b", true),
    ("SET b 1", "RENAME b a", true),
    ("SET b 1", "COPY b a", true),
    ("SET a 1", "MOVE a 1", true),
    ("SET a 1", "FLUSHALL", true),
    ("", "FLUSHALL", false),
    ("SET a 1", "FLUSHDB", true),
    ("SET a 1", "SWAPDB 0 1", true),
    ("", "SWAPDB 0 1", false),
    ("SET a 1", "SWAPDB 0 0", false),
    ("HSET a f 1", "HSET a f 1", true),
    ("HSET a f 1", "HDEL a g", false),
    ("HSET a f 1", "HDEL a f", true),
    ("HSET a f 1", "HGET a f", false),
    ("", "SET b 1", false),
];

#[test]
fn a_change_to_a_watched_key_breaks_the_transaction() {
    for (before, change, breaks) in CHANGES {
        let mut desk = Desk::new();
        let mut other = desk.again();
        if !before.is_empty() {
            other.run(before);
        }
        desk.check("WATCH a", "+OK");
        other.run(change);
        desk.check("MULTI", "+OK");
        desk.check("PING", "+QUEUED");
        let seen = desk.run("EXEC");
        assert_eq!(seen, if *breaks { "*-1\r\n" } else { "*1\r\n+PONG\r\n" }, "{before}; WATCH a; {change}");
        // Nobody is watched any longer, so stripes take no more notes.
        other.run("SET a 2");
        desk.check("MULTI", "+OK");
        desk.check("EXEC", "*0");
    }
}

#[test]
fn a_change_before_watch_or_after_unwatch_is_none() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    other.run("SET a 1");
    desk.check("WATCH a", "+OK");
    desk.check("UNWATCH", "+OK");
    other.run("SET a 2");
    desk.check("MULTI", "+OK");
    desk.check("EXEC", "*0");
    desk.check("WATCH a b", "+OK");
    desk.check("SET b 1", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("EXEC", "*-1");
}

#[test]
fn a_watched_key_whose_time_comes_breaks_the_transaction() {
    let mut desk = Desk::new();
    desk.check("SET a 1 PX 1", "+OK");
    desk.check("WATCH a b", "+OK");
    while desk.again().run("EXISTS a") != ":0\r\n" {}
    desk.check("MULTI", "+OK");
    desk.check("EXEC", "*-1");
}

#[test]
fn what_is_queued_cannot_be_run_without_memory() {
    let mut desk = Desk::new();
    desk.check("CONFIG SET maxmemory-policy noeviction", "+OK");
    desk.check("SET x 1", "+OK");
    desk.check("MULTI", "+OK");
    desk.check("SET a 1", "+QUEUED");
    desk.again().check("CONFIG SET maxmemory 1", "+OK");
    desk.check("SET b 1", "-OOM command not allowed when used memory > 'maxmemory'.");
    desk.check(
        "EXEC",
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.",
    );
}
