//! `--metrics`: one page over HTTP, for Prometheus.

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{exit::usage, out};

/// Whoever asks slower than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves at `/metrics` what `page` makes, anew for each request, until it is stopped.
pub(crate) async fn serve<P, F>(
    address: SocketAddr,
    page: P,
    stop: CancellationToken,
) -> anyhow::Result<()>
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = String> + Send + 'static,
{
    let listener = TcpListener::bind(address).await.map_err(|error| {
        usage(format!(
            "--metrics: can't listen on {address}: {error}; choose another address (port 0 takes a \
             free one)"
        ))
    })?;
    out::note(format!("metrics on http://{}/metrics", listener.local_addr()?));
    let page = Arc::new(page);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(answer(stream, Arc::clone(&page)))),
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

async fn answer<P, F>(stream: TcpStream, page: Arc<P>)
where
    P: Fn() -> F,
    F: Future<Output = String>,
{
    let service = service_fn(|request: Request<Incoming>| {
        let refusal = refused(&request);
        let page = &page;
        async move {
            Ok::<_, Infallible>(match refusal {
                Some(refusal) => refusal,
                None => text(StatusCode::OK, page().await),
            })
        }
    });
    // One answer for each connection: nobody holds one open.
    let serving =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(PATIENCE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "answering for the metrics"),
        Err(_) => tracing::debug!("a client of the metrics was too slow"),
    }
}

fn refused(request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
    if request.uri().path() != "/metrics" {
        return Some(text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()));
    }
    let is_get = request.method() == Method::GET;
    (!is_get).then(|| text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()))
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
