//! Gateways and webhooks against a real server, through the outbox.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    lab::{Lab, route, settings, start},
    receiver::{Answer, Receiver},
};
use crate::{Gateway, Handler, Route, Schedule, Webhook, gateway, look};

const LIMIT: Duration = Duration::from_millis(400);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn sms(url: &str) -> gateway::Settings {
    gateway::Settings {
        prefix: "work.sms",
        url: url.into(),
        method: "POST".into(),
        content_type: "application/json".into(),
        body: r#"{"to": {{to}}, "text": {{text}}}"#.into(),
        headers: None,
        limit: LIMIT,
    }
}

fn sms_route(url: &str) -> Route {
    route("sms.send", Arc::new(Gateway::new(sms(url)).expect("a gateway")))
}

fn hook_route(receiver: &Receiver) -> Route {
    let url = receiver.url("/hook?token=hush").into();
    let hook = Webhook::new(&url, &SECRET.into(), LIMIT).expect("a webhook");
    route("*", Arc::new(hook))
}

fn code() -> Value {
    json!({ "to": "99112233", "text": "Таны код \"123456\"" })
}

#[tokio::test]
async fn a_message_is_sent_with_its_id_and_its_payload_is_cleared() {
    let (lab, receiver) = (Lab::new().await, Receiver::start(&[]).await);
    let id = lab.write("sms.send", code()).await;
    let keys = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(keys.path(), "Authorization: Bearer hush\n").expect("written");
    let gateway =
        gateway::Settings { headers: Some(keys.path().into()), ..sms(&receiver.url("/mt")) };
    let route = route("sms.send", Arc::new(Gateway::new(gateway).expect("a gateway")));
    lab.worker(vec![route.clone()]).run_once().await.expect("worked");
    let asked = receiver.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(serde_json::from_str::<Value>(&asked[0].body).expect("JSON"), code());
    assert_eq!(asked[0].headers["content-type"], "application/json");
    assert_eq!(asked[0].headers["idempotency-key"], id.to_string());
    assert_eq!(asked[0].headers["x-correlation-id"], "c-1");
    assert_eq!(asked[0].headers["authorization"], "Bearer hush");
    assert_eq!((lab.state(id).await, lab.history(id).await), ("done".into(), "done".into()));
    assert_eq!(lab.text("select payload::text from outbox").await, "{}");
    // What was cleared can't be sent again, and says so.
    let error = look::replay(&lab.pool, id, "me").await.expect_err("no replay").to_string();
    assert!(error.contains("was cleared when it was sent"), "{error}");
    // Tokens are rotated without a restart.
    std::fs::write(keys.path(), "Authorization: Bearer new\n").expect("written");
    lab.write("sms.send", code()).await;
    lab.worker(vec![route]).run_once().await.expect("worked");
    assert_eq!(receiver.asked()[1].headers["authorization"], "Bearer new");
}

#[tokio::test]
async fn a_gateway_that_takes_get_or_forms_gets_them_encoded() {
    let (lab, receiver) = (Lab::new().await, Receiver::start(&[]).await);
    let get = gateway::Settings {
        method: "GET".into(),
        ..sms(&receiver.url("/mt?user=ficus&to={{to}}&msg={{text}}"))
    };
    let form = gateway::Settings {
        content_type: "application/x-www-form-urlencoded".into(),
        body: "to={{to}}&text={{text}}".into(),
        ..sms(&receiver.url("/mt"))
    };
    for settings in [get, form] {
        lab.write("sms.send", json!({ "to": "9911&to=1", "text": "Ө ү" })).await;
        let route = route("sms.send", Arc::new(Gateway::new(settings).expect("a gateway")));
        lab.worker(vec![route]).run_once().await.expect("worked");
    }
    let asked = receiver.asked();
    assert_eq!(asked[0].method, "GET");
    assert_eq!(asked[0].uri, "/mt?user=ficus&to=9911%26to%3D1&msg=%D3%A8%20%D2%AF");
    assert_eq!(asked[0].body, "");
    assert_eq!(asked[1].body, "to=9911%26to%3D1&text=%D3%A8%20%D2%AF");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id() {
    let lab = Lab::new().await;
    let slow = Answer::Slow(LIMIT * 3);
    let receiver = Receiver::start(&[slow, Answer::Status(503), Answer::Status(200)]).await;
    let id = lab.write("contract.status-changed", json!({ "id": "c", "to": "active" })).await;
    lab.worker(vec![hook_route(&receiver)]).run_once().await.expect("worked");
    // Refused connections and so on wait a millisecond only, so one run may not see them due.
    lab.worker(vec![hook_route(&receiver)]).run_once().await.expect("worked");
    lab.worker(vec![hook_route(&receiver)]).run_once().await.expect("worked");
    let asked = receiver.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for one in &asked {
        assert_eq!(one.headers["webhook-id"], id.to_string());
        assert_eq!(one.body, asked[0].body);
    }
    let body: Value = serde_json::from_str(&asked[0].body).expect("JSON");
    assert_eq!((&body["id"], &body["type"]), (&json!(id), &json!("contract.status-changed")));
    assert_eq!(body["data"], json!({ "id": "c", "to": "active" }));
    let history = lab.history(id).await;
    assert_eq!(history, "retry: no answer in time; retry: the answer was 503; done");
    assert_eq!(lab.state(id).await, "done");
    assert_signed(&asked[2].headers, &asked[2].body);
}

/// As a receiver checks it.
fn assert_signed(headers: &axum::http::HeaderMap, body: &str) {
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let now = chrono::Utc::now().timestamp();
    assert!((now - timestamp.parse::<i64>().expect("seconds")).abs() < 60);
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let signature = header("webhook-signature");
    let given = STANDARD.decode(signature.strip_prefix("v1,").expect("v1")).expect("base64");
    mac.verify_slice(&given).expect("signed");
}

#[tokio::test]
async fn a_judgement_on_the_event_is_final_and_so_is_the_last_attempt() {
    let lab = Lab::new().await;
    let script =
        [Answer::Status(422), Answer::Status(500), Answer::Status(500), Answer::Status(500)];
    let receiver = Receiver::start(&script).await;
    let rejected = lab.write("sms.send", code()).await;
    lab.worker(vec![sms_route(&receiver.url("/"))]).run_once().await.expect("worked");
    assert_eq!(lab.history(rejected).await, "dead: the answer was 422");
    assert_eq!(receiver.asked().len(), 1);
    let failing = lab.write("sms.send", code()).await;
    let running = start(lab.worker(vec![sms_route(&receiver.url("/"))]));
    lab.until(&format!("select state from outbox where id = '{failing}'"), "dead").await;
    running.stop().await;
    assert_eq!(
        lab.history(failing).await,
        "retry: the answer was 500; retry: the answer was 500; \
         dead: given up after 3 attempts: the answer was 500"
    );
    // A person who has mended the cause has both sent again.
    assert_eq!(look::replay_topic(&lab.pool, "sms.send", "me").await.expect("replayed"), 2);
    lab.worker(vec![sms_route(&receiver.url("/"))]).run_once().await.expect("worked");
    let history = lab.history(rejected).await;
    assert_eq!(history, "dead: the answer was 422; replayed; done");
    assert_eq!(
        receiver.asked()[0].headers["idempotency-key"],
        receiver
            .asked()
            .iter()
            .rfind(|asked| { asked.headers["idempotency-key"] == rejected.to_string() })
            .expect("sent again")
            .headers["idempotency-key"]
    );
}

#[tokio::test]
async fn a_topic_waits_as_long_as_its_receiver_says() {
    let lab = Lab::new().await;
    let receiver = Receiver::start(&[Answer::RetryAfter(429, "1")]).await;
    let mut one_at_a_time = settings();
    one_at_a_time.limits = crate::Limits::parse("work.concurrency", "*=1").expect("limits");
    for _ in 0..3 {
        lab.write("sms.send", code()).await;
    }
    let routes = vec![sms_route(&receiver.url("/"))];
    let running = start(lab.worker_with(one_at_a_time, routes, Schedule::default()));
    lab.until("select count(*)::text from outbox where state = 'done'", "3").await;
    running.stop().await;
    let asked = receiver.asked();
    assert_eq!(asked.len(), 4);
    // Nobody else of the topic was sent meanwhile.
    let waited = asked[1].at - asked[0].at;
    assert!(waited >= Duration::from_millis(990), "{waited:?}");
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let lab = Lab::new().await;
    let inner = Receiver::start(&[]).await;
    let receiver = Receiver::start(&[Answer::Redirect(inner.url("/admin"))]).await;
    let id = lab.write("sms.send", code()).await;
    lab.worker(vec![sms_route(&receiver.url("/"))]).run_once().await.expect("worked");
    assert_eq!(lab.history(id).await, "dead: the answer was 307");
    assert!(inner.asked().is_empty());
}

#[tokio::test]
async fn refused_connections_are_retried_and_nothing_secret_is_written_down() {
    let lab = Lab::new().await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let url = format!("http://{gone}/mt?key=hush");
    let id = lab.write("sms.send", code()).await;
    lab.worker(vec![sms_route(&url)]).run_once().await.expect("worked");
    assert!(lab.history(id).await.starts_with("retry: no connection"));
    let receiver = Receiver::start(&[Answer::Status(400)]).await;
    let hooked = lab.write("contract.created", json!({ "note": "hush" })).await;
    lab.worker(vec![hook_route(&receiver)]).run_once().await.expect("worked");
    assert_eq!(lab.state(hooked).await, "dead");
    let written = lab
        .text("select string_agg(r::text, '') || (select string_agg(last_error, '') from outbox) from ficus.work_run as r")
        .await;
    for secret in ["hush", "127.0.0.1", "99112233", "123456", "secret"] {
        assert!(!written.contains(secret), "{written}");
    }
}

/// Handlers that are not HTTP's fail too.
#[tokio::test]
async fn a_handler_that_panics_or_hangs_costs_its_attempt_only() {
    struct Broken;
    impl Handler for Broken {
        fn handle<'a>(&'a self, event: &'a crate::Event) -> crate::Handling<'a> {
            Box::pin(async move {
                match event.attempt {
                    1 => panic!("a bug"),
                    2 => tokio::time::sleep(Duration::from_secs(3600)).await,
                    _ => {}
                }
                Ok(())
            })
        }
    }
    let lab = Lab::new().await;
    let id = lab.write("x", json!({})).await;
    let mut short = settings();
    short.attempt = Duration::from_millis(200);
    let running =
        start(lab.worker_with(short, vec![route("x", Arc::new(Broken))], Schedule::default()));
    lab.until(&format!("select state from outbox where id = '{id}'"), "done").await;
    running.stop().await;
    let history = lab.history(id).await;
    assert_eq!(history, "retry: the handler panicked; retry: not done within 200 ms; done");
}
