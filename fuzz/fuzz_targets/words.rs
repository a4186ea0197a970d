//! Requests made of a fuzzer's bytes: mostly commands as their rows describe them, some of them spoiled a little, and
//! sometimes anything.

use larder::base::crc64::crc64;
use larder::command::row::{Arg, Kind};
use larder::command::table;
use larder::persist::rdb;
use libfuzzer_sys::arbitrary::{Result, Unstructured};

pub enum Request {
    Words(Vec<Vec<u8>>),
    /// Words typed by hand, without the line's end.
    Line(Vec<u8>),
    /// Bytes that need not be a request.
    Raw(Vec<u8>),
}

/// Where one argument holds others.
const DEPTH_MAX: usize = 4;

/// Words that settings and options are made of.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "15",
    "16",
    "on",
    "off",
    "yes",
    "no",
    "local",
    "default",
    "maxmemory",
    "3mb",
    "100mb",
    "maxmemory-policy",
    "allkeys-larder",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "noeviction",
    "maxmemory-samples",
    "lfu-log-factor",
    "lfu-decay-time",
    "latency-tracking",
    "latency-monitor-threshold",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "requirepass",
    "save",
    "timeout",
    "client-query-buffer-limit",
    "client-output-buffer-limit",
    "normal 0 0 0",
    "push",
    "attrib",
    "bignum",
    "verbatim",
    "double",
    "map",
    "string",
    "127.0.0.1:50001",
    "127.0.0.1:50002",
    "command",
    "fast-command",
    "*",
    "k*",
    "COUNT",
    "MATCH",
    "TYPE",
    "GET",
    "EX",
    "PX",
    "KEEPTTL",
    "REPLACE",
    "ABSTTL",
    "DB",
    "IDX",
    "LEN",
    "WITHMATCHLEN",
];

/// Numbers at which something changes.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "00",
    "1",
    "-1",
    "+1",
    "2",
    "10",
    "100",
    "1000",
    "4294967295",
    "4294967296",
    "-2147483648",
    "2147483647",
    "2147483648",
    "281474976710655",
    "281474976710656",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "9223372036854775",
    "1700000000",
    "1700000000000",
    "4102444800000",
    "536870911",
    "536870912",
    "1048575",
    "1048576",
    "",
    " 1",
    "1 ",
    "0x10",
    "1e3",
    "inf",
    "-inf",
    "nan",
    "3.0",
    "0.1",
    "5e-324",
    "1.7976931348623157e308",
    "1e4932",
    "12345678901234567890123",
];

const PATTERNS: &[&str] = &["*", "k?", "[a-z]*", "[^a]*", "\\*", "*a*b*c*", "[", "[a-", "?", "", "k[1-3]", "{t}*"];

pub fn request(input: &mut Unstructured<'_>) -> Result<Request> {
    Ok(match input.arbitrary::<u8>()? {
        0..=230 => Request::Words(command(input)?),
        231..=245 => Request::Line(command(input)?.join(&b' ')),
        _ => Request::Raw(bytes(input, 80)?),
    })
}

fn command(input: &mut Unstructured<'_>) -> Result<Vec<Vec<u8>>> {
    let mut found = input.choose(table::all())?;
    let mut words = vec![found.row.name.as_bytes().to_vec()];
    if !found.subcommands.is_empty() && input.ratio(9, 10)? {
        found = input.choose(&found.subcommands)?;
        words.push(found.row.name.as_bytes().to_vec());
    }
    found.row.args.iter().try_for_each(|arg| push_arg(input, arg, &mut words, 0))?;
    // Most are well formed; where the input has ended, 0 is drawn.
    for _ in 0..input.int_in_range(0u8..=7)?.saturating_sub(5) {
        spoil(input, &mut words)?;
    }
    if words.is_empty() || is_left_out(&words) {
        words = vec![b"PING".to_vec()];
    }
    Ok(words)
}

fn spoil(input: &mut Unstructured<'_>, words: &mut Vec<Vec<u8>>) -> Result<()> {
    let at = input.choose_index(words.len().max(1))?;
    match input.int_in_range(0..=3)? {
        0 => _ = words.pop(),
        1 => words.push(text(input)?),
        2 if at < words.len() => words[at] = text(input)?,
        3 if at < words.len() => words[at].make_ascii_lowercase(),
        _ => {}
    }
    Ok(())
}

fn push_arg(input: &mut Unstructured<'_>, arg: &Arg, words: &mut Vec<Vec<u8>>, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX || arg.optional && input.ratio(1, 2)? {
        return Ok(());
    }
    let times = if arg.many { input.int_in_range(1..=5)? } else { 1 };
    for time in 0..times {
        if let Some(token) = arg.token
            && (time == 0 || arg.many_token)
        {
            words.push(token.as_bytes().to_vec());
        }
        match arg.kind {
            Kind::Token => {}
            Kind::Key(_) => words.push(key(input)?),
            Kind::Int | Kind::Double | Kind::UnixTime => words.push(number(input)?),
            Kind::Pattern => words.push(pattern(input)?),
            Kind::Text => words.push(text(input)?),
            Kind::OneOf(choices) => {
                let choice = input.choose(choices)?;
                push_arg(input, choice, words, depth + 1)?;
            }
            Kind::Block(parts) => parts.iter().try_for_each(|part| push_arg(input, part, words, depth + 1))?,
        }
    }
    Ok(())
}

/// A key out of a few, so that commands meet.
fn key(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match input.int_in_range(0..=11)? {
        number @ 0..=5 => format!("k{number}").into_bytes(),
        number @ 6..=8 => format!("{{t}}{number}").into_bytes(),
        9 => vec![b'l'; 300],
        10 => Vec::new(),
        _ => bytes(input, 20)?,
    })
}

fn number(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match input.int_in_range(0..=9)? {
        0..=4 => input.choose(NUMBERS)?.as_bytes().to_vec(),
        5 | 6 => input.arbitrary::<i16>()?.to_string().into_bytes(),
        7 => input.arbitrary::<i64>()?.to_string().into_bytes(),
        8 => input.arbitrary::<f64>()?.to_string().into_bytes(),
        _ => bytes(input, 20)?,
    })
}

fn pattern(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if input.ratio(2, 3)? { Ok(input.choose(PATTERNS)?.as_bytes().to_vec()) } else { bytes(input, 40) }
}

fn text(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match input.int_in_range(0..=11)? {
        0..=3 => input.choose(WORDS)?.as_bytes().to_vec(),
        4 | 5 => number(input)?,
        6 => key(input)?,
        7 => vec![input.arbitrary()?; input.int_in_range(0..=5000)?],
        8 => payload(input)?,
        9 => input.choose(table::all())?.row.name.as_bytes().to_vec(),
        _ => bytes(input, 300)?,
    })
}

/// What `DUMP` might have answered: a string, or any bytes with the right check sum.
fn payload(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    if input.arbitrary()? {
        rdb::dump_string(&mut payload, &bytes(input, 100)?, input.arbitrary()?);
        return Ok(payload);
    }
    payload.push(input.int_in_range(0..=3)?);
    payload.extend(bytes(input, 100)?);
    payload.extend_from_slice(&rdb::VERSION.to_le_bytes());
    payload.extend_from_slice(&crc64(0, &payload).to_le_bytes());
    Ok(payload)
}

fn bytes(input: &mut Unstructured<'_>, len_max: usize) -> Result<Vec<u8>> {
    let len = input.int_in_range(0..=len_max)?;
    Ok(input.bytes(len.min(input.len()))?.to_vec())
}

/// Commands that are meant to take long, to end the process or to lift the bounds on what others take.
fn is_left_out(words: &[Vec<u8>]) -> bool {
    const LONG: &[&str] = &["SLEEP", "POPULATE", "STRINGMATCH-LEN", "PROTO-MAX-BULK-LEN"];
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    words.iter().any(|word| is(word, "SHUTDOWN") || LONG.iter().any(|name| is(word, name)))
}

/// Whether requests may get no reply of their own from now on, or several, as those do that subscribe.
pub fn changes_count(words: &[Vec<u8>]) -> bool {
    let counts_otherwise = |word: &Vec<u8>| {
        let word = word.to_ascii_uppercase();
        [&b"REPLY"[..], b"MONITOR", b"REPLCONF", b"DURABILITY"].contains(&word.as_slice())
            || word.ends_with(b"SUBSCRIBE")
    };
    words.iter().any(counts_otherwise)
}
