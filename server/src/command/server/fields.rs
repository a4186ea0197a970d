//! The text of `INFO`: sections, fields, and amounts as people read them.

use std::fmt::{Display, Write};

/// The text while it is written.
#[derive(Default)]
pub struct Fields {
    pub text: String,
}

impl Fields {
    /// Begins a section; an empty line parts it from the one before.
    pub fn section(&mut self, name: &str) {
        let gap = if self.text.is_empty() { "" } else { "\r\n" };
        self.line(format_args!("{gap}# {name}"));
    }

    pub fn put(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    /// Fields of features that are idle, or that the node does without.
    pub fn put_all(&mut self, fields: &[(&str, &str)]) {
        fields.iter().for_each(|(name, value)| self.put(name, value));
    }

    /// An amount of bytes, and once more for people, with `_human` behind its name.
    pub fn put_bytes(&mut self, name: &str, bytes: u64) {
        self.put(name, bytes);
        self.put(&format!("{name}_human"), human(bytes));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.text, "{line}\r\n").expect("a string takes all that is written to it");
    }
}

/// An amount as Redis writes it for people: `512B`, `1.50K`, `3.00G`.
pub fn human(bytes: u64) -> String {
    let units = [(1u64 << 50, "P"), (1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2}{unit}", bytes as f64 / size as f64),
        None => format!("{bytes}B"),
    }
}

/// One amount as a share of another, 0 if there is none.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_for_people() {
        for (bytes, text) in [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1 << 20, "1.00M"), (3 << 29, "1.50G")] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn sections_are_parted_by_an_empty_line() {
        let mut fields = Fields::default();
        fields.section("One");
        fields.put("a", 1);
        fields.section("Two");
        fields.put_bytes("b", 2048);
        assert_eq!(fields.text, "# One\r\na:1\r\n\r\n# Two\r\nb:2048\r\nb_human:2.00K\r\n");
    }
}
