//! The statements on the outbox. Each is one transaction by itself: nothing is held open while a
//! handler works.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{Error, Event};

/// An event that this process has until its lease is over.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) event: Event,
    pub(crate) lease: Uuid,
    pub(crate) run: i64,
    pub(crate) is_expired: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) enum End {
    Done { clear_payload: bool },
    Retry { why: String, after: Duration },
    Dead { why: String },
}

impl End {
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Retry { .. } => "retry",
            Self::Dead { .. } => "dead",
        }
    }
}

/// What is asked for when events are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) topic: &'a str,
    /// All topics of its handler: an aggregate's events wait for each other among these.
    pub(crate) neighbours: &'a [String],
    pub(crate) count: usize,
    pub(crate) lease: Duration,
    pub(crate) owner: &'a str,
}

/// Topics that have pending events. A walk from topic to topic over the index, because a plain
/// `distinct` reads the whole backlog.
pub(crate) async fn topics(pool: &PgPool) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "with recursive walk as (
           (select topic from outbox where state = 'pending' order by topic limit 1)
           union all
           select (select next.topic from outbox as next
                   where next.state = 'pending' and next.topic > walk.topic order by next.topic limit 1)
           from walk where walk.topic is not null)
         select topic from walk where topic is not null",
    )
    .fetch_all(pool)
    .await
    .map_err(Error::postgres("asking which topics have events"))
}

/// Takes events that are due, the longest due first. SKIP LOCKED lets workers pass each other;
/// an event of which an earlier one of its aggregate is still pending stays, so that no two of them
/// are ever under way. A run that was still open belonged to somebody who is gone.
pub(crate) async fn claim(pool: &PgPool, claim: Claim<'_>) -> Result<Vec<Taken>, Error> {
    let lease = Uuid::now_v7();
    let rows = sqlx::query(
        "with due as (
           select event.id from outbox as event
           where event.state = 'pending' and event.topic = $1 and event.available_at <= now()
             and (event.aggregate is null or not exists (
               select from outbox as earlier
               where earlier.state = 'pending' and earlier.aggregate = event.aggregate
                 and earlier.position < event.position and earlier.topic = any($5)))
           order by event.available_at, event.position
           limit $2 for update of event skip locked),
         taken as (
           update outbox as event
           set lease = $3, attempts = event.attempts + 1,
               available_at = now() + make_interval(secs => $4::float8 / 1000)
           from due where event.id = due.id
           returning event.*),
         lost as (
           update ficus.work_run set outcome = 'lost', ended_at = clock_timestamp()
           where outcome = 'running' and event in (select id from taken)),
         run as (
           insert into ficus.work_run (event, topic, attempt, owner)
           select id, topic, attempts, $6 from taken order by position returning id, event)
         select taken.id, taken.topic, taken.payload, taken.correlation_id, taken.attempts,
           (extract(epoch from taken.created_at) * 1000)::int8 as created_ms, run.id as run, coalesce(taken.expires_at <= now(), false) as is_expired
         from taken join run on run.event = taken.id order by taken.position",
    )
    .bind(claim.topic)
    .bind(i64::try_from(claim.count).unwrap_or(i64::MAX))
    .bind(lease)
    .bind(milliseconds(claim.lease))
    .bind(claim.neighbours)
    .bind(claim.owner)
    .fetch_all(pool)
    .await
    .map_err(Error::postgres("taking events"))?;
    rows.iter()
        .map(|row| taken(row, lease))
        .collect::<Result<_, _>>()
        .map_err(Error::postgres("reading events"))
}

fn taken(row: &PgRow, lease: Uuid) -> Result<Taken, sqlx::Error> {
    let event = Event {
        id: row.try_get("id")?,
        topic: row.try_get("topic")?,
        payload: row.try_get("payload")?,
        correlation_id: row.try_get("correlation_id")?,
        created_at: instant(row.try_get("created_ms")?),
        attempt: row.try_get("attempts")?,
    };
    let (run, is_expired) = (row.try_get("run")?, row.try_get("is_expired")?);
    Ok(Taken { event, lease, run, is_expired })
}

/// Writes down how an attempt ended. Whoever has lost the lease changes the event no more, and
/// `false` tells it: somebody else has taken it, and will handle it (again).
pub(crate) async fn end(pool: &PgPool, taken: &Taken, end: &End) -> Result<bool, Error> {
    let (why, after, clear) = match end {
        End::Done { clear_payload } => (None, Duration::ZERO, *clear_payload),
        End::Retry { why, after } => (Some(why.as_str()), *after, false),
        End::Dead { why } => (Some(why.as_str()), Duration::ZERO, false),
    };
    sqlx::query_scalar(
        "with ended as (
           update outbox set lease = null, last_error = $5,
             state = case $4 when 'retry' then 'pending' else $4 end,
             done_at = case $4 when 'done' then now() end,
             payload = case when $7 then '{}'::jsonb else payload end,
             available_at = case $4 when 'retry' then now() + make_interval(secs => $6::float8 / 1000)
                            else available_at end
           where id = $1 and lease = $2 and state = 'pending' returning id),
         run as (
           update ficus.work_run set outcome = $4, detail = $5, ended_at = clock_timestamp()
           where id = $3 and outcome = 'running')
         select exists (select from ended)",
    )
    .bind(taken.event.id)
    .bind(taken.lease)
    .bind(taken.run)
    .bind(end.outcome())
    .bind(why)
    .bind(milliseconds(after))
    .bind(clear)
    .fetch_one(pool)
    .await
    .map_err(Error::postgres("writing down how an attempt ended"))
}

/// Milliseconds since 1970 UTC, as the statements give instants.
pub(crate) fn instant(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// For `make_interval`.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
