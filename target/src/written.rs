//! Where the target is with rows of which several changes are about to become one.
//!
//! A whole image that comes late or again, and a newer one without its large values, would pass for
//! a whole image at the newer position, and bring back what was overwritten in between.

use mapping::{plan::EntityId, position::Position};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{Error, fold::Barriers, lane::Session, statement::Ident};

/// Loads where the target is with rows of a single-part entity, those that are gone among them.
pub(crate) async fn load(
    session: &mut Session<'_>,
    entity: EntityId,
    ids: &[Uuid],
    barriers: &mut Barriers,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let plan = session.target.entity(entity)?;
    let table = Ident::qualified(&plan.target_schema, &plan.target_table);
    // Scalar subqueries go row by row over the indexes; joins may not.
    let rows = sqlx::query(AssertSqlSafe(format!(
        "select w.id, greatest(
           (select t.source_position from {table} as t where t.id = w.id),
           (select d.position from ficus.tombstone as d where d.entity = $2 and d.id = w.id),
           (select greatest(a.position, a.ended_position) from ficus.archive as a
            where a.entity = $2 and a.row_id = w.id order by a.id desc limit 1)) as position
         from unnest($1::uuid[]) as w (id)"
    )))
    .bind(ids)
    .bind(session.target.registered(entity)?.number)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres(format!("asking where the rows of {} are", plan.name)))?;
    for row in rows {
        let position: Option<&[u8]> = row.get("position");
        if let Some(position) = position.and_then(Position::from_slice) {
            barriers.add_written(row.get("id"), position);
        }
    }
    Ok(())
}
