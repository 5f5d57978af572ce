//! One column's values: what the connector wrote, as what SQL Server holds.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue, TICKS_PER_SECOND},
};
use uuid::Uuid;

use super::{
    number,
    scan::{Raw, RawText},
    schema::ConnectSchema,
    temporal::{self, Unit},
};
use crate::settings::{BinaryMode, DecimalMode, Modes, TimeMode};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64_URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Why a value can't be read. Rules are stored in quarantine: they are a format. Details never
/// show values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable code.
    pub rule: &'static str,
    /// One sentence.
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into() }
    }

    fn kind(expected: &str, found: &Raw<'_>) -> Self {
        Self::new("column.type", format!("{expected} was expected, {} came", found.kind()))
    }
}

/// How a decimal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecimalForm {
    /// Base64 of the unscaled value, which has this scale.
    Bytes {
        scale: u8,
    },
    Text,
    Double,
}

/// How a whole number or text stands for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    Whole(Unit),
    Iso,
}

/// How one column is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codec {
    Bool,
    Int,
    Real,
    Float,
    Decimal { scale: u8, form: DecimalForm },
    Date(TimeForm),
    Time(TimeForm),
    Timestamp(TimeForm),
    Zoned,
    Text,
    Guid,
    Binary(BinaryMode),
    Unreadable(String),
}

impl Codec {
    /// The codec of a column. A schema that comes with the message goes before the modes.
    pub(crate) fn new(sql_type: &SqlType, schema: Option<&ConnectSchema>, modes: &Modes) -> Self {
        match sql_type {
            SqlType::Bit => Self::Bool,
            SqlType::TinyInt | SqlType::SmallInt | SqlType::Int | SqlType::BigInt => Self::Int,
            SqlType::Real => Self::Real,
            SqlType::Float => Self::Float,
            SqlType::Decimal { scale, .. } => decimal(*scale, schema, modes),
            SqlType::Money | SqlType::SmallMoney => decimal(4, schema, modes),
            SqlType::Date => Self::Date(time_form(schema).unwrap_or(match modes.time {
                TimeMode::IsoString => TimeForm::Iso,
                _ => TimeForm::Whole(Unit::Milliseconds),
            })),
            SqlType::Time { scale } => {
                Self::Time(time_form(schema).unwrap_or_else(|| time_of_day_form(*scale, modes)))
            }
            SqlType::DateTime | SqlType::SmallDateTime => {
                Self::Timestamp(time_form(schema).unwrap_or_else(|| timestamp_form(3, modes)))
            }
            SqlType::DateTime2 { scale } => {
                Self::Timestamp(time_form(schema).unwrap_or_else(|| timestamp_form(*scale, modes)))
            }
            SqlType::DateTimeOffset { .. } => Self::Zoned,
            SqlType::UniqueIdentifier => Self::Guid,
            SqlType::Binary { .. }
            | SqlType::VarBinary { .. }
            | SqlType::Image
            | SqlType::RowVersion => Self::Binary(binary_form(schema, modes)),
            SqlType::Char { .. }
            | SqlType::VarChar { .. }
            | SqlType::NChar { .. }
            | SqlType::NVarChar { .. }
            | SqlType::Text
            | SqlType::NText
            | SqlType::Xml => Self::Text,
            SqlType::Other(name) => Self::Unreadable(name.clone()),
        }
    }

    /// Reads a value. NULL and the placeholder are the caller's business.
    #[inline]
    pub(crate) fn read<'a>(&self, raw: Raw<'a>) -> Result<LegacyValue<'a>, Fault> {
        match (self, raw) {
            (_, Raw::Null) => Ok(LegacyValue::Null),
            (Self::Text, Raw::Text(text)) => Ok(text.decode().into_value()),
            (Self::Int, Raw::Number(digits)) => {
                number::whole(digits).map(LegacyValue::Int).ok_or_else(|| {
                    Fault::new("column.type", "a fraction where a whole number was expected")
                })
            }
            (Self::Bool, Raw::Bool(value)) => Ok(LegacyValue::Bool(value)),
            (Self::Decimal { scale, form }, raw) => {
                read_decimal(*scale, *form, raw).map(LegacyValue::Decimal)
            }
            (Self::Timestamp(form), raw) => {
                read_time(*form, raw, temporal::iso_timestamp).map(LegacyValue::Timestamp)
            }
            (Self::Date(TimeForm::Whole(_)), Raw::Number(digits)) => number::whole(digits)
                .and_then(|days| i32::try_from(days).ok())
                .map(LegacyValue::Date)
                .ok_or_else(|| Fault::new("time.range", "a date that SQL Server doesn't have")),
            (Self::Date(TimeForm::Iso), Raw::Text(text)) => temporal::iso_date(text.bytes)
                .map(LegacyValue::Date)
                .ok_or_else(|| Fault::new("time.form", "a text that is not an ISO 8601 date")),
            (Self::Time(form), raw) => read_time_of_day(*form, raw),
            (Self::Zoned, Raw::Text(text)) => temporal::zoned_timestamp(text.bytes)
                .map(|(utc_ticks, offset_minutes)| LegacyValue::TimestampOffset {
                    utc_ticks,
                    offset_minutes,
                })
                .ok_or_else(|| Fault::new("time.form", "a text that is not a zoned timestamp")),
            (Self::Guid, Raw::Text(text)) => Uuid::try_parse_ascii(text.bytes)
                .map(LegacyValue::Guid)
                .map_err(|_| Fault::new("uuid.form", "a text that is not a GUID")),
            (Self::Binary(mode), Raw::Text(text)) => read_binary(*mode, text),
            (Self::Float, Raw::Number(digits)) => read_float(number::float(digits)),
            (Self::Real, Raw::Number(digits)) => read_float(number::real(digits)),
            (Self::Unreadable(name), _) => {
                Err(Fault::new("column.type", format!("type {name} can't be read from events")))
            }
            (other, raw) => Err(Fault::kind(other.expected(), &raw)),
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int | Self::Real | Self::Float | Self::Date(TimeForm::Whole(_)) => "a number",
            _ => "a string",
        }
    }
}

fn read_float(value: Option<f64>) -> Result<LegacyValue<'static>, Fault> {
    value
        .map(LegacyValue::Float)
        .ok_or_else(|| Fault::new("float.range", "a number that no float holds"))
}

fn decimal(scale: u8, schema: Option<&ConnectSchema>, modes: &Modes) -> Codec {
    let form = match schema.map(|schema| schema.connect_type.as_str()) {
        Some("bytes") => {
            DecimalForm::Bytes { scale: schema.and_then(ConnectSchema::scale).unwrap_or(scale) }
        }
        Some("string") => DecimalForm::Text,
        Some("double" | "float") => DecimalForm::Double,
        _ => match modes.decimal {
            DecimalMode::Precise => DecimalForm::Bytes { scale },
            DecimalMode::String => DecimalForm::Text,
            DecimalMode::Double => DecimalForm::Double,
        },
    };
    Codec::Decimal { scale, form }
}

/// What the logical type says.
fn time_form(schema: Option<&ConnectSchema>) -> Option<TimeForm> {
    let name = schema?.name.as_deref()?;
    let short = name.rsplit('.').next().unwrap_or(name);
    Some(match short {
        "Date" | "Time" | "Timestamp" => TimeForm::Whole(Unit::Milliseconds),
        "MicroTime" | "MicroTimestamp" => TimeForm::Whole(Unit::Microseconds),
        "NanoTime" | "NanoTimestamp" => TimeForm::Whole(Unit::Nanoseconds),
        "IsoDate" | "IsoTime" | "IsoTimestamp" => TimeForm::Iso,
        _ => return None,
    })
}

fn time_of_day_form(scale: u8, modes: &Modes) -> TimeForm {
    match modes.time {
        TimeMode::AdaptiveTimeMicroseconds => TimeForm::Whole(Unit::Microseconds),
        _ => timestamp_form(scale, modes),
    }
}

fn timestamp_form(scale: u8, modes: &Modes) -> TimeForm {
    match modes.time {
        TimeMode::Adaptive | TimeMode::AdaptiveTimeMicroseconds => TimeForm::Whole(match scale {
            0..=3 => Unit::Milliseconds,
            4..=6 => Unit::Microseconds,
            _ => Unit::Nanoseconds,
        }),
        TimeMode::Connect => TimeForm::Whole(Unit::Milliseconds),
        TimeMode::Microseconds => TimeForm::Whole(Unit::Microseconds),
        TimeMode::Nanoseconds => TimeForm::Whole(Unit::Nanoseconds),
        TimeMode::IsoString => TimeForm::Iso,
    }
}

/// A schema tells bytes from text, but not hex from base64.
fn binary_form(schema: Option<&ConnectSchema>, modes: &Modes) -> BinaryMode {
    match schema.map(|schema| schema.connect_type.as_str()) {
        Some("bytes") => BinaryMode::Bytes,
        _ => modes.binary,
    }
}

#[inline]
fn read_decimal(scale: u8, form: DecimalForm, raw: Raw<'_>) -> Result<Decimal, Fault> {
    let wrong = || Fault::new("decimal.form", "a text that is not a decimal");
    match (form, raw) {
        (DecimalForm::Bytes { scale: from }, Raw::Text(text)) => {
            let unscaled = number::short_twos_complement(text.bytes).or_else(|| {
                let mut bytes = [0; 32];
                let length = BASE64.decode_slice(text.bytes, &mut bytes).ok()?;
                number::twos_complement(bytes.get(..length)?)
            });
            let unscaled = unscaled.ok_or_else(wrong)?;
            let unscaled = number::rescale(unscaled, from, scale).ok_or_else(|| {
                Fault::new("decimal.inexact", format!("scale {from} does not fit scale {scale}"))
            })?;
            Ok(Decimal { unscaled, scale })
        }
        (DecimalForm::Text, Raw::Text(text)) => {
            number::decimal(text.bytes, scale).ok_or_else(wrong)
        }
        // The converter's `decimal.format=NUMERIC`: exact digits.
        (DecimalForm::Bytes { .. } | DecimalForm::Text, Raw::Number(digits)) => {
            number::decimal(digits, scale).ok_or_else(wrong)
        }
        (DecimalForm::Double, Raw::Number(digits)) => number::decimal_of_double(digits, scale)
            .ok_or_else(|| {
                Fault::new(
                    "decimal.inexact",
                    "a double can't carry this decimal: set decimal.handling.mode to precise or \
                     string",
                )
            }),
        (DecimalForm::Double, raw) => Err(Fault::kind("a number", &raw)),
        (_, raw) => Err(Fault::kind("a string", &raw)),
    }
}

#[inline]
fn read_time(form: TimeForm, raw: Raw<'_>, iso: fn(&[u8]) -> Option<i64>) -> Result<i64, Fault> {
    match (form, raw) {
        (TimeForm::Whole(unit), Raw::Number(digits)) => number::whole(digits)
            .and_then(|value| unit.ticks(value))
            .ok_or_else(|| Fault::new("time.range", "a time that SQL Server doesn't have")),
        (TimeForm::Iso, Raw::Text(text)) => iso(text.bytes)
            .ok_or_else(|| Fault::new("time.form", "a text that is not an ISO 8601 time")),
        (TimeForm::Whole(_), raw) => Err(Fault::kind("a number", &raw)),
        (TimeForm::Iso, raw) => Err(Fault::kind("a string", &raw)),
    }
}

fn read_time_of_day(form: TimeForm, raw: Raw<'_>) -> Result<LegacyValue<'static>, Fault> {
    let ticks = read_time(form, raw, temporal::iso_time)?;
    if (0..86_400 * TICKS_PER_SECOND).contains(&ticks) {
        Ok(LegacyValue::Time(ticks))
    } else {
        Err(Fault::new("time.range", "a time of day outside of the day"))
    }
}

fn read_binary(mode: BinaryMode, text: RawText<'_>) -> Result<LegacyValue<'_>, Fault> {
    // Escapes are legal JSON in base64 (`\/`), so they are undone.
    let digits = if text.escaped {
        Cow::Owned(text.to_text().into_owned().into_bytes())
    } else {
        Cow::Borrowed(text.bytes)
    };
    let bytes = match mode {
        BinaryMode::Bytes | BinaryMode::Base64 => BASE64.decode(&digits).ok(),
        BinaryMode::Base64UrlSafe => BASE64_URL_SAFE.decode(&digits).ok(),
        BinaryMode::Hex => hex(&digits),
    };
    bytes.map(|bytes| LegacyValue::Bytes(Cow::Owned(bytes))).ok_or_else(|| {
        Fault::new("binary.form", "a text in another form than binary.handling.mode")
    })
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
