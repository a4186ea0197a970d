//! Collections as they are written: each in the encoding in which Redis 7.2, or 7.0, would hold it, and so would write it.

use super::write::{push_double, push_length, push_millis, push_string};
use super::{Version, bloom, intset, kind, listpack, stream};
use crate::base::number::{Digits, push_f64};
use crate::types::hash::{Entry, Hash};
use crate::types::item::Element;
use crate::types::list::{List, Piece};
use crate::types::object::Object;
use crate::types::set::Set;
use crate::types::zset::ZSet;

/// What stands in front of a piece of a list: one long element, or a listpack.
pub(super) const PIECE_PLAIN: u64 = 1;
pub(super) const PIECE_PACKED: u64 = 2;

/// The type byte under which [`push_body`] writes an object. In a file the key stands between the two.
///
/// Hashes with fields that expire have types that Redis reads from 7.4 on, whatever its version; any other is read by the
/// server that the version is made for.
pub fn type_of(object: &Object, version: Version) -> u8 {
    match object {
        Object::Hash(hash) => hash_type(hash, version),
        Object::List(_) => kind::LIST_QUICKLIST_2,
        Object::Set(set) => set_type(set, version),
        Object::ZSet(zset) => match zset.encoding() {
            "listpack" => kind::ZSET_LISTPACK,
            _ => kind::ZSET_2,
        },
        Object::Stream(_) => match version {
            Version::V10 => kind::STREAM_LISTPACKS_2,
            Version::V11 | Version::Valkey => kind::STREAM_LISTPACKS_3,
        },
        Object::Bloom(_) => kind::MODULE_2,
    }
}

fn set_type(set: &Set, version: Version) -> u8 {
    match (set.encoding(), version) {
        ("intset", _) => kind::SET_INTSET,
        ("listpack", Version::V11 | Version::Valkey) => kind::SET_LISTPACK,
        _ => kind::SET,
    }
}

fn hash_type(hash: &Hash, version: Version) -> u8 {
    match (hash.encoding(), hash.next_due(), version) {
        ("hashtable", None, _) => kind::HASH,
        (_, None, _) => kind::HASH_LISTPACK,
        (_, Some(_), Version::Valkey) => kind::HASH_2,
        ("hashtable", Some(_), _) => kind::HASH_METADATA,
        (_, Some(_), _) => kind::HASH_LISTPACK_EX,
    }
}

/// Appends an object without its type; `compress` is the setting `rdbcompression`.
///
/// Fields that have expired are written as long as they are there, as in Redis: a replica is told when they go.
pub fn push_body(out: &mut Vec<u8>, object: &Object, version: Version, compress: bool) {
    match object {
        Object::Hash(hash) => push_hash(out, hash, version, compress),
        Object::List(list) => push_list(out, list, compress),
        Object::Set(set) => push_set(out, set, version, compress),
        Object::ZSet(zset) => push_zset(out, zset, compress),
        Object::Stream(stream) => stream::push(out, stream, version, compress),
        Object::Bloom(filter) => bloom::push(out, filter, compress),
    }
}

fn push_element(out: &mut Vec<u8>, element: Element<'_>, compress: bool) {
    push_string(out, element.text(&mut Digits::new()), compress);
}

fn push_hash(out: &mut Vec<u8>, hash: &Hash, version: Version, compress: bool) {
    // At the time 0 nothing has expired.
    let entries = hash.iter(0);
    match (hash_type(hash, version), hash.next_due()) {
        (kind::HASH_2, Some(_)) => {
            push_length(out, hash.len() as u64);
            for entry in entries {
                let expiry = entry.expiry.map_or(-1, |expiry| expiry as i64);
                push_field(out, entry, compress);
                push_millis(out, expiry);
            }
        }
        (kind::HASH_METADATA, Some(first)) => {
            push_millis(out, first as i64);
            push_length(out, hash.len() as u64);
            for entry in entries {
                push_length(out, entry.expiry.map_or(0, |expiry| expiry - first + 1));
                push_field(out, entry, compress);
            }
        }
        (kind::HASH_LISTPACK_EX, Some(first)) => {
            push_millis(out, first as i64);
            push_string(out, &listpack_with_expiries(entries), compress);
        }
        (kind::HASH_LISTPACK, _) => {
            let listpack = listpack::collect(entries.flat_map(|entry| [entry.field, entry.value]));
            push_string(out, &listpack, compress);
        }
        _ => push_fields(out, hash, compress),
    }
}

/// Fields and values, whatever the hash's form, and without expiries.
pub(super) fn push_fields(out: &mut Vec<u8>, hash: &Hash, compress: bool) {
    push_length(out, hash.len() as u64);
    hash.iter(0).for_each(|entry| push_field(out, entry, compress));
}

fn push_field(out: &mut Vec<u8>, entry: Entry<'_>, compress: bool) {
    push_element(out, entry.field, compress);
    push_element(out, entry.value, compress);
}

/// Fields, values and expiries, 0 for none. Redis relies on those that expire being first, in the order of their times.
fn listpack_with_expiries<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut entries: Vec<Entry<'_>> = entries.collect();
    entries.sort_by_key(|entry| entry.expiry.unwrap_or(u64::MAX));
    listpack::collect(entries.into_iter().flat_map(|entry| {
        let expiry = Element::Int(entry.expiry.unwrap_or(0) as i64);
        [entry.field, entry.value, expiry]
    }))
}

fn push_list(out: &mut Vec<u8>, list: &List, compress: bool) {
    push_length(out, list.pieces().count() as u64);
    for piece in list.pieces() {
        match piece {
            Piece::Long(text) => {
                push_length(out, PIECE_PLAIN);
                push_string(out, text.unwrap_or_default(), compress);
            }
            Piece::Run(elements) => {
                push_length(out, PIECE_PACKED);
                push_string(out, &listpack::collect(elements), compress);
            }
        }
    }
}

fn push_set(out: &mut Vec<u8>, set: &Set, version: Version, compress: bool) {
    match set_type(set, version) {
        kind::SET_INTSET => {
            let members = set.iter().filter_map(|member| match member {
                Element::Int(value) => Some(value),
                Element::Text(_) => None,
            });
            push_string(out, &intset::collect(&members.collect::<Vec<i64>>()), compress);
        }
        kind::SET_LISTPACK => push_string(out, &listpack::collect(set.iter()), compress),
        _ => {
            push_length(out, set.len() as u64);
            set.iter().for_each(|member| push_element(out, member, compress));
        }
    }
}

fn push_zset(out: &mut Vec<u8>, zset: &ZSet, compress: bool) {
    if zset.encoding() == "listpack" {
        return push_string(out, &listpack_with_scores(zset), compress);
    }
    push_length(out, zset.len() as u64);
    // From the highest score down, as in Redis, whose skip list takes what comes in this order without a search.
    for (member, score) in zset.iter().rev() {
        push_string(out, &member, compress);
        push_double(out, score);
    }
}

/// Members and scores: an integer as such, any other score as the text of which it is read again.
fn listpack_with_scores(zset: &ZSet) -> Vec<u8> {
    let mut writer = listpack::Writer::new();
    let mut text = Vec::new();
    for (member, score) in zset.iter() {
        text.clear();
        push_f64(&mut text, score);
        writer.push(Element::of(&member));
        writer.push(Element::of(&text));
    }
    writer.finish()
}
