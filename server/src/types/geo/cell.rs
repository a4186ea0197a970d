//! The grid: each step halves longitudes and latitudes once more.

use super::{LATITUDE_MAX, LONGITUDE_MAX, Point};

/// Steps of a score's cell.
pub(super) const STEPS_MAX: u32 = 26;

/// Bits of a score.
const SCORE_BITS: u32 = 2 * STEPS_MAX;

const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// What is divided into cells: from and to.
pub(super) struct World {
    pub(super) longitude: (f64, f64),
    pub(super) latitude: (f64, f64),
}

/// The world of scores.
pub(super) const WORLD: World =
    World { longitude: (-LONGITUDE_MAX, LONGITUDE_MAX), latitude: (-LATITUDE_MAX, LATITUDE_MAX) };

/// One cell of a grid: its longitude in the odd bits, its latitude in the even ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) bits: u64,
    /// 1 to 26: so many bits of each.
    pub(super) steps: u32,
}

/// What a cell covers: from and to.
pub(super) struct Area {
    pub(super) longitude: (f64, f64),
    pub(super) latitude: (f64, f64),
}

impl Cell {
    /// The cell that a place lies in. The greatest longitude and latitude are numbered one above the last cell.
    pub(super) fn of(point: Point, world: &World, steps: u32) -> Cell {
        let share = |value, (min, max): (f64, f64)| (value - min) / (max - min);
        let scale = (1u64 << steps) as f64;
        let latitude = (share(point.latitude, world.latitude) * scale) as u32;
        let longitude = (share(point.longitude, world.longitude) * scale) as u32;
        Cell { bits: spread(latitude) | spread(longitude) << 1, steps }
    }

    pub(super) fn area(self) -> Area {
        let scale = (1u64 << self.steps) as f64;
        let span = |index: u32, (min, max): (f64, f64)| {
            let size = max - min;
            (min + f64::from(index) / scale * size, min + (f64::from(index) + 1.0) / scale * size)
        };
        Area {
            longitude: span(gather(self.bits >> 1), WORLD.longitude),
            latitude: span(gather(self.bits), WORLD.latitude),
        }
    }

    /// The cell so many cells to the east and to the north, -1 to 1 each; it goes round the globe.
    pub(super) fn neighbour(self, east: i32, north: i32) -> Cell {
        let used = u64::MAX >> (u64::BITS - 2 * self.steps);
        let longitude = moved(self.bits, ODD, used, east);
        let latitude = moved(self.bits, EVEN, used, north);
        Cell { bits: longitude | latitude, steps: self.steps }
    }

    /// The scores of the places in the cell: from, and up to but not with.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = SCORE_BITS - 2 * self.steps;
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// The number in the bits of `lane`, one more or less, and then of as many bits as `used` has; or as it is.
fn moved(bits: u64, lane: u64, used: u64, by: i32) -> u64 {
    let mask = lane & used;
    let one = mask & mask.wrapping_neg();
    match by {
        // With the other bits set, a carry runs through them.
        1 => (bits | !mask).wrapping_add(one) & mask,
        -1 => (bits & mask).wrapping_sub(one) & mask,
        _ => bits & lane,
    }
}

/// The bits of a number in the even places.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, EVEN),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// The number whose bits are in the even places.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & EVEN;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_spread_and_gathered() {
        assert_eq!((spread(0b1011), gather(0b0100_0101)), (0b0100_0101, 0b1011));
        assert_eq!((spread(u32::MAX), gather(u64::MAX)), (EVEN, u32::MAX));
    }

    #[test]
    fn neighbours_lie_beside_a_cell_and_round_the_globe() {
        let at = |longitude: u32, latitude: u32| Cell { bits: spread(longitude) << 1 | spread(latitude), steps: 3 };
        assert_eq!(at(3, 4).neighbour(1, 0), at(4, 4));
        assert_eq!(at(3, 4).neighbour(-1, 1), at(2, 5));
        assert_eq!(at(7, 0).neighbour(1, -1), at(0, 7));
        assert_eq!(at(0, 7).neighbour(-1, 1), at(7, 0));
    }
}
