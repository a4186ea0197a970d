//! Reading the end of the node's own stream before it is given up: which writes the new primary has never seen.

use crate::command::replication::{Tail, Tally};
use crate::command::shared::Shared;
use crate::command::words::Words;
use crate::net::parser::{Limits, Parsed, Parser};
use std::path::Path;

/// Tells what is lost of the node's stream beyond the offset `shared`, up to which its primary since `generation` has it, too. To
/// be called before what the node holds is thrown away.
pub fn tell(node: &Shared, generation: u64, shared: u64) {
    if let Some(tail) = node.replication.tail(generation, shared) {
        let (tally, is_whole) = read(&tail);
        node.replication.tell_lost(Path::new("."), tail, tally, is_whole);
    }
}

/// Goes through all that is held of a stream, since what is before the tail tells its database. Returns also whether all of it
/// could be read.
fn read(tail: &Tail) -> (Tally, bool) {
    let limits = Limits { bulk_len_max: usize::MAX >> 1, logged_in: true };
    let (mut tally, mut parser) = (Tally::default(), Parser::default());
    // Bytes of a command whose end is in the next part; a stream of one's own has none.
    let mut buffer = Vec::new();
    let mut start = tail.start;
    for part in &tail.parts {
        buffer.extend_from_slice(part.bytes());
        let mut taken = 0;
        while taken < buffer.len() {
            parser.begin();
            match parser.parse(&buffer, taken, limits) {
                Ok(Parsed::Request { end }) => {
                    let bytes = &buffer[taken..end];
                    let is_lost = start + end as u64 > tail.from();
                    tally.take(Words { buffer: bytes, spans: parser.words() }, bytes, is_lost);
                    taken = end;
                }
                // Other primaries say them to show that they are alive.
                Ok(Parsed::Line { end, .. } | Parsed::Nothing { end }) => taken = end,
                Ok(Parsed::Incomplete { .. }) => break,
                Err(_) => return (tally, false),
            }
        }
        buffer.drain(..taken);
        start += taken as u64;
    }
    let is_whole = buffer.is_empty();
    (tally, is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Desk;
    use crate::repl::history::Kin;
    use std::path::PathBuf;

    /// A node that leads and has written these lines, of which the first so many are shared; by then it follows another one.
    fn after(lines: &[&str], shared: usize) -> (Desk, u64, u64) {
        let (mut desk, _) = Desk::leading(Default::default());
        let mut offset = 0;
        for (at, line) in lines.iter().enumerate() {
            if at == shared {
                offset = desk.node.replication.offset();
            }
            let reply = desk.run(line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
        desk.node.barrier.alone(|| desk.node.follow(Some(("primary".to_owned(), 1))));
        let generation = desk.node.replication.goal().generation;
        (desk, generation, offset)
    }

    fn fields(desk: &mut Desk) -> Vec<String> {
        let info = desk.run("INFO replication");
        info.lines().filter_map(|line| line.strip_prefix("larder_lost_writes_").map(str::to_owned)).collect()
    }

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("larder-tail-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_the_new_primary_has_not_is_told_once() {
        let lines = ["SET a 1", "SELECT 2", "SET b 2", "PUBLISH c m", "MULTI", "SET b 3", "DEL a", "LPUSH l x", "EXEC"];
        let (mut desk, generation, shared) = after(&lines, 2);
        let (replication, folder) = (desk.node.clone(), folder("once"));
        let replication = &replication.replication;
        assert_eq!(fields(&mut desk), ["total:0"]);
        let tail = replication.tail(generation, shared).unwrap();
        let (tally, is_whole) = read(&tail);
        assert!(is_whole);
        replication.tell_lost(&folder, tail, tally, is_whole);
        let told = fields(&mut desk);
        let file = told[6].strip_prefix("last_file:").unwrap();
        let to = replication.offset();
        assert_eq!(
            told[..6],
            [
                "total:3".to_owned(),
                "last_count:3".to_owned(),
                "last_is_all:1".to_owned(),
                format!("last_from:{shared}"),
                format!("last_to:{to}"),
                "last_slots:3300 11562".to_owned(),
            ]
        );
        let text = std::fs::read_to_string(file).unwrap();
        let words: Vec<&str> = text.split("\r\n").filter(|word| !word.starts_with(['*', '$'])).collect();
        assert_eq!(words.join(" ").trim(), "SELECT 2 SET b 2 MULTI SET b 3 LPUSH l x EXEC");
        // The link broke, and the same comes again.
        assert!(replication.tail(generation, shared).is_none());
        assert!(replication.tail(generation + 1, shared + 1).is_none(), "another primary");
        assert!(replication.tail(generation, to).is_none() && replication.tail(generation, to + 1).is_none());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_tail_that_writes_nothing_is_not_told() {
        let (mut desk, generation, shared) = after(&["SET a 1", "PUBLISH c m", "SELECT 3"], 1);
        tell(&desk.node, generation, shared);
        assert_eq!(fields(&mut desk), ["total:0"]);
    }

    #[test]
    fn what_the_backlog_does_not_hold_is_told_as_at_least_the_rest() {
        let (mut desk, generation, _) = after(&["SET a 1"], 0);
        let node = desk.node.clone();
        node.replication.begin_at(generation, ("a".repeat(40), 1_000, Kin::default()), 4).unwrap();
        node.replication.pass_on(generation, b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n1\r\n", 4).unwrap();
        let folder = folder("rest");
        let tail = node.replication.tail(generation, 990).unwrap();
        let (tally, is_whole) = read(&tail);
        node.replication.tell_lost(&folder.join("none"), tail, tally, is_whole);
        let told = ["total:1", "last_count:1", "last_is_all:0", "last_from:990", "last_to:1027", "last_slots:3300"];
        assert_eq!(fields(&mut desk)[..6], told);
        assert_eq!(fields(&mut desk)[6], "last_file:", "there is no such folder, and the rest is told all the same");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
