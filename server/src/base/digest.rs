//! The digest of a value: 64-bit XXH3 with seed 0, as Redis computes it for DIGEST and IFDEQ.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Digits of a digest's text.
pub const DIGITS: usize = 16;

/// The digest of bytes that lie in one place.
pub fn of(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// The digest of bytes that come in parts.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut state = Xxh3Default::new();
    parts.into_iter().for_each(|part| state.update(part));
    state.digest()
}

/// The text of a digest: [`DIGITS`] lower-case hexadecimal digits.
pub fn text(digest: u64) -> [u8; DIGITS] {
    std::array::from_fn(|index| b"0123456789abcdef"[(digest >> (60 - 4 * index) & 15) as usize])
}

/// The digest that a text stands for; `None` unless it is [`DIGITS`] hexadecimal digits, in either case.
pub fn parse(text: &[u8]) -> Option<u64> {
    if text.len() != DIGITS {
        return None;
    }
    text.iter().try_fold(0, |digest, &byte| Some(digest << 4 | u64::from(char::from(byte).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 8.4 and its documentation have them.
    const KNOWN: [(&[u8], &str); 4] = [
        (b"Hello world", "b6acb9d84a38ff74"),
        (b"test", "9ec9f7918d7dfc40"),
        (b"hello", "9555e8555c62dcfd"),
        (
            b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd",
            "00006c38adf31777",
        ),
    ];

    #[test]
    fn digests_are_those_of_redis() {
        for (bytes, digest) in KNOWN {
            assert_eq!(text(of(bytes)), digest.as_bytes());
        }
    }

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        let bytes: Vec<u8> = (0..5_000u32).map(|at| ((at * at) >> 3) as u8).collect();
        for (length, part) in [(0, 1), (1, 1), (240, 7), (241, 100), (1_024, 256), (5_000, 1_012)] {
            assert_eq!(of_parts(bytes[..length].chunks(part)), of(&bytes[..length]), "{length} in parts of {part}");
        }
    }

    #[test]
    fn texts_have_sixteen_digits_in_either_case() {
        assert_eq!(parse(b"00006C38adF31777"), Some(0x6c38_adf3_1777));
        for text in [&b""[..], b"6c38adf31777", b"00006c38adf3177g", b"+0006c38adf31777", b"000006c38adf31777"] {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(parse(&text(u64::MAX - 5)), Some(u64::MAX - 5));
    }
}
