//! The verb `load`: puts load on a running server and tells what came of it.

use std::time::Duration;

use crate::{
    engine::{Bound, Engine, Outcome, Pace, Plan},
    error::Error,
    json::Json,
    proc,
    progress::Progress,
    table,
};

/// What the flags of `load` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    pub plan: Plan,
    pub bound: Bound,
    /// The same load before the measurement, for this long.
    pub warmup: Duration,
    /// The server's process, to tell its CPU time.
    pub pid: Option<u32>,
    pub json: bool,
}

/// Runs the load and prints the result.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut engine = Engine::connect(&options.plan)?;
    let mut progress = Progress::new();
    if !options.warmup.is_zero() {
        progress.say("warming up");
        engine.run(Bound::Time(options.warmup), None)?;
    }
    let measured = measure(&mut engine, options.bound, options.pid, Some(&mut progress))?;
    drop(progress);
    let text = if options.json { measured.to_json().to_string() + "\n" } else { measured.to_text(&options.plan) };
    print!("{text}");
    Ok(())
}

/// A run and the CPU time the server spent on it.
#[derive(Clone, Debug)]
pub struct Measured {
    pub outcome: Outcome,
    pub server_cpu: Option<Duration>,
}

/// Runs the engine once, reading the server's CPU time before the first request and after the last reply.
pub fn measure(
    engine: &mut Engine,
    bound: Bound,
    pid: Option<u32>,
    progress: Option<&mut Progress>,
) -> Result<Measured, Error> {
    let cpu = || match pid {
        Some(pid) => {
            proc::cpu_time(pid).map(Some).map_err(Error::io(format!("cannot read the CPU time of process {pid}")))
        }
        None => Ok(None),
    };
    let before = cpu()?;
    let outcome = match progress.filter(|progress| progress.is_shown()) {
        Some(progress) => engine.run(bound, Some(&mut |replies| progress.say(&said(bound, replies)))),
        None => engine.run(bound, None),
    }?;
    let server_cpu = cpu()?.zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(Measured { outcome, server_cpu })
}

fn said(bound: Bound, replies: u64) -> String {
    match bound {
        Bound::Requests(all) => {
            format!("{} of {} requests", table::grouped(replies as f64), table::grouped(all as f64))
        }
        Bound::Time(time) => format!("{} requests, {} s in all", table::grouped(replies as f64), time.as_secs_f64()),
    }
}

impl Measured {
    /// Microseconds of the server's CPU time for each reply.
    pub fn server_cpu_micros(&self) -> Option<f64> {
        self.server_cpu.map(|cpu| self.per_reply(cpu))
    }

    /// Microseconds of the generator's CPU time for each reply.
    pub fn generator_cpu_micros(&self) -> f64 {
        self.per_reply(self.outcome.generator_cpu)
    }

    fn per_reply(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.outcome.tally.replies.max(1) as f64
    }

    /// A quantile of the latencies in microseconds.
    pub fn latency_micros(&self, quantile: f64) -> f64 {
        self.outcome.latencies.quantile(quantile) as f64 / 1e3
    }

    fn hit_ratio(&self) -> Option<f64> {
        let tally = &self.outcome.tally;
        let reads = tally.hits + tally.misses;
        (reads > 0).then(|| tally.hits as f64 / reads as f64)
    }

    fn to_text(&self, plan: &Plan) -> String {
        let Outcome { tally, latencies, elapsed, unsent, .. } = &self.outcome;
        let mut rows = vec![
            ("requests".to_owned(), table::grouped(tally.replies as f64)),
            ("seconds".to_owned(), format!("{:.3}", elapsed.as_secs_f64())),
            ("requests/s".to_owned(), table::grouped(self.outcome.rate())),
        ];
        let mut add = |name: &str, value: String| rows.push((name.to_owned(), value));
        for (name, quantile) in QUANTILES {
            add(&format!("{name} us"), table::figure(Some(self.latency_micros(quantile))));
        }
        add("max us", table::figure(Some(latencies.max() as f64 / 1e3)));
        add("mean us", table::figure(Some(latencies.mean() / 1e3)));
        if let Some(micros) = self.server_cpu_micros() {
            add("server CPU us/op", table::figure(Some(micros)));
        }
        add("generator CPU us/op", table::figure(Some(self.generator_cpu_micros())));
        if let Some(ratio) = self.hit_ratio() {
            add("hit ratio", format!("{ratio:.4}"));
        }
        add("errors", table::grouped(tally.errors as f64));
        let mut text: String = rows.iter().map(|(name, value)| format!("{name:<20}  {value:>14}\n")).collect();
        if let Some(error) = &tally.first_error {
            text.push_str(&format!("the first error: {error}\n"));
        }
        if let (Pace::Open { rate }, 1..) = (plan.pace, *unsent) {
            text.push_str(&format!(
                "The server did not keep up with {rate} requests/s: {unsent} that were due were not sent, and the latencies \
                 leave them out.\n"
            ));
        }
        text
    }

    /// All figures, as `--json` prints them.
    pub fn to_json(&self) -> Json {
        let Outcome { tally, latencies, elapsed, unsent, .. } = &self.outcome;
        let mut members = vec![
            ("requests", Json::Number(tally.replies as f64)),
            ("seconds", Json::Number(elapsed.as_secs_f64())),
            ("ops_per_second", Json::Number(self.outcome.rate())),
        ];
        for (name, quantile) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
            members.push((name, Json::Number(self.latency_micros(quantile))));
        }
        members.extend([
            ("max_us", Json::Number(latencies.max() as f64 / 1e3)),
            ("mean_us", Json::Number(latencies.mean() / 1e3)),
            ("server_cpu_us_per_op", Json::optional(self.server_cpu_micros())),
            ("generator_cpu_us_per_op", Json::Number(self.generator_cpu_micros())),
            ("hits", Json::Number(tally.hits as f64)),
            ("misses", Json::Number(tally.misses as f64)),
            ("errors", Json::Number(tally.errors as f64)),
            ("first_error", tally.first_error.clone().map_or(Json::Null, Json::Text)),
            ("unsent", Json::Number(*unsent as f64)),
        ]);
        Json::Object(members)
    }
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
