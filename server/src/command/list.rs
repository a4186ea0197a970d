//! Lists: elements in a row, added and taken at both ends.

mod change;
mod pop;
mod push;
mod search;
mod transfer;

use super::*;
use crate::types::list::{End, List};
use std::ops::Range;

pub const COMMANDS: &[Command] = &[
    transfer::BLMOVE,
    pop::BLMPOP,
    pop::BLPOP,
    pop::BRPOP,
    transfer::BRPOPLPUSH,
    LINDEX,
    change::LINSERT,
    LLEN,
    transfer::LMOVE,
    pop::LMPOP,
    pop::LPOP,
    search::LPOS,
    push::LPUSH,
    push::LPUSHX,
    LRANGE,
    change::LREM,
    change::LSET,
    change::LTRIM,
    pop::RPOP,
    transfer::RPOPLPUSH,
    push::RPUSH,
    push::RPUSHX,
];

const LIST: Command = Command { group: Group::List, ..COMMAND };

/// The ways in which Redis says that a key is used.
const DELETES: &[&str] = &["RW", "delete"];
const INSERTS: &[&str] = &["RW", "insert"];
const POPS: &[&str] = &["RW", "access", "delete"];

/// An end of a list as one types it.
const ENDS: &[Arg] = &[token("left", "LEFT"), token("right", "RIGHT")];

const LLEN: Command = Command {
    name: "LLEN",
    run: llen,
    summary: "Tells how many elements a list has.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RO"]),
    ..LIST
};

fn llen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let len = cx.store.read::<List>(args.key()?)?.map_or(0, List::len);
    cx.reply.len(len);
    REPLIED
}

const LINDEX: Command = Command {
    name: "LINDEX",
    run: lindex,
    summary: "Returns the element at a position, which counts from the tail if it is negative.",
    complexity: "O(N) for a position N elements from the nearer end, with a very small factor",
    args: &[key("key", Usage::Read), int("index")],
    flags: Flags::READONLY,
    ..LIST
};

fn lindex(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    // As in Redis a key that is not there spares the position from being read.
    let Some(list) = cx.store.read::<List>(args.key()?)? else {
        cx.reply.null();
        return REPLIED;
    };
    match place(args.int()?, list.len()).and_then(|place| list.get(place)) {
        Some(element) => cx.reply.element(element),
        None => cx.reply.null(),
    }
    REPLIED
}

const LRANGE: Command = Command {
    name: "LRANGE",
    run: lrange,
    summary: "Returns the elements from one position to another; negative ones count from the tail.",
    complexity: "O(S+N) for N elements that begin S from the nearer end; S has a very small factor",
    args: &[key("key", Usage::Read), int("start"), int("stop")],
    flags: Flags::READONLY,
    ..LIST
};

fn lrange(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, start, stop) = (args.key()?, args.int()?, args.int()?);
    let Some(list) = cx.store.read::<List>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    let span = span(start, stop, list.len());
    cx.reply.array(span.len());
    list.iter_from(span.start).take(span.len()).for_each(|element| cx.reply.element(element));
    REPLIED
}

/// The place that a position means in a list of `len` elements.
fn place(position: i64, len: usize) -> Option<usize> {
    let from_head = if position < 0 { position + len as i64 } else { position };
    usize::try_from(from_head).ok().filter(|&place| place < len)
}

/// The places that a first and a last position mean in a list of `len` elements.
fn span(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_head = |position: i64| if position < 0 { position + len as i64 } else { position };
    let end = from_head(last).saturating_add(1).clamp(0, len as i64);
    let start = from_head(first).clamp(0, end);
    start as usize..end as usize
}

/// The next word as an end of a list.
fn end(args: &mut Args<'_>) -> Result<End, Fault> {
    if args.take("LEFT") {
        Ok(End::Head)
    } else if args.take("RIGHT") {
        Ok(End::Tail)
    } else {
        Err(Fault::Syntax)
    }
}

/// Tells of elements that were added to a list.
fn pushed(cx: &mut Ctx<'_>, key: &[u8], end: End) {
    let name = if end == End::Head { "lpush" } else { "rpush" };
    cx.event(Class::List, name, key);
}

/// Tells of elements that were taken from a list, and of its key if those were the last.
fn popped(cx: &mut Ctx<'_>, key: &[u8], end: End, is_spent: bool) {
    let name = if end == End::Head { "lpop" } else { "rpop" };
    cx.event(Class::List, name, key);
    cx.event_if(is_spent, Class::Generic, "del", key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Desk;

    pub const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn positions_count_from_either_end() {
        assert_eq!(
            [0, 2, 3, -1, -3, -4, i64::MIN].map(|at| place(at, 3)),
            [Some(0), Some(2), None, Some(2), Some(0), None, None]
        );
        assert_eq!(span(0, -1, 4), 0..4);
        assert_eq!(span(1, -2, 4), 1..3);
        assert_eq!(span(-100, 1, 4), 0..2);
        assert!(span(3, 1, 4).is_empty() && span(9, 20, 4).is_empty() && span(0, -9, 4).is_empty());
        assert_eq!(span(i64::MIN, i64::MAX, 4), 0..4);
        assert!(span(i64::MAX, i64::MIN, 4).is_empty());
    }

    #[test]
    fn a_list_is_read_by_position() {
        let mut desk = Desk::new();
        desk.check("RPUSH l w x y z a b c d", ":8");
        desk.check("LLEN l", ":8");
        desk.check("LLEN none", ":0");
        desk.check("LRANGE l 0 -1", "*8 $1 w $1 x $1 y $1 z $1 a $1 b $1 c $1 d");
        desk.check("LRANGE l -3 100", "*3 $1 b $1 c $1 d");
        desk.check("LRANGE l -100 1", "*2 $1 w $1 x");
        desk.check("LRANGE l 5 2", "*0");
        desk.check("LRANGE l 100 200", "*0");
        desk.check("LRANGE none 0 1", "*0");
        for (index, answer) in [("0", "$1 w"), ("-1", "$1 d"), ("100", "$-1"), ("-100", "$-1")] {
            desk.check(&format!("LINDEX l {index}"), answer);
        }
        desk.check("LINDEX l -9223372036854775808", "$-1");
        desk.check("TYPE l", "+list");
        desk.check("OBJECT ENCODING l", "$8 listpack");
    }

    #[test]
    fn wrong_positions_are_refused_in_the_order_in_which_redis_looks() {
        let mut desk = Desk::new();
        desk.check("RPUSH l a", ":1");
        desk.check("SET s v", "+OK");
        let not_integer = "-ERR value is not an integer or out of range";
        for line in
            ["LRANGE none x 1", "LRANGE none 0 y", "LRANGE s a b", "LINDEX l abc", "LINDEX l 9223372036854775808"]
        {
            desk.check(line, not_integer);
        }
        desk.check("LINDEX none abc", "$-1");
        for line in ["LINDEX s abc", "LRANGE s 0 1", "LLEN s"] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("LINDEX l", "-ERR wrong number of arguments for 'lindex' command");
        desk.check("LRANGE l 0", "-ERR wrong number of arguments for 'lrange' command");
        desk.check("LLEN l l", "-ERR wrong number of arguments for 'llen' command");
    }

    #[test]
    fn a_long_list_is_returned_whole_and_in_parts() {
        let mut desk = Desk::new();
        for n in 0..5_000 {
            desk.run(&format!("RPUSH l {n}"));
        }
        desk.check("OBJECT ENCODING l", "$9 quicklist");
        let reply = desk.run("LRANGE l 0 -1");
        let elements: Vec<&str> = reply.split("\r\n").skip(2).step_by(2).collect();
        assert_eq!(elements.len(), 5_000);
        assert!(elements.iter().enumerate().all(|(n, element)| *element == n.to_string()));
        desk.check("LRANGE l 2500 2501", "*2 $4 2500 $4 2501");
        desk.check("LRANGE l -2 -1", "*2 $4 4998 $4 4999");
        desk.check("LINDEX l 3333", "$4 3333");
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let mut desk = Desk::new();
        desk.check("RPUSH a 1 2", ":2");
        let before = desk.node.store.totals().counters.changes;
        for line in [
            "LREM a 0 x",
            "LINSERT a BEFORE x y",
            "LPOP a 0",
            "LSET a 9 x",
            "LSET a x x",
            "LPUSHX none x",
            "LTRIM none 0 1",
            "LMOVE none a LEFT LEFT",
            "LMPOP 1 none LEFT",
        ] {
            desk.run(line);
        }
        assert_eq!(desk.node.store.totals().counters.changes, before);
        desk.check("LTRIM a 0 -1", "+OK");
        assert_eq!(desk.node.store.totals().counters.changes, before + 1, "Redis tells of a trim in any case");
        desk.check("LMOVE a b LEFT LEFT", "$1 1");
        assert_eq!(desk.node.store.totals().counters.changes, before + 3);
    }

    #[test]
    fn nothing_is_null_in_resp3() {
        let mut desk = Desk::new();
        desk.set_protocol(3);
        desk.check("LINDEX none 0", "_");
        desk.check("LRANGE none 0 1", "*0");
    }
}
