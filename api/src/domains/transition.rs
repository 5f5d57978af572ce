//! Status changes: one table of allowed steps, one transaction for the step, its audit and its
//! side effects.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    caller::{Caller, Failure, Id},
    entity::Entity,
    idempotency::Key,
    reading::{Values, word},
    record::Record,
    reply::Reply,
    tx::{Event, STATUS_CHANGED, Tx, Written, references, version},
    write::Posted,
};
use crate::{Error, database::Work};

/// An entity with a status.
#[derive(Debug)]
pub(super) struct Statuses {
    pub(super) entity: &'static Entity,
    /// Statuses that follow from other rows: nobody takes a row there, or away from there, by a
    /// request that says so.
    pub(super) derived: &'static [&'static str],
    /// What a step needs beside the table's permission, and the columns that change with it.
    pub(super) before_step: fn(&Values, &str) -> Result<Values, Error>,
}

/// Steps that need nothing else.
pub(super) fn as_allowed(_: &Values, _: &str) -> Result<Values, Error> {
    Ok(Values::new())
}

/// A step to another status.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The status that it shall have.
    to: String,
}

/// Takes a row to another status, if `status_transitions` allows the step.
pub(super) async fn transition_to<R: Record>(
    caller: Caller,
    Id(id): Id,
    posted: Posted,
    statuses: &'static Statuses,
) -> Result<Response, Failure> {
    let entity = statuses.entity;
    caller
        .write(posted, entity.terms(Key::Optional), move |tx| {
            Box::pin(async move {
                let step: Step = tx.posted.read()?;
                let before = tx.lock(entity, id).await?;
                tx.posted.check_version(version(&before).unwrap_or_default())?;
                statuses.check(tx, &before, &step.to).await?;
                let also = (statuses.before_step)(&before, &step.to)?;
                let after = take(tx, entity, id, &before, &step.to, also).await?;
                Reply::ok(&R::from_row(&after.row)?, after.version())
            }) as Work<'_, Reply>
        })
        .await
}

impl Statuses {
    /// Refuses a step that is not for requests.
    async fn check(&self, tx: &mut Tx<'_>, before: &Values, to: &str) -> Result<(), Error> {
        let from = word(before, "status").unwrap_or_default();
        let mut allowed = allowed(tx, self.entity, from).await?;
        let derived = |status: &str| self.derived.contains(&status);
        allowed.retain(|status| !derived(status) && !derived(from));
        check(from, to, allowed)
    }
}

/// Takes a locked row to another status. `also` are columns that change with it.
///
/// # Errors
/// [`Error::Transition`] when the table does not allow the step.
pub(super) async fn take(
    tx: &mut Tx<'_>,
    entity: &'static Entity,
    id: Uuid,
    before: &Values,
    to: &str,
    also: Values,
) -> Result<Written, Error> {
    let from = word(before, "status").unwrap_or_default();
    check(from, to, allowed(tx, entity, from).await?)?;
    let mut values = also;
    values.insert("status".to_owned(), json!(to));
    let after = tx.update(entity, id, values).await?;
    let mut payload = references(entity, &after.image);
    payload.insert("from".to_owned(), json!(from));
    payload.insert("to".to_owned(), json!(to));
    let (before, image) = (Some(before), Some(&after.image));
    tx.note(Event { entity, id, before, after: image, what: STATUS_CHANGED, payload }).await?;
    Ok(after)
}

async fn allowed(tx: &mut Tx<'_>, entity: &Entity, from: &str) -> Result<Vec<String>, Error> {
    let allowed = sqlx::query_scalar(
        "select to_status from status_transitions \
         where entity = $1 and from_status = $2 order by to_status",
    )
    .bind(entity.view.entity)
    .bind(from)
    .fetch_all(&mut *tx.connection)
    .await?;
    Ok(allowed)
}

fn check(from: &str, to: &str, allowed: Vec<String>) -> Result<(), Error> {
    if allowed.iter().any(|status| status == to) {
        return Ok(());
    }
    Err(Error::Transition { from: from.to_owned(), to: to.to_owned(), allowed })
}
