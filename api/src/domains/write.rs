//! What every write begins and ends with: its body, its version, its idempotency key, and the
//! domain that must still be ours when it commits.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, MatchedPath, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, Row as _};
use target::domain::State;
use utoipa::{IntoParams, openapi::path};
use uuid::Uuid;

use super::{caller::Failure, view::etag};
use crate::{
    Error,
    identity::Identity,
    language::Language,
    openapi,
    routes::is_ours,
    server::{App, CORRELATION_ID},
};

/// A body that takes longer is given up.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A write as it was sent.
pub(super) struct Posted {
    pub(super) correlation_id: String,
    if_match: Option<String>,
    key: Option<String>,
    route: String,
    /// Of path and body: what the idempotency key stands for.
    hash: [u8; 32],
    bytes: Bytes,
}

/// What is answered, and kept for the same request sent again.
pub(super) struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    version: Option<i32>,
}

impl FromRequest<App> for Posted {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let language = Language::of(request.headers());
        Self::read_from(request, app).await.map_err(|error| Failure(error, language))
    }
}

impl IntoParams for Posted {
    fn into_params(within: impl Fn() -> Option<path::ParameterIn>) -> Vec<path::Parameter> {
        openapi::WriteHeaders::into_params(within)
    }
}

impl Posted {
    async fn read_from(request: Request, app: &App) -> Result<Self, Error> {
        let mut posted = Self::from_head(&request)?;
        let mut hash = Sha256::new_with_prefix(request.uri().path());
        posted.bytes = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, app))
            .await
            .map_err(|_| refused(StatusCode::REQUEST_TIMEOUT, "did not arrive in time"))?
            .map_err(|rejection| refused(rejection.status(), "is too large or broke off"))?;
        hash.update([0]);
        hash.update(&posted.bytes);
        posted.hash = hash.finalize().into();
        Ok(posted)
    }

    /// All but the body, so that a request that is refused for its headers is not read further.
    fn from_head(request: &Request) -> Result<Self, Error> {
        let text = |name: &str| text(request.headers(), name);
        let is_json = text(header::CONTENT_TYPE.as_str())
            .and_then(|value| value.split(';').next().map(|kind| kind.trim().to_lowercase()))
            .is_some_and(|kind| kind == "application/json");
        if !is_json {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "must be application/json"));
        }
        let key = text("idempotency-key");
        if key.as_ref().is_some_and(|key| !(1..=255).contains(&key.len())) {
            let reason = "must have 1 to 255 printable ASCII characters".to_owned();
            return Err(Error::Validation { field: "idempotency-key", reason });
        }
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        Ok(Self {
            correlation_id: text(CORRELATION_ID).unwrap_or_default(),
            if_match: text(header::IF_MATCH.as_str()),
            key,
            route: format!("{} {}", request.method(), matched.unwrap_or_default()),
            hash: [0; 32],
            bytes: Bytes::new(),
        })
    }

    /// The body's meaning.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| Error::Validation { field: "body", reason: error.to_string() })
    }

    /// Refuses when `If-Match` is there and names another version.
    pub(super) fn check_version(&self, version: i32) -> Result<(), Error> {
        let Some(wanted) = &self.if_match else { return Ok(()) };
        let current = format!("\"{version}\"");
        let matches = |tag: &str| tag.trim() == "*" || tag.trim() == current;
        if wanted.split(',').any(matches) { Ok(()) } else { Err(Error::Changed) }
    }

    /// Takes the idempotency key, or returns what was answered to it. A duplicate waits here for
    /// the first one. The key is written in the transaction of the effect, so there is never one
    /// without the other, and a request that failed leaves its key unused.
    pub(super) async fn claim(
        &self,
        connection: &mut PgConnection,
        identity: &Identity,
    ) -> Result<Option<Reply>, Error> {
        let Some(key) = &self.key else { return Ok(None) };
        let inserted = sqlx::query(
            "insert into idempotency_keys (id, key, route, user_id, request_hash) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
        )
        .bind(Uuid::now_v7())
        .bind(key)
        .bind(&self.route)
        .bind(identity.user_id)
        .bind(self.hash.as_slice())
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 1 {
            return Ok(None);
        }
        // Row level security hides another user's key: it is taken all the same.
        let kept = sqlx::query(
            "select status, response from idempotency_keys \
             where key = $1 and route = $2 and request_hash = $3",
        )
        .bind(key)
        .bind(&self.route)
        .bind(self.hash.as_slice())
        .fetch_optional(connection)
        .await?
        .ok_or(Error::KeyReused)?;
        let status: i16 = kept.try_get("status")?;
        Ok(Some(Reply::kept(status, kept.try_get("response")?)?))
    }

    /// Keeps the answer with the key.
    pub(super) async fn keep(
        &self,
        connection: &mut PgConnection,
        reply: &Reply,
    ) -> Result<(), Error> {
        let Some(key) = &self.key else { return Ok(()) };
        let status = i16::try_from(reply.status.as_u16()).unwrap_or(i16::MAX);
        sqlx::query(
            "update idempotency_keys set status = $3, response = $4, completed_at = now() \
             where key = $1 and route = $2",
        )
        .bind(key)
        .bind(&self.route)
        .bind(status)
        .bind(&reply.body)
        .execute(connection)
        .await?;
        Ok(())
    }
}

fn refused(status: StatusCode, reason: &str) -> Error {
    Error::Body { status, reason: reason.to_owned() }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // What is not printable ASCII is as good as empty, and refused where it matters.
    headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned())
}

impl Reply {
    /// 200 with the record.
    pub(super) fn ok(record: &impl Serialize, version: i32) -> Result<Self, Error> {
        let body = serde_json::to_vec(record)
            .map_err(|error| Error::Internal(format!("a record has no JSON: {error}")))?;
        Ok(Self { status: StatusCode::OK, body, version: Some(version) })
    }

    fn kept(status: i16, body: Vec<u8>) -> Result<Self, Error> {
        let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| Error::Internal("a kept status is none".to_owned()))?;
        let record: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let version =
            record.and_then(|record| i32::try_from(record.get("version")?.as_i64()?).ok());
        Ok(Self { status, body, version })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, json, self.body).into_response();
        if let Some(tag) = self.version.and_then(etag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// Holds the domain until the transaction ends. The switch looked at the state before the request
/// came here; it may have changed since.
pub(super) async fn hold_domain(
    connection: &mut PgConnection,
    domain: &'static str,
) -> Result<(), Error> {
    let row =
        sqlx::query("select access.hold_domain($1)").bind(domain).fetch_one(connection).await?;
    let state: Option<String> = row.try_get(0)?;
    let state = state.and_then(|state| state.parse::<State>().ok());
    if state.is_some_and(is_ours) { Ok(()) } else { Err(Error::HandOver) }
}
