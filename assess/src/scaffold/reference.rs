//! Which columns refer to other tables: by a foreign key, or only by their names (trap 7).

use mapping::{
    catalog::{Column, Table},
    key::can_refer,
};

use super::{Room, family::Place, words::snake};

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
    let mut found = declared(room, table);
    let mut loose = composites(room, table);
    // The longest first: an item's key holds its contract's.
    loose.sort_by_key(|reference| std::cmp::Reverse(reference.columns.len()));
    loose.extend(singles(room, table));
    for reference in loose {
        let is_free = |column: &&Column| !found.iter().any(|other| other.columns.contains(column));
        if reference.columns.iter().all(is_free) {
            found.push(reference);
        }
    }
    found
}

fn declared<'c>(room: &Room<'c>, table: &'c Table) -> Vec<Reference<'c>> {
    let mut found: Vec<Reference<'c>> = Vec::new();
    let is_part = matches!(room.families.place(table), Place::Leaf { .. });
    for key in &table.foreign_keys {
        let Some(target) = room.catalog.table(&key.references) else { continue };
        let own_key = same_names(&key.columns, &table.primary_key);
        if (is_part && own_key) || Some(target) == room.families.dictionary() {
            continue;
        }
        // In the order of the key referred to; another unique key than that is none of ours.
        let referenced = if key.referenced_columns.is_empty() {
            &target.primary_key
        } else {
            &key.referenced_columns
        };
        let column_of = |wanted: &String| {
            let index = referenced.iter().position(|name| name.eq_ignore_ascii_case(wanted))?;
            table.column(key.columns.get(index)?)
        };
        let columns: Option<Vec<&Column>> = target.primary_key.iter().map(column_of).collect();
        let columns = columns.filter(|columns| columns.len() == key.columns.len());
        let Some(columns) = columns.filter(|columns| fits(columns, target)) else { continue };
        if found.iter().any(|other| other.columns.iter().any(|column| columns.contains(column))) {
            continue;
        }
        let base = match columns.as_slice() {
            [only] => base_of(&only.name),
            several => prefix_of(several, target),
        };
        found.push(Reference { columns, target, declared: true, base });
    }
    found
}

fn same_names(left: &[String], right: &[String]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

fn fits(columns: &[&Column], target: &Table) -> bool {
    !columns.is_empty()
        && columns.len() == target.primary_key.len()
        && columns.iter().zip(&target.primary_key).all(|(column, key)| {
            let key = target.column(key);
            !column.computed && key.is_some_and(|key| can_refer(&column.sql_type, &key.sql_type))
        })
}

/// Composite keys are referred to by columns with a common prefix: `ContractCompanyNo`,
/// `ContractContractNo`; a child's own key begins with `Key`, or repeats the names.
fn composites<'c>(room: &Room<'c>, table: &'c Table) -> Vec<Reference<'c>> {
    let mut found = Vec::new();
    for target in room.composites().iter().copied() {
        let Some(first) = target.primary_key.first() else { continue };
        for column in &table.columns {
            let Some(prefix) = before(&column.name, first) else { continue };
            let named = |key: &String| {
                let bare = strip_key(key);
                table.columns.iter().find(|column| {
                    before(&column.name, key).or_else(|| before(&column.name, bare)) == Some(prefix)
                })
            };
            let columns: Option<Vec<&Column>> = target.primary_key.iter().map(named).collect();
            let Some(columns) = columns.filter(|columns| fits(columns, target)) else { continue };
            let begins_key = table
                .primary_key
                .iter()
                .zip(&columns)
                .all(|(key, column)| key.eq_ignore_ascii_case(&column.name));
            let nested = begins_key && table.primary_key.len() > columns.len();
            if target == table || (prefix.is_empty() && !nested) {
                continue;
            }
            let base = prefix_of(&columns, target);
            found.push(Reference { columns, target, declared: false, base });
        }
    }
    found
}

/// What stands before a suffix, without regard to case.
fn before<'n>(name: &'n str, suffix: &str) -> Option<&'n str> {
    let cut = name.len().checked_sub(suffix.len())?;
    let (prefix, end) = name.split_at_checked(cut)?;
    end.eq_ignore_ascii_case(suffix).then_some(prefix)
}

/// XPO's name of a key struct's member, without the struct's.
fn strip_key(name: &str) -> &str {
    name.strip_prefix("Key").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(name)
}

/// A key column's name without that of the struct, where all of the key's columns have it.
pub(super) fn member<'n>(table: &Table, name: &'n str) -> &'n str {
    let is_struct = table.primary_key.len() > 1
        && table.primary_key.iter().all(|key| strip_key(key) != key.as_str())
        && table.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name));
    if is_struct { strip_key(name) } else { name }
}

/// What a composite reference is called, by the prefix of its first column.
fn prefix_of(columns: &[&Column], target: &Table) -> String {
    let pair = columns.first().zip(target.primary_key.first());
    let prefix = pair.and_then(|(column, key)| {
        before(&column.name, key).or_else(|| before(&column.name, strip_key(key)))
    });
    let base = snake(prefix.unwrap_or_default());
    if base == "key" { String::new() } else { base }
}

/// A column with a table's name and its key's type: XPO's reference whose constraint is gone, or
/// never was.
fn singles<'c>(room: &Room<'c>, table: &'c Table) -> Vec<Reference<'c>> {
    let mut found = Vec::new();
    for column in &table.columns {
        let is_key =
            matches!(table.primary_key.as_slice(), [key] if key.eq_ignore_ascii_case(&column.name));
        let base = base_of(&column.name);
        if is_key || base.is_empty() {
            continue;
        }
        let targets = room.named(&base).iter().filter(|target| fits(&[column], target));
        let targets: Vec<&Table> = targets.copied().collect();
        if let [target] = targets.as_slice() {
            found.push(Reference { columns: vec![column], target, declared: false, base });
        }
    }
    found
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
