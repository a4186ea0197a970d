//! What client libraries send when they connect, and what they take from the replies.
//!
//! The real libraries run in `tests/clients/`, each in one version. Here stand the sequences of all of them, as their sources
//! have them, so that a reply that any of them relies on cannot change unnoticed. Commands of Redis 7.2 are among them.

use larder_client::resp::Reply;
use larder_tests::{Client, Node, render};

/// What a node of its own answers to a client that asks whether there is a cluster.
const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

/// Sends all commands at once, as clients do with what opens a connection, and expects a reply to each.
#[track_caller]
fn open(client: &mut Client, exchange: &[(&str, &str)]) {
    exchange.iter().for_each(|(command, _)| client.send(command));
    exchange.iter().for_each(|(_, pattern)| client.expect_matches(pattern));
}

/// `HELLO` in RESP3: Jedis needs `proto`, Lettuce `id` and a version it can read, go-redis and redis-rs any map.
const HELLO_3: &str = r#"{"server": "redis", "version": "7.#*", "proto": 3, "id": #, "mode": "standalone", "role": "master", "modules": []}"#;

/// `HELLO` in RESP2: the same as a flat array.
const HELLO_2: &str = r#"["server", "redis", "version", "7.#*", "proto", 2, "id", #, "mode", "standalone", "role", "master", "modules", []]"#;

#[test]
fn redis_py_connects() {
    let Some(node) = Node::since("7.2") else { return };
    let mut client = node.connect();
    open(
        &mut client,
        &[("CLIENT SETINFO LIB-NAME redis-py", "OK"), ("CLIENT SETINFO LIB-VER 5.0.8", "OK"), ("SELECT 1", "OK")],
    );
    let mut client = node.connect();
    open(&mut client, &[("HELLO 3", HELLO_3)]);
    // "auto": an error means that there are no such notifications.
    client.check_matches("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip", "OK");
    open(
        &mut client,
        &[("CLIENT SETINFO LIB-NAME redis-py", "OK"), ("CLIENT SETINFO LIB-VER 7.0.1", "OK"), ("SELECT 1", "OK")],
    );
    client.check_matches("CLIENT INFO", "txt:id=* db=1 * resp=3 lib-name=redis-py lib-ver=7.0.1*");
}

#[test]
fn redis_py_with_a_password_connects() {
    let Some(mut node) = Node::since("7.2") else { return };
    node.check("CONFIG SET requirepass secret", "OK");
    let mut client = node.connect();
    open(
        &mut client,
        &[("AUTH secret", "OK"), ("CLIENT SETNAME web", "OK"), ("CLIENT SETINFO LIB-NAME redis-py", "OK")],
    );
    let mut client = node.connect();
    open(&mut client, &[("HELLO 3 AUTH default secret", HELLO_3), ("CLIENT SETNAME web", "OK")]);
    let mut client = node.connect();
    client.check("AUTH nobody secret", "WRONGPASS invalid username-password pair or user is disabled.");
    client.check("CLIENT SETINFO LIB-NAME redis-py", "NOAUTH Authentication required.");
}

#[test]
fn clients_of_clusters_find_a_node_of_its_own() {
    let mut node = Node::start();
    // redis-py, go-redis, Jedis and node-redis ask for the slots, Lettuce and StackExchange.Redis for the nodes.
    node.check_all(
        &["CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES", "CLUSTER INFO", "CLUSTER MYID", "READONLY"],
        NO_CLUSTER,
    );
}

#[test]
fn ioredis_connects() {
    let Some(node) = Node::since("7.2") else { return };
    let mut client = node.connect();
    open(
        &mut client,
        &[
            ("CLIENT SETNAME worker", "OK"),
            ("CLIENT SETINFO LIB-NAME ioredis", "OK"),
            ("CLIENT SETINFO LIB-VER 5.4.1", "OK"),
            ("SELECT 2", "OK"),
            // It is ready once this has `loading:0`, or none, in a line of its own.
            ("INFO", r"*\\r\\nloading:0\\r\\n*"),
        ],
    );
}

#[test]
fn node_redis_connects() {
    let Some(node) = Node::since("7.2") else { return };
    for (hello, reply, told) in [("HELLO 3", HELLO_3, "OK"), ("HELLO 2", HELLO_2, "ERR *")] {
        let mut client = node.connect();
        open(
            &mut client,
            &[
                (hello, reply),
                ("CLIENT SETNAME app", "OK"),
                ("SELECT 3", "OK"),
                ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip", told),
                ("CLIENT SETINFO LIB-VER 5.8.2", "OK"),
                ("CLIENT SETINFO LIB-NAME node-redis", "OK"),
            ],
        );
        client.check("PING", "PONG");
    }
}

#[test]
fn go_redis_connects() {
    let Some(node) = Node::since("7.2") else { return };
    let mut client = node.connect();
    client.check_matches("HELLO 3 SETNAME app", HELLO_3);
    open(
        &mut client,
        &[
            ("SELECT 1", "OK"),
            ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none", "OK"),
            ("CLIENT SETINFO LIB-NAME go-redis(,go1.22.0)", "OK"),
            ("CLIENT SETINFO LIB-VER 9.16.0", "OK"),
        ],
    );
}

#[test]
fn jedis_lettuce_and_redis_rs_connect() {
    let Some(node) = Node::since("7.2") else { return };
    for (hello, name) in [
        ("HELLO 3", "jedis"),
        ("HELLO 3 AUTH default any", "jedis(spring-data;v3)"),
        ("HELLO 3 SETNAME cache", "Lettuce"),
        ("HELLO 3", "redis-rs"),
    ] {
        let mut client = node.connect();
        client.check_matches(hello, HELLO_3);
        open(
            &mut client,
            &[(&format!("CLIENT SETINFO LIB-NAME {name}"), "OK"), ("CLIENT SETINFO LIB-VER 1.0.2", "OK")],
        );
        client.check("PING", "PONG");
    }
}

/// Servers before Redis 6 do not know HELLO: a client that falls back goes on with AUTH, on the same connection.
#[test]
fn a_protocol_that_is_not_there_is_refused_and_the_connection_goes_on() {
    let mut node = Node::start();
    node.check("HELLO 4", "NOPROTO unsupported protocol version");
    node.check_matches("HELLO 2", HELLO_2);
    node.check("AUTH default any", "OK");
}

#[test]
fn stackexchange_redis_connects() {
    let Some(node) = Node::since("7.2") else { return };
    let mut client = node.connect();
    open(
        &mut client,
        &[
            ("HELLO 3 SETNAME web-1", HELLO_3),
            ("CLIENT SETNAME web-1", "OK"),
            ("CLIENT SETINFO lib-name SE.Redis", "OK"),
            ("CLIENT SETINFO lib-ver 2.8.16", "OK"),
            ("CLIENT ID", "#"),
            ("CONFIG GET timeout", r##"{"timeout": "#"}"##),
            ("CONFIG GET replica-read-only", r#"{"replica-read-only": "yes"}"#),
            ("CONFIG GET slave-read-only", r#"{"slave-read-only": "yes"}"#),
            ("CONFIG GET databases", r#"{"databases": "16"}"#),
            ("SENTINEL MASTERS", "ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' "),
            ("INFO replication", r"txt:\# Replication\\r\\nrole:master\\r\\n*"),
            ("INFO server", r"txt:\# Server\\r\\n*redis_version:7.*redis_mode:standalone\\r\\n*run_id:*"),
            (r#"ECHO "\x01\x02\xfe\xff""#, r"\\x01\\x02\\xfe\\xff"),
            ("GET __Booksleeve_TieBreak", "nil"),
            ("CLUSTER NODES", NO_CLUSTER),
            ("PING", "PONG"),
        ],
    );
}

/// The fields that clients and monitors take out of INFO, each at the beginning of a line.
#[test]
fn info_has_what_clients_read() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    for (field, pattern) in [
        ("redis_version", "7.#.#"),
        ("redis_mode", "standalone"),
        ("arch_bits", "#"),
        ("process_id", "#"),
        ("run_id", "*"),
        ("tcp_port", "#"),
        ("uptime_in_seconds", "#"),
        ("connected_clients", "#"),
        ("blocked_clients", "#"),
        ("used_memory", "#"),
        ("used_memory_rss", "#"),
        ("used_memory_peak", "#"),
        ("maxmemory", "#"),
        ("maxmemory_policy", "*"),
        ("loading", "0"),
        ("rdb_changes_since_last_save", "#"),
        ("aof_enabled", "0"),
        ("total_connections_received", "#"),
        ("total_commands_processed", "#"),
        ("instantaneous_ops_per_sec", "#"),
        ("keyspace_hits", "#"),
        ("keyspace_misses", "#"),
        ("evicted_keys", "#"),
        ("expired_keys", "#"),
        ("role", "master"),
        ("connected_slaves", "0"),
        ("master_replid", "*"),
        ("master_repl_offset", "#"),
        ("used_cpu_sys", "#.#"),
        ("cluster_enabled", "0"),
        ("db0", "keys=1,expires=0,avg_ttl=0*"),
    ] {
        let value = node.info(field).unwrap_or_else(|| panic!("INFO lacks {field}"));
        assert!(larder_tests::matches(pattern, &value), "{field} is {value}");
    }
}

#[test]
fn info_modules_is_no_error() {
    let mut node = Node::start();
    node.check_matches("INFO modules", "*");
    assert!(!matches!(node.call("INFO modules"), Reply::Error(_)));
}

/// go-redis refuses a table with an entry of any other length than 6, 7 or 10, and reads each element by its type; user
/// interfaces stumble over null entries.
#[test]
fn the_table_of_commands_is_readable_in_both_protocols() {
    let mut node = Node::start();
    let mut resp3 = node.resp3();
    for (client, is_3) in [(&mut *node, false), (&mut resp3, true)] {
        let table = client.call("COMMAND");
        let entries = table.as_slice().expect("COMMAND answers an array");
        assert!(entries.len() > 80, "{} commands", entries.len());
        entries.iter().for_each(|entry| check_entry(entry, is_3));
    }
}

fn check_entry(entry: &Reply, is_3: bool) {
    let shown = render(entry);
    let Reply::Array(parts) = entry else { panic!("{shown}") };
    let [name, arity, flags, first, last, step, categories, tips, specs, subcommands] = &parts[..] else {
        panic!("{} elements: {shown}", parts.len())
    };
    assert!(matches!(name, Reply::Bulk(_)), "{shown}");
    assert!([arity, first, last, step].iter().all(|number| matches!(number, Reply::Int(_))), "{shown}");
    let subcommands_of_none = subcommands.as_slice().is_none_or(<[Reply]>::is_empty).then_some(subcommands);
    for set in [flags, categories, tips, specs].into_iter().chain(subcommands_of_none) {
        assert!(matches!((set, is_3), (Reply::Set(_), true) | (Reply::Array(_), false)), "{shown}");
    }
    assert!(subcommands_of_none.is_some() || matches!(subcommands, Reply::Array(_)), "{shown}");
    let words = [flags, categories].into_iter().flat_map(|set| set.as_slice().unwrap_or_default());
    assert!(words.into_iter().all(|word| matches!(word, Reply::Simple(_))), "{shown}");
    subcommands.as_slice().unwrap_or_default().iter().for_each(|entry| check_entry(entry, is_3));
}

/// `redis-cli` asks for the documentation when it starts, and completes words with it.
#[test]
fn documentation_is_readable_in_both_protocols() {
    let mut node = Node::start();
    let mut resp3 = node.resp3();
    let flat = pairs(&node.call("COMMAND DOCS"));
    let maps = pairs(&resp3.call("COMMAND DOCS"));
    assert_eq!(flat.len(), maps.len());
    for (name, document) in flat.iter().chain(&maps) {
        check_document(name, document);
    }
}

fn check_document(name: &str, document: &Reply) {
    let fields = pairs(document);
    let get = |field: &str| fields.iter().find(|(name, _)| name == field).map(|(_, value)| value);
    for field in ["summary", "since", "group"] {
        assert!(matches!(get(field), Some(Reply::Bulk(_))), "{name} has no {field}: {}", render(document));
    }
    let arguments = get("arguments").and_then(Reply::as_slice).unwrap_or_default();
    arguments.iter().for_each(|argument| check_argument(name, argument));
    let subcommands = get("subcommands").map(pairs).unwrap_or_default();
    subcommands.iter().for_each(|(name, document)| check_document(name, document));
}

fn check_argument(command: &str, argument: &Reply) {
    let fields = pairs(argument);
    let get = |field: &str| fields.iter().find(|(name, _)| name == field).map(|(_, value)| value);
    for field in ["name", "type"] {
        assert!(
            matches!(get(field), Some(Reply::Bulk(_))),
            "{command} has an argument without {field}: {}",
            render(argument)
        );
    }
    let parts = get("arguments").and_then(Reply::as_slice).unwrap_or_default();
    parts.iter().for_each(|part| check_argument(command, part));
}

/// The pairs of a map of RESP3, or of the flat array that stands for one in RESP2.
fn pairs(reply: &Reply) -> Vec<(String, Reply)> {
    let text = |reply: &Reply| String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
    match reply {
        Reply::Map(pairs) => pairs.iter().map(|(name, value)| (text(name), value.clone())).collect(),
        Reply::Array(flat) => {
            assert!(flat.len().is_multiple_of(2), "a name without a value: {}", render(reply));
            flat.chunks(2).map(|pair| (text(&pair[0]), pair[1].clone())).collect()
        }
        other => panic!("no map: {}", render(other)),
    }
}
