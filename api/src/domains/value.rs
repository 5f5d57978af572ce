//! Values of bodies, each by its kind.

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::field::Kind;
use crate::money::MinorUnits;

/// The years that a date may lie in; SQL Server's begin with 1753.
const YEARS: std::ops::RangeInclusive<i32> = 1753..=9998;

impl Kind {
    /// The value as Postgres reads it out of JSON, or why it is none.
    pub(super) fn read(self, value: &Value) -> Result<Value, String> {
        match self {
            Self::Line(max) => line(string(value)?, max),
            Self::Text(max) => text(string(value)?, max),
            Self::OneOf(allowed) => {
                let given = string(value)?;
                let known = allowed.iter().find(|word| **word == given);
                known
                    .map(|word| (*word).into())
                    .ok_or_else(|| format!("must be one of {}", allowed.join(", ")))
            }
            Self::Bool => {
                value.as_bool().map(Value::from).ok_or_else(|| "must be true or false".to_owned())
            }
            Self::Whole(from, to) => value
                .as_i64()
                .filter(|number| (from..=to).contains(number))
                .map(Value::from)
                .ok_or_else(|| format!("must be a whole number from {from} to {to}")),
            Self::Real(from, to) => value
                .as_f64()
                .filter(|number| (from..=to).contains(number))
                .map(Value::from)
                .ok_or_else(|| format!("must be a number from {from} to {to}")),
            Self::Amount => MinorUnits::from_json(value).map(Value::from),
            Self::PositiveAmount => {
                let amount = MinorUnits::from_json(value)?;
                let nothing = MinorUnits::new(0);
                if amount.compare(nothing).is_gt() {
                    Ok(amount.into())
                } else {
                    Err("must be more than 0".to_owned())
                }
            }
            Self::Price => price(string(value)?),
            Self::Date => date(string(value)?).map(Value::from),
            Self::Month => {
                let first = date(string(value)?)?;
                let is_first = first.ends_with("-01");
                is_first
                    .then(|| first.into())
                    .ok_or_else(|| "must be the first day of a month".to_owned())
            }
            Self::Moment => moment(string(value)?).map(Value::from),
            Self::Color => color(string(value)?),
            Self::Reference(_) => {
                let id =
                    Uuid::try_parse(string(value)?).map_err(|_| "must be a UUID".to_owned())?;
                Ok(id.to_string().into())
            }
        }
    }
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".to_owned())
}

/// Without blanks around it; an empty one is none.
fn line(given: &str, max: usize) -> Result<Value, String> {
    if given.trim().chars().any(char::is_control) {
        return Err("must be one line without control characters".to_owned());
    }
    text(given, max)
}

fn text(given: &str, max: usize) -> Result<Value, String> {
    let given = given.trim();
    if given.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err("must have no control characters".to_owned());
    }
    if given.encode_utf16().count() > max {
        return Err(format!("must have {max} characters at most"));
    }
    Ok(if given.is_empty() { Value::Null } else { given.into() })
}

fn price(given: &str) -> Result<Value, String> {
    let (whole, fraction) = given.split_once('.').unwrap_or((given, "0"));
    let digits = |part: &str, max: usize| {
        (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(whole, 18) && digits(fraction, 10) {
        Ok(given.into())
    } else {
        Err("must be a string of up to 18 digits, perhaps with 10 more after a point".to_owned())
    }
}

fn color(given: &str) -> Result<Value, String> {
    let digits = given.strip_prefix('#').filter(|digits| digits.len() == 8);
    if digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        Ok(given.to_ascii_lowercase().into())
    } else {
        Err("must be #aarrggbb in hexadecimal digits".to_owned())
    }
}

fn date(given: &str) -> Result<String, String> {
    let wrong = || "must be a day such as 2024-02-29".to_owned();
    if given.len() != 10 {
        return Err(wrong());
    }
    let day = NaiveDate::parse_from_str(given, "%Y-%m-%d").map_err(|_| wrong())?;
    // Written anew, so that dates compare as texts do.
    if is_in_range(day) { Ok(day.format("%Y-%m-%d").to_string()) } else { Err(wrong()) }
}

fn moment(given: &str) -> Result<String, String> {
    let wrong = || "must be a time such as 2024-02-29T08:00:00+08:00".to_owned();
    let moment = DateTime::parse_from_rfc3339(given).map_err(|_| wrong())?.to_utc();
    let text = moment.to_rfc3339_opts(SecondsFormat::Micros, true);
    if is_in_range(moment.date_naive()) { Ok(text) } else { Err(wrong()) }
}

fn is_in_range(day: NaiveDate) -> bool {
    YEARS.contains(&day.year())
}

/// A moment of now, in the form of the others.
pub(super) fn now() -> Value {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domains::field::field;

    fn check(kind: Kind, good: &[(Value, Value)], bad: &[Value]) {
        let field = field("some_column", kind);
        for (given, read) in good {
            assert_eq!(field.read(given).as_ref(), Ok(read), "{kind:?} {given}");
        }
        for given in bad {
            assert!(field.read(given).is_err(), "{kind:?} {given}");
        }
    }

    #[test]
    fn texts_are_measured_as_the_legacy_columns_are() {
        let good = [
            (json!(" Ө "), json!("Ө")),
            (json!(""), json!(null)),
            (json!("  "), json!(null)),
            (json!(null), json!(null)),
            (json!("😀"), json!("😀")),
            (json!("'; drop table tenants --"), json!("'; drop table tenants --")),
        ];
        let bad = [json!("a\u{0}"), json!("a\nb"), json!("\u{7f}"), json!(1), json!([])];
        check(Kind::Line(24), &good, &bad);
        check(Kind::Line(3), &[], &[json!("😀😀"), json!("abcd")]);
        check(
            Kind::Text(9),
            &[(json!("a\nb"), json!("a\nb"))],
            &[json!("a\u{0}"), json!("a\u{1b}")],
        );
    }

    #[test]
    fn numbers_have_bounds() {
        check(
            Kind::Whole(0, 9),
            &[(json!(0), json!(0)), (json!(9), json!(9))],
            &[json!(-1), json!(10), json!(1.0), json!("1"), json!(u64::MAX), json!(1e300)],
        );
        check(
            Kind::Real(-1.5, 2.0),
            &[(json!(2), json!(2.0))],
            &[json!(2.1), json!("1"), json!(-9)],
        );
        check(
            Kind::Price,
            &[(json!("1.5"), json!("1.5")), (json!("0"), json!("0"))],
            &[
                json!(1.5),
                json!("-1"),
                json!("1."),
                json!(".5"),
                json!("1e5"),
                json!("1.00000000001"),
            ],
        );
        check(
            Kind::PositiveAmount,
            &[(json!("1"), json!(1))],
            &[json!("0"), json!("-1"), json!(0.5)],
        );
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        check(
            Kind::Date,
            &[(json!("2024-02-29"), json!("2024-02-29"))],
            &[
                json!("2023-02-29"),
                json!("2024-2-9"),
                json!("0001-01-01"),
                json!("99999-01-1"),
                json!("2024-02-29T00:00:00Z"),
                json!(""),
                json!(20240229),
                json!("+024-01-01"),
            ],
        );
        check(Kind::Month, &[(json!("2024-02-01"), json!("2024-02-01"))], &[json!("2024-02-02")]);
        check(
            Kind::Moment,
            &[(json!("2024-03-01T07:00:00+08:00"), json!("2024-02-29T23:00:00.000000Z"))],
            &[json!("2024-03-01"), json!("2024-03-01T07:00:00"), json!("now"), json!("infinity")],
        );
    }

    #[test]
    fn a_color_has_its_alpha() {
        let bad = [json!("#008000"), json!("ff008000"), json!("#ff00800g"), json!(1)];
        check(Kind::Color, &[(json!("#FF008000"), json!("#ff008000"))], &bad);
    }
}
