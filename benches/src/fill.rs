//! The verb `fill`: stores every key of the key space once, and tells what a key costs in memory.

use std::{thread, time::Duration};

use crate::{
    engine::{Bound, Engine, Outcome, Plan},
    error::Error,
    json::Json,
    keys::Choice,
    proc,
    progress::Progress,
    table,
    workload::Workload,
};

/// What the flags of `fill` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The operation and the choice of keys are `fill`'s own; so is the single thread.
    pub plan: Plan,
    pub pid: Option<u32>,
    pub json: bool,
}

/// A key space that was filled.
#[derive(Clone, Debug)]
pub struct Filled {
    /// Keys, or elements of collections.
    pub keys: u64,
    /// Key and value; none for elements of collections.
    pub payload_bytes: Option<usize>,
    pub outcome: Outcome,
    pub memory: Option<Growth>,
}

/// Resident bytes of the server.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    pub before: u64,
    pub after: u64,
}

/// Fills and prints the result.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut progress = Progress::new();
    let filled = fill(&options.plan, options.pid, Some(&mut progress))?;
    drop(progress);
    let text = if options.json { filled.to_json().to_string() + "\n" } else { filled.to_text() };
    print!("{text}");
    Ok(())
}

/// Stores each key of the plan's key space once, or each member of its collections.
///
/// # Errors
///
/// As [`Engine::run`], and [`Error::Server`] if the server refused some of the keys.
pub fn fill(plan: &Plan, pid: Option<u32>, progress: Option<&mut Progress>) -> Result<Filled, Error> {
    // Keys in turn are counted by one thread: two would each begin at the first key.
    let mut plan = Plan { threads: 1, ..plan.clone() };
    plan.workload.choice = Choice::InTurn;
    let keys = plan.workload.draws();
    let resident = || match pid {
        Some(pid) => {
            proc::resident_bytes(pid).map(Some).map_err(Error::io(format!("cannot read the memory of process {pid}")))
        }
        None => Ok(None),
    };
    let before = resident()?;
    let outcome = {
        let mut engine = Engine::connect(&plan)?;
        let mut say = progress.map(|progress| {
            move |stored: u64| {
                progress.say(&format!(
                    "stored {} keys of {}",
                    table::grouped(stored as f64),
                    table::grouped(keys as f64)
                ))
            }
        });
        engine.run(Bound::Requests(keys), say.as_mut().map(|say| say as &mut dyn FnMut(u64)))?
    };
    refuse_errors(&outcome)?;
    // Connections are closed by now: their buffers are given back, and are no part of what a key costs.
    thread::sleep(SETTLE);
    let memory = before.zip(resident()?).map(|(before, after)| Growth { before, after });
    let Workload { key_length, value_length, operation, .. } = plan.workload;
    let payload_bytes = (!operation.is_on_collection()).then_some(key_length + value_length);
    Ok(Filled { keys, payload_bytes, outcome, memory })
}

/// What servers put off until they are idle (a table's growth, freed buffers) is done by then.
const SETTLE: Duration = Duration::from_millis(300);

fn refuse_errors(outcome: &Outcome) -> Result<(), Error> {
    match &outcome.tally.first_error {
        None => Ok(()),
        Some(text) => Err(Error::Server(format!(
            "the server refused {} of the keys; the first time with: {text}",
            outcome.tally.errors
        ))),
    }
}

impl Filled {
    /// Growth of resident memory for each key, key and value included.
    pub fn bytes_per_key(&self) -> Option<f64> {
        self.memory.map(|Growth { before, after }| (after as f64 - before as f64) / self.keys as f64)
    }

    fn overhead(&self) -> Option<f64> {
        self.bytes_per_key().zip(self.payload_bytes).map(|(bytes, payload)| bytes - payload as f64)
    }

    fn to_text(&self) -> String {
        let keys = table::grouped(self.keys as f64);
        let rate = table::grouped(self.outcome.rate());
        let what = if self.payload_bytes.is_some() { "key" } else { "element" };
        let mut text = format!("stored {keys} {what}s in {:.2} s ({rate}/s)\n", self.outcome.elapsed.as_secs_f64());
        if let (Some(memory), Some(bytes)) = (self.memory, self.bytes_per_key()) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (before, after) = (mib(memory.before), mib(memory.after));
            text.push_str(&format!(
                "resident memory grew from {before:.1} to {after:.1} MiB: {bytes:.1} bytes per {what}"
            ));
            text.push_str(&self.overhead().map_or(String::new(), |bytes| format!(", {bytes:.1} above key and value")));
            text.push('\n');
        }
        text
    }

    fn to_json(&self) -> Json {
        Json::Object(vec![
            ("keys", Json::Number(self.keys as f64)),
            ("seconds", Json::Number(self.outcome.elapsed.as_secs_f64())),
            ("keys_per_second", Json::Number(self.outcome.rate())),
            ("resident_before", Json::optional(self.memory.map(|memory| memory.before as f64))),
            ("resident_after", Json::optional(self.memory.map(|memory| memory.after as f64))),
            ("bytes_per_key", Json::optional(self.bytes_per_key())),
            ("overhead_per_key", Json::optional(self.overhead())),
        ])
    }
}
