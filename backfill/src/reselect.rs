//! Rows that change events brought without a large value, read again whole (trap 10).
//!
//! CDC writes NULL for a large value that an update leaves alone, and Debezium before 3.6 also for
//! one that was set to NULL. Where the mapping says `unchanged = "reselect"`, the consumer asks for
//! such rows in the transaction that applies their change (or parks it). Here they are read by key
//! and applied as a chunk's rows are: at what capture had reached before the read. Every change up
//! to there is visible to the read, so the row is never taken for older than the change that asked
//! for it, and settles it where it was parked; whatever is newer wins (laws 2 and 3).
//!
//! A row that is gone has its delete in the stream: nothing is done about it here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use legacy::{Isolation, Limits, Session};
use mapping::{
    key::CanonicalKey,
    plan::{ObjectTypes, Plan, TableId},
    position::Position,
};
use target::{Target, hook};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    batch::{Mapper, OpenBatch, Streak},
    copy::now_us,
};

/// Rows of one read at first; twice as many after a small read, half as many after a large one,
/// so that memory is bounded whatever the rows hold.
const ROWS: u32 = 16;
const ROWS_MAX: u32 = 512;
const BYTES: usize = 4 << 20;
/// Between two looks when nobody asks.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Everything that it needs.
#[derive(Clone)]
pub struct Job {
    /// The legacy server, under a read-only login.
    pub legacy: legacy::Settings,
    /// How long that may take.
    pub limits: Limits,
    /// How reads see other sessions' changes.
    pub isolation: Isolation,
    /// Where the rows go.
    pub target: Arc<Target>,
    /// What they become.
    pub plan: Arc<Plan>,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// Reads rows again until it is cancelled. What fails is tried again for ever: the stream needs
/// none of it, and the askings stay.
pub async fn run(job: Job) {
    let mut reader = Reader { job, session: None, rows: ROWS };
    let mut pause = PAUSE;
    while !reader.job.cancel.is_cancelled() {
        let wait = match reader.round().await {
            Ok(read) => {
                pause = PAUSE;
                if read == 0 { PAUSE } else { Duration::ZERO }
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, source, "rows are not read again now: trying on");
                reader.session = None;
                pause = (pause * 2).min(PAUSE_MAX);
                pause
            }
        };
        tokio::select! {
            () = reader.job.cancel.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

struct Reader {
    job: Job,
    session: Option<Session>,
    /// So many rows at a time, now.
    rows: u32,
}

impl Reader {
    /// Reads some of the rows that are asked for; how many.
    async fn round(&mut self) -> Result<usize, Error> {
        let asked = self.job.target.asked_for(self.rows).await?;
        if asked.is_empty() {
            return Ok(0);
        }
        let mut session = self.connect().await?;
        // Until it is done: comparisons of totals by other processes are told.
        let _lock = self.job.target.begin_rereading().await?;
        // Before anything is read: every change up to here is visible to the read.
        let Some(low) = session.capture_state().await?.max_lsn else { return Ok(0) };
        let position = Position::read_after(low);
        let types = session.object_types().await?;
        let mut tables: BTreeMap<TableId, Vec<CanonicalKey>> = BTreeMap::new();
        // A server that has not captured the change is not the one that it came from, or a copy
        // that is behind: it is waited for.
        for row in asked.into_iter().filter(|row| row.position <= position) {
            tables.entry(row.table).or_default().push(row.key);
        }
        let (mut done, mut bytes) = (0, 0);
        for (table, keys) in tables {
            done += keys.len();
            bytes += self.read(&mut session, table, &keys, (position, &types)).await?;
        }
        self.rows = next_rows(self.rows, bytes);
        self.session = Some(session);
        Ok(done)
    }

    async fn connect(&mut self) -> Result<Session, Error> {
        if let Some(session) = self.session.take().filter(Session::is_usable) {
            return Ok(session);
        }
        let mut session = Session::connect_within(&self.job.legacy, self.job.limits).await?;
        session.isolate(self.job.isolation).await?;
        Ok(session)
    }

    /// Reads, maps and applies rows of a table; the bytes that they hold.
    async fn read(
        &self,
        session: &mut Session,
        table: TableId,
        keys: &[CanonicalKey],
        (position, types): (Position, &ObjectTypes),
    ) -> Result<usize, Error> {
        let Job { target, plan, .. } = &self.job;
        let Some(table) = plan.tables.get(usize::from(table.0)) else { return Ok(0) };
        let rows = session.read_keys(table, keys).await.map_err(Error::reading(table))?;
        hook::point("reselect.read");
        let mapper = Mapper::new(table, types, (position, now_us()));
        let mut open = OpenBatch::default();
        open.add(&mapper, rows, &mut Streak::default());
        let bytes = open.bytes();
        if !open.is_empty() {
            let batch = open.close_alone(&mapper.form);
            target.apply(batch).await.map_err(Error::writing(table))?;
        }
        hook::point("reselect.applied");
        target.reselected(table.id, keys, position).await.map_err(Error::writing(table))?;
        Ok(bytes)
    }
}

fn next_rows(rows: u32, bytes: usize) -> u32 {
    match bytes {
        _ if bytes > BYTES => (rows / 2).max(1),
        _ if bytes < BYTES / 4 => (rows * 2).min(ROWS_MAX),
        _ => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_are_read_in_smaller_numbers() {
        assert_eq!(next_rows(16, 10), 32);
        assert_eq!(next_rows(16, BYTES / 2), 16);
        assert_eq!(next_rows(16, 20 * BYTES), 8);
        assert_eq!((next_rows(1, 20 * BYTES), next_rows(ROWS_MAX, 0)), (1, ROWS_MAX));
    }
}
