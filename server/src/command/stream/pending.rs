//! `XPENDING`: what a group has delivered and nobody acknowledged.

use super::range::{end_of, start_of};
use super::*;
use crate::base::number::{Digits, parse_i64};
use crate::types::stream::{Group as ConsumerGroup, PendingEntry};

pub const XPENDING: Command = Command {
    name: "XPENDING",
    run: xpending,
    summary: "Tells what a group has delivered and nobody acknowledged: in short, or entry by entry.",
    complexity: "O(N) for N entries looked at, or for N consumers in short",
    args: &[
        key("key", Usage::Read),
        text("group"),
        block(
            "filters",
            &[
                int("min-idle-time").after("IDLE").optional().since("6.2.0"),
                text("start"),
                text("end"),
                int("count"),
                text("consumer").optional(),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    tips: VARIES,
    ..STREAM
};

/// Which of the pending entries are told.
struct Filter<'a> {
    idle_min_ms: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

fn xpending(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name) = (args.key()?, args.word()?);
    let filter = Filter::parse(args)?;
    let now = cx.now_ms() as i64;
    let group = cx.store.read::<Stream>(key)?.and_then(|stream| stream.group(name));
    let group = group.ok_or_else(|| no_key_or_group(key.bytes, name))?;
    match filter {
        None => write_summary(cx.reply, group),
        Some(filter) => write_details(cx.reply, group, &filter, now),
    }
    REPLIED
}

impl<'a> Filter<'a> {
    /// Reads the words behind the group; `None` if there are none.
    fn parse(args: &mut Args<'a>) -> Result<Option<Filter<'a>>, Fault> {
        match args.len() {
            0 => return Ok(None),
            3..=6 => {}
            _ => return Err(Fault::Syntax),
        }
        let mut idle_min_ms = 0;
        if args.take("IDLE") {
            idle_min_ms = args.int()?;
            if args.len() < 3 {
                return Err(Fault::Syntax);
            }
        }
        let (start, end, count) = (args.word()?, args.word()?, args.word()?);
        // Redis looks at the count first, and at no word behind the consumer.
        let count = parse_i64(count).ok_or(Fault::NotInteger)?;
        Ok(Some(Filter {
            idle_min_ms,
            start: start_of(start)?,
            end: end_of(end)?,
            count: usize::try_from(count).unwrap_or(0),
            consumer: args.peek(),
        }))
    }

    fn passes(&self, entry: &PendingEntry<'_>, now_ms: i64) -> bool {
        self.idle_min_ms == 0 || entry.idle_ms(now_ms) >= self.idle_min_ms
    }
}

/// How many entries are pending, the first and the last of them, and how many each consumer has.
fn write_summary(reply: &mut Reply, group: &ConsumerGroup) {
    reply.array(4);
    reply.len(group.pending_len());
    let Some((first, last)) = group.pending_edges() else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    write_id(reply, first);
    write_id(reply, last);
    let having = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    reply.array(having().count());
    for consumer in having() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.text(Digits::new().format(consumer.pending_len()));
    }
}

fn write_details(reply: &mut Reply, group: &ConsumerGroup, filter: &Filter<'_>, now_ms: i64) {
    match filter.consumer.map(|name| group.consumer(name)) {
        None => write_pending(reply, group.pending_from(filter.start), filter, now_ms),
        Some(Some(consumer)) => write_pending(reply, group.pending_of(consumer, filter.start), filter, now_ms),
        Some(None) => reply.array(0),
    }
}

fn write_pending<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = PendingEntry<'a>>,
    filter: &Filter<'_>,
    now_ms: i64,
) {
    let start = reply.out.len();
    let mut written = 0;
    let inside = entries.take_while(|entry| entry.id <= filter.end);
    for entry in inside.filter(|entry| filter.passes(entry, now_ms)).take(filter.count) {
        reply.array(4);
        write_id(reply, entry.id);
        reply.bulk(entry.consumer.name());
        reply.int(entry.idle_ms(now_ms).max(0));
        reply.int(entry.delivery.count as i64);
        written += 1;
    }
    reply.before(start, |reply| reply.array(written));
}
