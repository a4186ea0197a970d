//! `XREAD` and `XREADGROUP`: what follows an id in several streams, to be waited for if there is nothing.

use super::*;
use crate::command::blocking::{Await, Awaited, wait_millis};

/// Keys, and behind them as many ids.
const STREAMS: Arg = block("streams", &[key("key", Usage::Read).many(), text("id").many()]).after("STREAMS");
const COUNT: Arg = int("count").after("COUNT").optional();
const BLOCK: Arg = int("milliseconds").after("BLOCK").optional();

/// The first half of the words behind `STREAMS`.
const HALF: Find = Find::Range { last: -1, step: 1, limit: 2 };

const FLAGS: Flags = Flags::BLOCKING.and(Flags::MOVABLEKEYS);

pub const XREAD: Command = Command {
    name: "XREAD",
    run: xread,
    summary: "Returns the entries behind an id of each stream, and may wait for some.",
    complexity: "O(N) for N entries returned",
    args: &[COUNT, BLOCK, STREAMS],
    flags: Flags::READONLY.and(FLAGS),
    specs: &[KeySpec { begin: Begin::Keyword { token: "STREAMS", from: 1 }, find: HALF, flags: &["RO", "access"] }],
    ..STREAM
};

pub const XREADGROUP: Command = Command {
    name: "XREADGROUP",
    run: xreadgroup,
    summary: "Returns to a consumer what its group has not read of each stream, or what it has pending; may wait.",
    args: &[
        block("group-block", &[text("group"), text("consumer")]).after("GROUP"),
        COUNT,
        BLOCK,
        token("noack", "NOACK").optional(),
        STREAMS,
    ],
    flags: Flags::WRITE.and(FLAGS),
    specs: &[KeySpec {
        begin: Begin::Options { token: "STREAMS", from: 4, options: &[("GROUP", 2), ("COUNT", 1), ("BLOCK", 1)] },
        find: HALF,
        flags: &["RO", "access"],
    }],
    ..XREAD
};

/// What stands before the keys, and where they stand.
struct Call<'a> {
    /// The most entries of each stream.
    count: usize,
    /// Whether to wait, and until when.
    block: Option<Option<u64>>,
    /// Group and consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    is_noack: bool,
    /// Keys and ids are what is left.
    args: Args<'a>,
    streams: usize,
}

impl<'a> Call<'a> {
    fn parse(cx: &Ctx<'_>, args: &mut Args<'a>, is_group: bool) -> Result<Call<'a>, Fault> {
        let mut call =
            Call { count: usize::MAX, block: None, group: None, is_noack: false, args: args.clone(), streams: 0 };
        loop {
            if args.take("BLOCK") {
                call.block = Some(wait_millis(args.word()?, cx.now_ms())?);
            } else if args.take("COUNT") {
                call.count = usize::try_from(args.int()?).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
            } else if args.len() > 1 && args.take("STREAMS") {
                break;
            } else if args.len() > 2 && args.take("GROUP") {
                refuse_unless(
                    is_group,
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                )?;
                call.group = Some((args.word()?, args.word()?));
            } else if args.take("NOACK") {
                refuse_unless(
                    is_group,
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                )?;
                call.is_noack = true;
            } else {
                return Err(Fault::Syntax);
            }
        }
        if !args.len().is_multiple_of(2) {
            return Err(unbalanced(is_group));
        }
        refuse_unless(is_group == call.group.is_some(), "ERR Missing GROUP option for XREADGROUP")?;
        Ok(Call { args: args.clone(), streams: args.len() / 2, ..call })
    }

    /// The keys, each with its id.
    fn streams(&self) -> impl Iterator<Item = Result<(Key<'a>, &'a [u8]), Fault>> + use<'a> {
        let (mut keys, mut ids) = (self.args.clone(), self.args.clone());
        let ids = ids.rest().skip(self.streams);
        ids.map(move |id| Ok((keys.key()?, id)))
    }
}

fn refuse_unless(fits: bool, error: &'static str) -> Result<(), Fault> {
    if fits { Ok(()) } else { Err(Fault::text(error)) }
}

fn unbalanced(is_group: bool) -> Fault {
    Fault::text(if is_group {
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    } else {
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
    })
}

// --- XREAD

fn xread(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let call = Call::parse(cx, args, false)?;
    let is_only = call.streams == 1;
    if !is_only {
        for stream in call.streams() {
            let (key, from) = stream?;
            cx.store.read::<Stream>(key)?;
            Since::parse(from)?;
        }
    }
    let start = cx.reply.out.len();
    let mut served = 0;
    for stream in call.streams() {
        let (key, from) = stream?;
        // Several were looked at before, and counted.
        let stream = if is_only { cx.store.read::<Stream>(key)? } else { cx.store.view::<Stream>(key)? };
        let (Since::After(from), Some(stream)) = (Since::parse(from)?, stream) else { continue };
        if let Some(first) = from.next()
            && stream.log().has_after(from)
        {
            write_head(cx.reply, key);
            write_entries(cx.reply, stream.log().range(first, Id::MAX).take(call.count));
            served += 1;
        }
    }
    finish(cx, &call, start, served, Awaited::Stream)
}

/// Where `XREAD` begins.
enum Since {
    /// Behind the entries that there are.
    Last,
    After(Id),
}

impl Since {
    fn parse(word: &[u8]) -> Result<Since, Fault> {
        match c_text(word) {
            b"$" => Ok(Since::Last),
            b">" => Err(Fault::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            _ => Ok(Since::After(id(word)?)),
        }
    }
}

/// What stands before the entries of a stream.
fn write_head(reply: &mut Reply, key: Key<'_>) {
    if reply.protocol() == 2 {
        reply.array(2);
    }
    reply.bulk(key.bytes);
}

/// Puts the number of streams in front of them, or waits for one.
fn finish(cx: &mut Ctx<'_>, call: &Call<'_>, start: usize, served: usize, what: Awaited) -> Outcome {
    if served > 0 {
        cx.reply.before(start, |reply| if reply.protocol() == 2 { reply.array(served) } else { reply.map(served) });
        return REPLIED;
    }
    let Some(for_ms) = call.block else {
        cx.reply.null_array();
        return REPLIED;
    };
    let keys = call.streams().map(|stream| Ok(stream?.0)).collect::<Result<Vec<Key<'_>>, Fault>>()?;
    let words = if what == Awaited::Stream { words_without_last(cx, call)? } else { None };
    cx.wait_for(Await { keys: &keys, what, for_ms, nothing: Reply::null_array, words })
}

/// The words with the last id in place of each `$`, which means the entries there are now; `None` if there is no `$`.
fn words_without_last(cx: &Ctx<'_>, call: &Call<'_>) -> Result<Option<Vec<Vec<u8>>>, Fault> {
    if !call.streams().any(|stream| stream.is_ok_and(|(_, from)| c_text(from) == b"$")) {
        return Ok(None);
    }
    let mut words: Vec<Vec<u8>> = call.args.words().iter().map(<[u8]>::to_vec).collect();
    let first = words.len() - call.streams;
    for (word, stream) in words[first..].iter_mut().zip(call.streams()) {
        let (key, from) = stream?;
        if c_text(from) == b"$" {
            let last = cx.store.view::<Stream>(key)?.map_or(Id::MIN, |stream| stream.log().counters().last_id);
            *word = last.text().as_bytes().to_vec();
        }
    }
    Ok(Some(words))
}

// --- XREADGROUP

fn xreadgroup(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let call = Call::parse(cx, args, true)?;
    let Some((group, _)) = call.group else { return Err(Fault::Syntax) };
    if call.streams > 1 {
        for stream in call.streams() {
            let (key, from) = stream?;
            let found = cx.store.read::<Stream>(key)?.and_then(|stream| stream.group(group));
            found.ok_or_else(|| no_group_to_read(key.bytes, group))?;
            Reading::parse(from)?;
        }
    }
    let start = cx.reply.out.len();
    let mut served = 0;
    for stream in call.streams() {
        let (key, from) = stream?;
        served += usize::from(serve_group(cx, &call, key, from)?);
    }
    finish(cx, &call, start, served, Awaited::Group)
}

/// What a consumer asks for.
enum Reading {
    /// What the group has not read.
    New,
    /// What the consumer has pending behind an id.
    Pending(Id),
}

impl Reading {
    fn parse(word: &[u8]) -> Result<Reading, Fault> {
        match c_text(word) {
            b">" => return Ok(Reading::New),
            b"$" => {
                return Err(Fault::text(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                     return an empty result set.",
                ));
            }
            _ => {}
        }
        // Nothing can be pending behind the largest id, which stands for `>` in Redis.
        Ok(id(word)?.next().map_or(Reading::New, Reading::Pending))
    }
}

/// Answers what a consumer gets of one stream; false if there is nothing to say, which is so for new entries alone.
fn serve_group(cx: &mut Ctx<'_>, call: &Call<'_>, key: Key<'_>, from: &[u8]) -> Result<bool, Fault> {
    let Some((group, consumer)) = call.group else { return Err(Fault::Syntax) };
    let now = cx.now_ms() as i64;
    let (is_noted, mut said) = (cx.is_noted(), Doings::default());
    let done = in_group(cx, key, group, |group, reply| {
        let reading = Reading::parse(from)?;
        let (consumer, is_new) = group.find_or_add_consumer(consumer, now);
        group.see(consumer, now);
        if matches!(reading, Reading::New) && !group.log().has_after(group.last_id()) {
            return Ok::<_, Fault>((is_new, false));
        }
        write_head(reply, key);
        let start = reply.out.len();
        let written = match reading {
            Reading::New => {
                said.has_moved = true;
                let delivery = Delivery { time_ms: now, count: 1 };
                group.read_new(consumer, call.count, call.is_noack, now, |entry| {
                    write_entry(reply, &entry);
                    said.taken.extend((is_noted && !call.is_noack).then_some((entry.id, delivery)));
                })
            }
            Reading::Pending(first) => group.read_again(consumer, first, call.count, now, |id, entry| match entry {
                Some(entry) => {
                    write_entry(reply, &entry);
                    // How often it was delivered is looked up below.
                    said.taken.extend(is_noted.then_some((id, Delivery { time_ms: now, count: 0 })));
                }
                None => write_deleted(reply, id),
            }),
        };
        for (id, delivery) in said.taken.iter_mut().filter(|(_, delivery)| delivery.count == 0) {
            *delivery = group.pending(*id).map_or(*delivery, |pending| pending.delivery);
        }
        said.at(group);
        reply.before(start, |reply| reply.array(written));
        Ok((is_new, true))
    })?;
    let (is_new, is_served) = done.ok_or_else(|| no_group_to_read(key.bytes, group))??;
    tell_of_consumer(cx, is_new, key, (group, consumer));
    said.say(cx, key, (group, consumer));
    Ok(is_served)
}

/// An entry that is pending but was deleted from the stream.
fn write_deleted(reply: &mut Reply, id: Id) {
    reply.array(2);
    write_id(reply, id);
    reply.null_array();
}

fn no_group_to_read(key: &[u8], group: &[u8]) -> Fault {
    let parts = [b"NOGROUP No such key '", c_text(key), b"' or consumer group '", c_text(group)];
    Fault::Bytes([&parts.concat()[..], b"' in XREADGROUP with GROUP option"].concat())
}
