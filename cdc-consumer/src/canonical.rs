//! One text form for each value, for people and for golden files.

use std::fmt::Write;

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue, TICKS_PER_SECOND},
};

use crate::decode::temporal::date_of_days;

const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;

/// The canonical text of a value; `None` for NULL.
///
/// Decimals keep their scale, times the column's precision and no invented zone, binaries are
/// `0x…`, GUIDs lower-case, bits `0` and `1`; a LOB that the event does not carry is
/// `unchanged`.
#[must_use]
pub fn canonical(value: &LegacyValue<'_>, sql_type: &SqlType) -> Option<String> {
    Some(match value {
        LegacyValue::Null => return None,
        LegacyValue::Unchanged => "unchanged".into(),
        LegacyValue::Bool(value) => if *value { "1" } else { "0" }.into(),
        LegacyValue::Int(value) => value.to_string(),
        LegacyValue::Float(value) => float(*value, *sql_type == SqlType::Real),
        LegacyValue::Decimal(value) => decimal(*value),
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => text.clone().into_owned(),
        LegacyValue::Bytes(bytes) => binary(bytes),
        LegacyValue::Guid(guid) => guid.to_string(),
        LegacyValue::Date(days) => date(i64::from(*days)),
        LegacyValue::Time(ticks) => time(*ticks, fraction_digits(sql_type)),
        LegacyValue::Timestamp(ticks) => timestamp(*ticks, fraction_digits(sql_type)),
        LegacyValue::TimestampOffset { utc_ticks, offset_minutes } => {
            let offset = i64::from(*offset_minutes);
            let local = utc_ticks.saturating_add(offset * 60 * TICKS_PER_SECOND);
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            let wall = timestamp(local, fraction_digits(sql_type));
            format!("{wall}{sign}{hours:02}:{minutes:02}")
        }
    })
}

/// Digits of a second that the column holds.
fn fraction_digits(sql_type: &SqlType) -> usize {
    match sql_type {
        SqlType::Time { scale }
        | SqlType::DateTime2 { scale }
        | SqlType::DateTimeOffset { scale } => usize::from(*scale),
        SqlType::DateTime => 3,
        SqlType::SmallDateTime => 0,
        _ => 7,
    }
}

fn float(value: f64, single: bool) -> String {
    if single {
        #[expect(clippy::as_conversions, reason = "a real was widened: narrowing is exact")]
        #[expect(clippy::cast_possible_truncation, reason = "a real was widened")]
        return format!("{:?}", value as f32);
    }
    format!("{value:?}")
}

/// The digits of a decimal, with its scale.
fn decimal(value: Decimal) -> String {
    let scale = usize::from(value.scale);
    let sign = if value.unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", value.unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - scale).unwrap_or((&digits, ""));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn binary(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("0x");
    for byte in bytes {
        let written = write!(text, "{byte:02X}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
}

fn date(days: i64) -> String {
    let (year, month, day) = date_of_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

fn time(ticks: i64, digits: usize) -> String {
    let seconds = ticks.div_euclid(TICKS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = format!("{:07}", ticks.rem_euclid(TICKS_PER_SECOND));
    // A value finer than its column keeps its digits: the text must not hide them.
    let meant = fraction.trim_end_matches('0').len().max(digits);
    let fraction = fraction.get(..meant).unwrap_or(&fraction);
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{hour:02}:{minute:02}:{second:02}{point}{fraction}")
}

fn timestamp(ticks: i64, digits: usize) -> String {
    let day = date(ticks.div_euclid(TICKS_PER_DAY));
    format!("{day}T{}", time(ticks.rem_euclid(TICKS_PER_DAY), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: LegacyValue<'_>, sql_type: &str, expect: &str) {
        let sql_type: SqlType = sql_type.parse().unwrap();
        assert_eq!(canonical(&value, &sql_type).as_deref(), Some(expect));
    }

    #[test]
    fn each_type_has_one_form() {
        let decimal = |unscaled, scale| LegacyValue::Decimal(Decimal { unscaled, scale });
        check(decimal(123_450, 4), "money", "12.3450");
        check(decimal(-5, 2), "decimal(18,2)", "-0.05");
        check(decimal(7, 0), "decimal(9,0)", "7");
        check(LegacyValue::Float(0.1_f32.into()), "real", "0.1");
        check(LegacyValue::Float(1e300), "float", "1e300");
        check(LegacyValue::Bytes(b"\xDE\xAD".into()), "binary(2)", "0xDEAD");
        check(LegacyValue::Bool(true), "bit", "1");
        check(LegacyValue::Date(-719_162), "date", "0001-01-01");
        check(LegacyValue::Time(476_551_230_000), "time(3)", "13:14:15.123");
        check(LegacyValue::Timestamp(-1), "datetime2(7)", "1969-12-31T23:59:59.9999999");
        check(LegacyValue::Timestamp(0), "smalldatetime", "1970-01-01T00:00:00");
        check(LegacyValue::Timestamp(30_000), "datetime", "1970-01-01T00:00:00.003");
        let zoned = LegacyValue::TimestampOffset { utc_ticks: 0, offset_minutes: -510 };
        check(zoned, "datetimeoffset(1)", "1969-12-31T15:30:00.0-08:30");
        check(LegacyValue::Unchanged, "ntext", "unchanged");
        assert_eq!(canonical(&LegacyValue::Null, &SqlType::Int), None);
    }
}
