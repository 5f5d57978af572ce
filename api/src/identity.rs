//! Who asks: one session model for web and mobile.
//!
//! A session token is 256 random bits; Postgres stores its SHA-256 only. The look-up goes
//! through a function that returns one session and nothing else, so the API's role can't
//! list sessions.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::Error;

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

/// The session of a request.
///
/// # Errors
/// [`Error::Unauthenticated`] without a valid, living session.
pub async fn authenticate(pool: &PgPool, headers: &HeaderMap) -> Result<Identity, Error> {
    let token = token(headers).ok_or(Error::Unauthenticated)?;
    let row = sqlx::query("select user_id, owner_id, role from session_by_token_hash($1)")
        .bind(hash(token).as_slice())
        .fetch_optional(pool)
        .await?
        .ok_or(Error::Unauthenticated)?;
    Ok(Identity {
        user_id: row.try_get("user_id")?,
        owner_id: row.try_get("owner_id")?,
        role: row.try_get("role")?,
    })
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
    let mut transaction = pool.begin().await?;
    sqlx::query("select set_config('app.role', 'sign_in', true)").execute(&mut *transaction).await?;
    sqlx::query(
        "insert into sessions (id, user_id, kind, token_hash, role, owner_id, expires_at) \
         values ($1, $2, 'web', $3, $4, $5, now() + make_interval(secs => $6::int8))",
    )
    .bind(Uuid::now_v7())
    .bind(identity.user_id)
    .bind(hash(&token).as_slice())
    .bind(&identity.role)
    .bind(identity.owner_id)
    .bind(seconds)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(token)
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
        .and_then(|value| value.strip_prefix("Bearer "));
    let cookies = || headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
    bearer.or_else(|| {
        cookies()?.split(';').find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
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
        headers.remove("cookie");
        headers.insert("authorization", "Basic xyz".parse().expect("a header"));
        assert_eq!(token(&headers), None);
    }
}
