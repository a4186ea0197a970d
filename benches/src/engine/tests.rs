//! The engine against small servers made here: one that answers, one that stalls, one that hangs up.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::workload::Operation;

/// Serves every connection in a thread with `answer`, which gets each line that ends a GET (its key).
fn serve(answer: impl Fn(u64, &mut TcpStream) -> bool + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || serve_one(socket, answer));
        }
    });
    address
}

/// A GET of a 16-byte key is 36 bytes long.
const GET_BYTES: usize = 36;

fn serve_one(mut socket: TcpStream, answer: impl Fn(u64, &mut TcpStream) -> bool) {
    let (mut buffer, mut bytes, mut answered) = ([0; 4096], 0, 0);
    while let Ok(count @ 1..) = socket.read(&mut buffer) {
        bytes += count;
        while bytes / GET_BYTES > answered {
            if !answer(answered as u64, &mut socket) {
                return;
            }
            answered += 1;
        }
    }
}

fn plan(address: SocketAddr) -> Plan {
    Plan {
        address,
        workload: Workload::standard(Operation::Get),
        connections: 4,
        depth: 3,
        pace: Pace::Closed,
        threads: 2,
        cores: Vec::new(),
        seed: 1,
    }
}

fn hit(socket: &mut TcpStream) -> bool {
    socket.write_all(b"$3\r\nabc\r\n").is_ok()
}

#[test]
fn a_closed_loop_sends_exactly_the_requests_asked_for() {
    let address =
        serve(|number, socket| if number % 2 == 0 { hit(socket) } else { socket.write_all(b"$-1\r\n").is_ok() });
    let mut engine = Engine::connect(&plan(address)).unwrap();
    for _ in 0..2 {
        let outcome = engine.run(Bound::Requests(1001), None).unwrap();
        assert_eq!(outcome.tally.replies, 1001);
        assert_eq!(outcome.tally.hits + outcome.tally.misses, 1001);
        assert_eq!(outcome.latencies.len(), 1001);
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let address = serve(|_, socket| hit(socket));
    let mut engine = Engine::connect(&Plan { pace: Pace::Open { rate: 2000.0 }, ..plan(address) }).unwrap();
    let outcome = engine.run(Bound::Time(Duration::from_millis(500)), None).unwrap();
    assert_eq!(outcome.tally.replies + outcome.unsent, 1000);
    assert!(outcome.elapsed >= Duration::from_millis(498), "{:?}", outcome.elapsed);
}

#[test]
fn an_open_loop_counts_the_wait_of_requests_that_could_not_be_sent() {
    // Every reply takes 10 ms and a request is due each millisecond: the hundredth is answered 900 ms late.
    let address = serve(|_, socket| {
        thread::sleep(Duration::from_millis(10));
        hit(socket)
    });
    let pace = Pace::Open { rate: 1000.0 };
    let mut engine = Engine::connect(&Plan { pace, connections: 1, depth: 1, threads: 1, ..plan(address) }).unwrap();
    let outcome = engine.run(Bound::Requests(100), None).unwrap();
    assert_eq!(outcome.tally.replies, 100);
    assert!(outcome.latencies.max() >= 890_000_000, "{}", outcome.latencies.max());
    assert!(outcome.latencies.quantile(0.5) >= 430_000_000, "{}", outcome.latencies.quantile(0.5));
}

#[test]
fn an_open_loop_that_is_too_fast_ends_on_time_and_says_what_it_left() {
    let address = serve(|_, socket| {
        thread::sleep(Duration::from_millis(10));
        hit(socket)
    });
    let pace = Pace::Open { rate: 1000.0 };
    let mut engine = Engine::connect(&Plan { pace, connections: 1, depth: 1, threads: 1, ..plan(address) }).unwrap();
    let outcome = engine.run(Bound::Time(Duration::from_millis(200)), None).unwrap();
    assert_eq!(outcome.tally.replies + outcome.unsent, 200);
    assert!(outcome.unsent > 100, "{}", outcome.unsent);
}

#[test]
fn a_server_that_hangs_up_is_an_error_with_what_it_said() {
    let address = serve(|_, socket| {
        socket.write_all(b"-ERR max number of clients reached\r\n").ok();
        false
    });
    let error = Engine::connect(&plan(address)).unwrap().run(Bound::Requests(100), None).unwrap_err();
    // The operating system may report a reset instead, as requests were still unread.
    assert!(matches!(error, Error::Closed { .. } | Error::Io { .. }), "{error}");
}

#[test]
fn more_replies_than_requests_are_an_error() {
    let address = serve(|_, socket| socket.write_all(b"+OK\r\n+OK\r\n").is_ok());
    let error = Engine::connect(&plan(address)).unwrap().run(Bound::Requests(100), None).unwrap_err();
    assert!(matches!(error, Error::TooManyReplies), "{error}");
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    for wrong in [
        Plan { depth: 0, ..plan(address) },
        Plan { threads: 5, ..plan(address) },
        Plan { pace: Pace::Open { rate: 0.0 }, ..plan(address) },
    ] {
        assert!(matches!(Engine::connect(&wrong), Err(Error::Usage(_))));
    }
}
