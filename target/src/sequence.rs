//! Document numbers (trap 21): the highest that was seen, and the sequences that go on above it.
//!
//! What mapping read from a batch's rows is stored in the batch's transaction, by one statement
//! and only when it grows; a copy of the highest in memory says when. At a cutover the sequence
//! is set above everything that was ever seen and above what the tables and the archive hold,
//! which includes the numbers that the API gave before a rollback. A sequence is never set back.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mapping::{
    plan::{EntityId, Plan},
    row::{RowBatch, RowKind},
    sequence::Numbers,
};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{Error, lane::Session, statement::replaces};

pub(crate) mod cutover;

/// Rows with an unreadable number, kept for each sequence at most: when there are more, the
/// pattern is wrong and not the rows.
const UNREAD_MAX: i64 = 10_000;

/// The highest numbers that are known to be stored, by the plan's sequences.
#[derive(Default)]
pub(crate) struct Known(Mutex<Vec<Option<i64>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_below(&self, sequence: usize, number: i64) -> bool {
        let known = self.lock().get(sequence).copied().flatten();
        known.is_none_or(|known| known < number)
    }

    /// Notes what a committed batch has stored.
    pub(crate) fn committed(&self, numbers: &Numbers) {
        let mut known = self.lock();
        for (sequence, highest) in numbers.highest() {
            if known.len() <= sequence {
                known.resize(sequence + 1, None);
            }
            if let Some(slot) = known.get_mut(sequence) {
                *slot = (*slot).max(Some(highest.number));
            }
        }
    }

    /// A failover may have lost what is believed to be stored.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }
}

/// Postgres's numbers of the plan's sequences. A definition that comes into force, for the first
/// time or again, needs a copy: nothing was read by it meanwhile.
pub(crate) async fn register(
    connection: &mut PgConnection,
    plan: &Plan,
) -> Result<Vec<i32>, Error> {
    let mut ids = Vec::with_capacity(plan.sequences.len());
    for sequence in &plan.sequences {
        let name = sequence.qualified();
        let doing = || Error::postgres(format!("registering the sequence {name}"));
        sqlx::query(
            "insert into ficus.sequence as s (name, definition)
             select $1, $2 where (
               select definition from ficus.sequence where name = $1
               order by defined_at desc limit 1) is distinct from $2
             on conflict (name, definition) do update set defined_at = clock_timestamp()",
        )
        .bind(&name)
        .bind(sequence.definition())
        .execute(&mut *connection)
        .await
        .map_err(doing())?;
        let id =
            sqlx::query_scalar("select id from ficus.sequence where name = $1 and definition = $2")
                .bind(&name)
                .bind(sequence.definition())
                .fetch_one(&mut *connection)
                .await
                .map_err(doing())?;
        ids.push(id);
    }
    Ok(ids)
}

/// Stores what was read from the rows of a batch.
pub(crate) async fn store(
    session: &mut Session<'_>,
    parts: &[RowBatch],
    numbers: &Numbers,
) -> Result<(), Error> {
    store_highest(session, numbers).await?;
    settle_unread(session, parts).await?;
    store_unread(session, numbers).await
}

async fn store_highest(session: &mut Session<'_>, numbers: &Numbers) -> Result<(), Error> {
    let target = session.target;
    let mut ids = Vec::new();
    let mut highest = Vec::new();
    let mut entities = Vec::new();
    let mut keys: Vec<&[u8]> = Vec::new();
    for (index, found) in numbers.highest() {
        if target.numbers.is_below(index, found.number) {
            ids.push(target.sequence_id(index)?);
            highest.push(found.number);
            entities.push(target.registered(found.entity)?.number);
            keys.push(found.key.as_bytes());
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    // Batches of several sequences meet here: they are locked in one order.
    sqlx::query(
        "with held as materialized (
           select s.id from ficus.sequence s where s.id = any($1) order by s.id for update)
         update ficus.sequence s set highest = w.number, highest_entity = w.entity,
           highest_key = w.key, updated_at = clock_timestamp()
         from unnest($1::int4[], $2::int8[], $3::int2[], $4::bytea[])
           as w (id, number, entity, key)
         join held on held.id = w.id
         where s.id = w.id and (s.highest is null or s.highest < w.number)",
    )
    .bind(&ids)
    .bind(&highest)
    .bind(&entities)
    .bind(&keys)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("storing the highest document numbers"))?;
    Ok(())
}

/// Forgets rows that could not be read, of which this batch has a newer image.
async fn settle_unread(session: &mut Session<'_>, parts: &[RowBatch]) -> Result<(), Error> {
    for part in parts {
        if !session.gate(part.entity).has_unread || !has_numbers(session, part)? {
            continue;
        }
        let rows = part.rows.iter().filter(|row| row.kind != RowKind::Delete);
        let keys: Vec<&[u8]> = rows.clone().map(|row| row.key.as_bytes()).collect();
        let positions: Vec<&[u8]> = rows.map(|row| row.position.as_bytes().as_slice()).collect();
        sqlx::query(AssertSqlSafe(format!(
            "delete from ficus.sequence_unread u
             using unnest($2::bytea[], $3::bytea[]) as w (key, position)
             where u.entity = $1 and u.key = w.key and {}",
            replaces("u.position", "w.position")
        )))
        .bind(session.target.registered(part.entity)?.number)
        .bind(&keys)
        .bind(&positions)
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres("settling unreadable document numbers"))?;
    }
    Ok(())
}

/// Whether a part has a column of document numbers.
fn has_numbers(session: &Session<'_>, batch: &RowBatch) -> Result<bool, Error> {
    let plan = session.target.entity(batch.entity)?;
    let part = plan.parts.get(usize::from(batch.part));
    let columns = part.map(|part| part.columns.as_slice()).unwrap_or_default();
    let sources = session.target.plan().sequences.iter().flat_map(|sequence| &sequence.sources);
    let mut ours = sources.filter(|source| source.entity == batch.entity);
    Ok(ours.any(|source| columns.contains(&source.column)))
}

async fn store_unread(session: &mut Session<'_>, numbers: &Numbers) -> Result<(), Error> {
    if numbers.unread.is_empty() {
        return Ok(());
    }
    let target = session.target;
    let mut ids = Vec::new();
    let mut entities = Vec::new();
    let mut keys: Vec<&[u8]> = Vec::new();
    let mut positions: Vec<&[u8]> = Vec::new();
    for unread in &numbers.unread {
        ids.push(target.sequence_id(unread.sequence)?);
        entities.push(target.registered(unread.entity)?.number);
        keys.push(unread.key.as_bytes());
        positions.push(unread.position.as_bytes());
    }
    sqlx::query(
        // Whether there is room is asked once for each sequence, and not for each row.
        "with room as materialized (
           select s.id from (select distinct unnest($1::int4[])) as s (id)
           where (select count(*) from (select from ficus.sequence_unread x
                    where x.sequence = s.id limit $5) few) < $5)
         insert into ficus.sequence_unread as u (sequence, entity, key, position)
         select distinct on (w.id, w.entity, w.key) w.id, w.entity, w.key, w.position
         from unnest($1::int4[], $2::int2[], $3::bytea[], $4::bytea[])
           as w (id, entity, key, position)
         join room on room.id = w.id
         order by w.id, w.entity, w.key, w.position desc
         on conflict (sequence, entity, key) do update set position = excluded.position
         where u.position < excluded.position",
    )
    .bind(&ids)
    .bind(&entities)
    .bind(&keys)
    .bind(&positions)
    .bind(UNREAD_MAX)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("storing unreadable document numbers"))?;
    Ok(())
}

/// Rows of one entity whose numbers could not be read: how many, and some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) entity: EntityId,
    pub(crate) rows: u64,
    pub(crate) keys: Vec<String>,
}
