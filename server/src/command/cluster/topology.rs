//! `CLUSTER TOPOLOGY`: everything that a node knows of its cluster, as JSON for `larder cluster`.

use super::heard::Health;
use super::view::View;
use super::{Args, Ctx, Outcome, REPLIED, view};
use crate::base::json::json_text;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::{Node, Shard};
use larder_client::slot::Slot;
use std::collections::BTreeMap;
use std::fmt::Display;

pub fn topology(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let view = view(cx)?;
    let heard = cx.node.cluster.heard();
    let own_offset = cx.node.replication.offset();
    let nodes = view.topology.nodes().iter().map(|(id, node)| {
        let heard = heard.get(id).copied().unwrap_or_default();
        let is_me = *id == view.me;
        let (health, offset) = if is_me { (Health::Online, own_offset) } else { (heard.health, heard.offset) };
        node_object(&view, *id, node, health, offset)
    });
    let shards = view.topology.shards().iter().map(|(id, shard)| shard_object(&view, *id, shard));
    let text = object(&[
        ("cluster", maybe(view.topology.cluster().map(quoted))),
        ("epoch", view.topology.epoch().to_string()),
        ("me", quoted(view.me)),
        ("replicas_wanted", view.topology.replicas_wanted().to_string()),
        ("nodes", list(nodes)),
        ("shards", list(shards)),
        ("moves", list(moves(&view))),
    ]);
    cx.reply.text(&text);
    REPLIED
}

fn node_object(view: &View, id: Id, node: &Node, health: Health, offset: u64) -> String {
    let facts = &node.facts;
    let role = match node.shard {
        Some(_) if view.topology.is_primary(id) => "primary",
        Some(_) => "replica",
        None if facts.is_witness => "witness",
        None => "spare",
    };
    let health_name = match health {
        Health::Online => "online",
        Health::Loading => "loading",
        Health::Suspected => "suspected",
        Health::Failed => "failed",
    };
    object(&[
        ("id", quoted(id)),
        ("number", node.number.to_string()),
        ("host", json_text(&facts.address.host)),
        ("port", facts.address.port.to_string()),
        ("bus_port", facts.address.bus_port.to_string()),
        // Not as a number, of which JSON's readers keep 53 bits.
        ("incarnation", quoted(facts.incarnation)),
        ("zone", json_text(&facts.zone)),
        ("weight", facts.weight.to_string()),
        ("role", quoted(role)),
        ("shard", maybe(node.shard.map(|shard| shard.to_string()))),
        ("alive", health.is_up().to_string()),
        ("health", quoted(health_name)),
        ("leaving", node.is_leaving.to_string()),
        ("offset", offset.to_string()),
    ])
}

fn shard_object(view: &View, id: ShardId, shard: &Shard) -> String {
    let ids = |ids: &mut dyn Iterator<Item = &Id>| list(ids.map(quoted));
    let slots = view.runs().iter().filter(|run| run.shard == id).map(|run| format!("[{},{}]", run.first, run.last));
    object(&[
        ("number", id.to_string()),
        ("epoch", shard.epoch.to_string()),
        ("primary", quoted(shard.primary)),
        ("replicas", ids(&mut shard.replicas.iter())),
        ("in_sync", ids(&mut shard.in_sync.iter())),
        ("eligible", ids(&mut shard.eligible.iter())),
        ("slots", list(slots)),
    ])
}

/// Slots that move, those with the same ends together.
fn moves(view: &View) -> impl Iterator<Item = String> {
    let mut all: BTreeMap<(ShardId, ShardId), Vec<Slot>> = BTreeMap::new();
    for (slot, a) in view.topology.moves() {
        all.entry((a.from, a.to)).or_default().push(*slot);
    }
    all.into_iter().map(|((from, to), slots)| {
        let slots: Ranges = slots.into_iter().collect();
        let runs = slots.runs().iter().map(|(first, last)| format!("[{first},{last}]"));
        object(&[("from", from.to_string()), ("to", to.to_string()), ("slots", list(runs))])
    })
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// What needs no escapes.
fn quoted(text: impl Display) -> String {
    format!("\"{text}\"")
}

fn maybe(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".into())
}
