//! A node of its own for each input, so that a crash can be run again from its input alone.

use larder::command::Session;
use larder::command::clients::Client;
use larder::command::shared::{Parts, Shared, now_ms};
use larder::config::checked::Values;
use larder::config::{Config, Live, Machine, Raw, table};
use larder::store::hash::KeyHasher;
use larder::store::{Options, Store};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const MACHINE: Machine = Machine { memory: 1 << 30, cores: 1 };

/// Settings that let the fuzzer in everywhere and keep what it asks for small.
const SETTINGS: &[(&str, &str)] = &[("enable-debug-command", "yes"), ("proto-max-bulk-len", "1mb")];

pub fn start() -> Shared {
    let mut values = Values::defaults(&MACHINE);
    for (name, text) in SETTINGS {
        let id = table::find(name).expect("the settings are known");
        let value = id.row().kind.check(&[text], values.get(id), &MACHINE).expect("the values are allowed");
        values.set(id, value);
    }
    let live = Arc::new(Live::new(&Config::new(values), Raw::default(), MACHINE));
    let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
    let node = Shared::new(Parts {
        store,
        live,
        port: 6379,
        workers: 1,
        cluster_id: None,
        stop: Box::new(|| ()),
        room: |clients| clients,
    });
    node.settings_changed();
    node
}

/// A connection from the node's own machine.
pub fn session(node: &Shared) -> Session {
    let id = node.clients.next_id();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000 + id as u16));
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 6379));
    let client = Arc::new(Client::new(id, address, local, -1, 0, now_ms()));
    node.clients.add(client.clone());
    Session::new(client, true)
}
