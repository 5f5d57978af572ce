//! Exact decimal arithmetic on [`Decimal`]: nothing here goes through a float.

use std::{cmp::Ordering, fmt::Write};

use crate::value::Decimal;

mod long;

pub(crate) use long::rescale_text;

/// How a value with more digits than the target holds is cut, where the file says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// It is rejected. The default.
    Never,
    /// To the nearest, ties to the even neighbour.
    HalfEven,
    /// To the nearest, ties away from zero.
    HalfUp,
}

/// Why a number does not have the wanted number of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Digits would be lost.
    Inexact,
    /// It is too large.
    Range,
}

const DIGITS_MAX: u8 = 38;

/// 10^`exponent`, where it fits.
pub(crate) fn power_of_ten(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(exponent))
}

/// The unscaled value at `scale` digits after the point.
pub(crate) fn rescale(value: Decimal, scale: u8, round: Round) -> Result<i128, Misfit> {
    if scale >= value.scale {
        let factor = power_of_ten(scale - value.scale).ok_or(Misfit::Range)?;
        return value.unscaled.checked_mul(factor).ok_or(Misfit::Range);
    }
    let Some(divisor) = power_of_ten(value.scale - scale) else {
        // More digits to cut than an i128 has: what stays is zero, or a loss.
        return match (value.unscaled, round) {
            (0, _) | (_, Round::HalfEven | Round::HalfUp) => Ok(0),
            (_, Round::Never) => Err(Misfit::Inexact),
        };
    };
    let (quotient, remainder) = (value.unscaled / divisor, value.unscaled % divisor);
    if remainder == 0 {
        return Ok(quotient);
    }
    let half = remainder.unsigned_abs().cmp(&(divisor.unsigned_abs() / 2));
    nearest(quotient, remainder.signum(), half, round)
}

/// A number of which something was cut off: which side of a half it was, and of which sign.
fn nearest(cut: i128, sign: i128, half: Ordering, round: Round) -> Result<i128, Misfit> {
    let away = match (round, half) {
        (Round::Never, _) => return Err(Misfit::Inexact),
        (_, Ordering::Less) => false,
        (_, Ordering::Greater) | (Round::HalfUp, Ordering::Equal) => true,
        (Round::HalfEven, Ordering::Equal) => cut % 2 != 0,
    };
    if away { cut.checked_add(sign).ok_or(Misfit::Range) } else { Ok(cut) }
}

/// Without trailing zeros after the point: one form for each number.
pub(crate) fn normalise(value: Decimal) -> Decimal {
    let mut normal = value;
    while normal.scale > 0 && normal.unscaled % 10 == 0 {
        normal = Decimal { unscaled: normal.unscaled / 10, scale: normal.scale - 1 };
    }
    normal
}

/// The parts of `-12.50` or `1.25e3`.
struct Spelled<'a> {
    negative: bool,
    /// Digits and a point, or anything else.
    mantissa: &'a [u8],
    exponent: i32,
}

impl<'a> Spelled<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let end = digits.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(digits.len());
        let (mantissa, exponent) = digits.split_at_checked(end)?;
        let exponent = match exponent {
            [] => 0,
            [_, rest @ ..] => std::str::from_utf8(rest).ok()?.parse::<i32>().ok()?,
        };
        Some(Self { negative, mantissa, exponent })
    }
}

/// Reads `-12.50` or `1.25e3`; `None` for anything else and for more than 38 digits.
pub(crate) fn parse(text: &[u8]) -> Option<Decimal> {
    let Spelled { negative, mantissa, exponent } = Spelled::read(text)?;
    let mut unscaled = 0_i128;
    let (mut count, mut fraction, mut point) = (0_u32, 0_i32, false);
    for byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                let digit = i128::from(byte - b'0');
                unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
                count += 1;
                fraction += i32::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if count == 0 {
        return None;
    }
    let unscaled = if negative { -unscaled } else { unscaled };
    shift(unscaled, fraction.checked_sub(exponent)?)
}

/// `unscaled` × 10^-`scale` for any scale.
fn shift(mut unscaled: i128, mut scale: i32) -> Option<Decimal> {
    if unscaled == 0 {
        return Some(Decimal { unscaled, scale: 0 });
    }
    if scale < 0 {
        let factor = power_of_ten(u8::try_from(scale.unsigned_abs()).ok()?)?;
        unscaled = unscaled.checked_mul(factor)?;
        scale = 0;
    }
    while scale > i32::from(DIGITS_MAX) && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= DIGITS_MAX)?;
    Some(Decimal { unscaled, scale })
}

/// The shortest decimal that reads back as the same float: what a person typed, as far as the
/// float still knows. `single` for a value that was a `real`.
pub(crate) fn from_float(value: f64, single: bool) -> Option<Decimal> {
    parse(shortest(value, single)?.as_bytes())
}

/// As [`from_float`] and [`rescale`] in one, for floats that no [`Decimal`] holds too; `None` for
/// what is no number.
pub(crate) fn rescale_float(
    (value, single): (f64, bool),
    scale: u8,
    round: Round,
) -> Option<Result<i128, Misfit>> {
    rescale_text(shortest(value, single)?.as_bytes(), scale, round)
}

fn shortest(value: f64, single: bool) -> Option<Short> {
    let mut text = Short::default();
    if single {
        write!(text, "{:e}", to_single(value)).ok()?;
    } else {
        write!(text, "{value:e}").ok()?;
    }
    Some(text)
}

/// The nearest `f32`; exact for a value that was one.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the only way; the value was an f32 before"
)]
pub(crate) fn to_single(value: f64) -> f32 {
    value as f32
}

/// A short text on the stack.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl Short {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// As a person writes it: `-12.50`.
pub(crate) fn display(value: Decimal) -> String {
    let sign = if value.unscaled < 0 { "-" } else { "" };
    let scale = usize::from(value.scale);
    let digits = format!("{:0>width$}", value.unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn d(unscaled: i128, scale: u8) -> Decimal {
        Decimal { unscaled, scale }
    }

    #[test]
    fn floats_become_the_decimal_that_was_typed() {
        for (float, unscaled, scale) in
            [(2.675, 2675, 3), (0.1 + 0.2, 30_000_000_000_000_004, 17), (1e21, 10_i128.pow(21), 0)]
        {
            assert_eq!(from_float(float, false), Some(d(unscaled, scale)), "{float}");
        }
        assert_eq!(from_float(f64::from(1.1_f32), true), Some(d(11, 1)));
        assert_eq!(from_float(f64::NAN, false), None);
        assert_eq!(from_float(f64::INFINITY, false), None);
        assert_eq!(from_float(f64::MAX, false), None);
        assert_eq!(from_float(-0.0, false), Some(d(0, 0)));
    }

    #[test]
    fn rounding_happens_only_when_said() {
        for (value, round, expect) in [
            (d(2675, 3), Round::Never, Err(Misfit::Inexact)),
            (d(2670, 3), Round::Never, Ok(267)),
            (d(2665, 3), Round::HalfEven, Ok(266)),
            (d(2675, 3), Round::HalfEven, Ok(268)),
            (d(-2665, 3), Round::HalfUp, Ok(-267)),
            (d(2664, 3), Round::HalfUp, Ok(266)),
            (d(i128::MAX, 0), Round::Never, Err(Misfit::Range)),
        ] {
            assert_eq!(rescale(value, 2, round), expect, "{value:?} {round:?}");
        }
    }

    #[test]
    fn texts_that_are_no_numbers_are_refused() {
        for text in ["", "-", ".", "1.2.3", "1,5", "0x1", "1e", "NaN", " 1", "1e99999999999"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b".5"), Some(d(5, 1)));
        assert_eq!(parse(b"+1.25E2"), Some(d(125, 0)));
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=38) {
            let value = d(unscaled, scale);
            let read = parse(display(value).as_bytes()).expect("readable");
            prop_assert_eq!(normalise(read), normalise(value));
        }

        #[test]
        fn any_float_is_a_decimal_or_none(bits: u64) {
            let value = f64::from_bits(bits);
            if let Some(decimal) = from_float(value, false) {
                prop_assert_eq!(display(decimal).parse::<f64>().expect("a number"), value);
            }
        }
    }
}
