//! Totals of a table, computed by the server in one scan and written by it as text.

use mapping::{
    catalog::{LegacyTable, SqlType},
    plan::SourceColumn,
};

use super::{Binder, Ident, Statement, TableIdent, join, parameter::Bound, parameter::Parameter};

/// One total of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The column's name; without one, rows are counted.
    pub column: Option<String>,
    /// What is made of its values.
    pub kind: TotalKind,
}

/// What is made of a column's values. NULLs are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TotalKind {
    /// How many there are.
    Count,
    /// Their sum; of a `bit` column how many are 1.
    Sum,
    /// The least but for these days (`2024-02-29`).
    Min(Vec<String>),
    /// The greatest but for these days.
    Max(Vec<String>),
}

/// All totals in one row; `None` when a column has a type that has no such total.
pub(crate) fn totals(
    (table, of): (&LegacyTable, &[SourceColumn]),
    totals: &[Total],
) -> Option<Statement> {
    let mut binder = Binder::default();
    let mut columns = Vec::with_capacity(totals.len());
    for (number, total) in totals.iter().enumerate() {
        let expression = expression(of, total, &mut binder)?;
        columns.push(format!("{expression} AS [t{number}]"));
    }
    let (columns, table) = (join(columns, ", "), TableIdent::new(table));
    let text = format!("SELECT {columns} FROM {table}");
    Some(Statement { text, parameters: binder.parameters }.counted())
}

fn expression(columns: &[SourceColumn], total: &Total, binder: &mut Binder) -> Option<String> {
    let Some(name) = &total.column else {
        return Some("CONVERT(nvarchar(max), COUNT_BIG(*))".to_owned());
    };
    let sql_type = &columns.iter().find(|column| column.name == *name)?.sql_type;
    let name = Ident::new(name);
    Some(match &total.kind {
        TotalKind::Count => format!("CONVERT(nvarchar(max), COUNT_BIG({name}))"),
        TotalKind::Sum => {
            // Wide enough for any sum; a `bit` has none of its own.
            let scale = match sql_type {
                SqlType::Bit
                | SqlType::TinyInt
                | SqlType::SmallInt
                | SqlType::Int
                | SqlType::BigInt => 0,
                SqlType::Money | SqlType::SmallMoney => 4,
                SqlType::Decimal { scale, .. } => *scale,
                _ => return None,
            };
            format!("CONVERT(nvarchar(max), SUM(CAST({name} AS decimal(38,{scale}))))")
        }
        TotalKind::Min(but) => extreme("MIN", (&name, sql_type), but, binder)?,
        TotalKind::Max(but) => extreme("MAX", (&name, sql_type), but, binder)?,
    })
}

/// `MIN` or `MAX` of a day or a time, as ISO 8601.
fn extreme(
    function: &str,
    (name, sql_type): (&Ident, &SqlType),
    but: &[String],
    binder: &mut Binder,
) -> Option<String> {
    let style = match sql_type {
        SqlType::Date => 23,
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => 126,
        _ => return None,
    };
    let days: Vec<String> = but
        .iter()
        .map(|day| {
            let parameter = Parameter::text(day.clone());
            binder.bind(Bound { parameter, expression: "{}".into() })
        })
        .collect();
    let value = if days.is_empty() {
        name.to_string()
    } else {
        let days = join(days, ", ");
        format!("CASE WHEN CONVERT(nvarchar(10), {name}, 23) NOT IN ({days}) THEN {name} END")
    };
    Some(format!("CONVERT(nvarchar(max), {function}({value}), {style})"))
}
