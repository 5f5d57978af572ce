//! What one client does after the other, on the web and on the phone: sign in, look, make an invoice
//! twice with one key, pay it, and see what came of it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, sessions_of_the_test},
    sessions::{self, sign_in, text},
};

enum Device {
    /// A browser sends its cookies, and says that the request is from our own page.
    Web { client: Client, cookie: String },
    /// A phone has its token in the client.
    Phone(Client),
}

impl Device {
    async fn send(&self, method: &str, path: &str, key: Option<&str>, body: &Value) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let client = match self {
            Self::Phone(client) => client,
            Self::Web { client, cookie } => {
                headers.extend([("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")]);
                client
            }
        };
        client.send(method, path, &headers, body.to_string()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, None, &Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let answer = self.send("POST", path, Some(key), body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.body);
        answer
    }
}

/// The first user of the lab, as one of the staff.
async fn lab() -> Lab {
    let lab = sessions::lab().await;
    let user = id(13, 1, 1);
    lab.sql(&format!(
        "update users set property_owner_id = null, tenant_id = null where id = '{user}'; \
         update roles set is_administrative = true where id in \
           (select role_id from user_roles where user_id = '{user}')"
    ))
    .await;
    lab
}

/// `entity action` and topics of everything that was written down under a correlation id.
async fn traces(lab: &Lab, id: &str) -> (Vec<String>, Vec<String>) {
    let texts = async |sql: &'static str| -> Vec<String> {
        sqlx::query_scalar(sql).bind(id).fetch_all(&lab.admin).await.expect("rows")
    };
    let audit =
        "select entity || ' ' || action from audit_log where correlation_id = $1 order by id";
    let outbox = "select topic from outbox where correlation_id = $1 order by id";
    (texts(audit).await, texts(outbox).await)
}

async fn walk(lab: &Lab, device: &Device) {
    let contracts = device.get("/v2/contracts?limit=50").await;
    let contract = id(7, 1, 1);
    let listed = contracts["items"].as_array().expect("items");
    assert!(listed.iter().any(|item| item["id"] == json!(contract)), "{contracts}");

    let lines = json!([{ "description": "Түрээс, 3-р сар", "amount": "125000000" }]);
    let bill = json!({ "contractId": contract, "dueOn": "2024-03-31", "vat": "0", "lines": lines });
    let key = Uuid::now_v7().to_string();
    let made = device.post("/v2/invoices", &key, &bill).await;
    let again = device.post("/v2/invoices", &key, &bill).await;
    assert_eq!((made.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(made.bytes, again.bytes, "the same answer to the same request");
    let invoice = text(&made, "id").to_owned();
    let other =
        json!({ "contractId": contract, "dueOn": "2024-04-30", "vat": "0", "lines": lines });
    let reused = device.send("POST", "/v2/invoices", Some(&key), &other).await;
    reused.assert_error(422, "CONFLICT");
    let of_key = "select count(*) from audit_log where entity = 'invoices' and action = 'create' \
                  and entity_id = $1";
    let invoice_id: Uuid = invoice.parse().expect("a UUID");
    let count: i64 =
        sqlx::query_scalar(of_key).bind(invoice_id).fetch_one(&lab.admin).await.expect("a count");
    assert_eq!(count, 1, "made once");

    let path = format!("/v2/invoices/{invoice}");
    let key = || Uuid::now_v7().to_string();
    device.post(&format!("{path}/transitions"), &key(), &json!({ "to": "issued" })).await;
    assert_eq!(device.get(&path).await["status"], "issued");
    let payment = json!({ "tenantId": id(2, 1, 1), "amount": "125000000", "method": "qpay",
        "allocations": [{ "invoiceId": invoice, "amount": "125000000" }] });
    let paid = device.post("/v2/payments", &key(), &payment).await;
    let seen = device.get(&path).await;
    assert_eq!((&seen["status"], &seen["paidTotal"]), (&json!("paid"), &json!("125000000")));

    let correlation = paid.headers["x-correlation-id"].to_str().expect("text");
    let (audit, outbox) = traces(lab, correlation).await;
    assert_eq!(audit, ["payments create", "payment_allocations create", "invoices transition"]);
    let topics = ["payment.created", "payment-allocation.created", "invoice.status-changed"];
    assert_eq!(outbox, topics);
    let undone = device
        .send("POST", &format!("{path}/transitions"), Some(&key()), &json!({ "to": "draft" }))
        .await;
    undone.assert_error(409, "CONFLICT");
}

#[tokio::test]
async fn an_invoice_is_made_and_paid_on_the_web() {
    let lab = lab().await;
    let server = sessions::serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let answer = sign_in(&client, "web").await;
    assert_eq!((answer.status.as_u16(), &answer.body["role"]), (200, &json!("staff")));
    let cookie = sessions::cookies(&answer).swap_remove(0);
    walk(&lab, &Device::Web { client, cookie }).await;
}

#[tokio::test]
async fn an_invoice_is_made_and_paid_on_a_phone() {
    let lab = lab().await;
    let server = sessions::serve(&lab, sessions_of_the_test()).await;
    let answer = sign_in(&server.client(""), "mobile").await;
    assert_eq!((answer.status.as_u16(), &answer.body["role"]), (200, &json!("staff")));
    let client = server.client(text(&answer, "accessToken"));
    walk(&lab, &Device::Phone(client)).await;
}
