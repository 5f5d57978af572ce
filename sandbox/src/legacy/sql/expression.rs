//! Parameters and the conversions that are written around them.

use std::borrow::Cow;

use mapping::{catalog::SqlType, value::LegacyValue};
use sqlparser::ast::Expr;

use super::SqlError;
use crate::legacy::{codec, order, table::Column, time};

/// A parameter of `sp_executesql`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// With its `@`.
    pub(crate) name: String,
    pub(crate) value: LegacyValue<'static>,
    pub(crate) sql_type: SqlType,
}

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Typed {
    pub(crate) value: LegacyValue<'static>,
    pub(crate) sql_type: SqlType,
}

/// `@P1`, `CONVERT(type, @P1)` or `CONVERT(type, @P1, style)`. `None` for other expressions.
pub(crate) fn evaluate(
    expression: &Expr,
    parameters: &[Parameter],
) -> Result<Option<Typed>, SqlError> {
    match expression {
        Expr::Identifier(name) if name.quote_style.is_none() && name.value.starts_with('@') => {
            let found = parameters.iter().find(|p| p.name.eq_ignore_ascii_case(&name.value));
            let Some(found) = found else {
                let message = format!("Must declare the scalar variable \"{}\".", name.value);
                return Err(SqlError::new(137, 15, message));
            };
            Ok(Some(Typed { value: found.value.clone(), sql_type: found.sql_type.clone() }))
        }
        Expr::Convert { expr, data_type: Some(data_type), styles, .. } => {
            let style = match styles.as_slice() {
                [] => None,
                [style] => Some(style.to_string()),
                _ => return Ok(None),
            };
            let suffix = style.as_ref().map(|style| format!(", {style}")).unwrap_or_default();
            if expression.to_string() != format!("CONVERT({data_type}, {expr}{suffix})") {
                return Ok(None);
            }
            let Some(inner) = evaluate(expr, parameters)? else { return Ok(None) };
            let target: SqlType =
                data_type.to_string().parse().unwrap_or(SqlType::Other(String::new()));
            convert(inner, target, style.as_deref())
        }
        _ => Ok(None),
    }
}

fn convert(from: Typed, target: SqlType, style: Option<&str>) -> Result<Option<Typed>, SqlError> {
    let failed = || {
        let message = format!("Conversion failed when converting to {target}.");
        SqlError::new(241, 16, message)
    };
    let value = match (&target, style, from.value) {
        (_, _, LegacyValue::Null) => LegacyValue::Null,
        (
            SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. },
            Some("121"),
            LegacyValue::Text(text),
        ) => {
            let digits = if matches!(target, SqlType::DateTime2 { .. }) { 7 } else { 3 };
            let iso = text.replacen(' ', "T", 1);
            LegacyValue::Timestamp(time::parse_iso(&iso, digits).ok_or_else(failed)?)
        }
        (SqlType::DateTimeOffset { .. }, Some("127"), LegacyValue::Text(text)) => {
            let utc = text.strip_suffix('Z').and_then(|text| time::parse_iso(text, 7));
            let utc_ticks = utc.ok_or_else(failed)?;
            LegacyValue::TimestampOffset { utc_ticks, offset_minutes: 0 }
        }
        (SqlType::Money | SqlType::SmallMoney, None, value @ LegacyValue::Decimal(_)) => value,
        (
            SqlType::VarChar { .. } | SqlType::Char { .. },
            None,
            value @ (LegacyValue::Text(_) | LegacyValue::BrokenText(_)),
        ) => value,
        _ => return Ok(None),
    };
    let value = stored(&target, &value).ok_or_else(failed)?;
    Ok(Some(Typed { value, sql_type: target }))
}

/// A value as its type stores it: rounded, padded.
fn stored(sql_type: &SqlType, value: &LegacyValue<'_>) -> Option<LegacyValue<'static>> {
    if let (SqlType::VarChar { .. } | SqlType::Char { .. }, LegacyValue::Text(text)) =
        (sql_type, value)
    {
        // The code page is the column's, which is not known here: the key's comparison is
        // Unicode, and a letter that the page lacks equals nothing stored.
        return Some(LegacyValue::Text(Cow::Owned(text.clone().into_owned())));
    }
    let mut bytes = Vec::new();
    codec::encode(sql_type, None, value, &mut bytes).ok()?;
    let (field, _) = codec::split(&bytes, codec::Width::of(sql_type))?;
    match field.payload {
        Some(payload) => codec::decode(sql_type, None, payload),
        None => Some(LegacyValue::Null),
    }
}

/// Appends a value that is compared with a column to a key; `false` when it is NULL. A
/// comparison that SQL Server would do in another type than the column's is refused, because
/// its outcome is not the key's order (trap 8: `datetime` against `datetime2`).
pub(crate) fn push_key(
    column: &Column,
    typed: &Typed,
    key: &mut Vec<u8>,
) -> Result<bool, SqlError> {
    let of = &column.column.sql_type;
    let clash = || {
        let message = format!(
            "Operand type clash: {} is compared with {of} column {}. (The simulated server \
             compares in the column's own type only.)",
            typed.sql_type, column.column.name
        );
        SqlError::new(206, 16, message)
    };
    if typed.value.is_null() {
        return Ok(false);
    }
    let same = match (of, &typed.sql_type) {
        (SqlType::DateTime | SqlType::SmallDateTime, given) => {
            matches!(given, SqlType::DateTime | SqlType::SmallDateTime)
        }
        (SqlType::DateTime2 { .. }, SqlType::DateTime) => false,
        _ => true,
    };
    let textual = column.collation.is_some();
    let exact = textual || stored(of, &typed.value).is_some_and(|value| same_value(&value, typed));
    if !same || !exact {
        return Err(clash());
    }
    order::push_value(column, &typed.value, key).map_err(|_| clash())
}

/// Whether storing changed nothing: `decimal` may gain zeros, `binary` padding.
fn same_value(stored: &LegacyValue<'_>, typed: &Typed) -> bool {
    match (stored, &typed.value) {
        (LegacyValue::Decimal(_), LegacyValue::Decimal(_) | LegacyValue::Int(_)) => true,
        (LegacyValue::Bool(stored), LegacyValue::Int(given)) => i64::from(*stored) == *given,
        (LegacyValue::Bytes(stored), LegacyValue::Bytes(given)) => stored.starts_with(given),
        (
            LegacyValue::TimestampOffset { utc_ticks: stored, .. },
            LegacyValue::TimestampOffset { utc_ticks: given, .. },
        ) => stored == given,
        (stored, given) => stored == given,
    }
}
