//! A session begins.

use serde_json::json;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{
    Sessions,
    answer::{Grant, Kind, Standing},
    audit::{self, Action, Subject},
    body::From,
    settings::microseconds,
};
use crate::{
    Error,
    identity::{REFRESH_PREFIX, hash, random_token},
};

/// Who signs in, and how.
pub(super) struct Opening {
    pub(super) user_id: Uuid,
    pub(super) kind: Kind,
    /// Of the stored password, where that was the way.
    pub(super) password_digest: Option<Vec<u8>>,
    /// `password` or `code`.
    pub(super) way: &'static str,
}

/// Sets the role under which users are looked up and sessions are kept, for the transaction.
pub(super) async fn as_sign_in(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select set_config('app.role', 'sign_in', true)").execute(connection).await?;
    Ok(())
}

/// What an active user is here; `None` for one who is not active.
pub(super) async fn standing(
    connection: &mut PgConnection,
    sessions: &Sessions,
    user_id: Uuid,
) -> Result<Option<Option<Standing>>, Error> {
    let row = sqlx::query("select role, owner_id from access.standing($1, $2)")
        .bind(user_id)
        .bind(sessions.settings.staff_roles_lower())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let role: Option<String> = row.try_get("role")?;
    let owner_id = row.try_get("owner_id")?;
    Ok(Some(role.map(|role| Standing { role, owner_id })))
}

/// Opens a session, in the transaction that found the user to be right.
pub(super) async fn open(
    connection: &mut PgConnection,
    sessions: &Sessions,
    from: &From,
    opening: Opening,
    standing: Standing,
) -> Result<Grant, Error> {
    let settings = &sessions.settings;
    let pair = sessions.keys.pair(random_token(REFRESH_PREFIX));
    let session_id = Uuid::now_v7();
    sqlx::query(
        "with session as ( \
           insert into sessions (id, user_id, kind, token_hash, role, owner_id, generation, \
             password_digest, expires_at, token_expires_at) \
           values ($1, $2, $3, $4, $5, $6, 0, $7, \
             now() + $8 * interval '1 microsecond', \
             now() + least($8, $9) * interval '1 microsecond') \
           returning id) \
         insert into refresh_tokens (token_hash, session_id, generation, expires_at) \
         select $10, id, 0, now() + least($8, $11) * interval '1 microsecond' from session",
    )
    .bind(session_id)
    .bind(opening.user_id)
    .bind(opening.kind.as_str())
    .bind(hash(&pair.access).as_slice())
    .bind(&standing.role)
    .bind(standing.owner_id)
    .bind(opening.password_digest)
    .bind(microseconds(settings.session_life))
    .bind(microseconds(settings.access_life))
    .bind(hash(&pair.refresh).as_slice())
    .bind(microseconds(settings.idle_life))
    .execute(&mut *connection)
    .await?;
    let user_id = Some(opening.user_id);
    let subject = Subject { user_id, standing: Some(&standing), session_id: Some(session_id) };
    let more = json!({ "way": opening.way, "kind": opening.kind });
    audit::record(connection, from, Action::SignIn, subject, more).await?;
    Ok(Grant {
        user_id: opening.user_id,
        standing,
        pair,
        access_life: settings.access_life.min(settings.session_life),
        refresh_life: settings.idle_life.min(settings.session_life),
    })
}
