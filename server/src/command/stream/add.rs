//! What makes a stream grow: `XADD`; and `XSETID`, which sets the counters that adding goes by.

use super::trim::{Options, TRIM, kept_by};
use super::*;
use crate::types::object::Kind;
use crate::types::stream::{AppendError, NewId, NodeLimits, SetIdError, Trim};

pub const XADD: Command = Command {
    name: "XADD",
    run: xadd,
    summary: "Adds an entry to a stream, creating it if needed, and returns its id.",
    complexity: "O(1), and O(N) for N entries that are trimmed",
    args: &[
        key("key", Usage::Update),
        token("nomkstream", "NOMKSTREAM").optional().since("6.2.0"),
        TRIM.optional(),
        one_of("id-selector", &[token("auto-id", "*"), text("id")]),
        block("data", &[text("field"), text("value")]).many(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    tips: VARIES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STREAM
};

/// All that `XADD` says of the entry and the stream, but for the key.
struct Addition<'a> {
    id: NewId,
    /// The position of the first field among the words.
    first: usize,
    args: Args<'a>,
    trim: Option<Trim>,
    must_exist: bool,
}

fn xadd(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let (now, limits) = (cx.now_ms(), cx.node.limits.of_stream());
    let addition = Addition::parse(cx, args, limits)?;
    let (id, trimmed) = if let Some(mut stream) = cx.store.open::<Stream>(key)? {
        let added = addition.add_to(&mut stream, now, limits);
        if added.is_err() {
            stream.unchanged();
        }
        added?
    } else if addition.must_exist {
        cx.reply.null();
        return REPLIED;
    } else {
        let mut stream = Stream::new();
        let added = addition.add_to(&mut stream, now, limits)?;
        cx.store.put_object(key, stream.into_object(), None);
        added
    };
    cx.event(Class::Stream, "xadd", key.bytes);
    cx.event_if(trimmed > 0, Class::Stream, "xtrim", key.bytes);
    if cx.is_noted() {
        addition.say(cx, key, id)?;
    }
    write_id(cx.reply, id);
    REPLIED
}

impl<'a> Addition<'a> {
    fn parse(cx: &Ctx<'_>, args: &mut Args<'a>, limits: NodeLimits) -> Result<Addition<'a>, Fault> {
        let mut options = Options::default();
        let mut must_exist = false;
        loop {
            let is_nomkstream = args.take("NOMKSTREAM");
            must_exist |= is_nomkstream;
            if !is_nomkstream && !options.take(args)? {
                break;
            }
        }
        let id = args.word().ok().map(NewId::parse).transpose()?;
        let trim = options.finish(limits)?;
        let Some(id) = id.filter(|_| !args.is_empty() && args.len().is_multiple_of(2)) else {
            return Err(Fault::Arity(cx.name().into()));
        };
        if id == NewId::Given(Id::MIN) {
            return Err(Fault::text("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let first = args.words().len() - args.len();
        Ok(Addition { id, first, args: args.clone(), trim, must_exist })
    }

    /// Says in the stream which id the entry has got, and what was left when it was trimmed.
    fn say(&self, cx: &Ctx<'_>, key: Key<'_>, id: Id) -> Result<(), Fault> {
        let (id, mut kept) = (id.text(), Vec::new());
        if let Some(trim) = self.trim {
            kept = kept_by(cx, key, trim.to)?;
        }
        let mut words: Vec<&[u8]> = vec![b"XADD", key.bytes];
        words.extend(kept.iter().map(Vec::as_slice));
        words.push(id.as_bytes());
        words.extend(self.args.clone().rest());
        cx.replicate(&words);
        Ok(())
    }

    /// Adds the entry, trims, and returns the entry's id with the number of entries trimmed.
    fn add_to(&self, stream: &mut Stream, now_ms: u64, limits: NodeLimits) -> Result<(Id, u64), AppendError> {
        let words = self.args.words();
        let pairs = (self.first..words.len()).step_by(2).map(|at| (words.get(at), words.get(at + 1)));
        let log = stream.log_mut();
        let id = log.append(self.id, pairs, now_ms, limits)?;
        Ok((id, self.trim.map_or(0, |trim| log.trim(trim))))
    }
}

impl From<AppendError> for Fault {
    fn from(error: AppendError) -> Fault {
        Fault::owned(format!("ERR {error}"))
    }
}

pub const XSETID: Command = Command {
    name: "XSETID",
    run: xsetid,
    summary: "Sets the last id of a stream, so that new entries follow it.",
    args: &[
        key("key", Usage::Update),
        text("last-id"),
        int("entries-added").after("ENTRIESADDED").optional().since("7.0.0"),
        text("max-deleted-id").after("MAXDELETEDID").optional().since("7.0.0"),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STREAM
};

fn xsetid(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let last = id(args.word()?)?;
    let (mut added, mut deleted) = (None, None);
    while !args.is_empty() {
        if args.take("ENTRIESADDED") {
            let count = u64::try_from(args.int()?).map_err(|_| Fault::text("ERR entries_added must be positive"))?;
            added = Some(count);
        } else if args.take("MAXDELETEDID") {
            let given = id(args.word()?)?;
            if last < given {
                return Err(SetIdError::BelowGivenDeleted.into());
            }
            deleted = Some(given);
        } else {
            return Err(Fault::Syntax);
        }
    }
    let mut stream = cx.store.open::<Stream>(key)?.ok_or(Fault::NoSuchKey)?;
    let set = stream.log_mut().set_last_id(last, added, deleted);
    // No entry has come or gone: Redis does not take this for a change of the key.
    stream.unchanged();
    drop(stream);
    set?;
    cx.event(Class::Stream, "xsetid", key.bytes);
    cx.replicate_as_is();
    cx.reply.ok();
    REPLIED
}

impl From<SetIdError> for Fault {
    fn from(error: SetIdError) -> Fault {
        Fault::owned(format!("ERR {error}"))
    }
}
