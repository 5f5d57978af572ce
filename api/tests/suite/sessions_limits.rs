//! How often somebody may ask, by Postgres and by Redis.

use std::time::{Duration, Instant};

use api::limits::{Pair, Rule, Settings};
use serde_json::json;

use crate::{
    client::Answer,
    lab::{Lab, Server, owner, sessions_of_the_test},
    redis::Redis,
    sessions::{lab, post},
};

fn few(number: u32) -> Pair {
    Pair { identity: Rule::per_minute(number), address: Rule::per_minute(0) }
}

async fn serve(lab: &Lab, limits: Settings) -> Server {
    lab.serve_set(lab.api_pool(4).await, None, sessions_of_the_test(), limits).await
}

fn assert_refused(answer: &Answer, seconds_max: u64) {
    answer.assert_error(429, "FORBIDDEN");
    let seconds = answer.headers["retry-after"].to_str().expect("text");
    let seconds: u64 = seconds.parse().expect("a number");
    assert!((1..=seconds_max).contains(&seconds), "{seconds}");
    assert_eq!(answer.body["error"]["details"]["retryAfterSeconds"], seconds);
}

async fn attempt(server: &Server, name: &str, forwarded: &str) -> Answer {
    let body = json!({ "userName": name, "password": "wrong", "kind": "mobile" }).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", forwarded)];
    server.client("").send("POST", "/auth/sign-in", &headers, body).await
}

#[tokio::test]
async fn attempts_are_limited_by_name_and_by_address() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.sign_in = Pair { identity: Rule::per_minute(2), address: Rule::per_minute(5) };
    let server = serve(&lab, limits.clone()).await;
    for name in ["Дорж 1", "nobody"] {
        attempt(&server, name, "").await.assert_error(401, "FORBIDDEN");
        attempt(&server, &name.to_uppercase(), "").await.assert_error(401, "FORBIDDEN");
    }
    assert_refused(&attempt(&server, "nobody", "").await, 30);
    // The fifth was the address's last one. Nobody's proxy may say that it is another.
    assert_refused(&attempt(&server, "somebody else", "9.9.9.9").await, 12);
    // Another process counts in the same buckets, and believes its proxy.
    limits.trusted_proxies = "127.0.0.0/8".parse().expect("a network");
    let behind = serve(&lab, limits).await;
    attempt(&behind, "somebody else", "9.9.9.9").await.assert_error(401, "FORBIDDEN");
    assert_refused(&attempt(&behind, "somebody else", "").await, 12);
}

#[tokio::test]
async fn codes_are_limited_by_number() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.codes = Pair { identity: Rule::per_hour(2), address: Rule::per_hour(3) };
    let server = serve(&lab, limits).await;
    let ask = async |phone: &str| {
        post(&server.client(""), "/auth/codes", json!({ "phone": phone })).await
    };
    assert_eq!(ask("99112233").await.status, 202);
    assert_eq!(ask("+97699112233").await.status, 202);
    assert_refused(&ask("9911 2233").await, 1800);
    assert_refused(&ask("88112233").await, 1200);
}

#[tokio::test]
async fn a_bucket_fills_up_again() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.sign_in = few(2);
    let server = serve(&lab, limits).await;
    for _ in 0..2 {
        attempt(&server, "x", "").await.assert_error(401, "FORBIDDEN");
    }
    assert_refused(&attempt(&server, "x", "").await, 30);
    lab.sql("update rate_limits set tat = tat - interval '31 seconds'").await;
    attempt(&server, "x", "").await.assert_error(401, "FORBIDDEN");
    assert_refused(&attempt(&server, "x", "").await, 30);
}

#[tokio::test]
async fn any_request_is_counted_before_it_costs_anything() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.requests = few(40);
    let server = serve(&lab, limits).await;
    let (one, two) = (lab.token(&owner(1)).await, lab.token(&owner(2)).await);
    let client = server.client(&one);
    for _ in 0..40 {
        assert_eq!(client.get("/v2/contracts?limit=1").await.status, 200);
    }
    assert_refused(&client.get("/v2/contracts").await, 5);
    // Remembered: a flood does not reach the database.
    lab.sql("delete from rate_limits").await;
    assert_refused(&client.get("/v2/contracts").await, 5);
    assert_eq!(server.client(&two).get("/v2/contracts").await.status, 200);
    assert_eq!(client.get("/health/live").await.status, 200, "operations are not limited");
}

#[tokio::test]
async fn forty_at_once_take_no_more_than_there_is() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.codes = Pair { identity: Rule::per_hour(0), address: Rule::per_hour(10) };
    let server = serve(&lab, limits).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..40 {
        let client = server.client("");
        let body = json!({ "phone": format!("880000{n:02}") });
        tasks.spawn(async move { post(&client, "/auth/codes", body).await.status.as_u16() });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 10);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 30);
}

#[tokio::test]
async fn redis_counts_where_it_is_and_postgres_where_it_is_not() {
    let lab = lab().await;
    let (redis, address) = Redis::start().await;
    let mut limits = Settings::unlimited();
    limits.sign_in = few(2);
    limits.redis_url = Some(format!("redis://{address}").into());
    let (server, twin) = (serve(&lab, limits.clone()).await, serve(&lab, limits).await);
    attempt(&server, "x", "").await.assert_error(401, "FORBIDDEN");
    attempt(&twin, "x", "").await.assert_error(401, "FORBIDDEN");
    assert_refused(&attempt(&server, "x", "").await, 30);
    assert_refused(&attempt(&twin, "x", "").await, 30);
    assert_eq!(buckets(&lab).await, 0, "not in Postgres");
    redis.stop().await;
    for _ in 0..2 {
        attempt(&server, "x", "").await.assert_error(401, "FORBIDDEN");
    }
    assert_refused(&attempt(&server, "x", "").await, 30);
    assert_eq!(buckets(&lab).await, 1);
}

#[tokio::test]
async fn a_redis_that_hangs_holds_up_one_request_in_a_second() {
    let lab = lab().await;
    let (redis, address) = Redis::start().await;
    let mut limits = Settings::unlimited();
    limits.codes = Pair { identity: Rule::per_hour(0), address: Rule::per_hour(1000) };
    limits.redis_url = Some(format!("redis://{address}").into());
    let server = serve(&lab, limits).await;
    let ask = async |n: u32| {
        let body = json!({ "phone": format!("880000{n:02}") });
        assert_eq!(post(&server.client(""), "/auth/codes", body).await.status, 202);
    };
    ask(1).await;
    if !redis.hang().await {
        return crate::lab::say("skipped: only a real redis-server can be made to hang");
    }
    let started = Instant::now();
    for n in 2..22 {
        ask(n).await;
    }
    // Each of them would wait for 250 ms otherwise.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(buckets(&lab).await, 1, "Postgres counts meanwhile");
    redis.go_on().await;
    // Asked again after a second, Redis counts alone.
    for n in 22.. {
        assert!(started.elapsed() < Duration::from_secs(30), "Redis is not asked again");
        tokio::time::sleep(Duration::from_millis(200)).await;
        lab.sql("delete from rate_limits").await;
        ask(n).await;
        if buckets(&lab).await == 0 {
            break;
        }
    }
    redis.stop().await;
}

#[tokio::test]
async fn a_redis_that_never_was_there_stops_nobody() {
    let lab = lab().await;
    let mut limits = Settings::unlimited();
    limits.sign_in = few(1);
    limits.redis_url = Some("redis://127.0.0.1:1".to_owned().into());
    let server = serve(&lab, limits).await;
    attempt(&server, "x", "").await.assert_error(401, "FORBIDDEN");
    assert_refused(&attempt(&server, "x", "").await, 60);
}

async fn buckets(lab: &Lab) -> i64 {
    sqlx::query_scalar("select count(*) from rate_limits")
        .fetch_one(&lab.admin)
        .await
        .expect("a count")
}
