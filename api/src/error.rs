//! The error envelope: five codes, a message in the client's language, details by field.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{language::Language, server};

mod cause;
mod reason;
mod words;

pub use reason::Reason;

/// The five codes of the convention. There is no sixth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the convention's own names")]
pub enum Code {
    ValidationError,
    NotFound,
    Forbidden,
    Conflict,
    InternalError,
}

/// An error that already knows its language.
pub(crate) struct Failure(pub(crate) Error, pub(crate) Language);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.respond(self.1)
    }
}

/// What can go wrong while a request is served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of the request is wrong.
    #[error("field `{field}`: {reason}")]
    Validation {
        /// The field.
        field: &'static str,
        /// Why, in English; part of `details`.
        reason: String,
    },
    /// Fields of the body are wrong: all of them, each with its reason in English.
    #[error("{} fields of the body are wrong", .0.len())]
    Fields(BTreeMap<String, String>),
    /// The body can't be taken: too large, too slow, of another type.
    #[error("the body: {reason}")]
    Body {
        /// 408, 413 or 415.
        status: StatusCode,
        /// Why, in English; part of `details`.
        reason: String,
    },
    /// No row (or none that the caller may see).
    #[error("not found")]
    NotFound,
    /// No such path.
    #[error("no such route")]
    NoRoute,
    /// The path is there, the method is not.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// No session, or one that is over.
    #[error("not signed in")]
    Unauthenticated,
    /// The name, the password or the code is wrong; which one is not said.
    #[error("wrong credentials")]
    WrongCredentials,
    /// The session may not do this.
    #[error("forbidden")]
    Forbidden,
    /// Refused for a reason that the caller may know.
    #[error("refused: {}", .0.as_str())]
    Refused(Reason),
    /// Too many requests from this address or this caller.
    #[error("too many requests")]
    TooMany {
        /// When to try again, in seconds.
        retry_after_seconds: u64,
    },
    /// The row's status does not allow the step.
    #[error("no step from `{from}` to `{to}`")]
    Transition {
        /// The status that the row has.
        from: String,
        /// The status that was asked for.
        to: String,
        /// What may follow.
        allowed: Vec<String>,
    },
    /// The rows' state does not allow the write: by field, with the reason in English.
    #[error("the state of the rows does not allow this")]
    State(BTreeMap<String, String>),
    /// A change without the version that it is meant for.
    #[error("a change without `If-Match`")]
    NoVersion,
    /// The write needs another domain too, and that one is not ours.
    #[error("the domain {domain} is not served here")]
    Elsewhere {
        /// The other domain.
        domain: &'static str,
    },
    /// The row has another version than `If-Match` says.
    #[error("the row was changed by somebody else")]
    Changed,
    /// The `Idempotency-Key` was used for another request.
    #[error("the idempotency key belongs to another request")]
    KeyReused,
    /// Somebody else holds what the request needs.
    #[error("somebody else is changing this")]
    Contended,
    /// Who serves the domain is not known well enough, or has just changed.
    #[error("the domain is being handed over")]
    HandOver,
    /// No connection was free, or the statement took too long.
    #[error("the database is busy")]
    Busy(#[source] Option<sqlx::Error>),
    /// The database failed; the cause is logged and not told.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
    /// The legacy application can't be reached or did not answer in time.
    #[error("the legacy application did not answer")]
    Legacy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A mistake of ours; the text is logged and not told.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A body that can't be taken.
    pub(crate) fn body(status: StatusCode, reason: &str) -> Self {
        Self::Body { status, reason: reason.to_owned() }
    }

    /// A body of more bytes than are taken.
    pub(crate) fn too_large() -> Self {
        Self::body(StatusCode::PAYLOAD_TOO_LARGE, "is too large")
    }

    /// The code and the HTTP status.
    #[must_use]
    pub fn code(&self) -> (Code, StatusCode) {
        match self {
            Self::Validation { .. } | Self::Fields(_) => {
                (Code::ValidationError, StatusCode::BAD_REQUEST)
            }
            Self::NoVersion => (Code::ValidationError, StatusCode::PRECONDITION_REQUIRED),
            Self::Body { status, .. } => (Code::ValidationError, *status),
            Self::NotFound | Self::NoRoute => (Code::NotFound, StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => (Code::ValidationError, StatusCode::METHOD_NOT_ALLOWED),
            Self::Unauthenticated | Self::WrongCredentials => {
                (Code::Forbidden, StatusCode::UNAUTHORIZED)
            }
            Self::Forbidden | Self::Refused(_) => (Code::Forbidden, StatusCode::FORBIDDEN),
            // Of the five codes the one that says "not you, not now"; nothing is wrong with the
            // request (VALIDATION_ERROR) or with the row (CONFLICT).
            Self::TooMany { .. } => (Code::Forbidden, StatusCode::TOO_MANY_REQUESTS),
            Self::Transition { .. }
            | Self::State(_)
            | Self::Contended
            | Self::HandOver
            | Self::Elsewhere { .. } => (Code::Conflict, StatusCode::CONFLICT),
            Self::Changed => (Code::Conflict, StatusCode::PRECONDITION_FAILED),
            Self::KeyReused => (Code::Conflict, StatusCode::UNPROCESSABLE_ENTITY),
            Self::Legacy(_) => (Code::InternalError, StatusCode::BAD_GATEWAY),
            Self::Busy(_) => (Code::InternalError, StatusCode::SERVICE_UNAVAILABLE),
            Self::Database(_) | Self::Internal(_) => {
                (Code::InternalError, StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// By field: an object, as the convention has it.
    fn details(&self) -> Option<Value> {
        match self {
            Self::Validation { field, reason } => Some(json!({ *field: reason })),
            Self::Fields(reasons) | Self::State(reasons) => Some(json!(reasons)),
            Self::NoVersion => {
                Some(json!({ "if-match": "is required here: send the ETag of what you have read" }))
            }
            Self::Elsewhere { domain } => Some(json!({
                "domain": domain,
                "reason": "is served by the legacy system, and this write needs it here"
            })),
            Self::Body { reason, .. } => Some(json!({ "body": reason })),
            Self::Transition { from, to, allowed } => {
                Some(json!({ "from": from, "to": to, "allowed": allowed }))
            }
            Self::Refused(reason) => Some(json!({ "reason": reason.as_str() })),
            Self::TooMany { retry_after_seconds } => {
                Some(json!({ "retryAfterSeconds": retry_after_seconds }))
            }
            Self::Changed => Some(json!({ "if-match": "is not the version that the row has now" })),
            Self::KeyReused => {
                Some(json!({ "idempotency-key": "was used for a request with another body" }))
            }
            // Who reports it can say under which id the log has it.
            Self::Legacy(_) | Self::Busy(_) | Self::Database(_) | Self::Internal(_) => {
                Some(json!({ "correlationId": server::correlation_id()? }))
            }
            _ => None,
        }
    }

    /// The response in the client's language. Causes are logged here, once, and never told; the
    /// request's span carries the correlation id.
    #[must_use]
    pub fn respond(&self, language: Language) -> Response {
        let (code, status) = self.code();
        if code == Code::InternalError {
            tracing::error!(status = status.as_u16(), error = %cause::chain(self), "request failed");
        }
        let error = Inner { code, message: self.message(language), details: self.details() };
        let mut response = (status, Json(Envelope { error })).into_response();
        let headers = response.headers_mut();
        let name = HeaderValue::from_static(language.pick("en", "mn"));
        headers.insert(header::CONTENT_LANGUAGE, name);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Self::Busy(_) | Self::HandOver | Self::Contended) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::TooMany { retry_after_seconds } = self {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
        }
        if status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::PAYLOAD_TOO_LARGE {
            // The rest of the body is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What every error looks like.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct Envelope {
    error: Inner,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorDetail)]
struct Inner {
    code: Code,
    /// For people, in Mongolian or English as `Accept-Language` asks.
    message: &'static str,
    /// What is wrong, by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, nullable = false)]
    details: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_spelled_as_the_convention_has_them() {
        let codes = [
            (Code::ValidationError, "\"VALIDATION_ERROR\""),
            (Code::NotFound, "\"NOT_FOUND\""),
            (Code::Forbidden, "\"FORBIDDEN\""),
            (Code::Conflict, "\"CONFLICT\""),
            (Code::InternalError, "\"INTERNAL_ERROR\""),
        ];
        for (code, text) in codes {
            assert_eq!(serde_json::to_string(&code).expect("a code"), text);
        }
    }
}
