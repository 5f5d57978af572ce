//! What a repair needs beside the one way in: rows that this way does not know or may not touch.
//!
//! [`Target::apply`] never touches a row without a position (the API made it after a cutover), and
//! never meets one that has no legacy key. While a domain is not cut over there should be neither;
//! where somebody made one all the same, a repair takes it back or removes it, under the domain's
//! lock, so that a cutover can't slip between.

use mapping::{plan::EntityId, position::Position};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    Error, Target,
    domain::State,
    statement::Ident,
    writer::{LOCK_REREAD, LOCK_SPACE_REPORT},
};

/// Says that single rows are being read again until it is dropped.
#[derive(Debug)]
pub struct RereadLock {
    _connection: PgConnection,
}

impl Target {
    /// Says that single rows are about to be read from the legacy server and written beside the
    /// stream and the chunks. Such a row has the position of what capture had reached before the
    /// reading, though it may show a later change; a comparison of totals, which sees no row by
    /// itself, must know that none was read meanwhile.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn begin_rereading(&self) -> Result<RereadLock, Error> {
        let beginning = || Error::postgres("saying that rows are read again");
        let mut connection = self.own_connection().await?;
        sqlx::query("select pg_advisory_lock_shared($1, $2)")
            .bind(LOCK_SPACE_REPORT)
            .bind(LOCK_REREAD)
            .execute(&mut connection)
            .await
            .map_err(beginning())?;
        sqlx::query("select nextval('ficus.repair_serial')")
            .execute(&mut connection)
            .await
            .map_err(beginning())?;
        Ok(RereadLock { _connection: connection })
    }

    /// Takes rows back that it was not the engine that wrote: they get the oldest position there
    /// is, so that the legacy row wins. Returns how many there were.
    ///
    /// # Errors
    /// [`Error::Owned`] when the domain is cut over.
    pub async fn take_back(&self, entity: EntityId, ids: &[Uuid]) -> Result<u64, Error> {
        let table = self.table_ident(entity)?;
        let sql = format!(
            "update {table} set source_position = $2 where id = any($1) and source_position is null"
        );
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(ids).bind(Position::ZERO.as_bytes().as_slice());
        self.while_legacy(entity, async |connection| {
            let done = query.execute(connection).await;
            Ok(done.map_err(Error::postgres("taking rows back"))?.rows_affected())
        })
        .await
    }

    /// Removes rows that have no legacy key: nothing of the legacy side can ever bring or remove
    /// them. Rows with a key are left alone. Returns how many were removed.
    ///
    /// # Errors
    /// [`Error::Owned`] when the domain is cut over.
    pub async fn remove_unknown(&self, entity: EntityId, ids: &[Uuid]) -> Result<u64, Error> {
        let table = self.table_ident(entity)?;
        let number = self.registered(entity)?.number;
        let unknown = "id = any($1) and not exists \
             (select from ficus.key_map k where k.entity = $2 and k.id = t.id)";
        let parts = format!("delete from ficus.part t where entity = $2 and {unknown}");
        let rows = format!("delete from {table} t where {unknown}");
        let removing = || Error::postgres("removing rows without a legacy key");
        self.while_legacy(entity, async |connection| {
            let parts = sqlx::query(AssertSqlSafe(parts)).bind(ids).bind(number);
            parts.execute(&mut *connection).await.map_err(removing())?;
            let rows = sqlx::query(AssertSqlSafe(rows)).bind(ids).bind(number);
            Ok(rows.execute(connection).await.map_err(removing())?.rows_affected())
        })
        .await
    }

    /// Writes down who did what.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn note(
        &self,
        actor: &str,
        (action, subject): (&str, &str),
        detail: &serde_json::Value,
    ) -> Result<(), Error> {
        let sql =
            "insert into ficus.audit (actor, action, subject, detail) values ($1, $2, $3, $4)";
        let insert = sqlx::query(sql).bind(actor).bind(action).bind(subject).bind(detail);
        insert.execute(self.pool()).await.map_err(Error::postgres("writing the audit"))?;
        Ok(())
    }

    fn table_ident(&self, entity: EntityId) -> Result<Ident, Error> {
        let plan = self.entity(entity)?;
        Ok(Ident::qualified(&plan.target_schema, &plan.target_table))
    }

    /// A transaction in which the entity's domain is not, and does not get, cut over.
    async fn while_legacy(
        &self,
        entity: EntityId,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<u64, Error>,
    ) -> Result<u64, Error> {
        let domain = &self.entity(entity)?.domain;
        let beginning = || Error::postgres("beginning a repair");
        let mut connection = self.own_connection().await?;
        let mut transaction = connection.begin().await.map_err(beginning())?;
        let state: Option<String> =
            sqlx::query_scalar("select state from ficus.domain where name = $1 for share")
                .bind(domain)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(beginning())?;
        let state = state.map(|state| state.parse()).transpose()?;
        if let Some(State::CutOver | State::Retired) = state {
            return Err(Error::Owned { domain: domain.clone() });
        }
        let rows = work(&mut transaction).await?;
        transaction.commit().await.map_err(Error::postgres("committing a repair"))?;
        Ok(rows)
    }
}
