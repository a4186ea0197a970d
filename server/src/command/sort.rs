//! `SORT` and `SORT_RO`: the elements of a list, a set or a sorted set, in an order that other keys may decide.
//!
//! The elements are copied out first: patterns lead to keys all over the store, and one of those may be the very
//! collection. Then come their weights, the order, and for each of those asked for what the `GET` patterns lead to.

use super::*;
use crate::base::number::Digits;
use crate::store::Key;
use crate::types::list::{End, List};
use crate::types::object::Kind;

mod order;
mod pattern;

use order::{By, Rows};
use pattern::Pattern;

pub const COMMANDS: &[Command] = &[SORT, SORT_RO];

const SORTED: KeySpec = KeySpec::range_of(1, 0, &["RO", "access"]);

/// The keys that `BY` and `GET` lead to, which elements decide.
const LED_TO: KeySpec =
    KeySpec { begin: Begin::Unknown { last_after: None }, find: Find::Unknown, flags: &["RO", "access"] };

const STORED: KeySpec =
    KeySpec { begin: Begin::Unknown { last_after: Some("STORE") }, find: Find::Unknown, flags: &["OW", "update"] };

const BY: Arg = pattern("by-pattern").after("BY").optional().shown_as("pattern");
const LIMIT: Arg = block("limit", &[int("offset"), int("count")]).after("LIMIT").optional();
const GET: Arg = pattern("get-pattern").after("GET").optional().many_tokens().shown_as("pattern");
const ORDER: Arg = one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional();
const SORTING: Arg = token("sorting", "ALPHA").optional();

const SORT: Command = Command {
    name: "SORT",
    run: |cx, args| sort(cx, args, true),
    summary: "Sorts the elements of a list, a set or a sorted set, and may store what comes of it.",
    complexity: "O(N+M*log(M)) for N elements of which M are answered",
    args: &[
        key("key", Usage::Read),
        BY,
        LIMIT,
        GET,
        ORDER,
        SORTING,
        key("destination", Usage::Write).after("STORE").optional(),
    ],
    flags: Flags::WRITE
        .and(Flags::DENYOOM)
        .and(Flags::MOVABLEKEYS)
        .and(Flags::DANGEROUS)
        .and(Flags::UNGROUPED)
        .and(Flags::COLLECTIONS),
    specs: &[SORTED, LED_TO, STORED],
    // A key may itself be called STORE, and then only the handler can tell which word is which.
    scope: Scope::AllKeysBeyond(&[("BY", 0), ("GET", 0), ("STORE", 1)]),
    ..COMMAND
};

const SORT_RO: Command = Command {
    name: "SORT_RO",
    run: |cx, args| sort(cx, args, false),
    summary: "Sorts the elements of a list, a set or a sorted set.",
    since: "7.0.0",
    args: &[key("key", Usage::Read), BY, LIMIT, GET, ORDER, SORTING],
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS).and(Flags::DANGEROUS).and(Flags::UNGROUPED).and(Flags::COLLECTIONS),
    specs: &[SORTED, LED_TO],
    scope: Scope::AllKeysBeyond(&[("BY", 0), ("GET", 0)]),
    ..SORT
};

const ELSEWHERE_BY: Fault = Fault::text(
    "ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.",
);

const ELSEWHERE_GET: Fault = Fault::text(
    "ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots.",
);

/// What the words behind the key ask for.
struct Options<'a> {
    by: By<'a>,
    /// Whether a `BY` without a star was among them, which no later one takes back.
    unsorted: bool,
    alpha: bool,
    descending: bool,
    offset: i64,
    /// All if negative.
    count: i64,
    get: Vec<Pattern<'a>>,
    destination: Option<Key<'a>>,
}

impl<'a> Options<'a> {
    /// `slot` is the one that all keys must be in, if the node is in a cluster.
    fn take(args: &mut Args<'a>, may_store: bool, slot: Option<u16>) -> Result<Options<'a>, Fault> {
        let mut options = Options {
            by: By::Element,
            unsorted: false,
            alpha: false,
            descending: false,
            offset: 0,
            count: -1,
            get: Vec::new(),
            destination: None,
        };
        while !args.is_empty() {
            if args.take("ASC") {
                options.descending = false;
            } else if args.take("DESC") {
                options.descending = true;
            } else if args.take("ALPHA") {
                options.alpha = true;
            } else if args.len() > 2 && args.take("LIMIT") {
                (options.offset, options.count) = (args.int()?, args.int()?);
            } else if may_store && args.len() > 1 && args.take("STORE") {
                let destination = args.key()?;
                // Where a key is itself called STORE, the gate may have looked at another word.
                if slot.is_some_and(|slot| slot != destination.place.slot) {
                    return Err(Fault::CrossSlot);
                }
                options.destination = Some(destination);
            } else if args.len() > 1 && args.take("BY") {
                let pattern = args.word()?;
                if pattern.contains(&b'*') && slot.is_some_and(|slot| pattern::slot(pattern) != Some(slot)) {
                    return Err(ELSEWHERE_BY);
                }
                options.by = By::Pattern(Pattern::of(pattern));
                options.unsorted |= !pattern.contains(&b'*');
            } else if args.len() > 1 && args.take("GET") {
                let pattern = args.word()?;
                if pattern != b"#" && slot.is_some_and(|slot| pattern::slot(pattern) != Some(slot)) {
                    return Err(ELSEWHERE_GET);
                }
                options.get.push(Pattern::of(pattern));
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }
}

impl Options<'_> {
    fn reads_fields(&self) -> bool {
        matches!(self.by, By::Pattern(pattern) if pattern.reads_field()) || self.get.iter().any(|get| get.reads_field())
    }
}

fn sort(cx: &mut Ctx<'_>, args: &mut Args<'_>, may_store: bool) -> Outcome {
    let key = args.key()?;
    let slot = cx.node.cluster.is_on().then_some(key.place.slot);
    let options = Options::take(args, may_store, slot)?;
    let rows = rows(cx, key, &options)?;
    match options.destination {
        None => reply(cx, &rows, &options.get),
        Some(destination) => {
            store(cx, &rows, &options.get, destination);
            if cx.is_noted() && options.reads_fields() {
                say(cx, destination)?;
            }
        }
    }
    REPLIED
}

/// Says in the stream what is stored: fields whose time has come were not seen, and may be there yet for who runs the words.
fn say(cx: &Ctx<'_>, destination: Key<'_>) -> Result<(), Fault> {
    cx.replicate(&[b"DEL", destination.bytes]);
    if let Some(list) = cx.store.view::<List>(destination)? {
        let elements: Vec<Vec<u8>> = list.iter().map(|element| element.text(&mut Digits::new()).to_vec()).collect();
        let head = [&b"RPUSH"[..], destination.bytes].into_iter();
        cx.replicate(&head.chain(elements.iter().map(Vec::as_slice)).collect::<Vec<&[u8]>>());
    }
    Ok(())
}

/// The rows that are asked for, in their order.
fn rows(cx: &mut Ctx<'_>, key: Key<'_>, options: &Options<'_>) -> Result<Rows, Fault> {
    let Some(entry) = cx.store.get(key) else { return Ok(Rows::default()) };
    let object = entry.object().ok_or(Fault::WrongType)?;
    let range = order::range(object.len(), options.offset, options.count);
    // What is stored must be the same wherever the command is run, and a set has no order of its own.
    let by_bytes = options.unsorted && options.destination.is_some() && order::is_set(object);
    if options.unsorted && !by_bytes {
        return Rows::unsorted(object, range, options.descending);
    }
    let mut rows = Rows::all(object)?;
    let by = if by_bytes { By::Element } else { options.by };
    let alpha = options.alpha || by_bytes;
    rows.weigh(cx, by, alpha)?;
    rows.sort(range, alpha, options.descending);
    Ok(rows)
}

fn reply(cx: &mut Ctx<'_>, rows: &Rows, get: &[Pattern<'_>]) {
    cx.reply.array(rows.len() * get.len().max(1));
    let mut name = Vec::new();
    for element in rows.iter() {
        if get.is_empty() {
            cx.reply.bulk(element);
        }
        for pattern in get {
            match pattern.look(&mut cx.store, cx.node, element, &mut name) {
                Some(found) => found.reply(cx.reply),
                None => cx.reply.null(),
            }
        }
    }
}

/// Makes a list of what would be answered; what is missing becomes an empty text.
fn store(cx: &mut Ctx<'_>, rows: &Rows, get: &[Pattern<'_>], destination: Key<'_>) {
    let limits = cx.node.limits.of_list();
    let (mut list, mut name, mut text) = (List::new(), Vec::new(), Vec::new());
    if get.is_empty() {
        list.push(End::Tail, rows.iter(), &limits);
    }
    for (element, pattern) in rows.iter().flat_map(|element| get.iter().map(move |pattern| (element, pattern))) {
        text.clear();
        if let Some(found) = pattern.look(&mut cx.store, cx.node, element, &mut name) {
            found.append_to(&mut text);
        }
        list.push(End::Tail, std::iter::once(&text[..]), &limits);
    }
    let len = list.len();
    if len > 0 {
        cx.store.put_object(destination, list.into_object(), None);
        cx.event(Class::List, "sortstore", destination.bytes);
    } else {
        let was_there = cx.store.remove(destination);
        cx.event_if(was_there, Class::Generic, "del", destination.bytes);
    }
    cx.reply.len(len);
}

#[cfg(test)]
mod tests;
