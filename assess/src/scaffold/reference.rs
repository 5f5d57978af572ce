//! References as a draft takes them: with columns, and with a name.

use mapping::catalog::{Column, Table};

use super::{Room, family::Place, words::snake};
use crate::reference::{member_name, prefix_of};

/// Columns that hold another table's key, in the order of that key.
#[derive(Debug, Clone)]
pub(super) struct Reference<'c> {
    pub(super) columns: Vec<&'c Column>,
    pub(super) target: &'c Table,
    /// Whether a foreign key says so. XPO's are untrusted, but they are meant.
    pub(super) declared: bool,
    /// What the reference is called, without `_id`; empty when its columns do not say.
    pub(super) base: String,
}

/// All references of a table, none of which shares a column with another.
pub(super) fn find<'c>(room: &Room<'c>, table: &'c Table) -> Vec<Reference<'c>> {
    let is_leaf = matches!(room.families.place(table), Place::Leaf { .. });
    let mut found: Vec<Reference<'c>> = Vec::new();
    for known in room.references(table) {
        let Some(target) = room.catalog.table(&known.parent) else { continue };
        let columns: Option<Vec<&Column>> =
            known.columns.iter().map(|name| table.column(name)).collect();
        let Some(columns) = columns.filter(|_| !(is_leaf && known.inherits)) else { continue };
        let is_taken = |column: &&Column| found.iter().any(|other| other.columns.contains(column));
        if columns.iter().any(is_taken) || columns.iter().any(|column| column.computed) {
            continue;
        }
        let declared = known.constraint.is_some();
        if !declared && columns.iter().any(|column| room.facts.is_no_reference(table, column)) {
            continue;
        }
        let base = match columns.as_slice() {
            [only] => base_of(&only.name),
            several => base_of_many(several, target),
        };
        found.push(Reference { columns, target, declared, base });
    }
    found
}

/// A key column's name without that of the struct, where all of the key's columns have it.
pub(super) fn member<'n>(table: &Table, name: &'n str) -> &'n str {
    let is_struct = table.primary_key.len() > 1
        && table.primary_key.iter().all(|key| member_name(key) != key.as_str())
        && table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name));
    if is_struct { member_name(name) } else { name }
}

/// What a composite reference is called: the prefix of its columns.
fn base_of_many(columns: &[&Column], target: &Table) -> String {
    let pair = columns.first().zip(target.primary_key.first());
    let prefix = pair.and_then(|(column, key)| {
        prefix_of(&column.name, key).or_else(|| prefix_of(&column.name, member_name(key)))
    });
    let base = snake(prefix.unwrap_or_default());
    if base == "key" { String::new() } else { base }
}

/// `Tenant`, `TenantId` and `TENANT_ID` all refer to a tenant; `Oid` says nothing.
fn base_of(column: &str) -> String {
    let name = snake(column);
    if ["oid", "id", "key"].contains(&name.as_str()) {
        return String::new();
    }
    let stripped = name.strip_suffix("_oid").or_else(|| name.strip_suffix("_id"));
    stripped.map_or_else(|| name.clone(), str::to_owned)
}
