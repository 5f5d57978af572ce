//! One streaming scan of the legacy tables: readers over ranges → mapping and look-up → digests.
//! Each stage waits for the next one, so memory is bounded by the channel and the batches.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use legacy::{
    pace::Pace,
    session::{KeyRange, LegacyRow, Session},
};
use mapping::{
    plan::{
        Context, EntityId, EntityPlan, FILTER_RULE, ObjectTypes, Outcome, Plan, SourceChange,
        SourceOp, TableId, TablePlan,
    },
    position::Position,
    row::{Batches, RowBatch, RowKind},
};
use target::domain::State;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    task::JoinSet,
};

use crate::{
    Error, Settings, Watch,
    ids::{Found, Ids},
    rowhash::{Comparer, id_of},
    settings::Event,
    subject::{Subjects, Tally, table},
};

/// Rows that are looked up with one statement for each entity.
const LOOK_UP_ROWS: usize = 10_000;
const LOOK_UP_BYTES: usize = 8 << 20;
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

type Rows = Arc<AsyncMutex<mpsc::Receiver<Vec<LegacyRow>>>>;

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

/// Scans one legacy table into the tallies of the subjects that it feeds.
pub(crate) async fn scan_table(scan: &Arc<Scan>, id: TableId, estimate: u64) -> Result<(), Error> {
    let Some(plan) = table(&scan.plan, id) else { return Ok(()) };
    let name = plan.table.to_string();
    let ranges = ranges(scan, plan, estimate).await?;
    let readers = scan.settings.readers_max.clamp(1, ranges.len().max(1));
    let queue = Arc::new(Mutex::new(ranges));
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    let receiver = Arc::new(AsyncMutex::new(receiver));
    let read = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..readers {
        let task = read_ranges(Arc::clone(scan), id, Arc::clone(&queue), sender.clone());
        tasks.spawn(task);
    }
    drop(sender);
    for _ in 0..MAPPERS {
        let progress = Progress { read: Arc::clone(&read), table: name.clone(), of: estimate };
        tasks.spawn(map_rows(Arc::clone(scan), id, Arc::clone(&receiver), progress));
    }
    drop(receiver);
    join(&mut tasks, &scan.watch, &format!("reading {name}")).await
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

/// The whole table for a small one; ranges of equal size for a large one.
async fn ranges(scan: &Scan, plan: &TablePlan, estimate: u64) -> Result<VecDeque<KeyRange>, Error> {
    let rows = scan.settings.range_rows.max(1);
    if scan.settings.readers_max < 2 || estimate < rows.saturating_mul(2) {
        return Ok(VecDeque::from([KeyRange::default()]));
    }
    let doing = format!("cutting {} into ranges", plan.table);
    let mut session = Session::connect(&scan.reader).await.map_err(Error::legacy(&doing))?;
    let cuts = session.split(plan, rows).await.map_err(Error::legacy(&doing))?;
    let mut ranges = VecDeque::with_capacity(cuts.len() + 1);
    let mut after = None;
    for cut in cuts {
        ranges.push_back(KeyRange { after, up_to: Some(cut.clone()) });
        after = Some(cut);
    }
    ranges.push_back(KeyRange { after, up_to: None });
    Ok(ranges)
}

async fn read_ranges(
    scan: Arc<Scan>,
    id: TableId,
    queue: Arc<Mutex<VecDeque<KeyRange>>>,
    sink: mpsc::Sender<Vec<LegacyRow>>,
) -> Result<(), Error> {
    let Some(plan) = table(&scan.plan, id) else { return Ok(()) };
    let doing = format!("reading {}", plan.table);
    let mut session = Session::connect(&scan.reader).await.map_err(Error::legacy(&doing))?;
    loop {
        let range = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(range) = range else { return Ok(()) };
        session.stream_range(plan, &range, &sink).await.map_err(Error::legacy(&doing))?;
    }
}

struct Progress {
    read: Arc<AtomicU64>,
    table: String,
    of: u64,
}

impl Progress {
    fn add(&self, scan: &Scan, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let rows = self.read.fetch_add(rows, Ordering::Relaxed).saturating_add(rows);
        scan.watch.tell(Event::Legacy { table: self.table.clone(), rows, of: self.of });
    }
}

async fn map_rows(
    scan: Arc<Scan>,
    id: TableId,
    rows: Rows,
    progress: Progress,
) -> Result<(), Error> {
    let Some(plan) = table(&scan.plan, id) else { return Ok(()) };
    let mut batches = Batches::addresses_only();
    loop {
        let received = rows.lock().await.recv().await;
        if let Some(rows) = &received {
            scan.pace.wait(u64::try_from(rows.len()).unwrap_or(u64::MAX)).await;
            let note = |row: &LegacyRow, outcome| note(&scan, plan, row, outcome);
            scan.map(plan, rows, &mut batches, note);
            progress.add(&scan, rows.len());
        }
        let is_full = batches.row_count() >= LOOK_UP_ROWS || batches.byte_count() >= LOOK_UP_BYTES;
        if is_full || received.is_none() {
            fold(&scan, std::mem::replace(&mut batches, Batches::addresses_only())).await?;
        }
        if received.is_none() {
            return Ok(());
        }
    }
}

/// Accounts for a row that is not in the batches.
fn note(scan: &Scan, plan: &TablePlan, row: &LegacyRow, outcome: Outcome) {
    let entity = match &outcome {
        Outcome::Mapped(entity) => Some(*entity),
        Outcome::Rejected(rejection) => rejection.entity,
        Outcome::Ignored(_) => None,
    };
    let Some(subject) = scan.subjects.of_table(plan.id, entity) else { return };
    let mut tally = scan.tally(subject);
    tally.read += 1;
    match outcome {
        Outcome::Mapped(_) => {}
        Outcome::Ignored(rule) => *tally.ignored.entry(rule.to_string()).or_default() += 1,
        Outcome::Rejected(rejection) => match rejection.key.or_else(|| plan.canonical_key(row)) {
            Some(key) => tally.remember(key, scan.settings.candidates_max),
            None => tally.keyless += 1,
        },
    }
}

/// Looks up the ids and adds the rows to the digests.
async fn fold(scan: &Scan, batches: Batches) -> Result<(), Error> {
    let is_wanted = |batch: &RowBatch| scan.subjects.of_part(batch.entity, batch.part).is_some();
    let mut batches: Vec<RowBatch> = batches.into_inner();
    batches.retain(is_wanted);
    let found = scan.ids.fill(&mut batches).await?;
    for (batch, found) in batches.iter().zip(&found) {
        add(scan, batch, found)?;
    }
    Ok(())
}

fn add(scan: &Scan, batch: &RowBatch, found: &Found) -> Result<(), Error> {
    let Some(index) = scan.subjects.of_part(batch.entity, batch.part) else { return Ok(()) };
    let subject = scan.subjects.get(index);
    let mut scratch = Vec::new();
    let mut hashed = Vec::with_capacity(batch.rows.len());
    let mut unknown = Vec::new();
    let (mut gone, mut filtered) = (0, 0);
    for row in &batch.rows {
        if subject.is_gone(row.kind) {
            // The target must have neither; what it has all the same is extra.
            *(if row.filtered { &mut filtered } else { &mut gone }) += 1;
            continue;
        }
        let ids = found.get(row.slots.clone()).unwrap_or_default();
        if !matches!(ids.first(), Some(Some(_))) {
            unknown.push(row.key.clone());
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
        hashed.push((id_of(fields).map_err(shape)?, hash));
    }
    let mut tally = scan.tally(index);
    tally.read += u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
    tally.gone += gone;
    if filtered > 0 {
        *tally.ignored.entry(FILTER_RULE.to_owned()).or_default() += filtered;
    }
    for (id, hash) in hashed {
        tally.digest.add_legacy(&id, hash);
    }
    for key in unknown {
        tally.remember(key, scan.settings.candidates_max);
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
