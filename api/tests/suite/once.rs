//! Idempotency keys: done once and answered alike, through crashes and vanished clients.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, owner, staff},
};

fn body(amount: &str) -> String {
    json!({ "contractId": id(7, 1, 1), "dueOn": "2024-03-31", "vat": "0",
            "lines": [{ "description": "Түрээс", "amount": amount }] })
    .to_string()
}

async fn invoice(client: &Client, key: &str, body: String) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    client.send("POST", "/v2/invoices", &headers, body).await
}

async fn count(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from invoices where invoice_no like 'НХ-%'")
        .fetch_one(&lab.admin)
        .await
        .expect("a count")
}

fn assert_same(one: &Answer, other: &Answer) {
    assert_eq!(one.status, other.status);
    assert_eq!(one.bytes, other.bytes);
    for header in ["content-type", "etag", "location"] {
        assert_eq!(one.headers[header], other.headers[header], "{header}");
    }
}

#[tokio::test]
async fn what_is_sent_again_is_answered_again_and_done_once() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let mut duplicates = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let client = client.clone();
        duplicates.spawn(async move { invoice(&client, "k", body("5")).await });
    }
    let answers = duplicates.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_same(answer, &answers[0]);
    }
    assert_eq!(count(&lab).await, 1);
    invoice(&client, "k", body("6")).await.assert_error(422, "CONFLICT");
    // The answer is the first one's, also when the row has moved on.
    lab.sql("update invoices set version = 7, status = 'issued' where invoice_no like 'НХ-%'")
        .await;
    assert_same(&invoice(&client, "k", body("5")).await, &answers[0]);
    // Another server, as after a restart.
    let restarted = lab.serve().await;
    let client = restarted.client(&lab.token(&owner(1)).await);
    assert_same(&invoice(&client, "k", body("5")).await, &answers[0]);
    assert_eq!(count(&lab).await, 1);
}

#[tokio::test]
async fn nobody_gets_what_was_answered_to_another() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    assert_eq!(invoice(&client, "k", body("5")).await.status, 201);
    // The same user in another role, and another user altogether.
    let mut as_staff = staff();
    as_staff.user_id = id(13, 1, 1);
    for other in [as_staff, staff()] {
        let other = server.client(&lab.token(&other).await);
        invoice(&other, "k", body("5")).await.assert_error(422, "CONFLICT");
    }
    assert_eq!(count(&lab).await, 1);
}

#[tokio::test]
async fn a_client_that_is_cut_off_after_the_commit_gets_its_answer_later() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let token = lab.token(&owner(1)).await;
    let body = body("5");
    let request = format!(
        "POST /v2/invoices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    // Committed, and nobody has read the answer.
    let started = Instant::now();
    while count(&lab).await == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "nothing was committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(stream);
    server.stop.cancel();
    let made: (uuid::Uuid, String) =
        sqlx::query_as("select id, invoice_no from invoices where invoice_no like 'НХ-%'")
            .fetch_one(&lab.admin)
            .await
            .expect("the invoice");
    let restarted = lab.serve().await;
    let again = invoice(&restarted.client(&token), "k", body.clone()).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(again.body["id"], json!(made.0));
    assert_eq!(again.headers["location"], format!("/v2/invoices/{}", made.0).as_str());
    assert_eq!(count(&lab).await, 1);
}

#[tokio::test]
async fn a_write_that_postgres_loses_leaves_its_key_unused() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&owner(1)).await);
    let mut lock = lab.admin.begin().await.expect("a transaction");
    sqlx::query("lock table outbox in access exclusive mode")
        .execute(&mut *lock)
        .await
        .expect("locked");
    let under_way = tokio::spawn({
        let client = client.clone();
        async move { invoice(&client, "k", body("5")).await }
    });
    let lose = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                where datname = current_database() and wait_event_type = 'Lock'";
    let started = Instant::now();
    while sqlx::query_scalar::<_, i64>(lose).fetch_one(&lab.admin).await.expect("a count") == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "nothing waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = under_way.await.expect("a task");
    assert!(lost.status.is_server_error(), "{}", lost.body);
    assert_eq!(lost.body["error"]["code"], "INTERNAL_ERROR");
    lock.rollback().await.expect("unlocked");
    assert_eq!(count(&lab).await, 0);
    assert_eq!(invoice(&client, "k", body("5")).await.status, 201);
    assert_eq!(count(&lab).await, 1);
}
