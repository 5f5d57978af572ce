//! What is old goes: events that are done, and the history of runs. Dead letters stay until
//! somebody looks at them.

use std::time::Duration;

use sqlx::PgPool;

use crate::Error;

/// In one transaction; more goes with the next sweep or in the next round of this one.
const ROWS: i64 = 5_000;
/// Rounds of one sweep, so that a worker does not sweep for ever.
const ROUNDS: u32 = 20;

pub(crate) async fn sweep(pool: &PgPool, keep: Duration) -> Result<(), Error> {
    let seconds = i64::try_from(keep.as_secs()).unwrap_or(i64::MAX);
    for statement in [
        "delete from outbox where id in (
           select id from outbox
           where state = 'done' and done_at < now() - make_interval(secs => $1::float8)
           order by done_at limit $2 for update skip locked)",
        "delete from ficus.work_run where id in (
           select id from ficus.work_run
           where began_at < now() - make_interval(secs => $1::float8) and outcome <> 'running'
           order by began_at limit $2 for update skip locked)",
    ] {
        for _ in 0..ROUNDS {
            let done = sqlx::query(statement)
                .bind(seconds)
                .bind(ROWS)
                .execute(pool)
                .await
                .map_err(Error::postgres("sweeping what is old"))?;
            if done.rows_affected() < ROWS.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}
