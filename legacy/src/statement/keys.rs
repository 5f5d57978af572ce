//! Rows by their keys.

use mapping::{catalog::SqlType, plan::SourceColumn};

use super::{
    Binder, Ident, Statement, TableIdent, join,
    range::{Source, bound_values, key_columns, selected},
};
use crate::{Error, LegacyRow};

/// Parameters of one statement. SQL Server's limit is 2100; its plan for a join with `VALUES`
/// gets slow to compile long before.
pub(crate) const KEY_PARAMETERS_MAX: usize = 1000;

/// The rows with these keys (as key column values), those that are there.
pub(crate) fn by_keys(source: Source<'_>, keys: &[LegacyRow]) -> Result<Statement, Error> {
    let columns = join(source.columns.iter().map(|column| selected(column, "t.")), ", ");
    selecting(&columns, source, keys)
}

/// The rows with these keys: the key, and then columns as the server itself writes them as text.
pub(crate) fn texts_by_keys(
    source: Source<'_>,
    wanted: &[&SourceColumn],
    keys: &[LegacyRow],
) -> Result<Statement, Error> {
    let key = source.key.iter().filter_map(|&index| source.columns.get(index));
    let key = key.map(|column| selected(column, "t."));
    let columns = join(key.chain(wanted.iter().map(|column| as_text(column))), ", ");
    selecting(&columns, source, keys)
}

/// A column as text, without loss: `money` with four digits, floats with seventeen, times in ISO
/// 8601, binaries in hexadecimal digits.
/// <https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql>
fn as_text(column: &SourceColumn) -> String {
    let name = Ident::new(&column.name);
    let style = match column.sql_type {
        SqlType::Money
        | SqlType::SmallMoney
        | SqlType::Binary { .. }
        | SqlType::VarBinary { .. } => 2,
        SqlType::Float | SqlType::Real => 3,
        SqlType::Date => 23,
        SqlType::Time { .. } => 121,
        SqlType::DateTime | SqlType::SmallDateTime | SqlType::DateTime2 { .. } => 126,
        SqlType::DateTimeOffset { .. } => 127,
        _ => 0,
    };
    let style = if style == 0 { String::new() } else { format!(", {style}") };
    format!("CONVERT(nvarchar(max), t.{name}{style}) AS {name}")
}

fn selecting(columns: &str, source: Source<'_>, keys: &[LegacyRow]) -> Result<Statement, Error> {
    let key_columns = key_columns(source)?;
    let mut binder = Binder::default();
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.push(format!(
            "({})",
            bound_values(source, &key_columns, key, &mut binder)?.join(", ")
        ));
    }
    let table = TableIdent::new(source.table);
    let names = join(key_columns.iter().map(|key| &key.name), ", ");
    let equal = key_columns.iter().map(|key| format!("t.{0} = k.{0}", key.name));
    let text = format!(
        "SELECT {columns} FROM {table} AS t JOIN (VALUES {}) AS k ({names}) ON {}",
        rows.join(", "),
        join(equal, " AND "),
    );
    Ok(Statement { text, parameters: binder.parameters })
}
