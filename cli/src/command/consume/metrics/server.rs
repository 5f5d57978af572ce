//! One page over HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use cdc_consumer::Progress;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use mapping::plan::Plan;
use target::Target;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{Picture, render};
use crate::{exit::usage, out};

/// Whoever asks slower than this is not waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// What the page is made from.
struct Source {
    plan: Arc<Plan>,
    target: Arc<Target>,
    group: String,
    progress: watch::Receiver<Progress>,
}

/// Serves until it is stopped.
pub(crate) async fn serve(
    address: SocketAddr,
    (plan, target, group): (&Arc<Plan>, &Arc<Target>, String),
    progress: watch::Receiver<Progress>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        usage(format!(
            "--metrics: can't listen on {address}: {error}; choose another address (port 0 takes a \
             free one)"
        ))
    })?;
    out::note(format!("metrics on http://{}/metrics", listener.local_addr()?));
    let source =
        Arc::new(Source { plan: Arc::clone(plan), target: Arc::clone(target), group, progress });
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(answer(TokioIo::new(stream), Arc::clone(&source)));
                }
                Err(error) => {
                    // Too many open files, as a rule.
                    tracing::warn!(%error, "accepting a connection for the metrics");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(stream: TokioIo<tokio::net::TcpStream>, source: Arc<Source>) {
    let service = service_fn(move |request| {
        let source = Arc::clone(&source);
        async move { Ok::<_, Infallible>(page(&request, &source).await) }
    });
    // One answer for each connection: nobody holds one open.
    let serving = http1::Builder::new().keep_alive(false).serve_connection(stream, service);
    match tokio::time::timeout(PATIENCE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "answering for the metrics"),
        Err(_) => tracing::debug!("a client of the metrics was too slow"),
    }
}

async fn page(request: &Request<Incoming>, source: &Source) -> Response<Full<Bytes>> {
    if request.uri().path() != "/metrics" {
        return text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned());
    }
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    let progress = source.progress.borrow().clone();
    // While Postgres is away there is all the more reason to tell the rest.
    let picture = match Picture::read(&source.target, &source.group).await {
        Ok(picture) => Some(picture),
        Err(error) => {
            tracing::debug!(%error, "reading the stream's state for the metrics");
            None
        }
    };
    text(StatusCode::OK, render(&source.plan, &progress, picture.as_ref(), resident_bytes()))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// The process's resident memory, where the system tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
