//! The legacy product's own HTTP side, as far as a façade needs it: everything under `/v2/` is
//! answered, and says that it was the legacy system who did.
//!
//! - `GET /v2/payments?limit=20&offset=0` and its like: a page of a table's live rows.
//! - `GET /v2/reports/large?bytes=8000000`: a body that is streamed, not held.
//! - anything else under `/v2/`: what was asked for, with the number of bytes of the body.
//!
//! `x-correlation-id` comes back as a header and in the text.

mod page;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::legacy::Database;

const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const REPORT_BYTES: u64 = 8_000_000;
const REPORT_LINE: &[u8] = b"2024-02-29;contract;monthly total;MNT;a line of a long report\n";
const REPORT_LINES_PER_CHUNK: usize = 1_000;
/// How long a stop waits for answers that are being written.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// A failure of the HTTP side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port to listen on.
    #[error("can't listen on a port of 127.0.0.1")]
    Listen(#[source] std::io::Error),
}

impl Error {
    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen(_) => "free some ports, or raise the limit of open files",
        }
    }
}

/// A running server on loopback. Dropping it stops it.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Web {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn start(database: Database) -> Result<Self, Error> {
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            let serving = axum::serve(listener, router(database)).with_graceful_shutdown(stopped);
            if let Err(cause) = serving.await {
                tracing::error!(%cause, "the legacy web side has stopped");
            }
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it; answers that are being written are finished, but not for long.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_LIMIT, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn router(database: Database) -> Router {
    let pages = page::PAGES.iter().fold(Router::new(), |router, (path, table)| {
        let of_table = move |State(database): State<Database>, query, request: Request| {
            page::answer(database, table, query, request)
        };
        router.route(&format!("/v2/{path}"), get(of_table).fallback(echo))
    });
    pages
        .route("/v2/reports/large", get(report).fallback(echo))
        .fallback(echo)
        .layer(middleware::from_fn(correlate))
        .with_state(database)
}

/// Gives the caller's correlation id back.
async fn correlate(request: Request, next: Next) -> Response {
    let id = request.headers().get(&CORRELATION).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(CORRELATION, id);
    }
    response
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if !parts.uri.path().starts_with("/v2/") {
        let text = json!({ "servedBy": "legacy", "error": "not found" });
        return (StatusCode::NOT_FOUND, Json(text)).into_response();
    }
    let mut body = body.into_data_stream();
    let mut body_bytes: usize = 0;
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => body_bytes += chunk.len(),
            Err(cause) => {
                tracing::debug!(%cause, "the caller went away");
                return StatusCode::BAD_REQUEST.into_response();
            }
        }
    }
    let text = json!({
        "servedBy": "legacy",
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "correlationId": correlation(&parts.headers),
        "contentType": parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        "bodyBytes": body_bytes,
    });
    Json(text).into_response()
}

fn correlation(headers: &HeaderMap) -> Option<&str> {
    headers.get(&CORRELATION).and_then(|value| value.to_str().ok())
}

#[derive(Deserialize)]
struct Size {
    bytes: Option<u64>,
}

/// A long text, made while it is sent.
async fn report(Query(size): Query<Size>) -> Response {
    let bytes = size.bytes.unwrap_or(REPORT_BYTES);
    let chunk = Bytes::from(REPORT_LINE.repeat(REPORT_LINES_PER_CHUNK));
    let chunks = stream::unfold(bytes, move |left| {
        let length = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let sent = u64::try_from(length).unwrap_or(left);
        let part = (length > 0).then(|| (chunk.slice(..length), left - sent));
        std::future::ready(part.map(|(part, left)| (Ok::<_, std::io::Error>(part), left)))
    });
    ([(CONTENT_TYPE, "text/csv; charset=utf-8")], Body::from_stream(chunks)).into_response()
}

#[cfg(test)]
mod tests;
