//! Adding at the ends of a list: `LPUSH`, `RPUSH`, and `LPUSHX`, `RPUSHX` for lists that are there.

use super::*;

const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

pub const LPUSH: Command = Command {
    name: "LPUSH",
    run: |cx, args| push(cx, args, End::Head),
    summary: "Puts elements at the head of a list, one after the other, creating it if needed.",
    complexity: "O(N) for N elements",
    args: &[key("key", Usage::Update), text("element").many()],
    flags: WRITES,
    key_use: KeyUse::Flags(INSERTS),
    ..LIST
};

pub const RPUSH: Command = Command {
    name: "RPUSH",
    run: |cx, args| push(cx, args, End::Tail),
    summary: "Puts elements at the tail of a list, one after the other, creating it if needed.",
    ..LPUSH
};

fn push(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let key = args.key()?;
    let limits = cx.node.limits.of_list();
    let mut list = cx.store.open_or_new::<List>(key)?;
    list.push(end, args.rest(), &limits);
    cx.reply.len(list.len());
    drop(list);
    pushed(cx, key.bytes, end);
    REPLIED
}

pub const LPUSHX: Command = Command {
    name: "LPUSHX",
    run: |cx, args| push_if_there(cx, args, End::Head),
    summary: "Puts elements at the head of a list, if there is one.",
    since: "2.2.0",
    ..LPUSH
};

pub const RPUSHX: Command = Command {
    name: "RPUSHX",
    run: |cx, args| push_if_there(cx, args, End::Tail),
    summary: "Puts elements at the tail of a list, if there is one.",
    ..LPUSHX
};

fn push_if_there(cx: &mut Ctx<'_>, args: &mut Args<'_>, end: End) -> Outcome {
    let key = args.key()?;
    let limits = cx.node.limits.of_list();
    let Some(mut list) = cx.store.open::<List>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    list.push(end, args.rest(), &limits);
    cx.reply.len(list.len());
    drop(list);
    pushed(cx, key.bytes, end);
    REPLIED
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    #[test]
    fn elements_are_added_one_after_the_other() {
        let mut desk = Desk::new();
        desk.check("RPUSH l a b c", ":3");
        desk.check("LPUSH l z y", ":5");
        desk.check("RPUSHX l d", ":6");
        desk.check("LPUSHX l x w", ":8");
        desk.check("LRANGE l 0 -1", "*8 $1 w $1 x $1 y $1 z $1 a $1 b $1 c $1 d");
        desk.check("LPUSHX none a", ":0");
        desk.check("RPUSHX none a", ":0");
        desk.check("EXISTS none", ":0");
    }

    #[test]
    fn what_is_no_list_is_refused_and_left_alone() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        for name in ["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"] {
            desk.check(&format!("{name} s a"), WRONG_TYPE);
            let fault = format!("-ERR wrong number of arguments for '{}' command", name.to_lowercase());
            desk.check(&format!("{name} l"), &fault);
        }
        desk.check("GET s", "$1 v");
        desk.check("EXISTS l", ":0");
    }

    #[test]
    fn integers_and_any_bytes_come_back_as_they_were() {
        let mut desk = Desk::new();
        let long = vec![b'x'; 20_000];
        desk.call(&[b"RPUSH", b"l", b"", b"007", b"-5", b"\r\n\0", &long]);
        assert_eq!(
            desk.call(&[b"LRANGE", b"l", b"0", b"3"]),
            b"*4\r\n$0\r\n\r\n$3\r\n007\r\n$2\r\n-5\r\n$3\r\n\r\n\0\r\n"
        );
        let head = b"$20000\r\n".to_vec();
        assert_eq!(desk.call(&[b"LINDEX", b"l", b"-1"]), [head, long, b"\r\n".to_vec()].concat());
    }

    #[test]
    fn what_a_list_takes_is_counted_and_given_back() {
        let mut desk = Desk::new();
        for n in 0..5_000 {
            desk.run(&format!("RPUSH l element:{n}"));
        }
        let full = desk.node.store.used_bytes();
        assert!(full > 50_000, "{full}");
        while desk.run("LPOP l 100") != "*-1\r\n" {}
        desk.check("EXISTS l", ":0");
        assert!(desk.node.store.used_bytes() < full / 3, "{} of {full}", desk.node.store.used_bytes());
    }
}
