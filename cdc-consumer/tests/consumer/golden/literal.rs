//! SQL literals as the one canonical text, written here a second time on purpose: the decoder's
//! own conversions are what is tested.

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta};
use mapping::catalog::SqlType;

/// The canonical text of a literal.
pub(super) fn canonical(sql: &str, sql_type: &SqlType) -> String {
    let stamp = |text: &str, scale: u8| scaled(&text.replacen(' ', "T", 1), scale);
    let width = |length: &u16| usize::from(*length);
    match sql_type {
        SqlType::UniqueIdentifier => sql.to_lowercase(),
        SqlType::Time { scale } => scaled(sql, *scale),
        SqlType::DateTime => stamp(sql, 3),
        SqlType::SmallDateTime => stamp(sql, 0),
        SqlType::DateTime2 { scale } => stamp(sql, *scale),
        SqlType::DateTimeOffset { scale } => {
            let (local, offset) = sql.split_at(sql.len() - "+00:00".len());
            format!("{}{offset}", stamp(local.trim_end(), *scale))
        }
        SqlType::Decimal { scale, .. } => scaled(sql, *scale),
        SqlType::Money | SqlType::SmallMoney => scaled(sql, 4),
        SqlType::BigInt => sql.trim_end_matches('.').to_owned(),
        SqlType::Float => format!("{:?}", sql.parse::<f64>().unwrap()),
        SqlType::Real => format!("{:?}", sql.parse::<f32>().unwrap()),
        // The server pads what has a fixed width. Each letter of these sets is one UTF-16 unit.
        SqlType::Char { length } | SqlType::NChar { length } => {
            format!("{sql:<width$}", width = width(length))
        }
        SqlType::Binary { length } => format!("{sql:0<width$}", width = 2 + 2 * width(length)),
        _ => sql.to_owned(),
    }
}

/// The fraction with as many digits as the scale says.
fn scaled(text: &str, scale: u8) -> String {
    let scale = usize::from(scale);
    let (head, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if scale == 0 { head.to_owned() } else { format!("{head}.{fraction:0<scale$}") }
}

/// The literal in a default expression as the catalogue prints it; `None` for NULL and for a call
/// such as `(getdate())`, which a schema can't tell. Debezium does not undouble quotes.
pub(super) fn of_default(expression: &str) -> Option<String> {
    let mut inner = expression;
    while let Some(bare) = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        inner = bare;
    }
    let quoted = inner.strip_prefix('N').unwrap_or(inner);
    if let Some(text) = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(text.to_owned());
    }
    (inner != "NULL" && !inner.ends_with("()") && !inner.ends_with('(')).then(|| inner.to_owned())
}

/// Digits between the first and the last that is not zero.
pub(super) fn significant_digits(decimal: &str) -> usize {
    let digits: String = decimal.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len()
}

/// The fraction cut to so many digits, with zeros in their place.
pub(super) fn cut(text: &str, digits: usize) -> String {
    let Some((head, fraction)) = text.split_once('.') else { return text.into() };
    let kept: String = fraction.chars().take(digits).collect();
    format!("{head}.{kept:0<width$}", width = fraction.len())
}

const WALL: &str = "%Y-%m-%dT%H:%M:%S%.f";

fn wall(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, WALL).unwrap()
}

fn shown(time: NaiveDateTime, scale: u8) -> String {
    let seconds = time.format("%Y-%m-%dT%H:%M:%S");
    let nanoseconds = time.and_utc().timestamp_subsec_nanos();
    scaled(&format!("{seconds}.{nanoseconds:09}"), scale)
}

/// Whether 64 bits of nanoseconds since 1970 hold it.
pub(super) fn fits_nanoseconds(text: &str) -> bool {
    wall(text).and_utc().timestamp_nanos_opt().is_some()
}

/// D 7: 1582-10-05 to 14 never were; the old calendar counts on.
pub(super) fn ten_days_late(text: &str, scale: u8) -> Option<String> {
    let time = wall(text);
    let gone = time.year() == 1582 && time.month() == 10 && (5..15).contains(&time.day());
    gone.then(|| shown(time.checked_add_days(Days::new(10)).unwrap(), scale))
}

fn offset_time(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap()
}

fn with_offset(time: NaiveDateTime, of: &str, scale: u8) -> String {
    let (_, offset) = of.split_at(of.len() - "+00:00".len());
    format!("{}{offset}", shown(time, scale))
}

/// D 2: negative milliseconds are divided toward zero, so what has a part of a second (of whole
/// milliseconds) before 1970 comes one second late.
pub(super) fn offset_second_late(text: &str, scale: u8) -> Option<String> {
    let time = offset_time(text);
    let milliseconds = time.timestamp_millis();
    let late = milliseconds < 0 && milliseconds % 1000 != 0;
    late.then(|| with_offset(time.naive_local() + TimeDelta::seconds(1), text, scale))
}

/// D 2: before the Gregorian calendar, the day is taken for one of the Julian.
pub(super) fn julian_offset(text: &str, scale: u8) -> Option<String> {
    let local = offset_time(text).naive_local();
    let first = NaiveDate::from_ymd_opt(1582, 10, 15).unwrap();
    if local.date() >= first {
        return None;
    }
    let year = if local.month() < 3 { local.year() - 1 } else { local.year() };
    let apart = year / 100 - year / 400 - 2;
    Some(with_offset(local + TimeDelta::days(i64::from(apart)), text, scale))
}

/// Equal but for zeros at the end of a fraction: a schema without propagated types tells a
/// column's unit, not its precision.
pub(super) fn same_but_for_precision(one: &str, other: &str) -> bool {
    bare(one) == bare(other)
}

fn bare(text: &str) -> String {
    let zone = match text.split_at_checked(text.len().saturating_sub("+00:00".len())) {
        Some((_, zone)) if text.contains('T') && zone.starts_with(['+', '-']) => zone,
        _ => "",
    };
    let head = text.strip_suffix(zone).unwrap_or(text);
    let head = match head.contains('.') {
        true => head.trim_end_matches('0').trim_end_matches('.'),
        false => head,
    };
    format!("{head}{zone}")
}
