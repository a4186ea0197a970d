//! Connections that are served together though each has asked for little.
//!
//! A pipeline's keys are looked ahead at, which hides what memory costs (see [`crate::command::dispatch`]). Where each
//! connection has one request under way there is nothing to look ahead at, but many connections become readable at the
//! same time. So a short read is not run at once: it is held, the memory that it will most likely ask for is on its way,
//! and it is run once the other connections of the round have read as well.

/// The longest read that is held: a request or two with a short value.
pub const HELD_MAX: usize = 192;

/// A read that waits for its round, inside its connection.
pub struct HeldRead {
    bytes: [u8; HELD_MAX],
    len: usize,
}

impl Default for HeldRead {
    fn default() -> HeldRead {
        HeldRead { bytes: [0; HELD_MAX], len: 0 }
    }
}

impl HeldRead {
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Holds a read of at most [`HELD_MAX`] bytes.
    pub fn hold(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len();
    }

    /// What was held; nothing is from then on.
    pub fn take(&mut self) -> &[u8] {
        &self.bytes[..std::mem::take(&mut self.len)]
    }
}

/// The second word of a request, which most commands have their key in. It need not be right: a wrong guess costs what a
/// right one saves.
pub fn likely_key(bytes: &[u8]) -> Option<&[u8]> {
    let (count, rest) = length(bytes, b'*')?;
    if count < 2 {
        return None;
    }
    let (name, rest) = length(rest, b'$')?;
    let (key, rest) = length(rest.get(name + 2..)?, b'$')?;
    rest.get(..key)
}

/// A length of up to three digits behind its mark, and what follows its line.
fn length(bytes: &[u8], mark: u8) -> Option<(usize, &[u8])> {
    let (first, digits) = bytes.split_first()?;
    if *first != mark {
        return None;
    }
    let mut number = 0;
    for (at, byte) in digits.iter().enumerate().take(4) {
        match byte {
            b'0'..=b'9' => number = number * 10 + usize::from(byte - b'0'),
            _ => return Some((number, digits.get(at + 2..)?)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_request_is_its_second_word() {
        assert_eq!(likely_key(b"*2\r\n$3\r\nGET\r\n$4\r\nname\r\n"), Some(&b"name"[..]));
        assert_eq!(likely_key(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\nvv"), Some(&b"k"[..]));
        assert_eq!(likely_key(b"*1\r\n$4\r\nPING\r\n"), None);
        assert_eq!(likely_key(b"GET name\r\n"), None);
    }

    #[test]
    fn nothing_that_is_cut_off_or_malformed_has_a_key() {
        let whole = b"*2\r\n$3\r\nGET\r\n$4\r\nname\r\n";
        (0..whole.len() - 2).for_each(|len| assert_eq!(likely_key(&whole[..len]), None, "{len}"));
        for bytes in [&b"*2\r\n$99999\r\n"[..], b"*2\r\n$-1\r\n$", b"*x", b"*2\r\n$999\r\nGET\r\n", b"**", b"*"] {
            assert_eq!(likely_key(bytes), None);
        }
    }
}
