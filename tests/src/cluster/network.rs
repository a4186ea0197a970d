//! A network between nodes, and between clients and nodes, that loses and delays packets as a test says.
//!
//! Each node has a network namespace of its own, and so do the clients. Their only way out is a tunnel device; what is sent
//! into it is read here, packet by packet, and passed on to the receiver's, or is not. So what the nodes meet is what they would meet
//! with a cable cut: nothing arrives, nobody is told, and TCP tries again by its own times. A proxy between sockets was the
//! alternative: it takes connections and bytes for somebody who can't be reached, and would have to find out who calls.

use crate::namespace::{self, Own};
use crate::random::Random;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Bytes of a packet at most.
const PACKET_BYTES_MAX: usize = 9000;

/// Packets that may be on their way; more are lost.
const PACKETS_MAX: usize = 20_000;

/// Packets of one sender that are passed on before the others are looked at.
const PACKETS_AT_ONCE: usize = 64;

/// How often it is looked whether the network is needed any longer, in milliseconds.
const LOOK_MS: u16 = 50;

/// What becomes of packets from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Open,
    /// All are lost.
    Cut,
    /// All arrive, later by so much.
    Slow(Duration),
    /// So many of a hundred are lost.
    Lossy(usize),
}

/// A network of so many nodes, by their numbers, and of clients, who are one place more. Dropping it ends it.
#[derive(Debug)]
pub struct Network {
    /// Handles of the places' namespaces.
    places: Vec<Arc<File>>,
    routes: Arc<Routes>,
    router: Option<JoinHandle<()>>,
}

/// By sender and receiver.
#[derive(Debug)]
struct Routes {
    routes: Mutex<Vec<Vec<Route>>>,
    is_over: AtomicBool,
}

/// Runs a test on a thread that is where the clients are in a new network. The nodes have to be started there, too. Where the system
/// allows no such network, this says so and does nothing.
#[track_caller]
pub fn on_a_network(nodes: usize, test: impl FnOnce(&Network) + Send) {
    match Network::new(nodes) {
        Ok(network) => namespace::within_network(&network.places[nodes], || test(&network)).expect("it is its own"),
        Err(error) => eprintln!("left out: {error}; {}", namespace::ADVICE),
    }
}

impl Network {
    fn new(nodes: usize) -> io::Result<Self> {
        let mut places = Vec::new();
        let mut tunnels = Vec::new();
        for place in 0..=nodes {
            let (handle, tunnel) = namespace::within(Own::Network, || {
                let tunnel = namespace::tunnel("cable")?;
                namespace::command("ip link set lo up")?;
                namespace::command(&format!("ip address add {}/24 dev cable", ip(place)))?;
                namespace::command(&format!("ip link set cable mtu {PACKET_BYTES_MAX} up"))?;
                Ok((namespace::own_network()?, tunnel))
            })?;
            places.push(Arc::new(handle));
            tunnels.push(tunnel);
        }
        let routes = Routes {
            routes: Mutex::new(vec![vec![Route::Open; nodes + 1]; nodes + 1]),
            is_over: AtomicBool::new(false),
        };
        let routes = Arc::new(routes);
        let router =
            Router { tunnels, routes: Arc::clone(&routes), late: BinaryHeap::new(), sent: 0, random: Random::new(1) };
        Ok(Self { places, routes, router: Some(thread::spawn(|| router.run())) })
    }

    /// How many nodes it is for.
    pub fn nodes(&self) -> usize {
        self.places.len() - 1
    }

    /// The number of the place where clients are.
    pub fn clients(&self) -> usize {
        self.nodes()
    }

    /// Says what becomes of packets from one place to another from now on. What is on its way still arrives.
    pub fn set(&self, from: usize, to: usize, route: Route) {
        self.routes.lock()[from][to] = route;
    }

    /// The same for both directions.
    pub fn set_both(&self, one: usize, other: usize, route: Route) {
        self.set(one, other, route);
        self.set(other, one, route);
    }

    /// Opens all routes.
    pub fn heal(&self) {
        self.routes.lock().iter_mut().flatten().for_each(|route| *route = Route::Open);
    }

    /// Where a node listens for clients. Its port tells it from others, too, by which some of the tests know nodes.
    pub(super) fn address(&self, node: usize) -> SocketAddr {
        SocketAddr::from((ip(node), 7001 + node as u16))
    }

    pub(super) fn namespace(&self, node: usize) -> Arc<File> {
        Arc::clone(&self.places[node])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.routes.is_over.store(true, Relaxed);
        if let Some(router) = self.router.take() {
            // If it has failed, that was printed, and the test with it.
            let _ = router.join();
        }
    }
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ip(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, place as u8 + 1)
}

/// Which place this is the address of.
fn place_of(ip: &[u8], places: usize) -> Option<usize> {
    let [10, 77, 0, last] = ip else { return None };
    usize::from(*last).checked_sub(1).filter(|place| *place < places)
}

/// Passes packets on. One thread, as the order of what is not delayed is to last.
struct Router {
    tunnels: Vec<File>,
    routes: Arc<Routes>,
    late: BinaryHeap<Late>,
    /// How many packets were delayed so far.
    sent: u64,
    random: Random,
}

/// A packet that is on its way. The greatest is the one that arrives next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Late {
    arrives: std::cmp::Reverse<(Instant, u64)>,
    to: usize,
    packet: Vec<u8>,
}

impl Router {
    fn run(mut self) {
        #[cfg(unix)]
        let files: Vec<_> = self.tunnels.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
        #[cfg(not(unix))]
        let files = vec![0; self.tunnels.len()];
        let mut buffer = [0; PACKET_BYTES_MAX];
        while !self.routes.is_over.load(Relaxed) {
            let readable = namespace::wait_to_read(&files, self.wait_ms());
            self.deliver_late();
            for from in (0..files.len()).filter(|place| readable[*place]) {
                for _ in 0..PACKETS_AT_ONCE {
                    let Ok(read) = self.tunnels[from].read(&mut buffer) else { break };
                    self.pass_on(from, &buffer[..read]);
                }
            }
        }
    }

    /// Until something is to be done though nothing is sent.
    fn wait_ms(&self) -> u16 {
        let next = self.late.peek().map(|late| late.arrives.0.0.saturating_duration_since(Instant::now()));
        next.map_or(LOOK_MS, |next| next.as_millis().min(LOOK_MS.into()) as u16 + 1)
    }

    fn deliver_late(&mut self) {
        let now = Instant::now();
        while self.late.peek().is_some_and(|late| late.arrives.0.0 <= now) {
            let late = self.late.pop().expect("it was just looked at");
            self.deliver(late.to, &late.packet);
        }
    }

    fn pass_on(&mut self, from: usize, packet: &[u8]) {
        // All else is IPv6, by which the devices greet each other.
        let Some(to) = packet.get(16..20).filter(|_| packet[0] >> 4 == 4) else { return };
        let Some(to) = place_of(to, self.tunnels.len()) else { return };
        let route = self.routes.lock()[from][to];
        match route {
            Route::Open => self.deliver(to, packet),
            Route::Lossy(percent) if !self.random.percent(percent) => self.deliver(to, packet),
            Route::Slow(by) if self.late.len() < PACKETS_MAX => {
                self.sent += 1;
                let arrives = std::cmp::Reverse((Instant::now() + by, self.sent));
                self.late.push(Late { arrives, to, packet: packet.to_vec() });
            }
            Route::Cut | Route::Lossy(_) | Route::Slow(_) => {}
        }
    }

    fn deliver(&mut self, to: usize, packet: &[u8]) {
        // A receiver that can take no more loses it.
        let _ = self.tunnels[to].write(packet);
    }
}
