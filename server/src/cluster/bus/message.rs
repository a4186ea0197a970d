//! What is said on the bus, as bytes.

use super::FRAME_BYTES_MAX;
use crate::cluster::code::{CodeError, Reader, Writer};
use crate::cluster::conductor::{Answer, Report};
use crate::cluster::control::Health;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Change, NODES_MAX, decode_change, encode_change};

/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 4096;

/// Something that one node says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Of the Raft log, for [`Consensus::receive`](crate::cluster::consensus::Consensus::receive).
    Raft(Vec<u8>),
    /// A report to the leader, sent at this time of the sender's clock, in microseconds.
    Report { sent_us: u64, report: Report },
    /// The leader's answer to the report that was sent at this time.
    Answer { sent_us: u64, answer: Answer },
    /// A change that the leader is to propose, by a number that the answer repeats.
    Propose { number: u64, change: Change },
    /// What has become of it.
    Proposed { number: u64, outcome: Outcome },
    /// How the nodes are, as the leader knows.
    Health(Health),
    /// A replica is to lead its shard, `forced` or when it has everything; answered as [`Message::Propose`] is.
    FailOver { number: u64, node: Id, forced: bool },
}

/// What has become of a change that was to be proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made, at this index of the log.
    Made(u64),
    /// The node is in the cluster, and this is its number.
    Joined { number: u64 },
    /// It did not fit; the reason is in words for those who asked for it.
    Refused(String),
    /// The node that was asked does not lead; this one may.
    NotLeader(Option<Id>),
    /// It may have been made or not: the leader was lost meanwhile.
    Unknown,
}

/// A message as bytes, for [`Seal::push`](super::Seal::push).
pub fn encode(message: &Message) -> Vec<u8> {
    let mut to = Writer::default();
    match message {
        Message::Raft(bytes) => {
            to.byte(0);
            to.0.extend_from_slice(bytes);
        }
        Message::Report { sent_us, report } => {
            let Report { node, incarnation, epoch, offset } = report;
            to.byte(1).number(*sent_us).id(node).number(*incarnation).number(*epoch).flag(offset.is_some());
            if let Some(offset) = offset {
                to.number(*offset);
            }
        }
        Message::Answer { sent_us, answer } => {
            let (shard, epoch) = answer.lease.map_or((0, 0), |(shard, epoch)| (shard.0, epoch));
            to.byte(2).number(*sent_us).number(shard.into()).number(epoch).flag(answer.hand_over_to.is_some());
            if let Some(id) = &answer.hand_over_to {
                to.id(id);
            }
        }
        Message::Propose { number, change } => {
            to.byte(3).number(*number);
            to.0.extend_from_slice(&encode_change(change));
        }
        Message::Proposed { number, outcome } => {
            to.byte(4).number(*number);
            match outcome {
                Outcome::Made(index) => to.byte(0).number(*index),
                Outcome::Refused(reason) => {
                    let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
                    to.byte(1).text(&reason[..end.unwrap_or(0)])
                }
                Outcome::NotLeader(None) => to.byte(2),
                Outcome::NotLeader(Some(id)) => to.byte(3).id(id),
                Outcome::Unknown => to.byte(4),
                Outcome::Joined { number } => to.byte(5).number(*number),
            };
        }
        Message::FailOver { number, node, forced } => {
            to.byte(6).number(*number).id(node).flag(*forced);
        }
        Message::Health(Health { silent, offsets }) => {
            to.byte(5).list(silent.iter(), |to, id| {
                to.id(id);
            });
            to.list(offsets.iter(), |to, (id, offset)| {
                to.id(id).number(*offset);
            });
        }
    }
    debug_assert!(to.0.len() <= FRAME_BYTES_MAX);
    to.0
}

/// The message that bytes stand for.
///
/// # Errors
///
/// [`CodeError`]
pub fn decode(bytes: &[u8]) -> Result<Message, CodeError> {
    let (&kind, rest) = bytes.split_first().ok_or(CodeError::Short)?;
    if kind == 0 {
        return Ok(Message::Raft(rest.to_vec()));
    }
    let from = &mut Reader::new(rest);
    let message = match kind {
        1 => {
            let (sent_us, node, incarnation) = (from.number()?, from.id()?, from.number()?);
            let epoch = from.number()?;
            let offset = if from.flag()? { Some(from.number()?) } else { None };
            let report = Report { node, incarnation, epoch, offset };
            Message::Report { sent_us, report }
        }
        2 => {
            let (sent_us, shard, epoch) = (from.number()?, from.small()?, from.number()?);
            let lease = (shard > 0).then_some((ShardId(shard), epoch));
            let hand_over_to = if from.flag()? { Some(from.id()?) } else { None };
            Message::Answer { sent_us, answer: Answer { lease, hand_over_to } }
        }
        3 => return Ok(Message::Propose { number: from.number()?, change: decode_change(from.rest())? }),
        4 => {
            let number = from.number()?;
            let outcome = match from.byte()? {
                0 => Outcome::Made(from.number()?),
                1 => Outcome::Refused(from.text(REASON_BYTES_MAX)?),
                2 => Outcome::NotLeader(None),
                3 => Outcome::NotLeader(Some(from.id()?)),
                4 => Outcome::Unknown,
                5 => Outcome::Joined { number: from.number()? },
                _ => return Err(CodeError::Wrong("there is no such outcome")),
            };
            Message::Proposed { number, outcome }
        }
        5 => Message::Health(Health {
            silent: from.list(NODES_MAX, Reader::id)?.into_iter().collect(),
            offsets: from.list(NODES_MAX, |from| Ok((from.id()?, from.number()?)))?.into_iter().collect(),
        }),
        6 => Message::FailOver { number: from.number()?, node: from.id()?, forced: from.flag()? },
        _ => return Err(CodeError::Wrong("there is no such message")),
    };
    from.end()?;
    Ok(message)
}
