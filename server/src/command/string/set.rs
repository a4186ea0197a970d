//! SET with all it can be told, its older relatives, and GETEX, which shares the words about expiry.

use super::compare::Comparison;
use super::*;
use crate::base::number::Digits;
use crate::command::cache::Said;
use crate::command::expiry::{Unit, deadline, has_passed};

pub const SET: Command = Command {
    name: "SET",
    run: set,
    summary: "Sets a key to a value, under a condition and with an expiry if asked to.",
    args: &[
        key("key", Usage::Update),
        text("value"),
        one_of(
            "condition",
            &[
                token("nx", "NX"),
                token("xx", "XX"),
                text("ifeq-value").after("IFEQ").since("8.4.0"),
                text("ifne-value").after("IFNE").since("8.4.0"),
                text("ifdeq-digest").after("IFDEQ").since("8.4.0"),
                text("ifdne-digest").after("IFDNE").since("8.4.0"),
            ],
        )
        .optional()
        .since("2.6.12"),
        token("get", "GET").optional().since("6.2.0"),
        one_of(
            "expiration",
            &[
                int("seconds").after("EX").since("2.6.12"),
                int("milliseconds").after("PX").since("2.6.12"),
                unix_time("unix-time-seconds").after("EXAT").since("6.2.0"),
                unix_time("unix-time-milliseconds").after("PXAT").since("6.2.0"),
                token("keepttl", "KEEPTTL").since("6.0.0"),
            ],
        )
        .optional(),
    ],
    flags: WRITES,
    key_use: KeyUse::ByToken {
        tokens: &["GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"],
        with: &["RW", "access", "update"],
        without: &["OW", "update"],
    },
    ..STRING
};

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let value = args.word()?;
    if args.is_empty() && !cx.node.rules.are_any() {
        write(cx, key, New::Set(value), None, "set");
        cx.reply.ok();
        return REPLIED;
    }
    let wish = Wish::take(args)?;
    let until = wish.lifetime.deadline(cx.now_ms(), cx.command)?;
    let (old, is_allowed) = look(cx, key, &wish)?;
    if !is_allowed {
        if !wish.get {
            cx.reply.null();
        }
        return REPLIED;
    }
    let is_lock = wish.condition.is_some();
    put_by_rule(cx, key, value, (until, old.and_then(|old| old.expiry)), wish.lifetime, is_lock);
    if !wish.get {
        cx.reply.ok();
    }
    REPLIED
}

/// Looks at what a key holds, and whether the condition lets SET go on. With `GET`, it is the reply.
fn look(cx: &mut Ctx<'_>, key: Key<'_>, wish: &Wish<'_>) -> Result<(Option<Old>, bool), Fault> {
    let entry = if wish.get { read(&mut cx.store, key)? } else { cx.store.peek(key) };
    let old = entry.map(|entry| Old { expiry: entry.expiry() });
    let is_allowed = wish.condition.map_or(Ok(true), |condition| condition.holds(entry))?;
    match entry {
        Some(entry) if wish.get => cx.reply.value(entry.value()),
        None if wish.get => {
            cx.missed(key);
            cx.reply.null();
        }
        _ => {}
    }
    Ok((old, is_allowed))
}

/// Sets a key as its rule says, and tells of it: it expires at the first of two times if there is one, and at the second, which is that of
/// before, if it keeps that. The time of a lock is taken as it is.
pub fn put_by_rule(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    value: &[u8],
    (until, before): (Option<u64>, Option<u64>),
    lifetime: Lifetime<'_>,
    is_lock: bool,
) {
    let asked = if matches!(lifetime, Lifetime::Keep) { before } else { until };
    let kept = cache::kept(cx, key, Some(value), asked, if is_lock { Said::UnderCondition } else { lifetime.said() });
    put(cx, key, value, kept.until);
    kept.apply(cx, key);
    let told = if kept.until == asked { until } else { kept.until };
    tell_expiry(cx, key, told);
    say(cx, key, value, told, lifetime);
}

/// Sets a key. With an expiry that has passed the key is gone at once, and needs no room.
fn put(cx: &mut Ctx<'_>, key: Key<'_>, value: &[u8], expiry: Option<u64>) {
    if expiry.is_some_and(|expiry| has_passed(expiry, cx.due_ms())) {
        cx.event_if_new(key);
        cx.store.remove(key);
        cx.event(Class::String, "set", key.bytes);
    } else {
        write(cx, key, New::Set(value), expiry, "set");
    }
}

/// Tells of the expiry that a key was set with, if any; one that has passed is over at once.
fn tell_expiry(cx: &Ctx<'_>, key: Key<'_>, until: Option<u64>) {
    let Some(until) = until else { return };
    cx.event(Class::Generic, "expire", key.bytes);
    if has_passed(until, cx.due_ms()) {
        cx.event(Class::Expired, "expired", key.bytes);
    }
}

/// Says in the stream what has become of a key: conditions are met, and times are absolute.
fn say(cx: &Ctx<'_>, key: Key<'_>, value: &[u8], until: Option<u64>, lifetime: Lifetime<'_>) {
    match until {
        _ if !cx.is_noted() => {}
        Some(until) if has_passed(until, cx.due_ms()) => cx.replicate(&[b"DEL", key.bytes]),
        Some(until) => say_until(cx, key, value, until),
        None if matches!(lifetime, Lifetime::Keep) => cx.replicate(&[b"SET", key.bytes, value, b"KEEPTTL"]),
        None => cx.replicate(&[b"SET", key.bytes, value]),
    }
}

fn say_until(cx: &Ctx<'_>, key: Key<'_>, value: &[u8], until: u64) {
    if cx.is_noted() {
        cx.replicate(&[b"SET", key.bytes, value, b"PXAT", Digits::new().format(until).as_bytes()]);
    }
}

pub const SETEX: Command = Command {
    name: "SETEX",
    run: |cx, args| set_until(cx, args, Unit::Seconds),
    summary: "Sets a key to a value that expires after so many seconds.",
    since: "2.0.0",
    args: &[key("key", Usage::Write), int("seconds"), text("value")],
    flags: WRITES,
    deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with the `EX` argument" }),
    ..STRING
};

pub const PSETEX: Command = Command {
    name: "PSETEX",
    run: |cx, args| set_until(cx, args, Unit::Millis),
    summary: "Sets a key to a value that expires after so many milliseconds.",
    since: "2.6.0",
    args: &[key("key", Usage::Write), int("milliseconds"), text("value")],
    flags: WRITES,
    deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with the `PX` argument" }),
    ..STRING
};

fn set_until(cx: &mut Ctx<'_>, args: &mut Args<'_>, unit: Unit) -> Outcome {
    let key = args.key()?;
    let time = args.int()?;
    let value = args.word()?;
    let until = deadline(time, unit, Some(cx.now_ms()), cx.command)?;
    let kept = cache::kept(cx, key, Some(value), Some(until), Said::Freely);
    write(cx, key, New::Set(value), kept.until, "set");
    kept.apply(cx, key);
    cx.event(Class::Generic, "expire", key.bytes);
    say_until(cx, key, value, kept.until.unwrap_or(until));
    cx.reply.ok();
    REPLIED
}

pub const SETNX: Command = Command {
    name: "SETNX",
    run: setnx,
    summary: "Sets a key to a value unless the key is there.",
    args: &[key("key", Usage::Write), text("value")],
    flags: WRITES.and(Flags::FAST),
    key_use: KeyUse::Flags(&["OW", "insert"]),
    deprecated: Some(Deprecated { since: "2.6.12", instead: "`SET` with the `NX` argument" }),
    ..STRING
};

fn setnx(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let value = args.word()?;
    let is_new = cx.store.peek(key).is_none();
    if is_new {
        write(cx, key, New::Set(value), None, "set");
    }
    cx.reply.int(i64::from(is_new));
    REPLIED
}

pub const GETEX: Command = Command {
    name: "GETEX",
    run: getex,
    summary: "Returns the value of a key and changes when the key expires.",
    since: "6.2.0",
    args: &[
        key("key", Usage::Update),
        one_of(
            "expiration",
            &[
                int("seconds").after("EX"),
                int("milliseconds").after("PX"),
                unix_time("unix-time-seconds").after("EXAT"),
                unix_time("unix-time-milliseconds").after("PXAT"),
                token("persist", "PERSIST"),
            ],
        )
        .optional(),
    ],
    flags: Flags::WRITE.and(Flags::FAST),
    ..STRING
};

fn getex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let mut lifetime = Lifetime::Unsaid;
    while !args.is_empty() {
        lifetime = lifetime.take(args, "PERSIST", Lifetime::Persist)?.ok_or(Fault::Syntax)?;
    }
    // A time that is none is only found out where there is a key: so says Redis.
    let Some(old) = answer(cx, key)? else { return REPLIED };
    let event = match (lifetime.deadline(cx.now_ms(), cx.command)?, lifetime) {
        (Some(until), _) if has_passed(until, cx.due_ms()) => {
            cx.store.remove(key);
            cx.replicate(&[b"DEL", key.bytes]);
            "del"
        }
        (Some(until), _) => {
            let until = cache::set_expiry(cx, key, until, lifetime.said());
            cx.replicate_time(key, until);
            "expire"
        }
        (None, Lifetime::Persist) if old.expiry.is_some() => {
            cx.store.set_expiry(key, None);
            cx.replicate(&[b"PERSIST", key.bytes]);
            "persist"
        }
        (None, _) => return REPLIED,
    };
    cx.event(Class::Generic, event, key.bytes);
    REPLIED
}

/// What SET was told behind the value, in any order.
struct Wish<'a> {
    condition: Option<Condition<'a>>,
    /// Whether the old value is the reply.
    get: bool,
    lifetime: Lifetime<'a>,
}

#[derive(Clone, Copy)]
enum Condition<'a> {
    Presence(Presence),
    Comparison(Comparison<'a>),
}

/// What must be true of a key before it is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// NX
    Absent,
    /// XX
    Present,
}

impl Presence {
    pub(super) fn holds(self, is_there: bool) -> bool {
        (self == Presence::Present) == is_there
    }

    /// Takes the next word if it is one of these two; a second one must be the same.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`] if it contradicts the one before.
    pub(super) fn take(said: Option<Presence>, args: &mut Args<'_>) -> Result<Option<Presence>, Fault> {
        let new = if args.take("NX") {
            Presence::Absent
        } else if args.take("XX") {
            Presence::Present
        } else {
            return Ok(None);
        };
        if said.is_some_and(|said| said != new) { Err(Fault::Syntax) } else { Ok(Some(new)) }
    }
}

impl Condition<'_> {
    fn holds(self, entry: Option<Entry<'_>>) -> Result<bool, Fault> {
        match (self, entry) {
            (Condition::Presence(presence), _) => Ok(presence.holds(entry.is_some())),
            (Condition::Comparison(comparison), Some(entry)) => comparison.holds(string(entry)?.value()),
            (Condition::Comparison(comparison), None) => Ok(!comparison.asks_for_equality()),
        }
    }
}

impl<'a> Wish<'a> {
    fn take(args: &mut Args<'a>) -> Result<Wish<'a>, Fault> {
        let mut wish = Wish { condition: None, get: false, lifetime: Lifetime::Unsaid };
        while !args.is_empty() {
            if wish.take_condition(args)? {
                continue;
            }
            if args.take("GET") {
                wish.get = true;
            } else {
                wish.lifetime = wish.lifetime.take(args, "KEEPTTL", Lifetime::Keep)?.ok_or(Fault::Syntax)?;
            }
        }
        Ok(wish)
    }

    /// Takes the next words if they are a condition. NX or XX may be said twice; no other two go together.
    fn take_condition(&mut self, args: &mut Args<'a>) -> Result<bool, Fault> {
        let said = match self.condition {
            Some(Condition::Presence(presence)) => Some(presence),
            _ => None,
        };
        let new = match Presence::take(said, args)? {
            Some(presence) => Condition::Presence(presence),
            None => match Comparison::take(args)? {
                Some(comparison) if said.is_none() => Condition::Comparison(comparison),
                Some(_) => return Err(Fault::Syntax),
                None => return Ok(false),
            },
        };
        if matches!(self.condition, Some(Condition::Comparison(_))) {
            return Err(Fault::Syntax);
        }
        self.condition = Some(new);
        Ok(true)
    }
}

/// What is to become of the expiry.
#[derive(Clone, Copy)]
pub enum Lifetime<'a> {
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    Until {
        form: Form,
        /// A number, not yet looked at: syntax errors are told first.
        time: &'a [u8],
    },
}

/// How a time is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Form {
    token: &'static str,
    unit: Unit,
    absolute: bool,
}

const FORMS: [Form; 4] = [
    Form { token: "EX", unit: Unit::Seconds, absolute: false },
    Form { token: "PX", unit: Unit::Millis, absolute: false },
    Form { token: "EXAT", unit: Unit::Seconds, absolute: true },
    Form { token: "PXAT", unit: Unit::Millis, absolute: true },
];

impl<'a> Lifetime<'a> {
    /// Takes the next words if they are about the lifetime: one of [`FORMS`] with its time, or the `other` word, which
    /// means `meaning`. `None` if they are not. One form may be given twice, and then the last time counts.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`] if they contradict what was said before, or the time is missing.
    pub(super) fn take(
        self,
        args: &mut Args<'a>,
        other: &str,
        meaning: Lifetime<'a>,
    ) -> Result<Option<Lifetime<'a>>, Fault> {
        let new = if args.take(other) {
            meaning
        } else if let Some(form) = FORMS.into_iter().find(|form| args.take(form.token)) {
            Lifetime::Until { form, time: args.word()? }
        } else {
            return Ok(None);
        };
        let agrees = match (self, new) {
            (Lifetime::Unsaid, _) => true,
            (Lifetime::Until { form: said, .. }, Lifetime::Until { form, .. }) => said == form,
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&new),
        };
        if agrees { Ok(Some(new)) } else { Err(Fault::Syntax) }
    }

    /// Takes all words that are left, which may give a time and say nothing else.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`]
    pub fn take_time(args: &mut Args<'a>) -> Result<Lifetime<'a>, Fault> {
        let lifetime = if args.is_empty() { Lifetime::Unsaid } else { Lifetime::take_some(args)? };
        if args.is_empty() { Ok(lifetime) } else { Err(Fault::Syntax) }
    }

    /// Takes a time, which has to be there; more may stand behind it.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`]
    pub fn take_some(args: &mut Args<'a>) -> Result<Lifetime<'a>, Fault> {
        let form = FORMS.into_iter().find(|form| args.take(form.token)).ok_or(Fault::Syntax)?;
        Ok(Lifetime::Until { form, time: args.word()? })
    }

    /// How the time was said, for rules.
    fn said(self) -> Said {
        match self {
            Lifetime::Unsaid => Said::Freely,
            Lifetime::Until { form, .. } if !form.absolute => Said::Freely,
            Lifetime::Until { .. } | Lifetime::Keep | Lifetime::Persist => Said::Exactly,
        }
    }

    /// When the key is to expire, in milliseconds since 1970, if a time was given.
    pub fn deadline(self, now_ms: u64, command: &Command) -> Result<Option<u64>, Fault> {
        let Lifetime::Until { form, time } = self else {
            return Ok(None);
        };
        let time = crate::base::number::parse_i64(time).ok_or(Fault::NotInteger)?;
        deadline(time, form.unit, (!form.absolute).then_some(now_ms), command).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use crate::command::shared::now_ms;
    use crate::command::testing::Desk;

    /// Milliseconds until `k` expires, `None` if it does not.
    fn ttl(desk: &Desk) -> Option<i64> {
        let store = &desk.node.store;
        let key = store.key(b"k");
        let now = now_ms();
        let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(now));
        keys.peek(key).expect("k is there").expiry().map(|expiry| expiry as i64 - now as i64)
    }

    #[track_caller]
    fn lives_about(desk: &Desk, ms: i64) {
        let seen = ttl(desk).expect("k expires");
        assert!((ms - 5_000..=ms).contains(&seen), "{seen}");
    }

    #[test]
    fn set_takes_its_options_in_any_order() {
        let mut desk = Desk::new();
        desk.check("SET k a EX 100 NX", "+OK");
        lives_about(&desk, 100_000);
        desk.check("SET k b xx px 200000 get", "$1 a");
        lives_about(&desk, 200_000);
        desk.check("SET k c Get KeepTtl Xx", "$1 b");
        lives_about(&desk, 200_000);
        desk.check("SET k d", "+OK");
        assert_eq!(ttl(&desk), None);
        desk.check("SET k e KEEPTTL", "+OK");
        assert_eq!(ttl(&desk), None);
        let at = now_ms() / 1000 + 300;
        desk.check(&format!("SET k f EXAT {at}"), "+OK");
        lives_about(&desk, 300_000);
        desk.check(&format!("SET k g PXAT {at}000 GET"), "$1 f");
        lives_about(&desk, 300_000);
    }

    #[test]
    fn conditions_hold_or_the_answer_is_null() {
        let mut desk = Desk::new();
        desk.check("SET k a XX", "$-1");
        desk.check("SET k a NX", "+OK");
        desk.check("SET k b NX", "$-1");
        desk.check("SET k b XX", "+OK");
        desk.check("GET k", "$1 b");
        desk.check("SETNX k c", ":0");
        desk.check("SETNX l c", ":1");
        desk.check("GET l", "$1 c");
    }

    #[test]
    fn set_get_answers_the_old_value_whether_it_set_or_not() {
        let mut desk = Desk::new();
        desk.check("SET k a XX GET", "$-1");
        desk.check("GET k", "$-1");
        desk.check("SET k a NX GET", "$-1");
        desk.check("GET k", "$1 a");
        desk.check("SET k b NX GET", "$1 a");
        desk.check("GET k", "$1 a");
        desk.check("SET k b GET", "$1 a");
        desk.check("GET k", "$1 b");
    }

    #[test]
    fn words_that_contradict_each_other_are_a_syntax_error() {
        let mut desk = Desk::new();
        let tails = "NX XX|XX NX|EX 1 PX 1|EX 1 EXAT 1|PXAT 1 EX 1|KEEPTTL EX 1|EX 1 KEEPTTL|EX|PX|EXAT|PXAT|PERSIST|\
                     EX 1 2|FOO|NX EX|GET GET FOO|EX x PX 1";
        for tail in tails.split('|') {
            desk.check(&format!("SET k v {tail}"), "-ERR syntax error");
        }
        for tail in "EX|PX 1 EX 1|PERSIST EX 1|EX 1 PERSIST|KEEPTTL|NX|XX|GET|FOO|PERSIST 1".split('|') {
            desk.check(&format!("GETEX k {tail}"), "-ERR syntax error");
        }
        desk.check("GET k", "$-1");
    }

    #[test]
    fn words_may_be_repeated_and_the_last_time_counts() {
        let mut desk = Desk::new();
        desk.check("SET k v NX NX EX x EX 100 GET GET", "$-1");
        lives_about(&desk, 100_000);
        desk.check("SET k v KEEPTTL XX KEEPTTL", "+OK");
        lives_about(&desk, 100_000);
        desk.check("GETEX k PX 1 PX 300000", "$1 v");
        lives_about(&desk, 300_000);
        desk.check("GETEX k PERSIST PERSIST", "$1 v");
        assert_eq!(ttl(&desk), None);
    }

    #[test]
    fn times_that_are_none_are_refused_with_the_name_of_the_command() {
        let mut desk = Desk::new();
        let set = "-ERR invalid expire time in 'set' command";
        for time in [
            "EX 0",
            "EX -1",
            "PX 0",
            "PX -5",
            "EXAT 0",
            "PXAT -1",
            "EX 9223372036854775",
            "EX 9223372036854776",
            "PX 9223372036854775807",
            "EXAT 9223372036854776",
        ] {
            desk.check(&format!("SET k v {time}"), set);
        }
        for time in ["EX x", "PX 1.5", "EXAT 9223372036854775808", "PXAT +1"] {
            desk.check(&format!("SET k v {time}"), "-ERR value is not an integer or out of range");
        }
        desk.check("SETEX k 0 v", "-ERR invalid expire time in 'setex' command");
        desk.check("SETEX k x v", "-ERR value is not an integer or out of range");
        desk.check("PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command");
        desk.check("GETEX k EX 0", "$-1");
        desk.check("GETEX k EX x", "$-1");
        desk.check("SET k v", "+OK");
        desk.check("GETEX k EX 0", "-ERR invalid expire time in 'getex' command");
        desk.check("GETEX k PX x", "-ERR value is not an integer or out of range");
        assert_eq!(ttl(&desk), None);
        desk.check("SET k v PXAT 9223372036854775807", "+OK");
    }

    #[test]
    fn a_refused_set_get_answers_the_error_alone() {
        let mut desk = Desk::new();
        desk.check("SET k old", "+OK");
        desk.check("SET k new GET EX 0", "-ERR invalid expire time in 'set' command");
        desk.check("GET k", "$3 old");
    }

    #[test]
    fn an_expiry_in_the_past_deletes_the_key() {
        let mut desk = Desk::new();
        for line in ["SET k b EXAT 1", "SET k b PXAT 1000", "SET k b XX EXAT 1"] {
            desk.check("SET k a", "+OK");
            desk.check(line, "+OK");
            desk.check("GET k", "$-1");
        }
        desk.check("SET k a", "+OK");
        desk.check("SET k b GET EXAT 1", "$1 a");
        desk.check("GET k", "$-1");
        for line in ["GETEX k EXAT 1", "GETEX k PXAT 1000"] {
            desk.check("SET k a", "+OK");
            desk.check(line, "$1 a");
            desk.check("GET k", "$-1");
        }
    }

    #[test]
    fn setex_and_psetex_set_value_and_expiry() {
        let mut desk = Desk::new();
        desk.check("SETEX k 100 a", "+OK");
        lives_about(&desk, 100_000);
        desk.check("PSETEX k 200000 b", "+OK");
        lives_about(&desk, 200_000);
        desk.check("GET k", "$1 b");
    }

    #[test]
    fn getex_changes_the_expiry_or_leaves_it() {
        let mut desk = Desk::new();
        desk.check("GETEX k PERSIST", "$-1");
        desk.check("SET k 5", "+OK");
        desk.check("GETEX k EX 100", "$1 5");
        lives_about(&desk, 100_000);
        desk.check("GETEX k", "$1 5");
        lives_about(&desk, 100_000);
        let at = now_ms() / 1000 + 300;
        desk.check(&format!("GETEX k EXAT {at}"), "$1 5");
        lives_about(&desk, 300_000);
        desk.check("GETEX k PERSIST", "$1 5");
        assert_eq!(ttl(&desk), None);
    }
}
