//! Row filters: `[entity.where]` with lines of `Kind = 1`.
//!
//! | a condition | takes |
//! | --- | --- |
//! | `Kind = 1`, `Kind = [1, 2]` | rows with one of the values |
//! | `Kind = { not = [3, 4] }` | all others, NULL among them |
//! | `Kind = { null = true }`, `{ null = false }` | rows with NULL; rows without |
//! | `Kind = { is = [1, 2], null = true }`, `{ not = 3, null = false }` | both said |
//!
//! A row has to meet all conditions of an entity.

use std::fmt;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Literal, Mistakes, Said,
    options::{Level, Options, entries, literals},
};

/// What one column has to be.
#[derive(Debug)]
pub(crate) struct Condition {
    /// The legacy column.
    pub(crate) column: Said<String>,
    pub(crate) values: Vec<Said<Literal>>,
    /// Whether it takes all but `values`.
    pub(crate) negated: bool,
    /// Whether it takes NULL.
    pub(crate) null: bool,
}

impl fmt::Display for Condition {
    /// As people read it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        let column = &self.column;
        let values = values.join(" or ");
        match (values.is_empty(), self.negated, self.null) {
            (true, _, true) => write!(f, "{column} is NULL"),
            (true, _, false) => write!(f, "{column} is not NULL"),
            (false, false, false) => write!(f, "{column} is {values}"),
            (false, false, true) => write!(f, "{column} is {values} or NULL"),
            (false, true, true) => write!(f, "{column} is not {values}"),
            (false, true, false) => write!(f, "{column} is not {values} or NULL"),
        }
    }
}

/// What a condition may say.
pub(crate) const CONDITION_KEYS: [&str; 3] = ["is", "not", "null"];

/// The conditions of an entity, in the file's order.
pub(super) fn conditions(options: &mut Options<'_, '_>, m: &mut Mistakes<'_>) -> Vec<Condition> {
    let mut found = Vec::new();
    for (column, value) in options.entries("where", m) {
        read(column, value, m, &mut found);
    }
    found
}

fn read(
    column: Said<String>,
    value: &Spanned<DeValue<'_>>,
    m: &mut Mistakes<'_>,
    found: &mut Vec<Condition>,
) {
    let DeValue::Table(table) = value.get_ref() else {
        let what = format!("the condition on `{column}`");
        let values = literals(column.at.file, &what, value, m);
        if values.is_empty() {
            m.add(column.at, format!("{what} takes no row"), "write a value, or a list of some");
        }
        found.push(Condition { column, values, negated: false, null: false });
        return;
    };
    // `Party.Kind = 1` without quotes is a table in a table.
    let is_condition =
        table.is_empty() || table.keys().any(|key| CONDITION_KEYS.contains(&&**key.get_ref()));
    if is_condition {
        found.extend(condition(column, table, m));
        return;
    }
    for (inner, value) in entries(table, column.at.file) {
        let joined = Said::new(format!("{}.{}", column.value, inner.value), inner.at);
        read(joined, value, m, found);
    }
}

fn condition(column: Said<String>, table: &DeTable<'_>, m: &mut Mistakes<'_>) -> Option<Condition> {
    let what = format!("the condition on `{column}`");
    let mut options = Options::new(Level::Condition, table, column.at, what.clone());
    let is = options.literals("is", m);
    let not = options.literals("not", m);
    let null = options.maybe_flag("null", m);
    options.finish(m);
    if let (Some(_), Some(_)) = (&is, &not) {
        m.add(column.at, format!("{what} says both `is` and `not`"), "keep one of them");
        return None;
    }
    let negated = match (&is, &not, null) {
        (None, None, None) => {
            m.add(
                column.at,
                format!("{what} takes no row"),
                "write is = 1, not = 1 or null = true",
            );
            return None;
        }
        (Some(_), ..) => false,
        (None, Some(_), _) => true,
        // `null = true` takes no other value, and `null = false` every one.
        (None, None, Some(null)) => !null,
    };
    let is_empty = |values: &Option<Vec<_>>| values.as_ref().is_some_and(Vec::is_empty);
    if is_empty(&is) || is_empty(&not) {
        m.add(column.at, format!("{what} names no value"), "write a value, or a list of some");
    }
    let values = is.or(not).unwrap_or_default();
    let null = null.unwrap_or(negated);
    Some(Condition { column, values, negated, null })
}
