//! `CONVERT(nvarchar(max), t.[x], style)`: values as SQL Server writes them, for the styles that
//! the engine asks for.

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};
use sqlparser::ast::{CharacterLength, DataType, Expr, Ident, SelectItem};

use super::{
    SqlError,
    keys::Found,
    output::{Cursor, ResultColumn},
    shape::{column, column_name, projected},
};
use crate::legacy::table::Layout;

/// The database's collation on the wire, as that of every text that a conversion makes.
const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// A selected column: where it is stored, and the style of its text, where it is made one.
struct Selected {
    index: usize,
    style: Option<u32>,
}

/// The found rows with each converted column as text; `None` for another projection.
pub(super) fn answer(items: &[SelectItem], found: &Found<'_>) -> Result<Option<Cursor>, SqlError> {
    let (mut selected, mut columns) = (Vec::new(), Vec::new());
    for item in items {
        let Some((one, column)) = select(item, found.source.layout, found.alias)? else {
            return Ok(None);
        };
        selected.push(one);
        columns.push(column);
    }
    let layout = found.source.layout;
    let mut rows = Vec::with_capacity(found.records.len());
    for record in &found.records {
        let values = layout.values(record.row());
        let mut row = Vec::with_capacity(selected.len());
        for one in &selected {
            let value = values.get(one.index).cloned().unwrap_or(LegacyValue::Null);
            let sql_type = layout.columns.get(one.index).map(|column| &column.column.sql_type);
            let text = |style| show(&value, sql_type, style);
            row.push(match one.style {
                Some(style) => text(style).unwrap_or(LegacyValue::Null),
                None => value,
            });
        }
        rows.push(row);
    }
    let refused = |refusal: crate::legacy::codec::Refusal| {
        SqlError::new(refusal.number, 16, refusal.problem.to_owned())
    };
    Cursor::of_values(columns, rows).map(Some).map_err(refused)
}

fn select(
    item: &SelectItem,
    layout: &Layout,
    table: &Ident,
) -> Result<Option<(Selected, ResultColumn)>, SqlError> {
    let SelectItem::ExprWithAlias { expr: expression, alias } = item else {
        // The key, as it is.
        let SelectItem::UnnamedExpr(expression) = item else { return Ok(None) };
        let Some(name) = column_name(expression, Some(table)) else { return Ok(None) };
        let described = projected(item, layout, Some(table))?;
        let Some((_, described)) = described else { return Ok(None) };
        let index = column(layout, name)?;
        return Ok(Some((Selected { index, style: None }, described)));
    };
    let Expr::Convert { expr, data_type: Some(data_type), styles, .. } = expression else {
        return Ok(None);
    };
    if !matches!(data_type, DataType::Nvarchar(Some(CharacterLength::Max))) {
        return Ok(None);
    }
    let (style, suffix) = match styles.as_slice() {
        [] => (Some(0), String::new()),
        [style] => (style.to_string().parse().ok(), format!(", {style}")),
        _ => return Ok(None),
    };
    let Some(style) = style else { return Ok(None) };
    if expression.to_string() != format!("CONVERT({data_type}, {expr}{suffix})") {
        return Ok(None);
    }
    let Some(name) = column_name(expr, Some(table)) else { return Ok(None) };
    let described = ResultColumn {
        name: alias.value.clone(),
        sql_type: SqlType::NVarChar { length: None },
        nullable: true,
        collation: Some(COLLATION),
    };
    Ok(Some((Selected { index: column(layout, name)?, style: Some(style) }, described)))
}

/// A value as text; `None` for NULL, and for a style that is not one of the type's.
pub(super) fn show(
    value: &LegacyValue<'_>,
    sql_type: Option<&SqlType>,
    style: u32,
) -> Option<LegacyValue<'static>> {
    let text = match (value, style) {
        (LegacyValue::Text(_) | LegacyValue::BrokenText(_), 0) => {
            return Some(value.clone().into_owned());
        }
        (LegacyValue::Bool(value), 0) => u8::from(*value).to_string(),
        (LegacyValue::Int(value), 0) => value.to_string(),
        (LegacyValue::Decimal(value), 0 | 2) => decimal(*value),
        (LegacyValue::Float(value), 3) => format!("{value:.16e}"),
        (LegacyValue::Guid(value), 0) => value.to_string().to_uppercase(),
        (LegacyValue::Bytes(bytes), 2) => {
            bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>()
        }
        (LegacyValue::Date(_), 23) | (LegacyValue::Time(_), 121) => value.to_string(),
        (LegacyValue::Timestamp(ticks), 126) => timestamp(*ticks, sql_type)?,
        (LegacyValue::TimestampOffset { utc_ticks, .. }, 127) => {
            format!("{}Z", timestamp(*utc_ticks, sql_type)?)
        }
        _ => return None,
    };
    Some(LegacyValue::Text(text.into()))
}

fn decimal(value: Decimal) -> String {
    let digits = value.unscaled.unsigned_abs().to_string();
    let scale = usize::from(value.scale);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if value.unscaled < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// `datetime` leaves out milliseconds that are zero; `datetime2` shows as many digits as it has.
fn timestamp(ticks: i64, sql_type: Option<&SqlType>) -> Option<String> {
    let second = chrono::DateTime::from_timestamp(ticks.div_euclid(10_000_000), 0)?;
    let text = second.format("%Y-%m-%dT%H:%M:%S").to_string();
    let fraction = format!("{:07}", ticks.rem_euclid(10_000_000));
    let digits = match sql_type {
        Some(SqlType::DateTime2 { scale } | SqlType::DateTimeOffset { scale }) => {
            usize::from(*scale)
        }
        _ if fraction == "0000000" => 0,
        _ => 3,
    };
    match fraction.get(..digits) {
        Some("") | None => Some(text),
        Some(fraction) => Some(format!("{text}.{fraction}")),
    }
}
