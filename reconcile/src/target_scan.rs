//! One streaming scan of a subject's target side into its digest, by several connections.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mapping::position::Lsn;
use target::{
    Target,
    compare::{ScannedRow, SharePart},
};
use tokio::task::JoinSet;

use crate::{
    Error,
    legacy_scan::{Scan, join, shape_error},
    rowhash::{BadShape, Comparer, values},
    settings::Event,
    subject::Subject,
};

/// Rows that are hashed before the digest is locked, and between two events.
const FOLD_ROWS: usize = 4_096;

/// Scans a subject's rows; `low` is S.
pub(crate) async fn scan_target(
    scan: &Arc<Scan>,
    target: &Arc<Target>,
    index: usize,
    low: Option<Lsn>,
) -> Result<(), Error> {
    let subject = scan.subjects.get(index);
    let entity = crate::subject::entity(&scan.plan, subject.entity);
    let name = entity.map(|entity| entity.name.clone()).unwrap_or_default();
    let doing = format!("reading the target's {name}");
    let parts_max = scan.settings.readers_max;
    let parts = target.cut_share(subject.entity, subject.share(), parts_max).await;
    let read = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for part in parts.map_err(Error::target(doing.clone()))? {
        let folder = Folder {
            scan: Arc::clone(scan),
            index,
            low: low.unwrap_or(Lsn::ZERO),
            name: name.clone(),
            scratch: Vec::new(),
            hashed: Vec::with_capacity(FOLD_ROWS),
            later: 0,
            read: Arc::clone(&read),
            failed: false,
        };
        tasks.spawn(folder.scan_part(Arc::clone(target), part));
    }
    join(&mut tasks, &scan.watch, &doing).await
}

struct Folder {
    scan: Arc<Scan>,
    index: usize,
    low: Lsn,
    name: String,
    scratch: Vec<u8>,
    hashed: Vec<([u8; 16], u128)>,
    later: u64,
    /// Rows of all parts.
    read: Arc<AtomicU64>,
    failed: bool,
}

impl Folder {
    async fn scan_part(mut self, target: Arc<Target>, part: SharePart) -> Result<(), Error> {
        let scan = Arc::clone(&self.scan);
        let subject = scan.subjects.get(self.index);
        let mut each = |row: ScannedRow<'_>| self.add(subject, &row);
        let rows = target.scan_part(part, &mut each).await;
        rows.map_err(Error::target(format!("reading the target's {}", self.name)))?;
        self.fold();
        if self.failed { Err(shape_error(&scan.plan, self.index, &scan.subjects)) } else { Ok(()) }
    }

    fn add(&mut self, subject: &Subject, row: &ScannedRow<'_>) {
        let Ok(hash) = hash(subject, row, &mut self.scratch) else {
            self.failed = true;
            return;
        };
        self.later += u64::from(row.position.is_some_and(|position| position.lsn() > self.low));
        self.hashed.push((row.id, hash));
        if self.hashed.len() >= FOLD_ROWS {
            self.fold();
        }
    }

    fn fold(&mut self) {
        let count = u64::try_from(self.hashed.len()).unwrap_or(u64::MAX);
        let rows = self.read.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        let mut tally = self.scan.tally(self.index);
        for (id, hash) in self.hashed.drain(..) {
            tally.digest.add_target(&id, hash);
        }
        tally.later += std::mem::take(&mut self.later);
        drop(tally);
        self.scan.watch.tell(Event::Target { entity: self.name.clone(), rows });
    }
}

fn hash(subject: &Subject, row: &ScannedRow<'_>, scratch: &mut Vec<u8>) -> Result<u128, BadShape> {
    if !row.same_shape {
        // Stored before the mapping was changed: equal to nothing.
        return Ok(Comparer::hash_unresolved(0));
    }
    let is_deleted = row.soft_deleted || subject.is_deleted(row.fields)?;
    subject.comparer.hash(row.fields, is_deleted, scratch)
}

impl Subject {
    /// What the target calls it.
    pub(crate) fn share(&self) -> Option<u8> {
        (!self.is_whole).then_some(self.part)
    }

    /// Whether a target row is soft-deleted, as far as its fields say it.
    pub(crate) fn is_deleted(&self, fields: &[u8]) -> Result<bool, BadShape> {
        let Some(index) = self.deleted_at.filter(|_| self.is_whole) else { return Ok(false) };
        let values = values(fields)?;
        values.get(index).map(Option::is_some).ok_or(BadShape)
    }
}
