//! Where Larder is meant to answer otherwise than the reference: it follows Redis 7.2, and the reference is 7.0.15.
//!
//! What replies may differ in by chance or by the clock stands in `compare.rs`.

use crate::words::Words;
use larder_client::resp::Reply;
use larder_tests::{matches, render};

/// A call that is answered otherwise, on purpose. All are patterns of [`matches`], the call's in lower case.
struct Intended {
    call: &'static str,
    ours: &'static str,
    theirs: &'static str,
    /// Why. Only for who reads this.
    _reason: &'static str,
}

const TOO_FEW_FOR_GETKEYS: &str = "ERR wrong number of arguments for 'command|getkeys*";
const TOO_MANY_FOR_KEYS: &str = "ERR Invalid number of arguments specified for command";
const TOO_MANY_FOR_ZRANK: &str = "ERR wrong number of arguments for 'zrank' command";
const TOO_MANY_FOR_ZREVRANK: &str = "ERR wrong number of arguments for 'zrevrank' command";

/// What SORT says if `errno` is set when it begins.
const STALE_ERRNO: &str = "ERR One or more scores can't be converted into double*";
const STALE_ERRNO_IN_EXEC: &str = "[*ERR One or more scores can't be converted into double*";

/// A transaction has fed two keys that one waits for.
const FIRST_OF_SEVERAL: &str = "since 7.2 the call is made again, and takes the first of its keys that holds something; before, \
                                the one that was fed first";

const INTENDED: &[Intended] = &[
    Intended {
        call: "command getkeys*",
        ours: "ERR *",
        theirs: TOO_FEW_FOR_GETKEYS,
        _reason: "one word was too few before 7.2, and is a command that may have no keys since",
    },
    Intended {
        call: "zrank * * *",
        ours: "ERR *",
        theirs: TOO_MANY_FOR_ZRANK,
        _reason: "since 7.2 the fourth word may be WITHSCORE, so another is an error of syntax, if the call gets so far",
    },
    Intended { call: "zrevrank * * *", ours: "ERR *", theirs: TOO_MANY_FOR_ZREVRANK, _reason: "as of ZRANK" },
    Intended {
        call: "bitcount *",
        ours: "ERR *",
        theirs: "0",
        _reason: "since 7.2 what is wrong with a range is told without a key, too",
    },
    Intended {
        call: "command getkeys* xread*",
        ours: "ERR Invalid arguments specified for command",
        theirs: "[*",
        _reason: "Larder finds STREAMS as the command does, past what options take; the reference takes the first such word",
    },
    Intended {
        call: "command getkeys*sync *",
        ours: "ERR Invalid command specified",
        theirs: "ERR The command has no key arguments",
        _reason: "SYNC and PSYNC come with replication",
    },
    Intended {
        call: "xsetid *",
        ours: "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        theirs: "ERR The * specified in XSETID is smaller than the target stream *",
        _reason: "since 7.2 what was deleted is looked at first",
    },
    Intended {
        call: "lpos *",
        ours: "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        theirs: "*",
        _reason: "since 7.2 the least number, which has no opposite, is refused",
    },
    Intended {
        call: "command list filterby *",
        ours: "*",
        theirs: "[*]",
        _reason: "Larder has some commands of later versions",
    },
    Intended { call: "bitpos *", ours: "ERR *", theirs: "0", _reason: "as of BITCOUNT; looking for 0 without a key" },
    Intended { call: "bitpos *", ours: "ERR *", theirs: "-1", _reason: "as of BITCOUNT; looking for 1 without a key" },
    Intended {
        call: "b*",
        ours: "ERR timeout is out of range",
        theirs: "ERR timeout is negative",
        _reason: "since 7.2 a time is compared with the largest before it is cut to a whole number",
    },
    Intended {
        call: "xread*",
        ours: "ERR Unbalanced 'xread*",
        theirs: "ERR Unbalanced XREAD*",
        _reason: "since 7.2 the text names the command as it is called",
    },
    Intended {
        call: "xread *block *",
        ours: r#"[["*]]]], ["*"#,
        theirs: r#"[["*"#,
        _reason: "since 7.2 the call is made again, and brings what all of its streams have; before, one of them once",
    },
    Intended {
        call: "xreadgroup * block *",
        ours: "NOGROUP *",
        theirs: "UNBLOCKED *",
        _reason: "since 7.2 who waits for a stream is told that the group is gone when the stream is",
    },
    Intended {
        call: "xreadgroup * block *",
        ours: "WRONGTYPE *",
        theirs: "UNBLOCKED *",
        _reason: "since 7.2 who waits for a stream is told so when another type takes its place",
    },
    Intended {
        call: "xreadgroup * block *",
        ours: "NOGROUP No such key *",
        theirs: "NOGROUP the consumer group this client was blocked on no longer exists",
        _reason: "since 7.2 the call is made again when the group is destroyed, and its own text tells",
    },
    Intended {
        call: "object encoding *",
        ours: "listpack",
        theirs: "quicklist",
        _reason: "since 7.2 a small list is one listpack",
    },
    Intended {
        call: "object encoding *",
        ours: "listpack",
        theirs: "hashtable",
        _reason: "since 7.2 a small set is one listpack; where all that is stored is compared, this holds for sets alone",
    },
    Intended {
        call: "object encoding *",
        ours: "listpack",
        theirs: "skiplist",
        _reason: "SORT makes the reference turn a small sorted set into a large one; Larder only reads it",
    },
    Intended {
        call: "object encoding *",
        ours: "int",
        theirs: "embstr",
        _reason: "what INCRBYFLOAT has left is digits to the reference; Larder sees the integer once the key is moved",
    },
];

/// Differences after which the servers hold different things, so that a script ends there.
const PARTINGS: &[Intended] = &[
    Intended {
        call: "lrem *",
        ours: "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        theirs: "*",
        _reason: "since 7.2 the least number, which has no opposite, is refused",
    },
    Intended {
        call: "xsetid *",
        ours: "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        theirs: "OK",
        _reason: "since 7.2 the id may not be below that of an entry that was deleted",
    },
    Intended {
        call: "b* *",
        ours: "WRONGTYPE *",
        theirs: "*",
        _reason: "since 7.2 who waits for several keys has its call made again when one of them is ready, and another may \
                  hold something else by then",
    },
    Intended { call: "blpop q* q* *", ours: "[*", theirs: "[*", _reason: FIRST_OF_SEVERAL },
    Intended { call: "brpop q* q* *", ours: "[*", theirs: "[*", _reason: FIRST_OF_SEVERAL },
    Intended { call: "bzpop* q* q* *", ours: "[*", theirs: "[*", _reason: FIRST_OF_SEVERAL },
    Intended { call: "blmpop * q* q* *", ours: "[*", theirs: "[*", _reason: FIRST_OF_SEVERAL },
    Intended { call: "bzmpop * q* q* *", ours: "[*", theirs: "[*", _reason: FIRST_OF_SEVERAL },
    Intended {
        call: "del q1 q2 qz1 qz2",
        ours: "*",
        theirs: "*",
        _reason: "what is left once a call has waited that the reference ends otherwise, as above",
    },
    Intended { call: "command getkeys* zrank *", ours: "[*", theirs: TOO_MANY_FOR_KEYS, _reason: "as of ZRANK itself" },
    Intended {
        call: "command getkeys* zrevrank *",
        ours: "[*",
        theirs: TOO_MANY_FOR_KEYS,
        _reason: "as of ZRANK itself",
    },
    Intended { call: "xread *block *", ours: "WRONGTYPE *", theirs: "*", _reason: "as of BLPOP and its like" },
    Intended {
        call: "xread * qx1 qx2 *",
        ours: "(it was served)",
        theirs: "(it waits still)",
        _reason: "as of BLPOP and its like: the stream that became ready has nothing new",
    },
    Intended {
        call: "sort*",
        ours: "*",
        theirs: STALE_ERRNO,
        _reason: "the reference takes a failure left by an earlier call",
    },
    Intended { call: "exec", ours: "[*", theirs: STALE_ERRNO_IN_EXEC, _reason: "as of SORT alone" },
];

/// Encodings of values of a type that Larder names otherwise.
const ENCODINGS: &[(&str, &str, &str)] = &[
    ("string", "int", "embstr"),
    ("list", "listpack", "quicklist"),
    ("set", "listpack", "hashtable"),
    // What is left of a set of words, once it was dumped and restored.
    ("set", "listpack", "intset"),
    ("zset", "listpack", "skiplist"),
];

/// Whether a call may have another number of words than in the reference. In a transaction it is queued by one of the
/// servers and ends the other's.
pub fn is_of_other_length(words: &Words) -> bool {
    const REFUSALS: [&str; 3] = [TOO_FEW_FOR_GETKEYS, TOO_MANY_FOR_ZRANK, TOO_MANY_FOR_ZREVRANK];
    let call = call(words);
    INTENDED.iter().any(|row| REFUSALS.contains(&row.theirs) && matches(row.call, &call))
}

/// Whether the two replies to a call are in the list.
pub fn is_intended(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    let (call, ours, theirs) = (call(words), render(ours), render(theirs));
    INTENDED.iter().any(|row| matches(row.call, &call) && matches(row.ours, &ours) && matches(row.theirs, &theirs))
}

/// Whether the servers go different ways from here on, on purpose, given the replies to a call as texts.
pub fn is_parting(words: &Words, ours: &str, theirs: &str) -> bool {
    let call = call(words);
    PARTINGS.iter().any(|row| matches(row.call, &call) && matches(row.ours, ours) && matches(row.theirs, theirs))
}

/// A request as one line, in lower case.
fn call(words: &Words) -> String {
    let words: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase().escape_ascii().to_string()).collect();
    words.join(" ")
}

/// Whether two encodings of values of one type are the same, or are meant to differ.
pub fn is_same_encoding(kind: &str, ours: &str, theirs: &str) -> bool {
    ours == theirs || ENCODINGS.contains(&(kind, ours, theirs))
}

/// Fields of XINFO's replies that are new in 7.2.
pub const NEW_FIELDS: &[&[u8]] = &[b"inactive", b"active-time"];

/// Whether the texts of two errors differ only because the reference ends a word that it quotes at a NUL byte. Larder shows
/// all of it, by design.
pub fn is_cut(ours: &Reply, theirs: &Reply) -> bool {
    let (Reply::Error(ours), Reply::Error(theirs)) = (ours, theirs) else { return false };
    let nul = ours.iter().position(|byte| *byte == 0);
    nul.is_some_and(|nul| theirs.starts_with(&ours[..nul]))
}
