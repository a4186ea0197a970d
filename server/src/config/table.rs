//! All settings, one row each. Flags, environment variables, files, `CONFIG GET`, `--help` and
//! `docs/configuration.md` follow from the rows.

use super::kind::{Kind, Unit};

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name, in Redis's spelling where Redis has the setting.
    pub name: &'static str,
    /// Older or other names that work everywhere too.
    pub aliases: &'static [&'static str],
    /// The table of a `node.toml` it stands in.
    pub table: &'static str,
    /// What it accepts, and its default.
    pub kind: Kind,
    /// Who may change it while the node runs.
    pub change: Change,
    /// Whether it does anything.
    pub effect: Effect,
    /// Whether its value must not be shown to people.
    pub secret: bool,
    /// What it is for, in one or two sentences.
    pub doc: &'static str,
}

/// Who may change a setting while the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `CONFIG SET` may.
    Live,
    /// `CONFIG SET` may once `enable-protected-configs` allows it.
    Protected,
    /// Nobody: it needs a restart.
    Restart,
}

/// Whether a setting does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does what its documentation says.
    Works,
    /// Redis has it, so it is accepted and answered, but it changes nothing here.
    Ignored,
    /// Redis has it. Only the default is accepted, because to ignore another value could do harm.
    DefaultOnly,
}

/// A row's place in [`SETTINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(usize);

impl Id {
    /// Every row, in order.
    pub fn all() -> impl Iterator<Item = Id> {
        (0..SETTINGS.len()).map(Id)
    }

    /// The row.
    pub fn row(self) -> &'static Setting {
        &SETTINGS[self.0]
    }

    /// The place in the table, to index values that lie in its order.
    pub fn index(self) -> usize {
        self.0
    }
}

/// The row of that name or alias, whatever its case.
pub fn find(name: &str) -> Option<Id> {
    Id::all().find(|id| id.row().names().any(|known| known.eq_ignore_ascii_case(name)))
}

/// Words that have a meaning in a `redis.conf` but are no settings. They are refused, with the reason: to pass over
/// one would leave the node open, or without what its users rely on.
pub const DIRECTIVES: &[(&str, &str)] = &[
    ("rename-command", "commands keep their names in Larder; passing over the line would leave the command callable"),
    ("user", "this version has no access lists; use requirepass"),
    ("loadmodule", "Larder loads no modules"),
];

impl Setting {
    /// The name and all aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The key within its table of a `node.toml`.
    pub fn key(&self) -> &'static str {
        match self.name.split_once('.') {
            Some((table, key)) if table == self.table => key,
            _ => self.name,
        }
    }

    /// The environment variable of one of its names: `LARDER_` and the name in capitals.
    pub fn variable(name: &str) -> String {
        format!("LARDER_{}", name.to_ascii_uppercase().replace(['-', '.'], "_"))
    }

    const fn alias(self, aliases: &'static [&'static str]) -> Setting {
        Setting { aliases, ..self }
    }

    const fn protected(self) -> Setting {
        Setting { change: Change::Protected, ..self }
    }

    const fn restart(self) -> Setting {
        Setting { change: Change::Restart, ..self }
    }

    const fn secret(self) -> Setting {
        Setting { secret: true, ..self }
    }
}

const fn row(table: &'static str, name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    let (change, effect) = (Change::Live, Effect::Works);
    Setting { name, aliases: &[], table, kind, change, effect, secret: false, doc }
}

const fn network(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("network", name, kind, doc)
}

const fn clients(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("clients", name, kind, doc)
}

const fn memory(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("memory", name, kind, doc)
}

const fn security(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("security", name, kind, doc)
}

const fn node(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("node", name, kind, doc)
}

const fn persistence(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("persistence", name, kind, doc)
}

const fn replication(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("replication", name, kind, doc)
}

const fn cluster(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    Setting { change: Change::Restart, ..row("cluster", name, kind, doc) }
}

const fn watch(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("observe", name, kind, doc)
}

const fn encoding(name: &'static str, kind: Kind, doc: &'static str) -> Setting {
    row("encoding", name, kind, doc)
}

/// A setting of Redis that changes nothing here; the text says why.
const fn ignored(name: &'static str, kind: Kind, why: &'static str) -> Setting {
    Setting { effect: Effect::Ignored, ..row("redis", name, kind, why) }
}

/// A setting of Redis that must keep its default; the text says why.
const fn fixed(name: &'static str, kind: Kind, why: &'static str) -> Setting {
    Setting { effect: Effect::DefaultOnly, change: Change::Restart, ..row("redis", name, kind, why) }
}

const fn switch(default: bool) -> Kind {
    Kind::Switch { default }
}

const fn whole(default: i64, min: i64, max: i64) -> Kind {
    Kind::Whole { default, min, max, unit: Unit::Count }
}

const fn timed(unit: Unit, default: i64, min: i64, max: i64) -> Kind {
    Kind::Whole { default, min, max, unit }
}

const fn bytes(default: u64, min: u64) -> Kind {
    Kind::Memory { default, min }
}

const fn text(default: &'static str) -> Kind {
    Kind::Text { default }
}

const fn line(default: &'static str) -> Kind {
    Kind::Line { default }
}

const fn choice(default: &'static str, choices: &'static [&'static str]) -> Kind {
    Kind::Choice { default, choices }
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
const MIB: u64 = 1 << 20;

/// The eviction policies, Redis's in its own order and Larder's after them.
pub const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
    "allkeys-larder",
];

/// Who may use what is protected: everybody, nobody, or connections from the machine itself.
pub const ACCESS: &[&str] = &["no", "yes", "local"];

/// Who must hold a write before it is answered.
pub const DURABILITIES: &[&str] = &["async", "replica", "quorum"];

/// How clients are served whose keys other nodes have.
pub const ROUTINGS: &[&str] = &["redirect", "forward", "auto"];

/// The log levels, the most talkative first.
pub const LOG_LEVELS: &[&str] = &["debug", "verbose", "notice", "warning"];

const SHUTDOWN: Kind = Kind::Choices { default: "default", choices: &["default", "save", "nosave", "now", "force"] };

const NO_AOF: &str = "Larder writes snapshots (see save) and no append-only file.";
const DISKLESS: &str = "Snapshots for replicas are streamed, not written to disk.";
const UNCHANGED: &str = "Replicas do what Redis does by default.";
const NO_CLUSTER: &str = "Larder's clusters are led by Raft and do without it.";
const NO_TLS: &str = "This version has no TLS.";
const NO_DEFRAG: &str = "The store compacts its own memory.";
const NO_DAEMON: &str = "A node stays in the foreground; let a service manager run it.";
const NO_SYSLOG: &str = "The log goes to the standard output or to logfile.";
const OFF_WORKER: &str = "Large values are always freed off the worker.";
const NO_PINNING: &str = "Threads are not pinned to cores.";
const NO_SCRIPTS: &str = "This version runs no scripts.";
const NO_CRASH_REPORT: &str = "A panic is caught, logged with the command's name and answered with an error.";
const NO_PROCESS_TITLE: &str = "The process keeps its title.";
const NO_OOM_SCORE: &str = "The process's OOM score is left to the service manager.";

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    // What the node listens on.
    network(
        "bind",
        Kind::Addresses { default: &["127.0.0.1", "-::1"] },
        "The addresses to listen on. By default only this machine can connect.",
    )
    .restart(),
    network("port", Kind::Port { default: 6379 }, "The TCP port to listen on.").restart(),
    network(
        "tcp-backlog",
        whole(511, 0, INT),
        "Connections that may wait to be accepted. The kernel's net.core.somaxconn is a bound of its own.",
    )
    .restart(),
    network(
        "tcp-keepalive",
        timed(Unit::Seconds, 300, 0, INT),
        "How long a connection may be silent before the kernel asks whether its other end still lives; 0 never asks.",
    ),
    network(
        "timeout",
        timed(Unit::Seconds, 0, 0, INT),
        "How long a client may be idle before it is disconnected; 0 is for ever.",
    ),
    // Who may do what.
    security(
        "protected-mode",
        switch(true),
        "Without a password, refuse clients from other machines whatever the bind addresses are.",
    ),
    security("requirepass", text(""), "The password that clients must give with AUTH or HELLO; empty is none.")
        .secret(),
    security("enable-debug-command", choice("no", ACCESS), "Who may call DEBUG.").restart(),
    security(
        "enable-protected-configs",
        choice("no", ACCESS),
        "Who may change protected settings, such as dir, with CONFIG SET.",
    )
    .restart(),
    // The process.
    node(
        "workers",
        Kind::Workers { max: 1024 },
        "Worker threads. Every connection belongs to one of them. By default one per core the process may use, with \
         affinity and CPU quotas taken into account.",
    )
    .alias(&["io-threads"])
    .restart(),
    node("databases", whole(16, 1, INT), "How many databases SELECT can choose from.").restart(),
    node("dir", text("./"), "The folder for what the node keeps on disk.").alias(&["data-dir"]).protected(),
    node("shutdown-timeout", timed(Unit::Seconds, 10, 0, INT), "How long a shutdown waits for what is in flight."),
    // What keys are protected from.
    row(
        "rules",
        "rule",
        Kind::Rules,
        "What keys with a prefix are protected from: PREFIX FIELD VALUE [FIELD VALUE ...], one rule to a line; in TOML a table \
         [[rule]] each, with prefix = \"...\" and the fields. See docs/rules.md, and CACHE.RULE for rules at run time.",
    )
    .restart(),
    // What is kept on disk.
    persistence(
        "save",
        Kind::SavePoints,
        "A snapshot is written once so many changes have happened and so many seconds have passed since the last; several \
         pairs may be given, \"\" is never. Whoever has some is also saved when the node stops.",
    ),
    persistence("dbfilename", text("dump.rdb"), "The name of the snapshot in the folder of `dir`.").protected(),
    persistence(
        "load",
        text(""),
        "A snapshot to start from instead of the one in `dir`: of Larder, Redis or Valkey. It is read and never written.",
    )
    .restart(),
    persistence(
        "salvage",
        switch(false),
        "Start with what stands before the damage if the snapshot is damaged. The file is kept under another name.",
    )
    .restart(),
    persistence("rdbcompression", switch(true), "Compress long strings in snapshots and DUMP, which takes CPU time."),
    persistence("rdbchecksum", switch(true), "End snapshots with a sum over all bytes.").restart(),
    persistence(
        "stop-writes-on-bgsave-error",
        switch(true),
        "Refuse writes while snapshots are to be written and the last one could not be.",
    ),
    persistence("shutdown-on-sigint", SHUTDOWN, "What Ctrl-C does: `default` saves if there are save points."),
    persistence("shutdown-on-sigterm", SHUTDOWN, "What SIGTERM does: `default` saves if there are save points."),
    // What makes a restart a warm one.
    persistence(
        "warm",
        switch(false),
        "Keep a list of the hottest keys in hot.rdb in the folder of `dir`, and load it when the node starts. See docs/warm.md.",
    )
    .restart(),
    persistence(
        "serve-while-warming",
        switch(true),
        "Serve clients while the hottest keys are loaded, who are told of what is not there yet that it is missing. Otherwise \
         they are answered LOADING, as while a snapshot is loaded; nodes of a cluster serve in either case.",
    )
    .restart(),
    persistence(
        "warm-every",
        timed(Unit::Seconds, 60, 0, INT),
        "How often the list is written; 0 is only when the node stops. It is written less often where it would take more than \
         a hundredth of a core.",
    ),
    persistence("warm-keys", whole(250_000, 1, 10_000_000), "How many keys the list has at the most."),
    persistence("warm-memory", bytes(64 * MIB, 0), "How many bytes the keys of the list take in memory at the most."),
    persistence(
        "warm-values",
        switch(true),
        "Write the values beside the names. Without them nothing is loaded: the node only knows which keys were hot.",
    ),
    persistence(
        "warm-age-max",
        timed(Unit::Seconds, 3600, 0, INT),
        "An older list is not loaded, as nobody could say meanwhile that its values were wrong; 0 takes any.",
    ),
    // Clients and what waits for them.
    clients("maxclients", whole(10_000, 1, u32::MAX as i64), "How many clients may be connected at once."),
    clients(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "How many bytes of replies may wait for one client: at HARD it is cut at once, above SOFT after SECONDS. Unlike \
         in Redis normal clients have a limit too, so that every buffer is bounded.",
    ),
    clients(
        "client-query-buffer-limit",
        bytes(1 << 30, MIB),
        "How many bytes of one client's unfinished requests are held.",
    ),
    clients("proto-max-bulk-len", bytes(512 * MIB, MIB), "The longest single argument."),
    clients(
        "maxmemory-clients",
        Kind::MemoryOrPercent,
        "How much the buffers of all clients may take together, before those that take most are cut.",
    ),
    // Memory and eviction.
    memory(
        "maxmemory",
        Kind::MemoryOfMachine { default_percent: 75 },
        "How much the node may hold. The machine's memory is what /proc/meminfo tells, or the limit of the tightest \
         control group (v1 or v2) around the process; a quarter of it is left for buffers and for the system.",
    ),
    memory(
        "maxmemory-policy",
        choice("allkeys-larder", POLICIES),
        "Which keys make room when maxmemory is reached. allkeys-larder keeps what is worth most hits per byte; the \
         others mean what they mean in Redis.",
    ),
    memory("maxmemory-samples", whole(5, 1, INT), "How many keys the sampling policies compare to find one to evict."),
    memory(
        "lfu-log-factor",
        whole(10, 0, INT),
        "How slowly the access counter of the LFU policies grows: more hits are told apart with a higher factor.",
    ),
    memory(
        "lfu-decay-time",
        timed(Unit::Minutes, 1, 0, INT),
        "How long until the access counter of an unused key loses one; 0 keeps counters.",
    ),
    memory(
        "tracking-table-max-keys",
        whole(1_000_000, 0, LONG),
        "How many keys are remembered for clients that keep copies of what they read (CLIENT TRACKING); 0 is no limit.",
    ),
    // The log, and what can be observed.
    watch("loglevel", choice("notice", LOG_LEVELS), "The least important lines that are logged."),
    watch("logfile", text(""), "The file to log to; empty is the standard output.").restart(),
    watch(
        "slowlog-log-slower-than",
        timed(Unit::Micros, 10_000, -1, LONG),
        "How long a command must take to enter the slow log; 0 logs all, -1 none.",
    ),
    watch("slowlog-max-len", whole(128, 0, LONG), "How many entries the slow log keeps."),
    watch(
        "latency-monitor-threshold",
        timed(Unit::Millis, 0, 0, LONG),
        "How long an event must take for LATENCY to remember it; 0 remembers none.",
    ),
    watch("latency-tracking", switch(true), "Keep a latency histogram for each command."),
    watch(
        "latency-tracking-info-percentiles",
        Kind::Percentiles { default: &[50.0, 99.0, 99.9] },
        "The percentiles that INFO latencystats tells.",
    ),
    watch("notify-keyspace-events", Kind::Events, "Which changes of keys are published, and on which channels."),
    // Compact encodings. Where two names are given, the second is from before Redis 7.
    encoding("hash-max-listpack-entries", whole(512, 0, LONG), "The most fields of a hash in the compact encoding.")
        .alias(&["hash-max-ziplist-entries"]),
    encoding("hash-max-listpack-value", bytes(64, 0), "The longest field or value of a hash in the compact encoding.")
        .alias(&["hash-max-ziplist-value"]),
    encoding(
        "list-max-listpack-size",
        whole(-2, i32::MIN as i64, INT),
        "The size of a list's compact parts: elements, or with -1 to -5 a size of 4, 8, 16, 32 or 64 KiB.",
    )
    .alias(&["list-max-ziplist-size"]),
    encoding("set-max-intset-entries", whole(512, 0, LONG), "The most members of a set of integers in its encoding."),
    encoding("set-max-listpack-entries", whole(128, 0, LONG), "The most members of a set in the compact encoding."),
    encoding("set-max-listpack-value", bytes(64, 0), "The longest member of a set in the compact encoding."),
    encoding(
        "zset-max-listpack-entries",
        whole(128, 0, LONG),
        "The most members of a sorted set in the compact encoding.",
    )
    .alias(&["zset-max-ziplist-entries"]),
    encoding("zset-max-listpack-value", bytes(64, 0), "The longest member of a sorted set in the compact encoding.")
        .alias(&["zset-max-ziplist-value"]),
    encoding("hll-sparse-max-bytes", bytes(3000, 0), "The size up to which a HyperLogLog stays sparse."),
    encoding("stream-node-max-bytes", bytes(4096, 0), "The size of a stream's node; 0 is no limit."),
    encoding("stream-node-max-entries", whole(100, 0, LONG), "The entries of a stream's node; 0 is no limit."),
    // Replication.
    replication("replicaof", line(""), "The primary to follow from the start: \"HOST PORT\". Nothing: the node is one itself.")
        .alias(&["slaveof"])
        .restart(),
    replication("masterauth", text(""), "The password that the primary asks for.").secret(),
    replication("masteruser", text(""), "The user by whose name to log in at the primary; nothing is the one without a name."),
    replication("replica-read-only", switch(true), "Refuse writes of clients while the node follows another one.")
        .alias(&["slave-read-only"]),
    replication(
        "replica-serve-stale-data",
        switch(true),
        "Answer reads while the link to the primary is down, or its data still comes. If not, most commands get MASTERDOWN.",
    )
    .alias(&["slave-serve-stale-data"]),
    replication(
        "replica-priority",
        whole(100, 0, INT),
        "What INFO tells those who choose a replica to promote: the lowest comes first, 0 never.",
    )
    .alias(&["slave-priority"]),
    replication("replica-announce-ip", text(""), "The address that the primary tells of this replica; nothing is the one it comes from.")
        .alias(&["slave-announce-ip"]),
    replication("replica-announce-port", whole(0, 0, 65535), "The port that the primary tells of this replica; 0 is the one it listens on.")
        .alias(&["slave-announce-port"]),
    replication("repl-backlog-size", bytes(MIB, 1), "The last writes that are kept for replicas which were away: they go on from there.")
    ,
    replication("repl-backlog-ttl", timed(Unit::Seconds, 3600, 0, LONG), "How long these are kept while nobody follows; 0 is for ever."),
    replication("repl-timeout", timed(Unit::Seconds, 60, 1, INT), "Silence after which a link between primary and replica is given up."),
    replication("repl-ping-replica-period", timed(Unit::Seconds, 10, 1, INT), "How often a primary that has nothing to say pings its replicas.")
        .alias(&["repl-ping-slave-period"]),
    replication("min-replicas-to-write", whole(0, 0, INT), "Refuse writes while fewer replicas than this follow; 0 never does.")
        .alias(&["min-slaves-to-write"]),
    replication("min-replicas-max-lag", timed(Unit::Seconds, 10, 0, INT), "Silence after which a replica does not count for min-replicas-to-write; 0 switches both off.")
        .alias(&["min-slaves-max-lag"]),
    replication(
        "durability",
        choice("async", DURABILITIES),
        "Who must hold a write before it is answered: the node alone; one replica, too; more than half of the node and its \
         replicas, and then reads, too, wait until what they show is held. A connection may choose another by CLIENT DURABILITY.",
    ),
    replication(
        "durability-timeout",
        timed(Unit::Millis, 1000, 1, LONG),
        "How long a reply is held for that. Then an error says that the write stands on the primary only, or what was read may \
         be lost yet.",
    ),
    // What makes it a node of a cluster.
    cluster(
        "cluster-enabled",
        switch(false),
        "Be a node of a cluster, which it begins alone unless cluster-nodes or join is given. Either of these switches it on, too.",
    ),
    cluster(
        "cluster-nodes",
        line(""),
        "The nodes that begin the cluster together, HOST:PORT or HOST:PORT@BUS-PORT each: the same list, in the same order, on \
         every one of them.",
    ),
    cluster(
        "join",
        line(""),
        "Nodes of the cluster that this one is to join, HOST:PORT or HOST:PORT@BUS-PORT each. One that answers is enough.",
    ),
    cluster(
        "bus-port",
        whole(0, 0, 65535),
        "The TCP port for the other nodes of the cluster; 0 is the port for clients + 10000.",
    )
    .alias(&["cluster-port"]),
    cluster(
        "cluster-secret",
        text(""),
        "What all nodes of the cluster know and nobody else does: by it they know each other. It may be left out where nodes \
         listen on the machine itself alone.",
    )
    .secret(),
    cluster("cluster-replicas", whole(0, 0, 5), "How many replicas each shard is to have. The node that begins the cluster says so; later `larder cluster` does."),
    cluster(
        "cluster-announce-ip",
        text(""),
        "The address by which clients and other nodes reach this one; nothing is the first one of bind, or what its entry in \
         cluster-nodes says.",
    ),
    cluster("cluster-announce-port", whole(0, 0, 65535), "The port that clients are told of; 0 is the one it listens on."),
    cluster("cluster-announce-bus-port", whole(0, 0, 65535), "The port that other nodes are told of; 0 is the one it listens on."),
    cluster("cluster-weight", whole(100, 1, 10_000), "How much data this node is to hold beside others: one with 200 holds twice as much as one with 100."),
    cluster("cluster-zone", text(""), "Where the node stands, such as a rack or a data centre: replicas are put into another zone than their primary if there is one."),
    row(
        "cluster",
        "routing",
        choice("auto", ROUTINGS),
        "What a client gets whose keys another node has: `redirect` tells it where to ask, as Redis Cluster does; `forward` asks for \
         it. `auto` tells those that show that they know of the cluster, and asks for the others.",
    ),
    cluster(
        "forward-port",
        whole(0, 0, 65535),
        "A second port for clients that know of no cluster: who comes there is served as with `routing` set to `forward`, and who comes to \
         the other port is then told where to ask if that is `auto`. 0 is none.",
    ),
    row(
        "cluster",
        "forward-timeout",
        timed(Unit::Millis, 5000, 1, LONG),
        "How long other nodes are tried for a client, as while one of them fails and another takes over. Then it gets an error.",
    ),
    cluster("cluster-witness", switch(false), "Hold no data: vote only, so that two nodes with data can fail over."),
    // What must keep its default, because to pass over it would do harm.
    fixed("tls-port", whole(0, 0, 65535), NO_TLS),
    fixed("unixsocket", text(""), "This version listens on TCP alone."),
    fixed("aclfile", text(""), "This version has no access lists; use requirepass."),
    // What Redis has and nothing here needs.
    ignored("hz", whole(10, 0, INT), "Every periodic task has a clock of its own."),
    ignored("dynamic-hz", switch(true), "Every periodic task has a clock of its own."),
    ignored("active-expire-effort", whole(1, 1, 10), "Keys expire on time, whatever the effort."),
    ignored("maxmemory-eviction-tenacity", whole(10, 0, 100), "The limit holds on every insert."),
    ignored("lazyfree-lazy-eviction", switch(false), OFF_WORKER),
    ignored("lazyfree-lazy-expire", switch(false), OFF_WORKER),
    ignored("lazyfree-lazy-server-del", switch(false), OFF_WORKER),
    ignored("lazyfree-lazy-user-del", switch(false), OFF_WORKER),
    ignored("lazyfree-lazy-user-flush", switch(false), OFF_WORKER),
    ignored("activerehashing", switch(true), "Tables grow in small steps, as they are written to."),
    ignored("list-compress-depth", whole(0, 0, INT), "Lists are not compressed."),
    ignored("io-threads-do-reads", switch(false), "A worker reads, runs and answers what its connections send."),
    ignored("appendonly", switch(false), NO_AOF),
    ignored("appendfilename", text("appendonly.aof"), NO_AOF).restart(),
    ignored("appenddirname", text("appendonlydir"), NO_AOF).restart(),
    ignored("appendfsync", choice("everysec", &["everysec", "always", "no"]), NO_AOF),
    ignored("no-appendfsync-on-rewrite", switch(false), NO_AOF),
    ignored("auto-aof-rewrite-percentage", whole(100, 0, INT), NO_AOF),
    ignored("auto-aof-rewrite-min-size", bytes(64 * MIB, 0), NO_AOF),
    ignored("aof-load-truncated", switch(true), NO_AOF),
    ignored("aof-use-rdb-preamble", switch(true), NO_AOF),
    ignored("aof-timestamp-enabled", switch(false), NO_AOF),
    ignored("aof-rewrite-incremental-fsync", switch(true), NO_AOF),
    ignored("aof-disable-auto-gc", switch(false), NO_AOF),
    ignored("rdb-save-incremental-fsync", switch(true), "A snapshot is always synced bit by bit."),
    ignored("rdb-del-sync-files", switch(false), UNCHANGED),
    ignored("rdb-key-save-delay", whole(0, i32::MIN as i64, INT), "It slows snapshots of Redis down for its tests."),
    ignored("sanitize-dump-payload", choice("no", &["no", "yes", "clients"]), "RESTORE always checks its payload."),
    ignored("propagation-error-behavior", choice("ignore", &["ignore", "panic", "panic-on-replicas"]), UNCHANGED),
    ignored("repl-disable-tcp-nodelay", switch(false), UNCHANGED),
    ignored("repl-diskless-load", choice("disabled", &["disabled", "on-empty-db", "swapdb"]), DISKLESS),
    ignored("repl-diskless-sync", switch(true), DISKLESS),
    ignored("repl-diskless-sync-delay", timed(Unit::Seconds, 5, 0, INT), DISKLESS),
    ignored("repl-diskless-sync-max-replicas", whole(0, 0, INT), DISKLESS),
    ignored("replica-announced", switch(true), UNCHANGED),
    ignored("replica-ignore-disk-write-errors", switch(false), UNCHANGED),
    ignored("replica-ignore-maxmemory", switch(true), UNCHANGED).alias(&["slave-ignore-maxmemory"]),
    ignored("replica-lazy-flush", switch(false), UNCHANGED).alias(&["slave-lazy-flush"]),
    ignored("cluster-allow-pubsubshard-when-down", switch(true), NO_CLUSTER),
    ignored("cluster-allow-reads-when-down", switch(false), NO_CLUSTER),
    ignored("cluster-allow-replica-migration", switch(true), NO_CLUSTER),
    ignored("cluster-announce-hostname", text(""), NO_CLUSTER),
    ignored("cluster-announce-human-nodename", text(""), NO_CLUSTER),
    ignored("cluster-announce-tls-port", whole(0, 0, 65535), NO_CLUSTER),
    ignored("cluster-config-file", text("nodes.conf"), NO_CLUSTER).restart(),
    ignored("cluster-link-sendbuf-limit", bytes(0, 0), NO_CLUSTER),
    ignored("cluster-migration-barrier", whole(1, 0, INT), NO_CLUSTER),
    ignored("cluster-node-timeout", timed(Unit::Millis, 15_000, 0, LONG), NO_CLUSTER),
    ignored("cluster-preferred-endpoint-type", choice("ip", &["ip", "hostname", "unknown-endpoint"]), NO_CLUSTER),
    ignored("cluster-replica-no-failover", switch(false), NO_CLUSTER).alias(&["cluster-slave-no-failover"]),
    ignored("cluster-replica-validity-factor", whole(10, 0, INT), NO_CLUSTER).alias(&["cluster-slave-validity-factor"]),
    ignored("cluster-require-full-coverage", switch(true), NO_CLUSTER),
    ignored("tls-auth-clients", choice("yes", &["no", "yes", "optional"]), NO_TLS),
    ignored("tls-ca-cert-dir", text(""), NO_TLS),
    ignored("tls-ca-cert-file", text(""), NO_TLS),
    ignored("tls-cert-file", text(""), NO_TLS),
    ignored("tls-ciphers", text(""), NO_TLS),
    ignored("tls-ciphersuites", text(""), NO_TLS),
    ignored("tls-client-cert-file", text(""), NO_TLS),
    ignored("tls-client-key-file", text(""), NO_TLS),
    ignored("tls-client-key-file-pass", text(""), NO_TLS).secret(),
    ignored("tls-cluster", switch(false), NO_TLS),
    ignored("tls-dh-params-file", text(""), NO_TLS),
    ignored("tls-key-file", text(""), NO_TLS),
    ignored("tls-key-file-pass", text(""), NO_TLS).secret(),
    ignored("tls-prefer-server-ciphers", switch(false), NO_TLS),
    ignored("tls-protocols", text(""), NO_TLS),
    ignored("tls-replication", switch(false), NO_TLS),
    ignored("tls-session-cache-size", whole(20_480, 0, INT), NO_TLS),
    ignored("tls-session-cache-timeout", timed(Unit::Seconds, 300, 0, INT), NO_TLS),
    ignored("tls-session-caching", switch(true), NO_TLS),
    ignored(
        "acl-pubsub-default",
        choice("resetchannels", &["allchannels", "resetchannels"]),
        "There are no access lists yet.",
    ),
    ignored("acllog-max-len", whole(128, 0, LONG), "There are no access lists yet."),
    ignored("enable-module-command", choice("no", ACCESS), "Larder loads no modules.").restart(),
    ignored("busy-reply-threshold", timed(Unit::Millis, 5000, 0, LONG), NO_SCRIPTS).alias(&["lua-time-limit"]),
    ignored("activedefrag", switch(false), NO_DEFRAG),
    ignored("active-defrag-cycle-max", timed(Unit::Percent, 25, 1, 99), NO_DEFRAG),
    ignored("active-defrag-cycle-min", timed(Unit::Percent, 1, 1, 99), NO_DEFRAG),
    ignored("active-defrag-ignore-bytes", bytes(100 * MIB, 1), NO_DEFRAG),
    ignored("active-defrag-max-scan-fields", whole(1000, 1, LONG), NO_DEFRAG),
    ignored("active-defrag-threshold-lower", timed(Unit::Percent, 10, 0, 1000), NO_DEFRAG),
    ignored("active-defrag-threshold-upper", timed(Unit::Percent, 100, 0, 1000), NO_DEFRAG),
    ignored("jemalloc-bg-thread", switch(true), "The allocator is mimalloc."),
    ignored("disable-thp", switch(true), "Huge pages are asked for where they help, and nowhere else.").restart(),
    ignored("daemonize", switch(false), NO_DAEMON).restart(),
    ignored("supervised", choice("no", &["upstart", "systemd", "auto", "no"]), NO_DAEMON).restart(),
    ignored("pidfile", text(""), NO_DAEMON).restart(),
    ignored("always-show-logo", switch(false), "There is no logo.").restart(),
    ignored("set-proc-title", switch(true), NO_PROCESS_TITLE).restart(),
    ignored("proc-title-template", text("{title} {listen-addr} {server-mode}"), NO_PROCESS_TITLE),
    ignored("syslog-enabled", switch(false), NO_SYSLOG).restart(),
    ignored("syslog-facility", choice("local0", SYSLOG), NO_SYSLOG).restart(),
    ignored("syslog-ident", text("redis"), NO_SYSLOG).restart(),
    ignored("crash-log-enabled", switch(true), NO_CRASH_REPORT),
    ignored("crash-memcheck-enabled", switch(true), NO_CRASH_REPORT),
    ignored("oom-score-adj", choice("no", &["no", "yes", "relative", "absolute"]), NO_OOM_SCORE),
    ignored("oom-score-adj-values", line("0 200 800"), NO_OOM_SCORE),
    ignored("server_cpulist", text(""), NO_PINNING).alias(&["server-cpulist"]).restart(),
    ignored("bio_cpulist", text(""), NO_PINNING).alias(&["bio-cpulist"]).restart(),
    ignored("aof_rewrite_cpulist", text(""), NO_PINNING).alias(&["aof-rewrite-cpulist"]).restart(),
    ignored("bgsave_cpulist", text(""), NO_PINNING).alias(&["bgsave-cpulist"]).restart(),
    ignored("bind-source-addr", line(""), "Nothing here connects to other machines.").restart(),
    ignored("unixsocketperm", text("0"), "This version listens on TCP alone.").restart(),
    ignored("socket-mark-id", whole(0, 0, u32::MAX as i64), "Sockets are not marked.").restart(),
    ignored("ignore-warnings", line(""), "There are no such warnings.").restart(),
    ignored("locale-collate", text(""), "Text is compared byte by byte."),
];

const SYSLOG: &[&str] = &["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::machine::Machine;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = SETTINGS.iter().flat_map(Setting::names).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_default_is_allowed() {
        let machine = Machine { memory: 1 << 33, cores: 4 };
        for row in SETTINGS {
            let default = row.kind.default(&machine);
            let words = default.words();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            assert_eq!(row.kind.check(&words, &default, &machine), Ok(default), "{}", row.name);
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find("MAXMEMORY").unwrap().row().name, "maxmemory");
        assert_eq!(find("data-dir").unwrap().row().name, "dir");
        assert_eq!(find("Slave-Priority").unwrap().row().name, "replica-priority");
        assert_eq!(find("xyz"), None);
    }

    #[test]
    fn every_row_is_documented_in_a_sentence() {
        for row in SETTINGS {
            assert!(row.doc.ends_with('.'), "{}: {}", row.name, row.doc);
        }
    }

    #[test]
    fn variables_follow_from_names() {
        assert_eq!(Setting::variable("maxmemory-policy"), "LARDER_MAXMEMORY_POLICY");
        assert_eq!(Setting::variable("cache.ttl-jitter-max"), "LARDER_CACHE_TTL_JITTER_MAX");
    }
}
