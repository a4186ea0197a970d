//! Snapshots of nodes that go on meanwhile, loaded into others.

use super::super::testing::Desk;
use super::*;
use crate::types::testing::Random;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::AtomicUsize;

/// All that a node holds: `DUMP` and `PEXPIRETIME` of each key of each database.
type State = BTreeMap<(usize, String), (Vec<u8>, Vec<u8>)>;

fn state(desk: &mut Desk) -> State {
    let mut all = State::new();
    for db in 0..3 {
        desk.run(&format!("SELECT {db}"));
        for key in words(&desk.run("KEYS *")) {
            let dump = desk.call(&[b"DUMP", key.as_bytes()]);
            let time = desk.call(&[b"PEXPIRETIME", key.as_bytes()]);
            all.insert((db, key), (dump, time));
        }
    }
    desk.run("SELECT 0");
    all
}

/// The strings of a reply that is an array of strings.
fn words(reply: &str) -> Vec<String> {
    reply.split("\r\n").skip(1).filter(|line| !line.starts_with('$') && !line.is_empty()).map(str::to_owned).collect()
}

/// Keys in several stripes, many of them in one.
fn key(random: &mut Random) -> String {
    match random.below(60) {
        number @ 0..30 => format!("{{tag}}{number}"),
        number => format!("k{number}"),
    }
}

fn change(desk: &mut Desk, random: &mut Random) {
    let (key, other) = (key(random), key(random));
    let number = random.below(1000);
    let line = match random.below(50) {
        0..4 => format!("SET {key} value:{number}"),
        4 | 5 => format!("SET {key} {number} PXAT 9{number:012}"),
        6 => format!("SET {key} {}", "m".repeat(3_000 + number)),
        7 => format!("SET {key} {}", "l".repeat(90_000 + number)),
        8 => format!("SET {key} {}", "h".repeat(300_000 + number)),
        9 | 10 => format!("APPEND {key} {number}"),
        11 => format!("SETRANGE {key} {} x", number * 300),
        12..15 => format!("INCR {key}"),
        15..18 => format!("DEL {key}"),
        18 => format!("UNLINK {key} {other}"),
        19 | 20 => format!("PEXPIREAT {key} 9{number:012}"),
        21 => format!("PERSIST {key}"),
        22 => format!("RENAME {key} {other}"),
        23 => format!("COPY {key} {other} REPLACE"),
        24 => format!("MOVE {key} 1"),
        25..27 => format!("RPUSH {key} a{number} b c"),
        27 => format!("LPOP {key} 2"),
        28..31 => format!("HSET {key} f{number} v"),
        31 => format!("HSET {key} f {}", "w".repeat(70_000)),
        32 => format!("HPEXPIREAT {key} 9{number:012} FIELDS 1 f{number}"),
        33 => format!("HDEL {key} f{number}"),
        34..36 => format!("SADD {key} {number} m{number}"),
        36 => format!("SPOP {key}"),
        37..39 => format!("ZADD {key} {number} m{number}"),
        39 => format!("ZREMRANGEBYRANK {key} 0 0"),
        40..42 => format!("XADD {key} * f {number}"),
        42 => format!("XGROUP CREATE {key} g{number} 0"),
        43 => format!("GETEX {key} PERSIST"),
        48 | 49 => format!("BF.INSERT {key} CAPACITY 20 ITEMS i{number} j{number}"),
        44 => format!("SORT {key} BY nosort STORE {other}"),
        45 if number < 100 => "SELECT 1".to_owned(),
        46 if number < 300 => "SWAPDB 0 1".to_owned(),
        47 if number < 60 => "FLUSHALL".to_owned(),
        47 if number < 120 => "FLUSHDB".to_owned(),
        _ => "SELECT 0".to_owned(),
    };
    desk.run(&line);
}

fn filled(random: &mut Random) -> Desk {
    let mut desk = Desk::new();
    for _ in 0..600 {
        change(&mut desk, random);
    }
    desk
}

/// Loads bytes into a node of its own, and returns what it holds then.
fn loaded(bytes: &[u8]) -> State {
    state(&mut desk_of(bytes))
}

fn desk_of(bytes: &[u8]) -> Desk {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Relaxed);
    let path = std::env::temp_dir().join(format!("larder-saving-{}-{number}.rdb", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let desk = Desk::new();
    let (result, _) = desk.node.load(&path, false, &mut |_, _| ());
    fs::remove_file(&path).unwrap();
    result.unwrap();
    desk
}

/// All steps of a snapshot, `between` them something else.
fn written(node: &Shared, between: impl FnMut()) -> Vec<u8> {
    let mut out = Vec::new();
    file_write::push_start(&mut out, Version::default(), &about(node));
    let begun = begin(node, Version::default(), true, &mut out).expect("there is no other");
    walked(begun, out, between)
}

fn walked(begun: Begun<'_>, mut out: Vec<u8>, mut between: impl FnMut()) -> Vec<u8> {
    let Begun { mut snapshot, form, .. } = begun;
    while let Some(step) = snapshot.next_step() {
        file_write::push_captured(&mut out, &step.captured, form);
        step.larges().for_each(|item| file_write::push_item(&mut out, &item, form));
        drop(step);
        between();
    }
    let mut sum = Sum::default();
    sum.add(&out);
    out.extend_from_slice(&sum.end(true));
    out
}

/// All steps of a snapshot, amid changes: so many of them before the walk has come to anything, and then between its steps, or at
/// the same time.
fn written_amid(desk: &mut Desk, early: usize, is_between: bool, mut change: impl FnMut(&mut Desk)) -> Vec<u8> {
    let node = desk.node.clone();
    let mut out = Vec::new();
    file_write::push_start(&mut out, Version::default(), &about(&node));
    let begun = begin(&node, Version::default(), true, &mut out).expect("there is no other");
    (0..early).for_each(|_| change(desk));
    if is_between {
        return walked(begun, out, || change(desk));
    }
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| walked(begun, out, || ()));
        while !writing.is_finished() {
            change(desk);
        }
        writing.join().unwrap()
    })
}

#[track_caller]
fn assert_same(seen: &State, expected: &State, context: &str) {
    let keys: Vec<_> = seen.keys().chain(expected.keys()).filter(|key| seen.get(key) != expected.get(key)).collect();
    let shown = |state: &State| {
        let found = keys.first().and_then(|key| state.get(key));
        found.map(|(dump, time)| format!("{} {}", dump[..dump.len().min(99)].escape_ascii(), time.escape_ascii()))
    };
    let (seen, expected) = (shown(seen), shown(expected));
    assert!(keys.is_empty(), "{context}: {keys:?} are not as when the snapshot began:\n{seen:?}\n{expected:?}");
}

#[test]
fn a_snapshot_is_of_one_point_in_time() {
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let mut desk = filled(&mut random);
        let expected = state(&mut desk);
        let node = desk.node.clone();
        let bytes = written(&node, || (0..random.below(4)).for_each(|_| change(&mut desk, &mut random)));
        assert_same(&loaded(&bytes), &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_snapshot_that_is_given_up_leaves_nothing_out_of_the_next() {
    for seed in 100..103 {
        let mut random = Random::new(seed);
        let mut desk = filled(&mut random);
        let node = desk.node.clone();
        let mut snapshot = begin(&node, Version::default(), true, &mut Vec::new()).expect("there is no other").snapshot;
        (0..5).for_each(|_| drop(snapshot.next_step()));
        assert!(begin(&node, Version::default(), true, &mut Vec::new()).is_none(), "one at a time");
        (0..50).for_each(|_| change(&mut desk, &mut random));
        drop(snapshot);
        let expected = state(&mut desk);
        assert_same(&loaded(&written(&node, || ())), &expected, &format!("seed {seed}"));
    }
}

#[test]
fn values_are_read_outside_of_the_lock_while_others_change_them() {
    for seed in 200..202 {
        let mut random = Random::new(seed);
        let mut desk = filled(&mut random);
        for number in 0..10 {
            desk.run(&format!("SET big{number} {}", "b".repeat(400_000)));
            desk.run(&format!("HSET large{number} f {} g 1", "b".repeat(400_000)));
        }
        let expected = state(&mut desk);
        let node = desk.node.clone();
        let mut other = desk.again();
        let mut out = Vec::new();
        file_write::push_start(&mut out, Version::default(), &about(&node));
        let begun = begin(&node, Version::default(), true, &mut out).expect("there is no other");
        let bytes = std::thread::scope(|scope| {
            let writing = scope.spawn(|| walked(begun, out, || ()));
            while !writing.is_finished() {
                let number = random.below(10);
                let line = match random.below(8) {
                    0 => format!("APPEND big{number} x"),
                    1 => format!("DEL big{number}"),
                    2 => format!("HSET large{number} g 2"),
                    3 => format!("SET large{number} 1"),
                    4 => format!("RENAME big{number} gone"),
                    _ => format!("GET big{number}"),
                };
                other.run(&line);
                change(&mut desk, &mut random);
            }
            writing.join().unwrap()
        });
        assert_same(&loaded(&bytes), &expected, &format!("seed {seed}"));
    }
}

/// Changes a long string in place, or lets it go.
fn change_long(desk: &mut Desk, random: &mut Random) {
    let key = format!("long{}", random.below(12));
    let at = random.below(500_000);
    let line = match random.below(16) {
        0..3 => format!("SETRANGE {key} {at} {}", "patch".repeat(random.below(20_000))),
        3..6 => format!("SETBIT {key} {} {}", at * 8, at % 2),
        6 => format!("BITFIELD {key} SET u8 {} 7 INCRBY i64 {} 3 GET u8 0", at * 8, random.below(500_000)),
        7..9 => format!("APPEND {key} {}", "tail".repeat(random.below(30_000))),
        9 => format!("PEXPIREAT {key} 9{at:012}"),
        10 => format!("PERSIST {key}"),
        11 => format!("PEXPIRE {key} 1"),
        12 => format!("RENAME {key} long{}", random.below(14)),
        13 => format!("SET {key} {}", "new".repeat(random.below(60_000))),
        14 if at < 100_000 => format!("DEL {key}"),
        _ => format!("GET {key}"),
    };
    desk.run(&line);
}

#[test]
fn long_strings_are_in_a_snapshot_as_they_were_whoever_changes_them() {
    for seed in 500..512 {
        let (mut random, mut desk) = (Random::new(seed), Desk::new());
        for number in 0..12 {
            let text: String =
                (0..random.below(40_000)).map(|_| format!("{:09} ", random.below(999_999_999))).collect();
            desk.run(&format!("SET long{number} '{text}'{}", ["", " PX 99999999"][random.below(2)]));
        }
        let expected = state(&mut desk);
        let early = random.below(30);
        let bytes = written_amid(&mut desk, early, seed % 3 == 0, |desk| change_long(desk, &mut random));
        assert_same(&loaded(&bytes), &expected, &format!("seed {seed}"));
    }
}

#[test]
fn a_long_string_is_read_in_turns_before_its_key_changes() {
    let (mut random, mut desk) = (Random::new(7), Desk::new());
    let text: String = (0..400_000).map(|_| format!("{:09} ", random.below(999_999_999))).collect();
    desk.run(&format!("SET {{long}}a '{text}'"));
    desk.run(&format!("SET {{long}}m '{text}'"));
    let expected = state(&mut desk);
    let (mut waits, mut turns) = (0, 0);
    let bytes = written_amid(&mut desk, 200, true, |desk| {
        turns += 1;
        match turns {
            // Others change it while it is read, and a transaction does it in one go.
            2 => _ = desk.again().run("SETRANGE {long}a 3900000 patch"),
            3 => _ = desk.again().run("APPEND {long}a tail"),
            1..=150 if desk.run("RENAME {long}a {long}b").is_empty() => waits += 1,
            151 => ["MULTI", "RENAME {long}m {long}n", "EXEC"].iter().for_each(|line| _ = desk.run(line)),
            _ => {}
        }
    });
    assert!(waits > 1, "it took {waits} turns");
    assert_same(&loaded(&bytes), &expected, "renamed");
    desk.check("EXISTS {long}a {long}b {long}m {long}n", ":2");
    desk.check("STRLEN {long}b", ":4000004");
}

/// Collections that are not captured under the lock: `large:hash` and so on, one of each type.
fn fill_large(desk: &mut Desk, elements: usize) {
    for from in (0..elements).step_by(100) {
        let words = |word: &dyn Fn(usize) -> String| (from..from + 100).map(word).collect::<String>();
        desk.run(&format!("HSET large:hash{}", words(&|number| format!(" f{number} v{number}"))));
        desk.run(&format!("SADD large:set{}", words(&|number| format!(" member{number}"))));
        desk.run(&format!("RPUSH large:list{}", words(&|number| format!(" element{number}"))));
        desk.run(&format!("ZADD large:zset{}", words(&|number| format!(" {} member{number}", number * 7919 % 1000))));
        (from..from + 100).for_each(|number| _ = desk.run(&format!("XADD large:stream {}-1 f v{number}", number + 1)));
    }
    desk.run("HPEXPIREAT large:hash 99999999999999 FIELDS 2 f1 f2");
    desk.run("XGROUP CREATE large:stream readers 0");
    desk.run("XREADGROUP GROUP readers one COUNT 300 STREAMS large:stream >");
}

/// What [`fill_large`] has filled. Hashes and sets are told in no order.
fn large_state(desk: &mut Desk) -> Vec<Vec<String>> {
    let lines = [
        "HGETALL large:hash",
        "HPEXPIRETIME large:hash FIELDS 4 f0 f1 f2 f3",
        "SMEMBERS large:set",
        "LRANGE large:list 0 -1",
        "ZRANGE large:zset 0 -1 WITHSCORES",
        "XRANGE large:stream - +",
        "XPENDING large:stream readers",
    ];
    let told = |line: &&str| {
        let mut told: Vec<String> = desk.run(line).split("\r\n").map(str::to_owned).collect();
        if line.starts_with("HGETALL") || line.starts_with("SMEMBERS") {
            told.sort();
        }
        told
    };
    lines.iter().map(told).collect()
}

fn change_large(desk: &mut Desk, random: &mut Random) {
    let number = random.below(3000);
    let line = match random.below(17) {
        0 => format!("HSET large:hash f{number} changed"),
        1 => format!("HDEL large:hash f{number}"),
        2 => format!("HPEXPIREAT large:hash 9{number:013} FIELDS 1 f{number}"),
        3 => format!("SREM large:set member{number}"),
        4 => format!("SADD large:set new{number}"),
        5 => format!("LSET large:list {} changed", number / 4),
        6 => format!("LINSERT large:list BEFORE element{number} new"),
        7 => "LPOP large:list 3".to_owned(),
        8 => format!("ZADD large:zset {number} member{}", random.below(3000)),
        9 => format!("ZREM large:zset member{number}"),
        10 => format!("ZREMRANGEBYRANK large:zset {} {}", number / 2, number / 2 + 5),
        11 => format!("XADD large:stream * f {number}"),
        12 => format!("XDEL large:stream {number}-1"),
        13 => format!("XACK large:stream readers {number}-1"),
        14 => "XREADGROUP GROUP readers two COUNT 5 STREAMS large:stream >".to_owned(),
        15 => "XTRIM large:stream MAXLEN ~ 2500".to_owned(),
        _ if number < 20 => format!("DEL large:{}", ["hash", "set", "list", "zset"][number % 4]),
        _ => format!("COPY large:zset large:copy{number}"),
    };
    desk.run(&line);
}

#[test]
fn large_collections_are_in_a_snapshot_as_they_were_whoever_changes_them() {
    for seed in 300..304 {
        let (mut random, mut desk) = (Random::new(seed), Desk::new());
        fill_large(&mut desk, 3000);
        let expected = large_state(&mut desk);
        let bytes = written_amid(&mut desk, 100, seed % 2 == 0, |desk| change_large(desk, &mut random));
        let seen = large_state(&mut desk_of(&bytes));
        assert!(expected.iter().all(|told| told.len() > 1), "{expected:?}");
        seen.iter().zip(&expected).for_each(|(seen, expected)| assert!(seen == expected, "seed {seed}: {}", seen[0]));
    }
}

/// Prints how long the first change of a large collection takes while a snapshot is on its way.
#[test]
#[ignore = "it measures"]
fn a_first_change_during_a_snapshot_takes_microseconds() {
    let mut desk = Desk::new();
    fill_large(&mut desk, 1_000_000);
    desk.run("SETRANGE large:string 100000000 end");
    let node = desk.node.clone();
    let lines = [
        "SETBIT large:string 400000000 1",
        "SETRANGE large:string 70000000 patch",
        "PEXPIRE large:string 99999999",
        "HSET large:hash f500000 changed",
        "SREM large:set member500000",
        "LSET large:list 500000 changed",
        "ZADD large:zset 5 member500000",
        "XADD large:stream * f v",
    ];
    for round in 0..4 {
        // The first round has no snapshot, to compare with.
        let begun = (round > 0).then(|| begin(&node, Version::default(), true, &mut Vec::new()));
        for line in lines {
            let start = Instant::now();
            desk.run(line);
            println!("snapshot: {:5} {:10.1?} {line}", round > 0, start.elapsed());
        }
        drop(begun);
    }
}

/// Prints for how long others wait at most while a long string changes its key during a snapshot, and how long that takes itself.
#[test]
#[ignore = "it measures"]
fn others_wait_for_a_block_while_a_long_string_changes_its_key() {
    let mut desk = Desk::new();
    desk.run("SETRANGE {long}a 100000000 end");
    let node = desk.node.clone();
    for round in 0..4 {
        let begun = (round > 0).then(|| begin(&node, Version::default(), true, &mut Vec::new()));
        let is_over = AtomicBool::new(false);
        let (longest, took) = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                while !is_over.load(Relaxed) {
                    let start = Instant::now();
                    // As a command of another worker takes the stripe.
                    drop(node.store.lock_one(node.store.place(b"{long}a").stripe(), 0, node.store.moment(now_ms())));
                    longest = longest.max(start.elapsed());
                }
                longest
            });
            std::thread::sleep(Duration::from_millis(20));
            let line = if round % 2 == 0 { "RENAME {long}a {long}b" } else { "RENAME {long}b {long}a" };
            let (start, mut longest_turn) = (Instant::now(), Duration::ZERO);
            loop {
                let turn = Instant::now();
                let is_done = !desk.run(line).is_empty();
                longest_turn = longest_turn.max(turn.elapsed());
                if is_done {
                    break;
                }
            }
            let took = (start.elapsed(), longest_turn);
            is_over.store(true, Relaxed);
            (other.join().expect("it does not fail"), took)
        });
        println!("snapshot: {:5} RENAME, and its longest turn {took:.1?}, others at most {longest:.1?}", round > 0);
        drop(begun);
    }
}

#[test]
fn what_is_told_follows_what_has_happened() {
    let saves = Saves::new(1_000);
    let told = saves.told(7);
    assert_eq!((told.running, told.failed, told.count, told.last_s, told.changes), (None, None, 0, 1, 7));
    saves.begin().unwrap();
    assert_eq!(saves.begin(), Err(Busy));
    assert!(saves.told(7).running.is_some());
    assert!(!saves.end(&Err("the disk is full".to_owned())));
    assert_eq!(saves.told(7).failed.as_deref(), Some("the disk is full"));
    saves.begin().unwrap();
    saves.schedule();
    assert!(saves.end(&Ok(7)), "another was asked for");
    let told = saves.told(9);
    assert_eq!((told.failed, told.count, told.changes), (None, 1, 2));
    assert!(told.last_s > 1_000_000);
}

#[test]
fn nothing_is_written_while_snapshots_fail() {
    let mut desk = Desk::new();
    desk.check("CONFIG SET save \"5 5\"", "+OK");
    let refused =
        |desk: &mut Desk| desk.run("SET a 1").starts_with("-MISCONF Redis is configured to save RDB snapshots");
    desk.node.saves.begin().unwrap();
    desk.node.saves.end(&Err("the disk is full".to_owned()));
    assert!(refused(&mut desk));
    assert!(desk.run("PING").starts_with("-MISCONF "));
    desk.check("GET a", "$-1");
    assert!(desk.run("INFO persistence").contains("\r\nrdb_last_bgsave_status:err\r\n"));
    desk.check("CONFIG SET stop-writes-on-bgsave-error no", "+OK");
    assert!(!refused(&mut desk));
    desk.check("CONFIG SET stop-writes-on-bgsave-error yes save \"\"", "+OK");
    assert!(!refused(&mut desk));
    desk.check("CONFIG SET save \"5 5\"", "+OK");
    assert!(refused(&mut desk));
    desk.node.saves.begin().unwrap();
    desk.node.saves.end(&Ok(0));
    assert!(!refused(&mut desk));
}

#[test]
fn clients_wait_while_keys_are_loaded() {
    let mut desk = Desk::new();
    desk.node.loading.begin();
    for line in ["GET a", "SET a 1", "PING", "SAVE"] {
        desk.check(line, "-LOADING Redis is loading the dataset in memory");
    }
    let info = desk.run("INFO persistence");
    assert!(info.contains("\r\nloading:1\r\n") && info.contains("\r\nloading_loaded_perc:0.00\r\n"), "{info}");
    assert!(desk.run("HELLO 2").starts_with("*14\r\n"));
    desk.node.loading.end();
    desk.check("GET a", "$-1");
}

#[test]
fn a_file_that_ends_too_early_or_has_a_key_twice_is_refused() {
    let mut desk = Desk::new();
    desk.run("SET a 1");
    let bytes = written(&desk.node, || ());
    let path = std::env::temp_dir().join(format!("larder-saving-{}-cut.rdb", std::process::id()));
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let (result, loaded) = Desk::new().node.load(&path, false, &mut |_, _| ());
        (result.unwrap_err().to_string(), loaded.keys)
    };
    let (why, keys) = refused(&bytes[..bytes.len() - 4]);
    assert!(why.contains(&format!("{}", bytes.len() - 4)) && keys == 1, "{why}");
    let entry = [0, 1, b'a', 1, b'b'];
    let twice = [&b"REDIS0011"[..], &entry, &entry, &Sum::default().end(false)].concat();
    let (why, keys) = refused(&twice);
    assert_eq!((why.as_str(), keys), ("before byte 19: the key \"a\" comes a second time", 1));
    let beyond = [&b"REDIS0011"[..], &[OPCODE_DATABASE, 16], &entry].concat();
    assert_eq!(refused(&beyond).0, "before byte 16: a key of database 16, and there are 16");
    fs::remove_file(&path).unwrap();
    let missing = Desk::new().node.load(&path, false, &mut |_, _| ()).0.unwrap_err();
    assert!(matches!(missing, super::super::loading::LoadFailed::Unreadable(_)), "{missing}");
}

const OPCODE_DATABASE: u8 = 0xfe;

/// A node with a snapshot file of its own in the system's temporary folder.
struct OnDisk {
    desk: Desk,
    path: PathBuf,
}

impl OnDisk {
    fn new(name: &str) -> OnDisk {
        let path = std::env::temp_dir().join(format!("larder-{name}-{}", std::process::id())).join("own.rdb");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let settings = [("dbfilename", path.to_str().unwrap())];
        OnDisk { desk: Desk::set_up(Default::default(), &settings), path }
    }

    fn wait(&self) {
        let began = Instant::now();
        while self.desk.node.saves.is_running() {
            assert!(began.elapsed() < Duration::from_secs(20), "the snapshot does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        // A test that has failed has other things to say.
        let _ = fs::remove_dir_all(self.path.parent().unwrap());
    }
}

#[test]
fn save_and_bgsave_write_what_is_there() {
    let mut node = OnDisk::new("save");
    node.desk.run("MSET a 1 b 2");
    node.desk.check("SAVE", "+OK");
    node.desk.run("SET c 3");
    let expected = state(&mut node.desk);
    node.desk.check("BGSAVE", "+Background saving started");
    node.wait();
    let info = node.desk.run("INFO persistence");
    for line in
        ["rdb_saves:2", "rdb_changes_since_last_save:0", "rdb_last_bgsave_status:ok", "rdb_bgsave_in_progress:0"]
    {
        assert!(info.contains(&format!("\r\n{line}\r\n")), "{line} in {info}");
    }
    assert_same(&loaded(&fs::read(&node.path).unwrap()), &expected, "after BGSAVE");
    node.desk.run("MULTI");
    node.desk.run("SET d 4");
    node.desk.run("BGSAVE");
    node.desk.check("EXEC", "*2 +OK +Background saving scheduled");
    node.wait();
    assert_eq!(loaded(&fs::read(&node.path).unwrap()).len(), 4);
    let files: Vec<_> = fs::read_dir(node.path.parent().unwrap()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is left beside it: {files:?}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one_and_the_node() {
    let mut node = OnDisk::new("full");
    node.desk.run("SET a 1");
    node.desk.check("SAVE", "+OK");
    let old = fs::read(&node.path).unwrap();
    // A folder stands where the new file would be written.
    let beside = node.path.with_file_name(format!("temp-{}.rdb", std::process::id()));
    fs::create_dir(&beside).unwrap();
    node.desk.run("SET a 2");
    assert!(node.desk.run("SAVE").starts_with("-ERR cannot create "));
    node.desk.check("SHUTDOWN SAVE", "-ERR Errors trying to SHUTDOWN. Check logs.");
    assert!(!node.desk.node.is_stopping());
    assert!(node.desk.run("INFO persistence").contains("\r\nrdb_last_bgsave_status:err\r\n"));
    assert_eq!(fs::read(&node.path).unwrap(), old);
    fs::remove_dir(&beside).unwrap();
    node.desk.check("SHUTDOWN SAVE", "");
    assert!(node.desk.node.is_stopping() && node.desk.node.saves_last());
    node.desk.node.save_last().unwrap();
    assert_ne!(fs::read(&node.path).unwrap(), old);
}

#[test]
fn a_snapshot_is_written_when_it_is_due() {
    let mut node = OnDisk::new("due");
    node.desk.check("CONFIG SET save \"10 3\"", "+OK");
    node.desk.run("MSET a 1 b 2");
    let later = now_ms() + 11_000;
    node.desk.node.save_if_due(later);
    assert!(!node.desk.node.saves.is_running() && !node.path.exists(), "too few changes");
    node.desk.run("SET c 3");
    node.desk.node.save_if_due(now_ms());
    assert!(!node.desk.node.saves.is_running() && !node.path.exists(), "too early");
    node.desk.node.save_if_due(later);
    node.wait();
    assert_eq!(loaded(&fs::read(&node.path).unwrap()).len(), 3);
}

#[test]
fn a_snapshot_that_cannot_follow_is_void_and_the_next_is_whole() {
    let mut desk = Desk::new();
    // 30 MB a round, where 64 MB may wait.
    let fill = |desk: &mut Desk| {
        for number in 0..100 {
            desk.run(&format!("SET big{number} {}", "b".repeat(300_000)));
        }
    };
    fill(&mut desk);
    let node = desk.node.clone();
    let mut snapshot = begin(&node, Version::default(), true, &mut Vec::new()).expect("there is no other").snapshot;
    fill(&mut desk);
    assert!(!snapshot.is_void());
    while snapshot.next_step().is_some() {}
    assert!(!snapshot.is_void());
    drop(snapshot);
    for number in 100..300 {
        desk.run(&format!("SET big{number} {}", "b".repeat(300_000)));
    }
    let mut snapshot = begin(&node, Version::default(), true, &mut Vec::new()).expect("it has ended").snapshot;
    for number in 0..300 {
        desk.run(&format!("DEL big{number}"));
    }
    assert!(snapshot.is_void());
    while snapshot.next_step().is_some() {}
    assert!(snapshot.is_void(), "collecting does not mend it");
    drop(snapshot);
    desk.run("SET a 1");
    assert_eq!(loaded(&written(&node, || ())).len(), 1);
}

#[test]
fn one_that_breaks_is_over() {
    let node = OnDisk::new("broken");
    let saves = &node.desk.node.saves;
    saves.begin().unwrap();
    let (result, _) = node.desk.node.save_begun(|_| panic!("this is the test's"));
    assert!(result.unwrap_err().starts_with("writing it broke"));
    assert!(!saves.is_running() && !node.path.exists());
}
