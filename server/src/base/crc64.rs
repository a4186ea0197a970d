//! The CRC-64 that ends RDB files and DUMP payloads: the polynomial of Jones, reflected, nothing inverted.
//!
//! Eight bytes are taken at a step ("slicing by eight"): table `k` says what a byte does to the sum when `k` more bytes
//! follow it within the step.

/// 0xad93d23594c935a9 with its bits reversed.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

static TABLES: Tables = tables(POLYNOMIAL);

/// The sum of some bytes, given the sum of the bytes before them (0 at the start).
pub fn crc64(sum: u64, bytes: &[u8]) -> u64 {
    add(&TABLES, sum, bytes)
}

/// What a byte does to a sum, for each place in a step.
pub(super) type Tables = [[u64; 256]; 8];

/// The sum with some bytes added, by the tables of any reflected polynomial of up to 64 bits.
#[inline]
pub(super) fn add(tables: &Tables, sum: u64, bytes: &[u8]) -> u64 {
    let (steps, rest) = bytes.as_chunks::<8>();
    let sum = steps.iter().fold(sum, |sum, &step| {
        let mixed = (sum ^ u64::from_le_bytes(step)).to_le_bytes();
        let after = mixed.iter().zip(tables.iter().rev());
        after.fold(0, |next, (&byte, table)| next ^ table[usize::from(byte)])
    });
    rest.iter().fold(sum, |sum, &byte| tables[0][usize::from(sum as u8 ^ byte)] ^ (sum >> 8))
}

/// The tables of a reflected polynomial; one of fewer than 64 bits stands in the low ones.
pub(super) const fn tables(polynomial: u64) -> Tables {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ polynomial } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let sum = tables[table - 1][byte];
            tables[table][byte] = tables[0][(sum & 0xff) as usize] ^ (sum >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bit_by_bit(sum: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(sum, |sum, &byte| {
            (0..8).fold(sum ^ u64::from(byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 })
        })
    }

    #[test]
    fn the_check_value_of_the_variant() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(0, b""), 0);
    }

    proptest::proptest! {
        #[test]
        fn the_tables_agree_with_single_bits(bytes: Vec<u8>, cut: proptest::sample::Index) {
            let whole = bit_by_bit(0, &bytes);
            proptest::prop_assert_eq!(crc64(0, &bytes), whole);
            let (front, back) = bytes.split_at(cut.index(bytes.len() + 1));
            proptest::prop_assert_eq!(crc64(crc64(0, front), back), whole);
        }
    }
}
