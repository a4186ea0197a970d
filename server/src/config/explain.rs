//! What `larder config explain` prints, and the page `docs/configuration.md`.

use std::fmt::Write;

use super::checked::Values;
use super::kind::Kind;
use super::memory;
use super::raw::{Raw, Wrong};
use super::table::{self, Change, Effect, Id, SETTINGS, Setting};
use super::value::Value;
use crate::base::json::json_text;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// A text for people, with colours that can be taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed(String);

impl Printed {
    /// A text that may hold ANSI colours.
    pub fn styled(text: String) -> Printed {
        Printed(text)
    }

    /// The text, with its colours for a terminal and without for everything else.
    pub fn text(&self, colour: bool) -> String {
        if colour { self.0.clone() } else { without_colour(&self.0) }
    }
}

/// Takes out the sequences `ESC [ ... letter`.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

/// Prints all settings, or the one of that name.
///
/// # Errors
///
/// A [`Wrong`] if there is no such setting.
pub fn explain(name: Option<&str>, json: bool, values: &Values, raw: &Raw) -> Result<Printed, Wrong> {
    let id = match name {
        Some(name) => Some(table::find(name).ok_or_else(|| Wrong::unknown(name, name, ""))?),
        None => None,
    };
    Ok(Printed(match (id, json) {
        (Some(id), true) => json_object(id, values, raw) + "\n",
        (None, true) => json_array(values, raw),
        (Some(id), false) => one(id, values, raw),
        (None, false) => all(values, raw),
    }))
}

impl Setting {
    /// The default for people, with its unit.
    pub fn default_shown(&self) -> String {
        with_unit(self, &self.kind.default_text())
    }

    fn value_shown(&self, value: &Value) -> String {
        match value {
            Value::Text(text) if self.secret && !text.is_empty() => "(hidden)".to_owned(),
            // A share of the machine is no round number.
            Value::Memory(bytes) if *bytes >= 1 << 20 && !bytes.is_multiple_of(1 << 20) => {
                format!("{bytes} ({})", memory::rounded(*bytes))
            }
            value => with_unit(self, &value.short_text()),
        }
    }
}

fn with_unit(row: &Setting, text: &str) -> String {
    match row.kind {
        _ if text.is_empty() => "\"\"".to_owned(),
        Kind::Whole { unit, .. } if !unit.name().is_empty() => format!("{text} {}", unit.name()),
        _ => text.to_owned(),
    }
}

fn source(id: Id, raw: &Raw) -> String {
    raw.origin(id).map_or("default".to_owned(), ToString::to_string)
}

fn change(row: &Setting) -> &'static str {
    match row.change {
        Change::Live => "CONFIG SET",
        Change::Protected => "CONFIG SET, once enable-protected-configs allows it",
        Change::Restart => "restart",
    }
}

fn effect(row: &Setting) -> Option<&'static str> {
    match row.effect {
        Effect::Works => None,
        Effect::Ignored => Some("accepted, without effect"),
        Effect::DefaultOnly => Some("accepted with its default alone"),
    }
}

/// The tables in the order of their first rows.
fn tables() -> Vec<&'static str> {
    let mut tables: Vec<&str> = Vec::new();
    for row in SETTINGS {
        if !tables.contains(&row.table) {
            tables.push(row.table);
        }
    }
    tables
}

fn rows_of(table: &'static str) -> impl Iterator<Item = Id> {
    Id::all().filter(move |id| id.row().table == table)
}

/// Three columns; what was set is green, what was not is dim.
fn all(values: &Values, raw: &Raw) -> String {
    let names = Id::all().map(|id| id.row().name.len()).max().unwrap_or(0);
    let shown = |id: Id| id.row().value_shown(values.get(id));
    let widths = Id::all().map(|id| shown(id).chars().count()).filter(|width| *width <= 40).max().unwrap_or(0);
    let mut out = String::new();
    for table in tables() {
        let about = if table == "redis" { "  Redis's own, without effect here" } else { "" };
        put(&mut out, format_args!("{BOLD}[{table}]{PLAIN}{DIM}{about}{PLAIN}\n"));
        for id in rows_of(table) {
            let colour = if raw.origin(id).is_some() { GREEN } else { DIM };
            let (name, value, source) = (id.row().name, shown(id), source(id, raw));
            put(&mut out, format_args!("  {CYAN}{name:names$}{PLAIN}  {value:widths$}  {colour}{source}{PLAIN}\n"));
        }
        out.push('\n');
    }
    put(
        &mut out,
        format_args!("{DIM}larder config explain NAME tells what a setting is for and what is allowed.{PLAIN}\n"),
    );
    out
}

fn one(id: Id, values: &Values, raw: &Raw) -> String {
    let row = id.row();
    let mut out = String::new();
    put(&mut out, format_args!("{BOLD}{CYAN}{}{PLAIN}\n{}\n\n", row.name, row.doc));
    let mut line = |title: &str, text: &str| put(&mut out, format_args!("  {DIM}{title:<10}{PLAIN}{text}\n"));
    line("value", &row.value_shown(values.get(id)));
    line("from", &source(id, raw));
    line("default", &row.default_shown());
    line("allowed", &row.allowed());
    line("change by", change(row));
    if let Some(effect) = effect(row) {
        line("effect", effect);
    }
    line("file", &format!("[{}] {}", row.table, row.key()));
    line("flag", &format!("--{}", row.name));
    line("variable", &Setting::variable(row.name));
    if !row.aliases.is_empty() {
        line("also", &row.aliases.join(", "));
    }
    out
}

fn json_array(values: &Values, raw: &Raw) -> String {
    let objects: Vec<String> = Id::all().map(|id| json_object(id, values, raw)).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

fn json_object(id: Id, values: &Values, raw: &Raw) -> String {
    let row = id.row();
    let secret = row.secret && !values.get(id).text().is_empty();
    let value = if secret { "null".to_owned() } else { json_text(&values.get(id).text()) };
    let unit = match row.kind {
        Kind::Whole { unit, .. } => unit.name(),
        Kind::Memory { .. } | Kind::MemoryOfMachine { .. } | Kind::MemoryOrPercent => "bytes",
        _ => "",
    };
    let aliases: Vec<String> = row.aliases.iter().map(|alias| json_text(alias)).collect();
    let fields = [
        ("name", json_text(row.name)),
        ("value", value),
        ("unit", json_text(unit)),
        ("from", json_text(&source(id, raw))),
        ("default", json_text(&row.kind.default_text())),
        ("allowed", json_text(&row.allowed())),
        ("live", (row.change == Change::Live).to_string()),
        ("works", (row.effect == Effect::Works).to_string()),
        ("table", json_text(row.table)),
        ("variable", json_text(&Setting::variable(row.name))),
        ("aliases", format!("[{}]", aliases.join(","))),
        ("doc", json_text(row.doc)),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The page of all settings.
pub fn page() -> String {
    let mut out = String::from(PAGE_HEAD);
    for table in tables() {
        put(&mut out, format_args!("\n## `[{table}]`\n\n"));
        if table == "redis" {
            out.push_str(PAGE_REDIS);
            rows_of(table).for_each(|id| page_idle_row(&mut out, id.row()));
        } else {
            rows_of(table).for_each(|id| page_row(&mut out, id.row()));
        }
    }
    out
}

fn page_row(out: &mut String, row: &Setting) {
    put(out, format_args!("### `{}`\n{}\n\n", row.name, row.doc));
    put(
        out,
        format_args!("* default: {}\n* allowed: {}\n", markdown(&row.default_shown()), markdown(&row.kind.allowed())),
    );
    put(out, format_args!("* change by: {}\n* variable: `{}`\n", change(row), Setting::variable(row.name)));
    if !row.aliases.is_empty() {
        put(out, format_args!("* also: `{}`\n", row.aliases.join("`, `")));
    }
    out.push('\n');
}

fn page_idle_row(out: &mut String, row: &Setting) {
    let names: Vec<&str> = row.names().collect();
    let effect = if row.effect == Effect::DefaultOnly { "other values are refused" } else { "no effect" };
    put(out, format_args!("| `{}` | {} | {effect} | {} |\n", names.join("`, `"), row.default_shown(), row.doc));
}

/// The text with the letters escaped that mean something in Markdown.
fn markdown(text: &str) -> String {
    text.replace('*', "\\*").replace('|', "\\|")
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

const PAGE_HEAD: &str = "\
# Settings

<!-- Written from the rows of server/src/config/table.rs by `UPDATE_DOCS=1 cargo test`. -->

Every setting can be given in four places. Of two that disagree, the one further up counts:

1. a flag: `--maxmemory 2gb` (Redis's ways work too: `--save \"\"`, `--bind 127.0.0.1 10.0.0.1`)
2. an environment variable: `LARDER_MAXMEMORY=2gb`; an empty one counts as not set
3. a configuration file: `larder node.toml`, `larder redis.conf`, or `LARDER_CONFIG=node.toml`
4. the default

`larder config explain` prints what a node would run with and where each value comes from; `--json` does so for programs.

In a `node.toml` a setting stands in its table under its own name, or at the top of the file:

```toml
[network]
port = 6379
bind = [\"127.0.0.1\", \"-::1\"]

[memory]
maxmemory = \"2gb\"

[clients.client-output-buffer-limit]
normal = \"1gb 0 0\"
```

Amounts of memory are plain bytes or have a unit: `k` is 1000 and `kb` 1024, and so on with `m`, `mb`, `g` and `gb`.
A file that is not called `*.toml` is taken for a `redis.conf` unless it looks like TOML.
";

const PAGE_REDIS: &str = "\
Redis has these, so files, flags and `CONFIG GET` know them here too. They change nothing; the log says so at the start
for those that are set to something else than their default.

| Setting | Default | Effect | Why |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::machine::Machine;
    use crate::config::raw::{Entry, Origin};

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    fn printed(name: Option<&str>, json: bool) -> Printed {
        let mut values = Values::defaults(&MACHINE);
        let id = table::find("port").unwrap();
        values.set(id, Value::Whole(7000));
        values.set(table::find("requirepass").unwrap(), Value::Text("geheim".to_owned()));
        let entry = Entry { id, words: vec!["7000".to_owned()], origin: Origin::Variable("LARDER_PORT".to_owned()) };
        let raw = Raw { entries: vec![entry], file: None };
        explain(name, json, &values, &raw).unwrap()
    }

    #[test]
    fn the_list_has_every_setting_and_its_source() {
        let text = printed(None, false).text(false);
        for row in SETTINGS {
            assert!(text.contains(row.name), "{}", row.name);
        }
        let port = text.lines().find(|line| line.trim_start().starts_with("port ")).unwrap();
        assert_eq!(port.split_whitespace().collect::<Vec<_>>(), ["port", "7000", "LARDER_PORT"]);
        let memory = text.lines().find(|line| line.trim_start().starts_with("maxmemory ")).unwrap();
        assert_eq!(memory.split_whitespace().collect::<Vec<_>>(), ["maxmemory", "6gb", "default"]);
        assert!(!text.contains("geheim") && !text.contains('\x1b'));
        assert!(printed(None, false).text(true).contains('\x1b'));
    }

    #[test]
    fn one_setting_is_explained_in_full() {
        let text = printed(Some("TIMEOUT"), false).text(false);
        for part in ["0 seconds", "default", "CONFIG SET", "[network] timeout", "--timeout", "LARDER_TIMEOUT"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = printed(Some("appendonly"), false).text(false);
        assert!(text.contains("accepted, without effect"), "{text}");
    }

    #[test]
    fn json_is_for_programs() {
        let text = printed(Some("port"), true).text(false);
        assert!(text.starts_with(r#"{"name":"port","value":"7000","unit":"","from":"LARDER_PORT","default":"6379","#));
        let all = printed(None, true).text(false);
        assert_eq!(all.matches("\"name\":").count(), SETTINGS.len());
        assert!(all.contains(r#"{"name":"requirepass","value":null,"#) && !all.contains("geheim"));
    }

    #[test]
    fn unknown_settings_have_a_neighbour() {
        let wrong = explain(Some("maxmemroy"), false, &Values::defaults(&MACHINE), &Raw::default()).unwrap_err();
        assert_eq!(wrong.to_string(), "maxmemroy: there is no such setting; did you mean maxmemory?");
    }

    #[test]
    fn the_page_follows_the_rows() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, page()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page(), "docs/configuration.md is out of date: run UPDATE_DOCS=1 cargo test -p larder");
    }
}
