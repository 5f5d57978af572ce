//! A value held against the limits of its column.

use std::borrow::Cow;

use super::{Refusal, code_page::Storage, time};
use crate::{
    catalog::{Column, SqlType},
    convert::Fault,
    decimal,
    value::{Decimal, LegacyValue},
};

type Fitted<'a> = Result<LegacyValue<'a>, Fault>;

/// `nvarchar(max)` and `ntext` hold 2 GiB of UTF-16; the others 2 GiB of bytes.
const UNITS_MAX: usize = (1 << 30) - 1;
const BYTES_MAX: usize = (1 << 31) - 1;

/// The value as the column would hold it: rounded where SQL Server rounds (times), padded where
/// it pads (`char`, `nchar`, `binary`), and otherwise as it is.
///
/// # Errors
/// [`Refusal`] when the column can't hold it.
pub fn fit<'a>(value: LegacyValue<'a>, column: &Column) -> Result<LegacyValue<'a>, Refusal> {
    fitted(value, column).map_err(|fault| Refusal::of(&column.name, fault))
}

fn fitted<'a>(value: LegacyValue<'a>, column: &Column) -> Fitted<'a> {
    if column.computed {
        return Err(Fault::new("column.computed", "is for a computed column: write its sources"));
    }
    if column.identity {
        let problem = "is for an identity column, whose values SQL Server gives";
        return Err(Fault::new("column.identity", problem));
    }
    if value.is_null() {
        return match column.nullable {
            true => Ok(LegacyValue::Null),
            false => Err(Fault::new("null", "is NULL, which the legacy column forbids")),
        };
    }
    use LegacyValue as V;
    use SqlType as T;
    match (&column.sql_type, value) {
        (T::Bit, V::Bool(value)) => Ok(V::Bool(value)),
        (T::TinyInt, V::Int(number)) => int(number, 0, u8::MAX.into(), "tinyint: 0 to 255"),
        (T::SmallInt, V::Int(number)) => {
            int(number, i16::MIN.into(), i16::MAX.into(), "smallint: -32768 to 32767")
        }
        (T::Int, V::Int(number)) => {
            int(number, i32::MIN.into(), i32::MAX.into(), "int: -2147483648 to 2147483647")
        }
        (T::BigInt, V::Int(number)) => Ok(V::Int(number)),
        (T::Decimal { precision, scale }, V::Decimal(number)) => {
            let limit = decimal::power_of_ten(*precision);
            let fits = |limit: i128| number.unscaled.unsigned_abs() < limit.unsigned_abs();
            number_in(number, *scale, limit.is_some_and(fits), "decimal.range", || {
                format!("has more digits than decimal({precision},{scale}) holds")
            })
        }
        (T::Money, V::Decimal(number)) => {
            number_in(number, 4, i64::try_from(number.unscaled).is_ok(), "money.range", || {
                "is outside -922337203685477.5808 to 922337203685477.5807, all that money holds"
                    .into()
            })
        }
        (T::SmallMoney, V::Decimal(number)) => {
            number_in(number, 4, i32::try_from(number.unscaled).is_ok(), "money.range", || {
                "is outside -214748.3648 to 214748.3647, all that smallmoney holds".into()
            })
        }
        (T::Float, V::Float(number)) => float(number, f64::MIN_POSITIVE, f64::MAX),
        (T::Real, V::Float(number)) => real(number),
        (T::Date, V::Date(day)) => time::fit_date(day).map(V::Date),
        (T::Time { scale }, V::Time(ticks)) => time::fit_time(ticks, *scale).map(V::Time),
        (T::DateTime, V::Timestamp(ticks)) => time::fit_datetime(ticks).map(V::Timestamp),
        (T::SmallDateTime, V::Timestamp(ticks)) => time::fit_smalldatetime(ticks).map(V::Timestamp),
        (T::DateTime2 { scale }, V::Timestamp(ticks)) => {
            time::fit_datetime2(ticks, *scale).map(V::Timestamp)
        }
        (T::DateTimeOffset { scale }, V::TimestampOffset { utc_ticks, offset_minutes }) => {
            let fitted = time::fit_offset(utc_ticks, offset_minutes, *scale);
            fitted
                .map(|(utc_ticks, offset_minutes)| V::TimestampOffset { utc_ticks, offset_minutes })
        }
        (T::UniqueIdentifier, V::Guid(guid)) => Ok(V::Guid(guid)),
        (sql_type, V::Text(text)) => text_in(text, sql_type, column),
        (sql_type, V::Bytes(bytes)) => bytes_in(bytes, sql_type),
        (_, V::BrokenText(_)) => {
            Err(Fault::new("text.surrogate", "holds half a surrogate pair, which nobody can write"))
        }
        (sql_type, _) => Err(wrong(sql_type)),
    }
}

fn wrong(sql_type: &SqlType) -> Fault {
    Fault::new("value.type", format!("is of another type than the column, which is {sql_type}"))
}

fn int(number: i64, least: i64, most: i64, what: &str) -> Fitted<'static> {
    if (least..=most).contains(&number) {
        return Ok(LegacyValue::Int(number));
    }
    Err(Fault::new("int.range", format!("is outside what the column holds ({what})")))
}

fn number_in(
    number: Decimal,
    scale: u8,
    fits: bool,
    rule: &'static str,
    problem: impl FnOnce() -> String,
) -> Fitted<'static> {
    if number.scale != scale {
        let problem = format!("does not have the column's {scale} digits after the point");
        return Err(Fault::new("number.scale", problem));
    }
    if fits { Ok(LegacyValue::Decimal(number)) } else { Err(Fault::new(rule, problem())) }
}

/// SQL Server has neither infinities nor NaN, and calls numbers between zero and the least
/// normal one zero.
fn float(number: f64, least: f64, most: f64) -> Fitted<'static> {
    let size = number.abs();
    if number == 0.0 || (least..=most).contains(&size) {
        return Ok(LegacyValue::Float(number));
    }
    Err(Fault::new(
        "float.range",
        "is infinite, no number, or nearer to zero than the column keeps",
    ))
}

fn real(number: f64) -> Fitted<'static> {
    // Widening is exact, so what comes back the same is a real.
    if number != 0.0 && f64::from(decimal::to_single(number)) != number {
        return Err(Fault::new("real.inexact", "has more digits than a real keeps"));
    }
    float(number, f32::MIN_POSITIVE.into(), f32::MAX.into())
}

fn text_in<'a>(text: Cow<'a, str>, sql_type: &SqlType, column: &Column) -> Fitted<'a> {
    let (limit, is_padded, is_unicode) = match sql_type {
        SqlType::NVarChar { length } => (length.map_or(UNITS_MAX, usize::from), false, true),
        SqlType::NChar { length } => (usize::from(*length), true, true),
        SqlType::NText | SqlType::Xml => (UNITS_MAX, false, true),
        SqlType::VarChar { length } => (length.map_or(BYTES_MAX, usize::from), false, false),
        SqlType::Char { length } => (usize::from(*length), true, false),
        SqlType::Text => (BYTES_MAX, false, false),
        other => return Err(wrong(other)),
    };
    let length = if is_unicode {
        text.encode_utf16().count()
    } else {
        let collation = column.collation.as_deref().unwrap_or_default();
        Storage::of(collation).length(&text).ok_or_else(|| {
            Fault::new(
                "text.code_page",
                "has a letter that the column's code page lacks, or may lack: SQL Server would \
                 store a question mark",
            )
        })?
    };
    if length > limit {
        let what = if is_unicode { "UTF-16 units" } else { "bytes of its code page" };
        let problem = format!("is longer than the column, which holds {limit} {what}");
        return Err(Fault::new("text.length", problem));
    }
    if is_padded && length < limit {
        let padding = " ".repeat(limit - length);
        return Ok(LegacyValue::Text(Cow::Owned(text.into_owned() + &padding)));
    }
    Ok(LegacyValue::Text(text))
}

fn bytes_in<'a>(bytes: Cow<'a, [u8]>, sql_type: &SqlType) -> Fitted<'a> {
    let (limit, is_padded) = match sql_type {
        SqlType::VarBinary { length } => (length.map_or(BYTES_MAX, usize::from), false),
        SqlType::Image => (BYTES_MAX, false),
        SqlType::Binary { length } => (usize::from(*length), true),
        SqlType::RowVersion => {
            return Err(Fault::new(
                "column.rowversion",
                "is for a rowversion, which the server gives",
            ));
        }
        other => return Err(wrong(other)),
    };
    if bytes.len() > limit {
        let problem = format!("is longer than the column, which holds {limit} bytes");
        return Err(Fault::new("bytes.length", problem));
    }
    if is_padded && bytes.len() < limit {
        let mut padded = bytes.into_owned();
        padded.resize(limit, 0);
        return Ok(LegacyValue::Bytes(Cow::Owned(padded)));
    }
    Ok(LegacyValue::Bytes(bytes))
}
