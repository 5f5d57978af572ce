//! One streaming scan of the legacy tables: readers over ranges → mapping and look-up → digests.
//! Each stage waits for the next one, so memory is bounded by the channel and the batches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use legacy::{
    pace::Pace,
    session::{LegacyRow, Session},
};
use mapping::{
    key::CanonicalKey,
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
    digest::Place,
    ids::{Found, Ids},
    keep::Keeper,
    ranges::{Deltas, Ranges},
    rowhash::{Comparer, id_of},
    sample,
    settings::Event,
    subject::{Delta, Subjects, Tally, table},
};

/// Rows that are looked up with one statement for each entity.
const LOOK_UP_ROWS: usize = 10_000;
const LOOK_UP_BYTES: usize = 8 << 20;
const HELD_ROWS: u64 = 20_000;
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

/// Rows of some ranges on their way into the digests.
struct Mapper {
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
    fn new(scan: Arc<Scan>, ranges: Arc<Ranges>) -> Self {
        Self { scan, ranges, held: BTreeMap::new() }
    }

    async fn run(mut self, rows: Rows, progress: Progress) -> Result<(), Error> {
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
        Outcome::Ignored(rule) => counted.ignore(&rule.to_string(), 1),
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

/// The row does not have the columns that the plan says.
pub(crate) fn shape_error(plan: &Plan, subject: usize, subjects: &Subjects) -> Error {
    let subject = subjects.get(subject);
    let entity = crate::subject::entity(plan, subject.entity);
    Error::Shape {
        table: entity.map(|entity| entity.target_table.clone()).unwrap_or_default(),
        detail: format!("{} columns were expected", subject.columns.len()),
    }
}
