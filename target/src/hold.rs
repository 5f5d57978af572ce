//! Waiting at an operator's word, in every process that copies; and who copies now.

use std::time::Duration;

use sqlx::Row as _;

use crate::{Error, Pool, Target, domain::Decision};

/// A process that has said nothing for so long is not shown any more.
const SILENT: Duration = Duration::from_secs(10);

/// Backfills wait, because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// For how long now, in milliseconds.
    pub age_ms: i64,
}

/// A process that copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name: host, process number and start.
    pub owner: String,
    /// Its run.
    pub run: i64,
    /// Its readers, each with one connection to the legacy server at most.
    pub readers: i32,
    /// What it waits for; empty when it works.
    pub holding: String,
}

/// Lets all backfills wait; whether they did not already. Whoever runs heeds it within a second.
/// It needs no mapping, so that it can be done when nothing else works.
///
/// # Errors
/// [`Error::Postgres`].
pub async fn pause_backfills(pool: &Pool, decision: Decision<'_>) -> Result<bool, Error> {
    let insert = "insert into ficus.backfill_pause (reason, actor) values ($2, $1)
                  on conflict do nothing";
    decide(pool, decision, insert).await
}

/// Lets them go on; whether they waited.
///
/// # Errors
/// [`Error::Postgres`].
pub async fn resume_backfills(pool: &Pool, decision: Decision<'_>) -> Result<bool, Error> {
    let delete =
        "delete from ficus.backfill_pause where $1::text is not null and $2::text is not null";
    decide(pool, decision, delete).await
}

async fn decide(pool: &Pool, decision: Decision<'_>, sql: &'static str) -> Result<bool, Error> {
    let failed = || Error::postgres("letting backfills wait or go on");
    let mut transaction = pool.begin().await.map_err(failed())?;
    // For the trigger that writes the audit.
    sqlx::query("select set_config('ficus.actor', $1, true), set_config('ficus.reason', $2, true)")
        .bind(decision.actor)
        .bind(decision.reason)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    let result = sqlx::query(sql)
        .bind(decision.actor)
        .bind(decision.reason)
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    transaction.commit().await.map_err(failed())?;
    Ok(result.rows_affected() > 0)
}

impl Target {
    /// Whether backfills are to wait.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn backfill_pause(&self) -> Result<Option<Pause>, Error> {
        let row = sqlx::query(
            "select reason, actor,
                    (extract(epoch from clock_timestamp() - since) * 1000)::int8 as age_ms
             from ficus.backfill_pause",
        )
        .fetch_optional(self.pool())
        .await
        .map_err(Error::postgres("asking whether backfills wait"))?;
        Ok(row.map(|row| Pause {
            reason: row.get("reason"),
            actor: row.get("actor"),
            age_ms: row.get("age_ms"),
        }))
    }

    /// Tells that a process is there, and what it waits for.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn tell_process(&self, process: &Process) -> Result<(), Error> {
        sqlx::query(
            "with old as (
               delete from ficus.backfill_process
               where seen_at < clock_timestamp() - interval '1 day')
             insert into ficus.backfill_process as p (owner, run, readers, holding)
             values ($1, $2, $3, $4)
             on conflict (owner) do update
             set run = excluded.run, readers = excluded.readers, holding = excluded.holding,
                 seen_at = clock_timestamp()",
        )
        .bind(&process.owner)
        .bind(process.run)
        .bind(process.readers)
        .bind(&process.holding)
        .execute(self.pool())
        .await
        .map_err(Error::postgres("telling that a backfill runs"))?;
        Ok(())
    }

    /// Tells that a process has ended.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn end_process(&self, owner: &str) -> Result<(), Error> {
        sqlx::query("delete from ficus.backfill_process where owner = $1")
            .bind(owner)
            .execute(self.pool())
            .await
            .map_err(Error::postgres("telling that a backfill has ended"))?;
        Ok(())
    }

    /// The processes that copy now.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn backfill_processes(&self) -> Result<Vec<Process>, Error> {
        let rows = sqlx::query(
            "select owner, run, readers, holding from ficus.backfill_process
             where seen_at > clock_timestamp() - make_interval(secs => $1) order by owner",
        )
        .bind(SILENT.as_secs_f64())
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("asking who copies"))?;
        let process = |row: &sqlx::postgres::PgRow| Process {
            owner: row.get("owner"),
            run: row.get("run"),
            readers: row.get("readers"),
            holding: row.get("holding"),
        };
        Ok(rows.iter().map(process).collect())
    }
}
