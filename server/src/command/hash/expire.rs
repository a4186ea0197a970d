//! When fields expire: `HEXPIRE`, `HTTL`, `HPERSIST` and their relatives.

use super::fields::{self, FIELDS, NO_NUMBER, take_number, take_time};
use super::*;
use crate::command::expiry::Unit;

/// What is told of a field that is not there.
const NO_FIELD: i64 = -2;

/// What is told of a field that does not expire.
const NO_TIME: i64 = -1;

/// What is told of a field whose condition is not met.
const NOT_MET: i64 = 0;

/// What is told of a field whose expiry was set, or taken away.
const DONE: i64 = 1;

/// What is told of a field that is gone, as its time has passed already.
const GONE: i64 = 2;

const CONDITION: Arg =
    one_of("condition", &[token("nx", "NX"), token("xx", "XX"), token("gt", "GT"), token("lt", "LT")]).optional();

pub(super) const HEXPIRE: Command = Command {
    name: "HEXPIRE",
    run: |cx, args| {
        let now = cx.now_ms();
        expire(cx, args, Unit::Seconds, Some(now))
    },
    summary: "Makes fields expire in a number of seconds.",
    complexity: "O(N) for N fields",
    since: "7.4.0",
    args: &[key("key", Usage::Update), int("seconds"), CONDITION, FIELDS],
    flags: WRITES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..HASH
};

pub(super) const HPEXPIRE: Command = Command {
    name: "HPEXPIRE",
    run: |cx, args| {
        let now = cx.now_ms();
        expire(cx, args, Unit::Millis, Some(now))
    },
    summary: "Makes fields expire in a number of milliseconds.",
    args: &[key("key", Usage::Update), int("milliseconds"), CONDITION, FIELDS],
    ..HEXPIRE
};

pub(super) const HEXPIREAT: Command = Command {
    name: "HEXPIREAT",
    run: |cx, args| expire(cx, args, Unit::Seconds, None),
    summary: "Makes fields expire at a time, in seconds since 1970.",
    args: &[key("key", Usage::Update), unix_time("unix-time-seconds"), CONDITION, FIELDS],
    ..HEXPIRE
};

pub(super) const HPEXPIREAT: Command = Command {
    name: "HPEXPIREAT",
    run: |cx, args| expire(cx, args, Unit::Millis, None),
    summary: "Makes fields expire at a time, in milliseconds since 1970.",
    args: &[key("key", Usage::Update), unix_time("unix-time-milliseconds"), CONDITION, FIELDS],
    ..HEXPIRE
};

/// Which fields a new expiry is for, by the one they have.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    /// Only those that have none.
    Nx,
    /// Only those that have one.
    Xx,
    /// Only where it is later; never is the latest.
    Gt,
    /// Only where it is earlier.
    Lt,
}

impl Condition {
    fn take(args: &mut Args<'_>) -> Condition {
        const TOKENS: [(&str, Condition); 4] =
            [("NX", Condition::Nx), ("XX", Condition::Xx), ("GT", Condition::Gt), ("LT", Condition::Lt)];
        TOKENS.into_iter().find(|(token, _)| args.take(token)).map_or(Condition::Always, |(_, condition)| condition)
    }

    fn is_met(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Condition::Always => true,
            Condition::Nx => old.is_none(),
            Condition::Xx => old.is_some(),
            Condition::Gt => old.is_some_and(|old| new > old),
            Condition::Lt => old.is_none_or(|old| new < old),
        }
    }
}

/// The time and the condition; the fields are left.
fn take_options(
    cx: &Ctx<'_>,
    args: &mut Args<'_>,
    unit: Unit,
    base_ms: Option<u64>,
) -> Result<(u64, Condition), Fault> {
    let time = take_time(cx, args, unit, base_ms)?;
    let condition = Condition::take(args);
    take_number(args, "ERR Parameter `numFields` should be greater than 0")?;
    Ok((time, condition))
}

fn expire(cx: &mut Ctx<'_>, args: &mut Args<'_>, unit: Unit, base_ms: Option<u64>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    // A wrong type is told before wrong words.
    let options = take_options(cx, args, unit, base_ms);
    let is_noted = cx.is_noted();
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        options?;
        return no_fields(cx, args);
    };
    let (time, condition) = options?;
    cx.reply.array(args.len());
    let (mut set, mut deleted) = (0, 0);
    let mut changed = Vec::new();
    for field in args.rest() {
        let told = match hash.get(field, now).map(|entry| entry.expiry) {
            None => NO_FIELD,
            Some(old) if !condition.is_met(old, time) => NOT_MET,
            Some(_) if fields::set_time(&mut hash, field, time, now) => DONE,
            Some(_) => GONE,
        };
        set += usize::from(told == DONE);
        deleted += usize::from(told == GONE);
        changed.extend(Some(field).filter(|_| is_noted && (told == DONE || told == GONE)));
        cx.reply.int(told);
    }
    let is_spent = hash.len_at(now) == 0;
    drop(hash);
    cx.event_if(set + deleted > 0, Class::Hash, if deleted > 0 { "hdel" } else { "hexpire" }, key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    if is_spent || deleted > 0 {
        say_deleted(cx, key, &changed, is_spent);
    } else {
        say_of_fields(cx, &[b"HPEXPIREAT", key.bytes, Digits::new().format(time).as_bytes()], &changed);
    }
    REPLIED
}

/// What is told of the fields of a hash that is not there.
fn no_fields(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    cx.reply.array(args.len());
    args.rest().for_each(|_| cx.reply.int(NO_FIELD));
    REPLIED
}

pub(super) const HTTL: Command = Command {
    name: "HTTL",
    run: |cx, args| time(cx, args, |expiry, now| (expiry - now).div_ceil(1000)),
    summary: "Tells in how many seconds fields expire.",
    complexity: "O(N) for N fields",
    since: "7.4.0",
    args: &[key("key", Usage::Read), FIELDS],
    flags: READS,
    ..HASH
};

pub(super) const HPTTL: Command = Command {
    name: "HPTTL",
    run: |cx, args| time(cx, args, |expiry, now| expiry - now),
    summary: "Tells in how many milliseconds fields expire.",
    ..HTTL
};

pub(super) const HEXPIRETIME: Command = Command {
    name: "HEXPIRETIME",
    run: |cx, args| time(cx, args, |expiry, _| expiry.div_ceil(1000)),
    summary: "Tells when fields expire, in seconds since 1970.",
    ..HTTL
};

pub(super) const HPEXPIRETIME: Command = Command {
    name: "HPEXPIRETIME",
    run: |cx, args| time(cx, args, |expiry, _| expiry),
    summary: "Tells when fields expire, in milliseconds since 1970.",
    ..HTTL
};

/// Tells of each field when it expires, as `form` makes it of that time and the present one.
fn time(cx: &mut Ctx<'_>, args: &mut Args<'_>, form: fn(u64, u64) -> u64) -> Outcome {
    let (key, now) = (args.key()?, cx.now_ms());
    let number = take_number(args, NO_NUMBER);
    let hash = cx.store.read::<Hash>(key)?;
    number?;
    cx.reply.array(args.len());
    for field in args.rest() {
        cx.reply.int(match hash.and_then(|hash| hash.get(field, now)).map(|entry| entry.expiry) {
            None => NO_FIELD,
            Some(None) => NO_TIME,
            Some(Some(expiry)) => form(expiry, now) as i64,
        });
    }
    REPLIED
}

pub(super) const HPERSIST: Command = Command {
    name: "HPERSIST",
    run: hpersist,
    summary: "Lets fields no longer expire.",
    complexity: "O(N) for N fields",
    since: "7.4.0",
    args: &[key("key", Usage::Update), FIELDS],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..HASH
};

fn hpersist(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    let number = take_number(args, NO_NUMBER);
    let is_noted = cx.is_noted();
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        number?;
        return no_fields(cx, args);
    };
    number?;
    cx.reply.array(args.len());
    let (mut persisted, mut changed) = (0, Vec::new());
    for field in args.rest() {
        let told = match hash.get(field, now).map(|entry| entry.expiry) {
            None => NO_FIELD,
            Some(None) => NO_TIME,
            Some(Some(_)) => {
                hash.set_expiry(field, None);
                persisted += 1;
                changed.extend(Some(field).filter(|_| is_noted));
                DONE
            }
        };
        cx.reply.int(told);
    }
    drop(hash);
    cx.event_if(persisted > 0, Class::Hash, "hpersist", key.bytes);
    say_of_fields(cx, &[b"HPERSIST", key.bytes], &changed);
    REPLIED
}

#[cfg(test)]
mod tests;
