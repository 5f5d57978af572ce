//! What a full run keeps in Postgres of the legacy side, and how another one gets it back.
//!
//! Kept are sums over hashes for each bucket, the counts, the cuts and which ranges are in the sums.
//! A digest is only taken back by a run of the same mapping, for the same entities.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mapping::{key::CanonicalKey, plan::TableId, position::Lsn};
use serde::{Deserialize, Serialize};
use target::{Target, digest::KeptDigest};

use crate::{
    digest::{Digest, KEPT_BYTES},
    legacy_scan::Scan,
    ranges::Ranges,
    subject::{Counted, Tally, entity, table},
};

/// Changes when rows are hashed in another way.
const FORM: u32 = 1;

/// Where the reading of a table began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The captured LSN before its first row was read.
    pub(crate) low: Option<Lsn>,
    /// When the run began that read it, milliseconds since 1970 UTC.
    pub(crate) began_at_ms: i64,
}

/// A run's place for what it reads.
pub(crate) struct Keeper {
    target: Arc<Target>,
    run: i64,
    /// Between two times that a table's digest is kept while it is being read.
    pub(crate) every: Duration,
    /// Of the tables that this run began itself.
    origin: Mutex<Origin>,
    /// Of the others.
    earlier: BTreeMap<TableId, Origin>,
}

impl Keeper {
    pub(crate) fn new(
        (target, run): (Arc<Target>, i64),
        every: Duration,
        began_at_ms: i64,
        earlier: BTreeMap<TableId, Origin>,
    ) -> Self {
        let origin = Mutex::new(Origin { low: None, began_at_ms });
        Self { target, run, every, origin, earlier }
    }

    /// What was captured before anything was read.
    pub(crate) fn begin(&self, low: Option<Lsn>) {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner).low = low;
    }

    fn origin(&self, table: TableId) -> Origin {
        let own = *self.origin.lock().unwrap_or_else(PoisonError::into_inner);
        self.earlier.get(&table).copied().unwrap_or(own)
    }

    /// Keeps what counts of a table. That it could not be kept is no reason to end the run.
    pub(crate) async fn keep(&self, scan: &Scan, ranges: &Ranges) {
        let Some(kept) = ranges.whole(|done| self.write(scan, ranges, done)).flatten() else {
            return;
        };
        match self.target.keep_digest(self.run, &kept).await {
            Ok(()) => scan.watch.tell(crate::Event::Kept { table: kept.table }),
            Err(error) => tracing::warn!(%error, table = kept.table, "a digest could not be kept"),
        }
    }

    fn write(&self, scan: &Scan, ranges: &Ranges, done: &BTreeSet<usize>) -> Option<KeptDigest> {
        let plan = table(&scan.plan, ranges.table)?;
        let mut sums = Vec::new();
        let mut subjects = Vec::new();
        for index in scan.subjects.all_of_table(ranges.table) {
            let subject = scan.subjects.get(*index);
            let tally = scan.tally(*index);
            tally.digest.write_legacy(&mut sums);
            let name = entity(&scan.plan, subject.entity)?.name.clone();
            subjects.push(Kept::of(name, subject.part, &tally));
        }
        let cuts = ranges.cuts.iter().map(hex).collect();
        let progress = Progress { form: FORM, cuts, done: done.clone(), subjects };
        let origin = self.origin(ranges.table);
        Some(KeptDigest {
            table: plan.table.to_string(),
            lsn: origin.low,
            began_at_ms: origin.began_at_ms,
            complete: done.len() > ranges.cuts.len(),
            progress: serde_json::to_value(progress).ok()?,
            sums,
        })
    }
}

/// How far a table is, and what was counted.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    form: u32,
    cuts: Vec<String>,
    done: BTreeSet<usize>,
    subjects: Vec<Kept>,
}

/// What is kept of a subject beside its sums.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    entity: String,
    part: u8,
    estimate: u64,
    buckets: usize,
    read: u64,
    ignored: BTreeMap<String, u64>,
    gone: u64,
    keyless: u64,
    keys: Vec<String>,
    overflow: u64,
}

impl Kept {
    fn of(entity: String, part: u8, tally: &Tally) -> Self {
        let counted = &tally.counted;
        Self {
            entity,
            part,
            estimate: tally.estimate,
            buckets: tally.digest.size(),
            read: counted.read,
            ignored: counted.ignored.clone(),
            gone: counted.gone,
            keyless: counted.keyless,
            keys: counted.keys.iter().map(hex).collect(),
            overflow: counted.overflow,
        }
    }

    fn into_tally(self, sums: &[u8]) -> Option<Tally> {
        Some(Tally {
            estimate: self.estimate,
            digest: Digest::read_legacy(sums, self.buckets)?,
            counted: Counted {
                read: self.read,
                ignored: self.ignored,
                gone: self.gone,
                keyless: self.keyless,
                keys: self.keys.iter().map(|text| unhex(text)).collect::<Option<_>>()?,
                overflow: self.overflow,
            },
            later: 0,
        })
    }
}

/// A table's digest, taken back.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) table: TableId,
    pub(crate) origin: Origin,
    pub(crate) cuts: Vec<CanonicalKey>,
    pub(crate) done: BTreeSet<usize>,
    /// By subject.
    pub(crate) tallies: Vec<(usize, Tally)>,
}

impl Restored {
    /// Reads a kept digest; `None` when it is not one of all that is compared of the table.
    pub(crate) fn read(
        plan: &mapping::plan::Plan,
        subjects: &crate::subject::Subjects,
        kept: &KeptDigest,
    ) -> Option<Self> {
        let id = plan.tables.iter().find(|table| table.table.to_string() == kept.table)?.id;
        let progress: Progress = serde_json::from_value(kept.progress.clone()).ok()?;
        if progress.form != FORM {
            return None;
        }
        let mut rest = kept.sums.as_slice();
        let mut tallies = Vec::new();
        for one in progress.subjects {
            let (sums, after) = rest.split_at_checked(one.buckets.checked_mul(KEPT_BYTES)?)?;
            rest = after;
            let is_same = |index: &&usize| {
                let subject = subjects.get(**index);
                let of = entity(plan, subject.entity).map(|entity| entity.name.as_str());
                of == Some(one.entity.as_str()) && subject.part == one.part
            };
            if let Some(index) = subjects.all_of_table(id).iter().find(is_same) {
                tallies.push((*index, one.into_tally(sums)?));
            }
        }
        let cuts: Vec<_> = progress.cuts.iter().map(|cut| unhex(cut)).collect::<Option<_>>()?;
        let is_whole = tallies.len() == subjects.all_of_table(id).len() && rest.is_empty();
        let origin = Origin { low: kept.lsn, began_at_ms: kept.began_at_ms };
        is_whole.then_some(Self { table: id, origin, cuts, done: progress.done, tallies })
    }

    /// Whether every range is in the sums.
    pub(crate) fn is_complete(&self) -> bool {
        self.done.len() > self.cuts.len()
    }
}

fn hex(key: &CanonicalKey) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<CanonicalKey> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    Some(CanonicalKey::from_bytes(&bytes?))
}
