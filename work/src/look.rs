//! The outbox for people: what is in it, what happened to an event, and trying again.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{CHANNEL, Error, outbox::instant};

/// Which events are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// `pending`, `done` or `dead`; all without.
    pub state: Option<String>,
    /// Of this topic.
    pub topic: Option<String>,
    /// At most so many.
    pub limit: i64,
}

/// An event as a list shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: Uuid,
    /// Its topic.
    pub topic: String,
    /// `pending`, `done` or `dead`; `running` while somebody has it.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it is due, while it is pending.
    pub due_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Of the request that caused it.
    pub correlation_id: Option<String>,
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its number; a replay begins at 1 again.
    pub attempt: i32,
    /// Who.
    pub owner: String,
    /// `running`, `done`, `retry`, `dead`, `lost`; `replayed` and `discarded` are a person's.
    pub outcome: String,
    /// What kind of failure.
    pub detail: Option<String>,
    /// When.
    pub began_at: DateTime<Utc>,
    /// How long it took.
    pub milliseconds: Option<i64>,
}

const ENTRY: &str = "select id, topic, attempts, last_error, correlation_id,
   (extract(epoch from created_at) * 1000)::int8 as created_ms,
   case when state = 'pending' and lease is not null and available_at > now() then 'running' else state end as state,
   case when state = 'pending' then (extract(epoch from available_at) * 1000)::int8 end as due_ms
   from outbox";

/// Events, oldest first.
///
/// # Errors
/// [`Error::Postgres`].
pub async fn list(pool: &PgPool, filter: &Filter) -> Result<Vec<Entry>, Error> {
    let statement = format!(
        "{ENTRY} where ($1::text is null or state = $1) and ($2::text is null or topic = $2)
         order by position limit $3"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&filter.state)
        .bind(&filter.topic)
        .bind(filter.limit)
        .fetch_all(pool)
        .await
        .map_err(Error::postgres("listing events"))?;
    rows.iter().map(entry).collect::<Result<_, _>>().map_err(Error::postgres("listing events"))
}

fn entry(row: &PgRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        id: row.try_get("id")?,
        topic: row.try_get("topic")?,
        state: row.try_get("state")?,
        attempts: row.try_get("attempts")?,
        created_at: instant(row.try_get("created_ms")?),
        due_at: row.try_get::<Option<i64>, _>("due_ms")?.map(instant),
        last_error: row.try_get("last_error")?,
        correlation_id: row.try_get("correlation_id")?,
    })
}

/// One event with its payload and its attempts, oldest first.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Postgres`].
pub async fn show(pool: &PgPool, id: Uuid) -> Result<(Entry, Value, Vec<Run>), Error> {
    let doing = || Error::postgres("reading an event");
    let found = sqlx::query(sqlx::AssertSqlSafe(format!("{ENTRY} where id = $1")))
        .bind(id)
        .fetch_optional(pool)
        .await
        .map_err(doing())?
        .ok_or(Error::NotFound(id))?;
    let payload = sqlx::query_scalar("select payload from outbox where id = $1").bind(id);
    let payload =
        payload.fetch_optional(pool).await.map_err(doing())?.ok_or(Error::NotFound(id))?;
    let runs = sqlx::query(
        "select attempt, owner, outcome, detail,
           (extract(epoch from began_at) * 1000)::int8 as began_ms,
           (extract(epoch from ended_at - began_at) * 1000)::int8 as milliseconds
         from ficus.work_run where event = $1 order by id",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .map_err(doing())?;
    let runs = runs.iter().map(run).collect::<Result<_, _>>().map_err(doing())?;
    Ok((entry(&found).map_err(doing())?, payload, runs))
}

fn run(row: &PgRow) -> Result<Run, sqlx::Error> {
    Ok(Run {
        attempt: row.try_get("attempt")?,
        owner: row.try_get("owner")?,
        outcome: row.try_get("outcome")?,
        detail: row.try_get("detail")?,
        began_at: instant(row.try_get("began_ms")?),
        milliseconds: row.try_get("milliseconds")?,
    })
}

/// Puts one event back, under the same id, with its attempts counted anew. Who did it stands in the
/// run history. A done one is sent again only when its payload is still there.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::State`] for one that is pending anyhow, or cleared.
pub async fn replay(pool: &PgPool, id: Uuid, actor: &str) -> Result<(), Error> {
    let is_there = "id = $1 and state <> 'pending' and payload <> '{}'";
    if back(pool, is_there, &id.to_string(), actor).await? == 1 {
        return Ok(());
    }
    let (entry, payload, _) = show(pool, id).await?;
    let why = match (entry.state.as_str(), payload == Value::Object(serde_json::Map::new())) {
        ("done" | "dead", true) => "its payload is empty, or was cleared when it was sent",
        _ => "it is handled without being asked to",
    };
    Err(Error::State { id, state: entry.state, why })
}

/// Puts all dead events of a topic back; how many.
///
/// # Errors
/// [`Error::Postgres`].
pub async fn replay_topic(pool: &PgPool, topic: &str, actor: &str) -> Result<u64, Error> {
    back(pool, "topic = $1 and state = 'dead'", topic, actor).await
}

async fn back(pool: &PgPool, which: &'static str, value: &str, actor: &str) -> Result<u64, Error> {
    let doing = || Error::postgres("replaying events");
    let which = which.replace("id = $1", "id = $1::uuid");
    let statement = format!(
        "with again as (
           update outbox set state = 'pending', attempts = 0, available_at = now(), lease = null,
             last_error = null, done_at = null where {which} returning id, topic),
         run as (
           insert into ficus.work_run (event, topic, attempt, owner, outcome, ended_at)
           select id, topic, 0, $2, 'replayed', clock_timestamp() from again)
         select count(*), pg_notify('{CHANNEL}', '')::text from again"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(value)
        .bind(actor)
        .fetch_one(pool)
        .await
        .map_err(doing())?;
    let count: i64 = row.try_get(0).map_err(doing())?;
    Ok(count.unsigned_abs())
}

/// Makes a pending event dead, with a reason, so that those behind it go on.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::State`] when it is not pending.
pub async fn discard(pool: &PgPool, id: Uuid, actor: &str, reason: &str) -> Result<(), Error> {
    let discarded = sqlx::query(
        "with gone as (
           update outbox set state = 'dead', lease = null, last_error = 'discarded: ' || $3
           where id = $1 and state = 'pending' returning id, topic, attempts)
         insert into ficus.work_run (event, topic, attempt, owner, outcome, detail, ended_at)
         select id, topic, attempts, $2, 'discarded', $3, clock_timestamp() from gone",
    )
    .bind(id)
    .bind(actor)
    .bind(reason)
    .execute(pool)
    .await
    .map_err(Error::postgres("discarding an event"))?;
    if discarded.rows_affected() == 1 {
        return Ok(());
    }
    let (entry, ..) = show(pool, id).await?;
    Err(Error::State { id, state: entry.state, why: "only a pending event can be discarded" })
}
