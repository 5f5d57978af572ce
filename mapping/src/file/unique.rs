//! `[[entity.unique]]`: columns that no two rows may share.
//!
//! ```toml
//! [[entity.unique]]
//! columns    = ["invoice_no"]
//! among      = "live"    # or "all"; "live" where a soft delete sets deleted_at
//! nulls      = "equal"   # as SQL Server compares; or "distinct"
//! case       = "keep"    # or "ignore"
//! duplicates = "refuse"  # or "allow": listed, and nothing is sealed
//! ```
//!
//! SQL Server's unique index takes two NULLs as equal, so XPO's index on `(InvoiceNo, GCRecord)`
//! keeps live invoices apart, one without a number included; Postgres would take the NULLs of
//! `GCRecord` as distinct and keep nothing apart (trap 4). Like a foreign key, the rule is sealed
//! at cutover: until then a value may pass from one row to another.

use super::{
    Mistakes, Place, Said,
    options::{Level, Options},
    read::tables,
};
use crate::plan::DuplicatePolicy;

/// What an `[[entity.unique]]` says.
#[derive(Debug)]
pub(crate) struct UniqueSaid {
    pub(crate) at: Place,
    pub(crate) columns: Vec<Said<String>>,
    /// Only rows that are not soft-deleted; `None` where it isn't said.
    pub(crate) live: Option<bool>,
    pub(crate) nulls_equal: bool,
    pub(crate) ignore_case: bool,
    pub(crate) duplicates: DuplicatePolicy,
}

pub(super) fn read(entity: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Vec<UniqueSaid> {
    let mut rules = Vec::new();
    for (at, table) in tables(entity, "unique", m) {
        let mut options = Options::new(Level::Unique, table, at, "an [[entity.unique]]");
        let columns = options.texts("columns", m);
        let live = options.choice("among", &[("live", true), ("all", false)], m);
        let nulls = options.choice("nulls", &[("equal", true), ("distinct", false)], m);
        let case = options.choice("case", &[("keep", false), ("ignore", true)], m);
        let duplicates = options.choice("duplicates", &DUPLICATES, m);
        options.finish(m);
        let Some(columns) = columns.filter(|columns| !columns.is_empty()) else {
            m.add(at, "an [[entity.unique]] names no columns", "write columns = [\"invoice_no\"]");
            continue;
        };
        rules.push(UniqueSaid {
            at,
            columns,
            live,
            nulls_equal: nulls.unwrap_or(true),
            ignore_case: case.unwrap_or(false),
            duplicates: duplicates.unwrap_or(DuplicatePolicy::Refuse),
        });
    }
    rules
}

const DUPLICATES: [(&str, DuplicatePolicy); 2] =
    [("refuse", DuplicatePolicy::Refuse), ("allow", DuplicatePolicy::Allow)];
