//! Snapshots on disk, of nodes that stop and start again.

use larder_client::resp::Reply;
use larder_tests::{Client, Launch, Node, render, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What each key holds: its type, its content, and when it expires.
type Held = BTreeMap<String, String>;

fn held(client: &mut Client) -> Held {
    let mut all = Held::new();
    for key in strings(client.call("KEYS *")) {
        let kind = client.text(&format!("TYPE {key}"));
        let content = match kind.as_str() {
            "string" => render(&client.call(&format!("GET {key}"))),
            "list" => render(&client.call(&format!("LRANGE {key} 0 -1"))),
            "set" => sorted(client.call(&format!("SMEMBERS {key}")), 1),
            "hash" => sorted(client.call(&format!("HGETALL {key}")), 2),
            "zset" => render(&client.call(&format!("ZRANGE {key} 0 -1 WITHSCORES"))),
            _ => stream(client, &key),
        };
        let time = client.int(&format!("PEXPIRETIME {key}"));
        all.insert(key, format!("{kind} {time} {content}"));
    }
    all
}

fn stream(client: &mut Client, key: &str) -> String {
    let entries = render(&client.call(&format!("XRANGE {key} - +")));
    let pending = render(&client.call(&format!("XPENDING {key} group - + 1000")));
    // How long ago it was delivered is a matter of when it is asked.
    let pending: Vec<&str> = pending.split(", ").filter(|part| part.parse::<u64>().is_err()).collect();
    format!("{entries} {pending:?}")
}

fn strings(reply: Reply) -> Vec<String> {
    let Reply::Array(items) = reply else { panic!("{reply:?} is no array") };
    items
        .into_iter()
        .map(|item| match item {
            Reply::Bulk(text) => String::from_utf8(text.to_vec()).expect("these tests use text"),
            other => panic!("{other:?} is no string"),
        })
        .collect()
}

fn sorted(reply: Reply, step: usize) -> String {
    let items = strings(reply);
    let mut groups: Vec<&[String]> = items.chunks(step).collect();
    groups.sort();
    format!("{groups:?}")
}

fn fill(node: &mut Node) {
    for number in 0..300 {
        node.call(&format!("SET text:{number} value:{number}"));
        node.call(&format!("SET number:{number} {number} PXAT 9{number:012}"));
        node.call(&format!("RPUSH list a{number} {number} ''"));
        node.call(&format!("SADD ints {number}"));
        node.call(&format!("SADD set m{number}"));
        node.call(&format!("ZADD zset {number}.5 m{number}"));
        node.call(&format!("HSET hash f{number} v{number}"));
        node.call(&format!("XADD stream {number}-1 f {number}"));
        node.call(&format!("RPUSH small:{number} x 1 2"));
    }
    node.call_words(&["SET", "long", &"again and again ".repeat(30_000)]);
    node.call("XGROUP CREATE stream group 0");
    node.call("XREADGROUP GROUP group alice COUNT 20 STREAMS stream >");
    node.call("XADD stream 1000-1 f 1");
    node.call("EXPIREAT hash 99999999999");
    node.call("PFADD loglog a b c");
    node.call("GEOADD places 13.361389 38.115556 Palermo");
}

fn at(folder: &Path) -> [(&'static str, &str); 2] {
    [("--dir", folder.to_str().expect("temporary folders have plain names")), ("--save", "3600 1")]
}

#[test]
fn a_node_that_stops_is_warm_when_it_starts_again() {
    let Some(mut first) = Node::larder() else { return };
    first.check("CONFIG SET save '3600 1'", "OK");
    fill(&mut first);
    let expected = held(&mut first);
    assert_eq!(expected.len(), 300 * 3 + 9);
    first.terminate();
    assert!(first.wait_for_exit().success(), "{}", first.log());
    let mut second = Node::start_with(&at(first.folder()));
    assert_eq!(held(&mut second), expected);
    assert_eq!(second.info_number("rdb_last_load_keys_loaded"), expected.len() as i64);
    assert_eq!(second.info_number("rdb_changes_since_last_save"), 0);
    second.check("SET one more", "OK");
    second.send("SHUTDOWN");
    second.expect_closed();
    assert!(second.wait_for_exit().success(), "{}", second.log());
    let mut third = Node::start_with(&at(first.folder()));
    third.check("GET one", "more");
    third.send("SHUTDOWN NOSAVE");
    third.expect_closed();
}

#[test]
fn a_node_starts_from_what_redis_has_saved() {
    let Some(mut redis) = Node::reference(&[]) else { return };
    let Some(mut larder) = Node::larder() else { return };
    fill(&mut redis);
    redis.check("SAVE", "OK");
    let expected = held(&mut redis);
    let file = fs::read(redis.folder().join("dump.rdb")).expect("it was just saved");
    let launch = Launch::new();
    let port = launch.port();
    let mut node = launch.file("old.rdb", &file).args(&format!("old.rdb --port {port} --save ''")).node();
    assert_eq!(held(&mut node), expected);
    // What it saves is read by itself, and the other file stays as it was.
    node.check("SAVE", "OK");
    assert_eq!(fs::read(node.folder().join("old.rdb")).unwrap(), file);
    let mut again = Node::start_with(&at(node.folder()));
    assert_eq!(held(&mut again), expected);
    larder.check("PING", "PONG");
}

#[test]
fn a_damaged_file_is_told_and_left_alone() {
    let Some(mut node) = Node::larder() else { return };
    fill(&mut node);
    node.check("SAVE", "OK");
    let whole = fs::read(node.folder().join("dump.rdb")).expect("it was just saved");
    let cut = &whole[..whole.len() / 2];
    let launch = Launch::new().file("dump.rdb", cut);
    let ended = launch.args("--port 0 --workers 1").run();
    assert!(!ended.status.success());
    let launch = Launch::new().file("dump.rdb", cut);
    let port = launch.port();
    let ended = launch.args(&format!("--port {port}")).run();
    assert!(!ended.status.success(), "{ended:?}");
    for part in ["the snapshot dump.rdb is damaged: ", "ends at byte", "larder rdb check dump.rdb", "--salvage"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {ended:?}");
    }
    let launch = Launch::new().file("dump.rdb", cut);
    let port = launch.port();
    let mut salvaged = launch.args(&format!("--port {port} --salvage yes")).node();
    let kept = salvaged.int("DBSIZE");
    assert!((1..909).contains(&kept), "{kept}");
    assert!(salvaged.log().contains(&format!("Kept are the {kept} keys before that")), "{}", salvaged.log());
    let names: Vec<_> = fs::read_dir(salvaged.folder()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name.to_string_lossy().starts_with("dump.rdb.damaged-")), "{names:?}");
}

#[test]
fn a_snapshot_is_written_while_clients_go_on() {
    let Some(mut node) = Node::larder() else { return };
    fill(&mut node);
    let expected = held(&mut node);
    node.check("BGSAVE", "Background saving started");
    let mut rounds = 0;
    while node.info_number("rdb_bgsave_in_progress") == 1 || rounds < 3 {
        rounds += 1;
        for number in 0..300 {
            node.call(&format!("SET text:{number} other"));
            node.call(&format!("RPUSH small:{number} {rounds}"));
        }
        assert!(rounds < 1000, "the snapshot does not end");
    }
    assert_eq!(node.info("rdb_last_bgsave_status").as_deref(), Some("ok"));
    let mut other = Node::start_with(&at(node.folder()));
    // Between the answer and the beginning of the snapshot some commands may have been run.
    let (seen, late) = (held(&mut other), ["text:", "small:"]);
    let is_late = |key: &str| late.iter().any(|start| key.starts_with(start));
    assert_eq!(seen.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (key, value) in expected.iter().filter(|(key, _)| !is_late(key)) {
        assert_eq!(seen.get(key), Some(value), "{key}");
    }
}

#[test]
fn a_node_that_cannot_save_does_not_leave() {
    let Some(mut node) = Node::larder() else { return };
    node.check("CONFIG SET save '3600 1'", "OK");
    node.check("SET a one", "OK");
    // A folder stands where the new file would be written.
    let beside = node.folder().join(format!("temp-{}.rdb", node.process_id()));
    fs::create_dir(&beside).expect("a folder can be made");
    node.terminate();
    wait_until("the node says that it goes on", || node.log().contains("so the node goes on"));
    node.check("GET a", "one");
    node.check_matches("SET b 1", "MISCONF *");
    node.check_matches("SHUTDOWN", "ERR Errors trying to SHUTDOWN. Check logs.");
    fs::remove_dir(&beside).expect("it is empty");
    node.terminate();
    assert!(node.wait_for_exit().success(), "{}", node.log());
    let mut again = Node::start_with(&at(node.folder()));
    again.check("GET a", "one");
}

#[test]
fn the_folder_and_the_name_of_the_file_can_be_changed() {
    if Node::larder().is_none() {
        return;
    }
    let mut node = Node::start_with(&[("--enable-protected-configs", "yes")]);
    node.check("SET a one", "OK");
    node.check_matches(
        "CONFIG SET dir /no/such/folder",
        "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or directory",
    );
    node.check_matches(
        "CONFIG SET dbfilename a/b",
        "ERR CONFIG SET failed (possibly related to argument 'dbfilename') - dbfilename can't be a path, just a filename",
    );
    let other = node.folder().join("other");
    fs::create_dir(&other).expect("a folder can be made");
    let words =
        ["CONFIG", "SET", "dir", other.to_str().expect("temporary folders have plain names"), "dbfilename", "b.rdb"];
    assert_eq!(render(&node.call_words(&words)), "OK");
    node.check("SAVE", "OK");
    assert!(other.join("b.rdb").exists() && !node.folder().join("dump.rdb").exists());
}
