//! Guards: what a rule knows of the keys that its database has. A GET of any other is answered at once, and nobody is sent to load it.
//!
//! A guard has a Bloom filter for each slot, which is a key like any other, and lies in that slot: `name:{tag}`, by a tag of the slot's.
//! So the filter that knows of a key is behind the lock that its command holds, it moves with its slot, and is saved and replicated as
//! all keys are. Where a slot has no filter, or one that can take no more, every key is taken to be there. What is set under the rule is
//! added to the guard, before the stream says that it was set, and by a command that names the filter: who follows needs to know no rule.
//!
//! Filters are made, counted and deleted stripe by stripe, and lists are loaded name by name: for [`STEP`] at a time, after which others have
//! their turn and the command is run again.

use super::*;
use crate::base::digest;
use crate::base::number::{Digits, parse_f64, parse_i64};
use crate::command::cluster::View;
use crate::command::shared::steady_ms;
use crate::command::string;
use crate::command::table::Found;
use crate::rules::check_guard;
use crate::store::hash::{Place, SLOTS_PER_STRIPE, STRIPES};
use crate::store::{Entry, Key, Keys};
use crate::types::bloom::{Bloom, BloomError, EXPANSION, Hashes};
use crate::types::item::Element;
use crate::types::object::{Kind, Object};
use larder_client::slot::{self, SLOTS};
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// For how long a command goes on before others have their turn.
const STEP: Duration = Duration::from_micros(500);

/// Names of a list that are loaded between two looks at the clock.
const NAMES: usize = 64;

pub const GUARD: Command = Command {
    name: "CACHE.GUARD",
    summary: "Makes guards, by which rules know the keys that there are, and looks at them.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "ADD",
            run: add,
            summary: "Tells a guard that these keys may be there. Returns of how many it did not know.",
            complexity: "O(N) for N keys",
            args: &[text("guard"), key("key", Usage::Update).many()],
            flags: Flags::WRITE.and(Flags::DENYOOM),
            key_use: KeyUse::Flags(&["RW", "insert"]),
            ..CACHE
        },
        Command {
            name: "DEL",
            run: del,
            summary: "Deletes the filters of a guard in the slots of this node. Returns how many there were.",
            complexity: "O(N) for N slots of the node",
            args: &[text("guard")],
            flags: MAKES,
            ..CACHE
        },
        Command { run: |cx, args| (HELP.run)(cx, args), group: Group::Cache, ..HELP },
        Command {
            name: "INFO",
            run: info,
            summary: "Returns what a guard holds in the slots of this node.",
            complexity: "O(N) for N slots of the node",
            args: &[text("guard")],
            flags: LOOKS.and(Flags::NO_MULTI),
            ..CACHE
        },
        Command {
            name: "LOAD",
            run: load,
            summary: "Tells a guard that the keys which a list or a set names may be there. Returns of how many it did not know.",
            complexity: "O(N) for N names",
            args: &[text("guard"), key("key", Usage::Read)],
            flags: MAKES.and(Flags::DENYOOM),
            ..CACHE
        },
        Command {
            name: "RESERVE",
            run: reserve,
            summary: "Makes a guard for so many keys, that takes others for one of them at this rate.",
            complexity: "O(N) for N slots of the node",
            args: &[text("guard"), double("error-rate"), int("capacity")],
            flags: MAKES.and(Flags::DENYOOM),
            ..CACHE
        },
    ],
    ..CACHE
};

/// They wait between two steps, which no transaction can.
const MAKES: Flags = Flags::WRITE.and(Flags::ADMIN).and(Flags::NO_MULTI);

/// A text for each slot that is in it, the shortest there is and the first of these: of digits and letters, four at the most. They
/// are the same in all versions, as filters lie under names that are made with them.
static TAGS: LazyLock<Vec<[u8; TAG_MAX]>> = LazyLock::new(|| {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let (mut tags, mut missing) = (vec![[0; TAG_MAX]; SLOTS.into()], SLOTS);
    for len in 1..=TAG_MAX {
        for number in 0..LETTERS.len().pow(len as u32) {
            let mut tag = [0; TAG_MAX];
            let mut rest = number;
            for at in (0..len).rev() {
                tag[at] = LETTERS[rest % LETTERS.len()];
                rest /= LETTERS.len();
            }
            let known = &mut tags[slot::of(&tag[..len]).index()];
            if known[0] == 0 {
                *known = tag;
                missing -= 1;
            }
            if missing == 0 {
                return tags;
            }
        }
    }
    unreachable!("each slot has a text of four letters")
});

const TAG_MAX: usize = 4;

/// Works the tags out, which takes some milliseconds, before a command needs them.
pub fn prepare() {
    LazyLock::force(&TAGS);
}

/// The longest name of a filter.
const NAME_MAX: usize = crate::rules::GUARD_MAX + 3 + TAG_MAX;

/// Room for the name of a filter.
pub struct Name([u8; NAME_MAX]);

impl Name {
    fn new() -> Name {
        Name([0; NAME_MAX])
    }

    /// Writes the name of a guard's filter for a slot.
    fn write(&mut self, guard: &[u8], slot: u16) -> &[u8] {
        let tag = &TAGS[usize::from(slot)];
        let tag = &tag[..tag.iter().position(|letter| *letter == 0).unwrap_or(TAG_MAX)];
        let mut len = 0;
        for part in [guard, b":{", tag, b"}"] {
            self.0[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        &self.0[..len]
    }
}

/// Whether the guard of a rule says that there is no such key.
#[inline]
pub fn denies(cx: &mut Ctx<'_>, key: Key<'_>, rule: &Rule) -> bool {
    rule.policy.guard.as_ref().is_some_and(|guard| is_unknown(cx, key, guard.as_bytes(), rule))
}

#[cold]
fn is_unknown(cx: &mut Ctx<'_>, key: Key<'_>, guard: &[u8], rule: &Rule) -> bool {
    // What its primary knows of may be on its way to a replica.
    if cx.node.store.follows() {
        return false;
    }
    let mut name = Name::new();
    let filter = cx.node.store.key(name.write(guard, key.place.slot));
    // The filter is used as much as the keys that it denies are asked for.
    let filter = cx.store.access(filter).and_then(Entry::object).and_then(Bloom::of);
    let is_unknown = filter.is_some_and(|filter| filter.has_room() && !filter.has(Hashes::of(key.bytes)));
    if is_unknown {
        rule.counts.guarded.fetch_add(1, Relaxed);
    }
    is_unknown
}

/// Tells guards of the keys that a command has written, so that nobody is told later that they never were. The command has changed
/// something, and its stripes are still held; what it says in the stream comes after this.
#[cold]
pub fn admit(cx: &mut Ctx<'_>, found: &'static Found, places: &[Place]) {
    cx.store.switch(cx.session.db);
    let words = cx.words;
    if found.row.specs.is_empty() {
        found.placed.positions(words.len()).zip(places).for_each(|(at, place)| {
            admit_key(cx, Key { bytes: words.get(at), place: *place });
        });
    } else {
        for at in found.key_positions(words) {
            admit_key(cx, cx.node.store.key(words.get(at)));
        }
    }
}

fn admit_key(cx: &mut Ctx<'_>, key: Key<'_>) {
    let Some(rule) = cx.node.rules.find(key.bytes) else { return };
    let Some(guard) = rule.policy.guard.as_ref().filter(|_| cx.store.holds(key.place.stripe())) else { return };
    // Only strings are asked for by GET, and those that say that there is nothing are of keys that are not there.
    let absent = rule.policy.absent_value.as_deref();
    let is_real = |entry: &Entry<'_>| {
        entry.object().is_none() && !absent.is_some_and(|absent| string::is_same(entry.value(), absent))
    };
    if cx.store.entry(key).filter(is_real).is_some() {
        let mut name = Name::new();
        let filter = cx.node.store.key(name.write(guard.as_bytes(), key.place.slot));
        // A filter that can take no more denies nothing.
        let _ = tell(cx.node, cx.session, &mut cx.store, filter, &[key.bytes]);
    }
}

/// Tells the filter of a slot of keys in it. Returns how many it did not know; `None` if there is no filter. Its stripe is held.
///
/// # Errors
///
/// If it can take no more.
fn tell(
    node: &Shared,
    session: &Session,
    keys: &mut Keys<'_>,
    filter: Key<'_>,
    names: &[&[u8]],
) -> Result<Option<usize>, BloomError> {
    let Ok(Some(bloom)) = keys.view::<Bloom>(filter) else { return Ok(None) };
    if names.iter().all(|name| bloom.has(Hashes::of(name))) {
        return Ok(Some(0));
    }
    let Ok(Some(mut bloom)) = keys.open::<Bloom>(filter) else { return Ok(None) };
    let mut new = Vec::new();
    let mut told = Ok(());
    for name in names {
        let hashes = Hashes::of(name);
        if !bloom.has(hashes) {
            told = bloom.add(hashes);
            if told.is_err() {
                break;
            }
            new.push(*name);
        }
    }
    drop(bloom);
    // Who keeps copies of what it reads was told that there is nothing.
    for key in new.iter().map(|name| node.store.key(name)) {
        if keys.entry(key).is_none() {
            keys.tell_doubt(key);
        }
    }
    if !new.is_empty() && node.replication.notes() && !session.is_primary {
        let head: [&[u8]; 4] = [b"BF.INSERT", filter.bytes, b"NOCREATE", b"ITEMS"];
        node.replication.note_beside(&node.store, &session.client, session.db, filter, &[&head[..], &new].concat());
    }
    told.map(|()| Some(new.len()))
}

/// The next word as the name of a guard.
fn guard_name<'a>(args: &mut Args<'a>) -> Result<&'a [u8], Fault> {
    let name = args.word()?;
    check_guard(name).map_err(|wrong| Fault::owned(format!("ERR {wrong}")))?;
    Ok(name)
}

fn no_filter(slot: u16) -> Fault {
    Fault::owned(format!("ERR the guard has no filter for slot {slot}: CACHE.GUARD RESERVE makes them"))
}

fn add(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let guard = guard_name(args)?;
    let mut keys = Vec::with_capacity(args.len());
    while !args.is_empty() {
        keys.push(args.key()?);
    }
    keys.sort_by_key(|key| key.place.slot);
    let groups = || keys.chunk_by(|one, other| one.place.slot == other.place.slot);
    let mut name = Name::new();
    for slot in groups().map(|group| group[0].place.slot) {
        let filter = cx.node.store.key(name.write(guard, slot));
        cx.store.view::<Bloom>(filter)?.ok_or_else(|| no_filter(slot))?;
    }
    let mut new = 0;
    for group in groups() {
        let filter = cx.node.store.key(name.write(guard, group[0].place.slot));
        let names: Vec<&[u8]> = group.iter().map(|key| key.bytes).collect();
        new += tell(cx.node, cx.session, &mut cx.store, filter, &names)?.unwrap_or(0);
    }
    // The filters are in the stream by name.
    cx.replicate_nothing();
    cx.reply.len(new);
    REPLIED
}

/// How far a command has come that is done bit by bit, and what it has counted.
#[derive(Default)]
pub struct Walk {
    /// A digest of the command's words: another one begins anew.
    words: u64,
    /// When it last stood still; one that did so for long, as it was refused between two steps, begins anew.
    paused_ms: u64,
    /// Stripes, names of a list or a cursor.
    at: u64,
    /// The list or set that is loaded, as it was at the start.
    list: Option<Object>,
    filters: u64,
    items: u64,
    capacity: u64,
    bytes: u64,
    error_rate: f64,
}

/// After so long a pause a command begins anew.
const PAUSE_MAX_MS: u64 = 5_000;

impl Walk {
    fn resume(cx: &mut Ctx<'_>) -> Box<Walk> {
        let words = digest::of_parts(cx.words.iter());
        let walk = cx.session.walk.take();
        walk.filter(|walk| walk.words == words && steady_ms() - walk.paused_ms < PAUSE_MAX_MS)
            .unwrap_or_else(|| Box::new(Walk { words, ..Walk::default() }))
    }

    fn pause(mut self: Box<Walk>, cx: &mut Ctx<'_>) -> Outcome {
        self.paused_ms = steady_ms();
        let again = self.paused_ms + 1;
        cx.session.walk = Some(self);
        Ok(Done::Wait(Wait::Again(again)))
    }

    /// Visits a guard's filters of the slots of this node, in stripes from `self.at` up to `to`; each, whether or not it is there, by its key,
    /// and with its stripe locked. Returns whether it has come to the end.
    fn filters(
        &mut self,
        cx: &Ctx<'_>,
        guard: &[u8],
        to: usize,
        mut visit: impl FnMut(&mut Walk, &mut Keys<'_>, Key<'_>) -> Result<(), Fault>,
    ) -> Result<bool, Fault> {
        let (since, mut name) = (Instant::now(), Name::new());
        let serves = Serves::new(cx.node);
        while (self.at as usize) < to {
            let stripe = self.at as usize % STRIPES;
            let mut keys = cx.node.store.lock_one(stripe, cx.session.db, cx.store.moment());
            for slot in (stripe * SLOTS_PER_STRIPE..(stripe + 1) * SLOTS_PER_STRIPE).map(|slot| slot as u16) {
                if serves.has(slot) {
                    let filter = cx.node.store.key(name.write(guard, slot));
                    visit(self, &mut keys, filter)?;
                }
            }
            drop(keys);
            self.at += 1;
            if since.elapsed() > STEP {
                break;
            }
        }
        Ok(self.at as usize >= to)
    }
}

/// The slots that the node serves: all of them if it is in no cluster.
struct Serves(Option<Arc<View>>);

impl Serves {
    fn new(node: &Shared) -> Serves {
        Serves(node.cluster.is_on().then(|| node.cluster.view()))
    }

    fn has(&self, slot: u16) -> bool {
        self.0.as_ref().is_none_or(|view| view.is_of_own_shard(slot))
    }
}

fn bloom_of<'k>(keys: &'k Keys<'_>, filter: Key<'_>) -> Option<&'k Bloom> {
    keys.view::<Bloom>(filter).ok().flatten()
}

/// Notes in the stream what was done to a filter, whose stripe is held.
fn note(cx: &Ctx<'_>, filter: Key<'_>, words: &[&[u8]]) {
    if cx.is_noted() {
        let Ctx { node, session, .. } = cx;
        node.replication.note_beside(&node.store, &session.client, session.db, filter, words);
    }
}

fn reserve(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (guard, rate, capacity) = (guard_name(args)?, args.word()?, args.word()?);
    let error_rate = parse_f64(rate).filter(|rate| *rate > 0.0 && *rate < 1.0);
    let error_rate =
        error_rate.ok_or(Fault::text("ERR the error rate of a guard is a number between 0 and 1, such as 0.01"))?;
    let capacity = parse_i64(capacity).filter(|capacity| *capacity > 0);
    let capacity = per_slot(capacity.ok_or(Fault::text("ERR the capacity of a guard is a number of keys"))? as u64);
    let empty = Bloom::reserve(capacity, error_rate, Some(EXPANSION))?;
    let mut digits = Digits::new();
    let capacity = digits.format(capacity).as_bytes();
    let mut walk = Walk::resume(cx);
    // All are looked for before one is made: a filter that knows nothing must not come beside others that do.
    let is_new = walk.filters(cx, guard, STRIPES, |_, keys, filter| match keys.entry(filter) {
        None => Ok(()),
        Some(_) => Err(Fault::text("ERR there is a guard of this name, or a part of one; CACHE.GUARD DEL deletes it")),
    })?;
    let is_made = is_new
        && walk.filters(cx, guard, 2 * STRIPES, |_, keys, filter| {
            if keys.entry(filter).is_none() {
                keys.put_object(filter, empty.clone().into_object(), None);
                note(cx, filter, &[b"BF.RESERVE", filter.bytes, rate, capacity]);
            }
            Ok(())
        })?;
    if !is_made {
        return walk.pause(cx);
    }
    cx.reply.ok();
    REPLIED
}

/// The capacity of a slot's filter. Slots have different numbers of keys: of one in 30,000 it has to grow.
fn per_slot(capacity: u64) -> u64 {
    let mean = capacity as f64 / f64::from(SLOTS);
    (mean + 4.0 * mean.sqrt()).ceil() as u64
}

fn del(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let guard = guard_name(args)?;
    let mut walk = Walk::resume(cx);
    let is_done = walk.filters(cx, guard, STRIPES, |walk, keys, filter| {
        if bloom_of(keys, filter).is_some() && keys.remove(filter) {
            note(cx, filter, &[b"DEL", filter.bytes]);
            cx.event(Class::Generic, "del", filter.bytes);
            walk.filters += 1;
        }
        Ok(())
    })?;
    if !is_done {
        return walk.pause(cx);
    }
    cx.reply.int(walk.filters as i64);
    REPLIED
}

fn info(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let guard = guard_name(args)?;
    let mut walk = Walk::resume(cx);
    let is_done = walk.filters(cx, guard, STRIPES, |walk, keys, filter| {
        if let Some(bloom) = bloom_of(keys, filter) {
            walk.filters += 1;
            walk.items += bloom.len();
            walk.capacity += bloom.capacity();
            walk.bytes += keys.entry(filter).map_or(0, |entry| u64::from(entry.footprint()));
            walk.error_rate = bloom.error_rate();
        }
        Ok(())
    })?;
    if !is_done {
        return walk.pause(cx);
    }
    if walk.filters == 0 {
        return Err(Fault::text("ERR there is no guard of this name: CACHE.GUARD RESERVE makes one"));
    }
    let facts = [("filters", walk.filters), ("items", walk.items), ("capacity", walk.capacity), ("bytes", walk.bytes)];
    cx.reply.map(facts.len() + 1);
    for (name, fact) in facts {
        cx.reply.text(name);
        cx.reply.int(fact as i64);
    }
    cx.reply.text("error-rate");
    cx.reply.double(walk.error_rate);
    REPLIED
}

fn load(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (guard, key) = (guard_name(args)?, args.key()?);
    if cx.session.is_forwarder {
        return Err(Fault::text("ERR CACHE.GUARD LOAD takes a while: say it to the node that has the list"));
    }
    let mut walk = Walk::resume(cx);
    if walk.list.is_none() {
        let entry = cx.store.get(key).ok_or(Fault::NoSuchKey)?;
        walk.list = Some(match entry.object() {
            Some(object @ (Object::List(_) | Object::Set(_))) => object.clone(),
            _ => return Err(Fault::WrongType),
        });
    }
    // Other stripes are locked one at a time, which must not be done while this one is held. So there is nothing to note for it.
    cx.store = cx.node.store.lock_none(cx.session.db, cx.store.moment());
    cx.replicate_nothing();
    let since = Instant::now();
    let mut is_done = false;
    while !is_done && since.elapsed() <= STEP {
        is_done = load_some(cx, guard, &mut walk)?;
    }
    if !is_done {
        return walk.pause(cx);
    }
    cx.reply.int(walk.items as i64);
    REPLIED
}

/// Loads some names of a list. Returns whether it has come to the end.
fn load_some(cx: &Ctx<'_>, guard: &[u8], walk: &mut Walk) -> Result<bool, Fault> {
    let serves = Serves::new(cx.node);
    let (at, mut new, mut told) = (walk.at, 0, Ok(()));
    let mut one = |element: Element<'_>| {
        if told.is_ok() {
            match load_one(cx, guard, &serves, element.text(&mut Digits::new())) {
                Ok(is_new) => new += u64::from(is_new),
                Err(fault) => told = Err(fault),
            }
        }
    };
    let next = match &walk.list {
        Some(Object::List(list)) => {
            list.iter_from(at as usize).take(NAMES).for_each(&mut one);
            Some(at + NAMES as u64).filter(|at| *at < list.len() as u64)
        }
        Some(Object::Set(set)) => Some(set.scan(at, NAMES, &mut one)).filter(|cursor| *cursor != 0),
        _ => None,
    };
    walk.items += new;
    walk.at = next.unwrap_or(0);
    told.map(|()| next.is_none())
}

/// Tells the guard of a key, if its slot is one of this node's. Returns whether it did not know it.
fn load_one(cx: &Ctx<'_>, guard: &[u8], serves: &Serves, key: &[u8]) -> Result<bool, Fault> {
    let slot = slot::of(key).number();
    if !serves.has(slot) {
        return Ok(false);
    }
    let mut name = Name::new();
    let filter = cx.node.store.key(name.write(guard, slot));
    let mut keys = cx.node.store.lock_one(filter.place.stripe(), cx.session.db, cx.store.moment());
    let new = tell(cx.node, cx.session, &mut keys, filter, &[key])?.ok_or_else(|| no_filter(slot))?;
    Ok(new > 0)
}

#[cfg(test)]
mod tests;
