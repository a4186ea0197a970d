//! HyperLogLog: how many different elements there were, within about 0.81 %, in at most 12 KiB.
//!
//! A counter is a string, byte for byte as Redis keeps it, so that GET, SET and RESTORE carry it between servers:
//! ```text
//! "HYLL", encoding, 3 zeros, the cached estimate in 8 bytes (little-endian; the top bit says that it is out of date)
//! encoding 0, dense:  16 384 registers of 6 bits, from the low bits of each byte on
//! encoding 1, sparse: 00nnnnnn           n+1 registers of 0
//!                     01nnnnnn nnnnnnnn  n+1 registers of 0
//!                     1vvvvvnn           n+1 registers of v+1
//! ```
//! An element is hashed by MurmurHash64A; the low 14 bits name a register, which keeps the greatest number of zeros (and
//! one) that the other 50 end in. Otmar Ertl's estimator, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017), makes a number of them.

mod dense;
mod estimate;
mod hash;
mod sparse;

use estimate::Histogram;

/// Registers of a counter.
pub const REGISTERS: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 14;

/// Bits of a hash that are looked at for zeros.
const COUNT_BITS: u32 = u64::BITS - INDEX_BITS;

const HEADER: usize = 16;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const CACHE_AT: usize = 8;
const CACHE_IS_OLD: u64 = 1 << 63;

/// Bytes of a counter whose registers are dense.
pub const DENSE_BYTES: usize = HEADER + dense::BYTES;

/// Why a string cannot be used as a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin as one, or has not the length of one.
    NotACounter,
    /// It begins as a sparse one and goes on as none.
    Corrupt,
}

/// The forms that registers are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

impl Encoding {
    /// The name that PFDEBUG ENCODING replies.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// A counter that has seen nothing. Its estimate is cached: it is 0.
pub fn new() -> Vec<u8> {
    let mut counter = vec![0; HEADER];
    counter[..MAGIC.len()].copy_from_slice(MAGIC);
    counter[ENCODING_AT] = SPARSE;
    counter.extend_from_slice(&sparse::ZEROS);
    counter
}

/// The encoding of a string that looks like a counter.
///
/// # Errors
///
/// [`Error::NotACounter`]; whether sparse registers are in order is found out where they are read.
pub fn encoding(counter: &[u8]) -> Result<Encoding, Error> {
    if counter.len() < HEADER || !counter.starts_with(MAGIC) {
        return Err(Error::NotACounter);
    }
    match counter[ENCODING_AT] {
        DENSE if counter.len() == DENSE_BYTES => Ok(Encoding::Dense),
        SPARSE => Ok(Encoding::Sparse),
        _ => Err(Error::NotACounter),
    }
}

/// Counts an element; whether that changed a register.
///
/// A sparse counter that would be longer than `sparse_bytes_max` (the setting `hll-sparse-max-bytes`) becomes dense.
/// The cached estimate is out of date after a change.
///
/// # Errors
///
/// [`Error::NotACounter`], or [`Error::Corrupt`] if the run up to the element's register is: nothing is changed then.
pub fn add(counter: &mut Vec<u8>, element: &[u8], sparse_bytes_max: usize) -> Result<bool, Error> {
    encoding(counter)?;
    let (register, count) = hash::register(element);
    let is_changed = raise(counter, register, count, sparse_bytes_max)?;
    if is_changed {
        invalidate(counter);
    }
    Ok(is_changed)
}

/// Whether counting an element would change a register.
///
/// # Errors
///
/// As in [`add`].
pub fn is_news(counter: &[u8], element: &[u8]) -> Result<bool, Error> {
    let (register, count) = hash::register(element);
    let known = match encoding(counter)? {
        Encoding::Dense => dense::get(&counter[HEADER..], register),
        Encoding::Sparse => sparse::get(counter, register)?,
    };
    Ok(known < count)
}

/// As [`add`] for a counter that is dense, and so never changes its length.
///
/// # Errors
///
/// [`Error::NotACounter`] if it is no dense one.
pub fn add_dense(counter: &mut [u8], element: &[u8]) -> Result<bool, Error> {
    if encoding(counter)? != Encoding::Dense {
        return Err(Error::NotACounter);
    }
    let (register, count) = hash::register(element);
    let is_changed = dense::raise(&mut counter[HEADER..], register, count);
    if is_changed {
        invalidate(counter);
    }
    Ok(is_changed)
}

/// Says that the cached estimate is out of date, which PFADD does for a counter that it made.
///
/// # Panics
///
/// If the string is shorter than a counter's header.
pub fn invalidate(counter: &mut [u8]) {
    let cache = cache(counter) | CACHE_IS_OLD;
    set_cache(counter, cache);
}

/// The estimate that is cached in the counter, unless it is out of date.
///
/// # Errors
///
/// [`Error::NotACounter`].
pub fn cached(counter: &[u8]) -> Result<Option<u64>, Error> {
    encoding(counter)?;
    let cache = cache(counter);
    Ok((cache & CACHE_IS_OLD == 0).then_some(cache))
}

/// The estimate of a counter, which is then cached in it; whether it was not cached before, and so the string changed.
///
/// # Errors
///
/// Both; then nothing is changed.
pub fn count(counter: &mut [u8]) -> Result<(u64, bool), Error> {
    if let Some(cached) = cached(counter)? {
        return Ok((cached, false));
    }
    let histogram = match encoding(counter)? {
        Encoding::Dense => dense::histogram(&counter[HEADER..]),
        Encoding::Sparse => sparse::histogram(&counter[HEADER..])?,
    };
    let estimate = estimate::of(&histogram);
    set_cache(counter, estimate);
    Ok((estimate, true))
}

/// What several counters have seen together.
pub struct Union {
    registers: Vec<u8>,
    has_dense: bool,
}

impl Default for Union {
    fn default() -> Union {
        Union { registers: vec![0; REGISTERS], has_dense: false }
    }
}

impl Union {
    /// Takes in a counter.
    ///
    /// # Errors
    ///
    /// Both; then the union is of no use any more.
    pub fn add(&mut self, counter: &[u8]) -> Result<(), Error> {
        match encoding(counter)? {
            Encoding::Dense => {
                self.has_dense = true;
                dense::max_into(&counter[HEADER..], &mut self.registers);
                Ok(())
            }
            Encoding::Sparse => sparse::max_into(&counter[HEADER..], &mut self.registers),
        }
    }

    /// The estimate of all elements that any of the counters has seen.
    pub fn estimate(&self) -> u64 {
        let mut histogram = Histogram::default();
        for &count in &self.registers {
            histogram.add(count, 1);
        }
        estimate::of(&histogram)
    }
}

/// Makes a counter see all that a union has seen, of which it is a part; dense if one of the union is, or if it must be.
///
/// # Errors
///
/// Both.
pub fn merge(counter: &mut Vec<u8>, union: &Union, sparse_bytes_max: usize) -> Result<(), Error> {
    encoding(counter)?;
    if union.has_dense {
        make_dense(counter)?;
    }
    for (register, &count) in union.registers.iter().enumerate().filter(|(_, count)| **count > 0) {
        raise(counter, register, count, sparse_bytes_max)?;
    }
    invalidate(counter);
    Ok(())
}

/// The registers of a counter, as PFDEBUG GETREG replies them.
///
/// # Errors
///
/// Both.
pub fn registers(counter: &[u8]) -> Result<Vec<u8>, Error> {
    let mut union = Union::default();
    union.add(counter)?;
    Ok(union.registers)
}

/// Makes a counter dense; whether it was not. The cached estimate stays.
///
/// # Errors
///
/// Both; then nothing is changed.
pub fn make_dense(counter: &mut Vec<u8>) -> Result<bool, Error> {
    if encoding(counter)? == Encoding::Dense {
        return Ok(false);
    }
    let registers = registers(counter)?;
    let mut made = Vec::with_capacity(DENSE_BYTES);
    made.extend_from_slice(&counter[..HEADER]);
    made[ENCODING_AT] = DENSE;
    made.resize(DENSE_BYTES, 0);
    for (register, &count) in registers.iter().enumerate() {
        dense::raise(&mut made[HEADER..], register, count);
    }
    *counter = made;
    Ok(true)
}

/// The run of a sparse counter in words, as PFDEBUG DECODE replies it: `z:` and `Z:` for zeros, `v:` for values.
///
/// `None` for a dense counter.
///
/// # Errors
///
/// [`Error::NotACounter`].
pub fn decode(counter: &[u8]) -> Result<Option<String>, Error> {
    Ok(match encoding(counter)? {
        Encoding::Dense => None,
        Encoding::Sparse => Some(sparse::decode(&counter[HEADER..])),
    })
}

/// Counts numbers and finds the estimates near enough, in both encodings: PFSELFTEST.
///
/// # Errors
///
/// A sentence for the operator about the first thing that is wrong.
pub fn self_test() -> Result<(), String> {
    const COUNT_MAX: u64 = 1_000_000;
    const SPARSE_BYTES_MAX: usize = 3000;
    let (mut sparse, mut dense) = (new(), new());
    make_dense(&mut dense).map_err(|error| format!("a new counter is {error:?}"))?;
    let mut checkpoint = 1;
    for number in 1..=COUNT_MAX {
        let element = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        let changed = [&mut sparse, &mut dense].map(|counter| add(counter, &element, SPARSE_BYTES_MAX));
        if changed[0] != changed[1] {
            return Err(format!("element {number}: {changed:?} in a sparse and a dense counter"));
        }
        if number == checkpoint {
            check_estimates(number, &mut sparse, &mut dense)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

fn check_estimates(number: u64, sparse: &mut [u8], dense: &mut [u8]) -> Result<(), String> {
    let estimates = [count(sparse), count(dense)];
    let [Ok((estimate, _)), Ok((other, _))] = estimates else {
        return Err(format!("{number} elements cannot be counted: {estimates:?}"));
    };
    if estimate != other {
        return Err(format!("{number} elements: the sparse counter says {estimate}, the dense one {other}"));
    }
    // The standard error is 1.04 / sqrt(16384); four of them, and one for the smallest numbers.
    let allowed = number as f64 * 4.0 * 1.04 / (REGISTERS as f64).sqrt() + 1.0;
    if estimate.abs_diff(number) as f64 > allowed {
        return Err(format!("{number} elements are counted as {estimate}, which is off by more than {allowed:.0}"));
    }
    Ok(())
}

/// Raises a register to at least `count`, 1 to 51; whether it was lower.
fn raise(counter: &mut Vec<u8>, register: usize, count: u8, sparse_bytes_max: usize) -> Result<bool, Error> {
    if counter[ENCODING_AT] == DENSE {
        return Ok(dense::raise(&mut counter[HEADER..], register, count));
    }
    match sparse::raise(counter, register, count, sparse_bytes_max)? {
        sparse::Raised::Yes => Ok(true),
        sparse::Raised::No => Ok(false),
        sparse::Raised::MustBeDense => {
            make_dense(counter)?;
            Ok(dense::raise(&mut counter[HEADER..], register, count))
        }
    }
}

fn cache(counter: &[u8]) -> u64 {
    let bytes = counter[CACHE_AT..HEADER].first_chunk().expect("the cache has eight bytes");
    u64::from_le_bytes(*bytes)
}

fn set_cache(counter: &mut [u8], cache: u64) {
    counter[CACHE_AT..HEADER].copy_from_slice(&cache.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of 1 to 31 bytes that follow from a number.
    fn elements(seed: u64, count: usize) -> impl Iterator<Item = Vec<u8>> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let length = (state >> 59) as usize;
            let mut element = state.to_string().into_bytes();
            if length > 8 {
                element.resize(element.len().max(length), b'.');
            } else {
                element.truncate(length);
            }
            element
        })
        .take(count)
    }

    fn counter(seed: u64, count: usize, sparse_bytes_max: usize) -> Vec<u8> {
        let mut counter = new();
        invalidate(&mut counter);
        for element in elements(seed, count) {
            add(&mut counter, &element, sparse_bytes_max).expect("it is a counter");
        }
        counter
    }

    /// The check sum of zlib.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn estimates_and_bytes_are_those_of_redis() {
        // hll-sparse-max-bytes, the seed, how many elements; then what redis-server 7.0.15 answers: PFCOUNT, the length,
        // and the check sums of GET before and after PFCOUNT.
        let facts = [
            (3000, 1, 0, 0, 18, 0x1eab_ee9c, 0xff9e_f51c),
            (3000, 2, 1, 1, 21, 0x1b7b_5e7e, 0xd85d_9323),
            (3000, 3, 7, 7, 39, 0x02c7_e747, 0x67c9_881a),
            (3000, 4, 60, 59, 185, 0x7868_d7df, 0xe6e3_320a),
            (3000, 5, 300, 274, 648, 0x15b3_b0f1, 0xfabf_051d),
            (3000, 6, 900, 836, 1616, 0x90f5_f024, 0x12be_ebea),
            (3000, 7, 1300, 1178, 2191, 0x4c70_cf54, 0x9059_c73c),
            (3000, 8, 1700, 1525, 2747, 0x4c7e_4f52, 0xba74_1bea),
            (3000, 9, 3000, 2678, 12304, 0x91d1_0036, 0xff8d_3b3d),
            (3000, 10, 20000, 17298, 12304, 0x1bd7_a34e, 0x04df_4ca1),
            (3000, 11, 300_000, 251_097, 12304, 0x812f_e221, 0x8526_ff14),
            (100, 4, 60, 59, 12304, 0xe47f_81de, 0xb9ba_9f65),
            (100, 8, 1700, 1525, 12304, 0x0f9d_d10f, 0x760f_8024),
            (20000, 8, 1700, 1525, 2747, 0x4c7e_4f52, 0xba74_1bea),
            (20000, 9, 3000, 2678, 4473, 0xf199_e2b1, 0xbca9_656b),
            (20000, 10, 20000, 17298, 12711, 0xb5b7_db95, 0x36fb_6a23),
        ];
        for (sparse_bytes_max, seed, elements, estimate, length, before, after) in facts {
            let mut counter = counter(seed, elements, sparse_bytes_max);
            let sums = (counter.len(), crc32(&counter));
            assert_eq!(sums, (length, before), "{elements} elements, sparse up to {sparse_bytes_max}");
            assert_eq!(count(&mut counter), Ok((estimate, true)));
            assert_eq!(count(&mut counter), Ok((estimate, false)));
            assert_eq!(cached(&counter), Ok(Some(estimate)));
            assert_eq!(crc32(&counter), after);
        }
    }

    #[test]
    fn merges_are_those_of_redis() {
        // How many elements each counter has; then PFCOUNT of all three, and the first one after PFMERGE.
        let facts = [
            ([5, 50, 0], 54, 167, 0x4705_c217),
            ([5, 300, 20], 306, 709, 0x8990_2c2d),
            ([700, 700, 700], 1853, 12304, 0x083d_3ce1),
            ([1200, 1200, 1], 2132, 12304, 0xe234_f069),
            ([2000, 10, 10], 1807, 12304, 0x6bd5_d61a),
        ];
        for (elements, estimate, length, sum) in facts {
            let [mut a, b, c] = [0, 1, 2].map(|index| counter(21 + index as u64, elements[index], 3000));
            let mut union = Union::default();
            [&a, &b, &c].into_iter().for_each(|counter| union.add(counter).expect("all are counters"));
            assert_eq!(union.estimate(), estimate);
            merge(&mut a, &union, 3000).expect("it is a counter");
            assert_eq!((a.len(), crc32(&a)), (length, sum), "{elements:?}");
            assert_eq!(count(&mut a), Ok((estimate, true)));
        }
    }

    #[test]
    fn an_element_is_new_once() {
        let mut counter = new();
        assert_eq!(cached(&counter), Ok(Some(0)));
        assert_eq!(add(&mut counter, b"a", 3000), Ok(true));
        assert_eq!(cached(&counter), Ok(None));
        assert_eq!(count(&mut counter), Ok((1, true)));
        assert_eq!(add(&mut counter, b"a", 3000), Ok(false));
        assert_eq!(count(&mut counter), Ok((1, false)));
    }

    #[test]
    fn what_is_no_counter_is_refused_and_stays_as_it_is() {
        let dense = counter(1, 3000, 3000);
        let mut other_encoding = new();
        other_encoding[ENCODING_AT] = 2;
        for text in [&b""[..], b"HYLL", &new()[..15], &dense[..DENSE_BYTES - 1], &other_encoding, &[b'x'; 20]] {
            let mut text = text.to_vec();
            let before = text.clone();
            assert_eq!(add(&mut text, b"a", 3000), Err(Error::NotACounter));
            assert_eq!(count(&mut text), Err(Error::NotACounter));
            assert_eq!(merge(&mut text, &Union::default(), 3000), Err(Error::NotACounter));
            assert_eq!(Union::default().add(&text), Err(Error::NotACounter));
            assert_eq!(is_news(&text, b"a"), Err(Error::NotACounter));
            assert_eq!(text, before);
        }
    }

    #[test]
    fn corrupt_runs_are_refused() {
        let cases: [&[u8]; 5] = [&[], &[0x7f], &[0x7f, 0xfe], &[0x7f, 0xff, 0x00], &[0x00, 0xff]];
        for runs in cases {
            let mut counter = [&new()[..HEADER], runs].concat();
            invalidate(&mut counter);
            let before = counter.clone();
            assert_eq!(count(&mut counter), Err(Error::Corrupt), "{runs:x?}");
            assert_eq!(make_dense(&mut counter), Err(Error::Corrupt));
            assert_eq!(registers(&counter), Err(Error::Corrupt));
            assert_eq!(Union::default().add(&counter), Err(Error::Corrupt));
            assert_eq!(counter, before);
        }
        let mut empty = new()[..HEADER].to_vec();
        assert_eq!(add(&mut empty, b"a", 3000), Err(Error::Corrupt));
    }

    #[test]
    fn dense_and_sparse_counters_have_the_same_registers() {
        let mut sparse = counter(3, 500, usize::MAX);
        assert_eq!(encoding(&sparse), Ok(Encoding::Sparse));
        let before = registers(&sparse).expect("it is a counter");
        assert_eq!(make_dense(&mut sparse), Ok(true));
        assert_eq!(make_dense(&mut sparse), Ok(false));
        assert_eq!((encoding(&sparse), decode(&sparse)), (Ok(Encoding::Dense), Ok(None)));
        assert_eq!(registers(&sparse), Ok(before));
    }

    #[test]
    fn runs_are_decoded_in_words() {
        let mut counter = new();
        assert_eq!(decode(&counter), Ok(Some("Z:16384".to_owned())));
        add(&mut counter, b"a", 3000).expect("it is a counter");
        assert_eq!(decode(&counter), Ok(Some("Z:12711 v:2,1 Z:3672".to_owned())));
    }

    #[test]
    fn the_self_test_finds_nothing() {
        assert_eq!(self_test(), Ok(()));
    }
}
