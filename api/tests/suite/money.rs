//! Payments: nothing is given out twice, whoever is at it at the same time.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, staff},
};

async fn post(client: &Client, path: &str, body: Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    client.send("POST", path, &headers, body.to_string()).await
}

fn id_of(answer: &Answer) -> Uuid {
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["id"].as_str().expect("an id").parse().expect("a UUID")
}

/// An issued invoice of this total.
async fn issued(client: &Client, total: i64) -> Uuid {
    let lines = json!([{ "description": "Түрээс", "amount": total.to_string() }]);
    let body =
        json!({ "contractId": id(7, 1, 1), "dueOn": "2024-03-31", "vat": "0", "lines": lines });
    let invoice = id_of(&post(client, "/v2/invoices", body).await);
    let path = format!("/v2/invoices/{invoice}/transitions");
    assert_eq!(post(client, &path, json!({ "to": "issued" })).await.status, 200);
    invoice
}

async fn pay(client: &Client, amount: i64, parts: &[(Uuid, i64)]) -> Answer {
    let parts: Vec<Value> = parts
        .iter()
        .map(|(invoice, amount)| json!({ "invoiceId": invoice, "amount": amount.to_string() }))
        .collect();
    let body = json!({ "tenantId": id(2, 1, 1), "amount": amount.to_string(),
                       "method": "bank_transfer", "allocations": parts });
    post(client, "/v2/payments", body).await
}

/// Status, what is paid, and the version.
async fn invoice(client: &Client, id: Uuid) -> (String, String, i64) {
    let body = client.get(&format!("/v2/invoices/{id}")).await.body;
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    (text("status"), text("paidTotal"), body["version"].as_i64().expect("a version"))
}

#[tokio::test]
async fn an_invoice_is_paid_in_parts_and_taken_back() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let bill = issued(&client, 100).await;
    let first = id_of(&pay(&client, 60, &[(bill, 60)]).await);
    assert_eq!(invoice(&client, bill).await, ("partly_paid".to_owned(), "60".to_owned(), 2));
    id_of(&pay(&client, 10, &[(bill, 10)]).await);
    assert_eq!(invoice(&client, bill).await, ("partly_paid".to_owned(), "70".to_owned(), 3));

    // More than is due, more than the payment, twice the same, a draft, nothing.
    let over = pay(&client, 31, &[(bill, 31)]).await;
    over.assert_error(409, "CONFLICT");
    assert_eq!(
        over.body["error"]["details"]["allocations[0].amount"],
        "is more than the 30 that are still due"
    );
    let left = pay(&client, 9, &[(bill, 10)]).await;
    left.assert_error(409, "CONFLICT");
    pay(&client, 20, &[(bill, 10), (bill, 10)]).await.assert_error(400, "VALIDATION_ERROR");
    pay(&client, 20, &[(bill, 0)]).await.assert_error(400, "VALIDATION_ERROR");
    let by_hand =
        post(&client, &format!("/v2/invoices/{bill}/transitions"), json!({ "to": "paid" })).await;
    by_hand.assert_error(409, "CONFLICT");
    assert_eq!(by_hand.body["error"]["details"]["allowed"], json!([]));

    let rest = id_of(&pay(&client, 50, &[]).await);
    let path = format!("/v2/payments/{rest}/allocations");
    let wish = |amount: &str| json!({ "invoiceId": bill, "amount": amount });
    id_of(&post(&client, &path, wish("30")).await);
    assert_eq!(invoice(&client, bill).await, ("paid".to_owned(), "100".to_owned(), 4));
    post(&client, &path, wish("1")).await.assert_error(409, "CONFLICT");

    let parts = client.get(&format!("/v2/payments/{first}/allocations")).await;
    let part = format!("/v2/payments/{first}/allocations/{}", parts.ids()[0]);
    assert_eq!(client.send("DELETE", &part, &[], "").await.status, 204);
    client.send("DELETE", &part, &[], "").await.assert_error(404, "NOT_FOUND");
    assert_eq!(invoice(&client, bill).await, ("partly_paid".to_owned(), "40".to_owned(), 5));

    let told: Vec<(String, Option<String>, String)> = sqlx::query_as(
        "select action, before ->> 'status', coalesce(after ->> 'status', after ->> 'paid_total') \
         from audit_log where entity = 'invoices' and entity_id = $1 order by id",
    )
    .bind(bill)
    .fetch_all(&lab.admin)
    .await
    .expect("the audit");
    let told: Vec<String> =
        told.into_iter().map(|(a, b, c)| format!("{a} {} {c}", b.unwrap_or_default())).collect();
    assert_eq!(
        told,
        [
            "create  draft",
            "transition draft issued",
            "transition issued partly_paid",
            "update  70",
            "transition partly_paid paid",
            "transition paid partly_paid",
        ]
    );
}

#[tokio::test]
async fn what_was_issued_stays_as_it_is() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let bill = issued(&client, 100).await;
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let path = format!("/v2/invoices/{bill}");
    client.send("PATCH", &path, &headers, "{\"vat\": \"1\"}").await.assert_error(409, "CONFLICT");
    let line = json!({ "description": "x", "amount": "1" });
    post(&client, &format!("{path}/lines"), line).await.assert_error(409, "CONFLICT");
    // A total follows from the lines, and has a limit.
    let draft = json!({ "contractId": id(7, 1, 1), "dueOn": "2024-03-31", "vat": "7",
                        "lines": [{ "description": "x", "amount": "0" }] });
    let draft = post(&client, "/v2/invoices", draft).await;
    assert_eq!((&draft.body["subtotal"], &draft.body["total"]), (&json!("0"), &json!("7")));
    assert!(draft.body["invoiceNo"].as_str().expect("a number").starts_with("НХ-00000"));
    let path = format!("/v2/invoices/{}", id_of(&draft));
    let max = json!({ "description": "x", "amount": "92233720368547758" });
    for _ in 0..3 {
        id_of(&post(&client, &format!("{path}/lines"), max.clone()).await);
    }
    assert_eq!(client.get(&path).await.body["total"], "276701161105643281");
    let lines: Vec<Value> = vec![max; 2];
    let large =
        json!({ "contractId": id(7, 1, 1), "dueOn": "2024-03-31", "vat": "1", "lines": lines });
    let large = post(&client, "/v2/invoices", large).await;
    large.assert_error(400, "VALIDATION_ERROR");
    assert!(large.body["error"]["details"]["lines"].is_string(), "{}", large.body);
}

/// Old rows do not always agree with themselves: the larger of what is told and what was
/// allocated counts as paid.
#[tokio::test]
async fn what_the_legacy_system_counts_as_paid_is_not_asked_for_again() {
    let lab = Lab::new().await;
    let server = lab.serve().await;
    let client = server.client(&lab.token(&staff()).await);
    let bill = id(9, 1, 1); // 1,500,000 with 500 allocated, `issued`, and nothing in `paid_total`
    pay(&client, 1_500_000, &[(bill, 1_499_501)]).await.assert_error(409, "CONFLICT");
    lab.sql(&format!("update invoices set paid_total = 1000 where id = '{bill}'")).await;
    pay(&client, 1_500_000, &[(bill, 1_499_001)]).await.assert_error(409, "CONFLICT");
    id_of(&pay(&client, 1_500_000, &[(bill, 1_499_000)]).await);
    assert_eq!(invoice(&client, bill).await, ("paid".to_owned(), "1500000".to_owned(), 1));
    // A draft without a subtotal keeps its total when something else changes.
    lab.sql(&format!("update invoices set status = 'draft' where id = '{}'", id(9, 1, 3))).await;
    let headers = [("content-type", "application/json"), ("if-match", "\"0\"")];
    let path = format!("/v2/invoices/{}", id(9, 1, 3));
    let changed = client.send("PATCH", &path, &headers, "{\"dueOn\": \"2024-03-31\"}").await;
    assert_eq!(changed.body["total"], "1500000", "{}", changed.body);
    let cancel = format!("/v2/invoices/{}/transitions", id(9, 1, 2));
    lab.sql(&format!("update invoices set paid_total = 1 where id = '{}'", id(9, 1, 2))).await;
    let refused = post(&client, &cancel, json!({ "to": "cancelled" })).await;
    refused.assert_error(409, "CONFLICT");
    assert!(refused.body["error"]["details"]["paidTotal"].is_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_at_the_same_time_never_give_out_too_much() {
    let lab = Lab::new().await;
    let server = lab.serve_with(lab.api_pool(12).await, None).await;
    let client = server.client(&lab.token(&staff()).await);
    let (mut bills, mut payments) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        bills.push(issued(&client, 100).await);
        payments.push(id_of(&pay(&client, 130, &[]).await));
    }
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (client, bills, payments) = (client.clone(), bills.clone(), payments.clone());
        writers.spawn(async move {
            let mut done = 0;
            for _ in 0..30 {
                let answer = one_of_many(&client, &bills, &payments).await;
                // A deadlock would be told as a conflict to come back to.
                assert!(!answer.headers.contains_key("retry-after"), "{}", answer.body);
                let code = answer.status.as_u16();
                assert!([201, 204, 404, 409].contains(&code), "{} {}", answer.status, answer.body);
                done += u32::from(answer.status.is_success());
            }
            done
        });
    }
    let done: u32 = writers.join_all().await.into_iter().sum();
    assert!(done > 40, "{done} writes prove little");
    let wrong: Vec<String> = sqlx::query_scalar(
        "select concat('payment ', p.id) from payments as p \
         where p.amount < (select coalesce(sum(a.amount), 0) from payment_allocations as a where a.payment_id = p.id) \
         union all select concat('invoice ', i.id, ' ', i.status, ' ', i.paid_total) from invoices as i, \
         lateral (select coalesce(sum(a.amount), 0) as paid from payment_allocations as a where a.invoice_id = i.id) as a \
         where i.source_position is null and i.invoice_no like 'НХ%' and (i.paid_total <> a.paid or a.paid > i.total \
         or i.status <> case when a.paid = 0 then 'issued' when a.paid < i.total then 'partly_paid' else 'paid' end)",
    )
    .fetch_all(&lab.admin)
    .await
    .expect("a look");
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A new payment over some invoices in any order, a part of an old one, or one taken back.
async fn one_of_many(client: &Client, bills: &[Uuid], payments: &[Uuid]) -> Answer {
    let pick = |of: &[Uuid]| of[rand::random_range(0..of.len())];
    let payment = pick(payments);
    let path = format!("/v2/payments/{payment}/allocations");
    match rand::random_range(0..4) {
        0 => {
            let (a, b) = (pick(bills), pick(bills));
            let parts = if a == b { vec![(a, 15)] } else { vec![(a, 15), (b, 10)] };
            pay(client, 25, &parts).await
        }
        1 => {
            let parts = client.get(&path).await.ids();
            if parts.is_empty() {
                return client.send("DELETE", &format!("{path}/{}", Uuid::nil()), &[], "").await;
            }
            client.send("DELETE", &format!("{path}/{}", pick(&parts)), &[], "").await
        }
        _ => {
            let amount = rand::random_range(1..60).to_string();
            post(client, &path, json!({ "invoiceId": pick(bills), "amount": amount })).await
        }
    }
}
