//! The scan of both sides, from the beginning, or with what an earlier run has kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, SecondsFormat};
use mapping::{key::CanonicalKey, plan::TableId, position::Lsn};
use serde::{Deserialize, Serialize};
use target::Target;
use tokio::time::Instant;

use crate::{
    Error,
    changes::{self, Since},
    keep::{Keeper, Origin, Restored},
    legacy_scan::{Scan, scan_table},
    link::{Link, Pass},
    settings::{Settings, Start},
    subject::{Subjects, Tally},
    target_scan::scan_target,
};

/// What a run went on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The run that was stopped.
    pub run: i64,
    /// When the oldest reading began, RFC 3339 UTC. The verdict is as old as this.
    pub began_at: String,
    /// Legacy rows that were not read again.
    pub rows: u64,
}

impl Resumed {
    /// [`Resumed::began_at`], milliseconds since 1970 UTC.
    #[must_use]
    pub fn began_at_ms(&self) -> Option<i64> {
        DateTime::parse_from_rfc3339(&self.began_at).ok().map(|at| at.timestamp_millis())
    }

    /// What it means.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "Went on with run {}: {} legacy rows had been read since {}, and the verdict holds at \
             the LSN at which that reading began.",
            self.run, self.rows, self.began_at
        )
    }
}

/// What the first pass begins with.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    /// By table.
    pub(crate) restored: BTreeMap<TableId, Restored>,
    /// The run that was stopped, where this one goes on with it.
    pub(crate) left: Option<i64>,
    /// Of which runs the digests are, where only changes since are read.
    pub(crate) runs: BTreeMap<TableId, i64>,
}

/// How old the oldest of what was gone on with is.
#[derive(Debug)]
pub(crate) struct Ages {
    left: Option<i64>,
    oldest: Option<Origin>,
    rows: u64,
}

impl Ground {
    /// What the report says of it.
    pub(crate) fn resumed(&self) -> Ages {
        let left = self.left.filter(|_| !self.restored.is_empty());
        let origins = || self.restored.values().map(|restored| restored.origin);
        let oldest = origins().map(|origin| origin.began_at_ms).min().filter(|_| left.is_some());
        let low = origins().map(|origin| origin.low).min().flatten();
        let tallies = self.restored.values().flat_map(|restored| &restored.tallies);
        let rows = tallies.map(|(_, tally)| tally.counted.read).sum();
        Ages { left, oldest: oldest.map(|began_at_ms| Origin { low, began_at_ms }), rows }
    }
}

impl Ages {
    /// The S that holds for everything: of the oldest reading.
    pub(crate) fn oldest(&self, low: Option<Lsn>) -> Option<Lsn> {
        match &self.oldest {
            None => low,
            // Without an S for one of the readings there is none for all.
            Some(origin) => origin.low.zip(low).map(|(one, other)| one.min(other)),
        }
    }

    pub(crate) fn told(&self) -> Option<Resumed> {
        let origin = self.oldest?;
        let began = DateTime::from_timestamp_millis(origin.began_at_ms).unwrap_or_default();
        let began_at = began.to_rfc3339_opts(SecondsFormat::Millis, true);
        Some(Resumed { run: self.left?, began_at, rows: self.rows })
    }
}

/// Gets what an earlier run has kept, where the settings ask for it.
pub(crate) async fn ground(
    settings: &Settings,
    (target, run, scope): (&Target, i64, &str),
    (plan, subjects): (&mapping::plan::Plan, &Subjects),
) -> Result<Ground, Error> {
    let mut ground = Ground::default();
    let add = |ground: &mut Ground, kept: &target::digest::KeptDigest| {
        let restored = Restored::read(plan, subjects, kept)?;
        let table = restored.table;
        ground.restored.insert(table, restored);
        Some(table)
    };
    match settings.start {
        Start::Anew => {}
        Start::Resume => {
            let age = i64::try_from(settings.resume_age_max.as_millis()).unwrap_or(i64::MAX);
            let left = target.take_digests(run, scope, age).await;
            let left = left.map_err(Error::target("looking for a run that was stopped"))?;
            for kept in left.iter().flat_map(|left| &left.digests) {
                add(&mut ground, kept);
            }
            ground.left = left.map(|left| left.run);
        }
        Start::Since => {
            let kept = target.whole_digests(&subjects.tables()).await;
            for (run, kept) in kept.map_err(Error::target("reading kept digests"))? {
                if let Some(table) = add(&mut ground, &kept).filter(|_| kept.lsn.is_some()) {
                    ground.runs.insert(table, run);
                }
            }
            ground.restored.retain(|table, _| ground.runs.contains_key(table));
        }
    }
    Ok(ground)
}

/// The scan of both sides.
pub(crate) struct First {
    scan: Arc<Scan>,
    keeper: Option<Keeper>,
    /// Tables that are partly in the digests.
    begun: BTreeMap<TableId, (Vec<CanonicalKey>, BTreeSet<usize>)>,
    /// Tables that are all in them.
    whole: BTreeSet<TableId>,
    /// Tables whose changes are read only, and the run and the S of their digest.
    since: BTreeMap<TableId, (i64, Lsn)>,
    /// What was read of changes.
    pub(crate) changed: Since,
    pub(crate) legacy_ms: u64,
    pub(crate) target_ms: u64,
}

impl First {
    /// Puts what is kept in its place.
    pub(crate) fn new(
        scan: &Arc<Scan>,
        ground: Ground,
        keeper: impl FnOnce(BTreeMap<TableId, Origin>) -> Option<Keeper>,
    ) -> Self {
        let (mut begun, mut whole) = (BTreeMap::new(), BTreeSet::new());
        let (mut since, mut origins) = (BTreeMap::new(), BTreeMap::new());
        for (table, restored) in ground.restored {
            let is_complete = restored.is_complete();
            for (index, tally) in restored.tallies {
                *scan.tally(index) = tally;
            }
            match (ground.runs.get(&table), restored.origin.low) {
                (Some(run), Some(low)) => drop(since.insert(table, (*run, low))),
                _ if is_complete => drop(whole.insert(table)),
                _ => drop(begun.insert(table, (restored.cuts, restored.done))),
            }
            if ground.runs.is_empty() {
                origins.insert(table, restored.origin);
            }
        }
        Self {
            scan: Arc::clone(scan),
            keeper: keeper(origins),
            begun,
            whole,
            since,
            changed: Since::default(),
            legacy_ms: 0,
            target_ms: 0,
        }
    }

    async fn read_changes(&mut self, link: &mut Link, low: Option<Lsn>) -> Result<(), Error> {
        if self.since.is_empty() {
            return Ok(());
        }
        let capture = changes::capture(link).await?;
        for (table, (run, from)) in std::mem::take(&mut self.since) {
            let window = low.map(|to| (from, to));
            match changes::read(&self.scan, link, (table, window), &capture).await? {
                Ok(keys) => {
                    self.changed.add(run, from, keys);
                    self.whole.insert(table);
                }
                Err(why) => {
                    self.changed.not_used.push((table, why));
                    for index in self.scan.subjects.all_of_table(table) {
                        let estimate = self.scan.tally(*index).estimate;
                        *self.scan.tally(*index) = Tally::for_rows(estimate);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Pass for First {
    async fn read_legacy(&mut self, link: &mut Link, low: Option<Lsn>) -> Result<(), Error> {
        let started = Instant::now();
        if let Some(keeper) = &self.keeper {
            keeper.begin(low);
        }
        self.read_changes(link, low).await?;
        let tables = self.scan.subjects.tables();
        let left: Vec<TableId> =
            tables.into_iter().filter(|table| !self.whole.contains(table)).collect();
        if !left.is_empty() {
            self.scan.ids.load(&self.scan.sizes()).await?;
        }
        for id in left {
            let estimate =
                self.scan.subjects.of_table(id, None).map(|index| self.scan.tally(index).estimate);
            let begun = self.begun.remove(&id);
            let keeper = self.keeper.as_ref();
            scan_table(&self.scan, (id, estimate.unwrap_or(0)), begun, keeper).await?;
        }
        self.scan.ids.unload();
        self.legacy_ms += milliseconds(started);
        Ok(())
    }

    async fn read_target(&mut self, link: &mut Link, low: Option<Lsn>) -> Result<(), Error> {
        let started = Instant::now();
        for index in 0..self.scan.subjects.all.len() {
            scan_target(&self.scan, &link.target, index, low).await?;
        }
        self.target_ms += milliseconds(started);
        Ok(())
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
