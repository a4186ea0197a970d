//! How a command is written in the stream: as a client would send it, an array of bulk strings.

use crate::base::number::push_integer;

/// Appends a command of these words.
pub fn push_command<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    out.push(b'*');
    push_integer(out, words.len());
    out.extend_from_slice(b"\r\n");
    words.for_each(|word| push_word(out, word));
}

/// Appends one word.
#[inline]
pub fn push_word(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'$');
    push_integer(out, word.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(word);
    out.extend_from_slice(b"\r\n");
}

/// Appends the command that selects a database.
pub fn push_select(out: &mut Vec<u8>, db: usize) {
    let mut number = Vec::with_capacity(2);
    push_integer(&mut number, db);
    push_command(out, [&b"SELECT"[..], &number].into_iter());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        push_command(&mut out, [&b"SET"[..], b"", b"a\r\nb"].into_iter());
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
        out.clear();
        push_select(&mut out, 12);
        assert_eq!(out, b"*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n");
    }
}
