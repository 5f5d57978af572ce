//! The stored reports, for whoever reads them. Nothing is registered and no mapping is needed, so
//! the reader's role is enough.

use sqlx::{AssertSqlSafe, PgPool, Row as _};

use super::{RUN, ReconcileRun, reconcile_run};
use crate::Error;

/// A finished run in a list: no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Its number.
    pub id: i64,
    /// What was compared.
    pub scope: String,
    /// `full`, `sample`, `quick` or `since`.
    pub tier: String,
    /// `running`, `equal`, `different`, `undecided` or `failed`.
    pub state: String,
    /// The LSN of the verdict.
    pub lsn: Option<mapping::position::Lsn>,
    /// When it began, milliseconds since 1970 UTC.
    pub started_at_ms: i64,
    /// When it ended.
    pub finished_at_ms: Option<i64>,
    /// How long ago it ended, by Postgres's clock.
    pub age_ms: Option<i64>,
    /// Rows that differed.
    pub different_rows: u64,
    /// Rows that were undecided.
    pub in_flight_rows: u64,
}

/// The stored reports.
#[derive(Debug, Clone)]
pub struct Shelf {
    pool: PgPool,
}

impl Shelf {
    /// By any login that may read them.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The newest runs, the newest first.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn newest(&self, limit: i64) -> Result<Vec<RunSummary>, Error> {
        let rows = sqlx::query(
            "select id, scope, tier, state, lsn, different_rows, in_flight_rows,
               (extract(epoch from started_at) * 1000)::int8 as started_at_ms,
               (extract(epoch from finished_at) * 1000)::int8 as finished_at_ms,
               (extract(epoch from clock_timestamp() - finished_at) * 1000)::int8 as age_ms
             from ficus.reconcile_run order by id desc limit $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::postgres("listing reports"))?;
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let summary = |row: &sqlx::postgres::PgRow| RunSummary {
            id: row.get("id"),
            scope: row.get("scope"),
            tier: row.get("tier"),
            state: row.get("state"),
            lsn: crate::partition::lsn(row.get("lsn")),
            started_at_ms: row.get("started_at_ms"),
            finished_at_ms: row.get("finished_at_ms"),
            age_ms: row.get("age_ms"),
            different_rows: count(row.get("different_rows")),
            in_flight_rows: count(row.get("in_flight_rows")),
        };
        Ok(rows.iter().map(summary).collect())
    }

    /// A report by its number; the newest that is finished without one.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn report(&self, number: Option<i64>) -> Result<ReconcileRun, Error> {
        let (only, what) = match number {
            Some(number) => ("id = $1", format!("report {number}")),
            None => ("$1 = 0 and body is not null", "finished report".to_owned()),
        };
        let sql = format!("{RUN} where {only} order by id desc limit 1");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(number.unwrap_or(0))
            .fetch_optional(&self.pool)
            .await
            .map_err(Error::postgres("reading a report"))?;
        row.as_ref().map(reconcile_run).ok_or(Error::NotFound { what })
    }

    /// Hands over every report of the chain, the oldest first, one at a time.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn chain(&self, mut each: impl FnMut(ReconcileRun)) -> Result<(), Error> {
        use futures_util::TryStreamExt as _;
        let sql = format!("{RUN} where hash is not null order by id");
        let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(Error::postgres("reading reports"))? {
            each(reconcile_run(&row));
        }
        Ok(())
    }
}
