//! The rows against facts about Redis's commands, frozen in `facts.txt`.
//!
//! A line there has name, arity, flags, first key, last key, step and ACL categories, as `COMMAND INFO` of Redis 7.2
//! tells them. Commands that are not in the table are skipped.

use super::table::{self, Found};

const FACTS: &str = include_str!("facts.txt");

/// A row in the form of a line.
fn line(found: &Found) -> String {
    let list = |words: Vec<&str>| {
        if words.is_empty() { "-".to_owned() } else { words.join(",") }
    };
    let flags = list(found.row.flags.names().collect());
    let categories = list(found.row.categories());
    let keys = found.keys;
    format!("{} {} {flags} {} {} {} {categories}", found.name, found.arity, keys.first, keys.last, keys.step)
}

#[test]
fn rows_agree_with_redis() {
    let wrong: Vec<String> = FACTS
        .lines()
        .filter(|fact| !fact.starts_with('#'))
        .filter_map(|fact| {
            let name = fact.split(' ').next()?;
            let seen = line(table::each().find(|found| found.name == name)?);
            (seen != fact).then(|| format!("expected {fact}\n  row is {seen}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} rows differ from Redis:\n{}", wrong.len(), wrong.join("\n"));
}
