//! What `redis-cli` makes of a primary: a copy of its data, and its stream.

use crate::makes;
use larder_tests::{Node, matches, poll, wait_until, writes};
use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};

/// A program that is stopped at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has left by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `redis-cli` at a server; `None`, and a note, if the machine has none.
fn cli(node: &Node) -> Option<Command> {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        eprintln!("skipped: there is no redis-cli; `apt-get install redis-tools` brings one");
        return None;
    }
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &node.address().port().to_string()]);
    Some(command)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn redis_cli_takes_a_copy_that_redis_finds_sound() {
    let Some(mut node) = makes().0.start(&[]) else { return };
    let Some(mut cli) = cli(&node) else { return };
    writes::fill(&mut node, 1, 2_000);
    let file = node.folder().join("copy.rdb");
    let output = cli.arg("--rdb").arg(&file).output().expect("redis-cli can be started");
    assert!(output.status.success(), "{}\n{}", said(&output), node.log());
    let checked = Command::new("redis-check-rdb").arg(&file).output().expect("it comes with redis-cli");
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(matches("*2000 keys read*", &said(&checked)), "{}", said(&checked));
    // Who took the copy has left.
    wait_until("nobody follows any more", || node.info("connected_slaves").as_deref() == Some("0"));
}

#[test]
fn redis_cli_shows_the_stream() {
    let Some(mut node) = makes().0.start(&[]) else { return };
    let Some(mut cli) = cli(&node) else { return };
    node.check("SET before 1", "OK");
    let file = node.folder().join("stream");
    let output = File::create(&file).expect("a file can be created");
    let child = cli.arg("--replica").stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn();
    let _running = Running(child.expect("redis-cli can be started"));
    wait_until("redis-cli follows", || node.info("slave0").is_some_and(|line| line.contains("state=online")));
    node.check("SET greeting 'hello there' EX 1000", "OK");
    node.check("SELECT 3", "OK");
    node.check("LPUSH list a b", "2");
    // Other letters than the test wrote, and PINGs between, are as the server likes.
    let shown = || String::from_utf8_lossy(&fs::read(&file).expect("it was created")).to_lowercase();
    let pattern =
        "*\"set\",\"greeting\",\"hello there\",\"pxat\",\"#\"\n*\"select\",\"3\"\n*\"lpush\",\"list\",\"a\",\"b\"\n*";
    assert!(poll(|| matches(pattern, &shown()).then_some(())).is_some(), "{}", shown());
}
