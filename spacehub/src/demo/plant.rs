//! Rows that can't migrate, on purpose: one for each rule that Spacehub's mapping can break.
//!
//! Nothing else refers to them, so they make no other row wrong. Domain property-owners has
//! none; domain contracts has three, which [`super::writer::repair_contracts`] puts right, so
//! that newer good images take their place.

mod rows;

use std::{borrow::Cow, fmt};

use mapping::value::LegacyValue;
use sandbox::legacy::{Error, Values};
use uuid::Uuid;

use super::{Load, value::Value};

/// A row that must end in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedDefect {
    /// The legacy table.
    pub table: &'static str,
    /// Its primary key, in the key's own order.
    pub key: Vec<LegacyValue<'static>>,
    /// The column that is wrong.
    pub column: &'static str,
    /// The rule that finds it, as quarantine names it.
    pub rule: &'static str,
    /// What is wrong, for people.
    pub what: Cow<'static, str>,
}

/// Rows that refer to nothing. They migrate; the gate of their domain lists them.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedOrphan {
    /// The legacy table.
    pub table: &'static str,
    /// The column or columns that refer to nothing.
    pub column: &'static str,
    /// How many rows do.
    pub rows: u64,
    /// What is wrong, for people.
    pub what: &'static str,
}

impl fmt::Display for PlantedDefect {
    /// `Invoice 40000001: PaidTotal, money.inexact (a float …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = crate::model::key_text(&self.key);
        write!(f, "{} {key}: {}, {} ({})", self.table, self.column, self.rule, self.what)
    }
}

/// Where planted and the writer's own numbers begin: far above the regular ones.
pub(crate) const FIRST_OID: u64 = 40_000_000;

/// A planted row's GUID, easy to recognise.
pub(crate) fn planted_guid(number: u64) -> Uuid {
    Uuid::from_u128(0xbad0_0000_0000_4000_8000_0000_0000_0000 | u128::from(number))
}

/// A row to plant.
pub(crate) struct Planting {
    pub(crate) table: &'static str,
    pub(crate) row: Values,
    /// Places of the key in the row, in the key's own order; its column, rule and description.
    pub(crate) defect: Option<(&'static [usize], &'static str, &'static str, &'static str)>,
}

/// Loads all planted rows, and says which are wrong.
pub(crate) fn plant(load: &mut Load<'_>) -> Result<Vec<PlantedDefect>, Error> {
    let mut planted = Vec::new();
    for planting in rows::all() {
        if let Some((key, column, rule, what)) = planting.defect {
            let part = |at: &usize| planting.row.get(*at).cloned().unwrap_or(Value::Null);
            planted.push(PlantedDefect {
                table: planting.table,
                key: key.iter().map(part).collect(),
                column,
                rule,
                what: Cow::Borrowed(what),
            });
        }
        load.table(planting.table, [planting.row])?;
    }
    Ok(planted)
}

/// The orphans among the planted rows.
pub(crate) fn orphans() -> Vec<PlantedOrphan> {
    vec![
        PlantedOrphan {
            table: "ContractItem",
            column: "KeyCompanyNo, KeyContractNo",
            rows: 2,
            what: "an item whose contract was deleted years ago",
        },
        PlantedOrphan {
            table: "InvoiceLine",
            column: "Invoice",
            rows: 2,
            what: "lines of an invoice that a script deleted",
        },
    ]
}
