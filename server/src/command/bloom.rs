//! Bloom filters: sets that never deny a member, and take others for one now and then. The commands and replies are those of the module
//! RedisBloom. `types/bloom` has the filters themselves.

use super::*;
use crate::base::number::{parse_f64, parse_i64};
use crate::persist::rdb;
use crate::store::{Edit, Key};
use crate::types::bloom::{Bloom, BloomError, CAPACITY, ERROR_RATE, EXPANSION, EXPANSION_MAX, Hashes};
use crate::types::object::Kind;

pub const COMMANDS: &[Command] = &[ADD, CARD, EXISTS, INFO, INSERT, LOADCHUNK, MADD, MEXISTS, RESERVE, SCANDUMP];

/// Redis has the module's commands since then.
const BF: Command = Command { group: Group::Bf, since: "8.0.0", ..COMMAND };

const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM);

/// Bytes of a chunk of `BF.SCANDUMP`, which are copied under a lock.
const CHUNK_MAX: usize = 1 << 20;

const NOT_FOUND: Fault = Fault::text("ERR not found");
const BAD_DATA: Fault = Fault::text("ERR received bad data");

impl From<BloomError> for Fault {
    fn from(error: BloomError) -> Fault {
        Fault::owned(format!("ERR {error}"))
    }
}

/// What a filter is to be like if there is none yet.
struct Wish {
    capacity: u64,
    error_rate: f64,
    expansion: Option<u32>,
    creates: bool,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish { capacity: CAPACITY, error_rate: ERROR_RATE, expansion: Some(EXPANSION), creates: true }
    }
}

const RESERVE: Command = Command {
    name: "BF.RESERVE",
    run: reserve,
    summary: "Makes an empty filter for so many items, that takes others for one of them at this rate.",
    args: &[
        key("key", Usage::Write),
        double("error_rate"),
        int("capacity"),
        int("expansion").after("EXPANSION").optional(),
        token("nonscaling", "NONSCALING").optional(),
    ],
    flags: WRITES,
    ..BF
};

fn reserve(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let error_rate = parse_f64(args.word()?).ok_or(Fault::text("ERR bad error rate"))?;
    if !(error_rate > 0.0 && error_rate < 1.0) {
        return Err(Fault::text("ERR (0 < error rate range < 1)"));
    }
    let capacity = parse_i64(args.word()?).ok_or(Fault::text("ERR bad capacity"))?;
    if capacity <= 0 {
        return Err(Fault::text("ERR (capacity should be larger than 0)"));
    }
    let (mut expansion, mut scales) = (None, true);
    while !args.is_empty() {
        if args.take("NONSCALING") {
            scales = false;
        } else if args.take("EXPANSION") {
            let word = args.word().map_err(|_| Fault::text("ERR no expansion"))?;
            expansion = Some(expansion_of(word, Fault::text("ERR bad expansion"))?);
        } else {
            return Err(Fault::Syntax);
        }
    }
    if !scales && expansion.is_some() {
        return Err(Fault::text("Nonscaling filters cannot expand"));
    }
    if cx.store.view::<Bloom>(key)?.is_some() {
        return Err(Fault::text("ERR item exists"));
    }
    let expansion = if scales { expansion.unwrap_or(Some(EXPANSION)) } else { None };
    create(cx, key, Bloom::reserve(capacity as u64, error_rate, expansion)?);
    cx.reply.ok();
    REPLIED
}

/// How a filter is to grow; `None` if it is not to.
fn expansion_of(word: &[u8], refusal: Fault) -> Result<Option<u32>, Fault> {
    let number = parse_i64(word).ok_or(refusal)?;
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number @ 1..=EXPANSION_MAX) => Ok(Some(number)),
        _ => Err(Fault::owned(format!("ERR expansion must be in the range [0, {EXPANSION_MAX}]"))),
    }
}

/// Puts a new filter under a key that is not there.
fn create(cx: &mut Ctx<'_>, key: Key<'_>, bloom: Bloom) {
    cx.event(Class::New, "new", key.bytes);
    cx.store.put_object(key, bloom.into_object(), None);
}

const ADD: Command = Command {
    name: "BF.ADD",
    run: add,
    summary: "Adds an item to a filter, which is made if needed, and tells whether it was new.",
    complexity: "O(K) for K hashes of an item",
    args: &[key("key", Usage::Update), text("item")],
    flags: WRITES,
    ..BF
};

fn add(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let item = Hashes::of(args.word()?);
    let mut filter = open(cx, key, &Wish::default())?;
    let is_new = !filter.has(item);
    if is_new {
        filter.add(item)?;
    }
    drop(filter);
    cx.reply.bool(is_new);
    REPLIED
}

/// The filter of a key, to be changed; a new one if there is none and that is wished for.
fn open<'c>(cx: &'c mut Ctx<'_>, key: Key<'_>, wish: &Wish) -> Result<Edit<'c, Bloom>, Fault> {
    if cx.store.view::<Bloom>(key)?.is_none() {
        if !wish.creates {
            return Err(NOT_FOUND);
        }
        create(cx, key, Bloom::reserve(wish.capacity, wish.error_rate, wish.expansion)?);
    }
    // One that was made just now may be more than there is room for.
    cx.store.open(key)?.ok_or(Fault::OutOfMemory)
}

const MADD: Command = Command {
    name: "BF.MADD",
    run: |cx, args| {
        let key = args.key()?;
        add_all(cx, key, args, &Wish::default())
    },
    summary: "Adds items to a filter, which is made if needed, and tells of each whether it was new.",
    complexity: "O(K * N) for N items with K hashes each",
    args: &[key("key", Usage::Update), text("item").many()],
    flags: WRITES,
    ..BF
};

const INSERT: Command = Command {
    name: "BF.INSERT",
    run: insert,
    summary: "Adds items to a filter, which is made as the options say if needed, and tells of each whether it was new.",
    complexity: "O(K * N) for N items with K hashes each",
    args: &[
        key("key", Usage::Update),
        int("capacity").after("CAPACITY").optional(),
        double("error").after("ERROR").optional(),
        int("expansion").after("EXPANSION").optional(),
        token("nocreate", "NOCREATE").optional(),
        token("nonscaling", "NONSCALING").optional(),
        text("item").after("ITEMS").many(),
    ],
    flags: WRITES,
    ..BF
};

fn insert(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let mut wish = Wish::default();
    while !args.take("ITEMS") {
        if args.take("NOCREATE") {
            wish.creates = false;
        } else if args.take("NONSCALING") {
            wish.expansion = None;
        } else if args.take("CAPACITY") {
            let capacity = parse_i64(option(cx, args)?).ok_or(Fault::text("Bad capacity"))?;
            wish.capacity = u64::try_from(capacity).unwrap_or(0);
        } else if args.take("ERROR") {
            wish.error_rate = parse_f64(option(cx, args)?).ok_or(Fault::text("Bad error rate"))?;
        } else if args.take("EXPANSION") {
            wish.expansion = expansion_of(option(cx, args)?, Fault::text("Bad expansion"))?;
        } else if args.is_empty() {
            return Err(Fault::Arity(cx.name().into()));
        } else {
            return Err(Fault::text("Unknown argument received"));
        }
    }
    if args.is_empty() {
        return Err(Fault::Arity(cx.name().into()));
    }
    if wish.capacity == 0 || !(wish.error_rate > 0.0 && wish.error_rate < 1.0) {
        return Err(Fault::text("Bad argument received"));
    }
    add_all(cx, key, args, &wish)
}

/// The word behind an option.
fn option<'a>(cx: &Ctx<'_>, args: &mut Args<'a>) -> Result<&'a [u8], Fault> {
    args.word().map_err(|_| Fault::Arity(cx.name().into()))
}

/// Adds all words that are left. The reply ends with the first that there is no room for.
fn add_all(cx: &mut Ctx<'_>, key: Key<'_>, args: &mut Args<'_>, wish: &Wish) -> Outcome {
    let mut told = Vec::with_capacity(args.len());
    let mut filter = open(cx, key, wish)?;
    let mut refusal = None;
    for item in args.rest().map(Hashes::of) {
        let is_new = !filter.has(item);
        if is_new && let Err(error) = filter.add(item) {
            refusal = Some(Fault::from(error));
            break;
        }
        told.push(is_new);
    }
    drop(filter);
    cx.reply.array(told.len() + usize::from(refusal.is_some()));
    told.into_iter().for_each(|is_new| cx.reply.bool(is_new));
    refusal.iter().for_each(|fault| cx.reply.error(fault));
    REPLIED
}

const EXISTS: Command = Command {
    name: "BF.EXISTS",
    run: |cx, args| {
        let key = args.key()?;
        exists(cx, key, args)
    },
    summary: "Tells whether an item may have been added to a filter; if not, it was not.",
    complexity: "O(K) for K hashes of an item",
    args: &[key("key", Usage::Read), text("item")],
    flags: Flags::READONLY,
    ..BF
};

const MEXISTS: Command = Command {
    name: "BF.MEXISTS",
    run: |cx, args| {
        let key = args.key()?;
        cx.reply.array(args.len());
        exists(cx, key, args)
    },
    summary: "Tells of each item whether it may have been added to a filter.",
    complexity: "O(K * N) for N items with K hashes each",
    args: &[key("key", Usage::Read), text("item").many()],
    flags: Flags::READONLY,
    ..BF
};

fn exists(cx: &mut Ctx<'_>, key: Key<'_>, args: &mut Args<'_>) -> Outcome {
    let filter = cx.store.read::<Bloom>(key)?;
    for item in args.rest() {
        cx.reply.bool(filter.is_some_and(|filter| filter.has(Hashes::of(item))));
    }
    if filter.is_none() {
        cx.missed(key);
    }
    REPLIED
}

const CARD: Command = Command {
    name: "BF.CARD",
    run: card,
    summary: "Returns how many items were added to a filter and were new to it.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    ..BF
};

fn card(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let items = cx.store.read::<Bloom>(key)?.map(Bloom::len);
    if items.is_none() {
        cx.missed(key);
    }
    cx.reply.int(items.unwrap_or(0) as i64);
    REPLIED
}

const INFO: Command = Command {
    name: "BF.INFO",
    run: info,
    summary: "Returns what a filter is like.",
    args: &[
        key("key", Usage::Read),
        one_of(
            "single_value",
            &[
                token("capacity", "CAPACITY"),
                token("size", "SIZE"),
                token("filters", "FILTERS"),
                token("items", "ITEMS"),
                token("expansion", "EXPANSION"),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    ..BF
};

/// A fact of `BF.INFO`: the word that asks for it alone, its name, and what it is.
type Fact = (&'static str, &'static str, fn(&Bloom) -> Option<u64>);

const FACTS: [Fact; 5] = [
    ("CAPACITY", "Capacity", |filter| Some(filter.capacity())),
    ("SIZE", "Size", |filter| Some(size(filter))),
    ("FILTERS", "Number of filters", |filter| Some(filter.layers().len() as u64)),
    ("ITEMS", "Number of items inserted", |filter| Some(filter.len())),
    ("EXPANSION", "Expansion rate", |filter| filter.expansion().map(u64::from)),
];

/// Bytes as RedisBloom counts them, whose structures have other sizes; `MEMORY USAGE` tells what a filter takes here.
fn size(filter: &Bloom) -> u64 {
    32 + 64 * filter.layers().len() as u64 + filter.bit_bytes()
}

fn info(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(Fault::Arity(cx.name().into()));
    }
    let filter = cx.store.read::<Bloom>(key)?.ok_or(NOT_FOUND)?;
    if let Some(word) = args.peek() {
        let asked = FACTS.iter().find(|(name, ..)| name.as_bytes().eq_ignore_ascii_case(word));
        let (_, _, fact) = asked.ok_or(Fault::text("ERR Invalid information value"))?;
        cx.reply.array(1);
        tell(cx.reply, fact(filter));
        return REPLIED;
    }
    cx.reply.map(FACTS.len());
    for (_, name, fact) in FACTS {
        cx.reply.simple(name);
        tell(cx.reply, fact(filter));
    }
    REPLIED
}

fn tell(reply: &mut Reply, fact: Option<u64>) {
    match fact {
        Some(number) => reply.int(i64::try_from(number).unwrap_or(i64::MAX)),
        None => reply.null(),
    }
}

const SCANDUMP: Command = Command {
    name: "BF.SCANDUMP",
    run: scandump,
    summary: "Returns a part of a filter, as BF.LOADCHUNK takes it, and what to ask for next, from 0 to 0.",
    complexity: "O(N) for a part of N bytes",
    args: &[key("key", Usage::Read), int("iterator")],
    flags: Flags::READONLY,
    ..BF
};

fn scandump(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let from = parse_i64(args.word()?).ok_or(Fault::text("ERR Second argument must be numeric"))?;
    let filter = cx.store.read::<Bloom>(key)?.ok_or(NOT_FOUND)?;
    cx.reply.array(2);
    if from == 0 {
        cx.reply.int(1);
        cx.reply.bulk(&rdb::chunk_of_shapes(filter));
        return REPLIED;
    }
    let at = u64::try_from(from).ok().and_then(|from| from.checked_sub(1));
    let mut chunk = Vec::new();
    if let Some((layer, inner)) = at.and_then(|at| filter.layer_at(at)) {
        for part in layer.bytes_from(inner) {
            chunk.extend_from_slice(&part[..part.len().min(CHUNK_MAX - chunk.len())]);
        }
    }
    cx.reply.int(if chunk.is_empty() { 0 } else { from + chunk.len() as i64 });
    cx.reply.bulk(&chunk);
    REPLIED
}

const LOADCHUNK: Command = Command {
    name: "BF.LOADCHUNK",
    run: loadchunk,
    summary: "Takes a part of a filter that BF.SCANDUMP returned; the first makes the filter.",
    complexity: "O(N) for a part of N bytes",
    args: &[key("key", Usage::Update), int("iterator"), text("data")],
    flags: WRITES,
    ..BF
};

fn loadchunk(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let end = parse_i64(args.word()?).ok_or(Fault::text("ERR Second argument must be numeric"))?;
    let data = args.word()?;
    let is_there = cx.store.view::<Bloom>(key)?.is_some();
    match is_there {
        false if end == 1 => {
            let filter = rdb::of_shapes(data).map_err(|error| match error {
                BloomError::Unsound => BAD_DATA,
                error => error.into(),
            })?;
            create(cx, key, filter);
        }
        false => return Err(NOT_FOUND),
        true => {
            // It is the number behind the part, and numbers begin with 1.
            let at = end.checked_sub(data.len() as i64).and_then(|start| u64::try_from(start - 1).ok());
            let at = at.filter(|_| !data.is_empty()).ok_or(BAD_DATA)?;
            let mut filter = cx.store.open::<Bloom>(key)?.ok_or(NOT_FOUND)?;
            if filter.layer_at(at).is_none() {
                return Err(Fault::text("ERR invalid offset - no link found"));
            }
            filter.write(at, data).map_err(|_| Fault::text("ERR invalid chunk - Too big for current filter"))?;
        }
    }
    cx.reply.ok();
    REPLIED
}

#[cfg(test)]
mod tests;
