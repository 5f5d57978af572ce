//! Entities made of several legacy tables (TPT: `Party` + `Owner`). Each table's share of a row
//! is kept in `ficus.part`, in whatever order they come; the row is composed when all are there,
//! and goes when one of them does. The parts are the truth and the row is derived from them, so
//! the row's own position (the highest of its parts) guards nothing here; the lock on the entity
//! does (see `gate`).

use std::{borrow::Cow, collections::BTreeMap};

use mapping::{
    plan::{EntityId, EntityPlan},
    position::Position,
    row::RowKind,
};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::{
    Error,
    copy::StagedRow,
    fold::{Barriers, Change, Special, lay_over, mark_deleted, spans},
    hook,
    lane::{Outcomes, Session, set},
    park,
    statement::Staged,
    tally::Outcome,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Live,
    SoftDeleted,
    Gone,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::SoftDeleted => "soft_deleted",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "live" => Self::Live,
            "soft_deleted" => Self::SoftDeleted,
            _ => Self::Gone,
        }
    }
}

/// One table's share of a row.
#[derive(Debug, Clone)]
struct Stored {
    position: Position,
    state: State,
    /// Mapped for the columns that the part has today.
    same_shape: bool,
    fields: Vec<u8>,
    changed: bool,
}

/// What a change does to its part.
enum Step {
    Stale,
    Wait,
    Take(State, Vec<u8>),
}

/// The parts of each row that the batch touches.
type Rows = BTreeMap<Uuid, Vec<Option<Stored>>>;

/// Where `deleted_at` and the version are among a part's columns, and which a soft delete brings.
pub(crate) fn special(entity: &EntityPlan, part: u8) -> Special {
    let Some(part) = entity.parts.get(usize::from(part)) else { return Special::default() };
    let find = |index: Option<usize>| {
        let index = index?;
        part.columns.iter().position(|column| *column == index)
    };
    let is_reference = |column: &usize| {
        let name = entity.columns.get(*column).map(|column| column.name.as_str());
        entity.references.iter().any(|reference| Some(reference.column.as_str()) == name)
    };
    let (deleted_at, version) = (find(entity.deleted_at), find(entity.version));
    let places = part.columns.iter().enumerate().take(64).skip(1);
    let brought = places
        .filter(|(place, column)| !is_reference(column) && Some(*place) != deleted_at)
        .fold(0, |mask, (place, _)| mask | 1 << place);
    Special { deleted_at, version, brought }
}

/// Writes changes of an entity with parts, sorted by id and position.
pub(crate) async fn write(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
    barriers: &BTreeMap<u8, Barriers>,
) -> Result<Outcomes, Error> {
    let target = session.target;
    let plan = target.entity(entity)?;
    let mut rows = load(session, entity, changes).await?;
    let mut outcomes = vec![Outcome::Stale; changes.len()];
    let mut waiting = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let Some(parts) = rows.get_mut(&change.id) else { continue };
        let Some(stored) = parts.get_mut(usize::from(change.part)) else { continue };
        let special = special(plan, change.part);
        let held = held(changes, &waiting, change);
        match step((stored.as_ref(), held), change, special, barriers) {
            Step::Stale => {}
            Step::Wait => waiting.push(index),
            Step::Take(state, fields) => {
                let position = change.position;
                *stored = Some(Stored { position, state, same_shape: true, fields, changed: true });
                set(&mut outcomes, index, Outcome::Applied);
            }
        }
    }
    // What waited for an image that has come now, waits for nothing.
    waiting.retain(|index| changes.get(*index).is_some_and(|change| !is_settled(&rows, change)));
    hook::point("reduce.out");
    if !waiting.is_empty() {
        park::park(session, entity, changes, &waiting, &mut outcomes).await?;
    }
    store(session, entity, &rows).await?;
    compose(session, entity, &rows).await?;
    if session.gate(entity).has_quarantine {
        park::supersede(session, entity, changes).await?;
    }
    Ok(outcomes)
}

/// The last of this batch's changes that waits for the same part. A soft delete after it may lack
/// what it knows (references).
fn held<'c, 'a>(
    changes: &'c [Change<'a>],
    waiting: &[usize],
    change: &Change<'a>,
) -> Option<&'c Change<'a>> {
    let earlier = waiting.iter().rev().filter_map(|index| changes.get(*index));
    let mut of_row = earlier.take_while(|earlier| earlier.id == change.id);
    of_row.find(|earlier| earlier.part == change.part)
}

fn is_settled(rows: &Rows, change: &Change<'_>) -> bool {
    let parts = rows.get(&change.id);
    let stored = parts.and_then(|parts| parts.get(usize::from(change.part))?.as_ref());
    stored.is_some_and(|stored| !change.position.replaces(&stored.position))
}

fn step(
    (stored, held): (Option<&Stored>, Option<&Change<'_>>),
    change: &Change<'_>,
    special: Special,
    barriers: &BTreeMap<u8, Barriers>,
) -> Step {
    if stored.is_some_and(|stored| !change.position.replaces(&stored.position)) {
        return Step::Stale;
    }
    let usable = stored.filter(|stored| stored.state != State::Gone && stored.same_shape);
    let before = || {
        usable.map(|stored| Change {
            kind: RowKind::Upsert,
            unchanged: 0,
            fields: Cow::Borrowed(stored.fields.as_slice()),
            ..change.clone()
        })
    };
    let known = stored.map(|stored| stored.position);
    let is_behind = barriers
        .get(&change.part)
        .is_some_and(|barriers| barriers.between(change.id, known, change.position));
    match change.kind {
        RowKind::Delete => Step::Take(State::Gone, Vec::new()),
        RowKind::Upsert if change.unchanged == 0 => Step::Take(State::Live, change.fields.to_vec()),
        RowKind::Upsert if is_behind => Step::Wait,
        RowKind::Upsert => match before() {
            Some(before) => Step::Take(State::Live, lay_over(&before, change).fields.into_owned()),
            None => Step::Wait,
        },
        RowKind::SoftDelete => match before() {
            Some(before) => {
                let marked = mark_deleted(&before, change, special);
                Step::Take(State::SoftDeleted, marked.fields.into_owned())
            }
            None if change.unchanged == 0 => {
                let marked = held.map(|held| mark_deleted(held, change, special));
                let whole = marked.filter(|marked| marked.unchanged == 0);
                let fields =
                    whole.map_or_else(|| change.fields.to_vec(), |w| w.fields.into_owned());
                Step::Take(State::SoftDeleted, fields)
            }
            None => Step::Wait,
        },
    }
}

async fn load(
    session: &mut Session<'_>,
    entity: EntityId,
    changes: &[Change<'_>],
) -> Result<Rows, Error> {
    let registered = session.target.registered(entity)?;
    let parts = registered.shapes.len();
    let mut rows: Rows = changes.iter().map(|change| (change.id, vec![None; parts])).collect();
    let ids: Vec<Uuid> = rows.keys().copied().collect();
    let stored = sqlx::query(
        "select id, part, position, state, shape, fields from ficus.part
         where entity = $1 and id = any($2)",
    )
    .bind(registered.number)
    .bind(ids)
    .fetch_all(&mut *session.connection)
    .await
    .map_err(Error::postgres("reading the parts of rows"))?;
    for row in stored {
        let part = usize::try_from(row.get::<i16, _>("part")).unwrap_or(usize::MAX);
        let slot = rows.get_mut(&row.get("id")).and_then(|parts| parts.get_mut(part));
        let Some(slot) = slot else { continue };
        *slot = Some(Stored {
            position: Position::from_slice(row.get("position")).unwrap_or_default(),
            state: State::parse(row.get("state")),
            same_shape: registered.shapes.get(part) == Some(&row.get("shape")),
            fields: row.get::<Option<Vec<u8>>, _>("fields").unwrap_or_default(),
            changed: false,
        });
    }
    Ok(rows)
}

async fn store(session: &mut Session<'_>, entity: EntityId, rows: &Rows) -> Result<(), Error> {
    let registered = session.target.registered(entity)?;
    let mut ids: Vec<Uuid> = Vec::new();
    let mut numbers: Vec<i16> = Vec::new();
    let mut positions: Vec<&[u8]> = Vec::new();
    let mut states: Vec<&str> = Vec::new();
    let mut shapes: Vec<i32> = Vec::new();
    let mut fields: Vec<Option<&[u8]>> = Vec::new();
    for (id, parts) in rows {
        for ((number, shape), stored) in (0_i16..).zip(&registered.shapes).zip(parts) {
            let Some(stored) = stored.as_ref().filter(|stored| stored.changed) else { continue };
            ids.push(*id);
            numbers.push(number);
            positions.push(stored.position.as_bytes());
            states.push(stored.state.as_str());
            shapes.push(*shape);
            fields.push((stored.state != State::Gone).then_some(stored.fields.as_slice()));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into ficus.part as p (entity, id, part, position, state, shape, fields)
         select $1, * from unnest($2::uuid[], $3::int2[], $4::bytea[], $5::text[], $6::int4[], $7::bytea[])
         on conflict (entity, id, part) do update set position = excluded.position,
           state = excluded.state, shape = excluded.shape, fields = excluded.fields",
    )
    .bind(registered.number)
    .bind(ids)
    .bind(numbers)
    .bind(positions)
    .bind(states)
    .bind(shapes)
    .bind(fields)
    .execute(&mut *session.connection)
    .await
    .map_err(Error::postgres("storing the parts of rows"))?;
    Ok(())
}

/// Writes the rows that the changed parts make, and removes those that they make no more.
async fn compose(session: &mut Session<'_>, entity: EntityId, rows: &Rows) -> Result<(), Error> {
    let plan = session.target.entity(entity)?;
    let mut composed: Vec<(Vec<u8>, Position)> = Vec::new();
    let mut gone: Vec<(Uuid, Position)> = Vec::new();
    for (id, parts) in rows {
        if !parts.iter().flatten().any(|stored| stored.changed) {
            continue;
        }
        let position = parts.iter().flatten().map(|stored| stored.position).max();
        let position = position.unwrap_or_default();
        if parts.iter().flatten().any(|stored| stored.state == State::Gone) {
            gone.push((*id, position));
        } else if let Some(fields) = compose_row(plan, parts) {
            composed.push((fields, position));
        }
    }
    if !gone.is_empty() {
        decompose(session, entity, &gone).await?;
        hook::point("apply.after_delete");
    }
    if composed.is_empty() {
        return Ok(());
    }
    let staged = (0..).zip(&composed).map(|(number, (fields, position))| {
        let position = *position;
        StagedRow { fields, position, kind: Staged::Full, unchanged: 0, number }
    });
    session.stage(entity, staged).await?;
    hook::point("apply.after_stage");
    let statements = &session.target.registered(entity)?.statements;
    sqlx::query(AssertSqlSafe(statements.compose.clone()))
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres(format!("writing {}", statements.table)))?;
    hook::point("apply.after_upsert");
    Ok(())
}

/// The entity's fields from its parts; `None` while one is missing.
fn compose_row(plan: &EntityPlan, parts: &[Option<Stored>]) -> Option<Vec<u8>> {
    let mut columns: Vec<Option<&[u8]>> = vec![None; plan.columns.len()];
    for (part, stored) in plan.parts.iter().zip(parts) {
        let stored = stored.as_ref().filter(|stored| stored.same_shape)?;
        for (index, span) in part.columns.iter().zip(spans(&stored.fields)) {
            let column = columns.get_mut(*index)?;
            *column = column.or(Some(span));
        }
    }
    let columns: Option<Vec<&[u8]>> = columns.into_iter().collect();
    Some(columns?.concat())
}

async fn decompose(
    session: &mut Session<'_>,
    entity: EntityId,
    gone: &[(Uuid, Position)],
) -> Result<(), Error> {
    let ids: Vec<Uuid> = gone.iter().map(|(id, _)| *id).collect();
    let positions: Vec<&[u8]> =
        gone.iter().map(|(_, position)| position.as_bytes().as_slice()).collect();
    let statements = &session.target.registered(entity)?.statements;
    sqlx::query(AssertSqlSafe(statements.decompose.clone()))
        .bind(ids)
        .bind(positions)
        .execute(&mut *session.connection)
        .await
        .map_err(Error::postgres(format!("deleting from {}", statements.table)))?;
    Ok(())
}
