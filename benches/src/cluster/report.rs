//! What the rounds showed, for people and for programs.

use super::{Options, Period, Round, load::Load};
use crate::{error::Error, json::Json, table, workload::Workload};

pub struct Report<'a> {
    pub options: &'a Options,
    pub rounds: &'a [Round],
}

const PERIODS: [(Period, &str); 3] = [(Period::Before, "before"), (Period::Moving, "moving"), (Period::After, "after")];

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

const HEADER: [&str; 11] = [
    "period",
    "requests",
    "p50 us",
    "p99",
    "p99.9",
    "p50/before",
    "p99/before",
    "p99.9/before",
    "hit ratio",
    "redirections",
    "errors",
];

impl Report<'_> {
    /// A table of the periods, then a line about the move of each round.
    pub fn to_text(&self) -> String {
        let Workload { key_count, value_length, .. } = self.options.base;
        let mut text = format!(
            "{} keys with values of {value_length} bytes on three shards; {} requests a second, {} % of them SET. {} rounds.\n\n",
            table::grouped(key_count as f64),
            table::grouped(self.options.rate),
            self.options.set_share * 100.0,
            self.rounds.len()
        );
        let rows: Vec<_> = PERIODS.into_iter().map(|(period, name)| self.row(period, name)).collect();
        text.push_str(&table::render(&HEADER, &rows));
        text.push('\n');
        self.rounds.iter().for_each(|round| text.push_str(&round.to_text()));
        text
    }

    fn row(&self, period: Period, name: &str) -> Vec<String> {
        let load = self.load(period);
        let mut row = vec![name.to_owned(), table::grouped(load.latencies.len() as f64)];
        row.extend(QUANTILES.map(|(_, quantile)| table::figure(Some(load.latencies.quantile(quantile) as f64 / 1e3))));
        row.extend(QUANTILES.map(|(_, quantile)| table::ratio(self.ratio(period, quantile))));
        row.extend([
            format!("{:.4} %", load.hit_ratio() * 100.0),
            table::grouped(load.redirections as f64),
            table::grouped(load.errors as f64),
        ]);
        row
    }

    /// All rounds of a period.
    fn load(&self, period: Period) -> Load {
        let mut all = Load::default();
        self.rounds.iter().for_each(|round| all.merge(&round.loads[period as usize]));
        all
    }

    /// The median over the rounds of how much longer requests took than before.
    fn ratio(&self, period: Period, quantile: f64) -> Option<f64> {
        let latency = |round: &Round, period: Period| round.loads[period as usize].latencies.quantile(quantile) as f64;
        table::median(self.rounds.iter().map(|round| latency(round, period) / latency(round, Period::Before)).collect())
    }

    pub fn to_json(&self) -> Json {
        let period = |(period, name): (Period, &str)| {
            let load = self.load(period);
            let micros = |quantile| Json::Number(load.latencies.quantile(quantile) as f64 / 1e3);
            Json::Object(vec![
                ("period", Json::text(name)),
                ("requests", Json::Number(load.latencies.len() as f64)),
                ("p50_us", micros(0.5)),
                ("p99_us", micros(0.99)),
                ("p999_us", micros(0.999)),
                ("p99_to_before", Json::optional(self.ratio(period, 0.99))),
                ("hit_ratio", Json::Number(load.hit_ratio())),
                ("redirections", Json::Number(load.redirections as f64)),
                ("errors", Json::Number(load.errors as f64)),
            ])
        };
        Json::Object(vec![
            ("periods", Json::List(PERIODS.map(period).into())),
            ("rounds", Json::List(self.rounds.iter().map(Round::to_json).collect())),
        ])
    }

    /// # Errors
    ///
    /// [`Error::Server`] if a request failed, a read missed, or a key was lost or is there twice.
    pub fn check(&self) -> Result<(), Error> {
        let loads = self.rounds.iter().flat_map(|round| &round.loads);
        let mut all = Load::default();
        loads.for_each(|load| all.merge(load));
        if let Some(text) = all.first_error {
            return Err(Error::Server(format!("{} requests failed, the first with: {text}", all.errors)));
        }
        if all.misses > 0 {
            return Err(Error::Server(format!("{} reads missed, though every key had been stored", all.misses)));
        }
        match self.rounds.iter().find(|round| round.keys_left != round.keys) {
            Some(round) => {
                Err(Error::Server(format!("of {} keys there are {} in the end", round.keys, round.keys_left)))
            }
            None => Ok(()),
        }
    }
}

impl Round {
    /// Keys that would have moved had every shard got exactly its share of them.
    fn ideal(&self) -> f64 {
        self.keys as f64 / (super::SHARDS + 1) as f64
    }

    fn to_text(&self) -> String {
        let Round { seconds, keys_moved, slots_moved, keys, keys_left, .. } = self;
        let share = *keys_moved as f64 / self.ideal();
        format!(
            "{} keys moved, {share:.3} of the ideal {}; {slots_moved} slots in {seconds:.1} s; {} of {} keys are there\n",
            table::grouped(*keys_moved as f64),
            table::grouped(self.ideal()),
            table::grouped(*keys_left as f64),
            table::grouped(*keys as f64)
        )
    }

    fn to_json(&self) -> Json {
        Json::Object(vec![
            ("seconds", Json::Number(self.seconds)),
            ("keys", Json::Number(self.keys as f64)),
            ("keys_left", Json::Number(self.keys_left as f64)),
            ("keys_moved", Json::Number(self.keys_moved as f64)),
            ("keys_ideal", Json::Number(self.ideal())),
            ("slots_moved", Json::Number(self.slots_moved as f64)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Operation;
    use std::time::Duration;

    fn options() -> Options {
        let base = Workload { key_count: 1000, ..Workload::standard(Operation::Get) };
        let (rate, set_share, time) = (100.0, 0.1, Duration::from_secs(1));
        let (server_cores, client_cores) = (Vec::new(), Vec::new());
        Options { larder: None, rounds: 1, base, rate, set_share, time, server_cores, client_cores, json: false }
    }

    /// A round whose latencies were a thousand times these, in nanoseconds.
    fn round(before: u64, moving: u64) -> Round {
        let mut loads: [Load; 4] = Default::default();
        loads.iter_mut().for_each(|load| load.hits = 10);
        loads[Period::Before as usize].latencies.record(before * 1000, 1);
        loads[Period::Moving as usize].latencies.record(moving * 1000, 1);
        Round { loads, seconds: 1.0, keys: 1000, keys_moved: 260, slots_moved: 4096, keys_left: 1000 }
    }

    #[test]
    fn ratios_are_medians_of_the_rounds() {
        let options = options();
        let rounds = [round(100, 200), round(100, 900), round(200, 600)];
        let report = Report { options: &options, rounds: &rounds };
        let ratio = report.ratio(Period::Moving, 0.99).unwrap();
        assert!((ratio - 3.0).abs() < 0.05, "{ratio}");
        assert!(
            report.to_text().contains("260 keys moved, 1.040 of the ideal 250; 4096 slots in 1.0 s"),
            "{}",
            report.to_text()
        );
        assert!(report.check().is_ok());
    }

    #[test]
    fn a_lost_key_a_miss_and_an_error_are_told() {
        let options = options();
        let told = |change: fn(&mut Round)| {
            let mut rounds = [round(1, 1), round(1, 1)];
            change(&mut rounds[1]);
            Report { options: &options, rounds: &rounds }.check().unwrap_err().to_string()
        };
        assert!(told(|round| round.keys_left = 999).contains("999 in the end"));
        assert!(told(|round| round.loads[2].misses = 1).contains("1 reads missed"));
        let failed = told(|round| {
            round.loads[2].errors = 2;
            round.loads[2].first_error = Some("CLUSTERDOWN".to_owned());
        });
        assert!(failed.contains("2 requests failed, the first with: CLUSTERDOWN"), "{failed}");
    }
}
