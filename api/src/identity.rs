//! Who asks: one session model for web and mobile.
//!
//! An access token is 256 random bits behind a prefix; Postgres stores its SHA-256 only. The
//! look-up goes through a function that returns one session and nothing else. How sessions begin,
//! go on and end is told in [`crate::sessions`].

use std::time::Duration;

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{Error, database};

mod header;

pub use header::{COOKIE, REFRESH_COOKIE};
pub(crate) use header::{Cookies, bearer, has_cookie, hide, refresh as refresh_cookie};

/// What the text of an access token begins with, so that people, log filters and the facade know
/// it when they see one.
pub(crate) const ACCESS_PREFIX: &str = "fca_";

/// Likewise of a refresh token.
pub(crate) const REFRESH_PREFIX: &str = "fcr_";

/// What row level security and audit need to know of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `app.user_id`.
    pub user_id: Uuid,
    /// `app.owner_id`: the property owner whose rows the caller sees; `None` for staff.
    pub owner_id: Option<Uuid>,
    /// `app.role`: `staff` or `owner`.
    pub role: String,
}

/// What a request shows to be let in: the hash of its session token.
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

/// Looks the session of `$1` up, and sets its identity until the transaction ends.
pub(crate) const IDENTIFY: &str = "select user_id, owner_id, role, \
       set_config('app.user_id', user_id::text, true), \
       set_config('app.owner_id', coalesce(owner_id::text, ''), true), \
       set_config('app.role', role, true) \
     from session_by_token_hash($1)";

impl Token {
    /// The token of a request.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] without one. Whether it is good for anything is asked in the
    /// request's transaction.
    pub fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let token = header::session(headers).ok_or(Error::Unauthenticated)?;
        Ok(Self(hash(token)))
    }

    /// What is stored of it.
    pub(crate) fn as_hash(&self) -> &[u8] {
        &self.0
    }

    /// Looks the session up and sets the identity for the rest of the transaction, in one round
    /// trip.
    pub(crate) async fn identify(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Identity>, Error> {
        let row = sqlx::query(IDENTIFY).bind(self.as_hash()).fetch_optional(connection).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Identity {
            user_id: row.try_get("user_id")?,
            owner_id: row.try_get("owner_id")?,
            role: row.try_get("role")?,
        }))
    }
}

impl Identity {
    /// Whether it is a property owner, who sees his own rows alone.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.role == "owner"
    }
}

/// Opens a session without refresh tokens and returns its access token, which is told this once
/// and stored nowhere. The opener vouches for the identity: it ends when `users` says that the
/// user is disabled, but needs no row there. For tools on the server, not for clients.
///
/// # Errors
/// A failure of the database.
pub async fn open_session(
    pool: &PgPool,
    identity: &Identity,
    life: Duration,
) -> Result<String, Error> {
    let token = random_token(ACCESS_PREFIX);
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    let (identity, token_hash) = (identity.clone(), hash(&token));
    database::detached(pool, "begin", move |connection| {
        Box::pin(async move { insert(connection, &identity, token_hash, seconds).await })
    })
    .await?;
    Ok(token)
}

async fn insert(
    connection: &mut PgConnection,
    identity: &Identity,
    token_hash: [u8; 32],
    seconds: i64,
) -> Result<(), Error> {
    sqlx::query("select set_config('app.role', 'sign_in', true)").execute(&mut *connection).await?;
    sqlx::query(
        "insert into sessions (id, user_id, kind, token_hash, role, owner_id, expires_at) \
         values ($1, $2, 'web', $3, $4, $5, now() + make_interval(secs => $6::int8))",
    )
    .bind(Uuid::now_v7())
    .bind(identity.user_id)
    .bind(token_hash.as_slice())
    .bind(&identity.role)
    .bind(identity.owner_id)
    .bind(seconds)
    .execute(connection)
    .await?;
    Ok(())
}

/// A token of 256 random bits.
pub(crate) fn random_token(prefix: &str) -> String {
    let random: [u8; 32] = rand::random();
    token_text(prefix, &random)
}

/// 256 bits as the text of a token.
pub(crate) fn token_text(prefix: &str, bits: &[u8; 32]) -> String {
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits))
}

/// What is stored of a token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
