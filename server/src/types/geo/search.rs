//! Which places lie in a circle or a box: first a few ranges of scores that cover it, then each place by its distance.

use super::cell::{Area, Cell, STEPS_MAX, WORLD};
use super::{Angle, EARTH_RADIUS, Point, Polygon, Unit};
use crate::types::zset::{ScoreBound, ScoreRange};

/// Half the equator on a web map, in meters.
const MERCATOR_MAX: f64 = 20_037_726.37;

/// A search's outline, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Up to a distance from the center.
    Circle { radius: f64 },
    /// Half of the width to the west and to the east, half of the height to the north and to the south.
    Box { width: f64, height: f64 },
}

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub center: Point,
    pub form: Form,
    /// Of the form's lengths.
    pub unit: Unit,
}

/// The outermost longitudes and latitudes of a shape: from and to.
struct Bounds {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

/// What is searched, of whatever kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    Shape(Shape),
    Polygon(Polygon),
}

impl Outline {
    /// The distance of a point in it from its center, in meters.
    pub fn distance(&self, point: Point) -> Option<f64> {
        match self {
            Outline::Shape(shape) => shape.distance(point),
            Outline::Polygon(polygon) => polygon.distance(point),
        }
    }

    /// The scores to look through.
    pub fn ranges(&self) -> Vec<ScoreRange> {
        match self {
            Outline::Shape(shape) => shape.ranges(),
            Outline::Polygon(polygon) => polygon.ranges(),
        }
    }
}

impl Shape {
    /// The distance from the center in meters, if the place lies in the shape.
    pub fn distance(&self, point: Point) -> Option<f64> {
        let meters = self.unit.meters();
        match self.form {
            Form::Circle { radius } => {
                Some(self.center.distance(point)).filter(|&distance| distance <= radius * meters)
            }
            Form::Box { width, height } => {
                // The distance of latitudes is the cheaper one, so it is looked at first.
                if point.distance_of_latitudes(self.center) > height * meters / 2.0 {
                    return None;
                }
                let on_same_latitude = Point { longitude: self.center.longitude, latitude: point.latitude };
                if point.distance(on_same_latitude) > width * meters / 2.0 {
                    return None;
                }
                Some(self.center.distance(point))
            }
        }
    }

    /// Ranges of scores, at most nine, that hold all places of the shape, and others; none is there twice in a row.
    ///
    /// A search goes through them in this order, which is Redis's: the cell of the center, then its neighbours to the
    /// north, south, east, west, north-east, north-west, south-east and south-west. If the shape goes round the globe,
    /// cells that are not beside each other here may still be the same, and so a place be found twice, as in Redis.
    pub fn ranges(&self) -> Vec<ScoreRange> {
        const NEIGHBOURS: [(i32, i32); 9] =
            [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let bounds = self.bounds();
        let center = self.center_cell(&bounds);
        let area = center.area();
        let is_useless = |east: i32, north: i32| center.steps >= 2 && is_beyond(&area, &bounds, east, north);
        let mut cells = Vec::with_capacity(NEIGHBOURS.len());
        for (east, north) in NEIGHBOURS.into_iter().filter(|&(east, north)| !is_useless(east, north)) {
            let cell = center.neighbour(east, north);
            // What came first is the center; Redis compares with what came after it alone.
            if cells.len() < 2 || cells.last() != Some(&cell) {
                cells.push(cell);
            }
        }
        cells.into_iter().map(range).collect()
    }

    /// The cell of the center, as small as it may be for it and its neighbours to cover the shape.
    fn center_cell(&self, bounds: &Bounds) -> Cell {
        let steps = self.steps();
        let cell = Cell::of(self.center, &WORLD, steps);
        let area = |east, north| cell.neighbour(east, north).area();
        let is_covered = area(0, 1).latitude.1 >= bounds.latitude.1
            && area(0, -1).latitude.0 <= bounds.latitude.0
            && area(1, 0).longitude.1 >= bounds.longitude.1
            && area(-1, 0).longitude.0 <= bounds.longitude.0;
        if is_covered || steps == 1 { cell } else { Cell::of(self.center, &WORLD, steps - 1) }
    }

    /// How many steps cells should have, going by the size of the shape.
    fn steps(&self) -> u32 {
        let mut radius = self.unit.meters()
            * match self.form {
                Form::Circle { radius } => radius,
                Form::Box { width, height } => ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt(),
            };
        if radius == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = 1;
        // A radius that is no ordinary number may never get there, but after this many steps it does not matter.
        while radius < MERCATOR_MAX && steps < 2048 {
            radius *= 2.0;
            steps += 1;
        }
        // Two fewer, so that the shape is covered in most cases; cells are narrower towards the poles.
        let latitude = self.center.latitude.abs();
        steps -= 2 + i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    fn bounds(&self) -> Bounds {
        let meters = self.unit.meters();
        let (width, height) = match self.form {
            Form::Circle { radius } => (meters * radius, meters * radius),
            Form::Box { width, height } => (meters * (width / 2.0), meters * (height / 2.0)),
        };
        let Point { longitude, latitude } = self.center;
        let north = (height / EARTH_RADIUS).to_deg();
        // The shape is widest where it is nearest to a pole.
        let widest = if latitude < 0.0 { latitude - north } else { latitude + north };
        let east = (width / EARTH_RADIUS / widest.to_rad().cos()).to_deg();
        Bounds { longitude: (longitude - east, longitude + east), latitude: (latitude - north, latitude + north) }
    }
}

/// Whether the neighbour of the center's cell lies on a side that the shape does not reach.
fn is_beyond(center: &Area, bounds: &Bounds, east: i32, north: i32) -> bool {
    north < 0 && center.latitude.0 < bounds.latitude.0
        || north > 0 && center.latitude.1 > bounds.latitude.1
        || east < 0 && center.longitude.0 < bounds.longitude.0
        || east > 0 && center.longitude.1 > bounds.longitude.1
}

pub(super) fn range(cell: Cell) -> ScoreRange {
    let (min, max) = cell.scores();
    ScoreRange {
        min: ScoreBound { score: min, is_exclusive: false },
        max: ScoreBound { score: max, is_exclusive: true },
    }
}
