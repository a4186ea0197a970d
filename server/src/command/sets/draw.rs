//! Members drawn by lot: `SPOP` takes them out, `SRANDMEMBER` leaves them.

use super::*;
use crate::base::number::Digits;
use crate::store::policy::lfu::random;
use crate::types::item::Element;

/// Bytes of a reply beyond which a draw with repetitions is refused; the members of a set bound all other draws.
const REPLY_MAX: usize = 512 << 20;

/// Draws between two looks at how long the reply has become.
const DRAWS_AT_ONCE: usize = 4096;

pub const SPOP: Command = Command {
    name: "SPOP",
    run: spop,
    summary: "Takes members drawn at random out of a set and returns them: one, or as many as asked for.",
    complexity: "O(1), O(N) for N members",
    args: &[key("key", Usage::Update), int("count").optional().since("3.2.0")],
    flags: Flags::WRITE.and(Flags::FAST),
    tips: &["nondeterministic_output"],
    key_use: KeyUse::Flags(POPS),
    ..SET
};

fn spop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(Fault::Syntax);
    }
    let count = match args.len() {
        0 => return pop_one(cx, key),
        _ => args.at_least(0, "ERR value is out of range, must be positive")?,
    };
    let is_noted = cx.is_noted();
    let Some(mut set) = cx.store.open::<Set>(key)? else {
        cx.reply.set(0);
        return REPLIED;
    };
    let count = count.min(set.len());
    cx.reply.set(count);
    if count == 0 {
        return REPLIED;
    }
    let is_spent = count == set.len();
    let mut taken = Taken::new(is_noted);
    if is_spent {
        set.iter().for_each(|member| cx.reply.element(member));
        drop(set);
        // A large set is freed off the worker if it goes whole.
        cx.store.remove(key);
    } else {
        set.pop(count, &mut random, |member| {
            cx.reply.element(member);
            taken.add(member);
        });
        drop(set);
    }
    told(cx, key, is_spent, taken);
    REPLIED
}

fn pop_one(cx: &mut Ctx<'_>, key: Key<'_>) -> Outcome {
    let mut taken = Taken::new(cx.is_noted());
    let Some(mut set) = cx.store.open::<Set>(key)? else {
        cx.reply.null();
        return REPLIED;
    };
    set.pop(1, &mut random, |member| {
        cx.reply.element(member);
        taken.add(member);
    });
    let is_spent = set.is_empty();
    drop(set);
    told(cx, key, is_spent, taken);
    REPLIED
}

fn told(cx: &mut Ctx<'_>, key: Key<'_>, is_spent: bool, taken: Taken) {
    cx.event(Class::Set, "spop", key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    match taken.0 {
        _ if is_spent => cx.replicate(&[b"DEL", key.bytes]),
        Some(members) => {
            let words: Vec<&[u8]> =
                [&b"SREM"[..], key.bytes].into_iter().chain(members.iter().map(|m| &m[..])).collect();
            cx.replicate(&words);
        }
        None => {}
    }
}

/// The members that the lot fell on, which the stream is to name; kept if anybody follows.
struct Taken(Option<Vec<Vec<u8>>>);

impl Taken {
    fn new(is_noted: bool) -> Taken {
        Taken(is_noted.then(Vec::new))
    }

    fn add(&mut self, member: Element<'_>) {
        if let Some(members) = &mut self.0 {
            members.push(member.text(&mut Digits::new()).to_vec());
        }
    }
}

pub const SRANDMEMBER: Command = Command {
    name: "SRANDMEMBER",
    run: srandmember,
    summary: "Returns members of a set drawn at random: one, or as many different ones as asked for, or if that is \
              negative so many that may repeat.",
    complexity: "O(1), O(N) for N members",
    args: &[key("key", Usage::Read), int("count").optional().since("2.6.0")],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..SET
};

fn srandmember(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if args.len() > 1 {
        return Err(Fault::Syntax);
    }
    if args.is_empty() {
        match cx.store.read::<Set>(key)? {
            Some(set) => set.draw(1, &mut random, |member| cx.reply.element(member)),
            None => cx.reply.null(),
        }
        return REPLIED;
    }
    let count = args.negatable()?;
    let Some(set) = cx.store.read::<Set>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    if count < 0 {
        return draw(cx.reply, set, count.unsigned_abs() as usize, REPLY_MAX);
    }
    let count = set.len().min(count as usize);
    cx.reply.array(count);
    set.sample(count, &mut random, |member| cx.reply.element(member));
    REPLIED
}

/// Replies with `count` draws, each from all members, or refuses to if that takes more than `reply_max` bytes.
fn draw(reply: &mut Reply, set: &Set, count: usize, reply_max: usize) -> Outcome {
    let start = reply.out.len();
    reply.array(count);
    let mut left = count;
    while left > 0 {
        let now = left.min(DRAWS_AT_ONCE);
        set.draw(now, &mut random, |member| {
            if reply.out.len() - start <= reply_max {
                reply.element(member);
            }
        });
        if reply.out.len() - start > reply_max {
            return Err(Fault::OutOfRange("value"));
        }
        left -= now;
    }
    REPLIED
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use super::*;
    use crate::command::testing::Desk;
    use crate::types::set::Limits;
    use std::collections::BTreeSet;

    /// The elements of a reply.
    fn elements(reply: &str) -> Vec<String> {
        reply.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
    }

    /// Fills a set of each encoding, and says which members they have.
    fn filled(desk: &mut Desk) -> BTreeSet<String> {
        let all: BTreeSet<String> = (100..150).map(|n| n.to_string()).collect();
        let members = all.iter().cloned().collect::<Vec<_>>().join(" ");
        let long = "x".repeat(100);
        desk.check(&format!("SADD intset {members}"), ":50");
        desk.check(&format!("SADD listpack {members} a"), ":51");
        desk.check("SREM listpack a", ":1");
        desk.check(&format!("SADD hashtable {members} {long}"), ":51");
        desk.check(&format!("SREM hashtable {long}"), ":1");
        for key in KEYS {
            desk.check(&format!("OBJECT ENCODING {key}"), &format!("${} {key}", key.len()));
        }
        all
    }

    const KEYS: [&str; 3] = ["intset", "listpack", "hashtable"];

    #[test]
    fn popped_members_are_gone() {
        let mut desk = Desk::new();
        let all = filled(&mut desk);
        for key in KEYS {
            let some = elements(&desk.run(&format!("SPOP {key} 20")));
            let some: BTreeSet<String> = some.into_iter().collect();
            assert!(some.len() == 20 && some.is_subset(&all), "{key}: {some:?}");
            assert!(some.iter().all(|member| desk.run(&format!("SISMEMBER {key} {member}")) == ":0\r\n"));
            let one = desk.run(&format!("SPOP {key}"));
            assert!(one.starts_with("$3\r\n"), "{one}");
            desk.check(&format!("SCARD {key}"), ":29");
            assert_eq!(elements(&desk.run(&format!("SPOP {key} 100"))).len(), 29);
            desk.check(&format!("EXISTS {key}"), ":0");
        }
        desk.check("SADD b x", ":1");
        desk.check("SPOP b 0", "*0");
        desk.check("SPOP b", "$1 x");
        desk.check("EXISTS b", ":0");
        desk.check("SPOP b", "$-1");
        desk.check("SPOP b 0", "*0");
        desk.check("SPOP b 1", "*0");
        desk.set_protocol(3);
        desk.check("SPOP b 3", "~0");
        desk.check("SPOP b", "_");
        desk.check("SADD b x", ":1");
        desk.check("SPOP b 0", "~0");
        desk.check("SPOP b 5", "~1 $1 x");
    }

    #[test]
    fn drawn_members_stay() {
        let mut desk = Desk::new();
        let all = filled(&mut desk);
        for key in KEYS {
            let some = elements(&desk.run(&format!("SRANDMEMBER {key} 20")));
            let different: BTreeSet<String> = some.iter().cloned().collect();
            assert!(some.len() == 20 && different.len() == 20 && different.is_subset(&all), "{key}: {some:?}");
            assert_eq!(elements(&desk.run(&format!("SRANDMEMBER {key} 9223372036854775807"))).len(), 50);
            let repeated = elements(&desk.run(&format!("SRANDMEMBER {key} -10000")));
            assert!(repeated.len() == 10_000 && repeated.iter().all(|member| all.contains(member)), "{key}");
            desk.check(&format!("SCARD {key}"), ":50");
        }
        desk.check("SADD b x", ":1");
        desk.check("SRANDMEMBER b", "$1 x");
        desk.check("SRANDMEMBER b 0", "*0");
        desk.check("SRANDMEMBER b 3", "*1 $1 x");
        desk.check("SRANDMEMBER b -3", "*3 $1 x $1 x $1 x");
        desk.check("SRANDMEMBER none", "$-1");
        for count in ["0", "3", "-3"] {
            desk.check(&format!("SRANDMEMBER none {count}"), "*0");
        }
        desk.set_protocol(3);
        desk.check("SRANDMEMBER b 3", "*1 $1 x");
        desk.check("SRANDMEMBER none", "_");
    }

    #[test]
    fn wrong_counts_are_refused_before_the_key_is_looked_at() {
        let mut desk = Desk::new();
        desk.check("SET str v", "+OK");
        for line in ["SPOP str -1", "SPOP none x", "SPOP none 9223372036854775808"] {
            desk.check(line, "-ERR value is out of range, must be positive");
        }
        for line in ["SRANDMEMBER str x", "SRANDMEMBER none 9223372036854775808"] {
            desk.check(line, "-ERR value is not an integer or out of range");
        }
        let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        desk.check("SRANDMEMBER str -9223372036854775808", range);
        for line in ["SPOP str 1 2", "SRANDMEMBER str 1 2"] {
            desk.check(line, "-ERR syntax error");
        }
        for line in ["SPOP str", "SPOP str 0", "SPOP str 1", "SRANDMEMBER str", "SRANDMEMBER str 1"] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("SPOP", "-ERR wrong number of arguments for 'spop' command");
        desk.check("SRANDMEMBER", "-ERR wrong number of arguments for 'srandmember' command");
    }

    #[test]
    fn a_reply_without_end_is_refused() {
        let limits = Limits { ints_max: 512, entries_max: 128, value_max: 64 };
        let mut set = Set::new();
        set.add(b"member", &limits);
        let mut reply = Reply::default();
        assert_eq!(draw(&mut reply, &set, usize::MAX, 100_000), Err(Fault::OutOfRange("value")));
        assert!(reply.out.len() < 100_100, "it ends with the member that was too much: {}", reply.out.len());
        reply.out.clear();
        assert_eq!(draw(&mut reply, &set, 8_000, 100_000), REPLIED);
        assert_eq!(reply.out.len(), "*8000\r\n".len() + 8_000 * "$6\r\nmember\r\n".len());
    }
}
