//! Partial images that have to wait: for their row, or behind a quarantined change.
//!
//! They are counted as quarantined while they wait and move to their own outcome when the image
//! that they wait for has come; nothing else ever takes them out.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use mapping::{
    key::CanonicalKey,
    plan::{EntityId, EntityPlan},
    position::Position,
    row::RowKind,
};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{
    Error,
    batch::QuarantineEntry,
    fold::{Barriers, Change},
    hook,
    lane::{Outcomes, Session, set},
    statement::replaces,
    tally::{Account, Outcome},
};

/// A change that was parked just now.
#[derive(Debug)]
pub(crate) struct Parked {
    entity: EntityId,
    id: Uuid,
    part: u8,
    position: Position,
    account: Account,
}

/// Stores changes that have to wait. One that is there already is a repeated delivery.
pub(crate) async fn park(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
    which: &[usize],
    outcomes: &mut Outcomes,
) -> Result<(), Error> {
    hook::point("park.before");
    let registered = session.target.registered(entity)?;
    let mut parked = Vec::with_capacity(which.len());
    for index in which {
        let Some(change) = changes.get(*index) else { continue };
        let shape = registered.shapes.get(usize::from(change.part)).copied().unwrap_or_default();
        let (table, origin) = session.tally.names(change.account);
        let (table, origin) = (table.to_owned(), origin.to_owned());
        let result = sqlx::query(
            "insert into ficus.parked (entity, id, part, position, soft_deleted, unchanged, shape,
                                       fields, source_table, origin)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             on conflict (entity, id, part, position) do nothing",
        )
        .bind(registered.number)
        .bind(change.id)
        .bind(i16::from(change.part))
        .bind(change.position.as_bytes().as_slice())
        .bind(change.kind == RowKind::SoftDelete)
        .bind(i64::from_ne_bytes(change.unchanged.to_ne_bytes()))
        .bind(shape)
        .bind(change.fields.as_ref())
        .bind(&table)
        .bind(&origin)
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres(format!("parking a change of {table}")))?;
        let is_new = result.rows_affected() == 1;
        set(outcomes, *index, if is_new { Outcome::Quarantined } else { Outcome::Stale });
        if is_new && change.counted {
            let account = session.tally.released(&table, &origin);
            let Change { id, part, position, .. } = *change;
            parked.push(Parked { entity, id, part, position, account });
        }
    }
    session.parked.extend(parked);
    hook::point("park.after");
    Ok(())
}

/// Takes out again what waits for nothing: a later round of this batch wrote something newer of
/// the row. Nobody else would, for the row may never change again.
pub(crate) async fn forget_settled(
    session: &mut Session<'_>,
    entity: EntityId,
) -> Result<(), Error> {
    let parked: Vec<Parked> = session.parked.extract_if(.., |one| one.entity == entity).collect();
    if parked.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = parked.iter().map(|one| one.id).collect();
    let positions: Vec<&[u8]> =
        parked.iter().map(|one| one.position.as_bytes().as_slice()).collect();
    let parts: Vec<i16> = parked.iter().map(|one| i16::from(one.part)).collect();
    let registered = session.target.registered(entity)?;
    let newer = registered.statements.newer(registered.number);
    let rows = sqlx::query(AssertSqlSafe(format!(
        "delete from ficus.parked as p
         using unnest($1::uuid[], $2::bytea[], $3::int2[]) as w (id, position, part)
         where p.entity = {} and p.id = w.id and p.part = w.part and p.position = w.position
           and ({newer})
         returning p.id, p.position",
        registered.number
    )))
    .bind(ids)
    .bind(positions)
    .bind(parts)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres("taking out parked changes"))?;
    for row in rows {
        let (id, position): (Uuid, &[u8]) = (row.get(0), row.get(1));
        let is_it = |one: &&Parked| one.id == id && one.position.as_bytes() == position;
        if let Some(one) = parked.iter().find(is_it) {
            session.tally.add(one.account, Outcome::Stale, 1);
        }
    }
    Ok(())
}

/// Takes the waiting changes of these rows out of the table: an image that they may have waited
/// for is in this batch. Those that still have to wait are stored again.
///
/// Fields that were mapped for other columns than today's can't be written. Such a change stays,
/// and keeps the gate red, until a complete image that is newer than it comes: then only its
/// position matters.
pub(crate) async fn release(
    session: &mut Session<'_>,
    entity: EntityId,
    complete: &[(Uuid, Position)],
) -> Result<Vec<Change<'static>>, Error> {
    let registered = session.target.registered(entity)?;
    let ids: Vec<Uuid> = complete.iter().map(|(id, _)| *id).collect();
    let positions: Vec<&[u8]> =
        complete.iter().map(|(_, position)| position.as_bytes().as_slice()).collect();
    let rows = sqlx::query(
        "delete from ficus.parked p
         using (select distinct on (id) id, position
                from unnest($2::uuid[], $3::bytea[]) as w (id, position)
                order by id, position desc) w
         where p.entity = $1 and p.id = w.id
           and (p.shape = any($4) or p.position < w.position)
         returning p.id, p.part, p.position, p.soft_deleted, p.unchanged, p.fields,
                   p.source_table, p.origin",
    )
    .bind(registered.number)
    .bind(ids)
    .bind(positions)
    .bind(&registered.shapes)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres("releasing parked changes"))?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        let position: &[u8] = row.get("position");
        let part = u8::try_from(row.get::<i16, _>("part")).unwrap_or(u8::MAX);
        let table: &str = row.get("source_table");
        let is_soft: bool = row.get("soft_deleted");
        changes.push(Change {
            id: row.get("id"),
            key: None,
            part,
            kind: if is_soft { RowKind::SoftDelete } else { RowKind::Upsert },
            filtered: false,
            position: Position::from_slice(position).unwrap_or_default(),
            unchanged: u64::from_ne_bytes(row.get::<i64, _>("unchanged").to_ne_bytes()),
            fields: Cow::Owned(row.get("fields")),
            sequence: None,
            account: session.tally.released(table, row.get("origin")),
            counted: true,
            behind: false,
            is_new: false,
        });
        hook::point("park.release");
    }
    Ok(changes)
}

/// Adds the open quarantine entries of the rows of partial images. `part` numbers come from the
/// tables that feed the entity, so a quarantined leaf does not hold up the root. An entry whose
/// entity was not known (its type was not) is found by table and key.
pub(crate) async fn load_barriers(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
    barriers: &mut BTreeMap<u8, Barriers>,
) -> Result<(), Error> {
    let partial = || changes.iter().filter(|change| change.is_partial());
    let target = session.target;
    let mut tables = Vec::new();
    for part in &target.entity(entity)?.parts {
        tables.push(target.table_name(part.table)?);
    }
    let ids: Vec<Uuid> = partial().map(|change| change.id).collect();
    let keys: HashMap<&[u8], Uuid> = partial()
        .filter_map(|change| change.key.as_ref().map(|key| (key.as_bytes(), change.id)))
        .collect();
    let rows = sqlx::query(
        "select row_id, key, position, source_table from ficus.quarantine
         where entity = $1 and row_id = any($2) and state = 'open' and id is distinct from $5
         union all
         select null, key, position, source_table from ficus.quarantine
         where entity is null and state = 'open' and source_table = any($3) and key = any($4)
           and id is distinct from $5",
    )
    .bind(target.registered(entity)?.number)
    .bind(ids)
    .bind(&tables)
    .bind(keys.keys().copied().collect::<Vec<_>>())
    .bind(session.retrying)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres("looking for quarantined changes"))?;
    for row in rows {
        let table: Option<&str> = row.get("source_table");
        let key: Option<&[u8]> = row.get("key");
        let id: Option<Uuid> = row.get("row_id");
        let id = id.or_else(|| keys.get(key?).copied());
        let part = tables.iter().position(|name| Some(name.as_str()) == table);
        let part = part.and_then(|part| u8::try_from(part).ok()).unwrap_or(0);
        let position = Position::from_slice(row.get("position")).unwrap_or_default();
        if let Some(id) = id {
            barriers.entry(part).or_default().add(id, position);
        }
    }
    Ok(())
}

/// Adds entries of this very batch whose entity is not known.
pub(crate) fn add_unknown(
    plan: &EntityPlan,
    entries: &[QuarantineEntry],
    changes: &[Change<'_>],
    barriers: &mut BTreeMap<u8, Barriers>,
) {
    for entry in entries.iter().filter(|entry| entry.entity.is_none() && entry.key.is_some()) {
        let part = plan.parts.iter().position(|part| Some(part.table) == entry.table);
        let Some(part) = part.and_then(|part| u8::try_from(part).ok()) else { continue };
        let same = |change: &&Change<'_>| change.part == part && change.key == entry.key;
        if let Some(change) = changes.iter().find(same) {
            barriers.entry(part).or_default().add(change.id, entry.position);
        }
    }
}

/// A newer complete image of a row settles what is in quarantine of it.
pub(crate) async fn supersede(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
) -> Result<(), Error> {
    let complete: Vec<&Change<'_>> = changes.iter().filter(|c| c.is_complete()).collect();
    if complete.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = complete.iter().map(|change| change.id).collect();
    let positions: Vec<&[u8]> =
        complete.iter().map(|change| change.position.as_bytes().as_slice()).collect();
    let tables: Vec<&str> =
        complete.iter().map(|change| session.tally.names(change.account).0).collect();
    let keys: Vec<Option<&[u8]>> =
        complete.iter().map(|change| change.key.as_ref().map(CanonicalKey::as_bytes)).collect();
    sqlx::query(AssertSqlSafe(format!(
        "update ficus.quarantine q
         set state = 'superseded', resolved_at = clock_timestamp(),
             resolution = 'a newer complete image of the row'
         from unnest($2::uuid[], $3::bytea[], $4::text[], $5::bytea[])
           as w (id, position, source_table, key)
         where q.state = 'open' and {} and q.source_table = w.source_table
           and q.id is distinct from $6
           and (q.entity = $1 and q.row_id = w.id or q.entity is null and q.key = w.key)",
        replaces("q.position", "w.position")
    )))
    .bind(session.target.registered(entity)?.number)
    .bind(ids)
    .bind(positions)
    .bind(tables)
    .bind(keys)
    .bind(session.retrying)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("settling quarantined changes"))?;
    Ok(())
}
