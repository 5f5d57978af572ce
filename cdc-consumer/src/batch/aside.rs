//! Messages on their way to quarantine.

use std::sync::Arc;

use mapping::{plan::TablePlan, position::Position, value::LegacyValue};
use target::{QuarantineEntry, follow::StopReason};

use super::{Batcher, Incoming, headers, mask, route::Route, table::Change};
use crate::{decode::Foreign, flood};

impl Batcher {
    /// A quarantine entry for a change that was read, as far as it could be.
    pub(super) fn entry(
        &self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        change: &Change<'_>,
    ) -> QuarantineEntry {
        let secret = table.sensitive_columns();
        let trouble = change.trouble.as_ref();
        QuarantineEntry {
            table: Some(table.id),
            key: table.canonical_key(&change.values),
            position: change.position,
            // Values that could not be read are missing: then nothing is said of the others.
            whole: trouble.is_none() && !change.values.contains(&LegacyValue::Unchanged),
            rule: trouble.map(|trouble| trouble.fault.rule).unwrap_or_default().into(),
            column: trouble.map(|trouble| trouble.column.clone()).unwrap_or_default(),
            detail: trouble.map(|trouble| trouble.fault.detail.clone()).unwrap_or_default(),
            ..stored(incoming, secret, &self.placeholder)
        }
    }

    /// Puts an event into the quarantine of the open batch; whether it is there. When it is one too
    /// many, its table is stopped before it instead.
    pub(super) fn put_aside(
        &mut self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        entry: QuarantineEntry,
    ) -> bool {
        if self.breaker.bad(table.id, 1) {
            let words = flood::words(&table.table, &entry.rule, &entry.column);
            self.stop(incoming, table, StopReason::Flood, words);
            return false;
        }
        self.open.read_one(table);
        self.open.batch.quarantine.push(entry);
        true
    }

    pub(super) fn push_foreign(&mut self, incoming: &Incoming<'_>, foreign: Foreign) {
        // The topic's table, where an event told it before. Without one nobody knows which
        // columns are secret, so the first sensitive table's rule would be a guess: all are.
        let plan = Arc::clone(&self.plan);
        let memo = self.routes.get(incoming.topic);
        let table = memo.and_then(|memo| match memo.route {
            Route::Table(index) => plan.tables.get(index),
            Route::Marker | Route::Unmapped => None,
        });
        let secret: Vec<String> = match table {
            Some(table) => table.sensitive_columns().to_vec(),
            None => {
                plan.tables.iter().flat_map(|t| t.sensitive_columns().iter().cloned()).collect()
            }
        };
        if let Some(table) = table {
            self.open.read_one(table);
        }
        self.open.batch.quarantine.push(QuarantineEntry {
            table: table.map(|table| table.id),
            rule: foreign.rule.into(),
            detail: foreign.detail,
            ..stored(incoming, &secret, &self.placeholder)
        });
    }
}

/// The message itself, as it goes to quarantine.
fn stored(incoming: &Incoming<'_>, secret: &[String], placeholder: &str) -> QuarantineEntry {
    let value = incoming.value.unwrap_or_default();
    QuarantineEntry {
        table: None,
        entity: None,
        key: None,
        position: Position::ZERO,
        rule: String::new(),
        column: String::new(),
        detail: String::new(),
        payload: mask::mask(value, secret, placeholder).into_owned(),
        payload_key: incoming.key.map(<[u8]>::to_vec),
        payload_headers: headers::to_json(incoming.headers),
        source: Some((incoming.topic.into(), incoming.partition, incoming.offset)),
        whole: false,
    }
}
