//! What lies in a polygon, as Valkey's `BYPOLYGON` finds it: longitudes and latitudes are taken for places on a plane.

use super::cell::{Cell, STEPS_MAX, WORLD};
use super::search::range;
use super::{Angle, LATITUDE_MAX, LONGITUDE_MAX, Point};
use crate::types::zset::ScoreRange;

/// Degrees that are less than the smallest cell.
const SLIGHTLY: f64 = 1e-9;

/// Corners, each of which is joined with the next and the last with the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    corners: Vec<Point>,
    middle: Point,
}

impl Polygon {
    /// Fewer corners than this make none.
    pub const CORNERS_MIN: usize = 3;

    /// `None` if there are too few corners.
    pub fn new(corners: Vec<Point>) -> Option<Polygon> {
        let middle = middle(&corners);
        (corners.len() >= Self::CORNERS_MIN).then_some(Polygon { corners, middle })
    }

    /// The distance from its middle in meters, if the point lies in it.
    pub fn distance(&self, point: Point) -> Option<f64> {
        self.holds(point).then(|| self.middle.distance(point))
    }

    /// Whether a line from the point to the east crosses an odd number of edges.
    fn holds(&self, point: Point) -> bool {
        let nexts = self.corners.iter().cycle().skip(1);
        let crossed = self.corners.iter().zip(nexts).filter(|&(&one, &other)| {
            let spans = (one.latitude > point.latitude) != (other.latitude > point.latitude);
            let slope = (other.longitude - one.longitude) / (other.latitude - one.latitude);
            spans && point.longitude < slope * (point.latitude - one.latitude) + one.longitude
        });
        crossed.count() % 2 == 1
    }

    /// The scores to look through: those of the cells in which the corners of the box around it lie. A cell is no smaller
    /// than the box, or a quarter of the globe.
    pub fn ranges(&self) -> Vec<ScoreRange> {
        let (west, east) = extremes(self.corners.iter().map(|corner| corner.longitude));
        let (south, north) = extremes(self.corners.iter().map(|corner| corner.latitude));
        let is_enough = |steps: &u32| {
            let parts = f64::from(1u32 << steps);
            2.0 * LONGITUDE_MAX / parts >= east - west && 2.0 * LATITUDE_MAX / parts >= north - south
        };
        let steps = (1..=STEPS_MAX).rev().find(is_enough).unwrap_or(1);
        // The last place of the globe is one cell too far.
        let (east, north) = (east.min(LONGITUDE_MAX - SLIGHTLY), north.min(LATITUDE_MAX - SLIGHTLY));
        let mut cells: Vec<Cell> = Vec::new();
        for (longitude, latitude) in [(west, south), (east, south), (west, north), (east, north)] {
            let cell = Cell::of(Point { longitude, latitude }, &WORLD, steps);
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        cells.into_iter().map(range).collect()
    }
}

/// The place below the middle of the corners, which lies within the globe.
fn middle(corners: &[Point]) -> Point {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for corner in corners {
        let (longitude, latitude) = (corner.longitude.to_rad(), corner.latitude.to_rad());
        x += latitude.cos() * longitude.cos();
        y += latitude.cos() * longitude.sin();
        z += latitude.sin();
    }
    let count = corners.len() as f64;
    let (x, y, z) = (x / count, y / count, z / count);
    Point { longitude: y.atan2(x).to_deg(), latitude: z.atan2((x * x + y * y).sqrt()).to_deg() }
}

fn extremes(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(corners: &[(f64, f64)]) -> Polygon {
        let corners = corners.iter().map(|&(longitude, latitude)| Point::new(longitude, latitude).unwrap());
        Polygon::new(corners.collect()).unwrap()
    }

    fn at(longitude: f64, latitude: f64) -> Point {
        Point::new(longitude, latitude).unwrap()
    }

    #[test]
    fn a_polygon_may_have_a_bay() {
        let hook = polygon(&[(0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (6.0, 9.0), (6.0, 3.0), (0.0, 3.0)]);
        assert!(hook.holds(at(1.0, 1.0)) && hook.holds(at(7.0, 8.0)));
        assert!(!hook.holds(at(3.0, 6.0)) && !hook.holds(at(10.0, 1.0)) && !hook.holds(at(1.0, -1.0)));
        let turned = Polygon::new(hook.corners.iter().rev().copied().collect()).unwrap();
        assert!(turned.holds(at(7.0, 8.0)) && !turned.holds(at(3.0, 6.0)));
    }

    #[test]
    fn all_that_lies_in_it_is_looked_through() {
        for corners in [
            [(12.0, 37.0), (12.0, 40.0), (16.0, 40.0)],
            [(-0.001, -0.001), (0.001, -0.001), (0.0, 0.001)],
            [(-180.0, -85.0), (180.0, -85.0), (0.0, 85.0)],
            [(0.0, -85.0), (180.0, -85.0), (180.0, 85.0)],
            [(-179.0, 10.0), (179.0, 10.0), (3.0, 10.5)],
        ] {
            let polygon = polygon(&corners);
            let ranges = polygon.ranges();
            assert!(ranges.len() <= 4);
            let (west, east) = extremes(corners.iter().map(|corner| corner.0));
            let (south, north) = extremes(corners.iter().map(|corner| corner.1));
            for step in 0..10_000 {
                let share = |number: i32| f64::from(number) / 99.0;
                let point = at(
                    west + share(step % 100) * (east - west) * 0.999,
                    south + share(step / 100) * (north - south) * 0.999,
                );
                let score = point.score();
                let is_there = ranges.iter().any(|range| (range.min.score..range.max.score).contains(&score));
                assert!(is_there || !polygon.holds(point), "{point:?} in {polygon:?}");
            }
        }
    }

    #[test]
    fn two_corners_make_no_polygon() {
        assert_eq!(Polygon::new(vec![at(0.0, 0.0), at(1.0, 1.0)]), None);
    }
}
