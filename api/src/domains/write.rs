//! What every write begins and ends with: its body, its version, its idempotency key, and the
//! domains that must still be ours when it commits.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, MatchedPath, Request},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use target::domain::State;
use utoipa::{IntoParams, openapi::path};

use super::{
    caller::{Caller, Failure},
    idempotency::Key,
    reply::Reply,
    strict::Strict,
    tx::Tx,
};
use crate::{
    Error,
    database::{self, Access, Work},
    language::Language,
    openapi,
    routes::is_ours,
    server::{App, BODY_BYTES_MAX, CORRELATION_ID, refuse_announced},
};

/// A body that takes longer is given up.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// What bodies may call themselves; a change is what RFC 7396 calls a merge patch.
const CONTENT_TYPES: [&str; 2] = ["application/json", "application/merge-patch+json"];

/// A write as it was sent.
pub(super) struct Posted {
    pub(super) correlation_id: String,
    pub(super) key: Option<String>,
    pub(super) route: String,
    /// Of path and body: what the idempotency key stands for.
    pub(super) hash: [u8; 32],
    if_match: Option<String>,
    bytes: Bytes,
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
        if *request.method() == Method::DELETE {
            posted.hash = Sha256::digest(request.uri().path()).into();
            return Ok(posted);
        }
        refuse_announced(request.body(), BODY_BYTES_MAX)?;
        let mut hash = Sha256::new_with_prefix(request.uri().path());
        posted.bytes = tokio::time::timeout(BODY_LIMIT, Bytes::from_request(request, app))
            .await
            .map_err(|_| Error::body(StatusCode::REQUEST_TIMEOUT, "did not arrive in time"))?
            .map_err(|rejection| Error::body(rejection.status(), "is too large or broke off"))?;
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
            .is_some_and(|kind| CONTENT_TYPES.contains(&kind.as_str()));
        if !is_json && *request.method() != Method::DELETE {
            return Err(Error::body(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "must be application/json",
            ));
        }
        let key = key(request.headers())?;
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        Ok(Self {
            correlation_id: text(CORRELATION_ID).unwrap_or_default(),
            if_match: if_match(request.headers()),
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

    /// The body as an object whose fields are looked at one by one.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Error> {
        match self.read()? {
            Strict(Value::Object(object)) => Ok(object),
            Strict(_) => {
                let reason = "must be an object".to_owned();
                Err(Error::Validation { field: "body", reason })
            }
        }
    }

    /// Refuses when `If-Match` is there and names another version.
    pub(super) fn check_version(&self, version: i32) -> Result<(), Error> {
        let Some(wanted) = &self.if_match else { return Ok(()) };
        let current = format!("\"{version}\"");
        let matches = |tag: &str| tag.trim() == "*" || tag.trim() == current;
        if wanted.split(',').any(matches) { Ok(()) } else { Err(Error::Changed) }
    }

    /// Refuses a change that does not say what it changes: of two people who edit the same row,
    /// the second would undo the first without knowing.
    pub(super) fn check_if_match(&self) -> Result<(), Error> {
        if self.if_match.is_some() { Ok(()) } else { Err(Error::NoVersion) }
    }
}

/// One key: of two, a gateway and we might take another one each.
fn key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else { return Ok(None) };
    let is_printable = key.as_bytes().iter().all(|byte| (b' '..=b'~').contains(byte));
    let key = key.to_str().ok().filter(|key| is_printable && (1..=255).contains(&key.len()));
    if let (Some(key), None) = (key, given.next()) {
        return Ok(Some(key.to_owned()));
    }
    let reason = "must be there once and have 1 to 255 printable ASCII characters".to_owned();
    Err(Error::Validation { field: "idempotency-key", reason })
}

/// The tags of all lines: a list may be spread over them.
fn if_match(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::IF_MATCH).iter();
    let lines: Vec<&str> = lines.map(|line| line.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    // What is not printable ASCII is as good as empty, and refused where it matters.
    headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned())
}

/// What a write stands on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Of its route.
    pub(super) domain: &'static str,
    /// Further domains whose rows it changes; the names are in order, the route's among them.
    pub(super) with: &'static [&'static str],
    pub(super) key: Key,
}

impl Caller {
    /// Does `work` in one transaction: the key first, so that a duplicate does nothing, and the
    /// answer kept at its end.
    pub(super) async fn write<F>(
        self,
        posted: Posted,
        terms: Terms,
        work: F,
    ) -> Result<Response, Failure>
    where
        F: for<'a, 'c> FnOnce(&'a mut Tx<'c>) -> Work<'a, Reply> + Send + 'static,
    {
        let written = database::transact(
            &self.app.pool,
            self.token,
            Access::Write,
            move |connection, identity| {
                Box::pin(async move {
                    posted.check_key(terms.key)?;
                    terms.hold(connection).await?;
                    if let Some(kept) = posted.claim(connection, &identity).await? {
                        return Ok(kept);
                    }
                    let mut tx = Tx { connection, identity: &identity, posted: &posted };
                    let reply = work(&mut tx).await?;
                    posted.keep(tx.connection, &reply).await?;
                    Ok(reply)
                }) as Work<'_, Reply>
            },
        );
        let reply = written.await.map_err(|error| Failure(error, self.language))?;
        Ok(reply.into_response())
    }
}

impl Terms {
    /// Holds the domains until the transaction ends. The switch looked at the route's state before
    /// the request came here; it may have changed since. The order of the names is everybody's, so
    /// that no two writes wait for each other.
    pub(super) async fn hold(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let own = [self.domain];
        let all = if self.with.is_empty() { &own } else { self.with };
        for domain in all {
            let state: Option<String> = sqlx::query_scalar("select access.hold_domain($1)")
                .bind(domain)
                .fetch_one(&mut *connection)
                .await?;
            let state = state.and_then(|state| state.parse::<State>().ok());
            if !state.is_some_and(is_ours) {
                let is_own = *domain == self.domain;
                return Err(if is_own { Error::HandOver } else { Error::Elsewhere { domain } });
            }
        }
        Ok(())
    }
}
