//! Which tables the stream follows, and why it does not follow the others.
//!
//! A table is *paused* by a person and *stopped* by the engine, when going on would lose or spoil
//! something. Either way its partitions are not read and keep their place, and every other table
//! goes on. Every process that consumes looks here about twice a second.

use std::{fmt, str::FromStr};

use mapping::{plan::TableId, position::Lsn};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{Batch, Error, Target, domain::Decision, partition::lsn};

/// Whether the stream reads a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follow {
    /// It does.
    Following,
    /// A person has asked to wait.
    Paused,
    /// Something must be decided or mended first.
    Stopped,
}

impl Follow {
    /// As stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Following => "following",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Follow {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "following" => Self::Following,
            "paused" => Self::Paused,
            "stopped" => Self::Stopped,
            _ => return Err(Error::Corrupt { what: format!("the state `{text}` of a table") }),
        })
    }
}

/// Why the engine stops a table. Stored: a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopReason {
    /// Changes are gone for good before they came here.
    Gap,
    /// The table has another shape than the mapping was made for.
    Drift,
    /// So much of it goes to quarantine that the mapping must be wrong, and not the rows.
    Flood,
    /// Its topic has more partitions than before, so that its changes are in order no more.
    Partitions,
}

impl StopReason {
    /// As stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Drift => "drift",
            Self::Flood => "flood",
            Self::Partitions => "partitions",
        }
    }
}

/// A table that is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStop {
    /// The table.
    pub table: TableId,
    /// Why.
    pub reason: StopReason,
    /// What happened, as one sentence without values.
    pub detail: String,
    /// What mends it.
    pub remedy: String,
}

/// A table as `ficus status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// The legacy table, such as `dbo.Contract`.
    pub table: String,
    /// Whether it is read.
    pub state: Follow,
    /// `operator`, or one of [`StopReason`]; empty for a table that is followed.
    pub reason: String,
    /// What happened.
    pub detail: String,
    /// What mends it.
    pub remedy: String,
    /// Since when, milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// No change up to here is missing from Kafka.
    pub verified: Option<Lsn>,
    /// Somebody went on after a gap, and it was not looked at since.
    pub gap_accepted: bool,
}

impl Target {
    /// The tables that were ever paused, stopped or verified, by name.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn table_states(&self) -> Result<Vec<TableState>, Error> {
        let rows = sqlx::query(
            "select source_table, state, reason, detail, remedy, verified_lsn, gap_accepted,
                    (extract(epoch from since) * 1000)::int8 as since_ms
             from ficus.stream_table order by source_table",
        )
        .fetch_all(self.pool())
        .await
        .map_err(Error::postgres("reading which tables are followed"))?;
        rows.into_iter()
            .map(|row| {
                Ok(TableState {
                    table: row.get("source_table"),
                    state: Follow::from_str(row.get("state"))?,
                    reason: row.get("reason"),
                    detail: row.get("detail"),
                    remedy: row.get("remedy"),
                    since_ms: row.get("since_ms"),
                    verified: lsn(row.get("verified_lsn")),
                    gap_accepted: row.get("gap_accepted"),
                })
            })
            .collect()
    }

    /// Stops a table; whether it was followed until now.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn stop_table(&self, stop: &TableStop) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        self.store_stop(&mut connection, stop).await
    }

    /// What a batch has to say of its tables, beside the rows.
    pub(crate) async fn store_surprises(
        &self,
        connection: &mut PgConnection,
        batch: &Batch,
    ) -> Result<(), Error> {
        for stop in &batch.stops {
            self.store_stop(connection, stop).await?;
        }
        self.store_drift(connection, &batch.drift).await
    }

    /// A table that is stopped stays so, with the first reason; but what needs a new copy takes the
    /// place of what does not, and a gap, which takes deletes with it, of any other.
    pub(crate) async fn store_stop(
        &self,
        connection: &mut PgConnection,
        stop: &TableStop,
    ) -> Result<bool, Error> {
        let table = self.table_name(stop.table)?;
        let result = sqlx::query(
            "insert into ficus.stream_table as t (source_table, state, reason, detail, remedy)
             values ($1, 'stopped', $2, $3, $4)
             on conflict (source_table) do update
             set state = 'stopped', reason = excluded.reason, detail = excluded.detail,
                 remedy = excluded.remedy, since = clock_timestamp()
             where t.state <> 'stopped' or (excluded.reason = 'gap' and t.reason <> 'gap')
                or (excluded.reason = 'partitions' and t.reason in ('drift', 'flood'))",
        )
        .bind(&table)
        .bind(stop.reason.as_str())
        .bind(&stop.detail)
        .bind(&stop.remedy)
        .execute(connection)
        .await
        .map_err(Error::postgres(format!("stopping {table}")))?;
        Ok(result.rows_affected() == 1)
    }

    /// Lets the stream wait with a table; whether it was followed until now. One that is stopped
    /// stays stopped.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::NotFound`] for a table of another plan.
    pub async fn pause_table(&self, table: TableId, decision: Decision<'_>) -> Result<bool, Error> {
        let name = self.table_name(table)?;
        let pausing = || Error::postgres(format!("pausing {name}"));
        let mut connection = self.own_connection().await?;
        let mut transaction = connection.begin().await.map_err(pausing())?;
        decide(&mut transaction, decision).await?;
        let result = sqlx::query(
            "insert into ficus.stream_table as t (source_table, state, reason, detail, remedy)
             values ($1, 'paused', 'operator', $2, $3)
             on conflict (source_table) do update
             set state = 'paused', reason = 'operator', detail = excluded.detail,
                 remedy = excluded.remedy, since = clock_timestamp()
             where t.state = 'following'",
        )
        .bind(&name)
        .bind(format!("paused by {}: {}", decision.actor, decision.reason))
        .bind(format!("ficus stream resume {name}"))
        .execute(&mut *transaction)
        .await
        .map_err(pausing())?;
        transaction.commit().await.map_err(pausing())?;
        Ok(result.rows_affected() == 1)
    }

    /// Lets the stream go on with a table; the state that it was in. Whoever resumes a table that
    /// a gap has stopped accepts what is lost.
    ///
    /// # Errors
    /// [`Error::Postgres`], [`Error::NotFound`] for a table of another plan.
    pub async fn resume_table(
        &self,
        table: TableId,
        decision: Decision<'_>,
    ) -> Result<Follow, Error> {
        let name = self.table_name(table)?;
        let resuming = || Error::postgres(format!("resuming {name}"));
        let mut connection = self.own_connection().await?;
        let mut transaction = connection.begin().await.map_err(resuming())?;
        decide(&mut transaction, decision).await?;
        let before: Option<String> = sqlx::query_scalar(
            "select state from ficus.stream_table where source_table = $1 for update",
        )
        .bind(&name)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(resuming())?;
        sqlx::query(
            "update ficus.stream_table
             set state = 'following', gap_accepted = (reason = 'gap'), reason = '', detail = '',
                 remedy = '', since = clock_timestamp()
             where source_table = $1 and state <> 'following'",
        )
        .bind(&name)
        .execute(&mut *transaction)
        .await
        .map_err(resuming())?;
        sqlx::query("delete from ficus.stream_drift where source_table = $1 and kind <> 'unknown'")
            .bind(&name)
            .execute(&mut *transaction)
            .await
            .map_err(resuming())?;
        transaction.commit().await.map_err(resuming())?;
        before.map_or(Ok(Follow::Following), |before| before.parse())
    }
}

/// Who does it and why, for the trigger that writes the audit.
async fn decide(connection: &mut PgConnection, decision: Decision<'_>) -> Result<(), Error> {
    sqlx::query("select set_config('ficus.actor', $1, true), set_config('ficus.reason', $2, true)")
        .bind(decision.actor)
        .bind(decision.reason)
        .execute(connection)
        .await
        .map_err(Error::postgres("naming who decides"))?;
    Ok(())
}
