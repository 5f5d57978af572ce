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
    let rows = sqlx::query(AssertSqlSafe(format!(
        "select w.id, t.source_position as position
         from unnest($1::uuid[]) as w (id) join {table} as t on t.id = w.id
         where t.source_position is not null
         union all
         select d.id, d.position from unnest($1::uuid[]) as w (id)
         join ficus.tombstone as d on d.entity = $2 and d.id = w.id
         union all
         select a.row_id, greatest(a.position, a.ended_position)
         from unnest($1::uuid[]) as w (id)
         join ficus.archive as a on a.entity = $2 and a.row_id = w.id"
    )))
    .bind(ids)
    .bind(session.target.registered(entity)?.number)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres(format!("asking where the rows of {} are", plan.name)))?;
    for row in rows {
        if let Some(position) = Position::from_slice(row.get("position")) {
            barriers.add_written(row.get("id"), position);
        }
    }
    Ok(())
}
