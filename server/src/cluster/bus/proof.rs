//! How a node proves to another, away from the bus, that it is of the cluster.

use super::seal::{is_proof, prove};
use crate::cluster::id::Id;

/// What a node wants to be let in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To bring slots.
    Import,
    /// To bring commands of its clients.
    Forward,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Purpose::Import => b"import of slots",
            Purpose::Forward => b"commands of clients",
        }
    }
}

/// The proof that `source` shows to `target`, which was started so, by the cluster's secret. It is of no use for another
/// purpose, another pair of nodes, nor for another start of the target.
pub fn peer_proof(purpose: Purpose, secret: &[u8], source: Id, target: Id, incarnation: u64) -> [u8; 32] {
    prove(secret, &[purpose.name(), source.bytes(), target.bytes(), &incarnation.to_be_bytes()])
}

/// Whether a proof is that one.
pub fn is_peer_proof(
    purpose: Purpose,
    secret: &[u8],
    (source, target): (Id, Id),
    incarnation: u64,
    proof: &[u8; 32],
) -> bool {
    is_proof(secret, &[purpose.name(), source.bytes(), target.bytes(), &incarnation.to_be_bytes()], proof)
}
