//! What no client of good will sends, and what it is answered.

use std::time::{Duration, Instant};

use axum::body::Body;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::Client,
    facade::legacy,
    lab::{Lab, Server, id, staff},
};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Everything that the server says until it ends the connection.
async fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open: {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn tenants(lab: &Lab) -> i64 {
    let count = sqlx::query_scalar("select count(*) from tenants");
    count.fetch_one(&lab.admin).await.expect("a count")
}

#[tokio::test]
async fn bodies_that_are_no_body_are_told_and_leave_nothing() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let before = tenants(&lab).await;
    let nested = |open: &str, close: &str, depth| {
        format!("{{\"name\":{}1{}}}", open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        String::new(),
        "{".to_owned(),
        "nul".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{\"name\":\"a\"}{}".to_owned(),
        "\u{feff}{\"name\":\"a\"}".to_owned(),
        "{\"name\":\"\\ud800\"}".to_owned(),
        "{\"name\":\"\\udc00\\ud800\"}".to_owned(),
        "{\"\\ud800\":1}".to_owned(),
        "{\"name\":\"a\\u0000b\"}".to_owned(),
        "{\"name\":\"a\",\"n\\u0000\":1}".to_owned(),
        "{\"name\":\"a\",\"name\":\"b\"}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":1e999}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":-0.0}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":1e3}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":9007199254740993}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":\"١٢\"}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":\"99999999999999999999999\"}".to_owned(),
        "{\"name\":\"a\",\"creditLimit\":NaN}".to_owned(),
        nested("[", "]", 30_000),
        nested("{\"a\":", "}", 5_000),
    ];
    let bytes = [b"{\"name\":\"\xff\"}".to_vec(), b"{\"name\":\"a\xed\xa0\x80\"}".to_vec()];
    for body in texts.into_iter().map(String::into_bytes).chain(bytes) {
        let answer = client.send("POST", "/v2/tenants", &[JSON], body).await;
        answer.assert_error(400, "VALIDATION_ERROR");
        assert!(answer.bytes.len() < 2000, "{}", answer.body);
    }
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(70_000));
    client.send("POST", "/v2/tenants", &[JSON], long).await.assert_error(413, "VALIDATION_ERROR");
    for kind in ["", "text/plain", "application/xml", "multipart/form-data; boundary=x", "json"] {
        let answer = client.send("POST", "/v2/tenants", &[("content-type", kind)], "{}").await;
        answer.assert_error(415, "VALIDATION_ERROR");
    }
    assert_eq!(tenants(&lab).await, before);
}

#[tokio::test]
async fn odd_keys_and_versions_are_refused() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let before = tenants(&lab).await;
    let body = json!({ "name": "Т" }).to_string();
    let long = "k".repeat(256);
    for keys in [vec![""], vec!["a\tb"], vec![&long], vec!["ө"], vec!["a", "b"], vec!["a", "a"]] {
        let mut headers = vec![JSON];
        headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        let answer = client.send("POST", "/v2/tenants", &headers, body.clone()).await;
        answer.assert_error(400, "VALIDATION_ERROR");
        assert!(answer.body["error"]["details"]["idempotency-key"].is_string(), "{keys:?}");
    }
    assert_eq!(tenants(&lab).await, before);
    let path = format!("/v2/tenants/{}", id(2, 1, 1));
    let change = async |tags: &[&str]| {
        let mut headers = vec![JSON];
        headers.extend(tags.iter().map(|tag| ("if-match", *tag)));
        client.send("PATCH", &path, &headers, body.clone()).await
    };
    for tags in [&[""][..], &["0"], &["W/\"0\""], &["\"00\""], &["\"0"], &["\"-1\""], &["ө"]] {
        change(tags).await.assert_error(412, "CONFLICT");
    }
    change(&[]).await.assert_error(428, "VALIDATION_ERROR");
    // A list may be spread over lines.
    assert_eq!(change(&["\"7\"", "\"8\", \"0\""]).await.status, 200);
    assert_eq!(change(&["*"]).await.status, 200);
}

#[tokio::test]
async fn odd_questions_are_told() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    for query in [
        "limit=-1",
        "limit=0",
        "limit=201",
        "limit=1e2",
        "limit=99999999999999999999",
        "limit=",
        "limit=%00",
        "limit=1&limit=2",
        "cursor=",
        "cursor=%00",
        "cursor=%ff",
        "cursor=eyJpZCI6MX0",
        "cursor=AAAA&cursor=AAAA",
        "limit=1;drop",
        "legacy=a/b/c/d/e",
        "legacy=x&limit=1",
    ] {
        let answer = client.get(&format!("/v2/contracts?{query}")).await;
        answer.assert_error(400, "VALIDATION_ERROR");
    }
    for legacy in ["C1/A%00", "C1/'%20or%201=1%20--", "%F0%9F%98%80/x"] {
        let answer = client.get(&format!("/v2/contracts?legacy={legacy}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{legacy}: {}", answer.body);
    }
    for segment in ["%00", "%ff", "'", "1%27%20or%201=1", "..%2f", "%F0%9F%98%80", "{id}"] {
        let answer = client.get(&format!("/v2/contracts/{segment}")).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{segment}: {}", answer.body);
    }
}

/// A client's broken body is not the legacy application's fault.
#[tokio::test]
async fn chunks_that_are_none_are_told_on_both_sides() {
    let lab = Lab::new().await;
    let base = format!("http://{}", legacy().await);
    let server = lab.serve_with(lab.api_pool(2).await, Some(base)).await;
    let token = lab.token(&staff()).await;
    for (path, expected) in [("/v2/tenants", "HTTP/1.1 4"), ("/v2/echo", "HTTP/1.1 400 ")] {
        for chunks in ["zz\r\n", "-1\r\n", "1;".repeat(40_000).as_str()] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
                 content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"
            );
            let answer = raw(&server, &request).await;
            assert!(answer.starts_with(expected), "{path}: {answer}");
        }
    }
}

/// As they are sent by browsers for other sites' pages, by scanners and by broken programs.
#[tokio::test]
async fn methods_that_nobody_serves_go_nowhere() {
    let lab = Lab::new().await;
    let base = format!("http://{}", legacy().await);
    let server = lab.serve_with(lab.api_pool(2).await, Some(base)).await;
    for request in [
        "CONNECT evil.example:443 HTTP/1.1",
        "CONNECT /v2/meters HTTP/1.1",
        "TRACE /v2/meters HTTP/1.1",
        "G\0ET / HTTP/1.1",
    ] {
        let answer =
            raw(&server, &format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(["400", "405"].contains(&status.as_str()), "{request}: {answer}");
    }
    let asterisk = "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(!raw(&server, asterisk).await.starts_with("HTTP/1.1 5"));
    // A proxy's form of a request names a host, which is not asked.
    let absolute =
        "GET http://evil.example/v2/meters HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, absolute).await;
    assert!(answer.contains("\"uri\":\"/v2/meters\"") && !answer.contains("evil"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let token = lab.token(&staff()).await;
    let started = Instant::now();
    let request = format!(
        "POST /v2/tenants HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{{\"na"
    );
    let answer = raw(&server, &request).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    // What is announced to be too large is not read at all.
    let request = request.replace("length: 20", "length: 99999999999");
    for request in [request.clone(), request.replace("/v2/tenants", "/auth/sign-in")] {
        let started = Instant::now();
        let answer = raw(&server, &request).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_spelling_of_our_path_does_not_reach_the_legacy_side() {
    let lab = Lab::new().await;
    let base = format!("http://{}", legacy().await);
    let server = lab.serve_with(lab.api_pool(2).await, Some(base)).await;
    let client: Client = server.client("");
    for path in [
        "/v2/contracts//..",
        "/v2/contracts//../",
        "/v2/contracts/%2f..",
        "/v2/contracts/...",
        "/v2/%2e%2e/v2/contracts",
        "/V2/CONTRACTS",
        "/v2\\contracts",
    ] {
        let answer = client.try_send("POST", path, &[JSON], Body::from("{}")).await;
        let Some(answer) = answer else { continue };
        assert!(!answer.headers.contains_key("x-served-by"), "{path}: {}", answer.body);
    }
}
