//! For those who run the server: health, metrics, the live manifest. Always ours, whatever the
//! domains' states are.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::App;
use crate::{health::Readiness, openapi, routes::ManifestLine};

/// Their router.
pub(crate) fn operations() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .routes(routes!(manifest))
        .merge(openapi::router())
}

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "operations", security(()),
    responses((status = 200, body = String)))]
async fn live() -> &'static str {
    "ok"
}

/// Whether requests for our domains can be served, and how each thing is that the server leans on.
/// Only Postgres makes it unready: our domains go on without the others.
#[utoipa::path(get, path = "/health/ready", tag = "operations", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn ready(State(app): State<App>) -> Response {
    let readiness = app.health.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, NO_STORE, Json(readiness)).into_response()
}

/// Counts, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(()),
    responses((status = 200, body = String)))]
async fn metrics(State(app): State<App>) -> Response {
    (NO_STORE, app.metrics.render(&app.pool, &app.routes)).into_response()
}

/// Every route, its domain, who serves it now, and how many requests each side has served.
#[utoipa::path(get, path = "/ops/routes.json", tag = "operations", security(()),
    responses((status = 200, body = Vec<ManifestLine>)))]
async fn manifest(State(app): State<App>) -> Response {
    (NO_STORE, Json(app.routes.manifest())).into_response()
}

const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];
