//! Values and expiry in one go: `HGETDEL`, `HGETEX` and `HSETEX`.

use super::fields::{FIELDS, NO_NUMBER, TIMES, set_time, take_number, take_time, take_unit};
use super::*;
use crate::command::expiry::Unit;

pub(super) const HGETDEL: Command = Command {
    name: "HGETDEL",
    run: hgetdel,
    summary: "Returns the values of fields and deletes them.",
    complexity: "O(N) for N fields",
    since: "8.0.0",
    args: &[key("key", Usage::Update), FIELDS],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "access", "delete"]),
    ..HASH
};

fn hgetdel(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    // A wrong type is told before wrong words.
    let number = take_number(args, NO_NUMBER);
    let is_noted = cx.is_noted();
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        number?;
        return no_values(cx, args);
    };
    number?;
    cx.reply.array(args.len());
    let (mut deleted, mut gone) = (0, Vec::new());
    for field in args.rest() {
        if reply_value(cx.reply, &hash, field, now) {
            hash.remove(field);
            deleted += 1;
            gone.extend(Some(field).filter(|_| is_noted));
        }
    }
    let is_spent = hash.len_at(now) == 0;
    drop(hash);
    cx.event_if(deleted > 0, Class::Hash, "hdel", key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    say_deleted(cx, key, &gone, is_spent);
    REPLIED
}

/// What is told of the fields of a hash that is not there.
fn no_values(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    cx.reply.array(args.len());
    args.rest().for_each(|_| cx.reply.null());
    REPLIED
}

/// Answers the value of a field, and says whether there is one.
fn reply_value(reply: &mut Reply, hash: &Hash, field: &[u8], now: u64) -> bool {
    let entry = hash.get(field, now);
    match &entry {
        Some(entry) => reply.element(entry.value),
        None => reply.null(),
    }
    entry.is_some()
}

pub(super) const HGETEX: Command = Command {
    name: "HGETEX",
    run: hgetex,
    summary: "Returns the values of fields and sets or removes their expiry.",
    complexity: "O(N) for N fields",
    since: "8.0.0",
    args: &[
        key("key", Usage::Update),
        one_of("expiration", &[TIMES[0], TIMES[1], TIMES[2], TIMES[3], token("persist", "PERSIST")]).optional(),
        FIELDS,
    ],
    flags: Flags::WRITE.and(Flags::FAST),
    ..HASH
};

/// What becomes of the expiry of the fields that are read or set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It goes: what `HSETEX` does if it is told nothing, and `HGETEX` if it is told `PERSIST`.
    Clear,
    /// It stays.
    Keep,
    /// Milliseconds since 1970, which may have passed.
    At(u64),
}

fn hgetex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    let change = take_change(cx, args);
    let is_noted = cx.is_noted();
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        change?;
        return no_values(cx, args);
    };
    let change = change?;
    cx.reply.array(args.len());
    let (mut changed, mut deleted) = (0, 0);
    let mut touched = Vec::new();
    for field in args.rest() {
        if !reply_value(cx.reply, &hash, field, now) {
            continue;
        }
        touched.extend(Some(field).filter(|_| is_noted));
        match change {
            Change::Keep => {}
            Change::Clear if hash.get(field, now).is_some_and(|entry| entry.expiry.is_none()) => {}
            Change::Clear => changed += usize::from(hash.set_expiry(field, None)),
            Change::At(time) if set_time(&mut hash, field, time, now) => changed += 1,
            Change::At(_) => deleted += 1,
        }
    }
    let is_spent = hash.len_at(now) == 0;
    drop(hash);
    let event = match change {
        Change::Clear => "hpersist",
        _ if changed > 0 => "hexpire",
        _ => "hdel",
    };
    cx.event_if(changed + deleted > 0, Class::Hash, event, key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    match change {
        _ if is_spent || deleted > 0 => say_deleted(cx, key, &touched, is_spent),
        Change::At(time) => {
            say_of_fields(cx, &[b"HPEXPIREAT", key.bytes, Digits::new().format(time).as_bytes()], &touched);
        }
        Change::Clear if changed > 0 => say_of_fields(cx, &[b"HPERSIST", key.bytes], &touched),
        Change::Clear | Change::Keep => {}
    }
    REPLIED
}

/// What `HGETEX` is to do; the fields are left.
fn take_change(cx: &Ctx<'_>, args: &mut Args<'_>) -> Result<Change, Fault> {
    let mut change = Change::Keep;
    if let Some((unit, base_ms)) = take_unit(args, cx.now_ms()) {
        change = Change::At(take_time(cx, args, unit, base_ms)?);
    } else if args.take("PERSIST") {
        change = Change::Clear;
    }
    take_number(args, NO_NUMBER)?;
    Ok(change)
}

pub(super) const HSETEX: Command = Command {
    name: "HSETEX",
    run: hsetex,
    summary: "Sets fields of a hash and when they expire, if all of them are there or none is.",
    complexity: "O(N) for N fields",
    since: "8.0.0",
    args: &[
        key("key", Usage::Update),
        one_of("condition", &[token("fnx", "FNX"), token("fxx", "FXX")]).optional(),
        one_of("expiration", &[TIMES[0], TIMES[1], TIMES[2], TIMES[3], token("keepttl", "KEEPTTL")]).optional(),
        block("fields", &[int("numfields"), block("data", &[text("field"), text("value")]).many()]).after("FIELDS"),
    ],
    flags: WRITES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..HASH
};

/// Whether `HSETEX` is to be done at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// If none of the fields is there.
    Fnx,
    /// If all of them are.
    Fxx,
}

/// The words of `HSETEX` before the fields.
#[derive(Default)]
struct Options {
    condition: Option<Condition>,
    change: Option<Change>,
}

impl Options {
    /// Takes all words up to the fields. The options stand in any order.
    fn take(cx: &Ctx<'_>, args: &mut Args<'_>) -> Result<Options, Fault> {
        let mut options = Options::default();
        while !args.take("FIELDS") {
            if let Some((unit, base_ms)) = take_unit(args, cx.now_ms()) {
                options.check_change()?;
                let time = options.take_time(cx, args, unit, base_ms)?;
                options.change = Some(Change::At(time));
            } else if args.take("KEEPTTL") {
                options.check_change()?;
                options.change = Some(Change::Keep);
            } else if args.take("FXX") {
                options.set_condition(Condition::Fxx)?;
            } else if args.take("FNX") {
                options.set_condition(Condition::Fnx)?;
            } else {
                return Err(unknown(args));
            }
        }
        take_pairs(cx, args)?;
        Ok(options)
    }

    fn take_time(&self, cx: &Ctx<'_>, args: &mut Args<'_>, unit: Unit, base_ms: Option<u64>) -> Result<u64, Fault> {
        if args.is_empty() {
            return Err(Fault::text("ERR missing expire time"));
        }
        take_time(cx, args, unit, base_ms)
    }

    fn check_change(&self) -> Result<(), Fault> {
        match self.change {
            None => Ok(()),
            Some(_) => Err(Fault::text("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")),
        }
    }

    fn set_condition(&mut self, condition: Condition) -> Result<(), Fault> {
        match self.condition.replace(condition) {
            None => Ok(()),
            Some(_) => Err(Fault::text("ERR Only one of FXX or FNX arguments can be specified")),
        }
    }
}

fn unknown(args: &Args<'_>) -> Fault {
    match args.peek() {
        Some(word) => Fault::Bytes([b"ERR unknown argument: ", word].concat()),
        // Redis has no words left to tell where it takes the fields for granted.
        None => Fault::Syntax,
    }
}

/// Takes the number of fields, behind which as many stand with their values.
fn take_pairs(cx: &Ctx<'_>, args: &mut Args<'_>) -> Result<(), Fault> {
    if args.len() < 3 {
        return Err(Fault::Arity(cx.name().into()));
    }
    let number = args.int().ok().filter(|number| (1..=i64::from(i32::MAX)).contains(number));
    let number = number.ok_or(Fault::text("ERR invalid number of fields"))?;
    if args.len() != 2 * number as usize {
        return Err(Fault::Arity(cx.name().into()));
    }
    Ok(())
}

fn hsetex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    let Options { condition, change } = Options::take(cx, args)?;
    let limits = cx.node.limits.of_hash();
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    if !is_met(condition, &hash, args.clone(), now) {
        drop(hash);
        cx.reply.int(0);
        return REPLIED;
    }
    let (mut set, mut deleted) = (0, 0);
    let (pairs, mut cleared) = (args.clone(), Vec::new());
    while !args.is_empty() {
        let (field, value) = (args.word()?, args.word()?);
        cleared.extend(Some(field).filter(|_| clear_way(&mut hash, field, now)));
        let expiry = if change.is_none() { Expiry::Clear } else { Expiry::Keep };
        hash.set(field, value, expiry, &limits);
        if let Some(Change::At(time)) = change {
            let is_there = set_time(&mut hash, field, time, now);
            set += usize::from(is_there);
            deleted += usize::from(!is_there);
        }
    }
    let is_spent = hash.len_at(now) == 0;
    drop(hash);
    cx.event(Class::Hash, "hset", key.bytes);
    cx.event_if(set + deleted > 0, Class::Hash, if deleted > 0 { "hdel" } else { "hexpire" }, key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    if cx.is_noted() {
        say_set(cx, key, change, pairs.clone().rest().collect(), (&cleared, deleted > 0, is_spent));
    }
    cx.reply.int(1);
    REPLIED
}

/// Says in the stream what `HSETEX` has done with fields that stand with their values.
fn say_set(
    cx: &Ctx<'_>,
    key: Key<'_>,
    change: Option<Change>,
    pairs: Vec<&[u8]>,
    (cleared, is_deleted, is_spent): (&[&[u8]], bool, bool),
) {
    let fields: Vec<&[u8]> = pairs.iter().copied().step_by(2).collect();
    if is_deleted || is_spent {
        return say_deleted(cx, key, &fields, is_spent);
    }
    let mut digits = Digits::new();
    if change == Some(Change::Keep) {
        say_deleted(cx, key, cleared, false);
        let number = digits.format(fields.len() as u64).as_bytes();
        cx.replicate(&[&[b"HSETEX", key.bytes, b"KEEPTTL", b"FIELDS", number], &pairs[..]].concat());
        return;
    }
    cx.replicate(&[&[b"HSET", key.bytes], &pairs[..]].concat());
    if let Some(Change::At(time)) = change {
        say_of_fields(cx, &[b"HPEXPIREAT", key.bytes, digits.format(time).as_bytes()], &fields);
    }
}

/// Whether the fields, which stand with their values, are there or not as the condition asks.
fn is_met(condition: Option<Condition>, hash: &Hash, mut args: Args<'_>, now: u64) -> bool {
    let Some(condition) = condition else { return true };
    let mut fields = args.rest().step_by(2);
    fields.all(|field| hash.get(field, now).is_some() == (condition == Condition::Fxx))
}

#[cfg(test)]
mod tests;
