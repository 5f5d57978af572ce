//! A quarantined row, read anew from the legacy database: as it is now, at a position that says so.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, anyhow};
use legacy::Session;
use mapping::{
    plan::{Context, ObjectTypes, Outcome, Plan, SourceChange, SourceOp, TablePlan},
    position::Position,
    value::LegacyValue,
};
use target::{
    Batch, QuarantineEntry, Target,
    batch::{LeftOut, ReadCounts},
    quarantine::Entry,
    repair::RereadLock,
};

use crate::{exit::usage, parts, settings::Settings};

/// The legacy server.
pub(super) struct Rows {
    session: Session,
    plan: Arc<Plan>,
    object_types: ObjectTypes,
    /// Comparisons of totals by other processes are told as long as this one may read.
    _lock: RereadLock,
}

impl Rows {
    pub(super) async fn open(
        settings: &Settings,
        plan: &Arc<Plan>,
        object_types: &ObjectTypes,
        target: &Target,
    ) -> anyhow::Result<Self> {
        let lock = target.begin_rereading().await?;
        let session = Session::connect(&parts::legacy(settings)?).await?;
        Ok(Self {
            session,
            plan: Arc::clone(plan),
            object_types: object_types.clone(),
            _lock: lock,
        })
    }

    /// What the row of an entry is now. What capture had reached before the read is visible in it,
    /// so it is at that position; a row that is not there any more is deleted at it.
    pub(super) async fn read(&mut self, entry: &Entry) -> anyhow::Result<Batch> {
        let name = entry.table.as_deref().unwrap_or_default();
        let plan = Arc::clone(&self.plan);
        let table = plan.tables.iter().find(|table| table.table.to_string() == name);
        let (Some(table), Some(key)) = (table, &entry.key) else {
            return Err(usage(format!(
                "entry {} has no table or no key, so its row can't be read anew; discard it once \
                 the row has come by another way",
                entry.id
            )));
        };
        let low = self.session.capture_state().await?.max_lsn;
        let rows = self.session.read_keys(table, std::slice::from_ref(key)).await?;
        let position = low.map_or(Position::ZERO, Position::read_after);
        let gone = || {
            let mut values = vec![LegacyValue::Unchanged; table.columns.len()];
            for (index, part) in table.key.iter().zip(key.parts()) {
                if let Some(value) = values.get_mut(*index) {
                    *value = part;
                }
            }
            values
        };
        let (op, values) = match rows.into_iter().next() {
            Some(row) => (SourceOp::Upsert, row),
            None => (SourceOp::Delete, gone()),
        };
        self.map(table, &SourceChange { op, values: &values, position, sequence: 0 })
            .with_context(|| format!("mapping the row of entry {}", entry.id))
    }

    fn map(&self, table: &TablePlan, change: &SourceChange<'_>) -> anyhow::Result<Batch> {
        let mut batch = Batch::default();
        let seen_at_us = super::retry::now_us();
        let context = Context { object_types: &self.object_types, seen_at_us };
        let mut counts = ReadCounts { read: 1, ..ReadCounts::default() };
        match table.map(change, &context, &mut batch.rows) {
            Outcome::Mapped(_) => batch.tables.push(table.id),
            Outcome::Ignored(rule) => {
                counts.ignored = BTreeMap::from([(rule.to_string(), 1)]);
                let key = table.canonical_key(change.values).ok_or_else(|| anyhow!("no key"))?;
                batch.left_out.push(LeftOut { table: table.id, key, position: change.position });
            }
            Outcome::Rejected(rejection) => batch.quarantine.push(QuarantineEntry {
                table: Some(table.id),
                entity: rejection.entity,
                key: rejection.key,
                position: change.position,
                rule: rejection.rule.to_owned(),
                column: rejection.column,
                detail: rejection.detail,
                // What was stored stays; this is only why it stays.
                payload: Vec::new(),
                payload_key: None,
                payload_headers: None,
                source: None,
                whole: true,
            }),
        }
        batch.read.insert(table.id, counts);
        Ok(batch)
    }
}
