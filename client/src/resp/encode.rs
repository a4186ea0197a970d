//! From words to the bytes of a request.

/// Appends the request made of `words` (the command's name first) to `out`, as an array of strings.
///
/// Any bytes may stand in a word. Written by hand: `redis-protocol` would want the words in a vector of frames first.
pub fn encode_request(words: &[impl AsRef<[u8]>], out: &mut Vec<u8>) {
    head(b'*', words.len(), out);
    for word in words {
        let word = word.as_ref();
        head(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A type byte, a decimal number, a line end.
fn head(kind: u8, mut number: usize, out: &mut Vec<u8>) {
    const DIGITS_MAX: usize = 20;
    let mut line = [0; 1 + DIGITS_MAX + 2];
    let end = line.len();
    line[end - 2..].copy_from_slice(b"\r\n");
    let mut start = end - 2;
    loop {
        start -= 1;
        line[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    start -= 1;
    line[start] = kind;
    out.extend_from_slice(&line[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_and_measured() {
        let mut wire = Vec::new();
        encode_request(&["SET", "key", "0123456789"], &mut wire);
        assert_eq!(wire, b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$10\r\n0123456789\r\n");
    }

    #[test]
    fn heads_hold_every_number() {
        for number in [0, 9, 10, 1_000_000, usize::MAX] {
            let mut line = Vec::new();
            head(b'$', number, &mut line);
            assert_eq!(line, format!("${number}\r\n").as_bytes());
        }
    }
}
