//! Against the legacy catalogue: what compiles, and may still surprise.

use std::collections::BTreeSet;

use super::{fields, sources};
use crate::{
    catalog::{Catalog, Table, UniqueIndex},
    convert::Make,
    finding::{Finding, Rule, Subject},
    plan::{DuplicatePolicy, EntityId, EntityPlan, OnNull, Plan, TablePlan, TableRole},
};

/// Whether the target keeps these columns of an entity unique.
pub type UniqueKept<'a> = &'a dyn Fn(&EntityPlan, &BTreeSet<&str>) -> bool;

/// XPO's mark of a soft delete: part of a unique index, never of a target's.
const GC_RECORD: &str = "GCRecord";

/// Compares a plan with the catalogue that it was compiled against.
#[must_use]
pub fn catalog(plan: &Plan, catalog: &Catalog, kept: UniqueKept<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = plan.unnamed_tables(catalog).into_iter().map(unnamed).collect();
    for table in &plan.tables {
        let (TableRole::Entities(feeds), Some(known)) = (&table.role, catalog.table(&table.table))
        else {
            continue;
        };
        let first = feeds.first().and_then(|(id, _)| entity(plan, *id));
        found.extend(first.and_then(|first| key(first, table, known)));
        for (id, _) in feeds {
            let Some(entity) = entity(plan, *id) else { continue };
            let unique = known.unique_indexes.iter();
            found.extend(unique.filter_map(|index| unique_index(plan, entity, known, index, kept)));
        }
    }
    for entity in &plan.entities {
        nulls(plan, entity, catalog, &mut found);
        references(plan, entity, catalog, &mut found);
    }
    found
}

fn entity(plan: &Plan, id: EntityId) -> Option<&EntityPlan> {
    plan.entities.get(usize::from(id.0))
}

fn unnamed(table: crate::catalog::LegacyTable) -> Finding {
    let message = format!("no mapping file names the legacy table `{table}`");
    let help = format!("map it, or write [[ignore]] table = \"{table}\" with the reason");
    Finding::new(Rule::TableUnnamed, Subject::Table(table), "", message, help)
}

/// A table without a primary key is keyed by what the file says.
fn key(entity: &EntityPlan, table: &TablePlan, known: &Table) -> Option<Finding> {
    if !known.primary_key.is_empty() {
        return None;
    }
    let columns = table.key.iter().filter_map(|key| table.columns.get(*key));
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let in_key = |column: &String| names.iter().any(|name| name.eq_ignore_ascii_case(column));
    let proven = known.unique_indexes.iter().any(|index| {
        index.filter.is_none() && !index.columns.is_empty() && index.columns.iter().all(in_key)
    });
    if proven {
        return None;
    }
    let name = &known.table;
    let list = names.join(", ");
    let message = format!(
        "`{name}` has no primary key, and no unique index keeps ({list}) unique: two rows with \
         one key would become one"
    );
    let help = format!(
        "count them (SELECT {list} FROM {name} GROUP BY {list} HAVING COUNT(*) > 1), name other \
         columns in `key`, or accept it with the reason"
    );
    let column = names.first().map(|first| (*first).to_owned()).unwrap_or_default();
    let subject = Subject::Source { entity: entity.name.clone(), table: name.clone(), column };
    Some(Finding::new(Rule::KeyUnproven, subject, known.table.name.clone(), message, help))
}

/// A unique index of the legacy table, and who keeps its promise from the cutover on.
fn unique_index(
    plan: &Plan,
    entity: &EntityPlan,
    known: &Table,
    index: &UniqueIndex,
    kept: UniqueKept<'_>,
) -> Option<Finding> {
    let of_key = |key: &String| index.columns.iter().any(|c| c.eq_ignore_ascii_case(key));
    if !known.primary_key.is_empty() && known.primary_key.iter().all(of_key) {
        // With the key in it, it can't be violated.
        return None;
    }
    let meant: Vec<&String> =
        index.columns.iter().filter(|name| !name.eq_ignore_ascii_case(GC_RECORD)).collect();
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    let mut columns: BTreeSet<&str> = BTreeSet::new();
    for (table, column, field) in fields(plan, entity) {
        let from = sources(table, field);
        let inside = |name: &&str| meant.iter().any(|meant| meant.eq_ignore_ascii_case(name));
        if table.table == known.table && !from.is_empty() && from.iter().all(inside) {
            columns.extend(entity.columns.get(column).map(|column| column.name.as_str()));
            covered.extend(from);
        }
    }
    let whole = meant.iter().all(|name| covered.iter().any(|c| c.eq_ignore_ascii_case(name)));
    let sealed = entity.unique.iter().any(|rule| {
        rule.duplicates == DuplicatePolicy::Refuse
            && rule.columns.iter().map(String::as_str).collect::<BTreeSet<_>>() == columns
    });
    if whole && !columns.is_empty() && (sealed || kept(entity, &columns)) {
        return None;
    }
    Some(unkept(entity, known, index, whole.then_some(&columns)))
}

fn unkept(
    entity: &EntityPlan,
    known: &Table,
    index: &UniqueIndex,
    columns: Option<&BTreeSet<&str>>,
) -> Finding {
    let message = format!(
        "`{}` keeps ({}) of `{}` unique, and from the cutover on nothing in Postgres does",
        index.name,
        index.columns.join(", "),
        known.table
    );
    let help = match columns {
        Some(columns) => {
            let list: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
            // Without the mark in the index, deleted rows hold their values too.
            let marked = index.columns.iter().any(|name| name.eq_ignore_ascii_case(GC_RECORD));
            let all = entity.deleted_at.is_some() && !marked;
            let among = if all { ", among = \"all\"" } else { "" };
            format!(
                "write [[entity.unique]] columns = [{}]{among}; or [entity.accept] \
                 unique-unkept.{} = \"why not\"",
                list.join(", "),
                index.name
            )
        }
        None => format!(
            "map all of its columns, or [entity.accept] unique-unkept.{} = \"why not\"",
            index.name
        ),
    };
    let subject = Subject::Entity(entity.name.clone());
    Finding::new(Rule::UniqueUnkept, subject, index.name.clone(), message, help)
}

/// NULLs that the legacy side allows and the mapping does not.
fn nulls(plan: &Plan, entity: &EntityPlan, catalog: &Catalog, found: &mut Vec<Finding>) {
    for (table, column, field) in fields(plan, entity) {
        if !matches!(field.null, OnNull::Reject | OnNull::RejectLive) {
            continue;
        }
        let (Some(known), Some(target)) = (catalog.table(&table.table), entity.columns.get(column))
        else {
            continue;
        };
        let nullable = |name: &&str| known.column(name).is_some_and(|column| column.nullable);
        let Some(source) = sources(table, field).into_iter().find(nullable) else { continue };
        let message = format!(
            "`{}.{source}` is nullable, and `{}` is `not_null`: a row with NULL goes to quarantine",
            known.table.name, target.name
        );
        let help = format!(
            "say `default`, drop `not_null`, or [entity.accept] null-rejected.{} = \"why\"",
            target.name
        );
        let subject = Subject::Column { entity: entity.name.clone(), column: target.name.clone() };
        found.push(Finding::new(Rule::NullRejected, subject, &target.name, message, help));
    }
}

/// References whose legacy foreign key points elsewhere.
fn references(plan: &Plan, entity: &EntityPlan, catalog: &Catalog, found: &mut Vec<Finding>) {
    for (table, column, field) in fields(plan, entity) {
        let Make::Ref(rule) = &field.make else { continue };
        let (Some(known), Some(parent), Some(target)) = (
            catalog.table(&table.table),
            plan.entities.get(usize::from(rule.entity.0)),
            entity.columns.get(column),
        ) else {
            continue;
        };
        let from = sources(table, field);
        let same = |columns: &[String]| {
            columns.len() == from.len()
                && columns.iter().all(|c| from.iter().any(|name| c.eq_ignore_ascii_case(name)))
        };
        let Some(legacy) = known.foreign_keys.iter().find(|key| same(&key.columns)) else {
            continue;
        };
        let mut parts =
            parent.parts.iter().filter_map(|part| plan.tables.get(usize::from(part.table.0)));
        if parts.any(|part| part.table == legacy.references) {
            continue;
        }
        let message = format!(
            "`{}` refers to `{}`, and the legacy foreign key `{}` to `{}`",
            target.name, parent.name, legacy.name, legacy.references
        );
        let help = format!(
            "name the entity of `{}` in `to`, or [entity.accept] reference-elsewhere.{} = \"why\"",
            legacy.references, target.name
        );
        let subject = Subject::Column { entity: entity.name.clone(), column: target.name.clone() };
        found.push(Finding::new(Rule::ReferenceElsewhere, subject, &target.name, message, help));
    }
}
