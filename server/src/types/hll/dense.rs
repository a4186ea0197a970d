//! Registers of six bits: four in each three bytes, from the low bits on.

use super::REGISTERS;
use super::estimate::Histogram;

/// Bytes of all registers.
pub(super) const BYTES: usize = REGISTERS * 6 / 8;

const MASK: u32 = 63;

/// Raises a register to at least `count`; whether it was lower.
pub(super) fn raise(bytes: &mut [u8], register: usize, count: u8) -> bool {
    let start = register / 4 * 3;
    let shift = register % 4 * 6;
    let four = &mut bytes[start..start + 3];
    let word = u32::from_le_bytes([four[0], four[1], four[2], 0]);
    if (word >> shift & MASK) as u8 >= count {
        return false;
    }
    let word = word & !(MASK << shift) | u32::from(count) << shift;
    four.copy_from_slice(&word.to_le_bytes()[..3]);
    true
}

/// The count of a register.
pub(super) fn get(bytes: &[u8], register: usize) -> u8 {
    let start = register / 4 * 3;
    let four = &bytes[start..start + 3];
    let word = u32::from_le_bytes([four[0], four[1], four[2], 0]);
    (word >> (register % 4 * 6) & MASK) as u8
}

pub(super) fn histogram(bytes: &[u8]) -> Histogram {
    // Four at a time, so that one count after another that is the same does not wait for the one before.
    let mut four: [Histogram; 4] = Default::default();
    for counts in bytes.as_chunks().0.iter().map(unpack) {
        for (histogram, count) in four.iter_mut().zip(counts) {
            histogram.add(count, 1);
        }
    }
    let mut sum = Histogram::default();
    four.iter().for_each(|histogram| sum.add_all(histogram));
    sum
}

/// Raises each of `registers` to what it is here.
pub(super) fn max_into(bytes: &[u8], registers: &mut [u8]) {
    for (own, registers) in bytes.as_chunks().0.iter().zip(registers.as_chunks_mut::<4>().0) {
        *registers = std::array::from_fn(|index| registers[index].max(unpack(own)[index]));
    }
}

fn unpack(bytes: &[u8; 3]) -> [u8; 4] {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    [0, 6, 12, 18].map(|shift| (word >> shift & MASK) as u8)
}
