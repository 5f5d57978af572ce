//! Connections that only the one way in uses.
//!
//! They are taken out of the pool for good: a batch that is cancelled, or fails in the middle of
//! a COPY, leaves a connection in a state that nobody else may meet, so such a connection is
//! closed and never given back. They also keep their staging tables from batch to batch.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Row as _};

use crate::{Error, statement::Statements};

/// First keys of advisory locks: the entities' lanes have this plus the entity's number.
pub(crate) const LOCK_SPACE: i32 = 0x0F1C_0000;
/// The chain of reports.
pub(crate) const LOCK_SPACE_REPORT: i32 = LOCK_SPACE - 1;
/// Beside the chain and the runner of the schedule: whoever reads single rows again; they share it.
pub(crate) const LOCK_REREAD: i32 = 3;
/// Full comparisons that are under way, by their number.
pub(crate) const LOCK_SPACE_RUN: i32 = LOCK_SPACE - 2;

/// Joins of a batch with a big table must go row by row over its index. The planner has no
/// statistics of a staging table and now and then picks a hash join over the whole table,
/// which was measured at nine times the cost.
const SESSION: &str = "set statement_timeout = '10min'; set jit = off; set enable_hashjoin = off; \
     set enable_mergejoin = off; set synchronous_commit = on; set client_min_messages = warning";

/// A connection of the one way in.
pub(crate) struct Writer {
    pub(crate) connection: PgConnection,
    /// Staging tables that this connection has.
    staged: HashSet<String>,
    /// Which start of which server this is.
    pub(crate) server: String,
}

impl Writer {
    /// Makes the entity's staging table, once for each connection. Outside of any transaction:
    /// one that is rolled back would take the table with it.
    pub(crate) async fn ensure_stage(&mut self, statements: &Statements) -> Result<(), Error> {
        if self.staged.contains(&statements.stage) {
            return Ok(());
        }
        sqlx::raw_sql(AssertSqlSafe(statements.create_stage.clone()))
            .execute(&mut self.connection)
            .await
            .map_err(Error::postgres(format!(
                "making the staging table of {}",
                statements.table
            )))?;
        self.staged.insert(statements.stage.clone());
        Ok(())
    }
}

/// Writers that are free.
#[derive(Default)]
pub(crate) struct Writers {
    idle: Mutex<Vec<Writer>>,
}

impl Writers {
    /// A free writer, or a new one.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<Writer, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(writer) => Ok(writer),
            None => open(pool).await,
        }
    }

    /// Gives a writer back after a transaction that ended well.
    pub(crate) fn put_back(&self, writer: Writer) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
    }

    /// Closes all free writers (the server went away).
    pub(crate) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn open(pool: &PgPool) -> Result<Writer, Error> {
    let opening = || Error::postgres("opening a connection for the one way in");
    let mut connection = pool.acquire().await.map_err(opening())?.detach();
    sqlx::raw_sql(SESSION).execute(&mut connection).await.map_err(opening())?;
    let row = sqlx::query(
        "select coalesce(host(inet_server_addr()), '') || '/' || pg_postmaster_start_time()::text as server",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(opening())?;
    Ok(Writer { connection, staged: HashSet::new(), server: row.get("server") })
}
