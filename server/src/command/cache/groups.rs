//! Keys that are declared wrong together: by a tag that they were given, or by their prefix. Both take no longer for many keys than for
//! few (`store/stripe/groups`), and in a cluster they hold everywhere once they are answered (`forward`).

use super::read::last_token;
use super::smart::EXPIRATION;
use super::*;
use crate::command::string::{self, Lifetime};
use crate::persist::rdb::file_write::{TAG_LEN_MAX, TAGS_MAX};
use crate::store::{Doom, Key};
use parking_lot::Mutex;
use std::collections::VecDeque;

pub const SET: Command = Command {
    name: "CACHE.SET",
    run: set,
    summary: "Sets a key, and gives it tags.",
    complexity: "O(N) for N tags",
    args: &[key("key", Usage::Update), text("value"), EXPIRATION, TAGS],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..CACHE
};

pub const TAG: Command = Command {
    name: "CACHE.TAG",
    run: tag,
    summary: "Gives a key that is there further tags. Returns how many it did not have.",
    complexity: "O(N) for N tags",
    args: &[key("key", Usage::Update), text("tag").many()],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..CACHE
};

pub const TAGS_OF: Command = Command {
    name: "CACHE.TAGS",
    run: tags_of,
    summary: "Returns the tags of a key.",
    complexity: "O(N) for N tags",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    ..CACHE
};

pub const INVALIDATE: Command = Command {
    name: "CACHE.INVALIDATE",
    run: invalidate,
    summary: "Declares all keys with a tag wrong: they are gone, or with SOFT stale. Returns how many those are.",
    complexity: "O(1) for each tag",
    args: &[text("tag").many(), token("soft", "SOFT").optional()],
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    ..DECLARING
};

pub const CLEAR: Command = Command {
    name: "CACHE.CLEAR",
    run: clear,
    summary: "Declares all keys with a prefix wrong: they are gone, or with SOFT stale.",
    complexity: "O(1)",
    args: &[text("prefix"), token("soft", "SOFT").optional()],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    ..DECLARING
};

const DECLARING: Command = Command {
    flags: Flags::WRITE.and(Flags::KEYSPACE).and(Flags::DANGEROUS).and(Flags::NO_MULTI),
    scope: Scope::Everything,
    ..CACHE
};

pub const TAGS: Arg = block("tags", &[int("count"), text("tag").many()]).after("TAGS").optional();

/// What stands behind a value: how long it is to be kept, and its tags.
pub struct Given<'a> {
    pub lifetime: Lifetime<'a>,
    pub tags: Vec<&'a [u8]>,
}

impl<'a> Given<'a> {
    /// Takes both, in either order.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`], or what is wrong with the tags.
    pub fn take(args: &mut Args<'a>) -> Result<Given<'a>, Fault> {
        let mut given = Given { lifetime: Lifetime::Unsaid, tags: Vec::new() };
        while !args.is_empty() {
            if given.tags.is_empty() && args.take("TAGS") {
                let count = usize::try_from(args.int()?).ok().filter(|count| (1..=args.len()).contains(count));
                let count =
                    count.ok_or(Fault::text("ERR TAGS is followed by how many tags there are, and by these"))?;
                given.tags = (0..count).map(|_| args.word()).collect::<Result<_, _>>()?;
                check_tags(&given.tags)?;
            } else if let Lifetime::Unsaid = given.lifetime {
                given.lifetime = Lifetime::take_some(args)?;
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(given)
    }

    /// Sets a key, as its rule says, and gives it the tags.
    pub fn put(self, cx: &mut Ctx<'_>, key: Key<'_>, value: &[u8], until: Option<u64>) {
        string::put_by_rule(cx, key, value, (until, None), self.lifetime, false);
        give_tags(cx, key, &self.tags);
    }
}

fn check_tags(tags: &[&[u8]]) -> Result<(), Fault> {
    match tags.iter().find(|tag| tag.is_empty() || tag.len() > TAG_LEN_MAX) {
        Some(_) => Err(Fault::owned(format!("ERR a tag has 1 to {TAG_LEN_MAX} bytes"))),
        None if tags.len() > TAGS_MAX => Err(Fault::owned(format!("ERR a key has at most {TAGS_MAX} tags"))),
        None => Ok(()),
    }
}

/// Gives a key further tags, and says so in the stream. Returns how many it did not have; `None` if it is not there.
fn give_tags(cx: &mut Ctx<'_>, key: Key<'_>, tags: &[&[u8]]) -> Option<usize> {
    let new = if tags.is_empty() { None } else { cx.store.tag(key, tags.iter().copied()) };
    if new.is_some_and(|new| new > 0) {
        cx.replicate(&[&[&b"CACHE.TAG"[..], key.bytes], tags].concat());
    }
    new
}

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, value) = (args.key()?, args.word()?);
    let given = Given::take(args)?;
    let until = given.lifetime.deadline(cx.now_ms(), cx.command)?;
    given.put(cx, key, value, until);
    cx.reply.ok();
    REPLIED
}

fn tag(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let tags: Vec<&[u8]> = args.rest().collect();
    check_tags(&tags)?;
    let had = cx.store.tags(key);
    let new = tags.iter().filter(|tag| !had.iter().any(|had| **had == ***tag)).count();
    if had.len() + new > TAGS_MAX {
        return Err(Fault::owned(format!(
            "ERR a key has at most {TAGS_MAX} tags, and this one has {} already",
            had.len()
        )));
    }
    let new = give_tags(cx, key, &tags).unwrap_or(0);
    cx.reply.len(new);
    REPLIED
}

fn tags_of(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut tags = cx.store.tags(args.key()?);
    tags.sort_unstable();
    cx.reply.set(tags.len());
    tags.iter().for_each(|tag| cx.reply.bulk(tag));
    REPLIED
}

fn invalidate(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut tags: Vec<&[u8]> = args.rest().collect();
    let is_soft = tags.len() > 1 && tags.last().is_some_and(|last| last.eq_ignore_ascii_case(b"SOFT"));
    tags.truncate(tags.len() - usize::from(is_soft));
    let doom = doom(cx, is_soft);
    let mut count = 0;
    for tag in tags {
        cx.node.declared.note(Wrong::Tag(tag.into()));
        count += cx.node.store.doom_tag(cx.session.db, tag, doom);
    }
    cx.reply.len(count);
    REPLIED
}

fn clear(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let prefix = args.word()?;
    let doom = doom(cx, args.take("SOFT"));
    args.end()?;
    check_prefix(prefix).map_err(|wrong| Fault::owned(format!("ERR {wrong}")))?;
    cx.node.declared.note(Wrong::Prefix(prefix.into()));
    cx.node.store.doom_prefix(cx.session.db, prefix, doom, cx.store.moment());
    cx.reply.ok();
    REPLIED
}

/// What becomes of what is wrong. Nothing is kept that no rule would have served.
fn doom(cx: &Ctx<'_>, is_soft: bool) -> Doom {
    let rules = cx.node.rules.all();
    let keeping = || rules.iter().map(|rule| &rule.policy).filter(|policy| policy.lease);
    let longest = keeping().map(Policy::stale_at_most).max().unwrap_or_default();
    let is_kept = !longest.is_zero() || keeping().any(|policy| policy.soft_ttl.is_some());
    match is_soft && is_kept {
        true => Doom::Stale { at_ms: cx.now_ms(), keep_ms: longest.as_millis() as u64 },
        false => Doom::Gone,
    }
}

/// What is wrong.
enum Wrong {
    Tag(Box<[u8]>),
    Prefix(Box<[u8]>),
}

/// Declarations that are remembered. Who was sent to load a key before the last that is forgotten is refused to be sure.
const DECLARED_MAX: usize = 4096;

/// Older than every lease: whoever says this brings what was there before the node was started.
pub const SINCE_THE_START: u64 = 1;

/// What was declared wrong lately, for those who were sent to load a key before that: they may bring what is wrong.
#[derive(Default)]
pub struct Declared(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    /// Each with the last lease that was granted before.
    all: VecDeque<(u64, Wrong)>,
    /// The last lease that was granted before one that is forgotten.
    forgotten: u64,
}

impl Declared {
    fn note(&self, wrong: Wrong) {
        let mut lately = self.0.lock();
        if lately.all.len() >= DECLARED_MAX
            && let Some((token, _)) = lately.all.pop_front()
        {
            lately.forgotten = token;
        }
        lately.all.push_back((last_token(), wrong));
    }

    /// Whether what is brought for a lease may be wrong by now.
    pub fn is_wrong(&self, token: u64, key: &[u8], tags: &[&[u8]]) -> bool {
        let lately = self.0.lock();
        let concerns = |wrong: &Wrong| match wrong {
            Wrong::Tag(tag) => tags.contains(&&**tag),
            Wrong::Prefix(prefix) => key.starts_with(prefix),
        };
        let since = lately.all.iter().rev().take_while(|(before, _)| *before >= token);
        token <= lately.forgotten || since.into_iter().any(|(_, wrong)| concerns(wrong))
    }
}

#[cfg(test)]
mod tests;
