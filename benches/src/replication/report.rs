//! What the rounds showed, as tables or JSON: medians over the rounds, and medians of the ratios within each round.

use std::time::Duration;

use super::Options;
use crate::{
    compare::Contestant,
    json::Json,
    table::{self, median},
    workload::Workload,
};

/// What SETs cost one kind of server in a round: CPU microseconds of the primary for each.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    pub alone: f64,
    pub followed: f64,
    /// How long the replica took after the last SET to have them all.
    pub behind: Duration,
}

/// A full resync.
#[derive(Clone, Copy, Debug)]
pub struct Resync {
    pub seconds: f64,
    /// The most by which the primary's memory grew, and what it was before.
    pub extra_bytes: u64,
    pub resident_bytes: u64,
}

impl Resync {
    fn extra_share(&self) -> f64 {
        self.extra_bytes as f64 / self.resident_bytes.max(1) as f64
    }
}

/// All rounds.
pub struct Report {
    head: String,
    names: Vec<String>,
    depths: Vec<usize>,
    /// By depth, then by server; of each round.
    writes: Vec<Vec<Vec<Writes>>>,
    /// By server; of each round.
    resyncs: Vec<Vec<Resync>>,
}

/// The server whose figures others are set against.
const REFERENCE: &str = "redis";

impl Report {
    pub fn new(options: &Options, contestants: &[Contestant], depths: &[usize]) -> Self {
        let Workload { key_count, value_length, .. } = options.base;
        let head = format!(
            "{} keys with values of {value_length} bytes; during the resync {} requests a second, {} % of them SET. {} rounds.\n",
            table::grouped(key_count as f64),
            table::grouped(options.rate),
            options.set_share * 100.0,
            options.rounds
        );
        Self {
            head,
            names: contestants.iter().map(|contestant| contestant.name.clone()).collect(),
            depths: depths.to_vec(),
            writes: vec![vec![Vec::new(); contestants.len()]; depths.len()],
            resyncs: vec![Vec::new(); contestants.len()],
        }
    }

    pub fn add_writes(&mut self, depth: usize, server: usize, writes: Writes) {
        self.writes[depth][server].push(writes);
    }

    pub fn add_resync(&mut self, server: usize, resync: Resync) {
        self.resyncs[server].push(resync);
    }

    pub fn to_text(&self) -> String {
        let mut text = self.head.clone();
        for (row, depth) in self.depths.iter().enumerate() {
            let rows: Vec<_> = (0..self.names.len()).map(|server| self.writes_row(row, server)).collect();
            text.push_str(&format!(
                "\nCPU us of the primary for a SET, {} connections, {depth} deep\n{}",
                super::CONNECTIONS,
                table::render(&WRITES_HEADER, &rows)
            ));
        }
        let rows: Vec<_> = (0..self.names.len()).map(|server| self.resync_row(server)).collect();
        text + &format!("\nfull resync\n{}", table::render(&RESYNC_HEADER, &rows))
    }

    fn writes_row(&self, row: usize, server: usize) -> Vec<String> {
        let shown = |figure| table::figure(self.write(row, server, figure));
        vec![
            self.names[server].clone(),
            shown(alone),
            shown(followed),
            table::ratio(self.write(row, server, cost)),
            table::ratio(self.writes_ratio(row, server, alone)),
            table::ratio(self.writes_ratio(row, server, followed)),
            shown(behind_ms),
        ]
    }

    fn resync_row(&self, server: usize) -> Vec<String> {
        let extra = self.resync(server, Resync::extra_share).map(|share| format!("{:.1} %", share * 100.0));
        vec![
            self.names[server].clone(),
            table::figure(self.resync(server, |resync| resync.seconds)),
            table::ratio(self.resync_ratio(server)),
            extra.unwrap_or_else(|| "-".to_owned()),
            table::figure(self.resync(server, |resync| resync.extra_bytes as f64 / 1e6)),
            table::figure(self.resync(server, |resync| resync.resident_bytes as f64 / 1e6)),
        ]
    }

    pub fn to_json(&self) -> Json {
        Json::List((0..self.names.len()).map(|server| self.server_json(server)).collect())
    }

    fn server_json(&self, server: usize) -> Json {
        let writes = |(row, depth): (usize, &usize)| {
            let figure = |figure| Json::optional(self.write(row, server, figure));
            let ratio = |figure| Json::optional(self.writes_ratio(row, server, figure));
            Json::Object(vec![
                ("depth", Json::Number(*depth as f64)),
                ("cpu_us_alone", figure(alone)),
                ("cpu_us_followed", figure(followed)),
                ("followed_to_alone", figure(cost)),
                ("alone_to_redis", ratio(alone)),
                ("followed_to_redis", ratio(followed)),
                ("behind_ms", figure(behind_ms)),
            ])
        };
        let resync = |figure: fn(&Resync) -> f64| Json::optional(self.resync(server, figure));
        Json::Object(vec![
            ("server", Json::text(&self.names[server])),
            ("writes", Json::List(self.depths.iter().enumerate().map(writes).collect())),
            ("resync_seconds", resync(|resync| resync.seconds)),
            ("resync_seconds_to_redis", Json::optional(self.resync_ratio(server))),
            ("extra_share", resync(Resync::extra_share)),
            ("extra_bytes", resync(|resync| resync.extra_bytes as f64)),
            ("resident_bytes", resync(|resync| resync.resident_bytes as f64)),
        ])
    }

    fn write(&self, row: usize, server: usize, figure: fn(&Writes) -> f64) -> Option<f64> {
        median(self.writes[row][server].iter().map(figure).collect())
    }

    fn writes_ratio(&self, row: usize, server: usize, figure: fn(&Writes) -> f64) -> Option<f64> {
        self.ratio(&self.writes[row], server, figure)
    }

    fn resync(&self, server: usize, figure: fn(&Resync) -> f64) -> Option<f64> {
        median(self.resyncs[server].iter().map(figure).collect())
    }

    fn resync_ratio(&self, server: usize) -> Option<f64> {
        self.ratio(&self.resyncs, server, |resync| resync.seconds)
    }

    /// The median over the rounds of a figure's ratio to the reference in the same round.
    fn ratio<T>(&self, rounds: &[Vec<T>], server: usize, figure: fn(&T) -> f64) -> Option<f64> {
        let reference = self.names.iter().position(|name| name == REFERENCE)?;
        let pairs = rounds[server].iter().zip(&rounds[reference]);
        median(pairs.map(|(own, other)| figure(own) / figure(other)).collect())
    }
}

fn alone(writes: &Writes) -> f64 {
    writes.alone
}

fn followed(writes: &Writes) -> f64 {
    writes.followed
}

fn cost(writes: &Writes) -> f64 {
    writes.followed / writes.alone
}

fn behind_ms(writes: &Writes) -> f64 {
    writes.behind.as_secs_f64() * 1e3
}

const WRITES_HEADER: [&str; 7] =
    ["server", "alone", "with replica", "with/alone", "alone/redis", "with/redis", "behind ms"];

const RESYNC_HEADER: [&str; 6] = ["server", "s", "s/redis", "extra memory", "extra MB", "resident MB"];

#[cfg(test)]
mod tests {
    use super::*;

    fn report(names: &[&str], rounds: &[&[(f64, f64)]]) -> Report {
        let mut report = Report {
            head: String::new(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            depths: vec![1],
            writes: vec![vec![Vec::new(); names.len()]],
            resyncs: vec![Vec::new(); names.len()],
        };
        for round in rounds {
            for (server, &(alone, followed)) in round.iter().enumerate() {
                report.add_writes(0, server, Writes { alone, followed, behind: Duration::from_millis(2) });
                let resync = Resync { seconds: alone, extra_bytes: 50, resident_bytes: 1000 };
                report.add_resync(server, resync);
            }
        }
        report
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was twice as slow in the second round, and again as fast in the third.
        let report = report(
            &["larder", "redis"],
            &[&[(1.0, 1.5), (4.0, 6.0)], &[(2.0, 4.0), (8.0, 8.0)], &[(1.0, 1.1), (2.0, 4.4)]],
        );
        assert_eq!(report.write(0, 0, cost), Some(1.5));
        assert_eq!(report.writes_ratio(0, 0, alone), Some(0.25));
        assert_eq!(report.writes_ratio(0, 0, followed), Some(0.25));
        assert_eq!(report.resync_ratio(0), Some(0.25));
        assert_eq!(report.writes_ratio(0, 1, alone), Some(1.0));
    }

    #[test]
    fn without_the_reference_ratios_to_it_are_dashes() {
        let report = report(&["larder"], &[&[(2.0, 3.0)]]);
        assert_eq!(report.writes_row(0, 0), ["larder", "2.00", "3.00", "1.50x", "-", "-", "2.00"]);
        assert_eq!(report.resync_row(0), ["larder", "2.00", "-", "5.0 %", "0.000", "0.001"]);
    }
}
