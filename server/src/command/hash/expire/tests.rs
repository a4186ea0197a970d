//! Sessions of fields that expire.

use crate::command::testing::Desk;
use crate::store::{How, Listener, News};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const MISSING: &str = "-ERR Mandatory argument FIELDS is missing or not at the right position";
const MISMATCH: &str = "-ERR The `numfields` parameter must match the number of arguments";

/// Milliseconds that have passed by the time they are tested, and that have not for long.
const FAR: u64 = 33_177_117_420_500;

/// Runs a line until it is answered so, as time passes.
#[track_caller]
fn wait_for(desk: &mut Desk, line: &str, expected: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while desk.run(line).trim_end().replace("\r\n", " ") != expected {
        assert!(Instant::now() < end, "{line} was never answered {expected}");
        std::thread::yield_now();
    }
}

/// Does what workers do every now and then, at a time after now.
fn expire_all(desk: &Desk, later_ms: u64, keys_max: usize) -> usize {
    let store = &desk.node.store;
    let moment = store.moment(crate::command::shared::now_ms() + later_ms);
    let mut steps = 0;
    for number in store.stripes() {
        while store.expire(number, moment, keys_max) {
            steps += 1;
            assert!(steps < 100_000, "stripe {number} never comes to an end");
        }
    }
    steps
}

#[test]
fn times_are_told_as_they_were_set() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HEXPIRE h 100 FIELDS 2 a x", "*2 :1 :-2");
    desk.check("HTTL h FIELDS 3 a b x", "*3 :100 :-1 :-2");
    desk.check(&format!("HPEXPIREAT h {FAR} FIELDS 1 a"), "*1 :1");
    desk.check("HPEXPIRETIME h FIELDS 1 a", &format!("*1 :{FAR}"));
    desk.check("HEXPIRETIME h FIELDS 1 a", &format!("*1 :{}", FAR.div_ceil(1000)));
    desk.check("HEXPIREAT h 33177117420 FIELDS 1 b", "*1 :1");
    desk.check("HPEXPIRETIME h FIELDS 1 b", "*1 :33177117420000");
    desk.check("HPEXPIRE h 100000000 FIELDS 1 b", "*1 :1");
    assert!(
        desk.run("HPTTL h FIELDS 1 b").starts_with("*1\r\n:99999")
            || desk.run("HTTL h FIELDS 1 b") == "*1\r\n:100000\r\n"
    );
    desk.check("OBJECT ENCODING h", "$10 listpackex");
    for line in ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST", "HEXPIRE none 1 ", "HPEXPIREAT none 1 "] {
        let line = if line.contains(' ') { line.to_owned() } else { format!("{line} none ") };
        desk.check(&format!("{line}FIELDS 2 a b"), "*2 :-2 :-2");
    }
}

#[test]
fn a_condition_looks_at_the_expiry_there_is() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HEXPIRE h 100 XX FIELDS 1 a", "*1 :0");
    desk.check("HEXPIRE h 100 GT FIELDS 1 a", "*1 :0");
    desk.check("HEXPIRE h 100 NX FIELDS 1 a", "*1 :1");
    desk.check("HEXPIRE h 200 nx FIELDS 2 a b", "*2 :0 :1");
    desk.check("HEXPIRE h 300 lt FIELDS 2 a b", "*2 :0 :0");
    desk.check("HEXPIRE h 150 GT FIELDS 2 a b", "*2 :1 :0");
    desk.check("HEXPIRE h 50 LT FIELDS 1 a", "*1 :1");
    desk.check("HEXPIRE h 50 XX FIELDS 1 b", "*1 :1");
    desk.check("HTTL h FIELDS 2 a b", "*2 :50 :50");
    desk.check("HSET h c 3", ":1");
    desk.check("HEXPIRE h 50 LT FIELDS 1 c", "*1 :1");
    desk.check(&format!("HPEXPIREAT h {FAR} FIELDS 1 a"), "*1 :1");
    desk.check(&format!("HPEXPIREAT h {FAR} GT FIELDS 1 a"), "*1 :0");
    desk.check(&format!("HPEXPIREAT h {FAR} LT FIELDS 1 a"), "*1 :0");
}

#[test]
fn a_time_that_has_passed_deletes_the_field() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HEXPIRE h 0 FIELDS 1 a", "*1 :2");
    desk.check("HGETALL h", "*2 $1 b $1 2");
    desk.check("HPEXPIREAT h 1000 FIELDS 2 b b", "*2 :2 :-2");
    desk.check("EXISTS h", ":0");
}

#[test]
fn setting_a_field_ends_its_expiry_and_counting_does_not() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 1 c 1", ":3");
    desk.check("HEXPIRE h 100 FIELDS 3 a b c", "*3 :1 :1 :1");
    desk.check("HSET h a 2", ":0");
    desk.check("HINCRBY h b 1", ":2");
    desk.check("HINCRBYFLOAT h c 1", "$1 2");
    desk.check("HTTL h FIELDS 3 a b c", "*3 :-1 :100 :100");
    desk.check("HPERSIST h FIELDS 3 a b x", "*3 :-1 :1 :-2");
    desk.check("HTTL h FIELDS 1 b", "*1 :-1");
}

#[test]
fn expired_fields_are_seen_by_nobody() {
    for small in [true, false] {
        let mut desk = Desk::new();
        desk.check("HSET h a 1 b 2 c 3", ":3");
        if !small {
            desk.check(&format!("HSET h long {}", "x".repeat(100)), ":1");
            desk.check("HDEL h long", ":1");
        }
        desk.check("HPEXPIRE h 1 FIELDS 2 a b", "*2 :1 :1");
        wait_for(&mut desk, "HLEN h", ":1");
        desk.check("HGETALL h", "*2 $1 c $1 3");
        desk.check("HKEYS h", "*1 $1 c");
        desk.check("HVALS h", "*1 $1 3");
        desk.check("HMGET h a b c", "*3 $-1 $-1 $1 3");
        desk.check("HGET h a", "$-1");
        desk.check("HEXISTS h a", ":0");
        desk.check("HSTRLEN h a", ":0");
        desk.check("HSCAN h 0", "*2 $1 0 *2 $1 c $1 3");
        desk.check("HRANDFIELD h 10", "*1 $1 c");
        desk.check("HRANDFIELD h -2", "*2 $1 c $1 c");
        desk.check("HTTL h FIELDS 3 a b c", "*3 :-2 :-2 :-1");
        desk.check("HDEL h a", ":0");
        desk.check("HSETNX h a 9", ":1");
        desk.check("HINCRBY h b 5", ":5");
        desk.check("HTTL h FIELDS 2 a b", "*2 :-1 :-1");
    }
}

#[test]
fn a_hash_goes_with_its_last_field() {
    for line in ["EXISTS h", "TYPE h", "HLEN h", "DEL h", "COPY h i", "HDEL h a", "HEXISTS h a", "TOUCH h"] {
        let mut desk = Desk::new();
        desk.check("HSET h a 1 b 2", ":2");
        desk.check("HPEXPIRE h 1 FIELDS 2 a b", "*2 :1 :1");
        wait_for(&mut desk, "HTTL h FIELDS 2 a b", "*2 :-2 :-2");
        desk.check(line, if line.starts_with("TYPE") { "+none" } else { ":0" });
        desk.check("HSET h a 1", ":1");
        desk.check("HLEN h", ":1");
    }
    let mut desk = Desk::new();
    desk.check("HSET h a 1", ":1");
    desk.check("HPEXPIRE h 1 FIELDS 1 a", "*1 :1");
    wait_for(&mut desk, "HTTL h FIELDS 1 a", "*1 :-2");
    desk.check("SCAN 0", "*2 $1 0 *0");
    desk.check("KEYS *", "*0");
    desk.check("RANDOMKEY", "$-1");
    desk.check("DBSIZE", ":0");
    desk.check("RENAME h i", "-ERR no such key");
}

#[test]
fn fields_go_on_time_though_nobody_asks_for_them() {
    for fields in [3, 1_000] {
        let mut desk = Desk::new();
        for n in 0..fields {
            desk.run(&format!("HSET h f{n} value{n}"));
            desk.check(&format!("HPEXPIRE h {} FIELDS 1 f{n}", 20_000 + 7 * n), "*1 :1");
        }
        let before = desk.node.store.used_bytes();
        expire_all(&desk, 10_000, 64);
        assert_eq!(desk.node.store.totals().keys[0], 1);
        desk.check("HLEN h", &format!(":{fields}"));
        expire_all(&desk, 20_000 + 7 * fields / 2 + 300, 64);
        assert!(desk.node.store.used_bytes() < before || fields < 10);
        expire_all(&desk, 20_000 + 7 * fields + 300, 64);
        assert_eq!(desk.node.store.totals().keys[0], 0, "of {fields} fields");
    }
}

#[test]
fn many_fields_that_are_due_at_once_go_in_steps() {
    let mut desk = Desk::new();
    for n in 0..2_000 {
        desk.run(&format!("HSET h f{n} v"));
        desk.run(&format!("HPEXPIREAT h {} FIELDS 1 f{n}", crate::command::shared::now_ms() + 20_000));
    }
    desk.check("HSET h stays v", ":1");
    let steps = expire_all(&desk, 40_000, 64);
    assert!(steps > 2_000 / 64 - 5, "{steps} steps");
    desk.check("HGETALL h", "*2 $5 stays $1 v");
}

#[test]
fn a_command_finds_the_way_clear_though_many_fields_are_due() {
    let mut desk = Desk::new();
    for n in 0..1_000 {
        desk.run(&format!("HSET h f{n} 1"));
        desk.run(&format!("HPEXPIREAT h {FAR} FIELDS 1 f{n}"));
    }
    let soon = crate::command::shared::now_ms() + 1;
    for n in 0..1_000 {
        desk.run(&format!("HPEXPIREAT h {soon} LT FIELDS 1 f{n}"));
    }
    wait_for(&mut desk, "HGET h f999", "$-1");
    // The first command takes some hundred of them out; wherever f0 to f999 are in that order, each is new.
    for n in [0, 999, 500, 1, 998] {
        desk.check(&format!("HSET h f{n} 2"), ":1");
        desk.check(&format!("HINCRBY h f{n} 1"), ":3");
    }
    desk.check("HLEN h", ":5");
    desk.check("HDEL h f0 f999 f500 f1 f998 f2 f3", ":5");
    desk.check("EXISTS h", ":0");
}

#[test]
fn expiry_goes_with_a_hash_under_another_name_or_in_another_database() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HEXPIRE h 20 FIELDS 1 a", "*1 :1");
    desk.check("COPY h copy", ":1");
    desk.check("COPY h copy DB 3", ":1");
    desk.check("RENAME h name", "+OK");
    desk.check("COPY name moved", ":1");
    desk.check("MOVE moved 1", ":1");
    for key in ["copy", "name"] {
        desk.check(&format!("HTTL {key} FIELDS 2 a b"), "*2 :20 :-1");
    }
    expire_all(&desk, 21_000, 64);
    for key in ["copy", "name"] {
        desk.check(&format!("HGETALL {key}"), "*2 $1 b $1 2");
        desk.check(&format!("HTTL {key} FIELDS 2 a b"), "*2 :-2 :-1");
    }
    for (db, key) in [(1, "moved"), (3, "copy")] {
        desk.session.select(db);
        desk.check(&format!("HGETALL {key}"), "*2 $1 b $1 2");
    }
}

#[test]
fn an_expiry_that_is_put_off_is_kept_and_one_that_is_brought_forward_too() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1 b 2 c 3", ":3");
    desk.check("HEXPIRE h 20 FIELDS 3 a b c", "*3 :1 :1 :1");
    desk.check("HEXPIRE h 1000 FIELDS 1 a", "*1 :1");
    desk.check("HPERSIST h FIELDS 1 b", "*1 :1");
    desk.check("HEXPIRE h 10 FIELDS 1 c", "*1 :1");
    expire_all(&desk, 11_000, 64);
    desk.check("HKEYS h", "*2 $1 a $1 b");
    expire_all(&desk, 900_000, 64);
    desk.check("HKEYS h", "*2 $1 a $1 b");
    expire_all(&desk, 1_001_000, 64);
    desk.check("HKEYS h", "*1 $1 b");
    desk.check("EXPIRE h 10", ":1");
    expire_all(&desk, 1_100_000, 64);
    desk.check("EXISTS h", ":0");
}

/// Keeps the news that a store tells.
struct Notes(Arc<Mutex<Vec<News>>>);

impl Listener for Notes {
    fn hear(&self, _: usize, _: u64, news: &mut Vec<News>) {
        self.0.lock().expect("no test panics while it holds the notes").append(news);
    }
}

#[test]
fn it_is_told_when_fields_expire() {
    let mut desk = Desk::deaf();
    let notes = Arc::new(Mutex::new(Vec::new()));
    desk.node.store.set_listener(Box::new(Notes(notes.clone())));
    desk.check("HSET h a 1 b 2", ":2");
    desk.check("HEXPIRE h 10 FIELDS 1 a", "*1 :1");
    desk.check("HEXPIRE h 100 FIELDS 1 b", "*1 :1");
    desk.node.store.heed_all(true);
    let told = || {
        let news: Vec<News> = std::mem::take(&mut *notes.lock().expect("no test panics while it holds the notes"));
        news.into_iter().map(|news| news.how).collect::<Vec<_>>()
    };
    expire_all(&desk, 5_000, 64);
    assert_eq!(told(), []);
    expire_all(&desk, 11_000, 64);
    assert_eq!(told(), [How::FieldsExpired { is_last: false }]);
    expire_all(&desk, 101_000, 64);
    assert_eq!(told(), [How::FieldsExpired { is_last: true }]);
    desk.check("HSET h a 1", ":1");
    desk.check("HPEXPIRE h 1 FIELDS 1 a", "*1 :1");
    told();
    wait_for(&mut desk, "EXISTS h", ":0");
    assert_eq!(told(), [How::FieldsExpired { is_last: true }]);
}

#[test]
fn wrong_words_are_refused() {
    let mut desk = Desk::new();
    desk.check("HSET h a 1", ":1");
    desk.check("SET s 1", "+OK");
    let greater = "-ERR Parameter `numFields` should be greater than 0";
    let positive = "-ERR Number of fields must be a positive integer";
    let negative = "-ERR invalid expire time, must be >= 0";
    let no_integer = "-ERR value is not an integer or out of range";
    for (line, fault) in [
        ("HEXPIRE s x FIELDS 1 a", WRONG_TYPE),
        ("HEXPIRE h x FIELDS 1 a", no_integer),
        ("HEXPIRE none x FIELDS 1 a", no_integer),
        ("HEXPIRE h -1 FIELDS 1 a", negative),
        ("HPEXPIREAT h -1 FIELDS 1 a", negative),
        ("HEXPIRE h 70368744177 FIELDS 1 a", "-ERR invalid expire time in 'hexpire' command"),
        ("HPEXPIRE h 70368744177663 FIELDS 1 a", "-ERR invalid expire time in 'hpexpire' command"),
        ("HEXPIREAT h 70368744178 FIELDS 1 a", "-ERR invalid expire time in 'hexpireat' command"),
        ("HPEXPIREAT h 70368744177664 FIELDS 1 a", "-ERR invalid expire time in 'hpexpireat' command"),
        ("HEXPIRE h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hexpire' command"),
        ("HEXPIRE h 10 FOO 1 a b", MISSING),
        ("HEXPIRE h 10 NX XX FIELDS 1 a", MISSING),
        ("HEXPIRE h 10 FIELDS 0 a", greater),
        ("HEXPIRE h 10 FIELDS x a", greater),
        ("HEXPIRE h 10 FIELDS 2 a", MISMATCH),
        ("HEXPIRE h 10 FIELDS 1 a b", MISMATCH),
        ("HEXPIRE h 10 NX FIELDS 1", MISMATCH),
        ("HEXPIRE h 10 FIELDS 1", "-ERR wrong number of arguments for 'hexpire' command"),
        ("HTTL s FOO 1 a", WRONG_TYPE),
        ("HTTL h FOO 1 a", MISSING),
        ("HTTL none FOO 1 a", MISSING),
        ("HPTTL h FIELDS -1 a", positive),
        ("HPEXPIRETIME h FIELDS x a", positive),
        ("HEXPIRETIME h FIELDS 2 a", MISMATCH),
        ("HTTL h FIELDS 1", "-ERR wrong number of arguments for 'httl' command"),
        ("HPERSIST s FOO 1 a", WRONG_TYPE),
        ("HPERSIST h FOO 1 a", MISSING),
        ("HPERSIST h FIELDS 0 a", positive),
        ("HPERSIST h FIELDS 2 a", MISMATCH),
    ] {
        desk.check(line, fault);
    }
    desk.check("HPEXPIREAT h 70368744177663 FIELDS 1 a", "*1 :1");
    desk.check("HPEXPIRETIME h FIELDS 1 a", "*1 :70368744177663");
}
