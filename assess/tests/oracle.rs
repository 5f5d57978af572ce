//! What the demo's rows hold, counted without the code under test.

use std::collections::BTreeMap;

use mapping::{
    catalog::{SqlType, Table},
    value::LegacyValue,
};
use sandbox::legacy::Values;
use spacehub::lab::Legacy;

/// (table, column, code) → rows.
pub(crate) type Found = BTreeMap<(String, String, String), u64>;

/// Every row of a table, as it is stored.
pub(crate) fn rows(legacy: &Legacy, table: &str) -> Vec<Values> {
    legacy.database.rows(table).expect("a table")
}

/// The place of a column.
pub(crate) fn place(legacy: &Legacy, table: &str, column: &str) -> usize {
    let catalog = legacy.database.catalog();
    let table = catalog.tables.iter().find(|t| t.table.name == table).expect("a table");
    table.columns.iter().position(|c| c.name == column).expect("a column")
}

/// A column's values.
pub(crate) fn column(legacy: &Legacy, table: &str, column: &str) -> Vec<LegacyValue<'static>> {
    let place = place(legacy, table, column);
    rows(legacy, table).into_iter().map(|mut row| row.swap_remove(place)).collect()
}

/// Texts that Postgres refuses, and money with a third digit, in all tables that migrate.
pub(crate) fn refused(legacy: &Legacy, tables: &[String]) -> Found {
    let mut found = Found::new();
    let catalog = legacy.database.catalog();
    for table in catalog.tables.iter().filter(|t| tables.contains(&t.table.name)) {
        for row in rows(legacy, &table.table.name) {
            for (column, value) in table.columns.iter().zip(&row) {
                if let Some(code) = refusal(table, &column.sql_type, value) {
                    let place = (table.table.name.clone(), column.name.clone(), code.to_owned());
                    *found.entry(place).or_default() += 1;
                }
            }
        }
    }
    found
}

fn refusal(table: &Table, sql_type: &SqlType, value: &LegacyValue<'_>) -> Option<&'static str> {
    match value {
        LegacyValue::Text(text) if text.contains('\0') => Some("text.nul"),
        LegacyValue::BrokenText(_) => Some("text.surrogate"),
        LegacyValue::Decimal(number) if *sql_type == SqlType::Money => {
            (number.unscaled % 100 != 0).then_some("money.fraction")
        }
        // PaidTotal is the one float that is money; its text form has what a person typed.
        LegacyValue::Float(number) if table.table.name == "Invoice" => {
            let text = number.to_string();
            let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            (digits > 2).then_some("money.fraction")
        }
        _ => None,
    }
}

/// Ticks of a wall time.
pub(crate) fn ticks(year: i32, month: u32, day: u32, minute: i64) -> i64 {
    let date = chrono::NaiveDate::from_ymd_opt(year, month, day).expect("a day");
    (i64::from(date.to_epoch_days()) * 1440 + minute) * 60 * 10_000_000
}

/// Whether Ulaanbaatar's clock never showed a time: the four hours that summer time skipped and
/// that the demo's data meet.
pub(crate) fn is_skipped(value: &LegacyValue<'_>) -> bool {
    let gaps = [(1983, 4, 1, 0), (2015, 3, 28, 120), (2016, 3, 26, 120)];
    let hour = 60 * 60 * 10_000_000;
    let begins = gaps.map(|(year, month, day, minute)| ticks(year, month, day, minute));
    match value {
        LegacyValue::Timestamp(at) => {
            begins.iter().any(|begin| (*begin..begin + hour).contains(at))
        }
        _ => false,
    }
}
