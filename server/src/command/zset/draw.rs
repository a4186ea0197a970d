//! `ZRANDMEMBER`: members drawn by lot.

use super::{Shown, ZSET, push_head, push_member};
use crate::command::*;
use crate::store::policy::lfu::random;
use crate::types::draw;
use crate::types::zset::ZSet;

pub const ZRANDMEMBER: Command = Command {
    name: "ZRANDMEMBER",
    run: zrandmember,
    summary: "Returns members of a sorted set drawn at random: different ones, or any if the count is negative.",
    complexity: "O(N) for N members returned",
    since: "6.2.0",
    args: &[
        key("key", Usage::Read),
        block("options", &[int("count"), token("withscores", "WITHSCORES").optional()]).optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..ZSET
};

/// Of a set that is at most this many times as large as what is drawn from it, every member is passed.
const PASSED_MAX: usize = 3;

fn zrandmember(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if args.is_empty() {
        match cx.store.read::<ZSet>(key)?.and_then(|set| set.random(random())) {
            Some((member, _)) => cx.reply.bulk(&member),
            None => cx.reply.null(),
        }
        return REPLIED;
    }
    let (count, shown) = count_and_shown(args)?;
    let Some(set) = cx.store.read::<ZSet>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    let reply = &mut *cx.reply;
    match usize::try_from(count) {
        Ok(count) => different(reply, set, count, shown),
        Err(_) => any(reply, set, count.unsigned_abs() as usize, shown),
    }
    REPLIED
}

fn count_and_shown(args: &mut Args<'_>) -> Result<(i64, Shown), Fault> {
    let count = args.int()?;
    if count == i64::MIN {
        let (min, max) = (-i64::MAX, i64::MAX);
        return Err(Fault::owned(format!("ERR value is out of range, value must between {min} and {max}")));
    }
    let shown = if args.take("WITHSCORES") { Shown::WithScores } else { Shown::Members };
    args.end()?;
    if shown == Shown::WithScores && count.unsigned_abs() > (i64::MAX / 2) as u64 {
        return Err(Fault::OutOfRange("value"));
    }
    Ok((count, shown))
}

/// Members each of which may come again.
fn any(reply: &mut Reply, set: &ZSet, count: usize, shown: Shown) {
    push_head(reply, count, shown);
    for (member, score) in (0..count).map_while(|_| set.random(random())) {
        push_member(reply, &member, score, shown);
    }
}

/// Members that are different.
fn different(reply: &mut Reply, set: &ZSet, count: usize, shown: Shown) {
    let count = count.min(set.len());
    push_head(reply, count, shown);
    if set.len() <= count.saturating_mul(PASSED_MAX) {
        let members = set.iter().rev();
        draw::choose(members, set.len(), count, &mut random, |(member, score)| {
            push_member(reply, &member, score, shown);
        });
        return;
    }
    for rank in different_ranks(set.len(), count) {
        if let Some((member, score)) = set.at(rank) {
            push_member(reply, &member, score, shown);
        }
    }
}

/// Ranks below `len`, each such choice being equally likely; there are many more than are chosen.
fn different_ranks(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let mut seen = std::collections::HashSet::with_capacity(count);
    let ranks = std::iter::repeat_with(move || draw::below(&mut random, len));
    ranks.filter(move |&rank| seen.insert(rank)).take(count)
}
