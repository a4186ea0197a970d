//! The longest common subsequence of two strings, as the LCS command gives it.
//!
//! Of several longest ones the command has to choose as Redis does, who fills a table with the length for every pair of
//! prefixes and walks back from its corner. The walk only asks whether the length grows from one column to the next, so
//! one bit per cell is kept, and 64 cells are computed at a time (Hyyrö, "Bit-parallel LCS-length computation
//! revisited", 2004): a thirty-second of the memory, and far less time.

/// Why the command refuses; the texts are Redis's, less `ERR `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LcsError {
    /// A string has 2^32 - 2 bytes or more.
    TooLong,
    /// Redis's table would take more than `proto-max-bulk-len` bytes.
    TooMuchMemory,
}

impl std::fmt::Display for LcsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LcsError::TooLong => "String too long for LCS",
            LcsError::TooMuchMemory => "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        })
    }
}

impl std::error::Error for LcsError {}

/// A run of bytes common to both strings and part of the subsequence. Ends are inclusive, as the reply has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub a: (usize, usize),
    pub b: (usize, usize),
}

impl Range {
    /// In bytes: what WITHMATCHLEN adds and MINMATCHLEN compares with.
    pub fn match_length(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// Refuses strings for which Redis would refuse too.
///
/// Strings of 64 bytes and more then cost at most a sixteenth of `memory_max`; with a shorter one, whose last word is
/// partly empty, it is about `memory_max` at the worst.
///
/// # Errors
///
/// [`LcsError`]
pub fn check_size(a: &[u8], b: &[u8], memory_max: u64) -> Result<(), LcsError> {
    const LENGTH_LIMIT: usize = u32::MAX as usize - 1;
    if a.len() >= LENGTH_LIMIT || b.len() >= LENGTH_LIMIT {
        return Err(LcsError::TooLong);
    }
    let cells = (a.len() as u64 + 1) * (b.len() as u64 + 1);
    match cells.checked_mul(size_of::<u32>() as u64) {
        Some(bytes) if bytes <= memory_max => Ok(()),
        _ => Err(LcsError::TooMuchMemory),
    }
}

/// The length alone (LEN), in memory that grows with the strings and not with their product.
///
/// # Errors
///
/// As [`check_size`].
pub fn length(a: &[u8], b: &[u8], memory_max: u64) -> Result<usize, LcsError> {
    check_size(a, b, memory_max)?;
    let mut columns = Columns::new(a, b);
    for &byte in a {
        columns.step(byte);
    }
    Ok(columns.growth.iter().map(|word| word.count_zeros() as usize).sum())
}

/// The subsequence itself.
///
/// # Errors
///
/// As [`check_size`].
pub fn subsequence(a: &[u8], b: &[u8], memory_max: u64) -> Result<Vec<u8>, LcsError> {
    let mut bytes = Vec::new();
    walk(a, b, memory_max, |i, _| bytes.push(a[i]))?;
    bytes.reverse();
    Ok(bytes)
}

/// The runs of at least `match_length_min` bytes (IDX, MINMATCHLEN), from the end to the start, and the length of the
/// whole subsequence.
///
/// # Errors
///
/// As [`check_size`].
pub fn ranges(a: &[u8], b: &[u8], match_length_min: usize, memory_max: u64) -> Result<(Vec<Range>, usize), LcsError> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut length = 0;
    walk(a, b, memory_max, |i, j| {
        length += 1;
        match ranges.last_mut() {
            Some(last) if (last.a.0, last.b.0) == (i + 1, j + 1) => (last.a.0, last.b.0) = (i, j),
            last => {
                // The run before is complete; it goes if it is too short, so short ones do not pile up.
                if last.is_some_and(|last| last.match_length() < match_length_min) {
                    ranges.pop();
                }
                ranges.push(Range { a: (i, i), b: (j, j) });
            }
        }
    })?;
    ranges.retain(|range| range.match_length() >= match_length_min);
    Ok((ranges, length))
}

/// Calls `matched` for each pair of positions in the subsequence, from the last to the first.
///
/// Where bytes differ, Redis drops the last byte of `b`, unless that makes the subsequence shorter.
fn walk(a: &[u8], b: &[u8], memory_max: u64, mut matched: impl FnMut(usize, usize)) -> Result<(), LcsError> {
    check_size(a, b, memory_max)?;
    let mut columns = Columns::new(a, b);
    let width = columns.growth.len();
    let mut rows = Vec::with_capacity(a.len() * width);
    for &byte in a {
        columns.step(byte);
        rows.extend_from_slice(&columns.growth);
    }
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            matched(i, j);
        } else if rows[(i - 1) * width + (j - 1) / 64] >> ((j - 1) % 64) & 1 == 0 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    Ok(())
}

/// One row of Redis's table, as differences: bit `j` is 0 where the length grows from column `j` to `j + 1`.
struct Columns {
    growth: Vec<u64>,
    /// For each byte of `a`, which positions of `b` hold it; one row of words per different byte.
    places: Vec<u64>,
    /// Where in `places` a byte's row begins.
    row_of: [usize; 256],
}

impl Columns {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let width = b.len().div_ceil(64);
        const NONE: usize = usize::MAX;
        let mut row_of = [NONE; 256];
        let mut rows = 0;
        for &byte in a {
            if row_of[usize::from(byte)] == NONE {
                row_of[usize::from(byte)] = rows * width;
                rows += 1;
            }
        }
        let mut places = vec![0; rows * width];
        for (j, &byte) in b.iter().enumerate() {
            if row_of[usize::from(byte)] != NONE {
                places[row_of[usize::from(byte)] + j / 64] |= 1 << (j % 64);
            }
        }
        Self { growth: vec![u64::MAX; width], places, row_of }
    }

    /// Goes on to the next row, `byte` being the next of `a`.
    fn step(&mut self, byte: u8) {
        let places = &self.places[self.row_of[usize::from(byte)]..];
        let mut carry = false;
        for (word, places) in self.growth.iter_mut().zip(places) {
            let here = *word & places;
            let (sum, carried) = word.carrying_add(here, carry);
            carry = carried;
            *word = sum | (*word & !places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY_MAX: u64 = 512 << 20;

    /// The table in full, as the command's documentation describes it.
    fn naive(a: &[u8], b: &[u8]) -> Vec<(usize, usize)> {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] =
                    if a[i - 1] == b[j - 1] { table[i - 1][j - 1] + 1 } else { table[i - 1][j].max(table[i][j - 1]) };
            }
        }
        let (mut i, mut j) = (a.len(), b.len());
        let mut pairs = Vec::new();
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                pairs.push((i, j));
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        pairs
    }

    #[test]
    fn the_example_of_the_documentation() {
        let (a, b) = (b"ohmytext", b"mynewtext");
        assert_eq!(subsequence(a, b, MEMORY_MAX).unwrap(), b"mytext");
        assert_eq!(length(a, b, MEMORY_MAX), Ok(6));
        let text = Range { a: (4, 7), b: (5, 8) };
        let my = Range { a: (2, 3), b: (0, 1) };
        assert_eq!(ranges(a, b, 0, MEMORY_MAX), Ok((vec![text, my], 6)));
        assert_eq!(ranges(a, b, 4, MEMORY_MAX), Ok((vec![text], 6)));
        assert_eq!(ranges(a, b, 5, MEMORY_MAX), Ok((vec![], 6)));
        assert_eq!(text.match_length(), 4);
    }

    #[test]
    fn a_missing_key_has_nothing_in_common() {
        assert_eq!(subsequence(b"", b"abc", MEMORY_MAX).unwrap(), b"");
        assert_eq!(length(b"abc", b"", MEMORY_MAX), Ok(0));
        assert_eq!(ranges(b"abc", b"xyz", 0, MEMORY_MAX), Ok((vec![], 0)));
    }

    #[test]
    fn strings_are_refused_where_redis_refuses_them() {
        assert_eq!(check_size(&[0; 9], &[0; 9], 400), Ok(()));
        assert_eq!(check_size(&[0; 9], &[0; 9], 399), Err(LcsError::TooMuchMemory));
        assert_eq!(length(&[0; 20_000], &[1; 20_000], MEMORY_MAX), Err(LcsError::TooMuchMemory));
        assert_eq!(
            LcsError::TooMuchMemory.to_string(),
            "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        );
    }

    proptest::proptest! {
        #[test]
        fn the_choice_is_that_of_the_full_table(
            a in proptest::collection::vec(0u8..4, 0..200),
            b in proptest::collection::vec(0u8..5, 0..200),
            match_length_min in 0usize..5,
        ) {
            let pairs = naive(&a, &b);
            let mut found = Vec::new();
            walk(&a, &b, MEMORY_MAX, |i, j| found.push((i, j))).unwrap();
            proptest::prop_assert_eq!(&found, &pairs);
            proptest::prop_assert_eq!(length(&a, &b, MEMORY_MAX), Ok(pairs.len()));
            let (ranges, length) = ranges(&a, &b, match_length_min, MEMORY_MAX).unwrap();
            proptest::prop_assert_eq!(length, pairs.len());
            proptest::prop_assert!(ranges.iter().all(|range| range.match_length() >= match_length_min));
            if match_length_min <= 1 {
                let listed = ranges.iter().flat_map(|range| {
                    (0..range.match_length()).map(|back| (range.a.1 - back, range.b.1 - back))
                });
                proptest::prop_assert_eq!(listed.collect::<Vec<_>>(), pairs);
            }
        }
    }
}
