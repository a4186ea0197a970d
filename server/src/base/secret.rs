//! Comparing passwords without telling, by the time it takes, how much of a guess was right.

use std::hint::black_box;

/// Whether a guess is the secret. Takes a time that depends on the length of the guess alone.
pub fn is_same(guess: &[u8], secret: &[u8]) -> bool {
    let mut difference = guess.len() ^ secret.len();
    for (index, &byte) in guess.iter().enumerate() {
        // A secret without bytes is compared with a byte that stands for nothing: the lengths differ already.
        let expected = secret.get(index % secret.len().max(1)).copied().unwrap_or(0);
        difference |= usize::from(black_box(byte ^ expected));
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_the_same() {
        assert!(is_same(b"secret", b"secret"));
        assert!(is_same(b"", b""));
        for guess in [&b""[..], b"secre", b"secrets", b"secretsecret", b"Secret", b"\0"] {
            assert!(!is_same(guess, b"secret"), "{guess:?}");
        }
        assert!(!is_same(b"\0", b""));
    }
}
