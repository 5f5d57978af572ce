//! Reads of one statement: the session is looked up, set and used by it, in the transaction that
//! Postgres makes of it. One round trip instead of four, and nothing that could stay behind.
//!
//! The session comes first: a left join to a lateral subquery can only be a nested loop with the
//! session outside, and policies ask for the settings while rows are looked for. Were they asked
//! earlier, the settings would be missing, and what is missing sees nothing.

use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::view::View;
use crate::{
    Error, database,
    identity::{IDENTIFY, Identity, Token},
    page::Wanted,
    server::App,
};

impl View {
    /// `$1` is the token's hash, `$2` the id.
    fn row_at_once_sql(&self) -> String {
        let Self { entity, .. } = self;
        format!(
            "with caller as materialized ({IDENTIFY}) select found.* from caller left join lateral \
             (select {} from {entity} where id = $2 and caller.role is not null{}) \
             as found on true",
            self.all_columns(),
            self.live()
        )
    }

    /// `$1` is the token's hash, `$2` the id to go on after, `$3` the number of rows. Whose list it
    /// is, the session decides: only one of the two parts runs.
    fn list_at_once_sql(&self) -> String {
        let Self { entity, own, .. } = self;
        let (columns, live) = (self.listed_columns(), self.live());
        let part = |condition: String| {
            format!(
                "(select {columns} from {entity} where id > $2{live} and {condition} \
                 order by id limit $3)"
            )
        };
        format!(
            "with caller as materialized ({IDENTIFY}) select caller.user_id as caller_user_id, \
             caller.owner_id as caller_owner_id, caller.role as caller_role, found.* \
             from caller left join lateral ({} union all {}) as found on true order by found.id",
            part(format!("caller.role = 'owner' and id in ({own})")),
            part("caller.role <> 'owner'".to_owned()),
        )
    }

    /// The row with this id, as the session sees it.
    pub(super) async fn row_at_once(
        &self,
        app: &App,
        token: Token,
        id: Uuid,
    ) -> Result<PgRow, Error> {
        let asked = database::one_statement(&app.pool, self.row_at_once_sql(), token, move |sql| {
            sql.bind(id)
        });
        let row = asked.await?.pop().ok_or(Error::Unauthenticated)?;
        if is_there(&row)? { Ok(row) } else { Err(Error::NotFound) }
    }

    /// One row more than wanted, and whose session it is.
    pub(super) async fn list_at_once(
        &self,
        app: &App,
        token: Token,
        wanted: Wanted,
    ) -> Result<(Identity, Vec<PgRow>), Error> {
        let (after, limit) = (wanted.after.unwrap_or_default(), wanted.limit.saturating_add(1));
        let asked =
            database::one_statement(&app.pool, self.list_at_once_sql(), token, move |sql| {
                sql.bind(after).bind(limit)
            });
        let rows = asked.await?;
        let first = rows.first().ok_or(Error::Unauthenticated)?;
        let identity = Identity {
            user_id: first.try_get("caller_user_id")?,
            owner_id: first.try_get("caller_owner_id")?,
            role: first.try_get("caller_role")?,
        };
        let is_empty = !is_there(first)?;
        Ok((identity, if is_empty { Vec::new() } else { rows }))
    }
}

/// Without a row there are nulls beside the session.
fn is_there(row: &PgRow) -> Result<bool, Error> {
    Ok(row.try_get::<Option<Uuid>, _>("id")?.is_some())
}
