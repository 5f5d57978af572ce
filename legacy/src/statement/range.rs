//! Ranges of a table in key order, and the keys that cut it into ranges.

use mapping::{
    catalog::{LegacyTable, SqlType},
    plan::{SourceColumn, TablePlan},
};

use super::{
    Binder, Condition, Ident, Parameter, Statement, TableIdent, join,
    parameter::{Bound, bind, is_walkable},
};
use crate::{Error, KeyRange, LegacyRow, TableScan};

/// What a statement has to know of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) table: &'a LegacyTable,
    /// All that are read.
    pub(crate) columns: &'a [SourceColumn],
    /// The primary key, as indexes into `columns`.
    pub(crate) key: &'a [usize],
    /// Which rows, beside the range.
    pub(crate) condition: Option<&'a Condition>,
}

impl<'a> Source<'a> {
    /// Only the rows that a condition holds for.
    pub(crate) fn only(self, condition: Option<&'a Condition>) -> Self {
        Self { condition, ..self }
    }
}

impl<'a> From<&'a TablePlan> for Source<'a> {
    fn from(plan: &'a TablePlan) -> Self {
        Self { table: &plan.table, columns: &plan.columns, key: &plan.key, condition: None }
    }
}

impl<'a> From<&'a TableScan> for Source<'a> {
    fn from(scan: &'a TableScan) -> Self {
        Self { table: &scan.table, columns: &scan.columns, key: &scan.key, condition: None }
    }
}

/// A key column as a predicate names it.
pub(super) struct KeyColumn<'a> {
    pub(super) name: Ident,
    pub(super) sql_type: &'a SqlType,
}

/// The key's columns, checked: there is a key, and every type of it can be walked.
pub(super) fn key_columns<'a>(source: Source<'a>) -> Result<Vec<KeyColumn<'a>>, Error> {
    if source.key.is_empty() {
        return Err(Error::NoKey { table: source.table.clone() });
    }
    let column = |&index: &usize| {
        let column = source
            .columns
            .get(index)
            .ok_or_else(|| Error::KeyShape { table: source.table.clone() })?;
        if is_walkable(&column.sql_type) {
            Ok(KeyColumn { name: Ident::new(&column.name), sql_type: &column.sql_type })
        } else {
            Err(Error::KeyType {
                table: source.table.clone(),
                column: column.name.clone(),
                sql_type: column.sql_type.clone(),
            })
        }
    };
    source.key.iter().map(column).collect()
}

/// A column as it is selected. `money` comes over the wire as a float in tiberius and loses
/// digits, so the server makes a decimal of it.
pub(super) fn selected(column: &SourceColumn, alias: &str) -> String {
    let name = Ident::new(&column.name);
    match column.sql_type {
        SqlType::Money => format!("CAST({alias}{name} AS decimal(19,4)) AS {name}"),
        SqlType::SmallMoney => format!("CAST({alias}{name} AS decimal(10,4)) AS {name}"),
        _ => format!("{alias}{name}"),
    }
}

/// One ordered stream of a range; of its first rows only, where `rows_max` says so.
pub(crate) fn range(
    source: Source<'_>,
    range: &KeyRange,
    rows_max: Option<u64>,
) -> Result<Statement, Error> {
    let keys = key_columns(source)?;
    let names: Vec<&Ident> = keys.iter().map(|key| &key.name).collect();
    let mut binder = Binder::default();
    let top = rows_max.map_or_else(String::new, |rows| {
        let count = Bound { parameter: Parameter::count(rows.max(1)), expression: "{}".into() };
        format!("TOP ({}) ", binder.bind(count))
    });
    let mut bounds = Vec::new();
    for (bound, side) in [(&range.after, Side::After), (&range.up_to, Side::UpTo)] {
        if let Some(bound) = bound {
            let values = bound_values(source, &keys, bound, &mut binder)?;
            bounds.push(comparison(&names, &values, side));
        }
    }
    bounds.extend(source.condition.map(Condition::clause));
    let columns = join(source.columns.iter().map(|column| selected(column, "")), ", ");
    let table = TableIdent::new(source.table);
    let filter =
        if bounds.is_empty() { String::new() } else { format!(" WHERE {}", bounds.join(" AND ")) };
    let order = join(names, ", ");
    let text = format!("SELECT {top}{columns} FROM {table}{filter} ORDER BY {order}");
    Ok(Statement { text, parameters: binder.parameters }.counted())
}

/// All rows of a table without a key, in no order.
pub(crate) fn heap(source: Source<'_>) -> Statement {
    let columns = join(source.columns.iter().map(|column| selected(column, "")), ", ");
    let table = TableIdent::new(source.table);
    Statement::plain(format!("SELECT {columns} FROM {table}")).counted()
}

/// Every `rows`-th key, in key order.
pub(crate) fn split(source: Source<'_>, rows: u64) -> Result<Statement, Error> {
    let keys = key_columns(source)?;
    let names = join(keys.iter().map(|key| &key.name), ", ");
    let inner = source.key.iter().filter_map(|&index| source.columns.get(index));
    let inner = join(inner.map(|column| selected(column, "")), ", ");
    let table = TableIdent::new(source.table);
    let filter = source.condition.map_or_else(String::new, |c| format!(" WHERE {}", c.clause()));
    let text = format!(
        "SELECT {names} FROM (SELECT {inner}, ROW_NUMBER() OVER (ORDER BY {names}) AS [n] \
         FROM {table}{filter}) AS r WHERE r.[n] % @P1 = 0 ORDER BY r.[n]"
    );
    Ok(Statement { text, parameters: vec![Parameter::count(rows.max(1))] }.counted())
}

/// Binds one bound's values: their expressions, in key order.
pub(super) fn bound_values(
    source: Source<'_>,
    keys: &[KeyColumn<'_>],
    values: &LegacyRow,
    binder: &mut Binder,
) -> Result<Vec<String>, Error> {
    let shape = || Error::KeyShape { table: source.table.clone() };
    if keys.len() != values.len() {
        return Err(shape());
    }
    keys.iter()
        .zip(values)
        .map(|(key, value)| Ok(binder.bind(bind(value, key.sql_type).ok_or_else(shape)?)))
        .collect()
}

/// Which side of a bound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Strictly greater.
    After,
    /// Less or equal.
    UpTo,
}

/// A comparison of whole keys, which T-SQL can't write as one: the first column decides, or it
/// is equal and the second decides, and so on. Composite keys get the first column's bound
/// once more in front: it follows from the rest, but it is what the server can seek by; for the
/// alternatives alone it may read the index from its beginning.
pub(super) fn comparison<N: std::fmt::Display>(
    names: &[N],
    values: &[String],
    side: Side,
) -> String {
    let mut alternatives = Vec::new();
    for (last, (name, value)) in names.iter().zip(values).enumerate() {
        let operator = match side {
            Side::After => ">",
            Side::UpTo if last + 1 == names.len() => "<=",
            Side::UpTo => "<",
        };
        let equal = names.iter().zip(values).take(last);
        let mut terms: Vec<String> =
            equal.map(|(name, value)| format!("{name} = {value}")).collect();
        terms.push(format!("{name} {operator} {value}"));
        let alternative = terms.join(" AND ");
        alternatives.push(if last == 0 { alternative } else { format!("({alternative})") });
    }
    match (alternatives.as_slice(), names, values) {
        ([_, _, ..], [name, ..], [value, ..]) => {
            let operator = if side == Side::After { ">=" } else { "<=" };
            format!("{name} {operator} {value} AND ({})", alternatives.join(" OR "))
        }
        _ => alternatives.join(" OR "),
    }
}
