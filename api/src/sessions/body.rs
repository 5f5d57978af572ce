//! A request of this room: who it is from, and its JSON.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;

pub(super) use crate::error::Failure;
use crate::{
    Error,
    language::Language,
    limits::Address,
    server::{App, CORRELATION_ID, refuse_announced},
};

/// Nothing that is sent here is long.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// A body that takes longer is given up.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// A request with its body; without one, `{}` is read.
pub(super) struct Asked<T> {
    pub(super) app: App,
    pub(super) from: From,
    pub(super) headers: HeaderMap,
    pub(super) body: T,
}

/// Where a request comes from, for limits and audit.
#[derive(Clone)]
pub(super) struct From {
    pub(super) address: IpAddr,
    pub(super) correlation_id: String,
    pub(super) language: Language,
}

impl From {
    /// For `map_err`.
    pub(super) fn failure(&self, error: Error) -> Failure {
        Failure(error, self.language)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let address = request.extensions().get::<Address>();
        let from = From {
            address: address.map_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), |at| at.0),
            correlation_id: text(request.headers(), CORRELATION_ID),
            language: Language::of(request.headers()),
        };
        let headers = request.headers().clone();
        let body = read(request).await.map_err(|error| from.failure(error))?;
        Ok(Self { app: app.clone(), from, headers, body })
    }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Error> {
    let kind = text(request.headers(), header::CONTENT_TYPE.as_str());
    refuse_announced(request.body(), BODY_BYTES_MAX)?;
    let body = axum::body::to_bytes(request.into_body(), BODY_BYTES_MAX);
    let bytes: Bytes = tokio::time::timeout(BODY_LIMIT, body)
        .await
        .map_err(|_| Error::body(StatusCode::REQUEST_TIMEOUT, "did not arrive in time"))?
        .map_err(|_| Error::body(StatusCode::PAYLOAD_TOO_LARGE, "is too large or broke off"))?;
    if bytes.is_empty() || *bytes == *b"null" {
        return parse(b"{}");
    }
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" {
        return Err(Error::body(StatusCode::UNSUPPORTED_MEDIA_TYPE, "must be application/json"));
    }
    parse(&bytes)
}

/// The reason quotes nothing of what was sent: it may be a password in the wrong place.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let names = ["missing field", "unknown field", "duplicate field"];
        let reason = match names.iter().any(|name| text.starts_with(name)) {
            true => text,
            false => {
                format!("is not as expected at line {} column {}", error.line(), error.column())
            }
        };
        Error::Validation { field: "body", reason }
    })
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// A name or a number that somebody typed, within bounds and without control characters.
pub(super) fn checked<'a>(
    field: &'static str,
    text: &'a str,
    length_max: usize,
) -> Result<&'a str, Error> {
    let is_fine = !text.is_empty()
        && text.chars().count() <= length_max
        && !text.chars().any(char::is_control);
    let reason = || format!("must have 1 to {length_max} characters, none of them a control");
    if is_fine { Ok(text) } else { Err(Error::Validation { field, reason: reason() }) }
}
