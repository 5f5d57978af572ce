//! One table, with what a reading has to know of it.

use legacy::TableScan;
use mapping::{
    catalog::{Catalog, Column, LegacyTable, SqlType, Table},
    plan::SourceColumn,
    probe::KeyColumns,
};

use crate::{
    kind::{TableKind, root_of},
    names::is_personal,
    reference::{Reference, is_same},
};

/// XPO's own columns: no values of the application's.
const SERVICE: [&str; 3] = ["GCRecord", "OptimisticLockField", "ObjectType"];

/// A table.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// Its place in the catalogue.
    pub(crate) at: usize,
    pub(crate) catalog: &'a Catalog,
    pub(crate) table: &'a Table,
    pub(crate) kind: &'a TableKind,
    /// What is read: all columns but those that nobody here can.
    pub(crate) scan: TableScan,
    /// The key of a row that is read; `None` for a table without one that can be canonical.
    pub(crate) key: Option<KeyColumns>,
    /// For each part of the key, whether its name says that it is somebody's secret.
    pub(crate) masked_key_parts: Vec<bool>,
    /// Places of `GCRecord` and `ObjectType` in a row.
    pub(crate) soft_delete: Option<usize>,
    pub(crate) object_type: Option<usize>,
    /// The topmost table of its hierarchy, for a leaf (TPT).
    pub(crate) root: Option<usize>,
    /// The references that it makes, and whether anything refers to it.
    pub(crate) references: Vec<&'a Reference>,
    pub(crate) is_referred_to: bool,
}

/// A column that is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read<'a> {
    /// Its place in a row.
    pub(crate) place: usize,
    /// Its place in the table.
    pub(crate) at: usize,
    pub(crate) column: &'a Column,
}

impl<'a> Subject<'a> {
    /// `keys_only`: nothing but what others' references are checked by is read.
    pub(crate) fn new(
        catalog: &'a Catalog,
        kinds: &'a [(LegacyTable, TableKind)],
        references: &'a [Reference],
        at: usize,
        keys_only: bool,
    ) -> Option<Self> {
        let (table, (_, kind)) = catalog.tables.get(at).zip(kinds.get(at))?;
        let scan = scan(table, keys_only);
        let place = |name: &str| {
            scan.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
        };
        let of_table = |r: &&Reference| is_same(&r.table, &table.table);
        let key = KeyColumns::of(table, &catalog.collation, &table.primary_key)
            .and_then(|key| key.at(&scan.key));
        let subject = Self {
            at,
            catalog,
            table,
            kind,
            key,
            masked_key_parts: table.primary_key.iter().map(|name| is_personal(name)).collect(),
            soft_delete: place("GCRecord"),
            object_type: place("ObjectType"),
            root: root_of(catalog, kinds, at),
            references: references.iter().filter(of_table).filter(|_| !keys_only).collect(),
            is_referred_to: references.iter().any(|r| is_same(&r.parent, &table.table)),
            scan,
        };
        Some(subject)
    }

    /// The columns that are read.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Read<'a>> + '_ {
        let table = self.table;
        self.scan.columns.iter().enumerate().filter_map(move |(place, source)| {
            let at = table.columns.iter().position(|column| column.name == source.name)?;
            Some(Read { place, at, column: table.columns.get(at)? })
        })
    }

    /// A column's place in a row that is read.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.scan.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Whether a column is part of the primary key.
    pub(crate) fn is_key(&self, name: &str) -> bool {
        self.table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name))
    }

    /// Whether a column is XPO's own.
    pub(crate) fn is_service(name: &str) -> bool {
        SERVICE.iter().any(|service| service.eq_ignore_ascii_case(name))
    }

    /// Whether a column refers to another table.
    pub(crate) fn is_reference(&self, name: &str) -> bool {
        self.references
            .iter()
            .any(|reference| reference.columns.iter().any(|c| c.eq_ignore_ascii_case(name)))
    }

    /// Whether a column's values are compared with others: in a key, a unique index or a
    /// reference.
    pub(crate) fn is_compared(&self, name: &str) -> bool {
        let mut unique = self.table.unique_indexes.iter().flat_map(|index| &index.columns);
        self.is_key(name)
            || self.is_reference(name)
            || unique.any(|column| column.eq_ignore_ascii_case(name))
    }
}

/// Whether the column can be read over TDS.
pub(crate) fn is_readable(column: &Column) -> bool {
    !matches!(column.sql_type, SqlType::Other(_) | SqlType::RowVersion)
}

fn scan(table: &Table, keys_only: bool) -> TableScan {
    let is_key = |name: &str| table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name));
    let is_needed = |column: &&Column| {
        is_readable(column)
            && (!keys_only || is_key(&column.name) || column.name.eq_ignore_ascii_case("GCRecord"))
    };
    let columns: Vec<SourceColumn> = table
        .columns
        .iter()
        .filter(is_needed)
        .map(|column| SourceColumn {
            name: column.name.clone(),
            sql_type: column.sql_type.clone(),
            key: is_key(&column.name),
            lob: column.sql_type.is_lob(),
        })
        .collect();
    let place =
        |key: &String| columns.iter().position(|column| column.name.eq_ignore_ascii_case(key));
    let key: Option<Vec<usize>> = table.primary_key.iter().map(place).collect();
    // A key that can't be walked gives no order either.
    let key = key.filter(|_| KeyColumns::of(table, "", &table.primary_key).is_some());
    TableScan { table: table.table.clone(), key: key.unwrap_or_default(), columns }
}
