//! Values compared with what a client expects: the conditions of SET and DELEX, DELIFEQ, and DIGEST.
//!
//! Redis has them since 8.4. DELIFEQ is Valkey's, as was IFEQ first.

use super::*;
use crate::base::digest;

/// What a client expects of a value: that it equals something, or does not.
#[derive(Clone, Copy)]
pub(super) struct Comparison<'a> {
    is_equal: bool,
    with: With,
    /// A value, or the text of a digest, not yet looked at: Redis does so once it has found a string.
    expected: &'a [u8],
}

#[derive(Clone, Copy)]
enum With {
    Value,
    Digest,
}

/// The words for comparisons.
const COMPARISONS: [(&str, bool, With); 4] = [
    ("IFEQ", true, With::Value),
    ("IFNE", false, With::Value),
    ("IFDEQ", true, With::Digest),
    ("IFDNE", false, With::Digest),
];

impl<'a> Comparison<'a> {
    /// Takes the next two words if they are a comparison.
    ///
    /// # Errors
    ///
    /// [`Fault::Syntax`] if there is nothing to compare with.
    pub(super) fn take(args: &mut Args<'a>) -> Result<Option<Comparison<'a>>, Fault> {
        let Some((_, is_equal, with)) = COMPARISONS.into_iter().find(|(token, ..)| args.take(token)) else {
            return Ok(None);
        };
        Ok(Some(Comparison { is_equal, with, expected: args.word()? }))
    }

    fn value(expected: &'a [u8]) -> Comparison<'a> {
        Comparison { is_equal: true, with: With::Value, expected }
    }

    /// Whether it is said of an equal value, and so never of a key that is not there.
    pub(super) fn asks_for_equality(self) -> bool {
        self.is_equal
    }

    /// Whether a value is as expected.
    ///
    /// # Errors
    ///
    /// The digest to compare with is none.
    pub(super) fn holds(self, value: Value<'_>) -> Result<bool, Fault> {
        let is_same = match self.with {
            With::Value => is_same(value, self.expected),
            With::Digest => digest_of(value) == digest::parse(self.expected).ok_or(NOT_A_DIGEST)?,
        };
        Ok(is_same == self.is_equal)
    }
}

const NOT_A_DIGEST: Fault = Fault::text("ERR must be exactly 16 hexadecimal characters");

/// Whether a string has this text.
pub fn is_same(value: Value<'_>, expected: &[u8]) -> bool {
    if value.len() != expected.len() {
        return false;
    }
    let mut rest = expected;
    parts(value, &mut Digits::new()).all(|part| {
        let (own, others) = rest.split_at(part.len());
        rest = others;
        own == part
    })
}

/// The digest of a string.
pub fn digest_of(value: Value<'_>) -> u64 {
    match value {
        Value::Bytes(bytes) => digest::of(bytes),
        value => digest::of_parts(parts(value, &mut Digits::new())),
    }
}

pub const DIGEST: Command = Command {
    name: "DIGEST",
    run: digest,
    summary: "Returns the digest of a value: its 64-bit XXH3 hash as 16 hexadecimal digits.",
    complexity: "O(N) for a value of N bytes",
    since: "8.4.0",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    ..STRING
};

fn digest(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    match read(&mut cx.store, key)? {
        Some(entry) => cx.reply.bulk(&digest::text(digest_of(entry.value()))),
        None => {
            cx.missed(key);
            cx.reply.null();
        }
    }
    REPLIED
}

pub const DELEX: Command = Command {
    name: "DELEX",
    run: delex,
    summary: "Deletes a key, if its value or the digest of its value is as expected.",
    complexity: "O(1) for a value to compare with, O(N) for the digest of a value of N bytes",
    since: "8.4.0",
    args: &[
        key("key", Usage::Delete),
        one_of(
            "condition",
            &[
                text("ifeq-value").after("IFEQ"),
                text("ifne-value").after("IFNE"),
                text("ifdeq-digest").after("IFDEQ"),
                text("ifdne-digest").after("IFDNE"),
            ],
        )
        .optional(),
    ],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::ByToken {
        tokens: &["IFEQ", "IFNE", "IFDEQ", "IFDNE"],
        with: &["RW", "delete"],
        without: &["RM", "delete"],
    },
    ..STRING
};

fn delex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if !matches!(args.len(), 0 | 2) {
        return Err(Fault::Arity(cx.name().into()));
    }
    let is_deleted = match cx.store.peek(key) {
        Some(_) if args.is_empty() => true,
        Some(entry) => {
            let entry = string(entry)
                .map_err(|_| Fault::text("ERR Key should be of string type if conditions are specified"))?;
            let unknown = Fault::text("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
            Comparison::take(args)?.ok_or(unknown)?.holds(entry.value())?
        }
        // Redis looks at the condition only where there is a key.
        None => false,
    };
    delete_if(cx, key, is_deleted)
}

pub const DELIFEQ: Command = Command {
    name: "DELIFEQ",
    run: delifeq,
    summary: "Deletes a key if its value is as expected.",
    // Of Valkey.
    since: "9.0.0",
    args: &[key("key", Usage::Delete), text("value")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(&["RM", "access", "delete"]),
    ..STRING
};

fn delifeq(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let expected = Comparison::value(args.word()?);
    let is_deleted = match peek(&mut cx.store, key)? {
        Some(entry) => expected.holds(entry.value())?,
        None => false,
    };
    delete_if(cx, key, is_deleted)
}

/// Deletes a key that is there, if so, and replies how many keys were.
fn delete_if(cx: &mut Ctx<'_>, key: Key<'_>, is_deleted: bool) -> Outcome {
    if is_deleted {
        cx.store.remove(key);
        cx.event(Class::Generic, "del", key.bytes);
        cx.replicate(&[b"DEL", key.bytes]);
    }
    cx.reply.int(i64::from(is_deleted));
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    const NOT_A_DIGEST: &str = "-ERR must be exactly 16 hexadecimal characters";
    /// Of `hello`.
    const HELLO: &str = "9555e8555c62dcfd";

    #[test]
    fn digests_are_sixteen_digits() {
        let mut desk = Desk::new();
        desk.check("SET k \"Hello world\"", "+OK");
        desk.check("DIGEST k", "$16 b6acb9d84a38ff74");
        desk.check(
            "SET k v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
            "+OK",
        );
        desk.check("DIGEST k", "$16 00006c38adf31777");
        desk.check("DIGEST none", "$-1");
        desk.check("HSET h f v", ":1");
        desk.check("DIGEST h", WRONG_TYPE);
        desk.check("DIGEST", "-ERR wrong number of arguments for 'digest' command");
        desk.check("DIGEST k l", "-ERR wrong number of arguments for 'digest' command");
        desk.set_protocol(3);
        desk.check("DIGEST none", "_");
    }

    #[test]
    fn a_value_has_the_same_digest_however_it_is_kept() {
        let mut desk = Desk::new();
        desk.check("SET n 12345", "+OK");
        desk.check("SET t 123456", "+OK");
        desk.check("SETRANGE t 5 \"\"", ":6");
        desk.check("APPEND s 12345", ":5");
        desk.check("APPEND s x", ":6");
        desk.check("SETRANGE s 5 6", ":6");
        assert_eq!(desk.run("DIGEST t"), desk.run("DIGEST s"));
        let long: Vec<u8> = (0..50_000).map(|at| (at / 3 % 251) as u8).collect();
        desk.call(&[b"SET", b"pieces", &long]);
        desk.call(&[b"SET", b"buffer", &long]);
        desk.check("SETRANGE buffer 0 \"\\x00\"", ":50000");
        assert_eq!(desk.run("DIGEST pieces"), desk.run("DIGEST buffer"));
        assert_eq!(desk.call(&[b"SET", b"pieces", b"1", b"IFEQ", &long[1..]]), b"$-1\r\n");
        assert_eq!(desk.call(&[b"SET", b"pieces", b"1", b"IFEQ", &long]), b"+OK\r\n");
        assert_eq!(desk.call(&[b"DELEX", b"buffer", b"IFNE", &long]), b":0\r\n");
        assert_eq!(desk.call(&[b"DELIFEQ", b"buffer", &long]), b":1\r\n");
    }

    #[test]
    fn set_compares_with_a_value() {
        let mut desk = Desk::new();
        desk.check("SET k new IFEQ old", "$-1");
        desk.check("EXISTS k", ":0");
        desk.check("SET k one IFNE x", "+OK");
        desk.check("SET k two IFNE one", "$-1");
        desk.check("SET k two ifeq one", "+OK");
        desk.check("SET k three IFEQ one GET", "$3 two");
        desk.check("SET k three IFEQ two GET EX 100", "$3 two");
        desk.check("TTL k", ":100");
        desk.check("SET k 12345 KEEPTTL IFEQ three", "+OK");
        desk.check("TTL k", ":100");
        desk.check("SET k \"\" IFEQ 12345", "+OK");
        desk.check("SET k x IFNE \"\"", "$-1");
        desk.check("SET k x IFEQ \"\"", "+OK");
        desk.check("SET none x IFEQ y GET", "$-1");
        desk.check("SET none x IFNE y GET", "$-1");
        desk.check("GET none", "$1 x");
    }

    #[test]
    fn set_compares_with_a_digest() {
        let mut desk = Desk::new();
        desk.check(&format!("SET k x IFDEQ {HELLO}"), "$-1");
        desk.check("EXISTS k", ":0");
        desk.check(&format!("SET k hello IFDNE {HELLO}"), "+OK");
        desk.check(&format!("SET k x IFDNE {HELLO}"), "$-1");
        desk.check(&format!("SET k x IFDEQ {}", HELLO.to_uppercase()), "+OK");
        desk.check(&format!("SET k y IFDEQ {HELLO} GET"), "$1 x");
        desk.check(&format!("SET k y IFDNE {HELLO} GET"), "$1 x");
        desk.check("GET k", "$1 y");
        for wrong in ["\"\"", "555e8555c62dcfd", "09555e8555c62dcfd", "9555e8555c62dcfg"] {
            desk.check(&format!("SET k z IFDEQ {wrong}"), NOT_A_DIGEST);
            desk.check(&format!("SET k z GET IFDNE {wrong}"), NOT_A_DIGEST);
            desk.check(&format!("DELEX k IFDEQ {wrong}"), NOT_A_DIGEST);
            desk.check(&format!("DELEX k IFDNE {wrong}"), NOT_A_DIGEST);
        }
        desk.check("GET k", "$1 y");
        desk.check("SET none z IFDEQ 1234", "$-1");
        desk.check("SET none z IFDNE 1234", "+OK");
    }

    #[test]
    fn conditions_of_set_exclude_each_other() {
        let mut desk = Desk::new();
        let tails = "IFEQ|IFDNE|IFEQ a NX|NX IFEQ a|IFEQ a XX|XX IFNE a|IFEQ a IFNE b|IFEQ a IFEQ a|IFDEQ a IFEQ b|\
                     IFEQ a b|GET IFNE";
        for tail in tails.split('|') {
            desk.check(&format!("SET k v {tail}"), "-ERR syntax error");
        }
        desk.check("EXISTS k", ":0");
        for name in ["MSETEX 1 k v IFEQ a", "GETEX k IFEQ a"] {
            desk.check(name, "-ERR syntax error");
        }
    }

    #[test]
    fn what_is_no_string_is_compared_with_nothing() {
        let mut desk = Desk::new();
        desk.check("HSET h f v", ":1");
        for token in ["IFEQ", "IFNE", "IFDEQ", "IFDNE"] {
            desk.check(&format!("SET h v {token} x"), WRONG_TYPE);
            desk.check(&format!("SET h v {token} x GET"), WRONG_TYPE);
            desk.check(&format!("DELEX h {token} x"), "-ERR Key should be of string type if conditions are specified");
        }
        desk.check("DELIFEQ h x", WRONG_TYPE);
        desk.check("HLEN h", ":1");
        desk.check("DELEX h", ":1");
        desk.check("EXISTS h", ":0");
    }

    #[test]
    fn delex_deletes_what_is_as_expected() {
        let mut desk = Desk::new();
        desk.check("DELEX none", ":0");
        desk.check("DELEX none IFNE x", ":0");
        desk.check("DELEX none IFDNE x", ":0");
        desk.check("DELEX none FOO x", ":0");
        for (value, condition) in [
            ("hello", "".to_owned()),
            ("hello", "IFEQ hello".to_owned()),
            ("hello", "ifne world".to_owned()),
            ("-999", "IFEQ -999".to_owned()),
            ("hello", format!("IFDEQ {HELLO}")),
            ("world", format!("IFDNE {HELLO}")),
        ] {
            desk.check(&format!("SET k {value}"), "+OK");
            desk.check(&format!("DELEX k {condition}"), ":1");
            desk.check("EXISTS k", ":0");
        }
        desk.check("SET k hello", "+OK");
        for condition in ["IFEQ world", "IFNE hello", &format!("IFDNE {HELLO}"), "IFDEQ 0000000000000000"] {
            desk.check(&format!("DELEX k {condition}"), ":0");
        }
        for condition in ["INVALID hello", "IF hello", "EQ hello", "NX hello"] {
            let invalid = "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE";
            desk.check(&format!("DELEX k {condition}"), invalid);
        }
        for words in ["k IFEQ", "k IFEQ a b", "none IFEQ", ""] {
            desk.check(&format!("DELEX {words}"), "-ERR wrong number of arguments for 'delex' command");
        }
        desk.check("GET k", "$5 hello");
    }

    #[test]
    fn delifeq_deletes_an_equal_value() {
        let mut desk = Desk::new();
        desk.check("DELIFEQ k token", ":0");
        desk.check("SET k token", "+OK");
        desk.check("DELIFEQ k Token", ":0");
        desk.check("DELIFEQ k token", ":1");
        desk.check("EXISTS k", ":0");
        desk.check("SET k 7", "+OK");
        desk.check("DELIFEQ k 07", ":0");
        desk.check("DELIFEQ k 7", ":1");
        desk.check("DELIFEQ k", "-ERR wrong number of arguments for 'delifeq' command");
    }

    #[test]
    fn keys_are_told_with_what_is_done_to_them() {
        let mut desk = Desk::new();
        desk.check("COMMAND GETKEYSANDFLAGS DELEX k", "*1 *2 $1 k *2 +RM +delete");
        desk.check("COMMAND GETKEYSANDFLAGS DELEX k IFEQ v", "*1 *2 $1 k *2 +RW +delete");
        desk.check("COMMAND GETKEYSANDFLAGS SET k v IFNE w", "*1 *2 $1 k *3 +RW +access +update");
        desk.check("COMMAND GETKEYSANDFLAGS SET k v NX", "*1 *2 $1 k *2 +OW +update");
        desk.check("COMMAND GETKEYS MSETEX 2 a 1 b 2 KEEPTTL", "*2 $1 a $1 b");
    }
}
