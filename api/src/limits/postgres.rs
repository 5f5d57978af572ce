//! Buckets in Postgres: one statement for a request, on an unlogged table.

use std::time::Duration;

use sqlx::{PgPool, Row as _};
use tracing::Instrument as _;

use super::{Answer, Key, Rule};
use crate::{Error, database};

/// A full bucket is as good as none; those that are full for so long are removed.
const KEPT: &str = "1 hour";

pub(super) struct Buckets(PgPool);

impl Buckets {
    pub(super) fn new(pool: PgPool) -> Self {
        Self(pool)
    }

    /// Moves the bucket's time on, unless that went beyond the rule's period. Two requests for one
    /// bucket wait for each other's row, for as long as a commit takes that waits for no disk.
    pub(super) async fn take(&self, key: Key, rule: Rule, number: u32) -> Result<Answer, Error> {
        let mut connection = database::acquire(&self.0).await?;
        let cost = micros(rule.share() * number);
        let room = micros(rule.period);
        // Whoever is refused reads the row as it was at the beginning; where it was just made by
        // somebody else, he does not see it, and waits for the least time.
        let statement = "with taken as ( \
               insert into rate_limits as bucket (key, tat) \
               values ($1, now() + $2 * interval '1 microsecond') \
               on conflict (key) do update \
                 set tat = greatest(bucket.tat, now()) + $2 * interval '1 microsecond' \
                 where greatest(bucket.tat, now()) + $2 * interval '1 microsecond' \
                       <= now() + $3 * interval '1 microsecond' \
               returning 1) \
             select case when exists (select from taken) then 0 else coalesce( \
               (select greatest(1, (extract(epoch from bucket.tat - now()) * 1000000)::int8 + $2 - $3) \
                from rate_limits as bucket where bucket.key = $1), 1) end";
        // In a task of its own: a client that goes away must not leave half an answer behind.
        let task = async move {
            let asked = sqlx::query(statement).bind(key.as_slice()).bind(cost).bind(room);
            asked.fetch_one(&mut *connection).await?.try_get::<i64, _>(0)
        };
        let asked = tokio::spawn(task.in_current_span()).await;
        let wait =
            asked.map_err(|error| Error::Internal(format!("a limit's task ended: {error}")))??;
        Ok(match u64::try_from(wait) {
            Ok(0) | Err(_) => Answer::Go,
            Ok(wait) => Answer::Wait(Duration::from_micros(wait)),
        })
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Removes buckets that are full.
pub(crate) async fn sweep(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let full = "delete from rate_limits where tat < now() - $1::text::interval";
    Ok(sqlx::query(full).bind(KEPT).execute(pool).await?.rows_affected())
}
