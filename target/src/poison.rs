//! Rows that Postgres refuses (22xxx, 23xxx, 54000, a trigger's own refusal): found by halving, put
//! aside one by one, so that the others of the batch are written. And the quarantine's one way in.

use std::{collections::BTreeMap, ops::Range};

use mapping::{plan::EntityId, position::Position};
use uuid::Uuid;

use crate::{
    Error,
    batch::{QuarantineEntry, SourceRow, Sources},
    error::{Disposition, is_of_a_function},
    fold::{Barriers, Change},
    lane::{Outcomes, Session},
    parts, settle,
    tally::Outcome,
};

/// From so many refused rows on, if they are the larger part of those that were tried, the mapping
/// is wrong and not the rows: nothing is written, and somebody must look.
const FLOOD_ROWS: usize = 100;

/// What is put into the quarantine.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) entity: Option<EntityId>,
    pub(crate) part: u8,
    pub(crate) table: Option<String>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) row_id: Option<Uuid>,
    pub(crate) position: Position,
    pub(crate) rule: String,
    pub(crate) column: String,
    pub(crate) detail: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) payload_key: Option<Vec<u8>>,
    pub(crate) payload_headers: Option<Vec<u8>>,
    pub(crate) format: &'static str,
    pub(crate) source: Option<(String, i32, i64)>,
    pub(crate) origin: String,
    /// Whether it carried every column of the row.
    pub(crate) whole: bool,
    /// The entities that the row may be of, where it is not known which.
    pub(crate) candidates: Vec<(EntityId, u8)>,
}

impl Record {
    /// From a row that could not be mapped.
    pub(crate) fn rejected(
        entry: &QuarantineEntry,
        row_id: Option<Uuid>,
        (table, part): (Option<String>, u8),
        candidates: Vec<(EntityId, u8)>,
        origin: &str,
    ) -> Self {
        Self {
            entity: entry.entity,
            part,
            table,
            key: entry.key.as_ref().map(|key| key.as_bytes().to_vec()),
            row_id,
            position: entry.position,
            rule: entry.rule.clone(),
            column: entry.column.clone(),
            detail: entry.detail.clone(),
            payload: entry.payload.clone(),
            payload_key: entry.payload_key.clone(),
            payload_headers: entry.payload_headers.clone(),
            format: if entry.source.is_some() { "message" } else { "row" },
            source: entry.source.clone(),
            origin: origin.to_owned(),
            whole: entry.whole,
            candidates,
        }
    }

    /// From a row that Postgres refused. Neither its message nor its DETAIL is kept: they quote
    /// values.
    fn refused(
        entity: EntityId,
        change: &Change<'_>,
        error: &Error,
        (table, origin): (&str, &str),
        sources: Option<&dyn Sources>,
    ) -> Self {
        let source = change.sequence.and_then(|sequence| sources?.source(sequence));
        let format = match &source {
            Some(SourceRow { source: Some(_), .. }) => "message",
            Some(_) => "row",
            None => "mapped",
        };
        let row = source.unwrap_or_else(|| SourceRow {
            payload: change.fields.to_vec(),
            payload_key: None,
            payload_headers: None,
            source: None,
        });
        let code = error.sqlstate().unwrap_or("unknown");
        let object = match error {
            Error::Postgres { source, .. } => source.object.clone(),
            _ => None,
        };
        let named = object.map(|object| format!(" ({object})")).unwrap_or_default();
        Self {
            entity: Some(entity),
            part: change.part,
            table: Some(table.to_owned()),
            key: change.key.as_ref().map(|key| key.as_bytes().to_vec()),
            row_id: Some(change.id),
            position: change.position,
            rule: format!("postgres.{code}"),
            column: String::new(),
            detail: format!("Postgres refuses the row: {}{named}", meaning(code)),
            payload: row.payload,
            payload_key: row.payload_key,
            payload_headers: row.payload_headers,
            format,
            source: row.source,
            origin: origin.to_owned(),
            whole: change.is_complete(),
            candidates: Vec::new(),
        }
    }
}

pub(crate) fn meaning(code: &str) -> &'static str {
    match code {
        "23502" => "a column that must not be NULL is",
        "23503" => "the row that it refers to is not there",
        "23505" => "another row has the same unique value",
        "23514" => "it breaks a check",
        "54000" => "a value is larger than its page, its index or the archive can hold",
        "22001" => "a text is too long",
        "22003" => "a number is out of range",
        "22021" | "22P05" => "a text has a character that Postgres can't store",
        "22008" => "a date or time is out of range",
        code if is_of_a_function(code) => "a trigger of the table refuses it",
        _ => "a value does not fit its column",
    }
}

/// How an entity's rows are written. (Not a closure: the future of an async one can't be shown
/// to be [`Send`] for every lifetime, and then nobody could spawn a task that applies.)
#[derive(Clone, Copy)]
pub(crate) enum Way<'w> {
    /// An entity of one part.
    Rows,
    /// An entity that is composed of parts, each behind these barriers.
    Parts(&'w BTreeMap<u8, Barriers>),
}

/// Writes changes by halves until only rows that Postgres refuses are left over.
///
/// # Errors
/// [`Error::Flood`], or any failure that is not about a row's data.
pub(crate) async fn write_carefully(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
    (sources, refused_max): (Option<&dyn Sources>, Option<usize>),
    way: Way<'_>,
) -> Result<(Outcomes, Vec<Record>), Error> {
    let refused_max = refused_max.unwrap_or(FLOOD_ROWS);
    let mut tried = 0;
    let mut outcomes = vec![Outcome::Quarantined; changes.len()];
    let mut refused: Vec<Record> = Vec::new();
    let mut stack: Vec<Range<usize>> = Vec::new();
    stack.push(0..changes.len());
    while let Some(range) = stack.pop() {
        let Some(slice) = changes.get(range.clone()).filter(|slice| !slice.is_empty()) else {
            continue;
        };
        command(session, "savepoint rows").await?;
        let written = match way {
            Way::Rows => session.write(entity, slice).await,
            Way::Parts(barriers) => parts::write(session, entity, slice, barriers).await,
        };
        let error = match written {
            Ok(written) => {
                command(session, "release savepoint rows").await?;
                for (to, from) in outcomes.iter_mut().skip(range.start).zip(written) {
                    *to = from;
                }
                tried += slice.len();
                continue;
            }
            Err(error) if error.disposition() == Disposition::Quarantine => error,
            Err(error) => return Err(error),
        };
        command(session, "rollback to savepoint rows; release savepoint rows").await?;
        match middle(slice) {
            Some(middle) => {
                stack.push(range.start + middle..range.end);
                stack.push(range.start..range.start + middle);
            }
            None => {
                tried += slice.len();
                for change in slice {
                    let names = session.tally.names(change.account);
                    refused.push(Record::refused(entity, change, &error, names, sources));
                }
            }
        }
        if refused.len() >= refused_max && refused.len() * 2 > tried {
            return Err(flood(session, entity, &refused, changes.len())?);
        }
    }
    Ok((outcomes, refused))
}

fn flood(
    session: &Session<'_>,
    entity: EntityId,
    refused: &[Record],
    rows: usize,
) -> Result<Error, Error> {
    let mut sources: Vec<String> =
        refused.iter().filter_map(|record| record.table.clone()).collect();
    sources.sort_unstable();
    sources.dedup();
    Ok(Error::Flood {
        table: session.target.entity(entity)?.target_table.clone(),
        sources,
        rule: refused.first().map(|first| first.rule.clone()).unwrap_or_default(),
        refused: refused.len(),
        rows,
    })
}

/// Where to cut, never between two changes of one row; `None` when there is only one row.
fn middle(slice: &[Change<'_>]) -> Option<usize> {
    let half = slice.len() / 2;
    let starts_row = |index: &usize| {
        let pair = slice.get(index.saturating_sub(1)).zip(slice.get(*index));
        pair.is_some_and(|(before, at)| before.id != at.id)
    };
    (half.max(1)..slice.len()).find(starts_row).or_else(|| (1..half).rev().find(starts_row))
}

async fn command(session: &mut Session<'_>, sql: &'static str) -> Result<(), Error> {
    sqlx::raw_sql(sql)
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres("writing row by row"))?;
    Ok(())
}

/// Stores a record. The rows of the batch are written already, so what is newer shows: then the
/// entry is kept, but settled at once.
pub(crate) async fn store(session: &mut Session<'_>, record: &Record) -> Result<(), Error> {
    let settled = settle::is_settled(session, record).await?;
    if !settled {
        if let Some(table) = &record.table {
            session.tally.put_aside(table);
        }
        settle::settle_older(session, record).await?;
        settle::reopen(session, record).await?;
    }
    let number = match record.entity {
        Some(entity) => Some(session.target.registered(entity)?.number),
        None => None,
    };
    let (topic, partition, offset) = match &record.source {
        Some((topic, partition, offset)) => (Some(topic), Some(*partition), Some(*offset)),
        None => (None, None, None),
    };
    sqlx::query(
        "insert into ficus.quarantine
           (state, source_table, entity, key, row_id, position, rule, source_column, detail,
            payload, payload_key, payload_format, topic, partition, \"offset\", origin,
            payload_headers, resolved_at, resolution)
         values (case when $1 then 'superseded' else 'open' end, $2, $3,
                 coalesce($4, (select key from ficus.key_map where id = $5)), $5, $6, $7, $8, $9,
                 $10, $11, $12, $13, $14, $15, $16, $17,
                 case when $1 then clock_timestamp() end,
                 case when $1 then 'the row was newer already' end)
         on conflict do nothing",
    )
    .bind(settled)
    .bind(&record.table)
    .bind(number)
    .bind(&record.key)
    .bind(record.row_id)
    .bind(record.position.as_bytes().as_slice())
    .bind(&record.rule)
    .bind(&record.column)
    .bind(&record.detail)
    .bind(&record.payload)
    .bind(&record.payload_key)
    .bind(record.format)
    .bind(topic)
    .bind(partition)
    .bind(offset)
    .bind(&record.origin)
    .bind(&record.payload_headers)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("storing a quarantined row"))?;
    Ok(())
}
