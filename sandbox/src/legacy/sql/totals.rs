//! Totals of a whole table: `CONVERT(nvarchar(max), SUM(…)) AS [t0]`, and so on, in one row.

use mapping::{
    catalog::SqlType,
    value::{Decimal, LegacyValue},
};
use sqlparser::ast::{Query, SelectItem, TableFactor};

use super::{
    Parameter, SqlError,
    output::{Cursor, ResultColumn},
    shape::{Scope, plain},
    text,
};
use crate::legacy::table::Layout;

pub(super) fn run(query: &Query, scope: Scope<'_>) -> Result<Option<Cursor>, SqlError> {
    let Some(plain) = plain(query) else { return Ok(None) };
    let TableFactor::Table { name, .. } = &plain.from.relation else { return Ok(None) };
    let is_other = plain.selection.is_some() || !plain.order_by.is_empty() || plain.top.is_some();
    if is_other || !plain.from.joins.is_empty() || name.0.len() != 2 {
        return Ok(None);
    }
    let Ok(source) = scope.source(name) else { return Ok(None) };
    let mut totals = Vec::with_capacity(plain.projection.len());
    for item in plain.projection {
        let Some(total) = Total::of(item, source.layout, scope.parameters) else { return Ok(None) };
        totals.push(total);
    }
    for record in source.store.iter() {
        let values = source.layout.values(record.row());
        for total in &mut totals {
            total.add(&values)?;
        }
    }
    let columns = (0..totals.len()).map(|number| ResultColumn {
        name: format!("t{number}"),
        sql_type: SqlType::NVarChar { length: None },
        nullable: true,
        collation: Some([0x09, 0x04, 0xD0, 0x00, 0x34]),
    });
    let row = totals.iter().map(|total| total.show(source.layout)).collect();
    Cursor::of_values(columns.collect(), vec![row])
        .map(Some)
        .map_err(|refusal| SqlError::new(refusal.number, 16, refusal.problem.to_owned()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rows,
    Count,
    Sum { scale: u8 },
    Min,
    Max,
}

#[derive(Debug)]
struct Total {
    kind: Kind,
    column: usize,
    /// Days that don't count.
    but: Vec<String>,
    number: i128,
    extreme: Option<LegacyValue<'static>>,
    count: u64,
}

impl Total {
    /// Of the selected item, by writing every total of every column and comparing.
    fn of(item: &SelectItem, layout: &Layout, parameters: &[Parameter]) -> Option<Self> {
        let SelectItem::ExprWithAlias { expr, .. } = item else { return None };
        let written = expr.to_string();
        let is = |text: &str| written.eq_ignore_ascii_case(text);
        let total =
            |kind, column, but| Self { kind, column, but, number: 0, extreme: None, count: 0 };
        if is("CONVERT(NVARCHAR(MAX), COUNT_BIG(*))") {
            return Some(total(Kind::Rows, 0, Vec::new()));
        }
        for (index, column) in layout.columns.iter().enumerate() {
            let name = format!("[{}]", column.column.name);
            if !written.contains(&name) {
                continue;
            }
            if is(&format!("CONVERT(NVARCHAR(MAX), COUNT_BIG({name}))")) {
                return Some(total(Kind::Count, index, Vec::new()));
            }
            let scale = match column.column.sql_type {
                SqlType::Money | SqlType::SmallMoney => 4,
                SqlType::Decimal { scale, .. } => scale,
                _ => 0,
            };
            if is(&format!("CONVERT(NVARCHAR(MAX), SUM(CAST({name} AS DECIMAL(38,{scale}))))")) {
                return Some(total(Kind::Sum { scale }, index, Vec::new()));
            }
            let style = if column.column.sql_type == SqlType::Date { 23 } else { 126 };
            for (function, kind) in [("MIN", Kind::Min), ("MAX", Kind::Max)] {
                let (front, back) =
                    (format!("CONVERT(NVARCHAR(MAX), {function}("), format!("), {style})"));
                if is(&format!("{front}{name}{back}")) {
                    return Some(total(kind, index, Vec::new()));
                }
                let front = format!("{front}CASE WHEN CONVERT(NVARCHAR(10), {name}, 23) NOT IN (");
                let back = format!(") THEN {name} END{back}");
                let inner = written.get(front.len()..written.len().checked_sub(back.len())?);
                let Some(inner) = inner.filter(|inner| is(&format!("{front}{inner}{back}"))) else {
                    continue;
                };
                let days: Option<Vec<String>> =
                    inner.split(", ").map(|name| day(name, parameters)).collect();
                return Some(total(kind, index, days?));
            }
        }
        None
    }

    fn add(&mut self, values: &[LegacyValue<'static>]) -> Result<(), SqlError> {
        let value = values.get(self.column).unwrap_or(&LegacyValue::Null);
        let overflow =
            || SqlError::new(8115, 16, "Arithmetic overflow error converting to numeric.");
        match self.kind {
            Kind::Rows => self.count += 1,
            _ if value.is_null() => {}
            Kind::Count => self.count += 1,
            Kind::Sum { scale } => {
                let unscaled = match value {
                    LegacyValue::Bool(value) => i128::from(*value),
                    LegacyValue::Int(value) => i128::from(*value),
                    LegacyValue::Decimal(decimal) => {
                        let more = u32::from(scale.saturating_sub(decimal.scale));
                        let factor = 10_i128.checked_pow(more).ok_or_else(overflow)?;
                        decimal.unscaled.checked_mul(factor).ok_or_else(overflow)?
                    }
                    _ => {
                        return Err(SqlError::new(
                            8117,
                            16,
                            "Operand data type is invalid for sum.",
                        ));
                    }
                };
                self.number = self.number.checked_add(unscaled).ok_or_else(overflow)?;
                self.count += 1;
            }
            Kind::Min | Kind::Max => {
                let shown = value.to_string();
                if self.but.iter().any(|day| shown.starts_with(day.as_str())) {
                    return Ok(());
                }
                let is_better = self.extreme.as_ref().and_then(moment).is_none_or(|held| {
                    let new = moment(value).unwrap_or(held);
                    if self.kind == Kind::Min { new < held } else { new > held }
                });
                if is_better {
                    self.extreme = Some(value.clone());
                }
            }
        }
        Ok(())
    }

    fn show(&self, layout: &Layout) -> LegacyValue<'static> {
        let sql_type = layout.columns.get(self.column).map(|column| &column.column.sql_type);
        match self.kind {
            Kind::Rows | Kind::Count => LegacyValue::Text(self.count.to_string().into()),
            Kind::Sum { .. } if self.count == 0 => LegacyValue::Null,
            Kind::Sum { scale } => {
                let decimal = Decimal { unscaled: self.number, scale };
                text::show(&LegacyValue::Decimal(decimal), None, 0).unwrap_or(LegacyValue::Null)
            }
            Kind::Min | Kind::Max => {
                let style = if sql_type == Some(&SqlType::Date) { 23 } else { 126 };
                let extreme = self.extreme.as_ref();
                extreme
                    .and_then(|value| text::show(value, sql_type, style))
                    .unwrap_or(LegacyValue::Null)
            }
        }
    }
}

fn day(name: &str, parameters: &[Parameter]) -> Option<String> {
    let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))?;
    match &found.value {
        LegacyValue::Text(text) => Some(text.clone().into_owned()),
        _ => None,
    }
}

fn moment(value: &LegacyValue<'_>) -> Option<i64> {
    match value {
        LegacyValue::Date(days) => Some(i64::from(*days)),
        LegacyValue::Timestamp(ticks) => Some(*ticks),
        _ => None,
    }
}
