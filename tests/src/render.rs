//! Every reply has one text, so that a test can say what it expects in one line.
//!
//! | Reply | Text |
//! |---|---|
//! | whole number | `2` |
//! | status | `OK` |
//! | string | `hello`, or `"hello"` inside an array and where the bare words would read as another kind of reply: `"2"`, `"nil"`, `""` |
//! | nothing | `nil` |
//! | error | its words; inside an array `error(..)` |
//! | array | `["b", 1, nil]` |
//! | map, set, push | `{"a": 1}`, `~["a"]`, `>["message", "news"]` |
//! | floating-point number | `1.5`, `3.0`, `inf` |
//! | boolean | `true` |
//! | big number | `(123` |
//! | verbatim text | `txt:` or `mkd:` and the text |
//! | attributes | `|{"ttl": 1} ` before the reply they are about |
//!
//! Bytes that are no printable ASCII are written as `\xHH`, `\n`, `\r` or `\t`, and a backslash as two.

use larder_client::resp::{Reply, TextFormat};

/// The text of a reply.
pub fn render(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) if !reads_as_something_else(bytes) => escape(bytes),
        Reply::Error(bytes) => escape(bytes),
        other => nested(other),
    }
}

/// The text of a reply inside another.
fn nested(reply: &Reply) -> String {
    match reply {
        Reply::Simple(bytes) => escape(bytes),
        Reply::Error(bytes) => format!("error({})", escape(bytes)),
        Reply::Int(number) => number.to_string(),
        Reply::Bulk(bytes) => format!("\"{}\"", escape(bytes).replace('"', "\\\"")),
        Reply::Null => "nil".to_owned(),
        Reply::Array(elements) => format!("[{}]", list(elements)),
        Reply::Set(elements) => format!("~[{}]", list(elements)),
        Reply::Push(elements) => format!(">[{}]", list(elements)),
        Reply::Map(pairs) => map(pairs),
        Reply::Double(number) => format!("{number:?}"),
        Reply::Bool(value) => value.to_string(),
        Reply::BigNumber(digits) => format!("({}", escape(digits)),
        Reply::Verbatim { format: TextFormat::Plain, text } => format!("txt:{}", escape(text)),
        Reply::Verbatim { format: TextFormat::Markdown, text } => format!("mkd:{}", escape(text)),
        Reply::Attributed { attributes, reply } => format!("|{} {}", map(attributes), nested(reply)),
    }
}

fn list(elements: &[Reply]) -> String {
    elements.iter().map(nested).collect::<Vec<_>>().join(", ")
}

fn map(pairs: &[(Reply, Reply)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{}: {}", nested(key), nested(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Whether a string without quotes could be taken for a number, for nothing, or for what has brackets.
fn reads_as_something_else(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.is_empty()
        || text.parse::<f64>().is_ok()
        || ["nil", "true", "false"].contains(&&*text)
        || text.starts_with(['"', '[', '{', '~', '>', '(', '|'])
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'"' | b'\'' => text.push(char::from(byte)),
            _ => text.extend(byte.escape_ascii().map(char::from)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(text.as_bytes().into())
    }

    #[test]
    fn strings_are_bare_unless_they_would_be_mistaken() {
        assert_eq!(render(&bulk("hello world")), "hello world");
        for (string, text) in
            [("2", r#""2""#), ("-1.5", r#""-1.5""#), ("nil", r#""nil""#), ("", r#""""#), ("[]", r#""[]""#)]
        {
            assert_eq!(render(&bulk(string)), text);
        }
        assert_eq!(render(&Reply::Bulk(b"\x00\xff\r\n\\'".as_slice().into())), r"\x00\xff\r\n\\'");
    }

    #[test]
    fn what_is_inside_is_told_apart() {
        let inner =
            vec![bulk("a\"b"), Reply::Int(1), Reply::Null, Reply::Error("ERR x".into()), Reply::Simple("OK".into())];
        assert_eq!(render(&Reply::Array(inner)), r#"["a\"b", 1, nil, error(ERR x), OK]"#);
        assert_eq!(render(&Reply::Array(vec![])), "[]");
        let map = Reply::Map(vec![(bulk("a"), Reply::Double(3.0)), (bulk("b"), Reply::Bool(true))]);
        assert_eq!(render(&map), r#"{"a": 3.0, "b": true}"#);
        assert_eq!(render(&Reply::Set(vec![bulk("a")])), r#"~["a"]"#);
        assert_eq!(render(&Reply::Push(vec![bulk("a")])), r#">["a"]"#);
    }
}
