//! Into stored bytes.

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};

use super::{Width, decimal_length, time_length};
use crate::legacy::{
    collation::{CodePage, Collation},
    time,
};

/// Why a value does not fit its type, with SQL Server's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) problem: &'static str,
    pub(crate) number: u32,
}

const WRONG_TYPE: Refusal = Refusal { problem: "it has another type", number: 206 };
const OUT_OF_RANGE: Refusal = Refusal { problem: "it is out of range", number: 8115 };
const INEXACT: Refusal = Refusal { problem: "it has more digits than the column", number: 8115 };
const TOO_LONG: Refusal = Refusal { problem: "it would be truncated", number: 2628 };
const BAD_TIME: Refusal = Refusal { problem: "the time is out of range", number: 242 };

/// Appends a value.
pub(crate) fn encode(
    sql_type: &SqlType,
    collation: Option<&Collation>,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    match value {
        LegacyValue::Unchanged => return Err(WRONG_TYPE),
        LegacyValue::Null => {
            match Width::of(sql_type) {
                Width::Byte => out.push(0),
                Width::Short => out.extend_from_slice(&u16::MAX.to_le_bytes()),
                Width::Long => out.extend_from_slice(&u64::MAX.to_le_bytes()),
            }
            return Ok(());
        }
        _ => {}
    }
    match sql_type {
        SqlType::Char { .. }
        | SqlType::VarChar { .. }
        | SqlType::Text
        | SqlType::NChar { .. }
        | SqlType::NVarChar { .. }
        | SqlType::NText
        | SqlType::Xml => write_text(sql_type, collation, value, out),
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion => write_bytes(sql_type, value, out),
        _ => write_fixed(sql_type, value, out),
    }
}

fn write_fixed(
    sql_type: &SqlType,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    match (sql_type, value) {
        (SqlType::Bit, LegacyValue::Bool(bit)) => short(out, &[u8::from(*bit)]),
        (SqlType::Bit, LegacyValue::Int(bit)) => short(out, &[u8::from(*bit != 0)]),
        (SqlType::TinyInt, LegacyValue::Int(int)) => {
            short(out, &narrow::<u8>(*int)?.to_le_bytes());
        }
        (SqlType::SmallInt, LegacyValue::Int(int)) => {
            short(out, &narrow::<i16>(*int)?.to_le_bytes());
        }
        (SqlType::Int, LegacyValue::Int(int)) => short(out, &narrow::<i32>(*int)?.to_le_bytes()),
        (SqlType::BigInt, LegacyValue::Int(int)) => short(out, &int.to_le_bytes()),
        (SqlType::Real, LegacyValue::Float(float)) => {
            #[expect(
                clippy::as_conversions,
                clippy::cast_possible_truncation,
                reason = "real is the nearest f32"
            )]
            let real = *float as f32;
            short(out, &Some(real).filter(|r| r.is_finite()).ok_or(OUT_OF_RANGE)?.to_le_bytes());
        }
        (SqlType::Float, LegacyValue::Float(float)) => {
            short(out, &Some(float).filter(|f| f.is_finite()).ok_or(OUT_OF_RANGE)?.to_le_bytes());
        }
        (SqlType::UniqueIdentifier, LegacyValue::Guid(guid)) => short(out, &guid.to_bytes_le()),
        (SqlType::Decimal { .. } | SqlType::Money | SqlType::SmallMoney, _) => {
            return write_decimal(sql_type, value, out);
        }
        _ => return write_time(sql_type, value, out),
    }
    Ok(())
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Refusal> {
    T::try_from(value).map_err(|_| OUT_OF_RANGE)
}

/// A value with a one-byte length.
fn short(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(u8::try_from(payload.len()).expect("fixed types have at most 17 bytes"));
    out.extend_from_slice(payload);
}

/// Loading refuses what SQL Server would round: a test that means to store 1.00005 in `money`
/// should hear of it.
fn rescale(decimal: Decimal, scale: u8) -> Result<i128, Refusal> {
    if let Some(more) = scale.checked_sub(decimal.scale) {
        let factor = 10_i128.checked_pow(u32::from(more)).ok_or(OUT_OF_RANGE)?;
        return decimal.unscaled.checked_mul(factor).ok_or(OUT_OF_RANGE);
    }
    let factor = 10_i128.checked_pow(u32::from(decimal.scale - scale)).ok_or(INEXACT)?;
    if decimal.unscaled % factor == 0 { Ok(decimal.unscaled / factor) } else { Err(INEXACT) }
}

fn write_decimal(
    sql_type: &SqlType,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let decimal = match value {
        LegacyValue::Decimal(decimal) => *decimal,
        LegacyValue::Int(int) => Decimal { unscaled: i128::from(*int), scale: 0 },
        _ => return Err(WRONG_TYPE),
    };
    match sql_type {
        SqlType::Decimal { precision, scale } => {
            let unscaled = rescale(decimal, *scale)?;
            let limit = 10_u128.checked_pow(u32::from(*precision)).ok_or(OUT_OF_RANGE)?;
            if unscaled.unsigned_abs() >= limit {
                return Err(OUT_OF_RANGE);
            }
            put_decimal(out, *precision, unscaled);
        }
        SqlType::Money => {
            let money = i64::try_from(rescale(decimal, 4)?).map_err(|_| OUT_OF_RANGE)?;
            let [a, b, c, d, e, f, g, h] = money.to_le_bytes();
            short(out, &[e, f, g, h, a, b, c, d]);
        }
        _ => {
            let money = i32::try_from(rescale(decimal, 4)?).map_err(|_| OUT_OF_RANGE)?;
            short(out, &money.to_le_bytes());
        }
    }
    Ok(())
}

/// A decimal that fits its precision.
pub(crate) fn put_decimal(out: &mut impl bytes::BufMut, precision: u8, unscaled: i128) {
    let length = decimal_length(precision);
    out.put_u8(length);
    out.put_u8(u8::from(unscaled >= 0));
    let magnitude = unscaled.unsigned_abs().to_le_bytes();
    out.put_slice(magnitude.get(..usize::from(length) - 1).unwrap_or(&magnitude));
}

fn write_time(
    sql_type: &SqlType,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut payload = Vec::with_capacity(10);
    match (sql_type, value) {
        (SqlType::Date, LegacyValue::Date(days)) => {
            let days = time::to_date(i64::from(*days)).ok_or(BAD_TIME)?;
            put_number(&mut payload, u64::from(days), 3);
        }
        (SqlType::Time { scale }, LegacyValue::Time(ticks)) => {
            let units = time::to_time(*ticks, *scale).ok_or(BAD_TIME)?;
            put_number(&mut payload, units, time_length(*scale));
        }
        (SqlType::DateTime, LegacyValue::Timestamp(ticks)) => {
            let (day, thirds) = time::to_datetime(*ticks).ok_or(BAD_TIME)?;
            payload.extend_from_slice(&day.to_le_bytes());
            payload.extend_from_slice(&thirds.to_le_bytes());
        }
        (SqlType::SmallDateTime, LegacyValue::Timestamp(ticks)) => {
            let (day, minutes) = time::to_smalldatetime(*ticks).ok_or(BAD_TIME)?;
            payload.extend_from_slice(&day.to_le_bytes());
            payload.extend_from_slice(&minutes.to_le_bytes());
        }
        (SqlType::DateTime2 { scale }, LegacyValue::Timestamp(ticks)) => {
            let (days, units) = time::to_datetime2(*ticks, *scale).ok_or(BAD_TIME)?;
            put_number(&mut payload, units, time_length(*scale));
            put_number(&mut payload, u64::from(days), 3);
        }
        (
            SqlType::DateTimeOffset { scale },
            LegacyValue::TimestampOffset { utc_ticks, offset_minutes },
        ) => {
            let (days, units) = time::to_datetime2(*utc_ticks, *scale).ok_or(BAD_TIME)?;
            if !(-840..=840).contains(offset_minutes) {
                return Err(BAD_TIME);
            }
            put_number(&mut payload, units, time_length(*scale));
            put_number(&mut payload, u64::from(days), 3);
            payload.extend_from_slice(&offset_minutes.to_le_bytes());
        }
        _ => return Err(WRONG_TYPE),
    }
    short(out, &payload);
    Ok(())
}

fn put_number(out: &mut Vec<u8>, value: u64, length: u8) {
    out.extend(value.to_le_bytes().into_iter().take(usize::from(length)));
}

fn write_text(
    sql_type: &SqlType,
    collation: Option<&Collation>,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (text, broken) = match value {
        LegacyValue::Text(text) => (text, false),
        LegacyValue::BrokenText(text) => (text, true),
        _ => return Err(WRONG_TYPE),
    };
    // A broken text's U+FFFD stands for a lone surrogate; any high one will do.
    let units =
        text.encode_utf16().map(|unit| if broken && unit == 0xFFFD { 0xD83D } else { unit });
    let mut payload = Vec::with_capacity(text.len() * 2);
    let page = match sql_type {
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text => {
            Some(collation.map_or(CodePage::Latin, |collation| collation.code_page))
        }
        _ => None,
    };
    match page {
        Some(page) => payload.extend(units.map(|unit| page.encode(unit))),
        None => payload.extend(units.flat_map(u16::to_le_bytes)),
    }
    match sql_type {
        SqlType::Char { length } => pad(&mut payload, b" ", usize::from(*length))?,
        SqlType::NChar { length } => pad(&mut payload, b" \0", usize::from(*length) * 2)?,
        SqlType::VarChar { length: Some(length) } => limit(&payload, usize::from(*length))?,
        SqlType::NVarChar { length: Some(length) } => limit(&payload, usize::from(*length) * 2)?,
        _ => {}
    }
    sized(out, Width::of(sql_type), &payload)
}

fn write_bytes(
    sql_type: &SqlType,
    value: &LegacyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let LegacyValue::Bytes(bytes) = value else { return Err(WRONG_TYPE) };
    match sql_type {
        SqlType::Binary { length } => {
            let mut padded = bytes.to_vec();
            pad(&mut padded, &[0], usize::from(*length))?;
            return sized(out, Width::Short, &padded);
        }
        SqlType::RowVersion if bytes.len() != 8 => return Err(WRONG_TYPE),
        SqlType::VarBinary { length: Some(length) } => limit(bytes, usize::from(*length))?,
        _ => {}
    }
    sized(out, Width::of(sql_type), bytes)
}

fn limit(payload: &[u8], length: usize) -> Result<(), Refusal> {
    if payload.len() > length { Err(TOO_LONG) } else { Ok(()) }
}

fn pad(payload: &mut Vec<u8>, with: &[u8], length: usize) -> Result<(), Refusal> {
    limit(payload, length)?;
    while payload.len() < length {
        payload.extend_from_slice(with);
    }
    Ok(())
}

fn sized(out: &mut Vec<u8>, width: Width, payload: &[u8]) -> Result<(), Refusal> {
    if width == Width::Long {
        let length = u32::try_from(payload.len()).map_err(|_| TOO_LONG)?;
        out.extend_from_slice(&u64::from(length).to_le_bytes());
        if length > 0 {
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(payload);
        }
        out.extend_from_slice(&0_u32.to_le_bytes());
        return Ok(());
    }
    let length = u16::try_from(payload.len()).ok().filter(|length| *length < u16::MAX);
    out.extend_from_slice(&length.ok_or(TOO_LONG)?.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}
