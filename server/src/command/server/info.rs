//! `INFO`: what the node tells of itself, with the names and in the order that monitors know from Redis.
//!
//! Counters of what happened are in `counts.rs`.

use super::counts;
use super::fields::{Fields, human};
use super::usage::Usage;
use super::*;
use crate::command::clients::Client;
use crate::command::replication;
use crate::observe::process::{self, Whose};
use crate::store::Totals;
use std::cell::OnceCell;

pub const INFO: Command = Command {
    name: "INFO",
    run: info,
    summary: "Returns what the node tells of itself, in sections.",
    args: &[text("section").optional().many()],
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::DANGEROUS),
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..SERVER
};

/// The version whose behaviour clients find.
pub const REDIS_VERSION: &str = "7.2.5";

fn info(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let asked: Vec<&[u8]> = args.rest().collect();
    let told = Told::new(cx);
    let mut fields = Fields::default();
    SECTIONS.iter().filter(|section| section.is_among(&asked)).for_each(|section| (section.write)(&told, &mut fields));
    let text = fields.text;
    cx.reply.verbatim(&text);
    REPLIED
}

/// What the sections are written from. Sums over all stripes are made once, if a section asks for them.
pub struct Told<'a> {
    pub node: &'a Shared,
    pub now_ms: u64,
    totals: OnceCell<Totals>,
}

impl<'a> Told<'a> {
    pub fn new(cx: &Ctx<'a>) -> Told<'a> {
        Told { node: cx.node, now_ms: cx.now_ms(), totals: OnceCell::new() }
    }

    pub fn totals(&self) -> &Totals {
        self.totals.get_or_init(|| self.node.store.totals())
    }
}

struct Section {
    name: &'static str,
    /// Whether it is shown when nobody says which.
    is_usual: bool,
    write: fn(&Told<'_>, &mut Fields),
}

impl Section {
    fn is_among(&self, asked: &[&[u8]]) -> bool {
        let is_asked = |word: &&[u8]| {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            is(self.name) || is("all") || is("everything") || self.is_usual && is("default")
        };
        asked.iter().any(is_asked) || asked.is_empty() && self.is_usual
    }
}

const fn usual(name: &'static str, write: fn(&Told<'_>, &mut Fields)) -> Section {
    Section { name, is_usual: true, write }
}

const fn asked(name: &'static str, write: fn(&Told<'_>, &mut Fields)) -> Section {
    Section { name, is_usual: false, write }
}

const SECTIONS: [Section; 15] = [
    usual("server", server),
    usual("clients", clients),
    usual("memory", memory),
    usual("persistence", counts::persistence),
    usual("stats", counts::stats),
    usual("replication", tell_replication),
    usual("cpu", cpu),
    usual("modules", |_, fields| fields.section("Modules")),
    asked("commandstats", counts::commands),
    usual("errorstats", counts::errors),
    asked("latencystats", counts::latencies),
    usual("cluster", cluster),
    usual("keyspace", keyspace),
    usual("rules", rules),
    usual("warm", warm),
];

fn server(told: &Told<'_>, fields: &mut Fields) {
    let node = told.node;
    let uptime_s = node.started.elapsed().as_secs();
    let hz = settings::text(node, "hz");
    fields.section("Server");
    fields.put("redis_version", REDIS_VERSION);
    fields.put("larder_version", env!("CARGO_PKG_VERSION"));
    fields.put_all(&[("redis_git_sha1", "00000000"), ("redis_git_dirty", "0"), ("redis_build_id", "0")]);
    fields.put("redis_mode", node.cluster.mode());
    fields.put("os", process::system());
    fields.put("arch_bits", usize::BITS);
    fields.put("monotonic_clock", "POSIX clock_gettime");
    fields.put("multiplexing_api", if cfg!(target_os = "linux") { "epoll" } else { "kqueue" });
    fields.put_all(&[("atomicvar_api", "rust-std"), ("gcc_version", "0.0.0")]);
    fields.put("process_id", std::process::id());
    fields.put("process_supervised", "no");
    fields.put("run_id", &node.run_id);
    fields.put("tcp_port", node.port);
    fields.put("server_time_usec", told.now_ms * 1000);
    fields.put("uptime_in_seconds", uptime_s);
    fields.put("uptime_in_days", uptime_s / 86_400);
    fields.put("hz", &hz);
    fields.put("configured_hz", &hz);
    // Redis counts seconds in 24 bits here.
    fields.put("lru_clock", (told.now_ms / 1000) & 0xFF_FFFF);
    let executable = std::env::current_exe().unwrap_or_default();
    fields.put("executable", executable.display());
    fields.put("config_file", settings::file(node));
    fields.put("io_threads_active", u8::from(node.workers > 1));
    let binds = settings::text(node, "bind");
    let binds: Vec<String> = binds.split_whitespace().map(|address| format!("bind={address}")).collect();
    fields.put("listener0", format_args!("name=tcp,{},port={}", binds.join(","), node.port));
    fields.put("larder_workers", node.workers);
}

/// What all rules have done together; `CACHE.STATS` tells of each.
fn rules(told: &Told<'_>, fields: &mut Fields) {
    let rules = told.node.rules.all();
    fields.section("Rules");
    fields.put("larder_rules", rules.len());
    let sums = rules.iter().map(|rule| rule.counts.all()).reduce(|mut sums, counts| {
        sums.iter_mut().zip(counts).for_each(|((_, sum), (_, count))| *sum += count);
        sums
    });
    for (name, sum) in sums.into_iter().flatten() {
        fields.put(&format!("larder_rules_{name}"), sum);
    }
}

/// The hottest keys: whether they are there again, and the last list of them.
fn warm(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Warm");
    for (name, value) in told.node.warm.told() {
        fields.put(&format!("larder_warm_{}", name.replace('-', "_")), value);
    }
}

fn clients(told: &Told<'_>, fields: &mut Fields) {
    let all = told.node.clients.all();
    let most = |bytes: fn(&Client) -> u64| all.iter().map(|client| bytes(client)).max();
    fields.section("Clients");
    fields.put("connected_clients", all.len());
    fields.put("cluster_connections", 0);
    fields.put("maxclients", settings::text(told.node, "maxclients"));
    let input_bytes = most(|client| client.input_bytes.load(Relaxed));
    let output_bytes = most(|client| client.output_bytes.load(Relaxed));
    fields.put("client_recent_max_input_buffer", input_bytes.unwrap_or(0));
    fields.put("client_recent_max_output_buffer", output_bytes.unwrap_or(0));
    fields.put("blocked_clients", all.iter().filter(|client| client.is_blocked()).count());
    fields.put("tracking_clients", all.iter().filter(|client| client.tracked.is_on()).count());
    fields.put("pubsub_clients", told.node.pubsub.clients());
    fields.put("clients_in_timeout_table", all.iter().filter(|client| client.is_blocked_for_a_time()).count());
    let (waited_for, of_groups) = told.node.audience.waited_for();
    fields.put("total_blocking_keys", waited_for);
    fields.put("total_blocking_keys_on_nokey", of_groups);
    fields.put("larder_monitor_clients", told.node.monitors.load(Relaxed));
}

fn memory(told: &Told<'_>, fields: &mut Fields) {
    let usage = Usage::of(told.node, told.totals());
    fields.section("Memory");
    memory_used(&usage, fields);
    memory_of_scripts(fields);
    let memory_max = told.node.store.memory_max();
    fields.put_bytes("maxmemory", memory_max);
    fields.put("maxmemory_policy", told.node.store.eviction().name());
    memory_ratios(&usage, fields);
    fields.put_all(&[
        ("mem_not_counted_for_evict", "0"),
        ("mem_replication_backlog", "0"),
        ("mem_total_replication_buffers", "0"),
        ("mem_clients_slaves", "0"),
    ]);
    fields.put("mem_clients_normal", usage.clients);
    fields.put_all(&[
        ("mem_cluster_links", "0"),
        ("mem_aof_buffer", "0"),
        ("mem_allocator", "mimalloc"),
        ("active_defrag_running", "0"),
        ("lazyfree_pending_objects", "0"),
        ("lazyfreed_objects", "0"),
    ]);
    fields.put("larder_arena_live_bytes", usage.live);
    fields.put("larder_arena_hole_bytes", usage.holes);
    fields.put("larder_index_bytes", usage.index);
}

fn memory_used(usage: &Usage, fields: &mut Fields) {
    fields.put_bytes("used_memory", usage.used);
    fields.put_bytes("used_memory_rss", usage.resident);
    fields.put_bytes("used_memory_peak", usage.peak);
    fields.put("used_memory_peak_perc", format_args!("{:.2}%", usage.peak_percent()));
    fields.put("used_memory_overhead", usage.overhead());
    fields.put("used_memory_startup", 0);
    fields.put("used_memory_dataset", usage.dataset());
    fields.put("used_memory_dataset_perc", format_args!("{:.2}%", usage.dataset_percent()));
    fields.put("allocator_allocated", usage.allocated());
    fields.put("allocator_active", usage.used);
    fields.put("allocator_resident", usage.resident);
    fields.put_bytes("total_system_memory", process::machine_bytes());
}

fn memory_of_scripts(fields: &mut Fields) {
    fields.put_all(&[
        ("used_memory_lua", "0"),
        ("used_memory_vm_eval", "0"),
        ("used_memory_lua_human", "0B"),
        ("used_memory_scripts_eval", "0"),
        ("number_of_cached_scripts", "0"),
        ("number_of_functions", "0"),
        ("number_of_libraries", "0"),
        ("used_memory_vm_functions", "0"),
        ("used_memory_vm_total", "0"),
    ]);
    fields.put("used_memory_vm_total_human", human(0));
    fields.put("used_memory_functions", 0);
    fields.put_bytes("used_memory_scripts", 0);
}

fn memory_ratios(usage: &Usage, fields: &mut Fields) {
    fields.put("allocator_frag_ratio", format_args!("{:.2}", usage.hole_ratio()));
    fields.put("allocator_frag_bytes", usage.holes);
    fields.put("allocator_rss_ratio", format_args!("{:.2}", usage.resident_ratio()));
    fields.put("allocator_rss_bytes", usage.resident_excess());
    fields.put_all(&[("rss_overhead_ratio", "1.00"), ("rss_overhead_bytes", "0")]);
    fields.put("mem_fragmentation_ratio", format_args!("{:.2}", usage.resident_ratio()));
    fields.put("mem_fragmentation_bytes", usage.resident_excess());
}

fn tell_replication(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Replication");
    replication::fill_info(told.node, &mut |name, value| fields.put(name, value));
}

fn cpu(_: &Told<'_>, fields: &mut Fields) {
    fields.section("CPU");
    // The "main thread" of Redis is the one that runs commands; here that is the worker that answers.
    for (whose, suffix) in [(Whose::Process, ""), (Whose::Children, "_children"), (Whose::Thread, "_main_thread")] {
        let cpu = process::cpu(whose);
        fields.put(&format!("used_cpu_sys{suffix}"), format_args!("{:.6}", cpu.system.as_secs_f64()));
        fields.put(&format!("used_cpu_user{suffix}"), format_args!("{:.6}", cpu.user.as_secs_f64()));
    }
}

fn cluster(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Cluster");
    fields.put("cluster_enabled", u8::from(told.node.cluster.is_on()));
}

fn keyspace(told: &Told<'_>, fields: &mut Fields) {
    fields.section("Keyspace");
    let totals = told.totals();
    for db in (0..DATABASES).filter(|&db| totals.keys[db] > 0) {
        let (keys, expires) = (totals.keys[db], totals.expiring[db]);
        let avg_ttl = if expires > 0 { told.node.store.mean_ttl_ms(db, told.now_ms) } else { 0 };
        fields.put(&format!("db{db}"), format_args!("keys={keys},expires={expires},avg_ttl={avg_ttl}"));
    }
}
