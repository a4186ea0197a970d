//! Payloads there and back: what the tests share, and the tests of what is around a value.

mod hostile;
mod older;
mod redis;
mod round_trip;
mod versions;

use super::*;
use crate::types::bloom::Bloom;
use crate::types::hash::Hash;
use crate::types::item::Element;
use crate::types::stream::{Id, Stream};
use std::fmt::Write;

/// A payload with a right check sum, whatever is in it.
fn seal(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend_from_slice(&version.to_le_bytes());
    let sum = crc64(0, &payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// What a payload has in front of its footer.
fn body(payload: &[u8]) -> &[u8] {
    &payload[..payload.len() - 10]
}

fn dump(object: &Object, compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    dump_object(&mut out, object, compress);
    out
}

/// The bytes that pairs of hexadecimal digits stand for.
fn from_hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// All that a value says to clients, in one order, its encoding at the head.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("string {}", text.escape_ascii()),
        Value::Object(object) => shown_object(object),
    }
}

fn shown_object(object: &Object) -> String {
    let body = match object {
        Object::Hash(hash) => shown_hash(hash),
        Object::List(list) => list.iter().map(shown_element).collect::<Vec<_>>().join(" "),
        Object::Set(set) => {
            let mut members: Vec<_> = set.iter().map(shown_element).collect();
            members.sort();
            members.join(" ")
        }
        Object::ZSet(zset) => {
            let members = zset.iter().map(|(member, score)| format!("{}={score}", member.escape_ascii()));
            members.collect::<Vec<_>>().join(" ")
        }
        Object::Stream(stream) => shown_stream(stream),
        Object::Bloom(bloom) => shown_filter(bloom),
    };
    format!("{} {}: {body}", object.type_name(), object.encoding())
}

fn shown_filter(bloom: &Bloom) -> String {
    let mut out = format!("{:?}", bloom.expansion());
    for layer in bloom.layers() {
        let bits: Vec<u8> = layer.bytes_from(0).flatten().copied().collect();
        write!(out, " {:?} {} {:x}", layer.shape, layer.items, crate::base::digest::of(&bits)).unwrap();
    }
    out
}

fn shown_element(element: Element<'_>) -> String {
    format!("\"{}\"", element.to_vec().escape_ascii())
}

fn shown_hash(hash: &Hash) -> String {
    let mut entries: Vec<String> = hash
        .iter(0)
        .map(|entry| {
            let expiry = entry.expiry.map(|expiry| format!("@{expiry}")).unwrap_or_default();
            format!("{}={}{expiry}", shown_element(entry.field), shown_element(entry.value))
        })
        .collect();
    entries.sort();
    entries.join(" ")
}

fn shown_stream(stream: &Stream) -> String {
    let mut out = format!("{:?}", stream.log().counters());
    for entry in stream.log().range(Id::MIN, Id::MAX) {
        write!(out, "\n  {}", entry.id).unwrap();
        for (field, value) in entry.pairs() {
            let (mut one, mut two) = (Vec::new(), Vec::new());
            field.push_to(&mut one);
            value.push_to(&mut two);
            write!(out, " {}={}", one.escape_ascii(), two.escape_ascii()).unwrap();
        }
    }
    for group in stream.groups() {
        let name = group.name().escape_ascii();
        write!(out, "\n group {name} {} read {:?}", group.last_id(), group.entries_read()).unwrap();
        for entry in group.pending_from(Id::MIN) {
            let (name, delivery) = (entry.consumer.name().escape_ascii(), entry.delivery);
            write!(out, "\n  {} {name} {} x{}", entry.id, delivery.time_ms, delivery.count).unwrap();
        }
        for consumer in group.consumers() {
            let (name, seen, active) = (consumer.name().escape_ascii(), consumer.seen_ms(), consumer.active_ms());
            let pending: Vec<String> = consumer.pending_ids().map(|id| id.to_string()).collect();
            write!(out, "\n  consumer {name} {seen} {active:?} {}", pending.join(" ")).unwrap();
        }
    }
    out
}

/// What a body of a format is loaded as, with the usual limits.
fn load(body: &[u8], version: u16) -> Result<String, RestoreError> {
    restore(&seal(body, version), &Limits::default()).map(|value| shown(&value))
}

#[track_caller]
fn check(body: &[u8], expected: &str) {
    assert_eq!(load(body, VERSION).as_deref(), Ok(expected), "{}", body.escape_ascii());
}

#[track_caller]
fn refuse(body: &[u8]) {
    assert_eq!(load(body, VERSION), Err(RestoreError::Format), "{}", body.escape_ascii());
}

/// Why a value is refused, which RESTORE does not tell.
#[track_caller]
fn refuse_for(body: &[u8], expected: LoadError) {
    let loaded = Reader::new(&body[1..], VERSION).value(body[0], &Limits::default());
    assert_eq!(loaded.map(|value| shown(&value)), Err(expected), "{}", body.escape_ascii());
}

fn dump_text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    dump_string(&mut out, text, true);
    out
}

#[test]
fn a_payload_is_body_version_and_sum() {
    // What redis-server 7.0.15, whose format is 10, gives for DUMP of "hello".
    let redis = b"\x00\x05hello\n\x00cr\xdfve4 \n";
    assert_eq!(seal(b"\x00\x05hello", 10), redis);
    assert_eq!(load(b"\x00\x05hello", 10).as_deref(), Ok("string hello"));
    assert_eq!(dump_text(b"hello"), seal(b"\x00\x05hello", 11));
}

#[test]
fn integers_take_the_fewest_bytes() {
    for (text, expected) in [
        ("5", &b"\x00\xc0\x05"[..]),
        ("-128", b"\x00\xc0\x80"),
        ("128", b"\x00\xc1\x80\x00"),
        ("-32769", b"\x00\xc2\xff\x7f\xff\xff"),
        ("-2147483648", b"\x00\xc2\x00\x00\x00\x80"),
        ("2147483648", b"\x00\x0a2147483648"),
        ("007", b"\x00\x03007"),
    ] {
        assert_eq!(body(&dump_text(text.as_bytes())), expected);
    }
}

#[test]
fn strings_over_twenty_bytes_are_compressed_if_that_helps() {
    assert_eq!(body(&dump_text(&[b'a'; 20])), [&b"\x00\x14"[..], &[b'a'; 20]].concat());
    assert!(dump_text(&[b'a'; 21]).starts_with(b"\x00\xc3"));
    assert_eq!(body(&dump_text(b"abcdefghijklmnopqrstuvwxyz")), b"\x00\x1aabcdefghijklmnopqrstuvwxyz");
    let mut out = Vec::new();
    push_string(&mut out, &[b'a'; 21], false);
    assert_eq!(out, [&b"\x15"[..], &[b'a'; 21]].concat());
}

#[test]
fn a_wrong_footer_is_refused() {
    let good = dump_text(b"hello");
    let mut changed = good.clone();
    changed[3] ^= 1;
    let mut unsigned = good.clone();
    unsigned[9..].fill(0); // A check sum of zero means none in RDB files, but not in a payload.
    for payload in [&b""[..], b"abc", &good[..good.len() - 1], &changed, &unsigned] {
        let restored = restore(payload, &Limits::default()).map(|value| shown(&value));
        assert_eq!(restored, Err(RestoreError::Footer), "{}", payload.escape_ascii());
    }
    assert_eq!(RestoreError::Footer.to_string(), "DUMP payload version or checksum are wrong");
}

#[test]
fn formats_of_redis_up_to_12_and_that_of_valkey_are_read() {
    for version in [0, 5, 11, 12, 80] {
        assert_eq!(load(b"\x00\x05hello", version).as_deref(), Ok("string hello"), "{version}");
    }
    for version in [13, 79, 81, u16::MAX] {
        assert_eq!(load(b"\x00\x05hello", version), Err(RestoreError::Footer), "{version}");
    }
}

#[test]
fn strings_are_taken_and_refused_as_by_redis() {
    let good: [(&[u8], &str); 9] = [
        (b"\x00\x00", ""),
        (b"\x00\x05helloXX", "hello"),
        (b"\x00\xc0\xff", "-1"),
        (b"\x00\xc1\xff\x7f", "32767"),
        (b"\x00\xc2\x00\x00\x00\x80", "-2147483648"),
        (b"\x00\x80\x00\x00\x00\x01a", "a"),
        (b"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x01a", "a"),
        (b"\x00\xc3\x02\x01\x00a", "a"),
        (b"\x00\xc3\x00\x00", ""),
    ];
    for (body, text) in good {
        check(body, &format!("string {text}"));
    }
    let bad: [&[u8]; 12] = [
        b"",
        b"\x00",
        b"\x00\x06hello",
        b"\x00\x40",
        b"\x00\x82aaaa",
        b"\x00\xbf",
        b"\x00\xc0",
        b"\x00\xc2\x01\x02\x03",
        b"\x00\xc4\x01a",
        b"\x00\xc3\x01\x01\x00a",
        b"\x00\xc3\x02\x02\x00a",
        b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa",
    ];
    for body in bad {
        refuse(body);
    }
}

#[test]
fn types_that_are_not_known_are_named() {
    // 6 and 7 are values of modules, 8 is none, and 26 is newer.
    for kind in [6, 7, 8, 26, 99, 255] {
        refuse_for(&[kind, 1, b'a'], LoadError::UnknownType(kind));
    }
    assert_eq!(LoadError::UnknownType(7).to_string(), "a value of the unknown type 7");
}

#[test]
fn an_announced_length_takes_no_memory() {
    let huge = b"\x7f\xff\xff\xff\xff\xff\xff\xff";
    refuse(&[b"\x00\x81", &huge[..], b"a"].concat());
    refuse(&[b"\x00\xc3\x02\x81", &huge[..], b"\x00a"].concat());
    refuse(&[b"\x00\xc3\x81", &huge[..], b"\x01\x00a"].concat());
    for kind in [kind::LIST, kind::SET, kind::ZSET, kind::HASH, kind::ZSET_2, kind::LIST_QUICKLIST] {
        refuse(&[&[kind, 0x81], &huge[..], b"\x01a\x01b"].concat());
    }
    for kind in [kind::LIST_QUICKLIST_2, kind::STREAM_LISTPACKS, kind::STREAM_LISTPACKS_3, kind::HASH_METADATA_EARLY] {
        refuse(&[&[kind, 0x81], &huge[..], b"\x01\x01a\x01b"].concat());
    }
}

proptest::proptest! {
    #[test]
    fn every_string_comes_back(text in proptest::collection::vec(0u8..3, 0..300), raw: Vec<u8>, number: i64) {
        for text in [text, raw, number.to_string().into_bytes()] {
            let restored = restore(&dump_text(&text), &Limits::default()).map(|value| shown(&value));
            proptest::prop_assert_eq!(restored, Ok(format!("string {}", text.escape_ascii())));
        }
    }

    #[test]
    fn a_changed_payload_has_a_wrong_footer(
        text in proptest::collection::vec(0u8..3, 0..100),
        place: proptest::sample::Index,
        change in 1u8..,
    ) {
        let mut payload = dump_text(&text);
        let place = place.index(payload.len());
        payload[place] ^= change;
        let restored = restore(&payload, &Limits::default()).map(|value| shown(&value));
        proptest::prop_assert_eq!(restored, Err(RestoreError::Footer));
    }
}
