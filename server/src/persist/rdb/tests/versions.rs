//! Files in each version that is written, as they are read here and by the machine's redis-server.

use super::super::file::{Checksum, FileReader, Step};
use super::super::file_write::{Entries, Form, Sum, push_captured, push_item, push_start};
use super::round_trip::{draw, limits};
use super::*;
use crate::store::snapshot::{Captor, Item};
use crate::store::{DATABASES, Value as Held};
use crate::types::hash::Expiry;
use crate::types::list::{End, List};
use crate::types::object::Kind;
use crate::types::set::Set;
use crate::types::testing::Random;
use crate::types::zset::ZSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// A key's value, and when it expires: far from now, so that nothing goes meanwhile.
struct Drawn {
    value: Value,
    expiry: Option<u64>,
}

/// Values of all types and forms; the key of each is its number in decimal.
fn drawn(seed: u64, count: usize) -> Vec<Drawn> {
    let mut random = Random::new(seed);
    let mut draw_value = |number: usize| match number % 8 {
        0 => Value::String(number.to_string().into_bytes()),
        1 => Value::String(b"again ".repeat(random.below(1000))),
        _ => Value::Object(draw(&mut random)),
    };
    let expiry = |number: usize| number.is_multiple_of(3).then_some(9_000_000_000_000 + number as u64);
    (0..count).map(|number| Drawn { value: draw_value(number), expiry: expiry(number) }).collect()
}

/// A file of these, written both ways: what is captured under a lock, and what is read where it lies.
fn written(version: Version, drawn: &[Drawn]) -> Vec<u8> {
    let form = Form { version, numbers: std::array::from_fn(|number| number as u8), compress: true };
    assert_eq!(form.numbers.len(), DATABASES);
    let (mut out, mut entries) = (Vec::new(), Entries::new(form));
    push_start(&mut out, version, &[("redis-ver", "7.0.0".to_owned())]);
    for (number, Drawn { value, expiry }) in drawn.iter().enumerate() {
        let key = number.to_string();
        let value = match value {
            Value::String(text) if number.is_multiple_of(8) => {
                Held::Int(str::from_utf8(text).unwrap().parse().unwrap())
            }
            Value::String(text) => Held::Bytes(text),
            Value::Object(object) => Held::Object(object),
        };
        let item = Item { db: 0, key: key.as_bytes(), expiry: *expiry, tags: &[], value };
        match number % 2 {
            0 => entries.take(item),
            _ => push_item(&mut out, &item, form),
        }
    }
    push_captured(&mut out, &entries.drain(), form);
    let mut sum = Sum::default();
    sum.add(&out);
    out.extend_from_slice(&sum.end(true));
    out
}

/// What is shown of a value that was written in a version and read again.
fn shown_in(version: Version, value: &Value) -> String {
    match (value, version) {
        // Its members come in no order, and which of them is the first decides what form it takes on its way.
        (Value::Object(Object::Set(_)), Version::V10) => {
            let text = shown(value);
            text.split_once(": ").map_or(text.clone(), |(_, members)| format!("set {members}"))
        }
        (Value::Object(object @ Object::Stream(_)), Version::V10) => shown_object(&without_active_times(object)),
        // A hash that had fields with expiries and has none now is taken for one that never had any.
        _ => shown(value).replacen("hash listpackex: ", "hash listpack: ", usize::from(!has_expiring_fields(value))),
    }
}

fn has_expiring_fields(value: &Value) -> bool {
    matches!(value, Value::Object(Object::Hash(hash)) if hash.next_due().is_some())
}

/// A stream whose consumers were active when they were seen.
fn without_active_times(object: &Object) -> Object {
    let mut object = object.clone();
    let Object::Stream(stream) = &mut object else { return object };
    let consumers = stream.groups().flat_map(|group| {
        group.consumers().map(|consumer| (group.name().to_vec(), consumer.name().to_vec(), consumer.seen_ms()))
    });
    for (group, name, seen_ms) in consumers.collect::<Vec<_>>() {
        let mut group = stream.group_mut(&group).expect("it was just seen");
        let (consumer, _) = group.find_or_add_consumer(&name, seen_ms);
        group.set_times(consumer, seen_ms, Some(seen_ms));
    }
    object
}

#[test]
fn values_of_all_types_come_back_from_a_file_in_each_version() {
    for version in [Version::V10, Version::V11, Version::Valkey] {
        for seed in 0..40 {
            let drawn = drawn(seed, 40);
            let file = written(version, &drawn);
            assert_eq!(&file[..9], version.magic().as_bytes());
            let mut reader = FileReader::new(limits());
            reader.feed(&file);
            let mut seen = 0;
            loop {
                match reader.next().expect("the file is sound") {
                    Step::Entry(entry) => {
                        let number: usize = str::from_utf8(&entry.key).unwrap().parse().unwrap();
                        let Drawn { value, expiry } = &drawn[number];
                        let (read, expected) = (shown_in(version, &entry.value), shown_in(version, value));
                        assert_eq!(read, expected, "seed {seed}, {number}, {version:?}");
                        assert_eq!(entry.expiry_ms, *expiry);
                        assert!(version != Version::V10 || !is_newer_than_10(entry.kind), "{}", entry.kind);
                        assert!(version != Version::Valkey || entry.kind <= kind::HASH_2, "{}", entry.kind);
                        seen += 1;
                    }
                    Step::End(checksum) => break assert_eq!(checksum, Checksum::Right),
                    Step::NeedMore => panic!("all is there, and it needs more: seed {seed}"),
                    _ => {}
                }
            }
            assert_eq!(seen, drawn.iter().filter(|drawn| is_written(version, drawn)).count());
            assert_eq!(seen == drawn.len(), version == Version::V11 || !drawn.iter().any(is_filter));
        }
    }
}

/// Whether a value is in a file of that version.
fn is_written(version: Version, drawn: &Drawn) -> bool {
    !matches!(&drawn.value, Value::Object(object) if !version.has(object))
}

fn is_filter(drawn: &Drawn) -> bool {
    matches!(drawn.value, Value::Object(Object::Bloom(_)))
}

/// Types that Redis 7.0 does not know; those of fields that expire are written all the same, as there are no others.
fn is_newer_than_10(kind: u8) -> bool {
    kind > kind::STREAM_LISTPACKS_2 && !matches!(kind, kind::HASH_METADATA | kind::HASH_LISTPACK_EX)
}

#[test]
fn redis_7_0_loads_a_file_in_version_10() {
    let Some(program) = redis_server() else {
        return eprintln!("skipped: there is no redis-server to load it; `apt-get install redis-server` brings one");
    };
    let mut drawn = drawn(7, 800);
    drawn.extend(large().map(|object| Drawn { value: Value::Object(object), expiry: None }));
    drawn.iter_mut().filter(|drawn| has_expiring_fields(&drawn.value)).for_each(|drawn| {
        drawn.value = Value::String(b"no Redis of this version reads what was here".to_vec());
    });
    let mut server = Loading::start(&program, &written(Version::V10, &drawn));
    let mut redis = server.connected();
    let written = drawn.iter().enumerate().filter(|(_, drawn)| is_written(Version::V10, drawn));
    assert!(written.clone().count() < drawn.len(), "there are filters, which it would refuse");
    assert_eq!(redis.ask("DBSIZE"), written.clone().count().to_string().into_bytes());
    for (number, Drawn { value, expiry }) in written {
        let loaded = restore(&redis.ask(&format!("DUMP {number}")), &limits());
        let expected = shown_in(Version::V10, value);
        assert_eq!(loaded.map(|loaded| shown_in(Version::V10, &loaded)), Ok(expected), "{number}");
        let time = expiry.map_or("-1".to_owned(), |expiry| expiry.to_string());
        assert_eq!(redis.ask(&format!("PEXPIRETIME {number}")), time.as_bytes(), "{number}");
    }
}

/// What is beyond all small forms of Redis, too, and a list with an element that is a piece of its own.
fn large() -> [Object; 4] {
    let (mut hash, mut list, mut set, mut zset) = (Hash::new(), List::new(), Set::new(), ZSet::new());
    for number in 0..2000 {
        let text = format!("text {number}");
        hash.set(text.as_bytes(), b"value", Expiry::Clear, &limits().hash);
        list.push(End::Tail, [text.as_bytes()].into_iter(), &limits().list);
        set.add(text.as_bytes(), &limits().set);
        zset.insert(text.as_bytes(), f64::from(number) / 7.0, &limits().zset);
    }
    list.push(End::Tail, [&[b'x'; 20_000][..]].into_iter(), &limits().list);
    [hash.into_object(), list.into_object(), set.into_object(), zset.into_object()]
}

fn redis_server() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join("redis-server")).find(|path| path.is_file())
}

/// A redis-server that loads a file. It ends, and its folder goes, when this is dropped.
struct Loading {
    child: Child,
    folder: PathBuf,
}

impl Loading {
    fn start(program: &Path, file: &[u8]) -> Loading {
        let folder = env::temp_dir().join(format!("larder-versions-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("dump.rdb"), file).unwrap();
        let mut command = Command::new(program);
        command.args(["--port", "0", "--unixsocket", "socket", "--save", "", "--logfile", "log"]);
        let child = command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Loading { child, folder }
    }

    /// Waits until it has loaded the file.
    fn connected(&mut self) -> Asked {
        let started = Instant::now();
        loop {
            if let Ok(socket) = UnixStream::connect(self.folder.join("socket")) {
                let mut asked = Asked(BufReader::new(socket));
                if asked.ask("PING") == b"PONG" {
                    return asked;
                }
            }
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(self.child.try_wait().unwrap().is_none(), "redis-server has ended:\n{}", log());
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not answer:\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

struct Asked(BufReader<UnixStream>);

impl Asked {
    /// The text of a reply that is a line, or the body of a bulk.
    fn ask(&mut self, command: &str) -> Vec<u8> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let text = line.get(1..).unwrap_or_default().trim_end();
        match line.as_bytes().first() {
            Some(b'$') => {
                let mut body = vec![0; text.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut body).unwrap();
                body.truncate(body.len() - 2);
                body
            }
            _ => text.as_bytes().to_vec(),
        }
    }
}
