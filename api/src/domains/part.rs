//! Rows that are part of another one: items of a contract, lines of an invoice. The whole is
//! locked first, decides whether they may change, and gets a new version with them.

use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, error::DatabaseError};
use uuid::Uuid;

use super::{
    caller::{Caller, Failure, Id, Ids},
    entity::{Entity, follow_rules, state},
    idempotency::Key,
    reading::{Purpose, Reading, Values, id},
    record::Record,
    reply::Reply,
    tx::{Tx, Written, version},
    view::View,
    write::Posted,
};
use crate::{
    Error,
    database::{self, Access, Work},
};

/// A kind of parts.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) whole: &'static Entity,
    pub(super) part: &'static Entity,
    /// Of the part: the whole's id.
    pub(super) column: &'static str,
    /// The last segment of the parts' address: `/v2/contracts/{id}/items`.
    pub(super) segment: &'static str,
    /// What the whole sums up of its parts, as assignments.
    pub(super) totals: &'static str,
}

impl Part {
    /// Adds a row; its number is the next one of this whole.
    pub(super) async fn insert(
        &self,
        tx: &mut Tx<'_>,
        whole: Uuid,
        mut values: Values,
    ) -> Result<Written, Error> {
        let sql = format!(
            "select coalesce(max(line_no), 0) + 1 from {} where {} = $1",
            self.part.view.entity, self.column
        );
        let line_no: i32 = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(whole)
            .fetch_one(&mut *tx.connection)
            .await?;
        values.insert("line_no".to_owned(), line_no.into());
        values.insert(self.column.to_owned(), json!(whole));
        let made = tx.insert(self.part, values).await?;
        tx.note_created(self.part, &made).await?;
        Ok(made)
    }

    /// The whole's new version, and what it sums up.
    pub(super) async fn touch(
        &self,
        tx: &mut Tx<'_>,
        before: &Values,
        whole: Uuid,
    ) -> Result<(), Error> {
        if !self.totals.is_empty() {
            let table = self.whole.view.entity;
            let sql = format!("update {table} set {} where id = $1", self.totals);
            let summed = sqlx::query(AssertSqlSafe(sql)).bind(whole).execute(&mut *tx.connection);
            summed.await.map_err(too_large)?;
        }
        let after = tx.update(self.whole, whole, Values::new()).await?;
        tx.note_updated(self.whole, before, &after).await
    }

    /// Locks the whole and refuses when it is closed.
    async fn open(&self, tx: &mut Tx<'_>, whole: Uuid) -> Result<Values, Error> {
        let image = tx.lock(self.whole, whole).await?;
        self.whole.check_open(&image)?;
        Ok(image)
    }

    /// Locks a part of the (locked) whole.
    async fn lock(&self, tx: &mut Tx<'_>, whole: Uuid, part: Uuid) -> Result<Values, Error> {
        let image = tx.lock(self.part, part).await?;
        let of = image.get(self.column).and_then(id);
        if of == Some(whole) { Ok(image) } else { Err(Error::NotFound) }
    }

    /// The version that a client sees of a part: its own, or the whole's when it has none.
    fn version(&self, part: &Values, whole: i32) -> i32 {
        if self.part.has_version { version(part).unwrap_or_default() } else { whole }
    }

    /// What is answered for a part that was made, when its whole has its new version.
    pub(super) async fn created<R: Record>(
        &self,
        tx: &mut Tx<'_>,
        whole: Uuid,
        part: Uuid,
    ) -> Result<Reply, Error> {
        let location = format!("{}/{whole}/{}/{part}", self.whole.path, self.segment);
        Ok(shown::<R>(self.part.view, tx.connection, part).await?.at(location))
    }
}

impl Caller {
    /// One part of a whole.
    pub(super) async fn part<R: Record>(
        self,
        Ids(whole, part): Ids,
        kind: &'static Part,
    ) -> Result<Response, Failure> {
        let view: &'static View = kind.part.view;
        let read =
            database::transact(&self.app.pool, self.token, Access::Read, move |connection, _| {
                Box::pin(async move {
                    let sql = format!(
                        "select exists (select from {} where id = $1 and {} = $2)",
                        view.entity, kind.column
                    );
                    let is_part: bool = sqlx::query_scalar(AssertSqlSafe(sql))
                        .bind(part)
                        .bind(whole)
                        .fetch_one(&mut *connection)
                        .await?;
                    if !is_part || !kind.whole.view.is_there(connection, whole).await? {
                        return Err(Error::NotFound);
                    }
                    shown::<R>(view, connection, part).await
                }) as Work<'_, Reply>
            });
        let reply = read.await.map_err(|error| Failure(error, self.language))?;
        Ok(reply.into_response())
    }

    /// Adds a part.
    pub(super) async fn create_part<R: Record>(
        self,
        Id(whole): Id,
        posted: Posted,
        kind: &'static Part,
    ) -> Result<Response, Failure> {
        self.write(posted, kind.part.terms(kind.part.key), move |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let object = tx.posted.object()?;
                let named = reading.object(object, "", kind.part.fields, Purpose::Make);
                let values = follow_rules(kind.part, &Values::new(), named, &mut reading);
                let before = kind.open(tx, whole).await?;
                tx.posted.check_version(version(&before).unwrap_or_default())?;
                reading.end(tx.connection).await?;
                let made = kind.insert(tx, whole, values).await?;
                kind.touch(tx, &before, whole).await?;
                kind.created::<R>(tx, whole, made.id).await
            }) as Work<'_, Reply>
        })
        .await
    }

    /// Changes what the body names of a part.
    pub(super) async fn update_part<R: Record>(
        self,
        Ids(whole, part): Ids,
        posted: Posted,
        kind: &'static Part,
    ) -> Result<Response, Failure> {
        self.write(posted, kind.part.terms(Key::Optional), move |tx| {
            Box::pin(async move {
                let mut reading = Reading::default();
                let object = tx.posted.object()?;
                let named = reading.object(object, "", kind.part.fields, Purpose::Change);
                tx.posted.check_if_match()?;
                let whole_before = kind.open(tx, whole).await?;
                let before = kind.lock(tx, whole, part).await?;
                let now = version(&whole_before).unwrap_or_default();
                tx.posted.check_version(kind.version(&before, now))?;
                let values = follow_rules(kind.part, &before, named, &mut reading);
                reading.end(tx.connection).await?;
                let after = tx.update(kind.part, part, values).await?;
                tx.note_updated(kind.part, &before, &after).await?;
                kind.touch(tx, &whole_before, whole).await?;
                shown::<R>(kind.part.view, tx.connection, part).await
            }) as Work<'_, Reply>
        })
        .await
    }
}

/// A row as the API shows it, with its version.
async fn shown<R: Record>(
    view: &View,
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Reply, Error> {
    let row = view.row(connection, id).await?;
    Reply::ok(&R::from_row(&row)?, row.try_get("version").ok())
}

/// A sum that its column can't hold.
fn too_large(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(DatabaseError::code);
    if code.as_deref() == Some("22003") {
        return state("amount", "makes a total that is too large".to_owned());
    }
    error.into()
}

/// The next of a sequence, as a document's number.
pub(super) async fn number(
    tx: &mut Tx<'_>,
    sequence: &'static str,
    format: impl FnOnce(i64) -> String,
) -> Result<Value, Error> {
    let next: i64 = sqlx::query_scalar("select nextval($1::text::regclass)")
        .bind(sequence)
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(format(next).into())
}
