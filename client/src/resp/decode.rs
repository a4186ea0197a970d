//! From bytes to replies, and to requests for those who test a server's parser.

use super::reply::{Reply, TextFormat};
use super::scan::{Limits, Malformed, Scan, Shape, length};
use bytes::{Bytes, BytesMut};
use redis_protocol::error::RedisProtocolError;
use redis_protocol::resp2::decode::decode_range as decode_resp2;
use redis_protocol::resp2::types::RangeFrame as Resp2;
use redis_protocol::resp3::decode::complete::decode_range as decode_resp3;
use redis_protocol::resp3::types::{RangeFrame as Resp3, VerbatimStringFormat};

/// Turns a stream of bytes, split anywhere, into replies.
///
/// ```
/// use larder_client::resp::{Decoder, Reply};
///
/// let mut decoder = Decoder::default();
/// decoder.extend(b"*2\r\n:1\r\n$2\r\nh");
/// assert_eq!(decoder.next(), Ok(None));
/// decoder.extend(b"i\r\n");
/// assert_eq!(decoder.next(), Ok(Some(Reply::Array(vec![Reply::Int(1), Reply::Bulk("hi".into())]))));
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    scan: Scan,
    /// Once bytes made no sense, there is no telling where the next reply starts.
    failed: Option<Malformed>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::DEFAULT)
    }
}

impl Decoder {
    /// A decoder that refuses what exceeds `limits`.
    pub fn new(limits: Limits) -> Self {
        Self { buffer: BytesMut::new(), scan: Scan::new(limits), failed: None }
    }

    /// Takes in bytes as they came from the server.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply, or `None` until more bytes are there.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the bytes are no RESP or exceed the limits; then every further call says the same.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: `None` does not mean the end")]
    pub fn next(&mut self) -> Result<Option<Reply>, Malformed> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let reply = self.try_next();
        self.failed = reply.as_ref().err().cloned();
        reply
    }

    fn try_next(&mut self) -> Result<Option<Reply>, Malformed> {
        let Some(len) = self.scan.advance(&self.buffer)? else {
            return Ok(None);
        };
        let frame = self.buffer.split_to(len).freeze();
        Frame { bytes: &frame, at: 0 }.reply().map(Some)
    }

    /// How many bytes wait for the rest of their reply.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Takes out up to `max` bytes as they came, undecoded, for those who look at the wire itself.
    ///
    /// Meant for the space between two replies: what remains is decoded from its first byte.
    pub fn take_raw(&mut self, max: usize) -> Bytes {
        let len = max.min(self.buffer.len());
        self.scan.restart();
        self.buffer.split_to(len).freeze()
    }
}

/// A walk over a frame that the scan has found complete and within bounds.
struct Frame<'a> {
    bytes: &'a Bytes,
    at: usize,
}

impl Frame<'_> {
    /// The value at this place. Calls itself for what is inside, as deep as the scan allowed.
    fn reply(&mut self) -> Result<Reply, Malformed> {
        let kind = self.bytes[self.at];
        if Shape::of(kind)? == Shape::Line || matches!(kind, b'$' | b'!' | b'=') {
            return self.value(kind);
        }
        let Some(items) = self.count()? else {
            return Ok(Reply::Null);
        };
        match kind {
            b'*' => self.elements(items).map(Reply::Array),
            b'~' => self.elements(items).map(Reply::Set),
            b'>' => self.elements(items).map(Reply::Push),
            b'%' => self.pairs(items).map(Reply::Map),
            _ => {
                let attributes = self.pairs(items)?;
                Ok(Reply::Attributed { attributes, reply: Box::new(self.reply()?) })
            }
        }
    }

    /// The count in the head line of an aggregate, which is stepped over; `None` for a null array.
    fn count(&mut self) -> Result<Option<u64>, Malformed> {
        let line = &self.bytes[self.at + 1..];
        let len = line.iter().position(|&byte| byte == b'\r').ok_or(Malformed::LineEnd)?;
        self.at += 1 + len + 2;
        length(&line[..len])
    }

    fn elements(&mut self, count: u64) -> Result<Vec<Reply>, Malformed> {
        (0..count).map(|_| self.reply()).collect()
    }

    fn pairs(&mut self, count: u64) -> Result<Vec<(Reply, Reply)>, Malformed> {
        (0..count).map(|_| Ok((self.reply()?, self.reply()?))).collect()
    }

    /// A value that is no aggregate. What both versions share is read as RESP2, whose nulls RESP3 does not know.
    fn value(&mut self, kind: u8) -> Result<Reply, Malformed> {
        let bytes = &self.bytes[self.at..];
        let (reply, len) = if matches!(kind, b'+' | b'-' | b':' | b'$') {
            let (frame, len) = whole(decode_resp2(bytes))?;
            (self.reply_of_resp2(frame)?, len)
        } else {
            let (frame, len) = whole(decode_resp3(bytes))?;
            (self.reply_of_resp3(frame)?, len)
        };
        self.at += len;
        Ok(reply)
    }

    fn reply_of_resp2(&self, frame: Resp2) -> Result<Reply, Malformed> {
        Ok(match frame {
            Resp2::SimpleString(range) => Reply::Simple(self.slice(range)),
            Resp2::Error(range) => Reply::Error(self.slice(range)),
            Resp2::Integer(number) => Reply::Int(number),
            Resp2::BulkString(range) => Reply::Bulk(self.slice(range)),
            Resp2::Null => Reply::Null,
            Resp2::Array(_) => return Err(unexpected(&frame)),
        })
    }

    fn reply_of_resp3(&self, frame: Resp3) -> Result<Reply, Malformed> {
        Ok(match frame {
            Resp3::Null => Reply::Null,
            Resp3::Double { data, .. } => Reply::Double(data),
            Resp3::Boolean { data, .. } => Reply::Bool(data),
            Resp3::BigNumber { data, .. } => Reply::BigNumber(self.slice(data)),
            Resp3::BlobError { data, .. } => Reply::Error(self.slice(data)),
            Resp3::VerbatimString { data, format, .. } => {
                let format = match format {
                    VerbatimStringFormat::Text => TextFormat::Plain,
                    VerbatimStringFormat::Markdown => TextFormat::Markdown,
                };
                Reply::Verbatim { format, text: self.slice(data) }
            }
            other => return Err(unexpected(&other)),
        })
    }

    /// The bytes of a range that counts from the value at this place.
    fn slice(&self, (start, end): (usize, usize)) -> Bytes {
        self.bytes.slice(self.at + start..self.at + end)
    }
}

/// Unwraps what `redis-protocol` made of a value that is known to be all there.
fn whole<T>(decoded: Result<Option<(T, usize)>, RedisProtocolError>) -> Result<(T, usize), Malformed> {
    match decoded {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Malformed::Value("it ends too early".to_owned())),
        Err(error) => Err(Malformed::Value(error.details().to_owned())),
    }
}

fn unexpected(frame: &impl std::fmt::Debug) -> Malformed {
    Malformed::Value(format!("{frame:?} is not of the type announced"))
}

/// Reads the request that `bytes` start with: its words and its length, or `None` if it is not all there.
///
/// This is how `redis-protocol` understands requests, whole, and it is what a server's own parser is compared with. Inline
/// requests are not arrays and so are refused. A null array and an empty one hold no words.
///
/// # Errors
///
/// [`Malformed`] if the bytes are no array of strings, or exceed `limits`.
pub fn decode_request(bytes: &[u8], limits: Limits) -> Result<Option<(Vec<Bytes>, usize)>, Malformed> {
    match bytes.first() {
        None => return Ok(None),
        Some(b'*') => {}
        Some(_) => return Err(Malformed::Request),
    }
    let Some(len) = Scan::new(limits).advance(bytes)? else {
        return Ok(None);
    };
    let frame = Bytes::copy_from_slice(&bytes[..len]);
    let words = match whole(decode_resp2(&frame))?.0 {
        Resp2::Array(elements) => elements.into_iter().map(|element| word(&frame, element)).collect(),
        Resp2::Null => Ok(Vec::new()),
        _ => Err(Malformed::Request),
    };
    words.map(|words| Some((words, len)))
}

fn word(frame: &Bytes, element: Resp2) -> Result<Bytes, Malformed> {
    match element {
        Resp2::BulkString((start, end)) => Ok(frame.slice(start..end)),
        _ => Err(Malformed::Request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::encode_request;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<Option<Reply>, Malformed> {
        let mut decoder = Decoder::default();
        decoder.extend(bytes);
        decoder.next()
    }

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn every_type_is_understood() {
        let known = [
            ("+OK\r\n", Reply::Simple("OK".into())),
            ("+\r\n", Reply::Simple("".into())),
            ("-ERR no\r\n", Reply::Error("ERR no".into())),
            ("!6\r\nERR\r\nx\r\n", Reply::Error("ERR\r\nx".into())),
            (":-12\r\n", Reply::Int(-12)),
            ("$2\r\nhi\r\n", bulk("hi")),
            ("$0\r\n\r\n", bulk("")),
            ("$-1\r\n", Reply::Null),
            ("*-1\r\n", Reply::Null),
            ("_\r\n", Reply::Null),
            ("*2\r\n$1\r\na\r\n$-1\r\n", Reply::Array(vec![bulk("a"), Reply::Null])),
            ("~1\r\n:1\r\n", Reply::Set(vec![Reply::Int(1)])),
            (">1\r\n+invalidate\r\n", Reply::Push(vec![Reply::Simple("invalidate".into())])),
            (",1.5\r\n", Reply::Double(1.5)),
            (",-inf\r\n", Reply::Double(f64::NEG_INFINITY)),
            ("#t\r\n", Reply::Bool(true)),
            ("#f\r\n", Reply::Bool(false)),
            ("(123456789012345678901\r\n", Reply::BigNumber("123456789012345678901".into())),
            ("=5\r\nmkd:#\r\n", Reply::Verbatim { format: TextFormat::Markdown, text: "#".into() }),
        ];
        for (bytes, reply) in known {
            assert_eq!(decode(bytes.as_bytes()), Ok(Some(reply)), "{bytes:?}");
        }
    }

    #[test]
    fn maps_keep_their_order_and_their_duplicates() {
        let map = decode(b"%3\r\n+z\r\n:1\r\n+a\r\n:2\r\n+z\r\n:3\r\n");
        let key = |text: &'static str| Reply::Simple(text.into());
        let pairs = vec![(key("z"), Reply::Int(1)), (key("a"), Reply::Int(2)), (key("z"), Reply::Int(3))];
        assert_eq!(map, Ok(Some(Reply::Map(pairs))));
    }

    #[test]
    fn attributes_belong_to_the_reply_after_them() {
        let reply = decode(b"*1\r\n|1\r\n+ttl\r\n:9\r\n$1\r\nv\r\n");
        let attributes = vec![(Reply::Simple("ttl".into()), Reply::Int(9))];
        let inner = Reply::Attributed { attributes, reply: Box::new(bulk("v")) };
        assert_eq!(reply, Ok(Some(Reply::Array(vec![inner]))));
    }

    #[test]
    fn errors_may_hold_any_bytes() {
        assert_eq!(decode(b"-ERR \xff\r\n"), Ok(Some(Reply::Error(Bytes::from_static(b"ERR \xff")))));
    }

    #[test]
    fn values_that_cannot_be_read_are_refused_for_good() {
        for bytes in
            [":1x\r\n", ":\r\n", ",1.5.1\r\n", "#x\r\n", "=3\r\nabc\r\n", "=5\r\nxml:1\r\n", ":9223372036854775808\r\n"]
        {
            let mut decoder = Decoder::default();
            decoder.extend(bytes.as_bytes());
            let failed = decoder.next();
            assert!(matches!(failed, Err(Malformed::Value(_))), "{bytes:?} gave {failed:?}");
            decoder.extend(b"+OK\r\n");
            assert_eq!(decoder.next(), failed);
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        for head in ["*1\r\n", "%1\r\n", "|1\r\n", "~1\r\n"] {
            let refused = decode(head.repeat(100_000).as_bytes());
            assert_eq!(refused, Err(Malformed::TooLarge { what: "levels of nesting", max: 32 }));
        }
    }

    #[test]
    fn raw_bytes_between_replies_can_be_taken() {
        let mut decoder = Decoder::default();
        decoder.extend(b"+OK\r\nraw+O");
        assert_eq!(decoder.next(), Ok(Some(Reply::Simple("OK".into()))));
        assert_eq!(decoder.take_raw(3), "raw");
        decoder.extend(b"K\r\n");
        assert_eq!(decoder.next(), Ok(Some(Reply::Simple("OK".into()))));
    }

    #[test]
    fn requests_are_arrays_of_strings() {
        let request = |bytes: &[u8]| decode_request(bytes, Limits::DEFAULT);
        assert_eq!(request(b""), Ok(None));
        assert_eq!(request(b"*1\r\n$4\r\nPIN"), Ok(None));
        assert_eq!(request(b"*1\r\n$4\r\nPING\r\n*1"), Ok(Some((vec![Bytes::from("PING")], 14))));
        assert_eq!(request(b"*0\r\n"), Ok(Some((vec![], 4))));
        assert_eq!(request(b"*-1\r\n"), Ok(Some((vec![], 5))));
        assert_eq!(request(b"*1\r\n:1\r\n"), Err(Malformed::Request));
        assert_eq!(request(b"PING\r\n"), Err(Malformed::Request));
    }

    fn any_reply() -> impl Strategy<Value = Reply> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
        let line = || "[ -~]{0,20}".prop_map(Bytes::from);
        let leaf = prop_oneof![
            line().prop_map(Reply::Simple),
            line().prop_map(Reply::Error),
            any::<i64>().prop_map(Reply::Int),
            bytes().prop_map(Reply::Bulk),
            Just(Reply::Null),
            any::<f64>().prop_filter("NaN differs from itself", |number| !number.is_nan()).prop_map(Reply::Double),
            any::<bool>().prop_map(Reply::Bool),
            "-?[1-9][0-9]{0,40}".prop_map(|digits| Reply::BigNumber(digits.into())),
            bytes().prop_map(|text| Reply::Verbatim { format: TextFormat::Plain, text }),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            let many = || proptest::collection::vec(inner.clone(), 0..5);
            let pairs = || proptest::collection::vec((inner.clone(), inner.clone()), 0..3);
            prop_oneof![
                many().prop_map(Reply::Array),
                many().prop_map(Reply::Set),
                many().prop_map(Reply::Push),
                pairs().prop_map(Reply::Map),
                (pairs(), inner.clone())
                    .prop_map(|(attributes, reply)| Reply::Attributed { attributes, reply: Box::new(reply) }),
            ]
        })
    }

    /// A twin of the wire format that writes what the decoder should read.
    fn write(reply: &Reply, out: &mut Vec<u8>) {
        let text = |out: &mut Vec<u8>, head: &str, bytes: &[u8], end: &str| {
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(bytes);
            out.extend_from_slice(end.as_bytes());
        };
        let pairs = |out: &mut Vec<u8>, pairs: &[(Reply, Reply)]| {
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        };
        match reply {
            Reply::Simple(bytes) => text(out, "+", bytes, "\r\n"),
            Reply::Error(bytes) => text(out, "-", bytes, "\r\n"),
            Reply::Int(number) => text(out, ":", number.to_string().as_bytes(), "\r\n"),
            Reply::Bulk(bytes) => text(out, &format!("${}\r\n", bytes.len()), bytes, "\r\n"),
            Reply::Null => text(out, "_", b"", "\r\n"),
            Reply::Double(number) => text(out, ",", number.to_string().as_bytes(), "\r\n"),
            Reply::Bool(value) => text(out, "#", if *value { b"t" } else { b"f" }, "\r\n"),
            Reply::BigNumber(digits) => text(out, "(", digits, "\r\n"),
            Reply::Verbatim { text: bytes, .. } => text(out, &format!("={}\r\ntxt:", bytes.len() + 4), bytes, "\r\n"),
            Reply::Array(elements) | Reply::Set(elements) | Reply::Push(elements) => {
                let kind = match reply {
                    Reply::Array(_) => '*',
                    Reply::Set(_) => '~',
                    _ => '>',
                };
                text(out, &format!("{kind}{}", elements.len()), b"", "\r\n");
                elements.iter().for_each(|element| write(element, out));
            }
            Reply::Map(map) => {
                text(out, &format!("%{}", map.len()), b"", "\r\n");
                pairs(out, map);
            }
            Reply::Attributed { attributes, reply } => {
                text(out, &format!("|{}", attributes.len()), b"", "\r\n");
                pairs(out, attributes);
                write(reply, out);
            }
        }
    }

    proptest! {
        #[test]
        fn replies_survive_the_wire_split_anywhere(
            replies in proptest::collection::vec(any_reply(), 1..4),
            cuts in proptest::collection::vec(1usize..40, 1..50),
        ) {
            let mut wire = Vec::new();
            replies.iter().for_each(|reply| write(reply, &mut wire));
            let mut decoder = Decoder::default();
            let mut seen = Vec::new();
            let mut rest = &wire[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                rest = after;
                decoder.extend(piece);
                while let Some(reply) = decoder.next().unwrap() {
                    seen.push(reply);
                }
            }
            prop_assert_eq!(seen, replies);
            prop_assert_eq!(decoder.buffered(), 0);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in "[*$%|~>+:,#(=!_\\-0-9a\r\n]{0,60}") {
            let mut decoder = Decoder::default();
            decoder.extend(bytes.as_bytes());
            while let Ok(Some(_)) = decoder.next() {}
            let _ = decode_request(bytes.as_bytes(), Limits::DEFAULT);
        }

        #[test]
        fn requests_survive_the_wire(
            words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..20),
        ) {
            let mut wire = Vec::new();
            encode_request(&words, &mut wire);
            let (decoded, len) = decode_request(&wire, Limits::DEFAULT).unwrap().unwrap();
            prop_assert_eq!(decoded, words);
            prop_assert_eq!(len, wire.len());
        }
    }
}
