//! Frames: a length, a message, and a check over it and all before it.
//!
//! ```text
//! length of the message: 4 bytes, big end first | message | check: 16 bytes
//! ```

use crate::cluster::consensus::limits::MESSAGE_BYTES_MAX;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The longest message: one of the log, with a byte that says so.
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 1;

/// Bytes of a check, the first of an HMAC-SHA-256 (RFC 2104).
const CHECK_BYTES: usize = 16;

const LENGTH_BYTES: usize = 4;

/// A key for one direction of one connection.
pub(super) type Key = [u8; 32];

/// The proof that somebody knows a key: HMAC-SHA-256 over the parts, each with its length.
pub(super) fn prove(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether a proof is right, in a time that does not tell where it differs.
pub(super) fn is_proof(key: &[u8], parts: &[&[u8]], proof: &[u8; 32]) -> bool {
    let right = prove(key, parts);
    are_equal(&right, proof)
}

fn are_equal(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).fold(one.len() ^ other.len(), |differing, (a, b)| differing | usize::from(a ^ b)) == 0
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn check(key: &Key, number: u64, message: &[u8]) -> [u8; CHECK_BYTES] {
    let mut mac = mac(key);
    mac.update(&number.to_be_bytes());
    mac.update(message);
    let whole = mac.finalize().into_bytes();
    std::array::from_fn(|at| whole[at])
}

/// Seals what is sent in one direction.
#[derive(Debug)]
pub struct Seal {
    key: Key,
    sent: u64,
}

impl Seal {
    pub(super) fn new(key: Key) -> Seal {
        Seal { key, sent: 0 }
    }

    /// Appends a message as a frame.
    ///
    /// # Panics
    ///
    /// If it is longer than [`FRAME_BYTES_MAX`].
    pub fn push(&mut self, out: &mut Vec<u8>, message: &[u8]) {
        assert!(message.len() <= FRAME_BYTES_MAX, "messages are bounded where they are made");
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(message);
        out.extend_from_slice(&check(&self.key, self.sent, message));
        self.sent += 1;
    }
}

/// What came is not what the other end has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A frame of so many bytes was announced.
    Long(u32),
    /// A check is not right: something was added, changed, left out or repeated on the way.
    Check,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Long(bytes) => write!(f, "it announced a message of {bytes} bytes; {FRAME_BYTES_MAX} are allowed"),
            Broken::Check => write!(f, "a message was changed on its way"),
        }
    }
}

/// Opens what came from the other end.
#[derive(Debug)]
pub struct Open {
    key: Key,
    received: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been opened.
    done: usize,
}

impl Open {
    pub(super) fn new(key: Key, rest: Vec<u8>) -> Open {
        Open { key, received: 0, buffer: rest, done: 0 }
    }

    /// Takes bytes that were read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.done));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message; `None` if more has to be read first.
    ///
    /// # Errors
    ///
    /// [`Broken`], after which the connection is of no use.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, Broken> {
        let waiting = &self.buffer[self.done..];
        let Some((length, rest)) = waiting.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = u32::from_be_bytes(*length);
        let length = announced as usize;
        if length > FRAME_BYTES_MAX {
            return Err(Broken::Long(announced));
        }
        let Some((message, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        let Some(found) = rest.first_chunk::<CHECK_BYTES>() else { return Ok(None) };
        let right = check(&self.key, self.received, message);
        if !are_equal(&right, found) {
            return Err(Broken::Check);
        }
        self.received += 1;
        let start = self.done + LENGTH_BYTES;
        self.done = start + length + CHECK_BYTES;
        Ok(Some(&self.buffer[start..start + length]))
    }
}
