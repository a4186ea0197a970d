//! The verb `elements`: what an element of a collection costs in memory, in Larder and in Redis.
//!
//! Each figure is the growth of a fresh server's memory, by collections of one type and one size, over the number of elements: the
//! keys and all overhead are in it. The collections grow side by side, an element at a time, as they do in use.

use std::path::PathBuf;

use crate::{
    ask::used_memory,
    compare::{Contestant, Running, larder_program},
    engine::{Pace, Plan},
    error::Error,
    fill,
    json::Json,
    keys::Choice,
    progress::Progress,
    table,
    workload::{Operation, Score, Workload},
};

/// What the flags of `elements` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    /// Elements in all, for each figure.
    pub elements: u64,
    /// Parts of names of types; all types if there are none.
    pub types: Vec<String>,
    pub form: Form,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Markdown,
    Json,
}

/// What is filled: a name, what an element is, and the command that adds one.
const TYPES: [(&str, Operation); 6] = [
    ("hash", Operation::Hset),
    ("set", Operation::Sadd),
    ("sorted set, whole scores", Operation::Zadd { score: Score::Whole }),
    ("sorted set, fractions", Operation::Zadd { score: Score::Fraction }),
    ("list", Operation::Lpush),
    ("stream", Operation::Xadd { trimmed: false }),
];

/// Elements of a collection.
const SIZES: [u64; 3] = [10, 1_000, 1_000_000];

const VALUE_LENGTH: usize = 16;

/// Bytes per element.
#[derive(Clone, Copy, Debug)]
struct Cost {
    resident: f64,
    used: f64,
}

/// A type at a size, in both servers.
struct Row {
    name: &'static str,
    size: u64,
    larder: Cost,
    redis: Cost,
}

/// Fills, measures, prints.
pub fn run(options: &Options) -> Result<(), Error> {
    let larder = Contestant::larder("larder", &larder_program(options.larder.as_deref())?, 1);
    let redis = Contestant::redis();
    let mut progress = Progress::new();
    let mut rows = Vec::new();
    for (name, operation) in chosen(&options.types)? {
        for size in SIZES.map(|size| size.min(options.elements)) {
            progress.say(&format!("{name}, {size} elements"));
            let cost = |contestant| cost(contestant, operation, size, options.elements / size);
            rows.push(Row { name, size, larder: cost(&larder)?, redis: cost(&redis)? });
        }
    }
    drop(progress);
    match options.form {
        Form::Text => print!("{}", to_text(&rows)),
        Form::Markdown => print!("{}", to_markdown(&rows)),
        Form::Json => println!("{}", Json::List(rows.iter().map(Row::to_json).collect())),
    }
    Ok(())
}

fn chosen(filters: &[String]) -> Result<Vec<(&'static str, Operation)>, Error> {
    let fits = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let chosen: Vec<_> = TYPES.into_iter().filter(|(name, _)| fits(name)).collect();
    match chosen.is_empty() {
        true => Err(Error::Usage(format!("there are the types {}", TYPES.map(|(name, _)| name).join("; ")))),
        false => Ok(chosen),
    }
}

/// Fills a fresh server with so many collections of the size.
fn cost(contestant: &Contestant, operation: Operation, size: u64, collections: u64) -> Result<Cost, Error> {
    let server = Running::start(contestant, None)?;
    let used = || used_memory(server.address()).map_err(Error::io("cannot ask for used_memory"));
    let workload = Workload {
        key_count: collections,
        members: size,
        value_length: VALUE_LENGTH,
        choice: Choice::InTurn,
        ..Workload::standard(operation)
    };
    let plan = Plan {
        address: server.address(),
        workload,
        connections: 1,
        depth: 100,
        pace: Pace::Closed,
        threads: 1,
        cores: Vec::new(),
        seed: 1,
    };
    let before = used()?;
    let filled = fill::fill(&plan, Some(server.pid()), None)?;
    let grown = used()?.saturating_sub(before) as f64;
    let resident = filled.bytes_per_key().unwrap_or(f64::NAN);
    Ok(Cost { resident, used: grown / filled.keys as f64 })
}

const HEADER: [&str; 8] =
    ["type", "elements", "resident: Larder", "Redis", "ratio", "used_memory: Larder", "Redis", "ratio"];

impl Row {
    fn resident_ratio(&self) -> f64 {
        self.larder.resident / self.redis.resident
    }

    fn used_ratio(&self) -> f64 {
        self.larder.used / self.redis.used
    }

    fn cells(&self) -> Vec<String> {
        let bytes = |number: f64| format!("{number:.1}");
        let ratio = |number: f64| format!("{number:.2}");
        vec![
            self.name.to_owned(),
            table::grouped(self.size as f64).replace('_', " "),
            bytes(self.larder.resident),
            bytes(self.redis.resident),
            ratio(self.resident_ratio()),
            bytes(self.larder.used),
            bytes(self.redis.used),
            ratio(self.used_ratio()),
        ]
    }

    fn to_json(&self) -> Json {
        Json::Object(vec![
            ("type", Json::text(self.name)),
            ("size", Json::Number(self.size as f64)),
            ("larder_resident", Json::Number(self.larder.resident)),
            ("redis_resident", Json::Number(self.redis.resident)),
            ("resident_ratio", Json::Number(self.resident_ratio())),
            ("larder_used", Json::Number(self.larder.used)),
            ("redis_used", Json::Number(self.redis.used)),
            ("used_ratio", Json::Number(self.used_ratio())),
        ])
    }
}

fn to_text(rows: &[Row]) -> String {
    table::render(&HEADER, &rows.iter().map(Row::cells).collect::<Vec<_>>())
}

fn to_markdown(rows: &[Row]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADER.map(str::to_owned));
    text.push_str(&format!("|---|{}\n", "---:|".repeat(HEADER.len() - 1)));
    text.extend(rows.iter().map(|row| line(&row.cells())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let cost = |resident, used| Cost { resident, used };
        Row { name: "set", size: 1_000_000, larder: cost(20.0, 18.0), redis: cost(80.0, 72.0) }
    }

    #[test]
    fn a_row_has_both_costs_and_their_ratios() {
        assert_eq!(row().cells(), ["set", "1 000 000", "20.0", "80.0", "0.25", "18.0", "72.0", "0.25"]);
    }

    #[test]
    fn markdown_has_a_column_for_each_heading() {
        let text = to_markdown(&[row()]);
        assert!(text.lines().all(|line| line.matches('|').count() == HEADER.len() + 1), "{text}");
    }

    #[test]
    fn filters_choose_types_by_parts_of_their_names() {
        assert_eq!(chosen(&["sorted".to_owned()]).unwrap().len(), 2);
        assert_eq!(chosen(&[]).unwrap().len(), TYPES.len());
        assert!(chosen(&["tree".to_owned()]).is_err());
    }
}
