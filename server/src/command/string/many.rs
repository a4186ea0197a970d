//! Many keys at once: MGET, MSET, MSETNX, MSETEX. The places of the keys were worked out, and their memory asked for, with the
//! batch.

use super::set::{Lifetime, Presence};
use super::*;
use crate::base::number::parse_i64;

/// What a client that spreads a command over shards must do.
const TIPS_READ: &[&str] = &["request_policy:multi_shard"];
const TIPS_WRITE: &[&str] = &["request_policy:multi_shard", "response_policy:all_succeeded"];

pub const MGET: Command = Command {
    name: "MGET",
    run: mget,
    summary: "Returns the values of many keys, null for those that are not there.",
    complexity: "O(N) for N keys",
    args: &[key("key", Usage::Read).many()],
    flags: Flags::READONLY.and(Flags::FAST),
    tips: TIPS_READ,
    ..STRING
};

fn mget(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    cx.reply.array(args.len());
    while !args.is_empty() {
        let key = args.key()?;
        match read(&mut cx.store, key) {
            Ok(Some(entry)) => cx.reply.value(entry.value()),
            Ok(None) => {
                cx.missed(key);
                cx.reply.null();
            }
            // Redis answers null for keys of another type too.
            Err(_) => cx.reply.null(),
        }
    }
    REPLIED
}

pub const MSET: Command = Command {
    name: "MSET",
    run: mset,
    summary: "Sets many keys, each to its value.",
    complexity: "O(N) for N keys",
    since: "1.0.1",
    args: &[block("data", &[key("key", Usage::Write), text("value")]).many()],
    flags: WRITES,
    tips: TIPS_WRITE,
    ..STRING
};

fn mset(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    pairs(cx, args)?;
    set_all(cx, args, false)?;
    cx.reply.ok();
    REPLIED
}

pub const MSETNX: Command = Command {
    name: "MSETNX",
    run: msetnx,
    summary: "Sets many keys, each to its value, unless one of them is there.",
    complexity: "O(N) for N keys",
    since: "1.0.1",
    args: &[block("data", &[key("key", Usage::Write), text("value")]).many()],
    flags: WRITES,
    key_use: KeyUse::Flags(&["OW", "insert"]),
    ..STRING
};

fn msetnx(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    pairs(cx, args)?;
    let is_free = none_exists(cx, args.clone())?;
    if is_free {
        set_all(cx, args, true)?;
    }
    cx.reply.int(i64::from(is_free));
    REPLIED
}

pub const MSETEX: Command = Command {
    name: "MSETEX",
    run: msetex,
    summary: "Sets many keys, all of them or none, with one expiry for all if asked to.",
    complexity: "O(N) for N keys",
    since: "8.4.0",
    args: &[
        int("numkeys"),
        block("data", &[key("key", Usage::Write), text("value")]).many(),
        one_of("condition", &[token("nx", "NX"), token("xx", "XX")]).optional(),
        one_of(
            "expiration",
            &[
                int("seconds").after("EX"),
                int("milliseconds").after("PX"),
                unix_time("unix-time-seconds").after("EXAT"),
                unix_time("unix-time-milliseconds").after("PXAT"),
                token("keepttl", "KEEPTTL"),
            ],
        )
        .optional(),
    ],
    flags: WRITES.and(Flags::MOVABLEKEYS),
    tips: TIPS_WRITE,
    specs: &[KeySpec::counted_pairs_at(1, &["OW", "update"])],
    ..STRING
};

fn msetex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let pairs = count_of_pairs(args)?;
    let first = args.clone();
    args.skip(2 * pairs);
    let (mut presence, mut lifetime) = (None, Lifetime::Unsaid);
    while !args.is_empty() {
        match Presence::take(presence, args)? {
            Some(said) => presence = Some(said),
            None => lifetime = lifetime.take(args, "KEEPTTL", Lifetime::Keep)?.ok_or(Fault::Syntax)?,
        }
    }
    let until = lifetime.deadline(cx.now_ms(), cx.command)?;
    let is_allowed = presence.map_or(Ok(true), |presence| all_are(cx, presence, first.clone(), pairs))?;
    if is_allowed {
        set_with_expiry(cx, first, pairs, (until, lifetime), presence.is_some())?;
    }
    cx.reply.int(i64::from(is_allowed));
    REPLIED
}

/// How many keys with their values stand in front.
fn count_of_pairs(args: &mut Args<'_>) -> Result<usize, Fault> {
    let count = parse_i64(args.word()?).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
    let count = count.ok_or(Fault::text("ERR invalid numkeys value"))? as usize;
    if args.len() / 2 < count { Err(Fault::text("ERR wrong number of key-value pairs")) } else { Ok(count) }
}

/// Whether each key is there, or none is.
fn all_are(cx: &mut Ctx<'_>, presence: Presence, mut args: Args<'_>, pairs: usize) -> Result<bool, Fault> {
    for _ in 0..pairs {
        let key = args.key()?;
        args.word()?;
        if !presence.holds(cx.store.peek(key).is_some()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sets keys that expire then; those that keep their expiry are looked at once more.
fn set_with_expiry(
    cx: &mut Ctx<'_>,
    mut args: Args<'_>,
    pairs: usize,
    (until, lifetime): (Option<u64>, Lifetime<'_>),
    is_lock: bool,
) -> Result<(), Fault> {
    for _ in 0..pairs {
        let (key, value) = (args.key()?, args.word()?);
        let keeps = matches!(lifetime, Lifetime::Keep);
        let before = if keeps { cx.store.peek(key).and_then(|old| old.expiry()) } else { None };
        put_by_rule(cx, key, value, (until, before), lifetime, is_lock);
    }
    Ok(())
}

/// Refuses a key without its value.
fn pairs(cx: &Ctx<'_>, args: &Args<'_>) -> Result<(), Fault> {
    if args.len().is_multiple_of(2) { Ok(()) } else { Err(Fault::Arity(cx.name().into())) }
}

fn none_exists(cx: &mut Ctx<'_>, mut args: Args<'_>) -> Result<bool, Fault> {
    while !args.is_empty() {
        let key = args.key()?;
        args.word()?;
        if cx.store.peek(key).is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sets keys, each as its rule says; to those that are set as locks are no rule is applied.
fn set_all(cx: &mut Ctx<'_>, args: &mut Args<'_>, are_locks: bool) -> Result<(), Fault> {
    let is_plain = are_locks || !cx.node.rules.are_any();
    while !args.is_empty() {
        let (key, value) = (args.key()?, args.word()?);
        if is_plain {
            write(cx, key, New::Set(value), None, "set");
        } else {
            put_by_rule(cx, key, value, (None, None), Lifetime::Unsaid, false);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    #[test]
    fn mget_answers_in_the_order_of_the_keys() {
        let mut desk = Desk::new();
        desk.check("MSET a 1 b two c \"\"", "+OK");
        desk.check("MGET c absent b a a", "*5 $0  $-1 $3 two $1 1 $1 1");
        desk.check("HSET h f v", ":1");
        desk.check("MGET a h b", "*3 $1 1 $-1 $3 two");
    }

    #[test]
    fn mset_takes_the_last_of_a_repeated_key_and_drops_expiries() {
        let mut desk = Desk::new();
        desk.check("SET a old EX 100", "+OK");
        desk.check("MSET a 1 b 2 a 3", "+OK");
        desk.check("MGET a b", "*2 $1 3 $1 2");
        assert_eq!(desk.node.store.totals().expiring[0], 0);
    }

    #[test]
    fn msetex_sets_all_or_none() {
        let mut desk = Desk::new();
        desk.check("MSETEX 2 a 1 b two", ":1");
        desk.check("MGET a b", "*2 $1 1 $3 two");
        desk.check("MSETEX 2 a 3 c 3 NX", ":0");
        desk.check("MSETEX 2 a 3 c 3 XX", ":0");
        desk.check("EXISTS c", ":0");
        desk.check("MSETEX 2 c 3 d 4 nx ex 100", ":1");
        desk.check("MSETEX 2 c 5 d 6 PX 200000 XX", ":1");
        desk.check("TTL c", ":200");
        desk.check("MSETEX 3 c 7 a 8 c 9 KEEPTTL", ":1");
        desk.check("MGET a c", "*2 $1 8 $1 9");
        desk.check("TTL c", ":200");
        desk.check("TTL a", ":-1");
        desk.check("HSET h f v", ":1");
        desk.check("MSETEX 2 h v d v", ":1");
        desk.check("TYPE h", "+string");
        desk.check("TTL d", ":-1");
        desk.check("MSETEX 2 a 1 b 2 EXAT 1", ":1");
        desk.check("EXISTS a b", ":0");
        desk.check("MSETEX 1 a 1 PXAT 9223372036854775807", ":1");
        desk.check("MSETEX 1 EX 1 EX 100", ":1");
        desk.check("TTL EX", ":100");
    }

    #[test]
    fn msetex_refuses_what_it_cannot_count_or_understand() {
        let mut desk = Desk::new();
        for line in ["msetex", "msetex 1", "msetex 1 k"] {
            desk.check(line, "-ERR wrong number of arguments for 'msetex' command");
        }
        for count in ["k", "0", "-1", "2147483648", "1.0", "\"\""] {
            desk.check(&format!("MSETEX {count} k v EX 10"), "-ERR invalid numkeys value");
        }
        for words in ["2 k v", "2 k v l", "2147483647 k v EX 10"] {
            desk.check(&format!("MSETEX {words}"), "-ERR wrong number of key-value pairs");
        }
        let tails = "FOO|NX XX|XX EX 10 NX|EX 10 PX 5000|EXAT 1 PXAT 1|KEEPTTL EX 10|PX 1 KEEPTTL|EX|GET|l w";
        for tail in tails.split('|') {
            desk.check(&format!("MSETEX 1 k v {tail}"), "-ERR syntax error");
        }
        for time in ["EX 0", "PX -1", "EXAT 0", "EX 9223372036854775"] {
            desk.check(&format!("MSETEX 1 k v {time}"), "-ERR invalid expire time in 'msetex' command");
        }
        desk.check("MSETEX 1 k v EX x", "-ERR value is not an integer or out of range");
        desk.check("EXISTS k", ":0");
    }

    #[test]
    fn a_key_without_a_value_is_refused() {
        let mut desk = Desk::new();
        desk.check("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command");
        desk.check("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command");
        desk.check("MGET a b", "*2 $-1 $-1");
    }

    #[test]
    fn msetnx_sets_all_or_nothing() {
        let mut desk = Desk::new();
        desk.check("MSETNX a 1 b 2 a 3", ":1");
        desk.check("MSETNX c 1 b 9", ":0");
        desk.check("MGET a b c", "*3 $1 3 $1 2 $-1");
    }

    #[test]
    fn many_keys_in_many_stripes_are_served() {
        let mut desk = Desk::new();
        let pairs: Vec<String> = (0..2_000).map(|n| format!("key:{n} {n}")).collect();
        desk.check(&format!("MSET {}", pairs.join(" ")), "+OK");
        let keys: Vec<String> = (0..2_000).map(|n| format!("key:{n}")).collect();
        let values: Vec<String> = (0..2_000).map(|n: i32| format!("${} {n}", n.to_string().len())).collect();
        desk.check(&format!("MGET {}", keys.join(" ")), &format!("*2000 {}", values.join(" ")));
    }
}
