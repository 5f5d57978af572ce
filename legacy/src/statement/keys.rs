//! Rows by their keys.

use super::{
    Binder, Statement, TableIdent, join,
    range::{Source, bound_values, key_columns, selected},
};
use crate::{Error, LegacyRow};

/// Parameters of one statement. SQL Server's limit is 2100; its plan for a join with `VALUES`
/// gets slow to compile long before.
pub(crate) const KEY_PARAMETERS_MAX: usize = 1000;

/// The rows with these keys (as key column values), those that are there.
pub(crate) fn by_keys(source: Source<'_>, keys: &[LegacyRow]) -> Result<Statement, Error> {
    let key_columns = key_columns(source)?;
    let mut binder = Binder::default();
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.push(format!(
            "({})",
            bound_values(source, &key_columns, key, &mut binder)?.join(", ")
        ));
    }
    let columns = join(source.columns.iter().map(|column| selected(column, "t.")), ", ");
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
