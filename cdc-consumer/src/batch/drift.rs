//! Columns that surprise: what is done about them, by the policy of their table.

use std::{collections::BTreeMap, sync::Arc};

use mapping::plan::{TableId, TablePlan, TableRole};
use target::{
    drift::{DriftKind, DriftNote},
    follow::StopReason,
};

use super::{Batcher, Incoming, table::Change};
use crate::settings::DriftPolicy;

/// Columns that one batch tells of at most, so that nobody fills Postgres with invented names.
const NOTES_MAX: usize = 1_000;
/// The mask of unknown columns has so many bits, the id's among them.
const TOLERANT_COLUMNS_MAX: usize = 63;

/// How an event goes on.
pub(super) enum Met {
    /// As the plan says.
    Whole,
    /// With the plan that leaves alone what could not be read.
    InPart(Arc<TablePlan>),
    /// Into quarantine, because of this column.
    Aside(String, DriftKind),
    /// Not at all: the table was stopped before it.
    Stopped,
}

/// Notes of the open batch.
pub(super) type Notes = BTreeMap<(TableId, DriftKind, String), DriftNote>;

impl Batcher {
    /// Decides about an event whose columns surprise.
    pub(super) fn meet(
        &mut self,
        incoming: &Incoming<'_>,
        table: &TablePlan,
        change: &Change<'_>,
    ) -> Met {
        let trouble = change.trouble.as_ref().filter(|trouble| trouble.drift);
        // Nobody is interested in the other columns of the dictionary of types.
        let unknown = match &table.role {
            TableRole::Entities(_) => change.unknown.as_slice(),
            TableRole::ObjectTypes | TableRole::Ignored { .. } => &[],
        };
        if unknown.is_empty() && trouble.is_none() {
            return Met::Whole;
        }
        let mut surprises: Vec<(&str, DriftKind, &str)> = unknown
            .iter()
            .map(|column| (column.as_str(), DriftKind::Unknown, "the mapping does not know it"))
            .collect();
        surprises.extend(trouble.map(|trouble| {
            let kind = if trouble.missing { DriftKind::Missing } else { DriftKind::Retyped };
            (trouble.column.as_str(), kind, trouble.fault.detail.as_str())
        }));
        let policy = |kind| self.drift_policies.of(&table.table, kind);
        let stops = surprises.iter().find(|(_, kind, _)| policy(*kind) == DriftPolicy::Stop);
        if let Some((column, _, problem)) = stops {
            let words = words(table, column, problem);
            self.stop(incoming, table, StopReason::Drift, words);
            return Met::Stopped;
        }
        let tolerant = trouble.and_then(|_| self.tolerant(table));
        let aside = |kind: DriftKind| {
            let unreadable = kind != DriftKind::Unknown && tolerant.is_none();
            unreadable || self.drift_policies.of(&table.table, kind) == DriftPolicy::Quarantine
        };
        let set_aside = surprises.iter().rev().find(|(_, kind, _)| aside(*kind));
        let set_aside = set_aside.map(|(column, kind, _)| ((*column).to_owned(), *kind));
        let done = if set_aside.is_some() { DriftPolicy::Quarantine } else { DriftPolicy::Report };
        for (column, kind, _) in &surprises {
            self.note(table, (column, *kind), change, done);
        }
        match (set_aside, tolerant) {
            (Some((column, kind)), _) => Met::Aside(column, kind),
            (None, Some(tolerant)) => Met::InPart(tolerant),
            (None, None) => Met::Whole,
        }
    }

    fn note(
        &mut self,
        table: &TablePlan,
        (column, kind): (&str, DriftKind),
        change: &Change<'_>,
        done: DriftPolicy,
    ) {
        let seen = self.seen.drift.entry(table.id).or_default();
        let columns = match kind {
            DriftKind::Unknown => &mut seen.unknown,
            DriftKind::Missing => &mut seen.missing,
            DriftKind::Retyped => &mut seen.retyped,
        };
        if !columns.contains_key(column) {
            if columns.len() >= NOTES_MAX {
                return;
            }
            let (name, kind, done) = (&table.table, kind.as_str(), done.as_str());
            tracing::warn!(table = %name, column, kind, done, "a column surprises");
        }
        super::count(columns, column);
        let notes = &mut self.open.drift;
        let note = notes.entry((table.id, kind, column.to_owned())).or_insert_with(|| DriftNote {
            table: table.id,
            column: column.to_owned(),
            kind,
            policy: done.as_str(),
            events: 0,
            first: change.position,
        });
        note.events += 1;
        note.policy = done.as_str();
    }

    /// The table's plan with every column but the key as one that an event need not carry; `None`
    /// for a table that is too wide for that.
    pub(super) fn tolerant(&mut self, table: &TablePlan) -> Option<Arc<TablePlan>> {
        if let Some(known) = self.tolerant.get(&table.id) {
            return known.clone();
        }
        let entities = match &table.role {
            TableRole::Entities(entities) => entities.as_slice(),
            TableRole::ObjectTypes | TableRole::Ignored { .. } => &[],
        };
        let is_narrow = entities.iter().all(|(entity, part)| {
            let entity = self.plan.entities.get(usize::from(entity.0));
            let part = entity.and_then(|entity| entity.parts.get(usize::from(*part)));
            part.is_some_and(|part| part.columns.len() <= TOLERANT_COLUMNS_MAX)
        });
        let tolerant = is_narrow.then(|| {
            let mut tolerant = table.clone();
            for column in &mut tolerant.columns {
                column.lob |= !column.key;
            }
            Arc::new(tolerant)
        });
        self.tolerant.insert(table.id, tolerant.clone());
        tolerant
    }
}

/// What stops a table, and what mends it.
fn words(table: &TablePlan, column: &str, problem: &str) -> (String, String) {
    let name = &table.table;
    let detail = format!("the events of {name} have another shape: column `{column}`: {problem}");
    let remedy = format!(
        "correct the mapping of {name} (or its capture instance), start the consumer with it, then \
         `ficus stream resume {name}`: the table goes on with this very event"
    );
    (detail, remedy)
}
