//! `DEBUG PROTOCOL`: a sample of each type of the protocol, by which clients test their parsers.

use super::*;
use crate::command::words::lower;

pub fn protocol(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let name = lower(args.word()?);
    let is_3 = cx.reply.protocol() == 3;
    match name.as_str() {
        "string" => cx.reply.text("Hello World"),
        "integer" => cx.reply.int(12_345),
        "double" => cx.reply.double(SAMPLE),
        "null" => cx.reply.null(),
        "array" => {
            cx.reply.array(3);
            (0..3).for_each(|n| cx.reply.int(n));
        }
        "set" => {
            cx.reply.set(3);
            (0..3).for_each(|n| cx.reply.int(n));
        }
        "map" => {
            cx.reply.map(3);
            for n in 0..3 {
                cx.reply.int(n);
                cx.reply.bool(n == 1);
            }
        }
        "bignum" if is_3 => raw(cx, &format!("({BIG}\r\n")),
        "bignum" => cx.reply.text(BIG),
        "attrib" => {
            if is_3 {
                raw(cx, "|1\r\n");
                cx.reply.text("key-popularity");
                cx.reply.array(2);
                cx.reply.text("key:123");
                cx.reply.int(90);
            }
            cx.reply.text("Some real reply following the attribute");
        }
        "push" => {
            if !is_3 {
                return Err(Fault::text("ERR RESP2 is not supported by this command"));
            }
            cx.reply.push(2);
            cx.reply.text("server-cpu-usage");
            cx.reply.int(42);
            // A push answers no command, so a reply proper follows.
            cx.reply.text("Some real reply following the push reply");
        }
        "true" => cx.reply.bool(true),
        "false" => cx.reply.bool(false),
        "verbatim" => cx.reply.verbatim("This is a verbatim\nstring"),
        _ => {
            return Err(Fault::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    REPLIED
}

#[expect(clippy::approx_constant, reason = "the digits that clients test for, not the number they come from")]
const SAMPLE: f64 = 3.141;

const BIG: &str = "1234567999999999999999999999999999999";

/// Types that no other command answers with have no method of their own.
fn raw(cx: &mut Ctx<'_>, wire: &str) {
    cx.reply.out.extend_from_slice(wire.as_bytes());
}
