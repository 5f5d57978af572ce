//! Sessions whose process stands still.
//!
//! A process that is stopped, or whose machine sleeps, in the middle of a COPY keeps its locks for
//! as long as its connection lives: Postgres waits for the client's next bytes, and looks at none
//! of its time limits meanwhile. (Between two statements `idle_in_transaction_session_timeout`
//! does look.) So whoever has waited for a lock in vain ends such sessions. Nothing is lost: the
//! transaction rolls back, and its process, should it ever wake, tries again or is fenced off.

use std::time::Duration;

use crate::{
    Error, Target,
    connect::{Role, application_name},
};

/// How long a session waits for its client before it counts as silent: as long as one between two
/// statements may. A batch is sent in milliseconds.
const SILENT: Duration = Duration::from_secs(20);

impl Target {
    /// Ends the engine's sessions that have waited for their client's bytes in the middle of a
    /// statement for so long; how many there were.
    ///
    /// # Errors
    /// [`Error::Postgres`].
    pub async fn end_silent_sessions(&self, since: Duration) -> Result<i64, Error> {
        let failed = || Error::postgres("ending sessions whose process stands still");
        let mut transaction = self.pool().begin().await.map_err(failed())?;
        // Only the login that opened a session may end it, not the role that it has taken on.
        sqlx::raw_sql("set local role none").execute(&mut *transaction).await.map_err(failed())?;
        let ended = sqlx::query_scalar(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity
             where datname = current_database() and usename = session_user
               and application_name = $1 and state = 'active' and wait_event = 'ClientRead'
               and query_start < clock_timestamp() - make_interval(secs => $2)",
        )
        .bind(application_name(Role::Engine))
        .bind(since.as_secs_f64())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(ended)
    }

    /// Makes way for the next attempt when an error says that a lock was waited for in vain.
    pub(crate) async fn make_way(&self, error: &Error) {
        // 55P03: lock_timeout.
        if error.sqlstate() != Some("55P03") {
            return;
        }
        match self.end_silent_sessions(SILENT).await {
            Ok(0) => {}
            Ok(sessions) => tracing::warn!(sessions, "ended: their process stands still"),
            // The attempt that comes next meets the same cause and tells of it.
            Err(error) => tracing::debug!(%error, "making way"),
        }
    }
}
