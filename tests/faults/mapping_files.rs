//! The ledger's catalogue, mapping and target tables, as files for the binary.

use std::path::Path;

use mapping::catalog::{Catalog, Column, LegacyTable, SqlType, Table};
use target::ProductMigration;

use crate::ledger::DATABASE;

const MAPPING: &str = r#"
domain = "contracts"

[[entity]]
name = "contracts"
from = "dbo.Contract"

[entity.columns]
number    = { from = "No", as = "text", trim = "end" }
tenant_id = { from = "Tenant", as = "ref", to = "tenants", orphans = "allow" }
slot      = { from = "Slot", as = "int4" }
total     = { from = "Total", as = "money", currency = "MNT", digits = 2 }
terms     = { from = "Terms", as = "text", lob = "inline" }
revision  = { from = "Revision", as = "int4" }

[[entity]]
name = "tenants"
parts = ["dbo.Party", "dbo.Tenant"]
soft_delete = "deleted_at"
version = "OptimisticLockField"

[entity.columns]
name   = { from = "Party.Name", as = "text" }
note   = { from = "Party.Note", as = "text", lob = "inline" }
credit = { from = "Tenant.Credit", as = "int4" }
"#;

/// No constraint but what a followed table may have.
const SQL: &str = "
create table contracts (
  id uuid primary key, number text, tenant_id uuid, slot integer, total bigint,
  terms text, revision integer constraint revision_check check (revision < 1000000),
  source_position bytea);
create table tenants (
  id uuid primary key, name text, note text, credit integer, deleted_at timestamptz,
  version integer not null, source_position bytea);
";

fn catalog() -> Catalog {
    let text = |length| SqlType::NVarChar { length };
    let table = |name: &str, columns: &[(&str, SqlType)]| {
        let key = columns[0].0;
        let columns = columns.iter().map(|(name, sql_type)| Column {
            name: (*name).to_owned(),
            nullable: *name != key,
            collation: matches!(sql_type, SqlType::NVarChar { .. })
                .then(|| "Cyrillic_General_CI_AS".to_owned()),
            sql_type: sql_type.clone(),
            computed: false,
            identity: false,
        });
        Table::new(LegacyTable::new("dbo", name), columns.collect(), vec![key.to_owned()])
    };
    Catalog {
        database: DATABASE.to_owned(),
        collation: "Cyrillic_General_CI_AS".to_owned(),
        tables: vec![
            table(
                "Contract",
                &[
                    ("No", text(Some(20))),
                    ("Tenant", SqlType::Int),
                    ("Slot", SqlType::Int),
                    ("Total", SqlType::Money),
                    ("Terms", text(None)),
                    ("Revision", SqlType::Int),
                ],
            ),
            table(
                "Party",
                &[
                    ("OID", SqlType::Int),
                    ("Name", text(Some(400))),
                    ("Note", text(None)),
                    ("OptimisticLockField", SqlType::Int),
                    ("GCRecord", SqlType::Int),
                ],
            ),
            table("Tenant", &[("OID", SqlType::Int), ("Credit", SqlType::Int)]),
        ],
    }
}

/// The target's tables.
pub(crate) fn migration() -> ProductMigration {
    ProductMigration { version: 1001, name: "ledger".to_owned(), sql: SQL.to_owned() }
}

/// Writes catalogue and mapping into a folder.
pub(crate) fn write(folder: &Path) {
    let catalog = serde_json::to_string(&catalog()).expect("a catalogue");
    std::fs::write(folder.join("catalog.json"), catalog).expect("a file");
    std::fs::create_dir(folder.join("mappings")).expect("a folder");
    std::fs::write(folder.join("mappings/ledger.toml"), MAPPING).expect("a file");
}
