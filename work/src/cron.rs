//! Jobs by the clock. A job only enqueues events; the work is theirs, so that it is retried like
//! any other.
//!
//! Every process looks at the clock. Whoever writes a slot (job and instant) first enqueues its events
//! in the same transaction: each slot's events are there once, or not at all.

use std::{future::Future, pin::Pin, sync::Arc};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use sqlx::{PgConnection, PgPool};

use crate::Error;

/// Slots that are made up for after an absence. A job of every minute is not owed for a year.
const MISSED_MAX: usize = 24;

/// What a job's work is.
pub type Enqueuing<'a> = Pin<Box<dyn Future<Output = Result<u64, sqlx::Error>> + Send + 'a>>;

/// Enqueues events when it is due.
pub trait Job: Send + Sync {
    /// Its name, in the slots.
    fn name(&self) -> &'static str;

    /// Enqueues the events of a slot, in the transaction of the slot; says how many.
    fn enqueue<'a>(&'a self, connection: &'a mut PgConnection, due: DateTime<Tz>) -> Enqueuing<'a>;
}

/// Jobs and when they are due.
#[derive(Clone, Default)]
pub struct Schedule(Vec<Entry>);

#[derive(Clone)]
struct Entry {
    cron: Cron,
    zone: Tz,
    job: Arc<dyn Job>,
}

impl Schedule {
    /// Adds a job by a cron expression (minute hour day month weekday) in a time zone.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn add(
        &mut self,
        (setting, expression): (&str, &str),
        zone: Tz,
        job: Arc<dyn Job>,
    ) -> Result<(), Error> {
        let cron = expression.parse().map_err(|error| {
            let why = format!(
                "`{expression}` is no cron expression ({error}); write minute hour day month \
                 weekday, such as 0 6 1 * *"
            );
            Error::setting(setting, why)
        })?;
        self.0.push(Entry { cron, zone, job });
        Ok(())
    }

    /// Each job with the next time that it is due.
    pub fn next(&self) -> impl Iterator<Item = (&'static str, Option<DateTime<Tz>>)> {
        self.0.iter().map(|entry| {
            let now = Utc::now().with_timezone(&entry.zone);
            (entry.job.name(), entry.cron.find_next_occurrence(&now, false).ok())
        })
    }

    /// Enqueues what is due.
    pub(crate) async fn look(&self, pool: &PgPool, owner: &str) -> Result<(), Error> {
        for entry in &self.0 {
            let newest: Option<i64> = sqlx::query_scalar(
                "select (extract(epoch from max(due)) * 1000)::int8 from ficus.work_slot where job = $1",
            )
            .bind(entry.job.name())
            .fetch_one(pool)
            .await
            .map_err(Error::postgres("looking for the newest slot of a job"))?;
            let newest = newest.and_then(DateTime::from_timestamp_millis);
            for due in due(&entry.cron, entry.zone, newest, Utc::now()) {
                enqueue(pool, entry.job.as_ref(), due, owner).await?;
            }
        }
        Ok(())
    }
}

/// One slot, once. Another process at the same slot waits for this transaction, and finds it
/// taken.
async fn enqueue(
    pool: &PgPool,
    job: &dyn Job,
    due: DateTime<Tz>,
    owner: &str,
) -> Result<(), Error> {
    let doing = || Error::postgres("enqueuing the events of a job");
    let mut transaction = pool.begin().await.map_err(doing())?;
    let taken = sqlx::query(
        "insert into ficus.work_slot (job, due, owner, events)
         values ($1, to_timestamp($2::float8 / 1000), $3, 0) on conflict do nothing",
    )
    .bind(job.name())
    .bind(due.timestamp_millis())
    .bind(owner)
    .execute(&mut *transaction)
    .await
    .map_err(doing())?;
    if taken.rows_affected() == 0 {
        return Ok(());
    }
    let events = job.enqueue(&mut transaction, due).await.map_err(doing())?;
    sqlx::query(
        "update ficus.work_slot set events = $3
         where job = $1 and due = to_timestamp($2::float8 / 1000)",
    )
    .bind(job.name())
    .bind(due.timestamp_millis())
    .bind(i64::try_from(events).unwrap_or(i64::MAX))
    .execute(&mut *transaction)
    .await
    .map_err(doing())?;
    transaction.commit().await.map_err(doing())?;
    tracing::info!(job = job.name(), %due, events, "enqueued");
    Ok(())
}

/// The slots that are due, oldest first: all since the newest that is known; the last one alone
/// when none is.
fn due(
    cron: &Cron,
    zone: Tz,
    newest: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<DateTime<Tz>> {
    let mut slots = Vec::new();
    let mut at = now.with_timezone(&zone);
    let mut inclusive = true;
    while slots.len() < MISSED_MAX {
        let Ok(slot) = cron.find_previous_occurrence(&at, inclusive) else { break };
        if newest.is_some_and(|newest| slot <= newest) {
            break;
        }
        slots.push(slot);
        if newest.is_none() {
            break;
        }
        (at, inclusive) = (slot, false);
    }
    slots.reverse();
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn slots(newest: Option<&str>, now: &str) -> Vec<String> {
        let cron: Cron = "0 6 1 * *".parse().expect("an expression");
        let zone = chrono_tz::Asia::Ulaanbaatar;
        due(&cron, zone, newest.map(at), at(now)).iter().map(DateTime::to_rfc3339).collect()
    }

    #[test]
    fn each_slot_is_due_once_in_its_zone_and_missed_ones_are_made_up_for() {
        // Six in the morning in Ulaanbaatar is ten in the evening before in UTC.
        let now = "2026-02-28T22:00:00Z";
        assert_eq!(slots(None, now), ["2026-03-01T06:00:00+08:00"]);
        assert_eq!(slots(None, "2026-02-28T21:59:59Z"), ["2026-02-01T06:00:00+08:00"]);
        assert_eq!(slots(Some("2026-02-28T22:00:00Z"), now), [""; 0]);
        let missed =
            ["2026-01-01", "2026-02-01", "2026-03-01"].map(|day| format!("{day}T06:00:00+08:00"));
        assert_eq!(slots(Some("2025-11-30T22:00:00Z"), now), missed);
    }

    #[test]
    fn a_long_absence_is_bounded() {
        let cron: Cron = "* * * * *".parse().expect("an expression");
        let slots =
            due(&cron, Tz::UTC, Some(at("2020-01-01T00:00:00Z")), at("2026-01-01T00:00:30Z"));
        assert_eq!(slots.len(), MISSED_MAX);
        assert!(
            slots.is_sorted()
                && slots.last().is_some_and(|last| *last == at("2026-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn what_is_no_expression_is_told() {
        struct Nothing;
        impl Job for Nothing {
            fn name(&self) -> &'static str {
                "nothing"
            }
            fn enqueue<'a>(&'a self, _: &'a mut PgConnection, _: DateTime<Tz>) -> Enqueuing<'a> {
                Box::pin(async { Ok(0) })
            }
        }
        let added =
            Schedule::default().add(("work.statement_cron", "monthly"), Tz::UTC, Arc::new(Nothing));
        let error = added.expect_err("no expression").to_string();
        assert!(
            error.starts_with("`work.statement_cron`: `monthly` is no cron expression"),
            "{error}"
        );
    }
}
