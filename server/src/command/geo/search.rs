//! What lies in a circle, a box or a polygon: `GEOSEARCH`, `GEOSEARCHSTORE` and the older `GEORADIUS` family.

use super::{GEO, UNIT, place, point, push_length, push_point, unit};
use crate::base::number::parse_f64;
use crate::command::zset::{collected, store_found};
use crate::command::*;
use crate::store::Key;
use crate::types::geo::{Form, Outline, Point, Polygon, Shape, Unit};
use crate::types::zset::{Member, ZSet};
use std::cmp::Ordering;

const READ: &[&str] = &["RO", "access"];
const STORED: &[&str] = &["OW", "update"];

const LONGITUDE: Arg = double("longitude");
const LATITUDE: Arg = double("latitude");
const WITHCOORD: Arg = token("withcoord", "WITHCOORD").optional();
const WITHDIST: Arg = token("withdist", "WITHDIST").optional();
const WITHHASH: Arg = token("withhash", "WITHHASH").optional();
const COUNT: Arg = block("count-block", &[int("count").after("COUNT"), token("any", "ANY").optional()]).optional();
const COUNT_OLD: Arg =
    block("count-block", &[int("count").after("COUNT"), token("any", "ANY").optional().since("6.2.0")]).optional();
const ORDER: Arg = one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional();
const STORE: Arg = one_of(
    "store",
    &[
        key("storekey", Usage::Write).after("STORE").shown_as("key"),
        key("storedistkey", Usage::Write).after("STOREDIST").shown_as("key"),
    ],
)
.optional();
const FROM: Arg = one_of(
    "from",
    &[text("member").after("FROMMEMBER"), block("fromlonlat", &[LONGITUDE, LATITUDE]).after("FROMLONLAT")],
);
const BY: Arg = one_of(
    "by",
    &[
        block("circle", &[double("radius").after("BYRADIUS"), UNIT]),
        block("box", &[double("width").after("BYBOX"), double("height"), UNIT]),
    ],
);

pub const GEOSEARCH: Command = Command {
    name: "GEOSEARCH",
    run: |cx, args| search(cx, args, Asked { center: Named::Options, stores: false }),
    summary: "Returns the members in a circle or a box; in a polygon with Valkey's `BYPOLYGON`.",
    complexity: "O(N+log(M)) for N members in the cells around the outline and M inside",
    since: "6.2.0",
    args: &[key("key", Usage::Read), FROM, BY, ORDER, COUNT, WITHCOORD, WITHDIST, WITHHASH],
    flags: Flags::READONLY,
    ..GEO
};

pub const GEOSEARCHSTORE: Command = Command {
    name: "GEOSEARCHSTORE",
    run: |cx, args| search(cx, args, Asked { center: Named::Options, stores: true }),
    summary: "Stores the members in a circle, a box or a polygon in a key.",
    args: &[
        key("destination", Usage::Write),
        key("source", Usage::Read),
        FROM,
        BY,
        ORDER,
        COUNT,
        token("storedist", "STOREDIST").optional(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..GEOSEARCH
};

pub const GEORADIUS: Command = Command {
    name: "GEORADIUS",
    run: |cx, args| search(cx, args, Asked { center: Named::Place, stores: true }),
    summary: "Returns the members in a circle around a place, or stores them in a key.",
    since: "3.2.0",
    args: &[
        key("key", Usage::Read),
        LONGITUDE,
        LATITUDE,
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_OLD,
        ORDER,
        STORE,
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::range_of(1, 0, READ), KeySpec::after("STORE", 6, STORED), KeySpec::after("STOREDIST", 6, STORED)],
    deprecated: Some(Deprecated {
        since: "6.2.0",
        instead: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    }),
    ..GEOSEARCH
};

pub const GEORADIUS_RO: Command = Command {
    name: "GEORADIUS_RO",
    run: |cx, args| search(cx, args, Asked { center: Named::Place, stores: false }),
    summary: "Returns the members in a circle around a place.",
    since: "3.2.10",
    args: &[
        key("key", Usage::Read),
        LONGITUDE,
        LATITUDE,
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT_OLD,
        ORDER,
    ],
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`GEOSEARCH` with the `BYRADIUS` argument" }),
    ..GEOSEARCH
};

pub const GEORADIUSBYMEMBER: Command = Command {
    name: "GEORADIUSBYMEMBER",
    run: |cx, args| search(cx, args, Asked { center: Named::Member, stores: true }),
    summary: "Returns the members in a circle around one of them, or stores them in a key.",
    args: &[
        key("key", Usage::Read),
        text("member"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
        STORE,
    ],
    specs: &[KeySpec::range_of(1, 0, READ), KeySpec::after("STORE", 5, STORED), KeySpec::after("STOREDIST", 5, STORED)],
    deprecated: Some(Deprecated {
        since: "6.2.0",
        instead: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    }),
    ..GEORADIUS
};

pub const GEORADIUSBYMEMBER_RO: Command = Command {
    name: "GEORADIUSBYMEMBER_RO",
    run: |cx, args| search(cx, args, Asked { center: Named::Member, stores: false }),
    summary: "Returns the members in a circle around one of them.",
    args: &[
        key("key", Usage::Read),
        text("member"),
        double("radius"),
        UNIT,
        WITHCOORD,
        WITHDIST,
        WITHHASH,
        COUNT,
        ORDER,
    ],
    deprecated: Some(Deprecated {
        since: "6.2.0",
        instead: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    }),
    ..GEORADIUS_RO
};

fn search(cx: &mut Ctx<'_>, args: &mut Args<'_>, asked: Asked) -> Outcome {
    let name = args.words().get(0);
    let mut query = Query { asked, ..Query::default() };
    if asked.center == Named::Options && asked.stores {
        query.destination = Some(args.key()?);
    }
    let source = args.key()?;
    // A member is looked for when its word comes, so the set is there before the words are read.
    let set = cx.store.read::<ZSet>(source)?;
    query.parse(args, set)?;
    query.check(name)?;
    let found = match (set, query.shape()) {
        (Some(set), Some(shape)) => query.chosen(hits(set, &shape, query.hits_max())),
        _ => Vec::new(),
    };
    let Some(destination) = query.destination else {
        query.reply(cx.reply, &found);
        return REPLIED;
    };
    let limits = cx.node.limits.of_zset();
    let scored = found.into_iter().map(|hit| (hit.member, query.stored_score(&hit)));
    let stored = collected(scored, 0, &limits);
    let event = if asked.center == Named::Options { "geosearchstore" } else { "georadiusstore" };
    store_found(cx, destination, stored, event)
}

/// Which of the commands was called.
#[derive(Clone, Copy, Default)]
struct Asked {
    center: Named,
    /// Whether what is found may go to a key.
    stores: bool,
}

/// How the center is given.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Named {
    /// By two coordinates at the front.
    Place,
    /// By a member at the front.
    Member,
    /// By `FROMLONLAT` or `FROMMEMBER`.
    #[default]
    Options,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

/// The words of a search.
#[derive(Default)]
struct Query<'a> {
    asked: Asked,
    center: Option<Center>,
    outline: Option<(Form, Unit)>,
    /// What is searched instead of all that: it has its own center.
    polygon: Option<Polygon>,
    order: Option<Order>,
    /// The most that are answered.
    count: Option<usize>,
    /// Whether any will do, so that the search may end early.
    any: bool,
    with_coordinates: bool,
    with_distance: bool,
    with_score: bool,
    destination: Option<Key<'a>>,
    /// Whether scores in the destination are distances.
    stores_distances: bool,
}

#[derive(Clone, Copy)]
enum Center {
    Place(Point),
    /// `None` if there is no set to look into: the words are read to their end nevertheless.
    Member(Option<Point>),
}

impl<'a> Query<'a> {
    fn parse(&mut self, args: &mut Args<'a>, set: Option<&ZSet>) -> Result<(), Fault> {
        match self.asked.center {
            Named::Options => {}
            Named::Place => {
                self.center = Some(Center::Place(point(args)?));
                self.outline = Some(circle(args)?);
            }
            Named::Member => {
                self.center = Some(member(args, set)?);
                if set.is_some() {
                    self.outline = Some(circle(args)?);
                } else {
                    // Redis takes any radius and unit here.
                    args.word()?;
                    args.word()?;
                }
            }
        }
        while !args.is_empty() {
            if !(self.take_flag(args) || self.take_option(args, set)?) {
                return Err(Fault::Syntax);
            }
        }
        Ok(())
    }

    /// Takes an option of one word.
    fn take_flag(&mut self, args: &mut Args<'a>) -> bool {
        if args.take("WITHDIST") {
            self.with_distance = true;
        } else if args.take("WITHHASH") {
            self.with_score = true;
        } else if args.take("WITHCOORD") {
            self.with_coordinates = true;
        } else if args.take("ANY") {
            self.any = true;
        } else if args.take("ASC") {
            self.order = Some(Order::Nearest);
        } else if args.take("DESC") {
            self.order = Some(Order::Farthest);
        } else if self.is_by_option() && self.asked.stores && args.take("STOREDIST") {
            self.stores_distances = true;
        } else {
            return false;
        }
        true
    }

    /// Takes an option that has words behind it; with too few of them it is none.
    fn take_option(&mut self, args: &mut Args<'a>, set: Option<&ZSet>) -> Result<bool, Fault> {
        let left = args.len() - 1;
        if left >= 1 && args.take("COUNT") {
            let count = usize::try_from(args.int()?).ok().filter(|&count| count > 0);
            self.count = Some(count.ok_or(Fault::text("ERR COUNT must be > 0"))?);
            return Ok(true);
        }
        if self.is_by_option() { self.take_outline(args, set) } else { self.take_destination(args) }
    }

    fn take_destination(&mut self, args: &mut Args<'a>) -> Result<bool, Fault> {
        if !self.asked.stores || args.len() < 2 {
            return Ok(false);
        }
        if args.take("STORE") {
            self.stores_distances = false;
        } else if args.take("STOREDIST") {
            self.stores_distances = true;
        } else {
            return Ok(false);
        }
        self.destination = Some(args.key()?);
        Ok(true)
    }

    fn take_outline(&mut self, args: &mut Args<'a>, set: Option<&ZSet>) -> Result<bool, Fault> {
        let left = args.len() - 1;
        let has_place = matches!(self.center, Some(Center::Place(_)));
        let has_member = matches!(self.center, Some(Center::Member(_)));
        if self.center.is_none() && self.outline.is_none() && left >= 1 && args.take("BYPOLYGON") {
            self.polygon = Some(polygon(args)?);
            return Ok(true);
        }
        if self.polygon.is_some() {
            return Ok(false);
        }
        let has_circle = matches!(self.outline, Some((Form::Circle { .. }, _)));
        let has_box = matches!(self.outline, Some((Form::Box { .. }, _)));
        if left >= 1 && !has_place && args.take("FROMMEMBER") {
            self.center = Some(member(args, set)?);
        } else if left >= 2 && !has_member && args.take("FROMLONLAT") {
            self.center = Some(Center::Place(point(args)?));
        } else if left >= 2 && !has_box && args.take("BYRADIUS") {
            self.outline = Some(circle(args)?);
        } else if left >= 3 && !has_circle && args.take("BYBOX") {
            self.outline = Some(rectangle(args)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn is_by_option(&self) -> bool {
        self.asked.center == Named::Options
    }

    /// Whether the words go together; `name` is the command as the client wrote it.
    fn check(&self, name: &[u8]) -> Result<(), Fault> {
        if self.destination.is_some() && self.parts() > 0 {
            return Err(Fault::text(if self.is_by_option() {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        let needs_outline = self.is_by_option() && self.polygon.is_none();
        if needs_outline && self.center.is_none() {
            let text = b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ";
            return Err(Fault::Bytes([&text[..], name].concat()));
        }
        if needs_outline && self.outline.is_none() {
            let text = b"ERR exactly one of BYRADIUS and BYBOX can be specified for ";
            return Err(Fault::Bytes([&text[..], name].concat()));
        }
        if self.any && self.count.is_none() {
            return Err(Fault::text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// What is searched; `None` if the center is a member of a set that is not there.
    fn shape(&self) -> Option<Outline> {
        if let Some(polygon) = &self.polygon {
            return Some(Outline::Polygon(polygon.clone()));
        }
        let (Center::Place(center) | Center::Member(Some(center))) = self.center? else { return None };
        let (form, unit) = self.outline?;
        Some(Outline::Shape(Shape { center, form, unit }))
    }

    fn unit(&self) -> Unit {
        self.outline.map_or(Unit::Meter, |(_, unit)| unit)
    }

    /// After how many hits the search is over.
    fn hits_max(&self) -> usize {
        self.count.filter(|_| self.any).unwrap_or(usize::MAX)
    }

    /// The hits that are answered, in their order. Those at the same distance stay in the order they were found in.
    fn chosen<'s>(&self, mut hits: Vec<Hit<'s>>) -> Vec<Hit<'s>> {
        // The first few of what is in no order would be of no use, so they are the nearest unless any will do.
        let order = self.order.or(self.count.filter(|_| !self.any).map(|_| Order::Nearest));
        let count = self.count.unwrap_or(usize::MAX);
        if let Some(order) = order {
            if count < hits.len() {
                hits.select_nth_unstable_by(count, |a, b| order.of(a, b));
                hits.truncate(count);
            }
            hits.sort_unstable_by(|a, b| order.of(a, b));
        }
        hits.truncate(count);
        hits
    }

    fn stored_score(&self, hit: &Hit<'_>) -> f64 {
        if self.stores_distances { hit.distance / self.unit().meters() } else { hit.score }
    }

    /// How many parts a hit is answered with, its name not among them.
    fn parts(&self) -> usize {
        [self.with_distance, self.with_score, self.with_coordinates].into_iter().filter(|&is_asked| is_asked).count()
    }

    fn reply(&self, reply: &mut Reply, hits: &[Hit<'_>]) {
        reply.array(hits.len());
        let parts = self.parts();
        for hit in hits {
            if parts > 0 {
                reply.array(1 + parts);
            }
            reply.bulk(&hit.member);
            if self.with_distance {
                push_length(reply, hit.distance, self.unit());
            }
            if self.with_score {
                reply.int(hit.score as i64);
            }
            if self.with_coordinates {
                push_point(reply, hit.point);
            }
        }
    }
}

/// The next word as a member that has a place.
fn member(args: &mut Args<'_>, set: Option<&ZSet>) -> Result<Center, Fault> {
    let member = args.word()?;
    let Some(set) = set else { return Ok(Center::Member(None)) };
    let point = place(set, member).ok_or(Fault::text("ERR could not decode requested zset member"))?;
    Ok(Center::Member(Some(point)))
}

/// The next two words as a circle.
fn circle(args: &mut Args<'_>) -> Result<(Form, Unit), Fault> {
    let radius = length(args, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Fault::text("ERR radius cannot be negative"));
    }
    Ok((Form::Circle { radius }, unit(args)?))
}

/// The next three words as a box.
fn rectangle(args: &mut Args<'_>) -> Result<(Form, Unit), Fault> {
    let (width, height) = (length(args, "ERR need numeric width")?, length(args, "ERR need numeric height")?);
    if width < 0.0 || height < 0.0 {
        return Err(Fault::text("ERR height or width cannot be negative"));
    }
    Ok((Form::Box { width, height }, unit(args)?))
}

/// The next words as a polygon: how many corners, and these.
fn polygon(args: &mut Args<'_>) -> Result<Polygon, Fault> {
    let count = usize::try_from(args.int()?).unwrap_or(0);
    if count < Polygon::CORNERS_MIN || count > args.len() / 2 {
        return Err(TOO_FEW_CORNERS);
    }
    let corners: Result<Vec<Point>, Fault> = (0..count).map(|_| point(args)).collect();
    Polygon::new(corners?).ok_or(TOO_FEW_CORNERS)
}

const TOO_FEW_CORNERS: Fault = Fault::text("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices");

fn length(args: &mut Args<'_>, otherwise: &'static str) -> Result<f64, Fault> {
    parse_f64(args.word()?).ok_or(Fault::text(otherwise))
}

/// A member in the outline.
struct Hit<'s> {
    member: Member<'s>,
    score: f64,
    point: Point,
    /// From the center, in meters.
    distance: f64,
    /// How many were found before it.
    number: usize,
}

impl Order {
    fn of(self, a: &Hit<'_>, b: &Hit<'_>) -> Ordering {
        let by_distance = a.distance.total_cmp(&b.distance);
        let by_distance = if self == Order::Nearest { by_distance } else { by_distance.reverse() };
        by_distance.then(a.number.cmp(&b.number))
    }
}

/// The members in an outline, `hits_max` at most, in the order in which its cells are gone through.
fn hits<'s>(set: &'s ZSet, shape: &Outline, hits_max: usize) -> Vec<Hit<'s>> {
    let members = shape.ranges().into_iter().flat_map(|range| set.range(set.ranks_by_score(&range)));
    let hits = members.filter_map(|(member, score)| {
        let point = Point::of_score(score);
        Some(Hit { member, score, point, distance: shape.distance(point)?, number: 0 })
    });
    hits.take(hits_max).enumerate().map(|(number, hit)| Hit { number, ..hit }).collect()
}
