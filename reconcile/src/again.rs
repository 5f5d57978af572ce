//! Suspect rows, read again by key on both sides and judged one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mapping::{
    key::CanonicalKey,
    plan::Outcome,
    position::Lsn,
    row::{Batches, RowBatch, RowKind},
};
use target::compare::{Observed, ObservedRow};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    Error,
    decide::{Decision, LegacySeen, Proof, Readings, TargetSeen, decide},
    ids::Found,
    legacy_scan::{Scan, shape_error},
    link::{Link, Pass},
    rowhash::BadShape,
    stands::Before,
    subject::{Subject, table},
};

/// Keys of one read, and bytes of rows after which the rest waits for the next pass.
const READ_KEYS: usize = 1_000;
const READ_BYTES: usize = 64 << 20;

/// A row to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) subject: usize,
    pub(crate) key: Option<CanonicalKey>,
    pub(crate) id: Option<Uuid>,
    /// A hash of what the last pass showed on both sides.
    pub(crate) last: Option<u128>,
    /// What the last pass showed on the legacy side.
    pub(crate) seen: Option<LegacySeen>,
}

/// The legacy rows of one subject.
#[derive(Default)]
struct LegacyRows {
    batch: Option<RowBatch>,
    found: Found,
    by_key: BTreeMap<CanonicalKey, usize>,
    rejected: BTreeMap<CanonicalKey, &'static str>,
}

/// A pass over some candidates.
pub(crate) struct Again {
    scan: Arc<Scan>,
    by_subject: BTreeMap<usize, Vec<Candidate>>,
    /// Not read in this pass, for their size.
    pub(crate) postponed: Vec<Candidate>,
    legacy: BTreeMap<usize, LegacyRows>,
    before: BTreeMap<usize, Before>,
    target: BTreeMap<usize, Observed>,
}

/// A row that was judged.
pub(crate) struct Judged<'a> {
    pub(crate) candidate: &'a Candidate,
    pub(crate) decision: Decision,
    pub(crate) legacy: LegacySeen,
    /// The mapped fields, with their ids, and whether the row is soft-deleted.
    pub(crate) legacy_fields: Option<(&'a [u8], bool)>,
    /// The rule that rejected it.
    pub(crate) rule: Option<&'static str>,
    pub(crate) target: Option<&'a ObservedRow>,
    pub(crate) fingerprint: u128,
}

impl Again {
    pub(crate) fn new(scan: &Arc<Scan>, candidates: Vec<Candidate>) -> Self {
        let mut by_subject: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            by_subject.entry(candidate.subject).or_default().push(candidate);
        }
        Self {
            scan: Arc::clone(scan),
            by_subject,
            postponed: Vec::new(),
            legacy: BTreeMap::new(),
            before: BTreeMap::new(),
            target: BTreeMap::new(),
        }
    }

    /// Judges every candidate that was read.
    pub(crate) fn judge(
        &self,
        proof: Proof,
        mut each: impl FnMut(Judged<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (index, candidates) in &self.by_subject {
            let subject = self.scan.subjects.get(*index);
            let sides = (self.legacy.get(index), self.before.get(index), self.target.get(index));
            let (Some(legacy), Some(before), Some(target)) = sides else { continue };
            let pair = Pair { subject, legacy, before, target };
            for candidate in candidates {
                let judged = pair.judge(candidate, proof);
                let shape = |_| shape_error(&self.scan.plan, *index, &self.scan.subjects);
                each(judged.map_err(shape)?)?;
            }
        }
        Ok(())
    }
}

impl Pass for Again {
    async fn read_legacy(&mut self, link: &mut Link, _low: Option<Lsn>) -> Result<(), Error> {
        let mut bytes = 0;
        let indexes: Vec<usize> = self.by_subject.keys().copied().collect();
        for index in indexes {
            let candidates = self.by_subject.remove(&index).unwrap_or_default();
            let mut rows = LegacyRows::default();
            let mut kept = Vec::with_capacity(candidates.len());
            for some in candidates.chunks(READ_KEYS) {
                if bytes > READ_BYTES {
                    self.postponed.extend_from_slice(some);
                    continue;
                }
                bytes += read_some(&self.scan, link, index, some, &mut rows).await?;
                kept.extend_from_slice(some);
            }
            let subject = self.scan.subjects.get(index);
            let before = match link.no_fence() {
                // Nothing rests on it.
                Some(_) => Before::default(),
                None => {
                    identify(&self.scan, subject, &mut kept).await?;
                    let ids: Vec<Uuid> = kept.iter().filter_map(|one| one.id).collect();
                    Before::of(&observe(link, subject, &ids, &[]).await?)
                }
            };
            self.by_subject.insert(index, kept);
            self.legacy.insert(index, rows);
            self.before.insert(index, before);
        }
        Ok(())
    }

    async fn read_target(&mut self, link: &mut Link, _low: Option<Lsn>) -> Result<(), Error> {
        for (index, candidates) in &mut self.by_subject {
            let subject = self.scan.subjects.get(*index);
            identify(&self.scan, subject, candidates).await?;
            // Parents that were new when the row was read have their ids by now.
            if let Some(rows) = self.legacy.get_mut(index)
                && let Some(batch) = &mut rows.batch
            {
                let found = self.scan.ids.fill(std::slice::from_mut(batch)).await?;
                rows.found = found.into_iter().next().unwrap_or_default();
            }
            let ids: Vec<Uuid> = candidates.iter().filter_map(|one| one.id).collect();
            let keys: Vec<CanonicalKey> =
                candidates.iter().filter_map(|one| one.key.clone()).collect();
            self.target.insert(*index, observe(link, subject, &ids, &keys).await?);
        }
        Ok(())
    }
}

async fn observe(
    link: &Link,
    subject: &Subject,
    ids: &[Uuid],
    keys: &[CanonicalKey],
) -> Result<Observed, Error> {
    let place = (subject.share(), subject.table);
    let observed = link.target.observe(subject.entity, place, ids, keys).await;
    observed.map_err(Error::target("reading target rows again"))
}

/// Reads and maps some candidates' legacy rows; returns the bytes that they take.
async fn read_some(
    scan: &Scan,
    link: &mut Link,
    index: usize,
    candidates: &[Candidate],
    rows: &mut LegacyRows,
) -> Result<usize, Error> {
    let subject = scan.subjects.get(index);
    let Some(plan) = table(&scan.plan, subject.table) else { return Ok(0) };
    let keys: Vec<CanonicalKey> = candidates.iter().filter_map(|one| one.key.clone()).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    let doing = format!("reading rows of {} again", plan.table);
    let read = link.reader().await?.read_keys(plan, &keys).await.map_err(Error::legacy(doing))?;
    let mut batches = Batches::addresses_only();
    if let Some(batch) = rows.batch.take() {
        *batches.part(subject.entity, subject.part) = batch;
    }
    let before = batches.byte_count();
    scan.map(plan, &read, &mut batches, |row, outcome| {
        let Outcome::Rejected(rejection) = outcome else { return };
        let is_other = rejection.entity.is_some_and(|entity| entity != subject.entity);
        if let Some(key) = rejection.key.or_else(|| plan.canonical_key(row))
            && !is_other
        {
            rows.rejected.insert(key, rejection.rule);
        }
    });
    let bytes = batches.byte_count().saturating_sub(before);
    let is_ours = |b: &RowBatch| (b.entity, b.part) == (subject.entity, subject.part);
    rows.batch = batches.into_inner().into_iter().find(is_ours);
    let mapped = rows.batch.as_ref().map(|batch| batch.rows.as_slice()).unwrap_or_default();
    rows.by_key = mapped.iter().enumerate().map(|(at, row)| (row.key.clone(), at)).collect();
    Ok(bytes)
}

/// Looks up the ids of candidates that had none in the last pass.
async fn identify(
    scan: &Scan,
    subject: &Subject,
    candidates: &mut [Candidate],
) -> Result<(), Error> {
    let mut without: Vec<&mut Candidate> =
        candidates.iter_mut().filter(|one| one.id.is_none()).collect();
    let entries: Vec<_> =
        without.iter().filter_map(|one| Some((subject.entity, one.key.clone()?))).collect();
    let ids = scan.ids.look_up(&entries).await?;
    without.retain(|one| one.key.is_some());
    for (candidate, id) in without.into_iter().zip(ids) {
        candidate.id = id;
    }
    Ok(())
}

/// Both sides of one subject.
struct Pair<'a> {
    subject: &'a Subject,
    legacy: &'a LegacyRows,
    before: &'a Before,
    target: &'a Observed,
}

impl<'a> Pair<'a> {
    fn judge(&self, candidate: &'a Candidate, proof: Proof) -> Result<Judged<'a>, BadShape> {
        let key = candidate.key.as_ref();
        let rule = key.and_then(|key| self.legacy.rejected.get(key).copied());
        let legacy_row = key.and_then(|key| self.legacy_row(key));
        let legacy = match (rule, &legacy_row) {
            (Some(_), _) => LegacySeen::Rejected,
            (None, Some(_)) => LegacySeen::Row,
            (None, None) => LegacySeen::Absent,
        };
        let target = candidate.id.and_then(|id| self.target.rows.get(&id));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        if let Some((fields, is_deleted, _)) = &legacy_row {
            self.subject.comparer.compared(fields, *is_deleted, &mut left)?;
        }
        if let Some(row) = target.filter(|row| row.same_shape) {
            let is_deleted = row.soft_deleted || self.subject.is_deleted(&row.fields)?;
            self.subject.comparer.compared(&row.fields, is_deleted, &mut right)?;
        }
        let resolved = legacy_row.as_ref().is_some_and(|(_, deleted, all)| *deleted || *all);
        let fingerprint = fingerprint(&left, &right, (legacy, target));
        let id = candidate.id;
        let excuse = |map: &std::collections::HashMap<Uuid, _>| map.get(&id?).copied();
        let quarantined = key.and_then(|key| self.target.quarantined.get(key).copied());
        let readings = Readings {
            legacy,
            target: target.map_or(TargetSeen::Absent, |row| TargetSeen::Row(row.position)),
            same: resolved && left == right,
            tombstone: excuse(&self.target.tombstones),
            quarantine: quarantined.max(excuse(&self.target.parked)),
            discarded: key.is_some_and(|key| self.target.discarded.contains(key)),
            stands: id.is_none_or(|id| self.before.stands(id, self.target)),
            same_as_last: candidate.last == Some(fingerprint),
        };
        Ok(Judged {
            candidate,
            decision: decide(&readings, proof),
            legacy,
            legacy_fields: legacy_row.map(|(fields, is_deleted, _)| (fields, is_deleted)),
            rule,
            target,
            fingerprint,
        })
    }

    /// The mapped row of a key: its fields, whether it is soft-deleted, and whether all its ids
    /// are known. A row that the target must not have is none.
    fn legacy_row(&self, key: &CanonicalKey) -> Option<(&'a [u8], bool, bool)> {
        let batch = self.legacy.batch.as_ref()?;
        let row = batch.rows.get(*self.legacy.by_key.get(key)?)?;
        if self.subject.is_gone(row.kind) {
            return None;
        }
        let fields = batch.fields.get(row.fields.clone())?;
        let ids = self.legacy.found.get(row.slots.clone()).unwrap_or_default();
        Some((fields, row.kind == RowKind::SoftDelete, ids.iter().all(Option::is_some)))
    }
}

fn fingerprint(
    legacy: &[u8],
    target: &[u8],
    (seen, row): (LegacySeen, Option<&ObservedRow>),
) -> u128 {
    let state = [
        u8::from(seen == LegacySeen::Row),
        u8::from(seen == LegacySeen::Rejected),
        u8::from(row.is_some()),
    ];
    let length = u64::try_from(legacy.len()).unwrap_or(0).to_be_bytes();
    xxh3_128(&[&state, &length[..], legacy, target].concat())
}

/// Keys that are known already, so that nothing is judged twice.
pub(crate) fn known_keys(keys: &[CanonicalKey]) -> BTreeSet<CanonicalKey> {
    keys.iter().cloned().collect()
}
