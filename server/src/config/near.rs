//! The nearest right name for a wrong one.

/// The name most like `wrong`, if one is so near that a slip explains it: at most a third of the letters differ.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase();
    let bound = (wrong.chars().count() / 3).max(1);
    let near = names
        .map(|name| (distance(&wrong, &name.to_ascii_lowercase()), name))
        .filter(|(slips, _)| *slips <= bound);
    near.min().map(|(_, name)| name)
}

/// Letters to insert, delete, replace or swap with a neighbour to get from one word to the other (the "optimal string
/// alignment" distance).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut least = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            let crossed = row > 0 && column > 0 && *letter == to[column - 1] && from[row - 1] == *other;
            if crossed && letter != other {
                least = least.min(before[column - 1] + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        assert_eq!(distance("port", "port"), 0);
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("maxmemroy", "maxmemory"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn only_a_near_name_is_offered() {
        let names = || ["port", "maxmemory", "maxmemory-policy"].into_iter();
        assert_eq!(nearest("max-memory", names()), Some("maxmemory"));
        assert_eq!(nearest("MAXMEMORY_POLICY", names()), Some("maxmemory-policy"));
        assert_eq!(nearest("colour", names()), None);
    }
}
