//! What is over is removed, now and then: every process may, and it does not matter which does.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::open::as_sign_in;
use crate::{Error, database, limits};

const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Removes what is over, until `stop`.
pub(crate) async fn sweep(pool: PgPool, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = once(&pool).await {
            tracing::warn!(%error, "what is over of sessions could not be removed; it is tried again");
        }
    }
}

/// Sessions stay for a month after their end, for whoever looks into what happened; so long
/// refresh tokens that come back are known, too.
async fn once(pool: &PgPool) -> Result<(), Error> {
    limits::sweep(pool).await?;
    database::detached(pool, "begin", |connection| {
        Box::pin(async move {
            as_sign_in(connection).await?;
            for statement in [
                "delete from sessions where expires_at < now() - interval '30 days' \
                   or revoked_at < now() - interval '30 days'",
                "delete from sign_in_codes where expires_at < now() - interval '1 day'",
                "delete from sign_in_failures where last_failed_at < now() - interval '1 day' \
                   and coalesce(locked_until, now()) <= now()",
            ] {
                sqlx::query(statement).execute(&mut *connection).await?;
            }
            Ok(())
        })
    })
    .await
}
