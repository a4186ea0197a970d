//! What a node has kept of the writes that it alone had: its files `lost-writes-*.resp`.

use std::fs;
use std::path::Path;

/// The keys and elements of all `RPUSH` in the files of this folder.
pub(super) fn appended(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).expect("the node has a folder").flatten();
    let is_one = |name: &str| name.starts_with("lost-writes-") && name.ends_with(".resp");
    let files = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    // One may be removed meanwhile, being the oldest.
    let texts = files.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| pushed(&text)).collect()
}

fn pushed(text: &str) -> Vec<(String, String)> {
    let commands = text.split("\r\n*").map(|command| command.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>());
    let pushes = commands.filter_map(|words| match words[..] {
        ["RPUSH", key, element] => Some((key.to_owned(), element.to_owned())),
        _ => None,
    });
    pushes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_found_among_others() {
        let text = "*1\r\n$5\r\nMULTI\r\n*3\r\n$5\r\nRPUSH\r\n$3\r\na b\r\n$1\r\n7\r\n*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n";
        assert_eq!(pushed(text), [("a b".to_owned(), "7".to_owned())]);
    }
}
