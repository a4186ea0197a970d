//! Transactions between connections on all workers: nobody ever sees a part of one.

use larder_tests::{Client, Node};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Keys in different slots, so in different stripes.
const ACCOUNTS: usize = 24;

/// What all accounts hold together.
const TOTAL: i64 = 24_000;

/// Transfers that each mover makes.
const TRANSFERS: usize = 1_500;

fn several_workers() -> Node {
    Node::start_with(&[("--workers", "4")])
}

fn account(number: usize) -> String {
    format!("account:{number}")
}

fn open_accounts(node: &mut Node) {
    for number in 0..ACCOUNTS {
        node.check(&format!("SET {} {}", account(number), TOTAL / ACCOUNTS as i64), "OK");
    }
}

/// Numbers that look random, the same for the same seed (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Moves an amount from one account to another. Half of the movers rely on the transaction alone, half read first and rely
/// on `WATCH`, in which case somebody else may have been faster: then nothing is moved, and `false` returned.
fn transfer(client: &mut Client, random: &mut Random, watches: bool) -> bool {
    let (from, step) = (random.below(ACCOUNTS), 1 + random.below(ACCOUNTS - 1));
    let (from, to) = (account(from), account((from + step) % ACCOUNTS));
    let amount = 1 + random.below(50) as i64;
    if !watches {
        client.check("MULTI", "OK");
        client.check(&format!("DECRBY {from} {amount}"), "QUEUED");
        client.check(&format!("INCRBY {to} {amount}"), "QUEUED");
        client.call("EXEC");
        return true;
    }
    client.check(&format!("WATCH {from} {to}"), "OK");
    let (left, right) = (sum(&client.text(&format!("GET {from}"))), sum(&client.text(&format!("GET {to}"))));
    client.check("MULTI", "OK");
    client.check(&format!("SET {from} {}", left - amount), "QUEUED");
    client.check(&format!("SET {to} {}", right + amount), "QUEUED");
    let reply = larder_tests::render(&client.call("EXEC"));
    assert!(reply == "nil" || reply == "[OK, OK]", "EXEC answered {reply}");
    reply != "nil"
}

/// The sum of the numbers in a reply, which may be nested.
fn sum(reply: &str) -> i64 {
    let digits = |letter: char| letter.is_ascii_digit() || letter == '-';
    reply.split(|letter| !digits(letter)).filter_map(|number| number.parse::<i64>().ok()).sum()
}

#[test]
fn no_reader_ever_sees_a_part_of_a_transaction() {
    let mut node = several_workers();
    open_accounts(&mut node);
    let names: Vec<String> = (0..ACCOUNTS).map(account).collect();
    let names = names.join(" ");
    let over = AtomicBool::new(false);
    let (broken, read) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|number| {
                let (mut client, names, over, read) = (node.connect(), &names, &over, &read);
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        let seen = if number % 2 == 0 {
                            larder_tests::render(&client.call(&format!("MGET {names}")))
                        } else {
                            client.check("MULTI", "OK");
                            names.split(' ').for_each(|name| client.check(&format!("GET {name}"), "QUEUED"));
                            larder_tests::render(&client.call("EXEC"))
                        };
                        assert_eq!(sum(&seen), TOTAL, "{seen}");
                        read.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        let movers: Vec<_> = (0..8)
            .map(|number: u64| {
                let (mut client, broken) = (node.connect(), &broken);
                scope.spawn(move || {
                    let mut random = Random((seed << 8 | number) + 1);
                    for _ in 0..TRANSFERS {
                        if !transfer(&mut client, &mut random, number.is_multiple_of(2)) {
                            broken.fetch_add(1, Relaxed);
                        }
                    }
                })
            })
            .collect();
        let moved: Vec<_> = movers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Relaxed);
        moved.into_iter().chain(readers.into_iter().map(thread::ScopedJoinHandle::join)).for_each(|ended| {
            ended.expect("seen above");
        });
    });
    let seen = larder_tests::render(&node.call(&format!("MGET {names}")));
    assert_eq!(sum(&seen), TOTAL, "{seen}");
    assert!(read.load(Relaxed) > 100, "{} reads", read.load(Relaxed));
    assert!(broken.load(Relaxed) > 0, "no watch was ever broken, so none was tested");
}

#[test]
fn a_transaction_about_everything_is_seen_whole_too() {
    let mut node = several_workers();
    let mut other = node.connect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        let reader = scope.spawn(move || {
            while !over.load(Relaxed) {
                let seen = larder_tests::render(&other.call("MGET a b c"));
                let whole = [r#"["1", "1", "1"]"#, "[nil, nil, nil]"];
                assert!(whole.contains(&seen.as_str()), "{seen}");
            }
        });
        for _ in 0..300 {
            for line in ["MULTI", "SET a 1", "SET b 1", "SET c 1", "DBSIZE", "EXEC"] {
                node.call(line);
            }
            for line in ["MULTI", "DEL b", "FLUSHALL", "EXEC"] {
                node.call(line);
            }
        }
        over.store(true, Relaxed);
        reader.join().expect("seen above");
    });
}

#[test]
fn a_connection_that_goes_leaves_no_watch() {
    let mut node = several_workers();
    for _ in 0..50 {
        let mut client = node.connect();
        client.check("WATCH a b c", "OK");
        client.check("MULTI", "OK");
        client.check("SET a 1", "QUEUED");
    }
    node.check("SET a 2", "OK");
    node.check("GET a", "\"2\"");
}

#[test]
fn an_exec_that_is_refused_ends_its_transaction_and_says_why() {
    let mut node = Node::start_with(&[("--requirepass", "secret")]);
    let abort = "EXECABORT Transaction discarded because of:";
    node.check("EXEC", &format!("{abort} NOAUTH Authentication required."));
    node.check("AUTH secret", "OK");
    let arity = format!("{abort} wrong number of arguments for 'exec' command");
    node.check("EXEC x", &arity);
    node.check("WATCH k", "OK");
    node.check("MULTI", "OK");
    node.check("SET k v", "QUEUED");
    node.check("EXEC x", &arity);
    node.check("EXEC", "ERR EXEC without MULTI");
    node.check("EXISTS k", "0");
    node.send("SUBSCRIBE a");
    node.expect_matches("*");
    node.check_matches("EXEC", &format!("{abort} Can't execute 'exec': only *"));
}
