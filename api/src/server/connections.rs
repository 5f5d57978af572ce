//! Connections: how many, how long a client may dawdle over its headers and its answer, and the end.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Layer as _;

use super::slow::Bounded;

/// Open connections at most; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 8192;
/// A request's headers must be there within this time, or the connection ends. Also the time
/// that an idle connection is kept.
const HEADERS_LIMIT: Duration = Duration::from_secs(15);
/// Headers of a request at most, in bytes.
const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// How long requests under way are waited for at the end.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// After a failure to accept (most often: no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until `stop`, then finishes what is under way, within limits.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let builder = builder();
    let under_way = TaskTracker::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let service = TowerToHyperService::new(Extension(Peer(peer)).layer(router.clone()));
        let stream = TokioIo::new(Bounded::new(stream));
        let connection = builder.serve_connection(stream, service).with_upgrades();
        let stop = stop.clone();
        under_way.spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    under_way.close();
    if tokio::time::timeout(STOP_LIMIT, under_way.wait()).await.is_err() {
        tracing::warn!(seconds = STOP_LIMIT.as_secs(), "some requests did not end in time");
    }
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_LIMIT)
        .max_buf_size(HEADERS_BYTES_MAX);
    builder
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "can't set TCP_NODELAY");
            }
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "can't accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
