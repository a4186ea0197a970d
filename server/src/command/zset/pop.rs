//! What takes members from an end of a sorted set, and waits for one where there is none.

use super::{End, Shown, ZSET, push_head, push_member};
use crate::base::number::{Digits, parse_i64};
use crate::command::blocking::{Await, Awaited, wait_seconds};
use crate::command::*;
use crate::store::Key;
use crate::types::zset::ZSet;

const TAKEN: &[&str] = &["RW", "access", "delete"];

const WHERE: Arg = one_of("where", &[token("min", "MIN"), token("max", "MAX")]);
const COUNT: Arg = int("count").after("COUNT").optional();

const PAIRS: Shown = Shown::WithScores;

pub const ZPOPMIN: Command = Command {
    name: "ZPOPMIN",
    run: |cx, args| pop(cx, args, End::Lowest),
    summary: "Removes the members with the lowest scores and returns them.",
    complexity: "O(log(N)*M) for M of N members",
    since: "5.0.0",
    args: &[key("key", Usage::Update), int("count").optional()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(TAKEN),
    ..ZSET
};

pub const ZPOPMAX: Command = Command {
    name: "ZPOPMAX",
    run: |cx, args| pop(cx, args, End::Highest),
    summary: "Removes the members with the highest scores and returns them.",
    ..ZPOPMIN
};

fn pop(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(Fault::Syntax);
    }
    let count = if args.is_empty() { None } else { Some(count_of_members(args.word()?)?) };
    let is_there = match count {
        // One member that was not counted is no pair of its own, in RESP3 either.
        None => take(cx, key, end, 1, |reply, len| push_head(reply, 2 * len, Shown::Members), push_flat)?,
        Some(count) => take(
            cx,
            key,
            end,
            count,
            |reply, len| push_head(reply, len, PAIRS),
            |reply, member, score| {
                push_member(reply, member, score, PAIRS);
            },
        )?,
    };
    if !is_there {
        cx.reply.array(0);
    }
    REPLIED
}

fn count_of_members(word: &[u8]) -> Result<usize, Fault> {
    let count = parse_i64(word).and_then(|count| usize::try_from(count).ok());
    count.ok_or(Fault::text("ERR value is out of range, must be positive"))
}

pub const ZMPOP: Command = Command {
    name: "ZMPOP",
    run: zmpop,
    summary: "Removes members from an end of the first sorted set that has any, and returns them.",
    complexity: "O(K)+O(M*log(N)) for K keys and M of N members",
    since: "7.0.0",
    args: &[int("numkeys"), key("key", Usage::Update).many(), WHERE, COUNT],
    flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::counted_at(1, TAKEN)],
    ..ZSET
};

fn zmpop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let wanted = Wanted::parse(args)?;
    if !wanted.pop(cx)? {
        cx.reply.null_array();
    }
    REPLIED
}

pub const BZMPOP: Command = Command {
    name: "BZMPOP",
    run: bzmpop,
    summary: "Removes members from an end of the first sorted set that has any, and waits if none has.",
    args: &[double("timeout"), int("numkeys"), key("key", Usage::Update).many(), WHERE, COUNT],
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::counted_at(2, TAKEN)],
    ..ZMPOP
};

fn bzmpop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let timeout = args.word()?;
    let wanted = Wanted::parse(args)?;
    let for_ms = wait_seconds(timeout, cx.now_ms())?;
    let is_behind = cx.is_behind::<ZSet>(wanted.keys.iter().copied(), Awaited::ZSet);
    if !is_behind && wanted.pop(cx)? {
        return REPLIED;
    }
    wait(cx, &wanted.keys, for_ms)
}

pub const BZPOPMIN: Command = Command {
    name: "BZPOPMIN",
    run: |cx, args| blocking_pop(cx, args, End::Lowest),
    summary: "Removes the member with the lowest score of the first sorted set that has any, and waits if none has.",
    complexity: "O(log(N)) for N members",
    since: "5.0.0",
    args: &[key("key", Usage::Update).many(), double("timeout")],
    flags: Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING).and(Flags::FAST),
    specs: &[KeySpec::range_of(1, -2, TAKEN)],
    ..ZSET
};

pub const BZPOPMAX: Command = Command {
    name: "BZPOPMAX",
    run: |cx, args| blocking_pop(cx, args, End::Highest),
    summary: "Removes the member with the highest score of the first sorted set that has any, and waits if none has.",
    ..BZPOPMIN
};

fn blocking_pop(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let mut again = args.clone();
    let timeout = again.rest().last().ok_or(Fault::Syntax)?;
    let for_ms = wait_seconds(timeout, cx.now_ms())?;
    let keys = (1..args.len()).map(|_| args.key()).collect::<Result<Vec<Key<'_>>, Fault>>()?;
    let is_behind = cx.is_behind::<ZSet>(keys.iter().copied(), Awaited::ZSet);
    for &key in keys.iter().filter(|_| !is_behind) {
        let head = |reply: &mut Reply, _| {
            reply.array(3);
            reply.bulk(key.bytes);
        };
        if take(cx, key, end, 1, head, push_flat)? {
            return REPLIED;
        }
    }
    wait(cx, &keys, for_ms)
}

fn wait(cx: &mut Ctx<'_>, keys: &[Key<'_>], for_ms: Option<u64>) -> Outcome {
    cx.wait_for(Await { keys, what: Awaited::ZSet, for_ms, nothing: Reply::null_array, words: None })
}

/// What `ZMPOP` and `BZMPOP` ask for.
struct Wanted<'a> {
    keys: Vec<Key<'a>>,
    end: End,
    count: usize,
}

impl<'a> Wanted<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Wanted<'a>, Fault> {
        let keys = positive(args, "ERR numkeys should be greater than 0")?;
        if keys >= args.len() {
            return Err(Fault::Syntax);
        }
        let keys = (0..keys).map(|_| args.key()).collect::<Result<Vec<Key<'a>>, Fault>>()?;
        let end = match args.take("MIN") {
            true => End::Lowest,
            false if args.take("MAX") => End::Highest,
            false => return Err(Fault::Syntax),
        };
        let mut count = 1;
        if args.len() > 1 && args.take("COUNT") {
            count = positive(args, "ERR count should be greater than 0")?;
        }
        args.end()?;
        Ok(Wanted { keys, end, count })
    }

    /// Takes members from the first set that has any, and answers them with its key; answers nothing if none has.
    fn pop(&self, cx: &mut Ctx<'_>) -> Result<bool, Fault> {
        for &key in &self.keys {
            let head = |reply: &mut Reply, len| {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.array(len);
            };
            if take(cx, key, self.end, self.count, head, push_pair)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn positive(args: &mut Args<'_>, otherwise: &'static str) -> Result<usize, Fault> {
    let number = parse_i64(args.word()?).and_then(|number| usize::try_from(number).ok());
    number.filter(|&number| number > 0).ok_or(Fault::text(otherwise))
}

fn push_flat(reply: &mut Reply, member: &[u8], score: f64) {
    reply.bulk(member);
    reply.double(score);
}

fn push_pair(reply: &mut Reply, member: &[u8], score: f64) {
    reply.array(2);
    push_flat(reply, member, score);
}

/// Takes `count` members, or all, from an end of a set. Writes a head, which is told their number, and each of them.
///
/// Returns whether there is such a set; nothing is written if not.
fn take(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    end: End,
    count: usize,
    head: impl FnOnce(&mut Reply, usize),
    write: impl Fn(&mut Reply, &[u8], f64),
) -> Result<bool, Fault> {
    let Some(mut set) = cx.store.open::<ZSet>(key)? else { return Ok(false) };
    let (len, reply) = (set.len(), &mut *cx.reply);
    let count = count.min(len);
    head(reply, count);
    let ranks = match end {
        End::Lowest => 0..count,
        End::Highest => len - count..len,
    };
    let members = set.range(ranks.clone());
    match end {
        End::Lowest => members.for_each(|(member, score)| write(reply, &member, score)),
        End::Highest => members.rev().for_each(|(member, score)| write(reply, &member, score)),
    }
    if count > 0 {
        set.remove_range(ranks);
    }
    drop(set);
    cx.event_if(count > 0, Class::ZSet, if end == End::Lowest { "zpopmin" } else { "zpopmax" }, key.bytes);
    cx.event_if(count == len, Class::Generic, "del", key.bytes);
    if count > 0 && cx.is_noted() {
        let verb: &[u8] = if end == End::Lowest { b"ZPOPMIN" } else { b"ZPOPMAX" };
        match count {
            1 => cx.replicate(&[verb, key.bytes]),
            _ => cx.replicate(&[verb, key.bytes, Digits::new().format(count as u64).as_bytes()]),
        }
    }
    Ok(true)
}
