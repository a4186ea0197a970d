//! Places on the globe as scores of a sorted set: 26 bits of latitude and 26 of longitude, one of each in turn, so that
//! places with neighbouring scores lie in one cell of a grid.
//!
//! The limits, the earth's radius and the order of every computation are Redis's, so that distances and the places that
//! a search finds are the same to the last digit. What is searched is in `geo/search` and `geo/polygon`.

mod cell;
mod polygon;
mod search;
#[cfg(test)]
mod tests;

pub use polygon::Polygon;
pub use search::{Form, Outline, Shape};

use cell::{Cell, STEPS_MAX, WORLD, World};

/// The limits of a longitude, in degrees.
pub const LONGITUDE_MAX: f64 = 180.0;

/// The limits of a latitude, in degrees: those of the square web maps.
pub const LATITUDE_MAX: f64 = 85.051_128_78;

/// In meters.
const EARTH_RADIUS: f64 = 6_372_797.560_856;

/// Characters of a place's geohash.
const TEXT_BYTES: usize = 11;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    longitude: f64,
    latitude: f64,
}

impl Point {
    /// `None` if the longitude or the latitude is beyond its limits or no number.
    pub fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let is_valid = longitude.abs() <= LONGITUDE_MAX && latitude.abs() <= LATITUDE_MAX;
        is_valid.then_some(Point { longitude, latitude })
    }

    /// The middle of the cell that a score stands for.
    pub fn of_score(score: f64) -> Point {
        /// 2 to the 64th: one more than bits can tell.
        const BEYOND: f64 = 18_446_744_073_709_551_616.0;
        // A score may be any number, since ZADD too can write it. Those that are no bits become what C makes of them.
        let bits = match score {
            ..0.0 => score as i64 as u64,
            BEYOND.. => 0,
            _ => score as u64,
        };
        let area = Cell { bits, steps: STEPS_MAX }.area();
        Point {
            longitude: middle(area.longitude).clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: middle(area.latitude).clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The score of the cell that the place lies in.
    pub fn score(self) -> f64 {
        Cell::of(self, &WORLD, STEPS_MAX).bits as f64
    }

    /// In degrees, east of Greenwich.
    pub fn longitude(self) -> f64 {
        self.longitude
    }

    /// In degrees, north of the equator.
    pub fn latitude(self) -> f64 {
        self.latitude
    }

    /// The distance in meters, by the haversine formula.
    pub fn distance(self, other: Point) -> f64 {
        let v = ((other.longitude.to_rad() - self.longitude.to_rad()) / 2.0).sin();
        if v == 0.0 {
            return self.distance_of_latitudes(other);
        }
        let (own, others) = (self.latitude.to_rad(), other.latitude.to_rad());
        let u = ((others - own) / 2.0).sin();
        let a = u * u + own.cos() * others.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    /// The distance in meters, if both places had the same longitude.
    fn distance_of_latitudes(self, other: Point) -> f64 {
        EARTH_RADIUS * (other.latitude.to_rad() - self.latitude.to_rad()).abs()
    }

    /// The text that <https://geohash.org> has for the place.
    ///
    /// A score has too few bits for the last of the eleven characters: it is `0`, as in Redis.
    pub fn geohash(self) -> [u8; TEXT_BYTES] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        // The text divides latitudes from pole to pole, unlike scores.
        let world = World { longitude: (-180.0, 180.0), latitude: (-90.0, 90.0) };
        let bits = Cell::of(self, &world, STEPS_MAX).bits;
        std::array::from_fn(|index| match index {
            10 => b'0',
            _ => ALPHABET[(bits >> (47 - 5 * index) & 31) as usize],
        })
    }
}

/// What distances are measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Meter,
    Kilometer,
    Foot,
    Mile,
}

impl Unit {
    /// Reads `m`, `km`, `ft` or `mi`, in any case.
    pub fn parse(text: &[u8]) -> Option<Unit> {
        let units = [(&b"m"[..], Unit::Meter), (b"km", Unit::Kilometer), (b"ft", Unit::Foot), (b"mi", Unit::Mile)];
        units.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, unit)| unit)
    }

    /// How many meters one is.
    pub fn meters(self) -> f64 {
        match self {
            Unit::Meter => 1.0,
            Unit::Kilometer => 1000.0,
            Unit::Foot => 0.3048,
            Unit::Mile => 1609.34,
        }
    }
}

/// Appends a distance in the unit it is replied in: with four decimals.
pub fn push_distance(out: &mut Vec<u8>, distance: f64) {
    use crate::base::number::push_integer;
    let scaled = (distance * 10_000.0).round_ties_even() as u64;
    push_integer(out, scaled / 10_000);
    out.push(b'.');
    let fraction = scaled % 10_000;
    out.extend([1000, 100, 10, 1].map(|power| b'0' + (fraction / power % 10) as u8));
}

fn middle((min, max): (f64, f64)) -> f64 {
    (min + max) / 2.0
}

/// Angles as Redis converts them, which is not how the standard library does: the last digit may differ.
trait Angle {
    fn to_rad(self) -> f64;
    fn to_deg(self) -> f64;
}

/// Radians of a degree.
const DEGREE: f64 = std::f64::consts::PI / 180.0;

impl Angle for f64 {
    fn to_rad(self) -> f64 {
        self * DEGREE
    }

    fn to_deg(self) -> f64 {
        self / DEGREE
    }
}
