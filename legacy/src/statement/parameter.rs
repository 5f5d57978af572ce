//! Values as parameters, each in its column's own type.
//!
//! SQL Server compares in the type that ranks higher. A `datetime2` parameter against a
//! `datetime` column lifts the column's 1/300 s to 100 ns, where the printed milliseconds are
//! not equal to it (trap 8); an `nvarchar` parameter against a `varchar` column compares by
//! other rules than the column's index is sorted by. So what tiberius can't send in the
//! column's type is converted to it in the statement.

use std::borrow::Cow;

use mapping::{
    catalog::SqlType,
    value::{LegacyValue, TICKS_PER_SECOND},
};
use tiberius::{ColumnData, IntoSql, numeric::Numeric, time};

/// 0001-01-01 as days before 1970-01-01.
const DAYS_0001: i32 = 719_162;
/// 100 ns.
const TIME_SCALE: u8 = 7;

/// A parameter as the driver sends it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter(ColumnData<'static>);

impl Parameter {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self(ColumnData::String(Some(Cow::Owned(text.into()))))
    }

    pub(super) fn guid(guid: uuid::Uuid) -> Self {
        Self(ColumnData::Guid(Some(guid)))
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self(ColumnData::Binary(Some(Cow::Owned(bytes))))
    }

    pub(super) fn count(count: u64) -> Self {
        Self(ColumnData::I64(Some(i64::try_from(count).unwrap_or(i64::MAX))))
    }
}

impl<'a> IntoSql<'a> for &'a Parameter {
    fn into_sql(self) -> ColumnData<'a> {
        self.0.clone()
    }
}

/// A parameter and the expression that brings it to the column's type; `{}` is its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bound {
    pub(super) parameter: Parameter,
    pub(super) expression: Cow<'static, str>,
}

impl Bound {
    fn as_is(data: ColumnData<'static>) -> Self {
        Self { parameter: Parameter(data), expression: Cow::Borrowed("{}") }
    }

    fn converted(parameter: Parameter, sql_type: &SqlType, style: Option<u8>) -> Self {
        let expression = match style {
            Some(style) => format!("CONVERT({sql_type}, {{}}, {style})"),
            None => format!("CONVERT({sql_type}, {{}})"),
        };
        Self { parameter, expression: Cow::Owned(expression) }
    }
}

/// Whether a column of this type can be a key that is walked in order.
pub(super) fn is_walkable(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Bit
        | SqlType::TinyInt
        | SqlType::SmallInt
        | SqlType::Int
        | SqlType::BigInt
        | SqlType::Decimal { .. }
        | SqlType::Money
        | SqlType::SmallMoney
        | SqlType::Real
        | SqlType::Float
        | SqlType::Date
        | SqlType::Time { .. }
        | SqlType::DateTime
        | SqlType::SmallDateTime
        | SqlType::DateTime2 { .. }
        | SqlType::DateTimeOffset { .. }
        | SqlType::Char { .. }
        | SqlType::VarChar { length: Some(_) }
        | SqlType::NChar { .. }
        | SqlType::NVarChar { length: Some(_) }
        | SqlType::Binary { .. }
        | SqlType::VarBinary { length: Some(_) }
        | SqlType::UniqueIdentifier
        | SqlType::RowVersion => true,
        SqlType::VarChar { length: None }
        | SqlType::NVarChar { length: None }
        | SqlType::VarBinary { length: None }
        | SqlType::Text
        | SqlType::NText
        | SqlType::Image
        | SqlType::Xml
        | SqlType::Other(_) => false,
    }
}

/// Binds a key column's value; `None` when the value is not one of the column's type (NULL
/// included: a primary key has none).
pub(super) fn bind(value: &LegacyValue<'_>, sql_type: &SqlType) -> Option<Bound> {
    Some(match value {
        LegacyValue::Bool(value) => Bound::as_is(ColumnData::Bit(Some(*value))),
        LegacyValue::Int(value) => Bound::as_is(integer(*value, sql_type)),
        LegacyValue::Float(value) => Bound::as_is(ColumnData::F64(Some(*value))),
        LegacyValue::Decimal(value) => {
            let number = Numeric::new_with_scale(value.unscaled, value.scale.min(38));
            let data = ColumnData::Numeric(Some(number));
            match sql_type {
                SqlType::Money | SqlType::SmallMoney => {
                    Bound::converted(Parameter(data), sql_type, None)
                }
                _ => Bound::as_is(data),
            }
        }
        LegacyValue::Text(text) => {
            let parameter = Parameter::text(text.as_ref());
            match sql_type {
                SqlType::Char { .. } | SqlType::VarChar { .. } => {
                    Bound::converted(parameter, sql_type, None)
                }
                _ => Bound { parameter, expression: Cow::Borrowed("{}") },
            }
        }
        LegacyValue::Bytes(bytes) => {
            Bound::as_is(ColumnData::Binary(Some(Cow::Owned(bytes.to_vec()))))
        }
        LegacyValue::Guid(guid) => Bound::as_is(ColumnData::Guid(Some(*guid))),
        LegacyValue::Date(days) => {
            let days = u32::try_from(days.checked_add(DAYS_0001)?).ok()?;
            Bound::as_is(ColumnData::Date(Some(time::Date::new(days))))
        }
        LegacyValue::Time(ticks) => {
            let time = time::Time::new(u64::try_from(*ticks).ok()?, TIME_SCALE);
            Bound::as_is(ColumnData::Time(Some(time)))
        }
        LegacyValue::Timestamp(ticks) => {
            let text = iso_text(*ticks, ' ', fraction_digits(sql_type))?;
            Bound::converted(Parameter::text(text), sql_type, Some(121))
        }
        LegacyValue::TimestampOffset { utc_ticks, .. } => {
            // Offsets are compared as instants, so UTC will do.
            let text = iso_text(*utc_ticks, 'T', fraction_digits(sql_type))?;
            Bound::converted(Parameter::text(text + "Z"), sql_type, Some(127))
        }
        LegacyValue::Null | LegacyValue::Unchanged | LegacyValue::BrokenText(_) => return None,
    })
}

/// In the column's width: a wider parameter may cost the server its index seek.
fn integer(value: i64, sql_type: &SqlType) -> ColumnData<'static> {
    let narrow = match sql_type {
        SqlType::TinyInt => u8::try_from(value).ok().map(|v| ColumnData::U8(Some(v))),
        SqlType::SmallInt => i16::try_from(value).ok().map(|v| ColumnData::I16(Some(v))),
        SqlType::Int => i32::try_from(value).ok().map(|v| ColumnData::I32(Some(v))),
        _ => None,
    };
    narrow.unwrap_or(ColumnData::I64(Some(value)))
}

fn fraction_digits(sql_type: &SqlType) -> usize {
    match sql_type {
        SqlType::DateTime => 3,
        SqlType::SmallDateTime => 0,
        SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale } => usize::from(*scale),
        _ => usize::from(TIME_SCALE),
    }
}

/// `2024-02-29 13:14:15.123`, or with a `T`: with the style that belongs to it, SQL Server reads it
/// alike under every language and date format. (Style 126, the one with a `T` and without a zone,
/// is not read everywhere that speaks TDS.)
/// <https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql>
fn iso_text(ticks: i64, separator: char, digits: usize) -> Option<String> {
    let seconds = ticks.div_euclid(TICKS_PER_SECOND);
    let fraction = format!("{:07}", ticks.rem_euclid(TICKS_PER_SECOND));
    let fraction: String = fraction.chars().take(digits).collect();
    let form = format!("%Y-%m-%d{separator}%H:%M:%S");
    let time = chrono::DateTime::from_timestamp(seconds, 0)?.format(&form).to_string();
    Some(if fraction.is_empty() { time } else { format!("{time}.{fraction}") })
}
