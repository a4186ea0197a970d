//! Rules at work, seen by connections of one node.

use crate::command::dispatch::Ended;
use crate::command::testing::{Desk, freeze};

/// When the tests begin, in milliseconds since 1970.
const START: u64 = 1_700_000_000_000;

/// A node with a rule for `hot:`, and its stopped clock. It goes on when the test ends.
struct Stage {
    desk: Desk,
    now: u64,
}

impl Stage {
    fn new(rule: &str) -> Stage {
        freeze(Some(START));
        let mut desk = Desk::new();
        desk.check(&format!("CACHE.RULE SET hot: {rule}"), "+OK");
        Stage { desk, now: START }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        freeze(Some(self.now));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        freeze(None);
    }
}

fn waits(desk: &Desk) -> bool {
    matches!(desk.ended, Ended::Wait { .. })
}

#[test]
fn rules_are_made_looked_at_and_ended() {
    let mut desk = Desk::new();
    desk.check("CACHE.RULE LIST", "*0");
    desk.check("CACHE.RULE EXPLAIN hot:1", "*1 $48 There are no rules: the key behaves as in Redis.");
    desk.check("CACHE.RULE SET hot: lease on lease-wait 500ms", "+OK");
    desk.check("CACHE.RULE SET hot:user: ttl-jitter 20%", "+OK");
    desk.check("CACHE.RULE GET hot:", "*4 $5 lease $2 on $10 lease-wait $5 500ms");
    desk.check("CACHE.RULE GET hot", "$-1");
    assert!(desk.run("CACHE.RULE EXPLAIN hot:user:1").contains("The rule for 'hot:user:' counts: it is the longest"));
    assert!(desk.run("CACHE.RULE EXPLAIN hot:1").contains("others wait for up to 500ms"));
    assert!(desk.run("CACHE.RULE EXPLAIN cold").contains("None of the 2 rules has a prefix of this key"));
    desk.check("CACHE.RULE SET hot: lease on", "+OK");
    desk.check("CACHE.RULE LIST", "*4 $4 hot: *2 $5 lease $2 on $9 hot:user: *2 $10 ttl-jitter $3 20%");
    desk.check("CACHE.RULE DEL hot:user:", ":1");
    desk.check("CACHE.RULE DEL hot:user:", ":0");
    for (line, expected) in [
        ("CACHE.RULE SET a: least on", "-ERR a rule has no field 'least'; there are: lease, lease-wait"),
        ("CACHE.RULE SET a: ttl-jitter 100%", "-ERR ttl-jitter: '100%' would leave nothing of a TTL"),
        ("CACHE.RULE SET a: lease", "-ERR wrong number of arguments for 'cache.rule|set' command"),
        ("CACHE.STATS nothing", "-ERR there is no rule for exactly this prefix"),
    ] {
        let reply = desk.run(line);
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
}

#[test]
fn rules_of_the_cluster_go_before_a_nodes_own() {
    let mut desk = Desk::new();
    desk.check("CACHE.RULE SET hot: lease on", "+OK");
    desk.check("CACHE.RULE SET own: lease on", "+OK");
    desk.check("CACHE.RULE LIST", "*4 $4 hot: *2 $5 lease $2 on $4 own: *2 $5 lease $2 on");
    let agree = |rules: &[(&str, &str)]| {
        let rules = rules.iter().map(|(prefix, fields)| (prefix.to_string(), fields.to_string())).collect();
        desk.node.rules.agree(&rules);
    };
    agree(&[("hot:", "ttl-jitter 20%"), ("new:", "speed 9"), ("cold:", "lease on")]);
    let mut desk = desk.again();
    desk.check(
        "CACHE.RULE LIST",
        "*6 $5 cold: *2 $5 lease $2 on $4 hot: *2 $10 ttl-jitter $3 20% $4 own: *2 $5 lease $2 on",
    );
    desk.node.rules.agree(&Default::default());
    desk.check("CACHE.RULE GET hot:", "*2 $5 lease $2 on");
}

#[test]
fn one_get_is_sent_for_a_missing_key_and_the_others_wait_until_it_is_set() {
    let mut stage = Stage::new("lease on lease-wait 500ms");
    let mut others = [stage.desk.again(), stage.desk.again()];
    stage.desk.check("GET hot:1", "$-1");
    for other in &mut others {
        assert_eq!(other.run("GET hot:1"), "");
        assert!(waits(other));
    }
    stage.pass(120);
    stage.desk.check("SET hot:1 value", "+OK");
    for other in &mut others {
        other.check("GET hot:1", "$5 value");
    }
    assert!(stage.desk.run("CACHE.STATS hot:").contains("leases_granted\r\n:1"));
    assert!(stage.desk.run("CACHE.STATS hot:").contains("waits\r\n:2"));
    assert!(stage.desk.run("CACHE.STATS hot:").contains("load_ms\r\n:120"));
    // What has no rule is as it was.
    stage.desk.check("GET cold", "$-1");
    others[0].check("GET cold", "$-1");
}

#[test]
fn who_waits_is_told_nil_after_its_time_and_sent_when_the_holder_leaves() {
    let mut stage = Stage::new("lease on lease-wait 500ms lease-time 5s");
    let (mut holder, mut first, mut second) = (stage.desk.again(), stage.desk.again(), stage.desk.again());
    holder.check("GET hot:1", "$-1");
    holder.check("GET hot:1", "$-1");
    assert_eq!([first.run("GET hot:1"), second.run("GET hot:1")], ["", ""]);
    stage.pass(400);
    stage.desk.node.leave(holder.session);
    // It is sent now.
    first.check("GET hot:1", "$-1");
    second.check("GET hot:1", "");
    assert!(waits(&second));
    stage.pass(102);
    // It has waited for long enough.
    second.check("GET hot:1", "$-1");
    first.check("SET hot:1 x", "+OK");
    second.check("GET hot:1", "$1 x");
    assert!(stage.desk.run("CACHE.STATS hot:").contains("leases_handed_over\r\n:1"));
}

#[test]
fn an_old_value_is_served_while_one_loads_and_for_a_rest_if_that_fails() {
    let mut stage = Stage::new("lease on lease-time 1s back-off 2s stale-while-revalidate 30s stale-if-error 60s");
    let mut other = stage.desk.again();
    stage.desk.check("SET hot:1 old EX 10", "+OK");
    stage.desk.check("PTTL hot:1", ":10000");
    stage.pass(10_001);
    // Only GET sees it.
    for (line, expected) in [("EXISTS hot:1", ":0"), ("TTL hot:1", ":-2"), ("STRLEN hot:1", ":0"), ("KEYS *", "*0")] {
        other.check(line, expected);
    }
    stage.desk.check("GET hot:1", "$-1");
    other.check("GET hot:1", "$3 old");
    stage.pass(1_000);
    // It was not set in time: nobody is sent for two seconds.
    other.check("GET hot:1", "$3 old");
    stage.desk.check("GET hot:1", "$3 old");
    stage.pass(2_000);
    other.check("GET hot:1", "$-1");
    stage.desk.check("GET hot:1", "$3 old");
    other.check("SET hot:1 new EX 10", "+OK");
    stage.desk.check("GET hot:1", "$3 new");
    // Too old to be served while somebody loads, but not if that comes to nothing; then it is gone.
    stage.pass(10_000 + 31_000);
    stage.desk.check("GET hot:1", "$-1");
    other.check("GET hot:1", "$-1");
    stage.pass(1_000);
    other.check("GET hot:1", "$3 new");
    stage.pass(30_000);
    other.check("DBSIZE", ":1");
    let (node, moment) = (&stage.desk.node, stage.desk.node.store.moment(stage.now));
    while node.store.stripes().any(|stripe| node.store.expire(stripe, moment, 100)) {}
    other.check("DBSIZE", ":0");
    other.check("GET hot:1", "$-1");
}

#[test]
fn a_deleted_key_is_not_served_stale() {
    let mut stage = Stage::new("lease on stale-while-revalidate 30s");
    let mut other = stage.desk.again();
    for delete in ["DEL hot:1", "UNLINK hot:1", "FLUSHALL"] {
        stage.desk.check("SET hot:1 old PX 100", "+OK");
        stage.pass(101);
        stage.desk.check("GET hot:1", "$-1");
        other.check("GET hot:1", "$3 old");
        let reply = other.run(delete);
        assert!([":0\r\n", "+OK\r\n"].contains(&reply.as_str()), "{delete}: {reply}");
        other.check("GET hot:1", "$-1");
        stage.pass(60_000);
    }
}

#[test]
fn a_soft_ttl_makes_values_stale_before_their_ttl_is_over() {
    let mut stage = Stage::new("lease on soft-ttl 10s");
    let mut other = stage.desk.again();
    stage.desk.check("SET hot:1 v EX 60", "+OK");
    stage.desk.check("TTL hot:1", ":10");
    stage.desk.check("SET hot:2 v EX 5", "+OK");
    stage.desk.check("TTL hot:2", ":5");
    stage.desk.check("SET hot:3 v", "+OK");
    stage.desk.check("TTL hot:3", ":10");
    stage.pass(10_500);
    stage.desk.check("GET hot:1", "$-1");
    other.check("GET hot:1", "$1 v");
    other.check("GET hot:2", "$-1");
    stage.desk.check("GET hot:3", "$-1");
    other.check("GET hot:3", "$1 v");
    stage.pass(50_000);
    other.check("GET hot:1", "$-1");
    // Locks, and times of the clock, are left as they are.
    stage.desk.check("SET hot:lock v NX EX 60", "+OK");
    stage.desk.check("TTL hot:lock", ":60");
    let at = stage.now + 60_000;
    stage.desk.check(&format!("SET hot:4 v PXAT {at}"), "+OK");
    stage.desk.check("TTL hot:4", ":60");
    stage.desk.check("SET hot:4 w KEEPTTL", "+OK");
    stage.desk.check("TTL hot:4", ":60");
    // An EXPIRE is by the same rule.
    stage.desk.check("SET hot:1 v", "+OK");
    stage.desk.check("EXPIRE hot:1 100", ":1");
    stage.desk.check("TTL hot:1", ":10");
}

#[test]
fn ttls_are_spread_but_not_those_of_locks_and_absolute_ones() {
    let mut stage = Stage::new("ttl-jitter 20%");
    let mut ttls = Vec::new();
    for number in 0..200 {
        let line = match number % 4 {
            0 => "SET hot:1 v PX 100000",
            1 => "PSETEX hot:1 100000 v",
            2 => "PEXPIRE hot:1 100000",
            _ => "GETEX hot:1 PX 100000",
        };
        stage.desk.run(line);
        let ttl: u64 = stage.desk.run("PTTL hot:1").trim()[1..].parse().unwrap();
        assert!((80_000..=100_000).contains(&ttl), "{line}: {ttl}");
        ttls.push(ttl);
    }
    let mean = ttls.iter().sum::<u64>() / ttls.len() as u64;
    assert!((88_000..92_000).contains(&mean), "{mean}");
    let at = START + 100_000;
    for line in [
        "SET hot:2 v NX PX 100000",
        "SET hot:2 v XX PX 100000",
        &format!("SET hot:2 v PXAT {at}"),
        "SET cold v PX 100000",
    ] {
        stage.desk.check(line, "+OK");
        let key = if line.contains("cold") { "cold" } else { "hot:2" };
        stage.desk.check(&format!("PTTL {key}"), ":100000");
    }
    stage.desk.check("PEXPIRE hot:2 100000 XX", ":1");
    stage.desk.check("PTTL hot:2", ":100000");
}

#[test]
fn what_says_that_there_is_nothing_goes_soon() {
    let mut stage = Stage::new("absent-value none negative-ttl 5s lease on stale-while-revalidate 30s");
    stage.desk.check("SET hot:1 none EX 60", "+OK");
    stage.desk.check("TTL hot:1", ":5");
    stage.desk.check("SET hot:2 none", "+OK");
    stage.desk.check("TTL hot:2", ":5");
    stage.desk.check("SET hot:3 some EX 60", "+OK");
    stage.desk.check("TTL hot:3", ":60");
    stage.pass(5_001);
    stage.desk.check("GET hot:1", "$-1");
    stage.desk.again().check("GET hot:1", "$-1");
}

#[test]
fn what_says_that_there_is_nothing_is_no_key_to_who_lists_keys() {
    let mut stage = Stage::new("absent-value none negative-ttl 5s");
    stage.desk.check("MSET hot:1 none hot:2 none hot:3 some cold none", "+OK");
    stage.desk.check("DBSIZE", ":2");
    stage.desk.check("KEYS hot:*", "*1 $5 hot:3");
    stage.desk.check("SCAN 0 MATCH hot:*", "*2 $1 0 *1 $5 hot:3");
    stage.desk.check("DEL hot:3 cold", ":2");
    stage.desk.check("RANDOMKEY", "$-1");
    // It is there for who asks for it.
    stage.desk.check("GET hot:1", "$4 none");
    stage.desk.check("EXISTS hot:1", ":1");
    stage.desk.check("SET hot:1 some", "+OK");
    stage.desk.check("APPEND hot:2 x", ":5");
    stage.desk.check("EXPIRE hot:2 100", ":1");
    stage.desk.check("DBSIZE", ":2");
    stage.desk.check("SET hot:2 none", "+OK");
    stage.desk.check("RENAME hot:2 cold", "+OK");
    stage.desk.check("DBSIZE", ":2");
    stage.desk.node.store.each_stripe(|stripe| stripe.check());
}

#[test]
fn what_says_that_there_is_nothing_makes_room_first() {
    let mut desk = Desk::new();
    desk.check("CACHE.RULE SET page: absent-value none negative-ttl 1h", "+OK");
    desk.check("CONFIG SET maxmemory 12mb", "+OK");
    let value = "x".repeat(1000);
    (0..6000).for_each(|n| desk.check(&format!("SET page:{n} {value}"), "+OK"));
    let keys = |desk: &mut Desk| desk.run("DBSIZE").trim_end()[1..].parse::<usize>().expect("a number");
    let before = keys(&mut desk);
    for n in 0..200_000 {
        desk.run(&format!("SET page:absent:{n} none"));
    }
    let after = keys(&mut desk);
    assert!(after * 100 >= before * 90, "of {before} keys {after} are left beside 200,000 that do not exist");
    let has = |desk: &mut Desk, n: usize| desk.run(&format!("EXISTS page:absent:{n}")) == ":1\r\n";
    let held = (0..200_000).filter(|n| has(&mut desk, *n)).count();
    let late = (199_000..200_000).filter(|n| has(&mut desk, *n)).count();
    assert!(held < 30_000 && late > 500, "{held} of them are held, {late} of the last 1000");
    desk.node.store.each_stripe(|stripe| stripe.check());
}

#[test]
fn a_value_that_is_costly_is_loaded_before_it_expires() {
    let mut stage = Stage::new("lease on early-refresh 1");
    let mut other = stage.desk.again();
    stage.desk.check("GET hot:1", "$-1");
    stage.pass(1_000);
    stage.desk.check("SET hot:1 v PX 10000", "+OK");
    stage.pass(9_990);
    // With 10 ms left of a value that takes a second, nearly every GET is due; the first of them is sent.
    let sent = (0..50).find(|_| stage.desk.run("GET hot:1") == "$-1\r\n");
    assert!(sent.is_some());
    (0..50).for_each(|_| other.check("GET hot:1", "$1 v"));
    assert!(stage.desk.run("CACHE.STATS hot:").contains("early_refreshes\r\n:1"));
    // One that was never loaded by a lease has no known cost.
    stage.desk.check("SET hot:2 v PX 10", "+OK");
    stage.pass(9);
    (0..50).for_each(|_| other.check("GET hot:2", "$1 v"));
}

#[test]
fn nobody_is_sent_or_waits_where_more_depends_on_the_answer() {
    let mut stage = Stage::new("lease on lease-wait 500ms");
    let mut other = stage.desk.again();
    other.check("MULTI", "+OK");
    other.check("GET hot:1", "+QUEUED");
    other.check("EXEC", "*1 $-1");
    stage.desk.check("GET hot:1", "$-1");
    other.check("MGET hot:1 hot:2", "*2 $-1 $-1");
    // Something stands behind it.
    other.session.is_alone = false;
    other.check("GET hot:1", "$-1");
    stage.desk.check("SET hot:1 v", "+OK");
    other.check("GET hot:1", "$1 v");
    other.check("LPUSH hot:list a", ":1");
    assert!(other.run("GET hot:list").starts_with("-WRONGTYPE"));
}

#[test]
fn a_replica_is_told_times_that_were_shortened_and_when_an_old_value_goes() {
    freeze(Some(START));
    let (mut desk, follower) = Desk::leading(Default::default());
    desk.check(
        "CACHE.RULE SET hot: lease on soft-ttl 10s stale-while-revalidate 30s absent-value none negative-ttl 1s",
        "+OK",
    );
    desk.stream(follower);
    let said = |desk: &mut Desk, line: &str| {
        desk.run(line);
        let words = |command: Vec<Vec<u8>>| {
            command.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" ")
        };
        let told = desk.stream(follower).into_iter().map(words).filter(|line| !line.starts_with("SELECT"));
        told.collect::<Vec<_>>().join("; ")
    };
    let at = |ms: u64| START + ms;
    for (line, expected) in [
        ("SET hot:1 v EX 60", format!("SET hot:1 v PXAT {}", at(10_000))),
        ("SET hot:1 v", format!("SET hot:1 v PXAT {}", at(10_000))),
        ("SET hot:1 v KEEPTTL", "SET hot:1 v KEEPTTL".to_owned()),
        ("SETEX hot:2 60 none", format!("SET hot:2 none PXAT {}", at(1_000))),
        ("EXPIRE hot:1 60", format!("PEXPIREAT hot:1 {}", at(10_000))),
        ("GETEX hot:1 EX 60", format!("PEXPIREAT hot:1 {}", at(10_000))),
        ("SET cold v EX 60", format!("SET cold v PXAT {}", at(60_000))),
    ] {
        assert_eq!(said(&mut desk, line), expected, "{line}");
    }
    // Expired, and still there for those who may see it.
    freeze(Some(at(10_001)));
    assert_eq!(said(&mut desk, "EXISTS hot:1"), "");
    assert_eq!(said(&mut desk, "DEL hot:1"), "DEL hot:1", "a replica holds it, too");
    assert_eq!(said(&mut desk, "DEL hot:1"), "");
    desk.run("SET hot:3 v PX 100");
    freeze(Some(at(10_200)));
    assert!(said(&mut desk, "EXISTS hot:3").contains("SET hot:3"), "it was set just before");
    freeze(Some(at(10_101 + 30_001)));
    assert_eq!(said(&mut desk, "EXISTS hot:3"), "DEL hot:3");
    freeze(None);
}

#[test]
fn keys_that_change_their_name_or_type_take_nothing_along() {
    let mut stage = Stage::new("lease on stale-while-revalidate 30s");
    let mut other = stage.desk.again();
    stage.desk.check("SET hot:1 v PX 100", "+OK");
    stage.desk.check("COPY hot:1 cold", ":1");
    stage.desk.check("RENAME hot:1 hot:2", "+OK");
    stage.pass(101);
    stage.desk.check("GET hot:1", "$-1");
    stage.desk.check("GET cold", "$-1");
    other.check("GET cold", "$-1");
    // A name that was changed is not what was set under the rule.
    stage.desk.check("GET hot:2", "$-1");
    other.check("GET hot:2", "$-1");
    // A list where an old string lies.
    stage.desk.check("SET hot:3 v PX 100", "+OK");
    stage.pass(101);
    stage.desk.check("RPUSH hot:3 a", ":1");
    stage.desk.check("LRANGE hot:3 0 -1", "*1 $1 a");
    stage.desk.check("TTL hot:3", ":-1");
    stage.desk.check("SET hot:4 v PX 100", "+OK");
    stage.pass(101);
    stage.desk.check("INCR hot:4", ":1");
    stage.desk.check("APPEND hot:5 x", ":1");
    stage.desk.check("SETNX hot:1 new", ":1");
    other.check("GET hot:1", "$3 new");
}

/// What `CACHE.GET` says of a field.
fn field(desk: &mut Desk, key: &str, name: &str) -> String {
    let reply = desk.run(&format!("CACHE.GET {key}"));
    let words: Vec<&str> = reply.split("\r\n").filter(|word| !word.starts_with(['*', '$']) || *word == "$-1").collect();
    let at = words.iter().position(|word| *word == name).expect("the field is there");
    words[at + 1].to_owned()
}

#[test]
fn who_knows_of_rules_is_told_how_a_key_stands() {
    let mut stage =
        Stage::new("lease on lease-wait 500ms stale-while-revalidate 30s absent-value none negative-ttl 10s");
    let mut other = stage.desk.again();
    stage.desk.check(
        "CACHE.GET cold",
        "*14 $6 status $4 miss $5 value $-1 $7 version $-1 $5 token :0 $4 wait :0 $3 ttl :-1 $9 stale-ttl :-1",
    );
    let token = field(&mut stage.desk, "hot:1", "token");
    assert!(token.starts_with(':') && token != ":0", "{token}");
    let reply = other.run("CACHE.GET hot:1");
    assert!(reply.contains("wait\r\n$5\r\nvalue\r\n$-1") && reply.contains("wait\r\n:500"), "{reply}");
    stage.desk.check(&format!("CACHE.FILL hot:1 {} v PX 1000", &token[1..]), "+OK");
    for (name, expected) in [("status", "hit"), ("value", "v"), ("ttl", ":1000"), ("version", "a5bbb6ea23deecbe")] {
        let seen = field(&mut other, "hot:1", name);
        assert!(seen == expected || name == "version" && seen.len() == 16, "{name}: {seen}");
    }
    stage.pass(1_500);
    let token = field(&mut stage.desk, "hot:1", "token");
    assert_eq!([field(&mut other, "hot:1", "status"), field(&mut other, "hot:1", "value")], ["stale", "v"]);
    assert_eq!(field(&mut other, "hot:1", "ttl"), ":0");
    // It was deleted since, so what was loaded before that is not taken; also if there was nothing to be deleted.
    let mut token = token;
    for _ in 0..2 {
        other.check("DEL hot:1", ":0");
        let refused = stage.desk.run(&format!("CACHE.FILL hot:1 {} late", &token[1..]));
        assert!(refused.starts_with("-NOLEASE "), "{refused}");
        stage.desk.check("EXISTS hot:1", ":0");
        token = field(&mut stage.desk, "hot:1", "token");
        assert!(token != ":0", "the next is sent");
    }
    for line in ["CACHE.FILL hot:1 0 v", "CACHE.FILL hot:1 -5 v", "CACHE.FILL cold 123 v"] {
        let refused = stage.desk.run(line);
        assert!(refused.starts_with("-NOLEASE "), "{line}: {refused}");
    }
    stage.desk.check("CACHE.FILL hot:1 1 v EX", "-ERR syntax error");
    stage.desk.check("CACHE.FILL hot:1 x v", "-ERR value is not an integer or out of range");
    stage.desk.check("CACHE.ABSENT hot:1 EX 60", "+OK");
    assert_eq!([field(&mut other, "hot:1", "status"), field(&mut other, "hot:1", "value")], ["negative", "$-1"]);
    other.check("GET hot:1", "$4 none");
    other.check("TTL hot:1", ":10");
    assert!(other.run("CACHE.ABSENT cold").starts_with("-ERR no rule says what stands for nothing under this key"));
    other.check("RPUSH hot:list a", ":1");
    assert!(other.run("CACHE.GET hot:list").starts_with("-WRONGTYPE"));
}

#[test]
fn a_late_loader_is_refused_once_another_was_sent() {
    let mut stage = Stage::new("lease on lease-time 1s");
    let mut other = stage.desk.again();
    let late = field(&mut stage.desk, "hot:1", "token");
    stage.pass(1_001);
    let next = field(&mut other, "hot:1", "token");
    assert!(next != ":0" && next != late);
    assert!(stage.desk.run(&format!("CACHE.FILL hot:1 {} v", &late[1..])).starts_with("-NOLEASE "));
    other.check(&format!("CACHE.FILL hot:1 {} v", &next[1..]), "+OK");
    assert!(other.run(&format!("CACHE.FILL hot:1 {} v", &next[1..])).starts_with("-NOLEASE "), "it was set since");
    stage.desk.check("GET hot:1", "$1 v");
}

#[test]
fn what_is_left_of_a_slot_that_has_left_goes_with_what_could_be_served_stale() {
    let mut stage = Stage::new("lease on stale-while-revalidate 30s");
    stage.desk.check("SET hot:1 old PX 100", "+OK");
    stage.desk.check("SET {hot:1}cold v", "+OK");
    stage.pass(101);
    let node = stage.desk.node.clone();
    let slot = larder_client::slot::of(b"hot:1").number();
    while node.empty_some(slot) {}
    stage.desk.check("DBSIZE", ":0");
    stage.desk.check("GET hot:1", "$-1");
    stage.desk.again().check("GET hot:1", "$-1");
}

#[test]
fn what_is_loaded_for_a_database_that_was_emptied_or_exchanged_is_not_taken() {
    let mut stage = Stage::new("lease on lease-wait 500ms");
    let mut other = stage.desk.again();
    for line in ["FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 1 0"] {
        let token = field(&mut stage.desk, "hot:1", "token");
        assert_ne!(token, ":0", "{line}");
        other.check("GET hot:1", "");
        assert!(waits(&other));
        stage.desk.check(line, "+OK");
        let refused = stage.desk.run(&format!("CACHE.FILL hot:1 {} late", &token[1..]));
        assert!(refused.starts_with("-NOLEASE "), "{line}: {refused}");
        // Who waited is sent.
        other.check("GET hot:1", "$-1");
        other.check("SET hot:1 v", "+OK");
        other.check("DEL hot:1", ":1");
    }
}
