//! What the stream holds of each command, and that it makes the same of a replica.

use crate::command::shared::now_ms;
use crate::command::testing::{Desk, freeze};
use crate::store::hash::STRIPES;
use crate::store::{Eviction, Options};
use crate::types::testing::Random;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod forms;
mod quorum;

/// When the nodes of these tests begin to run, in milliseconds since 1970.
const START_MS: u64 = 1_800_000_000_000;

/// All that a node holds: of each key in each database its expiry, its type and its value, a line for each part.
///
/// `DUMP` would not do: it tells in which order a table has its elements, and when a consumer was seen.
type State = BTreeMap<(usize, String), Vec<String>>;

fn state(desk: &mut Desk) -> State {
    let (was_primary, db) = (desk.session.is_primary, desk.session.db);
    // What has expired and lies there still is to be the same, too.
    desk.session.is_primary = true;
    let mut all = State::new();
    for db in 0..3 {
        desk.session.select(db);
        for key in lines(&desk.run("KEYS *")).into_iter().skip(1).filter(|line| !line.starts_with('$')) {
            let value = value(desk, &key);
            all.insert((db, key), value);
        }
    }
    desk.session.select(db);
    desk.session.is_primary = was_primary;
    all
}

fn hash_one(bytes: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(bytes)
}

fn lines(reply: &str) -> Vec<String> {
    reply.split("\r\n").filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn value(desk: &mut Desk, key: &str) -> Vec<String> {
    let mut all = vec![desk.run(&format!("PEXPIRETIME {key}"))];
    let kind = desk.run(&format!("TYPE {key}"));
    match kind.trim_end() {
        "+string" => {
            let text = desk.call(&[b"GET", key.as_bytes()]);
            match text.len() {
                0..2000 => all.push(text.escape_ascii().to_string()),
                len => all.push(format!("{len} bytes, {}", hash_one(&text))),
            }
        }
        "+list" => all.extend(lines(&desk.run(&format!("LRANGE {key} 0 -1")))),
        "+zset" => all.extend(lines(&desk.run(&format!("ZRANGE {key} 0 -1 WITHSCORES")))),
        "+set" => {
            let mut members = lines(&desk.run(&format!("SMEMBERS {key}")));
            members.sort();
            all.extend(members);
        }
        "+hash" => {
            let names = lines(&desk.run(&format!("HKEYS {key}")));
            let names: Vec<&str> = names.iter().skip(2).step_by(2).map(String::as_str).collect();
            let all_names = names.join(" ");
            let values = lines(&desk.run(&format!("HMGET {key} {all_names}")));
            let times = desk.run(&format!("HPEXPIRETIME {key} FIELDS {} {all_names}", names.len()));
            let values = values.iter().skip(2).step_by(2);
            let fields = names.iter().zip(values).zip(lines(&times).into_iter().skip(1));
            let mut fields: Vec<String> =
                fields.map(|((name, value), time)| format!("{name} {value} {time}")).collect();
            fields.sort();
            all.extend(fields);
        }
        "+stream" => {
            all.extend(lines(&desk.run(&format!("XRANGE {key} - +"))));
            let mut skip = false;
            for line in lines(&desk.run(&format!("XINFO STREAM {key} FULL COUNT 0"))) {
                let hangs_on_node = ["seen-time", "active-time", "radix-tree-keys", "radix-tree-nodes"];
                if !std::mem::replace(&mut skip, hangs_on_node.contains(&line.as_str())) {
                    all.push(line);
                }
            }
        }
        kind => panic!("{key} is of the type {kind}"),
    }
    all.insert(0, kind);
    all
}

fn key(random: &mut Random, kind: char) -> String {
    format!("{kind}{}", random.below(4))
}

fn any_key(random: &mut Random) -> String {
    let kinds = ['s', 'l', 'h', 'e', 'z', 'x', 'p', 'n'];
    let kind = kinds[random.below(kinds.len())];
    key(random, kind)
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len())]
}

/// Words that say when something expires: soon, late, or in the past.
fn lifetime(random: &mut Random) -> String {
    let now = now_ms();
    match random.below(8) {
        0 => "EX 100".to_owned(),
        1..4 => format!("PX {}", 1 + random.below(120)),
        4 => format!("EXAT {}", now / 1000 + random.below(3) as u64 - 1),
        5 => format!("PXAT {}", now + random.below(100) as u64 - 20),
        _ => format!("PX {}", 1 + random.below(3000)),
    }
}

fn fields(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let names: Vec<String> = (0..count).map(|_| format!("f{}", random.below(8))).collect();
    format!("FIELDS {count} {}", names.join(" "))
}

/// Many fields with the same short life, more than a command takes out of a hash on its way.
fn short_lived(key: &str) -> Vec<String> {
    let names: Vec<String> = (0..400).map(|n| format!("f{n}")).collect();
    let pairs: Vec<String> = names.iter().map(|name| format!("{name} 1")).collect();
    vec![format!("HSET {key} {}", pairs.join(" ")), format!("HPEXPIRE {key} 15 FIELDS 400 {}", names.join(" "))]
}

fn line(random: &mut Random) -> String {
    match random.below(9) {
        0 => string_line(random),
        1 => generic_line(random),
        2 | 3 => hash_line(random),
        4 => list_line(random),
        5 => set_line(random),
        6 => zset_line(random),
        _ => stream_line(random),
    }
}

fn string_line(random: &mut Random) -> String {
    let (k, other, n) = (key(random, 's'), key(random, 's'), random.below(50));
    let (count, p) = (key(random, 'n'), key(random, 'p'));
    let time = lifetime(random);
    let condition = pick(random, &["", "NX", "XX", "GET", "NX GET", "IFEQ v1", "IFNE v1", "KEEPTTL"]);
    match random.below(26) {
        0 | 1 => format!("SET {k} v{n} {time}"),
        2 => format!("SET {k} v{n} {condition}"),
        3 => format!("SET {k} v{n} {time} {}", if condition == "KEEPTTL" { "" } else { condition }),
        4 => format!("SETEX {k} 1 v{n}"),
        5 => format!("PSETEX {k} {} v{n}", 1 + n),
        6 => format!("SETNX {k} v{n}"),
        7 => format!("GETSET {k} v{n}"),
        8 => format!("GETEX {k} {time}"),
        9 => format!("GETEX {k} PERSIST"),
        10 => format!("GETDEL {k}"),
        11 => format!("MSET {k} a{n} {other} b{n}"),
        12 => format!("MSETNX {k} a{n} {other} b{n}"),
        13 => format!("MSETEX 2 {k} a{n} {other} b{n} {time}"),
        14 => format!("MSETEX 2 {k} a{n} {other} b{n} KEEPTTL {}", pick(random, &["NX", "XX"])),
        15 => format!("INCRBYFLOAT {count} {n}.1"),
        16 => format!("INCRBY {count} {n}"),
        17 => format!("SET {count} {n} {time}"),
        18 => format!("APPEND {k} {n}"),
        19 => format!("SETRANGE {k} {n} xy"),
        20 => format!("SETBIT {p} {n} 1"),
        21 => format!("BITOP OR {k} {p} {other}"),
        22 => format!("PFADD {p} a{n} b{n}"),
        23 => format!("PFCOUNT {p}"),
        24 => format!("PFMERGE {p} {}", key(random, 'p')),
        _ => format!("DELEX {k} IFEQ v{n}"),
    }
}

fn generic_line(random: &mut Random) -> String {
    let (k, other, n) = (any_key(random), any_key(random), random.below(150));
    let condition = pick(random, &["", "", "NX", "XX", "GT", "LT"]);
    let same = format!("{}{}", &k[..1], random.below(4));
    let now = now_ms();
    match random.below(30) {
        0..6 => format!("PEXPIRE {k} {n} {condition}"),
        6 => format!("EXPIRE {k} {} {condition}", n % 3),
        7 => format!("PEXPIREAT {k} {} {condition}", now + n as u64 - 20),
        8 => format!("EXPIREAT {k} {}", now / 1000 + n as u64 % 3),
        9 | 10 => format!("PERSIST {k}"),
        11 => format!("DEL {k} {other}"),
        12 => format!("UNLINK {k}"),
        13..16 => format!("RENAME {k} {same}"),
        16 => format!("RENAMENX {k} {same}"),
        17..20 => format!("COPY {k} {same} {}", pick(random, &["", "REPLACE", "DB 1 REPLACE"])),
        20 => format!("MOVE {k} {}", random.below(3)),
        21 => format!("SORT {} BY nosort STORE {}", key(random, 'e'), key(random, 'l')),
        22 => format!("SORT {} ALPHA BY h*->f1 GET h*->f2 GET # STORE {}", key(random, 'l'), key(random, 'l')),
        23 => format!("TOUCH {k} {other}"),
        24 => format!("EXISTS {k} {other}"),
        25 if n < 20 => "SWAPDB 0 1".to_owned(),
        26 if n < 8 => "FLUSHALL".to_owned(),
        27 if n < 20 => "FLUSHDB".to_owned(),
        28 => format!("PUBLISH c {n}"),
        _ => format!("SELECT {}", random.below(3)),
    }
}

fn hash_line(random: &mut Random) -> String {
    let (k, f, n) = (key(random, 'h'), random.below(8), random.below(100));
    let (some, time) = (fields(random), lifetime(random));
    let condition = pick(random, &["", "", "NX", "XX", "GT", "LT"]);
    match random.below(24) {
        0..4 => format!("HSET {k} f{f} {n} f{} {n}", random.below(8)),
        4 => format!("HMSET {k} f{f} {n}"),
        5 | 6 => format!("HSETNX {k} f{f} {n}"),
        7 | 8 => format!("HINCRBY {k} f{f} {n}"),
        9 => format!("HINCRBYFLOAT {k} f{f} {n}.3"),
        10 => format!("HDEL {k} f{f} f{}", random.below(8)),
        11..14 => format!("HPEXPIRE {k} {n} {condition} {some}"),
        14 => format!("HEXPIRE {k} {} {condition} {some}", n % 3),
        15 => format!("HPEXPIREAT {k} {} {some}", now_ms() + n as u64 - 20),
        16 => format!("HPERSIST {k} {some}"),
        17 => format!("HGETEX {k} {time} {some}"),
        18 => format!("HGETEX {k} PERSIST {some}"),
        19 => format!("HGETDEL {k} {some}"),
        20 | 21 => {
            let condition = pick(random, &["", "", "FNX", "FXX"]);
            let time = if n < 20 {
                "KEEPTTL".to_owned()
            } else if n < 30 {
                String::new()
            } else {
                time
            };
            format!("HSETEX {k} {condition} {time} FIELDS 2 f{f} {n} f{} {n}", random.below(8))
        }
        22 => format!("HGETALL {k}"),
        _ => format!("HRANDFIELD {k} 2"),
    }
}

fn list_line(random: &mut Random) -> String {
    let (k, other, n) = (key(random, 'l'), key(random, 'l'), random.below(4));
    let (one, two) = (pick(random, &["LEFT", "RIGHT"]), pick(random, &["LEFT", "RIGHT"]));
    match random.below(18) {
        0..5 => format!("RPUSH {k} {n} {} {}", random.below(4), random.below(4)),
        5 => format!("LPUSH {k} a{n} b"),
        6 => format!("LPUSHX {k} c{n}"),
        7 => format!("LPOP {k} {n}"),
        8 => format!("RPOP {k}"),
        9 => format!("LMPOP 2 {k} {other} {one} COUNT {}", n + 1),
        10 => format!("LMOVE {k} {other} {one} {two}"),
        11 => format!("RPOPLPUSH {k} {other}"),
        12 => format!("LTRIM {k} 0 {}", n + 2),
        13 => format!("LREM {k} 0 {n}"),
        14 => format!("LSET {k} 0 s{n}"),
        15 => format!("LINSERT {k} BEFORE {n} i"),
        16 => format!("BLMPOP 0 2 {k} {other} {one} COUNT {}", n + 1),
        _ => format!("BLPOP {k} {other} 0.01"),
    }
}

fn set_line(random: &mut Random) -> String {
    let (k, other, n) = (key(random, 'e'), key(random, 'e'), random.below(12));
    match random.below(12) {
        0..4 => format!("SADD {k} {n} m{} {}", random.below(12), random.below(30)),
        4 => format!("SREM {k} {n} m{n}"),
        5 => format!("SPOP {k}"),
        6 | 7 => format!("SPOP {k} {}", n / 2),
        8 => format!("SMOVE {k} {other} {n}"),
        9 => format!("SUNIONSTORE {k} {other} {}", key(random, 'e')),
        10 => format!("SINTERSTORE {k} {other} {}", key(random, 'e')),
        _ => format!("SDIFFSTORE {k} {other} {}", key(random, 'e')),
    }
}

fn zset_line(random: &mut Random) -> String {
    let (k, other, n) = (key(random, 'z'), key(random, 'z'), random.below(12));
    match random.below(18) {
        0..4 => format!("ZADD {k} {n} m{} {}.5 m{}", random.below(12), random.below(9), random.below(12)),
        4 => format!("ZADD {k} {} INCR {n} m{n}", pick(random, &["XX", "NX", "GT"])),
        5 => format!("ZINCRBY {k} {n}.7 m{n}"),
        6 => format!("ZREM {k} m{n}"),
        7 => format!("ZPOPMIN {k} {}", n / 3),
        8 => format!("ZPOPMAX {k}"),
        9 => format!("ZMPOP 2 {k} {other} {} COUNT {}", pick(random, &["MIN", "MAX"]), n / 3 + 1),
        10 => format!("BZMPOP 0.01 2 {k} {other} MIN COUNT 2"),
        11 => format!("BZPOPMAX {k} {other} 0.01"),
        12 => format!("ZREMRANGEBYRANK {k} 0 {}", n % 2),
        13 => format!("ZUNIONSTORE {k} 2 {other} {} WEIGHTS 1.5 2", any_key(random)),
        14 => format!("ZINTERSTORE {k} 2 {other} {}", key(random, 'e')),
        15 => format!("ZRANGESTORE {k} {other} 0 {n}"),
        16 => format!("GEOADD {k} {n}.1 {n}.2 g{n}"),
        _ => format!("GEOSEARCHSTORE {k} {other} FROMLONLAT 5 5 BYRADIUS 600 km COUNT 3 ANY"),
    }
}

fn stream_line(random: &mut Random) -> String {
    let (k, g, c, n) = (key(random, 'x'), random.below(2), random.below(3), random.below(30));
    let now = now_ms();
    let trim = pick(random, &["", "", "MAXLEN ~ 5", "MAXLEN = 7", "MAXLEN 9", "MAXLEN ~ 3 LIMIT 2", "NOMKSTREAM"]);
    // Time goes on in steps of ten, so that some of these are ids of entries.
    let mut id = |seq: u64| format!("{}-{seq}", now - 10 * random.below(9) as u64);
    let ids = format!("{} {} {}", id(0), id(0), id(1));
    let last_ids = (0..9).map(|ago| format!("{}-0", now - 10 * ago)).collect::<Vec<_>>().join(" ");
    match random.below(30) {
        0..7 => format!("XADD {k} {trim} * f {n}"),
        7 => format!("XADD {k} MINID ~ {} * f {n}", now - 30),
        8 => format!("XADD {k} {}-* f {n}", now - n as u64),
        9 => format!("XTRIM {k} {}", pick(random, &["MAXLEN ~ 4", "MAXLEN 6", "MAXLEN ~ 2 LIMIT 1"])),
        10 => format!("XTRIM {k} MINID {}", now - n as u64),
        11 => format!("XDEL {k} {ids}"),
        12..14 => format!("XGROUP CREATE {k} g{g} {} {}", pick(random, &["0", "$"]), pick(random, &["", "MKSTREAM"])),
        14 if n < 5 => format!("XGROUP DESTROY {k} g{g}"),
        15 => format!("XGROUP SETID {k} g{g} {} {}", pick(random, &["0", "$"]), pick(random, &["", "ENTRIESREAD 2"])),
        16 => format!("XGROUP CREATECONSUMER {k} g{g} c{c}"),
        17 if n < 5 => format!("XGROUP DELCONSUMER {k} g{g} c{c}"),
        18 => format!("XSETID {k} {}-7", now + 1),
        19..22 => format!("XREADGROUP GROUP g{g} c{c} COUNT {} STREAMS {k} >", 1 + n % 4),
        22 => format!("XREADGROUP GROUP g{g} c{c} NOACK COUNT 2 STREAMS {k} >"),
        23 => format!("XREADGROUP GROUP g{g} c{c} COUNT 2 STREAMS {k} 0"),
        24 => format!("XACK {k} g{g} {last_ids}"),
        25 => {
            format!("XCLAIM {k} g{g} c{c} {n} {ids} {}", pick(random, &["", "FORCE", "JUSTID", "FORCE RETRYCOUNT 4"]))
        }
        26 => format!("XCLAIM {k} g{g} c{c} 0 {ids} IDLE {n} LASTID {}", now - n as u64),
        _ => format!("XAUTOCLAIM {k} g{g} c{c} {} 0 COUNT {}", n % 10, 1 + n % 3),
    }
}

/// What a connection that waits asks for.
fn waiting_line(random: &mut Random) -> String {
    let (l, other) = (key(random, 'l'), key(random, 'l'));
    let (one, two) = (pick(random, &["LEFT", "RIGHT"]), pick(random, &["LEFT", "RIGHT"]));
    match random.below(8) {
        0 => format!("BLPOP {l} {other} 0"),
        1 => format!("BRPOP {l} {other} 0"),
        2 => format!("BLMPOP 0 2 {l} {other} {one} COUNT 2"),
        3 => format!("BLMOVE {l} {other} {one} {two} 0"),
        4 => format!("BRPOPLPUSH {l} {other} 0"),
        5 => format!("BZPOPMIN {} {} 0", key(random, 'z'), key(random, 'z')),
        6 => format!("BZMPOP 0 1 {} MAX COUNT 2", key(random, 'z')),
        _ => format!("XREADGROUP GROUP g0 w BLOCK 0 STREAMS {} >", key(random, 'x')),
    }
}

/// A node that leads, another connection to it that waits, and what was run there.
struct Story {
    seed: u64,
    leading: Desk,
    number: u64,
    waiting: Desk,
    random: Random,
    now_ms: u64,
    typed: Vec<String>,
}

impl Story {
    fn new(seed: u64, options: Options) -> Story {
        freeze(Some(START_MS));
        let (leading, number) = Desk::leading(options);
        let waiting = leading.again();
        Story { seed, leading, number, waiting, random: Random::new(seed), now_ms: START_MS, typed: Vec::new() }
    }

    fn run(&mut self, line: String) {
        let reply = self.leading.run(&line);
        assert!(!reply.contains("Internal") && !reply.contains("syntax"), "{line}: {reply}");
        // What may wait, and found nothing, waits no longer.
        if self.leading.session.parked.is_some() {
            let id = self.leading.session.client.id;
            self.waiting.again().run(&format!("CLIENT UNBLOCK {id}"));
            self.leading.run(&line);
        }
        let db = self.leading.session.db;
        let (line, reply) = (&line[..line.len().min(300)], reply.chars().take(200).collect::<String>());
        self.typed.push(format!("{} [{db}] {line} -> {}", self.now_ms, reply.replace("\r\n", " ")));
    }

    fn step(&mut self) {
        if self.random.below(5) == 0 {
            self.now_ms += 10 * self.random.below(4) as u64;
            freeze(Some(self.now_ms));
        }
        match self.random.below(40) {
            0 => self.expire(),
            1 | 2 => self.wait(),
            3 => {
                self.run("MULTI".to_owned());
                for _ in 0..self.random.below(5) {
                    let line = line(&mut self.random);
                    self.run(line);
                }
                self.run("EXEC".to_owned());
            }
            4 if self.random.below(4) == 0 => {
                let key = key(&mut self.random, 'h');
                short_lived(&key).into_iter().for_each(|line| self.run(line));
            }
            5..8 => self.fill(),
            8 => self.restore(),
            9 => self.acknowledge(),
            _ => {
                let line = line(&mut self.random);
                self.run(line);
            }
        }
    }

    /// Sets a string that takes room, if there is a limit to that.
    fn fill(&mut self) {
        let (n, time) = (self.random.below(3000), pick(&mut self.random, &["", "PX 100000"]));
        let len = if self.leading.node.store.memory_max() > 0 { 300 * n } else { n };
        let line = format!("SET s9{n} {} {time}", "v".repeat(len));
        self.leading.run(&line);
        self.typed.push(format!("{} SET s9{n} ({len} bytes) {time}", self.now_ms));
    }

    /// Copies a key by way of its dump.
    fn restore(&mut self) {
        let from = any_key(&mut self.random);
        let to = format!("{}{}", &from[..1], self.random.below(4));
        let dump = self.leading.call(&[b"DUMP", from.as_bytes()]);
        let Some(start) = dump.iter().position(|&byte| byte == b'\n').filter(|_| dump.starts_with(b"$")) else {
            return;
        };
        if dump.len() < start + 3 {
            return;
        }
        let time = self.random.below(200).to_string();
        let absolute = (self.now_ms + self.random.below(100) as u64 - 20).to_string();
        let payload = &dump[start + 1..dump.len() - 2];
        let head = [&b"RESTORE"[..], to.as_bytes()];
        let tail: &[&[u8]] = match self.random.below(4) {
            0 => &[absolute.as_bytes(), payload, b"ABSTTL", b"REPLACE"],
            1 => &[b"0", payload],
            2 => &[time.as_bytes(), payload, b"REPLACE", b"IDLETIME", b"5"],
            _ => &[time.as_bytes(), payload],
        };
        let reply = self.leading.call(&[&head[..], tail].concat());
        self.typed.push(format!("{} RESTORE {to} of {from} -> {}", self.now_ms, reply.escape_ascii()));
    }

    /// Acknowledges what is pending in a group, or deletes it from the stream, so that a claim finds it gone.
    fn acknowledge(&mut self) {
        let (key, group) = (key(&mut self.random, 'x'), self.random.below(2));
        let pending = lines(&self.leading.run(&format!("XPENDING {key} g{group} - + 3")));
        let is_id = |line: &&String| line.split_once('-').is_some_and(|(ms, _)| ms.parse::<u64>().is_ok());
        let ids: Vec<&str> = pending.iter().filter(is_id).map(String::as_str).collect();
        if !ids.is_empty() {
            let line = match self.random.below(3) {
                0 => format!("XDEL {key} {}", ids.join(" ")),
                _ => format!("XACK {key} g{group} {}", ids.join(" ")),
            };
            self.run(line);
        }
    }

    fn expire(&mut self) {
        let node = &self.leading.node;
        for stripe in 0..STRIPES {
            node.store.expire(stripe, node.store.moment(self.now_ms), 1 + self.random.below(100));
        }
        self.typed.push(format!("{} expiry", self.now_ms));
    }

    fn wait(&mut self) {
        let line = match self.waiting.session.parked {
            Some(_) => "PING".to_owned(),
            None => waiting_line(&mut self.random),
        };
        let reply = self.waiting.run(&line);
        self.typed.push(format!("{} waiting: {line} -> {}", self.now_ms, reply.replace("\r\n", " ")));
    }

    /// Runs the stream on a node that follows, whose clock is elsewhere, and compares.
    fn check(&mut self, following: &mut Desk, sent: &mut Vec<String>, spoil: impl Fn(&mut Vec<Vec<u8>>)) {
        let clock = self.now_ms - 2_000 + self.random.below(4_000) as u64;
        freeze(Some(clock));
        for mut command in self.leading.stream(self.number) {
            spoil(&mut command);
            let words: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            let shown = words.join(&b' ').escape_ascii().to_string();
            let reply = following.call(&words);
            let reply = String::from_utf8_lossy(&reply);
            sent.push(format!("[{}] {shown}", following.session.db));
            assert!(!reply.starts_with('-') && !reply.contains("\r\n-"), "seed {}: {shown}: {reply}", self.seed);
        }
        assert!(following.session.queue.is_none(), "a transaction ends");
        let (seen, expected) = (state(following), state(&mut self.leading));
        freeze(Some(self.now_ms));
        let all = seen.keys().chain(expected.keys());
        let Some(key) = all.into_iter().find(|key| seen.get(key) != expected.get(key)) else { return };
        let about = |lines: &[String]| {
            let is_about = |line: &&String| {
                line.split(' ').any(|word| word == key.1)
                    || ["FLUSH", "SWAP", "MULTI", "EXEC"].iter().any(|w| line.contains(w))
            };
            let last: Vec<&String> = lines.iter().rev().filter(is_about).take(20).collect();
            last.into_iter().rev().map(|line| &line[..line.len().min(300)]).collect::<Vec<_>>().join("\n  ")
        };
        panic!(
            "seed {}: {key:?} is\n{:?}\n and should be\n{:?}\ntyped:\n  {}\nsent:\n  {}",
            self.seed,
            seen.get(key),
            expected.get(key),
            about(&self.typed),
            about(sent)
        );
    }
}

/// Runs a story for each seed. Returns how many keys were evicted.
fn tell(seeds: Range<u64>, steps: usize, options: Options) -> u64 {
    let mut evicted = 0;
    for seed in seeds {
        let mut story = Story::new(seed, options);
        let (mut following, mut sent) = (Desk::following(), Vec::new());
        for step in 0..steps {
            story.step();
            if step % 40 == 39 {
                story.check(&mut following, &mut sent, |_| ());
            }
        }
        freeze(None);
        let stats = story.leading.run("INFO stats");
        evicted += stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")?.parse::<u64>().ok()).unwrap();
    }
    evicted
}

#[test]
fn a_replica_becomes_what_its_primary_is() {
    tell(0..5, 2_000, Options::default());
}

#[test]
fn a_replica_loses_what_its_primary_evicts() {
    for eviction in [Eviction::AllkeysLarder, Eviction::VolatileLru] {
        let evicted = tell(100..102, 1_500, Options { memory_max: 8 << 20, eviction, ..Options::default() });
        assert!(evicted > 0, "{eviction:?}");
    }
}

/// The stories above would tell if a form was wrong: here one of them is, on its way.
#[test]
fn a_wrong_form_is_found() {
    /// A command, and the words that it loses; all of them if none is named.
    const SPOILT: &[(&str, &str)] = &[
        ("SET", "KEEPTTL"),
        ("PEXPIREAT", ""),
        ("HPEXPIREAT", ""),
        ("HPERSIST", ""),
        ("HDEL", ""),
        ("DEL", ""),
        ("SREM", ""),
        ("LPOP", ""),
        ("LMOVE", ""),
        ("ZPOPMIN", ""),
        ("XCLAIM", ""),
        ("XACK", ""),
        ("XTRIM", ""),
        ("SETID", ""),
        ("CREATECONSUMER", ""),
        ("RESTORE", ""),
    ];
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let is_found = |(name, word): (&str, &str)| {
        let spoil = |words: &mut Vec<Vec<u8>>| {
            if words.iter().take(2).any(|it| it == name.as_bytes()) {
                match word {
                    "" => *words = vec![b"PING".to_vec()],
                    word => words.retain(|it| it != word.as_bytes()),
                }
            }
        };
        (0..4).any(|seed| {
            let mut story = Story::new(seed, Options::default());
            let (mut following, mut sent) = (Desk::following(), Vec::new());
            let told = catch_unwind(AssertUnwindSafe(|| {
                for step in 0..1_500 {
                    story.step();
                    if step % 40 == 39 {
                        story.check(&mut following, &mut sent, spoil);
                    }
                }
            }));
            freeze(None);
            told.is_err()
        })
    };
    let missed: Vec<_> = SPOILT.iter().filter(|spoilt| !is_found(**spoilt)).collect();
    std::panic::set_hook(silent);
    assert!(missed.is_empty(), "nothing was seen of {missed:?}");
}
