//! The settings of a running node: what hot code reads at the cost of one relaxed load, and `CONFIG GET`, `SET` and
//! `REWRITE`.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::checked::{Access, ClientMemory, Config, EvictionPolicy, LogLevel, Named, Typed, Values, typed};
use super::machine::Machine;
use super::memory::Bytes;
use super::raw::Raw;
use super::rewrite::{self, RewriteFault};
use super::table::{self, Change, Effect, Id};
use super::value::{Events, OutputLimit, OutputLimits, Value};

/// What a glob matcher looks like: the pattern, then the text.
pub type Matcher = fn(&[u8], &[u8]) -> bool;

/// A setting, the name by which a client called it, and the text it gave.
type Pair<'a> = (Id, &'static str, &'a [u8]);

/// A setting that `CONFIG SET` is about to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The setting.
    pub id: Id,
    /// The name by which the client called it.
    pub name: &'static str,
    /// Its value once the change is made.
    pub value: Value,
}

/// A refusal of [`Step`]s by who has to carry them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name in the step at fault.
    pub name: &'static str,
    /// Why, in Redis's words where it has any.
    pub why: String,
}

/// A refusal of `CONFIG SET`. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetFault {
    /// A name without a value.
    Syntax,
    /// There is no such setting; the name as the client wrote it.
    Unknown(String),
    /// The setting cannot have the value, or not now.
    Failed { name: String, why: String },
}

impl fmt::Display for SetFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetFault::Syntax => out.write_str("ERR syntax error"),
            SetFault::Unknown(name) => {
                write!(out, "ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
            }
            SetFault::Failed { name, why } => {
                write!(out, "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
            }
        }
    }
}

impl std::error::Error for SetFault {}

impl SetFault {
    fn failed(name: &str, why: impl Into<String>) -> SetFault {
        SetFault::Failed { name: name.to_owned(), why: why.into() }
    }
}

/// The settings of a running node.
///
/// Reading a number or a choice is one relaxed load, so a reader may see a change a moment late, and one `CONFIG SET` of
/// several settings one by one. Who keeps something derived from settings compares [`Live::generation`].
#[derive(Debug)]
pub struct Live {
    hot: Hot,
    output: [[AtomicU64; 3]; 3],
    generation: AtomicU64,
    values: RwLock<Values>,
    started: Values,
    raw: Raw,
    machine: Machine,
}

impl Live {
    /// The settings a node starts with. `raw` is what the user wrote, for `CONFIG REWRITE`; who embeds a node gives the
    /// default.
    pub fn new(config: &Config, raw: Raw, machine: Machine) -> Live {
        let values = config.values();
        let live = Live {
            hot: Hot::default(),
            output: Default::default(),
            generation: AtomicU64::new(0),
            values: RwLock::new(values.clone()),
            started: values,
            raw,
            machine,
        };
        live.publish(&live.started);
        live
    }

    /// A number that grows with every change.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The settings that match any of the patterns (whatever their case), with their values as Redis writes them, in the
    /// order of the table. Older names are settings of their own here, as they are in Redis.
    pub fn get(&self, patterns: &[&[u8]], matches: Matcher) -> Vec<(&'static str, String)> {
        let patterns: Vec<Vec<u8>> = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
        let wanted = |name: &str| patterns.iter().any(|pattern| matches(pattern, name.as_bytes()));
        let values = self.read();
        let rows = Id::all().flat_map(|id| id.row().names().map(move |name| (id, name)));
        rows.filter(|(_, name)| wanted(name)).map(|(id, name)| (name, values.get(id).text())).collect()
    }

    /// Changes settings, all or none. `words` are names and values by turns, `local` says whether the client is on this
    /// machine. `carry_out` is called with the checked changes before they can be seen, and may refuse them.
    ///
    /// Returns a sentence for the log for every change that has no effect.
    ///
    /// # Errors
    ///
    /// [`SetFault`], in Redis's order of precedence: unknown or unchangeable names before wrong values.
    pub fn set(
        &self,
        words: &[&[u8]],
        local: bool,
        carry_out: &mut dyn FnMut(&[Step]) -> Result<(), Refusal>,
    ) -> Result<Vec<String>, SetFault> {
        let named = self.named_pairs(words, local)?;
        let mut values = self.write();
        let mut changed = values.clone();
        let mut steps = Vec::with_capacity(named.len());
        for (id, name, text) in named {
            let value = self.checked(id, name, text, &changed)?;
            changed.set(id, value.clone());
            steps.push(Step { id, name, value });
        }
        carry_out(&steps).map_err(|refusal| SetFault::failed(refusal.name, refusal.why))?;
        self.publish(&changed);
        *values = changed;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(steps.iter().filter_map(|step| self.notice(step)).collect())
    }

    /// Writes down whom the node follows now, which is changed by a command of its own; it is shown and kept as a setting.
    pub fn note_primary(&self, primary: Option<&(String, u16)>) {
        let id = table::find("replicaof").expect("the table has this row");
        let mut values = self.write();
        values.set(id, Value::Text(primary.map_or(String::new(), |(host, port)| format!("{host} {port}"))));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Finds the setting of each pair, and refuses those that cannot be changed or stand there twice.
    fn named_pairs<'a>(&self, words: &[&'a [u8]], local: bool) -> Result<Vec<Pair<'a>>, SetFault> {
        let mut pairs: Vec<Pair<'a>> = Vec::with_capacity(words.len() / 2);
        if !words.len().is_multiple_of(2) {
            return Err(SetFault::Syntax);
        }
        for pair in words.chunks_exact(2) {
            let written = String::from_utf8_lossy(pair[0]).into_owned();
            let id = table::find(&written).ok_or_else(|| SetFault::Unknown(written.clone()))?;
            self.changeable(id, local).map_err(|why| SetFault::failed(&written, why))?;
            let name = id.row().names().find(|name| name.eq_ignore_ascii_case(&written)).unwrap_or(id.row().name);
            if pairs.iter().any(|(_, earlier, _)| *earlier == name) {
                return Err(SetFault::failed(&written, "duplicate parameter"));
            }
            pairs.push((id, name, pair[1]));
        }
        Ok(pairs)
    }

    fn changeable(&self, id: Id, local: bool) -> Result<(), &'static str> {
        match id.row().change {
            Change::Live => Ok(()),
            Change::Restart => Err("can't set immutable config"),
            Change::Protected => match typed::<Access>(&self.started, "enable-protected-configs") {
                Access::Yes => Ok(()),
                Access::Local if local => Ok(()),
                Access::Local | Access::No => Err("can't set protected config"),
            },
        }
    }

    fn checked(&self, id: Id, name: &str, text: &[u8], values: &Values) -> Result<Value, SetFault> {
        let kind = &id.row().kind;
        let text = str::from_utf8(text).map_err(|_| SetFault::failed(name, "argument must be UTF-8 text"))?;
        let value = kind.check(&kind.parted(text), values.get(id), &self.machine);
        value.map_err(|why| SetFault::failed(name, why))
    }

    fn notice(&self, step: &Step) -> Option<String> {
        let row = step.id.row();
        let idle = row.effect == Effect::Ignored && step.value != row.kind.default(&self.machine);
        idle.then(|| format!("CONFIG SET: '{}' is accepted but has no effect. {}", step.name, row.doc))
    }

    /// Writes what differs from the configuration file into it, with the user's other lines and comments kept.
    ///
    /// A value that an environment variable gave, and nobody changed since, is left where it is: variables are how
    /// passwords are handed to containers, and they do not belong on disk.
    ///
    /// # Errors
    ///
    /// [`RewriteFault`]; the file is as it was.
    pub fn rewrite(&self) -> Result<(), RewriteFault> {
        let file = self.raw.file.as_ref().ok_or(RewriteFault::NoFile)?;
        let values = self.read().clone();
        rewrite::rewrite(file, &self.raw, &self.started, &values, &self.machine)
    }

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.raw.file.as_ref().map(|file| file.path.as_path())
    }

    /// The typed form of the settings as they are now.
    pub fn config(&self) -> Config {
        Config::new(self.read().clone())
    }

    /// The password; empty is none.
    pub fn requirepass(&self) -> String {
        typed(&self.read(), "requirepass")
    }

    /// Whether there is a password, without taking a lock.
    pub fn has_password(&self) -> bool {
        self.hot.has_password.load(Ordering::Relaxed) != 0
    }

    /// The output limits of all classes. During a change, old and new numbers may be mixed.
    pub fn output_limits(&self) -> OutputLimits {
        let limit = |class: &[AtomicU64; 3]| {
            let [hard, soft, seconds] = class.each_ref().map(|number| number.load(Ordering::Relaxed));
            OutputLimit { hard, soft, soft_seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
        };
        let [normal, replica, pubsub] = &self.output;
        OutputLimits { normal: limit(normal), replica: limit(replica), pubsub: limit(pubsub) }
    }

    fn publish(&self, values: &Values) {
        self.hot.publish(values);
        let password: String = typed(values, "requirepass");
        self.hot.has_password.store(u64::from(!password.is_empty()), Ordering::Relaxed);
        let limits: OutputLimits = typed(values, "client-output-buffer-limit");
        for (class, (_, limit)) in self.output.iter().zip(limits.classes()) {
            for (number, new) in class.iter().zip([limit.hard, limit.soft, limit.soft_seconds.into()]) {
                number.store(new, Ordering::Relaxed);
            }
        }
    }

    /// No writer leaves values half changed, so a panic elsewhere while the lock was held does no harm.
    fn read(&self) -> RwLockReadGuard<'_, Values> {
        self.values.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Values> {
        self.values.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A type that fits in an atomic.
trait Bits: Typed {
    fn to_bits(&self) -> u64;
    fn from_bits(bits: u64) -> Self;
}

impl Bits for bool {
    fn to_bits(&self) -> u64 {
        u64::from(*self)
    }

    fn from_bits(bits: u64) -> bool {
        bits != 0
    }
}

macro_rules! bits_of_numbers {
    ($($number:ty),*) => {$(
        impl Bits for $number {
            fn to_bits(&self) -> u64 {
                *self as u64
            }

            fn from_bits(bits: u64) -> $number {
                bits as $number
            }
        }
    )*};
}

bits_of_numbers!(u32, u64, i64);

impl Bits for Bytes {
    fn to_bits(&self) -> u64 {
        self.0
    }

    fn from_bits(bits: u64) -> Bytes {
        Bytes(bits)
    }
}

impl Bits for Events {
    fn to_bits(&self) -> u64 {
        self.bits().into()
    }

    fn from_bits(bits: u64) -> Events {
        Events::from_bits(bits as u32)
    }
}

/// Kept in microseconds; all ones are "never".
impl Bits for Option<Duration> {
    fn to_bits(&self) -> u64 {
        self.map_or(u64::MAX, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX - 1))
    }

    fn from_bits(bits: u64) -> Option<Duration> {
        (bits != u64::MAX).then(|| Duration::from_micros(bits))
    }
}

/// The top bit marks a percentage; no machine has that many bytes.
impl Bits for ClientMemory {
    fn to_bits(&self) -> u64 {
        match *self {
            ClientMemory::Bytes(Bytes(bytes)) => bytes.min(i64::MAX as u64),
            ClientMemory::PercentOfMaxmemory(percent) => 1 << 63 | u64::from(percent),
        }
    }

    fn from_bits(bits: u64) -> ClientMemory {
        match bits >> 63 {
            0 => ClientMemory::Bytes(Bytes(bits)),
            _ => ClientMemory::PercentOfMaxmemory(bits as u8),
        }
    }
}

macro_rules! bits_of_names {
    ($($name:ty),*) => {$(
        impl Bits for $name {
            fn to_bits(&self) -> u64 {
                self.place() as u64
            }

            fn from_bits(bits: u64) -> $name {
                <$name>::ALL[bits as usize % <$name>::ALL.len()]
            }
        }
    )*};
}

bits_of_names!(EvictionPolicy, LogLevel);

/// Declares the settings that hot code reads: an atomic for each, and a method of [`Live`] that loads it.
macro_rules! hot {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $name:literal,)*) => {
        #[derive(Debug, Default)]
        struct Hot {
            has_password: AtomicU64,
            $($field: AtomicU64,)*
        }

        impl Hot {
            fn publish(&self, values: &Values) {
                $(self.$field.store(typed::<$type>(values, $name).to_bits(), Ordering::Relaxed);)*
            }
        }

        impl Live {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $field(&self) -> $type {
                    <$type as Bits>::from_bits(self.hot.$field.load(Ordering::Relaxed))
                }
            )*
        }
    };
}

hot! {
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
    /// Clients at once.
    maxclients: u32 = "maxclients",
    /// Idleness after which a client is disconnected.
    timeout: Option<Duration> = "timeout",
    /// Silence after which the kernel asks whether the other end lives.
    tcp_keepalive: Option<Duration> = "tcp-keepalive",
    /// Bytes of a client's unfinished requests.
    client_query_buffer_limit: Bytes = "client-query-buffer-limit",
    /// The longest single argument.
    proto_max_bulk_len: Bytes = "proto-max-bulk-len",
    /// What all clients' buffers may take.
    maxmemory_clients: ClientMemory = "maxmemory-clients",
    /// Refuse other machines while there is no password.
    protected_mode: bool = "protected-mode",
    /// How long a command must take to enter the slow log.
    slowlog_log_slower_than: Option<Duration> = "slowlog-log-slower-than",
    /// Entries of the slow log.
    slowlog_max_len: u64 = "slowlog-max-len",
    /// How long an event must take for LATENCY to remember it.
    latency_monitor_threshold: Option<Duration> = "latency-monitor-threshold",
    /// Keep a latency histogram for each command.
    latency_tracking: bool = "latency-tracking",
    /// The keyspace events that are published.
    notify_keyspace_events: Events = "notify-keyspace-events",
    /// The least important lines that are logged.
    loglevel: LogLevel = "loglevel",
    /// The most fields of a hash in the compact encoding.
    hash_max_listpack_entries: u64 = "hash-max-listpack-entries",
    /// The longest field or value of a hash in the compact encoding.
    hash_max_listpack_value: Bytes = "hash-max-listpack-value",
    /// Elements of a list's part, or -1 to -5 for 4 to 64 KiB.
    list_max_listpack_size: i64 = "list-max-listpack-size",
    /// The most members of a set of integers in its encoding.
    set_max_intset_entries: u64 = "set-max-intset-entries",
    /// The most members of a set in the compact encoding.
    set_max_listpack_entries: u64 = "set-max-listpack-entries",
    /// The longest member of a set in the compact encoding.
    set_max_listpack_value: Bytes = "set-max-listpack-value",
    /// The most members of a sorted set in the compact encoding.
    zset_max_listpack_entries: u64 = "zset-max-listpack-entries",
    /// The longest member of a sorted set in the compact encoding.
    zset_max_listpack_value: Bytes = "zset-max-listpack-value",
    /// The size up to which a HyperLogLog stays sparse.
    hll_sparse_max_bytes: Bytes = "hll-sparse-max-bytes",
    /// The size of a stream's node; 0 is no limit.
    stream_node_max_bytes: Bytes = "stream-node-max-bytes",
    /// The entries of a stream's node; 0 is no limit.
    stream_node_max_entries: u64 = "stream-node-max-entries",
    /// Compress strings in snapshots and in what DUMP returns.
    rdbcompression: bool = "rdbcompression",
    /// Keys that are remembered for clients that keep copies; 0 is no limit.
    tracking_table_max_keys: u64 = "tracking-table-max-keys",
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    fn live() -> Live {
        Live::new(&Config::new(Values::defaults(&MACHINE)), Raw::default(), MACHINE)
    }

    fn open(access: Access) -> Live {
        let config = Config { enable_protected_configs: access, ..Config::new(Values::defaults(&MACHINE)) };
        Live::new(&config, Raw::default(), MACHINE)
    }

    /// `*` alone, a prefix with `*`, or the name itself.
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.strip_suffix(b"*") {
            Some(prefix) => text.starts_with(prefix),
            None => pattern == text,
        }
    }

    fn get(live: &Live, name: &str) -> String {
        let found = live.get(&[name.as_bytes()], matches);
        assert_eq!(found.len(), 1, "{name}");
        found[0].1.clone()
    }

    fn set(live: &Live, words: &[&str]) -> Result<Vec<String>, String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        live.set(&words, true, &mut |_| Ok(())).map_err(|fault| fault.to_string())
    }

    fn refused(words: &[&str]) -> String {
        let live = live();
        let before = live.get(&[b"*"], matches);
        let text = set(&live, words).expect_err(&words.join(" "));
        assert_eq!(live.get(&[b"*"], matches), before, "{words:?} changed something");
        assert_eq!(live.generation(), 0);
        text
    }

    fn failed(name: &str, why: &str) -> String {
        format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
    }

    #[test]
    fn get_answers_in_redis_text() {
        let live = live();
        for (name, text) in [
            ("maxmemory", "6442450944"),
            ("save", "3600 1 300 100 60 10000"),
            ("appendonly", "no"),
            ("databases", "16"),
            ("replica-read-only", "yes"),
            ("slave-read-only", "yes"),
            ("cluster-enabled", "no"),
            ("timeout", "0"),
            ("bind", "127.0.0.1 -::1"),
            ("maxmemory-policy", "allkeys-larder"),
            ("latency-tracking-info-percentiles", "50 99 99.9"),
            ("slowlog-log-slower-than", "10000"),
            ("shutdown-on-sigint", "default"),
            ("oom-score-adj-values", "0 200 800"),
            ("proto-max-bulk-len", "536870912"),
        ] {
            assert_eq!(get(&live, name), text, "{name}");
        }
    }

    #[test]
    fn get_takes_several_patterns_of_any_case_and_repeats_nothing() {
        let names = |patterns: &[&[u8]]| -> Vec<&str> {
            live().get(patterns, matches).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[b"MAXMEMORY", b"maxmemory", b"hz"]), ["maxmemory", "hz"]);
        assert!(names(&[b"maxmem*"]).contains(&"maxmemory-policy"));
        assert!(names(&[b"xyz"]).is_empty());
        assert!(names(&[b"*"]).len() > 150);
    }

    #[test]
    fn set_changes_what_hot_code_reads() {
        let live = live();
        set(&live, &["maxmemory", "100mb", "MAXMEMORY-POLICY", "allkeys-LRU", "timeout", "7"]).unwrap();
        assert_eq!(live.maxmemory(), Bytes(100 << 20));
        assert_eq!(live.maxmemory_policy(), EvictionPolicy::AllkeysLru);
        assert_eq!(live.timeout(), Some(Duration::from_secs(7)));
        assert_eq!(get(&live, "maxmemory"), "104857600");
        assert_eq!(live.generation(), 1);
        set(&live, &["client-output-buffer-limit", "normal 1kb 2kb 3"]).unwrap();
        assert_eq!(live.output_limits().normal, OutputLimit { hard: 1024, soft: 2048, soft_seconds: 3 });
        assert_eq!(live.output_limits().pubsub, OutputLimits::DEFAULT.pubsub);
        set(&live, &["requirepass", "secret", "slowlog-log-slower-than", "-1", "notify-keyspace-events", "KEA"])
            .unwrap();
        assert!(live.has_password());
        assert_eq!(live.requirepass(), "secret");
        assert_eq!(live.slowlog_log_slower_than(), None);
        assert!(live.notify_keyspace_events().has(Events::EXPIRED));
        set(&live, &["maxmemory-clients", "10%", "list-max-listpack-size", "-5", "requirepass", ""]).unwrap();
        assert_eq!(live.maxmemory_clients().bytes(1000), 100);
        assert_eq!(live.list_max_listpack_size(), -5);
        assert!(!live.has_password());
        assert_eq!(live.config().maxmemory, Bytes(100 << 20));
    }

    #[test]
    fn older_names_change_the_same_setting() {
        let live = live();
        set(&live, &["hash-max-ziplist-entries", "3", "hash-max-listpack-entries", "4"]).unwrap();
        assert_eq!(get(&live, "hash-max-ziplist-entries"), "4");
        assert_eq!(live.hash_max_listpack_entries(), 4);
    }

    #[test]
    fn unknown_names_and_halves_of_pairs_are_refused() {
        let unknown = "ERR Unknown option or number of arguments for CONFIG SET - 'Xyz'";
        assert_eq!(refused(&["Xyz", "1"]), unknown);
        assert_eq!(refused(&["timeout", "1", "Xyz", "5", "abc", "3"]), unknown);
        assert_eq!(refused(&["timeout", "1", "maxmemory"]), "ERR syntax error");
    }

    #[test]
    fn what_cannot_change_says_so_under_the_name_the_client_wrote() {
        assert_eq!(refused(&["DATABASES", "4"]), failed("DATABASES", "can't set immutable config"));
        assert_eq!(refused(&["dir", "/tmp"]), failed("dir", "can't set protected config"));
        assert_eq!(refused(&["replicaof", "a 1"]), failed("replicaof", "can't set immutable config"));
        let text = failed("databases", "can't set immutable config");
        assert_eq!(refused(&["timeout", "abc", "databases", "3"]), text);
        assert_eq!(refused(&["databases", "3", "xyz", "1"]), text);
    }

    #[test]
    fn protected_settings_open_to_whom_the_file_says() {
        let change = |access, local| open(access).set(&[b"dir", b"/tmp"], local, &mut |_| Ok(())).is_ok();
        assert!(change(Access::Yes, false));
        assert!(change(Access::Local, true));
        assert!(!change(Access::Local, false));
        assert!(!change(Access::No, true));
    }

    #[test]
    fn a_setting_may_stand_there_once() {
        assert_eq!(refused(&["maxmemory", "1", "maxmemory", "2"]), failed("maxmemory", "duplicate parameter"));
    }

    #[test]
    fn wrong_values_change_nothing_at_all() {
        let text = failed("maxmemory", "argument must be a memory value");
        assert_eq!(refused(&["timeout", "1", "MAXMEMORY", "abc"]), text);
        let text = failed("appendonly", "argument must be 'yes' or 'no'");
        assert_eq!(refused(&["appendonly", "foo"]), text);
        let text = failed("hash-max-ziplist-value", "argument must be a memory value");
        assert_eq!(refused(&["hash-max-ziplist-value", "-1"]), text);
        let policies = "volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, \
                        allkeys-random, noeviction, allkeys-larder";
        let text = failed("maxmemory-policy", &format!("argument(s) must be one of the following: {policies}"));
        assert_eq!(refused(&["maxmemory-policy", "foo"]), text);
        let text = failed("maxclients", "argument must be between 1 and 4294967295 inclusive");
        assert_eq!(refused(&["maxclients", "0"]), text);
        let text = failed("save", "Invalid save parameters");
        assert_eq!(refused(&["save", "900"]), text);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let fault = live().set(&[b"requirepass", b"\xff"], true, &mut |_| Ok(())).unwrap_err();
        assert_eq!(fault.to_string(), failed("requirepass", "argument must be UTF-8 text"));
        let fault = live().set(&[b"\xff", b"1"], true, &mut |_| Ok(())).unwrap_err();
        assert!(matches!(fault, SetFault::Unknown(_)));
    }

    #[test]
    fn who_carries_out_a_change_may_refuse_it() {
        let live = live();
        let mut seen = Vec::new();
        let fault = live.set(&[b"maxclients", b"5000000", b"timeout", b"1"], true, &mut |steps| {
            seen = steps.iter().map(|step| (step.name, step.value.text())).collect();
            Err(Refusal { name: steps[0].name, why: "the machine cannot".to_owned() })
        });
        assert_eq!(fault.unwrap_err().to_string(), failed("maxclients", "the machine cannot"));
        assert_eq!(seen, [("maxclients", "5000000".to_owned()), ("timeout", "1".to_owned())]);
        assert_eq!((live.maxclients(), live.timeout(), live.generation()), (10_000, None, 0));
    }

    #[test]
    fn changes_without_effect_are_accepted_and_told() {
        let live = live();
        let notices = set(&live, &["appendonly", "yes", "timeout", "1"]).unwrap();
        assert_eq!(notices.len(), 1);
        assert!(notices[0].starts_with("CONFIG SET: 'appendonly' is accepted but has no effect."));
        assert_eq!(get(&live, "appendonly"), "yes");
        assert!(set(&live, &["appendonly", "no", "save", ""]).unwrap().is_empty());
    }

    #[test]
    fn without_a_file_there_is_nothing_to_rewrite() {
        let fault = live().rewrite().unwrap_err();
        assert_eq!(fault.to_string(), "ERR The server is running without a config file");
    }
}
