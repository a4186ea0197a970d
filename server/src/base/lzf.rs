//! LZF, the compression of strings in RDB: fast, without a header, the lengths being kept outside.
//!
//! A control byte below 32 starts a run of 1 to 32 plain bytes. Any other repeats what was put out before: its upper
//! three bits are the length less 2 (7 means that one more byte is to be added), its lower five and the byte after
//! that are the distance less 1.

const RUN_MAX: usize = 32;
const DISTANCE_MAX: usize = 1 << 13;
const REPEAT_MIN: usize = 3;
const REPEAT_MAX: usize = 2 + 7 + 255;

/// The input is no LZF data, or its output is not of the length that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("corrupt LZF data, or its announced length is wrong")
    }
}

impl std::error::Error for Corrupt {}

/// Decompresses `input`, whose output is announced to have exactly `length` bytes.
///
/// Allocates no more than `length` bytes, and no more than 88 times the input, which is what three bytes can hold at
/// most: an announcement alone costs nothing.
///
/// # Errors
///
/// [`Corrupt`]
pub fn decompress(input: &[u8], length: usize) -> Result<Vec<u8>, Corrupt> {
    if length > input.len().saturating_mul(REPEAT_MAX / 3) {
        return Err(Corrupt);
    }
    let mut out = Vec::with_capacity(length);
    let mut rest = input;
    while let Some((&control, behind)) = rest.split_first() {
        let room = length - out.len();
        rest = if usize::from(control) < RUN_MAX {
            copy_run(&mut out, behind, usize::from(control) + 1, room)?
        } else {
            copy_repeat(&mut out, behind, usize::from(control), room)?
        };
    }
    (out.len() == length).then_some(out).ok_or(Corrupt)
}

fn copy_run<'a>(out: &mut Vec<u8>, input: &'a [u8], length: usize, room: usize) -> Result<&'a [u8], Corrupt> {
    let (run, behind) = input.split_at_checked(length).filter(|_| length <= room).ok_or(Corrupt)?;
    out.extend_from_slice(run);
    Ok(behind)
}

fn copy_repeat<'a>(out: &mut Vec<u8>, input: &'a [u8], control: usize, room: usize) -> Result<&'a [u8], Corrupt> {
    let (length, low, behind) = match (control >> 5, input) {
        (7, &[more, low, ref behind @ ..]) => (9 + usize::from(more), low, behind),
        (7, _) => return Err(Corrupt),
        (short, &[low, ref behind @ ..]) => (short + 2, low, behind),
        (_, []) => return Err(Corrupt),
    };
    let distance = ((control & 31) << 8 | usize::from(low)) + 1;
    let start = out.len().checked_sub(distance).filter(|_| length <= room).ok_or(Corrupt)?;
    // The source may reach into what is being put out; each round then copies all there is of the pattern so far.
    let end = out.len() + length;
    while out.len() < end {
        let part = (end - out.len()).min(out.len() - start);
        out.extend_from_within(start..start + part);
    }
    Ok(behind)
}

/// Compresses `input` into at most `length_max` bytes; `None` if it takes more.
pub fn compress(input: &[u8], length_max: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(length_max.min(input.len()));
    let mut table = Table::new();
    let (mut at, mut pending) = (0, 0);
    while at + REPEAT_MIN <= input.len() {
        let found = table.swap(input, at).filter(|&earlier| is_match(input, earlier, at));
        let Some(earlier) = found else {
            at += 1;
            if out.len() + (at - pending) > length_max {
                return None;
            }
            continue;
        };
        push_runs(&mut out, &input[pending..at]);
        let length = common_length(input, earlier, at);
        push_repeat(&mut out, at - earlier, length);
        // Only the end of what was repeated is remembered: the rest is as near as its first occurrence in most texts.
        let end = at + length;
        for place in (end - 2..end).filter(|place| place + REPEAT_MIN <= input.len()) {
            table.swap(input, place);
        }
        (at, pending) = (end, end);
        if out.len() > length_max {
            return None;
        }
    }
    push_runs(&mut out, &input[pending..]);
    (out.len() <= length_max).then_some(out)
}

fn push_runs(out: &mut Vec<u8>, plain: &[u8]) {
    for run in plain.chunks(RUN_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn push_repeat(out: &mut Vec<u8>, distance: usize, length: usize) {
    let (high, low) = ((distance - 1) >> 8, (distance - 1) as u8);
    match length - 2 {
        short @ ..7 => out.push((short << 5 | high) as u8),
        long => out.extend_from_slice(&[(7 << 5 | high) as u8, (long - 7) as u8]),
    }
    out.push(low);
}

fn is_match(input: &[u8], earlier: usize, at: usize) -> bool {
    at - earlier <= DISTANCE_MAX && input[earlier..earlier + REPEAT_MIN] == input[at..at + REPEAT_MIN]
}

fn common_length(input: &[u8], earlier: usize, at: usize) -> usize {
    let length_max = REPEAT_MAX.min(input.len() - at);
    input[earlier..].iter().zip(&input[at..at + length_max]).take_while(|(a, b)| a == b).count()
}

/// Where each group of three bytes was last seen, by a hash of it; 16 KiB, so that clearing it costs next to nothing.
///
/// Places are kept modulo 2^16, which is enough because only those up to [`DISTANCE_MAX`] back are of use. A place
/// that is wrong for another reason costs a comparison and nothing else: [`is_match`] looks at the bytes.
struct Table([u16; 1 << Self::BITS]);

impl Table {
    const BITS: u32 = 13;

    fn new() -> Self {
        Self([0; 1 << Self::BITS])
    }

    /// Notes the three bytes at `at`, and gives where in the 64 KiB before it they may have been last.
    fn swap(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let group = u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0]);
        let slot = &mut self.0[(group.wrapping_mul(0x9e37_79b1) >> (u32::BITS - Self::BITS)) as usize];
        let distance = (at as u16).wrapping_sub(*slot);
        *slot = at as u16;
        if distance == 0 { None } else { at.checked_sub(usize::from(distance)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_repeats_are_put_out() {
        assert_eq!(decompress(b"", 0), Ok(vec![]));
        assert_eq!(decompress(b"\x02abc", 3), Ok(b"abc".to_vec()));
        assert_eq!(decompress(b"\x00a\x20\x00", 4), Ok(b"aaaa".to_vec()), "a repeat may reach into itself");
        assert_eq!(decompress(b"\x01ab\xe0\x00\x01", 11), Ok(b"abababababa".to_vec()));
        assert_eq!(decompress(b"\x00a\xe0\xff\x00", 265), Ok(vec![b'a'; 265]));
    }

    #[test]
    fn corrupt_input_is_an_error() {
        let cases: [(&[u8], usize); 9] = [
            (b"\x02ab", 3),
            (b"\x02abc", 2),
            (b"\x02abc", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0\xff", 265),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20\x00", 3),
            (b"\x20\x00", 3),
            (b"\x00a", usize::MAX),
        ];
        for (input, length) in cases {
            assert_eq!(decompress(input, length), Err(Corrupt), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn repetitive_text_shrinks_and_random_bytes_do_not() {
        let text = b"the quick brown fox and the quick brown dog and the quick brown cat".repeat(20);
        let packed = compress(&text, text.len() - 4).unwrap();
        assert!(packed.len() < text.len() / 8, "{}", packed.len());
        assert_eq!(decompress(&packed, text.len()), Ok(text));
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(1000)
        .collect();
        assert_eq!(compress(&noise, noise.len() - 4), None);
    }

    #[test]
    fn repeats_over_the_largest_distance_and_the_table_period_are_right() {
        for gap in [DISTANCE_MAX - 20, DISTANCE_MAX, 1 << 16, (1 << 16) + 1] {
            let mut text = b"0123456789abcdef".to_vec();
            text.resize(gap, b'.');
            text.extend_from_slice(b"0123456789abcdef");
            let packed = compress(&text, text.len()).unwrap();
            assert_eq!(decompress(&packed, text.len()), Ok(text));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_compressed_comes_back(text in proptest::collection::vec(0u8..4, 0..2000), slack in 0usize..100) {
            let length_max = text.len() + text.len().div_ceil(RUN_MAX);
            let packed = compress(&text, length_max).unwrap();
            proptest::prop_assert!(packed.len() <= length_max);
            proptest::prop_assert_eq!(decompress(&packed, text.len()), Ok(text.clone()));
            let tight = compress(&text, slack);
            proptest::prop_assert_eq!(tight.is_some(), packed.len() <= slack);
        }

        #[test]
        fn no_input_makes_it_panic_or_overrun(input: Vec<u8>, length in 0usize..10_000) {
            if let Ok(out) = decompress(&input, length) {
                proptest::prop_assert_eq!(out.len(), length);
            }
        }
    }
}
