//! One legacy value, as exact as SQL Server holds it.

use std::borrow::Cow;

use uuid::Uuid;

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
