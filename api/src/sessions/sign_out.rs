//! A session ends, and what is known of the one that goes on.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    answer::{Standing, signed_out},
    audit::{self, Action, Subject},
    body::{Asked, Failure, From},
    open::as_sign_in,
};
use crate::{
    Error,
    database::{self, Access},
    identity::{Token, hash, refresh_cookie},
    language::Language,
    server::App,
};

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    SignOut,
    Everywhere,
    TokenReused,
    UserDisabled,
    PasswordChanged,
}

impl Ended {
    /// `sessions.ended_by`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::SignOut => "sign-out",
            Self::Everywhere => "sign-out-everywhere",
            Self::TokenReused => "token-reused",
            Self::UserDisabled => "user-disabled",
            Self::PasswordChanged => "password-changed",
        }
    }
}

/// Ends a session, with its devices.
pub(super) async fn end(
    connection: &mut PgConnection,
    session_id: Uuid,
    why: Ended,
) -> Result<(), Error> {
    sqlx::query(
        "with ended as ( \
           update sessions set revoked_at = now(), ended_by = $2 \
           where id = $1 and revoked_at is null returning id) \
         delete from devices using ended where devices.session_id = ended.id",
    )
    .bind(session_id)
    .bind(why.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// What ends.
#[derive(Deserialize, ToSchema)]
#[schema(as = SignOut)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Parting {
    /// All sessions of the user, on every device.
    #[serde(default)]
    everywhere: bool,
    /// Lets a client sign out whose access token is over.
    refresh_token: Option<String>,
}

/// Ends the session, and its device gets no more messages. 204, also when it was over already.
#[utoipa::path(post, path = "/auth/sign-out", tag = "sessions", security(()),
    request_body = Option<Parting>, responses((status = 204)))]
pub(super) async fn sign_out(asked: Asked<Parting>) -> Result<Response, Failure> {
    let Asked { app, from, headers, body } = asked;
    let gone = leave(&app, &from, &headers, body).await;
    gone.map_err(|error| from.failure(error))?;
    Ok(signed_out(&app.sessions.settings))
}

async fn leave(app: &App, from: &From, headers: &HeaderMap, body: Parting) -> Result<(), Error> {
    let access = Token::of(headers).ok();
    let refresh = body.refresh_token.or_else(|| refresh_cookie(headers).map(str::to_owned));
    let refresh = refresh.map(|token| hash(&token));
    if access.is_none() && refresh.is_none() {
        return Err(Error::Unauthenticated);
    }
    let from = from.clone();
    database::detached(&app.pool, "begin", move |connection| {
        Box::pin(async move {
            as_sign_in(connection).await?;
            let access = access.as_ref().map(Token::as_hash);
            let refresh = refresh.as_ref().map(<[u8; 32]>::as_slice);
            for (session_id, user_id, standing) in
                leaving(connection, access, refresh, body.everywhere).await?
            {
                let why = if body.everywhere { Ended::Everywhere } else { Ended::SignOut };
                end(connection, session_id, why).await?;
                let (user_id, session_id) = (Some(user_id), Some(session_id));
                let subject = Subject { user_id, standing: Some(&standing), session_id };
                let more = json!({ "why": why.as_str() });
                audit::record(connection, &from, Action::SignOut, subject, more).await?;
            }
            Ok(())
        })
    })
    .await
}

/// The sessions that end, in the order of their ids, so that two who leave at once do not wait
/// for each other in a circle. A refresh token of any generation ends its own session: an honest
/// client may have lost the last answer, and with a copy there is nothing else to be done. To end
/// all others takes an access token.
async fn leaving(
    connection: &mut PgConnection,
    access: Option<&[u8]>,
    refresh: Option<&[u8]>,
    everywhere: bool,
) -> Result<Vec<(Uuid, Uuid, Standing)>, Error> {
    let rows = sqlx::query(
        "with shown as ( \
           select id, user_id from sessions \
           where (token_hash = $1 and coalesce(token_expires_at, expires_at) > now() \
                  or previous_token_hash = $1 and previous_expires_at > now()) \
             and revoked_at is null and expires_at > now()) \
         select id, user_id, role, owner_id from sessions \
         where revoked_at is null \
           and (id in (select id from shown) \
                or id in (select session_id from refresh_tokens where token_hash = $2) \
                or ($3 and user_id in (select user_id from shown))) \
         order by id for update",
    )
    .bind(access)
    .bind(refresh)
    .bind(everywhere)
    .fetch_all(connection)
    .await?;
    let session = |row: &sqlx::postgres::PgRow| {
        let standing = Standing { role: row.try_get("role")?, owner_id: row.try_get("owner_id")? };
        Ok((row.try_get("id")?, row.try_get("user_id")?, standing))
    };
    rows.iter().map(session).collect()
}

/// The caller and his session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
#[serde(rename_all = "camelCase")]
struct Current {
    user_id: Uuid,
    /// `staff` or `owner`.
    role: String,
    /// The property owner that the user is.
    owner_id: Option<Uuid>,
    /// `web` or `mobile`.
    kind: String,
    /// The end of the session, whatever is refreshed.
    expires_at: String,
}

/// Who the caller is.
#[utoipa::path(get, path = "/auth/session", tag = "sessions",
    responses((status = 200, body = Current)))]
pub(super) async fn current(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let failure = |error| Failure(error, Language::of(&headers));
    let token = Token::of(&headers).map_err(failure)?;
    let current =
        database::transact(&app.pool, token, Access::Read, move |connection, identity| {
            Box::pin(async move {
                let row = sqlx::query(
                    "select kind, to_char(expires_at at time zone 'UTC', \
                   'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as expires_at \
                 from sessions where $1 in (token_hash, previous_token_hash)",
                )
                .bind(token.as_hash())
                .fetch_optional(connection)
                .await?
                .ok_or(Error::Unauthenticated)?;
                Ok(Current {
                    user_id: identity.user_id,
                    role: identity.role,
                    owner_id: identity.owner_id,
                    kind: row.try_get("kind")?,
                    expires_at: row.try_get("expires_at")?,
                })
            })
        });
    let current = current.await.map_err(failure)?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(current)).into_response())
}
