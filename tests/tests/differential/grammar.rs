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
