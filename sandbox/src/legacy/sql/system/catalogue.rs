//! What `sys` and `cdc` say of the tables.

use mapping::{
    catalog::{Catalog, SqlType, Table},
    value::LegacyValue,
};

use super::{SYSNAME, rows, text, types};
use crate::legacy::{
    Database,
    sql::{Cursor, SqlError},
    state::Snapshot,
};

/// Bytes of a page that rows may take.
const PAGE_BYTES: u64 = 8096;

const TABLE: [(&str, SqlType); 2] = [("schema_name", SYSNAME), ("table_name", SYSNAME)];

/// Names sort without regard to case.
fn sorted(catalog: &Catalog) -> Vec<&Table> {
    let mut tables: Vec<&Table> = catalog.tables.iter().collect();
    tables.sort_by_key(|t| (t.table.schema.to_lowercase(), t.table.name.to_lowercase()));
    tables
}

/// The columns of an answer: the table's name, then these texts.
fn named(columns: &[&'static str]) -> Vec<(&'static str, SqlType)> {
    TABLE.into_iter().chain(columns.iter().map(|name| (*name, SYSNAME))).collect()
}

/// A row of texts.
fn row<'t>(table: &'t Table, texts: impl IntoIterator<Item = &'t str>) -> Vec<LegacyValue<'t>> {
    let name = [table.table.schema.as_str(), table.table.name.as_str()];
    name.into_iter().chain(texts).map(text).collect()
}

pub(super) fn columns(catalog: &Catalog) -> Cursor {
    let mut values = Vec::new();
    for table in sorted(catalog) {
        for column in &table.columns {
            let shape = types::shape(&column.sql_type);
            let mut value = row(table, [column.name.as_str(), shape.name]);
            value.extend([
                LegacyValue::Int(shape.max_length),
                LegacyValue::Int(shape.precision),
                LegacyValue::Int(shape.scale),
                LegacyValue::Bool(column.nullable),
                LegacyValue::Bool(column.identity),
                LegacyValue::Bool(column.computed),
                column.collation.as_deref().map_or(LegacyValue::Null, text),
            ]);
            values.push(value);
        }
    }
    let mut names = named(&["column_name", "type_name"]);
    names.extend([
        ("max_length", SqlType::SmallInt),
        ("precision", SqlType::TinyInt),
        ("scale", SqlType::TinyInt),
        ("is_nullable", SqlType::Bit),
        ("is_identity", SqlType::Bit),
        ("is_computed", SqlType::Bit),
        ("collation_name", SYSNAME),
    ]);
    rows(&names, values)
}

pub(super) fn keys(catalog: &Catalog) -> Cursor {
    let mut values = Vec::new();
    for table in sorted(catalog) {
        let columns = table.primary_key.iter();
        values.extend(columns.map(|column| row(table, [column.as_str()])));
    }
    rows(&named(&["column_name"]), values)
}

pub(super) fn unique_indexes(catalog: &Catalog) -> Cursor {
    let mut values = Vec::new();
    for table in sorted(catalog) {
        let mut indexes: Vec<_> = table.unique_indexes.iter().collect();
        indexes.sort_by_key(|index| index.name.to_lowercase());
        for index in indexes {
            for column in &index.columns {
                let mut value = row(table, [index.name.as_str()]);
                value.push(index.filter.as_deref().map_or(LegacyValue::Null, text));
                value.push(text(column));
                values.push(value);
            }
        }
    }
    rows(&named(&["index_name", "filter_definition", "column_name"]), values)
}

pub(super) fn foreign_keys(catalog: &Catalog) -> Cursor {
    let mut values = Vec::new();
    for table in sorted(catalog) {
        let mut keys: Vec<_> = table.foreign_keys.iter().collect();
        keys.sort_by_key(|key| key.name.to_lowercase());
        for key in keys {
            for (column, referenced) in key.columns.iter().zip(&key.referenced_columns) {
                let to = &key.references;
                let texts = [&key.name, column, &to.schema, &to.name, referenced];
                values.push(row(table, texts.map(String::as_str)));
            }
        }
    }
    let columns =
        ["key_name", "column_name", "referenced_schema", "referenced_table", "referenced_column"];
    rows(&named(&columns), values)
}

/// The catalogue, where CDC is on: without it there is no schema `cdc`.
fn captured(database: &Database, view: &str) -> Result<Catalog, SqlError> {
    match database.inner().read().log.max_lsn() {
        Some(_) => Ok(database.catalog()),
        None => Err(SqlError::unknown_table(view)),
    }
}

pub(super) fn capture_instances(database: &Database) -> Result<Cursor, SqlError> {
    let catalog = captured(database, "cdc.change_tables")?;
    let tables = catalog.tables.iter();
    let values = tables.filter_map(|table| Some(row(table, [table.capture_instance.as_deref()?])));
    Ok(rows(&named(&["capture_instance"]), values.collect()))
}

pub(super) fn captured_columns(database: &Database) -> Result<Cursor, SqlError> {
    let catalog = captured(database, "cdc.captured_columns")?;
    let mut values = Vec::new();
    for table in &catalog.tables {
        let Some(instance) = table.capture_instance.as_deref() else { continue };
        let columns = table.captured_columns.iter();
        values.extend(columns.map(|column| row(table, [instance, column.as_str()])));
    }
    Ok(rows(&named(&["capture_instance", "column_name"]), values))
}

/// Rows, and the pages that they would fill.
pub(super) fn sizes(database: &Database, snapshot: &Snapshot) -> Cursor {
    let number = |number: u64| LegacyValue::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let catalog = database.catalog();
    let mut values = Vec::new();
    for table in sorted(&catalog) {
        let found = database.inner().table(&table.table.to_string()).ok();
        let Some(store) = found.and_then(|(index, _)| snapshot.stores.get(index)) else { continue };
        let mut value = row(table, []);
        value.extend([number(store.count()), number(store.bytes().div_ceil(PAGE_BYTES))]);
        values.push(value);
    }
    let mut names = named(&[]);
    names.extend([("rows", SqlType::BigInt), ("pages", SqlType::BigInt)]);
    rows(&names, values)
}
