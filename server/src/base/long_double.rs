//! The x87 `long double` in software: what INCRBYFLOAT and HINCRBYFLOAT compute in.
//!
//! Redis on x86-64 reads both numbers as 80-bit floats (64-bit significand, 15-bit exponent), adds them and prints the
//! sum with `%.17Lf` less its trailing zeros. A client sees every bit of this, `0.1 + 0.2` being `0.3`, so it is done
//! the same way on every machine. Numbers of everyday size are read and written in 128-bit integers; the rest take
//! [`Big`], whose size is bounded by the length of a text ([`TEXT_MAX`]) and the range of the type.

use std::cmp::Ordering;

use super::number::{Digits, FloatBody, FloatText, push_integer, shift_right_to_even};

/// The longest text that is read, in bytes: Redis has a buffer of 5 KiB with a NUL at its end.
pub const TEXT_MAX: usize = 5 * 1024 - 1;

/// The exponents of the last bit: a subnormal's, and that of the largest numbers.
const EXPONENT_MIN: i64 = -16445;
const EXPONENT_MAX: i64 = 16320;

/// Decimal exponents of the first digit beyond which a number rounds to zero, or leaves the range, whatever its digits.
const DECIMAL_MIN: i64 = -4960;
const DECIMAL_MAX: i64 = 4940;

/// A finite number, or an infinity; never NaN.
///
/// It is `significand * 2^exponent`, with the significand's top bit set unless the exponent is the least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zero,
    Finite { significand: u64, exponent: i64 },
    Infinity,
}

impl LongDouble {
    /// Reads a number as C's `strtold` does, rounding to the nearest, as a whole and without spaces around it.
    ///
    /// `inf` is read; `nan` is refused, and so is a text over [`TEXT_MAX`], a number out of range and one that is not
    /// zero and yet rounds to zero.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let FloatText { negative, body } = FloatText::scan(text)?;
        let kind = match body {
            FloatBody::Infinity => Kind::Infinity,
            FloatBody::Decimal { integer, fraction, exponent } => parse_decimal(integer, fraction, exponent)?,
            FloatBody::Hex { mantissa: 0, .. } => Kind::Zero,
            FloatBody::Hex { mantissa, sticky, exponent } => in_range(round(mantissa, sticky, exponent))?,
        };
        Some(Self { negative, kind })
    }

    /// Whether it is infinite, of either sign.
    pub fn is_infinite(self) -> bool {
        self.kind == Kind::Infinity
    }

    /// The sum, rounded to the nearest and to the even one on a tie.
    ///
    /// `None` if it is infinite or not a number: what Redis refuses as "increment would produce NaN or Infinity".
    pub fn checked_add(self, other: Self) -> Option<Self> {
        use Kind::{Finite, Infinity, Zero};
        match (self.kind, other.kind) {
            (Infinity, _) | (_, Infinity) => None,
            (Zero, Zero) => Some(Self { negative: self.negative && other.negative, kind: Zero }),
            (Zero, Finite { .. }) => Some(other),
            (Finite { .. }, Zero) => Some(self),
            (Finite { significand: a, exponent: p }, Finite { significand: b, exponent: q }) => {
                // The one whose last bit stands higher is shifted up, so that no bit of it is lost.
                if p >= q {
                    self.add_finite((a, p), other.negative, (b, q))
                } else {
                    other.add_finite((b, q), self.negative, (a, p))
                }
            }
        }
    }

    fn add_finite(
        self,
        (high, exponent): (u64, i64),
        low_negative: bool,
        (low, low_exponent): (u64, i64),
    ) -> Option<Self> {
        // Two bits are left free above for the carry; 62 below let the rounding see all that can matter of `low`:
        // should it be further down, it is less than a quarter of the last place and one sticky bit stands for it.
        const ROOM: i64 = 62;
        let high = u128::from(high) << ROOM;
        let exponent = exponent - ROOM;
        let distance = low_exponent - exponent;
        let (low, sticky) = match distance {
            0.. => (u128::from(low) << distance, false),
            -63..0 => (u128::from(low >> -distance), low << (64 + distance) != 0),
            _ => (0, low != 0),
        };
        let (negative, sum, sticky) = if self.negative == low_negative {
            (self.negative, high + low, sticky)
        } else {
            match high.cmp(&low) {
                Ordering::Equal => {
                    return Some(Self { negative: false, kind: Kind::Zero });
                }
                // What was cut off makes `low` larger, so the difference is one less and a little more.
                Ordering::Greater => (self.negative, high - low - u128::from(sticky), sticky),
                Ordering::Less => (low_negative, low - high, sticky),
            }
        };
        match round(sum, sticky, exponent) {
            Kind::Infinity => None,
            kind => Some(Self { negative, kind }),
        }
    }

    /// Appends the number as Redis stores and replies it: rounded to 17 decimals, without trailing zeros or exponent,
    /// never `-0`. At most 4934 bytes.
    pub fn push(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        match self.kind {
            Kind::Zero => out.push(b'0'),
            Kind::Infinity => out.extend_from_slice(b"inf"),
            Kind::Finite { significand, exponent } if exponent >= 0 => push_large(out, significand, exponent),
            Kind::Finite { significand, exponent } => push_small(out, significand, -exponent),
        }
        if out[start..] == *b"-0" {
            out.remove(start);
        }
    }
}

impl From<f64> for LongDouble {
    /// Exact. NaN, which no caller has, becomes zero.
    fn from(value: f64) -> Self {
        let bits = value.to_bits();
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
        let kind = match biased {
            0x7ff if fraction == 0 => Kind::Infinity,
            0x7ff => Kind::Zero,
            0 if fraction == 0 => Kind::Zero,
            0 => round(u128::from(fraction), false, -1074),
            _ => round(u128::from(fraction | 1 << 52), false, biased - 1075),
        };
        Self { negative: value.is_sign_negative(), kind }
    }
}

/// The nearest number to `value * 2^exponent`; `sticky` says that a little more is meant, and is only allowed if
/// `value` has at least 65 bits or its exponent is below the range.
fn round(value: u128, sticky: bool, exponent: i64) -> Kind {
    if value == 0 {
        return Kind::Zero;
    }
    // Up to the top first, so that all below is a shift to the right.
    let lead = value.leading_zeros();
    let (value, exponent) = (value << lead, exponent - i64::from(lead));
    let shift = (EXPONENT_MIN - exponent).max(64);
    let (mut significand, mut exponent) = (shift_right_to_even(value, shift, sticky), exponent + shift);
    if significand >> 64 != 0 {
        (significand, exponent) = (significand >> 1, exponent + 1);
    }
    match significand as u64 {
        0 => Kind::Zero,
        _ if exponent > EXPONENT_MAX => Kind::Infinity,
        significand => Kind::Finite { significand, exponent },
    }
}

/// Refuses what a text that is not zero must not become.
fn in_range(kind: Kind) -> Option<Kind> {
    matches!(kind, Kind::Finite { .. }).then_some(kind)
}

/// The digits `integer` `fraction`, times `10^(exponent - fraction.len())`.
fn parse_decimal(integer: &[u8], fraction: &[u8], exponent: i64) -> Option<Kind> {
    let is_zero = |&&byte: &&u8| byte == b'0';
    let leading = integer.iter().chain(fraction).take_while(is_zero).count();
    let trailing = fraction.iter().rev().chain(integer.iter().rev()).take_while(is_zero).count();
    let count = integer.len() + fraction.len();
    if leading == count {
        return Some(Kind::Zero);
    }
    let exponent = exponent - fraction.len() as i64 + trailing as i64;
    let count = count - leading - trailing;
    let first = exponent + count as i64 - 1;
    if !(DECIMAL_MIN..=DECIMAL_MAX).contains(&first) {
        return None;
    }
    let digits = integer.iter().chain(fraction).skip(leading).take(count);
    // Nineteen digits always fit 64 bits.
    in_range(if count > 19 {
        scale_big(Big::from_decimal(&digits.copied().collect::<Vec<u8>>()), exponent)
    } else {
        let value = digits.fold(0, |value, &byte| value * 10 + u64::from(byte - b'0'));
        if exponent.abs() <= 27 { scale_short(value, exponent) } else { scale_big(Big::from(value), exponent) }
    })
}

/// `value * 10^exponent` for `exponent` in `-27..=27`, where 5^27 fits 64 bits.
fn scale_short(value: u64, exponent: i64) -> Kind {
    let five = 5u64.pow(exponent.unsigned_abs() as u32);
    if exponent >= 0 {
        return round(u128::from(value) * u128::from(five), false, exponent);
    }
    // The quotient of a dividend with its top bit set and a divisor of at most 63 bits has 65 bits at least.
    let lead = value.leading_zeros() + 64;
    let (dividend, five) = (u128::from(value) << lead, u128::from(five));
    round(dividend / five, dividend % five != 0, exponent - i64::from(lead))
}

fn scale_big(mut value: Big, exponent: i64) -> Kind {
    if exponent >= 0 {
        value.multiply_by_power_of_five(exponent as u32);
        let (top, sticky, shift) = value.top();
        return round(top, sticky, exponent + shift);
    }
    let mut five = Big::from(1);
    five.multiply_by_power_of_five(exponent.unsigned_abs() as u32);
    let (quotient, sticky, shift) = value.divide(five);
    round(quotient, sticky, exponent + shift)
}

/// `significand * 2^exponent`, an integer.
fn push_large(out: &mut Vec<u8>, significand: u64, exponent: i64) {
    if exponent <= 64 {
        push_integer(out, u128::from(significand) << exponent);
    } else {
        let mut value = Big::from(significand);
        value.shift_left(exponent as usize);
        value.push_decimal(out);
    }
}

/// `significand / 2^shift`: 17 decimals, rounded to even, fit 128 bits whatever the shift.
fn push_small(out: &mut Vec<u8>, significand: u64, shift: i64) {
    const DECIMALS: usize = 17;
    const SCALE: u128 = 10u128.pow(DECIMALS as u32);
    let scaled = shift_right_to_even(u128::from(significand) * SCALE, shift, false);
    push_integer(out, scaled / SCALE);
    let mut fraction = scaled % SCALE;
    if fraction == 0 {
        return;
    }
    let mut decimals = [b'0'; DECIMALS];
    for decimal in decimals.iter_mut().rev() {
        *decimal += (fraction % 10) as u8;
        fraction /= 10;
    }
    let length = DECIMALS - decimals.iter().rev().take_while(|&&byte| byte == b'0').count();
    out.push(b'.');
    out.extend_from_slice(&decimals[..length]);
}

/// A natural number, the lowest limb first and the highest not zero.
#[derive(Debug, Clone)]
struct Big(Vec<u64>);

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        Self(vec![value])
    }
}

impl Big {
    /// 10^19, and 5^27: the largest powers that fit a limb.
    const TEN_STEP: (usize, u64) = (19, 10u64.pow(19));
    const FIVE_STEP: (u32, u64) = (27, 5u64.pow(27));

    fn from_decimal(digits: &[u8]) -> Self {
        let mut value = Self(Vec::new());
        for chunk in digits.chunks(Self::TEN_STEP.0) {
            let part = chunk.iter().fold(0, |part, &byte| part * 10 + u64::from(byte - b'0'));
            value.multiply_add(10u64.pow(chunk.len() as u32), part);
        }
        value
    }

    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for limb in &mut self.0 {
            (*limb, carry) = limb.carrying_mul(factor, carry);
        }
        if carry != 0 {
            self.0.push(carry);
        }
    }

    fn multiply_by_power_of_five(&mut self, mut power: u32) {
        let (step, factor) = Self::FIVE_STEP;
        while power >= step {
            self.multiply_add(factor, 0);
            power -= step;
        }
        self.multiply_add(5u64.pow(power), 0);
    }

    fn bits(&self) -> usize {
        self.0.len() * 64 - self.0.last().map_or(0, |limb| limb.leading_zeros() as usize)
    }

    fn shift_left(&mut self, bits: usize) {
        let (limbs, bits) = (bits / 64, bits % 64);
        if bits > 0 {
            let mut carry = 0;
            for limb in &mut self.0 {
                (*limb, carry) = (*limb << bits | carry, *limb >> (64 - bits));
            }
            if carry != 0 {
                self.0.push(carry);
            }
        }
        self.0.splice(0..0, std::iter::repeat_n(0, limbs));
    }

    /// The two highest limbs, whether anything is below them, and the power of two to multiply them by.
    fn top(&self) -> (u128, bool, i64) {
        let below = self.0.len().saturating_sub(2);
        let top = self.0[below..].iter().rev().fold(0, |top, &limb| top << 64 | u128::from(limb));
        // Two limbs can have as little as 65 bits, which is what rounding needs.
        (top, self.0[..below].iter().any(|&limb| limb != 0), below as i64 * 64)
    }

    /// The quotient to 66 bits, whether there is more, and the power of two to multiply it by.
    fn divide(mut self, mut divisor: Self) -> (u128, bool, i64) {
        const QUOTIENT_BITS: i64 = 66;
        let shift = self.bits() as i64 - divisor.bits() as i64;
        if shift >= 0 {
            divisor.shift_left(shift as usize)
        } else {
            self.shift_left(-shift as usize)
        }
        // Both are of one length now, so the quotient is between 1/2 and 2 and comes out bit by bit.
        let mut quotient = 0;
        for _ in 0..QUOTIENT_BITS {
            let fits = self.compare(&divisor).is_ge();
            if fits {
                self.subtract(&divisor);
            }
            quotient = quotient << 1 | u128::from(fits);
            self.shift_left(1);
        }
        (quotient, !self.0.is_empty(), shift + 1 - QUOTIENT_BITS)
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// `other` is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (index, limb) in self.0.iter_mut().enumerate() {
            (*limb, borrow) = limb.borrowing_sub(other.0.get(index).copied().unwrap_or(0), borrow);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn push_decimal(mut self, out: &mut Vec<u8>) {
        let (width, step) = Self::TEN_STEP;
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            chunks.push(self.divide_by(step));
        }
        let mut text = Digits::new();
        for (index, &chunk) in chunks.iter().rev().enumerate() {
            let digits = text.format(chunk);
            let zeros = if index == 0 { 0 } else { width - digits.len() };
            out.extend(std::iter::repeat_n(b'0', zeros));
            out.extend_from_slice(digits.as_bytes());
        }
    }

    /// Divides in place and gives the remainder.
    fn divide_by(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0;
        for limb in self.0.iter_mut().rev() {
            let part = u128::from(remainder) << 64 | u128::from(*limb);
            *limb = (part / u128::from(divisor)) as u64;
            remainder = (part % u128::from(divisor)) as u64;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        remainder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "refused";
    const INFINITE: &str = "infinite";

    fn sum(a: &[u8], b: &[u8]) -> String {
        let (Some(a), Some(b)) = (LongDouble::parse(a), LongDouble::parse(b)) else {
            return REFUSED.to_owned();
        };
        a.checked_add(b).map_or(INFINITE.to_owned(), text)
    }

    fn text(value: LongDouble) -> String {
        let mut out = Vec::new();
        value.push(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// What redis-server 7.0.15 on x86-64 replied to SET and INCRBYFLOAT.
    #[rustfmt::skip]
    const SUMS: &[(&str, &str, &str)] = &[
        ("0.1", "0.2", "0.3"),
        ("3.0", "1.1", "4.1"),
        ("10.5", "0.1", "10.6"),
        ("5.0e3", "2.0e2", "5200"),
        ("-0.5", "0.5", "0"),
        ("-0.0", "-0", "0"),
        ("1", "1e-17", "1.00000000000000001"),
        ("1", "5e-18", "1"),
        ("1", "5.000000000000000001e-18", "1"),
        ("0", "2.5e-17", "0.00000000000000002"),
        ("0", "1.5e-17", "0.00000000000000002"),
        ("0", "0.000000000000000005", "0"),
        ("99999999999999999", "0.99999999999999999", "100000000000000000"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("18446744073709551616", "0.5", "18446744073709551616"),
        ("9223372036854775807", "0.5", "9223372036854775807.5"),
        ("9223372036854775807", "0.25", "9223372036854775807"),
        ("36893488147419103232", "2", "36893488147419103232"),
        ("36893488147419103232", "6", "36893488147419103240"),
        ("-9223372036854775808.5", "9223372036854775808", "0"),
        ("123456789012345678901234567890", "0", "123456789012345678899921813504"),
        ("1e30", "-1e30", "0"),
        ("1e30", "1e11", "1000000000000000000093415538688"),
        ("1e30", "1e12", "1000000000000000001055488212992"),
        ("3.14159265358979323846264338327950288", "2.71828182845904523536028747135266249", "5.85987448204883847"),
        ("1e-30", "1e-4940", "0"),
        ("0x1.8p3", "0x.8p-1", "12.25"),
        ("0xffffffffffffffffff", "0", "4722366482869645213696"),
        ("0x1ffffffffffffffff8000001", "0x0", "9903520314283042199192993792"),
        ("0x1p70", "-1", "1180591620717411303424"),
        ("1e40", "0.1", "9999999999999999999783686092270256259072"),
        ("-1e-17", "1e-18", "-0.00000000000000001"),
        ("1000000000000000000000000000000000000000000000000001", "3", "1000000000000000000035838301188589238907984874045440"),
        ("4.999999999999999999999999", "5.000000000000000000000001", "10"),
        ("3.6451995318824746025e-4951", "0", "0"),
        ("00012.50000", "1.", "13.5"),
        (".5", "+.25", "0.75"),
        ("nan", "1", REFUSED),
        ("inf", "1", INFINITE),
        ("1", "-inf", INFINITE),
        ("1.18973149535723176502e4932", "1.18973149535723176502e4932", INFINITE),
        ("1.189731495357231765086e4932", "0", REFUSED),
        ("1.8225997659412373e-4951", "0", REFUSED),
        ("1e", "1", REFUSED),
        ("1 ", "1", REFUSED),
        ("1e99999999999999999999", "0", REFUSED),
        ("0e99999999999999999999", "1", "1"),
        ("0x", "1", REFUSED),
    ];

    #[test]
    fn sums_are_those_of_redis() {
        for &(a, b, expected) in SUMS {
            assert_eq!(sum(a.as_bytes(), b.as_bytes()), expected, "{a} + {b}");
            assert_eq!(sum(b.as_bytes(), a.as_bytes()), expected, "{b} + {a}");
        }
    }

    #[test]
    fn the_largest_number_is_written_to_its_last_digit() {
        let largest = sum(b"0x1.fffffffffffffffep16383", b"0");
        assert_eq!(largest.len(), 4933);
        assert!(largest.starts_with("118973149535723176502126385303097020516906332229462420044032"));
        assert!(largest.ends_with("444156604419552086811989770240"));
        assert_eq!(sum(largest.as_bytes(), b"0"), largest);
    }

    #[test]
    fn texts_over_the_limit_are_refused() {
        let zeros = vec![b'0'; TEXT_MAX];
        assert!(LongDouble::parse(&zeros).is_some());
        assert!(LongDouble::parse(&[&zeros[..], b"0"].concat()).is_none());
        let nines = vec![b'9'; TEXT_MAX];
        assert!(LongDouble::parse(&nines).is_none(), "out of range");
        let mut point = vec![b'9'; TEXT_MAX];
        point[1] = b'.';
        assert_eq!(sum(&point, b"0"), "10");
    }

    #[test]
    fn doubles_come_in_exactly() {
        for (value, expected) in [
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (1e22, "10000000000000000000000"),
            (5e-324, "0"),
            (-0.0, "0"),
        ] {
            assert_eq!(text(LongDouble::from(value)), expected);
        }
        assert_eq!(text(LongDouble::from(f64::NEG_INFINITY)), "-inf");
    }

    proptest::proptest! {
        /// Where a double has room for the exact sum, both types must agree on it.
        #[test]
        fn exact_sums_agree_with_doubles(a in -(1i64 << 50)..1 << 50, b in -(1i64 << 50)..1 << 50, shift in 0u32..10) {
            let scale = f64::from(1 << shift);
            let (a, b) = (a as f64 / scale, b as f64 / scale);
            let sum = LongDouble::from(a).checked_add(LongDouble::from(b)).unwrap();
            proptest::prop_assert_eq!(text(sum).parse::<f64>().unwrap(), a + b);
        }

        /// The two ways of scaling by a power of ten are interchangeable.
        #[test]
        fn short_and_long_numbers_are_rounded_alike(value in 1u64.., exponent in -27i64..=27) {
            proptest::prop_assert_eq!(scale_short(value, exponent), scale_big(Big::from(value), exponent));
        }

        #[test]
        fn no_text_makes_it_panic(a in "[-+]?[0-9a-fx]{0,30}[.]?[0-9a-f]{0,30}([ep][-+]?[0-9]{0,6})?", b: Vec<u8>) {
            sum(a.as_bytes(), &b);
            sum(a.as_bytes(), a.as_bytes());
        }
    }
}
