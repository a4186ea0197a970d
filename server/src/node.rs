//! A node put together: the store, the workers, and the sockets they are fed from.

mod membership;
mod restore;

use crate::command::clients::Client;
use crate::command::shared::{Parts, Shared, now_ms};
use crate::command::warm::{self, preload};
use crate::config::{Config, Live, Named, Run};
use crate::net::bus;
use crate::net::descriptors;
use crate::net::feed;
use crate::net::follow;
use crate::net::listen::{self, CannotListen};
use crate::net::mover;
use crate::net::worker::{self, Accepted};
use crate::store::{self, Eviction, Store};
use membership::Membership;
use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};

/// Why a node does not start. Says what to do.
#[derive(Debug)]
pub enum CannotStart {
    /// An address is taken or may not be used.
    Listen(CannotListen),
    /// It cannot take part in its cluster.
    Cluster(String),
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotStart::Listen(error) => error.fmt(f),
            CannotStart::Cluster(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CannotStart {}

/// A running node. Dropping it stops it.
pub struct Node {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    stop: Arc<Notify>,
    threads: Vec<JoinHandle<()>>,
    loader: Option<JoinHandle<Result<(), String>>>,
}

impl Node {
    /// Opens the sockets and starts the workers.
    ///
    /// # Errors
    ///
    /// [`CannotStart`]; nothing runs then.
    pub fn start(run: Run) -> Result<Node, CannotStart> {
        let Run { config, raw, machine, .. } = run;
        let listeners = open_all(&config).map_err(CannotStart::Listen)?;
        descriptors::make_room_for(config.maxclients.into());
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let port = addresses.first().map_or(0, SocketAddr::port);
        let membership = match config.is_clustered() {
            true => Some(Membership::prepare(&config, port).map_err(CannotStart::Cluster)?),
            false => None,
        };
        let stop = Arc::new(Notify::new());
        let stopper = stop.clone();
        let workers = config.workers as usize;
        let shared = Arc::new(Shared::new(Parts {
            store: Store::new(store_options(&config)),
            live: Arc::new(Live::new(&config, raw, machine)),
            port,
            workers,
            cluster_id: membership.as_ref().map(|membership| membership.identity.node),
            stop: Box::new(move || stopper.notify_one()),
            room: descriptors::make_room_for,
        }));
        shared.listen();
        shared.settings_changed();
        if let Some(primary) = config.primary() {
            shared.barrier.alone(|| shared.follow(Some(primary)));
        }
        let loads = membership.as_ref().is_none_or(|membership| membership.keeps_data(&config));
        let incarnation = shared.cluster.incarnation();
        let bus = membership.map(|membership| membership.into_start(&config, port, incarnation));
        let bus = bus.transpose().map_err(CannotStart::Cluster)?;
        preload::prepare(&shared, &config, loads, Path::new(warm::FILE));
        let loader = if loads { restore::start(&shared, &config) } else { None };
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        let (feed, follow) = (watch::channel(0u64), watch::channel(0u64));
        let ring = |bell: watch::Sender<u64>| Box::new(move || bell.send_modify(|rung| *rung += 1));
        shared.replication.set_bells(ring(feed.0), ring(follow.0));
        let node = shared.clone();
        threads.push(spawn("larder-follow", move || follow::run(&node, follow.1)));
        if let Some(start) = bus {
            let node = shared.clone();
            shared.cluster.set_secret(&start.secret);
            threads.push(spawn("larder-bus", move || bus::run(&node, start)));
            let node = shared.clone();
            threads.push(spawn("larder-move", move || mover::run(&node)));
        }
        if shared.warm.is_on() {
            let node = shared.clone();
            threads.push(spawn("larder-warm", move || warm::run(&node)));
        }
        let (hand_over, handed) = unbounded_channel();
        let node = shared.clone();
        threads.push(spawn("larder-feed", move || feed::run(node, handed, &feed.1)));
        for number in 0..workers {
            let (sender, receiver) = unbounded_channel();
            senders.push(sender);
            let (node, hand_over) = (shared.clone(), hand_over.clone());
            threads.push(spawn(&format!("larder-{number}"), move || {
                if let Err(error) = worker::run(number, node.clone(), receiver, hand_over) {
                    tracing::error!(%error, "a worker could not start");
                    node.stop();
                }
            }));
        }
        let (node, stopped) = (shared.clone(), stop.clone());
        threads.push(spawn("larder-accept", move || accept_all(&node, listeners, senders, &stopped)));
        Ok(Node { shared, addresses, stop, threads, loader })
    }

    /// The addresses it listens on, with the ports it was given for 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Asks the node to stop: connections finish what was read and send what is owed.
    pub fn stop(&self) {
        self.shared.stop();
        self.stop.notify_one();
    }

    /// Waits until the node has stopped, by [`Node::stop`], `SHUTDOWN` or a broken worker, and has written its last snapshot
    /// if there is to be one.
    ///
    /// # Errors
    ///
    /// Why the snapshot that it was to start with was not loaded, or the last one not written.
    pub fn wait(mut self) -> Result<(), String> {
        self.join()
    }

    fn join(&mut self) -> Result<(), String> {
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
        match self.loader.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {
                let saved = self.shared.save_last();
                self.shared.list_last();
                saved
            }
            Some(Ok(Err(why))) => Err(why),
            Some(Err(_)) => Err("loading broke; please report this with the lines above".to_owned()),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
        // Whoever wants to know waits for it.
        let _ = self.join();
    }
}

fn store_options(config: &Config) -> store::Options {
    store::Options {
        memory_max: config.maxmemory.0,
        eviction: Eviction::named(config.maxmemory_policy.name()).expect("both rooms know the same policies"),
        samples: config.maxmemory_samples,
        lfu_log_factor: config.lfu_log_factor,
        lfu_decay_minutes: config.lfu_decay_time.map_or(0, |time| (time.as_secs() / 60) as u32),
    }
}

/// Opens the configured addresses; an optional one that the machine lacks is left out.
fn open_all(config: &Config) -> Result<Vec<TcpListener>, CannotListen> {
    let mut listeners = Vec::new();
    let forwards = Some(config.forward_port).filter(|port| *port > 0);
    let ports = std::iter::once(config.port).chain(forwards);
    for (port, address) in ports.flat_map(|port| config.bind.iter().map(move |address| (port, address))) {
        match listen::listen(SocketAddr::new(address.ip, port), config.tcp_backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.optional && error.is_absent() => tracing::debug!("{error}; going on without it"),
            Err(error) => return Err(error),
        }
    }
    Ok(listeners)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new().name(name.into()).spawn(run).expect("a thread can be started when the node starts")
}

/// Accepts connections on all sockets until the node stops, then sees the connections off.
fn accept_all(node: &Arc<Shared>, listeners: Vec<TcpListener>, workers: Vec<UnboundedSender<Accepted>>, stop: &Notify) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .expect("a runtime can be built when the node starts");
    runtime.block_on(async {
        let accepting = async {
            let mut tasks = tokio::task::JoinSet::new();
            for listener in listeners {
                let (node, workers) = (node.clone(), workers.clone());
                tasks.spawn(accept(node, listener, workers));
            }
            while tasks.join_next().await.is_some() {}
            // Without a socket the node still runs, until it is told to stop.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = accepting => {}
            () = stop.notified() => {}
        }
        drop(workers);
        node.clients.all().iter().for_each(|client| client.wake());
        let deadline = tokio::time::Instant::now() + node.live.config().shutdown_timeout;
        while !node.clients.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for client in node.clients.all() {
            client.kill();
        }
    });
}

async fn accept(node: Arc<Shared>, listener: TcpListener, workers: Vec<UnboundedSender<Accepted>>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a socket cannot be accepted from"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Ok(stream) = stream.into_std() {
                    admit(&node, stream, peer, &workers);
                }
            }
            Err(error) => {
                // Out of descriptors, most likely: waiting lets some connections end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Gives a connection to the worker with the fewest, or tells it why not.
fn admit(node: &Shared, mut stream: std::net::TcpStream, peer: SocketAddr, workers: &[UnboundedSender<Accepted>]) {
    let Ok(local) = stream.local_addr() else { return };
    let rules = node.admission();
    let refusal = if node.clients.len() >= rules.clients_max {
        node.stats.connections_rejected.fetch_add(1, Relaxed);
        Some(listen::TOO_MANY)
    } else if rules.is_protected && !listen::is_local(peer.ip()) {
        Some(listen::DENIED)
    } else {
        None
    };
    if let Some(text) = refusal {
        // The socket's buffer is empty, so this never waits; a peer that is gone does not need it.
        let _ = stream.write_all(text);
        return;
    }
    if listen::set_up(&stream, rules.keepalive_s).is_err() {
        return;
    }
    node.stats.connections.fetch_add(1, Relaxed);
    let number = node.clients.quietest_worker(workers.len());
    let client = Arc::new(Client::new(node.clients.next_id(), peer, local, descriptor(&stream), number, now_ms()));
    node.clients.add(client.clone());
    let id = client.id;
    if workers[number].send(Accepted { stream, client, authenticated: !rules.needs_password }).is_err() {
        node.clients.remove(id);
    }
}

#[cfg(unix)]
fn descriptor(stream: &std::net::TcpStream) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(stream)
}

#[cfg(not(unix))]
fn descriptor(_: &std::net::TcpStream) -> i32 {
    -1
}
