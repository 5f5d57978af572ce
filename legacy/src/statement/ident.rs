//! Identifiers that can only be made by quoting.

use std::fmt;

use mapping::catalog::LegacyTable;

/// A quoted identifier: `[name]`, with `]` doubled
/// (<https://learn.microsoft.com/sql/t-sql/functions/quotename-transact-sql>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ident(String);

impl Ident {
    pub(super) fn new(name: &str) -> Self {
        Self(format!("[{}]", name.replace(']', "]]")))
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A quoted table name with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableIdent(Ident, Ident);

impl TableIdent {
    pub(super) fn new(table: &LegacyTable) -> Self {
        Self(Ident::new(&table.schema), Ident::new(&table.name))
    }
}

impl fmt::Display for TableIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}
