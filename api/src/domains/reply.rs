//! What a write answers, so that it can be kept and answered again.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::view::etag;
use crate::Error;

/// An answer of which every part that matters can be kept with an idempotency key.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    pub(super) etag: Option<String>,
    /// The address of what was made.
    pub(super) location: Option<String>,
}

impl Reply {
    /// 200 with the record as it is now.
    pub(super) fn ok(record: &impl Serialize, version: Option<i32>) -> Result<Self, Error> {
        let body = serde_json::to_vec(record)
            .map_err(|error| Error::Internal(format!("a record has no JSON: {error}")))?;
        let etag = version.map(etag);
        Ok(Self { status: StatusCode::OK, body, etag, location: None })
    }

    /// 201 with the record and its address.
    pub(super) fn created(
        record: &impl Serialize,
        version: Option<i32>,
        location: String,
    ) -> Result<Self, Error> {
        Ok(Self::ok(record, version)?.at(location))
    }

    /// The same as 201 with the address of what was made.
    pub(super) fn at(self, location: String) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..self }
    }

    /// 204: it is gone.
    pub(super) const fn gone() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Vec::new(), etag: None, location: None }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::NO_CONTENT {
            headers.remove(header::CONTENT_TYPE);
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, text) in [(header::ETAG, self.etag), (header::LOCATION, self.location)] {
            // Ours are ASCII.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}
