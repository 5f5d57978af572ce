//! `ficus work --metrics`: one page over HTTP.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use target::Pool;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use work::Metrics;

use crate::{exit::usage, out};

/// Whoever asks slower than this is not waited for; nor is Postgres.
const PATIENCE: Duration = Duration::from_secs(10);
/// A backlog that is not counted by then is left out.
const COUNTING: Duration = Duration::from_secs(5);

type Source = (Pool, Metrics);

/// Serves until it is stopped.
pub(super) async fn serve(
    address: SocketAddr,
    source: Source,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        usage(format!(
            "--metrics: can't listen on {address}: {error}; choose another address (port 0 takes a \
             free one)"
        ))
    })?;
    out::note(format!("metrics on http://{}/metrics", listener.local_addr()?));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, source.clone()))),
                Err(error) => {
                    // Too many open files, as a rule.
                    tracing::warn!(%error, "accepting a connection for the metrics");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(stream: TcpStream, source: Source) {
    let service = service_fn(move |request| {
        let source = source.clone();
        async move { Ok::<_, Infallible>(page(&request, &source).await) }
    });
    // One answer for each connection: nobody holds one open.
    let serving =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    if !matches!(tokio::time::timeout(PATIENCE, serving).await, Ok(Ok(()))) {
        tracing::debug!("a client of the metrics went away or was too slow");
    }
}

async fn page(request: &Request<Incoming>, (pool, counts): &Source) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned());
    }
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    let backlog = tokio::time::timeout(COUNTING, work::metrics::backlog(pool)).await;
    let backlog = backlog.ok().and_then(Result::ok);
    text(StatusCode::OK, work::metrics::render(counts, backlog.as_deref()))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
