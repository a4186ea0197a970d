//! From one list to another, or round in one: `LMOVE`, `RPOPLPUSH`, and `BLMOVE`, `BRPOPLPUSH`, which wait for an element.

use super::pop::take;
use super::*;
use crate::command::blocking::{Await, Awaited, wait_seconds};
use crate::store::Key;

const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM);

pub const LMOVE: Command = Command {
    name: "LMOVE",
    run: lmove,
    summary: "Takes an element from an end of a list, puts it at an end of another, and returns it.",
    since: "6.2.0",
    args: &[
        key("source", Usage::Delete),
        key("destination", Usage::Update),
        one_of("wherefrom", ENDS),
        one_of("whereto", ENDS),
    ],
    flags: WRITES,
    key_use: KeyUse::Each(&[POPS, INSERTS]),
    ..LIST
};

fn lmove(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let way = Way { source: args.key()?, destination: args.key()?, from: end(args)?, to: end(args)? };
    way.take_now(cx)
}

pub const RPOPLPUSH: Command = Command {
    name: "RPOPLPUSH",
    run: rpoplpush,
    summary: "Takes the element at the tail of a list, puts it at the head of another, and returns it.",
    since: "1.2.0",
    args: &[key("source", Usage::Delete), key("destination", Usage::Update)],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`LMOVE` with the `RIGHT` and `LEFT` arguments" }),
    ..LMOVE
};

fn rpoplpush(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    Way { source: args.key()?, destination: args.key()?, from: End::Tail, to: End::Head }.take_now(cx)
}

pub const BLMOVE: Command = Command {
    name: "BLMOVE",
    run: blmove,
    summary: "Takes an element from an end of a list, waiting for one, puts it at an end of another, and returns it.",
    args: &[
        key("source", Usage::Delete),
        key("destination", Usage::Update),
        one_of("wherefrom", ENDS),
        one_of("whereto", ENDS),
        double("timeout"),
    ],
    flags: WRITES.and(Flags::BLOCKING),
    ..LMOVE
};

fn blmove(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let way = Way { source: args.key()?, destination: args.key()?, from: end(args)?, to: end(args)? };
    way.wait(cx, args.word()?)
}

pub const BRPOPLPUSH: Command = Command {
    name: "BRPOPLPUSH",
    run: brpoplpush,
    summary: "Takes the element at the tail of a list, waiting for one, puts it at the head of another, and returns it.",
    since: "2.2.0",
    args: &[key("source", Usage::Delete), key("destination", Usage::Update), double("timeout")],
    flags: WRITES.and(Flags::BLOCKING),
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`BLMOVE` with the `RIGHT` and `LEFT` arguments" }),
    ..LMOVE
};

fn brpoplpush(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let way = Way { source: args.key()?, destination: args.key()?, from: End::Tail, to: End::Head };
    way.wait(cx, args.word()?)
}

/// The way of one element.
struct Way<'a> {
    source: Key<'a>,
    destination: Key<'a>,
    from: End,
    to: End,
}

impl Way<'_> {
    fn take_now(&self, cx: &mut Ctx<'_>) -> Outcome {
        if !self.go(cx)? {
            cx.reply.null();
        }
        REPLIED
    }

    fn wait(&self, cx: &mut Ctx<'_>, timeout: &[u8]) -> Outcome {
        let for_ms = wait_seconds(timeout, cx.now_ms())?;
        let is_behind = cx.is_behind::<List>(std::iter::once(self.source), Awaited::List);
        if !is_behind && self.go(cx)? {
            self.say(cx);
            return REPLIED;
        }
        // When the time is over Redis answers the null of arrays, although an element would not have been one.
        let (keys, nothing) = (&[self.source], Reply::null_array as fn(&mut Reply));
        cx.wait_for(Await { keys, what: Awaited::List, for_ms, nothing, words: None })
    }

    /// Says in the stream that it has gone, without a wait.
    fn say(&self, cx: &Ctx<'_>) {
        let side = |end| if end == End::Head { &b"LEFT"[..] } else { b"RIGHT" };
        let (source, destination) = (self.source.bytes, self.destination.bytes);
        match cx.command.name {
            "BRPOPLPUSH" => cx.replicate(&[b"RPOPLPUSH", source, destination]),
            _ => cx.replicate(&[b"LMOVE", source, destination, side(self.from), side(self.to)]),
        }
    }

    /// Moves an element and replies with it; says whether there was one.
    fn go(&self, cx: &mut Ctx<'_>) -> Result<bool, Fault> {
        let limits = cx.node.limits.of_list();
        let is_round = self.source.bytes == self.destination.bytes;
        // What the destination holds matters only if the source has an element.
        let room = cx.store.view::<List>(self.destination).map(drop);
        let Some(mut list) = cx.store.open::<List>(self.source)? else { return Ok(false) };
        room?;
        let start = cx.reply.out.len();
        take(cx.reply, &mut list, self.from, &limits);
        // The element lies in the reply, so that it need not be copied once more.
        let element = std::iter::once(bulk_text(&cx.reply.out[start..]));
        if is_round {
            list.push(self.to, element.clone(), &limits);
        }
        let is_spent = list.is_empty();
        drop(list);
        if !is_round {
            cx.store.open_or_new::<List>(self.destination)?.push(self.to, element, &limits);
        }
        pushed(cx, self.destination.bytes, self.to);
        popped(cx, self.source.bytes, self.from, is_spent);
        Ok(true)
    }
}

/// The text of a bulk string as it is on the wire.
fn bulk_text(wire: &[u8]) -> &[u8] {
    let head = wire.iter().position(|&byte| byte == b'\n').map_or(wire.len(), |end| end + 1);
    wire[head..].strip_suffix(b"\r\n").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    #[test]
    fn an_element_goes_from_list_to_list() {
        let mut desk = Desk::new();
        desk.check("RPUSH a 1 2 3", ":3");
        desk.check("LMOVE a b left right", "$1 1");
        desk.check("LMOVE a b RIGHT left", "$1 3");
        desk.check("LRANGE b 0 -1", "*2 $1 3 $1 1");
        desk.check("LMOVE a c LEFT RIGHT", "$1 2");
        desk.check("EXISTS a", ":0");
        desk.check("RPOPLPUSH b d", "$1 1");
        desk.check("RPOPLPUSH b d", "$1 3");
        desk.check("LRANGE d 0 -1", "*2 $1 3 $1 1");
        desk.check("LMOVE none d LEFT LEFT", "$-1");
        desk.check("RPOPLPUSH none d", "$-1");
        desk.check("BLMOVE d e LEFT LEFT 0", "$1 3");
        desk.check("BRPOPLPUSH d e 0", "$1 1");
        desk.check("LRANGE e 0 -1", "*2 $1 1 $1 3");
        desk.set_protocol(3);
        desk.check("LMOVE none a LEFT LEFT", "_");
    }

    #[test]
    fn any_bytes_and_lengths_survive_the_way() {
        let mut desk = Desk::new();
        let long = vec![b'\n'; 20_000];
        for text in [&b""[..], b"\r\n", b"\n\n\r", b"-17", &long] {
            desk.call(&[b"RPUSH", b"a", text]);
            let moved = desk.call(&[b"LMOVE", b"a", b"b", b"LEFT", b"RIGHT"]);
            assert_eq!(moved, [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat());
            assert_eq!(desk.call(&[b"LINDEX", b"b", b"-1"]), moved);
        }
        desk.check("LLEN b", ":5");
        desk.check("EXISTS a", ":0");
    }

    #[test]
    fn a_list_goes_round_in_itself_and_keeps_its_expiry() {
        let mut desk = Desk::new();
        desk.check("RPUSH a 1 2 3", ":3");
        desk.check("LMOVE a a LEFT RIGHT", "$1 1");
        desk.check("RPOPLPUSH a a", "$1 1");
        desk.check("LMOVE a a LEFT LEFT", "$1 1");
        desk.check("BLMOVE a a RIGHT LEFT 0", "$1 3");
        desk.check("LRANGE a 0 -1", "*3 $1 3 $1 1 $1 2");
        desk.check("RPUSH one x", ":1");
        desk.check("EXPIRE one 100", ":1");
        desk.check("LMOVE one one LEFT LEFT", "$1 x");
        desk.check("TTL one", ":100");
    }

    #[test]
    fn another_type_is_refused_and_nothing_is_lost() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        desk.check("RPUSH a 1", ":1");
        for line in [
            "LMOVE s b LEFT LEFT",
            "LMOVE a s LEFT LEFT",
            "LMOVE s s LEFT LEFT",
            "RPOPLPUSH s d",
            "RPOPLPUSH a s",
            "BLMOVE s d LEFT LEFT 0.01",
            "BRPOPLPUSH a s 0",
        ] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("LMOVE none s LEFT LEFT", "$-1");
        desk.check("RPOPLPUSH none s", "$-1");
        desk.check("LRANGE a 0 -1", "*1 $1 1");
        desk.check("EXISTS b d", ":0");
    }

    #[test]
    fn wrong_words_are_refused_first() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        for line in ["LMOVE s b FOO RIGHT", "LMOVE s b LEFT FOO", "BLMOVE s d FOO LEFT x", "BLMOVE s d LEFT FOO x"] {
            desk.check(line, "-ERR syntax error");
        }
        desk.check("BLMOVE s d LEFT LEFT x", "-ERR timeout is not a float or out of range");
        desk.check("BRPOPLPUSH s e x", "-ERR timeout is not a float or out of range");
        desk.check("BRPOPLPUSH s e -1", "-ERR timeout is negative");
        for (line, name) in [
            ("LMOVE a b LEFT", "lmove"),
            ("BLMOVE a b LEFT LEFT", "blmove"),
            ("RPOPLPUSH a", "rpoplpush"),
            ("BRPOPLPUSH a b", "brpoplpush"),
        ] {
            desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
        }
    }
}
