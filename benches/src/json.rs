//! Writing JSON: just enough for results, so that no crate is needed.

use std::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Number(f64),
    Text(String),
    List(Vec<Json>),
    /// Members in the order given.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// The number, or null.
    pub fn optional(number: Option<f64>) -> Self {
        number.map_or(Self::Null, Self::Number)
    }

    /// The text as a value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            // JSON has no infinity and no NaN.
            Self::Number(number) if !number.is_finite() => f.write_str("null"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write_text(f, text),
            Self::List(items) => write_items(f, depth, ('[', ']'), items, |f, item| item.write(f, depth + 1)),
            Self::Object(members) => write_items(f, depth, ('{', '}'), members, |f, (name, value)| {
                write_text(f, name)?;
                f.write_str(": ")?;
                value.write(f, depth + 1)
            }),
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

fn write_items<T>(
    f: &mut fmt::Formatter<'_>,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}\n{:indent$}", if index > 0 { "," } else { "" }, "", indent = 2 * (depth + 1))?;
        write(f, item)?;
    }
    if !items.is_empty() {
        write!(f, "\n{:indent$}", "", indent = 2 * depth)?;
    }
    write!(f, "{close}")
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(f, "\\{letter}")?,
            control if u32::from(control) < 0x20 => write!(f, "\\u{:04x}", u32::from(control))?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_nest_and_texts_are_escaped() {
        let json = Json::Object(vec![
            ("a", Json::List(vec![Json::Number(1.5), Json::Number(f64::NAN), Json::optional(None)])),
            ("b", Json::text("say \"hi\"\n\\")),
            ("c", Json::List(vec![])),
        ]);
        let expected = "{\n  \"a\": [\n    1.5,\n    null,\n    null\n  ],\n  \"b\": \"say \\\"hi\\\"\\u000a\\\\\",\n  \"c\": []\n}";
        assert_eq!(json.to_string(), expected);
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(Json::Number(1_000_000.0).to_string(), "1000000");
    }
}
