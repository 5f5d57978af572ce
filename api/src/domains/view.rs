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
    cursor::Signer,
    database::{self, Access, Work},
    identity::{Identity, Token},
    page::{Page, Wanted},
    reference::{self, LegacyKeys},
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
    /// `$3` is the parent.
    pub(super) condition: &'static str,
    pub(super) id: Uuid,
}

impl View {
    pub(super) fn live(&self) -> &'static str {
        if self.soft_delete { " and deleted_at is null" } else { "" }
    }

    /// `$1` is the id to go on after, `$2` the number of rows.
    fn list_sql(&self, is_owner: bool, within: Option<Within>) -> String {
        let Self { entity, own, .. } = self;
        let mut sql = format!("select {}", self.listed_columns());
        sql.push_str(&format!(" from {entity} where id > $1{}", self.live()));
        match within {
            Some(within) => sql.push_str(&format!(" and {}", within.condition)),
            None if is_owner => sql.push_str(&format!(" and id in ({own})")),
            None => {}
        }
        sql.push_str(" order by id limit $2");
        sql
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
        let list = List {
            asked,
            view,
            within,
            signer: self.app.signer.clone(),
            keys: Arc::clone(&self.app.legacy_keys),
        };
        let page = if list.is_whole() {
            list.at_once::<R>(&self.app, self.token).await
        } else {
            let (pool, token) = (&self.app.pool, self.token);
            let read =
                database::transact(pool, token, Access::Read, move |connection, identity| {
                    Box::pin(async move { list.page::<R>(connection, &identity).await })
                        as Work<'_, Page<R>>
                });
            read.await
        };
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
    asked: Asked,
    view: &'static View,
    within: Option<Within>,
    signer: Signer,
    keys: LegacyKeys,
}

impl List {
    /// Whether it is a page of the whole list, and not of a parent's or of an old key.
    fn is_whole(&self) -> bool {
        self.within.is_none() && self.asked.legacy.is_none()
    }

    /// In one statement. A cursor is held against the caller when he is known: afterwards, and
    /// before anything is told. (Rows that he may not see are not there in any case.)
    async fn at_once<R: Record>(self, app: &App, token: Token) -> Result<Page<R>, Error> {
        let unproved = self.asked.page.unproved()?;
        let (identity, rows) = self.view.list_at_once(app, token, unproved).await?;
        let scope = self.scope(&identity);
        let wanted = self.asked.page.check(&self.signer, &scope)?;
        let rows: Result<Vec<R>, Error> = rows.iter().map(|row| Ok(R::from_row(row)?)).collect();
        Ok(Page::new(rows?, wanted, R::id, |id| self.signer.sign(&scope, id)))
    }

    async fn page<R: Record>(
        self,
        connection: &mut PgConnection,
        identity: &Identity,
    ) -> Result<Page<R>, Error> {
        if let Some(text) = &self.asked.legacy {
            let entity = self.view.entity;
            let id = reference::id_of_legacy_key(connection, &self.keys, entity, text).await?;
            return self.only(connection, identity, id).await;
        }
        let scope = self.scope(identity);
        let wanted = self.asked.page.check(&self.signer, &scope)?;
        let rows = self.fetch::<R>(connection, identity, wanted).await?;
        if let (true, Some(within)) = (rows.is_empty(), self.within)
            && !within.parent.is_there(connection, within.id).await?
        {
            return Err(Error::NotFound);
        }
        Ok(Page::new(rows, wanted, R::id, |id| self.signer.sign(&scope, id)))
    }

    /// The row with this id if it is on the list. The answer for one that the caller may not see
    /// is that for one that does not exist.
    async fn only<R: Record>(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
        id: Uuid,
    ) -> Result<Page<R>, Error> {
        let before = Uuid::from_u128(id.as_u128().saturating_sub(1));
        let wanted = Wanted { limit: 0, after: Some(before) };
        let rows = self.fetch::<R>(connection, identity, wanted).await?;
        // The next row when this one is not there.
        let row = rows.into_iter().find(|row| row.id() == id).ok_or(Error::NotFound)?;
        Ok(Page::only(row))
    }

    /// One row more than wanted, to see whether there is a next page.
    async fn fetch<R: Record>(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
        wanted: Wanted,
    ) -> Result<Vec<R>, Error> {
        let sql = self.view.list_sql(identity.is_owner(), self.within);
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(wanted.after.unwrap_or_default())
            .bind(wanted.limit.saturating_add(1));
        if let Some(within) = self.within {
            query = query.bind(within.id);
        }
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| Ok(R::from_row(row)?)).collect()
    }

    /// What a cursor is good for: this list, of this parent, for this caller.
    fn scope(&self, identity: &Identity) -> String {
        let parent = self.within.map(|within| format!("{}/{}/", within.parent.entity, within.id));
        let owner = identity.owner_id.unwrap_or_default();
        let parent = parent.unwrap_or_default();
        format!("{parent}{}/{}/{owner}", self.view.entity, identity.user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View {
        entity: "contracts",
        columns: "id, version",
        long: Some("terms"),
        soft_delete: true,
        own: "select contract_id from access.own_contracts",
    };

    #[test]
    fn an_owners_list_is_driven_by_his_ids() {
        insta::assert_snapshot!(VIEW.list_sql(true, None), @"select id, version, null::text as terms from contracts where id > $1 and deleted_at is null and id in (select contract_id from access.own_contracts) order by id limit $2");
        insta::assert_snapshot!(VIEW.list_sql(false, None), @"select id, version, null::text as terms from contracts where id > $1 and deleted_at is null order by id limit $2");
        insta::assert_snapshot!(VIEW.row_sql(), @"select id, version, terms from contracts where id = $1 and deleted_at is null");
    }
}
