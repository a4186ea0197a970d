//! Writes `docs/commands.md` from the rows, or checks that it is what they say.

use super::notation;
use super::row::Group;
use super::table::{self, Found};
use crate::base::version::REDIS_VERSION;
use std::fmt::Write as _;
use std::path::Path;

const GROUPS: &[(Group, &str)] = &[
    (Group::Generic, "Keys of any type"),
    (Group::String, "Strings"),
    (Group::Hash, "Hashes"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Geo, "Places"),
    (Group::Stream, "Streams"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::Bf, "Bloom filters"),
    (Group::PubSub, "Publishing and subscribing"),
    (Group::Transactions, "Transactions"),
    (Group::Cache, "Rules"),
    (Group::Connection, "Connections"),
    (Group::Cluster, "Cluster"),
    (Group::Server, "The server"),
];

fn page() -> String {
    let mut page = format!(
        "# Commands\n\n\
         The replies are those of Redis {REDIS_VERSION}. *Since* is the version of Redis that first had the command, or of Larder where it says so.\n\
         Words in capitals are written as they stand, in either case; `[]` may be left out, `|` stands between choices, \
         and what comes before `...` may be repeated.\n\n\
         This page is made from the rows in `server/src/command/` by `UPDATE_DOCS=1 cargo test`.\n"
    );
    assert!(
        table::each().all(|found| GROUPS.iter().any(|(group, _)| *group == found.row.group)),
        "a group has no title"
    );
    for &(group, title) in GROUPS {
        let rows: Vec<&Found> = table::each().filter(|found| found.row.group == group && is_callable(found)).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(page, "\n## {title}\n\n| Command | Complexity | Since | What it does |\n|---|---|---|---|\n");
        for found in rows {
            let usage = notation::usage(found).replace('|', "\\|");
            let row = found.row;
            let deprecated = row.deprecated.map_or(String::new(), |since| {
                format!(" Deprecated since {} in favour of {}.", since.since, since.instead)
            });
            let complexity = row.complexity.trim_end_matches('.');
            let _ = writeln!(page, "| `{usage}` | {complexity} | {} | {}{deprecated} |", row.since, row.summary);
        }
    }
    page
}

/// Whether it is a command of its own rather than a mere container of others.
fn is_callable(found: &Found) -> bool {
    found.subcommands.is_empty() || found.row.alone || !found.row.args.is_empty()
}

#[test]
fn the_page_of_commands_is_what_the_rows_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/commands.md is not what the rows say; run `UPDATE_DOCS=1 cargo test`");
}
