//! Commands about the server: its state, its configuration, its logs, its table of commands, and its end.

use larder_client::resp::Reply;
use larder_tests::texts::{NO_SUCH_DATABASE, NO_SUCH_KEY, NOT_AN_INTEGER, SYNTAX, arity, no_subcommand};
use larder_tests::{Client, Node, render, wait_until};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_command_counts_its_words() {
    let mut node = Node::start();
    for (command, lines) in [
        ("command|count", &["COMMAND COUNT x"][..]),
        ("command|getkeys", &["COMMAND GETKEYS"]),
        ("command|getkeysandflags", &["COMMAND GETKEYSANDFLAGS"]),
        ("command|help", &["COMMAND HELP x"]),
        ("config", &["CONFIG"]),
        ("config|get", &["CONFIG GET"]),
        ("config|help", &["CONFIG HELP x"]),
        ("config|resetstat", &["CONFIG RESETSTAT x"]),
        ("config|rewrite", &["CONFIG REWRITE x"]),
        ("config|set", &["CONFIG SET", "CONFIG SET maxmemory"]),
        ("dbsize", &["DBSIZE x"]),
        ("debug", &["DEBUG"]),
        ("latency", &["LATENCY"]),
        ("latency|doctor", &["LATENCY DOCTOR x"]),
        ("latency|graph", &["LATENCY GRAPH", "LATENCY GRAPH a b"]),
        ("latency|history", &["LATENCY HISTORY", "LATENCY HISTORY a b"]),
        ("latency|latest", &["LATENCY LATEST x"]),
        ("memory", &["MEMORY"]),
        ("memory|doctor", &["MEMORY DOCTOR x"]),
        ("memory|malloc-stats", &["MEMORY MALLOC-STATS x"]),
        ("memory|purge", &["MEMORY PURGE x"]),
        ("memory|stats", &["MEMORY STATS x"]),
        ("memory|usage", &["MEMORY USAGE"]),
        ("monitor", &["MONITOR x"]),
        ("role", &["ROLE x"]),
        ("slowlog", &["SLOWLOG"]),
        ("slowlog|len", &["SLOWLOG LEN x"]),
        ("slowlog|reset", &["SLOWLOG RESET x"]),
        ("swapdb", &["SWAPDB", "SWAPDB 0", "SWAPDB 0 1 2"]),
        ("time", &["TIME x"]),
    ] {
        node.check_all(lines, &arity(command));
    }
}

#[test]
fn unknown_subcommands_are_named() {
    let mut node = Node::start();
    for command in ["COMMAND", "CONFIG", "LATENCY", "MEMORY", "SLOWLOG"] {
        node.check(&format!("{command} nonsense"), &no_subcommand(command, "nonsense"));
        node.check(&format!("{command} Nonsense x y"), &no_subcommand(command, "Nonsense"));
        let form = format!("[{command} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, *]");
        node.check_matches(&format!("{command} HELP"), &form);
    }
    let form = "ERR unknown subcommand or wrong number of arguments for 'nonsense'. Try DEBUG HELP.";
    node.check_all(&["DEBUG nonsense", "DEBUG nonsense x"], form);
    node.check_matches("DEBUG HELP", "[DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:, *]");
}

#[test]
fn dbsize_counts_the_keys_of_one_database() {
    let mut node = Node::start();
    node.check("DBSIZE", "0");
    node.check("MSET a 1 b 2", "OK");
    node.check("DBSIZE", "2");
    node.check("SELECT 1", "OK");
    node.check("DBSIZE", "0");
}

#[test]
fn flushdb_empties_one_database_and_flushall_all() {
    let mut node = Node::start();
    for mode in ["", " ASYNC", " SYNC", " async"] {
        node.check("MSET a 1 b 2", "OK");
        node.check("SELECT 1", "OK");
        node.check("SET c 3", "OK");
        node.check(&format!("FLUSHDB{mode}"), "OK");
        node.check("DBSIZE", "0");
        node.check("SET c 3", "OK");
        node.check("SELECT 0", "OK");
        node.check("DBSIZE", "2");
        node.check(&format!("FLUSHALL{mode}"), "OK");
        node.check("DBSIZE", "0");
        node.check("SELECT 1", "OK");
        node.check("DBSIZE", "0");
        node.check("SELECT 0", "OK");
    }
    node.check_all(&["FLUSHDB x", "FLUSHALL x", "FLUSHDB ASYNC SYNC", "FLUSHALL SYNC SYNC"], SYNTAX);
}

#[test]
fn swapdb_exchanges_databases_for_everyone() {
    let mut node = Node::start();
    let mut other = node.connect();
    other.check("SELECT 1", "OK");
    node.check("SET k zero EX 100", "OK");
    other.check("SET k one", "OK");
    node.check("SWAPDB 0 1", "OK");
    node.check("GET k", "one");
    other.check("GET k", "zero");
    other.check("TTL k", "100");
    node.check("SWAPDB 1 1", "OK");
    other.check("GET k", "zero");
    node.check_all(&["SWAPDB 0 16", "SWAPDB -1 0"], NO_SUCH_DATABASE);
    node.check("SWAPDB x 0", "ERR invalid first DB index");
    node.check("SWAPDB 0 x", "ERR invalid second DB index");
}

#[test]
fn time_tells_seconds_and_microseconds() {
    let mut node = Node::start();
    node.check_matches("TIME", r##"["1#", "#"]"##);
    let reply = node.call("TIME");
    let seconds = reply.as_slice().and_then(|parts| parts[0].as_int()).expect("TIME answers digits");
    let now = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs() as i64;
    assert!((now - seconds).abs() <= 2, "{seconds} is not about {now}");
}

#[test]
fn role_is_primary_without_replicas() {
    let mut node = Node::start();
    node.check_matches("ROLE", r#"["master", #, []]"#);
}

#[test]
fn lolwut_draws_and_tells_the_version() {
    let mut node = Node::start();
    let version = node.redis_version();
    let drawn = node.text("LOLWUT");
    assert!(drawn.contains(&version) || drawn.contains("Larder"), "{drawn}");
    node.check_matches("LOLWUT VERSION 5 40 5 2", "*");
    node.check("LOLWUT VERSION x", NOT_AN_INTEGER);
}

/// The fields of a section of INFO, by name.
fn info(client: &mut Client, sections: &str) -> BTreeMap<String, String> {
    let reply = client.call(&format!("INFO {sections}"));
    let text = String::from_utf8_lossy(reply.as_bytes().expect("INFO answers a text")).into_owned();
    assert!(text.is_empty() || text.ends_with("\r\n"));
    let fields = text.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with("# "));
    fields
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("'{line}' is no field of INFO")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What clients and monitors read.
const INFO_FIELDS: &[(&str, &str)] = &[
    (
        "server",
        "redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock multiplexing_api \
         gcc_version process_id process_supervised run_id tcp_port server_time_usec uptime_in_seconds uptime_in_days hz \
         configured_hz lru_clock executable config_file io_threads_active",
    ),
    (
        "clients",
        "connected_clients cluster_connections maxclients client_recent_max_input_buffer client_recent_max_output_buffer \
         blocked_clients tracking_clients clients_in_timeout_table",
    ),
    (
        "memory",
        "used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak used_memory_peak_human \
         used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset used_memory_dataset_perc \
         allocator_allocated allocator_active allocator_resident total_system_memory total_system_memory_human used_memory_lua \
         maxmemory maxmemory_human maxmemory_policy mem_fragmentation_ratio mem_fragmentation_bytes mem_not_counted_for_evict \
         mem_replication_backlog mem_clients_slaves mem_clients_normal mem_allocator active_defrag_running \
         lazyfree_pending_objects lazyfreed_objects",
    ),
    (
        "persistence",
        "loading rdb_changes_since_last_save rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status \
         rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status \
         aof_last_write_status",
    ),
    (
        "stats",
        "total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes \
         total_net_output_bytes instantaneous_input_kbps instantaneous_output_kbps rejected_connections sync_full \
         sync_partial_ok sync_partial_err expired_keys expired_stale_perc expired_time_cap_reached_count evicted_keys \
         keyspace_hits keyspace_misses pubsub_channels pubsub_patterns latest_fork_usec migrate_cached_sockets \
         slave_expires_tracked_keys active_defrag_hits tracking_total_keys unexpected_error_replies total_error_replies \
         total_reads_processed total_writes_processed",
    ),
    (
        "replication",
        "role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset second_repl_offset \
         repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen",
    ),
    ("cpu", "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children"),
    ("cluster", "cluster_enabled"),
];

#[test]
fn info_has_the_fields_that_clients_read() {
    let mut node = Node::start();
    for (section, names) in INFO_FIELDS {
        let fields = info(&mut node, section);
        for name in names.split_whitespace() {
            assert!(fields.contains_key(name), "INFO {section} lacks {name}");
        }
        let title = format!("# {}{}", section[..1].to_uppercase(), &section[1..]);
        let text = node.text(&format!("INFO {section}"));
        assert!(text.to_lowercase().starts_with(&title.to_lowercase()), "INFO {section} starts with {text:.20}");
    }
}

#[test]
fn info_takes_many_sections_and_ignores_unknown_ones() {
    let mut node = Node::start();
    node.check("INFO nonsense", r#""""#);
    let some = info(&mut node, "CLIENTS nonsense cpu");
    assert!(
        some.contains_key("connected_clients") && some.contains_key("used_cpu_sys") && !some.contains_key("redis_mode")
    );
    let default = info(&mut node, "");
    assert!(default.contains_key("redis_version") && default.contains_key("cluster_enabled"));
    assert!(!default.keys().any(|name| name.starts_with("cmdstat_")));
    let all = info(&mut node, "all");
    assert!(all.contains_key("cmdstat_info") && all.contains_key("latency_percentiles_usec_info"));
    assert!(info(&mut node, "everything").contains_key("cmdstat_info"));
    assert!(info(&mut node, "default commandstats").contains_key("cmdstat_info"));
}

#[test]
fn info_tells_the_truth() {
    let mut node = Node::start();
    node.check("MSET a 1 b 2 c 3", "OK");
    node.check("EXPIRE a 1000", "1");
    node.check("SELECT 3", "OK");
    node.check("SET d 4", "OK");
    node.check_all(&["GET d", "GETRANGE d 0 -1"], r#""4""#);
    node.check("GET absent", "nil");
    node.check("nonsense", "ERR unknown command 'nonsense', with args beginning with: ");
    let all = info(&mut node, "everything");
    let field = |name: &str| all.get(name).map_or("(absent)", String::as_str);
    assert_eq!(field("process_id"), node.process_id().to_string());
    assert_eq!(field("tcp_port"), node.address().port().to_string());
    assert_eq!((field("role"), field("redis_mode"), field("cluster_enabled")), ("master", "standalone", "0"));
    assert!(field("db0").starts_with("keys=3,expires=1,avg_ttl="), "{}", field("db0"));
    assert!(field("db3").starts_with("keys=1,expires=0,avg_ttl=0"), "{}", field("db3"));
    assert_eq!((field("keyspace_hits"), field("keyspace_misses")), ("2", "1"));
    assert_eq!(field("errorstat_ERR"), "count=1");
    assert!(field("cmdstat_mset").starts_with("calls=1,usec="), "{}", field("cmdstat_mset"));
    assert!(field("cmdstat_mset").ends_with(",rejected_calls=0,failed_calls=0"), "{}", field("cmdstat_mset"));
    assert_eq!(field("run_id").len(), 40);
    assert!(field("redis_version").starts_with("7."));
}

#[test]
fn config_resetstat_forgets() {
    let mut node = Node::start();
    node.check("GET absent", "nil");
    assert_eq!(node.info("keyspace_misses").as_deref(), Some("1"));
    node.check("CONFIG RESETSTAT", "OK");
    assert_eq!(node.info("keyspace_misses").as_deref(), Some("0"));
    assert_eq!(node.info("cmdstat_get"), None);
    assert_eq!(node.info("total_connections_received").as_deref(), Some("0"));
}

#[test]
fn used_memory_follows_what_is_stored() {
    let mut node = Node::start();
    let used = |node: &mut Node| node.info("used_memory").and_then(|text| text.parse::<i64>().ok()).expect("a number");
    let before = used(&mut node);
    node.check(&format!("SET k {}", "x".repeat(1_000_000)), "OK");
    let grown = used(&mut node) - before;
    assert!((1_000_000..4_000_000).contains(&grown), "a megabyte takes {grown} bytes");
    node.check("DEL k", "1");
    wait_until("the memory is given back", || used(&mut node) - before < 500_000);
}

#[test]
fn memory_usage_counts_one_key() {
    let mut node = Node::start();
    node.check("MEMORY USAGE absent", "nil");
    node.check("SET k v", "OK");
    node.check_range("MEMORY USAGE k", 3..=100);
    node.check_range("memory usage k samples 5", 3..=100);
    node.check_range("MEMORY USAGE k SAMPLES 0", 3..=100);
    node.check(&format!("SET k {}", "x".repeat(100_000)), "OK");
    node.check_range("MEMORY USAGE k", 100_000..=140_000);
    node.check_all(&["MEMORY USAGE k SAMPLES", "MEMORY USAGE k SAMPLES -1", "MEMORY USAGE k nonsense 1"], SYNTAX);
    node.check("MEMORY USAGE k SAMPLES x", NOT_AN_INTEGER);
}

#[test]
fn memory_reports() {
    let mut node = Node::start();
    node.check("MEMORY PURGE", "OK");
    let stats = node.call("MEMORY STATS");
    let names: BTreeSet<_> =
        stats.as_slice().expect("an array of pairs").chunks(2).map(|pair| render(&pair[0])).collect();
    for name in [
        "peak.allocated",
        "total.allocated",
        "startup.allocated",
        "keys.count",
        "keys.bytes-per-key",
        "dataset.bytes",
        "fragmentation",
    ] {
        assert!(names.contains(name), "MEMORY STATS lacks {name}");
    }
    assert!(matches!(node.call("MEMORY DOCTOR"), Reply::Bulk(_)));
    assert!(matches!(node.call("MEMORY MALLOC-STATS"), Reply::Bulk(_)));
}

#[test]
fn config_get_finds_by_pattern() {
    let mut node = Node::start();
    let policy = node.info("maxmemory_policy").expect("INFO tells the policy");
    node.check("CONFIG GET maxmemory-policy nonsense", &format!("[\"maxmemory-policy\", \"{policy}\"]"));
    node.check("CONFIG GET nonsense", "[]");
    node.check("CONFIG GET DATABASES", r#"["DATABASES", "16"]"#);
    node.check("CONFIG GET appendonly", r#"["appendonly", "no"]"#);
    node.check("CONFIG GET save", r#"["save", ""]"#);
    let port = node.address().port();
    node.check("CONFIG GET port", &format!("[\"port\", \"{port}\"]"));
    let dir = node.folder().canonicalize().expect("the folder is there");
    node.check("CONFIG GET dir", &format!("[\"dir\", \"{}\"]", dir.display()));
    let found = pairs(&node.call("CONFIG GET maxmemory* timeout"));
    for name in ["maxmemory", "maxmemory-policy", "maxmemory-samples", "timeout"] {
        assert!(found.contains_key(name), "{found:?} lacks {name}");
    }
    assert!(pairs(&node.call("CONFIG GET *")).len() > 30);
    node.resp3().check("CONFIG GET databases", r#"{"databases": "16"}"#);
}

/// An array of names and values in turn, as a map.
fn pairs(reply: &Reply) -> BTreeMap<String, String> {
    reply.as_slice().expect("an array").chunks(2).map(|pair| (render(&pair[0]), render(&pair[1]))).collect()
}

#[test]
fn config_names_are_those_that_clients_ask_for() {
    let mut node = Node::start();
    let all = pairs(&node.call("CONFIG GET *"));
    for name in [
        "activedefrag",
        "appendfsync",
        "appendonly",
        "bind",
        "client-output-buffer-limit",
        "client-query-buffer-limit",
        "cluster-enabled",
        "databases",
        "dir",
        "hz",
        "io-threads",
        "latency-monitor-threshold",
        "lazyfree-lazy-eviction",
        "lazyfree-lazy-expire",
        "lazyfree-lazy-server-del",
        "lazyfree-lazy-user-del",
        "lfu-decay-time",
        "lfu-log-factor",
        "list-max-listpack-size",
        "loglevel",
        "maxclients",
        "maxmemory",
        "maxmemory-policy",
        "maxmemory-samples",
        "notify-keyspace-events",
        "port",
        "proto-max-bulk-len",
        "protected-mode",
        "repl-backlog-size",
        "requirepass",
        "save",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "tcp-backlog",
        "tcp-keepalive",
        "timeout",
    ] {
        assert!(all.contains_key(name), "CONFIG GET lacks {name}");
    }
}

#[test]
fn config_set_changes_many_at_once_or_none() {
    let mut node = Node::start();
    node.check("CONFIG SET maxmemory 100mb timeout 300", "OK");
    node.check("CONFIG GET maxmemory", r#"["maxmemory", "104857600"]"#);
    node.check("CONFIG GET timeout", r#"["timeout", "300"]"#);
    node.check("CONFIG SET MaxMemory 1gb", "OK");
    node.check("CONFIG GET maxmemory", r#"["maxmemory", "1073741824"]"#);
    node.check(
        "CONFIG SET timeout 5 maxmemory x",
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value",
    );
    node.check("CONFIG GET timeout", r#"["timeout", "300"]"#);
    for (text, bytes) in [
        ("1000", 1000),
        ("1k", 1000),
        ("1kb", 1024),
        ("1m", 1_000_000),
        ("2MB", 2_097_152),
        ("1g", 1_000_000_000),
        ("0", 0),
        ("5b", 5),
    ] {
        node.check(&format!("CONFIG SET maxmemory {text}"), "OK");
        node.check("CONFIG GET maxmemory", &format!("[\"maxmemory\", \"{bytes}\"]"));
    }
    for policy in [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ] {
        node.check(&format!("CONFIG SET maxmemory-policy {policy}"), "OK");
        node.check("CONFIG GET maxmemory-policy", &format!("[\"maxmemory-policy\", \"{policy}\"]"));
    }
}

#[test]
fn config_set_names_what_is_wrong() {
    let mut node = Node::start();
    let failed =
        |name: &str, why: &str| format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}");
    node.check("CONFIG SET nonsense 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'");
    node.check(
        "CONFIG SET timeout 1 nonsense 1",
        "ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'",
    );
    node.check("CONFIG SET timeout 1 maxmemory", SYNTAX);
    node.check("CONFIG SET timeout 1 timeout 2", &failed("timeout", "duplicate parameter"));
    node.check("CONFIG SET databases 3", &failed("databases", "can't set immutable config"));
    node.check("CONFIG SET timeout x", &failed("timeout", "argument couldn't be parsed into an integer"));
    node.check("CONFIG SET timeout -1", &failed("timeout", "argument must be between 0 and 2147483647 inclusive"));
    node.check("CONFIG SET maxclients 0", &failed("maxclients", "argument must be between 1 and 4294967295 inclusive"));
    node.check("CONFIG SET protected-mode maybe", &failed("protected-mode", "argument must be 'yes' or 'no'"));
    node.check("CONFIG SET maxmemory -1x", &failed("maxmemory", "argument must be a memory value"));
    node.check_matches(
        "CONFIG SET maxmemory-policy nonsense",
        &failed("maxmemory-policy", "argument(s) must be one of the following: *volatile-lru, *noeviction*"),
    );
}

#[test]
fn config_rewrite_needs_a_file() {
    let mut node = Node::start();
    node.check("CONFIG REWRITE", "ERR The server is running without a config file");
}

#[test]
fn slowlog_keeps_what_was_slow() {
    let mut node = Node::start();
    node.check("SLOWLOG LEN", "0");
    node.check("SLOWLOG GET", "[]");
    node.check("CLIENT SETNAME slow", "OK");
    node.check("CONFIG SET slowlog-log-slower-than 0", "OK");
    node.check("SET k v", "OK");
    node.check(&format!("GET {}", "x".repeat(200)), "nil");
    node.check("CONFIG SET slowlog-log-slower-than -1", "OK");
    node.check("PING", "PONG");
    let shortened = "x".repeat(128);
    node.check_matches(
        "SLOWLOG GET 2",
        &format!(
            "[[2, 1#, #, [\"GET\", \"{shortened}... (72 more bytes)\"], \"127.0.0.1:#\", \"slow\"], \
             [1, 1#, #, [\"SET\", \"k\", \"v\"], \"127.0.0.1:#\", \"slow\"]]"
        ),
    );
    node.check("SLOWLOG LEN", "3");
    node.check_matches("SLOWLOG GET 1", "[[2, *]]");
    assert_eq!(node.call("SLOWLOG GET -1").as_slice().map(<[Reply]>::len), Some(3));
    assert_eq!(node.call("SLOWLOG GET 0").as_slice().map(<[Reply]>::len), Some(0));
    node.check("SLOWLOG RESET", "OK");
    node.check("SLOWLOG LEN", "0");
    node.check("SLOWLOG GET 1 2", "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.");
    node.check_all(&["SLOWLOG GET -2", "SLOWLOG GET x"], "ERR count should be greater than or equal to -1");
}

#[test]
fn slowlog_has_a_length() {
    let mut node = Node::start();
    node.check("CONFIG SET slowlog-max-len 3 slowlog-log-slower-than 0", "OK");
    (0..10).for_each(|_| node.check("PING", "PONG"));
    node.check("SLOWLOG LEN", "3");
    node.check(&format!("ECHO {}", "a ".repeat(40)), &arity("echo"));
    node.check(&format!("DEL {}", "a ".repeat(40)), "0");
    node.check_matches("SLOWLOG GET 1", "[[*\"... (10 more arguments)\"], *]]");
}

#[test]
fn latency_starts_empty() {
    let mut node = Node::start();
    node.check("LATENCY LATEST", "[]");
    node.check("LATENCY HISTORY command", "[]");
    node.check("LATENCY RESET", "0");
    node.check("LATENCY RESET command fork", "0");
    node.check("LATENCY GRAPH command", "ERR No samples available for event 'command'");
    node.check("LATENCY HISTOGRAM nonsense", "[]");
    assert!(matches!(node.call("LATENCY DOCTOR"), Reply::Bulk(_) | Reply::Verbatim { .. }));
}

#[test]
fn latency_notes_slow_commands() {
    let mut node = Node::start();
    node.check("CONFIG SET latency-monitor-threshold 10", "OK");
    node.check("DEBUG SLEEP 0.02", "OK");
    node.check_matches("LATENCY LATEST", r#"[["command", 1#, #, #]]"#);
    node.check_matches("LATENCY HISTORY command", "[[1#, #]]");
    node.check_matches("LATENCY GRAPH command", "command - high # ms, low # ms (all time high # ms)*");
    node.check("LATENCY RESET command", "1");
    node.check("LATENCY LATEST", "[]");
}

#[test]
fn latency_histogram_counts_calls() {
    let mut node = Node::start();
    (0..5).for_each(|_| node.check("SET k v", "OK"));
    node.check_matches("LATENCY HISTOGRAM set", r#"["set", ["calls", 5, "histogram_usec", [*#, 5]]]"#);
    node.resp3().check_matches("LATENCY HISTOGRAM set", r#"{"set": {"calls": 5, "histogram_usec": {*#: 5}}}"#);
}

#[test]
fn monitor_shows_what_others_do() {
    let mut node = Node::start();
    let mut monitor = node.connect();
    monitor.check("MONITOR", "OK");
    node.check("SET k v", "OK");
    monitor.expect_matches(r#"1#.# [0 127.0.0.1:#] "SET" "k" "v""#);
    node.check("SELECT 2", "OK");
    monitor.expect_matches(r#"1#.# [* 127.0.0.1:#] "SELECT" "2""#);
    node.check(r#"GET "a\"\\\n\x00\xff""#, "nil");
    let quoted = r#""a\\"\\\\\\n\\x00\\xff""#.replace('\\', r"\\");
    monitor.expect_matches(&format!("1#.# [2 127.0.0.1:#] \"GET\" {quoted}"));
    let mut resetting = node.connect();
    resetting.check("MONITOR", "OK");
    resetting.send("RESET");
    resetting.expect("RESET");
}

#[test]
fn monitor_hides_passwords() {
    let mut node = Node::start();
    let mut monitor = node.connect();
    monitor.check("MONITOR", "OK");
    node.check("AUTH default topsecret", "OK");
    node.check_matches("HELLO 2 AUTH default topsecret", "[*]");
    node.check("CONFIG SET requirepass topsecret", "OK");
    node.check("PING", "PONG");
    let mut seen = String::new();
    while !seen.contains("PING") {
        seen = render(&monitor.connection().receive().expect("the monitor is served"));
        assert!(!seen.contains("topsecret"), "{seen}");
    }
}

#[test]
fn command_describes_commands() {
    let mut node = Node::start();
    let count = node.int("COMMAND COUNT");
    assert!(count > 80, "{count} commands");
    let all = node.call("COMMAND");
    assert_eq!(all.as_slice().map(|all| all.len() as i64), Some(count));
    for entry in all.as_slice().expect("an array") {
        assert_eq!(entry.as_slice().map(<[Reply]>::len), Some(10), "{}", render(entry));
    }
    assert_eq!(node.call("COMMAND INFO").as_slice().map(|all| all.len() as i64), Some(count));
    node.check("COMMAND INFO nonsense", "[nil]");
    node.check(
        "COMMAND INFO get",
        r#"[["get", 2, [readonly, fast], 1, 1, 1, [@read, @string, @fast], [], [["flags", [RO, access], "begin_search", ["type", "index", "spec", ["index", 1]], "find_keys", ["type", "range", "spec", ["lastkey", 0, "keystep", 1, "limit", 0]]]], []]]"#,
    );
    node.check_matches(
        "COMMAND INFO mset",
        r#"[["mset", -3, [write, denyoom], 1, -1, 2, [@write, @string, @slow], *]]"#,
    );
    node.check_matches(
        "COMMAND INFO PING nonsense set",
        r#"[["ping", -1, [fast], 0, 0, 0, [@fast, @connection], *], nil, ["set", -3, *]]"#,
    );
    node.check_matches("COMMAND INFO client|kill", r#"[["client|kill", -3, *]]"#);
    node.check_matches("COMMAND INFO client", r#"[["client", -2, [], 0, 0, 0, [@slow], [], [], [*["client|*]]]"#);
    node.resp3().check_matches(
        "COMMAND INFO get",
        r#"[["get", 2, ~[readonly, fast], 1, 1, 1, ~[@read, @string, @fast], *{"flags": ~[RO, access], *]]"#,
    );
}

/// Arity, first key, last key and step of the commands of strings and keys, as the reference has them.
#[test]
fn command_knows_where_keys_are() {
    let mut node = Node::start();
    for (command, arity, [first, last, step]) in [
        ("append", 3, [1, 1, 1]),
        ("copy", -3, [1, 2, 1]),
        ("decr", 2, [1, 1, 1]),
        ("del", -2, [1, -1, 1]),
        ("dbsize", 1, [0, 0, 0]),
        ("dump", 2, [1, 1, 1]),
        ("exists", -2, [1, -1, 1]),
        ("expire", -3, [1, 1, 1]),
        ("flushall", -1, [0, 0, 0]),
        ("getex", -2, [1, 1, 1]),
        ("incrbyfloat", 3, [1, 1, 1]),
        ("keys", 2, [0, 0, 0]),
        ("lcs", -3, [1, 2, 1]),
        ("mget", -2, [1, -1, 1]),
        ("msetnx", -3, [1, -1, 2]),
        ("move", 3, [1, 1, 1]),
        ("object|encoding", 3, [2, 2, 1]),
        ("psetex", 4, [1, 1, 1]),
        ("rename", 3, [1, 2, 1]),
        ("restore", -4, [1, 1, 1]),
        ("scan", -2, [0, 0, 0]),
        ("setrange", 4, [1, 1, 1]),
        ("substr", 4, [1, 1, 1]),
        ("touch", -2, [1, -1, 1]),
        ("ttl", 2, [1, 1, 1]),
        ("memory|usage", -3, [2, 2, 1]),
        ("select", 2, [0, 0, 0]),
        ("shutdown", -1, [0, 0, 0]),
    ] {
        node.check_matches(
            &format!("COMMAND INFO {command}"),
            &format!("[[\"{command}\", {arity}, [*], {first}, {last}, {step}, *]]"),
        );
    }
}

#[test]
fn command_list_filters() {
    let mut node = Node::start();
    let count = node.int("COMMAND COUNT");
    assert!(node.call("COMMAND LIST").as_slice().is_some_and(|all| all.len() as i64 >= count));
    node.check_unordered("COMMAND LIST FILTERBY PATTERN getr*", &["getrange"]);
    node.check_unordered("COMMAND LIST filterby pattern GETR*", &["getrange"]);
    node.check_unordered("COMMAND LIST FILTERBY PATTERN config|*et", &["config|get", "config|set"]);
    node.check("COMMAND LIST FILTERBY MODULE nonsense", "[]");
    node.check("COMMAND LIST FILTERBY ACLCAT nonsense", "[]");
    assert!(node.call("COMMAND LIST FILTERBY ACLCAT string").as_slice().is_some_and(|list| list.len() >= 22));
    node.check_all(
        &["COMMAND LIST nonsense", "COMMAND LIST FILTERBY nonsense x", "COMMAND LIST FILTERBY PATTERN"],
        SYNTAX,
    );
}

#[test]
fn command_getkeys_finds_keys() {
    let mut node = Node::start();
    node.check("COMMAND GETKEYS set a b", r#"["a"]"#);
    node.check("COMMAND GETKEYS MSET a 1 b 2", r#"["a", "b"]"#);
    node.check("COMMAND GETKEYS del a b c", r#"["a", "b", "c"]"#);
    node.check("COMMAND GETKEYS object encoding k", r#"["k"]"#);
    node.check("COMMAND GETKEYSANDFLAGS set a b", r#"[["a", [OW, update]]]"#);
    node.check("COMMAND GETKEYSANDFLAGS set a b GET", r#"[["a", [RW, access, update]]]"#);
    node.check("COMMAND GETKEYSANDFLAGS copy a b", r#"[["a", [RO, access]], ["b", [OW, update]]]"#);
    node.check("COMMAND GETKEYSANDFLAGS del a", r#"[["a", [RM, delete]]]"#);
    node.check("COMMAND GETKEYSANDFLAGS exists a", r#"[["a", [RO]]]"#);
    for command in ["GETKEYS", "GETKEYSANDFLAGS"] {
        node.check(&format!("COMMAND {command} nonsense a"), "ERR Invalid command specified");
        node.check(&format!("COMMAND {command} dbsize x"), "ERR The command has no key arguments");
        node.check(&format!("COMMAND {command} ping x"), "ERR The command has no key arguments");
        node.check(&format!("COMMAND {command} get a b"), "ERR Invalid number of arguments specified for command");
    }
}

#[test]
fn command_docs_explain() {
    let mut node = Node::start();
    node.check("COMMAND DOCS nonsense", "[]");
    node.check_matches("COMMAND DOCS get", r#"["get", ["summary", "*", "since", "1.0.0", "group", "string", "complexity", "O(1)", *"arguments", [["name", "key", "type", "key", *"key_spec_index", 0]]]]"#);
    node.resp3().check_matches(
        "COMMAND DOCS get",
        r#"{"get": {"summary": "*", "since": "1.0.0", *"arguments": [{"name": "key", *}]}}"#,
    );
    let all = node.call("COMMAND DOCS");
    assert!(all.as_slice().is_some_and(|all| all.len() as i64 == 2 * node.int("COMMAND COUNT")));
}

#[test]
fn debug_does_what_test_suites_call() {
    let mut node = Node::start();
    node.check("DEBUG SLEEP 0", "OK");
    node.check_all(&["DEBUG SET-ACTIVE-EXPIRE 0", "DEBUG SET-ACTIVE-EXPIRE 1"], "OK");
    node.check_all(&["DEBUG CHANGE-REPL-ID", "DEBUG QUICKLIST-PACKED-THRESHOLD 100"], "OK");
    node.check("DEBUG OBJECT absent", NO_SUCH_KEY);
    node.check("SET k v", "OK");
    node.check_matches(
        "DEBUG OBJECT k",
        "Value at:0x* refcount:1 encoding:embstr serializedlength:2 lru:# lru_seconds_idle:#",
    );
}

#[test]
fn debug_sleep_holds_the_server() {
    let mut node = Node::start();
    let start = std::time::Instant::now();
    node.check("DEBUG SLEEP 0.05", "OK");
    assert!(start.elapsed().as_millis() >= 50);
}

#[test]
fn debug_needs_permission() {
    let mut node = Node::start_with(&[("--enable-debug-command", "no")]);
    node.check(
        "DEBUG SLEEP 0",
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
         local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
    );
}

#[test]
fn shutdown_ends_the_server_cleanly() {
    for line in ["SHUTDOWN", "SHUTDOWN NOSAVE", "shutdown nosave now force"] {
        let mut node = Node::start();
        let mut other = node.connect();
        other.check("PING", "PONG");
        node.send(line);
        node.expect_closed();
        other.expect_closed();
        assert!(node.wait_for_exit().success(), "{line}");
    }
}

#[test]
fn shutdown_refuses_what_it_cannot_mean() {
    let mut node = Node::start();
    node.check_all(&["SHUTDOWN nonsense", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"], SYNTAX);
    node.check("SHUTDOWN ABORT", "ERR No shutdown in progress.");
    node.check("PING", "PONG");
}

#[test]
fn cluster_commands_say_that_there_is_no_cluster() {
    let mut node = Node::start();
    node.check_all(
        &["READONLY", "READWRITE", "ASKING", "CLUSTER INFO", "CLUSTER SLOTS", "CLUSTER KEYSLOT k"],
        "ERR This instance has cluster support disabled",
    );
}

#[test]
fn larder_tells_its_own_version() {
    let Some(mut node) = Node::larder() else { return };
    assert_eq!(node.info("larder_version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert!(node.redis_version().starts_with("7.2."), "{}", node.redis_version());
}

#[test]
fn larder_has_an_eviction_policy_of_its_own() {
    let Some(mut node) = Node::larder() else { return };
    node.check("CONFIG GET maxmemory-policy", r#"["maxmemory-policy", "allkeys-larder"]"#);
    node.check("CONFIG SET maxmemory-policy noeviction", "OK");
    node.check("CONFIG SET maxmemory-policy allkeys-larder", "OK");
    assert_eq!(node.info("maxmemory_policy").as_deref(), Some("allkeys-larder"));
}

#[test]
fn sigterm_ends_the_server_cleanly() {
    let mut node = Node::start();
    node.check("SET k v", "OK");
    node.terminate();
    assert!(node.wait_for_exit().success());
    node.expect_closed();
}
