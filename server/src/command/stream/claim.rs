//! `XCLAIM` and `XAUTOCLAIM`: a consumer takes over what is pending for others.

use super::range::start_of;
use super::*;
use crate::base::number::parse_i64;
use crate::types::stream::{AutoClaim, Claim, Claimed};

/// Entries that `XAUTOCLAIM` takes at the most when it does not say how many.
const COUNT_DEFAULT: u64 = 100;

/// The largest count that Redis takes.
const COUNT_MAX: i64 = i64::MAX / 16;

pub const XCLAIM: Command = Command {
    name: "XCLAIM",
    run: xclaim,
    summary: "Gives pending entries to another consumer.",
    complexity: "O(log N) for each entry, where N are pending in the group",
    args: &[
        key("key", Usage::Update),
        text("group"),
        text("consumer"),
        text("min-idle-time"),
        text("id").many(),
        int("ms").after("IDLE").optional(),
        unix_time("unix-time-milliseconds").after("TIME").optional(),
        int("count").after("RETRYCOUNT").optional(),
        token("force", "FORCE").optional(),
        token("justid", "JUSTID").optional(),
        text("lastid").after("LASTID").optional(),
    ],
    flags: Flags::WRITE.and(Flags::FAST),
    tips: VARIES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STREAM
};

fn xclaim(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key()?, args.word()?, args.word()?);
    let (mut now, is_primary) = (cx.now_ms() as i64, cx.session.is_primary);
    let (is_noted, mut done) = (cx.is_noted(), Doings::default());
    let claimed = in_group(cx, key, name, |group, reply| {
        let mut ids = args.clone();
        ids.word()?;
        let claim = Claims::parse(args, now)?;
        if is_primary {
            // Its clock is ahead, not its words wrong.
            now = claim.how.time_ms.map_or(now, |time| time.max(now));
        }
        if let Some(last) = claim.last_id {
            done.has_moved = group.advance_last_id(last);
        }
        let (consumer, is_new) = group.find_or_add_consumer(consumer, now);
        group.see(consumer, now);
        let start = reply.out.len();
        let mut taken = 0;
        for word in ids.rest().take(claim.ids) {
            let id = id(word)?;
            match group.claim(consumer, id, claim.how, now) {
                Claimed::Taken(entry, delivery) => {
                    write_claimed(reply, &entry, claim.how.is_delivery);
                    taken += 1;
                    done.taken.extend(is_noted.then_some((id, delivery)));
                }
                Claimed::Gone => done.gone.extend(is_noted.then_some(id)),
                Claimed::Left => {}
            }
        }
        done.at(group);
        reply.before(start, |reply| reply.array(taken));
        Ok::<bool, Fault>(is_new)
    })?;
    let is_new = claimed.ok_or_else(|| no_key_or_group(key.bytes, name))??;
    tell_of_consumer(cx, is_new, key, (name, consumer));
    done.say(cx, key, (name, consumer));
    REPLIED
}

/// An entry that was taken over, or its id alone where nobody reads it.
fn write_claimed(reply: &mut Reply, entry: &Entry<'_>, is_delivery: bool) {
    if is_delivery { write_entry(reply, entry) } else { write_id(reply, entry.id) }
}

/// What `XCLAIM` says behind the consumer.
struct Claims {
    how: Claim,
    /// How many of the words are ids.
    ids: usize,
    last_id: Option<Id>,
}

impl Claims {
    fn parse(args: &mut Args<'_>, now_ms: i64) -> Result<Claims, Fault> {
        let idle_min_ms = millis(args.word()?, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let how = Claim { idle_min_ms, time_ms: None, count: None, is_delivery: true, is_forced: false };
        let mut claims = Claims { how, ids: 0, last_id: None };
        while args.peek().is_some_and(|word| id(word).is_ok()) {
            args.word()?;
            claims.ids += 1;
        }
        while !args.is_empty() {
            claims.take_option(args, now_ms)?;
        }
        Ok(claims)
    }

    fn take_option(&mut self, args: &mut Args<'_>, now_ms: i64) -> Result<(), Fault> {
        let how = &mut self.how;
        if args.take("FORCE") {
            how.is_forced = true;
        } else if args.take("JUSTID") {
            how.is_delivery = false;
        } else if args.len() > 1 && args.take("IDLE") {
            let idle = millis(args.word()?, "ERR Invalid IDLE option argument for XCLAIM")?;
            how.time_ms = Some(now_ms.wrapping_sub(idle));
        } else if args.len() > 1 && args.take("TIME") {
            how.time_ms = Some(millis(args.word()?, "ERR Invalid TIME option argument for XCLAIM")?);
        } else if args.len() > 1 && args.take("RETRYCOUNT") {
            let count = millis(args.word()?, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            // A negative one is none.
            how.count = u64::try_from(count).ok();
        } else if args.len() > 1 && args.take("LASTID") {
            self.last_id = Some(id(args.word()?)?);
        } else {
            let option = c_text(args.word()?);
            return Err(Fault::Bytes([b"ERR Unrecognized XCLAIM option '", option, b"'"].concat()));
        }
        Ok(())
    }
}

/// A number, or an error of these words.
fn millis(word: &[u8], error: &'static str) -> Result<i64, Fault> {
    parse_i64(word).ok_or(Fault::text(error))
}

pub const XAUTOCLAIM: Command = Command {
    name: "XAUTOCLAIM",
    run: xautoclaim,
    summary: "Gives a consumer what is pending for others since long.",
    complexity: "O(N) for N pending entries looked at, ten times the count at the most",
    since: "6.2.0",
    args: &[
        key("key", Usage::Update),
        text("group"),
        text("consumer"),
        text("min-idle-time"),
        text("start"),
        int("count").after("COUNT").optional(),
        token("justid", "JUSTID").optional(),
    ],
    flags: Flags::WRITE.and(Flags::FAST),
    tips: VARIES,
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..STREAM
};

fn xautoclaim(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, name, consumer) = (args.key()?, args.word()?, args.word()?);
    let claim = parse_auto_claim(args)?;
    let now = cx.now_ms() as i64;
    let (is_noted, mut done) = (cx.is_noted(), Doings::default());
    let is_new = in_group(cx, key, name, |group, reply| {
        let (consumer, is_new) = group.find_or_add_consumer(consumer, now);
        group.see(consumer, now);
        let start = reply.out.len();
        let mut taken = 0;
        let claimed = group.auto_claim(consumer, claim, now, |entry, delivery| {
            write_claimed(reply, &entry, claim.is_delivery);
            taken += 1;
            done.taken.extend(is_noted.then_some((entry.id, delivery)));
        });
        reply.before(start, |reply| {
            reply.array(3);
            write_id(reply, claimed.next);
            reply.array(taken);
        });
        reply.array(claimed.gone.len());
        claimed.gone.iter().for_each(|id| write_id(reply, *id));
        done.gone = claimed.gone;
        done.at(group);
        is_new
    })?;
    let is_new = is_new.ok_or_else(|| no_key_or_group(key.bytes, name))?;
    tell_of_consumer(cx, is_new, key, (name, consumer));
    done.say(cx, key, (name, consumer));
    REPLIED
}

fn parse_auto_claim(args: &mut Args<'_>) -> Result<AutoClaim, Fault> {
    let idle_min_ms = millis(args.word()?, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let start = start_of(args.word()?)?;
    let mut claim = AutoClaim { start, idle_min_ms, count: COUNT_DEFAULT, is_delivery: true };
    while !args.is_empty() {
        if args.len() > 1 && args.take("COUNT") {
            let count = parse_i64(args.word()?).filter(|count| (1..=COUNT_MAX).contains(count));
            claim.count = count.ok_or(Fault::text("ERR COUNT must be > 0"))? as u64;
        } else if args.take("JUSTID") {
            claim.is_delivery = false;
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(claim)
}
