//! What a server can answer.

use bytes::Bytes;

/// A reply, or a message that the server sent unasked ([`Reply::Push`]).
///
/// Byte strings are slices of the buffer that the reply came in: to keep a short one for long, copy it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A status such as `OK`, without line ends.
    Simple(Bytes),
    /// A refusal: a code in capitals, a space, and words for people. RESP3's long form of errors reads the same.
    Error(Bytes),
    /// A signed whole number.
    Int(i64),
    /// A string of any bytes.
    Bulk(Bytes),
    /// Nothing: RESP2's null string and null array, and RESP3's null.
    Null,
    /// Values in order.
    Array(Vec<Reply>),
    /// RESP3: pairs of key and value, in the order and with the duplicates the server sent.
    Map(Vec<(Reply, Reply)>),
    /// RESP3: values without a meaning to their order, which is kept all the same.
    Set(Vec<Reply>),
    /// RESP3: a floating-point number, possibly infinite or not a number.
    Double(f64),
    /// RESP3: true or false.
    Bool(bool),
    /// RESP3: a whole number beyond 64 bits, as its decimal digits.
    BigNumber(Bytes),
    /// RESP3: a text that is meant for people.
    Verbatim {
        /// How the text is written.
        format: TextFormat,
        /// The text itself.
        text: Bytes,
    },
    /// RESP3: a message that answers no request, such as an invalidation or a message of a channel.
    Push(Vec<Reply>),
    /// RESP3: a reply with remarks about it that a client may ignore.
    Attributed {
        /// The remarks, as pairs of key and value.
        attributes: Vec<(Reply, Reply)>,
        /// The reply itself.
        reply: Box<Reply>,
    },
}

/// How a [`Reply::Verbatim`] is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Plain text, `txt` on the wire.
    Plain,
    /// Markdown, `mkd` on the wire.
    Markdown,
}

impl Reply {
    /// Whether the server refused.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The bytes of a string, status, error, number too big or text; `None` for what is no string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Error(bytes) | Self::Bulk(bytes) | Self::BigNumber(bytes) => Some(bytes),
            Self::Verbatim { text, .. } => Some(text),
            Self::Attributed { reply, .. } => reply.as_bytes(),
            _ => None,
        }
    }

    /// The number, if it is one: `Int`, or a string of decimal digits, which RESP2 sends for some numbers.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Attributed { reply, .. } => reply.as_int(),
            Self::Bulk(_) | Self::Simple(_) => str::from_utf8(self.as_bytes()?).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The elements of an array, set or push.
    pub fn as_slice(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(elements) | Self::Set(elements) | Self::Push(elements) => Some(elements),
            Self::Attributed { reply, .. } => reply.as_slice(),
            _ => None,
        }
    }
}
