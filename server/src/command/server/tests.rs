//! The commands of this group, asked as a client asks them. Replies were compared with those of a Redis server.

use crate::command::testing::Desk;
use crate::command::{dispatch, table};
use crate::store::{Eviction, Options};
use std::sync::atomic::Ordering::Relaxed;

fn fields_of(reply: &str, section: &str) -> Vec<String> {
    let lines = reply.lines().skip_while(|line| *line != format!("# {section}")).skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

fn value_of(reply: &str, field: &str) -> String {
    let line = reply.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("INFO has no {field}")).to_owned()
}

/// The fields of Redis 7.2 in its order, which exporters and clients read.
const REDIS_FIELDS: &[(&str, &str)] = &[
    (
        "Server",
        "redis_version redis_git_sha1 redis_git_dirty redis_build_id redis_mode os arch_bits monotonic_clock \
         multiplexing_api atomicvar_api gcc_version process_id process_supervised run_id tcp_port server_time_usec \
         uptime_in_seconds uptime_in_days hz configured_hz lru_clock executable config_file io_threads_active listener0",
    ),
    (
        "Clients",
        "connected_clients cluster_connections maxclients client_recent_max_input_buffer \
         client_recent_max_output_buffer blocked_clients tracking_clients pubsub_clients clients_in_timeout_table \
         total_blocking_keys total_blocking_keys_on_nokey",
    ),
    (
        "Memory",
        "used_memory used_memory_human used_memory_rss used_memory_rss_human used_memory_peak used_memory_peak_human \
         used_memory_peak_perc used_memory_overhead used_memory_startup used_memory_dataset used_memory_dataset_perc \
         allocator_allocated allocator_active allocator_resident total_system_memory total_system_memory_human \
         used_memory_lua used_memory_vm_eval used_memory_lua_human used_memory_scripts_eval number_of_cached_scripts \
         number_of_functions number_of_libraries used_memory_vm_functions used_memory_vm_total \
         used_memory_vm_total_human used_memory_functions used_memory_scripts used_memory_scripts_human maxmemory \
         maxmemory_human maxmemory_policy allocator_frag_ratio allocator_frag_bytes allocator_rss_ratio \
         allocator_rss_bytes rss_overhead_ratio rss_overhead_bytes mem_fragmentation_ratio mem_fragmentation_bytes \
         mem_not_counted_for_evict mem_replication_backlog mem_total_replication_buffers mem_clients_slaves \
         mem_clients_normal mem_cluster_links mem_aof_buffer mem_allocator active_defrag_running \
         lazyfree_pending_objects lazyfreed_objects",
    ),
    (
        "Persistence",
        "loading async_loading current_cow_peak current_cow_size current_cow_size_age current_fork_perc \
         current_save_keys_processed current_save_keys_total rdb_changes_since_last_save rdb_bgsave_in_progress \
         rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec rdb_current_bgsave_time_sec rdb_saves \
         rdb_last_cow_size rdb_last_load_keys_expired rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress \
         aof_rewrite_scheduled aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_bgrewrite_status \
         aof_rewrites aof_rewrites_consecutive_failures aof_last_write_status aof_last_cow_size module_fork_in_progress \
         module_fork_last_cow_size",
    ),
    (
        "Stats",
        "total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes \
         total_net_output_bytes total_net_repl_input_bytes total_net_repl_output_bytes instantaneous_input_kbps \
         instantaneous_output_kbps instantaneous_input_repl_kbps instantaneous_output_repl_kbps rejected_connections \
         sync_full sync_partial_ok sync_partial_err expired_keys expired_stale_perc expired_time_cap_reached_count \
         expire_cycle_cpu_milliseconds evicted_keys evicted_clients total_eviction_exceeded_time \
         current_eviction_exceeded_time keyspace_hits keyspace_misses pubsub_channels pubsub_patterns \
         pubsubshard_channels latest_fork_usec total_forks migrate_cached_sockets slave_expires_tracked_keys \
         active_defrag_hits active_defrag_misses active_defrag_key_hits active_defrag_key_misses \
         total_active_defrag_time current_active_defrag_time tracking_total_keys tracking_total_items \
         tracking_total_prefixes unexpected_error_replies total_error_replies dump_payload_sanitizations \
         total_reads_processed total_writes_processed io_threaded_reads_processed io_threaded_writes_processed \
         reply_buffer_shrinks reply_buffer_expands eventloop_cycles eventloop_duration_sum eventloop_duration_cmd_sum \
         instantaneous_eventloop_cycles_per_sec instantaneous_eventloop_duration_usec acl_access_denied_auth \
         acl_access_denied_cmd acl_access_denied_key acl_access_denied_channel",
    ),
    (
        "Replication",
        "role connected_slaves master_failover_state master_replid master_replid2 master_repl_offset \
         second_repl_offset repl_backlog_active repl_backlog_size repl_backlog_first_byte_offset repl_backlog_histlen",
    ),
    (
        "CPU",
        "used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children used_cpu_sys_main_thread \
         used_cpu_user_main_thread",
    ),
    ("Modules", ""),
    ("Errorstats", ""),
    ("Cluster", "cluster_enabled"),
    ("Keyspace", ""),
    // Larder's own comes last.
    ("Rules", ""),
    ("Warm", ""),
];

#[test]
fn info_has_the_fields_of_redis_in_its_order() {
    let info = Desk::new().run("INFO");
    let sections: Vec<&str> = info.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_eq!(sections, REDIS_FIELDS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (section, names) in REDIS_FIELDS {
        let seen = fields_of(&info, section);
        let shared: Vec<&str> = seen.iter().map(String::as_str).filter(|name| !name.starts_with("larder_")).collect();
        assert_eq!(shared, names.split_whitespace().collect::<Vec<_>>(), "{section}");
    }
}

#[test]
fn info_shows_the_sections_that_were_asked_for() {
    let mut desk = Desk::new();
    let mut sections = |line: &str| {
        let reply = desk.run(line);
        reply.lines().filter_map(|line| line.strip_prefix("# ").map(str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sections("INFO Keyspace SERVER"), "Server Keyspace");
    assert_eq!(sections("INFO nosuch"), "");
    assert_eq!(
        sections("INFO default commandstats"),
        "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Cluster Keyspace Rules Warm"
    );
    let all = "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats \
               Cluster Keyspace Rules Warm";
    assert_eq!(sections("INFO all"), all);
    assert_eq!(sections("INFO everything"), all);
    desk.check("INFO nosuch", "$0");
}

#[test]
fn info_tells_what_happened() {
    let mut desk = Desk::new();
    for line in ["SET a 1", "GET a", "GET b", "GET", "SELEKT 1", "SET c 1"] {
        desk.run(line);
    }
    let info = desk.run("INFO everything");
    for (field, value) in [
        ("redis_version", "7.2.5"),
        ("redis_mode", "standalone"),
        ("tcp_port", "6379"),
        ("connected_clients", "1"),
        ("keyspace_hits", "1"),
        ("keyspace_misses", "1"),
        ("rdb_changes_since_last_save", "2"),
        ("errorstat_ERR", "count=2"),
        ("total_error_replies", "2"),
        ("db0", "keys=2,expires=0,avg_ttl=0"),
        ("maxmemory_policy", "allkeys-larder"),
    ] {
        assert_eq!(value_of(&info, field), value, "{field}");
    }
    assert!(value_of(&info, "cmdstat_get").starts_with("calls=2,usec="));
    assert!(value_of(&info, "cmdstat_get").ends_with(",rejected_calls=1,failed_calls=0"));
    assert!(value_of(&info, "latency_percentiles_usec_set").starts_with("p50="));
    assert_eq!(value_of(&info, "master_replid").len(), 40);
    let number = |field: &str| value_of(&info, field).parse::<u64>().unwrap();
    assert_eq!(number("used_memory"), number("used_memory_overhead") + number("used_memory_dataset"));
    assert!(number("used_memory_rss") > 0 && number("used_memory") > 0);
}

#[test]
fn the_reply_of_info_is_text_for_people_in_resp3() {
    let mut desk = Desk::new();
    desk.set_protocol(3);
    assert!(desk.run("INFO cluster").starts_with("=34\r\ntxt:# Cluster\r\n"));
}

#[test]
fn resetting_sets_the_counters_to_zero() {
    let mut desk = Desk::new();
    for line in ["SET a 1", "GET a", "NOPE"] {
        desk.run(line);
    }
    desk.check("CONFIG RESETSTAT", "+OK");
    let info = desk.run("INFO everything");
    for (field, value) in [("keyspace_hits", "0"), ("total_error_replies", "0"), ("rdb_changes_since_last_save", "1")] {
        assert_eq!(value_of(&info, field), value, "{field}");
    }
    assert!(!info.contains("cmdstat_get") && !info.contains("errorstat_"));
}

#[test]
fn databases_are_counted_flushed_and_exchanged() {
    let mut desk = Desk::new();
    for line in ["SET a 1", "SET b 2", "SET c 3"] {
        desk.check(line, "+OK");
    }
    desk.check("DBSIZE", ":3");
    desk.check("SWAPDB 0 5", "+OK");
    desk.check("DBSIZE", ":0");
    desk.check("SET d 4", "+OK");
    desk.check("INFO keyspace", "$76 # Keyspace db0:keys=1,expires=0,avg_ttl=0 db5:keys=3,expires=0,avg_ttl=0");
    desk.check("FLUSHDB SYNC", "+OK");
    desk.check("INFO keyspace", "$44 # Keyspace db5:keys=3,expires=0,avg_ttl=0");
    desk.check("FLUSHALL ASYNC", "+OK");
    desk.check("INFO keyspace", "$12 # Keyspace");
    for (line, refusal) in [
        ("SWAPDB a 1", "-ERR invalid first DB index"),
        ("SWAPDB 0 b", "-ERR invalid second DB index"),
        ("SWAPDB 0 4294967296", "-ERR invalid second DB index"),
        ("SWAPDB 0 99", "-ERR DB index is out of range"),
        ("SWAPDB -1 0", "-ERR DB index is out of range"),
        ("SWAPDB 0", "-ERR wrong number of arguments for 'swapdb' command"),
        ("FLUSHALL foo", "-ERR syntax error"),
        ("FLUSHALL SYNC ASYNC", "-ERR syntax error"),
        ("FLUSHDB SYNC ASYNC", "-ERR syntax error"),
        ("DBSIZE 1", "-ERR wrong number of arguments for 'dbsize' command"),
    ] {
        desk.check(line, refusal);
    }
}

#[test]
fn a_flush_gives_the_memory_back_and_the_store_goes_on() {
    let mut desk = Desk::new();
    let empty = desk.node.store.used_bytes();
    for round in 0..3 {
        for number in 0..2000 {
            desk.run(&format!("SET key:{round}:{number} {}", "x".repeat(100 + number % 7 * 50)));
        }
        let large = vec![b'y'; 400_000];
        desk.call(&[b"SET", b"large", &large]);
        assert!(desk.node.store.used_bytes() > empty + 600_000);
        desk.check("DBSIZE", ":2001");
        desk.check(if round == 1 { "FLUSHDB" } else { "FLUSHALL" }, "+OK");
        desk.check("DBSIZE", ":0");
        assert_eq!(desk.node.store.used_bytes(), empty);
        assert_eq!(desk.node.store.totals().counters.changes, (round + 1) * 4002);
        desk.check("GET large", "$-1");
    }
}

#[test]
fn the_node_tells_its_clock_and_its_role() {
    let mut desk = Desk::new();
    let time = desk.run("TIME");
    let parts: Vec<&str> = time.split("\r\n").collect();
    assert_eq!((parts[0], parts[1], parts[2].len()), ("*2", "$10", 10));
    desk.check("ROLE", "*3 $6 master :0 *0");
    assert!(desk.run("LASTSAVE").starts_with(":1"));
    desk.check("BGSAVE foo", "-ERR syntax error");
    assert!(desk.run("BGREWRITEAOF").starts_with("-ERR BGREWRITEAOF is not supported: "));
}

#[test]
fn shutdown_ends_the_node_without_a_reply() {
    let mut desk = Desk::new();
    for (line, refusal) in [
        ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
        ("SHUTDOWN foo", "-ERR syntax error"),
        ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
        ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
    ] {
        desk.check(line, refusal);
    }
    assert!(!desk.node.is_stopping());
    desk.check("SHUTDOWN NOSAVE NOW FORCE", "");
    assert!(!desk.node.saves_last());
    assert!(desk.node.is_stopping());
    assert_eq!(desk.ended, dispatch::Ended::Close);
}

#[test]
fn a_monitor_sees_what_others_do_until_it_leaves() {
    let mut desk = Desk::new();
    let mut other = desk.again();
    desk.check("MONITOR", "+OK");
    desk.check("MONITOR", "+OK");
    assert_eq!(desk.node.monitors.load(Relaxed), 1);
    other.check("SET a 1", "+OK");
    let seen = String::from_utf8(desk.session.client.take_inbox().unwrap()).unwrap();
    assert!(seen.ends_with("] \"SET\" \"a\" \"1\"\r\n"), "{seen}");
    let node = desk.node.clone();
    desk.session.leave_monitor(&node);
    desk.session.leave_monitor(&node);
    assert_eq!(node.monitors.load(Relaxed), 0);
}

#[test]
fn memory_is_told_by_key_and_in_all() {
    let mut desk = Desk::new();
    desk.check("MEMORY USAGE nokey", "$-1");
    desk.check("SET k v", "+OK");
    let memory: usize = desk.run("MEMORY USAGE k SAMPLES 5").trim()[1..].parse().unwrap();
    assert!((10..64).contains(&memory));
    for (line, refusal) in [
        ("MEMORY USAGE k SAMPLES -1", "-ERR syntax error"),
        ("MEMORY USAGE k SAMPLES a", "-ERR value is not an integer or out of range"),
        ("MEMORY USAGE k SAMPLES", "-ERR syntax error"),
        ("MEMORY USAGE k foo", "-ERR syntax error"),
        ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
        ("MEMORY", "-ERR wrong number of arguments for 'memory' command"),
        ("MEMORY foo", "-ERR unknown subcommand 'foo'. Try MEMORY HELP."),
    ] {
        desk.check(line, refusal);
    }
    desk.check("MEMORY PURGE", "+OK");
    assert!(desk.run("MEMORY DOCTOR").contains("too little"));
    assert!(desk.run("MEMORY MALLOC-STATS").contains("records with their keys"));
    let stats = desk.run("MEMORY STATS");
    let names: Vec<&str> =
        stats.lines().filter(|line| line.contains(['.']) && line.starts_with(char::is_alphabetic)).collect();
    assert_eq!(
        names.join(" "),
        "peak.allocated total.allocated startup.allocated replication.backlog clients.slaves clients.normal \
         cluster.links aof.buffer lua.caches functions.caches db.0 overhead.hashtable.main overhead.hashtable.expires \
         overhead.hashtable.slot-to-keys overhead.total keys.count keys.bytes-per-key dataset.bytes dataset.percentage \
         peak.percentage allocator.allocated allocator.active allocator.resident allocator-fragmentation.ratio \
         allocator-fragmentation.bytes allocator-rss.ratio allocator-rss.bytes rss-overhead.ratio rss-overhead.bytes \
         fragmentation.bytes"
    );
    // Ten fields, a database, and seventeen fields.
    assert!(stats.starts_with("*56\r\n"));
}

#[test]
fn slow_commands_are_logged() {
    let mut desk = Desk::new();
    let tuning = crate::command::tuning::Values { slowlog_micros: 0, ..VALUES };
    desk.node.tuning.set(tuning);
    desk.check("SET a 1", "+OK");
    desk.node.tuning.set(VALUES);
    desk.check("SLOWLOG LEN", ":1");
    let log = desk.run("SLOWLOG GET");
    assert!(log.starts_with("*1\r\n*6\r\n:0\r\n:"), "{log}");
    assert!(log.ends_with("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n$15\r\n127.0.0.1:50001\r\n$0\r\n\r\n"), "{log}");
    desk.check("SLOWLOG GET 0", "*0");
    assert!(desk.run("SLOWLOG GET -1").starts_with("*1"));
    for count in ["-2", "abc", "4294967296"] {
        desk.check(&format!("SLOWLOG GET {count}"), "-ERR count should be greater than or equal to -1");
    }
    desk.check("SLOWLOG RESET", "+OK");
    desk.check("SLOWLOG LEN", ":0");
    desk.check("SLOWLOG foo", "-ERR unknown subcommand 'foo'. Try SLOWLOG HELP.");
}

const VALUES: crate::command::tuning::Values = crate::command::tuning::Values {
    slowlog_micros: -1,
    slowlog_len_max: 128,
    latency_threshold_ms: 0,
    pubsub_output: crate::config::OutputLimit::NONE,
    normal_output: crate::config::OutputLimit::NONE,
    input_max: 1 << 30,
    bulk_len_max: 512 << 20,
    timeout_ms: 0,
    latency_tracking: true,
};

#[test]
fn spikes_and_histograms_are_told() {
    let mut desk = Desk::new();
    desk.check("LATENCY LATEST", "*0");
    desk.check("LATENCY HISTORY command", "*0");
    desk.check("LATENCY GRAPH x", "-ERR No samples available for event 'x'");
    assert!(desk.run("LATENCY DOCTOR").contains("latency-monitor-threshold"));
    desk.node.latency.add("command", 100, 50);
    desk.check("LATENCY LATEST", "*1 *4 $7 command :100 :50 :50");
    desk.check("LATENCY HISTORY command", "*1 *2 :100 :50");
    assert!(desk.run("LATENCY GRAPH command").contains("command - high 50 ms, low 50 ms (all time high 50 ms)"));
    desk.check("LATENCY RESET a b", ":0");
    desk.check("LATENCY RESET", ":1");
    desk.check("LATENCY HISTOGRAM get set nosuch", "*0");
    desk.run("SET a 1");
    desk.run("CONFIG GET x");
    desk.set_protocol(3);
    let histogram = desk.run("LATENCY HISTOGRAM set config nosuch");
    assert!(
        histogram.starts_with("%2\r\n$3\r\nset\r\n%2\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n%1\r\n:"),
        "{histogram}"
    );
    assert!(histogram.contains("$10\r\nconfig|get\r\n"));
    assert!(desk.run("LATENCY HISTOGRAM config|get").starts_with("%1"));
}

#[test]
fn duties_that_let_connections_wait_are_told_as_spikes() {
    use std::time::Duration;
    let mut desk = Desk::new();
    desk.node.note_duty(Duration::from_secs(1));
    desk.check("LATENCY LATEST", "*0");
    desk.node.tuning.set(crate::command::tuning::Values { latency_threshold_ms: 2, ..VALUES });
    desk.node.note_duty(Duration::from_micros(1_999));
    desk.check("LATENCY LATEST", "*0");
    desk.node.note_duty(Duration::from_millis(2));
    assert!(desk.run("LATENCY LATEST").ends_with("\r\n:2\r\n:2\r\n"));
    assert!(desk.run("LATENCY HISTORY expire-cycle").ends_with("\r\n:2\r\n"));
}

#[test]
fn lolwut_draws_and_tells_the_version() {
    let mut desk = Desk::new();
    for line in ["LOLWUT", "LOLWUT VERSION 5 1 2 3 4", "LOLWUT foo"] {
        assert!(desk.run(line).contains("Redis ver. 7.2.5\n"), "{line}");
    }
    desk.check("LOLWUT VERSION abc", "-ERR value is not an integer or out of range");
}

#[test]
fn debug_is_refused_until_it_is_allowed() {
    let refusal = Desk::new().run("DEBUG SLEEP 0");
    assert!(refusal.starts_with("-ERR DEBUG command not allowed. If the enable-debug-command option"));
    debug_desk().check("DEBUG SLEEP 0", "+OK");
}

/// A node whose DEBUG may be called.
fn debug_desk() -> Desk {
    Desk::set_up(Options::default(), &[("enable-debug-command", "local")])
}

#[test]
fn debug_answers_as_test_suites_expect() {
    let mut desk = debug_desk();
    for line in [
        "DEBUG SLEEP abc",
        "DEBUG SLEEP 0.001",
        "DEBUG SET-ACTIVE-EXPIRE x",
        "DEBUG RELOAD NOSAVE",
        "DEBUG JMAP",
        "DEBUG CHANGE-REPL-ID",
        "DEBUG QUICKLIST-PACKED-THRESHOLD 100b",
        "DEBUG REPLYBUFFER RESIZING 1",
        "DEBUG REPLYBUFFER PEAK-RESET-TIME never",
        "DEBUG LOG hello",
        "DEBUG POPULATE 3 p 10",
        "DEBUG PAUSE-CRON 0",
    ] {
        desk.check(line, "+OK");
    }
    assert!(!desk.node.expires_actively.load(Relaxed));
    desk.check("DEBUG SET-ACTIVE-EXPIRE 1", "+OK");
    assert!(desk.node.expires_actively.load(Relaxed));
    desk.check("GET p:2", "$10 value:2\0\0\0");
    desk.check("SET k 12", "+OK");
    assert!(desk.run("DEBUG OBJECT k").contains("refcount:1 encoding:int serializedlength:2 lru:"));
    assert!(desk.run("DEBUG OBJECT p:1").contains("encoding:embstr serializedlength:11 "));
    for (line, reply) in [
        ("DEBUG OBJECT nokey", "-ERR no such key"),
        ("DEBUG OBJECT", "-ERR unknown subcommand or wrong number of arguments for 'OBJECT'. Try DEBUG HELP."),
        ("DEBUG foo", "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP."),
        ("DEBUG ERROR \"MYERR text\"", "-MYERR text"),
        ("DEBUG POPULATE a", "-ERR value is out of range, must be positive"),
        ("DEBUG STRINGMATCH-LEN 3 a*", ":1"),
        ("DEBUG STRINGMATCH-LEN 3 b*", ":0"),
        ("DEBUG HTSTATS 99", "-ERR Out of range database"),
        ("DEBUG HTSTATS a", "-ERR value is not an integer or out of range"),
        (
            "DEBUG QUICKLIST-PACKED-THRESHOLD 99gb",
            "-ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ),
    ] {
        desk.check(line, reply);
    }
}

#[test]
fn debug_shows_every_type_of_the_protocol() {
    let mut desk = debug_desk();
    let map = "%3 :0 #f :1 #t :2 #f";
    for (name, resp2, resp3) in [
        ("string", "$11 Hello World", "$11 Hello World"),
        ("integer", ":12345", ":12345"),
        ("double", "$5 3.141", ",3.141"),
        ("null", "$-1", "_"),
        ("array", "*3 :0 :1 :2", "*3 :0 :1 :2"),
        ("set", "*3 :0 :1 :2", "~3 :0 :1 :2"),
        ("map", "*6 :0 :0 :1 :1 :2 :0", map),
        ("true", ":1", "#t"),
        ("false", ":0", "#f"),
        ("verbatim", "$25 This is a verbatim\nstring", "=29 txt:This is a verbatim\nstring"),
        ("bignum", "$37 1234567999999999999999999999999999999", "(1234567999999999999999999999999999999"),
    ] {
        for (protocol, reply) in [(2, resp2), (3, resp3)] {
            desk.set_protocol(protocol);
            desk.check(&format!("DEBUG PROTOCOL {name}"), reply);
        }
    }
    desk.set_protocol(2);
    desk.check("DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command");
    assert!(desk.run("DEBUG PROTOCOL foo").starts_with("-ERR Wrong protocol type name. Please use one of"));
    desk.set_protocol(3);
    assert!(desk.run("DEBUG PROTOCOL attrib").starts_with("|1\r\n$14\r\nkey-popularity\r\n*2\r\n"));
}

#[test]
fn config_is_read_and_changed() {
    let mut desk = Desk::new();
    desk.check("CONFIG GET maxclients HZ nosuch", "*4 $10 maxclients $5 10000 $2 HZ $2 10");
    desk.check("CONFIG SET maxclients 200 maxmemory 100mb", "+OK");
    desk.check("CONFIG GET maxclients maxmemory", "*4 $10 maxclients $3 200 $9 maxmemory $9 104857600");
    assert_eq!(value_of(&desk.run("INFO clients"), "maxclients"), "200");
    for (line, refusal) in [
        ("CONFIG SET a b", "-ERR Unknown option or number of arguments for CONFIG SET - 'a'"),
        ("CONFIG SET maxmemory", "-ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET maxmemory 1 hz", "-ERR syntax error"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        (
            "CONFIG SET maxmemory foo",
            "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value",
        ),
    ] {
        desk.check(line, refusal);
    }
}

#[test]
fn a_change_of_settings_reaches_those_who_keep_copies() {
    let mut desk = Desk::new();
    desk.check("SET k v", "+OK");
    desk.check("CONFIG SET maxmemory 64mb maxmemory-policy volatile-ttl", "+OK");
    desk.check("CONFIG SET slowlog-log-slower-than 7 latency-monitor-threshold 3 latency-tracking no", "+OK");
    assert_eq!(desk.node.store.memory_max(), 64 << 20);
    assert_eq!(desk.node.store.eviction(), Eviction::VolatileTtl);
    assert!(desk.node.tuning.is_slow(7) && !desk.node.tuning.is_slow(6));
    assert_eq!(desk.node.tuning.latency_threshold_ms(), 3);
    assert!(!desk.node.tuning.tracks_latency());
    desk.check("GET k", "$1 v");
    let info = desk.run("INFO memory");
    assert_eq!(value_of(&info, "maxmemory"), "67108864");
    assert_eq!(value_of(&info, "maxmemory_policy"), "volatile-ttl");
}

#[test]
fn every_policy_of_the_settings_is_one_of_the_store() {
    use crate::config::{EvictionPolicy, Named};
    assert!(EvictionPolicy::ALL.iter().all(|policy| Eviction::named(policy.name()).is_some()));
}

#[test]
fn every_container_helps() {
    let mut desk = debug_desk();
    for name in ["CONFIG", "MEMORY", "SLOWLOG", "LATENCY", "DEBUG"] {
        let help = desk.run(&format!("{name} HELP"));
        assert!(help.contains(&format!("+{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")), "{name}");
        assert!(help.ends_with("+HELP\r\n+    Prints this help.\r\n"), "{name}");
    }
}

/// Arity, flags and categories as Redis's `COMMAND INFO` has them; flags and categories in alphabetical order.
const FACTS: &[(&str, i32, &str, &str)] = &[
    ("info", -1, "loading stale", "@dangerous @slow"),
    ("config|get", -3, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("config|set", -4, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("config|help", 2, "loading stale", "@slow"),
    ("config|rewrite", 2, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("config|resetstat", 2, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("config", -2, "", "@slow"),
    ("dbsize", 1, "fast readonly", "@fast @keyspace @read"),
    ("flushdb", -1, "write", "@dangerous @keyspace @slow @write"),
    ("flushall", -1, "write", "@dangerous @keyspace @slow @write"),
    ("swapdb", 3, "fast write", "@dangerous @fast @keyspace @write"),
    ("time", 1, "fast loading stale", "@fast"),
    ("role", 1, "fast loading noscript stale", "@admin @dangerous @fast"),
    ("lolwut", -1, "fast readonly", "@fast @read"),
    ("memory|usage", -3, "readonly", "@read @slow"),
    ("memory|stats", 2, "", "@slow"),
    ("memory|help", 2, "loading stale", "@slow"),
    ("slowlog|get", -2, "admin loading stale", "@admin @dangerous @slow"),
    ("slowlog|len", 2, "admin loading stale", "@admin @dangerous @slow"),
    ("latency|graph", 3, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("latency|histogram", -2, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("latency|reset", -2, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("monitor", 1, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("debug", -2, "admin loading noscript stale", "@admin @dangerous @slow"),
    ("shutdown", -1, "admin allow_busy loading no_multi noscript stale", "@admin @dangerous @slow"),
    ("save", 1, "admin no_async_loading no_multi noscript", "@admin @dangerous @slow"),
    ("bgsave", -1, "admin no_async_loading noscript", "@admin @dangerous @slow"),
    ("lastsave", 1, "fast loading stale", "@admin @dangerous @fast"),
    ("bgrewriteaof", 1, "admin no_async_loading noscript", "@admin @dangerous @slow"),
    ("replicaof", 3, "admin no_async_loading noscript stale", "@admin @dangerous @slow"),
    ("slaveof", 3, "admin no_async_loading noscript stale", "@admin @dangerous @slow"),
];

#[test]
fn the_rows_state_what_redis_states() {
    for (name, arity, flags, categories) in FACTS {
        let found = table::each().find(|found| found.name == *name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(found.arity, *arity, "{name}");
        let mut seen: Vec<&str> = found.row.flags.names().collect();
        seen.sort_unstable();
        assert_eq!(seen.join(" "), *flags, "{name}");
        let mut seen = found.row.categories();
        seen.sort_unstable();
        assert_eq!(seen.join(" "), *categories, "{name}");
    }
    let usage = table::each().find(|found| found.name == "memory|usage").unwrap();
    assert_eq!((usage.keys.first, usage.keys.last), (2, 2));
}
