//! Money against arithmetic on digits: texts of any length, no integer type and no float.

use super::*;
use crate::value::LegacyValue;

/// A number as its sign and digits, `places` of them after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    places: usize,
}

impl Digits {
    /// Of `-12.50` or `1e22`'s plain form.
    fn of(text: &str) -> Self {
        let (negative, bare) = text.strip_prefix('-').map_or((false, text), |bare| (true, bare));
        let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        Self { negative, digits, places: fraction.len() }
    }

    /// With so many digits after the point; `None` when a digit that is not zero would be lost.
    fn exactly(&self, places: usize) -> Option<Self> {
        let mut digits = self.digits.clone();
        let kept = digits.len() + places - self.places.min(digits.len() + places);
        if places >= self.places {
            digits.extend(std::iter::repeat_n(0, places - self.places));
        } else if digits[kept..].iter().any(|digit| *digit != 0) {
            return None;
        } else {
            digits.truncate(kept);
        }
        Some(Self { negative: self.negative, digits, places })
    }

    /// To the nearest; ties away from zero, or to the even neighbour.
    fn rounded(&self, places: usize, to_even: bool) -> Self {
        if places >= self.places {
            return self.exactly(places).expect("nothing is lost");
        }
        let cut = self.places - places;
        let mut padded = vec![0; (cut + 1).saturating_sub(self.digits.len())];
        padded.extend(&self.digits);
        let (kept, lost) = padded.split_at(padded.len() - cut);
        let mut kept = kept.to_vec();
        let tie = lost[0] == 5 && lost[1..].iter().all(|digit| *digit == 0);
        let odd = kept.last().is_some_and(|digit| digit % 2 == 1);
        if if tie { !to_even || odd } else { lost[0] >= 5 } {
            add_one(&mut kept);
        }
        Self { negative: self.negative, digits: kept, places }
    }

    /// All digits as one integer, as a person writes it.
    fn unscaled(&self) -> String {
        let digits: String = self.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits if self.negative => format!("-{digits}"),
            digits => digits.to_owned(),
        }
    }
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

/// Whether 64 bits hold it: compared as digits, longer is larger.
fn fits(number: &str) -> bool {
    let (bare, limit) = match number.strip_prefix('-') {
        Some(bare) => (bare, "9223372036854775808"),
        None => (number, "9223372036854775807"),
    };
    bare.len() < limit.len() || (bare.len() == limit.len() && bare <= limit)
}

/// What a money column must be.
fn wanted(text: &str, digits: usize, round: Round) -> Result<String, &'static str> {
    let number = Digits::of(text);
    let scaled = match round {
        Round::Never => number.exactly(digits).ok_or("money.inexact")?,
        Round::HalfEven => number.rounded(digits, true),
        Round::HalfUp => number.rounded(digits, false),
    };
    let unscaled = scaled.unscaled();
    if fits(&unscaled) { Ok(unscaled) } else { Err("money.range") }
}

/// A number with more digits before the point than a decimal holds (38) has a rule of its own.
fn check(
    value: &LegacyValue<'_>,
    text: &str,
    digits: u8,
    round: Round,
) -> Result<(), TestCaseError> {
    let got = convert(&Make::Money(number(digits, round)), value);
    let wanted = wanted(text, usize::from(digits), round);
    let bare = Digits::of(text);
    let whole = bare.digits.len() - bare.places;
    let long =
        bare.unscaled().trim_start_matches('-').len() > 38 && whole + usize::from(digits) > 37;
    let same = match (&got, &wanted) {
        (Ok(Some(got)), Ok(wanted)) => got == wanted,
        (Err("number.range"), Err(_)) if long => true,
        (Err(got), Err(wanted)) => got == wanted,
        _ => false,
    };
    prop_assert!(same, "{text} at {digits} digits, {round:?}: {got:?} and not {wanted:?}");
    Ok(())
}

fn rounding() -> impl Strategy<Value = Round> {
    prop::sample::select(vec![Round::Never, Round::HalfEven, Round::HalfUp])
}

/// A plain number: few digits often, and ties often.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,20}",
        "-?[0-9]{1,18}\\.[0-9]{1,12}",
        "-?[0-9]{1,4}\\.[0-9]{0,3}50{0,3}",
        "-?[0-9]{1,6}\\.[0-9]{1,2}0{0,6}"
    ]
}

#[test]
fn more_digits_than_a_decimal_holds_are_rounded_where_the_file_says_so() {
    let float = |value: f64| LegacyValue::Float(value);
    for (value, round, expect) in [
        (float(1e-40), Round::HalfUp, Ok(Some("0".to_owned()))),
        (float(-9.87e-300), Round::HalfEven, Ok(Some("0".to_owned()))),
        (float(1e-40), Round::Never, Err("money.inexact")),
        (float(1e300), Round::HalfUp, Err("number.range")),
        (float(f64::NAN), Round::HalfUp, Err("number.range")),
        // Its shortest form, of 16 digits, and not the 2^-60 that was added to it.
        (float(0.125 + 2.0_f64.powi(-55)), Round::HalfEven, Ok(Some("13".to_owned()))),
    ] {
        assert_eq!(convert(&Make::Money(number(2, round)), &value), expect, "{value} {round:?}");
    }
}

/// More digits than a decimal holds, ties among them.
fn long_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,4}\\.[0-9]{0,3}(50{40,60}[01]?|[0-9]{38,70})",
        "-?0\\.0{36,60}[0-9]{1,20}",
        "-?[0-9]{30,50}(\\.[0-9]{1,12})?",
    ]
}

proptest! {
    #[test]
    fn money_from_text_is_its_digits(text in prop_oneof![number_text(), long_text()], digits in 0_u8..=9, round in rounding()) {
        check(&LegacyValue::Text(text.as_str().into()), &text, digits, round)?;
    }

    #[test]
    fn money_from_a_decimal_is_its_digits(text in number_text(), digits in 0_u8..=9, round in rounding()) {
        let bare = Digits::of(&text);
        let scale = u8::try_from(bare.places).expect("few");
        let unscaled = bare.unscaled().parse().expect("38 digits at most");
        let value = LegacyValue::Decimal(Decimal { unscaled, scale });
        check(&value, &text, digits, round)?;
    }

    /// `money` has four digits, and all of its range is exact.
    #[test]
    fn every_value_of_the_type_money_is_exact_at_four_digits(stored: i64) {
        let value = LegacyValue::Decimal(Decimal { unscaled: i128::from(stored), scale: 4 });
        let got = convert(&Make::Money(number(4, Round::Never)), &value);
        prop_assert_eq!(got, Ok(Some(stored.to_string())));
    }

    /// A float is the number that a person would read: its shortest digits.
    #[test]
    fn money_from_a_float_is_what_it_prints(value in prop_oneof![
        prop::num::f64::NORMAL,
        (-10_i64.pow(15)..10_i64.pow(15)).prop_map(|n| n.to_string().parse::<f64>().expect("a number") / 100.0),
        -1e6..1e6,
        // Digits far behind the point.
        (-1e3..1e3, -60..0_i32).prop_map(|(number, power)| number * 10_f64.powi(power)),
    ], digits in 0_u8..=4, round in rounding()) {
        // Not in the exponent's form, whatever its size.
        let text = format!("{value}");
        check(&LegacyValue::Float(value), &text, digits, round)?;
    }

    #[test]
    fn what_was_typed_into_a_float_comes_back(minor in -10_i64.pow(15)..10_i64.pow(15), digits in 0_u8..=4) {
        let typed = crate::decimal::display(Decimal { unscaled: i128::from(minor), scale: digits });
        let float: f64 = typed.parse().expect("a number");
        let got = convert(&Make::Money(number(digits, Round::Never)), &LegacyValue::Float(float));
        prop_assert_eq!(got, Ok(Some(minor.to_string())));
    }

    #[test]
    fn an_int_is_a_whole_amount(amount: i32, digits in 0_u8..=9) {
        let got = convert(&Make::Money(number(digits, Round::Never)), &LegacyValue::Int(amount.into()));
        prop_assert_eq!(got, Ok(Some(wanted(&amount.to_string(), usize::from(digits), Round::Never).expect("fits"))));
    }
}
