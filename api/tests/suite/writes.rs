//! Status changes: allowed steps only, once, with audit and outbox, and never on both sides.

use std::time::Duration;

use serde_json::json;

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, owner, staff},
};

const JSON: (&str, &str) = ("content-type", "application/json");

fn path(owner: u32, n: u32) -> String {
    format!("/v2/contracts/{}/transitions", id(7, owner, n))
}

async fn step(client: &Client, path: &str, to: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([JSON]).collect();
    client.send("POST", path, &headers, json!({ "to": to }).to_string()).await
}

/// Rows of audit and outbox, and the status of the contract of owner 1.
async fn trace(lab: &Lab) -> (i64, i64, String) {
    sqlx::query_as(
        "select (select count(*) from audit_log), (select count(*) from outbox), \
         (select status from contracts where id = $1)",
    )
    .bind(id(7, 1, 1))
    .fetch_one(&lab.admin)
    .await
    .expect("a row")
}

/// One step more could make a paid invoice one that may be changed.
#[tokio::test]
async fn the_steps_are_these_and_no_others() {
    let lab = Lab::new().await;
    let steps: Vec<String> = sqlx::query_scalar(
        "select concat(entity, ': ', from_status, ' > ', to_status) from status_transitions order by 1",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("rows");
    let expected = [
        "contracts: active > ended",
        "contracts: active > suspended",
        "contracts: draft > active",
        "contracts: draft > cancelled",
        "contracts: suspended > active",
        "contracts: suspended > ended",
        "invoices: draft > cancelled",
        "invoices: draft > issued",
        "invoices: issued > cancelled",
        "invoices: issued > paid",
        "invoices: issued > partly_paid",
        "invoices: paid > issued",
        "invoices: paid > partly_paid",
        "invoices: partly_paid > issued",
        "invoices: partly_paid > paid",
    ];
    assert_eq!(steps, expected);
}

#[tokio::test]
async fn an_allowed_step_is_taken_with_its_audit_and_its_outbox_row() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let answer = step(&client, &path(1, 1), "active", &[("x-correlation-id", "c-1")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((&answer.body["status"], &answer.body["version"]), (&json!("active"), &json!(1)));
    assert_eq!(answer.headers["etag"], "\"1\"");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(trace(&lab).await, (1, 1, "active".to_owned()));
    let written: serde_json::Value = sqlx::query_scalar(
        "select jsonb_build_array(a.user_id, a.owner_id, a.role, a.action, a.entity, a.entity_id, \
         a.before, a.after, a.correlation_id, o.topic, o.payload, o.correlation_id, o.state) \
         from audit_log as a, outbox as o",
    )
    .fetch_one(&lab.admin)
    .await
    .expect("a row");
    let contract = id(7, 1, 1);
    let expected = json!([
        id(13, 1, 1), id(1, 1, 1), "owner", "transition", "contracts", contract,
        { "status": "draft", "version": 0 }, { "status": "active", "version": 1 }, "c-1",
        "contract.status-changed",
        { "id": contract, "tenantId": id(2, 1, 1), "from": "draft", "to": "active", "version": 1 }, "c-1", "pending",
    ]);
    assert_eq!(written, expected);
}

#[tokio::test]
async fn a_step_that_is_not_allowed_changes_nothing_and_says_what_is() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    for to in ["ended", "draft", "", "no such\u{0}status"] {
        let answer = step(&client, &path(1, 1), to, &[]).await;
        answer.assert_error(409, "CONFLICT");
        let details = &answer.body["error"]["details"];
        assert_eq!(details["allowed"], json!(["active", "cancelled"]));
        assert_eq!(details["from"], "draft");
    }
    step(&client, &path(2, 1), "active", &[]).await.assert_error(404, "NOT_FOUND");
    server.client("").send("POST", &path(1, 1), &[JSON], "{}").await.assert_error(401, "FORBIDDEN");
    let cookie = format!("ficus_session={}", lab.token(&owner(1)).await);
    let forged = [("sec-fetch-site", "cross-site"), ("cookie", &cookie)];
    let browser = server.client("");
    step(&browser, &path(1, 1), "active", &forged).await.assert_error(403, "FORBIDDEN");
    assert_eq!(trace(&lab).await, (0, 0, "draft".to_owned()));
}

#[tokio::test]
async fn bodies_that_can_not_be_taken_are_refused_in_the_envelope() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let large = format!("{{\"to\": \"{}\"}}", "x".repeat(70_000));
    let json = "application/json; charset=utf-8";
    for (kind, body, status) in [
        ("text/plain", "{\"to\": \"active\"}", 415),
        (json, "", 400),
        (json, "{", 400),
        (json, "[]", 400),
        (json, "{\"to\": 1}", 400),
        (json, "{\"to\": \"active\", \"status\": \"x\"}", 400),
        (json, &large, 413),
    ] {
        let headers = [("content-type", kind)];
        let answer = client.send("POST", &path(1, 1), &headers, body.to_owned()).await;
        answer.assert_error(status, "VALIDATION_ERROR");
        assert!(answer.body["error"]["details"]["body"].is_string(), "{}", answer.body);
    }
    assert_eq!(trace(&lab).await, (0, 0, "draft".to_owned()));
}

#[tokio::test]
async fn a_version_that_is_gone_is_refused() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let answer = step(&client, &path(1, 1), "active", &[("if-match", "\"0\"")]).await;
    assert_eq!(answer.status, 200);
    for stale in ["\"0\"", "W/\"1\"", "1", ""] {
        let answer = step(&client, &path(1, 1), "ended", &[("if-match", stale)]).await;
        answer.assert_error(412, "CONFLICT");
    }
    let answer = step(&client, &path(1, 1), "ended", &[("if-match", "\"7\", \"1\"")]).await;
    assert_eq!(answer.body["version"], 2);
}

#[tokio::test]
async fn the_same_key_and_body_is_done_once() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let key = [("idempotency-key", "k-1")];
    // A request that failed leaves its key unused.
    step(&client, &path(1, 1), "ended", &key).await.assert_error(409, "CONFLICT");
    let mut duplicates = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        duplicates.spawn(async move { step(&client, &path(1, 1), "active", &key).await });
    }
    let answers = duplicates.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.bytes, answers[0].bytes);
        assert_eq!(answer.headers["etag"], "\"1\"");
    }
    assert_eq!(trace(&lab).await, (1, 1, "active".to_owned()));
    // Another body, another path, another person.
    step(&client, &path(1, 1), "ended", &key).await.assert_error(422, "CONFLICT");
    step(&client, &path(1, 2), "active", &key).await.assert_error(422, "CONFLICT");
    let other = server.client(&lab.token(&owner(2)).await);
    step(&other, &path(2, 1), "active", &key).await.assert_error(422, "CONFLICT");
    let long = "k".repeat(256);
    for bad in ["", &long] {
        let bad = [("idempotency-key", bad)];
        step(&client, &path(1, 1), "ended", &bad).await.assert_error(400, "VALIDATION_ERROR");
    }
    assert_eq!(trace(&lab).await, (1, 1, "active".to_owned()));
}

#[tokio::test]
async fn a_step_without_its_outbox_row_is_not_taken() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    lab.sql("alter table outbox add constraint outbox_closed check (false) not valid").await;
    step(&client, &path(1, 1), "active", &[]).await.assert_error(500, "INTERNAL_ERROR");
    assert_eq!(trace(&lab).await, (0, 0, "draft".to_owned()));
}

#[tokio::test]
async fn a_write_that_meets_a_rollback_is_not_split_off() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let mut rollback = lab.admin.begin().await.expect("a transaction");
    sqlx::query("select from ficus.domain where name = 'contracts' for update")
        .execute(&mut *rollback)
        .await
        .expect("the row");
    let write = tokio::spawn({
        let client = client.clone();
        async move { step(&client, &path(1, 1), "active", &[]).await }
    });
    let waits = "select exists (select from pg_locks where not granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&lab.admin).await.expect("locks") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sqlx::query("update ficus.domain set state = 'rolled_back' where name = 'contracts'")
        .execute(&mut *rollback)
        .await
        .expect("handed back");
    rollback.commit().await.expect("handed back");
    let answer = write.await.expect("a task");
    answer.assert_error(409, "CONFLICT");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(trace(&lab).await, (0, 0, "draft".to_owned()));
}
