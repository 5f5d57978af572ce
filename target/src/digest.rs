//! Digests of legacy tables that a full comparison keeps: while it reads, so that another process
//! can go on when it dies, and afterwards, so that a later one needs to read what has changed only.
//!
//! A run that is under way holds a session's advisory lock, which Postgres takes back when the
//! process or its connection dies. What it keeps is written under its own number, so even two
//! that both believe to be the one cannot mix their digests.

use mapping::{plan::TableId, position::Lsn};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{Error, Target, partition::lsn, report::RunEnd, writer::LOCK_SPACE_RUN};

const KEEPING: &str = "keeping the digests of a comparison";
const TAKING: &str = "looking for digests of an earlier comparison";

/// What is kept of one legacy table.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptDigest {
    /// The legacy table's name.
    pub table: String,
    /// The captured LSN before the first of its rows was read; `None` without CDC.
    pub lsn: Option<Lsn>,
    /// When the run began that read the first of its rows, milliseconds since 1970 UTC.
    pub began_at_ms: i64,
    /// Whether the whole table is in it.
    pub complete: bool,
    /// How far it is, and what was counted.
    pub progress: serde_json::Value,
    /// The sums.
    pub sums: Vec<u8>,
}

/// What an unfinished run has left.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftRun {
    /// Its number.
    pub run: i64,
    /// Its digests, which belong to the run that asked from now on.
    pub digests: Vec<KeptDigest>,
}

/// Says that a run is under way until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    _connection: PgConnection,
}

impl Target {
    /// Says that a run is under way, for as long as the lock lives.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn lock_run(&self, run: i64) -> Result<RunLock, Error> {
        let mut connection = self.own_connection().await?;
        sqlx::query("select pg_advisory_lock($1, $2)")
            .bind(LOCK_SPACE_RUN)
            .bind(lock_key(run))
            .execute(&mut connection)
            .await
            .map_err(Error::postgres("beginning a reconcile run"))?;
        Ok(RunLock { _connection: connection })
    }

    /// Keeps a table's digest in the place of what the run kept of it before.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn keep_digest(&self, run: i64, kept: &KeptDigest) -> Result<(), Error> {
        sqlx::query(
            "insert into ficus.reconcile_digest
               (run, source_table, mapping_version, lsn, began_at, complete, progress, sums)
             values ($1, $2, $3, $4, to_timestamp($5::float8 / 1000), $6, $7, $8)
             on conflict (run, source_table) do update set lsn = excluded.lsn,
               began_at = excluded.began_at, complete = excluded.complete,
               progress = excluded.progress, sums = excluded.sums, kept_at = clock_timestamp()",
        )
        .bind(run)
        .bind(&kept.table)
        .bind(&self.plan().version)
        .bind(kept.lsn.map(|lsn| lsn.as_bytes().to_vec()))
        .bind(kept.began_at_ms)
        .bind(kept.complete)
        .bind(&kept.progress)
        .bind(&kept.sums)
        .execute(self.pool())
        .await
        .map_err(Error::postgres(KEEPING))?;
        Ok(())
    }

    /// Takes over the digests of the newest run of the same scope and mapping that neither ended
    /// nor is under way, and that began at most so long ago. That run counts as failed from now on.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn take_digests(
        &self,
        run: i64,
        scope: &str,
        age_ms_max: i64,
    ) -> Result<Option<LeftRun>, Error> {
        let candidates = sqlx::query(
            "select r.id, r.state from ficus.reconcile_run r
             where r.id < $1 and r.scope = $2 and r.mapping_version = $3
               and r.state in ('running', 'failed') and exists (
                 select from ficus.reconcile_digest d where d.run = r.id and d.mapping_version = $3
                   and d.began_at > clock_timestamp() - make_interval(secs => $4::float8 / 1000))
             order by r.id desc",
        )
        .bind(run)
        .bind(scope)
        .bind(&self.plan().version)
        .bind(age_ms_max)
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres(TAKING))?;
        for candidate in candidates {
            let left: i64 = candidate.get("id");
            if !self.is_dead(left).await? {
                continue;
            }
            if candidate.get::<&str, _>("state") == "running" {
                self.bury(left, run).await?;
            }
            let rows = sqlx::query(
                "with moved as (
                   update ficus.reconcile_digest set run = $1
                   where run = $2 and mapping_version = $3
                   returning source_table, lsn, began_at, complete, progress, sums)
                 select *, (extract(epoch from began_at) * 1000)::int8 as began_at_ms from moved",
            )
            .bind(run)
            .bind(left)
            .bind(&self.plan().version)
            .fetch_all(self.pool())
            .await
            .map_err(Error::postgres(TAKING))?;
            if !rows.is_empty() {
                return Ok(Some(LeftRun { run: left, digests: rows.iter().map(kept).collect() }));
            }
        }
        Ok(None)
    }

    /// The newest whole digest of each table, of runs that ended with a verdict; with the run.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn whole_digests(&self, tables: &[TableId]) -> Result<Vec<(i64, KeptDigest)>, Error> {
        let names: Result<Vec<String>, Error> =
            tables.iter().map(|table| self.table_name(*table)).collect();
        let rows = sqlx::query(
            "select distinct on (d.source_table) d.run, d.source_table, d.lsn, d.complete,
               d.progress, d.sums, (extract(epoch from d.began_at) * 1000)::int8 as began_at_ms
             from ficus.reconcile_digest d join ficus.reconcile_run r on r.id = d.run
             where d.source_table = any($1) and d.mapping_version = $2 and d.complete
               and r.state in ('equal', 'different', 'undecided')
             order by d.source_table, d.run desc",
        )
        .bind(names?)
        .bind(&self.plan().version)
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres(TAKING))?;
        Ok(rows.iter().map(|row| (row.get("run"), kept(row))).collect())
    }

    /// Forgets what earlier runs kept of the tables of which this one kept the whole.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn forget_digests_before(&self, run: i64) -> Result<(), Error> {
        sqlx::query(
            "delete from ficus.reconcile_digest d where d.run < $1 and exists (
               select from ficus.reconcile_digest n
               where n.run = $1 and n.source_table = d.source_table and n.complete)",
        )
        .bind(run)
        .execute(self.pool())
        .await
        .map_err(Error::postgres(KEEPING))?;
        Ok(())
    }

    /// Whether nobody holds the run's lock.
    async fn is_dead(&self, run: i64) -> Result<bool, Error> {
        let held: bool = sqlx::query_scalar(
            "select exists (select from pg_locks where locktype = 'advisory' and objsubid = 2
               and classid = $1::int4::oid and objid = $2::int4::oid and granted
               and database = (select oid from pg_database where datname = current_database()))",
        )
        .bind(LOCK_SPACE_RUN)
        .bind(lock_key(run))
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres(TAKING))?;
        Ok(!held)
    }

    /// A run whose process died ends as failed, in the chain like all others.
    async fn bury(&self, dead: i64, by: i64) -> Result<(), Error> {
        let why = format!("its process ended before the verdict; run {by} goes on with it");
        let end = RunEnd {
            state: "failed".to_owned(),
            lsn: None,
            marker_lsn: None,
            body: serde_json::json!({ "error": why }).to_string(),
            tier: "full",
            different_rows: 0,
            in_flight_rows: 0,
        };
        self.finish_reconcile(dead, &end).await?;
        Ok(())
    }
}

/// Numbers of runs are far below 2^31, which is what the second key of an advisory lock can tell apart.
fn lock_key(run: i64) -> i32 {
    i32::try_from(run & i64::from(i32::MAX)).unwrap_or(0)
}

fn kept(row: &PgRow) -> KeptDigest {
    KeptDigest {
        table: row.get("source_table"),
        lsn: lsn(row.get("lsn")),
        began_at_ms: row.get("began_at_ms"),
        complete: row.get("complete"),
        progress: row.get("progress"),
        sums: row.get("sums"),
    }
}
