//! What OBJECT, TYPE, SCAN, MEMORY USAGE and DEBUG tell of collections. What is answered was asked of redis-server.

use crate::command::shared::now_ms;
use crate::command::testing::Desk;
use crate::store::{Eviction, Options};
use crate::types::hash::{Expiry, Hash};
use crate::types::list::{End, List};
use crate::types::object::{Kind, Object};
use crate::types::set::Set;
use crate::types::stream::Stream;
use crate::types::zset::ZSet;

/// A key of each type of collection, with its encoding.
const COLLECTIONS: [(&str, &str, &str); 6] = [
    ("h", "hash", "listpack"),
    ("l", "list", "listpack"),
    ("i", "set", "intset"),
    ("s", "set", "listpack"),
    ("z", "zset", "listpack"),
    ("x", "stream", "stream"),
];

/// A desk that has [`COLLECTIONS`].
fn desk(eviction: Eviction) -> Desk {
    let options = Options { eviction, ..Options::default() };
    let desk = Desk::set_up(options, &[("enable-debug-command", "yes")]);
    let limits = &desk.node.limits;
    let mut hash = Hash::new();
    hash.set(b"f", b"v", Expiry::Clear, &limits.of_hash());
    let (mut ints, mut set) = (Set::new(), Set::new());
    ints.add(b"1", &limits.of_set());
    set.add(b"a", &limits.of_set());
    let mut zset = ZSet::new();
    zset.insert(b"a", 1.0, &limits.of_zset());
    put(&desk, "h", hash.into_object());
    put(&desk, "l", list(&desk, &[b"a", b"b"]));
    put(&desk, "i", ints.into_object());
    put(&desk, "s", set.into_object());
    put(&desk, "z", zset.into_object());
    put(&desk, "x", Stream::empty().into_object());
    desk
}

fn list(desk: &Desk, values: &[&[u8]]) -> Object {
    let mut list = List::new();
    list.push(End::Tail, values.iter().copied(), &desk.node.limits.of_list());
    list.into_object()
}

fn put(desk: &Desk, name: &str, object: Object) {
    let store = &desk.node.store;
    let key = store.key(name.as_bytes());
    store.lock_one(key.place.stripe(), 0, store.moment(now_ms())).put_object(key, object, None);
}

/// The number that a line answers.
#[track_caller]
fn number(desk: &mut Desk, line: &str) -> usize {
    let reply = desk.run(line);
    reply.trim().strip_prefix(':').and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}: {reply}"))
}

#[test]
fn collections_are_known_by_type_and_encoding() {
    let mut desk = desk(Eviction::AllkeysLarder);
    for (key, kind, encoding) in COLLECTIONS {
        desk.check(&format!("TYPE {key}"), &format!("+{kind}"));
        desk.check(&format!("OBJECT ENCODING {key}"), &format!("${} {encoding}", encoding.len()));
        desk.check(&format!("OBJECT REFCOUNT {key}"), ":1");
        desk.check(&format!("OBJECT IDLETIME {key}"), ":0");
        let debug = desk.run(&format!("DEBUG OBJECT {key}"));
        assert!(debug.contains(&format!(" refcount:1 encoding:{encoding} serializedlength:")), "{debug}");
        assert!(debug.trim_end().ends_with(" lru_seconds_idle:0"), "{debug}");
        desk.check(&format!("DEBUG SDSLEN {key}"), "-ERR Not an sds encoded string.");
    }
    desk.check("SET n 1", "+OK");
    desk.check("DEBUG SDSLEN n", "-ERR Not an sds encoded string.");
}

#[test]
fn scan_finds_each_type_by_its_name() {
    let mut desk = desk(Eviction::AllkeysLarder);
    desk.check("SET k v", "+OK");
    for (key, kind, _) in COLLECTIONS {
        let keys = desk.run(&format!("SCAN 0 COUNT 1000 TYPE {}", kind.to_uppercase()));
        assert!(keys.contains(&format!("\r\n{key}\r\n")), "{kind}: {keys}");
    }
    for (kind, count) in [
        ("set", 2),
        ("hash", 1),
        ("list", 1),
        ("zset", 1),
        ("stream", 1),
        ("string", 1),
        // What is no type finds nothing.
        ("nosuch", 0),
        ("none", 0),
        ("module", 0),
        ("\"\"", 0),
    ] {
        let keys = desk.run(&format!("SCAN 0 COUNT 1000 TYPE {kind}"));
        assert!(keys.starts_with(&format!("*2\r\n$1\r\n0\r\n*{count}\r\n")), "{kind}: {keys}");
    }
    desk.check("SCAN 0 COUNT 1000 TYPE zset MATCH z*", "*2 $1 0 *1 $1 z");
    desk.check("SCAN 0 COUNT 1000 TYPE zset TYPE hash MATCH z*", "*2 $1 0 *0");
    desk.check("SCAN 0 TYPE", "-ERR syntax error");
}

#[test]
fn the_memory_of_a_collection_is_told_with_its_elements() {
    let mut desk = desk(Eviction::AllkeysLarder);
    for (key, ..) in COLLECTIONS {
        let bytes = number(&mut desk, &format!("MEMORY USAGE {key}"));
        assert!((20..1_500).contains(&bytes), "{key}: {bytes}");
        assert_eq!(number(&mut desk, &format!("MEMORY USAGE {key} SAMPLES 0 SAMPLES 5")), bytes, "{key}");
    }
    let before = number(&mut desk, "MEMORY USAGE h");
    for n in 0..1_000 {
        desk.run(&format!("HSET h field:{n} value:{n}"));
    }
    let after = number(&mut desk, "MEMORY USAGE h SAMPLES 1");
    assert!(after > before + 1_000 * 18, "{before} {after}");
    desk.check("OBJECT ENCODING h", "$9 hashtable");
    desk.check("MEMORY USAGE none SAMPLES 5", "$-1");
    for options in ["SAMPLES", "SAMPLES -1", "FOO 5"] {
        desk.check(&format!("MEMORY USAGE h {options}"), "-ERR syntax error");
    }
    for key in ["h", "none"] {
        let not_integer = "-ERR value is not an integer or out of range";
        desk.check(&format!("MEMORY USAGE {key} SAMPLES x"), not_integer);
    }
}

#[test]
fn uses_of_a_collection_are_counted_by_lfu_policies() {
    let mut desk = desk(Eviction::AllkeysLfu);
    for (key, ..) in COLLECTIONS {
        let frequency = number(&mut desk, &format!("OBJECT FREQ {key}"));
        assert!((5..8).contains(&frequency), "{key}: {frequency}");
    }
    for _ in 0..2_000 {
        desk.run("HGET h f");
    }
    assert!(number(&mut desk, "OBJECT FREQ h") > 10);
}

#[test]
fn a_long_list_tells_of_its_chunks() {
    let mut desk = desk(Eviction::AllkeysLarder);
    put(&desk, "l", list(&desk, &vec![&[b'x'; 100][..]; 1_000]));
    let debug = desk.run("DEBUG OBJECT l");
    assert!(debug.contains(" encoding:quicklist ") && debug.contains(" lru_seconds_idle:0 ql_nodes:"), "{debug}");
    assert!(debug.contains(" ql_listpack_max:-2 ql_compressed:0 ql_uncompressed_size:"), "{debug}");
}
