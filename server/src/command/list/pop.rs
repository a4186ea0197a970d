//! Taking from the ends of a list: `LPOP`, `RPOP`, `LMPOP`, and `BLPOP`, `BRPOP`, `BLMPOP`, which wait for an element.

use super::*;
use crate::base::number::Digits;
use crate::command::blocking::{Await, Awaited, wait_seconds};
use crate::store::Key;
use crate::types::list::Limits;

pub const LPOP: Command = Command {
    name: "LPOP",
    run: |cx, args| pop(cx, args, End::Head),
    summary: "Takes elements from the head of a list and returns them: one, or as many as asked for.",
    complexity: "O(N) for N elements returned",
    args: &[key("key", Usage::Update), int("count").optional().since("6.2.0")],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(POPS),
    ..LIST
};

pub const RPOP: Command = Command {
    name: "RPOP",
    run: |cx, args| pop(cx, args, End::Tail),
    summary: "Takes elements from the tail of a list and returns them: one, or as many as asked for.",
    ..LPOP
};

fn pop(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(Fault::Arity(cx.name().into()));
    }
    let count = match args.len() {
        0 => None,
        _ => Some(args.at_least(0, "ERR value is out of range, must be positive")?),
    };
    let limits = cx.node.limits.of_list();
    let Some(mut list) = cx.store.open::<List>(key)? else {
        if count.is_some() {
            cx.reply.null_array()
        } else {
            cx.reply.null()
        }
        return REPLIED;
    };
    match count {
        None => take(cx.reply, &mut list, end, &limits),
        Some(0) => {
            cx.reply.array(0);
            return REPLIED;
        }
        Some(count) => take_many(cx.reply, &mut list, end, count, &limits),
    }
    let is_spent = list.is_empty();
    drop(list);
    popped(cx, key.bytes, end, is_spent);
    REPLIED
}

/// Takes the element at an end of a list that has one, and replies with it.
pub fn take(reply: &mut Reply, list: &mut List, end: End, limits: &Limits) {
    let place = if end == End::Head { 0 } else { list.len().saturating_sub(1) };
    if let Some(element) = list.get(place) {
        reply.element(element);
    }
    list.remove(place, 1, limits);
}

/// Takes `count` elements from an end of a list, or as many as there are, and replies with them in that order.
fn take_many(reply: &mut Reply, list: &mut List, end: End, count: usize, limits: &Limits) {
    let count = count.min(list.len());
    let behind = list.len() - count;
    reply.array(count);
    match end {
        End::Head => {
            list.iter().take(count).for_each(|element| reply.element(element));
            list.remove(0, count, limits);
        }
        End::Tail => {
            list.rev_from(list.len().wrapping_sub(1)).take(count).for_each(|element| reply.element(element));
            list.remove(behind, count, limits);
        }
    }
}

pub const LMPOP: Command = Command {
    name: "LMPOP",
    run: lmpop,
    summary: "Takes elements from the first of some lists that has any, and returns its key and them.",
    complexity: "O(N+M) for N keys and M elements returned",
    since: "7.0.0",
    args: &[
        int("numkeys"),
        key("key", Usage::Update).many(),
        one_of("where", ENDS),
        int("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::counted_at(1, POPS)],
    ..LIST
};

fn lmpop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let popping = Popping::parse(args)?;
    if !popping.run(cx)? {
        cx.reply.null_array();
    }
    REPLIED
}

pub const BLMPOP: Command = Command {
    name: "BLMPOP",
    run: blmpop,
    summary: "Takes elements from the first of some lists that has any, waiting for one that does.",
    args: &[
        double("timeout"),
        int("numkeys"),
        key("key", Usage::Update).many(),
        one_of("where", ENDS),
        int("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::counted_at(2, POPS)],
    ..LMPOP
};

fn blmpop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let timeout = args.word()?;
    let popping = Popping::parse(args)?;
    // Redis refuses a wrong time after all other words.
    let for_ms = wait_seconds(timeout, cx.now_ms())?;
    let is_behind = cx.is_behind::<List>(keys_of(&popping.keys, popping.key_count), Awaited::List);
    if !is_behind && popping.run(cx)? {
        return REPLIED;
    }
    wait(cx, popping.keys, popping.key_count, for_ms)
}

/// What `LMPOP` and `BLMPOP` are to take, and from where.
struct Popping<'a> {
    /// Begins with the keys.
    keys: Args<'a>,
    key_count: usize,
    end: End,
    count: usize,
}

impl<'a> Popping<'a> {
    fn parse(args: &mut Args<'a>) -> Result<Popping<'a>, Fault> {
        let key_count = args.at_least(1, "ERR numkeys should be greater than 0")?;
        if key_count >= args.len() {
            return Err(Fault::Syntax);
        }
        let keys = args.clone();
        for _ in 0..key_count {
            args.word()?;
        }
        let end = end(args)?;
        let mut count = 1;
        if args.take("COUNT") {
            count = args.at_least(1, "ERR count should be greater than 0")?;
        }
        args.end()?;
        Ok(Popping { keys, key_count, end, count })
    }

    /// Takes from the first list there is and replies; says whether there is one.
    fn run(&self, cx: &mut Ctx<'_>) -> Result<bool, Fault> {
        let limits = cx.node.limits.of_list();
        let mut keys = self.keys.clone();
        for _ in 0..self.key_count {
            let key = keys.key()?;
            let Some(mut list) = cx.store.open::<List>(key)? else { continue };
            cx.reply.array(2);
            cx.reply.bulk(key.bytes);
            let count = self.count.min(list.len());
            take_many(cx.reply, &mut list, self.end, count, &limits);
            let is_spent = list.is_empty();
            drop(list);
            popped(cx, key.bytes, self.end, is_spent);
            if cx.is_noted() {
                cx.replicate(&[verb(self.end), key.bytes, Digits::new().format(count as u64).as_bytes()]);
            }
            return Ok(true);
        }
        Ok(false)
    }
}

pub const BLPOP: Command = Command {
    name: "BLPOP",
    run: |cx, args| block_pop(cx, args, End::Head),
    summary: "Takes an element from the head of the first of some lists that has any, waiting for one that does.",
    complexity: "O(N) for N keys",
    since: "2.0.0",
    args: &[key("key", Usage::Update).many(), double("timeout")],
    flags: Flags::WRITE.and(Flags::BLOCKING),
    specs: &[KeySpec { begin: Begin::Index(1), find: Find::Range { last: -2, step: 1, limit: 0 }, flags: POPS }],
    ..LIST
};

pub const BRPOP: Command = Command {
    name: "BRPOP",
    run: |cx, args| block_pop(cx, args, End::Tail),
    summary: "Takes an element from the tail of the first of some lists that has any, waiting for one that does.",
    ..BLPOP
};

fn block_pop(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let words = args.words();
    let for_ms = wait_seconds(words.get(words.len() - 1), cx.now_ms())?;
    let limits = cx.node.limits.of_list();
    let (keys, key_count) = (args.clone(), args.len() - 1);
    if cx.is_behind::<List>(keys_of(&keys, key_count), Awaited::List) {
        return wait(cx, keys, key_count, for_ms);
    }
    for _ in 0..key_count {
        let key = args.key()?;
        let Some(mut list) = cx.store.open::<List>(key)? else { continue };
        cx.reply.array(2);
        cx.reply.bulk(key.bytes);
        take(cx.reply, &mut list, end, &limits);
        let is_spent = list.is_empty();
        drop(list);
        popped(cx, key.bytes, end, is_spent);
        cx.replicate(&[verb(end), key.bytes]);
        return REPLIED;
    }
    wait(cx, keys, key_count, for_ms)
}

/// The command that takes from an end of one list without waiting.
fn verb(end: End) -> &'static [u8] {
    if end == End::Head { b"LPOP" } else { b"RPOP" }
}

/// The keys at the front of `args`.
fn keys_of<'a>(args: &Args<'a>, count: usize) -> impl Iterator<Item = Key<'a>> + use<'a> {
    let mut args = args.clone();
    (0..count).filter_map(move |_| args.key().ok())
}

/// Waits for a list at any of the keys at the front of `keys`.
fn wait(cx: &mut Ctx<'_>, keys: Args<'_>, key_count: usize, for_ms: Option<u64>) -> Outcome {
    let keys: Vec<Key<'_>> = keys_of(&keys, key_count).collect();
    cx.wait_for(Await { keys: &keys, what: Awaited::List, for_ms, nothing: Reply::null_array, words: None })
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    #[test]
    fn elements_are_taken_from_both_ends() {
        let mut desk = Desk::new();
        desk.check("RPUSH q 1 2 3 4 5", ":5");
        desk.check("LPOP q 0", "*0");
        desk.check("LPOP q", "$1 1");
        desk.check("RPOP q", "$1 5");
        desk.check("LPOP q 2", "*2 $1 2 $1 3");
        desk.check("RPOP q 9", "*1 $1 4");
        desk.check("EXISTS q", ":0");
        desk.check("RPUSH q 1 2 3 4 5", ":5");
        desk.check("RPOP q 3", "*3 $1 5 $1 4 $1 3");
        desk.check("RPOP q 9223372036854775807", "*2 $1 2 $1 1");
        desk.check("LPOP none", "$-1");
        desk.check("LPOP none 0", "*-1");
        desk.check("RPOP none 2", "*-1");
        desk.set_protocol(3);
        desk.check("LPOP none", "_");
        desk.check("LPOP none 1", "_");
    }

    #[test]
    fn wrong_counts_are_refused_before_the_key_is_looked_at() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        for line in ["LPOP s -1", "LPOP none abc", "RPOP s 9223372036854775808"] {
            desk.check(line, "-ERR value is out of range, must be positive");
        }
        for line in ["LPOP s", "LPOP s 0", "RPOP s 1"] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("LPOP none 1 2", "-ERR wrong number of arguments for 'lpop' command");
        desk.check("RPOP none 1 2", "-ERR wrong number of arguments for 'rpop' command");
        desk.check("LPOP", "-ERR wrong number of arguments for 'lpop' command");
    }

    #[test]
    fn the_first_list_that_has_any_gives() {
        let mut desk = Desk::new();
        desk.check("RPUSH d 1 2 3", ":3");
        desk.check("SET s v", "+OK");
        desk.check("LMPOP 2 none d LEFT", "*2 $1 d *1 $1 1");
        desk.check("LMPOP 2 d s right count 1", "*2 $1 d *1 $1 3");
        desk.check("LMPOP 2 none d RIGHT COUNT 10", "*2 $1 d *1 $1 2");
        desk.check("EXISTS d", ":0");
        desk.check("LMPOP 2 none d RIGHT", "*-1");
        desk.check("LMPOP 2 s d RIGHT", WRONG_TYPE);
        desk.check("LMPOP 2 none s RIGHT", WRONG_TYPE);
        desk.check("RPUSH d 1 2 3 4", ":4");
        desk.check("BLMPOP 0 1 d LEFT", "*2 $1 d *1 $1 1");
        desk.check("BLMPOP 0.5 2 none d RIGHT COUNT 2", "*2 $1 d *2 $1 4 $1 3");
        desk.set_protocol(3);
        desk.check("LMPOP 1 none LEFT", "_");
        desk.check("LMPOP 1 d LEFT COUNT 2", "*2 $1 d *1 $1 2");
    }

    #[test]
    fn lmpop_refuses_wrong_words() {
        let mut desk = Desk::new();
        let keys = "numkeys should be greater than 0";
        let count = "count should be greater than 0";
        for (words, fault) in [
            ("0 a LEFT", keys),
            ("x a LEFT", keys),
            ("-1 a LEFT", keys),
            ("2 a LEFT", "syntax error"),
            ("9223372036854775807 d LEFT", "syntax error"),
            ("1 a FOO", "syntax error"),
            ("1 d LEFT COUNT", "syntax error"),
            ("1 d LEFT COUNT 1 COUNT 1", "syntax error"),
            ("1 d LEFT FOO 1", "syntax error"),
            ("1 d LEFT COUNT 0", count),
            ("1 d LEFT COUNT -1", count),
            ("1 d LEFT COUNT x", count),
            ("1 d LEFT COUNT 9223372036854775808", count),
        ] {
            desk.check(&format!("LMPOP {words}"), &format!("-ERR {fault}"));
            desk.check(&format!("BLMPOP x {words}"), &format!("-ERR {fault}"));
        }
        desk.check("LMPOP 1 a", "-ERR wrong number of arguments for 'lmpop' command");
        desk.check("BLMPOP 1 1 a", "-ERR wrong number of arguments for 'blmpop' command");
        desk.check("BLMPOP x 1 e LEFT COUNT 1", "-ERR timeout is not a float or out of range");
        desk.check("BLMPOP -1 1 e LEFT", "-ERR timeout is negative");
    }

    #[test]
    fn waiting_commands_take_what_is_there_at_once() {
        let mut desk = Desk::new();
        desk.check("RPUSH d 1 2 3", ":3");
        desk.check("SET s v", "+OK");
        desk.check("BLPOP none d 0", "*2 $1 d $1 1");
        desk.check("BRPOP d s 1.5", "*2 $1 d $1 3");
        desk.check("BLPOP s d 0", WRONG_TYPE);
        desk.check("BLPOP none s 0", WRONG_TYPE);
        desk.check("BRPOP d 0", "*2 $1 d $1 2");
        desk.check("EXISTS d", ":0");
    }

    #[test]
    fn wrong_times_are_refused_before_the_keys_are_looked_at() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        desk.check("BLPOP s -1", "-ERR timeout is negative");
        desk.check("BLPOP s x", "-ERR timeout is not a float or out of range");
        desk.check("BRPOP s nan", "-ERR timeout is not a float or out of range");
        desk.check("BLPOP s", "-ERR wrong number of arguments for 'blpop' command");
    }

    #[test]
    fn an_element_goes_past_those_who_wait_no_longer() {
        let mut feeder = Desk::new();
        let [mut gone, mut unblocked, mut waiting] = [feeder.again(), feeder.again(), feeder.again()];
        for desk in [&mut gone, &mut unblocked, &mut waiting] {
            desk.check("BLPOP q 0", "");
        }
        gone.session.client.kill();
        let id = unblocked.session.client.id;
        feeder.check(&format!("CLIENT UNBLOCK {id}"), ":1");
        feeder.check("RPUSH q a", ":1");
        feeder.check("EXISTS q", ":0");
        unblocked.check("BLPOP q 0", "*-1");
        waiting.check("BLPOP q 0", "*2 $1 q $1 a");
    }

    #[test]
    fn who_was_served_waits_no_longer() {
        let mut feeder = Desk::new();
        let mut waiting = feeder.again();
        let id = waiting.session.client.id;
        waiting.check("BLPOP q 0", "");
        feeder.check("RPUSH q a", ":1");
        feeder.check(&format!("CLIENT UNBLOCK {id}"), ":0");
        assert!(!feeder.run("CLIENT LIST").contains("flags=b"));
        waiting.check("BLPOP q 0", "*2 $1 q $1 a");
    }

    #[test]
    fn who_waits_for_several_keys_is_told_of_a_wrong_one_once_another_is_ready() {
        let mut feeder = Desk::new();
        let mut waiting = feeder.again();
        waiting.check("BLPOP a b 0", "");
        feeder.check("SET a text", "+OK");
        assert!(feeder.run("CLIENT LIST").contains("flags=b"));
        feeder.check("RPUSH b x", ":1");
        waiting.check("BLPOP a b 0", WRONG_TYPE);
        feeder.check("LLEN b", ":1");
    }

    #[test]
    fn a_key_that_is_gone_again_serves_nobody() {
        let mut feeder = Desk::new();
        let [mut first, mut second] = [feeder.again(), feeder.again()];
        first.check("BRPOPLPUSH a b 0", "");
        second.check("BRPOP b a 0", "");
        for line in ["MULTI", "RPUSH b x", "LPOP b", "RPUSH a y", "EXEC"] {
            feeder.run(line);
        }
        first.check("BRPOPLPUSH a b 0", "$1 y");
        second.check("BRPOP b a 0", "*2 $1 b $1 y");
    }
}
