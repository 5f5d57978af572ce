//! The facade: what is not ours goes to the legacy application, streaming both ways.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header,
        header::InvalidHeaderValue,
        uri::{Authority, PathAndQuery, Scheme},
    },
    response::Response,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use self::{
    idle::Idle,
    pulse::Pulse,
    upgrade::{Asked, Tunnels},
};
use crate::{
    Error, identity,
    server::{CORRELATION_ID, Peer},
};

mod idle;
mod pulse;
mod upgrade;

/// How long the legacy application may take from the last part of the request's body until its
/// response begins.
const RESPONSE_LIMIT: Duration = Duration::from_secs(60);
/// How long its response may stand still before it is broken off.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Kept whatever `Connection` names: whoever could have them removed could change who asks, for
/// whom, or how long the body is.
const END_TO_END: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static(CORRELATION_ID),
];

/// What a proxy says of the request that came to it. A client's own claims are not passed on: who it
/// is, whence it came, and which path it meant (some modules of IIS take that from a header, and a
/// write would reach a domain that is not the legacy application's any more).
const CLAIMS: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-original-host",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Headers that belong to one connection and end here (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The way to the legacy application.
#[derive(Clone, Debug)]
pub struct Facade {
    client: Client<HttpConnector, Body>,
    authority: Authority,
    prefix: String,
    tunnels: Tunnels,
}

/// A base URL that the facade can't use.
#[derive(Debug, thiserror::Error)]
#[error("legacy.http `{url}` is not a usable base URL: {reason}")]
pub struct BaseUrlError {
    /// As given.
    pub url: String,
    /// Why not.
    pub reason: &'static str,
}

impl Facade {
    /// To a base URL such as `http://legacy.internal:8080`.
    ///
    /// # Errors
    /// [`BaseUrlError`] for a text that is no URL or not `http`.
    pub fn new(base: &str) -> Result<Self, BaseUrlError> {
        let wrong = |reason| BaseUrlError { url: base.to_owned(), reason };
        let uri: Uri = base.parse().map_err(|_| wrong("it does not parse"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(wrong("it must begin with http:// (put a TLS proxy beside for https)"));
        }
        let authority = uri.authority().cloned().ok_or_else(|| wrong("it has no host"))?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { client, authority, prefix, tunnels: Tunnels::new() })
    }

    /// Where it is, for a check whether anybody is there.
    pub(crate) fn host_and_port(&self) -> String {
        let port = self.authority.port_u16().unwrap_or(80);
        format!("{}:{port}", self.authority.host())
    }

    /// Passes a request on.
    ///
    /// # Errors
    /// [`Error::Legacy`] when there is no answer; [`Error::Busy`] when there is no place for
    /// another WebSocket; [`Error::MethodNotAllowed`] for what is asked of proxies alone.
    pub async fn forward(&self, mut request: Request) -> Result<Response, Error> {
        // A tunnel to anywhere, and the request with all its headers as an answer.
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(Error::MethodNotAllowed);
        }
        let asked = self.tunnels.asked(&mut request)?;
        *request.uri_mut() = self.address(request.uri())?;
        *request.version_mut() = Version::HTTP_11;
        let peer = request.extensions().get::<Peer>().copied();
        self.rewrite(request.headers_mut(), peer)?;
        if asked.is_some() {
            Asked::ask(request.headers_mut());
        }
        let pulse = Pulse::new();
        let request = request.map(|body| pulse.of(body));
        let mut response = tokio::select! {
            response = self.client.request(request) => {
                response.map_err(|error| failure(&pulse, error.into()))?
            }
            () = pulse.stopped(RESPONSE_LIMIT) => return Err(Error::Legacy("no answer in time".into())),
        };
        let is_switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        strip_hop_by_hop(response.headers_mut());
        let mut response = match (is_switched, asked) {
            (false, _) => response.map(|body| Idle::bound(body, IDLE_LIMIT)),
            (true, Some(asked)) => asked.tunnel(response),
            (true, None) => {
                return Err(Error::Legacy("it changed the protocol without being asked".into()));
            }
        };
        // The caller has one id for one request, ours.
        response.headers_mut().remove(CORRELATION_ID);
        Ok(response)
    }

    fn rewrite(&self, headers: &mut HeaderMap, peer: Option<Peer>) -> Result<(), Error> {
        strip_hop_by_hop(headers);
        // A session of ours is good for everything, and the legacy application has its own.
        identity::hide(headers);
        // Asked for and answered between the client and us.
        headers.remove(header::EXPECT);
        CLAIMS.into_iter().for_each(|name| drop(headers.remove(name)));
        let internal = |error: InvalidHeaderValue| Error::Internal(error.to_string());
        if let Some(Peer(peer)) = peer {
            let address = HeaderValue::from_str(&peer.ip().to_string()).map_err(internal)?;
            headers.insert("x-forwarded-for", address);
        }
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(internal)?;
        if let Some(asked) = headers.insert(header::HOST, host) {
            headers.insert("x-forwarded-host", asked);
        }
        Ok(())
    }

    fn address(&self, asked: &Uri) -> Result<Uri, Error> {
        let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix))
            .build()
            .map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Whose fault it is that there is no answer.
fn failure(pulse: &Pulse, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    if pulse.is_broken() {
        return Error::body(StatusCode::BAD_REQUEST, "broke off");
    }
    Error::Legacy(error)
}

/// Removes the fixed hop-by-hop headers and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !END_TO_END.contains(name))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_end_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-secret, x-correlation-id"),
            ("x-secret", "1"),
            ("te", "gzip"),
            ("x-correlation-id", "1"),
        ] {
            headers.insert(name, value.parse().expect("a header"));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-correlation-id"));
    }

    #[test]
    fn a_base_url_may_have_a_path() {
        let facade = Facade::new("http://legacy:8080/app/").expect("a base URL");
        let address = facade.address(&"/v2/x?y=1".parse().expect("a path")).expect("an address");
        assert_eq!(address, "http://legacy:8080/app/v2/x?y=1");
        assert!(Facade::new("ftp://legacy").is_err());
        assert!(Facade::new("not a url").is_err());
    }
}
