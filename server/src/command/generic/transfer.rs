//! Values that go from key to key: `RENAME`, `RENAMENX`, `COPY` and `MOVE`.

use crate::command::*;
use crate::store::{DATABASES, Taken};

/// The old name's key is read and goes away.
const OLD_NAME: &[&str] = &["RW", "access", "delete"];

const SAME: Fault = Fault::text("ERR source and destination objects are the same");

pub const RENAME: Command = Command {
    name: "RENAME",
    run: |cx, args| rename(cx, args, Occupied::Overwritten),
    summary: "Gives a key another name, in place of what had that name before.",
    args: &[key("key", Usage::Delete), key("newkey", Usage::Write)],
    flags: Flags::WRITE,
    key_use: KeyUse::Each(&[OLD_NAME, &["OW", "update"]]),
    ..super::GENERIC
};

pub const RENAMENX: Command = Command {
    name: "RENAMENX",
    run: |cx, args| rename(cx, args, Occupied::Kept),
    summary: "Gives a key another name, if no key has it.",
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Each(&[OLD_NAME, &["OW", "insert"]]),
    ..RENAME
};

/// What becomes of a key that has the new name already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occupied {
    Overwritten,
    Kept,
}

fn rename(cx: &mut Ctx<'_>, args: &mut Args<'_>, occupied: Occupied) -> Outcome {
    let (old, new) = (args.key()?, args.key()?);
    if cx.store.access(old).is_none() {
        return Err(Fault::NoSuchKey);
    }
    let kept = occupied == Occupied::Kept && cx.store.peek(new).is_some();
    if old.bytes != new.bytes
        && !kept
        && let Some(taken) = cx.store.take(old)
    {
        cx.event(Class::New, "new", new.bytes);
        cx.store.put(new, taken);
        cx.event(Class::Generic, "rename_from", old.bytes);
        cx.event(Class::Generic, "rename_to", new.bytes);
    }
    match occupied {
        Occupied::Overwritten => cx.reply.ok(),
        Occupied::Kept => cx.reply.int(i64::from(!kept)),
    }
    REPLIED
}

pub const COPY: Command = Command {
    name: "COPY",
    run: copy,
    summary: "Copies the value and the expiry of a key to another key.",
    complexity: "O(N) for a value of N bytes",
    since: "6.2.0",
    args: &[
        key("source", Usage::Read),
        key("destination", Usage::Write),
        int("destination-db").after("DB").optional(),
        token("replace", "REPLACE").optional(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..super::GENERIC
};

fn copy(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (source, destination) = (args.key()?, args.key()?);
    let mut db = cx.session.db;
    let mut replace = false;
    while !args.is_empty() {
        if args.take("REPLACE") {
            replace = true;
        } else if args.take("DB") {
            db = database(args)?;
        } else {
            return Err(Fault::Syntax);
        }
    }
    if db != 0 && cx.node.cluster.is_on() {
        return Err(Fault::text("ERR Copying to another database is not allowed in cluster mode"));
    }
    if db == cx.session.db && source.bytes == destination.bytes {
        return Err(SAME);
    }
    let tags = cx.store.tags(source);
    let copied = cx.store.get(source).map(|entry| Taken::copy_of(entry).with_tags(tags));
    if copied.is_none() {
        cx.missed(source);
    }
    cx.store.switch(db);
    let copied = copied.filter(|_| replace || cx.store.peek(destination).is_none());
    cx.reply.int(i64::from(copied.is_some()));
    if let Some(copied) = copied {
        cx.event_in(db, Class::New, "new", destination.bytes);
        cx.store.put(destination, copied);
        cx.event_in(db, Class::Generic, "copy_to", destination.bytes);
    }
    REPLIED
}

pub const MOVE: Command = Command {
    name: "MOVE",
    run: move_key,
    summary: "Moves a key to another database, if it has no key of that name.",
    args: &[key("key", Usage::Update), int("db")],
    flags: Flags::WRITE.and(Flags::FAST),
    ..super::GENERIC
};

fn move_key(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if cx.node.cluster.is_on() {
        return Err(Fault::text("ERR MOVE is not allowed in cluster mode"));
    }
    let key = args.key()?;
    let (from, to) = (cx.session.db, database(args)?);
    if from == to {
        return Err(SAME);
    }
    let is_there = cx.store.access(key).is_some();
    cx.store.switch(to);
    let moved = is_there && cx.store.peek(key).is_none();
    if moved {
        cx.store.switch(from);
        let taken = cx.store.take(key);
        cx.store.switch(to);
        if let Some(taken) = taken {
            cx.event_in(to, Class::New, "new", key.bytes);
            cx.store.put(key, taken);
            cx.event_in(from, Class::Generic, "move_from", key.bytes);
            cx.event_in(to, Class::Generic, "move_to", key.bytes);
        }
    }
    cx.reply.int(i64::from(moved));
    REPLIED
}

/// The next word as the number of a database.
fn database(args: &mut Args<'_>) -> Result<usize, Fault> {
    let number = i32::try_from(args.int()?).map_err(|_| {
        Fault::owned(format!("ERR value is out of range, value must between {} and {}", i32::MIN, i32::MAX))
    })?;
    usize::try_from(number).ok().filter(|number| *number < DATABASES).ok_or(Fault::DbIndex)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use crate::store::{Eviction, Options};

    const SAME: &str = "-ERR source and destination objects are the same";

    #[test]
    fn a_renamed_key_keeps_its_value_and_expiry() {
        let mut desk = Desk::new();
        desk.check("SET a v", "+OK");
        desk.check("EXPIRE a 100", ":1");
        desk.check("SET b w", "+OK");
        desk.check("RENAME a b", "+OK");
        desk.check("EXISTS a", ":0");
        desk.check("GET b", "$1 v");
        desk.check("TTL b", ":100");
        desk.check("SET c x", "+OK");
        desk.check("RENAME c b", "+OK");
        desk.check("TTL b", ":-1");
        desk.check("RENAME nosuch b", "-ERR no such key");
        desk.check("RENAME nosuch nosuch", "-ERR no such key");
        desk.check("RENAME b b", "+OK");
        desk.check("GET b", "$1 x");
        assert_eq!(desk.node.store.totals().keys[0], 1);
    }

    #[test]
    fn renaming_with_nx_spares_the_other_key() {
        let mut desk = Desk::new();
        desk.check("SET a 1", "+OK");
        desk.check("SET b 2", "+OK");
        desk.check("RENAMENX a b", ":0");
        desk.check("RENAMENX a a", ":0");
        desk.check("RENAMENX a c", ":1");
        desk.check("GET c", "$1 1");
        desk.check("RENAMENX a d", "-ERR no such key");
    }

    #[test]
    fn encodings_survive() {
        let mut desk = Desk::new();
        let long = "x".repeat(5000);
        let middle = "x".repeat(100);
        for (value, encoding) in [("12", "int"), ("text", "embstr"), (&middle, "raw"), (&long, "raw")] {
            desk.check(&format!("SET a {value}"), "+OK");
            desk.check("RENAME a b", "+OK");
            desk.check("COPY b c REPLACE", ":1");
            desk.check("MOVE c 1", ":1");
            desk.check("OBJECT ENCODING b", &format!("${} {encoding}", encoding.len()));
            desk.check("GET b", &format!("${} {value}", value.len()));
            desk.session.select(1);
            desk.check("OBJECT ENCODING c", &format!("${} {encoding}", encoding.len()));
            desk.check("GET c", &format!("${} {value}", value.len()));
            desk.check("DEL c", ":1");
            desk.session.select(0);
        }
    }

    #[test]
    fn an_edited_string_stays_raw() {
        let mut desk = Desk::new();
        desk.check("SET a text", "+OK");
        let key = desk.node.store.key(b"a");
        let moment = desk.node.store.moment(0);
        desk.node
            .store
            .lock_one(key.place.stripe(), 0, moment)
            .edit(key, 0, &|touch| touch(0..usize::MAX), |bytes| bytes.reverse());
        desk.check("RENAME a b", "+OK");
        desk.check("COPY b c", ":1");
        for key in ["b", "c"] {
            desk.check(&format!("OBJECT ENCODING {key}"), "$3 raw");
            desk.check(&format!("GET {key}"), "$4 txet");
        }
    }

    #[test]
    fn a_large_value_changes_hands_without_a_copy() {
        let mut desk = Desk::new();
        let value = vec![b'x'; 1 << 20];
        desk.call(&[b"SET", b"a", &value]);
        let address = |desk: &Desk, name: &[u8]| {
            let key = desk.node.store.key(name);
            let mut keys = desk.node.store.lock_one(key.place.stripe(), 0, desk.node.store.moment(0));
            match keys.peek(key).unwrap().value() {
                crate::store::Value::Bytes(bytes) => bytes.as_ptr() as usize,
                _ => unreachable!("a megabyte lies in a buffer"),
            }
        };
        let used = desk.node.store.used_bytes();
        let before = address(&desk, b"a");
        desk.check("RENAME a b", "+OK");
        assert_eq!(address(&desk, b"b"), before);
        assert!(desk.node.store.used_bytes().abs_diff(used) < 300_000, "the buffer is counted once");
        desk.check("DEL b", ":1");
    }

    #[test]
    fn a_copy_is_a_key_of_its_own() {
        let mut desk = Desk::new();
        desk.check("SET a v", "+OK");
        desk.check("EXPIRE a 100", ":1");
        desk.check("COPY a b", ":1");
        desk.check("TTL b", ":100");
        desk.check("SET a w", "+OK");
        desk.check("GET b", "$1 v");
        desk.check("COPY a b", ":0");
        desk.check("COPY a b REPLACE", ":1");
        desk.check("GET b", "$1 w");
        desk.check("TTL b", ":-1");
        desk.check("COPY nosuch b REPLACE", ":0");
        desk.check("EXISTS b", ":1");
        desk.check("COPY a a DB 3", ":1");
        desk.check("COPY a a DB 3", ":0");
        desk.check("copy a a db 4 replace db 3", ":1");
        desk.session.select(3);
        desk.check("GET a", "$1 w");
    }

    #[test]
    fn wrong_copies_and_moves_are_refused() {
        let mut desk = Desk::new();
        desk.check("SET a v", "+OK");
        for (line, fault) in [
            ("COPY a a", SAME),
            ("COPY nosuch nosuch", SAME),
            ("COPY a a DB 0", SAME),
            ("COPY a b DB", "-ERR syntax error"),
            ("COPY a b FOO", "-ERR syntax error"),
            ("COPY a b DB 16", "-ERR DB index is out of range"),
            ("COPY a b DB abc", "-ERR value is not an integer or out of range"),
            ("MOVE a 0", SAME),
            ("MOVE nosuch 0", SAME),
            ("MOVE a -1", "-ERR DB index is out of range"),
            ("MOVE a abc", "-ERR value is not an integer or out of range"),
            ("MOVE a 99999999999", "-ERR value is out of range, value must between -2147483648 and 2147483647"),
        ] {
            desk.check(line, fault);
        }
    }

    #[test]
    fn a_key_moves_to_a_database_that_lacks_it() {
        let mut desk = Desk::new();
        desk.check("SET a v", "+OK");
        desk.check("PEXPIREAT a 33177117420500", ":1");
        desk.check("MOVE a 1", ":1");
        desk.check("MOVE a 1", ":0");
        desk.check("EXISTS a", ":0");
        desk.check("SET a other", "+OK");
        desk.check("MOVE a 1", ":0");
        desk.check("GET a", "$5 other");
        desk.session.select(1);
        desk.check("GET a", "$1 v");
        desk.check("PEXPIRETIME a", ":33177117420500");
        let totals = desk.node.store.totals();
        assert_eq!((totals.keys[0], totals.keys[1], totals.expiring[1]), (1, 1, 1));
    }

    #[test]
    fn a_frequency_goes_with_its_key() {
        let mut desk = Desk::with(Options { eviction: Eviction::AllkeysLfu, ..Options::default() });
        desk.check("SET a v", "+OK");
        (0..200).for_each(|_| desk.check("GET a", "$1 v"));
        let frequency = |reply: String| reply.trim_matches([':', '\r', '\n']).parse::<u8>().unwrap();
        let before = frequency(desk.run("OBJECT FREQ a"));
        assert!(before > 5, "{before}");
        desk.check("RENAME a b", "+OK");
        let after = frequency(desk.run("OBJECT FREQ b"));
        assert!(after >= before, "{before} {after}");
        desk.check("COPY b c", ":1");
        desk.check("OBJECT FREQ c", ":5");
    }
}
