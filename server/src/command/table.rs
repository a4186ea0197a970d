//! All commands, and finding one by its name.

use super::forward::Spread;
use super::row::{Arg, Command, Flags, KeyRange, Kind, Scope, Usage};
use super::words::Words;
use std::sync::LazyLock;

/// The rows of all files, in no order that matters.
const GROUPS: &[&[Command]] = &[
    super::bitmap::COMMANDS,
    super::bloom::COMMANDS,
    super::cache::COMMANDS,
    super::client::COMMANDS,
    super::cluster::COMMANDS,
    super::connection::COMMANDS,
    super::generic::COMMANDS,
    super::geo::COMMANDS,
    super::hash::COMMANDS,
    super::hyperloglog::COMMANDS,
    super::introspect::COMMANDS,
    super::list::COMMANDS,
    super::pubsub::COMMANDS,
    super::replication::COMMANDS,
    super::server::COMMANDS,
    super::sets::COMMANDS,
    super::sort::COMMANDS,
    super::stream::COMMANDS,
    super::string::COMMANDS,
    super::transaction::COMMANDS,
    super::zset::COMMANDS,
];

/// A row with what follows from it, worked out once.
pub struct Found {
    pub row: &'static Command,
    /// 1, or 2 for a sub-command.
    pub depth: usize,
    pub arity: i32,
    /// Where `COMMAND` says that its keys are; shard channels are told there too.
    pub keys: KeyRange,
    /// Where the keys are that it locks.
    pub placed: KeyRange,
    /// Whether what stands where keys do are shard channels.
    pub is_of_channels: bool,
    /// Counters of this row; see [`super::stats`].
    pub number: usize,
    /// In lower case, with a bar between container and sub-command.
    pub name: String,
    pub subcommands: Vec<Found>,
    /// Whether a call with short words takes next to no time.
    pub is_brief: bool,
    /// Who is asked in a cluster.
    pub spread: Spread,
}

impl Found {
    fn new(row: &'static Command, container: Option<&str>, number: &mut usize) -> Found {
        let depth = if container.is_some() { 2 } else { 1 };
        let name = match container {
            Some(container) => format!("{container}|{}", row.name.to_ascii_lowercase()),
            None => row.name.to_ascii_lowercase(),
        };
        let own = *number;
        *number += 1;
        let subcommands = row.subcommands.iter().map(|sub| Found::new(sub, Some(&name), number)).collect();
        let is_brief = row.flags.has(Flags::FAST) || row.complexity.starts_with("O(1)") && row.scope == Scope::Keys;
        let keys = row.key_range(depth);
        let is_channel = |arg: &Arg| matches!(arg.kind, Kind::Key(Usage::Channel));
        let is_of_channels = row.args.iter().any(is_channel);
        let placed = if is_of_channels { KeyRange::default() } else { keys };
        let arity = row.arity(depth);
        let spread = Spread::of(row);
        Found { spread, is_brief, row, depth, arity, keys, placed, is_of_channels, number: own, name, subcommands }
    }

    /// Whether a call may have so many words.
    #[inline]
    pub fn takes(&self, words: usize) -> bool {
        if self.arity >= 0 { words == self.arity as usize } else { words >= -self.arity as usize }
    }

    /// Where the keys of a call stand among its words.
    pub fn key_positions(&self, words: Words<'_>) -> Vec<usize> {
        if self.row.specs.is_empty() {
            return self.placed.positions(words.len()).collect();
        }
        let words: Vec<&[u8]> = words.iter().collect();
        self.row.specs.iter().flat_map(|spec| spec.positions(&words)).collect()
    }

    /// The sub-command of a word.
    pub fn subcommand(&'static self, word: &[u8]) -> Option<&'static Found> {
        self.subcommands.iter().find(|sub| sub.row.name.as_bytes().eq_ignore_ascii_case(word))
    }

    pub fn is_write(&self) -> bool {
        self.row.flags.has(Flags::WRITE)
    }
}

/// Names are found by their hash in twice as many places as there are commands.
struct Table {
    all: Vec<Found>,
    places: Vec<u16>,
    numbers: usize,
}

const EMPTY: u16 = u16::MAX;

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut numbers = 0;
    let rows = GROUPS.iter().copied().flatten();
    let mut all: Vec<Found> = rows.map(|row| Found::new(row, None, &mut numbers)).collect();
    all.sort_by_key(|found| found.row.name);
    let mut places = vec![EMPTY; (all.len() * 4).next_power_of_two().max(8)];
    for (index, found) in all.iter().enumerate() {
        let mut at = hash(found.row.name.as_bytes()) as usize & (places.len() - 1);
        while places[at] != EMPTY {
            at = (at + 1) & (places.len() - 1);
        }
        places[at] = index as u16;
    }
    Table { all, places, numbers }
});

/// The command of a name, in any case.
#[inline]
pub fn find(name: &[u8]) -> Option<&'static Found> {
    let table = &*TABLE;
    let mut at = hash(name) as usize & (table.places.len() - 1);
    loop {
        let found = table.all.get(table.places[at] as usize)?;
        if found.row.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(found);
        }
        at = (at + 1) & (table.places.len() - 1);
    }
}

/// All commands, by name.
pub fn all() -> &'static [Found] {
    &TABLE.all
}

/// How many rows there are, sub-commands included.
pub fn numbers() -> usize {
    TABLE.numbers
}

/// Every row, sub-commands behind their containers.
pub fn each() -> impl Iterator<Item = &'static Found> {
    all().iter().flat_map(|found| std::iter::once(found).chain(&found.subcommands))
}

/// The name of a row as [`Found::name`] has it.
pub fn full_name(row: &Command) -> String {
    each().find(|found| std::ptr::eq(found.row, row)).map_or_else(|| row.name.to_ascii_lowercase(), |f| f.name.clone())
}

/// FNV-1a over the name in capitals.
#[inline]
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte.to_ascii_uppercase())).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for found in all() {
            for name in [found.row.name.to_owned(), found.row.name.to_lowercase()] {
                assert!(find(name.as_bytes()).is_some_and(|other| std::ptr::eq(other, found)), "{name}");
            }
        }
        assert!(find(b"NOSUCHCOMMAND").is_none());
        assert!(find(b"").is_none());
    }

    #[test]
    fn names_are_unique_and_rows_are_told() {
        let mut names: Vec<&str> = each().map(|found| found.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        for found in each() {
            assert!(found.row.name.chars().all(|c| c.is_ascii_uppercase() || "-_.".contains(c)), "{}", found.name);
            assert!(found.row.summary.ends_with('.'), "{} has a summary that is no sentence", found.name);
        }
    }
}
