//! Reports by the clock: one runner at a time over many processes, and each slot once.
//!
//! Who runs holds a session's advisory lock, which Postgres takes back when the process or its
//! connection dies. A slot that is still `running` when somebody else gets the lock was left by a
//! dead process.

use sqlx::{PgConnection, Row as _};

use crate::{Error, Target, writer::LOCK_SPACE_REPORT};

/// Beside the lock of the chain of reports.
const LOCK: i32 = 2;

/// The right to run scheduled reports; given back when it is dropped.
#[derive(Debug)]
pub struct Runner {
    connection: PgConnection,
    owner: String,
}

/// What became of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotEnd {
    /// `equal`, `different`, `undecided` or `failed`.
    pub state: &'static str,
    /// The report, where there is one.
    pub run: Option<i64>,
    /// Why it failed.
    pub detail: Option<String>,
}

impl Target {
    /// Becomes the runner, if nobody else is; slots that a dead one left are ended as failed.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn schedule_runner(&self, owner: &str) -> Result<Option<Runner>, Error> {
        let mut connection = self.own_connection().await?;
        let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1, $2)")
            .bind(LOCK_SPACE_REPORT)
            .bind(LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(Error::postgres("asking who runs scheduled reports"))?;
        if !is_ours {
            return Ok(None);
        }
        sqlx::query(
            "update ficus.schedule_slot set state = 'failed', ended_at = clock_timestamp(),
               detail = 'the process that ran it ended early' where state = 'running'",
        )
        .execute(&mut connection)
        .await
        .map_err(Error::postgres("ending slots that were left"))?;
        Ok(Some(Runner { connection, owner: owner.to_owned() }))
    }
}

impl Runner {
    /// Whether this is still the runner: a lost connection is a lost right.
    ///
    /// # Errors
    /// [`Error::Postgres`] when the connection is lost.
    pub async fn check(&mut self) -> Result<(), Error> {
        sqlx::query("select 1")
            .execute(&mut self.connection)
            .await
            .map_err(Error::postgres("asking whether this process still runs the schedule"))?;
        Ok(())
    }

    /// The newest slot of a job, milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn newest_slot(&mut self, job: &str) -> Result<Option<i64>, Error> {
        sqlx::query_scalar(
            "select (extract(epoch from max(due)) * 1000)::int8 from ficus.schedule_slot where job = $1",
        )
        .bind(job)
        .fetch_one(&mut self.connection)
        .await
        .map_err(Error::postgres("looking for the newest slot"))
    }

    /// How the newest slot that was run ended, before `due_ms`.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn state_before(&mut self, job: &str, due_ms: i64) -> Result<Option<String>, Error> {
        let row = sqlx::query(
            "select state from ficus.schedule_slot
             where job = $1 and due < to_timestamp($2::float8 / 1000) and state <> 'missed'
             order by due desc limit 1",
        )
        .bind(job)
        .bind(due_ms)
        .fetch_optional(&mut self.connection)
        .await
        .map_err(Error::postgres("looking for the slot before"))?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Writes down slots that nobody ran; how many were not known yet.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn missed(&mut self, job: &str, due_ms: &[i64]) -> Result<u64, Error> {
        let done = sqlx::query(
            "insert into ficus.schedule_slot (job, due, state, owner, ended_at)
             select $1, to_timestamp(due::float8 / 1000), 'missed', $3, clock_timestamp()
             from unnest($2::int8[]) as w (due) on conflict do nothing",
        )
        .bind(job)
        .bind(due_ms)
        .bind(&self.owner)
        .execute(&mut self.connection)
        .await
        .map_err(Error::postgres("writing down missed slots"))?;
        Ok(done.rows_affected())
    }

    /// Takes a slot; `false` when it was taken before.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn take(&mut self, job: &str, due_ms: i64) -> Result<bool, Error> {
        let taken = sqlx::query(
            "insert into ficus.schedule_slot (job, due, state, owner)
             values ($1, to_timestamp($2::float8 / 1000), 'running', $3) on conflict do nothing",
        )
        .bind(job)
        .bind(due_ms)
        .bind(&self.owner)
        .execute(&mut self.connection)
        .await
        .map_err(Error::postgres("taking a slot"))?;
        Ok(taken.rows_affected() == 1)
    }

    /// Ends a slot.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not running any more.
    pub async fn end(&mut self, job: &str, due_ms: i64, end: &SlotEnd) -> Result<(), Error> {
        let ended = sqlx::query(
            "update ficus.schedule_slot set state = $3, run = $4, detail = $5, ended_at = clock_timestamp()
             where job = $1 and due = to_timestamp($2::float8 / 1000) and state = 'running'",
        )
        .bind(job)
        .bind(due_ms)
        .bind(end.state)
        .bind(end.run)
        .bind(&end.detail)
        .execute(&mut self.connection)
        .await
        .map_err(Error::postgres("ending a slot"))?;
        match ended.rows_affected() {
            0 => Err(Error::NotFound { what: format!("running slot of {job}") }),
            _ => Ok(()),
        }
    }
}
