//! What the workers tell: attempts by topic and outcome of this process, and the state of the outbox
//! as Postgres has it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use show::metrics::{Page, Seconds};
use sqlx::{PgPool, Row as _};

use crate::Error;

/// Counts of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<(String, &'static str), u64>>>);

/// A topic in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Its name.
    pub topic: String,
    /// Pending events, those under way and those that wait for another attempt included.
    pub pending: i64,
    /// Dead letters.
    pub dead: i64,
    /// How long the event that is due for the longest has been due; 0 when none is.
    pub oldest_due_ms: i64,
}

impl Metrics {
    pub(crate) fn ended(&self, topic: &str, outcome: &'static str) {
        if let Ok(mut counts) = self.0.lock() {
            *counts.entry((topic.to_owned(), outcome)).or_default() += 1;
        }
    }

    /// Attempts that ended, by topic and outcome.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(String, &'static str), u64> {
        self.0.lock().map(|counts| counts.clone()).unwrap_or_default()
    }
}

/// The state of the outbox, topic by topic. Reads every event that is not done.
///
/// # Errors
/// [`Error::Postgres`].
pub async fn backlog(pool: &PgPool) -> Result<Vec<Backlog>, Error> {
    let doing = || Error::postgres("looking at the outbox");
    let rows = sqlx::query(
        "select topic, count(*) filter (where state = 'pending') as pending,
           count(*) filter (where state = 'dead') as dead,
           coalesce((extract(epoch from now() - min(available_at)
             filter (where state = 'pending' and available_at <= now())) * 1000)::int8, 0) as oldest_due_ms
         from outbox where state in ('pending', 'dead') group by topic order by topic",
    )
    .fetch_all(pool)
    .await
    .map_err(doing())?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(Backlog {
            topic: row.try_get("topic")?,
            pending: row.try_get("pending")?,
            dead: row.try_get("dead")?,
            oldest_due_ms: row.try_get("oldest_due_ms")?,
        })
    };
    rows.iter().map(read).collect::<Result<_, sqlx::Error>>().map_err(doing())
}

/// As Prometheus reads it; without the outbox's state when Postgres does not tell it.
#[must_use]
pub fn render(metrics: &Metrics, backlog: Option<&[Backlog]>) -> String {
    let mut page = Page::default();
    let name = "ficus_work_attempts_total";
    page.family(name, "counter", "Attempts that ended, of this process.");
    for ((topic, outcome), count) in metrics.counts() {
        page.sample(name, &[("topic", &topic), ("outcome", outcome)], count);
    }
    page.family("ficus_work_up", "gauge", "1 when Postgres told the state of the outbox.");
    page.sample("ficus_work_up", &[], u8::from(backlog.is_some()));
    let seconds = |one: &Backlog| Seconds(one.oldest_due_ms.max(0)).to_string();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&Backlog) -> String| {
        page.family(name, "gauge", help);
        for one in backlog.unwrap_or_default() {
            page.sample(name, &[("topic", &one.topic)], value(one));
        }
    };
    gauge("ficus_work_pending_events", "Events that are not done.", &|one| one.pending.to_string());
    gauge("ficus_work_dead_events", "Dead letters.", &|one| one.dead.to_string());
    let oldest = "Age of the event that is due for the longest.";
    gauge("ficus_work_oldest_due_seconds", oldest, &seconds);
    page.into_string()
}
