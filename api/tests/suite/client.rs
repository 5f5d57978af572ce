//! A client that looks at everything.

use std::net::SocketAddr;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use uuid::Uuid;

use crate::contract;

#[derive(Clone)]
pub(crate) struct Client {
    http: Http<HttpConnector, Body>,
    address: SocketAddr,
    token: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        let http = Http::builder(TokioExecutor::new()).build_http();
        Self { http, address, token: token.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        let response = self.http.request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        assert!(parts.headers.contains_key("x-correlation-id"), "{path}");
        let answer = Answer { status: parts.status, headers: parts.headers, bytes, body };
        contract::check(method, path, &answer);
        answer
    }

    /// All ids of a list, page by page.
    pub(crate) async fn ids(&self, path: &str, limit: u32) -> Vec<Uuid> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit={limit}{cursor}")).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            ids.extend(page.ids());
            match page.body["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

impl Answer {
    /// One that no server gave.
    pub(crate) fn made(status: u16, body: &Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("x-correlation-id", "1".parse().expect("a value"));
        headers.insert("content-type", "application/json".parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, headers, bytes: body.to_string().into(), body: body.clone() }
    }

    pub(crate) fn ids(&self) -> Vec<Uuid> {
        let items = self.body["items"].as_array().expect("items");
        items
            .iter()
            .map(|item| item["id"].as_str().expect("an id").parse().expect("an id"))
            .collect()
    }

    /// In our envelope, with one of its codes, and without a word of the database.
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.body["error"]["code"], code, "{}", self.body);
        assert!(self.body["error"]["message"].is_string(), "{}", self.body);
        let keys: Vec<&String> = self.body.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["error"]);
        let text = String::from_utf8_lossy(&self.bytes).to_lowercase();
        for word in ["sqlstate", "postgres", "select ", "panicked", "policy"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}
