//! Writes that a primary took after another had begun to lead: when it follows that one they are gone, and it tells so.

use larder_tests::chain::{Make, follow, settle};
use larder_tests::{Node, wait_until};
use std::fs;

/// No ping comes between what is compared and what is done then.
const FLAGS: [(&str, &str); 2] = [("--repl-ping-replica-period", "3600"), ("--repl-backlog-size", "1mb")];

/// A primary and one that has followed it and leads by now; both have the same.
fn parted() -> Option<[Node; 2]> {
    Node::larder()?;
    let [mut old, mut new] = [Make::Larder.start(&FLAGS)?, Make::Larder.start(&FLAGS)?];
    follow(&mut new, old.address());
    settle(&mut [&mut old, &mut new]);
    old.check("SET both here", "OK");
    settle(&mut [&mut old, &mut new]);
    new.check("REPLICAOF NO ONE", "OK");
    wait_until("the old one is alone", || old.info("connected_slaves").as_deref() == Some("0"));
    Some([old, new])
}

fn told(node: &mut Node, name: &str) -> Option<String> {
    node.info(&format!("larder_lost_writes_{name}"))
}

/// Commands as a client sends them.
fn spelled(lines: &[&str]) -> String {
    let command = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let words_spelled: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        format!("*{}\r\n{words_spelled}", words.len())
    };
    lines.iter().map(command).collect()
}

#[test]
fn what_only_the_old_primary_took_is_told_and_kept() {
    // It may keep what it holds until the new data is whole, or throw it away before.
    for serves_stale in ["yes", "no"] {
        let Some([mut old, mut new]) = parted() else { return };
        old.check(&format!("CONFIG SET replica-serve-stale-data {serves_stale}"), "OK");
        let from = new.info_number("second_repl_offset") - 1;
        assert!(from > 0);
        assert_eq!(old.info_number("master_repl_offset"), from, "nothing is lost yet");
        for line in ["SET a one", "SET a two", "PUBLISH channel message", "DEL both nosuch", "GET a", "DEL nosuch"] {
            old.call(line);
        }
        for line in ["MULTI", "LPUSH b x", "SELECT 3", "SET c 3", "EXEC", "SELECT 0"] {
            old.call(line);
        }
        let to = old.info_number("master_repl_offset");
        new.check("SET own 1", "OK");
        assert_eq!(told(&mut old, "total").as_deref(), Some("0"));
        follow(&mut old, new.address());
        settle(&mut [&mut new, &mut old]);
        old.check("EXISTS a b", "0");
        old.check("GET both", "here");

        assert_eq!(told(&mut old, "total").as_deref(), Some("5"));
        assert_eq!(told(&mut old, "last_count").as_deref(), Some("5"));
        assert_eq!(told(&mut old, "last_is_all").as_deref(), Some("1"));
        assert_eq!(told(&mut old, "last_from"), Some(from.to_string()));
        assert_eq!(told(&mut old, "last_to"), Some(to.to_string()));
        assert_eq!(told(&mut old, "last_slots").as_deref(), Some("3300 7365 10963 14872 15495"));
        let file = told(&mut old, "last_file").expect("INFO names the file");
        let folder = fs::canonicalize(old.folder()).expect("the node's folder is there");
        assert!(fs::canonicalize(&file).expect("the file is there").starts_with(folder), "{file}");
        let lost = fs::read_to_string(&file).expect("the file can be read");
        let written =
            ["SET a one", "SET a two", "DEL both nosuch", "MULTI", "LPUSH b x", "SELECT 3", "SET c 3", "EXEC"];
        assert_eq!(lost, spelled(&written));
        let log = old.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("are lost")).collect();
        assert!(lines.len() == 1 && lines[0].contains("WARN"), "{log}");
        assert!(lines[0].contains(" 5 writes ") && lines[0].contains(&file), "{}", lines[0]);
        assert_eq!(told(&mut new, "total").as_deref(), Some("0"));

        // Sent to the new primary they are there again.
        new.connect().send_raw(&lost);
        wait_until("they are written again", || new.int("EXISTS a b") == 2);
        new.check("GET both", "nil");
        settle(&mut [&mut new, &mut old]);
        old.check("GET a", "two");
        assert_eq!(told(&mut old, "total").as_deref(), Some("5"), "it is told once");
    }
}

#[test]
fn who_took_nothing_alone_tells_nothing() {
    let Some([mut old, mut new]) = parted() else { return };
    follow(&mut old, new.address());
    settle(&mut [&mut new, &mut old]);
    new.check("SET own 1", "OK");
    settle(&mut [&mut new, &mut old]);
    assert_eq!(told(&mut old, "total").as_deref(), Some("0"));
    assert_eq!(told(&mut old, "last_count"), None);
}

#[test]
fn more_than_the_backlog_holds_is_told_as_the_least() {
    const WRITES: usize = 40;
    let Some([mut old, mut new]) = parted() else { return };
    let value = "x".repeat(100_000);
    (0..WRITES).for_each(|number| old.check(&format!("SET {{a}}{number} {value}"), "OK"));
    follow(&mut old, new.address());
    settle(&mut [&mut new, &mut old]);
    let count: usize = told(&mut old, "last_count").and_then(|count| count.parse().ok()).expect("a number");
    // Those of one megabyte, with the block that it begins in.
    assert!((10..=12).contains(&count), "{count}");
    assert_eq!(told(&mut old, "last_is_all").as_deref(), Some("0"));
    assert_eq!(told(&mut old, "last_slots").as_deref(), Some("15495"));
    let lost = fs::read_to_string(told(&mut old, "last_file").expect("INFO names the file")).expect("it is there");
    let last: Vec<String> = (WRITES - count..WRITES).map(|number| format!("SET {{a}}{number} {value}")).collect();
    let last: Vec<&str> = last.iter().map(String::as_str).collect();
    assert!(lost == spelled(&last), "the file holds the last ones");
    assert!(old.log().contains(&format!("at least {count} writes ")));
}
