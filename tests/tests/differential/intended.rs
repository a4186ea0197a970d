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

const INTENDED: &[Intended] = &[
    Intended {
        call: "command getkeys*",
        ours: "ERR *",
        theirs: "ERR wrong number of arguments for 'command|getkeys*",
        _reason: "one word was too few before 7.2, and is a command that may have no keys since",
    },
    Intended {
        call: "bitcount *",
        ours: "ERR *",
        theirs: "0",
        _reason: "since 7.2 what is wrong with a range is told without a key, too",
    },
    Intended {
        call: "bitpos *",
        ours: "ERR *",
        theirs: "*",
        _reason: "since 7.2 what is wrong with a range is told without a key, too",
    },
    Intended {
        call: "xreadgroup *",
        ours: "NOGROUP *",
        theirs: "UNBLOCKED *",
        _reason: "since 7.2 who waits for a stream that is deleted or replaced is told that the group is gone",
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
        ours: "int",
        theirs: "embstr",
        _reason: "what INCRBYFLOAT has left is digits to the reference; Larder sees the integer once the key is moved",
    },
];

/// Encodings of values of a type that Larder names otherwise.
const ENCODINGS: &[(&str, &str, &str)] =
    &[("string", "int", "embstr"), ("list", "listpack", "quicklist"), ("set", "listpack", "hashtable")];

/// Whether the two replies to a call are in the list.
pub fn is_intended(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    let call: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase().escape_ascii().to_string()).collect();
    let (call, ours, theirs) = (call.join(" "), render(ours), render(theirs));
    INTENDED.iter().any(|row| matches(row.call, &call) && matches(row.ours, &ours) && matches(row.theirs, &theirs))
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
