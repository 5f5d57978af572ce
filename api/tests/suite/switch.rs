//! Requests go to whoever owns the domain, in every process, at once.

use std::time::{Duration, Instant};

use axum::{Router, response::IntoResponse as _};
use serde_json::Value;

use crate::{
    client::Client,
    lab::{Lab, owner},
};

/// Answers everything with its name.
async fn legacy() -> String {
    let router = Router::new().fallback(|| async { "legacy".into_response() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

async fn is_legacy(client: &Client, path: &str) -> bool {
    &client.get(path).await.bytes[..] == b"legacy"
}

async fn eventually(what: &str, client: &Client, legacy: bool, limit: Duration) {
    let started = Instant::now();
    while is_legacy(client, "/v2/contracts").await != legacy {
        assert!(started.elapsed() < limit, "{what} after {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn set(lab: &Lab, state: &str) {
    lab.sql(&format!("update ficus.domain set state = '{state}' where name = 'contracts'")).await;
}

#[tokio::test]
async fn every_process_follows_within_a_second() {
    let lab = Lab::new().await;
    let base = legacy().await;
    let token = lab.token(&owner(1)).await;
    let first = lab.serve_with(lab.api_pool(2).await, Some(base.clone())).await;
    let second = lab.serve_with(lab.api_pool(2).await, Some(base)).await;
    let clients = [first.client(&token), second.client(&token)];
    let second_limit = Duration::from_secs(1);
    for client in &clients {
        eventually("served here", client, false, second_limit).await;
    }
    for round in 0..2 {
        set(&lab, "rolled_back").await;
        for client in &clients {
            eventually("handed back", client, true, second_limit).await;
        }
        assert!(!is_legacy(&clients[0], "/v2/tenants").await, "the others stay");
        for state in ["backfilling", "following", "verified"] {
            set(&lab, state).await;
            assert!(is_legacy(&clients[1], "/v2/contracts").await, "{state} in round {round}");
        }
        // Also when requests hold every connection of the pool.
        let held = [first.pool.acquire().await, first.pool.acquire().await];
        set(&lab, "cut_over").await;
        let started = Instant::now();
        loop {
            let manifest = clients[0].get("/ops/routes.json").await.body;
            if state_of(&manifest, "/v2/contracts") == "cut_over" {
                break;
            }
            assert!(started.elapsed() < second_limit, "cut over with a full pool");
        }
        drop(held);
        eventually("cut over", &clients[1], false, second_limit).await;
    }
}

fn line<'a>(manifest: &'a Value, path: &str) -> &'a Value {
    let lines = manifest.as_array().expect("lines");
    lines.iter().find(|line| line["path"] == path && line["method"] == "GET").expect("a line")
}

fn state_of<'a>(manifest: &'a Value, path: &str) -> &'a str {
    line(manifest, path)["state"].as_str().expect("a state")
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_again() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(2).await, Some(legacy().await)).await;
    let client = server.client(&lab.token(&owner(1)).await);
    lab.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and query ilike '%ficus.domain%' and pid <> pg_backend_pid()",
    )
    .await;
    set(&lab, "rolled_back").await;
    eventually("found by asking", &client, true, Duration::from_secs(6)).await;
}

#[tokio::test]
async fn a_domain_of_ours_has_no_back_door_to_the_legacy_side() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(4).await, Some(legacy().await)).await;
    let client = server.client(&lab.token(&owner(1)).await);
    for path in [
        "/v2/contracts/1/unknown",
        "/v2/contracts/",
        "/V2/Contracts",
        "/v2/%63ontracts/1",
        "//v2/contracts",
        "/v2/x/../contracts/1",
        "/v2/x/%2e%2e/contracts/1",
        "/v2%2fcontracts",
    ] {
        client.send("POST", path, &[], "{}").await.assert_error(404, "NOT_FOUND");
    }
    client.send("PUT", "/v2/contracts", &[], "{}").await.assert_error(405, "VALIDATION_ERROR");
    assert!(is_legacy(&client, "/v2/meters").await);
    assert!(is_legacy(&client, "/").await);

    set(&lab, "rolled_back").await;
    eventually("handed back", &client, true, Duration::from_secs(1)).await;
    for path in ["/v2/contracts/1/unknown", "/V2/Contracts"] {
        assert!(is_legacy(&client, path).await, "{path}");
    }
}

#[tokio::test]
async fn the_manifest_counts_requests_by_route_and_side() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(4).await, Some(legacy().await)).await;
    let client = server.client(&lab.token(&owner(1)).await);
    let before = client.get("/ops/routes.json").await.body;
    assert_eq!(line(&before, "/v2/invoices")["servedBy"], "ficus");
    for _ in 0..3 {
        client.get("/v2/contracts").await;
    }
    client.send("HEAD", "/v2/contracts", &[], "").await;
    client.get("/v2/contracts/1").await;
    set(&lab, "rolled_back").await;
    eventually("handed back", &client, true, Duration::from_secs(1)).await;
    let after = client.get("/ops/routes.json").await.body;
    let contracts = line(&after, "/v2/contracts");
    assert_eq!(contracts["servedBy"], "legacy");
    assert_eq!(contracts["domain"], "contracts");
    assert!(contracts["requestsHere"].as_u64() >= Some(4), "{contracts}");
    assert!(contracts["requestsLegacy"].as_u64() >= Some(1), "{contracts}");
    assert_eq!(line(&after, "/v2/contracts/{id}")["requestsHere"], 1);
    assert_eq!(line(&after, "/v2/tenants")["requestsHere"], 0);
}
