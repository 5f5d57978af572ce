//! The compiled plan: what each legacy table becomes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    catalog::{Catalog, LegacyTable, SqlType},
    convert::Make,
    key::{CanonicalKey, canonical},
    position::Position,
    row::ColumnMask,
    sequence::SequencePlan,
    value::LegacyValue,
};

mod compiled;
pub mod explain;
mod filter;
mod map;
#[cfg(test)]
pub(crate) mod tests;
mod text_key;
mod writer;

pub(crate) use compiled::{Candidate, Compiled, Field, OnNull};
pub(crate) use filter::{Condition, Filter};
pub use filter::{FILTER_RULE, RowFilter};
pub use text_key::KeyTextError;

/// An entity's index in [`Plan::entities`]. Valid for one plan; Postgres has its own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub u16);

/// A table's index in [`Plan::tables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

/// The Postgres types that mapping writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are Postgres's own names")]
pub enum PgType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float8,
    /// Digits after the point as the column declares them.
    Numeric {
        scale: u8,
    },
    Text,
    /// `text[]`, of one dimension.
    TextArray,
    Bytea,
    Uuid,
    Date,
    Time,
    /// Without a zone.
    Timestamp,
    Timestamptz,
}

/// How reconcile compares a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// Byte for byte.
    Exact,
    /// Both NULL or both not (`deleted_at`: the legacy side does not know the time).
    Presence,
    /// Not compared, for the reason that every report prints.
    Skip(String),
}

/// A column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Its name, `snake_case`.
    pub name: String,
    /// Its type.
    pub pg_type: PgType,
    /// The legacy column that it is made from, where there is one.
    pub from: Option<String>,
    /// How it is compared.
    pub compare: Compare,
    /// Whether its values are masked in reports and quarantine.
    pub sensitive: bool,
}

/// What happens to rows whose parent never came when foreign keys are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanPolicy {
    /// The gate is red until they are gone or waived by name.
    Refuse,
    /// The reference is set to NULL at the seal, audited.
    Null,
    /// No constraint is made; the gate lists them.
    Allow,
}

/// What happens to live rows whose parent is soft-deleted when foreign keys are sealed. The parent
/// is there, so the constraint holds either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedParents {
    /// They keep pointing at it.
    Allow,
    /// The reference is set to NULL at the seal, audited.
    Null,
    /// The gate is red until they are gone or waived by name.
    Refuse,
}

/// A column that holds another entity's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: String,
    /// The entity that it points to.
    pub entity: EntityId,
    /// What the seal does about orphans.
    pub orphans: OrphanPolicy,
    /// What the seal does about live rows that point at a soft-deleted one.
    pub deleted: DeletedParents,
}

/// What happens when rows share what must be unique, as unique rules are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// The gate is red until they are gone or waived by name.
    Refuse,
    /// No index is made; the gate lists them.
    Allow,
}

/// Columns that no two rows of the target may share, from the cutover on (trap 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueRule {
    /// The target columns.
    pub columns: Vec<String>,
    /// Whether only rows that are not soft-deleted count.
    pub live: bool,
    /// Whether two NULLs are equal, as SQL Server takes them.
    pub nulls_equal: bool,
    /// Whether texts are compared without regard to case, as a `_CI` collation does.
    pub ignore_case: bool,
    /// What the seal does about duplicates.
    pub duplicates: DuplicatePolicy,
}

/// What a soft delete (`GCRecord`) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoftDelete {
    /// The entity has none.
    None,
    /// The target row is deleted.
    Delete,
    /// The target row stays, with `deleted_at` set.
    DeletedAt,
    /// The target row leaves its table and is kept in `ficus.archive`.
    Archive,
}

/// A part of an entity: one legacy table's share of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The table that it is read from.
    pub table: TableId,
    /// Its columns, as indexes into [`EntityPlan::columns`], in the order in which
    /// [`crate::row::RowBatch::fields`] holds them. Column 0 (`id`) is in every part.
    pub columns: Vec<usize>,
    /// Columns (as bits of [`crate::row::Row::unchanged`]) for whose sake the row is read again from
    /// the legacy database where a change does not carry them.
    pub reselected: ColumnMask,
}

/// What one entity becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPlan {
    /// Its index.
    pub id: EntityId,
    /// Its name in mapping files and commands, such as `contracts`.
    pub name: String,
    /// The domain that it is cut over with.
    pub domain: String,
    /// The Postgres table (in schema `public` unless the file says otherwise).
    pub target_schema: String,
    /// The Postgres table.
    pub target_table: String,
    /// Its columns in the order of the rows' fields; the first is `id uuid`. The engine's own
    /// `source_position bytea` is not among them.
    pub columns: Vec<TargetColumn>,
    /// Its parts: one, or the root and its leaves (TPT).
    pub parts: Vec<Part>,
    /// Its references.
    pub references: Vec<Reference>,
    /// What is unique.
    pub unique: Vec<UniqueRule>,
    /// What a soft delete does.
    pub soft_delete: SoftDelete,
    /// The index of `deleted_at` among `columns`, with [`SoftDelete::DeletedAt`].
    pub deleted_at: Option<usize>,
    /// The index of the version column among `columns`, where the entity has one.
    pub version: Option<usize>,
}

/// A column that is read from a legacy table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// As the catalogue spells it.
    pub name: String,
    /// Its type.
    pub sql_type: SqlType,
    /// Whether it is part of the primary key.
    pub key: bool,
    /// Whether NULL in an update event means "unknown" (trap 10).
    pub lob: bool,
}

/// What a legacy table is to the migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableRole {
    /// It feeds these entities' parts (a TPT root feeds several entities, each row at most one).
    Entities(Vec<(EntityId, u8)>),
    /// `XPObjectType`: the numbers of the type names.
    ObjectTypes,
    /// It is left out on purpose.
    Ignored {
        /// Why; printed in every report.
        reason: String,
    },
}

/// The type names of this legacy database: `XPObjectType.OID` → `TypeName`.
pub type ObjectTypes = BTreeMap<i64, String>;

/// What varies between two calls of [`TablePlan::map`].
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Trap 2: the numbers are local to a database.
    pub object_types: &'a ObjectTypes,
    /// The caller's clock, for `deleted_at`: microseconds since 1970 UTC.
    pub seen_at_us: i64,
}

/// Whether the source says that the row is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceOp {
    /// Insert, update or read: `values` is the row as it is now.
    Upsert,
    /// Delete: `values` is the last image, or the key and [`LegacyValue::Unchanged`].
    Delete,
}

/// One legacy row as it was read or received.
#[derive(Debug, Clone, Copy)]
pub struct SourceChange<'a> {
    /// What happened.
    pub op: SourceOp,
    /// One value for each of [`TablePlan::columns`], in that order.
    pub values: &'a [LegacyValue<'a>],
    /// Where in the log.
    pub position: Position,
    /// The caller's number for it, kept in [`crate::row::Row::sequence`].
    pub sequence: u32,
}

/// What became of a source row. Exactly one of the three, so that counts add up.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is in the batches.
    Mapped(EntityId),
    /// A named rule of the mapping leaves it out.
    Ignored(Arc<str>),
    /// It can't be mapped.
    Rejected(Box<Rejection>),
}

/// Why a row can't be mapped. Stored in quarantine: codes and texts are a format.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The entity, where it is known.
    pub entity: Option<EntityId>,
    /// The key, where it could be made.
    pub key: Option<CanonicalKey>,
    /// The legacy column.
    pub column: String,
    /// A stable code such as `money.inexact` or `text.nul`.
    pub rule: &'static str,
    /// One sentence for the engineer: the value (masked where sensitive), and what to do.
    pub detail: String,
}

/// What one legacy table becomes.
#[derive(Debug, Clone)]
pub struct TablePlan {
    /// Its index.
    pub id: TableId,
    /// Its name.
    pub table: LegacyTable,
    /// The columns that are read, key columns included. Readers send exactly these, in this order.
    pub columns: Vec<SourceColumn>,
    /// The primary key, as indexes into `columns`, in the key's own order.
    pub key: Vec<usize>,
    /// What it is to the migration.
    pub role: TableRole,
    /// What [`TablePlan::map`] does, made by [`Plan::compile`].
    pub(crate) compiled: Compiled,
}

/// A legacy column that the mapping leaves out on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The entity whose mapping says so.
    pub entity: String,
    /// The legacy column.
    pub column: String,
    /// Why; printed in every report.
    pub reason: String,
}

impl TablePlan {
    /// The canonical key of a row, from the values of its key columns alone (the others may be
    /// [`LegacyValue::Unchanged`]); for quarantine and for repairs. `None` when a key column is
    /// NULL or unreadable.
    #[must_use]
    pub fn canonical_key(&self, values: &[LegacyValue<'_>]) -> Option<CanonicalKey> {
        canonical(&self.compiled.key, values).ok()
    }
}

impl TablePlan {
    /// Legacy columns that are left out on purpose, with the reasons.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.compiled.left_out
    }

    /// Which of the table's rows entities take, where they do not take all.
    #[must_use]
    pub fn row_filters(&self) -> &[RowFilter] {
        &self.compiled.filters
    }

    /// Legacy columns whose values may not be shown or stored outside the target (trap 20),
    /// whether they are read or not: mask them in payloads.
    #[must_use]
    pub fn sensitive_columns(&self) -> &[String] {
        &self.compiled.sensitive
    }
}

impl EntityPlan {
    /// Whether two values of a column count as equal, as the column's [`Compare`] says.
    /// `column` is an index into [`EntityPlan::columns`]; `None` is NULL.
    #[must_use]
    pub fn column_equal(&self, column: usize, left: Option<&[u8]>, right: Option<&[u8]>) -> bool {
        match self.columns.get(column).map(|column| &column.compare) {
            Some(Compare::Presence) => left.is_some() == right.is_some(),
            Some(Compare::Skip(_)) => true,
            Some(Compare::Exact) | None => left == right,
        }
    }

    /// Whether a row of a part that lacks these columns is to be read again from the legacy
    /// database.
    #[must_use]
    pub fn is_reselected(&self, part: u8, unchanged: ColumnMask) -> bool {
        self.parts.get(usize::from(part)).is_some_and(|part| part.reselected & unchanged != 0)
    }
}

/// Everything that the mapping files say, checked against the catalogue.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The legacy database's name, as topics spell it.
    pub database: String,
    /// All entities, by id.
    pub entities: Vec<EntityPlan>,
    /// All tables that the files name, by id.
    pub tables: Vec<TablePlan>,
    /// The sequences that go on where legacy numberings end.
    pub sequences: Vec<SequencePlan>,
    /// A hash of the files' texts: the mapping's version in every report.
    pub version: String,
}

impl Plan {
    /// A table by its legacy name, without regard to case.
    #[must_use]
    pub fn table(&self, schema: &str, name: &str) -> Option<&TablePlan> {
        self.tables.iter().find(|plan| {
            plan.table.schema.eq_ignore_ascii_case(schema)
                && plan.table.name.eq_ignore_ascii_case(name)
        })
    }

    /// An entity by name.
    #[must_use]
    pub fn entity(&self, name: &str) -> Option<&EntityPlan> {
        self.entities.iter().find(|entity| entity.name == name)
    }

    /// The entity whose name is most like this one, if one is like enough to be meant.
    #[must_use]
    pub fn nearest_entity(&self, name: &str) -> Option<&str> {
        crate::file::closest(name, self.entities.iter().map(|entity| entity.name.as_str()))
    }

    /// Tables of the catalogue that no mapping file names, the engine's own marker aside.
    #[must_use]
    pub fn unnamed_tables(&self, catalog: &Catalog) -> Vec<LegacyTable> {
        let named = |table: &LegacyTable| self.table(&table.schema, &table.name).is_some();
        let tables = catalog.tables.iter().map(|table| &table.table);
        tables.filter(|table| table.name != "ficus_marker" && !named(table)).cloned().collect()
    }

    /// Whether there are rows to be read again, ever.
    #[must_use]
    pub fn reselects(&self) -> bool {
        self.entities.iter().flat_map(|entity| &entity.parts).any(|part| part.reselected != 0)
    }

    /// Whether a change of the table may leave out a value that nobody asks for again: what stays then
    /// is the newest one that came before, so its changes have to be applied in their order.
    #[must_use]
    pub fn needs_order(&self, table: &TablePlan) -> bool {
        table.compiled.candidates.iter().any(|candidate| {
            let entity = self.entities.get(usize::from(candidate.entity.0));
            let part = entity.and_then(|entity| entity.parts.get(usize::from(candidate.part)));
            let reselected = part.map_or(0, |part| part.reselected);
            // Bit 0 is the id.
            candidate.fields.iter().zip(1..ColumnMask::BITS).any(|(field, bit)| {
                let is_lob = |source: &usize| table.columns.get(*source).is_some_and(|c| c.lob);
                field.sources().iter().any(is_lob) && reselected & (1 << bit) == 0
            })
        })
    }

    /// The columns whose content goes to an object store, as `entity.column`.
    #[must_use]
    pub fn object_columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        for candidate in self.tables.iter().flat_map(|table| &table.compiled.candidates) {
            let entity = self.entities.get(usize::from(candidate.entity.0));
            let part = entity.and_then(|entity| entity.parts.get(usize::from(candidate.part)));
            let (Some(entity), Some(part)) = (entity, part) else { continue };
            // The first column of a part is the id, which no field makes.
            for (field, column) in candidate.fields.iter().zip(part.columns.iter().skip(1)) {
                if let (Make::Object(_), Some(column)) = (&field.make, entity.columns.get(*column))
                {
                    names.push(format!("{}.{}", entity.name, column.name));
                }
            }
        }
        names
    }

    /// The domains, in the files' order.
    #[must_use]
    pub fn domains(&self) -> Vec<&str> {
        let mut domains: Vec<&str> = Vec::new();
        for entity in &self.entities {
            if !domains.contains(&entity.domain.as_str()) {
                domains.push(&entity.domain);
            }
        }
        domains
    }
}
