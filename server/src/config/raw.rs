//! What the user wrote: every value with its place, before anything is checked.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::near;
use super::table::{Effect, Id, Setting};
use super::words;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a configuration file; lines count from 1.
    File {
        path: Arc<PathBuf>,
        line: usize,
        key: String,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// As a flag of this name, without its dashes.
    Flag(String),
}

impl Origin {
    /// Files yield to variables, and these to flags.
    pub fn rank(&self) -> u8 {
        match self {
            Origin::File { .. } => 0,
            Origin::Variable(_) => 1,
            Origin::Flag(_) => 2,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line, key } => write!(out, "{}:{line}: {key}", path.display()),
            Origin::Variable(name) => out.write_str(name),
            Origin::Flag(name) => write!(out, "--{name}"),
        }
    }
}

/// One value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The setting.
    pub id: Id,
    /// Its words; one empty word if it was set to nothing.
    pub words: Vec<String>,
    /// Where.
    pub origin: Origin,
}

/// The two notations of configuration files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Larder's own.
    Toml,
    /// Redis's.
    RedisConf,
}

/// The file a node was started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its path, as given.
    pub path: PathBuf,
    /// Its notation.
    pub format: Format,
}

/// Everything the user wrote, weakest first, so that of two entries the later one holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The configuration file, unless there was none or it came through the standard input.
    pub file: Option<ConfigFile>,
}

impl Raw {
    /// The entries of one setting, weakest first.
    pub fn of(&self, id: Id) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.id == id)
    }

    /// Where the value that holds comes from; nothing if it is the default.
    pub fn origin(&self, id: Id) -> Option<&Origin> {
        self.of(id).next_back().map(|entry| &entry.origin)
    }
}

/// What one source gave: its entries, and what was wrong with it or odd about it.
#[derive(Debug, Default)]
pub struct Reading {
    /// What could be read.
    pub entries: Vec<Entry>,
    /// What could not.
    pub wrong: Vec<Wrong>,
    /// What is worth a line in the log.
    pub notices: Vec<String>,
}

impl Reading {
    /// Takes over what another source gave.
    pub fn append(&mut self, mut other: Reading) {
        self.entries.append(&mut other.entries);
        self.wrong.append(&mut other.wrong);
        self.notices.append(&mut other.notices);
    }
}

/// Something the user wrote that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where, such as `node.toml:3: memory.maxmemory`.
    pub place: String,
    /// What is wrong with it, as a sentence without its end.
    pub problem: String,
    /// What would be right.
    pub remedy: Option<String>,
}

impl Wrong {
    /// Something with a place and a problem alone.
    pub fn new(place: impl fmt::Display, problem: impl Into<String>) -> Wrong {
        Wrong {
            place: place.to_string(),
            problem: problem.into(),
            remedy: None,
        }
    }

    /// A name that is no setting's. `prefix` is put before the nearest name, as `--` for flags.
    pub fn unknown(place: impl fmt::Display, name: &str, prefix: &str) -> Wrong {
        let names = Id::all().flat_map(|id| id.row().names());
        let remedy = near::nearest(name, names).map(|near| format!("did you mean {prefix}{near}?"));
        Wrong {
            remedy,
            ..Wrong::new(place, "there is no such setting")
        }
    }

    /// A value that its setting does not accept.
    pub fn value(entry: &Entry, problem: &str) -> Wrong {
        let row = entry.id.row();
        let found = if row.secret {
            "a secret".to_owned()
        } else {
            format!("'{}'", entry.words.join(" "))
        };
        Wrong {
            place: entry.origin.to_string(),
            problem: format!("found {found}: {problem}"),
            remedy: Some(format!("allowed: {}", row.allowed())),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.problem)?;
        match &self.remedy {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl Setting {
    /// What is allowed, for people; of a setting that must keep its default, the default.
    pub fn allowed(&self) -> String {
        match self.effect {
            Effect::DefaultOnly => format!("'{}' alone. {}", self.kind.default_text(), self.doc),
            _ => self.kind.allowed(),
        }
    }
}

/// Parts a text that stands for all words of a setting, as in a variable, a flag or a TOML string.
pub fn words_of(id: Id, text: &str) -> Result<Vec<String>, &'static str> {
    if !id.row().kind.takes_words() || text.is_empty() {
        return Ok(vec![text.to_owned()]);
    }
    words::split(text).ok_or("unbalanced quotes")
}

/// Reads the variables that begin with `LARDER_`.
///
/// An empty variable counts as not set, since that is how templates of containers leave one out. One that is no
/// setting's is noticed, not refused: Kubernetes makes `LARDER_SERVICE_HOST`, `LARDER_PORT=tcp://...` and more for a
/// service that is called `larder`.
pub fn variables(env: impl Iterator<Item = (OsString, OsString)>) -> (Reading, Option<OsString>) {
    let (mut reading, mut file) = (Reading::default(), None);
    for (name, value) in env {
        let Some(name) = name.to_str().filter(|name| name.starts_with("LARDER_")) else {
            continue;
        };
        match name {
            _ if value.is_empty() => {}
            "LARDER_CONFIG" => file = Some(value),
            name => variable(name, value, &mut reading),
        }
    }
    // The order of an environment is nobody's choice.
    reading.entries.sort_by_key(|entry| entry.id);
    (reading, file)
}

fn variable(name: &str, value: OsString, reading: &mut Reading) {
    let id = Id::all().find(|id| id.row().names().any(|known| Setting::variable(known) == name));
    let text = value.to_str();
    match (id, text) {
        (Some(_), Some(text)) if name == "LARDER_PORT" && text.starts_with("tcp://") => reading.notices.push(format!(
            "{name}={text} is passed over: it looks like what Kubernetes sets for a service called larder"
        )),
        (Some(id), Some(text)) => {
            let origin = Origin::Variable(name.to_owned());
            match words_of(id, text) {
                Ok(words) => reading.entries.push(Entry { id, words, origin }),
                Err(problem) => reading.wrong.push(Wrong::new(origin, problem)),
            }
        }
        (Some(_), None) => reading.wrong.push(Wrong::new(name, "its value is not UTF-8")),
        (None, _) if name.starts_with("LARDER_SERVICE_") || name.starts_with("LARDER_PORT_") => {}
        (None, _) => reading.notices.push(unknown_variable(name)),
    }
}

fn unknown_variable(name: &str) -> String {
    let names: Vec<String> = Id::all()
        .flat_map(|id| id.row().names())
        .map(Setting::variable)
        .collect();
    match near::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("{name} is passed over: there is no such setting; did you mean {near}?"),
        None => format!("{name} is passed over: there is no such setting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Reading {
        variables(pairs.iter().map(|(name, value)| (name.into(), value.into()))).0
    }

    #[test]
    fn variables_name_settings() {
        let reading = read(&[
            ("HOME", "/root"),
            ("LARDER_SAVE", "900 1"),
            ("LARDER_PORT", "7000"),
            ("LARDER_DIR", ""),
        ]);
        let found: Vec<_> = reading
            .entries
            .iter()
            .map(|entry| (entry.id.row().name, entry.words.join("|")))
            .collect();
        assert_eq!(found, [("port", "7000".to_owned()), ("save", "900|1".to_owned())]);
        assert!(reading.wrong.is_empty() && reading.notices.is_empty());
    }

    #[test]
    fn unknown_variables_are_noticed() {
        let text = "LARDER_MAXMEMROY is passed over: there is no such setting; did you mean LARDER_MAXMEMORY?";
        assert_eq!(read(&[("LARDER_MAXMEMROY", "1gb")]).notices, [text]);
    }

    #[test]
    fn variables_of_kubernetes_do_no_harm() {
        let reading = read(&[
            ("LARDER_PORT", "tcp://10.0.0.7:6379"),
            ("LARDER_PORT_6379_TCP_ADDR", "10.0.0.7"),
            ("LARDER_SERVICE_HOST", "10.0.0.7"),
        ]);
        assert!(reading.entries.is_empty() && reading.wrong.is_empty());
        assert_eq!(reading.notices.len(), 1);
    }

    #[test]
    fn unbalanced_quotes_in_a_variable_are_wrong() {
        let wrong = read(&[("LARDER_BIND", "\"127.0.0.1")]).wrong;
        assert_eq!(wrong[0].to_string(), "LARDER_BIND: unbalanced quotes");
    }

    #[test]
    fn the_variable_of_the_file_is_no_setting() {
        let (reading, file) = variables([("LARDER_CONFIG".into(), "a.toml".into())].into_iter());
        assert!(reading.notices.is_empty());
        assert_eq!(file, Some("a.toml".into()));
    }
}
