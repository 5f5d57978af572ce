//! Columns that surprise.

use mapping::plan::TablePlan;

use super::{
    Batcher, count,
    table::{Change, Trouble},
};

impl Batcher {
    pub(super) fn note_drift(&mut self, table: &TablePlan, change: &Change<'_>) {
        let missing = change.trouble.as_ref().filter(|trouble| trouble.missing);
        if change.unknown.is_empty() && missing.is_none() {
            return;
        }
        let drift = self.seen.drift.entry(table.id).or_default();
        for column in &change.unknown {
            if !drift.unknown.contains_key(column) {
                tracing::warn!(table = %table.table, column, "a column that the mapping doesn't know");
            }
            count(&mut drift.unknown, column);
        }
        if let Some(trouble) = missing {
            if !drift.missing.contains_key(&trouble.column) {
                let column = &trouble.column;
                tracing::warn!(table = %table.table, column, "a mapped column is not in the events");
            }
            count(&mut drift.missing, &trouble.column);
        }
    }
}

/// What stops a table, and what mends it.
pub(super) fn words(table: &TablePlan, trouble: &Trouble) -> (String, String) {
    let (name, column, problem) = (&table.table, &trouble.column, &trouble.fault.detail);
    let detail = format!("the events of {name} have another shape: column `{column}`: {problem}");
    let remedy = format!(
        "correct the mapping of {name} (or its capture instance), start the consumer with it, then \
         `ficus stream resume {name}`: the table goes on with this very event"
    );
    (detail, remedy)
}
