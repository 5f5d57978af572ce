//! What the API promises, as an OpenAPI document that is made from the code.
//!
//! A handler says what is its own, above itself: method, path, domain (the tag), parameters, and
//! what it answers when all goes well. [`complete`] adds what all have in common: errors, the
//! session, headers. The routers are made from the same lines, so no route lacks its entry and
//! no entry its route; and the tests hold every response against the document.

use std::sync::LazyLock;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterIn},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    domains,
    server::{self, App},
};

mod common;
mod complete;
mod docs;

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
pub(crate) enum KeyedHeaders {}

impl IntoParams for KeyedHeaders {
    fn into_params(within: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        with_required(WriteHeaders::into_params(within), "Idempotency-Key", None)
    }
}

/// The headers of a change.
pub(crate) enum ChangeHeaders {}

impl IntoParams for ChangeHeaders {
    fn into_params(within: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let told = "The `ETag` of what was read: another one by now gets 412, none gets 428.";
        with_required(WriteHeaders::into_params(within), "If-Match", Some(told))
    }
}

/// The same parameters, of which one may not be left out.
fn with_required(mut all: Vec<Parameter>, name: &str, told: Option<&str>) -> Vec<Parameter> {
    for parameter in all.iter_mut().filter(|parameter| parameter.name == name) {
        parameter.required = Required::True;
        parameter.description = told.map(str::to_owned).or(parameter.description.take());
    }
    all
}

/// `/openapi.json`, and the page that shows it.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(json)).merge(docs::router())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", security(()),
    responses((status = 200, body = Object)))]
async fn json() -> Response {
    Json(&*DOCUMENT).into_response()
}

#[cfg(test)]
mod tests;
