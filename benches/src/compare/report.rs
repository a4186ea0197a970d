//! What a comparison found: medians over the rounds, and medians of the ratios within each round.

use super::{scenario::Scenario, server::Contestant};
use crate::{json::Json, load::Measured, table};

/// One server, one scenario, one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Replies a second.
    pub ops: f64,
    /// Microseconds of the server's CPU time per reply.
    pub cpu: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    /// Microseconds of the generator's CPU time per reply.
    pub generator: f64,
    /// The share of their time that the generator's threads were busy.
    pub generator_busy: f64,
    /// Misses among the values that were read.
    pub missed: f64,
    pub errors: u64,
    pub first_error: Option<String>,
    pub unsent: u64,
}

impl Cell {
    /// The figures of a run by `threads` generator threads.
    pub fn of(measured: &Measured, threads: usize) -> Self {
        let outcome = &measured.outcome;
        let reads = outcome.tally.hits + outcome.tally.misses;
        Self {
            ops: outcome.rate(),
            cpu: measured.server_cpu_micros().unwrap_or(f64::NAN),
            p50: measured.latency_micros(0.5),
            p99: measured.latency_micros(0.99),
            p999: measured.latency_micros(0.999),
            generator: measured.generator_cpu_micros(),
            generator_busy: outcome.generator_cpu.as_secs_f64() / outcome.elapsed.as_secs_f64() / threads as f64,
            missed: outcome.tally.misses as f64 / reads.max(1) as f64,
            errors: outcome.tally.errors,
            first_error: outcome.tally.first_error.clone(),
            unsent: outcome.unsent,
        }
    }
}

/// A figure of a cell.
type Figure = fn(&Cell) -> f64;

/// The figures of the tables and of the JSON, in their order.
const FIGURES: [(&str, &str, Figure); 7] = [
    ("ops/s", "ops_per_second", |cell| cell.ops),
    ("CPU us/op", "server_cpu_us_per_op", |cell| cell.cpu),
    ("p50 us", "p50_us", |cell| cell.p50),
    ("p99 us", "p99_us", |cell| cell.p99),
    ("p99.9 us", "p999_us", |cell| cell.p999),
    ("gen us/op", "generator_cpu_us_per_op", |cell| cell.generator),
    ("gen busy", "generator_busy", |cell| cell.generator_busy),
];

/// Those whose ratios to the reference are shown.
const RATIOS: [(&str, &str, Figure); 3] = [
    ("ops/s", "ops_ratio", |cell| cell.ops),
    ("CPU", "cpu_ratio", |cell| cell.cpu),
    ("p99", "p99_ratio", |cell| cell.p99),
];

/// All cells of a comparison.
pub struct Report {
    contestants: Vec<Contestant>,
    scenarios: Vec<Scenario>,
    /// The name of the server that ratios are taken to.
    reference: &'static str,
    notes: Vec<String>,
    /// The rate at equal load, requests a second.
    pub rate: Option<f64>,
    /// Resident bytes per key: `[server][round]`.
    memory: Vec<Vec<Option<f64>>>,
    /// `[scenario][server][round]`; none where the server has no such command.
    cells: Vec<Vec<Vec<Option<Cell>>>>,
}

impl Report {
    pub fn new(
        contestants: &[Contestant],
        scenarios: &[Scenario],
        reference: &'static str,
        notes: Vec<String>,
    ) -> Self {
        Self {
            contestants: contestants.to_vec(),
            scenarios: scenarios.to_vec(),
            reference,
            notes,
            rate: None,
            memory: vec![Vec::new(); contestants.len()],
            cells: vec![vec![Vec::new(); contestants.len()]; scenarios.len()],
        }
    }

    /// Adds a round's resident bytes per key of a server.
    pub fn add_memory(&mut self, server: usize, bytes: Option<f64>) {
        self.memory[server].push(bytes);
    }

    /// Adds a round's cell; rounds are added in their order.
    pub fn add(&mut self, scenario: usize, server: usize, cell: Option<Cell>) {
        self.cells[scenario][server].push(cell);
    }

    fn reference_index(&self) -> Option<usize> {
        self.contestants.iter().position(|contestant| contestant.name == self.reference)
    }

    /// The median of a figure over the rounds.
    fn median(&self, scenario: usize, server: usize, figure: Figure) -> Option<f64> {
        table::median(self.cells[scenario][server].iter().flatten().map(figure).collect())
    }

    /// The median over the rounds of a figure's ratio to the reference in the same round.
    fn ratio(&self, scenario: usize, server: usize, figure: Figure) -> Option<f64> {
        let row = &self.cells[scenario];
        let pairs = row[server].iter().zip(&row[self.reference_index()?]);
        table::median(pairs.filter_map(|(own, other)| Some(figure(own.as_ref()?) / figure(other.as_ref()?))).collect())
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for contestant in &self.contestants {
            let version = contestant.version().unwrap_or_else(|| "version unknown".to_owned());
            text.push_str(&format!("{}: {version}\n", contestant.name));
        }
        text.push_str(&format!("\nmemory after the fill\n{}", self.memory_table()));
        for (index, scenario) in self.scenarios.iter().enumerate() {
            text.push_str(&format!("\n{}\n{}", scenario.title(self.rate), self.scenario_table(index)));
        }
        let notes: Vec<String> = self.notes.iter().cloned().chain(self.warnings()).collect();
        if !notes.is_empty() {
            text.push_str(&format!("\n{}\n", notes.join("\n")));
        }
        text
    }

    fn memory_median(&self, server: usize) -> Option<f64> {
        table::median(self.memory[server].iter().copied().flatten().collect())
    }

    fn memory_table(&self) -> String {
        let reference = self.reference_index().and_then(|index| self.memory_median(index));
        let rows: Vec<Vec<String>> = (0..self.contestants.len())
            .map(|server| {
                let bytes = self.memory_median(server);
                let ratio = bytes.zip(reference).map(|(own, other)| own / other);
                vec![self.contestants[server].name.clone(), table::figure(bytes), table::ratio(ratio)]
            })
            .collect();
        table::render(&["server", "bytes/key", &format!("/{}", self.reference)], &rows)
    }

    fn scenario_table(&self, scenario: usize) -> String {
        let ratios = RATIOS.map(|(name, ..)| format!("{name}/{}", self.reference));
        let mut header = vec!["server"];
        header.extend(FIGURES.map(|(name, ..)| name));
        header.extend(ratios.iter().map(String::as_str));
        let rows: Vec<Vec<String>> = (0..self.contestants.len())
            .map(|server| {
                let mut row = vec![self.contestants[server].name.clone()];
                for (name, _, figure) in FIGURES {
                    row.push(shown(name, self.median(scenario, server, figure)));
                }
                row.extend(RATIOS.map(|(.., figure)| table::ratio(self.ratio(scenario, server, figure))));
                row
            })
            .collect();
        table::render(&header, &rows)
    }

    /// What makes a figure doubtful.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (scenario, row) in self.scenarios.iter().zip(&self.cells) {
            for (contestant, rounds) in self.contestants.iter().zip(row) {
                let cells = || rounds.iter().flatten();
                let at = format!("{}, {}", scenario.name, contestant.name);
                let errors: u64 = cells().map(|cell| cell.errors).sum();
                if let Some(first) = cells().find_map(|cell| cell.first_error.as_ref()) {
                    warnings.push(format!("{at}: {errors} error replies; the first: {first}"));
                }
                let missed = cells().map(|cell| cell.missed).fold(0.0, f64::max);
                if missed > 0.001 {
                    warnings.push(format!("{at}: up to {:.1} % of the reads were misses", missed * 100.0));
                }
                let unsent: u64 = cells().map(|cell| cell.unsent).sum();
                if unsent > 0 {
                    warnings.push(format!("{at}: did not keep up; {unsent} requests that were due were not sent"));
                }
            }
        }
        warnings
    }

    /// The report with the figures of every round.
    pub fn to_json(&self) -> Json {
        let scenarios = self.scenarios.iter().enumerate().map(|(index, scenario)| {
            let servers = (0..self.contestants.len()).map(|server| self.cell_json(index, server)).collect();
            Json::Object(vec![
                ("name", Json::text(scenario.name)),
                ("title", Json::text(scenario.title(self.rate))),
                ("servers", Json::List(servers)),
            ])
        });
        let scenarios = scenarios.collect();
        let servers = (0..self.contestants.len()).map(|server| self.server_json(server)).collect();
        let notes = self.notes.iter().cloned().chain(self.warnings()).map(Json::Text).collect();
        Json::Object(vec![
            ("reference", Json::text(self.reference)),
            ("equal_load_rate", Json::optional(self.rate)),
            ("servers", Json::List(servers)),
            ("scenarios", Json::List(scenarios)),
            ("notes", Json::List(notes)),
        ])
    }

    fn server_json(&self, server: usize) -> Json {
        let Contestant { name, command, .. } = &self.contestants[server];
        let version = self.contestants[server].version().map_or(Json::Null, Json::Text);
        let rounds = self.memory[server].iter().map(|&bytes| Json::optional(bytes)).collect();
        Json::Object(vec![
            ("name", Json::text(name)),
            ("version", version),
            ("command", Json::text(command.join(" "))),
            ("bytes_per_key", Json::optional(self.memory_median(server))),
            ("bytes_per_key_rounds", Json::List(rounds)),
        ])
    }

    fn cell_json(&self, scenario: usize, server: usize) -> Json {
        let mut members = vec![("name", Json::text(&self.contestants[server].name))];
        members.extend(FIGURES.map(|(_, key, figure)| (key, Json::optional(self.median(scenario, server, figure)))));
        members.extend(RATIOS.map(|(_, key, figure)| (key, Json::optional(self.ratio(scenario, server, figure)))));
        let round = |cell: &Option<Cell>| match cell {
            Some(cell) => Json::Object(FIGURES.map(|(_, key, figure)| (key, Json::Number(figure(cell)))).into()),
            None => Json::Null,
        };
        members.push(("rounds", Json::List(self.cells[scenario][server].iter().map(round).collect())));
        Json::Object(members)
    }
}

fn shown(name: &str, figure: Option<f64>) -> String {
    match (name, figure) {
        ("ops/s", Some(number)) => table::grouped(number),
        ("gen busy", Some(number)) => format!("{:.0}%", number * 100.0),
        (_, figure) => table::figure(figure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::scenario;

    fn cell(ops: f64, cpu: f64) -> Option<Cell> {
        Some(Cell {
            ops,
            cpu,
            p50: 1.0,
            p99: 2.0,
            p999: 3.0,
            generator: 1.0,
            generator_busy: 0.5,
            missed: 0.0,
            errors: 0,
            first_error: None,
            unsent: 0,
        })
    }

    fn report() -> Report {
        let servers = ["redis=a {port}", "other=b {port}"].map(|text| Contestant::parse(text).unwrap());
        Report::new(&servers, &scenario::ALL[..1], "redis", Vec::new())
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut report = report();
        // The machine is ten times slower in the second round; the ratio of the medians would be another.
        for (redis, other) in [(100.0, 200.0), (10.0, 30.0), (90.0, 180.0)] {
            report.add(0, 0, cell(redis, 1.0));
            report.add(0, 1, cell(other, 0.5));
        }
        assert_eq!(report.median(0, 1, |cell| cell.ops), Some(180.0));
        assert_eq!(report.ratio(0, 1, |cell| cell.ops), Some(2.0));
        assert_eq!(report.ratio(0, 1, |cell| cell.cpu), Some(0.5));
    }

    #[test]
    fn a_server_without_the_command_has_dashes() {
        let mut report = report();
        report.add(0, 0, cell(100.0, 1.0));
        report.add(0, 1, None);
        assert_eq!(report.ratio(0, 1, |cell| cell.ops), None);
        let table = report.scenario_table(0);
        assert_eq!(
            table.lines().last().unwrap().split_whitespace().collect::<Vec<_>>(),
            [&["other"][..], &["-"; 10]].concat()
        );
    }

    #[test]
    fn doubtful_figures_are_pointed_out() {
        let mut report = report();
        let doubtful = Cell {
            missed: 0.25,
            errors: 3,
            first_error: Some("ERR no".to_owned()),
            unsent: 7,
            ..cell(1.0, 1.0).unwrap()
        };
        report.add(0, 0, Some(doubtful));
        let warnings = report.warnings().join("\n");
        for part in ["25.0 %", "3 error replies; the first: ERR no", "7 requests"] {
            assert!(warnings.contains(part), "{warnings}");
        }
    }
}
