//! WebSockets of the legacy application: once both sides have agreed, bytes go both ways until one
//! of them ends. (Blazor's circuits are WebSockets; without them its pages would fall back to
//! long polling.) Other protocols are not passed on: the request goes without its upgrade.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, Version, header},
};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Open tunnels at most.
const TUNNELS_MAX: usize = 4096;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");

/// The places for tunnels.
#[derive(Clone, Debug)]
pub(super) struct Tunnels(Arc<Semaphore>);

/// A request's wish to become a WebSocket.
pub(super) struct Asked {
    client: OnUpgrade,
    place: OwnedSemaphorePermit,
}

impl Tunnels {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(TUNNELS_MAX)))
    }

    /// Whether the request asks for one; [`Error::Busy`] when there is no place for it.
    pub(super) fn asked(&self, request: &mut Request) -> Result<Option<Asked>, Error> {
        let is_asked = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && names_websocket(request.headers());
        if !is_asked {
            return Ok(None);
        }
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| Error::Busy(None))?;
        Ok(Some(Asked { client: hyper::upgrade::on(request), place }))
    }
}

fn names_websocket(headers: &HeaderMap) -> bool {
    let names = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket")
}

impl Asked {
    /// Puts the wish on a request whose hop-by-hop headers are gone.
    pub(super) fn ask(headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
    }

    /// The answer for the client; the tunnel opens when it is sent.
    pub(super) fn tunnel(self, mut response: Response<Incoming>) -> Response<Body> {
        let legacy = hyper::upgrade::on(&mut response);
        let Self { client, place } = self;
        tokio::spawn(async move {
            let (client, legacy) = match tokio::try_join!(client, legacy) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "a WebSocket was not opened"),
            };
            let (mut client, mut legacy) = (TokioIo::new(client), TokioIo::new(legacy));
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut legacy).await {
                tracing::debug!(%error, "a WebSocket ended early");
            }
            drop(place);
        });
        Self::ask(response.headers_mut());
        response.map(|_| Body::empty())
    }
}
