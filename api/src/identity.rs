//! Who asks: one session model for web and mobile.
//!
//! A session token is 256 random bits; Postgres stores its SHA-256 only. The look-up goes
//! through a function that returns one session and nothing else, so the API's role can't
//! list sessions.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool, Row};
use uuid::Uuid;

use crate::{Error, database};

/// The cookie of web sessions.
pub const COOKIE: &str = "ficus_session";

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
        token(headers).map(|token| Self(hash(token))).ok_or(Error::Unauthenticated)
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

/// Opens a session and returns its token, which is told this once and stored nowhere.
///
/// # Errors
/// A failure of the database.
pub async fn open_session(
    pool: &PgPool,
    identity: &Identity,
    life: Duration,
) -> Result<String, Error> {
    let random: [u8; 32] = rand::random();
    let token = URL_SAFE_NO_PAD.encode(random);
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

/// What is stored of a token.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// `Authorization: Bearer …`, else the session cookie.
fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    bearer.or_else(|| {
        cookies.flat_map(|value| value.split(';')).find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            (name.trim() == COOKIE).then(|| value.trim())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_cookie_are_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.insert("cookie", "a=b; ficus_session=abc; c=d".parse().expect("a header"));
        assert_eq!(token(&headers), Some("abc"));
        headers.insert("authorization", "Bearer xyz".parse().expect("a header"));
        assert_eq!(token(&headers), Some("xyz"));
        headers.insert("authorization", "bearer  xyz".parse().expect("a header"));
        assert_eq!(token(&headers), Some("xyz"));
        headers.remove("cookie");
        headers.insert("authorization", "Basic xyz".parse().expect("a header"));
        assert_eq!(token(&headers), None);
    }
}
