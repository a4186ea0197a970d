//! From a line (see `groups/mod.rs`) to a call.

use crate::random::Random;
use crate::words::{Dictionary, Words};

/// Makes a call out of a line without its mark. `another` draws the call that `CALL` stands for.
pub fn fill(
    line: &str,
    dictionary: &mut Dictionary<'_>,
    another: &mut dyn FnMut(&mut Random) -> &'static str,
) -> Words {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let names: Vec<&str> = name.split('|').collect();
    // The name of a command may be the name of a kind of words as well, such as TTL.
    let mut words = vec![dictionary.random.pick(&names).trim_matches('\'').into()];
    for item in items(rest) {
        add(item, dictionary, another, &mut words);
    }
    words
}

/// Adds an item as often as its mark says: one of its choices, or all items of a group.
fn add(
    item: &str,
    dictionary: &mut Dictionary<'_>,
    another: &mut dyn FnMut(&mut Random) -> &'static str,
    words: &mut Words,
) {
    let (item, times) = match (item, item.as_bytes().last()) {
        ("+" | "?" | "%", _) => (item, 1),
        (_, Some(b'?')) => (&item[..item.len() - 1], dictionary.random.below(2)),
        (_, Some(b'+')) => (&item[..item.len() - 1], 1 + dictionary.random.below(4)),
        (_, Some(b'%')) => (&item[..item.len() - 1], 50 + dictionary.random.below(200)),
        _ => (item, 1),
    };
    for _ in 0..times {
        if let Some(group) = item.strip_prefix('(') {
            let group = group.strip_suffix(')').expect("a bracket is closed");
            items(group).into_iter().for_each(|part| add(part, dictionary, another, words));
            continue;
        }
        match choices(item).as_slice() {
            ["CALL"] => {
                let line = another(dictionary.random);
                words.extend(fill(line, dictionary, another));
            }
            choices => {
                let choice = dictionary.random.pick(choices);
                dictionary.add(choice, words);
            }
        }
    }
}

/// The items of a line or a group: what stands between blanks outside of brackets and quotes.
fn items(line: &str) -> Vec<&str> {
    split_outside(line, ' ').into_iter().filter(|item| !item.is_empty()).collect()
}

fn choices(item: &str) -> Vec<&str> {
    split_outside(item, '|')
}

fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut is_quoted) = (0, false);
    text.split(|letter: char| {
        match letter {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth -= 1,
            _ => {}
        }
        letter == separator && depth == 0 && !is_quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::GROUPS;

    fn call(line: &str, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        let payloads = [b"payload".to_vec()];
        let mut dictionary = Dictionary::new(&mut random, &payloads);
        let words = fill(line, &mut dictionary, &mut |_| "PING");
        words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    #[test]
    fn marks_say_how_often_an_item_stands() {
        let lengths =
            |line: &str| (0..200).map(|seed| call(line, seed).len()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(lengths("X a b").into_iter().collect::<Vec<_>>(), [3]);
        assert_eq!(lengths("X (a b)?").into_iter().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(lengths("X a (b c)+").into_iter().collect::<Vec<_>>(), [4, 6, 8, 10]);
        assert_eq!(lengths("X (a b?)?").into_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(lengths("X a%").into_iter().all(|length| length > 50));
    }

    #[test]
    fn words_stand_for_themselves_but_for_names_and_quotes() {
        assert_eq!(call("TTL '+' 'a b' '' w:* CALL", 1), ["TTL", "+", "a b", "", "w:*", "PING"]);
        assert!(["a", "b"].contains(&call("X a|b", 3)[1].as_str()));
        assert!(call("X DBNO", 3)[1].len() <= 2);
    }

    #[test]
    fn every_line_makes_calls() {
        for group in GROUPS {
            for (share, line) in [group.lines, group.waiting, group.feeding].concat() {
                assert!(share > 0, "{line} is never drawn");
                for part in line.trim_start_matches('!').split(" ; ") {
                    let first = call(part, 5).remove(0);
                    assert!(
                        part.split(' ').next().unwrap_or_default().contains(first.as_str()),
                        "{line} makes {first}"
                    );
                }
            }
        }
    }
}
