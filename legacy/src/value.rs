//! What the driver decoded → [`LegacyValue`], without losing anything on the way.
//!
//! Texts and bytes are moved, not copied.

use std::borrow::Cow;

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};
use tiberius::{ColumnData, time};

use crate::{LegacyRow, statement::Source};

/// 1900-01-01, where `datetime` and `smalldatetime` begin, as days since 1970-01-01.
const DAYS_1900: i64 = -25_567;
/// 0001-01-01, where `date`, `datetime2` and `datetimeoffset` begin.
const DAYS_0001: i64 = -719_162;
/// Ticks of 100 ns in a day.
const TICKS_PER_DAY: i64 = 864_000_000_000;
/// Ticks of 100 ns in a millisecond.
const TICKS_PER_MILLISECOND: i64 = 10_000;
/// Ticks of 100 ns in a minute.
const TICKS_PER_MINUTE: i64 = 600_000_000;

/// What the reader has to know of a table's columns.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Whether a column is UTF-16 on the wire, where the driver replaces what is not Unicode.
    national: Vec<bool>,
}

/// A row with the memory that it takes, roughly.
pub(crate) struct Weighed {
    pub(crate) row: LegacyRow,
    pub(crate) bytes: usize,
}

impl Shape {
    /// All columns that are read.
    pub(crate) fn of_table(source: Source<'_>) -> Self {
        Self::of(source.columns.iter().map(|column| &column.sql_type))
    }

    /// The key columns, in the key's order.
    pub(crate) fn of_key(source: Source<'_>) -> Self {
        Self::of(source.key.iter().filter_map(|&index| Some(&source.columns.get(index)?.sql_type)))
    }

    fn of<'a>(types: impl Iterator<Item = &'a SqlType>) -> Self {
        let national = types.map(|sql_type| {
            matches!(sql_type, SqlType::NChar { .. } | SqlType::NVarChar { .. } | SqlType::NText)
        });
        Self { national: national.collect() }
    }

    /// Converts a row; `None` when it has another number of columns.
    pub(crate) fn convert(&self, row: tiberius::Row) -> Option<Weighed> {
        let mut values = Vec::with_capacity(self.national.len());
        let mut bytes = 0;
        if row.len() != self.national.len() {
            return None;
        }
        for (national, cell) in self.national.iter().zip(row) {
            let value = from_driver(cell, *national);
            bytes += size_of::<LegacyValue<'static>>() + heap_bytes(&value);
            values.push(value);
        }
        Some(Weighed { row: values, bytes })
    }
}

fn heap_bytes(value: &LegacyValue<'_>) -> usize {
    match value {
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => text.len(),
        LegacyValue::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The one number of a row that counts rows.
pub(crate) fn count(row: tiberius::Row) -> Option<u64> {
    match from_driver(row.into_iter().next()?, false) {
        LegacyValue::Int(rows) => u64::try_from(rows).ok(),
        _ => None,
    }
}

/// One value. `national`: the column is UTF-16 on the wire.
pub(crate) fn from_driver(data: ColumnData<'static>, national: bool) -> LegacyValue<'static> {
    let value = match data {
        ColumnData::U8(value) => value.map(|v| LegacyValue::Int(v.into())),
        ColumnData::I16(value) => value.map(|v| LegacyValue::Int(v.into())),
        ColumnData::I32(value) => value.map(|v| LegacyValue::Int(v.into())),
        ColumnData::I64(value) => value.map(LegacyValue::Int),
        ColumnData::F32(value) => value.map(|v| LegacyValue::Float(v.into())),
        ColumnData::F64(value) => value.map(LegacyValue::Float),
        ColumnData::Bit(value) => value.map(LegacyValue::Bool),
        ColumnData::String(value) => value.map(|text| text_value(text, national)),
        ColumnData::Guid(value) => value.map(LegacyValue::Guid),
        ColumnData::Binary(value) => value.map(LegacyValue::Bytes),
        ColumnData::Numeric(value) => value.map(|number| {
            LegacyValue::Decimal(Decimal { unscaled: number.value(), scale: number.scale() })
        }),
        ColumnData::Xml(value) => {
            value.map(|xml| LegacyValue::Text(Cow::Owned(xml.into_owned().into_string())))
        }
        ColumnData::DateTime(value) => value.map(|v| LegacyValue::Timestamp(datetime_ticks(v))),
        ColumnData::SmallDateTime(value) => value.map(|v| {
            let minutes = i64::from(v.seconds_fragments());
            LegacyValue::Timestamp(day_ticks(DAYS_1900, v.days()) + minutes * TICKS_PER_MINUTE)
        }),
        ColumnData::Time(value) => value.map(|v| LegacyValue::Time(time_ticks(v))),
        ColumnData::Date(value) => value.map(|v| LegacyValue::Date(date_days(v))),
        ColumnData::DateTime2(value) => value.map(|v| LegacyValue::Timestamp(datetime2_ticks(v))),
        ColumnData::DateTimeOffset(value) => value.map(|v| LegacyValue::TimestampOffset {
            utc_ticks: datetime2_ticks(v.datetime2()),
            offset_minutes: v.offset(),
        }),
    };
    value.unwrap_or(LegacyValue::Null)
}

/// The driver puts U+FFFD where UTF-16 is broken. A U+FFFD that is really stored can't be told
/// from it; such a row goes to quarantine too, which loses nothing.
fn text_value(text: Cow<'static, str>, national: bool) -> LegacyValue<'static> {
    if national && text.contains(char::REPLACEMENT_CHARACTER) {
        LegacyValue::BrokenText(text)
    } else {
        LegacyValue::Text(text)
    }
}

fn day_ticks(epoch: i64, days: impl Into<i64>) -> i64 {
    (epoch + days.into()) * TICKS_PER_DAY
}

/// SQL Server prints 1/300 s as .000, .003, .007: to the nearest millisecond.
fn datetime_ticks(value: time::DateTime) -> i64 {
    let milliseconds = (i64::from(value.seconds_fragments()) * 10 + 1) / 3;
    day_ticks(DAYS_1900, value.days()) + milliseconds * TICKS_PER_MILLISECOND
}

fn datetime2_ticks(value: time::DateTime2) -> i64 {
    day_ticks(DAYS_0001, value.date().days()) + time_ticks(value.time())
}

fn time_ticks(value: time::Time) -> i64 {
    let unit = 10_i64.pow(7_u32.saturating_sub(value.scale().into()));
    i64::try_from(value.increments()).unwrap_or(i64::MAX).saturating_mul(unit)
}

fn date_days(value: time::Date) -> i32 {
    // 24 bits on the wire: always fits.
    i32::try_from(DAYS_0001 + i64::from(value.days())).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
