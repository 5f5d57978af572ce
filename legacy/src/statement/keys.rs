//! Rows by their keys.

use mapping::{catalog::SqlType, plan::SourceColumn, position::Lsn};

use super::{
    Binder, Ident, Parameter, Statement, TableIdent, join,
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

/// The keys that a change table has between two LSNs, each once, and one more than `limit` at most.
/// Deletes are among them, and both keys of a row whose key has changed (it is a delete and an
/// insert). The parameters are brought to the column's own type, so that the server can seek.
/// <https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql>
pub(crate) fn changed(
    source: Source<'_>,
    capture_instance: &str,
    (after, up_to): (Lsn, Lsn),
    limit: u64,
) -> Result<Statement, Error> {
    key_columns(source)?;
    let key = source.key.iter().filter_map(|&index| source.columns.get(index));
    let columns = join(key.map(|column| selected(column, "")), ", ");
    let table = Ident::new(&format!("{capture_instance}_CT"));
    let text = format!(
        "SELECT DISTINCT TOP (@P1) {columns} FROM [cdc].{table} \
         WHERE [__$start_lsn] > CONVERT(binary(10), @P2) AND [__$start_lsn] <= CONVERT(binary(10), @P3)"
    );
    let lsn = |lsn: Lsn| Parameter::bytes(lsn.as_bytes().to_vec());
    let parameters = vec![Parameter::count(limit.saturating_add(1)), lsn(after), lsn(up_to)];
    Ok(Statement { text, parameters }.counted())
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
    Ok(Statement { text, parameters: binder.parameters }.counted())
}
