//! Transactions under row level security.
//!
//! Two traps are handled here, and nowhere else. First, `set_config(…, true)` ends with the
//! transaction, so a pooled connection carries nothing over to the next caller. Second, axum
//! drops a handler's future when its client goes away, and sqlx up to 0.9.0 can return a
//! connection with an open transaction to the pool when `begin` is dropped half-way; so the
//! work runs in a task of its own, which a vanished client can't cancel.

use std::{future::Future, pin::Pin};

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::{Error, identity::Identity};

/// Work inside a transaction.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Runs `work` in a transaction that carries the identity; commits when it succeeds.
///
/// # Errors
/// What `work` returns, or a failure of the database.
pub async fn transact<T, F>(pool: &PgPool, identity: Identity, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut PgConnection) -> Work<'a, T> + Send + 'static,
{
    let pool = pool.clone();
    let task = tokio::spawn(async move {
        let mut transaction = begin(&pool, &identity).await?;
        let result = work(&mut transaction).await?;
        transaction.commit().await?;
        Ok(result)
    });
    task.await.map_err(|error| Error::Internal(format!("a request's task ended early: {error}")))?
}

async fn begin(
    pool: &PgPool,
    identity: &Identity,
) -> Result<Transaction<'static, Postgres>, Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "select set_config('app.user_id', $1, true), set_config('app.owner_id', $2, true), \
         set_config('app.role', $3, true)",
    )
    .bind(identity.user_id.to_string())
    .bind(identity.owner_id.map(|id| id.to_string()).unwrap_or_default())
    .bind(&identity.role)
    .execute(&mut *transaction)
    .await?;
    Ok(transaction)
}

/// Refuses a role that row level security does not bind.
///
/// # Errors
/// [`Error::Internal`] with the reason, or a failure of the database.
pub async fn check_role(pool: &PgPool) -> Result<(), Error> {
    let (user, free, owns): (String, bool, bool) = sqlx::query_as(
        "select current_user::text, r.rolsuper or r.rolbypassrls, \
         exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname in ('public', 'ficus') and c.relowner = r.oid) \
         from pg_roles r where r.rolname = current_user",
    )
    .fetch_one(pool)
    .await?;
    if free || owns {
        let why = if free { "is a superuser or has BYPASSRLS" } else { "owns tables" };
        return Err(Error::Internal(format!(
            "the API's role {user} {why}, so row level security would not hold; \
             give target.api_url a login of the role ficus_api"
        )));
    }
    Ok(())
}
