//! What settles an entry of the quarantine without anybody's help: what came after it.
//!
//! A newer complete image that was written settles it ([`crate::park::supersede`]). So does a
//! newer complete image that is in quarantine itself (a row that is bad for good and changes
//! often is one open entry, not thousands), and a newer image of a row that a rule leaves out.

use mapping::{plan::EntityId, position::Position};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{Error, batch::LeftOut, lane::Session, poison::Record, statement::replaces};

/// Whether the target has something newer of the row already.
pub(crate) async fn is_settled(session: &mut Session<'_>, record: &Record) -> Result<bool, Error> {
    let position = record.position;
    match (record.entity, record.row_id, &record.key) {
        (Some(entity), Some(id), _) => {
            has_newer(session, (entity, record.part), id, position).await
        }
        // Its type is not known: the row may be one of several entities.
        (None, _, Some(key)) => {
            for (entity, part) in record.candidates.clone() {
                let id: Option<Uuid> = sqlx::query_scalar(
                    "select id from ficus.key_map where entity = $1 and key = $2",
                )
                .bind(session.target.registered(entity)?.number)
                .bind(key)
                .fetch_optional(&mut *session.connection)
                .await
                .map_err(Error::postgres("looking for a newer row"))?;
                if let Some(id) = id
                    && has_newer(session, (entity, part), id, position).await?
                {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

async fn has_newer(
    session: &mut Session<'_>,
    (entity, part): (EntityId, u8),
    id: Uuid,
    position: Position,
) -> Result<bool, Error> {
    let plan = session.target.entity(entity)?;
    let registered = session.target.registered(entity)?;
    let sql = if plan.parts.len() > 1 {
        format!(
            "select p.id from unnest($1::uuid[], $2::bytea[]) as w (id, position) \
             join ficus.part p on p.entity = {} and p.part = {part} and p.id = w.id \
             where not {}",
            registered.number,
            replaces("p.position", "w.position")
        )
    } else {
        registered.statements.settled(registered.number)
    };
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind([id].as_slice())
        .bind([position.as_bytes().as_slice()].as_slice())
        .fetch_optional(&mut *session.connection)
        .await
        .map_err(Error::postgres("looking for a newer row"))?;
    Ok(row.is_some_and(|row| row.get::<Uuid, _>(0) == id))
}

/// Settles what an open entry of the same row that is older says. Changes that wait behind that
/// entry go on waiting: for a complete image that is written.
pub(crate) async fn settle_older(session: &mut Session<'_>, record: &Record) -> Result<(), Error> {
    let (Some(table), true) = (&record.table, record.whole) else { return Ok(()) };
    let mut numbers = Vec::new();
    for entity in record.entity.into_iter().chain(record.candidates.iter().map(|(e, _)| *e)) {
        numbers.push(session.target.registered(entity)?.number);
    }
    sqlx::query(
        "with w as (
           select coalesce($3, (select key from ficus.key_map where id = $4)) as key)
         update ficus.quarantine q
         set state = 'superseded', resolved_at = clock_timestamp(),
             resolution = 'a newer image of the row, which is in quarantine itself'
         from w
         where q.state = 'open' and q.source_table = $1 and q.key = w.key and q.position < $5
           and (q.entity = any($2) or q.entity is null)",
    )
    .bind(table)
    .bind(numbers)
    .bind(&record.key)
    .bind(record.row_id)
    .bind(record.position.as_bytes().as_slice())
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("settling quarantined changes"))?;
    Ok(())
}

/// A read that is refused again at the position of an entry that was settled meanwhile is news:
/// without a captured change in between, positions stand still.
pub(crate) async fn reopen(session: &mut Session<'_>, record: &Record) -> Result<(), Error> {
    if !record.position.is_read() {
        return Ok(());
    }
    let number = match record.entity {
        Some(entity) => Some(session.target.registered(entity)?.number),
        None => None,
    };
    sqlx::query(
        "update ficus.quarantine q
         set state = 'open', resolved_at = null, resolution = null, at = clock_timestamp(),
             detail = $6, payload = $7, payload_key = $8, payload_format = $9
         where q.state in ('superseded', 'retried') and q.source_table = $1
           and q.entity is not distinct from $2 and q.key = $3 and q.position = $4 and q.rule = $5",
    )
    .bind(&record.table)
    .bind(number)
    .bind(&record.key)
    .bind(record.position.as_bytes().as_slice())
    .bind(&record.rule)
    .bind(&record.detail)
    .bind(&record.payload)
    .bind(&record.payload_key)
    .bind(record.format)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("opening a quarantine entry again"))?;
    Ok(())
}

/// Rows that a rule leaves out need nobody, whatever was not known of them before.
pub(crate) async fn settle_left_out(
    session: &mut Session<'_>,
    rows: &[LeftOut],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut tables = Vec::with_capacity(rows.len());
    for row in rows {
        tables.push(session.target.table_name(row.table)?);
    }
    let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_bytes()).collect();
    let positions: Vec<&[u8]> = rows.iter().map(|row| row.position.as_bytes().as_slice()).collect();
    sqlx::query(AssertSqlSafe(format!(
        "update ficus.quarantine q
         set state = 'superseded', resolved_at = clock_timestamp(),
             resolution = 'a rule of the mapping leaves the row out'
         from unnest($1::text[], $2::bytea[], $3::bytea[]) as w (source_table, key, position)
         where exists (select from ficus.quarantine where state = 'open' and entity is null)
           and q.state = 'open' and q.entity is null and q.source_table = w.source_table
           and q.key = w.key and {}",
        replaces("q.position", "w.position")
    )))
    .bind(tables)
    .bind(keys)
    .bind(positions)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("settling quarantined changes"))?;
    Ok(())
}
