//! One legacy value, as exact as SQL Server holds it.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, NaiveDate};
use uuid::Uuid;

use crate::catalog::SqlType;

mod text;

pub(crate) use text::{from_text, text_example, to_text};

/// 100-nanosecond ticks in a second: SQL Server's finest resolution.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

/// An exact decimal number: `unscaled` × 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits, signed. SQL Server's 38 digits fit.
    pub unscaled: i128,
    /// Digits after the point, 0 to 38.
    pub scale: u8,
}

/// A value of a legacy column. TDS reads and change events both end here, and the same
/// stored value gives the same `LegacyValue` from either road.
#[derive(Debug, Clone, PartialEq)]
pub enum LegacyValue<'a> {
    /// NULL.
    Null,
    /// The change event doesn't carry the column (a LOB that the update left alone).
    Unchanged,
    /// `bit`.
    Bool(bool),
    /// `tinyint` to `bigint`.
    Int(i64),
    /// `real` and `float`.
    Float(f64),
    /// `decimal`, `numeric`, and `money` (scale 4), never through a float.
    Decimal(Decimal),
    /// Character data, `xml` included; `char`/`nchar` keep their padding.
    Text(Cow<'a, str>),
    /// Character data that is not Unicode (a lone surrogate): what is known of it, with the
    /// offending units replaced by U+FFFD.
    BrokenText(Cow<'a, str>),
    /// `binary`, `varbinary`, `image`, `rowversion`.
    Bytes(Cow<'a, [u8]>),
    /// `uniqueidentifier`, in its usual text order.
    Guid(Uuid),
    /// `date`: days since 1970-01-01.
    Date(i32),
    /// `time`: ticks of 100 ns since midnight.
    Time(i64),
    /// `datetime`, `smalldatetime`, `datetime2`: wall time without a zone, ticks of 100 ns since
    /// 1970-01-01 00:00. A `datetime` is rounded to milliseconds as SQL Server prints it, so
    /// that its 1/300 s steps compare equal whichever road they came by.
    Timestamp(i64),
    /// `datetimeoffset`: the instant as ticks of 100 ns since 1970-01-01T00:00Z, and its offset.
    TimestampOffset {
        /// The instant.
        utc_ticks: i64,
        /// Minutes east of UTC, -840 to 840.
        offset_minutes: i16,
    },
}

impl LegacyValue<'static> {
    /// Reads a value of a column as people write it: numbers as plain decimals, dates and times
    /// as `2024-12-31T23:59:59.997`, binaries as `0x…`. `None` when the column can't hold it.
    #[must_use]
    pub fn from_text(text: &str, sql_type: &SqlType) -> Option<Self> {
        from_text(text.into(), sql_type).map(LegacyValue::into_owned)
    }

    /// What a value of a type looks like, for hints.
    #[must_use]
    pub fn text_example(sql_type: &SqlType) -> &'static str {
        text_example(sql_type)
    }
}

impl LegacyValue<'_> {
    /// The same value, owning its text and bytes.
    #[must_use]
    pub fn into_owned(self) -> LegacyValue<'static> {
        match self {
            Self::Null => LegacyValue::Null,
            Self::Unchanged => LegacyValue::Unchanged,
            Self::Bool(value) => LegacyValue::Bool(value),
            Self::Int(value) => LegacyValue::Int(value),
            Self::Float(value) => LegacyValue::Float(value),
            Self::Decimal(value) => LegacyValue::Decimal(value),
            Self::Text(value) => LegacyValue::Text(Cow::Owned(value.into_owned())),
            Self::BrokenText(value) => LegacyValue::BrokenText(Cow::Owned(value.into_owned())),
            Self::Bytes(value) => LegacyValue::Bytes(Cow::Owned(value.into_owned())),
            Self::Guid(value) => LegacyValue::Guid(value),
            Self::Date(value) => LegacyValue::Date(value),
            Self::Time(value) => LegacyValue::Time(value),
            Self::Timestamp(value) => LegacyValue::Timestamp(value),
            Self::TimestampOffset { utc_ticks, offset_minutes } => {
                LegacyValue::TimestampOffset { utc_ticks, offset_minutes }
            }
        }
    }

    /// Whether the value is NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Display for LegacyValue<'_> {
    /// For people: rejections, keys and reports. Long values are cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Unchanged => f.write_str("(not in the event)"),
            Self::Bool(value) => write!(f, "{}", u8::from(*value)),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Decimal(value) => f.write_str(&crate::decimal::display(*value)),
            Self::Text(value) | Self::BrokenText(value) => show_text(value, f),
            Self::Bytes(value) => show_bytes(value, f),
            Self::Guid(value) => write!(f, "{value}"),
            Self::Date(days) => match NaiveDate::from_epoch_days(*days) {
                Some(day) => write!(f, "{day}"),
                None => write!(f, "day {days}"),
            },
            Self::Time(ticks) => show_timestamp(*ticks, f, "%H:%M:%S%.f"),
            Self::Timestamp(ticks) => show_timestamp(*ticks, f, "%Y-%m-%dT%H:%M:%S%.f"),
            Self::TimestampOffset { utc_ticks, .. } => {
                show_timestamp(*utc_ticks, f, "%Y-%m-%dT%H:%M:%S%.fZ")
            }
        }
    }
}

const SHOWN_MAX: usize = 80;

fn show_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => {
            write_escaped(text.get(..end).unwrap_or_default(), f)?;
            f.write_str("…")
        }
        None => write_escaped(text, f),
    }
}

/// Text on one line, whatever control characters it holds.
pub(crate) fn write_escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for letter in text.chars() {
        if letter.is_control() {
            write!(f, "{}", letter.escape_default())?;
        } else {
            write!(f, "{letter}")?;
        }
    }
    Ok(())
}

fn show_bytes(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("0x")?;
    for byte in bytes.iter().take(SHOWN_MAX / 2) {
        write!(f, "{byte:02x}")?;
    }
    f.write_str(if bytes.len() > SHOWN_MAX / 2 { "…" } else { "" })
}

fn show_timestamp(ticks: i64, f: &mut fmt::Formatter<'_>, form: &str) -> fmt::Result {
    let nanoseconds = u32::try_from(ticks.rem_euclid(TICKS_PER_SECOND) * 100).unwrap_or_default();
    match DateTime::from_timestamp(ticks.div_euclid(TICKS_PER_SECOND), nanoseconds) {
        Some(time) => write!(f, "{}", time.format(form)),
        None => write!(f, "{ticks} ticks"),
    }
}
