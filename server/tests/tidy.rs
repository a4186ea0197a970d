//! Reads the sources and keeps what `ARCHITECTURE.md` promises: rooms use the rooms below them, third-party crates have
//! doors, waiting happens at the edge, and no file is left half done.
//!
//! It looks at words, not at types: comments and the insides of literals are blanked, and what is left is searched for
//! paths. So it can be deceived, but not by accident.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the server, and what each may use: rooms, and `client` for the package `larder-client`. Calls go down.
///
/// Modules that are not listed stand beside `main` and wire rooms together; they may use everything.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("types", &["base"]),
    // `client` for the one thing a server and its clients must agree upon: `store/hash` asks it for a key's slot.
    ("store", &["base", "types", "client"]),
    ("persist", &["base", "types", "store", "client"]),
    ("observe", &["base", "types", "store", "client"]),
    ("rules", &["base"]),
    ("config", &["base", "rules"]),
    ("repl", &["base"]),
    ("cluster", &["base", "types", "client"]),
    ("command", &["base", "types", "store", "persist", "observe", "config", "repl", "cluster", "rules", "client"]),
    ("net", &["base", "client", "repl", "cluster", "command", "observe"]),
    (
        "node",
        &["base", "types", "store", "persist", "observe", "config", "repl", "cluster", "command", "net", "client"],
    ),
    ("launch", &["base", "persist", "config", "command", "node", "progress", "client"]),
];

/// Where something may be awaited. All other rooms of the server run to their end once they are called.
const AWAITING: &[&str] = &["net", "node", "launch"];

/// Lines of a file without its unit tests. A longer one has more than one idea.
const LINES_MAX: usize = 900;

/// Files that may be longer, since they are lists of rows.
const LISTS: &[&str] = &["server/src/config/table.rs"];

/// The packages of the workspace.
const PACKAGES: &[&str] = &["server", "client", "benches", "tests"];

#[test]
fn rooms_use_the_rooms_below_them() {
    let mut found = Findings::default();
    for source in sources().iter().filter(|source| source.room().is_some()) {
        let own = source.room().expect("just seen");
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == own) else { continue };
        for (line, used) in source.rooms_used() {
            if used != own && !allowed.contains(&used.as_str()) {
                let allowed = if allowed.is_empty() { "no other room".to_owned() } else { allowed.join(", ") };
                found.add(source, line, format!("`{own}` uses `{used}`; it may use: {allowed}"));
            }
        }
    }
    found.report("A closure or a channel that `node` hands in can travel up; a call may not (ROOMS in this file).");
}

#[test]
fn every_folder_of_the_server_is_a_room() {
    let folders = fs::read_dir(root().join("server/src")).expect("the sources are there").flatten();
    let mut unknown: Vec<String> = folders
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !ROOMS.iter().any(|(room, _)| room == name))
        .collect();
    unknown.sort();
    assert!(unknown.is_empty(), "these rooms have no row in ROOMS that says what they may use: {unknown:?}");
}

#[test]
fn third_party_crates_are_named_at_their_doors_alone() {
    let mut found = Findings::default();
    let sources = sources();
    for dependency in dependencies(&mut found) {
        let Doors::At(doors) = &dependency.doors else { continue };
        let is_inside =
            |source: &Source, door: &str| source.module == door || source.module.starts_with(&format!("{door}/"));
        let mut used = vec![false; doors.len()];
        let mut is_named = false;
        for source in &sources {
            for line in source.naming(&dependency.name) {
                is_named = true;
                match doors.iter().position(|door| is_inside(source, door)) {
                    Some(door) => used[door] = true,
                    None => found.add(
                        source,
                        line,
                        format!("names `{}`; its doors are: {}", dependency.name, doors.join(", ")),
                    ),
                }
            }
        }
        for (door, _) in doors.iter().zip(used).filter(|(_, used)| is_named && !used) {
            let name = &dependency.name;
            found.add_at("Cargo.toml", dependency.line, format!("`{door}` is a door of `{name}` but does not name it"));
        }
    }
    found.report(
        "Doors stand in the comment above a dependency in the workspace's Cargo.toml: ``Doors: `package/module`.``",
    );
}

#[test]
fn dependencies_are_declared_in_the_workspace() {
    let mut found = Findings::default();
    for package in PACKAGES {
        let file = format!("{package}/Cargo.toml");
        for (line, text) in dependency_lines(&read(&file), |table| table.ends_with("dependencies")) {
            if !text.contains(".workspace = true") {
                found.add_at(&file, line, format!("`{text}` is not `NAME.workspace = true`"));
            }
        }
    }
    found.report("A dependency is declared once, with its reason and its doors, in the workspace's Cargo.toml.");
}

#[test]
fn nothing_waits_but_the_edge() {
    let mut found = Findings::default();
    for source in sources().iter().filter(|source| source.file.starts_with("server/src/")) {
        if AWAITING.contains(&source.top()) {
            continue;
        }
        for word in ["async", "await"] {
            for line in source.lines_with_word(word) {
                found.add(source, line, format!("`{word}`; it is allowed in: {}", AWAITING.join(", ")));
            }
        }
    }
    found.report("A handler that must wait returns `Done::Wait` and is run again; no lock is held over a wait.");
}

#[test]
fn nothing_is_left_half_done() {
    let mut found = Findings::default();
    for source in &sources() {
        for half_done in ["todo!", "unimplemented!", "dbg!"] {
            let word = half_done.trim_end_matches('!');
            for line in source.lines_with_word(word) {
                if source.line(line).contains(half_done) {
                    found.add(source, line, format!("`{half_done}`"));
                }
            }
        }
        for (line, _) in source.code_lines().filter(|(_, text)| text.contains("#[ignore]")) {
            found.add(
                source,
                line,
                "`#[ignore]` without a reason; write #[ignore = \"why, and how to run it\"]".into(),
            );
        }
    }
    found.report("What is not finished is not committed.");
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut found = Findings::default();
    for source in sources().iter().filter(|source| !source.text.starts_with("//!")) {
        let first = source.text.lines().next().unwrap_or_default();
        found.add(source, 1, format!("begins with `{first}` and not with a `//!` comment"));
    }
    found.report("A file opens with what it is for.");
}

#[test]
fn files_have_one_idea() {
    let mut found = Findings::default();
    for source in sources().iter().filter(|source| !source.is_test() && !LISTS.contains(&source.file.as_str())) {
        let lines = source.lines_without_tests();
        if lines > LINES_MAX {
            found.add(source, LINES_MAX + 1, format!("{lines} lines beside its unit tests; {LINES_MAX} are allowed"));
        }
    }
    found.report("A new idea gets a new file; a list of rows may be named in LISTS.");
}

// --- what is found

#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, source: &Source, line: usize, text: String) {
        self.add_at(&source.file, line, text);
    }

    fn add_at(&mut self, file: &str, line: usize, text: String) {
        let _ = writeln!(self.0, "  {file}:{line}: {text}");
    }

    /// Fails with everything that was found, and with what is asked instead.
    #[track_caller]
    fn report(self, advice: &str) {
        assert!(self.0.is_empty(), "\n{}{advice}\n", self.0);
    }
}

// --- dependencies

struct Dependency {
    /// As it stands in paths: with underscores.
    name: String,
    /// Where it stands in the workspace's manifest.
    line: usize,
    doors: Doors,
}

enum Doors {
    /// Modules as [`Source::module`] has them; a room's name stands for all that is in it.
    At(Vec<String>),
    Anywhere,
}

/// The third-party crates of the workspace, each with the doors that the comment above it names last.
fn dependencies(found: &mut Findings) -> Vec<Dependency> {
    let manifest = read("Cargo.toml");
    let lines: Vec<&str> = manifest.lines().collect();
    let mut all = Vec::new();
    for (line, text) in dependency_lines(&manifest, |table| table == "workspace.dependencies") {
        if text.contains("path = ") {
            continue;
        }
        let name = text.split([' ', '=', '.']).next().unwrap_or_default();
        let comment: Vec<&str> = lines[..line - 1].iter().rev().map_while(|line| line.strip_prefix('#')).collect();
        let comment: String = comment.into_iter().rev().collect();
        match doors(&comment) {
            Some(doors) => all.push(Dependency { name: name.replace('-', "_"), line, doors }),
            None => found.add_at("Cargo.toml", line, format!("the comment above `{name}` names no door")),
        }
    }
    all
}

fn doors(comment: &str) -> Option<Doors> {
    let (_, doors) = comment.split_once("Door: ").or_else(|| comment.split_once("Doors: "))?;
    if doors.starts_with("anywhere") {
        return Some(Doors::Anywhere);
    }
    let named: Vec<String> = doors.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    (!named.is_empty()).then_some(Doors::At(named))
}

/// The dependencies in those tables of a manifest that `is_asked` says, with their lines.
fn dependency_lines(manifest: &str, is_asked: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut all = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        } else if is_asked(&table) && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            all.push((index + 1, line.to_owned()));
        }
    }
    all
}

// --- sources

struct Source {
    /// From the root of the workspace.
    file: String,
    /// The package and the module, such as `server/store/lock`; `server` alone for a crate's root. A file outside of
    /// `src` has its folder: `tests/tests/strings`.
    module: String,
    text: String,
    /// The text with comments and the insides of literals blanked, line by line as long as it.
    code: String,
}

impl Source {
    fn read(file: String) -> Source {
        let text = read(&file);
        let code = blanked(&text);
        Source { module: module(&file), file, text, code }
    }

    /// The first part of the module's path inside its package.
    fn top(&self) -> &str {
        self.module.split('/').nth(1).unwrap_or_default()
    }

    /// The room of the server that the file belongs to.
    fn room(&self) -> Option<&str> {
        let is_listed = |room: &&str| ROOMS.iter().any(|(name, _)| name == room);
        Some(self.top()).filter(|_| self.file.starts_with("server/src/")).filter(is_listed)
    }

    /// Numbered from 1.
    fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn line(&self, number: usize) -> &str {
        self.code.lines().nth(number - 1).unwrap_or_default()
    }

    fn lines_with_word(&self, word: &str) -> Vec<usize> {
        self.code_lines()
            .filter(|(_, line)| words(line).any(|(_, found)| found == word))
            .map(|(line, _)| line)
            .collect()
    }

    /// The lines that name a crate: its name at the front of a path, or alone behind `use`.
    fn naming<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        let names = move |line: &str| {
            words(line).any(|(at, word)| {
                let (before, after) = (line[..at].trim_end(), &line[at + word.len()..]);
                let is_first = !before.ends_with("::") && !before.ends_with('.');
                word == name && is_first && (after.starts_with("::") || before.ends_with("use"))
            })
        };
        self.code_lines().filter(move |(_, line)| names(line)).map(|(line, _)| line)
    }

    /// The rooms that paths lead to, by `crate::`, or by enough `super::`; `client` for its package.
    fn rooms_used(&self) -> Vec<(usize, String)> {
        let mut used: Vec<(usize, String)> = self.naming("larder_client").map(|line| (line, "client".into())).collect();
        let mut inline = Vec::new();
        for (number, line) in self.code_lines() {
            let indent = line.len() - line.trim_start().len();
            if inline.last() == Some(&indent) && line.trim() == "}" {
                inline.pop();
            }
            let depth = self.module.matches('/').count() + inline.len();
            used.extend(rooms_in(line, depth).map(|room| (number, room)));
            let is_module = words(line).any(|(_, word)| word == "mod") && line.ends_with('{');
            if is_module {
                inline.push(indent);
            }
        }
        used
    }

    /// Whether the file holds nothing but tests.
    fn is_test(&self) -> bool {
        self.file.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    fn lines_without_tests(&self) -> usize {
        let tests = "\n#[cfg(test)]\nmod tests {";
        self.code.find(tests).map_or(self.code.as_str(), |at| &self.code[..at]).lines().count()
    }
}

/// The rooms named in a line of a module that lies so deep in its crate.
fn rooms_in(line: &str, depth: usize) -> impl Iterator<Item = String> {
    words(line).filter_map(move |(at, word)| {
        let path = &line[at..];
        let supers = path.split("::").take_while(|part| *part == "super").count();
        let is_first = !line[..at].ends_with("::");
        let rest = match word {
            "crate" if is_first => path.strip_prefix("crate::")?,
            "super" if is_first && supers >= depth => &path[supers * "super::".len()..],
            _ => return None,
        };
        // A group of rooms in one `use` would hide them from a reader too.
        let room =
            if rest.starts_with('{') { Some("a group of rooms in braces") } else { words(rest).next().map(|w| w.1) };
        room.map(str::to_owned)
    })
}

/// The words of a line of code, with their places.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    line.split(move |letter| !is_part(letter))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
}

fn module(file: &str) -> String {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let path = path.replacen("/src", "", 1);
    path.strip_suffix("/lib").unwrap_or(&path).to_owned()
}

/// The code with spaces in place of comments and of what stands inside of literals. Lines stay where they are.
fn blanked(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hidden = if code.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') { 0 } else { hidden_len(rest) };
        let len = hidden.max(first.len_utf8());
        if hidden == 0 {
            code.push(first);
        } else {
            let blank = |letter: char| if letter == '\n' || letter == '"' { letter } else { ' ' };
            code.extend(rest[..len].chars().map(blank));
        }
        rest = &rest[len..];
    }
    code
}

/// Bytes of the comment or literal at the front of the text; 0 if there is none.
fn hidden_len(text: &str) -> usize {
    let to = |end: Option<usize>| end.unwrap_or(text.len());
    if text.starts_with("//") {
        return to(text.find('\n'));
    }
    if text.starts_with("/*") {
        return to(text.find("*/").map(|at| at + 2));
    }
    if text.starts_with('\'') || text.starts_with("b'") {
        return char_len(text);
    }
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    if prefix > 1 {
        return 0;
    }
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", &raw[..hashes]);
        let Some(inside) = raw[hashes..].strip_prefix('"') else { return 0 };
        return to(inside.find(&end).map(|at| text.len() - inside.len() + at + end.len()));
    }
    match body.strip_prefix('"') {
        Some(inside) => to(closing(inside, '"').map(|at| text.len() - inside.len() + at + 1)),
        None => 0,
    }
}

/// Bytes of the character at the front of the text; 0 if it is a lifetime.
fn char_len(text: &str) -> usize {
    let inside = text.trim_start_matches('b').get(1..).unwrap_or_default();
    let mut letters = inside.chars();
    let is_char = matches!((letters.next(), letters.next()), (Some('\\'), _) | (Some(_), Some('\'')));
    let end = closing(inside, '\'').filter(|_| is_char);
    end.map_or(0, |at| text.len() - inside.len() + at + 1)
}

/// Where a literal ends: at the first such mark that no backslash precedes.
fn closing(inside: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, letter)| {
        let is_end = letter == mark && !escaped;
        escaped = letter == '\\' && !escaped;
        is_end.then_some(at)
    })
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    PACKAGES.iter().for_each(|package| collect(&root().join(package), &mut files));
    files.sort();
    let named =
        files.into_iter().map(|file| file.strip_prefix(root()).expect("inside").to_string_lossy().replace('\\', "/"));
    let sources: Vec<Source> = named.map(Source::read).collect();
    assert!(sources.len() > 100, "the sources are somewhere else");
    sources
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a package's folder can be read").flatten() {
        let path = entry.path();
        // A folder with a manifest is a package of its own, outside of the workspace.
        if path.is_dir() && !path.ends_with("target") && !path.join("Cargo.toml").exists() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

// --- this file's own tests

#[test]
fn comments_and_literals_are_blanked() {
    for (text, code) in [
        ("a // crate::net", "a              "),
        ("a /* b\nc */ d", "a     \n     d"),
        ("f(\"crate::x\", 1)", "f(\"        \", 1)"),
        (r##"r#"a"b"# + c"##, "  \" \" \"  + c"),
        (r"'\'' + b'x' + &'a str", "     +      + &'a str"),
        (r#""\\" x"#, "\"  \" x"),
        ("for r in b {}", "for r in b {}"),
    ] {
        assert_eq!(blanked(text), code, "{text}");
    }
}

#[test]
fn paths_lead_to_rooms() {
    let rooms = |line: &str, depth| rooms_in(line, depth).collect::<Vec<_>>();
    assert_eq!(rooms("use crate::base::number;", 2), ["base"]);
    assert_eq!(rooms("let x = crate::store::Key { place: crate::net::y() };", 2), ["store", "net"]);
    assert_eq!(rooms("use super::super::store::Key;", 2), ["store"]);
    assert_eq!(rooms("use super::words::Words;", 2), [""; 0]);
    assert_eq!(rooms("pub(crate) fn f() {}", 2), [""; 0]);
    assert_eq!(rooms("use crate::{base, net};", 2), ["a group of rooms in braces"]);
}

#[test]
fn files_are_modules() {
    assert_eq!(module("server/src/store/mod.rs"), "server/store");
    assert_eq!(module("server/src/store/lock.rs"), "server/store/lock");
    assert_eq!(module("server/src/lib.rs"), "server");
    assert_eq!(module("tests/tests/strings.rs"), "tests/tests/strings");
    assert_eq!(module("tests/src/client.rs"), "tests/client");
}
