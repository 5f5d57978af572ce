//! Parents before children, where there is a choice.
//!
//! A child that comes first reserves its parent's id, so the order is not needed for a right
//! result; it only saves reservations, and a run that is stopped half-way leaves fewer orphans.

use std::collections::{BTreeMap, BTreeSet};

use mapping::plan::{Plan, TableId, TableRole};

/// The tables in the order in which they are copied.
pub(crate) fn parents_first(plan: &Plan, tables: &BTreeSet<TableId>) -> Vec<TableId> {
    let parents = parents(plan);
    let mut done = Vec::with_capacity(tables.len());
    let mut seen = BTreeSet::new();
    for &table in tables {
        visit(table, &parents, &mut seen, &mut done);
    }
    done.retain(|table| tables.contains(table));
    done
}

/// Depth first; a table that is met again (itself, a cycle) is left where it is.
fn visit(
    table: TableId,
    parents: &BTreeMap<TableId, BTreeSet<TableId>>,
    seen: &mut BTreeSet<TableId>,
    done: &mut Vec<TableId>,
) {
    if !seen.insert(table) {
        return;
    }
    for &parent in parents.get(&table).into_iter().flatten() {
        visit(parent, parents, seen, done);
    }
    done.push(table);
}

/// For each table, those that its rows refer to, and for a leaf (TPT) its root.
fn parents(plan: &Plan) -> BTreeMap<TableId, BTreeSet<TableId>> {
    let mut parents: BTreeMap<TableId, BTreeSet<TableId>> = BTreeMap::new();
    let tables_of = |entity: usize| {
        let entity = plan.entities.get(entity);
        entity.into_iter().flat_map(|entity| entity.parts.iter().map(|part| part.table))
    };
    for entity in &plan.entities {
        let Some(root) = entity.parts.first() else { continue };
        for part in &entity.parts {
            let known = parents.entry(part.table).or_default();
            known.insert(root.table);
            for reference in &entity.references {
                known.extend(tables_of(usize::from(reference.entity.0)));
            }
        }
    }
    // The type names come before everything that has a type.
    let dictionaries: Vec<TableId> = plan
        .tables
        .iter()
        .filter(|table| matches!(table.role, TableRole::ObjectTypes))
        .map(|table| table.id)
        .collect();
    for known in parents.values_mut() {
        known.extend(&dictionaries);
    }
    parents
}
