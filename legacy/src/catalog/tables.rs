//! Tables from the lists that the server gives.
//!
//! The lists name tables and columns; an entry of a table that the list of columns does not
//! have (another login's, or one of schema `cdc`) is passed over. One view may spell a table
//! otherwise than another, so names are compared without regard to case.

use std::collections::BTreeMap;

use mapping::catalog::{ForeignKey, LegacyTable, Table, UniqueIndex};

use super::{Answer, column::RawColumn};

/// What the server said, list by list.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) columns: Vec<Answer>,
    pub(super) keys: Vec<Answer>,
    pub(super) unique_indexes: Vec<Answer>,
    pub(super) foreign_keys: Vec<Answer>,
    pub(super) instances: Vec<Answer>,
    pub(super) captured_columns: Vec<Answer>,
}

/// By the names in lower case.
type Tables = BTreeMap<(String, String), Table>;

fn place(table: &LegacyTable) -> (String, String) {
    (table.schema.to_lowercase(), table.name.to_lowercase())
}

impl Lists {
    /// Tables, sorted by name; `None` when a list has another shape.
    pub(super) fn assemble(self) -> Option<Vec<Table>> {
        let mut tables = Tables::new();
        for mut row in self.columns {
            let table = name(&mut row)?;
            if table.schema.eq_ignore_ascii_case("cdc") {
                continue;
            }
            let column = RawColumn::read(&mut row)?.refine();
            let empty = Table::new(table.clone(), Vec::new(), Vec::new());
            tables.entry(place(&table)).or_insert(empty).columns.push(column);
        }
        for mut row in self.keys {
            let (table, column) = (name(&mut row)?, row.text()?);
            if let Some(table) = tables.get_mut(&place(&table)) {
                table.primary_key.push(column);
            }
        }
        for row in self.unique_indexes {
            add_unique_index(&mut tables, row)?;
        }
        for row in self.foreign_keys {
            add_foreign_key(&mut tables, row)?;
        }
        for mut row in self.instances {
            let (table, instance) = (name(&mut row)?, row.text()?);
            if let Some(table) = tables.get_mut(&place(&table)) {
                // In order of their start: the newest stays.
                table.capture_instance = Some(instance);
            }
        }
        for mut row in self.captured_columns {
            let (table, instance, column) = (name(&mut row)?, row.text()?, row.text()?);
            if let Some(table) = tables.get_mut(&place(&table))
                && table
                    .capture_instance
                    .as_ref()
                    .is_some_and(|i| i.eq_ignore_ascii_case(&instance))
            {
                table.captured_columns.push(column);
            }
        }
        for table in tables.values_mut() {
            // The server sorted them by its own collation.
            table.unique_indexes.sort_by(|a, b| a.name.cmp(&b.name));
            table.foreign_keys.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let mut tables: Vec<Table> = tables.into_values().collect();
        tables.sort_by(|a, b| a.table.cmp(&b.table));
        Some(tables)
    }
}

fn name(row: &mut Answer) -> Option<LegacyTable> {
    Some(LegacyTable::new(row.text()?, row.text()?))
}

/// One column of an index; the rows of one index come one after the other.
fn add_unique_index(tables: &mut Tables, mut row: Answer) -> Option<()> {
    let (table, index) = (name(&mut row)?, row.text()?);
    let filter = row.text();
    let column = row.text()?;
    let Some(table) = tables.get_mut(&place(&table)) else { return Some(()) };
    match table.unique_indexes.last_mut().filter(|last| last.name == index) {
        Some(last) => last.columns.push(column),
        None => {
            table.unique_indexes.push(UniqueIndex { name: index, columns: vec![column], filter });
        }
    }
    Some(())
}

/// One pair of columns of a foreign key.
fn add_foreign_key(tables: &mut Tables, mut row: Answer) -> Option<()> {
    let (table, key, column) = (name(&mut row)?, row.text()?, row.text()?);
    let (references, referenced) = (name(&mut row)?, row.text()?);
    let Some(table) = tables.get_mut(&place(&table)) else { return Some(()) };
    match table.foreign_keys.last_mut().filter(|last| last.name == key) {
        Some(last) => {
            last.columns.push(column);
            last.referenced_columns.push(referenced);
        }
        None => table.foreign_keys.push(ForeignKey {
            name: key,
            columns: vec![column],
            references,
            referenced_columns: vec![referenced],
        }),
    }
    Some(())
}
