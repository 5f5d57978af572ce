//! Signing in by a code.

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    lab::{Lab, id, sessions_of_the_test},
    sessions::{lab, post, serve, text},
};

const PHONE: &str = "+976 9911-2233";

async fn ask(client: &Client, phone: &str) -> Answer {
    post(client, "/auth/codes", json!({ "phone": phone })).await
}

async fn enter(client: &Client, phone: &str, code: &str) -> Answer {
    let body = json!({ "phone": phone, "code": code, "kind": "mobile" });
    post(client, "/auth/codes/sign-in", body).await
}

/// The messages to be sent.
async fn messages(lab: &Lab) -> Vec<Value> {
    sqlx::query_scalar("select payload from outbox where topic = 'sms.send' order by id")
        .fetch_all(&lab.admin)
        .await
        .expect("rows")
}

/// The code of the last message.
async fn code(lab: &Lab) -> String {
    let message = messages(lab).await.pop().expect("a message");
    let text = message["text"].as_str().expect("a text").to_owned();
    text.chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn a_code_signs_in_once() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let asked = ask(&client, PHONE).await;
    assert_eq!((asked.status.as_u16(), asked.bytes.len()), (202, 0));
    let sent = messages(&lab).await;
    assert_eq!(sent[0]["to"], "+97699112233");
    let code = code(&lab).await;
    assert_eq!(code.len(), 6);
    let stored: String = sqlx::query_scalar("select c::text from sign_in_codes as c")
        .fetch_one(&lab.admin)
        .await
        .expect("a row");
    assert!(!stored.contains(&code), "{stored}");
    enter(&client, "88112233", &code).await.assert_error(401, "FORBIDDEN");
    let answer = enter(&client, "99112233", &code).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        (&answer.body["role"], &answer.body["userId"]),
        (&json!("owner"), &json!(id(13, 1, 1)))
    );
    let client = server.client(text(&answer, "accessToken"));
    assert_eq!(client.get("/v2/contracts").await.status, 200);
    enter(&client, PHONE, &code).await.assert_error(401, "FORBIDDEN");
}

#[tokio::test]
async fn of_two_at_once_one_is_too_late() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    ask(&client, PHONE).await;
    let code = code(&lab).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (client, code) = (client.clone(), code.clone());
        tasks.spawn(async move { enter(&client, PHONE, &code).await.status.as_u16() });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401, 401, 401]);
}

#[tokio::test]
async fn a_code_is_for_few_attempts_and_minutes() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    ask(&client, PHONE).await;
    let right = code(&lab).await;
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        enter(&client, PHONE, wrong).await.assert_error(401, "FORBIDDEN");
    }
    enter(&client, PHONE, &right).await.assert_error(401, "FORBIDDEN");
    ask(&client, PHONE).await;
    let right = code(&lab).await;
    lab.sql("update sign_in_codes set expires_at = now()").await;
    enter(&client, PHONE, &right).await.assert_error(401, "FORBIDDEN");
    // A new one takes the place of the old one.
    ask(&client, PHONE).await;
    let old = code(&lab).await;
    ask(&client, PHONE).await;
    let new = code(&lab).await;
    if old != new {
        enter(&client, PHONE, &old).await.assert_error(401, "FORBIDDEN");
    }
    assert_eq!(enter(&client, PHONE, &new).await.status, 200);
}

#[tokio::test]
async fn a_stranger_gets_no_message_and_learns_nothing() {
    let lab = lab().await;
    let server = serve(&lab, sessions_of_the_test()).await;
    let client = server.client("");
    let known = ask(&client, PHONE).await;
    for (phone, set) in [
        ("88112233", "select 1"),
        (PHONE, "update users set is_active = false"),
        (PHONE, "update users set is_active = true, lockout_end = 'infinity'"),
        (
            PHONE,
            "update users set lockout_end = null; update property_owners set phone = '99112233'; \
                 update users set is_active = true",
        ),
    ] {
        lab.sql(set).await;
        let unknown = ask(&client, phone).await;
        assert_eq!((unknown.status, &unknown.bytes), (known.status, &known.bytes));
        assert_eq!(messages(&lab).await.len(), 1, "{set}");
        for code in ["000000", "123456", "", "🦜", "1' or '1'='1"] {
            let status = if code.is_empty() { 400 } else { 401 };
            let expected = if code.is_empty() { "VALIDATION_ERROR" } else { "FORBIDDEN" };
            enter(&client, phone, code).await.assert_error(status, expected);
        }
    }
    for wrong in ["", "1", "abcdefgh", "+1 202 555 0100", "\u{0}", "99112233 or 1=1"] {
        ask(&client, wrong).await.assert_error(400, "VALIDATION_ERROR");
    }
}
