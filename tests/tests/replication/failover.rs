//! `FAILOVER`: a primary and a replica change roles on purpose, and no write is lost.

use larder_tests::chain::{Make, Pair, Resyncs, follow, for_neighbours, for_pairs, settle};
use larder_tests::digest::check_alike;
use larder_tests::{Client, Link, Node, wait_until};
use std::net::SocketAddr;
use std::thread;

/// No ping comes between what is compared and what is done then.
const FLAGS: [(&str, &str); 2] = [("--repl-ping-replica-period", "3600"), ("--repl-backlog-size", "16mb")];

const REFUSED: &str = "READONLY You can't write against a read only replica.";

fn state(node: &mut Node) -> String {
    node.info("master_failover_state").expect("INFO tells the state of a failover")
}

fn at(address: SocketAddr) -> String {
    format!("TO {} {}", address.ip(), address.port())
}

/// Waits until two servers have changed roles and hold the same.
fn wait_for_change(old: &mut Node, new: &mut Node) {
    wait_until("the replica leads", || new.info("role").as_deref() == Some("master"));
    wait_until("the failover is over", || state(old) == "no-failover");
    settle(&mut [new, old]);
    check_alike(&[new, old]);
}

/// Pushes numbers onto a list until that is refused. Returns how many were answered with its length.
fn push_until_refused(mut client: Client) -> usize {
    let mut pushed = 0;
    loop {
        match client.text("RPUSH list x") {
            reply if reply == (pushed + 1).to_string() => pushed += 1,
            reply if reply == REFUSED => return pushed,
            reply => panic!("push {pushed} was answered with {reply}"),
        }
    }
}

#[test]
fn no_write_is_lost_when_a_primary_and_its_replica_change_roles() {
    for_pairs(|makes| {
        let Some(Pair { primary: mut old, replica: mut new, link: _link }) = Pair::start(makes, &FLAGS) else { return };
        for _ in 0..4 {
            let before = Resyncs::of(&mut new);
            old.check_range("DEL list", 0..=1);
            let writer = old.connect();
            let writing = thread::spawn(move || push_until_refused(writer));
            wait_until("writes are under way", || old.int("LLEN list") > 100);
            old.check("FAILOVER", "OK");
            wait_for_change(&mut old, &mut new);
            let pushed = writing.join().expect("every push was answered as it must be");
            new.check("LLEN list", &pushed.to_string());
            let goes_on = Resyncs { partial: before.partial + 1, ..before };
            assert_eq!(Resyncs::of(&mut new), goes_on, "the old primary goes on where it was");
            std::mem::swap(&mut old, &mut new);
        }
    });
}

#[test]
fn other_replicas_go_on_below_the_new_primary() {
    for_neighbours(|makes| {
        let [Some(mut old), Some(mut new), Some(mut other)] = makes.map(|make| make.start(&FLAGS)) else { return };
        for replica in [&mut new, &mut other] {
            follow(replica, old.address());
        }
        settle(&mut [&mut old, &mut new, &mut other]);
        wait_until("both are online", || {
            ["slave0", "slave1"].iter().all(|slave| old.info(slave).is_some_and(|line| line.contains("state=online")))
        });
        old.check("SET before 1", "OK");
        old.check(&format!("FAILOVER {} TIMEOUT 30000", at(new.address())), "OK");
        wait_for_change(&mut old, &mut new);
        new.check("SET after 1", "OK");
        follow(&mut other, new.address());
        settle(&mut [&mut new, &mut old, &mut other]);
        check_alike(&[&new, &old, &other]);
        assert_eq!(Resyncs::of(&mut new), Resyncs { full: 0, partial: 2, refused: 0 });
    });
}

#[test]
fn writes_wait_until_the_failover_is_given_up() {
    for_pairs(|makes| {
        let Some(Pair { mut primary, replica, link: _link }) = Pair::start(makes, &FLAGS) else { return };
        primary.check("SET soon x PX 1", "OK");
        for (begin, end) in [("FAILOVER", Some("FAILOVER ABORT")), ("FAILOVER TIMEOUT 300", None)] {
            replica.signal("STOP");
            primary.check("SET k before", "OK");
            primary.check(begin, "OK");
            assert_eq!(state(&mut primary), "waiting-for-sync");
            let mut writer = primary.connect();
            writer.send("SET k after");
            primary.check("FAILOVER", "ERR FAILOVER already in progress.");
            primary.check("REPLICAOF NO ONE", "ERR REPLICAOF not allowed while failing over.");
            primary.check("GET k", "before");
            primary.check("GET soon", "nil");
            end.into_iter().for_each(|end| primary.check(end, "OK"));
            writer.expect("OK");
            wait_until("it is over", || state(&mut primary) == "no-failover");
            primary.check_matches("ROLE", r#"["master", #, *]"#);
            primary.check("GET k", "after");
            replica.signal("CONT");
        }
    });
}

#[test]
fn a_forced_failover_does_not_wait_longer_than_it_may() {
    for_pairs(|makes| {
        let Some(Pair { primary: mut old, replica: mut new, link: _link }) = Pair::start(makes, &FLAGS) else { return };
        new.signal("STOP");
        old.check("SET k lost-or-not", "OK");
        let mut writer = old.connect();
        old.check(&format!("FAILOVER {} FORCE TIMEOUT 200", at(new.address())), "OK");
        wait_until("the time is over", || state(&mut old) == "failover-in-progress");
        writer.send("SET k late");
        old.check_matches("ROLE", r#"["slave", "127.0.0.1", #, *]"#);
        new.signal("CONT");
        wait_for_change(&mut old, &mut new);
        writer.expect(REFUSED);
    });
}

#[test]
fn a_forced_failover_can_be_given_up_even_then() {
    for_pairs(|makes| {
        let Some(Pair { mut primary, replica, link: _link }) = Pair::start(makes, &FLAGS) else { return };
        replica.signal("STOP");
        primary.check("SET k v", "OK");
        primary.check(&format!("FAILOVER {} FORCE TIMEOUT 100", at(replica.address())), "OK");
        wait_until("the time is over", || state(&mut primary) == "failover-in-progress");
        primary.check("FAILOVER ABORT", "OK");
        primary.check_matches("ROLE", r#"["master", #, []]"#);
        primary.check("SET k w", "OK");
        replica.signal("CONT");
    });
}

/// What Redis does not promise: its failover would end with two primaries here.
#[test]
fn a_failover_whose_answer_is_lost_ends_with_one_primary() {
    let Some(mut old) = Node::larder() else { return };
    let mut new = Node::start_with(&FLAGS);
    let back = Link::to(new.address());
    let port = back.address().port().to_string();
    new.check(&format!("CONFIG SET replica-announce-port {port}"), "OK");
    follow(&mut new, old.address());
    settle(&mut [&mut old, &mut new]);
    wait_until("it is online", || old.info("slave0").is_some_and(|line| line.contains("state=online")));
    // PONG and three times OK are let through, and a part of the answer to the question.
    back.cut_after(7 + 3 * 5 + 12);
    old.check(&format!("FAILOVER {}", at(back.address())), "OK");
    wait_for_change(&mut old, &mut new);
    assert!(!back.is_waiting(), "the answer was cut off");
    old.check("SET k v", REFUSED);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let makes = [Make::Larder; 2];
    let Some(Pair { mut primary, mut replica, link: _link }) = Pair::start(makes, &FLAGS) else { return };
    for (command, error) in [
        ("FAILOVER TO 127.0.0.1", "ERR syntax error"),
        ("FAILOVER x", "ERR syntax error"),
        ("FAILOVER ABORT x", "ERR syntax error"),
        ("FAILOVER TIMEOUT 10 TIMEOUT 20", "ERR syntax error"),
        ("FAILOVER TO h 1 TO h 2", "ERR syntax error"),
        ("FAILOVER TIMEOUT 0", "ERR FAILOVER timeout must be greater than 0"),
        ("FAILOVER TIMEOUT x", "ERR value is not an integer or out of range"),
        ("FAILOVER TO 127.0.0.1 x", "ERR value is not an integer or out of range"),
        ("FAILOVER TO 127.0.0.1 1", "ERR FAILOVER target HOST and PORT is not a replica."),
        ("FAILOVER TO 127.0.0.1 99999", "ERR FAILOVER target HOST and PORT is not a replica."),
        ("FAILOVER FORCE", "ERR FAILOVER with force option requires both a timeout and target HOST and IP."),
        ("FAILOVER ABORT", "ERR No failover in progress."),
        ("PSYNC x 1 FAILOVER", "ERR PSYNC FAILOVER can't be sent to a master."),
    ] {
        primary.check(command, error);
    }
    replica.check("FAILOVER", "ERR FAILOVER is not valid when server is a replica.");
    replica.check("PSYNC x 1 FAILOVER", "ERR PSYNC FAILOVER replid must match my replid.");
    let mut alone = Node::start();
    alone.check("FAILOVER", "ERR FAILOVER requires connected replicas.");
}
