//! Places, distances and searches beside what redis-server 7.0.15 answers for the same ones.

use super::*;
use crate::types::zset::{Limits, ZSet};

const LIMITS: Limits = Limits { entries_max: 128, value_max: 64 };

/// Numbers that follow from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 16) % limit
    }

    /// A place anywhere.
    fn point(&mut self) -> Point {
        let longitude = self.below(360_000_001) as f64 - 180_000_000.0;
        let latitude = self.below(170_000_001) as f64 - 85_000_000.0;
        Point::new(longitude / 1e6, latitude / 1e6).expect("it is within the limits")
    }

    /// A place within two degrees of the point that has none.
    fn near_point(&mut self) -> Point {
        let (longitude, latitude) = (self.below(2_000_001) as f64, self.below(2_000_001) as f64);
        Point::new(longitude / 1e6, latitude / 1e6).expect("it is within the limits")
    }
}

/// 3000 places anywhere, and 300 that are close together.
fn places() -> ZSet {
    let (mut numbers, mut set) = (Numbers(77), ZSet::new());
    for index in 0..3000 {
        set.insert(format!("p{index}").as_bytes(), numbers.point().score(), &LIMITS);
    }
    for index in 0..300 {
        set.insert(format!("q{index}").as_bytes(), numbers.near_point().score(), &LIMITS);
    }
    set
}

/// The check sum of zlib, which goes on from `sum`.
fn crc32(sum: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!sum, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn joined(words: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    words.collect::<Vec<_>>().join(&b' ')
}

fn distance_text(meters: f64, unit: Unit) -> Vec<u8> {
    let mut text = Vec::new();
    push_distance(&mut text, meters / unit.meters());
    text
}

fn coordinate_text(degrees: f64) -> String {
    let text = format!("{degrees:.17}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn scores_and_places_are_those_of_redis() {
    let set = places();
    // ZRANGE WITHSCORES, GEOHASH and GEOPOS of all members.
    let scores = set.iter().flat_map(|(member, score)| [member.to_vec(), (score as u64).to_string().into_bytes()]);
    assert_eq!(crc32(0, &joined(scores)), 0xff73_b029);
    let hashes = set.iter().map(|(_, score)| Point::of_score(score).geohash().to_vec());
    assert_eq!(crc32(0, &joined(hashes)), 0x5251_9b18);
    let positions = set.iter().map(|(_, score)| {
        let point = Point::of_score(score);
        format!("{},{}", coordinate_text(point.longitude()), coordinate_text(point.latitude())).into_bytes()
    });
    assert_eq!(crc32(0, &joined(positions)), 0xa881_0402);
}

#[test]
fn distances_are_those_of_redis() {
    let set = places();
    let points: Vec<Point> = set.iter().map(|(_, score)| Point::of_score(score)).collect();
    let distances = points.windows(2).map(|pair| distance_text(pair[0].distance(pair[1]), Unit::Kilometer));
    assert_eq!(crc32(0, &joined(distances)), 0x5414_28c4);
}

#[test]
fn searches_find_what_redis_finds_in_its_order() {
    let (mut numbers, set) = (Numbers(78), places());
    let (mut sum, mut count) = (0, 0);
    for index in 0..400 {
        let center = if index % 4 == 0 { numbers.near_point() } else { numbers.point() };
        let units = [(Unit::Meter, 50_000), (Unit::Kilometer, 5000), (Unit::Foot, 300_000), (Unit::Mile, 4000)];
        let (unit, size) = units[numbers.below(4) as usize];
        let (width, height) = (1.0 + numbers.below(size) as f64, 1.0 + numbers.below(size) as f64);
        let form = if index % 2 == 0 { Form::Box { width, height } } else { Form::Circle { radius: width } };
        let shape = Shape { center, form, unit };
        let mut found = Vec::new();
        for (member, score) in shape.ranges().iter().flat_map(|range| set.range(set.ranks_by_score(range))) {
            if let Some(distance) = shape.distance(Point::of_score(score)) {
                found.push([member.to_vec(), distance_text(distance, unit)].join(&b','));
            }
        }
        count += found.len();
        sum = crc32(crc32(sum, &joined(found.into_iter())), b";");
    }
    assert_eq!((sum, count), (0x6da0_ce52, 45_143));
}

#[test]
fn the_corners_of_the_world_are_those_of_redis() {
    let corners = [
        (180.0, LATITUDE_MAX, 13_510_798_882_111_488.0, b"bp05b5048p0", 85.051_128_78),
        (-180.0, -LATITUDE_MAX, 0.0, b"00bh0hbj200", -85.051_127_512_639_43),
    ];
    for (longitude, latitude, score, hash, shown) in corners {
        let point = Point::new(longitude, latitude).expect("it is within the limits");
        assert_eq!(point.score(), score);
        let decoded = Point::of_score(score);
        assert_eq!((decoded.latitude(), &decoded.geohash()), (shown, hash));
    }
    assert_eq!(Point::of_score(13_510_798_882_111_488.0).longitude(), 180.0);
}

#[test]
fn what_is_beyond_the_limits_is_no_place() {
    for (longitude, latitude) in [(180.1, 0.0), (0.0, 85.06), (f64::NAN, 0.0), (0.0, f64::NEG_INFINITY)] {
        assert_eq!(Point::new(longitude, latitude), None);
    }
    // Scores that ZADD wrote are no places, and yet nothing breaks.
    for score in [-1.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, 0.5] {
        let point = Point::of_score(score);
        assert!(Point::new(point.longitude(), point.latitude()).is_some());
    }
}

#[test]
fn units_have_four_names() {
    assert_eq!(Unit::parse(b"KM"), Some(Unit::Kilometer));
    assert_eq!(Unit::parse(b"mi").map(Unit::meters), Some(1609.34));
    assert_eq!(Unit::parse(b"yd"), None);
}

#[test]
fn distances_have_four_decimals() {
    let cases = [(0.0, "0.0000"), (0.000_05, "0.0000"), (166_274.151_56, "166274.1516"), (0.99996, "1.0000")];
    for (distance, text) in cases {
        let mut out = Vec::new();
        push_distance(&mut out, distance);
        assert_eq!(String::from_utf8_lossy(&out), text);
    }
}
