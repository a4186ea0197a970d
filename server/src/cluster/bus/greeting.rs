//! How two nodes meet, without I/O: bytes in, bytes and a result out.
//!
//! ```text
//! caller: greeting                      magic, version, cluster, node, number, incarnation, nonce
//! called: greeting, proof over both     so the caller knows that the other knows the secret before it proves anything
//! caller: proof over both
//! ```
//! Proofs are keyed by the secret and cover both greetings and who proves, so they are of no use on any other connection. The keys
//! of the connection come from the same.

use super::seal::{Open, Seal, is_proof, prove};
use crate::cluster::code::{CodeError, Reader, Writer};
use crate::cluster::id::Id;
use std::fmt;

/// What every greeting of any version begins with.
const MAGIC: &[u8; 4] = b"LDRB";

/// The version of all that is said on the bus.
const VERSION: u8 = 1;

/// A greeting has a fixed length: magic, version, whether there is a cluster, cluster, node, number, incarnation, nonce.
const GREETING_BYTES: usize = 4 + 1 + 1 + 20 + 20 + 8 + 8 + NONCE_BYTES;

const NONCE_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;

/// What a node says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The cluster that it is of; a node that is to join one does not know it yet.
    pub cluster: Option<Id>,
    pub node: Id,
    /// The number by which the log of the cluster knows it; 0 if it is to join.
    pub number: u64,
    /// Another one with each start of the process.
    pub incarnation: u64,
}

/// Why two nodes do not talk to each other, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not speak the bus's protocol at all.
    Stranger,
    Version {
        found: u8,
    },
    Secret,
    Cluster {
        own: Id,
        found: Id,
    },
    /// It says that it is this node.
    Twin(Id),
    Code(CodeError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Stranger => write!(f, "it is no Larder node, or this is not its bus port (setting `bus-port`)"),
            Refusal::Version { found } => write!(
                f,
                "it speaks version {found} of the bus, and this node version {VERSION}: run the same version of Larder on both"
            ),
            Refusal::Secret => write!(f, "it has another secret: set `cluster-secret` to the same on all nodes"),
            Refusal::Cluster { own, found } => write!(
                f,
                "it is of cluster {found}, and this node of {own}: to let it join this one, stop it and empty its data folder"
            ),
            Refusal::Twin(id) => write!(
                f,
                "it has this node's id, {id}: a data folder was copied. Stop one of the two, empty its data folder, and let it join"
            ),
            Refusal::Code(error) => write!(f, "its greeting makes no sense: {error}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What comes of a greeting.
#[derive(Debug)]
pub enum Progress {
    /// More has to be read.
    Read,
    /// The other end is whom it says it is, and knows that of this one.
    Met(Box<Met>),
}

/// Two nodes that have met.
#[derive(Debug)]
pub struct Met {
    /// The other one.
    pub who: Who,
    pub seal: Seal,
    pub open: Open,
}

/// A greeting on its way.
#[derive(Debug)]
pub struct Greeting {
    secret: Vec<u8>,
    own: Who,
    /// What this end has said of itself, as bytes.
    said: Vec<u8>,
    is_caller: bool,
    /// What the other end has said of itself, and as bytes.
    heard: Option<(Who, Vec<u8>)>,
    input: Vec<u8>,
}

impl Greeting {
    /// Begins on the end that has connected. The first bytes to send are put into `out`. The nonce is fresh randomness.
    pub fn call(own: Who, secret: &[u8], nonce: [u8; NONCE_BYTES], out: &mut Vec<u8>) -> Greeting {
        let greeting = Greeting::new(own, secret, nonce, true);
        out.extend_from_slice(&greeting.said);
        greeting
    }

    /// Begins on the end that was connected to.
    pub fn answer(own: Who, secret: &[u8], nonce: [u8; NONCE_BYTES]) -> Greeting {
        Greeting::new(own, secret, nonce, false)
    }

    fn new(own: Who, secret: &[u8], nonce: [u8; NONCE_BYTES], is_caller: bool) -> Greeting {
        let mut said = Writer(MAGIC.to_vec());
        said.byte(VERSION).flag(own.cluster.is_some()).id(&own.cluster.unwrap_or(Id::new([0; 20]))).id(&own.node);
        said.0.extend_from_slice(&own.number.to_be_bytes());
        said.0.extend_from_slice(&own.incarnation.to_be_bytes());
        said.0.extend_from_slice(&nonce);
        Greeting { secret: secret.to_vec(), own, said: said.0, is_caller, heard: None, input: Vec::new() }
    }

    /// Takes bytes that were read, and puts what is to be sent into `out`. Nothing beyond the greeting is read too much of: what
    /// came behind it is in [`Met::open`].
    ///
    /// # Errors
    ///
    /// [`Refusal`], after which the connection is to be closed.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Refusal> {
        self.input.extend_from_slice(bytes);
        if self.heard.is_none() {
            let Some(heard) = self.take_greeting()? else { return Ok(Progress::Read) };
            self.heard = Some(heard);
            if !self.is_caller {
                out.extend_from_slice(&self.said);
                out.extend_from_slice(&self.proof(false));
            }
        }
        let Some(proof) = self.input.first_chunk::<PROOF_BYTES>().copied() else { return Ok(Progress::Read) };
        if !is_proof(&self.secret, &self.proved(!self.is_caller), &proof) {
            return Err(Refusal::Secret);
        }
        self.check_cluster()?;
        if self.is_caller {
            out.extend_from_slice(&self.proof(true));
        }
        let rest = self.input.split_off(PROOF_BYTES);
        let (who, _) = self.heard.as_ref().expect("heard before the proof");
        let (seal, open) = (Seal::new(self.key(self.is_caller)), Open::new(self.key(!self.is_caller), rest));
        Ok(Progress::Met(Box::new(Met { who: *who, seal, open })))
    }

    /// What the other end says of itself, once it is there.
    fn take_greeting(&mut self) -> Result<Option<(Who, Vec<u8>)>, Refusal> {
        let known = self.input.len().min(MAGIC.len());
        if self.input[..known] != MAGIC[..known] {
            return Err(Refusal::Stranger);
        }
        match self.input.get(MAGIC.len()) {
            Some(&found) if found != VERSION => return Err(Refusal::Version { found }),
            _ if self.input.len() < GREETING_BYTES => return Ok(None),
            _ => {}
        }
        let rest = self.input.split_off(GREETING_BYTES);
        let said = std::mem::replace(&mut self.input, rest);
        let mut from = Reader::new(&said[MAGIC.len() + 1..]);
        let mut read = || Ok((from.flag()?, from.id()?, from.id()?));
        let (has_cluster, cluster, node) = read().map_err(Refusal::Code)?;
        let at = GREETING_BYTES - NONCE_BYTES - 16;
        let word = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| said[at + byte]));
        let (number, incarnation) = (word(at), word(at + 8));
        let who = Who { cluster: has_cluster.then_some(cluster), node, number, incarnation };
        Ok(Some((who, said)))
    }

    /// What is said only to those who know the secret: a stranger learns nothing from it.
    fn check_cluster(&self) -> Result<(), Refusal> {
        let (who, _) = self.heard.as_ref().expect("heard before the proof");
        if who.node == self.own.node {
            return Err(Refusal::Twin(who.node));
        }
        match (self.own.cluster, who.cluster) {
            (Some(own), Some(found)) if own != found => Err(Refusal::Cluster { own, found }),
            _ => Ok(()),
        }
    }

    /// What a proof of one end covers: which end that is, and both greetings, the caller's first.
    fn proved(&self, of_caller: bool) -> [&[u8]; 3] {
        let heard = self.heard.as_ref().map_or(&[][..], |(_, said)| said);
        let (caller, called) = if self.is_caller { (&self.said[..], heard) } else { (heard, &self.said[..]) };
        [if of_caller { b"proof of the caller" } else { b"proof of the called" }, caller, called]
    }

    fn proof(&self, of_caller: bool) -> [u8; PROOF_BYTES] {
        prove(&self.secret, &self.proved(of_caller))
    }

    /// The key for what one end sends.
    fn key(&self, of_caller: bool) -> [u8; 32] {
        let [_, caller, called] = self.proved(of_caller);
        prove(&self.secret, &[if of_caller { b"key of the caller" } else { b"key of the called" }, caller, called])
    }
}
