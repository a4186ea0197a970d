//! Encodings that Redis 7.2 does not write: those of versions before it, of Redis 7.4 and of Valkey 9.

use super::super::ziplist::tests::{short, ziplist};
use super::*;

/// A type, and one string.
fn wrapped(kind: u8, text: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    push_string(&mut out, text, true);
    out
}

fn ziplist_of(texts: &[&str]) -> Vec<u8> {
    let bodies: Vec<Vec<u8>> = texts.iter().map(|text| short(text)).collect();
    ziplist(&bodies.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn listpack_of(texts: &[&str]) -> Vec<u8> {
    listpack::collect(texts.iter().map(|text| Element::of(text.as_bytes())))
}

#[test]
fn lists_of_strings_and_of_ziplists() {
    check(b"\x01\x03\x01a\xc0\x07\x05hello", r#"list listpack: "a" "7" "hello""#);
    check(&wrapped(kind::LIST_ZIPLIST, &ziplist_of(&["a", "7", "hello"])), r#"list listpack: "a" "7" "hello""#);

    let mut quicklist = vec![kind::LIST_QUICKLIST, 3];
    for piece in [&["a", "b"][..], &[], &["7"]] {
        push_string(&mut quicklist, &ziplist_of(piece), true);
    }
    check(&quicklist, r#"list listpack: "a" "b" "7""#);
}

#[test]
fn lists_of_long_and_packed_pieces() {
    let mut quicklist = vec![kind::LIST_QUICKLIST_2, 3, 1, 2, b'h', b'i', 2];
    push_string(&mut quicklist, &listpack_of(&["1", "x"]), true);
    quicklist.extend(*b"\x01\xc0\x05");
    check(&quicklist, r#"list listpack: "hi" "1" "x" "5""#);
    refuse(b"\x12\x01\x03\x02hi");
    refuse(b"\x12\x01\x00\x02hi");
}

#[test]
fn sets_in_listpacks() {
    check(&wrapped(kind::SET_LISTPACK, &listpack_of(&["b", "7", ""])), r#"set listpack: "" "7" "b""#);
    check(&wrapped(kind::SET_LISTPACK, &listpack_of(&["8", "7"])), r#"set listpack: "7" "8""#);
    check(b"\x02\x02\xc0\x08\xc0\x07", r#"set intset: "7" "8""#);
}

#[test]
fn sorted_sets_with_scores_as_text() {
    check(b"\x03\x04\x01a\x033.5\x01b\xfe\x01c\xff\xc0\x07\x02-2", "zset listpack: c=-inf 7=-2 a=3.5 b=inf");
    refuse(b"\x03\x01\x01a\xfd");
    refuse(b"\x03\x01\x01a\x01x");
    // In eight bytes NaN has many forms.
    refuse(b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f");
    refuse(b"\x05\x01\x01a\x01\0\0\0\0\0\xf0\xff");
    let packed = ziplist_of(&["a", "3.5", "b", "inf", "7", "-2"]);
    check(&wrapped(kind::ZSET_ZIPLIST, &packed), "zset listpack: 7=-2 a=3.5 b=inf");
    for bad in [&["a", "nan"][..], &["a"], &["a", ""], &["a", "1", "a", "2"]] {
        refuse(&wrapped(kind::ZSET_ZIPLIST, &ziplist_of(bad)));
        refuse(&wrapped(kind::ZSET_LISTPACK, &listpack_of(bad)));
    }
}

#[test]
fn hashes_in_zipmaps_and_ziplists() {
    let zipmap = b"\x02\x03foo\x03\x00bar\x015\x01\x02\x37xx\xff";
    check(&wrapped(kind::HASH_ZIPMAP, zipmap), r#"hash listpack: "5"="7" "foo"="bar""#);
    let packed = ziplist_of(&["foo", "bar", "5", "7"]);
    check(&wrapped(kind::HASH_ZIPLIST, &packed), r#"hash listpack: "5"="7" "foo"="bar""#);
    for bad in [&["f"][..], &["f", "1", "f", "2"], &["f", "1", "g"]] {
        refuse(&wrapped(kind::HASH_ZIPLIST, &ziplist_of(bad)));
        refuse(&wrapped(kind::HASH_LISTPACK, &listpack_of(bad)));
    }
    refuse(&wrapped(kind::HASH_ZIPMAP, b"\x02\x01f\x01\x00a\x01f\x01\x00b\xff"));
}

#[test]
fn hashes_of_redis_7_4_with_fields_that_expire() {
    let listpack = listpack_of(&["a", "1", "1000", "b", "2", "2000", "c", "3", "0"]);
    let expected = r#"hash listpackex: "a"="1"@1000 "b"="2"@2000 "c"="3""#;
    let mut body = vec![kind::HASH_LISTPACK_EX];
    push_millis(&mut body, 1000);
    push_string(&mut body, &listpack, true);
    assert_eq!(load(&body, 12).as_deref(), Ok(expected));
    assert_eq!(load(&wrapped(kind::HASH_LISTPACK_EX_EARLY, &listpack), 12).as_deref(), Ok(expected));

    let mut body = vec![kind::HASH_METADATA];
    push_millis(&mut body, 1000);
    body.extend(*b"\x03\x01\x01a\xc0\x01\x43\xe9\x01b\xc0\x02\x00\x01c\xc0\x03");
    assert_eq!(load(&body, 12).as_deref(), Ok(expected));
    let early = b"\x16\x03\x43\xe8\x01a\xc0\x01\x47\xd0\x01b\xc0\x02\x00\x01c\xc0\x03";
    assert_eq!(load(early, 12).as_deref(), Ok(expected));
}

#[test]
fn expiries_beyond_their_range_are_refused() {
    let latest = (1i64 << 48) - 1;
    for (first, distance, is_good) in
        [(latest, 1, true), (latest, 2, false), (latest + 1, 0, true), (latest + 2, 0, false), (-1, 0, false)]
    {
        let mut body = vec![kind::HASH_METADATA];
        push_millis(&mut body, first);
        body.extend([1, distance, 1, b'a', 1, b'b']);
        assert_eq!(load(&body, 12).is_ok(), is_good, "{first} and {distance}");
    }
    for expiry in ["-1", "281474976710656", "soon"] {
        refuse(&wrapped(kind::HASH_LISTPACK_EX_EARLY, &listpack_of(&["a", "1", expiry])));
    }
    refuse(&wrapped(kind::HASH_LISTPACK_EX_EARLY, &listpack_of(&["a", "1"])));
}

#[test]
fn hashes_of_valkey_9_with_fields_that_expire() {
    let mut body = vec![kind::HASH_2, 3];
    for (pair, expiry) in [(b"\x01a\xc0\x01", 1000), (b"\x01b\xc0\x02", -1), (b"\x01c\xc0\x03", 0)] {
        body.extend(pair);
        push_millis(&mut body, expiry);
    }
    let expected = r#"hash listpackex: "a"="1"@1000 "b"="2" "c"="3"@1"#;
    assert_eq!(load(&body, 80).as_deref(), Ok(expected));
    assert_eq!(load(&body, 12), Err(RestoreError::Format), "the same type means something else there");
    let at = body.len() - 1;
    body[at] = 0x80;
    assert_eq!(load(&body, 80), Err(RestoreError::Format), "before 1970");
}

/// A stream in the form of Redis 5 with one entry, 5-1, and a group that has read up to an id.
fn old_stream(last_id: &[u8]) -> Vec<u8> {
    let node = b"\x1d\0\0\0\x0a\0\x01\x01\0\x01\x01\x01\x81f\x02\0\x01\x02\x01\0\x01\0\x01\x81v\x02\x04\x01\xff";
    let mut body = vec![kind::STREAM_LISTPACKS, 1];
    push_string(&mut body, b"\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01", false);
    push_string(&mut body, node, false);
    // Length and last id, then one group without consumers.
    body.push(1);
    body.extend(last_id);
    body.extend(*b"\x01\x01g\x05\x01\x00\x00");
    body
}

#[test]
fn streams_of_redis_5() {
    let expected = "stream stream: Counters { last_id: Id { ms: 6, seq: 0 }, first_id: Id { ms: 5, seq: 1 }, \
                    max_deleted_id: Id { ms: 0, seq: 0 }, entries_added: 1 }\n  5-1 f=v\n group g 5-1 read Some(1)";
    check(&old_stream(b"\x06\x00"), expected);
    // What is added to this one would stand before the entry it has.
    refuse(&old_stream(b"\x05\x00"));
}

#[test]
fn collections_without_elements_are_told_apart() {
    for kind in [kind::LIST, kind::SET, kind::ZSET, kind::HASH, kind::ZSET_2, kind::LIST_QUICKLIST] {
        refuse_for(&[kind, 0], LoadError::Empty);
    }
    refuse_for(&[kind::LIST_QUICKLIST_2, 0], LoadError::Empty);
    refuse_for(&[kind::HASH_METADATA_EARLY, 0], LoadError::Empty);
    for kind in [kind::LIST_ZIPLIST, kind::ZSET_ZIPLIST, kind::HASH_ZIPLIST] {
        refuse_for(&wrapped(kind, &ziplist_of(&[])), LoadError::Empty);
    }
    for kind in [kind::SET_LISTPACK, kind::ZSET_LISTPACK, kind::HASH_LISTPACK, kind::HASH_LISTPACK_EX_EARLY] {
        refuse_for(&wrapped(kind, &listpack_of(&[])), LoadError::Empty);
    }
    refuse_for(&wrapped(kind::HASH_ZIPMAP, b"\x00\xff"), LoadError::Empty);
    let mut pieces = vec![kind::LIST_QUICKLIST_2, 1, 2];
    push_string(&mut pieces, &listpack_of(&[]), false);
    refuse_for(&pieces, LoadError::Empty);
    refuse(&[kind::SET, 0]);
}

#[test]
fn members_that_come_twice_are_refused() {
    refuse(b"\x02\x02\x01a\x01a");
    refuse(b"\x02\x02\xc0\x05\x015");
    refuse(b"\x03\x02\x01a\x011\x01a\x012");
    refuse(b"\x04\x02\x01a\x011\x01a\x012");
    refuse(b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\0");
    refuse(&wrapped(kind::SET_LISTPACK, &listpack_of(&["a", "b", "a"])));
    refuse(&wrapped(kind::HASH_LISTPACK_EX_EARLY, &listpack_of(&["a", "1", "0", "a", "1", "0"])));
    check(b"\x01\x02\x01a\x01a", r#"list listpack: "a" "a""#);
}
