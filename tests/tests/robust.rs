//! That a node bears what clients do to it: very many of them, greedy ones, slow ones, broken ones.

use larder_client::resp::{Reply, encode_request};
use larder_tests::load::{
    Waits, beside_pings, cpu_time, peak_bytes, raise_open_files, requests, resident_bytes, thread_cpu_time,
};
use larder_tests::{Client, Node, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How long a PING may take beside a load, on a machine that does other things as well. The figures themselves are printed
/// (`--nocapture`); they are a hundredth of this where the machine is idle.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Bytes a node may take for an idle connection.
const IDLE_BYTES_MAX: u64 = 4096;

fn start(workers: &str) -> Node {
    Node::start_with(&[("--workers", workers)])
}

#[track_caller]
fn bearable(what: &str, waits: Waits) {
    eprintln!("{what}: {} PINGs, the longest took {:?}", waits.count, waits.longest);
    assert!(waits.longest <= WAIT_MAX, "{what}: a PING took {:?}", waits.longest);
}

/// Whether a connection with this id is listed.
fn is_connected(node: &mut Node, id: i64) -> bool {
    node.text(&format!("CLIENT LIST ID {id}")) != r#""""#
}

#[test]
fn ten_thousand_idle_connections_are_held_at_little_cost() {
    // Both ends are counted against limits of the same size, in two processes.
    let possible = raise_open_files(10_200).saturating_sub(200).min(10_000) as usize;
    let mut node = Node::start_with(&[("--workers", "2"), ("--maxclients", "10100")]);
    let before = resident_bytes(node.process_id());
    let connect = || {
        let mut stream = TcpStream::connect(node.address()).expect("a connection stands");
        // A request each, so that buffers are made and given back.
        stream.write_all(b"PING\r\n").expect("a request is taken");
        let mut pong = [0; 7];
        stream.read_exact(&mut pong).expect("a reply comes");
        stream
    };
    let streams: Vec<_> = (0..possible).map(|_| connect()).collect();
    let count = (possible + 1).to_string();
    wait_until("all are counted", || node.info("connected_clients").as_deref() == Some(&count));
    if let (Some(before), Some(after)) = (before, resident_bytes(node.process_id())) {
        let each = after.saturating_sub(before) / possible as u64;
        eprintln!("{possible} idle connections take {each} bytes each");
        assert!(each <= IDLE_BYTES_MAX, "an idle connection takes {each} bytes");
    }
    let start = Instant::now();
    node.check("SET k v", "OK");
    node.check("GET k", "v");
    assert!(start.elapsed() < WAIT_MAX, "two commands took {:?} beside idle connections", start.elapsed());
    drop(streams);
    wait_until("all are gone", || node.info("connected_clients").as_deref() == Some("1"));
}

/// CPU time that a node uses while nothing is asked of it.
fn idle_cpu_time(node: &Node) -> Option<Duration> {
    const SPAN: Duration = Duration::from_secs(2);
    let before = cpu_time(node.process_id())?;
    thread::sleep(SPAN);
    Some(cpu_time(node.process_id())?.saturating_sub(before))
}

#[test]
fn ten_thousand_blocked_connections_cost_nothing_while_idle() {
    let possible = raise_open_files(10_200).saturating_sub(200).min(10_000) as usize;
    let mut node = Node::start_with(&[("--workers", "2"), ("--maxclients", "10100")]);
    let idle = idle_cpu_time(&node);
    let address = node.address();
    let block = |number: usize| {
        let mut stream = TcpStream::connect(address).expect("a connection stands");
        let timeout = if number.is_multiple_of(2) { 0 } else { 1_000 + number };
        stream.write_all(format!("BLPOP q {timeout}\r\n").as_bytes()).expect("a request is taken");
        stream
    };
    let mut streams: Vec<_> = (0..possible).map(block).collect();
    wait_until("all wait", || node.info_number("blocked_clients") == possible as i64);
    if let (Some(idle), Some(blocked)) = (idle, idle_cpu_time(&node)) {
        eprintln!("CPU in two seconds: {idle:?} with nobody, {blocked:?} with {possible} blocked connections");
        assert!(blocked < idle + Duration::from_millis(40), "{blocked:?} of CPU beside {idle:?}");
    }
    let start = Instant::now();
    node.check("RPUSH q 00000", "1");
    eprintln!("one is served in {:?}", start.elapsed());
    assert_eq!(node.info_number("blocked_clients"), possible as i64 - 1);
    let elements = (1..possible).map(|number| format!("{number:05}"));
    let words: Vec<String> = ["RPUSH".to_owned(), "q".to_owned()].into_iter().chain(elements).collect();
    let start = Instant::now();
    node.call_words(&words);
    eprintln!("{} are served in {:?}", possible - 1, start.elapsed());
    node.check("EXISTS q", "0");
    assert_eq!(node.info_number("blocked_clients"), 0);
    let mut seen: Vec<usize> = streams.iter_mut().map(popped).collect();
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..possible), "each element is given once");
}

/// Reads the reply to a BLPOP whose element is a number of five digits.
fn popped(stream: &mut TcpStream) -> usize {
    let mut reply = [0; "*2\r\n$1\r\nq\r\n$5\r\n00000\r\n".len()];
    stream.read_exact(&mut reply).expect("a reply comes");
    let digits = &reply[reply.len() - 7..reply.len() - 2];
    String::from_utf8_lossy(digits).parse().expect("an element is a number")
}

/// A million elements, more or less, of each type, as commands that add a thousand each.
fn fill(node: &mut Node, kind: &str) {
    const COMMANDS: usize = 1_000;
    let words = |command: usize| {
        let numbers = (0..COMMANDS).map(move |number| format!("element:{}", command * COMMANDS + number));
        let head = |name: &str| vec![name.to_owned(), kind.to_owned()];
        match kind {
            "hash" => [head("HSET"), numbers.flat_map(|text| [text, "value".into()]).collect()].concat(),
            "set" => [head("SADD"), numbers.collect()].concat(),
            "zset" => {
                [head("ZADD"), numbers.enumerate().flat_map(|(at, text)| [at.to_string(), text]).collect()].concat()
            }
            "list" => [head("RPUSH"), numbers.collect()].concat(),
            _ => [head("XADD"), vec!["*".into()], numbers.flat_map(|text| [text, "value".into()]).collect()].concat(),
        }
    };
    for command in 0..COMMANDS {
        node.call_words(&words(command));
    }
}

#[test]
fn a_huge_collection_is_freed_without_a_stall() {
    // Of the worker's CPU time. To free such a collection takes several times as much.
    const WORK_MAX: Duration = Duration::from_millis(20);
    const PING_MAX: Duration = Duration::from_micros(50);
    let mut node = start("1");
    let worker_time = |node: &Node| thread_cpu_time(node.process_id(), "larder-0").unwrap_or_default();
    let mut other = node.connect();
    for kind in ["hash", "set", "zset", "list", "stream"] {
        fill(&mut node, kind);
        for free in
            ["DEL k", "UNLINK k", "SET k v", "RENAME small k", "RESTORE k", "PEXPIRE k 1", "FLUSHDB", "FLUSHALL"]
        {
            node.check("SET small v", "OK");
            node.check(&format!("COPY {kind} k REPLACE"), "1");
            let free = match free {
                "RESTORE k" => "COPY small k REPLACE".to_owned(),
                "FLUSHDB" | "FLUSHALL" => {
                    node.check("COPY k k DB 1", "1");
                    node.check("SELECT 1", "OK");
                    free.to_owned()
                }
                _ => free.to_owned(),
            };
            let mut client = node.connect();
            client.check("SELECT 1", "OK");
            if !free.starts_with("FLUSH") {
                client.check("SELECT 0", "OK");
            }
            let before = worker_time(&node);
            let ((), waits) = beside_pings(&mut other, || {
                client.call(&free);
                if free.starts_with("PEXPIRE") {
                    wait_until("it has expired", || client.int("DBSIZE") <= 2);
                }
            });
            let work = worker_time(&node).saturating_sub(before);
            bearable(&format!("beside {free} of a {kind} of a million elements, {work:?} of work"), waits);
            let pings = PING_MAX * waits.count as u32;
            assert!(work <= WORK_MAX + pings, "{free} of a {kind} took the worker {work:?}");
            node.check("SELECT 0", "OK");
            if free == "FLUSHALL" {
                node.check("DBSIZE", "0");
            }
        }
    }
}

#[test]
fn clients_beyond_maxclients_are_told_and_the_others_go_on() {
    let mut node = Node::start();
    node.check("CONFIG SET maxclients 20", "OK");
    let mut kept: Vec<_> = (0..19).map(|_| node.connect()).collect();
    kept.iter_mut().for_each(|client| client.check("PING", "PONG"));
    for _ in 0..50 {
        let mut refused = node.connect();
        refused.expect("ERR max number of clients reached");
        refused.expect_closed();
    }
    kept.iter_mut().for_each(|client| client.check("PING", "PONG"));
    assert_eq!(node.info_number("rejected_connections"), 50);
    drop(kept.pop());
    wait_until("there is room again", || node.info_number("connected_clients") == 19);
    node.connect().check("PING", "PONG");
}

#[test]
fn a_client_that_never_reads_is_cut_and_keeps_no_other_waiting() {
    let mut node = start("1");
    node.check("CONFIG SET client-output-buffer-limit 'normal 2mb 0 0'", "OK");
    node.call_words(&[&b"SET"[..], b"k", &[b'x'; 10_000]]);
    let mut greedy: Vec<_> = (0..5).map(|_| node.connect()).collect();
    let wire = requests(20_000, |_| vec!["GET", "k"]);
    let mut other = node.connect();
    let ((), waits) = beside_pings(&mut other, || {
        for client in &mut greedy {
            let id = client.int("CLIENT ID");
            // It is cut before it has sent everything.
            let _ = client.connection().send_raw(&wire);
            wait_until("the greedy client is cut", || !is_connected(&mut node, id));
        }
    });
    bearable("beside a client that never reads", waits);
    assert!(node.info_number("larder_clients_cut_for_output") >= 1);
    node.check("STRLEN k", "10000");
}

#[test]
fn a_client_above_its_soft_limit_is_cut_after_its_time() {
    let mut node = Node::start();
    node.check("CONFIG SET client-output-buffer-limit 'normal 1gb 1mb 1'", "OK");
    node.call_words(&[&b"SET"[..], b"k", &vec![b'x'; 1 << 20]]);
    let mut greedy = node.connect();
    let id = greedy.int("CLIENT ID");
    let start = Instant::now();
    greedy.send_raw(requests(20, |_| vec!["GET", "k"]));
    wait_until("the greedy client is cut", || !is_connected(&mut node, id));
    assert!(start.elapsed() >= Duration::from_secs(1), "it was cut after {:?}", start.elapsed());
    // Who reads is not cut, however much comes.
    let mut reader = node.connect();
    for _ in 0..100 {
        assert_eq!(reader.call("GET k").as_bytes().map(<[u8]>::len), Some(1 << 20));
    }
}

#[test]
fn an_output_limit_holds_for_what_lies_there_already() {
    let mut node = Node::start();
    node.call_words(&[&b"SET"[..], b"k", &vec![b'x'; 1 << 20]]);
    let mut greedy = node.connect();
    let id = greedy.int("CLIENT ID");
    greedy.send_raw(requests(30, |_| vec!["GET", "k"]));
    wait_until("replies lie there", || node.text(&format!("CLIENT LIST ID {id}")).contains("cmd=get"));
    assert!(is_connected(&mut node, id));
    node.check("CONFIG SET client-output-buffer-limit 'normal 1mb 0 0'", "OK");
    wait_until("the greedy client is cut", || !is_connected(&mut node, id));
}

#[test]
fn an_endless_request_is_cut() {
    let mut node = start("1");
    node.check("CONFIG SET client-query-buffer-limit 2mb", "OK");
    let mut other = node.connect();
    let mut endless = node.connect();
    let (_, waits) = beside_pings(&mut other, || {
        let word = [&b"$1000\r\n"[..], &[b'x'; 1000], b"\r\n"].concat();
        endless.send_raw("*1000000000\r\n");
        let wire = word.repeat(1000);
        while endless.connection().send_raw(&wire).is_ok() {}
    });
    bearable("beside an endless request", waits);
    assert_eq!(node.info_number("larder_clients_cut_for_input"), 1);
    node.check("PING", "PONG");
}

#[test]
fn an_endless_transaction_is_cut() {
    let mut node = start("1");
    node.check("CONFIG SET client-query-buffer-limit 2mb", "OK");
    let mut endless = node.connect();
    endless.check("MULTI", "OK");
    let value = "x".repeat(10_000);
    let request = format!("SET k {value}\r\n").repeat(10);
    let mut queued = 0;
    while endless.connection().send_raw(request.as_bytes()).is_ok() && endless.connection().receive().is_ok() {
        (1..10).for_each(|_| drop(endless.connection().receive()));
        queued += 10;
        assert!(queued < 1_000, "{queued} commands of 10 kB are queued");
    }
    assert!(queued > 150, "it was cut after {queued} commands of 10 kB");
    assert_eq!(node.info_number("larder_clients_cut_for_input"), 1);
    node.check("EXISTS k", "0");
}

#[test]
fn a_huge_pipeline_may_be_written_before_anything_is_read() {
    const GETS: usize = 100_000;
    let mut node = start("1");
    let value = "v".repeat(100);
    node.check(&format!("SET k {value}"), "OK");
    let mut client = node.connect();
    let mut other = node.connect();
    let wire = requests(GETS, |_| vec!["GET", "k"]);
    let ((), waits) = beside_pings(&mut other, || {
        client.send_raw(&wire);
        for _ in 0..GETS {
            client.expect(&value);
        }
    });
    bearable("beside a huge pipeline", waits);
    client.check("PING", "PONG");
}

#[test]
fn a_batch_of_huge_replies_is_not_made_beyond_the_output_limit() {
    let mut node = start("1");
    node.call_words(&[&b"SET"[..], b"k", &vec![b'x'; 8 << 20]]);
    node.check("CONFIG SET client-output-buffer-limit 'normal 16mb 0 0'", "OK");
    let Some(before) = resident_bytes(node.process_id()) else { return };
    let mut greedy = node.connect();
    let id = greedy.int("CLIENT ID");
    // They are read at once, and would come to half a gigabyte.
    greedy.send_raw(requests(64, |_| vec!["GET", "k"]));
    wait_until("the greedy client is cut", || !is_connected(&mut node, id));
    let peak = peak_bytes(node.process_id()).unwrap_or(0);
    assert!(peak.saturating_sub(before) < 128 << 20, "{} MiB more than before", (peak - before) >> 20);
    node.check("STRLEN k", "8388608");
}

#[test]
fn a_request_may_come_in_single_bytes() {
    let node = Node::start();
    let mut client = node.connect();
    let mut wire = Vec::new();
    encode_request(&["SET", "key", "a value\r\nwith a line end"], &mut wire);
    wire.extend_from_slice(b"GET key\r\n");
    for byte in wire {
        client.send_raw([byte]);
    }
    client.expect("OK");
    client.expect_raw("$24\r\na value\r\nwith a line end\r\n");
}

#[test]
fn an_announced_word_takes_no_memory_when_its_sender_leaves() {
    let mut node = Node::start();
    let Some(before) = resident_bytes(node.process_id()) else { return };
    for _ in 0..200 {
        let mut client = node.connect();
        client.send_raw("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nsome");
        drop(client);
    }
    wait_until("all are gone", || node.info_number("connected_clients") == 1);
    let grown = resident_bytes(node.process_id()).unwrap_or(0).saturating_sub(before);
    assert!(grown < 32 << 20, "words that never came take {grown} bytes");
    node.check("DBSIZE", "0");
}

#[test]
fn clients_that_come_and_go_keep_no_other_waiting() {
    let mut node = start("2");
    let address = node.address();
    let mut other = node.connect();
    let ((), waits) = beside_pings(&mut other, || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..250 {
                        let mut stream = TcpStream::connect(address).expect("a connection stands");
                        // Some leave without a word, some in the middle of one, some with a reply under way.
                        let bytes: &[u8] = [&b""[..], b"*2\r\n$3\r\nGE", b"PING\r\n"][number % 3];
                        stream.write_all(bytes).expect("a few bytes are taken");
                    }
                });
            }
        });
    });
    bearable("beside a thousand that come and go", waits);
    wait_until("all are gone", || node.info_number("connected_clients") == 2);
}

#[test]
fn a_busy_client_can_be_killed_from_another_worker() {
    let mut node = start("2");
    let mut victims: Vec<_> = (0..4).map(|_| node.connect()).collect();
    let ids: Vec<_> = victims.iter_mut().map(|client| client.int("CLIENT ID")).collect();
    thread::scope(|scope| {
        for client in &mut victims {
            scope.spawn(|| {
                let wire = requests(1000, |number| vec!["SET".to_owned(), format!("key:{number}"), "value".to_owned()]);
                loop {
                    if client.connection().send_raw(&wire).is_err() {
                        return;
                    }
                    for _ in 0..1000 {
                        if client.connection().receive().is_err() {
                            return;
                        }
                    }
                }
            });
        }
        wait_until("they are busy", || node.int("DBSIZE") == 1000);
        for id in &ids {
            node.check(&format!("CLIENT KILL ID {id}"), "1");
        }
    });
    wait_until("they are gone", || node.info_number("connected_clients") == 1);
}

#[test]
fn a_pause_holds_all_workers_back_until_it_is_ended() {
    let mut node = start("2");
    let mut clients: Vec<_> = (0..6).map(|_| node.connect()).collect();
    node.check("CLIENT PAUSE 100000 ALL", "OK");
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("SET k{number} v"));
        client.send("PING");
    }
    // Each has sent 41 bytes.
    wait_until("all requests are there", || node.text("CLIENT LIST").matches("qbuf=42").count() == 6);
    node.check("CLIENT UNPAUSE", "OK");
    for client in &mut clients {
        client.expect("OK");
        client.expect("PONG");
    }
    node.check("DBSIZE", "6");
    // Those that hang up while they wait are noticed.
    node.check("CLIENT PAUSE 100000 WRITE", "OK");
    clients.iter_mut().for_each(|client| client.send("SET late v"));
    drop(clients);
    wait_until("they are gone", || node.info_number("connected_clients") == 1);
    node.check("CLIENT UNPAUSE", "OK");
}

#[test]
fn silent_clients_are_closed_after_the_timeout_and_others_are_not() {
    let mut node = start("2");
    let mut silent = node.connect();
    let mut monitor = node.connect();
    monitor.check("MONITOR", "OK");
    node.check("CONFIG SET timeout 1", "OK");
    let mut rounds = 0;
    wait_until("the silent one is gone", || {
        rounds += 1;
        node.info_number("connected_clients") == 2
    });
    silent.expect_closed();
    assert!(rounds > 10, "the timeout was not waited for");
    monitor.expect_matches("*\"INFO\"*");
}

#[test]
fn a_monitor_sees_the_commands_of_all_workers() {
    let node = start("2");
    let mut monitor = node.connect();
    monitor.check("MONITOR", "OK");
    let mut clients: Vec<_> = (0..8).map(|_| node.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.check(&format!("SET k{number} v"), "OK");
        monitor.expect_matches(&format!(r#"*"SET" "k{number}" "v""#));
    }
}

#[test]
fn a_monitor_that_does_not_read_is_cut() {
    let mut node = start("2");
    node.check("CONFIG SET client-output-buffer-limit 'pubsub 1mb 0 0'", "OK");
    let mut monitor = node.connect();
    let id = monitor.int("CLIENT ID");
    monitor.check("MONITOR", "OK");
    let mut client = node.connect();
    let value = "x".repeat(10_000);
    let mut written = 0;
    wait_until("the monitor is cut", || {
        for _ in 0..50 {
            client.check(&format!("SET k {value}"), "OK");
            written += 1;
        }
        !is_connected(&mut node, id)
    });
    assert!(written >= 100, "it was cut after {written} commands of 10 kB");
    client.check("PING", "PONG");
    assert!(node.info_number("larder_clients_cut_for_output") >= 1);
}

#[test]
fn whole_databases_change_while_others_write() {
    let mut node = start("2");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                let mut client = node.connect();
                let over = &over;
                scope.spawn(move || write_until(&mut client, number, over))
            })
            .collect();
        let mut admin = node.connect();
        for _ in 0..200 {
            admin.check("FLUSHALL", "OK");
            admin.check("SWAPDB 0 1", "OK");
            admin.check("FLUSHDB ASYNC", "OK");
            admin.check("CONFIG SET maxmemory-samples 6", "OK");
        }
        over.store(true, Relaxed);
        let rounds: usize = writers.into_iter().map(|writer| writer.join().expect("a writer ends well")).sum();
        assert!(rounds > 0);
    });
    node.check("FLUSHALL", "OK");
    node.check("DBSIZE", "0");
}

/// Writes and reads in pipelines; every request has to be answered, with what can be true.
fn write_until(client: &mut Client, number: usize, over: &AtomicBool) -> usize {
    const DEPTH: usize = 50;
    let mut rounds = 0;
    while !over.load(Relaxed) {
        let wire = requests(DEPTH, |at| {
            let key = format!("writer:{number}:{}", at / 2);
            if at % 2 == 0 { vec!["SET".to_owned(), key, "value".to_owned()] } else { vec!["GET".to_owned(), key] }
        });
        client.send_raw(&wire);
        for _ in 0..DEPTH / 2 {
            client.expect("OK");
            let seen = client.connection().receive().expect("a reply comes");
            assert!(seen == Reply::Null || seen.as_bytes() == Some(b"value"), "{seen:?}");
        }
        rounds += 1;
    }
    rounds
}

#[test]
fn a_sleep_holds_the_whole_node() {
    let mut node = start("2");
    let mut others: Vec<_> = (0..4).map(|_| node.connect()).collect();
    node.send("DEBUG SLEEP 0.3");
    let start = Instant::now();
    // Whoever is asked before the sleep has begun answers at once, so it is asked until one had to wait.
    let longest = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in &mut others {
            scope.spawn(|| {
                while start.elapsed() < Duration::from_millis(250) {
                    let asked = Instant::now();
                    client.check("PING", "PONG");
                    if asked.elapsed() > Duration::from_millis(100) {
                        longest.store(true, Relaxed);
                    }
                }
            });
        }
    });
    node.expect("OK");
    assert!(longest.load(Relaxed), "nobody waited for the sleep");
}

#[test]
fn more_clients_than_the_system_allows_are_refused_in_words() {
    let Some(mut node) = Node::larder() else { return };
    node.check_matches(
        "CONFIG SET maxclients 4000000000",
        "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to handle \
         the specified number of clients, try with *",
    );
    node.check("CONFIG GET maxclients", r#"["maxclients", "10000"]"#);
}
