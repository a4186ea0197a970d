//! What a node needs to take part in a cluster: who it is, where others reach it, its bus, and what it held of the log.

use crate::cluster::consensus::Member;
use crate::cluster::consensus::journal::{self, Folder, Journal, Recovered};
use crate::cluster::id::Id;
use crate::cluster::identity::Identity;
use crate::cluster::topology::{Address, Facts};
use crate::config::Config;
use crate::config::peers::{BUS_PORT_ABOVE, Peer};
use crate::net::bus::{self, random};
use crate::net::listen;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// The folder of the cluster in the data folder, in which the node works, and that of the log in there.
const HOME: &str = "cluster";
const LOG: &str = "log";

/// A node that is to take part in a cluster.
pub struct Membership {
    pub identity: Identity,
    home: Folder,
    log: PathBuf,
    opened: Option<(Journal<Folder>, Recovered)>,
    listener: TcpListener,
    bus_port: u16,
}

impl Membership {
    /// Reads who the node is, or draws that at its first start, opens the log, and listens for other nodes.
    ///
    /// # Errors
    ///
    /// What is wrong and what to do.
    pub fn prepare(config: &Config, port: u16) -> Result<Membership, String> {
        let is_local = config.bind.iter().all(|address| address.ip.is_loopback());
        if config.cluster_secret.is_empty() && !is_local {
            return Err("a node of a cluster that listens on more than this machine needs a secret: set cluster-secret to the same \
                        long random text on all nodes"
                .to_owned());
        }
        if config.primary().is_some() {
            return Err("replicaof and a cluster do not go together: a cluster says itself who follows whom".to_owned());
        }
        let home_path = PathBuf::from(HOME);
        let at =
            |path: &Path, error: &dyn std::fmt::Display| format!("cannot use the folder {}: {error}", path.display());
        let mut home = Folder::open(&home_path).map_err(|error| at(&home_path, &error))?;
        let known = Identity::load(&home).map_err(|error| at(&home_path, &error))?;
        let identity = known.unwrap_or_else(|| Identity { node: Id::new(random()), membership: None });
        if known.is_none() {
            identity.save(&mut home).map_err(|error| at(&home_path, &error))?;
        }
        let log = home_path.join(LOG);
        let open = |(cluster, number)| {
            let folder = Folder::open(&log).map_err(|error| at(&log, &error))?;
            let owner = journal::Identity { cluster, node: identity.node, member: Member(number) };
            Journal::open(folder, owner).map_err(|error| at(&log, &error))
        };
        let opened = identity.membership.map(open).transpose()?;
        let bus_port = match config.bus_port {
            0 => port.checked_add(BUS_PORT_ABOVE).ok_or("the port + 10000 is no port: set bus-port")?,
            bus_port => bus_port,
        };
        let ip = config.bind.first().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip);
        let listener = listen::listen(SocketAddr::new(ip, bus_port), config.tcp_backlog);
        let listener = listener.map_err(|error| format!("{error} (the port is that of bus-port)"))?;
        Ok(Membership { identity, home, log, opened, listener, bus_port })
    }

    /// Whether what is in the data folder may be loaded: the node has been a member before, or begins a cluster alone.
    pub fn keeps_data(&self, config: &Config) -> bool {
        self.opened.is_some() || config.seeds().is_empty() && config.founders().len() <= 1
    }

    /// What the bus begins with.
    ///
    /// # Errors
    ///
    /// If it cannot be told where others reach the node.
    pub fn into_start(self, config: &Config, port: u16, incarnation: u64) -> Result<bus::Start, String> {
        let founders = config.founders();
        let own = self.own_entry(config, port, &founders)?;
        let place = match (own, config.seeds().is_empty(), founders.is_empty()) {
            (Some(at), true, _) => Some((at as u64 + 1, founders.len())),
            (None, true, true) => Some((1, 1)),
            _ => None,
        };
        let announced = own.map(|at| founders[at].host.clone());
        let others = founders.iter().enumerate().filter(|(at, _)| Some(*at) != own).map(|(_, peer)| peer.clone());
        let seeds: Vec<Peer> = config.seeds().into_iter().chain(others).collect();
        let host = announced_host(config, announced, seeds.first())?;
        let or = |set: u16, otherwise: u16| if set == 0 { otherwise } else { set };
        let address = Address {
            host,
            port: or(config.cluster_announce_port, port),
            bus_port: or(config.cluster_announce_bus_port, self.bus_port),
        };
        let keeps_data = self.keeps_data(config);
        Ok(bus::Start {
            listener: self.listener,
            secret: config.cluster_secret.clone().into_bytes(),
            facts: Facts {
                address,
                incarnation,
                is_witness: config.cluster_witness,
                weight: config.cluster_weight,
                zone: config.cluster_zone.clone(),
            },
            seeds: seeds.into_iter().map(|peer| (peer.host, peer.bus_port)).collect(),
            place,
            replicas: config.cluster_replicas as u8,
            identity: self.identity,
            home: self.home,
            log: self.log,
            opened: self.opened,
            keeps_data,
        })
    }

    /// Which of the nodes that begin the cluster this one is.
    fn own_entry(&self, config: &Config, port: u16, founders: &[Peer]) -> Result<Option<usize>, String> {
        if founders.is_empty() {
            return Ok(None);
        }
        let is_here = |peer: &Peer| {
            let is_port = peer.port == port || peer.port == config.cluster_announce_port;
            is_port && (peer.host == config.cluster_announce_ip || is_of_this_machine(&peer.host))
        };
        let at: Vec<usize> = founders.iter().enumerate().filter(|(_, peer)| is_here(peer)).map(|(at, _)| at).collect();
        match at[..] {
            [at] => Ok(Some(at)),
            [] => Err(format!(
                "cluster-nodes does not name this node, which listens on port {port}: add it to the list on all nodes, or, if the \
                 cluster has begun already, use join in place of the list"
            )),
            _ => {
                Err("cluster-nodes names this node twice: set cluster-announce-ip to the host of its entry".to_owned())
            }
        }
    }
}

/// Whether a host's name leads to this machine: one of its addresses can be listened on here.
fn is_of_this_machine(host: &str) -> bool {
    use std::net::ToSocketAddrs;
    let addresses = (host, 0).to_socket_addrs();
    addresses.is_ok_and(|mut addresses| addresses.any(|address| UdpSocket::bind(address).is_ok()))
}

/// Where others are told to reach this node.
fn announced_host(config: &Config, own: Option<String>, seed: Option<&Peer>) -> Result<String, String> {
    if !config.cluster_announce_ip.is_empty() {
        return Ok(config.cluster_announce_ip.clone());
    }
    let bound = config.bind.iter().map(|address| address.ip).find(|ip| !ip.is_unspecified());
    if let Some(host) = own.or(bound.map(|ip| ip.to_string())) {
        return Ok(host);
    }
    // The address from which a seed would be called; nothing is sent for that.
    let towards = seed.and_then(|seed| {
        let socket = UdpSocket::bind("0.0.0.0:0").or_else(|_| UdpSocket::bind("[::]:0")).ok()?;
        socket.connect((seed.host.as_str(), seed.port)).ok()?;
        Some(socket.local_addr().ok()?.ip().to_string())
    });
    towards.ok_or_else(|| {
        "it cannot be told where others reach this node, as it listens on all addresses: set cluster-announce-ip"
            .to_owned()
    })
}
