//! Status changes: one table of allowed steps, one transaction for the step, its audit and its
//! side effects.

use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use uuid::Uuid;

use super::{
    caller::{Caller, Failure, Id},
    record::Record,
    view::View,
    write::{Posted, Reply, hold_domain},
};
use crate::{
    Error,
    database::{self, Access, Work},
    identity::Identity,
};

/// An entity with a status.
#[derive(Debug)]
pub(super) struct Statuses {
    pub(super) view: &'static View,
    pub(super) domain: &'static str,
    /// Of the outbox.
    pub(super) topic: &'static str,
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
    let written = database::transact(
        &caller.app.pool,
        caller.token,
        Access::Write,
        move |connection, identity| {
            Box::pin(async move {
                let step: Step = posted.read()?;
                hold_domain(connection, statuses.domain).await?;
                if let Some(reply) = posted.claim(connection, &identity).await? {
                    return Ok(reply);
                }
                let change = statuses.change(connection, id, &step.to, &posted).await?;
                change.write_down(connection, &identity, &posted).await?;
                let row = statuses.view.row(connection, id).await?;
                let reply = Reply::ok(&R::from_row(&row)?, change.version)?;
                posted.keep(connection, &reply).await?;
                Ok(reply)
            }) as Work<'_, Reply>
        },
    );
    let reply = written.await.map_err(|error| Failure(error, caller.language))?;
    Ok(reply.into_response())
}

impl Statuses {
    async fn change<'a>(
        &'static self,
        connection: &mut PgConnection,
        id: Uuid,
        to: &'a str,
        posted: &Posted,
    ) -> Result<Change<'a>, Error> {
        let table = self.view.entity;
        let locked = format!("select status, version from {table} where id = $1 for update");
        let row = sqlx::query(AssertSqlSafe(locked))
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(Error::NotFound)?;
        posted.check_version(row.try_get("version")?)?;
        let from = row.try_get::<Option<String>, _>("status")?.unwrap_or_default();
        let allowed: Vec<String> = sqlx::query_scalar(
            "select to_status from status_transitions \
             where entity = $1 and from_status = $2 order by to_status",
        )
        .bind(table)
        .bind(&from)
        .fetch_all(&mut *connection)
        .await?;
        if !allowed.iter().any(|status| status == to) {
            return Err(Error::Transition { from, to: to.to_owned(), allowed });
        }
        let update = format!(
            "update {table} set status = $2, version = version + 1 where id = $1 returning version"
        );
        let row =
            sqlx::query(AssertSqlSafe(update)).bind(id).bind(to).fetch_one(connection).await?;
        Ok(Change { statuses: self, id, from, to, version: row.try_get("version")? })
    }
}

struct Change<'a> {
    statuses: &'static Statuses,
    id: Uuid,
    from: String,
    to: &'a str,
    version: i32,
}

impl Change<'_> {
    /// In the audit, and in the outbox for whoever acts on it.
    async fn write_down(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
        posted: &Posted,
    ) -> Result<(), Error> {
        let entity = self.statuses.view.entity;
        sqlx::query(
            "insert into audit_log (id, user_id, owner_id, role, action, entity, entity_id, \
             before, after, correlation_id) \
             values ($1, $2, $3, $4, 'transition', $5, $6, $7, $8, $9)",
        )
        .bind(Uuid::now_v7())
        .bind(identity.user_id)
        .bind(identity.owner_id)
        .bind(&identity.role)
        .bind(entity)
        .bind(self.id)
        .bind(json!({ "status": self.from, "version": self.version - 1 }))
        .bind(json!({ "status": self.to, "version": self.version }))
        .bind(&posted.correlation_id)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "insert into outbox (id, topic, payload, user_id, correlation_id) \
             values ($1, $2, $3, $4, $5)",
        )
        .bind(Uuid::now_v7())
        .bind(self.statuses.topic)
        .bind(json!({ "id": self.id, "from": self.from, "to": self.to, "version": self.version }))
        .bind(identity.user_id)
        .bind(&posted.correlation_id)
        .execute(connection)
        .await?;
        Ok(())
    }
}
