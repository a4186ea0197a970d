//! Glob patterns as KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules use them.
//!
//! The language is Redis's, corner cases included: `*`, `?`, `[abc]`, `[a-z]`, `[^a]`, `\` before any byte. A class
//! that is not closed ends with the pattern; a range may be backwards; bytes compare as signed ones in a range, so
//! `[a-\xff]` is `\xff` to `a`; an escaped byte in a class is never folded; and no pattern but the one without any
//! byte matches the text without any byte, not even `*` (KEYS and SCAN take a lone `*` before they ask here).

/// The stars that Redis enters before it gives up and says "no match".
const STARS_MAX: usize = 1000;

/// Whether all of `text` matches `pattern`; with `nocase`, ASCII letters match either case.
///
/// Takes at most `pattern.len() * text.len()` steps and no memory: every element but `*` takes exactly one byte, so
/// when the part behind a star fails, only the last star seen needs to take more.
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut rest, mut at) = (pattern, 0);
    let mut retry: Option<(&[u8], usize)> = None;
    let mut stars = 0;
    while at < text.len() {
        if let [b'*', ..] = rest {
            rest = skip_stars(rest);
            if rest.is_empty() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((rest, at));
        } else if let Some(behind) = match_one(rest, text[at], nocase) {
            rest = behind;
            at += 1;
        } else if let Some((behind_star, from)) = retry {
            (rest, at) = (behind_star, from + 1);
            retry = Some((rest, at));
        } else {
            return false;
        }
    }
    skip_stars(rest).is_empty()
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.iter().take_while(|&&byte| byte == b'*').count();
    &pattern[stars..]
}

/// Matches one byte with the first element of `pattern`, which is not a star; gives what is behind that element.
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<&[u8]> {
    let (matched, behind) = match pattern {
        [] => return None,
        [b'?', behind @ ..] => (true, behind),
        [b'[', class @ ..] => match_class(class, byte, nocase),
        [b'\\', literal, behind @ ..] => (same(*literal, byte, nocase), behind),
        [literal, behind @ ..] => (same(*literal, byte, nocase), behind),
    };
    matched.then_some(behind)
}

/// Whether `byte` is in the class whose text begins behind `[`, and what is behind the class.
fn match_class(class: &[u8], byte: u8, nocase: bool) -> (bool, &[u8]) {
    let (inverted, mut class) = match class {
        [b'^', class @ ..] => (true, class),
        class => (false, class),
    };
    let mut found = false;
    loop {
        match class {
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                class = rest;
            }
            [b']', behind @ ..] => return (found != inverted, behind),
            [] => return (found != inverted, class),
            [first, b'-', last, rest @ ..] => {
                found |= in_range(*first, *last, byte, nocase);
                class = rest;
            }
            [literal, rest @ ..] => {
                found |= same(*literal, byte, nocase);
                class = rest;
            }
        }
    }
}

/// The ends are put in order before letters are folded, as Redis does it, so `[Z-a]` without case has no member.
fn in_range(first: u8, last: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = if first as i8 <= last as i8 { (first, last) } else { (last, first) };
    let fold = |byte: u8| {
        if nocase { byte.to_ascii_lowercase() as i8 } else { byte as i8 }
    };
    (fold(low)..=fold(high)).contains(&fold(byte))
}

fn same(pattern: u8, text: u8, nocase: bool) -> bool {
    pattern == text || (nocase && pattern.eq_ignore_ascii_case(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), false)
    }

    #[test]
    fn literals_match_all_of_the_text() {
        assert!(check("key", "key"));
        assert!(!check("key", "keys"));
        assert!(!check("keys", "key"));
        assert!(!check("key", "Key"));
        assert!(matches(b"kEy", b"KeY", true));
    }

    #[test]
    fn a_star_takes_any_bytes_and_a_question_mark_takes_one() {
        for (pattern, text) in
            [("*", "a"), ("h?llo", "hello"), ("h*llo", "hllo"), ("h**o", "hello"), ("*a*b", "xaxbab"), ("a***", "a")]
        {
            assert!(check(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("h?llo", "hllo"), ("*a", "ab"), ("?", "ab"), ("a*?", "a")] {
            assert!(!check(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_text_without_bytes_matches_only_the_pattern_without_bytes() {
        assert!(check("", ""));
        for pattern in ["*", "**", "?", "[", "[^a]"] {
            assert!(!check(pattern, ""), "{pattern}");
        }
    }

    #[test]
    fn classes_have_members_ranges_and_inversion() {
        for (pattern, text) in [
            ("[abc]", "b"),
            ("[a-c]x", "bx"),
            ("[c-a]", "b"),
            ("[^a]", "b"),
            ("[a-]", "^"),
            ("[-a]", "-"),
            ("[^]", "x"),
        ] {
            assert!(check(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("[abc]", "d"), ("[^a-c]", "b"), ("[]", "x"), ("[]a]", "a"), ("[a", "b")] {
            assert!(!check(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_class_that_is_not_closed_ends_with_the_pattern() {
        assert!(check("[ab", "b"));
        assert!(check("[a-c", "b"));
        assert!(check("[^", "x"));
        assert!(check("[^a", "b"));
        assert!(check("[a\\", "\\"));
        assert!(!check("[", "["));
    }

    #[test]
    fn a_backslash_takes_the_next_byte_as_it_is() {
        assert!(check("\\*", "*"));
        assert!(!check("\\*", "a"));
        assert!(check("a\\", "a\\"));
        assert!(check("[\\]]", "]"));
        assert!(check("[\\^]", "^"));
        assert!(matches(b"\\A", b"a", true));
        assert!(!matches(b"[\\A]", b"a", true), "escapes in a class are not folded");
    }

    #[test]
    fn ranges_compare_signed_bytes() {
        assert!(matches(b"[a-\xff]", b"\xff", false));
        assert!(matches(b"[a-\xff]", b"0", false));
        assert!(!matches(b"[a-\xff]", b"b", false));
        assert!(matches(b"[\x80-\xff]", b"\xc3", false));
    }

    #[test]
    fn ranges_are_put_in_order_before_they_are_folded() {
        assert!(matches(b"[A-C]", b"b", true));
        assert!(!matches(b"[Z-a]", b"z", true));
        assert!(!matches(b"[Z-a]", b"a", true));
    }

    #[test]
    fn abusive_patterns_take_bounded_time() {
        let text = vec![b'a'; 20_000];
        let pattern = b"a*".repeat(900);
        assert!(matches(&pattern, &text, false));
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text, false));
    }

    #[test]
    fn a_match_never_passes_more_than_a_thousand_stars() {
        let text = vec![b'a'; 2000];
        assert!(matches(&b"a*".repeat(1001), &text, false), "the last star needs no entering");
        assert!(matches(&[&b"a*".repeat(1000)[..], b"a"].concat(), &text, false));
        assert!(!matches(&[&b"a*".repeat(1001)[..], b"a"].concat(), &text, false));
    }
}
