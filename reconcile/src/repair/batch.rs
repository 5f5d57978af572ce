//! Legacy rows that were read by key, as a batch for the one way in. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use legacy::{payload::Form, session::LegacyRow};
use mapping::{
    key::CanonicalKey,
    plan::{
        Context, ObjectTypes, Outcome, Rejection, SourceChange, SourceOp, TablePlan, TableRole,
    },
    position::Position,
    value::LegacyValue,
};
use target::{Batch, QuarantineEntry, batch::LeftOut};

/// What is the same for all rows.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) table: &'a TablePlan,
    pub(super) object_types: &'a ObjectTypes,
    /// What the rows are stamped with.
    pub(super) position: Position,
}

/// The batch, and how many keys have no row and are left alone (`keys` says of each whether it is
/// deleted then).
pub(super) fn fill(
    known: Known<'_>,
    rows: Vec<LegacyRow>,
    keys: &BTreeMap<CanonicalKey, bool>,
) -> (Batch, u64) {
    let mut batch = Batch::default();
    let mut found = BTreeSet::new();
    for row in rows {
        found.extend(known.table.canonical_key(&row));
        add(known, &mut batch, SourceOp::Upsert, &row);
    }
    let mut gone = 0;
    for (key, is_removed) in keys.iter().filter(|(key, _)| !found.contains(key)) {
        if *is_removed {
            add(known, &mut batch, SourceOp::Delete, &image(known.table, key));
        } else {
            gone += 1;
        }
    }
    (batch, gone)
}

/// The last image of a row that is not there: its key, and nothing else.
fn image(table: &TablePlan, key: &CanonicalKey) -> LegacyRow {
    let mut values = vec![LegacyValue::Unchanged; table.columns.len()];
    for (index, part) in table.key.iter().zip(key.parts()) {
        if let Some(value) = values.get_mut(*index) {
            *value = part;
        }
    }
    values
}

fn add(known: Known<'_>, batch: &mut Batch, op: SourceOp, row: &LegacyRow) {
    let Known { table, object_types, position } = known;
    let sequence = u32::try_from(batch.tables.len()).unwrap_or(u32::MAX);
    let change = SourceChange { op, values: row, position, sequence };
    let seen_at_us = Utc::now().timestamp_micros();
    let outcome = table.map(&change, &Context { object_types, seen_at_us }, &mut batch.rows);
    let counts = batch.read.entry(table.id).or_default();
    counts.read += 1;
    match outcome {
        Outcome::Mapped(_) => batch.tables.push(table.id),
        Outcome::Ignored(rule) => {
            *counts.ignored.entry(rule.to_string()).or_default() += 1;
            // Only where a table feeds several entities can an entry wait whose entity is not known.
            let feeds = matches!(&table.role, TableRole::Entities(all) if all.len() > 1);
            let key = feeds.then(|| table.canonical_key(row)).flatten();
            batch.left_out.extend(key.map(|key| LeftOut { table: table.id, key, position }));
        }
        Outcome::Rejected(rejection) => {
            batch.quarantine.push(entry(known, *rejection, row));
        }
    }
}

fn entry(known: Known<'_>, rejection: Rejection, row: &LegacyRow) -> QuarantineEntry {
    QuarantineEntry {
        table: Some(known.table.id),
        entity: rejection.entity,
        key: rejection.key,
        position: known.position,
        rule: rejection.rule.to_owned(),
        column: rejection.column,
        detail: rejection.detail,
        payload: Form::new(known.table).show(row),
        payload_key: None,
        payload_headers: None,
        source: None,
        whole: true,
    }
}
