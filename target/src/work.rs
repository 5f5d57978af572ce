//! A batch taken apart: what each entity's locks must be, and what is counted once.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use mapping::{
    key::CanonicalKey,
    plan::{EntityId, TableId, TableRole},
    row::RowKind,
    sequence::Numbers,
};
use uuid::Uuid;

use crate::{Batch, Error, Target, gate::Demand};

/// A batch on its way, kept whole for the next attempt.
pub(crate) struct Work {
    pub(crate) batch: Batch,
    /// Told by the checkpoint's rows once the batch is committed.
    pub(crate) tag: Uuid,
    pub(crate) parts: Vec<mapping::row::RowBatch>,
    pub(crate) numbers: Numbers,
    /// Those that are not put yet, by address.
    pub(crate) objects: BTreeMap<String, Bytes>,
    pub(crate) demands: BTreeMap<EntityId, Demand>,
    /// Rows that are not the first of their source row.
    pub(crate) seconds: HashSet<(usize, usize)>,
    /// Rows outside their entity's filter that were taken out, by table.
    pub(crate) outside: BTreeMap<TableId, usize>,
    /// Keys of quarantined rows, and which entry has which.
    pub(crate) keyed: Vec<(EntityId, CanonicalKey)>,
    pub(crate) keyed_by_entry: Vec<Option<usize>>,
}

impl Target {
    pub(crate) fn prepare(&self, mut batch: Batch) -> Result<Work, Error> {
        let numbers = std::mem::take(&mut batch.rows.numbers);
        let mut parts = std::mem::take(&mut batch.rows).into_inner();
        let objects = self.take_objects(&mut parts)?;
        let demands = self.demands(&parts, &batch.quarantine)?;
        let mut keyed = Vec::new();
        let mut keyed_by_entry = Vec::with_capacity(batch.quarantine.len());
        for entry in &batch.quarantine {
            let key = entry.entity.zip(entry.key.as_ref());
            keyed_by_entry.push(key.map(|(entity, key)| {
                keyed.push((entity, key.clone()));
                keyed.len() - 1
            }));
        }
        let seconds = self.second_rows(&parts);
        let tag = Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext));
        let outside = BTreeMap::new();
        Ok(Work {
            batch,
            tag,
            parts,
            numbers,
            objects,
            demands,
            seconds,
            outside,
            keyed,
            keyed_by_entry,
        })
    }

    /// A source row that became rows of several entities (a delete without a known type) is
    /// counted once; by its upsert where it has one.
    fn second_rows(&self, parts: &[mapping::row::RowBatch]) -> HashSet<(usize, usize)> {
        let mut seconds = HashSet::new();
        let mut firsts: BTreeMap<TableId, HashSet<u32>> = BTreeMap::new();
        let shared = |table: TableId| {
            let plan = self.plan().tables.get(usize::from(table.0));
            plan.is_some_and(
                |plan| matches!(&plan.role, TableRole::Entities(entities) if entities.len() > 1),
            )
        };
        for deletes in [false, true] {
            for (index, part) in parts.iter().enumerate() {
                let Some(table) = self.table_of(part.entity, part.part).filter(|t| shared(*t))
                else {
                    continue;
                };
                let seen = firsts.entry(table).or_default();
                for (row_index, row) in part.rows.iter().enumerate() {
                    let is_delete = row.kind == RowKind::Delete;
                    if is_delete == deletes && !seen.insert(row.sequence) {
                        seconds.insert((index, row_index));
                    }
                }
            }
        }
        seconds
    }

    /// The entities that a table's rows may belong to, each with the table's part of it.
    pub(crate) fn entities_fed(&self, table: Option<TableId>) -> Vec<(EntityId, u8)> {
        let plan = table.and_then(|table| self.plan().tables.get(usize::from(table.0)));
        match plan.map(|plan| &plan.role) {
            Some(TableRole::Entities(entities)) => entities.clone(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn table_of(&self, entity: EntityId, part: u8) -> Option<TableId> {
        let entity = self.plan().entities.get(usize::from(entity.0))?;
        entity.parts.get(usize::from(part)).map(|part| part.table)
    }
}
