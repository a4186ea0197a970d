//! What the rounds showed, as tables or JSON.

use std::time::Duration;

use super::{
    GONE_MAX, Options, Round,
    probe::{Cause, Period},
};
use crate::{compare::Contestant, json::Json, table};

/// Sums over the rounds.
pub struct Report {
    head: String,
    servers: Vec<Server>,
}

struct Server {
    name: String,
    control: Period,
    expiry: Period,
    /// Of each round.
    gone_after: Vec<Option<Duration>>,
    resident: Vec<(u64, u64)>,
}

/// Late answers that are listed one by one.
const LISTED_MAX: usize = 12;

impl Report {
    pub fn new(options: &Options, contestants: &[Contestant]) -> Self {
        let head = format!(
            "{} keys with values of {} bytes expire within {} ms; one client sends GET after GET. {} rounds.\n\n",
            table::grouped(options.keys as f64),
            options.value_length,
            options.spread.as_millis(),
            options.rounds
        );
        let server = |contestant: &Contestant| Server {
            name: contestant.name.clone(),
            control: Period::default(),
            expiry: Period::default(),
            gone_after: Vec::new(),
            resident: Vec::new(),
        };
        Self { head, servers: contestants.iter().map(server).collect() }
    }

    pub fn add(&mut self, index: usize, round: Round) {
        let server = &mut self.servers[index];
        server.control.merge(round.control);
        server.expiry.merge(round.expiry);
        server.gone_after.push(round.gone_after);
        server.resident.push((round.resident_before, round.resident_after));
    }

    pub fn to_text(&self) -> String {
        let rows: Vec<Vec<String>> = self.servers.iter().flat_map(Server::rows).collect();
        let mut text = self.head.clone() + &table::render(&HEADER, &rows) + "\n";
        self.servers.iter().for_each(|server| server.tell(&mut text));
        text
    }

    pub fn to_json(&self) -> Json {
        Json::List(self.servers.iter().map(Server::to_json).collect())
    }
}

const HEADER: [&str; 14] = [
    "server",
    "period",
    "s",
    "answers",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "max us",
    ">1 ms",
    "client off",
    "server off",
    "server",
    "preempted",
    "stolen ms",
];

impl Server {
    fn periods(&self) -> [(&'static str, &Period); 2] {
        [("nothing expires", &self.control), ("expiry", &self.expiry)]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(name, period): (&str, &Period)| {
            let micros = |quantile| table::figure(Some(period.latencies.quantile(quantile) as f64 / 1e3));
            let mut row = vec![
                self.name.clone(),
                name.to_owned(),
                table::figure(Some(period.length.as_secs_f64())),
                table::grouped(period.latencies.len() as f64),
            ];
            row.extend([0.5, 0.99, 0.999].map(micros));
            row.push(table::figure(Some(period.latencies.max() as f64 / 1e3)));
            row.push(period.late.len().to_string());
            row.extend([Cause::Client, Cause::Core, Cause::Server].map(|cause| period.late_by(cause).to_string()));
            row.push(period.waits.preempted.to_string());
            row.push(period.stolen.as_millis().to_string());
            row
        };
        self.periods().map(row).into()
    }

    /// Says when memory was back, and lists the latest answers.
    fn tell(&self, text: &mut String) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        for (gone_after, &(before, after)) in self.gone_after.iter().zip(&self.resident) {
            let when = match gone_after {
                Some(time) => format!("memory was back {} ms after the last key's time", time.as_millis()),
                None => format!("memory was not back {} s after the last key's time", GONE_MAX.as_secs()),
            };
            text.push_str(&format!("{}: {when}: {:.0} MiB, then {:.0}\n", self.name, mib(before), mib(after)));
        }
        for (name, period) in self.periods() {
            let mut late = period.late.clone();
            late.sort_by_key(|late| std::cmp::Reverse(late.latency));
            for late in late.iter().take(LISTED_MAX) {
                text.push_str(&format!(
                    "{}, {name}: {:.2} ms at {:.3} s; client off its core {:.2} ms, server waiting for one {:.2} ms\n",
                    self.name,
                    late.latency.as_secs_f64() * 1e3,
                    late.at.as_secs_f64(),
                    late.client_off.as_secs_f64() * 1e3,
                    late.server_off.as_secs_f64() * 1e3,
                ));
            }
        }
    }

    fn to_json(&self) -> Json {
        let period = |period: &Period| {
            let micros = |quantile| Json::Number(period.latencies.quantile(quantile) as f64 / 1e3);
            let late = |cause| Json::Number(period.late_by(cause) as f64);
            Json::Object(vec![
                ("seconds", Json::Number(period.length.as_secs_f64())),
                ("answers", Json::Number(period.latencies.len() as f64)),
                ("p50_us", micros(0.5)),
                ("p99_us", micros(0.99)),
                ("p999_us", micros(0.999)),
                ("max_us", Json::Number(period.latencies.max() as f64 / 1e3)),
                ("late", Json::Number(period.late.len() as f64)),
                ("late_client_off", late(Cause::Client)),
                ("late_server_off", late(Cause::Core)),
                ("late_server", late(Cause::Server)),
                ("server_preempted", Json::Number(period.waits.preempted as f64)),
                ("server_wait_ms", Json::Number(period.waits.for_core.as_secs_f64() * 1e3)),
                ("stolen_ms", Json::Number(period.stolen.as_millis() as f64)),
            ])
        };
        let gone = |time: &Option<Duration>| Json::optional(time.map(|time| time.as_millis() as f64));
        Json::Object(vec![
            ("server", Json::text(&self.name)),
            ("control", period(&self.control)),
            ("expiry", period(&self.expiry)),
            ("memory_back_ms", Json::List(self.gone_after.iter().map(gone).collect())),
        ])
    }
}
