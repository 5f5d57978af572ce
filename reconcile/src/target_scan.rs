//! One streaming scan of a subject's target side into its digest.

use mapping::position::Lsn;
use target::{Target, compare::ScannedRow};

use crate::{
    Error,
    legacy_scan::{Scan, shape_error},
    rowhash::{BadShape, Comparer, values},
    settings::Event,
    subject::Subject,
};

/// Rows that are hashed before the digest is locked, and between two events.
const FOLD_ROWS: usize = 4_096;

/// Scans a subject's rows; `low` is S.
pub(crate) async fn scan_target(
    scan: &Scan,
    target: &Target,
    index: usize,
    low: Option<Lsn>,
) -> Result<(), Error> {
    let subject = scan.subjects.get(index);
    let entity = crate::subject::entity(&scan.plan, subject.entity);
    let name = entity.map(|entity| entity.name.clone()).unwrap_or_default();
    let mut folder = Folder {
        scan,
        subject,
        index,
        low: low.unwrap_or(Lsn::ZERO),
        name: name.clone(),
        scratch: Vec::new(),
        hashed: Vec::with_capacity(FOLD_ROWS),
        later: 0,
        rows: 0,
        failed: false,
    };
    let mut each = |row: ScannedRow<'_>| folder.add(row);
    let doing = format!("reading the target's {name}");
    tokio::select! {
        rows = target.scan_share(subject.entity, subject.share(), &mut each) => {
            rows.map_err(Error::target(doing))?;
        }
        () = scan.watch.stop.cancelled() => return Err(Error::Cancelled),
    };
    folder.fold();
    if folder.failed { Err(shape_error(&scan.plan, index, &scan.subjects)) } else { Ok(()) }
}

struct Folder<'a> {
    scan: &'a Scan,
    subject: &'a Subject,
    index: usize,
    low: Lsn,
    name: String,
    scratch: Vec<u8>,
    hashed: Vec<([u8; 16], u128)>,
    later: u64,
    rows: u64,
    failed: bool,
}

impl Folder<'_> {
    fn add(&mut self, row: ScannedRow<'_>) {
        let Ok(hash) = hash(self.subject, &row, &mut self.scratch) else {
            self.failed = true;
            return;
        };
        self.later += u64::from(row.position.is_some_and(|position| position.lsn() > self.low));
        self.rows += 1;
        self.hashed.push((row.id, hash));
        if self.hashed.len() >= FOLD_ROWS {
            self.fold();
        }
    }

    fn fold(&mut self) {
        let mut tally = self.scan.tally(self.index);
        for (id, hash) in self.hashed.drain(..) {
            tally.digest.add_target(&id, hash);
        }
        tally.later += std::mem::take(&mut self.later);
        drop(tally);
        self.scan.watch.tell(Event::Target { entity: self.name.clone(), rows: self.rows });
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
