//! Who came, who failed, who went: in the transaction of what happened. Names, numbers and
//! addresses stay out; a failure carries the digest that its limit is counted by, so that those
//! of one name can be seen together.

use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{answer::Standing, body::From};
use crate::Error;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    SignIn,
    SignInFailed,
    SignOut,
    TokenReused,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::SignInFailed => "sign-in-failed",
            Self::SignOut => "sign-out",
            Self::TokenReused => "token-reused",
        }
    }
}

/// Of whom and what.
#[derive(Default)]
pub(super) struct Subject<'a> {
    pub(super) user_id: Option<Uuid>,
    pub(super) standing: Option<&'a Standing>,
    pub(super) session_id: Option<Uuid>,
}

/// Writes it down.
pub(super) async fn record(
    connection: &mut PgConnection,
    from: &From,
    action: Action,
    subject: Subject<'_>,
    more: Value,
) -> Result<(), Error> {
    // An attempt is an entity of its own: it may be nobody's.
    let attempt = Uuid::now_v7();
    sqlx::query(
        "insert into audit_log (id, user_id, owner_id, role, action, entity, entity_id, after, \
         correlation_id) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(attempt)
    .bind(subject.user_id)
    .bind(subject.standing.and_then(|standing| standing.owner_id))
    .bind(subject.standing.map(|standing| standing.role.as_str()))
    .bind(action.as_str())
    .bind(if subject.session_id.is_some() { "sessions" } else { "sign_in_attempts" })
    .bind(subject.session_id.unwrap_or(attempt))
    .bind(more)
    .bind(&from.correlation_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// A failed attempt.
pub(super) async fn failed(
    connection: &mut PgConnection,
    from: &From,
    user_id: Option<Uuid>,
    identity: &[u8],
    (way, why): (&str, &str),
) -> Result<(), Error> {
    let identity: String = identity.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let more = json!({ "way": way, "why": why, "identity": identity });
    let subject = Subject { user_id, ..Subject::default() };
    record(connection, from, Action::SignInFailed, subject, more).await?;
    tracing::info!(sign_in.way = way, sign_in.why = why, "sign-in failed");
    Ok(())
}
