//! Places: sorted sets whose scores stand for cells on the globe.
//!
//! `types/geo` has the cells, distances and outlines; here they meet the words of clients. `geo/search` finds what lies
//! in a circle or a box.

mod search;
#[cfg(test)]
mod tests;

use super::zset::{Rules, add};
use super::*;
use crate::types::geo::{Point, Unit, push_distance};
use crate::types::zset::ZSet;
use std::io::Write as _;

pub const COMMANDS: &[Command] = &[
    GEOADD,
    GEODIST,
    GEOHASH,
    GEOPOS,
    search::GEORADIUS,
    search::GEORADIUSBYMEMBER,
    search::GEORADIUSBYMEMBER_RO,
    search::GEORADIUS_RO,
    search::GEOSEARCH,
    search::GEOSEARCHSTORE,
];

const GEO: Command = Command { group: Group::Geo, since: "3.2.0", ..COMMAND };

const UNIT: Arg = one_of("unit", &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")]);

/// The next two words as a place.
fn point(args: &mut Args<'_>) -> Result<Point, Fault> {
    let (longitude, latitude) = (args.float()?, args.float()?);
    Point::new(longitude, latitude)
        .ok_or_else(|| Fault::owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// The next word as a unit of length.
fn unit(args: &mut Args<'_>) -> Result<Unit, Fault> {
    let unit = Unit::parse(args.word()?);
    unit.ok_or(Fault::text("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// The place of a member.
fn place(set: &ZSet, member: &[u8]) -> Option<Point> {
    set.score(member).map(Point::of_score)
}

/// A longitude and a latitude, with up to 17 decimals each.
fn push_point(reply: &mut Reply, point: Point) {
    reply.array(2);
    for degrees in [point.longitude(), point.latitude()] {
        reply.double_written(|out| {
            write!(out, "{degrees:.17}").expect("a Vec takes every write");
            let zeros = out.iter().rev().take_while(|&&byte| byte == b'0').count();
            out.truncate(out.len() - zeros);
            if out.ends_with(b".") {
                out.pop();
            }
        });
    }
}

/// A distance given in meters, in a unit: a string in RESP3 too.
fn push_length(reply: &mut Reply, meters: f64, unit: Unit) {
    reply.written(|out| push_distance(out, meters / unit.meters()));
}

const GEOADD: Command = Command {
    name: "GEOADD",
    run: geoadd,
    summary: "Gives members places, adding those that are new, and tells how many are.",
    complexity: "O(log(N)) for each member, with N in the sorted set",
    args: &[
        key("key", Usage::Update),
        one_of("condition", &[token("nx", "NX"), token("xx", "XX")]).optional().since("6.2.0"),
        token("change", "CH").optional().since("6.2.0"),
        block("data", &[double("longitude"), double("latitude"), text("member")]).many(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..GEO
};

fn geoadd(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let mut rules = Rules::default();
    loop {
        if args.take("NX") {
            rules.keeps_old = true;
        } else if args.take("XX") {
            rules.adds_none = true;
        } else if args.take("CH") {
            rules.counts_changes = true;
        } else {
            break;
        }
    }
    if args.is_empty() || !args.len().is_multiple_of(3) || rules.keeps_old && rules.adds_none {
        return Err(Fault::Syntax);
    }
    let mut scored = Vec::with_capacity(args.len() / 3);
    while !args.is_empty() {
        scored.push((point(args)?.score(), args.word()?));
    }
    add(cx, key, scored.into_iter(), rules)
}

const GEOPOS: Command = Command {
    name: "GEOPOS",
    run: geopos,
    summary: "Returns the places of members.",
    complexity: "O(N) for N members",
    args: &[key("key", Usage::Read), text("member").many().optional()],
    flags: Flags::READONLY,
    ..GEO
};

fn geopos(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let set = cx.store.read::<ZSet>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        match set.and_then(|set| place(set, member)) {
            Some(point) => push_point(cx.reply, point),
            None => cx.reply.null_array(),
        }
    }
    REPLIED
}

const GEOHASH: Command = Command {
    name: "GEOHASH",
    run: geohash,
    summary: "Returns the places of members in the notation of geohash.org.",
    complexity: "O(log(N)) for each member, with N in the sorted set",
    ..GEOPOS
};

fn geohash(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let set = cx.store.read::<ZSet>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        match set.and_then(|set| place(set, member)) {
            Some(point) => cx.reply.bulk(&point.geohash()),
            None => cx.reply.null(),
        }
    }
    REPLIED
}

const GEODIST: Command = Command {
    name: "GEODIST",
    run: geodist,
    summary: "Returns the distance between two members.",
    complexity: "O(1)",
    args: &[key("key", Usage::Read), text("member1"), text("member2"), UNIT.optional()],
    ..GEOPOS
};

fn geodist(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, one, other) = (args.key()?, args.word()?, args.word()?);
    if args.len() > 1 {
        return Err(Fault::Syntax);
    }
    let unit = if args.is_empty() { Unit::Meter } else { unit(args)? };
    let set = cx.store.read::<ZSet>(key)?;
    match set.and_then(|set| Some((place(set, one)?, place(set, other)?))) {
        Some((one, other)) => push_length(cx.reply, one.distance(other), unit),
        None => cx.reply.null(),
    }
    REPLIED
}
