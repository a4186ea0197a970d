//! The values a setting can have, and their text: as `CONFIG GET` shows them, and as words of a `redis.conf` line.

use crate::rules::Policy;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::memory;

/// One checked value. Which variant a setting has follows from its [`Kind`](super::kind::Kind).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Switch(bool),
    /// A whole number in the unit of its row.
    Whole(i64),
    /// Bytes.
    Memory(u64),
    /// A percentage of another amount of memory, 1 to 100.
    Percent(u8),
    /// One of the names its row allows.
    Choice(&'static str),
    /// Some of the names its row allows.
    Choices(Vec<&'static str>),
    /// Any text.
    Text(String),
    /// The addresses to listen on.
    Addresses(Vec<BindAddress>),
    /// How much output may wait for a client, per class of clients.
    OutputLimits(OutputLimits),
    /// When a snapshot is due.
    SavePoints(Vec<SavePoint>),
    /// Rules for keys with a prefix.
    Rules(Vec<RuleLine>),
    /// The keyspace events that are published.
    Events(Events),
    /// Percentiles, 0 to 100.
    Percentiles(Vec<f64>),
}

impl Value {
    /// The words of the value, as they would follow the setting's name in a `redis.conf`.
    ///
    /// Settings that take one word give exactly one, which may be empty.
    pub fn words(&self) -> Vec<String> {
        match self {
            Value::Switch(on) => vec![if *on { "yes" } else { "no" }.to_owned()],
            Value::Whole(number) => vec![number.to_string()],
            Value::Memory(bytes) => vec![bytes.to_string()],
            Value::Percent(percent) => vec![format!("{percent}%")],
            Value::Choice(name) => vec![(*name).to_owned()],
            Value::Choices(names) => names.iter().map(|name| (*name).to_owned()).collect(),
            Value::Text(text) => vec![text.clone()],
            Value::Addresses(addresses) => addresses.iter().map(BindAddress::to_string).collect(),
            Value::OutputLimits(limits) => limits.words(|bytes| bytes.to_string()),
            Value::SavePoints(points) => points.iter().flat_map(SavePoint::words).collect(),
            Value::Rules(rules) => rules.iter().map(RuleLine::line).collect(),
            Value::Events(events) => vec![events.to_string()],
            Value::Percentiles(percentiles) => percentiles.iter().map(f64::to_string).collect(),
        }
    }

    /// The text `CONFIG GET` answers with, which is Redis's own: memory in bytes, lists parted by one space.
    pub fn text(&self) -> String {
        self.words().join(" ")
    }

    /// The text for people and for files: as [`Value::text`], but memory in the largest unit that fits exactly.
    pub fn short_text(&self) -> String {
        match self {
            Value::Memory(bytes) => memory::shortest(*bytes),
            Value::OutputLimits(limits) => limits.words(memory::shortest).join(" "),
            other => other.text(),
        }
    }
}

/// A rule for keys with a prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleLine {
    pub prefix: String,
    pub policy: Policy,
}

impl RuleLine {
    /// As one would write it.
    pub fn line(&self) -> String {
        format!("{} {}", self.prefix, self.policy.line())
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// The address; the unspecified one stands for every address of its family.
    pub ip: IpAddr,
    /// Whether the node starts without it when the machine lacks it (written with a leading `-`).
    pub optional: bool,
}

impl BindAddress {
    /// Reads an address in Redis's notation: an IP address, `*` (all IPv4), `::*` (all IPv6) or `localhost`, each with
    /// an optional leading `-`.
    pub fn parse(word: &str) -> Option<BindAddress> {
        let (optional, address) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let ip = match address {
            "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            address => address.parse().ok()?,
        };
        Some(BindAddress { ip, optional })
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.optional { "-" } else { "" };
        match self.ip {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => write!(out, "{mark}*"),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => write!(out, "{mark}::*"),
            ip => write!(out, "{mark}{ip}"),
        }
    }
}

/// How much output may wait for one client before it is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which the client is cut at once; 0 is no limit.
    pub hard: u64,
    /// Bytes that cut the client when it stays above them for [`OutputLimit::soft_seconds`]; 0 is no limit.
    pub soft: u64,
    /// Seconds above the soft limit.
    pub soft_seconds: u32,
}

impl OutputLimit {
    /// No limit at all.
    pub const NONE: OutputLimit = OutputLimit { hard: 0, soft: 0, soft_seconds: 0 };
}

/// The output limits of every class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Clients that are neither of the others.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients subscribed to a channel or pattern.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// Redis's limits, save that a normal client is cut at 1 GiB, so that no buffer is without a bound.
    pub const DEFAULT: OutputLimits = OutputLimits {
        normal: OutputLimit { hard: 1 << 30, soft: 0, soft_seconds: 0 },
        replica: OutputLimit { hard: 256 << 20, soft: 64 << 20, soft_seconds: 60 },
        pubsub: OutputLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
    };

    /// Each class with its Redis name, in the order of `CONFIG GET`. Redis still says `slave` there.
    pub fn classes(&self) -> [(&'static str, OutputLimit); 3] {
        [("normal", self.normal), ("slave", self.replica), ("pubsub", self.pubsub)]
    }

    /// The limit of the class a user named, or nothing if there is no such class.
    pub fn class_mut(&mut self, name: &str) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_str() {
            "normal" => Some(&mut self.normal),
            "replica" | "slave" => Some(&mut self.replica),
            "pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }

    fn words(&self, amount: fn(u64) -> String) -> Vec<String> {
        let class_words = |(name, limit): (&str, OutputLimit)| {
            [name.to_owned(), amount(limit.hard), amount(limit.soft), limit.soft_seconds.to_string()]
        };
        self.classes().into_iter().flat_map(class_words).collect()
    }
}

/// A snapshot is due once this many changes happened within this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    /// The time, at least 1.
    pub seconds: u64,
    /// The changes.
    pub changes: u32,
}

impl SavePoint {
    /// Those of Redis: an hour for one change, five minutes for a hundred, a minute for ten thousand.
    pub const DEFAULT: [SavePoint; 3] = [
        SavePoint { seconds: 3600, changes: 1 },
        SavePoint { seconds: 300, changes: 100 },
        SavePoint { seconds: 60, changes: 10_000 },
    ];

    /// The two words of a `save` line.
    pub fn words(&self) -> [String; 2] {
        [self.seconds.to_string(), self.changes.to_string()]
    }
}

/// A set of keyspace event classes, one bit each, in the order of [`Events::LETTERS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// The letters of Redis, in the order in which it writes them: generic, string, list, set, hash, sorted set,
    /// expired, evicted, stream, module, new key; then whether events go to key channels and to event channels; then
    /// key misses.
    pub const LETTERS: &'static str = "g$lshzxetdnKEm";
    /// Generic commands (`g`).
    pub const GENERIC: Events = Events(1);
    /// Strings (`$`).
    pub const STRING: Events = Events(1 << 1);
    /// Lists (`l`).
    pub const LIST: Events = Events(1 << 2);
    /// Sets (`s`).
    pub const SET: Events = Events(1 << 3);
    /// Hashes (`h`).
    pub const HASH: Events = Events(1 << 4);
    /// Sorted sets (`z`).
    pub const ZSET: Events = Events(1 << 5);
    /// Expired keys (`x`).
    pub const EXPIRED: Events = Events(1 << 6);
    /// Evicted keys (`e`).
    pub const EVICTED: Events = Events(1 << 7);
    /// Streams (`t`).
    pub const STREAM: Events = Events(1 << 8);
    /// Module types (`d`).
    pub const MODULE: Events = Events(1 << 9);
    /// New keys (`n`), which `A` leaves out.
    pub const NEW: Events = Events(1 << 10);
    /// Publish on `__keyspace@DB__:KEY` (`K`).
    pub const KEYSPACE: Events = Events(1 << 11);
    /// Publish on `__keyevent@DB__:EVENT` (`E`).
    pub const KEYEVENT: Events = Events(1 << 12);
    /// Misses (`m`), which `A` leaves out.
    pub const MISS: Events = Events(1 << 13);
    /// What `A` stands for: every class but new keys and misses.
    pub const ALL: Events = Events((1 << 10) - 1);

    /// Reads the letters; nothing if one is unknown.
    pub fn parse(letters: &str) -> Option<Events> {
        letters.chars().try_fold(Events::default(), |set, letter| match letter {
            'A' => Some(set.with(Events::ALL)),
            letter => Events::LETTERS.find(letter).map(|bit| set.with(Events(1 << bit))),
        })
    }

    /// Both sets together.
    pub const fn with(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }

    /// Whether every class of `other` is in this set.
    pub const fn has(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any event can be published: a class is chosen, and a channel for it.
    pub const fn any(self) -> bool {
        let channels = Events::KEYSPACE.0 | Events::KEYEVENT.0;
        self.0 & channels != 0 && self.0 & !channels != 0
    }

    /// The bits, for an atomic.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set with these bits; bits without a class are dropped.
    pub const fn from_bits(bits: u32) -> Events {
        Events(bits & ((1 << Events::LETTERS.len()) - 1))
    }
}

impl fmt::Display for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.has(Events::ALL);
        if all {
            out.write_str("A")?;
        }
        for (bit, letter) in Events::LETTERS.char_indices() {
            let class = Events(1 << bit);
            if self.has(class) && !(all && Events::ALL.has(class)) {
                write!(out, "{letter}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_in_redis_order() {
        let text = |letters: &str| Events::parse(letters).unwrap().to_string();
        assert_eq!(text("KEA"), "AKE");
        assert_eq!(text("x$KE"), "$xKE");
        assert_eq!(text("gxeKEtmdn"), "gxetdnKEm");
        assert_eq!(text("g$lshzxetd"), "A");
        assert_eq!(text("KAn"), "AnK");
        assert_eq!(text(""), "");
        assert_eq!(Events::parse("KEq"), None);
    }

    #[test]
    fn events_need_a_class_and_a_channel() {
        assert!(!Events::parse("KE").unwrap().any());
        assert!(!Events::parse("A").unwrap().any());
        assert!(Events::parse("Kx").unwrap().any());
    }

    #[test]
    fn addresses_keep_their_notation() {
        for word in ["127.0.0.1", "-::1", "*", "-::*", "::*", "10.0.0.7"] {
            assert_eq!(BindAddress::parse(word).unwrap().to_string(), word);
        }
        assert_eq!(BindAddress::parse("localhost").unwrap().to_string(), "127.0.0.1");
        assert_eq!(BindAddress::parse("example.com"), None);
        assert_eq!(BindAddress::parse(""), None);
    }

    #[test]
    fn output_limits_are_written_as_redis_writes_them() {
        assert_eq!(
            Value::OutputLimits(OutputLimits::DEFAULT).text(),
            "normal 1073741824 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
        );
    }

    #[test]
    fn percentiles_are_written_without_needless_digits() {
        assert_eq!(Value::Percentiles(vec![50.0, 99.0, 99.95]).text(), "50 99 99.95");
    }
}
