//! One process, one address: routing between the domains and the facade.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderValue},
    middleware::{self, Next},
    response::Response,
};
use sqlx::PgPool;
use target::ObjectStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Error,
    cursor::Signer,
    database, domains,
    facade::Facade,
    health::{Dependency, Health},
    language::Language,
    limits::{self, Limits},
    metrics::{Answered, Metrics},
    reference::LegacyKeys,
    routes::{Place, Routes, Side},
    sessions::{self, Sessions},
};

mod connections;
mod operations;
mod slow;

pub(crate) use connections::Peer;
pub(crate) use operations::operations;

pub(crate) const CORRELATION_ID: &str = "x-correlation-id";

/// On every response that the legacy application gave; ours do without.
pub(crate) const SERVED_BY: &str = "x-served-by";

tokio::task_local! {
    static REQUEST_ID: HeaderValue;
}

/// The correlation id of the request that this task serves.
pub(crate) fn correlation_id() -> Option<String> {
    REQUEST_ID.try_with(|id| id.to_str().map(str::to_owned).ok()).ok().flatten()
}

/// Bodies of our own routes are small; those of the facade are streamed and have no limit here.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// Refuses a body that is announced to be too large: it is not waited for.
pub(crate) fn refuse_announced(body: &Body, bytes_max: usize) -> Result<(), Error> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max { Err(Error::too_large()) } else { Ok(()) }
}

/// What the server needs.
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Base URL of the legacy application; without it, what is not ours is not found.
    pub legacy_http: Option<String>,
    /// The key that signs cursors; all processes share it.
    pub cursor_key: Vec<u8>,
    /// Canonical keys from text, for `?legacy=`.
    pub legacy_keys: LegacyKeys,
    /// Where files are; without it none is taken, and those that are there are not found.
    pub objects: Option<ObjectStore>,
    /// The largest file that is taken.
    pub attachment_bytes_max: u64,
    /// How sessions begin, go on and end.
    pub sessions: sessions::Settings,
    /// How often somebody may ask.
    pub limits: limits::Settings,
    /// What else is told on `/health/ready`, beside Postgres and the legacy application.
    pub dependencies: Vec<Dependency>,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its sentence")]
pub enum Startup {
    #[error("can't listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Legacy(#[from] crate::facade::BaseUrlError),
    #[error("can't read the domains' states from Postgres")]
    States(#[source] sqlx::Error),
    #[error(transparent)]
    Role(Error),
    #[error(transparent)]
    Redis(#[from] limits::RedisUrlError),
}

/// What handlers share.
#[derive(Clone)]
pub struct App {
    /// Connections under the API's role.
    pub pool: PgPool,
    /// Signs cursors.
    pub signer: Signer,
    /// Canonical keys from text.
    pub legacy_keys: LegacyKeys,
    /// Where files are.
    pub objects: Option<ObjectStore>,
    /// The largest file that is taken.
    pub attachment_bytes_max: u64,
    pub(crate) sessions: Sessions,
    pub(crate) limits: Limits,
    routes: Routes,
    facade: Option<Facade>,
    health: Health,
    metrics: Metrics,
}

/// A server that listens already.
pub struct Bound {
    listener: TcpListener,
    router: Router,
}

/// Checks the role, reads the states, and binds the address.
///
/// # Errors
/// [`Startup`].
pub async fn bind(
    settings: Settings,
    pool: PgPool,
    stop: CancellationToken,
) -> Result<Bound, Startup> {
    database::check_role(&pool).await.map_err(Startup::Role)?;
    let facade = settings.legacy_http.as_deref().map(Facade::new).transpose()?;
    let limits = Limits::new(settings.limits, pool.clone())?;
    tokio::spawn(sessions::sweep(pool.clone(), stop.clone()));
    let routes = Routes::follow(&pool, &domains::ROUTES, domains::TERRITORIES, stop)
        .await
        .map_err(Startup::States)?;
    let health = health(settings.dependencies, &pool, facade.as_ref());
    let app = App {
        pool,
        signer: Signer::new(&settings.cursor_key),
        legacy_keys: Arc::clone(&settings.legacy_keys),
        objects: settings.objects,
        attachment_bytes_max: settings.attachment_bytes_max,
        sessions: Sessions::new(settings.sessions),
        limits,
        routes,
        facade,
        health,
        metrics: Metrics::new(&domains::ROUTES),
    };
    let address = settings.listen;
    let listener =
        TcpListener::bind(address).await.map_err(|source| Startup::Listen { address, source })?;
    Ok(Bound { listener, router: router(app) })
}

impl Bound {
    /// Where it listens.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`; requests under way are finished, but not waited for without end.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        connections::serve(self.listener, self.router, stop).await
    }
}

fn router(app: App) -> Router {
    let ours = Router::from(domains::router())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), sessions::csrf::guard))
        .layer(middleware::from_fn_with_state(app.clone(), limits::guard));
    let operations = Router::from(operations()).method_not_allowed_fallback(no_method);
    let switch = ours.layer(middleware::from_fn_with_state(app.clone(), hand_over));
    operations
        .merge(Router::new().fallback_service(switch.with_state(app.clone())))
        .layer(middleware::from_fn(correlate))
        .with_state(app)
}

fn health(others: Vec<Dependency>, pool: &PgPool, facade: Option<&Facade>) -> Health {
    let pool = pool.clone();
    let postgres = Dependency::new("postgres", move || {
        let pool = pool.clone();
        async move {
            let asked = sqlx::query("select 1").execute(&pool).await;
            asked.map(drop).map_err(|error| error.to_string())
        }
    });
    let legacy = facade.map(|facade| Dependency::listening("legacy", vec![facade.host_and_port()]));
    Health::new([postgres.needed()].into_iter().chain(legacy).chain(others).collect())
}

/// Sends a request to whoever serves its domain at this moment, and counts the answer.
async fn hand_over(State(app): State<App>, request: Request, next: Next) -> Response {
    let place = app.routes.place(request.method(), request.uri().path());
    let started = Instant::now();
    let response = answer(&app, place, request, next).await;
    let is_legacy = response.headers().contains_key(SERVED_BY);
    let by = if is_legacy { Answered::Legacy } else { Answered::Here };
    let route = place.and_then(|place| place.route);
    app.metrics.add(route, by, response.status(), started.elapsed());
    response
}

async fn answer(app: &App, place: Option<Place>, request: Request, next: Next) -> Response {
    let side = place.map_or(Side::Legacy, |place| app.routes.side(request.method(), place));
    let language = Language::of(request.headers());
    match (&app.facade, side) {
        (_, Side::Here) => next.run(request).await,
        (_, Side::Unsure) => Error::HandOver.respond(language),
        (Some(facade), Side::Legacy) => match facade.forward(request).await {
            Ok(mut response) => {
                response.headers_mut().insert(SERVED_BY, HeaderValue::from_static("legacy"));
                response
            }
            Err(error) => error.respond(language),
        },
        (None, Side::Legacy) => Error::NoRoute.respond(language),
    }
}

/// Takes the caller's correlation id, or mints one; it is on the request, the response and
/// in every log line between.
async fn correlate(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(CORRELATION_ID).filter(|id| is_decent(id)).cloned();
    let id = given.unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::now_v7().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("none"))
    });
    request.headers_mut().insert(CORRELATION_ID, id.clone());
    // At the level of errors, so that no filter takes the id from their lines.
    let span = tracing::error_span!(
        "request",
        correlation_id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let served = REQUEST_ID.scope(id.clone(), next.run(request));
    let mut response = tracing::Instrument::instrument(served, span).await;
    response.headers_mut().insert(CORRELATION_ID, id);
    response
}

/// Short and printable: nothing that could forge a log line.
fn is_decent(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
}

async fn no_route(headers: HeaderMap) -> Response {
    Error::NoRoute.respond(Language::of(&headers))
}

async fn no_method(headers: HeaderMap) -> Response {
    Error::MethodNotAllowed.respond(Language::of(&headers))
}
