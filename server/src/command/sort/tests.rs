//! Sessions of sorting.

use crate::command::testing::Desk;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NO_DOUBLE: &str = "-ERR One or more scores can't be converted into double";

/// A node in which collections are filled from lines such as `list l 3 1 2`, as other groups' commands would.
fn filled(lines: &[&str]) -> Desk {
    let desk = Desk::new();
    lines.iter().for_each(|line| fill(&desk, line));
    desk
}

fn fill(desk: &Desk, line: &str) {
    use crate::types::list::{End, List};
    use crate::types::object::Kind;
    use crate::types::{set::Set, zset::ZSet};
    let mut words = line.split(' ');
    let (kind, name) = (words.next().expect("a kind"), words.next().expect("a key"));
    let limits = &desk.node.limits;
    let object = match kind {
        "list" => {
            let mut list = List::new();
            list.push(End::Tail, words.map(str::as_bytes), &limits.of_list());
            list.into_object()
        }
        "set" => {
            let mut set = Set::new();
            words.for_each(|word| {
                set.add(word.as_bytes(), &limits.of_set());
            });
            set.into_object()
        }
        "zset" => {
            let mut zset = ZSet::new();
            while let (Some(score), Some(member)) = (words.next(), words.next()) {
                zset.insert(member.as_bytes(), score.parse().expect("a score"), &limits.of_zset());
            }
            zset.into_object()
        }
        _ => unreachable!("{kind}"),
    };
    let key = desk.node.store.key(name.as_bytes());
    let moment = desk.node.store.moment(1);
    desk.node.store.lock_one(key.place.stripe(), 0, moment).put_object(key, object, None);
}

/// The texts of a reply, with `-` for what is missing.
fn texts(reply: &str) -> String {
    let mut lines = reply.split("\r\n").skip(1);
    let mut words = Vec::new();
    while let Some(head) = lines.next() {
        match head {
            "" => break,
            "$-1" | "_" => words.push("-"),
            _ => words.push(lines.next().unwrap_or_default()),
        }
    }
    words.join(" ")
}

#[track_caller]
fn sorts(desk: &mut Desk, line: &str, expected: &str) {
    let reply = desk.run(line);
    assert!(reply.starts_with('*'), "{line}: {reply}");
    assert_eq!(texts(&reply), expected, "{line}");
}

#[test]
fn numbers_are_sorted_by_value_and_texts_by_their_bytes() {
    let mut desk = filled(&["list l 3 1 2", "list mix 10 9 100", "list w b a", "list num 1.5 -2 inf 3e2 0x10"]);
    sorts(&mut desk, "SORT l", "1 2 3");
    sorts(&mut desk, "SORT l DESC", "3 2 1");
    sorts(&mut desk, "SORT l asc desc", "3 2 1");
    sorts(&mut desk, "SORT_RO l DESC ASC", "1 2 3");
    sorts(&mut desk, "SORT mix", "9 10 100");
    sorts(&mut desk, "SORT mix ALPHA", "10 100 9");
    sorts(&mut desk, "SORT w ALPHA DESC", "b a");
    sorts(&mut desk, "SORT num", "-2 1.5 0x10 3e2 inf");
    desk.check("SORT w", NO_DOUBLE);
    desk.check("SORT w LIMIT 0 1", NO_DOUBLE);
    desk.check("SORT none", "*0");
    fill(&desk, "list zeros -0 0 1");
    sorts(&mut desk, "SORT zeros", "-0 0 1");
    sorts(&mut desk, "SORT zeros DESC", "1 0 -0");
}

#[test]
fn a_limit_cuts_what_is_sorted() {
    let mut desk = filled(&["list l 3 1 2"]);
    for (limit, expected) in [
        ("1 1", "2"),
        ("-1 2", "1 2"),
        ("0 -1", "1 2 3"),
        ("5 1", ""),
        ("1 0", ""),
        ("1 -5", "2 3"),
        ("0 9223372036854775807", "1 2 3"),
        ("1 9223372036854775807", "2 3"),
        ("9223372036854775807 9223372036854775807", ""),
        ("-9223372036854775808 1", "1"),
    ] {
        sorts(&mut desk, &format!("SORT l LIMIT {limit}"), expected);
    }
    sorts(&mut desk, "SORT l LIMIT 0 1 LIMIT 1 1", "2");
}

#[test]
fn a_limit_leaves_the_same_as_sorting_all_would() {
    let words: Vec<String> = (0..500).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 8).to_string()).collect();
    let mut desk = filled(&[&format!("list l {}", words.join(" ")), &format!("set s {}", words.join(" "))]);
    for key in ["l", "s"] {
        for order in ["", "DESC", "ALPHA", "ALPHA DESC"] {
            let all = texts(&desk.run(&format!("SORT {key} {order}")));
            let all: Vec<&str> = all.split(' ').collect();
            for (offset, count) in [(0, 1), (0, 10), (99, 100), (490, 100), (499, 1), (0, 500)] {
                let end = (offset + count).min(500);
                sorts(&mut desk, &format!("SORT {key} {order} LIMIT {offset} {count}"), &all[offset..end].join(" "));
            }
        }
    }
}

#[test]
fn other_keys_decide_the_order() {
    let mut desk = filled(&["list w a b", "list eq b a c", "list l 3 1 2"]);
    for line in ["SET w_a 2", "SET w_b 1", "HSET ha f 5", "HSET hb f 4", "SET const_a 1"] {
        desk.run(line);
    }
    sorts(&mut desk, "SORT w BY w_*", "b a");
    sorts(&mut desk, "SORT w BY w_* DESC", "a b");
    sorts(&mut desk, "SORT w BY h*->f", "b a");
    sorts(&mut desk, "SORT_RO w BY w_* ALPHA", "b a");
    sorts(&mut desk, "SORT w BY missing_*", "a b");
    sorts(&mut desk, "SORT w BY missing_* DESC", "b a");
    sorts(&mut desk, "SORT w BY *->f", "a b");
    sorts(&mut desk, "SORT eq BY const_*", "b c a");
    sorts(&mut desk, "SORT eq BY const_* DESC", "a c b");
    sorts(&mut desk, "SORT eq BY const_* ALPHA", "b c a");
    sorts(&mut desk, "SORT eq BY const_* ALPHA DESC", "a b c");
    desk.check("SET const_b \"\"", "+OK");
    sorts(&mut desk, "SORT eq BY const_* ALPHA", "c b a");
    sorts(&mut desk, "SORT eq BY const_* ALPHA LIMIT 1 1", "b");
    desk.check("SET w_a x", "+OK");
    desk.check("SORT w BY w_*", NO_DOUBLE);
    // A hash, or another collection, is no weight.
    desk.check("DEL w_a w_b", ":2");
    fill(&desk, "list w_a 1");
    sorts(&mut desk, "SORT w BY w_*", "a b");
    sorts(&mut desk, "SORT w BY h*", "a b");
    for (number, value) in [(1, 3), (2, 2), (3, 1)] {
        desk.run(&format!("SET ha->f{number} {value}"));
    }
    sorts(&mut desk, "SORT l BY ha->f*", "3 2 1");
}

#[test]
fn without_a_star_the_collection_keeps_its_order() {
    let mut desk = filled(&["list l 3 1 2", "zset z 3 a 1 b 2 c", "set ints 3 10 2", "list eq b a c"]);
    sorts(&mut desk, "SORT l BY nosort", "3 1 2");
    sorts(&mut desk, "SORT l BY \"\"", "3 1 2");
    sorts(&mut desk, "SORT l BY constant DESC", "2 1 3");
    sorts(&mut desk, "SORT l BY nosort DESC LIMIT 1 5", "1 3");
    sorts(&mut desk, "SORT l BY nosort LIMIT 1 1", "1");
    sorts(&mut desk, "SORT l BY a* BY nosort", "3 1 2");
    sorts(&mut desk, "SORT l BY nosort BY a*", "3 1 2");
    sorts(&mut desk, "SORT eq ALPHA BY nosort DESC", "c a b");
    sorts(&mut desk, "SORT z BY nosort", "b c a");
    sorts(&mut desk, "SORT z BY nosort ALPHA", "b c a");
    sorts(&mut desk, "SORT z BY nosort DESC", "a c b");
    sorts(&mut desk, "SORT z BY nosort LIMIT 1 2", "c a");
    sorts(&mut desk, "SORT z BY nosort DESC LIMIT 0 2", "a c");
    sorts(&mut desk, "SORT z BY nosort DESC LIMIT -5 2", "a c");
    sorts(&mut desk, "SORT z BY nosort LIMIT 1 -1", "c a");
    sorts(&mut desk, "SORT z BY nosort LIMIT 7 1", "");
    sorts(&mut desk, "SORT z ALPHA", "a b c");
    sorts(&mut desk, "SORT ints BY nosort", "2 3 10");
    sorts(&mut desk, "SORT ints BY nosort DESC", "2 3 10");
    sorts(&mut desk, "SORT ints BY nosort LIMIT 1 1", "3");
    sorts(&mut desk, "SORT ints", "2 3 10");
}

#[test]
fn what_elements_lead_to_is_answered() {
    let mut desk = filled(&["list l 3 1 2", "list w a b", "list k1x v"]);
    for line in ["SET k1 v1", "SET k2 2", "SET k3 v3", "SET w_a 2", "SET w_b 1", "HSET ha f 5", "HSET hb f four"] {
        desk.run(line);
    }
    sorts(&mut desk, "SORT l GET k*", "v1 2 v3");
    sorts(&mut desk, "SORT l BY nosort GET k*", "v3 v1 2");
    sorts(&mut desk, "SORT w BY w_* GET w_* GET #", "1 b 2 a");
    sorts(&mut desk, "SORT w BY nosort GET h*->f GET # GET none_*", "5 a - four b -");
    sorts(&mut desk, "SORT w BY nosort GET h*-> GET plain", "- - - -");
    sorts(&mut desk, "SORT l GET k*x", "- - -");
    sorts(&mut desk, "SORT l LIMIT 0 1 GET # GET #", "1 1");
    desk.run("SET 1 one");
    sorts(&mut desk, "SORT l GET *", "one - -");
    desk.run("HSET o_2 x y");
    desk.run("SET o_1-> sw");
    sorts(&mut desk, "SORT l GET o_*-> GET o_*->x GET o_*->x->y", "sw - - - y - - - -");
    desk.run(&format!("SET k1 {}", "x".repeat(5000)));
    sorts(&mut desk, "SORT l GET k* LIMIT 0 1", &"x".repeat(5000));
    desk.set_protocol(3);
    desk.check("SORT l GET zz*", "*3 _ _ _");
}

#[test]
fn what_comes_of_it_is_stored_as_a_list() {
    let mut desk = filled(&["list l 3 1 2", "zset z 3 a 1 b 2 c", "set s 10 9 8 x"]);
    desk.check("SET str 1", "+OK");
    desk.check("SORT l STORE d", ":3");
    sorts(&mut desk, "SORT d BY nosort", "1 2 3");
    desk.check("TYPE d", "+list");
    desk.check("EXPIRE d 100", ":1");
    desk.check("SORT l GET x GET # STORE d", ":6");
    desk.check("SORT d BY nosort GET #", "*6 $0  $1 1 $0  $1 2 $0  $1 3");
    desk.check("TTL d", ":-1");
    desk.check("SORT l BY nosort LIMIT 1 1 STORE str", ":1");
    sorts(&mut desk, "SORT str", "1");
    desk.check("SORT z BY nosort DESC STORE d", ":3");
    sorts(&mut desk, "SORT d BY nosort", "a c b");
    desk.check("SORT s BY nosort STORE d", ":4");
    sorts(&mut desk, "SORT d BY nosort", "10 8 9 x");
    desk.check("SORT l STORE l", ":3");
    sorts(&mut desk, "SORT l BY nosort", "1 2 3");
    desk.check("SORT none STORE d", ":0");
    desk.check("EXISTS d", ":0");
    desk.check("SORT l LIMIT 9 1 STORE l", ":0");
    desk.check("EXISTS l", ":0");
}

#[test]
fn a_key_may_have_the_name_of_an_option() {
    let mut desk = filled(&["list l 3 1 2", "list store 9 8", "list by 5 4"]);
    sorts(&mut desk, "SORT store", "8 9");
    sorts(&mut desk, "SORT by DESC", "5 4");
    desk.check("SORT l STORE store ALPHA", ":3");
    sorts(&mut desk, "SORT store BY nosort", "1 2 3");
    desk.check("SORT l STORE a STORE b", ":3");
    desk.check("EXISTS a b", ":1");
    desk.check("SORT l STORE get DESC", ":3");
    sorts(&mut desk, "SORT get BY nosort", "3 2 1");
}

#[test]
fn wrong_words_and_types_are_refused() {
    let mut desk = filled(&["list l 3 1 2", "list w a b"]);
    desk.check("SET str 1", "+OK");
    desk.check("HSET h f v", ":1");
    let no_integer = "-ERR value is not an integer or out of range";
    let syntax = "-ERR syntax error";
    for (line, fault) in [
        ("SORT", "-ERR wrong number of arguments for 'sort' command"),
        ("SORT_RO", "-ERR wrong number of arguments for 'sort_ro' command"),
        ("SORT str", WRONG_TYPE),
        ("SORT h", WRONG_TYPE),
        ("SORT h BY nosort", WRONG_TYPE),
        ("SORT_RO str", WRONG_TYPE),
        ("SORT str STORE x", WRONG_TYPE),
        ("SORT l FOO", syntax),
        ("SORT str FOO", syntax),
        ("SORT none FOO", syntax),
        ("SORT l BY", syntax),
        ("SORT l GET", syntax),
        ("SORT l GET # GET", syntax),
        ("SORT l STORE", syntax),
        ("SORT l BY x* STORE", syntax),
        ("SORT_RO l STORE x", syntax),
        ("SORT l LIMIT", syntax),
        ("SORT l LIMIT 1", syntax),
        ("SORT l LIMIT x 1", no_integer),
        ("SORT l LIMIT 1.5 2", no_integer),
        ("SORT none LIMIT 0 x", no_integer),
        ("SORT str LIMIT a b", no_integer),
        ("SORT w STORE l", NO_DOUBLE),
    ] {
        desk.check(line, fault);
    }
    sorts(&mut desk, "SORT l BY nosort", "3 1 2");
    desk.check("COMMAND GETKEYS SORT a BY b* STORE c", "*2 $1 a $1 c");
    desk.check("COMMAND GETKEYS SORT_RO a", "*1 $1 a");
}
