//! Numbers as text: which texts Redis takes for a number, and the text it gives a number.
//!
//! Every function takes the whole text or refuses it: no spaces around it, nothing behind it. Which error the client
//! sees is the caller's to say, because Redis words it differently from command to command.

use std::fmt::Write as _;
use std::io::Write as _;

/// Reads a signed integer in the one form that Redis itself would print: no `+`, no leading zeros, no `-0`.
///
/// This is what INCR, EXPIRE and all options with a number accept, and what makes a stored value an integer.
/// `None` also if the number does not fit 64 bits.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = parse_canonical_u64(digits)?;
    match negative {
        false => i64::try_from(magnitude).ok(),
        true if magnitude == 0 => None,
        true => 0i64.checked_sub_unsigned(magnitude),
    }
}

/// Reads the length in a bulk header (`$5`): an integer as [`parse_i64`] takes it, in `0..=length_max`.
pub fn parse_length(text: &[u8], length_max: usize) -> Option<usize> {
    usize::try_from(parse_i64(text)?).ok().filter(|&length| length <= length_max)
}

/// Reads the count in a multibulk header (`*3`): an integer as [`parse_i64`] takes it, up to `count_max`.
///
/// Any negative count is a request without words, which Redis skips in silence like `*0`: it gives 0 here.
pub fn parse_count(text: &[u8], count_max: usize) -> Option<usize> {
    let count = usize::try_from(parse_i64(text)?.max(0)).ok()?;
    (count <= count_max).then_some(count)
}

/// Reads SCAN's cursor the way C's `strtoul` does, which is laxer than any other number in Redis.
///
/// A sign is accepted and `-1` wraps around; zeros may lead; the text ends at its first NUL byte; a text without any
/// byte is 0. Refused are leading spaces, anything behind the digits, and what does not fit 64 bits.
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let magnitude = parse_digits(digits)?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

/// Digits without a leading zero, unless the zero is all there is.
fn parse_canonical_u64(digits: &[u8]) -> Option<u64> {
    if digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    parse_digits(digits)
}

/// One digit or more, and nothing else.
fn parse_digits(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    // Nineteen digits always fit, so the common case pays for no overflow checks.
    let (safe, rest) = digits.split_at(digits.len().min(19));
    let mut value = 0;
    for &byte in safe {
        value = value * 10 + u64::from(decimal(byte)?);
    }
    for &byte in rest {
        value = value.checked_mul(10)?.checked_add(u64::from(decimal(byte)?))?;
    }
    Some(value)
}

fn decimal(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// The decimal text of one integer, on the stack.
pub struct Digits(itoa::Buffer);

impl Digits {
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }

    /// The text of `value`, at most 39 bytes; it stands until the next call.
    pub fn format(&mut self, value: impl Into<Integer>) -> &str {
        match value.into() {
            Integer::Signed(value) => self.0.format(value),
            Integer::Unsigned(value) => self.0.format(value),
            Integer::Wide(value) => self.0.format(value),
        }
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self::new()
    }
}

/// An integer of any kind, so that callers need not choose a function by the type they happen to have.
#[derive(Clone, Copy)]
pub enum Integer {
    Signed(i64),
    Unsigned(u64),
    Wide(u128),
}

impl From<i64> for Integer {
    fn from(value: i64) -> Self {
        Integer::Signed(value)
    }
}

impl From<u64> for Integer {
    fn from(value: u64) -> Self {
        Integer::Unsigned(value)
    }
}

impl From<u128> for Integer {
    fn from(value: u128) -> Self {
        Integer::Wide(value)
    }
}

impl From<usize> for Integer {
    fn from(value: usize) -> Self {
        Integer::Unsigned(value as u64)
    }
}

/// Appends the decimal text of `value`.
pub fn push_integer(out: &mut Vec<u8>, value: impl Into<Integer>) {
    out.extend_from_slice(Digits::new().format(value).as_bytes());
}

/// Reads a double as C's `strtod` does: decimal, exponent, hexadecimal (`0x1.8p3`) and `inf`, in any case.
///
/// NaN is refused, and so is a number too large for a double or one that is not zero and yet rounds to zero; what
/// rounds to a subnormal is taken.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let FloatText { negative, body } = FloatText::scan(text)?;
    let magnitude = match body {
        FloatBody::Infinity => f64::INFINITY,
        FloatBody::Decimal { .. } => parse_decimal_f64(text)?,
        FloatBody::Hex { mantissa, sticky, exponent } => hex_f64(mantissa, sticky, exponent)?,
    };
    Some(magnitude.abs().copysign(if negative { -1.0 } else { 1.0 }))
}

/// `text` has been scanned: it is one that the standard library reads too, and rounds as `strtod` does.
fn parse_decimal_f64(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let significand = text.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next().unwrap_or_default();
    let is_zero = !significand.iter().any(|byte| (b'1'..=b'9').contains(byte));
    (value.is_finite() && (value != 0.0 || is_zero)).then_some(value)
}

/// `mantissa * 2^exponent` as the nearest double; `sticky` says that a little more than `mantissa` is meant.
fn hex_f64(mantissa: u128, sticky: bool, exponent: i64) -> Option<f64> {
    const EXPONENT_MIN: i64 = -1074;
    const EXPONENT_MAX: i64 = 971;
    const PRECISION: i64 = 53;
    if mantissa == 0 {
        return Some(0.0);
    }
    let excess = (bit_length(mantissa) - PRECISION).max(EXPONENT_MIN - exponent).max(0);
    let rounded = shift_right_to_even(mantissa, excess, sticky);
    let exponent = exponent + excess;
    if rounded == 0 || exponent + bit_length(rounded) > EXPONENT_MAX + PRECISION {
        return None;
    }
    // Every step is exact, but 2^exponent alone may leave a double's range, so it is multiplied in two halves.
    let half = exponent / 2;
    Some(rounded as f64 * power_of_two(half) * power_of_two(exponent - half))
}

fn bit_length(value: u128) -> i64 {
    i64::from(u128::BITS - value.leading_zeros())
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `value / 2^shift`, rounded to the nearest integer and to the even one on a tie.
///
/// `sticky` says that the true value is a little more than `value`, which breaks a tie upwards.
pub(super) fn shift_right_to_even(value: u128, shift: i64, sticky: bool) -> u128 {
    const HALF: u128 = 1 << 127;
    match shift {
        ..=0 => value,
        1..=128 => {
            let whole = value.checked_shr(shift as u32).unwrap_or(0);
            let fraction = value << (128 - shift);
            whole + u128::from(fraction > HALF || (fraction == HALF && (sticky || whole & 1 == 1)))
        }
        _ => 0,
    }
}

/// A text that C's `strtod` and `strtold` take as a whole, in its parts; NaN is left out because Redis refuses it.
pub(super) struct FloatText<'a> {
    pub(super) negative: bool,
    pub(super) body: FloatBody<'a>,
}

pub(super) enum FloatBody<'a> {
    Infinity,
    /// The digits `integer` `fraction`, times `10^(exponent - fraction.len())`. The exponent saturates.
    Decimal {
        integer: &'a [u8],
        fraction: &'a [u8],
        exponent: i64,
    },
    /// `mantissa * 2^exponent`, and a little more if `sticky` says that digits beyond 124 bits or more were not all zero.
    Hex {
        mantissa: u128,
        sticky: bool,
        exponent: i64,
    },
}

impl<'a> FloatText<'a> {
    pub(super) fn scan(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', text @ ..] => (true, text),
            [b'+', text @ ..] => (false, text),
            text => (false, text),
        };
        let body = match text {
            [b'0', b'x' | b'X', text @ ..] => scan_hex(text)?,
            _ if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") => FloatBody::Infinity,
            _ => scan_decimal(text)?,
        };
        Some(Self { negative, body })
    }
}

fn scan_decimal(text: &[u8]) -> Option<FloatBody<'_>> {
    let (integer, fraction, text) = scan_point(text, u8::is_ascii_digit)?;
    let exponent = scan_exponent(text, b'e')?;
    Some(FloatBody::Decimal { integer, fraction, exponent })
}

fn scan_hex(text: &[u8]) -> Option<FloatBody<'_>> {
    let (integer, fraction, text) = scan_point(text, u8::is_ascii_hexdigit)?;
    let mut exponent = scan_exponent(text, b'p')?;
    let (mut mantissa, mut sticky) = (0u128, false);
    let in_fraction = std::iter::repeat_n(false, integer.len()).chain(std::iter::repeat_n(true, fraction.len()));
    for (&byte, in_fraction) in integer.iter().chain(fraction).zip(in_fraction) {
        let digit = (byte as char).to_digit(16)?;
        if mantissa >> 124 == 0 {
            mantissa = mantissa << 4 | u128::from(digit);
            exponent -= if in_fraction { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            exponent += if in_fraction { 0 } else { 4 };
        }
    }
    Some(FloatBody::Hex { mantissa, sticky, exponent })
}

/// Splits off the digits before and after the point, of which there is at least one in all.
fn scan_point(text: &[u8], is_digit: impl Fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let take = |text: &'_ [u8]| text.iter().take_while(|&byte| is_digit(byte)).count();
    let (integer, text) = text.split_at(take(text));
    let (fraction, text) = match text {
        [b'.', text @ ..] => text.split_at(take(text)),
        text => (&text[..0], text),
    };
    (!integer.is_empty() || !fraction.is_empty()).then_some((integer, fraction, text))
}

/// Reads what is left of a number: nothing, or `marker`, a sign perhaps, and digits. Saturates far outside any float.
fn scan_exponent(text: &[u8], marker: u8) -> Option<i64> {
    const EXPONENT_MAX: i64 = 1 << 40;
    let Some((first, text)) = text.split_first() else {
        return Some(0);
    };
    if !first.eq_ignore_ascii_case(&marker) {
        return None;
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0;
    for &byte in digits {
        value = (value * 10 + i64::from(decimal(byte)?)).min(EXPONENT_MAX);
    }
    Some(if negative { -value } else { value })
}

/// Appends a double as Redis 7.2 replies it, in RESP2 and RESP3 alike: `3`, `0.1`, `1e+30`, `-0`, `inf`, `nan`.
///
/// Integers up to 2^62 are written out. The rest have the fewest digits that read back as the same double, in the
/// notation of the fpconv library that Redis prints with: `1.234567891234567e+5` has more than six decimals and a
/// leading digit at 10^4 or more away from the point, so it is scientific. That library (Grisu2) misses the shortest
/// digits in about one of a thousand doubles; here they are always the shortest, and read back as the same double.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    const WRITTEN_OUT_MAX: f64 = (1u64 << 62) as f64;
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if value.abs() <= WRITTEN_OUT_MAX && value.trunc() == value {
        push_integer(out, value as i64);
    } else {
        push_shortest(out, value);
    }
}

fn push_shortest(out: &mut Vec<u8>, value: f64) {
    let (digits, exponent) = shortest_digits(value);
    let digits = digits.as_bytes();
    if value < 0.0 {
        out.push(b'-');
    }
    // The value is `digits * 10^exponent`; the first digit stands for `10^leading`.
    let leading = exponent + digits.len() as i32 - 1;
    if exponent >= 0 && leading < digits.len() as i32 + 7 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', exponent as usize));
    } else if exponent < 0 && (exponent > -7 || leading.abs() < 4) {
        push_with_point(out, digits, leading);
    } else {
        push_scientific(out, digits, leading);
    }
}

fn push_with_point(out: &mut Vec<u8>, digits: &[u8], leading: i32) {
    if leading < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-leading - 1) as usize));
        out.extend_from_slice(digits);
    } else {
        let (integer, fraction) = digits.split_at(leading as usize + 1);
        out.extend_from_slice(integer);
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

fn push_scientific(out: &mut Vec<u8>, digits: &[u8], leading: i32) {
    push_mantissa(out, digits);
    write!(out, "e{leading:+}").expect("a Vec takes every write");
}

fn push_mantissa(out: &mut Vec<u8>, digits: &[u8]) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
}

/// Appends a double with 17 significant digits, zeros at the end left out: C's `%.17g`, which Redis 7.2 still has for the
/// scores of large sorted sets in ZSCAN.
pub fn push_f64_17(out: &mut Vec<u8>, value: f64) {
    const WRITTEN_OUT_DIGITS: i32 = 17;
    if !value.is_finite() || value == 0.0 {
        return push_f64(out, value);
    }
    let mut text = ShortText::default();
    write!(text, "{:.16e}", value.abs()).expect("a double has 17 digits and an exponent of 4 bytes");
    let (digits, exponent) = split_exponent(text);
    let all = digits.as_bytes();
    let leading = exponent + all.len() as i32 - 1;
    let used = all.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1);
    let digits = &all[..used];
    if value < 0.0 {
        out.push(b'-');
    }
    if !(-4..WRITTEN_OUT_DIGITS).contains(&leading) {
        push_mantissa(out, digits);
        write!(out, "e{leading:+03}").expect("a Vec takes every write");
    } else if leading >= digits.len() as i32 - 1 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', leading as usize + 1 - digits.len()));
    } else {
        push_with_point(out, digits, leading);
    }
}

/// The digits without point or zeros at the end, and the power of ten to multiply them by.
fn shortest_digits(value: f64) -> (ShortText, i32) {
    let mut text = ShortText::default();
    write!(text, "{:e}", value.abs()).expect("a double has at most 17 digits and an exponent of 4 bytes");
    split_exponent(text)
}

/// The digits of a text such as `1.25e-7`, and the power of ten to multiply them by.
fn split_exponent(mut text: ShortText) -> (ShortText, i32) {
    let mark = text.as_bytes().iter().position(|&byte| byte == b'e').unwrap_or(text.length);
    let exponent: i32 =
        std::str::from_utf8(&text.as_bytes()[mark + 1..]).ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    text.length = mark;
    if mark > 1 {
        text.bytes.copy_within(2..mark, 1);
        text.length = mark - 1;
    }
    let digits = text.length as i32;
    (text, exponent + 1 - digits)
}

/// A text of at most 32 bytes on the stack.
#[derive(Default)]
struct ShortText {
    bytes: [u8; 32],
    length: usize,
}

impl ShortText {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_taken_in_one_form_only() {
        for value in [0, 1, -1, 10, 9_999_999_999, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
        for text in ["", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "--1", "1\0", "\u{661}"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999999"] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_bulk_length_is_neither_negative_nor_over_its_limit() {
        assert_eq!(parse_length(b"512", 512), Some(512));
        assert_eq!(parse_length(b"513", 512), None);
        assert_eq!(parse_length(b"-1", 512), None);
        assert_eq!(parse_length(b"+1", 512), None);
    }

    #[test]
    fn a_negative_count_is_a_request_without_words() {
        assert_eq!(parse_count(b"3", 10), Some(3));
        assert_eq!(parse_count(b"-7", 10), Some(0));
        assert_eq!(parse_count(b"11", 10), None);
        assert_eq!(parse_count(b"-0", 10), None);
    }

    #[test]
    fn a_cursor_is_read_as_strtoul_reads_it() {
        let cases: [(&[u8], Option<u64>); 17] = [
            (b"", Some(0)),
            (b"\0", Some(0)),
            (b"12\0abc", Some(12)),
            (b"00007", Some(7)),
            (b"+5", Some(5)),
            (b"-1", Some(u64::MAX)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"-18446744073709551615", Some(1)),
            (b"18446744073709551616", None),
            (b"-18446744073709551616", None),
            (b"-", None),
            (b"+-5", None),
            (b" 1", None),
            (b"\x0b1", None),
            (b"1 ", None),
            (b"0x1", None),
            (b"1a\0", None),
        ];
        for (text, cursor) in cases {
            assert_eq!(parse_cursor(text), cursor, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn integers_are_written_in_full() {
        let mut out = b"$".to_vec();
        push_integer(&mut out, i64::MIN);
        push_integer(&mut out, u64::MAX);
        push_integer(&mut out, 7usize);
        assert_eq!(out, b"$-9223372036854775808184467440737095516157");
        assert_eq!(Digits::new().format(-12i64), "-12");
    }

    #[test]
    fn doubles_are_read_as_strtod_reads_them() {
        let cases = [
            ("1", 1.0),
            ("+1.5", 1.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("1e5", 1e5),
            ("1E+5", 1e5),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("+INF", f64::INFINITY),
            ("0x10", 16.0),
            ("0X.8", 0.5),
            ("-0x1.8p3", -12.0),
            ("0x1P-1074", 5e-324),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffff7fffp1023", f64::MAX),
            ("0x1.00000000000008", 1.0),
            ("0x1.000000000000080000000001", 1.0 + f64::EPSILON),
            ("0x1.00000000000018", 1.0 + 2.0 * f64::EPSILON),
            ("4.9e-324", 5e-324),
            ("0e999999999999999999999999", 0.0),
            ("0x0p99999999999999999999", 0.0),
            ("0.1", 0.1),
        ];
        for (text, value) in cases {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_f64(b"-0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
        assert!(parse_f64(b"-0x0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
    }

    #[test]
    fn what_is_no_double_or_leaves_its_range_is_refused() {
        let texts = [
            "",
            "+",
            "-",
            ".",
            "-.",
            "e5",
            "1e",
            "1e+",
            "1_0",
            " 1",
            "1 ",
            "1\0",
            "nan",
            "NaN",
            "nan(1)",
            "infx",
            "in",
            "0x",
            "0x.",
            "0x1p",
            "0x1.8p+",
            "0xg",
            "++1",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p1024",
            "0x1p-1075",
            "0x1.fffffffffffff8p1023",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "1.5.2",
            "1,5",
        ];
        for text in texts {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn doubles_are_written_as_redis_replies_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (-1.5, "-1.5"),
            (100.25, "100.25"),
            (123_456.789_123_456_7, "1.234567891234567e+5"),
            (0.000_001, "0.000001"),
            (0.000_001_5, "1.5e-6"),
            (0.000_000_1, "1e-7"),
            (0.001_234_567_89, "0.00123456789"),
            (0.000_123_456_789, "1.23456789e-4"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (1e17, "100000000000000000"),
            (1e19, "1e+19"),
            (1.234_567_890_123_456_7e19, "12345678901234567000"),
            (-1.7e308, "-1.7e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            push_f64(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), text, "{value:e}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_double_reads_back_from_its_text(bits: u64) {
            let value = f64::from_bits(bits);
            proptest::prop_assume!(!value.is_nan());
            let mut out = Vec::new();
            push_f64(&mut out, value);
            proptest::prop_assert!(out.len() <= 25);
            proptest::prop_assert_eq!(parse_f64(&out).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn every_integer_reads_back_from_its_text(value: i64) {
            let mut out = Vec::new();
            push_integer(&mut out, value);
            proptest::prop_assert_eq!(parse_i64(&out), Some(value));
        }
    }

    #[test]
    fn seventeen_digits_are_those_of_printf() {
        let cases = [
            (0.1, "0.10000000000000001"),
            (-0.0, "-0"),
            (3.5, "3.5"),
            (1e30, "1e+30"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (1e-7, "9.9999999999999995e-08"),
            (0.0001, "0.0001"),
            (-0.000_012_34, "-1.234e-05"),
            (123_456_789.123, "123456789.123"),
            (1e300, "1.0000000000000001e+300"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            push_f64_17(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
