//! The commands that are tried, in groups of those that work on one kind of value. A group is left out if a server does not
//! know all of its commands.
//!
//! Each command stands in a line from which calls are made:
//!
//! | In a line | stands for |
//! |---|---|
//! | `a\|b` | one of these words |
//! | `word?` | the word, or nothing; of several in brackets, `(EX TTL)?`, all or nothing |
//! | `word+` | the word, or the group, one to four times |
//! | `word%` | the word, or the group, some hundred times: enough to take a value out of its small encoding |
//! | `'a b'` | the word as it stands, whatever is in it |
//! | a word that `words.rs` lists, such as `KEY` | one of its kind |
//! | any other | itself |
//!
//! A line that begins with `!` is tried as it stands: a word more or less in it could block the connection, end others or
//! change what cannot be changed back.

mod bits;
mod blocking;
mod connection;
mod events;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod pubsub;
mod server;
mod set;
mod sort;
mod stream;
mod string;
mod transaction;
mod zset;

use std::collections::BTreeSet;
use std::env;

/// The share of a line among all, and the line.
pub type Line = (u32, &'static str);

/// Commands that are tried together.
pub struct Group {
    pub name: &'static str,
    /// Calls that are answered at once.
    pub lines: &'static [Line],
    /// Calls that may wait for what others do.
    pub waiting: &'static [Line],
    /// What others do meanwhile: several requests of one connection, with `;` between them.
    pub feeding: &'static [Line],
    /// Commands that the group needs beside those of its lines.
    pub needs: &'static [&'static str],
    /// Settings that the group needs.
    pub settings: &'static [&'static str],
}

impl Group {
    const EMPTY: Self = Self { name: "", lines: &[], waiting: &[], feeding: &[], needs: &[], settings: &[] };

    /// The names of the commands in its lines.
    pub fn commands(&self) -> BTreeSet<String> {
        let lines = [self.lines, self.waiting, self.feeding].concat();
        let calls = lines.iter().flat_map(|(_, line)| line.trim_start_matches('!').split(" ; "));
        let names = calls.flat_map(|call| call.split(' ').next().unwrap_or_default().split('|'));
        names.chain(self.needs.iter().copied()).map(str::to_lowercase).collect()
    }
}

/// All groups.
pub const GROUPS: &[Group] = &[
    string::GROUP,
    generic::GROUP,
    hash::GROUP,
    list::GROUP,
    set::GROUP,
    zset::GROUP,
    stream::GROUP,
    bits::GROUP,
    hyperloglog::GROUP,
    geo::GROUP,
    sort::GROUP,
    transaction::GROUP,
    blocking::GROUP,
    pubsub::GROUP,
    events::GROUP,
    connection::GROUP,
    server::GROUP,
];

/// The groups that `LARDER_TEST_GROUPS` names, as in `hash,list`; all without it.
///
/// # Panics
///
/// If there is no group of a name.
pub fn chosen() -> Vec<&'static Group> {
    let Ok(names) = env::var("LARDER_TEST_GROUPS") else { return GROUPS.iter().collect() };
    let find = |name: &str| {
        let all: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        GROUPS.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group is called '{name}': {all:?}"))
    };
    names.split(',').map(|name| find(name.trim())).collect()
}
