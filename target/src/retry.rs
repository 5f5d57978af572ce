//! An entry of the quarantine, tried again: the same way in as everything else, with the change's
//! own position, so that it can't overwrite anything newer. One entry is one transaction, which
//! also closes it, or says anew why it stays.

use mapping::plan::TableId;
use sqlx::PgConnection;

use crate::{
    Batch, Error, Target,
    batch::Checkpoint,
    error::Disposition,
    lane::Session,
    poison::{Record, meaning},
    settle,
    tally::{Account, Outcome, Tally},
};

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// It is closed, in these words: `applied`, `the row is newer already`, …
    Closed(String),
    /// It stays, and this is why now.
    StillBad {
        /// The rule.
        rule: String,
        /// The legacy column.
        column: String,
        /// One sentence.
        detail: String,
    },
    /// Something else has settled it meanwhile.
    Settled,
}

/// The step of a transaction that tries an entry again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStep {
    entry: i64,
    actor: String,
    origin: String,
    /// The table under which it was counted as quarantined; `None` when nobody knew the table.
    table: Option<String>,
}

impl RetryStep {
    pub(crate) fn origin(&self) -> &'static str {
        match self.origin.as_str() {
            "stream" => "stream",
            "backfill" => "backfill",
            _ => "repair",
        }
    }

    pub(crate) fn account(&self, tally: &mut Tally, table: TableId, name: &str) -> Account {
        match &self.table {
            Some(_) => tally.released(name, &self.origin),
            None => tally.main(table, name, &self.origin),
        }
    }
}

impl Target {
    /// Tries an open entry again. `batch` is what its change became this time: rows, or an entry
    /// for the quarantine, or a count of a row that a rule leaves out.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such entry, and as [`Target::apply`]; the entry stays
    /// as it was then.
    pub async fn retry(&self, id: i64, mut batch: Batch, actor: &str) -> Result<Retried, Error> {
        let entry = self.quarantine_get(id).await?.entry;
        if entry.state != "open" {
            return Ok(Retried::Settled);
        }
        batch.checkpoint = Checkpoint::Retry(RetryStep {
            entry: id,
            actor: actor.to_owned(),
            origin: entry.origin,
            table: entry.table,
        });
        match self.apply(batch).await {
            Ok(_) => {}
            Err(Error::Fenced { .. }) => return Ok(Retried::Settled),
            Err(error) if error.disposition() == Disposition::Quarantine => {
                self.refuse_again(id, &error).await?;
            }
            Err(error) => return Err(error),
        }
        let entry = self.quarantine_get(id).await?.entry;
        Ok(match entry.state.as_str() {
            "open" => {
                Retried::StillBad { rule: entry.rule, column: entry.column, detail: entry.detail }
            }
            _ => Retried::Closed(entry.resolution.unwrap_or_default()),
        })
    }

    /// Postgres has refused it (again): its transaction is gone, so the reason is written here.
    async fn refuse_again(&self, id: i64, error: &Error) -> Result<(), Error> {
        let code = error.sqlstate().unwrap_or("unknown");
        let mut connection = self.connection().await?;
        let detail = format!("Postgres refuses the row: {}", meaning(code));
        store_reason(&mut connection, id, (&format!("postgres.{code}"), "", &detail)).await
    }
}

/// Takes the entry; nobody else closes it until the transaction ends.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    checkpoint: &Checkpoint,
) -> Result<Option<i64>, Error> {
    let Checkpoint::Retry(step) = checkpoint else { return Ok(None) };
    let found: Option<i64> = sqlx::query_scalar(
        "select id from ficus.quarantine where id = $1 and state = 'open' for update",
    )
    .bind(step.entry)
    .fetch_optional(connection)
    .await
    .map_err(Error::postgres(format!("taking quarantine entry {}", step.entry)))?;
    found.map(Some).ok_or(Error::Fenced { what: format!("quarantine entry {}", step.entry) })
}

/// Closes the entry, with what became of its change.
pub(crate) async fn close(
    connection: &mut PgConnection,
    step: &RetryStep,
    batch: &Batch,
    tally: &Tally,
) -> Result<(), Error> {
    let outcome = tally.only_outcome();
    let is_kept = !batch.quarantine.is_empty() && !matches!(outcome, Some((Outcome::Ignored, _)));
    if is_kept {
        return Ok(());
    }
    let resolution = match outcome {
        Some((Outcome::Applied | Outcome::Folded, _)) => "applied".to_owned(),
        Some((Outcome::Stale, _)) => "the row is newer already".to_owned(),
        Some((Outcome::Ignored, rule)) => {
            format!("left out by the rule {}", rule.unwrap_or_default())
        }
        Some((Outcome::Quarantined, _)) => "parked until the row's complete image comes".to_owned(),
        None => "there is nothing to apply".to_owned(),
    };
    sqlx::query(
        "with closed as (
           update ficus.quarantine
           set state = 'retried', resolved_at = clock_timestamp(), resolution = $2,
               retries = retries + 1
           where id = $1 returning id)
         insert into ficus.audit (actor, action, subject, detail)
         select $3, 'quarantine.retried', id::text, jsonb_build_object('result', $2::text)
         from closed",
    )
    .bind(step.entry)
    .bind(resolution)
    .bind(&step.actor)
    .execute(connection)
    .await
    .map_err(Error::postgres(format!("closing quarantine entry {}", step.entry)))?;
    Ok(())
}

/// The change is still bad: the entry stays, with the new reason; unless something newer of the
/// row has come meanwhile.
pub(crate) async fn keep(
    session: &mut Session<'_>,
    entry: i64,
    record: &Record,
) -> Result<(), Error> {
    if settle::is_settled(session, record).await? {
        sqlx::query(
            "update ficus.quarantine
             set state = 'superseded', resolved_at = clock_timestamp(), retries = retries + 1,
                 resolution = 'the row was newer already'
             where id = $1",
        )
        .bind(entry)
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres(format!("closing quarantine entry {entry}")))?;
        return Ok(());
    }
    let number = match record.entity {
        Some(entity) => Some(session.target.registered(entity)?.number),
        None => None,
    };
    // What is known of the row by now: a later partial image must find what it waits behind.
    sqlx::query(
        "update ficus.quarantine q
         set entity = $2, row_id = $3, source_table = coalesce($4, source_table),
             key = coalesce($5, key), position = $6
         where id = $1 and not exists (
           select from ficus.quarantine o
           where o.id <> q.id and o.entity is not distinct from $2 and o.key = coalesce($5, q.key)
             and o.position = $6 and o.source_table = coalesce($4, q.source_table)
             and o.rule in (q.rule, $7))",
    )
    .bind(entry)
    .bind(number)
    .bind(record.row_id)
    .bind(&record.table)
    .bind(&record.key)
    .bind(record.position.as_bytes().as_slice())
    .bind(&record.rule)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres(format!("keeping quarantine entry {entry}")))?;
    let reason = (record.rule.as_str(), record.column.as_str(), record.detail.as_str());
    store_reason(session.connection, entry, reason).await
}

/// Two entries of one change never have the same rule; then the other one says it.
async fn store_reason(
    connection: &mut PgConnection,
    entry: i64,
    (rule, column, detail): (&str, &str, &str),
) -> Result<(), Error> {
    sqlx::query(
        "with other as (
           select o.id from ficus.quarantine q join ficus.quarantine o
             on o.id <> q.id and o.entity is not distinct from q.entity and o.key = q.key
               and o.position = q.position and o.source_table = q.source_table and o.rule = $2
           where q.id = $1 limit 1)
         update ficus.quarantine q
         set retries = q.retries + 1,
             rule = case when o.id is null then $2 else q.rule end,
             source_column = case when o.id is null then $3 else q.source_column end,
             detail = case when o.id is null then $4 else q.detail end,
             state = case when o.id is null then q.state else 'superseded' end,
             resolved_at = case when o.id is null then q.resolved_at else clock_timestamp() end,
             resolution = case when o.id is null then q.resolution
               else 'entry ' || o.id || ' says the same' end
         from (select 1) one left join other o on true
         where q.id = $1",
    )
    .bind(entry)
    .bind(rule)
    .bind(column)
    .bind(detail)
    .execute(connection)
    .await
    .map_err(Error::postgres(format!("keeping quarantine entry {entry}")))?;
    Ok(())
}
