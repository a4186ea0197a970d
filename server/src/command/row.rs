//! A command's row: the only place that states its facts.
//!
//! Arity, key positions, ACL categories and the replies of `COMMAND` are derived from it here.

use super::context::{Args, Ctx, Outcome};
pub use super::keyspec::{Begin, Find, KeySpec};
use super::words::Words;

/// The function behind a row. It is never async; to wait it answers [`super::Done::Wait`] before it acts.
pub type Run = fn(&mut Ctx<'_>, &mut Args<'_>) -> Outcome;

/// One command, or one sub-command.
pub struct Command {
    /// In capitals; a sub-command has its own word alone.
    pub name: &'static str,
    pub run: Run,
    pub summary: &'static str,
    pub complexity: &'static str,
    /// The Redis version that first had it.
    pub since: &'static str,
    pub group: Group,
    pub args: &'static [Arg],
    pub flags: Flags,
    /// What a client that forwards the command should know; Redis's words.
    pub tips: &'static [&'static str],
    pub subcommands: &'static [Command],
    pub scope: Scope,
    /// Where the keys stand, if that does not follow from the arguments: the words of a call decide.
    pub specs: &'static [KeySpec],
    /// What the key at the front is used for besides reading or writing, in Redis's words, such as `UPDATE`.
    pub key_use: KeyUse,
    /// Whether a command with sub-commands may also be called without one, as `COMMAND` may.
    pub alone: bool,
    /// Whether words behind its arguments are taken and ignored, as `QUIT` does.
    pub ignores_rest: bool,
    pub deprecated: Option<Deprecated>,
}

/// Since when a command should not be used in new code, and what should, in Redis's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecated {
    pub since: &'static str,
    pub instead: &'static str,
}

/// What a row may leave out.
pub const COMMAND: Command = Command {
    name: "",
    run: container,
    summary: "",
    complexity: "O(1)",
    since: "1.0.0",
    group: Group::Generic,
    args: &[],
    flags: Flags(0),
    tips: &[],
    subcommands: &[],
    scope: Scope::Keys,
    specs: &[],
    key_use: KeyUse::Default,
    alone: false,
    ignores_rest: false,
    deprecated: None,
};

/// A command with sub-commands that was called without one of them: the arity gate has answered before.
fn container(_: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    Err(super::Fault::Syntax)
}

/// Which part of the documentation a command belongs to; its ACL category follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Cluster,
    HyperLogLog,
    Geo,
    Stream,
    Bitmap,
    Bf,
    Cache,
}

impl Group {
    /// Whether its commands find under their keys what is more than a record.
    pub fn is_on_collections(self) -> bool {
        matches!(
            self,
            Group::List | Group::Set | Group::SortedSet | Group::Hash | Group::Geo | Group::Stream | Group::Bf
        )
    }

    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Bf => "bf",
            Group::Cache => "cache",
        }
    }

    fn category(self) -> Option<&'static str> {
        match self {
            Group::Generic => Some("@keyspace"),
            Group::String => Some("@string"),
            Group::List => Some("@list"),
            Group::Set => Some("@set"),
            Group::SortedSet => Some("@sortedset"),
            Group::Hash => Some("@hash"),
            Group::Transactions => Some("@transaction"),
            Group::Connection => Some("@connection"),
            Group::HyperLogLog => Some("@hyperloglog"),
            Group::Geo => Some("@geo"),
            Group::Stream => Some("@stream"),
            Group::Bitmap => Some("@bitmap"),
            Group::PubSub | Group::Server | Group::Cluster | Group::Bf | Group::Cache => None,
        }
    }
}

/// What a command locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The stripes of its keys.
    Keys,
    /// All stripes: it reaches for keys that its words do not tell.
    AllKeys,
    /// The stripes of the keys of all commands that were queued: `EXEC`.
    Transaction,
    /// All stripes if one of these words stands more often among the arguments than the number says, for then it does;
    /// otherwise those of its keys. A word may stand there for something else, which costs a few locks.
    AllKeysBeyond(&'static [(&'static str, usize)]),
    /// Everything: it runs while no other command does, and locks stripes one at a time.
    Everything,
}

impl Scope {
    /// Whether a call reaches for keys that its words do not tell.
    #[inline]
    pub fn is_all(self, words: Words<'_>) -> bool {
        match self {
            Scope::AllKeys => true,
            Scope::AllKeysBeyond(limits) => limits.iter().any(|(token, most)| {
                let is_token = |word: &&[u8]| word.eq_ignore_ascii_case(token.as_bytes());
                words.iter().skip(2).filter(is_token).count() > *most
            }),
            Scope::Keys | Scope::Everything | Scope::Transaction => false,
        }
    }
}

/// What is done with the keys, where it does not follow from the flags and the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    Default,
    /// Redis's key-spec flags for every key, such as `["RW", "UPDATE"]`.
    Flags(&'static [&'static str]),
    /// The flags for each key argument in turn.
    Each(&'static [&'static [&'static str]]),
    /// The flags depend on whether one of these words stands among the arguments behind the keys, as `GET` does for `SET`.
    ByToken {
        tokens: &'static [&'static str],
        with: &'static [&'static str],
        without: &'static [&'static str],
    },
}

/// A set of facts about a command, as Redis names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    pub const WRITE: Flags = Flags(1);
    pub const READONLY: Flags = Flags(1 << 1);
    pub const DENYOOM: Flags = Flags(1 << 2);
    pub const ADMIN: Flags = Flags(1 << 3);
    pub const PUBSUB: Flags = Flags(1 << 4);
    pub const NOSCRIPT: Flags = Flags(1 << 5);
    pub const BLOCKING: Flags = Flags(1 << 6);
    pub const LOADING: Flags = Flags(1 << 7);
    pub const STALE: Flags = Flags(1 << 8);
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    pub const ASKING: Flags = Flags(1 << 11);
    pub const FAST: Flags = Flags(1 << 12);
    pub const NO_AUTH: Flags = Flags(1 << 13);
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 15);
    pub const NO_MULTI: Flags = Flags(1 << 16);
    pub const ALLOW_BUSY: Flags = Flags(1 << 17);
    pub const MOVABLEKEYS: Flags = Flags(1 << 18);
    /// No flag on the wire: `CLIENT PAUSE WRITE` holds the command back as it does writes.
    pub const MAY_REPLICATE: Flags = Flags(1 << 14);
    /// No flag on the wire: the ACL category alone.
    pub const DANGEROUS: Flags = Flags(1 << 24);
    /// No flag on the wire: the ACL category `@keyspace` for commands of another group.
    pub const KEYSPACE: Flags = Flags(1 << 25);
    /// No flag on the wire: the ACL category `@connection` for commands of another group.
    pub const CONNECTION: Flags = Flags(1 << 26);
    /// No flag on the wire: the command does not have its group's ACL category.
    pub const UNGROUPED: Flags = Flags(1 << 27);
    /// No flag on the wire: the ACL categories of `ADMIN` without its flag.
    pub const ADMIN_CATEGORY: Flags = Flags(1 << 28);
    /// No flag on the wire: a connection may run it while it is subscribed to something and speaks RESP2.
    pub const WHILE_SUBSCRIBED: Flags = Flags(1 << 29);
    /// No flag on the wire: it is answered by messages, which come even to those who want no replies.
    pub const ANSWERS_BY_MESSAGES: Flags = Flags(1 << 30);
    /// No flag on the wire: the ACL categories `@set`, `@sortedset` and `@list`, of which the command takes any.
    pub const COLLECTIONS: Flags = Flags(1 << 31);

    const NAMES: [(Flags, &'static str); 18] = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "readonly"),
        (Flags::DENYOOM, "denyoom"),
        (Flags::ADMIN, "admin"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::NOSCRIPT, "noscript"),
        (Flags::BLOCKING, "blocking"),
        (Flags::LOADING, "loading"),
        (Flags::STALE, "stale"),
        (Flags::SKIP_MONITOR, "skip_monitor"),
        (Flags::SKIP_SLOWLOG, "skip_slowlog"),
        (Flags::ASKING, "asking"),
        (Flags::FAST, "fast"),
        (Flags::NO_AUTH, "no_auth"),
        (Flags::NO_ASYNC_LOADING, "no_async_loading"),
        (Flags::NO_MULTI, "no_multi"),
        (Flags::ALLOW_BUSY, "allow_busy"),
        (Flags::MOVABLEKEYS, "movablekeys"),
    ];

    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// The names on the wire.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| name)
    }
}

/// One argument, or a group of them.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Kind,
    /// A word that stands before it.
    pub token: Option<&'static str>,
    pub optional: bool,
    pub many: bool,
    /// Whether the token is repeated with each of many.
    pub many_token: bool,
    pub since: Option<&'static str>,
    /// What people are shown instead of the name.
    pub display: Option<&'static str>,
}

/// What an argument is; the names on the wire are Redis's.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Key(Usage),
    Text,
    Int,
    Double,
    Pattern,
    UnixTime,
    /// The token and nothing else.
    Token,
    OneOf(&'static [Arg]),
    Block(&'static [Arg]),
}

impl Kind {
    /// The name in `COMMAND DOCS`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Key(Usage::Channel) | Kind::Text => "string",
            Kind::Key(_) => "key",
            Kind::Int => "integer",
            Kind::Double => "double",
            Kind::Pattern => "pattern",
            Kind::UnixTime => "unix-time",
            Kind::Token => "pure-token",
            Kind::OneOf(_) => "oneof",
            Kind::Block(_) => "block",
        }
    }

    /// The arguments inside it.
    pub fn parts(self) -> &'static [Arg] {
        match self {
            Kind::OneOf(parts) | Kind::Block(parts) => parts,
            _ => &[],
        }
    }
}

/// How a command uses a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Reads it.
    Read,
    /// Reads and changes it.
    Update,
    /// Overwrites it without looking.
    Write,
    /// Takes it away.
    Delete,
    /// It is no key but a shard channel, which clusters place as they place keys.
    Channel,
}

const ARG: Arg = Arg {
    name: "",
    kind: Kind::Text,
    token: None,
    optional: false,
    many: false,
    many_token: false,
    since: None,
    display: None,
};

pub const fn key(name: &'static str, usage: Usage) -> Arg {
    Arg { name, kind: Kind::Key(usage), ..ARG }
}

pub const fn text(name: &'static str) -> Arg {
    Arg { name, ..ARG }
}

pub const fn int(name: &'static str) -> Arg {
    Arg { name, kind: Kind::Int, ..ARG }
}

pub const fn double(name: &'static str) -> Arg {
    Arg { name, kind: Kind::Double, ..ARG }
}

pub const fn pattern(name: &'static str) -> Arg {
    Arg { name, kind: Kind::Pattern, ..ARG }
}

pub const fn unix_time(name: &'static str) -> Arg {
    Arg { name, kind: Kind::UnixTime, ..ARG }
}

/// A word that stands for itself, such as `NX`.
pub const fn token(name: &'static str, token: &'static str) -> Arg {
    Arg { name, kind: Kind::Token, token: Some(token), ..ARG }
}

pub const fn one_of(name: &'static str, choices: &'static [Arg]) -> Arg {
    Arg { name, kind: Kind::OneOf(choices), ..ARG }
}

pub const fn block(name: &'static str, parts: &'static [Arg]) -> Arg {
    Arg { name, kind: Kind::Block(parts), ..ARG }
}

impl Arg {
    pub const fn optional(self) -> Arg {
        Arg { optional: true, ..self }
    }

    pub const fn many(self) -> Arg {
        Arg { many: true, ..self }
    }

    /// The word that stands before the argument, such as `EX`.
    pub const fn after(self, token: &'static str) -> Arg {
        Arg { token: Some(token), ..self }
    }

    /// Many, each behind the token.
    pub const fn many_tokens(self) -> Arg {
        Arg { many: true, many_token: true, ..self }
    }

    pub const fn shown_as(self, display: &'static str) -> Arg {
        Arg { display: Some(display), ..self }
    }

    pub const fn since(self, version: &'static str) -> Arg {
        Arg { since: Some(version), ..self }
    }

    /// The fewest words it takes.
    fn words_min(&self) -> usize {
        let own = match self.kind {
            Kind::Token => 0,
            Kind::OneOf(choices) => choices.iter().map(Arg::words_min).min().unwrap_or(0),
            Kind::Block(parts) => parts.iter().filter(|part| !part.optional).map(Arg::words_min).sum(),
            _ => 1,
        };
        own + usize::from(self.token.is_some())
    }

    /// Whether it takes the same number of words each time.
    fn is_fixed(&self) -> bool {
        !self.optional
            && !self.many
            && match self.kind {
                Kind::OneOf(choices) => choices.iter().all(|c| c.is_fixed() && c.words_min() == choices[0].words_min()),
                Kind::Block(parts) => parts.iter().all(Arg::is_fixed),
                _ => true,
            }
    }
}

/// Where keys stand among the words of a command; 0 is the command's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// 0 if there are no keys.
    pub first: usize,
    /// Counted from the end if negative: -1 is the last word.
    pub last: isize,
    pub step: usize,
}

impl KeyRange {
    /// The positions of the keys among so many words.
    #[inline]
    pub fn positions(self, words: usize) -> impl Iterator<Item = usize> + use<> {
        let last = if self.last < 0 { words as isize + self.last } else { self.last.min(words as isize - 1) };
        let end = if self.first == 0 { 0 } else { (last + 1).max(0) as usize };
        (self.first..end).step_by(self.step.max(1))
    }
}

/// What the specification of shard channels says.
pub const NOT_KEYS: &[&str] = &["not_key"];

/// The ACL categories that commands here belong to, in the order in which Redis tells them.
const CATEGORIES: [&str; 20] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
];

impl Command {
    /// Whether a command that names no keys tells of some all the same.
    pub fn shows_keys(&self) -> bool {
        self.flags.has(Flags::READONLY) && (self.group == Group::Generic || self.flags.has(Flags::KEYSPACE))
    }

    /// The words a call must have, negated if more are allowed. `depth` counts the words of the name: 2 for a
    /// sub-command.
    pub fn arity(&self, depth: usize) -> i32 {
        if !self.subcommands.is_empty() && self.args.is_empty() {
            return if self.alone { -1 } else { -2 };
        }
        let least = depth + self.args.iter().filter(|arg| !arg.optional).map(Arg::words_min).sum::<usize>();
        if self.args.iter().all(Arg::is_fixed) && !self.ignores_rest { least as i32 } else { -(least as i32) }
    }

    /// Where the keys stand.
    pub fn key_range(&self, depth: usize) -> KeyRange {
        if let [first, ..] = self.specs {
            return first.range();
        }
        let mut position = depth;
        let mut range = KeyRange::default();
        for arg in self.args {
            let (is_key, step) = match arg.kind {
                Kind::Key(_) => (true, 1),
                Kind::Block([Arg { kind: Kind::Key(_), .. }, ..]) => (true, arg.words_min()),
                _ => (false, 0),
            };
            if is_key && arg.token.is_none() {
                if range.first == 0 {
                    range = KeyRange { first: position, last: position as isize, step };
                } else {
                    range.last = position as isize;
                }
                if arg.many {
                    // Words of other arguments may follow; none of Redis's commands with plain keys has them.
                    range.last = -1;
                    return range;
                }
            }
            if !arg.is_fixed() {
                break;
            }
            position += arg.words_min();
        }
        range
    }

    /// Every key argument with its first position, and whether it is one of many: `COMMAND INFO`'s key specifications.
    pub fn keys(&self, depth: usize) -> Vec<(usize, Usage, bool, usize)> {
        let mut position = depth;
        let mut keys = Vec::new();
        for arg in self.args {
            match arg.kind {
                Kind::Key(usage) => keys.push((position, usage, arg.many, 1)),
                Kind::Block([Arg { kind: Kind::Key(usage), .. }, ..]) => {
                    keys.push((position, *usage, arg.many, arg.words_min()));
                }
                _ => {}
            }
            if !arg.is_fixed() {
                break;
            }
            position += arg.words_min();
        }
        keys
    }

    /// The key arguments as `COMMAND INFO` specifies them: neighbours that are used alike are one specification.
    pub fn key_specs(&self, depth: usize) -> Vec<KeySpec> {
        if !self.specs.is_empty() {
            return self.specs.to_vec();
        }
        let mut specs: Vec<KeySpec> = Vec::new();
        for (index, (position, usage, many, step)) in self.keys(depth).into_iter().enumerate() {
            let flags = self.key_flags(index, usage, many);
            if let Some(KeySpec { begin: Begin::Index(first), find: Find::Range { last, .. }, flags: before }) =
                specs.last_mut()
                && *before == flags
                && !many
                && *last >= 0
                && *first as isize + *last + 1 == position as isize
            {
                *last += 1;
                continue;
            }
            let find = Find::Range { last: if many { -1 } else { 0 }, step, limit: 0 };
            specs.push(KeySpec { begin: Begin::Index(position), find, flags });
        }
        specs
    }

    fn key_flags(&self, index: usize, usage: Usage, many: bool) -> &'static [&'static str] {
        match self.key_use {
            KeyUse::Flags(flags) | KeyUse::ByToken { with: flags, .. } => flags,
            KeyUse::Each(each) => each[index],
            KeyUse::Default => match usage {
                Usage::Read => &["RO", "access"],
                Usage::Update => &["RW", "access", "update"],
                Usage::Write => &["OW", "update"],
                // One key that goes hands its value on; many are thrown away unseen.
                Usage::Delete if many => &["RM", "delete"],
                Usage::Delete => &["RW", "access", "delete"],
                Usage::Channel => NOT_KEYS,
            },
        }
    }

    /// The ACL categories, each with its `@`, in Redis's order.
    pub fn categories(&self) -> Vec<&'static str> {
        CATEGORIES.into_iter().filter(|category| self.is_in(category)).collect()
    }

    /// Whether it belongs to an ACL category, given with its `@`.
    pub fn is_in(&self, category: &str) -> bool {
        let flags = self.flags;
        let is_container = !self.subcommands.is_empty() && !self.alone;
        let grouped = !is_container && !flags.has(Flags::UNGROUPED);
        let by_flags = match category {
            "@keyspace" => flags.has(Flags::KEYSPACE),
            "@read" => flags.has(Flags::READONLY),
            "@write" => flags.has(Flags::WRITE),
            "@pubsub" => flags.has(Flags::PUBSUB),
            "@admin" => flags.has(Flags::ADMIN.and(Flags::ADMIN_CATEGORY)),
            "@fast" => flags.has(Flags::FAST),
            "@slow" => !flags.has(Flags::FAST),
            "@blocking" => flags.has(Flags::BLOCKING),
            "@dangerous" => flags.has(Flags::ADMIN.and(Flags::ADMIN_CATEGORY).and(Flags::DANGEROUS)),
            "@connection" => flags.has(Flags::CONNECTION),
            "@set" | "@sortedset" | "@list" => flags.has(Flags::COLLECTIONS),
            _ => false,
        };
        by_flags || grouped && self.group.category() == Some(category)
    }

    /// The sub-command of a word.
    pub fn subcommand(&self, word: &[u8]) -> Option<&'static Command>
    where
        Self: 'static,
    {
        self.subcommands.iter().find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: Command = Command {
        name: "SET",
        args: &[key("key", Usage::Write), text("value"), token("nx", "NX").optional()],
        ..COMMAND
    };
    const MSET: Command =
        Command { name: "MSET", args: &[block("data", &[key("key", Usage::Write), text("value")]).many()], ..COMMAND };
    const RENAME: Command =
        Command { name: "RENAME", args: &[key("key", Usage::Delete), key("newkey", Usage::Write)], ..COMMAND };

    #[test]
    fn arity_and_keys_follow_from_the_arguments() {
        assert_eq!(SET.arity(1), -3);
        assert_eq!(SET.key_range(1), KeyRange { first: 1, last: 1, step: 1 });
        assert_eq!(MSET.arity(1), -3);
        assert_eq!(MSET.key_range(1), KeyRange { first: 1, last: -1, step: 2 });
        assert_eq!(RENAME.arity(1), 3);
        assert_eq!(RENAME.key_range(1), KeyRange { first: 1, last: 2, step: 1 });
        assert_eq!(MSET.key_range(1).positions(5).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(RENAME.key_range(1).positions(3).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(KeyRange::default().positions(5).count(), 0);
    }

    #[test]
    fn keys_that_are_used_alike_are_one_specification() {
        const LCS: Command =
            Command { name: "LCS", args: &[key("key1", Usage::Read), key("key2", Usage::Read)], ..COMMAND };
        let [lcs] = &LCS.key_specs(1)[..] else { panic!("{:?}", LCS.key_specs(1)) };
        assert_eq!(*lcs, KeySpec::range_of(1, 1, &["RO", "access"]));
        let [from, to] = &RENAME.key_specs(1)[..] else { panic!("{:?}", RENAME.key_specs(1)) };
        assert_eq!(*from, KeySpec::range_of(1, 0, &["RW", "access", "delete"]));
        assert_eq!(*to, KeySpec::range_of(2, 0, &["OW", "update"]));
        let words: [&[u8]; 5] = [b"mset", b"a", b"1", b"b", b"2"];
        assert_eq!(MSET.key_specs(1)[0].positions(&words), [1, 3]);
    }

    #[test]
    fn categories_follow_from_flags_and_group() {
        let get = Command { flags: Flags::READONLY.and(Flags::FAST), group: Group::String, ..COMMAND };
        assert_eq!(get.categories(), ["@read", "@string", "@fast"]);
    }
}
