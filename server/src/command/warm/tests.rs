//! Lists that nodes write, loaded by others.

use super::super::testing::Desk;
use super::*;
use crate::store::Options;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

/// The place of a list. It is gone when the test ends.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("larder-warm-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        Place(folder.join(FILE))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.parent().map(fs::remove_dir_all);
    }
}

const WARM: (&str, &str) = ("warm", "yes");

fn desk(settings: &[(&str, &str)]) -> Desk {
    Desk::set_up(Options::default(), settings)
}

/// A list of a node that was filled by these lines.
fn list_of(lines: &[&str], settings: &[(&str, &str)]) -> (Place, Listed) {
    let place = Place::new();
    let mut desk = desk(settings);
    lines.iter().for_each(|line| drop(desk.run(line)));
    desk.node.list_keys(&place.0, false);
    (place, desk.node.warm.listed())
}

/// A node that is about to load a list, with clients already.
fn waiting(place: &Place, settings: &[(&str, &str)]) -> Desk {
    let desk = desk(settings);
    preload::prepare(&desk.node, &desk.node.live.config(), true, &place.0);
    desk.node.warm.set_restored(None);
    desk
}

fn load(desk: &Desk, place: &Place) -> String {
    preload::run(&desk.node, &place.0);
    told(desk, "preload")
}

fn told(desk: &Desk, field: &str) -> String {
    let told = desk.node.warm.told();
    told.into_iter().find(|(name, _)| *name == field).expect("there is such a field").1
}

#[test]
fn what_a_node_lists_another_loads() {
    let lines = ["SET a 1", "RPUSH l x y", "HSET h f v", "SELECT 3", "SET a 3 PXAT 9000000000000", "SET gone x PXAT 1"];
    let (place, listed) = list_of(&lines, &[WARM]);
    assert_eq!((listed.keys, listed.count), (4, 1));
    let mut desk = waiting(&place, &[WARM]);
    assert_eq!(told(&desk, "state"), "waiting");
    assert_eq!(load(&desk, &place), "done");
    assert_eq!(told(&desk, "state"), "on");
    desk.check("GET a", "$1 1");
    desk.check("LRANGE l 0 -1", "*2 $1 x $1 y");
    desk.check("HGET h f", "$1 v");
    desk.check("SELECT 3", "+OK");
    desk.check("GET a", "$1 3");
    desk.check("PEXPIRETIME a", ":9000000000000");
    assert_eq!((told(&desk, "preload-loaded"), told(&desk, "preload-passed-over")), ("4".into(), "0".into()));
    assert!(!desk.node.warm.is_preloading());
}

#[test]
fn a_list_that_is_only_written_in_the_end_is_loaded_once() {
    let (place, _) = list_of(&["SET a 1"], &[WARM]);
    let desk = waiting(&place, &[WARM, ("warm-every", "0")]);
    assert_eq!(load(&desk, &place), "done");
    assert!(!place.0.exists(), "a node that is killed now may not come back with it");
    let (place, _) = list_of(&["SET a 1"], &[WARM]);
    assert_eq!(load(&waiting(&place, &[WARM]), &place), "done");
    assert!(place.0.exists());
}

#[test]
fn what_clients_have_written_or_deleted_is_not_overwritten() {
    let (place, _) = list_of(&["MSET a old b old c old d old e old"], &[WARM]);
    let mut desk = waiting(&place, &[WARM]);
    desk.check("SET a new", "+OK");
    desk.check("DEL b", ":0");
    desk.check("SET c new", "+OK");
    desk.check("DEL c", ":1");
    desk.check("SELECT 1", "+OK");
    // Another database's key of that name.
    desk.check("SET d new", "+OK");
    desk.check("SELECT 0", "+OK");
    assert_eq!(load(&desk, &place), "done");
    desk.check("MGET a b c d e", "*5 $3 new $-1 $-1 $3 old $3 old");
    assert_eq!(told(&desk, "preload-passed-over"), "3");
}

#[test]
fn nothing_is_loaded_into_what_was_emptied_or_is_anothers() {
    let (place, _) = list_of(&["SET a old"], &[WARM]);
    let mut desk = waiting(&place, &[WARM]);
    desk.check("FLUSHALL", "+OK");
    assert!(load(&desk, &place).contains("emptied"));
    desk.check("DBSIZE", ":0");

    let mut desk = waiting(&place, &[WARM]);
    desk.node.barrier.alone(|| desk.node.follow(Some(("h".into(), 1))));
    assert!(load(&desk, &place).contains("a replica keeps no list"));
    desk.check("DBSIZE", ":0");
    desk.check("CACHE.WARM NOW", "-ERR a replica keeps no list of hot keys, as it gets its primary's data");
}

#[test]
fn a_snapshot_that_is_as_new_counts_more() {
    let (place, _) = list_of(&["SET a old"], &[WARM]);
    let mut desk = waiting(&place, &[WARM]);
    desk.node.warm.set_restored(Some(super::super::shared::now_ms() / 1000 + 1));
    assert!(load(&desk, &place).contains("the snapshot is as new"));
    desk.check("DBSIZE", ":0");
}

#[test]
fn an_old_list_is_not_loaded() {
    use super::super::testing::freeze;
    freeze(Some(1_700_000_000_000));
    let (place, _) = list_of(&["SET a old"], &[WARM]);
    freeze(Some(1_700_000_061_000));
    let mut desk = waiting(&place, &[WARM, ("warm-age-max", "60")]);
    assert_eq!(load(&desk, &place), "the list is 61 s old, and warm-age-max is 60 s");
    desk.check("DBSIZE", ":0");
    let mut desk = waiting(&place, &[WARM, ("warm-age-max", "0")]);
    assert_eq!(load(&desk, &place), "done");
    desk.check("DBSIZE", ":1");
    freeze(None);
}

#[test]
fn replicas_are_told_of_what_is_loaded() {
    use super::super::replication::NewFollower;
    let (place, _) =
        list_of(&["SET a old PXAT 9000000000000", "HSET h f v", "HPEXPIREAT h 9000000000000 FIELDS 1 f"], &[WARM]);
    let desk = waiting(&place, &[WARM]);
    let client = desk.again().session.client.clone();
    let who = NewFollower { client, host: "h".into(), port: 1, is_mute: true, node: None };
    let number = desk.node.barrier.alone(|| desk.node.enter_now(who)).number;
    assert_eq!(load(&desk, &place), "done");
    let stream = desk.stream(number);
    assert_eq!(stream[0], [&b"SELECT"[..], b"0"]);
    assert_eq!(stream[1][..3], [&b"RESTORE"[..], b"a", b"9000000000000"]);
    assert_eq!((stream.len(), &stream[1][4][..]), (2, &b"ABSTTL"[..]));
    let mut replica = Desk::following();
    let words: Vec<&[u8]> = stream[1].iter().map(Vec::as_slice).collect();
    assert_eq!(replica.call(&words), b"+OK\r\n");
    replica.check("GET a", "$3 old");
}

#[test]
fn in_a_cluster_only_who_is_alone_in_its_shard_keeps_a_list() {
    let mut desk = Desk::in_cluster();
    desk.check("CACHE.WARM NOW", "-ERR warm is off; it is a setting that a node is started with");
    desk.node.warm.set_phase(Phase::On);
    assert!(desk.node.keeps_list(false).unwrap_err().contains("the shard has replicas"));
}

#[test]
fn without_values_names_are_listed_and_nothing_is_loaded() {
    let (place, listed) = list_of(&["SET a 1", "SET b 2"], &[WARM, ("warm-values", "no")]);
    assert_eq!(listed.keys, 2);
    let mut desk = waiting(&place, &[WARM]);
    assert_eq!(load(&desk, &place), "the list has 2 names without values (warm-values)");
    desk.check("DBSIZE", ":0");
    assert!(place.0.exists(), "it is not damaged");
}

#[test]
fn bytes_of_all_kinds_are_refused_and_put_aside() {
    let (place, _) = list_of(&["SET a 1", "SET b 2", "HSET h f v"], &[WARM]);
    let whole = fs::read(&place.0).unwrap();
    let mut snapshot = Vec::new();
    let other = desk(&[]);
    other
        .node
        .send_snapshot(Default::default(), &mut || {}, &mut |bytes| {
            snapshot.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    let mut wrong: Vec<Vec<u8>> = vec![Vec::new(), b"hello".to_vec(), snapshot];
    wrong.extend((1..whole.len()).step_by(3).map(|len| whole[..len].to_vec()));
    wrong.extend((9..whole.len()).step_by(2).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        bytes
    }));
    for bytes in wrong {
        fs::write(&place.0, &bytes).unwrap();
        let mut desk = waiting(&place, &[WARM]);
        let told = load(&desk, &place);
        assert!(told.contains("is damaged") || told.contains("is no list"), "{told}: {}", bytes.escape_ascii());
        desk.check("DBSIZE", ":0");
        assert!(!place.0.exists());
    }
}

#[test]
fn the_list_has_its_bounds_and_begins_with_what_was_put_there() {
    let mut lines: Vec<String> = (0..100).map(|number| format!("SET k{number} {}", "v".repeat(100))).collect();
    lines.push("SET long {}".replace("{}", &"l".repeat(300_000)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (_place, listed) = list_of(&lines, &[WARM, ("warm-keys", "7")]);
    assert_eq!(listed.keys, 7);
    let (_place, listed) = list_of(&lines, &[WARM, ("warm-memory", "2kb")]);
    assert!((10..20).contains(&listed.keys), "{}", listed.keys);
    let (_place, listed) = list_of(&lines, &[WARM]);
    assert_eq!(listed.keys, 100, "long values are left out");

    let place = Place::new();
    let mut desk = desk(&[WARM, ("warm-keys", "2")]);
    desk.run("MSET a 1 b 2 c 3 d 4");
    (0..5).for_each(|_| drop(desk.run("GET a")));
    desk.check("CACHE.WARM KEYS c d nothing", ":2");
    desk.node.list_keys(&place.0, false);
    let mut other = waiting(&place, &[WARM]);
    assert_eq!(load(&other, &place), "done");
    other.check("MGET a b c d", "*4 $-1 $-1 $1 3 $1 4");
    assert_eq!(told(&desk, "pinned"), "3");
}

#[test]
fn an_empty_node_has_no_list() {
    let (place, listed) = list_of(&[], &[WARM]);
    assert!((listed.keys, place.0.exists()) == (0, false));
}

#[test]
fn what_does_not_fit_into_memory_is_not_loaded() {
    let lines: Vec<String> = (0..3000).map(|number| format!("SET k{number} {}", "v".repeat(1000))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (place, _) = list_of(&lines, &[WARM]);
    let desk = Desk::set_up(Options { memory_max: 2 << 20, ..Options::default() }, &[WARM]);
    preload::prepare(&desk.node, &desk.node.live.config(), true, &place.0);
    desk.node.warm.set_restored(None);
    assert_eq!(load(&desk, &place), "there is no room for more");
    assert!(desk.node.store.keys(0) > 500);
    assert_eq!(desk.node.store.totals().counters.evicted, 0);
}

#[test]
fn clients_wait_if_they_are_not_to_be_served_meanwhile() {
    let (place, _) = list_of(&["SET a 1"], &[WARM]);
    let mut desk = waiting(&place, &[WARM, ("serve-while-warming", "no")]);
    desk.check("GET a", "-LOADING Redis is loading the dataset in memory");
    assert!(desk.run("CACHE.WARM STATUS").contains("waiting"));
    assert_eq!(load(&desk, &place), "done");
    desk.check("GET a", "$1 1");
}
