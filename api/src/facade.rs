//! The facade: what is not ours goes to the legacy application, streaming both ways.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri, header,
        uri::{Authority, PathAndQuery, Scheme},
    },
    response::Response,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::Error;

/// How long the legacy application may take until its response begins. The body may take longer.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Headers that belong to one connection and end here (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The way to the legacy application.
#[derive(Clone, Debug)]
pub struct Facade {
    client: Client<HttpConnector, Body>,
    authority: Authority,
    prefix: String,
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
        Ok(Self { client, authority, prefix: uri.path().trim_end_matches('/').to_owned() })
    }

    /// Passes a request on.
    ///
    /// # Errors
    /// [`Error::Legacy`] when there is no answer.
    pub async fn forward(&self, mut request: Request) -> Result<Response, Error> {
        let host = request.headers().get(header::HOST).cloned();
        *request.uri_mut() = self.address(request.uri())?;
        strip_hop_by_hop(request.headers_mut());
        let headers = request.headers_mut();
        // The client's own claims about who it is and whence it came are not passed on.
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"] {
            headers.remove(name);
        }
        if let Some(host) = host {
            headers.insert("x-forwarded-host", host);
        }
        let authority = HeaderValue::from_str(self.authority.as_str())
            .map_err(|error| Error::Internal(error.to_string()))?;
        headers.insert(header::HOST, authority);
        let response = tokio::time::timeout(RESPONSE_TIMEOUT, self.client.request(request))
            .await
            .map_err(|elapsed| Error::Legacy(elapsed.into()))?
            .map_err(|error| Error::Legacy(error.into()))?;
        let mut response = response.map(Body::new);
        strip_hop_by_hop(response.headers_mut());
        Ok(response)
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

/// Removes the fixed hop-by-hop headers and those that `Connection` names.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
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
        for (name, value) in
            [("connection", "close, x-secret"), ("x-secret", "1"), ("te", "gzip"), ("x-kept", "1")]
        {
            headers.insert(name, value.parse().expect("a header"));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("x-kept"));
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
