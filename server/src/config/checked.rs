//! The configuration once it is checked: every field has a type that cannot be wrong.

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{self, Kind, Unit};
use super::machine::Machine;
use super::memory::Bytes;
use super::peers::{Peer, peers_of};
use super::raw::{Entry, Raw, Wrong};
use super::table::{self, Effect, Id, Setting};
use super::value::{BindAddress, Events, OutputLimits, RuleLine, SavePoint, Value};

/// A value for every row of the table, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Values(Vec<Value>);

impl Values {
    /// The defaults on a machine.
    pub fn defaults(machine: &Machine) -> Values {
        Values(Id::all().map(|id| id.row().kind.default(machine)).collect())
    }

    /// The value of a setting.
    pub fn get(&self, id: Id) -> &Value {
        &self.0[id.index()]
    }

    /// Replaces the value of a setting with one that its kind has checked.
    pub fn set(&mut self, id: Id, value: Value) {
        self.0[id.index()] = value;
    }

    /// The value of a setting that the program itself names.
    ///
    /// # Panics
    ///
    /// If the table has no such row, which is a mistake in this room.
    pub fn named(&self, name: &str) -> &Value {
        self.get(known(name))
    }
}

fn known(name: &str) -> Id {
    table::find(name).unwrap_or_else(|| panic!("the table of settings has the row {name}"))
}

/// Checks everything that was written. Mistakes are all reported, and what is wrong leaves the weaker value.
pub fn check(raw: &Raw, machine: &Machine) -> (Values, Vec<Wrong>) {
    let mut values = Values::defaults(machine);
    let mut wrong = Vec::new();
    for id in Id::all() {
        let mut rank = None;
        for entry in raw.of(id) {
            match check_entry(entry, values.get(id), rank, machine) {
                Ok(value) => values.set(id, value),
                Err(mistake) => wrong.push(mistake),
            }
            rank = Some(entry.origin.rank());
        }
    }
    (values, wrong)
}

/// The value after one more entry. `rank` is that of the entry before.
fn check_entry(entry: &Entry, before: &Value, rank: Option<u8>, machine: &Machine) -> Result<Value, Wrong> {
    let row = entry.id.row();
    let words: Vec<&str> = entry.words.iter().map(String::as_str).collect();
    let words: &[&str] = if row.kind.takes_words() && words == [""] { &[] } else { &words };
    let value = row.kind.check(words, before, machine).map_err(|problem| Wrong::value(entry, &problem))?;
    match (row.effect, before, value) {
        // Lines of one source add up, as those of a `redis.conf` do; an empty one starts afresh.
        (_, Value::SavePoints(earlier), Value::SavePoints(points))
            if rank == Some(entry.origin.rank()) && !points.is_empty() =>
        {
            Ok(Value::SavePoints([earlier.as_slice(), &points].concat()))
        }
        (_, Value::Rules(earlier), Value::Rules(more)) if rank == Some(entry.origin.rank()) && !more.is_empty() => {
            match earlier.iter().find(|rule| rule.prefix == more[0].prefix) {
                Some(twice) => Err(Wrong::value(entry, &format!("there is a rule for '{}' already", twice.prefix))),
                None => Ok(Value::Rules([earlier.as_slice(), &more].concat())),
            }
        }
        (_, _, Value::Text(text)) if row.name == "replicaof" && !text.is_empty() && primary_of(&text).is_none() => {
            Err(Wrong::value(entry, "that is no HOST and PORT"))
        }
        (_, _, Value::Text(text)) if ["cluster-nodes", "join"].contains(&row.name) => {
            peers_of(&text).map(|_| Value::Text(text)).map_err(|wrong| Wrong::value(entry, &wrong.to_string()))
        }
        (Effect::DefaultOnly, _, value) if value != row.kind.default(machine) => {
            Err(Wrong::value(entry, "this version cannot do that"))
        }
        (_, _, value) => Ok(value),
    }
}

/// What the user wrote that changes nothing, one sentence each. Values that say what Larder does anyhow are no news.
pub fn notices(raw: &Raw, values: &Values, machine: &Machine) -> Vec<String> {
    let idle = |id: &Id| id.row().effect == Effect::Ignored && *values.get(*id) != id.row().kind.default(machine);
    let notice = |id: Id| {
        let origin = raw.origin(id)?;
        Some(format!("{origin}: '{}' is accepted but has no effect. {}", id.row().name, id.row().doc))
    };
    Id::all().filter(idle).filter_map(notice).collect()
}

/// Which keys make room when the memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EvictionPolicy {
    /// Among keys with a TTL, the ones not used for longest.
    VolatileLru,
    /// Among keys with a TTL, the ones used least often.
    VolatileLfu,
    /// Among keys with a TTL, any.
    VolatileRandom,
    /// Among keys with a TTL, those that expire soonest.
    VolatileTtl,
    /// The ones not used for longest.
    AllkeysLru,
    /// The ones used least often.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// None: writes are refused.
    Noeviction,
    /// The ones worth fewest hits per byte.
    AllkeysLarder,
}

/// Who may do what is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Access {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Connections from the machine itself.
    Local,
}

/// The least important lines that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
}

/// How many must hold a write before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Durability {
    /// The node alone.
    #[default]
    Async,
    /// One replica, too.
    Replica,
    /// More than half of the node and its replicas; at least one replica.
    Quorum,
}

/// An enum whose variants lie in the order of the names a row allows.
pub trait Named: Copy + PartialEq + 'static {
    /// The variants, in that order.
    const ALL: &'static [Self];
    /// Their names, in that order.
    const NAMES: &'static [&'static str];

    /// The name of the variant.
    fn name(self) -> &'static str {
        Self::NAMES[self.place()]
    }

    /// The place of the variant in [`Named::ALL`].
    fn place(self) -> usize {
        Self::ALL.iter().position(|variant| *variant == self).unwrap_or_default()
    }
}

impl Named for EvictionPolicy {
    const ALL: &'static [EvictionPolicy] = &[
        EvictionPolicy::VolatileLru,
        EvictionPolicy::VolatileLfu,
        EvictionPolicy::VolatileRandom,
        EvictionPolicy::VolatileTtl,
        EvictionPolicy::AllkeysLru,
        EvictionPolicy::AllkeysLfu,
        EvictionPolicy::AllkeysRandom,
        EvictionPolicy::Noeviction,
        EvictionPolicy::AllkeysLarder,
    ];
    const NAMES: &'static [&'static str] = table::POLICIES;
}

impl Named for Access {
    const ALL: &'static [Access] = &[Access::No, Access::Yes, Access::Local];
    const NAMES: &'static [&'static str] = table::ACCESS;
}

impl Named for LogLevel {
    const ALL: &'static [LogLevel] = &[LogLevel::Debug, LogLevel::Verbose, LogLevel::Notice, LogLevel::Warning];
    const NAMES: &'static [&'static str] = table::LOG_LEVELS;
}

/// How clients are served whose keys other nodes of the cluster have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Routing {
    /// They are told where these are.
    Redirect,
    /// The node asks the others for them.
    Forward,
    /// The first for those that show that they know of the cluster, the second for others.
    #[default]
    Auto,
}

impl Named for Routing {
    const ALL: &'static [Routing] = &[Routing::Redirect, Routing::Forward, Routing::Auto];
    const NAMES: &'static [&'static str] = table::ROUTINGS;
}

impl Named for Durability {
    const ALL: &'static [Durability] = &[Durability::Async, Durability::Replica, Durability::Quorum];
    const NAMES: &'static [&'static str] = table::DURABILITIES;
}

const _: () = {
    assert!(Durability::ALL.len() == table::DURABILITIES.len());
    assert!(Routing::ALL.len() == table::ROUTINGS.len());
    assert!(EvictionPolicy::ALL.len() == table::POLICIES.len());
    assert!(Access::ALL.len() == table::ACCESS.len());
    assert!(LogLevel::ALL.len() == table::LOG_LEVELS.len());
};

/// The memory that all clients' buffers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMemory {
    /// So many bytes; 0 is no limit.
    Bytes(Bytes),
    /// A percentage of `maxmemory`, 1 to 100.
    PercentOfMaxmemory(u8),
}

impl ClientMemory {
    /// The limit in bytes under a `maxmemory`; 0 is no limit.
    pub fn bytes(self, maxmemory: u64) -> u64 {
        match self {
            ClientMemory::Bytes(Bytes(bytes)) => bytes,
            ClientMemory::PercentOfMaxmemory(percent) => kind::share(maxmemory, percent),
        }
    }
}

/// A type that a checked value turns into, and back. The row tells the unit.
pub trait Typed: Sized {
    /// The value as this type; nothing if the value is of another kind.
    fn from_value(value: &Value, row: &Setting) -> Option<Self>;
    /// The type as a value.
    fn to_value(&self, row: &Setting) -> Value;
}

macro_rules! typed_whole {
    ($($number:ty),*) => {$(
        impl Typed for $number {
            fn from_value(value: &Value, _: &Setting) -> Option<Self> {
                match value {
                    Value::Whole(number) => <$number>::try_from(*number).ok(),
                    _ => None,
                }
            }

            fn to_value(&self, _: &Setting) -> Value {
                Value::Whole(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        }
    )*};
}

typed_whole!(u16, u32, u64, i64);

/// Types that one variant of [`Value`] holds as they are.
macro_rules! typed_as {
    ($($held:ty: $variant:ident),*) => {$(
        impl Typed for $held {
            fn from_value(value: &Value, _: &Setting) -> Option<Self> {
                match value {
                    Value::$variant(held) => Some(held.clone()),
                    _ => None,
                }
            }

            fn to_value(&self, _: &Setting) -> Value {
                Value::$variant(self.clone())
            }
        }
    )*};
}

typed_as!(bool: Switch, String: Text, Vec<BindAddress>: Addresses, OutputLimits: OutputLimits, Events: Events,
          Vec<f64>: Percentiles, Vec<SavePoint>: SavePoints, Vec<RuleLine>: Rules, Vec<&'static str>: Choices);

impl<T: Named> Typed for T {
    fn from_value(value: &Value, _: &Setting) -> Option<T> {
        let Value::Choice(name) = value else { return None };
        let place = T::NAMES.iter().position(|known| known == name)?;
        T::ALL.get(place).copied()
    }

    fn to_value(&self, _: &Setting) -> Value {
        Value::Choice(self.name())
    }
}

impl Typed for Bytes {
    fn from_value(value: &Value, _: &Setting) -> Option<Bytes> {
        match value {
            Value::Memory(bytes) => Some(Bytes(*bytes)),
            _ => None,
        }
    }

    fn to_value(&self, _: &Setting) -> Value {
        Value::Memory(self.0)
    }
}

impl Typed for ClientMemory {
    fn from_value(value: &Value, _: &Setting) -> Option<ClientMemory> {
        match value {
            Value::Memory(bytes) => Some(ClientMemory::Bytes(Bytes(*bytes))),
            Value::Percent(percent) => Some(ClientMemory::PercentOfMaxmemory(*percent)),
            _ => None,
        }
    }

    fn to_value(&self, _: &Setting) -> Value {
        match *self {
            ClientMemory::Bytes(Bytes(bytes)) => Value::Memory(bytes),
            ClientMemory::PercentOfMaxmemory(percent) => Value::Percent(percent),
        }
    }
}

impl Typed for PathBuf {
    fn from_value(value: &Value, _: &Setting) -> Option<PathBuf> {
        match value {
            Value::Text(text) => Some(PathBuf::from(text)),
            _ => None,
        }
    }

    fn to_value(&self, _: &Setting) -> Value {
        Value::Text(self.to_string_lossy().into_owned())
    }
}

/// Empty text is no path.
impl Typed for Option<PathBuf> {
    fn from_value(value: &Value, row: &Setting) -> Option<Option<PathBuf>> {
        PathBuf::from_value(value, row).map(|path| Some(path).filter(|path| !path.as_os_str().is_empty()))
    }

    fn to_value(&self, row: &Setting) -> Value {
        self.clone().unwrap_or_default().to_value(row)
    }
}

impl Typed for Duration {
    fn from_value(value: &Value, row: &Setting) -> Option<Duration> {
        let number = u64::from_value(value, row)?;
        match unit(row)? {
            Unit::Minutes => Some(Duration::from_secs(number.saturating_mul(60))),
            Unit::Seconds => Some(Duration::from_secs(number)),
            Unit::Millis => Some(Duration::from_millis(number)),
            Unit::Micros => Some(Duration::from_micros(number)),
            Unit::Count | Unit::Percent => None,
        }
    }

    fn to_value(&self, row: &Setting) -> Value {
        let number = match unit(row) {
            Some(Unit::Minutes) => u128::from(self.as_secs() / 60),
            Some(Unit::Millis) => self.as_millis(),
            Some(Unit::Micros) => self.as_micros(),
            _ => u128::from(self.as_secs()),
        };
        Value::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

fn unit(row: &Setting) -> Option<Unit> {
    match row.kind {
        Kind::Whole { unit, .. } => Some(unit),
        _ => None,
    }
}

/// The number that stands for "never": -1 where the row allows it, else 0.
fn never(row: &Setting) -> i64 {
    match row.kind {
        Kind::Whole { min, .. } if min < 0 => -1,
        _ => 0,
    }
}

/// No duration is "never".
impl Typed for Option<Duration> {
    fn from_value(value: &Value, row: &Setting) -> Option<Option<Duration>> {
        match value {
            Value::Whole(number) if *number == never(row) => Some(None),
            value => Duration::from_value(value, row).map(Some),
        }
    }

    fn to_value(&self, row: &Setting) -> Value {
        self.as_ref().map_or(Value::Whole(never(row)), |duration| duration.to_value(row))
    }
}

/// Declares the fields of [`Config`], and which row each follows.
macro_rules! config {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $name:literal,)*) => {
        /// A checked configuration: all that a node needs to know before it starts.
        ///
        /// [`Config::default`] is what a node gets that is given no settings on this machine; who embeds one changes
        /// the fields.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[$doc])* pub $field: $type,)*
            /// The values of rows that have no field, and those of all others as they were at the start.
            pub rest: Values,
        }

        impl Config {
            /// The typed form of checked values.
            pub fn new(values: Values) -> Config {
                Config { $($field: typed(&values, $name),)* rest: values }
            }

            /// The values of all rows.
            pub fn values(&self) -> Values {
                let mut values = self.rest.clone();
                $({
                    let id = known($name);
                    values.set(id, self.$field.to_value(id.row()));
                })*
                values
            }
        }
    };
}

impl Config {
    /// Host and port of the primary that the node follows from the start, if it is to follow one.
    pub fn primary(&self) -> Option<(String, u16)> {
        primary_of(&self.replicaof)
    }

    /// Whether it is to be a node of a cluster.
    pub fn is_clustered(&self) -> bool {
        self.cluster_enabled || !self.founders().is_empty() || !self.seeds().is_empty()
    }

    /// The nodes that begin the cluster together.
    pub fn founders(&self) -> Vec<Peer> {
        peers_of(&self.cluster_nodes).unwrap_or_default()
    }

    /// Nodes of the cluster that it is to join.
    pub fn seeds(&self) -> Vec<Peer> {
        peers_of(&self.join).unwrap_or_default()
    }
}

/// Host and port of a primary.
fn primary_of(text: &str) -> Option<(String, u16)> {
    let mut words = text.split_ascii_whitespace();
    let (host, port) = (words.next()?, words.next()?.parse().ok()?);
    words.next().is_none().then(|| (host.to_owned(), port))
}

/// The value of a named row as the type its kind fits.
pub(super) fn typed<T: Typed>(values: &Values, name: &str) -> T {
    let id = known(name);
    T::from_value(values.get(id), id.row()).unwrap_or_else(|| panic!("the kind of {name} fits its field"))
}

config! {
    /// The addresses to listen on.
    bind: Vec<BindAddress> = "bind",
    /// The TCP port, not 0.
    port: u16 = "port",
    /// Connections that may wait to be accepted.
    tcp_backlog: u32 = "tcp-backlog",
    /// Silence after which the kernel asks whether the other end lives.
    tcp_keepalive: Option<Duration> = "tcp-keepalive",
    /// Idleness after which a client is disconnected.
    timeout: Option<Duration> = "timeout",
    /// Refuse other machines while there is no password.
    protected_mode: bool = "protected-mode",
    /// The password; empty is none.
    requirepass: String = "requirepass",
    /// Who may call DEBUG.
    enable_debug_command: Access = "enable-debug-command",
    /// Who may change protected settings.
    enable_protected_configs: Access = "enable-protected-configs",
    /// Worker threads, at least 1.
    workers: u16 = "workers",
    /// Databases, at least 1.
    databases: u32 = "databases",
    /// The folder for what is kept on disk.
    dir: PathBuf = "dir",
    /// When snapshots are due.
    save: Vec<SavePoint> = "save",
    /// What keys with a prefix are protected from.
    rule: Vec<RuleLine> = "rule",
    /// The snapshot's name.
    dbfilename: String = "dbfilename",
    /// A snapshot to start from instead of the usual one.
    load: Option<PathBuf> = "load",
    /// Start with what a damaged snapshot still has.
    salvage: bool = "salvage",
    /// Compress strings in snapshots.
    rdbcompression: bool = "rdbcompression",
    /// End snapshots with a sum.
    rdbchecksum: bool = "rdbchecksum",
    /// Refuse writes while snapshots fail.
    stop_writes_on_bgsave_error: bool = "stop-writes-on-bgsave-error",
    /// Keep a list of the hottest keys, and load it at the start.
    warm: bool = "warm",
    /// Serve clients while it is loaded.
    serve_while_warming: bool = "serve-while-warming",
    /// How often it is written; `None` is at the end alone.
    warm_every: Option<Duration> = "warm-every",
    /// The most keys and bytes of it.
    warm_keys: u64 = "warm-keys",
    warm_memory: Bytes = "warm-memory",
    /// Write the values, too.
    warm_values: bool = "warm-values",
    /// The age from which on it is not loaded; `None` is any.
    warm_age_max: Option<Duration> = "warm-age-max",
    /// What makes it a node of a cluster; see [`Config::is_clustered`].
    cluster_enabled: bool = "cluster-enabled",
    cluster_nodes: String = "cluster-nodes",
    join: String = "join",
    /// The port for other nodes; 0 is the one for clients + 10000.
    bus_port: u16 = "bus-port",
    /// By which the nodes of a cluster know each other; may be empty.
    cluster_secret: String = "cluster-secret",
    /// Replicas of each shard, if this node begins the cluster.
    cluster_replicas: u32 = "cluster-replicas",
    /// Where others reach this node, if that is not what it listens on.
    cluster_announce_ip: String = "cluster-announce-ip",
    cluster_announce_port: u16 = "cluster-announce-port",
    cluster_announce_bus_port: u16 = "cluster-announce-bus-port",
    /// Its part beside others'; 100 is the usual one.
    cluster_weight: u32 = "cluster-weight",
    cluster_zone: String = "cluster-zone",
    cluster_witness: bool = "cluster-witness",
    /// Whom to follow from the start: host and port.
    replicaof: String = "replicaof",
    /// What the primary asks for.
    masterauth: String = "masterauth",
    masteruser: String = "masteruser",
    /// Refuse writes of clients on a replica.
    replica_read_only: bool = "replica-read-only",
    /// Answer reads while the link to the primary is down.
    replica_serve_stale_data: bool = "replica-serve-stale-data",
    /// What is told to those who choose a replica to promote.
    replica_priority: u32 = "replica-priority",
    /// Where this replica can be reached, if it is not where it comes from.
    replica_announce_ip: String = "replica-announce-ip",
    replica_announce_port: u16 = "replica-announce-port",
    /// Bytes of the stream that are kept for replicas which were away.
    repl_backlog_size: Bytes = "repl-backlog-size",
    /// How long while nobody follows.
    repl_backlog_ttl: Option<Duration> = "repl-backlog-ttl",
    /// Silence after which a link is given up.
    repl_timeout: Duration = "repl-timeout",
    /// How often a primary pings.
    repl_ping_replica_period: Duration = "repl-ping-replica-period",
    /// Refuse writes while fewer replicas follow.
    min_replicas_to_write: u32 = "min-replicas-to-write",
    /// Silence after which a replica does not count.
    min_replicas_max_lag: Option<Duration> = "min-replicas-max-lag",
    /// Who must hold a write before it is answered.
    durability: Durability = "durability",
    /// How long a reply is held for that.
    durability_timeout: Duration = "durability-timeout",
    /// How clients are served whose keys other nodes have.
    routing: Routing = "routing",
    /// A second port, for clients that know of no cluster; 0 for none.
    forward_port: u16 = "forward-port",
    /// How long other nodes are tried for a client.
    forward_timeout: Duration = "forward-timeout",
    /// What Ctrl-C does.
    shutdown_on_sigint: Vec<&'static str> = "shutdown-on-sigint",
    /// What SIGTERM does.
    shutdown_on_sigterm: Vec<&'static str> = "shutdown-on-sigterm",
    /// The longest a shutdown waits.
    shutdown_timeout: Duration = "shutdown-timeout",
    /// Clients at once, at least 1.
    maxclients: u32 = "maxclients",
    /// Replies that may wait, per class of clients.
    client_output_buffer_limit: OutputLimits = "client-output-buffer-limit",
    /// Bytes of a client's unfinished requests.
    client_query_buffer_limit: Bytes = "client-query-buffer-limit",
    /// The longest single argument.
    proto_max_bulk_len: Bytes = "proto-max-bulk-len",
    /// What all clients' buffers may take.
    maxmemory_clients: ClientMemory = "maxmemory-clients",
    /// What the node may hold; 0 is no limit.
    maxmemory: Bytes = "maxmemory",
    /// Which keys make room.
    maxmemory_policy: EvictionPolicy = "maxmemory-policy",
    /// Keys that a sampling policy compares, at least 1.
    maxmemory_samples: u32 = "maxmemory-samples",
    /// How slowly LFU counters grow.
    lfu_log_factor: u32 = "lfu-log-factor",
    /// How long until an unused LFU counter loses one.
    lfu_decay_time: Option<Duration> = "lfu-decay-time",
    /// The least important lines that are logged.
    loglevel: LogLevel = "loglevel",
    /// The file to log to; none is the standard output.
    logfile: Option<PathBuf> = "logfile",
    /// How long a command must take to enter the slow log.
    slowlog_log_slower_than: Option<Duration> = "slowlog-log-slower-than",
    /// Entries of the slow log.
    slowlog_max_len: u64 = "slowlog-max-len",
    /// How long an event must take for LATENCY to remember it.
    latency_monitor_threshold: Option<Duration> = "latency-monitor-threshold",
    /// Keep a latency histogram for each command.
    latency_tracking: bool = "latency-tracking",
    /// The percentiles that INFO tells of them.
    latency_tracking_info_percentiles: Vec<f64> = "latency-tracking-info-percentiles",
    /// The keyspace events that are published.
    notify_keyspace_events: Events = "notify-keyspace-events",
}

impl Default for Config {
    fn default() -> Config {
        Config::new(Values::defaults(&Machine::here()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::Origin;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    fn raw(entries: &[(&str, &str, bool)]) -> Raw {
        let entry = |(name, words, flag): &(&str, &str, bool)| Entry {
            id: known(name),
            words: words.split(' ').map(str::to_owned).collect(),
            origin: match flag {
                true => Origin::Flag((*name).to_owned()),
                false => Origin::Variable(format!("LARDER_{name}")),
            },
        };
        Raw { entries: entries.iter().map(entry).collect(), file: None }
    }

    fn text(entries: &[(&str, &str, bool)], name: &str) -> String {
        let (values, wrong) = check(&raw(entries), &MACHINE);
        assert!(wrong.is_empty(), "{wrong:?}");
        values.named(name).text()
    }

    fn wrong(entries: &[(&str, &str, bool)]) -> Vec<String> {
        check(&raw(entries), &MACHINE).1.iter().map(Wrong::to_string).collect()
    }

    #[test]
    fn fields_turn_into_the_values_they_came_from() {
        let values = Values::defaults(&MACHINE);
        let config = Config::new(values.clone());
        assert_eq!(config.values(), values);
        assert_eq!(config.maxmemory, Bytes(6 << 30));
        assert_eq!(config.maxmemory_policy, EvictionPolicy::AllkeysLarder);
        assert_eq!((config.port, config.workers, config.databases), (6379, 4, 16));
        assert_eq!(config.timeout, None);
        assert_eq!(config.slowlog_log_slower_than, Some(Duration::from_millis(10)));
        assert_eq!(config.client_output_buffer_limit, OutputLimits::DEFAULT);
    }

    #[test]
    fn fields_that_were_changed_count() {
        let zero = Some(Duration::ZERO);
        let config = Config { port: 7000, slowlog_log_slower_than: zero, ..Config::new(Values::defaults(&MACHINE)) };
        assert_eq!(config.values().named("port").text(), "7000");
        assert_eq!(config.values().named("slowlog-log-slower-than").text(), "0");
        let never = Config { slowlog_log_slower_than: None, ..config };
        assert_eq!(never.values().named("slowlog-log-slower-than").text(), "-1");
    }

    #[test]
    fn names_of_choices_fit_their_variants() {
        assert_eq!(EvictionPolicy::VolatileTtl.name(), "volatile-ttl");
        assert_eq!(EvictionPolicy::Noeviction.name(), "noeviction");
        assert_eq!(EvictionPolicy::AllkeysLarder.name(), "allkeys-larder");
        assert_eq!(Access::Local.name(), "local");
        assert_eq!(LogLevel::Warning.name(), "warning");
    }

    #[test]
    fn the_last_entry_holds() {
        assert_eq!(text(&[("port", "1", false), ("port", "2", false), ("port", "3", true)], "port"), "3");
    }

    #[test]
    fn save_lines_add_up_within_a_source() {
        let lines = [("save", "900 1", false), ("save", "60 10", false)];
        assert_eq!(text(&lines, "save"), "900 1 60 10");
        assert_eq!(text(&[lines[0], ("save", "", false), lines[1]], "save"), "60 10");
        assert_eq!(text(&[lines[0], lines[1], ("save", "5 5", true)], "save"), "5 5");
        assert_eq!(text(&[lines[0], ("save", "", true)], "save"), "");
    }

    #[test]
    fn output_limits_are_replaced_class_by_class() {
        let name = "client-output-buffer-limit";
        let lines = [(name, "normal 1 2 3", false), (name, "replica 4 5 6", true)];
        assert_eq!(text(&lines, name), "normal 1 2 3 slave 4 5 6 pubsub 33554432 8388608 60");
    }

    #[test]
    fn every_mistake_is_reported() {
        assert_eq!(
            wrong(&[("maxmemory", "abc", true), ("port", "0", true), ("port", "1 2", false), ("hz", "x", true)]),
            [
                "--port: found '0': port 0 would leave the node without a way in; give a port from 1 to 65535; \
                 allowed: 1 to 65535",
                "LARDER_port: found '1 2': wrong number of arguments; allowed: 1 to 65535",
                "--maxmemory: found 'abc': argument must be a memory value; allowed: bytes, or a number with b, k \
                 (1000), kb (1024), m, mb, g or gb, or 1% to 100% of the machine's memory; 0 is no limit",
                "--hz: found 'x': argument couldn't be parsed into an integer; allowed: 0 to 2147483647",
            ]
        );
    }

    #[test]
    fn what_would_do_harm_if_passed_over_is_refused() {
        assert_eq!(
            wrong(&[("tls-port", "6380", true), ("cluster-enabled", "no", true)]),
            ["--tls-port: found '6380': this version cannot do that; allowed: '0' alone. This version has no TLS."]
        );
        assert_eq!(
            wrong(&[("replicaof", "somewhere", true)]),
            ["--replicaof: found 'somewhere': that is no HOST and PORT; allowed: text"]
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let found = wrong(&[("requirepass", "two words", true)]);
        assert_eq!(found, ["--requirepass: found a secret: wrong number of arguments; allowed: text"]);
    }

    #[test]
    fn only_what_differs_from_what_larder_does_is_noticed() {
        let raw = raw(&[("appendonly", "yes", true), ("save", "", true), ("hz", "10", true), ("port", "1", true)]);
        let (values, _) = check(&raw, &MACHINE);
        assert_eq!(
            notices(&raw, &values, &MACHINE),
            ["--appendonly: 'appendonly' is accepted but has no effect. Larder writes snapshots (see save) and no \
                 append-only file."]
        );
    }
}
