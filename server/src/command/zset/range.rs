//! What goes through a part of a sorted set: by rank, by score, or by the bytes of members that have the same score.

use super::{End, Shown, ZSET, collected, push_head, push_member, store_found};
use crate::command::*;
use crate::types::zset::{LexRange, ScoreRange, ZSet};
use std::ops::Range;

const NO_SCORES: Fault = Fault::text("ERR min or max is not a float");
const NO_BOUNDS: Fault = Fault::text("ERR min or max not valid string range item");

const LIMIT: Arg = block("limit", &[int("offset"), int("count")]).after("LIMIT").optional();
const WITHSCORES: Arg = token("withscores", "WITHSCORES").optional();
const SORT_BY: Arg = one_of("sortby", &[token("byscore", "BYSCORE"), token("bylex", "BYLEX")]).optional();
const REV: Arg = token("rev", "REV").optional();

pub const ZRANGE: Command = Command {
    name: "ZRANGE",
    run: |cx, args| range(cx, args, Form::default()),
    summary: "Returns the members of a range of ranks, scores or bytes.",
    complexity: "O(log(N)+M) for M of N members",
    args: &[
        key("key", Usage::Read),
        text("start"),
        text("stop"),
        SORT_BY.since("6.2.0"),
        REV.since("6.2.0"),
        LIMIT.since("6.2.0"),
        WITHSCORES,
    ],
    flags: Flags::READONLY,
    ..ZSET
};

pub const ZREVRANGE: Command = Command {
    name: "ZREVRANGE",
    run: |cx, args| range(cx, args, Form { by: Some(By::Rank), from: Some(End::Highest) }),
    summary: "Returns the members of a range of ranks, those with the highest scores first.",
    args: &[key("key", Usage::Read), int("start"), int("stop"), WITHSCORES],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`ZRANGE` with the `REV` argument" }),
    ..ZRANGE
};

pub const ZRANGEBYSCORE: Command = Command {
    name: "ZRANGEBYSCORE",
    run: |cx, args| range(cx, args, Form { by: Some(By::Score), from: Some(End::Lowest) }),
    summary: "Returns the members of a range of scores.",
    since: "1.0.5",
    args: &[key("key", Usage::Read), double("min"), double("max"), WITHSCORES.since("2.0.0"), LIMIT],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`ZRANGE` with the `BYSCORE` argument" }),
    ..ZRANGE
};

pub const ZREVRANGEBYSCORE: Command = Command {
    name: "ZREVRANGEBYSCORE",
    run: |cx, args| range(cx, args, Form { by: Some(By::Score), from: Some(End::Highest) }),
    summary: "Returns the members of a range of scores, the highest first.",
    since: "2.2.0",
    args: &[key("key", Usage::Read), double("max"), double("min"), WITHSCORES, LIMIT],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`ZRANGE` with the `REV` and `BYSCORE` arguments" }),
    ..ZRANGE
};

pub const ZRANGEBYLEX: Command = Command {
    name: "ZRANGEBYLEX",
    run: |cx, args| range(cx, args, Form { by: Some(By::Lex), from: Some(End::Lowest) }),
    summary: "Returns the members between two others, where all have the same score.",
    since: "2.8.9",
    args: &[key("key", Usage::Read), text("min"), text("max"), LIMIT],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`ZRANGE` with the `BYLEX` argument" }),
    ..ZRANGE
};

pub const ZREVRANGEBYLEX: Command = Command {
    name: "ZREVRANGEBYLEX",
    run: |cx, args| range(cx, args, Form { by: Some(By::Lex), from: Some(End::Highest) }),
    summary: "Returns the members between two others in reverse, where all have the same score.",
    args: &[key("key", Usage::Read), text("max"), text("min"), LIMIT],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`ZRANGE` with the `REV` and `BYLEX` arguments" }),
    ..ZRANGEBYLEX
};

fn range(cx: &mut Ctx<'_>, args: &mut Args<'_>, form: Form) -> Outcome {
    let key = args.key()?;
    let query = Query::parse(args, form, Goal::Reply)?;
    let Some(set) = cx.store.read::<ZSet>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    let members = set.range(query.ranks(set));
    push_head(cx.reply, members.len(), query.shown);
    match query.from {
        End::Lowest => members.for_each(|(member, score)| push_member(cx.reply, &member, score, query.shown)),
        End::Highest => members.rev().for_each(|(member, score)| push_member(cx.reply, &member, score, query.shown)),
    }
    REPLIED
}

pub const ZRANGESTORE: Command = Command {
    name: "ZRANGESTORE",
    run: zrangestore,
    summary: "Stores the members of a range in a key.",
    complexity: "O(log(N)+M) for M of N members",
    since: "6.2.0",
    args: &[key("dst", Usage::Write), key("src", Usage::Read), text("min"), text("max"), SORT_BY, REV, LIMIT],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..ZSET
};

fn zrangestore(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (destination, source) = (args.key()?, args.key()?);
    let query = Query::parse(args, Form::default(), Goal::Store)?;
    let limits = cx.node.limits.of_zset();
    let found = match cx.store.read::<ZSet>(source)? {
        Some(set) => collected(set.range(query.ranks(set)), 0, &limits),
        None => ZSet::new(),
    };
    store_found(cx, destination, found, "zrangestore")
}

pub const ZCOUNT: Command = Command {
    name: "ZCOUNT",
    run: |cx, args| count(cx, args, By::Score),
    summary: "Counts the members of a range of scores.",
    complexity: "O(log(N)) for N members",
    since: "2.0.0",
    args: &[key("key", Usage::Read), double("min"), double("max")],
    flags: Flags::READONLY.and(Flags::FAST),
    ..ZSET
};

pub const ZLEXCOUNT: Command = Command {
    name: "ZLEXCOUNT",
    run: |cx, args| count(cx, args, By::Lex),
    summary: "Counts the members between two others, where all have the same score.",
    since: "2.8.9",
    args: &[key("key", Usage::Read), text("min"), text("max")],
    ..ZCOUNT
};

fn count(cx: &mut Ctx<'_>, args: &mut Args<'_>, by: By) -> Outcome {
    let (key, min, max) = (args.key()?, args.word()?, args.word()?);
    let span = Span::parse(by, min, max)?;
    let count = cx.store.read::<ZSet>(key)?.map_or(0, |set| span.ranks(set, End::Lowest).len());
    cx.reply.len(count);
    REPLIED
}

pub const ZREMRANGEBYRANK: Command = Command {
    name: "ZREMRANGEBYRANK",
    run: |cx, args| remove(cx, args, By::Rank, "zremrangebyrank"),
    summary: "Removes the members of a range of ranks.",
    complexity: "O(log(N)+M) for M of N members",
    since: "2.0.0",
    args: &[key("key", Usage::Update), int("start"), int("stop")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..ZSET
};

pub const ZREMRANGEBYSCORE: Command = Command {
    name: "ZREMRANGEBYSCORE",
    run: |cx, args| remove(cx, args, By::Score, "zremrangebyscore"),
    summary: "Removes the members of a range of scores.",
    since: "1.2.0",
    args: &[key("key", Usage::Update), double("min"), double("max")],
    ..ZREMRANGEBYRANK
};

pub const ZREMRANGEBYLEX: Command = Command {
    name: "ZREMRANGEBYLEX",
    run: |cx, args| remove(cx, args, By::Lex, "zremrangebylex"),
    summary: "Removes the members between two others, where all have the same score.",
    since: "2.8.9",
    args: &[key("key", Usage::Update), text("min"), text("max")],
    ..ZREMRANGEBYRANK
};

fn remove(cx: &mut Ctx<'_>, args: &mut Args<'_>, by: By, event: &'static str) -> Outcome {
    let (key, min, max) = (args.key()?, args.word()?, args.word()?);
    let span = Span::parse(by, min, max)?;
    let Some(mut set) = cx.store.open::<ZSet>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let ranks = span.ranks(&set, End::Lowest);
    let removed = if ranks.is_empty() { 0 } else { set.remove_range(ranks) };
    let is_spent = set.is_empty();
    drop(set);
    cx.event_if(removed > 0, Class::ZSet, event, key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    cx.reply.len(removed);
    REPLIED
}

/// What the two bounds of a range are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// What the name of a command has decided; `ZRANGE` leaves it to its options.
#[derive(Clone, Copy, Default)]
struct Form {
    by: Option<By>,
    from: Option<End>,
}

/// What becomes of the members that are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Reply,
    Store,
}

/// The bounds of a range.
#[derive(Clone, Copy)]
enum Span<'a> {
    /// Both are part of it; negative ones count from the end.
    Ranks(i64, i64),
    Scores(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Span<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Span<'a>, Fault> {
        use crate::base::number::parse_i64;
        match by {
            By::Rank => {
                let rank = |word| parse_i64(word).ok_or(Fault::NotInteger);
                Ok(Span::Ranks(rank(min)?, rank(max)?))
            }
            By::Score => ScoreRange::parse(min, max).map(Span::Scores).ok_or(NO_SCORES),
            By::Lex => LexRange::parse(min, max).map(Span::Lex).ok_or(NO_BOUNDS),
        }
    }

    /// The ranks from the lowest score on. Ranks that were given are counted from either end.
    fn ranks(&self, set: &ZSet, from: End) -> Range<usize> {
        match self {
            Span::Scores(range) => set.ranks_by_score(range),
            Span::Lex(range) => set.ranks_by_lex(range),
            &Span::Ranks(start, stop) => {
                let len = set.len();
                let ranks = between(start, stop, len);
                match from {
                    End::Lowest => ranks,
                    End::Highest => len - ranks.end..len - ranks.start,
                }
            }
        }
    }
}

/// The ranks that two of them mean, where negative ones count from the end.
fn between(start: i64, stop: i64, len: usize) -> Range<usize> {
    let rank = |rank: i64| match usize::try_from(rank) {
        Ok(rank) => Some(rank),
        Err(_) => len.checked_sub(rank.unsigned_abs() as usize),
    };
    let end = rank(stop).map_or(0, |stop| stop.saturating_add(1).min(len));
    rank(start).unwrap_or(0).min(end)..end
}

/// A call of `ZRANGE` or one of its like.
struct Query<'a> {
    span: Span<'a>,
    from: End,
    /// Members that are passed over; none are found behind a negative number of them.
    offset: i64,
    /// The most that are found; all if it is negative.
    count: i64,
    shown: Shown,
}

impl<'a> Query<'a> {
    /// Reads two bounds and what stands behind them.
    fn parse(args: &mut Args<'a>, form: Form, goal: Goal) -> Result<Query<'a>, Fault> {
        let (first, second) = (args.word()?, args.word()?);
        let Form { mut by, mut from } = form;
        let (mut offset, mut count, mut shown) = (0, -1, Shown::Members);
        while !args.is_empty() {
            if goal == Goal::Reply && args.take("WITHSCORES") {
                shown = Shown::WithScores;
            } else if args.len() > 2 && args.take("LIMIT") {
                (offset, count) = (args.int()?, args.int()?);
            } else if from.is_none() && args.take("REV") {
                from = Some(End::Highest);
            } else if by.is_none() && args.take("BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && args.take("BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(Fault::Syntax);
            }
        }
        let (by, from) = (by.unwrap_or(By::Rank), from.unwrap_or(End::Lowest));
        if count != -1 && by == By::Rank {
            let text = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(Fault::text(text));
        }
        if shown == Shown::WithScores && by == By::Lex {
            return Err(Fault::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        // From the highest on, the higher bound comes first; ranks are counted from there.
        let is_turned = from == End::Highest && by != By::Rank;
        let (min, max) = if is_turned { (second, first) } else { (first, second) };
        Ok(Query { span: Span::parse(by, min, max)?, from, offset, count, shown })
    }

    /// The ranks, from the lowest score on, of what is asked for.
    fn ranks(&self, set: &ZSet) -> Range<usize> {
        let ranks = self.span.ranks(set, self.from);
        if let Span::Ranks(..) = self.span {
            return ranks;
        }
        let offset = usize::try_from(self.offset).map_or(ranks.len(), |offset| offset.min(ranks.len()));
        let left = ranks.len() - offset;
        let count = usize::try_from(self.count).map_or(left, |count| count.min(left));
        match self.from {
            End::Lowest => ranks.start + offset..ranks.start + offset + count,
            End::Highest => ranks.end - offset - count..ranks.end - offset,
        }
    }
}
