//! Rows by column name, and every change counted.

use std::collections::BTreeMap;

use mapping::{catalog::Catalog, value::LegacyValue};
use sandbox::legacy::{Error, Transaction, Values};

use super::Counts;
use crate::demo::value::{self, NULL, Value};

/// Column names by table.
pub(super) struct Columns(BTreeMap<String, Vec<String>>);

impl Columns {
    pub(super) fn of(catalog: &Catalog) -> Self {
        let names = |table: &mapping::catalog::Table| {
            table.columns.iter().map(|column| column.name.clone()).collect()
        };
        Self(catalog.tables.iter().map(|table| (table.table.name.clone(), names(table))).collect())
    }
}

/// A transaction in progress.
pub(super) struct Hand<'a, 't> {
    transaction: &'a mut Transaction<'t>,
    columns: &'a Columns,
    counts: &'a mut Counts,
}

/// A row whose columns go by name.
pub(super) struct Fields<'a> {
    names: &'a [String],
    values: &'a mut Values,
}

impl<'a, 't> Hand<'a, 't> {
    pub(super) fn new(
        transaction: &'a mut Transaction<'t>,
        columns: &'a Columns,
        counts: &'a mut Counts,
    ) -> Self {
        Self { transaction, columns, counts }
    }

    pub(super) fn insert(&mut self, table: &str, row: Values) -> Result<(), Error> {
        self.transaction.insert(table, row)?;
        self.counts.inserts += 1;
        Ok(())
    }

    /// `false` when the row is not there.
    pub(super) fn update(
        &mut self,
        table: &str,
        key: &[Value],
        change: impl FnOnce(&mut Fields<'_>),
    ) -> Result<bool, Error> {
        let names = self.names(table);
        let found =
            self.transaction.update(table, key, |values| change(&mut Fields { names, values }))?;
        self.counts.updates += u64::from(found);
        Ok(found)
    }

    pub(super) fn delete(&mut self, table: &str, key: &[Value]) -> Result<bool, Error> {
        let found = self.transaction.delete(table, key)?;
        self.counts.deletes += u64::from(found);
        Ok(found)
    }

    /// One column of a row; `None` when the row is not there.
    pub(super) fn get(
        &self,
        table: &str,
        key: &[Value],
        column: &str,
    ) -> Result<Option<Value>, Error> {
        let place = self.names(table).iter().position(|name| name == column);
        let place = place.ok_or_else(|| Error::UnknownColumn(column.to_owned()))?;
        Ok(self.transaction.row(table, key)?.map(|row| row.value(place)))
    }

    /// Whether the row is there and not soft-deleted.
    pub(super) fn is_live(&self, table: &str, key: &[Value]) -> Result<bool, Error> {
        Ok(self.get(table, key, "GCRecord")?.is_some_and(|mark| mark.is_null()))
    }

    /// Notes a row that was written wrong on purpose.
    pub(super) fn plant(&mut self, planted: crate::demo::PlantedDefect) {
        self.counts.planted.push(planted);
    }

    fn names(&self, table: &str) -> &'a [String] {
        self.columns.0.get(table).map_or(&[], Vec::as_slice)
    }
}

impl Fields<'_> {
    fn place(&mut self, column: &str) -> Option<&mut Value> {
        let place = self.names.iter().position(|name| name == column)?;
        self.values.get_mut(place)
    }

    pub(super) fn set(&mut self, column: &'static str, value: Value) {
        debug_assert!(self.names.iter().any(|name| name == column), "no column {column}");
        if let Some(place) = self.place(column) {
            *place = value;
        }
    }

    pub(super) fn get(&mut self, column: &str) -> Value {
        self.place(column).map_or(NULL, |value| value.clone())
    }

    pub(super) fn int(&mut self, column: &str) -> i64 {
        match self.get(column) {
            LegacyValue::Int(number) => number,
            _ => 0,
        }
    }

    /// What XPO does on every save.
    pub(super) fn count_up(&mut self) {
        let count = self.int("OptimisticLockField");
        self.set("OptimisticLockField", value::int(count + 1));
    }
}
