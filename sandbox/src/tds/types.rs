//! Types on the wire: how columns are described, how parameters are read.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mapping::{catalog::SqlType, value::LegacyValue};

use crate::legacy::{Collation, decimal_length, decode};

/// A length of `max`.
const MAX: u16 = 0xFFFF;
/// A partially length-prefixed NULL.
const PLP_NULL: u64 = u64::MAX;

/// Appends a column's type.
pub(super) fn put(out: &mut BytesMut, sql_type: &SqlType, collation: [u8; 5]) {
    let mut textual = |token: u8, length: u16| {
        out.put_u8(token);
        out.put_u16_le(length);
        out.put_slice(&collation);
    };
    match sql_type {
        SqlType::NVarChar { length } => textual(0xE7, length.map_or(MAX, |n| n * 2)),
        SqlType::NText => textual(0xE7, MAX),
        SqlType::NChar { length } => textual(0xEF, length * 2),
        SqlType::VarChar { length } => textual(0xA7, length.unwrap_or(MAX)),
        SqlType::Text => textual(0xA7, MAX),
        SqlType::Char { length } => textual(0xAF, *length),
        SqlType::VarBinary { length } => put_sized(out, 0xA5, length.unwrap_or(MAX)),
        SqlType::Image => put_sized(out, 0xA5, MAX),
        SqlType::Binary { length } => put_sized(out, 0xAD, *length),
        SqlType::RowVersion => put_sized(out, 0xAD, 8),
        SqlType::Bit => out.put_slice(&[0x68, 1]),
        SqlType::TinyInt => out.put_slice(&[0x26, 1]),
        SqlType::SmallInt => out.put_slice(&[0x26, 2]),
        SqlType::Int => out.put_slice(&[0x26, 4]),
        SqlType::BigInt => out.put_slice(&[0x26, 8]),
        SqlType::Real => out.put_slice(&[0x6D, 4]),
        SqlType::Float => out.put_slice(&[0x6D, 8]),
        SqlType::Money => out.put_slice(&[0x6E, 8]),
        SqlType::SmallMoney => out.put_slice(&[0x6E, 4]),
        SqlType::DateTime => out.put_slice(&[0x6F, 8]),
        SqlType::SmallDateTime => out.put_slice(&[0x6F, 4]),
        SqlType::Date => out.put_u8(0x28),
        SqlType::Time { scale } => out.put_slice(&[0x29, *scale]),
        SqlType::DateTime2 { scale } => out.put_slice(&[0x2A, *scale]),
        SqlType::DateTimeOffset { scale } => out.put_slice(&[0x2B, *scale]),
        SqlType::Decimal { precision, scale } => {
            out.put_slice(&[0x6C, decimal_length(*precision), *precision, *scale]);
        }
        SqlType::UniqueIdentifier => out.put_slice(&[0x24, 16]),
        SqlType::Xml => out.put_slice(&[0xF1, 0]),
        // The DDL reader lets none in.
        SqlType::Other(_) => out.put_slice(&[0x1F]),
    }
}

fn put_sized(out: &mut BytesMut, token: u8, length: u16) {
    out.put_u8(token);
    out.put_u16_le(length);
}

/// Takes `length` bytes.
pub(super) fn take(body: &mut Bytes, length: usize) -> Option<Bytes> {
    (body.len() >= length).then(|| body.split_to(length))
}

/// Takes UTF-16 text of `units` units.
pub(super) fn take_text(body: &mut Bytes, units: usize) -> Option<String> {
    let bytes = take(body, units * 2)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    String::from_utf16(&units).ok()
}

/// Takes a parameter's type and value. `None` when it is malformed or of a type that is not
/// simulated.
pub(super) fn take_parameter(body: &mut Bytes) -> Option<(SqlType, LegacyValue<'static>)> {
    let token = body.try_get_u8().ok()?;
    if let Some((sql_type, length)) = fixed(token) {
        let payload = take(body, length)?;
        let value = decode(&sql_type, None, &payload)?;
        return Some((sql_type, value));
    }
    match token {
        0x1F => Some((SqlType::NVarChar { length: Some(1) }, LegacyValue::Null)),
        0xE7 | 0xEF | 0xA7 | 0xAF | 0xA5 | 0xAD => take_sized(body, token),
        0xF1 => {
            let schema = body.try_get_u8().ok()?;
            if schema != 0 {
                return None;
            }
            take_value(SqlType::Xml, None, take_plp(body)?)
        }
        _ => {
            let sql_type = short_type(body, token)?;
            let length = usize::from(body.try_get_u8().ok()?);
            let payload = if length == 0 { None } else { Some(take(body, length)?) };
            take_value(sql_type, None, payload)
        }
    }
}

fn take_value(
    sql_type: SqlType,
    collation: Option<&Collation>,
    payload: Option<Bytes>,
) -> Option<(SqlType, LegacyValue<'static>)> {
    let value = match payload {
        None => LegacyValue::Null,
        Some(payload) => decode(&sql_type, collation, &payload)?,
    };
    Some((sql_type, value))
}

fn fixed(token: u8) -> Option<(SqlType, usize)> {
    Some(match token {
        0x30 => (SqlType::TinyInt, 1),
        0x32 => (SqlType::Bit, 1),
        0x34 => (SqlType::SmallInt, 2),
        0x38 => (SqlType::Int, 4),
        0x3A => (SqlType::SmallDateTime, 4),
        0x3B => (SqlType::Real, 4),
        0x3C => (SqlType::Money, 8),
        0x3D => (SqlType::DateTime, 8),
        0x3E => (SqlType::Float, 8),
        0x7A => (SqlType::SmallMoney, 4),
        0x7F => (SqlType::BigInt, 8),
        _ => return None,
    })
}

/// The types whose values have a length of one byte.
fn short_type(body: &mut Bytes, token: u8) -> Option<SqlType> {
    if token == 0x28 {
        return Some(SqlType::Date);
    }
    let length = body.try_get_u8().ok()?;
    Some(match (token, length) {
        (0x26, 1) => SqlType::TinyInt,
        (0x26, 2) => SqlType::SmallInt,
        (0x26, 4) => SqlType::Int,
        (0x26, 8) => SqlType::BigInt,
        (0x68, _) => SqlType::Bit,
        (0x6D, 4) => SqlType::Real,
        (0x6D, 8) => SqlType::Float,
        (0x6E, 4) => SqlType::SmallMoney,
        (0x6E, 8) => SqlType::Money,
        (0x6F, 4) => SqlType::SmallDateTime,
        (0x6F, 8) => SqlType::DateTime,
        (0x24, _) => SqlType::UniqueIdentifier,
        (0x29, scale @ 0..=7) => SqlType::Time { scale },
        (0x2A, scale @ 0..=7) => SqlType::DateTime2 { scale },
        (0x2B, scale @ 0..=7) => SqlType::DateTimeOffset { scale },
        (0x6A | 0x6C, _) => {
            let precision = body.try_get_u8().ok()?;
            let scale = body.try_get_u8().ok()?;
            SqlType::Decimal { precision, scale }
        }
        _ => return None,
    })
}

/// Text and binary, with a length of two bytes or in chunks.
fn take_sized(body: &mut Bytes, token: u8) -> Option<(SqlType, LegacyValue<'static>)> {
    let max = body.try_get_u16_le().ok()?;
    let textual = !matches!(token, 0xA5 | 0xAD);
    let collation = if textual { take(body, 5)? } else { Bytes::new() };
    let payload = if max == MAX {
        take_plp(body)?
    } else {
        match body.try_get_u16_le().ok()? {
            MAX => None,
            length => Some(take(body, usize::from(length))?),
        }
    };
    let length = (max != MAX).then_some(max);
    let sql_type = match token {
        0xE7 | 0xEF => SqlType::NVarChar { length: length.map(|bytes| bytes / 2) },
        0xA7 | 0xAF => SqlType::VarChar { length },
        _ => SqlType::VarBinary { length },
    };
    let cyrillic = collation.starts_with(&[0x19, 0x04]);
    let collation = cyrillic.then(|| Collation::parse("Cyrillic_General_CI_AS").ok()).flatten();
    take_value(sql_type, collation.as_ref(), payload)
}

/// The outer `None` is malformed, the inner one NULL.
fn take_plp(body: &mut Bytes) -> Option<Option<Bytes>> {
    if body.try_get_u64_le().ok()? == PLP_NULL {
        return Some(None);
    }
    let mut payload = BytesMut::new();
    loop {
        let length = usize::try_from(body.try_get_u32_le().ok()?).ok()?;
        if length == 0 {
            return Some(Some(payload.freeze()));
        }
        payload.put_slice(&take(body, length)?);
    }
}
