//! Larder and Debian's redis-server are asked the same at random, and have to answer the same.
//!
//! Several connections take turns, some in RESP2 and some in RESP3, with calls that are right and calls that are not; see
//! `commands.rs` for what is tried and `compare.rs` for what may differ. A difference is told with the shortest script that
//! shows it. Without a redis-server on the machine the tests are skipped, with a note.
//!
//! * `LARDER_TEST_SEED=7` repeats a run; the seed of every run is printed.
//! * `LARDER_TEST_COMMANDS=1000000` tries more than the usual 20 000 steps.

mod commands;
mod compare;
mod frames;
mod random;
mod script;
mod servers;
mod shorten;

use random::{Random, seed, setting};
use script::{Author, Step};
use servers::Servers;
use shorten::{quoted, shorten, show};

/// Steps of a run, most of which are one command.
const STEPS: u64 = 20_000;

/// Steps after which both servers begin anew: a difference is found again among so many.
const SCRIPT_STEPS: usize = 2_000;

#[test]
fn random_commands_are_answered_alike() {
    let Some(mut servers) = Servers::start() else { return };
    let payloads = servers.payloads();
    let mut random = Random::new(seed());
    let mut left = setting("LARDER_TEST_COMMANDS").unwrap_or(STEPS) as usize;
    while left > 0 {
        let steps = left.min(SCRIPT_STEPS);
        let mut author = Author::new(&mut random, &payloads);
        let script: Vec<Step> = (0..steps).map(|_| author.step()).collect();
        if let Some(difference) = servers.run(&script) {
            let (script, difference) =
                shorten(&mut servers, &script).unwrap_or((script[..=difference.step].to_vec(), difference));
            panic!(
                "\nLarder answers otherwise than the reference:\n{}\n    to: {}\n  ours: {}\ntheirs: {}\n",
                show(&script[script.len().saturating_sub(50)..]),
                quoted(&difference.words),
                difference.ours,
                difference.theirs
            );
        }
        left -= steps;
    }
}
