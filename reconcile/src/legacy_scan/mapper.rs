//! Rows on their way into the digests: mapped, looked up, hashed, handed over to their ranges.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use legacy::session::LegacyRow;
use mapping::{
    plan::{FILTER_RULE, Outcome, TablePlan},
    row::{Batches, RowBatch, RowKind},
};

use super::{Rows, Scan, shape_error};
use crate::{
    Error,
    digest::Place,
    ids::Found,
    ranges::{Deltas, Ranges},
    rowhash::{Comparer, id_of},
    settings::Event,
    subject::{Delta, table},
};

/// Rows that are looked up with one statement for each entity.
const LOOK_UP_ROWS: usize = 10_000;
const LOOK_UP_BYTES: usize = 8 << 20;
/// Rows that are held at a time, those that are in no batch among them.
const HELD_ROWS: u64 = 20_000;

pub(super) struct Progress {
    pub(super) read: Arc<AtomicU64>,
    pub(super) table: String,
    pub(super) of: u64,
}

impl Progress {
    fn add(&self, scan: &Scan, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let rows = self.read.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        scan.watch.tell(Event::Legacy { table: self.table.clone(), rows, of: self.of });
    }
}

/// Rows of some ranges on their way into the digests.
pub(super) struct Mapper {
    scan: Arc<Scan>,
    ranges: Arc<Ranges>,
    /// By range.
    held: BTreeMap<usize, Held>,
}

struct Held {
    batches: Batches,
    deltas: Deltas,
    rows: u64,
}

impl Default for Held {
    fn default() -> Self {
        Self { batches: Batches::addresses_only(), deltas: Deltas::new(), rows: 0 }
    }
}

impl Mapper {
    pub(super) fn new(scan: Arc<Scan>, ranges: Arc<Ranges>) -> Self {
        Self { scan, ranges, held: BTreeMap::new() }
    }

    pub(super) async fn run(mut self, rows: Rows, progress: Progress) -> Result<(), Error> {
        let scan = Arc::clone(&self.scan);
        let Some(plan) = table(&scan.plan, self.ranges.table) else { return Ok(()) };
        loop {
            let received = rows.lock().await.recv().await;
            if let Some((range, rows)) = &received {
                let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                scan.pace.wait(count).await;
                let Held { batches, deltas, rows: held } = self.held.entry(*range).or_default();
                *held += count;
                let note = |row: &LegacyRow, outcome| note(&scan, plan, row, outcome, deltas);
                scan.map(plan, rows, batches, note);
                progress.add(&scan, rows.len());
            }
            if received.is_none() || self.is_full() {
                self.fold().await?;
            }
            if received.is_none() {
                return Ok(());
            }
        }
    }

    fn is_full(&self) -> bool {
        let held = || self.held.values().map(|held| &held.batches);
        held().map(Batches::row_count).sum::<usize>() >= LOOK_UP_ROWS
            || held().map(Batches::byte_count).sum::<usize>() >= LOOK_UP_BYTES
            // Rows that are in no batch wait as well.
            || self.held.values().map(|held| held.rows).sum::<u64>() >= HELD_ROWS
    }

    /// Looks up the ids of what is held, and hands it over to the ranges.
    async fn fold(&mut self) -> Result<(), Error> {
        let mut counted = Vec::with_capacity(self.held.len());
        let mut all: Vec<RowBatch> = Vec::new();
        let mut owners = Vec::new();
        for (range, held) in std::mem::take(&mut self.held) {
            let wanted = held
                .batches
                .into_inner()
                .into_iter()
                .filter(|batch| self.scan.subjects.of_part(batch.entity, batch.part).is_some());
            all.extend(wanted);
            owners.resize(all.len(), counted.len());
            counted.push((range, held.rows, held.deltas));
        }
        let found = self.scan.ids.fill(&mut all).await?;
        for ((batch, found), owner) in all.iter().zip(&found).zip(owners) {
            if let Some((_, _, deltas)) = counted.get_mut(owner) {
                add(&self.scan, batch, found, deltas)?;
            }
        }
        for (range, rows, deltas) in counted {
            self.ranges.fold(&self.scan, range, (rows, deltas));
        }
        Ok(())
    }
}

/// Accounts for a row that is not in the batches.
fn note(scan: &Scan, plan: &TablePlan, row: &LegacyRow, outcome: Outcome, deltas: &mut Deltas) {
    let entity = match &outcome {
        Outcome::Mapped(entity) => Some(*entity),
        Outcome::Rejected(rejection) => rejection.entity,
        Outcome::Ignored(_) => None,
    };
    let Some(subject) = scan.subjects.of_table(plan.id, entity) else { return };
    let counted = &mut deltas.entry(subject).or_default().counted;
    counted.read += 1;
    match outcome {
        Outcome::Mapped(_) => {}
        Outcome::Ignored(rule) => counted.ignore(rule.as_ref(), 1),
        Outcome::Rejected(rejection) => match rejection.key.or_else(|| plan.canonical_key(row)) {
            Some(key) => counted.remember(key, scan.settings.candidates_max),
            None => counted.keyless += 1,
        },
    }
}

fn add(scan: &Scan, batch: &RowBatch, found: &Found, deltas: &mut Deltas) -> Result<(), Error> {
    let Some(index) = scan.subjects.of_part(batch.entity, batch.part) else { return Ok(()) };
    let subject = scan.subjects.get(index);
    let Delta { counted, hashed } = deltas.entry(index).or_default();
    let mut scratch = Vec::new();
    hashed.reserve(batch.rows.len());
    counted.read += u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
    for row in &batch.rows {
        if subject.is_gone(row.kind) {
            // The target must have neither; what it has all the same is extra.
            if row.filtered {
                counted.ignore(FILTER_RULE, 1);
            } else {
                counted.gone += 1;
            }
            continue;
        }
        let ids = found.get(row.slots.clone()).unwrap_or_default();
        if !matches!(ids.first(), Some(Some(_))) {
            counted.remember(row.key.clone(), scan.settings.candidates_max);
            continue;
        }
        let fields = batch.fields.get(row.fields.clone()).unwrap_or_default();
        let is_deleted = row.kind == RowKind::SoftDelete;
        let hash = subject.comparer.hash(fields, is_deleted, &mut scratch);
        let shape = |_| shape_error(&scan.plan, index, &scan.subjects);
        let mut hash = hash.map_err(shape)?;
        if !is_deleted && ids.iter().any(Option::is_none) {
            hash = Comparer::hash_unresolved(hash);
        }
        hashed.push((Place::of(&id_of(fields).map_err(shape)?), hash));
    }
    Ok(())
}
