//! Connections of the cluster's other nodes: by what they show who they are, and those that bring commands of clients.

use super::view::Cluster;
use super::{Args, Ctx, Fault, Outcome, REPLIED, view};
use crate::cluster::bus::{Purpose, is_peer_proof, peer_proof};
use crate::cluster::id::Id;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

/// By what the nodes of the cluster know each other.
#[derive(Default)]
pub struct Secret(OnceLock<Vec<u8>>);

impl Cluster {
    /// Says by what the nodes of the cluster know each other. Called once.
    pub fn set_secret(&self, secret: &[u8]) {
        // A second call is the same node's.
        let _ = self.secret.0.set(secret.to_vec());
    }

    /// What this node shows to another, started so, to be let in: 64 hexadecimal digits.
    pub fn proof(&self, purpose: Purpose, target: Id, incarnation: u64) -> Option<String> {
        let proof = peer_proof(purpose, self.secret.0.get()?, self.me()?, target, incarnation);
        Some(proof.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Takes `node-id proof`. Returns whether that shows that the peer is a node of the cluster.
///
/// # Errors
///
/// If this node is in none.
pub fn is_shown(cx: &Ctx<'_>, args: &mut Args<'_>, purpose: Purpose) -> Result<bool, Fault> {
    let view = view(cx)?;
    let source: Option<Id> = std::str::from_utf8(args.word()?).ok().and_then(|id| id.parse().ok());
    let source = source.filter(|id| view.topology.node(*id).is_some());
    let proof = parse_proof(args.word()?);
    let (Some(source), Some(proof), Some(secret)) = (source, proof, cx.node.cluster.secret.0.get()) else {
        return Ok(false);
    };
    Ok(is_peer_proof(purpose, secret, (source, view.me), cx.node.cluster.incarnation(), &proof))
}

fn parse_proof(digits: &[u8]) -> Option<[u8; 32]> {
    let mut proof = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in proof.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(proof)
}

/// `CLUSTER FORWARD node-id proof`: the connection brings commands of another node's clients. They are not sent on from here:
/// if this node does not serve their keys, the other one is told so.
pub fn forward(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if !is_shown(cx, args, Purpose::Forward)? {
        return Err(Fault::text("ERR only the nodes of the cluster bring commands of their clients"));
    }
    cx.session.is_forwarder = true;
    cx.session.client.is_forwarder.store(true, Relaxed);
    cx.reply.ok();
    REPLIED
}
