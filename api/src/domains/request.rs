//! What every handler begins with: who asks, in which language, for which page or row.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Error,
    database::{self, Work},
    identity::{self, Identity},
    language::Language,
    page::{self, Page, Wanted},
    reference,
    server::App,
};

/// A request of a signed-in caller.
pub(super) struct Caller {
    app: App,
    identity: Identity,
    language: Language,
}

/// An error that already knows its language.
pub(super) struct Failure(Error, Language);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.respond(self.1)
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let language = Language::of(&parts.headers);
        let identity = identity::authenticate(&app.pool, &parts.headers)
            .await
            .map_err(|error| Failure(error, language))?;
        Ok(Self { app: app.clone(), identity, language })
    }
}

/// `?limit=…&cursor=…&legacy=…` of a list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(flatten)]
    page: page::Query,
    /// The row's old key, as in old links.
    pub(super) legacy: Option<String>,
}

/// A list's query, with our envelope for what can't be read.
pub(super) type Asked = Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>;

/// A list: its rows by keyset over `id`.
pub(super) struct List<T> {
    /// The entity whose legacy keys `?legacy=` takes.
    pub(super) entity: &'static str,
    /// `$1` is the id to go on after, `$2` the number of rows, `$3` the parent where there is one.
    pub(super) sql: &'static str,
    /// From a row.
    pub(super) row: fn(&PgRow) -> Result<T, sqlx::Error>,
    /// The id of a row.
    pub(super) id: fn(&T) -> Uuid,
}

impl Caller {
    /// Answers with a page of the list, or with the one row that `?legacy=` names.
    pub(super) async fn list<T>(
        self,
        asked: Asked,
        list: List<T>,
        parent: Option<String>,
    ) -> Result<Response, Failure>
    where
        T: Serialize + Send + 'static,
    {
        let language = self.language;
        self.page(asked, list, parent).await.map_err(|error| Failure(error, language))
    }

    async fn page<T>(
        self,
        asked: Asked,
        list: List<T>,
        parent: Option<String>,
    ) -> Result<Response, Error>
    where
        T: Serialize + Send + 'static,
    {
        let Query(asked) = asked.map_err(|rejection| Error::Validation {
            field: "query",
            reason: rejection.body_text(),
        })?;
        let parent = parent.as_deref().map(reference::parse_id).transpose()?;
        let scope = self.scope(&list, parent);
        let wanted = asked.page.check(&self.app.signer, &scope)?;
        let (keys, entity) = (Arc::clone(&self.app.legacy_keys), list.entity);
        let (sql, row) = (list.sql, list.row);
        let rows = database::transact(&self.app.pool, self.identity.clone(), move |connection| {
            Box::pin(async move {
                let wanted = match &asked.legacy {
                    Some(text) => {
                        only(reference::id_of_legacy_key(connection, &keys, entity, text).await?)
                    }
                    None => wanted,
                };
                fetch(connection, sql, wanted, parent).await?.iter().map(|r| Ok(row(r)?)).collect()
            }) as Work<'_, Vec<T>>
        })
        .await?;
        let sign = |id| self.app.signer.sign(&scope, id);
        Ok(Json(Page::new(rows, wanted, list.id, sign)).into_response())
    }

    /// Answers with one row, by its id.
    pub(super) async fn row<T>(
        self,
        id: String,
        sql: &'static str,
        row: fn(&PgRow) -> Result<T, sqlx::Error>,
    ) -> Result<Response, Failure>
    where
        T: Serialize + Send + 'static,
    {
        let language = self.language;
        let found = async {
            let id = reference::parse_id(&id)?;
            database::transact(&self.app.pool, self.identity, move |connection| {
                Box::pin(async move {
                    let found = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
                    Ok(row(&found.ok_or(Error::NotFound)?)?)
                }) as Work<'_, T>
            })
            .await
        };
        let found = found.await.map_err(|error| Failure(error, language))?;
        Ok(Json(found).into_response())
    }

    /// What a cursor is good for: this list, of this parent, for this caller.
    fn scope<T>(&self, list: &List<T>, parent: Option<Uuid>) -> String {
        let parent = parent.map(|id| id.to_string()).unwrap_or_default();
        format!("{}/{parent}/{}", list.sql, self.identity.user_id)
    }
}

/// The page that holds this id alone: ids are unique, so the one before it is the bound.
fn only(id: Uuid) -> Wanted {
    Wanted { limit: 0, after: Some(Uuid::from_u128(id.as_u128().saturating_sub(1))) }
}

async fn fetch(
    connection: &mut PgConnection,
    sql: &'static str,
    wanted: Wanted,
    parent: Option<Uuid>,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let query = sqlx::query(sql).bind(wanted.after.unwrap_or_default()).bind(wanted.limit + 1);
    match parent {
        Some(parent) => query.bind(parent).fetch_all(connection).await,
        None => query.fetch_all(connection).await,
    }
}

/// A nullable or plain column by name.
pub(super) fn column<'r, T>(row: &'r PgRow, name: &str) -> Result<T, sqlx::Error>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name)
}
