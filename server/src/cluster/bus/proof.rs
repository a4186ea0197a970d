//! How a node proves to another, away from the bus, that it is of the cluster: to bring it slots.

use super::seal::{is_proof, prove};
use crate::cluster::id::Id;

/// What the proof is about.
const IMPORT: &[u8] = b"import of slots";

/// The proof that `source` shows to `target`, which was started so, by the cluster's secret. It is of no use for another
/// pair of nodes, nor for another start of the target.
pub fn import_proof(secret: &[u8], source: Id, target: Id, incarnation: u64) -> [u8; 32] {
    prove(secret, &[IMPORT, source.bytes(), target.bytes(), &incarnation.to_be_bytes()])
}

/// Whether a proof is that one.
pub fn is_import_proof(secret: &[u8], source: Id, target: Id, incarnation: u64, proof: &[u8; 32]) -> bool {
    is_proof(secret, &[IMPORT, source.bytes(), target.bytes(), &incarnation.to_be_bytes()], proof)
}
