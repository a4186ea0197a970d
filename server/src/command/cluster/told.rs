//! What clients are told of the cluster: `SLOTS`, `SHARDS`, `NODES`, `INFO` and what else asks and changes nothing.

use super::heard::{Everyone, Health};
use super::view::{Run, View};
use super::{Args, Ctx, Fault, Outcome, REPLIED, Reply, view};
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Address, Node, Shard};
use crate::command::shared::Shared;
use larder_client::slot::SLOTS;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

/// What is told of the other nodes, with what was heard of them.
struct Told<'a> {
    node: &'a Shared,
    view: Arc<View>,
    heard: Arc<Everyone>,
}

impl<'a> Told<'a> {
    fn new(cx: &Ctx<'a>) -> Result<Told<'a>, Fault> {
        Ok(Told { node: cx.node, view: view(cx)?, heard: cx.node.cluster.heard() })
    }

    fn health(&self, id: Id) -> Health {
        match self.heard.get(&id) {
            _ if id == self.view.me && self.node.loading.is_on() => Health::Loading,
            Some(heard) if id != self.view.me => heard.health,
            _ => Health::Online,
        }
    }

    fn offset(&self, id: Id) -> u64 {
        if id == self.view.me {
            return self.node.replication.offset();
        }
        self.heard.get(&id).map_or(0, |heard| heard.offset)
    }

    /// The members of a shard that clients may be sent to: its primary, and the replicas that are up to date.
    fn reachable(&self, shard: &Shard) -> impl Iterator<Item = Id> {
        let replicas =
            shard.replicas.iter().filter(|id| !matches!(self.health(**id), Health::Failed | Health::Loading));
        std::iter::once(shard.primary).chain(replicas.copied())
    }
}

/// A node's name, if that is not its address: then clients are told to use that.
fn hostname(address: &Address) -> Option<&str> {
    let is_address = address.host.is_empty() || address.host.parse::<IpAddr>().is_ok();
    (!is_address).then_some(&address.host)
}

/// The address of a node whose name alone is known, as Redis tells it.
const UNKNOWN: &str = "";

/// `CLUSTER SLOTS`. Clients ask for it often, all of them at once when something has changed, and there may be thousands of
/// runs: what was written last is kept.
pub fn slots(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.session.knows_cluster = true;
    let view = view(cx)?;
    let protocol = cx.reply.protocol();
    if cx.node.loading.is_on() {
        // It is left out of its shard while it loads. No event marks the end of that, upon which what is kept could be dropped.
        write_slots(&Told::new(cx)?, cx.reply);
        return REPLIED;
    }
    let node = cx.node;
    let written = node.cluster.kept_slots(protocol, || {
        let mut reply = Reply::default();
        reply.set_protocol(protocol);
        write_slots(&Told { node, view, heard: node.cluster.heard() }, &mut reply);
        reply.out
    });
    cx.reply.out.extend_from_slice(&written);
    REPLIED
}

fn write_slots(told: &Told<'_>, reply: &mut Reply) {
    let topology = &told.view.topology;
    reply.array(told.view.runs().len());
    for Run { first, last, shard } in told.view.runs() {
        let members: Vec<Id> = topology.shard(*shard).map_or_else(Vec::new, |shard| told.reachable(shard).collect());
        reply.array(2 + members.len());
        reply.int((*first).into());
        reply.int((*last).into());
        for id in members {
            let Some(node) = topology.node(id) else { continue };
            let address = &node.facts.address;
            reply.array(4);
            reply.text(&address.host);
            reply.int(address.port.into());
            reply.text(&id.to_string());
            if hostname(address).is_some() {
                reply.map(1);
                reply.text("ip");
                reply.text(UNKNOWN);
            } else {
                reply.map(0);
            }
        }
    }
}

/// `CLUSTER SHARDS`. A node that has no shard yet is told as one without slots, as in Redis; not so a witness, which has
/// nothing for clients.
pub fn shards(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.session.knows_cluster = true;
    let told = Told::new(cx)?;
    let topology = &told.view.topology;
    let spare = || topology.nodes().iter().filter(|(_, node)| node.shard.is_none() && !node.facts.is_witness);
    cx.reply.array(topology.shards().len() + spare().count());
    for (id, shard) in topology.shards() {
        shard_of(&told, cx.reply, Some(*id), &shard.members().collect::<Vec<_>>());
    }
    spare().for_each(|(id, _)| shard_of(&told, cx.reply, None, &[*id]));
    REPLIED
}

fn shard_of(told: &Told<'_>, reply: &mut Reply, shard: Option<ShardId>, members: &[Id]) {
    let runs: Vec<&Run> = told.view.runs().iter().filter(|run| Some(run.shard) == shard).collect();
    reply.map(2);
    reply.text("slots");
    reply.array(2 * runs.len());
    runs.iter().flat_map(|run| [run.first, run.last]).for_each(|slot| reply.int(slot.into()));
    reply.text("nodes");
    reply.array(members.len());
    for (at, id) in members.iter().enumerate() {
        let Some(node) = told.view.topology.node(*id) else { continue };
        member(told, reply, *id, node, at == 0);
    }
}

fn member(told: &Told<'_>, reply: &mut Reply, id: Id, node: &Node, is_primary: bool) {
    let address = &node.facts.address;
    let hostname = hostname(address);
    let texts = |reply: &mut Reply, name: &str, text: &str| {
        reply.text(name);
        reply.text(text);
    };
    reply.map(7 + usize::from(hostname.is_some()));
    texts(reply, "id", &id.to_string());
    reply.text("port");
    reply.int(address.port.into());
    texts(reply, "ip", if hostname.is_some() { UNKNOWN } else { &address.host });
    texts(reply, "endpoint", &address.host);
    if let Some(hostname) = hostname {
        texts(reply, "hostname", hostname);
    }
    texts(reply, "role", if is_primary { "master" } else { "replica" });
    reply.text("replication-offset");
    reply.int(told.offset(id) as i64);
    let health = match told.health(id) {
        Health::Online | Health::Suspected => "online",
        Health::Loading => "loading",
        Health::Failed => "fail",
    };
    texts(reply, "health", health);
}

/// `CLUSTER NODES`.
pub fn nodes(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.session.knows_cluster = true;
    let told = Told::new(cx)?;
    let mut text = String::new();
    let nodes = told.view.topology.nodes();
    if !nodes.contains_key(&told.view.me) {
        // It has not been let in yet, and knows nobody but itself.
        let (id, port) = (told.view.me, told.node.port);
        let _ = writeln!(text, "{id} :{port}@{} myself,master - 0 0 0 connected", u32::from(port) + 10_000);
    }
    for (id, node) in nodes {
        line(&told, *id, node, &mut text);
        text.push('\n');
    }
    cx.reply.verbatim(&text);
    REPLIED
}

/// A node's line in `CLUSTER NODES`, without its end.
///
/// Where Redis knows a node's name and not its address, it leaves the address out, and a client that goes by this line cannot
/// reach the node. Here the name stands in its place, too.
fn line(told: &Told<'_>, id: Id, node: &Node, text: &mut String) {
    let Address { host, port, bus_port } = &node.facts.address;
    let shard = node.shard.and_then(|shard| told.view.topology.shard(shard));
    let (health, is_me) = (told.health(id), id == told.view.me);
    let _ = write!(text, "{id} {host}:{port}@{bus_port}");
    if let Some(hostname) = hostname(&node.facts.address) {
        let _ = write!(text, ",{hostname}");
    }
    text.push_str(if is_me { " myself," } else { " " });
    let primary = shard.map(|shard| shard.primary).filter(|primary| *primary != id);
    text.push_str(if primary.is_some() { "slave" } else { "master" });
    text.push_str(match health {
        Health::Suspected => ",fail?",
        Health::Failed => ",fail",
        Health::Online | Health::Loading => "",
    });
    match primary {
        Some(primary) => {
            let _ = write!(text, " {primary}");
        }
        None => text.push_str(" -"),
    }
    // Whoever has not answered was asked when it was heard last.
    let heard_ms = told.heard.get(&id).filter(|_| !is_me).map_or(0, |heard| heard.heard_ms);
    let asked_ms = if health.is_up() { 0 } else { heard_ms };
    let epoch = shard.map_or(0, |shard| shard.epoch);
    let link = if health.is_up() { "connected" } else { "disconnected" };
    let _ = write!(text, " {asked_ms} {heard_ms} {epoch} {link}");
    if primary.is_none() {
        slots_of(told, node, is_me, text);
    }
}

/// The slots of a primary, and those of this node's own that are on their way from or to it.
fn slots_of(told: &Told<'_>, node: &Node, is_me: bool, text: &mut String) {
    let Some(shard) = node.shard else { return };
    for Run { first, last, .. } in told.view.runs().iter().filter(|run| run.shard == shard) {
        let _ = if first == last { write!(text, " {first}") } else { write!(text, " {first}-{last}") };
    }
    let topology = &told.view.topology;
    let primary = |shard: ShardId| topology.shard(shard).map(|shard| shard.primary);
    for (slot, a) in topology.moves().iter().filter(|_| is_me) {
        let _ = match (primary(a.from), primary(a.to)) {
            (_, Some(target)) if a.from == shard => write!(text, " [{slot}->-{target}]"),
            (Some(source), _) if a.to == shard => write!(text, " [{slot}-<-{source}]"),
            _ => Ok(()),
        };
    }
}

/// `CLUSTER REPLICAS`.
pub fn replicas(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx)?;
    let (id, node) = known(&told.view, args.word()?)?;
    let topology = &told.view.topology;
    if node.shard.is_some() && !topology.is_primary(id) {
        return Err(Fault::text("ERR The specified node is not a master"));
    }
    let shard = node.shard.and_then(|shard| topology.shard(shard));
    let lines: Vec<String> = shard
        .into_iter()
        .flat_map(|shard| &shard.replicas)
        .filter_map(|id| {
            let mut text = String::new();
            line(&told, *id, topology.node(*id)?, &mut text);
            Some(text)
        })
        .collect();
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.text(line));
    REPLIED
}

/// `CLUSTER COUNT-FAILURE-REPORTS`: this node's own, as those of others are not gathered.
pub fn count_failure_reports(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx)?;
    let (id, _) = known(&told.view, args.word()?)?;
    cx.reply.int(i64::from(!told.health(id).is_up()));
    REPLIED
}

/// The node of the cluster that a word names by its id.
pub fn known<'a>(view: &'a View, word: &[u8]) -> Result<(Id, &'a Node), Fault> {
    let id = std::str::from_utf8(word).ok().and_then(|text| text.parse::<Id>().ok());
    let found = id.and_then(|id| Some((id, view.topology.node(id)?)));
    found.ok_or_else(|| Fault::Bytes([b"ERR Unknown node ", word].concat()))
}

/// `CLUSTER INFO`.
pub fn info(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx)?;
    let topology = &told.view.topology;
    let (mut assigned, mut suspected, mut failed) = (0u64, 0u64, 0u64);
    for Run { first, last, shard } in told.view.runs() {
        let slots = u64::from(last - first) + 1;
        assigned += slots;
        match topology.shard(*shard).map(|shard| told.health(shard.primary)) {
            Some(Health::Suspected) => suspected += slots,
            Some(Health::Failed) | None => failed += slots,
            Some(Health::Online | Health::Loading) => {}
        }
    }
    // A primary that may not serve says so, as clients take that for the sign to ask another node.
    let may_serve = !told.view.is_primary || cx.node.cluster.holds_lease(&told.view);
    let is_ok = assigned == u64::from(SLOTS) && failed == 0 && may_serve;
    let fields = [
        ("cluster_slots_assigned", assigned),
        ("cluster_slots_ok", assigned - suspected - failed),
        ("cluster_slots_pfail", suspected),
        ("cluster_slots_fail", failed),
        ("cluster_known_nodes", topology.nodes().len().max(1) as u64),
        ("cluster_size", topology.slots().held().len() as u64),
        ("cluster_current_epoch", topology.epoch()),
        ("cluster_my_epoch", told.view.own_shard().map_or(0, |shard| shard.epoch)),
        ("cluster_stats_messages_sent", 0),
        ("cluster_stats_messages_received", 0),
        ("total_cluster_links_buffer_limit_exceeded", 0),
    ];
    let mut text = format!("cluster_state:{}\r\n", if is_ok { "ok" } else { "fail" });
    fields.iter().for_each(|(name, value)| {
        let _ = write!(text, "{name}:{value}\r\n");
    });
    cx.reply.verbatim(&text);
    REPLIED
}

/// `CLUSTER LINKS`: one link each way to every node that can be talked to. Their buffers are not counted.
pub fn links(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let told = Told::new(cx)?;
    let is_linked = |id: &&Id| **id != told.view.me && told.health(**id).is_up();
    let others: Vec<&Id> = told.view.topology.nodes().keys().filter(is_linked).collect();
    cx.reply.array(2 * others.len());
    for (id, direction) in others.iter().flat_map(|id| [(id, "to"), (id, "from")]) {
        cx.reply.map(6);
        for (name, text) in [("direction", direction), ("node", &id.to_string())] {
            cx.reply.text(name);
            cx.reply.text(text);
        }
        cx.reply.text("create-time");
        cx.reply.int(0);
        cx.reply.text("events");
        cx.reply.text("r");
        for name in ["send-buffer-allocated", "send-buffer-used"] {
            cx.reply.text(name);
            cx.reply.int(0);
        }
    }
    REPLIED
}

/// `CLUSTER MYID`.
pub fn my_id(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let me = view(cx)?.me;
    cx.reply.text(&me.to_string());
    REPLIED
}

/// `CLUSTER MYSHARDID`.
pub fn my_shard_id(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let view = view(cx)?;
    let name = match (view.topology.cluster(), view.shard) {
        (Some(cluster), Some(shard)) => shard_name(cluster, shard),
        // It is alone, as far as anybody knows.
        _ => view.me.to_string(),
    };
    cx.reply.text(&name);
    REPLIED
}

/// By which clients know a shard, the same on all nodes: 32 digits of the cluster's id and 8 of the shard's number.
pub fn shard_name(cluster: Id, shard: ShardId) -> String {
    let mut name = cluster.to_string();
    name.truncate(32);
    let _ = write!(name, "{:08x}", shard.0);
    name
}
