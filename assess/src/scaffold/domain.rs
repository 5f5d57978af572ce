//! Which domain a table belongs to: what is handed over together.

use mapping::{catalog::Table, name::suffixed};

use super::{
    Room,
    outline::base_name,
    words::{plural, words},
};

/// The domain of a table: the one that was asked for, else the assessment's, else by its name.
pub(super) fn of(room: &Room<'_>, table: &Table) -> String {
    if let Some(domain) = &room.choices.domain {
        return domain.clone();
    }
    let assessed = room.facts.table(&table.table).and_then(|table| table.domain.as_deref());
    let domain = assessed.map_or_else(|| by_name(room, table), str::to_owned);
    let kebab: Vec<String> = words(&domain);
    if kebab.is_empty() {
        return "legacy".to_owned();
    }
    // It is a file's name too.
    suffixed(&kebab.join("-"), "").replace('_', "-")
}

/// `ContractItem` belongs to `Contract`, as XPO's aggregates are named.
fn by_name(room: &Room<'_>, table: &Table) -> String {
    let is_security = ["PermissionPolicy", "SecuritySystem"]
        .iter()
        .any(|prefix| table.table.name.starts_with(prefix));
    if is_security {
        return "users".to_owned();
    }
    let whole = words(&table.table.name);
    let owner = room.hubs().iter().filter(|hub| whole.starts_with(hub)).min_by_key(|hub| hub.len());
    let base = owner.map_or_else(|| base_name(table), |owner| owner.join("_"));
    match base.as_str() {
        "file_data" => "files".to_owned(),
        _ if table.table.name.is_ascii() => plural(&base),
        _ => base,
    }
}
