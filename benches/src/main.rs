//! The load generator and the comparison against other servers: `load`, `fill`, `compare`, `elements`, `expire`, `replication`,
//! `snapshot`, `cluster`, `warm`. See `README.md`.

mod ask;
mod cluster;
mod compare;
mod elements;
mod engine;
mod error;
mod expire;
mod fill;
mod flags;
mod histogram;
mod json;
mod keys;
mod load;
mod memory;
mod os;
mod proc;
mod progress;
mod random;
mod replication;
mod reply;
mod request;
mod snapshot;
mod table;
mod warm;
mod workload;

use std::process::ExitCode;

use error::Error;
use flags::Verb;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder-benches: {error}");
            // What shells report for a program that Ctrl-C ended, and what they use for wrong usage.
            ExitCode::from(match error {
                Error::Interrupted => 130,
                Error::Usage(_) => 2,
                _ => 1,
            })
        }
    }
}

fn run() -> Result<(), Error> {
    let verb = flags::read()?;
    if cfg!(debug_assertions) {
        eprintln!(
            "larder-benches: this is a debug build, whose figures say nothing; use `cargo run -p larder-benches --release`"
        );
    }
    os::raise_open_files().map_err(Error::io("cannot raise the limit of open files"))?;
    os::catch_interrupts().map_err(Error::io("cannot watch for Ctrl-C"))?;
    match verb {
        Verb::Load(options) => load::run(&options),
        Verb::Fill(options) => fill::run(&options),
        Verb::Compare(options) => compare::run(&options),
        Verb::Elements(options) => elements::run(&options),
        Verb::Expire(options) => expire::run(&options),
        Verb::Replication(options) => replication::run(&options),
        Verb::Snapshot(options) => snapshot::run(&options),
        Verb::Cluster(options) => cluster::run(&options),
        Verb::Warm(options) => warm::run(&options),
    }
}
