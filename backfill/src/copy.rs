//! One attempt at a chunk: from the last committed key to its end, or to where it breaks.
//!
//! Three stages overlap: the server's stream is read ahead by a task of its own through a
//! bounded channel, rows are mapped here, and one transaction is in flight. Batches of a chunk
//! are committed one after the other, so the last committed key never goes back.

use std::{
    mem,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use legacy::{KeyRange, LegacyRow, RangePart, RowSink, Session};
use mapping::{
    plan::{ObjectTypes, TableId, TablePlan, TableRole},
    position::{Lsn, Position},
};
use target::{
    batch::{Applied, Batch, Checkpoint, ChunkProgress},
    chunk::ChunkClaim,
    hook,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error,
    batch::{End, Mapper, OpenBatch, Streak},
    key,
    shared::Shared,
};

/// Read-ahead: batches of up to a thousand rows or a megabyte.
const READ_AHEAD: usize = 4;

/// How long a server may take to stop a statement.
const FAREWELL: Duration = Duration::from_millis(500);

/// How an attempt ended, other than by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The chunk is done.
    Done,
    /// One statement's share of it is done.
    Step,
    /// It was asked to stop or to wait; what is committed stays.
    Stopped,
}

/// Copies the chunk from where it is. `claim` is kept up with what is committed.
pub(crate) async fn attempt(
    shared: &Arc<Shared>,
    session: &mut Option<Session>,
    table: &TablePlan,
    claim: &mut ChunkClaim,
) -> Result<Ended, Error> {
    let read = Error::reading(table);
    let write = Error::writing(table);
    let _renewal = renew(shared, claim);
    let asking = begin(shared, session.take());
    let begun = tokio::select! {
        biased;
        () = asked(shared) => return Ok(Ended::Stopped),
        begun = asking => begun,
    };
    let Begun { reader, low, object_types } = begun.map_err(read)?;
    shared.target.begin_chunk(claim, low).await.map_err(write)?;
    if matches!(table.role, TableRole::ObjectTypes) {
        copy_object_types(shared, table, claim, object_types).await.map_err(write)?;
        *session = Some(reader);
        return Ok(Ended::Done);
    }
    let part = RangePart {
        range: range(table, claim)?,
        condition: shared.condition.clone(),
        rows_max: shared.steps.rows(table.id),
    };
    let rows_max = part.rows_max;
    let (sink, rows) = mpsc::channel(READ_AHEAD);
    let reading = tokio::spawn(read_ahead(Arc::clone(shared), (reader, table.id), part, sink));
    let position = low.map_or(Position::ZERO, Position::read_after);
    let mapper = Mapper::new(table, &object_types, (position, now_us()));
    let flow = Flow {
        shared,
        mapper,
        open: OpenBatch::default(),
        flight: None,
        streak: Streak::default(),
        claim,
        rows_max,
    };
    flow.run(rows, AbortOnDropHandle::new(reading), session).await
}

/// What an attempt knows before it reads.
struct Begun {
    reader: Session,
    /// Before anything of the chunk is read: every change up to here is visible to the read.
    low: Option<Lsn>,
    object_types: ObjectTypes,
}

async fn begin(shared: &Shared, session: Option<Session>) -> Result<Begun, legacy::Error> {
    let mut reader = match session.filter(Session::is_usable) {
        Some(reader) => reader,
        None => connect(shared).await?,
    };
    let capture = reader.capture_state().await?;
    shared.note_capture(&capture);
    let object_types = reader.object_types().await?;
    Ok(Begun { reader, low: capture.max_lsn, object_types })
}

pub(crate) async fn connect(shared: &Shared) -> Result<Session, legacy::Error> {
    let mut session = Session::connect_within(&shared.legacy, shared.settings.limits).await?;
    session.isolate(shared.settings.isolation).await?;
    Ok(session)
}

/// What is left of the chunk.
fn range(table: &TablePlan, claim: &ChunkClaim) -> Result<KeyRange, Error> {
    let decode = |bytes: &Option<Vec<u8>>| {
        bytes.as_ref().map(|bytes| key::decode(bytes)).map_or(Ok(None), |key| {
            let wrong = || Error::StoredKey { table: table.table.clone(), chunk: claim.chunk };
            let key = key.filter(|key| key.len() == table.key.len());
            key.map(Some).ok_or_else(wrong)
        })
    };
    let after = if claim.last_key.is_some() { &claim.last_key } else { &claim.plan.after };
    Ok(KeyRange { after: decode(after)?, up_to: decode(&claim.plan.up_to)? })
}

/// Keeps the lease while a query is slow to answer.
fn renew(shared: &Arc<Shared>, claim: &ChunkClaim) -> AbortOnDropHandle<()> {
    let (shared, claim) = (Arc::clone(shared), claim.clone());
    let period = (shared.settings.lease / 3).max(Duration::from_millis(100));
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(period).await;
            if let Err(error) = shared.target.renew_chunk(&claim).await {
                // Whoever was fenced finds out when it commits.
                tracing::debug!(chunk = claim.chunk, %error, "renewing the lease");
            }
        }
    }))
}

/// Microseconds since 1970 UTC.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What the read-ahead gives back: its connection, the rows that it read, and max LSN after the
/// last one.
type ReadOut = (Session, Result<(u64, Option<Lsn>), legacy::Error>);

async fn read_ahead(
    shared: Arc<Shared>,
    (mut session, table): (Session, TableId),
    part: RangePart,
    sink: RowSink,
) -> ReadOut {
    let Some(table) = shared.plan.tables.get(usize::from(table.0)) else {
        return (session, Ok((0, None)));
    };
    let rows = match session.stream_part(table, &part, &sink).await {
        Ok(rows) => rows,
        Err(error) => return (session, Err(error)),
    };
    drop(sink);
    hook::point("backfill.read");
    let high = session.capture_state().await.map(|capture| (rows, capture.max_lsn));
    (session, high)
}

/// The dictionary of type names: read whole, in one step.
async fn copy_object_types(
    shared: &Shared,
    table: &TablePlan,
    claim: &mut ChunkClaim,
    object_types: ObjectTypes,
) -> Result<(), target::Error> {
    let rows = u64::try_from(object_types.len()).unwrap_or(u64::MAX);
    let batch = Batch {
        object_types: object_types.into_iter().collect(),
        checkpoint: Checkpoint::Chunk(ChunkProgress {
            chunk: claim.chunk,
            epoch: claim.epoch,
            last_key: None,
            rows,
            done: true,
            high_watermark: None,
        }),
        ..Batch::default()
    };
    let applied = shared.target.apply(batch).await?;
    claim.rows += rows;
    shared.committed(table, rows, &applied);
    Ok(())
}

/// A transaction in flight, and what it will have accounted for.
struct Flight {
    applying: AbortOnDropHandle<Result<Applied, target::Error>>,
    rows: u64,
    last_key: Option<Vec<u8>>,
}

/// What reading came to. Whoever was asked to stop waits for it only a moment, then it is cut off
/// (`None`).
async fn end_of(
    reading: AbortOnDropHandle<ReadOut>,
    halt: Option<Halt>,
) -> Option<Result<ReadOut, tokio::task::JoinError>> {
    match halt {
        Some(Halt::Asked) => tokio::time::timeout(FAREWELL, reading).await.ok(),
        Some(Halt::Late) | None => Some(reading.await),
    }
}

/// Until it is to stop or to wait.
async fn asked(shared: &Shared) {
    let mut hold = shared.watch.hold.clone();
    tokio::select! {
        () = shared.stop.cancelled() => {}
        // The sender lives as long as what is shared.
        held = hold.wait_for(Option::is_some) => drop(held),
    }
}

struct Flow<'a> {
    shared: &'a Arc<Shared>,
    mapper: Mapper<'a>,
    open: OpenBatch,
    flight: Option<Flight>,
    streak: Streak,
    claim: &'a mut ChunkClaim,
    /// What the statement was asked for.
    rows_max: Option<u64>,
}

/// Why reading ends before the statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// It is to stop, or to wait.
    Asked,
    /// The statement reads for too long.
    Late,
}

impl Flow<'_> {
    async fn run(
        mut self,
        mut rows: mpsc::Receiver<Vec<LegacyRow>>,
        reading: AbortOnDropHandle<ReadOut>,
        session: &mut Option<Session>,
    ) -> Result<Ended, Error> {
        let began = Instant::now();
        let (seen, halt) = self.take_rows(&mut rows, began).await?;
        drop(rows);
        let Some(read) = end_of(reading, halt).await else {
            // The server says nothing, not even that it has stopped: the connection is closed.
            if !self.open.is_empty() && self.open.can_end_here() {
                self.launch(End::Step).await?;
            }
            self.land().await?;
            return Ok(Ended::Stopped);
        };
        let (reader, outcome) = read.map_err(|_| Error::Task)?;
        *session = Some(reader);
        let table = self.mapper.table;
        let limited = self.rows_max.is_some_and(|most| seen >= most);
        match outcome {
            Ok((_, high_watermark)) if halt.is_none() && !limited => {
                self.launch(End::Chunk { high_watermark }).await?;
                self.land().await?;
                self.shared.steps.took(table.id, seen, began.elapsed());
                hook::point("backfill.chunk_done");
                Ok(Ended::Done)
            }
            outcome => {
                // What has arrived is committed, whatever came after it.
                if !self.open.is_empty() && self.open.can_end_here() {
                    self.launch(End::Step).await?;
                }
                self.land().await?;
                outcome.map_err(Error::reading(table))?;
                if halt == Some(Halt::Asked) {
                    return Ok(Ended::Stopped);
                }
                self.shared.steps.took(table.id, seen, began.elapsed());
                hook::point("backfill.step_done");
                Ok(Ended::Step)
            }
        }
    }

    /// Takes rows until there are no more, or somebody wants no more; how many.
    async fn take_rows(
        &mut self,
        rows: &mut mpsc::Receiver<Vec<LegacyRow>>,
        began: Instant,
    ) -> Result<(u64, Option<Halt>), Error> {
        let shared = Arc::clone(self.shared);
        let late = shared.steps.patience().map(|patience| began + patience);
        let mut seen = 0_u64;
        loop {
            let batch = tokio::select! {
                biased;
                () = asked(&shared) => return Ok((seen, Some(Halt::Asked))),
                batch = rows.recv() => batch,
            };
            let Some(batch) = batch else { return Ok((seen, None)) };
            if self.claim.rows == 0 && self.open.is_empty() {
                hook::point("backfill.first_row");
            }
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            seen = seen.saturating_add(count);
            self.add(batch).await?;
            tokio::select! {
                biased;
                () = asked(&shared) => return Ok((seen, Some(Halt::Asked))),
                () = shared.pace.wait(count) => {}
            }
            // Never without a row, or it would begin with the same one again.
            if late.is_some_and(|late| Instant::now() > late) && self.open.can_end_here() {
                return Ok((seen, Some(Halt::Late)));
            }
        }
    }

    /// Maps rows, and sends off what fills a batch. What was read at a time may be more than fits.
    async fn add(&mut self, mut rows: Vec<LegacyRow>) -> Result<(), Error> {
        while !rows.is_empty() {
            let open = usize::try_from(self.open.rows()).unwrap_or(usize::MAX);
            let room = self.shared.limit.rows().saturating_sub(open).max(1);
            let rest = rows.split_off(room.min(rows.len()));
            self.open.add(&self.mapper, mem::replace(&mut rows, rest), &mut self.streak);
            let most = self.shared.settings.quarantine_in_a_row_max;
            if let Some(why) = self.streak.reaches(most) {
                let (table, why) = (self.mapper.table.table.clone(), why.to_owned());
                return Err(Error::Flood { table, rows: most, why });
            }
            if self.is_full() && self.open.can_end_here() {
                self.launch(End::Step).await?;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let settings = &self.shared.settings;
        let rows = usize::try_from(self.open.rows()).unwrap_or(usize::MAX);
        rows >= self.shared.limit.rows() || self.open.bytes() >= settings.batch_bytes_max
    }

    /// Sends the open batch off, after the one before it has landed. Its keys get their ids
    /// while that one is still under way.
    async fn launch(&mut self, end: End) -> Result<(), Error> {
        if !self.open.can_end_here() {
            // It will tell the last committed key as its own.
            self.land().await?;
        }
        let open = mem::take(&mut self.open);
        let rows = open.rows();
        let batch = open.close(&self.mapper.form, self.claim, end);
        let last_key = match &batch.checkpoint {
            Checkpoint::Chunk(progress) => progress.last_key.clone(),
            Checkpoint::None | Checkpoint::Offsets { .. } | Checkpoint::Retry(_) => None,
        };
        let target = Arc::clone(&self.shared.target);
        let preparing = tokio::spawn(async move { target.prepare_keys(batch).await });
        let preparing = AbortOnDropHandle::new(preparing);
        self.land().await?;
        let prepared = preparing.await.map_err(|_| Error::Task)?;
        let prepared = prepared.map_err(Error::writing(self.mapper.table))?;
        let target = Arc::clone(&self.shared.target);
        let applying = tokio::spawn(async move { target.apply_prepared(prepared).await });
        let applying = AbortOnDropHandle::new(applying);
        self.flight = Some(Flight { applying, rows, last_key });
        Ok(())
    }

    async fn land(&mut self) -> Result<(), Error> {
        let Some(flight) = self.flight.take() else { return Ok(()) };
        let table = self.mapper.table;
        let applied = flight.applying.await.map_err(|_| Error::Task)?;
        let applied = applied.map_err(Error::writing(table))?;
        self.claim.last_key = flight.last_key;
        self.claim.rows += flight.rows;
        self.shared.committed(table, flight.rows, &applied);
        Ok(())
    }
}
