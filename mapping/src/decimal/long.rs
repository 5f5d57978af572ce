//! Numbers with more digits than a [`Decimal`](crate::value::Decimal) holds: a `float` such as
//! `1e-40`, or a text of fifty digits. What is cut is only looked at, so any length serves.

use std::cmp::Ordering::{Equal, Greater};

use super::{Misfit, Round, Spelled, nearest, power_of_ten};

/// The unscaled value of a number as text at `scale` digits after the point; `None` when the
/// text is no number.
pub(crate) fn rescale_text(text: &[u8], scale: u8, round: Round) -> Option<Result<i128, Misfit>> {
    let Spelled { negative, mantissa, exponent } = Spelled::read(text)?;
    let whole = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (before, after) = mantissa.split_at_checked(whole)?;
    let after = after.strip_prefix(b".").unwrap_or_default();
    let mut digits = before.iter().chain(after).map(|byte| byte.wrapping_sub(b'0'));
    if digits.clone().next().is_none() || digits.clone().any(|digit| digit > 9) {
        return None;
    }
    // How many of the digits are before the place at which the number is cut.
    let kept = i64::try_from(whole).ok()? + i64::from(exponent) + i64::from(scale);
    let sign = if negative { -1 } else { 1 };
    let mut unscaled = 0_i128;
    for place in 0..kept {
        let Some(digit) = digits.next() else {
            return Some(with_zeros(unscaled * sign, kept - place));
        };
        let next = unscaled.checked_mul(10).and_then(|ten| ten.checked_add(i128::from(digit)));
        match next {
            Some(next) => unscaled = next,
            None => return Some(Err(Misfit::Range)),
        }
    }
    // A cut before the first digit: zeros stand in between, so less than half is cut off.
    let (first, rest) = if kept < 0 { (0, digits) } else { (digits.next().unwrap_or(0), digits) };
    let rest = rest.clone().any(|digit| digit != 0);
    if first == 0 && !rest {
        return Some(Ok(unscaled * sign));
    }
    let half = first.cmp(&5).then(if rest { Greater } else { Equal });
    Some(nearest(unscaled * sign, sign, half, round))
}

/// A number with so many zeros behind it.
fn with_zeros(unscaled: i128, count: i64) -> Result<i128, Misfit> {
    if unscaled == 0 {
        return Ok(0);
    }
    let factor = u8::try_from(count).ok().and_then(power_of_ten).ok_or(Misfit::Range)?;
    unscaled.checked_mul(factor).ok_or(Misfit::Range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decimal, value::Decimal};
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_off_is_only_looked_at() {
        let fifty = "0.12500000000000000000000000000000000000000000000000";
        let more = "0.12500000000000000000000000000000000000000000000001";
        for (text, scale, round, expect) in [
            (fifty, 2, Round::HalfEven, Ok(12)),
            (fifty, 2, Round::HalfUp, Ok(13)),
            (fifty, 3, Round::Never, Ok(125)),
            (more, 2, Round::HalfEven, Ok(13)),
            (more, 3, Round::Never, Err(Misfit::Inexact)),
            ("1e-40", 2, Round::HalfUp, Ok(0)),
            ("-9.9e-40", 2, Round::HalfEven, Ok(0)),
            ("-9.9e-40", 2, Round::Never, Err(Misfit::Inexact)),
            ("5e-3", 2, Round::HalfUp, Ok(1)),
            ("-5e-3", 2, Round::HalfUp, Ok(-1)),
            ("5e-3", 2, Round::HalfEven, Ok(0)),
            ("5.000001e-3", 2, Round::HalfEven, Ok(1)),
            ("5e-4", 2, Round::HalfUp, Ok(0)),
            ("0e-2147483648", 2, Round::Never, Ok(0)),
            ("0e2147483647", 2, Round::Never, Ok(0)),
            ("1e300", 2, Round::HalfUp, Err(Misfit::Range)),
            ("1e36", 2, Round::Never, Ok(10_i128.pow(38))),
            ("99999999999999999999999999999999999999999", 0, Round::Never, Err(Misfit::Range)),
        ] {
            assert_eq!(
                rescale_text(text.as_bytes(), scale, round),
                Some(expect),
                "{text} {round:?}"
            );
        }
        for text in ["", "-", ".", "1.2.3", "1,5", "e5", ".e5", "1e99999999999", "NaN", "inf"] {
            assert_eq!(rescale_text(text.as_bytes(), 2, Round::HalfUp), None, "{text}");
        }
    }

    proptest! {
        /// Where a decimal holds the number, both ways are one.
        #[test]
        fn a_short_number_is_the_same_both_ways(
            unscaled in prop_oneof![any::<i64>().prop_map(i128::from), any::<i16>().prop_map(i128::from), any::<i128>()],
            places in 0_u8..=38,
            scale in 0_u8..=38,
            round in prop::sample::select(vec![Round::Never, Round::HalfEven, Round::HalfUp]),
        ) {
            let number = Decimal { unscaled, scale: places };
            let text = decimal::display(number);
            prop_assert_eq!(
                rescale_text(text.as_bytes(), scale, round),
                Some(decimal::rescale(number, scale, round)),
                "{}", text
            );
        }
    }
}
