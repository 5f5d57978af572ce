//! A table's shape: columns, primary key, unique indexes.

use std::sync::Arc;

use mapping::{
    catalog::{self, LegacyTable},
    value::LegacyValue,
};

use super::{
    Error,
    codec::{self, Field, Width},
    collation::Collation,
    order,
    store::Record,
};

/// A column, ready to store values.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) column: catalog::Column,
    pub(crate) width: Width,
    /// Of character columns.
    pub(crate) collation: Option<Arc<Collation>>,
}

/// A table's shape.
#[derive(Debug)]
pub(crate) struct Layout {
    /// What the catalogue says of it.
    pub(crate) table: Arc<catalog::Table>,
    pub(crate) columns: Vec<Column>,
    /// Primary key, as indexes into `columns`; empty for a heap.
    pub(crate) key: Vec<usize>,
    /// Columns of unique indexes, the primary key's included: an update of one of them is
    /// deferred.
    pub(crate) unique: Vec<usize>,
}

impl Layout {
    pub(crate) fn name(&self) -> &LegacyTable {
        &self.table.table
    }

    /// A column by name, without regard to case.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.column.name.eq_ignore_ascii_case(name))
    }

    /// Stores a row. `serial` orders the rows of a heap.
    pub(crate) fn record(&self, values: &[LegacyValue<'_>], serial: u64) -> Result<Record, Error> {
        if values.len() != self.columns.len() {
            return Err(self.wrong_width(self.columns.len(), values.len()));
        }
        let mut row = Vec::with_capacity(values.len() * 12);
        for (column, value) in self.columns.iter().zip(values) {
            if value.is_null() && !column.column.nullable {
                return Err(self.bad_value(column, "NULL is not allowed", 515));
            }
            codec::encode(&column.column.sql_type, column.collation.as_deref(), value, &mut row)
                .map_err(|refusal| self.bad_value(column, refusal.problem, refusal.number))?;
        }
        let mut key = Vec::with_capacity(32);
        if self.key.is_empty() {
            key.extend_from_slice(&serial.to_be_bytes());
        }
        for index in &self.key {
            let part = self.columns.get(*index).zip(self.field(&row, *index));
            part.and_then(|(column, field)| order::push(column, field.payload, &mut key))
                .ok_or_else(|| Error::UnknownColumn(format!("key of {}", self.name())))?;
        }
        Record::new(&key, &row).ok_or_else(|| Error::BadValue {
            table: self.name().to_string(),
            column: self.table.primary_key.join(", "),
            problem: "the key is too long",
            number: 1946,
        })
    }

    /// The key that rows with these primary key values have. `None` when one is NULL.
    pub(crate) fn key(&self, values: &[LegacyValue<'_>]) -> Result<Option<Vec<u8>>, Error> {
        if values.len() != self.key.len() || self.key.is_empty() {
            return Err(self.wrong_width(self.key.len(), values.len()));
        }
        let mut key = Vec::with_capacity(32);
        for (index, value) in self.key.iter().zip(values) {
            let Some(column) = self.columns.get(*index) else { return Ok(None) };
            let there = order::push_value(column, value, &mut key)
                .map_err(|refusal| self.bad_value(column, refusal.problem, refusal.number))?;
            if !there {
                return Ok(None);
            }
        }
        Ok(Some(key))
    }

    /// The stored fields of a row, in column order.
    pub(crate) fn fields<'a>(&'a self, row: &'a [u8]) -> impl Iterator<Item = Field<'a>> {
        let mut rest = row;
        self.columns.iter().map_while(move |column| {
            let (field, tail) = codec::split(rest, column.width)?;
            rest = tail;
            Some(field)
        })
    }

    /// One stored field.
    pub(crate) fn field<'a>(&'a self, row: &'a [u8], index: usize) -> Option<Field<'a>> {
        self.fields(row).nth(index)
    }

    /// The values of a row.
    pub(crate) fn values(&self, row: &[u8]) -> Vec<LegacyValue<'static>> {
        let fields = self.fields(row).map(|field| field.payload);
        self.columns.iter().zip(fields).map(|(column, payload)| column.value(payload)).collect()
    }

    fn wrong_width(&self, expected: usize, given: usize) -> Error {
        Error::WrongWidth { table: self.name().to_string(), expected, given }
    }

    fn bad_value(&self, column: &Column, problem: &'static str, number: u32) -> Error {
        Error::BadValue {
            table: self.name().to_string(),
            column: column.column.name.clone(),
            problem,
            number,
        }
    }
}

impl Column {
    /// The value of a stored payload.
    pub(crate) fn value(&self, payload: Option<&[u8]>) -> LegacyValue<'static> {
        payload
            .and_then(|payload| {
                codec::decode(&self.column.sql_type, self.collation.as_deref(), payload)
            })
            .unwrap_or(LegacyValue::Null)
    }
}
