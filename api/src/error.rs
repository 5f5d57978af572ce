//! The error envelope: five codes, a message in the client's language, details by field.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::language::Language;

/// The five codes of the convention. There is no sixth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the convention's own names")]
pub enum Code {
    ValidationError,
    NotFound,
    Forbidden,
    Conflict,
    InternalError,
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
    /// The session may not do this.
    #[error("forbidden")]
    Forbidden,
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
    /// The code and the HTTP status.
    #[must_use]
    pub fn code(&self) -> (Code, StatusCode) {
        match self {
            Self::Validation { .. } => (Code::ValidationError, StatusCode::BAD_REQUEST),
            Self::NotFound | Self::NoRoute => (Code::NotFound, StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => (Code::ValidationError, StatusCode::METHOD_NOT_ALLOWED),
            Self::Unauthenticated => (Code::Forbidden, StatusCode::UNAUTHORIZED),
            Self::Forbidden => (Code::Forbidden, StatusCode::FORBIDDEN),
            Self::Legacy(_) => (Code::InternalError, StatusCode::BAD_GATEWAY),
            Self::Database(_) | Self::Internal(_) => {
                (Code::InternalError, StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    fn message(&self, language: Language) -> &'static str {
        match self {
            Self::Validation { .. } => {
                language.pick("The request is not valid.", "Хүсэлт буруу байна.")
            }
            Self::NotFound => language.pick("Not found.", "Олдсонгүй."),
            Self::NoRoute => language.pick("There is no such route.", "Ийм хаяг алга."),
            Self::MethodNotAllowed => {
                language.pick("The method is not allowed here.", "Энэ үйлдлийг зөвшөөрөхгүй.")
            }
            Self::Unauthenticated => language.pick("Please sign in.", "Нэвтэрнэ үү."),
            Self::Forbidden => language.pick("This is not allowed.", "Танд эрх байхгүй."),
            Self::Legacy(_) => language.pick(
                "The legacy system does not answer. Please try again later.",
                "Хуучин систем хариу өгөхгүй байна. Дараа дахин оролдоно уу.",
            ),
            Self::Database(_) | Self::Internal(_) => {
                language.pick("Something went wrong on our side.", "Системийн алдаа гарлаа.")
            }
        }
    }

    /// The response in the client's language. Causes are logged here, once, and never told.
    #[must_use]
    pub fn respond(&self, language: Language) -> Response {
        let (code, status) = self.code();
        if code == Code::InternalError {
            tracing::error!(error = %crate::error::chain(self), "request failed");
        }
        let details = match self {
            Self::Validation { field, reason } => {
                Some(serde_json::json!([{ "field": field, "reason": reason }]))
            }
            _ => None,
        };
        let body = Envelope { error: Body { code, message: self.message(language), details } };
        let mut response = (status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.pick("en", "mn")));
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// An error with its causes, for the log. Postgres's detail (it carries values) is left out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[derive(Serialize)]
struct Envelope {
    error: Body,
}

#[derive(Serialize)]
struct Body {
    code: Code,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
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
