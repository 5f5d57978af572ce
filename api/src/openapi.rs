//! What the API promises, as an OpenAPI document that is made from the code.
//!
//! A handler says what is its own, above itself: method, path, domain (the tag), parameters, and
//! what it answers when all goes well. [`complete`] adds what all have in common: errors, the
//! session, headers. The routers are made from the same lines, so no route lacks its entry and
//! no entry its route; and the tests hold every response against the document.

use std::sync::LazyLock;

use axum::{
    Json,
    http::header,
    response::{Html, IntoResponse, Response},
};
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    domains,
    server::{self, App},
};

mod common;
mod complete;

/// The whole document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let routers = [domains::router(), server::operations()];
    complete::complete(routers.map(OpenApiRouter::into_openapi).into_iter().collect())
});

/// The query of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it is read as text, so that mistakes get our envelope")]
pub(crate) struct ListQuery {
    /// Rows on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// The old composite key of one row: its parts in key order with `/` between (`~1` for a `/`
    /// and `~0` for a `~` inside a part). Not together with `limit` and `cursor`.
    legacy: Option<String>,
}

/// The headers of a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "they are read from the request itself")]
pub(crate) struct WriteHeaders {
    /// The same key and body get the same answer, once and for all; another body gets 422.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        nullable = false,
        pattern = "^[ -~]+$"
    )]
    idempotency_key: Option<String>,
    /// The `ETag` that the row must still have; another one gets 412.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
}

/// The headers of a POST that makes something that affects money.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "they are read from the request itself")]
pub(crate) struct KeyedHeaders {
    /// The same key and body get the same answer, once and for all; another body gets 422.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[ -~]+$")]
    idempotency_key: String,
    /// The `ETag` that the row must still have; another one gets 412.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
}

/// The headers of a change.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "they are read from the request itself")]
pub(crate) struct ChangeHeaders {
    /// The same key and body get the same answer, once and for all; another body gets 422.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        nullable = false,
        pattern = "^[ -~]+$"
    )]
    idempotency_key: Option<String>,
    /// The `ETag` of what was read: another one by now gets 412, none gets 428.
    #[param(rename = "If-Match")]
    if_match: String,
}

/// `/openapi.json` and the page that shows it.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(json)).routes(routes!(page))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, body = Object)))]
async fn json() -> Response {
    Json(&*DOCUMENT).into_response()
}

/// The document as a page (Scalar).
#[utoipa::path(get, path = "/docs", tag = "operations", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn page() -> Response {
    let headers =
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "no-referrer")];
    (headers, Html(include_str!("openapi/docs.html"))).into_response()
}

/// The page runs this one script, speaks to this server, and sends nothing elsewhere. Scalar
/// writes its styles into the page.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; connect-src 'self'; img-src 'self' data:; font-src data:; \
     style-src 'unsafe-inline'; script-src https://cdn.jsdelivr.net/npm/@scalar/api-reference@1.76.0/";

#[cfg(test)]
mod tests;
