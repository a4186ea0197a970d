//! Reading a `node.toml`, and writing changed settings back into one. The door to the `toml` crate.
//!
//! A setting stands in its table under its own name (`[memory]`, `maxmemory = "2gb"`), or at the top of the file. Amounts
//! of memory are strings with a unit or plain bytes; switches are `true` and `false`, or Redis's `"yes"` and `"no"`;
//! settings of several words are arrays, or strings as in a `redis.conf`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::near;
use super::raw::{Entry, Origin, Reading, Wrong, words_of};
use super::table::{self, Id, SETTINGS};
use super::value::Value;

/// Reads the text of the file at `path`.
pub fn read(path: &Path, text: &str) -> Reading {
    let reader = Reader { path: Arc::new(path.to_owned()), text };
    let mut reading = Reading::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = reader.line(error.span().map_or(0, |span| span.start));
        let problem = format!("this is not TOML: {}", error.message());
        reading.wrong.push(Wrong::new(format_args!("{}:{line}", path.display()), problem));
    }
    // What follows from a syntax error would only hide it.
    if reading.wrong.is_empty() {
        reader.document(document.get_ref(), &mut reading);
    }
    // Entries come in the order of their keys; people expect that of the lines.
    reading.entries.sort_by_key(|entry| line_of(&entry.origin));
    reading
}

fn line_of(origin: &Origin) -> usize {
    match origin {
        Origin::File { line, .. } => *line,
        _ => 0,
    }
}

fn is_table(name: &str) -> bool {
    SETTINGS.iter().any(|row| row.table == name)
}

struct Reader<'a> {
    path: Arc<PathBuf>,
    text: &'a str,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn origin(&self, at: usize, key: String) -> Origin {
        Origin::File { path: Arc::clone(&self.path), line: self.line(at), key }
    }

    fn document(&self, document: &DeTable<'_>, reading: &mut Reading) {
        for (key, value) in document {
            let name: &str = key.get_ref();
            let origin = self.origin(key.span().start, name.to_owned());
            match (value.get_ref(), table::find(name)) {
                (DeValue::Array(items), Some(id)) if id.row().kind.is_of_tables() => self.rules(id, items, reading),
                (_, Some(id)) => take(id, value.get_ref(), origin, reading),
                (DeValue::Table(rows), None) if is_table(name) => self.table(name, rows, reading),
                (DeValue::Table(_), None) => reading.wrong.push(unknown_table(origin, name)),
                (_, None) => reading.wrong.push(Wrong::unknown(origin, name, "")),
            }
        }
    }

    /// Tables of one name, such as `[[rule]]`: each is a value of its own.
    fn rules(&self, id: Id, items: &[Spanned<DeValue<'_>>], reading: &mut Reading) {
        for item in items {
            let origin = self.origin(item.span().start, id.row().name.to_owned());
            let DeValue::Table(rows) = item.get_ref() else {
                take(id, item.get_ref(), origin, reading);
                continue;
            };
            let of = |name: &str| rows.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value.get_ref());
            let Some(DeValue::String(prefix)) = of("prefix") else {
                reading.wrong.push(Wrong::new(origin, "a rule needs a prefix, such as prefix = \"user:\""));
                continue;
            };
            let fields = rows.iter().filter(|(key, _)| key.get_ref() != "prefix");
            let fields = flattened(fields.map(|(key, value)| match words(id, value.get_ref()) {
                Ok(words) => Ok(vec![key.get_ref().to_string(), words.join(" ")]),
                Err(problem) => Err(format!("{}: {problem}", key.get_ref())),
            }));
            match fields {
                Ok(fields) => {
                    let words = [vec![prefix.to_string()], fields].concat();
                    reading.entries.push(Entry { id, words, origin });
                }
                Err(problem) => reading.wrong.push(Wrong::new(origin, problem)),
            }
        }
    }

    fn table(&self, table: &str, rows: &DeTable<'_>, reading: &mut Reading) {
        for (key, value) in rows {
            let name: &str = key.get_ref();
            let origin = self.origin(key.span().start, format!("{table}.{name}"));
            match table::find(&format!("{table}.{name}")).or_else(|| table::find(name)) {
                Some(id) if id.row().table == table => take(id, value.get_ref(), origin, reading),
                Some(id) => {
                    let problem = format!("this setting belongs in the table [{}]", id.row().table);
                    reading.wrong.push(Wrong::new(origin, problem));
                }
                None => reading.wrong.push(Wrong::unknown(origin, name, "")),
            }
        }
    }
}

fn unknown_table(origin: Origin, name: &str) -> Wrong {
    let near = near::nearest(name, SETTINGS.iter().map(|row| row.table));
    let remedy = near.map(|near| format!("did you mean [{near}]?"));
    Wrong { remedy, ..Wrong::new(origin, "there is no such table") }
}

fn take(id: Id, value: &DeValue<'_>, origin: Origin, reading: &mut Reading) {
    match words(id, value) {
        Ok(words) => reading.entries.push(Entry { id, words, origin }),
        Err(problem) => {
            let remedy = Some(format!("allowed: {}", id.row().allowed()));
            reading.wrong.push(Wrong { remedy, ..Wrong::new(origin, problem) });
        }
    }
}

/// The words that a value stands for.
fn words(id: Id, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let many = id.row().kind.takes_words();
    match value {
        DeValue::String(text) => Ok(words_of(id, text)?),
        DeValue::Integer(integer) => Ok(vec![decimal(integer)?]),
        DeValue::Float(float) => Ok(vec![float.as_str().to_owned()]),
        DeValue::Boolean(on) => Ok(vec![if *on { "yes" } else { "no" }.to_owned()]),
        DeValue::Array(items) if many => match items.is_empty() {
            true => Ok(vec![String::new()]),
            false => flattened(items.iter().map(|item| words(id, item.get_ref()))),
        },
        DeValue::Table(rows) if many => flattened(rows.iter().map(|(key, item)| {
            let mut group = vec![key.get_ref().to_string()];
            group.extend(words(id, item.get_ref())?);
            Ok(group)
        })),
        DeValue::Array(_) => Err("found an array where one value is expected".to_owned()),
        DeValue::Table(_) => Err("found a table where one value is expected".to_owned()),
        DeValue::Datetime(_) => Err("found a date".to_owned()),
    }
}

fn flattened(groups: impl Iterator<Item = Result<Vec<String>, String>>) -> Result<Vec<String>, String> {
    Ok(groups.collect::<Result<Vec<_>, _>>()?.concat())
}

fn decimal(integer: &DeInteger<'_>) -> Result<String, String> {
    let number = i64::from_str_radix(integer.as_str(), integer.radix());
    number.map(|number| number.to_string()).map_err(|_| "found a number that does not fit in 64 bits".to_owned())
}

/// The text with the settings in `changes` set to their values; every other line and all comments stay.
///
/// Returns nothing if the text is not TOML, or is written in a way that the change cannot be made without harm. The
/// caller reads the result back and compares.
pub fn rewrite(text: &str, changes: &[(Id, Value)]) -> Option<String> {
    let mut text = text.to_owned();
    for (id, value) in changes {
        text = set(&text, *id, &literal(value))?;
    }
    Some(text)
}

/// Sets one value: in its place if it has one, else as a new line of its table.
fn set(text: &str, id: Id, literal: &str) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    if let Some(place) = place_of(document.get_ref(), id) {
        return Some([&text[..place.start], literal, &text[place.end..]].concat());
    }
    let (table, key) = (id.row().table, id.row().key());
    let present = document.get_ref().iter().any(|(name, _)| name.get_ref() == table);
    match header_of(text, table) {
        Some(line) => Some(with_line_after(text, section_end(text, line), &format!("{key} = {literal}"))),
        // Written inline or with dotted keys: a table cannot be opened twice, but the top of the file takes any setting.
        None if present => Some(format!("{} = {literal}\n{text}", id.row().name)),
        None => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            Some(format!("{text}{gap}\n[{table}]\n{key} = {literal}\n"))
        }
    }
}

/// Where the value of a setting stands: at the top, or in its table.
fn place_of(document: &DeTable<'_>, id: Id) -> Option<Range<usize>> {
    let row = id.row();
    let named = |(key, _): &(&Spanned<_>, &Spanned<DeValue<'_>>), name: &str| {
        let key: &std::borrow::Cow<'_, str> = key.get_ref();
        key.eq_ignore_ascii_case(name)
    };
    let at_top = document.iter().find(|pair| row.names().any(|name| named(pair, name)));
    let in_table = || {
        let (_, table) = document.iter().find(|pair| named(pair, row.table))?;
        let table = table.get_ref().as_table()?;
        table.iter().find(|pair| named(pair, row.key()) || row.names().any(|name| named(pair, name)))
    };
    let (_, value) = at_top.or_else(in_table)?;
    Some(value.span())
}

/// The number of the line that is the header of a table.
fn header_of(text: &str, table: &str) -> Option<usize> {
    text.lines().position(|line| {
        let name = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']'));
        name.is_some_and(|(name, rest)| {
            name.trim() == table && (rest.trim().is_empty() || rest.trim().starts_with('#'))
        })
    })
}

/// The last line that says something in the section under a header.
fn section_end(text: &str, header: usize) -> usize {
    let section = text.lines().enumerate().skip(header + 1).take_while(|(_, line)| !line.trim_start().starts_with('['));
    section
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'))
        .last()
        .map_or(header, |(at, _)| at)
}

fn with_line_after(text: &str, at: usize, line: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(at + 1, line);
    lines.join("\n") + "\n"
}

/// A value as TOML.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Switch(on) => on.to_string(),
        Value::Whole(number) => number.to_string(),
        Value::OutputLimits(limits) => {
            let groups = limits.classes().map(|(class, limit)| {
                let (hard, soft) = (Value::Memory(limit.hard).short_text(), Value::Memory(limit.soft).short_text());
                quoted(&format!("{class} {hard} {soft} {}", limit.soft_seconds))
            });
            format!("[{}]", groups.join(", "))
        }
        Value::SavePoints(points) => {
            let groups: Vec<String> = points.iter().map(|point| quoted(&point.words().join(" "))).collect();
            format!("[{}]", groups.join(", "))
        }
        Value::Choices(_) | Value::Addresses(_) => {
            let words: Vec<String> = value.words().iter().map(|word| quoted(word)).collect();
            format!("[{}]", words.join(", "))
        }
        Value::Rules(rules) => {
            let lines: Vec<String> = rules.iter().map(|rule| quoted(&rule.line())).collect();
            format!("[{}]", lines.join(", "))
        }
        Value::Percentiles(percentiles) => {
            let numbers: Vec<String> = percentiles.iter().map(f64::to_string).collect();
            format!("[{}]", numbers.join(", "))
        }
        Value::Memory(_) | Value::Percent(_) | Value::Choice(_) | Value::Text(_) | Value::Events(_) => {
            quoted(&value.short_text())
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::machine::Machine;

    fn parse(text: &str) -> Reading {
        read(Path::new("node.toml"), text)
    }

    fn found(text: &str) -> Vec<(&'static str, String)> {
        let reading = parse(text);
        assert!(reading.wrong.is_empty(), "{:?}", reading.wrong);
        reading.entries.iter().map(|entry| (entry.id.row().name, entry.words.join("|"))).collect()
    }

    fn wrong(text: &str) -> Vec<String> {
        parse(text).wrong.iter().map(Wrong::to_string).collect()
    }

    #[test]
    fn settings_stand_in_tables_or_at_the_top() {
        let text = "timeout = 0x10\n[network]\nport = 7_000\nbind = [\"127.0.0.1\", \"-::1\"]\n\
                    [memory]\nmaxmemory = \"2gb\"\n[node]\ndata-dir = \"/var\"\n[redis]\nappendonly = false\n";
        let expected = [
            ("timeout", "16"),
            ("port", "7000"),
            ("bind", "127.0.0.1|-::1"),
            ("maxmemory", "2gb"),
            ("dir", "/var"),
            ("appendonly", "no"),
        ];
        assert_eq!(found(text), expected.map(|(name, words)| (name, words.to_owned())));
        assert_eq!(parse(text).entries[1].origin.to_string(), "node.toml:3: network.port");
    }

    #[test]
    fn words_may_be_written_in_several_ways() {
        for text in [
            "save = \"900 1 60 10\"",
            "save = [\"900 1\", \"60 10\"]",
            "save = [[900, 1], [60, 10]]",
            "save = [900, 1, 60, 10]",
        ] {
            assert_eq!(found(text), [("save", "900|1|60|10".to_owned())], "{text}");
        }
        assert_eq!(found("save = []"), [("save", String::new())]);
        let limits = "[clients.client-output-buffer-limit]\nnormal = \"1gb 0 0\"\npubsub = [\"32mb\", 0, 0]";
        assert_eq!(found(limits), [("client-output-buffer-limit", "normal|1gb|0|0|pubsub|32mb|0|0".to_owned())]);
    }

    #[test]
    fn mistakes_are_all_reported_with_their_lines() {
        let text =
            "prot = 1\n[memroy]\n[memory]\nmaxmemroy = 1\nport = 7000\n[network]\nport = [1]\ntimeout = 1979-05-27\n";
        let mut found = wrong(text);
        found.sort();
        assert_eq!(
            found,
            [
                "node.toml:1: prot: there is no such setting; did you mean port?",
                "node.toml:2: memroy: there is no such table; did you mean [memory]?",
                "node.toml:4: memory.maxmemroy: there is no such setting; did you mean maxmemory?",
                "node.toml:5: memory.port: this setting belongs in the table [network]",
                "node.toml:7: network.port: found an array where one value is expected; allowed: 1 to 65535",
                "node.toml:8: network.timeout: found a date; allowed: 0 to 2147483647 seconds",
            ]
        );
    }

    #[test]
    fn broken_toml_names_the_line() {
        let found = wrong("port = 1\nbind = \"abc\n");
        assert!(found[0].starts_with("node.toml:2: this is not TOML: "), "{}", found[0]);
    }

    fn rewritten(text: &str, name: &str, value: Value) -> String {
        rewrite(text, &[(table::find(name).unwrap(), value)]).unwrap()
    }

    #[test]
    fn a_rewrite_keeps_what_the_user_wrote() {
        let text = "# mine\n[network]\nport = 7000 # the port\n\n[memory]\n# much\nmaxmemory = \"1gb\"  # enough\n";
        let text = rewritten(text, "maxmemory", Value::Memory(5 << 20));
        let text = rewritten(&text, "timeout", Value::Whole(4));
        let text = rewritten(&text, "maxclients", Value::Whole(7));
        assert_eq!(
            text,
            "# mine\n[network]\nport = 7000 # the port\ntimeout = 4\n\n[memory]\n# much\nmaxmemory = \"5mb\"  # enough\n\n\
             [clients]\nmaxclients = 7\n"
        );
    }

    #[test]
    fn a_rewrite_finds_other_ways_to_write_a_table() {
        let dotted = rewritten("network.port = 7000\n", "timeout", Value::Whole(4));
        assert_eq!(dotted, "timeout = 4\nnetwork.port = 7000\n");
        let inline = rewritten("network = { port = 7000 }\n", "port", Value::Whole(4));
        assert_eq!(inline, "network = { port = 4 }\n");
    }

    #[test]
    fn what_a_rewrite_adds_reads_back() {
        let machine = Machine { memory: 1 << 33, cores: 3 };
        for id in Id::all() {
            let value = id.row().kind.default(&machine);
            let text = rewrite("", &[(id, value.clone())]).unwrap();
            let reading = parse(&text);
            assert!(reading.wrong.is_empty(), "{text}: {:?}", reading.wrong);
            let words: Vec<&str> = reading.entries[0].words.iter().map(String::as_str).collect();
            assert_eq!(id.row().kind.check(&words, &value, &machine), Ok(value), "{text}");
        }
    }
}
