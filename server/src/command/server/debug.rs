//! `DEBUG`: what tests and the curious ask of a node. Switches of parts that Larder does not have are accepted and
//! change nothing, so that test suites written for Redis run.

use super::*;
use crate::base::glob;
use crate::base::number::parse_f64;
use crate::command::cluster::Step;
use crate::command::words::lower;
use crate::store::header::Shape;
use crate::store::{Key, New, Value};
use crate::types::object::Object;
use std::time::Duration;

pub const DEBUG: Command = Command {
    name: "DEBUG",
    run: debug,
    summary: "Looks into the node and stops it, for tests.",
    complexity: "Depends on subcommand.",
    args: &[text("subcommand"), text("argument").optional().many()],
    flags: ADMIN,
    // SLEEP keeps everybody waiting, as it does in Redis, and POPULATE writes to any stripe.
    scope: Scope::Everything,
    ..SERVER
};

/// The longest sleep, in seconds: a day. What is longer is a slip.
const SLEEP_MAX: f64 = 86_400.0;

fn debug(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if !settings::allows(cx.node, "enable-debug-command", cx.session) {
        return Err(Fault::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from \
             a local connection, otherwise you need to set this option in the configuration file, and then restart the \
             server.",
        ));
    }
    let word = args.word()?;
    let name = String::from_utf8_lossy(word).to_ascii_uppercase();
    match (name.as_str(), args.len()) {
        ("SLEEP", 1) => sleep(cx, args),
        ("OBJECT", 1 | 2) => object(cx, args),
        ("SDSLEN", 1) => sds_len(cx, args),
        ("SET-ACTIVE-EXPIRE", 1) => set_active_expire(cx, args),
        ("CHANGE-REPL-ID", 0) => change_replication_id(cx),
        ("QUICKLIST-PACKED-THRESHOLD", 1) => packed_threshold(cx, args),
        ("REPLYBUFFER", 2) => reply_buffer(cx, args),
        ("ERROR", 1) => Err(Fault::Bytes(args.word()?.to_vec())),
        ("LOG", 1) => log(cx, args),
        ("MOVE-STOP", 1) => move_stop(cx, args),
        ("POPULATE", 1..=3) => populate(cx, args),
        ("PROTOCOL", 1) => debug_protocol::protocol(cx, args),
        ("STRINGMATCH-LEN", 2) => string_match(cx, args),
        ("STRUCTSIZE", 0) => struct_sizes(cx),
        ("HTSTATS", 1..) => table_stats(cx, args),
        ("HELP", 0) => help(cx, "DEBUG", HELP_LINES),
        ("RELOAD" | "LOADAOF" | "JMAP" | "STRINGMATCH-TEST" | "CONFIG-REWRITE-FORCE-ALL", _)
        | ("PAUSE-CRON" | "AOF-FLUSH-SLEEP" | "SET-SKIP-CHECKSUM-VALIDATION" | "DICT-RESIZING", 1)
        | ("SET-DISABLE-DENY-SCRIPTS" | "DROP-CLUSTER-PACKET-FILTER" | "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", 1)
        | ("DELAY-RDB-CLIENT-FREE-SECOND" | "LEAK", 1) => {
            cx.reply.ok();
            REPLIED
        }
        _ => Err(unknown(word)),
    }
}

fn unknown(word: &[u8]) -> Fault {
    Fault::subcommand_syntax("DEBUG", word)
}

const HELP_LINES: &[&str] = &[
    "CHANGE-REPL-ID",
    "    Gives the node a new replication id.",
    "ERROR <text>",
    "    Answers an error with this text.",
    "HTSTATS <db>",
    "    Returns how the keys of a database are spread over stripes.",
    "LOG <text>",
    "    Writes to the node's log.",
    "MOVE-STOP <step>",
    "    Lets moves of slots away from this node stand still once they have taken a step: cleared, copied,",
    "    confirmed, held, brought, asked, handed-over; or go on: off.",
    "OBJECT <key>",
    "    Shows how a key's value is kept.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Creates <count> strings named <prefix>:<number>, filled up to <size> bytes.",
    "PROTOCOL <type>",
    "    Answers a sample of a type: string, integer, double, bignum, null, array, set, map, attrib, push,",
    "    verbatim, true, false.",
    "SDSLEN <key>",
    "    Shows the lengths of a key and its string.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Stops (0) or starts (1) the deletion of expired keys that nobody asks for.",
    "SLEEP <seconds>",
    "    Stops the whole node for a while; fractions are allowed.",
    "STRINGMATCH-LEN <length> <pattern>",
    "    Matches the pattern against so many letters.",
    "STRUCTSIZE",
    "    Returns the sizes of a few structures of Redis's that Larder does without.",
    "AOF-FLUSH-SLEEP, CONFIG-REWRITE-FORCE-ALL, DICT-RESIZING, JMAP, LEAK, LOADAOF, PAUSE-CRON,",
    "QUICKLIST-PACKED-THRESHOLD, RELOAD, REPLYBUFFER, SET-SKIP-CHECKSUM-VALIDATION, STRINGMATCH-TEST",
    "    Accepted so that test suites run; they change nothing.",
];

fn move_stop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let word = String::from_utf8_lossy(args.word()?).to_ascii_lowercase();
    let step = Step::ALL.iter().find(|(name, _)| *name == word).map(|(_, step)| *step);
    if step.is_none() && word != "off" {
        let names: Vec<&str> = Step::ALL.iter().map(|(name, _)| *name).collect();
        return Err(Fault::owned(format!("ERR '{word}' is no step of a move: {}, or off", names.join(", "))));
    }
    cx.node.cluster.stop_moves_at(step);
    cx.reply.ok();
    REPLIED
}

fn sleep(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    // What is not a number counts as 0, as in Redis.
    let seconds = parse_f64(args.word()?).unwrap_or(0.0);
    if seconds > SLEEP_MAX {
        return Err(Fault::owned(format!("ERR DEBUG SLEEP takes at most {SLEEP_MAX} seconds")));
    }
    std::thread::sleep(Duration::from_secs_f64(seconds.max(0.0)));
    cx.reply.ok();
    REPLIED
}

/// Looks at a key without counting an access.
fn look<R>(cx: &Ctx<'_>, args: &mut Args<'_>, look: impl FnOnce(crate::store::Entry<'_>) -> R) -> Result<R, Fault> {
    let key = args.key()?;
    let mut keys = cx.node.store.lock_one(key.place.stripe(), cx.session.db, cx.store.moment());
    keys.peek(key).map(look).ok_or(Fault::NoSuchKey)
}

fn object(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let moment = cx.store.moment();
    let chunk_max = cx.node.live.list_max_listpack_size();
    let line = look(cx, args, |entry| {
        let idle_s = entry.idle_ms(moment) / 1000;
        let encoding = encoding(entry);
        let lru = (moment.ms / 1000).saturating_sub(idle_s) & 0xFF_FFFF;
        let address = entry.key().as_ptr();
        let length = dumped_len(entry.value());
        format!(
            "Value at:{address:p} refcount:1 encoding:{encoding} serializedlength:{length} lru:{lru} \
             lru_seconds_idle:{idle_s}{}",
            chunks(entry, chunk_max)
        )
    })?;
    cx.reply.simple(&line);
    REPLIED
}

/// What there is to tell of the chunks of a long list.
fn chunks(entry: crate::store::Entry<'_>, chunk_max: i64) -> String {
    let Some(Object::List(list)) = entry.object() else { return String::new() };
    let Some(quick) = list.quicklist() else { return String::new() };
    let (nodes, bytes) = (quick.chunks(), quick.chunk_bytes());
    let mean = quick.len() as f64 / nodes as f64;
    format!(
        " ql_nodes:{nodes} ql_avg_node:{mean:.2} ql_listpack_max:{chunk_max} ql_compressed:0 ql_uncompressed_size:{bytes}"
    )
}

/// Strings up to this length are `embstr` in Redis as long as nobody edits them.
const EMBSTR_MAX: usize = 44;

fn encoding(entry: crate::store::Entry<'_>) -> &'static str {
    match entry.value() {
        Value::Int(_) => "int",
        Value::Bytes(bytes) if entry.shape() == Shape::Bytes && bytes.len() <= EMBSTR_MAX => "embstr",
        Value::Bytes(_) | Value::Pieces(_) => "raw",
        Value::Object(object) => object.encoding(),
    }
}

/// Bytes of the value in a dump: its length's bytes and its own, or the bytes of an integer.
fn dumped_len(value: Value<'_>) -> usize {
    match value {
        Value::Int(n) if i8::try_from(n).is_ok() => 2,
        Value::Int(n) if i16::try_from(n).is_ok() => 3,
        Value::Int(n) if i32::try_from(n).is_ok() => 5,
        Value::Int(_) => 1 + value.len(),
        Value::Bytes(_) | Value::Pieces(_) => {
            let head = match value.len() {
                0..64 => 1,
                64..16_384 => 2,
                _ => 5,
            };
            head + value.len()
        }
        Value::Object(object) => object.bytes(),
    }
}

fn sds_len(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let line = look(cx, args, |entry| {
        if matches!(entry.shape(), Shape::Int | Shape::Object) {
            return Err(Fault::text("ERR Not an sds encoded string."));
        }
        let (key, value) = (entry.key().len(), entry.value().len());
        let memory = entry.memory();
        Ok(format!(
            "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {memory}, val_sds_len:{value}, val_sds_avail:0, \
             val_zmalloc: 0"
        ))
    })??;
    cx.reply.simple(&line);
    REPLIED
}

fn set_active_expire(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let is_on = parse_i64(args.word()?).unwrap_or(0) != 0;
    cx.node.expires_actively.store(is_on, Relaxed);
    cx.reply.ok();
    REPLIED
}

fn change_replication_id(cx: &mut Ctx<'_>) -> Outcome {
    cx.node.replication.change_id();
    cx.reply.ok();
    REPLIED
}

/// Long elements of lists stand alone by their own rule; the value is checked, and then it changes nothing.
fn packed_threshold(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let word = args.word()?;
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit = lower(&word[digits..]);
    let factor = match unit.as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => 0,
    };
    let bytes = parse_i64(&word[..digits]).filter(|_| factor > 0).and_then(|n| n.checked_mul(factor));
    if bytes.is_none_or(|bytes| bytes > 1 << 32) {
        return Err(Fault::text("ERR argument must be a memory value bigger than 1 and smaller than 4gb"));
    }
    cx.reply.ok();
    REPLIED
}

fn reply_buffer(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.take("PEAK-RESET-TIME") {
        let is_word = args.take("NEVER") || args.take("RESET");
        if !is_word {
            args.int()?;
        }
    } else if !args.take("RESIZING") {
        return Err(unknown(b"REPLYBUFFER"));
    }
    cx.reply.ok();
    REPLIED
}

fn log(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(args.word()?));
    cx.reply.ok();
    REPLIED
}

fn populate(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let positive =
        |word: &[u8]| parse_i64(word).and_then(|n| usize::try_from(n).ok()).ok_or(Fault::OutOfRange("value"));
    let not_positive = |_| Fault::text("ERR value is out of range, must be positive");
    let count = positive(args.word()?).map_err(not_positive)?;
    let prefix = if args.is_empty() { b"key" } else { args.word()? };
    let size = if args.is_empty() { 0 } else { positive(args.word()?).map_err(not_positive)? };
    if size > cx.node.tuning.bulk_len_max() {
        return Err(Fault::TooLong);
    }
    for number in 0..count {
        let name = [prefix, b":", number.to_string().as_bytes()].concat();
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        put_new(cx, cx.node.store.key(&name), &value);
    }
    cx.reply.ok();
    REPLIED
}

/// Sets a key unless it is there.
fn put_new(cx: &Ctx<'_>, key: Key<'_>, value: &[u8]) {
    let mut keys = cx.node.store.lock_one(key.place.stripe(), cx.session.db, cx.store.moment());
    if keys.peek(key).is_none() {
        keys.set(key, New::Set(value), None);
    }
}

/// Letters that a pattern is matched against at most.
const MATCHED_MAX: usize = 64 << 20;

fn string_match(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let len = usize::try_from(args.int()?).ok().filter(|&len| len <= MATCHED_MAX).ok_or(Fault::NotInteger)?;
    let text = vec![b'a'; len];
    let is_match = glob::matches(args.word()?, &text, false);
    cx.reply.int(i64::from(is_match));
    REPLIED
}

fn struct_sizes(cx: &mut Ctx<'_>) -> Outcome {
    cx.reply.simple(&format!(
        "bits:{} robj:0 dictentry:0 sdshdr5:0 sdshdr8:0 sdshdr16:0 sdshdr32:0 sdshdr64:0 ",
        usize::BITS
    ));
    REPLIED
}

fn table_stats(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let number = args.int()?;
    let db = usize::try_from(number).ok().filter(|&db| db < DATABASES);
    let db = db.ok_or(Fault::text("ERR Out of range database"))?;
    let store = &cx.node.store;
    let (mut counts, physical) = (Vec::new(), store.database(db));
    store.each_stripe(|stripe| counts.push(stripe.keys(physical)));
    let keys: usize = counts.iter().sum();
    let filled = counts.iter().filter(|count| **count > 0).count();
    let most = counts.iter().max().copied().unwrap_or(0);
    cx.reply.verbatim(&format!(
        "[Stripes]\n stripes: {}\n number of elements: {keys}\n stripes with elements: {filled}\n most in a stripe: {most}\n",
        counts.len()
    ));
    REPLIED
}
