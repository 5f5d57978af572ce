//! Numbers as connectors write them: whole, exact decimal, floating.

use mapping::value::Decimal;

/// 10^n for every scale that SQL Server has.
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut index = 1;
    while index < powers.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            powers[index] = powers[index - 1] * 10;
        }
        index += 1;
    }
    powers
};

/// A whole number.
#[inline]
pub(crate) fn whole(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    // Negative numbers reach one further, so everything is summed downwards.
    let mut value = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A floating-point number.
pub(crate) fn float(digits: &[u8]) -> Option<f64> {
    let value: f64 = str::from_utf8(digits).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// A `real`, widened as the driver does it.
pub(crate) fn real(digits: &[u8]) -> Option<f64> {
    let value: f32 = str::from_utf8(digits).ok()?.parse().ok()?;
    value.is_finite().then(|| f64::from(value))
}

/// The big-endian two's complement of Connect's `Decimal`.
pub(crate) fn twos_complement(bytes: &[u8]) -> Option<i128> {
    let first = bytes.first()?;
    if bytes.len() > 16 {
        // SQL Server's 38 digits fit into 16 bytes; more must be sign extension.
        let (extension, rest) = bytes.split_at(bytes.len() - 16);
        let fill = if rest.first()? & 0x80 == 0 { 0 } else { 0xFF };
        return extension.iter().all(|b| *b == fill).then(|| twos_complement(rest))?;
    }
    let mut all = [if first & 0x80 == 0 { 0 } else { 0xFF }; 16];
    let (_, low) = all.split_at_mut_checked(16 - bytes.len())?;
    low.copy_from_slice(bytes);
    Some(i128::from_be_bytes(all))
}

/// The number in the base64 of a two's complement of at most 15 bytes, which is 36 digits: the
/// usual case without a buffer. `None` sends others the long way.
#[inline]
pub(crate) fn short_twos_complement(base64: &[u8]) -> Option<i128> {
    let digits = match base64 {
        [digits @ .., b'=', b'='] | [digits @ .., b'='] => digits,
        digits => digits,
    };
    if digits.is_empty() || digits.len() > 20 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bits = 0_u128;
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u128::from(value);
    }
    let length = digits.len() * 6 / 8 * 8;
    bits >>= digits.len() * 6 - length;
    // Up to the top, as signed, and down again.
    let shift = 128 - length;
    Some(i128::from_ne_bytes((bits << shift).to_ne_bytes()) >> shift)
}

/// `unscaled` × 10^-`from` at another scale; `None` when digits would be lost.
pub(crate) fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if from <= to {
        return unscaled.checked_mul(*POWERS.get(usize::from(to - from))?);
    }
    if unscaled == 0 {
        return Some(0);
    }
    let divisor = POWERS.get(usize::from(from - to))?;
    (unscaled % divisor == 0).then(|| unscaled / divisor)
}

/// An exact decimal at `scale`, from digits with or without a point and an exponent.
pub(crate) fn decimal(text: &[u8], scale: u8) -> Option<Decimal> {
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => {
            let digits = text.get(at + 1..)?;
            let digits = digits.strip_prefix(b"+").unwrap_or(digits);
            (text.get(..at)?, i32::try_from(whole(digits)?).ok()?)
        }
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, mantissa),
    };
    let mut unscaled = 0_i128;
    let mut digits = 0;
    let mut fraction: Option<i32> = None;
    for byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                digits += 1;
                fraction = fraction.map(|count| count + 1);
            }
            b'.' if fraction.is_none() => fraction = Some(0),
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    let unscaled = if negative { -unscaled } else { unscaled };
    let from = fraction.unwrap_or(0).checked_sub(exponent)?;
    let unscaled = if unscaled == 0 {
        0
    } else if let Ok(from) = u8::try_from(from) {
        rescale(unscaled, from, scale)?
    } else {
        let up = u8::try_from(from.checked_neg()?).ok()?;
        rescale(rescale(unscaled, 0, up)?, 0, scale)?
    };
    Some(Decimal { unscaled, scale })
}

/// The decimal that a `double` stands for. A double carries 15 digits; of a value that may have
/// more at the column's scale there is no telling what the legacy database holds.
pub(crate) fn decimal_of_double(digits: &[u8], scale: u8) -> Option<Decimal> {
    let value = float(digits)?;
    let exact = decimal(format!("{value:e}").as_bytes(), scale)?;
    (exact.unscaled.unsigned_abs() < 10_u128.pow(15)).then_some(exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str, scale: u8) -> Option<i128> {
        decimal(text.as_bytes(), scale).map(|value| value.unscaled)
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(at("1234.56", 2), Some(123_456));
        assert_eq!(at("-0.05", 4), Some(-500));
        assert_eq!(at("1.50", 1), Some(15));
        assert_eq!(at("1.55", 1), None);
        assert_eq!(at("1E+3", 2), Some(100_000));
        assert_eq!(at("12.5e-1", 2), Some(125));
        assert_eq!(at("0E-10", 2), Some(0));
        assert_eq!(at("99999999999999999999999999999999999999", 0), Some(10_i128.pow(38) - 1));
        for wrong in ["", "-", ".", "1.2.3", "1e", "0x1", "NaN", "1e99999999999", "١"] {
            assert_eq!(at(wrong, 2), None, "{wrong}");
        }
    }

    #[test]
    fn doubles_are_decimals_while_they_can_be() {
        let of = |text: &str, scale| decimal_of_double(text.as_bytes(), scale).map(|v| v.unscaled);
        assert_eq!(of("1234.56", 2), Some(123_456));
        assert_eq!(of("2.5E7", 2), Some(2_500_000_000));
        assert_eq!(of("1.2345678901234567E19", 10), None);
        // -9999999999999999.99 as a double.
        assert_eq!(of("-1.0E16", 2), None);
    }

    proptest! {
        #[test]
        fn whole_numbers_are_read(value: i64) {
            prop_assert_eq!(whole(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn twos_complement_is_read(value: i128) {
            prop_assert_eq!(twos_complement(&value.to_be_bytes()), Some(value));
            let wide = [&[if value < 0 { 0xFF } else { 0 }; 2][..], &value.to_be_bytes()].concat();
            prop_assert_eq!(twos_complement(&wide), Some(value));
        }

        #[test]
        fn short_numbers_need_no_buffer(value: i128, length in 1..16_usize) {
            use base64::{Engine, engine::general_purpose::STANDARD};
            let bytes = value.to_be_bytes();
            let bytes = &bytes[16 - length..];
            prop_assert_eq!(short_twos_complement(STANDARD.encode(bytes).as_bytes()), twos_complement(bytes));
        }

        #[test]
        fn arbitrary_text_never_panics(bytes: Vec<u8>, scale in 0..39_u8) {
            let _ = (whole(&bytes), decimal(&bytes, scale), decimal_of_double(&bytes, scale));
            let _ = (float(&bytes), real(&bytes), twos_complement(&bytes));
            let _ = short_twos_complement(&bytes);
        }
    }
}
