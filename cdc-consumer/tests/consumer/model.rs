//! What `target::apply` promises, as a map: positions guard, deletes leave tombstones, partial
//! images wait for a whole one.

use std::collections::BTreeMap;

use mapping::{
    key::CanonicalKey,
    position::Position,
    row::{Row, RowBatch, RowKind, fields},
};
use target::{Batch, Checkpoint};

type Fields = Vec<Option<Vec<u8>>>;

/// The target, and where each partition is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    rows: BTreeMap<CanonicalKey, (Position, Fields)>,
    tombstones: BTreeMap<CanonicalKey, Position>,
    parked: BTreeMap<(CanonicalKey, Position), (u64, Fields)>,
    pub(crate) offsets: BTreeMap<(String, i32), i64>,
}

impl Model {
    /// One transaction. A step that doesn't fit is a defect of the caller.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        let Checkpoint::Offsets { advances, .. } = &batch.checkpoint else { panic!("no offsets") };
        for advance in advances {
            let at = self.offsets.entry((advance.topic.clone(), advance.partition)).or_default();
            assert_eq!(*at, advance.expected, "fenced");
            *at = advance.next;
        }
        for part in batch.rows.iter() {
            for row in &part.rows {
                self.change(part, row);
            }
        }
    }

    fn change(&mut self, part: &RowBatch, row: &Row) {
        // Ids are not filled in: the 16 zero bytes are the same for all.
        let values: Fields = fields(&part.fields[row.fields.clone()])
            .map(|field| field.map(<[u8]>::to_vec))
            .collect();
        let key = row.key.clone();
        if row.kind == RowKind::Upsert && row.unchanged != 0 {
            self.parked.insert((key.clone(), row.position), (row.unchanged, values));
        } else if self.is_newer(&key, row.position) {
            match row.kind {
                RowKind::Delete => {
                    self.rows.remove(&key);
                    self.tombstones.insert(key.clone(), row.position);
                }
                RowKind::Upsert | RowKind::SoftDelete => {
                    self.rows.insert(key.clone(), (row.position, values));
                }
            }
        }
        self.release(&key);
    }

    fn is_newer(&self, key: &CanonicalKey, position: Position) -> bool {
        self.rows.get(key).is_none_or(|(at, _)| *at < position)
            && self.tombstones.get(key).is_none_or(|at| *at < position)
    }

    /// Partial images go onto the row that they follow, in the order of their positions.
    fn release(&mut self, key: &CanonicalKey) {
        let waiting: Vec<(CanonicalKey, Position)> =
            self.parked.keys().filter(|(parked, _)| parked == key).cloned().collect();
        for entry in waiting {
            let stale = !self.is_newer(key, entry.1);
            let Some((at, row)) = self.rows.get_mut(key) else {
                if stale {
                    self.parked.remove(&entry);
                }
                continue;
            };
            let Some((unchanged, values)) = self.parked.remove(&entry) else { continue };
            if stale {
                continue;
            }
            *at = entry.1;
            for (index, value) in values.into_iter().enumerate() {
                if unchanged >> index & 1 == 0 {
                    row[index] = value;
                }
            }
        }
    }

    /// The rows that are there, without positions.
    pub(crate) fn contents(&self) -> BTreeMap<CanonicalKey, Fields> {
        self.rows.iter().map(|(key, (_, values))| (key.clone(), values.clone())).collect()
    }

    pub(crate) fn parked_count(&self) -> usize {
        self.parked.len()
    }
}
