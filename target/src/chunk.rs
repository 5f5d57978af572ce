//! Backfill runs and their chunks: claimed in Postgres, so several processes share one run.
//!
//! A chunk's progress is written by [`Target::apply`] with the rows it accounts for
//! ([`crate::batch::ChunkProgress`]); everything here is about who works on which chunk.

mod planning;

use std::time::Duration;

use mapping::{plan::TableId, position::Lsn};
use sqlx::{Connection as _, Row as _, postgres::PgRow};

use crate::{Error, Target, partition::lsn};

/// A run over one or more tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// The mapping that it was planned with.
    pub mapping_version: String,
    /// `running`, `done` or `abandoned`.
    pub state: String,
    /// The command's options as it was started.
    pub options: serde_json::Value,
}

/// A part of a table to copy: the rows after `after` up to and including `up_to`, in the chunk's
/// own key encoding. `None` is the table's end on that side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// The table.
    pub table: TableId,
    /// Its number within the table, from 0.
    pub number: i32,
    /// Exclusive lower bound.
    pub after: Option<Vec<u8>>,
    /// Inclusive upper bound.
    pub up_to: Option<Vec<u8>>,
}

/// A chunk that is ours until the lease ends; each applied step renews the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkClaim {
    /// Its id, for [`crate::batch::ChunkProgress::chunk`].
    pub chunk: i64,
    /// The owner's epoch, for [`crate::batch::ChunkProgress::epoch`].
    pub epoch: i64,
    /// The run.
    pub run: i64,
    /// What to read.
    pub plan: ChunkPlan,
    /// Go on after this key; `None` when nothing of the chunk is committed.
    pub last_key: Option<Vec<u8>>,
    /// Rows committed so far.
    pub rows: u64,
    /// How often it was claimed before.
    pub attempts: i32,
}

/// A chunk as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkState {
    /// Its id.
    pub chunk: i64,
    /// What it covers.
    pub plan: ChunkPlan,
    /// `ready`, `running` or `done`.
    pub state: String,
    /// Who has it.
    pub owner: String,
    /// Rows committed so far.
    pub rows: u64,
    /// The last committed key.
    pub last_key: Option<Vec<u8>>,
    /// Max LSN before its first row was read.
    pub low_watermark: Option<Lsn>,
    /// Max LSN after its last row was read.
    pub high_watermark: Option<Lsn>,
    /// Why the last attempt ended early.
    pub last_error: Option<String>,
}

/// A table's share of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableProgress {
    /// The table.
    pub table: TableId,
    /// All its chunks.
    pub chunks: u64,
    /// Those that are done.
    pub chunks_done: u64,
    /// Rows committed.
    pub rows: u64,
    /// The highest high watermark; the copy is decided once the stream has passed it.
    pub high_watermark: Option<Lsn>,
}

impl Target {
    /// Starts a run over whole tables.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn start_run(&self, options: &serde_json::Value) -> Result<Run, Error> {
        let row = sqlx::query(
            "insert into ficus.backfill_run (mapping_version, options) values ($1, $2)
             returning id, mapping_version, state, options",
        )
        .bind(&self.plan().version)
        .bind(options)
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("starting a backfill run"))?;
        Ok(run(&row))
    }

    /// The newest run over whole tables that is not finished.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn open_run(&self) -> Result<Option<Run>, Error> {
        let row = sqlx::query(
            "select id, mapping_version, state, options from ficus.backfill_run
             where state = 'running' and part is null order by id desc limit 1",
        )
        .fetch_optional(self.pool())
        .await
        .map_err(Error::postgres("looking for a backfill run"))?;
        Ok(row.as_ref().map(run))
    }

    /// The newest run over whole tables that was not given up, finished or not.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn latest_run(&self) -> Result<Option<Run>, Error> {
        let row = sqlx::query(
            "select id, mapping_version, state, options from ficus.backfill_run
             where state <> 'abandoned' and part is null order by id desc limit 1",
        )
        .fetch_optional(self.pool())
        .await
        .map_err(Error::postgres("looking for a backfill run"))?;
        Ok(row.as_ref().map(run))
    }

    /// Claims the next chunk of the run that is free or whose owner's lease has ended; of one
    /// table only, when given. Several claimers never get the same one.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn claim_chunk(
        &self,
        run: i64,
        table: Option<TableId>,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<ChunkClaim>, Error> {
        let table = table.map(|table| self.table_name(table)).transpose()?;
        let row = sqlx::query(
            "update ficus.backfill_chunk as c
             set state = 'running', owner = $3, owner_epoch = c.owner_epoch + 1,
                 attempts = c.attempts + 1, lease_ms = $4, updated_at = clock_timestamp(),
                 lease_until = clock_timestamp() + $4 * interval '1 ms'
             where c.id = (
               select id from ficus.backfill_chunk
               where run = $1 and ($2::text is null or source_table = $2)
                 and (state = 'ready' or (state = 'running' and lease_until < clock_timestamp()))
               order by id limit 1 for update skip locked)
             returning c.*",
        )
        .bind(run)
        .bind(table)
        .bind(owner)
        .bind(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 2))
        .fetch_optional(self.pool())
        .await
        .map_err(Error::postgres("claiming a chunk"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(ChunkClaim {
            chunk: row.get("id"),
            epoch: row.get("owner_epoch"),
            run,
            plan: self.chunk_plan(&row)?,
            last_key: row.get("last_key"),
            rows: rows(&row),
            attempts: row.get::<i32, _>("attempts").saturating_sub(1),
        }))
    }

    /// Notes the low watermark before reading begins; the first one stays. Also renews the lease.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the chunk is not ours any more.
    pub async fn begin_chunk(&self, claim: &ChunkClaim, low: Option<Lsn>) -> Result<(), Error> {
        let low = low.map(|low| low.as_bytes().to_vec());
        let step = sqlx::query(
            "update ficus.backfill_chunk
             set low_watermark = coalesce(low_watermark, $3),
                 begun_at = coalesce(begun_at, clock_timestamp()), updated_at = clock_timestamp(),
                 lease_until = clock_timestamp() + lease_ms * interval '1 ms'
             where id = $1 and owner_epoch = $2 and state = 'running'",
        )
        .bind(claim.chunk)
        .bind(claim.epoch)
        .bind(low);
        self.chunk_step(claim, step).await
    }

    /// Renews the lease while nothing is applied (a slow query, a pause).
    ///
    /// # Errors
    /// [`Error::Fenced`] when the chunk is not ours any more.
    pub async fn renew_chunk(&self, claim: &ChunkClaim) -> Result<(), Error> {
        self.begin_chunk(claim, None).await
    }

    /// Gives a chunk back, with what is committed of it; `error` says why, without row values.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the chunk is not ours any more.
    pub async fn release_chunk(
        &self,
        claim: &ChunkClaim,
        error: Option<&str>,
    ) -> Result<(), Error> {
        let step = sqlx::query(
            "update ficus.backfill_chunk
             set state = 'ready', lease_until = null, owner_epoch = owner_epoch + 1,
                 last_error = $3, updated_at = clock_timestamp()
             where id = $1 and owner_epoch = $2 and state = 'running'",
        )
        .bind(claim.chunk)
        .bind(claim.epoch)
        .bind(error);
        self.chunk_step(claim, step).await
    }

    /// Takes a chunk that is ours back to where it was: the answer that brought it on was not whole,
    /// and which rows of it are not there, nobody knows.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the chunk is not ours any more.
    pub async fn rewind_chunk(
        &self,
        claim: &ChunkClaim,
        last_key: Option<&[u8]>,
        rows: u64,
    ) -> Result<(), Error> {
        let step = sqlx::query(
            "update ficus.backfill_chunk
             set last_key = $3, rows = $4, updated_at = clock_timestamp()
             where id = $1 and owner_epoch = $2 and state = 'running'",
        )
        .bind(claim.chunk)
        .bind(claim.epoch)
        .bind(last_key)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX));
        self.chunk_step(claim, step).await
    }

    /// Ends the leases of an owner that is known to be gone, so that its chunks can be claimed at
    /// once. A wrong guess only costs work: whoever claims them fences the owner.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn expire_chunks(&self, run: i64, owner: &str) -> Result<u64, Error> {
        let result = sqlx::query(
            "update ficus.backfill_chunk set lease_until = clock_timestamp() - interval '1 ms'
             where run = $1 and owner = $2 and state = 'running'",
        )
        .bind(run)
        .bind(owner)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("ending an owner's leases"))?;
        Ok(result.rows_affected())
    }

    /// Splits a chunk that is ours (its query timed out): it now ends at `up_to`, and a new chunk
    /// has the rest. `claim.plan` is as it was claimed.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the chunk is not ours any more.
    pub async fn split_chunk(&self, claim: &ChunkClaim, up_to: &[u8]) -> Result<(), Error> {
        let failed = || Error::postgres(format!("splitting chunk {}", claim.chunk));
        let mut connection = self.own_connection().await?;
        let mut transaction = connection.begin().await.map_err(failed())?;
        // Of two that split at once, the later one has to see the number that the other one took.
        sqlx::query(
            "select from ficus.backfill_run r
             where r.id = (select run from ficus.backfill_chunk where id = $1) for update",
        )
        .bind(claim.chunk)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        let split = sqlx::query(
            "with ours as (
               update ficus.backfill_chunk set up_to_key = $3, updated_at = clock_timestamp()
               where id = $1 and owner_epoch = $2 and state = 'running'
               returning run, source_table)
             insert into ficus.backfill_chunk (run, source_table, number, after_key, up_to_key)
             select run, source_table,
                    (select max(number) + 1 from ficus.backfill_chunk c
                     where c.run = ours.run and c.source_table = ours.source_table), $3, $4
             from ours",
        )
        .bind(claim.chunk)
        .bind(claim.epoch)
        .bind(up_to)
        .bind(claim.plan.up_to.as_deref())
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
        if split.rows_affected() == 0 {
            return Err(Error::Fenced { what: format!("chunk {}", claim.chunk) });
        }
        transaction.commit().await.map_err(failed())
    }

    /// The chunks of a run, in order.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn chunks(&self, run: i64) -> Result<Vec<ChunkState>, Error> {
        let rows = sqlx::query("select * from ficus.backfill_chunk where run = $1 order by id")
            .bind(run)
            .fetch_all(self.pool())
            .await
            .map_err(Error::postgres("listing chunks"))?;
        rows.iter()
            .map(|row| {
                Ok(ChunkState {
                    chunk: row.get("id"),
                    plan: self.chunk_plan(row)?,
                    state: row.get("state"),
                    owner: row.get("owner"),
                    rows: self::rows(row),
                    last_key: row.get("last_key"),
                    low_watermark: lsn(row.get("low_watermark")),
                    high_watermark: lsn(row.get("high_watermark")),
                    last_error: row.get("last_error"),
                })
            })
            .collect()
    }

    /// What is done of a run, by table.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn progress(&self, run: i64) -> Result<Vec<TableProgress>, Error> {
        let rows = sqlx::query(
            "select source_table, count(*) as chunks, count(*) filter (where state = 'done') as done,
                    sum(rows)::int8 as rows, max(high_watermark) as high
             from (select source_table, state, rows, encode(high_watermark, 'hex') as high_watermark
                   from ficus.backfill_chunk where run = $1) c
             group by source_table order by source_table",
        )
        .bind(run)
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading the run's progress"))?;
        // A table of an older mapping is nobody's business here.
        let known =
            rows.iter().filter_map(|row| Some((row, self.table_id(row.get("source_table")).ok()?)));
        let progress = known.map(|(row, table)| {
            let high: Option<String> = row.get("high");
            TableProgress {
                table,
                chunks: count(row.get("chunks")),
                chunks_done: count(row.get("done")),
                rows: self::rows(row),
                high_watermark: high.and_then(|high| Lsn::parse(&high).ok()),
            }
        });
        Ok(progress.collect())
    }

    /// Ends a run when all its chunks are done; whether it did.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn finish_run(&self, run: i64) -> Result<bool, Error> {
        let result = sqlx::query(
            "update ficus.backfill_run set state = 'done', finished_at = clock_timestamp()
             where id = $1 and state = 'running' and not exists (
               select from ficus.backfill_chunk where run = $1 and state <> 'done')",
        )
        .bind(run)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("finishing a backfill run"))?;
        Ok(result.rows_affected() == 1)
    }

    /// Gives a run up; its chunks can't be claimed or committed any more.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn abandon_run(&self, run: i64) -> Result<(), Error> {
        sqlx::query(
            "with gone as (
               update ficus.backfill_run set state = 'abandoned', finished_at = clock_timestamp()
               where id = $1 and state = 'running' returning id)
             update ficus.backfill_chunk set owner_epoch = owner_epoch + 1, state = 'done'
             where run in (select id from gone) and state <> 'done'",
        )
        .bind(run)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("abandoning a backfill run"))?;
        Ok(())
    }

    /// Makes a run's chunks ready from their beginning again (of one table, when given); owners
    /// are fenced.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn reset_chunks(&self, run: i64, table: Option<TableId>) -> Result<u64, Error> {
        let table = table.map(|table| self.table_name(table)).transpose()?;
        let result = sqlx::query(
            "with open as (
               update ficus.backfill_run set state = 'running', finished_at = null
               where id = $1 returning id)
             update ficus.backfill_chunk
             set state = 'ready', owner_epoch = owner_epoch + 1, last_key = null, rows = 0,
                 low_watermark = null, high_watermark = null, begun_at = null, lease_until = null,
                 updated_at = clock_timestamp()
             where run in (select id from open) and ($2::text is null or source_table = $2)",
        )
        .bind(run)
        .bind(table)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("resetting chunks"))?;
        Ok(result.rows_affected())
    }

    async fn chunk_step(
        &self,
        claim: &ChunkClaim,
        step: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<(), Error> {
        let result = step
            .execute(self.pool())
            .await
            .map_err(Error::postgres(format!("stepping chunk {}", claim.chunk)))?;
        match result.rows_affected() {
            0 => Err(Error::Fenced { what: format!("chunk {}", claim.chunk) }),
            _ => Ok(()),
        }
    }

    fn chunk_plan(&self, row: &PgRow) -> Result<ChunkPlan, Error> {
        Ok(ChunkPlan {
            table: self.table_id(row.get("source_table"))?,
            number: row.get("number"),
            after: row.get("after_key"),
            up_to: row.get("up_to_key"),
        })
    }
}

pub(crate) fn run(row: &PgRow) -> Run {
    Run {
        id: row.get("id"),
        mapping_version: row.get("mapping_version"),
        state: row.get("state"),
        options: row.get("options"),
    }
}

fn rows(row: &PgRow) -> u64 {
    count(row.get("rows"))
}

pub(crate) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
