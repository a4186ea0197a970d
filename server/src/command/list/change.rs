//! Changes in the middle of a list: `LINSERT`, `LREM`, `LSET`, `LTRIM`.

use super::*;

pub const LINSERT: Command = Command {
    name: "LINSERT",
    run: linsert,
    summary: "Puts an element before or after the first that equals another, and tells the new length.",
    complexity: "O(N) for an element found after N others",
    since: "2.2.0",
    args: &[
        key("key", Usage::Update),
        one_of("where", &[token("before", "BEFORE"), token("after", "AFTER")]),
        text("pivot"),
        text("element"),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Flags(INSERTS),
    ..LIST
};

fn linsert(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let behind = match () {
        () if args.take("AFTER") => 1,
        () if args.take("BEFORE") => 0,
        () => return Err(Fault::Syntax),
    };
    let (pivot, element) = (args.word()?, args.word()?);
    let limits = cx.node.limits.of_list();
    let Some(mut list) = cx.store.open::<List>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let Some(place) = list.find(pivot) else {
        cx.reply.int(-1);
        return REPLIED;
    };
    list.insert(place + behind, element, &limits);
    cx.reply.len(list.len());
    drop(list);
    cx.event(Class::List, "linsert", key.bytes);
    REPLIED
}

pub const LREM: Command = Command {
    name: "LREM",
    run: lrem,
    summary: "Takes out so many elements that equal another: from the head, from the tail if negative, all if 0.",
    complexity: "O(N+M) for N elements of which M are taken out",
    args: &[key("key", Usage::Update), int("count"), text("element")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(DELETES),
    ..LIST
};

fn lrem(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, count, element) = (args.key()?, args.negatable()?, args.word()?);
    let limits = cx.node.limits.of_list();
    let Some(mut list) = cx.store.open::<List>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let end = if count < 0 { End::Tail } else { End::Head };
    let max = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed = list.remove_equal(element, end, max, &limits);
    let is_spent = list.is_empty();
    if removed == 0 {
        list.unchanged();
    }
    drop(list);
    cx.event_if(removed > 0, Class::List, "lrem", key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    cx.reply.len(removed);
    REPLIED
}

pub const LSET: Command = Command {
    name: "LSET",
    run: lset,
    summary: "Puts an element in the place of the one at a position.",
    complexity: "O(N) for a position N elements from the nearer end, with a very small factor",
    args: &[key("key", Usage::Update), int("index"), text("element")],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..LIST
};

fn lset(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let limits = cx.node.limits.of_list();
    // As in Redis the position is read only once there is a list.
    let mut list = cx.store.open::<List>(key)?.ok_or(Fault::NoSuchKey)?;
    let place = place(args.int()?, list.len()).ok_or(Fault::text("ERR index out of range"))?;
    list.set(place, args.word()?, &limits);
    drop(list);
    cx.event(Class::List, "lset", key.bytes);
    cx.reply.ok();
    REPLIED
}

pub const LTRIM: Command = Command {
    name: "LTRIM",
    run: ltrim,
    summary: "Leaves the elements from one position to another and takes out the rest.",
    complexity: "O(N) for N elements taken out",
    args: &[key("key", Usage::Update), int("start"), int("stop")],
    flags: Flags::WRITE,
    key_use: KeyUse::Flags(DELETES),
    ..LIST
};

fn ltrim(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, start, stop) = (args.key()?, args.int()?, args.int()?);
    let limits = cx.node.limits.of_list();
    cx.reply.ok();
    let Some(mut list) = cx.store.open::<List>(key)? else { return REPLIED };
    let span = span(start, stop, list.len());
    // Redis tells of a change even if all elements stay.
    list.trim(span.start, span.len(), &limits);
    let is_spent = list.is_empty();
    drop(list);
    cx.event(Class::List, "ltrim", key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    REPLIED
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

    #[test]
    fn an_element_is_inserted_beside_another() {
        let mut desk = Desk::new();
        desk.check("RPUSH l a b c", ":3");
        desk.check("LINSERT l before b B", ":4");
        desk.check("LINSERT l AFTER b A", ":5");
        desk.check("LINSERT l after c end", ":6");
        desk.check("LRANGE l 0 -1", "*6 $1 a $1 B $1 b $1 A $1 c $3 end");
        desk.check("LINSERT l before nope x", ":-1");
        desk.check("LINSERT none BEFORE b x", ":0");
        desk.check("EXISTS none", ":0");
        for line in ["LINSERT l FOO b x", "LINSERT none FOO b x"] {
            desk.check(line, "-ERR syntax error");
        }
        desk.check("SET s v", "+OK");
        desk.check("LINSERT s before b x", WRONG_TYPE);
        desk.check("LINSERT l before b", "-ERR wrong number of arguments for 'linsert' command");
    }

    #[test]
    fn equal_elements_are_taken_out_from_either_end() {
        let mut desk = Desk::new();
        desk.check("RPUSH q a b a c a", ":5");
        desk.check("LREM q 1 a", ":1");
        desk.check("LREM q -1 a", ":1");
        desk.check("LRANGE q 0 -1", "*3 $1 b $1 a $1 c");
        desk.check("LREM q 0 x", ":0");
        desk.check("LREM q 0 a", ":1");
        desk.check("LREM q 5 b", ":1");
        desk.check("LREM q -5 c", ":1");
        desk.check("EXISTS q", ":0");
        desk.check("LREM q 0 a", ":0");
        desk.check("LREM q abc a", NOT_INTEGER);
        let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        desk.check("LREM q -9223372036854775808 a", range);
        desk.check("LREM q -9223372036854775807 a", ":0");
        desk.check("SET s v", "+OK");
        desk.check("LREM s 0 a", WRONG_TYPE);
        desk.check("LREM s 0", "-ERR wrong number of arguments for 'lrem' command");
    }

    #[test]
    fn an_element_is_replaced_at_its_position() {
        let mut desk = Desk::new();
        desk.check("RPUSH l a b c", ":3");
        desk.check("LSET l -1 C", "+OK");
        desk.check("LSET l 0 12", "+OK");
        desk.check("LRANGE l 0 -1", "*3 $2 12 $1 b $1 C");
        desk.check("LSET l 3 v", "-ERR index out of range");
        desk.check("LSET l -4 v", "-ERR index out of range");
        desk.check("LSET l abc v", NOT_INTEGER);
        desk.check("LSET none abc v", "-ERR no such key");
        desk.check("SET s v", "+OK");
        desk.check("LSET s abc v", WRONG_TYPE);
        desk.check("LSET l 0", "-ERR wrong number of arguments for 'lset' command");
        let long = "x".repeat(10_000);
        desk.check(&format!("LSET l 1 {long}"), "+OK");
        desk.check("OBJECT ENCODING l", "$9 quicklist");
        desk.check("LTRIM l 1 1", "+OK");
        desk.check("LSET l 0 short", "+OK");
        desk.check("OBJECT ENCODING l", "$8 listpack");
    }

    #[test]
    fn a_list_is_trimmed_to_a_range() {
        let mut desk = Desk::new();
        desk.check("RPUSH q a b c d", ":4");
        desk.check("LTRIM q 0 -1", "+OK");
        desk.check("LTRIM q 1 -2", "+OK");
        desk.check("LRANGE q 0 -1", "*2 $1 b $1 c");
        desk.check("LTRIM q 5 1", "+OK");
        desk.check("EXISTS q", ":0");
        desk.check("LTRIM none 0 1", "+OK");
        desk.check("LTRIM none a b", NOT_INTEGER);
        desk.check("SET s v", "+OK");
        desk.check("LTRIM s 0 1", WRONG_TYPE);
        desk.check("LTRIM s 0", "-ERR wrong number of arguments for 'ltrim' command");
    }
}
