//! When keys expire: the `EXPIRE` family, the `TTL` family and `PERSIST`.

use crate::base::number::parse_i64;
use crate::command::cache::{self, Said};
use crate::command::expiry::{Unit, deadline_or_past, has_passed};
use crate::command::*;

/// The condition that all of the family take.
const CONDITION: Arg =
    one_of("condition", &[token("nx", "NX"), token("xx", "XX"), token("gt", "GT"), token("lt", "LT")])
        .optional()
        .since("7.0.0");

pub const EXPIRE: Command = Command {
    name: "EXPIRE",
    run: |cx, args| expire(cx, args, Unit::Seconds, From::Now),
    summary: "Lets a key expire after so many seconds.",
    args: &[key("key", Usage::Update), int("seconds"), CONDITION],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..super::GENERIC
};

pub const PEXPIRE: Command = Command {
    name: "PEXPIRE",
    run: |cx, args| expire(cx, args, Unit::Millis, From::Now),
    summary: "Lets a key expire after so many milliseconds.",
    since: "2.6.0",
    args: &[key("key", Usage::Update), int("milliseconds"), CONDITION],
    ..EXPIRE
};

pub const EXPIREAT: Command = Command {
    name: "EXPIREAT",
    run: |cx, args| expire(cx, args, Unit::Seconds, From::Epoch),
    summary: "Lets a key expire at a time given in seconds since 1970.",
    since: "1.2.0",
    args: &[key("key", Usage::Update), unix_time("unix-time-seconds"), CONDITION],
    ..EXPIRE
};

pub const PEXPIREAT: Command = Command {
    name: "PEXPIREAT",
    run: |cx, args| expire(cx, args, Unit::Millis, From::Epoch),
    summary: "Lets a key expire at a time given in milliseconds since 1970.",
    since: "2.6.0",
    args: &[key("key", Usage::Update), unix_time("unix-time-milliseconds"), CONDITION],
    ..EXPIRE
};

/// What a time is counted from.
enum From {
    Now,
    Epoch,
}

fn expire(cx: &mut Ctx<'_>, args: &mut Args<'_>, unit: Unit, from: From) -> Outcome {
    let key = args.key()?;
    let time = args.word()?;
    let condition = Condition::read(args)?;
    let time = parse_i64(time).ok_or(Fault::NotInteger)?;
    let base = matches!(from, From::Now).then_some(cx.now_ms());
    let deadline = deadline_or_past(time, unit, base, cx.command)?;
    let changed = match cx.store.access(key) {
        Some(entry) => condition.allows(entry.expiry(), deadline),
        None => false,
    };
    if changed && has_passed(deadline, cx.due_ms()) {
        cx.store.remove(key);
        cx.event(Class::Generic, "del", key.bytes);
        cx.replicate(&[b"DEL", key.bytes]);
    } else if changed {
        let said = match from {
            _ if !condition.is_none() => Said::UnderCondition,
            From::Now => Said::Freely,
            From::Epoch => Said::Exactly,
        };
        let deadline = cache::set_expiry(cx, key, deadline, said);
        cx.event(Class::Generic, "expire", key.bytes);
        cx.replicate_time(key, deadline);
    }
    cx.reply.int(i64::from(changed));
    REPLIED
}

/// Whether the new expiry is taken, by what it was before.
#[derive(Default)]
struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    fn read(args: &mut Args<'_>) -> Result<Condition, Fault> {
        let mut condition = Condition::default();
        while let Some(word) = args.peek() {
            if args.take("NX") {
                condition.nx = true;
            } else if args.take("XX") {
                condition.xx = true;
            } else if args.take("GT") {
                condition.gt = true;
            } else if args.take("LT") {
                condition.lt = true;
            } else {
                return Err(Fault::Bytes([b"ERR Unsupported option ", word].concat()));
            }
        }
        if condition.nx && (condition.xx || condition.gt || condition.lt) {
            return Err(Fault::text("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if condition.gt && condition.lt {
            return Err(Fault::text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    fn is_none(&self) -> bool {
        !(self.nx || self.xx || self.gt || self.lt)
    }

    /// A key without an expiry counts as one that expires after all others.
    fn allows(&self, old: Option<u64>, new: u64) -> bool {
        let Some(old) = old else { return !self.xx && !self.gt };
        let refused = self.nx || self.gt && new <= old || self.lt && new >= old;
        !refused
    }
}

pub const TTL: Command = Command {
    name: "TTL",
    run: |cx, args| tell(cx, args, |expiry, now| to_seconds(expiry.saturating_sub(now))),
    summary: "Tells in how many seconds a key expires.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    tips: &["nondeterministic_output"],
    ..super::GENERIC
};

pub const PTTL: Command = Command {
    name: "PTTL",
    run: |cx, args| tell(cx, args, u64::saturating_sub),
    summary: "Tells in how many milliseconds a key expires.",
    since: "2.6.0",
    ..TTL
};

pub const EXPIRETIME: Command = Command {
    name: "EXPIRETIME",
    run: |cx, args| tell(cx, args, |expiry, _| to_seconds(expiry)),
    summary: "Tells when a key expires, in seconds since 1970.",
    since: "7.0.0",
    tips: &[],
    ..TTL
};

pub const PEXPIRETIME: Command = Command {
    name: "PEXPIRETIME",
    run: |cx, args| tell(cx, args, |expiry, _| expiry),
    summary: "Tells when a key expires, in milliseconds since 1970.",
    ..EXPIRETIME
};

/// Answers what `shown` makes of the expiry and the present; -1 for no expiry and -2 for no key.
fn tell(cx: &mut Ctx<'_>, args: &mut Args<'_>, shown: fn(u64, u64) -> u64) -> Outcome {
    let now = cx.now_ms();
    let key = args.key()?;
    let answer = match cx.store.look(key).map(|entry| entry.expiry()) {
        Some(Some(expiry)) => shown(expiry, now) as i64,
        Some(None) => -1,
        None => {
            cx.missed(key);
            -2
        }
    };
    cx.reply.int(answer);
    REPLIED
}

/// The nearest number of whole seconds.
fn to_seconds(ms: u64) -> u64 {
    (ms + 500) / 1000
}

pub const PERSIST: Command = Command {
    name: "PERSIST",
    run: persist,
    summary: "Takes the expiry of a key away.",
    since: "2.2.0",
    args: &[key("key", Usage::Update)],
    ..EXPIRE
};

fn persist(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let expires = cx.store.access(key).is_some_and(|entry| entry.expiry().is_some());
    if expires {
        cx.store.set_expiry(key, None);
        cx.event(Class::Generic, "persist", key.bytes);
    }
    cx.reply.int(i64::from(expires));
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use crate::store::record::EXPIRY_MAX;

    fn number(reply: &str) -> i64 {
        reply.trim_start_matches(':').trim_end().parse().unwrap()
    }

    #[test]
    fn the_four_commands_differ_in_unit_and_origin() {
        let mut desk = Desk::new();
        desk.check("SET k v", "+OK");
        desk.check("TTL k", ":-1");
        desk.check("PTTL nosuch", ":-2");
        desk.check("EXPIRE k 100", ":1");
        desk.check("TTL k", ":100");
        desk.check("PEXPIRE k 1499", ":1");
        assert!((1400..=1499).contains(&number(&desk.run("PTTL k"))));
        desk.check("EXPIREAT k 33177117420", ":1");
        desk.check("EXPIRETIME k", ":33177117420");
        desk.check("PEXPIREAT k 33177117420500", ":1");
        desk.check("PEXPIRETIME k", ":33177117420500");
        desk.check("EXPIRETIME k", ":33177117421");
        desk.check("PERSIST k", ":1");
        desk.check("PERSIST k", ":0");
        desk.check("EXPIRETIME k", ":-1");
        desk.check("PEXPIRETIME nosuch", ":-2");
        desk.check("EXPIRE nosuch 10", ":0");
    }

    #[test]
    fn a_time_in_the_past_deletes_the_key() {
        let mut desk = Desk::new();
        for line in ["EXPIRE k 0", "EXPIRE k -5", "PEXPIRE k -9223372036854775808", "EXPIREAT k 1", "PEXPIREAT k -1"] {
            desk.check("SET k v", "+OK");
            desk.check(line, ":1");
            desk.check("EXISTS k", ":0");
        }
        desk.check("SET k v", "+OK");
        desk.check("EXPIRE k -1 GT", ":0");
        desk.check("EXISTS k", ":1");
    }

    #[test]
    fn conditions_compare_with_the_expiry_before() {
        let mut desk = Desk::new();
        desk.check("SET k v", "+OK");
        for line in ["EXPIRE k 100 XX", "EXPIRE k 100 GT", "EXPIRE k 100 XX LT", "EXPIRE k 100 XX GT"] {
            desk.check(line, ":0");
        }
        desk.check("EXPIRE k 100 LT", ":1");
        for line in ["EXPIRE k 200 NX", "EXPIRE k 200 LT", "EXPIRE k 50 gt", "EXPIRE k 50 XX GT"] {
            desk.check(line, ":0");
        }
        desk.check("TTL k", ":100");
        for (line, ttl) in [("EXPIRE k 200 GT", 200), ("EXPIRE k 50 xx lt", 50), ("EXPIRE k 70 XX xx", 70)] {
            desk.check(line, ":1");
            desk.check("TTL k", &format!(":{ttl}"));
        }
    }

    #[test]
    fn wrong_options_are_told_before_wrong_times_and_keys() {
        let mut desk = Desk::new();
        for (line, fault) in [
            ("EXPIRE nosuch abc foo", "Unsupported option foo"),
            ("EXPIRE k abc NX XX", "NX and XX, GT or LT options at the same time are not compatible"),
            ("EXPIRE k 1 LT GT", "GT and LT options at the same time are not compatible"),
            ("EXPIRE nosuch abc", "value is not an integer or out of range"),
            ("EXPIRE nosuch 9223372036854775807", "invalid expire time in 'expire' command"),
            ("PEXPIRE nosuch 9223372036854775807", "invalid expire time in 'pexpire' command"),
            ("EXPIRE nosuch -9223372036854775808", "invalid expire time in 'expire' command"),
            ("EXPIREAT nosuch 9223372036854775807", "invalid expire time in 'expireat' command"),
        ] {
            desk.check(line, &format!("-ERR {fault}"));
        }
    }

    #[test]
    fn the_far_future_is_kept_as_the_last_time_there_is() {
        let mut desk = Desk::new();
        desk.check("SET k v", "+OK");
        desk.check("PEXPIREAT k 9223372036854775807", ":1");
        desk.check("PEXPIRETIME k", &format!(":{EXPIRY_MAX}"));
    }
}
