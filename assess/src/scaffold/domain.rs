//! Which domain a draft is of: the one that was asked for, else the one that is proposed.

use mapping::{catalog::Table, name::suffixed};

use super::{
    Room,
    outline::base_name,
    words::{plural, words},
};

/// The domain of a table, as a file can be named by it.
pub(super) fn of(room: &Room<'_>, table: &Table) -> String {
    if let Some(domain) = &room.choices.domain {
        return domain.clone();
    }
    let proposed = room.domain(table).map(str::to_owned);
    let kebab = words(&proposed.unwrap_or_else(|| plural(&base_name(table)))).join("-");
    if kebab.is_empty() { "legacy".to_owned() } else { suffixed(&kebab, "").replace('_', "-") }
}
