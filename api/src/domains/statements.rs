//! Monthly statements: what a tenant was billed and paid, or what came in for an owner's
//! properties, as a PDF in the object store.
//!
//! The job writes one row of `statements` and one event for each recipient of the month, in one
//! transaction; a recipient and month that are there already are left alone. The handler renders the
//! PDF and notes where it is. Done again it does the same: objects are stored by content.

mod page;
mod read;

use chrono::{DateTime, Datelike as _, Days, NaiveDate};
use chrono_tz::Tz;
use sqlx::{PgConnection, PgPool};
use target::ObjectStore;
use uuid::Uuid;
use work::{Event, Failure, Handler, Handling, Job, cron::Enqueuing};

use crate::money::MinorUnits;

/// The topic of the events that ask for a PDF: `{"statementId": "…"}`.
pub const RENDER: &str = "statement.render";

/// What a statement says.
#[derive(Debug, Clone)]
struct Statement {
    recipient: Recipient,
    name: String,
    register_no: String,
    /// Its first day.
    month: NaiveDate,
    invoices: Vec<Line>,
    payments: Vec<Line>,
}

/// Whose statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipient {
    Tenant,
    Owner,
}

/// An invoice or a payment.
#[derive(Debug, Clone)]
struct Line {
    date: String,
    number: String,
    what: String,
    currency: String,
    amount: MinorUnits,
}

/// Enqueues the statements of the month that ended before the slot.
#[derive(Debug, Clone, Copy)]
pub struct MonthlyStatements;

impl Job for MonthlyStatements {
    fn name(&self) -> &'static str {
        "monthly-statements"
    }

    fn enqueue<'a>(&'a self, connection: &'a mut PgConnection, due: DateTime<Tz>) -> Enqueuing<'a> {
        Box::pin(async move {
            let Some(month) = month_before(due.date_naive()) else { return Ok(0) };
            enqueue(connection, month, due.timezone()).await
        })
    }
}

/// The first day of the month before a day's.
fn month_before(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)?.checked_sub_days(Days::new(1))?.with_day(1)
}

async fn enqueue(
    connection: &mut PgConnection,
    month: NaiveDate,
    zone: Tz,
) -> Result<u64, sqlx::Error> {
    let recipients = read::recipients(connection, month, zone).await?;
    let ids: Vec<Uuid> = recipients.iter().map(|_| Uuid::now_v7()).collect();
    let (kinds, whose): (Vec<String>, Vec<Uuid>) = recipients.into_iter().unzip();
    let news: Vec<Uuid> = sqlx::query_scalar(
        "insert into statements (id, recipient, recipient_id, month)
         select id, recipient, recipient_id, $4::date
         from unnest($1::uuid[], $2::text[], $3::uuid[]) as w (id, recipient, recipient_id)
         on conflict (recipient, recipient_id, month) do nothing returning id",
    )
    .bind(&ids)
    .bind(&kinds)
    .bind(&whose)
    .bind(month.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let events: Vec<Uuid> = news.iter().map(|_| Uuid::now_v7()).collect();
    let written = sqlx::query(
        "insert into outbox (id, topic, payload)
         select event, $3, jsonb_build_object('statementId', statement)
         from unnest($1::uuid[], $2::uuid[]) as w (event, statement)",
    )
    .bind(&events)
    .bind(&news)
    .bind(RENDER)
    .execute(connection)
    .await?;
    Ok(written.rows_affected())
}

/// Renders statements into the object store.
pub struct Statements {
    pool: PgPool,
    objects: ObjectStore,
    zone: Tz,
    fonts: page::Fonts,
}

impl Statements {
    /// On connections of the role `ficus_work`. `zone` is where the months begin.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when the embedded fonts can't be read.
    pub fn new(pool: PgPool, objects: ObjectStore, zone: Tz) -> Result<Self, crate::Error> {
        Ok(Self { pool, objects, zone, fonts: page::Fonts::embedded()? })
    }

    async fn render(&self, event: &Event) -> Result<(), Failure> {
        let id = event.payload.get("statementId").and_then(|id| id.as_str()?.parse::<Uuid>().ok());
        let id = id.ok_or_else(|| Failure::permanent("the payload has no `statementId`"))?;
        // In tasks of their own: an attempt that takes too long is dropped, and a connection that
        // is dropped in the middle of a transaction would go back to the pool with it.
        let reading = tokio::spawn(read::statement(self.pool.clone(), id, self.zone));
        let read =
            reading.await.map_err(|_| Failure::retry("reading the statement ended early"))?;
        let statement = read.map_err(|error| of_postgres(&error))?.ok_or_else(|| {
            Failure::permanent("there is no such statement, or no such recipient")
        })?;
        let fonts = self.fonts.clone();
        let rendering = tokio::task::spawn_blocking(move || page::render(&statement, &fonts));
        let rendered = rendering.await.map_err(|_| Failure::retry("rendering ended early"))?;
        let pdf = rendered.map_err(|why| Failure::retry(format!("no PDF: {why}")))?;
        let size = i64::try_from(pdf.len()).unwrap_or(i64::MAX);
        let address = self.objects.put_content(pdf.into()).await;
        let address = address.map_err(|_| Failure::retry("the object store did not take it"))?;
        sqlx::query(
            "update statements set object = $2, size = $3, rendered_at = now() where id = $1",
        )
        .bind(id)
        .bind(address)
        .bind(size)
        .execute(&self.pool)
        .await
        .map_err(|error| of_postgres(&error))?;
        Ok(())
    }
}

impl Handler for Statements {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(self.render(event))
    }
}

/// The SQLSTATE alone: messages of Postgres quote values.
fn of_postgres(error: &sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code());
    Failure::retry(match code {
        Some(code) => format!("Postgres refused: SQLSTATE {code}"),
        None => "Postgres did not answer".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_is_the_one_that_ended() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        for (now, month) in [
            ("2026-03-01", "2026-02-01"),
            ("2026-01-01", "2025-12-01"),
            ("2024-03-31", "2024-02-01"),
        ] {
            assert_eq!(month_before(day(now)), Some(day(month)));
        }
    }
}
