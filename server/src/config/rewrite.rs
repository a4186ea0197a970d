//! `CONFIG REWRITE`: brings the configuration file up to what the node runs with.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::checked::{self, Values};
use super::machine::Machine;
use super::raw::{ConfigFile, Format, Origin, Raw, Reading};
use super::table::Id;
use super::value::Value;
use super::{redis_conf, toml_file};

/// A refusal of `CONFIG REWRITE`. The file is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteFault {
    /// The node was started without a file.
    NoFile,
    /// The file could not be read or written, or cannot say what it must.
    Failed(String),
}

impl fmt::Display for RewriteFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RewriteFault::NoFile => out.write_str("ERR The server is running without a config file"),
            RewriteFault::Failed(why) => write!(out, "ERR Rewriting config file: {why}"),
        }
    }
}

impl std::error::Error for RewriteFault {}

impl From<io::Error> for RewriteFault {
    fn from(error: io::Error) -> RewriteFault {
        RewriteFault::Failed(error.to_string())
    }
}

/// Reads a configuration file's text in its notation.
pub fn read_text(file: &ConfigFile, text: &str) -> Reading {
    match file.format {
        Format::Toml => toml_file::read(&file.path, text),
        Format::RedisConf => redis_conf::read(&file.path, text),
    }
}

/// Rewrites the file so that with the machine's defaults it gives `now`. `started` are the values the node started
/// with, and `raw` tells which of them came from variables.
pub fn rewrite(
    file: &ConfigFile,
    raw: &Raw,
    started: &Values,
    now: &Values,
    machine: &Machine,
) -> Result<(), RewriteFault> {
    let text = match fs::read_to_string(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let said = values_of(file, &text, machine)?;
    let changes: Vec<(Id, Value)> = Id::all()
        .filter(|id| now.get(*id) != said.get(*id))
        .filter(|id| !matches!(raw.origin(*id), Some(Origin::Variable(_))) || now.get(*id) != started.get(*id))
        .map(|id| (id, now.get(id).clone()))
        .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let new = match file.format {
        Format::RedisConf => redis_conf::rewrite(&text, &changes),
        Format::Toml => toml_file::rewrite(&text, &changes).ok_or_else(unfit)?,
    };
    // The file is the user's: what cannot be read back as meant must not replace it.
    let back = values_of(file, &new, machine)?;
    let meant = |id: Id| changes.iter().find(|(changed, _)| *changed == id).map_or(said.get(id), |(_, value)| value);
    match Id::all().all(|id| back.get(id) == meant(id)) {
        true => Ok(replace(&file.path, &new)?),
        false => Err(unfit()),
    }
}

fn values_of(file: &ConfigFile, text: &str, machine: &Machine) -> Result<Values, RewriteFault> {
    let reading = read_text(file, text);
    let raw = Raw { entries: reading.entries, file: None };
    let (values, wrong) = checked::check(&raw, machine);
    match reading.wrong.iter().chain(&wrong).next() {
        Some(wrong) => Err(RewriteFault::Failed(wrong.to_string())),
        None => Ok(values),
    }
}

fn unfit() -> RewriteFault {
    RewriteFault::Failed("the change does not fit into the file as it is written; please edit it by hand".to_owned())
}

/// Replaces a file at once: readers see the old text or the new, also after a crash. Links are followed and the
/// permissions kept.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let target = fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_synced(&temporary, &target, text).and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write_synced(temporary: &Path, target: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    if let Ok(old) = fs::metadata(target) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::checked::Config;
    use crate::config::live::Live;
    use crate::config::raw::Entry;
    use crate::config::table;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    /// A configuration file that goes with the test.
    struct Written(ConfigFile);

    impl Written {
        fn new(name: &str, format: Format, text: &str) -> Written {
            let path = std::env::temp_dir().join(format!("larder-rewrite-{}-{name}", std::process::id()));
            fs::write(&path, text).unwrap();
            Written(ConfigFile { path, format })
        }

        fn start(&self, more: Vec<Entry>) -> Live {
            let mut entries = read_text(&self.0, &self.text()).entries;
            entries.extend(more);
            let raw = Raw { entries, file: Some(self.0.clone()) };
            let (values, wrong) = checked::check(&raw, &MACHINE);
            assert!(wrong.is_empty(), "{wrong:?}");
            Live::new(&Config::new(values), raw, MACHINE)
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.0.path).unwrap()
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            drop(fs::remove_file(&self.0.path));
        }
    }

    fn set(live: &Live, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        live.set(&words, true, &mut |_| Ok(())).unwrap();
    }

    fn entry(name: &str, word: &str, origin: Origin) -> Entry {
        Entry { id: table::find(name).unwrap(), words: vec![word.to_owned()], origin }
    }

    #[test]
    fn a_redis_conf_is_brought_up_to_date() {
        let file =
            Written::new("a.conf", Format::RedisConf, "# mine\nmaxmemory 1gb\nsave 900 1\nsave 60 10\nport 7000\n");
        let live = file.start(Vec::new());
        set(&live, &["maxmemory", "2gb", "save", "5 5", "timeout", "9", "hash-max-ziplist-value", "1000"]);
        live.rewrite().unwrap();
        assert_eq!(
            file.text(),
            "# mine\nmaxmemory 2gb\nsave 5 5\nport 7000\n\n# Generated by CONFIG REWRITE\ntimeout 9\n\
             hash-max-listpack-value 1000\n"
        );
    }

    #[test]
    fn a_toml_file_is_brought_up_to_date() {
        let file = Written::new("a.toml", Format::Toml, "[memory]\n# much\nmaxmemory = \"50%\"\n");
        let live = file.start(Vec::new());
        set(&live, &["timeout", "9", "maxmemory-policy", "allkeys-lru", "save", "1 2 3 4"]);
        live.rewrite().unwrap();
        assert_eq!(
            file.text(),
            "[memory]\n# much\nmaxmemory = \"50%\"\nmaxmemory-policy = \"allkeys-lru\"\n\n[network]\ntimeout = 9\n\n\
             [persistence]\nsave = [\"1 2\", \"3 4\"]\n"
        );
    }

    #[test]
    fn nothing_to_say_leaves_the_file_alone() {
        let text = "maxmemory    8589934592\nclient-output-buffer-limit normal 1gb 0 0";
        let file = Written::new("b.conf", Format::RedisConf, text);
        file.start(Vec::new()).rewrite().unwrap();
        assert_eq!(file.text(), text);
    }

    #[test]
    fn flags_are_written_and_variables_only_once_changed() {
        let file = Written::new("c.conf", Format::RedisConf, "");
        let variable = |name: &str, word| entry(name, word, Origin::Variable(String::new()));
        let live = file.start(vec![
            entry("port", "7001", Origin::Flag("port".to_owned())),
            variable("requirepass", "secret"),
            variable("timeout", "5"),
        ]);
        set(&live, &["timeout", "6"]);
        live.rewrite().unwrap();
        assert_eq!(file.text(), "\n# Generated by CONFIG REWRITE\nport 7001\ntimeout 6\n");
    }

    #[test]
    fn a_file_that_was_broken_meanwhile_stays() {
        let file = Written::new("d.toml", Format::Toml, "port = 7000\n");
        let live = file.start(Vec::new());
        set(&live, &["timeout", "6"]);
        fs::write(&file.0.path, "port = [\n").unwrap();
        let fault = live.rewrite().unwrap_err().to_string();
        assert!(fault.starts_with("ERR Rewriting config file: ") && fault.contains("not TOML"), "{fault}");
        assert_eq!(file.text(), "port = [\n");
    }

    #[test]
    fn a_file_that_is_gone_is_written_anew() {
        let file = Written::new("e.conf", Format::RedisConf, "");
        let live = file.start(Vec::new());
        set(&live, &["timeout", "6"]);
        fs::remove_file(&file.0.path).unwrap();
        live.rewrite().unwrap();
        assert_eq!(file.text(), "\n# Generated by CONFIG REWRITE\ntimeout 6\n");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let file = Written::new("f.conf", Format::RedisConf, "");
        fs::set_permissions(&file.0.path, fs::Permissions::from_mode(0o600)).unwrap();
        let link: PathBuf = file.0.path.with_extension("link");
        symlink(&file.0.path, &link).unwrap();
        replace(&link, "timeout 1\n").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        fs::remove_file(&link).unwrap();
        assert_eq!(file.text(), "timeout 1\n");
        assert_eq!(fs::metadata(&file.0.path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
