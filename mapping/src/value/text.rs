//! A value as people write it: parts of a key on a command line, cells of a row as JSON.

use std::{borrow::Cow, fmt::Write};

use chrono::{DateTime, NaiveDate, NaiveTime, Timelike};
use uuid::Uuid;

use super::{Decimal, LegacyValue, TICKS_PER_SECOND};
use crate::{
    catalog::SqlType,
    convert::{parse_day, parse_timestamp},
    decimal::{self, Round},
};

const TICKS_PER_MILLISECOND: i64 = TICKS_PER_SECOND / 1000;

/// Reads a value of a column; `None` when the column can't hold it. Nothing is rounded, but for
/// the milliseconds of a `datetime`, which the server stores in steps of 1/300 s.
pub(crate) fn from_text<'a>(text: Cow<'a, str>, sql_type: &SqlType) -> Option<LegacyValue<'a>> {
    Some(match sql_type {
        SqlType::Bit => LegacyValue::Bool(match text.to_ascii_lowercase().as_str() {
            "0" | "false" => false,
            "1" | "true" => true,
            _ => return None,
        }),
        SqlType::TinyInt => LegacyValue::Int(text.parse::<u8>().ok()?.into()),
        SqlType::SmallInt => LegacyValue::Int(text.parse::<i16>().ok()?.into()),
        SqlType::Int => LegacyValue::Int(text.parse::<i32>().ok()?.into()),
        SqlType::BigInt => LegacyValue::Int(text.parse().ok()?),
        SqlType::Decimal { precision, scale } => {
            let limit = decimal::power_of_ten(*precision)?;
            exact(&text, *scale, limit - 1)?
        }
        SqlType::Money => exact(&text, 4, i64::MAX.into())?,
        SqlType::SmallMoney => exact(&text, 4, i32::MAX.into())?,
        SqlType::Real => LegacyValue::Float(finite(f64::from(text.parse::<f32>().ok()?))?),
        SqlType::Float => LegacyValue::Float(finite(text.parse().ok()?)?),
        SqlType::Date => LegacyValue::Date(parse_day(&text)?),
        SqlType::Time { scale } => LegacyValue::Time(fine(time(&text)?, *scale)?),
        SqlType::DateTime => LegacyValue::Timestamp(in_steps(fine(wall(&text)?, 3)?)?),
        SqlType::SmallDateTime => LegacyValue::Timestamp(whole_minute(wall(&text)?)?),
        SqlType::DateTime2 { scale } => LegacyValue::Timestamp(fine(wall(&text)?, *scale)?),
        SqlType::DateTimeOffset { scale } => instant(&text, *scale)?,
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Text
        | SqlType::NText
        | SqlType::Xml => LegacyValue::Text(text),
        SqlType::Binary { length } => {
            // Short ones are padded on the right, as the server does.
            let mut bytes = bytes(&text).filter(|b| b.len() <= usize::from(*length))?;
            bytes.resize(usize::from(*length), 0);
            LegacyValue::Bytes(bytes.into())
        }
        SqlType::VarBinary { .. } | SqlType::Image | SqlType::RowVersion => {
            LegacyValue::Bytes(bytes(&text)?.into())
        }
        SqlType::UniqueIdentifier => LegacyValue::Guid(Uuid::try_parse(&text).ok()?),
        SqlType::Other(_) => return None,
    })
}

/// Writes a value so that [`from_text`] reads it back. Not for NULL.
pub(crate) fn to_text(value: &LegacyValue<'_>) -> String {
    match value {
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => text.clone().into_owned(),
        LegacyValue::Bytes(bytes) => {
            let mut text = String::with_capacity(2 + bytes.len() * 2);
            text.push_str("0x");
            for byte in bytes.iter() {
                let written = write!(text, "{byte:02x}");
                debug_assert!(written.is_ok(), "a String takes everything");
            }
            text
        }
        value => value.to_string(),
    }
}

/// What a value of a type looks like, for hints.
pub(crate) fn text_example(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Bit => "0 or 1",
        SqlType::TinyInt => "a whole number from 0 to 255",
        SqlType::SmallInt | SqlType::Int | SqlType::BigInt => "a whole number, such as 17",
        SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney => {
            "a plain decimal number, such as 12.50"
        }
        SqlType::Real | SqlType::Float => "a number, such as 0.1 or 1e6",
        SqlType::Date => "a day, such as 2024-12-31",
        SqlType::Time { .. } => "a time, such as 23:59:59.5",
        SqlType::DateTime | SqlType::DateTime2 { .. } => "a time, such as 2024-12-31T23:59:59.997",
        SqlType::SmallDateTime => "a whole minute, such as 2024-12-31T23:59:00",
        SqlType::DateTimeOffset { .. } => "an instant, such as 2024-12-31T23:59:59+08:00",
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::Text
        | SqlType::NText
        | SqlType::Xml => "a text, which may not be longer than any key column",
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion => "bytes in hexadecimal, such as 0x00ff",
        SqlType::UniqueIdentifier => "a GUID, such as 6f9619ff-8b86-d011-b42d-00c04fc964ff",
        SqlType::Other(_) => "nothing: values of this type are not read",
    }
}

fn exact(text: &str, scale: u8, max: i128) -> Option<LegacyValue<'static>> {
    let unscaled = decimal::rescale(decimal::parse(text.as_bytes())?, scale, Round::Never).ok()?;
    (unscaled.unsigned_abs() <= max.unsigned_abs())
        .then_some(LegacyValue::Decimal(Decimal { unscaled, scale }))
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn time(text: &str) -> Option<i64> {
    let form = if text.matches(':').count() == 1 { "%H:%M" } else { "%H:%M:%S%.f" };
    let time = NaiveTime::parse_from_str(text, form).ok()?;
    // A leap second is no time of the server's.
    let nanoseconds = Some(time.nanosecond()).filter(|n| *n < 1_000_000_000 && n % 100 == 0)?;
    let seconds = i64::from(time.num_seconds_from_midnight());
    Some(seconds * TICKS_PER_SECOND + i64::from(nanoseconds / 100))
}

/// Wall time. What the server can't hold (an eighth digit, a leap second) is not cut off.
fn wall(text: &str) -> Option<i64> {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let too_fine = fraction.bytes().skip(7).any(|digit| digit != b'0');
    let leap = text.contains(":60");
    parse_timestamp(text).filter(|_| !too_fine && !leap)
}

/// Ticks with no more digits of a second than the column holds.
fn fine(ticks: i64, digits: u8) -> Option<i64> {
    let unit = 10_i64.checked_pow(7_u32.saturating_sub(digits.into()))?;
    (ticks % unit == 0).then_some(ticks)
}

/// Ticks of the first moment of a day.
fn midnight(year: i32, month: u32, day: u32) -> Option<i64> {
    let days = NaiveDate::from_ymd_opt(year, month, day)?.to_epoch_days();
    Some(i64::from(days) * 86_400 * TICKS_PER_SECOND)
}

/// The printed form of the nearest 1/300 s: a key is compared by what the server stores.
fn in_steps(ticks: i64) -> Option<i64> {
    let milliseconds = ticks.div_euclid(TICKS_PER_MILLISECOND);
    let (second, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
    let steps = (rest * 3 + 5) / 10;
    let stored = (second * 1000 + (steps * 10 + 1) / 3) * TICKS_PER_MILLISECOND;
    (midnight(1753, 1, 1)?..midnight(10_000, 1, 1)?).contains(&stored).then_some(stored)
}

fn whole_minute(ticks: i64) -> Option<i64> {
    let range = midnight(1900, 1, 1)?..midnight(2079, 6, 7)?;
    (range.contains(&ticks) && ticks % (60 * TICKS_PER_SECOND) == 0).then_some(ticks)
}

fn instant(text: &str, digits: u8) -> Option<LegacyValue<'static>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    let nanoseconds = time.timestamp_subsec_nanos();
    let ticks = time.timestamp().checked_mul(TICKS_PER_SECOND)?;
    let ticks = ticks.checked_add(i64::from(nanoseconds / 100))?;
    let offset_minutes = i16::try_from(time.offset().local_minus_utc() / 60).ok()?;
    (nanoseconds % 100 == 0)
        .then_some(LegacyValue::TimestampOffset { utc_ticks: fine(ticks, digits)?, offset_minutes })
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests;
