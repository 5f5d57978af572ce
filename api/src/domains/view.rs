//! Lists by keyset over `id`, and single rows.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::{
    caller::{Asked, Caller, Failure, Id},
    record::Record,
};
use crate::{
    Error,
    database::{self, Access, Work},
    identity::{Identity, Token},
    page::{Page, Wanted},
    reference,
    server::App,
};

/// What the API shows of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// The table, and the entity whose legacy keys `?legacy=` takes.
    pub(super) entity: &'static str,
    /// What is selected.
    pub(super) columns: &'static str,
    /// A text that may be long: of single rows only.
    pub(super) long: Option<&'static str>,
    /// Whether rows are deleted softly.
    pub(super) soft_delete: bool,
    /// The ids of an owner's rows. Row level security filters anyway; this drives an index, so
    /// that an owner's list costs his rows and not everybody's.
    pub(super) own: &'static str,
}

/// The rows of one parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) parent: &'static View,
    /// `$4` is the parent.
    pub(super) condition: &'static str,
    pub(super) id: Uuid,
}

impl View {
    pub(super) fn live(&self) -> &'static str {
        if self.soft_delete { " and deleted_at is null" } else { "" }
    }

    /// What a row of a list shows.
    pub(super) fn listed_columns(&self) -> String {
        let long = self.long.map(|long| format!(", null::text as {long}")).unwrap_or_default();
        format!("{}{long}", self.columns)
    }

    /// What a single row shows.
    pub(super) fn all_columns(&self) -> String {
        let long = self.long.map(|long| format!(", {long}")).unwrap_or_default();
        format!("{}{long}", self.columns)
    }

    fn row_sql(&self) -> String {
        let Self { entity, .. } = self;
        format!("select {} from {entity} where id = $1{}", self.all_columns(), self.live())
    }

    /// One row, as the caller's session sees it.
    pub(super) async fn row(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<PgRow, Error> {
        let found = sqlx::query(AssertSqlSafe(self.row_sql())).bind(id);
        found.fetch_optional(connection).await?.ok_or(Error::NotFound)
    }

    pub(super) async fn is_there(
        &self,
        connection: &mut PgConnection,
        id: Uuid,
    ) -> Result<bool, Error> {
        let sql =
            format!("select exists (select from {} where id = $1{})", self.entity, self.live());
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_one(connection).await?;
        Ok(row.try_get(0)?)
    }
}

impl Caller {
    /// Answers with a page of the list, or with the one row that `?legacy=` names.
    pub(super) async fn list<R: Record>(
        self,
        asked: Asked,
        view: &'static View,
        within: Option<Within>,
    ) -> Result<Response, Failure> {
        let list = List { app: self.app, token: self.token, asked, view, within };
        let page = list.page::<R>().await;
        let page = page.map_err(|error| Failure(error, self.language))?;
        Ok(Json(page).into_response())
    }

    /// Answers with one row, by its id, and its version as `ETag`.
    pub(super) async fn row<R: Record>(
        self,
        Id(id): Id,
        view: &'static View,
    ) -> Result<Response, Failure> {
        let read = async {
            let row = view.row_at_once(&self.app, self.token, id).await?;
            Ok((R::from_row(&row)?, row.try_get("version").ok()))
        };
        let (record, version) = read.await.map_err(|error| Failure(error, self.language))?;
        let mut response = Json(record).into_response();
        if let Some(tag) = version.and_then(|version| HeaderValue::try_from(etag(version)).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        Ok(response)
    }
}

/// A version as the client sees it and sends it back.
pub(super) fn etag(version: i32) -> String {
    format!("\"{version}\"")
}

struct List {
    app: App,
    token: Token,
    asked: Asked,
    view: &'static View,
    within: Option<Within>,
}

impl List {
    async fn page<R: Record>(self) -> Result<Page<R>, Error> {
        match self.asked.legacy.clone() {
            Some(text) => self.only(text).await,
            None => self.some().await,
        }
    }

    /// A cursor is held against the caller when he is known: afterwards, and before anything is
    /// told. (Rows that he may not see are not there in any case.)
    async fn some<R: Record>(self) -> Result<Page<R>, Error> {
        let unproved = self.asked.page.unproved()?;
        let (identity, rows) = self.fetch(unproved).await?;
        let scope = self.scope(&identity);
        let signer = &self.app.signer;
        let wanted = self.asked.page.check(signer, &scope)?;
        Ok(Page::new(rows, wanted, R::id, |id| signer.sign(&scope, id)))
    }

    /// The row with this old key if it is on the list. The answer for one that the caller may not
    /// see is that for one that does not exist.
    async fn only<R: Record>(self, text: String) -> Result<Page<R>, Error> {
        let keys = Arc::clone(&self.app.legacy_keys);
        let entity = self.view.entity;
        let find = database::transact(&self.app.pool, self.token, Access::Read, {
            move |connection, _| {
                Box::pin(async move {
                    reference::id_of_legacy_key(connection, &keys, entity, &text).await
                }) as Work<'_, Uuid>
            }
        });
        let id = find.await?;
        let before = Uuid::from_u128(id.as_u128().saturating_sub(1));
        let (_, rows) = self.fetch::<R>(Wanted { limit: 0, after: Some(before) }).await?;
        // The next row when this one is not there.
        let row = rows.into_iter().find(|row| row.id() == id).ok_or(Error::NotFound)?;
        Ok(Page::only(row))
    }

    /// One row more than wanted, to see whether there is a next page.
    async fn fetch<R: Record>(&self, wanted: Wanted) -> Result<(Identity, Vec<R>), Error> {
        let asked = self.view.list_at_once(&self.app, self.token, (wanted, self.within));
        let (identity, rows) = asked.await?;
        let rows: Result<Vec<R>, Error> = rows.iter().map(|row| Ok(R::from_row(row)?)).collect();
        Ok((identity, rows?))
    }

    /// What a cursor is good for: this list, of this parent, for this caller.
    fn scope(&self, identity: &Identity) -> String {
        let parent = self.within.map(|within| format!("{}/{}/", within.parent.entity, within.id));
        let owner = identity.owner_id.unwrap_or_default();
        let parent = parent.unwrap_or_default();
        format!("{parent}{}/{}/{owner}", self.view.entity, identity.user_id)
    }
}
