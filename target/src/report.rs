//! Reconcile's runs, verdicts and differences. Each finished report carries the hash of the one
//! before: `hash = sha256(prev_hash || body)`.

mod shelf;

use mapping::position::{Lsn, Position};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

pub use shelf::{RunSummary, Shelf};

use crate::{Error, Target, partition::lsn};

/// The outcome for one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerdictKind {
    /// Every row at the LSN is equal, byte for byte.
    Equal,
    /// At least one row differs.
    Different,
    /// Some rows were still in flight when patience ran out.
    Undecided,
}

impl VerdictKind {
    /// As stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }
}

/// One entity's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The entity's name.
    pub entity: String,
    /// The outcome.
    pub verdict: VerdictKind,
    /// The LSN that it holds for.
    pub lsn: Option<Lsn>,
    /// When its oldest reading began, milliseconds since 1970 UTC, where that is long ago: its age
    /// counts from then. `None` is now.
    pub as_of_ms: Option<i64>,
    /// Rows on the legacy side.
    pub legacy_rows: u64,
    /// Rows in the target.
    pub target_rows: u64,
    /// Rows proven equal.
    pub equal_rows: u64,
    /// Rows that differ, missing and extra ones included.
    pub different_rows: u64,
    /// Rows that could not be decided.
    pub in_flight_rows: u64,
    /// Rows in quarantine.
    pub quarantined_rows: u64,
    /// Rows that a rule leaves out.
    pub ignored_rows: u64,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The entity's name.
    pub entity: String,
    /// The target row.
    pub id: Option<Uuid>,
    /// The canonical key's bytes.
    pub key: Option<Vec<u8>>,
    /// `missing`, `extra`, `changed` or `tampered`.
    pub kind: String,
    /// The columns that differ.
    pub columns: Vec<String>,
    /// The legacy side by column, masked where sensitive.
    pub legacy: Option<serde_json::Value>,
    /// The target side by column, masked where sensitive.
    pub target: Option<serde_json::Value>,
    /// The target row's position.
    pub position: Option<Position>,
}

/// A run as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileRun {
    /// Its number.
    pub id: i64,
    /// What was compared.
    pub scope: String,
    /// `running`, `equal`, `different`, `undecided` or `failed`.
    pub state: String,
    /// The mapping that it was done with.
    pub mapping_version: String,
    /// The LSN of the verdict.
    pub lsn: Option<Lsn>,
    /// The marker that came back.
    pub marker_lsn: Option<Lsn>,
    /// When it began, milliseconds since 1970 UTC.
    pub started_at_ms: i64,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// The report as JSON text; what is hashed.
    pub body: Option<String>,
    /// The hash of the report before.
    pub prev_hash: Option<Vec<u8>>,
    /// This report's.
    pub hash: Option<Vec<u8>>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// `equal`, `different`, `undecided` or `failed`.
    pub state: String,
    /// The LSN of the verdict.
    pub lsn: Option<Lsn>,
    /// The marker that came back.
    pub marker_lsn: Option<Lsn>,
    /// The report as JSON text.
    pub body: String,
    /// `full`, `sample`, `quick` or `since`.
    pub tier: &'static str,
    /// Rows that differed.
    pub different_rows: u64,
    /// Rows that were undecided.
    pub in_flight_rows: u64,
}

const RUN: &str = "select *, (extract(epoch from started_at) * 1000)::int8 as started_at_ms,
    (extract(epoch from finished_at) * 1000)::int8 as finished_at_ms from ficus.reconcile_run";

impl Target {
    /// Begins a run; its number.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn begin_reconcile(&self, scope: &str) -> Result<i64, Error> {
        sqlx::query_scalar(
            "insert into ficus.reconcile_run (scope, mapping_version) values ($1, $2) returning id",
        )
        .bind(scope)
        .bind(&self.plan().version)
        .fetch_one(self.pool())
        .await
        .map_err(Error::postgres("beginning a reconcile run"))
    }

    /// Stores an entity's verdict; a later one of the same run replaces it.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn store_verdict(&self, run: i64, verdict: &Verdict) -> Result<(), Error> {
        sqlx::query(
            "insert into ficus.reconcile_verdict
               (run, entity, verdict, lsn, legacy_rows, target_rows, equal_rows, different_rows,
                in_flight_rows, quarantined_rows, ignored_rows, at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                     coalesce(to_timestamp($12::float8 / 1000), clock_timestamp()))
             on conflict (run, entity) do update set
               verdict = excluded.verdict, lsn = excluded.lsn, legacy_rows = excluded.legacy_rows,
               target_rows = excluded.target_rows, equal_rows = excluded.equal_rows,
               different_rows = excluded.different_rows, in_flight_rows = excluded.in_flight_rows,
               quarantined_rows = excluded.quarantined_rows, ignored_rows = excluded.ignored_rows,
               at = excluded.at",
        )
        .bind(run)
        .bind(&verdict.entity)
        .bind(verdict.verdict.as_str())
        .bind(verdict.lsn.map(|lsn| lsn.as_bytes().to_vec()))
        .bind(number(verdict.legacy_rows))
        .bind(number(verdict.target_rows))
        .bind(number(verdict.equal_rows))
        .bind(number(verdict.different_rows))
        .bind(number(verdict.in_flight_rows))
        .bind(number(verdict.quarantined_rows))
        .bind(number(verdict.ignored_rows))
        .bind(verdict.as_of_ms)
        .execute(self.pool())
        .await
        .map_err(Error::postgres(format!("storing the verdict for {}", verdict.entity)))?;
        Ok(())
    }

    /// Stores differences.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn store_differences(&self, run: i64, all: &[Difference]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        for one in all {
            sqlx::query(
                "insert into ficus.reconcile_difference
                   (run, entity, row_id, key, kind, columns, legacy, target, position)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(run)
            .bind(&one.entity)
            .bind(one.id)
            .bind(&one.key)
            .bind(&one.kind)
            .bind(&one.columns)
            .bind(&one.legacy)
            .bind(&one.target)
            .bind(one.position.map(|position| position.as_bytes().to_vec()))
            .execute(&mut *connection)
            .await
            .map_err(Error::postgres(format!("storing a difference of {}", one.entity)))?;
        }
        Ok(())
    }

    /// Ends a run: its report joins the chain. One at a time, so the chain never forks.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the run is not running.
    pub async fn finish_reconcile(&self, run: i64, end: &RunEnd) -> Result<ReconcileRun, Error> {
        let storing = || Error::postgres(format!("storing report {run}"));
        let mut connection = self.own_connection().await?;
        let mut transaction = sqlx::Connection::begin(&mut connection).await.map_err(storing())?;
        sqlx::query("select pg_advisory_xact_lock($1, 1)")
            .bind(crate::writer::LOCK_SPACE_REPORT)
            .execute(&mut *transaction)
            .await
            .map_err(storing())?;
        let changed = sqlx::query(
            // The one that nobody follows yet. Clocks may go back; the chain does not.
            "with before as (
               select r.hash from ficus.reconcile_run r where r.hash is not null and not exists
                 (select from ficus.reconcile_run n where n.prev_hash = r.hash)
               order by r.id desc limit 1)
             update ficus.reconcile_run set state = $2, lsn = $3, marker_lsn = $4, body = $5,
               finished_at = clock_timestamp(), prev_hash = (select hash from before),
               hash = sha256(coalesce((select hash from before), ''::bytea) || convert_to($5, 'UTF8')),
               tier = $6, different_rows = $7, in_flight_rows = $8
             where id = $1 and state = 'running'",
        )
        .bind(run)
        .bind(&end.state)
        .bind(end.lsn.map(|lsn| lsn.as_bytes().to_vec()))
        .bind(end.marker_lsn.map(|lsn| lsn.as_bytes().to_vec()))
        .bind(&end.body)
        .bind(end.tier)
        .bind(number(end.different_rows))
        .bind(number(end.in_flight_rows))
        .execute(&mut *transaction)
        .await
        .map_err(storing())?;
        if changed.rows_affected() == 0 {
            return Err(Error::NotFound { what: format!("running reconcile run {run}") });
        }
        transaction.commit().await.map_err(storing())?;
        self.reconcile_run(run).await
    }

    /// One run.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn reconcile_run(&self, run: i64) -> Result<ReconcileRun, Error> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{RUN} where id = $1")))
            .bind(run)
            .fetch_optional(self.pool())
            .await
            .map_err(Error::postgres("reading a report"))?
            .ok_or_else(|| Error::NotFound { what: format!("reconcile run {run}") })?;
        Ok(reconcile_run(&row))
    }

    /// The newest runs first.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn reconcile_runs(&self, limit: i64) -> Result<Vec<ReconcileRun>, Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{RUN} order by id desc limit $1")))
            .bind(limit)
            .fetch_all(self.pool())
            .await
            .map_err(Error::postgres("listing reports"))?;
        Ok(rows.iter().map(reconcile_run).collect())
    }
}

fn reconcile_run(row: &PgRow) -> ReconcileRun {
    ReconcileRun {
        id: row.get("id"),
        scope: row.get("scope"),
        state: row.get("state"),
        mapping_version: row.get("mapping_version"),
        lsn: lsn(row.get("lsn")),
        marker_lsn: lsn(row.get("marker_lsn")),
        started_at_ms: row.get("started_at_ms"),
        finished_at_ms: row.get("finished_at_ms"),
        body: row.get("body"),
        prev_hash: row.get("prev_hash"),
        hash: row.get("hash"),
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
