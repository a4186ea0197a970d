//! Patterns for replies that are not the same every time.

/// Whether all of `text` has the form of `pattern`, where `*` stands for anything, `#` for one or more digits, and every
/// other character for itself. A backslash takes the special meaning away.
pub fn matches(pattern: &str, text: &str) -> bool {
    matches_bytes(pattern.as_bytes(), text.as_bytes())
}

/// Only the last `*` seen is ever tried again, one byte further on, so long texts with many stars stay cheap.
fn matches_bytes(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut retry = None;
    loop {
        match pattern {
            [] if text.is_empty() => return true,
            [b'*', rest @ ..] => {
                pattern = rest;
                retry = Some((rest, text));
                continue;
            }
            _ => {}
        }
        if let Some(after) = step(pattern, text) {
            (pattern, text) = after;
            continue;
        }
        let Some((after_star, [_, later @ ..])) = retry else {
            return false;
        };
        retry = Some((after_star, later));
        (pattern, text) = (after_star, later);
    }
}

/// Passes one character of the pattern, which is not `*`, and what it stands for.
fn step<'p, 't>(pattern: &'p [u8], text: &'t [u8]) -> Option<(&'p [u8], &'t [u8])> {
    match pattern {
        [] => None,
        [b'#', rest @ ..] => {
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (digits > 0).then(|| (rest, &text[digits..]))
        }
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (text.first() == Some(byte)).then(|| (rest, &text[1..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        assert!(matches("abc", "abc"));
        assert!(!matches("abc", "abcd"));
        assert!(matches("id=# addr=*:# *", "id=12 addr=127.0.0.1:50 fd=8"));
        assert!(!matches("#", ""));
        assert!(!matches("#", "-1"));
        assert!(matches("*", ""));
        assert!(matches(r"\*\#", "*#"));
        assert!(matches("[#, #]", "[1, 22]"));
        assert!(matches("*ab*#", "aab abx7"));
        assert!(!matches("*ab*#", "aab abx"));
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }
}
