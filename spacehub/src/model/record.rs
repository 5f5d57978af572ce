//! Legacy rows by column name, and expected rows in the making.

use std::collections::BTreeMap;

use mapping::value::LegacyValue;
use sandbox::legacy::{Database, Error, Values};

use super::{ExpectedRow, Model, Unmappable, convert::Converted, key_text};

/// NULL, for a column that is not there.
const NULL: LegacyValue<'static> = LegacyValue::Null;

pub(super) struct Tables<'a> {
    database: &'a Database,
    columns: BTreeMap<String, Vec<String>>,
}

/// One legacy row.
pub(super) struct Record<'a> {
    names: &'a [String],
    values: Values,
}

impl<'a> Tables<'a> {
    pub(super) fn new(database: &'a Database) -> Self {
        let catalog = database.catalog();
        let names = |table: &mapping::catalog::Table| {
            table.columns.iter().map(|column| column.name.clone()).collect()
        };
        let columns =
            catalog.tables.iter().map(|table| (table.table.name.clone(), names(table))).collect();
        Self { database, columns }
    }

    pub(super) fn rows(&self, table: &str) -> Result<Vec<Record<'_>>, Error> {
        let names = self.columns.get(table).map_or(&[][..], Vec::as_slice);
        let rows = self.database.rows(table)?;
        Ok(rows.into_iter().map(|values| Record { names, values }).collect())
    }

    /// `XPObjectType`'s names by number.
    pub(super) fn type_names(&self) -> Result<BTreeMap<i64, String>, Error> {
        let mut names = BTreeMap::new();
        for record in self.rows("XPObjectType")? {
            if let (LegacyValue::Int(oid), LegacyValue::Text(name)) =
                (record.get("OID"), record.get("TypeName"))
            {
                names.insert(*oid, name.to_string());
            }
        }
        Ok(names)
    }
}

impl Record<'_> {
    pub(super) fn get(&self, column: &str) -> &LegacyValue<'static> {
        let place = self.names.iter().position(|name| name == column);
        debug_assert!(place.is_some(), "no column {column}");
        place.and_then(|place| self.values.get(place)).unwrap_or(&NULL)
    }

    /// The key text of some of its columns; `None` when one is NULL or an empty GUID.
    pub(super) fn reference(&self, columns: &[&str]) -> Option<String> {
        let parts: Vec<_> = columns.iter().map(|column| self.get(column).clone()).collect();
        let absent = |part: &LegacyValue<'_>| match part {
            LegacyValue::Null => true,
            LegacyValue::Guid(guid) => guid.is_nil(),
            _ => false,
        };
        (!parts.iter().any(absent)).then(|| key_text(&parts))
    }

    /// The key text of its primary key.
    pub(super) fn key(&self, columns: &[&str]) -> String {
        self.reference(columns).unwrap_or_default()
    }

    pub(super) fn is_soft_deleted(&self) -> bool {
        !self.get("GCRecord").is_null()
    }
}

/// An expected row in the making.
pub(super) struct Build<'a> {
    record: &'a Record<'a>,
    row: ExpectedRow,
    wrong: Option<(&'static str, &'static str)>,
}

impl<'a> Build<'a> {
    pub(super) fn new(record: &'a Record<'a>) -> Self {
        Self { record, row: ExpectedRow::default(), wrong: None }
    }

    /// `GCRecord`. Comes first: it decides how references are compared.
    pub(super) fn soft_delete(mut self) -> Self {
        self.row.soft_deleted = self.record.is_soft_deleted();
        self
    }

    /// `OptimisticLockField`.
    pub(super) fn version(mut self) -> Self {
        let version = match self.record.get("OptimisticLockField") {
            LegacyValue::Int(version) => *version,
            _ => 0,
        };
        self.row.columns.insert("version", Some(version.to_string()));
        self
    }

    /// A column by its own rule.
    pub(super) fn put(
        mut self,
        column: &'static str,
        from: &'static str,
        rule: impl FnOnce(&LegacyValue<'static>) -> Converted,
    ) -> Self {
        match rule(self.record.get(from)) {
            Ok(value) => {
                self.row.columns.insert(column, value);
            }
            Err(rule) => self.wrong = self.wrong.or(Some((from, rule))),
        }
        self
    }

    /// A reference. A soft-deleted row's cleared reference may be anything.
    pub(super) fn refer(mut self, column: &'static str, from: &[&'static str]) -> Self {
        let key = self.record.reference(from);
        if key.is_some() || !self.row.soft_deleted {
            self.row.columns.insert(column, key);
        }
        self
    }

    /// The row, or what is wrong with it: column and rule.
    pub(super) fn finish(self) -> Result<ExpectedRow, (&'static str, &'static str)> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(self.row),
        }
    }
}

impl Model {
    /// Files a row, or notes that it is wrong.
    pub(super) fn add(
        &mut self,
        (table, legacy): (&'static str, &'static str),
        key: String,
        built: Result<ExpectedRow, (&'static str, &'static str)>,
    ) {
        match built {
            Ok(row) => {
                self.tables.entry(table).or_default().insert(key, row);
            }
            Err((column, rule)) => {
                self.unmappable.push(Unmappable { table: legacy, key, column, rule });
            }
        }
    }
}
