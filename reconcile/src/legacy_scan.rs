//! One streaming scan of the legacy tables: readers over ranges → mapping and look-up → digests.
//! Each stage waits for the next one, so memory is bounded by the channel and the batches.

mod mapper;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use legacy::{
    pace::Pace,
    session::{LegacyRow, Session},
};
use mapping::{
    key::CanonicalKey,
    plan::{
        Context, EntityId, EntityPlan, ObjectTypes, Outcome, Plan, SourceChange, SourceOp, TableId,
        TablePlan,
    },
    position::Position,
    row::Batches,
};
use target::domain::State;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    task::JoinSet,
};

use self::mapper::{Mapper, Progress};
use crate::{
    Error, Settings, Watch,
    ids::Ids,
    keep::Keeper,
    ranges::Ranges,
    sample,
    subject::{Subjects, Tally, table},
};

/// Batches between the readers and the mappers: of up to 1,000 rows or 1 MiB each.
const CHANNEL_BATCHES: usize = 16;
/// One maps while the other waits for Postgres.
const MAPPERS: usize = 2;

/// Everything that a scan needs; shared by its tasks.
pub(crate) struct Scan {
    pub(crate) plan: Arc<Plan>,
    pub(crate) subjects: Arc<Subjects>,
    pub(crate) tallies: Vec<Mutex<Tally>>,
    pub(crate) ids: Ids,
    pub(crate) object_types: ObjectTypes,
    pub(crate) reader: legacy::Settings,
    pub(crate) settings: Settings,
    pub(crate) watch: Watch,
    /// For `deleted_at`, of which only the presence is compared.
    pub(crate) seen_at_us: i64,
    pub(crate) pace: Pace,
    /// The states of the domains; Postgres owns those that are cut over.
    pub(crate) domains: BTreeMap<String, State>,
}

/// Rows with the range that they are of.
type Rows = Arc<AsyncMutex<mpsc::Receiver<(usize, Vec<LegacyRow>)>>>;

impl Scan {
    /// Whether Postgres owns an entity's rows.
    pub(crate) fn is_owned(&self, entity: &EntityPlan) -> bool {
        let state = self.domains.get(&entity.domain);
        matches!(state, Some(State::CutOver | State::Retired))
    }

    /// A subject's tally.
    pub(crate) fn tally(&self, subject: usize) -> MutexGuard<'_, Tally> {
        let tally = self.tallies.get(subject).expect("one tally for each subject");
        tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entities that are read, with an estimate of their rows.
    pub(crate) fn sizes(&self) -> BTreeMap<EntityId, u64> {
        let mut sizes = BTreeMap::new();
        for (index, subject) in self.subjects.all.iter().enumerate() {
            let size: &mut u64 = sizes.entry(subject.entity).or_default();
            *size = self.tally(index).estimate.max(*size);
        }
        sizes
    }

    /// Maps rows; tells of each one that is not in the batches.
    pub(crate) fn map<'a>(
        &self,
        table: &TablePlan,
        rows: impl IntoIterator<Item = &'a LegacyRow>,
        batches: &mut Batches,
        mut other: impl FnMut(&'a LegacyRow, Outcome),
    ) {
        let context = Context { object_types: &self.object_types, seen_at_us: self.seen_at_us };
        for (row, sequence) in rows.into_iter().zip(0_u32..) {
            let change = SourceChange {
                op: SourceOp::Upsert,
                values: row,
                position: Position::ZERO,
                sequence,
            };
            match table.map(&change, &context, batches) {
                Outcome::Mapped(_) => {}
                outcome @ (Outcome::Ignored(_) | Outcome::Rejected(_)) => other(row, outcome),
            }
        }
    }
}

/// Scans one legacy table into the tallies of the subjects that it feeds; what of it counts already
/// is not read again.
pub(crate) async fn scan_table(
    scan: &Arc<Scan>,
    (id, estimate): (TableId, u64),
    begun: Option<(Vec<CanonicalKey>, BTreeSet<usize>)>,
    keeper: Option<&Keeper>,
) -> Result<(), Error> {
    let Some(plan) = table(&scan.plan, id) else { return Ok(()) };
    let name = plan.table.to_string();
    let (cuts, done) = match begun {
        Some(begun) => begun,
        None => (cuts(scan, plan, estimate).await?, BTreeSet::new()),
    };
    let ranges = Arc::new(Ranges::new(id, cuts, done));
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    let receiver = Arc::new(AsyncMutex::new(receiver));
    let read = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..scan.settings.readers_max.clamp(1, ranges.waiting().max(1)) {
        tasks.spawn(read_ranges(Arc::clone(scan), Arc::clone(&ranges), sender.clone()));
    }
    drop(sender);
    for _ in 0..MAPPERS {
        let progress = Progress { read: Arc::clone(&read), table: name.clone(), of: estimate };
        let mapper = Mapper::new(Arc::clone(scan), Arc::clone(&ranges));
        tasks.spawn(mapper.run(Arc::clone(&receiver), progress));
    }
    drop(receiver);
    let Some(keeper) = keeper else {
        return join(&mut tasks, &scan.watch, &format!("reading {name}")).await;
    };
    let doing = format!("reading {name}");
    let joined = loop {
        tokio::select! {
            joined = join(&mut tasks, &scan.watch, &doing) => break joined,
            () = tokio::time::sleep(keeper.every) => {}
        }
        // To its end: one that is given up might be written after the next one.
        keeper.keep(scan, &ranges).await;
    };
    // After a failure or a stop as well: it is what another run goes on with.
    drop(tasks);
    keeper.keep(scan, &ranges).await;
    match joined {
        Ok(()) if !ranges.is_complete() => Err(Error::Task { what: doing }),
        joined => joined,
    }
}

/// Waits for all tasks; the first failure, or a stop, ends the others.
pub(crate) async fn join(
    tasks: &mut JoinSet<Result<(), Error>>,
    watch: &Watch,
    what: &str,
) -> Result<(), Error> {
    loop {
        let next = tokio::select! {
            next = tasks.join_next() => next,
            () = watch.stop.cancelled() => return Err(Error::Cancelled),
        };
        match next {
            None => return Ok(()),
            Some(Ok(result)) => result?,
            Some(Err(_)) => return Err(Error::Task { what: what.to_owned() }),
        }
    }
}

/// The keys that cut a large table into ranges of equal size; none for a small one.
async fn cuts(scan: &Scan, plan: &TablePlan, estimate: u64) -> Result<Vec<CanonicalKey>, Error> {
    let rows = scan.settings.range_rows.max(1);
    if estimate < rows.saturating_mul(2) {
        return Ok(Vec::new());
    }
    let doing = format!("cutting {} into ranges", plan.table);
    let mut session = Session::connect(&scan.reader).await.map_err(Error::legacy(&doing))?;
    let cuts = session.split(plan, rows).await.map_err(Error::legacy(&doing))?;
    // A key that has no canonical form cuts nothing.
    Ok(cuts.into_iter().filter_map(|key| sample::canonical(plan, key)).collect())
}

async fn read_ranges(
    scan: Arc<Scan>,
    ranges: Arc<Ranges>,
    sink: mpsc::Sender<(usize, Vec<LegacyRow>)>,
) -> Result<(), Error> {
    let Some(plan) = table(&scan.plan, ranges.table) else { return Ok(()) };
    let doing = format!("reading {}", plan.table);
    let mut session = Session::connect(&scan.reader).await.map_err(Error::legacy(&doing))?;
    while let Some((number, range)) = ranges.next() {
        let (own, mut batches) = mpsc::channel(1);
        let session = &mut session;
        let reading = async move { session.stream_range(plan, &range, &own).await };
        let passing_on = async {
            while let Some(rows) = batches.recv().await {
                if sink.send((number, rows)).await.is_err() {
                    return;
                }
            }
        };
        let (rows, ()) = tokio::join!(reading, passing_on);
        let rows = rows.map_err(Error::legacy(&doing))?;
        if sink.is_closed() {
            return Ok(());
        }
        ranges.sent(&scan, number, rows);
    }
    Ok(())
}

/// The row does not have the columns that the plan says.
pub(crate) fn shape_error(plan: &Plan, subject: usize, subjects: &Subjects) -> Error {
    let subject = subjects.get(subject);
    let entity = crate::subject::entity(plan, subject.entity);
    Error::Shape {
        table: entity.map(|entity| entity.target_table.clone()).unwrap_or_default(),
        detail: format!("{} columns were expected", subject.columns.len()),
    }
}
