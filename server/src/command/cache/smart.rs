//! Commands for clients that know of rules: they are told how what they get stands, and say for which lease they set a key.

use super::groups::{Given, TAGS};
use super::*;
use crate::base::digest;
use crate::command::string::{self, Lifetime};
use crate::rules::Verdict;
use crate::store::Entry;

pub const GET: Command = Command {
    name: "CACHE.GET",
    run: get,
    summary: "Returns the value of a key and how it stands: hit, stale, negative, lease, wait or miss.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    ..CACHE
};

pub const FILL: Command = Command {
    name: "CACHE.FILL",
    run: fill,
    summary: "Sets a key for the lease of this number, unless the key was set or deleted since, or another was sent.",
    args: &[key("key", Usage::Update), int("token"), text("value"), EXPIRATION, TAGS],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..CACHE
};

pub const ABSENT: Command = Command {
    name: "CACHE.ABSENT",
    run: absent,
    summary: "Says that there is nothing under a key: sets it to its rule's absent-value.",
    args: &[key("key", Usage::Update), EXPIRATION],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..CACHE
};

pub const EXPIRATION: Arg = one_of(
    "expiration",
    &[
        int("seconds").after("EX"),
        int("milliseconds").after("PX"),
        unix_time("unix-time-seconds").after("EXAT"),
        unix_time("unix-time-milliseconds").after("PXAT"),
    ],
)
.optional();

/// How a key stands for who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Hit,
    Stale,
    Negative,
    /// It is to be loaded by who asks, and set for the lease of this number.
    Lease(u64),
    /// Another loads it; so many milliseconds may be waited for that.
    Wait(u64),
    Miss,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Hit => "hit",
            Status::Stale => "stale",
            Status::Negative => "negative",
            Status::Lease(_) => "lease",
            Status::Wait(_) => "wait",
            Status::Miss => "miss",
        }
    }
}

fn get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let is_there = string::read(&mut cx.store, key)?.is_some();
    let rule = cx.node.rules.find(key.bytes);
    let status = match &rule {
        _ if is_there => Status::Hit,
        Some(rule) if guard::denies(cx, key, rule) => Status::Negative,
        Some(rule) if rule.policy.lease && read::may_be_sent(cx) => match read::decide(cx, key, rule, false, true) {
            (Verdict::Granted, token) => Status::Lease(token),
            (Verdict::Stale, _) => Status::Stale,
            (Verdict::Wait(for_ms), _) => Status::Wait(for_ms),
            (Verdict::Nil, _) => Status::Miss,
        },
        _ => Status::Miss,
    };
    let now = cx.now_ms();
    let entry = if status == Status::Stale { cx.store.stale(key) } else { cx.store.entry(key) };
    let absent = rule.as_ref().and_then(|rule| rule.policy.absent_value.as_deref());
    let is_negative = |entry: Entry<'_>| absent.is_some_and(|absent| string::is_same(entry.value(), absent));
    let status = if status == Status::Hit && entry.is_some_and(is_negative) { Status::Negative } else { status };
    answer(cx.reply, status, entry.filter(|_| status != Status::Negative), now);
    REPLIED
}

/// Answers how a key stands, and what there is.
fn answer(reply: &mut Reply, status: Status, entry: Option<Entry<'_>>, now: u64) {
    reply.map(7);
    reply.text("status");
    reply.text(status.name());
    reply.text("value");
    match entry {
        Some(entry) => reply.value(entry.value()),
        None => reply.null(),
    }
    reply.text("version");
    match entry {
        Some(entry) => reply.bulk(&digest::text(string::digest_of(entry.value()))),
        None => reply.null(),
    }
    reply.text("token");
    reply.int(if let Status::Lease(token) = status { token as i64 } else { 0 });
    reply.text("wait");
    reply.int(if let Status::Wait(for_ms) = status { for_ms as i64 } else { 0 });
    // As PTTL has it: without a TTL it is -1, and what has passed counts as 0.
    let left = |until: Option<u64>| until.map_or(-1, |until| until.saturating_sub(now) as i64);
    let fresh_until = entry.and_then(Entry::expiry);
    reply.text("ttl");
    reply.int(left(fresh_until));
    reply.text("stale-ttl");
    reply.int(left(fresh_until.map(|until| until + entry.map_or(0, |entry| entry.keep().grace_ms()))));
}

fn fill(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, token, value) = (args.key()?, args.int()?, args.word()?);
    let given = Given::take(args)?;
    let until = given.lifetime.deadline(cx.now_ms(), cx.command)?;
    let (stripe, db) = (key.place.stripe(), cx.store.db());
    // What the stream or a queue brings was granted elsewhere, or a while ago.
    let lease = u64::try_from(token).ok().filter(|token| cx.node.audience.is_lease(stripe, db, key.bytes, *token));
    let Some(lease) = lease else {
        return Err(Fault::owned(format!(
            "NOLEASE {token} is not the key's lease: the key was set or deleted since, another was sent, or there never was such \
             a number; ask again with CACHE.GET"
        )));
    };
    if cx.node.declared.is_wrong(lease, key.bytes, &given.tags) {
        // Whoever waits for the key is not to wait for this one.
        cx.node.audience.leave_lease(stripe, db, key.bytes, cx.session.client.id);
        return Err(Fault::owned(format!(
            "NOLEASE what was loaded for {token} may be wrong: the prefix or a tag of the key was invalidated since; ask again with \
             CACHE.GET"
        )));
    }
    given.put(cx, key, value, until);
    cx.reply.ok();
    REPLIED
}

fn absent(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let lifetime = Lifetime::take_time(args)?;
    let until = lifetime.deadline(cx.now_ms(), cx.command)?;
    let value = cx.node.rules.look(key.bytes, |rule| rule.policy.absent_value.clone()).flatten();
    let value = value.ok_or(Fault::text(
        "ERR no rule says what stands for nothing under this key: CACHE.RULE SET prefix absent-value (none) negative-ttl 10s",
    ))?;
    string::put_by_rule(cx, key, &value, (until, None), lifetime, false);
    cx.reply.ok();
    REPLIED
}
