//! The target's tables as Postgres describes them, and what is wrong with them.
//!
//! Read from `pg_catalog` in a handful of statements whatever the number of tables; compared
//! with the mapping by [`TargetSchema::check`], which is pure. Nothing is written: this is for
//! `ficus mapping check`, also before the first migration.

mod check;
mod ddl;
mod read;
mod text_set;

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::EntityPlan;

/// Schema and table.
pub(crate) type TableName = (String, String);

/// What the target is, as far as the mapping is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSchema {
    tables: BTreeMap<TableName, Table>,
    /// The state of each domain; empty before the engine's own migrations.
    domains: BTreeMap<String, String>,
}

/// A table of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    columns: BTreeMap<String, Column>,
    primary_key: Vec<String>,
    uniques: Vec<Unique>,
    foreign_keys: Vec<ForeignKey>,
    exclusions: Vec<String>,
    checks: Vec<Check>,
    /// Whether row level security is enabled and forced.
    row_security: bool,
    /// Whether `ficus_api` may read it; `None` where there is no such role.
    api_reads: Option<bool>,
    /// Whether `ficus_engine` may do all that it does; `None` where there is no such role.
    engine_writes: Option<bool>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    /// As `format_type` prints it, without modifiers.
    type_name: String,
    /// Digits after the point of a `numeric` that declares them.
    scale: Option<i32>,
    not_null: bool,
    /// A default, or an identity that takes a value of its own.
    has_default: bool,
    /// Made by Postgres alone: generated, or `generated always as identity`.
    generated: bool,
}

/// A unique index or constraint beside the primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unique {
    name: String,
    /// Empty for an index with an expression.
    columns: BTreeSet<String>,
    predicate: Option<String>,
    nulls_not_distinct: bool,
    is_constraint: bool,
}

/// A foreign key, seen from one of its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ForeignKey {
    name: String,
    /// The referring table.
    child: TableName,
    /// Whether the table at hand is the one that is referred to.
    incoming: bool,
}

/// A CHECK on one column.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    name: String,
    column: String,
    expression: String,
}

impl TargetSchema {
    fn table(&self, entity: &EntityPlan) -> Option<&Table> {
        self.tables.get(&(entity.target_schema.clone(), entity.target_table.clone()))
    }

    /// Whether an index of the target keeps these columns of an entity unique among live rows, as
    /// SQL Server would: NULLs are equal.
    #[must_use]
    pub fn keeps_unique(&self, entity: &EntityPlan, columns: &BTreeSet<&str>) -> bool {
        let Some(table) = self.table(entity) else { return false };
        table.uniques.iter().any(|unique| {
            let inside = |column: &String| columns.contains(column.as_str());
            let not_null = |column: &String| table.columns.get(column).is_some_and(|c| c.not_null);
            let live = unique.predicate.as_ref().is_none_or(|predicate| {
                predicate.trim_matches(['(', ')']).eq_ignore_ascii_case("deleted_at is null")
            });
            live && !unique.columns.is_empty()
                && unique.columns.iter().all(inside)
                && (unique.nulls_not_distinct || unique.columns.iter().all(not_null))
        })
    }
}
