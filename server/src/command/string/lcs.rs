//! LCS: what two strings have in common.

use super::*;
use crate::base::lcs::{self, LcsError};

pub const LCS: Command = Command {
    name: "LCS",
    run: lcs,
    summary: "Finds the longest common subsequence of two strings.",
    complexity: "O(N*M) for strings of N and M bytes",
    since: "7.0.0",
    args: &[
        key("key1", Usage::Read),
        key("key2", Usage::Read),
        token("len", "LEN").optional(),
        token("idx", "IDX").optional(),
        int("min-match-len").after("MINMATCHLEN").optional(),
        token("withmatchlen", "WITHMATCHLEN").optional(),
    ],
    flags: Flags::READONLY,
    ..STRING
};

/// What is asked for.
#[derive(Default)]
struct Wish {
    len: bool,
    idx: bool,
    /// Shorter matches are left out of the answer to `IDX`.
    match_len_min: usize,
    with_match_len: bool,
}

fn lcs(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (one, other) = (args.key()?, args.key()?);
    // The store lends one value at a time.
    let mut a = Vec::new();
    match look(&mut cx.store, one)? {
        Some(entry) => entry.value().append_to(&mut a),
        None => cx.missed(one),
    }
    let mut text = Text::default();
    let Ctx { store, node, session, .. } = cx;
    let b = match look(store, other)? {
        Some(entry) => bytes(entry.value(), &mut text),
        None => {
            node.key_event(Class::KeyMiss, "keymiss", session.db, other.bytes);
            &[]
        }
    };
    let wish = Wish::take(args)?;
    let memory_max = cx.node.tuning.bulk_len_max() as u64;
    if wish.idx {
        answer_matches(cx.reply, &a, b, &wish, memory_max)?;
    } else if wish.len {
        cx.reply.len(lcs::length(&a, b, memory_max).map_err(refused)?);
    } else {
        cx.reply.bulk(&lcs::subsequence(&a, b, memory_max).map_err(refused)?);
    }
    REPLIED
}

/// As [`read`], with a text of its own for keys of another type.
fn look<'a>(store: &'a mut Keys<'_>, key: Key<'_>) -> Result<Option<Entry<'a>>, Fault> {
    read(store, key).map_err(|_| Fault::text("ERR The specified keys must contain string values"))
}

fn refused(error: LcsError) -> Fault {
    Fault::owned(format!("ERR {error}"))
}

/// The runs that match, from the end to the start, and the length of the whole.
fn answer_matches(reply: &mut Reply, a: &[u8], b: &[u8], wish: &Wish, memory_max: u64) -> Result<(), Fault> {
    let (matches, len) = lcs::ranges(a, b, wish.match_len_min, memory_max).map_err(refused)?;
    reply.map(2);
    reply.text("matches");
    reply.array(matches.len());
    for found in matches {
        reply.array(2 + usize::from(wish.with_match_len));
        for (first, last) in [found.a, found.b] {
            reply.array(2);
            reply.len(first);
            reply.len(last);
        }
        if wish.with_match_len {
            reply.len(found.match_length());
        }
    }
    reply.text("len");
    reply.len(len);
    Ok(())
}

impl Wish {
    fn take(args: &mut Args<'_>) -> Result<Wish, Fault> {
        let mut wish = Wish::default();
        while !args.is_empty() {
            if args.take("LEN") {
                wish.len = true;
            } else if args.take("IDX") {
                wish.idx = true;
            } else if args.take("WITHMATCHLEN") {
                wish.with_match_len = true;
            } else if args.len() > 1 && args.take("MINMATCHLEN") {
                wish.match_len_min = args.int()?.max(0) as usize;
            } else {
                return Err(Fault::Syntax);
            }
        }
        if wish.idx && wish.len {
            return Err(Fault::text("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(wish)
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    fn desk() -> Desk {
        let mut desk = Desk::new();
        desk.check("MSET a ohmytext b mynewtext n 12345 m 1245", "+OK");
        desk
    }

    #[test]
    fn the_subsequence_or_its_length_is_answered() {
        let mut desk = desk();
        desk.check("LCS a b", "$6 mytext");
        desk.check("LCS a b LEN", ":6");
        desk.check("LCS n m", "$4 1245");
        desk.check("LCS a a LEN", ":8");
        desk.check("LCS a absent", "$0");
        desk.check("LCS absent b len", ":0");
        desk.check("LCS a b WITHMATCHLEN MINMATCHLEN 9", "$6 mytext");
    }

    #[test]
    fn matches_are_answered_from_the_end() {
        let mut desk = desk();
        desk.check("LCS a b IDX", "*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6");
        desk.check("LCS a b IDX MINMATCHLEN 4", "*4 $7 matches *1 *2 *2 :4 :7 *2 :5 :8 $3 len :6");
        let line = "LCS a b withmatchlen IDX MINMATCHLEN -4 minmatchlen 4";
        desk.check(line, "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6");
        desk.check("LCS a absent IDX", "*4 $7 matches *0 $3 len :0");
    }

    #[test]
    fn wrong_words_are_refused() {
        let mut desk = desk();
        desk.check("LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX.");
        desk.check("LCS a b FOO", "-ERR syntax error");
        desk.check("LCS a b MINMATCHLEN", "-ERR syntax error");
        desk.check("LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range");
    }

    #[test]
    fn strings_whose_table_would_be_too_large_are_refused() {
        let mut desk = Desk::new();
        desk.check("SETRANGE a 19999 x", ":20000");
        desk.check("SETRANGE b 19999 x", ":20000");
        let text = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
        desk.check("LCS a b", text);
        desk.check("LCS a b LEN", text);
        desk.check("LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX.");
    }
}
