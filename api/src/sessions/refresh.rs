//! A session goes on: a refresh token is exchanged for the next pair.
//!
//! | the token is | answer |
//! | --- | --- |
//! | the current one | the next pair; the token is rotated away |
//! | the one before, rotated a moment ago | the same pair again: the answer was lost, or two asked at once |
//! | an older one, or the one before after that moment | somebody has a copy: the family ends |
//! | unknown, of a session that ended, or too old | 401, and nothing changes |
//!
//! Two at once wait for each other at the session's row.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Sessions,
    answer::{Grant, Kind, SignedIn, Standing},
    audit::{self, Action, Subject},
    body::{Asked, Failure, From},
    keys::Pair,
    open::{self, as_sign_in},
    settings::microseconds,
    sign_out::{Ended, end},
};
use crate::{
    Error, database,
    identity::{hash, refresh_cookie},
    limits::{self, Who},
    server::App,
};

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[schema(as = Refresh)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Shown {
    /// Left out where the cookie has it.
    refresh_token: Option<String>,
}

/// Exchanges a refresh token for the next pair, which travels as the old one did. The same token
/// sent again within a moment gets the same pair; any older one ends the session.
#[utoipa::path(post, path = "/auth/token", tag = "sessions", security(()),
    request_body = Option<Shown>, responses((status = 200, body = SignedIn)))]
pub(super) async fn refresh(asked: Asked<Shown>) -> Result<Response, Failure> {
    let Asked { app, from, headers, body } = asked;
    let (token, kind) = match body.refresh_token {
        Some(token) => (Some(token), Kind::Mobile),
        None => (refresh_cookie(&headers).map(str::to_owned), Kind::Web),
    };
    let token = token.ok_or_else(|| from.failure(Error::Unauthenticated))?;
    let grant = exchange(&app, &from, token).await.map_err(|error| from.failure(error))?;
    Ok(grant.respond(kind, &app.sessions.settings))
}

async fn exchange(app: &App, from: &From, token: String) -> Result<Grant, Error> {
    // Not by address: an office has one, and nobody guesses 256 bits.
    app.limits.count(limits::Kind::Refresh, Who::Identity(&hash(&token))).await?;
    let (sessions, from) = (app.sessions.clone(), from.clone());
    let decided = database::detached(&app.pool, "begin", move |connection| {
        Box::pin(async move {
            as_sign_in(connection).await?;
            let Some(shown) = Family::of(connection, &sessions, token).await? else {
                return Ok(None);
            };
            shown.decide(connection, &sessions, &from).await
        })
    });
    decided.await?.ok_or(Error::Unauthenticated)
}

/// A family as the token's holder finds it; its row is locked.
struct Family {
    token: String,
    session_id: Uuid,
    user_id: Uuid,
    is_over: bool,
    /// The generation that is current.
    current: i32,
    password_digest: Option<Vec<u8>>,
    /// Of the token that was shown.
    generation: i32,
    is_idle: bool,
    is_in_grace: bool,
    salt: Option<Vec<u8>>,
}

impl Family {
    async fn of(
        connection: &mut PgConnection,
        sessions: &Sessions,
        token: String,
    ) -> Result<Option<Self>, Error> {
        let row = sqlx::query(
            "select session.id, session.user_id, session.password_digest, \
               session.generation as current, token.generation, token.salt, \
               session.revoked_at is not null or session.expires_at <= now() as is_over, \
               token.expires_at <= now() as is_idle, \
               coalesce(token.rotated_at > now() - $2 * interval '1 microsecond', false) as is_in_grace \
             from refresh_tokens as token \
             join sessions as session on session.id = token.session_id \
             where token.token_hash = $1 \
             for update of session, token",
        )
        .bind(hash(&token).as_slice())
        .bind(microseconds(sessions.settings.refresh_grace))
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Self {
            token,
            session_id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            is_over: row.try_get("is_over")?,
            current: row.try_get("current")?,
            password_digest: row.try_get("password_digest")?,
            generation: row.try_get("generation")?,
            is_idle: row.try_get("is_idle")?,
            is_in_grace: row.try_get("is_in_grace")?,
            salt: row.try_get("salt")?,
        }))
    }

    async fn decide(
        self,
        connection: &mut PgConnection,
        sessions: &Sessions,
        from: &From,
    ) -> Result<Option<Grant>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let is_current = self.generation == self.current;
        let is_before = self.generation.checked_add(1) == Some(self.current);
        if is_current && self.is_idle {
            return Ok(None);
        }
        let is_sent_again = is_before && self.is_in_grace;
        if !(is_current || is_sent_again) {
            tracing::warn!(session.id = %self.session_id, "a refresh token was used again");
            self.end(connection, from, Ended::TokenReused).await?;
            return Ok(None);
        }
        let standing = open::standing(connection, sessions, self.user_id).await?.flatten();
        let Some(standing) = standing else {
            self.end(connection, from, Ended::UserDisabled).await?;
            return Ok(None);
        };
        if !self.has_same_password(connection).await? {
            self.end(connection, from, Ended::PasswordChanged).await?;
            return Ok(None);
        }
        let pair = match self.salt.as_deref() {
            Some(salt) if is_sent_again => sessions.keys.successor(&self.token, salt),
            _ => self.rotate(connection, sessions, &standing).await?,
        };
        self.grant(connection, standing, pair).await
    }

    async fn end(
        &self,
        connection: &mut PgConnection,
        from: &From,
        why: Ended,
    ) -> Result<(), Error> {
        end(connection, self.session_id, why).await?;
        let action = if why == Ended::TokenReused { Action::TokenReused } else { Action::SignOut };
        let (user_id, session_id) = (Some(self.user_id), Some(self.session_id));
        let subject = Subject { user_id, standing: None, session_id };
        audit::record(connection, from, action, subject, json!({ "why": why.as_str() })).await
    }

    /// A session that was opened by a password does not outlive its change.
    async fn has_same_password(&self, connection: &mut PgConnection) -> Result<bool, Error> {
        let Some(digest) = &self.password_digest else { return Ok(true) };
        let same = "select sha256(convert_to(password_hash, 'UTF8')) is not distinct from $2 \
                    from users where id = $1";
        let same = sqlx::query_scalar(same).bind(self.user_id).bind(digest);
        Ok(same.fetch_optional(connection).await?.unwrap_or(false))
    }

    async fn rotate(
        &self,
        connection: &mut PgConnection,
        sessions: &Sessions,
        standing: &Standing,
    ) -> Result<Pair, Error> {
        let salt: [u8; 16] = rand::random();
        let pair = sessions.keys.successor(&self.token, &salt);
        let settings = &sessions.settings;
        sqlx::query(
            "with rotated as ( \
               update refresh_tokens set rotated_at = now(), salt = $3 where token_hash = $2), \
             next as ( \
               insert into refresh_tokens (token_hash, session_id, generation, expires_at) \
               select $4, id, generation + 1, \
                 least(now() + $6 * interval '1 microsecond', expires_at) \
               from sessions where id = $1) \
             update sessions set generation = generation + 1, role = $8, owner_id = $9, \
               previous_token_hash = token_hash, \
               previous_expires_at = least(token_expires_at, now() + $10 * interval '1 microsecond'), \
               token_hash = $5, \
               token_expires_at = least(now() + $7 * interval '1 microsecond', expires_at) \
             where id = $1",
        )
        .bind(self.session_id)
        .bind(hash(&self.token).as_slice())
        .bind(salt.as_slice())
        .bind(hash(&pair.refresh).as_slice())
        .bind(hash(&pair.access).as_slice())
        .bind(microseconds(settings.idle_life))
        .bind(microseconds(settings.access_life))
        .bind(&standing.role)
        .bind(standing.owner_id)
        .bind(microseconds(settings.refresh_grace))
        .execute(connection)
        .await?;
        Ok(pair)
    }

    /// What is left of the pair's life. A pair that is not the stored one was derived under a key
    /// that changed meanwhile: it would open nothing.
    async fn grant(
        &self,
        connection: &mut PgConnection,
        standing: Standing,
        pair: Pair,
    ) -> Result<Option<Grant>, Error> {
        let row = sqlx::query(
            "select \
               (extract(epoch from session.token_expires_at - now()) * 1000)::int8 as access_ms, \
               (extract(epoch from token.expires_at - now()) * 1000)::int8 as refresh_ms \
             from sessions as session \
             join refresh_tokens as token \
               on token.session_id = session.id and token.generation = session.generation \
             where session.id = $1 and token.token_hash = $2",
        )
        .bind(self.session_id)
        .bind(hash(&pair.refresh).as_slice())
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let life = |name: &str| -> Result<_, sqlx::Error> {
            let ms: i64 = row.try_get(name)?;
            Ok(std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
        };
        let (access_life, refresh_life) = (life("access_ms")?, life("refresh_ms")?);
        Ok(Some(Grant { user_id: self.user_id, standing, pair, access_life, refresh_life }))
    }
}
