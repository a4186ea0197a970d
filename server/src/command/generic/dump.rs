//! `DUMP` and `RESTORE`: values in the form in which they travel between servers.

use crate::base::number::{Digits, parse_i64};
use crate::command::expiry::has_passed;
use crate::command::*;
use crate::persist::rdb::{self, RestoreError, Value};
use crate::store::pieces::PIECES_MAX;
use crate::store::record::EXPIRY_MAX;
use crate::store::{Entry, Key, New};
use crate::types::object::Object;
use std::collections::BTreeMap;

pub const DUMP: Command = Command {
    name: "DUMP",
    run: dump,
    summary: "Returns the value of a key in a form that RESTORE takes.",
    complexity: "O(N) for a value of N bytes",
    since: "2.6.0",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..super::GENERIC
};

fn dump(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let Some(entry) = cx.store.get(key) else {
        cx.missed(key);
        cx.reply.null();
        return REPLIED;
    };
    cx.reply.bulk(&payload_of(entry, cx.node.live.rdbcompression()));
    REPLIED
}

/// A value in the form in which it travels.
pub fn payload_of(entry: Entry<'_>, compresses: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    match entry.object() {
        Some(object) => rdb::dump_object(&mut payload, object, compresses),
        None => {
            let mut text = Vec::new();
            entry.value().append_to(&mut text);
            rdb::dump_string(&mut payload, &text, compresses);
        }
    }
    payload
}

pub const RESTORE: Command = Command {
    name: "RESTORE",
    run: restore,
    summary: "Creates a key from what DUMP returned.",
    complexity: "O(N) for a value of N bytes",
    since: "2.6.0",
    args: &[
        key("key", Usage::Write),
        int("ttl"),
        text("serialized-value"),
        token("replace", "REPLACE").optional().since("3.0.0"),
        token("absttl", "ABSTTL").optional().since("5.0.0"),
        int("seconds").after("IDLETIME").optional().since("5.0.0"),
        int("frequency").after("FREQ").optional().since("5.0.0"),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::DANGEROUS),
    ..super::GENERIC
};

fn restore(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let (ttl, payload) = (args.word()?, args.word()?);
    let options = Options::read(args)?;
    if !options.replace && cx.store.peek(key).is_some() {
        return Err(Fault::BusyKey);
    }
    let expiry = expiry(ttl, options.absolute, cx.now_ms())?;
    let value = rdb::restore(payload, &cx.node.limits.of_loaded()).map_err(refused)?;
    let told = cx.is_noted().then(|| (rdb::dump_for_replicas(&value), fields_by_expiry(&value)));
    // The new value has no part in the old one's past, so the policy is to see a new key.
    let replaced = cx.store.remove(key);
    if expiry.is_some_and(|expiry| has_passed(expiry, cx.due_ms())) {
        if replaced {
            cx.event(Class::Generic, "del", key.bytes);
            cx.replicate(&[b"DEL", key.bytes]);
        }
    } else {
        cx.event(Class::New, "new", key.bytes);
        match value {
            Value::Object(object) => cx.store.put_object(key, object, expiry),
            Value::String(text) if text.len() > PIECES_MAX => cx.store.set(key, New::Heap(text), expiry),
            Value::String(text) => cx.store.set(key, New::Set(&text), expiry),
        }
        options.apply(cx, key);
        cx.event(Class::Generic, "restore", key.bytes);
        if let Some((payload, fields)) = told {
            say(cx, &payload, &options, expiry);
            fields.iter().for_each(|(&at, fields)| say_fields(cx, key, at, fields));
        }
    }
    cx.reply.ok();
    REPLIED
}

/// Says in the stream what was restored, in a format that replicas of other versions read, and when it expires, as an
/// absolute time.
fn say(cx: &Ctx<'_>, payload: &[u8], options: &Options, expiry: Option<u64>) {
    let mut digits = Digits::new();
    let mut words: Vec<&[u8]> = cx.words.iter().collect();
    words[3] = payload;
    if let Some(expiry) = expiry {
        words[2] = digits.format(expiry).as_bytes();
        words.extend((!options.absolute).then_some(&b"ABSTTL"[..]));
    }
    cx.replicate(&words);
}

/// The fields of a hash that expire at a time in milliseconds.
type Fields = Vec<Vec<u8>>;

fn fields_by_expiry(value: &Value) -> BTreeMap<u64, Fields> {
    let mut fields: BTreeMap<u64, Fields> = BTreeMap::new();
    let Value::Object(Object::Hash(hash)) = value else { return fields };
    for entry in hash.iter(0) {
        if let Some(at) = entry.expiry {
            fields.entry(at).or_default().push(entry.field.text(&mut Digits::new()).to_vec());
        }
    }
    fields
}

/// Says when fields expire: payloads that do are of one form in Redis, and of another in Valkey.
fn say_fields(cx: &Ctx<'_>, key: Key<'_>, at: u64, fields: &Fields) {
    let (at, count) = (at.to_string(), fields.len().to_string());
    let words = [b"HPEXPIREAT", key.bytes, at.as_bytes(), b"FIELDS", count.as_bytes()];
    cx.replicate(&words.into_iter().chain(fields.iter().map(Vec::as_slice)).collect::<Vec<_>>());
}

fn refused(error: RestoreError) -> Fault {
    Fault::owned(format!("ERR {error}"))
}

/// When the key is to expire, from the `ttl` in milliseconds, of which 0 means never.
fn expiry(ttl: &[u8], absolute: bool, now: u64) -> Result<Option<u64>, Fault> {
    let ttl = parse_i64(ttl).ok_or(Fault::NotInteger)?;
    let ttl = u64::try_from(ttl).map_err(|_| Fault::text("ERR Invalid TTL value, must be >= 0"))?;
    let base = if absolute { 0 } else { now };
    Ok((ttl > 0).then(|| ttl.saturating_add(base).min(EXPIRY_MAX)))
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_s: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn read(args: &mut Args<'_>) -> Result<Options, Fault> {
        let mut options = Options::default();
        while !args.is_empty() {
            if args.take("REPLACE") {
                options.replace = true;
            } else if args.take("ABSTTL") {
                options.absolute = true;
            } else if options.frequency.is_none() && args.take("IDLETIME") {
                let seconds = u64::try_from(args.int()?);
                options.idle_s = Some(seconds.map_err(|_| Fault::text("ERR Invalid IDLETIME value, must be >= 0"))?);
            } else if options.idle_s.is_none() && args.take("FREQ") {
                let frequency = u8::try_from(args.int()?);
                options.frequency =
                    Some(frequency.map_err(|_| Fault::text("ERR Invalid FREQ value, must be >= 0 and <= 255"))?);
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }

    /// Gives the key what the policy in force keeps of its past.
    fn apply(&self, cx: &mut Ctx<'_>, key: Key<'_>) {
        if let Some(seconds) = self.idle_s {
            cx.store.set_idle(key, seconds.saturating_mul(1000));
        }
        if let Some(frequency) = self.frequency {
            cx.store.set_frequency(key, frequency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Desk;
    use crate::store::{Eviction, Options};

    /// What Redis 7.0 dumps of `v` and of 123456.
    const TEXT: &[u8] = b"\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce";
    const NUMBER: &[u8] = b"\x00\xc2@\xe2\x01\x00\n\x00C&G\xf4C\x19r\x83";

    fn restore(desk: &mut Desk, words: &[&[u8]]) -> String {
        let reply = desk.call(&[&[&b"RESTORE"[..]], words].concat());
        String::from_utf8_lossy(&reply).trim_end().to_owned()
    }

    /// The payload in a reply of `DUMP`.
    fn dump(desk: &mut Desk, key: &[u8]) -> Vec<u8> {
        let reply = desk.call(&[b"DUMP", key]);
        let start = reply.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        reply[start..reply.len() - 2].to_vec()
    }

    #[test]
    fn what_redis_dumped_is_restored() {
        let mut desk = Desk::new();
        assert_eq!(restore(&mut desk, &[b"a", b"0", TEXT]), "+OK");
        assert_eq!(restore(&mut desk, &[b"b", b"10000", NUMBER]), "+OK");
        desk.check("GET a", "$1 v");
        desk.check("TTL a", ":-1");
        desk.check("OBJECT ENCODING a", "$6 embstr");
        desk.check("GET b", "$6 123456");
        desk.check("TTL b", ":10");
        desk.check("OBJECT ENCODING b", "$3 int");
    }

    #[test]
    fn what_is_dumped_comes_back() {
        let mut desk = Desk::new();
        desk.check("DUMP nosuch", "$-1");
        for value in [b"".to_vec(), b"-7".to_vec(), b"binary\r\n\0".to_vec(), vec![b'x'; 100_000]] {
            desk.call(&[b"SET", b"k", &value]);
            let payload = dump(&mut desk, b"k");
            assert_eq!(restore(&mut desk, &[b"k", b"0", &payload, b"REPLACE"]), "+OK");
            let reply = desk.call(&[b"GET", b"k"]);
            assert!(reply.ends_with(&[&value[..], b"\r\n"].concat()));
        }
    }

    #[test]
    fn a_collection_is_dumped_and_comes_back() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1 b two", ":2");
        let payload = dump(&mut desk, b"h");
        assert_eq!(restore(&mut desk, &[b"i", b"0", &payload]), "+OK");
        desk.check("HGET i b", "$3 two");
        desk.check("HLEN i", ":2");
        desk.check("OBJECT ENCODING i", "$8 listpack");
    }

    #[test]
    fn replicas_are_told_of_a_hash_and_of_its_fields_expiries_apart() {
        let (mut desk, number) = Desk::leading(Options::default());
        desk.check("HSET h a 1 b 2 c 3", ":3");
        desk.check("HPEXPIREAT h 9000000000000 FIELDS 2 a c", "*2 :1 :1");
        let payload = dump(&mut desk, b"h");
        desk.stream(number);
        assert_eq!(restore(&mut desk, &[b"i", b"0", &payload]), "+OK");
        let sent = desk.stream(number);
        let names: Vec<&[u8]> = sent.iter().map(|words| &words[0][..]).collect();
        assert_eq!(names, [&b"MULTI"[..], b"RESTORE", b"HPEXPIREAT", b"EXEC"]);
        let Ok(Value::Object(Object::Hash(hash))) = rdb::restore(&sent[1][3], &rdb::Limits::default()) else {
            panic!("a hash is restored: {sent:?}")
        };
        assert_eq!((hash.len(), hash.next_due()), (3, None));
        let told = sent[2][1..].join(&b' ');
        assert!(told == b"i 9000000000000 FIELDS 2 a c" || told == b"i 9000000000000 FIELDS 2 c a", "{told:?}");
    }

    #[test]
    fn a_time_that_has_passed_leaves_no_key() {
        let mut desk = Desk::new();
        desk.check("SET k old", "+OK");
        assert_eq!(restore(&mut desk, &[b"k", b"1", TEXT, b"ABSTTL"]), "-BUSYKEY Target key name already exists.");
        assert_eq!(restore(&mut desk, &[b"k", b"1", TEXT, b"absttl", b"replace"]), "+OK");
        desk.check("EXISTS k", ":0");
        assert_eq!(restore(&mut desk, &[b"k", b"33177117420500", TEXT, b"ABSTTL"]), "+OK");
        desk.check("PEXPIRETIME k", ":33177117420500");
        assert_eq!(restore(&mut desk, &[b"k", b"9223372036854775807", TEXT, b"REPLACE"]), "+OK");
        desk.check("EXISTS k", ":1");
    }

    #[test]
    fn wrong_uses_are_refused_in_the_order_of_redis() {
        let mut desk = Desk::new();
        desk.check("SET busy v", "+OK");
        for (line, fault) in [
            ("RESTORE busy abc abc IDLETIME", "ERR syntax error"),
            ("RESTORE busy abc abc IDLETIME -1", "ERR Invalid IDLETIME value, must be >= 0"),
            ("RESTORE busy abc abc IDLETIME abc", "ERR value is not an integer or out of range"),
            ("RESTORE busy abc abc FREQ 256", "ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE busy abc abc FREQ -1", "ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE busy abc abc FREQ 1 IDLETIME 1", "ERR syntax error"),
            ("RESTORE busy abc abc IDLETIME 1 FREQ 1", "ERR syntax error"),
            ("RESTORE busy abc abc FOO", "ERR syntax error"),
            ("RESTORE busy abc abc", "BUSYKEY Target key name already exists."),
            ("RESTORE k abc abc", "ERR value is not an integer or out of range"),
            ("RESTORE k -1 abc", "ERR Invalid TTL value, must be >= 0"),
            ("RESTORE k 0 abc", "ERR DUMP payload version or checksum are wrong"),
            ("RESTORE busy 0 abc REPLACE", "ERR DUMP payload version or checksum are wrong"),
        ] {
            desk.check(line, &format!("-{fault}"));
        }
        desk.check("GET busy", "$1 v");
    }

    #[test]
    fn the_policy_is_given_what_it_keeps() {
        for (eviction, idle, shown) in [
            (Eviction::AllkeysLru, "1000", ":1000"),
            (Eviction::NoEviction, "1000", ":1000"),
            (Eviction::AllkeysLarder, "1000", ":1000"),
            (Eviction::AllkeysLru, "9223372036854775807", ":419430"),
            (Eviction::AllkeysLarder, "9223372036854775807", ":16384"),
        ] {
            let mut desk = Desk::with(Options { eviction, ..Options::default() });
            assert_eq!(restore(&mut desk, &[b"k", b"0", TEXT, b"IDLETIME", idle.as_bytes()]), "+OK");
            desk.check("OBJECT IDLETIME k", shown);
            assert_eq!(restore(&mut desk, &[b"k", b"0", TEXT, b"FREQ", b"9", b"REPLACE"]), "+OK");
            desk.check("OBJECT IDLETIME k", ":0");
        }
        let mut desk = Desk::with(Options { eviction: Eviction::VolatileLfu, ..Options::default() });
        assert_eq!(restore(&mut desk, &[b"k", b"0", TEXT, b"FREQ", b"200"]), "+OK");
        desk.check("OBJECT FREQ k", ":200");
        assert_eq!(restore(&mut desk, &[b"k", b"0", TEXT, b"IDLETIME", b"9", b"REPLACE"]), "+OK");
        desk.check("OBJECT FREQ k", ":5");
    }
}
