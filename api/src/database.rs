//! Transactions under row level security.
//!
//! Two traps are handled here, and nowhere else. First, `set_config(…, true)` ends with the
//! transaction, so a pooled connection carries nothing over to the next caller. Second, axum
//! drops a handler's future when its client goes away, and sqlx up to 0.9.0 can return a
//! connection with an open transaction to the pool when `begin` is dropped half-way. So whoever
//! has a connection works in a task of its own, which a vanished client can't cancel and which
//! Postgres's statement timeout bounds. Waiting *for* a connection ends with the client: a crowd
//! that has gone leaves no queue behind.

use std::{future::Future, pin::Pin, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tracing::Instrument as _;

use crate::{
    Error,
    identity::{Identity, Token},
};

/// A request that finds no free connection within this time is told to come back.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);

/// Work inside a transaction.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Postgres refuses writes.
    Read,
    /// Reads and writes.
    Write,
}

/// Runs `work` in a transaction that carries the identity of the token's session; commits when
/// it succeeds, else rolls back. The session is looked up in the same transaction, so that one
/// that was just revoked does nothing any more.
///
/// # Errors
/// [`Error::Unauthenticated`], [`Error::Busy`], what `work` returns, or a failure of the database.
pub async fn transact<T, F>(
    pool: &PgPool,
    token: Token,
    access: Access,
    work: F,
) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut PgConnection, Identity) -> Work<'a, T> + Send + 'static,
{
    let statement = match access {
        Access::Read => "begin read only",
        Access::Write => "begin",
    };
    detached(pool, statement, move |connection| {
        Box::pin(async move {
            let identity = token.identify(connection).await?.ok_or(Error::Unauthenticated)?;
            work(connection, identity).await
        })
    })
    .await
}

/// A connection, or [`Error::Busy`].
pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, Error> {
    let acquired = tokio::time::timeout(ACQUIRE_LIMIT, pool.acquire()).await;
    Ok(acquired.map_err(|_| Error::Busy(None))??)
}

/// A statement that is being made.
pub(crate) type Statement = Query<'static, Postgres, PgArguments>;

/// Runs one statement, in the transaction that Postgres makes of it. It identifies its caller
/// itself: `$1` is the token's hash; `bind` adds the others.
///
/// # Errors
/// [`Error::Busy`], or a failure of the database.
pub(crate) async fn one_statement(
    pool: &PgPool,
    sql: String,
    token: Token,
    bind: impl FnOnce(Statement) -> Statement + Send + 'static,
) -> Result<Vec<PgRow>, Error> {
    let mut connection = acquire(pool).await?;
    let task = async move {
        let statement = bind(sqlx::query(AssertSqlSafe(sql)).bind(token.as_hash().to_vec()));
        Ok(statement.fetch_all(&mut *connection).await?)
    };
    in_a_task(task).await
}

/// Runs to its end whatever becomes of who asked: a client that goes away leaves no connection in
/// the middle of something.
async fn in_a_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work.in_current_span())
        .await
        .map_err(|error| Error::Internal(format!("a request's task ended early: {error}")))?
}

/// Runs `work` in a transaction of a task of its own.
pub(crate) async fn detached<T, F>(pool: &PgPool, begin: &'static str, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut PgConnection) -> Work<'a, T> + Send + 'static,
{
    let mut connection = acquire(pool).await?;
    let task = async move {
        let mut transaction = connection.begin_with(begin).await?;
        match work(&mut transaction).await {
            Ok(result) => {
                transaction.commit().await?;
                Ok(result)
            }
            Err(error) => {
                // Dropping would roll back too, but later; when this fails the connection is lost
                // and Postgres has rolled back already.
                if let Err(lost) = transaction.rollback().await {
                    tracing::debug!(error = %lost, "could not roll back");
                }
                Err(error)
            }
        }
    };
    in_a_task(task).await
}

/// Refuses a login that row level security does not bind. Membership counts as much as the role
/// itself: a policy `to ficus_engine` holds for its members too, and a member may `SET ROLE`.
///
/// # Errors
/// [`Error::Internal`] with the reason, or a failure of the database.
pub async fn check_role(pool: &PgPool) -> Result<(), Error> {
    let (user, why): (String, Option<String>) = sqlx::query_as(
        "select current_user::text, case \
           when r.rolsuper then 'is a superuser' \
           when r.rolbypassrls then 'has BYPASSRLS' \
           when exists (select from pg_class as c \
                        where c.relnamespace::regnamespace::text in ('public', 'ficus', 'access') \
                          and pg_has_role(r.oid, c.relowner, 'member')) then 'owns tables' \
           when exists (select from pg_roles as other \
                        where (other.rolsuper or other.rolbypassrls \
                               or other.rolname in ('ficus_owner', 'ficus_engine', 'ficus_reader', 'ficus_work')) \
                          and pg_has_role(r.oid, other.oid, 'member')) \
             then 'is a member of a role that sees every row' \
           when not pg_has_role(r.oid, 'ficus_api', 'usage') then 'is no member of ficus_api' \
         end \
         from pg_roles as r where r.rolname = current_user",
    )
    .fetch_one(pool)
    .await?;
    match why {
        None => Ok(()),
        Some(why) => Err(Error::Internal(format!(
            "the API's role {user} {why}, so row level security would not do its work; \
             give target.api_url a login that is a member of ficus_api and of nothing else"
        ))),
    }
}
