//! Keys as bytes whose order is SQL Server's order.
//!
//! Each part is either of a fixed width or closed by a zero byte that cannot occur inside, so
//! the key of a prefix of columns is a byte prefix of the keys of all rows that share it: a
//! range of keys is a range of bytes, composite or not.
//!
//! - `uniqueidentifier`: bytes 10–15, 8–9, 6–7, 4–5, 0–3 of the stored form, whose first three
//!   groups are little-endian (as `SqlGuid` compares, [documented][guid]).
//! - text: folded as its collation compares, without trailing blanks, one to three bytes for
//!   each UTF-16 unit.
//! - `datetime`: days and 1/300 s, so a key is exact.
//!
//! [guid]: https://learn.microsoft.com/en-us/dotnet/framework/data/adonet/sql/comparing-guid-and-uniqueidentifier-values

use mapping::{catalog::SqlType, value::LegacyValue};

use super::{
    codec::{self, Refusal, read},
    collation::{CodePage, Collation},
    table::Column,
};

/// Appends the part of a stored value. `None` for NULL, which no key holds, and for bytes that
/// are not a value of the type.
pub(crate) fn push(column: &Column, payload: Option<&[u8]>, key: &mut Vec<u8>) -> Option<()> {
    let payload = payload?;
    match &column.column.sql_type {
        SqlType::Bit | SqlType::TinyInt => key.extend_from_slice(payload),
        SqlType::SmallInt => signed(key, i64::from(i16::from_le_bytes(read::array(payload)?))),
        SqlType::Int => signed(key, i64::from(i32::from_le_bytes(read::array(payload)?))),
        SqlType::BigInt => signed(key, i64::from_le_bytes(read::array(payload)?)),
        SqlType::Money => signed(key, read::money(payload)?),
        SqlType::SmallMoney => signed(key, i64::from(i32::from_le_bytes(read::array(payload)?))),
        SqlType::Decimal { .. } => {
            let flipped = read::unscaled(payload)?.cast_unsigned() ^ (1 << 127);
            key.extend_from_slice(&flipped.to_be_bytes());
        }
        SqlType::Real => float(key, f64::from(f32::from_le_bytes(read::array(payload)?))),
        SqlType::Float => float(key, f64::from_le_bytes(read::array(payload)?)),
        SqlType::UniqueIdentifier => {
            let [a, b, c, d, e, f, g, h, i, j, tail @ ..] = read::array::<16>(payload)?;
            key.extend_from_slice(&tail);
            // Groups from last to first, each in the order in which it is stored.
            key.extend_from_slice(&[i, j, g, h, e, f, a, b, c, d]);
        }
        SqlType::DateTime => {
            let (day, thirds) = payload.split_first_chunk()?;
            signed(key, i64::from(i32::from_le_bytes(*day)));
            key.extend_from_slice(&u32::from_le_bytes(read::array(thirds)?).to_be_bytes());
        }
        SqlType::SmallDateTime => {
            let (day, minutes) = payload.split_first_chunk()?;
            key.extend_from_slice(&u16::from_le_bytes(*day).to_be_bytes());
            key.extend_from_slice(&u16::from_le_bytes(read::array(minutes)?).to_be_bytes());
        }
        SqlType::Date | SqlType::Time { .. } => reversed(key, payload),
        SqlType::DateTime2 { .. } => reversed(key, payload),
        SqlType::DateTimeOffset { .. } => reversed(key, payload.split_last_chunk::<2>()?.0),
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text => {
            let page = column.collation.as_ref().map_or(CodePage::Latin, |c| c.code_page);
            let units = payload.iter().map(|byte| page.decode(*byte));
            text(key, column.collation.as_deref(), units);
        }
        SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText | SqlType::Xml => {
            text(key, column.collation.as_deref(), read::units(payload));
        }
        SqlType::Binary { .. }
        | SqlType::VarBinary { .. }
        | SqlType::Image
        | SqlType::RowVersion => {
            payload.iter().for_each(|byte| escaped(key, *byte));
            key.push(0);
        }
        SqlType::Other(_) => return None,
    }
    Some(())
}

/// Appends the part of a value that is compared with the column. Text may be longer than the
/// column, and is Unicode whatever the column is. `Ok(false)` for NULL: nothing equals it.
pub(crate) fn push_value(
    column: &Column,
    value: &LegacyValue<'_>,
    key: &mut Vec<u8>,
) -> Result<bool, Refusal> {
    if value.is_null() {
        return Ok(false);
    }
    let wrong = Refusal { problem: "it can't be compared with this column", number: 206 };
    let mut stored = Vec::new();
    let wide = column.collation.is_some().then_some(SqlType::NVarChar { length: None });
    let sql_type = wide.as_ref().unwrap_or(&column.column.sql_type);
    codec::encode(sql_type, None, value, &mut stored)?;
    let (field, _) = codec::split(&stored, codec::Width::of(sql_type)).ok_or(wrong)?;
    if wide.is_some() {
        let payload = field.payload.ok_or(wrong)?;
        text(key, column.collation.as_deref(), read::units(payload));
        return Ok(true);
    }
    push(column, field.payload, key).ok_or(wrong)?;
    Ok(true)
}

/// The first byte string after every string that begins with `prefix`; `None` when there is
/// none.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=kept)?.to_vec();
    if let Some(last) = next.last_mut() {
        *last += 1;
    }
    Some(next)
}

fn signed(key: &mut Vec<u8>, value: i64) {
    key.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// Negative floats sort by inverted bits; -0.0 equals 0.0.
fn float(key: &mut Vec<u8>, value: f64) {
    let bits = (value + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits ^ (1 << 63) };
    key.extend_from_slice(&ordered.to_be_bytes());
}

/// Little-endian units, then little-endian days: backwards they are most significant first.
fn reversed(key: &mut Vec<u8>, payload: &[u8]) {
    key.extend(payload.iter().rev());
}

fn text(key: &mut Vec<u8>, collation: Option<&Collation>, units: impl Iterator<Item = u16>) {
    let start = key.len();
    let mut end = start;
    for unit in units {
        let unit = collation.map_or(unit, |collation| collation.fold(unit));
        let [high, low] = unit.to_be_bytes();
        match unit {
            ..0x80 => escaped(key, low),
            0x80..0x800 => key.extend_from_slice(&[0xC0 | high << 2 | low >> 6, 0x80 | low & 0x3F]),
            0x800.. => key.extend_from_slice(&[
                0xE0 | high >> 4,
                0x80 | (high & 0x0F) << 2 | low >> 6,
                0x80 | low & 0x3F,
            ]),
        }
        if unit != u16::from(b' ') {
            end = key.len();
        }
    }
    key.truncate(end);
    key.push(0);
}

/// Keeps 0 free for the end of a part.
fn escaped(key: &mut Vec<u8>, byte: u8) {
    if byte <= 1 {
        key.extend_from_slice(&[1, byte + 1]);
    } else {
        key.push(byte);
    }
}

#[cfg(test)]
mod tests;
