//! Sorted sets: members in the order of their scores.
//!
//! Here is what asks for single members or takes them away; `zset/add` gives them scores, `zset/range` goes by rank,
//! score or bytes, `zset/combine` makes sets of sets, and `zset/pop` takes from the ends.

mod add;
mod combine;
mod draw;
mod pop;
mod range;
mod scan;
#[cfg(test)]
mod tests;

pub(super) use add::{Rules, add};

use super::*;
use crate::store::Key;
use crate::types::object::Kind as _;
use crate::types::zset::{Limits, ZSet};
use std::ops::Deref;

pub const COMMANDS: &[Command] = &[
    add::ZADD,
    add::ZINCRBY,
    combine::ZDIFF,
    combine::ZDIFFSTORE,
    combine::ZINTER,
    combine::ZINTERCARD,
    combine::ZINTERSTORE,
    combine::ZUNION,
    combine::ZUNIONSTORE,
    draw::ZRANDMEMBER,
    pop::BZMPOP,
    pop::BZPOPMAX,
    pop::BZPOPMIN,
    pop::ZMPOP,
    pop::ZPOPMAX,
    pop::ZPOPMIN,
    range::ZCOUNT,
    range::ZLEXCOUNT,
    range::ZRANGE,
    range::ZRANGEBYLEX,
    range::ZRANGEBYSCORE,
    range::ZRANGESTORE,
    range::ZREMRANGEBYLEX,
    range::ZREMRANGEBYRANK,
    range::ZREMRANGEBYSCORE,
    range::ZREVRANGE,
    range::ZREVRANGEBYLEX,
    range::ZREVRANGEBYSCORE,
    scan::ZSCAN,
    ZCARD,
    ZMSCORE,
    ZRANK,
    ZREM,
    ZREVRANK,
    ZSCORE,
];

const ZSET: Command = Command { group: Group::SortedSet, since: "1.2.0", ..COMMAND };

/// Which end of a set comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

/// What is answered of the members of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Members,
    WithScores,
}

/// The head of a list of so many members, each of which [`push_member`] writes.
fn push_head(reply: &mut Reply, len: usize, shown: Shown) {
    let is_flat = shown == Shown::WithScores && reply.protocol() == 2;
    reply.array(if is_flat { 2 * len } else { len });
}

/// A member of a list. Beside its score it is a pair of its own in RESP3, and two elements of the list in RESP2.
fn push_member(reply: &mut Reply, member: &[u8], score: f64, shown: Shown) {
    if shown == Shown::Members {
        return reply.bulk(member);
    }
    if reply.protocol() == 3 {
        reply.array(2);
    }
    reply.bulk(member);
    reply.double(score);
}

/// A set of members that were found elsewhere, none of them longer than `longest` as far as is known.
///
/// That a long one is still to come must be known before: a small set takes -0 for 0, and a large one does not.
pub(super) fn collected<M>(members: impl ExactSizeIterator<Item = (M, f64)>, longest: usize, limits: &Limits) -> ZSet
where
    M: Deref<Target = [u8]>,
{
    let mut set = ZSet::expecting(members.len(), longest, limits);
    for (member, score) in members {
        set.insert(&member, score, limits);
    }
    set
}

/// Sets a key to what a command has found, or deletes it if that is nothing, and answers how many members there are.
pub(super) fn store_found(cx: &mut Ctx<'_>, key: Key<'_>, set: ZSet, event: &'static str) -> Outcome {
    let len = set.len();
    if len > 0 {
        cx.store.put_object(key, set.into_object(), None);
        cx.event(Class::ZSet, event, key.bytes);
    } else if cx.store.remove(key) {
        cx.event(Class::Generic, "del", key.bytes);
    }
    cx.reply.len(len);
    REPLIED
}

const ZCARD: Command = Command {
    name: "ZCARD",
    run: zcard,
    summary: "Tells how many members a sorted set has.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RO"]),
    ..ZSET
};

fn zcard(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let len = cx.store.read::<ZSet>(args.key()?)?.map_or(0, ZSet::len);
    cx.reply.len(len);
    REPLIED
}

const ZSCORE: Command = Command {
    name: "ZSCORE",
    run: zscore,
    summary: "Returns the score of a member.",
    args: &[key("key", Usage::Read), text("member")],
    flags: Flags::READONLY.and(Flags::FAST),
    ..ZSET
};

fn zscore(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, member) = (args.key()?, args.word()?);
    let score = cx.store.read::<ZSet>(key)?.and_then(|set| set.score(member));
    push_score(cx.reply, score);
    REPLIED
}

const ZMSCORE: Command = Command {
    name: "ZMSCORE",
    run: zmscore,
    summary: "Returns the scores of several members.",
    complexity: "O(N) for N members",
    since: "6.2.0",
    args: &[key("key", Usage::Read), text("member").many()],
    flags: Flags::READONLY.and(Flags::FAST),
    ..ZSET
};

fn zmscore(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let set = cx.store.read::<ZSet>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        push_score(cx.reply, set.and_then(|set| set.score(member)));
    }
    REPLIED
}

fn push_score(reply: &mut Reply, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

const ZRANK: Command = Command {
    name: "ZRANK",
    run: |cx, args| rank(cx, args, End::Lowest),
    summary: "Tells how many members come before one in the order of scores.",
    complexity: "O(log(N)) for N members",
    since: "2.0.0",
    args: &[key("key", Usage::Read), text("member"), token("withscore", "WITHSCORE").optional().since("7.2.0")],
    flags: Flags::READONLY.and(Flags::FAST),
    ..ZSET
};

const ZREVRANK: Command = Command {
    name: "ZREVRANK",
    run: |cx, args| rank(cx, args, End::Highest),
    summary: "Tells how many members come before one in the reverse order of scores.",
    ..ZRANK
};

fn rank(cx: &mut Ctx<'_>, args: &mut Args<'_>, from: End) -> Outcome {
    let (key, member) = (args.key()?, args.word()?);
    if args.len() > 1 {
        return Err(Fault::Arity(cx.name().into()));
    }
    let shows_score = args.take("WITHSCORE");
    args.end()?;
    let found = cx.store.read::<ZSet>(key)?.and_then(|set| {
        let (rank, score) = set.rank(member)?;
        Some((if from == End::Lowest { rank } else { set.len() - 1 - rank }, score))
    });
    match found {
        Some((rank, _)) if !shows_score => cx.reply.len(rank),
        Some((rank, score)) => {
            cx.reply.array(2);
            cx.reply.len(rank);
            cx.reply.double(score);
        }
        None if shows_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    REPLIED
}

const ZREM: Command = Command {
    name: "ZREM",
    run: zrem,
    summary: "Removes members of a sorted set, and the set with its last one.",
    complexity: "O(M*log(N)) for M of N members",
    args: &[key("key", Usage::Update), text("member").many()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..ZSET
};

fn zrem(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let Some(mut set) = cx.store.open::<ZSet>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let removed = args.rest().filter(|member| set.remove(member).is_some()).count();
    let is_spent = set.is_empty();
    if removed == 0 {
        set.unchanged();
    }
    drop(set);
    if removed > 0 {
        cx.event(Class::ZSet, "zrem", key.bytes);
        cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    }
    cx.reply.len(removed);
    REPLIED
}
