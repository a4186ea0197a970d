//! `MEMORY`: where memory is, key by key and in all.

use super::fields::{human, ratio};
use super::info::Told;
use super::usage::Usage;
use super::*;

pub const MEMORY: Command = Command {
    name: "MEMORY",
    summary: "Shows where memory is.",
    complexity: "Depends on subcommand.",
    since: "4.0.0",
    subcommands: &[
        Command {
            name: "DOCTOR",
            run: doctor,
            summary: "Returns what looks wrong with the use of memory, and what to do.",
            tips: SHARDS,
            ..ROW
        },
        Command {
            run: |cx, _| {
                help(
                    cx,
                    "MEMORY",
                    &[
                        "DOCTOR",
                        "    Returns what looks wrong with the use of memory, and what to do.",
                        "MALLOC-STATS",
                        "    Returns what the arenas of the store hold.",
                        "PURGE",
                        "    Gives memory that lies idle back to the system.",
                        "STATS",
                        "    Returns where memory is, as numbers.",
                        "USAGE <key> [SAMPLES <count>]",
                        "    Returns the bytes that <key> and its value take. The number is exact here, so",
                        "    <count> is accepted and changes nothing.",
                    ],
                )
            },
            since: "4.0.0",
            ..HELP
        },
        Command {
            name: "MALLOC-STATS",
            run: malloc_stats,
            summary: "Returns what the arenas of the store hold.",
            tips: SHARDS,
            ..ROW
        },
        Command {
            name: "PURGE",
            run: purge,
            summary: "Gives memory that lies idle back to the system.",
            tips: ALL_SHARDS,
            ..ROW
        },
        Command { name: "STATS", run: stats, summary: "Returns where memory is, as numbers.", tips: SHARDS, ..ROW },
        Command {
            name: "USAGE",
            run: usage,
            summary: "Returns the bytes that a key and its value take.",
            complexity: "O(1)",
            args: &[key("key", crate::command::Usage::Read), int("count").after("SAMPLES").optional()],
            flags: Flags::READONLY,
            // How much a value takes is told without looking at it.
            key_use: KeyUse::Flags(&["RO"]),
            ..ROW
        },
    ],
    ..SERVER
};

const ROW: Command = Command { since: "4.0.0", ..SERVER };

const SHARDS: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

fn usage(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    while !args.is_empty() {
        if !args.take("SAMPLES") || args.is_empty() {
            return Err(Fault::Syntax);
        }
        if args.int()? < 0 {
            return Err(Fault::Syntax);
        }
    }
    match cx.store.peek(key) {
        Some(entry) => cx.reply.len(entry.memory()),
        None => cx.reply.null(),
    }
    REPLIED
}

fn stats(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx);
    let usage = Usage::of(cx.node, told.totals());
    let totals = told.totals();
    let keys: usize = totals.keys.iter().sum();
    let dbs: Vec<usize> = (0..DATABASES).filter(|&db| totals.keys[db] > 0).collect();
    cx.reply.map(BEFORE_DBS.len() + dbs.len() + AFTER_DBS);
    let before = [usage.peak, usage.used, 0, 0, 0, usage.clients, 0, 0, 0, 0];
    for (name, bytes) in BEFORE_DBS.iter().zip(before) {
        put(cx, name, bytes as i64);
    }
    for &db in &dbs {
        database_overhead(cx, db, usage.index, totals.keys[db], keys);
    }
    put(cx, "overhead.total", usage.overhead() as i64);
    put(cx, "keys.count", keys as i64);
    put(cx, "keys.bytes-per-key", usage.used.checked_div(keys as u64).unwrap_or(0) as i64);
    put(cx, "dataset.bytes", usage.dataset() as i64);
    put_ratio(cx, "dataset.percentage", usage.dataset_percent());
    put_ratio(cx, "peak.percentage", usage.peak_percent());
    put(cx, "allocator.allocated", usage.allocated() as i64);
    put(cx, "allocator.active", usage.used as i64);
    put(cx, "allocator.resident", usage.resident as i64);
    put_ratio(cx, "allocator-fragmentation.ratio", usage.hole_ratio());
    put(cx, "allocator-fragmentation.bytes", usage.holes as i64);
    put_ratio(cx, "allocator-rss.ratio", usage.resident_ratio());
    put(cx, "allocator-rss.bytes", usage.resident_excess());
    put_ratio(cx, "rss-overhead.ratio", 1.0);
    put(cx, "rss-overhead.bytes", 0);
    put_ratio(cx, "fragmentation", usage.resident_ratio());
    put(cx, "fragmentation.bytes", usage.resident_excess());
    REPLIED
}

const BEFORE_DBS: [&str; 10] = [
    "peak.allocated",
    "total.allocated",
    "startup.allocated",
    "replication.backlog",
    "clients.slaves",
    "clients.normal",
    "cluster.links",
    "aof.buffer",
    "lua.caches",
    "functions.caches",
];

/// Fields behind those of the databases.
const AFTER_DBS: usize = 17;

/// Databases share the store's indexes, so each is shown its share by the number of its keys.
fn database_overhead(cx: &mut Ctx<'_>, db: usize, index: u64, keys: usize, keys_of_all: usize) {
    let share = index as f64 * ratio(keys as u64, keys_of_all as u64);
    cx.reply.text(&format!("db.{db}"));
    cx.reply.map(3);
    put(cx, "overhead.hashtable.main", share as i64);
    put(cx, "overhead.hashtable.expires", 0);
    put(cx, "overhead.hashtable.slot-to-keys", 0);
}

fn put(cx: &mut Ctx<'_>, name: &str, n: i64) {
    cx.reply.text(name);
    cx.reply.int(n);
}

fn put_ratio(cx: &mut Ctx<'_>, name: &str, ratio: f64) {
    cx.reply.text(name);
    cx.reply.double(ratio);
}

fn malloc_stats(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx);
    let usage = Usage::of(cx.node, told.totals());
    let lines = [
        ("records with their keys and values", usage.live),
        ("holes between them", usage.holes),
        ("tables, queues, ghosts and wheels", usage.index),
        ("buffers of clients", usage.clients),
        ("together", usage.used),
        ("resident, as the system counts", usage.resident),
    ];
    let text: String =
        lines.iter().map(|(what, bytes)| format!("{bytes:>16} {:>9}  {what}\n", human(*bytes))).collect();
    cx.reply.verbatim(&text);
    REPLIED
}

fn purge(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.node.store.tighten_all();
    cx.reply.ok();
    REPLIED
}

/// Below so many bytes of data nothing can be said about the use of memory.
const DOCTOR_MIN: u64 = 5 << 20;

fn doctor(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx);
    let usage = Usage::of(cx.node, told.totals());
    let text = diagnosis(&usage, cx.node.clients.len());
    cx.reply.verbatim(&text);
    REPLIED
}

fn diagnosis(usage: &Usage, clients: usize) -> String {
    if usage.used < DOCTOR_MIN {
        let used = human(usage.used);
        return format!("The node holds {used}, which is too little to say anything about its use of memory.\n");
    }
    let mut findings = Vec::new();
    if ratio(usage.peak, usage.used) > 1.5 {
        findings.push(format!(
            "Peak: the node has held {} and holds {} now. Memory that was given back is the system's again; a resident \
             set well above used_memory goes down as it is reused.",
            human(usage.peak),
            human(usage.used)
        ));
    }
    if usage.hole_ratio() > 1.4 && usage.holes > 10 << 20 {
        findings.push(format!(
            "Holes: {} of the arenas lie unused between records. MEMORY PURGE moves records together.",
            human(usage.holes)
        ));
    }
    if usage.resident_ratio() > 1.4 && usage.resident_excess() > 10 << 20 {
        findings.push(format!(
            "Resident set: the system counts {} for {} in use. Many large values that were written and deleted leave \
             the allocator with partly used pages.",
            human(usage.resident),
            human(usage.used)
        ));
    }
    if clients > 0 && usage.clients / clients as u64 > 200 << 10 {
        findings.push(format!(
            "Buffers: {clients} clients take {}. Look in CLIENT LIST for those with a large tot-mem; they read their \
             replies slowly or send very large requests.",
            human(usage.clients)
        ));
    }
    match findings.as_slice() {
        [] => "Nothing looks wrong with the use of memory.\n".to_owned(),
        found => found.iter().map(|finding| format!("* {finding}\n")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Usage = Usage {
        used: 100 << 20,
        peak: 110 << 20,
        resident: 105 << 20,
        clients: 0,
        index: 10 << 20,
        live: 88 << 20,
        holes: 2 << 20,
    };

    #[test]
    fn the_doctor_names_what_is_wrong_and_nothing_else() {
        assert!(diagnosis(&Usage { used: 1000, ..FINE }, 1).contains("too little"));
        assert!(diagnosis(&FINE, 1).starts_with("Nothing looks wrong"));
        let ill = Usage { peak: 300 << 20, holes: 40 << 20, live: 50 << 20, resident: 200 << 20, ..FINE };
        let text = diagnosis(&ill, 1);
        assert!(text.contains("Peak:") && text.contains("Holes:") && text.contains("Resident set:"), "{text}");
        assert!(!text.contains("Buffers:"));
        assert!(diagnosis(&Usage { clients: 1 << 20, ..FINE }, 2).contains("Buffers:"));
    }
}
