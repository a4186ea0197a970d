//! A line for each command that enters the stream in other words than its own.

use super::{START_MS, freeze};
use crate::command::testing::Desk;
use crate::store::Options;

/// Runs what stands before the arrow of each line, and checks what comes into the stream; times are said as `now+10`.
#[track_caller]
fn check(session: &str) {
    freeze(Some(START_MS));
    let (mut desk, number) = Desk::leading(Options::default());
    for line in session.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (typed, expected) = line.split_once("->").unwrap_or((line, "?"));
        let (typed, expected) = (typed.trim(), expected.trim());
        let reply = desk.run(&filled(typed));
        assert!(!reply.starts_with('-'), "{typed}: {reply}");
        let sent = desk.stream(number);
        let shown = |words: &Vec<Vec<u8>>| String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        let shown: Vec<String> = sent.iter().map(shown).filter(|line| !line.starts_with("SELECT")).collect();
        assert!(expected == "?" || shown.join("; ") == filled(expected), "{typed}: {}", shown.join("; "));
    }
    freeze(None);
}

/// A line with numbers in place of `now` and of `now+10`.
fn filled(line: &str) -> String {
    let mut parts = line.split("now");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits =
            part.strip_prefix('+').map_or("", |part| &part[..part.bytes().take_while(u8::is_ascii_digit).count()]);
        out += &(START_MS + digits.parse::<u64>().unwrap_or(0)).to_string();
        out += if digits.is_empty() { part } else { &part[digits.len() + 1..] };
    }
    out
}

#[test]
fn strings_are_set_until_a_time_that_is_absolute() {
    check(
        "SET k v -> SET k v
         SET k v EX 10 -> SET k v PXAT now+10000
         SET k v PX 10 XX GET -> SET k v PXAT now+10
         SET k w NX ->
         SET k v KEEPTTL XX -> SET k v KEEPTTL
         SET k v GET -> SET k v
         SET k v PXAT 1 -> DEL k
         SETEX k 10 v -> SET k v PXAT now+10000
         PSETEX k 10 v -> SET k v PXAT now+10
         GETSET k w -> SET k w
         GETEX k -> 
         GETEX k EX 5 -> PEXPIREAT k now+5000
         GETEX k PERSIST -> PERSIST k
         GETEX k PERSIST ->
         GETEX k EXAT 1 -> DEL k
         SET n 1 EX 100 -> ?
         INCRBYFLOAT n 1.5 -> SET n 2.5 KEEPTTL
         INCRBY m 2 -> INCRBY m 2
         GETDEL n -> DEL n
         GETDEL n ->
         MSETEX 2 a 1 b 2 EX 10 -> MULTI; SET a 1 PXAT now+10000; SET b 2 PXAT now+10000; EXEC
         MSETEX 1 a 1 KEEPTTL XX -> SET a 1 KEEPTTL
         DELEX a IFEQ 2 ->
         DELEX a IFEQ 1 -> DEL a",
    );
}

#[test]
fn times_of_keys_are_absolute() {
    check(
        "SET k v -> ?
         EXPIRE k 10 NX -> PEXPIREAT k now+10000
         EXPIRE k 10 NX ->
         PEXPIRE k 10 -> PEXPIREAT k now+10
         EXPIREAT k 33177117420 -> PEXPIREAT k 33177117420000
         PEXPIREAT k now+5 -> PEXPIREAT k now+5
         PERSIST k -> PERSIST k
         EXPIRE k -1 -> DEL k
         EXPIRE k 10 ->
         PUBLISH c m -> PUBLISH c m
         SPUBLISH c m -> SPUBLISH c m",
    );
}

#[test]
fn fields_are_named_that_were_changed() {
    check(
        "HSET h a 1 b 2 c 3 d 4 e 5 -> HSET h a 1 b 2 c 3 d 4 e 5
         HINCRBYFLOAT h a 1.5 -> HSET h a 2.5
         HEXPIRE h 10 FIELDS 2 a x -> HPEXPIREAT h now+10000 FIELDS 1 a
         HINCRBYFLOAT h a 1 -> MULTI; HSET h a 3.5; HPEXPIREAT h now+10000 FIELDS 1 a; EXEC
         HPEXPIRE h 10 NX FIELDS 2 a b -> HPEXPIREAT h now+10 FIELDS 1 b
         HPERSIST h FIELDS 2 b c -> HPERSIST h FIELDS 1 b
         HEXPIREAT h 1 FIELDS 1 b -> HDEL h b
         HGETEX h PX 5 FIELDS 1 a -> HPEXPIREAT h now+5 FIELDS 1 a
         HGETEX h PERSIST FIELDS 1 a -> HPERSIST h FIELDS 1 a
         HGETEX h FIELDS 1 a ->
         HGETDEL h FIELDS 2 a x -> HDEL h a
         HSETEX h FXX EX 10 FIELDS 1 c 7 -> MULTI; HSET h c 7; HPEXPIREAT h now+10000 FIELDS 1 c; EXEC
         HSETEX h KEEPTTL FIELDS 1 c 8 -> HSETEX h KEEPTTL FIELDS 1 c 8
         HSETEX h FNX FIELDS 1 c 8 ->
         HSETNX h c 8 ->
         HSETNX h z 8 -> HSET h z 8
         HDEL h z -> HDEL h z
         HGETDEL h FIELDS 3 c d e -> DEL h",
    );
}

#[test]
fn what_waits_is_sent_as_what_does_not() {
    check(
        "RPUSH l 1 2 3 4 5 6 7 8 9 -> ?
         BLPOP none l 0 -> LPOP l
         BRPOP l 0 -> RPOP l
         LMPOP 1 l LEFT COUNT 2 -> LPOP l 2
         BLMPOP 0 1 l RIGHT -> RPOP l 1
         BLMOVE l m LEFT RIGHT 0 -> LMOVE l m LEFT RIGHT
         BRPOPLPUSH l m 0 -> RPOPLPUSH l m
         LMOVE l m LEFT LEFT -> LMOVE l m LEFT LEFT
         ZADD z 1 a 2 b 3 c 4 d 5 e 6 f -> ?
         BZPOPMIN z 0 -> ZPOPMIN z
         BZPOPMAX z 0 -> ZPOPMAX z
         ZMPOP 1 z MIN COUNT 2 -> ZPOPMIN z 2
         BZMPOP 0 1 z MAX -> ZPOPMAX z
         SADD s a -> ?
         SPOP s -> DEL s
         SADD s a -> ?
         SPOP s 9 -> DEL s",
    );
}

#[test]
fn who_waited_is_served_in_the_stream_behind_who_fed() {
    let (mut desk, number) = Desk::leading(Options::default());
    let mut waiting = desk.again();
    waiting.check("BLPOP l 0", "");
    desk.check("RPUSH l a", ":1");
    let sent: Vec<Vec<u8>> = desk.stream(number).iter().map(|words| words.join(&b' ')).collect();
    assert_eq!(sent, [&b"SELECT 0"[..], b"RPUSH l a", b"LPOP l"]);
}

#[test]
fn members_drawn_are_named() {
    let (mut desk, number) = Desk::leading(Options::default());
    desk.check("SADD s 1 2 3 4", ":4");
    desk.stream(number);
    let reply = desk.run("SPOP s");
    let member = reply.lines().last().unwrap();
    let sent = desk.stream(number);
    assert_eq!(sent, [[&b"SREM"[..], b"s", member.as_bytes()].map(<[u8]>::to_vec)]);
}

#[test]
fn streams_are_sent_with_ids_and_times() {
    check(
        "XADD x * f v -> XADD x now-0 f v
         XADD x NOMKSTREAM MAXLEN ~ 1 * f w -> XADD x MAXLEN = 2 now-1 f w
         XADD x MINID = 1 * f w -> XADD x MINID = now-0 now-2 f w
         XTRIM x MAXLEN ~ 1 ->
         XTRIM x MAXLEN 2 -> XTRIM x MAXLEN = 2
         XGROUP CREATE x g 0 -> XGROUP CREATE x g 0
         XREADGROUP GROUP g c COUNT 1 STREAMS x > -> MULTI; XGROUP CREATECONSUMER x g c; \
         XCLAIM x g c 0 now-1 TIME now RETRYCOUNT 1 FORCE JUSTID LASTID now-1; XGROUP SETID x g now-1 ENTRIESREAD 2; EXEC
         XREADGROUP GROUP g c STREAMS x 0 -> XCLAIM x g c 0 now-1 TIME now RETRYCOUNT 2 FORCE JUSTID LASTID now-1
         XREADGROUP GROUP g c NOACK STREAMS x > -> XGROUP SETID x g now-2 ENTRIESREAD 3
         XREADGROUP GROUP g c STREAMS x > ->
         XCLAIM x g d 0 now-1 -> MULTI; XGROUP CREATECONSUMER x g d; \
         XCLAIM x g d 0 now-1 TIME now RETRYCOUNT 3 FORCE JUSTID LASTID now-2; EXEC
         XAUTOCLAIM x g c 0 0 JUSTID -> XCLAIM x g c 0 now-1 TIME now RETRYCOUNT 3 FORCE JUSTID LASTID now-2
         XDEL x now-1 -> XDEL x now-1
         XAUTOCLAIM x g c 0 0 -> XACK x g now-1
         XACK x g now-1 ->
         XSETID x now-9 -> XSETID x now-9
         XGROUP SETID x g $ -> XGROUP SETID x g $
         XGROUP DELCONSUMER x g c -> XGROUP DELCONSUMER x g c
         XGROUP DESTROY x g -> XGROUP DESTROY x g",
    );
}
