//! One column: the form in which its values are written, and its inline schema.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use mapping::{
    catalog::{Column, SqlType},
    value::{Decimal, LegacyValue},
};

use super::{
    Binaries, Decimals, Error, Settings, Times, text,
    time::{self, DAY},
};

/// What Debezium puts in place of a value that the change table does not hold.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    Int,
    Float,
    Double,
    DecimalBytes {
        scale: u8,
    },
    DecimalText {
        scale: u8,
    },
    DecimalDouble {
        scale: u8,
    },
    Text,
    Bytes(Binaries),
    Guid,
    Days,
    DateText,
    /// Time of day, in units of so many ticks.
    TimeUnits {
        ticks: i64,
    },
    TimeNanos,
    TimeText,
    /// Wall time, in units of so many ticks.
    StampUnits {
        ticks: i64,
    },
    StampNanos,
    StampText,
    Zoned,
}

impl Form {
    /// The form of a type under the settings; `None` for types that Debezium leaves out.
    pub(super) fn of(sql_type: &SqlType, settings: &Settings) -> Option<Self> {
        Some(match sql_type {
            SqlType::Bit => Self::Bool,
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Self::Int,
            SqlType::Real => Self::Float,
            SqlType::Float => Self::Double,
            SqlType::Decimal { scale, .. } => Self::decimal(*scale, settings),
            SqlType::Money | SqlType::SmallMoney => Self::decimal(4, settings),
            SqlType::Date if settings.times == Times::IsoString => Self::DateText,
            SqlType::Date => Self::Days,
            SqlType::Time { scale } => Self::time(*scale, settings.times),
            SqlType::DateTime | SqlType::SmallDateTime => Self::stamp(3, settings.times),
            SqlType::DateTime2 { scale } => Self::stamp(*scale, settings.times),
            SqlType::DateTimeOffset { .. } => Self::Zoned,
            SqlType::UniqueIdentifier => Self::Guid,
            SqlType::Binary { .. }
            | SqlType::VarBinary { .. }
            | SqlType::Image
            | SqlType::RowVersion => Self::Bytes(settings.binaries),
            SqlType::Char { .. }
            | SqlType::VarChar { .. }
            | SqlType::NChar { .. }
            | SqlType::NVarChar { .. }
            | SqlType::Text
            | SqlType::NText
            | SqlType::Xml => Self::Text,
            SqlType::Other(_) => return None,
        })
    }

    fn decimal(scale: u8, settings: &Settings) -> Self {
        match settings.decimals {
            Decimals::Precise => Self::DecimalBytes { scale },
            Decimals::String => Self::DecimalText { scale },
            Decimals::Double => Self::DecimalDouble { scale },
        }
    }

    fn time(scale: u8, times: Times) -> Self {
        match (times, scale) {
            (Times::IsoString, _) => Self::TimeText,
            (Times::Connect, _) | (Times::Adaptive, 0..=3) => Self::TimeUnits { ticks: 10_000 },
            (Times::AdaptiveTimeMicroseconds, _) | (_, 4..=6) => Self::TimeUnits { ticks: 10 },
            (Times::Adaptive, _) => Self::TimeNanos,
        }
    }

    fn stamp(scale: u8, times: Times) -> Self {
        match (times, scale) {
            (Times::IsoString, _) => Self::StampText,
            (Times::Connect, _) | (_, 0..=3) => Self::StampUnits { ticks: 10_000 },
            (_, 4..=6) => Self::StampUnits { ticks: 10 },
            _ => Self::StampNanos,
        }
    }

    /// Writes a value that is not NULL. `Ok(false)`: it can't be expressed and nothing was
    /// written; Debezium says NULL then.
    pub(super) fn write(self, out: &mut String, value: &LegacyValue<'_>) -> Result<bool, Mismatch> {
        match (self, value) {
            (Self::Bool, LegacyValue::Bool(value)) => {
                out.push_str(if *value { "true" } else { "false" });
            }
            (Self::Int, LegacyValue::Int(value)) => text::number(out, value),
            (Self::Float, LegacyValue::Float(value)) => text::float(out, narrow(*value)),
            (Self::Double, LegacyValue::Float(value)) => text::double(out, *value),
            (Self::Text, LegacyValue::Text(value)) => text::string(out, value),
            (Self::Text, LegacyValue::BrokenText(value)) => text::broken_string(out, value),
            (Self::Bytes(form), LegacyValue::Bytes(value)) => bytes(out, form, value),
            (Self::Guid, LegacyValue::Guid(value)) => text::guid(out, *value),
            (_, LegacyValue::Decimal(value)) => self.write_decimal(out, *value)?,
            _ => return self.write_time(out, value),
        }
        Ok(true)
    }

    fn write_decimal(self, out: &mut String, value: Decimal) -> Result<(), Mismatch> {
        match self {
            Self::DecimalBytes { scale } => {
                text::decimal_bytes(out, rescaled(value, scale)?.unscaled);
            }
            Self::DecimalText { scale } => {
                out.push('"');
                text::decimal(out, rescaled(value, scale)?);
                out.push('"');
            }
            Self::DecimalDouble { scale } => {
                let mut plain = String::new();
                text::decimal(&mut plain, rescaled(value, scale)?);
                text::double(out, plain.parse().map_err(|_| Mismatch)?);
            }
            _ => return Err(Mismatch),
        }
        Ok(())
    }

    fn write_time(self, out: &mut String, value: &LegacyValue<'_>) -> Result<bool, Mismatch> {
        match (self, value) {
            (Self::Days, LegacyValue::Date(days)) => {
                text::number(out, time::as_java_reads(i64::from(*days), 1));
            }
            (Self::DateText, LegacyValue::Date(days)) => quoted(out, |out| {
                time::iso_date(out, time::as_java_reads(i64::from(*days), 1));
                out.push('Z');
            }),
            (Self::TimeUnits { ticks: unit }, LegacyValue::Time(ticks)) => {
                text::number(out, ticks.div_euclid(unit));
            }
            (Self::TimeNanos, LegacyValue::Time(ticks)) => text::number(out, ticks * 100),
            (Self::TimeText, LegacyValue::Time(ticks)) => quoted(out, |out| {
                time::iso_time(out, *ticks);
                out.push('Z');
            }),
            (Self::StampUnits { ticks: unit }, LegacyValue::Timestamp(ticks)) => {
                text::number(out, time::as_java_reads(*ticks, DAY).div_euclid(unit));
            }
            (Self::StampNanos, LegacyValue::Timestamp(ticks)) => {
                // Nanoseconds end in 1677 and 2262.
                let Some(nanos) = time::as_java_reads(*ticks, DAY).checked_mul(100) else {
                    return Ok(false);
                };
                text::number(out, nanos);
            }
            (Self::StampText, LegacyValue::Timestamp(ticks)) => quoted(out, |out| {
                time::iso_timestamp(out, time::as_java_reads(*ticks, DAY));
                out.push('Z');
            }),
            (Self::Zoned, LegacyValue::TimestampOffset { utc_ticks, offset_minutes }) => {
                let east = i64::from(*offset_minutes) * 60 * mapping::value::TICKS_PER_SECOND;
                quoted(out, |out| {
                    time::iso_timestamp(out, time::offset_instant(*utc_ticks) + east);
                    time::iso_offset(out, *offset_minutes);
                });
            }
            _ => return Err(Mismatch),
        }
        Ok(true)
    }

    /// The placeholder for a value that the change table does not hold.
    pub(super) fn write_unavailable(self, out: &mut String) {
        match self {
            Self::Bytes(form) => bytes(out, form, UNAVAILABLE.as_bytes()),
            _ => text::string(out, UNAVAILABLE),
        }
    }

    /// The column's schema, `{"type":…,"optional":…,…,"field":…}`.
    pub(super) fn schema(self, column: &Column) -> String {
        let (kind, name) = self.connect_type(&column.sql_type);
        let mut schema = format!("{{\"type\":\"{kind}\",\"optional\":{}", column.nullable);
        if !name.is_empty() {
            schema.push_str(&format!(",\"name\":\"{name}\",\"version\":1"));
        }
        if let Self::DecimalBytes { scale } = self {
            let precision = match column.sql_type {
                SqlType::Decimal { precision, .. } => precision,
                SqlType::SmallMoney => 10,
                _ => 19,
            };
            schema.push_str(&format!(
                ",\"parameters\":{{\"scale\":\"{scale}\",\"connect.decimal.precision\":\"{precision}\"}}"
            ));
        }
        schema.push_str(",\"field\":");
        text::string(&mut schema, &column.name);
        schema.push('}');
        schema
    }

    /// Connect's type and the logical type's name.
    fn connect_type(self, sql_type: &SqlType) -> (&'static str, &'static str) {
        let is_int16 = matches!(sql_type, SqlType::TinyInt | SqlType::SmallInt);
        match self {
            Self::Bool => ("boolean", ""),
            Self::Int if is_int16 => ("int16", ""),
            Self::Int if *sql_type == SqlType::Int => ("int32", ""),
            Self::Int => ("int64", ""),
            Self::Float => ("float", ""),
            Self::Double | Self::DecimalDouble { .. } => ("double", ""),
            Self::DecimalBytes { .. } => ("bytes", "org.apache.kafka.connect.data.Decimal"),
            Self::Bytes(Binaries::Bytes) => ("bytes", ""),
            Self::Days => ("int32", "io.debezium.time.Date"),
            Self::DateText => ("string", "io.debezium.time.IsoDate"),
            Self::TimeUnits { ticks: 10_000 } => ("int32", "io.debezium.time.Time"),
            Self::TimeUnits { .. } => ("int64", "io.debezium.time.MicroTime"),
            Self::TimeNanos => ("int64", "io.debezium.time.NanoTime"),
            Self::TimeText => ("string", "io.debezium.time.IsoTime"),
            Self::StampUnits { ticks: 10_000 } => ("int64", "io.debezium.time.Timestamp"),
            Self::StampUnits { .. } => ("int64", "io.debezium.time.MicroTimestamp"),
            Self::StampNanos => ("int64", "io.debezium.time.NanoTimestamp"),
            Self::StampText => ("string", "io.debezium.time.IsoTimestamp"),
            Self::Zoned => ("string", "io.debezium.time.ZonedTimestamp"),
            Self::Text | Self::Guid | Self::DecimalText { .. } | Self::Bytes(_) => ("string", ""),
        }
    }
}

/// A value of another type than its column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch;

impl Mismatch {
    pub(super) fn of(self, table: &str, column: &str) -> Error {
        Error::Value { table: table.to_owned(), column: column.to_owned() }
    }
}

/// Connect's own types have other names, for the same numbers.
pub(super) fn connect_schema(schema: &str) -> String {
    ["Date", "Time", "Timestamp"].iter().fold(schema.to_owned(), |schema, name| {
        let connect = format!("\"org.apache.kafka.connect.data.{name}\"");
        schema.replace(&format!("\"io.debezium.time.{name}\""), &connect)
    })
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

fn bytes(out: &mut String, form: Binaries, bytes: &[u8]) {
    match form {
        Binaries::Bytes | Binaries::Base64 => text::base64(out, bytes),
        Binaries::Base64UrlSafe => quoted(out, |out| URL_SAFE.encode_string(bytes, out)),
        Binaries::Hex => text::hex(out, bytes),
    }
}

#[expect(clippy::as_conversions, reason = "a real was a float before it was widened")]
#[expect(clippy::cast_possible_truncation, reason = "see above")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// The same number with the column's scale, which is what the driver gives.
fn rescaled(value: Decimal, scale: u8) -> Result<Decimal, Mismatch> {
    let power = |by: u8| 10_i128.checked_pow(u32::from(by)).ok_or(Mismatch);
    let unscaled = if value.scale <= scale {
        value.unscaled.checked_mul(power(scale - value.scale)?).ok_or(Mismatch)?
    } else {
        value.unscaled / power(value.scale - scale)?
    };
    Ok(Decimal { unscaled, scale })
}
