//! A message: written once, given to all who are to have it.

use super::registry::Receivers;
use crate::base::glob;
use crate::base::number::push_integer;
use crate::command::Shared;

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Those subscribed to the channel or to a pattern that matches it.
    All,
    /// Those subscribed to the shard channel.
    Shard,
}

/// Sends a message to all who are subscribed to its channel. Returns how many that are, counted as often as they receive it.
///
/// Messages of one thread come to each receiver in the order in which they were published. A receiver whose unread
/// messages exceed its limit is cut off.
pub fn publish(node: &Shared, audience: Audience, channel: &[u8], message: &[u8]) -> usize {
    let mut post = Post { node, output_max: node.tuning.pubsub_output().hard, sent: 0 };
    match audience {
        Audience::All => {
            node.pubsub.channels.with(channel, |receivers| post.send(&[b"message", channel, message], receivers));
            node.pubsub.patterns.each(|pattern, receivers| {
                if glob::matches(pattern, channel, false) {
                    post.send(&[b"pmessage", pattern, channel, message], receivers);
                }
            });
        }
        Audience::Shard => {
            node.pubsub
                .shard_channels
                .with(channel, |receivers| post.send(&[b"smessage", channel, message], receivers));
        }
    }
    post.sent
}

/// How many [`publish`] would send a message on a channel to.
pub fn receivers(node: &Shared, channel: &[u8]) -> usize {
    let mut count = 0;
    node.pubsub.channels.with(channel, |receivers| count += receivers.iter().count());
    node.pubsub.patterns.each(|pattern, receivers| {
        if glob::matches(pattern, channel, false) {
            count += receivers.iter().count();
        }
    });
    count
}

/// The sending of one message.
struct Post<'a> {
    node: &'a Shared,
    /// Bytes that may wait for a receiver.
    output_max: u64,
    sent: usize,
}

impl Post<'_> {
    fn send(&mut self, words: &[&[u8]], receivers: &Receivers) {
        let message = written(words);
        for client in receivers.iter() {
            self.sent += 1;
            // One that is to end may never take what it is sent.
            if !client.is_killed() {
                self.node.cut_above(self.output_max, client, client.push(&message));
            }
        }
    }
}

/// A push of bulk strings as both protocols write it behind the first byte.
fn written(words: &[&[u8]]) -> Vec<u8> {
    const HEAD_MAX: usize = 16;
    let mut out = Vec::with_capacity(words.iter().map(|word| word.len() + HEAD_MAX).sum::<usize>() + HEAD_MAX);
    push_integer(&mut out, words.len());
    out.extend_from_slice(b"\r\n");
    for word in words {
        out.push(b'$');
        push_integer(&mut out, word.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn a_message_lacks_its_first_byte_alone() {
        assert_eq!(written(&[b"message", b"a", b""]), b"3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n");
    }
}
