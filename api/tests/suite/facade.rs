//! What is not ours goes to the legacy application, and comes back, unharmed.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::lab::{Lab, owner};

/// A legacy application: `/echo` gives the body back as it comes, all else says what it got.
pub(crate) async fn legacy() -> SocketAddr {
    let router = Router::new().route("/app/v2/echo", any(echo)).fallback(tell);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn echo(request: Request) -> Response {
    Body::from_stream(request.into_body().into_data_stream()).into_response()
}

async fn tell(request: Request) -> Response {
    let headers = |name: &str| {
        let values = request.headers().get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect::<Vec<_>>()
    };
    let names: Vec<&str> = request.headers().keys().map(|name| name.as_str()).collect();
    let told: Value = names.iter().map(|name| ((*name).to_owned(), json!(headers(name)))).collect();
    let body = json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": told,
    });
    let mut answer = HeaderMap::new();
    for (name, value) in [
        ("connection", "x-private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("x-public", "1"),
        ("x-correlation-id", "legacy's own"),
        ("set-cookie", "a=1"),
    ] {
        answer.append(name, value.parse().expect("a value"));
    }
    answer.append("set-cookie", "b=2".parse().expect("a value"));
    (StatusCode::IM_A_TEAPOT, answer, Json(body)).into_response()
}

#[tokio::test]
async fn a_foreign_domain_is_passed_through_with_its_headers() {
    let lab = Lab::new().await;
    let base = format!("http://{}/app", legacy().await);
    let server = lab.serve_with(lab.api_pool(4).await, Some(base.clone())).await;
    let client = server.client("legacy's own token");
    let sent = [
        ("x-correlation-id", "id-1"),
        ("connection", "close, x-secret, x-correlation-id, authorization"),
        ("x-secret", "1"),
        ("te", "gzip"),
        ("upgrade", "websocket"),
        ("proxy-connection", "close"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("x-original-url", "/v2/contracts"),
        ("x-kept", "1"),
        ("cookie", "legacy=1"),
    ];
    let answer = client.send("PATCH", "/v2/meters/1?a=%20b&a=c", &sent, "").await;
    assert_eq!(answer.status, 418);
    assert_eq!(answer.body["method"], "PATCH");
    assert_eq!(answer.body["uri"], "/app/v2/meters/1?a=%20b&a=c");
    let got = &answer.body["headers"];
    for (name, value) in [
        ("x-correlation-id", "id-1"),
        ("authorization", "Bearer legacy's own token"),
        ("x-kept", "1"),
        ("cookie", "legacy=1"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(got[name], json!([value]), "{name}");
    }
    assert_eq!(got["x-forwarded-host"], json!([server.address.to_string()]));
    assert!(base.contains(got["host"][0].as_str().expect("a host")));
    let ended = ["connection", "x-secret", "te", "upgrade", "proxy-connection", "forwarded"];
    for name in ended.into_iter().chain(["x-original-url"]) {
        assert!(got.get(name).is_none(), "{name} ends at the facade: {got}");
    }
    assert_eq!(answer.headers["x-public"], "1");
    assert!(
        !answer.headers.contains_key("x-private") && !answer.headers.contains_key("keep-alive")
    );
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let ids: Vec<_> = answer.headers.get_all("x-correlation-id").iter().collect();
    assert_eq!(ids, ["id-1"], "one request, one id");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let lab = Lab::new().await;
    let base = format!("http://{}/app", legacy().await);
    let server = lab.serve_with(lab.api_pool(4).await, Some(base)).await;
    let http = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<Body>();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let parts = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (Ok::<_, std::io::Error>(part), receiver))
    });
    let request = axum::http::Request::post(format!("http://{}/v2/echo", server.address))
        .body(Body::from_stream(parts))
        .expect("a request");
    sender.send(Bytes::from_static(b"part 0")).await.expect("sent");
    let mut back = http.request(request).await.expect("an answer").into_body().into_data_stream();
    // Each part comes back before the next one is sent, so nobody waits for the end.
    for n in 0..5 {
        let part = tokio::time::timeout(Duration::from_secs(5), back.next()).await;
        let part = part.expect("in time").expect("a part").expect("whole");
        assert_eq!(part, format!("part {n}"));
        sender.send(Bytes::from(format!("part {}", n + 1))).await.expect("sent");
    }
    drop(sender);
    assert_eq!(back.next().await.expect("a part").expect("whole"), "part 5");
    assert!(back.next().await.is_none());

    let large = Bytes::from(vec![7_u8; 8 << 20]);
    let request = axum::http::Request::put(format!("http://{}/v2/echo", server.address))
        .body(Body::from(large.clone()))
        .expect("a request");
    let answer = http.request(request).await.expect("an answer");
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), large);
}

#[tokio::test]
async fn without_the_legacy_application_ours_go_on() {
    let lab = Lab::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener); // nobody listens there now
    let server = lab.serve_with(lab.api_pool(4).await, Some(base)).await;
    let client = server.client(&lab.token(&owner(1)).await);
    let answer = client.send("GET", "/v2/meters", &[("accept-language", "mn")], "").await;
    answer.assert_error(502, "INTERNAL_ERROR");
    assert!(answer.body["error"]["message"].as_str().expect("a message").starts_with("Хуучин"));
    assert_eq!(client.get("/v2/contracts").await.status, 200);
}
