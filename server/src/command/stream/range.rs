//! `XRANGE` and `XREVRANGE`: entries between two ids.

use super::*;
use crate::types::stream::Bound;

const COUNT: Arg = int("count").after("COUNT").optional();

pub const XRANGE: Command = Command {
    name: "XRANGE",
    run: |cx, args| answer(cx, args, false),
    summary: "Returns the entries between two ids.",
    complexity: "O(N) for N entries returned",
    args: &[key("key", Usage::Read), text("start"), text("end"), COUNT],
    flags: Flags::READONLY,
    ..STREAM
};

pub const XREVRANGE: Command = Command {
    name: "XREVRANGE",
    run: |cx, args| answer(cx, args, true),
    summary: "Returns the entries between two ids, from the last to the first.",
    args: &[key("key", Usage::Read), text("end"), text("start"), COUNT],
    ..XRANGE
};

fn answer(cx: &mut Ctx<'_>, args: &mut Args<'_>, is_reversed: bool) -> Outcome {
    let key = args.key()?;
    let (first, second) = (args.word()?, args.word()?);
    let (start, end) = if is_reversed { (second, first) } else { (first, second) };
    let (start, end) = (start_of(start)?, end_of(end)?);
    let mut count = None;
    while !args.is_empty() {
        if !args.take("COUNT") {
            return Err(Fault::Syntax);
        }
        count = Some(usize::try_from(args.int()?).unwrap_or(0));
    }
    let Some(stream) = cx.store.read::<Stream>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    match (count, is_reversed) {
        (Some(0), _) => cx.reply.null_array(),
        (_, false) => write_entries(cx.reply, stream.log().range(start, end).take(count.unwrap_or(usize::MAX))),
        (_, true) => write_entries(cx.reply, stream.log().range_back(start, end).take(count.unwrap_or(usize::MAX))),
    }
    REPLIED
}

/// The first id of a range that begins as a word says.
pub fn start_of(word: &[u8]) -> Result<Id, Fault> {
    Bound::parse(word, 0)?.first().ok_or(Fault::text("ERR invalid start ID for the interval"))
}

/// The last id of a range that ends as a word says.
pub fn end_of(word: &[u8]) -> Result<Id, Fault> {
    Bound::parse(word, u64::MAX)?.last().ok_or(Fault::text("ERR invalid end ID for the interval"))
}
