//! From stored bytes.

use std::borrow::Cow;

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};
use uuid::Uuid;

use super::Width;
use crate::legacy::{
    collation::{CodePage, Collation},
    time,
};

/// One stored value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// With its length prefix.
    pub(crate) raw: &'a [u8],
    /// Without; `None` is NULL.
    pub(crate) payload: Option<&'a [u8]>,
}

/// Takes the first value off a stored row. `None` when the bytes are not a stored value.
pub(crate) fn split(row: &[u8], width: Width) -> Option<(Field<'_>, &[u8])> {
    let (prefix, length, suffix) = match width {
        Width::Byte => {
            let length = usize::from(*row.first()?);
            (1, (length > 0).then_some(length), 0)
        }
        Width::Short => {
            let length = u16::from_le_bytes(*row.first_chunk()?);
            (2, (length != u16::MAX).then_some(usize::from(length)), 0)
        }
        Width::Long => match u64::from_le_bytes(*row.first_chunk()?) {
            u64::MAX => (8, None, 0),
            0 => (8, Some(0), 4),
            length => (12, Some(usize::try_from(length).ok()?), 4),
        },
    };
    let total = prefix + length.unwrap_or(0) + suffix;
    let (raw, rest) = row.split_at_checked(total)?;
    let payload = match length {
        Some(length) => Some(raw.get(prefix..prefix + length)?),
        None => None,
    };
    Some((Field { raw, payload }, rest))
}

/// The value of a payload. `None` when it is not one of this type.
pub(crate) fn decode(
    sql_type: &SqlType,
    collation: Option<&Collation>,
    payload: &[u8],
) -> Option<LegacyValue<'static>> {
    Some(match sql_type {
        SqlType::Bit => LegacyValue::Bool(*payload.first()? != 0),
        SqlType::TinyInt => LegacyValue::Int(i64::from(*payload.first()?)),
        SqlType::SmallInt => LegacyValue::Int(i64::from(i16::from_le_bytes(array(payload)?))),
        SqlType::Int => LegacyValue::Int(i64::from(i32::from_le_bytes(array(payload)?))),
        SqlType::BigInt => LegacyValue::Int(i64::from_le_bytes(array(payload)?)),
        SqlType::Decimal { scale, .. } => {
            LegacyValue::Decimal(Decimal { unscaled: unscaled(payload)?, scale: *scale })
        }
        SqlType::Money => {
            LegacyValue::Decimal(Decimal { unscaled: i128::from(money(payload)?), scale: 4 })
        }
        SqlType::SmallMoney => {
            let unscaled = i128::from(i32::from_le_bytes(array(payload)?));
            LegacyValue::Decimal(Decimal { unscaled, scale: 4 })
        }
        SqlType::Real => LegacyValue::Float(f64::from(f32::from_le_bytes(array(payload)?))),
        SqlType::Float => LegacyValue::Float(f64::from_le_bytes(array(payload)?)),
        SqlType::UniqueIdentifier => LegacyValue::Guid(guid(payload)?),
        SqlType::Date
        | SqlType::Time { .. }
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. } => read_time(sql_type, payload)?,
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text => {
            let page = collation.map_or(CodePage::Latin, |collation| collation.code_page);
            text(payload.iter().map(|byte| page.decode(*byte)))
        }
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText | SqlType::Xml => {
            text(units(payload))
        }
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion => LegacyValue::Bytes(Cow::Owned(payload.to_vec())),
        SqlType::Other(_) => return None,
    })
}

fn read_time(sql_type: &SqlType, payload: &[u8]) -> Option<LegacyValue<'static>> {
    Some(match sql_type {
        SqlType::Date => LegacyValue::Date(time::from_date(days(payload)?)?),
        SqlType::Time { scale } => {
            LegacyValue::Time(i64::try_from(little_endian(payload)?).ok()? * time::unit(*scale))
        }
        SqlType::DateTime => {
            let (day, thirds) = payload.split_first_chunk()?;
            let thirds = u32::from_le_bytes(array(thirds)?);
            LegacyValue::Timestamp(time::from_datetime(i32::from_le_bytes(*day), thirds))
        }
        SqlType::SmallDateTime => {
            let (day, minutes) = payload.split_first_chunk()?;
            let minutes = u16::from_le_bytes(array(minutes)?);
            LegacyValue::Timestamp(time::from_smalldatetime(u16::from_le_bytes(*day), minutes))
        }
        SqlType::DateTime2 { scale } => {
            let (units, day) = payload.split_last_chunk::<3>()?;
            let units = little_endian(units)?;
            LegacyValue::Timestamp(time::from_datetime2(days(day)?, units, *scale)?)
        }
        SqlType::DateTimeOffset { scale } => {
            let (rest, offset) = payload.split_last_chunk()?;
            let (units, day) = rest.split_last_chunk::<3>()?;
            LegacyValue::TimestampOffset {
                utc_ticks: time::from_datetime2(days(day)?, little_endian(units)?, *scale)?,
                offset_minutes: i16::from_le_bytes(*offset),
            }
        }
        _ => return None,
    })
}

/// A payload of exactly `N` bytes.
pub(crate) fn array<const N: usize>(payload: &[u8]) -> Option<[u8; N]> {
    payload.try_into().ok()
}

/// The UTF-16 units of a payload.
pub(crate) fn units(payload: &[u8]) -> impl DoubleEndedIterator<Item = u16> + Clone {
    let (pairs, _) = payload.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_le_bytes(*pair))
}

/// `money` in its own unit, 1/10,000. The high half comes first.
pub(crate) fn money(payload: &[u8]) -> Option<i64> {
    let (high, low) = payload.split_first_chunk()?;
    let high = i64::from(i32::from_le_bytes(*high));
    Some(high << 32 | i64::from(u32::from_le_bytes(array(low)?)))
}

/// A decimal's digits: a sign byte (1 is plus) and the magnitude.
pub(crate) fn unscaled(payload: &[u8]) -> Option<i128> {
    let (sign, magnitude) = payload.split_first()?;
    let mut bytes = [0; 16];
    bytes.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let value = i128::from_le_bytes(bytes);
    Some(if *sign == 0 { -value } else { value })
}

/// A GUID: its first three groups are little-endian.
pub(crate) fn guid(payload: &[u8]) -> Option<Uuid> {
    Some(Uuid::from_bytes_le(array(payload)?))
}

/// An unsigned number of up to eight bytes.
pub(crate) fn little_endian(payload: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..payload.len())?.copy_from_slice(payload);
    Some(u64::from_le_bytes(bytes))
}

fn days(payload: &[u8]) -> Option<u32> {
    u32::try_from(little_endian(payload)?).ok()
}

fn text(units: impl Iterator<Item = u16>) -> LegacyValue<'static> {
    let mut broken = false;
    let text = char::decode_utf16(units)
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                broken = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect::<String>();
    if broken {
        LegacyValue::BrokenText(Cow::Owned(text))
    } else {
        LegacyValue::Text(Cow::Owned(text))
    }
}
