//! What Postgres must hold: an oracle for tests, written by hand, table by table.
//!
//! It reads the final legacy rows and knows Spacehub's rules, but nothing of the mapping files
//! or of the engine's converters, so that a mistake has to be made twice to go unseen. Values
//! are texts as Postgres prints them (`::text`, time zone UTC); an id is the legacy key of its
//! row, because ids are minted.

mod billing;
mod contracts;
mod convert;
mod parties;
mod people;
mod places;
mod record;

use std::collections::BTreeMap;

use chrono::DateTime;
use mapping::value::{LegacyValue, TICKS_PER_SECOND};
use sandbox::legacy::{Database, Error};

use self::record::Tables;

/// A row that the target must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedRow {
    /// By target column. A column that is not here may hold anything: the references of a
    /// soft-deleted row, which XPO has cleared and the target may have kept. `id`, `deleted_at`
    /// and `source_position` are never here.
    pub columns: BTreeMap<&'static str, Option<String>>,
    /// Whether `deleted_at` must be set.
    pub soft_deleted: bool,
}

/// A legacy row that can't be mapped as it is now. The target may hold an earlier image of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmappable {
    /// The legacy table.
    pub table: &'static str,
    /// [`key_text`] of its primary key.
    pub key: String,
    /// The legacy column.
    pub column: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// Everything that the target must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Target table → [`key_text`] of the legacy key → row.
    pub tables: BTreeMap<&'static str, BTreeMap<String, ExpectedRow>>,
    /// The rows that can't be mapped, sorted.
    pub unmappable: Vec<Unmappable>,
    /// For each target table, the columns that are references, and the table they refer to.
    pub references: BTreeMap<(&'static str, &'static str), &'static str>,
}

impl Model {
    /// From the legacy rows as they are now.
    ///
    /// # Errors
    /// A table that the database does not have.
    pub fn of(database: &Database) -> Result<Self, Error> {
        let tables = Tables::new(database);
        let mut model = Self::default();
        parties::expect(&tables, &mut model)?;
        places::expect(&tables, &mut model)?;
        contracts::expect(&tables, &mut model)?;
        billing::expect(&tables, &mut model)?;
        people::expect(&tables, &mut model)?;
        model.unmappable.sort();
        model.references =
            REFERENCES.iter().map(|(table, column, to)| ((*table, *column), *to)).collect();
        Ok(model)
    }

    /// Rows in all tables.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.tables.values().map(BTreeMap::len).sum()
    }
}

const REFERENCES: &[(&str, &str, &str)] = &[
    ("property_owner_links", "property_owner_id", "property_owners"),
    ("property_owner_links", "property_id", "properties"),
    ("spaces", "property_id", "properties"),
    ("spaces", "parent_space_id", "spaces"),
    ("space_rates", "space_id", "spaces"),
    ("contracts", "tenant_id", "tenants"),
    ("contract_items", "contract_id", "contracts"),
    ("contract_items", "space_id", "spaces"),
    ("invoices", "contract_id", "contracts"),
    ("invoice_lines", "invoice_id", "invoices"),
    ("payments", "tenant_id", "tenants"),
    ("payments", "property_owner_id", "property_owners"),
    ("payment_allocations", "payment_id", "payments"),
    ("payment_allocations", "invoice_id", "invoices"),
    ("users", "property_owner_id", "property_owners"),
    ("users", "tenant_id", "tenants"),
    ("user_roles", "user_id", "users"),
    ("user_roles", "role_id", "roles"),
    ("user_logins", "user_id", "users"),
    ("contract_attachments", "file_id", "files"),
    ("contract_attachments", "contract_id", "contracts"),
    ("contract_attachments", "uploaded_by_id", "users"),
];

/// A legacy key as text, such as `ub01/г-2019/000123/2`. Spellings that SQL Server calls equal
/// give one text, so it is the same for a stored key and for the parts of a canonical one.
#[must_use]
pub fn key_text(parts: &[LegacyValue<'_>]) -> String {
    let texts: Vec<String> = parts.iter().map(part_text).collect();
    texts.join("/")
}

fn part_text(part: &LegacyValue<'_>) -> String {
    match part {
        LegacyValue::Int(number) => number.to_string(),
        LegacyValue::Text(text) | LegacyValue::BrokenText(text) => {
            text.trim_end_matches(' ').to_lowercase()
        }
        LegacyValue::Guid(guid) => guid.to_string(),
        LegacyValue::Timestamp(ticks) => {
            let second = ticks.div_euclid(TICKS_PER_SECOND);
            let nanos = ticks.rem_euclid(TICKS_PER_SECOND) * 100;
            let nanos = u32::try_from(nanos).unwrap_or(0);
            DateTime::from_timestamp(second, nanos)
                .map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%S%.3f").to_string())
        }
        other => format!("{other:?}"),
    }
}
