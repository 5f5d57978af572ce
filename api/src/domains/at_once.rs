//! Reads of one statement: the session is looked up, set and used by it, in the transaction that
//! Postgres makes of it. One round trip instead of four, and nothing that could stay behind.
//!
//! The session comes first: a left join to a lateral subquery can only be a nested loop with the
//! session outside, and policies ask for the settings while rows are looked for. Were they asked
//! earlier, the settings would be missing, and what is missing sees nothing.

use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use super::view::{View, Within};
use crate::{
    Error, database,
    identity::{IDENTIFY, Identity, Token},
    page::Wanted,
    server::App,
};

/// Whose session it is, beside each row.
const CALLER: &str = "caller.user_id as caller_user_id, caller.owner_id as caller_owner_id, \
     caller.role as caller_role";

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
    ///
    /// An owner's ids are put in order first, so that no more rows are looked up than wanted.
    fn list_at_once_sql(&self) -> String {
        let Self { entity, own, .. } = self;
        let (columns, live) = (self.listed_columns(), self.live());
        format!(
            "with caller as materialized ({IDENTIFY}) select {CALLER}, found.* \
             from caller left join lateral (\
             (select {columns} from (select distinct own_id from ({own}) as own (own_id) \
             where own_id > $2 and caller.role = 'owner' order by own_id) as own \
             join {entity} on id = own_id where id > $2{live} order by id limit $3) union all \
             (select {columns} from {entity} where id > $2{live} and caller.role <> 'owner' \
             order by id limit $3)) as found on true order by found.id"
        )
    }

    /// `$4` is the parent. Without it there are nulls in its place.
    fn list_within_sql(&self, within: &Within) -> String {
        let Self { entity, .. } = self;
        let Within { parent, condition, .. } = within;
        format!(
            "with caller as materialized ({IDENTIFY}) select {CALLER}, parent_id, found.* \
             from caller left join lateral (select id as parent_id from {} \
             where id = $4{} and caller.role is not null) as parent on true left join lateral \
             (select {} from {entity} where id > $2{} and {condition} and parent_id is not null \
             order by id limit $3) as found on true order by found.id",
            parent.entity,
            parent.live(),
            self.listed_columns(),
            self.live(),
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
        (wanted, within): (Wanted, Option<Within>),
    ) -> Result<(Identity, Vec<PgRow>), Error> {
        let (after, limit) = (wanted.after.unwrap_or_default(), wanted.limit.saturating_add(1));
        let sql = match &within {
            Some(within) => self.list_within_sql(within),
            None => self.list_at_once_sql(),
        };
        let asked = database::one_statement(&app.pool, sql, token, move |sql| {
            let sql = sql.bind(after).bind(limit);
            if let Some(within) = within { sql.bind(within.id) } else { sql }
        });
        let rows = asked.await?;
        let first = rows.first().ok_or(Error::Unauthenticated)?;
        let identity = Identity {
            user_id: first.try_get("caller_user_id")?,
            owner_id: first.try_get("caller_owner_id")?,
            role: first.try_get("caller_role")?,
        };
        if within.is_some() && first.try_get::<Option<Uuid>, _>("parent_id")?.is_none() {
            return Err(Error::NotFound);
        }
        let is_empty = !is_there(first)?;
        Ok((identity, if is_empty { Vec::new() } else { rows }))
    }
}

/// Without a row there are nulls beside the session.
fn is_there(row: &PgRow) -> Result<bool, Error> {
    Ok(row.try_get::<Option<Uuid>, _>("id")?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACES: View = View {
        entity: "spaces",
        columns: "id, version",
        long: Some("notes"),
        soft_delete: true,
        own: "select space_id from access.own_spaces",
    };

    /// Without the part that every statement begins with.
    fn told(sql: String) -> String {
        let begin = format!("with caller as materialized ({IDENTIFY}) select ");
        sql.strip_prefix(&begin).unwrap().to_owned()
    }

    #[test]
    fn the_session_is_the_outermost() {
        insta::assert_snapshot!(told(SPACES.row_at_once_sql()), @"found.* from caller left join lateral (select id, version, notes from spaces where id = $2 and caller.role is not null and deleted_at is null) as found on true");
        insta::assert_snapshot!(told(SPACES.list_at_once_sql()), @"caller.user_id as caller_user_id, caller.owner_id as caller_owner_id, caller.role as caller_role, found.* from caller left join lateral ((select id, version, null::text as notes from (select distinct own_id from (select space_id from access.own_spaces) as own (own_id) where own_id > $2 and caller.role = 'owner' order by own_id) as own join spaces on id = own_id where id > $2 and deleted_at is null order by id limit $3) union all (select id, version, null::text as notes from spaces where id > $2 and deleted_at is null and caller.role <> 'owner' order by id limit $3)) as found on true order by found.id");
        let within = Within { parent: &SPACES, condition: "part_of = $4", id: Uuid::nil() };
        insta::assert_snapshot!(told(SPACES.list_within_sql(&within)), @"caller.user_id as caller_user_id, caller.owner_id as caller_owner_id, caller.role as caller_role, parent_id, found.* from caller left join lateral (select id as parent_id from spaces where id = $4 and deleted_at is null and caller.role is not null) as parent on true left join lateral (select id, version, null::text as notes from spaces where id > $2 and deleted_at is null and part_of = $4 and parent_id is not null order by id limit $3) as found on true order by found.id");
    }
}
