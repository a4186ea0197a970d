//! Larder and Debian's redis-server are asked the same at random, and have to answer the same and hold the same.
//!
//! Several connections take turns, some in RESP2 and some in RESP3, with calls that are right and calls that are not; they
//! wait for each other, watch, subscribe and run transactions. See `groups/mod.rs` for what is tried, `compare.rs` for what
//! cannot be equal and `intended.rs` for what is not meant to be. A difference is told with the shortest script that shows
//! it. Without a redis-server on the machine the tests are skipped, with a note; commands that the server does not know are
//! left out with their group, with a note as well.
//!
//! * `LARDER_TEST_SEED=7` repeats a run; the seed of every run is printed.
//! * `LARDER_TEST_COMMANDS=200000` tries more than the usual 20 000 commands.
//! * `LARDER_TEST_GROUPS=hash,transaction` tries these groups alone; the names stand in `groups/mod.rs`.
//! * `LARDER_TEST_SERVER=/usr/bin/redis-server` compares the reference with itself, to test the test.

mod chance;
mod compare;
mod frames;
mod grammar;
mod groups;
mod intended;
mod keyspace;
mod script;
mod servers;
mod shorten;
mod side;
mod words;

use groups::Group;
use larder_tests::random;
use random::{Random, seed, setting};
use script::{Author, Step};
use servers::Servers;
use shorten::{quoted, shorten, show};

/// Commands of a run.
const COMMANDS: u64 = 20_000;

/// Steps after which both servers begin anew: a difference is found again among so many.
const SCRIPT_STEPS: usize = 2_000;

#[test]
fn random_commands_are_answered_alike() {
    let Some(mut servers) = Servers::start() else { return };
    let groups = servers.known(&groups::chosen());
    if groups.iter().all(|group| group.lines.is_empty() && group.waiting.is_empty()) {
        eprintln!("skipped: there is nothing to try");
        return;
    }
    let payloads = servers.payloads(&groups);
    let mut random = Random::new(seed());
    let mut left = setting("LARDER_TEST_COMMANDS").unwrap_or(COMMANDS) as usize;
    while left > 0 {
        let some = some_of(&groups, &mut random);
        let mut author = Author::new(&mut random, &payloads, &some);
        let mut script: Vec<Step> = Vec::new();
        while left > 0 && script.len() < SCRIPT_STEPS {
            script.push(author.step());
            left = left.saturating_sub(script.last().map_or(1, Step::len));
        }
        if let Some(difference) = servers.run(&script) {
            let (script, difference) =
                shorten(&mut servers, &script).unwrap_or((script[..=difference.step].to_vec(), difference));
            panic!(
                "\nLarder answers otherwise than the reference:\n{}\n    to: {}\n  ours: {}\ntheirs: {}\n",
                show(&script[script.len().saturating_sub(50)..]),
                quoted(&difference.gap.words),
                difference.gap.ours,
                difference.gap.theirs
            );
        }
    }
}

/// Some groups for one script: among all of them, two commands would seldom meet on one key. A group that is left out still
/// has its turn in another script, and each third script has all.
fn some_of<'a>(groups: &[&'a Group], random: &mut Random) -> Vec<&'a Group> {
    let mut some = groups.to_vec();
    if !random.percent(33) {
        some.retain(|_| random.percent(35));
    }
    let is_something = some.iter().any(|group| !group.lines.is_empty() || !group.waiting.is_empty());
    if is_something { some } else { groups.to_vec() }
}
