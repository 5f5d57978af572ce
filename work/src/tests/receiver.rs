//! A real HTTP server that answers as it is told, and remembers what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

/// How the next request is answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Status(u16),
    RetryAfter(u16, &'static str),
    Redirect(String),
    /// It did its work, and its answer comes too late.
    Slow(Duration),
}

/// What was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

#[derive(Clone, Default)]
struct Shared {
    script: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    shared: Shared,
}

impl Receiver {
    /// Answers by the script, and with 204 after its end.
    pub(super) async fn start(script: &[Answer]) -> Self {
        let shared = Shared::default();
        shared.script.lock().expect("a lock").extend(script.iter().cloned());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, shared }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("a lock").clone()
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let asked = Asked { at: Instant::now(), method, uri, headers, body };
    shared.asked.lock().expect("a lock").push(asked);
    let next = shared.script.lock().expect("a lock").pop_front();
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match next {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Answer::Status(code)) => (status(code), "the secret is in here").into_response(),
        Some(Answer::RetryAfter(code, after)) => {
            (status(code), [("retry-after", after)]).into_response()
        }
        Some(Answer::Redirect(to)) => (status(307), [("location", to)]).into_response(),
        Some(Answer::Slow(duration)) => {
            tokio::time::sleep(duration).await;
            StatusCode::NO_CONTENT.into_response()
        }
    }
}
