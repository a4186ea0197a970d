//! `ZSCAN`: a walk through a sorted set in steps.

use super::ZSET;
use crate::base::number::{Digits, push_f64, push_f64_17};
use crate::command::scan::{Step, cursor};
use crate::command::*;
use crate::types::zset::ZSet;

pub const ZSCAN: Command = Command {
    name: "ZSCAN",
    run: zscan,
    summary: "Walks the members of a sorted set, with their scores, in steps.",
    complexity: "O(1) for a step, O(N) for a walk over N members",
    since: "2.8.0",
    args: &[
        key("key", Usage::Read),
        int("cursor"),
        pattern("pattern").after("MATCH").optional(),
        int("count").after("COUNT").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..ZSET
};

fn zscan(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, cursor) = (args.key()?, cursor(args)?);
    let reply = &mut *cx.reply;
    let Some(set) = cx.store.read::<ZSet>(key)? else {
        push_head(reply, 0, 0);
        return REPLIED;
    };
    // What stands behind the cursor is looked at only if there is a set, as in Redis.
    let step = Step::parse(args)?;
    let start = reply.out.len();
    let (mut next, mut visited, mut shown) = (cursor, 0, 0);
    loop {
        next = set.scan(next, |member, score| {
            visited += 1;
            if step.passes(member) {
                shown += 1;
                reply.bulk(member);
                push_score(reply, set, score);
            }
        });
        if next == 0 || visited >= step.count {
            break;
        }
    }
    reply.before(start, |reply| push_head(reply, next, shown));
    REPLIED
}

fn push_head(reply: &mut Reply, next: u64, members: usize) {
    reply.array(2);
    reply.text(Digits::new().format(next));
    reply.array(2 * members);
}

/// A score is a string here, in RESP3 too. Redis 7.2 has the digits of its time for a small set, for a large one still
/// those of its earlier versions.
fn push_score(reply: &mut Reply, set: &ZSet, score: f64) {
    let push = if set.is_small() { push_f64 } else { push_f64_17 };
    reply.written(|out| push(out, score));
}
