//! A write's transaction: rows are locked, made and changed here, and nowhere without a trace.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{
    entity::Entity,
    field::camel,
    reading::{self, Values},
    write::Posted,
};
use crate::{Error, identity::Identity};

/// What an audit row does not hold: bytes, and what is nobody's business.
const UNTOLD: &str = "'{source_position,photo,raw_message,content}'::text[]";

/// The transaction of a write.
pub(super) struct Tx<'c> {
    pub(super) connection: &'c mut PgConnection,
    pub(super) identity: &'c Identity,
    pub(super) posted: &'c Posted,
}

/// A row that a write has made or changed.
pub(super) struct Written {
    pub(super) id: Uuid,
    /// As the API shows it.
    pub(super) row: PgRow,
    /// All of its columns.
    pub(super) image: Values,
}

/// What happened to a row, for the audit and for whoever acts on it.
pub(super) struct Event<'a> {
    pub(super) entity: &'static Entity,
    pub(super) id: Uuid,
    pub(super) before: Option<&'a Values>,
    pub(super) after: Option<&'a Values>,
    /// The second half of the topic: `created` of `tenant.created`.
    pub(super) what: &'static str,
    /// Of the outbox, beside the row's id. Ids and statuses: whoever acts on it reads the rest.
    pub(super) payload: Values,
}

impl Written {
    pub(super) fn version(&self) -> Option<i32> {
        version(&self.image)
    }
}

/// The row's version, if its table has one.
pub(super) fn version(image: &Values) -> Option<i32> {
    image.get("version").and_then(Value::as_i64).and_then(|version| i32::try_from(version).ok())
}

impl Tx<'_> {
    /// Locks a row and returns all of its columns.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Forbidden`] when the caller may only read it.
    pub(super) async fn lock(&mut self, entity: &Entity, id: Uuid) -> Result<Values, Error> {
        let (table, live) = (entity.view.entity, entity.view.live());
        let sql = format!(
            "select to_jsonb({table}) - {UNTOLD} from {table} where id = $1{live} for update"
        );
        let image: Option<Json<Values>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(&mut *self.connection)
            .await?;
        if let Some(Json(image)) = image {
            return Ok(image);
        }
        let is_there = entity.view.is_there(self.connection, id).await?;
        Err(if is_there { Error::Forbidden } else { Error::NotFound })
    }

    /// Makes a row.
    pub(super) async fn insert(
        &mut self,
        entity: &Entity,
        values: Values,
    ) -> Result<Written, Error> {
        let table = entity.view.entity;
        let columns: Vec<&str> = values.keys().map(String::as_str).collect();
        let columns = columns.join(", ");
        let sql = format!(
            "insert into {table} (id, {columns}) \
             select $1, {columns} from jsonb_populate_record(null::{table}, $2) \
             returning {shown}, to_jsonb({table}) - {UNTOLD} as image",
            shown = entity.view.all_columns(),
        );
        self.put(entity, sql, Uuid::now_v7(), values).await
    }

    /// Changes a row that is locked; its version goes up.
    pub(super) async fn update(
        &mut self,
        entity: &Entity,
        id: Uuid,
        values: Values,
    ) -> Result<Written, Error> {
        let table = entity.view.entity;
        let columns: Vec<&str> = values.keys().map(String::as_str).collect();
        let columns = columns.join(", ");
        let mut set = Vec::new();
        if !values.is_empty() {
            set.push(format!(
                "({columns}) = (select {columns} from jsonb_populate_record(null::{table}, $2))"
            ));
        }
        if entity.has_version {
            set.push("version = version + 1".to_owned());
        }
        let sql = format!(
            "update {table} set {} where id = $1 and $2::jsonb is not null \
             returning {shown}, to_jsonb({table}) - {UNTOLD} as image",
            set.join(", "),
            shown = entity.view.all_columns(),
        );
        self.put(entity, sql, id, values).await
    }

    async fn put(
        &mut self,
        entity: &Entity,
        sql: String,
        id: Uuid,
        values: Values,
    ) -> Result<Written, Error> {
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(id)
            .bind(Json(values))
            .fetch_one(&mut *self.connection)
            .await
            .map_err(|error| entity.explain(error))?;
        let Json(image): Json<Values> = row.try_get("image")?;
        Ok(Written { id, row, image })
    }

    /// Writes down what happened: in the audit, and in the outbox for whoever acts on it.
    pub(super) async fn note(&mut self, event: Event<'_>) -> Result<(), Error> {
        let Event { entity, id, before, after, what, mut payload } = event;
        payload.insert("id".to_owned(), json!(id));
        if let Some(version) = after.and_then(version) {
            payload.insert("version".to_owned(), json!(version));
        }
        let action = match (before, after, what) {
            (None, ..) => "create",
            (_, None, _) => "delete",
            (.., STATUS_CHANGED) => "transition",
            _ => "update",
        };
        let (before, after) = difference(before, after);
        let topic = format!("{}.{what}", entity.noun);
        let trace = Trace { action, entity: entity.view.entity, id, before, after, topic, payload };
        write_down(self.connection, (self.identity, &self.posted.correlation_id), trace).await
    }

    /// A new row that needs no more than that.
    pub(super) async fn note_created(
        &mut self,
        entity: &'static Entity,
        made: &Written,
    ) -> Result<(), Error> {
        let after = Some(&made.image);
        let payload = references(entity, &made.image);
        self.note(Event { entity, id: made.id, before: None, after, what: "created", payload })
            .await
    }

    /// A change that needs no more than that.
    pub(super) async fn note_updated(
        &mut self,
        entity: &'static Entity,
        before: &Values,
        now: &Written,
    ) -> Result<(), Error> {
        let (before, after) = (Some(before), Some(&now.image));
        let payload = references(entity, &now.image);
        self.note(Event { entity, id: now.id, before, after, what: "updated", payload }).await
    }
}

/// What a write leaves behind: a row of the audit, and one of the outbox.
pub(super) struct Trace<'a> {
    pub(super) action: &'a str,
    /// The table.
    pub(super) entity: &'a str,
    pub(super) id: Uuid,
    pub(super) before: Option<Values>,
    pub(super) after: Option<Values>,
    pub(super) topic: String,
    pub(super) payload: Values,
}

/// Writes it down in the write's own transaction.
pub(super) async fn write_down(
    connection: &mut PgConnection,
    (identity, correlation_id): (&Identity, &str),
    trace: Trace<'_>,
) -> Result<(), Error> {
    sqlx::query(
        "with audit as (insert into audit_log (id, user_id, owner_id, role, action, entity, \
         entity_id, before, after, correlation_id) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)) \
         insert into outbox (id, topic, payload, user_id, correlation_id) \
         values ($11, $12, $13, $2, $10)",
    )
    .bind(Uuid::now_v7())
    .bind(identity.user_id)
    .bind(identity.owner_id)
    .bind(&identity.role)
    .bind(trace.action)
    .bind(trace.entity)
    .bind(trace.id)
    .bind(trace.before.map(Json))
    .bind(trace.after.map(Json))
    .bind(correlation_id)
    .bind(Uuid::now_v7())
    .bind(trace.topic)
    .bind(Json(trace.payload))
    .execute(connection)
    .await?;
    Ok(())
}

/// The event of a step from a status to another.
pub(super) const STATUS_CHANGED: &str = "status-changed";

/// The rows that a row belongs to, for whoever acts on an event.
pub(super) fn references(entity: &Entity, image: &Values) -> Values {
    let columns = image.iter().filter(|(column, value)| {
        entity.tells.contains(&column.as_str()) && reading::id(value).is_some()
    });
    columns.map(|(column, value)| (camel(column), value.clone())).collect()
}

/// Of two images of a row, what differs; a new or deleted row is told whole.
fn difference(before: Option<&Values>, after: Option<&Values>) -> (Option<Values>, Option<Values>) {
    let (Some(old), Some(new)) = (before, after) else {
        return (before.cloned(), after.cloned());
    };
    let differing = |of: &Values, from: &Values| {
        let differs = |(column, value): &(&String, &Value)| from.get(*column) != Some(*value);
        of.iter().filter(differs).map(|(column, value)| (column.clone(), value.clone())).collect()
    };
    (Some(differing(old, new)), Some(differing(new, old)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: Value) -> Values {
        let Value::Object(values) = value else { panic!("an object") };
        values
    }

    #[test]
    fn an_audit_row_holds_what_changed() {
        let before = values(json!({ "name": "a", "phone": null, "version": 1 }));
        let after = values(json!({ "name": "b", "phone": null, "version": 2 }));
        let (old, new) = difference(Some(&before), Some(&after));
        assert_eq!(old, Some(values(json!({ "name": "a", "version": 1 }))));
        assert_eq!(new, Some(values(json!({ "name": "b", "version": 2 }))));
        assert_eq!(difference(None, Some(&after)), (None, Some(after)));
    }
}
