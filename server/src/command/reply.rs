//! Writes replies in the protocol of the connection: RESP2, or RESP3 where `HELLO 3` was said.
//!
//! Handlers say what they answer; what it looks like on the wire is decided here.

use super::fault::Fault;
use crate::base::number::{Digits, push_f64, push_integer};
use crate::store::{Pieces, Value};
use crate::types::item::Element;
use std::ops::Range;

/// The output of a connection, and the protocol it is written in.
#[derive(Debug)]
pub struct Reply {
    pub out: Vec<u8>,
    /// 2 or 3.
    protocol: u8,
    /// Where the reply to the running command begins.
    start: usize,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply { out: Vec::new(), protocol: 2, start: 0 }
    }
}

impl Reply {
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    pub fn set_protocol(&mut self, protocol: u8) {
        self.protocol = protocol;
    }

    /// Notes that the reply to another command begins here. Returns where that is.
    pub fn begin(&mut self) -> usize {
        self.start = self.out.len();
        self.start
    }

    /// Takes back what was written of the reply to the running command.
    pub fn take_back(&mut self) {
        self.out.truncate(self.start);
    }

    /// Puts messages in front of the reply to the running command, where they stay even if that is taken back.
    pub fn put_before(&mut self, messages: &[u8]) {
        self.out.extend_from_slice(messages);
        self.out[self.start..].rotate_right(messages.len());
        self.start += messages.len();
    }

    fn is_3(&self) -> bool {
        self.protocol == 3
    }

    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status without line ends.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']));
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn error(&mut self, fault: &Fault) {
        self.out.push(b'-');
        self.out.extend_from_slice(&fault.wire());
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn int(&mut self, n: i64) {
        self.out.push(b':');
        push_integer(&mut self.out, n);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A count, which is never negative.
    pub fn len(&mut self, n: usize) {
        self.int(n as i64);
    }

    pub fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn text(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// An integer in the form of a bulk string.
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(Digits::new().format(n).as_bytes());
    }

    /// A string value as it is stored.
    #[inline]
    pub fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Bytes(bytes) => self.bulk(bytes),
            Value::Int(n) => self.bulk_int(n),
            Value::Pieces(pieces) => self.pieces(pieces, 0..pieces.len()),
            Value::Object(_) => unreachable!("a command that replies with a string has refused what is none"),
        }
    }

    /// An element of a collection.
    #[inline]
    pub fn element(&mut self, element: Element<'_>) {
        match element {
            Element::Int(n) => self.bulk_int(n),
            Element::Text(text) => self.bulk(text),
        }
    }

    /// A range of a value in pieces, as a bulk string.
    pub fn pieces(&mut self, pieces: Pieces<'_>, range: Range<usize>) {
        self.head(b'$', range.len());
        pieces.append_range(range, &mut self.out);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Text for people, such as `INFO`: marked as `txt` in RESP3.
    pub fn verbatim(&mut self, text: &str) {
        if !self.is_3() {
            return self.text(text);
        }
        self.head(b'=', text.len() + 4);
        self.out.extend_from_slice(b"txt:");
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null of commands that answer an array otherwise.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub fn bool(&mut self, yes: bool) {
        match (self.is_3(), yes) {
            (true, true) => self.out.extend_from_slice(b"#t\r\n"),
            (true, false) => self.out.extend_from_slice(b"#f\r\n"),
            (false, _) => self.int(i64::from(yes)),
        }
    }

    /// A double: a bulk string in RESP2.
    pub fn double(&mut self, n: f64) {
        self.double_written(|out| push_f64(out, n));
    }

    /// A double in digits of the caller's own.
    pub fn double_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_3() {
            return self.written(write);
        }
        self.out.push(b',');
        write(&mut self.out);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A bulk string that is written rather than given; a short one, as it is moved once.
    pub fn written(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(&mut self.out);
        let len = self.out.len() - start;
        self.before(start, |reply| reply.head(b'$', len));
        self.out.extend_from_slice(b"\r\n");
    }

    /// The head of an array; its elements follow.
    pub fn array(&mut self, len: usize) {
        self.head(b'*', len);
    }

    /// The head of a map of `len` pairs: a flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        if self.is_3() { self.head(b'%', len) } else { self.head(b'*', len * 2) }
    }

    /// The head of a set: an array in RESP2.
    pub fn set(&mut self, len: usize) {
        self.head(if self.is_3() { b'~' } else { b'*' }, len);
    }

    /// The head of a message that answers no command: an array in RESP2.
    pub fn push(&mut self, len: usize) {
        self.head(if self.is_3() { b'>' } else { b'*' }, len);
    }

    /// Writes something in front of what stands from `start` on, such as the head of an array whose length was not
    /// known before.
    pub fn before(&mut self, start: usize, write: impl FnOnce(&mut Reply)) {
        let end = self.out.len();
        write(self);
        let written = self.out.len() - end;
        self.out[start..].rotate_right(written);
    }

    fn head(&mut self, kind: u8, len: usize) {
        self.out.push(kind);
        push_integer(&mut self.out, len);
        self.out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: u8, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply::default();
        reply.set_protocol(protocol);
        write(&mut reply);
        String::from_utf8(reply.out).unwrap()
    }

    #[test]
    fn shapes_differ_between_the_protocols() {
        let all = |reply: &mut Reply| {
            reply.null();
            reply.null_array();
            reply.bool(true);
            reply.double(1.5);
            reply.map(2);
            reply.set(1);
            reply.push(3);
            reply.verbatim("x");
        };
        assert_eq!(written(2, all), "$-1\r\n*-1\r\n:1\r\n$3\r\n1.5\r\n*4\r\n*1\r\n*3\r\n$1\r\nx\r\n");
        assert_eq!(written(3, all), "_\r\n_\r\n#t\r\n,1.5\r\n%2\r\n~1\r\n>3\r\n=5\r\ntxt:x\r\n");
    }

    #[test]
    fn messages_stay_where_a_reply_is_taken_back() {
        let mut reply = Reply::default();
        reply.ok();
        assert_eq!(reply.begin(), 5);
        reply.int(1);
        reply.put_before(b">one");
        reply.put_before(b">two");
        assert_eq!(reply.out, b"+OK\r\n>one>two:1\r\n");
        reply.take_back();
        assert_eq!(reply.out, b"+OK\r\n>one>two");
    }

    #[test]
    fn integers_in_the_store_are_strings_on_the_wire() {
        assert_eq!(written(3, |reply| reply.value(Value::Int(-12))), "$3\r\n-12\r\n");
    }
}
