//! Consumer groups: `XGROUP` and its sub-commands, and `XACK`.

use super::*;
use crate::command::help::HELP;
use crate::types::object::Kind;

pub const XGROUP: Command = Command {
    name: "XGROUP",
    summary: "Makes, changes and destroys consumer groups.",
    complexity: "Depends on subcommand.",
    subcommands: &[CREATE, CREATECONSUMER, DELCONSUMER, DESTROY, Command { group: Group::Stream, ..HELP }, SETID],
    ..STREAM
};

const ID: Arg = one_of("id-selector", &[text("id"), token("new-id", "$")]);
const ENTRIES_READ: Arg = int("entriesread").shown_as("entries-read").after("ENTRIESREAD").optional().since("7.0.0");

const KEY: Arg = key("key", Usage::Update);

const CREATE: Command = Command {
    name: "CREATE",
    run: create,
    summary: "Makes a consumer group.",
    args: &[KEY, text("group"), ID, token("mkstream", "MKSTREAM").optional(), ENTRIES_READ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Flags(&["RW", "insert"]),
    ..STREAM
};

fn create(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, from) = (args.key()?, args.word()?, args.word()?);
    let options = Options::parse(args, true)?;
    if let Some(mut stream) = cx.store.open::<Stream>(key)? {
        let made = create_in(&mut stream, args, name, from, &options);
        stream.unchanged();
        made?;
    } else if options.makes_stream {
        let mut stream = Stream::new();
        create_in(&mut stream, args, name, from, &options)?;
        cx.store.put_object(key, stream.into_object(), None);
    } else {
        return Err(key_missing());
    }
    cx.event(Class::Stream, "xgroup-create", key.bytes);
    cx.replicate_as_is();
    cx.reply.ok();
    REPLIED
}

fn create_in(stream: &mut Stream, args: &Args<'_>, name: &[u8], from: &[u8], options: &Options) -> Result<(), Fault> {
    check_words(args, &[5, 6, 7, 8])?;
    let last = if c_text(from) == b"$" { stream.log().counters().last_id } else { id(from)? };
    if !stream.create_group(name, last, options.entries_read) {
        return Err(Fault::text("BUSYGROUP Consumer Group name already exists"));
    }
    Ok(())
}

/// What may stand behind the id in `CREATE` and `SETID`.
#[derive(Default)]
struct Options {
    makes_stream: bool,
    /// `None` if it is not known, which may also be said in as many words.
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: &mut Args<'_>, is_create: bool) -> Result<Options, Fault> {
        let mut options = Options::default();
        while !args.is_empty() {
            if is_create && args.take("MKSTREAM") {
                options.makes_stream = true;
            } else if args.len() > 1 && args.take("ENTRIESREAD") {
                options.entries_read = match args.int()? {
                    -1 => None,
                    count => Some(
                        u64::try_from(count)
                            .map_err(|_| Fault::text("ERR value for ENTRIESREAD must be positive or -1"))?,
                    ),
                };
            } else {
                return Err(bad_words(args));
            }
        }
        Ok(options)
    }
}

/// An error unless the request has one of these numbers of words, as options that are said again make it longer.
fn check_words(args: &Args<'_>, allowed: &[usize]) -> Result<(), Fault> {
    if allowed.contains(&args.words().len()) { Ok(()) } else { Err(bad_words(args)) }
}

fn bad_words(args: &Args<'_>) -> Fault {
    Fault::subcommand_syntax("XGROUP", args.words().get(1))
}

fn key_missing() -> Fault {
    Fault::text(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
         option to create an empty stream automatically.",
    )
}

/// The group or the stream is not there.
fn missing(cx: &mut Ctx<'_>, key: Key<'_>, group: &[u8]) -> Fault {
    if cx.store.peek(key).is_none() { key_missing() } else { no_group_of_key(group, key.bytes) }
}

const SETID: Command = Command {
    name: "SETID",
    run: set_id,
    summary: "Sets the id that a group has read last.",
    args: &[KEY, text("group"), ID, ENTRIES_READ],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STREAM
};

fn set_id(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, from) = (args.key()?, args.word()?, args.word()?);
    let options = Options::parse(args, false)?;
    let done = in_group(cx, key, name, |group, _| {
        check_words(args, &[5, 7])?;
        let last = match c_text(from) {
            b"$" => group.log().counters().last_id,
            // Redis takes `-` and `+` here, unlike for a group that is made.
            _ => Id::parse_or_edge(from, 0)?,
        };
        group.set_last_id(last, options.entries_read);
        Ok::<(), Fault>(())
    })?;
    done.ok_or_else(|| missing(cx, key, name))??;
    cx.event(Class::Stream, "xgroup-setid", key.bytes);
    cx.replicate_as_is();
    cx.reply.ok();
    REPLIED
}

const DESTROY: Command = Command {
    name: "DESTROY",
    run: destroy,
    summary: "Destroys a consumer group with all that it has pending.",
    complexity: "O(N) for N pending entries",
    args: &[KEY, text("group")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..STREAM
};

fn destroy(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name) = (args.key()?, args.word()?);
    let mut stream = cx.store.open::<Stream>(key)?.ok_or_else(key_missing)?;
    let group = stream.destroy_group(name);
    stream.unchanged();
    drop(stream);
    let was_there = group.is_some();
    if let Some(group) = group {
        cx.store.discard_group(key, group);
    }
    cx.event_if(was_there, Class::Stream, "xgroup-destroy", key.bytes);
    if was_there {
        cx.replicate_as_is();
    }
    cx.reply.int(was_there.into());
    REPLIED
}

const CREATECONSUMER: Command = Command {
    name: "CREATECONSUMER",
    run: create_consumer,
    summary: "Makes a consumer in a group, and tells whether it is new.",
    since: "6.2.0",
    args: &[KEY, text("group"), text("consumer")],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Flags(&["RW", "insert"]),
    ..STREAM
};

fn create_consumer(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key()?, args.word()?, args.word()?);
    let now = cx.now_ms() as i64;
    let is_new = in_group(cx, key, name, |group, _| group.find_or_add_consumer(consumer, now).1)?;
    let is_new = is_new.ok_or_else(|| missing(cx, key, name))?;
    tell_of_consumer(cx, is_new, key, (name, consumer));
    cx.reply.int(is_new.into());
    REPLIED
}

const DELCONSUMER: Command = Command {
    name: "DELCONSUMER",
    run: delete_consumer,
    summary: "Deletes a consumer from a group, and tells how many entries it had pending.",
    complexity: "O(N) for N pending entries",
    args: &[KEY, text("group"), text("consumer")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..STREAM
};

fn delete_consumer(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key()?, args.word()?, args.word()?);
    let pending = in_group(cx, key, name, |group, _| group.delete_consumer(consumer))?;
    let pending = pending.ok_or_else(|| missing(cx, key, name))?;
    cx.event_if(pending.is_some(), Class::Stream, "xgroup-delconsumer", key.bytes);
    if pending.is_some() {
        cx.replicate_as_is();
    }
    cx.reply.len(pending.unwrap_or(0));
    REPLIED
}

pub const XACK: Command = Command {
    name: "XACK",
    run: xack,
    summary: "Acknowledges entries, so that they are pending in a group no longer.",
    complexity: "O(1) for each entry",
    args: &[key("key", Usage::Update), text("group"), text("id").many()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STREAM
};

fn xack(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name) = (args.key()?, args.word()?);
    let acknowledged = in_group(cx, key, name, |group, _| {
        check_ids(args)?;
        let mut count = 0;
        for word in args.rest() {
            count += usize::from(group.acknowledge(id(word)?));
        }
        Ok::<usize, Fault>(count)
    })?;
    let acknowledged = acknowledged.transpose()?.unwrap_or(0);
    if acknowledged > 0 {
        cx.replicate_as_is();
    }
    cx.reply.len(acknowledged);
    REPLIED
}
