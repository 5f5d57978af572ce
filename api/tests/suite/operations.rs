//! What those who run the server see.

use serde_json::json;

use crate::lab::{Lab, owner};

#[tokio::test]
async fn readiness_names_each_dependency_and_only_postgres_counts() {
    let lab = Lab::new().await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", gone.local_addr().expect("an address"));
    let server = lab.serve_with(lab.api_pool(1).await, Some(base)).await;
    let client = server.client("");
    let ready = client.get("/health/ready").await;
    assert_eq!(ready.status, 200);
    assert_eq!(
        ready.body,
        json!({ "ready": true, "dependencies": { "postgres": "ok", "legacy": "ok" } })
    );
    drop(gone);
    let held = server.pool.acquire().await.expect("the only connection");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await; // the last answer grows old
    let started = std::time::Instant::now();
    let unready = client.get("/health/ready").await;
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "bounded");
    assert_eq!(unready.status, 503);
    assert_eq!(unready.body["dependencies"], json!({ "postgres": "slow", "legacy": "down" }));
    assert_eq!(client.get("/health/live").await.status, 200);
    drop(held);
}

#[tokio::test]
async fn requests_are_counted_by_route_status_and_side() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    for _ in 0..3 {
        client.get("/v2/contracts?limit=1").await;
    }
    client.get("/v2/contracts/not-an-id").await;
    client.get("/v2/contracts/%22%7D/x/y").await;
    client.get("/nowhere").await;
    let page = client.get("/metrics").await;
    assert_eq!(page.headers["content-type"], "text/plain; charset=utf-8");
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    for line in [
        "ficus_api_requests_total{method=\"GET\",route=\"/v2/contracts\",side=\"ficus\",status=\"200\"} 3",
        "ficus_api_requests_total{method=\"GET\",route=\"/v2/contracts/{id}\",side=\"ficus\",status=\"400\"} 1",
        "ficus_api_requests_total{method=\"other\",route=\"other\",side=\"ficus\",status=\"404\"} 2",
        "ficus_api_request_seconds_count{method=\"GET\",route=\"/v2/contracts\",side=\"ficus\"} 3",
        "ficus_api_domain_state{domain=\"contracts\",state=\"cut_over\"} 1",
    ] {
        assert!(page.lines().any(|given| given == line), "{line}\n{page}");
    }
    assert!(page.contains("ficus_api_pool_connections{state=\"busy\"}"), "{page}");
    let documented = include_str!("../../../docs/serve.md");
    for name in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/serve.md");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client("");
    assert_eq!(client.get("/openapi.json").await.body, *api::openapi::DOCUMENT);
    let page = client.get("/docs").await;
    let text = String::from_utf8_lossy(&page.bytes).into_owned();
    let policy = page.headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.contains("script-src 'self'") && !policy.contains("//"), "{policy}");
    assert!(text.contains("integrity=\"sha384-"), "{text}");
    let script = client.get("/docs/scalar.js").await;
    assert_eq!(script.headers["x-content-type-options"], "nosniff");
    assert!(script.bytes.len() > 1_000_000);
    let known = script.headers["etag"].to_str().expect("ASCII");
    let again = client.send("GET", "/docs/scalar.js", &[("if-none-match", known)], "").await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    let sources = text.matches("<script src=").count();
    assert_eq!(sources, 1, "one script");
}
