//! The first customer: Spacehub23, a property manager's XAF application on SQL Server.
//!
//! What only Spacehub knows lives here: its mapping files and migrations (embedded, so that the
//! one binary carries them), its legacy schema, and, for demo and tests, [`demo`] data with a
//! [`demo::writer`] that keeps changing them, and the [`model`] of what Postgres must hold.

use mapping::{catalog::Catalog, file::MappingFile};

pub mod demo;
pub mod lab;
pub mod model;

/// The legacy database's name.
pub const DATABASE: &str = "Spacehub23";

/// Its collation: case-insensitive, so `УБ-1` and `уб-1` are one key.
pub const COLLATION: &str = "Cyrillic_General_CI_AS";

/// The mapping files, by domain in the order in which domains are best ported.
#[must_use]
pub fn mappings() -> Vec<MappingFile> {
    MAPPINGS
        .iter()
        .map(|(name, text)| MappingFile { name: (*name).into(), text: (*text).into() })
        .collect()
}

/// A migration of Spacehub's own tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The number in the file's name.
    pub version: i64,
    /// The rest of the file's name.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// The migrations of Spacehub's own tables, in order. They come after the engine's.
#[must_use]
pub fn migrations() -> &'static [Migration] {
    MIGRATIONS
}

/// The DDL of the legacy database.
#[must_use]
pub fn legacy_ddl() -> &'static str {
    include_str!("../legacy/spacehub23.sql")
}

/// The legacy database's catalogue, made from its DDL.
///
/// # Errors
/// What the sandbox's reader finds wrong in the DDL.
pub fn catalog() -> Result<Catalog, sandbox::legacy::Error> {
    let database = sandbox::legacy::Database::from_ddl(DATABASE, COLLATION, legacy_ddl())?;
    Ok(database.catalog())
}

const MAPPINGS: &[(&str, &str)] = &[
    ("spacehub/mappings/property-owners.toml", include_str!("../mappings/property-owners.toml")),
    ("spacehub/mappings/tenants.toml", include_str!("../mappings/tenants.toml")),
    ("spacehub/mappings/properties.toml", include_str!("../mappings/properties.toml")),
    ("spacehub/mappings/contracts.toml", include_str!("../mappings/contracts.toml")),
    ("spacehub/mappings/invoices.toml", include_str!("../mappings/invoices.toml")),
    ("spacehub/mappings/payments.toml", include_str!("../mappings/payments.toml")),
    ("spacehub/mappings/users.toml", include_str!("../mappings/users.toml")),
    ("spacehub/mappings/attachments.toml", include_str!("../mappings/attachments.toml")),
    ("spacehub/mappings/ignored.toml", include_str!("../mappings/ignored.toml")),
];

macro_rules! embedded {
    ($($version:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!(
                "../../migrations/spacehub/", stringify!($version), "_", $name, ".sql"
            )),
        }),+]
    };
}

const MIGRATIONS: &[Migration] = embedded![
    1001 "tables",
    1002 "indexes",
    1003 "api_tables",
    1004 "status_transitions",
    1005 "access",
    1006 "row_security",
    1007 "hand_over",
    1008 "document_numbers",
    1009 "required",
    1010 "idempotent_headers",
    1020 "sessions",
    1021 "sign_in",
    1030 "outbox_work",
    1031 "statements",
    1032 "file_objects",
];

#[cfg(test)]
mod tests;
