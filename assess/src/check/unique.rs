//! Unique indexes: whether the live rows stay unique once a mapping has cleaned their texts.
//!
//! SQL Server calls NULLs equal, and texts that differ in case (as the collation says) or in
//! blanks behind; so does this check (trap 4). What a mapping usually adds is blanks before
//! (`trim = "both"`) and '' (`empty = "null"`): rows that become equal by that are told.

use std::{borrow::Cow, collections::HashSet};

use mapping::{
    catalog::{SqlType, UniqueIndex},
    probe::KeyColumns,
    value::LegacyValue,
};

use super::{Check, Told};
use crate::{
    code,
    names::{plural, snake},
    row::{Row, Tally},
    subject::Subject,
};

/// Rows of one index that are remembered; of a larger one only the rules are told.
const ROWS_MAX: usize = 8_000_000;

/// Of one unique index.
pub(super) struct Unique<'a> {
    subject: &'a Subject<'a>,
    index: &'a UniqueIndex,
    /// The columns that make it, `GCRecord` aside.
    columns: Vec<(usize, KeyColumns)>,
    /// Whether `GCRecord` is one: then rows are unique among the live ones.
    live_only: bool,
    seen: Option<HashSet<u64>>,
    /// Whether there were more rows than are remembered.
    too_many: bool,
    clashes: Tally,
    nulls: u64,
}

impl<'a> Unique<'a> {
    /// All of a table's, but those of the key's columns and those with a filter of their own.
    pub(super) fn all(subject: &'a Subject<'a>) -> Vec<Self> {
        subject.table.unique_indexes.iter().filter_map(|index| Self::of(subject, index)).collect()
    }

    fn of(subject: &'a Subject<'a>, index: &'a UniqueIndex) -> Option<Self> {
        let is_soft_delete = |name: &&String| name.eq_ignore_ascii_case("GCRecord");
        let column = |name: &String| {
            let place = subject.place(name)?;
            let one = std::slice::from_ref(name);
            let key = KeyColumns::of(subject.table, &subject.catalog.collation, one)?;
            Some((place, key.at(&[0])?))
        };
        let columns: Option<Vec<_>> =
            index.columns.iter().filter(|name| !is_soft_delete(name)).map(column).collect();
        Some(Self {
            subject,
            index,
            columns: columns.filter(|columns| !columns.is_empty())?,
            live_only: index.columns.iter().any(|name| is_soft_delete(&name)),
            seen: index.filter.is_none().then(HashSet::new),
            too_many: false,
            clashes: Tally::default(),
            nulls: 0,
        })
    }

    /// The digest of a row's values as a mapping would clean them, and whether one is NULL;
    /// `None` for a value that has no canonical form.
    fn digest(&self, row: &Row<'_>) -> Option<(u64, bool)> {
        let mut bytes = Vec::with_capacity(32);
        let mut has_null = false;
        for (place, key) in &self.columns {
            match cleaned(row.value(*place)) {
                LegacyValue::Null => {
                    has_null = true;
                    bytes.push(0);
                }
                value => bytes.extend_from_slice(key.canonical(&[value]).ok()?.as_bytes()),
            }
        }
        Some((xxhash_rust::xxh3::xxh3_64(&bytes), has_null))
    }
}

/// Trimmed; '' is NULL.
fn cleaned<'v>(value: &'v LegacyValue<'static>) -> LegacyValue<'v> {
    match value {
        LegacyValue::Text(text) => match text.trim_matches(' ') {
            "" => LegacyValue::Null,
            text => LegacyValue::Text(Cow::Borrowed(text)),
        },
        other => other.clone(),
    }
}

impl Check for Unique<'_> {
    fn look(&mut self, row: &Row<'_>) {
        if self.live_only && row.is_deleted {
            return;
        }
        let Some((digest, has_null)) = self.digest(row) else { return };
        self.nulls += u64::from(has_null);
        let Some(seen) = &mut self.seen else { return };
        if !seen.insert(digest) {
            self.clashes.add(row);
        }
        if seen.len() > ROWS_MAX {
            self.too_many = true;
            self.seen = None;
        }
    }

    fn tell(self: Box<Self>, told: &mut Told<'_>) {
        let names: Vec<&str> = self.index.columns.iter().map(String::as_str).collect();
        let message = format!(
            "the same as another live row in {}, once blanks are trimmed and '' is NULL",
            self.index.name
        );
        let advice = "correct the rows in the legacy application, or leave `trim` and `empty` out of their columns";
        told.rows(code::UNIQUE_CLASH, &names, self.clashes.clone(), message, advice);
        let rules = self.rules();
        if !rules.is_empty() {
            let message = format!("{} is unique otherwise in Postgres: {rules}", self.index.name);
            let mut hazard = super::hazard(code::UNIQUE_RULES, &names, message, self.statement());
            hazard.count = (self.nulls > 0).then_some(self.nulls);
            told.hazards.push(hazard);
        }
    }
}

impl Unique<'_> {
    fn column(&self, name: &str) -> Option<&mapping::catalog::Column> {
        self.subject.table.column(name)
    }

    /// In which way Postgres would read the index otherwise.
    fn rules(&self) -> String {
        let columns = || self.index.columns.iter().filter_map(|name| self.column(name));
        let is_soft_delete = |name: &str| name.eq_ignore_ascii_case("GCRecord");
        let mut rules = Vec::new();
        if let Some(filter) = &self.index.filter {
            rules.push(format!("it holds only where {filter}"));
        }
        if self.live_only {
            rules.push("GCRecord is in it, so it holds among the live rows".to_owned());
        }
        if columns().any(|column| column.nullable && !is_soft_delete(&column.name)) {
            rules.push("SQL Server calls NULLs equal".to_owned());
        }
        let is_folded = |column: &mapping::catalog::Column| {
            let is_text = !matches!(column.sql_type, SqlType::UniqueIdentifier | SqlType::Int);
            let collation = column.collation.as_deref().filter(|_| is_text);
            collation.is_some_and(|name| name.to_ascii_uppercase().split('_').any(|w| w == "CI"))
        };
        if columns().any(is_folded) {
            rules.push("SQL Server calls texts equal that differ in case".to_owned());
        }
        if self.too_many {
            rules.push(format!(
                "whether its rows stay unique was not checked, there are more than {ROWS_MAX}"
            ));
        }
        rules.join("; ")
    }

    /// The index, as Postgres has to be told.
    fn statement(&self) -> String {
        let of = |name: &String| {
            let is_text = self.column(name).is_some_and(|column| column.collation.is_some());
            let name = snake(name);
            if is_text { format!("upper({name})") } else { name }
        };
        let is_soft_delete = |name: &&String| name.eq_ignore_ascii_case("GCRecord");
        let columns: Vec<String> =
            self.index.columns.iter().filter(|name| !is_soft_delete(name)).map(of).collect();
        let table = plural(&self.subject.table.table.name).replace('-', "_");
        let live = if self.live_only { " where deleted_at is null" } else { "" };
        format!("create unique index on {table} ({}) nulls not distinct{live};", columns.join(", "))
    }
}
